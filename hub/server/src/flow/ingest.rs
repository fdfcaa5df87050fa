//! Ingest: takes messages from the three intake queues with a bounded prefetch, and settles each one
//! only when what became of it is committed.
//!
//! What cannot be attributed to a registered system has nobody to be answered: it is recorded and goes
//! to the dead letters. Everything else is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use truc_bodies::Pin;
use truc_ledger::{Ledger, Note};
use truc_model::wire::Intake;
use truc_model::{Clock, MessageId, Sha256, SystemId, crash};
use truc_transport::{Broker, BrokerError, Consumer, Delivery, Settlement};

use super::bodies::{self, Bodies, COMMIT_WITHIN};
use super::inspect::{Pdfs, inspect};
use super::record::{self, Outcome, RETRY_MAX, RETRY_MIN, Recorded, Unrecorded};
use super::route::{Routed, route};
use super::rules::Rules;
use super::verify::{Refused, examine};
use super::{Received, track};
use crate::app::stopped;
use crate::inspect::Pool;
use crate::telemetry::{Event, emit};

/// Packets up to this size are checked by the task that took them in, in bytes: that is done in a few hundred
/// microseconds, and handing them to another thread and back costs a good part of that. Larger ones would hold up
/// what else the thread has to do.
pub const CHECKED_IN_PLACE_MAX_BYTES: usize = 64 * 1024;

/// What the intake needs.
#[derive(Clone)]
pub struct Intakes {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The ledger.
    pub ledger: Ledger,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Bound on checks that run at once: they are work for processors, not waiting.
    pub workers: Arc<Semaphore>,
    /// Bound on those of them that look at a body apart ([`bodies::LARGE_AT_ONCE`]).
    pub large: Arc<Semaphore>,
    /// Bodies apart; `None`: this hub takes none.
    pub bodies: Option<Bodies>,
    /// Looks at attached PDFs; `None`: nobody does.
    pub pdfs: Option<Pool>,
}

