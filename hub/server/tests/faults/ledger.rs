//! A ledger that cannot commit for minutes, and then can.

use std::collections::BTreeSet;
use std::time::Duration;

use truc_ledger::EventKind;
use truc_model::wire::Intake;

use crate::twin::{RECIPIENT, SENDER, Twin, letter, until};

const DOCUMENTS: u32 = 30;

#[tokio::test(start_paused = true)]
async fn a_disk_that_is_full_for_minutes_refuses_and_loses_nothing() {
    let twin = Twin::start().await;
    let (mut sender, mut recipient) = (twin.consumer(SENDER).await, twin.consumer(RECIPIENT).await);
    twin.disk.set_full(true);
    let mut sent = BTreeSet::new();
    for number in 0..DOCUMENTS {
        sent.insert(twin.letter(number).await.to_string());
    }
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(twin.runs());
    assert_eq!(twin.sound().await.total.accepted, 0);
    twin.disk.set_full(false);

    let mut receipts = BTreeSet::new();
    let mut delivered = BTreeSet::new();
    for _ in 0..DOCUMENTS {
        let receipt = sender.next().await.unwrap();
        assert_eq!(receipt.properties.kind.as_deref(), Some("receipt"));
        receipts.insert(receipt.properties.correlation_id.clone().unwrap());
        receipt.ack().await.unwrap();
        let delivery = recipient.next().await.unwrap();
        delivered.insert(delivery.properties.message_id.clone().unwrap());
        twin.say_taken(&delivery).await;
        delivery.ack().await.unwrap();
    }
    assert_eq!(receipts, sent);
    assert_eq!(delivered.len(), 30);
    until(async || twin.sound().await.total.taken == u64::from(DOCUMENTS)).await;
    assert_eq!(twin.sound().await.total.documents, u64::from(DOCUMENTS));
    twin.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_takes_nothing_is_no_messages_fault() {
    let twin = Twin::start().await;
    let mut sender = twin.consumer(SENDER).await;
    twin.disk.set_broken(true);
    twin.letter(1).await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(twin.broker.peek("truc.dead.letters").is_empty());
    twin.disk.set_broken(false);
    let receipt = sender.next().await.unwrap();
    assert_eq!(receipt.properties.kind.as_deref(), Some("receipt"));
    twin.end().await;
}

#[tokio::test(start_paused = true)]
async fn while_the_ledger_stalls_reconnects_do_not_pile_messages_up_in_memory() {
    let mut config = truc_server::config::Config::default();
    config.broker.prefetch_document = 4;
    let twin = Twin::with(config).await;
    let mut sender = twin.consumer(SENDER).await;
    twin.disk.set_full(true);
    for number in 0..12 {
        twin.letter(number).await;
    }
    for waiting in [8, 12, 12] {
        tokio::time::sleep(Duration::from_secs(5)).await;
        // The broker took back the four in hand when the connection went; no other four may join them.
        let queue = twin.broker.peek(Intake::Document.queue());
        assert_eq!(queue.len(), waiting);
        twin.broker.go_down("test");
        twin.broker.come_up();
    }
    twin.disk.set_full(false);
    let mut receipts = BTreeSet::new();
    while receipts.len() < 12 {
        let receipt = sender.next().await.unwrap();
        receipts.insert(receipt.properties.correlation_id.clone().unwrap());
        receipt.ack().await.unwrap();
    }
    until(async || twin.broker.peek(Intake::Document.queue()).is_empty()).await;
    assert_eq!(twin.sound().await.total.documents, 12);
    twin.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_the_ledger_can_never_take_goes_to_the_dead_letters_and_blocks_nobody() {
    let twin = Twin::start().await;
    let mut sender = twin.consumer(SENDER).await;
    twin.disk.poison("99");
    twin.letter(99).await;
    let good = twin.letter(1).await;
    let receipt = sender.next().await.unwrap();
    assert_eq!(
        receipt.properties.correlation_id,
        Some(good.to_string()),
        "the other one passes"
    );
    until(async || twin.broker.peek("truc.dead.letters").len() == 1).await;
    assert!(twin.kinds().await.contains(&EventKind::DeadLettered));
    let dead = &twin.broker.peek("truc.dead.letters")[0];
    assert_eq!(dead.body, letter(99), "the evidence is whole");
    assert_eq!(twin.sound().await.total.documents, 1);
    twin.end().await;
}
