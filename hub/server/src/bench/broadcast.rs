//! `truc bench broadcast`: one packet to many recipients, until the last system has taken it; beside the bare
//! forwarder that publishes the same messages.
//!
//! Every receiving system says `taken` for itself, under its own name. Fifteen hundred systems have no room for
//! connections of their own on one machine, so a broker user with the tag `impersonator` reads all inboxes and
//! speaks for all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use truc_ledger::{BalanceFilter, Ledger};
use truc_model::wire::{Intake, Outgoing, SUBMIT_EXCHANGE, Taken, header, inbox};
use truc_model::{DeliveryUid, MessageId, Random, SystemId, SystemRandom};
use truc_transport::private_node::PrivateNode;
use truc_transport::{AmqpBroker, Broker, BrokerConfig, Consumer, Delivery, OutMessage, Publisher};

use super::clients::{Samples, unexpected};
use super::documents::{Documents, Order, properties};
use super::forwarder::Task;
use super::load::all_taken;
use super::machine::{Flush, Memory, Moment, flush_latency, memory};
use super::plan::Cell;
use super::processes::{Forwarder, Hub, form};
use super::province::Province;
use super::stats::ms;
use super::world::{World, differences, senders};
use crate::demo::stage::{Doing, Stage, StageError, now};

/// Inboxes that one connection reads: a broker allows some two thousand channels on one.
const INBOXES_MAX: usize = 500;
/// Unsettled messages of one inbox.
const PREFETCH: u16 = 32;
/// Longest wait for the next message.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Broadcast {
    /// Size of the packet, ledger, queues, signature.
    pub cell: Cell,
    /// Systems that receive.
    pub systems: usize,
    /// Recipients, served by them in turns.
    pub recipients: usize,
    /// Packets, one after the other.
    pub packets: usize,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// How.
    pub broadcast: Broadcast,
    /// Bytes of the packet.
    pub bytes: usize,
    /// Bytes of its receipt.
    pub receipt_bytes: usize,
    /// Keys of the hub's configuration that differ from the default.
    pub configuration: Vec<String>,
    /// The hub's packets, in order.
    pub hub: Vec<Times>,
    /// The forwarder's packets, in order.
    pub bare: Vec<Times>,
    /// Processor time of the hub for all its packets, in milliseconds each.
    pub hub_cpu_ms: f64,
    /// Of the broker meanwhile.
    pub broker_cpu_ms: f64,
    /// Memory of the hub before the first packet.
    pub idle: Memory,
    /// And after the last.
    pub memory: Memory,
    /// The disk before.
    pub flush_before: Flush,
    /// And after.
    pub flush_after: Flush,
}

/// One packet, in milliseconds from its submission.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Times {
    /// Its receipt is in the sender's hands.
    pub receipt_ms: f64,
    /// The first system has it.
    pub first_ms: f64,
    /// The last system has it.
    pub last_ms: f64,
    /// The broker has the last `taken`.
    pub taken_ms: f64,
    /// It is settled everywhere; of the hub: the ledger has the last as taken.
    pub done_ms: f64,
}

