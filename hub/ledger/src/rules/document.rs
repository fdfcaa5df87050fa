//! Documents: accepted once, repeated answered alike, conflicts parked. What recalls, updates and replacements do to
//! earlier documents stands in [`super::change`].

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use truc_model::wire::{
    DocumentReceipt, Intake, NoticeCode, Outgoing, Receipt, RecipientLine, Text, WarningLine,
};
use truc_model::{
    BusinessState, ChangeState, DeliveryUid, DocumentKind, DocumentUid, ParkCause, Place, Refusal,
    RefusalCode, SystemId, TransportState, UndeliverableCause, WarningCode, WithdrawCause, WithdrawProof,
};

use crate::command::{ConflictPolicy, DocumentSubmission, Plan, PlannedRecipient, SubmissionKey};
use crate::error::LedgerError;
use crate::event::{AcceptedRecipient, Fact, RepeatedBy};
use crate::outcome::SubmitOutcome;
use crate::rows::{DocumentRow, OutboxBody, RecipientRow, SubmissionRow};
use crate::rules::change::{self, Addressee, ChangePlan, Course, Pace};
use crate::rules::refusal::{self, Refused};
use crate::rules::work::{Post, Work, to_json};
use crate::store::NumberKey;

pub(super) fn submit(work: &mut Work, s: &DocumentSubmission) -> Result<SubmitOutcome, LedgerError> {
    if let Some(first) = work.submissions.get(&s.key).cloned() {
        return if first.sha256 == s.sha256 {
            repeat(work, &s.key, &first, RepeatedBy::MessageId)
        } else {
            refuse(work, s, refusal::conflict(&first, s.sha256))
        };
    }
    let same = work.of_identity(&s.identity);
    if let Some(row) = same.iter().find(|row| row.sha256 == s.sha256) {
        let first = work.submissions.get(&row.key).cloned();
        let first = first.ok_or(LedgerError::Contradiction("a document without its submission"))?;
        return repeat(work, &s.key, &first, RepeatedBy::Identity);
    }
    let brings = s.facts.operation.brings_a_document();
    let rival = same
        .iter()
        .filter(|row| brings && row.facts.operation.brings_a_document())
        .min_by_key(|row| row.event)
        .map(|row| (row.uid, row.sha256));
    if let (Some((_, rival)), ConflictPolicy::Refuse) = (rival, s.conflict_policy) {
        let finding = Refusal::new(
            RefusalCode::IdentityConflict,
            header_place("DocumentId"),
            format!("sha-256 {rival}"),
            format!("sha-256 {}", s.sha256),
        );
        return refuse(work, s, finding);
    }
    let park = s.park.or_else(|| {
        (rival.is_some() && s.conflict_policy == ConflictPolicy::Park).then_some(ParkCause::IdentityConflict)
    });
    match change::plan(work, s) {
        Ok(plan) => accept(work, s, &plan, park, rival.map(|(uid, _)| uid)),
        Err(finding) => refuse(work, s, finding),
    }
}

/// The first receipt again, byte for byte, and in the outbox too. Binds the key when it is a new one.
pub(super) fn repeat(
    work: &mut Work,
    key: &SubmissionKey,
    first: &SubmissionRow,
    by: RepeatedBy,
) -> Result<SubmitOutcome, LedgerError> {
    let receipt: Receipt = serde_json::from_str(&first.receipt)
        .map_err(|_| LedgerError::Contradiction("a recorded receipt that cannot be read"))?;
    let event = work.record(Fact::SubmissionRepeated {
        system: key.system.clone(),
        message_id: key.message_id,
        by,
        document: first.document,
    })?;
    if *key != first.key {
        let row = SubmissionRow {
            key: key.clone(),
            event,
            accepted_at: work.now,
            ..first.clone()
        };
        work.submissions.insert(key.clone(), row.clone());
        work.added.submissions.push(row);
    }
    work.post_answer(
        key.system.clone(),
        Outgoing::Receipt,
        event,
        Some(first.document),
        key.message_id,
        first.receipt.clone(),
    );
    Ok(SubmitOutcome::Repeat(receipt))
}

