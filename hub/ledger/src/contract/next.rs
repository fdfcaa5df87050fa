//! What goes out next: back ends that find it quickly find the same as the simple way, however the outbox stands.

use std::time::Duration;

use jiff::SignedDuration;
use truc_model::{Random as _, SeededRandom, SystemId, Urgency};

use super::Bench;
use super::kit::{Hub, owner, system, to};
use crate::store::{Choice, Window, next_out_by_queues};
use crate::{ClaimRequest, Forwarded, PublishFailed, PublishFailure};

/// Inboxes of the play, steps of it, and comparisons after each.
const INBOXES: u64 = 12;
const STEPS: usize = 60;
const COMPARED: usize = 6;

const URGENCIES: [Urgency; 4] = [
    Urgency::Normal,
    Urgency::Normal,
    Urgency::Urgent,
    Urgency::Express,
];

pub async fn what_goes_out_next_is_found_the_same_in_every_way(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    let dice = SeededRandom::new(20);
    let throw = |sides: u64| {
        let mut bytes = [0; 8];
        dice.fill(&mut bytes);
        u64::from_le_bytes(bytes) % sides
    };
    let name = |number: u64| format!("he-{number:02}");
    let mut compared = 0;
    for step in 0..STEPS {
        match throw(5) {
            0 | 1 => {
                let mut document = hub.document(&format!("{step}"));
                document.facts.urgency = URGENCIES[usize::try_from(throw(4)).unwrap()];
                document.recipients = (0..1 + throw(20))
                    .map(|place| {
                        // One inbox gets most.
                        let number = if throw(2) == 0 { 0 } else { throw(INBOXES) };
                        let agency = u32::try_from(100 + place).unwrap();
                        to(&format!("000.{place:02}.00.H53"), agency, &name(number))
                    })
                    .collect();
                hub.accept(document).await;
            }
            2 => {
                let request = ClaimRequest {
                    max: usize::try_from(1 + throw(12)).unwrap(),
                    answers_max: usize::try_from(throw(12)).unwrap(),
                    window: u32::try_from(1 + throw(6)).unwrap(),
                    urgent_extra: 1,
                    lease: Duration::from_mins(5),
                    ..ClaimRequest::usual(owner())
                };
                let claimed = hub.ledger.claim(request).await.unwrap();
                let mut confirms = Vec::new();
                for message in claimed {
                    match throw(4) {
                        // Its hub is gone: the lease runs out.
                        0 => {}
                        1 => {
                            let failed = PublishFailed {
                                delivery: message.delivery,
                                at: hub.ledger.now(),
                                failure: PublishFailure::Unroutable,
                                next_try: hub.ledger.now() + SignedDuration::from_mins(10),
                            };
                            hub.ledger.publish_failed(failed).await.unwrap();
                        }
                        _ => confirms.push(Forwarded {
                            delivery: message.delivery,
                            at: hub.ledger.now(),
                            attempt: message.attempt,
                        }),
                    }
                }
                hub.ledger.forwarded(confirms).await.unwrap();
            }
            3 => {
                let inbox = name(throw(INBOXES));
                let late = hub.ledger.late_untaken(Duration::ZERO).await.unwrap();
                let his = late.iter().filter(|late| late.system.as_str() == inbox);
                let his: Vec<_> = his.map(|late| late.delivery).collect();
                if !his.is_empty() {
                    hub.take(&inbox, &his).await;
                }
            }
            _ => hub.minutes(3),
        }
        for _ in 0..COMPARED {
            let resting: Vec<SystemId> = (0..throw(3)).map(|_| system(&name(throw(INBOXES)))).collect();
            let choice = Choice {
                now: hub.ledger.now(),
                window: Window {
                    normal: throw(12),
                    urgent_extra: throw(3),
                },
                max: usize::try_from(1 + throw(40)).unwrap(),
                resting: &resting,
            };
            let mut tx = bench.open().await.begin().await.unwrap();
            let simply = next_out_by_queues(tx.as_mut(), &choice).await.unwrap();
            let quickly = tx.next_out(&choice).await.unwrap();
            assert_eq!(quickly, simply, "step {step}, {choice:?}");
            compared += usize::from(!simply.is_empty());

            let max = choice.max;
            let all = tx.waiting_answers(choice.now, usize::MAX).await.unwrap();
            let others = all.into_iter().filter(|row| !resting.contains(&row.system));
            let others: Vec<_> = others.take(max).collect();
            let found = tx.answers_but(choice.now, max, &resting).await.unwrap();
            assert_eq!(found, others, "step {step}");
        }
    }
    assert!(compared > STEPS, "hardly anything ever waited: {compared}");
    hub.sound().await;
}

/// The broker takes nothing for one inbox: it rests, however much waits for it, and the others go on.
pub async fn an_inbox_that_rests_holds_up_nobody(bench: &dyn Bench) {
    let hub = Hub::open(bench).await;
    for number in 0..20 {
        let mut document = hub.document(&format!("{number}"));
        document.key.system = system("chet");
        document.facts.urgency = Urgency::Express;
        document.recipients = vec![to("000.00.12.H53", 2, "chet")];
        hub.accept(document).await;
    }
    let mut alive = hub.document("alive");
    alive.recipients = vec![to("000.00.13.H53", 3, "song")];
    hub.accept(alive).await;
    let request = ClaimRequest {
        max: 4,
        answers_max: 4,
        resting: vec![system("chet")],
        ..ClaimRequest::usual(owner())
    };
    let claimed = hub.ledger.claim(request.clone()).await.unwrap();
    let to: Vec<&str> = claimed.iter().map(|message| message.system.as_str()).collect();
    assert_eq!(to, ["xa", "song"], "its own receipt and the one document");
    hub.confirm(&claimed).await;
    assert!(hub.ledger.claim(request.clone()).await.unwrap().is_empty());
    // It is well again.
    let resting = Vec::new();
    let claimed = hub
        .ledger
        .claim(ClaimRequest { resting, ..request })
        .await
        .unwrap();
    assert_eq!(claimed.len(), 8);
    assert!(claimed.iter().all(|message| message.system.as_str() == "chet"));
    hub.sound().await;
}
