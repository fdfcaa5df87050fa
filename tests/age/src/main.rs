//! `truc-age`: fills a ledger with years of traffic, and measures it beside an empty one in the same run.
//!
//! A tool for those who change the ledger: what is quick with a thousand documents may be slow with five million.
//! How to use it and what the figures mean: `docs/reference/age.md`. What it leaves out: broker, checks, seals.

mod fill;
mod measure;
mod place;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use jiff::Timestamp;
use truc_ledger::contract::aged::Ageing;
use truc_ledger::{LedgerError, StoreError};
use truc_ledger_postgres::private_server::ServerError;

use crate::place::Place;

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
        /// The ledger is a directory with a PostgreSQL server of its own, which runs meanwhile.
        #[arg(long)]
        postgres: bool,
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
        /// The ledger is a directory with a PostgreSQL server of its own, which runs meanwhile.
        #[arg(long)]
        postgres: bool,
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
    /// A server of one's own.
    #[error("the private server cannot be used")]
    Server(#[from] ServerError),
    /// Something else, in words.
    #[error("{0}")]
    Other(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Fill {
            ledger,
            postgres,
            documents,
            until,
            disk_left_mb,
        } => match Place::at(&ledger, postgres).await {
            Ok(place) => fill::fill(&place, Ageing::three_years(documents, until), disk_left_mb).await,
            Err(error) => Err(error),
        },
        Task::Measure {
            ledger,
            postgres,
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
            match Place::at(&ledger, postgres).await {
                Ok(place) => measure::measure(&place, &plan).await,
                Err(error) => Err(error),
            }
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

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
