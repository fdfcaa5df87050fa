//! What cannot be recorded because the ledger does not commit must get out all the same.
//!
//! Alerts wait here, in memory, until the ledger takes them. The critical ones are told at once, straight to
//! their channels, marked as unrecorded; they come again, recorded, when the ledger is back. A hub that dies
//! meanwhile forgets them: the ledger that keeps everything else is what is missing.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::task::JoinSet;
use truc_ledger::alert::{AlertKey, AlertLine, AlertOrder, Raise};
use truc_model::{AlertChange, AlertPostUid, AlertUid, Clock, Random, Severity};

use super::channel::{Outlet, SendError, Sent};
use super::message::{Message, Occasion};
use super::route::{Matter, channels};
use super::send::next_try;
use crate::config::alert::Alert;

/// Most alerts kept in memory; further ones are logged alone.
pub const UNRECORDED_MAX: usize = 256;

/// See the module.
pub struct Unrecorded {
    settings: Arc<Alert>,
    hub: String,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    /// In the order they came, for the ledger.
    orders: Vec<AlertOrder>,
    /// Raised and told, or to be told.
    raised: BTreeMap<AlertKey, Timestamp>,
    messages: Vec<Attempt>,
    sending: JoinSet<(Attempt, Result<Sent, SendError>)>,
}

/// A message on its way, with the attempts made.
struct Attempt {
    message: Message,
    outlet: Arc<dyn Outlet>,
    attempts: u32,
    not_before: Timestamp,
}

impl Unrecorded {
    /// Nothing yet.
    #[must_use]
    pub fn new(settings: Arc<Alert>, hub: &str, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            settings,
            hub: hub.to_owned(),
            clock,
            random,
            orders: Vec::new(),
            raised: BTreeMap::new(),
            messages: Vec::new(),
            sending: JoinSet::new(),
        }
    }

    /// Whether the ledger owes nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// Keeps an order that the ledger did not take, and tells it when it cannot wait.
    pub fn keep(&mut self, order: AlertOrder, outlet: impl Fn(&str) -> Option<Arc<dyn Outlet>>) {
        if let AlertOrder::Raise(raise) = &order {
            let key = AlertKey {
                kind: raise.kind,
                subject: raise.subject.clone(),
            };
            if self.raised.contains_key(&key) {
                return;
            }
            if self.orders.len() >= UNRECORDED_MAX {
                tracing::error!(kind = %raise.kind, subject = raise.subject, "alert not kept: too many without a ledger");
                return;
            }
            self.raised.insert(key, self.clock.now());
            if raise.severity == Severity::Critical {
                self.tell(raise, outlet);
            }
        } else if self.orders.len() >= UNRECORDED_MAX {
            return;
        }
        if !self.orders.contains(&order) {
            self.orders.push(order);
        }
    }

    fn tell(&mut self, raise: &Raise, outlet: impl Fn(&str) -> Option<Arc<dyn Outlet>>) {
        let now = self.clock.now();
        let matter = Matter {
            kind: raise.kind,
            subject: &raise.subject,
            severity: raise.severity,
            system: raise.system.as_ref(),
            agencies: &raise.agencies,
        };
        let line = AlertLine {
            alert: AlertUid::new(self.random.uuid_v7(now)),
            change: AlertChange::Raised,
            subject: raise.subject.clone(),
            severity: raise.severity,
            raised_at: now,
            at: now,
            agencies: raise.agencies.clone(),
            system: raise.system.clone(),
            document: raise.document,
            facts: raise.facts.clone(),
        };
        for channel in channels(&self.settings, matter) {
            let Some(outlet) = outlet(channel.name()) else {
                continue;
            };
            self.messages.push(Attempt {
                message: Message {
                    id: AlertPostUid::new(self.random.uuid_v7(now)),
                    channel: channel.name().to_owned(),
                    hub: self.hub.clone(),
                    at: now,
                    occasion: Occasion::Alerts(raise.kind),
                    recorded: false,
                    lines: vec![line.clone()],
                    more: 0,
                },
                outlet,
                attempts: 0,
                not_before: now,
            });
        }
    }

    /// Begins to send what is due.
    pub fn begin(&mut self) {
        let now = self.clock.now();
        let due = |attempt: &mut Attempt| attempt.not_before <= now;
        for mut attempt in self.messages.extract_if(.., due) {
            attempt.attempts += 1;
            attempt.message.at = now;
            self.sending.spawn(async move {
                let result = attempt.outlet.send(&attempt.message).await;
                (attempt, result)
            });
        }
    }

    /// Comes back when an attempt ended; `false` when nothing is being sent.
    pub async fn ended(&mut self) -> bool {
        let Some(ended) = self.sending.join_next().await else {
            return false;
        };
        let Ok((mut attempt, result)) = ended else {
            return true;
        };
        let channel = &attempt.message.channel;
        match result {
            Ok(sent) => tracing::info!(channel, answer = sent.answer, "alert sent past the ledger"),
            Err(error) => {
                let next = next_try(&self.settings, attempt.attempts, self.clock.now());
                tracing::error!(
                    channel, attempt = attempt.attempts, last = next.is_none(),
                    error = %crate::telemetry::chain(&error), "alert not sent past the ledger"
                );
                if let Some(next) = next {
                    attempt.not_before = next;
                    self.messages.push(attempt);
                }
            }
        }
        true
    }

    /// Whether something is being sent.
    #[must_use]
    pub fn is_sending(&self) -> bool {
        !self.sending.is_empty()
    }

    /// What the ledger must still be told, oldest first.
    #[must_use]
    pub fn owed(&self) -> &[AlertOrder] {
        &self.orders
    }

    /// The ledger took all that was owed: from now on it tells.
    pub fn settled(&mut self) {
        self.orders.clear();
        self.raised.clear();
        self.messages.clear();
    }
}

