//! Takes a document back from recipients: what is at home is withdrawn, what may have left is ordered back, and
//! the bytes go when nobody who holds them is left.
//!
//! The race with forwarding has one defined winner: whichever commits first, the claim of the message or the
//! order. After the order a message that is wanted back for all its recipients is never published again.

use std::collections::HashMap;

use truc_model::wire::{NoticeCode, Outgoing, Text};
use truc_model::{
    ChangeOrder, DeliveryUid, DocumentUid, Operation, Sha256, SystemId, TransportState, WithdrawCause,
    WithdrawProof,
};

use crate::error::LedgerError;
use crate::event::Fact;
use crate::retention::DeletionCause;
use crate::rows::{DocumentRow, OrderedBack, RecipientRow};
use crate::rules::retention;
use crate::rules::taken::open;
use crate::rules::work::{Work, to_json};

/// How far a document has come on its way to a recipient; the greater, the farther.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// It ended without reaching it: refused, undeliverable, withdrawn.
    Nowhere,
    /// It provably never left the ledger.
    Home,
    /// It may be in the inbox.
    Out,
    /// The recipient's system has it.
    Taken,
}

/// One order, as it concerns one document.
pub(super) struct Order<'a> {
    pub(super) kind: ChangeOrder,
    /// Who ordered: this system is told.
    pub(super) system: &'a SystemId,
    /// The packet that carries it, when it is one.
    pub(super) by: Option<DocumentUid>,
    /// The event that recorded the order.
    pub(super) event: u64,
}

impl Order<'_> {
    const fn cause(&self) -> WithdrawCause {
        match self.kind {
            ChangeOrder::Recall | ChangeOrder::Update => WithdrawCause::Recalled,
            ChangeOrder::TakeBack => WithdrawCause::TakenBack,
            ChangeOrder::Removal => WithdrawCause::Removed,
            ChangeOrder::Replacement => WithdrawCause::Replaced,
        }
    }
}

pub(super) fn reach(work: &Work, row: &RecipientRow) -> Reach {
    match row.state {
        TransportState::Refused { .. }
        | TransportState::Withdrawn { .. }
        | TransportState::Undeliverable { .. } => Reach::Nowhere,
        TransportState::Taken { .. } => Reach::Taken,
        TransportState::Parked { .. } => Reach::Home,
        TransportState::Scheduled { .. } | TransportState::Forwarded { .. } => {
            let message = row.delivery.and_then(|delivery| work.outbox(delivery));
            if message.is_some_and(crate::rows::OutboxRow::is_at_home) {
                Reach::Home
            } else {
                Reach::Out
            }
        }
    }
}

/// The document that a recall or update speaks of, or itself.
pub(super) fn root(row: &DocumentRow) -> DocumentUid {
    row.amends.unwrap_or(row.uid)
}

/// Everything that carries a document to one recipient: its own row, and those of the updates that go there
/// too. The first is where the overlay lies.
pub(super) fn family(work: &Work, primary: &RecipientRow) -> Vec<RecipientRow> {
    let mut rows = vec![primary.clone()];
    let Ok(document) = work.document(primary.document) else {
        return rows;
    };
    for update in work.amending(root(document)) {
        if update.facts.operation != Operation::Update || update.uid == primary.document {
            continue;
        }
        let of = work.recipients(update.uid).iter();
        rows.extend(of.filter(|row| row.party == primary.party).cloned());
    }
    rows
}

/// How far the document, or an update of it, has come on its way to a recipient.
pub(super) fn family_reach(work: &Work, primary: &RecipientRow) -> Reach {
    let rows = family(work, primary);
    let reached = rows.iter().map(|row| reach(work, row));
    reached.max().unwrap_or(Reach::Nowhere)
}

/// The system in whose inbox it may lie.
pub(super) fn out_system(work: &Work, primary: &RecipientRow) -> Option<SystemId> {
    let rows = family(work, primary);
    let mut out = rows.iter().filter(|row| reach(work, row) == Reach::Out);
    out.find_map(|row| row.system.clone())
}

