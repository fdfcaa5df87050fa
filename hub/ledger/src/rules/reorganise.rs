//! A reorganisation: the directory's new version, and another way for what waits here, in one transaction.
//!
//! Only what was never handed to the broker is moved: what may be in an inbox could otherwise reach two desks. What
//! an operator holds stays held; its release looks the way up anew. A document goes to one body once.

use std::collections::{BTreeMap, HashMap};

use truc_model::wire::{NoticeCode, Text};
use truc_model::{
    DocumentUid, ParkCause, Party, SystemId, TransportState, UndeliverableCause, WithdrawCause, WithdrawProof,
};

use crate::command::{Plan, PlannedRecipient, Resend};
use crate::error::LedgerError;
use crate::event::{Fact, SentRecipient};
use crate::reorganise::{MOVED_MAX, ReorganisationTold, Reorganise, Reorganised};
use crate::rows::{OutboxRow, RecipientRow};
use crate::rules::admin;
use crate::rules::recall;
use crate::rules::work::{Work, cut};

/// By party and system, where it goes instead.
type Moves<'a> = HashMap<&'a Party, HashMap<&'a SystemId, &'a PlannedRecipient>>;

/// Carries an order out.
pub(super) fn reorganise(work: &mut Work, order: &Reorganise) -> Result<Reorganised, LedgerError> {
    let waiting = work.waiting_for.clone();
    if waiting.len() > MOVED_MAX {
        return Err(LedgerError::TooMany {
            what: "recipients to move",
            max: MOVED_MAX,
            found: waiting.len(),
        });
    }
    // First, as it can still say no.
    if let Some(directory) = &order.directory {
        admin::directory(work, directory)?;
    }
    let mut moves = Moves::new();
    for moving in &order.moves {
        let ways = moves.entry(&moving.party).or_default();
        ways.insert(&moving.system, &moving.to);
    }
    let mut documents: Vec<DocumentUid> = waiting.iter().map(|(document, _)| *document).collect();
    documents.sort_unstable();
    documents.dedup();
    let mut counts = Reorganised::default();
    for document in documents {
        one(work, order, &moves, document, &mut counts)?;
    }
    for told in &order.told {
        tell(work, order, told, counts)?;
    }
    Ok(counts)
}

/// One document: each recipient that waits for somebody who changed.
fn one(
    work: &mut Work,
    order: &Reorganise,
    moves: &Moves<'_>,
    document: DocumentUid,
    counts: &mut Reorganised,
) -> Result<(), LedgerError> {
    let mut parked = Vec::new();
    let mut nowhere = Vec::new();
    let mut sent: BTreeMap<SystemId, Vec<(RecipientRow, &PlannedRecipient)>> = BTreeMap::new();
    for row in work.recipients(document).to_vec() {
        if !matches!(
            row.state,
            TransportState::Scheduled { .. } | TransportState::Forwarded { .. }
        ) {
            continue;
        }
        let ways = moves.get(&row.party);
        let Some(to) = row.system.as_ref().and_then(|system| ways?.get(system).copied()) else {
            continue;
        };
        if !matches!(row.state, TransportState::Scheduled { .. }) || !at_home(work, &row) {
            counts.left += 1;
            continue;
        }
        if let Some(twin) = twin(work, &row, &to.party, &sent) {
            merge(work, document, &row, to, twin)?;
            counts.merged += 1;
            continue;
        }
        match &to.plan {
            Plan::Deliver { system } => sent.entry(system.clone()).or_default().push((row, to)),
            Plan::Park(_) => parked.push((row, to)),
            Plan::Undeliverable(cause) => nowhere.push((row, to, *cause)),
        }
    }
    for (system, rows) in sent {
        counts.moved += rows.len() as u64;
        send(work, order, document, system, &rows)?;
    }
    counts.parked += parked.len() as u64;
    park(work, order, document, &parked)?;
    counts.undeliverable += nowhere.len() as u64;
    give_up(work, order, document, &nowhere)
}

/// Whether it provably never left.
fn at_home(work: &Work, row: &RecipientRow) -> bool {
    let message = row.delivery.and_then(|delivery| work.outbox(delivery));
    message.is_some_and(OutboxRow::is_at_home)
}

