//! Claims, confirms, failures, resends, alerts.

use jiff::SignedDuration;
use truc_model::delivery::TransportStateName as State;
use truc_model::wire::Outgoing;
use truc_model::{TransportState, Urgency};

use super::Bench;
use super::kit::{HOUR, Hub, agency, answers, bytes, deliveries, owner, system, to};
use crate::rows::OutboxPlace;
use crate::{
    ClaimRequest, EventKind, FORWARDED_MAX, Fact, Forwarded, HubId, LedgerError, PublishFailed,
    PublishFailure, Resend,
};

fn documents(max: usize, window: u32, urgent_extra: u32) -> ClaimRequest {
    ClaimRequest {
        max,
        window,
        urgent_extra,
        answers_max: 0,
        ..ClaimRequest::usual(owner())
    }
}

async fn many(hub: &Hub, names: std::ops::Range<usize>, urgency: Urgency) {
    for n in names {
        let mut submission = hub.document(&n.to_string());
        submission.facts.urgency = urgency;
        hub.accept(submission).await;
    }
}

pub async fn urgent_first_then_oldest(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    many(&hub, 0..2, Urgency::Normal).await;
    many(&hub, 2..4, Urgency::Express).await;
    many(&hub, 4..5, Urgency::Urgent).await;
    let claimed = hub.ledger.claim(documents(4, 100, 0)).await.unwrap();
    let bodies: Vec<_> = claimed
        .iter()
        .map(|m| String::from_utf8_lossy(&bytes(&m.body)).into_owned())
        .collect();
    assert_eq!(bodies, ["packet 2", "packet 3", "packet 4", "packet 0"]);
    assert_eq!(
        claimed.iter().map(|m| m.priority).collect::<Vec<_>>(),
        [3, 3, 1, 0]
    );
    let rest = hub.ledger.claim(documents(4, 100, 0)).await.unwrap();
    assert_eq!(rest.len(), 1);
    hub.sound().await;
}

pub async fn an_inbox_holds_its_window_and_urgent_ones_a_little_more(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    many(&hub, 0..5, Urgency::Normal).await;
    let mut elsewhere = hub.document("elsewhere");
    elsewhere.recipients = vec![to("H53.7", 7, "vxp")];
    hub.accept(elsewhere).await;
    let claimed = hub.ledger.claim(documents(100, 3, 2)).await.unwrap();
    assert_eq!(deliveries(&claimed, "so").len(), 3);
    assert_eq!(deliveries(&claimed, "vxp").len(), 1);
    assert!(hub.ledger.claim(documents(100, 3, 2)).await.unwrap().is_empty());
    hub.confirm(&claimed).await;
    assert!(hub.ledger.claim(documents(100, 3, 2)).await.unwrap().is_empty());
    many(&hub, 5..8, Urgency::Urgent).await;
    let urgent = hub.ledger.claim(documents(100, 3, 2)).await.unwrap();
    assert_eq!(urgent.len(), 2);
    assert!(urgent.iter().all(|m| m.priority == 1));
    hub.confirm(&urgent).await;
    // Two taken leave room for one urgent one beyond the window; a third for a normal one.
    hub.take("so", &deliveries(&urgent, "so")).await;
    let next = hub.ledger.claim(documents(100, 3, 2)).await.unwrap();
    assert_eq!(next.iter().map(|m| m.priority).collect::<Vec<_>>(), [1]);
    hub.confirm(&next).await;
    hub.take("so", &deliveries(&claimed, "so")[..2]).await;
    let next = hub.ledger.claim(documents(100, 3, 2)).await.unwrap();
    assert_eq!(next.iter().map(|m| m.priority).collect::<Vec<_>>(), [0]);
    let counts = hub.ledger.inbox_counts().await.unwrap();
    let so = counts.iter().find(|count| count.system.as_str() == "so").unwrap();
    assert_eq!((so.scheduled, so.leased, so.forwarded), (1, 1, 2));
    hub.sound().await;
}

