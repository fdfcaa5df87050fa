//! Checks a whole ledger: the chain of events, its gaplessness, and the tables against what the events tell.
//!
//! It reads one moment's picture and changes nothing. What is wrong stands in the report; an error means
//! that the ledger could not be read at all.

use std::fmt;

use truc_model::{DeliveryUid, DocumentUid, Sha256};

use crate::body::Body;
use crate::command::SubmissionKey;
use crate::error::StoreError;
use crate::event::{Event, EventRow, Fact, Head, canonical};
use crate::query::PAGE_MAX;
use crate::replay::Replay;
use crate::store::Snapshot;

/// Most findings in a report; the check stops there.
pub const FINDINGS_MAX: usize = 1000;

/// Which bodies to read and hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Bodies {
    /// None.
    None,
    /// Every n-th, by digest; 0 counts as 1.
    EveryNth(u64),
    /// All.
    #[default]
    All,
}

/// How thorough to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerifyOptions {
    /// Which bodies to hash.
    pub bodies: Bodies,
}

/// Something that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// A number is missing.
    Gap {
        /// The number that should have come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
    /// An event's bytes do not have the digest stored beside them.
    HashDiffers {
        /// Which event.
        seq: u64,
    },
    /// An event does not name the digest of the one before it: one of the two was changed.
    ChainBroken {
        /// Which event.
        seq: u64,
    },
    /// An event cannot be read, or is not canonical.
    Unreadable {
        /// Which event.
        seq: u64,
        /// Why.
        why: String,
    },
    /// What is stored beside an event for searching is not what its bytes say.
    IndexDiffers {
        /// Which event.
        seq: u64,
    },
    /// An event tells what cannot follow from those before it.
    Impossible {
        /// Which event.
        seq: u64,
        /// Why.
        why: &'static str,
    },
    /// The head is not the last event.
    HeadDiffers {
        /// The head.
        head: u64,
        /// The last event.
        last: u64,
    },
    /// A document of the events is not in the tables, or not with these bytes.
    DocumentDiffers {
        /// Which.
        document: DocumentUid,
    },
    /// An accepted key is not bound, or not to what the event says.
    SubmissionDiffers {
        /// By which event.
        seq: u64,
    },
    /// A version of the directory is missing or has other bytes than its event says.
    DirectoryDiffers {
        /// Which version.
        version: u64,
    },
    /// A recipient's state in the tables is not the one the events tell.
    StateDiffers {
        /// Which document.
        document: DocumentUid,
        /// Which recipient.
        position: u32,
        /// By the events, `transport/business/change`.
        events: String,
        /// By the tables.
        tables: String,
    },
    /// A recipient of the events is not in the tables.
    RecipientMissing {
        /// Which document.
        document: DocumentUid,
        /// Which recipient.
        position: u32,
    },
    /// A recipient of the tables is not in the events.
    RecipientInvented {
        /// Which document.
        document: DocumentUid,
        /// Which recipient.
        position: u32,
    },
    /// An open delivery has no outgoing message: it would wait for ever.
    NothingToForward {
        /// Which.
        delivery: DeliveryUid,
    },
    /// An event says that bytes were deleted, and the tables do not, or say it otherwise.
    DeletionDiffers {
        /// Which event.
        seq: u64,
    },
    /// The tables have deletions that no event tells of.
    DeletionsInvented {
        /// By the events.
        events: u64,
        /// By the tables.
        tables: u64,
    },
    /// A body is there although its last deletion is younger than everything that names it.
    BodyNotDeleted {
        /// Its digest.
        sha256: Sha256,
    },
    /// A body does not have its digest.
    BodyDiffers {
        /// Its digest.
        sha256: Sha256,
    },
    /// The body of a document, status or kept refusal is not there, and no event says that it was deleted.
    BodyMissing {
        /// Its digest.
        sha256: Sha256,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gap { expected, found } => write!(f, "event {expected} is missing: {found} follows"),
            Self::HashDiffers { seq } => write!(f, "event {seq}: its bytes do not have its digest"),
            Self::ChainBroken { seq } => write!(f, "event {seq}: does not follow the event before it"),
            Self::Unreadable { seq, why } => write!(f, "event {seq}: {why}"),
            Self::IndexDiffers { seq } => write!(f, "event {seq}: its columns differ from its bytes"),
            Self::Impossible { seq, why } => write!(f, "event {seq}: {why}"),
            Self::HeadDiffers { head, last } => write!(f, "the head is {head}, the last event {last}"),
            Self::DocumentDiffers { document } => {
                write!(f, "document {document}: missing, or not as accepted")
            }
            Self::SubmissionDiffers { seq } => write!(f, "event {seq}: its key is not bound to it"),
            Self::DirectoryDiffers { version } => {
                write!(f, "directory version {version}: missing or changed")
            }
            Self::StateDiffers {
                document,
                position,
                events,
                tables,
            } => write!(
                f,
                "document {document} recipient {position}: {tables} in the tables, {events} by the events"
            ),
            Self::RecipientMissing { document, position } => {
                write!(
                    f,
                    "document {document} recipient {position}: missing in the tables"
                )
            }
            Self::RecipientInvented { document, position } => {
                write!(
                    f,
                    "document {document} recipient {position}: no event tells of it"
                )
            }
            Self::NothingToForward { delivery } => {
                write!(f, "delivery {delivery}: open, and nothing waits to be forwarded")
            }
            Self::DeletionDiffers { seq } => {
                write!(f, "event {seq}: the deletion it tells of is not in the tables")
            }
            Self::DeletionsInvented { events, tables } => {
                write!(f, "{tables} deletions in the tables, {events} by the events")
            }
            Self::BodyNotDeleted { sha256 } => write!(f, "body {sha256}: there, although deleted"),
            Self::BodyDiffers { sha256 } => write!(f, "body {sha256}: its bytes do not have its digest"),
            Self::BodyMissing { sha256 } => write!(f, "body {sha256}: missing"),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// Events read.
    pub events: u64,
    /// The end of the chain as recomputed: compare it with one written down earlier, elsewhere.
    pub head: Head,
    /// Documents compared.
    pub documents: u64,
    /// Recipients compared.
    pub recipients: u64,
    /// Bodies hashed.
    pub bodies: u64,
    /// Bodies that are apart: their bytes are the store's to check.
    pub apart: u64,
    /// Bodies deleted, by the events.
    pub deleted: u64,
    /// What is wrong; empty when all is well. At most [`FINDINGS_MAX`], then the check stopped.
    pub findings: Vec<Finding>,
}

impl VerifyReport {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }

    fn find(&mut self, finding: Finding) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }

    fn is_full(&self) -> bool {
        self.findings.len() >= FINDINGS_MAX
    }
}

