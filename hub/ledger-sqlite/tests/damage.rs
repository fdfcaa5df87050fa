//! A hand at the file: triggers stop it, and what gets past them is found by `verify`.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqliteConnection};
use truc_ledger::contract::Bench;
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_ledger::verify::Finding;
use truc_ledger::{BalanceFilter, DirectorySummary, NewDirectory, Store, StoreError, VerifyOptions};
use truc_ledger_sqlite::{SCHEMA_VERSION, SqliteStore};

struct FileBench(PathBuf);

#[async_trait]
impl Bench for FileBench {
    async fn open(&self) -> Arc<dyn Store> {
        SqliteStore::migrate(&self.0).await.unwrap();
        Arc::new(SqliteStore::open(&self.0).await.unwrap())
    }
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new()
        .filename(path)
        .connect()
        .await
        .unwrap()
}

/// A ledger with something in every table: one document taken, one on its way, a status, a refusal.
async fn filled(path: &Path) -> Hub {
    let hub = Hub::open(&FileBench(path.to_owned())).await;
    hub.accept(hub.document("1")).await;
    hub.accept(hub.document("2")).await;
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")[..1]).await;
    hub.record(hub.status("03", "1")).await;
    let refused = hub.refused("x", truc_model::RefusalCode::Loop);
    hub.ledger.refuse(refused).await.unwrap();
    let directory = NewDirectory {
        expected_version: 0,
        version: 1,
        json: "{}".to_owned(),
        who: "van-hanh".to_owned(),
        summary: DirectorySummary::default(),
    };
    hub.ledger.save_directory(directory).await.unwrap();
    hub.sound().await;
    hub
}

#[tokio::test]
async fn what_is_append_only_cannot_be_changed_at_the_shell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = filled(&path).await;
    let mut shell = raw(&path).await;
    for statement in [
        "UPDATE event SET at = 0 WHERE seq = 1",
        "DELETE FROM event WHERE seq = (SELECT max(seq) FROM event)",
        "INSERT INTO event SELECT seq + 100, at, kind, document, hash, canonical FROM event LIMIT 1",
        "UPDATE submission SET receipt = ''",
        "DELETE FROM submission",
        "UPDATE refusal SET code = ''",
        "DELETE FROM refusal",
        "UPDATE status SET code = '06'",
        "DELETE FROM status",
        "UPDATE document SET document_id = ''",
        "DELETE FROM document",
        "DELETE FROM recipient",
        "UPDATE body SET bytes = x''",
        "UPDATE directory SET json = ''",
        "DELETE FROM directory",
    ] {
        let refused = shell.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        assert!(refused.is_err(), "{statement}");
    }
    hub.sound().await;
}

/// Damages a fresh ledger and gives what `verify` finds, with the head it computes.
async fn after(damage: &str) -> (Vec<Finding>, bool) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = filled(&path).await;
    let mut shell = raw(&path).await;
    let triggers: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'trigger'")
        .fetch_all(&mut shell)
        .await
        .unwrap();
    let mut script = String::from("PRAGMA foreign_keys = OFF;");
    for trigger in triggers {
        script.push_str(&format!("DROP TRIGGER {trigger};"));
    }
    script.push_str(damage);
    shell.execute(sqlx::raw_sql(AssertSqlSafe(script))).await.unwrap();
    let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
    let balance = hub.ledger.balance(&BalanceFilter::default()).await;
    (report.findings, balance.is_ok_and(|balance| balance.balances()))
}