/// The recipient that the successor is already, and that gets the document or has it.
fn twin(
    work: &Work,
    row: &RecipientRow,
    party: &Party,
    sent: &BTreeMap<SystemId, Vec<(RecipientRow, &PlannedRecipient)>>,
) -> Option<u32> {
    if row.party == *party {
        return None;
    }
    let gets_it = |other: &&RecipientRow| {
        other.position != row.position
            && other.party == *party
            && !matches!(
                other.state,
                TransportState::Refused { .. }
                    | TransportState::Withdrawn { .. }
                    | TransportState::Undeliverable { .. }
            )
    };
    let rows = work.recipients(row.document);
    let there = rows.iter().find(gets_it).map(|other| other.position);
    there.or_else(|| {
        // Or it becomes one by this very order: two agencies merged into a third.
        let mut sent = sent.values().flatten();
        sent.find(|(_, to)| to.party == *party)
            .map(|(other, _)| other.position)
    })
}

/// The successor gets the document once: this row ends, and its codes lead to the other.
fn merge(
    work: &mut Work,
    document: DocumentUid,
    row: &RecipientRow,
    to: &PlannedRecipient,
    twin: u32,
) -> Result<(), LedgerError> {
    let (cause, proof) = (WithdrawCause::Merged, WithdrawProof::NeverLeft);
    let event = work.record(Fact::DeliveryWithdrawn {
        document,
        delivery: row.delivery,
        system: row.system.clone(),
        recipients: vec![row.position],
        cause,
        proof,
    })?;
    let now = work.now;
    if let Ok(state) = row.state.clone().withdrawn(now, cause, proof) {
        work.move_recipient(document, row.position, |row| row.state = state);
    }
    leave(work, document, row);
    let codes = row.codes.clone();
    work.move_recipient(document, twin, |other| {
        for code in codes {
            if !other.codes.contains(&code) {
                other.codes.push(code);
            }
        }
    });
    let message = Text {
        vi: format!(
            "Cơ quan {} đã sáp nhập vào {}, cũng là nơi nhận của văn bản này; văn bản được giao một lần.",
            row.code(),
            to.code
        ),
        en: format!(
            "The agency {} was merged into {}, a recipient of this document too; it is delivered once.",
            row.code(),
            to.code
        ),
    };
    notify(work, row, NoticeCode::SuccessorUsed, &to.code, message, event)
}

/// Sends recipients another way: in the message to that system that waits here already, or in a new one.
fn send(
    work: &mut Work,
    order: &Reorganise,
    document: DocumentUid,
    system: SystemId,
    rows: &[(RecipientRow, &PlannedRecipient)],
) -> Result<(), LedgerError> {
    let known = work
        .recipients(document)
        .iter()
        .filter(|row| {
            row.system.as_ref() == Some(&system) && matches!(row.state, TransportState::Scheduled { .. })
        })
        .find(|row| at_home(work, row))
        .and_then(|row| row.delivery);
    let delivery = known.unwrap_or_else(|| work.new_delivery_uid());
    let event = work.record(Fact::DeliveryRerouted {
        document,
        delivery,
        system: system.clone(),
        recipients: rows
            .iter()
            .map(|(row, to)| SentRecipient {
                position: row.position,
                from: row.party.clone(),
                to: to.party.clone(),
            })
            .collect(),
        who: cut(&order.who, Resend::WHY_MAX),
        why: cut(&order.why, Resend::WHY_MAX),
    })?;
    let now = work.now;
    let mut named = Vec::with_capacity(rows.len());
    for (row, to) in rows {
        let state = row
            .state
            .clone()
            .rescheduled(now)
            .map_err(|_| LedgerError::Contradiction("a way for what does not wait"))?;
        let is_other = row.party != to.party;
        work.move_recipient(document, row.position, |row| {
            row.state = state;
            row.party = to.party.clone();
            row.system = Some(system.clone());
            row.delivery = Some(delivery);
            if is_other {
                // By it the system knows whom it is for; those of the packet stay, so that later orders of the
                // sender, which name them, still find the recipient.
                row.codes.retain(|code| *code != to.code);
                row.codes.insert(0, to.code.clone());
            }
        });
        leave(work, document, row);
        named.push(match is_other {
            true => to.code.clone(),
            false => row.code().to_owned(),
        });
        if is_other {
            let message = Text {
                vi: format!(
                    "Cơ quan {} đã được sắp xếp lại; văn bản đang chờ gửi được chuyển tới {}.",
                    row.code(),
                    to.code
                ),
                en: format!(
                    "The agency {} was reorganised; the waiting document goes to {}.",
                    row.code(),
                    to.code
                ),
            };
            notify(work, row, NoticeCode::SuccessorUsed, &to.code, message, event)?;
        }
    }
    if known.is_some() {
        recall::settle(work, document, delivery);
        return Ok(());
    }
    work.post_document(document, delivery, system, named, event)
}

