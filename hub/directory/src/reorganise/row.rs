//! One row of a reorganisation as values, nothing but its own cells considered.

use jiff::civil::Date;
use truc_model::{AgencyCode, CodeForm, SystemId};

use super::Action;
use crate::import::sheet;
use crate::import::text::{self, Cell};
use crate::prefix::RoutePrefix;
use crate::problem::{Column, Problem, ProblemKind};

/// A row read.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) action: Action,
    /// The agency it is about; none for `open` and `home`.
    pub(super) old_code: Option<AgencyCode>,
    /// New codes, or those of successors.
    pub(super) new_codes: Vec<AgencyCode>,
    /// Of `home`.
    pub(super) prefixes: Vec<RoutePrefix>,
    pub(super) name: Option<String>,
    /// `None`: as it is; `Some(None)`: from now on none.
    pub(super) parent: Option<Option<AgencyCode>>,
    pub(super) level: Option<u8>,
    /// `None`: as it is; `Some(None)`: from now on none.
    pub(super) system: Option<Option<SystemId>>,
    pub(super) on: Date,
    pub(super) grace_until: Option<Date>,
    pub(super) decision: Option<String>,
    pub(super) note: Option<String>,
}

/// What stands in a cell to say that there is to be none; an empty cell says nothing.
const NONE: &str = "-";

/// Reads a row; `None` when it cannot be carried out. Why is told in `problems`.
pub(super) fn read(row: &sheet::Row, decision: Option<&str>, problems: &mut Vec<Problem>) -> Option<Row> {
    let line = row.line;
    Reader { line, row, problems }.row(decision)
}

