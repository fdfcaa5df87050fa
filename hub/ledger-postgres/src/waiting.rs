//! What waits for whom.

use jiff::Timestamp;
use truc_ledger::rows::OutboxRow;
use truc_ledger::store::InboxQueue;
use truc_ledger::{AtHome, StoreError};
use truc_model::{DocumentUid, Party};

use crate::column::Columns as _;
use crate::row;
use crate::session::{Session, all};
use crate::write::{limit, micros};

/// Steps from system to system along the index of what waits, however many rows each has, and takes as many off the
/// front of each as its inbox has room for. What lies in an inbox is counted no further than the room goes: full
/// is full. An inbox for which nothing waits is not looked at.
pub(crate) const INBOX_QUEUES: &str = "WITH RECURSIVE step (system) AS (\
     (SELECT system FROM outbox WHERE awaits_taken AND place = 'waiting' AND NOT recalled ORDER BY system LIMIT 1) \
     UNION ALL SELECT (SELECT o.system FROM outbox AS o WHERE o.awaits_taken AND o.place = 'waiting' \
     AND NOT o.recalled AND o.system > step.system ORDER BY o.system LIMIT 1) \
     FROM step WHERE step.system IS NOT NULL), \
     expired AS (SELECT DISTINCT system FROM outbox WHERE place = 'leased' AND awaits_taken AND NOT recalled \
     AND moment <= $1), \
     inbox AS (SELECT system FROM step WHERE system IS NOT NULL UNION SELECT system FROM expired), \
     counted AS (SELECT inbox.system, \
     (SELECT count(*) FROM (SELECT 1 FROM outbox AS f WHERE f.awaits_taken AND f.system = inbox.system \
     AND f.place = 'forwarded' LIMIT $2) AS f) + \
     (SELECT count(*) FROM outbox AS l WHERE l.system = inbox.system AND l.place = 'leased' AND l.awaits_taken \
     AND l.moment > $1) AS in_inbox FROM inbox) \
     SELECT c.in_inbox, o.* FROM counted AS c CROSS JOIN LATERAL (\
     (SELECT * FROM outbox AS w WHERE w.awaits_taken AND w.place = 'waiting' AND NOT w.recalled \
     AND w.system = c.system AND (w.moment IS NULL OR w.moment <= $1) \
     ORDER BY w.priority DESC, w.event, w.line LIMIT least($3, greatest($2 - c.in_inbox, 0))) \
     UNION ALL \
     (SELECT * FROM outbox AS e WHERE e.place = 'leased' AND e.system = c.system AND e.moment <= $1 \
     AND e.awaits_taken AND NOT e.recalled \
     ORDER BY e.priority DESC, e.event, e.line LIMIT least($3, greatest($2 - c.in_inbox, 0)))) AS o \
     ORDER BY o.system, o.priority DESC, o.event, o.line";

/// Documents and statuses that can be claimed, by inbox.
pub(crate) async fn inbox_queues(
    db: &mut Session,
    now: Timestamp,
    room: usize,
    max: usize,
) -> Result<Vec<InboxQueue>, StoreError> {
    let statement = sqlx::query(INBOX_QUEUES)
        .bind(micros(now))
        .bind(limit(room))
        .bind(limit(max));
    let rows: Vec<(u64, OutboxRow)> = all(db, statement, |row| {
        Ok((row.count("in_inbox")?, row::outbox(row)?))
    })
    .await?;
    let mut queues: Vec<InboxQueue> = Vec::new();
    for (in_inbox, row) in rows {
        let inside = usize::try_from(in_inbox).unwrap_or(usize::MAX);
        let wanted = room.saturating_sub(inside).min(max);
        match queues.last_mut().filter(|queue| queue.system == row.system) {
            // Two kinds of rows may have given as many each.
            Some(queue) if queue.waiting.len() < wanted => queue.waiting.push(row),
            Some(_) => {}
            None => queues.push(InboxQueue {
                system: row.system.clone(),
                in_inbox,
                waiting: vec![row],
            }),
        }
    }
    Ok(queues)
}

/// Whoever waits has a message in the outbox: that is where they are found among however many recipients.
pub(crate) const WAITING_FOR: &str = "SELECT r.document, r.position FROM \
     (SELECT DISTINCT delivery, document FROM outbox WHERE awaits_taken AND outgoing = 'document' OFFSET 0) AS o \
     JOIN recipient AS r ON r.document = o.document AND r.delivery = o.delivery \
     WHERE r.state IN ('scheduled', 'forwarded') AND r.party = ANY($1::text[]) \
     ORDER BY r.document, r.position LIMIT $2";

/// Scheduled and forwarded recipients of these parties.
pub(crate) async fn waiting_for(
    db: &mut Session,
    parties: &[Party],
    max: usize,
) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
    let parties: Vec<String> = parties.iter().map(ToString::to_string).collect();
    let statement = sqlx::query(WAITING_FOR).bind(parties).bind(limit(max));
    all(db, statement, |row| {
        Ok((row.id("document")?, row.few("position")?))
    })
    .await
}

/// See [`WAITING_FOR`]. It is looked up message by message: a reader's plan would go by statistics of tables that were
/// empty a moment ago.
pub(crate) const AT_HOME: &str = "SELECT r.party, r.system, \
     count(*) FILTER (WHERE r.state = 'scheduled' AND o.place = 'waiting' AND o.attempts = o.failed) AS at_home, \
     count(*) AS open FROM (SELECT delivery, document, place, attempts, failed FROM outbox \
     WHERE awaits_taken AND outgoing = 'document' OFFSET 0) AS o \
     CROSS JOIN LATERAL (SELECT party, system, state, document FROM recipient AS r \
     WHERE r.delivery = o.delivery OFFSET 0) AS r WHERE r.document = o.document \
     AND r.state IN ('scheduled', 'forwarded') AND r.system IS NOT NULL GROUP BY r.party, r.system ORDER BY r.party, r.system";

/// How many wait for each party by each system, or are out and not taken.
pub(crate) async fn at_home(db: &mut Session) -> Result<Vec<AtHome>, StoreError> {
    let mut found = all(db, sqlx::query(AT_HOME), |row| {
        let (at_home, open): (u64, u64) = (row.count("at_home")?, row.count("open")?);
        Ok(AtHome {
            party: row.parsed("party")?,
            system: row.parsed("system")?,
            at_home,
            out: open.saturating_sub(at_home),
        })
    })
    .await?;
    found.sort_by(|a, b| (&a.party, &a.system).cmp(&(&b.party, &b.system)));
    Ok(found)
}
