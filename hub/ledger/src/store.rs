//! What a back end does: loads and saves rows in one transaction, and reads from one moment's picture.
//!
//! It decides nothing: the rules are written once, in [`crate::rules`], so that back ends cannot disagree.
//! Every method takes many keys and makes one trip. Results come in no particular order unless said.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Party, RefusalCode, Sha256, SystemId, Urgency};

use crate::alert::{AlertSnapshot, AlertTransaction};
use crate::body::{Body, LeavingBody, MayRead};
use crate::command::{HubId, SubmissionKey};
use crate::error::StoreError;
use crate::event::{EventKind, EventRow, Head};
use crate::flush::Flush;
use crate::limit::{LimitKey, LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery};
use crate::query::{
    DocumentFilter, DocumentLine, InboxCount, Period, RefusalFilter, SenderCount, SenderRefusals, StateCount,
};
use crate::reorganise::AtHome;
use crate::retention::{BodyDeletedRow, KeptBody};
use crate::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
};
use crate::signatures::{PdfKind, VerdictKind};

/// Most documents of one identity, or of one number, that a transaction looks at: those not held first,
/// then the oldest. Real systems reuse a `DocumentId` some dozens of times; a hostile one must not be able
/// to make every further submission slower.
pub const SAME_DOCUMENTS_MAX: usize = 64;

/// Most recalls and updates of one document that a transaction looks at, the oldest.
pub const AMENDING_MAX: usize = 256;

/// A back end.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Begins the one writing transaction; waits for another to end.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError>;

    /// A picture of one moment, which later commits do not change.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot.
    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError>;
}

/// A number by which a status may name a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberKey {
    /// The document's sender.
    pub sender: Party,
    /// See [`crate::rows::number_key`].
    pub number: String,
}

/// Whose message a delivery is, also after it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryOwner {
    /// Which message.
    pub delivery: DeliveryUid,
    /// To whose inbox it went.
    pub system: SystemId,
    /// The document it carries or speaks of.
    pub document: DocumentUid,
    /// Whether it passes a status on, and does not carry the document itself.
    pub is_status: bool,
}

/// The messages that wait for one inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxQueue {
    /// Whose.
    pub system: SystemId,
    /// How many documents and statuses lie in it, untaken, or are on their way.
    pub in_inbox: u64,
    /// What can be claimed of documents and statuses, most urgent first, then oldest; cut off.
    pub waiting: Vec<OutboxRow>,
}

/// How many untaken documents and statuses one inbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Of those that are not urgent.
    pub normal: u64,
    /// By how many more it may be filled with urgent ones.
    pub urgent_extra: u64,
}

impl Window {
    /// How many urgent ones it holds: no inbox holds more.
    #[must_use]
    pub const fn beyond(self) -> u64 {
        self.normal.saturating_add(self.urgent_extra)
    }

    /// Whether an inbox that holds so many takes one more of this priority.
    #[must_use]
    pub const fn takes(self, in_inbox: u64, priority: u8) -> bool {
        let urgent = priority > Urgency::Normal.number();
        in_inbox < if urgent { self.beyond() } else { self.normal }
    }

    /// Leaves of these, which are in their order, those that still fit into an inbox that holds so many. They are
    /// the first ones: the urgent come before the others.
    pub fn fit(self, mut in_inbox: u64, waiting: &mut Vec<OutboxRow>) {
        let fitting = waiting.iter().take_while(|row| {
            let fits = self.takes(in_inbox, row.priority);
            in_inbox += 1;
            fits
        });
        let fitting = fitting.count();
        waiting.truncate(fitting);
    }
}

/// What a claim asks for among documents and statuses.
#[derive(Debug, Clone, Copy)]
pub struct Choice<'a> {
    /// What can be claimed at this moment.
    pub now: Timestamp,
    /// How much each inbox holds.
    pub window: Window,
    /// At most so many messages.
    pub max: usize,
    /// Inboxes that are left alone.
    pub resting: &'a [SystemId],
}

