//! The status packet (*gói tin trạng thái*).

use std::fmt;

use jiff::civil::DateTime;
use serde::Serialize;
use truc_model::StatusCode;

use super::{Organization, ResponseFor, StaffInfo, UnknownElement};

/// What a party did with a document. It goes to `response_for.organ_id`; there is no `To`. `Debug`
/// shows neither reason nor staff.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct StatusPacket {
    /// `From`: who reports.
    pub from: Organization,
    /// `ResponseFor`: the document; its agency is never empty, and there is a DocumentId or a Code.
    pub response_for: ResponseFor,
    /// `StaffInfo`.
    pub staff: Option<StaffInfo>,
    /// `StatusCode`.
    pub code: StatusCode,
    /// `Description`: required with 02, 13, 16.
    pub description: Option<String>,
    /// `Timestamp`, Viet Nam time.
    pub timestamp: Option<DateTime>,
    /// Elements the format does not know.
    pub unknown: Vec<UnknownElement>,
}

impl fmt::Debug for StatusPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatusPacket")
            .field("from", &self.from)
            .field("response_for", &self.response_for)
            .field("code", &self.code)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl StatusPacket {
    /// A status with nothing but what the hub needs.
    #[must_use]
    pub fn new(from: Organization, response_for: ResponseFor, code: StatusCode) -> Self {
        Self {
            from,
            response_for,
            staff: None,
            code,
            description: None,
            timestamp: None,
            unknown: Vec::new(),
        }
    }
}
