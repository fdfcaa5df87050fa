//! The ledger in SQLite: one file, no server, the default.
//!
//! Write-ahead log with `synchronous=FULL`: a commit is on disk when it returns, and survives loss of power.
//! One connection writes, a few read; another process beside the hub (the command line) waits for its turn.
//! What may change and what never is held by triggers too, so that a hand at the database's own shell is
//! stopped as well.
//!
//! What this crate leaves out: every rule. It loads and saves rows for `truc-ledger`, which decides.

mod column;
mod fault;
mod read;
mod row;
mod save;
mod schema;
mod write;

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use truc_ledger::{Snapshot, Store, StoreError, Transaction};

use crate::fault::store_error;
pub use crate::schema::{Migrated, SCHEMA_VERSION};

/// How many connections read beside the one that writes.
pub const READERS_MAX: u32 = 4;

/// How long a transaction waits for another process to end its own.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(15);

/// Where the write-ahead log is cut back to after a checkpoint, in bytes.
pub const WAL_KEPT_BYTES: u32 = 64 << 20;

/// A ledger in a SQLite file. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl SqliteStore {
    /// Opens an existing ledger of the present schema.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when there is none (found 0), or when it is older or newer than this program:
    /// then `truc migrate` or a newer program is needed. Other [`StoreError`]s when it cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let found = Self::schema_version(path.as_ref()).await?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Schema {
                found,
                expected: SCHEMA_VERSION,
            });
        }
        let options = options(path.as_ref());
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(store_error)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            // A slip in a query must not be able to write past the one writer.
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(store_error)?;
        Ok(Self { writer, readers })
    }

    /// Brings the file at `path` to the present schema; makes it when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the file is newer than this program; other [`StoreError`]s when it cannot
    /// be written.
    pub async fn migrate(path: impl AsRef<Path>) -> Result<Migrated, StoreError> {
        schema::migrate(options(path.as_ref()).create_if_missing(true)).await
    }

    /// The schema of the file at `path`: 0 when there is no file or no tables.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn schema_version(path: impl AsRef<Path>) -> Result<i64, StoreError> {
        if !path.as_ref().exists() {
            return Ok(0);
        }
        schema::version(options(path.as_ref())).await
    }

    /// Closes all connections; the write-ahead log is folded into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        // A commit has reached the disk when it returns. NORMAL would lose the last ones with the power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string())
        .pragma("trusted_schema", "OFF")
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(write::SqliteTransaction::begin(&self.writer).await?))
    }

    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        Ok(Box::new(read::SqliteSnapshot::begin(&self.readers).await?))
    }
}
