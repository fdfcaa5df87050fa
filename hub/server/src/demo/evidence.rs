//! Evidence: what the ledger says, held against what the agencies' folders hold. Neither is believed
//! alone: the ledger could count what never arrived, a folder cannot know what it was owed.

use std::collections::BTreeMap;

use truc_ledger::{Balance, BalanceFilter, DocumentFilter, Ledger};
use truc_model::delivery::TransportStateName;

use super::folders;
use super::stage::{Doing, Stage, StageError};

/// What came of everything.
#[derive(Debug)]
pub struct Evidence {
    /// The ledger's balance, checked against its events.
    pub balance: Balance,
    /// Deliveries the ledger calls taken that are not in their recipient's folder, and receipts whose
    /// document the ledger does not have.
    pub lost: u64,
    /// Deliveries that lie in a folder more than once.
    pub duplicated: u64,
    /// What lies in a folder and was never accepted.
    pub invented: u64,
}

impl Evidence {
    /// Gathers it. The processes of the stage may be running.
    ///
    /// # Errors
    /// [`StageError`] when ledger or folders cannot be read, or a packet is not whole.
    pub async fn gather(stage: &Stage, ledger: &Ledger) -> Result<Self, StageError> {
        let mut held: BTreeMap<(String, String, String), u64> = BTreeMap::new();
        let mut receipts = Vec::new();
        for system in stage.systems.values() {
            for ((document, code), count) in folders::check_arrivals(system)? {
                *held.entry((system.id.to_string(), document, code)).or_insert(0) += count;
            }
            receipts.extend(folders::receipts(system));
        }
        let mut duplicated: u64 = held.values().map(|count| count - 1).sum();
        for system in stage.systems.values() {
            let mut seen = BTreeMap::new();
            for status in folders::statuses(system) {
                let key = ["document", "from", "code", "sha256"].map(|field| status[field].to_string());
                *seen.entry(key).or_insert(0_u64) += 1;
            }
            duplicated += seen.values().map(|count| count - 1).sum::<u64>();
        }

        let mut lost = 0;
        let mut known = Vec::new();
        let mut before = None;
        loop {
            let filter = DocumentFilter {
                before,
                ..DocumentFilter::default()
            };
            let page = ledger.documents(&filter).await.doing("reading the ledger")?;
            let Some(last) = page.last() else { break };
            before = Some(last.event);
            for line in &page {
                known.push(line.uid.to_string());
                let view = ledger.document(line.uid).await.doing("reading the ledger")?;
                for recipient in view.iter().flat_map(|view| &view.recipients) {
                    let Some(system) = &recipient.system else { continue };
                    // A delivery may name several codes of one agency; the adapter sees each of them.
                    for code in &recipient.codes {
                        let key = (system.to_string(), line.uid.to_string(), code.clone());
                        let in_folder = held.remove(&key).is_some();
                        if recipient.state.name() == TransportStateName::Taken && !in_folder {
                            lost += 1;
                        }
                    }
                }
            }
        }
        lost += receipts
            .iter()
            .filter(|document| !known.contains(document))
            .count() as u64;
        Ok(Self {
            balance: ledger
                .balance(&BalanceFilter::default())
                .await
                .doing("balancing the ledger")?,
            lost,
            duplicated,
            invented: held.len() as u64,
        })
    }

    /// Whether everything is as promised.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.balance.balances() && self.lost == 0 && self.duplicated == 0 && self.invented == 0
    }

    /// The last line of the demo, for programs.
    #[must_use]
    pub fn line(&self) -> String {
        let total = &self.balance.total;
        format!(
            "balance: accepted={} taken={} waiting={} refused={} withdrawn={} undeliverable={} lost={} duplicated={}",
            total.accepted,
            total.taken,
            total.waiting,
            total.refused,
            total.withdrawn,
            total.undeliverable,
            self.lost,
            self.duplicated + self.invented,
        )
    }
}
