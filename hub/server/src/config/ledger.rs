//! The section `[ledger]`: which back end, where, and how the writer groups its work.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use truc_ledger_postgres::{READERS_LIMIT, SCHEMA_NAME_MAX};

/// The ledger.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The back end.
    pub kind: LedgerKind,
    /// The database file of SQLite.
    pub path: PathBuf,
    /// The database of PostgreSQL: `postgres://user@host:port/database?sslmode=…`, without a password.
    pub url: String,
    /// File with its password; empty takes `TRUC_LEDGER_PASSWORD`, and none when there is none.
    pub password_file: PathBuf,
    /// The schema its tables stand in.
    pub schema: String,
    /// Connections that read beside the one that writes.
    pub readers_max: u32,
    /// Longest wait for a connection.
    pub connect_timeout_ms: u64,
    /// Longest wait for the turn to write while other hubs write.
    pub turn_timeout_ms: u64,
    /// Submissions a transaction.
    pub batch_max: usize,
    /// Commands waiting for the writer.
    pub queue_max: usize,
}

/// The ledger's back end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerKind {
    /// The embedded default: one file, one hub.
    Sqlite,
    /// A server: several hubs on one ledger.
    Postgres,
}

impl Ledger {
    /// The file it lies in, when it is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self.kind {
            LedgerKind::Sqlite => Some(&self.path),
            LedgerKind::Postgres => None,
        }
    }

    /// Where it is, for people; never with a password.
    #[must_use]
    pub fn place(&self) -> String {
        match self.kind {
            LedgerKind::Sqlite => self.path.display().to_string(),
            LedgerKind::Postgres => self.url.clone(),
        }
    }
}

pub(super) fn make_absolute(ledger: &mut Ledger, folder: &Path) {
    for path in [&mut ledger.path, &mut ledger.password_file] {
        if !path.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    }
}

/// What makes no sense: key and what would be right.
pub(super) fn problems(ledger: &Ledger) -> Vec<(&'static str, &'static str)> {
    let mut problems = Vec::new();
    let mut ask = |holds: bool, key, problem| {
        if !holds {
            problems.push((key, problem));
        }
    };
    ask(ledger.batch_max > 0, "ledger.batch_max", "is at least 1");
    ask(ledger.queue_max > 0, "ledger.queue_max", "is at least 1");
    ask(
        (1..=READERS_LIMIT).contains(&ledger.readers_max),
        "ledger.readers_max",
        "is from 1 to 64",
    );
    ask(
        (100..=600_000).contains(&ledger.connect_timeout_ms),
        "ledger.connect_timeout_ms",
        "is from 100 to 600000",
    );
    ask(
        (100..=50_000).contains(&ledger.turn_timeout_ms),
        "ledger.turn_timeout_ms",
        "is from 100 to 50000",
    );
    if ledger.kind == LedgerKind::Sqlite {
        return problems;
    }
    let url = &ledger.url;
    ask(
        url.starts_with("postgres://") || url.starts_with("postgresql://"),
        "ledger.url",
        "begins with postgres://, as in postgres://truc@host:5432/truc?sslmode=verify-full",
    );
    let after = url.split_once("://").map_or("", |(_, rest)| rest);
    let user = after.split_once('@').map_or("", |(user, _)| user);
    ask(
        !user.is_empty(),
        "ledger.url",
        "names the user: postgres://truc@host:5432/truc",
    );
    ask(
        !user.contains(':') && !url.contains("password="),
        "ledger.url",
        "holds a password; put it into password_file or TRUC_LEDGER_PASSWORD",
    );
    ask(
        is_sealed(url),
        "ledger.url",
        "leads to another machine in the clear: say sslmode=verify-full (and sslrootcert=… for an authority of one's own)",
    );
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    ask(
        ledger.schema.len() <= SCHEMA_NAME_MAX
            && ledger.schema.bytes().all(plain)
            && ledger
                .schema
                .bytes()
                .next()
                .is_some_and(|b| b.is_ascii_lowercase()),
        "ledger.schema",
        "has a-z, 0-9 and _, first a letter, at most 63",
    );
    problems
}

/// Whether nobody on the way can read along or answer instead: the other end is this machine, or is verified.
fn is_sealed(url: &str) -> bool {
    let rest = url.split_once('@').map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let here = name.is_empty()
        || ["localhost", "127.0.0.1", "[::1]"].contains(&name)
        // A socket of this machine.
        || name.starts_with("%2F")
        || name.starts_with("%2f");
    here || url.contains("sslmode=verify-full") || url.contains("sslmode=verify-ca")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load;

    fn postgres(change: impl FnOnce(&mut Ledger)) -> Vec<&'static str> {
        let mut ledger = load(None).unwrap().config.ledger;
        ledger.kind = LedgerKind::Postgres;
        ledger.url = "postgres://truc@db.tinh.vn:5432/truc?sslmode=verify-full".to_owned();
        change(&mut ledger);
        problems(&ledger).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_database_is_named_sealed_and_without_a_password() {
        assert_eq!(postgres(|_| {}), [""; 0]);
        for url in [
            "",
            "mysql://truc@localhost/truc",
            "postgres://db.tinh.vn/truc?sslmode=verify-full",
            "postgres://truc:mat@localhost/truc",
            "postgres://truc@localhost/truc?password=mat",
            "postgres://truc@db.tinh.vn/truc",
            "postgres://truc@db.tinh.vn/truc?sslmode=require",
        ] {
            assert!(
                postgres(|l| l.url = url.to_owned()).contains(&"ledger.url"),
                "{url}"
            );
        }
        for url in [
            "postgres://truc@localhost/truc",
            "postgresql://truc@127.0.0.1:5433/truc",
            "postgres://truc@%2Fvar%2Frun%2Fpostgresql/truc",
            "postgres://truc@db/truc?sslmode=verify-ca&sslrootcert=/etc/ca.pem",
        ] {
            assert_eq!(postgres(|l| l.url = url.to_owned()), [""; 0], "{url}");
        }
    }

    #[test]
    fn numbers_have_their_edges() {
        let edge = |change: fn(&mut Ledger), key: &str| {
            assert_eq!(postgres(change), [key]);
        };
        edge(|l| l.readers_max = 0, "ledger.readers_max");
        edge(|l| l.readers_max = READERS_LIMIT + 1, "ledger.readers_max");
        assert_eq!(postgres(|l| l.readers_max = READERS_LIMIT), [""; 0]);
        edge(|l| l.turn_timeout_ms = 50_001, "ledger.turn_timeout_ms");
        edge(|l| l.connect_timeout_ms = 99, "ledger.connect_timeout_ms");
        edge(|l| l.schema = "Truc".to_owned(), "ledger.schema");
        edge(|l| l.batch_max = 0, "ledger.batch_max");
    }

    #[test]
    fn a_file_needs_no_address() {
        let ledger = load(None).unwrap().config.ledger;
        assert!(ledger.url.is_empty());
        assert!(problems(&ledger).is_empty());
        assert_eq!(ledger.file(), Some(ledger.path.as_path()));
    }
}
