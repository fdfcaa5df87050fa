//! Bodies that go in their time, and how that stays provable.

use std::sync::Arc;

use truc_model::{DocumentUid, RefusalCode, Sha256};

use super::Bench;
use super::kit::{Hub, agency, repeat_of, to};
use crate::{
    BODIES_DELETED_MAX, DeleteBodies, DeletedBodies, DeletionCause, DocumentSubmission, EventKind, Fact,
    KeptKind, LedgerError, RetentionAges,
};

const AGES: RetentionAges = RetentionAges {
    attachments_days: 90,
    packets_days: 365,
    refused_days: 30,
};

async fn delete(hub: &Hub, digests: &[Sha256]) -> DeletedBodies {
    let order = DeleteBodies {
        digests: digests.to_vec(),
        ages: AGES,
        who: "truc".to_owned(),
    };
    hub.ledger.delete_bodies(order).await.unwrap()
}

fn days(hub: &Hub, days: i64) {
    hub.minutes(days * 24 * 60);
}

/// Accepts a document, and its one recipient takes it.
async fn finished(hub: &Hub, document: DocumentSubmission) -> DocumentUid {
    let receipt = hub.accept(document).await;
    let sent = hub.forward_all().await;
    hub.take("so", &super::kit::deliveries(&sent, "so")).await;
    receipt.document
}

pub async fn a_body_goes_in_its_time_and_stays_provable(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = hub.document("1");
    let uid = finished(&hub, document.clone()).await;
    days(&hub, 90);
    hub.clock.advance(-1);
    assert_eq!(delete(&hub, &[document.sha256]).await, DeletedBodies::default());
    hub.clock.advance(1);
    let deleted = delete(&hub, &[document.sha256, document.sha256]).await;
    let event = deleted.event.unwrap();
    assert_eq!((deleted.count, deleted.bytes), (1, document.size));
    assert_eq!(hub.ledger.body(document.sha256).await.unwrap(), None);
    let Fact::BodiesDeleted {
        document: None,
        cause: DeletionCause::Retention,
        who,
        digests,
        sizes,
    } = hub.last_event().await.fact
    else {
        panic!("expected the event of a deletion");
    };
    assert_eq!((digests, sizes), (vec![document.sha256], vec![document.size]));
    assert_eq!(who, "truc");

    let view = hub.view(uid).await;
    let row = view.deletions.first().unwrap();
    assert_eq!((row.sha256, row.event), (document.sha256, event));
    assert_eq!((row.at, row.cause), (hub.ledger.now(), DeletionCause::Retention));
    hub.sound().await;

    // Once more: there is nothing to delete, and no second event.
    assert_eq!(delete(&hub, &[document.sha256]).await, DeletedBodies::default());
    // The same bytes again, under the first key and under another: the first receipt, and the bytes stay gone.
    repeat_of(hub.ledger.submit_document(document.clone()).await.unwrap());
    let again = DocumentSubmission {
        key: hub.key("xa"),
        ..document.clone()
    };
    repeat_of(hub.ledger.submit_document(again).await.unwrap());
    assert_eq!(hub.ledger.body(document.sha256).await.unwrap(), None);
    assert_eq!(hub.count(EventKind::BodiesDeleted).await, 1);
    hub.sound().await;
}

pub async fn what_is_open_is_kept_for_ever(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let waiting = hub.document("waiting");
    hub.accept(waiting.clone()).await;
    let forwarded = hub.document("forwarded");
    let mut parked = hub.document("parked");
    parked.park = Some(truc_model::ParkCause::SecretMarking);
    let mut half = hub.document("half");
    half.recipients.push(to("000.00.13.H53", 3, "se"));
    for document in [&forwarded, &parked, &half] {
        hub.accept(document.clone()).await;
    }
    let sent = hub.forward_all().await;
    let taken = sent
        .iter()
        .find(|m| m.sha256 == half.sha256 && m.system.as_str() == "so");
    hub.take("so", &[taken.unwrap().delivery]).await;
    days(&hub, 10_000);
    let all = [waiting.sha256, forwarded.sha256, parked.sha256, half.sha256];
    assert_eq!(delete(&hub, &all).await, DeletedBodies::default());
    for sha256 in all {
        assert!(hub.ledger.body(sha256).await.unwrap().is_some());
    }
    let kept = hub.ledger.kept_bodies(None, 10).await.unwrap();
    assert_eq!(kept.len(), 4);
    assert!(kept.iter().all(|body| body.finished_at().is_none()), "{kept:?}");
    hub.sound().await;
}

