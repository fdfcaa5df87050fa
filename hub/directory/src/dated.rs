//! Dates of rows: from when, until when, and lists of values that follow one another.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// The days on which a row holds: from `from` (included) until `to` (excluded), in Viet Nam time.
///
/// `to` is the first day on which it no longer holds, as decisions write it ("kể từ ngày 01/7/2025"):
/// a successor's `from` is its predecessor's `to`, without gap or overlap. `None` means without end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    /// First day after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl Validity {
    /// Every day.
    pub const ALWAYS: Self = Self { from: None, to: None };

    /// From a day on, without end.
    #[must_use]
    pub const fn since(from: Date) -> Self {
        Self {
            from: Some(from),
            to: None,
        }
    }

    /// Whether it holds on a day.
    #[must_use]
    pub fn contains(&self, on: Date) -> bool {
        self.from.is_none_or(|from| from <= on) && self.to.is_none_or(|to| on < to)
    }

    /// Whether there is at least one day in it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        match (self.from, self.to) {
            (Some(from), Some(to)) => from < to,
            _ => true,
        }
    }

    /// Whether two of them share a day.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| matches!((a.to, b.from), (Some(to), Some(from)) if to <= from);
        !before(self, other) && !before(other, self)
    }

    pub(crate) fn is_always(&self) -> bool {
        *self == Self::ALWAYS
    }
}

/// A value with its dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated<T> {
    /// The value.
    pub value: T,
    /// When it holds.
    #[serde(default, skip_serializing_if = "Validity::is_always")]
    pub valid: Validity,
    /// The decision that made it so, as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

impl<T> Dated<T> {
    /// A value that holds every day.
    #[must_use]
    pub const fn always(value: T) -> Self {
        Self {
            value,
            valid: Validity::ALWAYS,
            decision: None,
        }
    }
}

/// The value that holds on a day, of a list whose rows do not overlap.
pub(crate) fn value_on<T>(rows: &[Dated<T>], on: Date) -> Option<&T> {
    rows.iter()
        .find(|row| row.valid.contains(on))
        .map(|row| &row.value)
}

/// Makes `value` (or none) hold from `on` until the change after it, if one is planned.
///
/// What held before keeps the days before `on`. Returns whether anything changed; a decision alone is no change.
pub(crate) fn set_from<T: PartialEq>(
    rows: &mut Vec<Dated<T>>,
    value: Option<T>,
    on: Date,
    decision: Option<&str>,
) -> bool {
    if value_on(rows, on) == value.as_ref() {
        return false;
    }
    let mut to = rows
        .iter()
        .filter_map(|row| row.valid.from)
        .filter(|from| *from > on)
        .min();
    if let Some(index) = rows.iter().position(|row| row.valid.contains(on)) {
        to = rows[index].valid.to;
        if rows[index].valid.from == Some(on) {
            rows.remove(index);
        } else {
            rows[index].valid.to = Some(on);
        }
    }
    if let Some(value) = value {
        let valid = Validity { from: Some(on), to };
        rows.push(Dated {
            value,
            valid,
            decision: decision.map(str::to_owned),
        });
    }
    // `None` sorts first: without beginning is before every beginning.
    rows.sort_by_key(|row| row.valid.from);
    true
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const JULY: Date = date(2025, 7, 1);

    #[test]
    fn the_last_day_is_the_one_before_to() {
        let valid = Validity {
            from: Some(date(2025, 1, 1)),
            to: Some(JULY),
        };
        assert!(!valid.contains(date(2024, 12, 31)));
        assert!(valid.contains(date(2025, 1, 1)));
        assert!(valid.contains(date(2025, 6, 30)));
        assert!(!valid.contains(JULY));
        assert!(!valid.overlaps(&Validity::since(JULY)));
        assert!(valid.overlaps(&Validity::since(date(2025, 6, 30))));
        assert!(Validity::ALWAYS.overlaps(&valid));
        assert!(
            !Validity {
                from: Some(JULY),
                to: Some(JULY)
            }
            .is_sound()
        );
    }

    #[test]
    fn a_change_keeps_the_past_and_what_is_planned() {
        let mut rows = vec![Dated::always("a")];
        assert!(!set_from(&mut rows, Some("a"), JULY, None));
        assert!(set_from(&mut rows, Some("b"), JULY, Some("NQ 1")));
        assert!(set_from(&mut rows, Some("c"), date(2025, 3, 1), None));
        assert_eq!(value_on(&rows, date(2025, 2, 28)), Some(&"a"));
        assert_eq!(value_on(&rows, date(2025, 3, 1)), Some(&"c"));
        assert_eq!(value_on(&rows, JULY), Some(&"b"));
        // A correction on the same day leaves no row of zero days.
        assert!(set_from(&mut rows, Some("d"), JULY, None));
        assert_eq!(rows.len(), 3);
        assert!(set_from(&mut rows, None, date(2025, 8, 1), None));
        assert_eq!(value_on(&rows, date(2025, 8, 1)), None);
        assert_eq!(value_on(&rows, date(2025, 7, 31)), Some(&"d"));
    }
}
