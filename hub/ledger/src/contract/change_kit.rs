//! What the tests of recalls, updates and replacements say, and to whom.

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Notice, NoticeCode, Outgoing, Taken, Withdrawn};
use truc_model::{
    ChangeState, DeliveryUid, DocumentUid, Operation, TransportState, WithdrawCause, WithdrawProof,
};

use super::kit::{Hub, answers, system, to};
use crate::rows::OutboxRow;
use crate::{
    Claimed, DocumentChange, DocumentSubmission, PlannedRecipient, PublishFailed, PublishFailure,
    TakenOutcome, TakenReport,
};

/// The codes of agencies 2, 3 and 4; the first two are on system `so`, the last on `tt`.
pub const TWO: &str = "000.00.12.H53";
pub const THREE: &str = "H53.3";
pub const FOUR: &str = "H53.4";

pub fn two() -> PlannedRecipient {
    to(TWO, 2, "so")
}

pub fn three() -> PlannedRecipient {
    to(THREE, 3, "so")
}

pub fn four() -> PlannedRecipient {
    to(FOUR, 4, "tt")
}

/// A document for these.
pub fn document(hub: &Hub, id: &str, recipients: Vec<PlannedRecipient>) -> DocumentSubmission {
    DocumentSubmission {
        recipients,
        ..hub.document(id)
    }
}

/// A packet of agency 1 that carries an order.
pub fn packet(
    hub: &Hub,
    id: &str,
    operation: Operation,
    recipients: Vec<PlannedRecipient>,
    change: DocumentChange,
) -> DocumentSubmission {
    let mut submission = document(hub, id, recipients);
    submission.facts.operation = operation;
    submission.change = Some(change);
    submission
}

/// A recall of the document `of`.
pub fn recall(hub: &Hub, id: &str, of: &str, recipients: Vec<PlannedRecipient>) -> DocumentSubmission {
    let document_id = of.to_owned();
    packet(
        hub,
        id,
        Operation::Recall,
        recipients,
        DocumentChange::Recall { document_id },
    )
}

/// Notices `withdrawn` among claimed answers: recipient and proof.
pub fn told(claimed: &[Claimed]) -> Vec<(String, String)> {
    answers(claimed, "xa")
        .into_iter()
        .filter(|(kind, _)| *kind == Outgoing::Notice)
        .map(|(_, json)| serde_json::from_value::<Notice>(json).unwrap())
        .filter(|notice| notice.code == NoticeCode::Withdrawn)
        .map(|notice| (notice.recipient.unwrap(), notice.cause))
        .collect()
}

pub async fn say(hub: &Hub, name: &str, taken: Taken) -> TakenOutcome {
    let report = TakenReport {
        system: system(name),
        message_id: None,
        taken,
    };
    hub.ledger.taken(report).await.unwrap()
}

/// The adapter of `so` had not handed it over.
pub async fn withdrawn(hub: &Hub, delivery: DeliveryUid, codes: &[&str]) -> TakenOutcome {
    let codes = codes.iter().map(|code| (*code).to_owned()).collect();
    let withdrawn = vec![Withdrawn { delivery, codes }];
    say(
        hub,
        "so",
        Taken {
            withdrawn,
            ..Taken::default()
        },
    )
    .await
}

pub async fn fail(hub: &Hub, delivery: DeliveryUid, failure: PublishFailure) {
    let at = hub.ledger.now();
    let failed = PublishFailed {
        delivery,
        at,
        failure,
        next_try: at,
    };
    hub.ledger.publish_failed(failed).await.unwrap();
}

pub async fn row(hub: &Hub, document: DocumentUid, place: usize) -> (State, ChangeState) {
    let row = &hub.view(document).await.recipients[place];
    (row.state.name(), row.change)
}

pub async fn proof(hub: &Hub, document: DocumentUid, place: usize) -> (WithdrawCause, WithdrawProof) {
    match &hub.view(document).await.recipients[place].state {
        TransportState::Withdrawn { cause, proof, .. } => (*cause, *proof),
        other => panic!("expected a withdrawal, found {other:?}"),
    }
}

pub async fn message(hub: &Hub, document: DocumentUid) -> OutboxRow {
    hub.view(document)
        .await
        .outbox
        .into_iter()
        .find(|row| row.outgoing == Outgoing::Document)
        .unwrap()
}
