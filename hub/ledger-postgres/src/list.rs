//! Lists of documents and refusals: only the conditions asked for are written, so that each finds its index.

use sqlx::{Postgres, QueryBuilder};
use truc_ledger::query::{BEGINNINGS_MAX, DocumentFilter, RefusalFilter, page};
use truc_model::Party;
use truc_model::delivery::TransportStateName;

use crate::write::{limit, micros};

/// The last of all characters: what begins with a text lies between it and the text with this behind.
const LAST: char = '\u{10FFFF}';

/// As much of a name as its index has.
const NAME_MAX: usize = 200;

/// Whoever has so many deliveries is looked for from the newest document on; whoever has fewer has them chosen first.
pub(crate) const FEW_MAX: i64 = 2000;

/// How many deliveries, as far as that matters, go to a party or a system.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// At most [`FEW_MAX`].
    Few,
    /// More.
    Many,
}

impl Share {
    pub(crate) const fn of(deliveries: i64) -> Self {
        if deliveries > FEW_MAX {
            Self::Many
        } else {
            Self::Few
        }
    }
}

/// Counts the deliveries to whom a filter names beside a sender, to [`FEW_MAX`] and one.
pub(crate) fn deliveries(filter: &DocumentFilter) -> Option<QueryBuilder<Postgres>> {
    let mut query = QueryBuilder::new("SELECT count(*) AS n FROM (SELECT 1 FROM recipient WHERE ");
    match (&filter.party, &filter.system) {
        (Some(party), _) => {
            query
                .push("left(party, 200) = left(")
                .push_bind(party.to_string());
            query.push(", 200) AND party = ").push_bind(party.to_string());
        }
        (None, Some(system)) => {
            query.push("system = ").push_bind(system.to_string());
        }
        (None, None) => return None,
    }
    query.push(" LIMIT ").push_bind(FEW_MAX + 1).push(") AS found");
    Some(query)
}

const MICROS_A_DAY: i64 = 86_400_000_000;

