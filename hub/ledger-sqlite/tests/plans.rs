//! How SQLite finds the rows: every statement that the hub's work and people's questions lead to is written down as it
//! runs, and then SQLite is asked for its plan. None may read the whole of a table that grows with the years.
//!
//! Without statistics (nobody calls `ANALYZE` on a ledger) the plan of a statement does not depend on what is in the
//! tables: what holds here holds for five million documents.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use tracing::field::{Field, Visit};
use tracing::span;
use truc_ledger::alert::{AlertFilter, AlertOrder, Raise};
use truc_ledger::contract::Bench;
use truc_ledger::contract::aged::{Ageing, GROUP, code_of, document, document_id, system_of};
use truc_ledger::contract::kit::{Hub, system};
use truc_ledger::event::Head;
use truc_ledger::limit::{LimitQuery, SentLateQuery};
use truc_ledger::query::{DocumentFilter, Period, RefusalFilter};
use truc_ledger::{BalanceFilter, EventKind, PublishFailed, PublishFailure, Resend, Store, SubmitOutcome};
use truc_ledger_sqlite::SqliteStore;
use truc_model::delivery::TransportStateName;
use truc_model::{AgencyId, AlertKind, LimitKind, Party, RefusalCode, Urgency};

/// Tables that grow with every document.
const LARGE: [&str; 11] = [
    "event",
    "document",
    "recipient",
    "submission",
    "body",
    "status",
    "refusal",
    "body_deleted",
    "document_party",
    "document_from",
    "document_at",
];

/// What is open at a time: small in peace, and large behind an inbox that nobody reads. To be read whole only by what
/// asks seldom.
const OPEN: [&str; 2] = ["outbox", "time_limit"];

/// Statements that may read all that is open: parts of their text, and who asks how often.
const MAY_READ_OPEN: [(&str, &str); 4] = [
    (
        "count(*) FILTER (WHERE awaits_taken = 0) AS answers",
        "people, who ask how inboxes stand",
    ),
    ("AS failing", "the watch over inboxes, every half minute"),
    (
        "place <> 'forwarded' AND recalled = 0",
        "people, who ask what is stuck",
    ),
    (
        "DELETE FROM time_limit WHERE ended IS NOT NULL AND told = 0",
        "uses the index of what ended",
    ),
];

/// Every statement that sqlx ran.
static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Writes down what sqlx says of its statements.
struct Listener;

struct Statement<'a>(&'a mut (String, String));

impl Visit for Statement<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.0.0 = value.to_owned(),
            "db.statement" => self.0.1 = value.to_owned(),
            _ => {}
        }
    }
}

impl tracing::Subscriber for Listener {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut said = (String::new(), String::new());
        event.record(&mut Statement(&mut said));
        let (summary, whole) = said;
        let statement = if whole.trim().is_empty() {
            summary
        } else {
            whole.trim().to_owned()
        };
        SAID.lock().unwrap().insert(statement);
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

struct Opened(SqliteStore);

#[async_trait::async_trait]
impl Bench for Opened {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }
}

