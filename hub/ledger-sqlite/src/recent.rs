//! Rows that this process wrote a moment ago, kept at hand: what is forwarded and taken now was accepted just
//! before, and need not be read and decoded again for each step of its way.
//!
//! Nothing depends on it: what is not here is read from the file. It is good only as long as nobody else writes
//! (SQLite says so at the beginning of each transaction, `data_version`) and nothing fails: the transaction takes
//! it along and gives it back with its commit, so that what was not committed is never in it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use truc_ledger::body::Body;
use truc_ledger::rows::{Changes, DocumentRow, OutboxPlace, OutboxRow, RecipientRow};
use truc_ledger::store::DeliveryOwner;
use truc_model::wire::Outgoing;
use truc_model::{DeliveryUid, DocumentUid, Sha256};

/// Most documents at hand; the oldest go first.
pub(crate) const DOCUMENTS_MAX: usize = 4096;

/// Most recipients of all documents at hand; one document with more is not kept.
pub(crate) const RECIPIENTS_MAX: usize = 16_384;

/// Most outgoing messages at hand.
pub(crate) const MESSAGES_MAX: usize = 16_384;

/// Most bytes of bodies at hand. They go when they were handed out to everybody.
pub(crate) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// The connection and the state of the file it is good for.
    good_for: Option<(u64, i64)>,
    documents: HashMap<DocumentUid, Document>,
    /// The documents in the order they came; some may be gone.
    order: VecDeque<DocumentUid>,
    recipients: usize,
    messages: HashMap<DeliveryUid, OutboxRow>,
    /// The messages in the order they came; some may be gone.
    message_order: VecDeque<DeliveryUid>,
    /// Of which document a message is, and for which of its recipients.
    owners: HashMap<DeliveryUid, Owned>,
    bodies: HashMap<Sha256, Arc<[u8]>>,
    body_order: VecDeque<Sha256>,
    body_bytes: usize,
}

#[derive(Debug)]
struct Document {
    row: DocumentRow,
    /// All of them, by position. They stay in their places.
    recipients: Vec<RecipientRow>,
    /// Its messages that are not done, and those of them that were never handed out.
    open: HashSet<DeliveryUid>,
    unclaimed: HashSet<DeliveryUid>,
}

#[derive(Debug)]
struct Owned {
    document: DocumentUid,
    /// Places in [`Document::recipients`].
    places: Vec<usize>,
}

impl Recent {
    /// Forgets everything unless it is good for this connection and this state of the file.
    pub(crate) fn must_be_good_for(&mut self, connection: u64, data_version: i64) {
        let now = Some((connection, data_version));
        if self.good_for != now {
            *self = Self {
                good_for: now,
                ..Self::default()
            };
        }
    }

    /// Forgets everything: somebody changed rows past [`Self::follow`].
    pub(crate) fn forget(&mut self) {
        *self = Self {
            good_for: self.good_for,
            ..Self::default()
        };
    }

    pub(crate) fn document(&self, uid: DocumentUid) -> Option<&DocumentRow> {
        self.documents.get(&uid).map(|document| &document.row)
    }

    /// All recipients of a document, by position.
    pub(crate) fn recipients(&self, document: DocumentUid) -> Option<&[RecipientRow]> {
        self.documents
            .get(&document)
            .map(|document| document.recipients.as_slice())
    }

    pub(crate) fn message(&self, delivery: DeliveryUid) -> Option<&OutboxRow> {
        self.messages.get(&delivery)
    }

    pub(crate) fn owner(&self, delivery: DeliveryUid) -> Option<DeliveryOwner> {
        let recipient = self.recipients_by_delivery(delivery)?.next()?;
        Some(DeliveryOwner {
            delivery,
            system: recipient.system.clone()?,
            document: recipient.document,
            is_status: false,
        })
    }

