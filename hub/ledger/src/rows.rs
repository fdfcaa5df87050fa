//! The rows a back end keeps. It loads and saves them; what they mean is the rules' business.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use truc_model::wire::{Intake, Outgoing, WarningLine};
use truc_model::{
    BusinessState, ChangeState, DeliveryUid, DocumentIdentity, DocumentKind, DocumentUid, MessageId, Party,
    RefusalCode, Sha256, SignatureVerdict, StatusCode, SystemId, TransportState, WithdrawCause,
};

use crate::alert::AlertChanges;
use crate::body::{Body, LeavingBody};
use crate::command::{DocumentFacts, HubId, SubmissionKey};
use crate::event::EventRow;
use crate::limit::LimitChanges;
use crate::retention::BodyDeletedRow;

/// An accepted submission. Append-only: the receipt never changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmissionRow {
    /// Idempotency key.
    pub key: SubmissionKey,
    /// Document or status.
    pub kind: DocumentKind,
    /// Digest of the body.
    pub sha256: Sha256,
    /// Number of the event that accepted it.
    pub event: u64,
    /// When.
    pub accepted_at: Timestamp,
    /// The document it is or speaks of.
    pub document: DocumentUid,
    /// The receipt's JSON, byte for byte as first given.
    pub receipt: String,
}

/// What makes two refused submissions the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefusalKey {
    /// The sending system, when registered.
    pub system: Option<SystemId>,
    /// Its key, when it had one.
    pub message_id: Option<MessageId>,
    /// Digest of the body.
    pub sha256: Sha256,
    /// The code that decided.
    pub code: RefusalCode,
}

/// A refused submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRow {
    /// Number of the event that recorded it.
    pub event: u64,
    /// What makes it the same as another.
    pub key: RefusalKey,
    /// By which queue it came.
    pub intake: Intake,
    /// Bytes of the body.
    pub size: u64,
    /// The sender, when resolved.
    pub sender: Option<Party>,
    /// When the hub had it in hand.
    pub received_at: Timestamp,
    /// When it was recorded.
    pub refused_at: Timestamp,
    /// The document it concerns, if one was found.
    pub document: Option<DocumentUid>,
    /// Whether its bytes were kept.
    pub body_kept: bool,
    /// The answer's JSON.
    pub answer: String,
}

/// An accepted document. Only `held` ever changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// The hub's id.
    pub uid: DocumentUid,
    /// Number of the event that accepted it.
    pub event: u64,
    /// Sender and `DocumentId`.
    pub identity: DocumentIdentity,
    /// The sender's code as written.
    pub sender_code: String,
    /// Who submitted it, under which key.
    pub key: SubmissionKey,
    /// Digest of the packet.
    pub sha256: Sha256,
    /// Bytes of the packet.
    pub size: u64,
    /// When the hub had it in hand.
    pub received_at: Timestamp,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// What the reader found.
    pub facts: DocumentFacts,
    /// Who answers for the bytes.
    pub verdict: SignatureVerdict,
    /// What was forgiven.
    pub warnings: Vec<WarningLine>,
    /// Version of the directory that resolved the recipients.
    pub directory_version: u64,
    /// How many recipients it has: the number accepted in the balance.
    pub recipients: u32,
    /// The document it recalls or updates.
    pub amends: Option<DocumentUid>,
    /// The documents it takes the place of.
    pub replaces: Vec<DocumentUid>,
    /// The document as a whole waits for an operator.
    pub held: bool,
}

/// Number and notation in one, as a status names a document: `7816/VPCP-TTĐT`, without white space.
///
/// `None` when there is no number.
#[must_use]
pub fn number_key(number: Option<&str>, notation: Option<&str>) -> Option<String> {
    let squeeze = |text: &str| text.split_whitespace().collect::<String>();
    let number = squeeze(number?);
    let notation = notation.map(squeeze).unwrap_or_default();
    match (number.is_empty(), notation.is_empty()) {
        (true, _) => None,
        (false, true) => Some(number),
        (false, false) => Some(format!("{number}/{notation}")),
    }
}

impl DocumentRow {
    /// See [`number_key`].
    #[must_use]
    pub fn number_key(&self) -> Option<String> {
        number_key(self.facts.number.as_deref(), self.facts.notation.as_deref())
    }
}

