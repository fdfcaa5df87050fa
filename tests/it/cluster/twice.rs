//! One document that comes twice at once, by two connections to two hubs: accepted once, delivered once, answered each
//! time.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use truc_model::wire::Intake;
use truc_model::{Clock, MessageId, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::{all_taken, check, fresh_id, play, set_in_postgres};

use super::{FROM, RECIPIENT, SENDER, TO, all_read, hubs};

/// Documents of each kind. The two copies of one go to the two hubs by turns, so they are under way in both at once.
const PAIRS: u32 = 24;

/// One document, and the two message ids it is sent under: one and the same, or two.
struct Pair {
    packet: Vec<u8>,
    ids: [MessageId; 2],
}

fn pair(number: u32, ids: [MessageId; 2]) -> Pair {
    let letter = Draft::letter(FROM, &TO[..1], number, SystemClock.today());
    Pair {
        packet: letter.packet(),
        ids,
    }
}

/// What came to the sender's inbox: by the message id answered, the documents of its receipts.
#[derive(Default)]
struct Answers(BTreeMap<String, Vec<String>>);

impl Answers {
    fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    fn of(&self, id: MessageId) -> &[String] {
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
                    let document = answer["document"].as_str().unwrap_or_default().to_owned();
                    answers.0.entry(id).or_default().push(document);
                }
                // The recipient's own 01 comes between them.
                "status" => {}
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
        let mut pairs = Vec::new();
        for number in 0..PAIRS {
            let id = fresh_id();
            pairs.push(pair(number, [id, id]));
            pairs.push(pair(PAIRS + number, [fresh_id(), fresh_id()]));
        }
        let at = SystemClock.now();
        for pair in &pairs {
            let copies = clients.iter().zip(pair.ids).map(|(client, id)| {
                client.publish(Intake::Document, id, &pair.packet, SealChoice::Right, at)
            });
            try_join_all(copies).await.doing("publishing")?;
        }

        let answers = Answers::gather(&mut clients, pairs.len() * 2).await?;
        for pair in &pairs {
            let [one, two] = pair.ids.map(|id| answers.of(id));
            let expected = if pair.ids[0] == pair.ids[1] { 2 } else { 1 };
            check(one.len() == expected && two.len() == expected, || {
                format!("{:?}: answered {one:?} and {two:?}", pair.ids)
            })?;
            check(one.iter().chain(two).all(|document| *document == one[0]), || {
                format!("{:?}: two documents, {one:?} and {two:?}", pair.ids)
            })?;
        }
        all_taken(&ledger).await?;
        until("every document in its folder", async || {
            (folders::arrivals(recipient).len() >= pairs.len()).then_some(())
        })
        .await?;
        let evidence = Evidence::gather(stage, &ledger).await?;
        println!("{} pairs, {}", pairs.len(), evidence.line());
        check(evidence.holds(), || format!("{evidence:?}"))?;
        let total = &evidence.balance.total;
        let count = pairs.len() as u64;
        check(
            (total.documents, total.accepted, total.taken) == (count, count, count),
            || format!("{evidence:?}"),
        )?;
        check(folders::arrivals(recipient).len() == pairs.len(), || {
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
