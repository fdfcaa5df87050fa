//! What the rest of the hub asks of the ledger about time limits.

use super::{Ledger, MIXED_UP};
use crate::error::LedgerError;
use crate::limit::{
    LIMITS_MAX, LimitKey, LimitLine, LimitQuery, LimitRow, LimitTold, SentLateLine, SentLateQuery,
};
use crate::query::PAGE_MAX;
use crate::rules::{Command, Reply};

impl Ledger {
    /// Running limits, those that began first, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn open_limits(&self, query: &LimitQuery) -> Result<Vec<LimitLine>, LedgerError> {
        let query = LimitQuery {
            max: query.max.min(PAGE_MAX),
            ..query.clone()
        };
        Ok(self.snapshot().await?.open_limits(&query).await?)
    }

    /// The answers to several questions, each as [`Ledger::open_limits`], all of one moment.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn open_limits_of(&self, queries: &[LimitQuery]) -> Result<Vec<LimitLine>, LedgerError> {
        let mut now = self.snapshot().await?;
        let mut lines = Vec::new();
        for query in queries {
            let query = LimitQuery {
                max: query.max.min(PAGE_MAX),
                ..query.clone()
            };
            lines.extend(now.open_limits(&query).await?);
        }
        Ok(lines)
    }

    /// Limits that ended after they ran out and that was told; at most [`LIMITS_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn ended_limits(&self) -> Result<Vec<LimitRow>, LedgerError> {
        Ok(self.snapshot().await?.ended_limits(LIMITS_MAX).await?)
    }

    /// Documents that came later than they should have been sent, the newest first, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn sent_late(&self, query: &SentLateQuery) -> Result<Vec<SentLateLine>, LedgerError> {
        let query = SentLateQuery {
            max: query.max.min(PAGE_MAX),
            ..query.clone()
        };
        Ok(self.snapshot().await?.sent_late(&query).await?)
    }

    /// Records that these limits ran out and somebody is told. What ended in the meantime, or was told already,
    /// is passed over. Gives how many were not.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`LIMITS_MAX`], or [`LedgerError::Store`].
    pub async fn limits_told(&self, told: Vec<LimitTold>) -> Result<usize, LedgerError> {
        few(told.len())?;
        match self.ask(Command::LimitsTold(told)).await? {
            Reply::LimitsTold(count) => Ok(count),
            _ => Err(MIXED_UP),
        }
    }

    /// That these limits have ended was told: their rows go. Those that still run stay.
    ///
    /// # Errors
    /// As [`Ledger::limits_told`].
    pub async fn limits_settled(&self, keys: Vec<LimitKey>) -> Result<(), LedgerError> {
        few(keys.len())?;
        self.done(Command::LimitsSettled(keys)).await
    }
}

fn few(found: usize) -> Result<(), LedgerError> {
    if found > LIMITS_MAX {
        return Err(LedgerError::TooMany {
            what: "limits",
            max: LIMITS_MAX,
            found,
        });
    }
    Ok(())
}
