//! The side file of a received document: `in/<delivery>.json`.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_adapter_sdk::IncomingDocument;
use truc_adapter_sdk::envelope::{DocumentPacket, Limits, Organization, Packet, ReceiverChange, ResponseFor};
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
    /// On an order: the deliveries it takes back that are here, by their ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdraws: Vec<DeliveryUid>,
    /// For which of their agencies alone; none: for all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withdraws_for: Vec<String>,
    /// The hub's ids of the documents that this one replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<DocumentUid>,
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
    /// Of a recall or an update: `DocumentId` of the document it speaks of. Of a replacement: those it replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speaks_of: Vec<String>,
    /// Of an update: codes of recipients that it adds, for whom the document is new.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adds: Vec<String>,
    /// Why, in the sender's words. For the two parties only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
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
        let limits = Limits {
            max_bytes: usize::MAX,
            ..Limits::default()
        };
        // A file that cannot be read is stored all the same, and its content stays unknown here.
        let reading = document.bytes.read(&limits).ok().and_then(Result::ok);
        let packet = match reading.map(|reading| reading.packet) {
            Some(Packet::Document(packet)) => Some(packet),
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
            size: document.bytes.len(),
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
            withdraws: document.withdraws.clone(),
            withdraws_for: document.withdraws_for.clone(),
            replaces: document.replaces.clone(),
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
            speaks_of: speaks_of(packet),
            adds: adds(packet),
            reason: match packet.business.operation {
                Operation::New => None,
                _ => packet.business.reason.clone(),
            },
        }
    }

    /// Whether it is a document of its own for this recipient: not a recall, and not an update of what it has.
    #[must_use]
    pub fn is_new_for(&self, code: &str) -> bool {
        self.operation.brings_a_document() || self.adds.iter().any(|added| same_code(added, code))
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

fn speaks_of(packet: &DocumentPacket) -> Vec<String> {
    let business = &packet.business;
    match business.operation {
        Operation::New => Vec::new(),
        // Without one of its own it bears the document's.
        Operation::Recall | Operation::Update => {
            let named = business.document_id.as_ref();
            vec![named.unwrap_or(&packet.document_id).clone()]
        }
        Operation::Replacement => {
            let all = business.replacements.iter();
            all.map(|replaced| replaced.document_id.clone()).collect()
        }
    }
}

fn adds(packet: &DocumentPacket) -> Vec<String> {
    let Some(update) = &packet.business.update else {
        return Vec::new();
    };
    let added = |change: &ReceiverChange| match change {
        ReceiverChange::Added(code) => Some(code.clone()),
        ReceiverChange::Removed(_) => None,
    };
    update.receivers.iter().filter_map(added).collect()
}

/// Whether two spellings are one code.
#[must_use]
pub fn same_code(a: &str, b: &str) -> bool {
    match (AgencyCode::parse(a), AgencyCode::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}
