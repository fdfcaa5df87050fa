//! Statuses: find the document, record, apply, pass on to the other party once.
//!
//! 13 runs from the document's sender to a recipient; all the others from a recipient to the sender. The
//! table of the life cycle (`truc_model::status`) decides only which state is shown.

use std::sync::Arc;

use truc_model::wire::{Intake, Outgoing, Receipt, StatusReceipt};
use truc_model::{
    Answered, Applied, ChangeOrder, ChangeState, DocumentKind, DocumentUid, Ordered, Party, Place, Refusal,
    RefusalCode, StatusCode, SystemId,
};

use crate::command::StatusSubmission;
use crate::error::LedgerError;
use crate::event::{Fact, RepeatedBy};
use crate::outcome::SubmitOutcome;
use crate::rows::{DocumentRow, OutboxBody, RecipientRow, StatusRow, SubmissionRow};
use crate::rules::load::{status_identity, status_number};
use crate::rules::refusal::{self, Refused};
use crate::rules::work::{Post, Work, to_json};
use crate::rules::{document, taken};

pub(super) fn submit(work: &mut Work, s: &StatusSubmission) -> Result<SubmitOutcome, LedgerError> {
    if let Some(first) = work.submissions.get(&s.key).cloned() {
        return if first.sha256 == s.sha256 {
            document::repeat(work, &s.key, &first, RepeatedBy::MessageId)
        } else {
            refuse(work, s, refusal::conflict(&first, s.sha256), None)
        };
    }
    match find(work, s) {
        Found::Recipient(document, position) => record(work, s, document, position),
        Found::Stranger(document) => {
            let finding = Refusal::new(
                RefusalCode::StatusStranger,
                Place::Message,
                "a status from a party to the document",
                format!("{} about {}", s.reporter_code, s.about_code),
            );
            refuse(work, s, finding, Some(document))
        }
        Found::Nothing => {
            let named = s.document_id.as_deref().or(s.number.as_deref()).unwrap_or("");
            let finding = Refusal::new(
                RefusalCode::StatusUnknownDocument,
                Place::Element {
                    path: "edXML/edXMLEnvelope/edXMLHeader/MessageHeader/ResponseFor".to_owned(),
                    line: 0,
                    column: 0,
                },
                "a document that passed this hub",
                named,
            );
            refuse(work, s, finding, None)
        }
    }
}

enum Found {
    Recipient(DocumentUid, u32),
    /// The document is known, the agency is no party to it.
    Stranger(DocumentUid),
    Nothing,
}

/// By (sender, `DocumentId`) first, then by (sender, recipient, number, year), as real axes do it. One
/// `DocumentId` can name several documents: then those not held come first, then those whose number
/// agrees, then those for which the status is not a repetition, then the oldest.
fn find(work: &Work, s: &StatusSubmission) -> Found {
    let number = status_number(s);
    let agrees = |row: &DocumentRow| match (&number, row.number_key()) {
        (Some(asked), Some(has)) => asked.number == has,
        _ => true,
    };
    let same_year = |row: &DocumentRow| match (s.year, row.facts.year) {
        (Some(asked), Some(has)) => asked == has,
        _ => true,
    };
    let by_identity = status_identity(s).map_or_else(Vec::new, |identity| work.of_identity(&identity));
    let mut by_number = number.as_ref().map_or_else(Vec::new, |key| work.of_number(key));
    by_number.retain(|row| same_year(row));

    let recipient = if s.code.is_from_sender() {
        &s.about
    } else {
        &s.reporter
    };
    let choose = |rows: &[&DocumentRow]| {
        rows.iter()
            .filter_map(|row| {
                let position = position_of(work, row.uid, recipient)?;
                let history = history(work, row.uid, position);
                let same_packet = history.iter().any(|status| status.sha256 == s.sha256);
                let rank = (
                    !same_packet,
                    row.held,
                    !agrees(row),
                    !row.facts.operation.brings_a_document(),
                    is_duplicate(&history, s),
                    row.event,
                );
                Some((rank, row.uid, position))
            })
            .min_by_key(|(rank, ..)| *rank)
    };
    if let Some((_, document, position)) = choose(&by_identity).or_else(|| choose(&by_number)) {
        return Found::Recipient(document, position);
    }
    match by_identity.first().or(by_number.first()) {
        Some(row) => Found::Stranger(row.uid),
        None => Found::Nothing,
    }
}

