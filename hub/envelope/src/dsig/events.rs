//! The tokens, the same that the reader reads from, held to the letter of XML 1.0 and Namespaces in XML.
//!
//! The tokens leave some rules to their caller. The reader forgives where it can; here every rule is
//! kept, because a signature's meaning must not hang on how a parser reads what is no XML.
//!
//! An event says what there is; its name, attributes and characters are asked for, and good until the next. Text
//! and CDATA come in pieces.

use std::ops::Range;

use super::element::{Attributes, Element, split};
use super::scope::{NS_XML, NS_XMLNS, Scope};
use super::syntax::{
    attribute_value, attributes, check_declaration, first_disallowed, is_absolute_uri, is_blank, is_nc_name,
    is_qualified_name, is_space, resolve, trim_start,
};
use super::text::Text;
use crate::limits::{Limits, MAX_MARKUP_BYTES, MAX_NAME_BYTES};
use crate::tokens::{self, Broken, Names, Token, Tokens, Why};

/// One event and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Event {
    /// Bytes of the packet; of an empty element's end nothing.
    pub(super) range: Range<usize>,
    /// Where it begins; of a later piece of text, where the first began.
    pub(super) at: usize,
    pub(super) kind: Kind,
}

/// What there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A start tag, or an empty element, whose `End` follows.
    Start,
    /// The end of an element.
    End,
    /// Characters as written, without references; line ends not yet mended.
    Text,
    /// The inside of a CDATA section.
    CData,
    /// What a reference names.
    Character(char),
    Comment,
    Instruction,
    /// The document is over, and was whole.
    Eof,
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
    tokens: Tokens<'a>,
    token: Token,
    /// Where the tokens began.
    base: usize,
    limits: &'a Limits,
    scope: Scope,
    /// Names of the open elements; until the next event, also of the one that has just ended.
    open: Names,
    attributes: Attributes,
    elements: usize,
    /// An empty element whose end is still to be told, and where.
    ending: Option<usize>,
    /// The event last given is an end: the element is to be left before the next.
    left: bool,
}

impl<'a> Events<'a> {
    /// The events of a packet.
    pub(super) fn document(text: &'a Text<'_>, limits: &'a Limits) -> Self {
        Self::fragment(text, text.base()..text.end(), Scope::default(), limits)
    }

    /// The events of the one element that stands at `range`, with what is in scope there. It must have been
    /// walked over as part of its document before.
    pub(super) fn fragment(
        text: &'a Text<'_>,
        range: Range<usize>,
        scope: Scope,
        limits: &'a Limits,
    ) -> Self {
        let base = range.start;
        Self {
            tokens: Tokens::new(text.window(range), MAX_MARKUP_BYTES),
            token: Token::before(base),
            base,
            limits,
            scope,
            open: Names::default(),
            attributes: Attributes::default(),
            elements: 0,
            ending: None,
            left: false,
        }
    }

    /// What is in scope at the event last given; at a start, its own declarations included.
    pub(super) const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// How many elements are open; a start counts its element, an end no longer does.
    pub(super) const fn depth(&self) -> usize {
        self.open.len() - self.left as usize
    }

    /// The open elements' names, outermost first.
    pub(super) fn open(&self) -> impl Iterator<Item = &str> {
        self.open.iter().take(self.depth())
    }

    /// The depth under which this element's declarations stand in the scope. A fragment's begin at
    /// [`FRAGMENT_DEPTH`], above all that were handed in.
    pub(super) const fn scope_depth(&self) -> usize {
        FRAGMENT_DEPTH + self.depth()
    }

    /// Of a start or an end, the element's name.
    pub(super) fn name(&self) -> &str {
        self.open.last().unwrap_or_default()
    }

