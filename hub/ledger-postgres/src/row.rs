//! Rows, read from columns.

use sqlx::postgres::PgRow;
use truc_ledger::StoreError;
use truc_ledger::command::{HubId, SubmissionKey};
use truc_ledger::event::{EventKind, EventRow};
use truc_ledger::rows::{
    DirectoryRow, DocumentRow, OutboxBody, OutboxPlace, OutboxRow, RecipientRow, RefusalKey, RefusalRow,
    StatusRow, SubmissionRow,
};
use truc_model::wire::{Intake, Outgoing};
use truc_model::{
    BusinessState, ChangeState, DocumentIdentity, DocumentKind, DocumentUid, RefusalCode, StatusCode,
};

use crate::column::{Columns as _, damaged};

pub(crate) fn event(row: &PgRow) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        seq: row.count("seq")?,
        at: row.time("at")?,
        kind: row.word("kind", EventKind::from_word)?,
        document: row.id_or_null("document")?,
        hash: row.digest("hash")?,
        canonical: row.text("canonical")?,
    })
}

fn key(row: &PgRow) -> Result<SubmissionKey, StoreError> {
    Ok(SubmissionKey {
        system: row.parsed("system")?,
        message_id: row.id("message_id")?,
    })
}

pub(crate) fn submission(row: &PgRow) -> Result<SubmissionRow, StoreError> {
    let kinds = [DocumentKind::Document, DocumentKind::Status];
    Ok(SubmissionRow {
        key: key(row)?,
        kind: row.word("kind", |word| {
            kinds.into_iter().find(|kind| kind.as_str() == word)
        })?,
        sha256: row.digest("sha256")?,
        event: row.count("event")?,
        accepted_at: row.time("accepted_at")?,
        document: row.id("document")?,
        receipt: row.text("receipt")?,
    })
}

pub(crate) fn refusal(row: &PgRow) -> Result<RefusalRow, StoreError> {
    let absent_or = |name| row.text(name).map(|text| (!text.is_empty()).then_some(text));
    let system = absent_or("system")?;
    let message_id = absent_or("message_id")?;
    Ok(RefusalRow {
        event: row.count("event")?,
        key: RefusalKey {
            system: system
                .map(|text| text.parse().map_err(|_| damaged("system")))
                .transpose()?,
            message_id: message_id
                .map(|text| text.parse().map_err(|_| damaged("message_id")))
                .transpose()?,
            sha256: row.digest("sha256")?,
            code: row.word("code", |word| RefusalCode::from_word(word).ok())?,
        },
        intake: row.word("intake", |word| {
            Intake::ALL.into_iter().find(|intake| intake.as_str() == word)
        })?,
        size: row.count("size")?,
        sender: row.parsed_or_null("sender")?,
        received_at: row.time("received_at")?,
        refused_at: row.time("refused_at")?,
        document: row.id_or_null("document")?,
        body_kept: row.flag("body_kept")?,
        answer: row.text("answer")?,
    })
}

pub(crate) fn document(row: &PgRow) -> Result<DocumentRow, StoreError> {
    Ok(DocumentRow {
        uid: row.id("uid")?,
        event: row.count("event")?,
        identity: DocumentIdentity {
            sender: row.parsed("sender")?,
            document_id: row.text("document_id")?,
        },
        sender_code: row.text("sender_code")?,
        key: key(row)?,
        sha256: row.digest("sha256")?,
        size: row.count("size")?,
        received_at: row.time("received_at")?,
        accepted_at: row.time("accepted_at")?,
        facts: row.json("facts")?,
        verdict: row.json("verdict")?,
        warnings: row.json("warnings")?,
        directory_version: row.count("directory_version")?,
        recipients: row.few("recipients")?,
        amends: row.id_or_null("amends")?,
        replaces: row
            .uuids("replaces")?
            .into_iter()
            .map(DocumentUid::from)
            .collect(),
        held: row.flag("held")?,
    })
}

pub(crate) fn recipient(row: &PgRow) -> Result<RecipientRow, StoreError> {
    Ok(RecipientRow {
        document: row.id("document")?,
        position: row.few("position")?,
        party: row.parsed("party")?,
        codes: row.json("codes")?,
        system: row.parsed_or_null("system")?,
        delivery: row.id_or_null("delivery")?,
        state: row.json("detail")?,
        business: row.word("business", BusinessState::from_word)?,
        change: row.word("change", ChangeState::from_word)?,
        revision: row.few("revision")?,
        recalled: row.count_or_null("recalled")?,
    })
}

pub(crate) fn status(row: &PgRow) -> Result<StatusRow, StoreError> {
    Ok(StatusRow {
        event: row.count("event")?,
        document: row.id("document")?,
        recipient: row.few("recipient")?,
        code: row.word("code", |digits| StatusCode::from_digits(digits).ok())?,
        reporter: row.parsed("reporter")?,
        key: key(row)?,
        sha256: row.digest("sha256")?,
        size: row.count("size")?,
        accepted_at: row.time("accepted_at")?,
        effect: row.text("effect")?,
        delivery: row.id_or_null("delivery")?,
        to_system: row.parsed_or_null("to_system")?,
        reason_given: row.flag("reason_given")?,
        warnings: row.json("warnings")?,
    })
}

pub(crate) fn outbox(row: &PgRow) -> Result<OutboxRow, StoreError> {
    let moment = row.time_or_null("moment")?;
    let place = match (row.text("place")?.as_str(), moment) {
        ("waiting", not_before) => OutboxPlace::Waiting { not_before },
        ("leased", Some(until)) => OutboxPlace::Leased {
            owner: HubId::new(&row.text("owner")?),
            until,
        },
        ("forwarded", Some(at)) => OutboxPlace::Forwarded {
            at,
            attempt: row.few("confirmed")?,
        },
        _ => return Err(damaged("place")),
    };
    let status = row.text_or_null("status")?;
    Ok(OutboxRow {
        delivery: row.id("delivery")?,
        system: row.parsed("system")?,
        outgoing: row.word("outgoing", Outgoing::from_word)?,
        priority: row.level("priority")?,
        event: row.count("event")?,
        line: row.few("line")?,
        document: row.id_or_null("document")?,
        correlation_id: row.id_or_null("correlation_id")?,
        body: row
            .text_or_null("body")?
            .map_or(OutboxBody::Stored, OutboxBody::Inline),
        sha256: row.digest("sha256")?,
        size: row.count("size")?,
        from: row.text_or_null("from_code")?,
        to: row.json("to_codes")?,
        status: status
            .map(|digits| StatusCode::from_digits(&digits).map_err(|_| damaged("status")))
            .transpose()?,
        accepted_at: row.time("accepted_at")?,
        attempts: row.few("attempts")?,
        place,
        alerted: row.flag("alerted")?,
        failed: row.few("failed")?,
        ordered_back: row.json("ordered_back")?,
        recalled: row.flag("recalled")?,
    })
}

pub(crate) fn directory(row: &PgRow) -> Result<DirectoryRow, StoreError> {
    Ok(DirectoryRow {
        version: row.count("version")?,
        event: row.count("event")?,
        at: row.time("at")?,
        json: row.text("json")?,
    })
}
