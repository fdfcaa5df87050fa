//! What can go wrong, by who must act.

use std::sync::Arc;

/// A cause from a back end.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A back end could not do its work. Nothing of the transaction is kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No space left. Nothing can be accepted until there is.
    #[error("the ledger's disk is full")]
    Full(#[source] Cause),
    /// Reading or writing failed below the database.
    #[error("the ledger's disk failed")]
    Io(#[source] Cause),
    /// Another program held the ledger for too long.
    #[error("the ledger is held by another program")]
    Busy(#[source] Cause),
    /// The database's server does not answer, or lets nobody in. What was asked is not done, or, when the
    /// answer to a commit was lost, done: asked again, it gets the first answer.
    #[error("the ledger's database cannot be reached")]
    Unreachable(#[source] Cause),
    /// What was read cannot be what was written.
    #[error("the ledger is damaged: {0}")]
    Damaged(String),
    /// The tables are not of the version this program knows.
    #[error("{}", schema(*found, *expected))]
    Schema {
        /// What the file has; 0 when it has no tables.
        found: i64,
        /// What this program needs.
        expected: i64,
    },
    /// Anything else the database reports.
    #[error("the ledger's database refused")]
    Backend(#[source] Cause),
}

fn schema(found: i64, expected: i64) -> String {
    match found {
        0 => "there is no ledger yet".to_owned(),
        found => format!("the ledger's tables have version {found}, this program needs {expected}"),
    }
}

impl StoreError {
    /// Whether the trouble lies with the machine and not with what was asked: the same work can pass later.
    #[must_use]
    pub const fn is_the_machines(&self) -> bool {
        matches!(
            self,
            Self::Full(_) | Self::Io(_) | Self::Busy(_) | Self::Unreachable(_)
        )
    }
}

/// The ledger could not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// The back end failed; shared by all whose work was in the same transaction.
    #[error("the ledger could not be written or read")]
    Store(#[from] Arc<StoreError>),
    /// The writer has stopped.
    #[error("the ledger is closed")]
    Closed,
    /// The directory changed in the meantime.
    #[error("the directory is at version {found}, not {expected}")]
    DirectoryMoved {
        /// What the caller had.
        expected: u64,
        /// What is.
        found: u64,
    },
    /// A new directory whose version is not greater than the last.
    #[error("a new directory needs a version above {latest}, not {version}")]
    DirectoryVersion {
        /// The last version.
        latest: u64,
        /// The one offered.
        version: u64,
    },
    /// No such document.
    #[error("no such document")]
    UnknownDocument,
    /// A refusal without a finding.
    #[error("a refusal needs at least one finding")]
    NoFinding,
    /// More of something than the ledger takes in one call.
    #[error("at most {max} {what} in one call, not {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
        /// How many came.
        found: usize,
    },
    /// The ledger contradicts itself: a defect.
    #[error("the ledger contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl From<StoreError> for LedgerError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}
