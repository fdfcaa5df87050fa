//! A place that a finding names lies in the document it speaks of.

use truc_model::{Place, Refusal};

/// Longest path of elements that a finding may name, in characters, with the sign that it was cut.
const MAX_PATH: usize = 4 * Refusal::FOUND_MAX + 1;
/// Longest `expected`: it may name an element, of at most 256 bytes.
pub(crate) const MAX_EXPECTED: usize = 300;

/// The lines of a document.
pub(crate) struct Lines<'a>(Vec<&'a [u8]>);

impl<'a> Lines<'a> {
    pub(crate) fn of(document: &'a [u8]) -> Self {
        Self(document.split(|byte| *byte == b'\n').collect())
    }
}

/// Line and column are of the document, or both 0 for what is absent.
pub(crate) fn assert_within(place: &Place, Lines(lines): &Lines<'_>) {
    let Place::Element { path, line, column } = place else {
        panic!("a finding in a packet is at {place}");
    };
    assert!(path.chars().count() <= MAX_PATH, "a path of {} bytes", path.len());
    assert!(!path.chars().any(char::is_control), "{path:?}");
    if (*line, *column) == (0, 0) {
        return;
    }
    let index = usize::try_from(*line).unwrap().checked_sub(1).expect("line 0");
    let text = lines
        .get(index)
        .unwrap_or_else(|| panic!("line {line} of {}", lines.len()));
    let characters = text.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
    let column = usize::try_from(*column).unwrap();
    // One behind the last character is where something is missing.
    assert!(
        (1..=characters + 1).contains(&column),
        "column {column} of {characters}"
    );
}

/// A text of a finding, for people and for logs.
pub(crate) fn assert_sayable(text: &str, most: usize) {
    assert!(
        text.chars().count() <= most,
        "{} characters",
        text.chars().count()
    );
    assert!(!text.chars().any(char::is_control), "{text:?}");
}
