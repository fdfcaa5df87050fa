//! The writing transaction.

use std::collections::HashSet;
use std::sync::Arc;

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
use truc_ledger::retention::KeptBody;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxRow, RecipientRow, RefusalRow, StatusRow, SubmissionRow,
};
use truc_ledger::store::{
    AMENDING_MAX, Choice, DeliveryOwner, InboxQueue, NumberKey, RefusalLike, SAME_DOCUMENTS_MAX,
};
use truc_ledger::{StoreError, Transaction};
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Party, Sha256, SystemId};

use crate::column::Columns as _;
use crate::fault::store_error;
use crate::fold::Fold;
use crate::{kept, limits, next, row, save, waiting};

/// Most keys in one look-up.
const KEYS_MAX: usize = 500;

pub(crate) struct SqliteTransaction {
    /// Taken out by the commit.
    connection: Option<PoolConnection<Sqlite>>,
    fold: Arc<Fold>,
    /// Bodies were deleted.
    deleted: bool,
}

impl SqliteTransaction {
    pub(crate) async fn begin(pool: &SqlitePool, fold: &Arc<Fold>) -> Result<Self, StoreError> {
        let mut transaction = Self {
            connection: Some(pool.acquire().await.map_err(store_error)?),
            fold: Arc::clone(fold),
            deleted: false,
        };
        // Takes the write lock at once: a later upgrade could fail half way, after reading.
        let db = transaction.db()?;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(db)
            .await
            .map_err(store_error)?;
        Ok(transaction)
    }

    pub(crate) fn db(&mut self) -> Result<&mut SqliteConnection, StoreError> {
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
                .fetch_all(self.db()?)
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
                .fetch_all(self.db()?)
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

pub(crate) async fn head(db: &mut SqliteConnection) -> Result<Head, StoreError> {
    let row = sqlx::query("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1")
        .fetch_optional(db)
        .await
        .map_err(store_error)?;
    row.map_or(
        Ok(Head {
            seq: 0,
            hash: GENESIS,
        }),
        |row| {
            Ok(Head {
                seq: row.count("seq")?,
                hash: row.digest("hash")?,
            })
        },
    )
}

pub(crate) async fn latest_directory(db: &mut SqliteConnection) -> Result<Option<DirectoryRow>, StoreError> {
    sqlx::query("SELECT * FROM directory ORDER BY version DESC LIMIT 1")
        .fetch_optional(db)
        .await
        .map_err(store_error)?
        .as_ref()
        .map(row::directory)
        .transpose()
}

/// Events of a kind that are about no document, below a number, newest first.
pub(crate) async fn of_hub(
    db: &mut SqliteConnection,
    kind: EventKind,
    before: Option<u64>,
    max: usize,
) -> Result<Vec<EventRow>, StoreError> {
    let before = before.and_then(|before| i64::try_from(before).ok());
    let statement = "SELECT * FROM event WHERE document IS NULL AND kind = $1 AND seq < $2 \
         ORDER BY seq DESC LIMIT $3";
    let rows = sqlx::query(statement)
        .bind(kind.as_str())
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit(max))
        .fetch_all(db)
        .await
        .map_err(store_error)?;
    rows.iter().map(row::event).collect()
}

fn keys<T>(of: &[T], columns: impl Fn(&T) -> Value) -> Vec<Value> {
    of.iter().map(columns).collect()
}

#[async_trait]
impl Transaction for SqliteTransaction {
    async fn head(&mut self) -> Result<Head, StoreError> {
        head(self.db()?).await
    }

    async fn submissions(&mut self, of: &[SubmissionKey]) -> Result<Vec<SubmissionRow>, StoreError> {
        let keys = keys(of, |key| json!([key.system, key.message_id]));
        let statement = "SELECT s.* FROM json_each($1) AS k JOIN submission AS s \
             ON s.system = k.value->>0 AND s.message_id = k.value->>1";
        self.look_up(statement, keys, row::submission).await
    }

