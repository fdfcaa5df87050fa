//! Reading the signature by its strict grammar.
//!
//! ```text
//! Signature (Id?)
//!   SignedInfo (Id?)
//!     CanonicalizationMethod   InclusiveNamespaces? where exclusive
//!     SignatureMethod          empty
//!     Reference URI="" (Id?)
//!       Transforms             enveloped-signature, then at most one canonicalisation
//!       DigestMethod, DigestValue
//!   SignatureValue (Id?)
//!   KeyInfo? (Id?)             X509Data is read, KeyName, KeyValue and foreign elements are passed over
//! ```
//! Nothing else: no `Object`, no comments, no processing instructions, no CDATA. Nothing is resolved by `Id`,
//! nothing is fetched.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::algorithm::{Canonicalization, DigestAlgorithm, ENVELOPED, SignatureAlgorithm};
use super::canonical::{Comments, Method, Namespaces};
use super::element::Attributes;
use super::events::{Event, Events, Kind};
use super::flaw::Flaw;
use super::scope::Scope;
use super::search::next;
use super::syntax::{is_blank, is_nc_name, is_space};
use super::verdict::DsigReason;
use super::{MAX_CERTIFICATE_BYTES, MAX_CERTIFICATES, MAX_PREFIXES, MAX_VALUE_BYTES, NS_DSIG, NS_EXCLUSIVE};

/// A signature of the strict form, as read; nothing is verified yet.
pub(super) struct Signature {
    /// Where the element stands.
    pub(super) range: Range<usize>,
    pub(super) signed_info: Range<usize>,
    /// What is in scope at `SignedInfo`, its own declarations apart.
    pub(super) scope: Scope,
    /// `xml:` attributes of the elements above, the innermost of each.
    pub(super) inherited: Attributes,
    pub(super) canonicalization: Written,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) algorithm_at: usize,
    /// How the document is written.
    pub(super) document: Written,
    pub(super) digest_algorithm: DigestAlgorithm,
    pub(super) digest_algorithm_at: usize,
    pub(super) digest: Vec<u8>,
    pub(super) digest_at: usize,
    pub(super) value: Vec<u8>,
    pub(super) value_at: usize,
    /// X509Certificate, DER, and where.
    pub(super) certificates: Vec<(Vec<u8>, usize)>,
}

/// A canonicalisation with its prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) algorithm: Canonicalization,
    /// Empty: the default namespace.
    pub(super) prefixes: Vec<String>,
}

impl Written {
    /// As a node set without comments is written when nothing is said (XML Signature §4.4.3.2).
    const DEFAULT: Self = Self {
        algorithm: Canonicalization::Inclusive,
        prefixes: Vec::new(),
    };

    /// How to write so. No comment ever gets this far: `URI=""` leaves them out of the document, and
    /// `SignedInfo` may not have any.
    pub(super) fn method(&self) -> Method {
        let namespaces = if self.algorithm.is_exclusive() {
            Namespaces::Exclusive {
                inclusive: self.prefixes.clone(),
            }
        } else {
            Namespaces::Inclusive
        };
        Method {
            namespaces,
            comments: Comments::Without,
        }
    }
}

/// Reads the inside of the signature.
pub(super) struct Parser<'e, 'a> {
    events: &'e mut Events<'a>,
}

/// A child, or that there are no more.
enum Child {
    /// The events stand at its start.
    Element(Range<usize>),
    /// The parent's end.
    End(Range<usize>),
}

impl<'e, 'a> Parser<'e, 'a> {
    /// Behind the start tag of `Signature`.
    pub(super) const fn new(events: &'e mut Events<'a>) -> Self {
        Self { events }
    }

