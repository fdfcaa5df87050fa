//! `truc bench load`, `matrix` and `rate`: rounds of the hub and the bare forwarder in turns, on the same broker,
//! with the same documents, systems and queues.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;
use truc_ledger::query::PAGE_MAX;
use truc_ledger::{BalanceFilter, EventKind, Ledger};
use truc_model::wire::Intake;
use truc_transport::{AmqpBroker, Broker as _};

use super::clients::{Client, Driven, Phase, Samples};
use super::documents::{Documents, Order};
use super::forwarder::Task;
use super::machine::{Busy, Flush, Memory, Moment, flush_latency, memory, threads};
use super::plan::{Cell, Pace};
use super::processes::{Forwarder, Hub, form};
use super::province::Province;
use super::stats::{Spread, ms, rate};
use super::world::{World, differences, senders};
use crate::app;
use crate::demo::stage::{Doing, Stage, StageError, now};

/// How often the ledger is asked whether everything is taken.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longest wait for the ledger to have everything as taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a cell is measured.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Load {
    /// What.
    pub cell: Cell,
    /// Systems, each sender and recipient.
    pub systems: usize,
    /// Documents before the clock starts.
    pub warm_up: usize,
    /// Documents on the clock, in each phase.
    pub documents: usize,
    /// How fast they are submitted.
    pub pace: Pace,
    /// Hub and forwarder in turns, so many times.
    pub rounds: usize,
}

/// What was measured of a cell.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// How.
    pub load: Load,
    /// Bytes of a packet.
    pub bytes: usize,
    /// Keys of the hub's configuration that differ from the default.
    pub configuration: Vec<String>,
    /// The rounds.
    pub rounds: Vec<Round>,
}

/// One after the other on the same stage.
#[derive(Debug, Serialize)]
pub struct Round {
    /// The disk before.
    pub flush_before: Flush,
    /// The hub.
    pub hub: HubRun,
    /// The bare forwarder.
    pub bare: Run,
    /// The disk after.
    pub flush_after: Flush,
}

impl Round {
    /// The hub's rate over the forwarder's.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.hub.run.per_second / self.bare.per_second.max(f64::EPSILON)
    }
}

/// A phase, with whatever stood in the middle.
#[derive(Debug, Clone, Serialize)]
pub struct Run {
    /// Documents a second, whole way: submitted, receipted, delivered, taken, and `taken` settled with the broker
    /// (of the hub: recorded).
    pub per_second: f64,
    /// Documents a second whose receipts were in their senders' hands.
    pub receipted_per_second: f64,
    /// From when a document was to be submitted until its receipt was there.
    pub to_receipt: Spread,
    /// From when a document was to be submitted until its recipient had said `taken` and the broker kept that.
    pub to_taken: Spread,
    /// How late the senders were beside their timetable; zeros at full pace.
    pub lateness: Spread,
    /// Documents of one `taken` message, on average.
    pub documents_per_taken: f64,
    /// Processor time of the hub or the forwarder with all below it, in milliseconds a document.
    pub middle_cpu_ms: f64,
    /// Of the broker.
    pub broker_cpu_ms: f64,
    /// Of the ledger's own processes.
    pub store_cpu_ms: f64,
    /// Of the systems at the ends: this program.
    pub load_cpu_ms: f64,
    /// Of everything else on the machine, as a share of all processors.
    pub others: f64,
    /// What the processors did.
    pub machine: Busy,
    /// Memory of the hub or the forwarder.
    pub memory: Memory,
}

/// What only the hub has.
#[derive(Debug, Serialize)]
pub struct HubRun {
    /// As of the forwarder.
    #[serde(flatten)]
    pub run: Run,
    /// Memory before the first document.
    pub idle: Memory,
    /// Transactions that wrote events.
    pub commits: usize,
    /// Documents accepted in one transaction that accepted any, on average.
    pub documents_per_commit: f64,
    /// Events.
    pub events: usize,
    /// Processor time by threads, in milliseconds a document, since its start.
    pub threads: BTreeMap<String, f64>,
}

