//! Inboxes that rest: the broker took nothing for them just now, so nothing is tried for a while, and what waits for
//! them holds up nobody else.
//!
//! Each message that failed waits for its own next try anyway. But behind it may wait thousands that were not tried
//! yet: without a rest each of them would be claimed, published, returned and recorded as failed, one after the other,
//! while the inboxes that are well wait for their turn. Forgotten when the hub stops: it finds out anew.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use truc_model::SystemId;
use truc_transport::PublishError;

/// Which inboxes rest, until when. No more of them than systems.
#[derive(Debug, Default)]
pub(super) struct Resting(BTreeMap<SystemId, Rest>);

#[derive(Debug)]
struct Rest {
    /// How often it was tried in vain since it last took something.
    failures: u32,
    until: Timestamp,
}

impl Resting {
    /// The inbox did not take a message. What failed while it rests was sent before, and counts once.
    pub(super) fn failed(&mut self, system: &SystemId, now: Timestamp, wait: impl Fn(u32) -> SignedDuration) {
        let rest = self.0.entry(system.clone()).or_insert(Rest {
            failures: 0,
            until: Timestamp::MIN,
        });
        if now >= rest.until {
            rest.failures = rest.failures.saturating_add(1);
            rest.until = now.saturating_add(wait(rest.failures)).unwrap_or(Timestamp::MAX);
        }
    }

    /// The inbox took a message: it is well.
    pub(super) fn took(&mut self, system: &SystemId) {
        self.0.remove(system);
    }

    /// Those that rest at this moment.
    pub(super) fn at(&self, now: Timestamp) -> Vec<SystemId> {
        let resting = self.0.iter().filter(|(_, rest)| now < rest.until);
        resting.map(|(system, _)| system.clone()).collect()
    }
}

/// Whether the failure is this inbox's own. The others concern the message, or the way to the broker: then nothing
/// goes out anywhere.
pub(super) const fn is_the_inboxs(error: &PublishError) -> bool {
    match error {
        PublishError::Unroutable { .. } | PublishError::Nacked | PublishError::TimedOut { .. } => true,
        PublishError::Blocked { .. }
        | PublishError::Disconnected(_)
        | PublishError::Refused { .. }
        | PublishError::TooLarge { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inbox_rests_longer_each_time_and_until_it_takes_something() {
        let system = SystemId::new("so-tnmt").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let wait = |failures: u32| SignedDuration::from_secs(i64::from(failures) * 10);
        let mut resting = Resting::default();
        assert!(resting.at(at(0)).is_empty());
        // Many at once are one failure.
        for _ in 0..30 {
            resting.failed(&system, at(0), wait);
        }
        assert_eq!(resting.at(at(9)), std::slice::from_ref(&system));
        assert!(resting.at(at(10)).is_empty());
        resting.failed(&system, at(10), wait);
        assert_eq!(resting.at(at(29)).len(), 1);
        assert!(resting.at(at(30)).is_empty());
        resting.took(&system);
        resting.failed(&system, at(30), wait);
        assert!(resting.at(at(40)).is_empty());
    }
}
