//! The list of hops and the operation: what the packet does to which document.

use std::collections::{HashMap, HashSet};

use truc_model::{Operation, RefusalCode, WarningCode};

use super::document::{comparable, staff};
use super::fields::Fields;
use super::structure::Parts;
use crate::packet::{Business, PaperCopy, ReceiverChange, Replacement, RevisedPart, TraceHeader, Update};
use crate::scan::NodeId;
use crate::vocabulary::{self as v, Tag};

/// Reads `TraceHeaderList`. Without one it is a new document that has made no hop yet.
pub(super) fn trace_list(fields: &mut Fields<'_>, parts: Parts) -> (Business, Vec<TraceHeader>) {
    let Some(list) = parts.trace else {
        fields.missing(parts.header, Tag::TraceHeaderList);
        return Default::default();
    };
    fields.check(list, v::TRACE_LIST);
    let trace = fields.children(list, Tag::TraceHeader);
    let trace = trace
        .into_iter()
        .map(|node| {
            fields.check(node, v::TRACE_HEADER);
            let timestamp = fields.timestamp(node).map(|(moment, _)| moment);
            TraceHeader {
                organ_id: fields.text(node, Tag::OrganId),
                timestamp,
            }
        })
        .collect();
    let mut business = match fields.child(list, Tag::Bussiness) {
        Some(node) => business(fields, node),
        None => Business::default(),
    };
    // The flag's older place, directly under the list.
    business.paper = business.paper.or_else(|| fields.choice(list, Tag::Paper, paper));
    (business, trace)
}

fn business(fields: &mut Fields<'_>, node: NodeId) -> Business {
    fields.check(node, v::BUSINESS);
    let operation = operation(fields, node);
    let reason = fields.text(node, Tag::BussinessDocReason);
    if operation != Operation::New && reason.is_none() {
        fields.missing(node, Tag::BussinessDocReason);
    }
    Business {
        operation,
        document_id: fields.document_id(node),
        reason,
        paper: fields.choice(node, Tag::Paper, paper),
        update: update(fields, node),
        replacements: replacements(fields, node),
        staff: staff(fields, node),
    }
}

/// What the packet does cannot be guessed: an unknown number refuses it.
fn operation(fields: &mut Fields<'_>, parent: NodeId) -> Operation {
    let Some(node) = fields.child(parent, Tag::BussinessDocType) else {
        return Operation::New;
    };
    let Some(text) = fields.text_of(node) else {
        return Operation::New;
    };
    let operation = match text.as_bytes() {
        [digit @ b'0'..=b'9'] => Operation::from_number(digit - b'0'),
        _ => None,
    };
    operation.unwrap_or_else(|| {
        fields.refuse_choice(RefusalCode::EnvelopeBadValue, node, "0, 1, 2 or 3", &text);
        Operation::New
    })
}

const fn paper(number: u8) -> Option<PaperCopy> {
    match number {
        0 => Some(PaperCopy::None),
        1 => Some(PaperCopy::Follows),
        _ => None,
    }
}

const fn revised(number: u8) -> Option<RevisedPart> {
    match number {
        0 => Some(RevisedPart::Unchanged),
        1 => Some(RevisedPart::Changed),
        _ => None,
    }
}

fn update(fields: &mut Fields<'_>, parent: NodeId) -> Option<Update> {
    let node = fields.child(parent, Tag::BussinessDocumentInfo)?;
    fields.check(node, v::UPDATE);
    let mut receivers = Vec::new();
    if let Some(list) = fields.child(node, Tag::ReceiverList) {
        fields.check(list, v::RECEIVERS);
        for receiver in fields.children(list, Tag::Receiver) {
            fields.check(receiver, v::RECEIVER);
            receivers.extend(receiver_change(fields, receiver));
        }
    }
    Some(Update {
        information: fields.choice(node, Tag::DocumentInfo, revised),
        recipients: fields.choice(node, Tag::DocumentReceiver, revised),
        receivers,
    })
}

fn receiver_change(fields: &mut Fields<'_>, node: NodeId) -> Option<ReceiverChange> {
    let organ_id = fields.organ_id(node)?;
    let added = fields.choice(node, Tag::ReceiverType, |number| match number {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    })?;
    Some(if added {
        ReceiverChange::Added(organ_id)
    } else {
        ReceiverChange::Removed(organ_id)
    })
}

/// Replaced documents, each once: of a repeated one the lists of recipients are joined. An empty list
/// means all recipients, so joined with anything it stays empty.
fn replacements(fields: &mut Fields<'_>, parent: NodeId) -> Vec<Replacement> {
    let Some(list) = fields.child(parent, Tag::ReplacementInfoList) else {
        return Vec::new();
    };
    fields.check(list, v::REPLACEMENTS);
    let mut replacements: Vec<Replacement> = Vec::new();
    // By document, where it stands and the codes already listed for it.
    let mut seen: HashMap<String, (usize, HashSet<String>)> = HashMap::new();
    for node in fields.children(list, Tag::ReplacementInfo) {
        fields.check(node, v::REPLACEMENT);
        let Some(document_id) = fields.document_id(node) else {
            continue;
        };
        let organ_ids = replaced_for(fields, node);
        match seen.get_mut(&document_id) {
            None => {
                let codes = organ_ids.iter().map(|id| comparable(id)).collect();
                seen.insert(document_id.clone(), (replacements.len(), codes));
                replacements.push(Replacement {
                    document_id,
                    organ_ids,
                });
            }
            Some((index, codes)) => {
                fields.warn(WarningCode::DuplicateRecipient, node);
                let joined = &mut replacements[*index].organ_ids;
                if joined.is_empty() || organ_ids.is_empty() {
                    joined.clear();
                } else {
                    joined.extend(organ_ids.into_iter().filter(|id| codes.insert(comparable(id))));
                }
            }
        }
    }
    replacements
}

fn replaced_for(fields: &mut Fields<'_>, node: NodeId) -> Vec<String> {
    let Some(list) = fields.child(node, Tag::OrganIdList) else {
        return Vec::new();
    };
    fields.check(list, v::ORGAN_IDS);
    fields.texts(list, Tag::OrganId)
}
