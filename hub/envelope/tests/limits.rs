//! Every limit of the reader at its edge: what is just within is read, one more is refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

use truc_envelope::{Attachment, DocumentPacket, Limits, Organization, read, write_document};
use truc_model::RefusalCode;

const PDF: &[u8] = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n";

fn packet(recipients: usize, attachments: usize) -> String {
    let document = DocumentPacket {
        from: Organization::new("H60.10.05", "UBND xã"),
        to: (0..recipients)
            .map(|i| Organization::new(format!("H60.{i:04}"), "Đơn vị"))
            .collect(),
        document_id: "1".to_owned(),
        subject: "Báo cáo".to_owned(),
        attachments: (0..attachments)
            .map(|i| Attachment::of(format!("{i}"), "a.pdf", None, PDF))
            .collect(),
        ..DocumentPacket::default()
    };
    String::from_utf8(write_document(&document, &vec![PDF; attachments])).unwrap()
}

/// The packet is read under `within` and refused with `code` under `beyond`.
fn check(packet: &str, code: RefusalCode, within: Limits, beyond: Limits) {
    if let Err(rejection) = read(packet.as_bytes(), &within) {
        panic!("within {within:?}: {rejection}");
    }
    let rejection = read(packet.as_bytes(), &beyond).expect_err("beyond the limit");
    assert_eq!(rejection.findings[0].code, code, "{rejection}");
}

/// As [`check`], with one limit set to `edge` and to one less.
fn edge(packet: &str, code: RefusalCode, edge: usize, set: impl Fn(&mut Limits, usize)) {
    let limits = |value| {
        let mut limits = Limits::default();
        set(&mut limits, value);
        limits
    };
    check(packet, code, limits(edge), limits(edge - 1));
}

const LIMIT: RefusalCode = RefusalCode::EnvelopeLimit;

#[test]
fn bytes() {
    let packet = packet(1, 1);
    edge(&packet, LIMIT, packet.len(), |limits, value| {
        limits.max_bytes = value;
    });
}

#[test]
fn depth() {
    // edXML, envelope, header, message header, DocumentType: the deepest of this packet stand at six.
    let packet = packet(1, 1);
    edge(&packet, LIMIT, 6, |limits, value| {
        limits.max_depth = value;
    });
}

#[test]
fn depth_inside_a_signature_counts_too() {
    let signature = format!("<Signature>{}{}</Signature>", "<a>".repeat(5), "</a>".repeat(5));
    let packet = packet(1, 1).replace(
        "</edXML:edXMLHeader>",
        &format!("{signature}</edXML:edXMLHeader>"),
    );
    edge(&packet, LIMIT, 9, |limits, value| {
        limits.max_depth = value;
    });
}

#[test]
fn elements() {
    let packet = packet(3, 2);
    let count = packet.matches('<').count() - packet.matches("</").count() - packet.matches("<?").count();
    edge(&packet, LIMIT, count, |limits, value| {
        limits.max_elements = value;
    });
}

#[test]
fn attributes() {
    let packet = packet(1, 1).replace(" version=\"1.0\">", " version=\"1.0\" a=\"1\" b=\"2\">");
    edge(&packet, LIMIT, 3, |limits, value| {
        limits.max_attributes = value;
    });
}

#[test]
fn attribute_bytes() {
    let packet = packet(1, 1);
    let longest = packet
        .lines()
        .filter_map(|line| line.find(" xmlns:edXML=").map(|at| &line[at..]));
    let longest = longest.map(|rest| rest.find('>').unwrap()).max().unwrap();
    edge(&packet, LIMIT, longest, |limits, value| {
        limits.max_attribute_bytes = value;
    });
}

#[test]
fn value_bytes() {
    let packet = packet(1, 1).replace("Báo cáo", &"x".repeat(300));
    edge(&packet, LIMIT, 300, |limits, value| {
        limits.max_value_bytes = value;
    });
    // Nor does a value in pieces get round it.
    let packet = packet.replace(&"x".repeat(300), &"x<!-- -->&amp;<![CDATA[x]]>".repeat(100));
    edge(&packet, LIMIT, 300, |limits, value| {
        limits.max_value_bytes = value;
    });
}

#[test]
fn text_bytes() {
    // What the reader holds: values, and names that are not the format's own.
    let base = packet(1, 1);
    let held = |packet: &str| {
        (1..10_000)
            .find(|most| {
                let limits = Limits {
                    max_text_bytes: *most,
                    ..Limits::default()
                };
                read(packet.as_bytes(), &limits).is_ok()
            })
            .unwrap()
    };
    let bytes = held(&base);
    edge(&base, LIMIT, bytes, |limits, value| {
        limits.max_text_bytes = value;
    });
    let longer = base.replace("Báo cáo", "Báo cáo tháng");
    assert_eq!(held(&longer), bytes + " tháng".len());
    // Indentation is no value, and attachments are not held.
    let spaced = base.replace("<edXML:To>", &format!("{}<edXML:To>", "\n \t".repeat(1000)));
    assert_eq!(held(&spaced), bytes);
}

