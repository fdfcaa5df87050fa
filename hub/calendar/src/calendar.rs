//! The working calendar: which moments are working time, and arithmetic on them.
//!
//! The edges: a span of working time holds its opening and not its close, so 11:30 and 17:00 sharp are not
//! working time; what is due at one of them is due as people stop. Adding working time ends at the close rather
//! than at the next opening.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Deserialize;

use crate::row::{DayOff, Swap};
use crate::working::WorkingTime;

/// What is wrong with a calendar's file.
#[derive(Debug, thiserror::Error)]
pub enum CalendarError {
    /// Not TOML, or not of this shape.
    #[error("the calendar cannot be read")]
    Shape(#[from] toml::de::Error),
    /// A time that is none, or hours that overlap or run backwards.
    #[error("working hours: expected spans in order such as \"07:30-11:30\", found {0:?}")]
    Hours(String),
    /// No working day in the week, or a word that is none.
    #[error("working days: expected some of mon tue wed thu fri sat sun, found {0:?}")]
    Week(Vec<String>),
    /// A row that ends before it begins, or is longer than [`DayOff::DAYS_MAX`].
    #[error("{name} from {from}: expected 1 to {max} days", max = DayOff::DAYS_MAX)]
    Length {
        /// Its name.
        name: String,
        /// Its first day.
        from: Date,
    },
    /// Two rows speak of one day.
    #[error("{day} stands in two rows, the second is {name}")]
    Twice {
        /// The day.
        day: Date,
        /// The second row.
        name: String,
    },
    /// A row of a year the file does not say it speaks for.
    #[error("{name} on {day}: its year is not among the years of the file")]
    Year {
        /// The day.
        day: Date,
        /// The row.
        name: String,
    },
    /// More rows than [`WorkCalendar::ROWS_MAX`].
    #[error("more than {max} rows", max = WorkCalendar::ROWS_MAX)]
    Rows,
    /// Nobody works for longer than [`WorkCalendar::CLOSED_DAYS_MAX`].
    #[error("nobody works for more than {max} days after {0}", max = WorkCalendar::CLOSED_DAYS_MAX)]
    Closed(Date),
}

/// What a day is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayKind<'a> {
    /// A usual working day.
    Working,
    /// Weekly rest.
    Rest,
    /// A day off.
    Off(&'a DayOff),
    /// A working day off, swapped for another.
    SwappedOff(&'a Swap),
    /// A day of rest that is worked, swapped for another.
    SwappedWork(&'a Swap),
}

impl DayKind<'_> {
    /// Whether people work.
    #[must_use]
    pub const fn is_working(self) -> bool {
        matches!(self, Self::Working | Self::SwappedWork(_))
    }
}

/// When public bodies work: hours, holidays and swapped days.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkCalendar {
    pub(crate) years: BTreeSet<i16>,
    week: BTreeSet<i8>,
    hours: Vec<Hours>,
    pub(crate) holidays: Vec<DayOff>,
    pub(crate) swaps: Vec<Swap>,
    days: BTreeMap<Date, Place>,
}

/// A span of working hours, in seconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hours {
    open: i64,
    close: i64,
}