/// Measures a broadcast.
///
/// # Errors
/// [`StageError`] when something was lost, doubled or changed.
pub async fn measure(
    world: &mut World,
    broadcast: &Broadcast,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Measured, StageError> {
    told(&format!(
        "{} systems get accounts, queues and certificates",
        broadcast.systems
    ));
    let province = Province::one_to_many(broadcast.systems, broadcast.recipients)?;
    let stage = world.stage(&province, &broadcast.cell, "").await?;
    let senders = senders(&stage, &province.systems[..1], broadcast.cell.signed).await?;
    let documents = Documents::make(&Order {
        province: &province,
        senders: &senders,
        count: broadcast.packets,
        bytes: broadcast.cell.kib as usize * 1024,
        recipients: &|_| (1..=broadcast.recipients).collect(),
    })?;
    let sender = stage.connect(stage.system(&province.systems[0])?).await?;
    let mut ends = Ends {
        documents: &documents,
        publisher: sender.publisher().await.doing("publishing")?,
        answers: sender
            .consume(&inbox(&senders[0].id), PREFETCH, "truc-bench")
            .await
            .doing("reading an inbox")?,
        systems: broadcast.systems,
        arrivals: mpsc::channel(broadcast.systems * usize::from(PREFETCH)).1,
        samples: Samples::default(),
    };
    let crowd = Crowd::gather(&world.node, &stage, &province, &mut ends).await?;

    told("packets are sent");
    let flush_before = flush_latency(&stage.dir).await?;
    let mut hub = Hub::start(&world.program, &stage)?;
    hub.ready(&stage).await?;
    let idle = memory(hub.pid())?;
    let ledger = stage.ledger().await?;
    let before = Moment::now()?;
    let mut by_hub = Vec::new();
    for number in 0..broadcast.packets {
        let (start, mut times) = ends.packet(number).await?;
        all_taken(&ledger).await?;
        times.done_ms = ms(start.elapsed());
        by_hub.push(times);
    }
    let after = Moment::now()?;
    let memory = memory(hub.pid())?;
    let each = |pid: u32| ms(after.spent_since(&before, pid)) / broadcast.packets.max(1) as f64;
    let (hub_cpu_ms, broker_cpu_ms) = (each(hub.pid()), each(world.broker_pid()?));
    hub.stop().await?;
    balances(&ledger, broadcast).await?;

    let sample = |sample: &std::sync::OnceLock<truc_transport::Message>| {
        sample
            .get()
            .map(form)
            .ok_or_else(|| StageError("the hub published nothing to imitate".to_owned()))
    };
    let task = Task {
        url: world.node.admin_amqp_url(&stage.vhost),
        routes: BTreeMap::from([(province.systems[0].clone(), province.systems[1..].to_vec())]),
        delivery: sample(&ends.samples.delivery)?,
        receipt: sample(&ends.samples.receipt)?,
    };
    let mut forwarder = Forwarder::start(&world.program, &task).await?;
    let mut by_forwarder = Vec::new();
    for number in 0..broadcast.packets {
        let (start, mut times) = ends.packet(number).await?;
        forwarder.finish(1, broadcast.systems as u64).await?;
        times.done_ms = ms(start.elapsed());
        by_forwarder.push(times);
    }
    forwarder.stop().await?;
    let flush_after = flush_latency(&stage.dir).await?;
    sender.close().await;
    crowd.close().await;
    Ok(Measured {
        broadcast: *broadcast,
        bytes: documents.messages.first().map_or(0, |message| message.body.len()),
        receipt_bytes: task.receipt.body.len(),
        configuration: differences(&stage.config),
        hub: by_hub,
        bare: by_forwarder,
        hub_cpu_ms,
        broker_cpu_ms,
        idle,
        memory,
        flush_before,
        flush_after,
    })
}

async fn balances(ledger: &Ledger, broadcast: &Broadcast) -> Result<(), StageError> {
    let balance = ledger
        .balance(&BalanceFilter::default())
        .await
        .doing("balancing")?;
    let total = &balance.total;
    let all = (broadcast.packets * broadcast.recipients) as u64;
    if balance.balances() && total.accepted == all && total.taken == all {
        return Ok(());
    }
    Err(StageError(format!(
        "the ledger does not balance: {all} recipients were sent to, {total:?}"
    )))
}

/// The sender, and what the receiving systems tell.
struct Ends<'a> {
    documents: &'a Documents,
    publisher: Arc<dyn Publisher>,
    answers: Box<dyn Consumer>,
    systems: usize,
    arrivals: mpsc::Receiver<Result<Arrival, StageError>>,
    samples: Samples,
}

/// One system has one packet.
struct Arrival {
    system: usize,
    document: usize,
    at: Instant,
    taken: Instant,
    message: Option<Box<truc_transport::Message>>,
}

impl Ends<'_> {
    /// Sends a packet and waits until everybody has it and has said so.
    async fn packet(&mut self, number: usize) -> Result<(Instant, Times), StageError> {
        let start = Instant::now();
        let message = self.documents.messages[number].clone();
        let confirming = self.publisher.publish(message).await.doing("submitting")?;
        let _kept = confirming.await.doing("submitting")?;
        let mut receipt = None;
        let mut seen = vec![false; self.systems];
        let (mut first, mut last, mut taken) = (None, start, start);
        while receipt.is_none() || seen.contains(&false) {
            tokio::select! {
                answer = self.answers.next() => {
                    let delivery = answer.ok_or_else(|| StageError("the inbox was closed".to_owned()))?;
                    let of = delivery.properties.correlation_id.as_deref().unwrap_or_default();
                    if delivery.properties.kind.as_deref() != Some(Outgoing::Receipt.as_str())
                        || self.documents.of_message(of) != Some(number)
                        || receipt.is_some()
                    {
                        return Err(unexpected(&delivery));
                    }
                    receipt = Some(Instant::now());
                    let _first_only = self.samples.receipt.get_or_init(|| delivery.message.clone());
                    delivery.ack().await.doing("settling")?;
                }
                arrival = self.arrivals.recv() => {
                    let arrival = arrival.ok_or_else(|| StageError("the inboxes were closed".to_owned()))??;
                    if arrival.document != number || std::mem::replace(&mut seen[arrival.system], true) {
                        return Err(StageError("a packet came twice or out of its turn".to_owned()));
                    }
                    first.get_or_insert(arrival.at);
                    last = last.max(arrival.at);
                    taken = taken.max(arrival.taken);
                    if let Some(message) = arrival.message {
                        let _first_only = self.samples.delivery.get_or_init(|| *message);
                    }
                }
                () = tokio::time::sleep(PATIENCE) => {
                    let missing = seen.iter().filter(|seen| !**seen).count();
                    return Err(StageError(format!("{missing} systems wait for packet {number} in vain")));
                }
            }
        }
        let since = |at: Option<Instant>| at.map_or(0.0, |at| ms(at.duration_since(start)));
        let times = Times {
            receipt_ms: since(receipt),
            first_ms: since(first),
            last_ms: since(Some(last)),
            taken_ms: since(Some(taken)),
            done_ms: 0.0,
        };
        Ok((start, times))
    }
}

