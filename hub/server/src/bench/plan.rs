//! What is measured: the nouns of a run and their limits.

use clap::ValueEnum;
use serde::Serialize;

use crate::config::QueueType;

/// Most documents of one phase: they are made before the clock starts and held in memory.
pub const DOCUMENTS_MAX: usize = 100_000;
/// Most bytes of all documents of one phase.
pub const BYTES_MAX: u64 = 4 << 30;
/// Most rounds of one measurement.
pub const ROUNDS_MAX: usize = 99;
/// Most systems of the province that is made up for a run.
pub const SYSTEMS_MAX: usize = 2_000;
/// Most documents a second that are asked for.
pub const RATE_MAX: u32 = 10_000;
/// Smallest and largest packet, in KiB.
pub const KIB_MIN: u32 = 4;
/// See [`KIB_MIN`].
pub const KIB_MAX: u32 = 8_192;

/// One thing that is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// Size of each packet.
    pub kib: u32,
    /// The ledger.
    pub ledger: Store,
    /// The queues.
    pub queue: QueueType,
    /// How the documents are signed.
    pub signed: Signed,
}

impl Cell {
    /// `10 KiB, sqlite, classic, seal-es256`.
    #[must_use]
    pub fn name(&self) -> String {
        format!(
            "{} KiB, {}, {}, {}",
            self.kib,
            self.ledger.as_str(),
            queue_word(self.queue),
            self.signed.as_str()
        )
    }
}

/// The word of a kind of queues.
#[must_use]
pub const fn queue_word(queue: QueueType) -> &'static str {
    match queue {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
    }
}

/// The ledger's store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// A file of its own.
    Sqlite,
    /// A private server, with the settings it comes with.
    Postgres,
}

impl Store {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// How documents are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Signed {
    /// A seal, ES256.
    SealEs256,
    /// A seal, RS256 with 2048 bits.
    SealRs256,
    /// An XML signature inside the packet, rsa-sha256 with 2048 bits; no seal.
    XmlRsa,
}

impl Signed {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SealEs256 => "seal-es256",
            Self::SealRs256 => "seal-rs256",
            Self::XmlRsa => "xml-rsa",
        }
    }

    /// Whether the senders need keys that only OpenSSL makes.
    #[must_use]
    pub const fn needs_rsa(self) -> bool {
        !matches!(self, Self::SealEs256)
    }
}

/// At which pace the senders submit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As fast as it goes: each sender has so many submissions without a receipt, and no more.
    Full {
        /// Submissions without a receipt, each sender.
        in_flight: usize,
    },
    /// So many documents a second, all senders together, evenly, whatever comes back.
    Rate {
        /// Documents a second.
        per_second: u32,
    },
}

/// How many documents a phase has when nobody says so: about five seconds' worth.
#[must_use]
pub const fn usual_documents(kib: u32) -> usize {
    match kib {
        0..=12 => 6_000,
        13..=50 => 5_000,
        51..=300 => 1_500,
        _ => 200,
    }
}
