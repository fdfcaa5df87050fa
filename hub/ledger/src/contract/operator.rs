//! An operator's orders.

use truc_model::delivery::TransportStateName::{Forwarded, Parked, Scheduled, Taken, Undeliverable};
use truc_model::wire::Outgoing;
use truc_model::{DocumentUid, ParkCause, StatusCode, TransportState, UndeliverableCause};

use super::Bench;
use super::kit::{Hub, agency, deliveries, system, to};
use crate::{
    EventKind, Fact, LedgerError, OperatorAction, OperatorNo, OperatorOrder, OperatorOutcome, OperatorTarget,
    Plan, PlannedRecipient, SubmitOutcome,
};

const RELEASE: OperatorAction = OperatorAction::Release { authorised: false };

fn order_of(document: DocumentUid, action: OperatorAction, recipients: Vec<OperatorTarget>) -> OperatorOrder {
    OperatorOrder {
        document,
        action,
        recipients,
        who: "van-hanh".to_owned(),
        why: "theo công văn 12".to_owned(),
    }
}

fn at(position: u32) -> OperatorTarget {
    OperatorTarget { position, to: None }
}

fn at_to(position: u32, code: &str, number: u32, name: &str) -> OperatorTarget {
    OperatorTarget {
        position,
        to: Some(to(code, number, name)),
    }
}

async fn order(
    hub: &Hub,
    document: DocumentUid,
    action: OperatorAction,
    recipients: Vec<OperatorTarget>,
) -> OperatorOutcome {
    let order = order_of(document, action, recipients);
    hub.ledger.operator(order).await.unwrap()
}

/// A document for agencies 2 and 3 on `so` and 4 on `xb`.
async fn for_three(hub: &Hub) -> DocumentUid {
    let mut document = hub.document("1");
    document.recipients = vec![
        to("000.00.12.H53", 2, "so"),
        to("000.00.13.H53", 3, "so"),
        to("000.00.14.H53", 4, "xb"),
    ];
    hub.accept(document).await.document
}

pub async fn what_was_never_sent_is_held_and_let_go(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_three(&hub).await;
    let shared = hub.view(uid).await.recipients[0].delivery.unwrap();
    let outcome = order(&hub, uid, OperatorAction::Park, vec![at(0), at(2), at(0), at(9)]).await;
    assert_eq!(outcome.left, [(9, OperatorNo::NoRecipient)]);
    let done = outcome
        .done
        .iter()
        .map(|done| (done.position, done.before, done.after));
    assert_eq!(
        done.collect::<Vec<_>>(),
        [(0, Scheduled, Parked), (2, Scheduled, Parked)]
    );
    assert_eq!(hub.states(uid).await, [Parked, Scheduled, Parked]);
    let Fact::DeliveryParked {
        recipients, who, why, ..
    } = parked_event(&hub, uid).await
    else {
        panic!("expected the event of a park");
    };
    assert_eq!(
        (recipients, who.as_str(), why.as_str()),
        (vec![0, 2], "van-hanh", "theo công văn 12")
    );
    hub.sound().await;

    // The message goes without the one that is held, and `xb` gets nothing.
    let sent = hub.forward_all().await;
    let documents: Vec<_> = sent.iter().filter(|m| m.outgoing == Outgoing::Document).collect();
    assert_eq!(documents.len(), 1);
    assert_eq!(
        (documents[0].delivery, &documents[0].to[..]),
        (shared, &["000.00.13.H53".to_owned()][..])
    );
    let notices = super::kit::answers(&sent, "xa");
    let parked = notices
        .iter()
        .filter(|(_, json)| json["code"] == "parked" && json["cause"] == "operator");
    assert_eq!(parked.count(), 2);
    hub.take("so", &[shared]).await;
    assert_eq!(hub.states(uid).await, [Parked, Taken, Parked]);

    // Let go, they travel in messages of their own: an adapter would take the old id for one it has.
    let outcome = order(&hub, uid, RELEASE, vec![at(0), at(1), at(2)]).await;
    assert_eq!(outcome.left, [(1, OperatorNo::Ended(Taken))]);
    assert!(outcome.done.iter().all(|done| done.delivery != Some(shared)));
    assert_eq!(hub.states(uid).await, [Scheduled, Taken, Scheduled]);
    hub.sound().await;
    let sent = hub.forward_all().await;
    assert_eq!(
        sent.iter().filter(|m| m.outgoing == Outgoing::Document).count(),
        2
    );
    hub.take("so", &deliveries(&sent, "so")).await;
    hub.take("xb", &deliveries(&sent, "xb")).await;
    assert_eq!(hub.states(uid).await, [Taken, Taken, Taken]);
    hub.sound().await;
}

async fn parked_event(hub: &Hub, uid: DocumentUid) -> Fact {
    let trace = hub.view(uid).await.trace;
    let row = trace
        .iter()
        .find(|row| row.kind == EventKind::DeliveryParked)
        .unwrap();
    row.event().unwrap().fact
}

