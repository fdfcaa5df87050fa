//! Finding the signature in the packet, in one walk that ends with the header when there is one: it is the last
//! child of the header that the reader reads, or it is none.

use super::NS_DSIG;
use super::element::Attributes;
use super::events::{Event, Events, Kind};
use super::flaw::Flaw;
use super::signature::{Parser, Signature};
use super::syntax::is_blank;
use super::text::Text;
use super::verdict::{AbsentReason, DsigReason};
use crate::limits::Limits;
use crate::vocabulary::{Family, Tag};

/// What the packet has.
pub(super) enum Found {
    Absent(AbsentReason),
    Signature(Box<Signature>),
}

/// Looks for the signature.
pub(super) fn find(text: &Text<'_>, limits: &Limits) -> Result<Found, Flaw> {
    let mut events = Events::document(text, limits);
    let mut outline = Outline::default();
    let mut absent = AbsentReason::None;
    loop {
        let event = next(&mut events)?;
        match event.kind {
            Kind::Start => {
                let local = events.element().local();
                if events.namespace() == NS_DSIG {
                    if !outline.in_header() || local != "Signature" {
                        return Err(misplaced(&events, event.range.start));
                    }
                    let start = event.range.start;
                    let signature = Parser::new(&mut events).signature(start, &outline.inherited)?;
                    check_last(&mut events)?;
                    return Ok(signature.map_or(Found::Absent(AbsentReason::Empty), |signature| {
                        Found::Signature(Box::new(signature))
                    }));
                }
                let part = Part::of(local, events.namespace());
                if outline.in_header() && part == Part::LooksSigned && absent == AbsentReason::None {
                    // Until something is found inside.
                    absent = AbsentReason::Empty;
                    outline.looking = true;
                } else if outline.looking {
                    absent = AbsentReason::EdxmlNamespace;
                }
                outline.open(part, events.element().attributes);
            }
            Kind::End => outline.close(),
            Kind::Text if outline.looking && !is_blank(events.characters()) => {
                absent = AbsentReason::EdxmlNamespace;
            }
            Kind::CData | Kind::Character(_) if outline.looking => absent = AbsentReason::EdxmlNamespace,
            Kind::Eof => return Ok(Found::Absent(absent)),
            _ => {}
        }
    }
}

/// Where the header ends: the place for a signature.
pub(super) fn header_end(text: &Text<'_>, limits: &Limits) -> Result<Option<usize>, Flaw> {
    let mut events = Events::document(text, limits);
    let mut outline = Outline::default();
    loop {
        let event = next(&mut events)?;
        match event.kind {
            Kind::Start => {
                let element = events.element();
                outline.open(Part::of(element.local(), events.namespace()), element.attributes);
            }
            // An empty element's end has no bytes, and no inside.
            Kind::End if outline.in_header() => {
                return Ok((!event.range.is_empty()).then_some(event.range.start));
            }
            Kind::End => outline.close(),
            Kind::Eof => return Ok(None),
            _ => {}
        }
    }
}

/// Nothing but white space, comments and the like may follow in the header.
fn check_last(events: &mut Events<'_>) -> Result<(), Flaw> {
    loop {
        let event = next(events)?;
        match event.kind {
            Kind::Start if events.namespace() == NS_DSIG => {
                return Err(misplaced_after(events, event.range.start));
            }
            Kind::Start => {
                return Err(Flaw::at(
                    DsigReason::Misplaced,
                    events,
                    event.range.start,
                    "Signature as the last child of edXMLHeader",
                    "an element after it",
                ));
            }
            Kind::End | Kind::Eof => return Ok(()),
            _ => {}
        }
    }
}

fn misplaced(events: &Events<'_>, at: usize) -> Flaw {
    let found = if events.element().local() == "Signature" {
        "Signature elsewhere"
    } else {
        "a part of a signature elsewhere"
    };
    Flaw::at(
        DsigReason::Misplaced,
        events,
        at,
        "Signature as the last child of edXMLHeader",
        found,
    )
}

/// A part of XML Signature outside the signature that counts.
pub(super) fn misplaced_after(events: &Events<'_>, at: usize) -> Flaw {
    if events.element().local() == "Signature" {
        return Flaw::at(DsigReason::Several, events, at, "one Signature", "another");
    }
    misplaced(events, at)
}

pub(super) fn next(events: &mut Events<'_>) -> Result<Event, Flaw> {
    events.next().map_err(|fault| Flaw::of_fault(fault, events))
}

/// Where in the packet's shape one stands.
#[derive(Default)]
struct Outline {
    open: Vec<(Part, usize)>,
    /// `xml:` attributes of the open elements.
    inherited: Attributes,
    /// Inside an element that only looks like a signature.
    looking: bool,
}

/// What an element is to the search, by the names the reader knows it under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Root,
    Envelope,
    Header,
    LooksSigned,
    Other,
}

impl Part {
    fn of(local: &str, namespace: &str) -> Self {
        let family = match namespace {
            "" => Family::None,
            namespace => Family::of(namespace),
        };
        if !family.is_edxml() {
            return Self::Other;
        }
        match Tag::find(local).map(|(tag, _)| tag) {
            Some(Tag::EdXml) => Self::Root,
            Some(Tag::EdXmlEnvelope) => Self::Envelope,
            Some(Tag::EdXmlHeader) => Self::Header,
            Some(Tag::Signature | Tag::DigitalSignature) => Self::LooksSigned,
            _ => Self::Other,
        }
    }
}

impl Outline {
    /// The reader takes the envelope with its root and without.
    fn in_header(&self) -> bool {
        let mut parts = self.open.iter().map(|(part, _)| *part);
        let first = parts.next();
        let second = match first {
            Some(Part::Root) => parts.next(),
            other => other,
        };
        second == Some(Part::Envelope) && parts.next() == Some(Part::Header) && parts.next().is_none()
    }

    fn open(&mut self, part: Part, attributes: &Attributes) {
        self.open.push((part, self.inherited.len()));
        for attribute in attributes.iter().filter(|a| a.prefix() == "xml") {
            self.inherited.push(attribute.name, attribute.value);
        }
    }

    fn close(&mut self) {
        if let Some((part, inherited)) = self.open.pop() {
            self.inherited.truncate(inherited);
            self.looking &= part != Part::LooksSigned || !self.in_header();
        }
    }
}
