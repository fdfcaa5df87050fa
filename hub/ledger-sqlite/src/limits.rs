//! Time limits that run: the table `time_limit`, and documents that came late.

use serde_json::{Value, json};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;
use truc_ledger::StoreError;
use truc_ledger::limit::{
    LimitChanges, LimitEnd, LimitKey, LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery,
};
use truc_model::{BusinessState, ChangeState, LimitKind, Urgency};

use crate::column::{Columns as _, damaged};
use crate::fault::store_error;

/// Most rows in one statement.
const ROWS_MAX: usize = 500;

/// At most one row of a kind runs for a recipient, so the end finds it without knowing when it began.
pub(crate) const ENDED: &str = "UPDATE time_limit SET ended = k.value->>3 FROM jsonb_each($1) AS k \
     WHERE time_limit.document = k.value->>0 AND time_limit.position = k.value->>1 \
     AND time_limit.kind = k.value->>2 AND time_limit.ended IS NULL";

/// What ended before anything was told of it goes.
pub(crate) const ENDED_UNTOLD: &str = "DELETE FROM time_limit WHERE ended IS NOT NULL AND told = 0";

pub(crate) const BEGUN: &str = "INSERT INTO time_limit (document, position, kind, began, urgency, told) \
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5 FROM jsonb_each($1)";

const TOLD: &str = "UPDATE time_limit SET told = k.value->>4 FROM jsonb_each($1) AS k \
     WHERE time_limit.document = k.value->>0 AND time_limit.position = k.value->>1 \
     AND time_limit.kind = k.value->>2 AND time_limit.began = k.value->>3";

const GONE: &str =
    "DELETE FROM time_limit WHERE document = $1 AND position = $2 AND kind = $3 AND began = $4";

const OF: &str = "SELECT t.* FROM json_each($1) AS k JOIN time_limit AS t ON t.document = k.value->>0 \
     AND t.position = k.value->>1 AND t.kind = k.value->>2 AND t.began = k.value->>3";

const OPEN: &str = "SELECT t.*, r.party, r.codes, r.system, r.business, r.change, d.sender, d.sender_code, \
     d.document_id, d.number FROM time_limit AS t INDEXED BY time_limit_open \
     JOIN recipient AS r ON r.document = t.document AND r.position = t.position \
     JOIN document AS d ON d.uid = t.document \
     WHERE t.ended IS NULL AND t.kind = $1 AND t.urgency = $2 AND t.told = $3 AND t.began <= $4 \
     AND ($5 IS NULL OR r.party = $5 OR d.sender = $5) \
     ORDER BY t.began, t.document, t.position LIMIT $6";

const ENDED_ROWS: &str = "SELECT * FROM time_limit WHERE ended IS NOT NULL \
     ORDER BY ended, document, position, kind, began LIMIT $1";

const SENT_LATE: &str = "SELECT d.uid, d.sender, d.sender_code, d.document_id, d.number, d.facts, d.received_at \
     FROM document AS d INDEXED BY document_sent_late \
     WHERE json_extract(d.facts, '$.sent_late') IS NOT NULL AND ($1 IS NULL OR d.accepted_at >= $1) \
     AND ($2 IS NULL OR d.sender = $2 OR EXISTS (SELECT 1 FROM recipient AS r \
     WHERE r.document = d.uid AND r.party = $2)) ORDER BY d.event DESC LIMIT $3";

/// Saves what a transaction changes.
pub(crate) async fn save(db: &mut SqliteConnection, changes: &LimitChanges) -> Result<(), StoreError> {
    let ended = changes.ended.iter().map(ended_row);
    if many(db, ENDED, ended.collect()).await? {
        sqlx::query(ENDED_UNTOLD)
            .execute(&mut *db)
            .await
            .map_err(store_error)?;
    }
    let begun = changes.begun.iter().map(begun_row);
    many(db, BEGUN, begun.collect()).await?;
    let told = changes.told.iter().map(|(key, level)| {
        let began = key.began.as_microsecond();
        json!([key.document, key.position, key.kind, began, level])
    });
    many(db, TOLD, told.collect()).await?;
    for key in &changes.gone {
        sqlx::query(GONE)
            .bind(key.document.to_string())
            .bind(i64::from(key.position))
            .bind(key.kind.as_str())
            .bind(key.began.as_microsecond())
            .execute(&mut *db)
            .await
            .map_err(store_error)?;
    }
    Ok(())
}

/// A row of [`ENDED`].
pub(crate) fn ended_row(end: &LimitEnd) -> Value {
    json!([end.document, end.position, end.kind, end.at.as_microsecond()])
}

