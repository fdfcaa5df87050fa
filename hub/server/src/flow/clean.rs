//! Clean: takes documents that were recalled out of inboxes that nobody reads. The order that overtakes them lies in
//! the same inbox, and would be obeyed by whoever read it; until then the bytes would stay where they must not.
//!
//! The proof that nobody had a document is the broker's: it lies in the inbox, and was never handed out (`redelivered` is not
//! set). To look is to be handed out, so each message that is looked at bears that mark afterwards, and an inbox is looked
//! at as seldom as possible: only when it has no consumer, holds something that was ordered back, and not again for the
//! same. What bears the mark is left to the order.
//!
//! In this order, so that a crash in between leaves nothing untrue: the ledger notes that it begins; the message is taken
//! out, and the broker has answered; the ledger notes that it is withdrawn. Killed after the first, the message is back in
//! the inbox. Killed after the second, the document counts as forwarded and ordered back, and whoever reads the order says
//! what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use truc_ledger::rows::OutboxPlace;
use truc_ledger::{Cleaning, Ledger, LedgerError};
use truc_model::wire::{header, inbox};
use truc_model::{DeliveryUid, SystemId, crash};
use truc_transport::{Broker, BrokerError, Browser};

use super::record::until_committed;
use crate::app::stopped;
use crate::telemetry::{Event, emit};

/// How often the hub looks whether there is anything to clean.
pub const CLEAN_EVERY: Duration = Duration::from_secs(5);
/// Most messages that were ordered back and are considered at once.
pub const CONSIDERED_MAX: usize = 1000;
/// Most messages looked at in one inbox. What lies behind is left to the order.
pub const LOOKED_AT_MAX: usize = 20_000;
/// A quorum queue throws away what was handed out in vain too often, 20 times unless set otherwise. An inbox with a message
/// that was given back this often is left alone.
pub const RETURNED_MAX: u64 = 5;

/// What cleaning needs.
pub struct Cleaner {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The ledger.
    pub ledger: Ledger,
    /// How often to look.
    pub every: Duration,
}

impl Cleaner {
    /// Cleans until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        // Looked for once; forgotten when they are no longer ordered back.
        let mut known = BTreeSet::new();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(self.every) => {}
            }
            // Not cut short by a stop: it holds messages only for as long as the broker answers.
            if let Err(error) = self.look(&mut known).await {
                match error {
                    CleanError::Ledger(LedgerError::Closed) => return,
                    error => emit(Event::NotCleaned { error: &error }),
                }
            }
        }
    }

    /// Cleans every inbox that nobody reads of what was ordered back, once for each delivery. `known`: those looked
    /// for before.
    ///
    /// # Errors
    /// [`CleanError`]; the next look goes on.
    pub async fn look(&self, known: &mut BTreeSet<DeliveryUid>) -> Result<(), CleanError> {
        let rows = self.ledger.ordered_back(None, CONSIDERED_MAX).await?;
        let mut wanted: BTreeMap<SystemId, BTreeSet<DeliveryUid>> = BTreeMap::new();
        let mut still = BTreeSet::new();
        for row in rows {
            still.insert(row.delivery);
            if matches!(row.place, OutboxPlace::Forwarded { .. }) && !known.contains(&row.delivery) {
                wanted.entry(row.system).or_default().insert(row.delivery);
            }
        }
        known.retain(|delivery| still.contains(delivery));
        for (system, deliveries) in wanted {
            let queue = inbox(&system);
            match self.broker.queue_depth(&queue).await {
                // Whoever reads it finds the order first.
                Ok(depth) if depth.consumers > 0 || depth.ready == 0 => continue,
                Ok(_) => {}
                // Deleted: what lay in it goes another way.
                Err(BrokerError::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
            let browser = self.broker.browse(&queue).await?;
            // From here on messages bear the mark: a second look would find none without it.
            known.extend(deliveries.iter().copied());
            self.clean(browser, &system, &deliveries).await?;
        }
        Ok(())
    }

    async fn clean(
        &self,
        mut browser: Box<dyn Browser>,
        system: &SystemId,
        wanted: &BTreeSet<DeliveryUid>,
    ) -> Result<(), CleanError> {
        let found = find(&mut *browser, wanted).await?;
        let mut numbers = Vec::new();
        let mut going = Vec::new();
        for chunk in found.chunks(Cleaning::MAX) {
            let cleaning = Cleaning {
                system: system.clone(),
                deliveries: chunk.iter().map(|(delivery, _)| *delivery).collect(),
            };
            let may_go = until_committed(|| self.ledger.cleaning_begun(cleaning.clone())).await?;
            let of = chunk.iter().filter(|(delivery, _)| may_go.contains(delivery));
            numbers.extend(of.map(|(_, number)| *number));
            going.extend(may_go);
        }
        if !going.is_empty() {
            crash::reach("cleaning-begun");
        }
        browser.take_out(&numbers).await?;
        if going.is_empty() {
            return Ok(());
        }
        crash::reach("cleaning-taken-out");
        for chunk in going.chunks(Cleaning::MAX) {
            let cleaning = Cleaning {
                system: system.clone(),
                deliveries: chunk.to_vec(),
            };
            until_committed(|| self.ledger.cleaned(cleaning.clone())).await?;
        }
        emit(Event::InboxCleaned {
            system,
            deliveries: going.len(),
        });
        Ok(())
    }
}

/// Looks for these deliveries; gives those that nobody was ever handed, with their numbers.
async fn find(
    browser: &mut dyn Browser,
    wanted: &BTreeSet<DeliveryUid>,
) -> Result<Vec<(DeliveryUid, usize)>, BrokerError> {
    let mut left = wanted.clone();
    let mut found = Vec::new();
    for number in 0..LOOKED_AT_MAX {
        let Some(seen) = browser.next().await? else {
            break;
        };
        let delivery = seen.properties.text(header::DELIVERY);
        let delivery: Option<DeliveryUid> = delivery.and_then(|text| text.parse().ok());
        if let Some(delivery) = delivery
            && left.remove(&delivery)
            && !seen.redelivered
        {
            found.push((delivery, number));
        }
        if left.is_empty() || seen.returned >= RETURNED_MAX {
            break;
        }
    }
    Ok(found)
}

/// Why an inbox could not be cleaned now.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The ledger.
    #[error("the ledger could not be asked")]
    Ledger(#[from] LedgerError),
    /// The broker.
    #[error("the broker could not be asked")]
    Broker(#[from] BrokerError),
}
