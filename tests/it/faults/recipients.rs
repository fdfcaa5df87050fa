//! Recipients in other languages that forget: to say taken, to settle, or both.

use truc_ledger::EventKind;
use truc_model::wire::{Intake, inbox};
use truc_model::{DeliveryUid, DocumentUid};
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, now, until};
use truc_tests::{all_taken, check, fresh_id, play, set};
use truc_transport::Broker;

use super::{RECIPIENT, SENDER, packet};

#[test]
fn a_recipient_that_settles_without_saying_taken_is_told_of_and_gets_it_again() {
    play(async {
        // Every delivery counts as late at once.
        let set = set("faults-forgets", "[delivery]\nnot_taken_after_h = 0\n").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let ledger = stage.ledger().await?;
        let _hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, sender).await?;
        let mut reader = RawClient::connect(stage, recipient).await?;
        let (kind, receipt) = desk
            .submit(Intake::Document, fresh_id(), &packet(1), SealChoice::Right, now())
            .await?;
        check(kind == "receipt", || receipt.to_string())?;
        let document: DocumentUid = receipt["document"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .doing("reading the receipt")?;

        let delivery = reader.next().await?;
        let id = delivery.properties.message_id.clone().unwrap_or_default();
        delivery.ack().await.doing("settling")?;
        let notice = loop {
            let message = desk.next().await?;
            let json: serde_json::Value = serde_json::from_slice(&message.body).unwrap_or_default();
            message.ack().await.doing("settling")?;
            if json["code"] == "not-taken" {
                break json;
            }
        };
        check(notice["document"] == document.to_string(), || notice.to_string())?;
        let trace = ledger.trace(document).await.doing("reading the trace")?;
        check(
            trace.iter().any(|row| row.kind == EventKind::DeliveryNotTaken)
                && trace.iter().all(|row| row.kind != EventKind::DeliveryTaken),
            || format!("{trace:?}"),
        )?;

        // An operator sends it again: the same delivery, and this time it is taken.
        let status = std::process::Command::new(truc_tests::programs()?.join("truc"))
            .args([
                "document",
                "resend",
                &document.to_string(),
                "--reason",
                "test",
                "--yes",
                "--config",
            ])
            .arg(&stage.config_file)
            .status()
            .doing("running truc document resend")?;
        check(status.success(), || status.to_string())?;
        let again = reader.next().await?;
        check(again.properties.message_id.as_deref() == Some(&id), || {
            format!("{:?}", again.properties.message_id)
        })?;
        say_taken(&reader, &id).await?;
        again.ack().await.doing("settling")?;
        let uid: DeliveryUid = id.parse().doing("reading the delivery's id")?;
        until("it to be taken", async || {
            let trace = ledger.trace(document).await.ok()?;
            trace
                .iter()
                .any(|row| row.kind == EventKind::DeliveryTaken)
                .then_some(())
        })
        .await?;
        println!("delivery {uid}: forgotten, told of, sent again, taken");
        desk.close().await;
        reader.close().await;
        Ok(())
    });
}

async fn say_taken(reader: &RawClient, id: &str) -> Result<(), StageError> {
    let body = format!("{{\"taken\":[\"{id}\"]}}");
    reader
        .publish(
            Intake::Taken,
            fresh_id(),
            body.as_bytes(),
            SealChoice::None,
            now(),
        )
        .await
        .doing("saying taken")
}

#[test]
fn a_recipient_that_never_settles_harms_only_itself() {
    play(async {
        const DOCUMENTS: u32 = 12;
        const WINDOW: u32 = 4;
        let config = format!("[delivery]\nwindow = {WINDOW}\nurgent_extra = 0\n");
        let set = set("faults-never", &config).await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let ledger = stage.ledger().await?;
        let _hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, sender).await?;
        for number in 0..DOCUMENTS {
            let (kind, answer) = desk
                .submit(
                    Intake::Document,
                    fresh_id(),
                    &packet(number),
                    SealChoice::Right,
                    now(),
                )
                .await?;
            check(kind == "receipt", || answer.to_string())?;
        }
        // It reads its window and neither settles nor says a word; then it is gone.
        for _ in 0..2 {
            let mut reader = RawClient::connect(stage, recipient).await?;
            let mut unsettled = Vec::new();
            for _ in 0..WINDOW {
                unsettled.push(reader.next().await?);
            }
            reader.close().await;
        }
        let broker = stage.connect(recipient).await?;
        until("the window back in the inbox", async || {
            let depth = broker.queue_depth(&inbox(&recipient.id)).await.ok()?;
            (depth.ready == WINDOW).then_some(())
        })
        .await?;
        broker.close().await;
        // One that says taken and never settles: it gets everything once, and the hub is done with it.
        let mut reader = RawClient::connect(stage, recipient).await?;
        let mut seen = std::collections::BTreeSet::new();
        let mut unsettled = Vec::new();
        while seen.len() < DOCUMENTS as usize {
            let delivery = reader.next().await?;
            let id = delivery.properties.message_id.clone().unwrap_or_default();
            say_taken(&reader, &id).await?;
            check(seen.insert(id), || "the same delivery twice".to_owned())?;
            unsettled.push(delivery);
        }
        all_taken(&ledger).await?;
        drop(unsettled);
        reader.close().await;
        // Started again it gets all of them again, says taken again, and nothing comes of it.
        let events = ledger.head().await.doing("reading the head")?.seq;
        let mut reader = RawClient::connect(stage, recipient).await?;
        for _ in 0..DOCUMENTS {
            let delivery = reader.next().await?;
            let id = delivery.properties.message_id.clone().unwrap_or_default();
            check(seen.contains(&id), || format!("{id} is new"))?;
            say_taken(&reader, &id).await?;
            delivery.ack().await.doing("settling")?;
        }
        let report = ledger
            .verify(&truc_ledger::VerifyOptions::default())
            .await
            .doing("checking the ledger")?;
        check(report.is_sound(), || format!("{report:?}"))?;
        let head = ledger.head().await.doing("reading the head")?.seq;
        check(head == events, || format!("{} events more", head - events))?;
        desk.close().await;
        reader.close().await;
        Ok(())
    });
}
