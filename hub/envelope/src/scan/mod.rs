//! From bytes to a tree of elements: one pass over one event stream.
//!
//! Here belongs everything that makes bytes unfit to be read at all (not UTF-8, DOCTYPE, control
//! characters, ill-formed, beyond a limit), and what is forgiven on this level (stray bytes, a byte
//! order mark, undeclared prefixes, namespaces and spellings). What the elements mean is `read`'s.

mod build;
mod findings;
mod prelude;
mod rules;
mod tree;

pub(crate) use findings::{Findings, Spot, place, position};
pub(crate) use prelude::is_allowed;
pub(crate) use tree::{NodeId, Presence, Tree};

use crate::limits::Limits;

/// Reads the bytes into a tree. When they are unfit the reason is among the findings, and the tree is
/// good only for naming places.
pub(crate) fn scan<'a>(bytes: &'a [u8], limits: &Limits, findings: &mut Findings) -> Tree<'a> {
    match prelude::open(bytes, limits, findings) {
        Some((text, base)) => build::build(text, base, limits, findings),
        None => Tree::default(),
    }
}
