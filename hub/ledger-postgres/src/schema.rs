//! Versions of the tables, and the way from one to the next.

use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use truc_ledger::StoreError;

use crate::fault::store_error;
use crate::settings::PostgresSettings;

/// The steps, in order: the n-th leads from version n to n + 1. A step that was released never changes.
const STEPS: &[&str] = &[
    include_str!("migrations/0001.sql"),
    include_str!("migrations/0002.sql"),
];

/// The version this program reads and writes.
pub const SCHEMA_VERSION: i64 = STEPS.len() as i64;

/// The oldest server this is tested with (`server_version_num`).
pub(crate) const SERVER_MIN: i32 = 150_000;

/// What a migration did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migrated {
    /// The version found; 0 for a new ledger.
    pub from: i64,
    /// The version now.
    pub to: i64,
}

/// Reads the version, as [`version`] does, of a server that can keep a ledger.
pub(crate) async fn usable_version(settings: &PostgresSettings) -> Result<i64, StoreError> {
    let mut connection = settings.options()?.connect().await.map_err(store_error)?;
    usable(&mut connection).await?;
    let found = find(&mut connection, &settings.schema).await?;
    connection.close().await.map_err(store_error)?;
    Ok(found)
}

/// Reads the version: 0 when there are no tables.
pub(crate) async fn version(settings: &PostgresSettings) -> Result<i64, StoreError> {
    let mut connection = settings.options()?.connect().await.map_err(store_error)?;
    let found = find(&mut connection, &settings.schema).await?;
    connection.close().await.map_err(store_error)?;
    Ok(found)
}

async fn find(db: &mut PgConnection, schema: &str) -> Result<i64, StoreError> {
    let marked: bool = sqlx::query_scalar("SELECT to_regclass('ledger_version') IS NOT NULL")
        .fetch_one(&mut *db)
        .await
        .map_err(store_error)?;
    if marked {
        return sqlx::query_scalar("SELECT version FROM ledger_version")
            .fetch_one(db)
            .await
            .map_err(store_error);
    }
    let tables: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_class WHERE relnamespace = to_regnamespace($1)::oid")
            .bind(schema)
            .fetch_one(db)
            .await
            .map_err(store_error)?;
    if tables > 0 {
        let what = "the schema has tables of another program".to_owned();
        return Err(StoreError::Damaged(what));
    }
    Ok(0)
}

/// Takes all missing steps in one transaction: after a crash the tables are either old or new. Of several hubs that
/// start at once one does it, and the others find it done.
pub(crate) async fn migrate(settings: &PostgresSettings) -> Result<Migrated, StoreError> {
    let mut connection = settings.options()?.connect().await.map_err(store_error)?;
    let mut transaction = connection.begin().await.map_err(store_error)?;
    usable(&mut transaction).await?;
    sqlx::query("SELECT pg_advisory_xact_lock(1416787299, hashtext($1))")
        .bind(&settings.schema)
        .execute(&mut *transaction)
        .await
        .map_err(store_error)?;
    let from = find(&mut transaction, &settings.schema).await?;
    let missing = usize::try_from(from).ok().and_then(|from| STEPS.get(from..));
    let Some(missing) = missing else {
        return Err(StoreError::Schema {
            found: from,
            expected: SCHEMA_VERSION,
        });
    };
    if from == 0 {
        // The name is one of a-z, 0-9 and _ alone: see PostgresSettings.
        let schema = &settings.schema;
        let make = format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; \
             CREATE TABLE ledger_version (one boolean PRIMARY KEY DEFAULT true CHECK (one), version bigint NOT NULL); \
             INSERT INTO ledger_version (version) VALUES (0)"
        );
        transaction
            .execute(sqlx::raw_sql(AssertSqlSafe(make)))
            .await
            .map_err(store_error)?;
    }
    for step in missing {
        transaction
            .execute(sqlx::raw_sql(*step))
            .await
            .map_err(store_error)?;
    }
    if !missing.is_empty() {
        sqlx::query("UPDATE ledger_version SET version = $1")
            .bind(SCHEMA_VERSION)
            .execute(&mut *transaction)
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

/// Whether the server can keep a ledger at all: what was accepted is kept only where flushing is on.
pub(crate) async fn usable(db: &mut PgConnection) -> Result<(), StoreError> {
    let (version, fsync, commit, encoding, pages): (i32, String, String, String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('fsync'), \
         current_setting('synchronous_commit'), current_setting('server_encoding'), \
         current_setting('full_page_writes')",
    )
    .fetch_one(db)
    .await
    .map_err(store_error)?;
    let refuse = |why: String| Err(StoreError::Backend(why.into()));
    if version < SERVER_MIN {
        return refuse(format!(
            "PostgreSQL 15 or newer is needed, this server is {version}"
        ));
    }
    if fsync != "on" {
        return refuse(
            "the server runs with fsync = off: what it says is kept would be lost with the power".to_owned(),
        );
    }
    if commit != "on" {
        return refuse(format!("synchronous_commit is {commit} on this connection"));
    }
    if encoding != "UTF8" {
        return refuse(format!("the database's encoding is {encoding}, it must be UTF8"));
    }
    if pages != "on" {
        tracing::warn!(
            "the database's server runs with full_page_writes = off: right only on a file system that never \
             writes half a page"
        );
    }
    Ok(())
}
