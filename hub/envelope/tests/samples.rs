//! Packets of real systems, where they lie beside the workspace: each reads as its README says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

use std::path::{Path, PathBuf};

use jiff::civil::{date, datetime};
use truc_envelope::{
    DocumentPacket, Level, Limits, Organization, Packet, PaperCopy, Reading, SignaturePresence, SniffedType,
    StatusPacket, Wrapping, decode_attachment, lint, read, write_document, write_status,
};
use truc_model::{Operation, Sha256, StatusCode, Urgency};

/// The samples that lie there, or none with a loud word.
fn samples(names: &[&str]) -> Vec<(String, Vec<u8>)> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/edxml");
    if !folder.is_dir() {
        println!(
            "SKIPPED: no sample packets beside the workspace, {} not read",
            names.len()
        );
        return Vec::new();
    }
    let read = |name: &&str| ((*name).to_owned(), std::fs::read(folder.join(name)).unwrap());
    let samples: Vec<_> = names.iter().map(read).collect();
    println!("ran {} sample packets: {}", samples.len(), names.join(", "));
    samples
}

fn reading(name: &str, bytes: &[u8]) -> Reading {
    let reading = read(bytes, &Limits::default()).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
    assert_eq!(reading.sha256, Sha256::of(bytes));
    assert_eq!(reading.size, bytes.len() as u64);
    reading
}

/// `code line:column` of every warning.
fn warnings(reading: &Reading) -> Vec<String> {
    reading
        .warnings
        .iter()
        .map(|warning| match &warning.place {
            truc_model::Place::Element { line, column, .. } => format!("{} {line}:{column}", warning.code),
            other => panic!("{other}"),
        })
        .collect()
}

fn document(reading: &Reading) -> &DocumentPacket {
    match &reading.packet {
        Packet::Document(document) => document,
        Packet::Status(_) => panic!("a status"),
    }
}

fn status(reading: &Reading) -> &StatusPacket {
    match &reading.packet {
        Packet::Status(status) => status,
        Packet::Document(_) => panic!("a document"),
    }
}

#[test]
fn new_documents() {
    let common = [
        "code-number-odd 29:11",
        "document-type-odd 36:9",
        "due-date-odd 48:9",
        "signature-form 84:7",
        "attachment-odd-zip 118:5",
    ];
    for (name, bytes) in samples(&["doc-new.edxml", "doc-new-stray-prefix.edxml"]) {
        let reading = reading(&name, &bytes);
        let document = document(&reading);
        let stray = name.contains("stray");
        let mut expected: Vec<&str> = if stray {
            vec![
                "leading-bytes 1:1",
                "line-ends 1:43",
                "agency-code-spelling 18:11",
                "outer-spaces 19:11",
            ]
        } else {
            vec!["line-ends 1:39", "agency-code-spelling 18:11"]
        };
        expected.extend(common);
        assert_eq!(warnings(&reading), expected, "{name}");

        assert_eq!(
            document.from.organ_id,
            if stray { "002.00.20.H13" } else { "000.00.00.A80" }
        );
        let recipients: Vec<&str> = document.to.iter().map(|to| to.organ_id.as_str()).collect();
        assert_eq!(recipients, ["28.22.H17"]);
        // The agency inside the identifier is not the sender: nothing is derived from it.
        assert_eq!(document.document_id, "000.00.00.G22,2015/09/30,7816/VPCP-TTĐT");
        assert_eq!(document.code.to_string(), "74fass22/VPCP-TTĐT");
        assert_eq!(document.promulgation.date, Some(date(2019, 1, 16)));
        assert_eq!(document.promulgation.place.as_deref(), Some("Hà Nội"));
        assert_eq!(document.document_type.number, Some(1));
        assert_eq!(document.document_type.name.as_deref(), Some("Công văn"));
        assert_eq!(
            document.subject,
            "V/v kết nối, liên thông phần mềm quản lý văn bản"
        );
        assert_eq!(document.due_date, Some(date(2018, 9, 28)));
        assert_eq!(document.to_places.len(), 2);
        assert_eq!(document.other.priority, Urgency::Normal);
        assert_eq!(
            document.other.sphere.as_deref(),
            Some("Liên thông văn bản quốc gia")
        );
        assert_eq!(document.other.page_amount, Some(22));
        assert_eq!(document.other.direction.as_deref(), Some("false"));
        assert_eq!(document.steering_type, Some(1));
        assert_eq!(document.trace.len(), 1);
        assert_eq!(
            document.trace[0].timestamp,
            Some(datetime(2018, 9, 28, 0, 0, 0, 0))
        );
        assert_eq!(document.business.operation, Operation::New);
        assert_eq!(
            document.business.document_id.as_deref(),
            Some("000.00.00.G22,2014/02/30,7806/VPCP-TTĐT")
        );
        assert_eq!(document.business.paper, Some(PaperCopy::None));
        assert_eq!(document.signature, SignaturePresence::OtherForm);
        let shown = format!("{reading:?}");
        for hidden in [
            document.subject.as_str(),
            "vpcp@gov.vn",
            "8043100",
            "Tran Van Mau",
        ] {
            assert!(!shown.contains(hidden), "Debug shows {hidden}");
        }

        let [attachment] = document.attachments.as_slice() else {
            panic!("{name}")
        };
        assert_eq!(attachment.content_id, "209");
        assert_eq!(attachment.name, "1896_QD-TTg_m_294779.doc");
        assert_eq!(attachment.length, 205_891);
        assert_eq!(
            (attachment.sniffed, attachment.wrapper),
            (SniffedType::Zip, Wrapping::OddZip)
        );
        let decoded = decode_attachment(&bytes, attachment).unwrap();
        assert!(decoded.starts_with(b"PK"));
        assert_eq!(Sha256::of(&decoded), attachment.sha256);

        // Written strictly, what was odd about the form is gone and what is odd about the content stays.
        let strict = write_document(document, &[&decoded]);
        let again = self::reading(&name, &strict);
        let codes: Vec<&str> = again
            .warnings
            .iter()
            .map(|warning| warning.code.as_str())
            .collect();
        assert_eq!(
            codes,
            [
                "agency-code-spelling",
                "code-number-odd",
                "document-type-odd",
                "due-date-odd",
                "attachment-odd-zip"
            ]
        );
        assert_eq!(self::document(&again).attachments[0].sha256, attachment.sha256);
    }
}

