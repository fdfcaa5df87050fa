//! Pictures of one moment: a read-only transaction of its own, REPEATABLE READ.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use sqlx::PgPool;
use sqlx::postgres::PgRow;
use truc_ledger::body::{Body, LeavingBody, MayRead};
use truc_ledger::command::SubmissionKey;
use truc_ledger::event::{EventKind, EventRow, Head};
use truc_ledger::limit::{LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery};
use truc_ledger::query::{
    DocumentFilter, DocumentLine, InboxCount, PAGE_MAX, Period, RefusalFilter, SenderCount, SenderRefusals,
    StateCount, StateCounts,
};
use truc_ledger::retention::{BodyDeletedRow, KeptBody};
use truc_ledger::rows::{
    DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow, number_key,
};
use truc_ledger::signatures::{PdfKind, VerdictKind};
use truc_ledger::{AtHome, Snapshot, StoreError};
use truc_model::delivery::TransportStateName;
use truc_model::wire::Intake;
use truc_model::{DeliveryUid, DocumentUid, PdfSignatures, RefusalCode, Sha256, SystemId};

use crate::column::Columns as _;
use crate::id::Id;
use crate::save::big;
use crate::session::{Session, Source, Statement, all};
use crate::write::{digests, head, ids, latest_directory, limit, micros, of_hub};
use crate::{kept, limits, list, row, verdict, waiting};

const MICROS_A_DAY: i64 = 86_400_000_000;

/// Begins, and has the picture taken: that happens at the first statement, not at BEGIN. One round trip.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SELECT 1";

pub(crate) struct PostgresSnapshot(Session);

impl PostgresSnapshot {
    pub(crate) async fn begin(pool: &PgPool, patience: Duration) -> Result<Self, StoreError> {
        let (session, _) = Session::begin(Source::Readers(pool), BEGIN, patience).await?;
        Ok(Self(session))
    }

    pub(crate) async fn all<T>(
        &mut self,
        statement: Statement<'_>,
        read: impl Fn(&PgRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        all(&mut self.0, statement, read).await
    }

    pub(crate) async fn one<T>(
        &mut self,
        statement: Statement<'_>,
        read: impl Fn(&PgRow) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        Ok(self.all(statement, read).await?.into_iter().next())
    }

    /// How the recipients of these documents stand.
    async fn states(&mut self, of: &[DocumentUid]) -> Result<HashMap<DocumentUid, StateCounts>, StoreError> {
        let mut counts: HashMap<DocumentUid, StateCounts> = HashMap::new();
        if of.is_empty() {
            return Ok(counts);
        }
        let statement = "SELECT document, state, count(*) AS n FROM recipient \
             WHERE document = ANY($1::uuid[]) GROUP BY document, state";
        let rows = self
            .all(sqlx::query(statement).bind(ids(of)), |row| {
                let state = row.word("state", TransportStateName::from_word)?;
                Ok((row.id("document")?, state, row.count("n")?))
            })
            .await?;
        for (document, state, n) in rows {
            counts.entry(document).or_default().add(state, n);
        }
        Ok(counts)
    }
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

/// What a text may name, each by its index. A union of ids and one look-up of each: the planner is left no way to
/// walk over all documents instead.
pub(crate) const FIND: &str = "SELECT d.uid FROM (\
     SELECT uid FROM document WHERE uid = $1 \
     UNION SELECT uid FROM document WHERE left(document_id, 200) = left($2, 200) AND document_id = $2 \
     UNION SELECT uid FROM document WHERE number IS NOT NULL AND left(number, 200) = left($3, 200) AND number = $3 \
     UNION SELECT document FROM recipient WHERE delivery = $1 \
     UNION SELECT document FROM status WHERE delivery = $1 \
     UNION SELECT document FROM submission WHERE message_id = $1) AS named \
     JOIN document AS d ON d.uid = named.uid ORDER BY d.event DESC LIMIT $4";

#[async_trait]
impl Snapshot for PostgresSnapshot {
    async fn head(&mut self) -> Result<Head, StoreError> {
        head(&mut self.0).await
    }

    async fn submission(&mut self, key: &SubmissionKey) -> Result<Option<SubmissionRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM submission WHERE message_id = $1 AND system = $2")
            .bind(Id::from(key.message_id))
            .bind(key.system.as_str());
        self.one(statement, row::submission).await
    }

    async fn documents(&mut self, filter: &DocumentFilter) -> Result<Vec<DocumentLine>, StoreError> {
        let share = match list::deliveries(filter) {
            Some(mut query) => {
                let found = self.all(query.build().persistent(false), |row| row.integer("n"));
                list::Share::of(found.await?.into_iter().next().unwrap_or(0))
            }
            None => list::Share::Few,
        };
        let mut query = list::documents(filter, share);
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
        let statement = "SELECT max(event) AS event FROM document WHERE accepted_at < $1 AND accepted_at >= \
             (SELECT accepted_at / 86400000000 * 86400000000 FROM document WHERE accepted_at < $1 \
             ORDER BY accepted_at DESC LIMIT 1)";
        let day = micros(at).div_euclid(MICROS_A_DAY).saturating_add(1);
        let statement = sqlx::query(statement).bind(day.saturating_mul(MICROS_A_DAY));
        let found = self.one(statement, |row| row.count_or_null("event")).await?;
        Ok(found.flatten())
    }

    async fn find(&mut self, text: &str, max: usize) -> Result<Vec<DocumentUid>, StoreError> {
        let uid = text.parse::<DocumentUid>().ok().map(Id::from);
        let statement = sqlx::query(FIND)
            .bind(uid)
            .bind(text)
            .bind(number_key(Some(text), None))
            .bind(limit(max));
        self.all(statement, |row| row.id("uid")).await
    }

    async fn document(&mut self, uid: DocumentUid) -> Result<Option<DocumentRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM document WHERE uid = $1").bind(Id::from(uid));
        self.one(statement, row::document).await
    }

