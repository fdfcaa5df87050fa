//! What one asks of the ledger: submissions that were checked, refusals, the broker's confirms, `taken`,
//! and the operator's orders.
//!
//! These are plain values. What they lead to is decided by the rules ([`crate::rules`]); what comes back
//! stands in [`crate::outcome`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{Timestamp, civil};
use serde::{Deserialize, Serialize};
use truc_model::wire::{Intake, Outgoing, WarningLine};
use truc_model::{
    DeliveryUid, DocumentIdentity, DocumentUid, MessageId, Operation, ParkCause, Party, PdfSignatures,
    Refusal, Sha256, SignatureVerdict, StatusCode, SystemId, UndeliverableCause, Urgency,
};

use crate::body::Body;
use crate::change::DocumentChange;
use crate::limit::SentLate;
use crate::trust::TrustInForce;

/// The idempotency key of a submission: AMQP `message_id`, unique for the sending system. Kept for ever.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubmissionKey {
    /// The sending system, as the broker authenticated it.
    pub system: SystemId,
    /// The sender's key.
    pub message_id: MessageId,
}

/// A document that passed every check.
#[derive(Debug, Clone)]
pub struct DocumentSubmission {
    /// Idempotency key.
    pub key: SubmissionKey,
    /// When the hub had it in hand.
    pub received_at: Timestamp,
    /// Digest of `body`.
    pub sha256: Sha256,
    /// Bytes of `body`.
    pub size: u64,
    /// The packet as received; stored once however many documents have these bytes.
    pub body: Body,
    /// The sender, resolved, and its `DocumentId`.
    pub identity: DocumentIdentity,
    /// Parties that the sender took over from: their documents are its own.
    pub sender_formerly: Vec<Party>,
    /// The sender's code as written (header `truc-from`).
    pub sender_code: String,
    /// What the reader found.
    pub facts: DocumentFacts,
    /// Who answers for the bytes.
    pub verdict: SignatureVerdict,
    /// What the reader forgave.
    pub warnings: Vec<WarningLine>,
    /// One per code in `To`; several codes of one party become one delivery.
    pub recipients: Vec<PlannedRecipient>,
    /// What it asks about earlier documents; `None` for a new one.
    pub change: Option<DocumentChange>,
    /// What the sending system's policy says of a taken identity.
    pub conflict_policy: ConflictPolicy,
    /// Parks every delivery: a marking of secrecy, for instance.
    pub park: Option<ParkCause>,
    /// Version of the directory that resolved the recipients.
    pub directory_version: u64,
}

/// The facts of a document that lists and searches show. JSON in the tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentFacts {
    /// `Code/CodeNumber`.
    pub number: Option<String>,
    /// `Code/CodeNotation`.
    pub notation: Option<String>,
    /// Date of issue.
    pub issued_on: Option<civil::Date>,
    /// Year of issue, for the number's uniqueness.
    pub year: Option<i16>,
    /// `DocumentType/TypeName`.
    pub type_name: Option<String>,
    /// Abstract (*trích yếu*); `None` when the document is quarantined.
    pub subject: Option<String>,
    /// What the packet does.
    pub operation: Operation,
    /// How urgent it is; decides the order of forwarding.
    pub urgency: Urgency,
    /// `DocumentId` of the document it recalls, updates or replaces.
    pub refers_to: Option<String>,
    /// Its attachments, without their bytes.
    pub attachments: Vec<AttachmentFacts>,
    /// It came later than it should have been sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_late: Option<SentLate>,
}

/// One attachment, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentFacts {
    /// `AttachmentName`; empty when the document is quarantined.
    pub name: String,
    /// Decoded bytes.
    pub length: u64,
    /// Digest of the decoded bytes.
    pub sha256: Sha256,
    /// What the first bytes look like, e.g. `pdf`.
    pub sniffed: Option<String>,
    /// Something worth telling, e.g. that label and content differ.
    pub note: Option<String>,
    /// The signatures inside a PDF; `None` when it is none, or nobody was to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<PdfSignatures>,
}

