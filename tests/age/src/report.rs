//! Figures for people.

use std::time::Duration;

/// `1.234.567`.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('.');
        }
        text.push(digit);
    }
    text
}

/// The value below which this share of them lies, in milliseconds.
pub(crate) fn share(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times.get(place).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_dots_and_shares_are_taken_in_order() {
        assert_eq!(number(1_234_567), "1.234.567");
        assert_eq!(number(100), "100");
        let mut times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert!((share(&mut times, 50) - 51.0).abs() < 0.01);
        assert!((share(&mut times, 95) - 96.0).abs() < 0.01);
        assert!(share(&mut [], 50).abs() < 0.01);
    }
}
