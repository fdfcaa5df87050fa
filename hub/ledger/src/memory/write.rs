//! The writing transaction of the memory twin.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::OwnedRwLockWriteGuard;
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Party, Sha256, SystemId};

use super::{Tables, alerts, kept, limits, waiting};
use crate::body::Body;
use crate::command::{HubId, SubmissionKey};
use crate::error::StoreError;
use crate::event::{EventKind, EventRow, Head};
use crate::limit::{LimitChanges, LimitKey, LimitRow};
use crate::retention::KeptBody;
use crate::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxPlace, OutboxRow, RecipientRow, RefusalRow, StatusRow,
    SubmissionRow,
};
use crate::store::{
    AMENDING_MAX, DeliveryOwner, InboxQueue, NumberKey, RefusalLike, SAME_DOCUMENTS_MAX, Transaction,
};

type Undo = Box<dyn FnOnce(&mut Tables) + Send + Sync>;

pub(super) struct MemoryTransaction {
    tables: OwnedRwLockWriteGuard<Tables>,
    undo: Vec<Undo>,
    fault: Arc<Mutex<Option<StoreError>>>,
}

impl MemoryTransaction {
    pub(super) fn new(tables: OwnedRwLockWriteGuard<Tables>, fault: Arc<Mutex<Option<StoreError>>>) -> Self {
        Self {
            tables,
            undo: Vec::new(),
            fault,
        }
    }

    pub(super) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Takes a row away, if it is there.
    pub(super) fn take<K, V>(&mut self, table: fn(&mut Tables) -> &mut BTreeMap<K, V>, key: K)
    where
        K: Ord + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        if let Some(old) = table(&mut self.tables).remove(&key) {
            self.undo.push(Box::new(move |tables| {
                table(tables).insert(key, old);
            }));
        }
    }

    /// Puts a row, and remembers how it was before.
    pub(super) fn put<K, V>(&mut self, table: fn(&mut Tables) -> &mut BTreeMap<K, V>, key: K, value: V)
    where
        K: Ord + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        let old = table(&mut self.tables).insert(key.clone(), value);
        self.undo.push(Box::new(move |tables| {
            match old {
                Some(old) => table(tables).insert(key, old),
                None => table(tables).remove(&key),
            };
        }));
    }

    /// Puts a row where none may be.
    fn add<K, V>(
        &mut self,
        what: &'static str,
        table: fn(&mut Tables) -> &mut BTreeMap<K, V>,
        key: K,
        value: V,
    ) -> Result<(), StoreError>
    where
        K: Ord + Clone + Send + Sync + 'static,
        V: Send + Sync + 'static,
    {
        if table(&mut self.tables).contains_key(&key) {
            return Err(StoreError::Backend(format!("{what} is already there").into()));
        }
        self.put(table, key, value);
        Ok(())
    }

    fn remove_outbox(&mut self, delivery: DeliveryUid) {
        if let Some(old) = self.tables.outbox.remove(&delivery) {
            self.undo.push(Box::new(move |tables| {
                tables.outbox.insert(delivery, old);
            }));
        }
    }

    fn remove_limit(&mut self, key: LimitKey) {
        if let Some(old) = self.tables.limits.remove(&key) {
            self.undo.push(Box::new(move |tables| {
                tables.limits.insert(key, old);
            }));
        }
    }

    fn save_limits(&mut self, changes: &LimitChanges) -> Result<(), StoreError> {
        for end in &changes.ended {
            match limits::running(&self.tables, end) {
                Some(row) if row.told == 0 => self.remove_limit(row.key),
                Some(mut row) => {
                    row.ended = Some(end.at);
                    self.put(|t| &mut t.limits, row.key, row);
                }
                None => {}
            }
        }
        for row in &changes.begun {
            self.add("a limit", |t| &mut t.limits, row.key, row.clone())?;
        }
        for (key, level) in &changes.told {
            if let Some(mut row) = self.tables.limits.get(key).cloned() {
                row.told = *level;
                self.put(|t| &mut t.limits, *key, row);
            }
        }
        for key in &changes.gone {
            self.remove_limit(*key);
        }
        Ok(())
    }

    fn add_document(&mut self, row: &DocumentRow) -> Result<(), StoreError> {
        let identity = (row.identity.clone(), row.event);
        self.put(|t| &mut t.by_identity, identity, row.uid);
        if let Some(number) = row.number_key() {
            let sender = row.identity.sender.clone();
            let key = (NumberKey { sender, number }, row.event);
            self.put(|t| &mut t.by_number, key, row.uid);
        }
        self.put(|t| &mut t.by_event, row.event, row.uid);
        self.add("a document", |t| &mut t.documents, row.uid, row.clone())
    }

    fn own(&mut self, owner: DeliveryOwner) {
        self.put(|t| &mut t.owners, owner.delivery, owner);
    }
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        for undo in self.undo.drain(..).rev() {
            undo(&mut self.tables);
        }
    }
}

