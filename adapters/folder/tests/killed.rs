//! Killed at every point: what the next start finds, and that one of everything comes of it.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod tray;

use std::fs;

use tray::{Tray, document, system};
use truc_adapter_sdk::model::MessageId;
use truc_adapter_sdk::testing::{FakeHub, Reply};
use truc_folder::AutoArrived;
use truc_folder::layout::{NAME, PACKET};

#[tokio::test]
async fn a_silent_hub_is_asked_again_under_the_same_key_after_a_restart() {
    let mut tray = Tray::new(AutoArrived::Report).await;
    tray.hub.reply(|_| Reply::Silence);
    tray.start();
    tray.drop_file("out/a.edxml", document("D1"));
    FakeHub::until("submitted", || tray.hub.submitted().len() == 1).await;
    tray.kill().await;
    assert_eq!(tray.sending(), 1);
    tray.hub.reply(|_| Reply::Accept);
    tray.start();
    tray.until("sent/a.edxml").await;
    tray.stop().await;
    assert_eq!(tray.hub.submissions().len(), 1);
    assert_eq!(tray.hub.submitted().len(), 2);
}

/// Each state that a kill can leave in `sending/`, and what the next start makes of it.
#[tokio::test]
async fn killed_anywhere_on_the_way_out_one_submission_comes_of_it() {
    let id: MessageId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let name = "name = \"a\"\nfile = \"a.edxml\"\norigin = \"out\"\n";
    for killed in ["hidden", "named", "moved"] {
        let mut tray = Tray::new(AutoArrived::Report).await;
        let folder = match killed {
            "hidden" => tray.path(&format!("sending/.{id}")),
            _ => tray.path(&format!("sending/{id}")),
        };
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join(NAME), name).unwrap();
        match killed {
            "moved" => fs::write(folder.join(PACKET), document("D1")).unwrap(),
            _ => fs::write(tray.path("out/a.edxml"), document("D1")).unwrap(),
        }
        tray.start();
        tray.until("sent/a.edxml").await;
        tray.stop().await;
        let submissions = tray.hub.submissions();
        assert_eq!(submissions.len(), 1, "{killed}");
        assert_eq!(submissions.contains_key(&id), killed == "moved", "{killed}");
        assert_eq!((tray.sending(), tray.files("receipts").len()), (0, 2), "{killed}");
    }
}

/// A report that was moved but not yet made into a packet.
#[tokio::test]
async fn killed_before_a_report_was_made_it_is_made_once() {
    let mut tray = Tray::running(AutoArrived::LeaveToOthers).await;
    let delivery = tray.hub.new_delivery();
    tray.hub
        .deliver(&system(), delivery, &["H60.2.3"], &document("D1"))
        .await;
    FakeHub::until("taken", || tray.hub.times_taken(delivery) == 1).await;
    tray.stop().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let folder = tray.path(&format!("sending/{id}"));
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join(NAME),
        "name = \"r\"\nfile = \"r.txt\"\norigin = \"status\"\n",
    )
    .unwrap();
    fs::write(
        folder.join("report.txt"),
        format!("delivery={delivery}\ncode=05\n"),
    )
    .unwrap();
    tray.start();
    tray.until("status/sent/r.txt").await;
    tray.stop().await;
    assert_eq!(tray.statuses().len(), 1);
}

/// A hand-over that was written down and not carried out, of a document whose message is still with the broker.
#[tokio::test]
async fn killed_while_a_document_is_handed_over_it_is_there_once() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let (packet, delivery) = (document("D1"), tray.hub.new_delivery());
    // Something stands where the packet belongs, so that the rename cannot be done: every attempt stops
    // after the side file, as a kill there would.
    let place = tray.path(&format!("in/{delivery}.edxml"));
    fs::create_dir(&place).unwrap();
    tray.hub
        .deliver(&system(), delivery, &["H60.2.3", "H60.2.4"], &packet)
        .await;
    tray.until(&format!("in/{delivery}.json")).await;
    tray.kill().await;
    assert_eq!((tray.hub.times_taken(delivery), tray.statuses().len()), (0, 0));
    let facts = tray.text(&format!("in/{delivery}.json"));

    fs::remove_dir(&place).unwrap();
    tray.start();
    FakeHub::until("taken", || tray.hub.times_taken(delivery) == 1).await;
    FakeHub::until("two statuses", || {
        tray.statuses().len() == 2 && tray.sending() == 0
    })
    .await;
    tray.stop().await;
    assert_eq!(fs::read(&place).unwrap(), packet);
    assert_eq!(
        tray.text(&format!("in/{delivery}.json")),
        facts,
        "written down once"
    );
    assert_eq!(tray.files("in").len(), 2);
    assert_eq!(fs::read_dir(tray.path("state/incoming")).unwrap().count(), 0);
}

/// An answer that was half filed.
#[tokio::test]
async fn killed_while_a_receipt_is_filed_it_is_filed_once() {
    let mut tray = Tray::running(AutoArrived::Report).await;
    let place = tray.path("sent/a.edxml");
    // After the name was chosen, so that it is this one.
    tray.hub.reply(|_| Reply::Silence);
    tray.drop_file("out/a.edxml", document("D1"));
    FakeHub::until("submitted", || tray.hub.submitted().len() == 1).await;
    fs::create_dir(&place).unwrap();
    tray.kill().await;
    tray.hub.reply(|_| Reply::Accept);
    tray.start();
    tray.until("receipts/a.txt").await;
    tray.kill().await;
    assert_eq!(tray.sending(), 1);

    fs::remove_dir(&place).unwrap();
    tray.start();
    FakeHub::until("filed", || place.is_file() && tray.sending() == 0).await;
    FakeHub::until_async("settled", async || tray.hub.inbox_depth(&system()).await == 0).await;
    tray.stop().await;
    assert_eq!(tray.files("receipts"), ["a.json", "a.txt"]);
    assert_eq!(tray.hub.submissions().len(), 1);
}
