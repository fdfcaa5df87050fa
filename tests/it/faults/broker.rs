//! A broker that is not there at the start, connections it closes, an inbox deleted on it.

use truc_model::wire::inbox;
use truc_server::demo::folders;
use truc_server::demo::stage::{Doing, until};
use truc_tests::{check, own_node, play, set_on};

use super::{RECIPIENT, SENDER, all_is_well, send};

const DOCUMENTS: u32 = 40;

#[test]
fn a_broker_that_comes_late_closes_connections_or_loses_an_inbox() {
    play(async {
        let (mut node, _dir) = own_node().await?;
        let config = "[delivery]\nwindow = 5\nurgent_extra = 0\n";
        let set = set_on(&node, "truc", config).await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let ledger = stage.ledger().await?;

        node.stop().await.doing("stopping the broker")?;
        let mut hub = stage.start_hub(None)?;
        let mut adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(recipient, None)?,
        ];
        let mut names = send(sender, 1, DOCUMENTS)?;
        until("the hub to say that it waits", async || {
            hub.log_tail().contains("waiting for the broker").then_some(())
        })
        .await?;
        for process in adapters.iter_mut().chain([&mut hub]) {
            check(process.ended()?.is_none(), || {
                format!("{} did not wait:\n{}", process.name(), process.log_tail())
            })?;
        }
        node.start_again().await.doing("starting the broker")?;
        all_is_well(stage, sender, &ledger, &names).await?;
        println!("broker late: hub and adapters waited for it");

        for series in 2..5 {
            let more = send(sender, series, DOCUMENTS)?;
            folders::receipt(sender, &more[0]).await?;
            names.extend(more);
            node.close_all_connections("test")
                .await
                .doing("closing all connections")?;
        }
        all_is_well(stage, sender, &ledger, &names).await?;
        println!("connections closed under load: nothing lost");

        // The recipient is away; five of its deliveries lie in its inbox, the others wait in the ledger.
        let [_sending, receiving] = &mut adapters;
        receiving.stop()?;
        let more = send(sender, 5, DOCUMENTS)?;
        for name in &more {
            folders::receipt(sender, name).await?;
        }
        names.extend(more);
        until("a full window", async || {
            let counts = ledger.inbox_counts().await.ok()?;
            let count = counts.iter().find(|count| count.system == recipient.id)?;
            (count.forwarded == 5).then_some(())
        })
        .await?;
        node.rabbitmqctl(&["-p", "truc", "delete_queue", &inbox(&recipient.id)])
            .await
            .doing("deleting the inbox")?;
        // Any change makes the hub look; here its next look, once a minute, or a new connection.
        node.close_all_connections("test")
            .await
            .doing("closing all connections")?;
        until("the hub to say that it sends again", async || {
            let log = std::fs::read_to_string(&hub.log).ok()?;
            log.contains("what lay in it goes again").then_some(())
        })
        .await?;
        *receiving = stage.start_adapter(recipient, None)?;
        all_is_well(stage, sender, &ledger, &names).await?;
        println!("inbox deleted: what lay in it went again, what waited came");
        Ok(())
    });
}
