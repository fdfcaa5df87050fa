//! What a command answers: a page for people, a value for programs, and an exit code; or why it could not
//! run and what to do next.
//!
//! Commands build their answer and print nothing, so that tests read what a terminal would show. Only
//! what runs long (`serve`, `demo`, the progress of `ledger verify`) writes by itself.

use std::io::Write as _;
use std::process::ExitCode;

use serde::Serialize;
use serde_json::Value;

use crate::app::AppError;
use crate::config::ConfigError;
use crate::telemetry::chain;

/// How a command ended. The numbers are a contract for scripts (`docs/reference/commands.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: done, nothing to object to.
    Fine,
    /// 1: it ran, and the answer is no: a finding, a fault, a balance that does not add up.
    Finding,
    /// 2: it could not run: wrong usage, no configuration, no ledger, no broker.
    CannotRun,
}

impl Exit {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Fine => 0,
            Self::Finding => 1,
            Self::CannotRun => 2,
        }
    }

    /// [`Exit::Fine`] when `holds`, else [`Exit::Finding`].
    #[must_use]
    pub const fn unless_finding(holds: bool) -> Self {
        if holds { Self::Fine } else { Self::Finding }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// What a command found out.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// For people; ends without a line end.
    pub text: String,
    /// For programs. Null when the command has told everything by itself.
    pub json: Value,
    /// How the command ended.
    pub exit: Exit,
}

impl Answer {
    /// A good answer.
    ///
    /// # Errors
    /// [`Trouble`] when the value has no JSON form: a defect of this program.
    pub fn fine(text: impl Into<String>, json: &impl Serialize) -> Result<Self, Trouble> {
        Self::ending(Exit::Fine, text, json)
    }

    /// An answer with its exit code.
    ///
    /// # Errors
    /// As [`Answer::fine`].
    pub fn ending(exit: Exit, text: impl Into<String>, json: &impl Serialize) -> Result<Self, Trouble> {
        let json = serde_json::to_value(json).map_err(|error| {
            Trouble::new(
                format!("the answer has no JSON form: {error}"),
                "report this as a defect of the program",
            )
        })?;
        Ok(Self {
            text: text.into(),
            json,
            exit,
        })
    }

    /// Of a command that has told everything by itself.
    #[must_use]
    pub const fn told(exit: Exit) -> Self {
        Self {
            text: String::new(),
            json: Value::Null,
            exit,
        }
    }

    /// Writes it to standard output, in the form asked for. A reader that went away (`truc … | head`) is
    /// no error: there is no one left to tell.
    pub fn print(&self, json: bool) {
        let text = match &self.json {
            Value::Null => String::new(),
            value if json => pretty(value),
            _ => self.text.clone(),
        };
        if !text.is_empty() {
            // Ignored on purpose, see above.
            let _ = writeln!(std::io::stdout(), "{text}");
        }
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

/// Why a command could not run, and the next step. Exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n→ {next}")]
pub struct Trouble {
    /// One line: what is wrong, with its causes.
    pub what: String,
    /// One line: what to do.
    pub next: String,
}

impl Trouble {
    /// From words.
    #[must_use]
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            next: next.into(),
        }
    }

    /// From an error and its causes.
    #[must_use]
    pub fn of(error: &dyn std::error::Error, next: impl Into<String>) -> Self {
        // Some parsers end their text with a line end; an error is two lines.
        Self::new(chain(error).trim_end(), next)
    }

    /// A file that cannot be read.
    #[must_use]
    pub fn reading(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            format!("cannot read {}: {error}", path.display()),
            "check the path and its permissions",
        )
    }

    /// A file that cannot be written.
    #[must_use]
    pub fn writing(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::new(
            format!("cannot write {}: {error}", path.display()),
            "check that the folder exists, is writable, and has space",
        )
    }

    /// Tells it on standard error.
    pub fn print(&self) {
        // Ignored on purpose: standard error is the last place to complain to.
        let _ = writeln!(std::io::stderr(), "error: {self}");
    }
}

