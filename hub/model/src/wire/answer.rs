//! Receipts, refusals and notices: the hub's answers, JSON with a schema in `schemas/`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::agency::Party;
use crate::delivery::TransportStateName;
use crate::digest::Sha256;
use crate::id::{DeliveryUid, DocumentUid, MessageId};
use crate::refusal::{Actor, Place, Refusal, RefusalCode, Retry};
use crate::status::StatusCode;
use crate::warning::WarningCode;

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Text {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

impl From<(&str, &str)> for Text {
    fn from((vi, en): (&str, &str)) -> Self {
        Self {
            vi: vi.to_owned(),
            en: en.to_owned(),
        }
    }
}

/// A submission was accepted: what it holds is on disk (promise 1).
///
/// A repeat of the submission gets the same bytes again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "receipt", rename_all = "kebab-case")]
pub enum Receipt {
    /// Of a document.
    Document(DocumentReceipt),
    /// Of a status packet.
    Status(StatusReceipt),
}

impl Receipt {
    /// The `message_id` of the submission that was accepted first.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        match self {
            Self::Document(receipt) => receipt.message_id,
            Self::Status(receipt) => receipt.message_id,
        }
    }

    /// The hub's id of the document it speaks of.
    #[must_use]
    pub const fn document(&self) -> DocumentUid {
        match self {
            Self::Document(receipt) => receipt.document,
            Self::Status(receipt) => receipt.document,
        }
    }
}

/// Receipt of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentReceipt {
    /// The submission's `message_id`.
    pub message_id: MessageId,
    /// The hub's id.
    pub document: DocumentUid,
    /// The sender's `DocumentId` as read.
    pub document_id: String,
    /// Number of the ledger event.
    pub event: u64,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Digest of the packet as received.
    pub sha256: Sha256,
    /// Its bytes.
    pub size: u64,
    /// One line per recipient.
    pub recipients: Vec<RecipientLine>,
    /// What the reader forgave.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<WarningLine>,
}

/// One recipient in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientLine {
    /// The code as written in the packet.
    pub code: String,
    /// What it resolved to.
    pub party: Party,
    /// `scheduled`, `parked`, `undeliverable`, or for an order that nobody needs `withdrawn`, at the time
    /// of the receipt.
    pub state: TransportStateName,
    /// The delivery it travels in; `null` when undeliverable or withdrawn.
    pub delivery: Option<DeliveryUid>,
    /// Why parked, undeliverable or withdrawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

/// One warning in a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarningLine {
    /// The code.
    pub code: WarningCode,
    /// In words.
    pub message: Text,
    /// Where.
    #[serde(rename = "where")]
    pub place: Place,
}

impl WarningLine {
    /// A warning at a place.
    #[must_use]
    pub fn new(code: WarningCode, place: Place) -> Self {
        Self {
            code,
            message: code.sentences().into(),
            place,
        }
    }
}

/// Receipt of a status packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReceipt {
    /// The submission's `message_id`.
    pub message_id: MessageId,
    /// The hub's id of the document it speaks of.
    pub document: DocumentUid,
    /// The code.
    pub status: StatusCode,
    /// The recipient (or for 13 the agency asked), resolved.
    pub recipient: Party,
    /// Number of the ledger event.
    pub event: u64,
    /// When it was recorded.
    pub accepted_at: Timestamp,
    /// `moved`, `late`, `odd`, `overlay`, `ended` or `duplicate`.
    pub effect: String,
    /// Whether it was passed on to the other party (a duplicate is not).
    pub passed_on: bool,
}

/// A submission was refused. Nothing of it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalAnswer {
    /// The submission's `message_id`, when it had one.
    pub message_id: Option<MessageId>,
    /// The code that decided.
    pub code: RefusalCode,
    /// In words.
    pub message: Text,
    /// Where.
    #[serde(rename = "where")]
    pub place: Place,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub found: String,
    /// Who must act.
    pub actor: Actor,
    /// Whether sending again can help.
    pub retry: Retry,
    /// The further findings, so that all can be mended at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Refusal>,
    /// Number of the ledger event.
    pub event: u64,
    /// When.
    pub refused_at: Timestamp,
}