pub async fn answers_have_no_window_and_are_done_when_forwarded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    many(&hub, 0..4, Urgency::Normal).await;
    let request = ClaimRequest {
        answers_max: 3,
        window: 0,
        urgent_extra: 0,
        ..ClaimRequest::usual(owner())
    };
    let claimed = hub.ledger.claim(request.clone()).await.unwrap();
    assert_eq!(claimed.len(), 3);
    assert!(
        claimed
            .iter()
            .all(|m| m.outgoing == Outgoing::Receipt && m.priority == 5)
    );
    hub.confirm(&claimed).await;
    // A late or repeated confirm finds nothing and changes nothing.
    hub.confirm(&claimed).await;
    assert_eq!(hub.ledger.claim(request).await.unwrap().len(), 1);
    let counts = hub.ledger.inbox_counts().await.unwrap();
    let xa = counts.iter().find(|count| count.system.as_str() == "xa").unwrap();
    assert_eq!((xa.answers, xa.scheduled, xa.oldest), (1, 0, None));
    hub.sound().await;
}

pub async fn a_claim_ends_at_its_bytes_but_gives_one(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    many(&hub, 0..4, Urgency::Normal).await;
    let size = "packet 0".len() as u64;
    let request = |bytes_max| ClaimRequest {
        bytes_max,
        ..documents(100, 100, 0)
    };
    assert_eq!(hub.ledger.claim(request(2 * size)).await.unwrap().len(), 2);
    assert_eq!(hub.ledger.claim(request(2 * size - 1)).await.unwrap().len(), 1);
    assert_eq!(hub.ledger.claim(request(0)).await.unwrap().len(), 1);
    hub.sound().await;
}

pub async fn a_lease_keeps_others_away_until_it_ends(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(hub.document("1")).await;
    let first = hub.claim().await;
    assert_eq!(first.len(), 2);
    let other = ClaimRequest::usual(HubId::new("hub-2"));
    assert!(hub.ledger.claim(other.clone()).await.unwrap().is_empty());
    hub.clock.advance(119);
    assert!(hub.ledger.claim(other.clone()).await.unwrap().is_empty());
    hub.clock.advance(1);
    let second = hub.ledger.claim(other).await.unwrap();
    assert_eq!(second.len(), 2);
    assert!(second.iter().all(|m| m.attempt == 2));
    assert_eq!(deliveries(&first, "so"), deliveries(&second, "so"));
    // The first owner's confirm comes late and counts all the same.
    hub.confirm(&first).await;
    assert_eq!(hub.states(receipt.document).await, [State::Forwarded]);
    hub.sound().await;
}

pub async fn leases_of_a_former_life_are_released(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    assert_eq!(hub.claim().await.len(), 2);
    assert_eq!(hub.ledger.release_leases(HubId::new("hub-2")).await.unwrap(), 0);
    assert_eq!(hub.ledger.release_leases(owner()).await.unwrap(), 2);
    let again = hub.claim().await;
    assert_eq!(again.len(), 2);
    assert!(again.iter().all(|m| m.attempt == 2));
    hub.sound().await;
}

pub async fn a_confirm_moves_all_recipients_of_the_message(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.3", 3, "so"));
    submission.recipients.push(to("H53.4", 4, "vxp"));
    let receipt = hub.accept(submission).await;
    let claimed = hub.claim().await;
    let so: Vec<_> = claimed
        .iter()
        .filter(|m| m.system.as_str() == "so")
        .cloned()
        .collect();
    hub.minutes(1);
    hub.confirm(&so).await;
    let states = hub.states(receipt.document).await;
    assert_eq!(states, [State::Forwarded, State::Forwarded, State::Scheduled]);
    let at = hub.ledger.now();
    let view = hub.view(receipt.document).await;
    assert_eq!(
        view.recipients[1].state,
        TransportState::Forwarded { at, attempt: 1 }
    );
    assert_eq!(hub.count(EventKind::DeliveryForwarded).await, 1);
    let too_many = vec![
        Forwarded {
            delivery: so[0].delivery,
            at,
            attempt: 1
        };
        FORWARDED_MAX + 1
    ];
    let error = hub.ledger.forwarded(too_many[1..].to_vec()).await;
    assert!(error.is_ok());
    let error = hub.ledger.forwarded(too_many).await.unwrap_err();
    assert!(matches!(error, LedgerError::TooMany { .. }), "{error}");
    hub.sound().await;
}

pub async fn a_second_attempt_counts_and_a_repeated_confirm_does_not(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(hub.document("1")).await;
    let first = hub.claim().await;
    hub.minutes(10);
    let second = hub.claim().await;
    hub.confirm(&first).await;
    hub.confirm(&first).await;
    assert_eq!(hub.count(EventKind::DeliveryForwarded).await, 1);
    hub.confirm(&second).await;
    hub.confirm(&first).await;
    assert_eq!(hub.count(EventKind::DeliveryForwarded).await, 2);
    let view = hub.view(receipt.document).await;
    assert!(matches!(
        view.recipients[0].state,
        TransportState::Forwarded { attempt: 2, .. }
    ));
    hub.sound().await;
}

