//! One row of a file of agencies as values, nothing but its own cells considered.

use jiff::civil::Date;
use truc_model::{AgencyCode, CodeForm, SystemId};

use super::sheet;
use super::text::{self, Cell};
use crate::agency::Agency;
use crate::problem::{Column, Problem, ProblemKind};

/// A row read.
pub(super) struct AgencyRow {
    pub(super) line: u64,
    pub(super) name: String,
    /// The preferred one first, none twice.
    pub(super) codes: Vec<AgencyCode>,
    pub(super) parent: Cell<AgencyCode>,
    pub(super) level: Cell<u8>,
    pub(super) system: Cell<SystemId>,
    pub(super) valid_from: Cell<Date>,
    pub(super) valid_to: Cell<Date>,
    pub(super) decision: Option<String>,
    pub(super) note: Cell<String>,
}

/// Reads a row; `None` when it is left out. Why, and what was forgiven, is told in `problems`.
pub(super) fn read(row: &sheet::Row, problems: &mut Vec<Problem>) -> Option<AgencyRow> {
    let line = row.line;
    Reader { line, problems }.row(row)
}

struct Reader<'a> {
    line: u64,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn error(&mut self, column: Column, kind: ProblemKind, found: &str) {
        self.problems
            .push(Problem::error(kind, found).at(self.line, column));
    }

    fn warn(&mut self, column: Column, kind: ProblemKind, found: &str) {
        self.problems
            .push(Problem::warning(kind, found).at(self.line, column));
    }

    fn row(&mut self, row: &sheet::Row) -> Option<AgencyRow> {
        let code = self.code(Column::Code, row.raw(Column::Code)?)?;
        let name = self.name(row.raw(Column::Name)?)?;
        let mut codes = vec![code];
        for raw in row.raw(Column::OtherCodes).unwrap_or_default().split(';') {
            if raw.trim().is_empty() {
                continue;
            }
            let other = self.code(Column::OtherCodes, raw)?;
            if codes.contains(&other) {
                self.warn(Column::OtherCodes, ProblemKind::CodeRepeated, raw);
            } else {
                codes.push(other);
            }
        }
        let valid_from = self.date(Column::ValidFrom, row)?;
        let valid_to = self.date(Column::ValidTo, row)?;
        if let (Cell::Value(from), Cell::Value(to)) = (&valid_from, &valid_to)
            && from >= to
        {
            self.error(
                Column::ValidTo,
                ProblemKind::DatesReversed,
                &format!("{from}, {to}"),
            );
            return None;
        }
        let (parent, bad) = Cell::read(row.text(Column::Parent), AgencyCode::parse);
        if let Some(why) = bad {
            let found = row.text(Column::Parent).unwrap_or_default();
            self.warn(Column::Parent, ProblemKind::CodeBad(why), found);
        }
        let (system, bad) = Cell::read(row.text(Column::System), SystemId::new);
        if bad.is_some() {
            let found = row.text(Column::System).unwrap_or_default();
            self.warn(Column::System, ProblemKind::SystemIdBad, found);
        }
        let (level, bad) = Cell::read(row.text(Column::Level), read_level);
        if bad.is_some() {
            let found = row.text(Column::Level).unwrap_or_default();
            self.warn(Column::Level, ProblemKind::LevelBad, found);
        }
        let plain = |text: &str| Ok::<_, ()>(text::clean(text));
        Some(AgencyRow {
            line: self.line,
            name,
            codes,
            parent,
            level,
            system,
            valid_from,
            valid_to,
            decision: Cell::read(row.text(Column::Decision), plain).0.or_known(None),
            note: Cell::read(row.text(Column::Note), plain).0,
        })
    }

    fn code(&mut self, column: Column, raw: &str) -> Option<AgencyCode> {
        let kind = match AgencyCode::parse(raw) {
            Ok(code) if code.form() == CodeForm::System => ProblemKind::CodeOfSystem,
            Ok(code) => {
                // In a list, the spaces after the separators are no one's spelling.
                let written = if column == Column::OtherCodes {
                    raw.trim()
                } else {
                    raw
                };
                if code.as_str() != written {
                    self.warn(column, ProblemKind::CodeSpelling(code.clone()), raw);
                }
                return Some(code);
            }
            Err(_) if raw.trim().is_empty() => ProblemKind::ValueMissing,
            Err(why) => ProblemKind::CodeBad(why),
        };
        self.error(column, kind, raw.trim());
        None
    }

    fn name(&mut self, raw: &str) -> Option<String> {
        let name = text::clean(raw);
        if name.is_empty() {
            self.error(Column::Name, ProblemKind::ValueMissing, "");
            return None;
        }
        if name != raw {
            self.warn(Column::Name, ProblemKind::NameSpelling, raw);
        }
        if name.chars().count() > Agency::NAME_MAX {
            self.warn(Column::Name, ProblemKind::NameTooLong, &name);
        }
        Some(name)
    }

    fn date(&mut self, column: Column, row: &sheet::Row) -> Option<Cell<Date>> {
        let (cell, bad) = Cell::read(row.text(column), text::date);
        if bad.is_some() {
            let found = row.text(column).unwrap_or_default();
            self.error(column, ProblemKind::DateBad, found);
            return None;
        }
        Some(cell)
    }
}

fn read_level(text: &str) -> Result<u8, ()> {
    match text.parse() {
        Ok(level @ 1..) if usize::from(level) <= AgencyCode::MAX_LEVELS => Ok(level),
        _ => Err(()),
    }
}
