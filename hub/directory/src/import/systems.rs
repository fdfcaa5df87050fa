//! The import of systems, and of the province's own prefixes (the row of kind `home`).
//!
//! Status and certificates are not in the file: they are changed one at a time, by whoever answers for
//! them (`truc system`).

use std::collections::HashMap;

use truc_model::SystemId;

use super::text;
use super::{
    Added, Changed, Changes, FieldChange, Gone, ImportOptions, ImportReport, Subject, field_change, sheet,
};
use crate::dated::Dated;
use crate::edit::{EditError, Editor};
use crate::prefix::RoutePrefix;
use crate::problem::{Column, Problem, ProblemKind};
use crate::snapshot::Directory;
use crate::system::{ConflictPolicy, Sha1Policy, SignaturePolicy, System, SystemKind, SystemPolicy};

/// The kind of the row that tells the province's own prefixes. Its `system` is empty or the same word.
pub(super) const HOME: &str = "home";

const COLUMNS: &[Column] = &[
    Column::System,
    Column::Name,
    Column::Kind,
    Column::Prefixes,
    Column::Signature,
    Column::Conflict,
    Column::XmlSha1,
    Column::Note,
];

/// Reads systems from CSV (`docs/reference/directory.md`) and makes the next version.
///
/// Never fails: what cannot be used is told in the report by line, and the rest is taken. The same file
/// a second time changes nothing. `options.decision` is not used.
#[must_use]
pub fn import_systems(current: &Directory, csv: &[u8], options: &ImportOptions) -> ImportReport {
    let mut problems = Vec::new();
    let required = [Column::System, Column::Name, Column::Kind];
    let sheet = sheet::read(csv, COLUMNS, &required, &mut problems);
    let mut editor = Editor::new(current);
    let mut changes = Changes::default();
    // `None` is the home row.
    let mut lines: HashMap<Option<SystemId>, u64> = HashMap::new();
    for row in &sheet.rows {
        let read = match read_row(row, &mut problems) {
            Ok(read) => read,
            Err(problem) => {
                problems.push(*problem);
                continue;
            }
        };
        let key = read.id();
        if let Some(first) = lines.get(&key).copied() {
            let found = row.text(Column::System).unwrap_or_default();
            let problem = Problem::error(ProblemKind::SystemTwice { first }, found);
            problems.push(problem.at(row.line, Column::System));
            continue;
        }
        match apply(&mut editor, read, row.line, options, &mut changes) {
            Ok(()) => {
                lines.insert(key, row.line);
            }
            Err(error) => problems.push(refused(&error, row)),
        }
    }
    changes.gone = current
        .systems()
        .filter(|system| !lines.is_empty() && !lines.contains_key(&Some(system.id.clone())))
        .map(|system| Gone {
            subject: Subject::System(system.id.clone()),
            name: system.name.clone(),
        })
        .collect();
    problems.sort_by_key(|problem| (problem.line, problem.column));
    ImportReport {
        rows: sheet.count,
        taken: lines.len(),
        problems,
        changes,
        next: editor.finish(),
    }
}

enum SystemRow {
    Home(Vec<RoutePrefix>),
    System(Told),
}

/// What a row tells of a system; `None` where the file has no such column or the cell is empty.
struct Told {
    id: SystemId,
    name: String,
    kind: SystemKind,
    prefixes: Option<Vec<RoutePrefix>>,
    signature: Option<SignaturePolicy>,
    conflict: Option<ConflictPolicy>,
    xml_sha1: Option<Sha1Policy>,
    /// `Some("")` takes the note away.
    note: Option<String>,
}

impl SystemRow {
    fn id(&self) -> Option<SystemId> {
        match self {
            Self::Home(_) => None,
            Self::System(told) => Some(told.id.clone()),
        }
    }
}

/// The row, or the problem for which it is left out.
fn read_row(row: &sheet::Row, problems: &mut Vec<Problem>) -> Result<SystemRow, Box<Problem>> {
    let error = |column: Column, kind: ProblemKind, found: &str| {
        Box::new(Problem::error(kind, found).at(row.line, column))
    };
    let cell = |column: Column| row.text(column).filter(|text| !text.is_empty());
    let (id, kind) = (cell(Column::System), cell(Column::Kind).unwrap_or_default());
    let prefixes = match row.text(Column::Prefixes) {
        None => None,
        Some(list) => {
            let mut prefixes = Vec::new();
            for text in list.split(';').map(str::trim).filter(|text| !text.is_empty()) {
                let prefix = RoutePrefix::parse(text)
                    .map_err(|why| error(Column::Prefixes, ProblemKind::PrefixBad(why), text))?;
                if !prefixes.contains(&prefix) {
                    prefixes.push(prefix);
                }
            }
            Some(prefixes)
        }
    };
    if kind.eq_ignore_ascii_case(HOME) {
        if let Some(id) = id.filter(|id| !id.eq_ignore_ascii_case(HOME)) {
            return Err(error(Column::System, ProblemKind::KindBad, id));
        }
        let prefixes = prefixes.filter(|prefixes| !prefixes.is_empty());
        let missing = || error(Column::Prefixes, ProblemKind::ValueMissing, "");
        return Ok(SystemRow::Home(prefixes.ok_or_else(missing)?));
    }
    let id = id.ok_or_else(|| error(Column::System, ProblemKind::ValueMissing, ""))?;
    let id = SystemId::new(id).map_err(|_| error(Column::System, ProblemKind::SystemIdBad, id))?;
    let kind = SystemKind::from_word(kind).ok_or_else(|| error(Column::Kind, ProblemKind::KindBad, kind))?;
    let raw_name = row.raw(Column::Name).unwrap_or_default();
    let name = text::clean(raw_name);
    if name.is_empty() {
        return Err(error(Column::Name, ProblemKind::ValueMissing, ""));
    }
    if name != raw_name {
        problems.push(Problem::warning(ProblemKind::NameSpelling, raw_name).at(row.line, Column::Name));
    }
    let unknown = |column: Column, word: &str| error(column, ProblemKind::PolicyUnknown, word);
    let signature = match cell(Column::Signature) {
        Some(word) => Some(SignaturePolicy::from_word(word).ok_or_else(|| unknown(Column::Signature, word))?),
        None => None,
    };
    let conflict = match cell(Column::Conflict) {
        Some(word) => Some(ConflictPolicy::from_word(word).ok_or_else(|| unknown(Column::Conflict, word))?),
        None => None,
    };
    let xml_sha1 = match cell(Column::XmlSha1) {
        Some(word) => Some(Sha1Policy::from_word(word).ok_or_else(|| unknown(Column::XmlSha1, word))?),
        None => None,
    };
    Ok(SystemRow::System(Told {
        id,
        name,
        kind,
        prefixes,
        signature,
        conflict,
        xml_sha1,
        note: row.text(Column::Note).map(text::clean),
    }))
}

