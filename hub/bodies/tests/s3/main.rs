//! The store on a bucket, against real S3 services that check signatures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod server;
mod wire;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt as _;
use server::Server;
use truc_bodies::limits::{CONDEMNED_LEASE_S, PART_BYTES};
use truc_bodies::{
    Began, BodyError, BodyStore, Finished, From, Named, NamedError, Removal, S3Settings, Settings,
    UploadStatus,
};
use truc_model::{BodyProblemCode, Clock, ManualClock, Random, SeededRandom, Sha256, SystemId};
use wire::Wire;

/// A hub: its folder, and its store on the bucket.
struct Hub {
    _folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    store: BodyStore,
}

impl Hub {
    async fn new(s3: &S3Settings, seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at("2026-11-20T01:00:00Z".parse().unwrap()));
        let store = open(folder.path(), s3, &clock, seed).await;
        Self {
            _folder: folder,
            clock,
            store,
        }
    }
}

async fn open(folder: &Path, s3: &S3Settings, clock: &Arc<ManualClock>, seed: u64) -> BodyStore {
    let settings = Settings {
        dir: folder.to_owned(),
        max_body_bytes: 64 * 1024 * 1024,
        quota_bytes: 64 * 1024 * 1024,
        disk_floor_bytes: 0,
        unfinished_age: Duration::from_secs(3600),
        unnamed_age: Duration::from_secs(7200),
        copies_max_bytes: 1024 * 1024,
    };
    let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let random: Arc<dyn Random> = Arc::new(SeededRandom::new(seed));
    BodyStore::open_s3(settings, s3, clock, random).await.unwrap()
}

#[derive(Default)]
struct Rows(Mutex<HashSet<Sha256>>);

#[async_trait]
impl Named for Rows {
    async fn is_named(&self, body: Sha256) -> Result<bool, NamedError> {
        Ok(self.0.lock().unwrap().contains(&body))
    }
}

struct Away;

#[async_trait]
impl Named for Away {
    async fn is_named(&self, _: Sha256) -> Result<bool, NamedError> {
        Err("away".into())
    }
}

fn who(name: &str) -> SystemId {
    SystemId::new(name).unwrap()
}

fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