/// All receiving systems, on few connections.
struct Crowd {
    brokers: Vec<Arc<AmqpBroker>>,
}

impl Crowd {
    async fn gather(
        node: &PrivateNode,
        stage: &Stage,
        province: &Province,
        ends: &mut Ends<'_>,
    ) -> Result<Self, StageError> {
        // Only such a user may speak for others; the broker checks `user_id` of everybody else.
        node.rabbitmqctl(&[
            "set_user_tags",
            PrivateNode::ADMIN,
            "administrator",
            "impersonator",
        ])
        .await
        .doing("letting one user speak for all systems")?;
        let (telling, arrivals) = mpsc::channel(ends.systems * usize::from(PREFETCH));
        ends.arrivals = arrivals;
        let mut brokers = Vec::new();
        // The bodies are compared by the tasks; they hold a copy of the list, not of the bytes.
        let documents = Arc::new(ends.documents.clone());
        for (part, systems) in province.systems[1..].chunks(INBOXES_MAX).enumerate() {
            let url = node
                .admin_amqp_url(&stage.vhost)
                .parse()
                .doing("reading the broker's address")?;
            let broker = AmqpBroker::connect(BrokerConfig::new(url, "truc-bench crowd"))
                .await
                .doing("connecting")?;
            let publisher = broker.publisher().await.doing("publishing")?;
            for (at, system) in systems.iter().enumerate() {
                let id = stage.system(system)?.id.clone();
                let inbox = broker
                    .consume(&inbox(&id), PREFETCH, "truc-bench")
                    .await
                    .doing("reading an inbox")?;
                let reader = Reader {
                    id,
                    number: part * INBOXES_MAX + at,
                    publisher: Arc::clone(&publisher),
                    documents: Arc::clone(&documents),
                    telling: telling.clone(),
                };
                tokio::spawn(reader.read(inbox));
            }
            brokers.push(broker);
        }
        Ok(Self { brokers })
    }

    async fn close(self) {
        for broker in self.brokers {
            broker.close().await;
        }
    }
}

/// One receiving system.
struct Reader {
    id: SystemId,
    number: usize,
    publisher: Arc<dyn Publisher>,
    documents: Arc<Documents>,
    telling: mpsc::Sender<Result<Arrival, StageError>>,
}

impl Reader {
    /// Until the connection or the other end is closed.
    async fn read(self, mut inbox: Box<dyn Consumer>) {
        let random = SystemRandom::default();
        while let Some(delivery) = inbox.next().await {
            let told = self.take(&random, delivery).await;
            let failed = told.is_err();
            if self.telling.send(told).await.is_err() || failed {
                break;
            }
        }
    }

    async fn take(&self, random: &SystemRandom, delivery: Delivery) -> Result<Arrival, StageError> {
        let at = Instant::now();
        if delivery.properties.kind.as_deref() != Some(Outgoing::Document.as_str()) {
            return Err(unexpected(&delivery));
        }
        let document = self.documents.of_body(&delivery.body).ok_or_else(|| {
            StageError("a document came that is not, to the bit, one that was sent".to_owned())
        })?;
        let id = delivery.properties.text(header::DELIVERY).unwrap_or_default();
        let taken = Taken {
            taken: vec![id.parse::<DeliveryUid>().doing("reading a delivery's id")?],
            ..Taken::default()
        };
        let message_id = MessageId::new(random.uuid_v7(now()));
        let message = OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: Intake::Taken.as_str().to_owned(),
            properties: properties(&self.id, Intake::Taken, message_id),
            body: Arc::from(serde_json::to_vec(&taken).doing("saying taken")?),
        };
        let confirming = self.publisher.publish(message).await.doing("saying taken")?;
        let _kept = confirming.await.doing("saying taken")?;
        let said = Instant::now();
        let message = (self.number == 0).then(|| Box::new(delivery.message.clone()));
        delivery.ack().await.doing("settling")?;
        Ok(Arrival {
            system: self.number,
            document,
            at,
            taken: said,
            message,
        })
    }
}
