//! Record: commits what was routed or refused, many submissions in one transaction and one flush. A
//! [`Recorded`] is the proof of a commit, and the only thing a message is settled with.
//!
//! While the ledger cannot commit (disk full, database locked) nothing is settled and nothing refused:
//! the submission waits here, the intake fills up to its prefetch, and the broker keeps the rest.

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

/// Commits a routed submission, however long the ledger takes to come back.
///
/// # Errors
/// [`LedgerError`] only when the ledger is closed: the hub is stopping, and the message stays unsettled.
pub async fn record(ledger: &Ledger, routed: Routed) -> Result<Recorded, LedgerError> {
    until_committed(|| {
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
pub async fn record_refusal(ledger: &Ledger, refused: Refused) -> Result<Recorded, LedgerError> {
    let submission = RefusedSubmission {
        system: refused.system,
        message_id: refused.message_id,
        received_at: refused.received_at,
        sha256: refused.sha256,
        size: refused.size,
        intake: refused.intake,
        sender: refused.sender,
        findings: refused.findings,
        body: None,
    };
    until_committed(|| ledger.refuse(submission.clone()))
        .await
        .map(Recorded::of)
}

/// Runs a ledger command until it is committed, waiting longer after each failure.
///
/// # Errors
/// [`LedgerError::Closed`] when the ledger is gone for good.
pub async fn until_committed<T, F>(mut attempt: impl FnMut() -> F) -> Result<T, LedgerError>
where
    F: Future<Output = Result<T, LedgerError>>,
{
    let mut wait = RETRY_MIN;
    loop {
        match attempt().await {
            Err(LedgerError::Closed) => return Err(LedgerError::Closed),
            Err(error) => {
                emit(Event::LedgerUnavailable { error: &error });
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
            }
            Ok(value) => return Ok(value),
        }
    }
}
