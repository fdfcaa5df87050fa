//! Declaring the topology, and asking how full a queue is.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind as AmqpKind};
use truc_model::wire::DEAD_EXCHANGE;

use super::convert::short;
use super::fault::within;
use super::link::Link;
use crate::broker::{BrokerError, QueueDepth};
use crate::config::BrokerConfig;
use crate::topology::{ExchangeKind, QueueSpec, QueueType, Topology};

/// Declares everything, each object by name so that an error names it.
pub(super) async fn declare(
    config: &BrokerConfig,
    link: &Link,
    topology: &Topology,
) -> Result<(), BrokerError> {
    let channel = open(config, link).await?;
    let limit = config.operation_timeout;
    for (name, kind) in Topology::exchanges() {
        let kind = match kind {
            ExchangeKind::Direct => AmqpKind::Direct,
            ExchangeKind::Fanout => AmqpKind::Fanout,
        };
        let options = ExchangeDeclareOptions {
            // Create it if need be.
            passive: false,
            // Survives a restart of the broker.
            durable: true,
            // Stays when nothing is bound to it.
            auto_delete: false,
            // Published to from outside.
            internal: false,
            // The answer tells whether it fits.
            nowait: false,
        };
        let declare = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
        within(limit, "declare an exchange", name, declare).await?;
    }
    for queue in topology.queues() {
        let name = short_name(&queue.name)?;
        let options = QueueDeclareOptions {
            passive: false,
            // Survives a restart of the broker.
            durable: true,
            // Not tied to this connection.
            exclusive: false,
            // Stays when nobody consumes.
            auto_delete: false,
            nowait: false,
        };
        let arguments = arguments(topology.queue_type, &queue);
        let declare = channel.queue_declare(name.clone(), options, arguments);
        within(limit, "declare a queue", &queue.name, declare).await?;
        let bind = channel.queue_bind(
            name,
            queue.exchange.into(),
            short_name(&queue.routing_key)?,
            QueueBindOptions { nowait: false },
            FieldTable::default(),
        );
        within(limit, "bind a queue", &queue.name, bind).await?;
    }
    Ok(())
}

/// Asks with a passive declaration, which changes nothing.
pub(super) async fn queue_depth(
    config: &BrokerConfig,
    link: &Link,
    queue: &str,
) -> Result<QueueDepth, BrokerError> {
    let channel = open(config, link).await?;
    look_at(&channel, queue, config.operation_timeout).await
}

/// The same on a channel that is open.
pub(super) async fn look_at(
    channel: &Channel,
    queue: &str,
    limit: Duration,
) -> Result<QueueDepth, BrokerError> {
    let options = QueueDeclareOptions {
        // Only look.
        passive: true,
        // A passive declaration ignores the rest.
        durable: false,
        exclusive: false,
        auto_delete: false,
        nowait: false,
    };
    let declare = channel.queue_declare(short_name(queue)?, options, FieldTable::default());
    let found = within(limit, "look at a queue", queue, declare).await?;
    Ok(QueueDepth {
        ready: found.message_count(),
        consumers: found.consumer_count(),
    })
}

/// A channel for these few commands; it closes when dropped. An error of the broker ends it, which is
/// why it is not shared.
pub(super) async fn open(config: &BrokerConfig, link: &Link) -> Result<Channel, BrokerError> {
    let session = link.session().await?;
    let opening = session.connection().create_channel();
    let opened = within(config.operation_timeout, "open a channel", "channel", opening).await;
    if matches!(opened, Err(BrokerError::TimedOut { .. })) {
        session.give_up();
    }
    opened
}

fn arguments(queue_type: QueueType, queue: &QueueSpec) -> FieldTable {
    let mut table = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    // Said aloud, because a virtual host can have another default.
    table.insert("x-queue-type".into(), text(queue_type.as_str()));
    if queue.dead_letters {
        table.insert("x-dead-letter-exchange".into(), text(DEAD_EXCHANGE));
        if queue_type == QueueType::Quorum {
            // A quorum queue moves dead letters without confirm unless asked; asked, it wants to refuse
            // publishes rather than drop old messages when full (and it is never full: no maximum).
            table.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            table.insert("x-overflow".into(), text("reject-publish"));
        }
    }
    if queue.priorities {
        let priority = Topology::MAX_PRIORITY.into();
        table.insert("x-max-priority".into(), AMQPValue::LongInt(priority));
    }
    table
}

pub(super) fn short_name(name: &str) -> Result<ShortString, BrokerError> {
    short("name", name).map_err(|error| BrokerError::Refused {
        reply: error.to_string(),
    })
}
