//! Inboxes that nobody reads, cleaned of messages that were ordered back.

use truc_model::{DeliveryUid, WithdrawProof};

use crate::command::Cleaning;
use crate::error::LedgerError;
use crate::event::Fact;
use crate::rows::{OutboxPlace, OutboxRow, RecipientRow};
use crate::rules::recall;
use crate::rules::taken::open;
use crate::rules::work::Work;

/// Records that the hub begins; gives the messages that may go.
pub(super) fn begun(work: &mut Work, order: &Cleaning) -> Result<Vec<DeliveryUid>, LedgerError> {
    let mut may_go = Vec::new();
    for message in candidates(work, order) {
        let Some(document) = message.document else {
            continue;
        };
        work.record(Fact::CleaningBegun {
            delivery: message.delivery,
            system: message.system,
            document,
        })?;
        may_go.push(message.delivery);
    }
    Ok(may_go)
}

/// They are out: withdrawn.
pub(super) fn cleaned(work: &mut Work, order: &Cleaning) -> Result<Vec<DeliveryUid>, LedgerError> {
    let mut changed = Vec::new();
    for message in candidates(work, order) {
        let Some(document) = message.document else {
            continue;
        };
        for back in &message.ordered_back {
            let rows = open(work, document, message.delivery).into_iter();
            let rows: Vec<RecipientRow> = rows.filter(|row| row.position == back.position).collect();
            recall::withdraw(work, &rows, back.cause, WithdrawProof::Cleaned, &back.system)?;
        }
        changed.push(message.delivery);
    }
    Ok(changed)
}

/// Of the messages named those that lie in this inbox, were ordered back for all they are for, and went out
/// once. A message that is still for somebody stays: killed after it was taken out, the hub would not know
/// that it must go again. And of one that went out twice another copy may have been read.
fn candidates(work: &Work, order: &Cleaning) -> Vec<OutboxRow> {
    let mut found: Vec<OutboxRow> = Vec::new();
    for delivery in &order.deliveries {
        let message = work.outbox(*delivery).filter(|message| {
            message.system == order.system
                && message.recalled
                && matches!(message.place, OutboxPlace::Forwarded { .. })
                && message.attempts.saturating_sub(message.failed) == 1
        });
        if let Some(message) = message
            && found.iter().all(|known| known.delivery != *delivery)
        {
            found.push(message.clone());
        }
    }
    found
}
