//! Carries the rows of a reorganisation out on an editor, in an order that does not depend on the file's: new
//! agencies and codes first, so that other rows may name them; ends last.

use std::collections::HashMap;

use jiff::civil::Date;
use truc_model::{AgencyCode, AgencyId};

use super::row::Row;
use super::{Action, AgencyChange};
use crate::agency::{Agency, CodeRow, CodeState};
use crate::dated::Validity;
use crate::edit::{EditError, Editor};
use crate::import::field_change;
use crate::problem::{Column, Problem, ProblemKind, Severity};
use crate::snapshot::Directory;

pub(super) struct Apply<'a> {
    current: &'a Directory,
    editor: Editor<'a>,
    problems: Vec<Problem>,
    changes: Vec<AgencyChange>,
    /// The day of the first row: all must have it.
    on: Option<Date>,
    /// Where the file first does something to an agency.
    lines: HashMap<(AgencyId, Action), u64>,
    /// Where the file first names a code as new.
    new_codes: HashMap<AgencyCode, u64>,
}

pub(super) struct Done<'a> {
    pub(super) editor: Editor<'a>,
    pub(super) problems: Vec<Problem>,
    pub(super) changes: Vec<AgencyChange>,
}

/// Why a row is not carried out.
struct Bad(Column, ProblemKind, String);

type Outcome<T> = Result<T, Bad>;

impl<'a> Apply<'a> {
    pub(super) fn new(current: &'a Directory, editor: Editor<'a>, problems: Vec<Problem>) -> Self {
        Self {
            current,
            editor,
            problems,
            changes: Vec::new(),
            on: None,
            lines: HashMap::new(),
            new_codes: HashMap::new(),
        }
    }

