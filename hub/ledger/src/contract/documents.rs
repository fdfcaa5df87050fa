//! Submissions: accepted once, repeated answered alike, conflicts told.

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Intake, Outgoing, Receipt};
use truc_model::{Operation, ParkCause, Party, RefusalCode, TransportState, UndeliverableCause, WarningCode};

use super::Bench;
use super::kit::{Hub, agency, answers, bytes, refusal_of, repeat_of, to};
use crate::store::SAME_DOCUMENTS_MAX;
use crate::{
    BalanceFilter, ConflictPolicy, EventKind, Fact, LedgerError, Plan, PlannedRecipient, RefusedSubmission,
    SubmitOutcome,
};

pub async fn a_document_is_accepted_with_all_that_belongs_to_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("7816/VPCP");
    submission.recipients.push(to("H53.7", 7, "vxp"));
    let receipt = hub.accept(submission.clone()).await;
    assert_eq!(receipt.event, 1);
    assert_eq!(receipt.message_id, submission.key.message_id);
    assert_eq!(
        (receipt.sha256, receipt.size),
        (submission.sha256, submission.size)
    );
    assert_eq!(receipt.recipients.len(), 2);
    assert_eq!(receipt.accepted_at, hub.ledger.now());

    let view = hub.view(receipt.document).await;
    assert_eq!(view.document.identity, submission.identity);
    assert_eq!(view.document.facts, submission.facts);
    assert_eq!(view.document.verdict, submission.verdict);
    assert_eq!(view.document.sender_code, submission.sender_code);
    assert_eq!(view.document.directory_version, 1);
    assert!(!view.document.held);
    let since = hub.ledger.now();
    assert!(
        view.recipients
            .iter()
            .all(|row| row.state == TransportState::Scheduled { since })
    );
    assert_eq!(view.outbox.len(), 3);
    assert_eq!(view.trace.len(), 1);
    let body = hub.ledger.body(submission.sha256).await.unwrap().unwrap();
    assert_eq!(body, submission.body);
    let row = hub.ledger.submission(&submission.key).await.unwrap().unwrap();
    assert_eq!(row.document, receipt.document);
    assert_eq!(
        serde_json::from_str::<Receipt>(&row.receipt).unwrap(),
        Receipt::Document(receipt.clone())
    );

    let claimed = hub.forward_all().await;
    let document = claimed.iter().find(|m| m.system.as_str() == "so").unwrap();
    assert_eq!(document.outgoing, Outgoing::Document);
    assert_eq!(document.body, submission.body);
    assert_eq!(document.sha256, submission.sha256);
    assert_eq!(document.from.as_deref(), Some("000.20.31.H53"));
    assert_eq!(document.to, ["000.00.12.H53"]);
    assert_eq!(document.verdict, Some(submission.verdict));
    assert_eq!(document.document, Some(receipt.document));
    assert_eq!(Some(document.delivery), receipt.recipients[0].delivery);
    assert_ne!(receipt.recipients[0].delivery, receipt.recipients[1].delivery);
    assert_eq!(document.correlation_id, None);
    let answer = claimed.iter().find(|m| m.outgoing == Outgoing::Receipt).unwrap();
    assert_eq!(&*bytes(&answer.body), row.receipt.as_bytes());
    assert_eq!(answer.correlation_id, Some(submission.key.message_id));
    assert_eq!(answer.system, submission.key.system);
    hub.sound().await;
}

pub async fn the_same_key_and_bytes_get_the_first_receipt_again(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("1");
    let first = hub.accept(submission.clone()).await;
    hub.minutes(90);
    let again = hub.ledger.submit_document(submission.clone()).await.unwrap();
    assert_eq!(repeat_of(again), Receipt::Document(first));
    let claimed = hub.claim().await;
    let receipts: Vec<_> = claimed
        .iter()
        .filter(|m| m.outgoing == Outgoing::Receipt)
        .collect();
    assert_eq!(receipts.len(), 2);
    assert_eq!(receipts[0].body, receipts[1].body);
    assert_eq!(receipts[1].correlation_id, Some(submission.key.message_id));
    assert_eq!(
        claimed
            .iter()
            .filter(|m| m.outgoing == Outgoing::Document)
            .count(),
        1
    );
    assert_eq!(hub.count(EventKind::DocumentAccepted).await, 1);
    assert_eq!(hub.count(EventKind::SubmissionRepeated).await, 1);
    hub.sound().await;
}

