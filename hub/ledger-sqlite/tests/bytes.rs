//! Deleted bytes: gone from the file and its log, their room used again, and no hand deletes past the event.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, SqliteConnection};
use truc_ledger::contract::Bench;
use truc_ledger::contract::kit::{Hub, deliveries};
use truc_ledger::verify::Finding;
use truc_ledger::{DeleteBodies, DocumentSubmission, RetentionAges, Store, VerifyOptions};
use truc_ledger_sqlite::SqliteStore;
use truc_model::Sha256;

const AGES: RetentionAges = RetentionAges {
    attachments_days: 90,
    packets_days: 365,
    refused_days: 365,
};

/// Larger than a page, so that it lies in overflow pages too.
const LARGE: usize = 300_000;

struct FileBench(PathBuf);

#[async_trait]
impl Bench for FileBench {
    async fn open(&self) -> Arc<dyn Store> {
        SqliteStore::migrate(&self.0).await.unwrap();
        Arc::new(SqliteStore::open(&self.0).await.unwrap())
    }
}

fn large(hub: &Hub, id: &str) -> DocumentSubmission {
    let mut document = hub.document(id);
    let line = format!("bytes of {id} that nobody may find again. ");
    let body = line.repeat(LARGE / line.len());
    document.sha256 = Sha256::of(body.as_bytes());
    document.size = body.len() as u64;
    document.body = body.as_bytes().into();
    document
}

async fn finished(hub: &Hub, document: DocumentSubmission) {
    hub.accept(document).await;
    let sent = hub.forward_all().await;
    hub.take("so", &deliveries(&sent, "so")).await;
}

async fn delete(hub: &Hub, digests: &[Sha256]) -> u64 {
    let order = DeleteBodies {
        digests: digests.to_vec(),
        ages: AGES,
        who: "truc".to_owned(),
    };
    hub.ledger.delete_bodies(order).await.unwrap().count
}

/// How often a text stands in the ledger's file and in its log.
fn found(path: &Path, text: &str) -> usize {
    let log = path.with_file_name("ledger.db-wal");
    [path, &log]
        .iter()
        .map(|file| {
            let bytes = std::fs::read(file).unwrap_or_default();
            bytes
                .windows(text.len())
                .filter(|part| *part == text.as_bytes())
                .count()
        })
        .sum()
}

async fn raw(path: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path);
    options.connect().await.unwrap()
}

#[tokio::test]
async fn deleted_bytes_are_in_no_file_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = Hub::open(&FileBench(path.clone())).await;
    let (gone, kept) = (large(&hub, "gone"), large(&hub, "kept"));
    finished(&hub, gone.clone()).await;
    hub.minutes(91 * 24 * 60);
    hub.accept(kept.clone()).await;
    assert!(found(&path, "bytes of gone") > 1000);
    assert_eq!(delete(&hub, &[gone.sha256, kept.sha256]).await, 1);
    assert_eq!(found(&path, "bytes of gone"), 0);
    assert!(found(&path, "bytes of kept") > 1000);
    hub.sound().await;
}

#[tokio::test]
async fn a_reader_in_the_way_only_delays_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = Hub::open(&FileBench(path.clone())).await;
    let gone = large(&hub, "gone");
    finished(&hub, gone.clone()).await;
    hub.minutes(91 * 24 * 60);
    let mut reader = raw(&path).await;
    reader.execute("BEGIN; SELECT * FROM event").await.unwrap();
    // Its picture has the bytes: they cannot leave the files, and nobody waits for it.
    assert_eq!(delete(&hub, &[gone.sha256]).await, 1);
    assert!(found(&path, "bytes of gone") > 0);
    reader.execute("COMMIT").await.unwrap();
    // Any commits will do, empty ones too; of these there are many in a hub that does nothing.
    let mut commits = 0;
    while found(&path, "bytes of gone") > 0 {
        hub.claim().await;
        commits += 1;
        assert!(commits <= 16, "the log was not folded");
    }
    hub.sound().await;
}

#[tokio::test]
async fn the_room_of_deleted_bytes_is_used_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = Hub::open(&FileBench(path.clone())).await;
    let size = || std::fs::metadata(&path).unwrap().len();
    let mut before = 0;
    for round in 0..4 {
        let round: Vec<DocumentSubmission> = (0..10).map(|n| large(&hub, &format!("{round}-{n}"))).collect();
        for document in &round {
            finished(&hub, document.clone()).await;
        }
        hub.minutes(91 * 24 * 60);
        let digests: Vec<Sha256> = round.iter().map(|document| document.sha256).collect();
        assert_eq!(delete(&hub, &digests).await, 10);
        if before == 0 {
            before = size();
            assert!(before > 10 * LARGE as u64);
        }
    }
    // Four rounds went through the room of one; what grew are the rows, which stay.
    let grown = size() - before;
    println!("room of one round: {before} bytes; after three more: {grown} bytes more");
    assert!(grown < LARGE as u64, "{grown}");
    hub.sound().await;
}

#[tokio::test]
async fn no_body_goes_without_its_event() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let hub = Hub::open(&FileBench(path.clone())).await;
    let document = hub.document("1");
    finished(&hub, document.clone()).await;
    hub.minutes(91 * 24 * 60);
    let mut shell = raw(&path).await;
    for statement in [
        "DELETE FROM body",
        // A record of an event that came before the document, or of none at all.
        "INSERT INTO body_deleted SELECT sha256, 1, 0, 8, 'retention' FROM body; DELETE FROM body",
        "PRAGMA foreign_keys = ON; INSERT INTO body_deleted SELECT sha256, 999, 0, 8, 'retention' FROM body",
    ] {
        shell.execute("BEGIN").await.unwrap();
        let refused = shell.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        assert!(refused.is_err(), "{statement}");
        shell.execute("ROLLBACK").await.unwrap();
    }
    hub.sound().await;
    assert_eq!(delete(&hub, &[document.sha256]).await, 1);
    for statement in [
        "UPDATE body_deleted SET cause = 'recalled'",
        "DELETE FROM body_deleted",
    ] {
        assert!(shell.execute(statement).await.is_err(), "{statement}");
    }
    hub.sound().await;

    // Past the triggers, `verify` finds it.
    let mut find = async |damage: &str| {
        shell.execute(sqlx::raw_sql(AssertSqlSafe(damage))).await.unwrap();
        let report = hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
        report.findings
    };
    let found = find("DROP TRIGGER body_deleted_update; UPDATE body_deleted SET cause = 'recalled'").await;
    assert!(
        matches!(found[..], [Finding::DeletionDiffers { .. }]),
        "{found:?}"
    );
    let found = find(
        "UPDATE body_deleted SET cause = 'retention'; \
         INSERT INTO body_deleted SELECT zeroblob(32), 1, 0, 8, 'retention'",
    )
    .await;
    assert!(
        matches!(found[..], [Finding::DeletionsInvented { events: 1, tables: 2 }]),
        "{found:?}"
    );
    let found = find(
        "DROP TRIGGER body_deleted_delete; DELETE FROM body_deleted WHERE event = 1; \
         INSERT INTO body SELECT sha256, x'00' FROM body_deleted",
    )
    .await;
    assert!(
        found.contains(&Finding::BodyNotDeleted {
            sha256: document.sha256
        }),
        "{found:?}"
    );
    let found = find("DELETE FROM body; DELETE FROM body_deleted").await;
    assert!(
        found.contains(&Finding::BodyMissing {
            sha256: document.sha256
        }),
        "{found:?}"
    );
}
