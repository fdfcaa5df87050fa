//! What every broker does. Each behaviour runs against RabbitMQ, with classic and with quorum queues, and
//! against the twin in memory.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use truc_model::wire::{Intake, inbox};
use truc_transport::{
    BrokerError, BrokerState, Browser, HeaderValue, NameHold, OutMessage, Properties, PublishError,
    QueueType, SettleError, Topology,
};

use crate::world::{
    World, deliver, keep, message, name, ready, soon, submit, system_a, system_b, topology_of, until,
};

macro_rules! behaviours {
    ($($behaviour:ident),* $(,)?) => {
        mod rabbitmq {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(crate::world::World::amqp().await).await;
                }
            )*
        }
        mod quorum {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    super::$behaviour(crate::world::World::quorum().await).await;
                }
            )*
        }
        mod memory {
            $(
                #[tokio::test]
                async fn $behaviour() {
                    super::$behaviour(crate::world::World::memory().await).await;
                }
            )*
        }
    };
}

behaviours!(
    a_message_arrives_whole,
    the_unroutable_are_told_from_the_kept,
    what_was_dropped_comes_again,
    what_was_requeued_comes_again,
    a_settlement_outlives_its_consumer,
    dead_letters_say_where_they_died,
    prefetch_bounds_what_is_handed_out,
    the_urgent_overtake_and_the_rest_keep_their_order,
    two_consumers_share_the_work,
    a_system_may_submit_and_read_its_inbox_and_nothing_else,
    a_refusal_spares_the_innocent,
    declaring_twice_is_harmless_and_otherwise_is_an_error,
    what_does_not_exist_is_named,
    too_large_is_not_sent,
    closing_ends_everything,
    a_queue_is_looked_through_and_one_message_taken_out,
    beside_a_consumer_nothing_is_lost,
    a_browser_says_what_is_not_there,
    a_name_is_held_by_one_connection,
);

async fn a_message_arrives_whole(world: World) {
    let sent = OutMessage {
        properties: Properties {
            kind: Some("document".into()),
            message_id: Some("01890a5d-ac96-774b-bcce-b302099a8057".into()),
            correlation_id: Some("c-1".into()),
            user_id: Some(system_a().to_string()),
            content_type: Some("application/edxml+xml".into()),
            timestamp: Some(Timestamp::from_second(1_763_900_000).unwrap()),
            priority: Some(3),
            app_id: Some("truc-folder/0.1".into()),
            headers: Default::default(),
        }
        .with("truc-from", "000.00.35.H60")
        .with("truc-size", 5)
        .with("truc-to", vec!["Sở".to_owned(), "xã".to_owned()]),
        ..submit("chào")
    };
    keep(&world.a, sent.clone()).await;
    let mut consumer = world
        .hub
        .consume(Intake::Document.queue(), 10, "hub")
        .await
        .unwrap();
    let delivery = soon("the document", consumer.next()).await.unwrap();
    assert_eq!(delivery.body, &*sent.body);
    assert_eq!(delivery.properties, sent.properties);
    assert!(!delivery.redelivered);
    assert_eq!(delivery.exchange, "truc.submit");
    assert_eq!(delivery.routing_key, "document");
    delivery.ack().await.unwrap();
    // Acked: it is not there for the next consumer either.
    drop(consumer);
    until("the consumer is gone and nothing waits", async || {
        let depth = world.hub.queue_depth(Intake::Document.queue()).await.unwrap();
        depth.consumers == 0 && depth.ready == 0
    })
    .await;
}

async fn the_unroutable_are_told_from_the_kept(world: World) {
    const MESSAGES: usize = 600;
    let publisher = world.hub.publisher().await.unwrap();
    let mut under_way = Vec::new();
    for number in 0..MESSAGES {
        let known = number % 3 != 0;
        let id = number.to_string();
        let message = if known {
            deliver(&system_a(), &id)
        } else {
            message("truc.deliver", "nobody", &id)
        };
        under_way.push((known, id, publisher.publish(message).await.unwrap()));
    }
    let mut kept = BTreeSet::new();
    for (known, id, confirming) in under_way {
        match soon("a confirm", confirming).await {
            Ok(_) => {
                assert!(known, "{id} was confirmed and went nowhere");
                kept.insert(id);
            }
            Err(error) => {
                let unroutable = PublishError::Unroutable {
                    exchange: "truc.deliver".into(),
                    routing_key: "nobody".into(),
                };
                assert_eq!((known, error), (false, unroutable), "{id}");
            }
        }
    }
    let mut consumer = world.a.consume(&inbox(&system_a()), 100, "a").await.unwrap();
    let mut arrived = BTreeSet::new();
    while arrived.len() < kept.len() {
        let delivery = soon("a kept message", consumer.next()).await.unwrap();
        assert!(arrived.insert(name(&delivery.body)));
        delivery.ack().await.unwrap();
    }
    assert_eq!(arrived, kept);
    assert_eq!(ready(&world.hub, &inbox(&system_a())).await, 0);
}

