//! Statuses: find the document, record, apply, pass on to the other party once.
//!
//! 13 runs from the document's sender to a recipient; all the others from a recipient to the sender. The
//! table of the life cycle (`truc_model::status`) decides only which state is shown.

use std::sync::Arc;

use truc_model::wire::{Intake, Outgoing, Receipt, StatusReceipt};
use truc_model::{
    Answered, Applied, ChangeOrder, ChangeState, DocumentKind, DocumentUid, Ordered, Party, Place, Refusal,
    RefusalCode, StatusCode, SystemId, TransportState,
};

use crate::command::{ANSWER_PRIORITY, StatusSubmission};
use crate::error::LedgerError;
use crate::event::{Fact, RepeatedBy};
use crate::outcome::SubmitOutcome;
use crate::rows::{DocumentRow, OutboxBody, RecipientRow, StatusRow, SubmissionRow};
use crate::rules::change;
use crate::rules::load::{status_identities, status_numbers};
use crate::rules::recall::{self, Order, Reach};
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
    let numbers = status_numbers(s);
    let agrees = |row: &DocumentRow| match (numbers.first(), row.number_key()) {
        (Some(asked), Some(has)) => asked.number == has,
        _ => true,
    };
    let same_year = |row: &DocumentRow| match (s.year, row.facts.year) {
        (Some(asked), Some(has)) => asked == has,
        _ => true,
    };
    let identities = status_identities(s);
    let by_identity: Vec<&DocumentRow> = identities.iter().flat_map(|of| work.of_identity(of)).collect();
    let mut by_number: Vec<&DocumentRow> = numbers.iter().flat_map(|key| work.of_number(key)).collect();
    by_number.retain(|row| same_year(row));

    let (recipient, formerly, code) = if s.code.is_from_sender() {
        (&s.about, &s.about_formerly, &s.about_code)
    } else {
        (&s.reporter, &s.reporter_formerly, &s.reporter_code)
    };
    let choose = |rows: &[&DocumentRow]| {
        rows.iter()
            .filter_map(|row| {
                let (uid, position) = place_of(work, s.code, row.uid, recipient, formerly, code)?;
                let history = history(work, uid, position);
                let row_of = work.recipients.at(uid, position);
                let change = row_of.map_or_else(ChangeState::default, |row| row.change);
                let same_packet = history.iter().any(|status| status.sha256 == s.sha256);
                let rank = (
                    !same_packet,
                    row.held,
                    !agrees(row),
                    !row.facts.operation.brings_a_document(),
                    is_duplicate(&history, s, change),
                    row.event,
                );
                Some((rank, uid, position))
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

/// The row of a recipient: by its party, or one it took over from; the sender may name it by the code it used.
/// What asks and answers
/// about a change (13, 15, 16) belongs to the document that a recall or update speaks of.
fn place_of(
    work: &Work,
    status: StatusCode,
    document: DocumentUid,
    party: &Party,
    formerly: &[Party],
    code: &String,
) -> Option<(DocumentUid, u32)> {
    let rows = work.recipients(document).iter();
    let rows: Vec<&RecipientRow> = rows.filter(|row| !change::is_no_recipient(row)).collect();
    let by_code = || {
        rows.iter()
            .find(|row| status.is_from_sender() && row.codes.contains(code))
    };
    // One that took over from several recipients speaks for that whose code it writes.
    let by_party = rows
        .iter()
        .filter(|row| change::names(row, party, formerly))
        .min_by_key(|row| !row.codes.contains(code));
    let row = by_party.or_else(by_code)?;
    let of_change = matches!(
        status,
        StatusCode::TakeBack | StatusCode::ChangeAgreed | StatusCode::ChangeRefused
    );
    let redirected = of_change.then(|| change::redirected(work, row)).flatten();
    Some(redirected.unwrap_or((row.document, row.position)))
}

fn history(work: &Work, document: DocumentUid, position: u32) -> Vec<&StatusRow> {
    let rows = work.statuses.get(&document);
    rows.into_iter()
        .flatten()
        .filter(|row| row.recipient == position)
        .collect()
}

/// The same (document, recipient, code) twice is a repetition, with exceptions: another packet with 04 is a new
/// assignment; 13 after an answer asks anew; an answer is new while an order waits for one, be it a 13, a recall or an
/// update, and after a new 13. The same packet is always a repetition.
fn is_duplicate(history: &[&StatusRow], s: &StatusSubmission, change: ChangeState) -> bool {
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
    let only_the_same_packet = match s.code {
        StatusCode::Assigned => true,
        StatusCode::ChangeAgreed | StatusCode::ChangeRefused => change.awaits_answer(),
        _ => false,
    };
    round
        .iter()
        .any(|row| row.code == s.code && (!only_the_same_packet || row.sha256 == s.sha256))
}

fn record(
    work: &mut Work,
    s: &StatusSubmission,
    document: DocumentUid,
    position: u32,
) -> Result<SubmitOutcome, LedgerError> {
    let row = work
        .recipients
        .at(document, position)
        .cloned()
        .ok_or(LedgerError::Contradiction("a recipient that was not loaded"))?;
    if is_duplicate(&history(work, document, position), s, row.change) || is_asked_already(s, &row) {
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
    let takes_back = s.code == StatusCode::TakeBack;
    let reach = if takes_back {
        recall::family_reach(work, &row)
    } else {
        Reach::Taken
    };
    let withdrawn = matches!(row.state, TransportState::Withdrawn { .. });
    let applied = match row.business.apply_under(row.change, s.code) {
        Applied::Overlay => Applied::Overlay,
        // Whoever never got it has nothing to report: recorded and passed on, as after any end.
        _ if withdrawn => Applied::Ended,
        applied => applied,
    };
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
        match overlay(row.change, s.code, reach) {
            Some((to, against_expectation)) => (change, odd) = (to, against_expectation),
            None => (effect, odd) = (Applied::Odd.as_str(), true),
        }
    }
    let agreed = change == ChangeState::UpdateAgreed && s.code == StatusCode::ChangeAgreed && effect != "odd";
    let revision = row.revision + u32::from(agreed);
    let to_system = match reach {
        // Nobody there has it: there is nothing to ask for.
        Reach::Nowhere | Reach::Home => None,
        // The order goes where the document lies.
        Reach::Out => recall::out_system(work, &row),
        Reach::Taken => other_system(work, s, &row)?,
    };
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
        revision,
        delivery,
    })?;
    work.move_recipient(document, position, |row| {
        row.business = business;
        row.change = change;
        row.revision = revision;
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
    work.bring_body(s.sha256, Arc::clone(&s.body).into());
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
        if reach == Reach::Out {
            work.move_outbox(delivery, |row| row.priority = ANSWER_PRIORITY);
        }
    }
    if takes_back {
        let order = Order {
            kind: ChangeOrder::TakeBack,
            system: &s.key.system,
            by: None,
            event,
        };
        let row = row.clone();
        recall::take_back(work, &[row], &order)?;
        recall::forget(work, document, None, &s.key.system)?;
    }
    answer(work, s, &row, event, effect, delivery.is_some())
}

/// Whether a take-back asks for what is asked or done already, be it by a recall.
fn is_asked_already(s: &StatusSubmission, row: &RecipientRow) -> bool {
    s.code == StatusCode::TakeBack
        && (change::is_taken_back(row) || row.change.ordered(ChangeOrder::TakeBack) == Ordered::Repeated)
}

/// What 13, 15 and 16 make of the overlay, and whether that is against expectation; `None` when they fit
/// nothing.
fn overlay(change: ChangeState, code: StatusCode, reach: Reach) -> Option<(ChangeState, bool)> {
    if code == StatusCode::TakeBack && reach < Reach::Out {
        return (reach == Reach::Home).then_some((change, false));
    }
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
