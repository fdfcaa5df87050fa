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
pub(super) fn packet(fields: &mut Fields<'_, '_>) -> Option<Packet> {
    let parts = parts(fields)?;
    if fields.tree.child(parts.message, Tag::StatusCode).is_some() {
        status::status(fields, parts).map(|status| Packet::Status(Box::new(status)))
    } else {
        document::document(fields, parts).map(|document| Packet::Document(Box::new(document)))
    }
}

/// Finds the parts.
fn parts(fields: &mut Fields<'_, '_>) -> Option<Parts> {
    let root = fields.tree.root()?;
    let Shape { outer, envelope } = shape(fields, root)?;
    let Some(header) = either(fields, envelope, Tag::EdXmlHeader, Tag::Header) else {
        fields.refuse_missing(envelope, Tag::EdXmlHeader);
        return None;
    };
    let Some(message) = fields.tree.child(header, Tag::MessageHeader) else {
        fields.refuse_missing(header, Tag::MessageHeader);
        return None;
    };
    let second = fields.tree.children(header, Tag::MessageHeader).nth(1);
    if let Some(second) = second {
        fields.refuse_value(second, "one MessageHeader", "a second one");
    }
    let body = either(fields, envelope, Tag::EdXmlBody, Tag::Body);
    let mut manifest = None;
    if let Some(body) = body {
        manifest = fields.tree.child(body, Tag::EdXmlManifest);
        if let Some(older) = fields
            .tree
            .child(body, Tag::Manifest)
            .filter(|_| manifest.is_none())
        {
            fields
                .findings
                .warn_once(WarningCode::ManifestShape, Spot::Node(older));
            manifest = Some(older);
        }
    }
    let attachments = attachments::container(fields, outer, envelope, body);
    let trace = fields.tree.child(header, Tag::TraceHeaderList);
    let signature = signature(fields, header);
    note_strangers(
        fields,
        outer,
        &[
            Tag::EdXmlEnvelope,
            Tag::AttachmentEncoded,
            Tag::Attachments,
            Tag::Attachment,
        ],
    );
    if envelope != outer {
        let known = [
            Tag::EdXmlHeader,
            Tag::Header,
            Tag::EdXmlBody,
            Tag::Body,
            Tag::AttachmentEncoded,
            Tag::Attachments,
            Tag::Attachment,
        ];
        note_strangers(fields, envelope, &known);
    }
    let known = [
        Tag::MessageHeader,
        Tag::TraceHeaderList,
        Tag::ErrorList,
        Tag::Signature,
        Tag::DigitalSignature,
    ];
    note_strangers(fields, header, &known);
    Some(Parts {
        header,
        message,
        trace,
        signature,
        manifest,
        attachments,
    })
}

struct Shape {
    outer: NodeId,
    envelope: NodeId,
}

fn shape(fields: &mut Fields<'_, '_>, root: NodeId) -> Option<Shape> {
    let node = fields.tree.node(root);
    match (node.tag, node.family) {
        (Some(Tag::EdXml), family) if family.is_edxml() => {
            let envelope = fields.tree.child(root, Tag::EdXmlEnvelope);
            if envelope.is_none() {
                fields.refuse_missing(root, Tag::EdXmlEnvelope);
            }
            if let Some(second) = fields.tree.children(root, Tag::EdXmlEnvelope).nth(1) {
                fields.refuse_value(second, "one edXMLEnvelope", "a second one");
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
                node.name.chars().take(40).collect::<String>()
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
fn soap(fields: &Fields<'_, '_>, root: NodeId) -> Shape {
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

fn either(fields: &Fields<'_, '_>, envelope: NodeId, usual: Tag, soap: Tag) -> Option<NodeId> {
    fields
        .tree
        .child(envelope, usual)
        .or_else(|| soap_child(fields, envelope, soap))
}

fn soap_child(fields: &Fields<'_, '_>, parent: NodeId, tag: Tag) -> Option<NodeId> {
    let tree = fields.tree;
    tree.node(parent).children.iter().copied().find(|child| {
        let node = tree.node(*child);
        node.tag == Some(tag) && matches!(node.family, Family::Soap | Family::Old)
    })
}

fn signature(fields: &Fields<'_, '_>, header: NodeId) -> Option<NodeId> {
    let tree = fields.tree;
    let found = |child: &NodeId| {
        let node = tree.node(*child);
        matches!(node.tag, Some(Tag::Signature | Tag::DigitalSignature))
            && (node.family.is_edxml() || node.family == Family::Dsig)
    };
    tree.node(header).children.iter().copied().find(found)
}

fn note_strangers(fields: &mut Fields<'_, '_>, parent: NodeId, known: &[Tag]) {
    let tree = fields.tree;
    for &child in &tree.node(parent).children {
        let node = tree.node(child);
        if !node.tag.is_some_and(|tag| known.contains(&tag)) {
            fields.note_unknown(child);
        }
    }
}