pub async fn a_failed_publish_waits_for_its_next_try(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    hub.accept(hub.document("1")).await;
    let claimed = hub.claim().await;
    let message = claimed.iter().find(|m| m.outgoing == Outgoing::Document).unwrap();
    let failed = PublishFailed {
        delivery: message.delivery,
        at: hub.ledger.now(),
        failure: PublishFailure::Unroutable,
        next_try: hub.ledger.now() + SignedDuration::from_secs(30),
    };
    hub.ledger.publish_failed(failed.clone()).await.unwrap();
    let Fact::PublishFailed { failure, attempt, .. } = hub.last_event().await.fact else {
        panic!("expected a failure");
    };
    assert_eq!((failure, attempt), (PublishFailure::Unroutable, 1));
    assert!(hub.claim().await.is_empty());
    hub.clock.advance(29);
    assert!(hub.claim().await.is_empty());
    hub.clock.advance(1);
    let again = hub.claim().await;
    assert_eq!((again.len(), again[0].attempt), (1, 2));
    hub.confirm(&again).await;
    // The first attempt's failure, told late, does not undo the second's success.
    hub.ledger.publish_failed(failed).await.unwrap();
    hub.minutes(600);
    assert_eq!(deliveries(&hub.claim().await, "so").len(), 0);
    hub.sound().await;
}

pub async fn a_damaged_body_does_not_leave_and_does_not_hold_up_others(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut damaged = hub.document("1");
    damaged.body = b"other bytes".as_slice().into();
    hub.accept(damaged).await;
    hub.accept(hub.document("2")).await;
    // Bytes at hand go as they came; after this, as when a hub begins, they are read back.
    let owner = documents(10, 10, 0).owner;
    hub.ledger.release_leases(owner).await.unwrap();
    let claimed = hub.ledger.claim(documents(10, 10, 0)).await.unwrap();
    assert_eq!(claimed.len(), 1);
    assert_eq!(&*bytes(&claimed[0].body), b"packet 2");
    let Fact::PublishFailed { failure, .. } = hub.last_event().await.fact else {
        panic!("expected a failure");
    };
    assert_eq!(failure, PublishFailure::BodyDamaged);
    assert!(hub.ledger.claim(documents(10, 10, 0)).await.unwrap().is_empty());
    let report = hub.ledger.verify(&crate::VerifyOptions::default()).await.unwrap();
    assert!(
        matches!(report.findings[..], [crate::Finding::BodyDiffers { .. }]),
        "{report:?}"
    );
}

pub async fn a_resend_schedules_again_what_is_open(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.7", 7, "vxp"));
    let receipt = hub.accept(submission).await;
    let claimed = hub.forward_all().await;
    hub.take("vxp", &deliveries(&claimed, "vxp")).await;
    hub.minutes(5);
    let order = Resend {
        document: receipt.document,
        party: None,
        who: "van-hanh".to_owned(),
        why: "x".repeat(Resend::WHY_MAX + 1),
    };
    let outcome = hub.ledger.resend(order.clone()).await.unwrap();
    assert_eq!(outcome.resent, deliveries(&claimed, "so"));
    assert_eq!(outcome.left, [(agency(7), State::Taken)]);
    assert_eq!(
        hub.states(receipt.document).await,
        [State::Scheduled, State::Taken]
    );
    let Fact::DeliveryResent { why, .. } = hub.last_event().await.fact else {
        panic!("expected a resend");
    };
    assert_eq!(why.chars().count(), Resend::WHY_MAX);
    let again = hub.forward_all().await;
    assert_eq!(deliveries(&again, "so"), deliveries(&claimed, "so"));
    assert_eq!(again[0].attempt, 2);
    let only = Resend {
        party: Some(agency(7)),
        ..order.clone()
    };
    assert_eq!(hub.ledger.resend(only).await.unwrap().resent, []);
    let unknown = Resend {
        document: truc_model::DocumentUid::new(hub.new_message_id().uuid()),
        ..order
    };
    let error = hub.ledger.resend(unknown).await.unwrap_err();
    assert!(matches!(error, LedgerError::UnknownDocument), "{error}");
    hub.sound().await;
}

