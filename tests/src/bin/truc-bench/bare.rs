//! The measure beside the hub: the same messages through a bare lapin forwarder on the same broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use truc_model::wire::Outgoing;
use truc_server::app;
use truc_server::demo::stage::{Doing, Stage, StageError};
use truc_transport::{AmqpBroker, Broker as _, OutMessage, Properties};

use super::{READ_PREFETCH, load, read};

/// Unsettled messages of the forwarder: as many as of the hub's intake.
const PREFETCH: u16 = 256;
const IN: &str = "bench.in";
const OUT: &str = "bench.out";

/// The same messages through the least a forwarder can do: consume, publish, await the confirm, settle.
pub(super) async fn through_a_bare_forwarder(
    stage: &Stage,
    url: &str,
    messages: &[OutMessage],
) -> Result<Duration, StageError> {
    let messages: Vec<OutMessage> = messages
        .iter()
        .map(|message| OutMessage {
            exchange: String::new(),
            routing_key: IN.to_owned(),
            // The account is the administrator's here, and the broker compares.
            properties: Properties {
                user_id: None,
                ..message.properties.clone()
            },
            body: Arc::clone(&message.body),
        })
        .collect();
    let (taking, giving) = (connect(url).await?, connect(url).await?);
    let (intake, outlet) = (channel(&taking).await?, channel(&giving).await?);
    for queue in [IN, OUT] {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        intake
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
            .doing("declaring")?;
    }
    let forwarder = tokio::spawn(forward(intake, outlet, messages.len()));
    let broker =
        AmqpBroker::connect(app::broker_config(&stage.config, "bench").doing("reading the address")?)
            .await
            .doing("connecting")?;
    let publisher = broker.publisher().await.doing("publishing")?;
    let far_end = broker
        .consume(OUT, READ_PREFETCH, "far end")
        .await
        .doing("consuming")?;
    let start = Instant::now();
    tokio::try_join!(
        load(publisher.as_ref(), &messages),
        read(far_end, messages.len(), Outgoing::Document)
    )?;
    let took = start.elapsed();
    forwarder.await.doing("forwarding")??;
    broker.close().await;
    Ok(took)
}

async fn connect(url: &str) -> Result<Connection, StageError> {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .doing("connecting")
}

async fn channel(connection: &Connection) -> Result<Channel, StageError> {
    connection.create_channel().await.doing("opening a channel")
}

/// Consumes with a bounded prefetch and publishes `mandatory`, persistent, with confirms pipelined; settles
/// what is confirmed.
async fn forward(intake: Channel, outlet: Channel, count: usize) -> Result<(), StageError> {
    outlet
        .confirm_select(ConfirmSelectOptions { nowait: false })
        .await
        .doing("asking for confirms")?;
    intake
        .basic_qos(PREFETCH, BasicQosOptions { global: false })
        .await
        .doing("bounding the prefetch")?;
    let mut consumer = intake
        .basic_consume(
            IN.into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .doing("consuming")?;
    let mut in_flight = FuturesUnordered::new();
    let mut settled = 0;
    while settled < count {
        tokio::select! {
            Some(confirmed) = in_flight.next(), if !in_flight.is_empty() => {
                let delivery: Delivery = confirmed?;
                delivery.ack(BasicAckOptions { multiple: false }).await.doing("settling")?;
                settled += 1;
            }
            Some(delivery) = consumer.next() => {
                let delivery = delivery.doing("consuming")?;
                let options = BasicPublishOptions { mandatory: true, immediate: false };
                let properties: BasicProperties = delivery.properties.clone().with_delivery_mode(2);
                let confirm = outlet
                    .basic_publish("".into(), OUT.into(), options, &delivery.data, properties)
                    .await
                    .doing("publishing")?;
                in_flight.push(async move {
                    match confirm.await.doing("publishing")? {
                        Confirmation::Ack(None) => Ok(delivery),
                        other => Err(StageError(format!("the broker did not keep a message: {other:?}"))),
                    }
                });
            }
            else => return Err(StageError("the forwarder's consumer ended".to_owned())),
        }
    }
    Ok(())
}
