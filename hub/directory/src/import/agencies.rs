//! The import of agencies.
//!
//! A row finds its agency by any of its codes. A column the file has is the truth about its fact, an
//! empty cell included; a column it lacks leaves the fact alone. Codes are added and dated, never removed.

use std::collections::{HashMap, HashSet};

use truc_model::{AgencyCode, AgencyId, SystemId};

use super::agency_row::{self, AgencyRow};
use super::text::Cell;
use super::{
    Added, Changed, Changes, FieldChange, Gone, ImportOptions, ImportReport, Subject, field_change, sheet,
};
use crate::agency::{Agency, CodeRow, CodeState};
use crate::dated::{self, Validity};
use crate::edit::{EditError, Editor, set_first_always};
use crate::problem::{Column, Problem, ProblemKind};
use crate::snapshot::Directory;

const COLUMNS: &[Column] = &[
    Column::Code,
    Column::Name,
    Column::OtherCodes,
    Column::Parent,
    Column::Level,
    Column::System,
    Column::ValidFrom,
    Column::ValidTo,
    Column::Decision,
    Column::Note,
];

/// Reads agencies from CSV (`docs/reference/directory.md`) and makes the next version.
///
/// Never fails: what cannot be used is told in the report by line, and the rest is taken. The same file
/// a second time changes nothing.
#[must_use]
pub fn import_agencies(current: &Directory, csv: &[u8], options: &ImportOptions) -> ImportReport {
    let mut problems = Vec::new();
    let sheet = sheet::read(csv, COLUMNS, &[Column::Code, Column::Name], &mut problems);
    let mut import = Import {
        current,
        options,
        editor: Editor::new(current),
        problems,
        code_lines: HashMap::new(),
        agency_lines: HashMap::new(),
        systems_told: HashSet::new(),
        touched: Vec::new(),
    };
    for row in &sheet.rows {
        if let Some(row) = agency_row::read(row, &mut import.problems) {
            import.take(row);
        }
    }
    import.set_parents();
    import.report(sheet.count)
}

struct Import<'a> {
    current: &'a Directory,
    options: &'a ImportOptions,
    editor: Editor<'a>,
    problems: Vec<Problem>,
    /// Where the file names a code for the first time.
    code_lines: HashMap<AgencyCode, u64>,
    /// Where the file names an agency for the first time.
    agency_lines: HashMap<AgencyId, u64>,
    /// Systems already told as not registered.
    systems_told: HashSet<SystemId>,
    touched: Vec<Touched>,
}

/// A row taken.
struct Touched {
    line: u64,
    agency: AgencyId,
    code: AgencyCode,
    parent: Cell<AgencyCode>,
    /// Name before, and what is different; `None` for a new agency.
    known: Option<(String, Vec<FieldChange>)>,
}

