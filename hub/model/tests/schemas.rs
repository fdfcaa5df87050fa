//! `schemas/` and the code say the same: every JSON body that the code can write fits its schema, the
//! examples are what the code writes, and `codes.json` lists what the code lists.
//!
//! `TRUC_UPDATE=1 cargo test -p truc-model --test schemas` rewrites `codes.json` and `examples/`.
//! `tests/python/check_schemas.py` checks the same files with a full JSON Schema implementation.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod schema_check;

use std::path::PathBuf;

use schema_check::Schema;
use serde::Serialize;
use serde_json::{Value, json};
use truc_model::delivery::TransportStateName;
use truc_model::refusal::Place;
use truc_model::warning::WarningLevel;
use truc_model::wire::{
    AttachmentWord, AttachmentWords, Declined, DocumentReceipt, Notice, NoticeCode, Receipt, RecipientLine,
    RefusalAnswer, StatusReceipt, Taken, Tally, WarningLine, Withdrawn,
};
use truc_model::{
    Actor, AgencyCode, AgencyId, BodyProblem, BodyProblemCode, BusinessState, ChangeState, DeliveryUid,
    Operation, ParkCause, Party, Refusal, RefusalCode, Retry, Sha256, SignatureState, SignatureStrength,
    SignatureVerdict, StatusCode, TransportState, UndeliverableCause, Urgency, WarningCode, WithdrawCause,
    WithdrawProof,
};

fn schemas() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../schemas")
}

