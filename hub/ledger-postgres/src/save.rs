//! Saves what a transaction adds and changes: one statement for all tables.
//!
//! Rows travel column by column, each column an array in one parameter, and `unnest` makes rows of them again. Each
//! table's part is a constant; a statement has the parts for which there are rows, so that there are few different ones,
//! each prepared once, and all of it is one round trip for however many rows. What hardly ever happens (bytes that go,
//! limits that end, alerts) has statements of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use sqlx::postgres::PgArguments;
use sqlx::{Arguments as _, AssertSqlSafe};
use truc_ledger::StoreError;
use truc_ledger::body::Body;
use truc_ledger::event::EventRow;
use truc_ledger::limit::LimitRow;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxBody, OutboxPlace, OutboxRow, RecipientRow, RefusalRow,
    StatusRow, SubmissionRow,
};
use truc_ledger::signatures::VerdictKind;
use truc_model::{DeliveryUid, DocumentUid, Sha256, TransportState};

use crate::column::Columns as _;
use crate::id::Id;
use crate::session::{Session, Statement, all};
use crate::write::ids;
use crate::{alerts, kept, limits, verdict};

/// Most rows in one statement.
pub(crate) const ROWS_MAX: usize = 5000;

/// Most bytes of bodies in one statement; a larger single one still passes. PostgreSQL takes a message of 1 GiB.
pub(crate) const BODIES_BYTES_MAX: usize = 32 << 20;

const EVENTS: &str = "INSERT INTO event (seq, at, kind, document, hash, canonical) \
     SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::uuid[], $5::bytea[], $6::text[])";

/// A body that is kept, here or apart, stays as it is.
const BODIES: &str = "INSERT INTO body (sha256, size, bytes) \
     SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[]) ON CONFLICT DO NOTHING RETURNING 1";

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

/// The tables a statement can write to, in this order, with the columns in arrays.
const PARTS: [&str; 14] = [
    EVENTS,
    BODIES,
    DOCUMENTS,
    RECIPIENTS,
    RECIPIENTS_MOVED,
    HELD,
    SUBMISSIONS,
    REFUSALS,
    STATUSES,
    OUTBOX,
    OUTBOX_MOVED,
    OUTBOX_DONE,
    DIRECTORIES,
    limits::BEGUN,
];

/// About as many columns as all tables have.
const COLUMNS_MAX: usize = 180;

/// About as many bytes as a row has that has no long text.
const ROW_BYTES: usize = 400;

/// Which of [`PARTS`] are the bodies.
const BODIES_PART: usize = 1;

/// Statements made so far, by which of [`PARTS`] they have: some dozens in all.
static STATEMENTS: Mutex<BTreeMap<u16, Arc<str>>> = Mutex::new(BTreeMap::new());

/// Saves everything. Says whether all bodies were new.
pub(crate) async fn save(db: &mut Session, changes: &Changes) -> Result<bool, StoreError> {
    kept::delete(db, &changes.bodies_deleted).await?;
    kept::leave(db, &changes.bodies_left, &changes.bodies_leaving).await?;
    let apart = changes.bodies.iter().filter(|(_, body)| body.here().is_none());
    let apart: Vec<Sha256> = apart.map(|(sha256, _)| *sha256).collect();
    kept::stay(db, &apart).await?;
    limits::save(db, &changes.limits).await?;
    let mut rest = Rows::of(changes);
    let mut fresh = 0;
    loop {
        let part = rest.first();
        if part.is_empty() {
            break;
        }
        let new: Vec<u64> = all(db, part.statement()?, |row| row.count("fresh")).await?;
        fresh += new.iter().sum::<u64>();
    }
    alerts::save(db, &changes.alerts).await?;
    Ok(fresh == changes.bodies.len() as u64)
}

/// Rows for one statement, table by table. No row is in it twice: what came with the transaction is among the new
/// ones alone. So its parts, which do not see what the others do, need no order.
struct Rows<'c> {
    events: &'c [EventRow],
    bodies: &'c [(Sha256, Body)],
    documents: &'c [DocumentRow],
    recipients: &'c [RecipientRow],
    recipients_moved: &'c [RecipientRow],
    held: &'c [(DocumentUid, bool)],
    submissions: &'c [SubmissionRow],
    refusals: &'c [RefusalRow],
    statuses: &'c [StatusRow],
    outbox: &'c [OutboxRow],
    outbox_moved: &'c [OutboxRow],
    outbox_done: &'c [DeliveryUid],
    directories: &'c [DirectoryRow],
    limits_begun: &'c [LimitRow],
}

impl<'c> Rows<'c> {
    fn of(changes: &'c Changes) -> Self {
        Self {
            events: &changes.events,
            bodies: &changes.bodies,
            documents: &changes.documents,
            recipients: &changes.recipients,
            recipients_moved: &changes.recipients_moved,
            held: &changes.held,
            submissions: &changes.submissions,
            refusals: &changes.refusals,
            statuses: &changes.statuses,
            outbox: &changes.outbox,
            outbox_moved: &changes.outbox_moved,
            outbox_done: &changes.outbox_done,
            directories: &changes.directories,
            limits_begun: &changes.limits.begun,
        }
    }

