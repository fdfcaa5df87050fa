//! The tree of elements of one packet: names, places and short texts. The content of attachments and signatures
//! is not in it, only where it stands and what it came to.
//!
//! Texts lie one behind the other in one string, so a small packet costs few allocations; what the tree holds is
//! bounded by the limits on elements and on text, however large the packet.

use std::num::NonZeroU32;
use std::ops::Range;

use crate::content::{BadBase64, Facts};
use crate::vocabulary::{Family, Tag};

/// A node's number in its tree, the root being 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(NonZeroU32);

impl NodeId {
    const ROOT: Self = Self(NonZeroU32::MIN);

    const fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// An element.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) parent: Option<NodeId>,
    first: Option<NodeId>,
    last: Option<NodeId>,
    next: Option<NodeId>,
    /// Which known name it has, in an edXML, SOAP or signature namespace.
    pub(crate) tag: Option<Tag>,
    pub(crate) family: Family,
    /// Of a signature element: what it holds.
    pub(crate) signature: SignatureParts,
    /// Offset of its `<` in the packet.
    pub(crate) start: usize,
    /// Where its content stands in the packet.
    pub(crate) content: Range<usize>,
    /// Local name as written; `None` where it is the tag's.
    name: Option<Held>,
    text: Text,
    href: Option<Held>,
}

/// A part of the tree's string.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    start: u32,
    end: u32,
}

/// An element's own text, entities resolved, comments left out.
#[derive(Debug)]
enum Text {
    Held(Held),
    /// Of an element whose text goes on behind its children.
    #[allow(clippy::box_collection, reason = "rare, and a node should stay small")]
    Own(Box<String>),
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
pub(crate) struct Tree {
    nodes: Vec<Node>,
    held: String,
    /// Bytes of texts that have a string of their own.
    own: usize,
    /// What the content of elements that hold attachments came to, in the order of the elements.
    contents: Vec<(NodeId, Result<Facts, BadBase64>)>,
}

impl Tree {
    pub(crate) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The root element.
    pub(crate) fn root(&self) -> Option<NodeId> {
        (!self.nodes.is_empty()).then_some(NodeId::ROOT)
    }

    /// Local name as written.
    pub(crate) fn name(&self, id: NodeId) -> &str {
        let node = self.node(id);
        match (node.name, node.tag) {
            (Some(name), _) => self.held(name),
            (None, Some(tag)) => tag.as_str(),
            (None, None) => "",
        }
    }

    /// The element's own text. Empty for attachment content.
    pub(crate) fn text(&self, id: NodeId) -> &str {
        match &self.node(id).text {
            Text::Held(held) => self.held(*held),
            Text::Own(own) => own,
        }
    }

    /// `xlink:href`, where there is one.
    pub(crate) fn href(&self, id: NodeId) -> Option<&str> {
        self.node(id).href.map(|held| self.held(held))
    }

    /// What the content of an element that holds an attachment came to; `None` when it has elements inside.
    pub(crate) fn content(&self, id: NodeId) -> Option<&Result<Facts, BadBase64>> {
        let index = self.contents.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        self.contents.get(index).map(|(_, outcome)| outcome)
    }

    /// All children, in order.
    pub(crate) fn all_children(&self, parent: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.node(parent).first, |child| self.node(*child).next)
    }

    /// Whether there is any element inside.
    pub(crate) fn has_children(&self, id: NodeId) -> bool {
        self.node(id).first.is_some()
    }

    /// The children that are known by this name, in edXML's namespaces.
    pub(crate) fn children(&self, parent: NodeId, tag: Tag) -> impl Iterator<Item = NodeId> + '_ {
        self.all_children(parent).filter(move |child| {
            let child = self.node(*child);
            child.tag == Some(tag) && child.family.is_edxml()
        })
    }

    /// The first of them.
    pub(crate) fn child(&self, parent: NodeId, tag: Tag) -> Option<NodeId> {
        self.children(parent, tag).next()
    }

    /// Whether the element's text is an attachment's bytes, which are not kept.
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
        self.text(id).trim().is_empty() && self.all_children(id).all(|child| self.is_blank(child))
    }

    /// Local names from the root; the second and later of a name carry their number, `To[2]`.
    pub(crate) fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut next = Some(id);
        while let Some(id) = next {
            let name = self.name(id);
            let parent = self.node(id).parent;
            let nth = parent.map_or(1, |parent| {
                self.all_children(parent)
                    .take_while(|other| *other != id)
                    .filter(|other| self.name(*other) == name)
                    .count()
                    + 1
            });
            names.push(if nth > 1 {
                format!("{name}[{nth}]")
            } else {
                name.to_owned()
            });
            next = parent;
        }
        names.reverse();
        names.join("/")
    }

    fn held(&self, held: Held) -> &str {
        self.held
            .get(held.start as usize..held.end as usize)
            .unwrap_or_default()
    }
}

/// Building, which the scan does.
impl Tree {
    /// Most bytes of text and most nodes that the numbers here can name.
    pub(super) const MOST: usize = u32::MAX as usize - 1;

    /// Bytes of text held.
    pub(super) fn size(&self) -> usize {
        self.held.len() + self.own
    }

