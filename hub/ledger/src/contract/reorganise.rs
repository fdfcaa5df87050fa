//! Reorganisations: what waits follows, what is out stays, nobody gets anything twice.

use truc_model::delivery::TransportStateName::{
    Forwarded, Parked, Scheduled, Taken, Undeliverable, Withdrawn,
};
use truc_model::wire::Outgoing;
use truc_model::{DocumentUid, ParkCause, Sha256, TransportState, UndeliverableCause, WithdrawCause};

use super::Bench;
use super::kit::{Hub, agency, answers, deliveries, system, to};
use crate::{
    AtHome, DirectorySummary, EventKind, Fact, LedgerError, NewDirectory, PartyMove, Plan, PlannedRecipient,
    ReorganisationTold, Reorganise, Reorganised,
};

const DAY: jiff::civil::Date = jiff::civil::date(2025, 7, 1);

/// What waits for an agency by a system goes there instead.
fn moving(number: u32, name: &str, to: PlannedRecipient) -> PartyMove {
    PartyMove {
        party: agency(number),
        system: system(name),
        to,
    }
}

fn version(expected_version: u64) -> NewDirectory {
    NewDirectory {
        expected_version,
        version: expected_version + 1,
        json: format!("{{\"version\":{}}}", expected_version + 1),
        who: "van-hanh".to_owned(),
        summary: DirectorySummary::default(),
    }
}

fn order(directory: Option<NewDirectory>, moves: Vec<PartyMove>) -> Reorganise {
    let told = ReorganisationTold {
        on: DAY,
        file: Sha256::of(b"file"),
        decision: Some("NQ 202/2025/QH15".to_owned()),
        rows: 3,
        due: true,
    };
    Reorganise {
        told: directory.iter().map(|_| told.clone()).collect(),
        directory,
        moves,
        who: "van-hanh".to_owned(),
        why: "NQ 202/2025/QH15".to_owned(),
    }
}

/// A document for these agencies: number and system; the code follows from the number.
async fn for_agencies(hub: &Hub, id: &str, agencies: &[(u32, &str)]) -> DocumentUid {
    let mut document = hub.document(id);
    let named = agencies
        .iter()
        .map(|(number, name)| to(&format!("H60.{number}"), *number, name));
    document.recipients = named.collect();
    hub.accept(document).await.document
}

