//! Several hubs on one broker and one ledger, as far as their names, their leases and their nightly work go. What the
//! ledger itself promises to several writers is in its contract suite; whole hubs that die are in `tests/it`.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use truc_ledger::{
    ClaimRequest, HubId, Ledger, MemoryStore, Note, RefusedSubmission, RetentionAges, Settings, VerifyOptions,
};
use truc_ledger_sqlite::SqliteStore;
use truc_model::wire::Intake;
use truc_model::{
    Clock, ManualClock, MessageId, Place, Random, Refusal, RefusalCode, SeededRandom, Sha256, SystemId,
};
use truc_server::config::Config;
use truc_server::flow::retention::{HUB_WHO, sweep};
use truc_server::hubs::{GONE_AFTER, Hubs, LOOK_EVERY, NAME_PATIENCE, NameTaken, TAKEN_LOOKS};
use truc_transport::{Broker, MemoryBroker, NameHold};

const BEGIN: &str = "2026-03-02T02:00:00Z";

/// A ledger of its own in memory.
fn ledger(clock: &Arc<ManualClock>) -> Ledger {
    let random = Arc::new(SeededRandom::new(1));
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    Ledger::start(Arc::new(MemoryStore::new()), clock, random, Settings::default())
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(BEGIN.parse().unwrap()))
}

/// A refused submission: the sender is told, so there is a message to lease; and its bytes are kept.
async fn refused(ledger: &Ledger, random: &dyn Random, text: &str) {
    let now = ledger.now();
    let body: Arc<[u8]> = Arc::from(text.as_bytes());
    let refused = RefusedSubmission {
        system: Some(SystemId::new("so-tnmt").unwrap()),
        message_id: Some(MessageId::new(random.uuid_v7(now))),
        intake: Intake::Document,
        received_at: now,
        sha256: Sha256::of(&body),
        size: body.len() as u64,
        sender: None,
        findings: vec![Refusal::new(RefusalCode::Loop, Place::Message, "", "")],
        body: Some(body),
    };
    ledger.refuse(refused).await.unwrap();
}

async fn started(ledger: &Ledger, hub: &str) {
    let note = Note::HubStarted {
        hub: HubId::new(hub),
        version: "1".to_owned(),
    };
    ledger.note(note).await.unwrap();
}