pub async fn the_same_key_with_other_bytes_is_refused_and_counted_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    hub.accept(first.clone()).await;
    let mut other = hub.rival(&first);
    other.key = first.key.clone();
    let answer = refusal_of(hub.ledger.submit_document(other.clone()).await.unwrap());
    assert_eq!(answer.code, RefusalCode::MessageIdConflict);
    assert!(answer.expected.contains(&first.sha256.to_string()));
    hub.minutes(5);
    let again = refusal_of(hub.ledger.submit_document(other.clone()).await.unwrap());
    assert_eq!(again, answer);
    assert_eq!(hub.count(EventKind::SubmissionRefused).await, 1);
    let refusals: Vec<_> = hub.answers("xa").await;
    assert_eq!(
        refusals
            .iter()
            .filter(|(kind, _)| *kind == Outgoing::Refusal)
            .count(),
        2
    );
    // The same under a check that failed before the ledger was asked.
    let refused = RefusedSubmission {
        message_id: Some(first.key.message_id),
        ..hub.refused("third bytes", RefusalCode::SealMissing)
    };
    let answer = refusal_of(hub.ledger.refuse(refused).await.unwrap());
    assert_eq!(answer.code, RefusalCode::MessageIdConflict);
    assert_eq!(answer.also.len(), 1);
    let balance = hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
    assert_eq!(
        (balance.total.accepted, balance.total.refused_submissions),
        (1, 2)
    );
    hub.sound().await;
}

pub async fn a_refusal_does_not_bind_the_key(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("1");
    let refused = RefusedSubmission {
        message_id: Some(submission.key.message_id),
        sha256: submission.sha256,
        size: submission.size,
        ..hub.refused("", RefusalCode::CertificateExpired)
    };
    let first = refusal_of(hub.ledger.refuse(refused.clone()).await.unwrap());
    hub.minutes(1);
    assert_eq!(
        refusal_of(hub.ledger.refuse(refused.clone()).await.unwrap()),
        first
    );
    // Another cause is another refusal.
    let mut otherwise = refused.clone();
    otherwise.findings[0].code = RefusalCode::SealMissing;
    hub.ledger.refuse(otherwise).await.unwrap();
    assert_eq!(hub.count(EventKind::SubmissionRefused).await, 2);
    hub.accept(submission).await;
    hub.sound().await;
}

pub async fn what_was_accepted_stays_accepted_whatever_a_check_says_later(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("1");
    let first = hub.accept(submission.clone()).await;
    let refused = RefusedSubmission {
        message_id: Some(submission.key.message_id),
        sha256: submission.sha256,
        ..hub.refused("", RefusalCode::CertificateExpired)
    };
    let outcome = hub.ledger.refuse(refused).await.unwrap();
    assert_eq!(repeat_of(outcome), Receipt::Document(first));
    assert_eq!(hub.count(EventKind::SubmissionRefused).await, 0);
    hub.sound().await;
}

pub async fn an_unregistered_system_is_recorded_and_not_answered(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let refused = RefusedSubmission {
        system: None,
        ..hub.refused("x", RefusalCode::SystemUnknown)
    };
    refusal_of(hub.ledger.refuse(refused).await.unwrap());
    let nameless = RefusedSubmission {
        message_id: None,
        ..hub.refused("x", RefusalCode::MessageIdMissing)
    };
    let first = refusal_of(hub.ledger.refuse(nameless.clone()).await.unwrap());
    assert_eq!(first.message_id, None);
    assert_eq!(refusal_of(hub.ledger.refuse(nameless).await.unwrap()), first);
    assert_eq!(hub.count(EventKind::SubmissionRefused).await, 2);
    assert!(hub.claim().await.is_empty());
    hub.sound().await;
}

pub async fn a_refusal_needs_a_finding(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut refused = hub.refused("x", RefusalCode::Loop);
    refused.findings.clear();
    let error = hub.ledger.refuse(refused).await.unwrap_err();
    assert!(matches!(error, LedgerError::NoFinding), "{error}");
    assert_eq!(hub.ledger.head().await.unwrap().seq, 0);
}

