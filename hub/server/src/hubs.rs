//! Several hubs of one province: that no two have one name, and that the work of one that is gone goes on at once.
//!
//! A hub leases what it delivers under its name, so two hubs of one name would take each other's work away. Each holds
//! its name on the broker (an exclusive queue, which ends with the connection, whatever ends it) and does not start
//! beside another that holds it. That is also how the others see that a hub is gone: they end its leases, which
//! would else run for `delivery.lease_s` and keep its inboxes waiting.
//!
//! A hub that finds its name with another while it runs ends: see [`Hubs::watch`].
//!
//! Nothing here decides what is true. A hub that lives and has lost the broker for a while may find its leases ended:
//! then a message can go out twice, under one delivery id, which the recipient recognises. And without the broker's word
//! leases run out by themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use truc_ledger::event::{EventKind, Fact};
use truc_ledger::{HubId, Ledger, LedgerError};
use truc_transport::{Broker, BrokerError, NameHold};

use crate::app::stopped;
use crate::telemetry::{Event, emit};

/// How long a starting hub waits for its name: longer than the broker needs to see that its former life is gone.
pub const NAME_PATIENCE: Duration = Duration::from_secs(15);

/// How often a starting hub asks for it.
pub const NAME_PAUSE: Duration = Duration::from_millis(500);

/// How often a running hub holds its name again, and looks for the others'.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// How long a name must be held by nobody before its hub counts as gone: longer than a hub takes to be on another
/// node of the broker.
pub const GONE_AFTER: Duration = Duration::from_secs(4);

/// How often in a row a running hub finds its name with another before it gives way: longer than its own former
/// connection can hold the name after it broke.
pub const TAKEN_LOOKS: u32 = 10;

/// How many starts of hubs, the latest, tell which hubs there are.
pub const STARTS_MAX: usize = 64;

/// Another hub has this one's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("another hub named '{name}' runs on this broker")]
pub struct NameTaken {
    /// The name.
    pub name: String,
}

/// See the module.
pub struct Hubs {
    broker: Arc<dyn Broker>,
    ledger: Ledger,
    name: String,
}

/// What is known of the others.
#[derive(Debug, Default)]
struct Others {
    /// Held by nobody since then.
    absent: BTreeMap<String, Instant>,
    /// Gone, and their leases ended, after this start (an event's number).
    ended: BTreeMap<String, u64>,
}

impl Hubs {
    /// For the hub of this name.
    #[must_use]
    pub fn new(broker: Arc<dyn Broker>, ledger: Ledger, name: &str) -> Self {
        Self {
            broker,
            ledger,
            name: name.to_owned(),
        }
    }

    /// Takes this hub's name, before it does anything under it. A broker that cannot say who holds it stops nobody.
    ///
    /// # Errors
    /// [`NameTaken`] when another holds it for longer than a former life of this hub could.
    pub async fn take_name(&self) -> Result<(), NameTaken> {
        let begun = Instant::now();
        loop {
            let held = self.broker.hold_name(&self.name).await;
            let late = begun.elapsed() >= NAME_PATIENCE;
            match held {
                Ok(NameHold::Ours) => return Ok(()),
                Ok(NameHold::Others) if late => {
                    return Err(NameTaken {
                        name: self.name.clone(),
                    });
                }
                Err(error) if late || matches!(error, BrokerError::Refused { .. }) => {
                    emit(Event::NotDeclared { error: &error });
                    return Ok(());
                }
                Ok(NameHold::Others) | Err(_) => sleep(NAME_PAUSE).await,
            }
        }
    }

    /// Holds the name after each new connection, and ends the leases of hubs that are gone, until `stop` says so.
    ///
    /// # Errors
    /// [`NameTaken`] when another hub holds the name while this one runs: it took it when this one's connection was
    /// lost. Two that lease under one name take each other's work for their own, so the one without the name ends.
    pub async fn watch(self, mut stop: watch::Receiver<bool>) -> Result<(), NameTaken> {
        let mut taken = 0;
        let mut others = Others::default();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                () = sleep(LOOK_EVERY) => {}
            }
            match self.broker.hold_name(&self.name).await {
                Ok(NameHold::Ours) => taken = 0,
                Ok(NameHold::Others) => {
                    taken += 1;
                    if taken >= TAKEN_LOOKS {
                        emit(Event::NameTaken { hub: &self.name });
                        return Err(NameTaken {
                            name: self.name.clone(),
                        });
                    }
                }
                // It is told of elsewhere.
                Err(_) => continue,
            }
            match self.look_for_others(&mut others).await {
                Ok(()) | Err(LedgerError::Closed) => {}
                Err(error) => emit(Event::LedgerUnavailable { error: &error }),
            }
        }
    }

    /// Ends the leases of hubs that are gone.
    async fn look_for_others(&self, others: &mut Others) -> Result<(), LedgerError> {
        let known = self.others().await?;
        let names: BTreeSet<&String> = known.keys().collect();
        others.absent.retain(|name, _| names.contains(name));
        others.ended.retain(|name, _| names.contains(name));
        for (name, start) in known {
            match self.broker.is_name_held(&name).await {
                Ok(false) => {}
                Ok(true) => {
                    others.absent.remove(&name);
                    continue;
                }
                // Nobody can say: the broker is in trouble itself.
                Err(_) => continue,
            }
            let since = *others.absent.entry(name.clone()).or_insert_with(Instant::now);
            if since.elapsed() < GONE_AFTER || others.ended.get(&name) == Some(&start) {
                continue;
            }
            let leases = self.ledger.release_leases(HubId::new(&name)).await?;
            if leases > 0 {
                emit(Event::HubGone { hub: &name, leases });
            }
            others.ended.insert(name, start);
        }
        Ok(())
    }

    /// The other hubs that started lately, each with its last start.
    async fn others(&self) -> Result<BTreeMap<String, u64>, LedgerError> {
        let starts = self
            .ledger
            .events_of_hub(&[EventKind::HubStarted], None, STARTS_MAX)
            .await?;
        let mut others = BTreeMap::new();
        for row in starts {
            if let Ok(event) = row.event()
                && let Fact::HubStarted { hub, .. } = &event.fact
                && hub.as_str() != self.name
            {
                // The newest comes first.
                others.entry(hub.as_str().to_owned()).or_insert(row.seq);
            }
        }
        Ok(others)
    }
}