    /// The recipients of a message, by position.
    pub(crate) fn recipients_by_delivery(
        &self,
        delivery: DeliveryUid,
    ) -> Option<impl Iterator<Item = &RecipientRow>> {
        let owned = self.owners.get(&delivery)?;
        let document = self.documents.get(&owned.document)?;
        let of = owned.places.iter();
        Some(of.filter_map(|place| document.recipients.get(*place)))
    }

    pub(crate) fn body(&self, sha256: Sha256) -> Option<Body> {
        self.bodies.get(&sha256).cloned().map(Body::Here)
    }

    /// Follows what was saved. Bodies are known only when they were new: one that was kept before stays where it is,
    /// which may be elsewhere.
    pub(crate) fn follow(&mut self, changes: &Changes, bodies_are_new: bool) {
        self.documents(changes);
        if bodies_are_new {
            self.put_bodies(changes);
        }
        for (uid, held) in &changes.held {
            if let Some(document) = self.documents.get_mut(uid) {
                document.row.held = *held;
            }
        }
        for row in &changes.recipients_moved {
            self.move_recipient(row);
        }
        for row in changes.outbox.iter().chain(&changes.outbox_moved) {
            self.put_message(row);
        }
        for delivery in &changes.outbox_done {
            self.message_done(*delivery);
        }
        for deleted in &changes.bodies_deleted {
            self.drop_body(deleted.sha256);
        }
        for leaving in &changes.bodies_leaving {
            self.drop_body(leaving.sha256);
        }
        self.stay_within_bounds();
    }

    fn documents(&mut self, changes: &Changes) {
        let mut recipients: HashMap<DocumentUid, Vec<RecipientRow>> = HashMap::new();
        for row in &changes.recipients {
            recipients.entry(row.document).or_default().push(row.clone());
        }
        for row in &changes.documents {
            let mut of = recipients.remove(&row.uid).unwrap_or_default();
            if of.len() > RECIPIENTS_MAX {
                continue;
            }
            of.sort_by_key(|recipient| recipient.position);
            self.recipients += of.len();
            for (place, recipient) in of.iter().enumerate() {
                if let Some(delivery) = recipient.delivery {
                    let owned = self.owners.entry(delivery).or_insert_with(|| Owned {
                        document: row.uid,
                        places: Vec::new(),
                    });
                    owned.places.push(place);
                }
            }
            let document = Document {
                row: row.clone(),
                recipients: of,
                open: HashSet::new(),
                unclaimed: HashSet::new(),
            };
            self.documents.insert(row.uid, document);
            self.order.push_back(row.uid);
        }
        // Recipients that came without their document are of one that is in the file already.
        for document in recipients.into_keys() {
            self.drop_document(document);
        }
    }

    fn put_bodies(&mut self, changes: &Changes) {
        for (sha256, body) in &changes.bodies {
            let Some(bytes) = body.here().filter(|bytes| bytes.len() <= BODY_BYTES_MAX) else {
                continue;
            };
            if self.bodies.insert(*sha256, Arc::clone(bytes)).is_none() {
                self.body_bytes += bytes.len();
                self.body_order.push_back(*sha256);
            }
        }
    }

    fn move_recipient(&mut self, row: &RecipientRow) {
        let Some(document) = self.documents.get_mut(&row.document) else {
            return;
        };
        let of = &mut document.recipients;
        let place = of.binary_search_by_key(&row.position, |known| known.position);
        match place.ok().and_then(|place| of.get_mut(place)) {
            Some(known) if known.delivery == row.delivery && known.system == row.system => {
                known.clone_from(row);
            }
            // It goes another way: rare, and read from the file again.
            _ => self.drop_document(row.document),
        }
    }

    fn put_message(&mut self, row: &OutboxRow) {
        let is_waiting = matches!(row.place, OutboxPlace::Waiting { .. });
        if self.messages.insert(row.delivery, row.clone()).is_none() {
            self.message_order.push_back(row.delivery);
        }
        let (Outgoing::Document, Some(uid)) = (row.outgoing, row.document) else {
            return;
        };
        let Some(document) = self.documents.get_mut(&uid) else {
            return;
        };
        document.open.insert(row.delivery);
        if is_waiting {
            document.unclaimed.insert(row.delivery);
        } else if document.unclaimed.remove(&row.delivery) && document.unclaimed.is_empty() {
            let sha256 = document.row.sha256;
            self.drop_body(sha256);
        }
    }