/// [`Transaction::next_out`], written simply: back ends that do it quickly are compared with this.
///
/// # Errors
/// [`StoreError`] when the back end fails.
pub async fn next_out_by_queues<T: Transaction + ?Sized>(
    tx: &mut T,
    choice: &Choice<'_>,
) -> Result<Vec<OutboxRow>, StoreError> {
    let room = usize::try_from(choice.window.beyond()).unwrap_or(usize::MAX);
    let mut chosen = Vec::new();
    for mut queue in tx.inbox_queues(choice.now, room, choice.max).await? {
        if !choice.resting.contains(&queue.system) {
            choice.window.fit(queue.in_inbox, &mut queue.waiting);
            chosen.append(&mut queue.waiting);
        }
    }
    chosen.sort_by_key(OutboxRow::order);
    chosen.truncate(choice.max);
    Ok(chosen)
}

/// By what a batch of submissions may meet what was accepted or refused before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sought {
    /// See [`Transaction::submissions`].
    pub submissions: Vec<SubmissionKey>,
    /// See [`Transaction::refusals`].
    pub refusals: Vec<RefusalLike>,
    /// See [`Transaction::documents_by_identity`].
    pub identities: Vec<DocumentIdentity>,
    /// See [`Transaction::documents_by_digest`].
    pub digests: Vec<(DocumentIdentity, Sha256)>,
    /// See [`Transaction::documents_by_number`].
    pub numbers: Vec<NumberKey>,
}

/// Of which of the lists of [`Sought`] there is anything at all. Nearly every document is new in every way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Of [`Sought::submissions`].
    pub submissions: bool,
    /// Of [`Sought::refusals`].
    pub refusals: bool,
    /// Of [`Sought::identities`].
    pub identities: bool,
    /// Of [`Sought::digests`].
    pub digests: bool,
    /// Of [`Sought::numbers`].
    pub numbers: bool,
}

impl Seen {
    /// There may be something of each.
    pub const PERHAPS: Self = Self {
        submissions: true,
        refusals: true,
        identities: true,
        digests: true,
        numbers: true,
    };
}

