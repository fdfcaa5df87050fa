//! Pictures of one moment: a read transaction of its own.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, QueryBuilder, Sqlite, SqlitePool};
use truc_ledger::body::{Body, LeavingBody, MayRead};
use truc_ledger::command::SubmissionKey;
use truc_ledger::event::{EventKind, EventRow, Head};
use truc_ledger::limit::{LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery};
use truc_ledger::query::{
    DocumentFilter, DocumentLine, InboxCount, PAGE_MAX, Period, RefusalFilter, SenderCount, SenderRefusals,
    StateCount, StateCounts, page,
};
use truc_ledger::retention::{BodyDeletedRow, KeptBody};
use truc_ledger::rows::{
    DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow, number_key,
};
use truc_ledger::signatures::{PdfKind, Standing, VerdictKind};
use truc_ledger::{AtHome, Snapshot, StoreError};
use truc_model::delivery::TransportStateName;
use truc_model::wire::Intake;
use truc_model::{DeliveryUid, DocumentUid, PdfSignatures, RefusalCode, Sha256, SignatureStrength, SystemId};

use crate::column::{Columns as _, damaged, to_time};
use crate::ends::{head, latest_directory, of_hub};
use crate::fault::store_error;
use crate::list::list;
use crate::write::limit;
use crate::{kept, limits, row, waiting};

type Query<'q> = sqlx::query::Query<'q, Sqlite, sqlx::sqlite::SqliteArguments>;

pub(crate) struct SqliteSnapshot(sqlx::Transaction<'static, Sqlite>);

impl SqliteSnapshot {
    pub(crate) async fn begin(pool: &SqlitePool) -> Result<Self, StoreError> {
        let mut transaction = pool.begin().await.map_err(store_error)?;
        // A deferred transaction takes its picture at its first read, not at BEGIN.
        sqlx::query("SELECT 1 FROM event LIMIT 1")
            .fetch_optional(&mut *transaction)
            .await
            .map_err(store_error)?;
        Ok(Self(transaction))
    }

    pub(crate) async fn all<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let rows = query.fetch_all(&mut *self.0).await.map_err(store_error)?;
        rows.iter().map(read).collect()
    }

    pub(crate) async fn one<T>(
        &mut self,
        query: Query<'_>,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let row = query.fetch_optional(&mut *self.0).await.map_err(store_error)?;
        row.as_ref().map(read).transpose()
    }

    /// How the recipients of these documents stand.
    async fn states(&mut self, of: &[DocumentUid]) -> Result<HashMap<DocumentUid, StateCounts>, StoreError> {
        let statement = "SELECT document, state, count(*) AS n FROM recipient \
             WHERE document IN (SELECT value FROM json_each($1)) GROUP BY document, state";
        let query = sqlx::query(statement).bind(json!(of).to_string());
        let rows = self
            .all(query, |row| {
                let state = row.word("state", TransportStateName::from_word)?;
                Ok((row.parsed("document")?, state, row.count("n")?))
            })
            .await?;
        let mut counts: HashMap<DocumentUid, StateCounts> = HashMap::new();
        for (document, state, n) in rows {
            counts.entry(document).or_default().add(state, n);
        }
        Ok(counts)
    }
}

/// States of recipients that are not taken, as the partial index `recipient_state` has them.
const ASIDE: &str = "(r.state = 'scheduled' OR r.state = 'forwarded' OR r.state = 'parked' OR r.state = 'refused' \
     OR r.state = 'withdrawn' OR r.state = 'undeliverable')";

/// The first id of all that are made in the millisecond of `at`, as far as its moment goes.
fn first_id(at: Timestamp) -> String {
    let millis = format!("{:012x}", at.as_millisecond().clamp(0, 0xffff_ffff_ffff));
    let (high, low) = millis.split_at_checked(8).unwrap_or_default();
    format!("{high}-{low}")
}

fn micros(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_microsecond)
}

