//! Saves what a transaction adds and changes, table by table, one statement a table.
//!
//! Rows travel column by column, each column an array in one parameter, and `unnest` makes rows of them again: the
//! statements are constants, prepared once, and cost one round trip for however many rows.

use serde::Serialize;
use truc_ledger::StoreError;
use truc_ledger::body::Body;
use truc_ledger::event::EventRow;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxBody, OutboxPlace, OutboxRow, RecipientRow, RefusalRow,
    StatusRow, SubmissionRow,
};
use truc_ledger::signatures::VerdictKind;
use truc_model::{Sha256, TransportState};

use crate::id::Id;
use crate::session::{Session, Statement, run};
use crate::{alerts, kept, limits, verdict};

/// Most rows in one statement.
pub(crate) const ROWS_MAX: usize = 5000;

/// Most bytes of bodies in one statement; a larger single one still passes. PostgreSQL takes a message of 1 GiB.
pub(crate) const BODIES_BYTES_MAX: usize = 32 << 20;

const EVENTS: &str = "INSERT INTO event (seq, at, kind, document, hash, canonical) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::bytea[], $6::text[])";

/// A body that is kept, here or apart, stays as it is.
const BODIES: &str = "INSERT INTO body (sha256, size, bytes) \
     SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING";

/// Arrays of arrays would have to be of one length each: the replaced documents travel as text, `{…,…}`.
const DOCUMENTS: &str = "INSERT INTO document (event, uid, sender, document_id, sender_code, system, message_id, \
     sha256, size, received_at, accepted_at, number, facts, verdict, warnings, directory_version, recipients, \
     amends, replaces, held, attachments, sent_late, verdict_kind, pdfs) \
     SELECT event, uid, sender, document_id, sender_code, system, message_id, sha256, size, received_at, \
     accepted_at, number, facts, verdict, warnings, directory_version, recipients, amends, replaces::uuid[], held, \
     attachments, sent_late, verdict_kind, pdfs \
     FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], \
     $8::bytea[], $9::bigint[], $10::bigint[], $11::bigint[], $12::text[], $13::text[], $14::text[], $15::text[], \
     $16::bigint[], $17::integer[], $18::uuid[], $19::text[], $20::boolean[], $21::integer[], $22::boolean[], \
     $23::text[], $24::text[]) AS k (event, uid, sender, document_id, sender_code, system, message_id, sha256, size, \
     received_at, accepted_at, number, facts, verdict, warnings, directory_version, recipients, amends, replaces, \
     held, attachments, sent_late, verdict_kind, pdfs)";

const RECIPIENTS: &str = "INSERT INTO recipient (document, position, party, codes, system, delivery, state, aside, \
     detail, business, change, revision, recalled) \
     SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
     $8::text[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::bigint[])";

const RECIPIENTS_MOVED: &str = "UPDATE recipient AS r SET party = k.party, codes = k.codes, system = k.system, \
     delivery = k.delivery, state = k.state, aside = k.aside, detail = k.detail, business = k.business, \
     change = k.change, revision = k.revision, recalled = k.recalled \
     FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
     $8::text[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::bigint[]) AS k (document, position, \
     party, codes, system, delivery, state, aside, detail, business, change, revision, recalled) \
     WHERE r.document = k.document AND r.position = k.position";

const HELD: &str = "UPDATE document AS d SET held = k.held FROM unnest($1::uuid[], $2::boolean[]) AS k (uid, held) \
     WHERE d.uid = k.uid";

const SUBMISSIONS: &str = "INSERT INTO submission (system, message_id, kind, sha256, event, accepted_at, document, \
     receipt) SELECT * FROM unnest($1::text[], $2::uuid[], $3::text[], $4::bytea[], $5::bigint[], $6::bigint[], \
     $7::uuid[], $8::text[])";

const REFUSALS: &str = "INSERT INTO refusal (event, system, message_id, sha256, code, intake, size, sender, \
     received_at, refused_at, document, body_kept, answer) \
     SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], \
     $8::text[], $9::bigint[], $10::bigint[], $11::uuid[], $12::boolean[], $13::text[])";

