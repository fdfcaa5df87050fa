//! The broker's bad days: restarted, killed, blocked by its memory alarm, all with documents on their way.

use truc_model::{Clock, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError, until};
use truc_tests::{all_taken, check, own_node, play, set_on};

const DOCUMENTS: u32 = 40;

fn send(sender: &Connected, series: u32) -> Result<Vec<String>, StageError> {
    (0..DOCUMENTS)
        .map(|n| {
            let (from, to) = (
                ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
                [("000.00.34.H60", "UBND huyện Hàm Yên")],
            );
            let letter = Draft::letter(from, &to, series * 1000 + n, SystemClock.today());
            let packet = Draft {
                filler: 5000,
                ..letter
            }
            .packet();
            let name = format!("series-{series}-{n}");
            folders::send(sender, &name, &packet)?;
            Ok(name)
        })
        .collect()
}

async fn all_accepted_and_taken(
    stage: &Stage,
    sender: &Connected,
    names: &[String],
) -> Result<(), StageError> {
    for name in names {
        folders::receipt(sender, name).await?;
    }
    let ledger = stage.ledger().await?;
    all_taken(&ledger).await?;
    let evidence = Evidence::gather(stage, &ledger).await?;
    println!("{}", evidence.line());
    check(evidence.holds(), || format!("{evidence:?}"))
}

#[test]
fn restarted_killed_or_blocked_the_broker_loses_nothing() {
    play(async {
        let (mut node, _dir) = own_node().await?;
        let set = set_on(&node, "truc", "").await?;
        let stage = &set.stage;
        let sender = stage.system("so-tnmt")?;
        let _hub = stage.start_hub(None)?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(stage.system("huyen-tuyen-quang")?, None)?,
        ];

        let first = send(sender, 1)?;
        folders::receipt(sender, &first[0]).await?;
        node.stop().await.doing("stopping the broker")?;
        node.start_again().await.doing("starting the broker")?;
        all_accepted_and_taken(stage, sender, &first).await?;
        println!("broker restarted with documents on their way: nothing lost");

        let second = send(sender, 2)?;
        folders::receipt(sender, &second[0]).await?;
        node.kill();
        node.start_again().await.doing("starting the broker")?;
        all_accepted_and_taken(stage, sender, &second).await?;
        println!("broker killed with documents on their way: nothing lost");

        node.set_memory_alarm(true)
            .await
            .doing("raising the memory alarm")?;
        let third = send(sender, 3)?;
        let log = stage.dir.join("adapter-so-tnmt.log");
        until("the first publish to be held by the alarm", async || {
            let overview = node.accounts("truc").overview().await.ok()?;
            let out = std::fs::read_dir(sender.folder.join("sending")).ok()?.count();
            (!overview.alarms.is_empty() && out > 0).then_some(())
        })
        .await?;
        check(
            third.iter().all(|name| folders::answered(sender, name).is_none()),
            || {
                format!(
                    "a document was answered while the broker was blocked; see {}",
                    log.display()
                )
            },
        )?;
        node.set_memory_alarm(false)
            .await
            .doing("ending the memory alarm")?;
        all_accepted_and_taken(stage, sender, &third).await?;
        println!("broker blocked by its memory alarm: everything waited, nothing lost");
        Ok(())
    });
}
