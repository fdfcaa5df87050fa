//! The tree of elements of one packet: names, places and short texts, borrowed from the packet.
//! The content of attachments and signatures is not in it, only where it stands.

use std::borrow::Cow;
use std::ops::Range;

use crate::vocabulary::{Family, Tag};

/// A node's index in its tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(super) usize);

/// An element.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) parent: Option<NodeId>,
    /// Local name as written.
    pub(crate) name: &'a str,
    /// Which known name that is, in an edXML, SOAP or signature namespace.
    pub(crate) tag: Option<Tag>,
    pub(crate) family: Family,
    /// Offset of its `<` in the packet.
    pub(crate) start: usize,
    /// Where its content stands in the packet.
    pub(crate) content: Range<usize>,
    /// Its own text, entities resolved, comments left out. Empty for attachment content.
    pub(crate) text: Cow<'a, str>,
    pub(crate) children: Vec<NodeId>,
    /// `xlink:href`, where there is one.
    pub(crate) href: Option<Cow<'a, str>>,
    /// Of a signature element: what it holds.
    pub(crate) signature: SignatureParts,
}

/// What a signature element holds, as far as the reader looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct SignatureParts {
    pub(crate) signed_info: Presence,
    pub(crate) signature_value: Presence,
}

/// Whether a part is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Presence {
    #[default]
    Absent,
    Present,
}

/// The tree.
#[derive(Debug, Default)]
pub(crate) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn node(&self, id: NodeId) -> &Node<'a> {
        &self.nodes[id.0]
    }

    /// The root element.
    pub(crate) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(NodeId(0))
    }

    /// The children that are known by this name, in edXML's namespaces.
    pub(crate) fn children(&self, parent: NodeId, tag: Tag) -> impl Iterator<Item = NodeId> + '_ {
        self.node(parent).children.iter().copied().filter(move |child| {
            let child = self.node(*child);
            child.tag == Some(tag) && child.family.is_edxml()
        })
    }

    /// The first of them.
    pub(crate) fn child(&self, parent: NodeId, tag: Tag) -> Option<NodeId> {
        self.children(parent, tag).next()
    }

    /// Whether the element's text is an attachment's bytes: they are decoded from the packet itself.
    pub(crate) fn holds_attachment(&self, id: NodeId) -> bool {
        let node = self.node(id);
        let in_attachment = || {
            node.parent
                .is_some_and(|p| self.node(p).tag == Some(Tag::Attachment))
        };
        match node.tag {
            Some(Tag::ContentTransferEncoded) => true,
            Some(Tag::Content) => in_attachment(),
            _ => false,
        }
    }

    /// Whether there is no text in it or below it.
    pub(crate) fn is_blank(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.text.trim().is_empty() && node.children.iter().all(|child| self.is_blank(*child))
    }

    /// Local names from the root; the second and later of a name carry their number, `To[2]`.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let node = self.node(id);
            let nth = node.parent.map_or(1, |parent| {
                let siblings = self.node(parent).children.iter();
                siblings
                    .take_while(|other| **other != id)
                    .filter(|other| self.node(**other).name == node.name)
                    .count()
                    + 1
            });
            names.push(if nth > 1 {
                format!("{}[{nth}]", node.name)
            } else {
                node.name.to_owned()
            });
            next = node.parent;
        }
        names.reverse();
        names.join("/")
    }
}
