//! The words of the format: element names, namespaces, and per parent which children it knows, in
//! which order, how often, how long.
//!
//! Lengths and cardinalities are those of the strict form (`docs/reference/edxml.md`).

/// The namespace of QCVN 102:2016, still the one in use.
pub(crate) const NS_QCVN: &str = "http://www.mic.gov.vn/TBT/QCVN_102_2016";
const NS_EDOC: &str = "http://www.go.vn/eDoc";
const NS_OLD: &str = "http://www.e-doc.vn/Schema/";
const NS_DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const NS_XLINK: &str = "http://www.w3.org/1999/xlink";
const NS_SOAP_11: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const NS_SOAP_12: &str = "http://www.w3.org/2003/05/soap-envelope";

/// Prefixes that real packets use without declaring them, and what they mean by them.
const USUAL_PREFIXES: &[(&str, &str)] = &[
    ("edXML", NS_QCVN),
    ("xlink", NS_XLINK),
    ("ds", NS_DSIG),
    ("dsig", NS_DSIG),
    ("soap", NS_SOAP_11),
    ("soapenv", NS_SOAP_11),
    ("SOAP-ENV", NS_SOAP_11),
    ("xsi", "http://www.w3.org/2001/XMLSchema-instance"),
    ("xsd", "http://www.w3.org/2001/XMLSchema"),
    ("xs", "http://www.w3.org/2001/XMLSchema"),
];

/// What an undeclared prefix usually means.
pub(crate) fn usual_namespace(prefix: &str) -> Option<&'static str> {
    USUAL_PREFIXES
        .iter()
        .find(|(usual, _)| usual.eq_ignore_ascii_case(prefix))
        .map(|(_, namespace)| *namespace)
}

/// Which family of names a namespace belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// QCVN 102:2016.
    Qcvn,
    /// `http://www.go.vn/eDoc`, from a misread guide.
    Edoc,
    /// `http://www.e-doc.vn/Schema/`, before 2016.
    Old,
    /// No namespace.
    None,
    /// SOAP's envelope.
    Soap,
    /// XML-DSig.
    Dsig,
    /// XLink, which only attributes use.
    Xlink,
    /// Anything else.
    Foreign,
}

impl Family {
    pub(crate) fn of(namespace: &str) -> Self {
        match namespace {
            NS_QCVN => Self::Qcvn,
            NS_EDOC => Self::Edoc,
            NS_OLD => Self::Old,
            NS_DSIG => Self::Dsig,
            NS_XLINK => Self::Xlink,
            NS_SOAP_11 | NS_SOAP_12 => Self::Soap,
            _ => Self::Foreign,
        }
    }

    /// Whether the format's elements are looked for in it.
    pub(crate) const fn is_edxml(self) -> bool {
        matches!(self, Self::Qcvn | Self::Edoc | Self::Old | Self::None)
    }
}

/// How a known name was spelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    Exact,
    OtherCase,
    /// `Business…` for `Bussiness…`.
    SingleS,
}

