//! Recalls, take-backs, updates and replacements: what a clerk finds in the folder, and what never gets there.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod tray;

use std::fs;

use tray::{TO, Tray, document, packet, recall, system};
use truc_adapter_sdk::StatusReport;
use truc_adapter_sdk::envelope::{Limits, Packet, ReceiverChange, Replacement, Update, read};
use truc_adapter_sdk::model::wire::{Outgoing, header};
use truc_adapter_sdk::model::{DeliveryUid, Operation, StatusCode};
use truc_adapter_sdk::testing::FakeHub;
use truc_folder::AutoArrived;

fn take_back() -> Vec<u8> {
    let reading = read(&document("D1"), &Limits::default()).unwrap();
    let Packet::Document(document) = reading.packet else {
        panic!("not a document");
    };
    let at = "2026-03-04T01:00:00Z".parse().unwrap();
    StatusReport::take_back(&document, TO[0], "Ban hành nhầm", at).packet()
}

async fn deliver(tray: &Tray, packet: &[u8]) -> DeliveryUid {
    let delivery = tray.hub.new_delivery();
    tray.hub.deliver(&system(), delivery, &TO, packet).await;
    tray.until(&format!("in/{delivery}.edxml")).await;
    delivery
}

#[tokio::test]
async fn a_recall_of_what_is_here_says_what_to_do_and_is_answered() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let document = deliver(&tray, &document("D1")).await;
    let order = tray.hub.new_delivery();
    let message = tray
        .hub
        .delivery(Outgoing::Document, &system(), order, &TO, &recall());
    tray.hub.order(message, &[document], &[]).await;
    FakeHub::until("taken", || tray.hub.times_taken(order) == 1).await;
    assert_eq!(
        fs::read(tray.path(&format!("in/{order}.edxml"))).unwrap(),
        recall()
    );
    let facts = tray.json(&format!("in/{order}.json"));
    assert_eq!(facts["withdraws"][0], document.to_string());
    assert_eq!(facts["content"]["speaks_of"][0], "D1");
    let text = tray.text(&format!("in/{order}.txt"));
    for words in [
        "YÊU CẦU THU HỒI VĂN BẢN",
        "A document is recalled",
        "Xã Tân Trào, Xã Minh Thanh",
        "Ban hành nhầm",
        "Hủy văn bản",
        "Destroy the document",
        &format!("in/{document}.edxml"),
        &format!("delivery = \"{order}\""),
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    // As the page says.
    tray.drop_file(
        "status/done.txt",
        format!("delivery = \"{order}\"\nagency = \"{}\"\ncode = \"15\"\n", TO[0]),
    );
    tray.until("status/sent/done.txt").await;
    tray.stop().await;
    assert_eq!(tray.hub.times_withdrawn(document, &[]), 0, "it is here");
    let statuses = tray.statuses();
    let codes: Vec<StatusCode> = statuses.iter().map(|status| status.code).collect();
    let arrived = codes.iter().filter(|code| **code == StatusCode::Arrived).count();
    assert_eq!(arrived, 2, "of the document; the recall itself is no document");
    let answer = statuses
        .iter()
        .find(|status| status.code == StatusCode::ChangeAgreed)
        .unwrap();
    assert_eq!(answer.response_for.document_id.as_deref(), Some("R1"));
}

