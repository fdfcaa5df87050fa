//! Messages on their way: confirmed, failed, sent again, lying untaken for too long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use truc_model::wire::{Notice, NoticeCode, Outgoing, Tally, Text};
use truc_model::{DeliveryUid, DocumentUid, Party, SystemId, TransportState, WithdrawProof};

use crate::command::{Forwarded, PublishFailed, Resend};
use crate::error::LedgerError;
use crate::event::Fact;
use crate::outcome::{LateDelivery, ResendOutcome};
use crate::rows::{OutboxPlace, OutboxRow, RecipientRow};
use crate::rules::recall;
use crate::rules::taken::open;
use crate::rules::work::{Work, cut};

/// Most alerts in one call; the caller calls again.
pub const NOT_TAKEN_MAX: usize = 256;

/// Most messages that one call sends again after an inbox was lost; the caller calls again.
pub const INBOX_LOST_MAX: usize = 256;

/// Who sends again what lay in a lost inbox: the hub itself, by no operator's order.
pub const INBOX_LOST_WHO: &str = "truc";
pub(super) const INBOX_LOST_WHY: &str = "hộp nhận bị mất trên RabbitMQ";

/// The broker confirmed. Answers are done; documents and statuses wait for `taken`. A confirm for a message
/// that is done by then (taken before the confirm came) changes nothing.
pub(super) fn forwarded(work: &mut Work, confirms: &[Forwarded]) -> Result<(), LedgerError> {
    for confirm in confirms {
        let Some(row) = work.outbox(confirm.delivery).cloned() else {
            continue;
        };
        let (true, Some(document)) = (row.outgoing.awaits_taken(), row.document) else {
            work.outbox_done(row.delivery);
            continue;
        };
        if let OutboxPlace::Forwarded { attempt, .. } = row.place
            && attempt >= confirm.attempt
        {
            continue;
        }
        let rows = match row.outgoing {
            Outgoing::Document => {
                let mut rows = open(work, document, row.delivery);
                rows.retain(|recipient| !row.left_out(recipient.position, confirm.attempt));
                rows
            }
            _ => Vec::new(),
        };
        work.record(Fact::DeliveryForwarded {
            delivery: row.delivery,
            carries: row.outgoing,
            system: row.system.clone(),
            document,
            recipients: rows.iter().map(|row| row.position).collect(),
            attempt: confirm.attempt,
            confirmed_at: confirm.at,
        })?;
        for recipient in rows {
            if let Ok(state) = recipient.state.forwarded(confirm.at, confirm.attempt) {
                work.move_recipient(document, recipient.position, |row| row.state = state);
            }
        }
        work.move_outbox(row.delivery, |row| {
            row.place = OutboxPlace::Forwarded {
                at: confirm.at,
                attempt: confirm.attempt,
            };
        });
    }
    Ok(())
}

/// A publish came to nothing: it waits until its next try. When another attempt was confirmed in the
/// meantime, that one counts.
pub(super) fn publish_failed(work: &mut Work, failed: &PublishFailed) -> Result<(), LedgerError> {
    let Some(row) = work.outbox(failed.delivery).cloned() else {
        return Ok(());
    };
    work.record(Fact::PublishFailed {
        delivery: row.delivery,
        carries: row.outgoing,
        system: row.system,
        document: row.document,
        attempt: row.attempts,
        failure: failed.failure,
        next_try: failed.next_try,
    })?;
    if matches!(row.place, OutboxPlace::Leased { .. }) {
        work.move_outbox(row.delivery, |row| {
            row.place = OutboxPlace::Waiting {
                not_before: Some(failed.next_try),
            };
            row.failed += u32::from(failed.failure.is_definite());
        });
        surely_at_home(work, failed.delivery)?;
    }
    Ok(())
}

/// A message that was ordered back while it was on its way, and of which it is now sure that it never left: it
/// is withdrawn for those who were wanted back.
pub(super) fn surely_at_home(work: &mut Work, delivery: DeliveryUid) -> Result<(), LedgerError> {
    let Some(message) = work.outbox(delivery).cloned() else {
        return Ok(());
    };
    let (true, Some(document)) = (message.is_at_home(), message.document) else {
        return Ok(());
    };
    for back in &message.ordered_back {
        let rows = open(work, document, delivery).into_iter();
        let rows: Vec<RecipientRow> = rows.filter(|row| row.position == back.position).collect();
        recall::withdraw(work, &rows, back.cause, WithdrawProof::NeverLeft, &back.system)?;
    }
    Ok(())
}

/// An operator sends untaken deliveries again, under the same ids. What is final or parked stays.
pub(super) fn resend(work: &mut Work, order: &Resend) -> Result<ResendOutcome, LedgerError> {
    if !work.has_document(order.document) {
        return Err(LedgerError::UnknownDocument);
    }
    let asked = |party: &Party| order.party.as_ref().is_none_or(|only| only == party);
    let mut outcome = ResendOutcome::default();
    for row in work.recipients(order.document).to_vec() {
        if !asked(&row.party) {
            continue;
        }
        let message = row.delivery.filter(|delivery| {
            work.outbox(*delivery).is_some_and(|message| !message.recalled)
                && row.recalled.is_none()
                && matches!(
                    row.state,
                    TransportState::Scheduled { .. } | TransportState::Forwarded { .. }
                )
        });
        let (Some(delivery), Some(system)) = (message, row.system) else {
            outcome.left.push((row.party, row.state.name()));
            continue;
        };
        if outcome.resent.contains(&delivery) {
            continue;
        }
        let rows = open(work, order.document, delivery);
        work.record(Fact::DeliveryResent {
            delivery,
            system,
            document: order.document,
            recipients: rows.iter().map(|row| row.position).collect(),
            who: cut(&order.who, Resend::WHY_MAX),
            why: cut(&order.why, Resend::WHY_MAX),
        })?;
        let now = work.now;
        for recipient in rows {
            if let Ok(state) = recipient.state.rescheduled(now) {
                work.move_recipient(order.document, recipient.position, |row| row.state = state);
            }
        }
        work.move_outbox(delivery, |row| {
            row.place = OutboxPlace::Waiting { not_before: None };
            row.alerted = false;
        });
        outcome.resent.push(delivery);
    }
    Ok(outcome)
}

