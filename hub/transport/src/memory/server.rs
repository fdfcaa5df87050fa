//! The broker behind the connections: queues, bindings, consumers and their unsettled messages.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};
use truc_model::Clock;
use truc_model::wire::{DEAD_EXCHANGE, SUBMIT_EXCHANGE};

use super::rights::{User, refusal};
use crate::amqp::as_on_the_wire;
use crate::broker::{BrokerError, BrokerState, Cause, NameHold, QueueDepth};
use crate::consume::{Message, SettleError, Verdict};
use crate::message::{HeaderValue, OutMessage};
use crate::publish::PublishError;
use crate::topology::{QueueSpec, QueueType, Topology, hub_queue};

/// A connection.
pub(super) type ConnectionId = u64;
/// A consumer.
pub(super) type ConsumerId = u64;

/// The broker.
pub(super) struct Server {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Something changed that a waiting consumer or publisher may care for.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    connections: BTreeMap<ConnectionId, Connection>,
    exchanges: Vec<&'static str>,
    queues: BTreeMap<String, Queue>,
    consumers: BTreeMap<ConsumerId, ConsumerEntry>,
    /// The names of hubs, and who holds them.
    names: BTreeMap<String, ConnectionId>,
    next: u64,
    health: Health,
    nacks: usize,
}

#[derive(Default, Clone)]
enum Health {
    #[default]
    Up,
    Blocked(String),
    Down(BrokerState),
}

struct Connection {
    user: User,
    state: watch::Sender<BrokerState>,
}

struct Queue {
    spec: QueueSpec,
    queue_type: QueueType,
    /// By priority, highest first, then in the order of arrival; a message put back takes its old place.
    ready: BTreeMap<(Reverse<u8>, u64), Message>,
}

struct ConsumerEntry {
    connection: ConnectionId,
    queue: String,
    reader: Reader,
    unsettled: BTreeMap<u64, (Reverse<u8>, Message)>,
    /// Settlements that someone still holds.
    held: usize,
    /// Rises when the connection is lost: settlements of before are stale.
    epoch: u64,
    /// The consumer itself was dropped.
    dropped: bool,
}

/// Who reads a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// A consumer, with its prefetch.
    Consumer(u16),
    /// A browser: not counted among the consumers, and without a prefetch.
    Browser,
}

/// Which message a settlement is for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ticket {
    pub(super) consumer: ConsumerId,
    tag: u64,
    epoch: u64,
}

/// Whether a publish can be tried now.
pub(super) enum Entrance {
    Open,
    Wait(PublishError),
    Closed,
}

impl Server {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            state: Mutex::new(State::default()),
            changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connect(&self, user: User) -> (ConnectionId, watch::Receiver<BrokerState>) {
        let mut state = self.lock();
        let id = state.number();
        let (sender, receiver) = watch::channel(state.health.shown());
        state.connections.insert(id, Connection { user, state: sender });
        (id, receiver)
    }

    pub(super) fn alive(&self, connection: ConnectionId) -> Result<(), BrokerError> {
        self.lock().user(connection).map(drop)
    }

    pub(super) fn reachable(&self) -> Result<(), BrokerError> {
        self.lock().reachable()
    }

