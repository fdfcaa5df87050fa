//! Alerts: raised once, told once, sent by one hub at a time, kept when nobody takes them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use truc_model::wire::Taken;
use truc_model::{AlertChange, AlertKind, DeliveryUid, ParkCause, Severity};

use super::Bench;
use super::kit::{Hub, owner, system};
use crate::alert::{
    ALERT_AGENCIES_MAX, ALERT_CLAIM_MAX, ALERT_DEAD_MAX, ALERT_FACT_MAX, ALERT_FACTS_MAX, ALERT_LINES_MAX,
    ALERT_ORDERS_MAX, AlertClaim, AlertFilter, AlertOrder, AlertPost, AlertRevive, AlertRow, AlertTried,
    ChannelRate, ClearCause, PostPlace, Raise, Route, Routed, TriedOutcome,
};
use crate::{EventKind, Fact, HubId, LedgerError, Note, SubmitOutcome, TakenReport};

async fn raise(hub: &Hub, raise: Raise) {
    hub.ledger.alerts(vec![AlertOrder::Raise(raise)]).await.unwrap();
}

async fn clear(hub: &Hub, kind: AlertKind, subject: &str) {
    let order = AlertOrder::Clear {
        kind,
        subject: subject.to_owned(),
        cause: ClearCause::Ended,
    };
    hub.ledger.alerts(vec![order]).await.unwrap();
}

async fn open(hub: &Hub) -> Vec<AlertRow> {
    hub.ledger.open_alerts(&AlertFilter::default()).await.unwrap()
}

fn later(hub: &Hub, seconds: i64) -> Timestamp {
    hub.ledger.now() + SignedDuration::from_secs(seconds)
}

/// Sends everything untold to these channels, now.
async fn route(hub: &Hub, channels: &[&str]) -> Vec<Routed> {
    let now = hub.ledger.now();
    let routed: Vec<Routed> = hub
        .ledger
        .untold_alerts()
        .await
        .unwrap()
        .iter()
        .map(|row| to(row, channels, now))
        .collect();
    hub.ledger.route_alerts(routed.clone()).await.unwrap();
    routed
}

fn to(row: &AlertRow, channels: &[&str], not_before: Timestamp) -> Routed {
    Routed {
        alert: row.alert,
        change: row.untold().unwrap(),
        severity: row.severity,
        routes: channels
            .iter()
            .map(|channel| Route {
                channel: (*channel).to_owned(),
                not_before,
            })
            .collect(),
    }
}

fn claim_of(name: &str, channels: &[&str], per_hour: u32) -> AlertClaim {
    AlertClaim {
        owner: HubId::new(name),
        lease: Duration::from_secs(60),
        channels: channels
            .iter()
            .map(|channel| ChannelRate {
                channel: (*channel).to_owned(),
                per_hour,
            })
            .collect(),
        max: ALERT_CLAIM_MAX,
    }
}

async fn claim(hub: &Hub) -> Vec<AlertPost> {
    hub.ledger
        .claim_alerts(claim_of("hub-1", &["a"], 1000))
        .await
        .unwrap()
}

async fn tried(hub: &Hub, post: &AlertPost, outcome: TriedOutcome) {
    let tried = AlertTried {
        post: post.post,
        attempt: post.attempts,
        outcome,
    };
    hub.ledger.alert_tried(tried).await.unwrap();
}

fn failed(next_try: Option<Timestamp>) -> TriedOutcome {
    TriedOutcome::Failed {
        failure: "refused".to_owned(),
        next_try,
    }
}