    /// Of a start, the tag.
    pub(super) fn element(&self) -> Element<'_> {
        Element {
            name: self.name(),
            attributes: &self.attributes,
        }
    }

    /// Of a start, what namespace its element is in; empty without one.
    pub(super) fn namespace(&self) -> &str {
        self.scope.lookup(self.element().prefix()).unwrap_or_default()
    }

    /// Of text, CDATA and a comment, the characters.
    pub(super) fn characters(&self) -> &str {
        self.tokens.inside(&self.token)
    }

    /// Of an instruction, its target and its data.
    pub(super) fn instruction(&self) -> (&str, &str) {
        target_and_data(self.tokens.inside(&self.token))
    }

    /// The next event.
    pub(super) fn next(&mut self) -> Result<Event, Fault> {
        if std::mem::take(&mut self.left) {
            self.scope.leave(FRAGMENT_DEPTH + self.open.len());
            self.open.pop();
        }
        if let Some(at) = self.ending.take() {
            return Ok(self.close(at..at));
        }
        loop {
            self.token = self.tokens.next().map_err(|broken| fault_of(&broken))?;
            let Token { at, start, end, .. } = self.token;
            let event = |kind| {
                Ok(Event {
                    range: start..end,
                    at,
                    kind,
                })
            };
            return match self.token.kind {
                tokens::Kind::Start { name } => self.start(name),
                tokens::Kind::Empty { name } => {
                    self.ending = Some(end);
                    self.start(name)
                }
                tokens::Kind::End => Ok(self.close(start..end)),
                tokens::Kind::Text => self.check_text().and_then(|()| event(Kind::Text)),
                tokens::Kind::CData => {
                    if self.open.len() == 0 {
                        return Err(malformed(at, "no CDATA outside the root element"));
                    }
                    self.check_inside()?;
                    event(Kind::CData)
                }
                tokens::Kind::Reference => {
                    if self.open.len() == 0 {
                        return Err(malformed(at, "no reference outside the root element"));
                    }
                    let character = resolve(self.tokens.inside(&self.token))
                        .map_err(|_| malformed(at, "a predefined entity or an allowed character's number"))?;
                    event(Kind::Character(character))
                }
                tokens::Kind::Comment => {
                    self.check_inside()?;
                    event(Kind::Comment)
                }
                tokens::Kind::Instruction => {
                    self.check_inside()?;
                    let (target, _) = self.instruction();
                    if !is_nc_name(target) || target.eq_ignore_ascii_case("xml") {
                        return Err(malformed(at, "a processing instruction with a proper name"));
                    }
                    event(Kind::Instruction)
                }
                tokens::Kind::Declaration => {
                    let inside = self.tokens.inside(&self.token).get(3..).unwrap_or_default();
                    if at > self.base || check_declaration(inside).is_err() {
                        return Err(malformed(
                            at,
                            "an XML declaration of version 1.0 and UTF-8, at the start",
                        ));
                    }
                    continue;
                }
                tokens::Kind::Doctype => Err(fault(at, FaultKind::Doctype)),
                tokens::Kind::Eof => {
                    if self.open.len() > 0 || self.elements == 0 {
                        return Err(malformed(at, "one whole root element"));
                    }
                    event(Kind::Eof)
                }
            };
        }
    }

    fn start(&mut self, name_length: usize) -> Result<Event, Fault> {
        let Token { at, start, end, .. } = self.token;
        if self.open.len() == 0 && self.elements > 0 {
            return Err(malformed(at, "one root element"));
        }
        if self.open.len() >= self.limits.max_depth {
            return Err(fault(at, FaultKind::Limit("depth of elements")));
        }
        self.elements += 1;
        if self.elements > self.limits.max_elements {
            return Err(fault(at, FaultKind::Limit("number of elements")));
        }
        let (name, raw) = self
            .tokens
            .inside(&self.token)
            .split_at_checked(name_length)
            .ok_or_else(|| malformed(at, "a proper name"))?;
        check_name(name, at)?;
        self.open.push(name);
        self.attributes.truncate(0);
        let depth = FRAGMENT_DEPTH + self.open.len();
        read_attributes(raw, at, depth, self.limits, &mut self.scope, &mut self.attributes)?;
        let (prefix, _) = split(name);
        if self.meaning(prefix).is_none() && !prefix.is_empty() {
            return Err(malformed(at, "a declared prefix"));
        }
        self.check_unique(at)?;
        Ok(Event {
            range: start..end,
            at,
            kind: Kind::Start,
        })
    }

    /// What a prefix means; a taken-back default namespace is none.
    fn meaning(&self, prefix: &str) -> Option<&str> {
        self.scope.lookup(prefix).filter(|uri| !uri.is_empty())
    }

    /// Each attribute once, by its written and by its expanded name.
    fn check_unique(&self, at: usize) -> Result<(), Fault> {
        for (index, attribute) in self.attributes.iter().enumerate() {
            let (prefix, local) = split(attribute.name);
            let meaning = self.meaning(prefix);
            if meaning.is_none() && !prefix.is_empty() {
                return Err(malformed(at, "a declared prefix"));
            }
            let same = |other: super::element::Attribute<'_>| {
                let (other_prefix, other_local) = split(other.name);
                other.name == attribute.name
                    || (other_local == local
                        && !other_prefix.is_empty()
                        && !prefix.is_empty()
                        && self.meaning(other_prefix) == meaning)
            };
            if self.attributes.iter().take(index).any(same) {
                return Err(malformed(at, "each attribute once"));
            }
        }
        Ok(())
    }

    /// The tokens have compared the names.
    const fn close(&mut self, range: Range<usize>) -> Event {
        self.left = true;
        Event {
            at: range.start,
            range,
            kind: Kind::End,
        }
    }

    fn check_inside(&self) -> Result<(), Fault> {
        match first_disallowed(self.tokens.inside(&self.token)) {
            Some(bad) => Err(malformed(
                self.token.inside_start() + bad,
                "characters that XML allows",
            )),
            None => Ok(()),
        }
    }

    /// What comes first counts: so it does not matter how the text is cut into pieces.
    fn check_text(&self) -> Result<(), Fault> {
        let text = self.tokens.inside(&self.token);
        if self.open.len() == 0 && !is_blank(text) {
            return Err(malformed(self.token.at, "nothing outside the root element"));
        }
        let bad = first_disallowed(text);
        let bare = memchr::memmem::find(text.as_bytes(), b"]]>");
        match (bad, bare) {
            (Some(bad), bare) if bare.is_none_or(|bare| bad < bare) => {
                Err(malformed(self.token.start + bad, "characters that XML allows"))
            }
            (_, Some(_)) => Err(malformed(self.token.at, "no ]]> outside CDATA")),
            (_, None) => Ok(()),
        }
    }
}

