//! The words of the wire: names of broker objects, headers, and the JSON bodies both sides write.
//!
//! The wire as a whole is described in `schemas/asyncapi.yaml` and `docs/reference/wire.md`.

mod answer;
mod attachments;
mod body;
mod taken;

pub use answer::{
    DocumentReceipt, Notice, NoticeCode, Receipt, RecipientLine, RefusalAnswer, StatusReceipt, Tally, Text,
    WarningLine,
};
pub use attachments::{AttachmentWord, AttachmentWords};
pub use body::{BodyReference, NotBodyReference};
pub use taken::{Declined, Taken, Withdrawn};

use crate::id::SystemId;

/// The exchange adapters publish to.
pub const SUBMIT_EXCHANGE: &str = "truc.submit";
/// The exchange the hub publishes to; routing key = system id.
pub const DELIVER_EXCHANGE: &str = "truc.deliver";
/// Where what no one could handle goes.
pub const DEAD_EXCHANGE: &str = "truc.dead";
/// The queue behind [`DEAD_EXCHANGE`].
pub const DEAD_QUEUE: &str = "truc.dead.letters";
/// Prefix of the inbox queues.
pub const INBOX_PREFIX: &str = "truc.inbox.";

/// The inbox of a system.
#[must_use]
pub fn inbox(system: &SystemId) -> String {
    format!("{INBOX_PREFIX}{system}")
}

/// The hub's intake: three queues, so that a flood of one cannot block the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Intake {
    /// Documents.
    Document,
    /// Status packets.
    Status,
    /// `taken` messages.
    Taken,
}

impl Intake {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Document, Self::Status, Self::Taken];

    /// Routing key and AMQP `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Status => "status",
            Self::Taken => "taken",
        }
    }

    /// The queue's name.
    #[must_use]
    pub const fn queue(self) -> &'static str {
        match self {
            Self::Document => "truc.submit.document",
            Self::Status => "truc.submit.status",
            Self::Taken => "truc.submit.taken",
        }
    }
}

/// What the hub sends to an inbox (AMQP `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outgoing {
    /// A document for agencies this system serves.
    Document,
    /// A status about a document one of its agencies sent (or a take-back, 13, about one it received).
    Status,
    /// Its submission was accepted.
    Receipt,
    /// Its submission was refused.
    Refusal,
    /// Something happened that it must know of.
    Notice,
}

impl Outgoing {
    /// The word of AMQP `type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Status => "status",
            Self::Receipt => "receipt",
            Self::Refusal => "refusal",
            Self::Notice => "notice",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [
            Self::Document,
            Self::Status,
            Self::Receipt,
            Self::Refusal,
            Self::Notice,
        ]
        .into_iter()
        .find(|kind| kind.as_str() == word)
    }

    /// Whether the adapter says `taken` for it. The others are done once the broker has confirmed them.
    #[must_use]
    pub const fn awaits_taken(self) -> bool {
        matches!(self, Self::Document | Self::Status)
    }

    /// `content_type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Document | Self::Status => EDXML,
            _ => JSON,
        }
    }
}

/// `content_type` of packets.
pub const EDXML: &str = "application/edxml+xml";
/// `content_type` of answers and of `taken`.
pub const JSON: &str = "application/json";

/// Message headers.
pub mod header {
    /// The seal: a compact JWS.
    pub const SEAL: &str = "truc-seal";
    /// The sender's agency code, as written.
    pub const FROM: &str = "truc-from";
    /// List of agency codes this message is for.
    pub const TO: &str = "truc-to";
    /// The hub's id of the document.
    pub const DOCUMENT: &str = "truc-document";
    /// The stable id of the delivery.
    pub const DELIVERY: &str = "truc-delivery";
    /// Attempt, from 1.
    pub const ATTEMPT: &str = "truc-attempt";
    /// SHA-256 of the body, hexadecimal.
    pub const SHA256: &str = "truc-sha256";
    /// Bytes of the body.
    pub const SIZE: &str = "truc-size";
    /// The body that travels apart ([`super::BodyReference`]); the message itself has no bytes then.
    pub const BODY: &str = "truc-body";
    /// The hop: `<hub's system code> <ISO 8601 time>`.
    pub const TRACE: &str = "truc-trace";
    /// The verdict on the signature, as JSON ([`crate::SignatureVerdict`]).
    pub const SIGNATURE: &str = "truc-signature";
    /// What the signatures inside attached PDFs look like, as JSON ([`super::AttachmentWords`]); absent when there
    /// is no PDF, or nobody looked.
    pub const ATTACHMENTS: &str = "truc-attachments";
    /// The status code, on `status` messages from the hub.
    pub const STATUS: &str = "truc-status";
    /// List of delivery ids, on a message that carries an order (recall, take-back, update that removes a recipient):
    /// whoever reads it must not hand those deliveries over any more, unless it has done so already.
    pub const WITHDRAWS: &str = "truc-withdraws";
    /// List of agency codes, as written in the `truc-to` of the deliveries in [`WITHDRAWS`]: for these alone they
    /// are taken back. Absent: for all they are for, and the order concerns nothing else.
    pub const WITHDRAWS_FOR: &str = "truc-withdraws-for";
    /// List of the hub's ids of the documents that this one replaces.
    pub const REPLACES: &str = "truc-replaces";
}
