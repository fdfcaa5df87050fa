//! Middles, tails and rates.

use std::time::Duration;

use serde::Serialize;

/// How a set of times is spread, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// Half took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Spread {
    /// Of a set; zeros of none.
    #[must_use]
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        // The smallest value that so many of a hundred do not exceed.
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).max(1) - 1;
            times.get(rank).copied().map_or(0.0, ms)
        };
        Self {
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: at(100),
        }
    }

    /// The middle of several, each figure by itself.
    #[must_use]
    pub fn median(of: &[Self]) -> Self {
        let field = |get: fn(&Self) -> f64| median(of.iter().map(get).collect());
        Self {
            p50_ms: field(|spread| spread.p50_ms),
            p99_ms: field(|spread| spread.p99_ms),
            max_ms: field(|spread| spread.max_ms),
        }
    }
}

/// Milliseconds.
#[must_use]
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// So many in that time, a second.
#[must_use]
pub fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::EPSILON)
}

/// The middle one, or the mean of the two in the middle; 0 of none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len(), values.len() % 2) {
        (0, _) => 0.0,
        (_, 0) => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn the_median_is_the_middle() {
        assert!(close(median(vec![3.0, 1.0, 2.0]), 2.0));
        assert!(close(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5));
        assert!(close(median(Vec::new()), 0.0));
    }

    #[test]
    fn the_spread_names_values_that_are_there() {
        let of = |n: u64| Spread::of((1..=n).map(Duration::from_millis).collect());
        let spread = of(100);
        assert!(close(spread.p50_ms, 50.0) && close(spread.p99_ms, 99.0) && close(spread.max_ms, 100.0));
        let spread = of(1);
        assert!(close(spread.p50_ms, 1.0) && close(spread.p99_ms, 1.0));
        assert!(close(of(3).p50_ms, 2.0) && close(of(4).p50_ms, 2.0));
        assert!(close(Spread::of(Vec::new()).max_ms, 0.0));
        let middle = Spread::median(&[of(1), of(3), of(9)]);
        assert!(close(middle.max_ms, 3.0));
    }

    #[test]
    fn a_rate_is_by_the_second() {
        assert!(close(rate(10, Duration::from_secs(2)), 5.0));
    }
}