    async fn recipients(&mut self, document: DocumentUid) -> Result<Vec<RecipientRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM recipient WHERE document = $1 ORDER BY position");
        self.all(statement.bind(Id::from(document)), row::recipient).await
    }

    async fn statuses(&mut self, document: DocumentUid) -> Result<Vec<StatusRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM status WHERE document = $1 ORDER BY event");
        self.all(statement.bind(Id::from(document)), row::status).await
    }

    async fn outbox_of(&mut self, document: DocumentUid) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE document = $1 ORDER BY priority DESC, event, line";
        self.all(sqlx::query(statement).bind(Id::from(document)), row::outbox)
            .await
    }

    async fn trace(&mut self, document: DocumentUid, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM event WHERE document = $1 ORDER BY seq LIMIT $2")
            .bind(Id::from(document))
            .bind(limit(max));
        self.all(statement, row::event).await
    }

    async fn events(&mut self, from_seq: u64, max: usize) -> Result<Vec<EventRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM event WHERE seq >= $1 ORDER BY seq LIMIT $2")
            .bind(big(from_seq))
            .bind(limit(max));
        self.all(statement, row::event).await
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
        let mut query = list::refusals(filter);
        self.all(query.build().persistent(false), row::refusal).await
    }

    async fn inboxes(&mut self) -> Result<Vec<InboxCount>, StoreError> {
        let statement = "SELECT system, \
             count(*) FILTER (WHERE awaits_taken AND place = 'waiting') AS scheduled, \
             count(*) FILTER (WHERE awaits_taken AND place = 'leased') AS leased, \
             count(*) FILTER (WHERE awaits_taken AND place = 'forwarded') AS forwarded, \
             count(*) FILTER (WHERE NOT awaits_taken) AS answers, \
             min(accepted_at) FILTER (WHERE awaits_taken) AS oldest \
             FROM outbox GROUP BY system ORDER BY system";
        self.all(sqlx::query(statement), |row| {
            Ok(InboxCount {
                system: row.parsed("system")?,
                scheduled: row.count("scheduled")?,
                leased: row.count("leased")?,
                forwarded: row.count("forwarded")?,
                answers: row.count("answers")?,
                oldest: row.time_or_null("oldest")?,
            })
        })
        .await
    }

    async fn stuck(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE awaits_taken AND place <> 'forwarded' AND NOT recalled \
             AND accepted_at < $1 ORDER BY accepted_at, event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(micros(before)).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn late(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        // Those alerted and those not stand apart in the index.
        let statement = "SELECT * FROM (\
             (SELECT * FROM outbox WHERE place = 'forwarded' AND NOT alerted AND moment < $1 \
             ORDER BY moment, event, line LIMIT $2) UNION ALL \
             (SELECT * FROM outbox WHERE place = 'forwarded' AND alerted AND moment < $1 \
             ORDER BY moment, event, line LIMIT $2)) AS o ORDER BY moment, event, line LIMIT $2";
        let statement = sqlx::query(statement).bind(micros(before)).bind(limit(max));
        self.all(statement, row::outbox).await
    }

    async fn ordered_back(
        &mut self,
        system: Option<&SystemId>,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE ordered_back <> '[]' AND ($1::text IS NULL OR system = $1) \
             ORDER BY event, line LIMIT $2";
        let statement = sqlx::query(statement)
            .bind(system.map(|system| system.as_str().to_owned()))
            .bind(limit(max));
        self.all(statement, row::outbox).await
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
        let statement = sqlx::query("SELECT size, bytes FROM body WHERE sha256 = $1");
        self.one(statement.bind(&sha256.as_bytes()[..]), kept::body).await
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        let statement = sqlx::query(kept::APART).bind(digests(of));
        self.all(statement, |row| row.digest("sha256")).await
    }

    async fn leaving_bodies(&mut self, max: usize) -> Result<Vec<LeavingBody>, StoreError> {
        let statement = sqlx::query(kept::LEAVING).bind(limit(max));
        self.all(statement, kept::leaving).await
    }

    async fn may_read(&mut self, who: &MayRead) -> Result<bool, StoreError> {
        let statement = sqlx::query(kept::MAY_READ)
            .bind(who.system.as_str())
            .bind(&who.sha256.as_bytes()[..]);
        Ok(self.one(statement, |row| row.flag("may")).await?.unwrap_or(false))
    }

    async fn body_digests(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<Sha256>, StoreError> {
        // No digest is shorter than 32 bytes: the empty one comes before all.
        let after = after.as_ref().map_or(&[][..], |sha256| &sha256.as_bytes()[..]);
        let statement = sqlx::query("SELECT sha256 FROM body WHERE sha256 > $1 ORDER BY sha256 LIMIT $2")
            .bind(after)
            .bind(limit(max));
        self.all(statement, |row| row.digest("sha256")).await
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        latest_directory(&mut self.0).await
    }

    async fn directory(&mut self, version: u64) -> Result<Option<DirectoryRow>, StoreError> {
        let statement = sqlx::query("SELECT * FROM directory WHERE version = $1").bind(big(version));
        self.one(statement, row::directory).await
    }

    async fn recipients_after(
        &mut self,
        after: Option<(DocumentUid, u32)>,
        max: usize,
    ) -> Result<Vec<RecipientRow>, StoreError> {
        let nil = DocumentUid::new(uuid::Uuid::nil());
        let (document, position) = after.map_or((nil, -1), |(document, position)| {
            (document, crate::save::int(position))
        });
        let statement = "SELECT * FROM recipient WHERE (document, position) > ($1, $2) \
             ORDER BY document, position LIMIT $3";
        let statement = sqlx::query(statement)
            .bind(Id::from(document))
            .bind(position)
            .bind(limit(max));
        self.all(statement, row::recipient).await
    }

    async fn open_without_outbox(&mut self, max: usize) -> Result<Vec<DeliveryUid>, StoreError> {
        let statement = "SELECT DISTINCT r.delivery FROM recipient AS r \
             WHERE r.state IN ('scheduled', 'forwarded') AND r.delivery IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM outbox AS o WHERE o.delivery = r.delivery) \
             ORDER BY r.delivery LIMIT $1";
        self.all(sqlx::query(statement).bind(limit(max)), |row| row.id("delivery"))
            .await
    }

    async fn kept_bodies(&mut self, after: Option<Sha256>, max: usize) -> Result<Vec<KeptBody>, StoreError> {
        let digests = self.body_digests(after, max).await?;
        kept::kept(&mut self.0, &digests).await
    }

    async fn deletions(&mut self, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, StoreError> {
        kept::deletions(&mut self.0, of).await
    }

    async fn deletions_count(&mut self) -> Result<u64, StoreError> {
        let statement = sqlx::query("SELECT count(*) AS n FROM body_deleted");
        Ok(self.one(statement, |row| row.count("n")).await?.unwrap_or(0))
    }

    async fn undeleted_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        let statement = sqlx::query(kept::UNDELETED).bind(limit(max));
        self.all(statement, |row| row.digest("sha256")).await
    }

    async fn missing_bodies(&mut self, max: usize) -> Result<Vec<Sha256>, StoreError> {
        let statement = sqlx::query(kept::MISSING).bind(limit(max));
        self.all(statement, |row| row.digest("sha256")).await
    }

    async fn accepted_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderCount>, StoreError> {
        let statement = "SELECT sender, count(*) AS documents, sum(recipients)::bigint AS recipients FROM document \
             WHERE accepted_at >= $1 AND accepted_at < $2 GROUP BY sender ORDER BY sender";
        self.all(between(statement, since, until), |row| {
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
        let statement = "SELECT d.sender, r.state, count(*) AS n FROM document AS d \
             JOIN recipient AS r ON r.document = d.uid WHERE d.accepted_at >= $1 AND d.accepted_at < $2 \
             GROUP BY d.sender, r.state ORDER BY d.sender, r.state";
        self.all(between(statement, since, until), state_count).await
    }

    async fn states_aside_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<StateCount>, StoreError> {
        // Those that ended otherwise by their own index, the open ones by their messages.
        let statement = "SELECT d.sender, r.state, count(*) AS n FROM (\
             SELECT document, state FROM recipient WHERE aside IS NOT NULL AND document >= $3 AND document < $4 \
             UNION ALL SELECT r.document, r.state FROM (SELECT DISTINCT document FROM outbox \
             WHERE awaits_taken AND outgoing = 'document' AND document >= $3 AND document < $4) AS o \
             JOIN recipient AS r ON r.document = o.document WHERE r.state IN ('scheduled', 'forwarded')) AS r \
             JOIN document AS d ON d.uid = r.document WHERE d.accepted_at >= $1 AND d.accepted_at < $2 \
             GROUP BY d.sender, r.state ORDER BY d.sender, r.state";
        // The millisecond of the end has a part before it; of the last id of all no part is left out.
        let end = until.and_then(|until| until.checked_add(SignedDuration::from_millis(1)).ok());
        let statement = between(statement, since, until)
            .bind(Id::from(
                since.map_or(DocumentUid::new(uuid::Uuid::nil()), first_id),
            ))
            .bind(Id::from(
                end.map_or(DocumentUid::new(uuid::Uuid::max()), first_id),
            ));
        self.all(statement, state_count).await
    }

    async fn refused_by_sender(
        &mut self,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Result<Vec<SenderRefusals>, StoreError> {
        let statement = "SELECT sender, count(*) AS n FROM refusal \
             WHERE refused_at >= $1 AND refused_at < $2 AND intake = $3 \
             GROUP BY sender ORDER BY sender NULLS FIRST";
        let statement = between(statement, since, until).bind(Intake::Document.as_str());
        self.all(statement, |row| {
            Ok(SenderRefusals {
                sender: row.parsed_or_null("sender")?,
                refused: row.count("n")?,
            })
        })
        .await
    }

    async fn verdicts(&mut self, period: Period) -> Result<BTreeMap<VerdictKind, u64>, StoreError> {
        let statement = "SELECT verdict_kind, count(*) AS n FROM document \
             WHERE accepted_at >= $1 AND accepted_at < $2 GROUP BY verdict_kind";
        let rows = self
            .all(between(statement, period.since, period.until), |row| {
                Ok((verdict::read(&row.text("verdict_kind")?)?, row.count("n")?))
            })
            .await?;
        Ok(sums(rows))
    }

    async fn pdfs(&mut self, period: Period) -> Result<BTreeMap<PdfKind, u64>, StoreError> {
        let statement = "SELECT accepted_at, event, pdfs FROM document \
             WHERE accepted_at >= $1 AND accepted_at < $2 AND pdfs IS NOT NULL AND (accepted_at, event) > ($3, $4) \
             ORDER BY accepted_at, event LIMIT $5";
        let mut counts = BTreeMap::new();
        // In pages: a year has more of them than should be in memory at once.
        let mut after = (i64::MIN, 0);
        loop {
            let statement = between(statement, period.since, period.until)
                .bind(after.0)
                .bind(after.1)
                .bind(limit(PAGE_MAX));
            let page = self
                .all(statement, |row| {
                    let place = (row.integer("accepted_at")?, row.integer("event")?);
                    Ok((place, row.json::<Vec<PdfSignatures>>("pdfs")?))
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
        let statement = between(statement, period.since, period.until).bind(Intake::Document.as_str());
        let rows = self
            .all(statement, |row| {
                let code = row.word("code", |word| RefusalCode::from_word(word).ok())?;
                Ok((code, row.count("n")?))
            })
            .await?;
        Ok(sums(rows))
    }
}

fn state_count(row: &PgRow) -> Result<StateCount, StoreError> {
    Ok(StateCount {
        sender: row.parsed("sender")?,
        state: row.word("state", TransportStateName::from_word)?,
        recipients: row.count("n")?,
    })
}

/// The first id of all that are made in the millisecond of `at`.
fn first_id(at: Timestamp) -> DocumentUid {
    let millis = u128::try_from(at.as_millisecond()).unwrap_or(0);
    DocumentUid::new(uuid::Uuid::from_u128(millis << 80))
}

/// What rows count alike is one.
fn sums<K: Ord>(rows: Vec<(K, u64)>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for (kind, n) in rows {
        *counts.entry(kind).or_insert(0) += n;
    }
    counts
}

fn between(
    statement: &'static str,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> Statement<'static> {
    sqlx::query(statement)
        .bind(since.map_or(i64::MIN, micros))
        .bind(until.map_or(i64::MAX, micros))
}