async fn what_was_dropped_comes_again(world: World) {
    keep(&world.hub, deliver(&system_a(), "m")).await;
    let queue = inbox(&system_a());
    let mut first = world.a.consume(&queue, 10, "first").await.unwrap();
    let delivery = soon("the message", first.next()).await.unwrap();
    assert!(!delivery.redelivered);
    drop(delivery);
    // Forgotten, but its consumer lives: the broker keeps it for that one.
    assert_eq!(ready(&world.hub, &queue).await, 0);
    drop(first);
    let mut second = world.a.consume(&queue, 10, "second").await.unwrap();
    let delivery = soon("the message again", second.next()).await.unwrap();
    assert!(delivery.redelivered);
    assert_eq!(delivery.body, b"m");
    delivery.ack().await.unwrap();
}

async fn what_was_requeued_comes_again(world: World) {
    keep(&world.hub, deliver(&system_a(), "m")).await;
    let mut consumer = world.a.consume(&inbox(&system_a()), 10, "a").await.unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    delivery.requeue().await.unwrap();
    let delivery = soon("the message again", consumer.next()).await.unwrap();
    assert!(delivery.redelivered);
    delivery.ack().await.unwrap();
}

async fn a_settlement_outlives_its_consumer(world: World) {
    let queue = inbox(&system_a());
    for id in ["one", "two"] {
        keep(&world.hub, deliver(&system_a(), id)).await;
    }
    let mut consumer = world.a.consume(&queue, 10, "a").await.unwrap();
    let one = soon("one", consumer.next()).await.unwrap();
    let two = soon("two", consumer.next()).await.unwrap();
    drop(consumer);
    one.ack().await.unwrap();
    drop(two);
    until("the forgotten one is back", async || {
        ready(&world.hub, &queue).await == 1
    })
    .await;
    let mut consumer = world.a.consume(&queue, 10, "a").await.unwrap();
    let again = soon("two again", consumer.next()).await.unwrap();
    assert_eq!((name(&again.body).as_str(), again.redelivered), ("two", true));
    again.ack().await.unwrap();
}

async fn dead_letters_say_where_they_died(world: World) {
    keep(&world.a, submit("poison")).await;
    let mut consumer = world
        .hub
        .consume(Intake::Document.queue(), 10, "hub")
        .await
        .unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    delivery.dead_letter().await.unwrap();
    let mut dead = world.hub.consume("truc.dead.letters", 10, "dead").await.unwrap();
    let delivery = soon("the dead letter", dead.next()).await.unwrap();
    assert_eq!(delivery.body, b"poison");
    assert_eq!(delivery.exchange, "truc.dead");
    assert_eq!(delivery.routing_key, "document");
    let properties = &delivery.properties;
    assert_eq!(
        properties.text("x-first-death-queue"),
        Some("truc.submit.document")
    );
    assert_eq!(properties.text("x-first-death-exchange"), Some("truc.submit"));
    assert_eq!(properties.text("x-first-death-reason"), Some("rejected"));
    // A list of tables: read without complaint, and without its tables.
    assert_eq!(
        properties.headers.get("x-death"),
        Some(&HeaderValue::List(Vec::new()))
    );
    delivery.ack().await.unwrap();
    assert_eq!(ready(&world.hub, Intake::Document.queue()).await, 0);
}

