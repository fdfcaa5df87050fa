//! Fills: groups of documents are made on one processor while the one before is saved on another.

use std::time::Instant;

use truc_ledger::contract::aged::{Ageing, GROUP, number_of};
use truc_ledger::rows::Changes;
use truc_ledger::{DocumentFilter, Head};

use crate::place::Place;
use crate::{Failed, report};

/// Groups made and not yet saved.
const AHEAD: usize = 2;

/// Documents between two lines about progress.
const TOLD_EVERY: u64 = 20_000;

/// Fills the ledger at `place`.
///
/// # Errors
/// [`Failed`]; what was saved until then stays, and the next call goes on after it.
pub(crate) async fn fill(place: &Place, ageing: Ageing, disk_left_mb: u64) -> Result<(), Failed> {
    let store = place.to_fill().await?;
    let mut picture = store.read().await?;
    let newest = DocumentFilter {
        limit: 1,
        ..DocumentFilter::default()
    };
    let newest = picture.documents(&newest).await?.pop();
    let first = match &newest {
        None => 0,
        Some(line) => number_of(&line.document_id).map_or_else(
            || {
                Err(Failed::Other(
                    "the ledger was not made by this program".to_owned(),
                ))
            },
            |number| Ok(number + 1),
        )?,
    };
    let head = picture.head().await?;
    drop(picture);
    let planned = ageing.documents;
    println!("{} of {planned} documents are there", report::number(first));

    let (made, mut to_save) = tokio::sync::mpsc::channel::<(u64, Changes)>(AHEAD);
    let maker = tokio::spawn(make(ageing, head, first, made));
    let begun = Instant::now();
    let mut there = first;
    while let Some((count, changes)) = to_save.recv().await {
        let mut tx = store.begin().await?;
        tx.save(changes).await?;
        tx.commit().await?;
        let before = there;
        there += count;
        if there / TOLD_EVERY != before / TOLD_EVERY || there >= planned {
            let per_second = (there - first) as f64 / begun.elapsed().as_secs_f64();
            println!(
                "{} documents, {per_second:.0} a second, {:.1} GB",
                report::number(there),
                place.bytes() as f64 / 1e9
            );
            if free_mb(place.folder()) < disk_left_mb {
                println!("stopped: less than {disk_left_mb} MiB are free on the disk");
                break;
            }
        }
    }
    drop(to_save);
    maker.await.map_err(|error| Failed::Other(error.to_string()))??;
    Ok(())
}

async fn make(
    ageing: Ageing,
    mut head: Head,
    first: u64,
    made: tokio::sync::mpsc::Sender<(u64, Changes)>,
) -> Result<(), Failed> {
    let mut number = first;
    while number < ageing.documents {
        let count = GROUP.min(ageing.documents - number);
        let changes = ageing.group(head, number, count).await?;
        if let Some(last) = changes.events.last() {
            head = Head {
                seq: last.seq,
                hash: last.hash,
            };
        }
        number += count;
        if made.send((count, changes)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// What is free where the ledger is, in MiB.
fn free_mb(folder: &std::path::Path) -> u64 {
    rustix::fs::statvfs(folder).map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >> 20)
}