fn refuse(work: &mut Work, s: &DocumentSubmission, finding: Refusal) -> Result<SubmitOutcome, LedgerError> {
    refusal::refuse(
        work,
        Refused {
            system: Some(&s.key.system),
            message_id: Some(s.key.message_id),
            intake: Intake::Document,
            received_at: s.received_at,
            sha256: s.sha256,
            size: s.size,
            sender: Some(&s.identity.sender),
            document: None,
            findings: vec![finding],
            body: None,
        },
    )
}

fn accept(
    work: &mut Work,
    s: &DocumentSubmission,
    plan: &ChangePlan,
    park: Option<ParkCause>,
    rival: Option<DocumentUid>,
) -> Result<SubmitOutcome, LedgerError> {
    let uid = work.new_document_uid();
    let event = work.next_event();
    let recipients = schedule(work, uid, &plan.addressees, park);
    let warnings = warnings(work, s, plan, park, rival);
    let receipt = Receipt::Document(DocumentReceipt {
        message_id: s.key.message_id,
        document: uid,
        document_id: s.identity.document_id.clone(),
        event,
        accepted_at: work.now,
        sha256: s.sha256,
        size: s.size,
        recipients: recipients.iter().map(line).collect(),
        warnings: warnings.clone(),
    });
    let json = to_json(&receipt)?;

    work.record(Fact::DocumentAccepted {
        document: uid,
        system: s.key.system.clone(),
        message_id: s.key.message_id,
        sender: s.identity.sender.clone(),
        document_id: s.identity.document_id.clone(),
        sha256: s.sha256,
        size: s.size,
        operation: s.facts.operation,
        urgency: s.facts.urgency,
        signature: s.verdict.word().to_owned(),
        directory: s.directory_version,
        warnings: warnings.iter().map(|warning| warning.code).collect(),
        recipients: recipients.iter().map(accepted).collect(),
        conflicts_with: rival,
        amends: plan.amends,
        replaces: plan.replaces.clone(),
    })?;
    work.bring_body(s.sha256, s.body.clone());
    let submission = SubmissionRow {
        key: s.key.clone(),
        kind: DocumentKind::Document,
        sha256: s.sha256,
        event,
        accepted_at: work.now,
        document: uid,
        receipt: json.clone(),
    };
    work.submissions.insert(s.key.clone(), submission.clone());
    work.added.submissions.push(submission);
    work.add_document(
        DocumentRow {
            uid,
            event,
            identity: s.identity.clone(),
            sender_code: s.sender_code.clone(),
            key: s.key.clone(),
            sha256: s.sha256,
            size: s.size,
            received_at: s.received_at,
            accepted_at: work.now,
            facts: s.facts.clone(),
            verdict: s.verdict.clone(),
            warnings,
            directory_version: s.directory_version,
            recipients: u32::try_from(recipients.len()).unwrap_or(u32::MAX),
            amends: plan.amends,
            replaces: plan.replaces.clone(),
            held: park.is_some(),
        },
        recipients.clone(),
    );

    work.post_answer(
        s.key.system.clone(),
        Outgoing::Receipt,
        event,
        Some(uid),
        s.key.message_id,
        json,
    );
    post_deliveries(work, s, plan, uid, event, &recipients);
    tell_of_troubles(work, plan, uid, event, park, &recipients)?;
    tell_of_successors(work, uid, event, plan)?;
    change::apply(work, s, uid, plan, park.is_some())?;
    Ok(SubmitOutcome::Accepted(receipt))
}

