//! The status packet.

use truc_model::{RefusalCode, StatusCode, WarningCode};

use super::document::{response_for, sender, staff};
use super::fields::{Fields, is_null};
use super::structure::Parts;
use crate::packet::{ResponseFor, StatusPacket};
use crate::scan::NodeId;
use crate::vocabulary::{self as v, Tag};

/// Reads a status; `None` when something the hub needs is missing.
pub(super) fn status(fields: &mut Fields<'_>, parts: Parts) -> Option<StatusPacket> {
    let header = parts.message;
    fields.check(header, v::STATUS_HEADER);
    for part in [parts.trace, parts.manifest, parts.attachments]
        .into_iter()
        .flatten()
    {
        fields.note_unknown(part);
    }
    let from = sender(fields, header);
    let response_for = about(fields, header);
    let code = code(fields, header);
    let description = fields.text(header, Tag::Description);
    if description.is_none() && code.is_some_and(StatusCode::needs_reason) {
        fields.missing(header, Tag::Description);
    }
    let timestamp = fields.timestamp(header);
    let issued = response_for.as_ref().and_then(|about| about.promulgation_date);
    if let (Some((moment, spot)), Some(issued)) = (timestamp, issued)
        && moment.date() < issued
    {
        fields.findings.warn(WarningCode::TimestampOdd, spot);
    }
    Some(StatusPacket {
        from: from?,
        response_for: response_for?,
        staff: staff(fields, header),
        code: code?,
        description,
        timestamp: timestamp.map(|(moment, _)| moment),
        unknown: std::mem::take(&mut fields.unknown),
    })
}

/// The document spoken of: whose, and by its identifier or at least its number.
fn about(fields: &mut Fields<'_>, header: NodeId) -> Option<ResponseFor> {
    let Some(node) = fields.child(header, Tag::ResponseFor) else {
        fields.refuse_missing(header, Tag::ResponseFor);
        return None;
    };
    fields.check(node, v::STATUS_RESPONSE_FOR);
    let code = fields.child(node, Tag::OrganId);
    match code {
        None => fields.refuse_missing(node, Tag::OrganId),
        Some(code) if is_null(fields.tree.text(code).trim()) => {
            fields.refuse_value(code, "an agency code", "a literal null");
        }
        Some(_) => {}
    }
    let about = response_for(fields, node);
    if about.document_id.is_none() && about.code.is_none() {
        fields.refuse_missing(node, Tag::DocumentId);
    }
    Some(about)
}

/// One of the nine codes; a leading zero may be missing.
fn code(fields: &mut Fields<'_>, header: NodeId) -> Option<StatusCode> {
    const EXPECTED: &str = "one of 01, 02, 03, 04, 05, 06, 13, 15, 16";
    let Some(node) = fields.child(header, Tag::StatusCode) else {
        fields.refuse_missing(header, Tag::StatusCode);
        return None;
    };
    let Some(text) = fields.text_of(node) else {
        fields.refuse_value(node, EXPECTED, "a literal null");
        return None;
    };
    if let Ok(code) = StatusCode::from_digits(&text) {
        return Some(code);
    }
    if let Ok(code) = StatusCode::from_digits(&format!("0{text}")) {
        fields.warn(WarningCode::StatusCodeShort, node);
        return Some(code);
    }
    fields.refuse_choice(RefusalCode::StatusCodeUnknown, node, EXPECTED, &text);
    None
}
