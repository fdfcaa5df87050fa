//! The document packet (*gói tin văn bản*).

use std::fmt;

use jiff::civil::{Date, DateTime};
use serde::Serialize;
use truc_model::{Operation, Urgency};

use super::{Attachment, Organization, ResponseFor, StaffInfo};

/// A document packet. `Debug` shows no content: a packet may end in a log.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct DocumentPacket {
    /// `From`: the sender.
    pub from: Organization,
    /// `To`: the recipients, each code once, in the packet's order.
    pub to: Vec<Organization>,
    /// `DocumentId`, trimmed, in Unicode NFC. Nothing may be derived from its parts.
    pub document_id: String,
    /// `Code`.
    pub code: DocumentNumber,
    /// `PromulgationInfo`.
    pub promulgation: Promulgation,
    /// `DocumentType`.
    pub document_type: DocumentType,
    /// `Subject` (*trích yếu*). Empty when absent.
    pub subject: String,
    /// `Content`: a short content.
    pub content: Option<String>,
    /// `SignerInfo`.
    pub signer: Signer,
    /// `DueDate` (*hạn trả lời*).
    pub due_date: Option<Date>,
    /// `ToPlaces`: the printed list of addressees; not a routing list.
    pub to_places: Vec<String>,
    /// `OtherInfo`.
    pub other: OtherInfo,
    /// `ResponseFor`: the documents this one answers.
    pub response_for: Vec<ResponseFor>,
    /// `SteeringType` (*loại chỉ đạo*), carried as it came: two numberings are in use.
    pub steering_type: Option<u32>,
    /// `ResponseForTask/TaskCode`.
    pub task_codes: Vec<String>,
    /// `ApplicationType`.
    pub application_type: Option<String>,
    /// `TraceHeaderList/TraceHeader`: the hops, oldest first.
    pub trace: Vec<TraceHeader>,
    /// `TraceHeaderList/Bussiness`: what the packet does.
    pub business: Business,
    /// Whether the packet brings a signature of its own. The writer writes none: a signature over
    /// other bytes would not hold.
    pub signature: SignaturePresence,
    /// The attachments, in the order of their bytes.
    pub attachments: Vec<Attachment>,
    /// Elements the format does not know. They travel with the bytes received; the writer leaves
    /// them out.
    pub unknown: Vec<UnknownElement>,
}

impl fmt::Debug for DocumentPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DocumentPacket")
            .field("from", &self.from)
            .field("to", &self.to)
            .field("document_id", &self.document_id)
            .field("operation", &self.business.operation)
            .field("priority", &self.other.priority)
            .field("attachments", &self.attachments.len())
            .finish_non_exhaustive()
    }
}

/// `Code`: number and notation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DocumentNumber {
    /// `CodeNumber` (*số*), normally digits.
    pub number: Option<String>,
    /// `CodeNotation` (*ký hiệu*).
    pub notation: Option<String>,
}

impl DocumentNumber {
    /// Number and notation.
    #[must_use]
    pub fn new(number: impl Into<String>, notation: impl Into<String>) -> Self {
        Self {
            number: Some(number.into()),
            notation: Some(notation.into()),
        }
    }
}

/// `7816/VPCP-TTĐT`, as `ResponseFor/Code` writes it.
impl fmt::Display for DocumentNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.number, &self.notation) {
            (Some(number), Some(notation)) => write!(f, "{number}/{notation}"),
            (Some(one), None) | (None, Some(one)) => f.write_str(one),
            (None, None) => Ok(()),
        }
    }
}

/// `PromulgationInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Promulgation {
    /// `Place` (*địa danh*).
    pub place: Option<String>,
    /// `PromulgationDate`: a calendar day.
    pub date: Option<Date>,
}

/// `DocumentType`. Three readings of the numbers are in use; only the name can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DocumentType {
    /// `Type`: 1 legal normative, 2 administrative; or the code in the list itself.
    pub number: Option<u32>,
    /// `TypeDetail`: the code within the group.
    pub detail: Option<u32>,
    /// `TypeName`, e.g. *Công văn*.
    pub name: Option<String>,
}