    fn message_done(&mut self, delivery: DeliveryUid) {
        self.messages.remove(&delivery);
        let Some(uid) = self.owners.get(&delivery).map(|owned| owned.document) else {
            return;
        };
        let Some(document) = self.documents.get_mut(&uid) else {
            return;
        };
        document.open.remove(&delivery);
        document.unclaimed.remove(&delivery);
        if document.open.is_empty() {
            self.drop_document(uid);
        }
    }

    fn drop_document(&mut self, uid: DocumentUid) {
        if let Some(document) = self.documents.remove(&uid) {
            self.recipients -= document.recipients.len();
            for delivery in document.recipients.iter().filter_map(|row| row.delivery) {
                self.owners.remove(&delivery);
            }
            self.drop_body(document.row.sha256);
        }
    }

    fn drop_body(&mut self, sha256: Sha256) {
        if let Some(body) = self.bodies.remove(&sha256) {
            self.body_bytes -= body.len();
        }
    }

    fn stay_within_bounds(&mut self) {
        while self.documents.len() > DOCUMENTS_MAX || self.recipients > RECIPIENTS_MAX {
            let Some(oldest) = self.order.pop_front() else {
                break;
            };
            self.drop_document(oldest);
        }
        while self.messages.len() > MESSAGES_MAX {
            let Some(oldest) = self.message_order.pop_front() else {
                break;
            };
            self.messages.remove(&oldest);
        }
        while self.body_bytes > BODY_BYTES_MAX {
            let Some(oldest) = self.body_order.pop_front() else {
                break;
            };
            self.drop_body(oldest);
        }
        // What is gone in the middle of an order is left out of it once that is worth the walk.
        if self.order.len() > 2 * self.documents.len() + ORDER_SLACK {
            self.order.retain(|uid| self.documents.contains_key(uid));
        }
        if self.message_order.len() > 2 * self.messages.len() + ORDER_SLACK {
            self.message_order.retain(|uid| self.messages.contains_key(uid));
        }
        if self.body_order.len() > 2 * self.bodies.len() + ORDER_SLACK {
            self.body_order.retain(|sha256| self.bodies.contains_key(sha256));
        }
    }
}