/// A row of [`BEGUN`].
pub(crate) fn begun_row(row: &LimitRow) -> Value {
    let LimitKey {
        document,
        position,
        kind,
        began,
    } = row.key;
    let began = began.as_microsecond();
    json!([document, position, kind, began, row.urgency.number(), row.told])
}

/// Runs a statement for these rows; whether there were any.
async fn many(
    db: &mut SqliteConnection,
    statement: &'static str,
    rows: Vec<Value>,
) -> Result<bool, StoreError> {
    for part in rows.chunks(ROWS_MAX) {
        let written = sqlx::query(statement)
            .bind(Value::Array(part.to_vec()).to_string())
            .execute(&mut *db)
            .await
            .map_err(store_error)?;
        tracing::trace!(rows = written.rows_affected(), "ledger limits saved");
    }
    Ok(!rows.is_empty())
}

/// The rows of these keys.
pub(crate) async fn of(db: &mut SqliteConnection, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
    let mut found = Vec::new();
    for part in keys.chunks(ROWS_MAX) {
        let part = part.iter().map(|key| {
            let began = key.began.as_microsecond();
            json!([key.document, key.position, key.kind, began])
        });
        let rows = sqlx::query(OF)
            .bind(Value::Array(part.collect()).to_string())
            .fetch_all(&mut *db)
            .await
            .map_err(store_error)?;
        for row in &rows {
            found.push(limit(row)?);
        }
    }
    Ok(found)
}

/// Running limits, those that began first.
pub(crate) async fn open(
    db: &mut SqliteConnection,
    query: &LimitQuery,
) -> Result<Vec<LimitLine>, StoreError> {
    let rows = sqlx::query(OPEN)
        .bind(query.kind.as_str())
        .bind(i64::from(query.urgency.number()))
        .bind(i64::from(query.told))
        .bind(query.began_until.as_microsecond())
        .bind(query.party.as_ref().map(ToString::to_string))
        .bind(i64::try_from(query.max).unwrap_or(i64::MAX))
        .fetch_all(db)
        .await
        .map_err(store_error)?;
    rows.iter().map(line).collect()
}

/// Limits that ended and were told of.
pub(crate) async fn ended(db: &mut SqliteConnection, max: usize) -> Result<Vec<LimitRow>, StoreError> {
    let rows = sqlx::query(ENDED_ROWS)
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(db)
        .await
        .map_err(store_error)?;
    rows.iter().map(limit).collect()
}

/// Documents that came late, the newest first.
pub(crate) async fn sent_late(
    db: &mut SqliteConnection,
    query: &SentLateQuery,
) -> Result<Vec<SentLateLine>, StoreError> {
    let rows = sqlx::query(SENT_LATE)
        .bind(query.since.map(|since| since.as_microsecond()))
        .bind(query.party.as_ref().map(ToString::to_string))
        .bind(i64::try_from(query.max).unwrap_or(i64::MAX))
        .fetch_all(db)
        .await
        .map_err(store_error)?;
    let read = |row: &SqliteRow| {
        let facts: truc_ledger::DocumentFacts = row.json("facts")?;
        Ok(SentLateLine {
            document: row.parsed("uid")?,
            sender: row.parsed("sender")?,
            sender_code: row.text("sender_code")?,
            document_id: row.text("document_id")?,
            number: row.text_or_null("number")?,
            urgency: facts.urgency,
            received_at: row.time("received_at")?,
            late: facts.sent_late.ok_or_else(|| damaged("facts"))?,
        })
    };
    rows.iter().map(read).collect()
}

fn limit(row: &SqliteRow) -> Result<LimitRow, StoreError> {
    let urgency: u8 = row.count("urgency")?;
    let ended: Option<i64> = row.integer_or_null("ended")?;
    let ended = ended.map(|at| crate::column::to_time(at).ok_or_else(|| damaged("ended")));
    Ok(LimitRow {
        key: LimitKey {
            document: row.parsed("document")?,
            position: row.count("position")?,
            kind: row.word("kind", LimitKind::parse)?,
            began: row.time("began")?,
        },
        urgency: Urgency::from_number(urgency).ok_or_else(|| damaged("urgency"))?,
        told: row.count("told")?,
        ended: ended.transpose()?,
    })
}

fn line(row: &SqliteRow) -> Result<LimitLine, StoreError> {
    let codes: Vec<String> = row.json("codes")?;
    Ok(LimitLine {
        limit: limit(row)?,
        recipient: row.parsed("party")?,
        recipient_code: codes.into_iter().next().unwrap_or_default(),
        system: row.parsed_or_null("system")?,
        business: row.word("business", BusinessState::from_word)?,
        change: row.word("change", ChangeState::from_word)?,
        sender: row.parsed("sender")?,
        sender_code: row.text("sender_code")?,
        document_id: row.text("document_id")?,
        number: row.text_or_null("number")?,
    })
}