pub async fn the_same_document_under_another_key_is_a_repeat(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let receipt = hub.accept(first.clone()).await;
    let mut again = first.clone();
    again.key = hub.key("xa");
    for _ in 0..2 {
        let outcome = hub.ledger.submit_document(again.clone()).await.unwrap();
        assert_eq!(repeat_of(outcome), Receipt::Document(receipt.clone()));
    }
    // The second key is bound as well.
    let mut other = hub.rival(&first);
    other.key = again.key.clone();
    let answer = refusal_of(hub.ledger.submit_document(other).await.unwrap());
    assert_eq!(answer.code, RefusalCode::MessageIdConflict);
    assert_eq!(hub.count(EventKind::SubmissionRepeated).await, 2);
    let rows = [&first.key, &again.key];
    for key in rows {
        let row = hub.ledger.submission(key).await.unwrap().unwrap();
        assert_eq!(row.document, receipt.document);
    }
    let claimed = hub.claim().await;
    let told: Vec<_> = claimed.iter().filter_map(|m| m.correlation_id).collect();
    assert!(told.contains(&again.key.message_id));
    hub.sound().await;
}

pub async fn another_document_under_the_same_identity_is_parked(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let known = hub.accept(first.clone()).await;
    let mut rival = hub.rival(&first);
    rival.recipients.push(to("H53.3", 3, "so"));
    let receipt = hub.accept(rival.clone()).await;
    assert!(receipt.recipients.iter().all(|line| line.state == State::Parked));
    assert!(
        receipt
            .recipients
            .iter()
            .all(|line| line.cause.as_deref() == Some("identity-conflict"))
    );
    assert_eq!(hub.states(receipt.document).await, [State::Parked, State::Parked]);
    assert!(hub.view(receipt.document).await.document.held);
    let Fact::DocumentParked {
        cause, recipients, ..
    } = hub.last_of(EventKind::DocumentParked).await.fact
    else {
        panic!("expected a park");
    };
    assert_eq!((cause, recipients), (ParkCause::IdentityConflict, vec![0, 1]));
    let claimed = hub.forward_all().await;
    assert_eq!(
        claimed
            .iter()
            .filter(|m| m.outgoing == Outgoing::Document)
            .count(),
        1
    );
    let notices: Vec<_> = answers(&claimed, "xa")
        .into_iter()
        .filter(|(kind, _)| *kind == Outgoing::Notice)
        .collect();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].1["code"], "parked");
    assert_eq!(notices[0].1["cause"], "identity-conflict");
    assert_eq!(notices[0].1["recipient"], serde_json::Value::Null);
    let trace = hub.ledger.trace(receipt.document).await.unwrap();
    let Fact::DocumentAccepted { conflicts_with, .. } = trace[0].event().unwrap().fact else {
        panic!("expected an acceptance");
    };
    assert_eq!(conflicts_with, Some(known.document));
    let balance = hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
    assert_eq!((balance.total.accepted, balance.total.waiting), (3, 3));
    hub.sound().await;
}

pub async fn another_document_under_the_same_identity_can_be_refused(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    hub.accept(first.clone()).await;
    let mut rival = hub.rival(&first);
    rival.conflict_policy = ConflictPolicy::Refuse;
    let answer = refusal_of(hub.ledger.submit_document(rival.clone()).await.unwrap());
    assert_eq!(answer.code, RefusalCode::IdentityConflict);
    assert!(hub.ledger.submission(&rival.key).await.unwrap().is_none());
    hub.sound().await;
}

pub async fn another_document_under_the_same_identity_can_be_delivered(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let known = hub.accept(first.clone()).await;
    let mut rival = hub.rival(&first);
    rival.conflict_policy = ConflictPolicy::Deliver;
    let receipt = hub.accept(rival).await;
    assert_eq!(receipt.recipients[0].state, State::Scheduled);
    assert!(
        receipt
            .warnings
            .iter()
            .any(|w| w.code == WarningCode::IdentityRepeated)
    );
    let trace = hub.ledger.trace(receipt.document).await.unwrap();
    let fact = trace[0].event().unwrap().fact;
    assert!(
        matches!(fact, Fact::DocumentAccepted { conflicts_with: Some(uid), .. } if uid == known.document)
    );
    hub.sound().await;
}

