//! Calendar and limits together: when is a step due, how late is it, whose turn is it.
//!
//! Nothing here is stored: a limit's row holds when the step began, and what is late follows from the calendar of
//! today. [`Deadlines::began_before`] turns the question round, so that a store finds what is late by an index.

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use truc_model::{LimitKind, Turn, Urgency};

use crate::calendar::{CalendarError, WorkCalendar, global, local};
use crate::limits::{DueRule, LimitsError, TimeLimits};
use crate::working::WorkingTime;

/// The calendar and the limits, checked against each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    calendar: WorkCalendar,
    limits: TimeLimits,
}

/// How a step stands at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// When it is due.
    pub due: Timestamp,
    /// How late it is, in working time; none when it is not.
    pub late_by: WorkingTime,
    /// 0 while it is not late, then the number of the level reached.
    pub level: u8,
    /// Whose turn it is; while it is not late, that of the first level.
    pub turn: Turn,
}

/// Why calendar and limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeadlinesError {
    /// The calendar.
    #[error("the working calendar cannot be used")]
    Calendar(#[from] CalendarError),
    /// The limits.
    #[error("the time limits cannot be used")]
    Limits(#[from] LimitsError),
}

impl Deadlines {
    /// How far back a step that is still open may have begun: a little over two years.
    pub const OPEN_DAYS_MAX: i64 = 800;

    /// Puts them together.
    ///
    /// # Errors
    /// [`LimitsError::NotWorking`] for a limit that would fall due while nobody works.
    pub fn new(calendar: WorkCalendar, limits: TimeLimits) -> Result<Self, LimitsError> {
        for kind in LimitKind::ALL {
            let rules = limits
                .of(kind)
                .map(|limit| URGENCIES.map(|urgency| limit.due(urgency)));
            for rule in rules.into_iter().flatten() {
                if let DueRule::By { time, .. } = rule
                    && !calendar.may_be_due_at(time)
                {
                    return Err(LimitsError::NotWorking { kind, time });
                }
            }
        }
        Ok(Self { calendar, limits })
    }

    /// Reads both files.
    ///
    /// # Errors
    /// [`DeadlinesError`], naming the row or the limit.
    pub fn parse(calendar: &str, limits: &str) -> Result<Self, DeadlinesError> {
        Ok(Self::new(
            WorkCalendar::parse(calendar)?,
            TimeLimits::parse(limits)?,
        )?)
    }

    /// Those the program comes with.
    ///
    /// # Errors
    /// None for files that passed the tests of this crate.
    pub fn shipped() -> Result<Self, DeadlinesError> {
        Self::parse(crate::CALENDAR, crate::TIME_LIMITS)
    }

    /// The calendar.
    #[must_use]
    pub const fn calendar(&self) -> &WorkCalendar {
        &self.calendar
    }

    /// The limits.
    #[must_use]
    pub const fn limits(&self) -> &TimeLimits {
        &self.limits
    }

    /// When a step that began at `began` is due; `None` when it has no limit.
    #[must_use]
    pub fn due(&self, kind: LimitKind, urgency: Urgency, began: Timestamp) -> Option<Timestamp> {
        let limit = self.limits.of(kind)?;
        Some(self.by_rule(limit.due(urgency), began))
    }

    /// When a document issued on `issued` is to be with the hub; `None` when sending has no limit.
    ///
    /// The working days after the date of issue are counted, also after one of rest: what was signed on a
    /// Saturday is due on Monday morning.
    #[must_use]
    pub fn sending_due(&self, urgency: Urgency, issued: Date) -> Option<Timestamp> {
        let midnight = global(issued.at(0, 0, 0, 0));
        match self.limits.of(LimitKind::Sending)?.due(urgency) {
            DueRule::By {
                time,
                working_days,
                at_least,
            } => {
                let day = self.calendar.working_day_after(issued, working_days);
                let by = global(day.to_datetime(time));
                Some(by.max(self.at_least(midnight, at_least)))
            }
            rule => Some(self.by_rule(rule, midnight)),
        }
    }

    /// How a step that began at `began` stands at `now`; `None` when it has no limit.
    #[must_use]
    pub fn standing(
        &self,
        kind: LimitKind,
        urgency: Urgency,
        began: Timestamp,
        now: Timestamp,
    ) -> Option<Standing> {
        let limit = self.limits.of(kind)?;
        let due = self.by_rule(limit.due(urgency), began);
        let reached = limit
            .levels()
            .iter()
            .take_while(|level| self.after_due(due, level.after_working_days) < now)
            .count();
        let turn = limit.levels().get(reached.saturating_sub(1))?.turn;
        Some(Standing {
            due,
            late_by: self.calendar.working_time_between(due, now),
            level: u8::try_from(reached).unwrap_or(u8::MAX),
            turn,
        })
    }

    /// The levels of a step; 0 when it has no limit.
    #[must_use]
    pub fn levels(&self, kind: LimitKind) -> u8 {
        let levels = self.limits.of(kind).map_or(0, |limit| limit.levels().len());
        u8::try_from(levels).unwrap_or(u8::MAX)
    }

    /// The moment such that of the steps still open at `now`, exactly those that began at or before it have
    /// reached `level`. `None` when none that began within [`Self::OPEN_DAYS_MAX`] has, or there is no such level.
    ///
    /// What is due never comes earlier for what began later, so that one moment parts them.
    #[must_use]
    pub fn began_before(
        &self,
        kind: LimitKind,
        urgency: Urgency,
        level: u8,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let limit = self.limits.of(kind)?;
        let after = limit
            .levels()
            .get(usize::from(level).checked_sub(1)?)?
            .after_working_days;
        let rule = limit.due(urgency);
        let reached = |began: i64| {
            Timestamp::from_microsecond(began)
                .is_ok_and(|began| self.after_due(self.by_rule(rule, began), after) < now)
        };
        let first = now.checked_sub(SignedDuration::from_hours(24 * Self::OPEN_DAYS_MAX));
        let mut yes = first.unwrap_or(Timestamp::MIN).as_microsecond();
        let mut no = now.as_microsecond();
        if !reached(yes) {
            return None;
        }
        // A step is due after it began, so `no` is not reached; the distance halves at every turn.
        while no - yes > 1 {
            let middle = yes + (no - yes) / 2;
            if reached(middle) {
                yes = middle;
            } else {
                no = middle;
            }
        }
        Timestamp::from_microsecond(yes).ok()
    }

    fn by_rule(&self, rule: DueRule, began: Timestamp) -> Timestamp {
        match rule {
            DueRule::By {
                time,
                working_days,
                at_least,
            } => {
                let day = self.calendar.working_day_of(began);
                let day = self.calendar.working_day_after(day, working_days);
                let by = global(day.to_datetime(time));
                // Began after that time of the day: the next day's, so that nothing is late as it begins.
                let by = if by <= began {
                    let next = self.calendar.working_day_after(day, 1);
                    global(next.to_datetime(time))
                } else {
                    by
                };
                by.max(self.at_least(began, at_least))
            }
            DueRule::Within(time) => self.calendar.add_working_time(began, time),
            DueRule::Days(days) => self.calendar.add_working_days(began, days),
        }
    }

    fn at_least(&self, began: Timestamp, time: WorkingTime) -> Timestamp {
        if time == WorkingTime::ZERO {
            began
        } else {
            self.calendar.add_working_time(began, time)
        }
    }

    /// So many working days after something was due, at the same time of the day. A close is not working time,
    /// so the day it was due in is counted here and not the one in which work begins again.
    fn after_due(&self, due: Timestamp, working_days: u16) -> Timestamp {
        if working_days == 0 {
            return due;
        }
        let due = local(due);
        global(
            self.calendar
                .working_day_after(due.date(), working_days)
                .to_datetime(due.time()),
        )
    }
}

const URGENCIES: [Urgency; 5] = [
    Urgency::Normal,
    Urgency::Urgent,
    Urgency::VeryUrgent,
    Urgency::Express,
    Urgency::ExpressTimed,
];
