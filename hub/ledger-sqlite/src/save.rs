//! Saves what a transaction adds and changes, table by table, many rows a statement.
//!
//! Rows travel as one JSON array in one parameter and are taken apart by `jsonb_each`, which reads it once: the
//! statements are constants, prepared once, and no limit on the number of parameters is near. Bodies travel as
//! they are.

use std::sync::LazyLock;

use sqlx::SqliteConnection;
use truc_ledger::StoreError;
use truc_ledger::body::{Body, LeavingBody};
use truc_ledger::event::EventRow;
use truc_ledger::rows::{
    Changes, DirectoryRow, DocumentRow, OutboxBody, OutboxPlace, OutboxRow, RecipientRow, RefusalRow,
    StatusRow, SubmissionRow,
};
use truc_model::{DocumentUid, Sha256};

use crate::fault::store_error;
use crate::{alerts, kept, limits};

/// Most rows in one statement.
pub(crate) const ROWS_MAX: usize = 500;

/// Most bodies in one statement.
pub(crate) const BODIES_MAX: usize = 64;

/// Statements for bodies by the places they have, the smallest first: few enough to stay prepared. A place that is
/// not needed is null.
static BODIES: LazyLock<[(usize, String); 4]> = LazyLock::new(|| {
    [1, 4, 16, BODIES_MAX].map(|places| {
        let values = vec!["(?, ?)"; places].join(", ");
        let statement = format!(
            "INSERT INTO body (sha256, bytes) SELECT column1, column2 FROM (VALUES {values}) \
             WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING"
        );
        (places, statement)
    })
});

const EVENTS: &str = "INSERT INTO event (seq, at, kind, document, hash, canonical) \
     SELECT value->>0, value->>1, value->>2, value->>3, unhex(value->>4), value->>5 FROM jsonb_each($1)";

const DOCUMENTS: &str = "INSERT INTO document (event, uid, sender, document_id, sender_code, system, message_id, \
     sha256, size, received_at, accepted_at, number, facts, verdict, warnings, directory_version, recipients, held, \
     amends, replaces) \
     SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, unhex(value->>7), \
     value->>8, value->>9, value->>10, value->>11, value->>12, value->>13, value->>14, value->>15, value->>16, \
     value->>17, value->>18, value->>19 FROM jsonb_each($1)";

const RECIPIENTS: &str = "INSERT INTO recipient (document, position, party, codes, system, delivery, state, detail, \
     business, change, revision, recalled) SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, \
     value->>6, value->>7, value->>8, value->>9, value->>10, value->>11 FROM jsonb_each($1)";

const RECIPIENTS_MOVED: &str = "UPDATE recipient SET state = k.value->>2, detail = k.value->>3, \
     business = k.value->>4, change = k.value->>5, party = k.value->>6, codes = k.value->>7, system = k.value->>8, \
     delivery = k.value->>9, revision = k.value->>10, recalled = k.value->>11 FROM jsonb_each($1) AS k \
     WHERE recipient.document = k.value->>0 AND recipient.position = k.value->>1";

const HELD: &str = "UPDATE document SET held = k.value->>1 FROM jsonb_each($1) AS k WHERE uid = k.value->>0";

const SUBMISSIONS: &str = "INSERT INTO submission (system, message_id, kind, sha256, event, accepted_at, document, \
     receipt) SELECT value->>0, value->>1, value->>2, unhex(value->>3), value->>4, value->>5, value->>6, value->>7 \
     FROM jsonb_each($1)";

const REFUSALS: &str = "INSERT INTO refusal (event, system, message_id, sha256, code, intake, size, sender, \
     received_at, refused_at, document, body_kept, answer) SELECT value->>0, value->>1, value->>2, \
     unhex(value->>3), value->>4, value->>5, value->>6, value->>7, value->>8, value->>9, value->>10, value->>11, \
     value->>12 FROM jsonb_each($1)";

const STATUSES: &str = "INSERT INTO status (event, document, recipient, code, reporter, system, message_id, sha256, \
     size, accepted_at, effect, delivery, to_system, reason_given, warnings) SELECT value->>0, value->>1, \
     value->>2, value->>3, value->>4, value->>5, value->>6, unhex(value->>7), value->>8, value->>9, value->>10, \
     value->>11, value->>12, value->>13, value->>14 FROM jsonb_each($1)";

