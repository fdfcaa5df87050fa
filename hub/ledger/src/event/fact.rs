//! The closed list of what can happen.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::wire::{Intake, Outgoing};
use truc_model::{
    AlertKind, AlertPostUid, AlertUid, BusinessState, ChangeOrder, ChangeState, DeliveryUid, DocumentUid,
    LimitKind, MessageId, Operation, ParkCause, Party, RefusalCode, Severity, Sha256, StatusCode, SystemId,
    Turn, Urgency, WarningCode, WithdrawCause, WithdrawProof,
};

use crate::alert::ClearCause;
use crate::command::{DirectorySummary, HubId, PublishFailure};
use crate::event::kind::EventKind;
use crate::event::parts::{AcceptedRecipient, OrderedRecipient, RepeatedBy, SentRecipient, TakenBy, is_zero};
use crate::reorganise::Reorganised;
use crate::retention::DeletionCause;
use crate::trust::ListInForce;

/// What happened, with its facts. JSON: the member `kind` names the variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Fact {
    /// See [`EventKind::DocumentAccepted`].
    DocumentAccepted {
        /// The hub's id.
        document: DocumentUid,
        /// Who submitted it.
        system: SystemId,
        /// Under which key.
        message_id: MessageId,
        /// The sender.
        sender: Party,
        /// Its `DocumentId`.
        document_id: String,
        /// Digest of the packet.
        sha256: Sha256,
        /// Bytes of the packet.
        size: u64,
        /// What it does.
        operation: Operation,
        /// How urgent it is.
        urgency: Urgency,
        /// One word for the signature: `valid`, `vouched`, `invalid`, `absent`.
        signature: String,
        /// The version of the directory that resolved the recipients.
        directory: u64,
        /// What was forgiven.
        warnings: Vec<WarningCode>,
        /// Every recipient's first state.
        recipients: Vec<AcceptedRecipient>,
        /// Another document of the same identity, with other bytes.
        conflicts_with: Option<DocumentUid>,
        /// The document it recalls or updates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amends: Option<DocumentUid>,
        /// The documents it takes the place of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        replaces: Vec<DocumentUid>,
    },
    /// See [`EventKind::DocumentParked`].
    DocumentParked {
        /// Which.
        document: DocumentUid,
        /// Why.
        cause: ParkCause,
        /// Positions of the recipients concerned.
        recipients: Vec<u32>,
    },
    /// See [`EventKind::SubmissionRefused`].
    SubmissionRefused {
        /// Who submitted it, when registered.
        system: Option<SystemId>,
        /// Under which key.
        message_id: Option<MessageId>,
        /// By which queue.
        #[serde(with = "intake")]
        intake: Intake,
        /// The code that decided.
        code: RefusalCode,
        /// The further ones.
        also: Vec<RefusalCode>,
        /// The sender, when resolved.
        sender: Option<Party>,
        /// Digest of the body.
        sha256: Sha256,
        /// Bytes of the body.
        size: u64,
        /// The document it concerns, if one was found.
        document: Option<DocumentUid>,
    },
    /// See [`EventKind::SubmissionRepeated`].
    SubmissionRepeated {
        /// Who submitted it.
        system: SystemId,
        /// Under which key.
        message_id: MessageId,
        /// What made it a repeat.
        by: RepeatedBy,
        /// What the first receipt speaks of.
        document: DocumentUid,
    },
    /// See [`EventKind::DeliveryForwarded`].
    DeliveryForwarded {
        /// Which message.
        delivery: DeliveryUid,
        /// What it carries.
        carries: Outgoing,
        /// Whose inbox.
        system: SystemId,
        /// The document it carries or speaks of.
        document: DocumentUid,
        /// Positions of the recipients that are now forwarded.
        recipients: Vec<u32>,
        /// Which attempt.
        attempt: u32,
        /// When the confirm came, to the microsecond.
        #[serde(with = "micros")]
        confirmed_at: Timestamp,
    },
    /// See [`EventKind::PublishFailed`].
    PublishFailed {
        /// Which message.
        delivery: DeliveryUid,
        /// What it carries.
        carries: Outgoing,
        /// Whose inbox.
        system: SystemId,
        /// The document it carries or speaks of.
        document: Option<DocumentUid>,
        /// Which attempt.
        attempt: u32,
        /// Why.
        failure: PublishFailure,
        /// Not before this again.
        #[serde(with = "micros")]
        next_try: Timestamp,
    },
    /// See [`EventKind::DeliveryTaken`].
    DeliveryTaken {
        /// Which message.
        delivery: DeliveryUid,
        /// What it carries.
        carries: Outgoing,
        /// Who took it.
        system: SystemId,
        /// The document it carries or speaks of.
        document: DocumentUid,
        /// Positions of the recipients that are now taken.
        recipients: Vec<u32>,
        /// How the hub knows.
        by: TakenBy,
    },
    /// See [`EventKind::DeliveryRefused`].
    DeliveryRefused {
        /// Which message.
        delivery: DeliveryUid,
        /// What it carries.
        carries: Outgoing,
        /// Who declined it.
        system: SystemId,
        /// The document it carries or speaks of.
        document: DocumentUid,
        /// Positions of the recipients that are now refused.
        recipients: Vec<u32>,
        /// The adapter's code.
        code: String,
    },
    /// See [`EventKind::DeliveryNotTaken`].
    DeliveryNotTaken {
        /// Which message.
        delivery: DeliveryUid,
        /// What it carries.
        carries: Outgoing,
        /// In whose inbox it lies.
        system: SystemId,
        /// The document it carries or speaks of.
        document: Option<DocumentUid>,
        /// Positions of the recipients that wait.
        recipients: Vec<u32>,
        /// Since when.
        #[serde(with = "micros")]
        forwarded_at: Timestamp,
    },
    /// See [`EventKind::DeliveryResent`].
    DeliveryResent {
        /// Which message.
        delivery: DeliveryUid,
        /// Whose inbox.
        system: SystemId,
        /// Which document.
        document: DocumentUid,
        /// Positions of the recipients that are scheduled again.
        recipients: Vec<u32>,
        /// The operator's account.
        who: String,
        /// Why.
        why: String,
    },
    /// See [`EventKind::DeliveryParked`].
    DeliveryParked {
        /// Which document.
        document: DocumentUid,
        /// Positions of the recipients that are now parked.
        recipients: Vec<u32>,
        /// The operator's account.
        who: String,
        /// Why.
        why: String,
    },
    /// See [`EventKind::DeliveryReleased`].
    DeliveryReleased {
        /// Which document.
        document: DocumentUid,
        /// The message they travel in now.
        delivery: DeliveryUid,
        /// Whose inbox.
        system: SystemId,
        /// The recipients that are now scheduled.
        recipients: Vec<SentRecipient>,
        /// Somebody authorised answers for a marking of secrecy.
        authorised: bool,
        /// The operator's account.
        who: String,
        /// Why.
        why: String,
    },
    /// See [`EventKind::DeliveryRerouted`].
    DeliveryRerouted {
        /// Which document.
        document: DocumentUid,
        /// The message they travel in now.
        delivery: DeliveryUid,
        /// Whose inbox.
        system: SystemId,
        /// The recipients that go another way.
        recipients: Vec<SentRecipient>,
        /// The operator's account.
        who: String,
        /// Why.
        why: String,
    },
    /// See [`EventKind::DeliveryClosed`].
    DeliveryClosed {
        /// Which document.
        document: DocumentUid,
        /// Positions of the recipients that are now undeliverable.
        recipients: Vec<u32>,
        /// The operator's account.
        who: String,
        /// Why.
        why: String,
    },
    /// See [`EventKind::LimitPassed`].
    LimitPassed {
        /// Which document.
        document: DocumentUid,
        /// Positions of the recipients.
        recipients: Vec<u32>,
        /// Which limit.
        limit: LimitKind,
        /// The level reached, from 1.
        level: u8,
        /// When it was due, as reckoned then.
        #[serde(with = "micros")]
        due: Timestamp,
        /// Whose turn it is.
        turn: Turn,
    },
    /// See [`EventKind::ChangeOrdered`].
    ChangeOrdered {
        /// The document it speaks of.
        document: DocumentUid,
        /// What is asked.
        order: ChangeOrder,
        /// The document that carries the order.
        by: DocumentUid,
        /// The recipients it concerns, with the overlay after it.
        recipients: Vec<OrderedRecipient>,
    },
    /// See [`EventKind::DeliveryOrderedBack`].
    DeliveryOrderedBack {
        /// The document it carries.
        document: DocumentUid,
        /// Which message.
        delivery: DeliveryUid,
        /// Whose inbox.
        system: SystemId,
        /// Positions of the recipients for whom it is wanted back.
        recipients: Vec<u32>,
        /// By what order.
        cause: WithdrawCause,
    },
    /// See [`EventKind::DeliveryWithdrawn`].
    DeliveryWithdrawn {
        /// Which document.
        document: DocumentUid,
        /// The message they travelled in; `null` when none was made.
        delivery: Option<DeliveryUid>,
        /// Whose inbox it was for.
        system: Option<SystemId>,
        /// Positions of the recipients that are now withdrawn.
        recipients: Vec<u32>,
        /// Why.
        cause: WithdrawCause,
        /// How the hub knows that it was not handed over.
        proof: WithdrawProof,
    },
    /// See [`EventKind::CleaningBegun`].
    CleaningBegun {
        /// Which message.
        delivery: DeliveryUid,
        /// Whose inbox.
        system: SystemId,
        /// The document it carries.
        document: DocumentUid,
    },
    /// See [`EventKind::StatusRecorded`].
    StatusRecorded {
        /// The document it speaks of.
        document: DocumentUid,
        /// The recipient's position.
        recipient: u32,
        /// The code.
        code: StatusCode,
        /// Who reported it.
        reporter: Party,
        /// By which system.
        system: SystemId,
        /// Under which key.
        message_id: MessageId,
        /// Digest of the packet.
        sha256: Sha256,
        /// `moved`, `late`, `odd`, `overlay` or `ended`.
        effect: String,
        /// Steps in between were never reported.
        skipped: bool,
        /// It moved against expectation.
        odd: bool,
        /// The business state after it.
        business: BusinessState,
        /// The overlay after it.
        change: ChangeState,
        /// How many updates the recipient has agreed to; left out when none.
        #[serde(default, skip_serializing_if = "is_zero")]
        revision: u32,
        /// The message that passes it on; `null` when no system serves the other party, or nobody needs it.
        delivery: Option<DeliveryUid>,
    },
    /// See [`EventKind::StatusRepeated`].
    StatusRepeated {
        /// The document it speaks of.
        document: DocumentUid,
        /// The recipient's position.
        recipient: u32,
        /// The code.
        code: StatusCode,
        /// By which system.
        system: SystemId,
        /// Under which key.
        message_id: MessageId,
        /// Digest of the packet.
        sha256: Sha256,
    },
    /// See [`EventKind::TakenOdd`].
    TakenOdd {
        /// Who said it.
        system: SystemId,
        /// In which message.
        message_id: Option<MessageId>,
        /// Deliveries that are not this system's, the first few.
        unknown: Vec<DeliveryUid>,
        /// How many they are.
        unknown_count: u64,
        /// Deliveries that ended otherwise, the first few.
        contradicted: Vec<DeliveryUid>,
        /// How many they are.
        contradicted_count: u64,
    },
    /// See [`EventKind::BodiesDeleted`].
    BodiesDeleted {
        /// The document whose recall it follows; `null` when they were kept long enough.
        document: Option<DocumentUid>,
        /// Why.
        cause: DeletionCause,
        /// Whose order: an account, or the hub itself.
        who: String,
        /// Digests of the bodies, at most [`crate::retention::BODIES_DELETED_MAX`].
        digests: Vec<Sha256>,
        /// How many bytes each had, in the same order.
        sizes: Vec<u64>,
    },
    /// See [`EventKind::DirectoryChanged`].
    DirectoryChanged {
        /// The new version.
        version: u64,
        /// Digest of its JSON.
        sha256: Sha256,
        /// Whose order.
        who: String,
        /// What changed, counted.
        summary: DirectorySummary,
    },
    /// See [`EventKind::ReorganisationPlanned`].
    ReorganisationPlanned {
        /// The directory's version that knows it.
        version: u64,
        /// Its day.
        on: Date,
        /// Digest of the file.
        file: Sha256,
        /// The deciding document.
        decision: Option<String>,
        /// Rows of the file.
        rows: u32,
        /// Whose order.
        who: String,
    },
    /// See [`EventKind::DirectoryReorganised`].
    DirectoryReorganised {
        /// The directory's version that says so.
        version: u64,
        /// Its day.
        on: Date,
        /// Digest of the file.
        file: Sha256,
        /// The deciding document.
        decision: Option<String>,
        /// Rows of the file.
        rows: u32,
        /// What became of the recipients for whom something waited.
        recipients: Reorganised,
        /// Whose order.
        who: String,
    },
    /// See [`EventKind::SystemChanged`].
    SystemChanged {
        /// Which.
        system: SystemId,
        /// What, one word.
        change: String,
        /// Whose order.
        who: String,
    },
    /// See [`EventKind::TrustChanged`].
    TrustChanged {
        /// Which hub.
        hub: HubId,
        /// Digest of all it trusts ([`crate::TrustInForce::sha256`]).
        sha256: Sha256,
        /// SHA-256 of the anchors' certificates, the first few.
        anchors: Vec<Sha256>,
        /// How many they are.
        anchors_count: u64,
        /// The revocation lists, the first few by issuer.
        lists: Vec<ListInForce>,
        /// How many they are.
        lists_count: u64,
        /// How many certificates of systems are in force.
        certificates_count: u64,
        /// Digest of their digests, by system.
        certificates_sha256: Sha256,
        /// The rules, a word each.
        policy: Vec<String>,
    },
    /// See [`EventKind::DeadLettered`].
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
    /// See [`EventKind::AlertRaised`].
    AlertRaised {
        /// Its id.
        alert: AlertUid,
        /// Which kind.
        what: AlertKind,
        /// Of what.
        subject: String,
        /// How severe.
        severity: Severity,
        /// It was open before, and less severe.
        again: bool,
    },
    /// See [`EventKind::AlertCleared`].
    AlertCleared {
        /// Its id.
        alert: AlertUid,
        /// Which kind.
        what: AlertKind,
        /// Of what.
        subject: String,
        /// How one knows.
        cause: ClearCause,
    },
    /// See [`EventKind::AlertUndelivered`].
    AlertUndelivered {
        /// The message.
        post: AlertPostUid,
        /// The channel's name.
        channel: String,
        /// The kind of its alerts.
        what: AlertKind,
        /// How many lines it has.
        lines: u64,
        /// How often it was tried.
        attempts: u32,
        /// What the last attempt failed of, one word.
        failure: String,
    },
    /// See [`EventKind::HubStarted`].
    HubStarted {
        /// Which.
        hub: HubId,
        /// Its program version.
        version: String,
    },
    /// See [`EventKind::HubStopped`].
    HubStopped {
        /// Which.
        hub: HubId,
    },
}

