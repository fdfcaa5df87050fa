//! A finding on the way, before its line and column are counted. Offsets are the packet's.

use std::io;

use truc_model::{Place, Refusal};

use super::events::{Events, Fault, FaultKind};
use super::verdict::{DsigReason, InvalidDsig};
use crate::limits::MAX_PATH;
use crate::scan::position;
use crate::source::PacketSource;

/// Why a signature does not hold, and where in the text.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) reason: DsigReason,
    spot: Spot,
    expected: String,
    found: String,
}

#[derive(Debug)]
enum Spot {
    Text { at: usize, path: String },
    Place(Place),
}

impl Flaw {
    /// At a byte inside the element that the events stand in.
    pub(super) fn at(
        reason: DsigReason,
        events: &Events<'_>,
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self::on(reason, path(events), at, expected, found)
    }

    /// At a byte inside the element of this path.
    pub(super) fn on(
        reason: DsigReason,
        path: impl Into<String>,
        at: usize,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        Self {
            reason,
            spot: Spot::Text {
                at,
                path: path.into(),
            },
            expected: expected.into(),
            found: found.into(),
        }
    }

    /// What the events ended with.
    pub(super) fn of_fault(fault: Fault, events: &Events<'_>) -> Self {
        let (reason, expected, found) = match fault.kind {
            FaultKind::Malformed(expected) => (DsigReason::NotXml, expected.to_owned(), "something else"),
            FaultKind::Doctype => (DsigReason::Doctype, "no DOCTYPE".to_owned(), "DOCTYPE"),
            FaultKind::Limit(what) => (DsigReason::Limit, format!("{what} within the limit"), "more"),
        };
        Self::at(reason, events, fault.at, expected, found)
    }

    /// What stands against the certificate.
    pub(super) fn of_refusal(refusal: Refusal) -> Self {
        Self {
            reason: DsigReason::Certificate(refusal.code),
            spot: Spot::Place(refusal.place),
            expected: refusal.expected,
            found: refusal.found,
        }
    }

    /// The finding for people.
    pub(super) fn resolve(self, source: &dyn PacketSource) -> io::Result<InvalidDsig> {
        let place = match self.spot {
            Spot::Place(place) => place,
            Spot::Text { at, path } => {
                let (line, column) = position(source, at)?;
                Place::Element { path, line, column }
            }
        };
        Ok(InvalidDsig {
            reason: self.reason,
            place,
            expected: self.expected,
            found: self.found,
        })
    }
}

/// Local names of the open elements, from the root.
fn path(events: &Events<'_>) -> String {
    let names: Vec<&str> = events
        .open()
        .map(|name| name.split_once(':').map_or(name, |(_, local)| local))
        .collect();
    let path = names.join("/");
    match path.char_indices().nth(MAX_PATH) {
        Some((end, _)) => format!("{}…", &path[..end]),
        None if path.is_empty() => "/".to_owned(),
        None => path,
    }
}