    /// Up to the end tag; `None` for an empty element. The innermost of `inherited` stand last.
    pub(super) fn signature(
        mut self,
        start: usize,
        inherited: &Attributes,
    ) -> Result<Option<Signature>, Flaw> {
        self.attributes(start, &["Id"])?;
        let scope = self.events.scope().outside();
        let signed_info_start = match self.child()? {
            Child::End(_) => return Ok(None),
            Child::Element(range) => range,
        };
        self.expect("SignedInfo", &signed_info_start, &["Id"])?;
        let (canonicalization, (algorithm, algorithm_at), reference) = self.signed_info()?;
        let end = self.end("SignedInfo", signed_info_start.start)?;
        let signed_info = signed_info_start.start..end.end;
        let value_at = self.element("SignatureValue", &["Id"])?.start;
        let value = self.base64(value_at, MAX_VALUE_BYTES)?;
        let mut certificates = Vec::new();
        let mut end = self.child()?;
        if let Child::Element(range) = &end
            && self.is("KeyInfo")
        {
            self.attributes(range.start, &["Id"])?;
            certificates = self.key_info()?;
            end = self.child()?;
        }
        let end = match end {
            Child::End(range) => range,
            Child::Element(range) if self.is("Object") => {
                return Err(self.flaw(DsigReason::Object, range.start, "no Object", "one"));
            }
            Child::Element(range) => {
                return Err(self.flaw(
                    DsigReason::Form,
                    range.start,
                    "the end of Signature",
                    "an element",
                ));
            }
        };
        let mut innermost = Attributes::default();
        for attribute in inherited.iter().rev() {
            if innermost.value(attribute.name).is_none() {
                innermost.push(attribute.name, attribute.value);
            }
        }
        Ok(Some(Signature {
            range: start..end.end,
            signed_info,
            scope,
            inherited: innermost,
            canonicalization,
            algorithm,
            algorithm_at,
            document: reference.document,
            digest_algorithm: reference.digest_algorithm,
            digest_algorithm_at: reference.digest_algorithm_at,
            digest: reference.digest,
            digest_at: reference.digest_at,
            value,
            value_at,
            certificates,
        }))
    }

    /// Up to the end of its last child.
    fn signed_info(&mut self) -> Result<(Written, (SignatureAlgorithm, usize), Reference), Flaw> {
        let range = self.element("CanonicalizationMethod", &["Algorithm"])?;
        let uri = self.algorithm(range.start)?;
        let algorithm = Canonicalization::of(uri).ok_or_else(|| {
            self.flaw(
                DsigReason::Canonicalization,
                range.start,
                "Canonical XML 1.0 or its exclusive form",
                "another",
            )
        })?;
        let canonicalization = self.written(algorithm, range.start)?;

        let range = self.element("SignatureMethod", &["Algorithm"])?;
        let uri = self.algorithm(range.start)?;
        let algorithm = SignatureAlgorithm::of(uri).ok_or_else(|| {
            let names: Vec<&str> = SignatureAlgorithm::ALL.iter().map(|a| a.as_str()).collect();
            let expected = format!("one of {}", names.join(", "));
            self.flaw(DsigReason::SignatureAlgorithm, range.start, expected, "another")
        })?;
        self.end("SignatureMethod", range.start)?;
        let algorithm = (algorithm, range.start);

        let range = match self.child()? {
            Child::Element(range) if self.is("Reference") => range,
            Child::Element(range) | Child::End(range) => {
                return Err(self.flaw(DsigReason::References, range.start, "one Reference", "none"));
            }
        };
        let reference = self.reference(range.start)?;
        Ok((canonicalization, algorithm, reference))
    }

    fn reference(&mut self, at: usize) -> Result<Reference, Flaw> {
        self.attributes(at, &["Id", "URI"])?;
        let uri = self.events.element().attributes.value("URI");
        if uri.is_none_or(|uri| !uri.is_empty()) {
            let found = match uri {
                None => "no URI",
                Some(uri) if uri.starts_with('#') => "a part of a document by its Id",
                Some(_) => "something outside the packet",
            };
            return Err(self.flaw(DsigReason::ReferenceUri, at, "URI=\"\"", found));
        }
        let transforms = self.element("Transforms", &[])?;
        let document = self.transforms(transforms.start)?;
        let range = self.element("DigestMethod", &["Algorithm"])?;
        let digest_algorithm_at = range.start;
        let uri = self.algorithm(range.start)?;
        let digest_algorithm = DigestAlgorithm::of(uri).ok_or_else(|| {
            let names: Vec<&str> = DigestAlgorithm::ALL.iter().map(|a| a.as_str()).collect();
            let expected = format!("one of {}", names.join(", "));
            self.flaw(DsigReason::DigestAlgorithm, range.start, expected, "another")
        })?;
        self.end("DigestMethod", range.start)?;
        let digest_at = self.element("DigestValue", &[])?.start;
        let digest = self.base64(digest_at, MAX_VALUE_BYTES)?;
        let length = digest_algorithm.ring().output_len();
        if digest.len() != length {
            return Err(self.flaw(
                DsigReason::Value,
                digest_at,
                format!("{length} bytes"),
                format!("{} bytes", digest.len()),
            ));
        }
        self.end("Reference", at)?;
        Ok(Reference {
            document,
            digest_algorithm,
            digest_algorithm_at,
            digest,
            digest_at,
        })
    }

