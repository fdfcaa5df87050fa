//! The server's bad days: killed and started again in the middle, standing still, gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use truc_ledger::contract::kit::Hub;
use truc_ledger::{LedgerError, Settings, Store as _, SubmissionKey, SubmitOutcome};
use truc_ledger_postgres::PostgresSettings;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};

use crate::bench::{Anew, open_dir, opened};

/// How many acceptances are waited for before each kill.
const BEFORE_THE_KILL: [usize; 2] = [1, 30];

async fn server() -> (PrivateServer, tempfile::TempDir) {
    let dir = open_dir();
    let server = PrivateServer::start(PrivateServerConfig::new(dir.path().join("server")))
        .await
        .unwrap();
    (server, dir)
}

/// Two hubs write while the server is killed with SIGKILL, twice. What was said to be accepted is there; what
/// failed was the machine's trouble and passes when it is offered again; the chain has no gap.
#[tokio::test]
async fn killed_in_the_middle_nothing_is_lost_or_half_there() {
    let (mut server, _dir) = server().await;
    let mut settings = PostgresSettings::new(server.url("postgres"));
    settings.connect_timeout = Duration::from_secs(30);
    let bench = Anew(settings.clone());
    let one = Hub::with(&bench, Settings::default(), 1).await;
    let two = Hub::with(&bench, Settings::default(), 2).await;
    let mut said: BTreeSet<SubmissionKey> = BTreeSet::new();
    for (life, wanted) in BEFORE_THE_KILL.into_iter().enumerate() {
        let stop = Arc::new(AtomicBool::new(false));
        let mut writers = JoinSet::new();
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        for (lane, hub) in [&one, &two, &one, &two].into_iter().enumerate() {
            let documents: Vec<_> = (0..400)
                .map(|n| hub.document(&format!("{life}-{lane}-{n}")))
                .collect();
            let (ledger, stop, tell) = (hub.ledger.clone(), Arc::clone(&stop), tell.clone());
            writers.spawn(async move {
                for document in documents {
                    // Offered until it is accepted, as a submission that is not settled comes again.
                    loop {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        match ledger.submit_document(document.clone()).await {
                            Ok(SubmitOutcome::Accepted(_) | SubmitOutcome::Repeat(_)) => {
                                tell.send(document.key.clone()).unwrap();
                                break;
                            }
                            Ok(other) => panic!("{other:?}"),
                            Err(LedgerError::Store(error)) => assert!(error.is_the_machines(), "{error:?}"),
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
            });
        }
        let before = said.len();
        while said.len() < before + wanted {
            said.insert(told.recv().await.unwrap());
        }
        server.kill();
        server.start_again().await.unwrap();
        // The hubs go on by themselves.
        let after = said.len();
        while said.len() < after + 5 {
            said.insert(told.recv().await.unwrap());
        }
        stop.store(true, Ordering::Relaxed);
        writers.join_all().await;
        while let Ok(key) = told.try_recv() {
            said.insert(key);
        }
        for key in &said {
            let found = one.ledger.submission(key).await.unwrap();
            assert!(found.is_some(), "lost after kill {life}");
        }
        one.sound().await;
    }
    // As a hub that starts finds it, on connections of its own.
    Hub::with(&bench, Settings::default(), 3).await.sound().await;
}

/// The server restarts while the pool is idle: neither writer nor reader is troubled by the dead connections.
#[tokio::test]
async fn a_restart_is_not_noticed() {
    let (mut server, _dir) = server().await;
    let settings = PostgresSettings::new(server.url("postgres"));
    let store = opened(&settings).await;
    // Every reader has been used.
    let mut pictures = Vec::new();
    for _ in 0..settings.readers_max {
        pictures.push(store.read().await.unwrap());
    }
    let writing = store.begin().await.unwrap();
    drop((pictures, writing));
    server.stop().await.unwrap();
    server.start_again().await.unwrap();
    for _ in 0..settings.readers_max {
        assert_eq!(store.read().await.unwrap().head().await.unwrap().seq, 0);
    }
    store.begin().await.unwrap().commit().await.unwrap();
}

/// A picture taken before the server was killed is gone; its reader is told so, and the next one is taken.
#[tokio::test]
async fn a_picture_does_not_survive_its_server() {
    let (mut server, _dir) = server().await;
    let mut settings = PostgresSettings::new(server.url("postgres"));
    settings.connect_timeout = Duration::from_secs(3);
    let store = opened(&settings).await;
    let mut picture = store.read().await.unwrap();
    let mut writing = store.begin().await.unwrap();
    server.kill();
    let error = picture.head().await.unwrap_err();
    assert!(error.is_the_machines(), "{error:?}");
    let error = writing.latest_directory().await.unwrap_err();
    assert!(error.is_the_machines(), "{error:?}");
    drop((picture, writing));
    // Nobody there: said within the time of the settings.
    let error = store.begin().await.err().unwrap();
    assert!(error.is_the_machines(), "{error:?}");
    server.start_again().await.unwrap();
    assert_eq!(store.read().await.unwrap().head().await.unwrap().seq, 0);
    assert_eq!(store.begin().await.unwrap().head().await.unwrap().seq, 0);
}
