//! The pictures of the memory twin.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::OwnedRwLockReadGuard;
use truc_model::delivery::TransportStateName;
use truc_model::wire::Intake;
use truc_model::{DeliveryUid, DocumentUid, Party, RefusalCode, Sha256, SystemId};

use super::write::{forwarded_before, head};
use super::{Tables, kept, limits, waiting};
use crate::body::{Body, LeavingBody, MayRead};
use crate::command::SubmissionKey;
use crate::error::StoreError;
use crate::event::{EventKind, EventRow, Head};
use crate::limit::{LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery};
use crate::query::{
    DocumentFilter, DocumentLine, InboxCount, Period, RefusalFilter, SenderCount, SenderRefusals, StateCount,
    StateCounts, page,
};
use crate::reorganise::AtHome;
use crate::retention::{BodyDeletedRow, KeptBody};
use crate::rows::{
    DirectoryRow, DocumentRow, OutboxPlace, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
    number_key,
};
use crate::signatures::{PdfKind, VerdictKind};
use crate::store::Snapshot;

const MICROS_A_DAY: i64 = 86_400_000_000;

pub(super) struct MemorySnapshot(pub(super) OwnedRwLockReadGuard<Tables>);

impl MemorySnapshot {
    fn recipients_of(&self, document: DocumentUid) -> impl Iterator<Item = &RecipientRow> {
        let range = (document, 0)..=(document, u32::MAX);
        self.0.recipients.range(range).map(|(_, row)| row)
    }

    fn accepted(&self, period: Period) -> impl Iterator<Item = &DocumentRow> {
        let rows = self.0.documents.values();
        rows.filter(move |row| within(row.accepted_at, period.since, period.until))
    }

    fn line(&self, row: &DocumentRow) -> DocumentLine {
        let mut states = StateCounts::default();
        for recipient in self.recipients_of(row.uid) {
            states.add(recipient.state.name(), 1);
        }
        DocumentLine {
            uid: row.uid,
            event: row.event,
            sender: row.identity.sender.clone(),
            sender_code: row.sender_code.clone(),
            document_id: row.identity.document_id.clone(),
            number: row.number_key(),
            subject: row.facts.subject.clone(),
            type_name: row.facts.type_name.clone(),
            operation: row.facts.operation,
            urgency: row.facts.urgency,
            system: row.key.system.clone(),
            accepted_at: row.accepted_at,
            size: row.size,
            held: row.held,
            states,
        }
    }

    fn fits(&self, filter: &DocumentFilter, row: &DocumentRow) -> bool {
        let sender = &row.identity.sender;
        let to = |party: &Party| {
            self.recipients_of(row.uid)
                .any(|recipient| recipient.party == *party)
        };
        let text = |text: &String| {
            let text = text.to_ascii_lowercase();
            let has = |field: &str| field.to_ascii_lowercase().contains(&text);
            has(&row.identity.document_id) || row.number_key().is_some_and(|number| has(&number))
        };
        let begins = |text: &String| {
            let text = text.to_ascii_lowercase();
            let has = |field: &str| field.to_ascii_lowercase().starts_with(&text);
            has(&row.identity.document_id) || row.number_key().is_some_and(|number| has(&number))
        };
        filter.party.as_ref().is_none_or(|p| p == sender || to(p))
            && filter.sender.as_ref().is_none_or(|p| p == sender)
            && filter.recipient.as_ref().is_none_or(to)
            && filter.system.as_ref().is_none_or(|system| {
                row.key.system == *system
                    || self
                        .recipients_of(row.uid)
                        .any(|r| r.system.as_ref() == Some(system))
            })
            && filter
                .state
                .is_none_or(|state| self.recipients_of(row.uid).any(|r| r.state.name() == state))
            && within(row.accepted_at, filter.since, filter.until)
            && filter.text.as_ref().is_none_or(text)
            && filter.begins.as_ref().is_none_or(begins)
            && filter.before.is_none_or(|before| row.event < before)
            && filter.after.is_none_or(|after| row.event > after)
    }
}

