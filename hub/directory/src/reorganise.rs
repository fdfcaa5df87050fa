//! A reorganisation as one file: agencies merged, dissolved, split, renamed, renumbered, moved, founded, put on
//! another system, all on one day. A file in, a report and the next version out; whoever calls shows the report,
//! and stores `next` or does not. A file with an error is not to be stored at all: half a reorganisation would be
//! worse than none.
//!
//! Columns and rules: `docs/reference/directory-reorganise.md`. What waits for agencies that changed is moved by
//! the ledger, not here.

mod apply;
mod display;
mod row;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{AgencyCode, AgencyId, Sha256};

use crate::edit::Editor;
use crate::import::{FieldChange, sheet};
use crate::problem::{Column, Problem, ProblemKind, Severity};
use crate::snapshot::Directory;

/// The note a directory keeps of a reorganisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reorganisation {
    /// Its day.
    pub on: Date,
    /// Digest of the file: the same one is not taken twice.
    pub file: Sha256,
    /// The decision behind it, as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Rows of the file.
    pub rows: u32,
    /// Whether what waited for the agencies concerned was moved to their successors; that happens on the day.
    pub moved: bool,
}

impl Reorganisation {
    /// Most reorganisations of one directory.
    pub const MAX: usize = 1_000;
}

/// What to do with an agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// A new agency.
    Open,
    /// The same agency under new codes.
    Recode,
    /// A new name.
    Rename,
    /// Another parent or level.
    Move,
    /// Another system.
    Reassign,
    /// It ends; one other takes over.
    Merge,
    /// It ends; several others take over.
    Split,
    /// It ends; nobody takes over.
    Abolish,
    /// The province's own prefixes.
    Home,
}

impl Action {
    /// All of them, in the order in which a file's rows are carried out.
    pub const ALL: [Self; 9] = [
        Self::Open,
        Self::Recode,
        Self::Rename,
        Self::Move,
        Self::Reassign,
        Self::Merge,
        Self::Split,
        Self::Abolish,
        Self::Home,
    ];

    /// The word in the file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Recode => "recode",
            Self::Rename => "rename",
            Self::Move => "move",
            Self::Reassign => "reassign",
            Self::Merge => "merge",
            Self::Split => "split",
            Self::Abolish => "abolish",
            Self::Home => "home",
        }
    }

    /// What people call it; also taken in the file.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Open => "thành lập",
            Self::Recode => "cấp mã mới",
            Self::Rename => "đổi tên",
            Self::Move => "chuyển cấp",
            Self::Reassign => "đổi hệ thống",
            Self::Merge => "sáp nhập",
            Self::Split => "chia tách",
            Self::Abolish => "giải thể",
            Self::Home => "mã của tỉnh",
        }
    }

    /// From either word, in any case.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let word = word.to_lowercase();
        let mut all = Self::ALL.into_iter();
        all.find(|action| action.as_str() == word || action.label_vi() == word)
    }

    /// Whether the agency is no more afterwards.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Merge | Self::Split | Self::Abolish)
    }
}

impl Serialize for Action {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What one row does to an agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AgencyChange {
    /// Line in the file.
    pub line: u64,
    /// What it does.
    pub action: Action,
    /// Whom it concerns; `None`: the province's own prefixes.
    pub agency: Option<AgencyId>,
    /// The code by which the file names it: of a new agency its first.
    pub code: Option<AgencyCode>,
    /// Its name, on the day before.
    pub name: String,
    /// Field by field.
    pub fields: Vec<FieldChange>,
    /// Who takes over: code and name on the day.
    pub successors: Vec<(AgencyCode, String)>,
    /// The first day on which old codes are no longer forwarded (a split: held).
    pub grace_until: Option<Date>,
}

/// What a file of a reorganisation comes to. `Display` is for people (Vietnamese), `Serialize` for programs.
#[derive(Debug, Clone, Serialize)]
pub struct ReorganiseReport {
    /// Its day; `None` when the file tells none.
    pub on: Option<Date>,
    /// Digest of the file.
    pub file: Sha256,
    /// The decision behind it: the option's, else that of the first row that names one.
    pub decision: Option<String>,
    /// Rows in the file.
    pub rows: usize,
    /// Rows carried out.
    pub taken: usize,
    /// What is wrong, by line.
    pub problems: Vec<Problem>,
    /// What changes, by line.
    pub changes: Vec<AgencyChange>,
    /// The next version; the current one when nothing changes. Only to be stored when there is no error.
    #[serde(skip)]
    pub next: Directory,
}

impl ReorganiseReport {
    /// Whether it must not be stored.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.severity == Severity::Error)
    }
}

const COLUMNS: &[Column] = &[
    Column::Action,
    Column::OldCode,
    Column::NewCode,
    Column::Name,
    Column::Parent,
    Column::Level,
    Column::System,
    Column::On,
    Column::GraceUntil,
    Column::Decision,
    Column::Note,
];

/// Reads a reorganisation from CSV and makes the next version. `decision` is named where a row names none.
///
/// Never fails: what is wrong is told in the report by line.
#[must_use]
pub fn reorganise(current: &Directory, csv: &[u8], decision: Option<&str>) -> ReorganiseReport {
    let file = Sha256::of(csv);
    let mut problems = Vec::new();
    let required = [Column::Action, Column::On];
    let sheet = sheet::read(csv, COLUMNS, &required, &mut problems);
    if current.reorganisations().iter().any(|known| known.file == file) {
        problems.push(Problem::error(ProblemKind::AppliedAlready, &file.to_string()));
    }
    let rows: Vec<row::Row> = sheet
        .rows
        .iter()
        .filter_map(|row| row::read(row, decision, &mut problems))
        .collect();
    let on = rows.first().map(|row| row.on);
    let decision = decision
        .map(str::to_owned)
        .or_else(|| rows.iter().find_map(|row| row.decision.clone()));
    let mut apply = apply::Apply::new(current, Editor::new(current), problems);
    apply.all(rows);
    let apply::Done {
        mut editor,
        mut problems,
        mut changes,
    } = apply.done();
    let taken = changes.len();
    if let Some(on) = on
        && taken > 0
    {
        let noted = editor.add_reorganisation(Reorganisation {
            on,
            file,
            decision: decision.clone(),
            rows: u32::try_from(sheet.count).unwrap_or(u32::MAX),
            moved: false,
        });
        if noted.is_err() {
            let max = Reorganisation::MAX;
            problems.push(Problem::error(ProblemKind::LimitReached { max }, ""));
        }
    }
    let next = editor.finish();
    if let Some(on) = on {
        apply::look_back(&next, on, &changes, &mut problems);
        apply::name_successors(&next, on, &mut changes);
    }
    problems.sort_by_key(|problem| (problem.line, problem.column));
    changes.sort_by_key(|change| change.line);
    ReorganiseReport {
        on,
        file,
        decision,
        rows: sheet.count,
        taken,
        problems,
        changes,
        next,
    }
}