    /// Takes as many off the front of each table's rows as one statement takes.
    fn first(&mut self) -> Self {
        let mut bytes = 0usize;
        let fitting = self.bodies.iter().take_while(|(_, body)| {
            bytes = bytes.saturating_add(body.here().map_or(0, |bytes| bytes.len()));
            bytes <= BODIES_BYTES_MAX
        });
        let bodies = fitting.count().clamp(1, ROWS_MAX);
        Self {
            events: cut(&mut self.events, ROWS_MAX),
            bodies: cut(&mut self.bodies, bodies),
            documents: cut(&mut self.documents, ROWS_MAX),
            recipients: cut(&mut self.recipients, ROWS_MAX),
            recipients_moved: cut(&mut self.recipients_moved, ROWS_MAX),
            held: cut(&mut self.held, ROWS_MAX),
            submissions: cut(&mut self.submissions, ROWS_MAX),
            refusals: cut(&mut self.refusals, ROWS_MAX),
            statuses: cut(&mut self.statuses, ROWS_MAX),
            outbox: cut(&mut self.outbox, ROWS_MAX),
            outbox_moved: cut(&mut self.outbox_moved, ROWS_MAX),
            outbox_done: cut(&mut self.outbox_done, ROWS_MAX),
            directories: cut(&mut self.directories, ROWS_MAX),
            limits_begun: cut(&mut self.limits_begun, ROWS_MAX),
        }
    }

    fn lengths(&self) -> [usize; PARTS.len()] {
        [
            self.events.len(),
            self.bodies.len(),
            self.documents.len(),
            self.recipients.len(),
            self.recipients_moved.len(),
            self.held.len(),
            self.submissions.len(),
            self.refusals.len(),
            self.statuses.len(),
            self.outbox.len(),
            self.outbox_moved.len(),
            self.outbox_done.len(),
            self.directories.len(),
            self.limits_begun.len(),
        ]
    }

    fn is_empty(&self) -> bool {
        self.lengths() == [0; PARTS.len()]
    }

    /// About how many bytes they are on their way, so that there is room at once.
    fn bytes(&self) -> usize {
        let events = self.events.iter().map(|row| row.canonical.len() + ROW_BYTES / 4);
        let bodies = self.bodies.iter();
        let bodies = bodies.map(|(_, body)| body.here().map_or(0, |bytes| bytes.len()) + ROW_BYTES / 4);
        let rows = 3 * self.documents.len()
            + self.recipients.len()
            + self.recipients_moved.len()
            + 2 * self.submissions.len()
            + 2 * self.outbox.len()
            + self.outbox_moved.len()
            + self.limits_begun.len();
        events.sum::<usize>() + bodies.sum::<usize>() + rows * ROW_BYTES
    }

    /// The statement for those tables that have rows.
    fn statement(&self) -> Result<Statement<'static>, StoreError> {
        let lengths = self.lengths();
        let mut arguments = PgArguments::default();
        arguments.reserve(COLUMNS_MAX, self.bytes());
        let mut to = sqlx::query_with(AssertSqlSafe(text_for(&lengths)), arguments);
        for (part, length) in lengths.iter().enumerate() {
            if *length > 0 {
                to = self.bind(part, to)?;
            }
        }
        Ok(to)
    }

    /// Binds the columns of one of [`PARTS`].
    fn bind(&self, part: usize, to: Statement<'static>) -> Result<Statement<'static>, StoreError> {
        Ok(match part {
            0 => events(to, self.events),
            BODIES_PART => bodies(to, self.bodies),
            2 => documents(to, self.documents)?,
            3 => recipients(to, self.recipients)?,
            4 => recipients(to, self.recipients_moved)?,
            5 => to
                .bind(column(self.held, |(uid, _)| Id::from(*uid)))
                .bind(column(self.held, |(_, held)| *held)),
            6 => submissions(to, self.submissions),
            7 => refusals(to, self.refusals),
            8 => statuses(to, self.statuses)?,
            9 => outbox(to, self.outbox)?,
            10 => outbox_moved(to, self.outbox_moved)?,
            11 => to.bind(ids(self.outbox_done)),
            12 => directories(to, self.directories),
            _ => limits::begun(to, self.limits_begun),
        })
    }
}

fn cut<'c, T>(rows: &mut &'c [T], max: usize) -> &'c [T] {
    let (first, rest) = rows.split_at(max.min(rows.len()));
    *rows = rest;
    first
}

