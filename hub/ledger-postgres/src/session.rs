//! One connection for one transaction: taken from its pool, bounded in time, and never given back half done.

use std::future::Future;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgPool, Postgres};
use tokio::time::timeout;
use truc_ledger::StoreError;

use crate::fault::store_error;
use crate::settings::READERS_LIMIT;

/// A statement with its parameters.
pub(crate) type Statement<'q> = sqlx::query::Query<'q, Postgres, PgArguments>;

/// What the pool holds may have died with the server: so often another connection is tried. No pool holds more.
const STALE_MAX: u32 = READERS_LIMIT;

/// Longest wait for a rollback before the connection is closed instead.
const ROLLBACK_MAX: Duration = Duration::from_secs(5);

/// A connection inside a transaction. Dropped, it rolls back.
pub(crate) struct Session {
    /// Taken out at the end.
    connection: Option<PoolConnection<Postgres>>,
    /// How long one answer is waited for. The server gives up earlier: this is for a server that is no more.
    patience: Duration,
    /// A statement failed, or was not waited for: nobody knows where the connection stands.
    broken: bool,
}

impl Session {
    /// Takes a connection and runs `begin`, statements in one round trip. Gives the rows of all of them.
    pub(crate) async fn begin(
        pool: &PgPool,
        begin: &'static str,
        patience: Duration,
    ) -> Result<(Self, Vec<PgRow>), StoreError> {
        let mut stale = 0;
        loop {
            let mut session = Self {
                connection: Some(pool.acquire().await.map_err(store_error)?),
                patience,
                broken: false,
            };
            let begun = session
                .answered(async |db| sqlx::raw_sql(begin).fetch_all(&mut **db).await)
                .await;
            match begun {
                Ok(rows) => return Ok((session, rows)),
                // Nothing was done yet: a connection that died in the pool is no reason to fail.
                Err(error) if is_dead(&error) && stale < STALE_MAX => stale += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Runs the statement that ends the transaction, then `after`, and gives the connection back.
    pub(crate) async fn end(
        mut self,
        statement: &'static str,
        after: impl FnOnce(),
    ) -> Result<(), StoreError> {
        self.answered(async |db| sqlx::raw_sql(statement).execute(&mut **db).await)
            .await?;
        after();
        self.connection.take();
        Ok(())
    }

    async fn answered<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PoolConnection<Postgres>) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Some(connection) = &mut self.connection else {
            return Err(StoreError::Backend("the transaction has ended".into()));
        };
        // Stays so when this future is dropped before the answer is there.
        self.broken = true;
        let answer = within(self.patience, work(connection)).await?;
        self.broken = false;
        Ok(answer)
    }
}

/// Whether the connection was found dead. A server that did not answer in time is not asked again.
fn is_dead(error: &StoreError) -> bool {
    matches!(error, StoreError::Unreachable(cause) if cause.is::<sqlx::Error>())
}

async fn within<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, StoreError> {
    match timeout(patience, work).await {
        Ok(answer) => answer.map_err(store_error),
        Err(elapsed) => Err(StoreError::Unreachable(elapsed.into())),
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.broken => {
                runtime.spawn(async move {
                    let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
                    if !matches!(timeout(ROLLBACK_MAX, rollback).await, Ok(Ok(_))) {
                        connection.close_on_drop();
                    }
                });
            }
            // Closing rolls back as well, whatever state an error left it in.
            _ => connection.close_on_drop(),
        }
    }
}

/// Runs a statement and reads its rows.
pub(crate) async fn all<T>(
    db: &mut Session,
    statement: Statement<'_>,
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = db
        .answered(async |db| statement.fetch_all(&mut **db).await)
        .await?;
    rows.iter().map(read).collect()
}

/// Runs a statement that changes rows; gives how many.
pub(crate) async fn run(db: &mut Session, statement: Statement<'_>) -> Result<u64, StoreError> {
    let done = db.answered(async |db| statement.execute(&mut **db).await).await?;
    tracing::trace!(rows = done.rows_affected(), "ledger rows saved");
    Ok(done.rows_affected())
}