/// What to do with a document whose identity already belongs to other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictPolicy {
    /// Accept it and park every delivery until an operator decides.
    #[default]
    Park,
    /// Refuse it: `identity-conflict`.
    Refuse,
    /// Deliver it; the event names the conflict.
    Deliver,
}

/// One recipient, as routed on the directory at the time of receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRecipient {
    /// The code as written in the packet.
    pub code: String,
    /// What it resolved to.
    pub party: Party,
    /// Parties that it took over from: what was sent to them is its own.
    pub formerly: Vec<Party>,
    /// When the code written is closed, the codes of those that took over: one with [`Plan::Deliver`] when it
    /// goes there during the time of grace, one with `closed-code` afterwards, several when an operator must
    /// choose. Empty otherwise.
    pub successors: Vec<String>,
    /// What to do for it.
    pub plan: Plan,
}

impl PlannedRecipient {
    /// A recipient without a past.
    #[must_use]
    pub const fn new(code: String, party: Party, plan: Plan) -> Self {
        Self {
            code,
            party,
            formerly: Vec::new(),
            successors: Vec::new(),
            plan,
        }
    }
}

/// What to do for a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Send it to the inbox of this system.
    Deliver {
        /// The system that serves the recipient.
        system: SystemId,
    },
    /// It cannot be reached.
    Undeliverable(UndeliverableCause),
    /// An operator must decide.
    Park(ParkCause),
}

/// A status packet that passed every check that needs no ledger.
#[derive(Debug, Clone)]
pub struct StatusSubmission {
    /// Idempotency key.
    pub key: SubmissionKey,
    /// When the hub had it in hand.
    pub received_at: Timestamp,
    /// Digest of `body`.
    pub sha256: Sha256,
    /// Bytes of `body`.
    pub size: u64,
    /// The packet as received.
    pub body: Arc<[u8]>,
    /// The code.
    pub code: StatusCode,
    /// `From`, resolved: the recipient, or for 13 the sender.
    pub reporter: Party,
    /// Parties that the reporter took over from.
    pub reporter_formerly: Vec<Party>,
    /// `From` as written.
    pub reporter_code: String,
    /// `ResponseFor/OrganId`, resolved: the sender, or for 13 the recipient.
    pub about: Party,
    /// Parties that it took over from.
    pub about_formerly: Vec<Party>,
    /// `ResponseFor/OrganId` as written.
    pub about_code: String,
    /// `ResponseFor/DocumentId`, trimmed, NFC.
    pub document_id: Option<String>,
    /// `ResponseFor/Code`: number and notation in one, `7816/VPCP-TTĐT`.
    pub number: Option<String>,
    /// Year of `ResponseFor/PromulgationDate`.
    pub year: Option<i16>,
    /// The system that now serves `about`. `None`: the system that submitted the document, or for 13 the
    /// one its delivery went to.
    pub to_system: Option<SystemId>,
    /// Whether Description gives a reason.
    pub reason_given: bool,
    /// What the reader forgave.
    pub warnings: Vec<WarningLine>,
}

/// A submission that failed a check. Nothing of it is accepted; the key stays free.
#[derive(Debug, Clone)]
pub struct RefusedSubmission {
    /// The sending system, `Some` only when it is registered: then it is answered.
    pub system: Option<SystemId>,
    /// Its `message_id`, when it had one.
    pub message_id: Option<MessageId>,
    /// Which queue it came by.
    pub intake: Intake,
    /// When the hub had it in hand.
    pub received_at: Timestamp,
    /// Digest of the body.
    pub sha256: Sha256,
    /// Bytes of the body.
    pub size: u64,
    /// The sender, when it could be resolved: refusals are counted per agency.
    pub sender: Option<Party>,
    /// All findings; the first by precedence decides. Must not be empty.
    pub findings: Vec<Refusal>,
    /// The bytes, when they are to be kept as evidence.
    pub body: Option<Arc<[u8]>>,
}