const OUTBOX: &str = "INSERT INTO outbox (delivery, system, outgoing, awaits_taken, priority, event, line, document, \
     correlation_id, body, sha256, size, from_code, to_codes, status, accepted_at, attempts, place, moment, owner, \
     confirmed, alerted, failed, ordered_back, recalled) SELECT value->>0, value->>1, value->>2, value->>3, value->>4, value->>5, value->>6, \
     value->>7, value->>8, value->>9, unhex(value->>10), value->>11, value->>12, value->>13, value->>14, \
     value->>15, value->>16, value->>17, value->>18, value->>19, value->>20, value->>21, value->>22, value->>23, \
     value->>24 FROM jsonb_each($1)";

const OUTBOX_MOVED: &str = "UPDATE outbox SET attempts = k.value->>1, place = k.value->>2, moment = k.value->>3, \
     owner = k.value->>4, confirmed = k.value->>5, alerted = k.value->>6, to_codes = k.value->>7, \
     failed = k.value->>8, ordered_back = k.value->>9, recalled = k.value->>10 FROM jsonb_each($1) AS k \
     WHERE outbox.delivery = k.value->>0";

const OUTBOX_DONE: &str = "DELETE FROM outbox WHERE delivery IN (SELECT value FROM json_each($1))";

const DIRECTORIES: &str = "INSERT INTO directory (version, event, at, json) \
     SELECT value->>0, value->>1, value->>2, value->>3 FROM jsonb_each($1)";

/// What nearly every transaction saves, in one trip to the connection's thread: the trips cost more than the rows
/// when there is much else for the processors to do. Each statement takes one array; one without rows costs little.
static USUAL: LazyLock<String> = LazyLock::new(|| {
    let statements = [
        EVENTS,
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
        limits::ENDED,
        limits::ENDED_UNTOLD,
        limits::BEGUN,
    ];
    // Numbered parameters would all be the first array.
    statements
        .map(|statement| statement.replace("$1", "?"))
        .join("; ")
});

/// Saves everything, parents before those that refer to them. Gives whether all bodies are new.
pub(crate) async fn save(connection: &mut SqliteConnection, changes: &Changes) -> Result<bool, StoreError> {
    let db = connection;
    // A claim alone moves messages and writes no event: one statement then, too.
    if changes.events.is_empty() || !is_usual(changes) {
        return one_by_one(db, changes).await;
    }
    let all_new = bodies(db, &changes.bodies).await?;
    let limits = &changes.limits;
    sqlx::query(USUAL.as_str())
        .bind(array(&changes.events, event)?)
        .bind(array(&changes.documents, document)?)
        .bind(array(&changes.recipients, recipient)?)
        .bind(array(&changes.recipients_moved, recipient_moved)?)
        .bind(array(&changes.held, held)?)
        .bind(array(&changes.submissions, submission)?)
        .bind(array(&changes.refusals, refusal)?)
        .bind(array(&changes.statuses, status)?)
        .bind(array(&changes.outbox, outbox)?)
        .bind(array(&changes.outbox_moved, outbox_moved)?)
        .bind(array(&changes.outbox_done, |out, delivery| out.put(delivery))?)
        .bind(array(&limits.ended, |out, end| out.put(&limits::ended_row(end)))?)
        .bind(array(&limits.begun, |out, row| out.put(&limits::begun_row(row)))?)
        .execute(db)
        .await
        .map_err(store_error)?;
    Ok(all_new)
}

/// Whether there is nothing in it but what [`USUAL`] saves.
fn is_usual(changes: &Changes) -> bool {
    changes.bodies_deleted.is_empty()
        && changes.bodies_left.is_empty()
        && changes.bodies_leaving.is_empty()
        && changes.directories.is_empty()
        && changes.limits.told.is_empty()
        && changes.limits.gone.is_empty()
        && changes.alerts.is_empty()
}

async fn one_by_one(db: &mut SqliteConnection, changes: &Changes) -> Result<bool, StoreError> {
    rows(db, EVENTS, &changes.events, event).await?;
    kept::delete(db, &changes.bodies_deleted).await?;
    rows(db, kept::LEFT, &changes.bodies_left, leaving).await?;
    rows(db, kept::LEAVE, &changes.bodies_leaving, leaving).await?;
    let all_new = bodies(db, &changes.bodies).await?;
    rows(db, DOCUMENTS, &changes.documents, document).await?;
    rows(db, RECIPIENTS, &changes.recipients, recipient).await?;
    rows(db, RECIPIENTS_MOVED, &changes.recipients_moved, recipient_moved).await?;
    rows(db, HELD, &changes.held, held).await?;
    rows(db, SUBMISSIONS, &changes.submissions, submission).await?;
    rows(db, REFUSALS, &changes.refusals, refusal).await?;
    rows(db, STATUSES, &changes.statuses, status).await?;
    rows(db, OUTBOX, &changes.outbox, outbox).await?;
    rows(db, OUTBOX_MOVED, &changes.outbox_moved, outbox_moved).await?;
    rows(db, OUTBOX_DONE, &changes.outbox_done, |out, delivery| {
        out.put(delivery)
    })
    .await?;
    rows(db, DIRECTORIES, &changes.directories, directory).await?;
    limits::save(db, &changes.limits).await?;
    alerts::save(db, &changes.alerts).await?;
    Ok(all_new)
}

