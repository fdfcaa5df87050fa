//! Recalls and take-backs: at home, on the way, in the inbox, taken; and what comes back.

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Outgoing, Taken, Withdrawn};
use truc_model::{
    ChangeState, DeliveryUid, DocumentUid, RefusalCode, StatusCode, WithdrawCause, WithdrawProof,
};

use super::Bench;
use super::change_kit::{
    FOUR, THREE, TWO, document, fail, four, message, proof, recall, row, say, three, told, two, withdrawn,
};
use super::kit::{Hub, agency, deliveries, refusal_of, system, to};
use crate::command::Cleaning;
use crate::event::EventKind;
use crate::{Claimed, DocumentSubmission, Plan, PlannedRecipient, PublishFailure, Resend};

pub async fn what_never_left_is_withdrawn_and_nothing_is_sent(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub
        .accept(document(&hub, "1", vec![two(), three(), four()]))
        .await;
    let order = hub.accept(recall(&hub, "R", "1", vec![two(), four()])).await;
    for line in &order.recipients {
        assert_eq!((line.state, line.delivery), (State::Withdrawn, None));
        assert_eq!(line.cause.as_deref(), Some("order-moot"));
    }
    let uid = first.document;
    assert_eq!(
        hub.states(uid).await,
        [State::Withdrawn, State::Scheduled, State::Withdrawn]
    );
    assert_eq!(
        proof(&hub, uid, 0).await,
        (WithdrawCause::Recalled, WithdrawProof::NeverLeft)
    );
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::None);
    let claimed = hub.forward_all().await;
    assert_eq!(
        told(&claimed),
        [
            (TWO.to_owned(), "never-left".to_owned()),
            (FOUR.to_owned(), "never-left".to_owned())
        ]
    );
    // The other one gets it, and only that one; the order goes nowhere.
    let sent: Vec<&Claimed> = claimed
        .iter()
        .filter(|m| m.outgoing == Outgoing::Document)
        .collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (&sent[0].to, sent[0].system.as_str()),
        (&vec![THREE.to_owned()], "so")
    );
    // A repeat of the order gets the same receipt.
    assert_eq!(hub.take("so", &deliveries(&claimed, "so")).await.taken.len(), 1);
    assert_eq!(
        hub.states(uid).await,
        [State::Withdrawn, State::Taken, State::Withdrawn]
    );
    hub.sound().await;
}

pub async fn what_waits_for_an_operator_is_withdrawn_too(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut secret = document(&hub, "1", vec![two(), three()]);
    secret.park = Some(truc_model::ParkCause::SecretMarking);
    let uid = hub.accept(secret).await.document;
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    assert_eq!(hub.states(uid).await, [State::Withdrawn, State::Parked]);
    assert!(hub.view(uid).await.document.held);
    hub.accept(recall(&hub, "R2", "1", vec![three()])).await;
    assert_eq!(hub.states(uid).await, [State::Withdrawn, State::Withdrawn]);
    assert!(!hub.view(uid).await.document.held);
    assert!(deliveries(&hub.forward_all().await, "so").is_empty());
    hub.sound().await;
}

pub async fn an_order_overtakes_what_lies_in_the_inbox(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), three()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    let delivery = deliveries(&sent, "so")[0];
    let order = hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    assert_eq!(order.recipients[0].state, State::Scheduled);
    assert_eq!(
        row(&hub, uid, 0).await,
        (State::Forwarded, ChangeState::RecallAsked)
    );
    assert_eq!(row(&hub, uid, 1).await, (State::Forwarded, ChangeState::None));
    let claimed = hub.forward_all().await;
    assert_eq!(told(&claimed), []);
    let carrier = claimed.iter().find(|m| m.outgoing == Outgoing::Document).unwrap();
    assert_eq!(carrier.priority, crate::ANSWER_PRIORITY);
    assert_eq!(carrier.withdraws, [(delivery, vec![TWO.to_owned()])]);
    // The adapter had not handed it over for that one.
    assert_eq!(withdrawn(&hub, delivery, &[TWO]).await.withdrawn, [delivery]);
    assert_eq!(
        proof(&hub, uid, 0).await,
        (WithdrawCause::Recalled, WithdrawProof::AdapterSaid)
    );
    assert_eq!(hub.states(uid).await, [State::Withdrawn, State::Forwarded]);
    assert_eq!(
        told(&hub.forward_all().await),
        [(TWO.to_owned(), "adapter-said".to_owned())]
    );
    assert_eq!(withdrawn(&hub, delivery, &[TWO]).await.repeated, [delivery]);
    // The rest of the message is taken as ever; so is the order.
    let both = [delivery, carrier.delivery];
    assert_eq!(hub.take("so", &both).await.taken, both);
    assert_eq!(hub.states(uid).await, [State::Withdrawn, State::Taken]);
    assert_eq!(hub.states(order.document).await, [State::Taken]);
    hub.sound().await;
}