pub async fn an_update_does_not_conflict(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    hub.accept(first.clone()).await;
    let mut update = hub.rival(&first);
    update.facts.operation = Operation::Update;
    update.conflict_policy = ConflictPolicy::Refuse;
    let receipt = hub.accept(update).await;
    assert_eq!(receipt.recipients[0].state, State::Scheduled);
    assert_eq!(receipt.warnings, []);
    // Neither does the same DocumentId of another sender.
    let mut foreign = hub.rival(&first);
    foreign.identity.sender = agency(9);
    assert_eq!(hub.accept(foreign).await.recipients[0].state, State::Scheduled);
    hub.sound().await;
}

pub async fn a_repeated_number_is_warned_of(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    assert_eq!(hub.accept(first.clone()).await.warnings, []);
    let mut twin = hub.document("2");
    twin.facts.number = Some(" 1".to_owned());
    let receipt = hub.accept(twin).await;
    assert_eq!(receipt.warnings.len(), 1);
    assert_eq!(receipt.warnings[0].code, WarningCode::NumberRepeated);
    assert_eq!(receipt.recipients[0].state, State::Scheduled);
    let mut next_year = hub.document("3");
    next_year.facts.number = Some("1".to_owned());
    next_year.facts.year = Some(2027);
    assert_eq!(hub.accept(next_year).await.warnings, []);
    hub.sound().await;
}

pub async fn several_codes_of_one_party_are_one_recipient(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients = vec![
        PlannedRecipient {
            code: "H53.OLD".to_owned(),
            party: agency(2),
            formerly: vec![],
            successors: vec![],
            plan: Plan::Undeliverable(UndeliverableCause::ClosedCode),
        },
        to("H53.12", 2, "so"),
        to("H53.13", 3, "so"),
        to("000.00.12.H53", 2, "so"),
        to("H53.14", 4, "vxp"),
    ];
    let receipt = hub.accept(submission).await;
    assert_eq!(receipt.recipients.len(), 3);
    assert_eq!(receipt.recipients[0].code, "H53.OLD");
    assert_eq!(receipt.recipients[0].state, State::Scheduled);
    assert_eq!(receipt.recipients[0].delivery, receipt.recipients[1].delivery);
    assert_ne!(receipt.recipients[0].delivery, receipt.recipients[2].delivery);
    assert!(
        receipt
            .warnings
            .iter()
            .any(|w| w.code == WarningCode::DuplicateRecipient)
    );
    let view = hub.view(receipt.document).await;
    assert_eq!(view.recipients[0].codes, ["H53.OLD", "H53.12", "000.00.12.H53"]);
    let claimed = hub.claim().await;
    let documents: Vec<_> = claimed
        .iter()
        .filter(|m| m.outgoing == Outgoing::Document)
        .collect();
    assert_eq!(documents.len(), 2);
    assert_eq!(documents[0].to, ["H53.OLD", "H53.13"]);
    hub.sound().await;
}

pub async fn an_undeliverable_recipient_does_not_hold_up_the_others(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(PlannedRecipient {
        code: "mã lạ".to_owned(),
        party: Party::Unresolved("mã lạ".to_owned()),
        formerly: vec![],
        successors: vec![],
        plan: Plan::Undeliverable(UndeliverableCause::BadCode),
    });
    let receipt = hub.accept(submission).await;
    assert_eq!(receipt.recipients[1].state, State::Undeliverable);
    assert_eq!(receipt.recipients[1].delivery, None);
    assert_eq!(receipt.recipients[1].cause.as_deref(), Some("bad-code"));
    let claimed = hub.forward_all().await;
    assert_eq!(
        claimed
            .iter()
            .filter(|m| m.outgoing == Outgoing::Document)
            .count(),
        1
    );
    let told = answers(&claimed, "xa");
    let notice = &told.iter().find(|(kind, _)| *kind == Outgoing::Notice).unwrap().1;
    assert_eq!(notice["code"], "recipient-undeliverable");
    assert_eq!(notice["recipient"], "mã lạ");
    assert_eq!(notice["cause"], "bad-code");
    assert_eq!(notice["event"], receipt.event);
    let balance = hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
    assert_eq!((balance.total.waiting, balance.total.undeliverable), (1, 1));
    hub.sound().await;
}