fn schema(name: &str) -> Schema {
    let path = schemas().join(format!("{name}.json"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Schema::new(serde_json::from_str(&text).unwrap())
}

/// Compares a file of `schemas/` with what the code says, or rewrites it when told to.
fn keep(name: &str, value: &Value) {
    let path = schemas().join(name);
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if std::env::var_os("TRUC_UPDATE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        // Compared as values: the order of members depends on how serde_json was built.
        serde_json::from_str::<Value>(&found).is_ok_and(|found| found == *value),
        "schemas/{name} does not say what the code says; see the top of this test for how to rewrite it"
    );
}

#[test]
fn problems() {
    let schema = schema("problem");
    for code in BodyProblemCode::ALL {
        let problem = BodyProblem::new(*code, "at most 4294967296 bytes", "5000000000 bytes");
        let value = serde_json::to_value(problem.answer()).unwrap();
        let faults = schema.faults(&value);
        assert!(faults.is_empty(), "{code}: {faults:#?}\n{value:#}");
    }
    let offset = BodyProblem::new(
        BodyProblemCode::OffsetMismatch,
        "bytes from 100",
        "bytes from 200",
    )
    .at(100);
    check("problem", &[("problem", offset.answer())]);
}

/// Every body fits its schema, member by member; the first few are the published examples.
fn check<T: Serialize>(name: &str, examples: &[(&str, T)]) {
    let schema = schema(name);
    for (example, body) in examples {
        let value = serde_json::to_value(body).unwrap();
        let faults = schema.faults(&value);
        assert!(faults.is_empty(), "{example}: {faults:#?}\n{value:#}");
        keep(&format!("examples/{example}.json"), &value);
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(last: u32) -> T {
    format!("01890a5d-ac96-774b-bcce-{last:012}").parse().unwrap()
}

fn moment() -> jiff::Timestamp {
    "2026-03-02T01:15:30.25Z".parse().unwrap()
}

/// One place of every kind.
fn places() -> Vec<Place> {
    vec![
        Place::Element {
            path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/PromulgationInfo/PromulgationDate"
                .to_owned(),
            line: 31,
            column: 9,
        },
        Place::header("truc-seal"),
        Place::certificate("notAfter"),
        Place::seal("sha-256"),
        Place::Json {
            pointer: String::new(),
        },
        Place::Message,
    ]
}

fn document_receipt() -> DocumentReceipt {
    let line = |code: &str, party, state, delivery, cause: Option<&str>| RecipientLine {
        code: code.to_owned(),
        party,
        state,
        delivery,
        cause: cause.map(str::to_owned),
    };
    DocumentReceipt {
        message_id: id(1),
        document: id(2),
        document_id: "000.00.12.H60,2026/03/02,118/STNMT-VP".to_owned(),
        event: 4711,
        accepted_at: moment(),
        sha256: Sha256::of(b"the packet"),
        size: 10_240,
        recipients: vec![
            line(
                "000.00.31.H60",
                Party::Agency(AgencyId(31)),
                TransportStateName::Scheduled,
                Some(id(3)),
                None,
            ),
            line(
                "000.00.00.G22",
                Party::Outside(AgencyCode::parse("000.00.00.G22").unwrap()),
                TransportStateName::Scheduled,
                Some(id(4)),
                None,
            ),
            line(
                "000.99.99.H60",
                Party::Unresolved("000.99.99.H60".to_owned()),
                TransportStateName::Undeliverable,
                None,
                Some(UndeliverableCause::UnknownCode.as_str()),
            ),
        ],
        warnings: places()
            .into_iter()
            .take(1)
            .map(|place| WarningLine::new(WarningCode::DateForm, place))
            .collect(),
    }
}

fn status_receipt(effect: &str, passed_on: bool) -> Receipt {
    Receipt::Status(StatusReceipt {
        message_id: id(5),
        document: id(2),
        status: StatusCode::Accepted,
        recipient: Party::Agency(AgencyId(31)),
        event: 4720,
        accepted_at: moment(),
        effect: effect.to_owned(),
        passed_on,
    })
}

#[test]
fn receipts_fit() {
    let schema = schema("receipt");
    check(
        "receipt",
        &[
            ("receipt-document", Receipt::Document(document_receipt())),
            ("receipt-status", status_receipt("moved", true)),
        ],
    );
    // Every warning at every kind of place, every cause, every effect.
    for place in places() {
        for code in WarningCode::ALL {
            let mut receipt = document_receipt();
            receipt.warnings = vec![WarningLine::new(*code, place.clone())];
            schema.must_fit(&Receipt::Document(receipt));
        }
    }
    for (_, cause) in causes() {
        let mut receipt = document_receipt();
        receipt.recipients[2].cause = Some(cause.to_owned());
        schema.must_fit(&Receipt::Document(receipt));
    }
    for effect in ["moved", "late", "odd", "overlay", "ended", "duplicate"] {
        for code in StatusCode::ALL {
            let Receipt::Status(mut receipt) = status_receipt(effect, effect != "duplicate") else {
                unreachable!()
            };
            receipt.status = code;
            schema.must_fit(&Receipt::Status(receipt));
        }
    }
    schema.must_not_fit(&json!({"receipt": "parcel"}));
}

#[test]
fn refusals_fit() {
    let schema = schema("refusal");
    let finding = |code, place| Refusal::new(code, place, "what should be", "x".repeat(500));
    let answer = |findings| RefusalAnswer::of(Some(id(1)), findings, 4712, moment()).unwrap();
    check(
        "refusal",
        &[(
            "refusal",
            answer(vec![
                Refusal::new(
                    RefusalCode::SenderNotServed,
                    Place::Element {
                        path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/From/OrganId".to_owned(),
                        line: 0,
                        column: 0,
                    },
                    "an agency that system so-tnmt serves",
                    "000.00.31.H60",
                ),
                Refusal::new(
                    RefusalCode::SealMissing,
                    Place::header("truc-seal"),
                    "a seal by a certificate registered for this system",
                    "none",
                ),
            ]),
        )],
    );
    for code in RefusalCode::ALL {
        for place in places() {
            schema.must_fit(&answer(vec![
                finding(*code, place.clone()),
                finding(RefusalCode::TakenMalformed, place),
            ]));
        }
    }
    schema.must_fit(&RefusalAnswer {
        message_id: None,
        ..answer(vec![finding(RefusalCode::Loop, Place::Message)])
    });
    let mut unknown = serde_json::to_value(answer(vec![finding(RefusalCode::Loop, Place::Message)])).unwrap();
    unknown["code"] = json!("no-such-code");
    schema.must_not_fit(&unknown);
}

#[test]
fn notices_fit() {
    let schema = schema("notice");
    let notice = |code, recipient: Option<&str>, cause: &str, message: (&str, &str)| Notice {
        code,
        document: id(2),
        document_id: "000.00.12.H60,2026/03/02,118/STNMT-VP".to_owned(),
        recipient: recipient.map(str::to_owned),
        cause: cause.to_owned(),
        message: message.into(),
        tally: None,
        event: 4713,
        at: moment(),
    };
    check(
        "notice",
        &[(
            "notice",
            notice(
                NoticeCode::RecipientUndeliverable,
                Some("000.99.99.H60"),
                UndeliverableCause::UnknownCode.as_str(),
                UndeliverableCause::UnknownCode.sentences(),
            ),
        )],
    );
    for code in NoticeCode::ALL {
        schema.must_fit(&notice(code, None, "any-word", ("vi", "en")));
    }
    let late = NoticeCode::NotTaken;
    let tally = |taken, of| Notice {
        tally: Some(Tally { taken, of }),
        ..notice(late, None, late.as_str(), ("vi", "en"))
    };
    schema.must_fit(&tally(1_498, 1_500));
    schema.must_not_fit(&tally(1, 1));
}

#[test]
fn taken_fits_and_its_limits_are_the_schemas() {
    let schema = schema("taken");
    let declined = |code: usize, reason: usize| Declined {
        delivery: id(3),
        code: "c".repeat(code),
        reason: "đ".repeat(reason),
    };
    let taken = |taken: usize, refused: Vec<Declined>| Taken {
        taken: vec![id(3); taken],
        refused,
        withdrawn: vec![],
    };
    let withdrawn = |count: usize, codes: &[&str]| Taken {
        withdrawn: vec![
            Withdrawn {
                delivery: id(3),
                codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            };
            count
        ],
        ..Taken::default()
    };
    check(
        "taken",
        &[
            ("taken", taken(1, vec![])),
            (
                "taken-refused",
                taken(
                    0,
                    vec![Declined {
                        delivery: id(3),
                        code: "unknown-unit".to_owned(),
                        reason: "Đơn vị này đã chuyển sang hệ thống khác từ 01/03/2026.".to_owned(),
                    }],
                ),
            ),
            (
                "taken-withdrawn",
                Taken {
                    taken: vec![id(4)],
                    ..withdrawn(1, &["000.20.31.H60"])
                },
            ),
        ],
    );
    schema.must_fit(&taken(Taken::MAX_DELIVERIES, vec![]));
    schema.must_fit(&taken(0, vec![declined(Taken::CODE_MAX, Taken::REASON_MAX)]));
    schema.must_fit(&withdrawn(Taken::MAX_DELIVERIES, &[]));
    for too_much in [
        taken(Taken::MAX_DELIVERIES + 1, vec![]),
        taken(0, vec![declined(Taken::CODE_MAX + 1, 1)]),
        taken(0, vec![declined(1, Taken::REASON_MAX + 1)]),
        taken(0, vec![declined(0, 1)]),
        taken(0, vec![]),
        withdrawn(Taken::MAX_DELIVERIES + 1, &[]),
        withdrawn(1, &[""]),
    ] {
        schema.must_not_fit(&too_much);
    }
    schema.must_not_fit(&json!({"taken": [id::<DeliveryUid>(3)], "note": "x"}));
}

#[test]
fn words_for_attached_pdfs_fit() {
    let schema = schema("attachments");
    let word = |position, word: &str, reason: Option<&str>| AttachmentWord {
        position,
        word: word.to_owned(),
        reason: reason.map(str::to_owned),
    };
    let words = |left_out| AttachmentWords {
        pdf: vec![word(1, "intact", None), word(3, "unreadable", Some("encrypted"))],
        left_out,
    };
    check("attachments", &[("attachments", words(0))]);
    schema.must_fit(&words(12));
    for each in truc_model::PdfSignatures::WORDS {
        schema.must_fit(&json!({"pdf": [word(2, each, None)]}));
    }
    schema.must_not_fit(&json!({"pdf": [word(0, "intact", None)]}));
    schema.must_not_fit(&json!({"left_out": 1}));
}

#[test]
fn signature_verdicts_fit() {
    let schema = schema("signature");
    let valid = |signed_at, strength| SignatureState::Valid {
        strength,
        algorithm: "ES256".to_owned(),
        certificate: Sha256::of(b"a certificate").to_string(),
        signer: "so-tnmt".to_owned(),
        signed_at,
    };
    let verdict = |seal, xml| SignatureVerdict {
        seal,
        xml,
        vouched_by_channel: false,
    };
    check(
        "signature",
        &[(
            "signature",
            verdict(
                valid(Some(moment()), SignatureStrength::Current),
                SignatureState::Absent,
            ),
        )],
    );
    for state in [
        valid(None, SignatureStrength::Current),
        valid(None, SignatureStrength::LegacySha1),
        SignatureState::Absent,
        SignatureState::Invalid {
            reason: RefusalCode::SealSignature.as_str().to_owned(),
        },
    ] {
        schema.must_fit(&verdict(state.clone(), state));
    }
}

/// Every cause that a line of a receipt can name.
fn causes() -> Vec<(&'static str, &'static str)> {
    let undeliverable = UndeliverableCause::ALL.map(|cause| ("undeliverable", cause.as_str()));
    let parked = ParkCause::ALL.map(|cause| ("parked", cause.as_str()));
    let withdrawn = WithdrawCause::ALL.map(|cause| ("withdrawn", cause.as_str()));
    undeliverable.into_iter().chain(parked).chain(withdrawn).collect()
}

fn cause_row(word: &str, (vi, en): (&str, &str)) -> Value {
    json!({"cause": word, "vi": vi, "en": en})
}

#[test]
fn codes_json_lists_what_the_code_lists() {
    let actors = [Actor::SenderClerk, Actor::SenderIt, Actor::HubOperator];
    let retries = [Retry::AfterCorrection, Retry::SameBytesLater, Retry::Never];
    let codes = json!({
        "description": "The closed lists of the hub, as the program knows them. Refusals stand in order of precedence.",
        "refusals": RefusalCode::ALL.iter().map(|code| {
            let (vi, en) = code.sentences();
            json!({"code": code, "actor": code.actor(), "retry": code.retry(), "vi": vi, "en": en})
        }).collect::<Vec<_>>(),
        "actors": actors.map(|actor| {
            let (vi, en) = actor.labels();
            json!({"actor": actor, "vi": vi, "en": en})
        }),
        "retries": retries.map(|retry| {
            let (vi, en) = retry.sentences();
            json!({"retry": retry, "vi": vi, "en": en})
        }),
        "warnings": WarningCode::ALL.iter().map(|code| {
            let (vi, en) = code.sentences();
            let level: WarningLevel = code.level();
            json!({"code": code, "level": level, "refused_in_strict": code.refused_in_strict(), "vi": vi, "en": en})
        }).collect::<Vec<_>>(),
        "statuses": StatusCode::ALL.map(|code| json!({
            "code": code,
            "vi": code.label_vi(),
            "reported_by": if code.is_from_sender() { "sender" } else { "recipient" },
            "needs_reason": code.needs_reason(),
        })),
        "transport_states": TransportStateName::ALL.map(|state| json!({
            "state": state,
            "vi": state.label_vi(),
            "balance_column": state.column(),
            "final": is_final(state),
        })),
        "business_states": BusinessState::ALL.map(|state| json!({"state": state, "vi": state.label_vi()})),
        "change_states": ChangeState::ALL.map(|state| json!({
            "state": state,
            "vi": state.label_vi(),
            "end": state.is_end(),
            "awaits_answer": state.awaits_answer(),
        })),
        "withdraw_causes": WithdrawCause::ALL.map(|cause| json!({"cause": cause, "vi": cause.label_vi()})),
        "withdraw_proofs": WithdrawProof::ALL.map(|proof| {
            let (vi, en) = proof.sentences();
            json!({"proof": proof, "vi": vi, "en": en})
        }),
        "undeliverable_causes": causes().iter().filter(|(kind, _)| *kind == "undeliverable").map(|(_, word)| {
            let cause: UndeliverableCause = serde_json::from_value(json!(word)).unwrap();
            cause_row(word, cause.sentences())
        }).collect::<Vec<_>>(),
        "park_causes": causes().iter().filter(|(kind, _)| *kind == "parked").map(|(_, word)| {
            let cause: ParkCause = serde_json::from_value(json!(word)).unwrap();
            cause_row(word, cause.sentences())
        }).collect::<Vec<_>>(),
        "notices": NoticeCode::ALL.map(NoticeCode::as_str),
        "urgencies": (0..=u8::MAX).filter_map(Urgency::from_number).map(|urgency| {
            json!({"number": urgency.number(), "urgency": urgency, "vi": urgency.label_vi()})
        }).collect::<Vec<_>>(),
        "operations": (0..=u8::MAX).filter_map(Operation::from_number).map(|operation| {
            json!({"number": operation.number(), "operation": operation, "vi": operation.label_vi()})
        }).collect::<Vec<_>>(),
    });
    keep("codes.json", &codes);
}

fn is_final(name: TransportStateName) -> bool {
    let (at, since) = (moment(), moment());
    let state = match name {
        TransportStateName::Scheduled => TransportState::Scheduled { since },
        TransportStateName::Forwarded => TransportState::Forwarded { at, attempt: 1 },
        TransportStateName::Taken => TransportState::Taken { at },
        TransportStateName::Refused => TransportState::Refused {
            at,
            code: String::new(),
            reason: String::new(),
        },
        TransportStateName::Withdrawn => TransportState::Withdrawn {
            at,
            cause: WithdrawCause::Recalled,
            proof: WithdrawProof::NeverLeft,
        },
        TransportStateName::Undeliverable => TransportState::Undeliverable {
            at,
            cause: UndeliverableCause::NoSystem,
        },
        TransportStateName::Parked => TransportState::Parked {
            since,
            cause: ParkCause::SecretMarking,
        },
    };
    state.is_final()
}
