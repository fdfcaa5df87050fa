//! Puts the parts together: ledger, broker, rules, flow. What `truc serve` runs, and what tests run
//! inside their own process.

mod bodies;
mod broker;
mod error;

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use truc_directory::Directory;
use truc_envelope::seal::Trust;
use truc_ledger::alert::{AlertOrder, Raise};
use truc_ledger::{HubId, Ledger, Note, Store, TrustInForce};
use truc_model::wire::Intake;
use truc_model::{AlertKind, Clock, Random, SystemId, SystemRandom};
use truc_transport::{AmqpBroker, Broker, Topology};

pub use self::broker::{broker_config, broker_password};
pub use self::error::AppError;
use crate::alert::service::Alerts;
use crate::alert::signal::{Bell, raised_by};
use crate::config::{self, Config};
use crate::deadlines;
use crate::flow::bodies::{Bodies, LARGE_AT_ONCE};
use crate::flow::clean::{CLEAN_EVERY, Cleaner};
use crate::flow::deliver::Deliverer;
use crate::flow::ingest::Intakes;
use crate::flow::limits::Looker;
use crate::flow::reorganise::Mover;
use crate::flow::retention::Nightly;
use crate::flow::rules::Rules;
use crate::hubs::Hubs;
use crate::inspect::{Pool, Program};
use crate::queues::Queues;
use crate::telemetry::{Event, emit};
use crate::trust::{self, Change, FilesError};

/// Opens the ledger's store, without starting its writer.
///
/// # Errors
/// As [`crate::store::open`].
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    crate::store::open(config).await
}

