//! Time limits of the memory twin.

use truc_model::DocumentUid;

use super::Tables;
use crate::limit::{LimitEnd, LimitKey, LimitLine, LimitQuery, LimitRow, SentLateLine, SentLateQuery};

/// The rows of these keys.
pub(super) fn of(tables: &Tables, keys: &[LimitKey]) -> Vec<LimitRow> {
    let rows = keys.iter().filter_map(|key| tables.limits.get(key));
    rows.cloned().collect()
}

/// What ends runs.
pub(super) fn running(tables: &Tables, end: &LimitEnd) -> Option<LimitRow> {
    let of = |document: DocumentUid| LimitKey {
        document,
        position: end.position,
        kind: end.kind,
        began: jiff::Timestamp::MIN,
    };
    let rows = tables.limits.range(of(end.document)..);
    rows.map(|(_, row)| row)
        .take_while(|row| {
            let key = &row.key;
            (key.document, key.position, key.kind) == (end.document, end.position, end.kind)
        })
        .find(|row| row.ended.is_none())
        .cloned()
}

/// Running limits, those that began first.
pub(super) fn open(tables: &Tables, query: &LimitQuery) -> Vec<LimitLine> {
    let mut lines: Vec<LimitLine> = tables
        .limits
        .values()
        .filter(|row| row.ended.is_none())
        .filter(|row| {
            (row.key.kind, row.urgency, row.told) == (query.kind, query.urgency, query.told)
                && row.key.began <= query.began_until
        })
        .filter_map(|row| line(tables, row))
        .filter(|line| {
            let party = query.party.as_ref();
            party.is_none_or(|party| line.recipient == *party || line.sender == *party)
        })
        .collect();
    lines.sort_by_key(|line| (line.limit.key.began, line.limit.key));
    lines.truncate(query.max);
    lines
}

fn line(tables: &Tables, row: &LimitRow) -> Option<LimitLine> {
    let recipient = tables.recipients.get(&(row.key.document, row.key.position))?;
    let document = tables.documents.get(&row.key.document)?;
    Some(LimitLine {
        limit: row.clone(),
        recipient: recipient.party.clone(),
        recipient_code: recipient.code().to_owned(),
        system: recipient.system.clone(),
        business: recipient.business,
        change: recipient.change,
        sender: document.identity.sender.clone(),
        sender_code: document.sender_code.clone(),
        document_id: document.identity.document_id.clone(),
        number: document.number_key(),
    })
}

/// Limits that ended and were told of.
pub(super) fn ended(tables: &Tables, max: usize) -> Vec<LimitRow> {
    let mut rows: Vec<LimitRow> = tables
        .limits
        .values()
        .filter(|row| row.ended.is_some())
        .cloned()
        .collect();
    rows.sort_by_key(|row| (row.ended, row.key));
    rows.truncate(max);
    rows
}

/// Documents that came late, the newest first.
pub(super) fn sent_late(tables: &Tables, query: &SentLateQuery) -> Vec<SentLateLine> {
    let concerns = |document: DocumentUid, sender: &truc_model::Party| {
        query.party.as_ref().is_none_or(|party| {
            let mut recipients = tables.recipients.range((document, 0)..=(document, u32::MAX));
            sender == party || recipients.any(|(_, row)| row.party == *party)
        })
    };
    let rows = tables.by_event.values().rev();
    rows.filter_map(|uid| tables.documents.get(uid))
        .filter(|row| query.since.is_none_or(|since| row.accepted_at >= since))
        .filter(|row| concerns(row.uid, &row.identity.sender))
        .filter_map(|row| {
            Some(SentLateLine {
                document: row.uid,
                sender: row.identity.sender.clone(),
                sender_code: row.sender_code.clone(),
                document_id: row.identity.document_id.clone(),
                number: row.number_key(),
                urgency: row.facts.urgency,
                received_at: row.received_at,
                late: row.facts.sent_late.clone()?,
            })
        })
        .take(query.max)
        .collect()
}