impl Intakes {
    /// Takes messages of one queue until `stop` says so, then waits for those in hand.
    ///
    /// # Errors
    /// [`BrokerError`] when this hub may not consume the queue. A broker that is away, or a queue that is
    /// not declared yet, is waited for.
    pub async fn run(
        self,
        intake: Intake,
        prefetch: u16,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), BrokerError> {
        let begun = tokio::select! {
            biased;
            () = stopped(&mut stop) => return Ok(()),
            begun = self.consume(intake, prefetch) => begun?,
        };
        let Some(mut consumer) = begun else {
            return Ok(());
        };
        let mut in_hand = JoinSet::new();
        // The broker never hands out more than `prefetch` unsettled messages on one connection; after a
        // reconnect it hands the same ones out again, while those of the lost connection are still in hand.
        let in_hand_max = usize::from(prefetch.max(1));
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = in_hand.join_next(), if !in_hand.is_empty() => {}
                delivery = consumer.next(), if in_hand.len() < in_hand_max => match delivery {
                    Some(delivery) => {
                        let this = self.clone();
                        in_hand.spawn(async move { this.handle(intake, delivery).await });
                    }
                    None => break,
                },
            }
        }
        // What is not in hand goes back to the queue as soon as the rest is settled.
        drop(consumer);
        while in_hand.join_next().await.is_some() {}
        Ok(())
    }

    /// `None` when the broker was closed by this program.
    async fn consume(&self, intake: Intake, prefetch: u16) -> Result<Option<Box<dyn Consumer>>, BrokerError> {
        let tag = format!("truc-{}", intake.as_str());
        let mut wait = RETRY_MIN;
        loop {
            match self.broker.consume(intake.queue(), prefetch, &tag).await {
                Ok(consumer) => return Ok(Some(consumer)),
                Err(BrokerError::Closed) => return Ok(None),
                Err(
                    BrokerError::Disconnected(_)
                    | BrokerError::TimedOut { .. }
                    | BrokerError::NotFound { .. },
                ) => {}
                Err(error) => return Err(error),
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(RETRY_MAX);
        }
    }

    async fn handle(&self, intake: Intake, delivery: Delivery) {
        crash::reach("received");
        let (message, settlement) = delivery.into_parts();
        let received = Received::new(intake, message, self.clock.now());
        let settled = match intake {
            Intake::Taken => track::taken(self, received, settlement).await,
            Intake::Document | Intake::Status => self.submission(received, settlement).await,
        };
        if settled {
            crash::reach("settled");
        }
    }

    async fn submission(&self, mut received: Received, settlement: Settlement) -> bool {
        match bodies::locate(self.bodies.as_ref(), &mut received).await {
            Ok(None) => self.examine(received, settlement, &mut None).await,
            Ok(pin @ Some(_)) => {
                let mut pin = pin;
                let settled = self.examine(received, settlement, &mut pin).await;
                if let (Some(bodies), Some(pin)) = (&self.bodies, pin) {
                    bodies.release(pin).await;
                }
                settled
            }
            // The store has a fault: told already. The message comes again.
            Err(_) => settlement.requeue().await.is_ok(),
        }
    }

    /// Checks and records. A pin that is left was not needed.
    async fn examine(&self, received: Received, settlement: Settlement, pin: &mut Option<Pin>) -> bool {
        let large = match pin {
            Some(_) => self.large.clone().acquire_owned().await.ok(),
            None => None,
        };
        let Ok(permit) = self.workers.clone().acquire_owned().await else {
            return false;
        };
        let rules = self.rules.borrow().clone();
        let is_small = large.is_none() && received.message.body.len() <= CHECKED_IN_PLACE_MAX_BYTES;
        let checked = if is_small {
            let checked = check(received, &rules);
            drop(permit);
            // Before the next one: whoever waits for the ledger or the broker has its turn.
            tokio::task::yield_now().await;
            Ok(checked)
        } else {
            tokio::task::spawn_blocking(move || {
                let _permits = (permit, large);
                check(received, &rules)
            })
            .await
        };
        crash::reach("verified");
        let (mut checked, evidence) = match checked {
            Ok(checked) => checked,
            // The runtime is going down: the broker keeps the message.
            Err(_) => return false,
        };
        if let Checked::Unreadable(error) = checked {
            emit(Event::BodyUnreadable { error: &error });
            tokio::time::sleep(RETRY_MAX).await;
            return settlement.requeue().await.is_ok();
        }
        if let Checked::Routed(routed, pdfs) = &mut checked {
            inspect(self.pdfs.as_ref(), std::mem::take(pdfs), routed).await;
        }
        loop {
            let recorded = match &checked {
                Checked::Routed(routed, _) => match self.record(routed, pin).await {
                    Some(recorded) => recorded,
                    // The body is not sure to be there any more: all of it once more.
                    None => return settlement.requeue().await.is_ok(),
                },
                Checked::Refused(refused) => record::record_refusal(&self.ledger, refused).await,
                Checked::Unreadable(_) | Checked::Defect => {
                    emit(Event::CheckFailed {
                        intake: evidence.intake,
                    });
                    let note = evidence.note("check-failed");
                    return match record::until_committed(|| self.ledger.note(note.clone())).await {
                        Ok(_) => settlement.dead_letter().await.is_ok(),
                        Err(_) => false,
                    };
                }
            };
            return match (recorded, &checked) {
                (Ok(recorded), Checked::Refused(refused)) if refused.system.is_none() => {
                    bury(settlement, &recorded).await
                }
                (Ok(recorded), _) => settle(settlement, &recorded).await,
                // The hub is stopping: the broker keeps the message.
                (Err(Unrecorded::Closed), _) => false,
                (Err(Unrecorded::OwnFault(_)), _) => {
                    if !self.gives_up(&evidence).await {
                        continue;
                    }
                    settlement.dead_letter().await.is_ok()
                }
            };
        }
    }

    /// Commits, and with a body apart only while its pin holds. `None`: it does not, and nothing is sure.
    async fn record(&self, routed: &Routed, pin: &mut Option<Pin>) -> Option<Result<Recorded, Unrecorded>> {
        let (Some(bodies), Some(held)) = (&self.bodies, pin.as_ref()) else {
            return Some(record::record(&self.ledger, routed).await);
        };
        if !bodies.holds(held) {
            return None;
        }
        let committing = tokio::time::timeout(COMMIT_WITHIN, record::record(&self.ledger, routed));
        let recorded = committing.await.ok()?;
        if recorded.is_ok()
            && let Some(held) = pin.take()
        {
            bodies.recorded(held).await;
        }
        Some(recorded)
    }

    /// Whether a message that the ledger does not take is to go to the dead letters, so that it blocks nobody
    /// and is not lost: only when the ledger takes the note about it. A ledger that takes nothing at all is
    /// not the message's fault, and the message goes on waiting.
    pub(super) async fn gives_up(&self, evidence: &Evidence) -> bool {
        const REASON: &str = "record-failed";
        let noted = self.ledger.note(evidence.note(REASON)).await.is_ok();
        if noted {
            emit(Event::GivenUp {
                intake: evidence.intake,
                reason: REASON,
            });
        }
        noted
    }
}

