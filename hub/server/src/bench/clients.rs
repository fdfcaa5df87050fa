//! The systems at the ends: they submit, await their receipts, read their inboxes, say `taken` and settle, as an
//! adapter on the SDK does; they store nothing. The same clients drive the hub and the bare forwarder.
//!
//! Each system has an account and connections of its own and is sender and recipient at once. It works its
//! inbox as the SDK does: it takes what is there, up to a batch, says `taken` for all of it in one message, awaits
//! the broker's confirm, settles each, and reads on.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Mutex, Semaphore};
use truc_model::wire::{Intake, Outgoing, SUBMIT_EXCHANGE, Taken, header, inbox};
use truc_model::{DeliveryUid, MessageId, Random, SystemRandom};
use truc_transport::{AmqpBroker, Broker, Consumer, Delivery, Message, OutMessage, Publisher};

use super::documents::{Documents, properties};
use super::plan::Pace;
use crate::demo::stage::{Connected, Doing, Stage, StageError, now};

/// Most messages of one batch of the inbox: the SDK's `BATCH_MAX`.
const BATCH_MAX: usize = 64;
/// Unsettled messages of one inbox: the SDK's default.
const PREFETCH: u16 = 32;
/// Longest wait for the next message of all inboxes before a phase is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// A moment that has not come.
const NEVER: u64 = 0;

/// A connected system.
pub struct Client {
    system: Connected,
    broker: Arc<AmqpBroker>,
    publisher: Arc<dyn Publisher>,
    inbox: Mutex<Box<dyn Consumer>>,
}

impl Client {
    /// Connects under the system's own account and begins to read its inbox.
    ///
    /// # Errors
    /// [`StageError`] when the broker refuses.
    pub async fn connect(stage: &Stage, system: &str) -> Result<Self, StageError> {
        let system = stage.system(system)?.clone();
        let broker = stage.connect(&system).await?;
        let publisher = broker.publisher().await.doing("publishing")?;
        let inbox = broker
            .consume(&inbox(&system.id), PREFETCH, "truc-bench")
            .await
            .doing("reading an inbox")?;
        Ok(Self {
            system,
            broker,
            publisher,
            inbox: Mutex::new(inbox),
        })
    }

    /// Closes its connections.
    pub async fn close(&self) {
        self.broker.close().await;
    }
}

/// When what happened to one document, in nanoseconds since the phase began; 0 is never.
#[derive(Debug, Default)]
struct Times {
    submitted: AtomicU64,
    receipted: AtomicU64,
    arrived: AtomicU64,
    taken: AtomicU64,
}

/// What a phase looked like from its ends.
#[derive(Debug)]
pub struct Driven {
    /// From the first publish until the last receipt was in a sender's hands.
    pub receipted: Duration,
    /// From the first publish until the broker had the last `taken`.
    pub taken: Duration,
    /// For each document, from when it was to be submitted until its receipt was there.
    pub to_receipt: Vec<Duration>,
    /// For each document, from when it was to be submitted until the broker had `taken` for it.
    pub to_taken: Vec<Duration>,
    /// How late the senders were beside their timetable; empty at full pace.
    pub lateness: Vec<Duration>,
    /// When the clock started.
    pub started: Instant,
    /// `taken` messages that were said.
    pub said: u64,
}

/// A delivery and a receipt as they came, for the forwarder to imitate.
#[derive(Debug, Default)]
pub struct Samples {
    /// The first document that came.
    pub delivery: OnceLock<Message>,
    /// The first receipt that came.
    pub receipt: OnceLock<Message>,
}

/// One phase: documents through whatever stands between the ends.
pub struct Phase<'a> {
    /// The systems; document `n` is sent by system `n % clients`, and one system reads it.
    pub clients: &'a [Client],
    /// All documents.
    pub documents: &'a Documents,
    /// Those of this phase.
    pub range: Range<usize>,
    /// How fast.
    pub pace: Pace,
    /// Filled with what comes first.
    pub samples: &'a Samples,
}

struct Running<'a> {
    phase: &'a Phase<'a>,
    start: Instant,
    times: Vec<Times>,
    /// A semaphore for each sender: how many more it may submit.
    room: Vec<Semaphore>,
    receipts: AtomicU64,
    arrivals: AtomicU64,
    said: AtomicU64,
    done: tokio::sync::Notify,
}

