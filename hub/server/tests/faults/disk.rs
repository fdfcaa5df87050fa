//! The memory ledger, on a disk that fails when told to, and with a document it cannot take.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use truc_ledger::alert::{AlertKey, AlertPost, AlertRow, AlertTransaction, AllowanceRow};
use truc_ledger::command::{HubId, SubmissionKey};
use truc_ledger::event::{EventKind, EventRow, Head};
use truc_ledger::limit::{LimitKey, LimitRow};
use truc_ledger::retention::KeptBody;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
};
use truc_ledger::store::{DeliveryOwner, InboxQueue, NumberKey, RefusalLike};
use truc_ledger::{MemoryStore, Snapshot, Store, StoreError, Transaction};
use truc_model::{
    AlertPostUid, AlertUid, DeliveryUid, DocumentIdentity, DocumentUid, Party, Sha256, SystemId,
};

/// See the module.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    store: MemoryStore,
    full: Arc<AtomicBool>,
    broken: Arc<AtomicBool>,
    poison: Arc<Mutex<Option<String>>>,
}

impl Disk {
    /// No commit goes through until told otherwise.
    pub(crate) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::SeqCst);
    }

    /// The same, with an error that does not look like the machine's: a read-only file, for instance.
    pub(crate) fn set_broken(&self, broken: bool) {
        self.broken.store(broken, Ordering::SeqCst);
    }

    /// Saving a document with this number panics, as a defect would.
    pub(crate) fn poison(&self, number: &str) {
        *self.poison.lock().unwrap() = Some(number.to_owned());
    }
}

#[async_trait]
impl Store for Disk {
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        if self.full.load(Ordering::SeqCst) {
            return Err(StoreError::Full("no space left".into()));
        }
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Backend("attempt to write a readonly database".into()));
        }
        Ok(Box::new(Guarded {
            inner: self.store.begin().await?,
            poison: self.poison.lock().unwrap().clone(),
        }))
    }

    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.store.read().await
    }
}

struct Guarded {
    inner: Box<dyn Transaction>,
    poison: Option<String>,
}

type Rows<T> = Result<Vec<T>, StoreError>;

#[async_trait]
impl Transaction for Guarded {
    async fn head(&mut self) -> Result<Head, StoreError> {
        self.inner.head().await
    }
    async fn submissions(&mut self, keys: &[SubmissionKey]) -> Rows<SubmissionRow> {
        self.inner.submissions(keys).await
    }
    async fn refusals(&mut self, like: &[RefusalLike]) -> Rows<RefusalRow> {
        self.inner.refusals(like).await
    }
    async fn documents_by_identity(&mut self, of: &[DocumentIdentity]) -> Rows<DocumentRow> {
        self.inner.documents_by_identity(of).await
    }
    async fn documents_by_digest(&mut self, of: &[(DocumentIdentity, Sha256)]) -> Rows<DocumentRow> {
        self.inner.documents_by_digest(of).await
    }
    async fn documents_by_number(&mut self, of: &[NumberKey]) -> Rows<DocumentRow> {
        self.inner.documents_by_number(of).await
    }
    async fn documents(&mut self, uids: &[DocumentUid]) -> Rows<DocumentRow> {
        self.inner.documents(uids).await
    }
    async fn recipients_of(&mut self, documents: &[DocumentUid]) -> Rows<RecipientRow> {
        self.inner.recipients_of(documents).await
    }
    async fn recipients_by_delivery(&mut self, of: &[DeliveryUid]) -> Rows<RecipientRow> {
        self.inner.recipients_by_delivery(of).await
    }
    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Rows<StatusRow> {
        self.inner.statuses_of(documents).await
    }
    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Rows<OutboxRow> {
        self.inner.outbox(deliveries).await
    }
    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Rows<DeliveryOwner> {
        self.inner.delivery_owners(of).await
    }
    async fn inbox_queues(&mut self, now: Timestamp, room: usize, max: usize) -> Rows<InboxQueue> {
        self.inner.inbox_queues(now, room, max).await
    }
    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Rows<OutboxRow> {
        self.inner.waiting_answers(now, max).await
    }
    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Rows<OutboxRow> {
        self.inner.not_taken(before, max).await
    }
    async fn forwarded_to(&mut self, system: &SystemId, max: usize) -> Rows<OutboxRow> {
        self.inner.forwarded_to(system, max).await
    }
    async fn amending(&mut self, of: &[DocumentUid]) -> Rows<DocumentRow> {
        self.inner.amending(of).await
    }
    async fn known_ids(&mut self, of: &[String]) -> Rows<String> {
        self.inner.known_ids(of).await
    }
    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Rows<OutboxRow> {
        self.inner.waiting_orders(now, max).await
    }
    async fn waiting_for(&mut self, parties: &[Party], max: usize) -> Rows<(DocumentUid, u32)> {
        self.inner.waiting_for(parties, max).await
    }
    async fn limits(&mut self, keys: &[LimitKey]) -> Rows<LimitRow> {
        self.inner.limits(keys).await
    }
    async fn bodies(&mut self, of: &[Sha256]) -> Rows<(Sha256, truc_ledger::Body)> {
        self.inner.bodies(of).await
    }
    async fn kept_apart(&mut self, of: &[Sha256]) -> Rows<Sha256> {
        self.inner.kept_apart(of).await
    }
    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Rows<KeptBody> {
        self.inner.kept_bodies_of(of).await
    }
    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError> {
        self.inner.release_leases(owner).await
    }
    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        self.inner.latest_directory().await
    }
    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError> {
        self.inner.latest_of_hub(kind).await
    }
    async fn save(&mut self, changes: Changes) -> Result<(), StoreError> {
        let poison = self.poison.as_deref();
        for document in &changes.documents {
            assert_ne!(document.facts.number.as_deref(), poison, "a defect");
        }
        self.inner.save(changes).await
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.inner.commit().await
    }
}

#[async_trait]
impl AlertTransaction for Guarded {
    async fn alerts_open(&mut self, keys: &[AlertKey]) -> Rows<AlertRow> {
        self.inner.alerts_open(keys).await
    }
    async fn alerts_by_id(&mut self, alerts: &[AlertUid]) -> Rows<AlertRow> {
        self.inner.alerts_by_id(alerts).await
    }
    async fn posts_by_id(&mut self, posts: &[AlertPostUid]) -> Rows<AlertPost> {
        self.inner.posts_by_id(posts).await
    }
    async fn posts_gathering(&mut self, channels: &[String]) -> Rows<AlertPost> {
        self.inner.posts_gathering(channels).await
    }
    async fn posts_due(&mut self, now: Timestamp, channel: &str, max: usize) -> Rows<AlertPost> {
        self.inner.posts_due(now, channel, max).await
    }
    async fn posts_dead(&mut self, max: usize) -> Rows<AlertPost> {
        self.inner.posts_dead(max).await
    }
    async fn allowances(&mut self, channels: &[String]) -> Rows<AllowanceRow> {
        self.inner.allowances(channels).await
    }
}