    pub(super) fn done(self) -> Done<'a> {
        Done {
            editor: self.editor,
            problems: self.problems,
            changes: self.changes,
        }
    }

    pub(super) fn all(&mut self, mut rows: Vec<Row>) {
        self.on = rows.first().map(|row| row.on);
        rows.sort_by_key(|row| (row.action, row.line));
        // Founded and renumbered first, in two walks: what they say of parents may name one another.
        let mut facts = Vec::new();
        for row in rows {
            let line = row.line;
            let done = self.same_day(&row).and_then(|()| self.codes(&row));
            match done {
                Ok(agency) => facts.push((row, agency)),
                Err(bad) => self.tell(line, bad),
            }
        }
        for (row, agency) in facts {
            let line = row.line;
            if let Err(bad) = self.facts(&row, agency) {
                self.tell(line, bad);
            }
        }
    }

    fn tell(&mut self, line: u64, Bad(column, kind, found): Bad) {
        self.problems.push(Problem::error(kind, &found).at(line, column));
    }

    fn same_day(&self, row: &Row) -> Outcome<()> {
        match self.on {
            Some(on) if on != row.on => Err(Bad(Column::On, ProblemKind::DateDiffers, row.on.to_string())),
            _ => Ok(()),
        }
    }

    /// Finds the agency of a row; founds it or gives it its new codes.
    fn codes(&mut self, row: &Row) -> Outcome<Option<AgencyId>> {
        if row.action == Action::Home {
            return Ok(None);
        }
        if matches!(row.action, Action::Open | Action::Recode) {
            for code in &row.new_codes {
                if let Some(first) = self.new_codes.get(code).copied() {
                    let kind = ProblemKind::CodeTwice { first };
                    return Err(Bad(Column::NewCode, kind, code.to_string()));
                }
            }
        }
        self.editor.decided_by(row.decision.clone());
        let agency = match (&row.old_code, row.action) {
            (_, Action::Open) => {
                let codes = row.new_codes.iter().map(|code| CodeRow {
                    code: code.clone(),
                    valid: Validity::since(row.on),
                    decision: row.decision.clone(),
                    grace_until: None,
                });
                let name = row.name.as_deref().unwrap_or_default();
                self.editor
                    .add_agency(name, codes.collect())
                    .map_err(|error| bad(&error, Column::NewCode))?
            }
            (Some(code), action) => {
                let agency = self.known(code, Column::OldCode)?;
                self.once(agency, action, row)?;
                if action == Action::Recode {
                    self.editor
                        .recode(agency, &row.new_codes, row.on, row.grace_until)
                        .map_err(|error| bad(&error, Column::NewCode))?;
                }
                agency
            }
            // Rows without what they need were left out before.
            (None, _) => return Err(Bad(Column::OldCode, ProblemKind::ValueMissing, String::new())),
        };
        self.lines.insert((agency, row.action), row.line);
        if matches!(row.action, Action::Open | Action::Recode) {
            let lines = row.new_codes.iter().map(|code| (code.clone(), row.line));
            self.new_codes.extend(lines);
        }
        Ok(Some(agency))
    }

    fn known(&self, code: &AgencyCode, column: Column) -> Outcome<AgencyId> {
        self.editor
            .owner_of(code)
            .ok_or_else(|| Bad(column, ProblemKind::CodeUnknown, code.to_string()))
    }

    /// An agency ends once, and then nothing else happens to it; it goes through each other change once.
    fn once(&self, agency: AgencyId, action: Action, row: &Row) -> Outcome<()> {
        for other in Action::ALL {
            let Some(first) = self.lines.get(&(agency, other)).copied() else {
                continue;
            };
            let kind = match (other.ends(), action.ends()) {
                (true, true) => ProblemKind::EndedTwice { first },
                (false, false) if other != action => continue,
                _ => ProblemKind::ActionsClash { first },
            };
            let code = row.old_code.as_ref().map(ToString::to_string);
            return Err(Bad(Column::Action, kind, code.unwrap_or_default()));
        }
        let ended = |known: &Agency| known.has_ended(row.on);
        match self.current.agency(agency).is_some_and(ended) {
            true => Err(Bad(
                Column::OldCode,
                ProblemKind::AlreadyEnded,
                row.old_code.as_ref().map(ToString::to_string).unwrap_or_default(),
            )),
            false => Ok(()),
        }
    }

    /// Everything else a row says.
    fn facts(&mut self, row: &Row, agency: Option<AgencyId>) -> Outcome<()> {
        self.editor.decided_by(row.decision.clone());
        let on = row.on;
        let Some(id) = agency else {
            self.editor
                .set_home(&row.prefixes, on)
                .map_err(|error| bad(&error, Column::NewCode))?;
            self.changes.push(AgencyChange {
                line: row.line,
                action: row.action,
                agency: None,
                code: None,
                name: String::new(),
                fields: home_change(self.current, row),
                successors: Vec::new(),
                grace_until: None,
            });
            return Ok(());
        };
        let mut successors = Vec::new();
        if row.action.ends() {
            for code in &row.new_codes {
                let heir = self.known(code, Column::NewCode)?;
                successors.push(heir);
            }
            let grace = row.grace_until;
            self.editor
                .end(id, &successors, on, grace)
                .map_err(|error| bad(&error, Column::NewCode))?;
            for (heir, code) in successors.iter().zip(&row.new_codes) {
                if self.ends_here(*heir) {
                    let kind = ProblemKind::SuccessorEnds;
                    let problem = Problem::warning(kind, code.as_str());
                    self.problems.push(problem.at(row.line, Column::NewCode));
                }
            }
        } else {
            self.living(row, id)?;
        }
        self.note(row, id, on);
        Ok(())
    }

    fn ends_here(&self, agency: AgencyId) -> bool {
        let ends = Action::ALL.into_iter().filter(|action| action.ends());
        let mut lines = ends.filter_map(|action| self.lines.get(&(agency, action)));
        lines.next().is_some()
    }

    /// Name, level, parent and system of an agency that goes on, as far as the row tells them.
    fn living(&mut self, row: &Row, id: AgencyId) -> Outcome<()> {
        let on = row.on;
        let from = |column| move |error: EditError| bad(&error, column);
        if let (Some(name), true) = (&row.name, row.action != Action::Open) {
            self.editor.rename(id, name, on).map_err(from(Column::Name))?;
        }
        if let Some(level) = row.level {
            self.editor
                .set_level(id, Some(level), on)
                .map_err(from(Column::Level))?;
        }
        if let Some(parent) = &row.parent {
            let parent = match parent {
                Some(code) => Some(self.known(code, Column::Parent)?),
                None => None,
            };
            if parent == Some(id) {
                let found = row.parent.clone().flatten();
                let found = found.map(|code| code.to_string()).unwrap_or_default();
                return Err(Bad(Column::Parent, ProblemKind::ParentLoop, found));
            }
            self.editor
                .set_parent_from(id, parent, on)
                .map_err(from(Column::Parent))?;
        }
        if let Some(system) = &row.system {
            self.editor
                .assign_from(id, system.as_ref(), on)
                .map_err(from(Column::System))?;
        }
        Ok(())
    }

    /// What is different, for the preview.
    fn note(&mut self, row: &Row, id: AgencyId, on: Date) {
        let before = self.current.agency(id);
        let Ok(after) = self.editor.agency_mut(id) else {
            return;
        };
        if let Some(note) = &row.note {
            after.note = Some(note.clone());
        }
        let after = after.clone();
        let day_before = on.yesterday().unwrap_or(on);
        let mut fields = Vec::new();
        let codes = |agency: &Agency, day| -> Option<String> {
            let open = agency
                .codes
                .iter()
                .filter(|row| row.state(day) == CodeState::InForce);
            let codes: Vec<&str> = open.map(|row| row.code.as_str()).collect();
            (!codes.is_empty()).then(|| codes.join(" "))
        };
        let was = |of: &dyn Fn(&Agency) -> Option<String>| before.and_then(of);
        field_change(
            &mut fields,
            Column::NewCode,
            was(&|agency| codes(agency, day_before)),
            codes(&after, on),
        );
        if let Some(name) = row.name.as_ref().filter(|_| before.is_some()) {
            let old = was(&|agency| agency.name(day_before).map(str::to_owned));
            field_change(&mut fields, Column::Name, old, Some(name.clone()));
        }
        let level = |agency: &Agency, day| agency.level(day).map(|level| level.to_string());
        field_change(
            &mut fields,
            Column::Level,
            was(&|agency| level(agency, day_before)),
            level(&after, on),
        );
        let old = was(&|agency| self.named(agency.parent(day_before)?, day_before));
        let new = after.parent(on).and_then(|parent| self.named(parent, on));
        field_change(&mut fields, Column::Parent, old, new);
        let system = |agency: &Agency, day| agency.assigned(day).map(ToString::to_string);
        field_change(
            &mut fields,
            Column::System,
            was(&|agency| system(agency, day_before)),
            system(&after, on),
        );
        self.changes.push(AgencyChange {
            line: row.line,
            action: row.action,
            agency: Some(id),
            code: row.old_code.clone().or_else(|| row.new_codes.first().cloned()),
            name: before
                .and_then(|agency| agency.name(day_before))
                .or(row.name.as_deref())
                .unwrap_or_default()
                .to_owned(),
            fields,
            successors: Vec::new(),
            grace_until: row.grace_until,
        });
    }

    /// An agency for people: by its code on a day, or by its id when it has none.
    fn named(&self, id: AgencyId, on: Date) -> Option<String> {
        let agency = self.editor.agency(id)?;
        Some(
            agency
                .code(on)
                .map_or_else(|| id.to_string(), ToString::to_string),
        )
    }
}

