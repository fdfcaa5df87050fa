//! The parser's events, the same that the reader reads from, held to the letter of XML 1.0 and
//! Namespaces in XML.
//!
//! The parser leaves some rules to its caller. The reader forgives where it can; here every rule is
//! kept, because a signature's meaning must not hang on how a parser reads what is no XML.

use std::borrow::Cow;
use std::ops::Range;

use quick_xml::Reader;
use quick_xml::events::Event as Parsed;

use super::scope::{Binding, NS_XML, NS_XMLNS, Scope};
use super::syntax::{
    RawAttributes, attribute_value, check_declaration, first_disallowed, is_absolute_uri, is_blank,
    is_nc_name, is_qualified_name, is_space, resolve, trim_start,
};
use crate::limits::{Limits, MAX_NAME_BYTES};

/// One event and where it stands.
#[derive(Debug)]
pub(super) struct Event<'a> {
    /// Bytes of the text; of an empty element's end nothing.
    pub(super) range: Range<usize>,
    pub(super) kind: Kind<'a>,
}

/// What there is.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// A start tag, or an empty element, whose `End` follows.
    Start(Element<'a>),
    /// The end of the element of this name.
    End(&'a str),
    /// Characters as written, without references; line ends not yet mended.
    Text(&'a str),
    /// The inside of a CDATA section.
    CData(&'a str),
    /// What a reference names.
    Character(char),
    Comment(&'a str),
    Instruction {
        target: &'a str,
        data: &'a str,
    },
    /// The document is over, and was whole.
    Eof,
}

/// A start tag. Namespace declarations are in the scope.
#[derive(Debug)]
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    /// Empty without one.
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    pub(super) attributes: Vec<Attribute<'a>>,
}

/// An attribute that is no namespace declaration, its value normalised.
#[derive(Debug, Clone)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) prefix: &'a str,
    pub(super) local: &'a str,
    pub(super) value: Cow<'a, str>,
}

/// Why the events end early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) kind: FaultKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// Not XML 1.0 with namespaces; what XML would have had there.
    Malformed(&'static str),
    Doctype,
    /// Beyond a limit of the reader; which.
    Limit(&'static str),
}

/// The events of a whole document, or of one element in its place.
pub(super) struct Events<'a> {
    text: &'a str,
    /// Where the parser began.
    base: usize,
    reader: Reader<&'a [u8]>,
    limits: &'a Limits,
    scope: Scope<'a>,
    /// Names of the open elements.
    open: Vec<&'a str>,
    elements: usize,
    /// An empty element whose end is still to be told.
    ending: Option<Range<usize>>,
    /// An element whose declarations are to be forgotten before the next event.
    left: bool,
}

impl<'a> Events<'a> {
    /// The events of `text`.
    pub(super) fn document(text: &'a str, limits: &'a Limits) -> Self {
        Self::fragment(text, 0..text.len(), Scope::default(), limits)
    }

    /// The events of the one element that is `text[range]`, with what is in scope there. It must have been
    /// walked over as part of its document before.
    pub(super) fn fragment(text: &'a str, range: Range<usize>, scope: Scope<'a>, limits: &'a Limits) -> Self {
        let mut reader = Reader::from_str(&text[range.clone()]);
        reader.config_mut().check_comments = true;
        Self {
            text,
            base: range.start,
            reader,
            limits,
            scope,
            open: Vec::new(),
            elements: 0,
            ending: None,
            left: false,
        }
    }

    /// What is in scope at the event last given; at a start, its own declarations included.
    pub(super) const fn scope(&self) -> &Scope<'a> {
        &self.scope
    }

    /// How many elements are open; a start counts its element, an end no longer does.
    pub(super) const fn depth(&self) -> usize {
        self.open.len()
    }

    /// The open elements' names, outermost first.
    pub(super) fn open(&self) -> &[&'a str] {
        &self.open
    }

    /// The depth under which this element's declarations stand in the scope. A fragment's begin at
    /// [`FRAGMENT_DEPTH`], above all that were handed in.
    pub(super) const fn scope_depth(&self) -> usize {
        FRAGMENT_DEPTH + self.open.len()
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Result<Event<'a>, Fault> {
        if std::mem::take(&mut self.left) {
            let depth = self.scope_depth() + 1;
            self.scope.leave(depth);
        }
        if let Some(range) = self.ending.take() {
            return self.close(range);
        }
        let from = self.position();
        // The parser would pass over a byte order mark here, and count its positions from behind it.
        if from == self.base
            && self
                .text
                .get(from..)
                .is_some_and(|rest| rest.starts_with('\u{FEFF}'))
        {
            return Err(malformed(from, "at most one byte order mark"));
        }
        let parsed = self.reader.read_event();
        let range = from..self.position();
        let parsed = match parsed {
            Ok(parsed) => parsed,
            // An unfinished DOCTYPE is a DOCTYPE first.
            Err(_)
                if self
                    .text
                    .get(from..)
                    .is_some_and(|rest| rest.starts_with("<!DOCTYPE")) =>
            {
                return Err(fault(from, FaultKind::Doctype));
            }
            Err(_) => return Err(malformed(from, "well-formed XML")),
        };
        let text = self.text;
        // Where the parser's positions were not what they are taken for, there is an end to it, not a panic.
        let inside = |before: usize, after: usize| {
            text.get(range.start + before..range.end.saturating_sub(after))
                .ok_or_else(|| malformed(from, "well-formed XML"))
        };
        match parsed {
            Parsed::Start(start) => {
                let length = start.name().as_ref().len();
                self.start(inside(1, 1)?, length, range)
            }
            Parsed::Empty(start) => {
                let length = start.name().as_ref().len();
                self.ending = Some(range.end..range.end);
                self.start(inside(1, 2)?, length, range)
            }
            Parsed::End(_) => self.close(range),
            Parsed::Text(_) => self.text(range),
            Parsed::CData(_) => {
                if self.open.is_empty() {
                    return Err(malformed(from, "no CDATA outside the root element"));
                }
                let inside = inside(9, 3)?;
                check_characters(inside, from + 9)?;
                Ok(event(range, Kind::CData(inside)))
            }
            Parsed::GeneralRef(_) => {
                if self.open.is_empty() {
                    return Err(malformed(from, "no reference outside the root element"));
                }
                let character = resolve(inside(1, 1)?)
                    .map_err(|_| malformed(from, "a predefined entity or an allowed character's number"))?;
                Ok(event(range, Kind::Character(character)))
            }
            Parsed::Comment(_) => {
                let inside = inside(4, 3)?;
                check_characters(inside, from + 4)?;
                if inside.ends_with('-') {
                    return Err(malformed(from, "no -- inside a comment"));
                }
                Ok(event(range, Kind::Comment(inside)))
            }
            Parsed::PI(_) => instruction(inside(2, 2)?, range),
            Parsed::Decl(_) => {
                if from > 0 || check_declaration(inside(5, 2)?).is_err() {
                    return Err(malformed(
                        from,
                        "an XML declaration of version 1.0 and UTF-8, at the start",
                    ));
                }
                self.next()
            }
            Parsed::DocType(_) => Err(fault(from, FaultKind::Doctype)),
            Parsed::Eof => {
                if !self.open.is_empty() || self.elements == 0 {
                    return Err(malformed(from, "one whole root element"));
                }
                Ok(event(range, Kind::Eof))
            }
        }
    }

    fn start(
        &mut self,
        inside: &'a str,
        name_length: usize,
        range: Range<usize>,
    ) -> Result<Event<'a>, Fault> {
        let at = range.start;
        if self.open.is_empty() && self.elements > 0 {
            return Err(malformed(at, "one root element"));
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(fault(at, FaultKind::Limit("depth of elements")));
        }
        self.elements += 1;
        if self.elements > self.limits.max_elements {
            return Err(fault(at, FaultKind::Limit("number of elements")));
        }
        let (name, raw) = inside
            .split_at_checked(name_length)
            .ok_or_else(|| malformed(at, "a proper name"))?;
        check_name(name, at)?;
        self.open.push(name);
        let attributes = self.attributes(raw, at)?;
        let (prefix, local) = split(name);
        if self.meaning(prefix).is_none() && !prefix.is_empty() {
            return Err(malformed(at, "a declared prefix"));
        }
        self.check_unique(&attributes, at)?;
        Ok(event(
            range,
            Kind::Start(Element {
                name,
                prefix,
                local,
                attributes,
            }),
        ))
    }

    /// What a prefix means; a taken-back default namespace is none.
    fn meaning(&self, prefix: &str) -> Option<&str> {
        self.scope.lookup(prefix).filter(|uri| !uri.is_empty())
    }

    /// Attributes apart from declarations, which go into the scope.
    fn attributes(&mut self, raw: &'a str, at: usize) -> Result<Vec<Attribute<'a>>, Fault> {
        if raw.len() > self.limits.max_attribute_bytes {
            return Err(fault(at, FaultKind::Limit("bytes of attributes")));
        }
        check_characters(raw, at)?;
        let depth = self.scope_depth();
        let mut attributes = Vec::new();
        for (count, found) in RawAttributes::new(raw).enumerate() {
            let found = found.map_err(|_| malformed(at, "attributes of the form name=\"value\""))?;
            if count == self.limits.max_attributes {
                return Err(fault(at, FaultKind::Limit("number of attributes")));
            }
            check_name(found.name, at)?;
            let value = attribute_value(found.value)
                .map_err(|_| malformed(at, "no < in an attribute, and only predefined entities"))?;
            let (prefix, local) = split(found.name);
            let declared = match (prefix, local) {
                ("", "xmlns") => "",
                ("xmlns", declared) => declared,
                _ => {
                    attributes.push(Attribute {
                        name: found.name,
                        prefix,
                        local,
                        value,
                    });
                    continue;
                }
            };
            if self.scope.declared_at(depth).any(|b| b.prefix == declared) {
                return Err(malformed(at, "each attribute once"));
            }
            if !is_proper_declaration(declared, &value) {
                return Err(malformed(at, "a namespace declaration with an absolute URI"));
            }
            // Declared or not, `xml` means what it means, and is never written anew.
            if declared != "xml" {
                self.scope.declare(
                    depth,
                    Binding {
                        prefix: declared,
                        uri: value,
                    },
                );
            }
        }
        Ok(attributes)
    }

    /// Each attribute once, by its written and by its expanded name.
    fn check_unique(&self, attributes: &[Attribute<'a>], at: usize) -> Result<(), Fault> {
        for (index, attribute) in attributes.iter().enumerate() {
            let meaning = self.meaning(attribute.prefix);
            if meaning.is_none() && !attribute.prefix.is_empty() {
                return Err(malformed(at, "a declared prefix"));
            }
            let same = |other: &Attribute<'a>| {
                other.name == attribute.name
                    || (other.local == attribute.local
                        && !other.prefix.is_empty()
                        && !attribute.prefix.is_empty()
                        && self.meaning(other.prefix) == meaning)
            };
            if attributes[..index].iter().any(same) {
                return Err(malformed(at, "each attribute once"));
            }
        }
        Ok(())
    }

    fn close(&mut self, range: Range<usize>) -> Result<Event<'a>, Fault> {
        self.left = true;
        // The parser has compared the names.
        let name = self
            .open
            .pop()
            .ok_or_else(|| malformed(range.start, "a start tag before its end"))?;
        Ok(event(range, Kind::End(name)))
    }

    fn text(&self, range: Range<usize>) -> Result<Event<'a>, Fault> {
        let text = self
            .text
            .get(range.clone())
            .ok_or_else(|| malformed(range.start, "well-formed XML"))?;
        check_characters(text, range.start)?;
        if self.open.is_empty() && !is_blank(text) {
            return Err(malformed(range.start, "nothing outside the root element"));
        }
        if memchr::memmem::find(text.as_bytes(), b"]]>").is_some() {
            return Err(malformed(range.start, "no ]]> outside CDATA"));
        }
        Ok(event(range, Kind::Text(text)))
    }

    /// The parser counts in `u64`; it reads from a slice, so it fits.
    fn position(&self) -> usize {
        self.base + usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }
}

