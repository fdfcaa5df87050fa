//! The writing transaction.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection, SqlitePool};
use truc_ledger::body::Body;
use truc_ledger::command::{HubId, SubmissionKey};
use truc_ledger::event::{EventKind, EventRow, GENESIS, Head};
use truc_ledger::limit::{LimitKey, LimitRow};
use truc_ledger::recent::{ALL_MESSAGES_MAX, Recent, at_hand, pending};
use truc_ledger::retention::KeptBody;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
};
use truc_ledger::store::{
    AMENDING_MAX, Choice, DeliveryOwner, InboxQueue, NumberKey, RefusalLike, SAME_DOCUMENTS_MAX, Seen, Sought,
};
use truc_ledger::{Flush, StoreError, Transaction};
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Party, Sha256, SystemId};

use crate::column::Columns as _;
use crate::ends::{latest_directory, of_hub};
use crate::fault::store_error;
use crate::flush::Flusher;
use crate::fold::Fold;
use crate::next::Fronts;
use crate::{kept, limits, next, row, save, waiting};

/// Most keys in one look-up.
const KEYS_MAX: usize = 500;

pub(crate) struct SqliteTransaction {
    /// Taken out by the commit.
    connection: Option<PoolConnection<Sqlite>>,
    shared: Arc<Shared>,
    head: Head,
    /// Taken from [`Shared`] and given back with the commit.
    recent: Recent,
    /// Saved and not written yet: see [`Self::db`].
    pending: Option<Changes>,
    /// Digests of which no body is kept; `None`: it was not looked for any.
    new_bodies: Option<BTreeSet<Sha256>>,
    /// What a claim has seen of what can go out. Nothing was saved since.
    pub(crate) fronts: Option<Arc<Fronts>>,
    /// Bodies were deleted.
    deleted: bool,
}

/// What the transactions of a store have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// `None`: commits are not flushed one by one.
    flusher: Option<Flusher>,
    fold: Fold,
    pub(crate) recent: Mutex<Recent>,
    /// How many connections were opened for writing: the number of the present one.
    pub(crate) connections: AtomicU64,
}

/// Begins, and reads in the same trip what every transaction needs. The write lock is taken at once: a later
/// upgrade could fail half way, after reading.
const BEGIN: &str = "BEGIN IMMEDIATE; \
     SELECT v.data_version, e.seq, e.hash FROM pragma_data_version AS v \
     LEFT JOIN (SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1) AS e";

impl Shared {
    pub(crate) fn new(flusher: Option<Flusher>) -> Self {
        Self {
            flusher,
            ..Self::default()
        }
    }

    pub(crate) const fn flusher(&self) -> Option<&Flusher> {
        self.flusher.as_ref()
    }
}

impl SqliteTransaction {
    pub(crate) async fn begin(pool: &SqlitePool, shared: &Arc<Shared>) -> Result<Self, StoreError> {
        let mut transaction = Self {
            connection: Some(pool.acquire().await.map_err(store_error)?),
            shared: Arc::clone(shared),
            head: Head {
                seq: 0,
                hash: GENESIS,
            },
            recent: Recent::default(),
            pending: None,
            new_bodies: None,
            fronts: None,
            deleted: false,
        };
        if let Some(flusher) = shared.flusher() {
            flusher.mend(transaction.connection()?).await?;
        }
        let row = sqlx::query(BEGIN)
            .fetch_one(transaction.connection()?)
            .await
            .map_err(store_error)?;
        if let Some(seq) = row.count_or_null("seq")? {
            let hash = row.digest("hash")?;
            transaction.head = Head { seq, hash };
        }
        let recent = shared
            .recent
            .lock()
            .map(|mut recent| std::mem::take(&mut *recent));
        transaction.recent = recent.unwrap_or_default();
        let connection = shared.connections.load(Ordering::Relaxed);
        let version = row.integer("data_version")?;
        transaction.recent.must_be_good_for(connection, version);
        Ok(transaction)
    }

