//! The rows of a calendar's file: days off and swapped days, each with its source.

use jiff::civil::Date;
use serde::Deserialize;

/// How sure a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mark {
    /// The source names the very day.
    Announced,
    /// It follows from a law or from custom; nobody has announced the day yet.
    Expected,
}

impl Mark {
    /// The word in files and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Announced => "announced",
            Self::Expected => "expected",
        }
    }
}

/// Days off that belong together.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DayOff {
    /// Its name in Vietnamese, e.g. `Quốc khánh`.
    pub name: String,
    /// First day.
    pub from: Date,
    /// Last day, itself included.
    pub to: Date,
    /// How sure.
    pub mark: Mark,
    /// The document that says so.
    pub source: String,
}

impl DayOff {
    /// Most days of one row: Tết with its weekends has nine, more is a slip of the pen.
    pub const DAYS_MAX: i32 = 15;

    /// Its days, in order.
    pub fn days(&self) -> impl Iterator<Item = Date> {
        self.from
            .series(jiff::Span::new().days(1))
            .take_while(|day| *day <= self.to)
    }

    /// Whether `day` is one of them.
    #[must_use]
    pub fn holds(&self, day: Date) -> bool {
        self.from <= day && day <= self.to
    }
}

/// A working day off, for which another day is worked (*hoán đổi ngày làm việc*).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swap {
    /// Its name in Vietnamese.
    pub name: String,
    /// The day off.
    pub off: Date,
    /// The day worked instead.
    pub work: Date,
    /// How sure.
    pub mark: Mark,
    /// The document that says so.
    pub source: String,
}
