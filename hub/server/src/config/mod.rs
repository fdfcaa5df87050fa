//! The configuration: `config/truc.toml` is the default and the reference, compiled in; a file of one's
//! own is laid over it. Every key is a field here, and a test keeps both in step.

pub mod alert;
pub mod bodies;
pub mod ledger;
mod read;
pub mod retention;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use truc_model::AgencyCode;

pub use alert::Alert;
pub use bodies::Bodies;
pub use ledger::{Ledger, LedgerKind};
pub use read::{ConfigError, Loaded, Problem, lay_over, load};
pub use retention::Retention;

/// The default file.
pub const DEFAULT: &str = include_str!("../../../../config/truc.toml");

/// The whole configuration. Units stand last in each name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// This hub.
    pub hub: Hub,
    /// RabbitMQ.
    pub broker: Broker,
    /// The ledger.
    pub ledger: Ledger,
    /// What is taken in.
    pub intake: Intake,
    /// Large bodies apart.
    pub bodies: Bodies,
    /// How it is forwarded.
    pub delivery: Delivery,
    /// Looking at attached PDFs.
    pub inspect: Inspect,
    /// Trust in seals.
    pub seal: Seal,
    /// The directory.
    pub directory: Directory,
    /// Markings of state secrecy.
    pub secrecy: Secrecy,
    /// Time limits.
    pub limits: Limits,
    /// Alerts.
    pub alert: Alert,
    /// How long bytes of packets are kept.
    pub retention: Retention,
    /// Log lines.
    pub log: Log,
}

/// This hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hub {
    /// Its own system code.
    pub code: AgencyCode,
    /// Owner of its leases.
    pub name: String,
}

/// RabbitMQ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broker {
    /// `amqp://user@host:port/vhost`, without a password.
    pub url: String,
    /// `host` or `host:port` of further nodes.
    pub more_hosts: Vec<String>,
    /// Base of the management interface.
    pub management_url: String,
    /// Those of further nodes.
    pub more_management_urls: Vec<String>,
    /// File with the password; empty takes `TRUC_BROKER_PASSWORD`.
    pub password_file: PathBuf,
    /// PEM file of authorities for its certificate, besides the system's.
    pub ca: PathBuf,
    /// Type of the queues.
    pub queue_type: QueueType,
    /// Interval of heartbeats.
    pub heartbeat_s: u64,
    /// One connection attempt.
    pub connect_timeout_ms: u64,
    /// One operation.
    pub operation_timeout_ms: u64,
    /// One confirm.
    pub confirm_timeout_ms: u64,
    /// Unconfirmed publishes.
    pub publish_window: usize,
    /// Unsettled messages of `truc.submit.document`.
    pub prefetch_document: u16,
    /// Unsettled messages of `truc.submit.status`.
    pub prefetch_status: u16,
    /// Unsettled messages of `truc.submit.taken`.
    pub prefetch_taken: u16,
}

impl Broker {
    /// The management interfaces of all nodes, the first first.
    pub fn management_urls(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.management_url)
            .chain(&self.more_management_urls)
            .map(String::as_str)
    }
}

/// Type of the queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueType {
    /// One node.
    Classic,
    /// A cluster.
    Quorum,
}

/// What is taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intake {
    /// Largest packet.
    pub max_body_bytes: usize,
    /// Most recipients of one packet.
    pub max_recipients: usize,
    /// Threads that check; 0 = one per processor.
    pub verify_workers: usize,
}

/// How it is forwarded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// Untaken deliveries in each inbox.
    pub window: u32,
    /// Urgent ones beyond it.
    pub urgent_extra: u32,
    /// Messages a claim.
    pub claim_max: usize,
    /// How long a claim holds.
    pub lease_s: u64,
    /// Longest rest between two looks.
    pub poll_ms: u64,
    /// First wait after a failed publish.
    pub retry_min_ms: u64,
    /// Longest wait after a failed publish.
    pub retry_max_ms: u64,
    /// Age at which an untaken delivery is told of.
    pub not_taken_after_h: u64,
}

/// Looking at attached PDFs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inspect {
    /// Worker processes; 0 = nobody looks.
    pub pdf_workers: usize,
    /// Longest for one PDF.
    pub pdf_time_ms: u64,
    /// How long a document's PDFs may take together.
    pub pdf_wait_ms: u64,
    /// Most memory of one worker.
    pub pdf_memory_mb: u64,
    /// Largest PDF.
    pub pdf_max_bytes: usize,
}

/// Trust in seals.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// PEM files of the anchors.
    pub anchors: Vec<PathBuf>,
    /// CRL files.
    pub crls: Vec<PathBuf>,
    /// How far `iat` may lie ahead.
    pub max_ahead_s: u32,
    /// How old `iat` may be.
    pub max_age_days: u32,
    /// What is asked of extended key usage.
    pub key_usage: KeyUsage,
    /// What a revocation list past its `nextUpdate` is worth.
    pub stale_crl: StaleCrl,
    /// What it means that no revocation list covers a certificate.
    pub missing_crl: MissingCrl,
}

/// What a revocation list is worth that is past its `nextUpdate`, by the hub's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaleCrl {
    /// What it says still holds.
    Use,
    /// Its issuer's certificates are refused until a fresh one is there.
    Refuse,
}

/// What it means that no revocation list covers a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MissingCrl {
    /// Not revoked, as far as is known.
    Accept,
    /// Refused until a list of its issuer is there.
    Refuse,
}

/// What is asked of a certificate's extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyUsage {
    /// None at all, or one of the signing purposes.
    AnySigning,
    /// One of the signing purposes.
    Required,
}

/// The directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Directory {
    /// How often a new version is looked for.
    pub refresh_ms: u64,
}

/// Markings of state secrecy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrecy {
    /// Whole markings, letter case as written.
    pub markings: Vec<String>,
}

/// Time limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The working calendar; empty is the one the program comes with.
    pub calendar: PathBuf,
    /// The limits; empty are those the program comes with.
    pub file: PathBuf,
    /// How often is looked for limits that ran out.
    pub look_s: u64,
}

/// Log lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Their form.
    pub format: LogFormat,
    /// Level or filter.
    pub level: String,
}

/// Form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

impl Default for Config {
    fn default() -> Self {
        // A test reads the compiled-in file; a build whose default does not read cannot pass it.
        #[allow(clippy::expect_used, reason = "the compiled-in file, read by a test")]
        toml::from_str(DEFAULT).expect("the compiled-in configuration reads")
    }
}
