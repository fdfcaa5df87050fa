//! Time and randomness as things one is given, so that tests set them and never wait.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{Timestamp, tz};
use ring::rand::SecureRandom as _;
use uuid::Uuid;

/// Viet Nam time, UTC+07:00 all year: what people and packets read (QĐ 28/2018 art. 14(4)).
#[must_use]
pub fn viet_nam() -> tz::TimeZone {
    tz::TimeZone::fixed(tz::offset(7))
}

/// Where the time comes from.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// Today's date in Viet Nam.
    fn today(&self) -> jiff::civil::Date {
        self.now().to_zoned(viet_nam()).date()
    }
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        // The ledger keeps microseconds; a finer time would not read back equal.
        let now = Timestamp::now();
        Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
    }
}

/// A clock that tests move by hand.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Starts at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_microsecond()))
    }

    /// Moves by `seconds`, backwards when negative.
    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.0.load(Ordering::SeqCst)).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Where randomness comes from.
pub trait Random: Send + Sync {
    /// Fills `buffer`.
    fn fill(&self, buffer: &mut [u8]);

    /// A fresh UUID, version 7 (RFC 9562 §5.7): sorts by `now`, so new rows land side by side.
    fn uuid_v7(&self, now: Timestamp) -> Uuid {
        let mut random = [0; 10];
        self.fill(&mut random);
        let millis = u64::try_from(now.as_millisecond()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// The operating system's randomness, by ring.
#[derive(Debug)]
pub struct SystemRandom(ring::rand::SystemRandom);

impl Default for SystemRandom {
    fn default() -> Self {
        Self(ring::rand::SystemRandom::new())
    }
}

impl Random for SystemRandom {
    fn fill(&self, buffer: &mut [u8]) {
        // ring fails only when the operating system has no randomness at all; ids made without it
        // could repeat, so there is nothing sensible to go on with.
        assert!(
            self.0.fill(buffer).is_ok(),
            "the operating system gave no random bytes"
        );
    }
}

/// Repeatable randomness for tests and simulations (SplitMix64). Not for secrets.
#[derive(Debug)]
pub struct SeededRandom {
    state: AtomicU64,
    turn: Mutex<()>,
}

impl SeededRandom {
    /// The same seed gives the same bytes.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
            turn: Mutex::new(()),
        }
    }
}

impl Random for SeededRandom {
    fn fill(&self, buffer: &mut [u8]) {
        let _turn = self.turn.lock();
        for chunk in buffer.chunks_mut(8) {
            let step = self.state.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::SeqCst);
            let mut z = step.wrapping_add(0x9E37_79B9_7F4A_7C15);
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_sort_by_time_and_repeat_by_seed() {
        let early = Timestamp::from_second(1_000).unwrap();
        let late = Timestamp::from_second(2_000).unwrap();
        let random = SeededRandom::new(7);
        let (a, b) = (random.uuid_v7(early), random.uuid_v7(late));
        assert!(a < b);
        assert_eq!(a.get_version_num(), 7);
        assert_eq!(SeededRandom::new(7).uuid_v7(early), a);
        assert_ne!(
            SystemRandom::default().uuid_v7(early),
            SystemRandom::default().uuid_v7(early)
        );
    }

    #[test]
    fn the_day_is_viet_nams() {
        let clock = ManualClock::at("2026-03-01T18:30:00Z".parse().unwrap());
        assert_eq!(clock.today(), jiff::civil::date(2026, 3, 2));
        clock.advance(-7200);
        assert_eq!(clock.today(), jiff::civil::date(2026, 3, 1));
    }
}
