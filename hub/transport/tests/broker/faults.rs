//! Bad days of the broker (faults 14 to 22): restarts, kills, alarms, closed connections, deleted queues.
//! Each counts what was confirmed and what arrived: nothing that was confirmed may be missing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use truc_transport::private_node::PrivateNode;
use truc_transport::{AmqpBroker, Broker, BrokerState, PublishError, Publisher, SettleError};

use crate::world::{
    Standing, World, config, deliver, keep, name, ready, rough_node, soon, submit, system_a, topology, until,
    vhost_name,
};

const QUEUE: &str = "truc.submit.document";

/// Messages confirmed before it happens, and after.
const AROUND: usize = 200;
/// Tasks that publish.
const WORKERS: usize = 8;

async fn world(standing: &Standing) -> (World, String) {
    let vhost = vhost_name();
    standing.node.accounts(&vhost).ensure_vhost().await.unwrap();
    (World::on(&standing.node, &vhost).await, vhost)
}

/// Publishes one message until it is confirmed, as a careful adapter does; counts the attempts.
async fn insist(publisher: &Arc<dyn Publisher>, id: &str) -> usize {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let outcome = match publisher.publish(submit(id)).await {
            Ok(confirming) => soon("an outcome", confirming).await.map(|_| ()),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => return attempts,
            Err(error) => assert!(error.is_retryable(), "{error:?}"),
        }
    }
}

/// Takes all messages out of a queue and gives their names, with how many came twice.
async fn drain(broker: &Arc<dyn Broker>, queue: &str, expected: &BTreeSet<String>) -> usize {
    let mut consumer = broker.consume(queue, 100, "count").await.unwrap();
    let mut seen = BTreeSet::new();
    let mut twice = 0;
    while !expected.is_subset(&seen) {
        let delivery = soon("a confirmed message", consumer.next()).await.unwrap();
        if !seen.insert(name(&delivery.body)) {
            twice += 1;
        }
        delivery.ack().await.unwrap();
    }
    twice
}

