//! Bodies: those that are kept, with everything that names them, and those that went.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use sqlx::postgres::PgRow;
use truc_ledger::StoreError;
use truc_ledger::body::{Body, BodyPlace, LeavingBody};
use truc_ledger::retention::{BodyDeletedRow, DeletionCause, KeptBody, KeptDocument, KeptStatus};
use truc_ledger::rows::RecipientRow;
use truc_model::{DocumentUid, Sha256};

use crate::column::Columns as _;
use crate::row;
use crate::save::{big, column};
use crate::session::{Session, all, run};
use crate::write::{digests, ids};

const SIZES: &str =
    "SELECT sha256, size, bytes IS NOT NULL AS here FROM body WHERE sha256 = ANY($1::bytea[])";

/// A document whose packet has to go out or to be taken is not finished, whatever its recipients' states say.
const DOCUMENTS: &str = "SELECT d.sha256, d.uid, d.accepted_at, d.attachments, \
     EXISTS (SELECT 1 FROM outbox AS o WHERE o.document = d.uid AND o.outgoing = 'document') AS goes_out \
     FROM document AS d WHERE d.sha256 = ANY($1::bytea[]) ORDER BY d.event";

const RECIPIENTS: &str = "SELECT * FROM recipient WHERE document = ANY($1::uuid[])";

const STATUSES: &str = "SELECT s.sha256, s.accepted_at, \
     EXISTS (SELECT 1 FROM outbox AS o WHERE o.delivery = s.delivery) AS open \
     FROM status AS s WHERE s.sha256 = ANY($1::bytea[]) ORDER BY s.event";

const REFUSALS: &str = "SELECT sha256, refused_at FROM refusal WHERE sha256 = ANY($1::bytea[]) AND body_kept \
     ORDER BY refused_at";

/// These bodies, as far as they are kept.
pub(crate) async fn kept(db: &mut Session, of: &[Sha256]) -> Result<Vec<KeptBody>, StoreError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let sizes = all(db, sqlx::query(SIZES).bind(digests(of)), |row| {
        let sha256 = row.digest("sha256")?;
        let kept = KeptBody {
            sha256,
            size: row.count("size")?,
            place: if row.flag("here")? {
                BodyPlace::Here
            } else {
                BodyPlace::Apart
            },
            documents: Vec::new(),
            statuses: Vec::new(),
            refused_at: Vec::new(),
        };
        Ok((sha256, kept))
    });
    let mut found: BTreeMap<Sha256, KeptBody> = sizes.await?.into_iter().collect();
    documents(db, of, &mut found).await?;
    let statuses = all(db, sqlx::query(STATUSES).bind(digests(of)), |row| {
        let status = KeptStatus {
            accepted_at: row.time("accepted_at")?,
            open: row.flag("open")?,
        };
        Ok((row.digest("sha256")?, status))
    });
    for (sha256, status) in statuses.await? {
        if let Some(kept) = found.get_mut(&sha256) {
            kept.statuses.push(status);
        }
    }
    let refusals = all(db, sqlx::query(REFUSALS).bind(digests(of)), |row| {
        Ok((row.digest("sha256")?, row.time("refused_at")?))
    });
    for (sha256, refused_at) in refusals.await? {
        if let Some(kept) = found.get_mut(&sha256) {
            kept.refused_at.push(refused_at);
        }
    }
    Ok(found.into_values().collect())
}

async fn documents(
    db: &mut Session,
    of: &[Sha256],
    found: &mut BTreeMap<Sha256, KeptBody>,
) -> Result<(), StoreError> {
    let named = all(db, sqlx::query(DOCUMENTS).bind(digests(of)), |row| {
        let document = KeptDocument {
            uid: row.id("uid")?,
            accepted_at: row.time("accepted_at")?,
            attachments: row.small("attachments")? > 0,
            finished_at: None,
        };
        Ok((row.digest("sha256")?, document, row.flag("goes_out")?))
    })
    .await?;
    let uids: Vec<DocumentUid> = named.iter().map(|(_, document, _)| document.uid).collect();
    let mut recipients: HashMap<DocumentUid, Vec<RecipientRow>> = HashMap::new();
    if !uids.is_empty() {
        for row in all(db, sqlx::query(RECIPIENTS).bind(ids(&uids)), row::recipient).await? {
            recipients.entry(row.document).or_default().push(row);
        }
    }
    for (sha256, document, goes_out) in named {
        let of = recipients.get(&document.uid).into_iter().flatten();
        let finished = KeptDocument::finished_at(document.accepted_at, of);
        if let Some(kept) = found.get_mut(&sha256) {
            kept.documents.push(KeptDocument {
                finished_at: finished.filter(|_| !goes_out),
                ..document
            });
        }
    }
    Ok(())
}

/// A kept body: columns `bytes` and `size`.
pub(crate) fn body(row: &PgRow) -> Result<Body, StoreError> {
    Ok(match row.bytes_or_null("bytes")? {
        Some(bytes) => Body::Here(Arc::from(bytes)),
        None => Body::Apart {
            size: row.count("size")?,
        },
    })
}