/// Takes a document back from these recipients, at most one per party. The overlay is moved elsewhere, and the
/// bytes go with [`forget`], once everything the order does is done.
pub(super) fn take_back(
    work: &mut Work,
    primaries: &[RecipientRow],
    order: &Order<'_>,
) -> Result<(), LedgerError> {
    let mut home: Vec<(RecipientRow, WithdrawCause)> = Vec::new();
    let mut out: Vec<RecipientRow> = Vec::new();
    for primary in primaries {
        for row in family(work, primary) {
            if Some(row.document) == order.by {
                continue;
            }
            let is_primary = (row.document, row.position) == (primary.document, primary.position);
            match reach(work, &row) {
                Reach::Home if is_primary => home.push((row, order.cause())),
                Reach::Home => home.push((row, WithdrawCause::OrderMoot)),
                Reach::Out => out.push(row),
                Reach::Nowhere | Reach::Taken => {}
            }
        }
        work.move_recipient(primary.document, primary.position, |row| {
            row.recalled.get_or_insert(order.event);
        });
    }
    for cause in WithdrawCause::ALL {
        let rows: Vec<RecipientRow> = home
            .iter()
            .filter(|(_, why)| *why == cause)
            .map(|(row, _)| row.clone())
            .collect();
        withdraw(work, &rows, cause, WithdrawProof::NeverLeft, order.system)?;
    }
    order_back(work, &out, order)
}

/// Withdraws recipients that were not handed over, and tells the sender. The caller has the proof.
pub(super) fn withdraw(
    work: &mut Work,
    rows: &[RecipientRow],
    cause: WithdrawCause,
    proof: WithdrawProof,
    told: &SystemId,
) -> Result<(), LedgerError> {
    for (document, delivery, rows) in by_message(rows) {
        let event = work.record(Fact::DeliveryWithdrawn {
            document,
            delivery,
            system: rows.first().and_then(|row| row.system.clone()),
            recipients: rows.iter().map(|row| row.position).collect(),
            cause,
            proof,
        })?;
        let now = work.now;
        for row in &rows {
            if let Ok(state) = row.state.clone().withdrawn(now, cause, proof) {
                work.move_recipient(document, row.position, |row| row.state = state);
            }
            tell(work, row, proof, event, told)?;
        }
        if let Some(delivery) = delivery {
            settle(work, document, delivery);
        }
        let held = work.document(document).is_ok_and(|row| row.held);
        let parked = |row: &RecipientRow| matches!(row.state, TransportState::Parked { .. });
        if held && !work.recipients(document).iter().any(parked) {
            work.hold(document, false);
        }
    }
    Ok(())
}

/// Marks messages that may have left: for these recipients they are not published again, and whoever finds
/// them is not to hand them over.
fn order_back(work: &mut Work, rows: &[RecipientRow], order: &Order<'_>) -> Result<(), LedgerError> {
    for (document, delivery, rows) in by_message(rows) {
        let Some(message) = delivery.and_then(|delivery| work.outbox(delivery)).cloned() else {
            continue;
        };
        let known = |row: &&RecipientRow| {
            let mut back = message.ordered_back.iter();
            !back.any(|back| back.position == row.position)
        };
        let rows: Vec<RecipientRow> = rows.iter().filter(known).cloned().collect();
        if rows.is_empty() {
            continue;
        }
        work.record(Fact::DeliveryOrderedBack {
            document,
            delivery: message.delivery,
            system: message.system.clone(),
            recipients: rows.iter().map(|row| row.position).collect(),
            cause: order.cause(),
        })?;
        let entries = rows.iter().map(|row| OrderedBack {
            position: row.position,
            code: row.code().to_owned(),
            cause: order.cause(),
            system: order.system.clone(),
            attempts: message.attempts,
        });
        let entries: Vec<OrderedBack> = entries.collect();
        work.move_outbox(message.delivery, |row| row.ordered_back.extend(entries));
        settle(work, document, message.delivery);
    }
    Ok(())
}

/// After recipients of a message moved: it is done when nobody is left, goes only to those not ordered back,
/// and never again when all are.
pub(super) fn settle(work: &mut Work, document: DocumentUid, delivery: DeliveryUid) {
    let Some(message) = work.outbox(delivery) else {
        return;
    };
    if message.outgoing != Outgoing::Document {
        return;
    }
    let left = open(work, document, delivery);
    if left.is_empty() {
        work.outbox_done(delivery);
        return;
    }
    let is_back = |row: &RecipientRow| {
        let mut back = message.ordered_back.iter();
        back.any(|back| back.position == row.position)
    };
    let to: Vec<String> = left
        .iter()
        .filter(|row| !is_back(row))
        .map(|row| row.code().to_owned())
        .collect();
    let recalled = to.is_empty();
    let to = if recalled { message.to.clone() } else { to };
    if message.recalled != recalled || message.to != to {
        work.move_outbox(delivery, |row| {
            row.recalled = recalled;
            row.to = to;
        });
    }
}