#[cfg(test)]
mod tests {
    use truc_model::{AlertKind, ManualClock, SeededRandom};

    use super::*;
    use crate::alert::channel::outlet;
    use crate::alert::message::tests::at;
    use crate::alert::route::tests::sample;
    use crate::alert::test_http::{Answer, Server};
    use crate::config::alert::Channel;

    fn raise(kind: AlertKind, subject: &str) -> AlertOrder {
        AlertOrder::Raise(Raise::new(kind, subject))
    }

    #[tokio::test]
    async fn what_is_critical_goes_out_past_the_ledger_once() {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
        let mut settings = sample();
        settings.channels.truncate(1);
        settings.rules.clear();
        let Channel::Webhook(webhook) = &mut settings.channels[0] else {
            panic!("expected a webhook first");
        };
        webhook.url = server.url("/");
        webhook.secret_file = secret;
        let settings = Arc::new(settings);
        let way: Arc<dyn Outlet> = Arc::from(outlet(&settings.channels[0]));
        let clock = Arc::new(ManualClock::at(at(0)));
        let random = Arc::new(SeededRandom::new(1));
        let mut unrecorded = Unrecorded::new(settings, "hub-1", Arc::clone(&clock) as _, random);
        let find = |_: &str| Some(Arc::clone(&way));
        server.answer(Answer::status(503));
        unrecorded.keep(raise(AlertKind::LedgerUnavailable, "hub-1"), find);
        unrecorded.keep(raise(AlertKind::LedgerUnavailable, "hub-1"), find);
        unrecorded.keep(raise(AlertKind::NotTaken, "so"), find);
        unrecorded.begin();
        assert!(unrecorded.ended().await);
        let first = server.next().await.json();
        assert_eq!(
            (&first["recorded"], &first["kind"]),
            (&false.into(), &"ledger-unavailable".into())
        );
        // Not before its time, and then under the same id.
        unrecorded.begin();
        assert!(!unrecorded.is_sending());
        clock.advance(10);
        unrecorded.begin();
        assert!(unrecorded.ended().await);
        assert_eq!(server.next().await.json()["id"], first["id"]);
        assert_eq!(server.waiting(), 0);
        assert_eq!(unrecorded.owed().len(), 2);
        for n in 0..UNRECORDED_MAX {
            unrecorded.keep(raise(AlertKind::NotTaken, &format!("s{n}")), find);
        }
        assert_eq!(unrecorded.owed().len(), UNRECORDED_MAX);
        unrecorded.settled();
        assert!(unrecorded.is_empty());
    }
}
