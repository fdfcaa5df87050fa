//! `truc bench backlog`: how long after its start a hub with many waiting deliveries gives out the first, and how
//! fast the rest follows.
//!
//! The deliveries come to wait as they would in life: documents are submitted and accepted while nobody takes
//! anything. The hub that accepts them has a window of one, so that each inbox holds one message and everything
//! else waits in the ledger; then it stops, and the hub that is measured starts with the default window.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::mpsc;
use truc_ledger::{BalanceFilter, Ledger};
use truc_model::wire::{Intake, Outgoing, SUBMIT_EXCHANGE, Taken, header, inbox};
use truc_model::{DeliveryUid, MessageId, Random, SystemRandom};
use truc_transport::{Broker as _, Consumer, Delivery, OutMessage, Publisher};

use super::clients::unexpected;
use super::documents::{Documents, Order, properties};
use super::machine::{Flush, Memory, flush_latency, memory};
use super::plan::Cell;
use super::processes::Hub;
use super::province::Province;
use super::stats::{ms, rate};
use super::world::{World, differences, senders};
use crate::demo::stage::{Connected, Doing, Stage, StageError, now};

/// Most deliveries in one `taken`: the SDK's batch.
const BATCH_MAX: usize = 64;
/// Unsettled messages of an inbox: the default window and what may be urgent beyond it.
const PREFETCH: u16 = 64;
/// Submissions without a confirm.
const UNCONFIRMED_MAX: usize = 256;
/// Longest wait for the next message.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Backlog {
    /// Size of the packets, ledger, queues, signature.
    pub cell: Cell,
    /// Systems; their inboxes hold what waits.
    pub systems: usize,
    /// Documents.
    pub documents: usize,
    /// Recipients of each document, each with a system of its own.
    pub recipients: usize,
}

/// What was measured.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// How.
    pub backlog: Backlog,
    /// Keys of the hub's configuration that differ from the default.
    pub configuration: Vec<String>,
    /// How long it took to submit and accept all.
    pub accepting_s: f64,
    /// Deliveries that waited in the ledger when the hub was started.
    pub waiting: u64,
    /// From the start of the hub's process until the first of them was in a recipient's hands, in milliseconds.
    pub first_ms: f64,
    /// Until the last was recorded as taken, in seconds.
    pub last_s: f64,
    /// Deliveries a second.
    pub per_second: f64,
    /// Memory when the first delivery was there.
    pub at_first: Memory,
    /// And at the end.
    pub at_end: Memory,
    /// The disk before the start.
    pub flush_before: Flush,
    /// And after the end.
    pub flush_after: Flush,
}

