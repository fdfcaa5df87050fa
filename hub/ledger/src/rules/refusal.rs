//! Refused submissions: recorded once, answered every time.

use std::sync::Arc;

use jiff::Timestamp;
use truc_model::wire::{Intake, Outgoing, RefusalAnswer};
use truc_model::{DocumentUid, MessageId, Party, Place, Refusal, RefusalCode, Sha256, SystemId};

use crate::command::{RefusedSubmission, SubmissionKey};
use crate::error::LedgerError;
use crate::event::{Fact, RepeatedBy};
use crate::outcome::SubmitOutcome;
use crate::rows::{RefusalKey, RefusalRow, SubmissionRow};
use crate::rules::document;
use crate::rules::work::{Work, to_json};

/// What is refused, and why.
pub(super) struct Refused<'a> {
    pub(super) system: Option<&'a SystemId>,
    pub(super) message_id: Option<MessageId>,
    pub(super) intake: Intake,
    pub(super) received_at: Timestamp,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
    pub(super) sender: Option<&'a Party>,
    pub(super) document: Option<DocumentUid>,
    pub(super) findings: Vec<Refusal>,
    /// The bytes, when they are kept.
    pub(super) body: Option<&'a Arc<[u8]>>,
}

/// A submission that failed a check outside the ledger.
pub(super) fn submit(work: &mut Work, s: &RefusedSubmission) -> Result<SubmitOutcome, LedgerError> {
    if s.findings.is_empty() {
        return Err(LedgerError::NoFinding);
    }
    let mut findings = s.findings.clone();
    if let (Some(system), Some(message_id)) = (&s.system, s.message_id) {
        let key = SubmissionKey {
            system: system.clone(),
            message_id,
        };
        match work.submissions.get(&key) {
            // Accepted once is accepted, though a certificate may have run out since.
            Some(first) if first.sha256 == s.sha256 => {
                let first = first.clone();
                return document::repeat(work, &key, &first, RepeatedBy::MessageId);
            }
            Some(first) => findings.push(conflict(first, s.sha256)),
            None => {}
        }
    }
    refuse(
        work,
        Refused {
            system: s.system.as_ref(),
            message_id: s.message_id,
            intake: s.intake,
            received_at: s.received_at,
            sha256: s.sha256,
            size: s.size,
            sender: s.sender.as_ref(),
            document: None,
            findings,
            body: s.body.as_ref(),
        },
    )
}

/// The finding that a key belongs to other bytes.
pub(super) fn conflict(first: &SubmissionRow, found: Sha256) -> Refusal {
    Refusal::new(
        RefusalCode::MessageIdConflict,
        Place::header("message_id"),
        format!("sha-256 {}", first.sha256),
        format!("sha-256 {found}"),
    )
}

/// Records a refusal, unless the same one was recorded before, and answers it.
pub(super) fn refuse(work: &mut Work, refused: Refused<'_>) -> Result<SubmitOutcome, LedgerError> {
    let answer = RefusalAnswer::of(refused.message_id, refused.findings, work.next_event(), work.now)
        .ok_or(LedgerError::NoFinding)?;
    let key = RefusalKey {
        system: refused.system.cloned(),
        message_id: refused.message_id,
        sha256: refused.sha256,
        code: answer.code,
    };
    let (answer, json, event) = match work.refusals.get(&key) {
        Some(json) => {
            let first = serde_json::from_str(json)
                .map_err(|_| LedgerError::Contradiction("a recorded refusal that cannot be read"))?;
            (first, json.clone(), work.last_event())
        }
        None => {
            let json = to_json(&answer)?;
            let event = work.record(Fact::SubmissionRefused {
                system: key.system.clone(),
                message_id: key.message_id,
                intake: refused.intake,
                code: answer.code,
                also: answer.also.iter().map(|finding| finding.code).collect(),
                sender: refused.sender.cloned(),
                sha256: refused.sha256,
                size: refused.size,
                document: refused.document,
            })?;
            if let Some(body) = refused.body {
                work.bring_body(refused.sha256, Arc::clone(body).into());
            }
            work.added.refusals.push(RefusalRow {
                event,
                key: key.clone(),
                intake: refused.intake,
                size: refused.size,
                sender: refused.sender.cloned(),
                received_at: refused.received_at,
                refused_at: work.now,
                document: refused.document,
                body_kept: refused.body.is_some(),
                answer: json.clone(),
            });
            work.refusals.insert(key.clone(), json.clone());
            (answer, json, event)
        }
    };
    if let (Some(system), Some(message_id)) = (key.system, key.message_id) {
        work.post_answer(
            system,
            Outgoing::Refusal,
            event,
            refused.document,
            message_id,
            json,
        );
    }
    Ok(SubmitOutcome::Refused(answer))
}