/// The broker confirmed a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forwarded {
    /// Which message.
    pub delivery: DeliveryUid,
    /// When the confirm came.
    pub at: Timestamp,
    /// Which attempt, from [`crate::Claimed::attempt`].
    pub attempt: u32,
}

/// A publish came to nothing, or its outcome is unknown. It is tried again: never a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishFailed {
    /// Which message.
    pub delivery: DeliveryUid,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub failure: PublishFailure,
    /// Not before this time again.
    pub next_try: Timestamp,
}

/// Why a publish came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PublishFailure {
    /// The broker returned it: the system's inbox does not exist.
    Unroutable,
    /// The broker nacked it.
    Nacked,
    /// The broker blocks publishers (memory or disk alarm).
    Blocked,
    /// No confirm came in time; it may be in the inbox.
    TimedOut,
    /// The connection went before the confirm; it may be in the inbox.
    Disconnected,
    /// The broker refused the publish (permissions).
    Refused,
    /// Larger than the broker takes.
    TooLarge,
    /// The ledger's copy of the bytes is missing or does not have its digest any more.
    BodyDamaged,
}

impl PublishFailure {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unroutable,
        Self::Nacked,
        Self::Blocked,
        Self::TimedOut,
        Self::Disconnected,
        Self::Refused,
        Self::TooLarge,
        Self::BodyDamaged,
    ];

    /// Whether it is sure that the message is in no inbox: it came back, was larger than the broker takes, or
    /// was never sent. A refusal closes the channel, and a blocked or failing broker may have kept what it got:
    /// that is not sure.
    #[must_use]
    pub const fn is_definite(self) -> bool {
        matches!(self, Self::Unroutable | Self::TooLarge | Self::BodyDamaged)
    }

    /// The word in events and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unroutable => "unroutable",
            Self::Nacked => "nacked",
            Self::Blocked => "blocked",
            Self::TimedOut => "timed-out",
            Self::Disconnected => "disconnected",
            Self::Refused => "refused",
            Self::TooLarge => "too-large",
            Self::BodyDamaged => "body-damaged",
        }
    }
}

/// A `taken` message of a system.
#[derive(Debug, Clone)]
pub struct TakenReport {
    /// Who said it, as the broker authenticated it.
    pub system: SystemId,
    /// The message's own id, for the event about odd ones.
    pub message_id: Option<MessageId>,
    /// What it said.
    pub taken: truc_model::wire::Taken,
}

/// The hub takes messages that were ordered back out of an inbox that nobody reads.
///
/// The caller saw that the inbox had no consumer, got the message by itself, and saw that the broker never
/// gave it to anybody before (not `redelivered`). Only then is it sure that nobody handed it over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleaning {
    /// Whose inbox.
    pub system: SystemId,
    /// Which messages, at most [`Cleaning::MAX`].
    pub deliveries: Vec<DeliveryUid>,
}

impl Cleaning {
    /// Most messages in one call.
    pub const MAX: usize = 64;
}

/// The name of one running hub, in leases and events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HubId(String);

impl HubId {
    /// Longest name, in characters.
    pub const MAX_LEN: usize = 64;