    /// enveloped-signature, then at most one canonicalisation.
    fn transforms(&mut self, at: usize) -> Result<Written, Flaw> {
        let refuse = |parser: &Self, at: usize, found: &str| {
            let expected = "enveloped-signature and at most one canonicalisation after it";
            parser.flaw(DsigReason::Transform, at, expected, found)
        };
        let range = match self.child()? {
            Child::Element(range) if self.is("Transform") => range,
            _ => return Err(refuse(self, at, "none")),
        };
        self.attributes(range.start, &["Algorithm"])?;
        if self.algorithm(range.start)? != ENVELOPED {
            return Err(refuse(self, range.start, "another first"));
        }
        self.end("Transform", range.start)?;
        let range = match self.child()? {
            Child::Element(range) if self.is("Transform") => range,
            Child::End(_) => return Ok(Written::DEFAULT),
            Child::Element(range) => return Err(refuse(self, range.start, "another element")),
        };
        self.attributes(range.start, &["Algorithm"])?;
        let uri = self.algorithm(range.start)?;
        let algorithm =
            Canonicalization::of(uri).ok_or_else(|| refuse(self, range.start, "another second"))?;
        let written = self.written(algorithm, range.start)?;
        match self.child()? {
            Child::End(_) => Ok(written),
            Child::Element(range) => Err(refuse(self, range.start, "a third")),
        }
    }

    /// The inside of an element that names a canonicalisation, up to its end.
    fn written(&mut self, algorithm: Canonicalization, at: usize) -> Result<Written, Flaw> {
        let mut prefixes = Vec::new();
        let event = self.child_of_any()?;
        if let Child::Element(range) = event {
            let listed = self.events.namespace() == NS_EXCLUSIVE
                && self.events.element().local() == "InclusiveNamespaces";
            if !listed || !algorithm.is_exclusive() {
                return Err(self.flaw(
                    DsigReason::Form,
                    range.start,
                    "an empty element",
                    "an element inside",
                ));
            }
            self.attributes(range.start, &["PrefixList"])?;
            let list = self.events.element().attributes.value("PrefixList");
            let list = list.unwrap_or_default();
            for token in list.split(is_space).filter(|token| !token.is_empty()) {
                if prefixes.len() == MAX_PREFIXES {
                    let most = format!("at most {MAX_PREFIXES} prefixes");
                    return Err(self.flaw(DsigReason::Limit, range.start, most, "more"));
                }
                prefixes.push(match token {
                    "#default" => String::new(),
                    prefix if is_nc_name(prefix) => prefix.to_owned(),
                    _ => {
                        return Err(self.flaw(
                            DsigReason::Form,
                            range.start,
                            "a list of prefixes",
                            "another",
                        ));
                    }
                });
            }
            self.end("InclusiveNamespaces", range.start)?;
            self.end("its method", at)?;
        }
        Ok(Written { algorithm, prefixes })
    }

    fn key_info(&mut self) -> Result<Vec<(Vec<u8>, usize)>, Flaw> {
        let mut certificates = Vec::new();
        while let Child::Element(range) = self.child_of_any()? {
            if self.is("X509Data") {
                self.x509_data(&mut certificates)?;
            } else if self.is("KeyName") || self.is("KeyValue") || self.events.namespace() != NS_DSIG {
                // A bare key proves nothing about its owner, and other systems leave notes here.
                self.pass_over()?;
            } else {
                return Err(self.flaw(
                    DsigReason::KeyInfo,
                    range.start,
                    "X509Data",
                    "another kind of key",
                ));
            }
        }
        Ok(certificates)
    }

    fn x509_data(&mut self, certificates: &mut Vec<(Vec<u8>, usize)>) -> Result<(), Flaw> {
        while let Child::Element(range) = self.child_of_any()? {
            if !self.is("X509Certificate") {
                self.pass_over()?;
                continue;
            }
            if certificates.len() == MAX_CERTIFICATES {
                let most = format!("at most {MAX_CERTIFICATES} certificates");
                return Err(self.flaw(DsigReason::Limit, range.start, most, "more"));
            }
            self.attributes(range.start, &[])?;
            certificates.push((self.base64(range.start, MAX_CERTIFICATE_BYTES)?, range.start));
        }
        Ok(())
    }

    /// The next child element, or the parent's end.
    fn child_of_any(&mut self) -> Result<Child, Flaw> {
        loop {
            let event = next(self.events)?;
            match event.kind {
                Kind::Start => return Ok(Child::Element(event.range)),
                Kind::End => return Ok(Child::End(event.range)),
                Kind::Text if is_blank(self.events.characters()) => {}
                Kind::Character(c) if is_space(c) => {}
                _ => return Err(self.stray(&event)),
            }
        }
    }

    /// The same, and an element must be XML Signature's.
    fn child(&mut self) -> Result<Child, Flaw> {
        let child = self.child_of_any()?;
        if let Child::Element(range) = &child
            && self.events.namespace() != NS_DSIG
        {
            return Err(self.flaw(
                DsigReason::Form,
                range.start,
                "an element of XML Signature",
                "another",
            ));
        }
        Ok(child)
    }

