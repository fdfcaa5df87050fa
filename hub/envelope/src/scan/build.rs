//! The one walk over the tokens, building the tree.
//!
//! References are tokens of their own, so nothing is expanded behind our back: the five predefined ones and
//! character references are read here, any other makes the packet ill-formed. What the tokens leave to their reader
//! (declared prefixes, duplicate attributes by expanded name, names, what stands outside the root) is checked here.

use quick_xml::events::BytesRef;
use truc_model::{RefusalCode, WarningCode};

use super::attributes::{self, Bindings, Meaning, qualified};
use super::findings::{Findings, Spot};
use super::rules::{Stop, check_declaration, check_name, control_reference, malformed, split_name};
use super::text::{Piece, Run};
use super::tree::{LineEnds, NodeId, Presence, Tree};
use crate::content::{Decoder, Probe};
use crate::limits::{Limits, MAX_MARKUP_BYTES};
use crate::tokens::{Kind, Token, Tokens, Window, is_allowed};
use crate::vocabulary::{Family, Spelling, Tag, usual_namespace};

/// Builds the tree of the text that begins at `base` in the packet. Where a finding stopped the walk the tree is cut off
/// there, and good only for naming places. Gives back the window, which may not have been read to its end.
pub(super) fn build<'s>(
    window: Window<'s>,
    base: usize,
    limits: &Limits,
    findings: &mut Findings,
) -> (Tree, Window<'s>) {
    let mut tokens = Tokens::new(window, MAX_MARKUP_BYTES);
    let mut builder = Builder {
        limits,
        findings,
        base,
        tree: Tree::default(),
        stack: Vec::new(),
        inside_signature: 0,
        elements: 0,
        bindings: Bindings::default(),
        run: Run::default(),
        decoding: None,
    };
    let outcome = builder.walk(&mut tokens);
    let Builder {
        findings,
        tree,
        stack,
        ..
    } = builder;
    if let Err(stop) = outcome {
        let spot = Spot::Byte(stack.last().copied(), stop.at);
        findings.refuse(stop.code, spot, stop.expected, stop.found);
    }
    (tree, tokens.into_window())
}

struct Builder<'l> {
    limits: &'l Limits,
    findings: &'l mut Findings,
    base: usize,
    tree: Tree,
    /// Open elements that are in the tree.
    stack: Vec<NodeId>,
    /// Open elements inside a signature, which are not.
    inside_signature: usize,
    elements: usize,
    bindings: Bindings,
    run: Run,
    /// The open element whose content is an attachment's bytes, as long as no element stands in it.
    decoding: Option<(NodeId, Decoder, Probe)>,
}