    /// Has all messages at hand from now on, when that is worth while and they are few enough.
    async fn know_all_messages(&mut self) -> Result<(), StoreError> {
        if !self.recent.wants_all_messages() {
            return Ok(());
        }
        let few = ALL_MESSAGES_MAX as u64;
        let row = sqlx::query("SELECT count(*) AS count FROM (SELECT 1 FROM outbox LIMIT $1)")
            .bind(limit(ALL_MESSAGES_MAX + 1))
            .fetch_one(self.db().await?)
            .await
            .map_err(store_error)?;
        let count: u64 = row.count("count")?;
        let rows = if count <= few {
            let rows = sqlx::query("SELECT * FROM outbox ORDER BY rowid DESC LIMIT $1")
                .bind(limit(ALL_MESSAGES_MAX))
                .fetch_all(self.db().await?)
                .await
                .map_err(store_error)?;
            // The oldest first, as they came.
            Some(rows.iter().rev().map(row::outbox).collect::<Result<_, _>>()?)
        } else {
            None
        };
        self.recent.has_all_messages(rows);
        Ok(())
    }

    /// The connection, with all that was saved in the tables.
    pub(crate) async fn db(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        if let Some(changes) = self.pending.take() {
            save::save(self.connection()?, &changes).await?;
        }
        self.connection()
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        let connection = self.connection.as_deref_mut();
        connection.ok_or_else(|| StoreError::Backend("the transaction has ended".into()))
    }

