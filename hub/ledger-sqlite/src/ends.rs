//! The ends of things, which transactions and pictures look up alike: of the chain, of the directory's versions, of the
//! hub's own events.

use sqlx::SqliteConnection;
use truc_ledger::StoreError;
use truc_ledger::event::{EventKind, EventRow, GENESIS, Head};
use truc_ledger::rows::DirectoryRow;

use crate::column::Columns as _;
use crate::fault::store_error;
use crate::row;
use crate::write::limit;

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