const STATUSES: &str = "INSERT INTO status (event, document, recipient, code, reporter, system, message_id, sha256, \
     size, accepted_at, effect, delivery, to_system, reason_given, warnings) \
     SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::integer[], $4::text[], $5::text[], $6::text[], $7::uuid[], \
     $8::bytea[], $9::bigint[], $10::bigint[], $11::text[], $12::uuid[], $13::text[], $14::boolean[], $15::text[])";

const OUTBOX: &str = "INSERT INTO outbox (delivery, system, outgoing, awaits_taken, priority, event, line, document, \
     correlation_id, body, sha256, size, from_code, to_codes, status, accepted_at, attempts, place, moment, owner, \
     confirmed, alerted, failed, ordered_back, recalled) \
     SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::boolean[], $5::smallint[], $6::bigint[], \
     $7::integer[], $8::uuid[], $9::uuid[], $10::text[], $11::bytea[], $12::bigint[], $13::text[], $14::text[], \
     $15::text[], $16::bigint[], $17::integer[], $18::text[], $19::bigint[], $20::text[], $21::integer[], \
     $22::boolean[], $23::integer[], $24::text[], $25::boolean[])";

const OUTBOX_MOVED: &str = "UPDATE outbox AS o SET to_codes = k.to_codes, attempts = k.attempts, place = k.place, \
     moment = k.moment, owner = k.owner, confirmed = k.confirmed, alerted = k.alerted, failed = k.failed, \
     ordered_back = k.ordered_back, recalled = k.recalled \
     FROM unnest($1::uuid[], $2::text[], $3::integer[], $4::text[], $5::bigint[], $6::text[], $7::integer[], \
     $8::boolean[], $9::integer[], $10::text[], $11::boolean[]) AS k (delivery, to_codes, attempts, place, moment, \
     owner, confirmed, alerted, failed, ordered_back, recalled) WHERE o.delivery = k.delivery";

const OUTBOX_DONE: &str = "DELETE FROM outbox WHERE delivery = ANY($1::uuid[])";

const DIRECTORIES: &str = "INSERT INTO directory (version, event, at, json) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[])";

/// Saves everything, in an order in which later statements may see earlier ones.
pub(crate) async fn save(db: &mut Session, changes: &Changes) -> Result<(), StoreError> {
    for part in changes.events.chunks(ROWS_MAX) {
        run(db, events(part)).await?;
    }
    kept::delete(db, &changes.bodies_deleted).await?;
    kept::leave(db, &changes.bodies_left, &changes.bodies_leaving).await?;
    bodies(db, &changes.bodies).await?;
    for part in changes.documents.chunks(ROWS_MAX) {
        run(db, documents(part)?).await?;
    }
    for part in changes.recipients.chunks(ROWS_MAX) {
        run(db, recipients(RECIPIENTS, part)?).await?;
    }
    for part in changes.recipients_moved.chunks(ROWS_MAX) {
        run(db, recipients(RECIPIENTS_MOVED, part)?).await?;
    }
    if !changes.held.is_empty() {
        let held = sqlx::query(HELD)
            .bind(column(&changes.held, |(uid, _)| Id::from(*uid)))
            .bind(column(&changes.held, |(_, held)| *held));
        run(db, held).await?;
    }
    for part in changes.submissions.chunks(ROWS_MAX) {
        run(db, submissions(part)).await?;
    }
    for part in changes.refusals.chunks(ROWS_MAX) {
        run(db, refusals(part)).await?;
    }
    for part in changes.statuses.chunks(ROWS_MAX) {
        run(db, statuses(part)?).await?;
    }
    for part in changes.outbox.chunks(ROWS_MAX) {
        run(db, outbox(part)?).await?;
    }
    for part in changes.outbox_moved.chunks(ROWS_MAX) {
        run(db, outbox_moved(part)?).await?;
    }
    for part in changes.outbox_done.chunks(ROWS_MAX) {
        let done = sqlx::query(OUTBOX_DONE).bind(column(part, |delivery| Id::from(*delivery)));
        run(db, done).await?;
    }
    for part in changes.directories.chunks(ROWS_MAX) {
        run(db, directories(part)).await?;
    }
    limits::save(db, &changes.limits).await?;
    alerts::save(db, &changes.alerts).await
}