    /// The next child, which must be this element.
    fn element(&mut self, name: &str, attributes: &[&str]) -> Result<Range<usize>, Flaw> {
        match self.child()? {
            Child::Element(range) => {
                self.expect(name, &range, attributes)?;
                Ok(range)
            }
            Child::End(range) => Err(self.flaw(DsigReason::Form, range.start, name, "nothing")),
        }
    }

    fn expect(&self, name: &str, range: &Range<usize>, attributes: &[&str]) -> Result<(), Flaw> {
        if self.events.element().local() != name {
            return Err(self.flaw(DsigReason::Form, range.start, name, "another element"));
        }
        self.attributes(range.start, attributes)
    }

    /// The end of the element that began at `at`.
    fn end(&mut self, name: &str, at: usize) -> Result<Range<usize>, Flaw> {
        match self.child_of_any()? {
            Child::End(range) => Ok(range),
            Child::Element(range) if name == "SignedInfo" && self.is("Reference") => {
                Err(self.flaw(DsigReason::References, range.start, "one Reference", "another"))
            }
            Child::Element(_) => Err(self.flaw(
                DsigReason::Form,
                at,
                format!("the end of {name}"),
                "an element inside",
            )),
        }
    }

    /// To the end of the element just begun.
    fn pass_over(&mut self) -> Result<(), Flaw> {
        let depth = self.events.depth();
        while self.events.depth() >= depth {
            let event = next(self.events)?;
            if matches!(event.kind, Kind::Comment | Kind::Instruction | Kind::CData) {
                return Err(self.stray(&event));
            }
        }
        Ok(())
    }

    /// The bytes that the element just begun holds in base64, up to its end.
    fn base64(&mut self, at: usize, most: usize) -> Result<Vec<u8>, Flaw> {
        let mut digits = String::new();
        loop {
            let event = next(self.events)?;
            match event.kind {
                Kind::Text => {
                    let text = self.events.characters();
                    digits.extend(text.chars().filter(|c| !is_space(*c)));
                }
                Kind::Character(c) if is_space(c) => {}
                Kind::Character(c) => digits.push(c),
                Kind::End => break,
                _ => return Err(self.stray(&event)),
            }
            if digits.len() > most / 3 * 4 + 4 {
                let most = format!("at most {most} bytes");
                return Err(self.flaw(DsigReason::Limit, at, most, "more"));
            }
        }
        match STANDARD.decode(&digits) {
            Ok(bytes) if !bytes.is_empty() => Ok(bytes),
            Ok(_) => Err(self.flaw(DsigReason::Value, at, "base64", "nothing")),
            Err(_) if digits.starts_with("${") => {
                Err(self.flaw(DsigReason::Value, at, "base64", "a template's placeholder"))
            }
            Err(_) => Err(self.flaw(DsigReason::Value, at, "base64", "something else")),
        }
    }

    /// The attribute of the element just begun.
    fn algorithm(&self, at: usize) -> Result<&str, Flaw> {
        let algorithm = self.events.element().attributes.value("Algorithm");
        algorithm.ok_or_else(|| self.flaw(DsigReason::Form, at, "the attribute Algorithm", "none"))
    }

    /// Only these attributes.
    fn attributes(&self, at: usize, allowed: &[&str]) -> Result<(), Flaw> {
        let attributes = self.events.element().attributes;
        if attributes.iter().all(|a| allowed.contains(&a.name)) {
            return Ok(());
        }
        let expected = match allowed {
            [] => "no attributes".to_owned(),
            allowed => format!("no attributes but {}", allowed.join(", ")),
        };
        Err(self.flaw(DsigReason::Form, at, expected, "another"))
    }

    /// Whether the element just begun is this one of XML Signature.
    fn is(&self, name: &str) -> bool {
        self.events.element().local() == name && self.events.namespace() == NS_DSIG
    }

    fn stray(&self, event: &Event) -> Flaw {
        let found = match event.kind {
            Kind::Comment | Kind::CData => "a comment or CDATA",
            Kind::Instruction => "a processing instruction",
            _ => "text",
        };
        self.flaw(
            DsigReason::Form,
            event.at,
            "elements and their values only",
            found,
        )
    }

    fn flaw(
        &self,
        reason: DsigReason,
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Flaw {
        Flaw::at(reason, self.events, at, expected, found)
    }
}

/// What the reference says.
struct Reference {
    document: Written,
    digest_algorithm: DigestAlgorithm,
    digest_algorithm_at: usize,
    digest: Vec<u8>,
    digest_at: usize,
}
