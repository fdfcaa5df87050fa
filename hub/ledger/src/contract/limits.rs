//! Time limits: when they begin, when they end, and that each level is told once.

use jiff::Timestamp;
use truc_model::{ChangeState, DocumentUid, LimitKind, Operation, Turn, Urgency};

use super::Bench;
use super::kit::{Hub, agency, to};
use crate::{EventKind, Fact, LIMITS_MAX, LedgerError, LimitKey, LimitLine, LimitQuery, LimitTold};
use crate::{SentLate, SentLateQuery};

fn query(kind: LimitKind, told: u8) -> LimitQuery {
    LimitQuery {
        kind,
        urgency: Urgency::Normal,
        told,
        began_until: Timestamp::MAX,
        party: None,
        max: 100,
    }
}

async fn open(hub: &Hub, kind: LimitKind) -> Vec<LimitLine> {
    let queries: Vec<LimitQuery> = (0..4).map(|told| query(kind, told)).collect();
    hub.ledger.open_limits_of(&queries).await.unwrap()
}

/// How many limits run: arrival, acceptance, answer.
async fn running(hub: &Hub) -> [usize; 3] {
    let mut counts = [0; 3];
    let kinds = [LimitKind::Arrival, LimitKind::Acceptance, LimitKind::Answer];
    for (count, kind) in counts.iter_mut().zip(kinds) {
        *count = open(hub, kind).await.len();
    }
    counts
}

/// Agency 2 has taken the document.
async fn taken(hub: &Hub, id: &str) -> DocumentUid {
    let receipt = hub.accept(hub.document(id)).await;
    take_all(hub, "so").await;
    receipt.document
}

async fn take_all(hub: &Hub, name: &str) {
    let claimed = hub.forward_all().await;
    let mine: Vec<_> = claimed
        .iter()
        .filter(|message| message.system.as_str() == name && message.outgoing.awaits_taken())
        .map(|message| message.delivery)
        .collect();
    hub.take(name, &mine).await;
}

pub async fn limits_run_from_taken_until_they_are_met(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    hub.forward_all().await;
    assert_eq!(running(&hub).await, [0, 0, 0], "forwarded is not delivered");
    hub.minutes(5);
    let began = hub.ledger.now();
    taken(&hub, "2").await;
    assert_eq!(running(&hub).await, [1, 1, 0]);
    let lines = open(&hub, LimitKind::Arrival).await;
    let line = &lines[0];
    assert_eq!((line.limit.key.began, line.limit.told), (began, 0));
    assert_eq!((&line.recipient, &line.sender), (&agency(2), &agency(1)));
    assert_eq!(line.recipient_code, "000.00.12.H53");
    assert_eq!(line.number.as_deref(), Some("2/UBND-VP"));
    hub.minutes(5);
    hub.record(hub.status("01", "2")).await;
    assert_eq!(running(&hub).await, [0, 1, 0]);
    hub.record(hub.status("03", "2")).await;
    assert_eq!(running(&hub).await, [0, 0, 0]);
    hub.record(hub.status("04", "2")).await;
    hub.record(hub.status("06", "2")).await;
    assert_eq!(running(&hub).await, [0, 0, 0], "nothing is expected after that");
    // A status without `taken`: nothing ever runs that is met at once.
    hub.accept(hub.document("3")).await;
    hub.record(hub.status("02", "3")).await;
    assert_eq!(running(&hub).await, [0, 0, 0]);
    hub.record(hub.status("01", "1")).await;
    assert_eq!(
        running(&hub).await,
        [0, 1, 0],
        "01 implies taken; 02 or 03 is due"
    );
    hub.sound().await;
}

pub async fn an_answer_is_expected_of_who_has_the_document(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    taken(&hub, "1").await;
    hub.minutes(60);
    let asked = hub.ledger.now();
    hub.record(hub.take_back("1")).await;
    assert_eq!(
        running(&hub).await,
        [0, 0, 1],
        "nobody is to accept what is wanted back"
    );
    let answer = &open(&hub, LimitKind::Answer).await[0];
    assert_eq!(answer.limit.key.began, asked);
    assert_eq!(answer.change, ChangeState::RecallAsked);
    hub.minutes(60);
    hub.record(hub.status("16", "1")).await;
    assert_eq!(
        running(&hub).await,
        [1, 1, 0],
        "it keeps the document: it has to be accepted, from now on"
    );
    hub.minutes(1);
    hub.record(hub.take_back("1")).await;
    hub.minutes(1);
    hub.record(hub.status("15", "1")).await;
    assert_eq!(running(&hub).await, [0, 0, 0]);
    hub.record(hub.status("03", "1")).await;
    assert_eq!(running(&hub).await, [0, 0, 0], "an end is an end");
    hub.sound().await;
}

