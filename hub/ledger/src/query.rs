//! What one looks for, and the lines of lists.

use jiff::{SignedDuration, Timestamp};
use truc_model::delivery::TransportStateName;
use truc_model::{DocumentUid, Operation, Party, RefusalCode, SystemId, Urgency};

use crate::error::StoreError;
use crate::event::EventRow;
use crate::retention::BodyDeletedRow;
use crate::rows::{DocumentRow, OutboxRow, RecipientRow, StatusRow};
use crate::store::Snapshot;

/// Most lines of one page of a list.
pub const PAGE_MAX: usize = 1000;

/// Most documents one text can name.
pub const FIND_MAX: usize = 64;

/// Most events in a trace.
pub const TRACE_MAX: usize = 10_000;

/// How many events one search for a part of a name goes back: more than a hundred thousand documents.
pub const LOOK_EVENTS: u64 = 800_000;

/// Most names that are looked at for those that begin so, in each place where names stand.
pub const BEGINNINGS_MAX: usize = 5000;

/// Which documents to list. Empty: all, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentFilter {
    /// Sent by or addressed to this party.
    pub party: Option<Party>,
    /// Sent by this party.
    pub sender: Option<Party>,
    /// Addressed to this party.
    pub recipient: Option<Party>,
    /// Submitted by or going to this system.
    pub system: Option<SystemId>,
    /// Some recipient stands so.
    pub state: Option<TransportStateName>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
    /// `DocumentId` or number/notation contains this (letters of any case in ASCII).
    pub text: Option<String>,
    /// `DocumentId` or number/notation begins with this (letters of any case in ASCII), found by an index; of more
    /// than [`BEGINNINGS_MAX`] names some may be missing.
    pub begins: Option<String>,
    /// Accepted by an event before this number: the next page.
    pub before: Option<u64>,
    /// Accepted by an event after this number.
    pub after: Option<u64>,
    /// Most lines; 0 and more than [`PAGE_MAX`] mean [`PAGE_MAX`].
    pub limit: usize,
}

/// What a search found, and how far back it looked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Documents, newest first: all that fit down to `looked_to`, and older ones whose names begin with the text.
    pub lines: Vec<DocumentLine>,
    /// Documents of earlier events were not looked through: the same search with `before` set to this goes on there.
    /// `None` when the page is full or nothing is left.
    pub looked_to: Option<u64>,
}

impl Search {
    /// Searches in bounded time, however old the ledger: [`LOOK_EVENTS`] back for any part of a name, and all of it
    /// for its beginning.
    pub(crate) async fn of(now: &mut dyn Snapshot, filter: &DocumentFilter) -> Result<Self, StoreError> {
        Self::back(now, filter, LOOK_EVENTS).await
    }

    /// As [`Search::of`], so many events back.
    pub(crate) async fn back(
        now: &mut dyn Snapshot,
        filter: &DocumentFilter,
        look: u64,
    ) -> Result<Self, StoreError> {
        let Some(text) = &filter.text else {
            let lines = now.documents(filter).await?;
            return Ok(Self {
                lines,
                looked_to: None,
            });
        };
        let mut end = now.head().await?.seq.saturating_add(1);
        end = end.min(filter.before.unwrap_or(u64::MAX));
        if let Some(until) = filter.until {
            end = end.min(
                now.last_of_day(until)
                    .await?
                    .map_or(0, |last| last.saturating_add(1)),
            );
        }
        let after = end.saturating_sub(look.saturating_add(1));
        let near = DocumentFilter {
            after: Some(after.max(filter.after.unwrap_or(0))),
            ..filter.clone()
        };
        let mut lines = now.documents(&near).await?;
        let limit = page(filter.limit);
        let mut is_whole = lines.len() >= limit || after <= filter.after.unwrap_or(0);
        if !is_whole && let Some(since) = filter.since {
            // A day more: what is accepted at the beginning of the period may have earlier numbers than what is
            // accepted later on the day before.
            let day_before = since.checked_sub(SignedDuration::from_hours(24)).unwrap_or(since);
            is_whole = now
                .last_of_day(day_before)
                .await?
                .is_some_and(|last| last >= after);
        }
        if !is_whole {
            let begins = DocumentFilter {
                begins: Some(text.clone()),
                text: None,
                before: Some(after.saturating_add(1)),
                ..filter.clone()
            };
            lines.extend(now.documents(&begins).await?);
            lines.truncate(limit);
        }
        Ok(Self {
            lines,
            looked_to: (!is_whole).then(|| after.saturating_add(1)),
        })
    }
}