/// The message it travelled in goes on without it.
fn leave(work: &mut Work, document: DocumentUid, row: &RecipientRow) {
    if let Some(delivery) = row.delivery {
        recall::settle(work, document, delivery);
    }
}

fn park(
    work: &mut Work,
    order: &Reorganise,
    document: DocumentUid,
    rows: &[(RecipientRow, &PlannedRecipient)],
) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let event = work.record(Fact::DeliveryParked {
        document,
        recipients: rows.iter().map(|(row, _)| row.position).collect(),
        who: cut(&order.who, Resend::WHY_MAX),
        why: cut(&order.why, Resend::WHY_MAX),
    })?;
    let (now, cause) = (work.now, ParkCause::AmbiguousSuccessor);
    for (row, to) in rows {
        if let Ok(state) = row.state.clone().parked(now, cause) {
            work.move_recipient(document, row.position, |row| {
                row.state = state;
                row.system = None;
                row.delivery = None;
            });
        }
        leave(work, document, row);
        let message = with_successors(cause.sentences().into(), to);
        notify(work, row, NoticeCode::Parked, cause.as_str(), message, event)?;
    }
    Ok(())
}

fn give_up(
    work: &mut Work,
    order: &Reorganise,
    document: DocumentUid,
    rows: &[(RecipientRow, &PlannedRecipient, UndeliverableCause)],
) -> Result<(), LedgerError> {
    if rows.is_empty() {
        return Ok(());
    }
    let event = work.record(Fact::DeliveryClosed {
        document,
        recipients: rows.iter().map(|(row, ..)| row.position).collect(),
        who: cut(&order.who, Resend::WHY_MAX),
        why: cut(&order.why, Resend::WHY_MAX),
    })?;
    let at = work.now;
    for (row, to, cause) in rows {
        let cause = *cause;
        work.move_recipient(document, row.position, |row| {
            row.state = TransportState::Undeliverable { at, cause };
        });
        leave(work, document, row);
        let message = with_successors(cause.sentences().into(), to);
        let code = NoticeCode::RecipientUndeliverable;
        notify(work, row, code, cause.as_str(), message, event)?;
    }
    Ok(())
}

fn with_successors(mut message: Text, to: &PlannedRecipient) -> Text {
    if !to.successors.is_empty() {
        let codes = to.successors.join(", ");
        message.vi.push_str(&format!(" Mã của đơn vị kế thừa: {codes}."));
        message
            .en
            .push_str(&format!(" Codes of the successors: {codes}."));
    }
    message
}

fn notify(
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

fn tell(
    work: &mut Work,
    order: &Reorganise,
    told: &ReorganisationTold,
    counts: Reorganised,
) -> Result<(), LedgerError> {
    let version = work.directory_version;
    let decision = told
        .decision
        .as_deref()
        .map(|decision| cut(decision, Resend::WHY_MAX));
    let who = cut(&order.who, Resend::WHY_MAX);
    let fact = if told.due {
        Fact::DirectoryReorganised {
            version,
            on: told.on,
            file: told.file,
            decision,
            rows: told.rows,
            recipients: counts,
            who,
        }
    } else {
        Fact::ReorganisationPlanned {
            version,
            on: told.on,
            file: told.file,
            decision,
            rows: told.rows,
            who,
        }
    };
    work.record(fact)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use truc_model::SeededRandom;

    use super::*;
    use crate::event::{GENESIS, Head};

    fn moved(count: usize) -> Result<Reorganised, LedgerError> {
        let head = Head {
            seq: 0,
            hash: GENESIS,
        };
        let mut work = Work::begin(head, Timestamp::UNIX_EPOCH, Arc::new(SeededRandom::new(1)));
        work.waiting_for = vec![(work.new_document_uid(), 0); count];
        let order = Reorganise {
            directory: None,
            told: vec![],
            moves: vec![],
            who: String::new(),
            why: String::new(),
        };
        reorganise(&mut work, &order)
    }

    #[test]
    fn so_many_are_moved_at_once_and_no_more() {
        assert_eq!(moved(MOVED_MAX).unwrap(), Reorganised::default());
        assert!(matches!(moved(MOVED_MAX + 1), Err(LedgerError::TooMany { .. })));
    }
}