/// Starts the ledger with its one writer.
///
/// # Errors
/// As [`open_store`].
pub async fn open_ledger(
    config: &Config,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Ledger, AppError> {
    let store = open_store(config).await?;
    let settings = truc_ledger::Settings {
        batch_max: config.ledger.batch_max,
        queue_max: config.ledger.queue_max,
        ..truc_ledger::Settings::default()
    };
    Ok(Ledger::start_on_own_thread(store, clock, random, settings))
}

/// The directory in force: the latest version the ledger holds, or an empty one.
///
/// # Errors
/// [`AppError::Directory`] when what is stored does not read.
pub async fn directory(ledger: &Ledger) -> Result<Directory, AppError> {
    match ledger.latest_directory().await? {
        Some((_, json)) => {
            Directory::from_json(&json).map_err(|error| AppError::Directory(error.to_string()))
        }
        None => Ok(Directory::empty()),
    }
}

/// Reads anchors and revocation lists.
///
/// # Errors
/// [`AppError`] naming the file that is missing or does not read.
pub fn trust(config: &Config) -> Result<Trust, AppError> {
    Ok(trust::load(&config.seal)?.trust)
}

/// The broker objects of a hub that serves `systems`.
#[must_use]
pub fn topology(config: &Config, systems: Vec<SystemId>) -> Topology {
    Topology::hub(queue_type(config), systems)
}

const fn queue_type(config: &Config) -> truc_transport::QueueType {
    match config.broker.queue_type {
        config::QueueType::Classic => truc_transport::QueueType::Classic,
        config::QueueType::Quorum => truc_transport::QueueType::Quorum,
    }
}

/// How long a stopping hub finishes what it has in hand: longer than a publish may take, shorter than a
/// service manager waits before it kills. What is then left is safe all the same: it comes again.
pub const STOP_PATIENCE: Duration = Duration::from_secs(50);

/// A hub ready to run.
pub struct App {
    config: Config,
    broker: Arc<dyn Broker>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    pdfs: Option<Program>,
    bodies: Option<Bodies>,
}

impl App {
    /// Opens the ledger and begins to connect to the broker, as the configuration says. A broker that is not
    /// there yet is no error: [`App::run`] waits for it.
    ///
    /// # Errors
    /// [`AppError`], naming what is missing.
    pub async fn connect(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, AppError> {
        let ledger = open_ledger(&config, Arc::clone(&clock), Arc::clone(&random)).await?;
        let broker = AmqpBroker::start(broker_config(&config, "hub")?);
        let bodies = bodies::open(&config, &ledger, &clock, &random).await?;
        let app = Self::new(config, broker, ledger, clock).with_pdf_worker(Program::own());
        Ok(Self {
            random,
            bodies,
            ..app
        })
    }

    /// A hub on parts one already has.
    #[must_use]
    pub fn new(config: Config, broker: Arc<dyn Broker>, ledger: Ledger, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            broker,
            ledger,
            clock,
            random: Arc::new(SystemRandom::default()),
            pdfs: None,
            bodies: None,
        }
    }

    /// The same hub, whose workers for PDFs are this program. Without one nobody looks at PDFs: tests that run
    /// a hub inside themselves are not `truc`.
    #[must_use]
    pub fn with_pdf_worker(self, program: Program) -> Self {
        Self {
            pdfs: Some(program),
            ..self
        }
    }

    /// Runs until `stop` says so: then nothing new is taken in, what is in hand is finished, and the
    /// connections are closed.
    ///
    /// # Errors
    /// [`AppError`] when a part cannot go on.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), AppError> {
        let Self {
            config,
            broker,
            ledger,
            clock,
            random,
            pdfs,
            bodies,
        } = self;
        let (bell, alert_orders) = Bell::new(&config.hub.name);
        let directory = Arc::new(directory(&ledger).await?);
        let systems: Vec<SystemId> = directory.systems().map(|system| system.id.clone()).collect();
        let queues = Queues::new(Arc::clone(&broker), ledger.clone(), queue_type(&config));
        let queues = Arc::new(queues.with_bell(bell.clone()));
        // Nobody judges by these: the ones in force are read when the broker is there. But that it is not there,
        // or the disk is full, must be told while the hub waits.
        let nothing = Trust::new::<&[u8]>(&[]).map_err(|source| {
            let key = "seal.anchors";
            AppError::Trust(FilesError::Unusable { key, source })
        })?;
        let waiting = Rules::new(&config, Arc::clone(&directory), Arc::new(nothing), clock.today());
        let (rules_in, rules_out) = watch::channel(Arc::new(waiting));
        let mut parts: JoinSet<Result<(), AppError>> = JoinSet::new();
        let alerts = Alerts {
            config: Arc::new(config.clone()),
            ledger: ledger.clone(),
            broker: Arc::clone(&broker),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
            rules: rules_out.clone(),
            bodies: bodies.as_ref().map(|bodies| bodies.store.clone()),
            orders: alert_orders,
        };
        let alerts_stop = stop.clone();
        parts.spawn(async move {
            alerts.run(alerts_stop).await;
            Ok(())
        });
        let declared = tokio::select! {
            declared = queues.declare_first(&systems) => declared,
            () = stopped(&mut stop) => {
                broker.close().await;
                return Ok(());
            }
        };
        declared?;
        let hubs = Hubs::new(Arc::clone(&broker), ledger.clone(), &config.hub.name);
        tokio::select! {
            taken = hubs.take_name() => taken?,
            () = stopped(&mut stop) => {
                broker.close().await;
                return Ok(());
            }
        }
        let hub = HubId::new(&config.hub.name);
        let version = env!("CARGO_PKG_VERSION").to_owned();
        ledger
            .note(Note::HubStarted {
                hub: hub.clone(),
                version,
            })
            .await?;
        emit(Event::Started {
            hub: &config.hub.name,
            systems: systems.len(),
            directory: directory.version(),
        });

        let (watch_files, trust) = trust::Watch::begin(&config.seal, clock.now())?;
        let deadlines = Arc::new(deadlines::load(&config.limits)?);
        let rules = Rules::new(&config, directory, Arc::new(trust), clock.today());
        let rules = Arc::new(rules.with_deadlines(deadlines));
        // Before the first document is judged by it.
        let told = watch_files.in_force(rules.certificates());
        ledger
            .note(Note::TrustInForce {
                hub: hub.clone(),
                trust: Box::new(told.clone()),
            })
            .await?;
        rules_in.send_replace(rules);
        let workers = match config.intake.verify_workers {
            0 => std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            workers => workers,
        };
        let intakes = Intakes {
            broker: Arc::clone(&broker),
            ledger: ledger.clone(),
            rules: rules_out,
            clock: Arc::clone(&clock),
            workers: Arc::new(Semaphore::new(workers)),
            large: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
            bodies: bodies.clone(),
            pdfs: pdfs
                .and_then(|program| Pool::new(program, (&config.inspect).into()))
                .map(|pool| pool.with_bell(bell.clone())),
        };

        for (intake, prefetch) in [
            (Intake::Document, config.broker.prefetch_document),
            (Intake::Status, config.broker.prefetch_status),
            (Intake::Taken, config.broker.prefetch_taken),
        ] {
            let (intakes, stop) = (intakes.clone(), stop.clone());
            parts.spawn(async move { Ok(intakes.run(intake, prefetch, stop).await?) });
        }
        let deliverer = Deliverer {
            broker: Arc::clone(&broker),
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            settings: config.delivery.clone(),
            owner: hub.clone(),
            hub_code: config.hub.code.clone(),
            queues: Arc::clone(&queues),
            bodies: bodies.clone(),
        };
        if let Some(apart) = &bodies {
            let rules = intakes.rules.clone();
            bodies::start(apart, &config, random.as_ref(), rules, &mut parts, &stop).await?;
        }
        let deliver_stop = stop.clone();
        parts.spawn(async move { Ok(deliverer.run(deliver_stop).await?) });
        let (kept, kept_rules, kept_stop) = (Arc::clone(&queues), intakes.rules.clone(), stop.clone());
        parts.spawn(async move {
            kept.keep(kept_rules, kept_stop).await;
            Ok(())
        });
        let cleaner = Cleaner {
            broker: Arc::clone(&broker),
            ledger: ledger.clone(),
            every: CLEAN_EVERY,
        };
        let cleaner_stop = stop.clone();
        parts.spawn(async move {
            cleaner.run(cleaner_stop).await;
            Ok(())
        });
        let hubs_stop = stop.clone();
        parts.spawn(async move { Ok(hubs.watch(hubs_stop).await?) });
        let nightly = Nightly {
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            settings: config.retention.clone(),
            look_every: Duration::from_millis(config.directory.refresh_ms.max(1)),
        };
        let nightly_stop = stop.clone();
        parts.spawn(async move {
            nightly.run(nightly_stop).await;
            Ok(())
        });
        let looker = Looker {
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            rules: intakes.rules.clone(),
            look_every: Duration::from_secs(config.limits.look_s.max(1)),
        };
        let looker_stop = stop.clone();
        parts.spawn(async move {
            looker.run(looker_stop).await;
            Ok(())
        });
        let mover = Mover {
            ledger: ledger.clone(),
            rules: intakes.rules.clone(),
            look_every: Duration::from_millis(config.directory.refresh_ms.max(1)),
        };
        let mover_stop = stop.clone();
        parts.spawn(async move {
            mover.run(mover_stop).await;
            Ok(())
        });
        let keeper = Keeper {
            bell: bell.clone(),
            config: config.clone(),
            broker: Arc::clone(&broker),
            queues,
            ledger: ledger.clone(),
            clock: Arc::clone(&clock),
            rules: rules_in,
            hub: hub.clone(),
            told,
            deadlines_kept: String::new(),
            calendar_told: None,
        };
        parts.spawn(keeper.run(watch_files, stop.clone()));

        // A part that ends before it is told to ends the hub: half a hub would look healthy.
        let mut result = Ok(());
        let mut last_words = None;
        let mut told = stop.clone();
        let mut patience = std::pin::pin!(async move {
            stopped(&mut told).await;
            tokio::time::sleep(STOP_PATIENCE).await;
        });
        loop {
            let ended = tokio::select! {
                ended = parts.join_next() => ended,
                () = &mut patience => {
                    emit(Event::StopCutShort { parts: parts.len() });
                    last_words = raised_by(&Event::StopCutShort { parts: parts.len() }, hub.as_str());
                    break;
                }
            };
            let Some(ended) = ended else { break };
            match ended {
                Ok(Ok(())) if *stop.borrow() => {}
                Ok(Ok(())) => {
                    result = Err(AppError::PartEnded);
                    break;
                }
                Ok(Err(error)) => {
                    result = Err(error);
                    break;
                }
                Err(panicked) => {
                    result = Err(panicked.into());
                    break;
                }
            }
        }
        emit(Event::Stopping {
            hub: &config.hub.name,
        });
        parts.shutdown().await;
        match &result {
            Ok(()) => {}
            Err(AppError::Name(taken)) => {
                last_words = raised_by(&Event::NameTaken { hub: &taken.name }, hub.as_str());
            }
            Err(_) => {
                last_words = Some(Raise::new(AlertKind::Defect, hub.as_str()).with("part", "ended"));
            }
        }
        if let Some(raise) = last_words {
            // Whoever runs next sends it. A ledger that does not take it now is told of elsewhere.
            let _ = ledger.alerts(vec![AlertOrder::Raise(raise)]).await;
        }
        if result.is_ok()
            && let Err(error) = ledger.note(Note::HubStopped { hub }).await
        {
            // The hub stops in good order all the same.
            emit(Event::LedgerUnavailable { error: &error });
        }
        broker.close().await;
        result
    }
}