    /// Looks rows up by many keys; the statement finds them in `json_each($1)`.
    pub(crate) async fn look_up<T>(
        &mut self,
        statement: &'static str,
        keys: Vec<Value>,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for part in keys.chunks(KEYS_MAX) {
            let part = Value::Array(part.to_vec()).to_string();
            let rows = sqlx::query(statement)
                .bind(part)
                .fetch_all(self.db().await?)
                .await
                .map_err(store_error)?;
            for row in &rows {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }

    /// As [`Self::look_up`], with a limit for each key.
    async fn look_up_some<T>(
        &mut self,
        statement: &'static str,
        keys: Vec<Value>,
        each_max: usize,
        read: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        for part in keys.chunks(KEYS_MAX) {
            let part = Value::Array(part.to_vec()).to_string();
            let rows = sqlx::query(statement)
                .bind(part)
                .bind(limit(each_max))
                .fetch_all(self.db().await?)
                .await
                .map_err(store_error)?;
            for row in &rows {
                found.push(read(row)?);
            }
        }
        Ok(found)
    }
}

impl Drop for SqliteTransaction {
    fn drop(&mut self) {
        // Not committed: closing the connection rolls back, whatever state an error left it in.
        if let Some(connection) = &mut self.connection {
            connection.close_on_drop();
        }
    }
}

pub(crate) fn limit(max: usize) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn keys<T>(of: &[T], columns: impl Fn(&T) -> Value) -> Vec<Value> {
    of.iter().map(columns).collect()
}

/// Nearly every document is new in every way: one look says so. The digest alone is more than asked for.
pub(crate) const SEEN: &str = "SELECT \
     EXISTS (SELECT 1 FROM jsonb_each($1) AS k JOIN submission AS s \
     ON s.system = k.value->>0 AND s.message_id = k.value->>1) AS submissions, \
     EXISTS (SELECT 1 FROM jsonb_each($2) AS k JOIN refusal AS r ON r.system = k.value->>0 \
     AND r.message_id = k.value->>1 AND r.sha256 = unhex(k.value->>2)) AS refusals, \
     EXISTS (SELECT 1 FROM jsonb_each($3) AS k JOIN document AS d \
     ON d.sender = k.value->>0 AND d.document_id = k.value->>1) AS identities, \
     EXISTS (SELECT 1 FROM jsonb_each($4) AS k JOIN document AS d ON d.sha256 = unhex(k.value->>0)) AS digests, \
     EXISTS (SELECT 1 FROM jsonb_each($5) AS k JOIN document AS d \
     ON d.sender = k.value->>0 AND d.number = k.value->>1) AS numbers, \
     EXISTS (SELECT 1 FROM jsonb_each($4) AS k JOIN body AS b ON b.sha256 = unhex(k.value->>0)) \
     OR EXISTS (SELECT 1 FROM jsonb_each($4) AS k JOIN body_apart AS b ON b.sha256 = unhex(k.value->>0)) AS bodies";

fn submission_key(key: &SubmissionKey) -> Value {
    json!([key.system, key.message_id])
}

fn refusal_key(like: &RefusalLike) -> Value {
    let system = like.system.as_ref().map_or("", |system| system.as_str());
    let message_id = like.message_id.map_or_else(String::new, |id| id.to_string());
    json!([system, message_id, like.sha256])
}

fn identity_key(identity: &DocumentIdentity) -> Value {
    json!([identity.sender, identity.document_id])
}

fn number_key(key: &NumberKey) -> Value {
    json!([key.sender, key.number])
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn head(&mut self) -> Result<Head, StoreError> {
        Ok(self.head)
    }

    async fn seen(&mut self, sought: &Sought) -> Result<Seen, StoreError> {
        let of = |sought: Vec<Value>| Value::Array(sought).to_string();
        let row = sqlx::query(SEEN)
            .bind(of(keys(&sought.submissions, submission_key)))
            .bind(of(keys(&sought.refusals, refusal_key)))
            .bind(of(keys(&sought.identities, identity_key)))
            .bind(of(keys(&sought.digests, |(_, sha256)| json!([sha256]))))
            .bind(of(keys(&sought.numbers, number_key)))
            .fetch_one(self.db().await?)
            .await
            .map_err(store_error)?;
        if !row.flag("bodies")? {
            self.new_bodies = Some(sought.digests.iter().map(|(_, sha256)| *sha256).collect());
        }
        Ok(Seen {
            submissions: row.flag("submissions")?,
            refusals: row.flag("refusals")?,
            identities: row.flag("identities")?,
            digests: row.flag("digests")?,
            numbers: row.flag("numbers")?,
        })
    }

    async fn submissions(&mut self, of: &[SubmissionKey]) -> Result<Vec<SubmissionRow>, StoreError> {
        let keys = keys(of, submission_key);
        let statement = "SELECT s.* FROM json_each($1) AS k JOIN submission AS s \
             ON s.system = k.value->>0 AND s.message_id = k.value->>1";
        self.look_up(statement, keys, row::submission).await
    }

    async fn refusals(&mut self, like: &[RefusalLike]) -> Result<Vec<RefusalRow>, StoreError> {
        let keys = keys(like, refusal_key);
        let statement = "SELECT r.* FROM json_each($1) AS k JOIN refusal AS r \
             ON r.system = k.value->>0 AND r.message_id = k.value->>1 AND r.sha256 = unhex(k.value->>2)";
        self.look_up(statement, keys, row::refusal).await
    }

    async fn documents_by_identity(
        &mut self,
        of: &[DocumentIdentity],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let keys = keys(of, identity_key);
        let statement = "SELECT d.* FROM json_each($1) AS k JOIN document AS d ON d.event IN \
             (SELECT event FROM document WHERE sender = k.value->>0 AND document_id = k.value->>1 \
             ORDER BY held, event LIMIT $2)";
        self.look_up_some(statement, keys, SAME_DOCUMENTS_MAX, row::document)
            .await
    }

    async fn documents_by_digest(
        &mut self,
        of: &[(DocumentIdentity, Sha256)],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let keys = keys(of, |(identity, sha256)| {
            json!([sha256, identity.sender, identity.document_id])
        });
        // The plus signs keep the planner to the digest's index: an identity may have very many documents.
        let statement = "SELECT d.* FROM json_each($1) AS k JOIN document AS d ON d.sha256 = unhex(k.value->>0) \
             AND +d.sender = k.value->>1 AND +d.document_id = k.value->>2";
        self.look_up(statement, keys, row::document).await
    }

    async fn documents_by_number(&mut self, of: &[NumberKey]) -> Result<Vec<DocumentRow>, StoreError> {
        let keys = keys(of, number_key);
        let statement = "SELECT d.* FROM json_each($1) AS k JOIN document AS d ON d.event IN \
             (SELECT event FROM document WHERE sender = k.value->>0 AND number = k.value->>1 \
             ORDER BY held, event DESC LIMIT $2)";
        self.look_up_some(statement, keys, SAME_DOCUMENTS_MAX, row::document)
            .await
    }

    async fn documents(&mut self, uids: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let (mut found, elsewhere) = at_hand(uids, |uid| self.recent.document(uid).cloned());
        let statement = "SELECT * FROM document WHERE uid IN (SELECT value FROM json_each($1))";
        let keys = keys(&elsewhere, |uid| json!(uid));
        found.extend(self.look_up(statement, keys, row::document).await?);
        Ok(found)
    }

    async fn amending(&mut self, of: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let statement = "SELECT d.* FROM json_each($1) AS k JOIN document AS d ON d.event IN \
             (SELECT event FROM document WHERE amends = k.value ORDER BY event LIMIT $2)";
        let keys = keys(of, |uid| json!(uid));
        self.look_up_some(statement, keys, AMENDING_MAX, row::document)
            .await
    }

    async fn known_ids(&mut self, of: &[String]) -> Result<Vec<String>, StoreError> {
        let statement = "SELECT k.value AS id FROM json_each($1) AS k \
             WHERE EXISTS (SELECT 1 FROM document WHERE document_id = k.value)";
        self.look_up(statement, keys(of, |id| json!(id)), |row| row.text("id"))
            .await
    }

    async fn recipients_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let (found, elsewhere) = at_hand(documents, |uid| self.recent.recipients(uid).map(<[_]>::to_vec));
        let mut found: Vec<RecipientRow> = found.into_iter().flatten().collect();
        let statement = "SELECT * FROM recipient WHERE document IN (SELECT value FROM json_each($1)) \
             ORDER BY document, position";
        let keys = keys(&elsewhere, |uid| json!(uid));
        found.extend(self.look_up(statement, keys, row::recipient).await?);
        Ok(found)
    }

    async fn recipients_by_delivery(&mut self, of: &[DeliveryUid]) -> Result<Vec<RecipientRow>, StoreError> {
        let (found, elsewhere) = at_hand(of, |delivery| {
            let rows = self.recent.recipients_by_delivery(delivery)?;
            Some(rows.cloned().collect::<Vec<_>>())
        });
        let mut found: Vec<RecipientRow> = found.into_iter().flatten().collect();
        let statement = "SELECT r.* FROM json_each($1) AS k JOIN recipient AS r ON r.delivery = k.value";
        let keys = keys(&elsewhere, |uid| json!(uid));
        found.extend(self.look_up(statement, keys, row::recipient).await?);
        Ok(found)
    }

    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<StatusRow>, StoreError> {
        let statement = "SELECT * FROM status WHERE document IN (SELECT value FROM json_each($1)) \
             ORDER BY document, event";
        self.look_up(statement, keys(documents, |uid| json!(uid)), row::status)
            .await
    }

    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError> {
        let (mut found, elsewhere) = at_hand(deliveries, |uid| self.recent.message(uid).cloned());
        let statement = "SELECT * FROM outbox WHERE delivery IN (SELECT value FROM json_each($1))";
        let keys = keys(&elsewhere, |uid| json!(uid));
        found.extend(self.look_up(statement, keys, row::outbox).await?);
        Ok(found)
    }

    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Result<Vec<DeliveryOwner>, StoreError> {
        let statement = "SELECT DISTINCT r.delivery, r.system, r.document, 0 AS is_status FROM json_each($1) AS k \
             JOIN recipient AS r ON r.delivery = k.value WHERE r.system IS NOT NULL \
             UNION ALL SELECT s.delivery, s.to_system, s.document, 1 FROM json_each($1) AS k \
             JOIN status AS s ON s.delivery = k.value WHERE s.to_system IS NOT NULL";
        let (mut found, elsewhere) = at_hand(of, |delivery| self.recent.owner(delivery));
        let read = self.look_up(statement, keys(&elsewhere, |uid| json!(uid)), |row| {
            Ok(DeliveryOwner {
                delivery: row.parsed("delivery")?,
                system: row.parsed("system")?,
                document: row.parsed("document")?,
                is_status: row.flag("is_status")?,
            })
        });
        found.extend(read.await?);
        Ok(found)
    }

    async fn inbox_queues(
        &mut self,
        now: Timestamp,
        room: usize,
        max: usize,
    ) -> Result<Vec<InboxQueue>, StoreError> {
        let statement = "SELECT s.system, (SELECT count(*) FROM outbox AS o WHERE o.awaits_taken = 1 \
             AND o.place <> 'waiting' AND o.system = s.system AND (o.place = 'forwarded' OR o.moment > $1)) AS in_inbox \
             FROM (SELECT DISTINCT system FROM outbox WHERE awaits_taken = 1) AS s";
        let rows = sqlx::query(statement)
            .bind(now.as_microsecond())
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        let mut queues = Vec::new();
        for row in &rows {
            let mut queue = InboxQueue {
                system: row.parsed("system")?,
                in_inbox: row.count("in_inbox")?,
                waiting: Vec::new(),
            };
            let inside = usize::try_from(queue.in_inbox).unwrap_or(usize::MAX);
            let wanted = room.saturating_sub(inside).min(max);
            if wanted > 0 {
                queue.waiting = self.waiting(now, queue.system.as_str(), wanted).await?;
            }
            if !queue.waiting.is_empty() {
                queues.push(queue);
            }
        }
        Ok(queues)
    }

    async fn next_out(&mut self, choice: &Choice<'_>) -> Result<Vec<OutboxRow>, StoreError> {
        self.know_all_messages().await?;
        match self.recent.next_out(choice) {
            Some(rows) => Ok(rows),
            None => next::next_out(self, choice).await,
        }
    }

    async fn answers_but(
        &mut self,
        now: Timestamp,
        max: usize,
        resting: &[SystemId],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        self.know_all_messages().await?;
        if let Some(rows) = self.recent.answers_but(now, max, resting) {
            return Ok(rows);
        }
        let fronts = next::fronts(self, now, max, resting).await?;
        self.by_event(&fronts.answers).await
    }

    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.answers_but(now, max, &[]).await
    }

    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.know_all_messages().await?;
        if let Some(rows) = self.recent.waiting_orders(now, max) {
            return Ok(rows);
        }
        let fronts = next::fronts_looked_at(self, now, max).await?;
        self.by_event(&fronts.orders).await
    }

    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE place = 'forwarded' AND moment < $1 AND alerted = 0 AND recalled = 0 \
             ORDER BY moment, event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(before.as_microsecond())
            .bind(limit(max))
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn forwarded_to(&mut self, system: &SystemId, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE awaits_taken = 1 AND place <> 'waiting' AND system = $1 AND place = 'forwarded' \
             AND recalled = 0 ORDER BY moment, event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(system.as_str())
            .bind(limit(max))
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn waiting_for(
        &mut self,
        parties: &[Party],
        max: usize,
    ) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
        waiting::waiting_for(self.db().await?, parties, max).await
    }

    async fn bodies(&mut self, of: &[Sha256]) -> Result<Vec<(Sha256, Body)>, StoreError> {
        let (mut found, elsewhere) = at_hand(of, |sha256| Some((sha256, self.recent.body(sha256)?)));
        let statement =
            "SELECT b.sha256, b.bytes FROM json_each($1) AS k JOIN body AS b ON b.sha256 = unhex(k.value)";
        let read = self.look_up(statement, keys(&elsewhere, |sha256| json!(sha256)), |row| {
            Ok((row.digest("sha256")?, Body::from(row.bytes("bytes")?)))
        });
        found.extend(read.await?);
        if found.len() < of.len() {
            let here: HashSet<Sha256> = found.iter().map(|(sha256, _)| *sha256).collect();
            let others: Vec<Sha256> = of
                .iter()
                .copied()
                .filter(|sha256| !here.contains(sha256))
                .collect();
            let statement = "SELECT a.sha256, a.size FROM json_each($1) AS k \
                 JOIN body_apart AS a ON a.sha256 = unhex(k.value) AND a.leaving IS NULL";
            let apart = self.look_up(statement, keys(&others, |sha256| json!(sha256)), |row| {
                let size = row.count("size")?;
                Ok((row.digest("sha256")?, Body::Apart { size }))
            });
            found.extend(apart.await?);
        }
        Ok(found)
    }

    fn has_at_hand(&self, body: Sha256) -> bool {
        self.recent.body(body).is_some()
    }

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        self.look_up(kept::APART, keys(of, |sha256| json!(sha256)), |row| {
            row.digest("sha256")
        })
        .await
    }

    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
        kept::kept(self.db().await?, of).await
    }

    async fn limits(&mut self, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
        limits::of(self.db().await?, keys).await
    }

    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError> {
        let statement = "UPDATE outbox SET place = 'waiting', moment = NULL, owner = NULL \
             WHERE place = 'leased' AND owner = $1";
        self.recent.forget();
        self.fronts = None;
        let done = sqlx::query(statement)
            .bind(owner.as_str())
            .execute(self.db().await?)
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected())
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        latest_directory(self.db().await?).await
    }

    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError> {
        Ok(of_hub(self.db().await?, kind, None, 1).await?.pop())
    }

    async fn save(&mut self, changes: Changes) -> Result<(), StoreError> {
        self.deleted |= !changes.bodies_deleted.is_empty();
        self.fronts = None;
        if let Some(last) = changes.events.last() {
            self.head = Head {
                seq: last.seq,
                hash: last.hash,
            };
        }
        if let Some(pending) = &mut self.pending
            && pending::moves_messages_alone(&changes)
        {
            self.recent.follow(&changes, false);
            pending::add(pending, changes);
            return Ok(());
        }
        let is_new = |(sha256, body): &(Sha256, Body)| {
            let new = self.new_bodies.as_ref();
            body.here().is_some() && new.is_some_and(|new| new.contains(sha256))
        };
        let all_new = changes.bodies.iter().all(is_new);
        let db = self.db().await?;
        if all_new {
            self.recent.follow(&changes, true);
            self.pending = Some(changes);
        } else {
            let bodies_are_new = save::save(db, &changes).await?;
            self.recent.follow(&changes, bodies_are_new);
        }
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.commit_ahead().await?.done().await
    }

    async fn commit_ahead(mut self: Box<Self>) -> Result<Flush, StoreError> {
        sqlx::query("COMMIT")
            .execute(self.db().await?)
            .await
            .map_err(store_error)?;
        let (shared, deleted) = (Arc::clone(&self.shared), self.deleted);
        if let Ok(mut recent) = shared.recent.lock() {
            *recent = std::mem::take(&mut self.recent);
        }
        let flush = shared.flusher().map_or(Flush::there(), Flusher::flush);
        // The commit stands whatever happens here; a connection that is not as it was is closed, see `drop`.
        if let Err(error) = shared.fold.after_commit(self.db().await?, deleted).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(error = %error, ?cause, "the write-ahead log was not folded, it is tried again");
            return Ok(flush);
        }
        // Only now may the connection be used again; after a failure it is closed, see `drop`.
        self.connection.take();
        Ok(flush)
    }
}

