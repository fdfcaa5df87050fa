//! Cells as values: names made clean, dates in the two ways people write them.

use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization as _;

/// What a cell says about a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cell<T> {
    /// Nothing: no such column, or a value that could not be read. What is known stays.
    Silent,
    /// That there is none.
    Empty,
    /// A value.
    Value(T),
}

impl<T> Cell<T> {
    /// From the text of a cell and what reads it; what cannot be read is silent, and an error.
    pub(crate) fn read<E>(text: Option<&str>, read: impl FnOnce(&str) -> Result<T, E>) -> (Self, Option<E>) {
        match text {
            None => (Self::Silent, None),
            Some("") => (Self::Empty, None),
            Some(text) => match read(text) {
                Ok(value) => (Self::Value(value), None),
                Err(error) => (Self::Silent, Some(error)),
            },
        }
    }

    /// What holds after this cell: its own value, none, or what was known.
    pub(crate) fn or_known(self, known: Option<T>) -> Option<T> {
        match self {
            Self::Silent => known,
            Self::Empty => None,
            Self::Value(value) => Some(value),
        }
    }
}

/// A name as it is kept: composed (NFC), single spaces, no invisible characters, Đ for the Icelandic Ð
/// that old keyboards made of it.
pub(crate) fn clean(raw: &str) -> String {
    let letters = raw.nfc().filter(|c| !is_invisible(*c)).map(|c| match c {
        'Ð' => 'Đ',
        'ð' => 'đ',
        c if c.is_control() => ' ',
        c => c,
    });
    let text: String = letters.collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Zero-width and direction marks, soft hyphen, byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

/// The text is no date of our age.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotADate;

/// First year that is taken for one.
const YEAR_MIN: i16 = 1945;
/// Last year that is taken for one.
const YEAR_MAX: i16 = 2100;

/// `2025-07-01` or `01/07/2025`.
pub(crate) fn date(text: &str) -> Result<Date, NotADate> {
    let day_first: Vec<&str> = text.split('/').collect();
    let iso: Vec<&str> = text.split('-').collect();
    let (year, month, day) = match (iso.as_slice(), day_first.as_slice()) {
        ([year, month, day], _) | (_, [day, month, year]) => {
            (number(year, 4)?, number(month, 2)?, number(day, 2)?)
        }
        _ => return Err(NotADate),
    };
    let (month, day) = (i8::try_from(month), i8::try_from(day));
    match (month, day) {
        (Ok(month), Ok(day)) if (YEAR_MIN..=YEAR_MAX).contains(&year) => {
            Date::new(year, month, day).map_err(|_| NotADate)
        }
        _ => Err(NotADate),
    }
}

fn number(text: &str, most: usize) -> Result<i16, NotADate> {
    if text.is_empty() || text.len() > most || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(NotADate);
    }
    text.parse().map_err(|_| NotADate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean("  UBND  xã\u{a0}Kim\tPhú\u{200b}\n"), "UBND xã Kim Phú");
        assert_eq!(clean("Trần Ðại Nghĩa"), "Trần Đại Nghĩa");
        assert_eq!(clean("xa\u{303}"), "xã");
        assert_eq!(clean("Sở Tài chính"), "Sở Tài chính");
    }

    #[test]
    fn dates_in_two_ways() {
        let july = jiff::civil::date(2025, 7, 1);
        for text in ["2025-07-01", "01/07/2025", "1/7/2025"] {
            assert_eq!(date(text), Ok(july), "{text}");
        }
        for text in [
            "",
            "2025",
            "2025-02-30",
            "31/06/2025",
            "0025-07-01",
            "1944-12-31",
            "2101-01-01",
            "7/13/2025",
            "+025-07-01",
            "2025-07-01T00",
            "2025/07/01",
        ] {
            assert_eq!(date(text), Err(NotADate), "{text}");
        }
    }
}