/// The deletions of these bodies, by event.
pub(crate) async fn deletions(db: &mut Session, of: &[Sha256]) -> Result<Vec<BodyDeletedRow>, StoreError> {
    if of.is_empty() {
        return Ok(Vec::new());
    }
    let statement = "SELECT * FROM body_deleted WHERE sha256 = ANY($1::bytea[]) ORDER BY event, sha256";
    all(db, sqlx::query(statement).bind(digests(of)), |row| {
        Ok(BodyDeletedRow {
            sha256: row.digest("sha256")?,
            event: row.count("event")?,
            at: row.time("at")?,
            size: row.count("size")?,
            cause: row.word("cause", DeletionCause::from_word)?,
        })
    })
    .await
}

/// Everything that names bytes, and by which event.
macro_rules! named {
    () => {
        "SELECT sha256, event FROM document UNION ALL SELECT sha256, event FROM status \
         UNION ALL SELECT sha256, event FROM refusal WHERE body_kept"
    };
}

/// Named, not there, and not deleted since.
pub(crate) const MISSING: &str = concat!(
    "SELECT DISTINCT named.sha256 FROM (",
    named!(),
    ") AS named WHERE NOT EXISTS (SELECT 1 FROM body AS b WHERE b.sha256 = named.sha256) \
     AND NOT EXISTS (SELECT 1 FROM body_deleted AS d WHERE d.sha256 = named.sha256 AND d.event > named.event) \
     ORDER BY named.sha256 LIMIT $1"
);

/// There, though deleted, and not named since.
pub(crate) const UNDELETED: &str = concat!(
    "SELECT b.sha256 FROM body AS b JOIN (SELECT sha256, max(event) AS event FROM body_deleted GROUP BY sha256) AS d \
     ON d.sha256 = b.sha256 WHERE NOT EXISTS (SELECT 1 FROM (",
    named!(),
    ") AS named WHERE named.sha256 = b.sha256 AND named.event > d.event) ORDER BY b.sha256 LIMIT $1"
);

/// Those that are kept apart.
pub(crate) const APART: &str = "SELECT sha256 FROM body WHERE sha256 = ANY($1::bytea[]) AND bytes IS NULL";

/// Bodies that leave, by event and digest.
pub(crate) const LEAVING: &str =
    "SELECT sha256, size, event FROM body_leaving ORDER BY event, sha256 LIMIT $1";

pub(crate) fn leaving(row: &PgRow) -> Result<LeavingBody, StoreError> {
    Ok(LeavingBody {
        sha256: row.digest("sha256")?,
        size: row.count("size")?,
        event: row.count("event")?,
    })
}

/// Whether a system ($1) submitted a kept body ($2), or is to get it or has it.
pub(crate) const MAY_READ: &str = "SELECT EXISTS (SELECT 1 FROM document AS d WHERE d.sha256 = $2 \
     AND (d.system = $1 OR EXISTS (SELECT 1 FROM recipient AS r WHERE r.document = d.uid AND r.system = $1 \
     AND r.recalled IS NULL AND r.state IN ('scheduled', 'forwarded', 'taken')))) \
     AND EXISTS (SELECT 1 FROM body WHERE sha256 = $2) AS may";

/// Deletes bodies, here or apart, whose deletion is recorded with it.
pub(crate) async fn delete(db: &mut Session, deleted: &[BodyDeletedRow]) -> Result<(), StoreError> {
    if deleted.is_empty() {
        return Ok(());
    }
    let record = sqlx::query(
        "INSERT INTO body_deleted (sha256, event, at, size, cause) \
         SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[])",
    )
    .bind(column(deleted, |row| &row.sha256.as_bytes()[..]))
    .bind(column(deleted, |row| big(row.event)))
    .bind(column(deleted, |row| row.at.as_microsecond()))
    .bind(column(deleted, |row| big(row.size)))
    .bind(column(deleted, |row| row.cause.as_str()));
    run(db, record).await?;
    let delete = sqlx::query("DELETE FROM body WHERE sha256 = ANY($1::bytea[])")
        .bind(column(deleted, |row| &row.sha256.as_bytes()[..]));
    run(db, delete).await.map(drop)
}

/// Bodies apart: forgets those that left, and lets others go, known before or not.
pub(crate) async fn leave(
    db: &mut Session,
    left: &[LeavingBody],
    leaving: &[LeavingBody],
) -> Result<(), StoreError> {
    if !left.is_empty() {
        let forget = sqlx::query(
            "DELETE FROM body_leaving AS l USING unnest($1::bytea[], $2::bigint[]) AS k (sha256, event) \
             WHERE l.sha256 = k.sha256 AND l.event = k.event",
        )
        .bind(column(left, |row| &row.sha256.as_bytes()[..]))
        .bind(column(left, |row| big(row.event)));
        run(db, forget).await?;
    }
    if !leaving.is_empty() {
        let leave = sqlx::query(
            "INSERT INTO body_leaving (sha256, size, event) \
             SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bigint[]) \
             ON CONFLICT (sha256) DO UPDATE SET event = excluded.event",
        )
        .bind(column(leaving, |row| &row.sha256.as_bytes()[..]))
        .bind(column(leaving, |row| big(row.size)))
        .bind(column(leaving, |row| big(row.event)));
        run(db, leave).await?;
    }
    Ok(())
}

/// Bodies apart that are kept from now on do not leave.
pub(crate) async fn stay(db: &mut Session, of: &[Sha256]) -> Result<(), StoreError> {
    if of.is_empty() {
        return Ok(());
    }
    let stay = sqlx::query("DELETE FROM body_leaving WHERE sha256 = ANY($1::bytea[])");
    run(db, stay.bind(digests(of))).await.map(drop)
}
