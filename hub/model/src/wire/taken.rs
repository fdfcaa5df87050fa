//! `taken`: the adapter's word that it has stored deliveries durably, or declines them.

use serde::{Deserialize, Serialize};

use crate::id::DeliveryUid;

/// The body of a `taken` message.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// Deliveries stored durably.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taken: Vec<DeliveryUid>,
    /// Deliveries declined for technical reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Declined>,
}

/// One delivery the adapter declines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declined {
    /// Which.
    pub delivery: DeliveryUid,
    /// The adapter's own short code, e.g. `unknown-unit`.
    pub code: String,
    /// Its words, for the sender to read.
    pub reason: String,
}

impl Taken {
    /// Most deliveries in one message.
    pub const MAX_DELIVERIES: usize = 1000;
    /// Longest `code`, in characters.
    pub const CODE_MAX: usize = 64;
    /// Longest `reason`, in characters.
    pub const REASON_MAX: usize = 1000;
}