macro_rules! tags {
    ($($variant:ident $name:literal,)*) => {
        /// A known element name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(crate) enum Tag { $($variant,)* }

        impl Tag {
            const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as the format spells it.
            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            fn exact(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

tags! {
    EdXml "edXML",
    EdXmlEnvelope "edXMLEnvelope",
    EdXmlHeader "edXMLHeader",
    EdXmlBody "edXMLBody",
    EdXmlManifest "edXMLManifest",
    MessageHeader "MessageHeader",
    From "From",
    To "To",
    DocumentId "DocumentId",
    Code "Code",
    CodeNumber "CodeNumber",
    CodeNotation "CodeNotation",
    PromulgationInfo "PromulgationInfo",
    Place "Place",
    PromulgationDate "PromulgationDate",
    DocumentType "DocumentType",
    Type "Type",
    TypeDetail "TypeDetail",
    TypeName "TypeName",
    Subject "Subject",
    Content "Content",
    SignerInfo "SignerInfo",
    Competence "Competence",
    Position "Position",
    FullName "FullName",
    DueDate "DueDate",
    ToPlaces "ToPlaces",
    OtherInfo "OtherInfo",
    Priority "Priority",
    SphereOfPromulgation "SphereOfPromulgation",
    TyperNotation "TyperNotation",
    PromulgationAmount "PromulgationAmount",
    PageAmount "PageAmount",
    Direction "Direction",
    ReplyFors "ReplyFors",
    ReferenceCodes "ReferenceCodes",
    Appendixes "Appendixes",
    Appendix "Appendix",
    ResponseFor "ResponseFor",
    SteeringType "SteeringType",
    ResponseForTask "ResponseForTask",
    TaskCode "TaskCode",
    ApplicationType "ApplicationType",
    OrganId "OrganId",
    OrganizationInCharge "OrganizationInCharge",
    OrganName "OrganName",
    OrganAdd "OrganAdd",
    Email "Email",
    Telephone "Telephone",
    Fax "Fax",
    Website "Website",
    StaffInfo "StaffInfo",
    Department "Department",
    DepartmentId "DepartmentId",
    Staff "Staff",
    StaffId "StaffId",
    Mobile "Mobile",
    StatusCode "StatusCode",
    Description "Description",
    Timestamp "Timestamp",
    TraceHeaderList "TraceHeaderList",
    TraceHeader "TraceHeader",
    Bussiness "Bussiness",
    BussinessDocType "BussinessDocType",
    BussinessDocReason "BussinessDocReason",
    BussinessDocumentInfo "BussinessDocumentInfo",
    DocumentInfo "DocumentInfo",
    DocumentReceiver "DocumentReceiver",
    ReceiverList "ReceiverList",
    Receiver "Receiver",
    ReceiverType "ReceiverType",
    ReplacementInfoList "ReplacementInfoList",
    ReplacementInfo "ReplacementInfo",
    OrganIdList "OrganIdList",
    Paper "Paper",
    ErrorList "ErrorList",
    Signature "Signature",
    DigitalSignature "DigitalSignature",
    Reference "Reference",
    ContentId "ContentId",
    ContentType "ContentType",
    AttachmentName "AttachmentName",
    AttachmentEncoded "AttachmentEncoded",
    Attachment "Attachment",
    FieldName "FieldName",
    MimeType "MimeType",
    ContentTransferEncoded "ContentTransferEncoded",
    Format "Format",
    Manifest "Manifest",
    Attachments "Attachments",
    FileName "FileName",
    FileType "FileType",
    Envelope "Envelope",
    Header "Header",
    Body "Body",
}

impl Tag {
    /// A name as a sender spells it.
    pub(crate) fn find(name: &str) -> Option<(Self, Spelling)> {
        if let Some(tag) = Self::exact(name) {
            return Some((tag, Spelling::Exact));
        }
        let alike = |name: &str| {
            Self::ALL
                .iter()
                .copied()
                .find(|tag| tag.as_str().eq_ignore_ascii_case(name))
        };
        if let Some(tag) = alike(name) {
            return Some((tag, Spelling::OtherCase));
        }
        let rest = name
            .get(..8)
            .filter(|start| start.eq_ignore_ascii_case("Business"))
            .map(|_| &name[8..])?;
        alike(&format!("Bussiness{rest}")).map(|tag| (tag, Spelling::SingleS))
    }
}

/// How often a child may stand under its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Once; a second one would leave open which counts, so it is refused.
    Once,
    /// Once; of several the first counts and the others are left unread.
    First,
    /// Any number of times.
    Any,
}

/// Whether the strict form asks for a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    Optional,
    /// Its absence is warned of, and refused in the strict form.
    Strict,
}

/// A child that a parent knows. Children stand in the order of their rank.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) tag: Tag,
    pub(crate) times: Times,
    pub(crate) need: Need,
    /// Most characters; 0 = not limited here.
    pub(crate) max: usize,
    /// Place in the order; equal ranks may stand either way.
    pub(crate) rank: u8,
}

const fn field(rank: u8, tag: Tag, times: Times, need: Need, max: usize) -> Field {
    Field {
        tag,
        times,
        need,
        max,
        rank,
    }
}

use Need::{Optional, Strict};
use Times::{Any, First, Once};

/// `MessageHeader` of a document.
pub(crate) static DOCUMENT_HEADER: &[Field] = &[
    field(0, Tag::From, Once, Optional, 0),
    field(1, Tag::To, Any, Optional, 0),
    field(2, Tag::DocumentId, Once, Optional, 200),
    field(3, Tag::Code, Once, Strict, 0),
    field(4, Tag::PromulgationInfo, Once, Strict, 0),
    field(5, Tag::DocumentType, Once, Strict, 0),
    field(6, Tag::Subject, Once, Strict, 500),
    field(7, Tag::Content, First, Optional, 500),
    field(8, Tag::SignerInfo, First, Strict, 0),
    field(9, Tag::DueDate, First, Optional, 0),
    field(10, Tag::OtherInfo, Once, Optional, 0),
    field(11, Tag::ResponseFor, Any, Optional, 0),
    field(12, Tag::SteeringType, First, Optional, 0),
    field(13, Tag::ResponseForTask, First, Optional, 0),
    field(14, Tag::ApplicationType, First, Optional, 0),
    field(15, Tag::ToPlaces, First, Optional, 0),
];

/// `MessageHeader` of a status.
pub(crate) static STATUS_HEADER: &[Field] = &[
    field(0, Tag::From, Once, Optional, 0),
    field(1, Tag::ResponseFor, Once, Optional, 0),
    field(2, Tag::StaffInfo, First, Optional, 0),
    field(3, Tag::StatusCode, Once, Optional, 0),
    field(4, Tag::Description, First, Optional, 500),
    field(5, Tag::Timestamp, First, Strict, 0),
];

/// `From` and `To`. Document and status packets put the governing body on either side of the name.
pub(crate) static ORGANIZATION: &[Field] = &[
    field(0, Tag::OrganId, Once, Optional, 35),
    field(1, Tag::OrganizationInCharge, First, Optional, 500),
    field(1, Tag::OrganName, First, Strict, 200),
    field(2, Tag::OrganAdd, First, Optional, 500),
    field(3, Tag::Email, First, Optional, 100),
    field(4, Tag::Telephone, First, Optional, 50),
    field(5, Tag::Fax, First, Optional, 50),
    field(6, Tag::Website, First, Optional, 100),
];

/// `Code` of a document.
pub(crate) static CODE: &[Field] = &[
    field(0, Tag::CodeNumber, Once, Strict, 11),
    field(1, Tag::CodeNotation, Once, Strict, 30),
];

/// `PromulgationInfo`.
pub(crate) static PROMULGATION: &[Field] = &[
    field(0, Tag::Place, First, Optional, 50),
    field(1, Tag::PromulgationDate, Once, Strict, 0),
];

/// `DocumentType`.
pub(crate) static DOCUMENT_TYPE: &[Field] = &[
    field(0, Tag::Type, First, Strict, 0),
    field(1, Tag::TypeDetail, First, Optional, 0),
    field(2, Tag::TypeName, Once, Strict, 100),
];

/// `SignerInfo`.
pub(crate) static SIGNER: &[Field] = &[
    field(0, Tag::Competence, First, Optional, 100),
    field(1, Tag::Position, First, Optional, 100),
    field(2, Tag::FullName, First, Strict, 255),
];

/// `OtherInfo`.
pub(crate) static OTHER_INFO: &[Field] = &[
    field(0, Tag::Priority, Once, Optional, 0),
    field(1, Tag::SphereOfPromulgation, Once, Optional, 100),
    field(2, Tag::TyperNotation, First, Optional, 10),
    field(3, Tag::PromulgationAmount, First, Optional, 0),
    field(4, Tag::PageAmount, First, Optional, 0),
    field(5, Tag::Direction, First, Optional, 5),
    field(6, Tag::ReplyFors, First, Optional, 0),
    field(6, Tag::ReferenceCodes, First, Optional, 0),
    field(6, Tag::Appendixes, First, Optional, 0),
];

/// `Appendixes`.
pub(crate) static APPENDIXES: &[Field] = &[field(0, Tag::Appendix, Any, Optional, 0)];

/// `ToPlaces`.
pub(crate) static TO_PLACES: &[Field] = &[field(0, Tag::Place, Any, Optional, 150)];

/// `ResponseForTask`.
pub(crate) static TASKS: &[Field] = &[field(0, Tag::TaskCode, Any, Optional, 0)];

/// `ResponseFor` of a document.
pub(crate) static RESPONSE_FOR: &[Field] = &[
    field(0, Tag::OrganId, Once, Optional, 35),
    field(1, Tag::Code, Once, Optional, 42),
    field(2, Tag::PromulgationDate, First, Optional, 0),
    field(3, Tag::DocumentId, Once, Optional, 200),
];

/// `ResponseFor` of a status.
pub(crate) static STATUS_RESPONSE_FOR: &[Field] = &[
    field(0, Tag::OrganId, Once, Optional, 35),
    field(1, Tag::Code, Once, Strict, 42),
    field(2, Tag::PromulgationDate, First, Strict, 0),
    field(3, Tag::DocumentId, Once, Strict, 200),
];

/// `StaffInfo`.
pub(crate) static STAFF: &[Field] = &[
    field(0, Tag::Department, First, Optional, 300),
    field(1, Tag::DepartmentId, First, Optional, 0),
    field(2, Tag::Staff, First, Optional, 300),
    field(3, Tag::StaffId, First, Optional, 0),
    field(4, Tag::Email, First, Optional, 100),
    field(5, Tag::Mobile, First, Optional, 30),
];

/// `TraceHeaderList`. The operation stands before or after the hops.
pub(crate) static TRACE_LIST: &[Field] = &[
    field(0, Tag::TraceHeader, Any, Strict, 0),
    field(0, Tag::Bussiness, Once, Strict, 0),
    field(0, Tag::Paper, First, Optional, 0),
];

/// `TraceHeader`.
pub(crate) static TRACE_HEADER: &[Field] = &[
    field(0, Tag::OrganId, First, Strict, 35),
    field(1, Tag::Timestamp, First, Strict, 0),
];

/// `Bussiness`.
pub(crate) static BUSINESS: &[Field] = &[
    field(0, Tag::DocumentId, Once, Optional, 200),
    field(1, Tag::BussinessDocType, Once, Strict, 0),
    field(2, Tag::BussinessDocReason, First, Optional, 500),
    field(3, Tag::Paper, First, Optional, 0),
    field(3, Tag::BussinessDocumentInfo, Once, Optional, 0),
    field(3, Tag::ReplacementInfoList, Once, Optional, 0),
    field(4, Tag::StaffInfo, First, Optional, 0),
];

/// `BussinessDocumentInfo`.
pub(crate) static UPDATE: &[Field] = &[
    field(0, Tag::DocumentInfo, First, Optional, 0),
    field(1, Tag::DocumentReceiver, First, Optional, 0),
    field(2, Tag::ReceiverList, Once, Optional, 0),
];

/// `ReceiverList`.
pub(crate) static RECEIVERS: &[Field] = &[field(0, Tag::Receiver, Any, Optional, 0)];

/// `Receiver`.
pub(crate) static RECEIVER: &[Field] = &[
    field(0, Tag::OrganId, Once, Strict, 35),
    field(1, Tag::ReceiverType, Once, Strict, 0),
];

/// `ReplacementInfoList`.
pub(crate) static REPLACEMENTS: &[Field] = &[field(0, Tag::ReplacementInfo, Any, Strict, 0)];

/// `ReplacementInfo`.
pub(crate) static REPLACEMENT: &[Field] = &[
    field(0, Tag::DocumentId, Once, Strict, 200),
    field(1, Tag::OrganIdList, Once, Optional, 0),
];

/// `OrganIdList`.
pub(crate) static ORGAN_IDS: &[Field] = &[field(0, Tag::OrganId, Any, Optional, 35)];

/// `edXMLManifest`.
pub(crate) static MANIFEST: &[Field] = &[field(0, Tag::Reference, Any, Optional, 0)];

/// `Reference`.
pub(crate) static REFERENCE: &[Field] = &[
    field(0, Tag::ContentId, Once, Optional, 0),
    field(1, Tag::ContentType, First, Optional, 0),
    field(2, Tag::Description, First, Optional, 0),
    field(3, Tag::AttachmentName, First, Optional, 0),
];

/// `AttachmentEncoded`.
pub(crate) static ATTACHMENTS: &[Field] = &[field(0, Tag::Attachment, Any, Optional, 0)];

/// `Attachment`, with the names of its older, flat shape.
pub(crate) static ATTACHMENT: &[Field] = &[
    field(0, Tag::ContentId, Once, Optional, 0),
    field(1, Tag::AttachmentName, First, Optional, 0),
    field(1, Tag::FileName, First, Optional, 0),
    field(2, Tag::Description, First, Optional, 0),
    field(3, Tag::FieldName, First, Optional, 0),
    field(3, Tag::MimeType, First, Optional, 0),
    field(3, Tag::ContentType, First, Optional, 0),
    field(3, Tag::FileType, First, Optional, 0),
    field(4, Tag::ContentTransferEncoded, Once, Optional, 0),
    field(4, Tag::Content, Once, Optional, 0),
    field(5, Tag::Format, First, Optional, 0),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_however_spelled() {
        for tag in Tag::ALL {
            assert_eq!(Tag::find(tag.as_str()), Some((*tag, Spelling::Exact)));
        }
        assert_eq!(
            Tag::find("EdXMLEnvelope"),
            Some((Tag::EdXmlEnvelope, Spelling::OtherCase))
        );
        assert_eq!(
            Tag::find("BusinessDocType"),
            Some((Tag::BussinessDocType, Spelling::SingleS))
        );
        assert_eq!(Tag::find("Business"), Some((Tag::Bussiness, Spelling::SingleS)));
        assert_eq!(Tag::find("BusinessCard"), None);
        assert_eq!(Tag::find("Vănbản"), None);
        assert_eq!(Tag::find(""), None);
    }

    #[test]
    fn prefixes() {
        assert_eq!(usual_namespace("xlink"), Some(NS_XLINK));
        assert_eq!(usual_namespace("EDXML"), Some(NS_QCVN));
        assert_eq!(usual_namespace("vendor"), None);
    }
}
