//! `taken`: by the right system, once, and what contradicts.

use truc_model::TransportState;
use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Outgoing, Taken};

use super::Bench;
use super::kit::{Hub, answers, deliveries, system, to};
use crate::rules::ODD_LISTED_MAX;
use crate::{EventKind, Fact, LedgerError, TakenReport};

pub async fn a_delivery_is_taken_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.3", 3, "so"));
    let receipt = hub.accept(submission).await;
    let claimed = hub.forward_all().await;
    let mine = deliveries(&claimed, "so");
    hub.minutes(3);
    let outcome = hub.take("so", &[mine[0], mine[0]]).await;
    assert_eq!((outcome.taken, outcome.repeated), (mine.clone(), mine.clone()));
    let at = hub.ledger.now();
    let view = hub.view(receipt.document).await;
    assert!(
        view.recipients
            .iter()
            .all(|row| row.state == TransportState::Taken { at })
    );
    assert_eq!(view.outbox, []);
    let head = hub.ledger.head().await.unwrap();
    assert_eq!(hub.take("so", &mine).await.repeated, mine);
    assert_eq!(hub.ledger.head().await.unwrap(), head);
    assert_eq!(hub.count(EventKind::DeliveryTaken).await, 1);
    hub.sound().await;
}

pub async fn taken_right_after_scheduled(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(hub.document("1")).await;
    let claimed = hub.claim().await;
    // The confirm was lost with the process that waited for it; here it even comes later.
    let outcome = hub.take("so", &deliveries(&claimed, "so")).await;
    assert_eq!(outcome.taken.len(), 1);
    hub.confirm(&claimed).await;
    assert_eq!(hub.states(receipt.document).await, [State::Taken]);
    assert_eq!(hub.count(EventKind::DeliveryForwarded).await, 0);
    hub.sound().await;
}

pub async fn only_the_system_it_is_for_can_take_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(hub.document("1")).await;
    let claimed = hub.forward_all().await;
    let mine = deliveries(&claimed, "so");
    let answer = claimed.iter().find(|m| m.outgoing == Outgoing::Receipt).unwrap();
    let invented = truc_model::DeliveryUid::new(hub.new_message_id().uuid());
    let outcome = hub.take("vxp", &[mine[0], invented, answer.delivery]).await;
    assert_eq!(outcome.unknown, [mine[0], invented, answer.delivery]);
    assert_eq!(outcome.taken, []);
    assert_eq!(hub.decline("vxp", &mine).await.unknown, mine);
    assert_eq!(hub.states(receipt.document).await, [State::Forwarded]);
    assert_eq!(hub.count(EventKind::TakenOdd).await, 2);
    // Many odd ones are counted, and the first few named.
    let many: Vec<_> = (0..=ODD_LISTED_MAX)
        .map(|_| truc_model::DeliveryUid::new(hub.new_message_id().uuid()))
        .collect();
    hub.take("so", &many).await;
    let Fact::TakenOdd {
        unknown,
        unknown_count,
        ..
    } = hub.last_of(EventKind::TakenOdd).await.fact
    else {
        panic!("expected an odd one");
    };
    assert_eq!(
        (unknown.len(), unknown_count),
        (ODD_LISTED_MAX, ODD_LISTED_MAX as u64 + 1)
    );
    hub.sound().await;
}

pub async fn a_declined_delivery_ends_and_the_sender_is_told(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.3", 3, "so"));
    let receipt = hub.accept(submission).await;
    let mine = deliveries(&hub.forward_all().await, "so");
    let outcome = hub.decline("so", &mine).await;
    assert_eq!(outcome.refused, mine);
    let view = hub.view(receipt.document).await;
    let TransportState::Refused { code, reason, .. } = &view.recipients[1].state else {
        panic!("expected refused");
    };
    assert_eq!(
        (code.as_str(), reason.as_str()),
        ("unknown-unit", "không có đơn vị này")
    );
    let told = hub.answers("xa").await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|(_, json)| json["code"] == "recipient-refused" && json["cause"] == "unknown-unit")
    );
    assert!(
        told[0].1["message"]["vi"]
            .as_str()
            .unwrap()
            .contains("không có đơn vị này")
    );
    // The adapter's words stay out of the event.
    let trace = hub.ledger.trace(receipt.document).await.unwrap();
    assert!(trace.iter().all(|row| !row.canonical.contains("không có")));
    assert_eq!(hub.decline("so", &mine).await.repeated, mine);
    assert_eq!(hub.count(EventKind::DeliveryRefused).await, 1);
    hub.sound().await;
}

pub async fn taken_and_declined_contradict_each_other(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.accept(hub.document("1")).await;
    let second = hub.accept(hub.document("2")).await;
    let mine = deliveries(&hub.forward_all().await, "so");
    hub.take("so", &mine[..1]).await;
    hub.decline("so", &mine[1..]).await;
    assert_eq!(hub.decline("so", &mine[..1]).await.contradicted, mine[..1]);
    assert_eq!(hub.take("so", &mine[1..]).await.contradicted, mine[1..]);
    assert_eq!(hub.states(first.document).await, [State::Taken]);
    assert_eq!(hub.states(second.document).await, [State::Refused]);
    assert_eq!(hub.count(EventKind::TakenOdd).await, 2);
    hub.sound().await;
}

pub async fn a_status_on_its_way_is_taken_or_declined(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(hub.document("1")).await;
    hub.forward_all().await;
    hub.record(hub.status("01", "1")).await;
    let refused = hub.status("03", "1");
    hub.record(refused.clone()).await;
    let mine = deliveries(&hub.forward_all().await, "xa");
    assert_eq!(mine.len(), 2);
    assert_eq!(hub.take("xa", &mine[..1]).await.taken, mine[..1]);
    assert_eq!(hub.take("xa", &mine[..1]).await.repeated, mine[..1]);
    assert_eq!(hub.decline("xa", &mine[1..]).await.refused, mine[1..]);
    let claimed = hub.forward_all().await;
    let told = answers(&claimed, "so");
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].1["code"], "recipient-refused");
    assert_eq!(claimed[0].correlation_id, Some(refused.key.message_id));
    assert_eq!(hub.states(receipt.document).await, [State::Taken]);
    assert_eq!(hub.view(receipt.document).await.outbox, []);
    hub.sound().await;
}

pub async fn too_many_deliveries_in_one_message(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let delivery = truc_model::DeliveryUid::new(hub.new_message_id().uuid());
    let report = |count| TakenReport {
        system: system("so"),
        message_id: None,
        taken: Taken {
            taken: vec![delivery; count],
            ..Taken::default()
        },
    };
    let outcome = hub.ledger.taken(report(Taken::MAX_DELIVERIES)).await.unwrap();
    assert_eq!(outcome.unknown.len(), Taken::MAX_DELIVERIES);
    let error = hub
        .ledger
        .taken(report(Taken::MAX_DELIVERIES + 1))
        .await
        .unwrap_err();
    assert!(matches!(error, LedgerError::TooMany { .. }), "{error}");
}