impl SqliteTransaction {
    /// These messages, by the event that brought them.
    async fn by_event(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = self.outbox(deliveries).await?;
        rows.sort_by_key(|row| (row.event, row.line));
        Ok(rows)
    }

    /// What can be claimed for one inbox, most urgent first, then oldest.
    async fn waiting(
        &mut self,
        now: Timestamp,
        system: &str,
        max: usize,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM (SELECT * FROM outbox WHERE awaits_taken = 1 AND system = $2 AND recalled = 0 \
             AND place = 'waiting' AND (moment IS NULL OR moment <= $1) ORDER BY priority DESC, event, line LIMIT $3) \
             UNION ALL SELECT * FROM (SELECT * FROM outbox WHERE awaits_taken = 1 AND place <> 'waiting' AND system = $2 \
             AND recalled = 0 AND place = 'leased' AND moment <= $1 ORDER BY priority DESC, event, line LIMIT $3)";
        let rows = sqlx::query(statement)
            .bind(now.as_microsecond())
            .bind(system)
            .bind(limit(max))
            .fetch_all(self.db().await?)
            .await
            .map_err(store_error)?;
        let mut rows: Vec<OutboxRow> = rows.iter().map(row::outbox).collect::<Result<_, _>>()?;
        rows.sort_by_key(OutboxRow::order);
        rows.truncate(max);
        Ok(rows)
    }
}
