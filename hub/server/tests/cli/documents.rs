//! `truc document …`, `truc ledger …` and `truc doctor`, on a small ledger.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use truc_envelope::{Limits, Packet};
use truc_ledger::{
    AttachmentFacts, ConflictPolicy, DocumentFacts, DocumentSubmission, Plan, PlannedRecipient, SubmissionKey,
};
use truc_model::{
    AgencyId, DocumentIdentity, MessageId, Party, Sha256, SignatureState, SignatureVerdict, SystemId,
    UndeliverableCause,
};

use crate::packets::packet;
use crate::place::{Place, UUID};

/// A ledger with [`submission`] alone.
pub(crate) async fn small_ledger(place: &Place) -> String {
    let ledger = place.ledger().await;
    let outcome = ledger.submit_document(submission()).await.unwrap();
    outcome.receipt().unwrap().document().to_string()
}

/// One document to two agencies on two systems and one unknown code.
pub(crate) fn submission() -> DocumentSubmission {
    let body: Arc<[u8]> = Arc::from(packet());
    let reading = truc_envelope::read(&body, &Limits::default()).unwrap();
    let Packet::Document(document) = &reading.packet else {
        panic!("a document")
    };
    let recipient = |code: &str, agency: u32, system: &str| PlannedRecipient {
        code: code.to_owned(),
        party: Party::Agency(AgencyId(agency)),
        formerly: vec![],
        successors: vec![],
        plan: Plan::Deliver {
            system: SystemId::new(system).unwrap(),
        },
    };
    DocumentSubmission {
        key: SubmissionKey {
            system: SystemId::new("so-tnmt").unwrap(),
            message_id: UUID.parse::<MessageId>().unwrap(),
        },
        received_at: Timestamp::from_second(1_795_000_000).unwrap(),
        sha256: Sha256::of(&body),
        size: body.len() as u64,
        identity: DocumentIdentity {
            sender: Party::Agency(AgencyId(10)),
            document_id: document.document_id.clone(),
        },
        sender_formerly: vec![],
        sender_code: document.from.organ_id.clone(),
        facts: DocumentFacts {
            number: document.code.number.clone(),
            notation: document.code.notation.clone(),
            issued_on: document.promulgation.date,
            year: Some(2026),
            type_name: document.document_type.name.clone(),
            subject: Some(document.subject.clone()),
            operation: document.business.operation,
            urgency: document.other.priority,
            refers_to: None,
            attachments: vec![AttachmentFacts {
                name: "bao-cao.pdf".to_owned(),
                length: 18,
                sha256: document.attachments[0].sha256,
                sniffed: Some("pdf".to_owned()),
                note: None,
                signature: None,
            }],
            sent_late: None,
        },
        verdict: SignatureVerdict {
            seal: SignatureState::Absent,
            xml: SignatureState::Absent,
            vouched_by_channel: false,
        },
        warnings: vec![],
        recipients: vec![
            recipient("000.00.00.H60", 1, "ubnd-tinh"),
            recipient("000.20.30.H60", 22, "xa-tuyen-quang"),
            PlannedRecipient {
                code: "000.99.99.H60".to_owned(),
                party: Party::Unresolved("000.99.99.H60".to_owned()),
                formerly: vec![],
                successors: vec![],
                plan: Plan::Undeliverable(UndeliverableCause::UnknownCode),
            },
        ],
        change: None,
        conflict_policy: ConflictPolicy::Park,
        park: None,
        directory_version: 1,
        body: body.into(),
    }
}

#[tokio::test]
async fn documents_are_listed_shown_traced_and_resent() {
    let place = Place::with_directory();
    let uid = small_ledger(&place).await;
    place
        .run(&["document", "list"])
        .ends(0)
        .says(&["1234/STNMT-VP", "Sở Tài nguyên", "1 văn bản."]);
    for (option, value, found) in [
        ("--agency", "000.00.09.H60", true),
        ("--agency", "H60.30.20", true),
        ("--agency", "000.00.05.H60", false),
        ("--system", "xa-tuyen-quang", true),
        ("--system", "truc-quoc-gia", false),
        ("--state", "scheduled", true),
        ("--state", "taken", false),
        ("--number", "1234", true),
        ("--number", "9999", false),
        ("--until", "2020-01-01", false),
    ] {
        let json = place.json(&["document", "list", option, value], 0);
        assert_eq!(
            json["documents"].as_array().unwrap().len(),
            usize::from(found),
            "{option} {value}"
        );
    }

    for id in [
        uid.as_str(),
        UUID,
        "000.00.09.H60,2026/11/20,1234/STNMT-VP",
        "1234/STNMT-VP",
    ] {
        place.run(&["document", "show", id]).ends(0).says(&[
            "V/v báo cáo công tác",
            "UBND tỉnh Tuyên Quang",
            "Chờ gửi",
            "Không gửi được (unknown-code)",
            "bao-cao.pdf",
        ]);
    }
    place
        .run(&["document", "show", "none-such"])
        .ends(1)
        .says(&["Không tìm thấy", "→ "]);

    place.run(&["document", "trace", &uid]).ends(0).says(&[
        "VĂN BẢN ĐANG Ở ĐÂU",
        "chờ gửi tới hệ thống ubnd-tinh",
        "unknown-code",
        "document-accepted",
        "3 nơi nhận",
    ]);
    let trace = place.json(&["document", "trace", &uid], 0);
    assert_eq!(trace["trace"][0]["kind"], "document-accepted");
    assert_eq!(trace["recipients"].as_array().unwrap().len(), 3);

    place
        .run(&["document", "resend", &uid, "--reason", "  "])
        .troubles(&["reason"]);
    place
        .run(&[
            "document",
            "resend",
            &uid,
            "--recipient",
            "000.00.05.H60",
            "--reason",
            "thử",
        ])
        .troubles(&["no recipient"]);
    place
        .run(&[
            "document",
            "resend",
            &uid,
            "--recipient",
            "H60.30.20",
            "--reason",
            "hộp nhận bị xóa nhầm",
            "--yes",
        ])
        .ends(0)
        .says(&["Sẽ gửi lại 1 gói tin"]);
    place.run(&["document", "trace", &uid]).ends(0).says(&[
        "delivery-resent",
        "hộp nhận bị xóa nhầm",
        "tester",
    ]);
}

