//! What a back end does for alerts: loads and saves their rows. It decides nothing.

use async_trait::async_trait;
use jiff::Timestamp;
use truc_model::{AlertKind, AlertPostUid, AlertUid, SystemId};

use super::{AlertPost, AlertRow, AllowanceRow};
use crate::error::StoreError;

/// An open alert, by what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AlertKey {
    /// Its kind.
    pub kind: AlertKind,
    /// Its subject.
    pub subject: String,
}

/// What the writing transaction reads of alerts.
#[async_trait]
pub trait AlertTransaction: Send {
    /// Open alerts under these keys.
    ///
    /// # Errors
    /// [`StoreError`], as every method here.
    async fn alerts_open(&mut self, keys: &[AlertKey]) -> Result<Vec<AlertRow>, StoreError>;
    /// Alerts by id.
    async fn alerts_by_id(&mut self, alerts: &[AlertUid]) -> Result<Vec<AlertRow>, StoreError>;
    /// Messages by id.
    async fn posts_by_id(&mut self, posts: &[AlertPostUid]) -> Result<Vec<AlertPost>, StoreError>;
    /// Messages to these channels that lines can still join: one for a channel and a kind.
    async fn posts_gathering(&mut self, channels: &[String]) -> Result<Vec<AlertPost>, StoreError>;
    /// Messages to one channel that can be sent at `now`, oldest first.
    async fn posts_due(
        &mut self,
        now: Timestamp,
        channel: &str,
        max: usize,
    ) -> Result<Vec<AlertPost>, StoreError>;
    /// Dead letters, oldest first.
    async fn posts_dead(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError>;
    /// Allowances of these channels.
    async fn allowances(&mut self, channels: &[String]) -> Result<Vec<AllowanceRow>, StoreError>;
}

/// Which alerts to list. Empty: all that are open, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertFilter {
    /// Of these kinds; all when empty.
    pub kinds: Vec<AlertKind>,
    /// Raised by an event after this number: the next page.
    pub after: u64,
    /// Most lines; 0 and more than [`crate::query::PAGE_MAX`] mean that.
    pub limit: usize,
}

/// What is wrong with the messages for one inbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxTrouble {
    /// Whose.
    pub system: SystemId,
    /// Documents and statuses that wait in the ledger.
    pub waiting: u64,
    /// When the oldest of them was accepted.
    pub waiting_since: Option<Timestamp>,
    /// Messages, answers too, that were tried in vain at least so often as asked and are not out yet.
    pub failing: u64,
    /// Documents and statuses that lie untaken since before the moment asked.
    pub untaken: u64,
    /// Since when the oldest of them lies there.
    pub untaken_since: Option<Timestamp>,
}

/// What a picture of one moment shows of alerts.
#[async_trait]
pub trait AlertSnapshot: Send {
    /// Open alerts, by the event that raised them.
    ///
    /// # Errors
    /// [`StoreError`], as every method here.
    async fn alerts(&mut self, filter: &AlertFilter) -> Result<Vec<AlertRow>, StoreError>;
    /// How many alerts are open.
    async fn alert_count(&mut self) -> Result<u64, StoreError>;
    /// Alerts of which something must be told, oldest first.
    async fn alerts_untold(&mut self, max: usize) -> Result<Vec<AlertRow>, StoreError>;
    /// Whether a message to a channel can be sent at `now`.
    async fn alert_due(&mut self, now: Timestamp) -> Result<bool, StoreError>;
    /// Messages to channels, dead letters last, each oldest first.
    async fn alert_posts(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError>;
    /// What is wrong with inboxes, by system; those with nothing in the ledger are left out. `attempts` is
    /// what counts as failing, `before` as untaken.
    async fn inbox_troubles(
        &mut self,
        attempts: u32,
        before: Timestamp,
    ) -> Result<Vec<InboxTrouble>, StoreError>;
}