/// One document for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientRow {
    /// Which document.
    pub document: DocumentUid,
    /// Its place in the document, from 0.
    pub position: u32,
    /// Who it is.
    pub party: Party,
    /// The codes as written that name it; the first is shown.
    pub codes: Vec<String>,
    /// The system it goes to.
    pub system: Option<SystemId>,
    /// The message it travels in; shared by all recipients on one system.
    pub delivery: Option<DeliveryUid>,
    /// The hub's axis.
    pub state: TransportState,
    /// The recipient's axis.
    pub business: BusinessState,
    /// The overlay of recalls and updates.
    pub change: ChangeState,
    /// How many updates it agreed to.
    pub revision: u32,
    /// The event by which its sender took the document back: from then on the bytes are not kept for it.
    pub recalled: Option<u64>,
}

impl RecipientRow {
    /// The code as written.
    #[must_use]
    pub fn code(&self) -> &str {
        self.codes.first().map_or("", String::as_str)
    }
}

/// A recorded status. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRow {
    /// Number of the event that recorded it.
    pub event: u64,
    /// The document it speaks of.
    pub document: DocumentUid,
    /// The recipient's position.
    pub recipient: u32,
    /// The code.
    pub code: StatusCode,
    /// Who reported it.
    pub reporter: Party,
    /// By which system, under which key.
    pub key: SubmissionKey,
    /// Digest of the packet.
    pub sha256: Sha256,
    /// Bytes of the packet.
    pub size: u64,
    /// When it was recorded.
    pub accepted_at: Timestamp,
    /// `moved`, `late`, `odd` or `overlay`.
    pub effect: String,
    /// The message that passes it on.
    pub delivery: Option<DeliveryUid>,
    /// The system it is passed on to.
    pub to_system: Option<SystemId>,
    /// Whether Description gives a reason.
    pub reason_given: bool,
    /// What was forgiven.
    pub warnings: Vec<WarningLine>,
}

/// Where an outgoing message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxPlace {
    /// Waits to be claimed.
    Waiting {
        /// Not before this.
        not_before: Option<Timestamp>,
    },
    /// A hub has it in hand.
    Leased {
        /// Which.
        owner: HubId,
        /// Until when; after that any hub may claim it.
        until: Timestamp,
    },
    /// In the inbox, confirmed; waits for `taken`.
    Forwarded {
        /// When the last confirm came.
        at: Timestamp,
        /// Which attempt it confirmed.
        attempt: u32,
    },
}

/// Where an outgoing message's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutboxBody {
    /// Among the bodies, under the row's digest: packets.
    Stored,
    /// Here: answers.
    Inline(String),
}

/// A recipient whose sender wants it back from a message that may have left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderedBack {
    /// Its place in the document.
    pub position: u32,
    /// Its code in the message's `truc-to`.
    pub code: String,
    /// By what order.
    pub cause: WithdrawCause,
    /// Whose order: this system is told.
    pub system: SystemId,
    /// How often the message had been claimed by then; in later attempts this recipient is left out.
    pub attempts: u32,
}

/// One message to one inbox. Gone once it is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its id: AMQP `message_id` and header `truc-delivery`.
    pub delivery: DeliveryUid,
    /// Whose inbox.
    pub system: SystemId,
    /// What it is.
    pub outgoing: Outgoing,
    /// AMQP priority; greater goes first.
    pub priority: u8,
    /// Number of the event that caused it: among equals, the older goes first.
    pub event: u64,
    /// Place among the messages of that event.
    pub line: u32,
    /// The document it carries or speaks of.
    pub document: Option<DocumentUid>,
    /// In answers, the `message_id` answered.
    pub correlation_id: Option<MessageId>,
    /// Its bytes.
    pub body: OutboxBody,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// How many they are.
    pub size: u64,
    /// Header `truc-from`.
    pub from: Option<String>,
    /// Header `truc-to`.
    pub to: Vec<String>,
    /// Header `truc-status`.
    pub status: Option<StatusCode>,
    /// When the hub accepted what it carries.
    pub accepted_at: Timestamp,
    /// How often it was claimed for publishing.
    pub attempts: u32,
    /// Where it is.
    pub place: OutboxPlace,
    /// Whether an alert was raised that it is not taken.
    pub alerted: bool,
    /// How many of the attempts surely came to nothing. When it is all of them, the message never left.
    pub failed: u32,
    /// For whom it was ordered back after it may have left.
    pub ordered_back: Vec<OrderedBack>,
    /// It was ordered back for all it is still for: never published again.
    pub recalled: bool,
}

impl OutboxRow {
    /// Sorts the most urgent first, then the oldest.
    #[must_use]
    pub fn order(&self) -> (std::cmp::Reverse<u8>, u64, u32) {
        (std::cmp::Reverse(self.priority), self.event, self.line)
    }

    /// Whether it can be claimed at `now`.
    #[must_use]
    pub fn is_claimable(&self, now: Timestamp) -> bool {
        !self.recalled
            && match &self.place {
                OutboxPlace::Waiting { not_before } => not_before.is_none_or(|t| t <= now),
                OutboxPlace::Leased { until, .. } => *until <= now,
                OutboxPlace::Forwarded { .. } => false,
            }
    }