pub async fn what_may_be_out_is_not_held_nor_rerouted(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_three(&hub).await;
    // In hand of a hub: whether it reaches the inbox is open.
    let claimed = hub.claim().await;
    for action in [OperatorAction::Park, OperatorAction::Reroute] {
        let outcome = order(&hub, uid, action, vec![at_to(0, "000.00.19.H53", 9, "xc")]).await;
        assert_eq!(outcome.left, [(0, OperatorNo::MayBeOut)], "{action:?}");
    }
    hub.confirm(&claimed).await;
    for action in [OperatorAction::Park, OperatorAction::Reroute] {
        let outcome = order(&hub, uid, action, vec![at_to(0, "000.00.19.H53", 9, "xc")]).await;
        assert_eq!(outcome.left, [(0, OperatorNo::MayBeOut)], "{action:?}");
    }
    let outcome = order(&hub, uid, RELEASE, vec![at(0)]).await;
    assert_eq!(outcome.left, [(0, OperatorNo::NotHeld(Forwarded))]);
    assert_eq!(hub.count(EventKind::DeliveryParked).await, 0);
    hub.sound().await;
}

pub async fn a_reroute_goes_to_the_new_one_alone(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_three(&hub).await;
    let shared = hub.view(uid).await.recipients[0].delivery.unwrap();
    let no = order(
        &hub,
        uid,
        OperatorAction::Reroute,
        vec![at(0), at_to(1, "000.00.14.H53", 4, "xb")],
    )
    .await;
    assert_eq!(
        no.left,
        [(0, OperatorNo::SameWay), (1, OperatorNo::AlreadyRecipient)]
    );
    let nowhere = OperatorTarget {
        position: 0,
        to: Some(PlannedRecipient {
            plan: Plan::Undeliverable(UndeliverableCause::NoSystem),
            ..to("000.00.19.H53", 9, "xc")
        }),
    };
    let no = order(&hub, uid, OperatorAction::Reroute, vec![nowhere]).await;
    assert_eq!(no.left, [(0, OperatorNo::NoSystem)]);
    assert_eq!(hub.count(EventKind::DeliveryRerouted).await, 0);

    let outcome = order(
        &hub,
        uid,
        OperatorAction::Reroute,
        vec![
            at_to(0, "000.00.19.H53", 9, "xc"),
            at_to(1, "000.00.19.H53", 9, "xc"),
        ],
    )
    .await;
    // One agency cannot become two recipients.
    assert_eq!(outcome.left, [(1, OperatorNo::AlreadyRecipient)]);
    assert_eq!(outcome.done.len(), 1);
    let row = &hub.view(uid).await.recipients[0];
    assert_eq!(
        (row.party.clone(), row.system.clone()),
        (agency(9), Some(system("xc")))
    );
    assert_eq!(row.codes, ["000.00.19.H53", "000.00.12.H53"]);
    hub.sound().await;

    let sent = hub.forward_all().await;
    let to_so = sent.iter().find(|m| m.system == system("so")).unwrap();
    assert_eq!(
        (to_so.delivery, &to_so.to[..]),
        (shared, &["000.00.13.H53".to_owned()][..])
    );
    let to_xc = sent.iter().find(|m| m.system == system("xc")).unwrap();
    assert_eq!(to_xc.to, ["000.00.19.H53"]);
    let told = super::kit::answers(&sent, "xa");
    let told = told
        .iter()
        .find(|(_, json)| json["code"] == "successor-used")
        .unwrap();
    assert_eq!(told.1["recipient"], "000.00.12.H53");
    // Nobody else may take it, and the new one's status finds the document.
    assert_eq!(hub.take("so", &[to_xc.delivery]).await.unknown, [to_xc.delivery]);
    hub.take("xc", &[to_xc.delivery]).await;
    let mut status = hub.status("01", "1");
    status.key = hub.key("xc");
    status.reporter = agency(9);
    status.code = StatusCode::from_digits("01").unwrap();
    let accepted = hub.ledger.submit_status(status).await.unwrap();
    assert!(matches!(accepted, SubmitOutcome::Accepted(_)), "{accepted:?}");
    hub.sound().await;
}