fn home_change(current: &Directory, row: &Row) -> Vec<crate::import::FieldChange> {
    let mut fields = Vec::new();
    let before = row.on.yesterday().unwrap_or(row.on);
    let open = current.home().iter().filter(|known| known.valid.contains(before));
    let old: Vec<&str> = open.map(|known| known.value.as_str()).collect();
    let mut new: Vec<&str> = row.prefixes.iter().map(|prefix| prefix.as_str()).collect();
    new.sort_unstable();
    field_change(
        &mut fields,
        Column::Prefixes,
        Some(old.join(" ")),
        Some(new.join(" ")),
    );
    fields
}

/// A change the editor refused, as a finding.
fn bad(error: &EditError, column: Column) -> Bad {
    let found = |text: String| text;
    match error {
        EditError::CodeTaken { code, agency } => {
            Bad(column, ProblemKind::CodeTaken(*agency), found(code.to_string()))
        }
        EditError::SystemCode(code) => Bad(column, ProblemKind::CodeOfSystem, found(code.to_string())),
        EditError::Ended(id) => Bad(Column::OldCode, ProblemKind::AlreadyEnded, found(id.to_string())),
        EditError::OwnSuccessor(id) => Bad(column, ProblemKind::SuccessionCycle, found(id.to_string())),
        EditError::UnknownSystem(system) => Bad(
            column,
            ProblemKind::SystemNotRegistered(system.clone()),
            found(system.to_string()),
        ),
        EditError::Limit { max, .. } => Bad(column, ProblemKind::LimitReached { max: *max }, String::new()),
        EditError::Dates => Bad(Column::On, ProblemKind::DatesReversed, String::new()),
        // The rest cannot come from the acts of a row.
        _ => Bad(column, ProblemKind::ValueMissing, String::new()),
    }
}