/// Measures a backlog.
///
/// # Errors
/// [`StageError`] when something was lost, doubled or changed.
pub async fn measure(
    world: &mut World,
    backlog: &Backlog,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Measured, StageError> {
    if backlog.recipients >= backlog.systems {
        return Err(StageError(format!(
            "a document for {} recipients on systems of their own, not the sender's, needs more than {} systems",
            backlog.recipients, backlog.systems
        )));
    }
    let province = Province::new(backlog.systems, backlog.systems)?;
    let filling = "[delivery]\nwindow = 1\nurgent_extra = 0\n";
    let stage = world.stage(&province, &backlog.cell, filling).await?;
    let senders = senders(&stage, &province.systems, backlog.cell.signed).await?;
    let documents = Documents::make(&Order {
        province: &province,
        senders: &senders,
        count: backlog.documents,
        bytes: backlog.cell.kib as usize * 1024,
        recipients: &|sender| {
            (1..=backlog.recipients)
                .map(|step| (sender + step) % backlog.systems)
                .collect()
        },
    })?;
    drop(senders);
    let ledger = stage.ledger().await?;

    told("documents are submitted while nobody takes anything");
    let started = Instant::now();
    let hub = Hub::start(&world.program, &stage)?;
    let mut inboxes = Vec::new();
    let (telling, mut hearing) = mpsc::channel(1024);
    for system in &province.systems {
        let reader = Inbox::open(&stage, system, telling.clone()).await?;
        inboxes.push(reader);
    }
    submit(&inboxes, &documents).await?;
    let mut inboxes = hold(inboxes, &mut hearing, backlog.documents).await?;
    let accepting_s = started.elapsed().as_secs_f64();
    hub.stop().await?;
    let waiting = waiting(&ledger).await?;

    let config = with_window_of(&world.delivery()?, &stage)?;
    told(&format!("{waiting} deliveries wait; the hub starts"));
    let flush_before = flush_latency(&stage.dir).await?;
    let all = backlog.documents * backlog.recipients;
    let held = all - usize::try_from(waiting).unwrap_or(usize::MAX).min(all);
    for inbox in &mut inboxes {
        inbox.expect_no_receipts();
    }
    let start = Instant::now();
    let hub = Hub::start(&world.program, &stage)?;
    let pid = hub.pid();
    let mut readers = tokio::task::JoinSet::new();
    for inbox in inboxes {
        readers.spawn(inbox.drain());
    }
    drop(telling);
    let (mut first, mut at_first) = (None, Memory::default());
    let mut taken = 0;
    while taken < all {
        match tokio::time::timeout(PATIENCE, hearing.recv()).await {
            Ok(Some(Told::Fresh(at))) if first.is_none() => {
                first = Some(at);
                at_first = memory(pid)?;
            }
            Ok(Some(Told::Fresh(_) | Told::Receipt)) => {}
            Ok(Some(Told::Taken(count))) => taken += count,
            Ok(Some(Told::Failed(error))) => return Err(error),
            Ok(None) => return Err(StageError("the inboxes were closed".to_owned())),
            Err(_) => {
                return Err(StageError(format!(
                    "nothing came for {} s; {taken} of {all} deliveries were taken",
                    PATIENCE.as_secs()
                )));
            }
        }
    }
    super::load::all_taken(&ledger).await?;
    let took = start.elapsed();
    let at_end = memory(pid)?;
    readers.abort_all();
    hub.stop().await?;
    let flush_after = flush_latency(&stage.dir).await?;
    let balance = ledger
        .balance(&BalanceFilter::default())
        .await
        .doing("balancing")?;
    if !balance.balances() || balance.total.accepted != all as u64 || balance.total.taken != all as u64 {
        return Err(StageError(format!(
            "the ledger does not balance: {all} deliveries, {held} of them held before the start, {:?}",
            balance.total
        )));
    }
    Ok(Measured {
        backlog: *backlog,
        configuration: config,
        accepting_s,
        waiting,
        first_ms: first.map_or(0.0, |first: Instant| ms(first.duration_since(start))),
        last_s: took.as_secs_f64(),
        per_second: rate(all, took),
        at_first,
        at_end,
        flush_before,
        flush_after,
    })
}

async fn waiting(ledger: &Ledger) -> Result<u64, StageError> {
    let counts = ledger.inbox_counts().await.doing("asking the ledger")?;
    Ok(counts.iter().map(|count| count.scheduled).sum())
}

/// Rewrites the configuration file with the window that is meant; gives the keys that differ from the default then.
fn with_window_of(delivery: &crate::config::Delivery, stage: &Stage) -> Result<Vec<String>, StageError> {
    let mut config = stage.config.clone();
    config.delivery.window = delivery.window;
    config.delivery.urgent_extra = delivery.urgent_extra;
    let text = toml::to_string(&config).doing("writing the configuration")?;
    std::fs::write(&stage.config_file, text).doing("writing the configuration")?;
    Ok(differences(&config))
}

/// Every system submits what is its own.
async fn submit(inboxes: &[Inbox], documents: &Documents) -> Result<(), StageError> {
    let senders = inboxes.iter().enumerate().map(|(number, inbox)| async move {
        let mut confirming = std::collections::VecDeque::new();
        for document in (number..documents.len()).step_by(inboxes.len()) {
            let message = documents.messages[document].clone();
            confirming.push_back(inbox.publisher.publish(message).await.doing("submitting")?);
            if confirming.len() >= UNCONFIRMED_MAX
                && let Some(first) = confirming.pop_front()
            {
                let _kept = first.await.doing("submitting")?;
            }
        }
        for confirm in confirming {
            let _kept = confirm.await.doing("submitting")?;
        }
        Ok::<_, StageError>(())
    });
    futures_util::future::try_join_all(senders).await.map(drop)
}

/// Waits for a receipt for each document; documents that come are held, unsettled and untaken.
async fn hold(
    inboxes: Vec<Inbox>,
    hearing: &mut mpsc::Receiver<Told>,
    documents: usize,
) -> Result<Vec<Inbox>, StageError> {
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let mut readers = tokio::task::JoinSet::new();
    for inbox in inboxes {
        readers.spawn(inbox.hold(stopped.clone()));
    }
    let mut receipts = 0;
    while receipts < documents {
        match tokio::time::timeout(PATIENCE, hearing.recv()).await {
            Ok(Some(Told::Receipt)) => receipts += 1,
            Ok(Some(Told::Failed(error))) => return Err(error),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => {
                return Err(StageError(format!("{receipts} of {documents} receipts came")));
            }
        }
    }
    let _ = stop.send(true);
    Ok(readers.join_all().await)
}

/// What an inbox tells.
enum Told {
    /// A receipt came.
    Receipt,
    /// A document came to a hub that was just started.
    Fresh(Instant),
    /// So many are said to be taken.
    Taken(usize),
    /// It went wrong.
    Failed(StageError),
}

/// One system.
struct Inbox {
    system: Connected,
    publisher: std::sync::Arc<dyn Publisher>,
    consumer: Box<dyn Consumer>,
    /// Keeps the connection.
    _broker: std::sync::Arc<truc_transport::AmqpBroker>,
    held: Vec<Delivery>,
    receipts: bool,
    telling: mpsc::Sender<Told>,
}

impl Inbox {
    async fn open(stage: &Stage, system: &str, telling: mpsc::Sender<Told>) -> Result<Self, StageError> {
        let system = stage.system(system)?.clone();
        let broker = stage.connect(&system).await?;
        Ok(Self {
            publisher: broker.publisher().await.doing("publishing")?,
            consumer: broker
                .consume(&inbox(&system.id), PREFETCH, "truc-bench")
                .await
                .doing("reading an inbox")?,
            _broker: broker,
            system,
            held: Vec::new(),
            receipts: true,
            telling,
        })
    }

    /// From now on a receipt is a surprise.
    const fn expect_no_receipts(&mut self) {
        self.receipts = false;
    }

    /// Settles receipts and keeps the rest in hand, until told to stop.
    async fn hold(mut self, mut stopped: tokio::sync::watch::Receiver<bool>) -> Self {
        loop {
            let delivery = tokio::select! {
                biased;
                delivery = self.consumer.next() => delivery,
                _ = stopped.wait_for(|stopped| *stopped) => return self,
            };
            let Some(delivery) = delivery else { return self };
            match delivery.properties.kind.as_deref().and_then(Outgoing::from_word) {
                Some(Outgoing::Document) => self.held.push(delivery),
                Some(Outgoing::Receipt) if self.receipts => {
                    let told = match delivery.ack().await.doing("settling") {
                        Ok(()) => Told::Receipt,
                        Err(error) => Told::Failed(error),
                    };
                    let _ = self.telling.send(told).await;
                }
                _ => {
                    let _ = self.telling.send(Told::Failed(unexpected(&delivery))).await;
                    return self;
                }
            }
        }
    }

    /// Takes everything: first what comes from the new hub, then what was held.
    async fn drain(mut self) {
        if let Err(error) = self.take_all().await {
            let _ = self.telling.send(Told::Failed(error)).await;
        }
    }

    async fn take_all(&mut self) -> Result<(), StageError> {
        let random = SystemRandom::default();
        while let Some(delivery) = self.consumer.next().await {
            let _ = self.telling.send(Told::Fresh(Instant::now())).await;
            let mut batch = std::mem::take(&mut self.held);
            batch.push(delivery);
            while batch.len() < BATCH_MAX
                && let Some(Some(delivery)) = futures_util::FutureExt::now_or_never(self.consumer.next())
            {
                batch.push(delivery);
            }
            let mut taken = Taken::default();
            for delivery in &batch {
                if delivery.properties.kind.as_deref() != Some(Outgoing::Document.as_str()) {
                    return Err(unexpected(delivery));
                }
                let id = delivery.properties.text(header::DELIVERY).unwrap_or_default();
                taken
                    .taken
                    .push(id.parse::<DeliveryUid>().doing("reading a delivery's id")?);
            }
            let message_id = MessageId::new(random.uuid_v7(now()));
            let message = OutMessage {
                exchange: SUBMIT_EXCHANGE.to_owned(),
                routing_key: Intake::Taken.as_str().to_owned(),
                properties: properties(&self.system.id, Intake::Taken, message_id),
                body: std::sync::Arc::from(serde_json::to_vec(&taken).doing("saying taken")?),
            };
            let confirming = self.publisher.publish(message).await.doing("saying taken")?;
            let _kept = confirming.await.doing("saying taken")?;
            let count = batch.len();
            for delivery in batch {
                delivery.ack().await.doing("settling")?;
            }
            let _ = self.telling.send(Told::Taken(count)).await;
        }
        Ok(())
    }
}
