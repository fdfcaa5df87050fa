//! RabbitMQ by lapin.
//!
//! Two connections, each made when first needed and then kept alive by its own supervisor (`link`): one
//! to consume, settle and declare on, one to publish on. They are apart because a broker that runs out of
//! memory stops reading from connections that publish, and acks must not wait behind that.

mod acks;
mod blame;
mod browse;
mod consumer;
mod convert;
mod declare;
mod fault;
mod link;
mod mend;
mod pending;
mod publisher;
mod runtime;
mod sieve;

pub(crate) use consumer::AmqpSettlement;
pub(crate) use convert::as_on_the_wire;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::broker::{Broker, BrokerError, BrokerState, NameHold, QueueDepth};
use crate::browse::Browser;
use crate::config::BrokerConfig;
use crate::consume::Consumer;
use crate::publish::Publisher;
use crate::topology::Topology;
use acks::Senders;
use browse::AmqpBrowser;
use consumer::AmqpConsumer;
use link::{GOODBYE, Link, LinkState, Role};
use publisher::AmqpPublisher;

/// A RabbitMQ broker, as one user.
pub struct AmqpBroker {
    config: Arc<BrokerConfig>,
    consuming: Link,
    publishing: Link,
    state: watch::Receiver<BrokerState>,
    senders: Senders,
}

impl AmqpBroker {
    /// Connects, and fails when that fails: for commands that want to say what is wrong.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] for a wrong user, password or virtual host, [`BrokerError::TimedOut`],
    /// [`BrokerError::Disconnected`] when there is no broker, [`BrokerError::Configuration`] for TLS.
    pub async fn connect(config: BrokerConfig) -> Result<Arc<Self>, BrokerError> {
        let broker = Self::start(config);
        match broker.consuming.first_attempt().await {
            Ok(()) => Ok(broker),
            Err(error) => {
                broker.close().await;
                Err(error)
            }
        }
    }

    /// Begins to connect and goes on trying for ever: for programs that run through broker restarts.
    /// Must be called within a tokio runtime.
    #[must_use]
    pub fn start(config: BrokerConfig) -> Arc<Self> {
        let config = Arc::new(config);
        // Both on one node, as long as all are well: of several, fewer can then fail this program.
        let first = config.first_turn();
        let consuming = Link::new(Role::Consume, Arc::clone(&config), first);
        let publishing = Link::new(Role::Publish, Arc::clone(&config), first);
        consuming.open();
        let state = merged_state(consuming.state(), publishing.state());
        Arc::new(Self {
            config,
            consuming,
            publishing,
            state,
            senders: Senders::new(),
        })
    }
}

#[async_trait]
impl Broker for AmqpBroker {
    async fn publisher(&self) -> Result<Arc<dyn Publisher>, BrokerError> {
        if self.publishing.is_closed() {
            return Err(BrokerError::Closed);
        }
        self.publishing.open();
        Ok(Arc::new(AmqpPublisher::start(
            Arc::clone(&self.config),
            self.publishing.clone(),
        )))
    }

    async fn consume(&self, queue: &str, prefetch: u16, tag: &str) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = AmqpConsumer::open(
            Arc::clone(&self.config),
            self.consuming.clone(),
            queue,
            prefetch,
            tag,
            self.senders.clone(),
        )
        .await?;
        Ok(Box::new(consumer))
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        declare::declare(&self.config, &self.consuming, topology).await
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }

    async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, BrokerError> {
        declare::queue_depth(&self.config, &self.consuming, queue).await
    }

    async fn browse(&self, queue: &str) -> Result<Box<dyn Browser>, BrokerError> {
        let browser = AmqpBrowser::open(&self.config, &self.consuming, queue).await?;
        Ok(Box::new(browser))
    }

    async fn hold_name(&self, hub: &str) -> Result<NameHold, BrokerError> {
        declare::hold_name(&self.config, &self.consuming, hub).await
    }

    async fn is_name_held(&self, hub: &str) -> Result<bool, BrokerError> {
        declare::is_name_held(&self.config, &self.consuming, hub).await
    }

    async fn close(&self) {
        // Acks that may leave do so first: what they settle would otherwise be handed out again.
        let _ = timeout(GOODBYE, self.senders.idle()).await;
        tokio::join!(self.publishing.close(), self.consuming.close());
    }
}

/// One state of two links: the worse one counts, and a link not yet needed does not count.
fn merged_state(
    mut consuming: watch::Receiver<LinkState>,
    mut publishing: watch::Receiver<LinkState>,
) -> watch::Receiver<BrokerState> {
    let merge = |consuming: &LinkState, publishing: &LinkState| {
        let (a, b) = (consuming.rank(), publishing.rank());
        if a >= b {
            consuming.shown()
        } else {
            publishing.shown()
        }
    };
    let (sender, receiver) = watch::channel(BrokerState::Connecting);
    tokio::spawn(async move {
        loop {
            let state = merge(&consuming.borrow_and_update(), &publishing.borrow_and_update());
            let closed = state == BrokerState::Closed;
            sender.send_if_modified(|old| {
                let changed = *old != state;
                *old = state;
                changed
            });
            // Ends with the links: their senders go when the broker is dropped.
            let alive = tokio::select! {
                changed = consuming.changed() => changed.is_ok(),
                changed = publishing.changed() => changed.is_ok(),
            };
            if closed || !alive {
                break;
            }
        }
    });
    receiver
}