/// Entries of an order that may be of what is gone.
const ORDER_SLACK: usize = 1024;

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use truc_ledger::Store;
    use truc_ledger::contract::Bench;
    use truc_ledger::contract::kit::{Hub, deliveries};
    use truc_model::delivery::TransportStateName;

    use super::*;
    use crate::SqliteStore;

    struct File(tempfile::TempDir);

    impl File {
        async fn new() -> Self {
            let file = Self(tempfile::tempdir().unwrap());
            SqliteStore::migrate(file.path()).await.unwrap();
            file
        }

        fn path(&self) -> std::path::PathBuf {
            self.0.path().join("ledger.db")
        }
    }

    #[async_trait]
    impl Bench for File {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(SqliteStore::open(self.path()).await.unwrap())
        }
    }

    /// What two processes do in turns is what one does: what the other changed is not remembered as it was.
    #[tokio::test]
    async fn what_another_process_changed_is_read_again() {
        let file = File::new().await;
        let (one, other) = (Hub::open(&file).await, Hub::open(&file).await);
        let receipt = one.accept(one.document("1")).await;
        let claimed = other.claim().await;
        other.confirm(&claimed).await;
        let name = claimed
            .iter()
            .find(|message| message.outgoing.awaits_taken())
            .map(|message| message.system.as_str().to_owned())
            .unwrap();
        let of = deliveries(&claimed, &name);
        assert_eq!(one.take(&name, &of).await.taken, of);
        assert_eq!(other.take(&name, &of).await.repeated, of);
        assert_eq!(one.take(&name, &of).await.repeated, of);
        assert!(
            one.claim()
                .await
                .iter()
                .all(|message| !of.contains(&message.delivery))
        );
        assert!(
            other
                .states(receipt.document)
                .await
                .contains(&TransportStateName::Taken)
        );
        one.sound().await;
    }

    #[tokio::test]
    async fn a_document_is_at_hand_until_its_last_message_is_done() {
        let file = File::new().await;
        let store = SqliteStore::open(file.path()).await.unwrap();
        struct Same(SqliteStore);
        #[async_trait]
        impl Bench for Same {
            async fn open(&self) -> Arc<dyn Store> {
                Arc::new(self.0.clone())
            }
        }
        let hub = Hub::open(&Same(store.clone())).await;
        let held = || {
            let recent = store.shared.recent.lock().unwrap();
            (
                recent.documents.len(),
                recent.messages.len(),
                recent.bodies.len(),
                recent.body_bytes,
            )
        };
        let document = hub.document("1");
        let size = usize::try_from(document.size).unwrap();
        hub.accept(document).await;
        let (documents, messages, bodies, bytes) = held();
        assert_eq!((documents, bodies, bytes), (1, 1, size));
        assert!(messages > 1, "the document's and the receipt");
        let claimed = hub.claim().await;
        assert_eq!(held(), (1, messages, 0, 0), "handed out to everybody");
        hub.confirm(&claimed).await;
        let waiting: Vec<String> = claimed
            .iter()
            .filter(|message| message.outgoing.awaits_taken())
            .map(|message| message.system.as_str().to_owned())
            .collect();
        assert_eq!(
            held().1,
            waiting.len(),
            "answers are done when they are confirmed"
        );
        for name in &waiting {
            assert_eq!(held().0, 1);
            hub.take(name, &deliveries(&claimed, name)).await;
        }
        assert_eq!(held(), (0, 0, 0, 0));
        hub.sound().await;
    }

    #[test]
    fn nothing_is_good_for_another_connection_or_after_another_writer() {
        let mut recent = Recent::default();
        for (connection, version) in [(1, 1), (1, 2), (2, 2)] {
            recent.must_be_good_for(connection, version);
            recent.bodies.insert(Sha256::of(b"1"), Arc::from(&b"1"[..]));
            recent.body_bytes = 1;
            recent.must_be_good_for(connection, version);
            assert!(recent.body(Sha256::of(b"1")).is_some());
        }
        recent.must_be_good_for(2, 3);
        assert!(recent.body(Sha256::of(b"1")).is_none());
        assert_eq!(recent.body_bytes, 0);
    }

    #[test]
    fn the_oldest_go_first_at_one_more_than_fit() {
        let mut recent = Recent::default();
        let half = BODY_BYTES_MAX / 2;
        let body = |n: u8| (Sha256::of(&[n]), Body::from(vec![n; half]));
        let bring = |recent: &mut Recent, n: u8| {
            let bodies = vec![body(n)];
            recent.follow(
                &Changes {
                    bodies,
                    ..Changes::default()
                },
                true,
            );
        };
        bring(&mut recent, 1);
        bring(&mut recent, 2);
        assert_eq!(recent.body_bytes, BODY_BYTES_MAX);
        bring(&mut recent, 3);
        assert!(recent.body(body(1).0).is_none());
        assert!(recent.body(body(2).0).is_some() && recent.body(body(3).0).is_some());
        let too_large = Body::from(vec![0; BODY_BYTES_MAX + 1]);
        let bodies = vec![(Sha256::of(b"large"), too_large)];
        recent.follow(
            &Changes {
                bodies,
                ..Changes::default()
            },
            true,
        );
        assert!(recent.body(Sha256::of(b"large")).is_none());
        assert_eq!(recent.body_bytes, BODY_BYTES_MAX);
    }
}