#[test]
fn many_values_within_their_limits_are_too_many_together() {
    let value = format!("<v>{}</v>", "x".repeat(Limits::MAX_VALUE_BYTES));
    let with = |count: usize| {
        packet(1, 1).replace(
            "</edXML:MessageHeader>",
            &format!("{}</edXML:MessageHeader>", value.repeat(count)),
        )
    };
    let most = Limits::MAX_TEXT_BYTES / Limits::MAX_VALUE_BYTES;
    assert!(read(with(most - 1).as_bytes(), &Limits::default()).is_ok());
    let rejection = read(with(most).as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(rejection.findings[0].code, LIMIT);
    // Nor do links of attachments, or texts that are cut up by elements.
    let links = packet(1, 1).replace(
        "</edXML:MessageHeader>",
        &format!(
            "{}</edXML:MessageHeader>",
            format!("<v xlink:href=\"{}\"/>", "x".repeat(4000)).repeat(Limits::MAX_TEXT_BYTES / 4000)
        ),
    );
    let rejection = read(links.as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(rejection.findings[0].code, LIMIT);
}

#[test]
fn markup_bytes() {
    const MOST: usize = 64 * 1024;
    for (open, close) in [("<!--", "-->"), ("<?p ", "?>")] {
        let with = |length: usize| {
            let markup = format!("{open}{}{close}", "x".repeat(length - open.len() - close.len()));
            packet(1, 1).replace(
                "</edXML:MessageHeader>",
                &format!("{markup}</edXML:MessageHeader>"),
            )
        };
        assert!(read(with(MOST).as_bytes(), &Limits::default()).is_ok());
        let rejection = read(with(MOST + 1).as_bytes(), &Limits::default()).unwrap_err();
        assert_eq!(rejection.findings[0].code, LIMIT);
    }
}

#[test]
fn an_attachment_is_no_value() {
    let limits = Limits {
        max_value_bytes: 100,
        ..Limits::default()
    };
    let long = vec![0; 10_000];
    let document = DocumentPacket {
        from: Organization::new("H60.10.05", "UBND xã"),
        to: vec![Organization::new("H60.10", "UBND huyện")],
        document_id: "1".to_owned(),
        attachments: vec![Attachment::of("1", "a.bin", None, &long)],
        ..DocumentPacket::default()
    };
    assert!(read(&write_document(&document, &[&long]), &limits).is_ok());
}

#[test]
fn recipients() {
    let packet = packet(5, 1);
    edge(&packet, RefusalCode::RecipientLimit, 5, |limits, value| {
        limits.max_recipients = value;
    });
}

#[test]
fn attachments() {
    let packet = packet(1, 4);
    edge(&packet, LIMIT, 4, |limits, value| {
        limits.max_attachments = value;
    });
}

#[test]
fn leading_bytes() {
    let packet = packet(1, 1);
    assert!(
        read(
            format!("{}{packet}", "1".repeat(64)).as_bytes(),
            &Limits::default()
        )
        .is_ok()
    );
    let rejection = read(
        format!("{}{packet}", "1".repeat(65)).as_bytes(),
        &Limits::default(),
    )
    .unwrap_err();
    assert_eq!(rejection.findings[0].code, RefusalCode::EnvelopeMalformed);
}

#[test]
fn names() {
    let with = |length: usize| {
        packet(1, 1).replace(
            "</edXML:MessageHeader>",
            &format!("<{0}/></edXML:MessageHeader>", "n".repeat(length)),
        )
    };
    assert!(read(with(256).as_bytes(), &Limits::default()).is_ok());
    let rejection = read(with(257).as_bytes(), &Limits::default()).unwrap_err();
    assert_eq!(rejection.findings[0].code, LIMIT);
}

#[test]
fn unknown_elements_are_listed_up_to_their_number() {
    let many = packet(1, 1).replace(
        "</edXML:MessageHeader>",
        &format!("{}</edXML:MessageHeader>", "<n/>".repeat(101)),
    );
    let reading = read(many.as_bytes(), &Limits::default()).unwrap();
    let truc_envelope::Packet::Document(document) = reading.packet else {
        panic!("a status")
    };
    assert_eq!(document.unknown.len(), 100);
    assert!(document.unknown[99].path.ends_with("/n[100]"));
    assert_eq!(&many.as_bytes()[document.unknown[0].start..][..4], b"<n/>");
}
