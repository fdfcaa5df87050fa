//! Versions of the tables, and the way from one to the next.

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _, Executor as _, SqliteConnection};
use truc_ledger::StoreError;

use crate::fault::store_error;

/// The steps, in order: the n-th leads from version n to n + 1. A step that was released never changes.
const STEPS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
    include_str!("migrations/0003.sql"),
    include_str!("migrations/0004.sql"),
    include_str!("migrations/0005.sql"),
    include_str!("migrations/0006.sql"),
    include_str!("migrations/0007.sql"),
    include_str!("migrations/0008.sql"),
    include_str!("migrations/0009.sql"),
    include_str!("migrations/0010.sql"),
];

/// The version this program reads and writes.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// Marks the file as a ledger (`PRAGMA application_id`): the letters `Truc`.
const APPLICATION_ID: i64 = 0x5472_7563;

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version found; 0 for a new file.
    pub from: i64,
    /// The version now.
    pub to: i64,
}

/// Reads the version of a file.
pub(crate) async fn version(options: SqliteConnectOptions) -> Result<i64, StoreError> {
    let mut connection = options.connect().await.map_err(store_error)?;
    let version = user_version(&mut connection).await?;
    connection.close().await.map_err(store_error)?;
    Ok(version)
}

async fn user_version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let application: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut *connection)
        .await
        .map_err(store_error)?;
    if tables > 0 && application != APPLICATION_ID {
        return Err(StoreError::Damaged(
            "the file is another program's database".to_owned(),
        ));
    }
    sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(connection)
        .await
        .map_err(store_error)
}

/// Takes all missing steps in one transaction: after a crash the file is either old or new.
pub(crate) async fn migrate(options: SqliteConnectOptions) -> Result<Migrated, StoreError> {
    let mut connection = options.connect().await.map_err(store_error)?;
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(store_error)?;
    let from = user_version(&mut transaction).await?;
    let missing = usize::try_from(from).ok().and_then(|from| STEPS.get(from..));
    let Some(missing) = missing else {
        return Err(StoreError::Schema {
            found: from,
            expected: SCHEMA_VERSION,
        });
    };
    for step in missing {
        transaction
            .execute(sqlx::raw_sql(*step))
            .await
            .map_err(store_error)?;
    }
    if !missing.is_empty() {
        // Pragmas take no parameters; both values are constants.
        let mark =
            format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}");
        transaction
            .execute(sqlx::raw_sql(sqlx::AssertSqlSafe(mark)))
            .await
            .map_err(store_error)?;
    }
    transaction.commit().await.map_err(store_error)?;
    connection.close().await.map_err(store_error)?;
    Ok(Migrated {
        from,
        to: SCHEMA_VERSION,
    })
}