fn position_of(work: &Work, document: DocumentUid, party: &Party) -> Option<u32> {
    let rows = work.recipients(document);
    rows.iter()
        .find(|row| row.party == *party)
        .map(|row| row.position)
}

fn history(work: &Work, document: DocumentUid, position: u32) -> Vec<&StatusRow> {
    let rows = work.statuses.get(&document);
    rows.into_iter()
        .flatten()
        .filter(|row| row.recipient == position)
        .collect()
}

/// The same (document, recipient, code) twice is a repetition, with three exceptions: another packet with
/// 04 is a new assignment; 13 after an answer asks anew; an answer after a new 13 is new.
fn is_duplicate(history: &[&StatusRow], s: &StatusSubmission) -> bool {
    let since = |code: fn(StatusCode) -> bool| {
        let last = history.iter().rposition(|row| code(row.code));
        last.map_or(history, |last| &history[last + 1..])
    };
    let round = match s.code {
        StatusCode::TakeBack => {
            since(|code| matches!(code, StatusCode::ChangeAgreed | StatusCode::ChangeRefused))
        }
        StatusCode::ChangeAgreed | StatusCode::ChangeRefused => since(|code| code == StatusCode::TakeBack),
        _ => history,
    };
    round
        .iter()
        .any(|row| row.code == s.code && (s.code != StatusCode::Assigned || row.sha256 == s.sha256))
}

fn record(
    work: &mut Work,
    s: &StatusSubmission,
    document: DocumentUid,
    position: u32,
) -> Result<SubmitOutcome, LedgerError> {
    let row = work
        .recipients(document)
        .iter()
        .find(|row| row.position == position)
        .cloned()
        .ok_or(LedgerError::Contradiction("a recipient that was not loaded"))?;
    if is_duplicate(&history(work, document, position), s) {
        let event = work.record(Fact::StatusRepeated {
            document,
            recipient: position,
            code: s.code,
            system: s.key.system.clone(),
            message_id: s.key.message_id,
            sha256: s.sha256,
        })?;
        return answer(work, s, &row, event, "duplicate", false);
    }
    // A recipient that speaks of the document has it, even if its adapter's word got lost.
    if !s.code.is_from_sender() {
        taken::by_status(work, &row)?;
    }
    let applied = row.business.apply_under(row.change, s.code);
    let (business, skipped, mut odd) = match applied {
        Applied::Moved { to, skipped, odd } => (to, skipped, odd),
        Applied::Odd => (row.business, false, true),
        Applied::Late | Applied::Duplicate | Applied::Overlay | Applied::Ended => {
            (row.business, false, false)
        }
    };
    let mut effect = applied.as_str();
    let mut change = row.change;
    if applied == Applied::Overlay {
        match overlay(row.change, s.code) {
            Some((to, against_expectation)) => (change, odd) = (to, against_expectation),
            None => (effect, odd) = (Applied::Odd.as_str(), true),
        }
    }
    let to_system = other_system(work, s, &row)?;
    let delivery = to_system.is_some().then(|| work.new_delivery_uid());
    let event = work.record(Fact::StatusRecorded {
        document,
        recipient: position,
        code: s.code,
        reporter: s.reporter.clone(),
        system: s.key.system.clone(),
        message_id: s.key.message_id,
        sha256: s.sha256,
        effect: effect.to_owned(),
        skipped,
        odd,
        business,
        change,
        delivery,
    })?;
    work.move_recipient(document, position, |row| {
        row.business = business;
        row.change = change;
    });
    let status = StatusRow {
        event,
        document,
        recipient: position,
        code: s.code,
        reporter: s.reporter.clone(),
        key: s.key.clone(),
        sha256: s.sha256,
        size: s.size,
        accepted_at: work.now,
        effect: effect.to_owned(),
        delivery,
        to_system: to_system.clone(),
        reason_given: s.reason_given,
        warnings: s.warnings.clone(),
    };
    work.statuses.entry(document).or_default().push(status.clone());
    work.added.statuses.push(status);
    work.added.bodies.push((s.sha256, Arc::clone(&s.body)));
    if let (Some(system), Some(delivery)) = (to_system, delivery) {
        let urgency = work.document(document)?.facts.urgency;
        work.post(Post {
            delivery,
            system,
            outgoing: Outgoing::Status,
            urgency,
            event,
            document: Some(document),
            correlation_id: None,
            body: OutboxBody::Stored,
            sha256: s.sha256,
            size: s.size,
            from: Some(s.reporter_code.clone()),
            to: vec![s.about_code.clone()],
            status: Some(s.code),
        });
    }
    answer(work, s, &row, event, effect, delivery.is_some())
}