struct Reader<'a> {
    line: u64,
    row: &'a sheet::Row,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn error(&mut self, column: Column, kind: ProblemKind) {
        let found = self.row.text(column).unwrap_or_default();
        self.problems
            .push(Problem::error(kind, found).at(self.line, column));
    }

    fn text(&self, column: Column) -> Option<&str> {
        self.row.text(column).filter(|text| !text.is_empty())
    }

    fn row(mut self, decision: Option<&str>) -> Option<Row> {
        let word = text::clean(self.row.raw(Column::Action)?);
        let Some(action) = Action::from_word(&word) else {
            self.error(
                Column::Action,
                match word.is_empty() {
                    true => ProblemKind::ValueMissing,
                    false => ProblemKind::ActionUnknown,
                },
            );
            return None;
        };
        // All cells first, so that one look shows all that is wrong with the row.
        let on = self.date(Column::On);
        let grace = self.date(Column::GraceUntil);
        let old_codes = self.codes(Column::OldCode);
        let (new_codes, prefixes) = match action {
            Action::Home => (Some(Vec::new()), self.prefixes()),
            _ => (self.codes(Column::NewCode), Some(Vec::new())),
        };
        let parent = self.optional(Column::Parent, AgencyCode::parse, ProblemKind::CodeBad);
        let system = self.optional(Column::System, SystemId::new, |_| ProblemKind::SystemIdBad);
        let level = self.level();
        let name = self.text(Column::Name).map(text::clean);
        let plain = |reader: &Self, column| reader.text(column).map(text::clean);
        let row = Row {
            line: self.line,
            action,
            note: plain(&self, Column::Note),
            decision: plain(&self, Column::Decision).or_else(|| decision.map(str::to_owned)),
            old_code: self.one(old_codes?)?,
            new_codes: new_codes?,
            prefixes: prefixes?,
            name,
            parent: parent?,
            level: level?,
            system: system?,
            on: match on? {
                Some(on) => on,
                None => {
                    self.error(Column::On, ProblemKind::ValueMissing);
                    return None;
                }
            },
            grace_until: grace?,
        };
        if row.grace_until.is_some_and(|until| until <= row.on) {
            self.error(Column::GraceUntil, ProblemKind::DatesReversed);
            return None;
        }
        self.has_what_it_needs(&row).then_some(row)
    }

    /// Each action needs some cells, and has no use for others.
    fn has_what_it_needs(&mut self, row: &Row) -> bool {
        let action = row.action;
        let mut complete = true;
        let mut need = |reader: &mut Self, column, there: bool| {
            if !there {
                reader.error(column, ProblemKind::ValueMissing);
                complete = false;
            }
        };
        if !matches!(action, Action::Open | Action::Home) {
            need(self, Column::OldCode, row.old_code.is_some());
        }
        match action {
            Action::Open => {
                need(self, Column::NewCode, !row.new_codes.is_empty());
                need(self, Column::Name, row.name.is_some());
            }
            Action::Recode | Action::Merge | Action::Split => {
                need(self, Column::NewCode, !row.new_codes.is_empty());
            }
            Action::Rename => need(self, Column::Name, row.name.is_some()),
            Action::Move => need(self, Column::Parent, row.parent.is_some() || row.level.is_some()),
            Action::Reassign => need(self, Column::System, row.system.is_some()),
            Action::Home => need(self, Column::NewCode, !row.prefixes.is_empty()),
            Action::Abolish => {}
        }
        let successors = row.new_codes.len();
        if (action == Action::Merge && successors > 1) || (action == Action::Split && successors == 1) {
            self.error(Column::NewCode, ProblemKind::SuccessorCount);
            complete = false;
        }
        let facts = [Column::Name, Column::Parent, Column::Level, Column::System];
        let unused: &[Column] = match action {
            Action::Open => &[Column::OldCode, Column::GraceUntil],
            Action::Recode => &[],
            Action::Rename | Action::Move | Action::Reassign => &[Column::NewCode, Column::GraceUntil],
            Action::Merge | Action::Split => &facts,
            Action::Abolish => &[
                Column::NewCode,
                Column::GraceUntil,
                Column::Name,
                Column::Parent,
                Column::Level,
                Column::System,
            ],
            Action::Home => &[
                Column::OldCode,
                Column::GraceUntil,
                Column::Name,
                Column::Parent,
                Column::Level,
                Column::System,
            ],
        };
        for column in unused {
            if let Some(found) = self.text(*column) {
                let problem = Problem::warning(ProblemKind::CellUnused, found);
                self.problems.push(problem.at(self.line, *column));
            }
        }
        complete
    }

    /// `None` when it does not read.
    fn date(&mut self, column: Column) -> Option<Option<Date>> {
        let (cell, bad) = Cell::read(self.row.text(column), text::date);
        if bad.is_some() {
            self.error(column, ProblemKind::DateBad);
            return None;
        }
        Some(cell.or_known(None))
    }

    fn level(&mut self) -> Option<Option<u8>> {
        let Some(text) = self.text(Column::Level) else {
            return Some(None);
        };
        match text.parse() {
            Ok(level @ 1..) if usize::from(level) <= AgencyCode::MAX_LEVELS => Some(Some(level)),
            _ => {
                self.error(Column::Level, ProblemKind::LevelBad);
                None
            }
        }
    }

    fn optional<T, E>(
        &mut self,
        column: Column,
        read: impl Fn(&str) -> Result<T, E>,
        kind: impl Fn(E) -> ProblemKind,
    ) -> Option<Option<Option<T>>> {
        match self.text(column) {
            None => Some(None),
            Some(NONE) => Some(Some(None)),
            Some(text) => match read(text) {
                Ok(value) => Some(Some(Some(value))),
                Err(error) => {
                    self.error(column, kind(error));
                    None
                }
            },
        }
    }

    /// Codes separated by `;`, commas, bars or spaces; none twice.
    fn codes(&mut self, column: Column) -> Option<Vec<AgencyCode>> {
        let mut codes = Vec::new();
        for word in words(self.text(column).unwrap_or_default()) {
            let kind = match AgencyCode::parse(&word) {
                Ok(code) if code.form() == CodeForm::System => ProblemKind::CodeOfSystem,
                Ok(code) => {
                    if !codes.contains(&code) {
                        codes.push(code);
                    }
                    continue;
                }
                Err(why) => ProblemKind::CodeBad(why),
            };
            self.error(column, kind);
            return None;
        }
        Some(codes)
    }

    fn prefixes(&mut self) -> Option<Vec<RoutePrefix>> {
        let mut prefixes = Vec::new();
        for word in words(self.text(Column::NewCode).unwrap_or_default()) {
            match RoutePrefix::parse(&word) {
                Ok(prefix) => prefixes.push(prefix),
                Err(why) => {
                    self.error(Column::NewCode, ProblemKind::PrefixBad(why));
                    return None;
                }
            }
        }
        Some(prefixes)
    }

    fn one(&mut self, mut codes: Vec<AgencyCode>) -> Option<Option<AgencyCode>> {
        if codes.len() > 1 {
            self.error(Column::OldCode, ProblemKind::OneCodeOnly);
            return None;
        }
        Some(codes.pop())
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| matches!(c, ';' | ',' | '|') || c.is_whitespace())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}