/// Scopes handed to a fragment are of elements above it, no deeper than this.
const FRAGMENT_DEPTH: usize = 1 << 16;

impl Scope<'_> {
    /// Makes room above: the declarations count as those of elements outside a fragment.
    pub(super) fn outside(&self) -> Self {
        let mut outside = Self::default();
        for binding in self.in_force().into_iter().rev() {
            outside.declare(0, binding.clone());
        }
        outside
    }
}

fn instruction(inside: &str, range: Range<usize>) -> Result<Event<'_>, Fault> {
    let at = range.start;
    check_characters(inside, at + 2)?;
    let end = inside.find(is_space).unwrap_or(inside.len());
    let (target, data) = inside.split_at(end);
    if !is_nc_name(target) || target.eq_ignore_ascii_case("xml") {
        return Err(malformed(at, "a processing instruction with a proper name"));
    }
    let data = trim_start(data);
    Ok(event(range, Kind::Instruction { target, data }))
}

/// Namespaces in XML §3 (reserved prefixes), §2.2 (no prefix is taken back in version 1.0).
fn is_proper_declaration(prefix: &str, uri: &str) -> bool {
    match prefix {
        "xml" => uri == NS_XML,
        "xmlns" => false,
        _ if uri == NS_XML || uri == NS_XMLNS => false,
        "" if uri.is_empty() => true,
        _ => is_absolute_uri(uri),
    }
}

