//! `taken`: the adapter's word that it has stored deliveries durably, declines them, or has withdrawn them before
//! it handed them over.

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
    /// Deliveries that an order took back before they were handed over. Read before the other two lists: a
    /// delivery that is withdrawn for some of its agencies can be taken for the rest in the same message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdrawn: Vec<Withdrawn>,
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

/// One delivery that was not handed over and never will be, as an order of the sender demanded (header
/// `truc-withdraws`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Withdrawn {
    /// Which.
    pub delivery: DeliveryUid,
    /// For which agencies, by their codes as written in `truc-to`; empty: for all it is for.
    #[serde(rename = "for", default, skip_serializing_if = "Vec::is_empty")]
    pub codes: Vec<String>,
}

impl Taken {
    /// Most deliveries in one message, all lists together.
    pub const MAX_DELIVERIES: usize = 1000;
    /// Most bytes of all codes in `for` together: more than one delivery's `truc-to` can have.
    pub const CODES_BYTES_MAX: usize = 128 * 1024;
    /// Longest `code`, in characters.
    pub const CODE_MAX: usize = 64;
    /// Longest `reason`, in characters.
    pub const REASON_MAX: usize = 1000;
}
