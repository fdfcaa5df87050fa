//! The rows of a batch in memory: loaded, added and moved; and the pen that writes events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use truc_model::wire::{Notice, NoticeCode, Outgoing, Text};
use truc_model::{
    AlertPostUid, AlertUid, DeliveryUid, DocumentIdentity, DocumentUid, MessageId, Random, Sha256,
    StatusCode, SystemId, Urgency,
};

use crate::body::Body;
use crate::command::{SubmissionKey, priority_of};
use crate::error::LedgerError;
use crate::event::{Event, Fact, Head};
use crate::retention::KeptBody;
use crate::rows::{
    Changes, DocumentRow, OutboxBody, OutboxPlace, OutboxRow, RecipientRow, RefusalKey, StatusRow,
    SubmissionRow,
};
use crate::rules::alerts::Desk;
use crate::rules::limits::{self, Expected, Limits};
use crate::rules::recipients::Recipients;
use crate::store::{DeliveryOwner, NumberKey};

/// A message to put into the outbox.
pub(crate) struct Post {
    pub(crate) delivery: DeliveryUid,
    pub(crate) system: SystemId,
    pub(crate) outgoing: Outgoing,
    pub(crate) urgency: Urgency,
    pub(crate) event: u64,
    pub(crate) document: Option<DocumentUid>,
    pub(crate) correlation_id: Option<MessageId>,
    pub(crate) body: OutboxBody,
    pub(crate) sha256: Sha256,
    pub(crate) size: u64,
    pub(crate) from: Option<String>,
    pub(crate) to: Vec<String>,
    pub(crate) status: Option<StatusCode>,
}

pub(crate) struct Work {
    pub(crate) now: Timestamp,
    random: Arc<dyn Random>,
    head: Head,
    pub(crate) submissions: HashMap<SubmissionKey, SubmissionRow>,
    /// The answers given, as JSON.
    pub(crate) refusals: HashMap<RefusalKey, String>,
    documents: HashMap<DocumentUid, DocumentRow>,
    by_identity: HashMap<DocumentIdentity, BTreeSet<DocumentUid>>,
    by_number: HashMap<NumberKey, BTreeSet<DocumentUid>>,
    /// Recalls and updates, by what they speak of.
    by_amends: HashMap<DocumentUid, BTreeSet<DocumentUid>>,
    /// `DocumentId`s that some document bears, whoever sent it.
    pub(crate) known_ids: BTreeSet<String>,
    pub(crate) recipients: Recipients,
    pub(crate) statuses: HashMap<DocumentUid, Vec<StatusRow>>,
    outbox: HashMap<DeliveryUid, OutboxRow>,
    pub(crate) owners: HashMap<DeliveryUid, DeliveryOwner>,
    /// Forwarded, untaken and without an alert: candidates, oldest first.
    pub(crate) late: Vec<DeliveryUid>,
    /// Forwarded to an inbox that is gone: candidates, oldest first.
    pub(crate) astray: Vec<DeliveryUid>,
    /// Alerts and what raises them.
    pub(crate) alerts: Desk,
    /// Recipients that wait for a party that changed hands: document and position.
    pub(crate) waiting_for: Vec<(DocumentUid, u32)>,
    pub(crate) directory_version: u64,
    /// Bodies that are kept, as they were before this batch.
    pub(crate) kept: HashMap<Sha256, KeptBody>,
    /// Time limits that begin, end and are told of.
    pub(super) limits: Limits,
    /// The last event about trust: its number and digest.
    pub(crate) trust: Option<(u64, Sha256)>,
    /// Rows added. Those that can still move in the batch are taken from the maps at the end.
    pub(crate) added: Changes,
    added_recipients: BTreeSet<DocumentUid>,
    moved_recipients: BTreeSet<(DocumentUid, u32)>,
    /// Documents whose being held changed.
    held: BTreeMap<DocumentUid, bool>,
    added_outbox: BTreeMap<(u64, u32), DeliveryUid>,
    moved_outbox: BTreeSet<DeliveryUid>,
    done_outbox: BTreeSet<DeliveryUid>,
    line: u32,
}