pub async fn what_waits_follows_and_what_is_out_stays(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let out = for_agencies(&hub, "out", &[(2, "so")]).await;
    let sent = hub.forward_all().await;
    let uid = for_agencies(&hub, "home", &[(2, "so"), (3, "so"), (4, "xb"), (5, "so")]).await;
    assert_eq!(
        hub.ledger.at_home().await.unwrap(),
        [(2, "so", 1, 1), (3, "so", 1, 0), (4, "xb", 1, 0), (5, "so", 1, 0),].map(
            |(number, name, at_home, out)| AtHome {
                party: agency(number),
                system: system(name),
                at_home,
                out,
            }
        )
    );
    let before = hub.view(uid).await.recipients;
    // 2 was merged into 9, which `xb` serves; 5 only has another system; 4 is told and stays as it is.
    let moves = vec![
        moving(2, "so", to("H60.9", 9, "xb")),
        moving(5, "so", to("H60.5", 5, "xc")),
        moving(4, "so", to("H60.9", 9, "xb")),
    ];
    let counts = hub
        .ledger
        .reorganise(order(Some(version(0)), moves))
        .await
        .unwrap();
    assert_eq!(
        counts,
        Reorganised {
            moved: 2,
            left: 1,
            ..Reorganised::default()
        }
    );
    hub.sound().await;
    let after = hub.view(uid).await.recipients;
    let ways: Vec<_> = after
        .iter()
        .map(|row| {
            (
                row.party.clone(),
                row.system.clone().unwrap(),
                row.codes.join(" "),
            )
        })
        .collect();
    assert_eq!(
        ways,
        [
            (agency(9), system("xb"), "H60.9 H60.2".to_owned()),
            (agency(3), system("so"), "H60.3".to_owned()),
            (agency(4), system("xb"), "H60.4".to_owned()),
            (agency(5), system("xc"), "H60.5".to_owned()),
        ]
    );
    // It joins the message that waits for that system; the others keep theirs.
    assert_eq!(after[0].delivery, before[2].delivery);
    assert_eq!(after[2].delivery, before[2].delivery);
    assert_eq!(after[1].delivery, before[1].delivery);
    assert_ne!(after[3].delivery, before[3].delivery);
    assert_eq!(hub.states(uid).await, [Scheduled; 4]);
    let stays = &hub.view(out).await.recipients[0];
    assert_eq!(
        (&stays.party, stays.system.clone()),
        (&agency(2), Some(system("so")))
    );
    assert_eq!(hub.count(EventKind::DeliveryRerouted).await, 2);
    let Fact::DirectoryReorganised {
        version: told,
        on,
        recipients,
        who,
        rows,
        ..
    } = hub.last_event().await.fact
    else {
        panic!("expected a reorganisation");
    };
    assert_eq!((told, on, recipients, rows), (1, DAY, counts, 3));
    assert_eq!(who, "van-hanh");
    assert_eq!(hub.ledger.latest_directory().await.unwrap().unwrap().0, 1);

    // Each gets it once, by the code its system knows.
    let again = hub.forward_all().await;
    let told: Vec<_> = again
        .iter()
        .filter(|message| message.outgoing == Outgoing::Document)
        .map(|message| (message.system.to_string(), message.to.join(" ")))
        .collect();
    let mut told = told;
    told.sort();
    assert_eq!(
        told,
        [("so", "H60.3"), ("xb", "H60.9 H60.4"), ("xc", "H60.5")]
            .map(|(name, codes)| (name.to_owned(), codes.to_owned()))
    );
    let notices = answers(&again, "xa");
    let told: Vec<_> = notices
        .iter()
        .filter(|(_, json)| json["code"] == "successor-used")
        .map(|(_, json)| (json["recipient"].clone(), json["cause"].clone()))
        .collect();
    assert_eq!(told, [("H60.2".into(), "H60.9".into())]);
    for name in ["so", "xb", "xc"] {
        hub.take(name, &deliveries(&again, name)).await;
    }
    hub.take("so", &deliveries(&sent, "so")).await;
    assert_eq!(hub.states(uid).await, [Taken; 4]);
    assert_eq!(hub.states(out).await, [Taken]);

    // Statuses of the successor find both: what was moved to it, and what its predecessor had taken.
    for (id, code) in [("home", "H60.2"), ("out", "H60.9")] {
        let mut status = hub.status("03", id);
        status.key = hub.key("xb");
        status.reporter = agency(9);
        status.reporter_formerly = vec![agency(2)];
        status.reporter_code = code.to_owned();
        let receipt = hub.record(status).await;
        assert_eq!(receipt.effect, "moved", "{id}");
    }
    hub.sound().await;
}

pub async fn a_successor_that_is_a_recipient_gets_it_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    // Old and new side by side; two that become one third; and one whose successor has it already.
    let beside = for_agencies(&hub, "1", &[(2, "so"), (9, "xb")]).await;
    let both = for_agencies(&hub, "2", &[(2, "so"), (3, "so")]).await;
    let had = for_agencies(&hub, "3", &[(9, "xb")]).await;
    let sent = hub.forward_all().await;
    hub.take("xb", &deliveries(&sent, "xb")).await;
    let late = for_agencies(&hub, "4", &[(2, "so"), (9, "xb")]).await;
    let pair = for_agencies(&hub, "5", &[(2, "so"), (3, "so")]).await;
    let moves = vec![
        moving(2, "so", to("H60.9", 9, "xb")),
        moving(3, "so", to("H60.9", 9, "xb")),
    ];
    let counts = hub
        .ledger
        .reorganise(order(Some(version(0)), moves.clone()))
        .await
        .unwrap();
    assert_eq!(
        counts,
        Reorganised {
            moved: 1,
            merged: 2,
            left: 3,
            ..Reorganised::default()
        }
    );
    hub.sound().await;
    assert_eq!(hub.states(beside).await, [Forwarded, Taken]);
    assert_eq!(hub.states(both).await, [Forwarded, Forwarded]);
    assert_eq!(hub.states(had).await, [Taken]);
    assert_eq!(hub.states(late).await, [Withdrawn, Scheduled]);
    assert_eq!(hub.states(pair).await, [Scheduled, Withdrawn]);
    let rows = hub.view(late).await.recipients;
    assert!(matches!(
        rows[0].state,
        TransportState::Withdrawn {
            cause: WithdrawCause::Merged,
            ..
        }
    ));
    assert_eq!(rows[1].codes, ["H60.9", "H60.2"]);
    assert_eq!(
        hub.view(pair).await.recipients[0].codes,
        ["H60.9", "H60.2", "H60.3"]
    );
    let sent = hub.forward_all().await;
    for uid in [late, pair] {
        let messages = sent
            .iter()
            .filter(|message| message.outgoing == Outgoing::Document && message.document == Some(uid));
        assert_eq!(messages.count(), 1);
    }
    // Once more, and nothing is left to do.
    let none = hub.ledger.reorganise(order(None, moves)).await.unwrap();
    assert_eq!((none.moved, none.merged, none.left), (0, 0, 3));
    hub.take("xb", &deliveries(&sent, "xb")).await;
    // A status under the old code speaks of the one that has it.
    let mut status = hub.status("01", "5");
    status.key = hub.key("xb");
    status.reporter = agency(9);
    status.reporter_formerly = vec![agency(2), agency(3)];
    status.reporter_code = "H60.3".to_owned();
    assert_eq!(hub.record(status).await.recipient, agency(9));
    hub.sound().await;
}

