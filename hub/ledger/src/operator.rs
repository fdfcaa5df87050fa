//! What an operator may order about the recipients of a document: hold, let go, send another way, give up.
//!
//! Nothing here deletes anything, and nothing moves what is final: each order is an event with who and why,
//! and what it could not do is answered with the reason.

use serde::{Deserialize, Serialize};
use truc_model::delivery::TransportStateName;
use truc_model::{DeliveryUid, DocumentUid, ParkCause, Party};

use crate::command::PlannedRecipient;

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