/// Deletes the bytes of a document that was taken back from its last holder, and those of its updates, which bring its
/// later text, if nothing else names them. The packet that ordered it stays.
pub(super) fn forget(
    work: &mut Work,
    document: DocumentUid,
    ordered_by: Option<DocumentUid>,
    by: &SystemId,
) -> Result<(), LedgerError> {
    let amending = work.amending(root(work.document(document)?)).into_iter();
    let updates = amending.filter(|row| {
        let is_another = row.uid != document && Some(row.uid) != ordered_by;
        let mut rows = work.recipients(row.uid).iter();
        is_another && row.facts.operation == Operation::Update && rows.any(|row| is_taken_back(work, row))
    });
    let bodies: Vec<(DocumentUid, Sha256, u64)> = std::iter::once(work.document(document)?)
        .chain(updates)
        .map(|row| (row.uid, row.sha256, row.size))
        .collect();
    for (document, sha256, size) in bodies {
        if is_held_by_none(work, sha256) {
            let (of, body) = (Some(document), [(sha256, size)]);
            retention::delete_bodies(work, of, &body, DeletionCause::Recalled, by.as_str())?;
        }
    }
    Ok(())
}

fn is_held_by_none(work: &Work, sha256: Sha256) -> bool {
    let kept = work.kept.get(&sha256);
    if kept.is_none() && !work.brings_body(sha256) {
        return false;
    }
    if kept.is_some_and(|kept| !kept.statuses.is_empty() || !kept.refused_at.is_empty()) {
        return false;
    }
    let added = &work.added;
    if added.statuses.iter().any(|row| row.sha256 == sha256)
        || added
            .refusals
            .iter()
            .any(|row| row.body_kept && row.key.sha256 == sha256)
    {
        return false;
    }
    let before = kept
        .into_iter()
        .flat_map(|kept| kept.documents.iter().map(|row| row.uid));
    let now = added
        .documents
        .iter()
        .filter(|row| row.sha256 == sha256)
        .map(|row| row.uid);
    before
        .chain(now)
        .all(|uid| work.recipients.has_all(uid) && !work.recipients(uid).iter().any(|row| holds(work, row)))
}

/// Whether the bytes are kept for this recipient. Those of an update are, while it may still go there: it can be the
/// word that removes a recipient.
fn holds(work: &Work, row: &RecipientRow) -> bool {
    let document = work.document(row.document);
    let is_update = document.is_ok_and(|document| document.facts.operation == Operation::Update);
    match &row.state {
        TransportState::Refused { .. }
        | TransportState::Withdrawn { .. }
        | TransportState::Undeliverable { .. } => false,
        TransportState::Taken { .. } if is_update => !is_taken_back(work, row),
        TransportState::Scheduled { .. } | TransportState::Forwarded { .. } if is_update => {
            let message = row.delivery.and_then(|delivery| work.outbox(delivery));
            let mut back = message.iter().flat_map(|message| &message.ordered_back);
            !back.any(|back| back.position == row.position)
        }
        _ => row.recalled.is_none(),
    }
}

/// Whether the document was taken back from the recipient of this row: by its own row, or another of the family.
fn is_taken_back(work: &Work, row: &RecipientRow) -> bool {
    let Ok(document) = work.document(row.document) else {
        return false;
    };
    let first = root(document);
    let family = work.amending(first).into_iter().map(|row| row.uid);
    let mut rows = std::iter::once(first)
        .chain(family)
        .flat_map(|uid| work.recipients(uid));
    rows.any(|of| of.party == row.party && of.recalled.is_some())
}

/// Rows by the message they travel in, in order.
fn by_message(rows: &[RecipientRow]) -> Vec<(DocumentUid, Option<DeliveryUid>, Vec<RecipientRow>)> {
    let mut messages: Vec<(DocumentUid, Option<DeliveryUid>, Vec<RecipientRow>)> = Vec::new();
    let mut places: HashMap<(DocumentUid, Option<DeliveryUid>), usize> = HashMap::new();
    for row in rows {
        let place = *places
            .entry((row.document, row.delivery))
            .or_insert(messages.len());
        match messages.get_mut(place) {
            Some((_, _, rows)) => rows.push(row.clone()),
            None => messages.push((row.document, row.delivery, vec![row.clone()])),
        }
    }
    messages
}

/// The notice `withdrawn`, to the system that ordered.
fn tell(
    work: &mut Work,
    row: &RecipientRow,
    proof: WithdrawProof,
    event: u64,
    told: &SystemId,
) -> Result<(), LedgerError> {
    let document = work.document(row.document)?;
    let key = document.key.clone();
    let notice = truc_model::wire::Notice {
        code: NoticeCode::Withdrawn,
        document: row.document,
        document_id: document.identity.document_id.clone(),
        recipient: Some(row.code().to_owned()),
        cause: proof.as_str().to_owned(),
        message: Text::from(proof.sentences()),
        tally: None,
        event,
        at: work.now,
    };
    let json = to_json(&notice)?;
    work.post_answer(
        told.clone(),
        Outgoing::Notice,
        event,
        Some(row.document),
        key.message_id,
        json,
    );
    Ok(())
}
