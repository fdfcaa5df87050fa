//! Tests of the store on a local directory. Those against a bucket are in `tests/s3.rs`.

mod bounds;
mod removal;
mod upload;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use truc_model::{BodyProblemCode, Clock, ManualClock, Random, SeededRandom, Sha256, SystemId};

use crate::{BodyError, BodyStore, Named, NamedError, Settings};

/// A store in a folder of its own, with a clock moved by hand.
struct Kit {
    clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    store: BodyStore,
}

fn settings(dir: &Path) -> Settings {
    Settings {
        dir: dir.to_owned(),
        max_body_bytes: 8 * 1024 * 1024,
        quota_bytes: 10 * 1024 * 1024,
        disk_floor_bytes: 0,
        unfinished_age: Duration::from_secs(3600),
        unnamed_age: Duration::from_secs(7200),
        copies_max_bytes: 1024 * 1024,
    }
}

async fn open(settings: Settings, clock: &Arc<ManualClock>) -> Result<BodyStore, BodyError> {
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    BodyStore::open_local(settings, clock, Arc::new(SeededRandom::new(1))).await
}

impl Kit {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at("2026-11-20T01:00:00Z".parse().unwrap()));
        let mut settings = settings(folder.path());
        change(&mut settings);
        let store = open(settings, &clock).await.unwrap();
        Self { clock, folder, store }
    }

    /// Another process on the same folder, after this one was killed.
    async fn restarted(self) -> Self {
        let Self { clock, folder, store } = self;
        let settings = store.settings().clone();
        drop(store);
        let store = open(settings, &clock).await.unwrap();
        Self { clock, folder, store }
    }
}

fn system(name: &str) -> SystemId {
    SystemId::new(name).unwrap()
}

/// Repeatable bytes.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

#[track_caller]
fn code<T>(result: Result<T, BodyError>) -> BodyProblemCode {
    match result {
        Ok(_) => panic!("expected a problem"),
        Err(BodyError::Problem(problem)) => problem.code,
        Err(error) => panic!("expected a problem, found {error:?}"),
    }
}

/// A ledger that names what it is told.
#[derive(Default)]
struct Rows(Mutex<HashSet<Sha256>>);

impl Rows {
    fn of(bodies: impl IntoIterator<Item = Sha256>) -> Self {
        Self(Mutex::new(bodies.into_iter().collect()))
    }
}

#[async_trait]
impl Named for Rows {
    async fn is_named(&self, body: Sha256) -> Result<bool, NamedError> {
        Ok(self.0.lock().unwrap().contains(&body))
    }
}

/// A ledger that is away.
struct Away;

#[async_trait]
impl Named for Away {
    async fn is_named(&self, _: Sha256) -> Result<bool, NamedError> {
        Err("away".into())
    }
}
