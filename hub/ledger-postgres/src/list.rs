//! Lists of documents and refusals: only the conditions asked for are written, so that each finds its index.

use sqlx::{Postgres, QueryBuilder};
use truc_ledger::query::{DocumentFilter, RefusalFilter, page};
use truc_model::Party;
use truc_model::delivery::TransportStateName;

use crate::write::{limit, micros};

/// Documents, newest first.
pub(crate) fn documents(filter: &DocumentFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT d.* FROM document AS d WHERE true");
    if let Some(party) = &filter.party {
        query.push(" AND (d.sender = ").push_bind(party.to_string());
        query.push(" OR ");
        addressed_to(&mut query, party);
        query.push(")");
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND d.sender = ").push_bind(sender.to_string());
    }
    if let Some(recipient) = &filter.recipient {
        query.push(" AND ");
        addressed_to(&mut query, recipient);
    }
    if let Some(system) = &filter.system {
        query.push(" AND (d.system = ").push_bind(system.to_string());
        query.push(" OR d.uid IN (SELECT document FROM recipient WHERE system = ");
        query.push_bind(system.to_string()).push("))");
    }
    if let Some(state) = filter.state {
        query.push(" AND ").push(standing_so(state));
    }
    if let Some(since) = filter.since {
        query.push(" AND d.accepted_at >= ").push_bind(micros(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND d.accepted_at < ").push_bind(micros(until));
    }
    if let Some(text) = &filter.text {
        let text = text.to_ascii_lowercase();
        query
            .push(" AND (position(")
            .push_bind(text.clone())
            .push(" in lower(d.document_id)) > 0 OR position(")
            .push_bind(text)
            .push(" in lower(d.number)) > 0)");
    }
    if let Some(before) = filter.before {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        query.push(" AND d.event < ").push_bind(before);
    }
    query.push(" ORDER BY d.event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}

/// Found by as much of the party's name as the index has.
fn addressed_to(query: &mut QueryBuilder<Postgres>, party: &Party) {
    query.push("d.uid IN (SELECT document FROM recipient WHERE left(party, 200) = left(");
    query.push_bind(party.to_string()).push(", 200) AND party = ");
    query.push_bind(party.to_string()).push(")");
}

/// Where documents of which a recipient stands so are found: those whose messages are open in the outbox, those
/// that ended otherwise by an index of their own, and those that are taken wherever one looks.
const fn standing_so(state: TransportStateName) -> &'static str {
    use TransportStateName as State;
    match state {
        State::Scheduled => {
            "d.uid IN (SELECT r.document FROM outbox AS o JOIN recipient AS r ON r.document = o.document \
             WHERE o.awaits_taken AND o.outgoing = 'document' AND r.state = 'scheduled')"
        }
        State::Forwarded => {
            "d.uid IN (SELECT r.document FROM outbox AS o JOIN recipient AS r ON r.document = o.document \
             WHERE o.awaits_taken AND o.outgoing = 'document' AND r.state = 'forwarded')"
        }
        State::Taken => {
            "EXISTS (SELECT 1 FROM recipient AS r WHERE r.document = d.uid AND r.state = 'taken')"
        }
        State::Refused => "d.uid IN (SELECT document FROM recipient WHERE aside = 'refused')",
        State::Withdrawn => "d.uid IN (SELECT document FROM recipient WHERE aside = 'withdrawn')",
        State::Undeliverable => "d.uid IN (SELECT document FROM recipient WHERE aside = 'undeliverable')",
        State::Parked => "d.uid IN (SELECT document FROM recipient WHERE aside = 'parked')",
    }
}

/// Refusals, newest first.
pub(crate) fn refusals(filter: &RefusalFilter) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new("SELECT * FROM refusal WHERE true");
    if let Some(system) = &filter.system {
        query.push(" AND system = ").push_bind(system.to_string());
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND sender = ").push_bind(sender.to_string());
    }
    if let Some(code) = filter.code {
        query.push(" AND code = ").push_bind(code.as_str());
    }
    if let Some(since) = filter.since {
        query.push(" AND refused_at >= ").push_bind(micros(since));
    }
    if let Some(until) = filter.until {
        query.push(" AND refused_at < ").push_bind(micros(until));
    }
    if let Some(before) = filter.before {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        query.push(" AND event < ").push_bind(before);
    }
    query.push(" ORDER BY event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}
