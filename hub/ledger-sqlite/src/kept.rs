//! Bodies: those that are kept, with everything that names them, and those that went.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqliteConnection};
use truc_ledger::StoreError;
use truc_ledger::body::{BodyPlace, LeavingBody};
use truc_ledger::retention::{BodyDeletedRow, DeletionCause, KeptBody, KeptDocument, KeptStatus};
use truc_ledger::rows::RecipientRow;
use truc_model::{DocumentUid, Sha256};

use crate::column::{Columns as _, damaged};
use crate::fault::store_error;
use crate::row;

/// Most bodies looked at in one statement.
const DIGESTS_MAX: usize = 500;

const SIZES: &str = "SELECT b.sha256, length(b.bytes) AS size, 0 AS apart FROM json_each($1) AS k \
     JOIN body AS b ON b.sha256 = unhex(k.value) \
     UNION ALL SELECT a.sha256, a.size, 1 FROM json_each($1) AS k \
     JOIN body_apart AS a ON a.sha256 = unhex(k.value) AND a.leaving IS NULL";

/// A document whose packet has to go out or to be taken is not finished, whatever its recipients' states say.
const DOCUMENTS: &str = "SELECT d.sha256, d.uid, d.accepted_at, \
     coalesce(json_array_length(d.facts, '$.attachments'), 0) > 0 AS attachments, \
     EXISTS (SELECT 1 FROM outbox AS o WHERE o.document = d.uid AND o.outgoing = 'document') AS goes_out \
     FROM json_each($1) AS k JOIN document AS d ON d.sha256 = unhex(k.value) ORDER BY d.event";

const RECIPIENTS: &str = "SELECT * FROM recipient WHERE document IN (SELECT value FROM json_each($1))";

const STATUSES: &str = "SELECT s.sha256, s.accepted_at, \
     EXISTS (SELECT 1 FROM outbox AS o WHERE o.delivery = s.delivery) AS open \
     FROM json_each($1) AS k JOIN status AS s ON s.sha256 = unhex(k.value) ORDER BY s.event";

const REFUSALS: &str = "SELECT r.sha256, r.refused_at FROM json_each($1) AS k \
     JOIN refusal AS r ON r.sha256 = unhex(k.value) AND r.body_kept = 1 ORDER BY r.refused_at";

/// These bodies, as far as they are kept.
pub(crate) async fn kept(db: &mut SqliteConnection, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
    let mut found = BTreeMap::new();
    for part in of.chunks(DIGESTS_MAX) {
        let part = json!(part).to_string();
        for row in rows(db, SIZES, &part).await? {
            let sha256 = row.digest("sha256")?;
            let kept = KeptBody {
                sha256,
                size: row.count("size")?,
                place: if row.flag("apart")? {
                    BodyPlace::Apart
                } else {
                    BodyPlace::Here
                },
                documents: Vec::new(),
                statuses: Vec::new(),
                refused_at: Vec::new(),
            };
            found.insert(sha256, kept);
        }
        documents(db, &part, &mut found).await?;
        for row in rows(db, STATUSES, &part).await? {
            if let Some(kept) = found.get_mut(&row.digest("sha256")?) {
                kept.statuses.push(KeptStatus {
                    accepted_at: row.time("accepted_at")?,
                    open: row.flag("open")?,
                });
            }
        }
        for row in rows(db, REFUSALS, &part).await? {
            if let Some(kept) = found.get_mut(&row.digest("sha256")?) {
                kept.refused_at.push(row.time("refused_at")?);
            }
        }
    }
    Ok(found.into_values().collect())
}

async fn documents(
    db: &mut SqliteConnection,
    digests: &str,
    found: &mut BTreeMap<Sha256, KeptBody>,
) -> Result<(), StoreError> {
    let named = rows(db, DOCUMENTS, digests).await?;
    let uids: Vec<Value> = named
        .iter()
        .map(|row| row.text("uid").map(Value::from))
        .collect::<Result<_, _>>()?;
    let mut recipients: HashMap<DocumentUid, Vec<RecipientRow>> = HashMap::new();
    for part in uids.chunks(DIGESTS_MAX) {
        for row in rows(db, RECIPIENTS, &Value::Array(part.to_vec()).to_string()).await? {
            let row = row::recipient(&row)?;
            recipients.entry(row.document).or_default().push(row);
        }
    }
    for row in named {
        let uid: DocumentUid = row.parsed("uid")?;
        let accepted_at = row.time("accepted_at")?;
        let goes_out = row.flag("goes_out")?;
        let finished = KeptDocument::finished_at(accepted_at, recipients.get(&uid).into_iter().flatten());
        if let Some(kept) = found.get_mut(&row.digest("sha256")?) {
            kept.documents.push(KeptDocument {
                uid,
                accepted_at,
                attachments: row.flag("attachments")?,
                finished_at: finished.filter(|_| !goes_out),
            });
        }
    }
    Ok(())
}

