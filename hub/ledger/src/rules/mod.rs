//! The rules: what each command leads to. Written once, for every back end.
//!
//! A batch of commands runs in four steps: [`load`] fetches, in a few wide reads, every row the commands can
//! touch; the rules work on these rows in memory, so that commands of one batch see each other's effects;
//! the changed rows are saved in a few wide writes; claims, which look at what waits after all that, come
//! last. Nothing is answered before the commit.

mod admin;
mod alerts;
mod change;
mod claim;
mod clean;
mod document;
mod forward;
mod limits;
mod load;
mod operator;
mod orders;
mod recall;
mod recipients;
mod refusal;
mod reorganise;
mod retention;
mod status;
mod taken;
mod work;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use truc_model::{DeliveryUid, Random, SystemId};

use crate::alert::{AlertCommand, AlertPost};
use crate::body::LeavingBody;
use crate::command::{
    ClaimRequest, Cleaning, DocumentSubmission, Forwarded, HubId, NewDirectory, Note, PublishFailed,
    RefusedSubmission, Resend, StatusSubmission, TakenReport,
};
use crate::error::{LedgerError, StoreError};
use crate::limit::{LimitKey, LimitTold};
use crate::operator::{OperatorOrder, OperatorOutcome};
use crate::outcome::{Claimed, LateDelivery, ResendOutcome, SubmitOutcome, TakenOutcome};
use crate::reorganise::{Reorganise, Reorganised};
use crate::retention::{DeleteBodies, DeletedBodies};
use crate::store::Transaction;

pub use claim::BODY_DAMAGED_PAUSE;
pub use forward::{INBOX_LOST_MAX, INBOX_LOST_WHO, NOT_TAKEN_MAX};
pub(crate) use forward::{before, late_delivery};
pub use taken::ODD_LISTED_MAX;
use work::Work;

/// One thing asked of the writer.
#[derive(Debug)]
pub enum Command {
    /// See [`crate::Ledger::submit_document`].
    Document(Box<DocumentSubmission>),
    /// See [`crate::Ledger::submit_status`].
    Status(Box<StatusSubmission>),
    /// See [`crate::Ledger::refuse`].
    Refused(Box<RefusedSubmission>),
    /// See [`crate::Ledger::forwarded`].
    Forwarded(Vec<Forwarded>),
    /// See [`crate::Ledger::publish_failed`].
    PublishFailed(PublishFailed),
    /// See [`crate::Ledger::taken`].
    Taken(TakenReport),
    /// See [`crate::Ledger::claim`].
    Claim(ClaimRequest),
    /// See [`crate::Ledger::release_leases`].
    ReleaseLeases(HubId),
    /// See [`crate::Ledger::cleaning_begun`].
    CleaningBegun(Cleaning),
    /// See [`crate::Ledger::cleaned`].
    Cleaned(Cleaning),
    /// See [`crate::Ledger::resend`].
    Resend(Resend),
    /// See [`crate::Ledger::operator`].
    Operator(OperatorOrder),
    /// See [`crate::Ledger::inbox_lost`].
    InboxLost(SystemId),
    /// See [`crate::Ledger::not_taken_alerts`].
    NotTaken(Duration),
    /// See [`crate::Ledger::delete_bodies`].
    DeleteBodies(DeleteBodies),
    /// See [`crate::Ledger::bodies_left`].
    BodiesLeft(Vec<LeavingBody>),
    /// See [`crate::Ledger::limits_told`].
    LimitsTold(Vec<LimitTold>),
    /// See [`crate::Ledger::limits_settled`].
    LimitsSettled(Vec<LimitKey>),
    /// See [`crate::Ledger::save_directory`].
    Directory(NewDirectory),
    /// See [`crate::Ledger::reorganise`].
    Reorganise(Box<Reorganise>),
    /// See [`crate::Ledger::note`].
    Note(Note),
    /// See [`AlertCommand`].
    Alert(AlertCommand),
}

impl Command {
    /// Bytes of the body it brings into the ledger.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        match self {
            Self::Document(submission) => submission.body.bytes_in_memory(),
            Self::Status(submission) => submission.size,
            Self::Refused(submission) => submission.body.as_ref().map_or(0, |body| body.len() as u64),
            _ => 0,
        }
    }
}

/// What a command led to.
#[derive(Debug)]
pub enum Reply {
    /// Of a document, a status or a refusal.
    Submitted(SubmitOutcome),
    /// Done; there is nothing to tell.
    Done,
    /// Of `taken`.
    Taken(TakenOutcome),
    /// Of a claim.
    Claimed(Vec<Claimed>),
    /// Leases released.
    Released(u64),
    /// Of a cleaning: the deliveries concerned.
    Cleaned(Vec<DeliveryUid>),
    /// Of a lost inbox: how many go again.
    GoAgain(usize),
    /// Of a resend.
    Resent(ResendOutcome),
    /// Of an operator's order.
    Operated(OperatorOutcome),
    /// Alerts raised.
    Late(Vec<LateDelivery>),
    /// Bodies deleted.
    Deleted(DeletedBodies),
    /// How many limits were told of now.
    LimitsTold(usize),
    /// Of a reorganisation: what was moved.
    Reorganised(Reorganised),
    /// The number of a note's event.
    Noted(u64),
    /// Messages to channels, leased.
    AlertPosts(Vec<AlertPost>),
}

