//! The adapter as a whole, against the in-memory broker and a stand-in for the hub: files in, files out.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod tray;

use std::fs;

use tray::{Tray, document, system};
use truc_adapter_sdk::StatusReport;
use truc_adapter_sdk::envelope::{Limits, Packet, read};
use truc_adapter_sdk::model::wire::{Notice, NoticeCode, Text};
use truc_adapter_sdk::model::{DocumentUid, Place, Refusal, RefusalCode, StatusCode};
use truc_adapter_sdk::testing::{FakeHub, Reply};
use truc_folder::AutoArrived;

#[tokio::test]
async fn a_dropped_packet_is_sent_once_and_its_receipt_filed() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let packet = document("D1");
    tray.drop_file("out/cv 12.edxml", &packet);
    tray.until("sent/cv 12.edxml").await;
    assert_eq!(tray.json("receipts/cv 12.json")["document_id"], "D1");
    let text = tray.text("receipts/cv 12.txt");
    assert!(text.starts_with("TRỤC ĐÃ TIẾP NHẬN VĂN BẢN\n"), "{text}");
    assert!(text.contains("cv 12.edxml"), "{text}");
    FakeHub::until("cleared", || tray.sending() == 0).await;

    // The same name again is another submission under another name.
    tray.drop_file("out/cv 12.edxml", document("D2"));
    FakeHub::until("two sent", || tray.files("sent").len() == 2).await;
    assert_eq!(tray.files("receipts").len(), 4);
    tray.stop().await;
    let submissions = tray.hub.submissions();
    assert_eq!(submissions.len(), 2);
    assert!(
        submissions
            .values()
            .any(|submitted| submitted.bytes == packet && submitted.from == "H60.1")
    );
    assert_eq!(tray.files("state/incoming"), Vec::<String>::new());
    assert_eq!(fs::read_dir(tray.path("state/incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_refused_packet_comes_back_with_its_reason() {
    let mut tray = Tray::new(AutoArrived::Report).await;
    tray.hub.reply(|_| {
        let place = Place::header("truc-seal");
        Reply::Refuse(Refusal::new(
            RefusalCode::SealMissing,
            place,
            "a compact JWS",
            "no header",
        ))
    });
    tray.start();
    tray.drop_file("out/a.xml", document("D1"));
    tray.until("refused/a.edxml").await;
    assert_eq!(tray.json("refused/a.json")["code"], "seal-missing");
    let text = tray.text("refused/a.txt");
    for words in [
        "Gói tin chưa được ký",
        "is not signed",
        "header truc-seal",
        "a compact JWS",
        "no header",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    tray.stop().await;
    assert_eq!(tray.files("sent"), Vec::<String>::new());
    assert_eq!(tray.sending(), 0);
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_here() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    tray.drop_file("out/big.edxml", vec![b'x'; 100_001]);
    tray.drop_file("out/fits.edxml", vec![b'x'; 100_000]);
    tray.drop_file("out/note.pdf", "not a packet");
    tray.drop_file("out/half.edxml.part", "half");
    tray.until("refused/big.txt").await;
    assert_eq!(tray.json("refused/big.json")["code"], "body-too-large");
    let text = tray.text("refused/big.txt");
    assert!(text.contains("CHƯA GỬI LÊN TRỤC"), "{text}");
    // Unreadable here, so the hub is asked: it says why, and records it.
    tray.until("sent/fits.edxml").await;
    tray.stop().await;
    assert_eq!(tray.files("out"), ["half.edxml.part", "note.pdf"]);
}

#[tokio::test]
async fn a_document_is_stored_with_its_facts_and_reported_arrived() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let (packet, delivery) = (document("D1"), tray.hub.new_delivery());
    tray.hub
        .deliver(&system(), delivery, &["H60.2.3", "h60.2.4"], &packet)
        .await;
    FakeHub::until("taken", || tray.hub.times_taken(delivery) == 1).await;
    assert_eq!(
        fs::read(tray.path(&format!("in/{delivery}.edxml"))).unwrap(),
        packet
    );
    let facts = tray.json(&format!("in/{delivery}.json"));
    assert_eq!(facts["delivery"], delivery.to_string());
    assert_eq!(facts["content"]["document_id"], "D1");
    assert_eq!(facts["content"]["recipients"][1]["organ_name"], "Xã Minh Thanh");
    assert_eq!(facts["signature"], "unknown");

    FakeHub::until("two statuses", || tray.statuses().len() == 2).await;
    FakeHub::until("answered", || tray.sending() == 0).await;
    // Again, as after a lost settlement: neither the file nor the status a second time.
    fs::remove_file(tray.path(&format!("in/{delivery}.edxml"))).unwrap();
    tray.hub
        .deliver(&system(), delivery, &["H60.2.3", "h60.2.4"], &packet)
        .await;
    FakeHub::until("taken again", || tray.hub.times_taken(delivery) == 2).await;
    tray.stop().await;
    assert!(!tray.path(&format!("in/{delivery}.edxml")).exists());
    let statuses = tray.statuses();
    assert_eq!(statuses.len(), 2);
    let mut from: Vec<&str> = statuses
        .iter()
        .map(|status| status.from.organ_id.as_str())
        .collect();
    from.sort_unstable();
    assert_eq!(from, ["H60.2.3", "H60.2.4"]);
    for status in &statuses {
        assert_eq!(status.code, StatusCode::Arrived);
        assert_eq!(status.response_for.organ_id, "H60.1");
        assert_eq!(status.response_for.document_id.as_deref(), Some("D1"));
    }
}

#[tokio::test]
async fn a_status_is_reported_by_a_small_file() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    let (one, two) = (tray.hub.new_delivery(), tray.hub.new_delivery());
    tray.hub
        .deliver(&system(), one, &["H60.2.3"], &document("D1"))
        .await;
    tray.hub
        .deliver(&system(), two, &["H60.2.3", "H60.2.4"], &document("D2"))
        .await;
    tray.until(&format!("in/{one}.edxml")).await;
    tray.until(&format!("in/{two}.edxml")).await;
    // Programs take packets out of in/ and report later.
    fs::remove_file(tray.path(&format!("in/{one}.edxml"))).unwrap();
    fs::remove_file(tray.path(&format!("in/{one}.json"))).unwrap();

    tray.drop_file("status/one.txt", format!("delivery = \"{one}\"\ncode = \"03\"\n"));
    tray.until("status/sent/one.txt").await;
    tray.drop_file(
        "status/two",
        format!("Delivery: in/{two}.json\nCODE: 2\nreason: Gửi nhầm nơi nhận\nagency: h60.2.4\n"),
    );
    tray.until("status/sent/two.txt").await;
    tray.stop().await;
    assert_eq!(tray.json("status/sent/one.json")["status"], "03");
    let statuses = tray.statuses();
    assert_eq!(statuses.len(), 2, "no 01 by itself");
    let rejected = statuses
        .iter()
        .find(|status| status.code == StatusCode::Rejected)
        .unwrap();
    assert_eq!(rejected.from.organ_id, "H60.2.4");
    assert_eq!(rejected.from.organ_name.as_deref(), Some("Xã Minh Thanh"));
    assert_eq!(rejected.description.as_deref(), Some("Gửi nhầm nơi nhận"));
    assert_eq!(rejected.response_for.document_id.as_deref(), Some("D2"));
    assert_eq!(tray.sending(), 0);
}

#[tokio::test]
async fn a_take_back_is_reported_on_what_was_sent() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    tray.drop_file("out/cv.edxml", document("D1"));
    tray.until("sent/cv.edxml").await;
    let report = "sent = \"cv.edxml\"\nto = \"H60.2.4\"\ncode = 13\nreason = \"Ban hành nhầm\"\n";
    tray.drop_file("status/back.toml", report);
    tray.until("status/sent/back.txt").await;
    tray.stop().await;
    let statuses = tray.statuses();
    assert_eq!(statuses[0].from.organ_id, "H60.1");
    assert_eq!(statuses[0].response_for.organ_id, "H60.2.4");
}