/// What the ledger is told of a message that goes to the dead letters by a defect.
#[derive(Debug)]
pub(super) struct Evidence {
    intake: Intake,
    system: Option<SystemId>,
    message_id: Option<MessageId>,
    sha256: Sha256,
    size: u64,
}

impl Evidence {
    pub(super) fn of(received: &Received, sha256: Sha256) -> Self {
        let properties = &received.message.properties;
        Self {
            intake: received.intake,
            system: properties
                .user_id
                .as_deref()
                .and_then(|id| SystemId::new(id).ok()),
            message_id: properties.message_id.as_deref().and_then(|id| id.parse().ok()),
            sha256,
            size: received.size(),
        }
    }

    fn note(&self, reason: &str) -> Note {
        Note::DeadLettered {
            queue: self.intake.queue().to_owned(),
            reason: reason.to_owned(),
            system: self.system.clone(),
            message_id: self.message_id,
            sha256: self.sha256,
            size: self.size,
        }
    }
}

/// What the checks came to.
enum Checked {
    Routed(Box<Routed>, Pdfs),
    Refused(Box<Refused>),
    /// The packet could not be read where it lies.
    Unreadable(std::io::Error),
    /// They panicked.
    Defect,
}

fn check(received: Received, rules: &Rules) -> (Checked, Evidence) {
    // A panic is caught, or the message would hold its place of the prefetch for ever and nobody be told.
    let Ok(mut examined) = catch_unwind(AssertUnwindSafe(|| examine(&received, rules))) else {
        let sha256 = received.sha256();
        return (Checked::Defect, Evidence::of(&received, sha256));
    };
    let evidence = Evidence::of(&received, examined.sha256());
    if let Some(error) = examined.take_unreadable() {
        return (Checked::Unreadable(error), evidence);
    }
    let checked = catch_unwind(AssertUnwindSafe(|| match examined.conclude(received, rules) {
        Ok(verified) => {
            let pdfs = Pdfs::of(&verified);
            Checked::Routed(Box::new(route(verified, rules)), pdfs)
        }
        Err(refused) => Checked::Refused(refused),
    }));
    (checked.unwrap_or(Checked::Defect), evidence)
}

/// Settles a message, with the proof of the commit in hand.
pub(super) async fn settle(settlement: Settlement, recorded: &Recorded) -> bool {
    emit(Event::Submission {
        outcome: recorded.outcome(),
    });
    match settlement.ack().await {
        Ok(()) => true,
        Err(error) => {
            // The broker will hand it out again, and the ledger will recognise it.
            emit(Event::NotSettled { error: &error });
            false
        }
    }
}

/// The same for a message whose sender cannot be answered: it is kept for the operator.
pub(super) async fn bury(settlement: Settlement, recorded: &Recorded) -> bool {
    if let Outcome::Refused(answer) = recorded.outcome() {
        emit(Event::DeadLetter { code: answer.code });
    }
    settlement.dead_letter().await.is_ok()
}
