//! Statuses: recorded, applied, passed on once; strangers and unknown documents kept as evidence.

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Outgoing, Receipt};
use truc_model::{BusinessState, ChangeState, RefusalCode, StatusCode, Urgency};

use super::Bench;
use super::kit::{Hub, agency, bytes, deliveries, refusal_of, repeat_of, system, to};
use crate::{ConflictPolicy, EventKind, Fact, RefusalFilter, StatusSubmission};

async fn passed_on(hub: &Hub, name: &str) -> usize {
    deliveries(&hub.forward_all().await, name).len()
}

pub async fn a_status_reaches_the_sender_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.facts.urgency = Urgency::Urgent;
    let document = hub.accept(submission).await;
    hub.forward_all().await;
    let status = hub.status("01", "1");
    let receipt = hub.record(status.clone()).await;
    assert_eq!(receipt.document, document.document);
    assert_eq!(receipt.recipient, agency(2));
    assert_eq!((receipt.effect.as_str(), receipt.passed_on), ("moved", true));
    let claimed = hub.forward_all().await;
    let message = claimed.iter().find(|m| m.outgoing == Outgoing::Status).unwrap();
    assert_eq!(message.system, system("xa"));
    assert_eq!(bytes(&message.body), status.body);
    assert_eq!(message.status, Some(StatusCode::Arrived));
    assert_eq!(message.from.as_deref(), Some("000.00.12.H53"));
    assert_eq!(message.to, ["000.20.31.H53"]);
    assert_eq!(message.document, Some(document.document));
    assert_eq!((message.priority, &message.verdict), (1, &None));
    // The same again under another key: acknowledged, not applied, not passed on.
    let again = hub.record(hub.status("01", "1")).await;
    assert_eq!((again.effect.as_str(), again.passed_on), ("duplicate", false));
    assert_eq!(passed_on(&hub, "xa").await, 0);
    let view = hub.view(document.document).await;
    assert_eq!(view.statuses.len(), 1);
    assert_eq!(view.recipients[0].business, BusinessState::Arrived);
    assert_eq!(hub.count(EventKind::StatusRepeated).await, 1);
    hub.sound().await;
}

pub async fn states_follow_the_table_and_never_step_back(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.accept(hub.document("1")).await.document;
    hub.forward_all().await;
    for (code, effect, state) in [
        ("03", "moved", BusinessState::Accepted),
        ("01", "late", BusinessState::Accepted),
        ("05", "moved", BusinessState::Processing),
        ("02", "odd", BusinessState::Processing),
        ("04", "late", BusinessState::Processing),
        ("06", "moved", BusinessState::Done),
    ] {
        let receipt = hub.record(hub.status(code, "1")).await;
        assert_eq!(
            (receipt.effect.as_str(), receipt.passed_on),
            (effect, true),
            "{code}"
        );
        assert_eq!(hub.view(document).await.recipients[0].business, state, "{code}");
    }
    assert_eq!(passed_on(&hub, "xa").await, 6);
    let trace = hub.ledger.trace(document).await.unwrap();
    let skipped = trace.iter().filter_map(|row| match row.event().unwrap().fact {
        Fact::StatusRecorded { skipped, odd, .. } => Some((skipped, odd)),
        _ => None,
    });
    let expected = [
        (true, false),
        (false, false),
        (false, false),
        (false, true),
        (false, false),
        (false, false),
    ];
    assert_eq!(skipped.collect::<Vec<_>>(), expected);
    hub.sound().await;
}

pub async fn a_new_assignment_is_passed_on(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let first = hub.status("04", "1");
    hub.record(first.clone()).await;
    let again = hub.record(hub.status("04", "1")).await;
    assert_eq!((again.effect.as_str(), again.passed_on), ("moved", true));
    let same_packet = StatusSubmission {
        key: hub.key("so"),
        ..first
    };
    let same = hub.record(same_packet).await;
    assert_eq!((same.effect.as_str(), same.passed_on), ("duplicate", false));
    assert_eq!(passed_on(&hub, "xa").await, 2);
    hub.sound().await;
}