impl RefusalAnswer {
    /// The answer to a submission; `findings` are sorted by precedence, the first decides.
    ///
    /// Gives `None` when there is no finding.
    #[must_use]
    pub fn of(
        message_id: Option<MessageId>,
        mut findings: Vec<Refusal>,
        event: u64,
        refused_at: Timestamp,
    ) -> Option<Self> {
        findings.sort_by_key(|finding| finding.code);
        let mut findings = findings.into_iter();
        let first = findings.next()?;
        Some(Self {
            message_id,
            code: first.code,
            message: first.code.sentences().into(),
            place: first.place,
            expected: first.expected,
            found: first.found,
            actor: first.code.actor(),
            retry: first.code.retry(),
            also: findings.collect(),
            event,
            refused_at,
        })
    }
}

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeCode {
    /// A recipient cannot be reached; the others are served.
    RecipientUndeliverable,
    /// The document, or a recipient of it, waits for an operator.
    Parked,
    /// The recipient's adapter declined the delivery for a technical reason.
    RecipientRefused,
    /// A recipient has not taken its delivery for too long.
    NotTaken,
    /// The document was withdrawn for a recipient before it was handed over; the cause is the word of
    /// [`crate::WithdrawProof`].
    Withdrawn,
    /// A recipient's code is closed; the document goes to its successor during the time of grace.
    SuccessorUsed,
}

impl NoticeCode {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RecipientUndeliverable,
        Self::Parked,
        Self::RecipientRefused,
        Self::NotTaken,
        Self::Withdrawn,
        Self::SuccessorUsed,
    ];

    /// The word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecipientUndeliverable => "recipient-undeliverable",
            Self::Parked => "parked",
            Self::RecipientRefused => "recipient-refused",
            Self::NotTaken => "not-taken",
            Self::Withdrawn => "withdrawn",
            Self::SuccessorUsed => "successor-used",
        }
    }
}

/// Something the sender's system must know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub code: NoticeCode,
    /// The hub's id of the document.
    pub document: DocumentUid,
    /// The sender's `DocumentId`.
    pub document_id: String,
    /// The recipient code as written; `null` when it concerns all.
    pub recipient: Option<String>,
    /// The cause's word, e.g. `unknown-code`.
    pub cause: String,
    /// In words.
    pub message: Text,
    /// How many of the document's recipients have it by now. Only in [`NoticeCode::NotTaken`], and only when it has
    /// more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<Tally>,
    /// Number of the ledger event.
    pub event: u64,
    /// When.
    pub at: Timestamp,
}

/// How far a document with several recipients has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Recipients whose system has taken it.
    pub taken: u32,
    /// Recipients in all.
    pub of: u32,
}

impl Tally {
    /// `1.498 / 1.500 nơi nhận đã lấy văn bản về.`
    #[must_use]
    pub fn sentences(self) -> Text {
        let (taken, of) = (self.taken.into(), self.of.into());
        let vi = |n| thousands(n, '.');
        let en = |n| thousands(n, ',');
        Text {
            vi: format!("{} / {} nơi nhận đã lấy văn bản về.", vi(taken), vi(of)),
            en: format!("{} of {} recipients have taken the document.", en(taken), en(of)),
        }
    }
}

fn thousands(number: u64, separator: char) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tally_is_said_in_both_languages() {
        let said = |taken, of| Tally { taken, of }.sentences();
        let many = said(1_498, 1_500);
        assert_eq!(many.vi, "1.498 / 1.500 nơi nhận đã lấy văn bản về.");
        assert_eq!(many.en, "1,498 of 1,500 recipients have taken the document.");
        assert_eq!(said(0, 999).en, "0 of 999 recipients have taken the document.");
        assert_eq!(thousands(1_000_000, ','), "1,000,000");
    }
}