impl Fact {
    /// Its bare name.
    #[must_use]
    pub const fn kind(&self) -> EventKind {
        match self {
            Self::DocumentAccepted { .. } => EventKind::DocumentAccepted,
            Self::DocumentParked { .. } => EventKind::DocumentParked,
            Self::SubmissionRefused { .. } => EventKind::SubmissionRefused,
            Self::SubmissionRepeated { .. } => EventKind::SubmissionRepeated,
            Self::DeliveryForwarded { .. } => EventKind::DeliveryForwarded,
            Self::PublishFailed { .. } => EventKind::PublishFailed,
            Self::DeliveryTaken { .. } => EventKind::DeliveryTaken,
            Self::DeliveryRefused { .. } => EventKind::DeliveryRefused,
            Self::DeliveryNotTaken { .. } => EventKind::DeliveryNotTaken,
            Self::DeliveryResent { .. } => EventKind::DeliveryResent,
            Self::DeliveryParked { .. } => EventKind::DeliveryParked,
            Self::DeliveryReleased { .. } => EventKind::DeliveryReleased,
            Self::DeliveryRerouted { .. } => EventKind::DeliveryRerouted,
            Self::DeliveryClosed { .. } => EventKind::DeliveryClosed,
            Self::LimitPassed { .. } => EventKind::LimitPassed,
            Self::ChangeOrdered { .. } => EventKind::ChangeOrdered,
            Self::DeliveryOrderedBack { .. } => EventKind::DeliveryOrderedBack,
            Self::DeliveryWithdrawn { .. } => EventKind::DeliveryWithdrawn,
            Self::CleaningBegun { .. } => EventKind::CleaningBegun,
            Self::StatusRecorded { .. } => EventKind::StatusRecorded,
            Self::StatusRepeated { .. } => EventKind::StatusRepeated,
            Self::TakenOdd { .. } => EventKind::TakenOdd,
            Self::BodiesDeleted { .. } => EventKind::BodiesDeleted,
            Self::DirectoryChanged { .. } => EventKind::DirectoryChanged,
            Self::ReorganisationPlanned { .. } => EventKind::ReorganisationPlanned,
            Self::DirectoryReorganised { .. } => EventKind::DirectoryReorganised,
            Self::SystemChanged { .. } => EventKind::SystemChanged,
            Self::TrustChanged { .. } => EventKind::TrustChanged,
            Self::DeadLettered { .. } => EventKind::DeadLettered,
            Self::AlertRaised { .. } => EventKind::AlertRaised,
            Self::AlertCleared { .. } => EventKind::AlertCleared,
            Self::AlertUndelivered { .. } => EventKind::AlertUndelivered,
            Self::HubStarted { .. } => EventKind::HubStarted,
            Self::HubStopped { .. } => EventKind::HubStopped,
        }
    }