impl Work {
    pub(crate) fn begin(head: Head, now: Timestamp, random: Arc<dyn Random>) -> Self {
        Self {
            now,
            random,
            head,
            submissions: HashMap::new(),
            refusals: HashMap::new(),
            documents: HashMap::new(),
            by_identity: HashMap::new(),
            by_number: HashMap::new(),
            by_amends: HashMap::new(),
            known_ids: BTreeSet::new(),
            recipients: Recipients::default(),
            statuses: HashMap::new(),
            outbox: HashMap::new(),
            owners: HashMap::new(),
            late: Vec::new(),
            astray: Vec::new(),
            alerts: Desk::default(),
            waiting_for: Vec::new(),
            directory_version: 0,
            kept: HashMap::new(),
            limits: Limits::default(),
            trust: None,
            added: Changes::default(),
            added_recipients: BTreeSet::new(),
            moved_recipients: BTreeSet::new(),
            held: BTreeMap::new(),
            added_outbox: BTreeMap::new(),
            moved_outbox: BTreeSet::new(),
            done_outbox: BTreeSet::new(),
            line: 0,
        }
    }

    pub(crate) fn new_document_uid(&self) -> DocumentUid {
        DocumentUid::new(self.random.uuid_v7(self.now))
    }

    pub(crate) fn new_delivery_uid(&self) -> DeliveryUid {
        DeliveryUid::new(self.random.uuid_v7(self.now))
    }

    pub(crate) fn new_alert_uid(&self) -> AlertUid {
        AlertUid::new(self.random.uuid_v7(self.now))
    }

    pub(crate) fn new_alert_post_uid(&self) -> AlertPostUid {
        AlertPostUid::new(self.random.uuid_v7(self.now))
    }

    /// The number the next event will have: receipts and rows name it before it is written.
    pub(crate) const fn next_event(&self) -> u64 {
        self.head.seq + 1
    }

    /// The number of the last event.
    pub(crate) const fn last_event(&self) -> u64 {
        self.head.seq
    }

    /// Writes an event; gives its number.
    pub(crate) fn record(&mut self, fact: Fact) -> Result<u64, LedgerError> {
        self.alerts.note(&fact);
        let event = Event {
            seq: self.next_event(),
            at: self.now,
            prev: self.head.hash,
            fact,
        };
        let row = event
            .row()
            .map_err(|_| LedgerError::Contradiction("an event that has no canonical form"))?;
        self.head = Head {
            seq: row.seq,
            hash: row.hash,
        };
        let seq = row.seq;
        self.added.events.push(row);
        Ok(seq)
    }

    // Documents

    pub(crate) fn load_document(&mut self, row: DocumentRow) {
        let uid = row.uid;
        self.by_identity
            .entry(row.identity.clone())
            .or_default()
            .insert(uid);
        if let Some(number) = row.number_key() {
            let sender = row.identity.sender.clone();
            self.by_number
                .entry(NumberKey { sender, number })
                .or_default()
                .insert(uid);
        }
        if let Some(amends) = row.amends {
            self.by_amends.entry(amends).or_default().insert(uid);
        }
        self.known_ids.insert(row.identity.document_id.clone());
        self.documents.insert(uid, row);
    }

    pub(crate) fn add_document(&mut self, row: DocumentRow, recipients: Vec<RecipientRow>) {
        self.added.documents.push(row.clone());
        self.added_recipients.insert(row.uid);
        self.recipients.add(row.uid, recipients);
        self.load_document(row);
    }

    pub(crate) fn has_document(&self, uid: DocumentUid) -> bool {
        self.documents.contains_key(&uid)
    }

    pub(crate) fn document(&self, uid: DocumentUid) -> Result<&DocumentRow, LedgerError> {
        self.documents
            .get(&uid)
            .ok_or(LedgerError::Contradiction("a document that was not loaded"))
    }