/// What the directory of the day looks like to those the file did not think of: agencies under a parent that
/// ended, codes left under a level-1 code that closed, agencies that nothing can be delivered to.
pub(super) fn look_back(next: &Directory, on: Date, changes: &[AgencyChange], problems: &mut Vec<Problem>) {
    let mut warn = |line, column, kind, found: &str| {
        problems.push(Problem::new(Severity::Warning, kind, found).at(line, column));
    };
    let ended: HashMap<AgencyId, u64> = changes
        .iter()
        .filter(|change| change.action.ends())
        .filter_map(|change| Some((change.agency?, change.line)))
        .collect();
    for agency in next.agencies() {
        let Some(code) = agency.code(on) else { continue };
        if let Some(line) = agency.parent(on).and_then(|parent| ended.get(&parent)) {
            warn(*line, Column::Parent, ProblemKind::ParentEnded, code.as_str());
        }
    }
    for change in changes {
        let Some(agency) = change.agency.and_then(|id| next.agency(id)) else {
            continue;
        };
        if !change.action.ends() {
            let served = next
                .system_of(&truc_model::Party::Agency(agency.id), on)
                .is_some();
            if agency.code(on).is_some() && !served {
                let code = agency.code(on).map(ToString::to_string).unwrap_or_default();
                warn(
                    change.line,
                    Column::System,
                    ProblemKind::AgencyWithoutSystem,
                    &code,
                );
            }
            continue;
        }
        // Closed with it, or before: which groups did it head?
        for row in agency.codes.iter().filter(|row| row.valid.to == Some(on)) {
            let Some(group) = level_one_itself(&row.code) else {
                continue;
            };
            let left: Vec<&str> = next
                .agencies()
                .filter_map(|other| other.code(on))
                .filter(|code| code.level_one() == Some(group))
                .map(AgencyCode::as_str)
                .collect();
            if let Some(first) = left.first() {
                let kind = ProblemKind::CodesLeft { count: left.len() };
                warn(change.line, Column::OldCode, kind, first);
                break;
            }
        }
    }
}

/// The group of a code that is the level-1 body's own: `H22`, `000.00.00.H22`.
fn level_one_itself(code: &AgencyCode) -> Option<&str> {
    let group = code.level_one()?;
    let rest = code.as_str().replace(group, "");
    rest.bytes()
        .all(|byte| matches!(byte, b'0' | b'.'))
        .then_some(group)
}

/// Puts the successors' codes and names of the day into the changes.
pub(super) fn name_successors(next: &Directory, on: Date, changes: &mut [AgencyChange]) {
    for change in changes.iter_mut().filter(|change| change.action.ends()) {
        let Some(step) = change
            .agency
            .and_then(|id| next.agency(id))
            .and_then(|agency| agency.succession(on))
        else {
            continue;
        };
        let heirs = step.to.iter().filter_map(|heir| next.agency(*heir));
        change.successors = heirs
            .filter_map(|heir| {
                // One that ends on the same day has no code on it any more.
                let code = heir.code(on).or(heir.codes.first().map(|row| &row.code))?;
                Some((code.clone(), heir.name(on).unwrap_or_default().to_owned()))
            })
            .collect();
    }
}