/// What a batch led to, not yet committed.
#[derive(Debug)]
pub struct Batch {
    /// One reply per command, in order.
    pub replies: Vec<Result<Reply, LedgerError>>,
    /// Whether something new can be forwarded.
    pub to_forward: bool,
}

/// Runs commands in a transaction and saves what they lead to. The caller commits.
///
/// # Errors
/// [`StoreError`] when the back end failed: then nothing may be committed.
pub async fn run(
    tx: &mut dyn Transaction,
    now: Timestamp,
    random: Arc<dyn Random>,
    commands: &[Command],
) -> Result<Batch, StoreError> {
    let mut replies: Vec<Option<Result<Reply, LedgerError>>> = Vec::with_capacity(commands.len());
    // First of all, so that rows are loaded as they then are.
    for command in commands {
        replies.push(match command {
            Command::ReleaseLeases(owner) => Some(Ok(Reply::Released(tx.release_leases(owner).await?))),
            _ => None,
        });
    }
    let mut work = Work::begin(tx.head().await?, now, random);
    load::load(tx, &mut work, commands).await?;
    for (command, reply) in commands.iter().zip(&mut replies) {
        if reply.is_none() {
            *reply = apply(&mut work, command);
        }
    }
    alerts::run(tx, &mut work, commands, &mut replies).await?;
    let changes = work.take_changes();
    let to_forward = !changes.outbox.is_empty()
        || !changes.outbox_done.is_empty()
        || changes.outbox_moved.iter().any(|row| row.is_claimable(now))
        || replies
            .iter()
            .flatten()
            .any(|reply| matches!(reply, Ok(Reply::Released(1..))));
    if !changes.is_empty() {
        tx.save(changes).await?;
    }
    for (command, reply) in commands.iter().zip(&mut replies) {
        if let (Command::Claim(request), None) = (command, &reply) {
            *reply = Some(Ok(Reply::Claimed(claim::claim(tx, &mut work, request).await?)));
        }
    }
    Ok(Batch {
        replies: replies
            .into_iter()
            .map(|reply| reply.unwrap_or(Err(LedgerError::Contradiction("a command without a reply"))))
            .collect(),
        to_forward,
    })
}

/// Gives `None` for commands that have their turn elsewhere.
fn apply(work: &mut Work, command: &Command) -> Option<Result<Reply, LedgerError>> {
    Some(match command {
        Command::Document(submission) => document::submit(work, submission).map(Reply::Submitted),
        Command::Status(submission) => status::submit(work, submission).map(Reply::Submitted),
        Command::Refused(submission) => refusal::submit(work, submission).map(Reply::Submitted),
        Command::Forwarded(confirms) => forward::forwarded(work, confirms).map(|()| Reply::Done),
        Command::PublishFailed(failed) => forward::publish_failed(work, failed).map(|()| Reply::Done),
        Command::Taken(report) => taken::taken(work, report).map(Reply::Taken),
        Command::CleaningBegun(order) => clean::begun(work, order).map(Reply::Cleaned),
        Command::Cleaned(order) => clean::cleaned(work, order).map(Reply::Cleaned),
        Command::Resend(order) => forward::resend(work, order).map(Reply::Resent),
        Command::Operator(order) => operator::order(work, order).map(Reply::Operated),
        Command::InboxLost(system) => forward::inbox_lost(work, system).map(Reply::GoAgain),
        Command::NotTaken(older_than) => forward::not_taken(work, *older_than).map(Reply::Late),
        Command::DeleteBodies(order) => retention::delete_old(work, order).map(Reply::Deleted),
        Command::BodiesLeft(left) => {
            retention::bodies_left(work, left);
            Ok(Reply::Done)
        }
        Command::LimitsTold(told) => limits::told(work, told).map(Reply::LimitsTold),
        Command::LimitsSettled(keys) => {
            limits::settled(work, keys);
            Ok(Reply::Done)
        }
        Command::Directory(directory) => admin::directory(work, directory).map(|()| Reply::Done),
        Command::Reorganise(order) => reorganise::reorganise(work, order).map(Reply::Reorganised),
        Command::Note(note) => admin::note(work, note).map(Reply::Noted),
        Command::Claim(_) | Command::ReleaseLeases(_) | Command::Alert(_) => return None,
    })
}
