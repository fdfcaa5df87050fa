//! Several hubs on one database.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use tokio::task::JoinSet;
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_ledger::recent::{ALL_MESSAGES_MAX, ALONE_MIN};
use truc_ledger::store::{Choice, Window, next_out_by_queues};
use truc_ledger::{ClaimRequest, HubId, LedgerError, Settings, Store as _, StoreError, SubmitOutcome};
use truc_ledger_postgres::PostgresSettings;
use truc_model::DeliveryUid;
use truc_model::delivery::TransportStateName;

use crate::bench::{Anew, fresh, opened, shell};

/// Hubs that write at once, and documents of each.
const HUBS: u64 = 3;
const DOCUMENTS: u64 = 40;

async fn hubs(settings: &PostgresSettings) -> Vec<Hub> {
    let mut hubs = Vec::new();
    for seed in 0..HUBS {
        hubs.push(Hub::with(&Anew(settings.clone()), Settings::default(), 10 + seed).await);
    }
    hubs
}

#[tokio::test]
async fn all_write_one_sequence_without_a_gap() {
    let settings = fresh().await;
    let hubs = hubs(&settings).await;
    let mut waiting = JoinSet::new();
    for n in 0..HUBS * DOCUMENTS {
        let hub = &hubs[usize::try_from(n % HUBS).unwrap()];
        let (ledger, submission) = (hub.ledger.clone(), hub.document(&n.to_string()));
        waiting.spawn(async move { ledger.submit_document(submission).await.unwrap() });
        tokio::task::yield_now().await;
    }
    for outcome in waiting.join_all().await {
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)));
    }
    for hub in &hubs {
        assert_eq!(hub.ledger.head().await.unwrap().seq, HUBS * DOCUMENTS);
        assert!(hub.ledger.commits() > 0, "every hub had its turns");
        hub.sound().await;
    }
}

/// The same document offered to every hub at once is accepted once; the others get its receipt again.
#[tokio::test]
async fn one_key_is_accepted_by_one_of_them() {
    let settings = fresh().await;
    let hubs = hubs(&settings).await;
    for n in 0..5 {
        let document = hubs[0].document(&n.to_string());
        let mut offered = JoinSet::new();
        for hub in &hubs {
            let (ledger, document) = (hub.ledger.clone(), document.clone());
            offered.spawn(async move { ledger.submit_document(document).await.unwrap() });
        }
        let outcomes = offered.join_all().await;
        let accepted = outcomes
            .iter()
            .filter(|o| matches!(o, SubmitOutcome::Accepted(_)));
        assert_eq!(accepted.count(), 1, "{outcomes:?}");
        let repeated = outcomes.iter().filter(|o| matches!(o, SubmitOutcome::Repeat(_)));
        assert_eq!(repeated.count(), hubs.len() - 1, "{outcomes:?}");
    }
    hubs[0].sound().await;
}

#[tokio::test]
async fn what_one_claimed_the_others_do_not_get() {
    let settings = fresh().await;
    let hubs = hubs(&settings).await;
    for hub in &hubs {
        // Nobody is quicker because he is connected.
        assert!(hub.claim().await.is_empty());
    }
    for n in 0..30 {
        hubs[0].accept(hubs[0].document(&n.to_string())).await;
    }
    let mut claims = JoinSet::new();
    for (n, hub) in hubs.iter().enumerate() {
        let ledger = hub.ledger.clone();
        claims.spawn(async move {
            let mut got: Vec<DeliveryUid> = Vec::new();
            for _ in 0..10 {
                let request = ClaimRequest {
                    max: 3,
                    answers_max: 3,
                    window: 1000,
                    ..ClaimRequest::usual(HubId::new(&format!("hub-{n}")))
                };
                let claimed = ledger.claim(request).await.unwrap();
                got.extend(claimed.iter().map(|message| message.delivery));
            }
            got
        });
    }
    let got: Vec<Vec<DeliveryUid>> = claims.join_all().await;
    let all: BTreeSet<DeliveryUid> = got.iter().flatten().copied().collect();
    assert_eq!(
        all.len(),
        got.iter().map(Vec::len).sum::<usize>(),
        "one message, one hub"
    );
    assert_eq!(all.len(), 60, "30 documents and their receipts");
    assert!(got.iter().filter(|got| !got.is_empty()).count() > 1);
}