async fn rows(
    db: &mut SqliteConnection,
    statement: &'static str,
    keys: &str,
) -> Result<Vec<SqliteRow>, StoreError> {
    sqlx::query(statement)
        .bind(keys)
        .fetch_all(&mut *db)
        .await
        .map_err(store_error)
}

/// The deletions of these bodies, by event.
pub(crate) async fn deletions(
    db: &mut SqliteConnection,
    of: &[Sha256],
) -> Result<Vec<BodyDeletedRow>, StoreError> {
    let statement = "SELECT d.* FROM json_each($1) AS k JOIN body_deleted AS d ON d.sha256 = unhex(k.value)";
    let mut found = Vec::new();
    for part in of.chunks(DIGESTS_MAX) {
        for row in rows(db, statement, &json!(part).to_string()).await? {
            found.push(deletion(&row)?);
        }
    }
    found.sort_by_key(|row: &BodyDeletedRow| (row.event, row.sha256));
    found.dedup();
    Ok(found)
}

fn deletion(row: &SqliteRow) -> Result<BodyDeletedRow, StoreError> {
    Ok(BodyDeletedRow {
        sha256: row.digest("sha256")?,
        event: row.count("event")?,
        at: row.time("at")?,
        size: row.count("size")?,
        cause: row.word("cause", DeletionCause::from_word)?,
    })
}

/// How many deletions there are.
pub(crate) async fn deletions_count(db: &mut SqliteConnection) -> Result<u64, StoreError> {
    let row = sqlx::query("SELECT count(*) AS n FROM body_deleted")
        .fetch_one(db)
        .await
        .map_err(store_error)?;
    row.count("n")
}

/// Everything that names bytes, and by which event.
macro_rules! named {
    () => {
        "SELECT sha256, event FROM document UNION ALL SELECT sha256, event FROM status \
         UNION ALL SELECT sha256, event FROM refusal WHERE body_kept = 1"
    };
}

/// Named, not there, and not deleted since.
pub(crate) const MISSING: &str = concat!(
    "SELECT DISTINCT named.sha256 FROM (",
    named!(),
    ") AS named WHERE NOT EXISTS (SELECT 1 FROM body AS b WHERE b.sha256 = named.sha256) \
     AND NOT EXISTS (SELECT 1 FROM body_apart AS a WHERE a.sha256 = named.sha256 AND a.leaving IS NULL) \
     AND NOT EXISTS (SELECT 1 FROM body_deleted AS d WHERE d.sha256 = named.sha256 AND d.event > named.event) \
     ORDER BY named.sha256 LIMIT $1"
);

/// There, though deleted, and not named since.
pub(crate) const UNDELETED: &str = concat!(
    "SELECT b.sha256 FROM (SELECT sha256 FROM body UNION ALL SELECT sha256 FROM body_apart WHERE leaving IS NULL) AS b \
     JOIN (SELECT sha256, max(event) AS event FROM body_deleted GROUP BY sha256) AS d \
     ON d.sha256 = b.sha256 WHERE NOT EXISTS (SELECT 1 FROM (",
    named!(),
    ") AS named WHERE named.sha256 = b.sha256 AND named.event > d.event) ORDER BY b.sha256 LIMIT $1"
);

/// Those that are kept apart.
pub(crate) const APART: &str = "SELECT DISTINCT a.sha256 FROM json_each($1) AS k \
     JOIN body_apart AS a ON a.sha256 = unhex(k.value) AND a.leaving IS NULL";

/// Bodies that leave, by event and digest.
pub(crate) const LEAVING: &str = "SELECT sha256, size, leaving FROM body_apart WHERE leaving IS NOT NULL \
     ORDER BY leaving, sha256 LIMIT $1";

