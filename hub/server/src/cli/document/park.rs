//! `truc document park`: hold what was never sent.

use clap::Args;
use truc_ledger::OperatorAction;
use truc_model::delivery::TransportStateName;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::words::Opened;
use super::order::{OrderOptions, Words, give};

/// Options of `truc document park`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Of every order
    #[command(flatten)]
    pub order: OrderOptions,
}

const WORDS: Words = Words {
    does: "Giữ lại",
    after: TransportStateName::Parked,
};

/// Holds.
///
/// # Errors
/// As [`give`].
pub(super) async fn park(context: &Context, opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    give(
        context,
        opened,
        &options.order,
        OperatorAction::Park,
        None,
        &WORDS,
    )
    .await
}
