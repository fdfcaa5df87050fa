//! `truc document release`: let go what is held.

use clap::Args;
use truc_ledger::OperatorAction;
use truc_model::delivery::TransportStateName;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::words::Opened;
use super::order::{OrderOptions, Words, give};

/// Options of `truc document release`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Of every order
    #[command(flatten)]
    pub order: OrderOptions,
    /// The agency that gets it, when the one in the packet was split
    #[arg(long, value_name = "CODE")]
    pub to: Option<String>,
    /// Somebody authorised answers for a document with a marking of secrecy; kept in the event
    #[arg(long)]
    pub authorised: bool,
}

const WORDS: Words = Words {
    does: "Cho gửi",
    after: TransportStateName::Scheduled,
};

/// Lets go.
///
/// # Errors
/// As [`give`].
pub(super) async fn release(
    context: &Context,
    opened: &Opened,
    options: &Options,
) -> Result<Answer, Trouble> {
    let action = OperatorAction::Release {
        authorised: options.authorised,
    };
    let to = options.to.as_deref();
    give(context, opened, &options.order, action, to, &WORDS).await
}