impl From<ConfigError> for Trouble {
    fn from(error: ConfigError) -> Self {
        let next = match &error {
            ConfigError::Read { .. } => "give the file's path with --config or TRUC_CONFIG",
            ConfigError::Parse { .. } => {
                "correct the file; every key and its default stands in `truc check-config --print`"
            }
            ConfigError::Values(_) => "correct these keys; `truc check-config` lists all problems at once",
        };
        Self::of(&error, next)
    }
}

impl From<AppError> for Trouble {
    fn from(error: AppError) -> Self {
        let next = match &error {
            AppError::Ledger(error) => return Self::from(error.clone()),
            AppError::Broker(_) => "`truc doctor` looks at the broker and says what is missing",
            AppError::Name(_) => {
                "give each hub its own hub.name; a hub that was killed a moment ago is gone in ten seconds"
            }
            AppError::NoPassword | AppError::PasswordFile { .. } | AppError::LedgerPassword { .. } => {
                "write the password into a file only the hub can read and name it in the configuration"
            }
            AppError::Deadlines(_) => "correct limits.calendar and limits.file in the configuration",
            AppError::TrustFile { .. } | AppError::Trust(_) => {
                "correct seal.anchors and seal.crls in the configuration"
            }
            AppError::Directory(_) => "restore the ledger from its backup, or import the directory again",
            AppError::Bodies(_) => {
                "correct [bodies] in the configuration; the log names the file, address or bucket"
            }
            AppError::BrokerCa { .. } => {
                "name in broker.ca a PEM file with the authority of the broker's certificate"
            }
            AppError::Url(_) => "correct broker.url in the configuration",
            AppError::Deliver(_) | AppError::Task(_) | AppError::PartEnded => {
                "see the log; the hub can be started again, nothing accepted is lost"
            }
        };
        Self::of(&error, next)
    }
}

impl From<truc_ledger::LedgerError> for Trouble {
    fn from(error: truc_ledger::LedgerError) -> Self {
        use truc_ledger::{LedgerError, StoreError};
        let next = match &error {
            LedgerError::Store(store) => match &**store {
                StoreError::Schema { found, expected } if found < expected => {
                    "check ledger.path; `truc migrate`, with the hub stopped, makes a ledger or updates its tables"
                }
                StoreError::Schema { .. } => "this ledger was written by a newer program: use that one",
                StoreError::Full(_) => "make room on the ledger's disk",
                StoreError::Io(_) => "look at the disk and its file system before anything else",
                StoreError::Busy(_) => {
                    "another program holds the ledger; try again, or see what it is with `fuser`"
                }
                StoreError::Unreachable(_) => {
                    "see whether PostgreSQL runs and can be reached from here; check ledger.url and ledger.password_file"
                }
                StoreError::Damaged(_) => {
                    "stop the hub, keep the file, restore from the backup, then `truc ledger verify`"
                }
                StoreError::Backend(_) => {
                    "check ledger.path in the configuration, and its permissions; a new ledger is made by `truc migrate`"
                }
            },
            LedgerError::DirectoryMoved { .. } | LedgerError::DirectoryVersion { .. } => {
                "someone changed the directory meanwhile: run the command again and look at the preview"
            }
            LedgerError::UnknownDocument => "find it with `truc document list --number …`",
            LedgerError::TooMany { .. } => "ask for less at once",
            LedgerError::Closed | LedgerError::NoFinding | LedgerError::Contradiction(_) => {
                "report this as a defect of the program"
            }
        };
        Self::of(&error, next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_a_contract() {
        assert_eq!(
            [Exit::Fine, Exit::Finding, Exit::CannotRun].map(Exit::number),
            [0, 1, 2]
        );
        assert_eq!(Exit::unless_finding(true), Exit::Fine);
        assert_eq!(Exit::unless_finding(false), Exit::Finding);
    }

    #[test]
    fn a_trouble_says_what_and_next() {
        let trouble = Trouble::from(ConfigError::Read {
            path: "missing.toml".into(),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        });
        assert_eq!(trouble.to_string().lines().count(), 2, "{trouble}");
        assert!(
            trouble.to_string().starts_with("cannot read missing.toml: "),
            "{trouble}"
        );
        let trouble = Trouble::from(truc_ledger::LedgerError::from(truc_ledger::StoreError::Schema {
            found: 0,
            expected: 1,
        }));
        assert!(trouble.next.contains("truc migrate"), "{trouble}");
    }
}
