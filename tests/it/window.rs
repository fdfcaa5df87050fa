//! An inbox holds a window, not the backlog; the urgent overtake.

use truc_model::wire::{Intake, inbox};
use truc_model::{Clock, SystemClock, Urgency};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, now, until};
use truc_tests::{all_taken, check, fresh_id, play, set};
use truc_transport::Broker;

fn packet(number: u32, urgency: Urgency) -> Vec<u8> {
    let (from, to) = (
        ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        [("000.00.34.H60", "UBND huyện Hàm Yên")],
    );
    Draft {
        urgency,
        ..Draft::letter(from, &to, number, SystemClock.today())
    }
    .packet()
}

#[test]
fn an_unread_inbox_holds_its_window_and_the_urgent_overtake() {
    play(async {
        let set = set("window", "[delivery]\nwindow = 3\nurgent_extra = 2\n").await?;
        let stage = &set.stage;
        let _hub = stage.start_hub(None)?;
        let (sender, recipient) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
        let mut client = RawClient::connect(stage, sender).await?;
        for number in 0..10 {
            let (kind, answer) = client
                .submit(
                    Intake::Document,
                    fresh_id(),
                    &packet(number, Urgency::Normal),
                    SealChoice::Right,
                    now(),
                )
                .await?;
            check(kind == "receipt", || answer.to_string())?;
        }
        let broker = stage.connect(recipient).await?;
        let ready = async |expected: u32| {
            until(&format!("{expected} messages in the unread inbox"), async || {
                let depth = broker.queue_depth(&inbox(&recipient.id)).await.ok()?;
                (depth.ready == expected).then_some(())
            })
            .await
        };
        ready(3).await?;
        for number in 10..14 {
            let (kind, answer) = client
                .submit(
                    Intake::Document,
                    fresh_id(),
                    &packet(number, Urgency::Express),
                    SealChoice::Right,
                    now(),
                )
                .await?;
            check(kind == "receipt", || answer.to_string())?;
        }
        // Two urgent ones go beyond the window; the other two wait, ahead of every normal one.
        ready(5).await?;
        let ledger = stage.ledger().await?;
        let counts = ledger.inbox_counts().await.doing("counting")?;
        let count = counts
            .iter()
            .find(|count| count.system == recipient.id)
            .ok_or_else(|| StageError("no count for the inbox".to_owned()))?;
        check(count.forwarded == 5 && count.scheduled == 9, || {
            format!("{count:?}")
        })?;

        // Read them one by one, saying taken for each: the urgent come first, then the rest in order.
        let mut reader = RawClient::connect(stage, recipient).await?;
        let mut priorities = Vec::new();
        for _ in 0..14 {
            let delivery = reader.next().await?;
            priorities.push(delivery.properties.priority.unwrap_or_default());
            let id = delivery.properties.message_id.clone().unwrap_or_default();
            reader
                .publish(
                    Intake::Taken,
                    fresh_id(),
                    format!("{{\"taken\":[\"{id}\"]}}").as_bytes(),
                    SealChoice::None,
                    now(),
                )
                .await
                .doing("saying taken")?;
            delivery.ack().await.doing("settling")?;
        }
        println!("priorities in the order they came: {priorities:?}");
        check(priorities[..2] == [3, 3], || {
            format!("the urgent did not come first: {priorities:?}")
        })?;
        check(priorities.iter().filter(|p| **p == 3).count() == 4, || {
            format!("{priorities:?}")
        })?;
        all_taken(&ledger).await?;
        client.close().await;
        reader.close().await;
        broker.close().await;
        Ok(())
    });
}
