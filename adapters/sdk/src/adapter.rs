//! What an adapter's author implements: one trait.

use std::error::Error;
use std::fmt;

use async_trait::async_trait;
use truc_model::DeliveryUid;
use uuid::Uuid;

use crate::incoming::{Answer, IncomingDocument, IncomingNotice, IncomingStatus};
use crate::journal::Reason;

/// One kind of system that documents go to and come from.
///
/// [`Client::run`](crate::Client::run) calls these, several at once for different messages, never two at once
/// for the same id. Each message has a stable id; after a crash, or after an `Err`, the method is called again
/// with the same id. So **do it once per id, however often you are called**: derive names and keys from the id.
///
/// An `Ok` is a promise that outlives a loss of power. After it the SDK writes its journal, tells the hub, and
/// settles the message, in this order.
///
/// **Recalls.** The sender can take a document back: by a packet of its own (type 1, *thu hồi*), by status 13, or by an
/// update that removes a recipient. The SDK withdraws what it has not handed over by itself. When the adapter has the
/// document already, the order comes as any document or status does, and its field `withdraws` names the deliveries
/// it takes back. The law gives the recipient of a recall no right to refuse (QĐ 28/2018 art. 8(2), 9(2); NĐ 30/2020
/// art. 18(4)b): it must destroy the document and its metadata in its system, keep the recall itself, and report
/// that it did, with status 15. Status 16 (with a reason) exists for what cannot be done, and is an exception
/// that the sender sees. So bring an order before a clerk's eyes, or carry it out, and send 15 or 16.
#[async_trait]
pub trait Adapter: Send + Sync {
    /// A document for agencies this system serves. Store it durably, or decline it.
    ///
    /// # Errors
    /// [`Trouble`]: it is tried again later.
    async fn store(&self, document: &IncomingDocument) -> Result<Stored, Trouble>;

    /// A document is taken back that [`Adapter::store`] was called for and did not say `Ok`: an attempt failed, or the
    /// process died in it. Remove what the attempts left behind, so that nobody sees it, and say
    /// [`Withdrawal::Removed`]: the sender will be told that nobody ever saw it. Whoever cannot be sure says
    /// [`Withdrawal::TooLate`], as this does when it is not implemented: then the document is stored after all, and
    /// the order follows it.
    ///
    /// # Errors
    /// [`Trouble`]: it is asked again later.
    async fn withdraw(&self, delivery: DeliveryUid) -> Result<Withdrawal, Trouble> {
        let _ = delivery;
        Ok(Withdrawal::TooLate)
    }

    /// A status about a document one of the agencies sent (or 13, about one it received).
    ///
    /// # Errors
    /// [`Trouble`]: it is tried again later.
    async fn status(&self, status: &IncomingStatus) -> Result<Stored, Trouble>;

    /// The answer to a submission. The same answer is not handed over twice, save after a crash.
    ///
    /// # Errors
    /// [`Trouble`]: it is tried again later.
    async fn answered(&self, answer: &Answer) -> Result<(), Trouble>;

    /// Something the sender must know of, e.g. that one recipient cannot be reached.
    ///
    /// # Errors
    /// [`Trouble`]: it is tried again later.
    async fn notice(&self, notice: &IncomingNotice) -> Result<(), Trouble>;

    /// The journal knows the message now: it is not handed over again, and whatever was kept only to
    /// recognise it may go. Not called after a crash in between; see
    /// [`Client::is_recorded`](crate::Client::is_recorded).
    async fn recorded(&self, id: Uuid) {
        let _ = id;
    }
}

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// It is on disk, and stays there whatever happens to this process or its machine.
    Durable,
    /// This system cannot take it, and never will: the sender is told, with the reason. Final; not the
    /// clerk's status 02, which is a business decision and a status of its own.
    Declined(Reason),
}

/// What [`Adapter::withdraw`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawal {
    /// Nothing of the document is left, and nobody has seen it.
    Removed,
    /// It is stored, or somebody may have seen it.
    TooLate,
}

impl Stored {
    /// Declined, with the adapter's own short code (`unknown-unit`) and words for the sender.
    #[must_use]
    pub fn declined(code: &str, reason: &str) -> Self {
        Self::Declined(Reason {
            code: code.to_owned(),
            reason: reason.to_owned(),
        })
    }
}

/// Why a message could not be dealt with now.
///
/// The difference decides what happens in the end, so choose it with care: a full disk must not make
/// the adapter decline a day's documents, and one document that cannot be stored must not stop the rest.
#[derive(Debug)]
pub enum Trouble {
    /// The surroundings: disk full, database away. Tried again for as long as it takes.
    Unavailable(Box<dyn Error + Send + Sync>),
    /// This one message. After `Config::max_attempts` a delivery is declined, anything else goes to the
    /// dead letters, where the hub's operator sees it.
    Failed(Box<dyn Error + Send + Sync>),
}

impl Trouble {
    /// The surroundings are at fault.
    pub fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(error.into())
    }

    /// This message is at fault.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Failed(error.into())
    }
}

impl From<std::io::Error> for Trouble {
    /// Files fail because of the disk, hardly ever because of one document's content.
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::InvalidInput
            | std::io::ErrorKind::InvalidData
            | std::io::ErrorKind::InvalidFilename => Self::failed(error),
            _ => Self::unavailable(error),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable(_) => "cannot store anything now",
            Self::Failed(_) => "cannot store this message",
        })
    }
}

impl Error for Trouble {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(error) | Self::Failed(error) => Some(&**error),
        }
    }
}
