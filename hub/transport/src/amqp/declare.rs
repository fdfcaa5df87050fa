//! Declaring the topology, asking how full a queue is, and holding a hub's name.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{Channel, ExchangeKind as AmqpKind};
use truc_model::wire::DEAD_EXCHANGE;

use super::convert::short;
use super::fault::{Fault, timed_out, within};
use super::link::Link;
use crate::broker::{BrokerError, NameHold, QueueDepth};
use crate::config::BrokerConfig;
use crate::topology::{ExchangeKind, QueueSpec, QueueType, Topology, hub_queue};

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

/// Holds a hub's name with an exclusive queue: the broker gives it to one connection only, and takes it back at
/// that connection's end, whatever ends it.
pub(super) async fn hold_name(
    config: &BrokerConfig,
    link: &Link,
    hub: &str,
) -> Result<NameHold, BrokerError> {
    match name_queue(config, link, hub, false).await {
        Ok(()) => Ok(NameHold::Ours),
        Err(NoName::Others) => Ok(NameHold::Others),
        Err(NoName::Failed(error)) => Err(error),
    }
}

/// Whether some connection holds it.
pub(super) async fn is_name_held(config: &BrokerConfig, link: &Link, hub: &str) -> Result<bool, BrokerError> {
    match name_queue(config, link, hub, true).await {
        Ok(()) | Err(NoName::Others) => Ok(true),
        Err(NoName::Failed(BrokerError::NotFound { .. })) => Ok(false),
        Err(NoName::Failed(error)) => Err(error),
    }
}

/// Why a name's queue is not ours.
enum NoName {
    Others,
    Failed(BrokerError),
}

async fn name_queue(config: &BrokerConfig, link: &Link, hub: &str, only_look: bool) -> Result<(), NoName> {
    let name = hub_queue(hub);
    let short = short_name(&name).map_err(NoName::Failed)?;
    let channel = open(config, link).await.map_err(NoName::Failed)?;
    let options = QueueDeclareOptions {
        passive: only_look,
        // It means nothing after the connection.
        durable: false,
        // The connection's alone, and gone with it.
        exclusive: true,
        // Nobody consumes from it.
        auto_delete: false,
        nowait: false,
    };
    let mut table = FieldTable::default();
    // An exclusive queue can be no other, whatever a virtual host's default says.
    let kind = AMQPValue::LongString(QueueType::Classic.as_str().into());
    table.insert("x-queue-type".into(), kind);
    let limit = config.operation_timeout;
    let declare = channel.queue_declare(short, options, table);
    match tokio::time::timeout(limit, declare).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => match Fault::of(&error) {
            Fault::Locked(_) => Err(NoName::Others),
            fault => Err(NoName::Failed(fault.on(&name))),
        },
        Err(_) => Err(NoName::Failed(timed_out(limit, "hold a hub's name"))),
    }
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
    }
    if queue_type == QueueType::Quorum {
        // How many nodes keep it: one of three can be lost. A cluster with fewer nodes has fewer; further
        // nodes take part when an operator grows the queues (docs/operating/cluster.md).
        let size = AMQPValue::LongInt(Topology::GROUP_SIZE);
        table.insert("x-quorum-initial-group-size".into(), size);
        // One connection declares all queues; without this all of them would be led by its node.
        table.insert("x-queue-leader-locator".into(), text("balanced"));
        // A quorum queue counts how often it handed a message out in vain, and gives up beyond a limit: none
        // by default in 3.10, 20 in 4.x. Adapters and hubs that are killed again and again would so turn
        // good documents into dead letters, and the queue of dead letters would drop them. The highest
        // number there is means never; "no limit" itself (-1) is not known to 3.10.
        let limit = AMQPValue::LongInt(Topology::DELIVERY_LIMIT);
        table.insert("x-delivery-limit".into(), limit);
        if queue.dead_letters {
            // It moves dead letters without confirm unless asked; asked, it wants to refuse publishes
            // rather than drop old messages when full (and it is never full: no maximum).
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