impl Phase<'_> {
    /// Plays it to its end: every document is receipted and said to be taken, once.
    ///
    /// # Errors
    /// [`StageError`] on a refusal, on anything doubled, changed or unexpected, and when nothing comes any more.
    pub async fn play(&self) -> Result<Driven, StageError> {
        let running = Running {
            phase: self,
            start: Instant::now(),
            times: self.range.clone().map(|_| Times::default()).collect(),
            room: self.clients.iter().map(|_| Semaphore::new(self.room())).collect(),
            receipts: AtomicU64::new(0),
            arrivals: AtomicU64::new(0),
            said: AtomicU64::new(0),
            done: tokio::sync::Notify::new(),
        };
        let mut lateness = Vec::new();
        {
            let senders = futures_util::future::try_join_all(
                (0..self.clients.len()).map(|client| running.send(client)),
            );
            let readers =
                futures_util::future::try_join_all(self.clients.iter().map(|client| running.read(client)));
            let watch = running.watch_silence();
            tokio::pin!(senders, readers, watch);
            let mut sent = false;
            loop {
                tokio::select! {
                    late = &mut senders, if !sent => {
                        lateness.extend(late?.into_iter().flatten());
                        sent = true;
                    }
                    read = &mut readers => {
                        read?;
                        break;
                    }
                    silent = &mut watch => return Err(silent),
                }
            }
            if !sent {
                lateness.extend(senders.await?.into_iter().flatten());
            }
        }
        running.conclude(lateness)
    }

    const fn room(&self) -> usize {
        match self.pace {
            Pace::Full { in_flight } => in_flight,
            Pace::Rate { .. } => 0,
        }
    }
}