/// An inbox vanished with what lay in it: all that was not taken goes again, under the same ids. What had been
/// stored by then is recognised by its recipient.
pub(super) fn inbox_lost(work: &mut Work, system: &SystemId) -> Result<usize, LedgerError> {
    let mut again = 0;
    for delivery in work.astray.clone() {
        let Some(row) = work.outbox(delivery).cloned() else {
            continue;
        };
        let (OutboxPlace::Forwarded { .. }, Some(document), true) =
            (&row.place, row.document, row.system == *system)
        else {
            continue;
        };
        let rows = match row.outgoing {
            Outgoing::Document => open(work, document, delivery),
            _ => Vec::new(),
        };
        work.record(Fact::DeliveryResent {
            delivery,
            system: row.system,
            document,
            recipients: rows.iter().map(|row| row.position).collect(),
            who: INBOX_LOST_WHO.to_owned(),
            why: INBOX_LOST_WHY.to_owned(),
        })?;
        let now = work.now;
        for recipient in rows {
            if let Ok(state) = recipient.state.rescheduled(now) {
                work.move_recipient(document, recipient.position, |row| row.state = state);
            }
        }
        work.move_outbox(delivery, |row| {
            row.place = OutboxPlace::Waiting { not_before: None };
            row.alerted = false;
        });
        again += 1;
    }
    Ok(again)
}

/// Raises the alert for what lies untaken; the state does not change.
pub(super) fn not_taken(work: &mut Work, older_than: Duration) -> Result<Vec<LateDelivery>, LedgerError> {
    let limit = before(work.now, older_than);
    let mut late = Vec::new();
    for delivery in work.late.clone() {
        let Some(row) = work.outbox(delivery).cloned() else {
            continue;
        };
        let OutboxPlace::Forwarded { at, .. } = row.place else {
            continue;
        };
        if row.alerted || at >= limit {
            continue;
        }
        let rows = match (row.outgoing, row.document) {
            (Outgoing::Document, Some(document)) => open(work, document, delivery),
            _ => Vec::new(),
        };
        let event = work.record(Fact::DeliveryNotTaken {
            delivery,
            carries: row.outgoing,
            system: row.system.clone(),
            document: row.document,
            recipients: rows.iter().map(|row| row.position).collect(),
            forwarded_at: at,
        })?;
        for recipient in rows {
            tell_not_taken(work, &recipient, event)?;
        }
        work.move_outbox(delivery, |row| row.alerted = true);
        late.extend(late_delivery(&row));
    }
    Ok(late)
}

/// The sender is told who has not taken its document, and when there are several recipients, how many have.
fn tell_not_taken(work: &mut Work, recipient: &RecipientRow, event: u64) -> Result<(), LedgerError> {
    let tally = tally(work, recipient.document);
    let mut message = Text {
        vi: "Hệ thống nhận chưa lấy văn bản về; trục vẫn giữ văn bản và tiếp tục theo dõi.".to_owned(),
        en: "The recipient's system has not taken the document yet; the hub keeps it and watches.".to_owned(),
    };
    if let Some(so_far) = tally.map(Tally::sentences) {
        message.vi = format!("{} {}", message.vi, so_far.vi);
        message.en = format!("{} {}", message.en, so_far.en);
    }
    let notice = Notice {
        code: NoticeCode::NotTaken,
        document: recipient.document,
        document_id: work.document(recipient.document)?.identity.document_id.clone(),
        recipient: Some(recipient.code().to_owned()),
        cause: NoticeCode::NotTaken.as_str().to_owned(),
        message,
        tally,
        event,
        at: work.now,
    };
    work.post_notice(&notice)
}

/// `None` for a document with one recipient: there is nothing to count.
fn tally(work: &Work, document: DocumentUid) -> Option<Tally> {
    let rows = work.recipients(document);
    let is_taken = |row: &&RecipientRow| matches!(row.state, TransportState::Taken { .. });
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    (rows.len() > 1).then(|| Tally {
        taken: count(rows.iter().filter(is_taken).count()),
        of: count(rows.len()),
    })
}

/// The moment `span` before `now`.
pub(crate) fn before(now: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .ok()
        .and_then(|span| now.checked_sub(span).ok())
        .unwrap_or(Timestamp::MIN)
}

/// The moment `span` after `now`.
pub(super) fn after(now: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span)
        .ok()
        .and_then(|span| now.checked_add(span).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The line about a forwarded message.
pub(crate) fn late_delivery(row: &OutboxRow) -> Option<LateDelivery> {
    let OutboxPlace::Forwarded { at, .. } = row.place else {
        return None;
    };
    Some(LateDelivery {
        delivery: row.delivery,
        system: row.system.clone(),
        outgoing: row.outgoing,
        document: row.document,
        forwarded_at: at,
        attempts: row.attempts,
    })
}
