//! What was found on the way, each with the element or the byte where it is; lines and columns are
//! counted once, at the end, and only up to the last finding.

use std::io;

use truc_model::{Place, Refusal, RefusalCode, WarningCode};

use super::tree::{NodeId, Tree};
use crate::limits::{MAX_PATH, MAX_REFUSALS, MAX_WARNINGS};
use crate::read::Warning;
use crate::source::{PacketSource, for_each_block};

/// Where a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// At an element.
    Node(NodeId),
    /// A child that its parent lacks.
    Missing(Option<NodeId>, &'static str),
    /// At a byte, inside an element or outside all.
    Byte(Option<NodeId>, usize),
}

/// The findings of one packet.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    refusals: Vec<(RefusalCode, Spot, String, String)>,
    warnings: Vec<(WarningCode, Spot)>,
}

impl Findings {
    /// Notes what refuses the packet.
    pub(crate) fn refuse(
        &mut self,
        code: RefusalCode,
        spot: Spot,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        if self.refusals.len() < MAX_REFUSALS {
            self.refusals.push((code, spot, expected.into(), found.into()));
        }
    }

    /// Notes what was forgiven.
    pub(crate) fn warn(&mut self, code: WarningCode, spot: Spot) {
        // One place is kept free of the flood: a code not seen yet is always worth a line.
        if self.warnings.len() < MAX_WARNINGS || !self.has(code) {
            self.warnings.push((code, spot));
        }
    }

    /// Notes what was forgiven, at the first place only: the next ones would say the same.
    pub(crate) fn warn_once(&mut self, code: WarningCode, spot: Spot) {
        if !self.has(code) {
            self.warnings.push((code, spot));
        }
    }

    fn has(&self, code: WarningCode) -> bool {
        self.warnings.iter().any(|(seen, _)| *seen == code)
    }

    /// How many there are, for [`Self::forget`].
    pub(super) fn mark(&self) -> (usize, usize) {
        (self.refusals.len(), self.warnings.len())
    }

    /// Forgets what was noted since.
    pub(super) fn forget(&mut self, (refusals, warnings): (usize, usize)) {
        self.refusals.truncate(refusals);
        self.warnings.truncate(warnings);
    }

    pub(crate) fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Gives every finding its place: refusals by precedence and place, warnings by place; last, the places of `others`.
    pub(crate) fn resolve(
        mut self,
        source: &dyn PacketSource,
        tree: &Tree,
        others: &[Spot],
    ) -> io::Result<(Vec<Refusal>, Vec<Warning>, impl Iterator<Item = Place> + use<>)> {
        let at = |spot: &Spot| spot.offset(tree).unwrap_or(usize::MAX);
        self.refusals.sort_by_key(|(code, spot, ..)| (*code, at(spot)));
        self.warnings.sort_by_key(|(code, spot)| (at(spot), *code));
        let spots = self
            .refusals
            .iter()
            .map(|(_, spot, ..)| *spot)
            .chain(self.warnings.iter().map(|(_, s)| *s))
            .chain(others.iter().copied());
        let places = places(source, tree, &spots.collect::<Vec<_>>())?;
        let mut places = places.into_iter();
        let refusals = self
            .refusals
            .into_iter()
            .zip(places.by_ref())
            .map(|((code, _, expected, found), place)| Refusal::new(code, place, expected, found))
            .collect();
        let warnings = self
            .warnings
            .into_iter()
            .zip(places.by_ref())
            .map(|((code, _), place)| Warning { code, place })
            .collect();
        Ok((refusals, warnings, places))
    }
}

impl Spot {
    fn offset(&self, tree: &Tree) -> Option<usize> {
        match self {
            Self::Node(node) => Some(tree.node(*node).start),
            Self::Byte(_, at) => Some(*at),
            Self::Missing(..) => None,
        }
    }

    fn path(&self, tree: &Tree) -> String {
        let path = match self {
            Self::Node(node) | Self::Byte(Some(node), _) => tree.path(*node),
            Self::Byte(None, _) => "/".to_owned(),
            Self::Missing(None, child) => (*child).to_owned(),
            Self::Missing(Some(parent), child) => format!("{}/{child}", tree.path(*parent)),
        };
        match path.char_indices().nth(MAX_PATH) {
            Some((end, _)) => format!("{}…", &path[..end]),
            None => path,
        }
    }
}

