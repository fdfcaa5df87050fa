//! What facts mean for alerts. Written here alone: whoever records a fact need not think of it.

use truc_model::{AlertKind, ChangeState, DocumentUid, LimitKind, ParkCause, Severity, StatusCode};

use crate::alert::{AlertOrder, ClearCause, Raise};
use crate::command::PublishFailure;
use crate::event::Fact;
use crate::limit::LimitKey;
use crate::rules::forward::{INBOX_LOST_WHO, INBOX_LOST_WHY};
use crate::rules::work::Work;

/// Reasons of dead letters that are this program's own fault.
const OWN_DEFECTS: [&str; 2] = ["check-failed", "record-failed"];

/// Whether a fact is worth a look at the end of its batch.
pub(super) const fn may_raise(fact: &Fact) -> bool {
    matches!(
        fact,
        Fact::DocumentParked { .. }
            | Fact::StatusRecorded {
                code: StatusCode::ChangeRefused,
                ..
            }
            | Fact::LimitPassed { .. }
            | Fact::TakenOdd { .. }
            | Fact::DeadLettered { .. }
            | Fact::DeliveryResent { .. }
            | Fact::PublishFailed {
                failure: PublishFailure::BodyDamaged,
                ..
            }
    )
}

/// A time limit that was told of is met, or nobody waits for it any more.
pub(super) fn met(limit: &LimitKey) -> AlertOrder {
    AlertOrder::Clear {
        kind: AlertKind::LimitPassed,
        subject: limit_subject(limit.document, limit.position, limit.kind),
        cause: ClearCause::Ended,
    }
}

fn limit_subject(document: DocumentUid, position: u32, limit: LimitKind) -> String {
    format!("{document}/{position}/{}", limit.as_str())
}

/// What a fact means for alerts. Written here alone: whoever records a fact need not think of it.
pub(super) fn of_fact(work: &Work, fact: &Fact) -> Vec<AlertOrder> {
    let raise = match fact {
        Fact::DocumentParked {
            document,
            cause,
            recipients,
        } => {
            let kind = match cause {
                ParkCause::SecretMarking => AlertKind::SecretMarking,
                ParkCause::IdentityConflict => AlertKind::IdentityConflict,
                // Who holds a document by his own hand knows of it.
                ParkCause::Operator => return Vec::new(),
                _ => AlertKind::Parked,
            };
            let mut raise = Raise::of_document(kind, *document)
                .with("cause", cause.as_str())
                .with("recipients", recipients.len());
            if let Ok(row) = work.document(*document) {
                raise = raise.concerning(&row.sender_code);
                raise.system = Some(row.key.system.clone());
            }
            raise
        }
        Fact::LimitPassed {
            document,
            recipients,
            limit,
            level,
            due,
            turn,
        } => {
            let of_one = |position: &u32| {
                let subject = limit_subject(*document, *position, *limit);
                let mut raise = Raise::new(AlertKind::LimitPassed, subject)
                    .with("limit", limit.as_str())
                    .with("level", level)
                    .with("due", due)
                    .with("turn", turn.as_str());
                if *level > 1 {
                    raise.severity = Severity::Critical;
                }
                raise.document = Some(*document);
                if let Some(row) = work.recipients.at(*document, *position) {
                    raise = raise.concerning(row.code());
                    raise.system.clone_from(&row.system);
                }
                AlertOrder::Raise(raise)
            };
            return recipients.iter().map(of_one).collect();
        }
        Fact::StatusRecorded {
            document,
            recipient,
            change: ChangeState::RecallRefused | ChangeState::UpdateRefused,
            system,
            ..
        } => {
            let mut raise = Raise::new(AlertKind::RecallRefused, format!("{document}/{recipient}"));
            raise.document = Some(*document);
            raise.system = Some(system.clone());
            if let Ok(row) = work.document(*document) {
                raise = raise.concerning(&row.sender_code);
            }
            match work.recipients.at(*document, *recipient) {
                Some(row) => raise.concerning(row.code()),
                None => raise,
            }
        }
        Fact::TakenOdd {
            system,
            unknown_count,
            contradicted_count,
            ..
        } => Raise::of_system(AlertKind::TakenOdd, system.clone())
            .with("unknown", unknown_count)
            .with("contradicted", contradicted_count),
        Fact::DeadLettered {
            reason,
            system,
            queue,
            ..
        } => {
            let mut raise = Raise::new(AlertKind::DeadLetter, truc_model::wire::DEAD_QUEUE)
                .with("reason", reason)
                .with("from", queue);
            raise.system.clone_from(system);
            if OWN_DEFECTS.contains(&reason.as_str()) {
                let defect = Raise::new(AlertKind::Defect, "truc").with("part", reason);
                return [raise, defect].map(AlertOrder::Raise).into();
            }
            raise
        }
        Fact::DeliveryResent { system, who, why, .. } => {
            if who != INBOX_LOST_WHO || why != INBOX_LOST_WHY {
                return Vec::new();
            }
            Raise::of_system(AlertKind::InboxLost, system.clone())
        }
        Fact::PublishFailed {
            document: Some(document),
            failure: PublishFailure::BodyDamaged,
            ..
        } => Raise::of_document(AlertKind::BodyDamaged, *document),
        _ => return Vec::new(),
    };
    vec![AlertOrder::Raise(raise)]
}
