//! `taken`: a system has stored deliveries, declines them, or has withdrawn them before it handed them over.

use truc_model::wire::{NoticeCode, Outgoing, Taken, Text};
use truc_model::{DeliveryUid, DocumentUid, TransportState, WithdrawProof};

use crate::command::TakenReport;
use crate::error::LedgerError;
use crate::event::{Fact, TakenBy};
use crate::outcome::TakenOutcome;
use crate::rows::RecipientRow;
use crate::rules::recall;
use crate::rules::work::{Work, cut};
use crate::store::DeliveryOwner;

/// Most deliveries named in one event about odd ones; the event counts the rest.
pub const ODD_LISTED_MAX: usize = 16;

pub(super) fn taken(work: &mut Work, report: &TakenReport) -> Result<TakenOutcome, LedgerError> {
    let mut outcome = TakenOutcome::default();
    // First: what was withdrawn for some can be taken for the rest in the same message.
    for withdrawn in &report.taken.withdrawn {
        let Some(owner) = owner(work, report, withdrawn.delivery) else {
            outcome.unknown.push(withdrawn.delivery);
            continue;
        };
        match called_back(work, &owner, &withdrawn.codes)? {
            Effect::Done => outcome.withdrawn.push(withdrawn.delivery),
            Effect::Nothing => outcome.repeated.push(withdrawn.delivery),
            Effect::Contradiction => outcome.contradicted.push(withdrawn.delivery),
        }
    }
    for delivery in &report.taken.taken {
        let Some(owner) = owner(work, report, *delivery) else {
            outcome.unknown.push(*delivery);
            continue;
        };
        match stored(work, &owner)? {
            Effect::Done => outcome.taken.push(*delivery),
            Effect::Nothing => outcome.repeated.push(*delivery),
            Effect::Contradiction => outcome.contradicted.push(*delivery),
        }
    }
    for declined in &report.taken.refused {
        let Some(owner) = owner(work, report, declined.delivery) else {
            outcome.unknown.push(declined.delivery);
            continue;
        };
        let code = cut(&declined.code, Taken::CODE_MAX);
        let reason = cut(&declined.reason, Taken::REASON_MAX);
        match refused(work, &owner, &code, &reason)? {
            Effect::Done => outcome.refused.push(declined.delivery),
            Effect::Nothing => outcome.repeated.push(declined.delivery),
            Effect::Contradiction => outcome.contradicted.push(declined.delivery),
        }
    }
    if !outcome.unknown.is_empty() || !outcome.contradicted.is_empty() {
        let few = |all: &[DeliveryUid]| all.iter().take(ODD_LISTED_MAX).copied().collect();
        work.record(Fact::TakenOdd {
            system: report.system.clone(),
            message_id: report.message_id,
            unknown: few(&outcome.unknown),
            unknown_count: outcome.unknown.len() as u64,
            contradicted: few(&outcome.contradicted),
            contradicted_count: outcome.contradicted.len() as u64,
        })?;
    }
    Ok(outcome)
}

enum Effect {
    Done,
    /// It stands so already.
    Nothing,
    /// It ended otherwise.
    Contradiction,
}

/// A delivery is known only to the system it is for.
fn owner(work: &Work, report: &TakenReport, delivery: DeliveryUid) -> Option<DeliveryOwner> {
    let owner = work.owners.get(&delivery)?;
    (owner.system == report.system).then(|| owner.clone())
}

/// Recipients of a delivery that are neither final nor parked.
pub(super) fn open(work: &Work, document: DocumentUid, delivery: DeliveryUid) -> Vec<RecipientRow> {
    let rows = work.recipients.of_delivery(document, delivery);
    rows.filter(|row| is_open(&row.state)).cloned().collect()
}

const fn is_open(state: &TransportState) -> bool {
    matches!(
        state,
        TransportState::Scheduled { .. } | TransportState::Forwarded { .. }
    )
}

/// The adapter had not handed it over for these, and never will: true of those it was ordered back for.
fn called_back(work: &mut Work, owner: &DeliveryOwner, codes: &[String]) -> Result<Effect, LedgerError> {
    if owner.is_status {
        return Ok(Effect::Contradiction);
    }
    let named = |row: &&RecipientRow| codes.is_empty() || row.codes.iter().any(|code| codes.contains(code));
    let rows: Vec<RecipientRow> = all(work, owner).filter(named).cloned().collect();
    let ended = |row: &RecipientRow| matches!(row.state, TransportState::Withdrawn { .. });
    let back = match work.outbox(owner.delivery) {
        Some(message) => message.ordered_back.clone(),
        None => Vec::new(),
    };
    let mut done = false;
    for entry in &back {
        let of = rows.iter().filter(|row| row.position == entry.position);
        let of: Vec<RecipientRow> = of.filter(|row| is_open(&row.state)).cloned().collect();
        done |= !of.is_empty();
        recall::withdraw(work, &of, entry.cause, WithdrawProof::AdapterSaid, &entry.system)?;
    }
    // Handed over before, or never ordered back: somebody waits for what will not come.
    let mut now = all(work, owner);
    let contradicts = |row: &RecipientRow| rows.iter().any(|of| of.position == row.position) && !ended(row);
    Ok(if rows.is_empty() || now.any(contradicts) {
        Effect::Contradiction
    } else if done {
        Effect::Done
    } else {
        Effect::Nothing
    })
}

