//! Alerts: the tables `alert`, `alert_post` and `alert_allowance`.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use sqlx::postgres::PgRow;
use truc_ledger::StoreError;
use truc_ledger::alert::{
    AlertChanges, AlertFilter, AlertKey, AlertPost, AlertRow, AlertSnapshot, AlertTransaction, AllowanceRow,
    ClearCause, InboxTrouble, PostPlace,
};
use truc_ledger::command::HubId;
use truc_ledger::query::page;
use truc_model::{AlertKind, AlertPostUid, AlertUid, Severity};

use crate::column::{Columns as _, damaged};
use crate::id::Id;
use crate::read::PostgresSnapshot;
use crate::save::{big, column, int, text};
use crate::session::{Session, Statement, run};
use crate::write::{PostgresTransaction, ids, limit, micros};

const ALERTS: &str = "INSERT INTO alert (alert, kind, subject, severity, event, raised_at, changed_at, seen_at, \
     seen, agencies, system, document, facts, told, cleared_at, cause, untold) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[], \
     $8::bigint[], $9::bigint[], $10::text[], $11::text[], $12::uuid[], $13::text[], $14::text[], $15::bigint[], \
     $16::text[], $17::boolean[]) \
     ON CONFLICT (alert) DO UPDATE SET severity = excluded.severity, changed_at = excluded.changed_at, \
     seen_at = excluded.seen_at, seen = excluded.seen, agencies = excluded.agencies, facts = excluded.facts, \
     told = excluded.told, cleared_at = excluded.cleared_at, cause = excluded.cause, untold = excluded.untold";

const POSTS: &str = "INSERT INTO alert_post (post, channel, kind, lines, more, created_at, attempts, place, \
     moment, owner, failure) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], \
     $6::bigint[], $7::integer[], $8::text[], $9::bigint[], $10::text[], $11::text[]) \
     ON CONFLICT (post) DO UPDATE SET lines = excluded.lines, more = excluded.more, \
     attempts = excluded.attempts, place = excluded.place, moment = excluded.moment, owner = excluded.owner, \
     failure = excluded.failure";

const ALLOWANCES: &str = "INSERT INTO alert_allowance (channel, left_milli, at) \
     SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[]) \
     ON CONFLICT (channel) DO UPDATE SET left_milli = excluded.left_milli, at = excluded.at";

/// Saves what a transaction changes. What ended goes first: the same subject may be open again.
pub(crate) async fn save(db: &mut Session, changes: &AlertChanges) -> Result<(), StoreError> {
    if !changes.alerts_done.is_empty() {
        let done = sqlx::query("DELETE FROM alert WHERE alert = ANY($1::uuid[])");
        run(db, done.bind(ids(&changes.alerts_done))).await?;
    }
    let (cleared, open): (Vec<&AlertRow>, Vec<&AlertRow>) =
        changes.alerts.iter().partition(|row| row.cleared.is_some());
    for rows in [cleared, open] {
        if !rows.is_empty() {
            run(db, alerts(&rows)?).await?;
        }
    }
    if !changes.posts_done.is_empty() {
        let done = sqlx::query("DELETE FROM alert_post WHERE post = ANY($1::uuid[])");
        run(db, done.bind(ids(&changes.posts_done))).await?;
    }
    if !changes.posts.is_empty() {
        run(db, posts(&changes.posts)?).await?;
    }
    if !changes.allowances.is_empty() {
        let rows = &changes.allowances;
        let allowances = sqlx::query(ALLOWANCES)
            .bind(column(rows, |row| row.channel.as_str()))
            .bind(column(rows, |row| big(row.left_milli)))
            .bind(column(rows, |row| micros(row.at)));
        run(db, allowances).await?;
    }
    Ok(())
}

const fn cause_word(cause: ClearCause) -> &'static str {
    match cause {
        ClearCause::Ended => "ended",
        ClearCause::Settled => "settled",
    }
}