pub async fn a_held_document_is_released_by_whoever_may(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut secret = hub.document("secret");
    secret.park = Some(ParkCause::SecretMarking);
    let secret = hub.accept(secret).await.document;
    let planned = hub.view(secret).await.recipients[0].delivery;
    assert!(planned.is_some());
    let no = order(&hub, secret, RELEASE, vec![at(0)]).await;
    assert_eq!(no.left, [(0, OperatorNo::SecretMarking)]);
    let no = order(&hub, secret, OperatorAction::Park, vec![at(0)]).await;
    assert_eq!(no.left, [(0, OperatorNo::Held(ParkCause::SecretMarking))]);
    let authorised = OperatorAction::Release { authorised: true };
    let outcome = order(&hub, secret, authorised, vec![at(0)]).await;
    // The id of its receipt: it never left.
    assert_eq!(outcome.done[0].delivery, planned);
    let fact = hub.last_event().await.fact;
    assert!(
        matches!(fact, Fact::DeliveryReleased { authorised: true, .. }),
        "{fact:?}"
    );
    assert!(!hub.view(secret).await.document.held);

    let mut split = hub.document("split");
    split.recipients[0].plan = Plan::Park(ParkCause::AmbiguousSuccessor);
    let split = hub.accept(split).await.document;
    let no = order(&hub, split, RELEASE, vec![at(0)]).await;
    assert_eq!(no.left, [(0, OperatorNo::NoSuccessorNamed)]);
    let outcome = order(&hub, split, RELEASE, vec![at_to(0, "000.00.19.H53", 9, "xc")]).await;
    assert_eq!(outcome.done.len(), 1);

    let first = hub.document("twice");
    hub.accept(first.clone()).await;
    let rival = hub.accept(hub.rival(&first)).await.document;
    assert!(hub.view(rival).await.document.held);
    order(&hub, rival, RELEASE, vec![at(0)]).await;
    assert!(!hub.view(rival).await.document.held);
    hub.sound().await;
    let sent = hub.forward_all().await;
    assert_eq!(
        sent.iter().filter(|m| m.outgoing == Outgoing::Document).count(),
        4
    );
    for name in ["so", "xc"] {
        hub.take(name, &deliveries(&sent, name)).await;
    }
    for uid in [secret, split, rival] {
        assert_eq!(hub.states(uid).await, [Taken]);
    }
    hub.sound().await;
}

pub async fn what_is_closed_is_closed_for_good(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let uid = for_three(&hub).await;
    // Scheduled, of a message that another recipient needs.
    let outcome = order(&hub, uid, OperatorAction::Close, vec![at(0)]).await;
    assert_eq!(
        (outcome.done[0].before, outcome.done[0].after),
        (Scheduled, Undeliverable)
    );
    let sent = hub.forward_all().await;
    let to_so = deliveries(&sent, "so");
    let codes = sent.iter().find(|m| m.delivery == to_so[0]).unwrap();
    assert_eq!(codes.to, ["000.00.13.H53"]);
    let told = super::kit::answers(&sent, "xa");
    assert!(told.iter().any(|(_, json)| json["cause"] == "closed-by-operator"));
    // Forwarded: it may still be read, the ledger has ended with it.
    order(&hub, uid, OperatorAction::Close, vec![at(2)]).await;
    let row = &hub.view(uid).await.recipients[2];
    let cause = UndeliverableCause::ClosedByOperator;
    assert!(matches!(row.state, TransportState::Undeliverable { cause: c, .. } if c == cause));
    let late = hub.take("xb", &deliveries(&sent, "xb")).await;
    assert_eq!(late.contradicted, deliveries(&sent, "xb"));
    hub.take("so", &to_so).await;
    assert_eq!(hub.states(uid).await, [Undeliverable, Taken, Undeliverable]);
    for action in [
        OperatorAction::Park,
        RELEASE,
        OperatorAction::Reroute,
        OperatorAction::Close,
    ] {
        let no = order(&hub, uid, action, vec![at(0), at(1)]).await;
        assert_eq!(no.done, []);
        let why = [
            (0, OperatorNo::Ended(Undeliverable)),
            (1, OperatorNo::Ended(Taken)),
        ];
        assert_eq!(no.left, why, "{action:?}");
    }
    hub.sound().await;
    // Everything ended: once the answers are out, nothing waits in the outbox.
    hub.forward_all().await;
    assert_eq!(hub.view(uid).await.outbox, []);

    let mut parked = hub.document("parked");
    parked.park = Some(ParkCause::IdentityConflict);
    let parked = hub.accept(parked).await.document;
    order(&hub, parked, OperatorAction::Close, vec![at(0)]).await;
    assert!(!hub.view(parked).await.document.held);
    let unknown = order_of(DocumentUid::new(uid.uuid()), OperatorAction::Close, vec![]);
    assert!(hub.ledger.operator(unknown).await.is_ok());
    let unknown = order_of(
        "01890000-0000-7000-8000-000000000001".parse().unwrap(),
        OperatorAction::Close,
        vec![at(0)],
    );
    let error = hub.ledger.operator(unknown).await.unwrap_err();
    assert!(matches!(error, LedgerError::UnknownDocument));
    hub.sound().await;
}

pub async fn what_waits_for_too_long_is_listed(bench: &dyn Bench) {
    use super::kit::HOUR;

    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    hub.accept(hub.document("2")).await;
    let first = hub.claim().await;
    hub.confirm(&first[..first.len() - 1]).await;
    hub.minutes(60);
    assert_eq!(hub.ledger.stuck(HOUR).await.unwrap(), []);
    hub.clock.advance(1);
    hub.accept(hub.document("3")).await;
    // One lies in the inbox, one is young; the lease of the third has run out, and its receipt is no document.
    let stuck = hub.ledger.stuck(HOUR).await.unwrap();
    let stuck: Vec<_> = stuck.iter().map(|row| row.delivery).collect();
    assert_eq!(stuck, [first.last().unwrap().delivery]);
    hub.clock.advance(3600);
    assert_eq!(hub.ledger.stuck(HOUR).await.unwrap().len(), 1);
    hub.clock.advance(1);
    assert_eq!(hub.ledger.stuck(HOUR).await.unwrap().len(), 2);
    hub.sound().await;
}
