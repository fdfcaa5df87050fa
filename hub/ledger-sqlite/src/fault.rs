//! What SQLite reports, sorted by who must act.

use truc_ledger::StoreError;

/// Primary result codes of SQLite (<https://sqlite.org/rescode.html>).
mod primary {
    pub(super) const BUSY: i32 = 5;
    pub(super) const LOCKED: i32 = 6;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

/// Sorts an error of the driver.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    let code = match &error {
        sqlx::Error::Database(database) => database.code().and_then(|code| code.parse::<i32>().ok()),
        sqlx::Error::PoolTimedOut => return StoreError::Busy(error.into()),
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed => return StoreError::Io(error.into()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            return StoreError::Damaged(error.to_string());
        }
        _ => None,
    };
    // The lower byte is the primary code, the rest tells it more exactly.
    match code.map(|code| code & 0xff) {
        Some(primary::FULL) => StoreError::Full(error.into()),
        Some(primary::IOERR | primary::CANTOPEN) => StoreError::Io(error.into()),
        Some(primary::BUSY | primary::LOCKED) => StoreError::Busy(error.into()),
        Some(primary::CORRUPT | primary::NOTADB) => StoreError::Damaged(error.to_string()),
        _ => StoreError::Backend(error.into()),
    }
}