async fn prefetch_bounds_what_is_handed_out(world: World) {
    let queue = inbox(&system_a());
    for number in 0..10 {
        keep(&world.hub, deliver(&system_a(), &number.to_string())).await;
    }
    let mut consumer = world.a.consume(&queue, 3, "a").await.unwrap();
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(soon("one of three", consumer.next()).await.unwrap());
    }
    assert_eq!(ready(&world.hub, &queue).await, 7);
    assert!(consumer.next().now_or_never().is_none());
    held.remove(0).ack().await.unwrap();
    held.push(soon("the fourth", consumer.next()).await.unwrap());
    assert_eq!(ready(&world.hub, &queue).await, 6);
    assert!(consumer.next().now_or_never().is_none());
    let bodies: Vec<_> = held.iter().map(|delivery| name(&delivery.body)).collect();
    assert_eq!(bodies, ["1", "2", "3"]);
}

async fn the_urgent_overtake_and_the_rest_keep_their_order(world: World) {
    let queue = inbox(&system_a());
    for (id, priority) in [
        ("a", None),
        ("b", Some(0)),
        ("hoa-toc", Some(5)),
        ("khan", Some(3)),
        ("c", None),
        // Above the highest: counts as the highest.
        ("hoa-toc-2", Some(9)),
    ] {
        let mut message = deliver(&system_a(), id);
        message.properties.priority = priority;
        keep(&world.hub, message).await;
    }
    let mut consumer = world.a.consume(&queue, 1, "a").await.unwrap();
    let mut order = Vec::new();
    for _ in 0..6 {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        order.push(name(&delivery.body));
        delivery.ack().await.unwrap();
    }
    match world.queue_type {
        QueueType::Classic => assert_eq!(order, ["hoa-toc", "hoa-toc-2", "khan", "a", "b", "c"]),
        // No priorities in 3.10, two of them in 4.x. Those of no priority keep their order in both.
        QueueType::Quorum => {
            let urgent = ["hoa-toc", "hoa-toc-2", "khan"];
            assert!(
                urgent.iter().all(|id| order.contains(&(*id).to_owned())),
                "{order:?}"
            );
            order.retain(|id| !urgent.contains(&id.as_str()));
            assert_eq!(order, ["a", "b", "c"]);
        }
    }
}

async fn two_consumers_share_the_work(world: World) {
    let queue = Intake::Document.queue();
    let mut one = world.hub.consume(queue, 1, "one").await.unwrap();
    let mut two = world.hub.consume(queue, 1, "two").await.unwrap();
    for number in 0..20 {
        keep(&world.a, submit(&number.to_string())).await;
    }
    let mut seen = BTreeSet::new();
    let (mut by_one, mut by_two) = (0, 0);
    while seen.len() < 20 {
        let (delivery, count) = soon("a message", async {
            tokio::select! {
                delivery = one.next() => (delivery.unwrap(), &mut by_one),
                delivery = two.next() => (delivery.unwrap(), &mut by_two),
            }
        })
        .await;
        *count += 1;
        assert!(seen.insert(name(&delivery.body)), "handed out twice");
        delivery.ack().await.unwrap();
    }
    assert_eq!(by_one + by_two, 20);
    assert!(by_one > 0 && by_two > 0, "{by_one} and {by_two}");
}

async fn a_system_may_submit_and_read_its_inbox_and_nothing_else(world: World) {
    // Reading.
    for queue in [
        inbox(&system_b()),
        Intake::Document.queue().to_owned(),
        "truc.dead.letters".to_owned(),
    ] {
        let refused = world.a.consume(&queue, 1, "a").await.err();
        assert!(
            matches!(&refused, Some(BrokerError::Refused { reply }) if reply.contains("ACCESS_REFUSED")),
            "{queue}: {refused:?}"
        );
    }
    assert!(world.a.consume(&inbox(&system_a()), 1, "a").await.is_ok());
    assert!(world.b.consume(&inbox(&system_b()), 1, "b").await.is_ok());

    // Declaring: nothing new, and nothing that is there already either.
    let more = Topology::hub(QueueType::Classic, [system_a()]);
    assert!(matches!(
        world.a.declare(&more).await,
        Err(BrokerError::Refused { .. })
    ));

    // Writing: not into an inbox by the hub's exchange, nor around it by the default exchange.
    let publisher = world.a.publisher().await.unwrap();
    let forged = OutMessage {
        properties: Properties {
            user_id: Some(system_b().to_string()),
            ..Properties::default()
        },
        ..submit("forged")
    };
    for (what, message) in [
        ("deliver", deliver(&system_b(), "x")),
        ("default", message("", &inbox(&system_b()), "x")),
        ("dead", message("truc.dead", "", "x")),
        ("forged user_id", forged),
        ("unknown exchange", message("nowhere", "", "x")),
    ] {
        let confirming = publisher.publish(message).await.unwrap();
        let refused = soon("the refusal", confirming).await;
        assert!(
            matches!(&refused, Err(error @ PublishError::Refused { .. }) if !error.is_retryable()),
            "{what}: {refused:?}"
        );
        // And the channel is open again for what is allowed.
        let confirming = publisher.publish(submit("allowed")).await.unwrap();
        assert!(soon("the confirm", confirming).await.is_ok(), "after {what}");
    }
    let queues = [
        inbox(&system_a()),
        inbox(&system_b()),
        "truc.dead.letters".to_owned(),
    ];
    for queue in queues {
        assert_eq!(ready(&world.hub, &queue).await, 0, "{queue}");
    }
    assert_eq!(ready(&world.hub, Intake::Document.queue()).await, 5);
}

