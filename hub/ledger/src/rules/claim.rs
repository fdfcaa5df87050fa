//! Claims: which messages go out next.
//!
//! The most urgent first, then the oldest. Each inbox holds a window of untaken documents and statuses; the
//! rest wait in the ledger, so that urgent ones overtake them here and an inbox nobody reads costs the
//! broker nothing. Urgent ones may fill an inbox somewhat beyond the window. Answers have no window.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use truc_model::Sha256;
use truc_model::wire::AttachmentWords;

use crate::body::Body;
use crate::command::{ClaimRequest, PublishFailure};
use crate::error::StoreError;
use crate::event::Fact;
use crate::outcome::Claimed;
use crate::rows::{OutboxBody, OutboxPlace, OutboxRow};
use crate::rules::forward::after;
use crate::rules::work::Work;
use crate::rules::{load, orders};
use crate::store::{Choice, Transaction, Window};

/// How long a message whose bytes are missing or damaged is left alone before it is looked at again: the
/// operator may have restored them. Until then it does not hold up the others.
pub const BODY_DAMAGED_PAUSE: Duration = Duration::from_hours(1);

/// Chooses messages, leases them and loads their bytes.
pub(super) async fn claim(
    tx: &mut dyn Transaction,
    work: &mut Work,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>, StoreError> {
    let window = Window {
        normal: request.window.into(),
        urgent_extra: request.urgent_extra.into(),
    };
    let mut chosen = Vec::new();
    if window.beyond() > 0 && request.max > 0 {
        let choice = Choice {
            now: work.now,
            window,
            max: request.max,
            resting: &request.resting,
        };
        chosen = tx.next_out(&choice).await?;
        chosen.retain(|row| !row.is_order());
    }
    let mut rows = Vec::new();
    if request.answers_max > 0 {
        rows = tx
            .answers_but(work.now, request.answers_max, &request.resting)
            .await?;
    }
    // What calls back documents that lie in an inbox must get in, however full it is.
    if request.max > 0 {
        let mut orders = tx.waiting_orders(work.now, request.max).await?;
        orders.retain(|row| !request.resting.contains(&row.system));
        rows.append(&mut orders);
    }
    rows.append(&mut chosen);
    let apart = apart(tx, &rows, request.bytes_max).await?;
    cut_by_bytes(&mut rows, &apart, request.bytes_max);
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    lease(tx, work, request, rows).await
}

/// Those bodies of these messages that are apart; not asked when it does not matter.
async fn apart(
    tx: &mut dyn Transaction,
    rows: &[OutboxRow],
    bytes_max: u64,
) -> Result<BTreeSet<Sha256>, StoreError> {
    let all = rows.iter().fold(0u64, |all, row| all.saturating_add(row.size));
    if all <= bytes_max {
        return Ok(BTreeSet::new());
    }
    let stored = rows.iter().filter(|row| row.body == OutboxBody::Stored);
    let digests: BTreeSet<Sha256> = stored.map(|row| row.sha256).collect();
    let digests: Vec<Sha256> = digests.into_iter().collect();
    Ok(tx.kept_apart(&digests).await?.into_iter().collect())
}

/// Keeps as many as the bytes allow, and at least one. Bodies apart cost nothing: they are not loaded.
fn cut_by_bytes(rows: &mut Vec<OutboxRow>, apart: &BTreeSet<Sha256>, bytes_max: u64) {
    let mut bytes = 0u64;
    let fitting = rows.iter().take_while(|row| {
        let is_apart = row.body == OutboxBody::Stored && apart.contains(&row.sha256);
        bytes = bytes.saturating_add(if is_apart { 0 } else { row.size });
        bytes <= bytes_max
    });
    let keep = fitting.count().max(1);
    rows.truncate(keep);
}

async fn lease(
    tx: &mut dyn Transaction,
    work: &mut Work,
    request: &ClaimRequest,
    rows: Vec<OutboxRow>,
) -> Result<Vec<Claimed>, StoreError> {
    let mut digests: Vec<Sha256> = rows
        .iter()
        .filter(|row| row.body == OutboxBody::Stored)
        .map(|row| row.sha256)
        .collect();
    digests.sort_unstable();
    digests.dedup();
    let bodies = tx.bodies(&digests).await?;
    let sound: HashMap<Sha256, Body> = bodies
        .into_iter()
        .filter(|(sha256, body)| is_sound(tx, *sha256, body))
        .collect();
    load::claimed(tx, work, &rows).await?;
    let rows = orders::in_turn(work, rows);
    let until = after(work.now, request.lease);
    let mut claimed = Vec::with_capacity(rows.len());
    for mut row in rows {
        row.attempts += 1;
        let body = match &row.body {
            OutboxBody::Inline(json) => Some(Body::from(json.as_bytes())),
            OutboxBody::Stored => sound.get(&row.sha256).cloned(),
        };
        match body {
            Some(body) => {
                row.place = OutboxPlace::Leased {
                    owner: request.owner.clone(),
                    until,
                };
                claimed.push(hand_out(work, &row, body));
            }
            None => put_aside(work, &mut row)?,
        }
        work.added.outbox_moved.push(row);
    }
    tx.save(work.take_changes()).await?;
    Ok(claimed)
}

/// What was read back is checked once more before it leaves: a damaged page must not travel on. Bodies apart are checked
/// by whoever fetches them.
fn is_sound(tx: &mut dyn Transaction, sha256: Sha256, body: &Body) -> bool {
    let Some(bytes) = body.here() else {
        return true;
    };
    tx.has_at_hand(sha256) || Sha256::of(bytes) == sha256
}

fn hand_out(work: &Work, row: &OutboxRow, body: Body) -> Claimed {
    let document = match row.outgoing {
        truc_model::wire::Outgoing::Document => row.document.and_then(|uid| work.document(uid).ok()),
        _ => None,
    };
    Claimed {
        delivery: row.delivery,
        outgoing: row.outgoing,
        system: row.system.clone(),
        attempt: row.attempts,
        correlation_id: row.correlation_id,
        priority: row.priority,
        body,
        sha256: row.sha256,
        document: row.document,
        from: row.from.clone(),
        to: row.to.clone(),
        verdict: document.map(|document| document.verdict.clone()),
        attachments: document.and_then(|document| {
            let attachments = document.facts.attachments.iter();
            AttachmentWords::of(attachments.map(|facts| facts.signature.as_ref()))
        }),
        status: row.status,
        withdraws: orders::withdraws(work, row),
        replaces: document.map_or_else(Vec::new, |document| document.replaces.clone()),
        accepted_at: row.accepted_at,
    }
}

fn put_aside(work: &mut Work, row: &mut OutboxRow) -> Result<(), StoreError> {
    let next_try = after(work.now, BODY_DAMAGED_PAUSE);
    row.failed += 1;
    row.place = OutboxPlace::Waiting {
        not_before: Some(next_try),
    };
    work.record(Fact::PublishFailed {
        delivery: row.delivery,
        carries: row.outgoing,
        system: row.system.clone(),
        document: row.document,
        attempt: row.attempts,
        failure: PublishFailure::BodyDamaged,
        next_try,
    })
    .map_err(|error| StoreError::Backend(Box::new(error)))?;
    Ok(())
}
