//! A hub whose name another takes while it runs: it ends, says why, and loses nothing; under its own name it starts again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use truc_ledger::alert::AlertFilter;
use truc_model::AlertKind;
use truc_server::app;
use truc_server::demo::folders;
use truc_server::demo::stage::{Doing, StageError, until};
use truc_tests::{all_taken, check, node, play, set};
use truc_transport::{AmqpBroker, Broker as _, NameHold};

use super::{Load, all_read, hubs};

const VHOST: &str = "name-taken";

#[test]
fn a_hub_that_finds_its_name_with_another_ends_and_loses_nothing() {
    play(async {
        let set = set(VHOST, "").await?;
        let stage = &set.stage;
        let ledger = stage.ledger().await?;
        let mut load = Load::new(stage, &ledger)?;
        let _adapters = [
            stage.start_adapter(load.sender, None)?,
            stage.start_adapter(load.recipient, None)?,
        ];
        let mut hubs = hubs(stage, &["hub-1"])?;
        all_read(stage, &mut hubs).await?;
        load.under_way().await?;

        // Whoever asks for the name again and again has it the moment the hub's connection is gone.
        let config = app::broker_config(&stage.config, "another").doing("reading the broker's address")?;
        let other = AmqpBroker::connect(config).await.doing("connecting")?;
        let done = Arc::new(AtomicBool::new(false));
        let taking = {
            let (other, done) = (Arc::clone(&other), Arc::clone(&done));
            tokio::spawn(async move {
                while !done.load(Ordering::SeqCst) {
                    if other.hold_name("hub-1").await == Ok(NameHold::Ours) {
                        return true;
                    }
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                false
            })
        };
        let node = node().await?;
        let listed = node
            .rabbitmqctl(&["list_connections", "pid", "vhost", "client_properties"])
            .await
            .doing("listing connections")?;
        let of_hub = |line: &&str| line.contains(VHOST) && line.contains("truc hub-1 hub");
        let pids: Vec<&str> = listed
            .lines()
            .filter(of_hub)
            .filter_map(|line| line.split_whitespace().next())
            .collect();
        check(!pids.is_empty(), || {
            format!("no connection of the hub:\n{listed}")
        })?;
        for pid in pids {
            node.rabbitmqctl(&["close_connection", pid, "a scenario"])
                .await
                .doing("closing a connection")?;
        }
        let taken = tokio::time::timeout(Duration::from_secs(30), taking).await;
        done.store(true, Ordering::SeqCst);
        check(matches!(taken, Ok(Ok(true))), || {
            "the name was not to be had".to_owned()
        })?;

        // More letters meanwhile: the hub goes on until it is sure.
        load.drop_letters()?;
        let Some(mut hub) = hubs.remove("hub-1") else {
            return Err(StageError("no hub".to_owned()));
        };
        let status = until("the hub to end", async || hub.ended().ok().flatten()).await?;
        check(status.code() == Some(2), || format!("it ended with {status}"))?;
        let log = hub.log_tail();
        check(
            log.contains("another hub named 'hub-1' runs on this broker"),
            || log.clone(),
        )?;
        check(log.contains("hub.name"), || format!("no next step:\n{log}"))?;
        let open = ledger
            .open_alerts(&AlertFilter::default())
            .await
            .doing("reading alerts")?;
        let kinds: Vec<AlertKind> = open.iter().map(|row| row.kind).collect();
        check(kinds.contains(&AlertKind::HubNameTaken), || {
            format!("alerts: {kinds:?}")
        })?;

        // The other goes; this one starts again and goes on with everything.
        other.close().await;
        let mut again = hubs_again(stage)?;
        all_read(stage, &mut again).await?;
        for name in &load.names {
            folders::receipt(load.sender, name).await?;
        }
        all_taken(&ledger).await?;
        load.all_is_well().await
    });
}

/// The same hub once more, with a log of its own.
fn hubs_again(
    stage: &truc_server::demo::stage::Stage,
) -> Result<std::collections::BTreeMap<String, truc_server::demo::stage::Process>, StageError> {
    let log = stage.dir.join("beside-hub-1.log");
    std::fs::rename(&log, log.with_extension("first.log")).doing("keeping a log")?;
    hubs(stage, &["hub-1"])
}