#[tokio::test]
async fn nothing_that_is_asked_often_reads_a_large_table_whole() {
    tracing::subscriber::set_global_default(Listener).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ledger.db");
    SqliteStore::migrate(&path).await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    // Bodies are deleted by age: the clock stands where the traffic ends.
    let until = Timestamp::from_second(truc_ledger::contract::kit::START).unwrap();
    fill(&store, &Ageing::three_years(2 * GROUP, until)).await;
    SAID.lock().unwrap().clear();

    let hub = Hub::open(&Opened(store)).await;
    work(&hub).await;
    questions(&hub).await;

    let said = std::mem::take(&mut *SAID.lock().unwrap());
    let mut db = SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    let mut explained = 0;
    let mut faults = Vec::new();
    // Several may go in one trip.
    for statement in said.iter().flat_map(|said| said.split("; ")) {
        for step in plan(&mut db, statement).await {
            explained += 1;
            if let Some(table) = read_whole(&step, statement) {
                faults.push(format!("{table} is read whole: {step}\n    {statement}"));
            }
        }
    }
    assert!(
        said.len() > 60 && explained > 100,
        "{} statements, {explained} steps",
        said.len()
    );
    println!("{} statements, {explained} steps of their plans", said.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

async fn fill(store: &SqliteStore, ageing: &Ageing) {
    let mut head = Head::EMPTY;
    for first in (0..ageing.documents).step_by(usize::try_from(GROUP).unwrap()) {
        let changes = ageing.group(head, first, GROUP).await.unwrap();
        let last = changes.events.last().unwrap();
        head = Head {
            seq: last.seq,
            hash: last.hash,
        };
        let mut tx = store.begin().await.unwrap();
        tx.save(changes).await.unwrap();
        tx.commit().await.unwrap();
    }
}

/// What a hub does all day.
async fn work(hub: &Hub) {
    let next = 2 * GROUP;
    for number in next..next + 20 {
        let submission = document(number, hub.new_message_id(), hub.ledger.now());
        let again = submission.clone();
        let outcome = hub.ledger.submit_document(submission).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)));
        hub.ledger.submit_document(again).await.unwrap();
    }
    hub.ledger
        .refuse(hub.refused("bytes", RefusalCode::SealMissing))
        .await
        .unwrap();
    hub.accept(hub.document("own")).await;
    let claimed = hub.claim().await;
    assert!(!claimed.is_empty());
    let failed = PublishFailed {
        delivery: claimed[0].delivery,
        at: hub.ledger.now(),
        failure: PublishFailure::Unroutable,
        next_try: hub.ledger.now() + SignedDuration::from_secs(1),
    };
    hub.ledger.publish_failed(failed).await.unwrap();
    hub.confirm(&claimed[1..]).await;
    hub.forward_all().await;
    for message in claimed.iter().filter(|message| message.outgoing.awaits_taken()) {
        hub.take(message.system.as_str(), &[message.delivery]).await;
    }
    hub.record(hub.status("01", "own")).await;
    hub.record(hub.take_back("own")).await;
    let uid = hub.ledger.find("own").await.unwrap()[0];
    let resend = Resend {
        document: uid,
        party: None,
        who: "op".to_owned(),
        why: "a test".to_owned(),
    };
    hub.ledger.resend(resend).await.unwrap();
    hub.ledger.inbox_lost(system_of(3)).await.unwrap();
    hub.ledger
        .not_taken_alerts(Duration::from_hours(24))
        .await
        .unwrap();
    let raise = Raise::new(AlertKind::DiskLow, "hub-1");
    hub.ledger.alerts(vec![AlertOrder::Raise(raise)]).await.unwrap();
    hub.ledger
        .release_leases(truc_ledger::contract::kit::owner())
        .await
        .unwrap();
}

