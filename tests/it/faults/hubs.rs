//! A hub stopped under load, and two hubs on one ledger and one broker.

use truc_server::demo::folders;
use truc_server::demo::stage::{Process, StageError, until};
use truc_tests::{check, play, set};

use super::{RECIPIENT, SENDER, all_is_well, send};

const DOCUMENTS: u32 = 60;

#[test]
fn a_hub_told_to_stop_under_load_ends_well_and_loses_nothing() {
    play(async {
        let set = set("faults-stop", "").await?;
        let stage = &set.stage;
        let sender = stage.system(SENDER)?;
        let ledger = stage.ledger().await?;
        let mut hub = stage.start_hub(None)?;
        let mut adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(stage.system(RECIPIENT)?, None)?,
        ];
        let mut names = Vec::new();
        for round in 0..3 {
            let series = send(sender, round, DOCUMENTS)?;
            folders::receipt(sender, &series[0]).await?;
            names.extend(series);
            // In the middle of it: first the hub, then the adapters, too.
            ended_well(&mut hub)?;
            if round > 0 {
                for adapter in &mut adapters {
                    ended_well(adapter)?;
                }
                adapters = [
                    stage.start_adapter(sender, None)?,
                    stage.start_adapter(stage.system(RECIPIENT)?, None)?,
                ];
            }
            hub = stage.start_hub(None)?;
        }
        all_is_well(stage, sender, &ledger, &names).await
    });
}

fn ended_well(process: &mut Process) -> Result<(), StageError> {
    let status = process.stop()?;
    check(status.success(), || {
        format!("{} ended with {status}:\n{}", process.name(), process.log_tail())
    })
}

#[test]
fn two_hubs_on_one_ledger_lose_and_double_nothing() {
    play(async {
        let set = set("faults-two", "").await?;
        let stage = &set.stage;
        let sender = stage.system(SENDER)?;
        let ledger = stage.ledger().await?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(stage.system(RECIPIENT)?, None)?,
        ];
        let mut names = Vec::new();
        let mut hub = stage.start_hub(None)?;
        let mut other = stage.start_hub_named("hub-2")?;
        let series = send(sender, 0, DOCUMENTS)?;
        folders::receipt(sender, &series[0]).await?;
        names.extend(series);
        // One is killed with documents in hand; the other does not wait for it to come back.
        hub.kill()?;
        all_is_well(stage, sender, &ledger, &names).await?;
        // One started beside another of its own name, a slip, is not started, and nothing comes of it.
        let mut second = stage.start_hub_named("hub-2")?;
        let series = send(sender, 1, DOCUMENTS)?;
        names.extend(series);
        let status = until("the second of a name to give up", async || {
            second.ended().ok().flatten()
        })
        .await?;
        check(!status.success() && second.log_tail().contains("hub-2"), || {
            format!("{status}: {}", second.log_tail())
        })?;
        all_is_well(stage, sender, &ledger, &names).await?;
        ended_well(&mut other)
    });
}
