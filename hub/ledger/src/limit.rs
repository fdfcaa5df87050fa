//! Time limits that run: for whom, since when, and what was told of them.
//!
//! A row begins when a recipient comes to stand so that something is expected of it, and ends when it does not
//! stand so any more (`rules/limits.rs`). When it is due is not kept: that is reckoned outside, on a working
//! calendar, and follows the calendar when that changes. Kept is the level up to which it was told, so that each
//! is told once, by whichever hub.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use truc_model::{
    BusinessState, ChangeState, DocumentUid, LimitKind, Operation, Party, SystemId, Turn, Urgency,
};

/// Most limits in one call of [`crate::Ledger::limits_told`] and [`crate::Ledger::limits_settled`].
pub const LIMITS_MAX: usize = 500;

/// Names one limit of one recipient. The same limit can run twice: a second recall after a refused one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LimitKey {
    /// Which document.
    pub document: DocumentUid,
    /// Which recipient.
    pub position: u32,
    /// Which limit.
    pub kind: LimitKind,
    /// Since when it runs.
    pub began: Timestamp,
}

/// A limit that runs, or one that has ended and of which it was told that it ran out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// Which.
    pub key: LimitKey,
    /// The document's urgency.
    pub urgency: Urgency,
    /// The highest level told; 0 when nothing was told.
    pub told: u8,
    /// When it ended. Rows that ended and were told stay until that is settled, the others go.
    pub ended: Option<Timestamp>,
}

/// The end of whatever limit of this kind runs for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimitEnd {
    /// Which document.
    pub document: DocumentUid,
    /// Which recipient.
    pub position: u32,
    /// Which limit.
    pub kind: LimitKind,
    /// When.
    pub at: Timestamp,
}

/// What a transaction changes of limits, in this order.
#[derive(Debug, Clone, Default)]
pub struct LimitChanges {
    /// The row that runs, if there is one, goes when nothing was told of it, and else keeps its end.
    pub ended: Vec<LimitEnd>,
    /// New rows.
    pub begun: Vec<LimitRow>,
    /// Rows with a new level.
    pub told: Vec<(LimitKey, u8)>,
    /// Rows that go.
    pub gone: Vec<LimitKey>,
}

impl LimitChanges {
    /// Whether there is nothing to save.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.begun.is_empty() && self.told.is_empty() && self.gone.is_empty()
    }
}

/// Which running limits to list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitQuery {
    /// Which limit.
    pub kind: LimitKind,
    /// Of documents of this urgency.
    pub urgency: Urgency,
    /// Of which exactly this level was told.
    pub told: u8,
    /// That began at this moment or before.
    pub began_until: Timestamp,
    /// Of documents this party sent or gets.
    pub party: Option<Party>,
    /// At most so many, those that began first.
    pub max: usize,
}

/// A running limit and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitLine {
    /// The limit.
    pub limit: LimitRow,
    /// The recipient.
    pub recipient: Party,
    /// Its code as written.
    pub recipient_code: String,
    /// Its system.
    pub system: Option<SystemId>,
    /// What it last reported.
    pub business: BusinessState,
    /// What was asked of it.
    pub change: ChangeState,
    /// The sender.
    pub sender: Party,
    /// Its code as written.
    pub sender_code: String,
    /// The sender's `DocumentId`.
    pub document_id: String,
    /// Number and notation.
    pub number: Option<String>,
}

/// That a limit ran out and somebody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitTold {
    /// Which.
    pub key: LimitKey,
    /// The level reached, from 1.
    pub level: u8,
    /// When it was due.
    pub due: Timestamp,
    /// Whose turn it is.
    pub turn: Turn,
}

/// A document that came later than it should have been sent. Judged once, when it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentLate {
    /// When it was due.
    pub due: Timestamp,
    /// How much working time later it came, in minutes.
    pub late_by_min: u64,
}

/// Which documents that came late to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SentLateQuery {
    /// Sent by this party or addressed to it.
    pub party: Option<Party>,
    /// Accepted at this moment or later.
    pub since: Option<Timestamp>,
    /// At most so many, the newest.
    pub max: usize,
}

/// A document that came late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentLateLine {
    /// Which.
    pub document: DocumentUid,
    /// The sender.
    pub sender: Party,
    /// Its code as written.
    pub sender_code: String,
    /// The sender's `DocumentId`.
    pub document_id: String,
    /// Number and notation.
    pub number: Option<String>,
    /// Its urgency.
    pub urgency: Urgency,
    /// When the hub had it.
    pub received_at: Timestamp,
    /// How late it was.
    pub late: SentLate,
}

/// Whether a document of this operation is one that its recipients are to receive and accept. A recall is an
/// order about another document: what its recipients owe is the answer.
#[must_use]
pub const fn is_to_be_accepted(operation: Operation) -> bool {
    !matches!(operation, Operation::Recall)
}
