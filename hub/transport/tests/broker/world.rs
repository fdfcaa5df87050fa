//! What the tests stand on: nodes, connections, messages, and waiting for conditions.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, OnceCell};
use truc_model::SystemId;
use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};
use truc_transport::{
    AmqpBroker, Broker, BrokerConfig, MemoryBroker, OutMessage, Properties, QueueType, Topology,
};

/// Longest wait for a condition. Reached only by a test that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A hub's connection and those of two systems, on one broker with the hub's topology declared; and the
/// connection of a second hub.
pub(crate) struct World {
    pub(crate) queue_type: QueueType,
    pub(crate) hub: Arc<dyn Broker>,
    pub(crate) other_hub: Arc<dyn Broker>,
    pub(crate) a: Arc<dyn Broker>,
    pub(crate) b: Arc<dyn Broker>,
}

pub(crate) fn system_a() -> SystemId {
    SystemId::new("xa-phuong").unwrap()
}

/// With dots, which regular expressions read as "any character".
pub(crate) fn system_b() -> SystemId {
    SystemId::new("so.tnmt").unwrap()
}

pub(crate) fn topology() -> Topology {
    topology_of(QueueType::Classic)
}

pub(crate) fn topology_of(queue_type: QueueType) -> Topology {
    Topology::hub(queue_type, [system_a(), system_b()])
}

impl World {
    /// On the twin in memory.
    pub(crate) async fn memory() -> Self {
        let hub = MemoryBroker::new();
        let world = Self {
            a: Arc::new(hub.as_system(&system_a())),
            b: Arc::new(hub.as_system(&system_b())),
            other_hub: Arc::new(hub.as_user(MemoryBroker::ADMIN)),
            queue_type: QueueType::Classic,
            hub: Arc::new(hub),
        };
        world.hub.declare(&topology()).await.unwrap();
        world
    }

    /// On the private RabbitMQ, in a virtual host of its own.
    pub(crate) async fn amqp() -> Self {
        let vhost = fresh_vhost().await;
        Self::on(&calm_node().await.node, &vhost).await
    }

    /// The same with quorum queues.
    pub(crate) async fn quorum() -> Self {
        let vhost = fresh_vhost().await;
        Self::of(&calm_node().await.node, &vhost, QueueType::Quorum).await
    }

    /// On a node, in a virtual host that exists.
    pub(crate) async fn on(node: &PrivateNode, vhost: &str) -> Self {
        Self::of(node, vhost, QueueType::Classic).await
    }

    pub(crate) async fn of(node: &PrivateNode, vhost: &str, queue_type: QueueType) -> Self {
        let accounts = node.accounts(vhost);
        let hub = connect(&node.admin_amqp_url(vhost)).await;
        let other_hub = connect(&node.admin_amqp_url(vhost)).await;
        hub.declare(&topology_of(queue_type)).await.unwrap();
        let mut systems = Vec::new();
        for system in [system_a(), system_b()] {
            accounts.ensure_system(&system, "mat-khau").await.unwrap();
            systems.push(connect(&node.amqp_url(system.as_str(), "mat-khau", vhost)).await);
        }
        let b = systems.pop().unwrap();
        let a = systems.pop().unwrap();
        Self {
            queue_type,
            hub,
            other_hub,
            a,
            b,
        }
    }
}

/// Impatient, so that tests of time-outs are short.
pub(crate) fn config(url: &str) -> BrokerConfig {
    let mut config = BrokerConfig::new(url.parse().unwrap(), "test");
    config.reconnect_min = Duration::from_millis(20);
    config.reconnect_max = Duration::from_millis(200);
    config
}

pub(crate) async fn connect(url: &str) -> Arc<dyn Broker> {
    AmqpBroker::connect(config(url)).await.unwrap()
}

/// A node. Its directory lies in cargo's, by our process number, because nothing runs at the end of a
/// process that could remove it; the next run does.
pub(crate) struct Standing {
    pub(crate) node: PrivateNode,
}

impl Standing {
    pub(crate) async fn start(name: &str) -> Self {
        sweep();
        let dir = here().join(format!("{}-{name}", std::process::id()));
        let node = PrivateNode::start(PrivateNodeConfig::new(dir)).await.unwrap();
        Self { node }
    }
}

/// Where the nodes of these tests lie.
pub(crate) fn here() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("broker")
}

/// Removes the directories of processes that are no more.
fn sweep() {
    for entry in std::fs::read_dir(here()).into_iter().flatten().flatten() {
        let owner = entry
            .file_name()
            .to_string_lossy()
            .split('-')
            .next()
            .map(str::to_owned);
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// The node that no test stops.
pub(crate) async fn calm_node() -> &'static Standing {
    static NODE: OnceCell<Standing> = OnceCell::const_new();
    NODE.get_or_init(async || Standing::start("calm").await).await
}

/// The node that tests may stop, kill and starve; for one test at a time, who leaves it running.
pub(crate) async fn rough_node() -> MutexGuard<'static, Standing> {
    static NODE: OnceCell<Mutex<Standing>> = OnceCell::const_new();
    let node = NODE.get_or_init(async || Mutex::new(Standing::start("rough").await));
    let mut standing = node.await.lock().await;
    // An earlier test may have failed half-way.
    standing.node.start_again().await.unwrap();
    standing.node.set_memory_alarm(false).await.unwrap();
    standing
}

pub(crate) async fn fresh_vhost() -> String {
    let vhost = vhost_name();
    let accounts = calm_node().await.node.accounts(&vhost);
    accounts.ensure_vhost().await.unwrap();
    vhost
}

pub(crate) fn vhost_name() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("test/{}", NUMBER.fetch_add(1, Ordering::SeqCst))
}

/// Waits for a condition, and fails by its name when it does not come.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !condition().await {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Waits for a future, and fails by its name when it does not resolve.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

pub(crate) async fn ready(broker: &Arc<dyn Broker>, queue: &str) -> u32 {
    broker.queue_depth(queue).await.unwrap().ready
}

/// A message for a system's inbox.
pub(crate) fn deliver(to: &SystemId, id: &str) -> OutMessage {
    message("truc.deliver", to.as_str(), id)
}

/// A document of a system.
pub(crate) fn submit(id: &str) -> OutMessage {
    message("truc.submit", "document", id)
}

pub(crate) fn message(exchange: &str, key: &str, id: &str) -> OutMessage {
    OutMessage {
        exchange: exchange.to_owned(),
        routing_key: key.to_owned(),
        properties: Properties {
            message_id: Some(id.to_owned()),
            ..Properties::default()
        },
        body: Arc::from(id.as_bytes()),
    }
}

/// Publishes and insists on the confirm.
pub(crate) async fn keep(broker: &Arc<dyn Broker>, message: OutMessage) {
    let publisher = broker.publisher().await.unwrap();
    let confirming = publisher.publish(message).await.unwrap();
    let _ = soon("the confirm", confirming).await.unwrap();
}

/// The body as text: the tests' messages carry their name there.
pub(crate) fn name(body: &[u8]) -> String {
    String::from_utf8(body.to_vec()).unwrap()
}
