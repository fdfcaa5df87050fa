//! What goes out next: one statement, however many inboxes there are and however much waits for each.

use truc_ledger::StoreError;
use truc_ledger::rows::OutboxRow;
use truc_ledger::store::Choice;
use truc_model::Urgency;

use crate::row;
use crate::save::big;
use crate::session::{Session, all};
use crate::write::{limit, micros};

/// Steps from inbox to inbox along the index of what waits and looks at the first message of each and at how much lies
/// in it, counted no further than it holds: full is full. Inboxes whose first message does not fit are out. Of the
/// others only those with the most urgent and oldest first messages can give one of so many: whatever an inbox
/// further back has comes after the fronts of all before it. Of these as many are read as fit.
///
/// $1 now, $2 how many urgent ones an inbox holds, $3 how many others, $4 from which priority on they are urgent,
/// $5 at most so many, $6 inboxes that rest.
pub(crate) const NEXT_OUT: &str = "WITH RECURSIVE step (system) AS (\
     (SELECT system FROM outbox WHERE awaits_taken AND place = 'waiting' AND NOT recalled ORDER BY system LIMIT 1) \
     UNION ALL SELECT (SELECT o.system FROM outbox AS o WHERE o.awaits_taken AND o.place = 'waiting' \
     AND NOT o.recalled AND o.system > step.system ORDER BY o.system LIMIT 1) \
     FROM step WHERE step.system IS NOT NULL), \
     expired AS (SELECT DISTINCT system FROM outbox WHERE place = 'leased' AND awaits_taken AND NOT recalled \
     AND moment <= $1), \
     inbox AS (SELECT system FROM (SELECT system FROM step WHERE system IS NOT NULL \
     UNION SELECT system FROM expired) AS i WHERE system <> ALL($6::text[])), \
     counted AS MATERIALIZED (SELECT inbox.system, \
     (SELECT count(*) FROM (SELECT 1 FROM outbox AS f WHERE f.awaits_taken AND f.system = inbox.system \
     AND f.place = 'forwarded' LIMIT $2) AS f) + \
     (SELECT count(*) FROM outbox AS l WHERE l.system = inbox.system AND l.place = 'leased' AND l.awaits_taken \
     AND l.moment > $1) AS inside FROM inbox), \
     front AS MATERIALIZED (SELECT c.system, c.inside FROM counted AS c CROSS JOIN LATERAL (\
     SELECT h.priority, h.event, h.line FROM (\
     (SELECT * FROM outbox AS w WHERE w.awaits_taken AND w.place = 'waiting' AND NOT w.recalled \
     AND w.system = c.system AND (w.moment IS NULL OR w.moment <= $1) \
     ORDER BY w.priority DESC, w.event, w.line LIMIT 1) UNION ALL \
     (SELECT * FROM outbox AS e WHERE e.place = 'leased' AND e.system = c.system AND e.moment <= $1 \
     AND e.awaits_taken AND NOT e.recalled ORDER BY e.priority DESC, e.event, e.line LIMIT 1)) AS h \
     ORDER BY h.priority DESC, h.event, h.line LIMIT 1) AS h \
     WHERE c.inside < CASE WHEN h.priority >= $4 THEN $2 ELSE $3 END \
     ORDER BY h.priority DESC, h.event, h.line LIMIT $5) \
     SELECT o.* FROM front AS c CROSS JOIN LATERAL (\
     SELECT q.*, c.inside + row_number() OVER (ORDER BY q.priority DESC, q.event, q.line) - 1 AS before FROM (\
     (SELECT * FROM outbox AS w WHERE w.awaits_taken AND w.place = 'waiting' AND NOT w.recalled \
     AND w.system = c.system AND (w.moment IS NULL OR w.moment <= $1) \
     ORDER BY w.priority DESC, w.event, w.line LIMIT least($5, $2 - c.inside)) UNION ALL \
     (SELECT * FROM outbox AS e WHERE e.place = 'leased' AND e.system = c.system AND e.moment <= $1 \
     AND e.awaits_taken AND NOT e.recalled \
     ORDER BY e.priority DESC, e.event, e.line LIMIT least($5, $2 - c.inside))) AS q) AS o \
     WHERE o.before < CASE WHEN o.priority >= $4 THEN $2 ELSE $3 END \
     ORDER BY o.priority DESC, o.event, o.line LIMIT $5";

/// The documents and statuses to hand out next, in their order.
pub(crate) async fn next_out(db: &mut Session, choice: &Choice<'_>) -> Result<Vec<OutboxRow>, StoreError> {
    let resting: Vec<&str> = choice.resting.iter().map(|system| system.as_str()).collect();
    let statement = sqlx::query(NEXT_OUT)
        .bind(micros(choice.now))
        .bind(big(choice.window.beyond()))
        .bind(big(choice.window.normal))
        .bind(i32::from(Urgency::Normal.number()) + 1)
        .bind(limit(choice.max))
        .bind(resting);
    all(db, statement, row::outbox).await
}
