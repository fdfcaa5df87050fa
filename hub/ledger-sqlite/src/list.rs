//! Lists of documents, newest first: only the conditions asked for are written, and the rarest of them leads.
//!
//! Numbers of events are chosen first, out of indexes and up to the page's end; then the page's rows are read. So what
//! a list costs depends on the page and not on how many documents an agency has.

use sqlx::{QueryBuilder, Sqlite};
use truc_ledger::query::{DocumentFilter, page};
use truc_model::delivery::TransportStateName;

use crate::write::limit;

/// What leads: its order is that of the list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Documents of or to an agency.
    Party,
    /// Documents by or to a system.
    System,
    /// Documents of a sender, of which the table has an index of its own; or all, or those of a period.
    Documents,
}

pub(crate) fn list(filter: &DocumentFilter) -> QueryBuilder<Sqlite> {
    let party = filter.recipient.as_ref().or(filter.party.as_ref());
    let lead = match (party, &filter.system, &filter.sender) {
        (Some(_), ..) => Lead::Party,
        (None, _, Some(_)) => Lead::Documents,
        (None, Some(_), None) => Lead::System,
        (None, None, None) => Lead::Documents,
    };
    let mut query = QueryBuilder::new("SELECT d.* FROM document AS d WHERE d.event IN (SELECT e.event FROM ");
    // What stands on the left of CROSS JOIN is read first.
    query.push(match lead {
        Lead::Party => "document_party AS l CROSS JOIN document AS e ON e.event = l.event WHERE l.party = ",
        Lead::System => "document_at AS l CROSS JOIN document AS e ON e.event = l.event WHERE l.system = ",
        Lead::Documents => "document AS e WHERE 1",
    });
    match (lead, party, &filter.system) {
        (Lead::Party, Some(party), _) => {
            query.push_bind(party.to_string());
        }
        (Lead::System, _, Some(system)) => {
            query.push_bind(system.to_string());
        }
        _ => {}
    }
    conditions(&mut query, filter, lead);
    let order = if lead == Lead::Documents { "e" } else { "l" };
    if let Some(before) = filter.before {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        query.push(format!(" AND {order}.event < ")).push_bind(before);
    }
    query.push(format!(" ORDER BY {order}.event DESC LIMIT "));
    query.push_bind(limit(page(filter.limit)));
    query.push(") ORDER BY d.event DESC");
    query
}

fn conditions(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter, lead: Lead) {
    const RECIPIENT: &str = "EXISTS (SELECT 1 FROM recipient AS r WHERE r.document = e.uid AND r.";
    if let Some(party) = &filter.party {
        query.push(" AND (e.sender = ").push_bind(party.to_string());
        query.push(" OR ").push(RECIPIENT).push("party = ");
        query.push_bind(party.to_string()).push("))");
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND e.sender = ").push_bind(sender.to_string());
    }
    if let Some(recipient) = &filter.recipient {
        query.push(" AND ").push(RECIPIENT).push("party = ");
        query.push_bind(recipient.to_string()).push(")");
    }
    if let Some(system) = &filter.system {
        query.push(" AND (e.system = ").push_bind(system.to_string());
        query.push(" OR ").push(RECIPIENT).push("system = ");
        query.push_bind(system.to_string()).push("))");
    }
    if let Some(state) = filter.state {
        // Nearly every document has a recipient that took it; the other states have an index, for which the state
        // must be a constant and no parameter: only then does the planner see that the partial index serves.
        if state == TransportStateName::Taken || lead != Lead::Documents || filter.sender.is_some() {
            query.push(" AND ").push(RECIPIENT);
            query.push("state = '").push(state.as_str()).push("')");
        } else {
            query.push(" AND e.uid IN (SELECT document FROM recipient WHERE state = '");
            query.push(state.as_str()).push("')");
        }
    }
    if let Some(since) = filter.since {
        query
            .push(" AND e.accepted_at >= ")
            .push_bind(since.as_microsecond());
    }
    if let Some(until) = filter.until {
        query
            .push(" AND e.accepted_at < ")
            .push_bind(until.as_microsecond());
    }
    if let Some(text) = &filter.text {
        let text = text.to_ascii_lowercase();
        query
            .push(" AND (instr(lower(e.document_id), ")
            .push_bind(text.clone());
        query
            .push(") > 0 OR instr(lower(coalesce(e.number, '')), ")
            .push_bind(text);
        query.push(") > 0)");
    }
}