/// Where the row of a special day stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Off(usize),
    SwappedOff(usize),
    SwappedWork(usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    years: BTreeSet<i16>,
    working: FileWorking,
    #[serde(default)]
    holiday: Vec<DayOff>,
    #[serde(default)]
    swap: Vec<Swap>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWorking {
    days: Vec<String>,
    hours: Vec<String>,
}

impl WorkCalendar {
    /// Most rows in a file: thirty years of them.
    pub const ROWS_MAX: usize = 600;
    /// Longest time without a working day. Every search for one ends within it.
    pub const CLOSED_DAYS_MAX: usize = 31;
    /// Most working days in one reckoning; what is longer ends there.
    pub const REACH_DAYS_MAX: u32 = 4000;
    /// Seconds of a day.
    const DAY: i64 = 86_400;

    /// The calendar the program comes with ([`crate::CALENDAR`]).
    ///
    /// # Errors
    /// None for a file that passed the tests of this crate.
    pub fn shipped() -> Result<Self, CalendarError> {
        Self::parse(crate::CALENDAR)
    }

    /// Reads a calendar's file (`config/calendar.toml` shows and explains its shape).
    ///
    /// # Errors
    /// [`CalendarError`], naming the row.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let file: File = toml::from_str(text)?;
        let mut calendar = Self {
            years: file.years,
            week: week(&file.working.days)?,
            hours: hours(&file.working.hours)?,
            holidays: file.holiday,
            swaps: file.swap,
            days: BTreeMap::new(),
        };
        if calendar.holidays.len() + calendar.swaps.len() > Self::ROWS_MAX {
            return Err(CalendarError::Rows);
        }
        calendar.days = calendar.special_days()?;
        calendar.not_closed_for_long()?;
        Ok(calendar)
    }

    fn special_days(&self) -> Result<BTreeMap<Date, Place>, CalendarError> {
        let mut days = BTreeMap::new();
        let mut put = |day: Date, place, name: &str| {
            if !self.years.contains(&day.year()) {
                let name = name.to_owned();
                return Err(CalendarError::Year { day, name });
            }
            if days.insert(day, place).is_some() {
                let name = name.to_owned();
                return Err(CalendarError::Twice { day, name });
            }
            Ok(())
        };
        for (index, row) in self.holidays.iter().enumerate() {
            let length = (row.to - row.from).get_days() + 1;
            if !(1..=DayOff::DAYS_MAX).contains(&length) {
                return Err(CalendarError::Length {
                    name: row.name.clone(),
                    from: row.from,
                });
            }
            for day in row.days() {
                put(day, Place::Off(index), &row.name)?;
            }
        }
        for (index, row) in self.swaps.iter().enumerate() {
            put(row.off, Place::SwappedOff(index), &row.name)?;
            put(row.work, Place::SwappedWork(index), &row.name)?;
        }
        Ok(days)
    }

    /// Every search for a working day must end.
    fn not_closed_for_long(&self) -> Result<(), CalendarError> {
        for day in self.days.keys() {
            let mut days = following(*day).take(Self::CLOSED_DAYS_MAX + 1);
            if !days.any(|day| self.is_working_day(day)) {
                return Err(CalendarError::Closed(*day));
            }
        }
        Ok(())
    }

    /// The years it speaks for. Outside them only weekends are known.
    pub fn years(&self) -> impl Iterator<Item = i16> + '_ {
        self.years.iter().copied()
    }

    /// Whether it speaks for the year.
    #[must_use]
    pub fn covers(&self, year: i16) -> bool {
        self.years.contains(&year)
    }

    /// Days off, in the order of the file.
    #[must_use]
    pub fn holidays(&self) -> &[DayOff] {
        &self.holidays
    }

    /// Swapped days, in the order of the file.
    #[must_use]
    pub fn swaps(&self) -> &[Swap] {
        &self.swaps
    }

    /// What a day is.
    #[must_use]
    pub fn day(&self, day: Date) -> DayKind<'_> {
        match self.days.get(&day) {
            Some(Place::Off(index)) => DayKind::Off(&self.holidays[*index]),
            Some(Place::SwappedOff(index)) => DayKind::SwappedOff(&self.swaps[*index]),
            Some(Place::SwappedWork(index)) => DayKind::SwappedWork(&self.swaps[*index]),
            None if self.is_in_week(day) => DayKind::Working,
            None => DayKind::Rest,
        }
    }

    /// Whether people work on this day.
    #[must_use]
    pub fn is_working_day(&self, day: Date) -> bool {
        self.day(day).is_working()
    }

    /// Whether the day's weekday is one that is worked.
    pub(crate) fn is_in_week(&self, day: Date) -> bool {
        self.week.contains(&day.weekday().to_monday_one_offset())
    }

    /// How long people work on a working day.
    #[must_use]
    pub fn day_length(&self) -> WorkingTime {
        WorkingTime::from_seconds(
            self.hours
                .iter()
                .map(|span| seconds(span.close - span.open))
                .sum(),
        )
    }

    /// Whether a time of the day is within working hours, their close included: a time something may be due at.
    #[must_use]
    pub fn may_be_due_at(&self, time: Time) -> bool {
        let second = second_of(time);
        self.hours
            .iter()
            .any(|span| span.open <= second && second <= span.close)
    }

    /// Whether people work at this moment.
    #[must_use]
    pub fn is_working_time(&self, at: Timestamp) -> bool {
        let at = local(at);
        self.is_working_day(at.date()) && {
            let second = second_of(at.time());
            self.hours
                .iter()
                .any(|span| span.open <= second && second < span.close)
        }
    }

    /// The working day in which something is taken to happen: the day itself while people still work or begin
    /// to, else the next working day.
    #[must_use]
    pub fn working_day_of(&self, at: Timestamp) -> Date {
        self.open_from(local(at)).date()
    }

    /// `at` if it is working time, else when work begins again.
    #[must_use]
    pub fn next_working_time(&self, at: Timestamp) -> Timestamp {
        global(self.open_from(local(at)))
    }

    /// The n-th working day after `day`; with 0 the first that is not before it.
    #[must_use]
    pub fn working_day_after(&self, day: Date, n: u16) -> Date {
        if n == 0 {
            return self.open_day_from(day);
        }
        let mut day = day;
        for _ in 0..n {
            day = self.open_day_from(next(day));
        }
        day
    }

    /// The same time of the day, so many working days later; from a moment outside working time, counted from
    /// when work begins again.
    #[must_use]
    pub fn add_working_days(&self, at: Timestamp, days: u16) -> Timestamp {
        let from = self.open_from(local(at));
        let day = self.working_day_after(from.date(), days);
        global(with_second(day, second_of(from.time())))
    }

    /// When so much working time has passed, to the second.
    #[must_use]
    pub fn add_working_time(&self, at: Timestamp, time: WorkingTime) -> Timestamp {
        let mut from = self.open_from(local(at));
        let mut left = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
        for _ in 0..Self::REACH_DAYS_MAX {
            let mut second = second_of(from.time());
            for span in &self.hours {
                second = second.max(span.open);
                let room = span.close - second;
                if room > 0 && room >= left {
                    return global(with_second(from.date(), second + left));
                }
                left -= room.max(0);
            }
            from = self.open_day_from(next(from.date())).at(0, 0, 0, 0);
        }
        global(from)
    }

    /// How much working time lies between two moments; none when `to` is not after `from`.
    #[must_use]
    pub fn working_time_between(&self, from: Timestamp, to: Timestamp) -> WorkingTime {
        let (from, to) = (local(from), local(to));
        if to <= from {
            return WorkingTime::ZERO;
        }
        let worked = |date: Date, from: i64, to: i64| -> i64 {
            if !self.is_working_day(date) {
                return 0;
            }
            let spans = self.hours.iter();
            spans
                .map(|span| (span.close.min(to) - span.open.max(from)).max(0))
                .sum()
        };
        if from.date() == to.date() {
            return WorkingTime::from_seconds(seconds(worked(
                from.date(),
                second_of(from.time()),
                second_of(to.time()),
            )));
        }
        let mut sum = worked(from.date(), second_of(from.time()), Self::DAY)
            + worked(to.date(), 0, second_of(to.time()));
        let between = following(from.date()).take_while(|day| *day < to.date());
        for day in between.take(Self::REACH_DAYS_MAX as usize) {
            sum += worked(day, 0, Self::DAY);
        }
        WorkingTime::from_seconds(seconds(sum))
    }

    /// `at` if it is working time, else when work begins again.
    fn open_from(&self, at: DateTime) -> DateTime {
        if self.is_working_day(at.date()) {
            let second = second_of(at.time());
            if let Some(span) = self.hours.iter().find(|span| second < span.close) {
                return if second < span.open {
                    with_second(at.date(), span.open)
                } else {
                    at
                };
            }
            return self.opening(next(at.date()));
        }
        self.opening(at.date())
    }

    /// When the first working day from `day` on begins.
    fn opening(&self, day: Date) -> DateTime {
        let open = self.hours.first().map_or(0, |span| span.open);
        with_second(self.open_day_from(day), open)
    }

    /// The first working day from `day` on. Ends: see [`Self::not_closed_for_long`]; at the end of all dates it
    /// gives the last.
    fn open_day_from(&self, day: Date) -> Date {
        let mut days = std::iter::once(day).chain(following(day).take(Self::CLOSED_DAYS_MAX + 7));
        days.find(|day| self.is_working_day(*day)).unwrap_or(day)
    }
}

