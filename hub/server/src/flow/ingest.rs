//! Ingest: takes messages from the three intake queues with a bounded prefetch, and settles each one
//! only when what became of it is committed.
//!
//! What cannot be attributed to a registered system has nobody to be answered: it is recorded and goes
//! to the dead letters. Everything else is answered.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use truc_ledger::{Ledger, Note};
use truc_model::wire::Intake;
use truc_model::{Clock, Sha256, SystemId, crash};
use truc_transport::{Broker, BrokerError, Delivery, Settlement};

use super::record::{self, Outcome, Recorded};
use super::route::{Routed, route};
use super::rules::Rules;
use super::verify::{Refused, examine};
use super::{Received, track};
use crate::app::stopped;
use crate::telemetry::{Event, emit};

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
}

impl Intakes {
    /// Takes messages of one queue until `stop` says so, then waits for those in hand.
    ///
    /// # Errors
    /// [`BrokerError`] when the queue cannot be consumed at all.
    pub async fn run(
        self,
        intake: Intake,
        prefetch: u16,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(), BrokerError> {
        let mut consumer = self
            .broker
            .consume(intake.queue(), prefetch, &format!("truc-{}", intake.as_str()))
            .await?;
        // The broker never hands out more than `prefetch` unsettled messages, so this set is bounded.
        let mut in_hand = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                Some(_) = in_hand.join_next(), if !in_hand.is_empty() => {}
                delivery = consumer.next() => match delivery {
                    Some(delivery) => {
                        let this = self.clone();
                        in_hand.spawn(async move { this.handle(intake, delivery).await });
                    }
                    None => break,
                },
            }
        }
        while in_hand.join_next().await.is_some() {}
        Ok(())
    }

    async fn handle(&self, intake: Intake, delivery: Delivery) {
        crash::reach("received");
        let (message, settlement) = delivery.into_parts();
        let received = Received {
            intake,
            message,
            received_at: self.clock.now(),
        };
        let settled = match intake {
            Intake::Taken => track::taken(self, received, settlement).await,
            Intake::Document | Intake::Status => self.submission(received, settlement).await,
        };
        if settled {
            crash::reach("settled");
        }
    }

    async fn submission(&self, received: Received, settlement: Settlement) -> bool {
        let Ok(permit) = self.workers.clone().acquire_owned().await else {
            return false;
        };
        let rules = self.rules.borrow().clone();
        let checked = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            check(received, &rules)
        })
        .await;
        crash::reach("verified");
        let recorded = match checked {
            Ok(Checked::Routed(routed)) => record::record(&self.ledger, *routed).await,
            Ok(Checked::Refused(refused)) => {
                let attributable = refused.system.is_some();
                let recorded = record::record_refusal(&self.ledger, *refused).await;
                if !attributable {
                    return match recorded {
                        Ok(recorded) => bury(settlement, &recorded).await,
                        Err(_) => false,
                    };
                }
                recorded
            }
            Ok(Checked::Defect(received)) => return self.defect(*received, settlement).await,
            // The runtime is going down: the broker keeps the message.
            Err(_) => return false,
        };
        match recorded {
            Ok(recorded) => settle(settlement, &recorded).await,
            // The hub is stopping: the broker keeps the message.
            Err(_) => false,
        }
    }
}

impl Intakes {
    /// A check failed by a defect of this program. The message goes to the dead letters, so that it blocks
    /// nobody and is not lost; taken again it would only meet the same defect.
    async fn defect(&self, received: Received, settlement: Settlement) -> bool {
        emit(Event::CheckFailed {
            intake: received.intake,
        });
        let properties = &received.message.properties;
        let note = Note::DeadLettered {
            queue: received.intake.queue().to_owned(),
            reason: "check-failed".to_owned(),
            system: properties
                .user_id
                .as_deref()
                .and_then(|id| SystemId::new(id).ok()),
            message_id: properties.message_id.as_deref().and_then(|id| id.parse().ok()),
            sha256: Sha256::of(&received.message.body),
            size: received.message.body.len() as u64,
        };
        match record::until_committed(|| self.ledger.note(note.clone())).await {
            Ok(_) => settlement.dead_letter().await.is_ok(),
            Err(_) => false,
        }
    }
}

/// What the checks came to.
enum Checked {
    Routed(Box<Routed>),
    Refused(Box<Refused>),
    Defect(Box<Received>),
}

fn check(received: Received, rules: &Rules) -> Checked {
    // A panic is caught so that the bytes that caused it are kept: they are the evidence.
    match catch_unwind(AssertUnwindSafe(|| examine(&received, rules))) {
        Ok(examined) => match examined.conclude(received, rules) {
            Ok(verified) => Checked::Routed(Box::new(route(verified, rules))),
            Err(refused) => Checked::Refused(refused),
        },
        Err(_) => Checked::Defect(Box::new(received)),
    }
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

async fn bury(settlement: Settlement, recorded: &Recorded) -> bool {
    if let Outcome::Refused(answer) = recorded.outcome() {
        emit(Event::DeadLetter { code: answer.code });
    }
    settlement.dead_letter().await.is_ok()
}
