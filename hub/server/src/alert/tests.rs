//! The service of alerts as a whole: from what is wrong to what arrives, over the ledger in memory, a broker in
//! memory and real servers; time is set by hand, and nothing is waited for but conditions.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use truc_bodies::BodyStore;
use truc_directory::Directory;
use truc_ledger::alert::{AlertFilter, AlertOrder, Raise};
use truc_ledger::{EventKind, Ledger, MemoryStore, Settings, StoreError};
use truc_model::{AlertKind, Clock, ManualClock, Random, SeededRandom};
use truc_transport::MemoryBroker;

use super::message::tests::at;
use super::service::Alerts;
use super::signal::Bell;
use super::test_http::{Answer, Server};
use super::test_smtp;
use crate::config::Config;
use crate::config::alert::{Channel, Mail, MailSecurity, Rule, Webhook};
use crate::flow::rules::Rules;
use crate::telemetry::Event;

/// One hub's service, with what it stands on.
struct Hub {
    bell: Bell,
    ledger: Ledger,
    stop: watch::Sender<bool>,
    service: JoinHandle<()>,
}

struct World {
    store: MemoryStore,
    clock: Arc<ManualClock>,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            store: MemoryStore::new(),
            clock: Arc::new(ManualClock::at(at(0))),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn webhook(&self, name: &str, server: &Server) -> Channel {
        let secret_file = self.dir.path().join("secret");
        std::fs::write(&secret_file, "0123456789abcdef0123456789abcdef").unwrap();
        Channel::Webhook(Webhook {
            name: name.to_owned(),
            url: server.url(&format!("/{name}")),
            secret_file,
            ca_file: Path::new("").to_owned(),
            timeout_ms: 5_000,
            per_hour: 1_000,
            quiet: false,
        })
    }

    fn mail(&self, server: &test_smtp::Server) -> Channel {
        Channel::Mail(Mail {
            name: "mail".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: server.port(),
            security: MailSecurity::None,
            user: String::new(),
            password_file: Path::new("").to_owned(),
            ca_file: Path::new("").to_owned(),
            from: "truc@example.vn".to_owned(),
            to: vec!["a@example.vn".to_owned()],
            timeout_ms: 5_000,
            per_hour: 1_000,
            quiet: false,
        })
    }

    fn config(&self, name: &str, channels: Vec<Channel>) -> Config {
        let mut config = Config::default();
        config.hub.name = name.to_owned();
        config.ledger.path = self.dir.path().join("truc.db");
        config.broker.management_url = "https://not-asked.example".to_owned();
        config.alert.look_ms = 5;
        config.alert.watch_s = 3_600;
        config.alert.group_s = 30;
        config.alert.attempts_max = 2;
        config.alert.disk_warning_mb = 0;
        config.alert.disk_critical_mb = 0;
        config.alert.channels = channels;
        config
    }

    fn start(&self, config: Config) -> Hub {
        self.start_with(config, None)
    }

    fn start_with(&self, config: Config, bodies: Option<BodyStore>) -> Hub {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let random: Arc<dyn Random> = Arc::new(SeededRandom::new(config.hub.name.len() as u64));
        let ledger = Ledger::start(
            Arc::new(self.store.clone()),
            Arc::clone(&clock),
            Arc::clone(&random),
            Settings::default(),
        );
        let directory = Arc::new(Directory::default());
        let trust = truc_envelope::seal::Trust::new::<&[u8]>(&[]).unwrap();
        let rules = Rules::new(&config, directory, Arc::new(trust), clock.today());
        let (_rules_in, rules) = watch::channel(Arc::new(rules));
        let (bell, orders) = Bell::new(&config.hub.name);
        let (stop, stopped) = watch::channel(false);
        let alerts = Alerts {
            config: Arc::new(config),
            ledger: ledger.clone(),
            broker: Arc::new(MemoryBroker::new()),
            clock,
            random,
            rules,
            bodies,
            orders,
        };
        Hub {
            bell,
            ledger,
            stop,
            service: tokio::spawn(alerts.run(stopped)),
        }
    }
}

