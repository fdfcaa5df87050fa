//! What was found on the way, each with the element or the byte where it is; lines and columns are
//! counted once, at the end, and only up to the last finding.

use truc_model::{Place, Refusal, RefusalCode, WarningCode};

use super::tree::{NodeId, Tree};
use crate::limits::{MAX_PATH, MAX_REFUSALS, MAX_WARNINGS};
use crate::read::Warning;

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

    pub(crate) fn is_refused(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Gives every finding its place: refusals by precedence and place, warnings by place.
    pub(crate) fn resolve(mut self, bytes: &[u8], tree: &Tree<'_>) -> (Vec<Refusal>, Vec<Warning>) {
        let at = |spot: &Spot| spot.offset(tree).unwrap_or(usize::MAX);
        self.refusals.sort_by_key(|(code, spot, ..)| (*code, at(spot)));
        self.warnings.sort_by_key(|(code, spot)| (at(spot), *code));
        let spots = self
            .refusals
            .iter()
            .map(|(_, spot, ..)| *spot)
            .chain(self.warnings.iter().map(|(_, s)| *s));
        let places = places(bytes, tree, &spots.collect::<Vec<_>>());
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
            .zip(places)
            .map(|((code, _), place)| Warning { code, place })
            .collect();
        (refusals, warnings)
    }
}

impl Spot {
    fn offset(&self, tree: &Tree<'_>) -> Option<usize> {
        match self {
            Self::Node(node) => Some(tree.node(*node).start),
            Self::Byte(_, at) => Some(*at),
            Self::Missing(..) => None,
        }
    }

    fn path(&self, tree: &Tree<'_>) -> String {
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

/// The place of one spot.
pub(crate) fn place(bytes: &[u8], tree: &Tree<'_>, spot: Spot) -> Place {
    places(bytes, tree, &[spot]).pop().unwrap_or(Place::Message)
}

/// Places in the order of `spots`, by one walk over the bytes.
fn places(bytes: &[u8], tree: &Tree<'_>, spots: &[Spot]) -> Vec<Place> {
    let mut offsets: Vec<usize> = spots.iter().filter_map(|spot| spot.offset(tree)).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let positions = positions(bytes, &offsets);
    spots
        .iter()
        .map(|spot| {
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
        })
        .collect()
}

/// Line and column, both from 1, of one offset.
pub(crate) fn position(bytes: &[u8], at: usize) -> (u32, u32) {
    positions(bytes, &[at]).first().copied().unwrap_or((1, 1))
}

/// Line and column, both from 1, of each of the sorted `offsets`. Columns count characters.
fn positions(bytes: &[u8], offsets: &[usize]) -> Vec<(u32, u32)> {
    let (mut line, mut line_start, mut from) = (1_u32, 0, 0);
    offsets
        .iter()
        .map(|&at| {
            let at = at.min(bytes.len());
            for (index, _) in bytes[from..at]
                .iter()
                .enumerate()
                .filter(|(_, byte)| **byte == b'\n')
            {
                line = line.saturating_add(1);
                line_start = from + index + 1;
            }
            from = at;
            // Every byte but the continuation bytes of UTF-8 begins a character.
            let before = bytes[line_start..at]
                .iter()
                .filter(|byte| **byte & 0xC0 != 0x80)
                .count();
            (line, u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1))
        })
        .collect()
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
                bytes,
                &[0, 1, at("đ"), at("ng"), at("x"), bytes.len(), bytes.len() + 9]
            ),
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