/// Comes back when the hub is told to stop, or when nobody is left who could tell it.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // The guard that wait_for gives must not live across an await of its caller.
    let _ = stop.wait_for(|stop| *stop).await.map(|_| ());
}

/// Keeps the rules up to date, tells of broker states, and of deliveries nobody takes.
struct Keeper {
    config: Config,
    broker: Arc<dyn Broker>,
    queues: Arc<Queues>,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    rules: watch::Sender<Arc<Rules>>,
    hub: HubId,
    /// What the ledger was told of the trust in force.
    told: TrustInForce,
    bell: Bell,
    /// Why changed calendar files are not in force; empty when they are.
    deadlines_kept: String,
    /// On which day the calendar was last looked through.
    calendar_told: Option<Date>,
}

impl Keeper {
    async fn run(mut self, mut files: trust::Watch, mut stop: watch::Receiver<bool>) -> Result<(), AppError> {
        let mut broker_state = self.broker.state();
        // Its own beat: a broker that comes and goes must not put the looks off again and again.
        let mut refresh =
            tokio::time::interval(Duration::from_millis(self.config.directory.refresh_ms.max(1)));
        refresh.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return Ok(()),
                Ok(()) = broker_state.changed() => emit(Event::Broker { state: &broker_state.borrow_and_update() }),
                _ = refresh.tick() => {
                    // First, and by itself: a ledger that is away must not keep a revocation waiting.
                    files = self.renew_trust(files).await?;
                    self.renew_deadlines().await?;
                    if let Err(error) = self.renew().await {
                        self.bell.emit(Event::RulesKept { reason: &crate::telemetry::chain(&error) });
                    } else if self.deadlines_kept.is_empty() {
                        self.bell.clear(AlertKind::RulesKept);
                    }
                    self.tell_of_trust(&files).await;
                    self.tell_of_untaken().await;
                }
            }
        }
    }

    /// Puts changed anchors and revocation lists in force, and tells of lists that age.
    ///
    /// # Errors
    /// [`AppError::Task`] when looking panicked.
    async fn renew_trust(&self, mut files: trust::Watch) -> Result<trust::Watch, AppError> {
        let now = self.clock.now();
        // Lists can have megabytes, and disks can be slow.
        let (files, look) = tokio::task::spawn_blocking(move || {
            let look = files.look(now);
            (files, look)
        })
        .await?;
        match look.change {
            Change::None => {}
            Change::Renewed(trust) => {
                let old = self.rules.borrow().clone();
                let directory = Arc::clone(&old.directory);
                self.put_in_force(directory, Arc::from(trust), old.today);
                emit(Event::Trust {
                    anchors: self.config.seal.anchors.len(),
                    crls: self.config.seal.crls.len(),
                });
                self.bell.clear(AlertKind::TrustKept);
            }
            Change::Kept(error) => self.bell.emit(Event::TrustKept { error: &error }),
        }
        for list in files.fresh(now) {
            self.bell.list_is_fresh(list);
        }
        for (list, freshness) in &look.aging {
            self.bell.emit(Event::CrlAging {
                list,
                freshness: *freshness,
                policy: self.config.seal.stale_crl,
            });
        }
        Ok(files)
    }

    /// Puts a new version of the directory or a new day in force.
    async fn renew(&self) -> Result<(), AppError> {
        let today = self.clock.today();
        let old = self.rules.borrow().clone();
        let directory = Arc::new(directory(&self.ledger).await?);
        let version = directory.version();
        if version == old.directory.version() && today == old.today {
            return Ok(());
        }
        let systems: Vec<SystemId> = directory.systems().map(|system| system.id.clone()).collect();
        // Before the first document for a new inbox; but a broker that refuses a queue must not keep a
        // switched-off system or an ended certificate in force.
        self.queues.declare_and_tell(&systems).await;
        self.put_in_force(directory, Arc::clone(&old.trust), today);
        emit(Event::Directory { version });
        Ok(())
    }

    fn put_in_force(&self, directory: Arc<Directory>, trust: Arc<Trust>, today: Date) {
        let deadlines = self.rules.borrow().deadlines.clone();
        let rules = Rules::new(&self.config, directory, trust, today);
        let rules = match deadlines {
            Some(deadlines) => rules.with_deadlines(deadlines),
            None => rules,
        };
        self.rules.send_replace(Arc::new(rules));
    }

    /// Puts a changed calendar or changed time limits in force, and tells once a day when the calendar lacks
    /// something.
    ///
    /// # Errors
    /// [`AppError::Task`] when reading panicked.
    async fn renew_deadlines(&mut self) -> Result<(), AppError> {
        let limits = self.config.limits.clone();
        let of_files = !limits.calendar.as_os_str().is_empty() || !limits.file.as_os_str().is_empty();
        let old = self.rules.borrow().clone();
        if of_files {
            // Disks can be slow.
            match tokio::task::spawn_blocking(move || deadlines::load(&limits)).await? {
                Ok(new) => {
                    self.deadlines_kept.clear();
                    if old.deadlines.as_deref() != Some(&new) {
                        let rules = Rules::clone(&old).with_deadlines(Arc::new(new));
                        self.rules.send_replace(Arc::new(rules));
                        self.calendar_told = None;
                    }
                }
                Err(error) => {
                    let reason = crate::telemetry::chain(&error);
                    if self.deadlines_kept != reason {
                        self.bell.emit(Event::DeadlinesKept { reason: &reason });
                        self.deadlines_kept = reason;
                    }
                }
            }
        }
        let today = self.clock.today();
        if self.calendar_told != Some(today) {
            self.calendar_told = Some(today);
            let deadlines = self.rules.borrow().deadlines.clone();
            let findings = deadlines.map_or(0, |deadlines| {
                let findings = deadlines.calendar().check(today);
                findings.iter().filter(|finding| finding.is_fault()).count()
            });
            if findings > 0 {
                self.bell.emit(Event::CalendarLacks { findings });
            } else {
                self.bell.clear(AlertKind::CalendarLacks);
            }
        }
        Ok(())
    }

    /// Writes into the ledger what is in force, when it changed: by files, the directory or the day. When the
    /// ledger is away it is told at a later look; the change itself does not wait for it.
    async fn tell_of_trust(&mut self, files: &trust::Watch) {
        let trust = files.in_force(self.rules.borrow().certificates());
        if trust == self.told {
            return;
        }
        let note = Note::TrustInForce {
            hub: self.hub.clone(),
            trust: Box::new(trust.clone()),
        };
        match self.ledger.note(note).await {
            Ok(_) => self.told = trust,
            Err(error) => self.bell.emit(Event::LedgerUnavailable { error: &error }),
        }
    }

    async fn tell_of_untaken(&self) {
        let older_than = Duration::from_secs(self.config.delivery.not_taken_after_h.saturating_mul(3600));
        match self.ledger.not_taken_alerts(older_than).await {
            Ok(late) if late.is_empty() => {}
            Ok(late) => emit(Event::NotTaken {
                deliveries: late.len(),
            }),
            Err(error) => self.bell.emit(Event::LedgerUnavailable { error: &error }),
        }
    }
}
