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

pub mod bodies;
pub mod checks;
pub mod clean;
pub mod deliver;
pub mod ingest;
pub mod inspect;
pub mod limits;
pub mod orders;
pub mod record;
pub mod reorganise;
mod rest;
pub mod retention;
pub mod route;
pub mod rules;
pub mod track;
pub mod verify;

use jiff::Timestamp;
use truc_envelope::PacketSource;
use truc_model::Sha256;
use truc_model::wire::Intake;
use truc_transport::Message;

use bodies::PacketAt;

/// A message from an intake queue, not yet looked at.
#[derive(Debug)]
pub struct Received {
    /// The queue it came by.
    pub intake: Intake,
    /// Bytes, properties, headers.
    pub message: Message,
    /// When the hub took it from the broker.
    pub received_at: Timestamp,
    /// Where the packet's bytes are.
    pub packet: PacketAt,
}

impl Received {
    /// A message whose packet it carries itself, as far as is known.
    #[must_use]
    pub const fn new(intake: Intake, message: Message, received_at: Timestamp) -> Self {
        Self {
            intake,
            message,
            received_at,
            packet: PacketAt::Message,
        }
    }

    /// The packet's bytes, where they lie.
    #[must_use]
    pub fn source(&self) -> &dyn PacketSource {
        match &self.packet {
            PacketAt::Apart(local) => &local.file,
            PacketAt::Message | PacketAt::Nowhere { .. } => &self.message.body,
        }
    }

    /// Digest of the packet: of one apart, the name it is stored under; of one that is nowhere, what the message says.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        match &self.packet {
            PacketAt::Apart(local) => local.sha256,
            PacketAt::Nowhere {
                named: Some(named), ..
            } => named.sha256,
            PacketAt::Message | PacketAt::Nowhere { .. } => Sha256::of(&self.message.body),
        }
    }

    /// Bytes of the packet, likewise.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.packet {
            PacketAt::Apart(local) => local.size,
            PacketAt::Nowhere {
                named: Some(named), ..
            } => named.size,
            PacketAt::Message | PacketAt::Nowhere { .. } => self.message.body.len() as u64,
        }
    }
}
