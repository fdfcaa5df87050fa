//! Where a ledger is: a file of SQLite, or a directory with a PostgreSQL server of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_ledger::Store;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_ledger_postgres::{PostgresSettings, PostgresStore};
use truc_ledger_sqlite::SqliteStore;

use crate::Failed;

/// The database of the filled ledger, and of the empty one beside it.
const OLD: &str = "old";
const EMPTY: &str = "empty";

/// Where the filled ledger is.
pub(crate) enum Place {
    /// A file.
    File(PathBuf),
    /// A server that runs as long as this value lives; its data stays.
    Server(Box<PrivateServer>),
}

impl Place {
    /// The place at `path`; a server is started.
    ///
    /// # Errors
    /// [`Failed`] when the server does not start.
    pub(crate) async fn at(path: &Path, is_postgres: bool) -> Result<Self, Failed> {
        if !is_postgres {
            return Ok(Self::File(path.to_owned()));
        }
        let path = std::path::absolute(path).map_err(|error| Failed::Other(error.to_string()))?;
        let config = PrivateServerConfig::new(path)
            .with("shared_buffers", "512MB")
            .with("max_wal_size", "4GB");
        let server = PrivateServer::start(config).await?;
        Ok(Self::Server(Box::new(server)))
    }

    /// The filled ledger, made or brought to the present schema first.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn old(&self) -> Result<Arc<dyn Store>, Failed> {
        match self {
            Self::File(path) => file(path).await,
            Self::Server(server) => {
                // It is there already when it was made earlier; what else is wrong shows when it is used.
                let _ = server.create_database(OLD).await;
                database(server, OLD).await
            }
        }
    }

    /// The same, to be filled: SQLite flushes seldom meanwhile.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn to_fill(&self) -> Result<Arc<dyn Store>, Failed> {
        match self {
            Self::File(path) => {
                SqliteStore::migrate(path).await?;
                Ok(Arc::new(SqliteStore::open_to_fill(path).await?))
            }
            Self::Server(_) => self.old().await,
        }
    }

    /// An empty ledger beside it, made anew.
    ///
    /// # Errors
    /// [`Failed`].
    pub(crate) async fn empty(&self) -> Result<Arc<dyn Store>, Failed> {
        match self {
            Self::File(path) => {
                remove_empty(path);
                file(&beside(path)).await
            }
            Self::Server(server) => {
                server
                    .execute("postgres", &format!("DROP DATABASE IF EXISTS {EMPTY}"))
                    .await?;
                server.create_database(EMPTY).await?;
                database(server, EMPTY).await
            }
        }
    }

    /// Removes the empty ledger. That of a server stays until the next is made.
    pub(crate) fn remove_empty(&self) {
        if let Self::File(path) = self {
            remove_empty(path);
        }
    }

    /// A file that can be made where the ledger is, to see how long a flush takes there.
    pub(crate) fn probe(&self) -> PathBuf {
        match self {
            Self::File(path) => path.with_extension("flush"),
            Self::Server(server) => server.dir().join("flush"),
        }
    }

    /// Where to look how much of the disk is free.
    pub(crate) fn folder(&self) -> &Path {
        match self {
            Self::File(path) => path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
            Self::Server(server) => server.dir(),
        }
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::File(path) => std::fs::metadata(path).map_or(0, |file| file.len()),
            Self::Server(server) => bytes_below(server.dir()),
        }
    }
}

fn bytes_below(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => bytes_below(&entry.path()),
            Ok(found) => found.len(),
            Err(_) => 0,
        })
        .sum()
}

fn beside(path: &Path) -> PathBuf {
    path.with_extension("empty.db")
}

fn remove_empty(path: &Path) {
    let beside = beside(path);
    for file in [
        &beside,
        &beside.with_extension("db-wal"),
        &beside.with_extension("db-shm"),
    ] {
        // What is not there need not go.
        let _ = std::fs::remove_file(file);
    }
}

async fn file(path: &Path) -> Result<Arc<dyn Store>, Failed> {
    let begun = std::time::Instant::now();
    let done = SqliteStore::migrate(path).await?;
    told(done.from, done.to, begun);
    Ok(Arc::new(SqliteStore::open(path).await?))
}

async fn database(server: &PrivateServer, name: &str) -> Result<Arc<dyn Store>, Failed> {
    let settings = PostgresSettings::new(server.url(name));
    let begun = std::time::Instant::now();
    let done = PostgresStore::migrate(&settings).await?;
    told(done.from, done.to, begun);
    // A hub's server has its statistics from its vacuum, which a ledger that is filled at once has not seen yet.
    server.execute(name, "ANALYZE").await?;
    Ok(Arc::new(PostgresStore::open(&settings).await?))
}

/// An older ledger was brought to the present schema: how long that takes is worth knowing.
fn told(from: i64, to: i64, begun: std::time::Instant) {
    if from > 0 && from < to {
        println!("schema {from} -> {to}: {:.1} s", begun.elapsed().as_secs_f64());
    }
}