/// One column of many rows.
pub(crate) fn column<'r, R, T>(rows: &'r [R], of: impl Fn(&'r R) -> T) -> Vec<T> {
    rows.iter().map(of).collect()
}

/// One column whose values are made with a step that can fail.
fn made<R, T>(rows: &[R], of: impl Fn(&R) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
    rows.iter().map(of).collect()
}

/// A number in a `bigint`; what no `bigint` holds cannot be counted up to.
pub(crate) fn big(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number in an `integer`.
pub(crate) fn int(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// JSON that goes into a column as text.
pub(crate) fn text<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Backend(error.into()))
}

fn digest(sha256: &Sha256) -> &[u8] {
    sha256.as_bytes()
}

fn events(rows: &[EventRow]) -> Statement<'_> {
    sqlx::query(EVENTS)
        .bind(column(rows, |row| big(row.seq)))
        .bind(column(rows, |row| row.at.as_microsecond()))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.document.map(Id::from)))
        .bind(column(rows, |row| digest(&row.hash)))
        .bind(column(rows, |row| row.canonical.as_str()))
}

async fn bodies(db: &mut Session, bodies: &[(Sha256, Body)]) -> Result<(), StoreError> {
    let apart = bodies.iter().filter(|(_, body)| body.here().is_none());
    let apart: Vec<Sha256> = apart.map(|(sha256, _)| *sha256).collect();
    kept::stay(db, &apart).await?;
    let mut rest = bodies;
    while !rest.is_empty() {
        let mut bytes = 0usize;
        let fitting = rest.iter().take_while(|(_, body)| {
            bytes = bytes.saturating_add(body.here().map_or(0, |bytes| bytes.len()));
            bytes <= BODIES_BYTES_MAX
        });
        let (part, later) = rest.split_at(fitting.count().clamp(1, ROWS_MAX));
        let insert = sqlx::query(BODIES)
            .bind(column(part, |(sha256, _)| digest(sha256)))
            .bind(column(part, |(_, body)| big(body.size())))
            .bind(column(part, |(_, body)| body.here().map(|bytes| &bytes[..])));
        run(db, insert).await?;
        rest = later;
    }
    Ok(())
}

fn documents(rows: &[DocumentRow]) -> Result<Statement<'_>, StoreError> {
    let replaces = |row: &DocumentRow| {
        let uids: Vec<String> = row.replaces.iter().map(ToString::to_string).collect();
        format!("{{{}}}", uids.join(","))
    };
    let pdfs = |row: &DocumentRow| {
        let found = row
            .facts
            .attachments
            .iter()
            .filter_map(|facts| facts.signature.as_ref());
        let found: Vec<_> = found.collect();
        (!found.is_empty()).then(|| text(&found)).transpose()
    };
    let attachments = |row: &DocumentRow| i32::try_from(row.facts.attachments.len()).unwrap_or(i32::MAX);
    Ok(sqlx::query(DOCUMENTS)
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| Id::from(row.uid)))
        .bind(column(rows, |row| row.identity.sender.to_string()))
        .bind(column(rows, |row| row.identity.document_id.as_str()))
        .bind(column(rows, |row| row.sender_code.as_str()))
        .bind(column(rows, |row| row.key.system.as_str()))
        .bind(column(rows, |row| Id::from(row.key.message_id)))
        .bind(column(rows, |row| digest(&row.sha256)))
        .bind(column(rows, |row| big(row.size)))
        .bind(column(rows, |row| row.received_at.as_microsecond()))
        .bind(column(rows, |row| row.accepted_at.as_microsecond()))
        .bind(column(rows, DocumentRow::number_key))
        .bind(made(rows, |row| text(&row.facts))?)
        .bind(made(rows, |row| text(&row.verdict))?)
        .bind(made(rows, |row| text(&row.warnings))?)
        .bind(column(rows, |row| big(row.directory_version)))
        .bind(column(rows, |row| int(row.recipients)))
        .bind(column(rows, |row| row.amends.map(Id::from)))
        .bind(column(rows, replaces))
        .bind(column(rows, |row| row.held))
        .bind(column(rows, attachments))
        .bind(column(rows, |row| row.facts.sent_late.is_some()))
        .bind(column(rows, |row| {
            verdict::written(&VerdictKind::from(&row.verdict))
        }))
        .bind(made(rows, pdfs)?))
}