#[tokio::test]
async fn a_bad_report_is_explained() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    let known = tray.hub.new_delivery();
    tray.hub
        .deliver(&system(), known, &["H60.2.3", "H60.2.4"], &document("D1"))
        .await;
    tray.until(&format!("in/{known}.edxml")).await;
    let unknown = tray.hub.new_delivery();
    let long = format!("reason = \"{}\"", "x".repeat(70_000));
    for (name, report, code, words) in [
        (
            "empty-words",
            "please accept it".to_owned(),
            "envelope-bad-value",
            "key = value",
        ),
        (
            "binary",
            "\u{0}\u{1}=".to_owned(),
            "envelope-bad-value",
            "delivery, code, reason",
        ),
        (
            "no-code",
            format!("delivery = \"{known}\""),
            "status-code-unknown",
            "code",
        ),
        (
            "odd-code",
            format!("delivery = \"{known}\"\ncode = \"07\""),
            "status-code-unknown",
            "07",
        ),
        (
            "no-reason",
            format!("delivery = \"{known}\"\ncode = \"02\""),
            "status-reason-missing",
            "reason",
        ),
        (
            "no-delivery",
            "code = \"03\"".to_owned(),
            "envelope-missing-element",
            "in/",
        ),
        (
            "no-uuid",
            "delivery = \"12\"\ncode = \"03\"".to_owned(),
            "envelope-bad-value",
            "delivery",
        ),
        (
            "stranger",
            format!("delivery = \"{known}\"\ncode = \"03\"\nagency = \"H60.9\""),
            "status-stranger",
            "H60.2.3, H60.2.4",
        ),
        (
            "which",
            format!("delivery = \"{known}\"\ncode = \"03\""),
            "envelope-missing-element",
            "H60.2.3, H60.2.4",
        ),
        (
            "unknown",
            format!("delivery = \"{unknown}\"\ncode = \"03\""),
            "status-unknown-document",
            "received here",
        ),
        (
            "key",
            format!("delivery = \"{known}\"\ncode = \"03\"\ncolour = 1"),
            "envelope-bad-value",
            "only the keys",
        ),
        (
            "no-packet",
            "sent = \"x\"\nto = \"H60.2.3\"\ncode = \"13\"\nreason = \"r\"".to_owned(),
            "status-unknown-document",
            "sent/",
        ),
        ("long", long, "envelope-bad-value", "65536"),
    ] {
        tray.drop_file(&format!("status/{name}.txt"), report);
        tray.until(&format!("status/refused/{name}.txt")).await;
        let json = tray.json(&format!("status/refused/{name}.json"));
        let text = tray.text(&format!("status/refused/{name}.reason.txt"));
        assert_eq!(json["code"], code, "{name}: {text}");
        assert!(text.contains(words) && text.contains("Lý do"), "{name}: {text}");
    }
    tray.stop().await;
    assert_eq!((tray.statuses().len(), tray.sending()), (0, 0));
}

