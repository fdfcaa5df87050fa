//! Thousands of deliveries wait when the hub starts, and behind some inboxes nobody takes anything: the healthy ones
//! get everything all the same, and what waits takes no memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{try_join, try_join_all};
use tokio::sync::watch;
use truc_ledger::{
    BalanceFilter, Body, ConflictPolicy, DocumentFacts, DocumentSubmission, Ledger, Plan, PlannedRecipient,
    SubmissionKey, SubmitOutcome,
};
use truc_model::wire::inbox;
use truc_model::{
    Clock, DocumentIdentity, Operation, Sha256, SignatureState, SignatureVerdict, SystemClock, SystemId,
    Urgency,
};
use truc_server::bench::province::Province;
use truc_server::demo::raw::RawClient;
use truc_server::demo::stage::{Doing, Stage, StageError, now, until};
use truc_tests::{all_taken, check, fresh_id, node, play, set_of};
use truc_transport::{Broker as _, QueueDepth};

use super::{lean, take, told};

/// Systems that receive; the last three are in trouble.
const SYSTEMS: usize = 20;
/// Reads one message and then nothing, until the healthy ones have everything.
const SLOW: usize = SYSTEMS - 2;
/// Its inbox takes no more than [`FULL_AT`] messages, until then.
const FULL: usize = SYSTEMS - 1;
/// Nobody reads it, until then.
const DEAD: usize = SYSTEMS;

/// Documents to all of them.
const DOCUMENTS: usize = 400;
/// Documents to the dead one alone: before all others, and together more than a hub may have in memory.
const LARGE: usize = 1_900;
const LARGE_BYTES: usize = 128 * 1024;

/// Messages that the full inbox takes.
const FULL_AT: usize = 5;

/// Documents given to the ledger at a time.
const AT_ONCE: usize = 100;

/// Longest time from the start of the process to the first delivery: far more than it needs, far less than it would
/// take to look at all that waits.
const FIRST_MAX: Duration = Duration::from_secs(20);

/// A document of agency 0 as the intake would hand it to the ledger.
struct Order<'a> {
    province: &'a Province,
    stage: &'a Stage,
    bytes: usize,
    /// Agencies.
    to: Vec<usize>,
}

impl Order<'_> {
    fn submission(&self, number: usize, directory: &truc_directory::Directory) -> DocumentSubmission {
        let (at, today) = (now(), SystemClock.today());
        let party = |agency: usize| {
            let code = &self.province.agencies[agency];
            directory.resolve(code, today).party(code)
        };
        let mut body = format!("packet {number} ").into_bytes();
        body.resize(self.bytes, b'.');
        let recipients = self.to.iter().map(|agency| {
            let system = &self.province.systems[self.province.system_of(*agency)];
            let system = self.stage.systems[system].id.clone();
            PlannedRecipient::new(
                self.province.agencies[*agency].clone(),
                party(*agency),
                Plan::Deliver { system },
            )
        });
        DocumentSubmission {
            key: SubmissionKey {
                system: self.stage.systems[&self.province.systems[0]].id.clone(),
                message_id: fresh_id(),
            },
            received_at: at,
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body: Body::Here(Arc::from(body)),
            identity: DocumentIdentity {
                sender: party(0),
                document_id: format!("H60,{number}"),
            },
            sender_formerly: Vec::new(),
            sender_code: self.province.agencies[0].clone(),
            facts: facts(number),
            verdict: SignatureVerdict {
                seal: SignatureState::Absent,
                xml: SignatureState::Absent,
                vouched_by_channel: true,
            },
            warnings: Vec::new(),
            recipients: recipients.collect(),
            change: None,
            conflict_policy: ConflictPolicy::Park,
            park: None,
            directory_version: directory.version(),
        }
    }
}

fn facts(number: usize) -> DocumentFacts {
    DocumentFacts {
        number: Some(number.to_string()),
        notation: Some("BC-VP".to_owned()),
        issued_on: Some(SystemClock.today()),
        year: Some(SystemClock.today().year()),
        type_name: Some("Báo cáo".to_owned()),
        subject: Some("V/v báo cáo".to_owned()),
        operation: Operation::New,
        urgency: Urgency::Normal,
        refers_to: None,
        attachments: Vec::new(),
        sent_late: None,
    }
}

/// Fills the ledger while no hub runs.
async fn fill(ledger: &Ledger, stage: &Stage, province: &Province) -> Result<(), StageError> {
    let directory = stage.directory().await?;
    let large = Order {
        province,
        stage,
        bytes: LARGE_BYTES,
        to: vec![DEAD],
    };
    let to_all = Order {
        province,
        stage,
        bytes: 2_000,
        to: (1..=SYSTEMS).collect(),
    };
    let orders = (0..LARGE + DOCUMENTS).map(|number| {
        if number < LARGE {
            (&large, number)
        } else {
            (&to_all, number)
        }
    });
    let orders: Vec<_> = orders.collect();
    for part in orders.chunks(AT_ONCE) {
        let accepting = part
            .iter()
            .map(|(order, number)| ledger.submit_document(order.submission(*number, &directory)));
        for outcome in try_join_all(accepting).await.doing("accepting")? {
            check(matches!(outcome, SubmitOutcome::Accepted(_)), || {
                format!("{outcome:?}")
            })?;
        }
    }
    Ok(())
}