fn week(words: &[String]) -> Result<BTreeSet<i8>, CalendarError> {
    let wrong = || CalendarError::Week(words.to_vec());
    let all = [
        ("mon", Weekday::Monday),
        ("tue", Weekday::Tuesday),
        ("wed", Weekday::Wednesday),
        ("thu", Weekday::Thursday),
        ("fri", Weekday::Friday),
        ("sat", Weekday::Saturday),
        ("sun", Weekday::Sunday),
    ];
    let mut week = BTreeSet::new();
    for word in words {
        let (_, day) = all.iter().find(|(name, _)| name == word).ok_or_else(wrong)?;
        week.insert(day.to_monday_one_offset());
    }
    if week.is_empty() { Err(wrong()) } else { Ok(week) }
}

fn hours(words: &[String]) -> Result<Vec<Hours>, CalendarError> {
    let mut hours: Vec<Hours> = Vec::new();
    for word in words {
        let wrong = || CalendarError::Hours(word.clone());
        let (open, close) = word.split_once('-').ok_or_else(wrong)?;
        let time = |text: &str| time_of(text).map(second_of).ok_or_else(wrong);
        let (open, close) = (time(open)?, time(close)?);
        let after = hours.last().map_or(-1, |span| span.close);
        if open >= close || open <= after {
            return Err(wrong());
        }
        hours.push(Hours { open, close });
    }
    if hours.is_empty() {
        return Err(CalendarError::Hours(String::new()));
    }
    Ok(hours)
}