fn alerts<'r>(rows: &[&'r AlertRow]) -> Result<Statement<'r>, StoreError> {
    let texts = |of: fn(&AlertRow) -> Result<String, StoreError>| {
        rows.iter().map(|row| of(row)).collect::<Result<Vec<_>, _>>()
    };
    Ok(sqlx::query(ALERTS)
        .bind(column(rows, |row| Id::from(row.alert)))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.subject.as_str()))
        .bind(column(rows, |row| row.severity.as_str()))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| micros(row.raised_at)))
        .bind(column(rows, |row| micros(row.changed_at)))
        .bind(column(rows, |row| micros(row.seen_at)))
        .bind(column(rows, |row| big(row.seen)))
        .bind(texts(|row| text(&row.agencies))?)
        .bind(column(rows, |row| {
            row.system.as_ref().map(|system| system.as_str())
        }))
        .bind(column(rows, |row| row.document.map(Id::from)))
        .bind(texts(|row| text(&row.facts))?)
        .bind(column(rows, |row| row.told.map(Severity::as_str)))
        .bind(column(rows, |row| row.cleared.map(|(at, _)| micros(at))))
        .bind(column(rows, |row| {
            row.cleared.map(|(_, cause)| cause_word(cause))
        }))
        .bind(column(rows, |row| row.untold().is_some())))
}

fn posts(rows: &[AlertPost]) -> Result<Statement<'_>, StoreError> {
    let place = |row: &AlertPost| match row.place {
        PostPlace::Waiting { .. } => "waiting",
        PostPlace::Leased { .. } => "leased",
        PostPlace::Dead { .. } => "dead",
    };
    let moment = |row: &AlertPost| match row.place {
        PostPlace::Waiting { not_before: at }
        | PostPlace::Leased { until: at, .. }
        | PostPlace::Dead { at } => micros(at),
    };
    let owner = |row: &AlertPost| match &row.place {
        PostPlace::Leased { owner, .. } => Some(owner.as_str().to_owned()),
        PostPlace::Waiting { .. } | PostPlace::Dead { .. } => None,
    };
    let lines: Vec<String> = rows
        .iter()
        .map(|row| text(&row.lines))
        .collect::<Result<_, _>>()?;
    Ok(sqlx::query(POSTS)
        .bind(column(rows, |row| Id::from(row.post)))
        .bind(column(rows, |row| row.channel.as_str()))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(lines)
        .bind(column(rows, |row| big(row.more)))
        .bind(column(rows, |row| micros(row.created_at)))
        .bind(column(rows, |row| int(row.attempts)))
        .bind(column(rows, place))
        .bind(column(rows, moment))
        .bind(column(rows, owner))
        .bind(column(rows, |row| row.failure.as_deref())))
}

fn read_alert(row: &PgRow) -> Result<AlertRow, StoreError> {
    let cause = row
        .text_or_null("cause")?
        .map(|word| serde_json::from_value(Value::String(word)).map_err(|_| damaged("cause")))
        .transpose()?;
    Ok(AlertRow {
        alert: row.id("alert")?,
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
        document: row.id_or_null("document")?,
        facts: row.json("facts")?,
        told: row
            .text_or_null("told")?
            .map(|word| Severity::from_word(&word).ok_or_else(|| damaged("told")))
            .transpose()?,
        cleared: row.time_or_null("cleared_at")?.zip(cause),
    })
}

fn read_post(row: &PgRow) -> Result<AlertPost, StoreError> {
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
        post: row.id("post")?,
        channel: row.text("channel")?,
        kind: row.word("kind", AlertKind::from_word)?,
        lines: row.json("lines")?,
        more: row.count("more")?,
        created_at: row.time("created_at")?,
        attempts: row.few("attempts")?,
        place,
        failure: row.text_or_null("failure")?,
    })
}

