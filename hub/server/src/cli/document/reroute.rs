//! `truc document reroute`: send what was never sent to another agency or system.

use clap::Args;
use truc_ledger::OperatorAction;
use truc_model::delivery::TransportStateName;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::words::Opened;
use super::order::{OrderOptions, Words, give};

/// Options of `truc document reroute`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Of every order
    #[command(flatten)]
    pub order: OrderOptions,
    /// The agency that gets it; without, the same one by the system that serves it today
    #[arg(long, value_name = "CODE")]
    pub to: Option<String>,
}

const WORDS: Words = Words {
    does: "Chuyển hướng",
    after: TransportStateName::Scheduled,
};

/// Sends it another way.
///
/// # Errors
/// As [`give`].
pub(super) async fn reroute(
    context: &Context,
    opened: &Opened,
    options: &Options,
) -> Result<Answer, Trouble> {
    let to = options.to.as_deref();
    let action = OperatorAction::Reroute;
    give(context, opened, &options.order, action, to, &WORDS).await
}
