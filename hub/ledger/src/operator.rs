//! What an operator may order about the recipients of a document: hold, let go, send another way, give up.
//!
//! Nothing here deletes anything, and nothing moves what is final: each order is an event with who and why,
//! and what it could not do is answered with the reason.

use serde::{Deserialize, Serialize};
use truc_model::delivery::TransportStateName;
use truc_model::{DeliveryUid, DocumentUid, ParkCause, Party, SystemId, TransportState};

use crate::command::{Plan, PlannedRecipient};
use crate::query::DocumentView;
use crate::rows::{OutboxRow, RecipientRow};

/// An operator's order about recipients of one document.
#[derive(Debug, Clone)]
pub struct OperatorOrder {
    /// Which document.
    pub document: DocumentUid,
    /// What to do.
    pub action: OperatorAction,
    /// For whom. Each is looked at once more when the order is carried out.
    pub recipients: Vec<OperatorTarget>,
    /// The operator's account.
    pub who: String,
    /// Why, in the operator's words, without personal data; kept in the event, cut to
    /// [`crate::Resend::WHY_MAX`].
    pub why: String,
}

/// One recipient of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTarget {
    /// Its position in the document.
    pub position: u32,
    /// Where it goes from now on: the same agency by the system that serves it now, or another agency.
    /// Needed to reroute, and to release what has no way yet.
    pub to: Option<PlannedRecipient>,
}

/// What an operator orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OperatorAction {
    /// Hold what was never sent.
    Park,
    /// Let go what is held.
    Release {
        /// Somebody authorised answers for a document with a marking of secrecy.
        authorised: bool,
    },
    /// Send what was never sent to another agency or system.
    Reroute,
    /// Give up what is not at its end: undeliverable, and the sender is told.
    Close,
}

/// What an order did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OperatorOutcome {
    /// For these it was carried out.
    pub done: Vec<OperatorDone>,
    /// For these it was not, and why.
    pub left: Vec<(u32, OperatorNo)>,
}

/// A recipient for whom an order was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorDone {
    /// Its position.
    pub position: u32,
    /// Who it is now.
    pub party: Party,
    /// How it stood.
    pub before: TransportStateName,
    /// How it stands.
    pub after: TransportStateName,
    /// The message it travels in now.
    pub delivery: Option<DeliveryUid>,
}

/// Why an order is not carried out for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperatorNo {
    /// The document has no such recipient.
    #[error("the document has no such recipient")]
    NoRecipient,
    /// It ended already; an end never changes.
    #[error("the delivery ended already: {}", .0.as_str())]
    Ended(TransportStateName),
    /// Only what is held can be let go.
    #[error("the delivery is not held: {}", .0.as_str())]
    NotHeld(TransportStateName),
    /// It is held: it is let go, not sent another way.
    #[error("the delivery is held ({}): it is released, not rerouted or held again", .0.as_str())]
    Held(ParkCause),
    /// It may have reached the recipient's inbox.
    #[error("the delivery was published, or may have been")]
    MayBeOut,
    /// Its sender asked for it back, and the answer is not there yet.
    #[error("its sender takes the document back, and the answer is not there yet")]
    TakenBack,
    /// A marking of secrecy stands in it, and nobody authorised answers for its release.
    #[error("it bears a marking of secrecy, and its release needs an authorised person")]
    SecretMarking,
    /// Its agency was split: the operator must say which successor gets it.
    #[error("its agency has several successors, and none was named")]
    NoSuccessorNamed,
    /// No system serves it.
    #[error("no system serves this recipient")]
    NoSystem,
    /// The agency named is a recipient of the document already: it would get it twice.
    #[error("that agency is a recipient of the document already")]
    AlreadyRecipient,
    /// It goes there already.
    #[error("it goes there already")]
    SameWay,
    /// The bytes of the packet are gone.
    #[error("the bytes of the packet were deleted")]
    BytesDeleted,
}

/// A document as it stands: what decides whether an order makes sense.
pub struct Standing<'a> {
    /// Its recipients.
    pub recipients: &'a [RecipientRow],
    /// Messages about it that are not done, by id.
    pub message: &'a dyn Fn(DeliveryUid) -> Option<&'a OutboxRow>,
    /// Whether the bytes of its packet are kept.
    pub body_kept: bool,
}

/// For whom an order makes sense, and for whom it does not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sense<'a> {
    /// It makes sense; each recipient once, as it stands.
    pub fitting: Vec<(RecipientRow, &'a OperatorTarget)>,
    /// It does not, and why.
    pub left: Vec<(u32, OperatorNo)>,
}

