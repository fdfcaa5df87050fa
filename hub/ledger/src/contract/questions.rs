//! Lists, traces, counts, versions, the balance per agency.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use truc_model::delivery::TransportStateName as State;
use truc_model::{Party, RefusalCode, Sha256, UndeliverableCause};

use super::Bench;
use super::kit::{Hub, agency, deliveries, owner, system, to};
use crate::{
    BalanceFilter, BalanceRow, DirectorySummary, DocumentFilter, EventKind, Fact, LedgerError, NewDirectory,
    Note, Plan, PlannedRecipient, RefusalFilter, Search,
};

async fn ids(hub: &Hub, filter: DocumentFilter) -> Vec<String> {
    let lines = hub.ledger.documents(&filter).await.unwrap();
    lines.into_iter().map(|line| line.document_id).collect()
}

pub async fn lists_and_filters(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("Số 1")).await;
    hub.minutes(10);
    let noon = hub.ledger.now();
    let mut second = hub.document("2_5%");
    second.identity.sender = agency(5);
    second.recipients = vec![to("H53.1", 1, "vxp"), to("H53.2", 2, "so")];
    hub.accept(second).await;
    let claimed = hub.forward_all().await;
    hub.take("vxp", &deliveries(&claimed, "vxp")).await;
    hub.minutes(10);
    hub.accept(hub.document("3")).await;

    let all = DocumentFilter::default;
    assert_eq!(ids(&hub, all()).await, ["3", "2_5%", "Số 1"]);
    assert_eq!(
        ids(&hub, DocumentFilter { limit: 2, ..all() }).await,
        ["3", "2_5%"]
    );
    let lines = hub
        .ledger
        .documents(&DocumentFilter { limit: 1, ..all() })
        .await
        .unwrap();
    let next = DocumentFilter {
        before: Some(lines[0].event),
        ..all()
    };
    assert_eq!(ids(&hub, next).await, ["2_5%", "Số 1"]);
    let party = |party| DocumentFilter {
        party: Some(party),
        ..all()
    };
    assert_eq!(ids(&hub, party(agency(1))).await, ["3", "2_5%", "Số 1"]);
    assert_eq!(ids(&hub, party(agency(5))).await, ["2_5%"]);
    let sender = DocumentFilter {
        sender: Some(agency(1)),
        ..all()
    };
    assert_eq!(ids(&hub, sender).await, ["3", "Số 1"]);
    let recipient = DocumentFilter {
        recipient: Some(agency(1)),
        ..all()
    };
    assert_eq!(ids(&hub, recipient).await, ["2_5%"]);
    let by_system = DocumentFilter {
        system: Some(system("vxp")),
        ..all()
    };
    assert_eq!(ids(&hub, by_system).await, ["2_5%"]);
    let state = |state| DocumentFilter {
        state: Some(state),
        ..all()
    };
    assert_eq!(ids(&hub, state(State::Taken)).await, ["2_5%"]);
    assert_eq!(ids(&hub, state(State::Forwarded)).await, ["2_5%", "Số 1"]);
    assert_eq!(ids(&hub, state(State::Parked)).await, [""; 0]);
    let since = DocumentFilter {
        since: Some(noon),
        ..all()
    };
    assert_eq!(ids(&hub, since).await, ["3", "2_5%"]);
    let until = DocumentFilter {
        until: Some(noon),
        ..all()
    };
    assert_eq!(ids(&hub, until).await, ["Số 1"]);
    let text = |text: &str| DocumentFilter {
        text: Some(text.to_owned()),
        ..all()
    };
    assert_eq!(ids(&hub, text("5%")).await, ["2_5%"]);
    assert_eq!(ids(&hub, text("1/ubnd")).await, ["Số 1"]);
    assert_eq!(ids(&hub, text("%")).await, ["2_5%"]);

    let lines = hub.ledger.documents(&party(agency(5))).await.unwrap();
    let line = &lines[0];
    assert_eq!(
        (line.states.of(State::Taken), line.states.of(State::Forwarded)),
        (1, 1)
    );
    assert_eq!(line.states.total(), 2);
    assert_eq!(line.number.as_deref(), Some("2_5%/UBND-VP"));
    assert_eq!(line.subject.as_deref(), Some("Về việc \"thử\"\nnghiệm"));
    assert_eq!((&line.system, line.accepted_at), (&system("xa"), noon));
}