pub async fn an_alert_is_raised_once_grows_and_ends(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let disk = || Raise::new(AlertKind::DiskLow, "hub-1").with("free_mb", 2000);
    raise(&hub, disk()).await;
    hub.clock.advance(60);
    // Two in one batch, and one of another subject.
    let second = AlertOrder::Raise(disk().with("free_mb", 1900));
    let other = AlertOrder::Raise(Raise::new(AlertKind::DiskLow, "hub-2"));
    hub.ledger
        .alerts(vec![second.clone(), second, other.clone(), other])
        .await
        .unwrap();
    assert_eq!(hub.count(EventKind::AlertRaised).await, 2);
    let rows = open(&hub).await;
    assert_eq!(rows.len(), 2);
    assert_eq!((rows[0].seen, rows[0].facts["free_mb"].as_str()), (3, "1900"));
    assert!(rows[0].seen_at > rows[0].raised_at);
    // It grows once, and never becomes less.
    for severity in [Severity::Critical, Severity::Critical, Severity::Info] {
        raise(&hub, disk().at(severity)).await;
    }
    assert_eq!(hub.count(EventKind::AlertRaised).await, 3);
    assert!(matches!(
        hub.last_event().await.fact,
        Fact::AlertRaised {
            what: AlertKind::DiskLow,
            severity: Severity::Critical,
            again: true,
            ..
        }
    ));
    let first = open(&hub).await.remove(0);
    assert_eq!(
        (first.severity, first.untold()),
        (Severity::Critical, Some(AlertChange::Raised))
    );
    // It ends once; after that it is another one.
    clear(&hub, AlertKind::DiskLow, "hub-1").await;
    clear(&hub, AlertKind::DiskLow, "hub-1").await;
    clear(&hub, AlertKind::ClockOff, "hub-2").await;
    assert_eq!(hub.count(EventKind::AlertCleared).await, 1);
    assert_eq!(hub.ledger.alert_count().await.unwrap(), 1);
    raise(&hub, disk()).await;
    let rows = open(&hub).await;
    assert_ne!(rows[1].alert, first.alert);
    assert_eq!(rows[1].severity, Severity::Warning);
    // Raised and ended in one batch.
    let brief = vec![
        AlertOrder::Raise(Raise::new(AlertKind::BrokerAway, "hub-1")),
        AlertOrder::Clear {
            kind: AlertKind::BrokerAway,
            subject: "hub-1".to_owned(),
            cause: ClearCause::Ended,
        },
        AlertOrder::Raise(Raise::new(AlertKind::BrokerAway, "hub-1")),
    ];
    hub.ledger.alerts(brief).await.unwrap();
    assert_eq!(hub.ledger.alert_count().await.unwrap(), 3);
    // Another life of the hub finds them.
    let again = Hub::open(bench).await;
    let filter = AlertFilter {
        kinds: vec![AlertKind::BrokerAway, AlertKind::ClockOff],
        ..AlertFilter::default()
    };
    assert_eq!(again.ledger.open_alerts(&filter).await.unwrap().len(), 1);
    let after = AlertFilter {
        after: rows[0].event,
        limit: 1,
        ..AlertFilter::default()
    };
    assert_eq!(
        again.ledger.open_alerts(&after).await.unwrap()[0].alert,
        rows[1].alert
    );
    hub.sound().await;
}

pub async fn what_is_parked_raises_an_alert_in_the_same_commit(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut secret = hub.document("secret");
    secret.park = Some(ParkCause::SecretMarking);
    let commits = hub.ledger.commits();
    let receipt = hub.accept(secret).await;
    assert_eq!(hub.ledger.commits(), commits + 1);
    let rows = open(&hub).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].kind, rows[0].severity, rows[0].document),
        (
            AlertKind::SecretMarking,
            Severity::Critical,
            Some(receipt.document)
        )
    );
    assert_eq!(rows[0].agencies, ["000.20.31.H53"]);
    assert_eq!(rows[0].system, Some(system("xa")));
    // The same identity with other bytes.
    let first = hub.document("1");
    hub.accept(first.clone()).await;
    hub.accept(hub.rival(&first)).await;
    assert_eq!(open(&hub).await[1].kind, AlertKind::IdentityConflict);
    hub.sound().await;
}

