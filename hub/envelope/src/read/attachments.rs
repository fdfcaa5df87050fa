//! The attachments: the manifest's references and the encoded files, linked by `ContentId`.

use std::collections::HashSet;

use truc_model::{Operation, RefusalCode, WarningCode};

use super::fields::Fields;
use super::structure::{Parts, only};
use crate::content::{BadBase64, Damage, Facts, label_agrees};
use crate::packet::{Attachment, SniffedType, Wrapping};
use crate::scan::{NodeId, Spot};
use crate::vocabulary::{self as v, Tag};

/// The element whose children are the attachments: `AttachmentEncoded` beside the envelope; in older
/// shapes inside it, under another name, or nothing round them.
pub(super) fn container(
    fields: &mut Fields<'_>,
    outer: NodeId,
    envelope: NodeId,
    body: Option<NodeId>,
) -> Option<NodeId> {
    if let Some(usual) = only(fields, outer, Tag::AttachmentEncoded) {
        return Some(usual);
    }
    let tree = fields.tree;
    let parents = [Some(outer), Some(envelope), body];
    let container = parents.into_iter().flatten().find_map(|parent| {
        let bare = tree.child(parent, Tag::Attachment).map(|_| parent);
        tree.child(parent, Tag::AttachmentEncoded)
            .or_else(|| tree.child(parent, Tag::Attachments))
            .or(bare)
    })?;
    fields
        .findings
        .warn_once(WarningCode::ManifestShape, Spot::Node(container));
    Some(container)
}

/// An entry of the manifest.
struct Reference {
    node: NodeId,
    /// Without `cid:`; empty when there is none.
    id: String,
    name: Option<String>,
    description: Option<String>,
    label: Option<String>,
}

/// An attachment before it is linked.
struct Encoded {
    node: NodeId,
    id: String,
    name: Option<String>,
    description: Option<String>,
    label: Option<String>,
    content: Option<NodeId>,
}

/// Reads, links and checks the attachments, in the order of their bytes. Only a recall may come without.
pub(super) fn attachments(fields: &mut Fields<'_>, parts: Parts, operation: Operation) -> Vec<Attachment> {
    let references = references(fields, parts.manifest);
    let Some(encoded) = encoded(fields, parts.attachments) else {
        return Vec::new();
    };
    if encoded.is_empty() && operation != Operation::Recall {
        let spot = Spot::Missing(fields.tree.root(), Tag::AttachmentEncoded.as_str());
        fields.findings.refuse(
            RefusalCode::AttachmentMissing,
            spot,
            "at least one attachment",
            "none",
        );
    }
    let linked = link(fields, &references, &encoded, parts);
    encoded
        .into_iter()
        .zip(linked)
        .filter_map(|(encoded, reference)| attachment(fields, encoded, reference.map(|i| &references[i])))
        .collect()
}

fn references(fields: &mut Fields<'_>, manifest: Option<NodeId>) -> Vec<Reference> {
    let Some(manifest) = manifest else {
        return Vec::new();
    };
    fields.check(manifest, v::MANIFEST);
    let nodes: Vec<NodeId> = fields.tree.children(manifest, Tag::Reference).collect();
    nodes
        .into_iter()
        .take(fields.limits.max_attachments.saturating_add(1))
        .map(|node| {
            fields.check(node, v::REFERENCE);
            let id = match fields.text(node, Tag::ContentId) {
                Some(id) => content_id(fields, node, &id),
                None => {
                    let href = fields.tree.href(node).unwrap_or("").to_owned();
                    fields
                        .findings
                        .warn_once(WarningCode::ContentIdForm, Spot::Node(node));
                    content_id(fields, node, &href)
                }
            };
            Reference {
                node,
                id,
                name: fields.text(node, Tag::AttachmentName),
                description: fields.text(node, Tag::Description),
                label: fields.text(node, Tag::ContentType),
            }
        })
        .collect()
}

