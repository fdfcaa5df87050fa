//! An operator's orders: park, release, reroute, close.
//!
//! What may be in an inbox is not held or sent another way: it could reach two desks. What ended stays ended.

use std::collections::BTreeMap;

use truc_model::wire::{NoticeCode, Text};
use truc_model::{DeliveryUid, ParkCause, SystemId, TransportState};

use crate::command::{PlannedRecipient, Resend};
use crate::error::LedgerError;
use crate::event::{Fact, SentRecipient};
use crate::operator::{
    OperatorAction, OperatorDone, OperatorOrder, OperatorOutcome, OperatorTarget, Sense, Standing, sense,
};
use crate::rows::RecipientRow;
use crate::rules::recall;
use crate::rules::work::{Work, cut};

/// Carries out an order for every recipient it makes sense for.
pub(super) fn order(work: &mut Work, order: &OperatorOrder) -> Result<OperatorOutcome, LedgerError> {
    if !work.has_document(order.document) {
        return Err(LedgerError::UnknownDocument);
    }
    let sha256 = work.document(order.document)?.sha256;
    let Sense { fitting, left } = {
        let message = |delivery: DeliveryUid| work.outbox(delivery);
        let standing = Standing {
            recipients: work.recipients(order.document),
            message: &message,
            body_kept: work.kept.contains_key(&sha256) || work.brings_body(sha256),
        };
        sense(&standing, order)
    };
    let mut outcome = OperatorOutcome {
        done: Vec::new(),
        left,
    };
    if fitting.is_empty() {
        return Ok(outcome);
    }
    match order.action {
        OperatorAction::Park => park(work, order, &fitting)?,
        OperatorAction::Close => close(work, order, &fitting)?,
        OperatorAction::Release { .. } | OperatorAction::Reroute => send(work, order, &fitting)?,
    }
    let now = work.recipients(order.document);
    outcome.done.extend(fitting.iter().filter_map(|(before, _)| {
        let after = now.iter().find(|row| row.position == before.position)?;
        Some(OperatorDone {
            position: after.position,
            party: after.party.clone(),
            before: before.state.name(),
            after: after.state.name(),
            delivery: after.delivery,
        })
    }));
    Ok(outcome)
}

fn park(
    work: &mut Work,
    order: &OperatorOrder,
    fitting: &[(RecipientRow, &OperatorTarget)],
) -> Result<(), LedgerError> {
    let event = work.record(Fact::DeliveryParked {
        document: order.document,
        recipients: positions(fitting),
        who: cut(&order.who, Resend::WHY_MAX),
        why: cut(&order.why, Resend::WHY_MAX),
    })?;
    let now = work.now;
    for (row, _) in fitting {
        leave_message(work, row);
        if let Ok(state) = row.state.clone().parked(now, ParkCause::Operator) {
            work.move_recipient(order.document, row.position, |row| {
                row.state = state;
                // The others of the message may be on their way when it is let go: it gets one of its own.
                row.delivery = None;
            });
        }
        let cause = ParkCause::Operator;
        tell(
            work,
            row,
            NoticeCode::Parked,
            cause.as_str(),
            cause.sentences().into(),
            event,
        )?;
    }
    settle_messages(work, fitting);
    Ok(())
}

fn close(
    work: &mut Work,
    order: &OperatorOrder,
    fitting: &[(RecipientRow, &OperatorTarget)],
) -> Result<(), LedgerError> {
    let event = work.record(Fact::DeliveryClosed {
        document: order.document,
        recipients: positions(fitting),
        who: cut(&order.who, Resend::WHY_MAX),
        why: cut(&order.why, Resend::WHY_MAX),
    })?;
    let now = work.now;
    for (row, _) in fitting {
        if !matches!(row.state, TransportState::Parked { .. }) {
            leave_message(work, row);
        }
        if let Ok(state) = row.state.clone().closed(now) {
            work.move_recipient(order.document, row.position, |row| row.state = state);
        }
        let cause = truc_model::UndeliverableCause::ClosedByOperator;
        let code = NoticeCode::RecipientUndeliverable;
        tell(work, row, code, cause.as_str(), cause.sentences().into(), event)?;
    }
    settle_messages(work, fitting);
    rest_of_hold(work, order);
    Ok(())
}

/// Release and reroute: one new message for each system.
fn send(
    work: &mut Work,
    order: &OperatorOrder,
    fitting: &[(RecipientRow, &OperatorTarget)],
) -> Result<(), LedgerError> {
    let mut messages: BTreeMap<SystemId, Vec<&(RecipientRow, &OperatorTarget)>> = BTreeMap::new();
    for sent in fitting {
        if let Some(system) = sent.1.system(&sent.0) {
            messages.entry(system.clone()).or_default().push(sent);
        }
    }
    for (system, rows) in messages {
        let delivery = delivery_for(work, &rows);
        let recipients = rows.iter().map(|(row, target)| SentRecipient {
            position: row.position,
            from: row.party.clone(),
            to: target.party(row).clone(),
        });
        let (recipients, document) = (recipients.collect(), order.document);
        let who = cut(&order.who, Resend::WHY_MAX);
        let why = cut(&order.why, Resend::WHY_MAX);
        let event = work.record(match order.action {
            OperatorAction::Release { authorised } => Fact::DeliveryReleased {
                document,
                delivery,
                system: system.clone(),
                recipients,
                authorised,
                who,
                why,
            },
            _ => Fact::DeliveryRerouted {
                document,
                delivery,
                system: system.clone(),
                recipients,
                who,
                why,
            },
        })?;
        let mut to = Vec::new();
        for (row, target) in &rows {
            to.push(send_one(work, row, target, &system, delivery, event)?);
        }
        work.post_document(document, delivery, system, to, event)?;
    }
    settle_messages(work, fitting);
    rest_of_hold(work, order);
    Ok(())
}

