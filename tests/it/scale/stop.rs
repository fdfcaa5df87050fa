//! The end in the midst of work: in good order at the first signal, at once at the second, and nothing is lost or
//! doubled by either.

use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use truc_ledger::VerifyOptions;
use truc_model::{Clock, SystemClock};
use truc_server::app::STOP_PATIENCE;
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Process, StageError, until};
use truc_tests::{all_taken, check, own_node, play, set_on};

const FROM: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const TO: [(&str, &str); 2] = [
    ("000.00.34.H60", "UBND huyện Hàm Yên"),
    ("000.00.30.H60", "UBND thành phố Tuyên Quang"),
];

/// Letters that are on their way at each end.
const LETTERS: u32 = 80;

/// How long the end at once may take; one in good order may take [`STOP_PATIENCE`].
const AT_ONCE: Duration = Duration::from_secs(5);

/// What a shell says of a program that was interrupted: `truc serve` ends so at the second signal.
const STOPPED_AT_ONCE: i32 = 130;

/// Drops letters, and waits until the first is answered: the others are on their way.
async fn under_way(sender: &Connected, series: u32, names: &mut Vec<String>) -> Result<(), StageError> {
    let first = names.len();
    for n in 0..LETTERS {
        let name = format!("series-{series}-{n}");
        let letter = Draft::letter(FROM, &TO, series * 1000 + n, SystemClock.today());
        folders::send(sender, &name, &letter.packet())?;
        names.push(name);
    }
    folders::receipt(sender, &names[first]).await.map(drop)
}

/// SIGTERM, again and again until it ends; gives how and after which time.
async fn stop_impatiently(hub: &mut Process) -> Result<(std::process::ExitStatus, Duration), StageError> {
    let begun = Instant::now();
    let pid = i32::try_from(hub.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| StageError("no process id".to_owned()))?;
    let status = until("the hub to end", async || {
        let _ = kill_process(pid, Signal::TERM);
        hub.ended().ok().flatten()
    })
    .await?;
    Ok((status, begun.elapsed()))
}

#[test]
fn a_hub_ends_in_good_order_or_at_once_and_loses_nothing() {
    play(async {
        let (node, _node_dir) = own_node().await?;
        let set = set_on(&node, "scale-stop", "").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
        let ledger = stage.ledger().await?;
        let mut hub = stage.start_hub(None)?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(recipient, None)?,
        ];
        let mut names = Vec::new();

        under_way(sender, 1, &mut names).await?;
        let begun = Instant::now();
        let status = hub.stop()?;
        let took = begun.elapsed();
        println!("SIGTERM under load: ended after {:.2} s", took.as_secs_f64());
        check(status.success(), || format!("{status}\n{}", hub.log_tail()))?;
        check(took < STOP_PATIENCE, || format!("{took:?}"))?;

        // The broker answers no more: what is in hand cannot be finished, and the first signal waits for it.
        hub = stage.start_hub(None)?;
        under_way(sender, 2, &mut names).await?;
        node.pause();
        let stopped = stop_impatiently(&mut hub).await;
        node.resume();
        let (status, took) = stopped?;
        println!(
            "SIGTERM twice, the broker silent: ended after {:.2} s",
            took.as_secs_f64()
        );
        check(status.code() == Some(STOPPED_AT_ONCE), || {
            format!("{status}, signal {:?}\n{}", status.signal(), hub.log_tail())
        })?;
        check(took < AT_ONCE, || format!("{took:?}"))?;

        hub = stage.start_hub(None)?;
        for name in &names {
            folders::receipt(sender, name).await?;
        }
        all_taken(&ledger).await?;
        until("both 01 of each letter", async || {
            (folders::statuses(sender).len() == names.len() * 2).then_some(())
        })
        .await?;
        let evidence = Evidence::gather(stage, &ledger).await?;
        println!("{}", evidence.line());
        check(evidence.holds(), || format!("{evidence:?}"))?;
        check(evidence.balance.total.documents == names.len() as u64, || {
            format!("{evidence:?}")
        })?;
        let report = ledger
            .verify(&VerifyOptions::default())
            .await
            .doing("checking the ledger")?;
        check(report.is_sound(), || format!("{report:?}"))?;
        let status = hub.stop()?;
        check(status.success(), || format!("{status}\n{}", hub.log_tail()))
    });
}
