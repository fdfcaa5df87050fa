//! A twin that goes on from the end of another ledger's chain, and gives away what it came to. For making ledgers:
//! the rules run here, and a back end saves the sum.

use super::{MemoryStore, Tables};
use crate::event::Head;
use crate::limit::LimitChanges;
use crate::rows::Changes;

impl MemoryStore {
    /// An empty ledger whose first event follows `head`. Nothing of what came before is known to it.
    #[must_use]
    pub fn continuing(head: Head) -> Self {
        let store = Self::default();
        if let Ok(mut tables) = store.tables.try_write() {
            tables.start = Some(head);
        }
        store
    }

    /// Everything in it as the one transaction that would have led there: new rows as they stand now, messages that
    /// are not done, time limits that run. Leaves it empty.
    pub async fn into_changes(self) -> Changes {
        let tables: Tables = std::mem::take(&mut *self.tables.write().await);
        let limits = tables.limits.into_values();
        Changes {
            events: tables.events.into_values().collect(),
            bodies: tables.bodies.into_iter().collect(),
            documents: tables.documents.into_values().collect(),
            recipients: tables.recipients.into_values().collect(),
            submissions: tables.submissions.into_values().collect(),
            refusals: tables.refusals.into_values().collect(),
            statuses: tables.statuses.into_values().collect(),
            outbox: tables.outbox.into_values().collect(),
            limits: LimitChanges {
                begun: limits.filter(|row| row.ended.is_none()).collect(),
                ..LimitChanges::default()
            },
            ..Changes::default()
        }
    }
}
