//! The part of a running hub that raises, tells and sends alerts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use truc_bodies::BodyStore;
use truc_ledger::alert::{ALERT_ORDERS_MAX, AlertKey, AlertOrder, ClearCause, Raise};
use truc_ledger::{HubId, Ledger, LedgerError};
use truc_model::{AlertKind, Clock, Random, Severity};
use truc_transport::Broker;

use super::route::route;
use super::send::Sender;
use super::unrecorded::Unrecorded;
use super::watch::Watcher;
use crate::app::stopped;
use crate::config::Config;
use crate::flow::rules::Rules;
use crate::telemetry::{Event, emit};

/// How long the ledger may take for alerts; then they count as not recorded.
pub const LEDGER_PATIENCE: Duration = Duration::from_secs(20);

/// How long an alert that is said again and again is not written again.
const SAID_AGAIN: SignedDuration = SignedDuration::from_secs(600);

/// How long the ledger must have committed without a complaint before its alert ends.
const LEDGER_WELL: SignedDuration = SignedDuration::from_secs(10);

/// What the service of alerts needs.
pub struct Alerts {
    /// The configuration.
    pub config: Arc<Config>,
    /// The ledger.
    pub ledger: Ledger,
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for ids of messages that the ledger does not know.
    pub random: Arc<dyn Random>,
    /// The rules in force.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// The store of bodies, where this hub has one.
    pub bodies: Option<BodyStore>,
    /// Where the [`super::signal::Bell`] rings.
    pub orders: mpsc::Receiver<AlertOrder>,
}

/// The service at work.
struct Running {
    config: Arc<Config>,
    hub: String,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    sender: Sender,
    unrecorded: Unrecorded,
    watcher: Watcher,
    /// Open alerts as far as this hub knows: how severe, and when last said.
    said: BTreeMap<AlertKey, (Severity, Timestamp)>,
    /// When the ledger last did not commit.
    ledger_failed: Option<Timestamp>,
}

impl Alerts {
    /// Runs until `stop` says so. What is not sent by then is sent by whoever runs next.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self {
            config,
            ledger,
            broker,
            clock,
            random,
            rules,
            bodies,
            mut orders,
        } = self;
        let settings = Arc::new(config.alert.clone());
        let hub = config.hub.name.clone();
        let mut look = interval(Duration::from_millis(settings.look_ms.max(1)));
        let mut watch = interval(Duration::from_secs(settings.watch_s.max(1)));
        for beat in [&mut look, &mut watch] {
            beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        let mut running = Running {
            hub: hub.clone(),
            sender: Sender::new(
                Arc::clone(&settings),
                HubId::new(&hub),
                ledger.clone(),
                Arc::clone(&clock),
            ),
            unrecorded: Unrecorded::new(Arc::clone(&settings), &hub, Arc::clone(&clock), random),
            watcher: Watcher::new(
                Arc::clone(&config),
                ledger.clone(),
                broker,
                Arc::clone(&clock),
                rules,
                bodies,
            ),
            config,
            ledger,
            clock,
            said: BTreeMap::new(),
            ledger_failed: None,
        };
        running.begin().await;
        let mut batch = Vec::new();
        let mut heard = true;
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                ended = running.sender.ended(), if running.sender.is_sending() => {
                    if let Some((post, result)) = ended
                        && let Err(error) = running.sender.report(&post, &result).await
                    {
                        running.failed(&error);
                    }
                }
                _ = running.unrecorded.ended(), if running.unrecorded.is_sending() => {}
                count = orders.recv_many(&mut batch, ALERT_ORDERS_MAX), if heard => {
                    heard = count > 0;
                    let batch = std::mem::take(&mut batch);
                    running.record(batch).await;
                }
                _ = look.tick() => running.tell().await,
                _ = watch.tick() => running.look().await,
            }
        }
    }
}

impl Running {
    /// A hub that begins wrote into the ledger and read its rules; what is wrong with its queues it will see.
    async fn begin(&mut self) {
        let over = [
            AlertKind::LedgerUnavailable,
            AlertKind::QueuesMissing,
            AlertKind::RulesKept,
            AlertKind::TrustKept,
        ];
        let orders = over.map(|kind| AlertOrder::Clear {
            kind,
            subject: self.hub.clone(),
            cause: ClearCause::Ended,
        });
        self.write(orders.to_vec()).await;
    }

