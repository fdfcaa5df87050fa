//! What a broker can do for the hub and for adapters, and how it fails.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::watch;

use crate::browse::Browser;
use crate::consume::Consumer;
use crate::publish::Publisher;
use crate::topology::Topology;

/// A broker one is connected to as one user.
///
/// All methods may be called from many tasks at once. Lost connections are made again by the broker
/// itself; a caller sees [`BrokerState`] change, its outstanding publishes fail, and its consumers go on.
#[async_trait]
pub trait Broker: Send + Sync {
    /// A publisher with a channel and a window of its own.
    ///
    /// # Errors
    /// [`BrokerError::Closed`]. A broker that is down is no error here: the publishes will wait for it.
    async fn publisher(&self) -> Result<Arc<dyn Publisher>, BrokerError>;

    /// Begins to consume `queue`, with at most `prefetch` unsettled messages (0 counts as 1: unbounded
    /// is never meant). `tag` names the consumer in the broker's management interface.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] without permission, [`BrokerError::NotFound`] without the queue,
    /// [`BrokerError::Disconnected`] or [`BrokerError::TimedOut`] when the broker is not there.
    async fn consume(&self, queue: &str, prefetch: u16, tag: &str) -> Result<Box<dyn Consumer>, BrokerError>;

    /// Declares exchanges, queues and bindings. Declaring again what is there changes nothing.
    ///
    /// # Errors
    /// [`BrokerError::Mismatch`] when an object exists with other arguments; the others as above.
    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError>;

    /// The state of the connection, as it changes.
    fn state(&self) -> watch::Receiver<BrokerState>;

    /// How many messages wait in `queue` (those handed out and not settled are not counted).
    ///
    /// # Errors
    /// As for [`Broker::consume`].
    async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, BrokerError>;

    /// Begins to look through `queue`, which nobody should be reading.
    ///
    /// # Errors
    /// As for [`Broker::consume`].
    async fn browse(&self, queue: &str) -> Result<Box<dyn Browser>, BrokerError>;

    /// Holds the name of a hub (`truc.hub.<name>`, an exclusive queue that nobody writes to) for as long as this
    /// connection lasts: to be asked for again after each new one. Only one connection can hold a name.
    ///
    /// # Errors
    /// As for [`Broker::declare`].
    async fn hold_name(&self, hub: &str) -> Result<NameHold, BrokerError>;

    /// Whether some connection holds the name of a hub, ours or another's.
    ///
    /// # Errors
    /// As for [`Broker::consume`]; also while the node that knows is away: then nobody can say.
    async fn is_name_held(&self, hub: &str) -> Result<bool, BrokerError>;

    /// Closes the connections. Outstanding publishes fail, consumers end, unsettled messages go back to
    /// their queues. Closing twice is harmless.
    async fn close(&self);
}

/// Who holds the name of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "two hubs of one name take each other's work away"]
pub enum NameHold {
    /// This connection.
    Ours,
    /// Another connection: a second hub of this name, or our own former life, whose end the broker has not
    /// noticed yet.
    Others,
}

/// The state of the connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BrokerState {
    /// The first connection is being made.
    Connecting,
    /// All is well.
    Up,
    /// Connected, but the broker takes no publishes, because its memory or disk runs out.
    Blocked {
        /// The broker's words, e.g. `low on memory`.
        reason: String,
    },
    /// Not connected; it is tried again and again.
    Down {
        /// Since when.
        since: Timestamp,
        /// Attempts since then that failed.
        attempt: u32,
        /// What the last one said. Without passwords.
        error: String,
    },
    /// Closed by us.
    Closed,
}

impl BrokerState {
    /// Whether messages can be consumed and settled.
    #[must_use]
    pub const fn is_connected(&self) -> bool {
        matches!(self, Self::Up | Self::Blocked { .. })
    }

    /// Whether publishes go through.
    #[must_use]
    pub const fn is_up(&self) -> bool {
        matches!(self, Self::Up)
    }
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueDepth {
    /// Messages ready for delivery.
    pub ready: u32,
    /// Consumers of the queue.
    pub consumers: u32,
}

/// What the layer below said, as text: lapin's and the system's errors are not ours to match on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    /// From an error of the layer below, with its own causes.
    #[must_use]
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        // Some layers repeat the text of their source; said once is enough.
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text.push_str(": ");
                text.push_str(&more);
            }
            source = error.source();
        }
        Self(text)
    }

    /// From words.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// Why a broker did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokerError {
    /// Closed by us.
    #[error("the connection to the broker was closed by this program")]
    Closed,
    /// No connection, or it was lost on the way.
    #[error("not connected to the broker")]
    Disconnected(#[source] Cause),
    /// No answer in time.
    #[error("the broker did not answer within {after_ms} ms: {doing}")]
    TimedOut {
        /// What was asked.
        doing: String,
        /// How long was waited.
        after_ms: u64,
    },
    /// The user may not do that, or does not exist, or the password is wrong.
    #[error("the broker refused: {reply}")]
    Refused {
        /// The broker's words.
        reply: String,
    },
    /// There is no such queue or exchange.
    #[error("'{name}' does not exist on the broker")]
    NotFound {
        /// Its name.
        name: String,
    },
    /// A queue or exchange exists with other arguments than ours.
    #[error(
        "'{name}' exists on the broker with other arguments ({reply}); empty it and delete it \
         (rabbitmqctl delete_queue {name} --if-empty), or set the queue type to the one it has"
    )]
    Mismatch {
        /// Its name.
        name: String,
        /// The broker's words.
        reply: String,
    },
    /// The address or the TLS material cannot be used.
    #[error("the broker's address or TLS settings cannot be used")]
    Configuration(#[source] Cause),
}