/// Four documents of three days; gives their events.
async fn named(hub: &Hub) -> Vec<u64> {
    let mut events = Vec::new();
    for id in ["000.01.Ab-1", "000.02.aB-2", "x000.01.ab-3", "000.01.AC-4"] {
        hub.accept(hub.document(id)).await;
        let newest = DocumentFilter {
            limit: 1,
            ..DocumentFilter::default()
        };
        events.push(hub.ledger.documents(&newest).await.unwrap()[0].event);
        hub.minutes(16 * 60);
    }
    events
}

pub async fn names_are_found_by_their_beginning(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let events = named(&hub).await;
    let begins = |text: &str| DocumentFilter {
        begins: Some(text.to_owned()),
        ..DocumentFilter::default()
    };
    for (text, found) in [
        ("000.01.aB", &["000.01.Ab-1"][..]),
        ("000.01.AB-1/ubnd", &["000.01.Ab-1"]),
        ("000.01.a", &["000.01.AC-4", "000.01.Ab-1"]),
        ("000.", &["000.01.AC-4", "000.02.aB-2", "000.01.Ab-1"]),
        ("X", &["x000.01.ab-3"]),
        ("x000.01.AB-3", &["x000.01.ab-3"]),
        ("00.01", &[]),
        ("%", &[]),
    ] {
        assert_eq!(ids(&hub, begins(text)).await, found, "{text}");
    }
    let between = DocumentFilter {
        after: Some(events[0]),
        before: Some(events[3]),
        ..begins("000.")
    };
    assert_eq!(ids(&hub, between).await, ["000.02.aB-2"]);
    let of_sender = DocumentFilter {
        sender: Some(agency(5)),
        ..begins("000.")
    };
    assert_eq!(ids(&hub, of_sender).await, [""; 0]);
}

pub async fn a_search_says_how_far_it_looked(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let events = named(&hub).await;
    let store = bench.open().await;
    let search = async |text: &str, before: Option<u64>, look: u64| {
        let filter = DocumentFilter {
            text: Some(text.to_owned()),
            before,
            ..DocumentFilter::default()
        };
        let mut now = store.read().await.unwrap();
        let found = Search::back(now.as_mut(), &filter, look).await.unwrap();
        let ids: Vec<String> = found.lines.into_iter().map(|line| line.document_id).collect();
        (ids.join(" "), found.looked_to)
    };
    let all = u64::try_from(events.len()).unwrap();
    assert_eq!(
        search("aB-", None, all).await,
        ("x000.01.ab-3 000.02.aB-2 000.01.Ab-1".to_owned(), None)
    );
    // One event short: the oldest is not looked at, but where a name begins so.
    assert_eq!(
        search("ab-", None, all - 1).await,
        ("x000.01.ab-3 000.02.aB-2".to_owned(), Some(events[1]))
    );
    assert_eq!(
        search("ab-", Some(events[1]), all - 1).await,
        ("000.01.Ab-1".to_owned(), None)
    );
    assert_eq!(
        search("000.01", None, 2).await,
        ("000.01.AC-4 x000.01.ab-3 000.01.Ab-1".to_owned(), Some(events[2]))
    );
    let mut filter = DocumentFilter {
        text: Some("000".to_owned()),
        limit: 1,
        ..DocumentFilter::default()
    };
    let found = hub.ledger.search(&filter).await.unwrap();
    assert_eq!(
        (found.lines.len(), found.looked_to),
        (1, None),
        "the page is full"
    );
    // In a period it begins at its end and does not look behind its beginning.
    let second = hub
        .ledger
        .documents(&DocumentFilter::default())
        .await
        .unwrap()
        .remove(2);
    filter.limit = 0;
    filter.until = Some(second.accepted_at + SignedDuration::from_secs(1));
    filter.since = Some(second.accepted_at);
    let mut now = store.read().await.unwrap();
    assert_eq!(
        now.last_of_day(second.accepted_at).await.unwrap(),
        Some(events[1])
    );
    let found = Search::back(now.as_mut(), &filter, 1).await.unwrap();
    assert_eq!(found.lines, [second]);
    filter.since = Some(Timestamp::UNIX_EPOCH);
    filter.until = Some(Timestamp::UNIX_EPOCH + SignedDuration::from_hours(1));
    let found = Search::back(now.as_mut(), &filter, 1).await.unwrap();
    assert_eq!((found.lines.len(), found.looked_to), (0, None));
}

