//! Properties: what is written is read back the same; nothing makes the reader panic; the spelling of
//! base64 does not change what it holds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::civil::{Date, DateTime};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use truc_envelope::{
    Attachment, Business, DocumentNumber, DocumentPacket, DocumentType, Limits, Organization, OtherInfo,
    Packet, PaperCopy, Promulgation, ReceiverChange, Replacement, ResponseFor, RevisedPart,
    SignaturePresence, Signer, StaffInfo, StatusPacket, TraceHeader, Update, decode_attachment, lint, read,
    write_document, write_status,
};
use truc_model::{Operation, Sha256, StatusCode, Urgency};

const TODAY: Date = jiff::civil::date(2030, 1, 1);

/// A value as a clerk types one: no outer spaces, not `null`, but everything XML must escape.
fn text(max: usize) -> impl Strategy<Value = String> {
    vec(prop_oneof![8 => "[a-zA-Z0-9 ./,-]", 3 => "[àáảãạăđêôơưếộữỲ]", 1 => "[<>&'\"\\]]", 1 => Just("\n".to_owned())], 1..max)
        .prop_map(|parts| parts.concat().trim().to_owned())
        .prop_filter("a value", |value| {
            !value.is_empty() && !["null", "n/a"].contains(&value.to_lowercase().as_str())
        })
}

fn code() -> impl Strategy<Value = String> {
    prop_oneof![
        "[A-HK][0-9]{2}(\\.[0-9]{2}){0,3}",
        "[0-9]{3}\\.[0-9]{2}\\.[0-9]{2}\\.[A-HK][0-9]{2}"
    ]
}

fn day() -> impl Strategy<Value = Date> {
    (2015_i16..2029, 1_i8..=12, 1_i8..=28).prop_map(|(year, month, day)| Date::constant(year, month, day))
}

fn moment() -> impl Strategy<Value = DateTime> {
    (day(), 0_i8..24, 0_i8..60, 0_i8..60).prop_map(|(day, h, m, s)| day.at(h, m, s, 0))
}

fn organization() -> impl Strategy<Value = Organization> {
    (
        code(),
        text(40),
        of(text(40)),
        of(text(40)),
        of(text(20)),
        of(text(15)),
        of(text(15)),
        of(text(20)),
    )
        .prop_map(
            |(organ_id, name, organization_in_charge, address, email, telephone, fax, website)| {
                Organization {
                    organ_id,
                    organ_name: Some(name),
                    organization_in_charge,
                    address,
                    email,
                    telephone,
                    fax,
                    website,
                }
            },
        )
}

fn staff() -> impl Strategy<Value = Option<StaffInfo>> {
    // Empty staff is not written, so at least the department is there.
    of((
        text(20),
        of(text(9)),
        of(text(20)),
        of(text(9)),
        of(text(20)),
        of(text(9)),
    )
        .prop_map(
            |(department, department_id, staff, staff_id, email, mobile)| StaffInfo {
                department: Some(department),
                department_id,
                staff,
                staff_id,
                email,
                mobile,
            },
        ))
}

fn response_for() -> impl Strategy<Value = ResponseFor> {
    (code(), text(20), day(), text(60)).prop_map(|(organ_id, number, date, id)| ResponseFor {
        organ_id,
        code: Some(number),
        promulgation_date: Some(date),
        document_id: Some(nfc(&id)),
    })
}

fn nfc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfc().collect()
}

fn business() -> impl Strategy<Value = Business> {
    let update = (
        of(any::<bool>()),
        any::<bool>(),
        vec((code(), any::<bool>()), 0..3),
    )
        .prop_map(|(information, recipients, receivers)| {
            let part = |changed| {
                if changed {
                    RevisedPart::Changed
                } else {
                    RevisedPart::Unchanged
                }
            };
            let receiver = |(code, added)| match added {
                true => ReceiverChange::Added(code),
                false => ReceiverChange::Removed(code),
            };
            Update {
                information: information.map(part),
                recipients: Some(part(recipients)),
                receivers: receivers.into_iter().map(receiver).collect(),
            }
        });
    let replaced = (text(40), vec(code(), 0..3)).prop_map(|(id, organ_ids)| Replacement {
        document_id: nfc(&id),
        organ_ids,
    });
    let replacements = vec(replaced, 0..3).prop_map(|mut list| {
        list.sort_by(|a, b| a.document_id.cmp(&b.document_id));
        list.dedup_by(|a, b| a.document_id == b.document_id);
        list
    });
    (
        0_u8..4,
        of(text(40)),
        text(40),
        of(any::<bool>()),
        of(update),
        replacements,
        staff(),
    )
        .prop_map(
            |(operation, document_id, reason, paper, update, replacements, staff)| Business {
                operation: Operation::from_number(operation).unwrap(),
                document_id: document_id.map(|id| nfc(&id)),
                reason: Some(reason),
                paper: paper.map(|follows| {
                    if follows {
                        PaperCopy::Follows
                    } else {
                        PaperCopy::None
                    }
                }),
                update,
                replacements,
                staff,
            },
        )
}