/// Measures a cell. `told` is called when a round begins.
///
/// # Errors
/// [`StageError`] when something was lost, doubled or changed, or a figure could not be got.
pub async fn measure(
    world: &mut World,
    load: &Load,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<Measured, StageError> {
    // An agency for each system, which writes to the next one's.
    let province = Province::new(load.systems, load.systems)?;
    let next = |sender: usize| (sender + 1) % load.systems;
    let routes: BTreeMap<String, Vec<String>> = (0..load.systems)
        .map(|sender| {
            (
                province.systems[sender].clone(),
                vec![province.systems[next(sender)].clone()],
            )
        })
        .collect();
    let mut measured = Measured {
        load: *load,
        bytes: 0,
        configuration: Vec::new(),
        rounds: Vec::new(),
    };
    for number in 1..=load.rounds {
        told(&format!("{}: {number}/{}", load.cell.name(), load.rounds));
        let stage = world.stage(&province, &load.cell, "").await?;
        let documents = {
            let senders = senders(&stage, &province.systems, load.cell.signed).await?;
            Documents::make(&Order {
                province: &province,
                senders: &senders,
                count: load.warm_up + load.documents,
                bytes: load.cell.kib as usize * 1024,
                recipients: &|sender| vec![next(sender)],
            })?
        };
        measured.bytes = documents.messages.first().map_or(0, |message| message.body.len());
        measured.configuration = differences(&stage.config);
        let mut clients = Vec::with_capacity(load.systems);
        for system in &province.systems {
            clients.push(Client::connect(&stage, system).await?);
        }
        let setting = Setting {
            world,
            load,
            stage: &stage,
            clients: &clients,
            documents: &documents,
            samples: &Samples::default(),
        };
        let flush_before = flush_latency(&stage.dir).await?;
        let hub = Box::pin(setting.hub()).await?;
        let bare = Box::pin(setting.bare(&routes)).await?;
        let flush_after = flush_latency(&stage.dir).await?;
        for client in &clients {
            client.close().await;
        }
        measured.rounds.push(Round {
            flush_before,
            hub,
            bare,
            flush_after,
        });
        let _ = std::fs::remove_dir_all(&stage.dir);
    }
    Ok(measured)
}

struct Setting<'a> {
    world: &'a World,
    load: &'a Load,
    stage: &'a Stage,
    clients: &'a [Client],
    documents: &'a Documents,
    samples: &'a Samples,
}

