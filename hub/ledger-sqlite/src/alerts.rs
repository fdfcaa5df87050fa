//! Alerts: the tables `alert`, `alert_post` and `alert_allowance`.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection};
use truc_ledger::StoreError;
use truc_ledger::alert::{
    AlertChanges, AlertFilter, AlertKey, AlertPost, AlertRow, AlertSnapshot, AlertTransaction, AllowanceRow,
    InboxTrouble, PostPlace,
};
use truc_ledger::command::HubId;
use truc_ledger::query::page;
use truc_model::{AlertKind, AlertPostUid, AlertUid, Severity};

use crate::column::{Columns as _, damaged, to_time};
use crate::fault::store_error;
use crate::read::SqliteSnapshot;
use crate::write::{SqliteTransaction, limit};

/// Most rows in one statement.
const ROWS_MAX: usize = 500;

const ALERTS: &str = "INSERT INTO alert (alert, kind, subject, severity, event, raised_at, changed_at, seen_at, \
     seen, agencies, system, document, facts, told, cleared_at, cause, untold) SELECT value->>0, value->>1, \
     value->>2, value->>3, value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10, \
     value->>11, value->>12, value->>13, value->>14, value->>15, value->>16 FROM json_each($1) WHERE true \
     ON CONFLICT (alert) DO UPDATE SET severity = excluded.severity, changed_at = excluded.changed_at, \
     seen_at = excluded.seen_at, seen = excluded.seen, agencies = excluded.agencies, facts = excluded.facts, \
     told = excluded.told, cleared_at = excluded.cleared_at, cause = excluded.cause, untold = excluded.untold";

const ALERTS_DONE: &str = "DELETE FROM alert WHERE alert IN (SELECT value FROM json_each($1))";

const POSTS: &str = "INSERT INTO alert_post (post, channel, kind, lines, more, created_at, attempts, place, \
     moment, owner, failure) SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, \
     value->>7, value->>8, value->>9, value->>10 FROM json_each($1) WHERE true \
     ON CONFLICT (post) DO UPDATE SET lines = excluded.lines, more = excluded.more, \
     attempts = excluded.attempts, place = excluded.place, moment = excluded.moment, owner = excluded.owner, \
     failure = excluded.failure";

const POSTS_DONE: &str = "DELETE FROM alert_post WHERE post IN (SELECT value FROM json_each($1))";

const ALLOWANCES: &str = "INSERT INTO alert_allowance (channel, left_milli, at) \
     SELECT value->>0, value->>1, value->>2 FROM json_each($1) WHERE true \
     ON CONFLICT (channel) DO UPDATE SET left_milli = excluded.left_milli, at = excluded.at";

/// Saves what a transaction changes. What ended goes first: the same subject may be open again.
pub(crate) async fn save(db: &mut SqliteConnection, changes: &AlertChanges) -> Result<(), StoreError> {
    rows(db, ALERTS_DONE, &changes.alerts_done, |alert| Ok(json!(alert))).await?;
    let (cleared, open): (Vec<&AlertRow>, Vec<&AlertRow>) =
        changes.alerts.iter().partition(|row| row.cleared.is_some());
    rows(db, ALERTS, &cleared, |row| alert(row)).await?;
    rows(db, ALERTS, &open, |row| alert(row)).await?;
    rows(db, POSTS_DONE, &changes.posts_done, |post| Ok(json!(post))).await?;
    rows(db, POSTS, &changes.posts, post).await?;
    rows(db, ALLOWANCES, &changes.allowances, |row| {
        Ok(json!([row.channel, row.left_milli, row.at.as_microsecond()]))
    })
    .await
}

async fn rows<T>(
    db: &mut SqliteConnection,
    statement: &'static str,
    rows: &[T],
    columns: impl Fn(&T) -> Result<Value, StoreError>,
) -> Result<(), StoreError> {
    for part in rows.chunks(ROWS_MAX) {
        let part: Vec<Value> = part.iter().map(&columns).collect::<Result<_, _>>()?;
        sqlx::query(statement)
            .bind(Value::Array(part).to_string())
            .execute(&mut *db)
            .await
            .map_err(store_error)?;
    }
    Ok(())
}

fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Backend(error.into()))
}

fn alert(row: &AlertRow) -> Result<Value, StoreError> {
    Ok(json!([
        row.alert,
        row.kind,
        row.subject,
        row.severity,
        row.event,
        row.raised_at.as_microsecond(),
        row.changed_at.as_microsecond(),
        row.seen_at.as_microsecond(),
        row.seen,
        text(&row.agencies)?,
        row.system,
        row.document,
        text(&row.facts)?,
        row.told,
        row.cleared.map(|(at, _)| at.as_microsecond()),
        row.cleared.map(|(_, cause)| cause),
        u8::from(row.untold().is_some()),
    ]))
}