fn check_name(name: &str, at: usize) -> Result<(), Fault> {
    if name.len() > MAX_NAME_BYTES {
        return Err(fault(at, FaultKind::Limit("length of a name")));
    }
    if is_qualified_name(name) {
        Ok(())
    } else {
        Err(malformed(at, "a proper name"))
    }
}

fn check_characters(text: &str, at: usize) -> Result<(), Fault> {
    match first_disallowed(text) {
        Some(bad) => Err(malformed(at + bad, "characters that XML allows")),
        None => Ok(()),
    }
}

/// Prefix, empty without one, and local name.
fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

const fn event(range: Range<usize>, kind: Kind<'_>) -> Event<'_> {
    Event { range, kind }
}

const fn fault(at: usize, kind: FaultKind) -> Fault {
    Fault { at, kind }
}

const fn malformed(at: usize, expected: &'static str) -> Fault {
    fault(at, FaultKind::Malformed(expected))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(text: &str) -> Result<usize, FaultKind> {
        let limits = Limits::default();
        let mut events = Events::document(text, &limits);
        let mut count = 0;
        loop {
            match events.next() {
                Ok(Event { kind: Kind::Eof, .. }) => return Ok(count),
                Ok(_) => count += 1,
                Err(fault) => return Err(fault.kind),
            }
        }
    }

    #[test]
    fn what_xml_allows() {
        for (text, events) in [
            ("<a/>", 2),
            ("\n<a ></a >\n", 4),
            (
                "<?xml version='1.0'?><!--c--><?p?><a>t&amp;&#65;<![CDATA[<]]></a>",
                8,
            ),
            ("<p:a xmlns:p='u:p' p:x='1' x='1'/>", 2),
            ("<a xmlns='u:a'><b xmlns=''/></a>", 4),
            (
                "<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='vi'/>",
                2,
            ),
        ] {
            assert_eq!(walk(text), Ok(events), "{text}");
        }
    }

    #[test]
    fn what_it_does_not() {
        for text in [
            "",
            "x",
            "<a>",
            "</a>",
            "<a></b>",
            "<a/><b/>",
            "<a/>x",
            "x<a/>",
            "<a/>&#65;",
            "<![CDATA[]]><a/>",
            "<a>]]></a>",
            "<a>&x;</a>",
            "<a>&</a>",
            "<a b='1' b='2'/>",
            "<a b='1'c='2'/>",
            "<a b=1/>",
            "<a b/>",
            "<a b='<'/>",
            "<p:a/>",
            "<a p:b='1'/>",
            "<a xmlns:p=''/>",
            "<a xmlns:p='rel'/>",
            "<a xmlns='rel'/>",
            "<a xmlns:xml='u:x'/>",
            "<a xmlns:xmlns='u:x'/>",
            "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
            "<a xmlns:p='u:1' xmlns:p='u:1'/>",
            "<a xmlns:p='u:1' xmlns:q='u:1' p:x='1' q:x='1'/>",
            "<a><!-- -- --></a>",
            "<a><!-- ---></a>",
            "<a><!-></a>",
            "<a><?xml version='1.0'?></a>",
            "<a><?XML x?></a>",
            "<a><?1 x?></a>",
            " <?xml version='1.0'?><a/>",
            "<a>\u{1}</a>",
            "<a b='\u{1}'/>",
            "<a>&#1;</a>",
            "<ª/>",
            "<1/>",
            "<a:b:c/>",
            "<a/ >",
            "< a/>",
            "<a><!ELEMENT a ANY></a>",
            "\u{FEFF}<a/>",
            "\u{FEFF}\n<a/>",
            "<xmlns:a xmlns:xmlns='u:a'/>",
            "<a b='1'",
            "<a><!--",
            "<a><![CDATA[",
            "<a><?x",
            "<a b='",
        ] {
            assert!(
                matches!(walk(text), Err(FaultKind::Malformed(_))),
                "{text}: {:?}",
                walk(text)
            );
        }
        for text in [
            "<!DOCTYPE a><a/>",
            "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>",
            "<!DOCTYPE a",
            "<a/><!DOCTYPE a>",
        ] {
            assert_eq!(walk(text), Err(FaultKind::Doctype), "{text}");
        }
    }

    #[test]
    fn limits_at_their_edges() {
        let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(walk(&nested(Limits::MAX_DEPTH)).is_ok());
        assert!(matches!(
            walk(&nested(Limits::MAX_DEPTH + 1)),
            Err(FaultKind::Limit("depth of elements"))
        ));
        let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 1));
        assert!(walk(&wide(Limits::MAX_ELEMENTS)).is_ok());
        assert!(matches!(
            walk(&wide(Limits::MAX_ELEMENTS + 1)),
            Err(FaultKind::Limit("number of elements"))
        ));
        let attributes = |count: usize| {
            let all: String = (0..count).map(|n| format!(" a{n}=''")).collect();
            format!("<a{all}/>")
        };
        assert!(walk(&attributes(Limits::MAX_ATTRIBUTES)).is_ok());
        assert!(matches!(
            walk(&attributes(Limits::MAX_ATTRIBUTES + 1)),
            Err(FaultKind::Limit("number of attributes"))
        ));
        // ` a=''` is five bytes round the value.
        let long = |length: usize| format!("<a a='{}'/>", "x".repeat(length - 5));
        assert!(walk(&long(Limits::MAX_ATTRIBUTE_BYTES)).is_ok());
        assert!(matches!(
            walk(&long(Limits::MAX_ATTRIBUTE_BYTES + 1)),
            Err(FaultKind::Limit("bytes of attributes"))
        ));
        let named = |length: usize| format!("<{}/>", "n".repeat(length));
        assert!(walk(&named(MAX_NAME_BYTES)).is_ok());
        assert!(matches!(
            walk(&named(MAX_NAME_BYTES + 1)),
            Err(FaultKind::Limit("length of a name"))
        ));
    }
}