#[tokio::test]
async fn statuses_and_notices_come_back_as_files() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let packet = document("D1");
    let Packet::Document(parsed) = read(&packet, &Limits::default()).unwrap().packet else {
        panic!("not a document");
    };
    let at = "2026-03-03T01:00:00Z".parse().unwrap();
    let status = StatusReport::on(&parsed, parsed.to[0].clone(), StatusCode::Rejected, at)
        .with_description(Some("Gửi nhầm".to_owned()))
        .packet();
    let delivery = tray.hub.new_delivery();
    tray.hub
        .deliver_status(&system(), delivery, StatusCode::Rejected, &status)
        .await;
    tray.until(&format!("status-in/{delivery}.edxml")).await;
    let facts = tray.json(&format!("status-in/{delivery}.json"));
    assert_eq!(facts["code"], "02");
    assert_eq!(facts["label"], "Từ chối tiếp nhận");
    assert_eq!(facts["from"], "H60.2.3");
    assert_eq!(facts["document_id"], "D1");
    assert_eq!(facts["description"], "Gửi nhầm");
    assert_eq!(facts["reported_at"], "2026-03-03T08:00:00+07:00");

    let notice = Notice {
        code: NoticeCode::RecipientUndeliverable,
        document: DocumentUid::new(delivery.uuid()),
        document_id: "D1".to_owned(),
        recipient: Some("H99".to_owned()),
        cause: "unknown-code".to_owned(),
        message: Text {
            vi: "Không có mã này.".to_owned(),
            en: "No such code.".to_owned(),
        },
        tally: None,
        event: 42,
        at,
    };
    tray.hub.send_notice(&system(), &notice).await;
    FakeHub::until("a notice", || tray.files("notices").len() == 2).await;
    let name = tray.files("notices").remove(1);
    assert!(name.starts_with("0000000042-recipient-undeliverable-"), "{name}");
    let text = tray.text(&format!("notices/{name}"));
    assert!(
        text.contains("Không có mã này.") && text.contains("H99"),
        "{text}"
    );
    // The same one again is the same one.
    tray.hub.send_notice(&system(), &notice).await;
    FakeHub::until_async("settled", async || tray.hub.inbox_depth(&system()).await == 0).await;
    tray.stop().await;
    assert_eq!(tray.files("notices").len(), 2);
}

#[tokio::test]
async fn an_answer_to_nothing_is_kept() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    tray.drop_file("out/a.edxml", document("D1"));
    tray.until("sent/a.edxml").await;
    let stray = {
        let running = tray.running.as_ref().unwrap();
        let submission =
            truc_adapter_sdk::Submission::of_packet(running.client.new_message_id(), document("D2").into())
                .unwrap();
        running.client.submit(&submission).await.unwrap();
        submission.message_id
    };
    tray.until(&format!("receipts/unmatched-{stray}.json")).await;
    tray.stop().await;
}

#[tokio::test]
async fn hidden_and_unfinished_files_stay() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    for name in [".hidden.edxml", "a.edxml.tmp", "b.part"] {
        tray.drop_file(&format!("out/{name}"), "x");
    }
    fs::create_dir(tray.path("out/folder.edxml")).unwrap();
    tray.drop_file("out/z.edxml", document("D1"));
    tray.until("sent/z.edxml").await;
    tray.stop().await;
    assert_eq!(tray.files("out"), [".hidden.edxml", "a.edxml.tmp", "b.part"]);
    assert!(tray.path("out/folder.edxml").is_dir());
}
