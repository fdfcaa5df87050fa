//! Record: commits what was routed or refused, many submissions in one transaction and one flush. A
//! [`Recorded`] is the proof of a commit, and the only thing a message is settled with.
//!
//! While the ledger cannot commit (disk full, database locked) nothing is settled and nothing refused:
//! the submission waits here, the intake fills up to its prefetch, and the broker keeps the rest. What
//! the ledger cannot take although it takes others is given up, or it would hold its place for ever.

use std::time::Duration;

use truc_ledger::{Ledger, LedgerError, RefusedSubmission, SubmitOutcome};
use truc_model::crash;
use truc_model::wire::{Receipt, RefusalAnswer};

use super::route::Routed;
use super::verify::Refused;
use crate::telemetry::{Event, emit};

/// The proof that what became of a submission is on disk.
#[derive(Debug)]
pub struct Recorded(Outcome);

/// What became of a submission.
#[derive(Debug)]
pub enum Outcome {
    /// It was accepted.
    Accepted(Receipt),
    /// It had been accepted before; this is the first receipt.
    Repeat(Receipt),
    /// It was refused.
    Refused(RefusalAnswer),
}

impl Recorded {
    /// What became of it.
    #[must_use]
    pub const fn outcome(&self) -> &Outcome {
        &self.0
    }

    fn of(outcome: SubmitOutcome) -> Self {
        crash::reach("committed");
        Self(match outcome {
            SubmitOutcome::Accepted(receipt) => Outcome::Accepted(receipt),
            SubmitOutcome::Repeat(receipt) => Outcome::Repeat(receipt),
            SubmitOutcome::Refused(answer) => Outcome::Refused(answer),
        })
    }
}

/// First wait before a failed commit is tried again; doubles up to [`RETRY_MAX`].
pub const RETRY_MIN: Duration = Duration::from_millis(200);
/// Longest wait.
pub const RETRY_MAX: Duration = Duration::from_secs(10);
/// How often something is tried that fails for itself and not for the machine: about half a minute.
pub const OWN_FAULT_ATTEMPTS: u32 = 8;

/// Why nothing was committed.
#[derive(Debug, thiserror::Error)]
pub enum Unrecorded {
    /// The ledger is closed: the hub is stopping, and the message stays unsettled.
    #[error("the ledger is closed")]
    Closed,
    /// The ledger refused this one again and again, and for itself: a defect. The others go on.
    #[error("the ledger cannot take it")]
    OwnFault(#[source] LedgerError),
}

/// Commits a routed submission, however long the ledger takes to come back.
///
/// # Errors
/// [`Unrecorded`].
pub async fn record(ledger: &Ledger, routed: &Routed) -> Result<Recorded, Unrecorded> {
    until_committed_or_given_up(|| {
        let routed = routed.clone();
        async move {
            match routed {
                Routed::Document(submission) => ledger.submit_document(*submission).await,
                Routed::Status(submission) => ledger.submit_status(*submission).await,
            }
        }
    })
    .await
    .map(Recorded::of)
}

/// Commits a refusal, however long the ledger takes to come back.
///
/// # Errors
/// As [`record`].
pub async fn record_refusal(ledger: &Ledger, refused: &Refused) -> Result<Recorded, Unrecorded> {
    let submission = RefusedSubmission {
        system: refused.system.clone(),
        message_id: refused.message_id,
        received_at: refused.received_at,
        sha256: refused.sha256,
        size: refused.size,
        intake: refused.intake,
        sender: refused.sender.clone(),
        findings: refused.findings.clone(),
        body: None,
    };
    until_committed_or_given_up(|| ledger.refuse(submission.clone()))
        .await
        .map(Recorded::of)
}

/// Runs a ledger command until it is committed, waiting longer after each failure.
///
/// # Errors
/// [`LedgerError::Closed`] when the ledger is gone for good.
pub async fn until_committed<T, F>(attempt: impl FnMut() -> F) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    attempts(attempt, u32::MAX).await
}

/// The same for one message's work, which ends when the message itself is what cannot be committed.
///
/// # Errors
/// [`Unrecorded`].
pub async fn until_committed_or_given_up<T, F>(attempt: impl FnMut() -> F) -> Result<T, Unrecorded>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    attempts(attempt, OWN_FAULT_ATTEMPTS)
        .await
        .map_err(|error| match error {
            LedgerError::Closed => Unrecorded::Closed,
            error => Unrecorded::OwnFault(error),
        })
}

async fn attempts<T, F>(mut attempt: impl FnMut() -> F, own_faults_max: u32) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    let mut wait = RETRY_MIN;
    let mut own_faults = 0;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(LedgerError::Closed) => return Err(LedgerError::Closed),
            Err(error) => error,
        };
        emit(Event::LedgerUnavailable { error: &error });
        if is_own_fault(&error) {
            own_faults += 1;
            if own_faults >= own_faults_max {
                return Err(error);
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(RETRY_MAX);
    }
}

/// Whether the failure may lie in what was asked: the machine's own troubles pass, however long they take.
fn is_own_fault(error: &LedgerError) -> bool {
    match error {
        LedgerError::Store(error) => !error.is_the_machines(),
        _ => true,
    }
}
