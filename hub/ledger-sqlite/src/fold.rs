//! Deleted bytes leave the write-ahead log too.
//!
//! A delete overwrites the bytes in the file's pages, but the log still has the pages as they were until it is
//! folded into the file and cut off (`PRAGMA wal_checkpoint(TRUNCATE)`), which readers of an older moment hold
//! up. So it is tried right after the commit, without waiting, and again after some commits until it succeeds.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{Row as _, SqliteConnection};
use truc_ledger::StoreError;

use crate::BUSY_TIMEOUT;
use crate::fault::store_error;

/// After how many commits it is tried again when a reader was in the way.
pub(crate) const AGAIN_AFTER: u32 = 16;

/// Whether the log still has bytes that were deleted: 0 when not, else at which commit from now it is folded.
#[derive(Debug, Default)]
pub(crate) struct Fold(AtomicU32);

impl Fold {
    /// After a commit. What went wrong here undoes nothing: the log is folded later.
    pub(crate) async fn after_commit(
        &self,
        db: &mut SqliteConnection,
        deleted: bool,
    ) -> Result<(), StoreError> {
        if !deleted && !self.is_due() {
            return Ok(());
        }
        let folded = fold(db).await;
        let again = match folded {
            Ok(true) => 0,
            Ok(false) | Err(_) => AGAIN_AFTER,
        };
        self.0.store(again, Ordering::Relaxed);
        folded.map(|_| ())
    }

    /// One commit more; whether it is this one's turn.
    fn is_due(&self) -> bool {
        let less = |left: u32| left.checked_sub(1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) == Ok(1)
    }
}

/// Folds the log into the file and cuts it off. Gives whether nobody was in the way.
async fn fold(db: &mut SqliteConnection) -> Result<bool, StoreError> {
    // Nobody who writes waits for somebody who reads.
    timeout(db, 0).await?;
    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut *db)
        .await
        .map_err(store_error);
    timeout(db, BUSY_TIMEOUT.as_millis()).await?;
    let busy: i64 = row?.try_get(0).map_err(store_error)?;
    Ok(busy == 0)
}

async fn timeout(db: &mut SqliteConnection, millis: u128) -> Result<(), StoreError> {
    let statement = sqlx::AssertSqlSafe(format!("PRAGMA busy_timeout = {millis}"));
    sqlx::query(statement)
        .persistent(false)
        .fetch_one(db)
        .await
        .map(|_| ())
        .map_err(store_error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_after_a_number_of_commits() {
        let fold = Fold::default();
        assert!(!fold.is_due());
        fold.0.store(AGAIN_AFTER, Ordering::Relaxed);
        let due: Vec<bool> = (0..AGAIN_AFTER + 1).map(|_| fold.is_due()).collect();
        assert_eq!(due.iter().position(|due| *due), Some(AGAIN_AFTER as usize - 1));
        assert_eq!(due.iter().filter(|due| **due).count(), 1);
    }
}
