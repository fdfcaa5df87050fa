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

/// They are out: withdrawn for whom they were ordered back, and on their way again for the others.
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
        again(work, &message)?;
        changed.push(message.delivery);
    }
    Ok(changed)
}

/// Those still open get it again, under the same id: nobody had it.
fn again(work: &mut Work, message: &OutboxRow) -> Result<(), LedgerError> {
    let (Some(document), true) = (message.document, work.outbox(message.delivery).is_some()) else {
        return Ok(());
    };
    let rows = open(work, document, message.delivery);
    work.record(Fact::DeliveryResent {
        delivery: message.delivery,
        system: message.system.clone(),
        document,
        recipients: rows.iter().map(|row| row.position).collect(),
        who: super::INBOX_LOST_WHO.to_owned(),
        why: CLEANED_WHY.to_owned(),
    })?;
    let now = work.now;
    for recipient in rows {
        if let Ok(state) = recipient.state.rescheduled(now) {
            work.move_recipient(document, recipient.position, |row| row.state = state);
        }
    }
    work.move_outbox(message.delivery, |row| {
        row.place = OutboxPlace::Waiting { not_before: None };
        row.alerted = false;
        // The attempt that reached the inbox came to nothing after all.
        row.failed = row.attempts;
    });
    Ok(())
}

const CLEANED_WHY: &str = "đã lấy khỏi hộp nhận vì một nơi nhận khác trong gói bị thu hồi";

/// Of the messages named those that lie in this inbox, were ordered back, and went out once: of a message
/// that went out twice another copy may have been read.
fn candidates(work: &Work, order: &Cleaning) -> Vec<OutboxRow> {
    let mut found: Vec<OutboxRow> = Vec::new();
    for delivery in &order.deliveries {
        let message = work.outbox(*delivery).filter(|message| {
            message.system == order.system
                && !message.ordered_back.is_empty()
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
