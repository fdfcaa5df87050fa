//! The canonical form by itself: what a signer sees, to compare with other software and to keep as evidence.

use super::algorithm::Canonicalization;
use super::canonical::{self, Comments, Method};
use super::events::Events;
use super::flaw::Flaw;
use super::signature::Written;
use super::text::{Mark, Text};
use super::verdict::DsigReason;
use crate::limits::Limits;

/// The text has no canonical form that is made here: it is no XML, or beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected well-formed XML within the limits: {0}")]
pub struct NotCanonical(pub DsigReason);

/// The canonical form of a whole document. `prefixes` are those of an exclusive canonicalisation's list;
/// empty for the default namespace.
///
/// # Errors
/// [`NotCanonical`].
pub fn canonical_form(
    document: &[u8],
    canonicalization: Canonicalization,
    prefixes: &[&str],
    limits: &Limits,
) -> Result<Vec<u8>, NotCanonical> {
    let refuse = |flaw: Flaw| NotCanonical(flaw.reason);
    let text = Text::open(&document, Mark::Skipped, limits)
        // Bytes in memory can always be read.
        .map_err(|_| NotCanonical(DsigReason::NotXml))?
        .map_err(refuse)?;
    let written = Written {
        algorithm: canonicalization,
        prefixes: prefixes.iter().map(|prefix| (*prefix).to_owned()).collect(),
    };
    let comments = match canonicalization {
        Canonicalization::Inclusive | Canonicalization::Exclusive => Comments::Without,
        Canonicalization::InclusiveWithComments | Canonicalization::ExclusiveWithComments => Comments::With,
    };
    let method = Method {
        comments,
        ..written.method()
    };
    let mut form = Vec::with_capacity(document.len());
    let mut events = Events::document(&text, limits);
    canonical::document(&mut events, None, &method, &mut (), &mut form)
        .map_err(|fault| refuse(Flaw::of_fault(fault, &events)))?;
    Ok(form)
}
