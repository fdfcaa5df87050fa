//! The ledger as a whole: transactions, reopening, grouping, the chain.

use std::collections::BTreeSet;

use truc_model::{DocumentKind, Sha256};

use super::Bench;
use super::kit::{Hub, deliveries, owner};
use crate::event::{GENESIS, Head};
use crate::rows::{Changes, DirectoryRow, SubmissionRow};
use crate::{Body, DocumentFilter, Event, Fact, LedgerError, Settings, SubmitOutcome, VerifyOptions};

fn first_event() -> Event {
    Event {
        seq: 1,
        at: jiff::Timestamp::UNIX_EPOCH,
        prev: GENESIS,
        fact: Fact::HubStopped { hub: owner() },
    }
}

fn some_changes() -> Changes {
    Changes {
        events: vec![first_event().row().unwrap()],
        bodies: vec![(Sha256::of(b"body"), Body::from(&b"body"[..]))],
        directories: vec![DirectoryRow {
            version: 1,
            event: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            json: "{}".to_owned(),
        }],
        ..Changes::default()
    }
}

pub async fn a_store_knows_nothing_at_first(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    assert_eq!(hub.ledger.head().await.unwrap(), Head::EMPTY);
    assert_eq!(
        hub.ledger.documents(&DocumentFilter::default()).await.unwrap(),
        []
    );
    assert!(hub.claim().await.is_empty());
    hub.sound().await;
}

pub async fn nothing_is_left_of_a_dropped_transaction(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut tx = store.begin().await.unwrap();
    tx.save(some_changes()).await.unwrap();
    drop(tx);
    let mut now = store.read().await.unwrap();
    assert_eq!(now.head().await.unwrap(), Head::EMPTY);
    assert!(now.body(Sha256::of(b"body")).await.unwrap().is_none());
    assert!(now.latest_directory().await.unwrap().is_none());
    drop(now);
    // The next one begins where the last commit ended.
    let mut tx = store.begin().await.unwrap();
    assert_eq!(tx.head().await.unwrap(), Head::EMPTY);
    tx.save(some_changes()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(store.read().await.unwrap().head().await.unwrap().seq, 1);
}

pub async fn what_is_saved_is_seen_in_its_transaction(bench: &dyn Bench) {
    let store = bench.open().await;
    let mut tx = store.begin().await.unwrap();
    tx.save(some_changes()).await.unwrap();
    let row = first_event().row().unwrap();
    assert_eq!(
        tx.head().await.unwrap(),
        Head {
            seq: 1,
            hash: row.hash
        }
    );
    assert_eq!(tx.bodies(&[Sha256::of(b"body")]).await.unwrap().len(), 1);
    assert_eq!(
        tx.latest_directory().await.unwrap().map(|row| row.version),
        Some(1)
    );
    // A body that is there is left alone; an event with a used number is not taken.
    let again = Changes {
        bodies: some_changes().bodies,
        ..Changes::default()
    };
    tx.save(again).await.unwrap();
    let twice = Changes {
        events: some_changes().events,
        ..Changes::default()
    };
    // At the latest with the commit: a back end may write all that is saved at once.
    let is_refused = match tx.save(twice).await {
        Ok(()) => tx.commit().await.is_err(),
        Err(_) => true,
    };
    assert!(is_refused);
}

pub async fn a_picture_does_not_change(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let store = bench.open().await;
    let mut before = store.read().await.unwrap();
    assert_eq!(before.head().await.unwrap().seq, 1);
    let later = hub.accept(hub.document("2"));
    let look = async {
        let seen = before.head().await.unwrap().seq;
        let listed = before.documents(&DocumentFilter::default()).await.unwrap().len();
        drop(before);
        (seen, listed)
    };
    let (_, seen) = tokio::join!(later, look);
    assert_eq!(seen, (1, 1));
    assert_eq!(store.read().await.unwrap().head().await.unwrap().seq, 2);
}

pub async fn reopening_keeps_everything(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("1");
    let receipt = hub.accept(submission.clone()).await;
    hub.accept(hub.document("2")).await;
    hub.record(hub.status("01", "1")).await;
    let before = hub.view(receipt.document).await;
    let head = hub.ledger.head().await.unwrap();
    drop(hub);

    let hub = Hub::with(bench, Settings::default(), 2).await;
    assert_eq!(hub.ledger.head().await.unwrap(), head);
    assert_eq!(hub.view(receipt.document).await, before);
    let again = hub.ledger.submit_document(submission).await.unwrap();
    assert!(matches!(again, SubmitOutcome::Repeat(_)));
    let claimed = hub.forward_all().await;
    assert_eq!(deliveries(&claimed, "so").len(), 1);
    assert_eq!(deliveries(&claimed, "xa").len(), 1);
    hub.sound().await;
}

pub async fn many_submissions_share_a_commit(bench: &dyn Bench) {
    const MANY: usize = 300;
    let hub = Hub::open(bench).await;
    let submissions: Vec<_> = (0..MANY).map(|n| hub.document(&n.to_string())).collect();
    let mut waiting = tokio::task::JoinSet::new();
    for submission in submissions {
        let ledger = hub.ledger.clone();
        waiting.spawn(async move { ledger.submit_document(submission).await });
    }
    let mut events = BTreeSet::new();
    while let Some(outcome) = waiting.join_next().await {
        let outcome = outcome.unwrap().unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)));
        if let Some(truc_model::wire::Receipt::Document(receipt)) = outcome.receipt() {
            events.insert(receipt.event);
        }
    }
    assert_eq!(events, (1..=MANY as u64).collect());
    let commits = hub.ledger.commits();
    assert!(commits <= 10, "{MANY} submissions took {commits} commits");
    hub.sound().await;
}

