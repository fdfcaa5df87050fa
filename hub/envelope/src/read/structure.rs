//! The shape of a packet: root, envelope, header, body, attachments, however they are wrapped.
//!
//! Usual: `edXML > edXMLEnvelope > edXMLHeader > MessageHeader`, with `AttachmentEncoded` beside the
//! envelope. Also read: the envelope without its root, and the SOAP envelope of before 2016, whose
//! `Header` and `Body` take the places of `edXMLHeader` and `edXMLBody`.

use truc_model::{RefusalCode, WarningCode};

use super::fields::Fields;
use super::{attachments, document, status};
use crate::packet::Packet;
use crate::scan::{NodeId, Spot};
use crate::vocabulary::{Family, Tag};

/// The parts of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Parts {
    pub(super) header: NodeId,
    pub(super) message: NodeId,
    pub(super) trace: Option<NodeId>,
    pub(super) signature: Option<NodeId>,
    pub(super) manifest: Option<NodeId>,
    pub(super) attachments: Option<NodeId>,
}

/// Reads the packet.
pub(super) fn packet(fields: &mut Fields<'_>) -> Option<Packet> {
    let parts = parts(fields)?;
    if fields.tree.child(parts.message, Tag::StatusCode).is_some() {
        status::status(fields, parts).map(|status| Packet::Status(Box::new(status)))
    } else {
        document::document(fields, parts).map(|document| Packet::Document(Box::new(document)))
    }
}

/// Finds the parts. Each may stand once: which of two counts would be anyone's guess.
fn parts(fields: &mut Fields<'_>) -> Option<Parts> {
    let root = fields.tree.root()?;
    let Shape { outer, envelope } = shape(fields, root)?;
    let Some(header) = either(fields, envelope, Tag::EdXmlHeader, Tag::Header) else {
        fields.refuse_missing(envelope, Tag::EdXmlHeader);
        return None;
    };
    let Some(message) = only(fields, header, Tag::MessageHeader) else {
        fields.refuse_missing(header, Tag::MessageHeader);
        return None;
    };
    let body = either(fields, envelope, Tag::EdXmlBody, Tag::Body);
    let parts = Parts {
        header,
        message,
        trace: only(fields, header, Tag::TraceHeaderList),
        signature: signature(fields, header),
        manifest: body.and_then(|body| manifest(fields, body)),
        attachments: attachments::container(fields, outer, envelope, body),
    };
    note_strangers(fields, outer, envelope, header);
    Some(parts)
}

fn manifest(fields: &mut Fields<'_>, body: NodeId) -> Option<NodeId> {
    only(fields, body, Tag::EdXmlManifest).or_else(|| {
        let older = only(fields, body, Tag::Manifest)?;
        fields
            .findings
            .warn_once(WarningCode::ManifestShape, Spot::Node(older));
        Some(older)
    })
}

struct Shape {
    outer: NodeId,
    envelope: NodeId,
}

fn shape(fields: &mut Fields<'_>, root: NodeId) -> Option<Shape> {
    let node = fields.tree.node(root);
    match (node.tag, node.family) {
        (Some(Tag::EdXml), family) if family.is_edxml() => {
            let envelope = only(fields, root, Tag::EdXmlEnvelope);
            if envelope.is_none() {
                fields.refuse_missing(root, Tag::EdXmlEnvelope);
            }
            envelope.map(|envelope| Shape {
                outer: root,
                envelope,
            })
        }
        (Some(Tag::EdXmlEnvelope), family) if family.is_edxml() => {
            fields
                .findings
                .warn_once(WarningCode::RootMissing, Spot::Node(root));
            Some(Shape {
                outer: root,
                envelope: root,
            })
        }
        (Some(Tag::Envelope), Family::Soap | Family::Old) => Some(soap(fields, root)),
        _ => {
            // A name of an element, and too short to tell anything else.
            let found = format!(
                "the root element {}",
                fields.tree.name(root).chars().take(40).collect::<String>()
            );
            fields.findings.refuse(
                RefusalCode::EnvelopeUnknownRoot,
                Spot::Node(root),
                "edXML in the namespace of QCVN 102:2016",
                found,
            );
            None
        }
    }
}