pub async fn packets_statuses_and_refused_ones_have_their_own_times(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut order = hub.document("order");
    order.facts.attachments.clear();
    finished(&hub, order.clone()).await;
    let status = hub.status("01", "order");
    let mut refused = hub.refused("evidence", RefusalCode::StatusStranger);
    refused.body = Some(Arc::from(&b"evidence"[..]));
    hub.record(status.clone()).await;
    hub.ledger.refuse(refused.clone()).await.unwrap();
    let all = [order.sha256, status.sha256, refused.sha256];
    let kinds = hub.ledger.kept_bodies(None, 10).await.unwrap();
    let mut kinds: Vec<KeptKind> = kinds.iter().map(crate::KeptBody::kind).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [KeptKind::Packet, KeptKind::Status, KeptKind::Refused]);

    days(&hub, 30);
    assert_eq!(delete(&hub, &all).await.count, 1);
    assert_eq!(hub.ledger.body(refused.sha256).await.unwrap(), None);
    days(&hub, 335);
    // The status is not passed on yet: it stays, whatever its age.
    assert_eq!(delete(&hub, &all).await.count, 1);
    assert_eq!(hub.ledger.body(order.sha256).await.unwrap(), None);
    let sent = hub.forward_all().await;
    assert_eq!(delete(&hub, &all).await.count, 0);
    hub.take("xa", &super::kit::deliveries(&sent, "xa")).await;
    assert_eq!(delete(&hub, &all).await.count, 1);
    assert_eq!(hub.ledger.kept_bodies(None, 10).await.unwrap(), []);
    hub.sound().await;
}

pub async fn a_body_of_two_documents_goes_with_the_last(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    finished(&hub, first.clone()).await;
    days(&hub, 60);
    let mut second = first.clone();
    second.key = hub.key("xb");
    second.identity.sender = agency(7);
    finished(&hub, second.clone()).await;
    days(&hub, 60);
    assert_eq!(delete(&hub, &[first.sha256]).await.count, 0);
    days(&hub, 30);
    assert_eq!(delete(&hub, &[first.sha256]).await.count, 1);
    hub.sound().await;

    // The same bytes once more, from somebody else: they are kept again, reach their recipient, and go again.
    let mut third = first.clone();
    third.key = hub.key("xc");
    third.identity.sender = agency(8);
    let receipt = hub.accept(third).await;
    hub.sound().await;
    let sent = hub.forward_all().await;
    let message = sent
        .iter()
        .find(|m| m.document == Some(receipt.document) && m.outgoing.awaits_taken());
    assert_eq!(message.unwrap().body, first.body);
    hub.take("so", &[message.unwrap().delivery]).await;
    days(&hub, 90);
    assert_eq!(delete(&hub, &[first.sha256]).await.count, 1);
    assert_eq!(hub.ledger.deletions(&[first.sha256]).await.unwrap().len(), 2);
    hub.sound().await;
}

pub async fn a_deletion_is_bounded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let many: Vec<Sha256> = (0..=BODIES_DELETED_MAX)
        .map(|n| Sha256::of(&n.to_be_bytes()))
        .collect();
    let order = |digests: &[Sha256]| DeleteBodies {
        digests: digests.to_vec(),
        ages: AGES,
        who: "truc".to_owned(),
    };
    let refused = hub.ledger.delete_bodies(order(&many)).await.unwrap_err();
    assert!(matches!(refused, LedgerError::TooMany { .. }), "{refused:?}");
    // Unknown ones are no error: another process may have been there first.
    let most = &many[..BODIES_DELETED_MAX];
    assert_eq!(
        hub.ledger.delete_bodies(order(most)).await.unwrap(),
        DeletedBodies::default()
    );

    let mut bodies = Vec::new();
    for n in 0..BODIES_DELETED_MAX {
        let mut refused = hub.refused(&format!("evidence {n}"), RefusalCode::StatusStranger);
        refused.body = Some(Arc::from(format!("evidence {n}").as_bytes()));
        bodies.push(refused.sha256);
        hub.ledger.refuse(refused).await.unwrap();
    }
    days(&hub, 30);
    assert_eq!(delete(&hub, &bodies).await.count, BODIES_DELETED_MAX as u64);
    assert_eq!(hub.count(EventKind::BodiesDeleted).await, 1);
    hub.sound().await;
}
