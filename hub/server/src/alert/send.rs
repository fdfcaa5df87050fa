//! Sends messages that are due, a few at once, and says in the ledger how each attempt went.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use truc_ledger::alert::{AlertClaim, AlertPost, AlertTried, ChannelRate, TriedOutcome};
use truc_ledger::{HubId, Ledger, LedgerError};
use truc_model::Clock;

use super::channel::{Outlet, SendError, Sent, outlet};
use super::message::Message;
use crate::config::alert::Alert;

/// Messages that one hub sends at once.
pub const SENDING_MAX: usize = 8;

/// The channels of a hub, and what it is sending by them.
pub struct Sender {
    settings: Arc<Alert>,
    hub: HubId,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    outlets: BTreeMap<String, Arc<dyn Outlet>>,
    sending: JoinSet<(AlertPost, Result<Sent, SendError>)>,
}

impl Sender {
    /// The channels that the configuration describes.
    #[must_use]
    pub fn new(settings: Arc<Alert>, hub: HubId, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        let outlets = settings
            .channels
            .iter()
            .map(|channel| (channel.name().to_owned(), Arc::from(outlet(channel))))
            .collect();
        Self {
            settings,
            hub,
            ledger,
            clock,
            outlets,
            sending: JoinSet::new(),
        }
    }

    /// The way of a channel.
    #[must_use]
    pub fn outlet(&self, channel: &str) -> Option<Arc<dyn Outlet>> {
        self.outlets.get(channel).cloned()
    }

    /// Begins to send what is due.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger gave nothing.
    pub async fn begin(&mut self) -> Result<(), LedgerError> {
        let room = SENDING_MAX.saturating_sub(self.sending.len());
        if room == 0 || self.outlets.is_empty() {
            return Ok(());
        }
        let claim = AlertClaim {
            owner: self.hub.clone(),
            lease: Duration::from_secs(self.settings.lease_s),
            channels: self
                .settings
                .channels
                .iter()
                .map(|channel| ChannelRate {
                    channel: channel.name().to_owned(),
                    per_hour: channel.per_hour(),
                })
                .collect(),
            max: room,
        };
        // Looked at first: a claim is a commit, and most of the time nothing waits.
        if !self.ledger.alert_due().await? {
            return Ok(());
        }
        for post in self.ledger.claim_alerts(claim).await? {
            let Some(outlet) = self.outlet(&post.channel) else {
                continue;
            };
            let message = Message::of(post.clone(), self.hub.as_str(), self.clock.now());
            self.sending
                .spawn(async move { (post, outlet.send(&message).await) });
        }
        Ok(())
    }

    /// Comes back when an attempt ended, and with `None` at once when nothing is being sent.
    pub async fn ended(&mut self) -> Option<(AlertPost, Result<Sent, SendError>)> {
        // A defect of a channel: the lease ends, and the message goes again.
        self.sending.join_next().await?.ok()
    }

    /// Whether something is being sent.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }

    /// Says in the ledger how an attempt went.
    ///
    /// # Errors
    /// [`LedgerError`]: then the message goes again when its lease ends.
    pub async fn report(
        &self,
        post: &AlertPost,
        result: &Result<Sent, SendError>,
    ) -> Result<(), LedgerError> {
        let outcome = match result {
            Ok(sent) => {
                tracing::info!(
                    post = %post.post, channel = post.channel, kind = %post.kind, lines = post.lines.len(),
                    answer = sent.answer, "alert sent"
                );
                TriedOutcome::Sent
            }
            Err(error) => {
                let next_try = next_try(&self.settings, post.attempts, self.clock.now());
                tracing::warn!(
                    post = %post.post, channel = post.channel, kind = %post.kind, attempt = post.attempts,
                    last = next_try.is_none(), error = %crate::telemetry::chain(error), "alert not sent"
                );
                TriedOutcome::Failed {
                    failure: error.word().to_owned(),
                    next_try,
                }
            }
        };
        self.ledger
            .alert_tried(AlertTried {
                post: post.post,
                attempt: post.attempts,
                outcome,
            })
            .await
    }
}

/// When to try again after the attempt of this number: doubles up to the longest; `None` after the last.
#[must_use]
pub fn next_try(settings: &Alert, attempt: u32, now: Timestamp) -> Option<Timestamp> {
    if attempt >= settings.attempts_max {
        return None;
    }
    let doubled = 2u64.saturating_pow(attempt.saturating_sub(1));
    let wait = settings
        .retry_min_s
        .saturating_mul(doubled)
        .min(settings.retry_max_s);
    let wait = SignedDuration::from_secs(i64::try_from(wait).unwrap_or(i64::MAX));
    Some(now.checked_add(wait).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alert::message::tests::at;
    use crate::alert::route::tests::sample;

    #[test]
    fn the_wait_doubles_up_to_the_longest_and_ends() {
        let mut settings = sample();
        (settings.retry_min_s, settings.retry_max_s, settings.attempts_max) = (10, 60, 6);
        let waits: Vec<Option<i64>> = (1..=7)
            .map(|attempt| next_try(&settings, attempt, at(0)))
            .map(|at_then| at_then.map(|then| then.as_second() - at(0).as_second()))
            .collect();
        assert_eq!(
            waits,
            [Some(10), Some(20), Some(40), Some(60), Some(60), None, None]
        );
        settings.attempts_max = u32::MAX;
        assert!(next_try(&settings, 5000, at(0)).is_some());
    }
}
