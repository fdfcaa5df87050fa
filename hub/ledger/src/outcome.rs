//! What the ledger answers.

use jiff::Timestamp;
use truc_model::delivery::TransportStateName;
use truc_model::wire::{AttachmentWords, Outgoing, Receipt, RefusalAnswer};
use truc_model::{
    DeliveryUid, DocumentUid, MessageId, Party, Sha256, SignatureVerdict, StatusCode, SystemId,
};

use crate::body::Body;

/// What became of a submission. Whatever it is, it is committed and on disk, and the answer to the sender
/// waits in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub enum SubmitOutcome {
    /// Accepted now.
    Accepted(Receipt),
    /// Accepted before: the first receipt again.
    Repeat(Receipt),
    /// Refused.
    Refused(RefusalAnswer),
}

impl SubmitOutcome {
    /// The receipt, when there is one.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        match self {
            Self::Accepted(receipt) | Self::Repeat(receipt) => Some(receipt),
            Self::Refused(_) => None,
        }
    }
}

/// A message to publish, leased to whoever claimed it.
#[derive(Debug, Clone)]
pub struct Claimed {
    /// AMQP `message_id` and header `truc-delivery`: the same at every attempt.
    pub delivery: DeliveryUid,
    /// AMQP `type`.
    pub outgoing: Outgoing,
    /// Whose inbox.
    pub system: SystemId,
    /// Attempt, from 1.
    pub attempt: u32,
    /// In answers, the `message_id` answered.
    pub correlation_id: Option<MessageId>,
    /// AMQP priority, 0 to 5.
    pub priority: u8,
    /// The bytes, or that they are apart.
    pub body: Body,
    /// Digest of the bytes.
    pub sha256: Sha256,
    /// The document it carries or speaks of.
    pub document: Option<DocumentUid>,
    /// The sender's (a status: the reporter's) code as written.
    pub from: Option<String>,
    /// The codes it is for, as written.
    pub to: Vec<String>,
    /// The verdict on the document's signature. Only on documents.
    pub verdict: Option<SignatureVerdict>,
    /// What the signatures inside its attached PDFs look like. Only on documents that have such.
    pub attachments: Option<AttachmentWords>,
    /// The code. Only on statuses.
    pub status: Option<StatusCode>,
    /// Deliveries that whoever takes this must not hand over any more, each with the codes concerned. No codes in any:
    /// all are taken back for all they are for, and this message has no other purpose. Otherwise each has its
    /// codes, as the wire has one list for all. Only on orders.
    pub withdraws: Vec<(DeliveryUid, Vec<String>)>,
    /// The documents that this one takes the place of. Only on replacements.
    pub replaces: Vec<DocumentUid>,
    /// When the hub accepted what it carries.
    pub accepted_at: Timestamp,
}

/// What a `taken` message changed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TakenOutcome {
    /// Now taken.
    pub taken: Vec<DeliveryUid>,
    /// Were already as said: nothing to do.
    pub repeated: Vec<DeliveryUid>,
    /// Now refused by the recipient's adapter; the senders are told.
    pub refused: Vec<DeliveryUid>,
    /// Now withdrawn, for some or all of their recipients: an order came in time.
    pub withdrawn: Vec<DeliveryUid>,
    /// Already ended otherwise (taken after refused, or the reverse): recorded, nothing moved.
    pub contradicted: Vec<DeliveryUid>,
    /// Not deliveries of this system or answers: recorded as `taken-odd`, never answered, or an adapter that says `taken`
    /// for everything would be answered for ever.
    pub unknown: Vec<DeliveryUid>,
}

/// What a resend did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResendOutcome {
    /// Messages that go again.
    pub resent: Vec<DeliveryUid>,
    /// Recipients for whom there was nothing to send, and where they stand.
    pub left: Vec<(Party, TransportStateName)>,
}

/// A delivery that was forwarded long ago and not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateDelivery {
    /// Which message.
    pub delivery: DeliveryUid,
    /// In whose inbox it lies.
    pub system: SystemId,
    /// Document or status.
    pub outgoing: Outgoing,
    /// The document it carries or speaks of.
    pub document: Option<DocumentUid>,
    /// When the broker confirmed it.
    pub forwarded_at: Timestamp,
    /// How often it was published.
    pub attempts: u32,
}