    /// Adds the last child of `parent`. The name is kept where it is not the tag's own.
    pub(super) fn add(
        &mut self,
        parent: Option<NodeId>,
        name: &str,
        tag: Option<Tag>,
        family: Family,
        tag_range: Range<usize>,
    ) -> NodeId {
        let number = u32::try_from(self.nodes.len() + 1).ok().and_then(NonZeroU32::new);
        let id = NodeId(number.unwrap_or(NonZeroU32::MAX));
        let known = tag.is_some_and(|tag| tag.as_str() == name);
        let name = (!known).then(|| self.hold(name));
        self.nodes.push(Node {
            parent,
            first: None,
            last: None,
            next: None,
            tag,
            family,
            signature: SignatureParts::default(),
            start: tag_range.start,
            content: tag_range.end..tag_range.end,
            name,
            text: Text::Held(Held::default()),
            href: None,
        });
        if let Some(parent) = parent {
            let last = self.nodes[parent.index()].last.replace(id);
            match last {
                Some(last) => self.nodes[last.index()].next = Some(id),
                None => self.nodes[parent.index()].first = Some(id),
            }
        }
        id
    }

    pub(super) fn set_href(&mut self, id: NodeId, href: &str) {
        let held = self.hold(href);
        self.nodes[id.index()].href = Some(held);
    }

    pub(super) fn close(&mut self, id: NodeId, end: usize) {
        let content = &mut self.nodes[id.index()].content;
        content.end = end.max(content.start);
    }

    pub(super) fn signature_mut(&mut self, id: NodeId) -> &mut SignatureParts {
        &mut self.nodes[id.index()].signature
    }

    /// Says what the content of an element came to. Elements come in order, as they end before the next begins.
    pub(super) fn set_content(&mut self, id: NodeId, outcome: Result<Facts, BadBase64>) {
        self.contents.push((id, outcome));
    }

    /// Adds text. A line end of two characters is in one piece.
    pub(super) fn add_text(&mut self, id: NodeId, piece: &str, line_ends: LineEnds) {
        let start = self.held.len();
        let text = &mut self.nodes[id.index()].text;
        let own = match text {
            Text::Held(held) if held.start == held.end => {
                *held = at(start, start);
                None
            }
            Text::Held(held) if held.end as usize == start => None,
            Text::Held(held) => {
                let before = self.held.get(held.start as usize..start).unwrap_or_default();
                let before = before.get(..(held.end - held.start) as usize).unwrap_or_default();
                self.own += before.len();
                *text = Text::Own(Box::new(before.to_owned()));
                match text {
                    Text::Own(own) => Some(own),
                    Text::Held(_) => None,
                }
            }
            Text::Own(own) => Some(own),
        };
        match own {
            Some(own) => {
                let before = own.len();
                line_ends.add(piece, own);
                self.own += own.len() - before;
            }
            None => {
                line_ends.add(piece, &mut self.held);
                let end = self.held.len();
                if let Text::Held(held) = &mut self.nodes[id.index()].text {
                    held.end = at(0, end).end;
                }
            }
        }
    }

    /// Takes all text of an element away again.
    pub(super) fn clear_text(&mut self, id: NodeId) {
        let text = &mut self.nodes[id.index()].text;
        match text {
            Text::Held(held) if held.end as usize == self.held.len() => {
                self.held.truncate(held.start as usize);
            }
            Text::Held(_) => {}
            Text::Own(own) => self.own -= own.len(),
        }
        *text = Text::Held(Held::default());
    }

    fn hold(&mut self, text: &str) -> Held {
        let start = self.held.len();
        self.held.push_str(text);
        at(start, self.held.len())
    }
}

/// The limit on text keeps it within what the numbers can say.
fn at(start: usize, end: usize) -> Held {
    let number = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    Held {
        start: number(start),
        end: number(end),
    }
}

/// What becomes of carriage returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LineEnds {
    /// Of text as it is written: they are line ends, which are one line feed each (XML 1.0 §2.11).
    Mended,
    /// Of a character reference: the character itself is meant.
    Kept,
}

impl LineEnds {
    fn add(self, piece: &str, out: &mut String) {
        let mut rest = piece;
        while self == Self::Mended
            && let Some(at) = memchr::memchr(b'\r', rest.as_bytes())
        {
            out.push_str(rest.get(..at).unwrap_or_default());
            out.push('\n');
            rest = rest.get(at + 1..).unwrap_or_default();
            rest = rest.strip_prefix('\n').unwrap_or(rest);
        }
        out.push_str(rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_goes_on_behind_a_child_stays_together() {
        let mut tree = Tree::default();
        let root = tree.add(None, "edXML", Some(Tag::EdXml), Family::None, 0..7);
        tree.add_text(root, "a\r\nb", LineEnds::Mended);
        tree.add_text(root, "\rc", LineEnds::Mended);
        let child = tree.add(Some(root), "x", None, Family::None, 9..12);
        tree.add_text(child, "inside", LineEnds::Mended);
        assert_eq!(tree.text(root), "a\nb\nc");
        tree.add_text(root, "d", LineEnds::Mended);
        let second = tree.add(Some(root), "x", None, Family::None, 20..23);
        tree.set_href(second, "cid:1");
        tree.add_text(root, "e", LineEnds::Mended);
        assert_eq!(
            (tree.text(root), tree.text(child), tree.text(second)),
            ("a\nb\ncde", "inside", "")
        );
        assert_eq!(tree.href(second), Some("cid:1"));
        assert_eq!(tree.path(second), "edXML/x[2]");
        tree.add_text(second, "\r", LineEnds::Kept);
        assert_eq!(tree.text(second), "\r");
        let size = tree.size();
        tree.clear_text(root);
        assert_eq!((tree.text(root), tree.size()), ("", size - 7));
        tree.clear_text(child);
        assert_eq!(tree.text(child), "");
    }
}
