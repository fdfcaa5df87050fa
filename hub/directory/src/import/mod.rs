//! Imports from CSV: a file in, a report and the next version out. Nothing is written anywhere: whoever
//! calls shows the report, and stores `next` or does not.
//!
//! Columns and rules: `docs/reference/directory.md`.

mod agencies;
mod agency_row;
mod display;
pub(crate) mod sheet;
mod systems;
pub(crate) mod text;

pub use agencies::import_agencies;
pub use sheet::{MAX_CSV_BYTES, MAX_ROWS};
pub use systems::import_systems;

use std::fmt;

use jiff::civil::Date;
use serde::{Serialize, Serializer};
use truc_model::{AgencyCode, AgencyId, SystemId};

use crate::problem::{Column, Problem, Severity};
use crate::snapshot::Directory;

/// What an import needs to know beside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportOptions {
    /// The day from which changes hold, usually today. What is told for the first time holds always.
    pub on: Date,
    /// The decision behind the file, for codes whose row names none.
    pub decision: Option<String>,
}

impl ImportOptions {
    /// Changes from a day on, without a decision.
    #[must_use]
    pub const fn on(on: Date) -> Self {
        Self { on, decision: None }
    }
}

/// What a file came to. `Display` is for people (Vietnamese), `Serialize` for programs.
#[derive(Debug, Clone, Serialize)]
pub struct ImportReport {
    /// Rows in the file, header and empty ones not counted.
    pub rows: usize,
    /// Rows taken.
    pub taken: usize,
    /// What is wrong, by line.
    pub problems: Vec<Problem>,
    /// What is different.
    pub changes: Changes,
    /// The next version; the current one when nothing is different.
    #[serde(skip)]
    pub next: Directory,
}

impl ImportReport {
    /// Whether some row was left out, or the whole file.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.problems
            .iter()
            .any(|problem| problem.severity == Severity::Error)
    }
}

/// The difference between the directory and a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// New ones, in the order of the file.
    pub added: Vec<Added>,
    /// Known ones that the file tells otherwise.
    pub changed: Vec<Changed>,
    /// How many the file tells as they are.
    pub unchanged: usize,
    /// In force in the directory under a level-1 group the file speaks of, and not in the file (systems:
    /// all that are not in the file). Listed only: an import never removes or closes anything.
    pub gone: Vec<Gone>,
}

impl Changes {
    /// Whether the file brings nothing new.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty()
    }
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// An agency, with the code it is named by.
    Agency(AgencyId, AgencyCode),
    /// A system.
    System(SystemId),
    /// The province's own prefixes.
    Home,
}

/// Something new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    /// Line in the file.
    pub line: u64,
    /// What.
    pub subject: Subject,
    /// Its name.
    pub name: String,
}

/// Something told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// Line in the file.
    pub line: u64,
    /// What.
    pub subject: Subject,
    /// Its name before.
    pub name: String,
    /// Field by field.
    pub fields: Vec<FieldChange>,
}

/// One fact, old and new; `None` when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Which fact.
    pub field: Column,
    /// Before.
    pub old: Option<String>,
    /// After.
    pub new: Option<String>,
}

/// Something the file lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gone {
    /// What; an agency with the very code that is lacking.
    pub subject: Subject,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agency(_, code) => f.pad(code.as_str()),
            Self::System(id) => f.pad(id.as_str()),
            Self::Home => f.pad(systems::HOME),
        }
    }
}

/// `{"agency": "A00012", "code": "H60.31"}`, `{"system": "so-tnmt"}` or `{"system": "home"}`.
impl Serialize for Subject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Agency(id, code) => {
                serializer.collect_map([("agency", id.to_string()), ("code", code.to_string())])
            }
            Self::System(id) => serializer.collect_map([("system", id.as_str())]),
            Self::Home => serializer.collect_map([("system", systems::HOME)]),
        }
    }
}

/// Compares one fact before and after.
pub(crate) fn field_change<T: PartialEq + ToString>(
    fields: &mut Vec<FieldChange>,
    field: Column,
    old: Option<T>,
    new: Option<T>,
) {
    if old != new {
        fields.push(FieldChange {
            field,
            old: old.map(|value| value.to_string()),
            new: new.map(|value| value.to_string()),
        });
    }
}
