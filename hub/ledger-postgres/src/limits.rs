//! Time limits that run: the table `time_limit`, and documents that came late.

use sqlx::postgres::PgRow;
use truc_ledger::StoreError;
use truc_ledger::limit::{
    LimitChanges, LimitKey, LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery,
};
use truc_model::{BusinessState, ChangeState, LimitKind, Urgency};

use crate::column::{Columns as _, damaged};
use crate::id::Id;
use crate::save::{column, int};
use crate::session::{Session, Statement, all, run};
use crate::write::{limit, micros};

/// At most one row of a kind runs for a recipient, so the end finds it without knowing when it began. What ends
/// before anything was told of it goes.
const ENDED_UNTOLD: &str = "DELETE FROM time_limit AS t \
     USING unnest($1::uuid[], $2::integer[], $3::text[]) AS k (document, position, kind) \
     WHERE t.document = k.document AND t.position = k.position AND t.kind = k.kind AND t.ended IS NULL \
     AND t.told = 0";

const ENDED: &str = "UPDATE time_limit AS t SET ended = k.at \
     FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[]) AS k (document, position, kind, at) \
     WHERE t.document = k.document AND t.position = k.position AND t.kind = k.kind AND t.ended IS NULL";

pub(crate) const BEGUN: &str = "INSERT INTO time_limit (document, position, kind, began, urgency, told, ended) \
     SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[], $5::smallint[], $6::smallint[], \
     $7::bigint[])";

const TOLD: &str = "UPDATE time_limit AS t SET told = k.told \
     FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[], $5::smallint[]) \
     AS k (document, position, kind, began, told) \
     WHERE t.document = k.document AND t.position = k.position AND t.kind = k.kind AND t.began = k.began";

const GONE: &str = "DELETE FROM time_limit AS t \
     USING unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[]) AS k (document, position, kind, began) \
     WHERE t.document = k.document AND t.position = k.position AND t.kind = k.kind AND t.began = k.began";

const OF: &str = "SELECT t.* FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::bigint[]) \
     AS k (document, position, kind, began) JOIN time_limit AS t \
     ON t.document = k.document AND t.position = k.position AND t.kind = k.kind AND t.began = k.began";

pub(crate) const OPEN: &str = "SELECT t.*, r.party, r.codes, r.system, r.business, r.change, d.sender, d.sender_code, \
     d.document_id, d.number FROM time_limit AS t \
     JOIN recipient AS r ON r.document = t.document AND r.position = t.position \
     JOIN document AS d ON d.uid = t.document \
     WHERE t.ended IS NULL AND t.kind = $1 AND t.urgency = $2 AND t.told = $3 AND t.began <= $4 \
     AND ($5::text IS NULL OR r.party = $5 OR d.sender = $5) \
     ORDER BY t.began, t.document, t.position LIMIT $6";

const ENDED_ROWS: &str = "SELECT * FROM time_limit WHERE ended IS NOT NULL \
     ORDER BY ended, document, position, kind, began LIMIT $1";

pub(crate) const SENT_LATE: &str = "SELECT d.uid, d.sender, d.sender_code, d.document_id, d.number, d.facts, \
     d.received_at FROM document AS d WHERE d.sent_late AND d.accepted_at >= $1 \
     AND ($2::text IS NULL OR d.sender = $2 OR EXISTS (SELECT 1 FROM recipient AS r \
     WHERE r.document = d.uid AND r.party = $2)) ORDER BY d.event DESC LIMIT $3";

/// Binds the columns of keys: document, position, kind, began.
fn of_keys<'q>(statement: &'static str, keys: &[LimitKey]) -> Statement<'q> {
    sqlx::query(statement)
        .bind(column(keys, |key| Id::from(key.document)))
        .bind(column(keys, |key| int(key.position)))
        .bind(column(keys, |key| key.kind.as_str()))
        .bind(column(keys, |key| micros(key.began)))
}