    /// Whether it never left: no attempt that could have reached the broker.
    #[must_use]
    pub const fn is_at_home(&self) -> bool {
        matches!(self.place, OutboxPlace::Waiting { .. }) && self.attempts == self.failed
    }

    /// Whether an attempt left this recipient out, because it was ordered back before.
    #[must_use]
    pub fn left_out(&self, position: u32, attempt: u32) -> bool {
        let mut back = self.ordered_back.iter();
        back.any(|back| back.position == position && attempt > back.attempts)
    }

    /// Whether it goes ahead of everything in its inbox: an order that must overtake.
    #[must_use]
    pub const fn is_order(&self) -> bool {
        self.outgoing.awaits_taken() && self.priority >= crate::command::ANSWER_PRIORITY
    }

    /// Whether it takes room in the inbox's window at `now`.
    #[must_use]
    pub fn is_in_inbox(&self, now: Timestamp) -> bool {
        self.outgoing.awaits_taken()
            && match &self.place {
                OutboxPlace::Waiting { .. } => false,
                OutboxPlace::Leased { until, .. } => *until > now,
                OutboxPlace::Forwarded { .. } => true,
            }
    }
}

/// One version of the directory. Append-only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRow {
    /// Its version.
    pub version: u64,
    /// Number of the event that recorded it.
    pub event: u64,
    /// When.
    pub at: Timestamp,
    /// Its canonical JSON.
    pub json: String,
}

/// Everything one transaction adds and changes.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// New events, in order, following the head.
    pub events: Vec<EventRow>,
    /// Bodies that go, before new ones are added. Of those apart [`Changes::bodies_leaving`] says the rest.
    pub bodies_deleted: Vec<BodyDeletedRow>,
    /// Bodies apart that are not kept from now on, but leave, each once. One may not have been kept before: what a
    /// transaction brings and lets go leaves all the same.
    pub bodies_leaving: Vec<LeavingBody>,
    /// Bodies that left: the store has deleted them. One that leaves by another event stays.
    pub bodies_left: Vec<LeavingBody>,
    /// Bodies, each once, added last; one that is kept already, here or apart, is left alone. One apart that was
    /// leaving is kept again; bytes that are here do not keep one apart from leaving.
    pub bodies: Vec<(Sha256, Body)>,
    /// New documents.
    pub documents: Vec<DocumentRow>,
    /// New recipients.
    pub recipients: Vec<RecipientRow>,
    /// Documents that begin or cease to wait for an operator as a whole.
    pub held: Vec<(DocumentUid, bool)>,
    /// Recipients whose state, business or change moved, or whom an operator sent another way.
    pub recipients_moved: Vec<RecipientRow>,
    /// New accepted submissions.
    pub submissions: Vec<SubmissionRow>,
    /// New refusals.
    pub refusals: Vec<RefusalRow>,
    /// New statuses.
    pub statuses: Vec<StatusRow>,
    /// New outgoing messages.
    pub outbox: Vec<OutboxRow>,
    /// Outgoing messages whose place, attempts or alert changed.
    pub outbox_moved: Vec<OutboxRow>,
    /// Outgoing messages that are done.
    pub outbox_done: Vec<DeliveryUid>,
    /// New versions of the directory.
    pub directories: Vec<DirectoryRow>,
    /// Alerts and messages about them.
    pub alerts: AlertChanges,
    /// Time limits that began, ended or were told of.
    pub limits: LimitChanges,
}

impl Changes {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
            && self.bodies_deleted.is_empty()
            && self.bodies_leaving.is_empty()
            && self.bodies_left.is_empty()
            && self.bodies.is_empty()
            && self.documents.is_empty()
            && self.recipients.is_empty()
            && self.held.is_empty()
            && self.recipients_moved.is_empty()
            && self.submissions.is_empty()
            && self.refusals.is_empty()
            && self.statuses.is_empty()
            && self.outbox.is_empty()
            && self.outbox_moved.is_empty()
            && self.outbox_done.is_empty()
            && self.directories.is_empty()
            && self.alerts.is_empty()
            && self.limits.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_reads_the_same_however_it_is_spaced() {
        assert_eq!(
            number_key(Some(" 78 "), Some("VPCP - TTĐT")).as_deref(),
            Some("78/VPCP-TTĐT")
        );
        assert_eq!(number_key(Some("78"), None).as_deref(), Some("78"));
        assert_eq!(number_key(Some(" "), Some("x")), None);
        assert_eq!(number_key(None, Some("x")), None);
    }
}
