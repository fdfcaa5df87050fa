//! `[retention]`: how long bytes of packets are kept, and when a running hub deletes them.

use jiff::civil::Time;
use serde::{Deserialize, Serialize};
use truc_ledger::RetentionAges;

use super::read::Problem;

/// How long bytes of packets are kept once nothing about them is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Packets with attachments.
    pub attachments_days: u32,
    /// Packets without attachments, and statuses.
    pub packets_days: u32,
    /// Refused packets kept as evidence.
    pub refused_days: u32,
    /// When a running hub deletes, `02:30`, Viet Nam time; empty is never.
    pub run_at: String,
}

/// Longest and shortest time bytes can be kept, in days: a hundred years, and one day, since what was taken
/// today may have to be looked at tomorrow.
pub const DAYS: std::ops::RangeInclusive<u32> = 1..=36_500;

impl Retention {
    /// The ages, for the ledger.
    #[must_use]
    pub const fn ages(&self) -> RetentionAges {
        RetentionAges {
            attachments_days: self.attachments_days,
            packets_days: self.packets_days,
            refused_days: self.refused_days,
        }
    }

    /// The time of day at which a running hub deletes; `None` when it does not.
    #[must_use]
    pub fn run_at(&self) -> Option<Time> {
        Time::strptime("%H:%M", self.run_at.trim()).ok()
    }
}

/// What does not fit.
pub(super) fn check(retention: &Retention) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (days, key) in [
        (retention.attachments_days, "retention.attachments_days"),
        (retention.packets_days, "retention.packets_days"),
        (retention.refused_days, "retention.refused_days"),
    ] {
        if !DAYS.contains(&days) {
            problems.push(Problem {
                key,
                problem: format!("is from {} to {}", DAYS.start(), DAYS.end()),
            });
        }
    }
    if !retention.run_at.trim().is_empty() && retention.run_at().is_none() {
        problems.push(Problem {
            key: "retention.run_at",
            problem: "is a time such as 02:30, or empty".to_owned(),
        });
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(days: u32, run_at: &str) -> Retention {
        Retention {
            attachments_days: days,
            packets_days: 365,
            refused_days: 365,
            run_at: run_at.to_owned(),
        }
    }

    #[test]
    fn limits_hold_at_their_edges() {
        for (days, fits) in [(0, false), (1, true), (36_500, true), (36_501, false)] {
            assert_eq!(check(&with(days, "")).is_empty(), fits, "{days}");
        }
        for (run_at, fits) in [("", true), ("02:30", true), ("24:00", false), ("nachts", false)] {
            assert_eq!(check(&with(90, run_at)).is_empty(), fits, "{run_at}");
        }
        assert_eq!(with(90, "02:30").run_at(), Some(jiff::civil::time(2, 30, 0, 0)));
        assert_eq!(with(90, "").run_at(), None);
    }
}