pub async fn a_batch_is_cut_by_count_and_bytes(bench: &dyn Bench) {
    let size = "packet 0".len() as u64;
    let settings = Settings {
        batch_max: 3,
        batch_bytes_max: 2 * size,
        queue_max: 16,
    };
    let hub = Hub::with(bench, settings, 1).await;
    let (a, b, c, d) = tokio::join!(
        hub.ledger.submit_document(hub.document("1")),
        hub.ledger.submit_document(hub.document("2")),
        hub.ledger.submit_document(hub.document("3")),
        hub.ledger
            .submit_document(hub.document("4 and longer than two of the others")),
    );
    assert!(
        [a, b, c, d]
            .iter()
            .all(|outcome| matches!(outcome, Ok(SubmitOutcome::Accepted(_))))
    );
    // Two fit, the third alone (three were taken from the queue), the long one alone.
    assert_eq!(hub.ledger.commits(), 3);
    hub.sound().await;
}

pub async fn events_have_no_gaps_under_concurrency(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..40 {
        let (ledger, submission) = (hub.ledger.clone(), hub.document(&n.to_string()));
        let status = hub.status("01", &n.to_string());
        waiting.spawn(async move {
            ledger.submit_document(submission.clone()).await.unwrap();
            ledger.submit_document(submission).await.unwrap();
            ledger.submit_status(status).await.unwrap();
        });
    }
    for _ in 0..5 {
        hub.forward_all().await;
    }
    while let Some(outcome) = waiting.join_next().await {
        outcome.unwrap();
    }
    let rows = hub.ledger.events(1, usize::MAX).await.unwrap();
    assert!((1..).zip(&rows).all(|(seq, row)| row.seq == seq));
    hub.sound().await;
}

pub async fn one_that_cannot_succeed_does_not_take_the_others_along(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let first = hub.document("1");
    let known = hub.accept(first.clone()).await;
    // A receipt that cannot be read: a damaged ledger. What was submitted under its key cannot be repeated.
    let store = bench.open().await;
    let mut tx = store.begin().await.unwrap();
    let orphan = hub.key("xa");
    let row = SubmissionRow {
        key: orphan.clone(),
        kind: DocumentKind::Document,
        sha256: first.sha256,
        event: 1,
        accepted_at: hub.ledger.now(),
        document: known.document,
        receipt: "not a receipt".to_owned(),
    };
    let damage = Changes {
        submissions: vec![row],
        ..Changes::default()
    };
    tx.save(damage).await.unwrap();
    tx.commit().await.unwrap();
    let mut stuck = first.clone();
    stuck.key = orphan;
    let (a, b, c) = tokio::join!(
        hub.ledger.submit_document(hub.document("2")),
        hub.ledger.submit_document(stuck),
        hub.ledger.submit_document(hub.document("3")),
    );
    assert!(matches!(a, Ok(SubmitOutcome::Accepted(_))));
    assert!(matches!(b, Err(LedgerError::Contradiction(_))));
    assert!(matches!(c, Ok(SubmitOutcome::Accepted(_))));
    hub.sound().await;
}

pub async fn the_ledger_is_sound_and_every_event_reads_back(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    for n in 0..5 {
        hub.accept(hub.document(&n.to_string())).await;
    }
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")[..3]).await;
    hub.record(hub.take_back("1")).await;
    let rows = hub.ledger.events(1, usize::MAX).await.unwrap();
    let mut prev = GENESIS;
    for row in &rows {
        let event = row.event().unwrap();
        assert_eq!(event.prev, prev);
        assert_eq!(&event.row().unwrap(), row);
        prev = row.hash;
    }
    let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
    assert!(report.is_sound());
    assert_eq!(report.head, hub.ledger.head().await.unwrap());
    assert_eq!(
        (report.events, report.documents, report.recipients),
        (rows.len() as u64, 5, 5)
    );
    // One document was taken back before it left: its bytes are gone.
    assert_eq!((report.bodies, report.deleted), (5, 1));
    let sampled = VerifyOptions {
        bodies: crate::Bodies::EveryNth(4),
    };
    assert_eq!(hub.ledger.verify(&sampled).await.unwrap().bodies, 1);
    let none = VerifyOptions {
        bodies: crate::Bodies::None,
    };
    assert_eq!(hub.ledger.verify(&none).await.unwrap().bodies, 0);
}