pub async fn odd_words_and_lost_inboxes_raise_alerts(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let claimed = hub.claim().await;
    hub.confirm(&claimed).await;
    let unknown: DeliveryUid = hub.new_message_id().to_string().parse().unwrap();
    for _ in 0..2 {
        let report = TakenReport {
            system: system("so"),
            message_id: None,
            taken: Taken {
                taken: vec![unknown],
                ..Taken::default()
            },
        };
        hub.ledger.taken(report).await.unwrap();
    }
    hub.ledger.inbox_lost(system("so")).await.unwrap();
    let dead = Note::DeadLettered {
        queue: "truc.submit.document".to_owned(),
        reason: "defect".to_owned(),
        system: None,
        message_id: None,
        sha256: truc_model::Sha256::of(b"x"),
        size: 1,
    };
    hub.ledger.note(dead).await.unwrap();
    let rows = open(&hub).await;
    let told: Vec<(AlertKind, &str, u64)> = rows
        .iter()
        .map(|row| (row.kind, row.subject.as_str(), row.seen))
        .collect();
    assert_eq!(
        told,
        [
            (AlertKind::TakenOdd, "so", 2),
            (AlertKind::InboxLost, "so", 1),
            (AlertKind::DeadLetter, "truc.dead.letters", 1)
        ]
    );
    // A recipient that will not give it back.
    hub.record(hub.take_back("1")).await;
    hub.record(hub.status("16", "1")).await;
    let rows = open(&hub).await;
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[3].kind, AlertKind::RecallRefused);
    assert_eq!(rows[3].agencies, ["000.20.31.H53", "000.00.12.H53"]);
    assert!(rows[3].subject.ends_with("/0"), "{}", rows[3].subject);
    hub.sound().await;
}

pub async fn orders_and_what_they_say_are_bounded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let order = AlertOrder::Raise(Raise::new(AlertKind::DiskLow, "hub-1"));
    hub.ledger
        .alerts(vec![order.clone(); ALERT_ORDERS_MAX])
        .await
        .unwrap();
    let too_many = hub.ledger.alerts(vec![order; ALERT_ORDERS_MAX + 1]).await;
    assert!(
        matches!(too_many, Err(LedgerError::TooMany { .. })),
        "{too_many:?}"
    );
    let mut long = Raise::new(AlertKind::Defect, "x".repeat(truc_model::alert::SUBJECT_MAX + 1));
    for n in 0..=ALERT_FACTS_MAX {
        long = long.with(&format!("fact{n:02}"), "y".repeat(ALERT_FACT_MAX + 1));
    }
    for n in 0..=ALERT_AGENCIES_MAX {
        long = long.concerning(&format!("H{n}"));
    }
    raise(&hub, long.with("fact00", "two\r\nlines")).await;
    let row = open(&hub).await.remove(1);
    assert_eq!(row.subject.chars().count(), truc_model::alert::SUBJECT_MAX);
    assert_eq!(row.facts.len(), ALERT_FACTS_MAX);
    assert_eq!(row.facts["fact00"], "two  lines");
    assert_eq!(row.facts["fact01"].chars().count(), ALERT_FACT_MAX);
    assert_eq!(row.agencies.len(), ALERT_AGENCIES_MAX);
    hub.sound().await;
}

pub async fn lines_of_a_kind_gather_in_one_message(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let of = |n: usize| Raise::new(AlertKind::NotTaken, format!("system-{n}"));
    for n in 0..3 {
        raise(&hub, of(n)).await;
    }
    raise(&hub, Raise::new(AlertKind::DiskLow, "hub-1")).await;
    // Two are told late, one at once: they go with it.
    let rows = hub.ledger.untold_alerts().await.unwrap();
    let routed = |row: &AlertRow, seconds| to(row, &["a", "b"], later(&hub, seconds));
    hub.ledger
        .route_alerts(vec![
            routed(&rows[0], 3600),
            routed(&rows[1], 30),
            routed(&rows[2], 3600),
        ])
        .await
        .unwrap();
    hub.ledger.route_alerts(vec![routed(&rows[3], 60)]).await.unwrap();
    assert!(hub.ledger.untold_alerts().await.unwrap().is_empty());
    assert_eq!(hub.ledger.alert_posts().await.unwrap().len(), 4);
    hub.clock.advance(29);
    assert!(claim(&hub).await.is_empty());
    hub.clock.advance(1);
    let claimed = claim(&hub).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(
        (claimed[0].kind, claimed[0].lines.len()),
        (AlertKind::NotTaken, 3)
    );
    // From its first attempt on it is fixed; what comes later is another message.
    raise(&hub, of(3)).await;
    route(&hub, &["a"]).await;
    let again = claim(&hub).await;
    assert_eq!(again.len(), 1);
    assert_ne!(again[0].post, claimed[0].post);
    // No message grows without end.
    for n in 0..=ALERT_LINES_MAX {
        raise(&hub, of(100 + n)).await;
    }
    route(&hub, &["a"]).await;
    let full = claim(&hub).await;
    assert_eq!((full[0].lines.len(), full[0].more), (ALERT_LINES_MAX, 1));
    hub.sound().await;
}