/// Attributes apart from declarations, which go into the scope.
fn read_attributes(
    raw: &str,
    at: usize,
    depth: usize,
    limits: &Limits,
    scope: &mut Scope,
    found: &mut Attributes,
) -> Result<(), Fault> {
    if raw.len() > limits.max_attribute_bytes {
        return Err(fault(at, FaultKind::Limit("bytes of attributes")));
    }
    if let Some(bad) = first_disallowed(raw) {
        return Err(malformed(at + bad, "characters that XML allows"));
    }
    for (count, attribute) in attributes(raw).enumerate() {
        let attribute = attribute.map_err(|_| malformed(at, "attributes of the form name=\"value\""))?;
        if count == limits.max_attributes {
            return Err(fault(at, FaultKind::Limit("number of attributes")));
        }
        check_name(attribute.name, at)?;
        let value = attribute_value(attribute.value)
            .map_err(|_| malformed(at, "no < in an attribute, and only predefined entities"))?;
        let declared = match split(attribute.name) {
            ("", "xmlns") => "",
            ("xmlns", declared) => declared,
            _ => {
                found.push(attribute.name, &value);
                continue;
            }
        };
        if scope.declared_at(depth).any(|b| b.prefix == declared) {
            return Err(malformed(at, "each attribute once"));
        }
        if !is_proper_declaration(declared, &value) {
            return Err(malformed(at, "a namespace declaration with an absolute URI"));
        }
        // Declared or not, `xml` means what it means, and is never written anew.
        if declared != "xml" {
            scope.declare(depth, declared, &value);
        }
    }
    Ok(())
}

/// Scopes handed to a fragment are of elements above it, no deeper than this.
const FRAGMENT_DEPTH: usize = 1 << 16;

fn target_and_data(inside: &str) -> (&str, &str) {
    let end = inside.find(is_space).unwrap_or(inside.len());
    let (target, data) = inside.split_at(end);
    (target, trim_start(data))
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

const fn fault_of(broken: &Broken) -> Fault {
    match broken.why {
        Why::TooLong => fault(broken.at, FaultKind::Limit("length of a tag or comment")),
        _ => malformed(broken.at, "well-formed XML"),
    }
}

const fn fault(at: usize, kind: FaultKind) -> Fault {
    Fault { at, kind }
}

const fn malformed(at: usize, expected: &'static str) -> Fault {
    fault(at, FaultKind::Malformed(expected))
}

#[cfg(test)]
mod tests {
    use super::super::text::Mark;
    use super::*;

    fn walk(text: &str) -> Result<usize, FaultKind> {
        let limits = Limits::default();
        let source = text.as_bytes();
        let text = Text::open(&source, Mark::Kept, &limits).unwrap().unwrap();
        let mut events = Events::document(&text, &limits);
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