impl Hub {
    async fn raise(&self, kind: AlertKind, subject: &str) {
        let order = AlertOrder::Raise(Raise::new(kind, subject));
        self.ledger.alerts(vec![order]).await.unwrap();
    }

    /// Until nothing is untold: it is in a message.
    async fn routed(&self) {
        while !self.ledger.untold_alerts().await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    async fn open(&self) -> Vec<AlertKind> {
        let rows = self.ledger.open_alerts(&AlertFilter::default()).await.unwrap();
        rows.iter().map(|row| row.kind).collect()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.service.await.unwrap();
    }
}

fn subjects(message: &Value) -> Vec<String> {
    let lines = message["lines"].as_array().unwrap();
    lines
        .iter()
        .map(|line| {
            format!(
                "{} {}",
                line["change"].as_str().unwrap(),
                line["subject"].as_str().unwrap()
            )
        })
        .collect()
}

/// A server that never answers in a test would hang it; so that it says so instead.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future)
        .await
        .expect("it did not come within a minute")
}

#[tokio::test]
async fn from_wrong_to_well_again_by_both_channels() {
    let world = World::new();
    let (room, letters) = (
        Server::start().await,
        test_smtp::Server::start(test_smtp::Manners::Plain).await,
    );
    let hub = world.start(world.config("hub-1", vec![world.webhook("room", &room), world.mail(&letters)]));
    hub.bell.emit(Event::StopCutShort { parts: 2 });
    for system in ["so", "xa"] {
        hub.raise(AlertKind::InboxOdd, system).await;
    }
    within(hub.routed()).await;
    while hub.open().await.len() < 3 {
        tokio::task::yield_now().await;
    }
    within(hub.routed()).await;
    assert_eq!(room.waiting(), 0, "they gather");
    world.clock.advance(30);
    let mut messages = [within(room.next()).await.json(), within(room.next()).await.json()];
    messages.sort_by_key(|message| message["kind"].as_str().unwrap().to_owned());
    assert_eq!(subjects(&messages[0]), ["raised so", "raised xa"]);
    assert_eq!(subjects(&messages[1]), ["raised hub-1"]);
    for _ in 0..2 {
        let letter = within(letters.next()).await;
        assert!(letter.text.contains("Auto-Submitted"), "{}", letter.text);
    }
    // Said again, it is not told again; ended, it is.
    hub.raise(AlertKind::InboxOdd, "so").await;
    hub.bell.clear_of(AlertKind::InboxOdd, "xa");
    // The service knows of the alert by what it said itself or saw: it was raised past it.
    let clear = AlertOrder::Clear {
        kind: AlertKind::InboxOdd,
        subject: "xa".to_owned(),
        cause: truc_ledger::alert::ClearCause::Ended,
    };
    hub.ledger.alerts(vec![clear]).await.unwrap();
    within(hub.routed()).await;
    world.clock.advance(30);
    let end = within(room.next()).await.json();
    assert_eq!(subjects(&end), ["cleared xa"]);
    assert_eq!(end["all_clear"], true);
    assert_eq!(room.waiting(), 0);
    hub.end().await;
}

