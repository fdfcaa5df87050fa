//! How the server carries the statements out: none of those that run all day reads a whole table.
//!
//! The server writes every plan it uses into its log (`auto_explain`), whatever function it was made in. The writer is
//! watched while it lives a life; the readers' questions are asked of a ledger that is large enough for a plan to
//! matter.

use std::collections::BTreeSet;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Executor as _};
use truc_ledger::contract::kit::{Hub, deliveries, system};
use truc_ledger::query::{DocumentFilter, Period, RefusalFilter};
use truc_ledger::{Settings, Store as _};
use truc_ledger_postgres::PostgresSettings;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_model::delivery::TransportStateName;

use crate::bench::{Anew, open_dir, opened, shell};

/// Tables that grow for years.
const LARGE: [&str; 8] = [
    "event",
    "body",
    "body_deleted",
    "document",
    "recipient",
    "submission",
    "refusal",
    "status",
];

/// Documents beside those accepted: so many that a plan which reads all of them is the dearer one by far.
const DOCUMENTS: u32 = 20_000;

async fn watched() -> (PrivateServer, tempfile::TempDir) {
    let dir = open_dir();
    let config = PrivateServerConfig::new(dir.path().join("server"))
        .with("session_preload_libraries", "auto_explain")
        .with("auto_explain.log_min_duration", "0")
        .with("auto_explain.log_nested_statements", "on")
        .with("autovacuum", "off");
    (PrivateServer::start(config).await.unwrap(), dir)
}

/// Plans in the log from `from` on that read one of these tables from end to end.
fn whole_tables(log: &Path, from: usize, tables: &[&str]) -> (usize, BTreeSet<String>) {
    let text = std::fs::read_to_string(log).unwrap();
    let (mut plans, mut found) = (0, BTreeSet::new());
    let mut query = String::new();
    for line in text[from..].lines() {
        if let Some(text) = line.trim().strip_prefix("Query Text: ") {
            query = text.to_owned();
            plans += 1;
        }
        let scan = line.trim().trim_start_matches("->").trim();
        if let Some(rest) = scan.strip_prefix("Seq Scan on ") {
            let table = rest.split_whitespace().next().unwrap_or_default();
            if tables.contains(&table) {
                found.insert(format!("{table}: {query}"));
            }
        }
    }
    (plans, found)
}

/// Plans in the log from `from` on that walk along a whole index of one of these tables: without a condition, and not
/// for the first rows alone.
fn whole_indexes(log: &Path, from: usize, tables: &[&str]) -> BTreeSet<String> {
    let text = std::fs::read_to_string(log).unwrap();
    let mut found = BTreeSet::new();
    let mut query = String::new();
    let mut lines = text[from..].lines().map(str::trim).peekable();
    while let Some(line) = lines.next() {
        if let Some(text) = line.strip_prefix("Query Text: ") {
            query = text.to_owned();
        }
        let scan = line.trim_start_matches("->").trim();
        let Some((kind, rest)) = scan.split_once(" using ") else {
            continue;
        };
        let table = rest.split_whitespace().nth(2).unwrap_or_default();
        let is_bound = lines.peek().is_some_and(|next| next.starts_with("Index Cond:"));
        let is_scan = ["Index Scan", "Index Scan Backward", "Index Only Scan"].contains(&kind);
        if is_scan && !is_bound && tables.contains(&table) && !query.contains("LIMIT") {
            found.insert(format!("{table}: {query}"));
        }
    }
    found
}

fn length(log: &Path) -> usize {
    std::fs::read(log).unwrap().len()
}

#[tokio::test]
async fn the_writer_reads_no_whole_table() {
    let (server, _dir) = watched().await;
    let settings = PostgresSettings::new(server.url("postgres"));
    let bench = Anew(settings.clone());
    opened(&settings).await.close().await;
    let log = server.dir().join("server.log");
    let from = length(&log);
    let hub = Hub::with(&bench, Settings::default(), 1).await;
    for n in 0..6 {
        hub.accept(hub.document(&n.to_string())).await;
    }
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")[..2]).await;
    hub.record(hub.status("03", "1")).await;
    hub.record(hub.take_back("1")).await;
    let refused = hub.refused("x", truc_model::RefusalCode::Loop);
    hub.ledger.refuse(refused).await.unwrap();
    hub.ledger.inbox_lost(system("so")).await.unwrap();
    hub.ledger
        .not_taken_alerts(std::time::Duration::ZERO)
        .await
        .unwrap();
    let all: Vec<&str> = LARGE.iter().copied().chain(["outbox", "time_limit"]).collect();
    let (plans, found) = whole_tables(&log, from, &all);
    assert!(plans > 60, "the server's log has {plans} plans");
    assert_eq!(found, BTreeSet::new());
    assert_eq!(whole_indexes(&log, from, &LARGE), BTreeSet::new());
    // All documents of a sender are too many to look one up among them.
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text[from..].contains("using document_identity on document"));
    assert!(!text[from..].contains("using document_sender on document"));
}