impl Builder<'_> {
    fn walk(&mut self, tokens: &mut Tokens<'_>) -> Result<(), Stop> {
        loop {
            let token = tokens.next().map_err(malformed)?;
            let at = token.at;
            if !token.continues() {
                if let Some(open) = self.stack.last() {
                    self.run.end(&mut self.tree, *open);
                }
                // Between values, so that it does not matter in which pieces they come.
                self.check_held(at)?;
            }
            match token.kind {
                Kind::Start { name } => self.open(tokens, &token, name)?,
                Kind::Empty { name } => {
                    self.open(tokens, &token, name)?;
                    self.close(token.end);
                }
                Kind::End => self.close(at),
                Kind::Text => {
                    // What comes first counts: so it does not matter how the text is cut into pieces.
                    let piece = tokens.inside(&token);
                    let bare = memchr::memmem::find(piece.as_bytes(), b"]]>");
                    let before = bare.and_then(|bare| piece.get(..bare)).unwrap_or(piece);
                    self.text(tokens, &token, before)?;
                    if bare.is_some() {
                        return Err(Stop::malformed(at, "no ]]> outside CDATA", "]]>"));
                    }
                }
                Kind::CData if self.stack.is_empty() => {
                    return Err(Stop::malformed(at, "one root element", "CDATA outside it"));
                }
                Kind::CData => self.text(tokens, &token, tokens.inside(&token))?,
                Kind::Reference => self.reference(tokens, &token)?,
                Kind::Doctype => {
                    return Err(Stop {
                        code: RefusalCode::EnvelopeDoctype,
                        at,
                        expected: "no DOCTYPE".to_owned(),
                        found: "DOCTYPE".to_owned(),
                    });
                }
                Kind::Declaration => {
                    check_declaration(tokens.inside(&token), at, self.base)?;
                    self.decode(tokens, &token);
                }
                Kind::Instruction if names_xml(tokens.inside(&token)) => {
                    return Err(Stop::malformed(
                        at,
                        "an XML declaration at the start only",
                        "another",
                    ));
                }
                Kind::Comment | Kind::Instruction => self.decode(tokens, &token),
                Kind::Eof => return self.end(at),
            }
        }
    }

    fn end(&self, at: usize) -> Result<(), Stop> {
        if let Some(open) = self.stack.last() {
            let name = self.tree.name(*open);
            return Err(Stop::malformed(at, format!("</{name}>"), "the end of the packet"));
        }
        if self.tree.root().is_none() {
            return Err(Stop::malformed(at, "a root element", "none"));
        }
        Ok(())
    }

    fn open(&mut self, tokens: &Tokens<'_>, token: &Token, name_length: usize) -> Result<(), Stop> {
        let at = token.at;
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
        if self.elements > self.limits.max_elements.min(Tree::MOST) {
            let most = format!("at most {} elements", self.limits.max_elements);
            return Err(Stop::limit(at, most, format!("{}", self.elements)));
        }
        let (name, raw) = tokens
            .inside(token)
            .split_at_checked(name_length)
            .unwrap_or_default();
        check_name(name, at)?;
        let mut attributes = Vec::new();
        attributes::read(raw, at, self.limits, &mut attributes)?;
        self.bindings.enter(&attributes, at)?;
        let href = self.namespaced(&attributes, at)?;
        let (prefix, local) = split_name(name);
        let family = self.family_of_element(prefix, at)?;
        if self.inside_signature > 0 {
            self.inside_signature += 1;
            if self.inside_signature == 2 {
                self.note_signature_part(local);
            }
            return Ok(());
        }
        let known = match family {
            Family::Foreign | Family::Xlink => None,
            _ => Tag::find(local),
        };
        // Bytes with elements inside are no attachment's.
        self.decoding = None;
        let parent = self.stack.last().copied();
        let tag = known.map(|(tag, _)| tag);
        let id = self.tree.add(parent, local, tag, family, token.start..token.end);
        if let Some(href) = href {
            self.tree.set_href(id, href);
        }
        self.stack.push(id);
        if let Some((tag, spelling)) = known {
            self.note_spelling(id, tag, spelling, family, prefix);
            if matches!(tag, Tag::Signature | Tag::DigitalSignature) {
                self.inside_signature = 1;
            } else if self.tree.holds_attachment(id) {
                self.decoding = Some((id, Decoder::new(), Probe::new()));
            }
        }
        Ok(())
    }

    fn close(&mut self, at: usize) {
        self.bindings.leave();
        if self.inside_signature > 1 {
            self.inside_signature -= 1;
            return;
        }
        self.inside_signature = 0;
        if let Some(id) = self.stack.pop() {
            self.tree.close(id, at);
            if let Some((id, decoder, mut probe)) = self.decoding.take() {
                let outcome = decoder.finish(&mut |chunk| probe.update(chunk));
                self.tree.set_content(id, outcome.map(|()| probe.finish()));
            }
        }
    }

    /// What the reader wants of an element's attributes in namespaces: a link. Each may be there once.
    fn namespaced<'n>(
        &mut self,
        attributes: &'n [attributes::Attribute<'_>],
        at: usize,
    ) -> Result<Option<&'n str>, Stop> {
        let mut href = None;
        for (index, attribute) in attributes.iter().enumerate() {
            let Some((prefix, local)) = qualified(attribute.name) else {
                continue;
            };
            let family = match self.bindings.of_attribute(prefix) {
                Meaning::Bound(family, _) => family,
                Meaning::Unbound => Family::None,
                Meaning::Unknown => self.usual(prefix, "attribute", at)?,
            };
            if local == "href" && family == Family::Xlink {
                href = Some(attribute.value.as_ref());
            }
            let twice = attributes
                .get(..index)
                .unwrap_or_default()
                .iter()
                .filter_map(|other| qualified(other.name))
                .any(|(other, name)| name == local && self.namespace(other) == self.namespace(prefix));
            if twice {
                return Err(Stop::malformed(
                    at,
                    "each attribute once",
                    "one twice under two prefixes",
                ));
            }
        }
        Ok(href)
    }

    /// The namespace of an attribute's prefix, declared or usual.
    fn namespace(&self, prefix: &str) -> &str {
        match self.bindings.of_attribute(prefix) {
            Meaning::Bound(_, namespace) => namespace,
            Meaning::Unbound => "",
            Meaning::Unknown => usual_namespace(prefix).unwrap_or_default(),
        }
    }

    fn family_of_element(&mut self, prefix: Option<&str>, at: usize) -> Result<Family, Stop> {
        match self.bindings.of_element(prefix) {
            Meaning::Bound(family, _) => Ok(family),
            Meaning::Unbound => Ok(Family::None),
            Meaning::Unknown => self.usual(prefix.unwrap_or_default(), "element", at),
        }
    }

    /// What an undeclared prefix is taken for.
    fn usual(&mut self, prefix: &str, of: &str, at: usize) -> Result<Family, Stop> {
        let Some(usual) = usual_namespace(prefix) else {
            return Err(Stop::malformed(
                at,
                "a declared prefix",
                format!("{of} prefix {prefix}"),
            ));
        };
        let spot = Spot::Byte(self.stack.last().copied(), at);
        self.findings.warn_once(WarningCode::UnboundPrefix, spot);
        Ok(Family::of(usual))
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
        let parts = self.tree.signature_mut(open);
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

    /// A token of an attachment's content.
    fn decode(&mut self, tokens: &Tokens<'_>, token: &Token) {
        if let Some((_, decoder, probe)) = &mut self.decoding {
            decoder.take(tokens, token, &mut |chunk| probe.update(chunk));
        }
    }

    /// A piece of text.
    fn text(&mut self, tokens: &Tokens<'_>, token: &Token, piece: &str) -> Result<(), Stop> {
        if self.passes_over_text() {
            self.decode(tokens, token);
            return Ok(());
        }
        let at = token.at;
        let Some(open) = self.stack.last().copied() else {
            if piece.trim_ascii().is_empty() {
                return Ok(());
            }
            return Err(Stop::malformed(at, "nothing outside the root element", "text"));
        };
        let most = self.limits.max_value_bytes;
        let piece = Piece {
            text: piece,
            continues: token.continues(),
            line_ends: if token.kind == Kind::Reference {
                LineEnds::Kept
            } else {
                LineEnds::Mended
            },
        };
        self.run
            .add(&mut self.tree, open, piece, most)
            .map_err(|_| Stop::limit(at, format!("a value of at most {most} bytes"), "more"))
    }

    /// However many values there are, together they are bounded.
    fn check_held(&self, at: usize) -> Result<(), Stop> {
        let most = self.limits.max_text_bytes.min(Tree::MOST);
        if self.tree.size() > most {
            let most = format!("names and values of at most {most} bytes together");
            return Err(Stop::limit(at, most, "more"));
        }
        Ok(())
    }

    fn reference(&mut self, tokens: &Tokens<'_>, token: &Token) -> Result<(), Stop> {
        let at = token.at;
        let name = tokens.inside(token);
        let c = match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "apos" => '\'',
            "quot" => '"',
            _ => match BytesRef::new(name).resolve_char_ref() {
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
        self.text(tokens, token, c.encode_utf8(&mut [0; 4]))
    }
}

/// Whether an instruction has the name that is XML's own, in any case.
fn names_xml(inside: &str) -> bool {
    let name = inside.split([' ', '\t', '\n', '\r']).next().unwrap_or_default();
    name.eq_ignore_ascii_case("xml")
}