/// Binds the columns of [`BEGUN`].
pub(crate) fn begun(to: Statement<'static>, rows: &[LimitRow]) -> Statement<'static> {
    to.bind(column(rows, |row| Id::from(row.key.document)))
        .bind(column(rows, |row| int(row.key.position)))
        .bind(column(rows, |row| row.key.kind.as_str()))
        .bind(column(rows, |row| micros(row.key.began)))
        .bind(column(rows, |row| i16::from(row.urgency.number())))
        .bind(column(rows, |row| i16::from(row.told)))
        .bind(column(rows, |row| row.ended.map(micros)))
}

/// Saves what ends, is told of and goes. What begins comes after it, with the other new rows.
pub(crate) async fn save(db: &mut Session, changes: &LimitChanges) -> Result<(), StoreError> {
    let LimitChanges {
        ended, told, gone, ..
    } = changes;
    if !ended.is_empty() {
        let of = |statement: &'static str| {
            sqlx::query(statement)
                .bind(column(ended, |end| Id::from(end.document)))
                .bind(column(ended, |end| int(end.position)))
                .bind(column(ended, |end| end.kind.as_str()))
        };
        run(db, of(ENDED_UNTOLD)).await?;
        let ended = of(ENDED).bind(column(ended, |end| micros(end.at)));
        run(db, ended).await?;
    }
    if !told.is_empty() {
        let keys: Vec<LimitKey> = column(told, |(key, _)| *key);
        let told = of_keys(TOLD, &keys).bind(column(told, |(_, level)| i16::from(*level)));
        run(db, told).await?;
    }
    if !gone.is_empty() {
        run(db, of_keys(GONE, gone)).await?;
    }
    Ok(())
}

/// The rows of these keys.
pub(crate) async fn of(db: &mut Session, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    all(db, of_keys(OF, keys), row).await
}

/// Running limits, those that began first.
pub(crate) async fn open(db: &mut Session, query: &LimitQuery) -> Result<Vec<LimitLine>, StoreError> {
    let statement = sqlx::query(OPEN)
        .bind(query.kind.as_str())
        .bind(i16::from(query.urgency.number()))
        .bind(i16::from(query.told))
        .bind(micros(query.began_until))
        .bind(query.party.as_ref().map(ToString::to_string))
        .bind(limit(query.max));
    all(db, statement, line).await
}

/// Limits that ended and were told of.
pub(crate) async fn ended(db: &mut Session, max: usize) -> Result<Vec<LimitRow>, StoreError> {
    all(db, sqlx::query(ENDED_ROWS).bind(limit(max)), row).await
}

/// Documents that came late, the newest first.
pub(crate) async fn sent_late(
    db: &mut Session,
    query: &SentLateQuery,
) -> Result<Vec<SentLateLine>, StoreError> {
    let statement = sqlx::query(SENT_LATE)
        .bind(query.since.map_or(i64::MIN, micros))
        .bind(query.party.as_ref().map(ToString::to_string))
        .bind(limit(query.max));
    all(db, statement, |row| {
        let facts: truc_ledger::DocumentFacts = row.json("facts")?;
        Ok(SentLateLine {
            document: row.id("uid")?,
            sender: row.parsed("sender")?,
            sender_code: row.text("sender_code")?,
            document_id: row.text("document_id")?,
            number: row.text_or_null("number")?,
            urgency: facts.urgency,
            received_at: row.time("received_at")?,
            late: facts.sent_late.ok_or_else(|| damaged("facts"))?,
        })
    })
    .await
}

fn row(row: &PgRow) -> Result<LimitRow, StoreError> {
    Ok(LimitRow {
        key: LimitKey {
            document: row.id("document")?,
            position: row.few("position")?,
            kind: row.word("kind", LimitKind::parse)?,
            began: row.time("began")?,
        },
        urgency: Urgency::from_number(row.level("urgency")?).ok_or_else(|| damaged("urgency"))?,
        told: row.level("told")?,
        ended: row.time_or_null("ended")?,
    })
}

fn line(line: &PgRow) -> Result<LimitLine, StoreError> {
    let codes: Vec<String> = line.json("codes")?;
    Ok(LimitLine {
        limit: row(line)?,
        recipient: line.parsed("party")?,
        recipient_code: codes.into_iter().next().unwrap_or_default(),
        system: line.parsed_or_null("system")?,
        business: line.word("business", BusinessState::from_word)?,
        change: line.word("change", ChangeState::from_word)?,
        sender: line.parsed("sender")?,
        sender_code: line.text("sender_code")?,
        document_id: line.text("document_id")?,
        number: line.text_or_null("number")?,
    })
}
