//! What a reorganisation of agencies asks of the ledger: a new version of the directory, and another way for
//! whatever waits here for agencies that changed hands, all in one transaction.
//!
//! What a directory means is not known here: who took over, and which system serves it, comes with the order.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{Party, Sha256, SystemId};

use crate::command::{NewDirectory, PlannedRecipient};

/// Most recipients that one order moves; with more it is refused as a whole, and nothing is changed.
pub const MOVED_MAX: usize = 200_000;

/// An order that follows from a reorganisation.
#[derive(Debug, Clone)]
pub struct Reorganise {
    /// A version of the directory to save with it. Somebody else's newer version refuses the whole order: so a
    /// reorganisation is carried out once, however many hubs try.
    pub directory: Option<NewDirectory>,
    /// The reorganisations it tells of, each as an event.
    pub told: Vec<ReorganisationTold>,
    /// Who waits where, and where to it goes.
    pub moves: Vec<PartyMove>,
    /// Whose order: an account, not a person's name.
    pub who: String,
    /// Why, e.g. the deciding document; kept in the events, cut to [`crate::Resend::WHY_MAX`].
    pub why: String,
}

/// A reorganisation as the ledger tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReorganisationTold {
    /// Its day.
    pub on: Date,
    /// Digest of the file.
    pub file: Sha256,
    /// The deciding document.
    pub decision: Option<String>,
    /// Rows of the file.
    pub rows: u32,
    /// Whether its day has come: then what waits is moved with this order.
    pub due: bool,
}

/// Another way for what waits for one party by one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartyMove {
    /// For whom it waits.
    pub party: Party,
    /// By which system it would go.
    pub system: SystemId,
    /// Where it goes instead: the same party by another system, a successor, an operator, or nowhere.
    pub to: PlannedRecipient,
}

/// What an order moved, counted in recipients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorganised {
    /// Now on their way to a successor, or by another system.
    pub moved: u64,
    /// Now held for an operator: their agency was split.
    pub parked: u64,
    /// Now undeliverable: nobody took over.
    pub undeliverable: u64,
    /// Ended here: their successor is a recipient of the same document, and gets it once.
    pub merged: u64,
    /// Left where they are: the message was published, or may have been.
    pub left: u64,
}

/// What waits for one party by one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtHome {
    /// For whom.
    pub party: Party,
    /// By which system.
    pub system: SystemId,
    /// Recipients whose message was never handed to the broker.
    pub at_home: u64,
    /// Recipients whose message was, and is not taken.
    pub out: u64,
}
