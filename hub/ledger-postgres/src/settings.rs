//! Where the ledger is, and how long it is waited for.

use std::fmt;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use truc_ledger::StoreError;

/// The schema the tables stand in when nothing else is said.
pub const SCHEMA: &str = "truc";

/// Longest name of a schema, in bytes, as PostgreSQL has it.
pub const SCHEMA_NAME_MAX: usize = 63;

/// Most connections that read.
pub const READERS_LIMIT: u32 = 64;

/// How many connections read when nothing else is said.
pub const READERS_DEFAULT: u32 = 8;

/// Longest wait for a connection: the server restarts, or all are in use.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// Longest wait for the turn to write, while other hubs write.
pub const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a writing transaction may do nothing before the server ends it, so that a hub that stands still or a
/// machine that is gone does not keep the others from writing.
pub const TRANSACTION_IDLE_MAX: Duration = Duration::from_secs(5);

/// Longest statement of a writer, waiting for its turn included.
pub(crate) const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Longest statement of a reader: `truc ledger verify` compares whole tables in one.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How long a reader may do nothing: `truc ledger verify` reckons between its pages.
pub(crate) const PICTURE_IDLE_MAX: Duration = Duration::from_secs(10 * 60);

/// How much longer than the server an answer is waited for, before the server is taken for gone.
pub(crate) const GONE_AFTER: Duration = Duration::from_secs(15);

/// Where the ledger is.
#[derive(Clone)]
pub struct PostgresSettings {
    /// `postgres://user@host:port/database?sslmode=verify-full&sslrootcert=/etc/…`.
    pub url: String,
    /// The password, when the address has none: from a file that the hub alone may read.
    pub password: Option<String>,
    /// The schema the tables stand in; letters, digits and `_`, in lower case.
    pub schema: String,
    /// Connections that read beside the one that writes, 1 to [`READERS_LIMIT`].
    pub readers_max: u32,
    /// See [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// See [`TURN_TIMEOUT`].
    pub turn_timeout: Duration,
    /// See [`TRANSACTION_IDLE_MAX`].
    pub transaction_idle_max: Duration,
    /// Shown by the server beside each connection: which hub it is.
    pub application: String,
}

impl PostgresSettings {
    /// With everything but the address as it is when nothing else is said.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            password: None,
            schema: SCHEMA.to_owned(),
            readers_max: READERS_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT,
            turn_timeout: TURN_TIMEOUT,
            transaction_idle_max: TRANSACTION_IDLE_MAX,
            application: "truc".to_owned(),
        }
    }

    /// How to connect, whatever for.
    ///
    /// # Errors
    /// [`StoreError::Backend`] when the address or the schema's name cannot be used.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        if !is_schema(&self.schema) {
            let what = "a schema's name has a-z, 0-9 and _, first a letter, at most 63 bytes";
            return Err(StoreError::Backend(what.into()));
        }
        let mut options =
            PgConnectOptions::from_str(&self.url).map_err(|error| StoreError::Backend(error.into()))?;
        if let Some(password) = &self.password {
            options = options.password(password);
        }
        Ok(options.application_name(&self.application).options([
            // Nothing of another schema takes the place of a table.
            ("search_path", self.schema.as_str()),
            // A commit has reached the disk when it returns, whatever the server's own setting.
            ("synchronous_commit", "on"),
            // A connection whose other end is gone is noticed within half a minute, and its turn is free.
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
            // Compiling takes longer than any statement here.
            ("jit", "off"),
        ]))
    }

    /// The writer only looks rows up by their keys. So it is told: a plan is made once for each statement and
    /// never depends on how full the tables were then, or on statistics that are not there yet.
    pub(crate) fn writer(&self) -> Result<PgConnectOptions, StoreError> {
        Ok(self.options()?.options([
            ("statement_timeout", millis(WRITE_TIMEOUT).as_str()),
            ("lock_timeout", millis(self.turn_timeout).as_str()),
            (
                "idle_in_transaction_session_timeout",
                millis(self.transaction_idle_max).as_str(),
            ),
            // It takes turns: the tables' triggers take none for it.
            ("truc.turn", "taken"),
            ("plan_cache_mode", "force_generic_plan"),
            ("enable_seqscan", "off"),
            ("enable_hashjoin", "off"),
            ("enable_mergejoin", "off"),
        ]))
    }

    pub(crate) fn reader(&self) -> Result<PgConnectOptions, StoreError> {
        Ok(self.options()?.options([
            ("statement_timeout", millis(READ_TIMEOUT).as_str()),
            ("lock_timeout", millis(self.turn_timeout).as_str()),
            (
                "idle_in_transaction_session_timeout",
                millis(PICTURE_IDLE_MAX).as_str(),
            ),
            // A slip in a query must not be able to write past the one writer.
            ("default_transaction_read_only", "on"),
        ]))
    }

    /// Says where the ledger is, without the password.
    #[must_use]
    pub fn place(&self) -> String {
        match self.options() {
            Ok(options) => {
                let host = options.get_socket().map_or_else(
                    || format!("{}:{}", options.get_host(), options.get_port()),
                    |socket| socket.display().to_string(),
                );
                let database = options.get_database().unwrap_or_else(|| options.get_username());
                format!("{host}/{database}")
            }
            Err(_) => "postgres".to_owned(),
        }
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSettings")
            .field("place", &self.place())
            .field("schema", &self.schema)
            .field("readers_max", &self.readers_max)
            .finish_non_exhaustive()
    }
}

fn millis(of: Duration) -> String {
    of.as_millis().to_string()
}

fn is_schema(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= SCHEMA_NAME_MAX
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let mut settings = PostgresSettings::new("postgres://truc:bi-mat@csdl.tinh.vn:5433/so_cai");
        settings.password = Some("bi-mat".to_owned());
        let printed = format!("{settings:?} {}", settings.place());
        assert!(printed.contains("csdl.tinh.vn:5433/so_cai"), "{printed}");
        assert!(!printed.contains("bi-mat"), "{printed}");
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        let longest = "s".repeat(SCHEMA_NAME_MAX);
        for good in ["truc", "truc_2", longest.as_str()] {
            assert!(is_schema(good), "{good}");
        }
        let longer = "s".repeat(SCHEMA_NAME_MAX + 1);
        for bad in ["", "Truc", "2", "a,public", "a b", "a\"b", longer.as_str()] {
            assert!(!is_schema(bad), "{bad}");
        }
        let mut settings = PostgresSettings::new("postgres://truc@localhost/truc");
        settings.schema = "a b".to_owned();
        assert!(settings.options().is_err());
    }
}