/// The attachments as they stand; `None` when there are too many.
fn encoded(fields: &mut Fields<'_>, container: Option<NodeId>) -> Option<Vec<Encoded>> {
    let Some(container) = container else {
        return Some(Vec::new());
    };
    if fields
        .tree
        .node(container)
        .tag
        .is_some_and(|t| matches!(t, Tag::AttachmentEncoded | Tag::Attachments))
    {
        fields.check(container, v::ATTACHMENTS);
    }
    let nodes: Vec<NodeId> = fields.tree.children(container, Tag::Attachment).collect();
    if nodes.len() > fields.limits.max_attachments {
        let most = format!("at most {} attachments", fields.limits.max_attachments);
        let spot = Spot::Node(nodes[fields.limits.max_attachments]);
        fields
            .findings
            .refuse(RefusalCode::EnvelopeLimit, spot, most, nodes.len().to_string());
        return None;
    }
    let encoded = nodes
        .into_iter()
        .map(|node| {
            fields.check(node, v::ATTACHMENT);
            let id = match fields.text(node, Tag::ContentId) {
                Some(id) => content_id(fields, node, &id),
                None => String::new(),
            };
            Encoded {
                node,
                id,
                name: older(fields, node, Tag::AttachmentName, Tag::FileName)
                    .and_then(|name| fields.text_of(name)),
                description: fields.text(node, Tag::Description),
                label: older(fields, node, Tag::ContentType, Tag::FileType)
                    .and_then(|label| fields.text_of(label))
                    .or_else(|| fields.text(node, Tag::MimeType)),
                content: content(fields, node),
            }
        })
        .collect();
    Some(encoded)
}

/// A child under its usual name, or under the flat shape's.
fn older(fields: &mut Fields<'_>, node: NodeId, usual: Tag, flat: Tag) -> Option<NodeId> {
    fields.child(node, usual).or_else(|| {
        let found = fields.child(node, flat)?;
        fields
            .findings
            .warn_once(WarningCode::ManifestShape, Spot::Node(found));
        Some(found)
    })
}

/// The content element. Its text is not in the tree, so it looks blank there.
fn content(fields: &mut Fields<'_>, node: NodeId) -> Option<NodeId> {
    let tree = fields.tree;
    tree.child(node, Tag::ContentTransferEncoded).or_else(|| {
        let found = tree.child(node, Tag::Content)?;
        fields
            .findings
            .warn_once(WarningCode::ManifestShape, Spot::Node(found));
        Some(found)
    })
}

/// Strips every leading `cid:`, in any case. Other than exactly one `cid:` in small letters is warned of.
fn content_id(fields: &mut Fields<'_>, node: NodeId, written: &str) -> String {
    let mut id = written.trim();
    let mut prefixes = 0;
    while let Some(rest) = id
        .get(..4)
        .filter(|p| p.eq_ignore_ascii_case("cid:"))
        .map(|_| &id[4..])
    {
        id = rest.trim_start();
        prefixes += 1;
    }
    if prefixes != 1 || !written.starts_with("cid:") || id.is_empty() {
        fields
            .findings
            .warn_once(WarningCode::ContentIdForm, Spot::Node(node));
    }
    id.to_owned()
}

/// For each attachment, which reference it belongs to.
fn link(
    fields: &mut Fields<'_>,
    references: &[Reference],
    encoded: &[Encoded],
    parts: Parts,
) -> Vec<Option<usize>> {
    if encoded.is_empty() && references.is_empty() {
        return Vec::new();
    }
    if parts.manifest.is_none() {
        // The flat shape has no manifest at all: there is nothing that could contradict it.
        let spot = Spot::Missing(Some(parts.header), Tag::EdXmlManifest.as_str());
        fields.findings.warn_once(WarningCode::ManifestShape, spot);
        return vec![None; encoded.len()];
    }
    let find = |id: &str| {
        references
            .iter()
            .position(|reference| !id.is_empty() && reference.id == id)
    };
    let linked: Vec<Option<usize>> = encoded.iter().map(|encoded| find(&encoded.id)).collect();
    let once: HashSet<usize> = linked.iter().flatten().copied().collect();
    let whole = linked.iter().all(Option::is_some)
        && once.len() == encoded.len()
        && encoded.len() == references.len();
    if whole {
        return linked;
    }
    if let ([reference], [_]) = (references, encoded) {
        fields.warn(WarningCode::ContentIdPaired, reference.node);
        return vec![Some(0)];
    }
    let spot = encoded
        .iter()
        .zip(&linked)
        .find(|(_, link)| link.is_none())
        .map(|(encoded, _)| encoded.node);
    let spot = spot
        .or_else(|| {
            references
                .iter()
                .enumerate()
                .find(|(i, _)| !once.contains(i))
                .map(|(_, r)| r.node)
        })
        .or_else(|| encoded.first().map(|encoded| encoded.node));
    fields.findings.refuse(
        RefusalCode::AttachmentLink,
        spot.map_or(Spot::Byte(None, 0), Spot::Node),
        "one Reference for each Attachment, by ContentId",
        format!("{} references, {} attachments", references.len(), encoded.len()),
    );
    linked
}

