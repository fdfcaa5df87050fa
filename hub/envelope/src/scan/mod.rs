//! From bytes to a tree of elements: one pass over the tokens of the packet, wherever it lies.
//!
//! Here belongs everything that makes bytes unfit to be read at all (not UTF-8, DOCTYPE, control
//! characters, ill-formed, beyond a limit), and what is forgiven on this level (stray bytes, a byte
//! order mark, undeclared prefixes, namespaces and spellings). What the elements mean is `read`'s. The content
//! of attachments is decoded in passing: a large packet is read once.

mod attributes;
mod build;
mod findings;
mod prelude;
mod rules;
mod text;
mod tree;

pub(crate) use findings::{Findings, Spot, position};
pub(crate) use tree::{NodeId, Presence, Tree};

use truc_model::Sha256;

use crate::limits::Limits;
use crate::tokens::Input;

/// What the scan came to.
#[derive(Default)]
pub(crate) struct Scanned {
    /// When the bytes are unfit, good only for naming places.
    pub(crate) tree: Tree,
    /// Digest of the packet, where it had to be read for it anyway.
    pub(crate) sha256: Option<Sha256>,
}

/// Reads a packet into a tree. When the bytes are unfit the reason is among the findings.
pub(crate) fn scan(input: &Input<'_>, limits: &Limits, findings: &mut Findings) -> Scanned {
    let Some(opened) = prelude::open(input, limits, findings) else {
        return Scanned::default();
    };
    let mark = findings.mark();
    let (tree, window) = build::build(opened.window, opened.base, limits, findings);
    let Some(survey) = opened.survey.or_else(|| window.survey()) else {
        return Scanned { tree, sha256: None };
    };
    if survey.not_utf8.is_some() {
        // What bytes before it say is said of no text.
        findings.forget(mark);
        prelude::conclude(&survey, findings);
        return Scanned::default();
    }
    prelude::conclude(&survey, findings);
    Scanned {
        tree,
        sha256: survey.finish(),
    }
}