    /// The document it is about, if any.
    #[must_use]
    pub const fn document(&self) -> Option<DocumentUid> {
        match self {
            Self::DocumentAccepted { document, .. }
            | Self::DocumentParked { document, .. }
            | Self::SubmissionRepeated { document, .. }
            | Self::DeliveryForwarded { document, .. }
            | Self::DeliveryTaken { document, .. }
            | Self::DeliveryRefused { document, .. }
            | Self::DeliveryResent { document, .. }
            | Self::DeliveryParked { document, .. }
            | Self::DeliveryReleased { document, .. }
            | Self::DeliveryRerouted { document, .. }
            | Self::DeliveryClosed { document, .. }
            | Self::LimitPassed { document, .. }
            | Self::ChangeOrdered { document, .. }
            | Self::DeliveryOrderedBack { document, .. }
            | Self::DeliveryWithdrawn { document, .. }
            | Self::CleaningBegun { document, .. }
            | Self::StatusRecorded { document, .. }
            | Self::StatusRepeated { document, .. } => Some(*document),
            Self::SubmissionRefused { document, .. }
            | Self::BodiesDeleted { document, .. }
            | Self::PublishFailed { document, .. }
            | Self::DeliveryNotTaken { document, .. } => *document,
            Self::TakenOdd { .. }
            | Self::DirectoryChanged { .. }
            | Self::ReorganisationPlanned { .. }
            | Self::DirectoryReorganised { .. }
            | Self::SystemChanged { .. }
            | Self::TrustChanged { .. }
            | Self::DeadLettered { .. }
            | Self::AlertRaised { .. }
            | Self::AlertCleared { .. }
            | Self::AlertUndelivered { .. }
            | Self::HubStarted { .. }
            | Self::HubStopped { .. } => None,
        }
    }
}