/// The text of the statement that has those of [`PARTS`] that have rows.
fn text_for(lengths: &[usize; PARTS.len()]) -> Arc<str> {
    let which = lengths
        .iter()
        .rev()
        .fold(0u16, |which, length| which << 1 | u16::from(*length > 0));
    let mut known = STATEMENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let text = known.entry(which).or_insert_with(|| made_of(lengths).into());
    Arc::clone(text)
}

/// `WITH p0 AS (…), … SELECT …`, the parameters numbered through.
fn made_of(lengths: &[usize; PARTS.len()]) -> String {
    let mut text = String::from("WITH ");
    let mut parameters = 0;
    let parts = PARTS.iter().zip(lengths).enumerate();
    for (number, (part, _)) in parts.filter(|(_, (_, length))| **length > 0) {
        if parameters > 0 {
            text.push_str(", ");
        }
        let before = parameters;
        let _ = write!(text, "p{number} AS (");
        let mut pieces = part.split('$');
        text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
            let (own, after) = piece.split_at(digits);
            let own: usize = own.parse().unwrap_or_default();
            parameters = parameters.max(before + own);
            let _ = write!(text, "${}{after}", before + own);
        }
        text.push(')');
    }
    if lengths[BODIES_PART] > 0 {
        let _ = write!(text, " SELECT count(*) AS fresh FROM p{BODIES_PART}");
    } else {
        text.push_str(" SELECT 0::bigint AS fresh");
    }
    text
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

fn events(to: Statement<'static>, rows: &[EventRow]) -> Statement<'static> {
    to.bind(column(rows, |row| big(row.seq)))
        .bind(column(rows, |row| row.at.as_microsecond()))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.document.map(Id::from)))
        .bind(column(rows, |row| digest(&row.hash)))
        .bind(column(rows, |row| row.canonical.as_str()))
}

fn bodies(to: Statement<'static>, rows: &[(Sha256, Body)]) -> Statement<'static> {
    to.bind(column(rows, |(sha256, _)| digest(sha256)))
        .bind(column(rows, |(_, body)| big(body.size())))
        .bind(column(rows, |(_, body)| body.here().map(|bytes| &bytes[..])))
}

fn documents(to: Statement<'static>, rows: &[DocumentRow]) -> Result<Statement<'static>, StoreError> {
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
    Ok(to
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
fn recipients(to: Statement<'static>, rows: &[RecipientRow]) -> Result<Statement<'static>, StoreError> {
    Ok(to
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

fn submissions(to: Statement<'static>, rows: &[SubmissionRow]) -> Statement<'static> {
    to.bind(column(rows, |row| row.key.system.as_str()))
        .bind(column(rows, |row| Id::from(row.key.message_id)))
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| digest(&row.sha256)))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| row.accepted_at.as_microsecond()))
        .bind(column(rows, |row| Id::from(row.document)))
        .bind(column(rows, |row| row.receipt.as_str()))
}

fn refusals(to: Statement<'static>, rows: &[RefusalRow]) -> Statement<'static> {
    let message_id = |row: &RefusalRow| row.key.message_id.map_or_else(String::new, |id| id.to_string());
    to.bind(column(rows, |row| big(row.event)))
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

fn statuses(to: Statement<'static>, rows: &[StatusRow]) -> Result<Statement<'static>, StoreError> {
    Ok(to
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

fn outbox(to: Statement<'static>, rows: &[OutboxRow]) -> Result<Statement<'static>, StoreError> {
    let body = |row: &'_ OutboxRow| match &row.body {
        OutboxBody::Stored => None,
        OutboxBody::Inline(json) => Some(json.clone()),
    };
    Ok(to
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

fn outbox_moved(to: Statement<'static>, rows: &[OutboxRow]) -> Result<Statement<'static>, StoreError> {
    Ok(to
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

fn directories(to: Statement<'static>, rows: &[DirectoryRow]) -> Statement<'static> {
    to.bind(column(rows, |row| big(row.version)))
        .bind(column(rows, |row| big(row.event)))
        .bind(column(rows, |row| row.at.as_microsecond()))
        .bind(column(rows, |row| row.json.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parameters_of_the_parts_are_numbered_through() {
        let mut lengths = [0; PARTS.len()];
        lengths[5] = 1;
        lengths[11] = 1;
        let two = made_of(&lengths);
        assert!(two.contains("unnest($1::uuid[], $2::boolean[])"), "{two}");
        assert!(two.contains("delivery = ANY($3::uuid[])"), "{two}");
        assert!(two.ends_with("SELECT 0::bigint AS fresh"), "{two}");
        let all = made_of(&[1; PARTS.len()]);
        let numbers = all.split('$').skip(1).map(|rest| {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap();
            rest[..digits].parse::<usize>().unwrap()
        });
        let numbers: Vec<usize> = numbers.collect();
        assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>());
        assert!(numbers.len() <= COLUMNS_MAX);
        assert!(all.ends_with("SELECT count(*) AS fresh FROM p1"), "{all}");
    }
}