impl Setting<'_> {
    async fn hub(&self) -> Result<HubRun, StageError> {
        let mut hub = Hub::start(&self.world.program, self.stage)?;
        hub.ready(self.stage).await?;
        let idle = memory(hub.pid())?;
        let ledger = self.stage.ledger().await?;
        if self.load.warm_up > 0 {
            self.phase(0..self.load.warm_up).await?;
            all_taken(&ledger).await?;
        }
        let began = now();
        let before = Moment::now()?;
        let driven = self.phase(self.measured()).await?;
        all_taken(&ledger).await?;
        let took = driven.started.elapsed();
        let run = self.run(&before, hub.pid(), &driven, took)?;
        let threads = threads(hub.pid());
        hub.stop().await?;

        let commits = commits(&ledger, began).await?;
        let balance = ledger
            .balance(&BalanceFilter::default())
            .await
            .doing("balancing")?;
        let total = &balance.total;
        let all = self.documents.len() as u64;
        if !balance.balances() || total.accepted != all || total.taken != all {
            return Err(StageError(format!(
                "the ledger does not balance: {all} documents were sent, {total:?}"
            )));
        }
        if commits.accepted != self.load.documents {
            return Err(StageError(format!(
                "{} documents were sent on the clock, the ledger accepted {}",
                self.load.documents, commits.accepted
            )));
        }
        self.nothing_is_left().await?;
        let each = |time: Duration| ms(time) / all.max(1) as f64;
        Ok(HubRun {
            run,
            idle,
            commits: commits.writing,
            documents_per_commit: commits.accepted as f64 / commits.accepting.max(1) as f64,
            events: commits.events,
            threads: threads
                .into_iter()
                .map(|(name, spent)| (name, each(spent)))
                .collect(),
        })
    }

    async fn bare(&self, routes: &BTreeMap<String, Vec<String>>) -> Result<Run, StageError> {
        let sample = |sample: &std::sync::OnceLock<truc_transport::Message>| {
            sample
                .get()
                .map(form)
                .ok_or_else(|| StageError("the hub published nothing to imitate".to_owned()))
        };
        let task = Task {
            url: self.world.node.admin_amqp_url(&self.stage.vhost),
            routes: routes.clone(),
            delivery: sample(&self.samples.delivery)?,
            receipt: sample(&self.samples.receipt)?,
        };
        let mut forwarder = Forwarder::start(&self.world.program, &task).await?;
        if self.load.warm_up > 0 {
            let driven = self.phase(0..self.load.warm_up).await?;
            forwarder.finish(self.load.warm_up as u64, driven.said).await?;
        }
        let before = Moment::now()?;
        let driven = self.phase(self.measured()).await?;
        forwarder.finish(self.load.documents as u64, driven.said).await?;
        let took = driven.started.elapsed();
        let run = self.run(&before, forwarder.pid(), &driven, took)?;
        forwarder.stop().await?;
        self.nothing_is_left().await?;
        Ok(run)
    }

    const fn measured(&self) -> std::ops::Range<usize> {
        self.load.warm_up..self.load.warm_up + self.load.documents
    }

    async fn phase(&self, range: std::ops::Range<usize>) -> Result<Driven, StageError> {
        let phase = Phase {
            clients: self.clients,
            documents: self.documents,
            range,
            pace: self.load.pace,
            samples: self.samples,
        };
        Box::pin(phase.play()).await
    }

    fn run(&self, before: &Moment, middle: u32, driven: &Driven, took: Duration) -> Result<Run, StageError> {
        let after = Moment::now()?;
        let count = self.load.documents;
        let spent = |pid: u32| after.spent_since(before, pid);
        // This program started hub, forwarder, broker and the ledger's server: its own time is what is left of its tree.
        let (all, hub) = (spent(std::process::id()), spent(middle));
        let broker = spent(self.world.broker_pid()?);
        let store = self
            .world
            .store_pid(&self.load.cell)?
            .map_or(Duration::ZERO, spent);
        let machine = after.machine_since(before);
        let ours = all.max(hub + broker + store);
        let each = |time: Duration| ms(time) / count.max(1) as f64;
        Ok(Run {
            per_second: rate(count, took),
            receipted_per_second: rate(count, driven.receipted),
            to_receipt: Spread::of(driven.to_receipt.clone()),
            to_taken: Spread::of(driven.to_taken.clone()),
            lateness: Spread::of(driven.lateness.clone()),
            documents_per_taken: count as f64 / driven.said.max(1) as f64,
            middle_cpu_ms: each(hub),
            broker_cpu_ms: each(broker),
            store_cpu_ms: each(store),
            load_cpu_ms: each(ours.saturating_sub(hub + broker + store)),
            others: ((machine.seconds - ours.as_secs_f64()) / machine.seconds.max(f64::EPSILON)).max(0.0)
                * machine.busy,
            machine,
            memory: memory(middle)?,
        })
    }

    /// Nothing may be left in a queue, or one phase would carry another's load.
    async fn nothing_is_left(&self) -> Result<(), StageError> {
        let config = app::broker_config(&self.stage.config, "bench").doing("reading the address")?;
        let admin = AmqpBroker::connect(config).await.doing("connecting")?;
        let inboxes = self
            .stage
            .systems
            .values()
            .map(|system| truc_model::wire::inbox(&system.id));
        let queues = Intake::ALL
            .iter()
            .map(|intake| intake.queue().to_owned())
            .chain(inboxes)
            .chain([truc_model::wire::DEAD_QUEUE.to_owned()]);
        for queue in queues {
            crate::demo::stage::until(&format!("{queue} to be empty"), async || {
                let depth = admin.queue_depth(&queue).await.ok()?;
                (depth.ready == 0).then_some(())
            })
            .await?;
        }
        admin.close().await;
        Ok(())
    }
}

/// Waits until the ledger has every delivery as taken.
///
/// # Errors
/// [`StageError`] when it does not come to that.
pub async fn all_taken(ledger: &Ledger) -> Result<(), StageError> {
    let since = Instant::now();
    loop {
        let counts = ledger.inbox_counts().await.doing("asking the ledger")?;
        if counts
            .iter()
            .all(|count| count.scheduled + count.leased + count.forwarded == 0)
        {
            return Ok(());
        }
        if since.elapsed() > PATIENCE {
            return Err(StageError(format!("not everything was taken: {counts:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

struct Commits {
    accepting: usize,
    writing: usize,
    accepted: usize,
    events: usize,
}

/// How many transactions wrote events since a moment, and how many of them accepted documents: all events of one
/// transaction have its time, to the microsecond.
async fn commits(ledger: &Ledger, since: Timestamp) -> Result<Commits, StageError> {
    let (mut accepting, mut writing) = (BTreeSet::new(), BTreeSet::new());
    let (mut accepted, mut events) = (0, 0);
    let mut next = 1;
    loop {
        let page = ledger.events(next, PAGE_MAX).await.doing("reading the events")?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        for row in page.iter().filter(|row| row.at >= since) {
            events += 1;
            writing.insert(row.at);
            if row.kind == EventKind::DocumentAccepted {
                accepting.insert(row.at);
                accepted += 1;
            }
        }
    }
    Ok(Commits {
        accepting: accepting.len(),
        writing: writing.len(),
        accepted,
        events,
    })
}
