//! Canonical XML 1.0 and Exclusive XML Canonicalization 1.0: the one way to write a document that
//! signers digest.
//!
//! It streams: what it holds is the open elements' namespaces, never the document. The node set is always
//! a whole document, less one element that is left out, or one element in its place: what the strict
//! verifier allows needs no more.

use std::ops::Range;

use super::element::{Attribute, Attributes, Element};
use super::events::{Event, Events, Fault, Kind};
use super::scope::{Binding, Scope};

/// Takes canonical bytes.
pub(super) trait Sink {
    fn take(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn take(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// How to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) namespaces: Namespaces,
    pub(super) comments: Comments,
}

/// Which namespace declarations are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Namespaces {
    /// All that are in scope.
    Inclusive,
    /// Those that names use, and those of these prefixes (empty: the default namespace).
    Exclusive { inclusive: Vec<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comments {
    With,
    Without,
}

/// What a walk tells beside what it writes.
pub(super) trait Observer {
    /// A start tag that is not left out, with what is in scope there.
    fn start(&mut self, events: &Events<'_>, at: usize);
}

impl Observer for () {
    fn start(&mut self, _: &Events<'_>, _: usize) {}
}

/// Writes a whole document, without the element that begins at `skip.start` and ends at `skip.end`.
pub(super) fn document(
    events: &mut Events<'_>,
    skip: Option<&Range<usize>>,
    method: &Method,
    observer: &mut impl Observer,
    sink: &mut impl Sink,
) -> Result<(), Fault> {
    let mut writer = Writer::new(method, sink);
    let mut before_root = true;
    loop {
        let Event { range, kind, .. } = events.next()?;
        // The end of an empty element just before it has no bytes, and is not inside.
        if skip
            .is_some_and(|skip| skip.start <= range.start && range.end > skip.start && range.end <= skip.end)
        {
            continue;
        }
        let outside = events.depth() == 0;
        match kind {
            Kind::Start => {
                before_root = false;
                observer.start(events, range.start);
                let attributes = events.element().attributes.iter().collect();
                writer.start(
                    events,
                    attributes,
                    events.scope().declared_at(events.scope_depth()),
                );
            }
            Kind::End => writer.end(events.name(), events.depth() + 1),
            // White space outside the root is no part of the document's canonical form.
            Kind::Text | Kind::CData | Kind::Character(_) if outside => {}
            Kind::Comment if method.comments == Comments::Without => {}
            Kind::Comment | Kind::Instruction => {
                if outside && !before_root {
                    writer.sink.take(b"\n");
                }
                writer.aside(events, kind);
                if outside && before_root {
                    writer.sink.take(b"\n");
                }
            }
            Kind::Eof => return Ok(()),
            Kind::Text | Kind::CData => writer.characters(events.characters()),
            Kind::Character(c) => writer.character(c),
        }
    }
}

/// Writes one element in its place: the namespaces in scope, and for the inclusive method the `xml:`
/// attributes of the elements above, are written on it as its own.
pub(super) fn element(
    events: &mut Events<'_>,
    inherited: &Attributes,
    method: &Method,
    sink: &mut impl Sink,
) -> Result<(), Fault> {
    let mut writer = Writer::new(method, sink);
    loop {
        let event = events.next()?;
        match event.kind {
            Kind::Start if events.depth() == 1 => {
                let mut attributes: Vec<_> = events.element().attributes.iter().collect();
                if method.namespaces == Namespaces::Inclusive {
                    let own = attributes.len();
                    for attribute in inherited.iter() {
                        if !attributes[..own].iter().any(|a| a.name == attribute.name) {
                            attributes.push(attribute);
                        }
                    }
                }
                writer.start(events, attributes, events.scope().in_force().into_iter());
            }
            Kind::Start => {
                let attributes = events.element().attributes.iter().collect();
                writer.start(
                    events,
                    attributes,
                    events.scope().declared_at(events.scope_depth()),
                );
            }
            Kind::End => writer.end(events.name(), events.depth() + 1),
            Kind::Comment if method.comments == Comments::Without => {}
            Kind::Comment | Kind::Instruction => writer.aside(events, event.kind),
            Kind::Eof => return Ok(()),
            Kind::Text | Kind::CData => writer.characters(events.characters()),
            Kind::Character(c) => writer.character(c),
        }
    }
}

struct Writer<'m, 's, S> {
    method: &'m Method,
    sink: &'s mut S,
    /// Declarations written and still in force, with the depth of their element.
    written: Scope,
}

impl<'m, 's, S: Sink> Writer<'m, 's, S> {
    fn new(method: &'m Method, sink: &'s mut S) -> Self {
        Self {
            method,
            sink,
            written: Scope::default(),
        }
    }

    /// Writes the start tag that the events stand at, with these attributes. `candidates` are the declarations that
    /// the inclusive method looks at.
    fn start<'b>(
        &mut self,
        events: &Events<'_>,
        mut attributes: Vec<Attribute<'_>>,
        candidates: impl Iterator<Item = Binding<'b>>,
    ) {
        let element = events.element();
        let scope = events.scope();
        self.sink.take(b"<");
        self.sink.take(element.name.as_bytes());
        let mut declarations: Vec<Binding<'_>> = match &self.method.namespaces {
            Namespaces::Inclusive => candidates.collect(),
            Namespaces::Exclusive { inclusive } => used(element, &attributes, inclusive, scope),
        };
        self.declarations(&mut declarations, events.depth());
        // First those in no namespace, then by namespace and local name.
        let namespace = |attribute: &Attribute<'_>| match attribute.prefix() {
            "" => "",
            prefix => scope.lookup(prefix).unwrap_or(""),
        };
        if attributes.len() > 1 {
            attributes.sort_by(|a, b| (namespace(a), a.local()).cmp(&(namespace(b), b.local())));
        }
        for attribute in &attributes {
            self.attribute(attribute.name, attribute.value);
        }
        self.sink.take(b">");
    }

    /// Writes, sorted by prefix, those of the declarations that are not in force already.
    fn declarations(&mut self, declarations: &mut [Binding<'_>], depth: usize) {
        declarations.sort_unstable_by_key(|binding| binding.prefix);
        for Binding { prefix, uri } in declarations {
            if self.written.lookup(prefix).unwrap_or_default() == *uri {
                continue;
            }
            if prefix.is_empty() {
                self.attribute("xmlns", uri);
            } else {
                self.sink.take(b" xmlns:");
                self.sink.take(prefix.as_bytes());
                self.value(uri);
            }
            self.written.declare(depth, prefix, uri);
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        self.sink.take(b" ");
        self.sink.take(name.as_bytes());
        self.value(value);
    }

    fn value(&mut self, value: &str) {
        self.sink.take(b"=\"");
        let bytes = value.as_bytes();
        let mut from = 0;
        for (at, byte) in bytes.iter().enumerate() {
            let replacement: &[u8] = match byte {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                b'"' => b"&quot;",
                b'\t' => b"&#x9;",
                b'\n' => b"&#xA;",
                b'\r' => b"&#xD;",
                _ => continue,
            };
            self.sink.take(&bytes[from..at]);
            self.sink.take(replacement);
            from = at + 1;
        }
        self.sink.take(&bytes[from..]);
        self.sink.take(b"\"");
    }

    fn end(&mut self, name: &str, depth: usize) {
        self.sink.take(b"</");
        self.sink.take(name.as_bytes());
        self.sink.take(b">");
        self.written.leave(depth);
    }

    fn character(&mut self, c: char) {
        match c {
            // Not one that was written as a line end.
            '\r' => self.sink.take(b"&#xD;"),
            c => self.characters(c.encode_utf8(&mut [0; 4])),
        }
    }

    /// Text whose carriage returns are line ends as written. Piece by piece, so that a large attachment is still in the
    /// processor's cache when it comes to be digested.
    fn characters(&mut self, text: &str) {
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let mut length = rest.len().min(PIECE);
            // A line end of two characters stays in one piece.
            if rest[length - 1] == b'\r' && rest.get(length) == Some(&b'\n') {
                length += 1;
            }
            let (piece, after) = rest.split_at(length);
            self.piece(piece);
            rest = after;
        }
    }

    fn piece(&mut self, piece: &[u8]) {
        let mut rest = piece;
        // Line ends are mended first (XML 1.0 §2.11).
        while let Some(at) = memchr::memchr(b'\r', rest) {
            self.escaped_text(&rest[..at]);
            self.sink.take(b"\n");
            rest = &rest[at + 1..];
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        self.escaped_text(rest);
    }

    fn escaped_text(&mut self, bytes: &[u8]) {
        let mut from = 0;
        for at in memchr::memchr3_iter(b'&', b'<', b'>', bytes) {
            self.sink.take(&bytes[from..at]);
            self.sink.take(match bytes[at] {
                b'&' => b"&amp;",
                b'<' => b"&lt;",
                _ => b"&gt;",
            });
            from = at + 1;
        }
        self.sink.take(&bytes[from..]);
    }

    /// A comment or processing instruction.
    fn aside(&mut self, events: &Events<'_>, kind: Kind) {
        if kind == Kind::Comment {
            self.sink.take(b"<!--");
            self.verbatim(events.characters());
            self.sink.take(b"-->");
            return;
        }
        let (target, data) = events.instruction();
        self.sink.take(b"<?");
        self.sink.take(target.as_bytes());
        if !data.is_empty() {
            self.sink.take(b" ");
            self.verbatim(data);
        }
        self.sink.take(b"?>");
    }

    fn verbatim(&mut self, text: &str) {
        let mended = text.replace("\r\n", "\n").replace('\r', "\n");
        self.sink.take(mended.as_bytes());
    }
}

/// The declarations that the exclusive method looks at: of the prefixes that the tag uses, and of the listed ones.
fn used<'b>(
    element: Element<'b>,
    attributes: &[Attribute<'b>],
    listed: &'b [String],
    scope: &'b Scope,
) -> Vec<Binding<'b>> {
    let mut declarations: Vec<Binding<'_>> = Vec::new();
    let prefixes = attributes.iter().map(Attribute::prefix);
    for prefix in prefixes
        .filter(|prefix| !prefix.is_empty())
        .chain([element.prefix()])
        .chain(listed.iter().map(String::as_str))
    {
        if prefix != "xml" && !declarations.iter().any(|known| known.prefix == prefix) {
            // Only the default namespace can be without a meaning, but for prefixes of the list.
            match scope.lookup(prefix) {
                Some(uri) => declarations.push(Binding { prefix, uri }),
                None if prefix.is_empty() => declarations.push(Binding { prefix, uri: "" }),
                None => {}
            }
        }
    }
    declarations
}

/// Bytes of text mended, escaped and digested together.
const PIECE: usize = 32 << 10;

#[cfg(test)]
mod tests {
    use super::super::text::{Mark, Text};
    use super::*;
    use crate::limits::Limits;

    fn canonical(text: &str, namespaces: Namespaces, comments: Comments) -> String {
        let method = Method { namespaces, comments };
        let limits = Limits::default();
        let source = text.as_bytes();
        let text = Text::open(&source, Mark::Kept, &limits).unwrap().unwrap();
        let mut bytes = Vec::new();
        document(
            &mut Events::document(&text, &limits),
            None,
            &method,
            &mut (),
            &mut bytes,
        )
        .unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn check(text: &str, inclusive: &str, exclusive: &str) {
        assert_eq!(
            canonical(text, Namespaces::Inclusive, Comments::With),
            inclusive,
            "{text}"
        );
        let without = Namespaces::Exclusive { inclusive: vec![] };
        assert_eq!(canonical(text, without, Comments::With), exclusive, "{text}");
    }

    /// Examples of Canonical XML 1.0 §3, as far as they need no DTD.
    #[test]
    fn the_recommendations_examples() {
        check(
            "<?xml version=\"1.0\"?>\n\n<?xml-stylesheet   href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n\n<doc>Hello, world!<!-- Comment 1 --></doc>\n\n<?pi-without-data     ?>\n\n<!-- Comment 2 -->\n\n<!-- Comment 3 -->\n",
            "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!<!-- Comment 1 --></doc>\n<?pi-without-data?>\n<!-- Comment 2 -->\n<!-- Comment 3 -->",
            "<?xml-stylesheet href=\"doc.xsl\"\n   type=\"text/xsl\"   ?>\n<doc>Hello, world!<!-- Comment 1 --></doc>\n<?pi-without-data?>\n<!-- Comment 2 -->\n<!-- Comment 3 -->",
        );
        check(
            "<doc><e1   /><e3   name = \"elem3\"   id=\"elem3\"   /><e5 a:attr=\"out\" b:attr=\"sorted\" attr2=\"all\" attr=\"I'm\"\n xmlns:b=\"http://www.ietf.org\"\n xmlns:a=\"http://www.w3.org\"\n xmlns=\"http://example.org\"/></doc>",
            "<doc><e1></e1><e3 id=\"elem3\" name=\"elem3\"></e3><e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5></doc>",
            "<doc><e1></e1><e3 id=\"elem3\" name=\"elem3\"></e3><e5 xmlns=\"http://example.org\" xmlns:a=\"http://www.w3.org\" xmlns:b=\"http://www.ietf.org\" attr=\"I'm\" attr2=\"all\" b:attr=\"sorted\" a:attr=\"out\"></e5></doc>",
        );
        check(
            "<doc><text>First line&#x0d;&#10;Second line</text><value>&#x32;</value><compute><![CDATA[value>\"0\" && value<\"10\" ?\"valid\":\"error\"]]></compute><norm attr=' &apos;   &#x20;&#13;&#xa;&#9;   &apos; '/></doc>",
            "<doc><text>First line&#xD;\nSecond line</text><value>2</value><compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute><norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm></doc>",
            "<doc><text>First line&#xD;\nSecond line</text><value>2</value><compute>value&gt;\"0\" &amp;&amp; value&lt;\"10\" ?\"valid\":\"error\"</compute><norm attr=\" '    &#xD;&#xA;&#x9;   ' \"></norm></doc>",
        );
    }

    #[test]
    fn namespaces_are_written_where_they_begin_or_where_they_are_used() {
        check(
            "<a xmlns='u:a' xmlns:p='u:p' xmlns:q='u:q'><p:b xmlns:p='u:p'/><c xmlns=''><d q:x='1'/></c></a>",
            "<a xmlns=\"u:a\" xmlns:p=\"u:p\" xmlns:q=\"u:q\"><p:b></p:b><c xmlns=\"\"><d q:x=\"1\"></d></c></a>",
            "<a xmlns=\"u:a\"><p:b xmlns:p=\"u:p\"></p:b><c xmlns=\"\"><d xmlns:q=\"u:q\" q:x=\"1\"></d></c></a>",
        );
    }

    #[test]
    fn listed_prefixes_are_treated_inclusively() {
        let text = "<p:a xmlns='u:a' xmlns:p='u:p' xmlns:q='u:q'><p:b xmlns='' xmlns:q='u:2'/></p:a>";
        let listed = |prefixes: &[&str]| Namespaces::Exclusive {
            inclusive: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
        };
        assert_eq!(
            canonical(text, listed(&["q", "unknown"]), Comments::Without),
            "<p:a xmlns:p=\"u:p\" xmlns:q=\"u:q\"><p:b xmlns:q=\"u:2\"></p:b></p:a>"
        );
        assert_eq!(
            canonical(text, listed(&["", "xml"]), Comments::Without),
            "<p:a xmlns=\"u:a\" xmlns:p=\"u:p\"><p:b xmlns=\"\"></p:b></p:a>"
        );
    }

    #[test]
    fn line_ends_and_escapes_across_pieces() {
        for before in [0, 1, 62, 63, 64, 65, 127, PIECE - 2, PIECE - 1, PIECE, PIECE + 1] {
            let pad = "x".repeat(before);
            check(
                &format!("<a>{pad}\r\n>\r&gt;&#13;</a>"),
                &format!("<a>{pad}\n&gt;\n&gt;&#xD;</a>"),
                &format!("<a>{pad}\n&gt;\n&gt;&#xD;</a>"),
            );
        }
    }

    #[test]
    fn an_element_is_left_out_and_comments_are_not_seen() {
        let text = "<!--0--><a>1<!--2--><x/><b><c/></b>3<b/></a><!--4-->";
        let at = text.find("<b>").unwrap();
        let skip = at..text.find("</b>").unwrap() + 4;
        let method = Method {
            namespaces: Namespaces::Inclusive,
            comments: Comments::Without,
        };
        let limits = Limits::default();
        let source = text.as_bytes();
        let text = Text::open(&source, Mark::Kept, &limits).unwrap().unwrap();
        let mut bytes = Vec::new();
        document(
            &mut Events::document(&text, &limits),
            Some(&skip),
            &method,
            &mut (),
            &mut bytes,
        )
        .unwrap();
        assert_eq!(bytes, b"<a>1<x></x>3<b></b></a>");
    }
}