impl Import<'_> {
    fn error(&mut self, line: u64, column: Column, kind: ProblemKind, found: &str) {
        self.problems.push(Problem::error(kind, found).at(line, column));
    }

    fn warn(&mut self, line: u64, column: Column, kind: ProblemKind, found: &str) {
        self.problems.push(Problem::warning(kind, found).at(line, column));
    }

    /// Finds the row's agency, or makes it, and applies the row; or tells why it is left out.
    fn take(&mut self, row: AgencyRow) {
        let line = row.line;
        let column = |place: usize| {
            if place == 0 {
                Column::Code
            } else {
                Column::OtherCodes
            }
        };
        let mut owner = None;
        for (place, code) in row.codes.iter().enumerate() {
            if let Some(first) = self.code_lines.get(code).copied() {
                self.error(
                    line,
                    column(place),
                    ProblemKind::CodeTwice { first },
                    code.as_str(),
                );
                return;
            }
            match (owner, self.editor.owner_of(code)) {
                (None, known) => owner = known,
                (Some(owner), Some(other)) if owner != other => {
                    self.error(line, column(place), ProblemKind::CodeTaken(other), code.as_str());
                    return;
                }
                _ => {}
            }
        }
        if let Some(agency) = owner
            && let Some(first) = self.agency_lines.get(&agency).copied()
        {
            let kind = ProblemKind::AgencyTwice { first, agency };
            self.error(line, Column::Code, kind, row.codes[0].as_str());
            return;
        }
        let applied = match owner {
            None => self.add(&row).map(|id| (id, None)),
            Some(id) => self.update(id, &row).map(|known| (id, Some(known))),
        };
        let (agency, known) = match applied {
            Ok(applied) => applied,
            Err(error) => {
                let (column, kind) = match error {
                    EditError::Dates => (Column::ValidTo, ProblemKind::DatesReversed),
                    EditError::Limit { max, .. } => (Column::Code, ProblemKind::LimitReached { max }),
                    // The cases of free codes and known agencies are settled above.
                    _ => (Column::Code, ProblemKind::ValueMissing),
                };
                self.error(line, column, kind, row.codes[0].as_str());
                return;
            }
        };
        if let Cell::Value(system) = &row.system
            && self.current.system(system).is_none()
            && self.systems_told.insert(system.clone())
        {
            let kind = ProblemKind::SystemNotRegistered(system.clone());
            self.warn(line, Column::System, kind, system.as_str());
        }
        self.agency_lines.insert(agency, line);
        self.code_lines
            .extend(row.codes.iter().map(|code| (code.clone(), line)));
        self.touched.push(Touched {
            line,
            agency,
            code: row.codes[0].clone(),
            parent: row.parent,
            known,
        });
    }

    fn add(&mut self, row: &AgencyRow) -> Result<AgencyId, EditError> {
        let codes = self.code_rows(&[], row);
        let id = self.editor.add_agency(&row.name, codes)?;
        let on = self.options.on;
        let agency = self.editor.agency_mut(id)?;
        set_first_always(&mut agency.levels, row.level.clone().or_known(None), on, None);
        agency.note = row.note.clone().or_known(None);
        set_first_always(&mut agency.served_by, row.system.clone().or_known(None), on, None);
        Ok(id)
    }

    /// Applies a row to a known agency; its name before, and what is different.
    fn update(&mut self, id: AgencyId, row: &AgencyRow) -> Result<(String, Vec<FieldChange>), EditError> {
        let on = self.options.on;
        let before = self.editor.agency_mut(id)?.clone();
        let codes = self.code_rows(&before.codes, row);
        if codes.iter().any(|row| !row.valid.is_sound()) {
            return Err(EditError::Dates);
        }
        if codes.len() > Agency::MAX_CODES {
            let max = Agency::MAX_CODES;
            return Err(EditError::Limit {
                what: "codes of an agency",
                max,
            });
        }
        for added in &codes[..] {
            if before.codes.iter().all(|known| known.code != added.code) {
                self.editor.add_code(id, added.clone())?;
            }
        }
        let decision = row.decision.as_ref().or(self.options.decision.as_ref());
        let decision = decision.map(String::as_str);
        let agency = self.editor.agency_mut(id)?;
        agency.codes = codes;
        dated::set_from(&mut agency.names, Some(row.name.clone()), on, decision);
        let level = row.level.clone().or_known(before.level(on));
        set_first_always(&mut agency.levels, level, on, decision);
        agency.note = row.note.clone().or_known(before.note.clone());
        let system = row.system.clone().or_known(before.assigned(on).cloned());
        set_first_always(&mut agency.served_by, system, on, decision);

        let mut fields = code_changes(&before.codes, &agency.codes);
        field_change(&mut fields, Column::Name, before.name(on), agency.name(on));
        field_change(&mut fields, Column::Level, before.level(on), agency.level(on));
        field_change(
            &mut fields,
            Column::System,
            before.assigned(on),
            agency.assigned(on),
        );
        field_change(
            &mut fields,
            Column::Note,
            before.note.as_ref(),
            agency.note.as_ref(),
        );
        let name = before.name(on).unwrap_or_default().to_owned();
        Ok((name, fields))
    }

    /// The code rows of an agency after a row of the file: those it names first, in its order.
    ///
    /// `valid_from` dates the preferred code alone (the others were there before it), `valid_to` all codes
    /// the row names (the agency ends).
    fn code_rows(&self, known: &[CodeRow], row: &AgencyRow) -> Vec<CodeRow> {
        let mut rows = Vec::with_capacity(known.len() + row.codes.len());
        for (place, code) in row.codes.iter().enumerate() {
            let old = known.iter().find(|known| known.code == *code);
            let mut valid = old.map_or(Validity::ALWAYS, |old| old.valid);
            match (&row.valid_to, place) {
                (Cell::Empty, 0) => valid.to = None,
                (Cell::Value(to), _) => valid.to = Some(*to),
                _ => {}
            }
            if place == 0 {
                valid.from = row.valid_from.clone().or_known(valid.from);
            }
            let dated = old.is_none_or(|old| old.valid != valid);
            let told = match place {
                0 => row.decision.clone(),
                _ => None,
            };
            let by_default = || self.options.decision.clone().filter(|_| dated);
            let decision = told
                .or_else(by_default)
                .or_else(|| old.and_then(|old| old.decision.clone()));
            rows.push(CodeRow {
                code: code.clone(),
                valid,
                decision,
                grace_until: old.and_then(|old| old.grace_until),
            });
        }
        let rest = known.iter().filter(|old| !row.codes.contains(&old.code));
        rows.extend(rest.cloned());
        rows
    }

    /// Parents last: a row may name one that stands further down.
    fn set_parents(&mut self) {
        let on = self.options.on;
        let mut touched = std::mem::take(&mut self.touched);
        for row in &mut touched {
            let parent = match &row.parent {
                Cell::Silent => continue,
                Cell::Empty => None,
                Cell::Value(code) => match self.editor.owner_of(code) {
                    Some(parent) if parent == row.agency => {
                        self.warn(row.line, Column::Parent, ProblemKind::ParentLoop, code.as_str());
                        continue;
                    }
                    Some(parent) => Some(parent),
                    None => {
                        self.warn(
                            row.line,
                            Column::Parent,
                            ProblemKind::ParentUnknown,
                            code.as_str(),
                        );
                        continue;
                    }
                },
            };
            let Ok(agency) = self.editor.agency_mut(row.agency) else {
                continue;
            };
            let old = agency.parent(on);
            let decision = self.options.decision.as_deref();
            set_first_always(&mut agency.parent, parent, on, decision);
            if let Some((_, fields)) = &mut row.known
                && old != parent
            {
                let (old, new) = (self.named(old), self.named(parent));
                fields.push(FieldChange {
                    field: Column::Parent,
                    old,
                    new,
                });
            }
        }
        self.touched = touched;
    }

    /// An agency for people: by its code, or by its id when it has none in force.
    fn named(&mut self, agency: Option<AgencyId>) -> Option<String> {
        let id = agency?;
        let code = self
            .editor
            .agency_mut(id)
            .ok()
            .and_then(|agency| agency.code(self.options.on));
        Some(code.map_or_else(|| id.to_string(), ToString::to_string))
    }

    fn report(self, rows: usize) -> ImportReport {
        let on = self.options.on;
        let gone = self.gone();
        let next = self.editor.finish();
        let mut changes = Changes {
            gone,
            ..Changes::default()
        };
        let taken = self.touched.len();
        for row in self.touched {
            let subject = Subject::Agency(row.agency, row.code);
            let line = row.line;
            match row.known {
                None => changes.added.push(Added {
                    line,
                    subject,
                    name: next.name_of(row.agency, on).unwrap_or_default().to_owned(),
                }),
                Some((_, fields)) if fields.is_empty() => changes.unchanged += 1,
                Some((name, fields)) => changes.changed.push(Changed {
                    line,
                    subject,
                    name,
                    fields,
                }),
            }
        }
        let mut problems = self.problems;
        problems.sort_by_key(|problem| (problem.line, problem.column));
        ImportReport {
            rows,
            taken,
            problems,
            changes,
            next,
        }
    }

    /// Codes in force before, of the level-1 groups the file speaks of, that no row taken names.
    fn gone(&self) -> Vec<Gone> {
        let on = self.options.on;
        let groups: HashSet<&str> = self.code_lines.keys().filter_map(AgencyCode::level_one).collect();
        let mut gone = Vec::new();
        for agency in self.current.agencies() {
            for row in &agency.codes {
                let group = row.code.level_one();
                if row.state(on) == CodeState::InForce
                    && group.is_some_and(|group| groups.contains(group))
                    && !self.code_lines.contains_key(&row.code)
                {
                    gone.push(Gone {
                        subject: Subject::Agency(agency.id, row.code.clone()),
                        name: agency.name(on).unwrap_or_default().to_owned(),
                    });
                }
            }
        }
        gone
    }
}

fn code_changes(before: &[CodeRow], after: &[CodeRow]) -> Vec<FieldChange> {
    let mut fields = Vec::new();
    let preferred = |rows: &[CodeRow]| rows.first().map(|row| row.code.clone());
    field_change(&mut fields, Column::Code, preferred(before), preferred(after));
    for row in after {
        let Some(old) = before.iter().find(|old| old.code == row.code) else {
            field_change(&mut fields, Column::OtherCodes, None, Some(&row.code));
            continue;
        };
        field_change(&mut fields, Column::ValidFrom, old.valid.from, row.valid.from);
        field_change(&mut fields, Column::ValidTo, old.valid.to, row.valid.to);
        field_change(
            &mut fields,
            Column::Decision,
            old.decision.as_ref(),
            row.decision.as_ref(),
        );
    }
    let order = |rows: &[CodeRow]| {
        rows.iter()
            .map(|row| row.code.to_string())
            .collect::<Vec<_>>()
            .join(";")
    };
    if fields.is_empty() {
        // Only the order of further codes.
        field_change(
            &mut fields,
            Column::OtherCodes,
            Some(order(before)),
            Some(order(after)),
        );
    }
    fields
}
