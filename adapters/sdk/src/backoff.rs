//! Waiting between attempts: twice as long each time up to a limit, and a little at random, so that
//! forty adapters that lost the same broker do not come back in the same instant.

use std::time::Duration;

use truc_model::Random;

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub min: Duration,
    /// Never longer than this.
    pub max: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(250),
            max: Duration::from_secs(30),
        }
    }
}

impl Backoff {
    /// The pause after `failures` failures (from 1): between half and the whole of
    /// `min × 2^(failures-1)`, at most [`Self::max`].
    #[must_use]
    pub fn pause(&self, failures: u32, random: &dyn Random) -> Duration {
        let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
        let whole = self.min.saturating_mul(doubled).min(self.max);
        let mut byte = [0];
        random.fill(&mut byte);
        whole / 2 + whole.mul_f64(f64::from(byte[0]) / 510.0)
    }
}

#[cfg(test)]
mod tests {
    use truc_model::SeededRandom;

    use super::*;

    #[test]
    fn pauses_double_up_to_the_limit() {
        let backoff = Backoff {
            min: Duration::from_millis(100),
            max: Duration::from_secs(1),
        };
        let random = SeededRandom::new(1);
        for (failures, whole) in [(1, 100), (2, 200), (4, 800), (5, 1000), (u32::MAX, 1000)] {
            for _ in 0..50 {
                let pause = backoff.pause(failures, &random);
                assert!(pause >= Duration::from_millis(whole / 2), "{failures}: {pause:?}");
                assert!(pause <= Duration::from_millis(whole), "{failures}: {pause:?}");
            }
        }
    }
}
