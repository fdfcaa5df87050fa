//! The ledger in memory: the twin by which tests and simulations run without a disk.
//!
//! It keeps every promise but the one of durability: one writing transaction at a time, nothing left of one
//! that is dropped, pictures that later commits do not change.

mod alerts;
#[cfg(any(test, feature = "contract"))]
mod carry;
mod kept;
mod limits;
mod read;
mod waiting;
mod write;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::RwLock;
use truc_model::{AlertPostUid, AlertUid, DeliveryUid, DocumentIdentity, DocumentUid, Sha256};

use crate::alert::{AlertPost, AlertRow, AllowanceRow};
use crate::body::{Body, LeavingBody};
use crate::command::SubmissionKey;
use crate::error::StoreError;
use crate::event::{EventRow, Head};
use crate::limit::{LimitKey, LimitRow};
use crate::retention::BodyDeletedRow;
use crate::rows::{
    DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalKey, RefusalRow, StatusRow, SubmissionRow,
};
use crate::store::{DeliveryOwner, NumberKey, Snapshot, Store, Transaction};

/// The tables. All are ordered maps, so that one helper can undo any change.
#[derive(Debug, Default)]
struct Tables {
    /// The end of the chain that this ledger continues, when it is kept elsewhere.
    start: Option<Head>,
    events: BTreeMap<u64, EventRow>,
    bodies: BTreeMap<Sha256, Body>,
    leaving: BTreeMap<Sha256, LeavingBody>,
    deletions: BTreeMap<(Sha256, u64), BodyDeletedRow>,
    documents: BTreeMap<DocumentUid, DocumentRow>,
    by_identity: BTreeMap<(DocumentIdentity, u64), DocumentUid>,
    by_number: BTreeMap<(NumberKey, u64), DocumentUid>,
    by_event: BTreeMap<u64, DocumentUid>,
    recipients: BTreeMap<(DocumentUid, u32), RecipientRow>,
    submissions: BTreeMap<SubmissionKey, SubmissionRow>,
    refusals: BTreeMap<RefusalKey, RefusalRow>,
    statuses: BTreeMap<(DocumentUid, u64), StatusRow>,
    outbox: BTreeMap<DeliveryUid, OutboxRow>,
    owners: BTreeMap<DeliveryUid, DeliveryOwner>,
    directories: BTreeMap<u64, DirectoryRow>,
    alerts: BTreeMap<AlertUid, AlertRow>,
    alert_posts: BTreeMap<AlertPostUid, AlertPost>,
    allowances: BTreeMap<String, AllowanceRow>,
    limits: BTreeMap<LimitKey, LimitRow>,
}

/// A ledger in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    tables: Arc<RwLock<Tables>>,
    fault: Arc<Mutex<Option<StoreError>>>,
}

impl MemoryStore {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next commit fail with this error, and leave nothing.
    pub fn fail_next_commit(&self, error: StoreError) {
        if let Ok(mut fault) = self.fault.lock() {
            *fault = Some(error);
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(write::MemoryTransaction::new(
            Arc::clone(&self.tables).write_owned().await,
            Arc::clone(&self.fault),
        )))
    }

    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(read::MemorySnapshot(
            Arc::clone(&self.tables).read_owned().await,
        )))
    }
}