/// `SignerInfo`. Personal data: `Debug` does not show the name.
#[derive(Clone, PartialEq, Eq, Default, Serialize)]
pub struct Signer {
    /// `Competence` (*thẩm quyền ký*): TM., KT., TL., TUQ.
    pub competence: Option<String>,
    /// `Position`.
    pub position: Option<String>,
    /// `FullName`.
    pub full_name: Option<String>,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// `OtherInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct OtherInfo {
    /// `Priority` (*mức độ khẩn*).
    pub priority: Urgency,
    /// `SphereOfPromulgation` (*phạm vi lưu hành*).
    pub sphere: Option<String>,
    /// `TyperNotation`: mark of the drafter.
    pub typer_notation: Option<String>,
    /// `PromulgationAmount`: copies issued.
    pub promulgation_amount: Option<u32>,
    /// `PageAmount`.
    pub page_amount: Option<u32>,
    /// `Direction`: meaning unknown, carried as it came.
    pub direction: Option<String>,
    /// `ReplyFors`: older free text, carried as it came.
    pub reply_fors: Option<String>,
    /// `ReferenceCodes`: older free text, carried as it came.
    pub reference_codes: Option<String>,
    /// `Appendixes/Appendix`.
    pub appendixes: Vec<String>,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TraceHeader {
    /// `OrganId`: an agency's code, or a relaying system's.
    pub organ_id: Option<String>,
    /// `Timestamp`, Viet Nam time.
    pub timestamp: Option<DateTime>,
}

/// `Bussiness`: the operation. Absent counts as a new document.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Business {
    /// `BussinessDocType`.
    pub operation: Operation,
    /// `DocumentId`: the document recalled or updated, trimmed, NFC. Senders fill it uselessly on
    /// new documents too.
    pub document_id: Option<String>,
    /// `BussinessDocReason`.
    pub reason: Option<String>,
    /// `Paper`.
    pub paper: Option<PaperCopy>,
    /// `BussinessDocumentInfo`: what an update changes.
    pub update: Option<Update>,
    /// `ReplacementInfoList`: what a replacement replaces.
    pub replacements: Vec<Replacement>,
    /// `StaffInfo`.
    pub staff: Option<StaffInfo>,
}

/// `Paper`: whether a paper copy follows (*có gửi kèm bản giấy*).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperCopy {
    /// 0.
    None,
    /// 1.
    Follows,
}

/// `BussinessDocumentInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Update {
    /// `DocumentInfo`.
    pub information: Option<RevisedPart>,
    /// `DocumentReceiver`.
    pub recipients: Option<RevisedPart>,
    /// `ReceiverList/Receiver`.
    pub receivers: Vec<ReceiverChange>,
}

/// Whether an update changes this part of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisedPart {
    /// 0.
    Unchanged,
    /// 1.
    Changed,
}

/// `Receiver`: a recipient that an update adds or removes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", content = "organ_id", rename_all = "kebab-case")]
pub enum ReceiverChange {
    /// `ReceiverType` 0.
    Removed(String),
    /// `ReceiverType` 1: for it the document is new.
    Added(String),
}

/// `ReplacementInfo`: an earlier document that this one replaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Replacement {
    /// `DocumentId`, trimmed, NFC.
    pub document_id: String,
    /// `OrganIdList/OrganId`: for which recipients; none means all.
    pub organ_ids: Vec<String>,
}

/// Whether the packet brings a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignaturePresence {
    /// None.
    #[default]
    Absent,
    /// One in the namespace of XML-DSig, with SignedInfo and SignatureValue.
    XmlDsig,
    /// An element of that name which is no XML signature: in the edXML namespace, or empty.
    OtherForm,
}

/// An element the format does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnknownElement {
    /// Local names from the root.
    pub path: String,
    /// Where its bytes stand in the packet, from `<` on.
    pub start: usize,
}