pub(super) fn head(tables: &Tables) -> Head {
    tables
        .events
        .last_key_value()
        .map_or(tables.start.unwrap_or(Head::EMPTY), |(_, row)| Head {
            seq: row.seq,
            hash: row.hash,
        })
}

/// Documents under a range of an index: not held first, then in the given order, cut off.
fn same<'a>(
    tables: &Tables,
    uids: impl Iterator<Item = &'a DocumentUid>,
    newest_first: bool,
) -> Vec<DocumentRow> {
    let mut rows: Vec<&DocumentRow> = uids.filter_map(|uid| tables.documents.get(uid)).collect();
    rows.sort_by_key(|row| {
        let event = if newest_first {
            u64::MAX - row.event
        } else {
            row.event
        };
        (row.held, event)
    });
    rows.into_iter().take(SAME_DOCUMENTS_MAX).cloned().collect()
}

fn of_identity<'a>(tables: &'a Tables, of: &DocumentIdentity) -> impl Iterator<Item = &'a DocumentUid> {
    let range = (of.clone(), 0)..=(of.clone(), u64::MAX);
    tables.by_identity.range(range).map(|(_, uid)| uid)
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(head(&self.tables))
    }

    async fn submissions(&mut self, keys: &[SubmissionKey]) -> Result<Vec<SubmissionRow>, StoreError> {
        let found = keys.iter().filter_map(|key| self.tables.submissions.get(key));
        Ok(found.cloned().collect())
    }

    async fn refusals(&mut self, like: &[RefusalLike]) -> Result<Vec<RefusalRow>, StoreError> {
        let first = truc_model::RefusalCode::ALL.first().copied();
        let last = truc_model::RefusalCode::ALL.last().copied();
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(Vec::new());
        };
        let key = |like: &RefusalLike, code| crate::rows::RefusalKey {
            system: like.system.clone(),
            message_id: like.message_id,
            sha256: like.sha256,
            code,
        };
        let found = like.iter().flat_map(|like| {
            let range = key(like, first)..=key(like, last);
            self.tables.refusals.range(range).map(|(_, row)| row.clone())
        });
        Ok(found.collect())
    }

    async fn documents_by_identity(
        &mut self,
        of: &[DocumentIdentity],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let tables = &self.tables;
        let found = of
            .iter()
            .flat_map(|of| same(tables, of_identity(tables, of), false));
        Ok(found.collect())
    }

    async fn documents_by_digest(
        &mut self,
        of: &[(DocumentIdentity, Sha256)],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let tables = &self.tables;
        let found = of.iter().flat_map(|(of, sha256)| {
            of_identity(tables, of)
                .filter_map(|uid| tables.documents.get(uid))
                .filter(move |row| row.sha256 == *sha256)
                .cloned()
        });
        Ok(found.collect())
    }

    async fn documents_by_number(&mut self, of: &[NumberKey]) -> Result<Vec<DocumentRow>, StoreError> {
        let tables = &self.tables;
        let found = of.iter().flat_map(|of| {
            let range = (of.clone(), 0)..=(of.clone(), u64::MAX);
            same(tables, tables.by_number.range(range).map(|(_, uid)| uid), true)
        });
        Ok(found.collect())
    }

    async fn documents(&mut self, uids: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let found = uids.iter().filter_map(|uid| self.tables.documents.get(uid));
        Ok(found.cloned().collect())
    }

    async fn amending(&mut self, of: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let rows = self.tables.by_event.values();
        let rows = rows.filter_map(|uid| self.tables.documents.get(uid));
        let amends = |row: &&DocumentRow| row.amends.is_some_and(|uid| of.contains(&uid));
        let mut counts: BTreeMap<Option<DocumentUid>, usize> = BTreeMap::new();
        let fits = |row: &&DocumentRow| {
            let count = counts.entry(row.amends).or_default();
            *count += 1;
            *count <= AMENDING_MAX
        };
        Ok(rows.filter(amends).filter(fits).cloned().collect())
    }

    async fn known_ids(&mut self, of: &[String]) -> Result<Vec<String>, StoreError> {
        let known = |id: &&String| {
            let mut rows = self.tables.documents.values();
            rows.any(|row| row.identity.document_id == **id)
        };
        Ok(of.iter().filter(known).cloned().collect())
    }

    async fn recipients_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let found = documents.iter().flat_map(|uid| {
            let range = (*uid, 0)..=(*uid, u32::MAX);
            self.tables.recipients.range(range).map(|(_, row)| row.clone())
        });
        Ok(found.collect())
    }

    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<StatusRow>, StoreError> {
        let found = documents.iter().flat_map(|uid| {
            let range = (*uid, 0)..=(*uid, u64::MAX);
            self.tables.statuses.range(range).map(|(_, row)| row.clone())
        });
        Ok(found.collect())
    }

    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError> {
        let found = deliveries.iter().filter_map(|uid| self.tables.outbox.get(uid));
        Ok(found.cloned().collect())
    }

    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Result<Vec<DeliveryOwner>, StoreError> {
        let found = of.iter().filter_map(|uid| self.tables.owners.get(uid));
        Ok(found.cloned().collect())
    }

    async fn inbox_queues(
        &mut self,
        now: Timestamp,
        room: usize,
        max: usize,
    ) -> Result<Vec<InboxQueue>, StoreError> {
        let mut queues: BTreeMap<SystemId, InboxQueue> = BTreeMap::new();
        for row in self
            .tables
            .outbox
            .values()
            .filter(|row| row.outgoing.awaits_taken())
        {
            let queue = queues.entry(row.system.clone()).or_insert_with(|| InboxQueue {
                system: row.system.clone(),
                in_inbox: 0,
                waiting: Vec::new(),
            });
            queue.in_inbox += u64::from(row.is_in_inbox(now));
            if row.is_claimable(now) {
                queue.waiting.push(row.clone());
            }
        }
        for queue in queues.values_mut() {
            queue.waiting.sort_by_key(OutboxRow::order);
            let inside = usize::try_from(queue.in_inbox).unwrap_or(usize::MAX);
            queue.waiting.truncate(room.saturating_sub(inside).min(max));
        }
        queues.retain(|_, queue| !queue.waiting.is_empty());
        Ok(queues.into_values().collect())
    }

    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.tables.outbox.values();
        let mut rows: Vec<OutboxRow> = rows
            .filter(|row| !row.outgoing.awaits_taken() && row.is_claimable(now))
            .cloned()
            .collect();
        rows.sort_by_key(|row| (row.event, row.line));
        rows.truncate(max);
        Ok(rows)
    }

    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.tables.outbox.values();
        let mut rows: Vec<OutboxRow> = rows
            .filter(|row| row.is_order() && row.is_claimable(now))
            .cloned()
            .collect();
        rows.sort_by_key(|row| (row.event, row.line));
        rows.truncate(max);
        Ok(rows)
    }

    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = forwarded_before(&self.tables, before);
        rows.retain(|row| !row.alerted && !row.recalled);
        rows.truncate(max);
        Ok(rows)
    }

    async fn forwarded_to(&mut self, system: &SystemId, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = forwarded_before(&self.tables, Timestamp::MAX);
        rows.retain(|row| row.system == *system && !row.recalled);
        rows.truncate(max);
        Ok(rows)
    }

    async fn waiting_for(
        &mut self,
        parties: &[Party],
        max: usize,
    ) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
        Ok(waiting::waiting_for(&self.tables, parties, max))
    }

    async fn bodies(&mut self, of: &[Sha256]) -> Result<Vec<(Sha256, Body)>, StoreError> {
        let found = of.iter().filter_map(|sha256| {
            let body = self.tables.bodies.get(sha256)?;
            Some((*sha256, body.clone()))
        });
        Ok(found.collect())
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        Ok(kept::kept_apart(&self.tables, of))
    }

    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
        Ok(kept::kept(&self.tables, of))
    }

    async fn limits(&mut self, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
        Ok(limits::of(&self.tables, keys))
    }

    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError> {
        let is_his =
            |row: &&OutboxRow| matches!(&row.place, OutboxPlace::Leased { owner: o, .. } if o == owner);
        let his: Vec<OutboxRow> = self.tables.outbox.values().filter(is_his).cloned().collect();
        let count = his.len() as u64;
        for mut row in his {
            row.place = OutboxPlace::Waiting { not_before: None };
            self.put(|t| &mut t.outbox, row.delivery, row);
        }
        Ok(count)
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        Ok(self
            .tables
            .directories
            .last_key_value()
            .map(|(_, row)| row.clone()))
    }

    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError> {
        let mut rows = self.tables.events.values().rev();
        Ok(rows
            .find(|row| row.document.is_none() && row.kind == kind)
            .cloned())
    }

    async fn save(&mut self, changes: Changes) -> Result<(), StoreError> {
        for row in &changes.events {
            chained(head(&self.tables), row)?;
            self.add("an event", |t| &mut t.events, row.seq, row.clone())?;
        }
        for row in &changes.bodies_deleted {
            let key = (row.sha256, row.event);
            self.add("a deletion", |t| &mut t.deletions, key, row.clone())?;
            self.take(|t| &mut t.bodies, row.sha256);
        }
        for row in &changes.bodies_left {
            if self
                .tables
                .leaving
                .get(&row.sha256)
                .is_some_and(|now| now.event == row.event)
            {
                self.take(|t| &mut t.leaving, row.sha256);
            }
        }
        for row in &changes.bodies_leaving {
            self.put(|t| &mut t.leaving, row.sha256, *row);
        }
        for (sha256, body) in &changes.bodies {
            if !self.tables.bodies.contains_key(sha256) {
                if body.here().is_none() {
                    self.take(|t| &mut t.leaving, *sha256);
                }
                self.put(|t| &mut t.bodies, *sha256, body.clone());
            }
        }
        for row in &changes.documents {
            self.add_document(row)?;
        }
        for row in &changes.recipients {
            let key = (row.document, row.position);
            if let (Some(delivery), Some(system)) = (row.delivery, &row.system) {
                self.own(DeliveryOwner {
                    delivery,
                    system: system.clone(),
                    document: row.document,
                    is_status: false,
                });
            }
            self.add("a recipient", |t| &mut t.recipients, key, row.clone())?;
        }
        self.save_limits(&changes.limits)?;
        alerts::save(self, &changes.alerts);
        for (document, held) in &changes.held {
            if let Some(mut row) = self.tables.documents.get(document).cloned() {
                row.held = *held;
                self.put(|t| &mut t.documents, *document, row);
            }
        }
        for row in &changes.recipients_moved {
            if let (Some(delivery), Some(system)) = (row.delivery, &row.system) {
                self.own(DeliveryOwner {
                    delivery,
                    system: system.clone(),
                    document: row.document,
                    is_status: false,
                });
            }
            self.put(|t| &mut t.recipients, (row.document, row.position), row.clone());
        }
        for row in &changes.submissions {
            self.add(
                "a submission",
                |t| &mut t.submissions,
                row.key.clone(),
                row.clone(),
            )?;
        }
        for row in &changes.refusals {
            self.add("a refusal", |t| &mut t.refusals, row.key.clone(), row.clone())?;
        }
        for row in &changes.statuses {
            if let (Some(delivery), Some(system)) = (row.delivery, &row.to_system) {
                self.own(DeliveryOwner {
                    delivery,
                    system: system.clone(),
                    document: row.document,
                    is_status: true,
                });
            }
            self.add(
                "a status",
                |t| &mut t.statuses,
                (row.document, row.event),
                row.clone(),
            )?;
        }
        for row in &changes.outbox {
            self.add("a message", |t| &mut t.outbox, row.delivery, row.clone())?;
        }
        for row in &changes.outbox_moved {
            self.put(|t| &mut t.outbox, row.delivery, row.clone());
        }
        for delivery in &changes.outbox_done {
            self.remove_outbox(*delivery);
        }
        for row in &changes.directories {
            self.add("a directory", |t| &mut t.directories, row.version, row.clone())?;
        }
        Ok(())
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let fault = self.fault.lock().ok().and_then(|mut fault| fault.take());
        match fault {
            Some(error) => Err(error),
            None => {
                self.undo.clear();
                Ok(())
            }
        }
    }
}

fn chained(head: Head, row: &EventRow) -> Result<(), StoreError> {
    if row.seq == head.seq + 1 {
        Ok(())
    } else {
        Err(StoreError::Backend(
            format!("event {} after {}", row.seq, head.seq).into(),
        ))
    }
}

/// Messages forwarded before a moment, oldest first.
pub(super) fn forwarded_before(tables: &Tables, before: Timestamp) -> Vec<OutboxRow> {
    let when = |row: &OutboxRow| match row.place {
        OutboxPlace::Forwarded { at, .. } => Some(at),
        _ => None,
    };
    let rows = tables.outbox.values();
    let mut rows: Vec<OutboxRow> = rows
        .filter(|row| when(row).is_some_and(|at| at < before))
        .cloned()
        .collect();
    rows.sort_by_key(|row| (when(row), row.event, row.line));
    rows
}
