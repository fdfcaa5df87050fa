//! `truc bench …`: measures this machine. See [`crate::bench`].

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Answer, Context, Exit, Trouble};
use crate::bench::backlog::Backlog;
use crate::bench::broadcast::Broadcast;
use crate::bench::load::Load;
use crate::bench::plan::{
    BYTES_MAX, Cell, DOCUMENTS_MAX, KIB_MAX, KIB_MIN, Pace, RATE_MAX, ROUNDS_MAX, SYSTEMS_MAX, Signed, Store,
    usual_documents,
};
use crate::bench::province::AGENCIES_MAX;
use crate::bench::{self, Asked, Measurement};
use crate::config::{Config, QueueType};

/// Documents before the clock starts, unless fewer are on it.
const WARM_UP: usize = 300;

/// Size of the packets of a backlog.
const BACKLOG_KIB: u32 = 6;

/// The commands.
#[derive(Debug, Clone, Subcommand)]
pub enum Command {
    /// Documents a second at full load, beside a bare forwarder that moves the same messages
    #[command(
        after_help = "Examples:\n  truc bench load\n  truc bench load --sizes 4,200 --rounds 5\n  truc bench load --queues quorum --signed xml-rsa --json\n\nNeeds the package rabbitmq-server. Nothing of the machine's own services is touched."
    )]
    Load(LoadOptions),
    /// The same for all sizes, ledgers and kinds of queues
    #[command(
        after_help = "Examples:\n  truc bench matrix\n  truc bench matrix --rounds 1 --sizes 4,20\n\nTakes some fifteen minutes. Needs the package postgresql, too, unless --ledgers sqlite."
    )]
    Matrix(LoadOptions),
    /// How long a document takes when so many come a second, evenly
    #[command(
        after_help = "Examples:\n  truc bench rate\n  truc bench rate --rate 50 --seconds 60 --sizes 10"
    )]
    Rate(RateOptions),
    /// One packet to many recipients, until the last system has taken it
    #[command(
        after_help = "Examples:\n  truc bench broadcast\n  truc bench broadcast --systems 1500 --packets 3\n\nAll systems are on few connections of one broker user, each under its own name."
    )]
    Broadcast(BroadcastOptions),
    /// How soon a hub that starts with many waiting deliveries gives out the first
    #[command(
        after_help = "Examples:\n  truc bench backlog\n  truc bench backlog --documents 100000 --recipients 1 --systems 50"
    )]
    Backlog(BacklogOptions),
}

/// What is measured.
#[derive(Debug, Clone, Args)]
pub struct What {
    /// Sizes of the packets, in KiB
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(KIB_MIN as i64..=KIB_MAX as i64), value_name = "KIB")]
    pub sizes: Vec<u32>,
    /// Kinds of ledgers
    #[arg(long, value_delimiter = ',', value_enum, value_name = "KIND")]
    pub ledgers: Vec<Store>,
    /// Kinds of queues
    #[arg(long, value_delimiter = ',', value_parser = queue, value_name = "KIND")]
    pub queues: Vec<QueueType>,
    /// How the documents are signed
    #[arg(long, value_enum, default_value = "seal-es256")]
    pub signed: Signed,
    /// Systems, each sender and recipient
    #[arg(long, default_value_t = 8, value_parser = within(2, SYSTEMS_MAX))]
    pub systems: usize,
    /// Hub and forwarder in turns, so many times; the medians count
    #[arg(long, value_parser = within(1, ROUNDS_MAX))]
    pub rounds: Option<usize>,
    /// Where broker and ledger lie: a folder on the disk to be measured [default: beside this program]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Options of `load` and `matrix`.
#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// What.
    #[command(flatten)]
    pub what: What,
    /// Documents of each phase [default: by size]
    #[arg(long, value_parser = within(1, DOCUMENTS_MAX))]
    pub documents: Option<usize>,
    /// Submissions without a receipt, all senders together
    #[arg(long, default_value_t = 1024, value_parser = within(1, DOCUMENTS_MAX))]
    pub in_flight: usize,
}

