//! A hub on in-memory twins of broker and ledger, with a ledger that fails when told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use truc_directory::{
    Directory, ImportOptions, SignaturePolicy, SystemPolicy, import_agencies, import_systems,
};
use truc_ledger::{BalanceFilter, DirectorySummary, EventKind, Ledger, NewDirectory, Settings};
use truc_model::wire::{Intake, SUBMIT_EXCHANGE, inbox};
use truc_model::{Clock, ManualClock, MessageId, Random, SeededRandom, SystemClock, SystemId};
use truc_server::app::{App, AppError};
use truc_server::config::Config;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{AGENCIES, SYSTEMS};
use truc_transport::{Broker, Consumer, Delivery, MemoryBroker, OutMessage, Properties};

use crate::disk::Disk;

pub(crate) const SENDER: &str = "so-tnmt";
pub(crate) const RECIPIENT: &str = "huyen-tuyen-quang";
/// Beginning of the clock.
const BEGIN: &str = "2026-03-02T02:00:00Z";

pub(crate) struct Twin {
    pub(crate) broker: MemoryBroker,
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) disk: Disk,
    random: SeededRandom,
    stop: watch::Sender<bool>,
    hub: tokio::task::JoinHandle<Result<(), AppError>>,
}

impl Twin {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    /// The broker is not there when the hub starts.
    pub(crate) async fn without_broker() -> Self {
        Self::on(Config::default(), |broker| broker.go_down("not there yet")).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::on(config, |_| {}).await
    }

    async fn on(config: Config, prepare: impl FnOnce(&MemoryBroker)) -> Self {
        let clock = Arc::new(ManualClock::at(BEGIN.parse().unwrap()));
        let broker = MemoryBroker::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        prepare(&broker);
        let disk = Disk::default();
        let ledger = Ledger::start(
            Arc::new(disk.clone()),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededRandom::new(1)),
            Settings::default(),
        );
        fill(&ledger, clock.as_ref()).await;
        let (stop, stopped) = watch::channel(false);
        let app = App::new(
            config,
            Arc::new(broker.as_user("truc-hub")),
            ledger.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        let hub = tokio::spawn(app.run(stopped));
        Self {
            broker,
            ledger,
            clock,
            disk,
            random: SeededRandom::new(2),
            stop,
            hub,
        }
    }

    pub(crate) async fn consumer(&self, system: &str) -> Box<dyn Consumer> {
        let id = SystemId::new(system).unwrap();
        // The hub declares the inboxes when it starts; until then there is nothing to read.
        loop {
            match self
                .broker
                .as_system(&id)
                .consume(&inbox(&id), 1000, "test")
                .await
            {
                Ok(consumer) => return consumer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    pub(crate) fn fresh_id(&self) -> MessageId {
        MessageId::new(self.random.uuid_v7(SystemClock.now()))
    }

    pub(crate) async fn submit(&self, intake: Intake, id: MessageId, system: &str, body: &[u8]) {
        let message = OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: intake.as_str().to_owned(),
            properties: Properties {
                kind: Some(intake.as_str().to_owned()),
                message_id: Some(id.to_string()),
                user_id: Some(system.to_owned()),
                headers: BTreeMap::new(),
                ..Properties::default()
            },
            body: Arc::from(body),
        };
        let system = SystemId::new(system).unwrap();
        let publisher = self.broker.as_system(&system).publisher().await.unwrap();
        let _confirmed = publisher.publish(message).await.unwrap().await.unwrap();
    }

    /// Submits a letter of its own, under a fresh key.
    pub(crate) async fn letter(&self, number: u32) -> MessageId {
        let id = self.fresh_id();
        self.submit(Intake::Document, id, SENDER, &letter(number)).await;
        id
    }

    pub(crate) async fn say_taken(&self, delivery: &Delivery) {
        let id = delivery.properties.message_id.clone().unwrap();
        let body = format!("{{\"taken\":[\"{id}\"]}}");
        self.submit(Intake::Taken, self.fresh_id(), RECIPIENT, body.as_bytes())
            .await;
    }

    pub(crate) async fn kinds(&self) -> Vec<EventKind> {
        let rows = self.ledger.events(1, 1000).await.unwrap();
        rows.iter().map(|row| row.kind).collect()
    }

    /// The balance balances, and the whole ledger is sound.
    pub(crate) async fn sound(&self) -> truc_ledger::Balance {
        let balance = self.ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances(), "{balance:?}");
        let report = self.ledger.verify(&Default::default()).await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        balance
    }

    /// Asks the hub to stop; gives how it ended.
    pub(crate) async fn stop(self) -> Result<(), AppError> {
        self.stop.send_replace(true);
        self.hub.await.unwrap()
    }

    pub(crate) async fn end(self) {
        self.sound().await;
        self.stop().await.unwrap();
    }

    /// Whether the hub still runs.
    pub(crate) fn runs(&self) -> bool {
        !self.hub.is_finished()
    }
}

async fn fill(ledger: &Ledger, clock: &dyn Clock) {
    let options = ImportOptions {
        on: clock.today(),
        decision: None,
    };
    let systems = import_systems(&Directory::empty(), SYSTEMS.as_bytes(), &options);
    let agencies = import_agencies(&systems.next, AGENCIES.as_bytes(), &options);
    let mut editor = truc_directory::Editor::new(&agencies.next);
    // Seals are proved on real parts; here the policy asks for none.
    let policy = SystemPolicy {
        signature: SignaturePolicy::None,
        ..SystemPolicy::default()
    };
    editor
        .set_policy(&SystemId::new(SENDER).unwrap(), policy)
        .unwrap();
    let directory = editor.finish();
    ledger
        .save_directory(NewDirectory {
            expected_version: 0,
            version: directory.version(),
            json: directory.to_json(),
            who: "test".to_owned(),
            summary: DirectorySummary::default(),
        })
        .await
        .unwrap();
}

pub(crate) fn letter(number: u32) -> Vec<u8> {
    let (from, to) = (
        ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        [("000.00.34.H60", "UBND huyện Hàm Yên")],
    );
    Draft::letter(from, &to, number, jiff::civil::date(2026, 3, 1)).packet()
}

/// Waits until a condition holds.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