/// The state when it is not one of the way from scheduled to taken.
fn aside(state: &TransportState) -> Option<&'static str> {
    use TransportState::{Forwarded, Scheduled, Taken};
    match state {
        Scheduled { .. } | Forwarded { .. } | Taken { .. } => None,
        other => Some(other.name().as_str()),
    }
}

/// The columns of new recipients, and of moved ones: the same.
fn recipients<'r>(statement: &'static str, rows: &'r [RecipientRow]) -> Result<Statement<'r>, StoreError> {
    Ok(sqlx::query(statement)
        .bind(column(rows, |row| Id::from(row.document)))
        .bind(column(rows, |row| int(row.position)))
        .bind(column(rows, |row| row.party.to_string()))
        .bind(made(rows, |row| text(&row.codes))?)
        .bind(column(rows, |row| {
            row.system.as_ref().map(|system| system.as_str())
        }))
        .bind(column(rows, |row| row.delivery.map(Id::from)))
        .bind(column(rows, |row| row.state.name().as_str()))
        .bind(column(rows, |row| aside(&row.state)))
        .bind(made(rows, |row| text(&row.state))?)
        .bind(column(rows, |row| row.business.as_str()))
        .bind(column(rows, |row| row.change.as_str()))
        .bind(column(rows, |row| int(row.revision)))
        .bind(column(rows, |row| row.recalled.map(big))))
}

fn submissions(rows: &[SubmissionRow]) -> Statement<'_> {
    sqlx::query(SUBMISSIONS)
        .bind(column(rows, |row| row.key.system.as_str()))
        .bind(column(rows, |row| Id::from(row.key.message_id)))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| digest(&row.sha256)))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| row.accepted_at.as_microsecond()))
        .bind(column(rows, |row| Id::from(row.document)))
        .bind(column(rows, |row| row.receipt.as_str()))
}

fn refusals(rows: &[RefusalRow]) -> Statement<'_> {
    let message_id = |row: &RefusalRow| row.key.message_id.map_or_else(String::new, |id| id.to_string());
    sqlx::query(REFUSALS)
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| {
            row.key.system.as_ref().map_or("", |system| system.as_str())
        }))
        .bind(column(rows, message_id))
        .bind(column(rows, |row| digest(&row.key.sha256)))
        .bind(column(rows, |row| row.key.code.as_str()))
        .bind(column(rows, |row| row.intake.as_str()))
        .bind(column(rows, |row| big(row.size)))
        .bind(column(rows, |row| row.sender.as_ref().map(ToString::to_string)))
        .bind(column(rows, |row| row.received_at.as_microsecond()))
        .bind(column(rows, |row| row.refused_at.as_microsecond()))
        .bind(column(rows, |row| row.document.map(Id::from)))
        .bind(column(rows, |row| row.body_kept))
        .bind(column(rows, |row| row.answer.as_str()))
}

fn statuses(rows: &[StatusRow]) -> Result<Statement<'_>, StoreError> {
    Ok(sqlx::query(STATUSES)
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| Id::from(row.document)))
        .bind(column(rows, |row| int(row.recipient)))
        .bind(column(rows, |row| row.code.digits()))
        .bind(column(rows, |row| row.reporter.to_string()))
        .bind(column(rows, |row| row.key.system.as_str()))
        .bind(column(rows, |row| Id::from(row.key.message_id)))
        .bind(column(rows, |row| digest(&row.sha256)))
        .bind(column(rows, |row| big(row.size)))
        .bind(column(rows, |row| row.accepted_at.as_microsecond()))
        .bind(column(rows, |row| row.effect.as_str()))
        .bind(column(rows, |row| row.delivery.map(Id::from)))
        .bind(column(rows, |row| {
            row.to_system.as_ref().map(|system| system.as_str())
        }))
        .bind(column(rows, |row| row.reason_given))
        .bind(made(rows, |row| text(&row.warnings))?))
}