    /// Wraps a name; what exceeds [`HubId::MAX_LEN`] is cut off.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.chars().take(Self::MAX_LEN).collect())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Asks for messages to publish. They are leased: no other hub gets them until the lease ends.
#[derive(Debug, Clone)]
pub struct ClaimRequest {
    /// Who claims.
    pub owner: HubId,
    /// For how long.
    pub lease: Duration,
    /// Most documents and statuses.
    pub max: usize,
    /// Most receipts, refusals and notices.
    pub answers_max: usize,
    /// Most bytes of bodies in memory; one message is given however large it is.
    pub bytes_max: u64,
    /// Most untaken documents and statuses in one inbox, of those that are not urgent.
    pub window: u32,
    /// By how many more an inbox may be filled with urgent ones.
    pub urgent_extra: u32,
    /// Inboxes left alone for now, because the broker takes nothing for them: what waits for them is not tried,
    /// and holds up nobody else.
    pub resting: Vec<SystemId>,
}

impl ClaimRequest {
    /// The usual limits: 256 messages, as many answers, 64 MiB, a window of 100 and 50 more for urgent ones,
    /// a lease of two minutes.
    #[must_use]
    pub fn usual(owner: HubId) -> Self {
        Self {
            owner,
            lease: Duration::from_mins(2),
            max: 256,
            answers_max: 256,
            bytes_max: 64 << 20,
            window: 100,
            urgent_extra: 50,
            resting: Vec::new(),
        }
    }
}

/// An operator sends untaken deliveries of a document again, under the same delivery ids.
#[derive(Debug, Clone)]
pub struct Resend {
    /// Which document.
    pub document: DocumentUid,
    /// Only for this recipient; its message goes again as a whole, to all recipients it carries.
    pub party: Option<Party>,
    /// The operator's account.
    pub who: String,
    /// Why, in the operator's words, without personal data; kept in the event, cut to [`Resend::WHY_MAX`].
    pub why: String,
}

impl Resend {
    /// Longest `who` and `why`, in characters.
    pub const WHY_MAX: usize = 200;
}

/// A new version of the directory.
#[derive(Debug, Clone)]
pub struct NewDirectory {
    /// The version it was made from; 0 when there was none.
    pub expected_version: u64,
    /// Its own version; greater than the last.
    pub version: u64,
    /// Its canonical JSON.
    pub json: String,
    /// Whose order: an account, not a person's name.
    pub who: String,
    /// What changed, counted.
    pub summary: DirectorySummary,
}

/// What a new version of the directory changed, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DirectorySummary {
    /// Agencies and systems added.
    pub added: u32,
    /// Changed.
    pub changed: u32,
    /// Closed or switched off.
    pub closed: u32,
}

/// What happened to the hub itself or outside the flow, for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A hub began to serve.
    HubStarted {
        /// Which.
        hub: HubId,
        /// Its program version.
        version: String,
    },
    /// A hub stopped in good order.
    HubStopped {
        /// Which.
        hub: HubId,
    },
    /// A message that no one could handle went to the dead letters.
    DeadLettered {
        /// The queue it was in.
        queue: String,
        /// Why, one word.
        reason: String,
        /// Its sender, as far as known.
        system: Option<SystemId>,
        /// Its `message_id`, as far as readable.
        message_id: Option<MessageId>,
        /// Digest of its body.
        sha256: Sha256,
        /// Bytes of its body.
        size: u64,
    },
    /// A system's account changed: `added`, `rotated`, `disabled`, `enabled`, `certificate`.
    SystemChanged {
        /// Which.
        system: SystemId,
        /// What, one word.
        change: String,
        /// Whose order: an account, not a person's name.
        who: String,
    },
    /// What a hub trusts. An event only when the last one of this kind says otherwise.
    TrustInForce {
        /// Which.
        hub: HubId,
        /// All it trusts.
        trust: Box<TrustInForce>,
    },
}

/// Longest free word in a [`Note`] (queue, reason, change, version, issuer), in characters.
pub const NOTE_WORD_MAX: usize = 120;

/// The urgency of an outgoing message as AMQP priority. Answers go first: a sender must not wait for its
/// receipt behind the documents it is sent.
#[must_use]
pub const fn priority_of(outgoing: Outgoing, urgency: Urgency) -> u8 {
    match outgoing {
        Outgoing::Document | Outgoing::Status => urgency.number(),
        Outgoing::Receipt | Outgoing::Refusal | Outgoing::Notice => ANSWER_PRIORITY,
    }
}

/// AMQP priority of receipts, refusals and notices: above every urgency.
pub const ANSWER_PRIORITY: u8 = 5;
