//! What is missing in a calendar, or not confirmed: what a person should look at before the year comes.

use std::fmt;

use jiff::civil::Date;

use crate::calendar::{DayKind, WorkCalendar};
use crate::row::Mark;
use crate::statute;

/// Something in a calendar to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A day that the law makes a holiday is a working day.
    Missing {
        /// The day.
        day: Date,
        /// Its name in Vietnamese.
        name: &'static str,
    },
    /// A year the file does not speak for is near.
    YearMissing {
        /// The year.
        year: i16,
    },
    /// A row that nobody has announced.
    Unconfirmed {
        /// Its first day.
        day: Date,
        /// Its name.
        name: String,
        /// What it stands on.
        source: String,
    },
    /// A row without the document that says so.
    NoSource {
        /// Its first day.
        day: Date,
        /// Its name.
        name: String,
    },
    /// A swap that changes nothing: its day off is one of rest, or the day worked is worked anyway.
    IdleSwap {
        /// The day off.
        off: Date,
        /// The day worked.
        work: Date,
    },
}

impl Finding {
    /// Whether due times are wrong while it stands; else it is only to be confirmed.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Missing { .. } | Self::YearMissing { .. } | Self::IdleSwap { .. }
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = |day: &Date| day.strftime("%d/%m/%Y").to_string();
        match self {
            Self::Missing { day, name } => {
                write!(
                    f,
                    "{} là ngày nghỉ theo luật ({name}) nhưng lịch ghi là ngày làm việc",
                    date(day)
                )
            }
            Self::YearMissing { year } => {
                write!(f, "chưa có năm {year}: chỉ biết thứ bảy, chủ nhật")
            }
            Self::Unconfirmed { day, name, source } => {
                write!(f, "{} {name}: dự kiến, chưa có thông báo ({source})", date(day))
            }
            Self::NoSource { day, name } => write!(f, "{} {name}: không ghi văn bản nguồn", date(day)),
            Self::IdleSwap { off, work } => {
                write!(f, "hoán đổi {} sang {} không thay đổi gì", date(off), date(work))
            }
        }
    }
}

impl WorkCalendar {
    /// From this month on the next year should be in the calendar: the Government announces Tết in autumn.
    pub const NEXT_YEAR_FROM_MONTH: i8 = 10;

    /// Everything to look at on the day `today`: faults first, then by day.
    #[must_use]
    pub fn check(&self, today: Date) -> Vec<Finding> {
        let mut found = Vec::new();
        let next = (today.month() >= Self::NEXT_YEAR_FROM_MONTH).then_some(today.year() + 1);
        for year in [Some(today.year()), next].into_iter().flatten() {
            if !self.covers(year) {
                found.push(Finding::YearMissing { year });
            }
        }
        for year in self.years() {
            for (day, name) in statute::days_of(year) {
                if self.is_working_day(day) {
                    found.push(Finding::Missing { day, name });
                }
            }
        }
        for swap in self.swaps() {
            let idle = !self.is_in_week(swap.off) || self.is_in_week(swap.work);
            if idle && matches!(self.day(swap.off), DayKind::SwappedOff(_)) {
                found.push(Finding::IdleSwap {
                    off: swap.off,
                    work: swap.work,
                });
            }
        }
        let mut rows: Vec<(Date, &str, Mark, &str)> = Vec::new();
        for row in self.holidays() {
            rows.push((row.from, &row.name, row.mark, &row.source));
        }
        for row in self.swaps() {
            rows.push((row.off, &row.name, row.mark, &row.source));
        }
        rows.sort_by_key(|(day, ..)| *day);
        for (day, name, mark, source) in rows {
            if source.trim().is_empty() {
                let name = name.to_owned();
                found.push(Finding::NoSource { day, name });
            } else if mark == Mark::Expected {
                found.push(Finding::Unconfirmed {
                    day,
                    name: name.to_owned(),
                    source: source.to_owned(),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "years = [2027]\n[working]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\nhours = [\"07:30-11:30\"]\n";

    #[test]
    fn the_shipped_calendar_has_no_fault_and_two_days_to_confirm() {
        let found = WorkCalendar::shipped()
            .unwrap()
            .check(Date::constant(2026, 11, 23));
        let days: Vec<String> = found
            .iter()
            .map(|finding| match finding {
                Finding::Unconfirmed { day, .. } => day.to_string(),
                other => panic!("{other}"),
            })
            .collect();
        assert_eq!(days, ["2027-04-16", "2027-05-03"]);
    }

    #[test]
    fn the_next_year_is_missed_from_october_on() {
        let calendar = WorkCalendar::shipped().unwrap();
        let missed = |today| {
            calendar
                .check(today)
                .contains(&Finding::YearMissing { year: 2028 })
        };
        assert!(!missed(Date::constant(2027, 9, 30)));
        assert!(missed(Date::constant(2027, 10, 1)));
        assert!(missed(Date::constant(2028, 1, 1)));
    }

    #[test]
    fn an_empty_year_misses_every_day_of_the_law_that_is_in_the_week() {
        let found = WorkCalendar::parse(HEAD)
            .unwrap()
            .check(Date::constant(2027, 1, 1));
        let days: Vec<String> = found
            .iter()
            .filter(|finding| finding.is_fault())
            .map(ToString::to_string)
            .collect();
        // 1/1; 8/2 (6 and 7 February are a weekend); 16/4; 30/4 (1 May is a Saturday); 2/9; 24/11.
        assert_eq!(days.len(), 6, "{days:?}");
        assert!(days[1].starts_with("08/02/2027 là ngày nghỉ theo luật"));
    }

    #[test]
    fn a_swap_that_changes_nothing_and_a_row_without_source_are_told() {
        let text = format!(
            "{HEAD}[[swap]]\nname = \"x\"\noff = \"2027-03-06\"\nwork = \"2027-03-13\"\nmark = \"announced\"\nsource = \" \"\n"
        );
        let found = WorkCalendar::parse(&text)
            .unwrap()
            .check(Date::constant(2027, 1, 1));
        assert!(found.contains(&Finding::IdleSwap {
            off: Date::constant(2027, 3, 6),
            work: Date::constant(2027, 3, 13)
        }));
        assert!(
            found
                .iter()
                .any(|finding| matches!(finding, Finding::NoSource { .. }))
        );
    }
}
