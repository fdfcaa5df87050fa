//! The handle: what the rest of the hub says to the ledger and asks of it.

mod alerts;
mod bodies;
mod limits;
mod reorganise;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};
use truc_model::{Clock, DeliveryUid, DocumentUid, Random, Sha256, SystemId};

use crate::balance::{Balance, BalanceFilter, BalanceRow};
use crate::command::{
    ClaimRequest, Cleaning, DocumentSubmission, Forwarded, HubId, NewDirectory, Note, PublishFailed,
    RefusedSubmission, Resend, StatusSubmission, SubmissionKey, TakenReport,
};
use crate::error::LedgerError;
use crate::event::{EventKind, EventRow, Head};
use crate::operator::{OperatorOrder, OperatorOutcome};
use crate::outcome::{Claimed, LateDelivery, ResendOutcome, SubmitOutcome, TakenOutcome};
use crate::query::{
    DocumentFilter, DocumentLine, DocumentView, FIND_MAX, InboxCount, PAGE_MAX, Period, RefusalFilter,
    Search, TRACE_MAX,
};
use crate::retention::{BodyDeletedRow, KeptBody};
use crate::rows::{DirectoryRow, OutboxRow, RefusalRow, SubmissionRow};
use crate::rules::{Command, Reply};
use crate::signatures::SignatureCounts;
use crate::store::{Snapshot, Store};
use crate::verify::{self, VerifyOptions, VerifyReport};
use crate::writer::{self, Job};

/// Most confirms reported in one call of [`Ledger::forwarded`].
pub const FORWARDED_MAX: usize = 1000;

/// How the writer groups its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Most commands in one transaction.
    pub batch_max: usize,
    /// Most bytes of bodies in one transaction; a larger single one still passes.
    pub batch_bytes_max: u64,
    /// Most commands that wait for the writer; further callers wait for room.
    pub queue_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            batch_max: 256,
            batch_bytes_max: 64 << 20,
            queue_max: 1024,
        }
    }
}

/// A ledger in use. Clones share one writer task, which ends when the last clone is dropped.
#[derive(Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Job>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    wake: watch::Receiver<u64>,
    commits: Arc<AtomicU64>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger").finish_non_exhaustive()
    }
}

impl Ledger {
    /// Starts the writer task on the present tokio runtime.
    #[must_use]
    pub fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Self {
        let (ledger, writer) = Self::with_writer(store, clock, random, settings);
        tokio::spawn(writer::run(writer));
        ledger
    }

