//! Transport of Trục: messages over AMQP 0-9-1 (RabbitMQ 3.10 to 4.x), with an in-memory twin.
//!
//! It knows bytes, properties and headers; it knows nothing of documents. Reading order:
//! [`Broker`] (what a broker can do), [`Publisher`] and [`Consumer`] (the two directions), [`Topology`]
//! (what the hub declares), [`AmqpBroker`] (RabbitMQ by lapin), [`MemoryBroker`] (the twin for tests),
//! [`Accounts`] (users and permissions by RabbitMQ's management interface) and [`private_node`] (a
//! RabbitMQ of one's own for the demo and the tests).
//!
//! Three rules hold everywhere in this crate:
//! - a publish is a success only when the broker confirmed it *and* did not return it;
//! - a message is settled by value, and forgetting to settle it means that the broker keeps it;
//! - no await on the network is without a time-out.

mod accounts;
mod amqp;
mod broker;
mod browse;
mod config;
mod consume;
pub mod memory;
mod message;
pub mod private_node;
mod publish;
mod topology;

pub use accounts::{Account, Accounts, AccountsError, ClusterNode, Overview};
pub use amqp::AmqpBroker;
pub use broker::{Broker, BrokerError, BrokerState, Cause, NameHold, QueueDepth};
pub use browse::{Browser, Seen};
pub use config::{Acking, BrokerConfig, Tls, TlsIdentity, Url, UrlError};
pub use consume::{Consumer, Delivery, Message, SettleError, Settlement};
pub use memory::MemoryBroker;
pub use message::{HeaderValue, OutMessage, Properties};
pub use publish::{Confirmed, Confirming, PublishError, Publisher};
pub use topology::{QueueType, Topology, system_permissions};

/// Log filter for the AMQP library, to be appended to the filter of every program that uses this crate.
///
/// lapin logs a returned message with its whole body at level `warn`, and frames at `trace`. Bodies are
/// documents, and documents do not belong in logs. What matters of lapin's errors reaches the caller.
pub const LOG_FILTER: &str = "lapin=off,amq_protocol=off";
