//! The side file of a received document: `in/<delivery>.json`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_adapter_sdk::IncomingDocument;
use truc_adapter_sdk::envelope::{DocumentPacket, Limits, Organization, Packet, ResponseFor, read};
use truc_adapter_sdk::model::wire::AttachmentWords;
use truc_adapter_sdk::model::{
    AgencyCode, DeliveryUid, DocumentUid, Operation, Sha256, SignatureVerdict, Urgency,
};

/// What a program that takes documents out of `in/` needs to know without reading XML, and all that a
/// status report needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The delivery's id; name it to report a status.
    pub delivery: DeliveryUid,
    /// The hub's id of the document.
    pub document: DocumentUid,
    /// Name of the packet's file, beside this one.
    pub packet: String,
    /// The sender's agency code.
    pub from: String,
    /// The agencies of this system that it is for.
    pub to: Vec<String>,
    /// SHA-256 of the packet, hexadecimal; checked.
    pub sha256: Sha256,
    /// Bytes of the packet.
    pub size: u64,
    /// The hub's attempt, from 1.
    pub attempt: u32,
    /// When it came out of the inbox.
    pub received_at: Timestamp,
    /// How urgent.
    pub urgency: Urgency,
    /// `valid`, `vouched`, `invalid`, `absent`, or `unknown`.
    pub signature: String,
    /// The hub's verdict in full.
    pub signature_verdict: Option<SignatureVerdict>,
    /// What the signatures inside attached PDFs look like: an indicator; `null` when nobody looked at any.
    #[serde(default)]
    pub attachment_signatures: Option<AttachmentWords>,
    /// What the packet says; `null` when this adapter cannot read it.
    pub content: Option<Content>,
}

/// What the packet says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The sender.
    pub sender: Agency,
    /// One per code in [`Facts::to`].
    pub recipients: Vec<Agency>,
    /// `DocumentId`.
    pub document_id: String,
    /// `12/STC-VP`.
    pub code: String,
    /// Date of issue.
    pub promulgation_date: Option<Date>,
    /// What the packet does.
    pub operation: Operation,
}

/// An agency by code and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agency {
    /// Its code, as written.
    pub organ_id: String,
    /// Its name; the code when the packet gives none.
    pub organ_name: String,
}

impl Agency {
    /// As the packet describes it.
    #[must_use]
    pub fn of(organization: &Organization) -> Self {
        Self {
            organ_id: organization.organ_id.clone(),
            organ_name: organization
                .organ_name
                .clone()
                .unwrap_or_else(|| organization.organ_id.clone()),
        }
    }

    /// For a packet.
    #[must_use]
    pub fn organization(&self) -> Organization {
        Organization::new(&*self.organ_id, &*self.organ_name)
    }
}

impl Facts {
    /// Of a document that came.
    #[must_use]
    pub fn of(document: &IncomingDocument) -> Self {
        let packet = match read(&document.bytes, &Limits::default()).map(|reading| reading.packet) {
            Ok(Packet::Document(packet)) => Some(packet),
            // The hub has accepted it, so it is stored; what it says has to be read by other means.
            _ => None,
        };
        Self {
            delivery: document.delivery,
            document: document.document,
            packet: format!("{}.edxml", document.delivery),
            from: document.from.clone(),
            to: document.to.clone(),
            sha256: document.sha256,
            size: document.bytes.len() as u64,
            attempt: document.attempt,
            received_at: document.received_at,
            urgency: document.urgency,
            signature: document
                .signature
                .as_ref()
                .map_or("unknown", SignatureVerdict::word)
                .to_owned(),
            signature_verdict: document.signature.clone(),
            attachment_signatures: document.attachments.clone(),
            content: packet.map(|packet| Content::of(&packet, &document.to)),
        }
    }
}

impl Content {
    /// Of a packet, for the recipients `to`.
    #[must_use]
    pub fn of(packet: &DocumentPacket, to: &[String]) -> Self {
        let recipient = |code: &String| {
            packet
                .to
                .iter()
                .find(|organization| same_code(&organization.organ_id, code))
                .map_or_else(
                    || Agency {
                        organ_id: code.clone(),
                        organ_name: code.clone(),
                    },
                    Agency::of,
                )
        };
        Self {
            sender: Agency::of(&packet.from),
            recipients: to.iter().map(recipient).collect(),
            document_id: packet.document_id.clone(),
            code: packet.code.to_string(),
            promulgation_date: packet.promulgation.date,
            operation: packet.business.operation,
        }
    }

    /// What a status on it points at, going to the agency `organ_id`.
    #[must_use]
    pub fn about(&self, organ_id: &str) -> ResponseFor {
        ResponseFor {
            organ_id: organ_id.to_owned(),
            code: (!self.code.is_empty()).then(|| self.code.clone()),
            promulgation_date: self.promulgation_date,
            document_id: Some(self.document_id.clone()),
        }
    }
}

/// Whether two spellings are one code.
#[must_use]
pub fn same_code(a: &str, b: &str) -> bool {
    match (AgencyCode::parse(a), AgencyCode::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}
