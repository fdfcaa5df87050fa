//! `truc document close`: give up what is not at its end.

use clap::Args;
use truc_ledger::OperatorAction;
use truc_model::delivery::TransportStateName;

use super::super::Context;
use super::super::answer::{Answer, Trouble};
use super::super::words::Opened;
use super::order::{OrderOptions, Words, give};

/// Options of `truc document close`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Of every order
    #[command(flatten)]
    pub order: OrderOptions,
}

const WORDS: Words = Words {
    does: "Đóng",
    after: TransportStateName::Undeliverable,
};

/// Gives up.
///
/// # Errors
/// As [`give`].
pub(super) async fn close(context: &Context, opened: &Opened, options: &Options) -> Result<Answer, Trouble> {
    give(
        context,
        opened,
        &options.order,
        OperatorAction::Close,
        None,
        &WORDS,
    )
    .await
}
