//! Faults on real parts: hubs stopped, doubled and started too early, connections closed, an inbox deleted,
//! adapters that forget. What the twins can show is in `hub/server/tests/faults/`.

mod broker;
mod hubs;
mod recipients;
mod wide;

use truc_ledger::Ledger;
use truc_model::{Clock, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError, until};
use truc_tests::{all_taken, check};

const SENDER: &str = "so-tnmt";
const RECIPIENT: &str = "huyen-tuyen-quang";

fn packet(number: u32) -> Vec<u8> {
    let (from, to) = (
        ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        [
            ("000.00.34.H60", "UBND huyện Hàm Yên"),
            ("000.00.30.H60", "UBND thành phố Tuyên Quang"),
        ],
    );
    let letter = Draft::letter(from, &to, number, SystemClock.today());
    Draft {
        filler: 4000,
        ..letter
    }
    .packet()
}

/// Drops `count` letters; `series` keeps them apart from others.
fn send(sender: &Connected, series: u32, count: u32) -> Result<Vec<String>, StageError> {
    (0..count)
        .map(|n| {
            let name = format!("series-{series}-{n}");
            folders::send(sender, &name, &packet(series * 1000 + n))?;
            Ok(name)
        })
        .collect()
}

/// Everything has its receipt, is taken, and lies in its folder exactly once; both 01 are back.
async fn all_is_well(
    stage: &Stage,
    sender: &Connected,
    ledger: &Ledger,
    names: &[String],
) -> Result<(), StageError> {
    for name in names {
        folders::receipt(sender, name).await?;
    }
    all_taken(ledger).await?;
    until("both 01 of each document", async || {
        (folders::statuses(sender).len() == names.len() * 2).then_some(())
    })
    .await?;
    let evidence = Evidence::gather(stage, ledger).await?;
    println!("{}", evidence.line());
    check(evidence.holds(), || format!("{evidence:?}"))?;
    check(evidence.balance.total.documents == names.len() as u64, || {
        format!("{evidence:?}")
    })?;
    let report = ledger
        .verify(&truc_ledger::VerifyOptions::default())
        .await
        .doing("checking the ledger")?;
    check(report.is_sound(), || format!("{report:?}"))
}