/// Documents, newest first.
pub(crate) fn documents(filter: &DocumentFilter, share: Share) -> QueryBuilder<Postgres> {
    let is_of_period = filter.since.is_some() || filter.until.is_some();
    let has_rarer = filter.party.is_some()
        || filter.sender.is_some()
        || filter.recipient.is_some()
        || filter.system.is_some()
        || filter.begins.is_some()
        || matches!(filter.state, Some(state) if state != TransportStateName::Taken);
    if is_of_period && !has_rarer {
        return of_days(filter, share);
    }
    let mut query = QueryBuilder::new("SELECT d.* FROM document AS d WHERE true");
    conditions(&mut query, filter, share);
    query.push(" ORDER BY d.event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}

/// Day by day, up to a page of each. By statistics alone the server would walk back from the newest document until it
/// comes to the period. Sorted by a sum, so that it cannot.
fn of_days(filter: &DocumentFilter, share: Share) -> QueryBuilder<Postgres> {
    let day = |at: jiff::Timestamp| micros(at).div_euclid(MICROS_A_DAY);
    let mut query = QueryBuilder::new(
        "SELECT x.* FROM document AS x WHERE x.event IN (SELECT p.event FROM generate_series(\
         (SELECT least(max(accepted_at) / 86400000000, ",
    );
    query.push_bind(filter.until.map_or(i64::MAX, day));
    query.push("::bigint) FROM document), (SELECT greatest(min(accepted_at) / 86400000000, ");
    query.push_bind(filter.since.map_or(i64::MIN, day));
    query.push(
        "::bigint) FROM document), -1::bigint) AS n (day), LATERAL (SELECT d.event FROM document AS d \
         WHERE d.accepted_at >= n.day * 86400000000 AND d.accepted_at < (n.day + 1) * 86400000000",
    );
    conditions(&mut query, filter, share);
    query.push(" ORDER BY d.event + 0 DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query.push(") AS p) ORDER BY x.event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}

fn conditions(query: &mut QueryBuilder<Postgres>, filter: &DocumentFilter, share: Share) {
    if let Some(party) = &filter.party {
        let party = party.to_string();
        by_or_to(query, share, "sender", &party, |query| {
            query.push("left(r.party, 200) = left(").push_bind(party.clone());
            query.push(", 200) AND r.party = ").push_bind(party.clone());
        });
    }
    if let Some(sender) = &filter.sender {
        query.push(" AND d.sender = ").push_bind(sender.to_string());
    }
    if let Some(recipient) = &filter.recipient {
        query.push(" AND ");
        addressed_to(query, recipient);
    }
    if let Some(system) = &filter.system {
        let system = system.to_string();
        by_or_to(query, share, "system", &system, |query| {
            query.push("r.system = ").push_bind(system.clone());
        });
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
    if let Some(begins) = &filter.begins {
        beginning(query, begins);
    }
    for (bound, sign) in [(filter.before, "<"), (filter.after, ">")] {
        if let Some(bound) = bound {
            query.push(" AND d.event ").push(sign).push(" ");
            query.push_bind(i64::try_from(bound).unwrap_or(i64::MAX));
        }
    }
}

/// Documents by somebody or to somebody: chosen first when there are few, else looked at one by one from the newest on.
/// An OR of both would have all deliveries of a large system laid out for every document.
fn by_or_to(
    query: &mut QueryBuilder<Postgres>,
    share: Share,
    by: &str,
    whom: &str,
    to: impl Fn(&mut QueryBuilder<Postgres>),
) {
    match share {
        Share::Few => {
            query
                .push(" AND d.event IN (SELECT event FROM document WHERE ")
                .push(by);
            query.push(" = ").push_bind(whom.to_owned());
            query.push(
                " UNION SELECT t.event FROM recipient AS r JOIN document AS t ON t.uid = r.document WHERE ",
            );
            to(query);
            query.push(")");
        }
        Share::Many => {
            query
                .push(" AND (d.")
                .push(by)
                .push(" = ")
                .push_bind(whom.to_owned());
            query.push(" OR EXISTS (SELECT 1 FROM recipient AS r WHERE r.document = d.uid AND ");
            to(query);
            query.push("))");
        }
    }
}

/// Names are in the order of their bytes: what begins with a text in letters of any case lies behind what stands before
/// its first letter, and what begins exactly so lies together.
fn beginning(query: &mut QueryBuilder<Postgres>, text: &str) {
    let mut heads = vec![text.to_owned()];
    let before = text.find(|c: char| c.is_ascii_alphabetic());
    match (before, text.chars().next()) {
        (Some(0), Some(first)) => {
            heads.push(first.to_ascii_lowercase().to_string());
            heads.push(first.to_ascii_uppercase().to_string());
        }
        (Some(letter), _) => heads.extend(text.get(..letter).map(str::to_owned)),
        (None, _) => {}
    }
    query.push(" AND d.event IN (");
    let mut is_first = true;
    for column in ["document_id", "number"] {
        for head in &heads {
            let head: String = head.chars().take(NAME_MAX).collect();
            query.push(if is_first { "" } else { " UNION " });
            is_first = false;
            query.push("SELECT event FROM (SELECT event, ").push(column);
            query
                .push(" AS name FROM document WHERE ")
                .push(column)
                .push(" IS NOT NULL AND left(");
            query.push(column).push(", 200) >= ").push_bind(head.clone());
            query.push(" AND left(").push(column).push(", 200) < ");
            query.push_bind(format!("{head}{LAST}")).push(" LIMIT ");
            query.push_bind(limit(BEGINNINGS_MAX));
            query.push(") AS named WHERE starts_with(lower(name), ");
            query.push_bind(text.to_ascii_lowercase()).push(")");
        }
    }
    query.push(")");
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_chosen_first_up_to_the_limit() {
        assert!(matches!(Share::of(FEW_MAX), Share::Few));
        assert!(matches!(Share::of(FEW_MAX + 1), Share::Many));
        let none = DocumentFilter::default();
        assert!(deliveries(&none).is_none());
        let of_party = DocumentFilter {
            party: Some(Party::Agency(truc_model::AgencyId(3))),
            ..none
        };
        assert!(deliveries(&of_party).is_some());
        let text = |share| documents(&of_party, share).sql().as_str().to_owned();
        assert!(text(Share::Few).contains("UNION") && !text(Share::Few).contains("EXISTS"));
        assert!(text(Share::Many).contains("EXISTS") && !text(Share::Many).contains("UNION"));
    }
}
