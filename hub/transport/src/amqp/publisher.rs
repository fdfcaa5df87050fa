//! Publishing on one channel with a window of unconfirmed messages.
//!
//! Callers send directly, under a short lock; a task of its own, the keeper, opens the channel, collects
//! the broker's answers, and opens the channel again when it was closed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::ShortString;
use lapin::{Channel, Confirmation, Error, ErrorKind};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::convert::{short, to_amqp};
use super::fault::{Fault, millis, within};
use super::link::{Link, LinkState, Session};
use super::pending::{Answer, Health, Pending, Publishing, Returned, Sent, Woken};
use crate::broker::{BrokerError, Cause};
use crate::config::BrokerConfig;
use crate::message::OutMessage;
use crate::publish::{Confirming, PublishError, Publisher};

/// How often overdue confirms are looked for.
const OVERDUE_CHECK: Duration = Duration::from_millis(200);
/// How long the others under way are waited for when a message was nacked.
const AFTER_NACK: Duration = Duration::from_secs(1);
/// Doublings of the wait before a channel is opened anew while messages are nacked again and again.
const NACK_DOUBLINGS_MAX: u32 = 4;
/// A channel that served this long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);

/// Whether messages may go out now.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Gate {
    Shut(Cause),
    Blocked(String),
    Open,
    Closed,
}

/// See the top of this file.
pub(super) struct AmqpPublisher(Arc<Shared>);

struct Shared {
    config: Arc<BrokerConfig>,
    window: Arc<Semaphore>,
    gate: watch::Sender<Gate>,
    woken: Arc<Woken>,
    slot: Mutex<Slot>,
    /// The publisher was dropped; what is under way is still waited for.
    dropped: AtomicBool,
}

struct Slot {
    channel: Option<Channel>,
    pending: Pending,
}

impl Shared {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_gate(&self, gate: Gate) {
        self.gate.send_if_modified(|old| {
            let changed = *old != gate;
            *old = gate;
            changed
        });
    }
}

impl AmqpPublisher {
    pub(super) fn start(config: Arc<BrokerConfig>, link: Link) -> Self {
        let woken = Arc::new(Woken::default());
        let shared = Arc::new(Shared {
            window: Arc::new(Semaphore::new(config.window())),
            gate: watch::Sender::new(Gate::Shut(Cause::text("connecting"))),
            slot: Mutex::new(Slot {
                channel: None,
                pending: Pending::new(Arc::clone(&woken)),
            }),
            woken,
            dropped: AtomicBool::new(false),
            config,
        });
        tokio::spawn(keep(Arc::clone(&shared), link));
        Self(shared)
    }
}

impl Drop for AmqpPublisher {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
        self.0.woken.nudge();
    }
}

#[async_trait]
impl Publisher for AmqpPublisher {
    async fn publish(&self, message: OutMessage) -> Result<Confirming, PublishError> {
        let shared = &self.0;
        let limit = shared.config.max_body_bytes;
        if message.body.len() > limit {
            return Err(PublishError::TooLarge {
                size: message.body.len(),
                limit,
            });
        }
        let outgoing = Outgoing::of(message)?;
        let begun = Instant::now();
        let deadline = begun + shared.config.operation_timeout;
        let late = |gate: &Gate| late(gate, begun);

        let room = match timeout_at(deadline, Arc::clone(&shared.window).acquire_owned()).await {
            Ok(room) => room.map_err(|_| late(&Gate::Closed))?,
            Err(_) => return Err(late(&shared.gate.borrow())),
        };
        let mut gate = shared.gate.subscribe();
        loop {
            let open = gate.wait_for(|gate| matches!(gate, Gate::Open | Gate::Closed));
            match timeout_at(deadline, open).await {
                Ok(Ok(gate)) if *gate == Gate::Open => {}
                Ok(_) => return Err(late(&Gate::Closed)),
                Err(_) => return Err(late(&shared.gate.borrow())),
            }
            let mut slot = shared.slot();
            let live = slot
                .channel
                .as_ref()
                .filter(|channel| channel.status().connected())
                .cloned();
            if let Some(channel) = live {
                let (reply, confirming) = Confirming::channel();
                let overdue = Instant::now() + shared.config.confirm_timeout;
                let sent = outgoing.sent.clone();
                slot.pending.add(sent, outgoing.on(channel), reply, overdue, room);
                return Ok(confirming);
            }
            // The broker has closed the channel and the keeper does not know yet.
            drop(slot);
            shared.set_gate(Gate::Shut(Cause::text("the channel was closed")));
            shared.woken.nudge();
        }
    }
}