    /// Records what is new, and what was not said for a while.
    async fn record(&mut self, orders: Vec<AlertOrder>) {
        let now = self.clock.now();
        let orders: Vec<AlertOrder> = orders
            .into_iter()
            .filter(|order| match order {
                AlertOrder::Raise(raise) => {
                    if raise.kind == AlertKind::LedgerUnavailable {
                        self.ledger_failed = Some(now);
                    }
                    !self.said.get(&key(order)).is_some_and(|(severity, at)| {
                        raise.severity <= *severity && now.duration_since(*at) < SAID_AGAIN
                    })
                }
                // Most things that are well were well before.
                AlertOrder::Clear { .. } => self.said.contains_key(&key(order)),
            })
            .collect();
        for part in orders.chunks(ALERT_ORDERS_MAX) {
            self.write(part.to_vec()).await;
        }
    }

    async fn write(&mut self, orders: Vec<AlertOrder>) {
        if orders.is_empty() {
            return;
        }
        let now = self.clock.now();
        let written = timeout(LEDGER_PATIENCE, self.ledger.alerts(orders.clone())).await;
        for order in &orders {
            match order {
                AlertOrder::Raise(raise) => self.said.insert(key(order), (raise.severity, now)),
                AlertOrder::Clear { .. } => self.said.remove(&key(order)),
            };
        }
        let error = match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if let Some(error) = &error {
            emit(Event::LedgerUnavailable { error });
        }
        self.ledger_failed = Some(now);
        let away = AlertOrder::Raise(Raise::new(AlertKind::LedgerUnavailable, &*self.hub));
        let sender = &self.sender;
        for order in std::iter::once(away).chain(orders) {
            self.unrecorded.keep(order, |channel| sender.outlet(channel));
        }
        self.unrecorded.begin();
    }

    fn failed(&mut self, error: &LedgerError) {
        emit(Event::LedgerUnavailable { error });
        self.ledger_failed = Some(self.clock.now());
        let away = AlertOrder::Raise(Raise::new(AlertKind::LedgerUnavailable, &*self.hub));
        let sender = &self.sender;
        self.unrecorded.keep(away, |channel| sender.outlet(channel));
        self.unrecorded.begin();
    }

    /// Says where changes go, and sends what is due.
    async fn tell(&mut self) {
        self.unrecorded.begin();
        if let Err(error) = self.told().await {
            self.failed(&error);
        }
    }

    async fn told(&mut self) -> Result<(), LedgerError> {
        if !self.unrecorded.is_empty() {
            let owed = self.unrecorded.owed().to_vec();
            self.ledger.alerts(owed).await?;
            self.unrecorded.settled();
        }
        let now = self.clock.now();
        let well = self
            .ledger_failed
            .is_some_and(|at| now.duration_since(at) >= LEDGER_WELL);
        if well {
            self.ledger_failed = None;
            let over = AlertOrder::Clear {
                kind: AlertKind::LedgerUnavailable,
                subject: self.hub.clone(),
                cause: ClearCause::Ended,
            };
            self.said.remove(&key(&over));
            self.ledger.alerts(vec![over]).await?;
        }
        let untold = self.ledger.untold_alerts().await?;
        let routed: Vec<_> = untold
            .iter()
            .filter_map(|row| route(&self.config.alert, row, now))
            .collect();
        if !routed.is_empty() {
            self.ledger.route_alerts(routed).await?;
        }
        self.sender.begin().await
    }

    /// Looks at the state of affairs.
    async fn look(&mut self) {
        match self.watcher.look().await {
            Ok((orders, open)) => {
                // What other hubs said and ended counts, too.
                self.said = open
                    .iter()
                    .map(|row| {
                        let key = AlertKey {
                            kind: row.kind,
                            subject: row.subject.clone(),
                        };
                        (key, (row.severity, row.seen_at))
                    })
                    .collect();
                for part in orders.chunks(ALERT_ORDERS_MAX) {
                    self.write(part.to_vec()).await;
                }
            }
            Err(error) => self.failed(&error),
        }
    }
}

fn key(order: &AlertOrder) -> AlertKey {
    let (kind, subject) = match order {
        AlertOrder::Raise(raise) => (raise.kind, &raise.subject),
        AlertOrder::Clear { kind, subject, .. } => (*kind, subject),
    };
    AlertKey {
        kind,
        subject: subject.clone(),
    }
}