/// A hub is gone with its leases: when they end another hub goes on, under the same ids.
#[tokio::test]
async fn leases_of_a_hub_that_is_gone_move_to_another() {
    let settings = fresh().await;
    let mut hubs = hubs(&settings).await;
    hubs[0].accept(hubs[0].document("1")).await;
    let first = hubs[0].claim().await;
    assert!(!first.is_empty());
    let other = hubs.pop().unwrap();
    drop(hubs);
    assert!(other.claim().await.is_empty(), "they are leased");
    other.minutes(10);
    let again = other.claim().await;
    let ids = |claimed: &[truc_ledger::Claimed]| -> BTreeSet<DeliveryUid> {
        claimed.iter().map(|message| message.delivery).collect()
    };
    assert_eq!(ids(&again), ids(&first));
    assert!(again.iter().all(|message| message.attempt == 2));
    other.confirm(&again).await;
    other.take("so", &deliveries(&again, "so")).await;
    other.sound().await;
}

/// What hubs do in turns is what one does: what another changed is not remembered as it was.
#[tokio::test]
async fn what_another_hub_changed_is_read_again() {
    let settings = fresh().await;
    let hubs = hubs(&settings).await;
    let (one, other) = (&hubs[0], &hubs[1]);
    let receipt = one.accept(one.document("1")).await;
    let claimed = other.claim().await;
    other.confirm(&claimed).await;
    let of = deliveries(&claimed, "so");
    assert_eq!(one.take("so", &of).await.taken, of);
    assert_eq!(other.take("so", &of).await.repeated, of);
    assert_eq!(one.take("so", &of).await.repeated, of);
    assert!(one.claim().await.is_empty());
    let states = other.states(receipt.document).await;
    assert_eq!(states, [TransportStateName::Taken]);
    one.sound().await;
}

/// A hub that is alone knows all messages and claims without asking. What a hand changes at the database's own shell
/// it finds out all the same, as soon as the hand has committed; until then it waits for its turn.
#[tokio::test]
async fn what_a_hand_changed_is_read_again() {
    let settings = fresh().await;
    let hub = Hub::open(&Anew(settings.clone())).await;
    for n in 0..6 {
        hub.accept(hub.document(&n.to_string())).await;
        hub.forward_all().await;
    }
    let mut shell = shell(&settings).await;
    for n in 6..9 {
        hub.accept(hub.document(&n.to_string())).await;
        let by_hand = "BEGIN; UPDATE outbox SET place = 'waiting', moment = 9000000000000000, owner = NULL \
             WHERE place = 'waiting'";
        shell.execute(sqlx::raw_sql(by_hand)).await.unwrap();
        let ledger = hub.ledger.clone();
        let claim = tokio::spawn(async move {
            let request = ClaimRequest::usual(HubId::new("hub-1"));
            ledger.claim(request).await.unwrap().len()
        });
        until_somebody_waits_for_the_turn(&mut shell).await;
        shell.execute(sqlx::raw_sql("COMMIT")).await.unwrap();
        assert_eq!(claim.await.unwrap(), 0, "they were put off by hand");
        let by_hand = "UPDATE outbox SET moment = NULL WHERE place = 'waiting'";
        shell.execute(sqlx::raw_sql(by_hand)).await.unwrap();
        assert_eq!(hub.forward_all().await.len(), 2);
    }
    hub.sound().await;
}

