//! Rows that this process wrote a moment ago, kept at hand: what is forwarded and taken now was accepted just
//! before, and need not be read and decoded again for each step of its way.
//!
//! Nothing depends on it: what is not here is read from the tables. It is good only as long as nobody else writes,
//! which the back end finds out at the beginning of each transaction, and as long as nothing fails: the transaction
//! takes it along and gives it back with its commit, so that what was not committed is never in it.
//!
//! When every message that is not done is at hand, claims are answered from here as well ([`board`]).

mod board;
pub mod pending;

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;
use truc_model::wire::Outgoing;
use truc_model::{DeliveryUid, DocumentUid, Sha256, SystemId};

use crate::body::Body;
use crate::recent::board::Board;
use crate::rows::{Changes, DocumentRow, OutboxPlace, OutboxRow, RecipientRow};
use crate::store::{Choice, DeliveryOwner};

/// Most documents at hand; the oldest go first.
pub const DOCUMENTS_MAX: usize = 4096;

/// Most recipients of all documents at hand; one document with more is not kept.
pub const RECIPIENTS_MAX: usize = 16_384;

/// Most outgoing messages at hand.
pub const MESSAGES_MAX: usize = 16_384;

/// Most messages that are read to have all of them at hand: some room is left for those that come.
pub const ALL_MESSAGES_MAX: usize = 8192;

/// So many transactions in a row nobody else wrote before it is worth while to have all messages at hand.
pub const ALONE_MIN: u32 = 3;

/// Most transactions until it is looked again whether they are few enough.
pub const LOOK_AGAIN_MAX: u32 = 4096;

/// Most bytes of bodies at hand. They go when they were handed out to everybody.
pub const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

/// See the top of this file.
#[derive(Debug, Default)]
pub struct Recent {
    /// The connection and the state of the tables it is good for.
    good_for: Option<(u64, i64)>,
    /// Transactions since somebody else wrote.
    alone: u32,
    /// After how many of them it is looked whether all messages are few enough, and how long to wait after that.
    look_at: u32,
    look_again: u32,
    /// What can go out, when all messages are at hand.
    board: Option<Board>,
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

/// How much is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Documents, with all their recipients.
    pub documents: usize,
    /// Outgoing messages that are not done.
    pub messages: usize,
    /// Bodies that were not handed out to everybody.
    pub bodies: usize,
    /// Their bytes.
    pub body_bytes: usize,
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
    /// Forgets everything unless it is good for this connection and this state of the tables.
    pub fn must_be_good_for(&mut self, connection: u64, version: i64) {
        let now = Some((connection, version));
        if self.good_for == now {
            self.alone = self.alone.saturating_add(1);
        } else {
            self.good_for = now;
            self.forget();
        }
    }

    /// From now on it is good for this state of the tables: of a back end that counts the transactions that write.
    pub const fn is_good_for(&mut self, connection: u64, version: i64) {
        self.good_for = Some((connection, version));
    }

    /// Forgets everything: somebody changed rows past [`Self::follow`].
    pub fn forget(&mut self) {
        *self = Self {
            good_for: self.good_for,
            ..Self::default()
        };
    }

    /// How much is at hand.
    #[must_use]
    pub fn extent(&self) -> Extent {
        Extent {
            documents: self.documents.len(),
            messages: self.messages.len(),
            bodies: self.bodies.len(),
            body_bytes: self.body_bytes,
        }
    }

    /// A document.
    #[must_use]
    pub fn document(&self, uid: DocumentUid) -> Option<&DocumentRow> {
        self.documents.get(&uid).map(|document| &document.row)
    }

    /// All recipients of a document, by position.
    #[must_use]
    pub fn recipients(&self, document: DocumentUid) -> Option<&[RecipientRow]> {
        self.documents
            .get(&document)
            .map(|document| document.recipients.as_slice())
    }

    /// A message that is not done.
    #[must_use]
    pub fn message(&self, delivery: DeliveryUid) -> Option<&OutboxRow> {
        self.messages.get(&delivery)
    }

    /// Whose a message is.
    #[must_use]
    pub fn owner(&self, delivery: DeliveryUid) -> Option<DeliveryOwner> {
        let recipient = self.recipients_by_delivery(delivery)?.next()?;
        Some(DeliveryOwner {
            delivery,
            system: recipient.system.clone()?,
            document: recipient.document,
            is_status: false,
        })
    }

    /// The recipients of a message, by position.
    pub fn recipients_by_delivery(
        &self,
        delivery: DeliveryUid,
    ) -> Option<impl Iterator<Item = &RecipientRow>> {
        let owned = self.owners.get(&delivery)?;
        let document = self.documents.get(&owned.document)?;
        let of = owned.places.iter();
        Some(of.filter_map(|place| document.recipients.get(*place)))
    }

    /// A body that is here.
    #[must_use]
    pub fn body(&self, sha256: Sha256) -> Option<Body> {
        self.bodies.get(&sha256).cloned().map(Body::Here)
    }

    /// Whether it is worth while to read all messages, [`ALL_MESSAGES_MAX`] at most, and to give them to
    /// [`Self::has_all_messages`].
    #[must_use]
    pub const fn wants_all_messages(&self) -> bool {
        self.board.is_none() && self.alone >= ALONE_MIN && self.alone >= self.look_at
    }