    /// A document begins or ceases to wait for an operator as a whole.
    pub(crate) fn hold(&mut self, document: DocumentUid, held: bool) {
        let Some(row) = self.documents.get_mut(&document) else {
            return;
        };
        row.held = held;
        match self
            .added
            .documents
            .iter_mut()
            .find(|added| added.uid == document)
        {
            Some(added) => added.held = held,
            None => {
                self.held.insert(document, held);
            }
        }
    }

    /// Documents of one identity: those not held first, then the oldest.
    pub(crate) fn of_identity(&self, identity: &DocumentIdentity) -> Vec<&DocumentRow> {
        self.sorted(self.by_identity.get(identity))
    }

    /// Documents of one sender with one number: those not held first, then the oldest.
    pub(crate) fn of_number(&self, key: &NumberKey) -> Vec<&DocumentRow> {
        self.sorted(self.by_number.get(key))
    }

    /// Recalls and updates of a document, the oldest first.
    pub(crate) fn amending(&self, document: DocumentUid) -> Vec<&DocumentRow> {
        let mut rows = self.sorted(self.by_amends.get(&document));
        rows.sort_by_key(|row| row.event);
        rows
    }

    fn sorted(&self, uids: Option<&BTreeSet<DocumentUid>>) -> Vec<&DocumentRow> {
        let mut rows: Vec<&DocumentRow> = uids
            .into_iter()
            .flatten()
            .filter_map(|uid| self.documents.get(uid))
            .collect();
        rows.sort_by_key(|row| (row.held, row.event));
        rows
    }

    /// Brings a body in. The first of a batch stays: one digest is in one place.
    pub(crate) fn bring_body(&mut self, sha256: Sha256, body: Body) {
        if !self.brings_body(sha256) {
            self.added.bodies.push((sha256, body));
        }
    }

    /// Whether this batch brings these bytes in.
    pub(crate) fn brings_body(&self, sha256: Sha256) -> bool {
        self.added.bodies.iter().any(|(added, _)| *added == sha256)
    }

    // Recipients

    /// All of a document, by position.
    pub(crate) fn recipients(&self, document: DocumentUid) -> &[RecipientRow] {
        self.recipients.all(document)
    }

    /// Changes one recipient.
    pub(crate) fn move_recipient(
        &mut self,
        document: DocumentUid,
        position: u32,
        change: impl FnOnce(&mut RecipientRow),
    ) {
        if let Some(row) = self.recipients.at_mut(document, position) {
            let before = Expected::of(row);
            change(row);
            self.limits.follow(document, position, before, Expected::of(row));
            if !self.added_recipients.contains(&document) {
                self.moved_recipients.insert((document, position));
            }
        }
    }

    // Outbox

    pub(crate) fn load_outbox(&mut self, row: OutboxRow) {
        self.outbox.entry(row.delivery).or_insert(row);
    }

    pub(crate) fn outbox(&self, delivery: DeliveryUid) -> Option<&OutboxRow> {
        self.outbox.get(&delivery)
    }

    pub(crate) fn post(&mut self, post: Post) {
        let line = self.line;
        self.line += 1;
        self.added_outbox.insert((post.event, line), post.delivery);
        self.outbox.insert(
            post.delivery,
            OutboxRow {
                delivery: post.delivery,
                system: post.system,
                outgoing: post.outgoing,
                priority: priority_of(post.outgoing, post.urgency),
                event: post.event,
                line,
                document: post.document,
                correlation_id: post.correlation_id,
                body: post.body,
                sha256: post.sha256,
                size: post.size,
                from: post.from,
                to: post.to,
                status: post.status,
                accepted_at: self.now,
                attempts: 0,
                place: OutboxPlace::Waiting { not_before: None },
                alerted: false,
                failed: 0,
                ordered_back: Vec::new(),
                recalled: false,
            },
        );
    }

    /// A message that carries a document, for these of its recipients.
    pub(crate) fn post_document(
        &mut self,
        document: DocumentUid,
        delivery: DeliveryUid,
        system: SystemId,
        to: Vec<String>,
        event: u64,
    ) -> Result<(), LedgerError> {
        let row = self.document(document)?;
        let post = Post {
            delivery,
            system,
            outgoing: Outgoing::Document,
            urgency: row.facts.urgency,
            event,
            document: Some(document),
            correlation_id: None,
            body: OutboxBody::Stored,
            sha256: row.sha256,
            size: row.size,
            from: Some(row.sender_code.clone()),
            to,
            status: None,
        };
        self.post(post);
        Ok(())
    }