#[tokio::test]
async fn a_ledger_balances_and_is_whole() {
    let place = Place::with_directory();
    place
        .run(&["ledger", "balance"])
        .ends(0)
        .says(&["TỔNG", "Cân đối: CÓ"]);
    place.run(&["ledger", "verify"]).ends(0).says(&["NGUYÊN VẸN"]);
    small_ledger(&place).await;
    let json = place.json(&["ledger", "balance"], 0);
    assert_eq!(json["balances"], true);
    assert_eq!(json["total"]["accepted"], 3);
    assert_eq!(json["total"]["waiting"], 2);
    assert_eq!(json["total"]["undeliverable"], 1);
    place
        .run(&["ledger", "balance", "--agency", "000.00.09.H60"])
        .ends(0)
        .says(&["Sở Tài nguyên", "TỔNG"]);
    assert_eq!(
        place.json(&["ledger", "balance", "--agency", "000.00.05.H60"], 0)["total"]["accepted"],
        0
    );
    let verified = place.json(&["ledger", "verify", "--bodies"], 0);
    assert_eq!(verified["sound"], true);
    assert_eq!(verified["bodies"], 1);
    assert!(verified["events"].as_u64().unwrap() >= 2, "{verified}");
}

#[test]
fn the_doctor_says_what_is_wrong_and_goes_on() {
    let place = Place::new();
    let json = place.json(&["doctor"], 1);
    let areas = |json: &Value| {
        let mut areas: Vec<String> = json["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|f| f["area"].as_str().unwrap().to_owned())
            .collect();
        areas.dedup();
        areas
    };
    let all = [
        "broker",
        "ledger",
        "disk",
        "clock",
        "certificates",
        "directory",
        "deliveries",
    ];
    assert_eq!(areas(&json), all);
    place
        .run(&["doctor"])
        .ends(1)
        .says(&["LỖI", "truc migrate", "không kết nối được amqp://truc@127.0.0.1"]);

    let place = Place::with_directory();
    let json = place.json(&["doctor"], 1);
    assert_eq!(areas(&json), all);
    for finding in json["findings"].as_array().unwrap() {
        if finding["level"] != "ok" {
            assert!(finding["next"].is_string(), "{finding}");
        }
        if finding["level"] == "fault" {
            assert_eq!(finding["area"], "broker", "{finding}");
        }
    }
    place
        .run(&["doctor"])
        .ends(1)
        .says(&["ghi được", "mã băm", "fsync", "KHÔNG RÕ"]);
}

#[tokio::test]
async fn signatures_are_counted_and_the_hubs_own_events_listed() {
    let place = Place::with_directory();
    small_ledger(&place).await;
    place
        .run(&["document", "signatures"])
        .ends(0)
        .says(&["không ai (none)", "absent", "TỔNG", "chữ ký XML"]);
    let json = place.json(&["document", "signatures"], 0);
    assert_eq!(json["documents"], 1);
    assert_eq!(json["answered_by"]["none"], 1);
    assert_eq!(json["kinds"][0]["seal"]["state"], "absent");
    let later = ["document", "signatures", "--since", "2040-01-01"];
    place.run(&later).ends(0).says(&["Không có văn bản nào"]);
    assert_eq!(place.json(&later, 0)["documents"], 0);

    let added = [
        "system",
        "add",
        "so-cu",
        "--name",
        "Sở cũ",
        "--kind",
        "agency",
        "--no-account",
    ];
    place
        .run(&[&added[..], &["--xml-sha1", "allow"]].concat())
        .ends(0)
        .says(&["SHA-1", "allow"]);
    place
        .run(&["ledger", "events"])
        .ends(0)
        .says(&["system-changed", "so-cu: added, xml_sha1=allow"]);
    let refused = ["system", "add", "so-cu", "--no-account", "--xml-sha1", "refuse"];
    place.run(&refused).ends(0);
    let json = place.json(&["ledger", "events", "--kind", "system-changed"], 0);
    assert_eq!(json["events"][0]["change"], "completed, xml_sha1=refuse");
    assert_eq!(json["events"][1]["change"], "added, xml_sha1=allow");
    place
        .run(&["ledger", "events", "--kind", "trust-changed"])
        .ends(0)
        .says(&["Không có sự kiện nào"]);
}