/// Why a message could not even be sent in time.
fn late(gate: &Gate, begun: Instant) -> PublishError {
    let waited_ms = millis(begun.elapsed());
    match gate {
        Gate::Blocked(reason) => PublishError::Blocked {
            reason: reason.clone(),
            waited_ms,
        },
        Gate::Shut(cause) => PublishError::Disconnected(cause.clone()),
        Gate::Closed => PublishError::Disconnected(Cause::of(&BrokerError::Closed)),
        // Connected and not blocked, but the window is full of messages nobody confirms.
        Gate::Open => PublishError::TimedOut { after_ms: waited_ms },
    }
}

/// A message in lapin's types.
struct Outgoing {
    sent: Sent,
    exchange: ShortString,
    routing_key: ShortString,
}

impl Outgoing {
    fn of(message: OutMessage) -> Result<Self, PublishError> {
        let unfit = |error: super::convert::TooLong| PublishError::Refused {
            reply: error.to_string(),
        };
        Ok(Self {
            exchange: short("exchange", &message.exchange).map_err(unfit)?,
            routing_key: short("routing key", &message.routing_key).map_err(unfit)?,
            sent: Sent {
                properties: to_amqp(&message.properties).map_err(unfit)?,
                exchange: message.exchange,
                routing_key: message.routing_key,
                body: message.body,
            },
        })
    }

    /// The publish as a future of its own.
    fn on(self, channel: Channel) -> Publishing {
        Box::pin(async move {
            let confirm = channel
                .basic_publish(
                    self.exchange,
                    self.routing_key,
                    BasicPublishOptions {
                        // A message that no queue takes comes back instead of vanishing.
                        mandatory: true,
                        // RabbitMQ does not know `immediate` and closes the connection for it.
                        immediate: false,
                    },
                    &self.sent.body,
                    self.sent.properties,
                )
                .await?;
            answer(confirm.await?)
        })
    }
}

fn answer(confirmation: Confirmation) -> Result<Answer, Error> {
    let returned = |message: lapin::message::BasicReturnMessage| Returned {
        exchange: message.delivery.exchange.as_str().to_owned(),
        routing_key: message.delivery.routing_key.as_str().to_owned(),
        properties: message.delivery.properties,
        body: message.delivery.data,
    };
    match confirmation {
        Confirmation::Ack(message) => Ok(Answer::Ack(message.map(returned))),
        Confirmation::Nack(message) => Ok(Answer::Nack(message.map(returned))),
        // Confirms are switched on before the channel is used, so this cannot be; and if it were, the
        // message would be unconfirmed.
        Confirmation::NotRequested => Err(ErrorKind::FutureCompleted.into()),
    }
}

/// Keeps a channel open and its answers flowing, until the publisher is gone or the broker is closed.
async fn keep(shared: Arc<Shared>, link: Link) {
    let mut attempt = 0;
    let mut nacks = 0;
    while let Some(session) = next_session(&shared, &link).await {
        let opened = tokio::select! {
            opened = open_channel(&shared.config, &session) => opened,
            () = gone(&link, &session) => Err(BrokerError::Disconnected(Cause::text("connection lost"))),
        };
        match opened {
            Ok(channel) => {
                attempt = 0;
                shared.slot().channel = Some(channel);
                let begun = Instant::now();
                let end = serve(&shared, &link, &session).await;
                if begun.elapsed() >= WELL_AFTER {
                    nacks = 0;
                }
                if end == End::Nacked {
                    tokio::time::sleep(shared.config.backoff(nacks)).await;
                    nacks = (nacks + 1).min(NACK_DOUBLINGS_MAX);
                }
            }
            Err(error) => {
                if matches!(error, BrokerError::TimedOut { .. }) {
                    session.give_up();
                }
                shared.set_gate(Gate::Shut(Cause::of(&error)));
                tokio::time::sleep(shared.config.backoff(attempt)).await;
                attempt += 1;
            }
        }
    }
    shared.set_gate(Gate::Closed);
    let mut slot = shared.slot();
    slot.channel = None;
    slot.pending.end(&Fault::Lost(Cause::of(&BrokerError::Closed)));
}

/// The next connection to work on; `None` when there is nothing left to do.
async fn next_session(shared: &Shared, link: &Link) -> Option<Arc<Session>> {
    let mut state = link.state();
    loop {
        if shared.dropped.load(Ordering::SeqCst) && shared.slot().pending.is_empty() {
            return None;
        }
        match &*state.borrow_and_update() {
            LinkState::Up(session) | LinkState::Blocked(session, _) => return Some(Arc::clone(session)),
            LinkState::Closed => return None,
            LinkState::Down { error, .. } => shared.set_gate(Gate::Shut(Cause::of(error))),
            LinkState::Idle | LinkState::Connecting => {}
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return None },
            () = shared.woken.wait() => {}
        }
    }
}