/// Decodes and checks one attachment.
fn attachment(
    fields: &mut Fields<'_>,
    encoded: Encoded,
    reference: Option<&Reference>,
) -> Option<Attachment> {
    let name = encoded.name.or_else(|| reference.and_then(|r| r.name.clone()));
    if name.is_none() {
        fields.missing(encoded.node, Tag::AttachmentName);
    }
    let name = name.unwrap_or_default();
    let Some(content) = encoded.content else {
        let spot = Spot::Missing(Some(encoded.node), Tag::ContentTransferEncoded.as_str());
        fields
            .findings
            .refuse(RefusalCode::AttachmentNotBase64, spot, "base64", "nothing");
        return None;
    };
    let range = fields.tree.node(content).content.clone();
    let facts = facts(fields, content)?;
    let wrapper = facts.wrapper(&name);
    let manifest_label = reference.and_then(|r| r.label.clone());
    check_labels(
        fields,
        encoded.node,
        [encoded.label.as_ref(), manifest_label.as_ref()],
        facts,
        wrapper,
    );
    if facts.damage == Damage::DecodedAsText {
        fields.findings.refuse(
            RefusalCode::AttachmentDamaged,
            Spot::Node(content),
            "a PDF's own bytes",
            "bytes EF BF BD, which a text decoder leaves",
        );
    }
    Some(Attachment {
        content_id: if encoded.id.is_empty() {
            reference.map_or_else(String::new, |r| r.id.clone())
        } else {
            encoded.id
        },
        name,
        description: encoded
            .description
            .or_else(|| reference.and_then(|r| r.description.clone())),
        declared_type: encoded.label.or(manifest_label),
        length: facts.length,
        sha256: facts.sha256,
        sniffed: facts.sniffed,
        wrapper,
        encoded: range,
    })
}

/// What the content came to. It was decoded when the packet was scanned.
fn facts<'t>(fields: &mut Fields<'t>, content: NodeId) -> Option<&'t Facts> {
    let found = match fields.tree.content(content) {
        Some(Ok(facts)) => return Some(facts),
        Some(Err(BadBase64::Empty)) => "nothing",
        Some(Err(BadBase64::Placeholder)) => "a placeholder of a template, ${…}",
        Some(Err(BadBase64::Characters)) => "characters or padding that are not base64",
        None | Some(Err(BadBase64::Markup)) => "elements",
    };
    fields.findings.refuse(
        RefusalCode::AttachmentNotBase64,
        Spot::Node(content),
        "base64",
        found,
    );
    None
}

/// Labels against bytes. A zip under another name has a finding of its own.
fn check_labels(
    fields: &mut Fields<'_>,
    node: NodeId,
    labels: [Option<&String>; 2],
    facts: &Facts,
    wrapper: Wrapping,
) {
    let sniffed = facts.sniffed;
    if labels
        .into_iter()
        .flatten()
        .any(|label| !label_agrees(label, sniffed))
    {
        fields.warn(WarningCode::AttachmentTypeMismatch, node);
    }
    match (wrapper, sniffed) {
        (Wrapping::Wrapped, _) => fields.warn(WarningCode::AttachmentWrapped, node),
        (Wrapping::OddZip, SniffedType::Zip) => fields.warn(WarningCode::AttachmentOddZip, node),
        (Wrapping::None | Wrapping::OddZip, _) => {}
    }
}