pub async fn a_full_inbox_takes_an_order_all_the_same(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    for id in 0..3 {
        hub.accept(document(&hub, &id.to_string(), vec![two(), three()]))
            .await;
    }
    let request = || crate::ClaimRequest {
        window: 2,
        urgent_extra: 0,
        ..crate::ClaimRequest::usual(super::kit::owner())
    };
    let claimed = hub.ledger.claim(request()).await.unwrap();
    assert_eq!(deliveries(&claimed, "so").len(), 2);
    hub.confirm(&claimed).await;
    hub.accept(recall(&hub, "R", "0", vec![two()])).await;
    let claimed = hub.ledger.claim(request()).await.unwrap();
    let carriers: Vec<&Claimed> = claimed.iter().filter(|m| !m.withdraws.is_empty()).collect();
    assert_eq!((deliveries(&claimed, "so").len(), carriers.len()), (1, 1));
    hub.sound().await;
}

pub async fn a_message_ordered_back_is_never_published_again(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(hub.document("1")).await.document;
    // Claimed before the order: it may have left.
    let claimed = hub.claim().await;
    let delivery = deliveries(&claimed, "so")[0];
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    assert_eq!(
        row(&hub, uid, 0).await,
        (State::Scheduled, ChangeState::RecallAsked)
    );
    fail(&hub, delivery, PublishFailure::TimedOut).await;
    assert_eq!(hub.states(uid).await, [State::Scheduled]);
    hub.minutes(60);
    let again = hub.forward_all().await;
    let order = again.iter().find(|m| m.outgoing == Outgoing::Document).unwrap();
    assert_eq!(order.withdraws, [(delivery, vec![])]);
    assert!(again.iter().all(|m| m.delivery != delivery));
    // No alert, no resend: there is the order.
    hub.minutes(600);
    let late = hub
        .ledger
        .not_taken_alerts(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert!(late.iter().all(|late| late.delivery != delivery));
    let resend = Resend {
        document: uid,
        party: None,
        who: "ops".to_owned(),
        why: "x".to_owned(),
    };
    assert_eq!(hub.ledger.resend(resend).await.unwrap().resent, []);
    assert_eq!(
        hub.ledger.inbox_lost(system("so")).await.unwrap(),
        1,
        "the order alone"
    );
    let again = hub.forward_all().await;
    assert!(again.iter().all(|m| m.delivery != delivery));
    // It arrives after all, and is not handed over.
    assert_eq!(withdrawn(&hub, delivery, &[]).await.withdrawn, [delivery]);
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    hub.sound().await;
}

pub async fn what_surely_did_not_leave_is_withdrawn(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    // The claim first, then the order, then the broker's word that there is no such inbox.
    let uid = hub.accept(hub.document("1")).await.document;
    let delivery = deliveries(&hub.claim().await, "so")[0];
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    fail(&hub, delivery, PublishFailure::Unroutable).await;
    assert_eq!(
        proof(&hub, uid, 0).await,
        (WithdrawCause::Recalled, WithdrawProof::NeverLeft)
    );
    // The broker's word first.
    let uid = hub.accept(hub.document("2")).await.document;
    let claimed = hub.claim().await;
    let delivery = claimed
        .iter()
        .find(|m| m.document == Some(uid) && m.outgoing == Outgoing::Document);
    fail(&hub, delivery.unwrap().delivery, PublishFailure::Unroutable).await;
    let order = hub.accept(recall(&hub, "R2", "2", vec![two()])).await;
    assert_eq!(order.recipients[0].state, State::Withdrawn);
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    // An unknown outcome before a sure one: it may lie there.
    let uid = hub.accept(hub.document("3")).await.document;
    for failure in [PublishFailure::Disconnected, PublishFailure::Unroutable] {
        let claimed = hub.claim().await;
        let message = claimed
            .iter()
            .find(|m| m.document == Some(uid) && m.outgoing == Outgoing::Document);
        fail(&hub, message.unwrap().delivery, failure).await;
    }
    hub.accept(recall(&hub, "R3", "3", vec![two()])).await;
    assert_eq!(
        row(&hub, uid, 0).await,
        (State::Scheduled, ChangeState::RecallAsked)
    );
    hub.sound().await;
}

pub async fn a_message_partly_ordered_back_goes_on_to_the_others(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), three()]))
        .await
        .document;
    let delivery = deliveries(&hub.claim().await, "so")[0];
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    fail(&hub, delivery, PublishFailure::Disconnected).await;
    let claimed = hub.forward_all().await;
    let again = claimed.iter().find(|m| m.delivery == delivery).unwrap();
    assert_eq!(again.to, [THREE]);
    // The adapter's word about this copy says nothing of the one who was left out.
    hub.take("so", &[delivery]).await;
    assert_eq!(hub.states(uid).await, [State::Scheduled, State::Taken]);
    assert!(message(&hub, uid).await.recalled);
    assert_eq!(withdrawn(&hub, delivery, &[TWO]).await.withdrawn, [delivery]);
    assert_eq!(hub.states(uid).await, [State::Withdrawn, State::Taken]);
    hub.sound().await;
}