    /// As [`Ledger::start`], with the writer on a thread of its own, where no other task of a busy hub stands between
    /// it and the next step of its transaction: a busy runtime looks for answers from a database now and then only. When
    /// the machine gives no thread, the writer runs on the present runtime.
    #[must_use]
    pub fn start_on_own_thread(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Self {
        let (ledger, writer) = Self::with_writer(store, clock, random, settings);
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                let writing = std::thread::Builder::new().name("ledger-writer".to_owned());
                let (hand_over, take_over) = std::sync::mpsc::sync_channel(1);
                let begun = writing.spawn(move || {
                    if let Ok(writer) = take_over.recv() {
                        runtime.block_on(writer::run(writer));
                    }
                });
                match begun {
                    Ok(_) => {
                        if let Err(unsent) = hand_over.send(writer) {
                            tokio::spawn(writer::run(unsent.0));
                        }
                    }
                    Err(_) => {
                        tokio::spawn(writer::run(writer));
                    }
                }
            }
            Err(_) => {
                tokio::spawn(writer::run(writer));
            }
        }
        ledger
    }

    fn with_writer(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> (Self, writer::Writer) {
        let (jobs, queue) = mpsc::channel(settings.queue_max.max(1));
        let (bell, wake) = watch::channel(0);
        let commits = Arc::new(AtomicU64::new(0));
        let writer = writer::Writer {
            queue,
            store: Arc::clone(&store),
            clock: Arc::clone(&clock),
            random,
            settings,
            bell: writer::Bell(bell),
            commits: Arc::clone(&commits),
        };
        let ledger = Self {
            jobs,
            store,
            clock,
            wake,
            commits,
        };
        (ledger, writer)
    }

    /// Records a document that passed every check. When this returns, the outcome is on disk.
    ///
    /// # Errors
    /// [`LedgerError::Store`] when nothing was recorded; the submission must be offered again.
    pub async fn submit_document(
        &self,
        submission: DocumentSubmission,
    ) -> Result<SubmitOutcome, LedgerError> {
        self.submit(Command::Document(Box::new(submission))).await
    }

    /// Records a status packet.
    ///
    /// # Errors
    /// As [`Ledger::submit_document`].
    pub async fn submit_status(&self, submission: StatusSubmission) -> Result<SubmitOutcome, LedgerError> {
        self.submit(Command::Status(Box::new(submission))).await
    }

    /// Records a refusal. Gives [`SubmitOutcome::Repeat`] when the same key and bytes were accepted before:
    /// what was accepted stays accepted, whatever a check says today.
    ///
    /// # Errors
    /// [`LedgerError::NoFinding`], or as [`Ledger::submit_document`].
    pub async fn refuse(&self, submission: RefusedSubmission) -> Result<SubmitOutcome, LedgerError> {
        self.submit(Command::Refused(Box::new(submission))).await
    }

    /// The broker confirmed these publishes.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`FORWARDED_MAX`], or [`LedgerError::Store`]: then the messages go
    /// out again when their lease ends, under the same ids.
    pub async fn forwarded(&self, confirms: Vec<Forwarded>) -> Result<(), LedgerError> {
        if confirms.len() > FORWARDED_MAX {
            return Err(LedgerError::TooMany {
                what: "confirms",
                max: FORWARDED_MAX,
                found: confirms.len(),
            });
        }
        self.done(Command::Forwarded(confirms)).await
    }

    /// A publish came to nothing; it is tried again.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn publish_failed(&self, failed: PublishFailed) -> Result<(), LedgerError> {
        self.done(Command::PublishFailed(failed)).await
    }

    /// A system said `taken`, or declined.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`truc_model::wire::Taken::MAX_DELIVERIES`], or [`LedgerError::Store`].
    pub async fn taken(&self, report: TakenReport) -> Result<TakenOutcome, LedgerError> {
        let max = truc_model::wire::Taken::MAX_DELIVERIES;
        let said = &report.taken;
        let found = said.taken.len() + said.refused.len() + said.withdrawn.len();
        if found > max {
            return Err(LedgerError::TooMany {
                what: "deliveries",
                max,
                found,
            });
        }
        match self.ask(Command::Taken(report)).await? {
            Reply::Taken(outcome) => Ok(outcome),
            _ => Err(MIXED_UP),
        }
    }

    /// Leases messages to publish: the most urgent first, then the oldest, within each inbox's window.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn claim(&self, request: ClaimRequest) -> Result<Vec<Claimed>, LedgerError> {
        match self.ask(Command::Claim(request)).await? {
            Reply::Claimed(claimed) => Ok(claimed),
            _ => Err(MIXED_UP),
        }
    }

    /// Ends all leases of a hub: at its start, for those of its former life. Gives how many there were.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn release_leases(&self, owner: HubId) -> Result<u64, LedgerError> {
        match self.ask(Command::ReleaseLeases(owner)).await? {
            Reply::Released(count) => Ok(count),
            _ => Err(MIXED_UP),
        }
    }

    /// Messages that were ordered back after they may have left, oldest first, at most `max`; of one system, or
    /// of all. Those with [`OutboxRow::recalled`] are never published again: an inbox that nobody reads can be
    /// cleaned of them.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn ordered_back(
        &self,
        system: Option<&SystemId>,
        max: usize,
    ) -> Result<Vec<OutboxRow>, LedgerError> {
        Ok(self.store.read().await?.ordered_back(system, max).await?)
    }

    /// The hub is about to take these messages out of an inbox that nobody reads. Gives those that may go: they
    /// were ordered back for all they are for, were forwarded, and went out no more than once. Call [`Ledger::cleaned`] once they are
    /// out for certain; when the hub is killed in between they stay as they are, and the order that lies in
    /// the inbox settles them.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`Cleaning::MAX`], or [`LedgerError::Store`].
    pub async fn cleaning_begun(&self, cleaning: Cleaning) -> Result<Vec<DeliveryUid>, LedgerError> {
        self.clean(cleaning, Command::CleaningBegun).await
    }

    /// These messages are out of the inbox, and nobody had them: withdrawn. Gives those that changed.
    ///
    /// # Errors
    /// As [`Ledger::cleaning_begun`].
    pub async fn cleaned(&self, cleaning: Cleaning) -> Result<Vec<DeliveryUid>, LedgerError> {
        self.clean(cleaning, Command::Cleaned).await
    }

    async fn clean(
        &self,
        cleaning: Cleaning,
        command: fn(Cleaning) -> Command,
    ) -> Result<Vec<DeliveryUid>, LedgerError> {
        let found = cleaning.deliveries.len();
        if found > Cleaning::MAX {
            return Err(LedgerError::TooMany {
                what: "messages",
                max: Cleaning::MAX,
                found,
            });
        }
        match self.ask(command(cleaning)).await? {
            Reply::Cleaned(deliveries) => Ok(deliveries),
            _ => Err(MIXED_UP),
        }
    }

    /// Sends untaken deliveries of a document again.
    ///
    /// # Errors
    /// [`LedgerError::UnknownDocument`] or [`LedgerError::Store`].
    pub async fn resend(&self, order: Resend) -> Result<ResendOutcome, LedgerError> {
        match self.ask(Command::Resend(order)).await? {
            Reply::Resent(outcome) => Ok(outcome),
            _ => Err(MIXED_UP),
        }
    }

    /// Carries out an operator's order: holds, lets go, sends another way or gives up recipients of a document.
    /// Each for whom the order makes no sense any more is left alone, with the reason.
    ///
    /// # Errors
    /// [`LedgerError::UnknownDocument`] or [`LedgerError::Store`].
    pub async fn operator(&self, order: OperatorOrder) -> Result<OperatorOutcome, LedgerError> {
        match self.ask(Command::Operator(order)).await? {
            Reply::Operated(outcome) => Ok(outcome),
            _ => Err(MIXED_UP),
        }
    }

    /// An inbox was found missing on the broker, with what lay in it: everything forwarded to it and not taken
    /// is scheduled again, under the same ids, with an event each. Gives how many, at most
    /// [`crate::rules::INBOX_LOST_MAX`]; call again until it gives none.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn inbox_lost(&self, system: SystemId) -> Result<usize, LedgerError> {
        match self.ask(Command::InboxLost(system)).await? {
            Reply::GoAgain(count) => Ok(count),
            _ => Err(MIXED_UP),
        }
    }

    /// Raises the alert for messages that were forwarded longer than `older_than` ago and are not taken:
    /// one event each and, for documents, a notice to the sender for each recipient; once per forwarding.
    /// Gives those of this call, at most [`crate::rules::NOT_TAKEN_MAX`]; call again until it gives none.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn not_taken_alerts(&self, older_than: Duration) -> Result<Vec<LateDelivery>, LedgerError> {
        match self.ask(Command::NotTaken(older_than)).await? {
            Reply::Late(late) => Ok(late),
            _ => Err(MIXED_UP),
        }
    }

    /// Saves a new version of the directory.
    ///
    /// # Errors
    /// [`LedgerError::DirectoryMoved`] when somebody else saved one first, [`LedgerError::DirectoryVersion`],
    /// [`LedgerError::Store`].
    pub async fn save_directory(&self, directory: NewDirectory) -> Result<(), LedgerError> {
        self.done(Command::Directory(directory)).await
    }

    /// Records what happened outside the flow. Gives the event's number; for trust that the last event about it
    /// tells already, that event's number, and nothing is written.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn note(&self, note: Note) -> Result<u64, LedgerError> {
        match self.ask(Command::Note(note)).await? {
            Reply::Noted(seq) => Ok(seq),
            _ => Err(MIXED_UP),
        }
    }

    /// Changes whenever a commit of this process left something to forward. What other processes commit does
    /// not show here: whoever waits should also look from time to time.
    #[must_use]
    pub fn wake(&self) -> watch::Receiver<u64> {
        self.wake.clone()
    }

    /// How many transactions the writer of this handle has committed: for metrics, and to see the grouping.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// The time the ledger goes by.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn submit(&self, command: Command) -> Result<SubmitOutcome, LedgerError> {
        match self.ask(command).await? {
            Reply::Submitted(outcome) => Ok(outcome),
            _ => Err(MIXED_UP),
        }
    }

    async fn done(&self, command: Command) -> Result<(), LedgerError> {
        match self.ask(command).await? {
            Reply::Done => Ok(()),
            _ => Err(MIXED_UP),
        }
    }

    async fn ask(&self, command: Command) -> Result<Reply, LedgerError> {
        let (answer, reply) = oneshot::channel();
        self.jobs
            .send(Job { command, answer })
            .await
            .map_err(|_| LedgerError::Closed)?;
        reply.await.map_err(|_| LedgerError::Closed)?
    }
}