/// The last event about limits; an alert follows it in the same commit.
async fn last_passed(hub: &Hub) -> Fact {
    let rows = hub.ledger.events(1, usize::MAX).await.unwrap();
    let row = rows.iter().rev().find(|row| row.kind == EventKind::LimitPassed);
    row.expect("limit-passed").event().unwrap().fact
}

pub async fn each_level_is_told_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("000.00.13.H53", 3, "so"));
    let receipt = hub.accept(submission).await;
    take_all(&hub, "so").await;
    let due = hub.ledger.now();
    hub.minutes(60);
    let told = |lines: &[LimitLine], level| -> Vec<LimitTold> {
        let one = |line: &LimitLine| LimitTold {
            key: line.limit.key,
            level,
            due,
            turn: Turn::RecipientClerk,
        };
        lines.iter().map(one).collect()
    };
    let lines = open(&hub, LimitKind::Arrival).await;
    assert_eq!(lines.len(), 2);
    let first = told(&lines, 1);
    assert_eq!(hub.ledger.limits_told(first.clone()).await.unwrap(), 2);
    let Fact::LimitPassed {
        document,
        recipients,
        limit,
        level,
        due: was_due,
        ..
    } = last_passed(&hub).await
    else {
        panic!("expected limit-passed");
    };
    assert_eq!(
        (document, recipients, limit, level, was_due),
        (receipt.document, vec![0, 1], LimitKind::Arrival, 1, due),
        "one event for all of one delivery"
    );
    // Told again, by another hub or after a crash: nothing happens.
    assert_eq!(hub.ledger.limits_told(first).await.unwrap(), 0);
    assert_eq!(hub.count(EventKind::LimitPassed).await, 1);
    assert_eq!(hub.count(EventKind::AlertRaised).await, 2, "one alert for each");
    assert!(
        hub.ledger
            .open_limits(&query(LimitKind::Arrival, 0))
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(hub.ledger.limits_told(told(&lines, 2)).await.unwrap(), 2);
    assert_eq!(
        hub.ledger.limits_told(told(&lines, 1)).await.unwrap(),
        0,
        "levels rise"
    );
    // Met: the row stays until that is told, then goes.
    hub.record(hub.status("01", "1")).await;
    let ended = hub.ledger.ended_limits().await.unwrap();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].told, ended[0].ended), (2, Some(hub.ledger.now())));
    assert_eq!(
        hub.ledger.limits_told(told(&lines[..1], 3)).await.unwrap(),
        0,
        "what has ended is not told of any more"
    );
    let keys: Vec<LimitKey> = lines.iter().map(|line| line.limit.key).collect();
    hub.ledger.limits_settled(keys[..1].to_vec()).await.unwrap();
    assert_eq!(hub.count(EventKind::AlertCleared).await, 1);
    hub.ledger.limits_settled(keys[1..].to_vec()).await.unwrap();
    assert_eq!(
        hub.count(EventKind::AlertCleared).await,
        1,
        "the other still runs"
    );
    assert!(hub.ledger.ended_limits().await.unwrap().is_empty());
    assert_eq!(
        open(&hub, LimitKind::Arrival).await.len(),
        1,
        "what still runs is not settled"
    );
    hub.sound().await;
}

pub async fn an_order_itself_is_not_to_be_accepted(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    taken(&hub, "1").await;
    let mut recall = hub.document("1-thu-hoi");
    recall.facts.operation = Operation::Recall;
    recall.facts.refers_to = Some("1".to_owned());
    recall.change = Some(crate::DocumentChange::Recall {
        document_id: "1".to_owned(),
    });
    hub.accept(recall).await;
    take_all(&hub, "so").await;
    let documents = open(&hub, LimitKind::Arrival).await;
    assert!(documents.iter().all(|line| line.document_id == "1"));
    hub.sound().await;
}

pub async fn an_update_is_a_document_to_those_it_adds(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    taken(&hub, "1").await;
    hub.record(hub.status("03", "1")).await;
    assert_eq!(running(&hub).await, [0, 0, 0]);
    let mut update = hub.document("1-cap-nhat");
    let added = to("000.00.13.H53", 3, "xa-ba");
    update.facts.operation = Operation::Update;
    update.facts.refers_to = Some("1".to_owned());
    update.recipients.push(added.clone());
    update.change = Some(crate::DocumentChange::Update {
        document_id: "1".to_owned(),
        removed: vec![],
        added: vec![added],
    });
    hub.accept(update).await;
    assert_eq!(running(&hub).await, [0, 0, 1], "agency 2 owes an answer");
    let claimed = hub.forward_all().await;
    for name in ["so", "xa-ba"] {
        let mine = claimed.iter().filter(|message| {
            message.system.as_str() == name && message.outgoing == truc_model::wire::Outgoing::Document
        });
        let mine: Vec<_> = mine.map(|message| message.delivery).collect();
        assert_eq!(hub.take(name, &mine).await.taken.len(), 1);
    }
    let lines = open(&hub, LimitKind::Arrival).await;
    let who: Vec<_> = lines
        .iter()
        .map(|line| (line.document_id.as_str(), line.recipient.clone()))
        .collect();
    assert_eq!(
        who,
        [("1-cap-nhat", agency(3))],
        "agency 2 has the document already"
    );
    assert_eq!(running(&hub).await, [1, 1, 1]);
    hub.record(hub.status("15", "1")).await;
    assert_eq!(running(&hub).await, [1, 1, 0]);
    hub.sound().await;
}

