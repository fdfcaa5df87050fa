//! Killed, crowded, full: what was accepted is there.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Executor as _};
use truc_ledger::contract::Bench;
use truc_ledger::contract::kit::Hub;
use truc_ledger::{Settings, Store, SubmissionKey, SubmitOutcome};
use truc_ledger_sqlite::SqliteStore;

struct FileBench(PathBuf);

#[async_trait]
impl Bench for FileBench {
    async fn open(&self) -> Arc<dyn Store> {
        SqliteStore::migrate(&self.0).await.unwrap();
        Arc::new(SqliteStore::open(&self.0).await.unwrap())
    }
}

/// Names the ledger the killed process writes to, and its seed.
const CHILD: &str = "TRUC_LEDGER_TEST_CHILD";

/// How many acceptances the parent waits for before it kills.
const BEFORE_THE_KILL: [usize; 3] = [1, 25, 60];

/// The same test binary, started again, accepts documents and says so until it is killed with SIGKILL. Every
/// acceptance it said is in the ledger, and the ledger is sound.
#[tokio::test]
async fn killed_at_any_moment_what_was_accepted_is_kept() {
    if let Ok(order) = std::env::var(CHILD) {
        let (seed, path) = order.split_once(':').unwrap();
        accept_until_killed(Path::new(path), seed.parse().unwrap()).await;
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    let bench = FileBench(path.clone());
    let mut said = BTreeSet::new();
    for (seed, wanted) in (1u64..).zip(BEFORE_THE_KILL) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed_at_any_moment_what_was_accepted_is_kept",
                "--nocapture",
            ])
            .env(CHILD, format!("{seed}:{}", path.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut now = 0;
        while now < wanted {
            let line = lines.next().unwrap().unwrap();
            now += note(&line, &mut said);
        }
        child.kill().unwrap();
        // What was said before the kill and is still in the pipe counts as well.
        for line in lines.map_while(Result::ok) {
            note(&line, &mut said);
        }
        child.wait().unwrap();
        let hub = Hub::with(&bench, Settings::default(), 1000 + seed).await;
        for key in &said {
            let row = hub.ledger.submission(key).await.unwrap();
            assert!(row.is_some(), "lost after kill {seed}");
        }
        hub.sound().await;
    }
    assert!(said.len() >= BEFORE_THE_KILL.iter().sum());
}

/// Reads `accepted <message_id>`; gives how many it was.
fn note(line: &str, said: &mut BTreeSet<SubmissionKey>) -> usize {
    let Some(message_id) = line.strip_prefix("accepted ").and_then(|id| id.parse().ok()) else {
        return 0;
    };
    usize::from(said.insert(SubmissionKey {
        system: truc_ledger::contract::kit::system("xa"),
        message_id,
    }))
}

async fn accept_until_killed(path: &Path, seed: u64) {
    let hub = Hub::with(&FileBench(path.to_owned()), Settings::default(), seed).await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0u64.. {
        let (ledger, submission) = (hub.ledger.clone(), hub.document(&format!("{seed}-{n}")));
        waiting.spawn(async move {
            let message_id = submission.key.message_id;
            let outcome = ledger.submit_document(submission).await.unwrap();
            assert!(matches!(outcome, SubmitOutcome::Accepted(_)));
            let mut out = std::io::stdout().lock();
            // A leading line end: the test runner's own words may stand on the line.
            writeln!(out, "\naccepted {message_id}").unwrap();
            out.flush().unwrap();
        });
        if waiting.len() >= 8 {
            waiting.join_next().await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn another_process_waits_for_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let bench = FileBench(dir.path().join("ledger.db"));
    let hub = Hub::open(&bench).await;
    let mut other = SqliteConnectOptions::new()
        .filename(&bench.0)
        .connect()
        .await
        .unwrap();
    other.execute("BEGIN IMMEDIATE").await.unwrap();
    let (ledger, submission) = (hub.ledger.clone(), hub.document("1"));
    let submitted = tokio::spawn(async move { ledger.submit_document(submission).await });
    // Readers are not held up by a writer.
    assert_eq!(hub.ledger.head().await.unwrap().seq, 0);
    assert!(!submitted.is_finished());
    other.execute("ROLLBACK").await.unwrap();
    assert!(matches!(submitted.await.unwrap(), Ok(SubmitOutcome::Accepted(_))));
    hub.sound().await;
}

/// Two hubs on one file: each batch of either sees the other's.
#[tokio::test]
async fn two_writers_share_one_sequence() {
    let dir = tempfile::tempdir().unwrap();
    let bench = FileBench(dir.path().join("ledger.db"));
    let one = Hub::with(&bench, Settings::default(), 1).await;
    let two = Hub::with(&bench, Settings::default(), 2).await;
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..60 {
        let hub = if n % 2 == 0 { &one } else { &two };
        let (ledger, submission) = (hub.ledger.clone(), hub.document(&n.to_string()));
        waiting.spawn(async move { ledger.submit_document(submission).await.unwrap() });
        tokio::task::yield_now().await;
    }
    while let Some(outcome) = waiting.join_next().await {
        assert!(matches!(outcome.unwrap(), SubmitOutcome::Accepted(_)));
    }
    assert_eq!(one.ledger.head().await.unwrap().seq, 60);
    // What one claimed the other does not get.
    let (a, b) = (one.claim().await, two.claim().await);
    let both: BTreeSet<_> = a.iter().chain(&b).map(|message| message.delivery).collect();
    assert_eq!(both.len(), a.len() + b.len());
    one.sound().await;
}