pub async fn lists_of_days_are_whole(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    named(&hub).await;
    let lines = hub.ledger.documents(&DocumentFilter::default()).await.unwrap();
    let moments: Vec<Timestamp> = lines.iter().rev().map(|line| line.accepted_at).collect();
    for (first, since) in moments.iter().enumerate() {
        for (last, until) in moments.iter().enumerate() {
            let period = DocumentFilter {
                since: Some(*since),
                until: Some(*until),
                ..DocumentFilter::default()
            };
            let mut expected: Vec<String> = Vec::new();
            expected.extend(
                lines
                    .iter()
                    .rev()
                    .skip(first)
                    .take(last.saturating_sub(first))
                    .map(|line| line.document_id.clone()),
            );
            expected.reverse();
            assert_eq!(ids(&hub, period.clone()).await, expected);
            let newest = DocumentFilter { limit: 1, ..period };
            expected.truncate(1);
            assert_eq!(ids(&hub, newest).await, expected);
        }
    }
    hub.sound().await;
}

pub async fn a_text_finds_its_document(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("7816");
    let receipt = hub.accept(submission.clone()).await;
    let other = hub.accept(hub.document("2")).await.document;
    let claimed = hub.forward_all().await;
    hub.record(hub.status("01", "7816")).await;
    let status = deliveries(&hub.forward_all().await, "xa")[0];
    let document = receipt.document;
    for text in [
        document.to_string(),
        " 7816 ".to_owned(),
        submission.key.message_id.to_string(),
        deliveries(&claimed, "so")[0].to_string(),
        status.to_string(),
        "7816/UBND-VP".to_owned(),
        "7816 / UBND-VP".to_owned(),
    ] {
        assert_eq!(hub.ledger.find(&text).await.unwrap(), [document], "{text}");
    }
    assert_eq!(hub.ledger.find("2").await.unwrap(), [other]);
    assert_eq!(hub.ledger.find("nothing").await.unwrap(), []);
    assert_eq!(hub.ledger.find("").await.unwrap(), []);
}

pub async fn a_document_as_a_whole(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let submission = hub.document("1");
    let receipt = hub.accept(submission).await;
    hub.accept(hub.document("2")).await;
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")[..1]).await;
    let status = hub.status("03", "1");
    hub.record(status.clone()).await;
    let view = hub.view(receipt.document).await;
    let kinds: Vec<_> = view.trace.iter().map(|row| row.kind).collect();
    assert_eq!(
        kinds,
        [
            EventKind::DocumentAccepted,
            EventKind::DeliveryForwarded,
            EventKind::DeliveryTaken,
            EventKind::StatusRecorded
        ]
    );
    assert!(view.trace.is_sorted_by_key(|row| row.seq));
    assert_eq!(view.statuses.len(), 1);
    assert_eq!(view.statuses[0].key, status.key);
    assert_eq!(view.outbox.len(), 2);
    let unknown = truc_model::DocumentUid::new(hub.new_message_id().uuid());
    assert!(hub.ledger.document(unknown).await.unwrap().is_none());
    assert!(hub.ledger.body(Sha256::of(b"unknown")).await.unwrap().is_none());
}

