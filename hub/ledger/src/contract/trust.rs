//! What the hub trusts is told when it changes, and found again.

use truc_model::Sha256;

use super::Bench;
use super::kit::{Hub, owner, system};
use crate::command::NOTE_WORD_MAX;
use crate::trust::TRUST_LISTED_MAX;
use crate::{EventKind, Fact, HubId, ListInForce, Note, TrustInForce};

fn list(hub: &Hub, issuer: &str) -> ListInForce {
    ListInForce {
        issuer: issuer.to_owned(),
        this_update: hub.ledger.now(),
        next_update: hub.ledger.now(),
        sha256: Sha256::of(issuer.as_bytes()),
    }
}

fn trust(hub: &Hub, anchors: usize) -> TrustInForce {
    TrustInForce {
        anchors: (0..anchors).map(|n| Sha256::of(&n.to_be_bytes())).collect(),
        lists: [list(hub, "CN=Thử nghiệm")].into(),
        certificates: [(system("so"), Sha256::of(b"so"))].into(),
        policy: ["stale-crl=use".to_owned()].into(),
    }
}

async fn tell(hub: &Hub, name: &str, trust: &TrustInForce) -> u64 {
    let note = Note::TrustInForce {
        hub: HubId::new(name),
        trust: Box::new(trust.clone()),
    };
    hub.ledger.note(note).await.unwrap()
}

pub async fn trust_is_told_when_it_changes(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = trust(&hub, 2);
    assert_eq!(tell(&hub, "hub-1", &first).await, 1);
    let Fact::TrustChanged {
        hub: who,
        sha256,
        anchors,
        anchors_count,
        lists,
        lists_count,
        certificates_count,
        certificates_sha256,
        policy,
    } = hub.last_event().await.fact
    else {
        panic!("expected trust");
    };
    assert_eq!((who, sha256), (owner(), first.sha256().unwrap()));
    assert_eq!(anchors, first.anchors.iter().copied().collect::<Vec<_>>());
    assert_eq!(lists, first.lists.iter().cloned().collect::<Vec<_>>());
    assert_eq!((anchors_count, lists_count, certificates_count), (2, 1, 1));
    assert_eq!(certificates_sha256, first.certificates_sha256().unwrap());
    assert_eq!(policy, ["stale-crl=use"]);
    // Nothing changed: nothing is written, also by another hub and in one batch with other work.
    let (same, _) = tokio::join!(tell(&hub, "hub-2", &first), hub.accept(hub.document("1")));
    assert_eq!(same, 1);
    // A hub that starts again, and trusts the same; then one that does not.
    let again = Hub::open(bench).await;
    assert_eq!(tell(&again, "hub-1", &first).await, 1);
    let second = trust(&again, 3);
    let changed = tell(&again, "hub-1", &second).await;
    assert_eq!(changed, again.ledger.head().await.unwrap().seq);
    // Two in one batch: the second sees what the first said.
    let third = trust(&again, 4);
    let (a, b) = tokio::join!(tell(&again, "hub-1", &third), tell(&again, "hub-2", &third));
    assert_eq!(a, b);
    // Back to what it was is a change too.
    tell(&again, "hub-1", &second).await;
    assert_eq!(again.count(EventKind::TrustChanged).await, 4);
    again.sound().await;
}

pub async fn an_event_about_trust_is_bounded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut at_most = trust(&hub, TRUST_LISTED_MAX);
    at_most.lists = [list(&hub, &"x".repeat(NOTE_WORD_MAX + 1))].into();
    tell(&hub, "hub-1", &at_most).await;
    let listed = async || match hub.last_event().await.fact {
        Fact::TrustChanged {
            anchors,
            anchors_count,
            lists,
            ..
        } => (anchors.len(), anchors_count, lists[0].issuer.len()),
        other => panic!("expected trust, found {other:?}"),
    };
    let max = TRUST_LISTED_MAX;
    assert_eq!(listed().await, (max, max as u64, NOTE_WORD_MAX));
    at_most.anchors.insert(Sha256::of(b"one more"));
    tell(&hub, "hub-1", &at_most).await;
    assert_eq!(listed().await, (max, max as u64 + 1, NOTE_WORD_MAX));
    // What is not listed counts all the same.
    at_most.anchors.pop_last();
    at_most.anchors.insert(Sha256::of(b"another"));
    tell(&hub, "hub-1", &at_most).await;
    assert_eq!(hub.count(EventKind::TrustChanged).await, 3);
    hub.sound().await;
}

pub async fn events_of_the_hub_are_listed_by_kind(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let started = async || {
        let started = hub.ledger.note(Note::HubStarted {
            hub: owner(),
            version: "0.1.0".to_owned(),
        });
        started.await.unwrap();
    };
    started().await;
    tell(&hub, "hub-1", &trust(&hub, 1)).await;
    hub.accept(hub.document("1")).await;
    hub.ledger.note(Note::HubStopped { hub: owner() }).await.unwrap();
    started().await;
    tell(&hub, "hub-1", &trust(&hub, 2)).await;
    let list = async |kinds: &[EventKind], before, limit| {
        let rows = hub.ledger.events_of_hub(kinds, before, limit).await.unwrap();
        rows.iter().map(|row| row.seq).collect::<Vec<_>>()
    };
    let all = EventKind::ALL;
    assert_eq!(list(all, None, 100).await, [6, 5, 4, 2, 1]);
    assert_eq!(list(all, None, 2).await, [6, 5]);
    assert_eq!(list(all, Some(4), 100).await, [2, 1]);
    assert_eq!(list(&[EventKind::TrustChanged], None, 100).await, [6, 2]);
    let twice = [EventKind::HubStarted, EventKind::HubStarted];
    assert_eq!(list(&twice, None, 100).await, [5, 1]);
    assert_eq!(list(&[EventKind::DocumentAccepted], None, 100).await, [0; 0]);
    assert_eq!(list(&[], None, 100).await, [0; 0]);
}