/// Schedules one recipient in its new message; gives the code it is addressed by.
fn send_one(
    work: &mut Work,
    row: &RecipientRow,
    target: &OperatorTarget,
    system: &SystemId,
    delivery: DeliveryUid,
    event: u64,
) -> Result<String, LedgerError> {
    let now = work.now;
    let state = if matches!(row.state, TransportState::Parked { .. }) {
        row.state.clone().released(now)
    } else {
        leave_message(work, row);
        row.state.clone().rescheduled(now)
    };
    let state = state.map_err(|_| LedgerError::Contradiction("a release of what is not held"))?;
    let codes = codes(row, target.to.as_ref());
    let code = codes.first().cloned().unwrap_or_default();
    let party = target.party(row).clone();
    if party != row.party {
        let message = Text {
            vi: format!(
                "Cán bộ vận hành trục chuyển văn bản gửi {} tới {code}.",
                row.code()
            ),
            en: format!(
                "The hub's operator sends the document for {} to {code}.",
                row.code()
            ),
        };
        tell(work, row, NoticeCode::SuccessorUsed, BY_OPERATOR, message, event)?;
    }
    work.move_recipient(row.document, row.position, |row| {
        row.state = state;
        row.party = party;
        row.codes = codes;
        row.system = Some(system.clone());
        row.delivery = Some(delivery);
    });
    Ok(code)
}

/// The cause in the notice that an operator chose another recipient.
const BY_OPERATOR: &str = "operator";

/// The operator's code first: by it the system knows whom it is for. Those of the packet stay, so that later
/// orders of the sender, which name them, still find the recipient.
fn codes(row: &RecipientRow, to: Option<&PlannedRecipient>) -> Vec<String> {
    let mut codes = row.codes.clone();
    if let Some(to) = to {
        codes.retain(|code| *code != to.code);
        codes.insert(0, to.code.clone());
    }
    codes
}

/// The id planned for them when they were parked at acceptance, as long as it never left; else a new one.
fn delivery_for(work: &Work, rows: &[&(RecipientRow, &OperatorTarget)]) -> DeliveryUid {
    let Some((first, target)) = rows.first() else {
        return work.new_delivery_uid();
    };
    let planned = first.delivery.filter(|_| {
        matches!(first.state, TransportState::Parked { .. }) && target.system(first) == first.system.as_ref()
    });
    let is_free = |delivery: DeliveryUid| {
        let of = |row: &&RecipientRow| row.delivery == Some(delivery);
        let others = work.recipients(first.document).iter().filter(of);
        work.outbox(delivery).is_none()
            && others
                .into_iter()
                .all(|row| matches!(row.state, TransportState::Parked { .. }))
    };
    planned
        .filter(|delivery| is_free(*delivery))
        .unwrap_or_else(|| work.new_delivery_uid())
}

/// Takes a recipient out of the message it travels in; without recipients the message is done.
fn leave_message(work: &mut Work, row: &RecipientRow) {
    let Some(message) = row.delivery.and_then(|delivery| work.outbox(delivery)) else {
        return;
    };
    let delivery = message.delivery;
    let others = work.recipients(row.document).iter().any(|other| {
        other.position != row.position
            && other.delivery == Some(delivery)
            && matches!(
                other.state,
                TransportState::Scheduled { .. } | TransportState::Forwarded { .. }
            )
    });
    if others {
        let code = row.code().to_owned();
        work.move_outbox(delivery, |message| message.to.retain(|to| *to != code));
    } else {
        work.outbox_done(delivery);
    }
}

/// What is left of the messages they were in goes to those still there.
fn settle_messages(work: &mut Work, fitting: &[(RecipientRow, &OperatorTarget)]) {
    for (row, _) in fitting {
        if let Some(delivery) = row.delivery {
            recall::settle(work, row.document, delivery);
        }
    }
}

/// A document held as a whole is held no longer once nobody is.
fn rest_of_hold(work: &mut Work, order: &OperatorOrder) {
    let is_held = work.document(order.document).is_ok_and(|row| row.held);
    let rows = work.recipients(order.document);
    let any = rows
        .iter()
        .any(|row| matches!(row.state, TransportState::Parked { .. }));
    if is_held && !any {
        work.hold(order.document, false);
    }
}

fn tell(
    work: &mut Work,
    row: &RecipientRow,
    code: NoticeCode,
    cause: &str,
    message: Text,
    event: u64,
) -> Result<(), LedgerError> {
    let recipient = Some(row.code().to_owned());
    work.notify(row.document, recipient, code, cause.to_owned(), message, event)
}

fn positions(fitting: &[(RecipientRow, &OperatorTarget)]) -> Vec<u32> {
    fitting.iter().map(|(row, _)| row.position).collect()
}
