//! One document for very many: each recipient keeps its own state, whoever's word comes when.

use std::pin::Pin;
use std::task::Poll;

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::Outgoing;
use truc_model::{DeliveryUid, TransportState};

use super::Bench;
use super::kit::{Hub, answers, deliveries, system, to};
use crate::{Claimed, DocumentSubmission, EventKind, PublishFailed, PublishFailure, Resend};

/// Systems that receive; each for two agencies.
const SYSTEMS: u32 = 40;

/// Recipient `n` and the next are served by system `n / 2`. Agency 2 is the first, so that statuses of the kit fit.
fn broadcast(hub: &Hub, id: &str) -> DocumentSubmission {
    let mut submission = hub.document(id);
    submission.recipients = (0..2 * SYSTEMS)
        .map(|n| to(&format!("000.{n:02}.12.H53"), n + 2, &name(n / 2)))
        .collect();
    submission
}

fn name(number: u32) -> String {
    format!("xa-{number:02}")
}

fn documents(claimed: &[Claimed]) -> Vec<Claimed> {
    let of = claimed
        .iter()
        .filter(|message| message.outgoing == Outgoing::Document);
    of.cloned().collect()
}

fn count(states: &[State], state: State) -> usize {
    states.iter().filter(|of| **of == state).count()
}

pub async fn each_recipient_of_a_broadcast_stands_for_itself(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(broadcast(&hub, "1")).await;
    assert_eq!(receipt.recipients.len(), 2 * SYSTEMS as usize, "one line each");
    let claimed = documents(&hub.claim().await);
    assert_eq!(claimed.len(), SYSTEMS as usize, "one message for each system");
    hub.minutes(1);

    // Confirms come in parts, and beside them words about other messages of the same document: in one batch or in
    // several, none of them changes what the others are about.
    let (first, rest) = claimed.split_at(11);
    let (of_first, taken_early) = (deliveries(first, &name(0)), deliveries(rest, &name(11)));
    let failed = PublishFailed {
        delivery: rest[1].delivery,
        at: hub.ledger.now(),
        failure: PublishFailure::Nacked,
        next_try: hub.ledger.now(),
    };
    let early_name = name(11);
    let ((), early, failing) = tokio::join!(
        hub.confirm(first),
        hub.take(&early_name, &taken_early),
        hub.ledger.publish_failed(failed),
    );
    failing.unwrap();
    assert_eq!(early.taken, taken_early);
    let states = hub.states(receipt.document).await;
    assert_eq!(count(&states, State::Forwarded), 22);
    assert_eq!(count(&states, State::Taken), 2);
    assert_eq!(count(&states, State::Scheduled), 2 * SYSTEMS as usize - 24);

    // The status of one agency implies that it has it, and speaks for it alone.
    let mut status = hub.status("01", "1");
    status.key = hub.key(&name(0));
    let (reported, ()) = tokio::join!(hub.record(status), hub.confirm(&rest[2..]));
    assert_eq!(reported.effect, "moved");
    assert_eq!(
        hub.states(receipt.document).await[..2],
        [State::Taken, State::Forwarded]
    );

    // Everybody at once; one declines, one says it twice, one speaks of what is not its own.
    let names: Vec<String> = (0..SYSTEMS).map(name).collect();
    let all: Vec<(&String, Vec<DeliveryUid>)> = names
        .iter()
        .map(|name| (name, deliveries(&claimed, name)))
        .collect();
    let outcomes = together(all.iter().map(async |(name, mine)| match name.as_str() {
        "xa-07" => hub.decline(name, mine).await,
        _ => hub.take(name, mine).await,
    }))
    .await;
    let taken: usize = outcomes.iter().map(|outcome| outcome.taken.len()).sum();
    let repeated: usize = outcomes.iter().map(|outcome| outcome.repeated.len()).sum();
    assert_eq!((taken, repeated), (SYSTEMS as usize - 2, 1));
    assert_eq!(hub.take(&name(1), &of_first).await.unknown, of_first);

    let states = hub.states(receipt.document).await;
    assert_eq!(count(&states, State::Refused), 2);
    assert_eq!(count(&states, State::Taken), 2 * SYSTEMS as usize - 2);
    let view = hub.view(receipt.document).await;
    let waits: Vec<&Outgoing> = view.outbox.iter().map(|row| &row.outgoing).collect();
    assert!(!waits.contains(&&Outgoing::Document), "{waits:?}");
    // One event for each message, and one for the status that came before.
    assert_eq!(hub.count(EventKind::DeliveryTaken).await, SYSTEMS as usize);
    hub.sound().await;
}

