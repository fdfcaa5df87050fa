//! What an adapter must say about itself and its broker.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use truc_model::SystemId;

use crate::Journal;
use crate::backoff::Backoff;
use crate::bodies::BodyClientConfig;

/// Settings of a [`Client`](crate::Client). Start from [`Config::new`] and change what differs.
#[derive(Clone)]
pub struct Config {
    /// `amqp://` or `amqps://` with user (the system id), password and virtual host.
    pub broker_url: String,
    /// Further nodes of the same cluster, as `host` or `host:port`: tried in turn when one is lost.
    pub more_broker_hosts: Vec<String>,
    /// The authority that signed the broker's certificate, PEM, besides those the system trusts.
    pub broker_ca_pem: Option<String>,
    /// The system this adapter speaks for: name of its broker user and its inbox.
    pub system: SystemId,
    /// Name and version of the adapter, e.g. `truc-folder/0.1.0`; in every message.
    pub app_id: String,
    /// The key that seals submissions. `None` where the packets bear an XML signature instead.
    pub seal: Option<SealPem>,
    /// The hub's service of large packets: those that travel apart from their message are sent to it and fetched from
    /// it. `None`: every packet goes in its message, and one that came apart waits until this is set.
    pub bodies: Option<BodyClientConfig>,
    /// Larger documents are sent apart, when `bodies` is set.
    pub inline_max_bytes: usize,
    /// Directory for the journal and the lock; one per process, on a disk that keeps what it flushed.
    pub state_dir: PathBuf,
    /// Most messages held unsettled at once, and so the most bodies in memory.
    pub prefetch: u16,
    /// Largest packet submitted in its message, in bytes; the hub and the broker have limits of their own.
    pub max_body_bytes: usize,
    /// Most entries of the journal.
    pub journal_max_entries: usize,
    /// Failures of one message before it is given up ([`Trouble::Failed`](crate::Trouble)).
    pub max_attempts: u32,
    /// How long a submission is published again and again before an error says so.
    pub publish_patience: Duration,
    /// How long [`Client::submit`](crate::Client::submit) waits for the answer.
    pub answer_patience: Duration,
    /// How long a stopping client tries to tell the hub what it has stored.
    pub stop_patience: Duration,
    /// Pauses between attempts: publishing, storing, connecting.
    pub backoff: Backoff,
}

/// A sealing key and its certificate.
#[derive(Clone)]
pub struct SealPem {
    /// PKCS#8, PEM.
    pub key: String,
    /// The certificate, PEM, leaf first.
    pub certificate: String,
}

impl Config {
    /// Most unsettled messages when nothing else is said.
    pub const PREFETCH: u16 = 32;
    /// Largest packet when nothing else is said: what RabbitMQ 4 takes by default.
    pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
    /// Largest packet sent in its message when nothing else is said.
    pub const INLINE_MAX_BYTES: usize = 1024 * 1024;
    /// Attempts per message when nothing else is said.
    pub const MAX_ATTEMPTS: u32 = 8;

    /// The defaults.
    #[must_use]
    pub fn new(broker_url: &str, system: SystemId, app_id: &str, state_dir: PathBuf) -> Self {
        Self {
            broker_url: broker_url.to_owned(),
            more_broker_hosts: Vec::new(),
            broker_ca_pem: None,
            system,
            app_id: app_id.to_owned(),
            seal: None,
            bodies: None,
            inline_max_bytes: Self::INLINE_MAX_BYTES,
            state_dir,
            prefetch: Self::PREFETCH,
            max_body_bytes: Self::MAX_BODY_BYTES,
            journal_max_entries: Journal::MAX_ENTRIES,
            max_attempts: Self::MAX_ATTEMPTS,
            publish_patience: Duration::from_secs(120),
            answer_patience: Duration::from_secs(60),
            stop_patience: Duration::from_secs(10),
            backoff: Backoff::default(),
        }
    }
}

impl fmt::Debug for Config {
    /// Without the address (it holds the password) and without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("system", &self.system)
            .field("app_id", &self.app_id)
            .field("state_dir", &self.state_dir)
            .field("prefetch", &self.prefetch)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for SealPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealPem").finish_non_exhaustive()
    }
}