pub(crate) async fn run(now: &mut dyn Snapshot, options: &VerifyOptions) -> Result<VerifyReport, StoreError> {
    let mut report = VerifyReport {
        events: 0,
        head: Head::EMPTY,
        documents: 0,
        recipients: 0,
        bodies: 0,
        apart: 0,
        deleted: 0,
        findings: Vec::new(),
    };
    let mut replay = Replay::default();
    chain(now, &mut report, &mut replay).await?;
    let head = now.head().await?;
    if head != report.head {
        report.find(Finding::HeadDiffers {
            head: head.seq,
            last: report.head.seq,
        });
    }
    recipients(now, &mut report, &mut replay).await?;
    for delivery in now.open_without_outbox(PAGE_MAX).await? {
        report.find(Finding::NothingToForward { delivery });
    }
    deletions(now, &mut report).await?;
    bodies(now, &mut report, options.bodies).await?;
    Ok(report)
}

async fn chain(
    now: &mut dyn Snapshot,
    report: &mut VerifyReport,
    replay: &mut Replay,
) -> Result<(), StoreError> {
    let mut from = 0;
    loop {
        let page = now.events(from, PAGE_MAX).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        from = last.seq + 1;
        for row in &page {
            if report.is_full() {
                return Ok(());
            }
            if let Some(event) = link(row, report) {
                if let Err(why) = replay.apply(&event) {
                    report.find(Finding::Impossible { seq: row.seq, why });
                }
                rows_of(now, &event, report).await?;
            }
        }
    }
}

