//! Alerts in memory.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use jiff::Timestamp;
use truc_model::{AlertKind, AlertPostUid, AlertUid};

use super::Tables;
use super::read::MemorySnapshot;
use super::write::MemoryTransaction;
use crate::alert::{
    AlertChanges, AlertFilter, AlertKey, AlertPost, AlertRow, AlertSnapshot, AlertTransaction, AllowanceRow,
    InboxTrouble, PostPlace,
};
use crate::error::StoreError;
use crate::query::page;
use crate::rows::OutboxPlace;

/// Saves what a transaction changes.
pub(super) fn save(tx: &mut MemoryTransaction, changes: &AlertChanges) {
    for alert in &changes.alerts_done {
        tx.take(|t| &mut t.alerts, *alert);
    }
    for row in &changes.alerts {
        tx.put(|t| &mut t.alerts, row.alert, row.clone());
    }
    for post in &changes.posts_done {
        tx.take(|t| &mut t.alert_posts, *post);
    }
    for post in &changes.posts {
        tx.put(|t| &mut t.alert_posts, post.post, post.clone());
    }
    for row in &changes.allowances {
        tx.put(|t| &mut t.allowances, row.channel.clone(), row.clone());
    }
}

/// Messages that fit, oldest first.
fn posts(tables: &Tables, fits: impl Fn(&AlertPost) -> bool) -> Vec<AlertPost> {
    let mut posts: Vec<AlertPost> = tables
        .alert_posts
        .values()
        .filter(|post| fits(post))
        .cloned()
        .collect();
    posts.sort_by_key(|post| (post.created_at, post.post));
    posts
}

/// Alerts that fit, by the event that raised them.
fn alerts(tables: &Tables, fits: impl Fn(&AlertRow) -> bool) -> Vec<AlertRow> {
    let mut rows: Vec<AlertRow> = tables.alerts.values().filter(|row| fits(row)).cloned().collect();
    rows.sort_by_key(|row| row.event);
    rows
}

#[async_trait]
impl AlertTransaction for MemoryTransaction {
    async fn alerts_open(&mut self, keys: &[AlertKey]) -> Result<Vec<AlertRow>, StoreError> {
        let keys: BTreeSet<(AlertKind, &str)> = keys.iter().map(|key| (key.kind, &*key.subject)).collect();
        let wanted = |row: &AlertRow| row.is_open() && keys.contains(&(row.kind, &*row.subject));
        Ok(alerts(self.tables(), wanted))
    }

    async fn alerts_by_id(&mut self, ids: &[AlertUid]) -> Result<Vec<AlertRow>, StoreError> {
        let rows = ids.iter().filter_map(|alert| self.tables().alerts.get(alert));
        Ok(rows.cloned().collect())
    }

    async fn posts_by_id(&mut self, ids: &[AlertPostUid]) -> Result<Vec<AlertPost>, StoreError> {
        Ok(posts(self.tables(), |post| ids.contains(&post.post)))
    }

    async fn posts_gathering(&mut self, channels: &[String]) -> Result<Vec<AlertPost>, StoreError> {
        Ok(posts(self.tables(), |post| {
            post.is_gathering() && channels.contains(&post.channel)
        }))
    }

    async fn posts_due(
        &mut self,
        now: Timestamp,
        channel: &str,
        max: usize,
    ) -> Result<Vec<AlertPost>, StoreError> {
        let mut posts = posts(self.tables(), |post| post.channel == channel && post.is_due(now));
        posts.truncate(max);
        Ok(posts)
    }

    async fn posts_dead(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let mut posts = posts(self.tables(), |post| matches!(post.place, PostPlace::Dead { .. }));
        posts.truncate(max);
        Ok(posts)
    }

    async fn allowances(&mut self, channels: &[String]) -> Result<Vec<AllowanceRow>, StoreError> {
        let rows = self.tables().allowances.values();
        Ok(rows
            .filter(|row| channels.contains(&row.channel))
            .cloned()
            .collect())
    }
}

#[async_trait]
impl AlertSnapshot for MemorySnapshot {
    async fn alerts(&mut self, filter: &AlertFilter) -> Result<Vec<AlertRow>, StoreError> {
        let mut rows = alerts(&self.0, |row| {
            row.is_open()
                && row.event > filter.after
                && (filter.kinds.is_empty() || filter.kinds.contains(&row.kind))
        });
        rows.truncate(page(filter.limit));
        Ok(rows)
    }

    async fn alert_count(&mut self) -> Result<u64, StoreError> {
        Ok(self.0.alerts.values().filter(|row| row.is_open()).count() as u64)
    }

    async fn alerts_untold(&mut self, max: usize) -> Result<Vec<AlertRow>, StoreError> {
        let mut rows = alerts(&self.0, |row| row.untold().is_some());
        rows.truncate(max);
        Ok(rows)
    }

    async fn alert_due(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.0.alert_posts.values().any(|post| post.is_due(now)))
    }

    async fn alert_posts(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let mut posts = posts(&self.0, |_| true);
        posts.sort_by_key(|post| matches!(post.place, PostPlace::Dead { .. }));
        posts.truncate(max);
        Ok(posts)
    }

    async fn inbox_troubles(
        &mut self,
        attempts: u32,
        before: Timestamp,
    ) -> Result<Vec<InboxTrouble>, StoreError> {
        let mut troubles = BTreeMap::new();
        for row in self.0.outbox.values() {
            let trouble = troubles
                .entry(row.system.clone())
                .or_insert_with(|| InboxTrouble {
                    system: row.system.clone(),
                    waiting: 0,
                    waiting_since: None,
                    failing: 0,
                    untaken: 0,
                    untaken_since: None,
                });
            let earliest =
                |known: Option<Timestamp>, at| Some(known.map_or(at, |known: Timestamp| known.min(at)));
            match row.place {
                OutboxPlace::Forwarded { at, .. } if row.outgoing.awaits_taken() && at < before => {
                    trouble.untaken += 1;
                    trouble.untaken_since = earliest(trouble.untaken_since, at);
                }
                OutboxPlace::Forwarded { .. } => {}
                OutboxPlace::Waiting { .. } | OutboxPlace::Leased { .. } => {
                    trouble.failing += u64::from(row.attempts >= attempts);
                    if row.outgoing.awaits_taken() && matches!(row.place, OutboxPlace::Waiting { .. }) {
                        trouble.waiting += 1;
                        trouble.waiting_since = earliest(trouble.waiting_since, row.accepted_at);
                    }
                }
            }
        }
        Ok(troubles.into_values().collect())
    }
}
