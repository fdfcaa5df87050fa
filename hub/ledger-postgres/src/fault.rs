//! What PostgreSQL reports, sorted by who must act.

use truc_ledger::StoreError;

/// Classes and codes of SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
mod sqlstate {
    pub(super) const DISK_FULL: &str = "53100";
    pub(super) const INSUFFICIENT_RESOURCES: &str = "53";
    pub(super) const SYSTEM_ERROR: &str = "58";
    pub(super) const DATA_CORRUPTED: &str = "XX001";
    pub(super) const INDEX_CORRUPTED: &str = "XX002";
    pub(super) const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub(super) const QUERY_CANCELED: &str = "57014";
    pub(super) const ROLLBACK: &str = "40";
    pub(super) const OPERATOR: &str = "57";
    pub(super) const CONNECTION: &str = "08";
    pub(super) const AUTHORIZATION: &str = "28";
    pub(super) const NO_SUCH_DATABASE: &str = "3D000";
    /// The session was ended because it did nothing for too long in its transaction.
    pub(super) const IDLE_IN_TRANSACTION: &str = "25P03";
    /// The server is a standby, or was made one.
    pub(super) const READ_ONLY: &str = "25006";
}

/// Sorts an error of the driver.
pub(crate) fn store_error(error: sqlx::Error) -> StoreError {
    use sqlx::Error;
    let code = match &error {
        Error::Database(database) => database.code().map(std::borrow::Cow::into_owned),
        // The pool waits for a server that does not answer until its time is up. What the check of a new connection
        // finds wrong (flushing turned off, another server after a failover) comes as a matter of configuration: no
        // submission is to blame.
        Error::PoolTimedOut
        | Error::Configuration(_)
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WorkerCrashed => {
            return StoreError::Unreachable(error.into());
        }
        Error::ColumnDecode { .. } | Error::Decode(_) => return StoreError::Damaged(error.to_string()),
        _ => None,
    };
    match code.as_deref() {
        Some(sqlstate::DISK_FULL) => StoreError::Full(error.into()),
        Some(sqlstate::DATA_CORRUPTED | sqlstate::INDEX_CORRUPTED) => StoreError::Damaged(error.to_string()),
        Some(sqlstate::LOCK_NOT_AVAILABLE | sqlstate::QUERY_CANCELED) => StoreError::Busy(error.into()),
        Some(sqlstate::IDLE_IN_TRANSACTION | sqlstate::READ_ONLY | sqlstate::NO_SUCH_DATABASE) => {
            StoreError::Unreachable(error.into())
        }
        Some(code) => match code.get(..2) {
            Some(sqlstate::INSUFFICIENT_RESOURCES | sqlstate::ROLLBACK) => StoreError::Busy(error.into()),
            Some(sqlstate::SYSTEM_ERROR) => StoreError::Io(error.into()),
            Some(sqlstate::OPERATOR | sqlstate::CONNECTION | sqlstate::AUTHORIZATION) => {
                StoreError::Unreachable(error.into())
            }
            _ => StoreError::Backend(error.into()),
        },
        None => StoreError::Backend(error.into()),
    }
}