/// Several codes of one party are one recipient: the first is shown, all are kept. A code that can be
/// delivered to wins over one that cannot (a closed code beside the current one).
pub(super) fn merge(recipients: &[PlannedRecipient]) -> Vec<(PlannedRecipient, Vec<String>)> {
    let rank = |plan: &Plan| match plan {
        Plan::Deliver { .. } => 0,
        Plan::Park(_) => 1,
        Plan::Undeliverable(_) => 2,
    };
    let mut merged: Vec<(PlannedRecipient, Vec<String>)> = Vec::with_capacity(recipients.len());
    let mut places = BTreeMap::new();
    for recipient in recipients {
        let place = *places.entry(&recipient.party).or_insert(merged.len());
        match merged.get_mut(place) {
            Some((first, codes)) => {
                codes.push(recipient.code.clone());
                if rank(&recipient.plan) < rank(&first.plan) {
                    first.plan = recipient.plan.clone();
                    first.successors.clone_from(&recipient.successors);
                }
            }
            None => merged.push((recipient.clone(), vec![recipient.code.clone()])),
        }
    }
    merged
}

/// The first state of every recipient. All on one system share one delivery, but what must overtake travels
/// apart from what must not.
fn schedule(
    work: &Work,
    document: DocumentUid,
    addressees: &[Addressee],
    park: Option<ParkCause>,
) -> Vec<RecipientRow> {
    let mut messages: BTreeMap<(&SystemId, bool), DeliveryUid> = BTreeMap::new();
    (0..)
        .zip(addressees)
        .map(|(position, addressee)| {
            let (system, state) = first_state(work.now, addressee, park);
            let apart = addressee.pace == Pace::Overtake;
            RecipientRow {
                document,
                position,
                party: addressee.recipient.party.clone(),
                codes: addressee.codes.clone(),
                system: system.cloned(),
                delivery: system.map(|system| {
                    *messages
                        .entry((system, apart))
                        .or_insert_with(|| work.new_delivery_uid())
                }),
                state,
                business: BusinessState::default(),
                change: ChangeState::default(),
                revision: 0,
                recalled: None,
            }
        })
        .collect()
}

fn first_state(
    now: Timestamp,
    addressee: &Addressee,
    park: Option<ParkCause>,
) -> (Option<&SystemId>, TransportState) {
    let sent = |system| match park {
        Some(cause) => (Some(system), TransportState::Parked { since: now, cause }),
        None => (Some(system), TransportState::Scheduled { since: now }),
    };
    match (&addressee.course, &addressee.recipient.plan) {
        (Course::Moot, _) => {
            let (cause, proof) = (WithdrawCause::OrderMoot, WithdrawProof::NeverLeft);
            (
                None,
                TransportState::Withdrawn {
                    at: now,
                    cause,
                    proof,
                },
            )
        }
        (Course::Stranger, _) => {
            let cause = UndeliverableCause::NotARecipient;
            (None, TransportState::Undeliverable { at: now, cause })
        }
        (Course::Follow(system), _) | (Course::Routed, Plan::Deliver { system }) => sent(system),
        (Course::Wait(own), plan) => {
            let system = match plan {
                Plan::Deliver { system } => Some(system),
                _ => None,
            };
            let cause = park.unwrap_or(*own);
            (system, TransportState::Parked { since: now, cause })
        }
        (Course::Routed, Plan::Undeliverable(cause)) => (
            None,
            TransportState::Undeliverable {
                at: now,
                cause: *cause,
            },
        ),
        (Course::Routed, Plan::Park(own)) => {
            let cause = park.unwrap_or(*own);
            (None, TransportState::Parked { since: now, cause })
        }
    }
}