fn array<T>(
    rows: &[T],
    columns: impl Fn(&mut Rows, &T) -> Result<(), StoreError>,
) -> Result<String, StoreError> {
    let mut out = Rows(Vec::with_capacity(2 + rows.len() * ROW_BYTES));
    out.0.push(b'[');
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            out.0.push(b',');
        }
        columns(&mut out, row)?;
    }
    out.0.push(b']');
    String::from_utf8(out.0).map_err(|error| StoreError::Backend(error.into()))
}

/// What room is taken at first for a row: a message to go out needs about this much.
const ROW_BYTES: usize = 512;

/// A JSON array of rows in the making: written straight into its bytes.
struct Rows(Vec<u8>);

impl Rows {
    fn put(&mut self, value: &(impl serde::Serialize + ?Sized)) -> Result<(), StoreError> {
        serde_json::to_writer(&mut self.0, value).map_err(|error| StoreError::Backend(error.into()))
    }
}

/// One row: an array of these columns.
macro_rules! columns {
    ($out:expr; $first:expr $(, $more:expr)* $(,)?) => {{
        $out.0.push(b'[');
        $out.put(&$first)?;
        $( $out.0.push(b','); $out.put(&$more)?; )*
        $out.0.push(b']');
        Ok(())
    }};
}

async fn rows<T>(
    connection: &mut SqliteConnection,
    statement: &'static str,
    rows: &[T],
    columns: impl Fn(&mut Rows, &T) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for part in rows.chunks(ROWS_MAX) {
        let written = sqlx::query(statement)
            .bind(array(part, &columns)?)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
        tracing::trace!(rows = written.rows_affected(), "ledger rows saved");
    }
    Ok(())
}

/// A body that is kept, here or apart, stays as it is: see the triggers of version 7. Gives whether there was none.
async fn bodies(connection: &mut SqliteConnection, bodies: &[(Sha256, Body)]) -> Result<bool, StoreError> {
    let (mut here, mut apart) = (Vec::new(), Vec::new());
    for (sha256, body) in bodies {
        match body {
            Body::Here(bytes) => here.push((sha256, bytes)),
            Body::Apart { size } => apart.push((sha256, size)),
        }
    }
    rows(
        connection,
        kept::KEEP_APART,
        &apart,
        |out, (sha256, size)| columns!(out; sha256, size),
    )
    .await?;
    let mut added = 0;
    for part in here.chunks(BODIES_MAX) {
        let (places, statement) = BODIES
            .iter()
            .find(|(places, _)| part.len() <= *places)
            .ok_or_else(|| StoreError::Backend("more bodies than a statement takes".into()))?;
        let mut insert = sqlx::query(statement.as_str());
        for place in 0..*places {
            let body = part.get(place);
            insert = insert
                .bind(body.map(|(sha256, _)| sha256.as_bytes().to_vec()))
                .bind(body.map(|(_, bytes)| bytes.to_vec()));
        }
        let done = insert.execute(&mut *connection).await.map_err(store_error)?;
        added += done.rows_affected();
    }
    Ok(added == here.len() as u64)
}

/// JSON that goes into a column as text.
fn text<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Backend(error.into()))
}

fn leaving(out: &mut Rows, row: &LeavingBody) -> Result<(), StoreError> {
    columns!(out; row.sha256, row.size, row.event)
}

fn held(out: &mut Rows, (document, held): &(DocumentUid, bool)) -> Result<(), StoreError> {
    columns!(out; document, u8::from(*held))
}

fn event(out: &mut Rows, row: &EventRow) -> Result<(), StoreError> {
    let at = row.at.as_microsecond();
    columns!(out;
        row.seq,
        at,
        row.kind.as_str(),
        row.document,
        row.hash,
        row.canonical
    )
}

fn document(out: &mut Rows, row: &DocumentRow) -> Result<(), StoreError> {
    columns!(out;
        row.event,
        row.uid,
        row.identity.sender,
        row.identity.document_id,
        row.sender_code,
        row.key.system,
        row.key.message_id,
        row.sha256,
        row.size,
        row.received_at.as_microsecond(),
        row.accepted_at.as_microsecond(),
        row.number_key(),
        text(&row.facts)?,
        text(&row.verdict)?,
        text(&row.warnings)?,
        row.directory_version,
        row.recipients,
        u8::from(row.held),
        row.amends,
        text(&row.replaces)?,
    )
}