fn within(at: Timestamp, since: Option<Timestamp>, until: Option<Timestamp>) -> bool {
    since.is_none_or(|since| since <= at) && until.is_none_or(|until| at < until)
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(head(&self.0))
    }

    async fn submission(&mut self, key: &SubmissionKey) -> Result<Option<SubmissionRow>, StoreError> {
        Ok(self.0.submissions.get(key).cloned())
    }

    async fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<DocumentLine>, StoreError> {
        let newest_first = self.0.by_event.values().rev();
        let rows = newest_first.filter_map(|uid| self.0.documents.get(uid));
        Ok(rows
            .filter(|row| self.fits(filter, row))
            .take(page(filter.limit))
            .map(|row| self.line(row))
            .collect())
    }

    async fn last_of_day(&mut self, at: Timestamp) -> Result<Option<u64>, StoreError> {
        let day = |at: Timestamp| at.as_microsecond() / MICROS_A_DAY;
        let rows = self.0.documents.values();
        let rows = rows.filter(|row| day(row.accepted_at) <= day(at));
        Ok(rows
            .map(|row| (day(row.accepted_at), row.event))
            .max()
            .map(|(_, event)| event))
    }

    async fn find(&mut self, text: &str, max: usize) -> Result<Vec<DocumentUid>, StoreError> {
        let uuid = text.parse::<DocumentUid>().ok().map(DocumentUid::uuid);
        let number = number_key(Some(text), None);
        let named = |row: &&DocumentRow| {
            uuid.is_some_and(|uuid| {
                row.uid.uuid() == uuid
                    || self
                        .recipients_of(row.uid)
                        .any(|r| r.delivery.is_some_and(|d| d.uuid() == uuid))
                    || self
                        .0
                        .statuses
                        .range((row.uid, 0)..=(row.uid, u64::MAX))
                        .any(|(_, s)| s.delivery.is_some_and(|d| d.uuid() == uuid))
                    || self
                        .0
                        .submissions
                        .values()
                        .any(|s| s.document == row.uid && s.key.message_id.uuid() == uuid)
            }) || row.identity.document_id == text
                || number.is_some() && row.number_key() == number
        };
        let rows = self.0.by_event.values().rev();
        let rows = rows.filter_map(|uid| self.0.documents.get(uid));
        Ok(rows.filter(named).take(max).map(|row| row.uid).collect())
    }

    async fn document(&mut self, uid: DocumentUid) -> Result<Option<DocumentRow>, StoreError> {
        Ok(self.0.documents.get(&uid).cloned())
    }

    async fn recipients(&mut self, document: DocumentUid) -> Result<Vec<RecipientRow>, StoreError> {
        Ok(self.recipients_of(document).cloned().collect())
    }

    async fn statuses(&mut self, document: DocumentUid) -> Result<Vec<StatusRow>, StoreError> {
        let rows = self.0.statuses.range((document, 0)..=(document, u64::MAX));
        Ok(rows.map(|(_, row)| row.clone()).collect())
    }

    async fn outbox_of(&mut self, document: DocumentUid) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.0.outbox.values();
        let mut rows: Vec<OutboxRow> = rows
            .filter(|row| row.document == Some(document))
            .cloned()
            .collect();
        rows.sort_by_key(OutboxRow::order);
        Ok(rows)
    }

    async fn trace(&mut self, document: DocumentUid, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let rows = self.0.events.values();
        let rows = rows.filter(|row| row.document == Some(document));
        Ok(rows.take(max).cloned().collect())
    }

    async fn events(&mut self, from_seq: u64, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let rows = self.0.events.range(from_seq..);
        Ok(rows.take(max).map(|(_, row)| row.clone()).collect())
    }

    async fn events_of_hub(
        &mut self,
        kind: EventKind,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        let rows = self.0.events.range(..before.unwrap_or(u64::MAX)).rev();
        let rows = rows.map(|(_, row)| row);
        let rows = rows.filter(|row| row.document.is_none() && row.kind == kind);
        Ok(rows.take(max).cloned().collect())
    }

    async fn refusals(&mut self, filter: &RefusalFilter) -> Result<Vec<RefusalRow>, StoreError> {
        let mut rows: Vec<RefusalRow> = self
            .0
            .refusals
            .values()
            .filter(|row| filter.system.is_none() || row.key.system == filter.system)
            .filter(|row| filter.sender.is_none() || row.sender == filter.sender)
            .filter(|row| filter.code.is_none_or(|code| row.key.code == code))
            .filter(|row| within(row.refused_at, filter.since, filter.until))
            .filter(|row| filter.before.is_none_or(|before| row.event < before))
            .cloned()
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.event));
        rows.truncate(page(filter.limit));
        Ok(rows)
    }

    async fn inboxes(&mut self) -> Result<Vec<InboxCount>, StoreError> {
        let mut counts = BTreeMap::new();
        for row in self.0.outbox.values() {
            let count = counts.entry(row.system.clone()).or_insert_with(|| InboxCount {
                system: row.system.clone(),
                scheduled: 0,
                leased: 0,
                forwarded: 0,
                answers: 0,
                oldest: None,
            });
            if !row.outgoing.awaits_taken() {
                count.answers += 1;
                continue;
            }
            match row.place {
                OutboxPlace::Waiting { .. } => count.scheduled += 1,
                OutboxPlace::Leased { .. } => count.leased += 1,
                OutboxPlace::Forwarded { .. } => count.forwarded += 1,
            }
            count.oldest = Some(count.oldest.map_or(row.accepted_at, |at| at.min(row.accepted_at)));
        }
        Ok(counts.into_values().collect())
    }

    async fn stuck(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let waits = |row: &&OutboxRow| {
            row.outgoing.awaits_taken()
                && !row.recalled
                && !matches!(row.place, OutboxPlace::Forwarded { .. })
                && row.accepted_at < before
        };
        let mut rows: Vec<OutboxRow> = self.0.outbox.values().filter(waits).cloned().collect();
        rows.sort_by_key(|row| (row.accepted_at, row.event, row.line));
        rows.truncate(max);
        Ok(rows)
    }

    async fn late(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = forwarded_before(&self.0, before);
        rows.truncate(max);
        Ok(rows)
    }

    async fn ordered_back(
        &mut self,
        system: Option<&SystemId>,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let rows = self.0.outbox.values();
        let mut rows: Vec<OutboxRow> = rows
            .filter(|row| !row.ordered_back.is_empty())
            .filter(|row| system.is_none_or(|system| row.system == *system))
            .cloned()
            .collect();
        rows.sort_by_key(|row| (row.event, row.line));
        rows.truncate(max);
        Ok(rows)
    }

    async fn open_limits(&mut self, query: &LimitQuery) -> Result<Vec<LimitLine>, StoreError> {
        Ok(limits::open(&self.0, query))
    }

    async fn ended_limits(&mut self, max: usize) -> Result<Vec<LimitRow>, StoreError> {
        Ok(limits::ended(&self.0, max))
    }

    async fn sent_late(&mut self, query: &SentLateQuery) -> Result<Vec<SentLateLine>, StoreError> {
        Ok(limits::sent_late(&self.0, query))
    }

    async fn at_home(&mut self) -> Result<Vec<AtHome>, StoreError> {
        Ok(waiting::at_home(&self.0))
    }

    async fn body(&mut self, sha256: Sha256) -> Result<Option<Body>, StoreError> {
        Ok(self.0.bodies.get(&sha256).cloned())
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        Ok(kept::kept_apart(&self.0, of))
    }

    async fn leaving_bodies(&mut self, max: usize) -> Result<Vec<LeavingBody>, StoreError> {
        Ok(kept::leaving(&self.0, max))
    }

    async fn may_read(&mut self, who: &MayRead) -> Result<bool, StoreError> {
        Ok(kept::may_read(&self.0, who))
    }

    async fn body_digests(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<Sha256>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.0.bodies.range((from, Bound::Unbounded));
        Ok(rows.take(max).map(|(sha256, _)| *sha256).collect())
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        Ok(self.0.directories.last_key_value().map(|(_, row)| row.clone()))
    }

    async fn directory(&mut self, version: u64) -> Result<Option<DirectoryRow>, StoreError> {
        Ok(self.0.directories.get(&version).cloned())
    }

    async fn recipients_after(
        &mut self,
        after: Option<(DocumentUid, u32)>,
        max: usize,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rows = self.0.recipients.range((from, Bound::Unbounded));
        Ok(rows.take(max).map(|(_, row)| row.clone()).collect())
    }

    async fn open_without_outbox(&mut self, max: usize) -> Result<Vec<DeliveryUid>, StoreError> {
        use truc_model::TransportState::{Forwarded, Scheduled};
        let open = self.0.recipients.values();
        let open = open.filter(|row| matches!(row.state, Scheduled { .. } | Forwarded { .. }));
        let lost: BTreeSet<DeliveryUid> = open
            .filter_map(|row| row.delivery)
            .filter(|delivery| !self.0.outbox.contains_key(delivery))
            .collect();
        Ok(lost.into_iter().take(max).collect())
    }

    async fn kept_bodies(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<KeptBody>, StoreError> {
        Ok(kept::kept_after(&self.0, after, max))
    }

    async fn deletions(&mut self, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, StoreError> {
        Ok(kept::deletions(&self.0, of))
    }

    async fn deletions_count(&mut self) -> Result<u64, StoreError> {
        Ok(self.0.deletions.len() as u64)
    }

    async fn undeleted_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        Ok(kept::undeleted(&self.0, max))
    }

    async fn missing_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        Ok(kept::missing(&self.0, max))
    }

    async fn accepted_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderCount>, StoreError> {
        let mut counts = BTreeMap::new();
        let rows = self.0.documents.values();
        for row in rows.filter(|row| within(row.accepted_at, since, until)) {
            let (documents, recipients) = counts.entry(row.identity.sender.clone()).or_insert((0, 0));
            *documents += 1;
            *recipients += u64::from(row.recipients);
        }
        let counts = counts.into_iter();
        Ok(counts
            .map(|(sender, (documents, recipients))| SenderCount {
                sender,
                documents,
                recipients,
            })
            .collect())
    }

    async fn states_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError> {
        let mut counts = BTreeMap::new();
        for row in self.0.recipients.values() {
            if let Some(document) = self.0.documents.get(&row.document)
                && within(document.accepted_at, since, until)
            {
                let key = (document.identity.sender.clone(), row.state.name());
                *counts.entry(key).or_insert(0) += 1;
            }
        }
        let counts = counts.into_iter();
        Ok(counts
            .map(|((sender, state), recipients)| StateCount {
                sender,
                state,
                recipients,
            })
            .collect())
    }

    async fn states_aside_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError> {
        let mut counts = self.states_by_sender(since, until).await?;
        counts.retain(|count| count.state != TransportStateName::Taken);
        Ok(counts)
    }

    async fn refused_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderRefusals>, StoreError> {
        let mut counts = BTreeMap::new();
        let rows = self.0.refusals.values();
        let rows = rows.filter(|row| row.intake == Intake::Document);
        for row in rows.filter(|row| within(row.refused_at, since, until)) {
            *counts.entry(row.sender.clone()).or_insert(0) += 1;
        }
        let counts = counts.into_iter();
        Ok(counts
            .map(|(sender, refused)| SenderRefusals { sender, refused })
            .collect())
    }

    async fn verdicts(&mut self, period: Period) -> Result<BTreeMap<VerdictKind, u64>, StoreError> {
        Ok(tally(
            self.accepted(period).map(|row| VerdictKind::from(&row.verdict)),
        ))
    }

    async fn pdfs(&mut self, period: Period) -> Result<BTreeMap<PdfKind, u64>, StoreError> {
        let attachments = self.accepted(period).flat_map(|row| &row.facts.attachments);
        let found = attachments.filter_map(|facts| facts.signature.as_ref());
        Ok(tally(found.map(PdfKind::from)))
    }

    async fn refused_by_code(&mut self, period: Period) -> Result<BTreeMap<RefusalCode, u64>, StoreError> {
        let rows = self.0.refusals.values();
        let rows = rows.filter(|row| row.intake == Intake::Document);
        let rows = rows.filter(|row| within(row.refused_at, period.since, period.until));
        Ok(tally(rows.map(|row| row.key.code)))
    }
}

fn tally<K: Ord>(kinds: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_insert(0) += 1;
    }
    counts
}