/// Copies one accepted document so often, with all that belongs to it.
fn many(count: u32) -> String {
    format!(
        "SET session_replication_role = replica; \
         INSERT INTO event SELECT n.seq + x, e.at + x, e.kind, gen_random_uuid(), e.hash, e.canonical \
         FROM event AS e, (SELECT max(seq) AS seq FROM event) AS n, generate_series(1, {count}) AS x WHERE e.seq = 1; \
         INSERT INTO document SELECT e.seq, e.document, 'A00' || 100 + e.seq % 50, d.document_id || e.seq, \
         d.sender_code, CASE WHEN e.seq % 40 = 0 THEN 'hiem' ELSE d.system END, gen_random_uuid(), \
         sha256(e.seq::text::bytea), d.size, d.received_at, e.at, d.number || e.seq, d.facts, d.verdict, d.warnings, \
         d.directory_version, d.recipients, NULL, '{{}}', false, 0, false, d.verdict_kind, NULL \
         FROM document AS d, event AS e WHERE d.event = 1 AND e.seq > 1 AND e.kind = 'document-accepted'; \
         INSERT INTO recipient SELECT d.uid, p, CASE WHEN d.event % 100 = 0 THEN 'A00999' ELSE r.party END, r.codes, r.system, \
         gen_random_uuid(), 'taken', CASE WHEN d.event % 500 = 0 THEN 'parked' END, r.detail, r.business, r.change, 0, NULL \
         FROM document AS d, recipient AS r, generate_series(0, 3) AS p \
         WHERE r.document = (SELECT uid FROM document WHERE event = 1) AND r.position = 0 AND d.event > 1; \
         INSERT INTO submission SELECT s.system, d.message_id, s.kind, d.sha256, d.event, d.accepted_at, d.uid, s.receipt \
         FROM document AS d, submission AS s WHERE s.event = 1 AND d.event > 1; \
         INSERT INTO body SELECT sha256, 1, '\\x00' FROM document WHERE event > 1 ON CONFLICT DO NOTHING; \
         INSERT INTO body_deleted SELECT sha256(sha256), event, 0, 1, 'retention' FROM document WHERE event > 1; \
         INSERT INTO status SELECT d.event, d.uid, 0, '01', d.sender, d.system, gen_random_uuid(), sha256(d.sha256), 1, \
         d.accepted_at, 'moved', gen_random_uuid(), d.system, false, '[]' FROM document AS d WHERE d.event > 1; \
         INSERT INTO refusal SELECT d.event, d.system, d.message_id::text, d.sha256, 'loop', 'document', 1, d.sender, \
         d.received_at, d.accepted_at, NULL, false, '{{}}' FROM document AS d WHERE d.event % 4 = 2; ANALYZE"
    )
}

#[tokio::test]
async fn questions_of_every_day_read_no_whole_table() {
    let (server, _dir) = watched().await;
    let settings = PostgresSettings::new(server.url("postgres"));
    let bench = Anew(settings.clone());
    let hub = Hub::with(&bench, Settings::default(), 1).await;
    let uid = hub.accept(hub.document("1")).await.document;
    hub.forward_all().await;
    let mut shell = shell(&settings).await;
    shell
        .execute(sqlx::raw_sql(AssertSqlSafe(many(DOCUMENTS))))
        .await
        .unwrap();
    let log = server.dir().join("server.log");
    let from = length(&log);

    let ledger = &hub.ledger;
    let view = ledger.document(uid).await.unwrap().unwrap();
    ledger.trace(uid).await.unwrap();
    for text in ["1", &uid.to_string(), "78/UBND"] {
        ledger.find(text).await.unwrap();
    }
    let recent = view.document.accepted_at + SignedDuration::from_micros(i64::from(DOCUMENTS) - 100);
    let filter = DocumentFilter {
        limit: 50,
        ..DocumentFilter::default()
    };
    let some = |change: &dyn Fn(&mut DocumentFilter)| {
        let mut filter = filter.clone();
        change(&mut filter);
        filter
    };
    let filters = [
        some(&|_| {}),
        some(&|f| f.before = Some(500)),
        some(&|f| f.sender = Some("A00107".parse().unwrap())),
        some(&|f| f.since = Some(recent)),
        some(&|f| f.until = Some(view.document.accepted_at + SignedDuration::from_micros(50))),
        some(&|f| f.system = Some(system("hiem"))),
        some(&|f| f.state = Some(TransportStateName::Parked)),
        some(&|f| f.state = Some(TransportStateName::Undeliverable)),
        some(&|f| f.state = Some(TransportStateName::Forwarded)),
        some(&|f| f.state = Some(TransportStateName::Scheduled)),
        some(&|f| f.state = Some(TransportStateName::Taken)),
    ];
    for filter in &filters {
        ledger.documents(filter).await.unwrap();
    }
    let refusals = RefusalFilter {
        limit: 50,
        since: Some(recent),
        ..RefusalFilter::default()
    };
    ledger.refusals(&refusals).await.unwrap();
    ledger.events(10_000, 100).await.unwrap();
    ledger.kept_bodies(None, 10).await.unwrap();
    let store = opened(&settings).await;
    let mut picture = store.read().await.unwrap();
    let period = Period {
        since: Some(recent),
        until: None,
    };
    picture.accepted_by_sender(period.since, None).await.unwrap();
    picture.states_by_sender(period.since, None).await.unwrap();
    picture.refused_by_sender(period.since, None).await.unwrap();
    picture.verdicts(period).await.unwrap();
    picture.pdfs(period).await.unwrap();
    picture.refused_by_code(period).await.unwrap();
    picture.late(Timestamp::MAX, 100).await.unwrap();
    picture.at_home().await.unwrap();

    let (plans, found) = whole_tables(&log, from, &LARGE);
    assert!(plans > 30, "the server's log has {plans} plans");
    assert_eq!(found, BTreeSet::new());
}