/// What an order would do, shown before it is given. The ledger decides again when it is carried out.
#[must_use]
pub fn preview<'a>(view: &DocumentView, order: &'a OperatorOrder) -> Sense<'a> {
    let message = |delivery: DeliveryUid| view.outbox.iter().find(|row| row.delivery == delivery);
    let sha256 = view.document.sha256;
    let standing = Standing {
        recipients: &view.recipients,
        message: &message,
        body_kept: view.deletions.iter().all(|row| row.sha256 != sha256),
    };
    sense(&standing, order)
}

/// Sorts the recipients of an order.
pub(crate) fn sense<'a>(standing: &Standing<'_>, order: &'a OperatorOrder) -> Sense<'a> {
    let mut sense = Sense::default();
    for target in &order.recipients {
        let mut rows = standing.recipients.iter();
        let Some(row) = rows.find(|row| row.position == target.position) else {
            sense.left.push((target.position, OperatorNo::NoRecipient));
            continue;
        };
        if sense
            .fitting
            .iter()
            .any(|(row, _)| row.position == target.position)
        {
            continue;
        }
        match refusal(standing, order.action, row, target, &sense.fitting) {
            Some(no) => sense.left.push((target.position, no)),
            None => sense.fitting.push((row.clone(), target)),
        }
    }
    sense
}

/// Why this order makes no sense for this recipient.
fn refusal(
    standing: &Standing<'_>,
    action: OperatorAction,
    row: &RecipientRow,
    target: &OperatorTarget,
    others: &[(RecipientRow, &OperatorTarget)],
) -> Option<OperatorNo> {
    if row.state.is_final() {
        return Some(OperatorNo::Ended(row.state.name()));
    }
    if row.recalled.is_some() {
        return Some(OperatorNo::TakenBack);
    }
    let held = match &row.state {
        TransportState::Parked { cause, .. } => Some(*cause),
        _ => None,
    };
    let message = row.delivery.and_then(|delivery| (standing.message)(delivery));
    let at_home =
        matches!(row.state, TransportState::Scheduled { .. }) && message.is_some_and(OutboxRow::is_at_home);
    match (action, held) {
        (OperatorAction::Close, _) => None,
        (OperatorAction::Park | OperatorAction::Reroute, Some(cause)) => Some(OperatorNo::Held(cause)),
        (OperatorAction::Park, None) => (!at_home).then_some(OperatorNo::MayBeOut),
        (OperatorAction::Reroute, None) if !at_home => Some(OperatorNo::MayBeOut),
        (OperatorAction::Release { .. }, None) => Some(OperatorNo::NotHeld(row.state.name())),
        (OperatorAction::Release { authorised: false }, Some(ParkCause::SecretMarking)) => {
            Some(OperatorNo::SecretMarking)
        }
        (OperatorAction::Release { .. }, Some(ParkCause::AmbiguousSuccessor)) if target.to.is_none() => {
            Some(OperatorNo::NoSuccessorNamed)
        }
        (OperatorAction::Release { .. } | OperatorAction::Reroute, _) => {
            no_way(standing, row, target, others)
        }
    }
}

/// Why it cannot be sent there.
fn no_way(
    standing: &Standing<'_>,
    row: &RecipientRow,
    target: &OperatorTarget,
    others: &[(RecipientRow, &OperatorTarget)],
) -> Option<OperatorNo> {
    if !standing.body_kept {
        return Some(OperatorNo::BytesDeleted);
    }
    let Some(system) = target.system(row) else {
        return Some(OperatorNo::NoSystem);
    };
    let party = target.party(row);
    let is_held = matches!(row.state, TransportState::Parked { .. });
    if !is_held && (party, Some(system)) == (&row.party, row.system.as_ref()) {
        return Some(OperatorNo::SameWay);
    }
    let is_other = |other: &RecipientRow| other.position != row.position && other.party == *party;
    let named = |(_, other): &(RecipientRow, &OperatorTarget)| {
        other.position != row.position && other.to.as_ref().is_some_and(|to| to.party == *party)
    };
    (standing.recipients.iter().any(is_other) || others.iter().any(named))
        .then_some(OperatorNo::AlreadyRecipient)
}

impl OperatorTarget {
    /// The system it goes to by this order.
    #[must_use]
    pub fn system<'a>(&'a self, row: &'a RecipientRow) -> Option<&'a SystemId> {
        match self.to.as_ref().map(|to| &to.plan) {
            Some(Plan::Deliver { system }) => Some(system),
            Some(_) => None,
            None => row.system.as_ref(),
        }
    }

    /// The party it is by this order.
    #[must_use]
    pub fn party<'a>(&'a self, row: &'a RecipientRow) -> &'a Party {
        self.to.as_ref().map_or(&row.party, |to| &to.party)
    }
}