/// What people, the watch and the clocks ask.
async fn questions(hub: &Hub) {
    let ledger = &hub.ledger;
    let now = ledger.now();
    let party = Party::Agency(AgencyId(3));
    let page = DocumentFilter {
        limit: 50,
        ..DocumentFilter::default()
    };
    for text in [&document_id(77), "78/TB-UBND", &code_of(3)] {
        for uid in ledger.find(text).await.unwrap().into_iter().take(2) {
            ledger.document(uid).await.unwrap().unwrap();
            ledger.trace(uid).await.unwrap();
        }
    }
    let (since, until) = (Some(now - SignedDuration::from_hours(720)), Some(now));
    let mut filters = vec![page.clone()];
    filters.push(DocumentFilter {
        sender: Some(party.clone()),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        recipient: Some(party.clone()),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        party: Some(party.clone()),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        system: Some(system_of(3)),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        before: Some(1000),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        since,
        until,
        ..page.clone()
    });
    filters.push(DocumentFilter {
        recipient: Some(party.clone()),
        since,
        until,
        ..page.clone()
    });
    filters.push(DocumentFilter {
        text: Some("000077".to_owned()),
        ..page.clone()
    });
    for state in TransportStateName::ALL {
        filters.push(DocumentFilter {
            state: Some(state),
            ..page.clone()
        });
    }
    filters.push(DocumentFilter {
        begins: Some("000.0".to_owned()),
        ..page.clone()
    });
    filters.push(DocumentFilter {
        begins: Some("ubnd".to_owned()),
        after: Some(1000),
        ..page.clone()
    });
    for filter in &filters {
        ledger.documents(filter).await.unwrap();
        ledger.search(filter).await.unwrap();
    }
    ledger.refusals(&RefusalFilter::default()).await.unwrap();
    let month = Period { since, until };
    let of_month = BalanceFilter {
        sender: None,
        since,
        until,
    };
    ledger.balance_figures(&of_month).await.unwrap();
    ledger.signature_counts(month).await.unwrap();
    ledger.inbox_counts().await.unwrap();
    ledger.inbox_troubles(5, now).await.unwrap();
    ledger.late_untaken(Duration::from_hours(24)).await.unwrap();
    ledger.stuck(Duration::from_hours(4)).await.unwrap();
    ledger.ordered_back(Some(&system("so")), 100).await.unwrap();
    ledger.ordered_back(None, 100).await.unwrap();
    ledger.open_alerts(&AlertFilter::default()).await.unwrap();
    ledger.untold_alerts().await.unwrap();
    ledger.alert_due().await.unwrap();
    ledger.ended_limits().await.unwrap();
    ledger
        .sent_late(&SentLateQuery {
            max: 50,
            ..SentLateQuery::default()
        })
        .await
        .unwrap();
    for kind in [LimitKind::Arrival, LimitKind::Acceptance, LimitKind::Answer] {
        let query = LimitQuery {
            kind,
            urgency: Urgency::Normal,
            told: 0,
            began_until: now,
            party: None,
            max: 100,
        };
        ledger.open_limits(&query).await.unwrap();
    }
    ledger.kept_bodies(None, 100).await.unwrap();
    ledger.leaving_bodies().await.unwrap();
    ledger.latest_directory().await.unwrap();
    ledger.events(1, 100).await.unwrap();
    ledger
        .events_of_hub(&[EventKind::HubStarted], None, 10)
        .await
        .unwrap();
    ledger.head().await.unwrap();
}

async fn plan(db: &mut SqliteConnection, statement: &str) -> Vec<String> {
    let first = statement
        .split_whitespace()
        .next()
        .unwrap_or_default()
        .to_uppercase();
    if !["SELECT", "WITH", "UPDATE", "DELETE", "INSERT"].contains(&first.as_str()) {
        return Vec::new();
    }
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let rows = sqlx::query(explain)
        .persistent(false)
        .fetch_all(db)
        .await
        .unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail")).collect()
}

/// The table that a step reads from end to end, if it is one that may not.
fn read_whole(step: &str, statement: &str) -> Option<String> {
    let name = step.strip_prefix("SCAN ")?.split_whitespace().next()?;
    // `SCAN d`: the table behind the short name.
    let table = LARGE.iter().chain(&OPEN).find(|table| {
        let named = |word: &str| statement.contains(&format!("{table} {word}{name}"));
        **table == name || named("AS ") || named("")
    })?;
    // In the order of an index, and ended by a limit: a page of a list.
    let page = step.contains("USING") && statement.contains("LIMIT");
    // Whether there is anything at all, which begins a picture.
    if statement == "SELECT 1 FROM event LIMIT 1" {
        return None;
    }
    // What refers to a new row is looked for only when a reference is open, and none is: parents come first.
    if statement.starts_with("INSERT INTO") {
        return None;
    }
    // By the key of the events, newest first.
    let by_key = !step.contains("USING") && statement.contains("DESC LIMIT");
    let may = OPEN.contains(table) && MAY_READ_OPEN.iter().any(|(part, _)| statement.contains(part));
    // An index of a few rows of a large table: what is open, what came late.
    let few = [
        "recipient_state",
        "outbox_answers",
        "outbox_orders",
        "outbox_leased",
        "outbox_recalled",
        "_late",
    ];
    let few = few.iter().any(|index| step.contains(index));
    (!page && !by_key && !may && !few).then(|| (*table).to_owned())
}
