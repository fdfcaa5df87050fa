//! Acks that leave together ([`Acking::Together`]), against the real broker: it closes a channel on which a tag is
//! acked twice, and forgets a message that is acked over.

use std::collections::BTreeSet;
use std::sync::Arc;

use truc_model::wire::Intake;
use truc_model::{Random as _, SeededRandom};
use truc_transport::{Acking, AmqpBroker, Broker, Consumer, Delivery, QueueType, SettleError, Settlement};

use crate::world::{World, calm_node, config, fresh_vhost, name, ready, soon, submit, until};

/// Messages of one test.
const MESSAGES: usize = 600;
const PREFETCH: u16 = 120;
/// Messages settled at a time, in random order.
const HAND: usize = 40;
/// Tasks that settle them.
const TASKS: usize = 4;
/// From here on some are requeued; those come again at once and are then held.
const REQUEUED_FROM: usize = 400;
/// Never settled.
const FORGOTTEN: usize = 350;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Acked,
    Requeued,
    DeadLettered,
    Forgotten,
}

impl Fate {
    const fn of(number: usize) -> Self {
        match number {
            FORGOTTEN => Self::Forgotten,
            REQUEUED_FROM.. if number % 20 == 3 => Self::Requeued,
            _ if number % 17 == 5 => Self::DeadLettered,
            _ => Self::Acked,
        }
    }

    fn names(self) -> BTreeSet<String> {
        (0..MESSAGES)
            .filter(|number| Self::of(*number) == self)
            .map(|number| number.to_string())
            .collect()
    }

    async fn befall(self, settlement: Settlement) -> Result<(), SettleError> {
        match self {
            Self::Requeued => settlement.requeue().await,
            Self::DeadLettered => settlement.dead_letter().await,
            Self::Acked | Self::Forgotten => settlement.ack().await,
        }
    }
}

/// Settles several at once in random order.
async fn settle(mut hand: Vec<(Fate, Settlement)>, random: &SeededRandom) {
    let mut tasks: Vec<Vec<_>> = (0..TASKS).map(|_| Vec::new()).collect();
    while !hand.is_empty() {
        let mut bytes = [0; 2];
        random.fill(&mut bytes);
        let one = hand.swap_remove(usize::from(bytes[0]) % hand.len());
        tasks[usize::from(bytes[1]) % TASKS].push(one);
    }
    let tasks: Vec<_> = tasks
        .into_iter()
        .map(|some| {
            tokio::spawn(async move {
                for (fate, settlement) in some {
                    assert_eq!(fate.befall(settlement).await, Ok(()));
                }
            })
        })
        .collect();
    for task in tasks {
        soon("a task that settles", task).await.unwrap();
    }
}

async fn publish_all(broker: &Arc<dyn Broker>, names: impl Iterator<Item = String>) {
    let publisher = broker.publisher().await.unwrap();
    let mut under_way = Vec::new();
    for id in names {
        under_way.push(publisher.publish(submit(&id)).await.unwrap());
    }
    for confirming in under_way {
        let _ = soon("a confirm", confirming).await.unwrap();
    }
}

async fn next(consumer: &mut Box<dyn Consumer>) -> Delivery {
    soon("a message", consumer.next()).await.unwrap()
}

/// Takes all out of a queue and gives their names.
async fn all_of(broker: &Arc<dyn Broker>, queue: &str, count: usize) -> BTreeSet<String> {
    until("as many are there", async || {
        usize::try_from(ready(broker, queue).await).unwrap() >= count
    })
    .await;
    assert_eq!(
        usize::try_from(ready(broker, queue).await).unwrap(),
        count,
        "{queue}"
    );
    let mut consumer = broker.consume(queue, PREFETCH, "count").await.unwrap();
    let mut names = BTreeSet::new();
    for _ in 0..count {
        let delivery = next(&mut consumer).await;
        assert!(names.insert(name(&delivery.body)), "twice in {queue}");
        delivery.ack().await.unwrap();
    }
    names
}

async fn only_what_was_acked_is_gone(queue_type: QueueType) {
    let queue = Intake::Document.queue();
    let vhost = fresh_vhost().await;
    let node = &calm_node().await.node;
    let world = World::of(node, &vhost, queue_type).await;
    let mut together = config(&node.admin_amqp_url(&vhost));
    together.acks = Acking::Together;
    let hub: Arc<dyn Broker> = AmqpBroker::connect(together).await.unwrap();

    publish_all(&world.a, (0..MESSAGES).map(|number| number.to_string())).await;
    let mut consumer = hub.consume(queue, PREFETCH, "hub").await.unwrap();
    let random = SeededRandom::new(7);
    let requeued = Fate::Requeued.names();
    let (mut seen, mut again) = (BTreeSet::new(), BTreeSet::new());
    let (mut hand, mut kept) = (Vec::new(), Vec::new());
    while seen.len() < MESSAGES || again != requeued {
        let (message, settlement) = next(&mut consumer).await.into_parts();
        let id = name(&message.body);
        if seen.insert(id.clone()) {
            assert!(!message.redelivered, "{id}");
            match Fate::of(id.parse().unwrap()) {
                Fate::Forgotten => kept.push(settlement),
                fate => hand.push((fate, settlement)),
            }
        } else {
            // Nothing else comes twice: the broker closed no channel.
            assert!(message.redelivered && requeued.contains(&id), "{id} came again");
            assert!(again.insert(id.clone()), "{id} came a third time");
            kept.push(settlement);
        }
        if hand.len() == HAND || seen.len() == MESSAGES {
            settle(std::mem::take(&mut hand), &random).await;
        }
    }
    // The same channel still serves.
    publish_all(&world.a, std::iter::once("after".to_owned())).await;
    let after = next(&mut consumer).await;
    assert_eq!((name(&after.body).as_str(), after.redelivered), ("after", false));
    after.ack().await.unwrap();

    // The end of the channel gives back what was not settled, and only that: what waited behind it is acked.
    drop((consumer, kept));
    let mut expected = requeued;
    expected.extend(Fate::Forgotten.names());
    assert_eq!(all_of(&world.hub, queue, expected.len()).await, expected);
    let dead = Fate::DeadLettered.names();
    assert_eq!(all_of(&world.hub, "truc.dead.letters", dead.len()).await, dead);
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_acked_is_gone_classic() {
    only_what_was_acked_is_gone(QueueType::Classic).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_was_acked_is_gone_quorum() {
    only_what_was_acked_is_gone(QueueType::Quorum).await;
}

/// On one thread: what sends the acks has not run yet when the connection is closed.
#[tokio::test]
async fn closing_lets_the_acks_leave_first() {
    let queue = Intake::Document.queue();
    let vhost = fresh_vhost().await;
    let node = &calm_node().await.node;
    let world = World::on(node, &vhost).await;
    let mut together = config(&node.admin_amqp_url(&vhost));
    together.acks = Acking::Together;
    let hub: Arc<dyn Broker> = AmqpBroker::connect(together).await.unwrap();
    let count = usize::from(PREFETCH);
    publish_all(&world.a, (0..count).map(|number| number.to_string())).await;
    let mut consumer = hub.consume(queue, PREFETCH, "hub").await.unwrap();
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(next(&mut consumer).await);
    }
    // From the last on: most of them leave singly, one after the other.
    while let Some(delivery) = held.pop() {
        delivery.ack().await.unwrap();
    }
    hub.close().await;
    until("the consumer is gone", async || {
        world.hub.queue_depth(queue).await.unwrap().consumers == 0
    })
    .await;
    assert_eq!(ready(&world.hub, queue).await, 0);
}