/// What the reader forgave, and what only the ledger can know.
fn warnings(
    work: &Work,
    s: &DocumentSubmission,
    plan: &ChangePlan,
    park: Option<ParkCause>,
    rival: Option<DocumentUid>,
) -> Vec<WarningLine> {
    let mut warnings = s.warnings.clone();
    let mut warn = |code: WarningCode, element: &str| {
        if warnings.iter().all(|warning| warning.code != code) {
            warnings.push(WarningLine::new(code, header_place(element)));
        }
    };
    if rival.is_some() && park.is_none() {
        warn(WarningCode::IdentityRepeated, "DocumentId");
    }
    if number_is_known(work, s) {
        warn(WarningCode::NumberRepeated, "Code");
    }
    if plan.addressees.iter().any(|addressee| addressee.codes.len() > 1) {
        warn(WarningCode::DuplicateRecipient, "To");
    }
    if plan.addressees.iter().any(is_forwarded) {
        warn(WarningCode::ClosedCodeForwarded, "To");
    }
    let known = |warning: &&WarningLine| warnings.iter().all(|known| known.code != warning.code);
    let own: Vec<WarningLine> = plan.warnings.iter().filter(known).cloned().collect();
    warnings.extend(own);
    warnings
}

/// Whether its code is closed, and the packet goes to whoever took over.
fn is_forwarded(addressee: &Addressee) -> bool {
    matches!(addressee.recipient.plan, Plan::Deliver { .. }) && !addressee.recipient.successors.is_empty()
}

/// Whether another document of this sender bears the same number and notation in the same year
/// (NĐ 30/2020, Phụ lục VI, part I.III.1(h)).
fn number_is_known(work: &Work, s: &DocumentSubmission) -> bool {
    let number = crate::rows::number_key(s.facts.number.as_deref(), s.facts.notation.as_deref());
    let (Some(number), Some(_), true) = (number, s.facts.year, s.facts.operation.brings_a_document()) else {
        return false;
    };
    let sender = s.identity.sender.clone();
    work.of_number(&NumberKey { sender, number })
        .iter()
        .any(|row| row.facts.year == s.facts.year && row.facts.operation.brings_a_document())
}

fn header_place(element: &str) -> Place {
    Place::Element {
        path: format!("edXML/edXMLEnvelope/edXMLHeader/MessageHeader/{element}"),
        line: 0,
        column: 0,
    }
}

/// Why a recipient is parked, undeliverable or withdrawn.
fn cause(state: &TransportState) -> Option<&'static str> {
    match state {
        TransportState::Undeliverable { cause, .. } => Some(cause.as_str()),
        TransportState::Parked { cause, .. } => Some(cause.as_str()),
        TransportState::Withdrawn { cause, .. } => Some(cause.as_str()),
        _ => None,
    }
}

fn line(row: &RecipientRow) -> RecipientLine {
    RecipientLine {
        code: row.code().to_owned(),
        party: row.party.clone(),
        state: row.state.name(),
        delivery: row.delivery,
        cause: cause(&row.state).map(str::to_owned),
    }
}

fn accepted(row: &RecipientRow) -> AcceptedRecipient {
    AcceptedRecipient {
        position: row.position,
        party: row.party.clone(),
        state: row.state.name(),
        cause: cause(&row.state).map(str::to_owned),
        system: row.system.clone(),
        delivery: row.delivery,
    }
}

/// One message per system, for all its scheduled recipients.
fn post_deliveries(
    work: &mut Work,
    s: &DocumentSubmission,
    plan: &ChangePlan,
    uid: DocumentUid,
    event: u64,
    recipients: &[RecipientRow],
) {
    let mut messages: Vec<(DeliveryUid, &SystemId, Vec<String>)> = Vec::new();
    let mut places: HashMap<DeliveryUid, usize> = HashMap::new();
    let mut paces: HashMap<DeliveryUid, Vec<Pace>> = HashMap::new();
    for (row, addressee) in recipients.iter().zip(&plan.addressees) {
        let (Some(delivery), Some(system)) = (row.delivery, &row.system) else {
            continue;
        };
        paces.entry(delivery).or_default().push(addressee.pace);
        if !matches!(row.state, TransportState::Scheduled { .. }) {
            continue;
        }
        let place = *places.entry(delivery).or_insert(messages.len());
        match messages.get_mut(place) {
            Some((_, _, codes)) => codes.push(row.code().to_owned()),
            None => messages.push((delivery, system, vec![row.code().to_owned()])),
        }
    }
    for (delivery, system, to) in messages {
        work.post(Post {
            delivery,
            system: system.clone(),
            outgoing: Outgoing::Document,
            urgency: s.facts.urgency,
            event,
            document: Some(uid),
            correlation_id: None,
            body: OutboxBody::Stored,
            sha256: s.sha256,
            size: s.size,
            from: Some(s.sender_code.clone()),
            to,
            status: None,
        });
        let paces = paces.remove(&delivery).unwrap_or_default();
        work.move_outbox(delivery, |row| {
            row.priority = change::priority(row.priority, paces.into_iter());
        });
    }
}