#[tokio::test]
async fn damage_is_found() {
    type Is = fn(&Finding) -> bool;
    let cases: [(&str, Is); 15] = [
        (
            "UPDATE event SET canonical = replace(canonical, '\"size\":8', '\"size\":9') WHERE seq = 1",
            |f| *f == Finding::HashDiffers { seq: 1 },
        ),
        (
            // A careful hand mends the digest too; the next event still names the old one.
            "UPDATE event SET hash = x'0000000000000000000000000000000000000000000000000000000000000000', \
             canonical = replace(canonical, '\"size\":8', '\"size\":9') WHERE seq = 1",
            |f| *f == Finding::ChainBroken { seq: 2 },
        ),
        (
            "UPDATE event SET canonical = canonical || ' ' WHERE seq = 2",
            |f| matches!(f, Finding::Unreadable { seq: 2, .. }),
        ),
        ("UPDATE event SET at = at + 1 WHERE seq = 2", |f| {
            *f == Finding::IndexDiffers { seq: 2 }
        }),
        ("DELETE FROM event WHERE seq = 3", |f| {
            *f == Finding::Gap {
                expected: 3,
                found: 4,
            }
        }),
        ("DELETE FROM event WHERE seq = 1", |f| {
            matches!(f, Finding::RecipientInvented { .. })
        }),
        (
            "UPDATE recipient SET state = 'taken', detail = '{\"state\":\"taken\",\"at\":\"2026-01-01T00:00:00Z\"}' \
             WHERE state = 'forwarded'",
            |f| {
                let expected = ("forwarded/unreported/none", "taken/unreported/none");
                matches!(f, Finding::StateDiffers { events, tables, .. } if (events.as_str(), tables.as_str()) == expected)
            },
        ),
        (
            "UPDATE recipient SET business = 'done' WHERE business = 'accepted'",
            |f| matches!(f, Finding::StateDiffers { .. }),
        ),
        ("DELETE FROM recipient WHERE state = 'taken'", |f| {
            matches!(f, Finding::RecipientMissing { .. })
        }),
        ("UPDATE document SET document_id = 'x' WHERE event = 1", |f| {
            matches!(f, Finding::DocumentDiffers { .. })
        }),
        ("DELETE FROM submission WHERE event = 1", |f| {
            *f == Finding::SubmissionDiffers { seq: 1 }
        }),
        ("DELETE FROM outbox WHERE place = 'forwarded'", |f| {
            matches!(f, Finding::NothingToForward { .. })
        }),
        ("UPDATE body SET bytes = x'00'", |f| {
            matches!(f, Finding::BodyDiffers { .. })
        }),
        ("DELETE FROM body", |f| matches!(f, Finding::BodyMissing { .. })),
        ("UPDATE directory SET json = '{ }'", |f| {
            *f == Finding::DirectoryDiffers { version: 1 }
        }),
    ];
    for (damage, is) in cases {
        let (findings, _) = after(damage).await;
        assert!(findings.iter().any(is), "{damage}: {findings:?}");
        assert!(findings.iter().all(|finding| !finding.to_string().is_empty()));
    }
}

#[tokio::test]
async fn a_changed_state_breaks_the_balance() {
    let taken = "'{\"state\":\"taken\",\"at\":\"2026-01-01T00:00:00Z\"}'";
    let damage = format!("UPDATE recipient SET state = 'taken', detail = {taken} WHERE state = 'forwarded'");
    let (_, balances) = after(&damage).await;
    assert!(!balances);
    let (_, balances) = after("DELETE FROM recipient WHERE state = 'taken'").await;
    assert!(!balances);
    let (findings, balances) = after("SELECT 1").await;
    assert!(findings.is_empty() && balances);
}

#[tokio::test]
async fn versions_of_the_tables() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    assert_eq!(SqliteStore::schema_version(&path).await.unwrap(), 0);
    let missing = SqliteStore::open(&path).await.unwrap_err();
    assert!(
        matches!(missing, StoreError::Schema { found: 0, .. }),
        "{missing}"
    );
    assert!(!path.exists());
    let made = SqliteStore::migrate(&path).await.unwrap();
    assert_eq!((made.from, made.to), (0, SCHEMA_VERSION));
    let again = SqliteStore::migrate(&path).await.unwrap();
    assert_eq!((again.from, again.to), (SCHEMA_VERSION, SCHEMA_VERSION));
    assert_eq!(SqliteStore::schema_version(&path).await.unwrap(), SCHEMA_VERSION);
    SqliteStore::open(&path).await.unwrap().close().await;

    let mut shell = raw(&path).await;
    let newer = format!("PRAGMA user_version = {}", SCHEMA_VERSION + 1);
    shell.execute(sqlx::raw_sql(AssertSqlSafe(newer))).await.unwrap();
    for outcome in [
        SqliteStore::open(&path).await.map(|_| ()),
        SqliteStore::migrate(&path).await.map(|_| ()),
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, StoreError::Schema { found, expected } if (found, expected) == (SCHEMA_VERSION + 1, SCHEMA_VERSION)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn other_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let foreign = dir.path().join("foreign.db");
    let mut shell = SqliteConnectOptions::new()
        .filename(&foreign)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    shell.execute("CREATE TABLE t (x)").await.unwrap();
    let text = dir.path().join("notes.txt");
    std::fs::write(
        &text,
        "not a database at all, but long enough to be taken for one".repeat(20),
    )
    .unwrap();
    for path in [foreign, text] {
        let error = SqliteStore::migrate(&path).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
        assert!(SqliteStore::open(&path).await.is_err());
    }
}