pub async fn a_take_back_runs_the_other_way_and_its_answer_back(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.accept(hub.document("1")).await.document;
    hub.forward_all().await;
    let asked = hub.record(hub.take_back("1")).await;
    assert_eq!((asked.effect.as_str(), asked.passed_on), ("overlay", true));
    assert_eq!(asked.recipient, agency(2));
    assert_eq!(hub.states(document).await, [State::Forwarded]);
    let claimed = hub.forward_all().await;
    assert_eq!(deliveries(&claimed, "so").len(), 1);
    assert_eq!(deliveries(&claimed, "xa").len(), 0);
    let change = async || hub.view(document).await.recipients[0].change;
    assert_eq!(change().await, ChangeState::RecallAsked);
    // Asked twice without an answer between is a repetition.
    assert_eq!(hub.record(hub.take_back("1")).await.effect, "duplicate");
    assert_eq!(hub.record(hub.status("16", "1")).await.effect, "overlay");
    assert_eq!(change().await, ChangeState::RecallRefused);
    assert_eq!(hub.states(document).await, [State::Taken]);
    assert_eq!(hub.record(hub.status("16", "1")).await.effect, "duplicate");
    // Asked anew after the answer, and answered anew.
    assert_eq!(hub.record(hub.take_back("1")).await.effect, "overlay");
    assert_eq!(hub.record(hub.status("16", "1")).await.effect, "overlay");
    assert_eq!(hub.record(hub.status("15", "1")).await.effect, "overlay");
    assert_eq!(change().await, ChangeState::Withdrawn);
    assert_eq!(passed_on(&hub, "xa").await, 3);
    // Only the sender may ask.
    let mut foreign = hub.take_back("1");
    foreign.reporter = agency(7);
    let answer = refusal_of(hub.ledger.submit_status(foreign).await.unwrap());
    assert_eq!(answer.code, RefusalCode::StatusUnknownDocument);
    hub.sound().await;
}

pub async fn a_status_of_the_recipient_implies_taken_for_it_alone(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.3", 3, "so"));
    let document = hub.accept(submission).await.document;
    let claimed = hub.claim().await;
    hub.record(hub.status("02", "1")).await;
    assert_eq!(hub.states(document).await, [State::Taken, State::Scheduled]);
    hub.confirm(&claimed).await;
    assert_eq!(hub.states(document).await, [State::Taken, State::Forwarded]);
    let mut other = hub.status("01", "1");
    other.reporter = agency(3);
    hub.record(other).await;
    assert_eq!(hub.states(document).await, [State::Taken, State::Taken]);
    // The adapter's own word comes last and finds it done.
    assert_eq!(
        hub.take("so", &deliveries(&claimed, "so")).await.repeated.len(),
        1
    );
    assert_eq!(hub.count(EventKind::DeliveryTaken).await, 2);
    hub.sound().await;
}

pub async fn a_status_for_an_unknown_document_is_kept_and_refused(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let status = hub.status("01", "2");
    let answer = refusal_of(hub.ledger.submit_status(status.clone()).await.unwrap());
    assert_eq!(answer.code, RefusalCode::StatusUnknownDocument);
    assert_eq!(
        hub.ledger.body(status.sha256).await.unwrap().unwrap(),
        status.body.clone().into()
    );
    let rows = hub.ledger.refusals(&RefusalFilter::default()).await.unwrap();
    assert!(rows[0].body_kept);
    assert_eq!(rows[0].document, None);
    // The document may come later: the key is free.
    hub.accept(hub.document("2")).await;
    hub.record(status).await;
    let balance = hub
        .ledger
        .balance(&crate::BalanceFilter::default())
        .await
        .unwrap();
    assert_eq!(balance.total.refused_submissions, 0);
    hub.sound().await;
}

pub async fn a_status_of_a_stranger_is_kept_and_refused(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.accept(hub.document("1")).await.document;
    let mut status = hub.status("01", "1");
    status.reporter = agency(7);
    let answer = refusal_of(hub.ledger.submit_status(status.clone()).await.unwrap());
    assert_eq!(answer.code, RefusalCode::StatusStranger);
    let rows = hub.ledger.refusals(&RefusalFilter::default()).await.unwrap();
    assert_eq!((rows[0].body_kept, rows[0].document), (true, Some(document)));
    assert_eq!(hub.states(document).await, [State::Scheduled]);
    assert_eq!(passed_on(&hub, "xa").await, 0);
    hub.sound().await;
}