#[tokio::test]
async fn what_is_withdrawn_in_time_never_gets_into_the_folder() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    // It runs, and has cleared away what an earlier run could have left.
    deliver(&tray, &document("D0")).await;
    let (document_id, order) = (tray.hub.new_delivery(), tray.hub.new_delivery());
    // Something stands where the hand-over is to be written down: the document cannot be stored.
    let blocker = tray.path(&format!("state/incoming/.{document_id}"));
    fs::write(&blocker, "x").unwrap();
    tray.hub
        .deliver(&system(), document_id, &TO, &document("D1"))
        .await;
    FakeHub::until_async("held", async || tray.hub.inbox_depth(&system()).await == 0).await;
    let message = tray
        .hub
        .delivery(Outgoing::Document, &system(), order, &TO, &recall());
    tray.hub.order(message, &[document_id], &[]).await;
    FakeHub::until_async("both held", async || tray.hub.inbox_depth(&system()).await == 0).await;
    fs::remove_file(&blocker).unwrap();
    // Whichever is tried first now, one of two things is true, and only one is said.
    FakeHub::until("the order is done", || tray.hub.times_taken(order) == 1).await;
    tray.stop().await;
    let stored = tray.hub.times_taken(document_id) > 0;
    let withdrawn = tray.hub.times_withdrawn(document_id, &[]) > 0;
    assert!(stored != withdrawn, "stored {stored}, withdrawn {withdrawn}");
    let there = tray.path(&format!("in/{document_id}.edxml")).exists();
    assert_eq!(there, stored);
    assert_eq!(tray.path(&format!("in/{order}.edxml")).exists(), stored);
    assert_eq!(fs::read_dir(tray.path("state/incoming")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_take_back_says_which_file_it_means() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    let document = deliver(&tray, &document("D1")).await;
    let order = tray.hub.new_delivery();
    let mut message = tray
        .hub
        .delivery(Outgoing::Status, &system(), order, &[TO[0]], &take_back());
    message.properties = message.properties.with(header::STATUS, "13");
    tray.hub.order(message, &[document], &[TO[0]]).await;
    FakeHub::until("taken", || tray.hub.times_taken(order) == 1).await;
    let facts = tray.json(&format!("status-in/{order}.json"));
    assert_eq!(facts["withdraws"][0], document.to_string());
    let text = tray.text(&format!("status-in/{order}.txt"));
    for words in [
        "NƠI GỬI XIN LẤY LẠI VĂN BẢN",
        "Ban hành nhầm",
        &format!("in/{document}.edxml"),
        &format!("delivery = \"{document}\""),
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    tray.drop_file(
        "status/no.txt",
        format!(
            "delivery = \"{document}\"\nagency = \"{}\"\ncode = \"16\"\nreason = \"Đã chuyển đi\"\n",
            TO[0]
        ),
    );
    tray.until("status/sent/no.txt").await;
    tray.stop().await;
    let statuses = tray.statuses();
    assert_eq!(statuses[0].code, StatusCode::ChangeRefused);
    assert_eq!(statuses[0].response_for.document_id.as_deref(), Some("D1"));
}

#[tokio::test]
async fn an_update_is_new_only_for_those_it_adds() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let update = packet("U1", |packet| {
        packet.business.operation = Operation::Update;
        packet.business.update = Some(Update {
            receivers: vec![
                ReceiverChange::Added(TO[1].to_owned()),
                ReceiverChange::Removed("H60.2.9".to_owned()),
            ],
            ..Update::default()
        });
    });
    let delivery = deliver(&tray, &update).await;
    assert_eq!(
        tray.json(&format!("in/{delivery}.json"))["content"]["adds"][0],
        TO[1]
    );
    FakeHub::until("arrived", || tray.statuses().len() == 1 && tray.sending() == 0).await;
    let replacement = packet("N1", |packet| {
        packet.business.operation = Operation::Replacement;
        packet.business.replacements = vec![Replacement {
            document_id: "D1".to_owned(),
            organ_ids: Vec::new(),
        }];
    });
    let new = deliver(&tray, &replacement).await;
    FakeHub::until("arrived for both", || {
        tray.statuses().len() == 3 && tray.sending() == 0
    })
    .await;
    tray.stop().await;
    let first = tray
        .statuses()
        .into_iter()
        .filter(|status| status.response_for.document_id.as_deref() == Some("U1"))
        .map(|status| status.from.organ_id)
        .collect::<Vec<_>>();
    assert_eq!(first, [TO[1]]);
    assert!(
        tray.text(&format!("in/{delivery}.txt"))
            .starts_with("VĂN BẢN ĐƯỢC CẬP NHẬT")
    );
    let page = tray.text(&format!("in/{new}.txt"));
    assert!(page.starts_with("VĂN BẢN THAY THẾ"), "{page}");
    assert!(
        page.contains("D1") && !page.contains("code = \"15\""),
        "a replacement is not answered\n{page}"
    );
}
