//! A cluster of three nodes with quorum queues: nodes killed and paused while publishing and consuming.
//!
//! One cluster for these tests, one after the other. Each prints how long nothing went through.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, MutexGuard, OnceCell};
use truc_transport::private_node::{PrivateCluster, PrivateClusterConfig};
use truc_transport::{AmqpBroker, Broker, BrokerConfig, BrokerState, NameHold, Publisher, QueueType};

use crate::world::{config, here, keep, name, ready, soon, submit, topology_of, until, vhost_name};

const QUEUE: &str = "truc.submit.document";
/// Messages confirmed before it happens, and after.
const AROUND: usize = 100;
/// Tasks that publish.
const WORKERS: usize = 4;

async fn cluster() -> MutexGuard<'static, PrivateCluster> {
    static CLUSTER: OnceCell<Mutex<PrivateCluster>> = OnceCell::const_new();
    let cluster = CLUSTER.get_or_init(async || {
        let dir = here().join(format!("{}-cluster", std::process::id()));
        let begun = Instant::now();
        let cluster = PrivateCluster::start(PrivateClusterConfig::new(dir))
            .await
            .unwrap();
        println!(
            "three nodes are one cluster after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        Mutex::new(cluster)
    });
    let mut cluster = cluster.await.lock().await;
    // An earlier test may have failed half-way.
    cluster.start_all().await.unwrap();
    cluster
}

/// For a virtual host of one's own on all nodes, `first` first.
async fn fresh(cluster: &PrivateCluster) -> String {
    let vhost = vhost_name();
    cluster.accounts(&vhost).ensure_vhost().await.unwrap();
    vhost
}

fn reach(cluster: &PrivateCluster, vhost: &str, first: usize) -> BrokerConfig {
    let mut hosts = cluster.hosts();
    hosts.rotate_left(first);
    let config = config(&cluster.nodes()[first].admin_amqp_url(vhost));
    config.with_more_hosts(&hosts[1..]).unwrap()
}

/// One broker connected to exactly this node first.
async fn connected_to(cluster: &PrivateCluster, vhost: &str, first: usize) -> Arc<dyn Broker> {
    let mut config = reach(cluster, vhost, first);
    // Randomness that says 0: begin with the first.
    config.random = Arc::new(Zero);
    AmqpBroker::connect(config).await.unwrap()
}

#[derive(Debug)]
struct Zero;

impl truc_model::Random for Zero {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

/// Publishes from several tasks and consumes beside it, until something has happened to `node` and a while longer.
struct Traffic {
    confirmed: Arc<AtomicUsize>,
    last: Arc<std::sync::Mutex<Instant>>,
    longest: Arc<std::sync::Mutex<Duration>>,
    enough: Arc<AtomicBool>,
    publishing: Vec<tokio::task::JoinHandle<(BTreeSet<String>, usize)>>,
    seen: Arc<std::sync::Mutex<BTreeSet<String>>>,
    twice: Arc<AtomicUsize>,
    consuming: tokio::task::JoinHandle<()>,
}

impl Traffic {
    async fn begin(publish_on: &Arc<dyn Broker>, consume_on: &Arc<dyn Broker>) -> Self {
        let publisher = publish_on.publisher().await.unwrap();
        let confirmed = Arc::new(AtomicUsize::new(0));
        let enough = Arc::new(AtomicBool::new(false));
        let last = Arc::new(std::sync::Mutex::new(Instant::now()));
        let longest = Arc::new(std::sync::Mutex::new(Duration::ZERO));
        let publishing = (0..WORKERS)
            .map(|worker| {
                let publisher = Arc::clone(&publisher);
                let (confirmed, enough) = (Arc::clone(&confirmed), Arc::clone(&enough));
                tokio::spawn(async move {
                    let (mut names, mut attempts) = (BTreeSet::new(), 0);
                    while !enough.load(Ordering::SeqCst) {
                        let id = format!("{worker}-{}", names.len());
                        attempts += insist(&publisher, &id).await;
                        names.insert(id);
                        confirmed.fetch_add(1, Ordering::SeqCst);
                    }
                    (names, attempts)
                })
            })
            .collect();
        let mut consumer = consume_on.consume(QUEUE, 50, "count").await.unwrap();
        let seen = Arc::new(std::sync::Mutex::new(BTreeSet::new()));
        let twice = Arc::new(AtomicUsize::new(0));
        let consuming = tokio::spawn({
            let (seen, twice) = (Arc::clone(&seen), Arc::clone(&twice));
            let (last, longest) = (Arc::clone(&last), Arc::clone(&longest));
            async move {
                while let Some(delivery) = consumer.next().await {
                    if !seen.lock().unwrap().insert(name(&delivery.body)) {
                        twice.fetch_add(1, Ordering::SeqCst);
                    }
                    let gap = std::mem::replace(&mut *last.lock().unwrap(), Instant::now()).elapsed();
                    {
                        let mut longest = longest.lock().unwrap();
                        *longest = gap.max(*longest);
                    }
                    // A stale settlement comes again.
                    let _ = delivery.ack().await;
                }
            }
        });
        let traffic = Self {
            confirmed,
            last,
            longest,
            enough,
            publishing,
            seen,
            twice,
            consuming,
        };
        traffic.goes_on("before").await;
        *traffic.longest.lock().unwrap() = Duration::ZERO;
        traffic
    }

