//! The twin of RabbitMQ in memory: the same behaviour towards callers, without a process or a network.
//!
//! One [`MemoryBroker`] is one connection of one user; [`MemoryBroker::as_user`] and
//! [`MemoryBroker::as_system`] make further ones to the same broker. It keeps what matters to a hub and to
//! adapters: confirms, `mandatory`, priorities, prefetch, redelivery on drop and on lost connections,
//! dead letters, permissions and the check of `user_id`. It leaves out what they do not use: other kinds
//! of exchange, transactions, expiry. The tests of this crate run one suite against both.

mod browse;
mod consumer;
mod publisher;
mod rights;
mod server;

pub(crate) use consumer::MemorySettlement;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use truc_model::{Clock, SystemClock, SystemId};

use crate::broker::{Broker, BrokerError, BrokerState, NameHold, QueueDepth};
use crate::browse::Browser;
use crate::consume::{Consumer, Message};
use crate::publish::Publisher;
use crate::topology::Topology;
use browse::MemoryBrowser;
use consumer::MemoryConsumer;
use publisher::MemoryPublisher;
use rights::User;
use server::{ConnectionId, Reader, Server};

/// One connection to a broker in memory. Its publishers and consumers outlive it; [`Broker::close`] ends
/// them.
pub struct MemoryBroker {
    server: Arc<Server>,
    connection: ConnectionId,
    state: watch::Receiver<BrokerState>,
}

impl MemoryBroker {
    /// The user of [`MemoryBroker::new`].
    pub const ADMIN: &'static str = "truc-admin";
    /// Largest body, in bytes.
    pub const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;
    /// Longest wait of a publish for a broker that is blocked or down (tokio's time).
    pub const PATIENCE: Duration = Duration::from_secs(15);

    /// A new, empty broker, and a connection of its administrator.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// The same, with a clock for [`BrokerState::Down`].
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self::connect(
            Arc::new(Server::new(clock)),
            User::Administrator(Self::ADMIN.to_owned()),
        )
    }

    /// A connection of another administrator, e.g. the hub's user.
    #[must_use]
    pub fn as_user(&self, name: &str) -> Self {
        Self::connect(Arc::clone(&self.server), User::Administrator(name.to_owned()))
    }

    /// A connection of a system, with a system's rights ([`crate::system_permissions`]).
    #[must_use]
    pub fn as_system(&self, system: &SystemId) -> Self {
        Self::connect(Arc::clone(&self.server), User::System(system.clone()))
    }

    fn connect(server: Arc<Server>, user: User) -> Self {
        let (connection, state) = server.connect(user);
        Self {
            server,
            connection,
            state,
        }
    }

    /// The broker goes away: connections are lost, unsettled messages go back to their queues.
    pub fn go_down(&self, error: &str) {
        self.server.go_down(error);
    }

    /// The broker is back, with all its messages.
    pub fn come_up(&self) {
        self.server.come_up();
    }

    /// The broker takes no publishes, or takes them again.
    pub fn set_blocked(&self, reason: Option<&str>) {
        self.server.set_blocked(reason);
    }

    /// The next `count` publishes of anyone are nacked.
    pub fn nack_next(&self, count: usize) {
        self.server.nack_next(count);
    }

    /// Deletes a queue with what is in it, as an operator can.
    pub fn delete_queue(&self, queue: &str) {
        self.server.delete_queue(queue);
    }

    /// The messages ready in a queue, next one first, without taking them.
    #[must_use]
    pub fn peek(&self, queue: &str) -> Vec<Message> {
        self.server.peek(queue)
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publisher(&self) -> Result<Arc<dyn Publisher>, BrokerError> {
        self.server.alive(self.connection)?;
        Ok(Arc::new(MemoryPublisher::new(
            Arc::clone(&self.server),
            self.connection,
        )))
    }

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
        _tag: &str,
    ) -> Result<Box<dyn Consumer>, BrokerError> {
        let consumer = self
            .server
            .consume(self.connection, queue, Reader::Consumer(prefetch.max(1)))?;
        Ok(Box::new(MemoryConsumer::new(Arc::clone(&self.server), consumer)))
    }

    async fn declare(&self, topology: &Topology) -> Result<(), BrokerError> {
        self.server.declare(self.connection, topology)
    }

    fn state(&self) -> watch::Receiver<BrokerState> {
        self.state.clone()
    }

    async fn queue_depth(&self, queue: &str) -> Result<QueueDepth, BrokerError> {
        self.server.queue_depth(self.connection, queue)
    }

    async fn browse(&self, queue: &str) -> Result<Box<dyn Browser>, BrokerError> {
        let reader = self.server.consume(self.connection, queue, Reader::Browser)?;
        Ok(Box::new(MemoryBrowser::new(Arc::clone(&self.server), reader)))
    }

    async fn hold_name(&self, hub: &str) -> Result<NameHold, BrokerError> {
        self.server.hold_name(self.connection, hub)
    }

    async fn is_name_held(&self, hub: &str) -> Result<bool, BrokerError> {
        self.server.is_name_held(self.connection, hub)
    }

    async fn close(&self) {
        self.server.close(self.connection);
    }
}
