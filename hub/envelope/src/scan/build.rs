//! The one walk over the parser's events, building the tree.
//!
//! The parser keeps entity references apart, so nothing is expanded behind our back: the five
//! predefined ones and character references are read here, any other makes the packet ill-formed.
//! What the parser does not check itself (declared prefixes, duplicate attributes by expanded name,
//! names, what stands outside the root) is checked here.

use std::borrow::Cow;

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::escape::unescape;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{NamespaceError, NamespaceResolver, QName, ResolveResult};
use truc_model::{RefusalCode, WarningCode};

use super::findings::{Findings, Spot};
use super::prelude::is_allowed;
use super::rules::{Stop, check_declaration, check_name, control_reference, malformed, split_name};
use super::tree::{Node, NodeId, Presence, SignatureParts, Tree};
use crate::limits::Limits;
use crate::vocabulary::{Family, Spelling, Tag, usual_namespace};

/// Builds the tree of `text`, which stands at `base` in the packet. Where a finding stopped the walk the
/// tree is cut off there, and good only for naming places.
pub(super) fn build<'a>(text: &'a str, base: usize, limits: &Limits, findings: &mut Findings) -> Tree<'a> {
    let mut builder = Builder {
        limits,
        findings,
        base,
        tree: Tree::default(),
        stack: Vec::new(),
        inside_signature: 0,
        elements: 0,
        resolver: NamespaceResolver::default(),
    };
    let outcome = builder.run(text);
    let Builder {
        findings,
        tree,
        stack,
        ..
    } = builder;
    if let Err(stop) = outcome {
        let spot = Spot::Byte(stack.last().copied(), base + stop.at);
        findings.refuse(stop.code, spot, stop.expected, stop.found);
    }
    tree
}

struct Builder<'a, 'l> {
    limits: &'l Limits,
    findings: &'l mut Findings,
    base: usize,
    tree: Tree<'a>,
    /// Open elements that are in the tree.
    stack: Vec<NodeId>,
    /// Open elements inside a signature, which are not.
    inside_signature: usize,
    elements: usize,
    resolver: NamespaceResolver,
}

