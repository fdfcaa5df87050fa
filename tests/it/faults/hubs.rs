//! A hub stopped under load, and two hubs on one ledger and one broker.

use truc_server::demo::folders;
use truc_server::demo::stage::{Process, StageError};
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
        // Hubs of different names, then one started beside another of its own name, a slip.
        for (round, second) in (0..).zip(["hub-2", "hub-1"]) {
            let mut hub = stage.start_hub(None)?;
            let mut other = stage.start_hub_named(second)?;
            let series = send(sender, round, DOCUMENTS)?;
            folders::receipt(sender, &series[0]).await?;
            names.extend(series);
            if second == "hub-2" {
                // One is killed with documents in hand; the other does not wait for it to come back.
                hub.kill()?;
            }
            all_is_well(stage, sender, &ledger, &names).await?;
            ended_well(&mut other)?;
            if second != "hub-2" {
                ended_well(&mut hub)?;
            }
        }
        Ok(())
    });
}
