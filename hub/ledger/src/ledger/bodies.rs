//! What the rest of the hub says to the ledger about bodies, and asks of it.

use truc_model::Sha256;

use super::{Ledger, MIXED_UP};
use crate::body::{Body, LEAVING_MAX, LeavingBody, MayRead};
use crate::error::LedgerError;
use crate::retention::{BODIES_DELETED_MAX, DeleteBodies, DeletedBodies};
use crate::rules::{Command, Reply};

/// Bodies.
impl Ledger {
    /// Deletes of these bodies those that are finished and old enough, with one event that names them; looks at
    /// each once more. What is open, younger or gone already is left alone. Those apart leave: see
    /// [`Ledger::leaving_bodies`].
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`BODIES_DELETED_MAX`], or [`LedgerError::Store`].
    pub async fn delete_bodies(&self, order: DeleteBodies) -> Result<DeletedBodies, LedgerError> {
        at_most("bodies", BODIES_DELETED_MAX, order.digests.len())?;
        match self.ask(Command::DeleteBodies(order)).await? {
            Reply::Deleted(deleted) => Ok(deleted),
            _ => Err(MIXED_UP),
        }
    }

    /// The store has deleted the bytes of these bodies. Until this is said they count as leaving,
    /// however often the hub starts anew.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`LEAVING_MAX`], or [`LedgerError::Store`].
    pub async fn bodies_left(&self, left: Vec<LeavingBody>) -> Result<(), LedgerError> {
        at_most("bodies", LEAVING_MAX, left.len())?;
        self.done(Command::BodiesLeft(left)).await
    }

    /// Bodies apart that were let go and whose bytes the store still has to delete, the oldest first, at most
    /// [`LEAVING_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn leaving_bodies(&self) -> Result<Vec<LeavingBody>, LedgerError> {
        Ok(self.snapshot().await?.leaving_bodies(LEAVING_MAX).await?)
    }

    /// Whether the ledger keeps this body apart: then the store must keep its bytes.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn is_kept_apart(&self, sha256: Sha256) -> Result<bool, LedgerError> {
        let kept = self.snapshot().await?.kept_apart(&[sha256]).await?;
        Ok(!kept.is_empty())
    }

    /// Whether a system may read a body: it submitted it, or a document with it is on its way to that system or
    /// was taken by it, and was not taken back.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn may_read(&self, who: &MayRead) -> Result<bool, LedgerError> {
        Ok(self.snapshot().await?.may_read(who).await?)
    }

    /// A kept body by its digest.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn body(&self, sha256: Sha256) -> Result<Option<Body>, LedgerError> {
        Ok(self.snapshot().await?.body(sha256).await?)
    }
}

fn at_most(what: &'static str, max: usize, found: usize) -> Result<(), LedgerError> {
    if found > max {
        return Err(LedgerError::TooMany { what, max, found });
    }
    Ok(())
}