async fn a_refusal_spares_the_innocent(world: World) {
    let publisher = world.a.publisher().await.unwrap();
    let mut under_way = Vec::new();
    for number in 0..100 {
        let message = if number == 50 {
            deliver(&system_b(), "guilty")
        } else {
            submit(&number.to_string())
        };
        under_way.push((number, publisher.publish(message).await.unwrap()));
    }
    let mut kept = 0;
    for (number, confirming) in under_way {
        match soon("an outcome", confirming).await {
            Ok(_) => {
                assert_ne!(number, 50);
                kept += 1;
            }
            Err(PublishError::Refused { .. }) => assert_eq!(number, 50),
            // The channel was closed under it: try again.
            Err(PublishError::Disconnected(_)) => assert_ne!(number, 50),
            Err(other) => panic!("{number}: {other:?}"),
        }
    }
    // More may be in the queue than were confirmed (a closed channel swallows confirms), never less.
    assert!(ready(&world.hub, Intake::Document.queue()).await >= kept);
}

async fn declaring_twice_is_harmless_and_otherwise_is_an_error(world: World) {
    keep(&world.hub, deliver(&system_a(), "kept")).await;
    world.hub.declare(&topology_of(world.queue_type)).await.unwrap();
    assert_eq!(ready(&world.hub, &inbox(&system_a())).await, 1);
    let other = match world.queue_type {
        QueueType::Classic => QueueType::Quorum,
        QueueType::Quorum => QueueType::Classic,
    };
    let other = Topology::hub(other, [system_a()]);
    let error = world.hub.declare(&other).await.unwrap_err();
    assert!(matches!(&error, BrokerError::Mismatch { .. }), "{error:?}");
    let text = error.to_string();
    for part in ["truc.dead.letters", "x-queue-type", "rabbitmqctl delete_queue"] {
        assert!(text.contains(part), "{text}");
    }
}

async fn what_does_not_exist_is_named(world: World) {
    let missing = BrokerError::NotFound {
        name: "truc.inbox.nobody".into(),
    };
    let consumed = world.hub.consume("truc.inbox.nobody", 1, "x").await;
    assert_eq!(consumed.err(), Some(missing.clone()));
    assert_eq!(world.hub.queue_depth("truc.inbox.nobody").await, Err(missing));
}

async fn too_large_is_not_sent(world: World) {
    let limit = 16 * 1024 * 1024;
    let publisher = world.a.publisher().await.unwrap();
    let mut largest = submit("x");
    largest.body = vec![7; limit].into();
    let confirming = publisher.publish(largest.clone()).await.unwrap();
    assert!(soon("the confirm", confirming).await.is_ok());
    largest.body = vec![7; limit + 1].into();
    assert_eq!(
        publisher.publish(largest).await.err(),
        Some(PublishError::TooLarge {
            size: limit + 1,
            limit
        })
    );
    let mut unfit = submit("x");
    unfit.properties.message_id = Some("x".repeat(256));
    let outcome = match publisher.publish(unfit).await {
        Ok(confirming) => confirming.await.err(),
        Err(error) => Some(error),
    };
    assert!(
        matches!(outcome, Some(PublishError::Refused { .. })),
        "{outcome:?}"
    );
}