/// Options of `rate`.
#[derive(Debug, Clone, Args)]
pub struct RateOptions {
    /// What.
    #[command(flatten)]
    pub what: What,
    /// Documents a second
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=RATE_MAX as i64))]
    pub rate: u32,
    /// Seconds of each phase
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
}

/// Options of `broadcast`.
#[derive(Debug, Clone, Args)]
pub struct BroadcastOptions {
    /// Systems that receive
    #[arg(long, default_value_t = 20, value_parser = within(1, SYSTEMS_MAX - 1))]
    pub systems: usize,
    /// Recipients, served by the systems in turns
    #[arg(long, default_value_t = 1500, value_parser = within(1, AGENCIES_MAX - 1))]
    pub recipients: usize,
    /// Packets, one after the other
    #[arg(long, default_value_t = 5, value_parser = within(1, ROUNDS_MAX))]
    pub packets: usize,
    /// Size of the packet, in KiB
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(KIB_MIN as i64..=KIB_MAX as i64), value_name = "KIB")]
    pub size: u32,
    /// The ledger and the queues.
    #[command(flatten)]
    pub place: Place,
}

/// Options of `backlog`.
#[derive(Debug, Clone, Args)]
pub struct BacklogOptions {
    /// Systems; their inboxes hold what waits
    #[arg(long, default_value_t = 50, value_parser = within(2, SYSTEMS_MAX))]
    pub systems: usize,
    /// Documents
    #[arg(long, default_value_t = 20_000, value_parser = within(1, DOCUMENTS_MAX))]
    pub documents: usize,
    /// Recipients of each, each with a system of its own
    #[arg(long, default_value_t = 5, value_parser = within(1, SYSTEMS_MAX - 1))]
    pub recipients: usize,
    /// The ledger and the queues.
    #[command(flatten)]
    pub place: Place,
}

/// One kind of ledger and of queues.
#[derive(Debug, Clone, Args)]
pub struct Place {
    /// Kind of ledger
    #[arg(long, value_enum, default_value = "sqlite", value_name = "KIND")]
    pub ledger: Store,
    /// Kind of queues
    #[arg(long, value_parser = queue, default_value = "classic", value_name = "KIND")]
    pub queue: QueueType,
    /// Where broker and ledger lie: a folder on the disk to be measured [default: beside this program]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

impl Place {
    fn asked(self, kib: u32, of: impl Fn(Cell) -> Measurement) -> Asked {
        let cell = Cell {
            kib,
            ledger: self.ledger,
            queue: self.queue,
            signed: Signed::SealEs256,
        };
        Asked {
            program: PathBuf::new(),
            measurements: vec![of(cell)],
            dir: self.dir,
            quiet: false,
            config: Config::default(),
        }
    }
}

fn within(min: usize, max: usize) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| {
        text.parse()
            .ok()
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| format!("expected a number from {min} to {max}"))
    }
}

fn queue(text: &str) -> Result<QueueType, String> {
    match text {
        "classic" => Ok(QueueType::Classic),
        "quorum" => Ok(QueueType::Quorum),
        _ => Err("expected classic or quorum".to_owned()),
    }
}

