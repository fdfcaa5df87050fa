//! Lists of documents, newest first: only the conditions asked for are written, and the rarest of them leads.
//!
//! Numbers of events are chosen first, out of indexes and up to the page's end; then the page's rows are read. So what
//! a list costs depends on the page and not on how many documents an agency has, or a month.

use sqlx::{QueryBuilder, Sqlite};
use truc_ledger::query::{BEGINNINGS_MAX, DocumentFilter, page};
use truc_model::delivery::TransportStateName;

use crate::write::limit;

/// The last of all characters: what begins with a text lies between it and the text with this behind.
const LAST: char = '\u{10FFFF}';

/// What leads, the rarest first: where the numbers of events come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    /// Names that begin so.
    Beginnings,
    /// Documents of or to an agency.
    Party,
    /// Documents of a sender.
    Sender,
    /// Documents by or to a system.
    System,
    /// Names that have a part, from the newest on.
    Names,
    /// Documents with a recipient that is not taken: few.
    State,
    /// Documents of a period, day by day.
    Days,
    /// All, from the newest on.
    All,
}

impl Lead {
    const fn of(filter: &DocumentFilter) -> Self {
        if filter.begins.is_some() {
            Self::Beginnings
        } else if filter.recipient.is_some() || filter.party.is_some() {
            Self::Party
        } else if filter.sender.is_some() {
            Self::Sender
        } else if filter.system.is_some() {
            Self::System
        } else if filter.text.is_some() {
            Self::Names
        } else if matches!(filter.state, Some(state) if !matches!(state, TransportStateName::Taken)) {
            Self::State
        } else if filter.since.is_some() || filter.until.is_some() {
            Self::Days
        } else {
            Self::All
        }
    }
}