fn files() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(
        prop_oneof![
            vec(any::<u8>(), 1..200)
                .prop_map(|rest| [b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec(), rest].concat()),
            "[a-zđê ]{1,80}".prop_map(String::into_bytes),
        ],
        1..3,
    )
}

fn document() -> impl Strategy<Value = (DocumentPacket, Vec<Vec<u8>>)> {
    let parties = (organization(), vec(organization(), 1..4)).prop_map(|(from, mut to)| {
        to.sort_by(|a, b| a.organ_id.cmp(&b.organ_id));
        to.dedup_by(|a, b| a.organ_id == b.organ_id);
        to.retain(|to| to.organ_id != from.organ_id);
        (from, to)
    });
    let parties = parties.prop_filter("a recipient", |(_, to)| !to.is_empty());
    let number = ("[0-9]{1,11}", text(25));
    let words = (
        text(60),
        of(text(40)),
        of(text(30)),
        text(30),
        vec(text(20), 0..3),
        of(text(30)),
    );
    let answers = (vec(response_for(), 0..2), of(0_u32..3), vec(text(9), 0..2));
    let other = (
        0_u8..5,
        of(text(30)),
        of(text(8)),
        of(0_u32..1000),
        of(0_u32..1000),
        vec(text(20), 0..2),
    );
    let dates = (day(), of(0_i32..300));
    let trace = vec((code(), moment()), 1..3);
    (
        parties,
        (text(80), number),
        words,
        answers,
        other,
        dates,
        trace,
        business(),
        files(),
    )
        .prop_map(
            |((from, to), (id, number), words, answers, other, (issued, due_in), trace, business, files)| {
                let (subject, content, place, signer, to_places, sphere) = words;
                let (response_for, steering_type, task_codes) = answers;
                let (priority, direction, typer_notation, amount, pages, appendixes) = other;
                let attachments = files
                    .iter()
                    .enumerate()
                    .map(|(i, bytes)| {
                        let name = if bytes.starts_with(b"%PDF") {
                            "văn bản.pdf"
                        } else {
                            "a & b.txt"
                        };
                        Attachment::of(format!("{i}-x"), name, None, bytes)
                    })
                    .collect();
                let trace = trace
                    .into_iter()
                    .map(|(organ_id, moment)| TraceHeader {
                        organ_id: Some(organ_id),
                        timestamp: Some(moment),
                    })
                    .collect();
                let document = DocumentPacket {
                    from,
                    to,
                    document_id: nfc(&id),
                    code: DocumentNumber::new(number.0, number.1),
                    promulgation: Promulgation {
                        place,
                        date: Some(issued),
                    },
                    document_type: DocumentType {
                        number: Some(2),
                        detail: Some(18),
                        name: Some("Công văn".to_owned()),
                    },
                    subject,
                    content,
                    signer: Signer {
                        competence: None,
                        position: Some("Chủ tịch".to_owned()),
                        full_name: Some(signer),
                    },
                    due_date: due_in.map(|days| issued.checked_add(jiff::Span::new().days(days)).unwrap()),
                    to_places,
                    other: OtherInfo {
                        priority: Urgency::from_number(priority).unwrap(),
                        sphere,
                        typer_notation,
                        promulgation_amount: amount,
                        page_amount: pages,
                        direction: direction.map(|_| "true".to_owned()),
                        reply_fors: None,
                        reference_codes: None,
                        appendixes,
                    },
                    response_for,
                    steering_type,
                    task_codes,
                    application_type: None,
                    trace,
                    business,
                    signature: SignaturePresence::Absent,
                    attachments,
                    unknown: Vec::new(),
                };
                (document, files)
            },
        )
}

fn status() -> impl Strategy<Value = StatusPacket> {
    (
        organization(),
        response_for(),
        staff(),
        0_usize..9,
        text(60),
        moment(),
    )
        .prop_map(
            |(from, response_for, staff, code, description, moment)| StatusPacket {
                // A status dated before its document is warned of.
                timestamp: response_for
                    .promulgation_date
                    .map(|issued| issued.to_datetime(moment.time())),
                from,
                response_for,
                staff,
                code: StatusCode::ALL[code],
                description: Some(description),
                unknown: Vec::new(),
            },
        )
}

