//! The ledger in PostgreSQL: several hubs on one database.
//!
//! One connection of each hub writes, some read. The writers of all hubs take turns, so that there is one sequence of
//! events and no message is handed out twice (`write.rs`, decision 0009). What may change and what never is held
//! by triggers too, so that a hand at the database's own shell is stopped as well.
//!
//! What this crate leaves out: every rule. It loads and saves rows for `truc-ledger`, which decides. For the demo and
//! the tests it can start a server of its own ([`private_server`]).

mod alerts;
mod column;
mod fault;
mod id;
mod kept;
mod limits;
mod list;
mod next;
pub mod private_server;
mod read;
mod row;
mod save;
mod schema;
mod session;
mod settings;
mod verdict;
mod waiting;
mod write;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use truc_ledger::{Snapshot, Store, StoreError, Transaction};

use crate::fault::store_error;
pub use crate::schema::{Migrated, SCHEMA_VERSION};
pub use crate::settings::{
    CONNECT_TIMEOUT, PostgresSettings, READERS_DEFAULT, READERS_LIMIT, SCHEMA, SCHEMA_NAME_MAX,
    TRANSACTION_IDLE_MAX, TURN_TIMEOUT,
};
use crate::settings::{GONE_AFTER, READ_TIMEOUT, WRITE_TIMEOUT};

/// A ledger in a PostgreSQL database. Clones share its connections.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    writer: PgPool,
    readers: PgPool,
    shared: Arc<write::Shared>,
}

impl PostgresStore {
    /// Opens an existing ledger of the present schema.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when there is none (found 0), or when it is older or newer than this program:
    /// then `truc migrate` or a newer program is needed. [`StoreError::Unreachable`] when the server does not
    /// answer; [`StoreError::Backend`] when it is not one that can keep a ledger, and says why.
    pub async fn open(settings: &PostgresSettings) -> Result<Self, StoreError> {
        let found = schema::usable_version(settings).await?;
        if found != SCHEMA_VERSION {
            return Err(StoreError::Schema {
                found,
                expected: SCHEMA_VERSION,
            });
        }
        let shared = Arc::new(write::Shared::default());
        // Not all that is shared: it holds the connection, and the connection its pool.
        let opened = Arc::clone(&shared.connections);
        let writer = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(settings.connect_timeout)
            .idle_timeout(None)
            .max_lifetime(None)
            // A session finds out by its first statement, and takes another.
            .test_before_acquire(false)
            .after_connect(move |connection, _| {
                opened.fetch_add(1, Ordering::Relaxed);
                Box::pin(async move {
                    // After a failover it may be another server.
                    let usable = schema::usable(connection).await;
                    usable.map_err(|error| sqlx::Error::Configuration(error.into()))
                })
            })
            // With the first transaction: by the runtime that will wait for its answers.
            .connect_lazy_with(settings.writer()?);
        let readers = PgPoolOptions::new()
            .max_connections(settings.readers_max.clamp(1, READERS_LIMIT))
            .acquire_timeout(settings.connect_timeout)
            .test_before_acquire(false)
            .connect_with(settings.reader()?)
            .await
            .map_err(store_error)?;
        Ok(Self {
            writer,
            readers,
            shared,
        })
    }

    /// Brings the database to the present schema; makes the tables when there are none.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when they are newer than this program; other [`StoreError`]s when they cannot be
    /// written.
    pub async fn migrate(settings: &PostgresSettings) -> Result<Migrated, StoreError> {
        schema::migrate(settings).await
    }

    /// The schema of the database: 0 when there are no tables.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn schema_version(settings: &PostgresSettings) -> Result<i64, StoreError> {
        schema::version(settings).await
    }

    /// Closes all connections.
    pub async fn close(&self) {
        self.readers.close().await;
        drop(self.shared.writer.lock().await.take());
        self.writer.close().await;
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn begin(&self) -> Result<Box<dyn Transaction>, StoreError> {
        let patience = WRITE_TIMEOUT + GONE_AFTER;
        Ok(Box::new(
            write::PostgresTransaction::begin(&self.writer, patience, &self.shared).await?,
        ))
    }

    async fn read(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let patience = READ_TIMEOUT + GONE_AFTER;
        Ok(Box::new(
            read::PostgresSnapshot::begin(&self.readers, patience).await?,
        ))
    }
}
