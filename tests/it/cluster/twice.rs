//! One document that comes twice at once, by two connections to two hubs: accepted once, delivered once, answered each
//! time. And two documents of one identity at once: one goes out, the other waits for an operator.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use truc_model::wire::Intake;
use truc_model::{Clock, MessageId, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::{check, fresh_id, play, set_in_postgres};

use super::{FROM, RECIPIENT, SENDER, TO, all_read, hubs};

/// Documents of each kind. The two copies of one go to the two hubs by turns, so they are under way in both at once.
const PAIRS: u32 = 24;

/// What is sent at once, and the two message ids it is sent under: one and the same, or two.
struct Pair {
    packets: [Vec<u8>; 2],
    ids: [MessageId; 2],
}

fn letter(number: u32, filler: usize) -> Vec<u8> {
    let letter = Draft::letter(FROM, &TO[..1], number, SystemClock.today());
    Draft { filler, ..letter }.packet()
}

fn pair(number: u32, ids: [MessageId; 2]) -> Pair {
    Pair {
        packets: [letter(number, 0), letter(number, 0)],
        ids,
    }
}

/// One identity, other bytes.
fn rivals(number: u32) -> Pair {
    Pair {
        packets: [letter(number, 1), letter(number, 2)],
        ids: [fresh_id(), fresh_id()],
    }
}

/// The receipts that came to the sender's inbox, by the message id answered: document and the recipient's state.
#[derive(Default)]
struct Answers(BTreeMap<String, Vec<(String, String)>>);

impl Answers {
    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn of(&self, id: MessageId) -> &[(String, String)] {
        self.0.get(&id.to_string()).map_or(&[], Vec::as_slice)
    }

    /// Reads both connections until `expected` receipts came. Anything but a receipt is a failure.
    async fn gather(clients: &mut [RawClient; 2], expected: usize) -> Result<Self, StageError> {
        let mut answers = Self::default();
        let [one, two] = clients;
        while answers.count() < expected {
            let delivery = tokio::select! {
                delivery = one.next() => delivery?,
                delivery = two.next() => delivery?,
            };
            let kind = delivery.properties.kind.clone().unwrap_or_default();
            let id = delivery.properties.correlation_id.clone().unwrap_or_default();
            let answer: serde_json::Value =
                serde_json::from_slice(&delivery.body).unwrap_or(serde_json::Value::Null);
            delivery.ack().await.doing("settling an answer")?;
            match kind.as_str() {
                "receipt" => {
                    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
                    let told = (text(&answer["document"]), text(&answer["recipients"][0]["state"]));
                    answers.0.entry(id).or_default().push(told);
                }
                // The recipient's own 01, and what is said of documents that are parked.
                "status" | "notice" => {}
                _ => return Err(StageError(format!("a {kind} about {id}: {answer}"))),
            }
        }
        Ok(answers)
    }
}

#[test]
fn a_document_that_comes_to_two_hubs_at_once_is_accepted_and_delivered_once() {
    play(async {
        let set = set_in_postgres("twice", "").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let ledger = stage.ledger().await?;
        let mut hubs = hubs(stage, &["hub-1", "hub-2"])?;
        let _adapter = stage.start_adapter(recipient, None)?;
        all_read(stage, &mut hubs).await?;

        let mut clients = [
            RawClient::connect(stage, sender).await?,
            RawClient::connect(stage, sender).await?,
        ];
        let (mut pairs, mut rivalries) = (Vec::new(), Vec::new());
        for number in 0..PAIRS {
            let id = fresh_id();
            pairs.push(pair(number, [id, id]));
            pairs.push(pair(PAIRS + number, [fresh_id(), fresh_id()]));
            rivalries.push(rivals(2 * PAIRS + number));
        }
        let at = SystemClock.now();
        for pair in pairs.iter().chain(&rivalries) {
            let copies = clients.iter().zip(pair.ids).zip(&pair.packets);
            let copies = copies.map(|((client, id), packet)| {
                client.publish(Intake::Document, id, packet, SealChoice::Right, at)
            });
            try_join_all(copies).await.doing("publishing")?;
        }

        let expected = 2 * (pairs.len() + rivalries.len());
        let answers = Answers::gather(&mut clients, expected).await?;
        for pair in &pairs {
            let [one, two] = pair.ids.map(|id| answers.of(id));
            let expected = if pair.ids[0] == pair.ids[1] { 2 } else { 1 };
            check(one.len() == expected && two.len() == expected, || {
                format!("{:?}: answered {one:?} and {two:?}", pair.ids)
            })?;
            check(one.iter().chain(two).all(|told| *told == one[0]), || {
                format!("{:?}: two documents, {one:?} and {two:?}", pair.ids)
            })?;
        }
        for pair in &rivalries {
            let told: Vec<_> = pair.ids.iter().flat_map(|id| answers.of(*id)).collect();
            let mut states: Vec<&str> = told.iter().map(|(_, state)| state.as_str()).collect();
            states.sort_unstable();
            check(states == ["parked", "scheduled"], || {
                format!("{:?}: {told:?}", pair.ids)
            })?;
            check(told[0].0 != told[1].0, || {
                format!("one document for two: {told:?}")
            })?;
        }
        // The sender has no adapter here that would say `taken` of its 01s.
        until("the recipient to have taken everything", async || {
            let counts = ledger.inbox_counts().await.ok()?;
            let own = counts.iter().filter(|count| count.system.as_str() == RECIPIENT);
            let open: u64 = own
                .map(|count| count.scheduled + count.leased + count.forwarded)
                .sum();
            (open == 0).then_some(())
        })
        .await?;
        let delivered = pairs.len() + rivalries.len();
        until("every document in its folder", async || {
            (folders::arrivals(recipient).len() >= delivered).then_some(())
        })
        .await?;
        let evidence = Evidence::gather(stage, &ledger).await?;
        println!(
            "{} pairs, {} rivalries, {}",
            pairs.len(),
            rivalries.len(),
            evidence.line()
        );
        check(evidence.holds(), || format!("{evidence:?}"))?;
        let total = &evidence.balance.total;
        let (taken, parked) = (delivered as u64, rivalries.len() as u64);
        check(
            (total.documents, total.taken, total.waiting) == (taken + parked, taken, parked),
            || format!("{evidence:?}"),
        )?;
        check(folders::arrivals(recipient).len() == delivered, || {
            "delivered more than once".to_owned()
        })?;
        // Both had their part in it, or it would say nothing.
        for (name, hub) in &hubs {
            let log = std::fs::read_to_string(&hub.log).doing("reading a log")?;
            check(log.contains("submission"), || {
                format!("{name} had nothing to do:\n{log}")
            })?;
        }
        for client in clients {
            client.close().await;
        }
        for (name, mut hub) in hubs {
            let status = hub.stop()?;
            check(status.success(), || format!("{name} ended with {status}"))?;
        }
        Ok(())
    });
}