/// Checks one event against the chain so far.
fn link(row: &EventRow, report: &mut VerifyReport) -> Option<Event> {
    let seq = row.seq;
    let before = report.head;
    report.events += 1;
    if seq != before.seq + 1 {
        report.find(Finding::Gap {
            expected: before.seq + 1,
            found: seq,
        });
    }
    let hash = Sha256::of(row.canonical.as_bytes());
    report.head = Head { seq, hash };
    if hash != row.hash {
        report.find(Finding::HashDiffers { seq });
    }
    let event = match row.event() {
        Ok(event) => event,
        Err(error) => {
            let why = error.to_string();
            report.find(Finding::Unreadable { seq, why });
            return None;
        }
    };
    if !is_canonical(&row.canonical) {
        let why = "its bytes are not canonical".to_owned();
        report.find(Finding::Unreadable { seq, why });
    }
    if event.prev != before.hash {
        report.find(Finding::ChainBroken { seq });
    }
    let columns = (event.seq, event.at, event.fact.kind(), event.fact.document());
    if columns != (seq, row.at, row.kind, row.document) {
        report.find(Finding::IndexDiffers { seq });
    }
    Some(event)
}

/// Whether a text is the one byte form of what it says. Not compared with what this program would write of the
/// same event: it may have a newer word for it.
fn is_canonical(text: &str) -> bool {
    let value = serde_json::from_str::<serde_json::Value>(text).ok();
    value.is_some_and(|value| canonical(&value).is_ok_and(|again| again == text))
}

/// Checks the rows an event says were written with it.
async fn rows_of(now: &mut dyn Snapshot, event: &Event, report: &mut VerifyReport) -> Result<(), StoreError> {
    match &event.fact {
        Fact::DocumentAccepted {
            document,
            system,
            message_id,
            sender,
            document_id,
            sha256,
            amends,
            replaces,
            ..
        } => {
            report.documents += 1;
            let row = now.document(*document).await?;
            let same = row.is_some_and(|row| {
                row.sha256 == *sha256
                    && row.event == event.seq
                    && row.identity.sender == *sender
                    && row.identity.document_id == *document_id
                    && row.amends == *amends
                    && row.replaces == *replaces
            });
            if !same {
                report.find(Finding::DocumentDiffers { document: *document });
            }
            let key = SubmissionKey {
                system: system.clone(),
                message_id: *message_id,
            };
            bound(now, &key, *document, event.seq, report).await?;
        }
        Fact::StatusRecorded {
            document,
            system,
            message_id,
            ..
        }
        | Fact::StatusRepeated {
            document,
            system,
            message_id,
            ..
        } => {
            let key = SubmissionKey {
                system: system.clone(),
                message_id: *message_id,
            };
            bound(now, &key, *document, event.seq, report).await?;
        }
        Fact::BodiesDeleted {
            cause,
            digests,
            sizes,
            ..
        } => {
            report.deleted += digests.len() as u64;
            let rows = now.deletions(digests).await?;
            let told = |sha256: &Sha256, size: &u64| {
                rows.iter().any(|row| {
                    (row.event, row.sha256, row.size, row.cause) == (event.seq, *sha256, *size, *cause)
                })
            };
            let all = digests.iter().zip(sizes).all(|(sha256, size)| told(sha256, size));
            if digests.len() != sizes.len() || !all {
                report.find(Finding::DeletionDiffers { seq: event.seq });
            }
        }
        Fact::DirectoryChanged { version, sha256, .. } => {
            let row = now.directory(*version).await?;
            if row.is_none_or(|row| Sha256::of(row.json.as_bytes()) != *sha256) {
                report.find(Finding::DirectoryDiffers { version: *version });
            }
        }
        _ => {}
    }
    Ok(())
}