/// Publishes, several at a time, until something has happened to the node and a while longer; then counts.
async fn nothing_confirmed_is_lost(
    what: &str,
    standing: &mut Standing,
    happening: impl AsyncFnOnce(&mut PrivateNode),
) {
    let (world, _) = world(standing).await;
    let publisher = world.a.publisher().await.unwrap();
    let confirmed = Arc::new(AtomicUsize::new(0));
    // How many have to be confirmed in the end; open until it has happened.
    let goal = Arc::new(AtomicUsize::new(usize::MAX));
    let workers: Vec<_> = (0..WORKERS)
        .map(|worker| {
            let (publisher, confirmed, goal) =
                (Arc::clone(&publisher), Arc::clone(&confirmed), Arc::clone(&goal));
            tokio::spawn(async move {
                let (mut names, mut attempts) = (BTreeSet::new(), 0);
                while confirmed.load(Ordering::SeqCst) < goal.load(Ordering::SeqCst) {
                    let id = format!("{worker}-{}", names.len());
                    attempts += insist(&publisher, &id).await;
                    names.insert(id);
                    confirmed.fetch_add(1, Ordering::SeqCst);
                }
                (names, attempts)
            })
        })
        .collect();
    let mut state = world.a.state();
    let lost = tokio::spawn(async move {
        let down = state.wait_for(|state| matches!(state, BrokerState::Down { .. }));
        assert!(down.await.is_ok());
    });
    until("it is under way", async || {
        confirmed.load(Ordering::SeqCst) >= AROUND
    })
    .await;
    happening(&mut standing.node).await;
    goal.store(confirmed.load(Ordering::SeqCst) + AROUND, Ordering::SeqCst);
    let (mut names, mut attempts) = (BTreeSet::new(), 0);
    for worker in workers {
        let (some, tried) = soon("a worker", worker).await.unwrap();
        names.extend(some);
        attempts += tried;
    }
    let twice = drain(&world.hub, QUEUE, &names).await;
    let count = names.len();
    println!("{what}: {count} confirmed in {attempts} attempts, 0 lost, {twice} twice");
    soon("the connection to be lost at all", lost).await.unwrap();
    assert!(
        twice <= attempts - count,
        "a message came twice that was sent once"
    );
    assert_eq!(ready(&world.hub, QUEUE).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarted_while_publishing() {
    let mut standing = rough_node().await;
    nothing_confirmed_is_lost("restart", &mut standing, async |node| {
        node.stop().await.unwrap();
        node.start_again().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_publishing() {
    let mut standing = rough_node().await;
    nothing_confirmed_is_lost("kill -9", &mut standing, async |node| {
        node.kill();
        node.start_again().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_closed_while_publishing() {
    let mut standing = rough_node().await;
    nothing_confirmed_is_lost("connections closed", &mut standing, async |node| {
        node.close_all_connections("maintenance").await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_consumer_goes_on_after_a_restart_and_its_old_settlements_are_stale() {
    let mut standing = rough_node().await;
    let (world, _) = world(&standing).await;
    keep(&world.a, submit("m")).await;
    let mut consumer = world.hub.consume(QUEUE, 1, "hub").await.unwrap();
    let publisher = world.hub.publisher().await.unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    let mut state = world.hub.state();

    standing.node.stop().await.unwrap();
    let down = state.wait_for(|state| matches!(state, BrokerState::Down { .. }));
    assert!(soon("the state", down).await.is_ok());
    assert_eq!(delivery.ack().await, Err(SettleError::Stale));

    standing.node.start_again().await.unwrap();
    let up = state.wait_for(|state| *state == BrokerState::Up);
    assert!(soon("the state", up).await.is_ok());
    let delivery = soon("the message again", consumer.next()).await.unwrap();
    assert_eq!(delivery.body, b"m");
    assert!(delivery.redelivered);
    delivery.ack().await.unwrap();
    assert_eq!(ready(&world.hub, QUEUE).await, 0);

    // Prefetch holds on the new channel too, and the publisher of before goes on.
    for id in ["1", "2", "3"] {
        let confirming = publisher.publish(submit(id)).await.unwrap();
        let _ = soon("the confirm", confirming).await.unwrap();
    }
    let held = soon("a message", consumer.next()).await.unwrap();
    assert_eq!(ready(&world.hub, QUEUE).await, 2);
    held.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_broker_is_waited_for_and_then_told_of() {
    let standing = rough_node().await;
    let (world, vhost) = world(&standing).await;
    let mut impatient = config(&standing.node.admin_amqp_url(&vhost));
    // Longer than a machine with much else to do needs to hear that it is blocked.
    impatient.operation_timeout = Duration::from_secs(2);
    impatient.confirm_timeout = Duration::from_secs(2);
    let hub = AmqpBroker::connect(impatient).await.unwrap();
    let hub: Arc<dyn Broker> = hub;
    keep(&hub, submit("before")).await;
    let mut consumer = hub.consume(QUEUE, 10, "hub").await.unwrap();
    let patient = world.a.publisher().await.unwrap();
    let publisher = hub.publisher().await.unwrap();
    keep(&world.a, submit("before too")).await;

    standing.node.set_memory_alarm(true).await.unwrap();
    let alarms = standing.node.accounts("/").overview().await.unwrap().alarms;
    assert!(
        alarms.iter().any(|alarm| alarm.starts_with("memory")),
        "{alarms:?}"
    );

    // The first publish makes the broker say that it blocks; it may take that one still.
    let first = publisher.publish(submit("first")).await.unwrap();
    let mut state = hub.state();
    let blocked = state.wait_for(|state| matches!(state, BrokerState::Blocked { .. }));
    let blocked = soon("the state", blocked).await.unwrap().clone();
    assert!(
        matches!(&blocked, BrokerState::Blocked { reason } if reason.contains("memory")),
        "{blocked:?}"
    );
    let error = publisher.publish(submit("late")).await.err();
    assert!(
        matches!(&error, Some(PublishError::Blocked { reason, .. }) if reason.contains("memory")),
        "{error:?}"
    );
    let first = soon("the outcome of the first", first).await;
    assert!(
        matches!(first, Ok(_) | Err(PublishError::Blocked { .. })),
        "{first:?}"
    );
    // Meanwhile one can consume and settle, on the other connection.
    for _ in 0..2 {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        delivery.ack().await.unwrap();
    }

    // A patient publisher gets through when the alarm ends.
    let waiting = tokio::spawn(async move {
        let confirming = patient.publish(submit("patient")).await?;
        confirming.await
    });
    standing.node.set_memory_alarm(false).await.unwrap();
    assert!(soon("the patient one", waiting).await.unwrap().is_ok());
    let up = state.wait_for(|state| *state == BrokerState::Up);
    assert!(soon("the state", up).await.is_ok());
    let confirming = publisher.publish(submit("after")).await.unwrap();
    assert!(soon("the confirm", confirming).await.is_ok());

    let mut seen = BTreeSet::new();
    while !(seen.contains("patient") && seen.contains("after")) {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        seen.insert(name(&delivery.body));
        delivery.ack().await.unwrap();
    }
    // What was said not to be sent was not sent.
    assert!(!seen.contains("late"));
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_comes_back_to_its_consumer() {
    let standing = rough_node().await;
    let (world, vhost) = world(&standing).await;
    let inbox = truc_model::wire::inbox(&system_a());
    let mut consumer = world.a.consume(&inbox, 1, "a").await.unwrap();
    let publisher = world.hub.publisher().await.unwrap();
    standing
        .node
        .rabbitmqctl(&["delete_queue", "--vhost", &vhost, &inbox])
        .await
        .unwrap();
    let confirming = publisher.publish(deliver(&system_a(), "nowhere")).await.unwrap();
    let outcome = soon("the outcome", confirming).await;
    assert!(
        matches!(outcome, Err(PublishError::Unroutable { .. })),
        "{outcome:?}"
    );
    world.hub.declare(&topology()).await.unwrap();
    keep(&world.hub, deliver(&system_a(), "m")).await;
    let delivery = soon("the message", consumer.next()).await.unwrap();
    assert_eq!(delivery.body, b"m");
    delivery.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_and_starting_keeps_data_ports_and_passwords() {
    let mut standing = rough_node().await;
    let (world, vhost) = world(&standing).await;
    keep(&world.a, submit("kept")).await;
    let url = standing.node.admin_amqp_url(&vhost);
    standing.node.stop().await.unwrap();
    standing.node.stop().await.unwrap();
    assert!(AmqpBroker::connect(config(&url)).await.is_err());
    standing.node.start_again().await.unwrap();
    standing.node.start_again().await.unwrap();
    assert_eq!(standing.node.admin_amqp_url(&vhost), url);
    let broker: Arc<dyn Broker> = AmqpBroker::connect(config(&url)).await.unwrap();
    until("the queue is back", async || {
        broker.queue_depth(QUEUE).await.is_ok()
    })
    .await;
    assert_eq!(ready(&broker, QUEUE).await, 1);
    broker.close().await;
}
