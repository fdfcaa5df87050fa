//! What the rest of the hub says to the ledger about alerts, and asks of it.

use jiff::Timestamp;

use super::{Ledger, MIXED_UP};
use crate::alert::{
    ALERT_ORDERS_MAX, ALERT_ROUTED_MAX, AlertClaim, AlertCommand, AlertFilter, AlertOrder, AlertPost,
    AlertRevive, AlertRow, AlertTried, InboxTrouble, Routed,
};
use crate::error::LedgerError;
use crate::query::PAGE_MAX;
use crate::rules::{Command, Reply};

/// Alerts.
impl Ledger {
    /// Raises, keeps up and ends alerts, in the order given: an event for each that begins, grows or ends. To
    /// raise what is open, or to end what is not, writes no event.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`ALERT_ORDERS_MAX`], or [`LedgerError::Store`].
    pub async fn alerts(&self, orders: Vec<AlertOrder>) -> Result<(), LedgerError> {
        at_most("orders", ALERT_ORDERS_MAX, orders.len())?;
        self.done(Command::Alert(AlertCommand::Orders(orders))).await
    }

    /// Says where the present changes of alerts go. One that somebody else told first, or that changed since it
    /// was read, is left alone.
    ///
    /// # Errors
    /// [`LedgerError::TooMany`] beyond [`ALERT_ROUTED_MAX`], or [`LedgerError::Store`].
    pub async fn route_alerts(&self, routed: Vec<Routed>) -> Result<(), LedgerError> {
        at_most("alerts", ALERT_ROUTED_MAX, routed.len())?;
        self.done(Command::Alert(AlertCommand::Route(routed))).await
    }

    /// Leases messages that are due, the gravest first, within the channels' allowances.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn claim_alerts(&self, claim: AlertClaim) -> Result<Vec<AlertPost>, LedgerError> {
        match self.ask(Command::Alert(AlertCommand::Claim(claim))).await? {
            Reply::AlertPosts(posts) => Ok(posts),
            _ => Err(MIXED_UP),
        }
    }

    /// Says how an attempt went. One that failed for good becomes a dead letter and raises
    /// [`truc_model::AlertKind::ChannelFailing`]; one that went well ends that.
    ///
    /// # Errors
    /// [`LedgerError::Store`]: then the message goes again when its lease ends, under the same id.
    pub async fn alert_tried(&self, tried: AlertTried) -> Result<(), LedgerError> {
        self.done(Command::Alert(AlertCommand::Tried(tried))).await
    }

    /// Has dead letters of the channels sent again. Gives how many.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn revive_alerts(&self, order: AlertRevive) -> Result<u64, LedgerError> {
        match self.ask(Command::Alert(AlertCommand::Revive(order))).await? {
            Reply::Released(count) => Ok(count),
            _ => Err(MIXED_UP),
        }
    }

    /// Open alerts, by the event that raised them.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn open_alerts(&self, filter: &AlertFilter) -> Result<Vec<AlertRow>, LedgerError> {
        Ok(self.snapshot().await?.alerts(filter).await?)
    }

    /// How many alerts are open.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn alert_count(&self) -> Result<u64, LedgerError> {
        Ok(self.snapshot().await?.alert_count().await?)
    }

    /// Alerts of which the channels must be told something, at most [`ALERT_ROUTED_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn untold_alerts(&self) -> Result<Vec<AlertRow>, LedgerError> {
        Ok(self.snapshot().await?.alerts_untold(ALERT_ROUTED_MAX).await?)
    }

    /// Whether a message to a channel waits to be sent now: a look that costs less than a claim.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn alert_due(&self) -> Result<bool, LedgerError> {
        Ok(self.snapshot().await?.alert_due(self.clock.now()).await?)
    }

    /// Messages to channels that are not sent, dead letters last, each oldest first, at most [`PAGE_MAX`].
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn alert_posts(&self) -> Result<Vec<AlertPost>, LedgerError> {
        Ok(self.snapshot().await?.alert_posts(PAGE_MAX).await?)
    }

    /// What is wrong with inboxes: messages tried `attempts` times and not out, and those untaken since before
    /// `before`.
    ///
    /// # Errors
    /// [`LedgerError::Store`].
    pub async fn inbox_troubles(
        &self,
        attempts: u32,
        before: Timestamp,
    ) -> Result<Vec<InboxTrouble>, LedgerError> {
        Ok(self.snapshot().await?.inbox_troubles(attempts, before).await?)
    }
}

const fn at_most(what: &'static str, max: usize, found: usize) -> Result<(), LedgerError> {
    if found > max {
        return Err(LedgerError::TooMany { what, max, found });
    }
    Ok(())
}