fn post(row: &AlertPost) -> Result<Value, StoreError> {
    let (place, moment, owner) = match &row.place {
        PostPlace::Waiting { not_before } => ("waiting", not_before, None),
        PostPlace::Leased { owner, until } => ("leased", until, Some(owner.as_str())),
        PostPlace::Dead { at } => ("dead", at, None),
    };
    Ok(json!([
        row.post,
        row.channel,
        row.kind,
        text(&row.lines)?,
        row.more,
        row.created_at.as_microsecond(),
        row.attempts,
        place,
        moment.as_microsecond(),
        owner,
        row.failure,
    ]))
}

fn read_alert(row: &SqliteRow) -> Result<AlertRow, StoreError> {
    let cause = row
        .text_or_null("cause")?
        .map(|word| serde_json::from_value(Value::String(word)).map_err(|_| damaged("cause")))
        .transpose()?;
    let cleared_at = match row.integer_or_null("cleared_at")? {
        None => None,
        Some(at) => Some(to_time(at).ok_or_else(|| damaged("cleared_at"))?),
    };
    Ok(AlertRow {
        alert: row.parsed("alert")?,
        kind: row.word("kind", AlertKind::from_word)?,
        subject: row.text("subject")?,
        severity: row.word("severity", Severity::from_word)?,
        event: row.count("event")?,
        raised_at: row.time("raised_at")?,
        changed_at: row.time("changed_at")?,
        seen_at: row.time("seen_at")?,
        seen: row.count("seen")?,
        agencies: row.json("agencies")?,
        system: row.parsed_or_null("system")?,
        document: row.parsed_or_null("document")?,
        facts: row.json("facts")?,
        told: row
            .text_or_null("told")?
            .map(|word| Severity::from_word(&word).ok_or_else(|| damaged("told")))
            .transpose()?,
        cleared: cleared_at.zip(cause),
    })
}

fn read_post(row: &SqliteRow) -> Result<AlertPost, StoreError> {
    let moment = row.time("moment")?;
    let place = match row.text("place")?.as_str() {
        "waiting" => PostPlace::Waiting { not_before: moment },
        "leased" => PostPlace::Leased {
            owner: HubId::new(&row.text("owner")?),
            until: moment,
        },
        "dead" => PostPlace::Dead { at: moment },
        _ => return Err(damaged("place")),
    };
    Ok(AlertPost {
        post: row.parsed("post")?,
        channel: row.text("channel")?,
        kind: row.word("kind", AlertKind::from_word)?,
        lines: row.json("lines")?,
        more: row.count("more")?,
        created_at: row.time("created_at")?,
        attempts: row.count("attempts")?,
        place,
        failure: row.text_or_null("failure")?,
    })
}

fn keys<T>(of: &[T], column: impl Fn(&T) -> Value) -> Vec<Value> {
    of.iter().map(column).collect()
}

#[async_trait]
impl AlertTransaction for SqliteTransaction {
    async fn alerts_open(&mut self, of: &[AlertKey]) -> Result<Vec<AlertRow>, StoreError> {
        let keys = keys(of, |key| json!([key.kind, key.subject]));
        let statement = "SELECT a.* FROM json_each($1) AS k JOIN alert AS a \
             ON a.kind = k.value->>0 AND a.subject = k.value->>1 WHERE a.cleared_at IS NULL";
        self.look_up(statement, keys, read_alert).await
    }

    async fn alerts_by_id(&mut self, of: &[AlertUid]) -> Result<Vec<AlertRow>, StoreError> {
        let keys = keys(of, |alert| json!(alert));
        let statement = "SELECT a.* FROM json_each($1) AS k JOIN alert AS a ON a.alert = k.value";
        self.look_up(statement, keys, read_alert).await
    }

    async fn posts_by_id(&mut self, of: &[AlertPostUid]) -> Result<Vec<AlertPost>, StoreError> {
        let keys = keys(of, |post| json!(post));
        let statement = "SELECT p.* FROM json_each($1) AS k JOIN alert_post AS p ON p.post = k.value";
        self.look_up(statement, keys, read_post).await
    }

    async fn posts_gathering(&mut self, channels: &[String]) -> Result<Vec<AlertPost>, StoreError> {
        let keys = keys(channels, |channel| json!(channel));
        let statement = "SELECT p.* FROM json_each($1) AS k JOIN alert_post AS p ON p.channel = k.value \
             WHERE p.place = 'waiting' AND p.place <> 'dead' AND p.attempts = 0";
        self.look_up(statement, keys, read_post).await
    }