    async fn refusals(&mut self, like: &[RefusalLike]) -> Result<Vec<RefusalRow>, StoreError> {
        let keys = keys(like, |like| {
            let system = like.system.as_ref().map_or("", |system| system.as_str());
            let message_id = like.message_id.map_or_else(String::new, |id| id.to_string());
            json!([system, message_id, like.sha256])
        });
        let statement = "SELECT r.* FROM json_each($1) AS k JOIN refusal AS r \
             ON r.system = k.value->>0 AND r.message_id = k.value->>1 AND r.sha256 = unhex(k.value->>2)";
        self.look_up(statement, keys, row::refusal).await
    }

    async fn documents_by_identity(
        &mut self,
        of: &[DocumentIdentity],
    ) -> Result<Vec<DocumentRow>, StoreError> {
        let keys = keys(of, |identity| json!([identity.sender, identity.document_id]));
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
        let keys = keys(of, |key| json!([key.sender, key.number]));
        let statement = "SELECT d.* FROM json_each($1) AS k JOIN document AS d ON d.event IN \
             (SELECT event FROM document WHERE sender = k.value->>0 AND number = k.value->>1 \
             ORDER BY held, event DESC LIMIT $2)";
        self.look_up_some(statement, keys, SAME_DOCUMENTS_MAX, row::document)
            .await
    }

    async fn documents(&mut self, uids: &[DocumentUid]) -> Result<Vec<DocumentRow>, StoreError> {
        let statement = "SELECT * FROM document WHERE uid IN (SELECT value FROM json_each($1))";
        self.look_up(statement, keys(uids, |uid| json!(uid)), row::document)
            .await
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
        let statement = "SELECT * FROM recipient WHERE document IN (SELECT value FROM json_each($1)) \
             ORDER BY document, position";
        self.look_up(statement, keys(documents, |uid| json!(uid)), row::recipient)
            .await
    }

    async fn statuses_of(&mut self, documents: &[DocumentUid]) -> Result<Vec<StatusRow>, StoreError> {
        let statement = "SELECT * FROM status WHERE document IN (SELECT value FROM json_each($1)) \
             ORDER BY document, event";
        self.look_up(statement, keys(documents, |uid| json!(uid)), row::status)
            .await
    }

    async fn outbox(&mut self, deliveries: &[DeliveryUid]) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE delivery IN (SELECT value FROM json_each($1))";
        self.look_up(statement, keys(deliveries, |uid| json!(uid)), row::outbox)
            .await
    }

    async fn delivery_owners(&mut self, of: &[DeliveryUid]) -> Result<Vec<DeliveryOwner>, StoreError> {
        let statement = "SELECT DISTINCT r.delivery, r.system, r.document, 0 AS is_status FROM json_each($1) AS k \
             JOIN recipient AS r ON r.delivery = k.value WHERE r.system IS NOT NULL \
             UNION ALL SELECT s.delivery, s.to_system, s.document, 1 FROM json_each($1) AS k \
             JOIN status AS s ON s.delivery = k.value WHERE s.to_system IS NOT NULL";
        self.look_up(statement, keys(of, |uid| json!(uid)), |row| {
            Ok(DeliveryOwner {
                delivery: row.parsed("delivery")?,
                system: row.parsed("system")?,
                document: row.parsed("document")?,
                is_status: row.flag("is_status")?,
            })
        })
        .await
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
            .fetch_all(self.db()?)
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
        next::next_out(self.db()?, choice).await
    }

