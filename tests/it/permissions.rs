//! What a system's broker account may not do, tried with a bare AMQP client.

use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use truc_server::demo::stage::{Connected, Doing, Stage, StageError};
use truc_tests::{check, play, set};

async fn channel(stage: &Stage, system: &Connected) -> Result<(Connection, Channel), StageError> {
    let connection = Connection::connect(&stage.amqp_url(system), ConnectionProperties::default())
        .await
        .doing("connecting")?;
    let channel = connection.create_channel().await.doing("opening a channel")?;
    channel
        .confirm_select(ConfirmSelectOptions { nowait: false })
        .await
        .doing("asking for confirms")?;
    Ok((connection, channel))
}

async fn publish(
    channel: &Channel,
    exchange: &str,
    key: &str,
    user_id: Option<&str>,
) -> Result<(), lapin::Error> {
    let mut properties = BasicProperties::default();
    if let Some(user_id) = user_id {
        properties = properties.with_user_id(user_id.into());
    }
    channel
        .basic_publish(
            exchange.into(),
            key.into(),
            BasicPublishOptions::default(),
            b"x",
            properties,
        )
        .await?
        .await
        .map(|_| ())
}

fn refused(what: &str, outcome: Result<(), lapin::Error>) -> Result<(), StageError> {
    match outcome {
        Ok(()) => Err(StageError(format!("{what} was allowed"))),
        Err(error) => {
            let text = truc_server::telemetry::chain(&error);
            // 403 ACCESS_REFUSED for permissions, 406 PRECONDITION_FAILED for a forged user_id.
            check(
                text.contains("ACCESS_REFUSED") || text.contains("PRECONDITION_FAILED"),
                || format!("{what} failed for another reason: {text}"),
            )?;
            println!("refused as it should be: {what}");
            Ok(())
        }
    }
}

#[test]
fn a_system_can_submit_and_read_its_own_inbox_and_nothing_else() {
    play(async {
        let set = set("permissions", "").await?;
        let stage = &set.stage;
        let mine = stage.system("so-tnmt")?;

        // What it may do works; otherwise refusals would prove nothing.
        let (_connection, allowed) = channel(stage, mine).await?;
        publish(&allowed, "truc.submit", "document", Some("so-tnmt"))
            .await
            .doing("submitting")?;
        allowed
            .basic_get("truc.inbox.so-tnmt".into(), BasicGetOptions { no_ack: false })
            .await
            .doing("reading the own inbox")?;

        for exchange in [
            "truc.deliver",
            "truc.dead",
            "",
            "amq.direct",
            "amq.topic",
            "amq.fanout",
        ] {
            let (_connection, channel) = channel(stage, mine).await?;
            let outcome = publish(&channel, exchange, "ubnd-tinh", Some("so-tnmt")).await;
            refused(&format!("publishing to the exchange {exchange:?}"), outcome)?;
        }
        let (_connection, forging) = channel(stage, mine).await?;
        refused(
            "a forged user_id",
            publish(&forging, "truc.submit", "document", Some("ubnd-tinh")).await,
        )?;

        for queue in [
            "truc.inbox.ubnd-tinh",
            "truc.submit.document",
            "truc.submit.taken",
            "truc.dead.letters",
        ] {
            let (_connection, reading) = channel(stage, mine).await?;
            let outcome = reading
                .basic_get(queue.into(), BasicGetOptions { no_ack: false })
                .await
                .map(|_| ());
            refused(&format!("reading {queue}"), outcome)?;
            let (_connection, consuming) = channel(stage, mine).await?;
            let outcome = consuming
                .basic_consume(
                    queue.into(),
                    "thief".into(),
                    BasicConsumeOptions::default(),
                    FieldTable::default(),
                )
                .await
                .map(|_| ());
            refused(&format!("consuming {queue}"), outcome)?;
            let (_connection, purging) = channel(stage, mine).await?;
            let outcome = purging
                .queue_purge(queue.into(), QueuePurgeOptions { nowait: false })
                .await
                .map(|_| ());
            refused(&format!("purging {queue}"), outcome)?;
            let (_connection, deleting) = channel(stage, mine).await?;
            let outcome = deleting
                .queue_delete(queue.into(), QueueDeleteOptions::default())
                .await
                .map(|_| ());
            refused(&format!("deleting {queue}"), outcome)?;
        }

        let (_connection, declaring) = channel(stage, mine).await?;
        let outcome = declaring
            .queue_declare(
                "mine".into(),
                QueueDeclareOptions::default(),
                FieldTable::default(),
            )
            .await
            .map(|_| ());
        refused("declaring a queue", outcome)?;
        let (_connection, declaring) = channel(stage, mine).await?;
        let outcome = declaring
            .exchange_declare(
                "mine".into(),
                ExchangeKind::Fanout,
                ExchangeDeclareOptions::default(),
                FieldTable::default(),
            )
            .await;
        refused("declaring an exchange", outcome)?;
        let (_connection, binding) = channel(stage, mine).await?;
        let outcome = binding
            .queue_bind(
                "truc.inbox.so-tnmt".into(),
                "truc.deliver".into(),
                "ubnd-tinh".into(),
                QueueBindOptions { nowait: false },
                FieldTable::default(),
            )
            .await;
        refused("binding its inbox to another's key", outcome)?;
        let (_connection, deleting) = channel(stage, mine).await?;
        let outcome = deleting
            .queue_delete("truc.inbox.so-tnmt".into(), QueueDeleteOptions::default())
            .await
            .map(|_| ());
        refused("deleting its own inbox", outcome)
    });
}