pub async fn what_ends_before_it_is_told_is_one_line(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    // Not even routed.
    raise(&hub, Raise::new(AlertKind::BrokerAway, "hub-1")).await;
    clear(&hub, AlertKind::BrokerAway, "hub-1").await;
    assert_eq!(
        hub.ledger.untold_alerts().await.unwrap()[0].untold(),
        Some(AlertChange::Over)
    );
    // Routed and not sent.
    raise(&hub, Raise::new(AlertKind::BrokerAway, "hub-2")).await;
    route(&hub, &["a"]).await;
    clear(&hub, AlertKind::BrokerAway, "hub-2").await;
    // Grown and not sent.
    raise(
        &hub,
        Raise::new(AlertKind::BrokerAway, "hub-3").at(Severity::Warning),
    )
    .await;
    route(&hub, &["a"]).await;
    raise(&hub, Raise::new(AlertKind::BrokerAway, "hub-3")).await;
    route(&hub, &["a"]).await;
    assert!(hub.ledger.alert_due().await.unwrap());
    let posts = claim(&hub).await;
    assert!(!hub.ledger.alert_due().await.unwrap());
    let lines: Vec<(&str, AlertChange, Severity)> = posts[0]
        .lines
        .iter()
        .map(|line| (line.subject.as_str(), line.change, line.severity))
        .collect();
    assert_eq!(
        lines,
        [
            ("hub-1", AlertChange::Over, Severity::Critical),
            ("hub-2", AlertChange::Over, Severity::Critical),
            ("hub-3", AlertChange::Raised, Severity::Critical)
        ]
    );
    // Sent: its end is the all-clear, with the same id, and then nothing is left of it.
    clear(&hub, AlertKind::BrokerAway, "hub-3").await;
    route(&hub, &["a"]).await;
    let posts = claim(&hub).await;
    assert_eq!(posts[0].lines[0].change, AlertChange::Cleared);
    assert!(hub.ledger.untold_alerts().await.unwrap().is_empty());
    hub.sound().await;
}

pub async fn a_change_is_told_by_one_hub(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let other = Hub::open(bench).await;
    raise(&hub, Raise::new(AlertKind::DiskLow, "hub-1")).await;
    // Both read it; the second finds it told.
    let routed = route(&hub, &["a"]).await;
    other.ledger.route_alerts(routed.clone()).await.unwrap();
    assert_eq!(hub.ledger.alert_posts().await.unwrap()[0].lines.len(), 1);
    // One read it before it grew.
    raise(
        &hub,
        Raise::new(AlertKind::DiskLow, "hub-1").at(Severity::Critical),
    )
    .await;
    let stale = hub.ledger.untold_alerts().await.unwrap();
    let stale = to(&stale[0], &["a"], hub.ledger.now());
    clear(&hub, AlertKind::DiskLow, "hub-1").await;
    hub.ledger.route_alerts(vec![stale]).await.unwrap();
    assert_eq!(
        hub.ledger.untold_alerts().await.unwrap()[0].untold(),
        Some(AlertChange::Cleared)
    );
    // To no channel at all: it is told to nobody, and gone.
    route(&hub, &[]).await;
    assert!(hub.ledger.untold_alerts().await.unwrap().is_empty());
    assert_eq!(hub.ledger.alert_count().await.unwrap(), 0);
    hub.sound().await;
}

