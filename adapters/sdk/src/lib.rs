//! For authors of adapters: connect one kind of document system to Trục without learning AMQP.
//!
//! ```text
//! your system ── Submission ──▶ Client::submit ─────────▶ hub      sealed, confirmed, answered
//! your system ◀── Adapter::store/status/answered/notice ── hub      journal, taken, settled
//! your system ── StatusReport ─▶ Client::report ─────────▶ hub      a strict status packet
//! ```
//!
//! Implement [`Adapter`], make a [`Client`], call [`Client::run`]. What the SDK does for you: the
//! connection and its coming back, the seal, publishing until it is confirmed, the order *store, journal,
//! taken, settle*, recognising what came before, pauses between attempts, and giving up on a poison
//! message loudly. What it asks of you: **store durably, and once per id however often you are called**.
//!
//! `docs/adapters/writing-an-adapter.md` walks through it; `adapters/folder` is the example to copy.
//!
//! What it leaves out: the ledger, the directory, the hub's checks. An adapter never sees those.

mod adapter;
mod backoff;
pub mod bodies;
mod client;
mod config;
pub mod durable;
mod fetch;
mod incoming;
pub mod journal;
mod orders;
mod packet;
mod report;
mod run;
mod submit;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod words;

pub use adapter::{Adapter, Stored, Trouble, Withdrawal};
pub use backoff::Backoff;
pub use bodies::{BodyClient, BodyClientConfig, BodyTransferError};
pub use client::{Client, ConnectError};
pub use config::{Config, SealPem};
pub use fetch::FETCHES_MAX;
pub use incoming::{Answer, IncomingDocument, IncomingNotice, IncomingStatus, Outcome, derived_id};
pub use journal::{Journal, Reason};
pub use packet::{PacketBytes, PacketFile};
pub use report::StatusReport;
pub use run::{BATCH_MAX, CALLS_MAX, RunError};
pub use submit::{Submission, SubmitError};

/// Packets: reading, writing, sealing keys.
pub use truc_envelope as envelope;
/// The nouns: codes, ids, statuses, refusals, the wire's JSON.
pub use truc_model as model;
/// The state of the connection, and what can be wrong with it.
pub use truc_transport::{BrokerError, BrokerState, LOG_FILTER, PublishError};

#[cfg(test)]
mod tests;
