//! Values of elements: trimmed texts, dates, numbers, codes; and the checks that every element of the
//! format undergoes against the vocabulary's table of its children.

use std::fmt::Display;

use jiff::civil::{Date, DateTime};
use truc_model::{AgencyCode, CodeForm, RefusalCode, WarningCode};
use unicode_normalization::UnicodeNormalization as _;

use super::DatedSpots;
use crate::date::{self, Form};
use crate::limits::{Limits, MAX_UNKNOWN_ELEMENTS};
use crate::packet::UnknownElement;
use crate::scan::{Findings, NodeId, Spot, Tree};
use crate::vocabulary::{Field, Need, Tag, Times};

/// The tree being read, and where findings go.
pub(super) struct Fields<'t> {
    pub(super) tree: &'t Tree,
    pub(super) limits: &'t Limits,
    pub(super) findings: &'t mut Findings,
    pub(super) unknown: Vec<UnknownElement>,
    pub(super) dated: DatedSpots,
}

impl<'t> Fields<'t> {
    pub(super) fn new(tree: &'t Tree, limits: &'t Limits, findings: &'t mut Findings) -> Self {
        Self {
            tree,
            limits,
            findings,
            unknown: Vec::new(),
            dated: DatedSpots::default(),
        }
    }

    pub(super) fn warn(&mut self, code: WarningCode, node: NodeId) {
        self.findings.warn(code, Spot::Node(node));
    }

    pub(super) fn missing(&mut self, parent: NodeId, tag: Tag) {
        self.findings.warn(
            WarningCode::MissingValue,
            Spot::Missing(Some(parent), tag.as_str()),
        );
    }

    pub(super) fn refuse_missing(&mut self, parent: NodeId, tag: Tag) {
        let spot = Spot::Missing(Some(parent), tag.as_str());
        self.findings
            .refuse(RefusalCode::EnvelopeMissingElement, spot, tag.as_str(), "nothing");
    }

    pub(super) fn refuse_value(
        &mut self,
        node: NodeId,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) {
        self.findings
            .refuse(RefusalCode::EnvelopeBadValue, Spot::Node(node), expected, found);
    }

    /// The first child of this name that is not blank.
    pub(super) fn child(&self, parent: NodeId, tag: Tag) -> Option<NodeId> {
        let tree = self.tree;
        tree.children(parent, tag).find(|child| !tree.is_blank(*child))
    }

    /// The children of this name that are not blank.
    pub(super) fn children(&self, parent: NodeId, tag: Tag) -> Vec<NodeId> {
        let tree = self.tree;
        tree.children(parent, tag)
            .filter(|child| !tree.is_blank(*child))
            .collect()
    }

    /// Checks an element's children against what it knows.
    pub(super) fn check(&mut self, parent: NodeId, known: &'static [Field]) {
        let tree = self.tree;
        let mut times = vec![0_usize; known.len()];
        let mut filled = vec![false; known.len()];
        let mut rank = 0;
        for child in tree.all_children(parent) {
            let node = tree.node(child);
            let position = known
                .iter()
                .position(|field| Some(field.tag) == node.tag && node.family.is_edxml());
            let Some(position) = position else {
                self.note_unknown(child);
                continue;
            };
            let field = &known[position];
            times[position] += 1;
            filled[position] |= !tree.is_blank(child);
            if field.rank < rank {
                self.findings
                    .warn_once(WarningCode::ElementOrder, Spot::Node(child));
            }
            rank = rank.max(field.rank);
            if times[position] == 2 {
                match field.times {
                    Times::Once => {
                        self.refuse_value(child, format!("one {}", field.tag.as_str()), "a second one");
                    }
                    Times::First => self.note_unknown(child),
                    Times::Any => {}
                }
            }
            self.check_text(child, field.max);
        }
        for (field, filled) in known.iter().zip(filled) {
            if field.need == Need::Strict && !filled {
                self.missing(parent, field.tag);
            }
        }
    }

    /// What can be said of any value: blank, outer spaces, length.
    fn check_text(&mut self, id: NodeId, max: usize) {
        let tree = self.tree;
        if tree.has_children(id) || tree.holds_attachment(id) {
            return;
        }
        let written = tree.text(id);
        let text = written.trim();
        if text.is_empty() {
            self.warn(WarningCode::EmptyElement, id);
            return;
        }
        if text.len() != written.len() {
            self.warn(WarningCode::OuterSpaces, id);
        }
        if max > 0 && text.chars().count() > max {
            self.warn(WarningCode::OverLong, id);
        }
    }

    /// An element the format does not know, carried unchanged.
    pub(super) fn note_unknown(&mut self, id: NodeId) {
        self.warn(WarningCode::UnknownElement, id);
        if self.unknown.len() < MAX_UNKNOWN_ELEMENTS {
            let start = self.tree.node(id).start;
            self.unknown.push(UnknownElement {
                path: self.tree.path(id),
                start,
            });
        }
    }