pub async fn refusals_are_listed(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.ledger
        .refuse(hub.refused("a", RefusalCode::SealMissing))
        .await
        .unwrap();
    hub.minutes(1);
    let later = hub.ledger.now();
    let mut other = hub.refused("b", RefusalCode::Loop);
    other.system = Some(system("so"));
    other.sender = None;
    hub.ledger.refuse(other).await.unwrap();
    let codes = async |filter: RefusalFilter| {
        let rows = hub.ledger.refusals(&filter).await.unwrap();
        rows.into_iter().map(|row| row.key.code).collect::<Vec<_>>()
    };
    let (seal, routing) = (RefusalCode::SealMissing, RefusalCode::Loop);
    let all = RefusalFilter::default;
    assert_eq!(codes(all()).await, [routing, seal]);
    assert_eq!(codes(RefusalFilter { limit: 1, ..all() }).await, [routing]);
    let before = RefusalFilter {
        before: Some(2),
        ..all()
    };
    assert_eq!(codes(before).await, [seal]);
    let by_system = RefusalFilter {
        system: Some(system("so")),
        ..all()
    };
    assert_eq!(codes(by_system).await, [routing]);
    let by_sender = RefusalFilter {
        sender: Some(agency(1)),
        ..all()
    };
    assert_eq!(codes(by_sender).await, [seal]);
    let by_code = RefusalFilter {
        code: Some(routing),
        ..all()
    };
    assert_eq!(codes(by_code).await, [routing]);
    let since = RefusalFilter {
        since: Some(later),
        ..all()
    };
    assert_eq!(codes(since).await, [routing]);
    let until = RefusalFilter {
        until: Some(later),
        ..all()
    };
    assert_eq!(codes(until).await, [seal]);
    hub.sound().await;
}

pub async fn inboxes_are_counted(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let oldest = hub.ledger.now();
    hub.accept(hub.document("1")).await;
    hub.forward_all().await;
    hub.minutes(1);
    hub.accept(hub.document("2")).await;
    hub.claim().await;
    hub.accept(hub.document("3")).await;
    let counts = hub.ledger.inbox_counts().await.unwrap();
    assert_eq!(
        counts
            .iter()
            .map(|count| count.system.as_str())
            .collect::<Vec<_>>(),
        ["so", "xa"]
    );
    let so = &counts[0];
    assert_eq!((so.scheduled, so.leased, so.forwarded, so.answers), (1, 1, 1, 0));
    assert_eq!(so.oldest, Some(oldest));
    assert_eq!((counts[1].answers, counts[1].oldest), (2, None));
}

pub async fn directories_have_versions(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    assert_eq!(hub.ledger.latest_directory().await.unwrap(), None);
    let new = |expected_version, version| NewDirectory {
        expected_version,
        version,
        json: format!("{{\"version\":{version},\"tên\":\"Sở\"}}"),
        who: "van-hanh".to_owned(),
        summary: DirectorySummary {
            added: 3,
            changed: 2,
            closed: 1,
        },
    };
    hub.ledger.save_directory(new(0, 1)).await.unwrap();
    let error = hub.ledger.save_directory(new(0, 2)).await.unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::DirectoryMoved {
                expected: 0,
                found: 1
            }
        ),
        "{error}"
    );
    let error = hub.ledger.save_directory(new(1, 1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::DirectoryVersion { .. }), "{error}");
    // Two at once: one wins, also within a batch.
    let (a, b) = tokio::join!(
        hub.ledger.save_directory(new(1, 2)),
        hub.ledger.save_directory(new(1, 3))
    );
    assert!(a.is_ok() && b.is_err());
    let latest = hub.ledger.latest_directory().await.unwrap();
    assert_eq!(latest, Some((2, new(1, 2).json)));
    let first = hub.ledger.directory(1).await.unwrap().unwrap();
    assert_eq!((first.event, first.json), (1, new(0, 1).json));
    assert!(hub.ledger.directory(3).await.unwrap().is_none());
    let Fact::DirectoryChanged { summary, sha256, .. } = hub.last_event().await.fact else {
        panic!("expected a directory");
    };
    assert_eq!(
        (summary.added, sha256),
        (3, Sha256::of(new(1, 2).json.as_bytes()))
    );
    hub.sound().await;
}