#[tokio::test]
async fn what_fails_is_tried_again_and_the_other_channel_is_told() {
    let world = World::new();
    let (bad, good) = (Server::start().await, Server::start().await);
    let channels = vec![world.webhook("bad", &bad), world.webhook("good", &good)];
    let mut config = world.config("hub-1", channels);
    config.alert.rules = vec![
        Rule {
            kinds: vec![AlertKind::DiskLow],
            severity: truc_model::Severity::Info,
            systems: vec![],
            agencies: vec![],
            channels: vec!["bad".to_owned()],
        },
        Rule {
            kinds: vec![AlertKind::ChannelFailing],
            severity: truc_model::Severity::Info,
            systems: vec![],
            agencies: vec![],
            channels: vec!["bad".to_owned(), "good".to_owned()],
        },
    ];
    let hub = world.start(config);
    bad.answer(Answer::status(500));
    bad.answer(Answer::status(500));
    hub.raise(AlertKind::DiskLow, "hub-9").await;
    within(hub.routed()).await;
    world.clock.advance(30);
    let first = within(bad.next()).await;
    // The first wait is ten seconds: until it is written that it failed, the clock stands.
    while hub.ledger.alert_posts().await.unwrap()[0].failure.is_none() {
        tokio::task::yield_now().await;
    }
    world.clock.advance(10);
    let second = within(bad.next()).await;
    assert_eq!(first.header("truc-alert-id"), second.header("truc-alert-id"));
    assert_ne!(
        first.header("truc-alert-signature"),
        second.header("truc-alert-signature")
    );
    // Given up: told by the channel that works, and by that one alone.
    while !hub.open().await.contains(&AlertKind::ChannelFailing) {
        tokio::task::yield_now().await;
    }
    within(hub.routed()).await;
    world.clock.advance(30);
    let told = within(good.next()).await.json();
    assert_eq!(subjects(&told), ["raised bad"]);
    assert_eq!(bad.waiting(), 0);
    // Mended: it goes again, and the alert about the channel ends.
    let revive = truc_ledger::alert::AlertRevive { post: None };
    assert_eq!(hub.ledger.revive_alerts(revive).await.unwrap(), 1);
    let third = within(bad.next()).await;
    assert_eq!(third.header("truc-alert-id"), first.header("truc-alert-id"));
    while hub.open().await.contains(&AlertKind::ChannelFailing) {
        tokio::task::yield_now().await;
    }
    within(hub.routed()).await;
    world.clock.advance(30);
    assert_eq!(subjects(&within(good.next()).await.json()), ["cleared bad"]);
    hub.end().await;
}

#[tokio::test]
async fn two_hubs_tell_once_and_the_next_life_goes_on() {
    let world = World::new();
    let room = Server::start().await;
    let start = |name: &str| world.start(world.config(name, vec![world.webhook("room", &room)]));
    let (one, two) = (start("hub-1"), start("hub-2"));
    for n in 0..20 {
        one.raise(AlertKind::InboxOdd, &format!("s{n}")).await;
    }
    within(one.routed()).await;
    world.clock.advance(30);
    let message = within(room.next()).await.json();
    assert_eq!(message["lines"].as_array().unwrap().len(), 20);
    while !one.ledger.alert_posts().await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(room.waiting(), 0);
    // One alert more, that gathers while both die.
    one.raise(AlertKind::BrokerAway, "hub-1").await;
    within(one.routed()).await;
    one.end().await;
    two.end().await;
    world.clock.advance(30);
    let third = start("hub-3");
    assert_eq!(subjects(&within(room.next()).await.json()), ["raised hub-1"]);
    third.end().await;
}