pub(crate) fn leaving(row: &SqliteRow) -> Result<LeavingBody, StoreError> {
    Ok(LeavingBody {
        sha256: row.digest("sha256")?,
        size: row.count("size")?,
        event: row.count("leaving")?,
    })
}

/// Whether a system ($1) submitted a kept body ($2), or is to get it or has it.
pub(crate) const MAY_READ: &str = "SELECT EXISTS (SELECT 1 FROM document AS d WHERE d.sha256 = $2 AND (d.system = $1 \
     OR EXISTS (SELECT 1 FROM recipient AS r WHERE r.document = d.uid AND r.system = $1 AND r.recalled IS NULL \
     AND r.state IN ('scheduled', 'forwarded', 'taken')))) \
     AND (EXISTS (SELECT 1 FROM body WHERE sha256 = $2) \
     OR EXISTS (SELECT 1 FROM body_apart WHERE sha256 = $2 AND leaving IS NULL)) AS may";

/// Lets bodies apart go: those that were kept, and uploads that the ledger never knew.
pub(crate) const LEAVE: &str = "INSERT INTO body_apart (sha256, size, leaving) \
     SELECT unhex(value->>0), value->>1, value->>2 FROM json_each($1) WHERE true \
     ON CONFLICT (sha256) DO UPDATE SET leaving = excluded.leaving";

/// Forgets bodies that left.
pub(crate) const LEFT: &str = "DELETE FROM body_apart WHERE EXISTS (SELECT 1 FROM json_each($1) \
     WHERE unhex(value->>0) = body_apart.sha256 AND value->>2 = body_apart.leaving)";

/// Keeps bodies apart, also those that were leaving; what is kept is left alone.
pub(crate) const KEEP_APART: &str = "INSERT INTO body_apart (sha256, size) SELECT unhex(value->>0), value->>1 \
     FROM json_each($1) WHERE true ON CONFLICT (sha256) DO UPDATE SET leaving = NULL WHERE leaving IS NOT NULL";

/// Deletes bodies whose deletion was just recorded. Their bytes are overwritten in the file, not only set
/// free; what the write-ahead log still has of them goes with the next checkpoint (see `write.rs`).
pub(crate) async fn delete(db: &mut SqliteConnection, deleted: &[BodyDeletedRow]) -> Result<(), StoreError> {
    if deleted.is_empty() {
        return Ok(());
    }
    let record = "INSERT INTO body_deleted (sha256, event, at, size, cause) SELECT unhex(value->>0), value->>1, \
         value->>2, value->>3, value->>4 FROM json_each($1)";
    let delete = "DELETE FROM body WHERE sha256 IN (SELECT unhex(value->>0) FROM json_each($1))";
    for part in deleted.chunks(DIGESTS_MAX) {
        let part = part.iter().map(|row| {
            let at = row.at.as_microsecond();
            json!([row.sha256, row.event, at, row.size, row.cause.as_str()])
        });
        let part = Value::Array(part.collect()).to_string();
        run(db, record, &part).await?;
        // Overwriting costs writes: only here, where bytes must not survive, and not for every message done.
        secure_delete(db, true).await?;
        run(db, delete, &part).await?;
        secure_delete(db, false).await?;
    }
    Ok(())
}

async fn run(db: &mut SqliteConnection, statement: &'static str, keys: &str) -> Result<(), StoreError> {
    let done = sqlx::query(statement)
        .bind(keys)
        .execute(&mut *db)
        .await
        .map_err(store_error)?;
    tracing::trace!(rows = done.rows_affected(), "ledger bodies deleted");
    Ok(())
}

async fn secure_delete(db: &mut SqliteConnection, on: bool) -> Result<(), StoreError> {
    let statement = if on {
        "PRAGMA secure_delete = ON"
    } else {
        "PRAGMA secure_delete = OFF"
    };
    let now: SqliteRow = sqlx::query(statement)
        .fetch_one(&mut *db)
        .await
        .map_err(store_error)?;
    let now: i64 = now.try_get(0).map_err(store_error)?;
    // A build of SQLite without it would leave the bytes in the file while the ledger says that they are gone.
    if now == i64::from(on) {
        Ok(())
    } else {
        Err(damaged("secure_delete"))
    }
}
