//! Working time: how long people had to do something.

use std::fmt;
use std::ops::Add;

/// Working time in whole seconds; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct WorkingTime(u64);

impl WorkingTime {
    /// None.
    pub const ZERO: Self = Self(0);

    /// From seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }

    /// From minutes.
    #[must_use]
    pub const fn from_minutes(minutes: u32) -> Self {
        Self(minutes as u64 * 60)
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// In whole minutes.
    #[must_use]
    pub const fn minutes(self) -> u64 {
        self.0 / 60
    }

    /// In Vietnamese, a working day being `day` long: `2 ngày 1 giờ 30 phút`, `dưới 1 phút`.
    #[must_use]
    pub fn in_words_vi(self, day: Self) -> String {
        let minutes_a_day = day.minutes().max(1);
        let (days, rest) = (self.minutes() / minutes_a_day, self.minutes() % minutes_a_day);
        let parts = [(days, "ngày"), (rest / 60, "giờ"), (rest % 60, "phút")];
        let words: Vec<String> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!("{count} {unit}"))
            .collect();
        if words.is_empty() {
            "dưới 1 phút".to_owned()
        } else {
            words.join(" ")
        }
    }
}

impl Add for WorkingTime {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for WorkingTime {
    /// Hours and minutes: `12:05`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:02}", self.minutes() / 60, self.minutes() % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_leave_out_what_is_nought() {
        let day = WorkingTime::from_minutes(450);
        for (minutes, words) in [
            (0, "dưới 1 phút"),
            (59, "59 phút"),
            (60, "1 giờ"),
            (449, "7 giờ 29 phút"),
            (450, "1 ngày"),
            (990, "2 ngày 1 giờ 30 phút"),
        ] {
            assert_eq!(WorkingTime::from_minutes(minutes).in_words_vi(day), words);
        }
        assert_eq!(WorkingTime::from_minutes(725).to_string(), "12:05");
        assert_eq!(
            WorkingTime::from_seconds(u64::MAX) + WorkingTime::from_seconds(1),
            WorkingTime::from_seconds(u64::MAX)
        );
    }
}