#[tokio::test]
async fn without_a_ledger_it_gets_out_and_is_recorded_afterwards() {
    let world = World::new();
    let room = Server::start().await;
    let hub = world.start(world.config("hub-1", vec![world.webhook("room", &room)]));
    // The first of its words is written; then the disk is full for the next.
    while hub.ledger.head().await.is_err() {
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    world.store.fail_next_commit(StoreError::Full("no space".into()));
    hub.bell.emit(Event::StopCutShort { parts: 1 });
    let message = within(room.next()).await.json();
    assert_eq!(
        (&message["recorded"], &message["kind"]),
        (&Value::Bool(false), &"ledger-unavailable".into())
    );
    // The ledger is back: both are recorded, and the end of the one is told by the ledger's own way.
    while !hub.open().await.contains(&AlertKind::StopCutShort) {
        tokio::task::yield_now().await;
    }
    world.clock.advance(11);
    while hub.open().await.contains(&AlertKind::LedgerUnavailable) {
        tokio::task::yield_now().await;
    }
    within(hub.routed()).await;
    world.clock.advance(30);
    let mut told = Vec::new();
    while told.len() < 2 {
        let message = within(room.next()).await.json();
        assert_eq!(message["recorded"], true);
        told.extend(subjects(&message));
    }
    assert!(told.contains(&"over hub-1".to_owned()), "{told:?}");
    let events = hub
        .ledger
        .events_of_hub(&[EventKind::AlertCleared], None, 10)
        .await
        .unwrap();
    assert_eq!(events.len(), 1);
    hub.end().await;
}

#[tokio::test]
async fn the_command_tries_every_channel_and_says_what_came_back() {
    use clap::Parser as _;

    use crate::cli::{Cli, Context, Exit, answer};

    let world = World::new();
    let (good, bad) = (Server::start().await, Server::start().await);
    let secret = world.dir.path().join("secret");
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    let channel = |name: &str, server: &Server| {
        format!(
            "[[alert.channels]]\nkind = \"webhook\"\nname = \"{name}\"\nurl = \"{}\"\nsecret_file = \"secret\"\n",
            server.url("/")
        )
    };
    let file = world.dir.path().join("truc.toml");
    std::fs::write(&file, channel("good", &good) + &channel("bad", &bad)).unwrap();
    let ask = async |line: &str| {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        let context = Context {
            global: crate::cli::Global {
                config: Some(file.clone()),
                json: false,
            },
            clock: Arc::clone(&world.clock) as _,
            random: Arc::new(SeededRandom::new(1)),
        };
        answer(&context, cli.command).await
    };
    bad.answer(Answer::redirect("http://127.0.0.1:1/"));
    let said = ask("truc alert test").await.unwrap();
    assert_eq!(said.exit, Exit::Finding);
    let lines = said.json["channels"].as_array().unwrap();
    assert_eq!(
        (&lines[0]["channel"], &lines[0]["sent"]),
        (&"good".into(), &true.into())
    );
    assert_eq!(
        (&lines[1]["channel"], &lines[1]["failure"]),
        (&"bad".into(), &"redirected".into())
    );
    assert!(
        said.text.contains("ĐƯỢC") && said.text.contains("HTTP 302"),
        "{}",
        said.text
    );
    let request = within(good.next()).await.json();
    assert_eq!(
        (&request["test"], &request["lines"]),
        (&true.into(), &Value::Array(vec![]))
    );
    within(bad.next()).await;
    let one = ask("truc alert test --channel bad").await.unwrap();
    assert_eq!(one.exit, Exit::Fine, "{}", one.text);
    assert_eq!(good.waiting(), 0);
    let trouble = ask("truc alert test --channel none").await.unwrap_err();
    assert!(trouble.next.contains("good, bad"), "{trouble}");
}

#[tokio::test]
async fn a_store_of_bodies_that_fails_is_told_and_its_all_clear_too() {
    let world = World::new();
    let room = Server::start().await;
    let mut config = world.config("hub-1", vec![world.webhook("room", &room)]);
    config.alert.watch_s = 1;
    config.alert.bodies_away_s = 0;
    config.alert.bodies_disk_warning_mb = 0;
    config.alert.rules = vec![Rule {
        kinds: vec![AlertKind::BodyStoreAway],
        severity: truc_model::Severity::Info,
        systems: vec![],
        agencies: vec![],
        channels: vec!["room".to_owned()],
    }];
    let (here, elsewhere) = (world.dir.path().join("bodies"), world.dir.path().join("away"));
    config.bodies.dir = here.clone();
    config.bodies.disk_floor_mb = 0;
    let clock = Arc::clone(&world.clock) as Arc<dyn Clock>;
    let random = Arc::new(SeededRandom::new(9));
    let store = BodyStore::open_local(config.bodies.settings(), clock, random).await;
    let hub = world.start_with(config, Some(store.unwrap()));
    std::fs::rename(&here, &elsewhere).unwrap();
    let open = async |kind| {
        while hub.open().await.contains(&AlertKind::BodyStoreAway) != kind {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        hub.routed().await;
    };
    within(open(true)).await;
    world.clock.advance(30);
    let told = within(room.next()).await.json();
    assert_eq!(told["kind"], "body-store-away");
    assert_eq!(subjects(&told), ["raised hub-1"]);
    std::fs::rename(&elsewhere, &here).unwrap();
    within(open(false)).await;
    world.clock.advance(30);
    let told = within(room.next()).await.json();
    assert_eq!(subjects(&told), ["cleared hub-1"]);
    hub.end().await;
}
