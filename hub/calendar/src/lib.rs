//! When public bodies work, and when a step of a document is due.
//!
//! [`WorkCalendar`] knows working hours, holidays and swapped days, from data; [`TimeLimits`] knows how long each
//! step may take, from data; [`Deadlines`] puts them together: when is it due, how late is it, whose turn is it.
//! [`lunar`] reckons Tết and the Hùng Kings' day, from which [`statute`] makes the rows of a year to come.
//!
//! What this crate leaves out: files, the clock, documents, the ledger. All times are Viet Nam time
//! (UTC+7 all year, QĐ 28/2018 art. 14(4)); moments come in and go out as [`jiff::Timestamp`].

mod calendar;
mod check;
mod deadlines;
mod limits;
pub mod lunar;
mod row;
pub mod statute;
mod working;

pub use calendar::{CalendarError, DayKind, WorkCalendar};
pub use check::Finding;
pub use deadlines::{Deadlines, DeadlinesError, Standing};
pub use limits::{DueRule, Level, Limit, LimitsError, TimeLimits};
pub use row::{DayOff, Mark, Swap};
pub use working::WorkingTime;

/// The calendar this program comes with (`config/calendar.toml`).
pub const CALENDAR: &str = include_str!("../../../config/calendar.toml");
/// The time limits this program comes with (`config/time-limits.toml`).
pub const TIME_LIMITS: &str = include_str!("../../../config/time-limits.toml");