async fn claimed(ledger: &Ledger, hub: &str) -> usize {
    let request = ClaimRequest::usual(HubId::new(hub));
    ledger.claim(request).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_second_hub_of_one_name_is_not_started() {
    let first = MemoryBroker::new();
    let second: Arc<dyn Broker> = Arc::new(first.as_user("truc"));
    assert_eq!(first.hold_name("hub-1").await, Ok(NameHold::Ours));
    let hubs = Hubs::new(Arc::clone(&second), ledger(&clock()), "hub-1");
    let begun = tokio::time::Instant::now();
    let name = "hub-1".to_owned();
    assert_eq!(hubs.take_name().await, Err(NameTaken { name }));
    assert!(begun.elapsed() >= NAME_PATIENCE);
    // One of another name is, and one whose former life ends meanwhile.
    let other = Hubs::new(Arc::clone(&second), ledger(&clock()), "hub-2");
    assert_eq!(other.take_name().await, Ok(()));
    let begun = tokio::time::Instant::now();
    let (taken, ()) = tokio::join!(hubs.take_name(), async {
        tokio::time::sleep(NAME_PATIENCE / 2).await;
        first.close().await;
    });
    assert_eq!(taken, Ok(()));
    assert!(begun.elapsed() < NAME_PATIENCE);
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_say_stops_no_hub() {
    let broker = MemoryBroker::new();
    let hubs = Hubs::new(Arc::new(broker.as_user("truc")), ledger(&clock()), "hub-1");
    broker.go_down("away");
    assert_eq!(hubs.take_name().await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn leases_of_a_hub_that_is_gone_end_and_those_of_one_that_lives_do_not() {
    let (clock, random) = (clock(), SeededRandom::new(2));
    let ledger = ledger(&clock);
    let dying = MemoryBroker::new();
    let living: Arc<dyn Broker> = Arc::new(dying.as_user("truc"));
    for hub in ["hub-1", "hub-2"] {
        started(&ledger, hub).await;
    }
    refused(&ledger, &random, "a").await;
    assert_eq!(dying.hold_name("hub-1").await, Ok(NameHold::Ours));
    assert_eq!(claimed(&ledger, "hub-1").await, 1);

    let hubs = Hubs::new(Arc::clone(&living), ledger.clone(), "hub-2");
    hubs.take_name().await.unwrap();
    let (stop, stopping) = watch::channel(false);
    let watching = tokio::spawn(hubs.watch(stopping));
    tokio::time::sleep(GONE_AFTER * 5).await;
    assert_eq!(claimed(&ledger, "hub-2").await, 0, "hub-1 lives");

    dying.close().await;
    tokio::time::sleep(GONE_AFTER - Duration::from_secs(1)).await;
    assert_eq!(
        claimed(&ledger, "hub-2").await,
        0,
        "it may be on its way to another node"
    );
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert_eq!(claimed(&ledger, "hub-2").await, 1, "it is gone");

    // It starts again and is gone again, and that is another death. Its own leases the living hub keeps.
    refused(&ledger, &random, "b").await;
    started(&ledger, "hub-1").await;
    assert_eq!(claimed(&ledger, "hub-1").await, 1);
    tokio::time::sleep(GONE_AFTER + LOOK_EVERY * 3).await;
    assert_eq!(claimed(&ledger, "hub-2").await, 1, "the second one alone");

    // A broker that is away says nothing of anybody: nobody's leases end.
    refused(&ledger, &random, "c").await;
    started(&ledger, "hub-1").await;
    assert_eq!(claimed(&ledger, "hub-1").await, 1);
    dying.go_down("away");
    tokio::time::sleep(GONE_AFTER * 5).await;
    assert_eq!(claimed(&ledger, "hub-2").await, 0);
    stop.send_replace(true);
    assert_eq!(watching.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_hub_that_lost_its_name_to_another_ends_and_one_that_gets_it_back_does_not() {
    let ours = MemoryBroker::new();
    let theirs = ours.as_user("truc");
    let broker: Arc<dyn Broker> = Arc::new(ours.as_user("truc"));
    let hubs = Hubs::new(Arc::clone(&broker), ledger(&clock()), "hub-1");
    // Another took it while this one's connection was away: as after a break of the network.
    assert_eq!(theirs.hold_name("hub-1").await, Ok(NameHold::Ours));
    let (_stop, stopping) = watch::channel(false);
    let watching = tokio::spawn(hubs.watch(stopping.clone()));
    tokio::time::sleep(LOOK_EVERY * (TAKEN_LOOKS - 1) + LOOK_EVERY / 2).await;
    assert!(!watching.is_finished());
    // A broker that is away for a moment says nothing, and ends nobody.
    ours.go_down("away");
    tokio::time::sleep(LOOK_EVERY * 3).await;
    assert!(!watching.is_finished());
    ours.come_up();
    // Its hold went with its connection: this one has its name again.
    assert_eq!(broker.hold_name("hub-1").await, Ok(NameHold::Ours));
    tokio::time::sleep(LOOK_EVERY * TAKEN_LOOKS).await;
    assert!(!watching.is_finished());
    watching.abort();

    broker.close().await;
    let other = ours.as_user("truc");
    let third: Arc<dyn Broker> = Arc::new(ours.as_user("truc"));
    assert_eq!(other.hold_name("hub-1").await, Ok(NameHold::Ours));
    let begun = tokio::time::Instant::now();
    let name = "hub-1".to_owned();
    let ended = Hubs::new(third, ledger(&clock()), "hub-1").watch(stopping).await;
    assert_eq!(ended, Err(NameTaken { name }));
    assert_eq!(begun.elapsed(), LOOK_EVERY * TAKEN_LOOKS);
}

#[tokio::test]
async fn two_hubs_that_delete_in_one_night_delete_each_body_once() {
    const BODIES: u64 = 40;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("truc.db");
    SqliteStore::migrate(&path).await.unwrap();
    let (clock, random) = (clock(), SeededRandom::new(3));
    let mut ledgers = Vec::new();
    for seed in 0..2 {
        let store = Arc::new(SqliteStore::open(&path).await.unwrap());
        let random = Arc::new(SeededRandom::new(seed));
        ledgers.push(Ledger::start(
            store,
            Arc::clone(&clock) as _,
            random,
            Settings::default(),
        ));
    }
    for n in 0..BODIES {
        refused(&ledgers[0], &random, &n.to_string()).await;
    }
    clock.advance(400 * 24 * 3600);
    let ages: RetentionAges = Config::default().retention.ages();
    let (one, two) = tokio::join!(
        sweep(&ledgers[0], &ages, HUB_WHO, || false),
        sweep(&ledgers[1], &ages, HUB_WHO, || false),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.count + two.count, BODIES, "{one:?} {two:?}");
    let report = ledgers[1].verify(&VerifyOptions::default()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!(report.deleted, BODIES);
}
