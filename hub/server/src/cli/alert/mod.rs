//! `truc alert …`: what is wrong now, who is told what, whether the channels work, and what nobody took.

mod dead;
mod list;
mod rules;
mod test;

use clap::Subcommand;

use super::Context;
use super::answer::{Answer, Trouble};
use super::words::Opened;

/// `truc alert …`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Alerts that are open, and messages on their way to the channels
    #[command(
        after_help = "Examples:\n  truc alert list\n  truc alert list --kind not-taken --kind parked\n  truc alert list --json | jq '.alerts[] | select(.severity == \"critical\")'\n\nExit 1 when a critical alert is open."
    )]
    List(list::Options),
    /// Send a marked test to each channel, and say what came back
    #[command(
        after_help = "Examples:\n  truc alert test --config truc.toml\n  truc alert test --channel phong-truc\n\nNeeds no running hub. Exit 1 when a channel did not take it."
    )]
    Test(test::Options),
    /// Messages that a channel did not take in all attempts
    #[command(
        subcommand,
        after_help = "Examples:\n  truc alert dead list\n  truc alert dead retry"
    )]
    Dead(dead::Command),
    /// Who is told what, and when
    #[command(
        after_help = "Examples:\n  truc alert rules --config truc.toml\n  truc alert rules --json\n\nEvery kind of alert with the channels that get it. What rules ask of systems and agencies\nis shown beside the channel."
    )]
    Rules,
}

/// Does what the command says.
///
/// # Errors
/// [`Trouble`] when the configuration or the ledger cannot be read.
pub(super) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::Test(options) => test::test(context, &options).await,
        Command::Rules => rules::rules(context),
        Command::List(options) => list::list(&Opened::open(context).await?, &options).await,
        Command::Dead(command) => dead::answer(&Opened::open(context).await?, command).await,
    }
}