fn line(row: DocumentRow, states: StateCounts) -> DocumentLine {
    DocumentLine {
        number: row.number_key(),
        uid: row.uid,
        event: row.event,
        sender: row.identity.sender,
        sender_code: row.sender_code,
        document_id: row.identity.document_id,
        subject: row.facts.subject,
        type_name: row.facts.type_name,
        operation: row.facts.operation,
        urgency: row.facts.urgency,
        system: row.key.system,
        accepted_at: row.accepted_at,
        size: row.size,
        held: row.held,
        states,
    }
}

fn refused(filter: &RefusalFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM refusal WHERE 1");
    if let Some(system) = &filter.system {
        query.push(" AND system = ").push_bind(system.to_string());
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND sender = ").push_bind(sender.to_string());
    }
    if let Some(code) = filter.code {
        query.push(" AND code = ").push_bind(code.as_str());
    }
    if let Some(since) = micros(filter.since) {
        query.push(" AND refused_at >= ").push_bind(since);
    }
    if let Some(until) = micros(filter.until) {
        query.push(" AND refused_at < ").push_bind(until);
    }
    if let Some(before) = filter.before {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        query.push(" AND event < ").push_bind(before);
    }
    query.push(" ORDER BY event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    async fn head(&mut self) -> Result<Head, StoreError> {
        head(&mut self.0).await
    }

    async fn submission(&mut self, key: &SubmissionKey) -> Result<Option<SubmissionRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM submission WHERE system = $1 AND message_id = $2")
            .bind(key.system.as_str())
            .bind(key.message_id.to_string());
        self.one(query, row::submission).await
    }

    async fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<DocumentLine>, StoreError> {
        let mut query = list(filter);
        let rows = self.all(query.build().persistent(false), row::document).await?;
        let uids: Vec<DocumentUid> = rows.iter().map(|row| row.uid).collect();
        let states = self.states(&uids).await?;
        let lines = rows.into_iter().map(|row| {
            let states = states.get(&row.uid).copied().unwrap_or_default();
            line(row, states)
        });
        Ok(lines.collect())
    }

    async fn last_of_day(&mut self, at: Timestamp) -> Result<Option<u64>, StoreError> {
        let statement = "SELECT event FROM document INDEXED BY document_day \
             WHERE accepted_at / 86400000000 <= $1 / 86400000000 \
             ORDER BY accepted_at / 86400000000 DESC, event DESC LIMIT 1";
        let query = sqlx::query(statement).bind(at.as_microsecond());
        self.one(query, |row| row.count("event")).await
    }

    async fn find(&mut self, text: &str, max: usize) -> Result<Vec<DocumentUid>, StoreError> {
        let uuid = text.parse::<DocumentUid>().ok().map(|uid| uid.to_string());
        let statement = "SELECT uid FROM document WHERE event IN (\
             SELECT event FROM document WHERE uid = $1 \
             UNION SELECT event FROM document WHERE document_id = $2 \
             UNION SELECT event FROM document WHERE number = $3 \
             UNION SELECT d.event FROM recipient AS r JOIN document AS d ON d.uid = r.document WHERE r.delivery = $1 \
             UNION SELECT d.event FROM status AS s JOIN document AS d ON d.uid = s.document WHERE s.delivery = $1 \
             UNION SELECT d.event FROM submission AS s JOIN document AS d ON d.uid = s.document \
             WHERE s.message_id = $1) ORDER BY event DESC LIMIT $4";
        let query = sqlx::query(statement)
            .bind(uuid)
            .bind(text)
            .bind(number_key(Some(text), None))
            .bind(limit(max));
        self.all(query, |row| row.parsed("uid")).await
    }

    async fn document(&mut self, uid: DocumentUid) -> Result<Option<DocumentRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM document WHERE uid = $1").bind(uid.to_string());
        self.one(query, row::document).await
    }

    async fn recipients(&mut self, document: DocumentUid) -> Result<Vec<RecipientRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM recipient WHERE document = $1 ORDER BY position")
            .bind(document.to_string());
        self.all(query, row::recipient).await
    }

    async fn statuses(&mut self, document: DocumentUid) -> Result<Vec<StatusRow>, StoreError> {
        let query =
            sqlx::query("SELECT * FROM status WHERE document = $1 ORDER BY event").bind(document.to_string());
        self.all(query, row::status).await
    }

    async fn outbox_of(&mut self, document: DocumentUid) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE document = $1 ORDER BY priority DESC, event, line";
        let query = sqlx::query(statement).bind(document.to_string());
        self.all(query, row::outbox).await
    }

    async fn trace(&mut self, document: DocumentUid, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM event WHERE document = $1 ORDER BY seq LIMIT $2")
            .bind(document.to_string())
            .bind(limit(max));
        self.all(query, row::event).await
    }

    async fn events(&mut self, from_seq: u64, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM event WHERE seq >= $1 ORDER BY seq LIMIT $2")
            .bind(i64::try_from(from_seq).unwrap_or(i64::MAX))
            .bind(limit(max));
        self.all(query, row::event).await
    }

    async fn events_of_hub(
        &mut self,
        kind: EventKind,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<EventRow>, StoreError> {
        of_hub(&mut self.0, kind, before, max).await
    }

    async fn refusals(&mut self, filter: &RefusalFilter) -> Result<Vec<RefusalRow>, StoreError> {
        let mut query = refused(filter);
        self.all(query.build().persistent(false), row::refusal).await
    }

    async fn inboxes(&mut self) -> Result<Vec<InboxCount>, StoreError> {
        let statement = "SELECT system, \
             count(*) FILTER (WHERE awaits_taken = 1 AND place = 'waiting') AS scheduled, \
             count(*) FILTER (WHERE awaits_taken = 1 AND place = 'leased') AS leased, \
             count(*) FILTER (WHERE awaits_taken = 1 AND place = 'forwarded') AS forwarded, \
             count(*) FILTER (WHERE awaits_taken = 0) AS answers, \
             min(accepted_at) FILTER (WHERE awaits_taken = 1) AS oldest \
             FROM outbox GROUP BY system ORDER BY system";
        self.all(sqlx::query(statement), |row| {
            Ok(InboxCount {
                system: row.parsed("system")?,
                scheduled: row.count("scheduled")?,
                leased: row.count("leased")?,
                forwarded: row.count("forwarded")?,
                answers: row.count("answers")?,
                oldest: row.integer_or_null("oldest")?.and_then(to_time),
            })
        })
        .await
    }

    async fn stuck(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE awaits_taken = 1 AND place <> 'forwarded' AND recalled = 0 \
             AND accepted_at < $1 ORDER BY accepted_at, event, line LIMIT $2";
        let query = sqlx::query(statement)
            .bind(before.as_microsecond())
            .bind(limit(max));
        self.all(query, row::outbox).await
    }

    async fn late(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE place = 'forwarded' AND moment < $1 \
             ORDER BY moment, event, line LIMIT $2";
        let query = sqlx::query(statement)
            .bind(before.as_microsecond())
            .bind(limit(max));
        self.all(query, row::outbox).await
    }

    async fn ordered_back(
        &mut self,
        system: Option<&SystemId>,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE ordered_back <> '[]' AND ($1 IS NULL OR system = $1) \
             ORDER BY event, line LIMIT $2";
        let query = sqlx::query(statement)
            .bind(system.map(|system| system.as_str().to_owned()))
            .bind(limit(max));
        self.all(query, row::outbox).await
    }

    async fn open_limits(&mut self, query: &LimitQuery) -> Result<Vec<LimitLine>, StoreError> {
        limits::open(&mut self.0, query).await
    }

    async fn ended_limits(&mut self, max: usize) -> Result<Vec<LimitRow>, StoreError> {
        limits::ended(&mut self.0, max).await
    }

    async fn sent_late(&mut self, query: &SentLateQuery) -> Result<Vec<SentLateLine>, StoreError> {
        limits::sent_late(&mut self.0, query).await
    }

    async fn at_home(&mut self) -> Result<Vec<AtHome>, StoreError> {
        waiting::at_home(&mut self.0).await
    }

    async fn body(&mut self, sha256: Sha256) -> Result<Option<Body>, StoreError> {
        let query = sqlx::query("SELECT bytes FROM body WHERE sha256 = $1").bind(sha256.as_bytes().to_vec());
        let here = self.one(query, |row| Ok(Body::from(row.bytes("bytes")?))).await?;
        if here.is_some() {
            return Ok(here);
        }
        let apart = "SELECT size FROM body_apart WHERE sha256 = $1 AND leaving IS NULL";
        let query = sqlx::query(apart).bind(sha256.as_bytes().to_vec());
        self.one(query, |row| {
            Ok(Body::Apart {
                size: row.count("size")?,
            })
        })
        .await
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        let query = sqlx::query(kept::APART).bind(json!(of).to_string());
        self.all(query, |row| row.digest("sha256")).await
    }

    async fn leaving_bodies(&mut self, max: usize) -> Result<Vec<LeavingBody>, StoreError> {
        let query = sqlx::query(kept::LEAVING).bind(limit(max));
        self.all(query, kept::leaving).await
    }

    async fn may_read(&mut self, who: &MayRead) -> Result<bool, StoreError> {
        let query = sqlx::query(kept::MAY_READ)
            .bind(who.system.as_str().to_owned())
            .bind(who.sha256.as_bytes().to_vec());
        Ok(self.one(query, |row| row.flag("may")).await?.unwrap_or(false))
    }

    async fn body_digests(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<Sha256>, StoreError> {
        // No digest is shorter than 32 bytes: the empty blob comes before all.
        let after = after.map_or_else(Vec::new, |sha256| sha256.as_bytes().to_vec());
        let statement = "SELECT * FROM (SELECT sha256 FROM body WHERE sha256 > $1 ORDER BY sha256 LIMIT $2) \
             UNION ALL SELECT * FROM (SELECT sha256 FROM body_apart WHERE sha256 > $1 AND leaving IS NULL \
             ORDER BY sha256 LIMIT $2) ORDER BY sha256 LIMIT $2";
        let query = sqlx::query(statement).bind(after).bind(limit(max));
        self.all(query, |row| row.digest("sha256")).await
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        latest_directory(&mut self.0).await
    }

    async fn directory(&mut self, version: u64) -> Result<Option<DirectoryRow>, StoreError> {
        let query = sqlx::query("SELECT * FROM directory WHERE version = $1")
            .bind(i64::try_from(version).unwrap_or(i64::MAX));
        self.one(query, row::directory).await
    }

    async fn recipients_after(
        &mut self,
        after: Option<(DocumentUid, u32)>,
        max: usize,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let (document, position) = after.map_or_else(
            || (String::new(), -1),
            |(document, position)| (document.to_string(), i64::from(position)),
        );
        let statement = "SELECT * FROM recipient WHERE (document, position) > ($1, $2) \
             ORDER BY document, position LIMIT $3";
        let query = sqlx::query(statement)
            .bind(document)
            .bind(position)
            .bind(limit(max));
        self.all(query, row::recipient).await
    }

    async fn open_without_outbox(&mut self, max: usize) -> Result<Vec<DeliveryUid>, StoreError> {
        let statement = "SELECT DISTINCT r.delivery FROM recipient AS r \
             WHERE r.state IN ('scheduled', 'forwarded') AND r.delivery IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.delivery = r.delivery) ORDER BY r.delivery LIMIT $1";
        let query = sqlx::query(statement).bind(limit(max));
        self.all(query, |row| row.parsed("delivery")).await
    }

    async fn kept_bodies(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<KeptBody>, StoreError> {
        let digests = self.body_digests(after, max).await?;
        kept::kept(&mut self.0, &digests).await
    }

    async fn deletions(&mut self, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, StoreError> {
        kept::deletions(&mut self.0, of).await
    }

    async fn deletions_count(&mut self) -> Result<u64, StoreError> {
        kept::deletions_count(&mut self.0).await
    }

    async fn undeleted_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        let query = sqlx::query(kept::UNDELETED).bind(limit(max));
        self.all(query, |row| row.digest("sha256")).await
    }

    async fn missing_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        let query = sqlx::query(kept::MISSING).bind(limit(max));
        self.all(query, |row| row.digest("sha256")).await
    }

    async fn accepted_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderCount>, StoreError> {
        let statement = "SELECT sender, count(*) AS documents, sum(recipients) AS recipients \
             FROM document INDEXED BY document_day \
             WHERE accepted_at / 86400000000 BETWEEN $1 / 86400000000 AND $2 / 86400000000 \
             AND accepted_at >= $1 AND accepted_at < $2 GROUP BY sender ORDER BY sender";
        let query = between(statement, since, until);
        self.all(query, |row| {
            Ok(SenderCount {
                sender: row.parsed("sender")?,
                documents: row.count("documents")?,
                recipients: row.count("recipients")?,
            })
        })
        .await
    }

    async fn states_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError> {
        let statement = "SELECT d.sender, r.state, count(*) AS n FROM document AS d INDEXED BY document_day \
             CROSS JOIN recipient AS r ON r.document = d.uid \
             WHERE d.accepted_at / 86400000000 BETWEEN $1 / 86400000000 AND $2 / 86400000000 \
             AND d.accepted_at >= $1 AND d.accepted_at < $2 \
             GROUP BY d.sender, r.state ORDER BY d.sender, r.state";
        self.all(between(statement, since, until), state_count).await
    }

    async fn states_aside_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError> {
        let statement = format!(
            "SELECT d.sender, r.state, count(*) AS n FROM recipient AS r INDEXED BY recipient_state \
             CROSS JOIN document AS d ON d.uid = r.document \
             WHERE {ASIDE} AND r.document >= $3 AND r.document < $4 AND d.accepted_at >= $1 AND d.accepted_at < $2 \
             GROUP BY d.sender, r.state ORDER BY d.sender, r.state"
        );
        // The millisecond of the end has a part before it; of the last id of all no part is left out.
        let end = until.and_then(|until| until.checked_add(SignedDuration::from_millis(1)).ok());
        let query = sqlx::query(AssertSqlSafe(statement))
            .bind(micros(since).unwrap_or(i64::MIN))
            .bind(micros(until).unwrap_or(i64::MAX))
            .bind(since.map_or_else(String::new, first_id))
            .bind(end.map_or_else(|| "~".to_owned(), first_id));
        self.all(query, state_count).await
    }

    async fn refused_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderRefusals>, StoreError> {
        let statement = "SELECT sender, count(*) AS n FROM refusal \
             WHERE refused_at >= $1 AND refused_at < $2 AND intake = $3 GROUP BY sender ORDER BY sender";
        let query = between(statement, since, until).bind(Intake::Document.as_str());
        self.all(query, |row| {
            Ok(SenderRefusals {
                sender: row.parsed_or_null("sender")?,
                refused: row.count("n")?,
            })
        })
        .await
    }

    async fn verdicts(&mut self, period: Period) -> Result<BTreeMap<VerdictKind, u64>, StoreError> {
        let statement = "SELECT verdict ->> '$.seal.state' AS seal, verdict ->> '$.seal.reason' AS seal_reason, \
             verdict ->> '$.seal.strength' AS seal_strength, verdict ->> '$.xml.state' AS xml, \
             verdict ->> '$.xml.reason' AS xml_reason, verdict ->> '$.xml.strength' AS xml_strength, \
             verdict ->> '$.vouched_by_channel' AS vouched, count(*) AS n FROM document INDEXED BY document_day \
             WHERE accepted_at / 86400000000 BETWEEN $1 / 86400000000 AND $2 / 86400000000 \
             AND accepted_at >= $1 AND accepted_at < $2 GROUP BY 1, 2, 3, 4, 5, 6, 7";
        let query = between(statement, period.since, period.until);
        let rows = self
            .all(query, |row| {
                let kind = VerdictKind {
                    seal: standing(row, "seal", "seal_reason", "seal_strength")?,
                    xml: standing(row, "xml", "xml_reason", "xml_strength")?,
                    vouched_by_channel: row.flag("vouched")?,
                };
                Ok((kind, row.count("n")?))
            })
            .await?;
        Ok(sums(rows))
    }

    async fn pdfs(&mut self, period: Period) -> Result<BTreeMap<PdfKind, u64>, StoreError> {
        let statement = "SELECT accepted_at / 86400000000 AS day, event, \
             (SELECT json_group_array(json(a.value -> '$.signature')) \
             FROM json_each(document.facts, '$.attachments') AS a \
             WHERE a.value ->> '$.signature' IS NOT NULL) AS found FROM document INDEXED BY document_day \
             WHERE accepted_at / 86400000000 BETWEEN max($1 / 86400000000, $3) AND $2 / 86400000000 \
             AND accepted_at >= $1 AND accepted_at < $2 AND (accepted_at / 86400000000, event) > ($3, $4) \
             ORDER BY accepted_at / 86400000000, event LIMIT $5";
        let mut counts = BTreeMap::new();
        // In pages: a year has more of them than should be in memory at once.
        let mut after = (i64::MIN, 0);
        loop {
            let query = between(statement, period.since, period.until)
                .bind(after.0)
                .bind(after.1)
                .bind(limit(PAGE_MAX));
            let page = self
                .all(query, |row| {
                    let place = (row.integer("day")?, row.integer("event")?);
                    Ok((place, row.json::<Vec<PdfSignatures>>("found")?))
                })
                .await?;
            let Some((last, _)) = page.last() else {
                return Ok(counts);
            };
            after = *last;
            for found in page.iter().flat_map(|(_, found)| found) {
                *counts.entry(PdfKind::from(found)).or_insert(0) += 1;
            }
        }
    }

    async fn refused_by_code(&mut self, period: Period) -> Result<BTreeMap<RefusalCode, u64>, StoreError> {
        let statement = "SELECT code, count(*) AS n FROM refusal \
             WHERE refused_at >= $1 AND refused_at < $2 AND intake = $3 GROUP BY code";
        let query = between(statement, period.since, period.until).bind(Intake::Document.as_str());
        let rows = self
            .all(query, |row| {
                let code = row.word("code", |word| RefusalCode::from_word(word).ok())?;
                Ok((code, row.count("n")?))
            })
            .await?;
        Ok(sums(rows))
    }
}

fn state_count(row: &SqliteRow) -> Result<StateCount, StoreError> {
    Ok(StateCount {
        sender: row.parsed("sender")?,
        state: row.word("state", TransportStateName::from_word)?,
        recipients: row.count("n")?,
    })
}

/// What rows count alike is one: a word left out and the same word written.
fn sums<K: Ord>(rows: Vec<(K, u64)>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for (kind, n) in rows {
        *counts.entry(kind).or_insert(0) += n;
    }
    counts
}

/// How one form stood: columns `<form>`, `<form>_reason`, `<form>_strength`.
fn standing(
    row: &SqliteRow,
    state: &'static str,
    reason: &'static str,
    strength: &'static str,
) -> Result<Standing, StoreError> {
    Ok(match row.text(state)?.as_str() {
        "valid" => Standing::Valid(match row.text_or_null(strength)? {
            Some(word) => SignatureStrength::from_word(&word).ok_or_else(|| damaged(strength))?,
            None => SignatureStrength::Current,
        }),
        "invalid" => Standing::Invalid {
            reason: row.text(reason)?,
        },
        "absent" => Standing::Absent,
        _ => return Err(damaged(state)),
    })
}

fn between(statement: &'static str, since: Option<Timestamp>, until: Option<Timestamp>) -> Query<'static> {
    sqlx::query(statement)
        .bind(micros(since).unwrap_or(i64::MIN))
        .bind(micros(until).unwrap_or(i64::MAX))
}