pub(crate) fn list(filter: &DocumentFilter) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT d.* FROM document AS d WHERE d.event IN (");
    match Lead::of(filter) {
        Lead::Beginnings => beginnings(&mut query, filter),
        Lead::Party => {
            let party = filter.recipient.as_ref().or(filter.party.as_ref());
            listed(
                &mut query,
                filter,
                "document_party AS l",
                "party",
                party.map(ToString::to_string),
            );
        }
        Lead::Sender => {
            let sender = filter.sender.as_ref().map(ToString::to_string);
            listed(&mut query, filter, "document_from AS l", "sender", sender);
        }
        Lead::System => {
            let system = filter.system.as_ref().map(ToString::to_string);
            listed(&mut query, filter, "document_at AS l", "system", system);
        }
        Lead::Names => {
            query.push("SELECT e.event FROM document AS e INDEXED BY document_names WHERE 1");
            conditions(&mut query, filter);
            newest(&mut query, filter, "e");
        }
        Lead::State => {
            query.push("SELECT e.event FROM document AS e WHERE e.uid IN (SELECT document FROM recipient WHERE state = '");
            // A constant and no parameter: only then does the planner see that the partial index serves.
            query
                .push(filter.state.map_or("", TransportStateName::as_str))
                .push("')");
            conditions(&mut query, filter);
            newest(&mut query, filter, "e");
        }
        Lead::Days => days(&mut query, filter),
        Lead::All => {
            query.push("SELECT e.event FROM document AS e WHERE 1");
            conditions(&mut query, filter);
            newest(&mut query, filter, "e");
        }
    }
    query.push(") ORDER BY d.event DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
    query
}

/// Out of a list, and of the documents that are not in the lists yet.
fn listed(
    query: &mut QueryBuilder<Sqlite>,
    filter: &DocumentFilter,
    table: &str,
    column: &str,
    value: Option<String>,
) {
    // What stands on the left of CROSS JOIN is read first.
    query.push("SELECT event FROM (SELECT e.event FROM ").push(table);
    query
        .push(" CROSS JOIN document AS e ON e.event = l.event WHERE l.")
        .push(column);
    query.push(" = ").push_bind(value);
    near_period(query, filter);
    conditions(query, filter);
    newest(query, filter, "l");
    query.push(") UNION ALL SELECT event FROM (SELECT e.event FROM document AS e WHERE e.event > (SELECT event FROM listed)");
    conditions(query, filter);
    newest(query, filter, "e");
    query.push(")");
}

/// Of a list only the part from the day before a period to the day behind it: what comes before and after is not walked
/// over. A day more on either side, because a clock that was set back gives a later event an earlier moment.
fn near_period(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter) {
    const EDGE: &str = "(SELECT event FROM document INDEXED BY document_day WHERE accepted_at / 86400000000 ";
    if let Some(until) = filter.until {
        query.push(" AND l.event <= coalesce(").push(EDGE).push("<= 1 + ");
        query.push_bind(until.as_microsecond());
        query.push(" / 86400000000 ORDER BY accepted_at / 86400000000 DESC, event DESC LIMIT 1), 0)");
    }
    if let Some(since) = filter.since {
        query
            .push(" AND l.event >= coalesce(")
            .push(EDGE)
            .push(">= -1 + ");
        query.push_bind(since.as_microsecond());
        query.push(" / 86400000000 ORDER BY accepted_at / 86400000000, event LIMIT 1), 9223372036854775807)");
    }
}

/// Day by day, up to a page of each: within a day the index is in the order of the list.
fn days(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter) {
    const EDGE: &str = "(SELECT accepted_at / 86400000000 FROM document INDEXED BY document_day \
         ORDER BY accepted_at / 86400000000";
    query
        .push("WITH RECURSIVE day (n, first) AS (SELECT min(")
        .push(EDGE)
        .push(" DESC LIMIT 1), ");
    query.push_bind(filter.until.map_or(i64::MAX, |until| until.as_microsecond()));
    query.push(" / 86400000000), max(").push(EDGE).push(" LIMIT 1), ");
    query.push_bind(filter.since.map_or(0, |since| since.as_microsecond()));
    query.push(
        " / 86400000000) UNION ALL SELECT n - 1, first FROM day WHERE n > first) \
         SELECT p.value FROM day CROSS JOIN json_each((SELECT json_group_array(event) FROM (\
         SELECT e.event FROM document AS e INDEXED BY document_day WHERE e.accepted_at / 86400000000 = day.n",
    );
    conditions(query, filter);
    newest(query, filter, "e");
    query.push("))) AS p ORDER BY p.value DESC LIMIT ");
    query.push_bind(limit(page(filter.limit)));
}

/// Names are in the order of their bytes: what begins with a text in letters of any case lies behind what stands before
/// its first letter, and what begins exactly so lies together.
fn beginnings(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter) {
    let text = filter.begins.clone().unwrap_or_default();
    let mut heads = vec![text.clone()];
    let before = text.find(|c: char| c.is_ascii_alphabetic());
    match (before, text.chars().next()) {
        (Some(0), Some(first)) => {
            heads.push(first.to_ascii_lowercase().to_string());
            heads.push(first.to_ascii_uppercase().to_string());
        }
        (Some(letter), _) => heads.extend(text.get(..letter).map(str::to_owned)),
        (None, _) => {}
    }
    query.push("SELECT e.event FROM document AS e WHERE e.event IN (");
    let mut is_first = true;
    for column in ["document_id", "number"] {
        for head in &heads {
            query.push(if is_first {
                "SELECT event FROM (SELECT event, "
            } else {
                " UNION SELECT event FROM (SELECT event, "
            });
            is_first = false;
            query
                .push(column)
                .push(" AS name FROM document WHERE ")
                .push(column)
                .push(" >= ");
            query
                .push_bind(head.clone())
                .push(" AND ")
                .push(column)
                .push(" < ");
            query.push_bind(format!("{head}{LAST}")).push(" LIMIT ");
            query
                .push_bind(limit(BEGINNINGS_MAX))
                .push(") WHERE lower(substr(name, 1, ");
            query.push_bind(limit(text.chars().count())).push(")) = ");
            query.push_bind(text.to_ascii_lowercase());
        }
    }
    query.push(")");
    conditions(query, filter);
    newest(query, filter, "e");
}

/// The end of a choice: the order, the page's beginning and its size.
fn newest(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter, of: &str) {
    for (bound, sign) in [(filter.before, "<"), (filter.after, ">")] {
        if let Some(bound) = bound {
            query.push(format!(" AND {of}.event {sign} "));
            query.push_bind(i64::try_from(bound).unwrap_or(i64::MAX));
        }
    }
    query.push(format!(" ORDER BY {of}.event DESC LIMIT "));
    query.push_bind(limit(page(filter.limit)));
}

fn conditions(query: &mut QueryBuilder<Sqlite>, filter: &DocumentFilter) {
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
    if let Some(state) = filter.state
        && Lead::of(filter) != Lead::State
    {
        query.push(" AND ").push(RECIPIENT);
        query.push("state = '").push(state.as_str()).push("')");
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use truc_ledger::Store;
    use truc_ledger::contract::Bench;
    use truc_ledger::contract::kit::{Hub, agency, system, to};
    use truc_ledger::query::DocumentLine;

    use super::*;
    use crate::SqliteStore;

    /// So many recipients are looked through one by one; more are put into the lists at once.
    const LOOKED_THROUGH_MAX: u32 = 64;

    struct Opened(SqliteStore);

    #[async_trait]
    impl Bench for Opened {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }
    }

    async fn listed_to(store: &SqliteStore) -> u64 {
        let event: i64 = sqlx::query_scalar("SELECT event FROM listed")
            .fetch_one(&store.readers)
            .await
            .unwrap();
        u64::try_from(event).unwrap()
    }

    async fn lists(hub: &Hub) -> Vec<Vec<DocumentLine>> {
        let filters = [
            DocumentFilter {
                party: Some(agency(1)),
                ..DocumentFilter::default()
            },
            DocumentFilter {
                party: Some(agency(2)),
                ..DocumentFilter::default()
            },
            DocumentFilter {
                sender: Some(agency(1)),
                ..DocumentFilter::default()
            },
            DocumentFilter {
                recipient: Some(agency(7)),
                ..DocumentFilter::default()
            },
            DocumentFilter {
                system: Some(system("vxp")),
                ..DocumentFilter::default()
            },
        ];
        let mut lists = Vec::new();
        for filter in &filters {
            lists.push(hub.ledger.documents(filter).await.unwrap());
        }
        lists
    }

    #[tokio::test]
    async fn lists_say_the_same_before_and_after_documents_are_put_into_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.db");
        SqliteStore::migrate(&path).await.unwrap();
        let store = SqliteStore::open(&path).await.unwrap();
        let hub = Hub::open(&Opened(store.clone())).await;
        let with = |id: &str, recipients: u32| {
            let mut document = hub.document(id);
            document.recipients = (0..recipients)
                .map(|n| to(&format!("H53.{n}"), 2 + n, "vxp"))
                .collect();
            document
        };
        hub.accept(hub.document("1")).await;
        hub.accept(with("2", 6)).await;
        hub.accept(with("3", LOOKED_THROUGH_MAX)).await;
        assert_eq!(listed_to(&store).await, 0);
        let before = lists(&hub).await;
        assert_eq!(before.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 2, 2]);
        hub.accept(with("4", LOOKED_THROUGH_MAX + 1)).await;
        let newest = &hub.ledger.documents(&DocumentFilter::default()).await.unwrap()[0];
        assert_eq!(listed_to(&store).await, newest.event);
        for (mut after, before) in lists(&hub).await.into_iter().zip(before) {
            assert_eq!(after.remove(0).document_id, "4");
            assert_eq!(after, before);
        }
        hub.accept(with("5", 6)).await;
        assert_eq!(listed_to(&store).await, newest.event);
        assert!(lists(&hub).await.iter().all(|list| list[0].document_id == "5"));
        hub.sound().await;
    }
}