pub async fn an_alert_is_raised_once_for_each_forwarding(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.3", 3, "so"));
    let receipt = hub.accept(submission).await;
    let claimed = hub.forward_all().await;
    hub.minutes(60);
    assert_eq!(hub.ledger.not_taken_alerts(HOUR).await.unwrap(), []);
    assert_eq!(hub.ledger.late_untaken(HOUR).await.unwrap(), []);
    hub.clock.advance(1);
    let late = hub.ledger.not_taken_alerts(HOUR).await.unwrap();
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].document, Some(receipt.document));
    assert_eq!(vec![late[0].delivery], deliveries(&claimed, "so"));
    assert_eq!(hub.ledger.not_taken_alerts(HOUR).await.unwrap(), []);
    assert_eq!(hub.ledger.late_untaken(HOUR).await.unwrap(), late);
    let told = hub.answers("xa").await;
    assert_eq!(
        told.iter()
            .filter(|(_, json)| json["code"] == "not-taken")
            .count(),
        2
    );
    assert_eq!(
        hub.states(receipt.document).await,
        [State::Forwarded, State::Forwarded]
    );
    // Sent again, it can be late again.
    let order = Resend {
        document: receipt.document,
        party: None,
        who: String::new(),
        why: String::new(),
    };
    hub.ledger.resend(order).await.unwrap();
    hub.forward_all().await;
    hub.minutes(61);
    assert_eq!(hub.ledger.not_taken_alerts(HOUR).await.unwrap().len(), 1);
    assert_eq!(hub.count(EventKind::DeliveryNotTaken).await, 2);
    hub.sound().await;
}

pub async fn what_lay_in_a_lost_inbox_goes_again(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut submission = hub.document("1");
    submission.recipients.push(to("H53.7", 7, "vxp"));
    let receipt = hub.accept(submission).await;
    hub.accept(hub.document("2")).await;
    let claimed = hub.forward_all().await;
    let [first, second] = deliveries(&claimed, "so")[..] else {
        panic!("expected two deliveries");
    };
    hub.take("so", &[second]).await;
    // A status on its way to the sender lies in an inbox, too.
    hub.record(hub.status("01", "1")).await;
    let status = deliveries(&hub.forward_all().await, "xa");
    assert_eq!(
        hub.ledger.inbox_lost(system("so")).await.unwrap(),
        0,
        "taken by its status"
    );
    assert_eq!(hub.ledger.inbox_lost(system("vxp")).await.unwrap(), 1);
    assert_eq!(
        hub.states(receipt.document).await,
        [State::Taken, State::Scheduled]
    );
    assert_eq!(hub.ledger.inbox_lost(system("xa")).await.unwrap(), 1);
    assert_eq!(hub.ledger.inbox_lost(system("xa")).await.unwrap(), 0);
    let again = hub.forward_all().await;
    assert_eq!(deliveries(&again, "vxp"), deliveries(&claimed, "vxp"));
    assert_eq!(deliveries(&again, "xa"), status);
    assert_eq!(deliveries(&again, "so"), [], "{first} and {second} are taken");
    assert_eq!(hub.count(EventKind::DeliveryResent).await, 2);
    hub.sound().await;
}

pub async fn the_bell_rings_when_something_can_be_forwarded(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let mut bell = hub.ledger.wake();
    bell.mark_unchanged();
    hub.accept(hub.document("1")).await;
    assert!(bell.has_changed().unwrap());
    bell.mark_unchanged();
    let claimed = hub.claim().await;
    assert!(!bell.has_changed().unwrap());
    let document: Vec<_> = claimed
        .into_iter()
        .filter(|m| m.outgoing.awaits_taken())
        .collect();
    hub.confirm(&document).await;
    assert!(!bell.has_changed().unwrap());
    // Taken makes room in the window.
    hub.take("so", &deliveries(&document, "so")).await;
    assert!(bell.has_changed().unwrap());
    bell.mark_unchanged();
    hub.ledger.release_leases(owner()).await.unwrap();
    assert!(bell.has_changed().unwrap());
    let waiting = hub.claim().await;
    assert_eq!(answers(&waiting, "xa").len(), 1);
    let view = hub.view(waiting[0].document.unwrap()).await;
    assert!(matches!(view.outbox[0].place, OutboxPlace::Leased { .. }));
    hub.sound().await;
}
