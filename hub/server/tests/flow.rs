//! The flow on in-memory twins of broker and ledger: logic without processes, in milliseconds. The same
//! way on real parts is in `tests/it/`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "flow/attachments.rs"]
mod attachments;
#[path = "flow/doubted.rs"]
mod doubted;
#[path = "flow/sha1.rs"]
mod sha1;
#[path = "flow/trust.rs"]
mod trust;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use truc_directory::{
    Directory, ImportOptions, SignaturePolicy, SystemPolicy, import_agencies, import_systems,
};
use truc_ledger::{BalanceFilter, DirectorySummary, EventKind, Ledger, MemoryStore, NewDirectory, Settings};
use truc_model::wire::{Intake, SUBMIT_EXCHANGE, header, inbox};
use truc_model::{Clock, ManualClock, MessageId, Random, SeededRandom, SystemId, Urgency};
use truc_server::app::App;
use truc_server::config::Config;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{AGENCIES, SYSTEMS};
use truc_transport::{Broker, Consumer, MemoryBroker, OutMessage, Properties, QueueType, Topology};

struct Twin {
    broker: MemoryBroker,
    ledger: Ledger,
    clock: Arc<ManualClock>,
    random: SeededRandom,
    stop: watch::Sender<bool>,
    hub: tokio::task::JoinHandle<Result<(), truc_server::app::AppError>>,
}

impl Twin {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// With a directory changed before the hub starts.
    async fn start_with(change: impl FnOnce(&mut truc_directory::Editor)) -> Self {
        Self::start_as(Config::default(), change, |app| app).await
    }

    /// With another configuration, and a hub changed before it starts.
    async fn start_as(
        config: Config,
        change: impl FnOnce(&mut truc_directory::Editor),
        prepare: impl FnOnce(App) -> App,
    ) -> Self {
        Self::start_on(config, change, prepare, |broker| Arc::new(broker)).await
    }