    /// Posts a receipt, refusal or notice: JSON that travels in the row.
    pub(crate) fn post_answer(
        &mut self,
        system: SystemId,
        outgoing: Outgoing,
        event: u64,
        document: Option<DocumentUid>,
        answered: MessageId,
        json: String,
    ) {
        let delivery = self.new_delivery_uid();
        self.post(Post {
            delivery,
            system,
            outgoing,
            urgency: Urgency::Normal,
            event,
            document,
            correlation_id: Some(answered),
            sha256: Sha256::of(json.as_bytes()),
            size: json.len() as u64,
            body: OutboxBody::Inline(json),
            from: None,
            to: Vec::new(),
            status: None,
        });
    }

    /// Tells the sender of a document.
    pub(crate) fn notify(
        &mut self,
        document: DocumentUid,
        recipient: Option<String>,
        code: NoticeCode,
        cause: String,
        message: Text,
        event: u64,
    ) -> Result<(), LedgerError> {
        let notice = Notice {
            code,
            document,
            document_id: self.document(document)?.identity.document_id.clone(),
            recipient,
            cause,
            message,
            tally: None,
            event,
            at: self.now,
        };
        self.post_notice(&notice)
    }

    /// The same, already put into words.
    pub(crate) fn post_notice(&mut self, notice: &Notice) -> Result<(), LedgerError> {
        let (document, event) = (notice.document, notice.event);
        let key = self.document(document)?.key.clone();
        let json = to_json(notice)?;
        self.post_answer(
            key.system,
            Outgoing::Notice,
            event,
            Some(document),
            key.message_id,
            json,
        );
        Ok(())
    }

    pub(crate) fn move_outbox(&mut self, delivery: DeliveryUid, change: impl FnOnce(&mut OutboxRow)) {
        if let Some(row) = self.outbox.get_mut(&delivery) {
            change(row);
            self.moved_outbox.insert(delivery);
        }
    }

    pub(crate) fn outbox_done(&mut self, delivery: DeliveryUid) {
        if self.outbox.remove(&delivery).is_some() {
            self.done_outbox.insert(delivery);
        }
    }

    /// Everything added and moved since the last call. The maps stay, for the claims.
    pub(crate) fn take_changes(&mut self) -> Changes {
        let mut changes = std::mem::take(&mut self.added);
        changes.alerts = self.alerts.take_changes();
        changes.limits = limits::take(self);
        changes.held.extend(std::mem::take(&mut self.held));
        for uid in std::mem::take(&mut self.added_recipients) {
            changes.recipients.extend(self.recipients(uid).iter().cloned());
        }
        for (document, position) in std::mem::take(&mut self.moved_recipients) {
            changes
                .recipients_moved
                .extend(self.recipients.at(document, position).cloned());
        }
        let added = std::mem::take(&mut self.added_outbox);
        let new: BTreeSet<DeliveryUid> = added.values().copied().collect();
        for delivery in added.values() {
            // Added and done in one batch: it was never there.
            changes.outbox.extend(self.outbox.get(delivery).cloned());
        }
        for delivery in std::mem::take(&mut self.moved_outbox) {
            if !new.contains(&delivery) {
                changes.outbox_moved.extend(self.outbox.get(&delivery).cloned());
            }
        }
        changes.outbox_done = std::mem::take(&mut self.done_outbox)
            .into_iter()
            .filter(|delivery| !new.contains(delivery))
            .collect();
        changes
    }
}

/// JSON of something the ledger itself made.
pub(crate) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, LedgerError> {
    serde_json::to_string(value).map_err(|_| LedgerError::Contradiction("an answer that has no JSON"))
}

/// Cuts a text that people wrote to a number of characters.
pub(crate) fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}
