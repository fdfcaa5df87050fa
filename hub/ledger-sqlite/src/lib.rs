//! The ledger in SQLite: one file, no server, the default.
//!
//! Write-ahead log, flushed for every commit before anybody is answered ([`flush`]): it survives loss of power.
//! One connection writes, a few read; another process beside the hub (the command line) waits for its turn.
//! What may change and what never is held by triggers too, so that a hand at the database's own shell is
//! stopped as well.
//!
//! What this crate leaves out: every rule. It loads and saves rows for `truc-ledger`, which decides.

mod alerts;
#[cfg(test)]
mod at_hand;
mod column;
mod ends;
mod fault;
mod flush;
mod fold;
mod kept;
mod limits;
mod list;
mod next;
mod read;
mod row;
mod save;
mod schema;
mod waiting;
mod write;

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
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

/// Pages that the writing connection keeps in memory, in KiB: the inner pages of the indexes of some millions of
/// documents.
pub const WRITER_CACHE_KIB: u32 = 32 * 1024;

/// The same of each connection that reads.
pub const READER_CACHE_KIB: u32 = 2000;

/// Rows that a connection may read ahead of whoever asked: it never waits for its reader within what one look-up
/// gives.
const READ_AHEAD_ROWS: usize = 1024;

/// Pages in the write-ahead log before it is folded into the file. The ends of the tables and indexes are written by
/// every commit: the longer the log, the more often they are written there once for many commits. 16 MiB.
pub const CHECKPOINT_PAGES: u32 = 4000;

/// Where the write-ahead log is cut back to after a checkpoint, in bytes.
pub const WAL_KEPT_BYTES: u32 = 64 << 20;

/// Pages that are kept in memory while a ledger is filled, in KiB.
const FILL_CACHE_KIB: u32 = 256 << 10;

/// Pages in the write-ahead log before it is folded while a ledger is filled.
const FILL_CHECKPOINT_PAGES: u32 = 100_000;

/// Mode of a new ledger: it holds whole documents, so its owner alone may read it.
const FILE_MODE: u32 = 0o600;

/// A ledger in a SQLite file. Clones share its connections.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    writer: SqlitePool,
    readers: SqlitePool,
    shared: Arc<write::Shared>,
}

