//! The service against a real port, by clients that behave and clients that do not.

mod client;
mod connections;
mod transfers;

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use truc_bodies::BodyStore;
use truc_model::{Clock, Random, SeededRandom, Sha256, SystemClock, SystemId};

use self::client::{Answer, Client};
use super::{Credentials, Logins, MayRead, MayReadError, Service, Systems, Verdict, bind, serve};
use crate::config::{Bodies, Config};

/// The password of a system is its name turned round.
struct Book;

#[async_trait]
impl Credentials for Book {
    async fn check(&self, system: &SystemId, password: &str) -> Verdict {
        let right: String = system.as_str().chars().rev().collect();
        match password {
            "away" => Verdict::Unknown,
            password if password == right => Verdict::Accepted,
            _ => Verdict::Refused,
        }
    }
}

struct AllButOff;

impl Systems for AllButOff {
    fn is_served(&self, system: &SystemId) -> bool {
        system.as_str() != "switched-off"
    }
}

/// Deliveries that name a body.
#[derive(Default)]
struct Deliveries(Mutex<HashSet<(SystemId, Sha256)>>);

#[async_trait]
impl MayRead for Deliveries {
    async fn may_read(&self, system: &SystemId, body: Sha256) -> Result<bool, MayReadError> {
        Ok(self.0.lock().unwrap().contains(&(system.clone(), body)))
    }
}

/// A running service on a folder of its own.
struct Kit {
    folder: tempfile::TempDir,
    settings: Bodies,
    deliveries: Arc<Deliveries>,
    store: BodyStore,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    served: JoinHandle<()>,
}

impl Kit {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Bodies)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Config::default().bodies;
        "127.0.0.1:0".clone_into(&mut settings.listen);
        settings.dir = folder.path().join("bodies");
        settings.disk_floor_mb = 0;
        change(&mut settings);
        Self::start(folder, settings, Arc::new(Deliveries::default())).await
    }

    async fn start(folder: tempfile::TempDir, settings: Bodies, deliveries: Arc<Deliveries>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(1));
        let store = super::open_store(&settings, Arc::clone(&clock), Arc::clone(&random)).await;
        let store = store.unwrap().unwrap();
        let logins = Logins::new(Arc::new(Book), clock, &*random);
        let readers = Arc::clone(&deliveries) as Arc<dyn MayRead>;
        let service = Service::new(
            store.clone(),
            logins,
            Arc::new(AllButOff),
            readers,
            settings.clone(),
        );
        let listener = bind(&settings).await.unwrap().unwrap();
        let address = listener.address().unwrap();
        let (stop, stopping) = watch::channel(false);
        let served = tokio::spawn(async move { serve(listener, Arc::new(service), stopping).await.unwrap() });
        Self {
            folder,
            settings,
            deliveries,
            store,
            address,
            stop,
            served,
        }
    }

    /// The hub is killed, in the middle of whatever it does, and another starts on the same folder.
    async fn restarted(self) -> Self {
        let Self {
            folder,
            settings,
            deliveries,
            store,
            served,
            ..
        } = self;
        served.abort();
        let _ = served.await;
        drop(store);
        // Connections of the old one end when their tasks are dropped; until then they hold the folder.
        loop {
            let clock: Arc<dyn Clock> = Arc::new(SystemClock);
            match super::open_store(&settings, clock, Arc::new(SeededRandom::new(1))).await {
                Ok(_) => break,
                Err(_) => tokio::task::yield_now().await,
            }
        }
        Self::start(folder, settings, deliveries).await
    }

    async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One request on a connection of its own.
    async fn ask(&self, head: &str, system: &str, body: &[u8]) -> Answer {
        let mut client = self.client().await;
        client.send(head, system, body).await;
        client.answer(head.starts_with("HEAD")).await
    }

    fn deliver(&self, system: &str, body: Sha256) {
        let system = SystemId::new(system).unwrap();
        self.deliveries.0.lock().unwrap().insert((system, body));
    }
}

/// Repeatable bytes.
fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(seed).fill(&mut bytes);
    bytes
}
