//! Why a hub cannot run, or not go on.

use std::path::PathBuf;

use truc_ledger::LedgerError;
use truc_transport::BrokerError;

use crate::deadlines::DeadlinesFileError;
use crate::flow::deliver::DeliverError;
use crate::hubs::NameTaken;
use crate::trust::FilesError;

/// Why the hub cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The ledger.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
    /// The broker.
    #[error("the broker cannot be used")]
    Broker(#[from] BrokerError),
    /// Another hub has this one's name.
    #[error(transparent)]
    Name(#[from] NameTaken),
    /// The store of bodies or its HTTP service.
    #[error("bodies apart cannot be served")]
    Bodies(#[from] crate::web::WebError),
    /// Delivering ended.
    #[error("delivering ended")]
    Deliver(#[from] DeliverError),
    /// A file of trust anchors or revocation lists.
    #[error("cannot read {path}")]
    TrustFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The anchors or revocation lists do not read.
    #[error("the trust anchors or revocation lists cannot be used")]
    Trust(#[source] FilesError),
    /// The stored directory does not read.
    #[error("the directory in the ledger cannot be read: {0}")]
    Directory(String),
    /// The working calendar or the time limits do not read.
    #[error("the working calendar or the time limits cannot be used")]
    Deadlines(#[from] DeadlinesFileError),
    /// The broker's address does not read.
    #[error("broker.url cannot be used")]
    Url(#[from] truc_transport::UrlError),
    /// No password for the broker.
    #[error(
        "no password for the broker: set broker.password_file in the configuration, or TRUC_BROKER_PASSWORD"
    )]
    NoPassword,
    /// The file that `ledger.password_file` names does not read.
    #[error("cannot read the ledger's password in {path}")]
    LedgerPassword {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file that `broker.password_file` names does not read.
    #[error("cannot read the broker's password in {path}")]
    PasswordFile {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file that `broker.ca` names does not read.
    #[error("cannot read the broker's authority in {path}")]
    BrokerCa {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A part of the hub ended although nobody stopped it.
    #[error("a part of the hub ended by itself")]
    PartEnded,
    /// A task of the hub panicked.
    #[error("a task of the hub failed")]
    Task(#[from] tokio::task::JoinError),
}

impl From<FilesError> for AppError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::Read { path, source } => Self::TrustFile { path, source },
            FilesError::Unusable { .. } => Self::Trust(error),
        }
    }
}