pub async fn whoever_has_it_is_asked_and_answers(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = document(&hub, "1", vec![two(), three()]);
    let digest = submission.sha256;
    let uid = hub.accept(submission).await.document;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    let order = recall(&hub, "R", "1", vec![two(), three()]);
    let own = order.sha256;
    let order = hub.accept(order).await.document;
    assert_eq!(row(&hub, uid, 0).await, (State::Taken, ChangeState::RecallAsked));
    // From here on the bytes are gone, those of the order are not.
    assert!(hub.ledger.body(digest).await.unwrap().is_none());
    assert!(hub.ledger.body(own).await.unwrap().is_some());
    assert_eq!(hub.count(EventKind::BodiesDeleted).await, 1);
    let claimed = hub.forward_all().await;
    let carrier = claimed.iter().find(|m| m.outgoing == Outgoing::Document).unwrap();
    assert_eq!((carrier.document, carrier.priority), (Some(order), 0));
    assert_eq!(carrier.withdraws, []);
    // One agrees, by the name of the document; one refuses, by the name of the order.
    let agreed = hub.record(hub.status("15", "1")).await;
    assert_eq!(
        (agreed.effect.as_str(), agreed.passed_on, agreed.document),
        ("overlay", true, uid)
    );
    assert_eq!(row(&hub, uid, 0).await, (State::Taken, ChangeState::Withdrawn));
    let mut refused = hub.status("16", "R");
    (refused.reporter, refused.reporter_code) = (agency(3), THREE.to_owned());
    let refused = hub.record(refused).await;
    assert_eq!(
        (refused.effect.as_str(), refused.passed_on, refused.document),
        ("overlay", true, uid)
    );
    assert_eq!(
        row(&hub, uid, 1).await,
        (State::Taken, ChangeState::RecallRefused)
    );
    assert!(
        hub.ledger.body(digest).await.unwrap().is_none(),
        "a refusal brings nothing back"
    );
    // After the end 01-06 are recorded and passed on, and not applied; another answer answers nothing.
    let later = hub.record(hub.status("03", "1")).await;
    assert_eq!((later.effect.as_str(), later.passed_on), ("ended", true));
    let other = hub.record(hub.status("16", "1")).await;
    assert_eq!((other.effect.as_str(), other.passed_on), ("odd", true));
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::Withdrawn);
    // Whoever refused may be asked anew, and may agree after all.
    hub.accept(recall(&hub, "R2", "1", vec![two(), three()])).await;
    assert_eq!(row(&hub, uid, 1).await.1, ChangeState::RecallAsked);
    hub.sound().await;
}

