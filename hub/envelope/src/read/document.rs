//! The document packet.

use std::collections::HashSet;

use truc_model::{AgencyCode, RefusalCode, Urgency, WarningCode};

use super::fields::{Fields, is_null};
use super::structure::Parts;
use super::{attachments, business, types};
use crate::packet::{
    DocumentNumber, DocumentPacket, DocumentType, Organization, OtherInfo, Promulgation, ResponseFor,
    SignaturePresence, Signer, StaffInfo,
};
use crate::scan::{NodeId, Presence, Spot};
use crate::vocabulary::{self as v, Family, Tag};

/// Largest number that is carried without a meaning of its own.
const MAX_CARRIED: u32 = 9_999;
/// Most copies and pages that three digits can say.
const MAX_AMOUNT: u32 = 999;
/// Greatest `SteeringType` of the numbering in use.
const MAX_STEERING: u32 = 2;

/// Reads a document; `None` when something the hub needs is missing.
pub(super) fn document(fields: &mut Fields<'_>, parts: Parts) -> Option<DocumentPacket> {
    let header = parts.message;
    fields.check(header, v::DOCUMENT_HEADER);
    let from = sender(fields, header);
    let to = recipients(fields, header, from.as_ref());
    let document_id = fields.document_id(header);
    if document_id.is_none() {
        fields.refuse_missing(header, Tag::DocumentId);
    }
    let code = number(fields, header);
    let promulgation = promulgation(fields, header);
    let due_date = fields.date(header, Tag::DueDate);
    fields.dated.due = due_date;
    if let (Some(issued), Some((due, spot))) = (promulgation.date, due_date)
        && due < issued
    {
        fields.findings.warn(WarningCode::DueDateOdd, spot);
    }
    let (business, trace) = business::trace_list(fields, parts);
    let attachments = attachments::attachments(fields, parts, business.operation);
    let document = DocumentPacket {
        from: from?,
        to,
        document_id: document_id?,
        code,
        promulgation,
        document_type: document_type(fields, header),
        subject: fields.text(header, Tag::Subject).unwrap_or_default(),
        content: fields.text(header, Tag::Content),
        signer: signer(fields, header),
        due_date: due_date.map(|(date, _)| date),
        to_places: places(fields, header),
        other: other_info(fields, header),
        response_for: answers(fields, header),
        steering_type: steering(fields, header),
        task_codes: tasks(fields, header),
        application_type: fields.text(header, Tag::ApplicationType),
        trace,
        business,
        signature: signature(fields, parts.signature),
        attachments,
        unknown: std::mem::take(&mut fields.unknown),
    };
    Some(document)
}

/// `From`, which every packet has.
pub(super) fn sender(fields: &mut Fields<'_>, header: NodeId) -> Option<Organization> {
    let Some(node) = fields.child(header, Tag::From) else {
        fields.refuse_missing(header, Tag::From);
        return None;
    };
    organization(fields, node)
}

/// `To`, each code once.
fn recipients(fields: &mut Fields<'_>, header: NodeId, from: Option<&Organization>) -> Vec<Organization> {
    let nodes = fields.children(header, Tag::To);
    if nodes.is_empty() {
        let spot = Spot::Missing(Some(header), Tag::To.as_str());
        fields
            .findings
            .refuse(RefusalCode::RecipientMissing, spot, "at least one To", "none");
    }
    if nodes.len() > fields.limits.max_recipients {
        let most = format!("at most {} recipients", fields.limits.max_recipients);
        let spot = Spot::Node(nodes[fields.limits.max_recipients]);
        fields
            .findings
            .refuse(RefusalCode::RecipientLimit, spot, most, nodes.len().to_string());
        return Vec::new();
    }
    let sender = from.map(|from| comparable(&from.organ_id));
    let mut seen = HashSet::new();
    let mut recipients = Vec::new();
    for node in nodes {
        let Some(organization) = organization(fields, node) else {
            continue;
        };
        let code = comparable(&organization.organ_id);
        if Some(&code) == sender.as_ref() {
            fields.warn(WarningCode::SelfAddressed, node);
        }
        if seen.insert(code) {
            recipients.push(organization);
        } else {
            fields.warn(WarningCode::DuplicateRecipient, node);
        }
    }
    recipients
}