pub async fn a_split_is_held_and_an_end_is_told(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_agencies(&hub, "1", &[(2, "so"), (3, "so"), (4, "so")]).await;
    let split = PlannedRecipient {
        successors: vec!["H60.101".to_owned(), "H60.102".to_owned()],
        ..PlannedRecipient::new(
            "H60.2".to_owned(),
            agency(2),
            Plan::Park(ParkCause::AmbiguousSuccessor),
        )
    };
    let ended = PlannedRecipient::new(
        "H60.3".to_owned(),
        agency(3),
        Plan::Undeliverable(UndeliverableCause::ClosedCode),
    );
    let moves = vec![moving(2, "so", split), moving(3, "so", ended)];
    let counts = hub.ledger.reorganise(order(None, moves)).await.unwrap();
    assert_eq!(
        counts,
        Reorganised {
            parked: 1,
            undeliverable: 1,
            ..Reorganised::default()
        }
    );
    assert_eq!(hub.states(uid).await, [Parked, Undeliverable, Scheduled]);
    hub.sound().await;
    let sent = hub.forward_all().await;
    let documents = sent
        .iter()
        .filter(|message| message.outgoing == Outgoing::Document);
    let told: Vec<_> = documents.map(|message| message.to.join(" ")).collect();
    assert_eq!(told, ["H60.4"]);
    let notices = answers(&sent, "xa");
    let parked = notices.iter().find(|(_, json)| json["code"] == "parked").unwrap();
    assert_eq!(parked.1["cause"], "ambiguous-successor");
    let message = parked.1["message"]["vi"].as_str().unwrap();
    assert!(message.contains("H60.101, H60.102"), "{message}");
    let ended = notices
        .iter()
        .find(|(_, json)| json["code"] == "recipient-undeliverable")
        .unwrap();
    assert_eq!(ended.1["cause"], "closed-code");
    // A message all of whose recipients are gone is not sent.
    let alone = for_agencies(&hub, "2", &[(3, "so")]).await;
    let ended = PlannedRecipient::new(
        "H60.3".to_owned(),
        agency(3),
        Plan::Undeliverable(UndeliverableCause::ClosedCode),
    );
    hub.ledger
        .reorganise(order(None, vec![moving(3, "so", ended)]))
        .await
        .unwrap();
    let sent = hub.forward_all().await;
    assert!(
        sent.iter()
            .all(|message| message.document != Some(alone) || message.outgoing != Outgoing::Document)
    );
    hub.sound().await;
}

pub async fn a_reorganisation_is_carried_out_once(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_agencies(&hub, "1", &[(2, "so")]).await;
    let moves = || vec![moving(2, "so", to("H60.9", 9, "xb"))];
    // Two hubs come upon it at once.
    let (one, two) = tokio::join!(
        hub.ledger.reorganise(order(Some(version(0)), moves())),
        hub.ledger.reorganise(order(Some(version(0)), moves())),
    );
    let refused = [&one, &two]
        .into_iter()
        .filter(|outcome| outcome.is_err())
        .count();
    assert_eq!(refused, 1, "{one:?} {two:?}");
    let error = one.and(two).unwrap_err();
    assert!(matches!(error, LedgerError::DirectoryMoved { .. }), "{error:?}");
    assert_eq!(hub.count(EventKind::DirectoryReorganised).await, 1);
    assert_eq!(hub.count(EventKind::DeliveryRerouted).await, 1);
    assert_eq!(hub.view(uid).await.recipients[0].party, agency(9));
    hub.sound().await;

    // One to come is an event, and moves nothing.
    let planned = Reorganise {
        told: vec![ReorganisationTold {
            on: DAY,
            file: Sha256::of(b"next"),
            decision: None,
            rows: 1,
            due: false,
        }],
        ..order(Some(version(1)), vec![])
    };
    hub.ledger.reorganise(planned).await.unwrap();
    assert_eq!(hub.count(EventKind::ReorganisationPlanned).await, 1);
    hub.sound().await;
}