fn apply(
    editor: &mut Editor<'_>,
    row: SystemRow,
    line: u64,
    options: &ImportOptions,
    changes: &mut Changes,
) -> Result<(), EditError> {
    let on = options.on;
    let told = match row {
        SystemRow::System(told) => told,
        SystemRow::Home(prefixes) => {
            let before = open_prefixes(&editor.content.home, options);
            editor.set_home(&prefixes, on)?;
            let after = open_prefixes(&editor.content.home, options);
            let mut fields = Vec::new();
            field_change(&mut fields, Column::Prefixes, before.clone(), after);
            let subject = Subject::Home;
            let name = String::new();
            match before {
                None => changes.added.push(Added { line, subject, name }),
                Some(_) => note_change(changes, line, subject, name, fields),
            }
            return Ok(());
        }
    };
    let subject = Subject::System(told.id.clone());
    let Ok(known) = editor.system_mut(&told.id).cloned() else {
        let policy = SystemPolicy {
            signature: told.signature.unwrap_or_default(),
            identity_conflict: told.conflict.unwrap_or_default(),
            xml_sha1: told.xml_sha1.unwrap_or_default(),
        };
        let rows = told.prefixes.unwrap_or_default().into_iter().map(Dated::always);
        editor.add_system(System {
            policy,
            prefixes: rows.collect(),
            note: told.note.filter(|note| !note.is_empty()),
            ..System::new(told.id, &told.name, told.kind)
        })?;
        changes.added.push(Added {
            line,
            subject,
            name: told.name,
        });
        return Ok(());
    };
    if known.kind != told.kind {
        return Err(EditError::SystemExists(told.id));
    }
    if let Some(prefixes) = &told.prefixes {
        editor.set_prefixes(&told.id, prefixes, on)?;
    }
    let system = editor.system_mut(&told.id)?;
    system.name = told.name;
    system.policy.signature = told.signature.unwrap_or(known.policy.signature);
    system.policy.identity_conflict = told.conflict.unwrap_or(known.policy.identity_conflict);
    system.policy.xml_sha1 = told.xml_sha1.unwrap_or(known.policy.xml_sha1);
    if let Some(note) = told.note {
        system.note = Some(note).filter(|note| !note.is_empty());
    }
    let mut fields = Vec::new();
    field_change(&mut fields, Column::Name, Some(&known.name), Some(&system.name));
    let (before, after) = (&known.policy, &system.policy);
    field_change(
        &mut fields,
        Column::Signature,
        Some(before.signature),
        Some(after.signature),
    );
    let sha1 = (before.xml_sha1, after.xml_sha1);
    field_change(&mut fields, Column::XmlSha1, Some(sha1.0), Some(sha1.1));
    let (before, after) = (before.identity_conflict, after.identity_conflict);
    field_change(&mut fields, Column::Conflict, Some(before), Some(after));
    let (before, after) = (&known.prefixes, &system.prefixes);
    let (before, after) = (open_prefixes(before, options), open_prefixes(after, options));
    field_change(&mut fields, Column::Prefixes, before, after);
    field_change(
        &mut fields,
        Column::Note,
        known.note.as_ref(),
        system.note.as_ref(),
    );
    note_change(changes, line, subject, known.name, fields);
    Ok(())
}

fn note_change(changes: &mut Changes, line: u64, subject: Subject, name: String, fields: Vec<FieldChange>) {
    if fields.is_empty() {
        changes.unchanged += 1;
    } else {
        changes.changed.push(Changed {
            line,
            subject,
            name,
            fields,
        });
    }
}

/// The prefixes in force, as the file writes them.
fn open_prefixes(rows: &[Dated<RoutePrefix>], options: &ImportOptions) -> Option<String> {
    let open = rows.iter().filter(|row| row.valid.contains(options.on));
    let words: Vec<&str> = open.map(|row| row.value.as_str()).collect();
    (!words.is_empty()).then(|| words.join(";"))
}

fn refused(error: &EditError, row: &sheet::Row) -> Problem {
    let (column, kind) = match error {
        EditError::NotAGateway(_) => (Column::Prefixes, ProblemKind::PrefixMisplaced),
        EditError::Limit { max, .. } => (Column::System, ProblemKind::LimitReached { max: *max }),
        // Of the rest only "registered as another kind" is left here.
        _ => (Column::Kind, ProblemKind::KindBad),
    };
    let found = row.text(column).unwrap_or_default();
    Problem::error(kind, found).at(row.line, column)
}