pub async fn what_ended_elsewhere_is_not_asked_for(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = document(&hub, "1", vec![two(), four()]);
    submission.recipients.push(PlannedRecipient::new(
        "H53.9".to_owned(),
        agency(9),
        Plan::Undeliverable(truc_model::UndeliverableCause::NoSystem),
    ));
    let nine = submission.recipients[2].clone();
    let uid = hub.accept(submission).await.document;
    let sent = hub.forward_all().await;
    hub.decline("so", &deliveries(&sent, "so")).await;
    let order = hub.accept(recall(&hub, "R", "1", vec![two(), nine])).await;
    assert!(order.recipients.iter().all(|line| line.state == State::Withdrawn));
    assert_eq!(
        hub.states(uid).await,
        [State::Refused, State::Forwarded, State::Undeliverable]
    );
    hub.sound().await;
}

pub async fn orders_that_make_no_sense_have_their_codes(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let refused =
        async |order: DocumentSubmission| refusal_of(hub.ledger.submit_document(order).await.unwrap()).code;
    let uid = hub.accept(hub.document("1")).await.document;
    assert_eq!(
        refused(recall(&hub, "R1", "không có", vec![two()])).await,
        RefusalCode::ChangeUnknownDocument
    );
    let mut foreign = recall(&hub, "R2", "1", vec![two()]);
    foreign.identity.sender = agency(7);
    assert_eq!(refused(foreign).await, RefusalCode::ChangeNotSender);
    assert_eq!(
        refused(recall(&hub, "R3", "1", vec![three()])).await,
        RefusalCode::RecallNobody
    );
    assert_eq!(hub.states(uid).await, [State::Scheduled]);
    let order = recall(&hub, "R4", "1", vec![two(), three()]);
    let receipt = hub.accept(order.clone()).await;
    assert_eq!(receipt.recipients[1].state, State::Undeliverable);
    assert_eq!(receipt.recipients[1].cause.as_deref(), Some("not-a-recipient"));
    // The same packet again is a repeat; another one has nothing left to do.
    assert!(
        hub.ledger
            .submit_document(order)
            .await
            .unwrap()
            .receipt()
            .is_some()
    );
    assert_eq!(
        refused(recall(&hub, "R5", "1", vec![two()])).await,
        RefusalCode::RecallRepeated
    );
    // An order that is refused leaves its key free and changes nothing.
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    hub.sound().await;
}

pub async fn a_take_back_is_a_recall_of_one(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    // At home: withdrawn, and the other side hears nothing.
    let uid = hub.accept(hub.document("1")).await.document;
    let asked = hub.record(hub.take_back("1")).await;
    assert_eq!((asked.effect.as_str(), asked.passed_on), ("overlay", false));
    assert_eq!(
        proof(&hub, uid, 0).await,
        (WithdrawCause::TakenBack, WithdrawProof::NeverLeft)
    );
    assert_eq!(hub.record(hub.take_back("1")).await.effect, "duplicate");
    assert!(hub.ledger.body(hub.document("1").sha256).await.unwrap().is_none());
    // In the inbox: the status overtakes it.
    let uid = hub.accept(hub.document("2")).await.document;
    let sent = hub.forward_all().await;
    let delivery = deliveries(&sent, "so")[0];
    let asked = hub.record(hub.take_back("2")).await;
    assert_eq!((asked.effect.as_str(), asked.passed_on), ("overlay", true));
    let claimed = hub.forward_all().await;
    let carrier = claimed
        .iter()
        .find(|m| m.status == Some(StatusCode::TakeBack))
        .unwrap();
    assert_eq!(carrier.priority, crate::ANSWER_PRIORITY);
    assert_eq!(carrier.withdraws, [(delivery, vec![])]);
    withdrawn(&hub, delivery, &[]).await;
    assert_eq!(
        proof(&hub, uid, 0).await,
        (WithdrawCause::TakenBack, WithdrawProof::AdapterSaid)
    );
    // A recall after it has nothing left to do, and a take-back after a recall neither.
    let recalled = recall(&hub, "R", "2", vec![two()]);
    let answer = refusal_of(hub.ledger.submit_document(recalled).await.unwrap());
    assert_eq!(answer.code, RefusalCode::RecallRepeated);
    let uid = hub.accept(hub.document("3")).await.document;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    hub.accept(recall(&hub, "R3", "3", vec![two()])).await;
    assert_eq!(hub.record(hub.take_back("3")).await.effect, "duplicate");
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::RecallAsked);
    hub.sound().await;
}