async fn until_somebody_waits_for_the_turn(shell: &mut PgConnection) {
    loop {
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
             AND objid = 'event'::regclass::oid";
        let waiting: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *shell).await.unwrap();
        if waiting > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What is claimed in the transaction that brought it is written once, as it stands in the end: in hand.
#[tokio::test]
async fn what_is_claimed_in_the_commit_that_brought_it_is_leased() {
    let settings = fresh().await;
    let hub = Hub::open(&Anew(settings.clone())).await;
    // At first it asks the tables what can go out; after some turns alone it knows.
    for n in 0..8 {
        let (document, before) = (hub.document(&n.to_string()), hub.ledger.commits());
        let (outcome, claimed) = tokio::join!(hub.ledger.submit_document(document), hub.claim());
        assert!(matches!(outcome, Ok(SubmitOutcome::Accepted(_))));
        assert_eq!(hub.ledger.commits(), before + 1);
        assert_eq!(claimed.len(), 2, "the document and its receipt");
        if n % 2 == 0 {
            hub.confirm(&claimed).await;
        }
    }
    let other = Hub::open(&Anew(settings)).await;
    assert!(other.claim().await.is_empty(), "they are leased");
    other.minutes(10);
    assert_eq!(other.claim().await.len(), 8);
    other.sound().await;
}

/// As many messages as are known all at once, and one more, for which the tables are asked: the same goes out.
#[tokio::test]
async fn the_same_goes_out_of_more_messages_than_are_known() {
    let settings = fresh().await;
    let hub = Hub::open(&Anew(settings.clone())).await;
    hub.accept(hub.document("1")).await;
    let mut shell = shell(&settings).await;
    let copies = |from: usize, to: usize| {
        let statement = format!(
            "INSERT INTO outbox SELECT gen_random_uuid(), 'he-' || n % 7, outgoing, awaits_taken, n % 3, event, n, \
             document, correlation_id, body, sha256, size, from_code, to_codes, status, accepted_at, attempts, place, \
             moment, owner, confirmed, alerted, failed, ordered_back, recalled \
             FROM (SELECT * FROM outbox WHERE awaits_taken LIMIT 1) AS o, generate_series({from}, {to}) AS n"
        );
        sqlx::raw_sql(AssertSqlSafe(statement))
    };
    // Those of the first document are two.
    shell.execute(copies(3, ALL_MESSAGES_MAX)).await.unwrap();
    let store = opened(&settings).await;
    for more in 0..2 {
        for _ in 0..=ALONE_MIN {
            store.begin().await.unwrap().commit().await.unwrap();
        }
        let choice = Choice {
            now: hub.ledger.now(),
            window: Window {
                normal: 20,
                urgent_extra: 5,
            },
            max: 100,
            resting: &[],
        };
        let mut tx = store.begin().await.unwrap();
        let quickly = tx.next_out(&choice).await.unwrap();
        let simply = next_out_by_queues(tx.as_mut(), &choice).await.unwrap();
        assert_eq!(quickly.len(), 100);
        assert_eq!(quickly, simply, "and {more}");
        tx.commit().await.unwrap();
        let next = ALL_MESSAGES_MAX + 1 + more;
        shell.execute(copies(next, next)).await.unwrap();
    }
}

/// A writer that stands still in its transaction (a frozen process, a machine that is gone) loses its turn.
#[tokio::test]
async fn a_writer_that_stands_still_does_not_hold_up_the_others() {
    let mut settings = fresh().await;
    settings.transaction_idle_max = Duration::from_millis(300);
    let store = opened(&settings).await;
    let mut still = store.begin().await.unwrap();
    let hub = Hub::open(&Anew(settings.clone())).await;
    let receipt = hub.accept(hub.document("1")).await;
    assert_eq!(receipt.recipients.len(), 1);
    // Whoever was left behind finds out, and the machine is to blame, not the work.
    let error = still.latest_directory().await.unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    drop(still);
    // It takes another connection and goes on.
    assert_eq!(store.begin().await.unwrap().head().await.unwrap().seq, 1);
    hub.sound().await;
}

/// A turn that does not come is given up, and said to be busy; nothing is written.
#[tokio::test]
async fn a_turn_that_does_not_come_is_given_up() {
    let settings = fresh().await;
    let hub = Hub::open(&Anew(settings.clone())).await;
    let holder = opened(&settings).await;
    let held = holder.begin().await.unwrap();
    let mut hasty = settings.clone();
    hasty.turn_timeout = Duration::from_millis(200);
    let store = opened(&hasty).await;
    let error = store.begin().await.err().unwrap();
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
    // Readers wait for nobody.
    assert_eq!(store.read().await.unwrap().head().await.unwrap().seq, 0);
    drop(held);
    hub.accept(hub.document("1")).await;
    // And the hasty one has its turn now.
    assert_eq!(store.begin().await.unwrap().head().await.unwrap().seq, 1);
}

#[tokio::test]
async fn every_connection_says_what_it_is_and_readers_cannot_write() {
    let mut settings = fresh().await;
    settings.application = format!("truc test {}", settings.schema);
    let store = opened(&settings).await;
    let (writing, mut reading) = (store.begin().await.unwrap(), store.read().await.unwrap());
    reading.head().await.unwrap();
    let mut shell = shell(&settings).await;
    let row = shell
        .fetch_one(
            sqlx::query("SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = $1")
                .bind(&settings.application),
        )
        .await
        .unwrap();
    assert_eq!(row.get::<i64, _>("n"), 2);
    drop((writing, reading));
    // What the connections are set to, asked of one made the same way.
    let hub = Hub::open(&Anew(settings.clone())).await;
    hub.accept(hub.document("1")).await;
    let error = hub.ledger.submission(&hub.document("1").key).await;
    assert!(!matches!(error, Err(LedgerError::Closed)));
}