const fn place(row: &OutboxRow) -> &'static str {
    match row.place {
        OutboxPlace::Waiting { .. } => "waiting",
        OutboxPlace::Leased { .. } => "leased",
        OutboxPlace::Forwarded { .. } => "forwarded",
    }
}

fn moment(row: &OutboxRow) -> Option<i64> {
    match &row.place {
        OutboxPlace::Waiting { not_before } => not_before.map(|at| at.as_microsecond()),
        OutboxPlace::Leased { until, .. } => Some(until.as_microsecond()),
        OutboxPlace::Forwarded { at, .. } => Some(at.as_microsecond()),
    }
}

fn owner(row: &OutboxRow) -> Option<&str> {
    match &row.place {
        OutboxPlace::Leased { owner, .. } => Some(owner.as_str()),
        OutboxPlace::Waiting { .. } | OutboxPlace::Forwarded { .. } => None,
    }
}

fn confirmed(row: &OutboxRow) -> Option<i32> {
    match row.place {
        OutboxPlace::Forwarded { attempt, .. } => Some(int(attempt)),
        OutboxPlace::Waiting { .. } | OutboxPlace::Leased { .. } => None,
    }
}

fn outbox(rows: &[OutboxRow]) -> Result<Statement<'_>, StoreError> {
    let body = |row: &'_ OutboxRow| match &row.body {
        OutboxBody::Stored => None,
        OutboxBody::Inline(json) => Some(json.clone()),
    };
    Ok(sqlx::query(OUTBOX)
        .bind(column(rows, |row| Id::from(row.delivery)))
        .bind(column(rows, |row| row.system.as_str()))
        .bind(column(rows, |row| row.outgoing.as_str()))
        .bind(column(rows, |row| row.outgoing.awaits_taken()))
        .bind(column(rows, |row| i16::from(row.priority)))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| int(row.line)))
        .bind(column(rows, |row| row.document.map(Id::from)))
        .bind(column(rows, |row| row.correlation_id.map(Id::from)))
        .bind(column(rows, body))
        .bind(column(rows, |row| digest(&row.sha256)))
        .bind(column(rows, |row| big(row.size)))
        .bind(column(rows, |row| row.from.as_deref()))
        .bind(made(rows, |row| text(&row.to))?)
        .bind(column(rows, |row| row.status.map(|code| code.digits())))
        .bind(column(rows, |row| row.accepted_at.as_microsecond()))
        .bind(column(rows, |row| int(row.attempts)))
        .bind(column(rows, place))
        .bind(column(rows, moment))
        .bind(column(rows, owner))
        .bind(column(rows, confirmed))
        .bind(column(rows, |row| row.alerted))
        .bind(column(rows, |row| int(row.failed)))
        .bind(made(rows, |row| text(&row.ordered_back))?)
        .bind(column(rows, |row| row.recalled)))
}

fn outbox_moved(rows: &[OutboxRow]) -> Result<Statement<'_>, StoreError> {
    Ok(sqlx::query(OUTBOX_MOVED)
        .bind(column(rows, |row| Id::from(row.delivery)))
        .bind(made(rows, |row| text(&row.to))?)
        .bind(column(rows, |row| int(row.attempts)))
        .bind(column(rows, place))
        .bind(column(rows, moment))
        .bind(column(rows, owner))
        .bind(column(rows, confirmed))
        .bind(column(rows, |row| row.alerted))
        .bind(column(rows, |row| int(row.failed)))
        .bind(made(rows, |row| text(&row.ordered_back))?)
        .bind(column(rows, |row| row.recalled)))
}

fn directories(rows: &[DirectoryRow]) -> Statement<'_> {
    sqlx::query(DIRECTORIES)
        .bind(column(rows, |row| big(row.version)))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| row.at.as_microsecond()))
        .bind(column(rows, |row| row.json.as_str()))
}
