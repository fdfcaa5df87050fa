//! What waits for whom.

use std::collections::BTreeMap;

use truc_model::delivery::TransportStateName;
use truc_model::{DocumentUid, Party};

use super::Tables;
use crate::reorganise::AtHome;
use crate::rows::{OutboxRow, RecipientRow};

fn is_open(row: &RecipientRow) -> bool {
    matches!(
        row.state.name(),
        TransportStateName::Scheduled | TransportStateName::Forwarded
    )
}

/// Scheduled and forwarded recipients of these parties.
pub(super) fn waiting_for(tables: &Tables, parties: &[Party], max: usize) -> Vec<(DocumentUid, u32)> {
    tables
        .recipients
        .iter()
        .filter(|(_, row)| is_open(row))
        .filter(|(_, row)| parties.contains(&row.party))
        .map(|(key, _)| *key)
        .take(max)
        .collect()
}

/// How many wait for each party by each system, or are out and not taken.
pub(super) fn at_home(tables: &Tables) -> Vec<AtHome> {
    let mut counts = BTreeMap::new();
    for row in tables.recipients.values() {
        let (true, Some(system)) = (is_open(row), &row.system) else {
            continue;
        };
        let message = row.delivery.and_then(|delivery| tables.outbox.get(&delivery));
        let is_home =
            row.state.name() == TransportStateName::Scheduled && message.is_some_and(OutboxRow::is_at_home);
        let (home, out) = counts
            .entry((row.party.clone(), system.clone()))
            .or_insert((0, 0));
        *home += u64::from(is_home);
        *out += u64::from(!is_home);
    }
    let counts = counts.into_iter();
    counts
        .map(|((party, system), (at_home, out))| AtHome {
            party,
            system,
            at_home,
            out,
        })
        .collect()
}