    /// These are all messages that are not done; `None`: they are too many. Then it wants them again later.
    pub fn has_all_messages(&mut self, rows: Option<Vec<OutboxRow>>) {
        let Some(rows) = rows else {
            self.look_again = self.look_again.saturating_mul(2).clamp(ALONE_MIN, LOOK_AGAIN_MAX);
            self.look_at = self.alone.saturating_add(self.look_again);
            return;
        };
        for row in &rows {
            self.put_message(row);
        }
        self.board = Some(rows.iter().collect());
    }

    /// As [`crate::Transaction::next_out`]. `None`: not all messages are at hand.
    #[must_use]
    pub fn next_out(&self, choice: &Choice<'_>) -> Option<Vec<OutboxRow>> {
        let chosen = self.board.as_ref()?.next_out(choice, &self.messages);
        Some(self.rows(&chosen))
    }

    /// As [`crate::Transaction::answers_but`]. `None`: not all messages are at hand.
    #[must_use]
    pub fn answers_but(&self, now: Timestamp, max: usize, resting: &[SystemId]) -> Option<Vec<OutboxRow>> {
        let chosen = self.board.as_ref()?.answers(now, max, resting, &self.messages);
        Some(self.rows(&chosen))
    }

    /// As [`crate::Transaction::waiting_orders`]. `None`: not all messages are at hand.
    #[must_use]
    pub fn waiting_orders(&self, now: Timestamp, max: usize) -> Option<Vec<OutboxRow>> {
        let chosen = self.board.as_ref()?.orders(now, max, &self.messages);
        Some(self.rows(&chosen))
    }

    fn rows(&self, of: &[DeliveryUid]) -> Vec<OutboxRow> {
        let rows = of.iter().filter_map(|delivery| self.messages.get(delivery));
        rows.cloned().collect()
    }

    /// Follows what was saved. Bodies are known only when they were new: one that was kept before stays where it is,
    /// which may be elsewhere.
    pub fn follow(&mut self, changes: &Changes, bodies_are_new: bool) {
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
        // Recipients that came without their document are of one that is in the tables already.
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
            // It goes another way: rare, and read from the tables again.
            _ => self.drop_document(row.document),
        }
    }

    fn put_message(&mut self, row: &OutboxRow) {
        let is_waiting = matches!(row.place, OutboxPlace::Waiting { .. });
        let before = self.messages.insert(row.delivery, row.clone());
        if before.is_none() {
            self.message_order.push_back(row.delivery);
        }
        if let Some(board) = &mut self.board {
            if let Some(before) = &before {
                board.remove(before);
            }
            board.put(row);
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
        if let (Some(row), Some(board)) = (self.messages.remove(&delivery), &mut self.board) {
            board.remove(&row);
        }
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
            if self.messages.remove(&oldest).is_some() {
                self.board = None;
            }
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

/// What is at hand, and the keys of what is not; each key once.
#[must_use]
pub fn at_hand<K: Copy + Eq + Hash, T>(keys: &[K], find: impl Fn(K) -> Option<T>) -> (Vec<T>, Vec<K>) {
    let (mut found, mut elsewhere) = (Vec::with_capacity(keys.len()), Vec::new());
    let mut seen = HashSet::with_capacity(keys.len());
    for key in keys {
        if seen.insert(*key) {
            match find(*key) {
                Some(row) => found.push(row),
                None => elsewhere.push(*key),
            }
        }
    }
    (found, elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bring(recent: &mut Recent, n: u8, size: usize) -> Sha256 {
        let sha256 = Sha256::of(&[n]);
        let changes = Changes {
            bodies: vec![(sha256, Body::from(vec![n; size]))],
            ..Changes::default()
        };
        recent.follow(&changes, true);
        sha256
    }

    #[test]
    fn nothing_is_good_for_another_connection_or_after_another_writer() {
        let mut recent = Recent::default();
        for (connection, version) in [(1, 1), (1, 2), (2, 2)] {
            recent.must_be_good_for(connection, version);
            let body = bring(&mut recent, 1, 1);
            recent.must_be_good_for(connection, version);
            assert!(recent.body(body).is_some());
        }
        // Of a back end that counts: the next one is known when this one was.
        recent.must_be_good_for(2, 2);
        recent.is_good_for(2, 3);
        recent.must_be_good_for(2, 3);
        assert!(recent.body(Sha256::of(&[1])).is_some());
        recent.must_be_good_for(2, 4);
        assert!(recent.body(Sha256::of(&[1])).is_none());
        assert_eq!(recent.body_bytes, 0);
    }

    #[test]
    fn the_oldest_go_first_at_one_more_than_fit() {
        let mut recent = Recent::default();
        let half = BODY_BYTES_MAX / 2;
        let (first, second) = (bring(&mut recent, 1, half), bring(&mut recent, 2, half));
        assert!(recent.body(first).is_some() && recent.body(second).is_some());
        let third = bring(&mut recent, 3, half);
        assert!(recent.body(first).is_none());
        assert!(recent.body(second).is_some() && recent.body(third).is_some());
        assert_eq!(recent.body_bytes, BODY_BYTES_MAX);
        // One that is larger than all there may be is not kept at all.
        let larger = bring(&mut recent, 4, BODY_BYTES_MAX + 1);
        assert!(recent.body(larger).is_none() && recent.body(third).is_some());
    }

    #[test]
    fn each_key_is_looked_for_once() {
        let (found, elsewhere) = at_hand(&[1, 2, 2, 3, 3, 1], |key| (key > 1).then_some(key * 10));
        assert_eq!((found, elsewhere), (vec![20, 30], vec![1]));
    }
}