pub async fn a_notice_says_how_many_of_a_broadcast_have_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(broadcast(&hub, "1")).await;
    let alone = hub.accept(hub.document("2")).await;
    let claimed = hub.forward_all().await;
    for number in 0..SYSTEMS - 1 {
        hub.take(&name(number), &deliveries(&claimed, &name(number)))
            .await;
    }
    hub.minutes(60);
    let late = hub
        .ledger
        .not_taken_alerts(std::time::Duration::from_mins(30))
        .await
        .unwrap();
    assert_eq!(late.len(), 2, "one message of each document");
    let notices = answers(&hub.claim().await, "xa");
    let of = |document: truc_model::DocumentUid| {
        let id = document.to_string();
        let of = notices
            .iter()
            .filter(move |(_, json)| json["document"] == id.as_str());
        of.map(|(_, json)| json).collect::<Vec<_>>()
    };
    let many = of(receipt.document);
    assert_eq!(many.len(), 2, "one for each recipient that has it not");
    for notice in many {
        assert_eq!(notice["tally"]["taken"], 2 * SYSTEMS - 2, "{notice}");
        assert_eq!(notice["tally"]["of"], 2 * SYSTEMS);
        let vi = notice["message"]["vi"].as_str().unwrap_or_default();
        assert!(vi.contains("78 / 80 nơi nhận"), "{vi}");
    }
    assert_eq!(of(alone.document).len(), 1);
    assert!(of(alone.document)[0].get("tally").is_none(), "nothing to count");
    hub.sound().await;
}

/// What is asked of the whole document while its messages are on their way: it sees all its recipients.
pub async fn what_concerns_a_whole_broadcast_sees_all_of_it(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let receipt = hub.accept(broadcast(&hub, "1")).await;
    let claimed = documents(&hub.forward_all().await);
    let half = &claimed[..claimed.len() / 2];
    let order = Resend {
        document: receipt.document,
        party: None,
        who: "vận hành".to_owned(),
        why: "hộp nhận hỏng".to_owned(),
    };
    let words = half.iter().map(async |message| {
        let name = message.system.as_str();
        hub.take(name, &[message.delivery]).await
    });
    let (_, resent) = tokio::join!(together(words), hub.ledger.resend(order));
    let resent = resent.unwrap();
    assert_eq!(resent.resent.len() + resent.left.len() / 2, SYSTEMS as usize);
    assert!(resent.resent.len() >= SYSTEMS as usize / 2, "{resent:?}");
    let view = hub.view(receipt.document).await;
    let is_taken = |state: &TransportState| matches!(state, TransportState::Taken { .. });
    let taken = view.recipients.iter().filter(|row| is_taken(&row.state)).count();
    assert_eq!(taken, SYSTEMS as usize);
    let lost = system(&name(SYSTEMS - 1));
    hub.forward_all().await;
    assert_eq!(hub.ledger.inbox_lost(lost).await.unwrap(), 1);
    let states = hub.states(receipt.document).await;
    assert_eq!(count(&states, State::Scheduled), 2);
    hub.sound().await;
}

/// All at once; what they give, in their order.
async fn together<T, F: Future<Output = T>>(futures: impl Iterator<Item = F>) -> Vec<T> {
    let mut running: Vec<(Pin<Box<F>>, Option<T>)> = futures.map(|one| (Box::pin(one), None)).collect();
    std::future::poll_fn(|context| {
        for (one, done) in &mut running {
            if done.is_none()
                && let Poll::Ready(value) = one.as_mut().poll(context)
            {
                *done = Some(value);
            }
        }
        if running.iter().all(|(_, done)| done.is_some()) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}