impl Running<'_> {
    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn times(&self, document: usize) -> Result<&Times, StageError> {
        document
            .checked_sub(self.phase.range.start)
            .and_then(|at| self.times.get(at))
            .ok_or_else(|| StageError(format!("document {document} came out of its turn")))
    }

    /// Submits what is this client's; gives how late each was.
    async fn send(&self, client: usize) -> Result<Vec<Duration>, StageError> {
        let Phase {
            clients,
            documents,
            range,
            pace,
            ..
        } = self.phase;
        let publisher = &clients[client].publisher;
        let mut confirming = FuturesUnordered::new();
        let mut lateness = Vec::new();
        for document in range.clone().filter(|n| n % clients.len() == client) {
            let due = match *pace {
                Pace::Full { .. } => {
                    let room = self.room[client].acquire().await;
                    // Given back by the receipt.
                    room.doing("submitting")?.forget();
                    self.elapsed()
                }
                Pace::Rate { per_second } => {
                    let at = Duration::from_secs(1)
                        .saturating_mul(u32::try_from(document - range.start).unwrap_or(u32::MAX))
                        / per_second.max(1);
                    tokio::time::sleep_until((self.start + at).into()).await;
                    lateness.push(self.start.elapsed().saturating_sub(at));
                    u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).max(1)
                }
            };
            self.times(document)?.submitted.store(due, Ordering::Relaxed);
            let message = documents.messages[document].clone();
            confirming.push(publisher.publish(message).await.doing("submitting")?);
            while let Some(Some(confirmed)) = confirming.next().now_or_never() {
                let _kept = confirmed.doing("submitting")?;
            }
        }
        while let Some(confirmed) = confirming.next().await {
            let _kept = confirmed.doing("submitting")?;
        }
        Ok(lateness)
    }

    fn is_done(&self) -> bool {
        let all = self.phase.range.len() as u64;
        self.receipts.load(Ordering::Acquire) == all && self.arrivals.load(Ordering::Acquire) == all
    }

    /// Works one inbox until all is done everywhere.
    async fn read(&self, client: &Client) -> Result<(), StageError> {
        let mut inbox = client.inbox.lock().await;
        let random = SystemRandom::default();
        loop {
            let done = self.done.notified();
            tokio::pin!(done);
            done.as_mut().enable();
            if self.is_done() {
                self.done.notify_waiters();
                return Ok(());
            }
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                delivery = inbox.next() => batch.extend(delivery),
                () = done => {}
            }
            while !batch.is_empty()
                && batch.len() < BATCH_MAX
                && let Some(Some(delivery)) = inbox.next().now_or_never()
            {
                batch.push(delivery);
            }
            if !batch.is_empty() {
                self.work(client, &random, batch).await?;
            }
        }
    }

    async fn work(
        &self,
        client: &Client,
        random: &SystemRandom,
        batch: Vec<Delivery>,
    ) -> Result<(), StageError> {
        let mut taken = Taken::default();
        let mut documents = Vec::new();
        let mut receipts = 0;
        for delivery in &batch {
            match delivery.properties.kind.as_deref().and_then(Outgoing::from_word) {
                Some(Outgoing::Receipt) => {
                    self.receipt(delivery)?;
                    receipts += 1;
                }
                Some(Outgoing::Document) => {
                    documents.push(self.document(delivery)?);
                    let id = delivery.properties.text(header::DELIVERY).unwrap_or_default();
                    taken
                        .taken
                        .push(id.parse::<DeliveryUid>().doing("reading a delivery's id")?);
                }
                _ => return Err(unexpected(delivery)),
            }
        }
        if !documents.is_empty() {
            let message_id = MessageId::new(random.uuid_v7(now()));
            let message = OutMessage {
                exchange: SUBMIT_EXCHANGE.to_owned(),
                routing_key: Intake::Taken.as_str().to_owned(),
                properties: properties(&client.system.id, Intake::Taken, message_id),
                body: Arc::from(serde_json::to_vec(&taken).doing("saying taken")?),
            };
            let confirming = client.publisher.publish(message).await.doing("saying taken")?;
            let _kept = confirming.await.doing("saying taken")?;
            self.said.fetch_add(1, Ordering::Relaxed);
            let at = self.elapsed();
            for document in &documents {
                self.times(*document)?.taken.store(at, Ordering::Relaxed);
            }
        }
        for delivery in batch {
            delivery.ack().await.doing("settling")?;
        }
        self.receipts.fetch_add(receipts, Ordering::AcqRel);
        self.arrivals.fetch_add(documents.len() as u64, Ordering::AcqRel);
        if self.is_done() {
            self.done.notify_waiters();
        }
        Ok(())
    }

    fn receipt(&self, delivery: &Delivery) -> Result<(), StageError> {
        let documents = self.phase.documents;
        let correlation = delivery.properties.correlation_id.as_deref().unwrap_or_default();
        let document = documents
            .of_message(correlation)
            .ok_or_else(|| unexpected(delivery))?;
        let times = self.times(document)?;
        if times.receipted.swap(self.elapsed(), Ordering::Relaxed) != NEVER {
            return Err(StageError(format!("document {document} got two receipts")));
        }
        self.room[document % self.phase.clients.len()].add_permits(1);
        let _first_only = self
            .phase
            .samples
            .receipt
            .get_or_init(|| delivery.message.clone());
        Ok(())
    }

    fn document(&self, delivery: &Delivery) -> Result<usize, StageError> {
        let document = self.phase.documents.of_body(&delivery.body).ok_or_else(|| {
            StageError("a document came that is not, to the bit, one that was sent".to_owned())
        })?;
        let times = self.times(document)?;
        if times.arrived.swap(self.elapsed(), Ordering::Relaxed) != NEVER {
            return Err(StageError(format!("document {document} came twice")));
        }
        let _first_only = self
            .phase
            .samples
            .delivery
            .get_or_init(|| delivery.message.clone());
        Ok(document)
    }

    /// Ends when nothing has come for too long.
    async fn watch_silence(&self) -> StageError {
        let mut seen = u64::MAX;
        loop {
            let progress = self.receipts.load(Ordering::Relaxed) + self.arrivals.load(Ordering::Relaxed);
            if progress == seen {
                return StageError(format!(
                    "nothing came for {} s; of {} documents {} are receipted and {} taken",
                    SILENCE.as_secs(),
                    self.phase.range.len(),
                    self.receipts.load(Ordering::Relaxed),
                    self.arrivals.load(Ordering::Relaxed),
                ));
            }
            seen = progress;
            tokio::time::sleep(SILENCE).await;
        }
    }

    fn conclude(self, lateness: Vec<Duration>) -> Result<Driven, StageError> {
        let mut driven = Driven {
            receipted: Duration::ZERO,
            taken: Duration::ZERO,
            to_receipt: Vec::with_capacity(self.times.len()),
            to_taken: Vec::with_capacity(self.times.len()),
            lateness,
            started: self.start,
            said: self.said.into_inner(),
        };
        for times in self.times {
            let [submitted, receipted, arrived, taken] =
                [times.submitted, times.receipted, times.arrived, times.taken].map(AtomicU64::into_inner);
            if [submitted, receipted, arrived, taken].contains(&NEVER) {
                return Err(StageError("a document was not seen at every step".to_owned()));
            }
            driven.receipted = driven.receipted.max(Duration::from_nanos(receipted));
            driven.taken = driven.taken.max(Duration::from_nanos(taken));
            driven
                .to_receipt
                .push(Duration::from_nanos(receipted.saturating_sub(submitted)));
            driven
                .to_taken
                .push(Duration::from_nanos(taken.saturating_sub(submitted)));
        }
        Ok(driven)
    }
}

/// What came instead, with the code of a refusal and nothing of its content.
pub(super) fn unexpected(delivery: &Delivery) -> StageError {
    let kind = delivery.properties.kind.clone().unwrap_or_default();
    let code = serde_json::from_slice::<serde_json::Value>(&delivery.body)
        .ok()
        .and_then(|json| Some(json.get("code")?.as_str()?.to_owned()))
        .unwrap_or_default();
    StageError(format!(
        "expected a receipt or a document, found a {kind:?} {code}"
    ))
}
