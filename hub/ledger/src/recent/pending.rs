//! What a transaction saved and has not written yet: it is written with the next statement that reads the tables, or
//! with the commit.
//!
//! So what is claimed in the transaction that brought it is written once, as it stands in the end.

use std::collections::HashMap;

use truc_model::DeliveryUid;

use crate::rows::{Changes, OutboxRow};

/// Adds what a claim changes to what is to be written. Gives `false`, and adds nothing, when there is more than that.
#[must_use]
pub fn add(pending: &mut Changes, changes: &Changes) -> bool {
    if !moves_messages_alone(changes) {
        return false;
    }
    pending.events.extend(changes.events.iter().cloned());
    let known = pending.outbox.iter_mut().chain(&mut pending.outbox_moved);
    let mut known: HashMap<DeliveryUid, &mut OutboxRow> = known.map(|row| (row.delivery, row)).collect();
    let mut others = Vec::new();
    for row in &changes.outbox_moved {
        match known.get_mut(&row.delivery) {
            Some(known) => known.clone_from(row),
            None => others.push(row.clone()),
        }
    }
    pending.outbox_moved.extend(others);
    true
}

/// Whether there are no changes but messages that moved, and the events about them.
fn moves_messages_alone(changes: &Changes) -> bool {
    let Changes {
        events: _,
        outbox_moved: _,
        bodies_deleted,
        bodies_leaving,
        bodies_left,
        bodies,
        documents,
        recipients,
        held,
        recipients_moved,
        submissions,
        refusals,
        statuses,
        outbox,
        outbox_done,
        directories,
        alerts,
        limits,
    } = changes;
    bodies_deleted.is_empty()
        && bodies_leaving.is_empty()
        && bodies_left.is_empty()
        && bodies.is_empty()
        && documents.is_empty()
        && recipients.is_empty()
        && held.is_empty()
        && recipients_moved.is_empty()
        && submissions.is_empty()
        && refusals.is_empty()
        && statuses.is_empty()
        && outbox.is_empty()
        && outbox_done.is_empty()
        && directories.is_empty()
        && alerts.is_empty()
        && limits.is_empty()
}

#[cfg(test)]
mod tests {
    use truc_model::Sha256;

    use super::*;
    use crate::body::Body;

    #[test]
    fn what_is_more_than_moved_messages_is_not_added() {
        let mut pending = Changes::default();
        let moved = Changes::default();
        assert!(add(&mut pending, &moved));
        let more = Changes {
            bodies: vec![(Sha256::of(b"1"), Body::from(vec![1u8]))],
            ..Changes::default()
        };
        assert!(!add(&mut pending, &more));
        assert!(pending.is_empty());
    }
}