/// What 13, 15 and 16 make of the overlay, and whether that is against expectation; `None` when they fit
/// nothing.
fn overlay(change: ChangeState, code: StatusCode) -> Option<(ChangeState, bool)> {
    if code == StatusCode::TakeBack {
        return Some(match change.ordered(ChangeOrder::TakeBack) {
            Ordered::Moved(to) => (to, false),
            Ordered::Repeated | Ordered::Skipped | Ordered::Stays => (change, false),
        });
    }
    match change.answered(code) {
        Answered::Moved { to, odd } => Some((to, odd)),
        Answered::Odd => None,
    }
}

/// The system of the other party: the one that serves it now, or the one that had to do with the document.
fn other_system(
    work: &Work,
    s: &StatusSubmission,
    row: &RecipientRow,
) -> Result<Option<SystemId>, LedgerError> {
    if let Some(system) = &s.to_system {
        return Ok(Some(system.clone()));
    }
    if s.code.is_from_sender() {
        return Ok(row.system.clone());
    }
    Ok(Some(work.document(row.document)?.key.system.clone()))
}

fn answer(
    work: &mut Work,
    s: &StatusSubmission,
    row: &RecipientRow,
    event: u64,
    effect: &str,
    passed_on: bool,
) -> Result<SubmitOutcome, LedgerError> {
    let receipt = Receipt::Status(StatusReceipt {
        message_id: s.key.message_id,
        document: row.document,
        status: s.code,
        recipient: row.party.clone(),
        event,
        accepted_at: work.now,
        effect: effect.to_owned(),
        passed_on,
    });
    let json = to_json(&receipt)?;
    let submission = SubmissionRow {
        key: s.key.clone(),
        kind: DocumentKind::Status,
        sha256: s.sha256,
        event,
        accepted_at: work.now,
        document: row.document,
        receipt: json.clone(),
    };
    work.submissions.insert(s.key.clone(), submission.clone());
    work.added.submissions.push(submission);
    work.post_answer(
        s.key.system.clone(),
        Outgoing::Receipt,
        event,
        Some(row.document),
        s.key.message_id,
        json,
    );
    Ok(SubmitOutcome::Accepted(receipt))
}

fn refuse(
    work: &mut Work,
    s: &StatusSubmission,
    finding: Refusal,
    document: Option<DocumentUid>,
) -> Result<SubmitOutcome, LedgerError> {
    // A status that fits nothing is kept as evidence; other bytes under a used key are not.
    let kept = finding.code != RefusalCode::MessageIdConflict;
    refusal::refuse(
        work,
        Refused {
            system: Some(&s.key.system),
            message_id: Some(s.key.message_id),
            intake: Intake::Status,
            received_at: s.received_at,
            sha256: s.sha256,
            size: s.size,
            sender: Some(&s.reporter),
            document,
            findings: vec![finding],
            body: kept.then_some(&s.body),
        },
    )
}