pub async fn a_document_is_found_by_its_number_too(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.accept(hub.document("78")).await.document;
    let by_number = |year, number: &str| StatusSubmission {
        document_id: None,
        number: Some(number.to_owned()),
        year,
        ..hub.status("01", "")
    };
    let wrong_year = by_number(Some(2025), "78/UBND-VP");
    let answer = refusal_of(hub.ledger.submit_status(wrong_year).await.unwrap());
    assert_eq!(answer.code, RefusalCode::StatusUnknownDocument);
    let right = by_number(Some(2026), " 78/UBND-VP ");
    assert_eq!(hub.record(right).await.document, document);
    // A DocumentId that leads nowhere falls back on the number; without a year any year will do.
    let mut fallback = by_number(None, "78/UBND-VP");
    fallback.document_id = Some("lạ".to_owned());
    fallback.code = StatusCode::Accepted;
    assert_eq!(hub.record(fallback).await.document, document);
    hub.sound().await;
}

pub async fn one_identity_of_several_documents(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let known = hub.accept(first.clone()).await.document;
    let parked = hub.accept(hub.rival(&first)).await.document;
    let mut third = hub.rival(&hub.rival(&first));
    third.conflict_policy = ConflictPolicy::Deliver;
    third.facts.number = Some("3".to_owned());
    let third = hub.accept(third).await.document;
    // Not the parked one, and the oldest first.
    assert_eq!(hub.record(hub.status("01", "1")).await.document, known);
    // The number tells which.
    let mut numbered = hub.status("03", "1");
    numbered.number = Some("3/UBND-VP".to_owned());
    assert_eq!(hub.record(numbered).await.document, third);
    // What would be a repetition for the first is new for the other.
    assert_eq!(hub.record(hub.status("01", "1")).await.document, third);
    assert_eq!(hub.record(hub.status("01", "1")).await.effect, "duplicate");
    assert_eq!(hub.states(parked).await, [State::Parked]);
    hub.sound().await;
}

pub async fn a_status_within_the_batch_of_its_document(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let (status, document) = (hub.status("01", "1"), hub.document("1"));
    let (accepted, recorded) = tokio::join!(
        hub.ledger.submit_document(document),
        hub.ledger.submit_status(status)
    );
    let document = accepted.unwrap().receipt().unwrap().document();
    assert_eq!(recorded.unwrap().receipt().unwrap().document(), document);
    assert_eq!(hub.ledger.commits(), 1);
    assert_eq!(hub.states(document).await, [State::Taken]);
    let view = hub.view(document).await;
    assert_eq!(view.recipients[0].business, BusinessState::Arrived);
    hub.sound().await;
}

pub async fn a_status_repeats_by_its_key(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let status = hub.status("01", "1");
    let receipt = hub.record(status.clone()).await;
    let again = hub.ledger.submit_status(status.clone()).await.unwrap();
    assert_eq!(repeat_of(again), Receipt::Status(receipt));
    let mut other = hub.status("03", "1");
    other.key = status.key;
    let answer = refusal_of(hub.ledger.submit_status(other).await.unwrap());
    assert_eq!(answer.code, RefusalCode::MessageIdConflict);
    assert_eq!(passed_on(&hub, "xa").await, 1);
    hub.sound().await;
}

pub async fn the_other_partys_present_system_gets_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let moved = StatusSubmission {
        to_system: Some(system("vxp")),
        ..hub.status("01", "1")
    };
    hub.record(moved).await;
    let claimed = hub.forward_all().await;
    assert_eq!(deliveries(&claimed, "vxp").len(), 1);
    assert_eq!(deliveries(&claimed, "xa").len(), 0);
    assert_eq!(hub.take("vxp", &deliveries(&claimed, "vxp")).await.taken.len(), 1);
    hub.sound().await;
}