    /// An element's text, trimmed; `None` when blank or a literal null, which is warned of.
    ///
    /// A value with elements inside is refused: which of its texts counts would be anyone's guess.
    pub(super) fn text_of(&mut self, node: NodeId) -> Option<String> {
        if self.tree.has_children(node) {
            self.refuse_value(node, "text", "elements inside");
            return None;
        }
        let text = self.tree.text(node).trim();
        if is_null(text) {
            self.warn(WarningCode::LiteralNull, node);
            return None;
        }
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A child's text.
    pub(super) fn text(&mut self, parent: NodeId, tag: Tag) -> Option<String> {
        let child = self.child(parent, tag)?;
        self.text_of(child)
    }

    /// The texts of all children of this name.
    pub(super) fn texts(&mut self, parent: NodeId, tag: Tag) -> Vec<String> {
        let children = self.children(parent, tag);
        children
            .into_iter()
            .filter_map(|child| self.text_of(child))
            .collect()
    }

    /// A document's identifier: trimmed, in Unicode NFC.
    pub(super) fn document_id(&mut self, parent: NodeId) -> Option<String> {
        self.text(parent, Tag::DocumentId)
            .map(|text| text.nfc().collect())
    }

    /// An agency's code as written. Its spelling is warned of; whether it exists is the directory's.
    pub(super) fn organ_id(&mut self, parent: NodeId) -> Option<String> {
        let node = self.child(parent, Tag::OrganId)?;
        let code = self.text_of(node)?;
        if !is_usual_code(&code) {
            self.warn(WarningCode::AgencyCodeSpelling, node);
        }
        Some(code)
    }

    /// A calendar day, and where it stands.
    pub(super) fn date(&mut self, parent: NodeId, tag: Tag) -> Option<(Date, Spot)> {
        let node = self.child(parent, tag)?;
        let text = self.text_of(node)?;
        let date = self.dated(node, date::read_date(&text))?;
        Some((date, Spot::Node(node)))
    }

    /// A moment, Viet Nam time, and where it stands.
    pub(super) fn timestamp(&mut self, parent: NodeId) -> Option<(DateTime, Spot)> {
        let node = self.child(parent, Tag::Timestamp)?;
        let text = self.text_of(node)?;
        let moment = self.dated(node, date::read_timestamp(&text))?;
        Some((moment, Spot::Node(node)))
    }

    fn dated<T>(&mut self, node: NodeId, read: Result<(T, Form), date::Impossible>) -> Option<T> {
        match read {
            Ok((value, Form::Usual)) => Some(value),
            Ok((value, Form::Other)) => {
                self.warn(WarningCode::DateForm, node);
                Some(value)
            }
            Err(date::Impossible) => {
                self.warn(WarningCode::DateImpossible, node);
                None
            }
        }
    }

    /// A number of digits alone, at most `max`; anything else is warned of and counts as absent.
    pub(super) fn number(&mut self, parent: NodeId, tag: Tag, max: u32) -> Option<u32> {
        let node = self.child(parent, tag)?;
        let text = self.text_of(node)?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number <= max);
        if number.is_none() {
            self.warn(WarningCode::NumberOdd, node);
        }
        number
    }

    /// As [`Self::number`], for a closed list of small numbers.
    pub(super) fn choice<T>(
        &mut self,
        parent: NodeId,
        tag: Tag,
        choose: impl FnOnce(u8) -> Option<T>,
    ) -> Option<T> {
        let number = self.number(parent, tag, u32::from(u8::MAX))?;
        let chosen = u8::try_from(number).ok().and_then(choose);
        if chosen.is_none()
            && let Some(node) = self.child(parent, tag)
        {
            self.warn(WarningCode::NumberOdd, node);
        }
        chosen
    }

    /// Refuses a value that must be one of a closed list. Only short codes are repeated.
    pub(super) fn refuse_choice(
        &mut self,
        code: RefusalCode,
        node: NodeId,
        expected: impl Display,
        text: &str,
    ) {
        const MAX_REPEATED: usize = 8;
        let plain = text.len() <= MAX_REPEATED && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let found = if plain {
            text.to_owned()
        } else {
            format!("{} characters", text.chars().count())
        };
        self.findings
            .refuse(code, Spot::Node(node), expected.to_string(), found);
    }
}

/// `null` and `N/A`, which programs write for nothing.
pub(super) fn is_null(text: &str) -> bool {
    text.eq_ignore_ascii_case("null") || text.eq_ignore_ascii_case("n/a")
}

/// Whether a code is written as its form asks: QCVN's four groups `000.20.31.H53`, QĐ 20's `H53.31.20`,
/// a system's, or a registration number.
fn is_usual_code(raw: &str) -> bool {
    let Ok(code) = AgencyCode::parse(raw) else {
        return false;
    };
    if code.as_str() != raw {
        return false;
    }
    match code.form() {
        CodeForm::Old => {
            let widths: Vec<usize> = raw.split('.').map(str::len).collect();
            widths == [3, 2, 2, 3]
        }
        CodeForm::New | CodeForm::System => true,
        CodeForm::Other => raw.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        for usual in [
            "000.20.31.H53",
            "H53.31.20",
            "H41",
            "00.53.W00",
            "0102030405",
            "0102030405-001",
        ] {
            assert!(is_usual_code(usual), "{usual}");
        }
        for odd in [
            "28.22.H17",
            "79.H36",
            "000.20.31.h53",
            "001.00.20.JB2",
            "TT2",
            "vxp.saas.03",
            "a b",
            "",
        ] {
            assert!(!is_usual_code(odd), "{odd}");
        }
    }
}