/// One writing transaction. Dropped without [`Transaction::commit`] it leaves nothing.
#[async_trait]
pub trait Transaction: AlertTransaction {
    /// The end of the chain. No other transaction can move it before this one ends.
    ///
    /// # Errors
    /// [`StoreError`], as every method here.
    async fn head(&mut self) -> Result<Head, StoreError>;
    /// Which look-ups are worth a trip each; a back end that cannot say so in one trip says that all are.
    async fn seen(&mut self, _sought: &Sought) -> Result<Seen, StoreError> {
        Ok(Seen::PERHAPS)
    }
    /// Accepted submissions under these keys.
    async fn submissions(&mut self, keys: &[SubmissionKey]) -> Result<Vec<SubmissionRow>, StoreError>;
    /// Refusals with the system, `message_id` and digest of any of these, whatever the code.
    async fn refusals(&mut self, like: &[RefusalLike]) -> Result<Vec<RefusalRow>, StoreError>;
    /// Documents of these identities: at most [`SAME_DOCUMENTS_MAX`] each, not held first, then oldest.
    async fn documents_by_identity(
        &mut self,
        of: &[DocumentIdentity],
    ) -> Result<Vec<DocumentRow>, StoreError>;
    /// Documents of these identities with these bytes.
    async fn documents_by_digest(
        &mut self,
        of: &[(DocumentIdentity, Sha256)],
    ) -> Result<Vec<DocumentRow>, StoreError>;
    /// Documents with these numbers: at most [`SAME_DOCUMENTS_MAX`] each, not held first, then newest.
    async fn documents_by_number(&mut self, of: &[NumberKey]) -> Result<Vec<DocumentRow>, StoreError>;
    /// Documents by the hub's id.
    async fn documents(&mut self, uids: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError>;
    /// Documents that recall or update these: at most [`AMENDING_MAX`] each, the oldest.
    async fn amending(&mut self, of: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError>;
    /// Those of these `DocumentId`s that some document bears, whoever sent it.
    async fn known_ids(&mut self, of: &[String]) -> Result<Vec<String>, StoreError>;
    /// All recipients of these documents, by position.
    async fn recipients_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<RecipientRow>, StoreError>;
    /// Recipients for whom these messages are or were. Of a broadcast it is read for each of its messages: a back end
    /// that keeps much looks them up by the delivery.
    async fn recipients_by_delivery(&mut self, of: &[DeliveryUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let owners = self.delivery_owners(of).await?;
        let documents = owners.iter().filter(|owner| !owner.is_status);
        let documents: BTreeSet<DocumentUid> = documents.map(|owner| owner.document).collect();
        let documents: Vec<DocumentUid> = documents.into_iter().collect();
        let mut rows = self.recipients_of(&documents).await?;
        rows.retain(|row| row.delivery.is_some_and(|delivery| of.contains(&delivery)));
        Ok(rows)
    }
    /// All statuses of these documents, by event.
    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<StatusRow>, StoreError>;
    /// Outgoing messages that are not done.
    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError>;
    /// Whose these deliveries are, done or not. Answers are not among them.
    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Result<Vec<DeliveryOwner>, StoreError>;
    /// Documents and statuses that can be claimed at `now`: for each inbox as many as it has room for, what
    /// lies in it counted, and at most `max`.
    async fn inbox_queues(
        &mut self,
        now: Timestamp,
        room: usize,
        max: usize,
    ) -> Result<Vec<InboxQueue>, StoreError>;
    /// The documents and statuses to hand out next: of each inbox those that fit its window, and of all these the
    /// first in [`OutboxRow::order`], in that order.
    async fn next_out(&mut self, choice: &Choice<'_>) -> Result<Vec<OutboxRow>, StoreError> {
        next_out_by_queues(self, choice).await
    }
    /// As [`Transaction::waiting_answers`], without those to inboxes that rest.
    async fn answers_but(
        &mut self,
        now: Timestamp,
        max: usize,
        resting: &[SystemId],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let mut look_at = max;
        loop {
            let mut rows = self.waiting_answers(now, look_at).await?;
            let all = rows.len() < look_at;
            rows.retain(|row| !resting.contains(&row.system));
            if all || rows.len() >= max {
                rows.truncate(max);
                return Ok(rows);
            }
            look_at = look_at.saturating_mul(4).max(1);
        }
    }
    /// Receipts, refusals and notices that can be claimed at `now`, oldest first, at most `max`.
    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Orders that must overtake ([`OutboxRow::is_order`]) and can be claimed at `now`, oldest first, at most
    /// `max`.
    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Messages forwarded before `before`, untaken, of which no alert was raised; oldest first. Those ordered
    /// back for all are left out.
    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Messages forwarded to one inbox and untaken, oldest first, at most `max`. Those ordered back for all are
    /// left out: they never go again.
    async fn forwarded_to(&mut self, system: &SystemId, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Scheduled and forwarded recipients of these parties, by document and position, at most `max`.
    async fn waiting_for(
        &mut self,
        parties: &[Party],
        max: usize,
    ) -> Result<Vec<(DocumentUid, u32)>, StoreError>;
    /// Bodies by digest. Of one apart only its size: no bytes of it are anywhere in the ledger.
    async fn bodies(&mut self, of: &[Sha256]) -> Result<Vec<(Sha256, Body)>, StoreError>;
    /// Whether [`Transaction::bodies`] gives this one as this process was handed it, and not as it was read back.
    fn has_at_hand(&self, _body: Sha256) -> bool {
        false
    }
    /// Those of these bodies that are kept apart.
    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError>;
    /// Of these bodies those that are kept, with everything that names them.
    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError>;
    /// Those of these limits that run, or ended and were told of.
    async fn limits(&mut self, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError>;
    /// Ends the leases of one owner. Gives how many.
    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError>;
    /// The last version of the directory.
    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError>;
    /// The last event of a kind that is never about a document.
    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError>;
    /// Saves rows; later reads of this transaction see them.
    async fn save(&mut self, changes: Changes) -> Result<(), StoreError>;
    /// Makes it durable: when this returns, all of it is on disk.
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
    /// As [`Transaction::commit`], but the next transaction may begin while this one is on its way to the disk: nobody
    /// may be answered before [`Flush::done`] says that it is there. A back end that cannot do so waits here.
    async fn commit_ahead(self: Box<Self>) -> Result<Flush, StoreError> {
        self.commit().await?;
        Ok(Flush::there())
    }
}

/// What to look for among refusals.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusalLike {
    /// The sending system.
    pub system: Option<SystemId>,
    /// Its key.
    pub message_id: Option<truc_model::MessageId>,
    /// Digest of the body.
    pub sha256: Sha256,
}

/// A picture of one moment.
#[async_trait]
pub trait Snapshot: AlertSnapshot {
    /// The end of the chain.
    ///
    /// # Errors
    /// [`StoreError`], as every method here.
    async fn head(&mut self) -> Result<Head, StoreError>;
    /// An accepted submission.
    async fn submission(&mut self, key: &SubmissionKey) -> Result<Option<SubmissionRow>, StoreError>;
    /// Documents for a list, newest first.
    async fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<DocumentLine>, StoreError>;
    /// The event of the newest document of the last day, in UTC, that has begun at `at` and has documents.
    async fn last_of_day(&mut self, at: Timestamp) -> Result<Option<u64>, StoreError>;
    /// Documents that a text names: the hub's id, the sender's `DocumentId`, a `message_id`, a delivery id,
    /// or number/notation; newest first, at most `max`.
    async fn find(&mut self, text: &str, max: usize) -> Result<Vec<DocumentUid>, StoreError>;
    /// One document.
    async fn document(&mut self, uid: DocumentUid) -> Result<Option<DocumentRow>, StoreError>;
    /// Its recipients, by position.
    async fn recipients(&mut self, document: DocumentUid) -> Result<Vec<RecipientRow>, StoreError>;
    /// Its statuses, by event.
    async fn statuses(&mut self, document: DocumentUid) -> Result<Vec<StatusRow>, StoreError>;
    /// The outgoing messages about it that are not done, in their order.
    async fn outbox_of(&mut self, document: DocumentUid) -> Result<Vec<OutboxRow>, StoreError>;
    /// The events about it, in order, at most `max`.
    async fn trace(&mut self, document: DocumentUid, max: usize) -> Result<Vec<EventRow>, StoreError>;
    /// Events from a number on, in order, at most `max`.
    async fn events(&mut self, from_seq: u64, max: usize) -> Result<Vec<EventRow>, StoreError>;
    /// Events of one kind that are about no document, with numbers below `before`, newest first, at most `max`.
    async fn events_of_hub(
        &mut self,
        kind: EventKind,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<EventRow>, StoreError>;
    /// Refusals for a list, newest first.
    async fn refusals(&mut self, filter: &RefusalFilter) -> Result<Vec<RefusalRow>, StoreError>;
    /// What waits for each inbox and lies in it, by system.
    async fn inboxes(&mut self) -> Result<Vec<InboxCount>, StoreError>;
    /// Documents and statuses accepted before `before` that are not forwarded yet, oldest first; what was ordered
    /// back, and never goes out, is not among them.
    async fn stuck(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Forwarded before `before` and untaken, oldest first, alerted or not.
    async fn late(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError>;
    /// Messages that were ordered back after they may have left, oldest first, at most `max`; of one system, or
    /// of all.
    async fn ordered_back(
        &mut self,
        system: Option<&SystemId>,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError>;
    /// Running limits of one kind, urgency and level, those that began first.
    async fn open_limits(&mut self, query: &LimitQuery) -> Result<Vec<LimitLine>, StoreError>;
    /// Limits that ended after something was told of them, those that ended first, at most `max`.
    async fn ended_limits(&mut self, max: usize) -> Result<Vec<LimitRow>, StoreError>;
    /// Documents that came later than they should have been sent, the newest first.
    async fn sent_late(&mut self, query: &SentLateQuery) -> Result<Vec<SentLateLine>, StoreError>;
    /// What waits for whom by which system, and what is out and not taken; by party and system.
    async fn at_home(&mut self) -> Result<Vec<AtHome>, StoreError>;
    /// A body that is kept.
    async fn body(&mut self, sha256: Sha256) -> Result<Option<Body>, StoreError>;
    /// Those of these bodies that are kept apart.
    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError>;
    /// Bodies apart that leave and have not left, by event and digest, at most `max`. There are hardly ever any:
    /// asked every few seconds, it must find that out at once.
    async fn leaving_bodies(&mut self, max: usize) -> Result<Vec<LeavingBody>, StoreError>;
    /// Whether a kept body is one that this system submitted as a document, or that a document's recipient
    /// with this system is to get or has taken: scheduled, forwarded or taken, and not taken back. Two
    /// look-ups by key: documents by digest, recipients by document.
    async fn may_read(&mut self, who: &MayRead) -> Result<bool, StoreError>;
    /// Digests of kept bodies after `after`, ascending, at most `max`: to walk over all.
    async fn body_digests(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<Sha256>, StoreError>;
    /// The last version of the directory.
    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError>;
    /// One version of the directory.
    async fn directory(&mut self, version: u64) -> Result<Option<DirectoryRow>, StoreError>;
    /// Recipients after (document, position), ascending, at most `max`: to walk over all.
    async fn recipients_after(
        &mut self,
        after: Option<(DocumentUid, u32)>,
        max: usize,
    ) -> Result<Vec<RecipientRow>, StoreError>;
    /// Deliveries of open recipients (scheduled or forwarded) without an outgoing message, at most `max`:
    /// there must be none.
    async fn open_without_outbox(&mut self, max: usize) -> Result<Vec<DeliveryUid>, StoreError>;
    /// Kept bodies, here and apart, with digests after `after`, ascending, at most `max`, with everything that names them.
    async fn kept_bodies(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<KeptBody>, StoreError>;
    /// The deletions of these bodies, by event.
    async fn deletions(&mut self, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, StoreError>;
    /// How many deletions there are.
    async fn deletions_count(&mut self) -> Result<u64, StoreError>;
    /// Bodies that are there although they were deleted and nothing named them since, at most `max`: there must
    /// be none.
    async fn undeleted_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError>;
    /// Digests that documents, statuses and kept refusals name, that no body has, and that were not deleted
    /// since, at most `max`: there must be none.
    async fn missing_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError>;
    /// Documents and recipients accepted in a period, per sender.
    async fn accepted_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderCount>, StoreError>;
    /// Recipients of documents accepted in a period, per sender and state.
    async fn states_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError>;
    /// The same of the states that are not `taken`: few recipients stand so, and they are found by their state. The
    /// id of a document begins with the moment of its acceptance, so those of a period are neighbours.
    async fn states_aside_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError>;
    /// Document submissions refused in a period, per sender (`None`: not resolved).
    async fn refused_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderRefusals>, StoreError>;
    /// Documents accepted in a period, by what their verdict comes to.
    async fn verdicts(&mut self, period: Period) -> Result<BTreeMap<VerdictKind, u64>, StoreError>;
    /// Attached PDFs of documents accepted in a period, by what was found in them.
    async fn pdfs(&mut self, period: Period) -> Result<BTreeMap<PdfKind, u64>, StoreError>;
    /// Document submissions refused in a period, by the code that decided.
    async fn refused_by_code(&mut self, period: Period) -> Result<BTreeMap<RefusalCode, u64>, StoreError>;
}