    async fn posts_due(
        &mut self,
        now: Timestamp,
        channel: &str,
        max: usize,
    ) -> Result<Vec<AlertPost>, StoreError> {
        let statement = "SELECT * FROM alert_post WHERE channel = $1 AND place <> 'dead' AND moment <= $2 \
             ORDER BY created_at, post LIMIT $3";
        let rows = sqlx::query(statement)
            .bind(channel)
            .bind(now.as_microsecond())
            .bind(limit(max))
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        rows.iter().map(read_post).collect()
    }

    async fn posts_dead(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let statement = "SELECT * FROM alert_post WHERE place = 'dead' ORDER BY created_at, post LIMIT $1";
        let rows = sqlx::query(statement)
            .bind(limit(max))
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        rows.iter().map(read_post).collect()
    }

    async fn allowances(&mut self, channels: &[String]) -> Result<Vec<AllowanceRow>, StoreError> {
        let keys = keys(channels, |channel| json!(channel));
        let statement = "SELECT a.* FROM json_each($1) AS k JOIN alert_allowance AS a ON a.channel = k.value";
        self.look_up(statement, keys, |row| {
            Ok(AllowanceRow {
                channel: row.text("channel")?,
                left_milli: row.count("left_milli")?,
                at: row.time("at")?,
            })
        })
        .await
    }
}

#[async_trait]
impl AlertSnapshot for SqliteSnapshot {
    async fn alerts(&mut self, filter: &AlertFilter) -> Result<Vec<AlertRow>, StoreError> {
        let mut query: QueryBuilder<Sqlite> =
            QueryBuilder::new("SELECT * FROM alert WHERE cleared_at IS NULL AND event > ");
        query.push_bind(i64::try_from(filter.after).unwrap_or(i64::MAX));
        if !filter.kinds.is_empty() {
            query.push(" AND kind IN (");
            let mut kinds = query.separated(", ");
            for kind in &filter.kinds {
                kinds.push_bind(kind.as_str());
            }
            query.push(")");
        }
        query.push(" ORDER BY event, alert LIMIT ");
        query.push_bind(limit(page(filter.limit)));
        self.all(query.build().persistent(false), read_alert).await
    }

    async fn alert_count(&mut self) -> Result<u64, StoreError> {
        let query = sqlx::query("SELECT count(*) AS n FROM alert WHERE cleared_at IS NULL");
        Ok(self.one(query, |row| row.count("n")).await?.unwrap_or(0))
    }

    async fn alerts_untold(&mut self, max: usize) -> Result<Vec<AlertRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM alert WHERE untold = 1 ORDER BY event, alert LIMIT $1");
        self.all(query.bind(limit(max)), read_alert).await
    }

    async fn alert_due(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let statement = "SELECT 1 AS n FROM alert_post WHERE place <> 'dead' AND moment <= $1 LIMIT 1";
        let query = sqlx::query(statement).bind(now.as_microsecond());
        Ok(self.one(query, |row| row.integer("n")).await?.is_some())
    }

    async fn alert_posts(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let query =
            sqlx::query("SELECT * FROM alert_post ORDER BY place = 'dead', created_at, post LIMIT $1");
        self.all(query.bind(limit(max)), read_post).await
    }

    async fn inbox_troubles(
        &mut self,
        attempts: u32,
        before: Timestamp,
    ) -> Result<Vec<InboxTrouble>, StoreError> {
        let statement = "SELECT system, \
             count(*) FILTER (WHERE awaits_taken = 1 AND place = 'waiting') AS waiting, \
             min(accepted_at) FILTER (WHERE awaits_taken = 1 AND place = 'waiting') AS waiting_since, \
             count(*) FILTER (WHERE place <> 'forwarded' AND attempts >= $1) AS failing, \
             count(*) FILTER (WHERE awaits_taken = 1 AND place = 'forwarded' AND moment < $2) AS untaken, \
             min(moment) FILTER (WHERE awaits_taken = 1 AND place = 'forwarded' AND moment < $2) AS untaken_since \
             FROM outbox GROUP BY system ORDER BY system";
        let query = sqlx::query(statement)
            .bind(i64::from(attempts))
            .bind(before.as_microsecond());
        self.all(query, |row| {
            Ok(InboxTrouble {
                system: row.parsed("system")?,
                waiting: row.count("waiting")?,
                waiting_since: row.integer_or_null("waiting_since")?.and_then(to_time),
                failing: row.count("failing")?,
                untaken: row.count("untaken")?,
                untaken_since: row.integer_or_null("untaken_since")?.and_then(to_time),
            })
        })
        .await
    }
}
