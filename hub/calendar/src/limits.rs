//! The time limits as data: how long each step may take, by urgency, and who is told when it takes longer.

use jiff::civil::Time;
use serde::Deserialize;
use truc_model::{LimitKind, Turn, Urgency};

use crate::calendar::time_of;
use crate::working::WorkingTime;

/// What is wrong with a file of time limits.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// Not TOML, or not of this shape.
    #[error("the time limits cannot be read")]
    Shape(#[from] toml::de::Error),
    /// A rule that is none of the three.
    #[error(
        "{kind}: expected by and working_days, or working_min, or working_days, each at most {max}",
        kind = .0.as_str(),
        max = DueRule::DAYS_MAX
    )]
    Rule(LimitKind),
    /// A time of the day at which nobody works.
    #[error("{kind}: {time} is not within working hours", kind = .kind.as_str())]
    NotWorking {
        /// The limit.
        kind: LimitKind,
        /// The time.
        time: Time,
    },
    /// Levels that do not begin with 0 and rise, or too many.
    #[error(
        "{kind}: expected 1 to {max} levels, the first after 0 working days, each later than the one before",
        kind = .0.as_str(),
        max = Limit::LEVELS_MAX
    )]
    Levels(LimitKind),
}

/// When a step is due, counted from when it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DueRule {
    /// At a time of the n-th working day after the one it began in.
    By {
        /// The time of the day.
        time: Time,
        /// Which day; 0 is the day it began in.
        working_days: u16,
        /// Never before so much working time has passed.
        at_least: WorkingTime,
    },
    /// After so much working time.
    Within(WorkingTime),
    /// At the same time, so many working days later.
    Days(u16),
}

impl DueRule {
    /// Most working days and, as 24 hours each, most working time of a rule.
    pub const DAYS_MAX: u16 = 60;
}

/// Who is told, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Working days after it was due.
    pub after_working_days: u16,
    /// Whose turn it then is.
    pub turn: Turn,
}

/// The limit of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// The article it stands on.
    pub source: String,
    due: [DueRule; 5],
    levels: Vec<Level>,
}

impl Limit {
    /// Most levels.
    pub const LEVELS_MAX: usize = 8;

    /// When it is due.
    #[must_use]
    pub const fn due(&self, urgency: Urgency) -> DueRule {
        self.due[urgency.number() as usize]
    }

    /// Who is told; never empty. The first is level 1.
    #[must_use]
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }
}

