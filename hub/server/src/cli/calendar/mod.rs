//! `truc calendar …`: the working calendar that time limits are reckoned on.

mod check;
mod extend;
mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use truc_calendar::WorkCalendar;

use super::Context;
use super::answer::{Answer, Trouble};
use crate::deadlines::{self, DeadlinesFileError};

/// `truc calendar …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Name what is missing in the calendar and what nobody has announced yet
    #[command(
        after_help = "Examples:\n  truc calendar check\n  truc calendar check --file my-calendar.toml\n\nExit 1 when due times would be wrong: a holiday by law is missing, or a year that is near.\nDays that are only expected are listed and leave it at 0."
    )]
    Check(Which),
    /// Show the days off and the swapped days of a year, with their sources
    #[command(
        after_help = "Examples:\n  truc calendar show\n  truc calendar show 2026\n  truc calendar show 2027 --json\n\nWithout a year: the present one."
    )]
    Show(show::Options),
    /// Print the rows of a year to come, to be added to the calendar's file
    #[command(
        after_help = "Examples:\n  truc calendar extend                       the year after the last one of the file\n  truc calendar extend 2028                  append what it prints to a file of your own\n\nHolidays by law, Tết and Giỗ Tổ reckoned by the lunar calendar, all marked expected.\nNobody can know swapped days: add them when they are announced."
    )]
    Extend(extend::Options),
}

/// Names a calendar.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// This calendar instead of the configured one
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

impl Which {
    fn read(&self, context: &Context) -> Result<WorkCalendar, Trouble> {
        let path = match &self.file {
            Some(file) => file.clone(),
            None => context.config()?.limits.calendar,
        };
        Ok(deadlines::calendar(&path)?)
    }
}

impl From<DeadlinesFileError> for Trouble {
    fn from(error: DeadlinesFileError) -> Self {
        Self::of(
            &error,
            "correct the file; config/calendar.toml and config/time-limits.toml show its shape",
        )
    }
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the calendar does not read.
pub(super) fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::Check(which) => check::check(&which.read(context)?, context.clock.today()),
        Command::Show(options) => {
            let calendar = options.which.read(context)?;
            show::show(&calendar, options.year.unwrap_or(context.clock.today().year()))
        }
        Command::Extend(options) => extend::extend(&options.which.read(context)?, options.year),
    }
}

/// A year that can be asked for.
fn year(text: &str) -> Result<i16, String> {
    let years = truc_calendar::lunar::YEARS;
    text.parse()
        .ok()
        .filter(|year| years.contains(year))
        .ok_or_else(|| format!("expected a year from {} to {}", years.start(), years.end()))
}