async fn read(store: &BodyStore, body: Sha256, range: std::ops::Range<u64>) -> Vec<u8> {
    let open = store.open(body).await.unwrap().unwrap();
    let pieces: Vec<bytes::Bytes> = open.stream(range).unwrap().try_collect().await.unwrap();
    pieces.concat()
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn bodies_go_into_the_bucket_and_come_back() {
    for server in Server::all() {
        let s3 = server.settings("there-and-back");
        let (here, there) = (Hub::new(&s3, 1).await, Hub::new(&s3, 2).await);
        let mut all = Vec::new();
        // In one piece, at the edge, in two parts, in three.
        for (seed, size) in [
            (1, 1),
            (2, PART_BYTES),
            (3, PART_BYTES + 1),
            (4, 2 * PART_BYTES + 77),
        ] {
            let data = bytes(seed, size);
            let body = here.store.put(&who("so-tnmt"), &data).await.unwrap();
            let total = length(&data);
            let status = here.store.status(&who("so-tnmt"), body).await.unwrap();
            assert_eq!(status, UploadStatus::Complete { size: total });
            assert_eq!(there.store.verify(body).await.unwrap(), Some(total));
            assert_eq!(read(&there.store, body, total / 2..total).await, data[size / 2..]);
            // This hub has the file it uploaded; the other fetches a copy, once.
            for hub in [&here, &there, &there] {
                let local = hub.store.local(body).await.unwrap().unwrap();
                assert_eq!(local.into_bytes(total).unwrap(), data);
            }
            all.push(body);
        }
        let first = &all[0];
        assert_eq!(read(&here.store, *first, 0..1).await, bytes(1, 1));
        all.sort();
        let listed: Vec<Sha256> = there
            .store
            .list(None, 10)
            .await
            .unwrap()
            .iter()
            .map(|listed| listed.sha256)
            .collect();
        assert_eq!(listed, all);
        // What another hub stored is there for the same system, and a submission names it.
        let size = there.store.size(all[1]).await.unwrap().unwrap();
        let pin = there.store.pin(&who("so-tnmt"), all[1], size).await.unwrap();
        pin.named(&there.store).await.unwrap();
        // Copies are trimmed; the bodies stay.
        here.store.sweep(&Rows::default()).await.unwrap();
        let kept = files(&here.store.settings().dir.join("copies"));
        assert!(kept <= 1, "{kept} copies are more than a mebibyte");
        assert_eq!(here.store.list(None, 10).await.unwrap().len(), 4);
        // All gone: named by nobody, and not awaited for ever.
        here.clock.advance(7200);
        let named = Rows::default();
        let swept = here.store.sweep(&named).await.unwrap();
        assert_eq!(swept.removed, 3, "{}", server.name);
        assert_eq!(here.store.remove(all[1], &named).await.unwrap(), Removal::Removed);
        assert_eq!(there.store.list(None, 10).await.unwrap(), []);
        assert!(there.store.open(all[0]).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn hubs_on_one_bucket_see_each_others_pins_and_removals() {
    for server in Server::all() {
        let s3 = server.settings("two-hubs");
        let (here, there) = (Hub::new(&s3, 1).await, Hub::new(&s3, 2).await);
        let system = who("so-tnmt");
        let none = Rows::default();
        let body = here.store.put(&system, b"some bytes").await.unwrap();
        here.store
            .pin(&system, body, 10)
            .await
            .unwrap()
            .named(&here.store)
            .await
            .unwrap();
        let pin = here.store.pin(&system, body, 10).await.unwrap();
        assert_eq!(there.store.remove(body, &none).await.unwrap(), Removal::Pinned);
        pin.release(&here.store).await.unwrap();
        // A hub begins to remove, and is killed.
        assert!(here.store.remove(body, &Away).await.is_err());
        let Err(BodyError::Problem(problem)) = there.store.pin(&system, body, 10).await else {
            panic!("a body on its way out was pinned");
        };
        assert_eq!(problem.code, BodyProblemCode::BodyBeingRemoved);
        // The other leaves it to it for a time, and then goes on.
        assert_eq!(there.store.remove(body, &none).await.unwrap(), Removal::UnderWay);
        there.clock.advance(CONDEMNED_LEASE_S - 1);
        assert_eq!(there.store.remove(body, &none).await.unwrap(), Removal::UnderWay);
        there.clock.advance(1);
        assert_eq!(there.store.remove(body, &none).await.unwrap(), Removal::Removed);
        assert_eq!(here.store.size(body).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_wrong_secret_is_a_fault_and_loses_nothing() {
    for server in Server::all() {
        let right = server.settings("secret");
        let mut wrong = right.clone();
        wrong.secret_access_key.push('x');
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at("2026-11-20T01:00:00Z".parse().unwrap()));
        let store = open(folder.path(), &wrong, &clock, 1).await;
        let refused = store.put(&who("so-tnmt"), b"some bytes").await;
        assert!(
            matches!(refused, Err(BodyError::Store { .. })),
            "{}: {refused:?}",
            server.name
        );
        assert!(!format!("{wrong:?}").contains(&wrong.secret_access_key));
        drop(store);
        let store = open(folder.path(), &right, &clock, 1).await;
        assert!(store.put(&who("so-tnmt"), b"some bytes").await.is_ok());
    }
}

#[tokio::test]
async fn a_wire_that_breaks_while_a_body_is_stored_loses_nothing() {
    for server in Server::all() {
        let wire = Wire::to(server.address).await;
        let mut s3 = server.settings("cut");
        s3.endpoint = format!("http://{}", wire.address);
        let hub = Hub::new(&s3, 1).await;
        let system = who("so-tnmt");
        let data = bytes(5, 2 * PART_BYTES + 1000);
        let (body, total) = (Sha256::of(&data), length(&data));
        let part = i64::try_from(PART_BYTES).unwrap();
        // Before the first part, within it, within the second, just before the end.
        for after in [5_000, part / 2, part + part / 2, 2 * part + 1200] {
            let Began::Writing(mut writer) =
                hub.store.begin(&system, body, total, From::Start).await.unwrap()
            else {
                panic!("it is there already");
            };
            writer.write(&data).await.unwrap();
            wire.breaks_after(after);
            let broken = writer.finish().await;
            assert!(
                matches!(broken, Err(BodyError::Store { .. })),
                "{}: {broken:?}",
                server.name
            );
            wire.mend();
            // Nothing of it is to be seen, and all that came is kept here.
            assert_eq!(hub.store.size(body).await.unwrap(), None);
            let all = UploadStatus::Partial { offset: total, total };
            assert_eq!(hub.store.status(&system, body).await.unwrap(), all);
        }
        let Began::Writing(writer) = hub.store.begin(&system, body, total, From::Here).await.unwrap() else {
            panic!("it is there already");
        };
        assert_eq!(writer.finish().await.unwrap(), Finished::Stored { size: total });
        assert_eq!(hub.store.verify(body).await.unwrap(), Some(total));
    }
}

#[tokio::test]
async fn a_service_that_is_killed_while_a_body_is_stored_loses_nothing() {
    for mut server in Server::all() {
        let wire = Wire::to(server.address).await;
        let mut s3 = server.settings("killed");
        s3.endpoint = format!("http://{}", wire.address);
        let hub = Hub::new(&s3, 1).await;
        let system = who("so-tnmt");
        let data = bytes(7, 3 * PART_BYTES + 500);
        let (body, total) = (Sha256::of(&data), length(&data));
        let Began::Writing(mut writer) = hub.store.begin(&system, body, total, From::Start).await.unwrap()
        else {
            panic!("it is there already");
        };
        writer.write(&data).await.unwrap();
        let storing = tokio::spawn(writer.finish());
        // In the second part: one is with the service, the others are not.
        let half = i64::try_from(PART_BYTES + PART_BYTES / 2).unwrap();
        while wire.passed() < half {
            tokio::task::yield_now().await;
        }
        server.kill();
        let broken = storing.await.unwrap();
        assert!(
            matches!(broken, Err(BodyError::Store { .. })),
            "{}: {broken:?}",
            server.name
        );
        assert!(hub.store.probe().await.is_err());
        // Nobody sees a part of it, and what came is kept here.
        assert!(hub.store.size(body).await.is_err());
        server.start_again();
        assert!(hub.store.probe().await.is_ok(), "{}", server.name);
        assert_eq!(hub.store.size(body).await.unwrap(), None);
        let all = UploadStatus::Partial { offset: total, total };
        assert_eq!(hub.store.status(&system, body).await.unwrap(), all);
        let Began::Writing(writer) = hub.store.begin(&system, body, total, From::Here).await.unwrap() else {
            panic!("it is there already");
        };
        assert_eq!(writer.finish().await.unwrap(), Finished::Stored { size: total });
        assert_eq!(hub.store.verify(body).await.unwrap(), Some(total));
    }
}

#[tokio::test]
async fn a_bucket_is_reached_by_tls_with_ring() {
    let server = Server::all().remove(0);
    let (address, pem) = wire::encrypted(server.address).await;
    let mut s3 = server.settings("tls");
    s3.endpoint = format!("https://{address}");
    // Nobody trusts it yet.
    let hub = Hub::new(&s3, 1).await;
    assert!(hub.store.put(&who("so-tnmt"), b"some bytes").await.is_err());
    s3.ca_pem = Some(pem);
    let hub = Hub::new(&s3, 1).await;
    let data = bytes(6, PART_BYTES + 1);
    let body = hub.store.put(&who("so-tnmt"), &data).await.unwrap();
    assert_eq!(hub.store.verify(body).await.unwrap(), Some(length(&data)));
}
