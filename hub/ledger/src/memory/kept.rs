//! Bodies of the memory twin: those that are kept, and those that went.

use std::collections::BTreeSet;
use std::ops::Bound;

use jiff::Timestamp;
use truc_model::wire::Outgoing;
use truc_model::{Sha256, TransportState};

use super::Tables;
use crate::body::{Body, LeavingBody, MayRead};
use crate::retention::{BodyDeletedRow, KeptBody, KeptDocument, KeptStatus};
use crate::rows::RecipientRow;

/// These bodies, as far as they are kept, with everything that names them.
pub(super) fn kept(tables: &Tables, of: &[Sha256]) -> Vec<KeptBody> {
    let of: BTreeSet<Sha256> = of.iter().copied().collect();
    of.iter().filter_map(|sha256| one(tables, *sha256)).collect()
}

/// The next ones by digest.
pub(super) fn kept_after(tables: &Tables, after: Option<Sha256>, max: usize) -> Vec<KeptBody> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    let digests: Vec<Sha256> = tables
        .bodies
        .range((from, Bound::Unbounded))
        .take(max)
        .map(|(sha256, _)| *sha256)
        .collect();
    kept(tables, &digests)
}

fn one(tables: &Tables, sha256: Sha256) -> Option<KeptBody> {
    let body = tables.bodies.get(&sha256)?;
    let documents = tables.documents.values().filter(|row| row.sha256 == sha256);
    let documents = documents.map(|row| {
        let recipients = tables
            .recipients
            .range((row.uid, 0)..=(row.uid, u32::MAX))
            .map(|(_, row)| row);
        let goes_out = tables
            .outbox
            .values()
            .any(|out| out.document == Some(row.uid) && out.outgoing == Outgoing::Document);
        let finished = KeptDocument::finished_at(row.accepted_at, recipients);
        KeptDocument {
            uid: row.uid,
            accepted_at: row.accepted_at,
            attachments: !row.facts.attachments.is_empty(),
            finished_at: finished.filter(|_| !goes_out),
        }
    });
    let statuses = tables.statuses.values().filter(|row| row.sha256 == sha256);
    let statuses = statuses.map(|row| KeptStatus {
        accepted_at: row.accepted_at,
        open: row
            .delivery
            .is_some_and(|delivery| tables.outbox.contains_key(&delivery)),
    });
    let refused = tables.refusals.values();
    let refused = refused.filter(|row| row.body_kept && row.key.sha256 == sha256);
    let mut refused_at: Vec<Timestamp> = refused.map(|row| row.refused_at).collect();
    refused_at.sort_unstable();
    Some(KeptBody {
        sha256,
        size: body.size(),
        place: body.place(),
        documents: documents.collect(),
        statuses: statuses.collect(),
        refused_at,
    })
}

/// The deletions of these bodies, by event.
pub(super) fn deletions(tables: &Tables, of: &[Sha256]) -> Vec<BodyDeletedRow> {
    let of: BTreeSet<Sha256> = of.iter().copied().collect();
    let mut rows: Vec<BodyDeletedRow> = of
        .iter()
        .flat_map(|sha256| tables.deletions.range((*sha256, 0)..=(*sha256, u64::MAX)))
        .map(|(_, row)| row.clone())
        .collect();
    rows.sort_by_key(|row| (row.event, row.sha256));
    rows
}

fn deleted_by(tables: &Tables, sha256: Sha256) -> Option<u64> {
    let rows = tables.deletions.range((sha256, 0)..=(sha256, u64::MAX));
    rows.last().map(|((_, event), _)| *event)
}

/// Those of these bodies that are kept apart.
pub(super) fn kept_apart(tables: &Tables, of: &[Sha256]) -> Vec<Sha256> {
    let is_apart = |sha256: &&Sha256| matches!(tables.bodies.get(*sha256), Some(Body::Apart { .. }));
    let of: BTreeSet<Sha256> = of.iter().filter(is_apart).copied().collect();
    of.into_iter().collect()
}

/// Bodies that leave, by event and digest.
pub(super) fn leaving(tables: &Tables, max: usize) -> Vec<LeavingBody> {
    let mut rows: Vec<LeavingBody> = tables.leaving.values().copied().collect();
    rows.sort_by_key(|row| (row.event, row.sha256));
    rows.truncate(max);
    rows
}

/// Whether a system submitted a kept body, or is to get it or has it.
pub(super) fn may_read(tables: &Tables, who: &MayRead) -> bool {
    let is_for_it = |row: &RecipientRow| {
        use TransportState::{Forwarded, Scheduled, Taken};
        row.system.as_ref() == Some(&who.system)
            && row.recalled.is_none()
            && matches!(row.state, Scheduled { .. } | Forwarded { .. } | Taken { .. })
    };
    let mut documents = tables.documents.values().filter(|row| row.sha256 == who.sha256);
    tables.bodies.contains_key(&who.sha256)
        && documents.any(|document| {
            let all = (document.uid, 0)..=(document.uid, u32::MAX);
            let mut recipients = tables.recipients.range(all);
            document.key.system == who.system || recipients.any(|(_, row)| is_for_it(row))
        })
}

/// Everything that names bytes: the digest, and the event that named it.
fn named(tables: &Tables) -> impl Iterator<Item = (Sha256, u64)> {
    let documents = tables.documents.values().map(|row| (row.sha256, row.event));
    let statuses = tables.statuses.values().map(|row| (row.sha256, row.event));
    let refusals = tables.refusals.values().filter(|row| row.body_kept);
    documents
        .chain(statuses)
        .chain(refusals.map(|row| (row.key.sha256, row.event)))
}

/// Named, not there, and not deleted since.
pub(super) fn missing(tables: &Tables, max: usize) -> Vec<Sha256> {
    let missing: BTreeSet<Sha256> = named(tables)
        .filter(|(sha256, event)| {
            !tables.bodies.contains_key(sha256)
                && deleted_by(tables, *sha256).is_none_or(|deleted| deleted < *event)
        })
        .map(|(sha256, _)| sha256)
        .collect();
    missing.into_iter().take(max).collect()
}

/// There, though deleted, and not named since.
pub(super) fn undeleted(tables: &Tables, max: usize) -> Vec<Sha256> {
    let deleted = tables.deletions.keys().map(|(sha256, _)| *sha256);
    let deleted: BTreeSet<Sha256> = deleted
        .filter(|sha256| tables.bodies.contains_key(sha256))
        .collect();
    let stays = |sha256: &Sha256| {
        let since = deleted_by(tables, *sha256).unwrap_or(0);
        !named(tables).any(|(named, event)| named == *sha256 && event > since)
    };
    deleted.into_iter().filter(stays).take(max).collect()
}