pub async fn a_marking_of_secrecy_parks_everything(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.park = Some(ParkCause::SecretMarking);
    submission.facts.subject = None;
    submission.recipients.push(PlannedRecipient {
        code: "X".to_owned(),
        party: Party::Unresolved("X".to_owned()),
        formerly: vec![],
        successors: vec![],
        plan: Plan::Undeliverable(UndeliverableCause::UnknownCode),
    });
    let receipt = hub.accept(submission).await;
    assert_eq!(
        hub.states(receipt.document).await,
        [State::Parked, State::Undeliverable]
    );
    let claimed = hub.forward_all().await;
    assert!(claimed.iter().all(|m| m.outgoing != Outgoing::Document));
    let notices = answers(&claimed, "xa");
    let codes: Vec<_> = notices.iter().map(|(_, json)| json["code"].clone()).collect();
    assert!(codes.contains(&"parked".into()) && codes.contains(&"recipient-undeliverable".into()));
    hub.sound().await;
}

pub async fn a_split_agency_parks_its_delivery_alone(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(PlannedRecipient {
        code: "H53.9".to_owned(),
        party: agency(9),
        formerly: vec![],
        successors: vec![],
        plan: Plan::Park(ParkCause::AmbiguousSuccessor),
    });
    let receipt = hub.accept(submission).await;
    assert_eq!(
        hub.states(receipt.document).await,
        [State::Scheduled, State::Parked]
    );
    assert!(!hub.view(receipt.document).await.document.held);
    let told = hub.answers("xa").await;
    let notice = &told.iter().find(|(kind, _)| *kind == Outgoing::Notice).unwrap().1;
    assert_eq!(
        (&notice["code"], &notice["recipient"]),
        (&"parked".into(), &"H53.9".into())
    );
    assert_eq!(hub.count(EventKind::DocumentParked).await, 1);
    hub.sound().await;
}

pub async fn doubles_within_one_batch_are_accepted_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let mut other_key = first.clone();
    other_key.key = hub.key("xa");
    let mut other_bytes = hub.rival(&first);
    other_bytes.key = first.key.clone();
    let refused = RefusedSubmission {
        message_id: Some(first.key.message_id),
        sha256: first.sha256,
        intake: Intake::Document,
        ..hub.refused("", RefusalCode::Loop)
    };
    // All four are queued before the writer has its first turn: one batch.
    let (a, b, c, d) = tokio::join!(
        hub.ledger.submit_document(first.clone()),
        hub.ledger.submit_document(first.clone()),
        hub.ledger.submit_document(other_key),
        hub.ledger.submit_document(other_bytes),
    );
    assert!(matches!(a.unwrap(), SubmitOutcome::Accepted(_)));
    repeat_of(b.unwrap());
    repeat_of(c.unwrap());
    assert_eq!(refusal_of(d.unwrap()).code, RefusalCode::MessageIdConflict);
    repeat_of(hub.ledger.refuse(refused).await.unwrap());
    assert_eq!(hub.count(EventKind::DocumentAccepted).await, 1);
    assert_eq!(hub.ledger.commits(), 2);
    hub.sound().await;
}

pub async fn a_hostile_reuse_of_one_identity_stays_bounded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    hub.accept(first.clone()).await;
    let mut last = first.clone();
    for _ in 0..=SAME_DOCUMENTS_MAX {
        last = hub.rival(&last);
        hub.accept(last.clone()).await;
    }
    let mut tx = bench.open().await.begin().await.unwrap();
    let known = tx
        .documents_by_identity(std::slice::from_ref(&first.identity))
        .await
        .unwrap();
    assert_eq!(known.len(), SAME_DOCUMENTS_MAX);
    assert!(known.iter().any(|row| !row.held));
    drop(tx);
    // The same bytes are still recognised, beyond the bound.
    last.key = hub.key("xa");
    repeat_of(hub.ledger.submit_document(last).await.unwrap());
    hub.sound().await;
}