async fn open_channel(config: &BrokerConfig, session: &Session) -> Result<Channel, BrokerError> {
    let limit = config.operation_timeout;
    let channel = within(
        limit,
        "open a channel",
        "channel",
        session.connection().create_channel(),
    )
    .await?;
    // Without this the broker confirms nothing. `nowait` off: an answer is the proof.
    let confirms = channel.confirm_select(ConfirmSelectOptions { nowait: false });
    within(limit, "switch confirms on", "channel", confirms).await?;
    Ok(channel)
}

/// Why a channel is served no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It, its connection or its publisher has ended.
    Over,
    /// The broker nacked.
    Nacked,
}

/// Serves one open channel; returns when it or its connection has ended, with all entries answered.
///
/// A nack ends it, too. To publish into a quorum queue, RabbitMQ (3.10) asks at a channel's first message which node
/// leads the queue. When that node was lost a moment ago, the channel nacks, and goes on nacking as long as the node
/// is away, while another leads and a new channel would know. Nothing but a new channel helps.
async fn serve(shared: &Shared, link: &Link, session: &Arc<Session>) -> End {
    let mut state = link.state();
    let mut overdue = tokio::time::interval(OVERDUE_CHECK);
    let mut nacked: Option<Instant> = None;
    let fault = loop {
        match &*state.borrow_and_update() {
            LinkState::Up(_) | LinkState::Blocked(..) if nacked.is_some() => {
                shared.set_gate(Gate::Shut(Cause::text("the broker nacked")));
            }
            LinkState::Up(live) if Arc::ptr_eq(live, session) => shared.set_gate(Gate::Open),
            LinkState::Blocked(live, reason) if Arc::ptr_eq(live, session) => {
                shared.set_gate(Gate::Blocked(reason.clone()));
            }
            LinkState::Down { error, .. } => break Fault::Lost(Cause::of(error)),
            _ => break Fault::Lost(Cause::text("the connection ended")),
        }
        tokio::select! {
            () = shared.woken.wait() => {}
            _ = state.changed() => {}
            _ = overdue.tick() => expire(shared, session),
        }
        let mut slot = shared.slot();
        match slot.pending.collect() {
            Health::Well => {}
            Health::Nacking => {
                nacked.get_or_insert_with(Instant::now);
            }
            Health::Ended => break Fault::Lost(Cause::text("the channel was closed")),
        }
        if let Some(since) = nacked {
            // Nobody sends on it any more; what is under way may have better luck.
            slot.channel = None;
            if slot.pending.is_empty() || since.elapsed() >= AFTER_NACK {
                break Fault::Lost(Cause::text("the broker nacked, the channel is opened anew"));
            }
            continue;
        }
        let connected = slot
            .channel
            .as_ref()
            .is_some_and(|channel| channel.status().connected());
        if !connected && slot.pending.is_empty() {
            break Fault::Lost(Cause::text("the channel was closed"));
        }
        if shared.dropped.load(Ordering::SeqCst) && slot.pending.is_empty() {
            break Fault::Lost(Cause::text("the publisher was dropped"));
        }
    };
    let cause = match &fault {
        Fault::Lost(cause) => cause.clone(),
        Fault::Refused(reply)
        | Fault::NotFound(reply)
        | Fault::Precondition(reply)
        | Fault::Locked(reply) => Cause::text(reply),
    };
    shared.set_gate(Gate::Shut(cause));
    let mut slot = shared.slot();
    slot.channel = None;
    slot.pending.end(&fault);
    match nacked {
        Some(_) => End::Nacked,
        None => End::Over,
    }
}

/// Resolves when `session` is not the live connection any more.
async fn gone(link: &Link, session: &Arc<Session>) {
    let _ = link.state().wait_for(|state| !state.is_on(session)).await;
}

/// Tells those who waited too long; a connection that confirms nothing and is not blocked is ill.
fn expire(shared: &Shared, session: &Session) {
    let gate = shared.gate.borrow().clone();
    let after_ms = millis(shared.config.confirm_timeout);
    let error = match &gate {
        Gate::Blocked(reason) => PublishError::Blocked {
            reason: reason.clone(),
            waited_ms: after_ms,
        },
        _ => PublishError::TimedOut { after_ms },
    };
    let any = shared.slot().pending.expire(Instant::now(), &error);
    if any && !matches!(gate, Gate::Blocked(_)) {
        session.give_up();
    }
}
