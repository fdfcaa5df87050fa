//! A broker that is late, loses its queues, or is not there when the hub is to stop.

use std::time::Duration;

use truc_ledger::EventKind;
use truc_model::SystemId;
use truc_model::wire::{Intake, inbox};
use truc_server::app::STOP_PATIENCE;
use truc_server::queues::DECLARE_EVERY;

use crate::twin::{RECIPIENT, SENDER, Twin, until};

#[tokio::test(start_paused = true)]
async fn a_hub_waits_for_a_broker_that_is_late() {
    let twin = Twin::without_broker().await;
    tokio::time::sleep(Duration::from_mins(10)).await;
    assert!(twin.runs());
    twin.broker.come_up();
    let (mut sender, mut recipient) = (twin.consumer(SENDER).await, twin.consumer(RECIPIENT).await);
    twin.letter(1).await;
    assert!(sender.next().await.is_some());
    assert!(recipient.next().await.is_some());
    twin.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_waits_for_the_broker_can_be_stopped() {
    let twin = Twin::without_broker().await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    twin.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn queues_that_vanish_are_declared_again() {
    let twin = Twin::start().await;
    let _sender = twin.consumer(SENDER).await;
    let system = SystemId::new(RECIPIENT).unwrap();
    drop(twin.consumer(RECIPIENT).await);

    // An inbox: a publish finds out.
    twin.broker.delete_queue(&inbox(&system));
    twin.letter(1).await;
    until(async || twin.kinds().await.contains(&EventKind::PublishFailed)).await;
    let mut recipient = twin.consumer(RECIPIENT).await;
    twin.clock.advance(60);
    let delivery = recipient.next().await.unwrap();
    twin.say_taken(&delivery).await;
    delivery.ack().await.unwrap();
    until(async || twin.sound().await.total.taken == 1).await;
    drop(recipient);

    // What lay in an inbox that vanished goes again, although the broker had confirmed it.
    twin.letter(4).await;
    until(async || twin.broker.peek(&inbox(&system)).len() == 1).await;
    until(async || twin.kinds().await.last() == Some(&EventKind::DeliveryForwarded)).await;
    let lay = twin.broker.peek(&inbox(&system)).remove(0).properties.message_id;
    twin.broker.delete_queue(&inbox(&system));
    tokio::time::sleep(DECLARE_EVERY * 2).await;
    let mut recipient = twin.consumer(RECIPIENT).await;
    twin.clock.advance(60);
    let delivery = recipient.next().await.unwrap();
    assert_eq!(delivery.properties.message_id, lay);
    twin.say_taken(&delivery).await;
    delivery.ack().await.unwrap();
    until(async || twin.sound().await.total.taken == 2).await;

    // The hub's own: nobody finds out, but it is looked after.
    for intake in Intake::ALL {
        twin.broker.delete_queue(intake.queue());
    }
    tokio::time::sleep(DECLARE_EVERY * 2).await;
    twin.letter(2).await;
    assert!(recipient.next().await.is_some());

    // With the connection, at once.
    twin.broker.go_down("test");
    for intake in Intake::ALL {
        twin.broker.delete_queue(intake.queue());
    }
    twin.broker.come_up();
    tokio::time::sleep(Duration::from_secs(5)).await;
    twin.letter(3).await;
    assert!(recipient.next().await.is_some());
    twin.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_hub_whose_ledger_is_full_still_stops() {
    let twin = Twin::start().await;
    let _sender = twin.consumer(SENDER).await;
    twin.disk.set_full(true);
    twin.letter(1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let broker = twin.broker.as_user("operator");
    tokio::time::timeout(STOP_PATIENCE * 2, twin.stop())
        .await
        .unwrap()
        .unwrap();
    // What was in hand is back in its queue.
    assert_eq!(broker.peek(Intake::Document.queue()).len(), 1);
}
