//! What several facts are made of.

use serde::{Deserialize, Serialize};
use truc_model::delivery::TransportStateName;
use truc_model::{ChangeState, DeliveryUid, Party, SystemId};

/// A recipient's first state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptedRecipient {
    /// Its place in the document, from 0: how later events name it.
    pub position: u32,
    /// Who it is.
    pub party: Party,
    /// `scheduled`, `parked` or `undeliverable`.
    pub state: TransportStateName,
    /// Why parked or undeliverable.
    pub cause: Option<String>,
    /// The system it goes to.
    pub system: Option<SystemId>,
    /// The message it travels in.
    pub delivery: Option<DeliveryUid>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
pub(super) const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// A recipient that an order concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderedRecipient {
    /// Its place in the document.
    pub position: u32,
    /// The overlay after the order.
    pub change: ChangeState,
}

/// A recipient that an operator sends on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SentRecipient {
    /// Its place in the document.
    pub position: u32,
    /// Who it was.
    pub from: Party,
    /// Who it is now; mostly the same.
    pub to: Party,
}

/// What made a submission a repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RepeatedBy {
    /// The same `message_id` and bytes.
    MessageId,
    /// The same sender, `DocumentId` and bytes under another `message_id`.
    Identity,
}

/// How the hub knows that a delivery was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TakenBy {
    /// The system said `taken`.
    Taken,
    /// A status of the recipient implies it.
    Status,
}