    async fn answers_but(
        &mut self,
        now: Timestamp,
        max: usize,
        resting: &[SystemId],
    ) -> Result<Vec<OutboxRow>, StoreError> {
        if resting.is_empty() {
            return self.waiting_answers(now, max).await;
        }
        let statement = "SELECT * FROM outbox INDEXED BY outbox_answers WHERE awaits_taken = 0 AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             AND system NOT IN (SELECT value FROM json_each($3)) ORDER BY event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(now.as_microsecond())
            .bind(limit(max))
            .bind(json!(resting).to_string())
            .fetch_all(self.db()?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn waiting_answers(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        // Named, because the planner would rather read all answers and sort them.
        let statement = "SELECT * FROM outbox INDEXED BY outbox_answers WHERE awaits_taken = 0 AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             ORDER BY event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(now.as_microsecond())
            .bind(limit(max))
            .fetch_all(self.db()?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn waiting_orders(&mut self, now: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox INDEXED BY outbox_orders WHERE awaits_taken = 1 AND priority = 5 \
             AND recalled = 0 AND \
             (place = 'waiting' AND (moment IS NULL OR moment <= $1) OR place = 'leased' AND moment <= $1) \
             ORDER BY event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(now.as_microsecond())
            .bind(limit(max))
            .fetch_all(self.db()?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn not_taken(&mut self, before: Timestamp, max: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let statement = "SELECT * FROM outbox WHERE place = 'forwarded' AND moment < $1 AND alerted = 0 AND recalled = 0 \
             ORDER BY moment, event, line LIMIT $2";
        let rows = sqlx::query(statement)
            .bind(before.as_microsecond())
            .bind(limit(max))
            .fetch_all(self.db()?)
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
            .fetch_all(self.db()?)
            .await
            .map_err(store_error)?;
        rows.iter().map(row::outbox).collect()
    }

    async fn waiting_for(
        &mut self,
        parties: &[Party],
        max: usize,
    ) -> Result<Vec<(DocumentUid, u32)>, StoreError> {
        waiting::waiting_for(self.db()?, parties, max).await
    }

    async fn bodies(&mut self, of: &[Sha256]) -> Result<Vec<(Sha256, Body)>, StoreError> {
        let statement =
            "SELECT b.sha256, b.bytes FROM json_each($1) AS k JOIN body AS b ON b.sha256 = unhex(k.value)";
        let mut found = self
            .look_up(statement, keys(of, |sha256| json!(sha256)), |row| {
                Ok((row.digest("sha256")?, Body::from(row.bytes("bytes")?)))
            })
            .await?;
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

    async fn kept_apart(&mut self, of: &[Sha256]) -> Result<Vec<Sha256>, StoreError> {
        self.look_up(kept::APART, keys(of, |sha256| json!(sha256)), |row| {
            row.digest("sha256")
        })
        .await
    }

    async fn kept_bodies_of(&mut self, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
        kept::kept(self.db()?, of).await
    }

    async fn limits(&mut self, keys: &[LimitKey]) -> Result<Vec<LimitRow>, StoreError> {
        limits::of(self.db()?, keys).await
    }

    async fn release_leases(&mut self, owner: &HubId) -> Result<u64, StoreError> {
        let statement = "UPDATE outbox SET place = 'waiting', moment = NULL, owner = NULL \
             WHERE place = 'leased' AND owner = $1";
        let done = sqlx::query(statement)
            .bind(owner.as_str())
            .execute(self.db()?)
            .await
            .map_err(store_error)?;
        Ok(done.rows_affected())
    }

    async fn latest_directory(&mut self) -> Result<Option<DirectoryRow>, StoreError> {
        latest_directory(self.db()?).await
    }

    async fn latest_of_hub(&mut self, kind: EventKind) -> Result<Option<EventRow>, StoreError> {
        Ok(of_hub(self.db()?, kind, None, 1).await?.pop())
    }

    async fn save(&mut self, changes: &Changes) -> Result<(), StoreError> {
        self.deleted |= !changes.bodies_deleted.is_empty();
        save::save(self.db()?, changes).await
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        sqlx::query("COMMIT")
            .execute(self.db()?)
            .await
            .map_err(store_error)?;
        let (fold, deleted) = (Arc::clone(&self.fold), self.deleted);
        // The commit stands whatever happens here; a connection that is not as it was is closed, see `drop`.
        if let Err(error) = fold.after_commit(self.db()?, deleted).await {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(error = %error, ?cause, "the write-ahead log was not folded, it is tried again");
            return Ok(());
        }
        // Only now may the connection be used again; after a failure it is closed, see `drop`.
        self.connection.take();
        Ok(())
    }
}

impl SqliteTransaction {
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
            .fetch_all(self.db()?)
            .await
            .map_err(store_error)?;
        let mut rows: Vec<OutboxRow> = rows.iter().map(row::outbox).collect::<Result<_, _>>()?;
        rows.sort_by_key(OutboxRow::order);
        rows.truncate(max);
        Ok(rows)
    }
}
