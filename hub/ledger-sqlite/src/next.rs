//! Which documents and statuses go out next, among however many wait for however many inboxes.
//!
//! Two sorts of statements: one look at leases that ran out, of which there are hardly ever any, and at the front of
//! every inbox for which something waits; and then, of the few inboxes whose front is early enough, as many rows as
//! can be among the first. What lies deeper in a queue is never read, and of a full inbox nothing is.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use truc_ledger::rows::OutboxRow;
use truc_ledger::store::Choice;
use truc_ledger::{StoreError, Transaction as _};
use truc_model::{DeliveryUid, SystemId};

use crate::column::Columns as _;
use crate::fault::store_error;
use crate::write::{SqliteTransaction, limit};

/// Rows of one inbox read at first, beyond its even share; four times as many at each further look.
const ROWS_FIRST: usize = 4;

/// What can go out, at one look: leases that ran out, the front of every inbox, answers, and orders that overtake. It
/// steps from system to system along the index, however many rows each has. Each list is one value: to hand over rows
/// one by one costs more than to find them.
pub(crate) const FRONTS: &str = "SELECT \
     (SELECT json_group_array(delivery) FROM outbox WHERE place = 'leased' AND moment <= $1 AND awaits_taken = 1) \
     AS expired, \
     (WITH RECURSIVE s (system) AS (\
     SELECT min(system) FROM outbox WHERE awaits_taken = 1 AND place = 'waiting' \
     UNION ALL SELECT (SELECT min(system) FROM outbox \
     WHERE awaits_taken = 1 AND place = 'waiting' AND system > s.system) FROM s WHERE s.system IS NOT NULL), \
     f (system, front) AS (SELECT s.system, (SELECT o.rowid FROM outbox AS o \
     WHERE o.awaits_taken = 1 AND o.place = 'waiting' AND o.system = s.system AND o.recalled = 0 \
     AND (o.moment IS NULL OR o.moment <= $1) ORDER BY o.priority DESC, o.event, o.line LIMIT 1) \
     FROM s WHERE s.system IS NOT NULL) \
     SELECT json_group_array(json_array(f.system, o.priority, o.event, o.line, (SELECT count(*) FROM outbox AS i \
     WHERE i.awaits_taken = 1 AND i.place <> 'waiting' AND i.system = f.system))) \
     FROM f JOIN outbox AS o ON o.rowid = f.front) AS fronts, \
     (SELECT json_group_array(delivery) FROM (SELECT delivery FROM outbox INDEXED BY outbox_answers \
     WHERE awaits_taken = 0 AND \
     (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
     AND system NOT IN (SELECT value FROM json_each($3)) ORDER BY event, line LIMIT $2)) AS answers, \
     (SELECT json_group_array(delivery) FROM (SELECT delivery FROM outbox INDEXED BY outbox_orders \
     WHERE awaits_taken = 1 AND priority = 5 AND recalled = 0 AND \
     (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
     ORDER BY event, line LIMIT $2)) AS orders";

/// The first rows of some queues.
pub(crate) const ROWS: &str = "SELECT json_group_array(o.delivery) AS deliveries FROM json_each($2) AS k \
     JOIN outbox AS o ON o.rowid IN (\
     SELECT w.rowid FROM outbox AS w WHERE w.awaits_taken = 1 AND w.place = 'waiting' AND w.system = k.value \
     AND w.recalled = 0 AND (w.moment IS NULL OR w.moment <= $1) \
     ORDER BY w.priority DESC, w.event, w.line LIMIT $3)";

/// One look at what can go out: [`FRONTS`].
#[derive(Debug)]
pub(crate) struct Fronts {
    now: Timestamp,
    max: usize,
    resting: Vec<SystemId>,
    expired: Vec<DeliveryUid>,
    /// System, priority, event and line of the first that waits, and how many are out.
    inboxes: Vec<(String, u8, u64, u32, u64)>,
    pub(crate) answers: Vec<DeliveryUid>,
    pub(crate) orders: Vec<DeliveryUid>,
}

/// Looks, unless this transaction looked before in the same way and saved nothing since.
pub(crate) async fn fronts(
    tx: &mut SqliteTransaction,
    now: Timestamp,
    max: usize,
    resting: &[SystemId],
) -> Result<Arc<Fronts>, StoreError> {
    if let Some(known) = &tx.fronts
        && (known.now, known.max, known.resting.as_slice()) == (now, max, resting)
    {
        return Ok(Arc::clone(known));
    }
    let row = sqlx::query(FRONTS)
        .bind(now.as_microsecond())
        .bind(limit(max))
        .bind(json!(resting).to_string())
        .fetch_one(tx.db().await?)
        .await
        .map_err(store_error)?;
    let fronts = Arc::new(Fronts {
        now,
        max,
        resting: resting.to_vec(),
        expired: row.json("expired")?,
        inboxes: row.json("fronts")?,
        answers: row.json("answers")?,
        orders: row.json("orders")?,
    });
    tx.fronts = Some(Arc::clone(&fronts));
    Ok(fronts)
}

/// The same for whoever does not care which inboxes rest.
pub(crate) async fn fronts_looked_at(
    tx: &mut SqliteTransaction,
    now: Timestamp,
    max: usize,
) -> Result<Arc<Fronts>, StoreError> {
    let resting = tx.fronts.as_ref().map(|known| known.resting.clone());
    fronts(tx, now, max, &resting.unwrap_or_default()).await
}

type Order = (std::cmp::Reverse<u8>, u64, u32);

/// One inbox with something to claim.
struct Inbox {
    system: String,
    /// Order of the first that waits; `None` when only leases that ran out do.
    front: Order,
    /// How many are out, those whose lease ran out left out.
    out: u64,
    /// Leases that ran out.
    expired: Vec<OutboxRow>,
    /// The first that wait, as far as they were read.
    waiting: Vec<OutboxRow>,
    /// How many of them were asked for.
    asked: usize,
}

/// See [`truc_ledger::Transaction::next_out`].
pub(crate) async fn next_out(
    tx: &mut SqliteTransaction,
    choice: &Choice<'_>,
) -> Result<Vec<OutboxRow>, StoreError> {
    let mut inboxes = inboxes(tx, choice).await?;
    // When its first does not fit, nothing does.
    inboxes.retain(|inbox| choice.window.takes(inbox.out, inbox.first().0.0));
    inboxes.sort_by_key(Inbox::first);
    // Whatever an inbox further back has comes after the fronts of all before it.
    inboxes.truncate(choice.max);
    let share = choice.max / inboxes.len().max(1) + ROWS_FIRST;
    let mut wanted: Vec<usize> = (0..inboxes.len()).collect();
    loop {
        let mut by_number: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for place in wanted {
            let Some(inbox) = inboxes.get_mut(place) else {
                continue;
            };
            let more = if inbox.asked == 0 {
                share
            } else {
                inbox.asked.saturating_mul(4)
            };
            inbox.asked = more.min(inbox.room(choice)).min(choice.max);
            inbox.waiting.clear();
            by_number
                .entry(inbox.asked)
                .or_default()
                .push(inbox.system.clone());
        }
        let mut read = rows(tx, choice.now, by_number).await?;
        for inbox in &mut inboxes {
            if let Some(rows) = read.remove(&inbox.system) {
                inbox.waiting = rows;
                inbox.waiting.sort_by_key(OutboxRow::order);
            }
        }
        let mut chosen: Vec<OutboxRow> = inboxes.iter().flat_map(|inbox| inbox.fitting(choice)).collect();
        chosen.sort_by_key(OutboxRow::order);
        let last = chosen.get(choice.max.saturating_sub(1)).map(OutboxRow::order);
        wanted = (0..inboxes.len())
            .filter(|place| {
                inboxes
                    .get(*place)
                    .is_some_and(|inbox| inbox.may_have_more(choice, last))
            })
            .collect();
        if wanted.is_empty() {
            chosen.truncate(choice.max);
            return Ok(chosen);
        }
    }
}

impl Inbox {
    fn first(&self) -> Order {
        let expired = self.expired.iter().map(OutboxRow::order).min();
        expired.map_or(self.front, |expired| expired.min(self.front))
    }

    /// How many can go into it at most.
    fn room(&self, choice: &Choice<'_>) -> usize {
        usize::try_from(choice.window.beyond().saturating_sub(self.out)).unwrap_or(usize::MAX)
    }

    fn fitting(&self, choice: &Choice<'_>) -> Vec<OutboxRow> {
        let mut all: Vec<OutboxRow> = self.expired.iter().chain(&self.waiting).cloned().collect();
        all.sort_by_key(OutboxRow::order);
        choice.window.fit(self.out, &mut all);
        all.truncate(choice.max);
        all
    }

    /// Whether rows that were not read can be among the first, `last` being the last of those as they are known.
    fn may_have_more(&self, choice: &Choice<'_>, last: Option<Order>) -> bool {
        let all_read = self.waiting.len() < self.asked;
        let enough = self.asked >= self.room(choice).min(choice.max);
        if all_read || enough {
            return false;
        }
        let known = self.expired.len() + self.waiting.len();
        // One that was read and does not fit: nothing behind it does.
        if self.fitting(choice).len() < known.min(choice.max) {
            return false;
        }
        match (last, self.waiting.last()) {
            (Some(last), Some(read)) => read.order() < last,
            _ => true,
        }
    }
}

async fn inboxes(tx: &mut SqliteTransaction, choice: &Choice<'_>) -> Result<Vec<Inbox>, StoreError> {
    let fronts = fronts(tx, choice.now, choice.max, choice.resting).await?;
    let mut expired: HashMap<String, Vec<OutboxRow>> = HashMap::new();
    for row in tx.outbox(&fronts.expired).await? {
        expired
            .entry(row.system.as_str().to_owned())
            .or_default()
            .push(row);
    }
    let mut inboxes = Vec::with_capacity(fronts.inboxes.len());
    for (system, priority, event, line, out) in fronts.inboxes.iter().cloned() {
        let expired = expired.remove(&system).unwrap_or_default();
        inboxes.push(Inbox {
            front: (std::cmp::Reverse(priority), event, line),
            out: out.saturating_sub(expired.len() as u64),
            expired: claimable(expired),
            waiting: Vec::new(),
            asked: 0,
            system,
        });
    }
    for (system, expired) in expired {
        let out = sqlx::query(
            "SELECT count(*) AS out FROM outbox WHERE awaits_taken = 1 AND place <> 'waiting' AND system = $1",
        )
        .bind(&system)
        .fetch_one(tx.db().await?)
        .await
        .map_err(store_error)?;
        let out: u64 = out.count("out")?;
        inboxes.push(Inbox {
            front: (std::cmp::Reverse(0), u64::MAX, u32::MAX),
            out: out.saturating_sub(expired.len() as u64),
            expired: claimable(expired),
            waiting: Vec::new(),
            asked: 0,
            system,
        });
    }
    inboxes.retain(|inbox| {
        choice
            .resting
            .iter()
            .all(|resting| resting.as_str() != inbox.system)
    });
    Ok(inboxes)
}

/// What was ordered back for all never goes again.
fn claimable(mut expired: Vec<OutboxRow>) -> Vec<OutboxRow> {
    expired.retain(|row| !row.recalled);
    expired
}

/// The first rows of queues: of these systems so many each.
async fn rows(
    tx: &mut SqliteTransaction,
    now: Timestamp,
    by_number: BTreeMap<usize, Vec<String>>,
) -> Result<HashMap<String, Vec<OutboxRow>>, StoreError> {
    let mut read: HashMap<String, Vec<OutboxRow>> = HashMap::new();
    for (number, systems) in by_number {
        if number == 0 {
            continue;
        }
        let found = sqlx::query(ROWS)
            .bind(now.as_microsecond())
            .bind(json!(systems).to_string())
            .bind(limit(number))
            .fetch_one(tx.db().await?)
            .await
            .map_err(store_error)?;
        let deliveries: Vec<DeliveryUid> = found.json("deliveries")?;
        for row in tx.outbox(&deliveries).await? {
            read.entry(row.system.as_str().to_owned()).or_default().push(row);
        }
    }
    Ok(read)
}