/// One document in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentLine {
    /// The hub's id.
    pub uid: DocumentUid,
    /// Number of the event that accepted it.
    pub event: u64,
    /// The sender.
    pub sender: Party,
    /// The sender's code as written.
    pub sender_code: String,
    /// Its `DocumentId`.
    pub document_id: String,
    /// Number and notation in one.
    pub number: Option<String>,
    /// Abstract; `None` when quarantined or absent.
    pub subject: Option<String>,
    /// Name of its type.
    pub type_name: Option<String>,
    /// What it does.
    pub operation: Operation,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Who submitted it.
    pub system: SystemId,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Bytes of the packet.
    pub size: u64,
    /// It waits for an operator as a whole.
    pub held: bool,
    /// How many recipients stand how.
    pub states: StateCounts,
}

/// How many recipients stand in each transport state, in the order of [`TransportStateName::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StateCounts([u64; TransportStateName::ALL.len()]);

impl StateCounts {
    /// Counts `n` more in a state.
    pub fn add(&mut self, state: TransportStateName, n: u64) {
        if let Some(slot) = self.0.get_mut(state as usize) {
            *slot += n;
        }
    }

    /// How many stand so.
    #[must_use]
    pub fn of(&self, state: TransportStateName) -> u64 {
        self.0.get(state as usize).copied().unwrap_or(0)
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}

/// Everything about one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentView {
    /// The document.
    pub document: DocumentRow,
    /// Its recipients, by position.
    pub recipients: Vec<RecipientRow>,
    /// Its statuses, by event.
    pub statuses: Vec<StatusRow>,
    /// Its packet and those of its statuses, as far as their bytes were deleted, by event.
    pub deletions: Vec<BodyDeletedRow>,
    /// Messages about it that are not done.
    pub outbox: Vec<OutboxRow>,
    /// The events about it, in order.
    pub trace: Vec<EventRow>,
}

/// Which refusals to list. Empty: all, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefusalFilter {
    /// Of this system.
    pub system: Option<SystemId>,
    /// Of this sender.
    pub sender: Option<Party>,
    /// With this code.
    pub code: Option<RefusalCode>,
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Event before this number: the next page.
    pub before: Option<u64>,
    /// Most lines; 0 and more than [`PAGE_MAX`] mean [`PAGE_MAX`].
    pub limit: usize,
}

/// The number of lines a filter asks for.
#[must_use]
pub const fn page(limit: usize) -> usize {
    if limit == 0 || limit > PAGE_MAX {
        PAGE_MAX
    } else {
        limit
    }
}

/// A period; each end may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Period {
    /// At or after.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// What waits for one inbox and lies in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboxCount {
    /// Whose.
    pub system: SystemId,
    /// Documents and statuses that wait in the ledger.
    pub scheduled: u64,
    /// Documents and statuses a hub has in hand (also when the lease ran out).
    pub leased: u64,
    /// Documents and statuses in the inbox, untaken.
    pub forwarded: u64,
    /// Receipts, refusals and notices on their way.
    pub answers: u64,
    /// When the oldest document or status among them was accepted.
    pub oldest: Option<Timestamp>,
}

/// Documents and recipients of one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderCount {
    /// Who.
    pub sender: Party,
    /// Documents.
    pub documents: u64,
    /// Recipients at acceptance.
    pub recipients: u64,
}

/// Recipients of one sender's documents in one state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateCount {
    /// Who sent.
    pub sender: Party,
    /// The state.
    pub state: TransportStateName,
    /// How many.
    pub recipients: u64,
}

/// Refused document submissions of one sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SenderRefusals {
    /// Who, when resolved.
    pub sender: Option<Party>,
    /// How many.
    pub refused: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_a_limit() {
        assert_eq!(page(0), PAGE_MAX);
        assert_eq!(page(PAGE_MAX), PAGE_MAX);
        assert_eq!(page(PAGE_MAX + 1), PAGE_MAX);
        assert_eq!(page(1), 1);
    }

    #[test]
    fn every_state_has_its_slot() {
        let mut counts = StateCounts::default();
        for (n, state) in (1..).zip(TransportStateName::ALL) {
            counts.add(state, n);
        }
        for (n, state) in (1..).zip(TransportStateName::ALL) {
            assert_eq!(counts.of(state), n);
        }
        assert_eq!(counts.total(), 28);
    }
}