fn written(document: &DocumentPacket, files: &[Vec<u8>]) -> Vec<u8> {
    write_document(document, &files.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// A packet of fixed content, to be spoiled.
fn sound() -> Vec<u8> {
    let pdf = b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec();
    let document = DocumentPacket {
        from: Organization::new("H60.10.05", "UBND xã"),
        to: vec![
            Organization::new("H60.10", "UBND huyện"),
            Organization::new("000.00.12.H60", "Sở Nội vụ"),
        ],
        document_id: "H60.10.05,2025/03/14,27/BC-UBND".to_owned(),
        subject: "a & b".to_owned(),
        attachments: vec![Attachment::of("1", "a.pdf", None, &pdf)],
        ..DocumentPacket::default()
    };
    written(&document, &[pdf])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_written_document_reads_back_strictly_the_same((document, files) in document()) {
        let bytes = written(&document, &files);
        let reading = read(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(&reading.warnings, &[]);
        let lint = lint(&bytes, &Limits::default(), TODAY);
        prop_assert!(lint.strict_ok(), "{:?}", lint.findings);
        let Packet::Document(mut read_back) = reading.packet else { panic!("a status") };
        for (attachment, file) in read_back.attachments.iter_mut().zip(&files) {
            prop_assert_eq!(&decode_attachment(&bytes, attachment).unwrap(), file);
            attachment.encoded = 0..0;
        }
        // Debug hides contents, JSON shows which value differs.
        prop_assert_eq!(serde_json::to_value(&*read_back).unwrap(), serde_json::to_value(&document).unwrap());
        prop_assert_eq!(*read_back, document);
    }

    #[test]
    fn a_written_status_reads_back_strictly_the_same(status in status()) {
        let bytes = write_status(&status);
        let reading = read(&bytes, &Limits::default()).unwrap();
        prop_assert_eq!(&reading.warnings, &[]);
        prop_assert!(lint(&bytes, &Limits::default(), TODAY).strict_ok());
        prop_assert_eq!(reading.packet, Packet::Status(Box::new(status)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_it_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = lint(&bytes, &Limits::default(), TODAY);
    }

    #[test]
    fn no_markup_makes_it_panic(parts in vec(prop_oneof![
        Just("<edXML xmlns='http://www.mic.gov.vn/TBT/QCVN_102_2016'>"), Just("<edXMLEnvelope>"), Just("<edXMLHeader>"),
        Just("<MessageHeader>"), Just("</MessageHeader>"), Just("<From><OrganId>H1"), Just("</OrganId></From>"),
        Just("<To>"), Just("</To>"), Just("<StatusCode>1</StatusCode>"), Just("<Signature>"), Just("</Signature>"),
        Just("<Attachment><Content>"), Just("AAAA"), Just("</Content></Attachment>"), Just("<![CDATA["), Just("]]>"),
        Just("<!--"), Just("-->"), Just("&amp;"), Just("&#"), Just(";"), Just("<a b='"), Just("'/>"), Just("<x:y/>"),
        Just("<?"), Just("?>"), Just("đ"), Just("\u{0}"), Just("<"), Just(">"), Just("null"),
    ], 0..40)) {
        let _ = lint(parts.concat().as_bytes(), &Limits::default(), TODAY);
    }

    #[test]
    fn no_spoiled_packet_makes_it_panic(
        cut in any::<prop::sample::Index>(),
        spoiled in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let mut bytes = sound();
        // Short of its last tag by one byte at least; the line feed after it does not matter.
        let cut = cut.index(bytes.len() - 1);
        prop_assert!(read(&bytes[..cut], &Limits::default()).is_err());
        for (at, byte) in spoiled {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = lint(&bytes, &Limits::default(), TODAY);
        let _ = lint(&bytes[..cut], &Limits::default(), TODAY);
    }

    #[test]
    fn the_spelling_of_base64_does_not_matter(
        bytes in vec(any::<u8>(), 1..600),
        breaks in vec((any::<prop::sample::Index>(), prop_oneof![
            Just("\n"), Just("\r\n"), Just(" "), Just("\t"), Just("<!-- c -->"), Just("<?p?>"),
        ]), 0..8),
    ) {
        let encoded = STANDARD.encode(&bytes);
        let mut spelled = encoded.clone();
        for (at, gap) in breaks {
            let places: Vec<usize> = outside_markup(&spelled);
            spelled.insert_str(places[at.index(places.len())], gap);
        }
        let plain = String::from_utf8(sound()).unwrap();
        let old = STANDARD.encode(b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n");
        let packet = plain.replace(&old, &spelled);
        let reading = read(packet.as_bytes(), &Limits::default()).unwrap();
        let Packet::Document(document) = reading.packet else { panic!("a status") };
        prop_assert_eq!(document.attachments[0].sha256, Sha256::of(&bytes));
        prop_assert_eq!(document.attachments[0].length, bytes.len() as u64);
        prop_assert_eq!(decode_attachment(packet.as_bytes(), &document.attachments[0]).unwrap(), bytes);
    }
}

/// Offsets that lie in no comment or instruction.
fn outside_markup(text: &str) -> Vec<usize> {
    let mut inside = false;
    let mut places = Vec::new();
    for (at, c) in text.char_indices() {
        if c == '<' {
            places.push(at);
            inside = true;
        } else if c == '>' {
            inside = false;
        } else if !inside {
            places.push(at);
        }
    }
    places.push(text.len());
    places
}