/// Recipients for whom the adapter's word about the message as a whole is good. A later attempt left out those
/// for whom it was ordered back: of them the word says nothing.
fn meant(work: &Work, owner: &DeliveryOwner) -> Vec<RecipientRow> {
    let mut rows = open(work, owner.document, owner.delivery);
    if let Some(message) = work.outbox(owner.delivery) {
        rows.retain(|row| !message.left_out(row.position, message.attempts));
    }
    rows
}

fn stored(work: &mut Work, owner: &DeliveryOwner) -> Result<Effect, LedgerError> {
    let rows = meant(work, owner);
    let waits = work.outbox(owner.delivery).is_some();
    if owner.is_status && waits || !owner.is_status && !rows.is_empty() {
        note_taken(work, owner, &rows, TakenBy::Taken)?;
        return Ok(Effect::Done);
    }
    let is_taken = |row: &RecipientRow| matches!(row.state, TransportState::Taken { .. });
    Ok(if owner.is_status || all(work, owner).any(is_taken) {
        Effect::Nothing
    } else {
        Effect::Contradiction
    })
}

fn all<'a>(work: &'a Work, owner: &DeliveryOwner) -> impl Iterator<Item = &'a RecipientRow> {
    work.recipients.of_delivery(owner.document, owner.delivery)
}

fn note_taken(
    work: &mut Work,
    owner: &DeliveryOwner,
    rows: &[RecipientRow],
    by: TakenBy,
) -> Result<(), LedgerError> {
    work.record(Fact::DeliveryTaken {
        delivery: owner.delivery,
        carries: carries(owner),
        system: owner.system.clone(),
        document: owner.document,
        recipients: rows.iter().map(|row| row.position).collect(),
        by,
    })?;
    let now = work.now;
    for row in rows {
        if let Ok(state) = row.state.clone().taken(now) {
            work.move_recipient(row.document, row.position, |row| row.state = state);
        }
    }
    // A status of one recipient speaks for that one alone: the message stays while another is open.
    if owner.is_status {
        work.outbox_done(owner.delivery);
    } else {
        recall::settle(work, owner.document, owner.delivery);
    }
    Ok(())
}

const fn carries(owner: &DeliveryOwner) -> Outgoing {
    if owner.is_status {
        Outgoing::Status
    } else {
        Outgoing::Document
    }
}

/// A status of the recipient implies that it has the document.
pub(super) fn by_status(work: &mut Work, row: &RecipientRow) -> Result<(), LedgerError> {
    let (Some(delivery), Some(system), true) = (row.delivery, &row.system, is_open(&row.state)) else {
        return Ok(());
    };
    let owner = DeliveryOwner {
        delivery,
        system: system.clone(),
        document: row.document,
        is_status: false,
    };
    note_taken(work, &owner, std::slice::from_ref(row), TakenBy::Status)
}

fn refused(work: &mut Work, owner: &DeliveryOwner, code: &str, reason: &str) -> Result<Effect, LedgerError> {
    let rows = meant(work, owner);
    let waits = work.outbox(owner.delivery).is_some();
    if owner.is_status && !waits || !owner.is_status && rows.is_empty() {
        let is_refused = |row: &RecipientRow| matches!(row.state, TransportState::Refused { .. });
        return Ok(if owner.is_status || all(work, owner).any(is_refused) {
            Effect::Nothing
        } else {
            Effect::Contradiction
        });
    }
    let event = work.record(Fact::DeliveryRefused {
        delivery: owner.delivery,
        carries: carries(owner),
        system: owner.system.clone(),
        document: owner.document,
        recipients: rows.iter().map(|row| row.position).collect(),
        code: code.to_owned(),
    })?;
    let now = work.now;
    let message = Text {
        vi: format!("Hệ thống nhận từ chối vì lý do kỹ thuật: {reason}"),
        en: format!("The recipient's system declined it for a technical reason: {reason}"),
    };
    let notice = NoticeCode::RecipientRefused;
    for row in &rows {
        if let Ok(state) = row.state.clone().refused(now, code.to_owned(), reason.to_owned()) {
            work.move_recipient(row.document, row.position, |row| row.state = state);
        }
        let recipient = Some(row.code().to_owned());
        work.notify(
            row.document,
            recipient,
            notice,
            code.to_owned(),
            message.clone(),
            event,
        )?;
    }
    if owner.is_status {
        tell_reporter(work, owner, code, message, event)?;
        work.outbox_done(owner.delivery);
    } else {
        recall::settle(work, owner.document, owner.delivery);
    }
    Ok(Effect::Done)
}

/// A status that the other party's adapter declined: whoever reported it must know.
fn tell_reporter(
    work: &mut Work,
    owner: &DeliveryOwner,
    code: &str,
    message: Text,
    event: u64,
) -> Result<(), LedgerError> {
    let to = work
        .outbox(owner.delivery)
        .and_then(|row| row.to.first().cloned());
    let statuses = work.statuses.get(&owner.document);
    let status = statuses
        .into_iter()
        .flatten()
        .find(|row| row.delivery == Some(owner.delivery));
    let Some(key) = status.map(|row| row.key.clone()) else {
        return Ok(());
    };
    let notice = truc_model::wire::Notice {
        code: NoticeCode::RecipientRefused,
        document: owner.document,
        document_id: work.document(owner.document)?.identity.document_id.clone(),
        recipient: to,
        cause: code.to_owned(),
        message,
        tally: None,
        event,
        at: work.now,
    };
    let json = crate::rules::work::to_json(&notice)?;
    work.post_answer(
        key.system,
        Outgoing::Notice,
        event,
        Some(owner.document),
        key.message_id,
        json,
    );
    Ok(())
}