/// Reads `07:30`.
pub(crate) fn time_of(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two = |part: &str| (part.len() == 2).then(|| part.parse().ok()).flatten();
    Time::new(two(hour)?, two(minute)?, 0, 0).ok()
}

pub(crate) fn local(at: Timestamp) -> DateTime {
    at.to_zoned(zone()).datetime()
}

pub(crate) fn global(at: DateTime) -> Timestamp {
    // Only the first and last hours of all dates have no moment.
    zone().to_timestamp(at).unwrap_or(Timestamp::MAX)
}

fn zone() -> TimeZone {
    truc_model::clock::viet_nam()
}

fn second_of(time: Time) -> i64 {
    i64::from(time.hour()) * 3600 + i64::from(time.minute()) * 60 + i64::from(time.second())
}

fn with_second(day: Date, second: i64) -> DateTime {
    let midnight = day.at(0, 0, 0, 0);
    midnight
        .checked_add(Span::new().seconds(second))
        .unwrap_or(midnight)
}

fn seconds(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

fn next(day: Date) -> Date {
    day.tomorrow().unwrap_or(day)
}

/// The days after `day`.
fn following(day: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(day.tomorrow().ok(), |day| day.tomorrow().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "years = [2026]\n[working]\ndays = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"]\n";

    fn parse(rows: &str) -> Result<WorkCalendar, CalendarError> {
        WorkCalendar::parse(&format!(
            "{HEAD}hours = [\"07:30-11:30\", \"13:30-17:00\"]\n{rows}"
        ))
    }

    fn off(from: &str, to: &str) -> String {
        format!(
            "[[holiday]]\nname = \"x\"\nfrom = \"{from}\"\nto = \"{to}\"\nmark = \"expected\"\nsource = \"y\"\n"
        )
    }

    fn swap(off: &str, work: &str) -> String {
        format!(
            "[[swap]]\nname = \"x\"\noff = \"{off}\"\nwork = \"{work}\"\nmark = \"expected\"\nsource = \"y\"\n"
        )
    }

    #[test]
    fn the_shipped_calendar_reads() {
        let calendar = WorkCalendar::shipped().unwrap();
        assert_eq!(calendar.years().collect::<Vec<_>>(), [2025, 2026, 2027]);
        assert_eq!(calendar.day_length(), WorkingTime::from_minutes(450));
        let kind = |text: &str| calendar.day(text.parse().unwrap());
        assert!(matches!(kind("2026-01-02"), DayKind::SwappedOff(_)));
        assert!(matches!(kind("2026-01-10"), DayKind::SwappedWork(_)));
        assert!(matches!(kind("2026-02-16"), DayKind::Off(_)));
        assert!(matches!(kind("2026-02-14"), DayKind::Rest));
        assert!(matches!(kind("2026-02-13"), DayKind::Working));
        // A year it does not know has weekends only.
        assert!(!calendar.covers(2028));
        assert!(matches!(kind("2028-01-01"), DayKind::Rest));
        assert!(matches!(kind("2028-05-01"), DayKind::Working));
    }

    #[test]
    fn working_days_of_the_announced_years() {
        // 365 days less weekends less days off in the week plus swapped Saturdays.
        let calendar = WorkCalendar::shipped().unwrap();
        let count = |year| {
            let year = Date::constant(year, 1, 1);
            let days = std::iter::once(year).chain(following(year));
            days.take_while(|day| day.year() == year.year())
                .filter(|day| calendar.is_working_day(*day))
                .count()
        };
        // 2025: 261 days of the week; off 1 + 5 + 1 + 2 + 2, swapped one for one.
        assert_eq!(count(2025), 250);
        // 2026: 261; off 1 + 5 + 1 + 2 + 2 + 1, swapped two for two.
        assert_eq!(count(2026), 249);
        // 2027: 261; off 1 + 5 + 1 + 1 + 1 + 2 + 1.
        assert_eq!(count(2027), 249);
    }

    #[test]
    fn wrong_rows_are_named() {
        assert!(parse(&off("2026-03-02", "2026-03-16")).is_ok());
        for (rows, said) in [
            (
                off("2026-03-02", "2026-03-17"),
                "x from 2026-03-02: expected 1 to 15 days",
            ),
            (
                off("2026-03-02", "2026-03-01"),
                "x from 2026-03-02: expected 1 to 15 days",
            ),
            (
                off("2026-12-31", "2027-01-01"),
                "x on 2027-01-01: its year is not among the years of the file",
            ),
            (
                off("2026-03-02", "2026-03-03") + &swap("2026-03-03", "2026-03-07"),
                "2026-03-03 stands in two rows, the second is x",
            ),
            (
                swap("2026-03-03", "2026-03-03"),
                "2026-03-03 stands in two rows, the second is x",
            ),
        ] {
            assert_eq!(parse(&rows).unwrap_err().to_string(), said);
        }
    }

    #[test]
    fn hours_and_days_of_the_week_are_checked() {
        for hours in [
            "",
            "\"07:30\"",
            "\"11:30-07:30\"",
            "\"07:30-11:30\", \"11:30-17:00\"",
            "\"7:30-11:30\"",
            "\"07:30-24:00\"",
        ] {
            let text = format!("{HEAD}hours = [{hours}]");
            assert!(
                matches!(WorkCalendar::parse(&text), Err(CalendarError::Hours(_))),
                "{hours}"
            );
        }
        for days in ["", "\"monday\""] {
            let text = format!("years = []\n[working]\ndays = [{days}]\nhours = [\"07:30-11:30\"]");
            assert!(
                matches!(WorkCalendar::parse(&text), Err(CalendarError::Week(_))),
                "{days}"
            );
        }
    }

    #[test]
    fn nobody_rests_for_more_than_a_month() {
        // From Saturday the 28th on: 30 days of rows and the weekend after them.
        let rows = off("2026-03-02", "2026-03-16") + &off("2026-03-17", "2026-03-31");
        assert!(parse(&rows).is_ok());
        let rows = rows + &off("2026-04-01", "2026-04-01");
        assert!(parse(&rows).is_ok());
        let rows = rows + &off("2026-04-02", "2026-04-03");
        assert!(matches!(parse(&rows), Err(CalendarError::Closed(_))));
    }

    #[test]
    fn rows_are_counted() {
        let day = |n: usize| Date::constant(2026, 1, 1) + Span::new().days(i64::try_from(n).unwrap());
        let text = |count| {
            let rows: String = (0..count)
                .map(|n| {
                    let day = day(n).to_string();
                    off(&day, &day)
                })
                .collect();
            parse(&rows)
        };
        // Too many rows are told before what else is wrong with them.
        assert!(!matches!(text(WorkCalendar::ROWS_MAX), Err(CalendarError::Rows)));
        assert!(matches!(
            text(WorkCalendar::ROWS_MAX + 1),
            Err(CalendarError::Rows)
        ));
    }

    #[test]
    fn a_reckoning_ends_however_far_it_is_asked_to_go() {
        let calendar = WorkCalendar::shipped().unwrap();
        let now: Timestamp = "2026-03-03T02:00:00Z".parse().unwrap();
        let far = calendar.add_working_time(now, WorkingTime::from_seconds(u64::MAX));
        assert!(far > now && far < Timestamp::MAX);
        let all = calendar.working_time_between(Timestamp::MIN, Timestamp::MAX);
        assert!(all < WorkingTime::from_seconds(u64::from(WorkCalendar::REACH_DAYS_MAX + 2) * 86_400));
        assert!(calendar.next_working_time(Timestamp::MAX) <= Timestamp::MAX);
    }
}
