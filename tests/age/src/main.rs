//! `truc-age`: fills a ledger with years of traffic, and measures it beside an empty one in the same run.
//!
//! A tool for those who change the ledger: what is quick with a thousand documents may be slow with five million.
//! How to use it and what the figures mean: `docs/reference/age.md`. What it leaves out: broker, checks, seals.

mod fill;
mod measure;
mod report;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use truc_ledger::contract::aged::Ageing;
use truc_ledger::{LedgerError, Store, StoreError};
use truc_ledger_sqlite::SqliteStore;

/// When the traffic ends, unless said otherwise: fixed, so that the same call writes the same ledger.
const UNTIL: &str = "2026-11-01T00:00:00Z";

#[derive(Debug, Parser)]
#[command(
    name = "truc-age",
    about = "Fills a ledger with years of traffic and measures it beside an empty one."
)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Writes documents until the ledger has so many. Goes on where an earlier call was stopped.
    Fill {
        /// The ledger; made when it is not there.
        ledger: PathBuf,
        /// How many documents in all; four recipients each on average.
        #[arg(long, default_value_t = 200_000)]
        documents: u64,
        /// When the three years end.
        #[arg(long, default_value = UNTIL)]
        until: Timestamp,
        /// Stops when less than this is free on the disk, in MiB.
        #[arg(long, default_value_t = 8192)]
        disk_left_mb: u64,
    },
    /// Measures a filled ledger beside an empty one made for it. Adds what it submits to both.
    Measure {
        /// The filled ledger.
        ledger: PathBuf,
        /// Rounds of intake, old and empty in turn.
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Documents submitted in a round.
        #[arg(long, default_value_t = 2000)]
        documents: u64,
        /// How often each question is asked.
        #[arg(long, default_value_t = 100)]
        questions: usize,
        /// Also asks what reads the whole ledger.
        #[arg(long)]
        whole: bool,
    },
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// A back end.
    #[error("the ledger's file cannot be used")]
    Store(#[from] StoreError),
    /// The ledger.
    #[error("the ledger cannot be used")]
    Ledger(#[from] LedgerError),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Fill {
            ledger,
            documents,
            until,
            disk_left_mb,
        } => {
            let ageing = Ageing::three_years(documents, until);
            fill::fill(&ledger, ageing, disk_left_mb).await
        }
        Task::Measure {
            ledger,
            rounds,
            documents,
            questions,
            whole,
        } => {
            let plan = measure::Plan {
                rounds,
                documents,
                questions,
                whole,
            };
            measure::measure(&ledger, &plan).await
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("truc-age: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

/// Opens a ledger, made or brought to the present schema first.
async fn open(path: &Path) -> Result<Arc<dyn Store>, Failed> {
    SqliteStore::migrate(path).await?;
    Ok(Arc::new(SqliteStore::open(path).await?))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