async fn bound(
    now: &mut dyn Snapshot,
    key: &SubmissionKey,
    document: DocumentUid,
    seq: u64,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    let row = now.submission(key).await?;
    if row.is_none_or(|row| row.document != document || row.event != seq) {
        report.find(Finding::SubmissionDiffers { seq });
    }
    Ok(())
}

async fn recipients(
    now: &mut dyn Snapshot,
    report: &mut VerifyReport,
    replay: &mut Replay,
) -> Result<(), StoreError> {
    let mut after = None;
    let mut seen = std::collections::HashMap::new();
    loop {
        let page = now.recipients_after(after, PAGE_MAX).await?;
        let Some(last) = page.last() else { break };
        after = Some((last.document, last.position));
        for row in &page {
            report.recipients += 1;
            *seen.entry(row.document).or_insert(0usize) += 1;
            let told = replay.documents.get(&row.document);
            let told = told.and_then(|told| told.recipients.get(usize::try_from(row.position).ok()?));
            let (document, position) = (row.document, row.position);
            let Some(told) = told else {
                report.find(Finding::RecipientInvented { document, position });
                continue;
            };
            let by_events = (
                told.state,
                told.business,
                told.change,
                told.revision,
                told.recalled,
            );
            let by_tables = (
                row.state.name(),
                row.business,
                row.change,
                row.revision,
                row.recalled,
            );
            if by_events != by_tables {
                report.find(Finding::StateDiffers {
                    document,
                    position,
                    events: words(by_events),
                    tables: words(by_tables),
                });
            }
        }
    }
    for (document, told) in &replay.documents {
        let here = seen.get(document).copied().unwrap_or(0);
        for position in here..told.recipients.len() {
            report.find(Finding::RecipientMissing {
                document: *document,
                position: u32::try_from(position).unwrap_or(u32::MAX),
            });
        }
    }
    Ok(())
}

type Standing = (
    truc_model::delivery::TransportStateName,
    truc_model::BusinessState,
    truc_model::ChangeState,
    u32,
    Option<u64>,
);

fn words((state, business, change, revision, recalled): Standing) -> String {
    let mut words = format!("{}/{}/{}", state.as_str(), business.as_str(), change.as_str());
    if revision > 0 {
        words.push_str(&format!(", revision {revision}"));
    }
    if let Some(event) = recalled {
        words.push_str(&format!(", taken back by event {event}"));
    }
    words
}

/// Each deletion of the events was found in the tables: as many there must be, and the bytes must be gone.
async fn deletions(now: &mut dyn Snapshot, report: &mut VerifyReport) -> Result<(), StoreError> {
    let (events, tables) = (report.deleted, now.deletions_count().await?);
    if events != tables {
        report.find(Finding::DeletionsInvented { events, tables });
    }
    for sha256 in now.undeleted_bodies(PAGE_MAX).await? {
        report.find(Finding::BodyNotDeleted { sha256 });
    }
    Ok(())
}

async fn bodies(now: &mut dyn Snapshot, report: &mut VerifyReport, which: Bodies) -> Result<(), StoreError> {
    let every = match which {
        Bodies::None => return Ok(()),
        Bodies::EveryNth(n) => n.max(1),
        Bodies::All => 1,
    };
    for sha256 in now.missing_bodies(PAGE_MAX).await? {
        report.find(Finding::BodyMissing { sha256 });
    }
    let mut after = None;
    let mut place = 0u64;
    loop {
        let page = now.body_digests(after, PAGE_MAX).await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(*last);
        for sha256 in page {
            place += 1;
            if !place.is_multiple_of(every) {
                continue;
            }
            match now.body(sha256).await? {
                Some(Body::Here(bytes)) => {
                    report.bodies += 1;
                    if Sha256::of(&bytes) != sha256 {
                        report.find(Finding::BodyDiffers { sha256 });
                    }
                }
                Some(Body::Apart { .. }) => report.apart += 1,
                None => report.find(Finding::BodyMissing { sha256 }),
            }
        }
    }
}