impl SqliteStore {
    /// Opens an existing ledger of the present schema.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when there is none (found 0), or when it is older or newer than this program:
    /// then `truc migrate` or a newer program is needed. Other [`StoreError`]s when it cannot be opened.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let log = flush::Log::of(path.as_ref());
        Self::open_on(path.as_ref(), Box::new(log)).await
    }

    /// With another way to bring the log to the disk.
    async fn open_on(path: &Path, disk: Box<dyn flush::Disk>) -> Result<Self, StoreError> {
        // What FULL would do inside the commit is done beside it: see `flush`.
        let options = options(path).synchronous(SqliteSynchronous::Normal);
        Self::open_as(path, options, Some(flush::Flusher::start(disk)?)).await
    }

    /// Opens a ledger to fill it with very much: large caches, and no flush at each commit, so that the last commits
    /// may be lost with the power, though never a part of one. For making ledgers; no hub may run on it.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub async fn open_to_fill(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let options = options(path.as_ref())
            .synchronous(SqliteSynchronous::Normal)
            .pragma("cache_size", format!("-{FILL_CACHE_KIB}"))
            .pragma("wal_autocheckpoint", FILL_CHECKPOINT_PAGES.to_string());
        Self::open_as(path.as_ref(), options, None).await
    }

    async fn open_as(
        path: &Path,
        options: SqliteConnectOptions,
        flusher: Option<flush::Flusher>,
    ) -> Result<Self, StoreError> {
        let found = Self::schema_version(path).await?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Schema {
                found,
                expected: SCHEMA_VERSION,
            });
        }
        let shared = Arc::new(write::Shared::new(flusher));
        let opened = Arc::clone(&shared);
        let writer = SqlitePoolOptions::new()
            .after_connect(move |_, _| {
                opened.connections.fetch_add(1, Ordering::Relaxed);
                Box::pin(async { Ok(()) })
            })
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await
            .map_err(store_error)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            // A slip in a query must not be able to write past the one writer.
            .connect_with(
                options
                    .pragma("query_only", "ON")
                    .pragma("cache_size", format!("-{READER_CACHE_KIB}")),
            )
            .await
            .map_err(store_error)?;
        Ok(Self {
            writer,
            readers,
            shared,
        })
    }

    /// Brings the file at `path` to the present schema; makes it when it is not there.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the file is newer than this program; other [`StoreError`]s when it cannot
    /// be written.
    pub async fn migrate(path: impl AsRef<Path>) -> Result<Migrated, StoreError> {
        private_file(path.as_ref())?;
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

/// Makes the file before SQLite would, readable by its owner alone: it holds the documents. SQLite gives its
/// side files the same mode. One that is there keeps the mode its owner gave it.
fn private_file(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path);
    match made {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(StoreError::Io(error.into())),
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
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("trusted_schema", "OFF")
        .pragma("cache_size", format!("-{WRITER_CACHE_KIB}"))
        .row_buffer_size(READ_AHEAD_ROWS)
}

#[async_trait]
impl Store for SqliteStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        Ok(Box::new(
            write::SqliteTransaction::begin(&self.writer, &self.shared).await?,
        ))
    }

    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let snapshot = read::SqliteSnapshot::begin(&self.readers).await?;
        // What it shows cannot be lost any more: somebody may act on it.
        if let Some(flusher) = self.shared.flusher() {
            flusher.caught_up().await;
        }
        Ok(Box::new(snapshot))
    }
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Connection as _};
    use truc_ledger::contract::Bench;
    use truc_ledger::contract::kit::Hub;
    use truc_ledger::{LedgerError, SubmitOutcome};

    use super::*;

    struct Opened(SqliteStore);

    #[tokio::test]
    async fn a_new_ledger_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        SqliteStore::migrate(&path).await.unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        Hub::open(&Opened(store)).await;
        let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().collect();
        assert!(files.len() > 1, "the write-ahead log stands beside it");
        for file in files {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, FILE_MODE, "{}", file.path().display());
        }
        // A mode the owner chose later stays.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        SqliteStore::migrate(&path).await.unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o640);
    }

    #[async_trait]
    impl Bench for Opened {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }
    }

    async fn opened(dir: &tempfile::TempDir) -> Opened {
        let path = dir.path().join("ledger.db");
        SqliteStore::migrate(&path).await.unwrap();
        Opened(SqliteStore::open(&path).await.unwrap())
    }

    #[tokio::test]
    async fn the_log_is_kept_in_order_and_readers_cannot_write() {
        let dir = tempfile::tempdir().unwrap();
        let store = opened(&dir).await.0;
        let pragma = async |pool: &SqlitePool, name: &str| {
            let statement = AssertSqlSafe(format!("PRAGMA {name}"));
            sqlx::query_scalar::<_, i64>(statement)
                .fetch_one(pool)
                .await
                .unwrap()
        };
        assert_eq!(pragma(&store.writer, "synchronous").await, 1);
        assert_eq!(pragma(&store.writer, "foreign_keys").await, 1);
        assert_eq!(pragma(&store.readers, "query_only").await, 1);
        let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
            .fetch_one(&store.writer)
            .await
            .unwrap();
        assert_eq!(mode, "wal");
        let refused = sqlx::query("DELETE FROM outbox").execute(&store.readers).await;
        assert!(refused.is_err());
    }

    #[tokio::test]
    async fn a_full_disk_fails_the_whole_batch_and_the_writer_lives() {
        let dir = tempfile::tempdir().unwrap();
        let bench = opened(&dir).await;
        let hub = Hub::open(&bench).await;
        hub.accept(hub.document("1")).await;
        // No page more than there are: what SQLite does when the disk has no room.
        let mut writer = bench.0.writer.acquire().await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut *writer)
            .await
            .unwrap();
        let limit = AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
        sqlx::query(limit).execute(&mut *writer).await.unwrap();
        drop(writer);
        let mut big = hub.document("big");
        big.sha256 = truc_model::Sha256::of(&[b'x'; 1 << 20]);
        big.body = vec![b'x'; 1 << 20].into();
        big.size = 1 << 20;
        let (small, failed) = tokio::join!(
            hub.ledger.submit_document(hub.document("2")),
            hub.ledger.submit_document(big)
        );
        for outcome in [small, failed] {
            let LedgerError::Store(error) = outcome.unwrap_err() else {
                panic!("expected the store's error");
            };
            assert!(matches!(*error, StoreError::Full(_)), "{error:?}");
        }
        assert_eq!(hub.ledger.head().await.unwrap().seq, 1);
        // The failed connection is gone, and with it the limit: there is room again.
        let outcome = hub.ledger.submit_document(hub.document("2")).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)));
        hub.sound().await;
    }

    #[tokio::test]
    async fn whoever_does_not_wait_is_told_that_it_is_busy() {
        let dir = tempfile::tempdir().unwrap();
        let bench = opened(&dir).await;
        let held = bench.0.begin().await.unwrap();
        let path = dir.path().join("ledger.db");
        let hasty = options(&path).busy_timeout(Duration::ZERO);
        let mut hasty = sqlx::SqliteConnection::connect_with(&hasty).await.unwrap();
        let error = sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut hasty)
            .await
            .unwrap_err();
        assert!(matches!(store_error(error), StoreError::Busy(_)));
        drop(held);
    }

    #[tokio::test]
    async fn more_rows_than_one_statement_takes() {
        let dir = tempfile::tempdir().unwrap();
        let hub = Hub::open(&opened(&dir).await).await;
        let mut wide = hub.document("1");
        let parties = u32::try_from(save::ROWS_MAX + 1).unwrap();
        wide.recipients = (0..parties)
            .map(|n| truc_ledger::contract::kit::to(&format!("H53.{n}"), 10 + n, "so"))
            .collect();
        let receipt = hub.accept(wide).await;
        assert_eq!(hub.states(receipt.document).await.len(), save::ROWS_MAX + 1);
        let mut waiting = tokio::task::JoinSet::new();
        for n in 0..=save::BODIES_MAX {
            let (ledger, submission) = (hub.ledger.clone(), hub.document(&format!("body {n}")));
            waiting.spawn(async move { ledger.submit_document(submission).await.unwrap() });
        }
        while let Some(outcome) = waiting.join_next().await {
            assert!(matches!(outcome.unwrap(), SubmitOutcome::Accepted(_)));
        }
        hub.sound().await;
    }
}