/// A code in the form in which two spellings of it are equal.
pub(super) fn comparable(code: &str) -> String {
    AgencyCode::parse(code).map_or_else(|_| code.to_uppercase(), |code| code.as_str().to_owned())
}

fn organization(fields: &mut Fields<'_>, node: NodeId) -> Option<Organization> {
    fields.check(node, v::ORGANIZATION);
    let Some(code) = fields.child(node, Tag::OrganId) else {
        fields.refuse_missing(node, Tag::OrganId);
        return None;
    };
    if is_null(fields.tree.text(code).trim()) {
        fields.refuse_value(code, "an agency code", "a literal null");
        return None;
    }
    Some(Organization {
        organ_id: fields.organ_id(node)?,
        organ_name: fields.text(node, Tag::OrganName),
        organization_in_charge: fields.text(node, Tag::OrganizationInCharge),
        address: fields.text(node, Tag::OrganAdd),
        email: fields.text(node, Tag::Email),
        telephone: fields.text(node, Tag::Telephone),
        fax: fields.text(node, Tag::Fax),
        website: fields.text(node, Tag::Website),
    })
}

fn number(fields: &mut Fields<'_>, header: NodeId) -> DocumentNumber {
    let Some(node) = fields.child(header, Tag::Code) else {
        return DocumentNumber::default();
    };
    fields.check(node, v::CODE);
    let number = fields.text(node, Tag::CodeNumber);
    if number
        .as_deref()
        .is_some_and(|number| !number.bytes().all(|byte| byte.is_ascii_digit()))
        && let Some(node) = fields.child(node, Tag::CodeNumber)
    {
        fields.warn(WarningCode::CodeNumberOdd, node);
    }
    DocumentNumber {
        number,
        notation: fields.text(node, Tag::CodeNotation),
    }
}

fn promulgation(fields: &mut Fields<'_>, header: NodeId) -> Promulgation {
    let Some(node) = fields.child(header, Tag::PromulgationInfo) else {
        return Promulgation::default();
    };
    fields.check(node, v::PROMULGATION);
    fields.dated.issued = fields.date(node, Tag::PromulgationDate);
    Promulgation {
        place: fields.text(node, Tag::Place),
        date: fields.dated.issued.map(|(date, _)| date),
    }
}

fn document_type(fields: &mut Fields<'_>, header: NodeId) -> DocumentType {
    let Some(node) = fields.child(header, Tag::DocumentType) else {
        return DocumentType::default();
    };
    fields.check(node, v::DOCUMENT_TYPE);
    let document_type = DocumentType {
        number: fields.number(node, Tag::Type, MAX_CARRIED),
        detail: fields.number(node, Tag::TypeDetail, MAX_CARRIED),
        name: fields.text(node, Tag::TypeName),
    };
    if !types::agree(&document_type) {
        fields.warn(WarningCode::DocumentTypeOdd, node);
    }
    document_type
}

fn signer(fields: &mut Fields<'_>, header: NodeId) -> Signer {
    let Some(node) = fields.child(header, Tag::SignerInfo) else {
        return Signer::default();
    };
    fields.check(node, v::SIGNER);
    Signer {
        competence: fields.text(node, Tag::Competence),
        position: fields.text(node, Tag::Position),
        full_name: fields.text(node, Tag::FullName),
    }
}

fn places(fields: &mut Fields<'_>, header: NodeId) -> Vec<String> {
    let Some(node) = fields.child(header, Tag::ToPlaces) else {
        return Vec::new();
    };
    fields.check(node, v::TO_PLACES);
    fields.texts(node, Tag::Place)
}