/// Places in the order of `spots`, by one walk over the bytes.
fn places(source: &dyn PacketSource, tree: &Tree, spots: &[Spot]) -> io::Result<Vec<Place>> {
    let mut offsets: Vec<usize> = spots.iter().filter_map(|spot| spot.offset(tree)).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let positions = positions(source, &offsets)?;
    let places = spots.iter().map(|spot| {
        let position = spot
            .offset(tree)
            .and_then(|at| offsets.binary_search(&at).ok())
            .and_then(|index| positions.get(index).copied());
        let (line, column) = position.unwrap_or((0, 0));
        Place::Element {
            path: spot.path(tree),
            line,
            column,
        }
    });
    Ok(places.collect())
}

/// Line and column, both from 1, of one offset.
pub(crate) fn position(source: &dyn PacketSource, at: usize) -> io::Result<(u32, u32)> {
    Ok(positions(source, &[at])?.first().copied().unwrap_or((1, 1)))
}

/// Line and column, both from 1, of each of the sorted `offsets`. Columns count characters.
fn positions(source: &dyn PacketSource, offsets: &[usize]) -> io::Result<Vec<(u32, u32)>> {
    let Some(last) = offsets.last() else {
        return Ok(Vec::new());
    };
    let mut walk = Walk::default();
    let mut found = Vec::with_capacity(offsets.len());
    for_each_block(source, 0, *last as u64, &mut |block| {
        let mut rest = block;
        while let Some(next) = offsets.get(found.len())
            && next - walk.at <= rest.len()
        {
            let (before, after) = rest.split_at(next - walk.at);
            walk.pass(before);
            rest = after;
            found.push(walk.position());
        }
        walk.pass(rest);
        Ok(())
    })?;
    // An offset beyond the end is the end.
    found.resize(offsets.len(), walk.position());
    Ok(found)
}

/// Where one is, walking over bytes.
#[derive(Default)]
struct Walk {
    at: usize,
    lines: usize,
    /// Characters of the line so far.
    characters: usize,
}

impl Walk {
    fn pass(&mut self, bytes: &[u8]) {
        self.at += bytes.len();
        let line = match memchr::memrchr(b'\n', bytes) {
            Some(last) => {
                self.lines += memchr::memchr_iter(b'\n', &bytes[..=last]).count();
                self.characters = 0;
                &bytes[last + 1..]
            }
            None => bytes,
        };
        // Every byte but the continuation bytes of UTF-8 begins a character.
        self.characters += line.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    }

    fn position(&self) -> (u32, u32) {
        let from_one = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
        (from_one(self.lines), from_one(self.characters))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one_and_in_characters() {
        let bytes = "ab\r\nđường\nx".as_bytes();
        let at = |text: &str| {
            bytes
                .windows(text.len())
                .position(|w| w == text.as_bytes())
                .unwrap()
        };
        assert_eq!(
            positions(
                &bytes,
                &[0, 1, at("đ"), at("ng"), at("x"), bytes.len(), bytes.len() + 9]
            )
            .unwrap(),
            [(1, 1), (1, 2), (2, 1), (2, 4), (3, 1), (3, 2), (3, 2)]
        );
    }

    #[test]
    fn a_long_path_is_cut() {
        let missing = |length: usize| {
            let name: &'static str = Box::leak("n".repeat(length).into_boxed_str());
            Spot::Missing(None, name).path(&Tree::default())
        };
        assert_eq!(missing(MAX_PATH).chars().count(), MAX_PATH);
        assert_eq!(missing(MAX_PATH + 1), format!("{}…", "n".repeat(MAX_PATH)));
    }

    #[test]
    fn warnings_are_capped_but_a_new_code_is_kept() {
        let mut findings = Findings::default();
        for _ in 0..=MAX_WARNINGS {
            findings.warn(WarningCode::EmptyElement, Spot::Byte(None, 0));
        }
        assert_eq!(findings.warnings.len(), MAX_WARNINGS);
        findings.warn(WarningCode::OverLong, Spot::Byte(None, 0));
        assert_eq!(findings.warnings.len(), MAX_WARNINGS + 1);
        for _ in 0..=MAX_REFUSALS {
            findings.refuse(RefusalCode::EnvelopeBadValue, Spot::Byte(None, 0), "", "");
        }
        assert_eq!(findings.refusals.len(), MAX_REFUSALS);
    }
}