/// The SOAP envelope either is the envelope, or carries an edXML packet in its body.
fn soap(fields: &Fields<'_>, root: NodeId) -> Shape {
    let tree = fields.tree;
    let inner = soap_child(fields, root, Tag::Body).and_then(|body| {
        let packet = tree.child(body, Tag::EdXml);
        let envelope = tree.child(packet.unwrap_or(body), Tag::EdXmlEnvelope)?;
        Some(Shape {
            outer: packet.unwrap_or(envelope),
            envelope,
        })
    });
    inner.unwrap_or(Shape {
        outer: root,
        envelope: root,
    })
}

/// The part under its usual name, or under SOAP's.
fn either(fields: &mut Fields<'_>, envelope: NodeId, usual: Tag, soap: Tag) -> Option<NodeId> {
    only(fields, envelope, usual).or_else(|| soap_child(fields, envelope, soap))
}

/// The child of this name; a second one is refused.
pub(super) fn only(fields: &mut Fields<'_>, parent: NodeId, tag: Tag) -> Option<NodeId> {
    let mut children = fields.tree.children(parent, tag);
    let first = children.next();
    let second = children.next();
    drop(children);
    if let Some(second) = second {
        fields.refuse_value(second, format!("one {}", tag.as_str()), "a second one");
    }
    first
}

fn soap_child(fields: &Fields<'_>, parent: NodeId, tag: Tag) -> Option<NodeId> {
    let tree = fields.tree;
    tree.all_children(parent).find(|child| {
        let node = tree.node(*child);
        node.tag == Some(tag) && matches!(node.family, Family::Soap | Family::Old)
    })
}

/// The signature. Of several none can be told to be the packet's: the first is reported, the others are
/// strangers.
fn signature(fields: &mut Fields<'_>, header: NodeId) -> Option<NodeId> {
    let tree = fields.tree;
    let mut found = tree
        .all_children(header)
        .filter(|child| is_signature(fields, *child));
    let (first, others) = (found.next(), found.collect::<Vec<_>>());
    for other in others {
        fields.note_unknown(other);
    }
    first
}

fn is_signature(fields: &Fields<'_>, id: NodeId) -> bool {
    let node = fields.tree.node(id);
    matches!(node.tag, Some(Tag::Signature | Tag::DigitalSignature))
        && (node.family.is_edxml() || node.family == Family::Dsig)
}

/// Says which elements round the parts the format does not know.
fn note_strangers(fields: &mut Fields<'_>, outer: NodeId, envelope: NodeId, header: NodeId) {
    const OUTER: &[Tag] = &[Tag::EdXmlEnvelope];
    const FILES: &[Tag] = &[Tag::AttachmentEncoded, Tag::Attachments, Tag::Attachment];
    const ENVELOPE: &[Tag] = &[Tag::EdXmlHeader, Tag::Header, Tag::EdXmlBody, Tag::Body];
    const HEADER: &[Tag] = &[
        Tag::MessageHeader,
        Tag::TraceHeaderList,
        Tag::ErrorList,
        Tag::Signature,
        Tag::DigitalSignature,
    ];
    let tree = fields.tree;
    let mut note = |parent: NodeId, known: &[&[Tag]]| {
        for child in tree.all_children(parent) {
            let tag = tree.node(child).tag;
            if !tag.is_some_and(|tag| known.iter().any(|known| known.contains(&tag))) {
                fields.note_unknown(child);
            }
        }
    };
    if outer != envelope {
        note(outer, &[OUTER, FILES]);
    }
    note(envelope, &[ENVELOPE, FILES]);
    note(header, &[HEADER]);
}
