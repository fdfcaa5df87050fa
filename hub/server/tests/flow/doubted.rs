//! What goes to an inbox that failed goes by a channel that the healthy inboxes do not use.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use tokio::sync::watch;
use truc_ledger::EventKind;
use truc_model::Urgency;
use truc_model::wire::Intake;
use truc_server::config::Config;
use truc_transport::{
    Broker, BrokerError, BrokerState, Browser, Confirming, Consumer, MemoryBroker, NameHold, OutMessage,
    PublishError, Publisher, QueueDepth, Topology,
};

use super::{Twin, event_kinds, packet};

const FULL: &str = "huyen-tuyen-quang";

/// Far less than the time for which an inbox is doubted.
const LONGER_THAN_A_REST_S: i64 = 20;

/// Notes which publisher was given a message for whom; nacks what goes to [`FULL`] for as long as that is so.
#[derive(Default)]
struct Seen {
    publishers: AtomicUsize,
    is_full: AtomicBool,
    /// Number of the publisher and routing key.
    published: Mutex<Vec<(usize, String)>>,
}

impl Seen {
    fn for_whom(&self, system: &str) -> Vec<usize> {
        let published = self.published.lock().unwrap();
        let of_it = published.iter().filter(|(_, key)| key == system);
        of_it.map(|(publisher, _)| *publisher).collect()
    }
}

struct Watched {
    broker: MemoryBroker,
    seen: Arc<Seen>,
}

struct Numbered {
    number: usize,
    publisher: Arc<dyn Publisher>,
    seen: Arc<Seen>,
}

#[async_trait]
impl Publisher for Numbered {
    async fn publish(&self, message: OutMessage) -> Result<Confirming, PublishError> {
        let key = message.routing_key.clone();
        let is_nacked = key == FULL && self.seen.is_full.load(Ordering::SeqCst);
        self.seen.published.lock().unwrap().push((self.number, key));
        if is_nacked {
            return Err(PublishError::Nacked);
        }
        self.publisher.publish(message).await
    }
}

#[async_trait]
impl Broker for Watched {
    async fn publisher(&self) -> Result<Arc<dyn Publisher>, BrokerError> {
        Ok(Arc::new(Numbered {
            number: self.seen.publishers.fetch_add(1, Ordering::SeqCst),
            publisher: self.broker.publisher().await?,
            seen: Arc::clone(&self.seen),
        }))
    }

    async fn consume(&self, queue: &str, prefetch: u16, tag: &str) -> Result<Box<dyn Consumer>, BrokerError> {
        self.broker.consume(queue, prefetch, tag).await
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.broker.declare(topology).await
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.broker.state()
    }

    async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, BrokerError> {
        self.broker.queue_depth(queue).await
    }

    async fn browse(&self, queue: &str) -> Result<Box<dyn Browser>, BrokerError> {
        self.broker.browse(queue).await
    }

    async fn hold_name(&self, hub: &str) -> Result<NameHold, BrokerError> {
        self.broker.hold_name(hub).await
    }

    async fn is_name_held(&self, hub: &str) -> Result<bool, BrokerError> {
        self.broker.is_name_held(hub).await
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}

#[tokio::test]
async fn an_inbox_that_nacks_has_a_channel_apart_also_when_it_takes_again() {
    let seen = Arc::new(Seen::default());
    seen.is_full.store(true, Ordering::SeqCst);
    let watched = Arc::clone(&seen);
    let twin = Twin::start_on(
        Config::default(),
        |_| {},
        |app| app,
        |broker| {
            Arc::new(Watched {
                broker,
                seen: watched,
            })
        },
    )
    .await;
    let (mut sender, mut recipient) = (twin.consumer("so-tnmt").await, twin.consumer(FULL).await);

    twin.submit("so-tnmt", Intake::Document, &packet(Urgency::Normal))
        .await;
    failed(&twin, 1).await;
    let well = seen.for_whom(FULL)[0];
    sender.next().await.unwrap().ack().await.unwrap();
    assert_eq!(seen.for_whom("so-tnmt"), [well], "the receipt");

    // Nacked once more, by the other channel; then there is room again.
    twin.clock.advance(LONGER_THAN_A_REST_S);
    failed(&twin, 2).await;
    seen.is_full.store(false, Ordering::SeqCst);
    twin.clock.advance(LONGER_THAN_A_REST_S);
    let delivery = recipient.next().await.unwrap();
    assert_eq!(delivery.properties.kind.as_deref(), Some("document"));
    let tries = seen.for_whom(FULL);
    assert!(tries[1..].iter().all(|publisher| *publisher != well), "{tries:?}");

    // The next one goes by the same channel: it may be full again.
    let before = tries.len();
    twin.submit("so-tnmt", Intake::Document, &another()).await;
    let receipt = sender.next().await.unwrap();
    receipt.ack().await.unwrap();
    let _next = recipient.next().await.unwrap();
    let tries = seen.for_whom(FULL);
    assert!(
        tries.len() > before && tries[1..].iter().all(|publisher| *publisher == tries[1]),
        "{tries:?}"
    );
    assert_eq!(
        seen.for_whom("so-tnmt"),
        [well, well],
        "the healthy go on as before"
    );
    twin.end().await;
}

/// Until so many publishes failed.
async fn failed(twin: &Twin, times: usize) {
    let is_failure = |kind: &&EventKind| **kind == EventKind::PublishFailed;
    while event_kinds(twin).await.iter().filter(is_failure).count() < times {
        tokio::task::yield_now().await;
    }
}

/// Not the packet of [`packet`] once more.
fn another() -> Vec<u8> {
    let to = [("000.00.34.H60", "UBND huyện Hàm Yên")];
    let from = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
    truc_server::demo::packets::Draft::letter(from, &to, 13, jiff::civil::date(2026, 3, 1)).packet()
}
