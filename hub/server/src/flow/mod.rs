//! The way of a document, one file a step, in the order documents travel:
//!
//! ```text
//! ingest → verify → route → record → deliver → track
//! Received → Result<Verified, Refused> → Routed → Recorded → Forwarded → taken, statuses
//! ```
//!
//! The types make skipping a step impossible: a [`verify::Verified`] can be made only by verify, a
//! [`record::Recorded`] only by a commit of the ledger, and a message is settled only with a `Recorded`
//! in hand. Route stands before record so that a document and all its deliveries are one transaction
//! (`docs/decisions/0003-route-before-record.md`).

pub mod checks;
pub mod clean;
pub mod deliver;
pub mod ingest;
pub mod inspect;
pub mod limits;
pub mod orders;
pub mod record;
pub mod reorganise;
pub mod retention;
pub mod route;
pub mod rules;
pub mod track;
pub mod verify;

use jiff::Timestamp;
use truc_model::wire::Intake;
use truc_transport::Message;

/// A message from an intake queue, not yet looked at.
#[derive(Debug)]
pub struct Received {
    /// The queue it came by.
    pub intake: Intake,
    /// Bytes, properties, headers.
    pub message: Message,
    /// When the hub took it from the broker.
    pub received_at: Timestamp,
}
