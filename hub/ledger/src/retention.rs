//! Bodies that go: what is known of each that is kept, when it may go, and the proof of each that went.
//!
//! The ledger keeps its rows, hashes and events for ever; bytes it keeps for a time. A body goes when the
//! last holder was recalled, or when everything that names it is finished and old enough
//! (`docs/operating/retention.md`). That it went is an event; without the event a missing body is damage.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use truc_model::{DocumentUid, Sha256, TransportState};

use crate::body::BodyPlace;
use crate::rows::RecipientRow;

/// Most digests in one event `bodies-deleted`; more become several events.
pub const BODIES_DELETED_MAX: usize = 256;

/// Why bytes were deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeletionCause {
    /// Their sender recalled the document, and nobody who holds it is left.
    Recalled,
    /// They were kept as long as the settings say.
    Retention,
}

impl DeletionCause {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Recalled, Self::Retention];

    /// The word in events and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recalled => "recalled",
            Self::Retention => "retention",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }
}

/// That a body was deleted. Append-only; its event says the same. The same bytes may come again later, and go
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyDeletedRow {
    /// Digest of what is gone.
    pub sha256: Sha256,
    /// Number of the event `bodies-deleted`.
    pub event: u64,
    /// When.
    pub at: Timestamp,
    /// How many bytes it had.
    pub size: u64,
    /// Why.
    pub cause: DeletionCause,
}

/// How long bytes are kept once nothing is open any more, in days (business rules: no law sets it for a hub).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionAges {
    /// Packets with attachments: after the last recipient's end.
    pub attachments_days: u32,
    /// Packets without attachments: after the last recipient's end; statuses: after they were recorded and
    /// passed on.
    pub packets_days: u32,
    /// Refused packets that were kept as evidence: after the refusal.
    pub refused_days: u32,
}

/// One body in the ledger, and everything that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBody {
    /// Its digest.
    pub sha256: Sha256,
    /// Its bytes, counted.
    pub size: u64,
    /// Where they are.
    pub place: BodyPlace,
    /// The documents it is the packet of; mostly one.
    pub documents: Vec<KeptDocument>,
    /// The statuses it is the packet of.
    pub statuses: Vec<KeptStatus>,
    /// When it was refused, and kept as evidence.
    pub refused_at: Vec<Timestamp>,
}

/// A document that names a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptDocument {
    /// Which.
    pub uid: DocumentUid,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Whether its packet holds attachments.
    pub attachments: bool,
    /// When the last recipient came to its end; `None` while one is open, parked, or a message with the packet
    /// has to go out or to be taken.
    pub finished_at: Option<Timestamp>,
}

impl KeptDocument {
    /// When the last of these came to its end; `None` while one has not. A document without recipients ended
    /// when it was accepted.
    pub fn finished_at<'a>(
        accepted_at: Timestamp,
        recipients: impl IntoIterator<Item = &'a RecipientRow>,
    ) -> Option<Timestamp> {
        let mut last = accepted_at;
        for row in recipients {
            let state: &TransportState = &row.state;
            if !state.is_final() {
                return None;
            }
            last = last.max(state.since());
        }
        Some(last)
    }
}

/// A status that names a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptStatus {
    /// When it was recorded.
    pub accepted_at: Timestamp,
    /// Whether it still has to be passed on or taken.
    pub open: bool,
}

/// What a body is, by the most weighty thing that names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptKind {
    /// A document's packet with attachments.
    Attachments,
    /// A document's packet without.
    Packet,
    /// A status packet.
    Status,
    /// A refused packet.
    Refused,
    /// Nothing names it: never deleted here, `truc ledger verify` would have to say why it is there.
    Unnamed,
}

impl KeptKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Attachments,
        Self::Packet,
        Self::Status,
        Self::Refused,
        Self::Unnamed,
    ];

    /// The word in tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attachments => "attachments",
            Self::Packet => "packet",
            Self::Status => "status",
            Self::Refused => "refused",
            Self::Unnamed => "unnamed",
        }
    }
}

impl KeptBody {
    /// What it is.
    #[must_use]
    pub fn kind(&self) -> KeptKind {
        if self.documents.iter().any(|document| document.attachments) {
            KeptKind::Attachments
        } else if !self.documents.is_empty() {
            KeptKind::Packet
        } else if !self.statuses.is_empty() {
            KeptKind::Status
        } else if !self.refused_at.is_empty() {
            KeptKind::Refused
        } else {
            KeptKind::Unnamed
        }
    }