async fn closing_ends_everything(world: World) {
    let queue = inbox(&system_a());
    keep(&world.hub, deliver(&system_a(), "m")).await;
    let mut consumer = world.a.consume(&queue, 1, "a").await.unwrap();
    let publisher = world.a.publisher().await.unwrap();
    let delivery = soon("the message", consumer.next()).await.unwrap();
    let mut state = world.a.state();
    let up = state.wait_for(|state| *state == BrokerState::Up);
    assert!(soon("the state", up).await.is_ok());
    world.a.close().await;
    world.a.close().await;
    let closed = state.wait_for(|state| *state == BrokerState::Closed);
    assert!(soon("the state", closed).await.is_ok());
    assert!(soon("the end", consumer.next()).await.is_none());
    assert_eq!(delivery.ack().await, Err(SettleError::Stale));
    assert!(matches!(
        publisher.publish(submit("late")).await,
        Err(PublishError::Disconnected(_))
    ));
    assert!(matches!(world.a.publisher().await, Err(BrokerError::Closed)));
    assert!(matches!(
        world.a.consume(&queue, 1, "a").await,
        Err(BrokerError::Closed)
    ));
    // What was not settled is back.
    until("the message is back", async || {
        ready(&world.hub, &queue).await == 1
    })
    .await;
}

/// Looks at everything that is ready, which was looked at so often before; gives the ids and the browser.
async fn look_through(world: &World, queue: &str, before: u64) -> (Vec<String>, Box<dyn Browser>) {
    let mut browser = world.hub.browse(queue).await.unwrap();
    let mut seen = Vec::new();
    while let Some(message) = browser.next().await.unwrap() {
        match world.queue_type {
            QueueType::Classic => assert_eq!(message.returned, 0, "a classic queue does not count"),
            QueueType::Quorum => assert_eq!(message.returned, before),
        }
        assert_eq!(message.redelivered, before > 0);
        seen.push(message.properties.message_id.unwrap());
    }
    if world.queue_type == QueueType::Quorum {
        in_no_order(&mut seen);
    }
    (seen, browser)
}

/// A quorum queue gives back what was looked at in any order.
fn in_no_order(ids: &mut [String]) {
    ids.sort_unstable_by_key(|id| id.parse::<usize>().unwrap());
}

async fn everything_in(world: &World, queue: &str) -> Vec<String> {
    let mut consumer = world.a.consume(queue, 1, "a").await.unwrap();
    let mut order = Vec::new();
    while ready(&world.hub, queue).await > 0 || order.is_empty() {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        order.push(name(&delivery.body));
        delivery.ack().await.unwrap();
    }
    // The last one may have been on its way to the consumer when the queue was asked.
    while let Some(Some(delivery)) = consumer.next().now_or_never() {
        order.push(name(&delivery.body));
        delivery.ack().await.unwrap();
    }
    order
}

async fn a_queue_is_looked_through_and_one_message_taken_out(world: World) {
    const MESSAGES: usize = 300;
    let queue = inbox(&system_a());
    let mut expected = Vec::new();
    for number in 0..MESSAGES {
        let id = number.to_string();
        let mut message = deliver(&system_a(), &id);
        message.properties.message_id = Some(id.clone());
        let urgent = number % 50 == 7 && world.queue_type == QueueType::Classic;
        message.properties.priority = Some(if urgent { 5 } else { 0 });
        expected.push((!urgent, number));
        keep(&world.hub, message).await;
    }
    expected.sort_unstable();
    let mut expected: Vec<String> = expected.iter().map(|(_, number)| number.to_string()).collect();

    // Looked through twice, and nothing is changed by that.
    for before in 0..2 {
        let (seen, browser) = look_through(&world, &queue, before).await;
        assert_eq!(seen, expected);
        let depth = world.hub.queue_depth(&queue).await.unwrap();
        let readers = match world.queue_type {
            QueueType::Classic => 0,
            // A quorum queue counts each message that is held by a look as a consumer of its own.
            QueueType::Quorum => u32::try_from(MESSAGES).unwrap(),
        };
        assert_eq!(
            (depth.ready, depth.consumers),
            (0, readers),
            "all are held, and nobody reads"
        );
        drop(browser);
        until("all are back", async || {
            ready(&world.hub, &queue).await as usize == MESSAGES
        })
        .await;
    }
    let mut browser = world.hub.browse(&queue).await.unwrap();
    let mut seen = Vec::new();
    while let Some(message) = browser.next().await.unwrap() {
        seen.push(message.properties.message_id.unwrap());
    }
    let wanted: Vec<usize> = ["120", "7"]
        .iter()
        .filter_map(|id| seen.iter().position(|seen| seen == id))
        .collect();
    let twice = [wanted[0], wanted[1], wanted[0], MESSAGES];
    assert_eq!(browser.take_out(&twice).await.unwrap(), 2);
    // The channel has passed both on; the queue answers for its depth before it has worked them off.
    until("the others are back", async || {
        ready(&world.hub, &queue).await as usize == MESSAGES - 2
    })
    .await;
    expected.retain(|id| id != "120" && id != "7");
    let mut left = everything_in(&world, &queue).await;
    if world.queue_type == QueueType::Quorum {
        in_no_order(&mut left);
    }
    assert_eq!(left, expected, "the others, in their order");
}