/// Times in events are integers: microseconds since 1970 in UTC.
pub(crate) mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(at.as_microsecond())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::from_microsecond(i64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// The queue's word.
mod intake {
    use serde::{Deserialize, Deserializer, Serializer};
    use truc_model::wire::Intake;

    pub(super) fn serialize<S: Serializer>(intake: &Intake, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(intake.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Intake, D::Error> {
        let word = String::deserialize(deserializer)?;
        Intake::ALL
            .into_iter()
            .find(|intake| intake.as_str() == word)
            .ok_or_else(|| serde::de::Error::custom("not an intake queue"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_the_tags() {
        for (rank, kind) in EventKind::ALL.iter().enumerate() {
            assert_eq!(EventKind::from_word(kind.as_str()), Some(*kind));
            assert!(EventKind::ALL[..rank].iter().all(|k| k.as_str() != kind.as_str()));
        }
        let fact = Fact::SubmissionRefused {
            system: None,
            message_id: None,
            intake: Intake::Status,
            code: RefusalCode::Loop,
            also: vec![],
            sender: None,
            sha256: Sha256::of(b""),
            size: 0,
            document: None,
        };
        let json = serde_json::to_value(&fact).unwrap();
        assert_eq!(json["kind"], fact.kind().as_str());
        assert_eq!(serde_json::from_value::<Fact>(json).unwrap(), fact);
    }

    #[test]
    fn every_kind_is_described() {
        let page = include_str!("../../../../docs/reference/ledger.md");
        for kind in EventKind::ALL {
            let row = format!("| `{}` |", kind.as_str());
            assert!(
                page.contains(&row),
                "docs/reference/ledger.md lacks {}",
                kind.as_str()
            );
        }
    }
}
