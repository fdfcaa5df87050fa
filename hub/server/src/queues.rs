//! The hub's queues on the broker: declared when the hub starts, however long the broker takes to be there,
//! and declared again whenever something may be missing. A queue that is gone would else stay gone, with
//! everything for it waiting, until somebody starts the hub anew.
//!
//! An inbox that is missing was lost with what lay in it (a disk, a slip of somebody's hand): the ledger schedules
//! that again before the inbox is declared anew, when nobody could tell any more.
//!
//! Declaring changes nothing where all is well. One inbox that exists with other arguments is told of and left
//! alone: it must not keep the province's other inboxes, or a new directory, from being put in force.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::Instant;
use truc_ledger::Ledger;
use truc_model::wire::{DEAD_QUEUE, inbox};
use truc_model::{AlertKind, SystemId};
use truc_transport::{Broker, BrokerError, QueueType, Topology};

use crate::alert::signal::Bell;
use crate::app::stopped;
use crate::flow::record::until_committed;
use crate::flow::rules::Rules;
use crate::telemetry::{Event, emit};

/// Rest between two attempts of a starting hub to reach the broker; each attempt itself waits, too.
pub const AWAIT_PAUSE: Duration = Duration::from_secs(1);

/// How often the queues are declared again while nothing seems to be wrong.
pub const DECLARE_EVERY: Duration = Duration::from_secs(60);

/// Shortest rest between two declarations, whoever asks for them.
pub const DECLARE_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
pub struct Queues {
    broker: Arc<dyn Broker>,
    ledger: Ledger,
    queue_type: QueueType,
    /// Something was found missing: declare again.
    missing: Notify,
    /// One declaration at a time.
    declaring: Mutex<()>,
    /// Messages seen among the dead letters at the last look.
    dead: Mutex<u32>,
    bell: Bell,
}