    pub(super) fn close(&self, connection: ConnectionId) {
        let mut state = self.lock();
        let consumers: Vec<_> = state
            .consumers
            .iter()
            .filter(|(_, consumer)| consumer.connection == connection)
            .map(|(id, _)| *id)
            .collect();
        for consumer in consumers {
            state.put_back(consumer);
            state.consumers.remove(&consumer);
        }
        state.names.retain(|_, holder| *holder != connection);
        if let Some(closed) = state.connections.remove(&connection) {
            closed.state.send_replace(BrokerState::Closed);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn go_down(&self, error: &str) {
        let down = BrokerState::Down {
            since: self.clock.now(),
            attempt: 0,
            error: error.to_owned(),
        };
        let mut state = self.lock();
        let consumers: Vec<_> = state.consumers.keys().copied().collect();
        for consumer in consumers {
            state.put_back(consumer);
            state.end_if_done(consumer);
        }
        state.names.clear();
        state.set_health(Health::Down(down));
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn come_up(&self) {
        self.lock().set_health(Health::Up);
        self.changed.notify_waiters();
    }

    pub(super) fn set_blocked(&self, reason: Option<&str>) {
        let health = reason.map_or(Health::Up, |reason| Health::Blocked(reason.to_owned()));
        self.lock().set_health(health);
        self.changed.notify_waiters();
    }

    pub(super) fn nack_next(&self, count: usize) {
        self.lock().nacks = count;
    }

    pub(super) fn delete_queue(&self, queue: &str) {
        self.lock().queues.remove(queue);
    }

    pub(super) fn peek(&self, queue: &str) -> Vec<Message> {
        let state = self.lock();
        let found = state.queues.get(queue);
        found
            .map(|queue| queue.ready.values().cloned().collect())
            .unwrap_or_default()
    }

    pub(super) fn declare(&self, connection: ConnectionId, topology: &Topology) -> Result<(), BrokerError> {
        let mut state = self.lock();
        let user = state.user(connection)?;
        state.reachable()?;
        if !user.may_declare() {
            return Err(BrokerError::Refused {
                reply: refusal(&user, "configure access", "exchange", SUBMIT_EXCHANGE),
            });
        }
        state.exchanges = Topology::exchanges().map(|(name, _)| name).to_vec();
        for spec in topology.queues() {
            match state.queues.get(&spec.name) {
                Some(queue) if queue.spec == spec && queue.queue_type == topology.queue_type => {}
                Some(queue) => {
                    let reply = format!(
                        "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue '{}': received \
                         '{}' but current is '{}'",
                        spec.name,
                        topology.queue_type.as_str(),
                        queue.queue_type.as_str()
                    );
                    return Err(BrokerError::Mismatch {
                        name: spec.name,
                        reply,
                    });
                }
                None => {
                    let queue = Queue {
                        spec: spec.clone(),
                        queue_type: topology.queue_type,
                        ready: BTreeMap::new(),
                    };
                    state.queues.insert(spec.name, queue);
                }
            }
        }
        Ok(())
    }

    pub(super) fn hold_name(&self, connection: ConnectionId, hub: &str) -> Result<NameHold, BrokerError> {
        let mut state = self.lock();
        let user = state.user(connection)?;
        state.reachable()?;
        if !user.may_declare() {
            return Err(BrokerError::Refused {
                reply: refusal(&user, "configure access", "queue", &hub_queue(hub)),
            });
        }
        let holder = *state.names.entry(hub.to_owned()).or_insert(connection);
        Ok(if holder == connection {
            NameHold::Ours
        } else {
            NameHold::Others
        })
    }

    pub(super) fn is_name_held(&self, connection: ConnectionId, hub: &str) -> Result<bool, BrokerError> {
        let state = self.lock();
        state.user(connection)?;
        state.reachable()?;
        Ok(state.names.contains_key(hub))
    }

    pub(super) fn queue_depth(
        &self,
        connection: ConnectionId,
        queue: &str,
    ) -> Result<QueueDepth, BrokerError> {
        let state = self.lock();
        // RabbitMQ asks for no right to look at a queue by name.
        state.user(connection)?;
        state.reachable()?;
        let found = state.queues.get(queue).ok_or_else(|| not_found(queue))?;
        let consumers = state
            .consumers
            .values()
            .filter(|consumer| consumer.queue == queue && !consumer.dropped)
            .filter(|consumer| consumer.reader != Reader::Browser);
        Ok(QueueDepth {
            ready: u32::try_from(found.ready.len()).unwrap_or(u32::MAX),
            consumers: u32::try_from(consumers.count()).unwrap_or(u32::MAX),
        })
    }

    pub(super) fn consume(
        &self,
        connection: ConnectionId,
        queue: &str,
        reader: Reader,
    ) -> Result<ConsumerId, BrokerError> {
        let mut state = self.lock();
        let user = state.user(connection)?;
        state.reachable()?;
        if !state.queues.contains_key(queue) {
            return Err(not_found(queue));
        }
        if !user.may_read(queue) {
            return Err(BrokerError::Refused {
                reply: refusal(&user, "read access", "queue", queue),
            });
        }
        let id = state.number();
        state.consumers.insert(
            id,
            ConsumerEntry {
                connection,
                queue: queue.to_owned(),
                reader,
                unsettled: BTreeMap::new(),
                held: 0,
                epoch: 0,
                dropped: false,
            },
        );
        Ok(id)
    }

    /// Whether a publish of this connection can be tried now.
    pub(super) fn entrance(&self, connection: ConnectionId) -> Entrance {
        let state = self.lock();
        if !state.connections.contains_key(&connection) {
            return Entrance::Closed;
        }
        match &state.health {
            Health::Up => Entrance::Open,
            Health::Blocked(reason) => Entrance::Wait(PublishError::Blocked {
                reason: reason.clone(),
                waited_ms: 0,
            }),
            Health::Down(down) => Entrance::Wait(PublishError::Disconnected(Cause::text(match down {
                BrokerState::Down { error, .. } => error.as_str(),
                _ => "down",
            }))),
        }
    }

    /// The broker's answer to a publish.
    pub(super) fn publish(&self, connection: ConnectionId, message: OutMessage) -> Result<(), PublishError> {
        let mut state = self.lock();
        let user = state
            .user(connection)
            .map_err(|error| PublishError::Disconnected(Cause::of(&error)))?;
        let OutMessage {
            exchange,
            routing_key,
            properties,
            body,
        } = message;
        if !user.may_write(&exchange) {
            return Err(PublishError::Refused {
                reply: refusal(&user, "write access", "exchange", &exchange),
            });
        }
        if let Some(claimed) = properties.user_id.as_deref()
            && claimed != user.name()
        {
            return Err(PublishError::Refused {
                reply: format!(
                    "PRECONDITION_FAILED - user_id property set to '{claimed}' but authenticated user was '{}'",
                    user.name()
                ),
            });
        }
        if !exchange.is_empty() && !state.exchanges.contains(&exchange.as_str()) {
            return Err(PublishError::Refused {
                reply: format!("NOT_FOUND - no exchange '{exchange}' in vhost '/'"),
            });
        }
        let properties = as_on_the_wire(&properties).map_err(|reply| PublishError::Refused { reply })?;
        if state.nacks > 0 {
            state.nacks -= 1;
            return Err(PublishError::Nacked);
        }
        let message = Message {
            body: body.to_vec(),
            properties,
            redelivered: false,
            exchange,
            routing_key,
        };
        let (exchange, routing_key) = (message.exchange.clone(), message.routing_key.clone());
        let kept = state.route(message);
        drop(state);
        if !kept {
            return Err(PublishError::Unroutable {
                exchange,
                routing_key,
            });
        }
        self.changed.notify_waiters();
        Ok(())
    }

    /// The next message for a consumer, if it may have one now; an error when its connection was closed.
    pub(super) fn take(&self, consumer: ConsumerId) -> Result<Option<(Message, Ticket)>, BrokerError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let entry = state.consumers.get_mut(&consumer).ok_or(BrokerError::Closed)?;
        let is_full = match entry.reader {
            Reader::Consumer(prefetch) => entry.unsettled.len() >= prefetch.into(),
            Reader::Browser => false,
        };
        if matches!(state.health, Health::Down(_)) || is_full {
            return Ok(None);
        }
        let queue = state.queues.get_mut(&entry.queue);
        let Some(((priority, tag), message)) = queue.and_then(|queue| queue.ready.pop_first()) else {
            return Ok(None);
        };
        entry.unsettled.insert(tag, (priority, message.clone()));
        entry.held += 1;
        let ticket = Ticket {
            consumer,
            tag,
            epoch: entry.epoch,
        };
        Ok(Some((message, ticket)))
    }

    pub(super) fn settle(&self, ticket: Ticket, verdict: Verdict) -> Result<(), SettleError> {
        let mut state = self.lock();
        let entry = state
            .consumers
            .get_mut(&ticket.consumer)
            .filter(|entry| entry.epoch == ticket.epoch)
            .ok_or(SettleError::Stale)?;
        let (priority, mut message) = entry.unsettled.remove(&ticket.tag).ok_or(SettleError::Stale)?;
        let queue = entry.queue.clone();
        match verdict {
            Verdict::Ack => {}
            Verdict::Requeue => {
                message.redelivered = true;
                if let Some(queue) = state.queues.get_mut(&queue) {
                    queue.ready.insert((priority, ticket.tag), message);
                }
            }
            Verdict::DeadLetter => state.bury(&queue, message),
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(())
    }

    /// A settlement is not held any more, used or not.
    pub(super) fn let_go(&self, ticket: Ticket) {
        let mut state = self.lock();
        if let Some(entry) = state.consumers.get_mut(&ticket.consumer)
            && entry.epoch == ticket.epoch
        {
            entry.held = entry.held.saturating_sub(1);
        }
        state.end_if_done(ticket.consumer);
        drop(state);
        self.changed.notify_waiters();
    }

    /// A consumer was dropped.
    pub(super) fn drop_consumer(&self, consumer: ConsumerId) {
        let mut state = self.lock();
        if let Some(entry) = state.consumers.get_mut(&consumer) {
            entry.dropped = true;
        }
        state.end_if_done(consumer);
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn user(&self, connection: ConnectionId) -> Result<User, BrokerError> {
        let found = self.connections.get(&connection);
        found
            .map(|connection| connection.user.clone())
            .ok_or(BrokerError::Closed)
    }

    fn reachable(&self) -> Result<(), BrokerError> {
        match &self.health {
            Health::Down(BrokerState::Down { error, .. }) => {
                Err(BrokerError::Disconnected(Cause::text(error.as_str())))
            }
            _ => Ok(()),
        }
    }

    fn set_health(&mut self, health: Health) {
        let shown = health.shown();
        self.health = health;
        for connection in self.connections.values() {
            connection.state.send_replace(shown.clone());
        }
    }

    /// Into every queue the message is for; whether there was one.
    fn route(&mut self, message: Message) -> bool {
        let to: Vec<String> = self
            .queues
            .values()
            .filter(|queue| {
                let spec = &queue.spec;
                match message.exchange.as_str() {
                    // The default exchange knows every queue by its name.
                    "" => spec.name == message.routing_key,
                    DEAD_EXCHANGE => spec.exchange == DEAD_EXCHANGE,
                    exchange => spec.exchange == exchange && spec.routing_key == message.routing_key,
                }
            })
            .map(|queue| queue.spec.name.clone())
            .collect();
        for name in &to {
            let tag = self.number();
            if let Some(queue) = self.queues.get_mut(name) {
                let priority = if queue.spec.priorities {
                    let asked = message.properties.priority.unwrap_or(0);
                    asked.min(Topology::MAX_PRIORITY)
                } else {
                    0
                };
                queue.ready.insert((Reverse(priority), tag), message.clone());
            }
        }
        !to.is_empty()
    }

    /// To the dead letters, with RabbitMQ's headers that say from where.
    fn bury(&mut self, queue: &str, mut message: Message) {
        let dies = self
            .queues
            .get(queue)
            .is_some_and(|queue| queue.spec.dead_letters);
        if !dies {
            return;
        }
        let headers = &mut message.properties.headers;
        let from = std::mem::replace(&mut message.exchange, DEAD_EXCHANGE.to_owned());
        for (name, value) in [
            ("x-first-death-queue", queue),
            ("x-first-death-exchange", &from),
            ("x-first-death-reason", "rejected"),
        ] {
            headers.entry(name.to_owned()).or_insert_with(|| value.into());
        }
        // RabbitMQ's list of tables reads as an empty list here.
        headers
            .entry("x-death".to_owned())
            .or_insert(HeaderValue::List(Vec::new()));
        message.redelivered = false;
        self.route(message);
    }

    /// A consumer's connection or channel is gone: everything unsettled goes back to its place.
    fn put_back(&mut self, consumer: ConsumerId) {
        let Some(entry) = self.consumers.get_mut(&consumer) else {
            return;
        };
        entry.epoch += 1;
        entry.held = 0;
        let unsettled = std::mem::take(&mut entry.unsettled);
        if let Some(queue) = self.queues.get_mut(&entry.queue) {
            for (tag, (priority, mut message)) in unsettled {
                message.redelivered = true;
                queue.ready.insert((priority, tag), message);
            }
        }
    }

    fn end_if_done(&mut self, consumer: ConsumerId) {
        let done = self
            .consumers
            .get(&consumer)
            .is_some_and(|entry| entry.dropped && entry.held == 0);
        if done {
            self.put_back(consumer);
            self.consumers.remove(&consumer);
        }
    }
}

impl Health {
    fn shown(&self) -> BrokerState {
        match self {
            Self::Up => BrokerState::Up,
            Self::Blocked(reason) => BrokerState::Blocked {
                reason: reason.clone(),
            },
            Self::Down(down) => down.clone(),
        }
    }
}

fn not_found(name: &str) -> BrokerError {
    BrokerError::NotFound {
        name: name.to_owned(),
    }
}
