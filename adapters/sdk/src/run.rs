//! Reading the inbox. For every batch, in this order and no other:
//!
//! 1. look-up in the journal: known messages skip to step 5;
//! 2. orders that take documents back are obeyed, and the journal notes what is withdrawn and what is about to be
//!    handed over, one flush for the batch ([`crate::orders`]);
//! 3. the adapter stores (several at once), orders last;
//! 4. the journal notes it, one flush for the batch;
//! 5. the hub is told `taken`, and the broker confirms that it has the word;
//! 6. the messages are settled.
//!
//! Killed after any step, the broker hands the message out again and the journal (or, before step 4, the
//! adapter's own idempotence) recognises it. A message that cannot be stored now is held, unsettled, and
//! tried again after a pause; held messages count against the prefetch, so nothing here grows.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use truc_model::wire::{Intake, JSON, SUBMIT_EXCHANGE, Taken, inbox};
use truc_model::{DeliveryUid, crash};
use truc_transport::{BrokerError, Consumer, Delivery, OutMessage, Properties, Settlement};
use uuid::Uuid;

use crate::adapter::{Adapter, Stored, Trouble};
use crate::client::{Client, Inner};
use crate::fetch::{FETCHES_MAX, FetchError, NO_URL_PAUSE};
use crate::incoming::{Incoming, Misread};
use crate::journal::{Entry, Journal, JournalError, Reason};
use crate::orders::Prepared;
use crate::packet::PacketFile;
use crate::words::{Word, messages};

/// Why [`Client::run`] ended without being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It runs already: one reader per inbox keeps "never two at once for the same id" true.
    #[error("this client reads its inbox already")]
    AlreadyRunning,
    /// The broker does not let this system read its inbox.
    #[error("this system may not read its inbox '{inbox}'")]
    Refused {
        /// The queue.
        inbox: String,
        /// What the broker said.
        #[source]
        source: BrokerError,
    },
}

/// Most messages in one batch, and so behind one flush and in one `taken`.
pub const BATCH_MAX: usize = 64;

/// Most adapter calls at once.
pub const CALLS_MAX: usize = 8;

impl Client {
    /// Reads the inbox and hands everything to `adapter`, until `shutdown` completes; then finishes what is in
    /// hand and returns. Lost connections are made again. Dropping the future loses nothing either: what is
    /// unsettled comes again.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(
        &self,
        adapter: &dyn Adapter,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), RunError> {
        let inner = &self.inner;
        if inner.running.swap(true, Ordering::SeqCst) {
            return Err(RunError::AlreadyRunning);
        }
        let _running = Running(inner);
        let (stop, stopped) = watch::channel(false);
        let reader = Reader {
            inner,
            adapter,
            stopped,
            held: Vec::new(),
            fetches: JoinSet::new(),
            room: Arc::new(Semaphore::new(FETCHES_MAX)),
        };
        let mut reading = Box::pin(reader.read());
        tokio::select! {
            result = &mut reading => result,
            () = shutdown => {
                let _ = stop.send(true);
                reading.await
            }
        }
    }
}

struct Running<'a>(&'a Inner);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::SeqCst);
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) inner: &'a Arc<Inner>,
    pub(crate) adapter: &'a dyn Adapter,
    stopped: watch::Receiver<bool>,
    /// Messages to be tried again; at most the prefetch, as they are unsettled.
    pub(crate) held: Vec<Work>,
    /// Packets on their way here, each of a held message. Meanwhile others are dealt with.
    fetches: JoinSet<Fetched>,
    room: Arc<Semaphore>,
}

/// One message in hand.
pub(crate) struct Work {
    pub(crate) id: Uuid,
    pub(crate) item: Incoming,
    /// All deliveries that it takes back, also those that were withdrawn since.
    pub(crate) withdraws: Vec<DeliveryUid>,
    /// More than one when the same message came again while it was in hand: all are settled together.
    settlements: Vec<Settlement>,
    pub(crate) failures: u32,
    due: Instant,
    /// Its packet is on its way here.
    fetching: bool,
}

/// A packet that was to be fetched, by the message that names it, and what came of it.
type Fetched = (Uuid, PacketFile, Result<(), FetchError>);