impl Queues {
    /// The queues on `broker`.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, ledger: Ledger, queue_type: QueueType) -> Self {
        Self {
            broker,
            ledger,
            queue_type,
            missing: Notify::new(),
            declaring: Mutex::new(()),
            dead: Mutex::new(0),
            bell: Bell::unheard(),
        }
    }

    /// The same queues; what is wrong with them is an alert.
    #[must_use]
    pub fn with_bell(self, bell: Bell) -> Self {
        Self { bell, ..self }
    }

    /// Says that a publish found no queue.
    pub fn found_missing(&self) {
        self.missing.notify_one();
    }

    /// Declares again after each new connection, when something was found missing, and from time to time,
    /// until `stop` says so.
    pub async fn keep(&self, rules: watch::Receiver<Arc<Rules>>, mut stop: watch::Receiver<bool>) {
        let mut state = self.broker.state();
        state.mark_unchanged();
        let mut again = Instant::now() + DECLARE_EVERY;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                Ok(()) = state.changed() => {
                    // Also when it was connected at the last look: a short break may lie in between.
                    if !state.borrow_and_update().is_connected() {
                        continue;
                    }
                }
                () = self.missing.notified() => {}
                () = tokio::time::sleep_until(again) => {}
            }
            let systems = rules
                .borrow()
                .directory
                .systems()
                .map(|system| system.id.clone())
                .collect::<Vec<_>>();
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = self.declare_and_tell(&systems) => {}
            }
            self.look_at_dead_letters().await;
            again = Instant::now() + DECLARE_EVERY;
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(DECLARE_PAUSE) => {}
            }
        }
    }

    /// Declares; a failure is told, and tried again by [`Queues::keep`].
    pub async fn declare_and_tell(&self, systems: &[SystemId]) {
        if let Err(error) = self.declare(systems).await {
            self.bell.emit(Event::NotDeclared { error: &error });
        } else {
            self.bell.clear(AlertKind::QueuesMissing);
        }
    }

    /// Declares everything for the first time; waits for a broker that is not there.
    ///
    /// # Errors
    /// [`BrokerError`] when waiting does not help: the broker refuses this hub's account, or one of the hub's
    /// own queues exists with other arguments.
    pub async fn declare_first(&self, systems: &[SystemId]) -> Result<(), BrokerError> {
        loop {
            match self.declare(systems).await {
                Err(error @ (BrokerError::Disconnected(_) | BrokerError::TimedOut { .. })) => {
                    emit(Event::BrokerAwaited { error: &error });
                }
                other => return other,
            }
            tokio::time::sleep(AWAIT_PAUSE).await;
        }
    }

    /// Declares everything, and an inbox for each of `systems`.
    ///
    /// # Errors
    /// [`BrokerError`], but none for an inbox that exists with other arguments.
    pub async fn declare(&self, systems: &[SystemId]) -> Result<(), BrokerError> {
        let _one_at_a_time = self.declaring.lock().await;
        for system in systems {
            self.look_for(system).await?;
        }
        let mut systems = systems.to_vec();
        // Each round declares everything or leaves one system out.
        loop {
            let topology = Topology::hub(self.queue_type, systems.iter().cloned());
            let error = match self.broker.declare(&topology).await {
                Ok(()) => {
                    for system in &systems {
                        self.bell.inbox_is_well(system);
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            let odd = match &error {
                BrokerError::Mismatch { name, .. } => {
                    systems.iter().position(|system| inbox(system) == *name)
                }
                _ => None,
            };
            let Some(odd) = odd else {
                return Err(error);
            };
            let system = systems.swap_remove(odd);
            self.bell.emit(Event::InboxOdd {
                system: &system,
                error: &error,
            });
        }
    }

    /// Finds out whether an inbox is missing, and has what lay in it sent again.
    async fn look_for(&self, system: &SystemId) -> Result<(), BrokerError> {
        match self.broker.queue_depth(&inbox(system)).await {
            Err(BrokerError::NotFound { .. }) => {}
            other => return other.map(drop),
        }
        let mut deliveries = 0;
        // Fewer each time, and none in the end: what is scheduled is not forwarded.
        while let Ok(again @ 1..) = until_committed(|| self.ledger.inbox_lost(system.clone())).await {
            deliveries += again;
        }
        if deliveries > 0 {
            emit(Event::InboxLost { system, deliveries });
        }
        Ok(())
    }

    /// Tells when there are more dead letters than at the last look: whoever put them there, somebody must
    /// see them.
    async fn look_at_dead_letters(&self) {
        // An unreachable broker is told of elsewhere.
        if let Ok(depth) = self.broker.queue_depth(DEAD_QUEUE).await {
            let before = std::mem::replace(&mut *self.dead.lock().await, depth.ready);
            if depth.ready > before {
                self.bell.emit(Event::DeadLetters { waiting: depth.ready });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use truc_ledger::MemoryStore;
    use truc_model::{SystemClock, SystemRandom};
    use truc_transport::MemoryBroker;

    use super::*;

    #[tokio::test]
    async fn one_odd_inbox_keeps_no_other_from_being_declared() {
        let broker = Arc::new(MemoryBroker::new());
        let ledger = Ledger::start(
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            Arc::new(SystemRandom::default()),
            truc_ledger::Settings::default(),
        );
        let [odd, good] = ["odd", "good"].map(|id| SystemId::new(id).unwrap());
        let other = Topology::hub(QueueType::Quorum, [odd.clone()]);
        broker.declare(&other).await.unwrap();
        for queue in [
            "truc.submit.document",
            "truc.submit.status",
            "truc.submit.taken",
            DEAD_QUEUE,
        ] {
            broker.delete_queue(queue);
        }
        let queues = Queues::new(
            Arc::clone(&broker) as Arc<dyn Broker>,
            ledger.clone(),
            QueueType::Classic,
        );
        queues.declare(&[odd, good.clone()]).await.unwrap();
        assert!(broker.queue_depth(&inbox(&good)).await.is_ok());

        // One of the hub's own is another matter.
        broker.delete_queue(DEAD_QUEUE);
        broker
            .declare(&Topology::hub(QueueType::Quorum, []))
            .await
            .unwrap_err();
        let quorum = Queues::new(Arc::clone(&broker) as Arc<dyn Broker>, ledger, QueueType::Quorum);
        assert!(matches!(
            quorum.declare_first(&[good]).await,
            Err(BrokerError::Mismatch { .. })
        ));
    }
}
