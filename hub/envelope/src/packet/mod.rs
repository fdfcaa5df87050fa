//! The nouns of a packet, as the reader hands them out and the writer takes them.
//!
//! Texts are trimmed, with line ends made LF; an element that is absent, empty, blank or a literal
//! `null` is `None`. Meaning, cardinality and lengths: `docs/reference/edxml.md`.

mod attachment;
mod document;
mod status;

pub use attachment::{Attachment, SniffedType, Wrapping};
pub use document::{
    Business, DocumentNumber, DocumentPacket, DocumentType, OtherInfo, PaperCopy, Promulgation,
    ReceiverChange, Replacement, RevisedPart, SignaturePresence, Signer, TraceHeader, UnknownElement, Update,
};
pub use status::StatusPacket;

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;
use truc_model::DocumentKind;

/// A packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Packet {
    /// A document with its attachments.
    Document(Box<DocumentPacket>),
    /// What a party did with a document.
    Status(Box<StatusPacket>),
}

impl Packet {
    /// Which of the two.
    #[must_use]
    pub const fn kind(&self) -> DocumentKind {
        match self {
            Self::Document(_) => DocumentKind::Document,
            Self::Status(_) => DocumentKind::Status,
        }
    }

    /// Who sends it.
    #[must_use]
    pub const fn from(&self) -> &Organization {
        match self {
            Self::Document(document) => &document.from,
            Self::Status(status) => &status.from,
        }
    }
}

/// `From` and `To`: an agency as the packet describes it. `Debug` shows its code alone.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct Organization {
    /// `OrganId`: the agency's code as written, trimmed. Never empty in a reading.
    pub organ_id: String,
    /// `OrganName`.
    pub organ_name: Option<String>,
    /// `OrganizationInCharge`: the governing body.
    pub organization_in_charge: Option<String>,
    /// `OrganAdd`.
    pub address: Option<String>,
    /// `Email`.
    pub email: Option<String>,
    /// `Telephone`.
    pub telephone: Option<String>,
    /// `Fax`.
    pub fax: Option<String>,
    /// `Website`.
    pub website: Option<String>,
}

impl Organization {
    /// An agency by code and name.
    #[must_use]
    pub fn new(organ_id: impl Into<String>, organ_name: impl Into<String>) -> Self {
        Self {
            organ_id: organ_id.into(),
            organ_name: Some(organ_name.into()),
            ..Self::default()
        }
    }
}

impl fmt::Debug for Organization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Organization({:?}, ..)", self.organ_id)
    }
}

/// `ResponseFor`: the document that is answered, or that a status speaks of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ResponseFor {
    /// `OrganId`: whose document; in a status packet also where the status goes. Empty only in a
    /// document that answers without naming an agency.
    pub organ_id: String,
    /// `Code`: number and notation in one text, `7816/VPCP-TTĐT`.
    pub code: Option<String>,
    /// `PromulgationDate`.
    pub promulgation_date: Option<Date>,
    /// `DocumentId`, trimmed, in Unicode NFC.
    pub document_id: Option<String>,
}

/// `StaffInfo`: who handles it. Personal data: for the two parties only; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct StaffInfo {
    /// `Department`.
    pub department: Option<String>,
    /// `DepartmentId`.
    pub department_id: Option<String>,
    /// `Staff`: the person's name.
    pub staff: Option<String>,
    /// `StaffId`.
    pub staff_id: Option<String>,
    /// `Email`.
    pub email: Option<String>,
    /// `Mobile`.
    pub mobile: Option<String>,
}

impl fmt::Debug for StaffInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StaffInfo(..)")
    }
}