/// What a message came to.
pub(crate) enum Verdict {
    /// Journal it, say `taken` where that is due, settle it.
    Decided(Entry),
    /// Nobody can deal with it: to the dead letters.
    Dead,
}

impl Reader<'_> {
    async fn read(mut self) -> Result<(), RunError> {
        let Some(mut consumer) = self.consume().await? else {
            return Ok(());
        };
        while !*self.stopped.borrow() {
            let mut batch = Vec::new();
            let due = self.next_due();
            let first = tokio::select! {
                _ = self.stopped.changed() => break,
                () = until(due) => None,
                Some(fetched) = self.fetches.join_next(), if !self.fetches.is_empty() => {
                    self.fetched(fetched).await;
                    None
                }
                delivery = consumer.next() => match delivery {
                    Some(delivery) => Some(delivery),
                    // Closed by this program.
                    None => break,
                },
            };
            if let Some(delivery) = first {
                self.take(delivery, &mut batch).await;
            }
            self.release_held(&mut batch);
            while batch.len() < BATCH_MAX
                && let Some(Some(delivery)) = consumer.next().now_or_never()
            {
                self.take(delivery, &mut batch).await;
            }
            if !batch.is_empty() {
                self.process(batch).await;
            }
        }
        Ok(())
    }

    /// The inbox may not be declared yet, the broker may be away: both pass.
    async fn consume(&mut self) -> Result<Option<Box<dyn Consumer>>, RunError> {
        let queue = inbox(&self.inner.config.system);
        let mut failures = 0;
        loop {
            let config = &self.inner.config;
            let consuming = self.inner.broker.consume(&queue, config.prefetch, &config.app_id);
            let consumed = tokio::select! {
                biased;
                _ = self.stopped.wait_for(|stopped| *stopped) => return Ok(None),
                consumed = consuming => consumed,
            };
            let error = match consumed {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(BrokerError::Closed) => return Ok(None),
                Err(source @ (BrokerError::Refused { .. } | BrokerError::Configuration(_))) => {
                    return Err(RunError::Refused { inbox: queue, source });
                }
                Err(error) => error,
            };
            failures += 1;
            tracing::warn!(queue, failures, error = %error, "cannot read the inbox yet");
            let pause = self.inner.config.backoff.pause(failures, &*self.inner.random);
            tokio::select! {
                _ = self.stopped.changed() => return Ok(None),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Reads a delivery into the batch, or deals with it at once when it cannot be read.
    async fn take(&mut self, delivery: Delivery, batch: &mut Vec<Work>) {
        let (message, settlement) = delivery.into_parts();
        crash::reach("adapter-received");
        let item = match Incoming::read(message, self.inner.clock.now(), &self.inner.config.state_dir) {
            Ok(item) => item,
            Err(Misread::Unreadable(what)) => {
                tracing::error!(
                    what,
                    "a message of the inbox cannot be read; it goes to the dead letters"
                );
                settle(vec![settlement], true).await;
                return;
            }
            Err(Misread::Damaged(delivery, reason)) => {
                tracing::error!(%delivery, code = reason.code, "a delivery is not what the hub sent; declined");
                let word = vec![(delivery, Word::Declined(reason))];
                if self.say_taken(word).await {
                    settle(vec![settlement], false).await;
                }
                return;
            }
        };
        if let Incoming::Answer(answer) = &item {
            tracing::debug!(id = %answer.id, "an answer came");
        }
        let id = item.id();
        let again = batch.iter_mut().chain(&mut self.held).find(|work| work.id == id);
        match again {
            Some(work) => work.settlements.push(settlement),
            None => {
                let work = Work {
                    id,
                    withdraws: item.withdraws().to_vec(),
                    item,
                    settlements: vec![settlement],
                    failures: 0,
                    due: Instant::now(),
                    fetching: false,
                };
                if let Some(work) = self.fetch(work) {
                    batch.push(work);
                }
            }
        }
    }

    fn next_due(&self) -> Option<Instant> {
        let held = self.held.iter().filter(|work| !work.fetching);
        held.map(|work| work.due).min()
    }

    fn release_held(&mut self, batch: &mut Vec<Work>) {
        let now = Instant::now();
        let (due, later): (Vec<Work>, Vec<Work>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|work| work.due <= now && !work.fetching);
        self.held = later;
        for work in due {
            batch.extend(self.fetch(work));
        }
    }

    /// Begins to fetch a packet that travelled apart and is not here; gives the message back if there is nothing to fetch.
    fn fetch(&mut self, mut work: Work) -> Option<Work> {
        let known = || self.inner.journal().get(work.id).is_some();
        let Some(file) = work.item.file().filter(|file| !file.path.exists()).cloned() else {
            return Some(work);
        };
        if known() {
            return Some(work);
        }
        let (inner, room, id) = (Arc::clone(self.inner), Arc::clone(&self.room), work.id);
        self.fetches.spawn(async move {
            let _room = room.acquire_owned().await;
            let result = inner.fetch(&file).await;
            (id, file, result)
        });
        work.fetching = true;
        self.held.push(work);
        None
    }

    /// A packet is here, or could not be fetched: then its message waits, or is given up when it is its own fault.
    async fn fetched(&mut self, fetched: Result<Fetched, JoinError>) {
        let (id, file, result) = match fetched {
            Ok(fetched) => fetched,
            Err(error) => {
                tracing::error!(%error, "fetching a packet did not finish");
                // Nobody knows whose it was: all are looked at again, and those that are here are not fetched twice.
                self.held.iter_mut().for_each(|work| work.fetching = false);
                return;
            }
        };
        let Some(place) = self.held.iter().position(|work| work.id == id) else {
            // Taken back meanwhile.
            let _ = std::fs::remove_file(&file.path);
            return;
        };
        let mut work = self.held.swap_remove(place);
        work.fetching = false;
        let Err(error) = result else {
            work.due = Instant::now();
            self.held.push(work);
            return;
        };
        work.failures += 1;
        let cause = truc_transport::Cause::of(&error);
        tracing::warn!(%id, failures = work.failures, error = %cause, "a packet cannot be fetched yet");
        let no_url = matches!(error, FetchError::NoUrl);
        let trouble = if error.is_its_own() {
            Trouble::failed(error)
        } else {
            Trouble::unavailable(error)
        };
        match give_up(&work, &trouble, self.inner.config.max_attempts) {
            Some(Verdict::Decided(entry)) => self.finish(vec![(work, entry)], &[]).await,
            Some(Verdict::Dead) => settle(work.settlements, true).await,
            None => {
                self.hold(work);
                if let (true, Some(held)) = (no_url, self.held.last_mut()) {
                    held.due = Instant::now() + NO_URL_PAUSE;
                }
            }
        }
    }

    async fn process(&mut self, batch: Vec<Work>) {
        let (mut decided, fresh) = self.look_up(batch);
        let Some(prepared) = self.prepare(fresh).await else {
            self.finish(decided, &[]).await;
            return;
        };
        let Prepared {
            plain,
            orders,
            obeyed,
            withdrawn,
        } = prepared;
        decided.extend(obeyed);
        self.hand_over(plain, &mut decided).await;
        // After the documents that they speak of, and behind those that have to wait.
        let orders = self.behind_held(orders);
        self.hand_over(orders, &mut decided).await;
        self.finish(decided, &withdrawn).await;
    }

    /// Calls the adapter for each message.
    async fn hand_over(&mut self, works: Vec<Work>, decided: &mut Vec<(Work, Entry)>) {
        let inner = self.inner;
        let adapter = self.adapter;
        let mut waiting = works.into_iter();
        let mut calls: FuturesUnordered<_> = waiting
            .by_ref()
            .take(CALLS_MAX)
            .map(|work| call(adapter, work))
            .collect();
        let mut dead = Vec::new();
        while let Some((mut work, result)) = calls.next().await {
            calls.extend(waiting.next().map(|work| call(adapter, work)));
            match result {
                Ok(stored) => {
                    crash::reach(if work.item.delivery().is_some() {
                        "adapter-stored"
                    } else {
                        "adapter-answered"
                    });
                    let entry = match stored {
                        Stored::Durable => Entry::Done,
                        Stored::Declined(reason) => Entry::Declined(Box::new(cut(reason))),
                    };
                    decided.push((work, entry));
                }
                Err(trouble) => {
                    work.failures += 1;
                    match give_up(&work, &trouble, inner.config.max_attempts) {
                        Some(Verdict::Decided(entry)) => decided.push((work, entry)),
                        Some(Verdict::Dead) => dead.push(work),
                        None => self.hold(work),
                    }
                }
            }
        }
        drop(calls);

        for work in dead {
            settle(work.settlements, true).await;
        }
    }

    /// Parts what the journal knows from what is new.
    fn look_up(&self, batch: Vec<Work>) -> (Vec<(Work, Entry)>, Vec<Work>) {
        let journal = self.inner.journal();
        let mut known = Vec::new();
        let mut fresh = Vec::new();
        for work in batch {
            match journal.get(work.id) {
                Some(entry) => {
                    tracing::debug!(id = %work.id, kind = work.item.kind(), "came again; known");
                    let entry = entry.clone();
                    known.push((work, entry));
                }
                None => fresh.push(work),
            }
        }
        (known, fresh)
    }

    /// Steps 4 to 6. `withdrawn`: deliveries that orders of this batch took back, in hand or not.
    async fn finish(&mut self, decided: Vec<(Work, Entry)>, withdrawn: &[DeliveryUid]) {
        if decided.is_empty() && withdrawn.is_empty() {
            return;
        }
        let entries: Vec<(Uuid, Entry)> = decided
            .iter()
            .map(|(work, entry)| (work.id, entry.clone()))
            .collect();
        if !self.note(entries).await {
            // The adapter is asked again, and recognises what it stored.
            for (mut work, _) in decided {
                work.failures += 1;
                self.hold(work);
            }
            return;
        }
        crash::reach("adapter-journaled");
        for (work, _) in &decided {
            if let Incoming::Answer(answer) = &work.item {
                self.inner.wake(answer);
            }
            self.adapter.recorded(work.id).await;
            // The adapter has moved it away, or has a copy; or never gets it.
            if let Some(file) = work.item.file() {
                let _ = std::fs::remove_file(&file.path);
            }
        }

        let words = words(&self.inner.journal(), &decided, withdrawn);
        if !words.is_empty() {
            let said = words.len();
            if !self.say_taken(words).await {
                // Stopped before the hub could be told: unsettled, so the messages come again and are known.
                return;
            }
            // Once for each word of the batch, as all steps are counted by message.
            (0..said).for_each(|_| crash::reach("adapter-taken"));
        }
        for (work, _) in decided {
            settle(work.settlements, false).await;
            crash::reach("adapter-settled");
        }
    }

    /// Writes to the journal, with one flush; `false` when it cannot be written now.
    pub(crate) async fn note(&self, entries: Vec<(Uuid, Entry)>) -> bool {
        match append(Arc::clone(self.inner), entries).await {
            Ok(()) => true,
            Err(error) => {
                tracing::error!(error = %error, "the journal cannot be written; the messages are held");
                false
            }
        }
    }

    /// Tells the hub, until the broker confirms; `false` when stopped before.
    async fn say_taken(&mut self, words: Vec<(DeliveryUid, Word)>) -> bool {
        for message in messages(words) {
            let Ok(body) = serde_json::to_vec(&message) else {
                // Ids and strings always have a JSON form.
                return false;
            };
            let body: Arc<[u8]> = body.into();
            let mut failures = 0;
            let mut deadline = None;
            while let Err(error) = self.inner.publish(self.inner.taken_message(&body)).await {
                failures += 1;
                tracing::warn!(failures, error = %error, "the hub could not be told what was taken yet");
                if *self.stopped.borrow() {
                    let limit = Instant::now() + self.inner.config.stop_patience;
                    if Instant::now() >= *deadline.get_or_insert(limit) {
                        return false;
                    }
                }
                let pause = self.inner.config.backoff.pause(failures, &*self.inner.random);
                tokio::select! {
                    _ = self.stopped.changed() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
        true
    }

    /// Keeps a message, unsettled, to be tried again after a pause that grows with its failures.
    pub(crate) fn hold(&mut self, mut work: Work) {
        let failures = work.failures.max(1);
        let pause = self.inner.config.backoff.pause(failures, &*self.inner.random);
        work.due = Instant::now() + pause;
        self.held.push(work);
    }
}

impl Inner {
    fn taken_message(&self, body: &Arc<[u8]>) -> OutMessage {
        let now = self.clock.now();
        OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: Intake::Taken.as_str().to_owned(),
            properties: Properties {
                kind: Some(Intake::Taken.as_str().to_owned()),
                message_id: Some(self.random.uuid_v7(now).to_string()),
                user_id: Some(self.config.system.to_string()),
                content_type: Some(JSON.to_owned()),
                timestamp: Some(now),
                app_id: Some(self.config.app_id.clone()),
                ..Properties::default()
            },
            body: Arc::clone(body),
        }
    }
}

/// One flush takes some milliseconds of the disk's time, not of the runtime's.
async fn append(inner: Arc<Inner>, entries: Vec<(Uuid, Entry)>) -> Result<(), AppendError> {
    tokio::task::spawn_blocking(move || inner.journal().append(&entries)).await??;
    Ok(())
}

#[derive(Debug, thiserror::Error)]
enum AppendError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("the journal's task did not finish")]
    Task(#[from] JoinError),
}

/// One adapter call. A panic is a failure of that message: it must not take the others down with it.
async fn call(adapter: &dyn Adapter, work: Work) -> (Work, Result<Stored, Trouble>) {
    let calling = async {
        match &work.item {
            Incoming::Document(document) => adapter.store(document).await,
            Incoming::Status(status) => adapter.status(status).await,
            Incoming::Answer(answer) => adapter.answered(answer).await.map(|()| Stored::Durable),
            Incoming::Notice(notice) => adapter.notice(notice).await.map(|()| Stored::Durable),
        }
    };
    let result = AssertUnwindSafe(calling)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Err(Trouble::failed("the adapter panicked")));
    (work, result)
}

/// Whether a message that failed is given up now.
pub(crate) fn give_up(work: &Work, trouble: &Trouble, max_attempts: u32) -> Option<Verdict> {
    let (id, kind, failures) = (work.id, work.item.kind(), work.failures);
    let error = truc_transport::Cause::of(trouble);
    match trouble {
        Trouble::Failed(_) if failures >= max_attempts => {
            tracing::error!(%id, kind, failures, %error, "given up");
            Some(match work.item.delivery() {
                Some(_) => Verdict::Decided(Entry::Declined(Box::new(Reason {
                    code: "adapter-failed".to_owned(),
                    reason: format!("the recipient's adapter could not store it in {failures} attempts"),
                }))),
                None => Verdict::Dead,
            })
        }
        _ => {
            tracing::warn!(%id, kind, failures, %error, "held; it is tried again");
            None
        }
    }
}

/// What the hub is to be told of a batch that the journal knows.
fn words(
    journal: &Journal,
    decided: &[(Work, Entry)],
    withdrawn: &[DeliveryUid],
) -> Vec<(DeliveryUid, Word)> {
    let mut words = Vec::new();
    let mut back: Vec<DeliveryUid> = Vec::new();
    for (work, entry) in decided {
        let Some(delivery) = work.item.delivery() else {
            continue;
        };
        match entry {
            Entry::Done => words.push((delivery, Word::Taken)),
            Entry::Declined(reason) => words.push((delivery, Word::Declined((**reason).clone()))),
            Entry::Begun | Entry::Withdrawn | Entry::WithdrawnFor(_) => {}
        }
        back.push(delivery);
        // Also of an order that came again: the word may have been lost.
        back.extend(&work.withdraws);
    }
    back.extend(withdrawn);
    back.sort_unstable();
    back.dedup();
    for delivery in back {
        let codes = journal.withdrawn_for(delivery.uuid());
        if journal.get(delivery.uuid()) == Some(&Entry::Withdrawn) {
            words.push((delivery, Word::Withdrawn(Vec::new())));
        } else if !codes.is_empty() {
            words.push((delivery, Word::Withdrawn(codes.to_vec())));
        }
    }
    words
}

/// The wire has limits for both texts; an adapter's author need not know them.
fn cut(reason: Reason) -> Reason {
    Reason {
        code: reason.code.chars().take(Taken::CODE_MAX).collect(),
        reason: reason.reason.chars().take(Taken::REASON_MAX).collect(),
    }
}

/// Settles, by ack or to the dead letters. A failure is harmless: the message comes again and is known.
async fn settle(settlements: Vec<Settlement>, dead: bool) {
    for settlement in settlements {
        let settled = if dead {
            settlement.dead_letter().await
        } else {
            settlement.ack().await
        };
        if let Err(error) = settled {
            tracing::debug!(error = %error, "not settled; the message comes again");
        }
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