pub async fn words_that_contradict_are_recorded_and_the_first_stands(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub
        .accept(document(&hub, "1", vec![two(), three()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    let delivery = deliveries(&sent, "so")[0];
    // Nobody ordered it back.
    assert_eq!(withdrawn(&hub, delivery, &[]).await.contradicted, [delivery]);
    assert_eq!(hub.states(uid).await, [State::Forwarded, State::Forwarded]);
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    // Another system knows nothing of it.
    let other = Taken {
        withdrawn: vec![Withdrawn {
            delivery,
            codes: vec![],
        }],
        ..Taken::default()
    };
    assert_eq!(say(&hub, "tt", other).await.unknown, [delivery]);
    // Taken first: a later withdrawal contradicts.
    hub.take("so", &[delivery]).await;
    assert_eq!(hub.states(uid).await, [State::Taken, State::Taken]);
    assert_eq!(withdrawn(&hub, delivery, &[TWO]).await.contradicted, [delivery]);
    assert_eq!(hub.states(uid).await, [State::Taken, State::Taken]);
    // Withdrawn first: a later taken contradicts.
    let uid = hub.accept(hub.document("2")).await.document;
    let sent = hub.forward_all().await;
    let delivery = deliveries(&sent, "so")
        .into_iter()
        .find(|of| sent.iter().any(|m| m.delivery == *of && m.document == Some(uid)))
        .unwrap();
    hub.accept(recall(&hub, "R2", "2", vec![two()])).await;
    withdrawn(&hub, delivery, &[]).await;
    assert_eq!(hub.take("so", &[delivery]).await.contradicted, [delivery]);
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    // A status of it all the same is recorded and passed on, and moves nothing.
    let strange = hub.record(hub.status("01", "2")).await;
    assert_eq!((strange.effect.as_str(), strange.passed_on), ("ended", true));
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    hub.sound().await;
}

pub async fn a_status_in_time_wins_over_the_order(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(hub.document("1")).await.document;
    let sent = hub.forward_all().await;
    hub.accept(recall(&hub, "R", "1", vec![two()])).await;
    hub.record(hub.status("01", "1")).await;
    assert_eq!(row(&hub, uid, 0).await, (State::Taken, ChangeState::RecallAsked));
    let delivery = deliveries(&sent, "so")[0];
    assert_eq!(withdrawn(&hub, delivery, &[]).await.contradicted, [delivery]);
    hub.sound().await;
}

pub async fn bytes_go_with_their_last_holder(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = document(&hub, "1", vec![two(), three()]);
    let digest = first.sha256;
    let kept = async || hub.ledger.body(digest).await.unwrap().is_some();
    hub.accept(first.clone()).await;
    // Another sender's document with the same bytes.
    let mut second = first.clone();
    second.key = hub.key("xa");
    second.identity.sender = agency(6);
    hub.accept(second).await;
    hub.accept(recall(&hub, "R1", "1", vec![two()])).await;
    assert!(kept().await);
    hub.accept(recall(&hub, "R2", "1", vec![three()])).await;
    assert!(kept().await, "the other document's recipients hold them");
    let mut last = recall(&hub, "R3", "1", vec![two(), three()]);
    last.identity.sender = agency(6);
    hub.accept(last).await;
    assert!(!kept().await);
    // The document again, byte for byte, gets its receipt again; nothing comes back.
    let again = DocumentSubmission {
        key: hub.key("xa"),
        ..first
    };
    assert!(
        hub.ledger
            .submit_document(again)
            .await
            .unwrap()
            .receipt()
            .is_some()
    );
    assert!(!kept().await);
    hub.sound().await;
}

pub async fn an_inbox_nobody_reads_is_cleaned(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let whole = hub.accept(hub.document("1")).await.document;
    let part = hub
        .accept(document(&hub, "2", vec![two(), three()]))
        .await
        .document;
    let sent = hub.forward_all().await;
    let of = |document: DocumentUid| {
        let mut messages = sent.iter().filter(|m| m.outgoing == Outgoing::Document);
        messages.find(|m| m.document == Some(document)).unwrap().delivery
    };
    let clean = |name: &str, deliveries: Vec<DeliveryUid>| Cleaning {
        system: system(name),
        deliveries,
    };
    // Only what was ordered back may go, and only from its own inbox.
    let all = vec![of(whole), of(part)];
    assert_eq!(
        hub.ledger.cleaning_begun(clean("so", all.clone())).await.unwrap(),
        []
    );
    hub.accept(recall(&hub, "R1", "1", vec![two()])).await;
    hub.accept(recall(&hub, "R2", "2", vec![two()])).await;
    let listed = hub.ledger.ordered_back(Some(&system("so")), 10).await.unwrap();
    let listed: Vec<(DeliveryUid, bool)> = listed.iter().map(|row| (row.delivery, row.recalled)).collect();
    assert_eq!(listed, [(of(whole), true), (of(part), false)]);
    let began = hub.ledger.cleaning_begun(clean("tt", all.clone())).await.unwrap();
    assert_eq!(began, []);
    // What is still for somebody stays where it is: killed half way, the hub would not know to send it again.
    let began = hub.ledger.cleaning_begun(clean("so", all.clone())).await.unwrap();
    assert_eq!(began, [of(whole)]);
    // Killed here, it stays as it is.
    assert_eq!(hub.states(whole).await, [State::Forwarded]);
    let cleaned = hub.ledger.cleaned(clean("so", all.clone())).await.unwrap();
    assert_eq!(cleaned, [of(whole)]);
    assert_eq!(
        proof(&hub, whole, 0).await,
        (WithdrawCause::Recalled, WithdrawProof::Cleaned)
    );
    assert_eq!(hub.states(part).await, [State::Forwarded, State::Forwarded]);
    assert_eq!(hub.ledger.cleaned(clean("so", all)).await.unwrap(), []);
    let many = vec![of(part); Cleaning::MAX + 1];
    assert!(hub.ledger.cleaned(clean("so", many)).await.is_err());
    hub.sound().await;
}

pub async fn an_agency_that_took_over_can_recall_and_be_recalled_from(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = hub.accept(hub.document("1")).await.document;
    // The sender is agency 8 now, the recipient agency 9.
    let mut nine = to("H60.9", 9, "so");
    nine.formerly = vec![agency(2)];
    let mut order = recall(&hub, "R", "1", vec![nine]);
    order.identity.sender = agency(8);
    order.sender_formerly = vec![agency(1)];
    hub.accept(order).await;
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    // By the code as written, when the recipient is another by now and nobody took over from it.
    let uid = hub.accept(hub.document("2")).await.document;
    hub.accept(recall(&hub, "R2", "2", vec![to(TWO, 5, "so")])).await;
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    // A take-back and an answer by those who took over.
    let uid = hub.accept(hub.document("3")).await.document;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
    let mut asked = hub.take_back("3");
    (asked.reporter, asked.reporter_formerly) = (agency(8), vec![agency(1)]);
    (asked.about, asked.about_formerly) = (agency(9), vec![agency(2)]);
    assert_eq!(hub.record(asked).await.effect, "overlay");
    let mut agreed = hub.status("15", "3");
    (agreed.reporter, agreed.reporter_formerly) = (agency(9), vec![agency(2)]);
    (agreed.about, agreed.about_formerly) = (agency(8), vec![agency(1)]);
    assert_eq!(hub.record(agreed).await.effect, "overlay");
    assert_eq!(row(&hub, uid, 0).await.1, ChangeState::Withdrawn);
    hub.sound().await;
}

pub async fn an_order_within_the_batch_of_its_document(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let digest = first.sha256;
    let (accepted, ordered) = tokio::join!(
        hub.ledger.submit_document(first),
        hub.ledger.submit_document(recall(&hub, "R", "1", vec![two()])),
    );
    let uid = accepted.unwrap().receipt().unwrap().document();
    assert!(ordered.unwrap().receipt().is_some());
    assert_eq!(hub.states(uid).await, [State::Withdrawn]);
    assert!(hub.ledger.body(digest).await.unwrap().is_none());
    assert!(deliveries(&hub.forward_all().await, "so").is_empty());
    hub.sound().await;
}
