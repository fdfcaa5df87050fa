//! What is kept, what goes, and that it stays provable.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use truc_ledger::{ClaimRequest, Forwarded, HubId, Ledger, TakenReport};
use truc_model::wire::Taken;
use truc_model::{Clock, ManualClock, SystemClock, SystemId};

use crate::documents::submission;
use crate::place::Place;

fn days_ago(days: i64) -> Timestamp {
    SystemClock
        .now()
        .checked_sub(SignedDuration::from_hours(24 * days))
        .unwrap()
}

/// Takes everything that goes out, for both systems of the sample document.
async fn take_all(ledger: &Ledger) {
    let claimed = ledger
        .claim(ClaimRequest::usual(HubId::new("hub-1")))
        .await
        .unwrap();
    let confirms = claimed.iter().map(|message| Forwarded {
        delivery: message.delivery,
        at: ledger.now(),
        attempt: message.attempt,
    });
    ledger.forwarded(confirms.collect()).await.unwrap();
    for system in ["ubnd-tinh", "xa-tuyen-quang"] {
        let system = SystemId::new(system).unwrap();
        let mine = claimed
            .iter()
            .filter(|m| m.system == system && m.outgoing.awaits_taken());
        let taken = Taken {
            taken: mine.map(|m| m.delivery).collect(),
            ..Taken::default()
        };
        let report = TakenReport {
            system,
            message_id: None,
            taken,
        };
        ledger.taken(report).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_old_enough_goes_and_stays_provable() {
    let place = Place::with_directory();
    // One finished 120 days ago, one of the same age that nobody took.
    let clock = Arc::new(ManualClock::at(days_ago(120)));
    let ledger = place.ledger_at(clock).await;
    let old = ledger.submit_document(submission()).await.unwrap();
    let uid = old.receipt().unwrap().document().to_string();
    take_all(&ledger).await;
    let mut waiting = submission();
    waiting.key.message_id = "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap();
    waiting.identity.document_id.push('x');
    let mut body = waiting.body.here().expect("the bytes are here").to_vec();
    body.push(b'\n');
    waiting.sha256 = truc_model::Sha256::of(&body);
    waiting.size = body.len() as u64;
    waiting.body = truc_ledger::Body::Here(Arc::from(body));
    ledger.submit_document(waiting).await.unwrap();
    drop(ledger);

    place.run(&["retention", "run", "--dry-run"]).ends(0).says(&[
        "Văn bản có tệp đính kèm",
        "Chưa xong",
        "Đã xong",
        "90–364 ngày",
        "Chưa xóa gì (chỉ xem trước).",
    ]);
    let json = place.json(&["retention", "run", "--dry-run"], 0);
    assert_eq!(
        (&json["total"]["count"], &json["total"]["due"]),
        (&2.into(), &1.into())
    );
    assert_eq!(json["deleted"], serde_json::Value::Null);
    // Nobody was asked: nothing goes.
    place
        .run(&["retention", "run"])
        .ends(1)
        .says(&["Chưa xóa gì.", "--yes"]);
    place.run(&["document", "show", &uid]).ends(0);
    assert_eq!(
        place.json(&["document", "show", &uid], 0)["bytes_deleted"],
        serde_json::Value::Null
    );

    let json = place.json(&["retention", "run", "--yes", "--as", "truc-ban"], 0);
    assert_eq!(json["deleted"]["count"], 1);
    let event = json["deleted"]["events"][0].as_u64().unwrap();
    let shown = place.json(&["document", "show", &uid], 0);
    assert_eq!(shown["bytes_deleted"]["event"], event);
    assert_eq!(shown["bytes_deleted"]["cause"], "retention");
    let said = format!("sự kiện {event}, hết thời hạn lưu");
    place
        .run(&["document", "show", &uid])
        .ends(0)
        .says(&["đã xóa lúc", &said, "SHA-256"]);
    place
        .run(&["retention", "run", "--yes"])
        .ends(0)
        .says(&["Không có gì đến hạn xóa."]);
    place
        .run(&["ledger", "verify", "--bodies"])
        .ends(0)
        .says(&["NGUYÊN VẸN"]);
    assert_eq!(place.json(&["ledger", "verify", "--bodies"], 0)["bodies"], 1);
}

#[tokio::test]
async fn the_settings_decide() {
    let place = Place::with_directory();
    let ledger = place.ledger_at(Arc::new(ManualClock::at(days_ago(30)))).await;
    ledger.submit_document(submission()).await.unwrap();
    take_all(&ledger).await;
    drop(ledger);
    let due = |place: &Place, days: u32| {
        let config = std::fs::read_to_string(place.path("truc.toml")).unwrap();
        let path = place.write(
            "other.toml",
            format!("{config}[retention]\nattachments_days = {days}\n"),
        );
        place.json(&["retention", "run", "--dry-run", "--config", &path], 0)["total"]["due"].clone()
    };
    assert_eq!(due(&place, 31), 0);
    assert_eq!(due(&place, 30), 1);
    let bad = place.write("bad.toml", "[retention]\nattachments_days = 0\n");
    place
        .run(&["retention", "run", "--config", &bad])
        .troubles(&["retention.attachments_days"]);
}