pub async fn a_message_is_sent_by_one_hub_at_a_time(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    raise(&hub, Raise::new(AlertKind::DiskLow, "hub-1")).await;
    raise(&hub, Raise::new(AlertKind::BrokerAway, "hub-1")).await;
    route(&hub, &["a"]).await;
    let (one, two) = tokio::join!(
        hub.ledger.claim_alerts(claim_of("hub-1", &["a"], 1000)),
        hub.ledger.claim_alerts(claim_of("hub-2", &["a"], 1000)),
    );
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!((one.len(), two.len()), (2, 0));
    assert_eq!(one[0].kind, AlertKind::BrokerAway, "the gravest first");
    assert_eq!(
        one[0].place,
        PostPlace::Leased {
            owner: owner(),
            until: later(&hub, 60)
        }
    );
    // Nobody has this channel any more: it waits.
    let none = hub
        .ledger
        .claim_alerts(claim_of("hub-2", &["b"], 1000))
        .await
        .unwrap();
    assert!(none.is_empty());
    hub.clock.advance(59);
    assert!(claim(&hub).await.is_empty());
    hub.clock.advance(1);
    let again = hub
        .ledger
        .claim_alerts(claim_of("hub-2", &["a"], 1000))
        .await
        .unwrap();
    assert_eq!((again[0].post, again[0].attempts), (one[0].post, 2));
    // The first hub's failure says nothing about the second's attempt; its success does.
    tried(&hub, &one[0], failed(None)).await;
    assert_eq!(hub.count(EventKind::AlertUndelivered).await, 0);
    tried(&hub, &one[0], TriedOutcome::Sent).await;
    tried(&hub, &again[0], failed(None)).await;
    let left = hub.ledger.alert_posts().await.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].post, one[1].post);
    hub.sound().await;
}

pub async fn a_channel_has_an_allowance(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let kinds = [
        AlertKind::DiskLow,
        AlertKind::ClockOff,
        AlertKind::BrokerAway,
        AlertKind::RulesKept,
    ];
    for kind in kinds {
        raise(&hub, Raise::new(kind, "hub-1")).await;
    }
    route(&hub, &["a", "b"]).await;
    let claim = async |name: &str| {
        let posts = hub
            .ledger
            .claim_alerts(claim_of("hub-1", &[name], 2))
            .await
            .unwrap();
        for post in &posts {
            tried(&hub, post, TriedOutcome::Sent).await;
        }
        posts.len()
    };
    assert_eq!(claim("a").await, 2);
    assert_eq!(claim("b").await, 2, "each channel has its own");
    assert_eq!(claim("a").await, 0);
    hub.clock.advance(1799);
    assert_eq!(claim("a").await, 0);
    hub.clock.advance(1);
    assert_eq!(claim("a").await, 1);
    assert_eq!(claim("a").await, 0);
    // What was not used up does not pile up.
    hub.clock.advance(100 * 3600);
    for kind in kinds {
        clear(&hub, kind, "hub-1").await;
    }
    route(&hub, &["a"]).await;
    assert_eq!(claim("a").await, 2);
    // A clock set back gives nothing.
    hub.clock.advance(-3600);
    assert_eq!(claim("a").await, 0);
}

pub async fn what_fails_too_often_is_a_dead_letter(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    raise(&hub, Raise::new(AlertKind::DiskLow, "hub-1")).await;
    route(&hub, &["a"]).await;
    let first = claim(&hub).await.remove(0);
    tried(&hub, &first, failed(Some(later(&hub, 10)))).await;
    assert!(claim(&hub).await.is_empty());
    hub.clock.advance(10);
    let second = claim(&hub).await.remove(0);
    assert_eq!((second.post, second.attempts), (first.post, 2));
    assert_eq!(second.failure.as_deref(), Some("refused"));
    tried(&hub, &second, failed(None)).await;
    hub.clock.advance(100_000);
    assert!(claim(&hub).await.is_empty());
    let dead = hub.ledger.alert_posts().await.unwrap();
    assert!(matches!(dead[0].place, PostPlace::Dead { .. }), "{dead:?}");
    assert_eq!(hub.count(EventKind::AlertUndelivered).await, 1);
    let rows = open(&hub).await;
    assert_eq!(
        (rows[1].kind, rows[1].subject.as_str()),
        (AlertKind::ChannelFailing, "a")
    );
    // An operator has it sent again, from the first attempt; then the channel is well.
    let nobody = AlertRevive {
        post: Some(hub.new_message_id().to_string().parse().unwrap()),
    };
    assert_eq!(hub.ledger.revive_alerts(nobody).await.unwrap(), 0);
    let it = AlertRevive {
        post: Some(first.post),
    };
    assert_eq!(hub.ledger.revive_alerts(it).await.unwrap(), 1);
    let third = claim(&hub).await.remove(0);
    assert_eq!((third.post, third.attempts), (first.post, 1));
    tried(&hub, &third, TriedOutcome::Sent).await;
    assert!(hub.ledger.alert_posts().await.unwrap().is_empty());
    assert_eq!(open(&hub).await.len(), 1);
    hub.sound().await;
}

