//! What the rest of the hub says to the ledger about reorganisations, and asks of it.

use super::{Ledger, MIXED_UP};
use crate::error::LedgerError;
use crate::reorganise::{AtHome, Reorganise, Reorganised};
use crate::rules::{Command, Reply};

/// Reorganisations.
impl Ledger {
    /// Saves a version of the directory, if one comes with the order, and moves what waits here for agencies
    /// that changed hands, in one transaction: all of it or nothing.
    ///
    /// # Errors
    /// [`LedgerError::DirectoryMoved`] when somebody else saved a version first, [`LedgerError::DirectoryVersion`],
    /// [`LedgerError::TooMany`] beyond [`crate::reorganise::MOVED_MAX`], [`LedgerError::Store`].
    pub async fn reorganise(&self, order: Reorganise) -> Result<Reorganised, LedgerError> {
        match self.ask(Command::Reorganise(Box::new(order))).await? {
            Reply::Reorganised(counts) => Ok(counts),
            _ => Err(MIXED_UP),
        }
    }

    /// What waits for whom by which system, and what is out and not taken; by party and system.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn at_home(&self) -> Result<Vec<AtHome>, LedgerError> {
        Ok(self.snapshot().await?.at_home().await?)
    }
}