fn tasks(fields: &mut Fields<'_>, header: NodeId) -> Vec<String> {
    let Some(node) = fields.child(header, Tag::ResponseForTask) else {
        return Vec::new();
    };
    fields.check(node, v::TASKS);
    fields.texts(node, Tag::TaskCode)
}

fn other_info(fields: &mut Fields<'_>, header: NodeId) -> OtherInfo {
    let Some(node) = fields.child(header, Tag::OtherInfo) else {
        return OtherInfo::default();
    };
    fields.check(node, v::OTHER_INFO);
    let appendixes = match fields.child(node, Tag::Appendixes) {
        Some(list) => {
            fields.check(list, v::APPENDIXES);
            fields.texts(list, Tag::Appendix)
        }
        None => Vec::new(),
    };
    OtherInfo {
        priority: fields
            .choice(node, Tag::Priority, Urgency::from_number)
            .unwrap_or_default(),
        sphere: fields.text(node, Tag::SphereOfPromulgation),
        typer_notation: fields.text(node, Tag::TyperNotation),
        promulgation_amount: fields.number(node, Tag::PromulgationAmount, MAX_AMOUNT),
        page_amount: fields.number(node, Tag::PageAmount, MAX_AMOUNT),
        direction: fields.text(node, Tag::Direction),
        reply_fors: fields.text(node, Tag::ReplyFors),
        reference_codes: fields.text(node, Tag::ReferenceCodes),
        appendixes,
    }
}

fn answers(fields: &mut Fields<'_>, header: NodeId) -> Vec<ResponseFor> {
    let tree = fields.tree;
    let mut answers = Vec::new();
    for node in tree.children(header, Tag::ResponseFor) {
        fields.check(node, v::RESPONSE_FOR);
        if !tree.is_blank(node) {
            answers.push(response_for(fields, node));
        }
    }
    answers
}

/// `ResponseFor`, already checked against its table.
pub(super) fn response_for(fields: &mut Fields<'_>, node: NodeId) -> ResponseFor {
    ResponseFor {
        organ_id: fields.organ_id(node).unwrap_or_default(),
        code: fields.text(node, Tag::Code),
        promulgation_date: fields.date(node, Tag::PromulgationDate).map(|(date, _)| date),
        document_id: fields.document_id(node),
    }
}

/// The number is carried whatever it is; 3 belongs to another numbering.
fn steering(fields: &mut Fields<'_>, header: NodeId) -> Option<u32> {
    let number = fields.number(header, Tag::SteeringType, MAX_CARRIED)?;
    if number > MAX_STEERING
        && let Some(node) = fields.child(header, Tag::SteeringType)
    {
        fields.warn(WarningCode::NumberOdd, node);
    }
    Some(number)
}

/// `StaffInfo` below `parent`.
pub(super) fn staff(fields: &mut Fields<'_>, parent: NodeId) -> Option<StaffInfo> {
    let node = fields.child(parent, Tag::StaffInfo)?;
    fields.check(node, v::STAFF);
    Some(StaffInfo {
        department: fields.text(node, Tag::Department),
        department_id: fields.text(node, Tag::DepartmentId),
        staff: fields.text(node, Tag::Staff),
        staff_id: fields.text(node, Tag::StaffId),
        email: fields.text(node, Tag::Email),
        mobile: fields.text(node, Tag::Mobile),
    })
}

fn signature(fields: &mut Fields<'_>, node: Option<NodeId>) -> SignaturePresence {
    let Some(id) = node else {
        return SignaturePresence::Absent;
    };
    let node = fields.tree.node(id);
    let complete = node.signature.signed_info == Presence::Present
        && node.signature.signature_value == Presence::Present;
    if node.family == Family::Dsig && node.tag == Some(Tag::Signature) && complete {
        SignaturePresence::XmlDsig
    } else {
        fields.warn(WarningCode::SignatureForm, id);
        SignaturePresence::OtherForm
    }
}