pub async fn dead_letters_have_a_most(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let channels: Vec<String> = (0..ALERT_DEAD_MAX / AlertKind::ALL.len() + 2)
        .map(|n| format!("c{n}"))
        .collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    for kind in AlertKind::ALL {
        raise(&hub, Raise::new(*kind, "x")).await;
    }
    route(&hub, &channels).await;
    let all = hub.ledger.alert_posts().await.unwrap();
    assert!(all.len() >= 1000, "{}", all.len());
    let mut dead = 0;
    loop {
        let posts = hub
            .ledger
            .claim_alerts(claim_of("hub-1", &channels, 1000))
            .await
            .unwrap();
        if posts.is_empty() {
            break;
        }
        dead += posts.len();
        let tries = posts.iter().map(|post| tried(&hub, post, failed(None)));
        futures_join(tries).await;
    }
    assert_eq!(dead, channels.len() * AlertKind::ALL.len());
    assert!(dead > ALERT_DEAD_MAX, "{dead}");
    let left = hub.ledger.alert_posts().await.unwrap();
    let left = left
        .iter()
        .filter(|post| matches!(post.place, PostPlace::Dead { .. }))
        .count();
    assert_eq!(left, ALERT_DEAD_MAX);
    let revived = hub
        .ledger
        .revive_alerts(AlertRevive { post: None })
        .await
        .unwrap();
    assert_eq!(revived, ALERT_DEAD_MAX as u64);
    hub.sound().await;
}

/// All at once, so that they share commits.
async fn futures_join<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

pub async fn troubles_of_inboxes_are_counted(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    for id in ["1", "2", "3"] {
        hub.accept(hub.document(id)).await;
        hub.clock.advance(60);
    }
    let accepted = hub.ledger.now();
    let claimed = hub.claim().await;
    let documents: Vec<_> = claimed
        .iter()
        .filter(|c| c.system == system("so"))
        .cloned()
        .collect();
    assert_eq!(documents.len(), 3);
    hub.confirm(&documents[..1]).await;
    hub.clock.advance(3600);
    let troubles = hub.ledger.inbox_troubles(1, later(&hub, -1800)).await.unwrap();
    let so = troubles.iter().find(|t| t.system == system("so")).unwrap();
    assert_eq!((so.untaken, so.untaken_since), (1, Some(accepted)));
    assert_eq!(
        (so.waiting, so.failing),
        (0, 2),
        "both are leased and were tried once"
    );
    let troubles = hub.ledger.inbox_troubles(2, accepted).await.unwrap();
    let so = troubles.iter().find(|t| t.system == system("so")).unwrap();
    assert_eq!((so.untaken, so.failing), (0, 0));
    // One more, that nobody claims.
    let since = hub.ledger.now();
    let SubmitOutcome::Accepted(_) = hub.ledger.submit_document(hub.document("4")).await.unwrap() else {
        panic!("expected it accepted");
    };
    let troubles = hub.ledger.inbox_troubles(1, accepted).await.unwrap();
    let so = troubles.iter().find(|t| t.system == system("so")).unwrap();
    assert_eq!((so.waiting, so.waiting_since), (1, Some(since)));
}