pub async fn what_is_late_is_listed_by_urgency_age_and_party(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut began = Vec::new();
    for id in ["1", "2", "3"] {
        began.push(hub.ledger.now());
        let mut submission = hub.document(id);
        if id == "2" {
            submission.facts.urgency = Urgency::Express;
            submission.recipients = vec![to("000.00.13.H53", 3, "so")];
        }
        hub.accept(submission).await;
        take_all(&hub, "so").await;
        hub.minutes(10);
    }
    let ids = async |query: LimitQuery| -> Vec<String> {
        let lines = hub.ledger.open_limits(&query).await.unwrap();
        lines.into_iter().map(|line| line.document_id).collect()
    };
    let arrival = query(LimitKind::Arrival, 0);
    assert_eq!(ids(arrival.clone()).await, ["1", "3"]);
    let express = LimitQuery {
        urgency: Urgency::Express,
        ..arrival.clone()
    };
    assert_eq!(ids(express.clone()).await, ["2"]);
    let until = |at: Timestamp| LimitQuery {
        began_until: at,
        ..arrival.clone()
    };
    assert_eq!(ids(until(began[2])).await, ["1", "3"], "the moment itself counts");
    assert_eq!(ids(until(began[1])).await, ["1"]);
    let few = LimitQuery {
        max: 1,
        ..arrival.clone()
    };
    assert_eq!(ids(few).await, ["1"]);
    for (party, normal, express_ids) in [
        (1, vec!["1", "3"], vec!["2"]),
        (2, vec!["1", "3"], vec![]),
        (3, vec![], vec!["2"]),
    ] {
        let of = |query: &LimitQuery| LimitQuery {
            party: Some(agency(party)),
            ..query.clone()
        };
        assert_eq!(ids(of(&arrival)).await, normal, "{party}");
        assert_eq!(ids(of(&express)).await, express_ids, "{party}");
    }
}

pub async fn too_many_limits_in_one_call(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let document = taken(&hub, "1").await;
    let key = |position| LimitKey {
        document,
        position,
        kind: LimitKind::Arrival,
        began: hub.ledger.now(),
    };
    let keys = |count: usize| (0..u32::try_from(count).unwrap()).map(key).collect::<Vec<_>>();
    hub.ledger.limits_settled(keys(LIMITS_MAX)).await.unwrap();
    let error = hub.ledger.limits_settled(keys(LIMITS_MAX + 1)).await.unwrap_err();
    assert!(matches!(error, LedgerError::TooMany { found, .. } if found == LIMITS_MAX + 1));
    assert_eq!(running(&hub).await, [1, 1, 0]);
}

pub async fn documents_that_came_late_are_listed(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let late = SentLate {
        due: hub.ledger.now(),
        late_by_min: 90,
    };
    hub.accept(hub.document("1")).await;
    for id in ["2", "3"] {
        hub.minutes(10);
        let mut submission = hub.document(id);
        submission.facts.sent_late = Some(late.clone());
        hub.accept(submission).await;
    }
    let since = hub.ledger.now();
    let ids = async |query: SentLateQuery| -> Vec<String> {
        let lines = hub.ledger.sent_late(&query).await.unwrap();
        assert!(lines.iter().all(|line| line.late == late));
        lines.into_iter().map(|line| line.document_id).collect()
    };
    let all = SentLateQuery {
        max: 10,
        ..SentLateQuery::default()
    };
    assert_eq!(ids(all.clone()).await, ["3", "2"]);
    for (party, expected) in [(1, vec!["3", "2"]), (2, vec!["3", "2"]), (3, vec![])] {
        let of = SentLateQuery {
            party: Some(agency(party)),
            ..all.clone()
        };
        assert_eq!(ids(of).await, expected, "{party}");
    }
    let recent = SentLateQuery {
        since: Some(since),
        ..all.clone()
    };
    assert_eq!(ids(recent).await, ["3"]);
    assert_eq!(ids(SentLateQuery { max: 1, ..all }).await, ["3"]);
    hub.sound().await;
}