impl<'a> Builder<'a, '_> {
    fn run(&mut self, text: &'a str) -> Result<(), Stop> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().check_comments = true;
        loop {
            let at = offset(reader.buffer_position());
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => return Err(malformed(&error, offset(reader.error_position()).max(at))),
            };
            let after = offset(reader.buffer_position());
            match event {
                Event::Start(start) => self.open(&start, text, at, after)?,
                Event::Empty(start) => {
                    self.open(&start, text, at, after)?;
                    self.close(after);
                }
                Event::End(_) => self.close(at),
                Event::Text(piece) => {
                    if piece.contains("]]>") {
                        return Err(Stop::malformed(at, "no ]]> outside CDATA", "]]>"));
                    }
                    // Line ends are mended by copying, which an attachment's content is too large for.
                    if !self.passes_over_text() {
                        self.text(piece.xml_content(XmlVersion::Implicit1_0), at)?;
                    }
                }
                Event::CData(_) if self.stack.is_empty() => {
                    return Err(Stop::malformed(at, "one root element", "CDATA outside it"));
                }
                Event::CData(_) if self.passes_over_text() => {}
                Event::CData(piece) => self.text(piece.xml_content(XmlVersion::Implicit1_0), at)?,
                Event::GeneralRef(reference) => self.reference(&reference, at)?,
                Event::DocType(_) => {
                    return Err(Stop {
                        code: RefusalCode::EnvelopeDoctype,
                        at,
                        expected: "no DOCTYPE".to_owned(),
                        found: "DOCTYPE".to_owned(),
                    });
                }
                Event::Decl(declaration) => check_declaration(&declaration, at)?,
                Event::PI(instruction) if instruction.target().eq_ignore_ascii_case("xml") => {
                    return Err(Stop::malformed(
                        at,
                        "an XML declaration at the start only",
                        "another",
                    ));
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof => return self.end(at),
            }
        }
    }

    fn end(&self, at: usize) -> Result<(), Stop> {
        if let Some(open) = self.stack.last() {
            let name = self.tree.node(*open).name;
            return Err(Stop::malformed(at, format!("</{name}>"), "the end of the packet"));
        }
        if self.tree.root().is_none() {
            return Err(Stop::malformed(at, "a root element", "none"));
        }
        Ok(())
    }

    fn open(&mut self, start: &BytesStart<'a>, text: &'a str, at: usize, after: usize) -> Result<(), Stop> {
        // A signature is both in the tree and the first of the elements not looked into.
        let depth = self.stack.len() + self.inside_signature.saturating_sub(1);
        if depth == 0 && self.tree.root().is_some() {
            return Err(Stop::malformed(at, "one root element", "a second one"));
        }
        if depth >= self.limits.max_depth {
            let most = format!("at most {} elements deep", self.limits.max_depth);
            return Err(Stop::limit(at, most, format!("{}", depth + 1)));
        }
        self.elements += 1;
        if self.elements > self.limits.max_elements {
            let most = format!("at most {} elements", self.limits.max_elements);
            return Err(Stop::limit(at, most, format!("{}", self.elements)));
        }
        // The name stands right behind `<`, in the packet itself: it need not be copied.
        let name = &text[at + 1..at + 1 + start.name().as_ref().len()];
        check_name(name, at)?;
        let attributes = self.attributes(start, at)?;
        let (prefix, local) = split_name(name);
        let (family, _) = self.namespace(name, at, Named::Element)?;
        if self.inside_signature > 0 {
            self.inside_signature += 1;
            if self.inside_signature == 2 {
                self.note_signature_part(local);
            }
            return Ok(());
        }
        let id = NodeId(self.tree.nodes.len());
        let parent = self.stack.last().copied();
        if let Some(parent) = parent {
            self.tree.nodes[parent.0].children.push(id);
        }
        let known = match family {
            Family::Foreign | Family::Xlink => None,
            _ => Tag::find(local),
        };
        self.tree.nodes.push(Node {
            parent,
            name: local,
            tag: known.map(|(tag, _)| tag),
            family,
            start: self.base + at,
            content: self.base + after..self.base + after,
            text: Cow::Borrowed(""),
            children: Vec::new(),
            href: attributes.href,
            signature: SignatureParts::default(),
        });
        self.stack.push(id);
        if let Some((tag, spelling)) = known {
            self.note_spelling(id, tag, spelling, family, prefix);
            if matches!(tag, Tag::Signature | Tag::DigitalSignature) {
                self.inside_signature = 1;
            }
        }
        Ok(())
    }

    fn close(&mut self, at: usize) {
        self.resolver.pop();
        if self.inside_signature > 1 {
            self.inside_signature -= 1;
            return;
        }
        self.inside_signature = 0;
        if let Some(id) = self.stack.pop() {
            let content = &mut self.tree.nodes[id.0].content;
            content.end = (self.base + at).max(content.start);
        }
    }

    /// Opens the element's scope of namespaces and checks its attributes.
    fn attributes(&mut self, start: &BytesStart<'a>, at: usize) -> Result<Attributes<'a>, Stop> {
        let raw = start.attributes_raw().len();
        if raw > self.limits.max_attribute_bytes {
            let most = format!("at most {} bytes of attributes", self.limits.max_attribute_bytes);
            return Err(Stop::limit(at, most, raw.to_string()));
        }
        let mut found = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| {
                Stop::malformed(at, "attributes of the form name=\"value\", each once", "others")
            })?;
            if found.len() == self.limits.max_attributes {
                let most = format!("at most {} attributes", self.limits.max_attributes);
                return Err(Stop::limit(at, most, format!("{} or more", found.len() + 1)));
            }
            let name = attribute.key.as_ref().to_owned();
            check_name(&name, at)?;
            if attribute.value.contains('<') {
                return Err(Stop::malformed(at, "no < in an attribute", "one"));
            }
            let value = unescape(&attribute.value)
                .map_err(|_| Stop::malformed(at, "only predefined entities", "another in an attribute"))?
                .into_owned();
            if let Some(bad) = value.chars().find(|c| !is_allowed(*c)) {
                return Err(control_reference(bad, at));
            }
            found.push((name, value));
        }
        self.resolver.push(start).map_err(|error| match error {
            NamespaceError::TooManyBindings(most) => {
                Stop::limit(at, format!("at most {most} namespaces in scope"), "more")
            }
            NamespaceError::TooDeeplyNested(most) => Stop::limit(at, format!("at most {most} deep"), "more"),
            _ => Stop::malformed(at, "namespaces declared as XML allows", "another declaration"),
        })?;
        let mut href = None;
        let mut seen: Vec<(String, String)> = Vec::new();
        for (name, value) in found {
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            let (Some(_), local) = split_name(&name) else {
                continue;
            };
            let (family, namespace) = self.namespace(&name, at, Named::Attribute)?;
            if local == "href" && family == Family::Xlink {
                href = Some(Cow::Owned(value));
            }
            let expanded = (namespace, local.to_owned());
            if seen.contains(&expanded) {
                return Err(Stop::malformed(
                    at,
                    "each attribute once",
                    "one twice under two prefixes",
                ));
            }
            seen.push(expanded);
        }
        Ok(Attributes { href })
    }

    /// Which family a qualified name's namespace belongs to, and the namespace itself.
    fn namespace(&mut self, name: &str, at: usize, of: Named) -> Result<(Family, String), Stop> {
        let use_default = matches!(of, Named::Element);
        let prefix = match self.resolver.resolve_prefix(QName(name).prefix(), use_default) {
            ResolveResult::Bound(namespace) => {
                return Ok((Family::of(namespace.as_ref()), namespace.as_ref().to_owned()));
            }
            ResolveResult::Unbound => return Ok((Family::None, String::new())),
            ResolveResult::Unknown(prefix) => prefix,
        };
        let Some(usual) = usual_namespace(&prefix) else {
            let what = match of {
                Named::Element => "element",
                Named::Attribute => "attribute",
            };
            return Err(Stop::malformed(
                at,
                "a declared prefix",
                format!("{what} prefix {prefix}"),
            ));
        };
        let spot = Spot::Byte(self.stack.last().copied(), self.base + at);
        self.findings.warn_once(WarningCode::UnboundPrefix, spot);
        Ok((Family::of(usual), usual.to_owned()))
    }

    /// Says once each what is unusual about namespaces, prefixes and spellings of known names.
    fn note_spelling(
        &mut self,
        id: NodeId,
        tag: Tag,
        spelling: Spelling,
        family: Family,
        prefix: Option<&str>,
    ) {
        let spot = Spot::Node(id);
        match spelling {
            Spelling::Exact => {}
            Spelling::OtherCase => self.findings.warn_once(WarningCode::LetterCase, spot),
            Spelling::SingleS => self.findings.warn_once(WarningCode::BusinessSpelling, spot),
        }
        match family {
            Family::Edoc => self.findings.warn_once(WarningCode::NamespaceEdoc, spot),
            Family::Old | Family::Soap => self.findings.warn_once(WarningCode::NamespaceSoap, spot),
            Family::None => self.findings.warn_once(WarningCode::NamespaceMissing, spot),
            Family::Qcvn | Family::Dsig | Family::Xlink | Family::Foreign => {}
        }
        let in_signature = matches!(tag, Tag::Signature | Tag::DigitalSignature);
        if family != Family::Qcvn || in_signature {
            return;
        }
        // As the national axis's own tools write it: prefixed within the envelope, not outside.
        let open_in = |part| {
            self.stack
                .iter()
                .any(|open| self.tree.node(*open).tag == Some(part))
        };
        let within = open_in(Tag::EdXmlEnvelope) && !open_in(Tag::AttachmentEncoded);
        let usual = within || tag == Tag::ContentTransferEncoded;
        if usual != prefix.is_some() {
            self.findings.warn_once(WarningCode::PrefixMix, spot);
        }
    }

    fn note_signature_part(&mut self, local: &str) {
        let Some(open) = self.stack.last().copied() else {
            return;
        };
        let parts = &mut self.tree.nodes[open.0].signature;
        match local {
            "SignedInfo" => parts.signed_info = Presence::Present,
            "SignatureValue" => parts.signature_value = Presence::Present,
            _ => {}
        }
    }

    /// Whether text here is no value: an attachment's content or inside a signature.
    fn passes_over_text(&self) -> bool {
        let in_attachment = || {
            self.stack
                .last()
                .is_some_and(|open| self.tree.holds_attachment(*open))
        };
        self.inside_signature > 0 || in_attachment()
    }

    fn text(&mut self, piece: Cow<'a, str>, at: usize) -> Result<(), Stop> {
        let blank = piece.trim_ascii().is_empty();
        let Some(open) = self.stack.last().copied() else {
            if blank {
                return Ok(());
            }
            return Err(Stop::malformed(at, "nothing outside the root element", "text"));
        };
        let text = &mut self.tree.nodes[open.0].text;
        if text.is_empty() {
            // Indentation between elements is not a value.
            if !blank {
                *text = piece;
            }
        } else {
            text.to_mut().push_str(&piece);
        }
        let length = text.len();
        if length > self.limits.max_value_bytes {
            let most = format!("a value of at most {} bytes", self.limits.max_value_bytes);
            return Err(Stop::limit(at, most, length.to_string()));
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'a>, at: usize) -> Result<(), Stop> {
        let c = match reference.as_ref() {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => match reference.resolve_char_ref() {
                Ok(Some(c)) if is_allowed(c) => c,
                Ok(Some(c)) => return Err(control_reference(c, at)),
                Ok(None) => return Err(Stop::malformed(at, "only predefined entities", "another")),
                Err(_) => return Err(Stop::malformed(at, "a character's number", "another reference")),
            },
        };
        if self.stack.is_empty() {
            return Err(Stop::malformed(
                at,
                "nothing outside the root element",
                "a reference",
            ));
        }
        if self.passes_over_text() {
            return Ok(());
        }
        self.text(Cow::Owned(c.to_string()), at)
    }
}

/// What the reader wants of an element's attributes.
struct Attributes<'a> {
    href: Option<Cow<'a, str>>,
}

/// What bears a name: the default namespace is not an attribute's.
#[derive(Clone, Copy)]
enum Named {
    Element,
    Attribute,
}

/// The parser counts in `u64`; it reads from a slice, so it fits.
fn offset(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}
