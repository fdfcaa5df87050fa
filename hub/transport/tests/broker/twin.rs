//! The faults that tests of the hub and of adapters make in the twin: they look as RabbitMQ's do.

use std::sync::Arc;

use futures_util::FutureExt as _;
use truc_transport::{Broker, BrokerError, BrokerState, MemoryBroker, PublishError, SettleError};

use crate::world::{keep, name, ready, submit, system_a, topology};

const QUEUE: &str = "truc.submit.document";

async fn twin() -> (MemoryBroker, Arc<dyn Broker>) {
    let broker = MemoryBroker::new();
    broker.declare(&topology()).await.unwrap();
    let system: Arc<dyn Broker> = Arc::new(broker.as_system(&system_a()));
    (broker, system)
}

/// Time stands still but for time-outs, which come at once.
#[tokio::test(start_paused = true)]
async fn blocked_it_is_waited_for_and_then_told_of() {
    let (broker, system) = twin().await;
    let publisher = system.publisher().await.unwrap();
    broker.set_blocked(Some("low on memory"));
    assert!(system.state().borrow().is_connected());
    assert!(!system.state().borrow().is_up());
    let error = publisher.publish(submit("late")).await.err();
    let waited = u64::try_from(MemoryBroker::PATIENCE.as_millis()).unwrap();
    assert_eq!(
        error,
        Some(PublishError::Blocked {
            reason: "low on memory".into(),
            waited_ms: waited
        })
    );
    let waiting = tokio::spawn(async move { publisher.publish(submit("patient")).await?.await });
    tokio::task::yield_now().await;
    broker.set_blocked(None);
    assert!(waiting.await.unwrap().is_ok());
    let names: Vec<_> = broker
        .peek(QUEUE)
        .iter()
        .map(|message| name(&message.body))
        .collect();
    assert_eq!(names, ["patient"]);
}

#[tokio::test(start_paused = true)]
async fn down_and_up_again_it_keeps_messages_and_forgets_who_had_them() {
    let (broker, system) = twin().await;
    keep(&system, submit("m")).await;
    let mut consumer = broker.consume(QUEUE, 1, "hub").await.unwrap();
    let delivery = consumer.next().await.unwrap();
    broker.go_down("maintenance");
    assert!(matches!(
        &*broker.state().borrow(),
        BrokerState::Down { error, .. } if error == "maintenance"
    ));
    assert!(consumer.next().now_or_never().is_none());
    assert_eq!(delivery.ack().await, Err(SettleError::Stale));
    let publisher = system.publisher().await.unwrap();
    let error = publisher.publish(submit("x")).await.err();
    assert!(matches!(error, Some(PublishError::Disconnected(_))), "{error:?}");
    let error = broker.queue_depth(QUEUE).await.err();
    assert!(matches!(error, Some(BrokerError::Disconnected(_))), "{error:?}");
    broker.come_up();
    let delivery = consumer.next().await.unwrap();
    assert!(delivery.redelivered);
    delivery.ack().await.unwrap();
    assert!(broker.state().borrow().is_up());
}

#[tokio::test]
async fn it_nacks_and_loses_queues_when_told_to() {
    let (broker, system) = twin().await;
    let publisher = system.publisher().await.unwrap();
    broker.nack_next(1);
    let nacked = publisher.publish(submit("x")).await.unwrap().await;
    assert_eq!(nacked, Err(PublishError::Nacked));
    keep(&system, submit("kept")).await;
    let hub: Arc<dyn Broker> = Arc::new(broker.as_user("truc-hub"));
    assert_eq!(ready(&hub, QUEUE).await, 1);
    broker.delete_queue(QUEUE);
    let unroutable = publisher.publish(submit("x")).await.unwrap().await;
    assert!(matches!(unroutable, Err(PublishError::Unroutable { .. })));
}
