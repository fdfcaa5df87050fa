//! One connection for one transaction: one of those that read, or the one that writes; bounded in time, and never given
//! back half done.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::{Mutex, OwnedMutexGuard};
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

/// The connection that writes, between its transactions. It does not go back to its pool: that would ask the server once
/// more whether it is alive, and be done by another task.
pub(crate) type Writer = Arc<Mutex<Option<PoolConnection<Postgres>>>>;

/// Where the connection of a session goes at its end.
enum Held {
    /// To its pool.
    Reader(Option<PoolConnection<Postgres>>),
    /// It stays; there is one.
    Writer(OwnedMutexGuard<Option<PoolConnection<Postgres>>>),
}

impl Held {
    fn slot(&mut self) -> &mut Option<PoolConnection<Postgres>> {
        match self {
            Self::Reader(connection) => connection,
            Self::Writer(kept) => kept,
        }
    }

    fn close(mut self) {
        if let Some(mut connection) = self.slot().take() {
            connection.close_on_drop();
        }
    }

    async fn roll_back(mut self) {
        // Not in its place meanwhile: nobody may get it half rolled back.
        let Some(mut connection) = self.slot().take() else {
            return;
        };
        let rollback = sqlx::raw_sql("ROLLBACK").execute(&mut *connection);
        if matches!(timeout(ROLLBACK_MAX, rollback).await, Ok(Ok(_))) {
            *self.slot() = Some(connection);
        } else {
            connection.close_on_drop();
        }
    }
}

/// Where a session's connection comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'s> {
    /// One of those that read.
    Readers(&'s PgPool),
    /// The one that writes, once the transaction before has ended; from its pool when there is none.
    Writer(&'s Writer, &'s PgPool),
}

impl Source<'_> {
    async fn take(self) -> Result<Held, StoreError> {
        match self {
            Self::Readers(pool) => Ok(Held::Reader(Some(pool.acquire().await.map_err(store_error)?))),
            Self::Writer(writer, pool) => {
                let mut kept = Arc::clone(writer).lock_owned().await;
                if kept.is_none() {
                    *kept = Some(pool.acquire().await.map_err(store_error)?);
                }
                Ok(Held::Writer(kept))
            }
        }
    }
}

/// A connection inside a transaction. Dropped, it rolls back.
pub(crate) struct Session {
    /// Taken out at the end.
    held: Option<Held>,
    /// How long one answer is waited for. The server gives up earlier: this is for a server that is no more.
    patience: Duration,
    /// A statement failed, or was not waited for: nobody knows where the connection stands.
    broken: bool,
}

impl Session {
    /// Takes a connection and runs `begin`, statements in one round trip. Gives the rows of all of them.
    pub(crate) async fn begin(
        of: Source<'_>,
        begin: &'static str,
        patience: Duration,
    ) -> Result<(Self, Vec<PgRow>), StoreError> {
        let mut stale = 0;
        loop {
            let mut session = Self {
                held: Some(of.take().await?),
                patience,
                broken: false,
            };
            let begun = session
                .answered(async |db| sqlx::raw_sql(begin).fetch_all(db).await)
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
        self.answered(async |db| sqlx::raw_sql(statement).execute(db).await)
            .await?;
        after();
        self.held.take();
        Ok(())
    }

    async fn answered<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        let Some(connection) = self.held.as_mut().and_then(|held| held.slot().as_deref_mut()) else {
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
        let Some(held) = self.held.take() else {
            return;
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !self.broken => {
                runtime.spawn(held.roll_back());
            }
            // Closing rolls back as well, whatever state an error left it in.
            _ => held.close(),
        }
    }
}

/// Runs a statement and reads its rows.
pub(crate) async fn all<T>(
    db: &mut Session,
    statement: Statement<'_>,
    read: impl Fn(&PgRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let rows = db.answered(async |db| statement.fetch_all(db).await).await?;
    rows.iter().map(read).collect()
}

/// Runs a statement that changes rows; gives how many.
pub(crate) async fn run(db: &mut Session, statement: Statement<'_>) -> Result<u64, StoreError> {
    let done = db.answered(async |db| statement.execute(db).await).await?;
    tracing::trace!(rows = done.rows_affected(), "ledger rows saved");
    Ok(done.rows_affected())
}
