//! A ledger of the third version of the tables, with the words of its time, is taken along: nothing of it
//! changes, it verifies, and orders about its documents act.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _, SqliteConnection};
use truc_ledger::contract::Bench;
use truc_ledger::contract::change_kit::{document, recall, row, three, two};
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_ledger::event::canonical;
use truc_ledger::{Settings, Store, VerifyOptions};
use truc_ledger_sqlite::{SCHEMA_VERSION, SqliteStore};
use truc_model::delivery::TransportStateName as State;
use truc_model::{ChangeState, Sha256};

struct FileBench(PathBuf);

#[async_trait]
impl Bench for FileBench {
    async fn open(&self) -> Arc<dyn Store> {
        SqliteStore::migrate(&self.0).await.unwrap();
        Arc::new(SqliteStore::open(&self.0).await.unwrap())
    }
}

const OLD: [&str; 3] = [
    include_str!("../src/migrations/0001.sql"),
    include_str!("../src/migrations/0002.sql"),
    include_str!("../src/migrations/0003.sql"),
];

/// The words of the overlay then, and now.
const WORDS: [(&str, &str); 3] = [
    ("asked", "recall-asked"),
    ("refused", "recall-refused"),
    ("agreed", "withdrawn"),
];

fn old_word(word: &str) -> &str {
    WORDS
        .iter()
        .find(|(_, now)| *now == word)
        .map_or(word, |(old, _)| old)
}

/// Copies a ledger into the tables of version 3, in the words of then; the chain is made anew.
async fn as_it_was(now: &Path, then: &Path) {
    let mut db = SqliteConnectOptions::new()
        .filename(then)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    for step in OLD {
        db.execute(sqlx::raw_sql(step)).await.unwrap();
    }
    let mark = "PRAGMA application_id = 1416787299; PRAGMA user_version = 3";
    db.execute(sqlx::raw_sql(mark)).await.unwrap();
    let attach = format!("ATTACH '{}' AS now", now.display());
    db.execute(AssertSqlSafe(attach)).await.unwrap();
    events(&mut db).await;
    for table in [
        "body",
        "document",
        "recipient",
        "submission",
        "refusal",
        "status",
        "outbox",
        "directory",
    ] {
        let info = format!("SELECT group_concat(name) AS names FROM pragma_table_info('{table}', 'main')");
        let names: String = sqlx::query(AssertSqlSafe(info))
            .fetch_one(&mut db)
            .await
            .unwrap()
            .get("names");
        let copy = format!("INSERT INTO main.{table} ({names}) SELECT {names} FROM now.{table}");
        db.execute(AssertSqlSafe(copy)).await.unwrap();
    }
    for (old, now) in WORDS {
        let rename = format!("UPDATE main.recipient SET change = '{old}' WHERE change = '{now}'");
        db.execute(AssertSqlSafe(rename)).await.unwrap();
    }
}

async fn events(db: &mut SqliteConnection) {
    let rows: Vec<SqliteRow> = sqlx::query("SELECT * FROM now.event ORDER BY seq")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let mut prev = "0".repeat(64);
    for row in rows {
        let mut event: Value = serde_json::from_str(row.get("canonical")).unwrap();
        event["prev"] = prev.into();
        if let Some(change) = event.get("change").and_then(Value::as_str).map(str::to_owned) {
            event["change"] = old_word(&change).into();
        }
        let text = canonical(&event).unwrap();
        let hash = Sha256::of(text.as_bytes());
        prev = hash.to_string();
        sqlx::query("INSERT INTO main.event VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(row.get::<i64, _>("seq"))
            .bind(row.get::<i64, _>("at"))
            .bind(row.get::<String, _>("kind"))
            .bind(row.get::<Option<String>, _>("document"))
            .bind(hash.as_bytes().to_vec())
            .bind(text)
            .execute(&mut *db)
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn a_ledger_of_before_orders_acted_is_taken_along() {
    let dir = tempfile::tempdir().unwrap();
    let (now, then) = (dir.path().join("now.db"), dir.path().join("then.db"));
    let (taken, waiting) = {
        let hub = Hub::open(&FileBench(now.clone())).await;
        let taken = hub
            .accept(document(&hub, "1", vec![two(), three()]))
            .await
            .document;
        let claimed = hub.forward_all().await;
        hub.take("so", &deliveries(&claimed, "so")).await;
        hub.record(hub.take_back("1")).await;
        hub.record(hub.status("16", "1")).await;
        (taken, hub.accept(hub.document("2")).await.document)
    };
    as_it_was(&now, &then).await;
    let migrated = SqliteStore::migrate(&then).await.unwrap();
    assert_eq!((migrated.from, migrated.to), (3, SCHEMA_VERSION));

    let hub = Hub::with(&FileBench(then), Settings::default(), 2).await;
    let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(
        row(&hub, taken, 0).await,
        (State::Taken, ChangeState::RecallRefused)
    );
    // Its documents can be recalled: what never left, and what was taken.
    hub.accept(recall(&hub, "R1", "1", vec![two(), three()])).await;
    hub.accept(recall(&hub, "R2", "2", vec![two()])).await;
    assert_eq!(
        row(&hub, taken, 1).await,
        (State::Taken, ChangeState::RecallAsked)
    );
    assert_eq!(hub.states(waiting).await, [State::Withdrawn]);
    hub.sound().await;
}
