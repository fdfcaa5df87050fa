//! Where the ledger's rows are: the one place that knows which back end the configuration names.

use std::sync::Arc;
use std::time::Duration;

use truc_ledger::{LedgerError, Store};
use truc_ledger_postgres::{PostgresSettings, PostgresStore};
use truc_ledger_sqlite::SqliteStore;

use crate::app::AppError;
use crate::config::{Config, LedgerKind};

/// The variable that has the database's password when no file is named.
const PASSWORD: &str = "TRUC_LEDGER_PASSWORD";

/// Opens the ledger's store, without starting its writer.
///
/// # Errors
/// [`AppError::Ledger`] when it cannot be opened or its schema is another version's,
/// [`AppError::LedgerPassword`].
pub async fn open(config: &Config) -> Result<Arc<dyn Store>, AppError> {
    Ok(match config.ledger.kind {
        LedgerKind::Sqlite => Arc::new(
            SqliteStore::open(&config.ledger.path)
                .await
                .map_err(LedgerError::from)?,
        ),
        LedgerKind::Postgres => Arc::new(
            PostgresStore::open(&postgres(config)?)
                .await
                .map_err(LedgerError::from)?,
        ),
    })
}

/// Creates the ledger's tables, or brings them to this program's version. Gives the version found, 0 for none, and
/// the one now.
///
/// # Errors
/// As [`open`].
pub async fn migrate(config: &Config) -> Result<(i64, i64), AppError> {
    Ok(match config.ledger.kind {
        LedgerKind::Sqlite => {
            let done = SqliteStore::migrate(&config.ledger.path)
                .await
                .map_err(LedgerError::from)?;
            (done.from, done.to)
        }
        LedgerKind::Postgres => {
            let done = PostgresStore::migrate(&postgres(config)?)
                .await
                .map_err(LedgerError::from)?;
            (done.from, done.to)
        }
    })
}

/// The version of the ledger's tables: 0 when there are none.
///
/// # Errors
/// As [`open`].
pub async fn schema_version(config: &Config) -> Result<i64, AppError> {
    Ok(match config.ledger.kind {
        LedgerKind::Sqlite => SqliteStore::schema_version(&config.ledger.path)
            .await
            .map_err(LedgerError::from)?,
        LedgerKind::Postgres => PostgresStore::schema_version(&postgres(config)?)
            .await
            .map_err(LedgerError::from)?,
    })
}

/// How PostgreSQL is reached.
///
/// # Errors
/// [`AppError::LedgerPassword`] when the password's file does not read.
pub fn postgres(config: &Config) -> Result<PostgresSettings, AppError> {
    let ledger = &config.ledger;
    let password = if ledger.password_file.as_os_str().is_empty() {
        std::env::var(PASSWORD).ok()
    } else {
        let text = std::fs::read_to_string(&ledger.password_file);
        Some(text.map_err(|source| AppError::LedgerPassword {
            path: ledger.password_file.clone(),
            source,
        })?)
    };
    let password = password.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    Ok(PostgresSettings {
        password: password.filter(|text| !text.is_empty()),
        schema: ledger.schema.clone(),
        readers_max: ledger.readers_max,
        connect_timeout: Duration::from_millis(ledger.connect_timeout_ms),
        turn_timeout: Duration::from_millis(ledger.turn_timeout_ms),
        application: format!("truc {}", config.hub.name),
        ..PostgresSettings::new(&ledger.url)
    })
}
