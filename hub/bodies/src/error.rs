//! Why a body cannot be taken, found or removed.

use truc_model::{BodyProblem, BodyProblemCode};

/// What a caller of the store gets instead of an answer.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The client's fault, or a limit: coded, and answered as it is.
    #[error("the request about a body cannot be served")]
    Problem(#[from] BodyProblem),
    /// A file of the store's directory.
    #[error("cannot {what}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The object store.
    #[error("the store of bodies cannot {what}")]
    Store {
        /// What was to be done.
        what: &'static str,
        /// Why not.
        #[source]
        source: Box<object_store::Error>,
    },
    /// Another hub uses the directory.
    #[error("the directory of bodies is in use by another process")]
    InUse,
    /// The directory is not the one that was opened: moved away, or its disk is not mounted any more.
    #[error("the directory of bodies is not the one that was opened")]
    Moved,
    /// An object has another size or digest than its name says: the disk or the bucket changed it.
    #[error("a stored body is damaged")]
    Damaged,
    /// The settings of S3 do not fit together.
    #[error("the settings of the S3 store cannot be used: {0}")]
    Settings(String),
    /// The ledger could not say whether a body is named.
    #[error("it is not known whether a body is still named")]
    Named(#[source] NamedError),
    /// A task of the store panicked or was cancelled.
    #[error("a task of the store of bodies failed")]
    Task(#[from] tokio::task::JoinError),
}

/// What an implementation of [`Named`](crate::Named) fails with.
pub type NamedError = Box<dyn std::error::Error + Send + Sync>;

impl BodyError {
    /// What is answered to a client: a fault of the store is one code, and its details stay in the hub's log.
    #[must_use]
    pub fn problem(&self) -> BodyProblem {
        match self {
            Self::Problem(problem) => problem.clone(),
            _ => BodyProblem::new(
                BodyProblemCode::StoreUnavailable,
                "a store that answers",
                "a fault",
            ),
        }
    }

    /// The code of [`BodyError::problem`].
    #[must_use]
    pub fn code(&self) -> BodyProblemCode {
        match self {
            Self::Problem(problem) => problem.code,
            _ => BodyProblemCode::StoreUnavailable,
        }
    }

    pub(crate) const fn file(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File { what, source }
    }

    pub(crate) fn store(what: &'static str) -> impl FnOnce(object_store::Error) -> Self {
        move |source| Self::Store {
            what,
            source: Box::new(source),
        }
    }
}