fn recipient(out: &mut Rows, row: &RecipientRow) -> Result<(), StoreError> {
    columns!(out;
        row.document,
        row.position,
        row.party,
        text(&row.codes)?,
        row.system,
        row.delivery,
        row.state.name().as_str(),
        text(&row.state)?,
        row.business.as_str(),
        row.change.as_str(),
        row.revision,
        row.recalled,
    )
}

fn recipient_moved(out: &mut Rows, row: &RecipientRow) -> Result<(), StoreError> {
    columns!(out;
        row.document,
        row.position,
        row.state.name().as_str(),
        text(&row.state)?,
        row.business.as_str(),
        row.change.as_str(),
        row.party,
        text(&row.codes)?,
        row.system,
        row.delivery,
        row.revision,
        row.recalled,
    )
}

fn submission(out: &mut Rows, row: &SubmissionRow) -> Result<(), StoreError> {
    columns!(out;
        row.key.system,
        row.key.message_id,
        row.kind.as_str(),
        row.sha256,
        row.event,
        row.accepted_at.as_microsecond(),
        row.document,
        row.receipt,
    )
}

fn refusal(out: &mut Rows, row: &RefusalRow) -> Result<(), StoreError> {
    columns!(out;
        row.event,
        row.key.system.as_ref().map_or("", |system| system.as_str()),
        row.key.message_id.map_or_else(String::new, |id| id.to_string()),
        row.key.sha256,
        row.key.code,
        row.intake.as_str(),
        row.size,
        row.sender,
        row.received_at.as_microsecond(),
        row.refused_at.as_microsecond(),
        row.document,
        u8::from(row.body_kept),
        row.answer,
    )
}

fn status(out: &mut Rows, row: &StatusRow) -> Result<(), StoreError> {
    columns!(out;
        row.event,
        row.document,
        row.recipient,
        row.code,
        row.reporter,
        row.key.system,
        row.key.message_id,
        row.sha256,
        row.size,
        row.accepted_at.as_microsecond(),
        row.effect,
        row.delivery,
        row.to_system,
        u8::from(row.reason_given),
        text(&row.warnings)?,
    )
}

/// The columns place, moment, owner, confirmed.
fn place(place: &OutboxPlace) -> (&'static str, Option<i64>, Option<&str>, Option<u32>) {
    match place {
        OutboxPlace::Waiting { not_before } => {
            ("waiting", not_before.map(|at| at.as_microsecond()), None, None)
        }
        OutboxPlace::Leased { owner, until } => {
            ("leased", Some(until.as_microsecond()), Some(owner.as_str()), None)
        }
        OutboxPlace::Forwarded { at, attempt } => {
            ("forwarded", Some(at.as_microsecond()), None, Some(*attempt))
        }
    }
}

fn outbox(out: &mut Rows, row: &OutboxRow) -> Result<(), StoreError> {
    let (place, moment, owner, confirmed) = place(&row.place);
    let body = match &row.body {
        OutboxBody::Stored => None,
        OutboxBody::Inline(json) => Some(json),
    };
    columns!(out;
        row.delivery,
        row.system,
        row.outgoing.as_str(),
        u8::from(row.outgoing.awaits_taken()),
        row.priority,
        row.event,
        row.line,
        row.document,
        row.correlation_id,
        body,
        row.sha256,
        row.size,
        row.from,
        text(&row.to)?,
        row.status,
        row.accepted_at.as_microsecond(),
        row.attempts,
        place,
        moment,
        owner,
        confirmed,
        u8::from(row.alerted),
        row.failed,
        text(&row.ordered_back)?,
        u8::from(row.recalled),
    )
}

fn outbox_moved(out: &mut Rows, row: &OutboxRow) -> Result<(), StoreError> {
    let (place, moment, owner, confirmed) = place(&row.place);
    let alerted = u8::from(row.alerted);
    columns!(out;
        row.delivery,
        row.attempts,
        place,
        moment,
        owner,
        confirmed,
        alerted,
        text(&row.to)?,
        row.failed,
        text(&row.ordered_back)?,
        u8::from(row.recalled),
    )
}

fn directory(out: &mut Rows, row: &DirectoryRow) -> Result<(), StoreError> {
    columns!(out; row.version, row.event, row.at.as_microsecond(), row.json)
}