    /// With something between the hub and its broker.
    async fn start_on(
        config: Config,
        change: impl FnOnce(&mut truc_directory::Editor),
        prepare: impl FnOnce(App) -> App,
        between: impl FnOnce(MemoryBroker) -> Arc<dyn Broker>,
    ) -> Self {
        let clock = Arc::new(ManualClock::at("2026-03-02T02:00:00Z".parse().unwrap()));
        let broker = MemoryBroker::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let ledger = Ledger::start(
            Arc::new(MemoryStore::default()),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(SeededRandom::new(1)),
            Settings::default(),
        );
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
            .set_policy(&SystemId::new("so-tnmt").unwrap(), policy)
            .unwrap();
        change(&mut editor);
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
        let (stop, stopped) = watch::channel(false);
        let app = App::new(
            config,
            between(broker.as_user("truc-hub")),
            ledger.clone(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        let hub = tokio::spawn(prepare(app).run(stopped));
        Self {
            broker,
            ledger,
            clock,
            random: SeededRandom::new(2),
            stop,
            hub,
        }
    }

    async fn consumer(&self, system: &str) -> Box<dyn Consumer> {
        let id = SystemId::new(system).unwrap();
        // The hub declares the inboxes when it starts; until then there is nothing to read.
        loop {
            match self.broker.as_system(&id).consume(&inbox(&id), 100, "test").await {
                Ok(consumer) => return consumer,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    }

    async fn submit(&self, system: &str, intake: Intake, body: &[u8]) -> MessageId {
        let id = MessageId::new(self.random.uuid_v7(self.clock.now()));
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
        id
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.hub.await.unwrap().unwrap();
    }
}

fn packet(urgency: Urgency) -> Vec<u8> {
    let (from, to) = (
        ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        [("000.00.34.H60", "UBND huyện Hàm Yên")],
    );
    let letter = Draft::letter(from, &to, 12, jiff::civil::date(2026, 3, 1));
    Draft { urgency, ..letter }.packet()
}

#[tokio::test]
async fn a_document_is_accepted_forwarded_and_taken() {
    let twin = Twin::start().await;
    let (mut sender, mut recipient) = (
        twin.consumer("so-tnmt").await,
        twin.consumer("huyen-tuyen-quang").await,
    );
    let body = packet(Urgency::Urgent);
    let id = twin.submit("so-tnmt", Intake::Document, &body).await;

    let receipt = sender.next().await.unwrap();
    assert_eq!(receipt.properties.kind.as_deref(), Some("receipt"));
    assert_eq!(
        receipt.properties.correlation_id.as_deref(),
        Some(id.to_string().as_str())
    );
    receipt.ack().await.unwrap();

    let delivery = recipient.next().await.unwrap();
    assert_eq!(delivery.body, body, "the bytes are forwarded as received");
    assert_eq!(delivery.properties.priority, Some(1));
    let uid = delivery.properties.text(header::DELIVERY).unwrap().to_owned();
    twin.submit(
        "huyen-tuyen-quang",
        Intake::Taken,
        format!("{{\"taken\":[\"{uid}\"]}}").as_bytes(),
    )
    .await;
    delivery.ack().await.unwrap();

    loop {
        let balance = twin.ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances());
        assert_eq!(balance.total.accepted, 1);
        if balance.total.taken == 1 {
            break;
        }
        tokio::task::yield_now().await;
    }
    twin.end().await;
}

#[tokio::test]
async fn an_unroutable_publish_is_a_retry_and_never_a_success() {
    let twin = Twin::start().await;
    drop(twin.consumer("huyen-tuyen-quang").await);
    let system = SystemId::new("huyen-tuyen-quang").unwrap();
    twin.broker.delete_queue(&inbox(&system));
    twin.submit("so-tnmt", Intake::Document, &packet(Urgency::Normal))
        .await;
    while !event_kinds(&twin).await.contains(&EventKind::PublishFailed) {
        tokio::task::yield_now().await;
    }
    let balance = twin.ledger.balance(&BalanceFilter::default()).await.unwrap();
    assert!(balance.balances());
    assert_eq!((balance.total.accepted, balance.total.waiting), (1, 1));

    twin.broker
        .declare(&Topology::hub(QueueType::Classic, [system]))
        .await
        .unwrap();
    let mut recipient = twin.consumer("huyen-tuyen-quang").await;
    // The next try is due when the clock has passed the pause.
    let delivery = loop {
        tokio::select! {
            biased;
            delivery = recipient.next() => break delivery.unwrap(),
            () = tokio::task::yield_now() => twin.clock.advance(1),
        }
    };
    assert_eq!(delivery.properties.kind.as_deref(), Some("document"));
    assert!(!event_kinds(&twin).await.contains(&EventKind::DeliveryTaken));
    twin.end().await;
}

async fn event_kinds(twin: &Twin) -> Vec<EventKind> {
    twin.ledger
        .events(1, 100)
        .await
        .unwrap()
        .iter()
        .map(|row| row.kind)
        .collect()
}

#[tokio::test]
async fn a_disabled_system_is_told_that_it_is() {
    let twin = Twin::start_with(|editor| {
        let system = SystemId::new("so-tnmt").unwrap();
        editor
            .set_status(&system, truc_directory::SystemStatus::Disabled)
            .unwrap();
    })
    .await;
    let mut inbox = twin.consumer("so-tnmt").await;
    let id = twin
        .submit("so-tnmt", Intake::Document, &packet(Urgency::Normal))
        .await;
    let answer = inbox.next().await.unwrap();
    assert_eq!(
        answer.properties.correlation_id.as_deref(),
        Some(id.to_string().as_str())
    );
    let json: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(json["code"], "system-disabled");
    twin.end().await;
}

#[tokio::test]
async fn what_cannot_be_attributed_goes_to_the_dead_letters() {
    let twin = Twin::start().await;
    let _inbox = twin.consumer("so-tnmt").await;
    let message = OutMessage {
        exchange: SUBMIT_EXCHANGE.to_owned(),
        routing_key: "document".to_owned(),
        properties: Properties {
            kind: Some("document".to_owned()),
            ..Properties::default()
        },
        body: Arc::from(&b"x"[..]),
    };
    let publisher = twin.broker.publisher().await.unwrap();
    let _confirmed = publisher.publish(message).await.unwrap().await.unwrap();
    while twin.broker.peek("truc.dead.letters").is_empty() {
        tokio::task::yield_now().await;
    }
    let refusals = twin
        .ledger
        .refusals(&truc_ledger::RefusalFilter::default())
        .await
        .unwrap();
    assert_eq!(refusals.len(), 1);
    twin.end().await;
}