#[async_trait]
impl AlertTransaction for PostgresTransaction {
    async fn alerts_open(&mut self, of: &[AlertKey]) -> Result<Vec<AlertRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT a.* FROM unnest($1::text[], $2::text[]) AS k (kind, subject) JOIN alert AS a \
             ON a.kind = k.kind AND a.subject = k.subject WHERE a.cleared_at IS NULL";
        let statement = sqlx::query(statement)
            .bind(column(of, |key| key.kind.as_str()))
            .bind(column(of, |key| key.subject.as_str()));
        self.all(statement, read_alert).await
    }

    async fn alerts_by_id(&mut self, of: &[AlertUid]) -> Result<Vec<AlertRow>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = sqlx::query("SELECT * FROM alert WHERE alert = ANY($1::uuid[])");
        self.all(statement.bind(ids(of)), read_alert).await
    }

    async fn posts_by_id(&mut self, of: &[AlertPostUid]) -> Result<Vec<AlertPost>, StoreError> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let statement = sqlx::query("SELECT * FROM alert_post WHERE post = ANY($1::uuid[])");
        self.all(statement.bind(ids(of)), read_post).await
    }

    async fn posts_gathering(&mut self, channels: &[String]) -> Result<Vec<AlertPost>, StoreError> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let statement = "SELECT * FROM alert_post WHERE channel = ANY($1::text[]) AND place <> 'dead' \
             AND place = 'waiting' AND attempts = 0";
        self.all(sqlx::query(statement).bind(channels), read_post).await
    }

    async fn posts_due(
        &mut self,
        now: Timestamp,
        channel: &str,
        max: usize,
    ) -> Result<Vec<AlertPost>, StoreError> {
        let statement = "SELECT * FROM alert_post WHERE channel = $1 AND place <> 'dead' AND moment <= $2 \
             ORDER BY created_at, post LIMIT $3";
        let statement = sqlx::query(statement)
            .bind(channel)
            .bind(micros(now))
            .bind(limit(max));
        self.all(statement, read_post).await
    }

    async fn posts_dead(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let statement = "SELECT * FROM alert_post WHERE place = 'dead' ORDER BY created_at, post LIMIT $1";
        self.all(sqlx::query(statement).bind(limit(max)), read_post).await
    }

    async fn allowances(&mut self, channels: &[String]) -> Result<Vec<AllowanceRow>, StoreError> {
        if channels.is_empty() {
            return Ok(Vec::new());
        }
        let statement = sqlx::query("SELECT * FROM alert_allowance WHERE channel = ANY($1::text[])");
        self.all(statement.bind(channels), |row| {
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
impl AlertSnapshot for PostgresSnapshot {
    async fn alerts(&mut self, filter: &AlertFilter) -> Result<Vec<AlertRow>, StoreError> {
        let kinds: Vec<&str> = filter.kinds.iter().map(|kind| kind.as_str()).collect();
        let statement = "SELECT * FROM alert WHERE cleared_at IS NULL AND event > $1 \
             AND (cardinality($2::text[]) = 0 OR kind = ANY($2)) ORDER BY event, alert LIMIT $3";
        let statement = sqlx::query(statement)
            .bind(big(filter.after))
            .bind(kinds)
            .bind(limit(page(filter.limit)));
        self.all(statement, read_alert).await
    }

    async fn alert_count(&mut self) -> Result<u64, StoreError> {
        let statement = sqlx::query("SELECT count(*) AS n FROM alert WHERE cleared_at IS NULL");
        Ok(self.one(statement, |row| row.count("n")).await?.unwrap_or(0))
    }

    async fn alerts_untold(&mut self, max: usize) -> Result<Vec<AlertRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM alert WHERE untold ORDER BY event, alert LIMIT $1");
        self.all(statement.bind(limit(max)), read_alert).await
    }

    async fn alert_due(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        let statement = "SELECT 1 FROM alert_post WHERE place <> 'dead' AND moment <= $1 LIMIT 1";
        let statement = sqlx::query(statement).bind(micros(now));
        Ok(self.one(statement, |_| Ok(())).await?.is_some())
    }

    async fn alert_posts(&mut self, max: usize) -> Result<Vec<AlertPost>, StoreError> {
        let statement = "SELECT * FROM alert_post ORDER BY place = 'dead', created_at, post LIMIT $1";
        self.all(sqlx::query(statement).bind(limit(max)), read_post).await
    }

    async fn inbox_troubles(
        &mut self,
        attempts: u32,
        before: Timestamp,
    ) -> Result<Vec<InboxTrouble>, StoreError> {
        let statement = "SELECT system, \
             count(*) FILTER (WHERE awaits_taken AND place = 'waiting') AS waiting, \
             min(accepted_at) FILTER (WHERE awaits_taken AND place = 'waiting') AS waiting_since, \
             count(*) FILTER (WHERE place <> 'forwarded' AND attempts >= $1) AS failing, \
             count(*) FILTER (WHERE awaits_taken AND place = 'forwarded' AND moment < $2) AS untaken, \
             min(moment) FILTER (WHERE awaits_taken AND place = 'forwarded' AND moment < $2) AS untaken_since \
             FROM outbox GROUP BY system ORDER BY system";
        let statement = sqlx::query(statement).bind(int(attempts)).bind(micros(before));
        self.all(statement, |row| {
            Ok(InboxTrouble {
                system: row.parsed("system")?,
                waiting: row.count("waiting")?,
                waiting_since: row.time_or_null("waiting_since")?,
                failing: row.count("failing")?,
                untaken: row.count("untaken")?,
                untaken_since: row.time_or_null("untaken_since")?,
            })
        })
        .await
    }
}