pub async fn notes_are_events(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let started = Note::HubStarted {
        hub: owner(),
        version: "0.1.0".to_owned(),
    };
    assert_eq!(hub.ledger.note(started).await.unwrap(), 1);
    let dead = Note::DeadLettered {
        queue: "truc.submit.document".to_owned(),
        reason: "x".repeat(crate::command::NOTE_WORD_MAX + 1),
        system: None,
        message_id: None,
        sha256: Sha256::of(b""),
        size: 0,
    };
    assert_eq!(hub.ledger.note(dead).await.unwrap(), 2);
    let Fact::DeadLettered { reason, .. } = hub.last_of(EventKind::DeadLettered).await.fact else {
        panic!("expected a dead letter");
    };
    assert_eq!(reason.len(), crate::command::NOTE_WORD_MAX);
    let changed = Note::SystemChanged {
        system: system("so"),
        change: "rotated".to_owned(),
        who: "van-hanh".to_owned(),
    };
    hub.ledger.note(changed).await.unwrap();
    assert_eq!(
        hub.ledger.note(Note::HubStopped { hub: owner() }).await.unwrap(),
        5,
        "the dead letter raised an alert"
    );
    hub.sound().await;
}

pub async fn the_balance_per_sender_and_period(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut mixed = hub.document("1");
    mixed.recipients.push(to("H53.7", 7, "vxp"));
    mixed.recipients.push(to("H53.8", 8, "truc"));
    mixed.recipients.push(PlannedRecipient {
        code: "?".to_owned(),
        party: Party::Unresolved("?".to_owned()),
        formerly: vec![],
        successors: vec![],
        plan: Plan::Undeliverable(UndeliverableCause::BadCode),
    });
    hub.accept(mixed).await;
    let claimed = hub.forward_all().await;
    hub.take("so", &deliveries(&claimed, "so")).await;
    hub.decline("vxp", &deliveries(&claimed, "vxp")).await;
    hub.ledger
        .refuse(hub.refused("x", RefusalCode::Loop))
        .await
        .unwrap();
    hub.minutes(60);
    let later = hub.ledger.now();
    let mut foreign = hub.document("2");
    foreign.identity.sender = agency(5);
    hub.accept(foreign).await;
    let mut nameless = hub.refused("y", RefusalCode::Loop);
    nameless.sender = None;
    hub.ledger.refuse(nameless).await.unwrap();

    let balance = hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
    let first = BalanceRow {
        documents: 1,
        accepted: 4,
        taken: 1,
        waiting: 1,
        refused: 1,
        undeliverable: 1,
        refused_submissions: 1,
        ..BalanceRow::of(Some(agency(1)))
    };
    let second = BalanceRow {
        documents: 1,
        accepted: 1,
        waiting: 1,
        ..BalanceRow::of(Some(agency(5)))
    };
    let unknown = BalanceRow {
        refused_submissions: 1,
        ..BalanceRow::of(None)
    };
    let rows: BTreeMap<_, _> = [&unknown, &first, &second]
        .map(|row| (row.sender.clone(), row.clone()))
        .into();
    assert_eq!(balance.rows, rows.into_values().collect::<Vec<_>>());
    assert!(balance.balances());
    assert_eq!(
        (balance.total.accepted, balance.total.refused_submissions),
        (5, 2)
    );
    let period = BalanceFilter {
        until: Some(later),
        ..BalanceFilter::default()
    };
    let balance = hub.ledger.balance(&period).await.unwrap();
    assert_eq!(balance.rows, [first]);
    assert!(balance.balances());
    let one = BalanceFilter {
        sender: Some(agency(5)),
        since: Some(later),
        until: None,
    };
    let balance = hub.ledger.balance(&one).await.unwrap();
    assert_eq!(balance.rows, std::slice::from_ref(&second));
    assert!(balance.balances());
    assert_eq!(hub.ledger.balance_figures(&one).await.unwrap(), [second]);
}

pub async fn an_agency_sees_its_part_of_the_balance(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let nobody = BalanceFilter {
        sender: Some(agency(99)),
        ..BalanceFilter::default()
    };
    let balance = hub.ledger.balance(&nobody).await.unwrap();
    assert_eq!((balance.rows.len(), balance.balances()), (0, true));
    let mut broken = balance.clone();
    broken.rows.push(BalanceRow {
        accepted: 1,
        ..BalanceRow::of(None)
    });
    assert!(!broken.balances());
    let mut told_otherwise = balance;
    told_otherwise.by_events.push(BalanceRow::of(None));
    assert!(!told_otherwise.balances());
}