#[test]
fn the_template_is_refused_for_its_placeholder_alone() {
    for (name, bytes) in samples(&["doc-template-unbound-xlink.edxml"]) {
        let rejection = read(&bytes, &Limits::default()).expect_err(&name);
        let findings: Vec<String> = rejection.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            [
                "attachment-not-base64 at edXML/AttachmentEncoded/Attachment/ContentTransferEncoded (130:7): \
              expected base64, found a placeholder of a template, ${…}"
            ]
        );
        let said: Vec<(String, Level)> = lint(&bytes, &Limits::default(), date(2019, 2, 1))
            .findings
            .into_iter()
            .map(|finding| (finding.code, finding.level))
            .collect();
        for expected in [
            ("unbound-prefix", Level::Error),
            ("element-order", Level::Note),
            ("empty-element", Level::Error),
            ("document-type-odd", Level::Note),
            ("due-date-odd", Level::Warning),
            ("missing-value", Level::Error),
            ("prefix-mix", Level::Note),
        ] {
            assert!(
                said.contains(&(expected.0.to_owned(), expected.1)),
                "{expected:?} in {said:?}"
            );
        }
        // The signature is a proper one, and what stands in comments is not read.
        assert!(said.iter().all(|(code, _)| code != "signature-form"));
        assert_eq!(said.iter().filter(|(code, _)| code == "empty-element").count(), 4);

        // With real content in place of the placeholder it is read.
        let text = String::from_utf8(bytes).unwrap();
        let filled = text.replace("${__StringFromFile(test.txt,,,)}", "JVBERi0xLjcK");
        let reading = reading(&name, filled.as_bytes());
        let document = document(&reading);
        assert_eq!(document.document_id, "9fbfbad2-f1f8-4256-a2eb-50fb1061cddb");
        assert_eq!(document.signature, SignaturePresence::XmlDsig);
        assert_eq!(document.business.operation, Operation::New);
        assert!(document.response_for.is_empty());
        assert_eq!(document.to[0].organization_in_charge, None);
        assert_eq!(document.attachments[0].sniffed, SniffedType::Pdf);
    }
}

#[test]
fn statuses() {
    let expected = [
        ("status-01-arrived.edxml", StatusCode::Arrived),
        ("status-02-rejected.edxml", StatusCode::Rejected),
        ("status-03-accepted.edxml", StatusCode::Accepted),
        ("status-06-finished.edxml", StatusCode::Finished),
    ];
    for ((name, bytes), (_, code)) in samples(&expected.map(|(name, _)| name)).into_iter().zip(expected) {
        let reading = reading(&name, &bytes);
        assert_eq!(
            warnings(&reading),
            ["line-ends 1:39", "element-order 26:4", "timestamp-odd 30:9"],
            "{name}"
        );
        let status = status(&reading);
        assert_eq!(status.code, code);
        assert_eq!(
            status.from,
            Organization {
                organ_id: "000.00.00.H41".to_owned(),
                organ_name: Some("UBND Tỉnh Nghệ An".to_owned()),
                organization_in_charge: Some("UBND Tỉnh Nghệ An".to_owned()),
                address: Some("Số 03, đường Trường Thi, Thành phố Vinh, Tỉnh Nghệ An, Việt Nam".to_owned()),
                email: Some("nghean@gov.vn".to_owned()),
                telephone: Some("0383 840418".to_owned()),
                fax: Some("0383 843049".to_owned()),
                website: Some("www.nghean.vn".to_owned()),
            }
        );
        assert_eq!(status.response_for.organ_id, "000.00.00.G22");
        assert_eq!(status.response_for.code.as_deref(), Some("7816/VPCP-TTĐT"));
        assert_eq!(status.response_for.promulgation_date, Some(date(2015, 9, 30)));
        assert_eq!(status.timestamp, Some(datetime(2015, 9, 20, 11, 8, 36, 0)));
        assert!(status.description.is_some() && status.staff.is_some());

        let again = self::reading(&name, &write_status(status));
        assert_eq!(again.packet, reading.packet);
        assert_eq!(warnings(&again).len(), 1, "{name}: only the time stays odd");
    }
}