/// The limits of all steps. A step without one is never late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeLimits([Option<Limit>; LimitKind::ALL.len()]);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    sending: Option<FileLimit>,
    arrival: Option<FileLimit>,
    acceptance: Option<FileLimit>,
    answer: Option<FileLimit>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileLimit {
    source: String,
    due: FileDue,
    level: Vec<Level>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileDue {
    normal: FileRule,
    urgent: Option<FileRule>,
    very_urgent: Option<FileRule>,
    express: Option<FileRule>,
    express_timed: Option<FileRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    by: Option<String>,
    working_days: Option<u16>,
    working_min: Option<u32>,
    at_least_min: Option<u32>,
}

impl TimeLimits {
    /// Reads a file of time limits (`config/time-limits.toml` shows and explains its shape).
    ///
    /// # Errors
    /// [`LimitsError`], naming the limit.
    pub fn parse(text: &str) -> Result<Self, LimitsError> {
        let file: File = toml::from_str(text)?;
        let read = |kind, limit: Option<FileLimit>| limit.map(|limit| limit.read(kind)).transpose();
        Ok(Self([
            read(LimitKind::Sending, file.sending)?,
            read(LimitKind::Arrival, file.arrival)?,
            read(LimitKind::Acceptance, file.acceptance)?,
            read(LimitKind::Answer, file.answer)?,
        ]))
    }

    /// The limit of a step, if it has one.
    #[must_use]
    pub const fn of(&self, kind: LimitKind) -> Option<&Limit> {
        self.0[kind as usize].as_ref()
    }
}

impl FileLimit {
    fn read(self, kind: LimitKind) -> Result<Limit, LimitsError> {
        let rule = |rule: FileRule| rule.read().ok_or(LimitsError::Rule(kind));
        let normal = rule(self.due.normal)?;
        let mut due = [normal; 5];
        let above = [
            self.due.urgent,
            self.due.very_urgent,
            self.due.express,
            self.due.express_timed,
        ];
        for (index, given) in above.into_iter().enumerate() {
            due[index + 1] = match given {
                Some(given) => rule(given)?,
                None => due[index],
            };
        }
        let after = |level: &Level| level.after_working_days;
        let rises = self.level.windows(2).all(|two| after(&two[0]) < after(&two[1]));
        let fits = (1..=Limit::LEVELS_MAX).contains(&self.level.len())
            && after(&self.level[0]) == 0
            && self.level.iter().all(|level| after(level) <= DueRule::DAYS_MAX);
        if !rises || !fits {
            return Err(LimitsError::Levels(kind));
        }
        Ok(Limit {
            source: self.source,
            due,
            levels: self.level,
        })
    }
}

impl FileRule {
    fn read(self) -> Option<DueRule> {
        let minutes_max = u32::from(DueRule::DAYS_MAX) * 24 * 60;
        let minutes = |minutes: u32| (minutes <= minutes_max).then(|| WorkingTime::from_minutes(minutes));
        let days = |days: u16| (days <= DueRule::DAYS_MAX).then_some(days);
        match (self.by, self.working_days, self.working_min, self.at_least_min) {
            (Some(time), Some(working_days), None, at_least) => Some(DueRule::By {
                time: time_of(&time)?,
                working_days: days(working_days)?,
                at_least: minutes(at_least.unwrap_or(0))?,
            }),
            (None, None, Some(working), None) if working > 0 => minutes(working).map(DueRule::Within),
            (None, Some(working_days), None, None) if working_days > 0 => {
                days(working_days).map(DueRule::Days)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(due: &str, levels: &str) -> Result<TimeLimits, LimitsError> {
        TimeLimits::parse(&format!(
            "[arrival]\nsource = \"x\"\ndue.normal = {due}\nlevel = [{levels}]"
        ))
    }

    const CLERK: &str = "{ after_working_days = 0, turn = \"recipient-clerk\" }";

    #[test]
    fn an_urgency_without_a_rule_has_that_of_the_level_below() {
        let limits = TimeLimits::parse(crate::TIME_LIMITS).unwrap();
        let acceptance = limits.of(LimitKind::Acceptance).unwrap();
        assert_eq!(
            acceptance.due(Urgency::VeryUrgent),
            acceptance.due(Urgency::Urgent)
        );
        assert_ne!(acceptance.due(Urgency::Express), acceptance.due(Urgency::Urgent));
        assert_eq!(
            acceptance.due(Urgency::ExpressTimed),
            acceptance.due(Urgency::Express)
        );
        assert_eq!(acceptance.levels().len(), 3);
    }

    #[test]
    fn a_step_without_a_section_has_no_limit() {
        let limits = arrival("{ working_days = 1 }", CLERK).unwrap();
        assert!(limits.of(LimitKind::Arrival).is_some());
        assert!(limits.of(LimitKind::Answer).is_none());
        assert!(TimeLimits::parse("[handling]\nsource = \"x\"").is_err());
    }

    #[test]
    fn a_rule_is_one_of_three() {
        for good in [
            "{ by = \"17:00\", working_days = 0 }",
            "{ by = \"17:00\", working_days = 0, at_least_min = 60 }",
            "{ working_min = 1 }",
            "{ working_min = 86400 }",
            "{ working_days = 60 }",
        ] {
            assert!(arrival(good, CLERK).is_ok(), "{good}");
        }
        for bad in [
            "{ by = \"17:00\" }",
            "{ by = \"7:00\", working_days = 0 }",
            "{ by = \"24:00\", working_days = 0 }",
            "{ working_min = 0 }",
            "{ working_min = 86401 }",
            "{ working_days = 0 }",
            "{ working_days = 61 }",
            "{ working_days = 1, working_min = 5 }",
            "{ working_days = 1, at_least_min = 5 }",
            "{ hours = 5 }",
            "{}",
        ] {
            assert!(arrival(bad, CLERK).is_err(), "{bad}");
        }
    }

    #[test]
    fn levels_begin_at_once_and_rise() {
        let level = |days: u16| format!("{{ after_working_days = {days}, turn = \"province-it\" }}");
        let levels = |days: &[u16]| days.iter().map(|days| level(*days)).collect::<Vec<_>>().join(",");
        for (days, good) in [
            (&[0][..], true),
            (&[0, 1, 2, 3, 4, 5, 6, 60][..], true),
            (&[0, 1, 2, 3, 4, 5, 6, 7, 8][..], false),
            (&[0, 61][..], false),
            (&[1][..], false),
            (&[0, 2, 2][..], false),
            (&[][..], false),
        ] {
            assert_eq!(
                arrival("{ working_days = 1 }", &levels(days)).is_ok(),
                good,
                "{days:?}"
            );
        }
    }
}