async fn beside_a_consumer_nothing_is_lost(world: World) {
    let queue = inbox(&system_a());
    for number in 0..20 {
        let mut message = deliver(&system_a(), &number.to_string());
        message.properties.message_id = Some(number.to_string());
        keep(&world.hub, message).await;
    }
    let mut browser = world.hub.browse(&queue).await.unwrap();
    for _ in 0..10 {
        assert!(browser.next().await.unwrap().is_some());
    }
    // Somebody begins to read while the first ten are held.
    let mut consumer = world.a.consume(&queue, 5, "a").await.unwrap();
    let first = soon("a message", consumer.next()).await.unwrap();
    assert_eq!(name(&first.body), "10");
    let readers = match world.queue_type {
        QueueType::Classic => 1,
        QueueType::Quorum => 11,
    };
    assert_eq!(world.hub.queue_depth(&queue).await.unwrap().consumers, readers);
    assert_eq!(browser.take_out(&[3]).await.unwrap(), 1);
    let mut seen = BTreeSet::from([name(&first.body)]);
    first.ack().await.unwrap();
    while seen.len() < 19 {
        let delivery = soon("a message", consumer.next()).await.unwrap();
        assert!(seen.insert(name(&delivery.body)), "handed out twice");
        delivery.ack().await.unwrap();
    }
    assert!(!seen.contains("3"));
    assert_eq!(ready(&world.hub, &queue).await, 0);
}

async fn a_browser_says_what_is_not_there(world: World) {
    let missing = BrokerError::NotFound {
        name: "truc.inbox.nobody".into(),
    };
    assert_eq!(world.hub.browse("truc.inbox.nobody").await.err(), Some(missing));
    // A system may not look into another's inbox.
    let refused = match world.a.browse(&inbox(&system_b())).await {
        Ok(mut browser) => browser.next().await.err(),
        Err(error) => Some(error),
    };
    assert!(
        matches!(refused, Some(BrokerError::Refused { .. })),
        "{refused:?}"
    );
    // An empty queue is looked through at once.
    let mut browser = world.hub.browse(&inbox(&system_a())).await.unwrap();
    assert_eq!(browser.next().await, Ok(None));
    assert_eq!(browser.take_out(&[0]).await, Ok(0));
}

async fn a_name_is_held_by_one_connection(world: World) {
    assert_eq!(world.other_hub.is_name_held("hub 1").await, Ok(false));
    assert_eq!(world.hub.hold_name("hub 1").await, Ok(NameHold::Ours));
    // Again, as after any new connection: it is ours still.
    assert_eq!(world.hub.hold_name("hub 1").await, Ok(NameHold::Ours));
    assert_eq!(world.other_hub.hold_name("hub 1").await, Ok(NameHold::Others));
    assert_eq!(world.other_hub.hold_name("hub 2").await, Ok(NameHold::Ours));
    for broker in [&world.hub, &world.other_hub] {
        for name in ["hub 1", "hub 2"] {
            assert_eq!(broker.is_name_held(name).await, Ok(true), "{name}");
        }
    }
    let refused = world.a.hold_name("hub 3").await;
    assert!(matches!(refused, Err(BrokerError::Refused { .. })), "{refused:?}");
    world.hub.close().await;
    until("the name is free", async || {
        world.other_hub.is_name_held("hub 1").await == Ok(false)
    })
    .await;
    assert_eq!(world.other_hub.hold_name("hub 1").await, Ok(NameHold::Ours));
}
