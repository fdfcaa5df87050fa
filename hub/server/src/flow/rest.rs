//! Inboxes that rest: the broker took nothing for them just now, so nothing is tried for a while, and what waits for
//! them holds up nobody else.
//!
//! Each message that failed waits for its own next try anyway. But behind it may wait thousands that were not tried
//! yet: without a rest each of them would be claimed, published, returned and recorded as failed, one after the other,
//! while the inboxes that are well wait for their turn. Forgotten when the hub stops: it finds out anew.
//!
//! An inbox that failed is doubted for a while after, also once it takes something again: what goes to it then goes by
//! a channel that the healthy do not use. After a nack a channel has to be opened anew (see the transport's publisher),
//! and a full inbox, from which one message is read now and then, nacks again and again.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use truc_model::SystemId;
use truc_transport::PublishError;

/// How long an inbox is doubted after its last failure.
pub(super) const DOUBTED_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Which inboxes rest, until when, and which are doubted. No more of them than systems.
#[derive(Debug, Default)]
pub(super) struct Resting(BTreeMap<SystemId, Rest>);

/// How an inbox did lately.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It takes what it is sent, as far as is known.
    Well,
    /// It failed at most [`DOUBTED_FOR`] ago.
    Doubted,
}

#[derive(Debug)]
struct Rest {
    /// How often it was tried in vain since it last took something.
    failures: u32,
    until: Timestamp,
    doubted_until: Timestamp,
}

impl Resting {
    /// The inbox did not take a message. What failed while it rests was sent before, and counts once.
    pub(super) fn failed(&mut self, system: &SystemId, now: Timestamp, wait: impl Fn(u32) -> SignedDuration) {
        let rest = self.0.entry(system.clone()).or_insert(Rest {
            failures: 0,
            until: Timestamp::MIN,
            doubted_until: Timestamp::MIN,
        });
        rest.doubted_until = now.saturating_add(DOUBTED_FOR).unwrap_or(Timestamp::MAX);
        if now >= rest.until {
            rest.failures = rest.failures.saturating_add(1);
            rest.until = now.saturating_add(wait(rest.failures)).unwrap_or(Timestamp::MAX);
        }
    }

    /// The inbox took a message: it rests no more.
    pub(super) fn took(&mut self, system: &SystemId, now: Timestamp) {
        let Some(rest) = self.0.get_mut(system) else {
            return;
        };
        if now < rest.doubted_until {
            rest.failures = 0;
            rest.until = Timestamp::MIN;
        } else {
            self.0.remove(system);
        }
    }

    /// Whether the inbox failed lately.
    pub(super) fn standing(&self, system: &SystemId, now: Timestamp) -> Standing {
        match self.0.get(system) {
            Some(rest) if now < rest.doubted_until => Standing::Doubted,
            _ => Standing::Well,
        }
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
        resting.took(&system, at(30));
        resting.failed(&system, at(30), wait);
        assert!(resting.at(at(40)).is_empty());
    }

    #[test]
    fn an_inbox_that_takes_again_is_doubted_until_it_did_so_for_a_while() {
        let system = SystemId::new("so-tnmt").unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        let wait = |_: u32| SignedDuration::from_secs(10);
        let mut resting = Resting::default();
        assert_eq!(resting.standing(&system, at(0)), Standing::Well);
        resting.failed(&system, at(0), wait);
        resting.took(&system, at(5));
        assert!(resting.at(at(5)).is_empty());
        let last = DOUBTED_FOR.as_secs();
        assert_eq!(resting.standing(&system, at(last - 1)), Standing::Doubted);
        assert_eq!(resting.standing(&system, at(last)), Standing::Well);
        // From its last failure on, not its first.
        resting.failed(&system, at(100), wait);
        resting.took(&system, at(120));
        assert_eq!(resting.standing(&system, at(last)), Standing::Doubted);
        // Nothing is kept of an inbox that has long been well.
        resting.took(&system, at(100 + last));
        assert!(resting.0.is_empty());
    }
}