    /// Waits until so many more were confirmed and came.
    async fn goes_on(&self, when: &str) {
        let confirmed = self.confirmed.load(Ordering::SeqCst);
        let seen = self.seen.lock().unwrap().len();
        until(&format!("it goes on {when}"), async || {
            self.confirmed.load(Ordering::SeqCst) >= confirmed + AROUND
                && self.seen.lock().unwrap().len() >= seen + AROUND
        })
        .await;
    }

    /// Ends it: nothing confirmed may be missing, and what came twice was sent or handed out twice.
    async fn end(self, what: &str) {
        self.enough.store(true, Ordering::SeqCst);
        let (mut names, mut attempts) = (BTreeSet::new(), 0);
        for publishing in self.publishing {
            let (some, tried) = soon("a publisher to end", publishing).await.unwrap();
            names.extend(some);
            attempts += tried;
        }
        until("everything confirmed has come", async || {
            names.is_subset(&self.seen.lock().unwrap())
        })
        .await;
        self.consuming.abort();
        println!(
            "{what}: {} confirmed in {attempts} attempts, 0 lost, {} came twice; nothing came for {:.1} s at most",
            names.len(),
            self.twice.load(Ordering::SeqCst),
            self.longest.lock().unwrap().as_secs_f64(),
        );
        drop(self.last);
    }
}

/// Publishes one message until it is confirmed.
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_killed_in_turn_while_publishing_and_consuming() {
    let mut cluster = cluster().await;
    let vhost = fresh(&cluster).await;
    let publish_on = connected_to(&cluster, &vhost, 0).await;
    let consume_on = connected_to(&cluster, &vhost, 1).await;
    publish_on.declare(&topology_of(QueueType::Quorum)).await.unwrap();
    for victim in 0..cluster.nodes().len() {
        let leader = cluster.leader(&vhost, QUEUE).await.unwrap();
        let what = if leader == Some(victim) {
            ", which led the queue"
        } else {
            ""
        };
        let traffic = Traffic::begin(&publish_on, &consume_on).await;
        cluster.nodes_mut()[victim].kill();
        traffic.goes_on("without the node").await;
        cluster.start_all().await.unwrap();
        traffic.goes_on("with the node again").await;
        traffic.end(&format!("node {} killed{what}", victim + 1)).await;
    }
    assert_eq!(ready(&publish_on, "truc.dead.letters").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_hangs_is_left_for_another() {
    let mut cluster = cluster().await;
    let vhost = fresh(&cluster).await;
    let publish_on = connected_to(&cluster, &vhost, 0).await;
    let consume_on = connected_to(&cluster, &vhost, 0).await;
    publish_on.declare(&topology_of(QueueType::Quorum)).await.unwrap();
    let traffic = Traffic::begin(&publish_on, &consume_on).await;
    let mut state = publish_on.state();
    cluster.nodes()[0].pause();
    let down = state.wait_for(|state| matches!(state, BrokerState::Down { .. }));
    assert!(soon("the silence to be noticed", down).await.is_ok());
    traffic.goes_on("on the other nodes").await;
    // Whoever starts now and asks the silent node first comes through, too.
    let begun = Instant::now();
    let late = connected_to(&cluster, &vhost, 0).await;
    println!(
        "connected past a node that hangs after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    keep(&late, submit("late")).await;
    cluster.nodes()[0].resume();
    traffic.goes_on("with the node awake").await;
    // It woke after the others had given it up: RabbitMQ calls that a partition, and wants the node started anew.
    cluster.nodes_mut()[0].kill();
    cluster.start_all().await.unwrap();
    traffic.goes_on("with the node again").await;
    traffic.end("node 1 paused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_held_across_nodes_and_let_go_with_its_node() {
    let mut cluster = cluster().await;
    let vhost = fresh(&cluster).await;
    let holder = connected_to(&cluster, &vhost, 0).await;
    let other = connected_to(&cluster, &vhost, 1).await;
    assert_eq!(holder.hold_name("hub-1").await, Ok(NameHold::Ours));
    assert_eq!(other.hold_name("hub-1").await, Ok(NameHold::Others));
    assert_eq!(other.is_name_held("hub-1").await, Ok(true));
    cluster.nodes_mut()[0].kill();
    until("the name is free", async || {
        other.is_name_held("hub-1").await == Ok(false)
    })
    .await;
    // The holder goes on with another node, and holds it again.
    until("the holder has it again", async || {
        holder.hold_name("hub-1").await == Ok(NameHold::Ours)
    })
    .await;
    assert_eq!(other.hold_name("hub-1").await, Ok(NameHold::Others));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_nothing_is_confirmed_and_then_it_goes_on() {
    let mut cluster = cluster().await;
    let vhost = fresh(&cluster).await;
    let hub = connected_to(&cluster, &vhost, 0).await;
    hub.declare(&topology_of(QueueType::Quorum)).await.unwrap();
    keep(&hub, submit("before")).await;
    let publisher = hub.publisher().await.unwrap();
    for node in &mut cluster.nodes_mut()[1..] {
        node.kill();
    }
    // The node that is left closes its door: alone it could not tell itself from the others.
    let mut state = hub.state();
    let down = state.wait_for(|state| matches!(state, BrokerState::Down { .. }));
    assert!(soon("the door to close", down).await.is_ok());
    let waiting = tokio::spawn(async move { insist(&publisher, "meanwhile").await });
    cluster.start_all().await.unwrap();
    soon("the confirm", waiting).await.unwrap();
    until(
        "both are there",
        async || matches!(hub.queue_depth(QUEUE).await, Ok(depth) if depth.ready >= 2),
    )
    .await;
}