#[test]
fn thousands_wait_at_start_and_inboxes_in_trouble_hold_up_nobody() {
    play(async {
        let begun = Instant::now();
        let province = Province::one_to_many(SYSTEMS, SYSTEMS)?;
        let set = set_of(
            "scale-backlog",
            &province.agencies_csv(),
            &province.systems_csv(),
            "",
        )
        .await?;
        let stage = &set.stage;
        let ledger = stage.ledger().await?;
        fill(&ledger, stage, &province).await?;
        let system = |number: usize| stage.system(&province.systems[number]);
        let queue_of = |id: &SystemId| inbox(id);
        let full = queue_of(&system(FULL)?.id);
        let policy = format!("{{\"max-length\":{FULL_AT},\"overflow\":\"reject-publish\"}}");
        let vhost = stage.vhost.as_str();
        let pattern = format!("^{}$", full.replace('.', "\\."));
        node()
            .await?
            .rabbitmqctl(&[
                "set_policy",
                "-p",
                vhost,
                "--apply-to",
                "queues",
                "full",
                &pattern,
                &policy,
            ])
            .await
            .doing("making an inbox small")?;
        let waiting = LARGE + DOCUMENTS * SYSTEMS;
        println!(
            "{waiting} deliveries wait after {:.1} s",
            begun.elapsed().as_secs_f64()
        );

        let (tell, healthy_are_done) = watch::channel(false);
        let started = Instant::now();
        let mut hub = stage.start_hub(None)?;
        let mut desk = RawClient::connect(stage, system(0)?).await?;
        // The sender reads its receipts as they come.
        let receipts = tokio::spawn(async move {
            for _ in 0..LARGE + DOCUMENTS {
                let receipt = desk.next().await?;
                check(receipt.properties.kind.as_deref() == Some("receipt"), || {
                    format!("{:?}", receipt.properties)
                })?;
                receipt.ack().await.doing("settling a receipt")?;
            }
            desk.close().await;
            Ok::<_, StageError>(())
        });
        let first = async {
            let mut inbox = RawClient::connect(stage, system(SLOW)?).await?;
            let _untaken = inbox.next().await?;
            let first = started.elapsed();
            println!(
                "  the first delivery {:.2} s after the start of the process",
                first.as_secs_f64()
            );
            check(first < FIRST_MAX, || {
                format!("the first delivery after {first:?}")
            })?;
            told(healthy_are_done).await;
            inbox.close().await;
            Ok::<_, StageError>(())
        };
        let healthy = async {
            let taking = (1..SLOW).map(async |number| take(stage, system(number)?, DOCUMENTS).await);
            try_join_all(taking).await?;
            let _ = tell.send(true);
            let took = started.elapsed();
            let deliveries = DOCUMENTS * (SLOW - 1);
            println!(
                "  {} healthy inboxes have their {deliveries} after {:.1} s, {:.0} a second",
                SLOW - 1,
                took.as_secs_f64(),
                deliveries as f64 / took.as_secs_f64()
            );
            Ok(())
        };
        try_join(first, healthy).await?;
        lean(
            &hub,
            "while two and a half hundred megabytes wait for a dead inbox",
        )?;

        // Those in trouble hold what they take, and no more.
        let window = stage.config.delivery.window;
        let broker = stage.connect(system(DEAD)?).await?;
        let depth: QueueDepth = broker
            .queue_depth(&queue_of(&system(DEAD)?.id))
            .await
            .doing("looking into an inbox")?;
        check(depth.ready == window, || {
            format!("the dead inbox holds {depth:?}")
        })?;
        broker.close().await;
        let counts = ledger.inbox_counts().await.doing("counting")?;
        let waits = |number: usize| -> Result<u64, StageError> {
            let id = &system(number)?.id;
            let count = counts.iter().find(|count| count.system == *id);
            Ok(count.map_or(0, |count| count.scheduled + count.leased))
        };
        let dead = (LARGE + DOCUMENTS) as u64 - u64::from(window);
        check(waits(DEAD)? == dead, || format!("{counts:?}"))?;
        // The broker may take a few more before it looks.
        let left = DOCUMENTS as u64 - u64::from(window);
        check(waits(FULL)? >= left, || format!("{counts:?}"))?;

        // They recover, and get what is theirs.
        node()
            .await?
            .rabbitmqctl(&["clear_policy", "-p", vhost, "full"])
            .await
            .doing("making the inbox large again")?;
        let again = Instant::now();
        let recovering = [(SLOW, DOCUMENTS), (FULL, DOCUMENTS), (DEAD, LARGE + DOCUMENTS)];
        let taking = recovering.map(async |(number, count)| take(stage, system(number)?, count).await);
        try_join_all(taking).await?;
        all_taken(&ledger).await?;
        println!(
            "  the three others have theirs after {:.1} s more",
            again.elapsed().as_secs_f64()
        );
        receipts.await.doing("reading receipts")??;
        let balance = ledger
            .balance(&BalanceFilter::default())
            .await
            .doing("balancing")?;
        check(
            balance.balances() && balance.total.taken == waiting as u64,
            || format!("{balance:?}"),
        )?;
        lean(&hub, "at the end")?;
        until("the hub to have nothing in hand", async || {
            let counts = ledger.inbox_counts().await.ok()?;
            counts.iter().all(|count| count.answers == 0).then_some(())
        })
        .await?;
        let status = hub.stop()?;
        check(status.success(), || format!("{status}\n{}", hub.log_tail()))
    });
}
