//! What a transaction saved and has not written yet: it is written with the next statement that reads the tables, or
//! with the commit.
//!
//! So what is claimed in the transaction that brought it is written once, as it stands in the end.

use std::collections::HashMap;

use truc_model::DeliveryUid;

use crate::rows::{Changes, OutboxRow};

/// Adds what a claim changes ([`moves_messages_alone`]) to what is to be written.
pub fn add(pending: &mut Changes, changes: Changes) {
    pending.events.extend(changes.events);
    let known = pending.outbox.iter_mut().chain(&mut pending.outbox_moved);
    let mut known: HashMap<DeliveryUid, &mut OutboxRow> = known.map(|row| (row.delivery, row)).collect();
    let mut others = Vec::new();
    for row in changes.outbox_moved {
        match known.get_mut(&row.delivery) {
            Some(known) => **known = row,
            None => others.push(row),
        }
    }
    pending.outbox_moved.extend(others);
}

/// Whether there are no changes but messages that moved, and the events about them.
#[must_use]
pub fn moves_messages_alone(changes: &Changes) -> bool {
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
    fn what_is_more_than_moved_messages_is_told_apart() {
        assert!(moves_messages_alone(&Changes::default()));
        let more = Changes {
            bodies: vec![(Sha256::of(b"1"), Body::from(vec![1u8]))],
            ..Changes::default()
        };
        assert!(!moves_messages_alone(&more));
    }
}