/// A park is an event and a notice; an undeliverable recipient is a notice.
fn tell_of_troubles(
    work: &mut Work,
    plan: &ChangePlan,
    uid: DocumentUid,
    event: u64,
    whole: Option<ParkCause>,
    recipients: &[RecipientRow],
) -> Result<(), LedgerError> {
    let mut parked: BTreeMap<&'static str, (ParkCause, Vec<&RecipientRow>)> = BTreeMap::new();
    if let Some(cause) = whole {
        parked.insert(cause.as_str(), (cause, Vec::new()));
    }
    for row in recipients {
        match &row.state {
            TransportState::Parked { cause, .. } => {
                let (_, rows) = parked.entry(cause.as_str()).or_insert((*cause, Vec::new()));
                rows.push(row);
            }
            TransportState::Undeliverable { cause, .. } => {
                let mut message = Text::from(cause.sentences());
                let place = usize::try_from(row.position).unwrap_or(usize::MAX);
                let planned = plan.addressees.get(place).map(|addressee| &addressee.recipient);
                let successors = planned.map_or(&[][..], |planned| &planned.successors);
                if *cause == UndeliverableCause::ClosedCode && !successors.is_empty() {
                    let codes = successors.join(", ");
                    message.vi.push_str(&format!(" Mã của đơn vị kế thừa: {codes}."));
                    message.en.push_str(&format!(" Code of the successor: {codes}."));
                }
                let code = NoticeCode::RecipientUndeliverable;
                let recipient = Some(row.code().to_owned());
                work.notify(uid, recipient, code, cause.as_str().to_owned(), message, event)?;
            }
            _ => {}
        }
    }
    for (cause, rows) in parked.into_values() {
        let event = work.record(Fact::DocumentParked {
            document: uid,
            cause,
            recipients: rows.iter().map(|row| row.position).collect(),
        })?;
        let told: Vec<Option<String>> = if whole.is_some() {
            vec![None]
        } else {
            rows.iter().map(|row| Some(row.code().to_owned())).collect()
        };
        for recipient in told {
            let message = Text::from(cause.sentences());
            work.notify(
                uid,
                recipient,
                NoticeCode::Parked,
                cause.as_str().to_owned(),
                message,
                event,
            )?;
        }
    }
    Ok(())
}

/// A closed code whose agency was taken over: the sender learns the code to use from now on.
fn tell_of_successors(
    work: &mut Work,
    uid: DocumentUid,
    event: u64,
    plan: &ChangePlan,
) -> Result<(), LedgerError> {
    for addressee in plan.addressees.iter().filter(|addressee| is_forwarded(addressee)) {
        let planned = &addressee.recipient;
        let Some(successor) = planned.successors.first() else {
            continue;
        };
        let code = &planned.code;
        let message = Text {
            vi: format!("Mã {code} đã đóng; văn bản được chuyển tới đơn vị kế thừa {successor}."),
            en: format!("The code {code} is closed; the document goes to its successor {successor}."),
        };
        let notice = NoticeCode::SuccessorUsed;
        work.notify(uid, Some(code.clone()), notice, successor.clone(), message, event)?;
    }
    Ok(())
}