/// Answers a command.
///
/// # Errors
/// [`Trouble`] when nothing could be measured.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    let quiet = context.global.json;
    let asked = match command {
        Command::Load(options) => load(options, &[10], &[Store::Sqlite], &[QueueType::Classic], 3)?,
        Command::Matrix(options) => load(
            options,
            &[4, 10, 20, 200],
            &[Store::Sqlite, Store::Postgres],
            &[QueueType::Classic, QueueType::Quorum],
            3,
        )?,
        Command::Rate(options) => rate(options)?,
        Command::Broadcast(options) => {
            let BroadcastOptions {
                systems,
                recipients,
                packets,
                size,
                place,
            } = options;
            place.asked(size, |cell| {
                Measurement::Broadcast(Broadcast {
                    cell,
                    systems,
                    recipients,
                    packets,
                })
            })
        }
        Command::Backlog(options) => {
            let BacklogOptions {
                systems,
                documents,
                recipients,
                place,
            } = options;
            // The smallest packets: what waits is counted, not weighed.
            place.asked(BACKLOG_KIB, |cell| {
                Measurement::Backlog(Backlog {
                    cell,
                    systems,
                    documents,
                    recipients,
                })
            })
        }
    };
    let program = std::env::current_exe().map_err(|error| {
        Trouble::new(
            format!("this program cannot be found: {error}"),
            "start it by its full path",
        )
    })?;
    let asked = Asked {
        program,
        quiet,
        config: context.config()?,
        ..asked
    };
    let found = Box::pin(bench::run(&asked)).await.map_err(|error| {
        Trouble::of(
            &error,
            "look whether rabbitmq-server is installed, the folder of --dir is on a disk with room, and the machine is not overloaded",
        )
    })?;
    Answer::ending(Exit::Fine, found.text.trim_end(), &found.json)
}

fn load(
    options: LoadOptions,
    sizes: &[u32],
    ledgers: &[Store],
    queues: &[QueueType],
    rounds: usize,
) -> Result<Asked, Trouble> {
    let LoadOptions {
        what,
        documents,
        in_flight,
    } = options;
    let pace = Pace::Full {
        in_flight: (in_flight / what.systems).max(1),
    };
    plan(what, sizes, ledgers, queues, rounds, pace, &|kib| {
        documents.unwrap_or_else(|| usual_documents(kib))
    })
}

fn rate(options: RateOptions) -> Result<Asked, Trouble> {
    let RateOptions { what, rate, seconds } = options;
    let documents = usize::try_from(u64::from(rate) * u64::from(seconds)).unwrap_or(usize::MAX);
    let pace = Pace::Rate { per_second: rate };
    plan(
        what,
        &[10],
        &[Store::Sqlite],
        &[QueueType::Classic],
        2,
        pace,
        &|_| documents,
    )
}

/// Every combination of what was asked for, or else of what is usual.
fn plan(
    what: What,
    sizes: &[u32],
    ledgers: &[Store],
    queues: &[QueueType],
    rounds: usize,
    pace: Pace,
    documents: &dyn Fn(u32) -> usize,
) -> Result<Asked, Trouble> {
    let mut measurements = Vec::new();
    for &ledger in or(&what.ledgers, ledgers) {
        for &queue in or(&what.queues, queues) {
            for &kib in or(&what.sizes, sizes) {
                let documents = documents(kib);
                let bytes = u64::from(kib) * 1024 * documents as u64;
                if documents > DOCUMENTS_MAX || bytes > BYTES_MAX {
                    return Err(Trouble::new(
                        format!(
                            "{documents} documents of {kib} KiB are more than {DOCUMENTS_MAX} or {} GiB",
                            BYTES_MAX >> 30
                        ),
                        "measure fewer or smaller ones: they are made before the clock starts",
                    ));
                }
                measurements.push(Measurement::Load(Load {
                    cell: Cell {
                        kib,
                        ledger,
                        queue,
                        signed: what.signed,
                    },
                    systems: what.systems,
                    warm_up: WARM_UP.min(documents),
                    documents,
                    pace,
                    rounds: what.rounds.unwrap_or(rounds),
                }));
            }
        }
    }
    Ok(Asked {
        program: PathBuf::new(),
        measurements,
        dir: what.dir,
        quiet: false,
        config: Config::default(),
    })
}

fn or<'a, T>(asked: &'a [T], usual: &'a [T]) -> &'a [T] {
    if asked.is_empty() { usual } else { asked }
}
