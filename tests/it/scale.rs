//! Much at once: one packet to very many, many deliveries that wait when the hub starts, inboxes that are slow, full or
//! dead beside healthy ones, and an end in the midst of it.
//!
//! What each scenario took is printed and not judged: it says as much of the machine as of the hub, and of a build for
//! debugging it says nothing. `truc bench broadcast` and `truc bench backlog` measure.

mod backlog;
mod broadcast;
mod stop;

use std::collections::BTreeSet;
use std::time::Instant;

use tokio::sync::watch;
use truc_model::DeliveryUid;
use truc_model::wire::{Intake, Taken, header};
use truc_server::bench::machine::memory;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Connected, Doing, Process, Stage, StageError, now};
use truc_tests::{check, fresh_id};
use truc_transport::Delivery;

/// Most deliveries in one `taken`: what the SDK gathers.
const BATCH_MAX: usize = 64;

/// Most memory that a hub may have had under load, in KiB, whatever waits. The goal is 200 MB; of a build for debugging
/// the program itself takes some fifty more.
const PEAK_MAX_KIB: u64 = 256 * 1024;

/// Reads so many documents from an inbox and says `taken` for each, until it has all of them; none may come twice.
/// Answers on the way are settled.
async fn take(stage: &Stage, system: &Connected, count: usize) -> Result<Instant, StageError> {
    let mut inbox = RawClient::connect(stage, system).await?;
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let mut batch = vec![inbox.next().await?];
        while batch.len() < BATCH_MAX
            && let Some(Ok(more)) = futures_util::FutureExt::now_or_never(inbox.next())
        {
            batch.push(more);
        }
        let mut taken = Taken::default();
        for delivery in &batch {
            if delivery.properties.kind.as_deref() == Some("document") {
                let id = delivery.properties.text(header::DELIVERY).unwrap_or_default();
                let id: DeliveryUid = id.parse().doing("reading a delivery's id")?;
                check(seen.insert(id), || format!("{id} came twice to {}", system.id))?;
                taken.taken.push(id);
            }
        }
        say(&inbox, &taken).await?;
        settle(batch).await?;
    }
    let done = Instant::now();
    inbox.close().await;
    check(seen.len() == count, || {
        format!("{} of {count} documents came to {}", seen.len(), system.id)
    })?;
    Ok(done)
}

async fn say(inbox: &RawClient, taken: &Taken) -> Result<(), StageError> {
    if taken.taken.is_empty() {
        return Ok(());
    }
    let body = serde_json::to_vec(taken).doing("saying taken")?;
    let said = inbox.publish(Intake::Taken, fresh_id(), &body, SealChoice::None, now());
    said.await.doing("saying taken")
}

async fn settle(batch: Vec<Delivery>) -> Result<(), StageError> {
    for delivery in batch {
        delivery.ack().await.doing("settling")?;
    }
    Ok(())
}

/// Waits until it is told to go on.
async fn told(mut told: watch::Receiver<bool>) {
    let _ = told.wait_for(|told| *told).await.map(|_| ());
}

/// The hub never had more memory than it may.
fn lean(hub: &Process, when: &str) -> Result<(), StageError> {
    let found = memory(hub.id())?;
    println!(
        "  memory {when}: {} MiB, at most {} MiB",
        found.now_kib / 1024,
        found.peak_kib / 1024
    );
    check(found.peak_kib <= PEAK_MAX_KIB, || format!("{when}: {found:?}"))
}