const MIXED_UP: LedgerError = LedgerError::Contradiction("an answer of the wrong kind");

/// Questions. Each is answered from a picture of one moment; none waits for the writer.
impl Ledger {
    /// The end of the chain.
    ///
    /// # Errors
    /// [`LedgerError::Store`], as every question.
    pub async fn head(&self) -> Result<Head, LedgerError> {
        Ok(self.snapshot().await?.head().await?)
    }

    /// An accepted submission, with its receipt.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn submission(&self, key: &SubmissionKey) -> Result<Option<SubmissionRow>, LedgerError> {
        Ok(self.snapshot().await?.submission(key).await?)
    }

    /// Documents for a list, newest first.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn documents(&self, filter: &DocumentFilter) -> Result<Vec<DocumentLine>, LedgerError> {
        Ok(self.snapshot().await?.documents(filter).await?)
    }

    /// Documents for a list, newest first, in bounded time also when a part of a name is looked for.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn search(&self, filter: &DocumentFilter) -> Result<Search, LedgerError> {
        let mut now = self.snapshot().await?;
        Ok(Search::of(now.as_mut(), filter).await?)
    }

    /// Documents that a text names: the hub's id, the sender's `DocumentId`, a `message_id`, a delivery id or
    /// number/notation; newest first, at most [`FIND_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn find(&self, text: &str) -> Result<Vec<DocumentUid>, LedgerError> {
        Ok(self.snapshot().await?.find(text.trim(), FIND_MAX).await?)
    }

    /// Everything about one document.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn document(&self, uid: DocumentUid) -> Result<Option<DocumentView>, LedgerError> {
        let mut now = self.snapshot().await?;
        let Some(document) = now.document(uid).await? else {
            return Ok(None);
        };
        let statuses = now.statuses(uid).await?;
        let mut packets = vec![document.sha256];
        packets.extend(statuses.iter().map(|row| row.sha256));
        Ok(Some(DocumentView {
            document,
            recipients: now.recipients(uid).await?,
            deletions: now.deletions(&packets).await?,
            statuses,
            outbox: now.outbox_of(uid).await?,
            trace: now.trace(uid, TRACE_MAX).await?,
        }))
    }

    /// The events about a document, in order, at most [`TRACE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn trace(&self, document: DocumentUid) -> Result<Vec<EventRow>, LedgerError> {
        Ok(self.snapshot().await?.trace(document, TRACE_MAX).await?)
    }

    /// Events from a number on, in order, at most `limit` and [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn events(&self, from_seq: u64, limit: usize) -> Result<Vec<EventRow>, LedgerError> {
        Ok(self
            .snapshot()
            .await?
            .events(from_seq, limit.min(PAGE_MAX))
            .await?)
    }

    /// Events of these kinds that are about no document, with numbers below `before`, newest first, at most
    /// `limit` and [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn events_of_hub(
        &self,
        kinds: &[EventKind],
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EventRow>, LedgerError> {
        let limit = limit.min(PAGE_MAX);
        let mut now = self.snapshot().await?;
        let mut rows = Vec::new();
        for kind in kinds {
            rows.extend(now.events_of_hub(*kind, before, limit).await?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
        rows.dedup_by_key(|row| row.seq);
        rows.truncate(limit);
        Ok(rows)
    }

    /// What stood behind the documents of a period: who answered for their bytes, and what attached PDFs bear.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn signature_counts(&self, period: Period) -> Result<SignatureCounts, LedgerError> {
        let mut now = self.snapshot().await?;
        Ok(SignatureCounts::of(now.as_mut(), period).await?)
    }

    /// Refusals for a list, newest first.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn refusals(&self, filter: &RefusalFilter) -> Result<Vec<RefusalRow>, LedgerError> {
        Ok(self.snapshot().await?.refusals(filter).await?)
    }

    /// What waits for each inbox and lies in it, by system; systems with nothing are left out.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn inbox_counts(&self) -> Result<Vec<InboxCount>, LedgerError> {
        Ok(self.snapshot().await?.inboxes().await?)
    }

    /// Messages forwarded longer than `older_than` ago and not taken, oldest first, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn late_untaken(&self, older_than: Duration) -> Result<Vec<LateDelivery>, LedgerError> {
        let before = crate::rules::before(self.clock.now(), older_than);
        let rows = self.snapshot().await?.late(before, PAGE_MAX).await?;
        Ok(rows.iter().filter_map(crate::rules::late_delivery).collect())
    }

    /// Documents and statuses that wait in the ledger for longer than `at_least`, oldest first, at most
    /// [`PAGE_MAX`]: behind an inbox that nobody empties, or because publishing fails.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn stuck(&self, at_least: Duration) -> Result<Vec<OutboxRow>, LedgerError> {
        let before = crate::rules::before(self.clock.now(), at_least);
        Ok(self.snapshot().await?.stuck(before, PAGE_MAX).await?)
    }

    /// Bodies that are kept, with digests after `after`, ascending, at most `limit` and [`PAGE_MAX`], each with
    /// everything that names it.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn kept_bodies(
        &self,
        after: Option<Sha256>,
        limit: usize,
    ) -> Result<Vec<KeptBody>, LedgerError> {
        let limit = limit.min(PAGE_MAX);
        Ok(self.snapshot().await?.kept_bodies(after, limit).await?)
    }

    /// The deletions of these bodies, by event.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn deletions(&self, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, LedgerError> {
        Ok(self.snapshot().await?.deletions(of).await?)
    }

    /// The last version of the directory and its JSON.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn latest_directory(&self) -> Result<Option<(u64, String)>, LedgerError> {
        let row = self.snapshot().await?.latest_directory().await?;
        Ok(row.map(|row| (row.version, row.json)))
    }

    /// One version of the directory.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn directory(&self, version: u64) -> Result<Option<DirectoryRow>, LedgerError> {
        Ok(self.snapshot().await?.directory(version).await?)
    }

    /// The balance by the tables, checked against a replay of all events. Takes time in proportion to the
    /// whole ledger.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn balance(&self, filter: &BalanceFilter) -> Result<Balance, LedgerError> {
        let mut now = self.snapshot().await?;
        Ok(Balance::checked(now.as_mut(), filter).await?)
    }

    /// The figures of the balance by the tables alone, for screens: quick, and proves nothing.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn balance_figures(&self, filter: &BalanceFilter) -> Result<Vec<BalanceRow>, LedgerError> {
        let mut now = self.snapshot().await?;
        Ok(crate::balance::figures(now.as_mut(), filter).await?)
    }

    /// Checks the whole ledger: chain, gaps, states against a replay of the events, digests of bodies.
    ///
    /// # Errors
    /// [`LedgerError::Store`] when it cannot be read at all; what is wrong stands in the report.
    pub async fn verify(&self, options: &VerifyOptions) -> Result<VerifyReport, LedgerError> {
        let mut now = self.snapshot().await?;
        Ok(verify::run(now.as_mut(), options).await?)
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, LedgerError> {
        Ok(self.store.read().await?)
    }
}