    /// Since when nothing about it is open any more; `None` while something is, or when nothing names it.
    #[must_use]
    pub fn finished_at(&self) -> Option<Timestamp> {
        let mut last: Option<Timestamp> = None;
        let documents = self.documents.iter().map(|document| document.finished_at);
        let statuses = self
            .statuses
            .iter()
            .map(|status| (!status.open).then_some(status.accepted_at));
        let refused = self.refused_at.iter().map(|at| Some(*at));
        for ended in documents.chain(statuses).chain(refused) {
            let ended = ended?;
            last = Some(last.map_or(ended, |last| last.max(ended)));
        }
        last
    }

    /// From when on it may go: the latest moment by anything that names it. `None`: not yet known.
    #[must_use]
    pub fn due_at(&self, ages: &RetentionAges) -> Option<Timestamp> {
        let mut due: Option<Timestamp> = None;
        let documents = self.documents.iter().map(|document| {
            let days = if document.attachments {
                ages.attachments_days
            } else {
                ages.packets_days
            };
            (document.finished_at, days)
        });
        let statuses = self.statuses.iter().map(|status| {
            let ended = (!status.open).then_some(status.accepted_at);
            (ended, ages.packets_days)
        });
        let refused = self.refused_at.iter().map(|at| (Some(*at), ages.refused_days));
        for (ended, days) in documents.chain(statuses).chain(refused) {
            let at = days_after(ended?, days);
            due = Some(due.map_or(at, |due| due.max(at)));
        }
        due
    }
}

fn days_after(at: Timestamp, days: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MAX)
}

/// Deletes bodies that are old enough. Each is looked at once more in the transaction that deletes it.
#[derive(Debug, Clone)]
pub struct DeleteBodies {
    /// Which, at most [`BODIES_DELETED_MAX`].
    pub digests: Vec<Sha256>,
    /// How old they must be.
    pub ages: RetentionAges,
    /// Whose order: an account, or the hub itself.
    pub who: String,
}

/// What became of [`DeleteBodies`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeletedBodies {
    /// How many went.
    pub count: u64,
    /// How many bytes they had.
    pub bytes: u64,
    /// The event that says so; `None` when none went.
    pub event: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: RetentionAges = RetentionAges {
        attachments_days: 90,
        packets_days: 365,
        refused_days: 30,
    };

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * 86_400).unwrap()
    }

    fn body() -> KeptBody {
        KeptBody {
            sha256: Sha256::of(b"x"),
            size: 1,
            place: BodyPlace::Here,
            documents: vec![],
            statuses: vec![],
            refused_at: vec![],
        }
    }

    fn document(attachments: bool, finished: Option<i64>) -> KeptDocument {
        KeptDocument {
            uid: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
            accepted_at: at(1),
            attachments,
            finished_at: finished.map(at),
        }
    }

    #[test]
    fn the_latest_of_all_that_name_it_counts() {
        let mut kept = body();
        assert_eq!(
            (kept.kind(), kept.due_at(&AGES), kept.finished_at()),
            (KeptKind::Unnamed, None, None)
        );
        kept.refused_at.push(at(300));
        assert_eq!(
            (kept.kind(), kept.due_at(&AGES)),
            (KeptKind::Refused, Some(at(330)))
        );
        kept.statuses.push(KeptStatus {
            accepted_at: at(2),
            open: false,
        });
        assert_eq!(
            (kept.kind(), kept.due_at(&AGES)),
            (KeptKind::Status, Some(at(367)))
        );
        kept.documents.push(document(true, Some(10)));
        assert_eq!(
            (kept.kind(), kept.due_at(&AGES)),
            (KeptKind::Attachments, Some(at(367)))
        );
        kept.documents.push(document(false, Some(10)));
        assert_eq!(kept.due_at(&AGES), Some(at(375)));
        assert_eq!(kept.finished_at(), Some(at(300)));
    }

    #[test]
    fn what_is_open_stays_however_old() {
        let mut kept = body();
        kept.documents.push(document(true, None));
        kept.refused_at.push(at(1));
        assert_eq!((kept.due_at(&AGES), kept.finished_at()), (None, None));
        let mut kept = body();
        kept.statuses.push(KeptStatus {
            accepted_at: at(1),
            open: true,
        });
        assert_eq!((kept.kind(), kept.due_at(&AGES)), (KeptKind::Status, None));
    }

    #[test]
    fn words_read_back() {
        for cause in DeletionCause::ALL {
            assert_eq!(DeletionCause::from_word(cause.as_str()), Some(cause));
        }
        assert_eq!(DeletionCause::from_word("whim"), None);
    }
}
