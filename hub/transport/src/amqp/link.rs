//! One connection, made anew as often as it is lost.
//!
//! Why not lapin's own recovery (4.12): it replays what it thinks was declared, keeps publishers waiting
//! with confirms of an unknown past, and its edge cases were still being mended in each recent release.
//! Here a lost connection is simply over: its outstanding publishes fail, its settlements are stale, and a
//! new one is made. That is easy to reason about, and all users of this crate repeat and recognise
//! repetitions anyway.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;
use lapin::tcp::{AsyncTcpStream, OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, Event};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::fault::{Fault, timed_out};
use super::runtime;
use super::sieve::Sieve;
use crate::broker::{BrokerError, BrokerState, Cause};
use crate::config::{BrokerConfig, Url};

/// How often a connection is asked whether it still lives, besides listening to its events.
const PULSE: Duration = Duration::from_millis(500);
/// Longest wait for the broker's good-bye.
pub(super) const GOODBYE: Duration = Duration::from_secs(2);

/// What happens to a connection.
type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

/// What a connection is for; part of its name in the management interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Consume,
    Publish,
}

/// One live connection.
pub(super) struct Session {
    connection: Connection,
    socket: Socket,
    ill: Notify,
}

impl Session {
    /// For channels.
    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// A user of the connection found that it does not answer: make a new one.
    pub(super) fn give_up(&self) {
        self.ill.notify_one();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // lapin's thread ends when the socket does; without this it could wait for a silent peer for ever.
        self.socket.shut_down();
    }
}

/// What a link is doing.
#[derive(Clone)]
pub(super) enum LinkState {
    /// Nobody needed it yet.
    Idle,
    Connecting,
    Up(Arc<Session>),
    Blocked(Arc<Session>, String),
    Down {
        since: Timestamp,
        attempt: u32,
        error: BrokerError,
    },
    Closed,
}

impl LinkState {
    /// The live connection, if there is one.
    pub(super) const fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Up(session) | Self::Blocked(session, _) => Some(session),
            _ => None,
        }
    }

    /// Whether `session` is the live one.
    pub(super) fn is_on(&self, session: &Arc<Session>) -> bool {
        self.session().is_some_and(|live| Arc::ptr_eq(live, session))
    }

    /// Order of badness, for the state of a broker with two links.
    pub(super) const fn rank(&self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Up(_) => 1,
            Self::Blocked(..) => 2,
            Self::Connecting => 3,
            Self::Down { .. } => 4,
            Self::Closed => 5,
        }
    }

    /// For the outside.
    pub(super) fn shown(&self) -> BrokerState {
        match self {
            Self::Idle | Self::Connecting => BrokerState::Connecting,
            Self::Up(_) => BrokerState::Up,
            Self::Blocked(_, reason) => BrokerState::Blocked {
                reason: reason.clone(),
            },
            Self::Down {
                since,
                attempt,
                error,
            } => BrokerState::Down {
                since: *since,
                attempt: *attempt,
                error: Cause::of(error).to_string(),
            },
            Self::Closed => BrokerState::Closed,
        }
    }
}

/// A connection that is kept alive. Clones share it; it ends with the last clone.
#[derive(Clone)]
pub(super) struct Link(Arc<Inner>);

struct Inner {
    role: Role,
    config: Arc<BrokerConfig>,
    /// The node to begin with.
    first: usize,
    state: Arc<watch::Sender<LinkState>>,
    opened: AtomicBool,
    close: watch::Sender<bool>,
}

impl Link {
    /// `first` is the node to begin with: see [`BrokerConfig::first_turn`].
    pub(super) fn new(role: Role, config: Arc<BrokerConfig>, first: usize) -> Self {
        Self(Arc::new(Inner {
            role,
            config,
            first,
            state: Arc::new(watch::Sender::new(LinkState::Idle)),
            opened: AtomicBool::new(false),
            close: watch::Sender::new(false),
        }))
    }

    /// Begins to connect, if that has not begun yet.
    pub(super) fn open(&self) {
        if self.is_closed() || self.0.opened.swap(true, Ordering::SeqCst) {
            return;
        }
        tokio::spawn(supervise(
            self.0.role,
            Arc::clone(&self.0.config),
            self.0.first,
            Arc::clone(&self.0.state),
            self.0.close.subscribe(),
        ));
    }

    pub(super) fn state(&self) -> watch::Receiver<LinkState> {
        self.0.state.subscribe()
    }

    pub(super) fn is_closed(&self) -> bool {
        *self.0.close.borrow()
    }

    /// The outcome of the first attempt to connect; of one to each node, when there are several.
    pub(super) async fn first_attempt(&self) -> Result<(), BrokerError> {
        let mut state = self.state();
        let settled = state
            .wait_for(|state| !matches!(state, LinkState::Idle | LinkState::Connecting))
            .await
            .map_err(|_| BrokerError::Closed)?;
        match &*settled {
            LinkState::Down { error, .. } => Err(error.clone()),
            LinkState::Closed => Err(BrokerError::Closed),
            _ => Ok(()),
        }
    }

    /// The live connection; waits for one for as long as an operation may take.
    pub(super) async fn session(&self) -> Result<Arc<Session>, BrokerError> {
        self.open();
        let deadline = Instant::now() + self.0.config.operation_timeout;
        match timeout_at(deadline, self.session_some_day()).await {
            Ok(Some(session)) => Ok(session),
            Ok(None) => Err(BrokerError::Closed),
            Err(_) => match &*self.0.state.borrow() {
                LinkState::Down { error, .. } => Err(error.clone()),
                _ => Err(timed_out(self.0.config.operation_timeout, "connect")),
            },
        }
    }

    /// The live connection, however long it takes; `None` when the link was closed.
    pub(super) async fn session_some_day(&self) -> Option<Arc<Session>> {
        let mut state = self.state();
        let found = state
            .wait_for(|state| state.session().is_some() || matches!(state, LinkState::Closed))
            .await
            .ok()?;
        found.session().cloned()
    }

    /// Says good-bye to the broker and ends the supervisor.
    pub(super) async fn close(&self) {
        self.0.close.send_replace(true);
        if self.0.opened.swap(true, Ordering::SeqCst) {
            let mut state = self.state();
            // The supervisor needs at most this for its last steps; then there is nothing left to wait for.
            let _ = timeout(
                GOODBYE * 2,
                state.wait_for(|state| matches!(state, LinkState::Closed)),
            )
            .await;
        }
        self.0.state.send_replace(LinkState::Closed);
    }
}

/// Connects, watches, connects again, until told to close or until nobody is left who could use it.
///
/// A connection that is lost is made anew with the next node: whatever ended this one may last. Where it was made
/// it stays; nothing draws it back to the first node.
async fn supervise(
    role: Role,
    config: Arc<BrokerConfig>,
    first: usize,
    state: Arc<watch::Sender<LinkState>>,
    mut close: watch::Receiver<bool>,
) {
    state.send_replace(LinkState::Connecting);
    let hosts = u32::try_from(config.hosts()).unwrap_or(u32::MAX);
    let mut turn = first;
    let mut attempt = 0;
    let mut since = None;
    let mut was_up = false;
    let mut worst: Option<BrokerError> = None;
    loop {
        let url = config.url_at(turn);
        let outcome = tokio::select! {
            outcome = connect(role, &config, url, config.connect_limit(attempt)) => outcome,
            () = closed(&mut close) => break,
        };
        turn = turn.wrapping_add(1);
        let error = match outcome {
            Ok((session, events)) => {
                attempt = 0;
                since = None;
                worst = None;
                was_up = true;
                tracing::debug!(?role, broker = %url, "connected to the broker");
                state.send_replace(LinkState::Up(Arc::clone(&session)));
                let error = tokio::select! {
                    error = watch_over(&session, events, &state) => error,
                    () = closed(&mut close) => {
                        let goodbye = session.connection.close(200, "good-bye".into());
                        // A broker that does not answer is left without ceremony.
                        let _ = timeout(GOODBYE, goodbye).await;
                        break;
                    }
                };
                session.socket.shut_down();
                error
            }
            Err(error) => {
                attempt += 1;
                error
            }
        };
        let since = *since.get_or_insert_with(|| config.clock.now());
        if attempt <= hosts {
            tracing::warn!(?role, broker = %url, error = %Cause::of(&error), "no connection to the broker, trying again");
        }
        // A node that refuses says more than one that is not there.
        let shown = match worst.take() {
            Some(refused @ BrokerError::Refused { .. }) if attempt < hosts => refused,
            _ => error,
        };
        worst = Some(shown.clone());
        // At the first start nothing is lost before every node was asked.
        if was_up || attempt >= hosts {
            state.send_replace(LinkState::Down {
                since,
                attempt,
                error: shown,
            });
        }
        tokio::select! {
            () = tokio::time::sleep(config.wait_after(attempt)) => {}
            () = closed(&mut close) => break,
        }
    }
    state.send_replace(LinkState::Closed);
}

/// Resolves when the link is closed or forgotten.
async fn closed(close: &mut watch::Receiver<bool>) {
    let _ = close.wait_for(|close| *close).await;
}

/// Reports blocking as long as the connection lives; returns why it ended.
async fn watch_over(
    session: &Arc<Session>,
    mut events: Events,
    state: &watch::Sender<LinkState>,
) -> BrokerError {
    let mut pulse = tokio::time::interval(PULSE);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            () = session.ill.notified() => {
                return BrokerError::Disconnected(Cause::text("the broker stopped answering"));
            }
            _ = pulse.tick() => {
                // Events can be missed when the connection dies in an odd way; its status cannot.
                if session.connection.status().connected() {
                    continue;
                }
                return BrokerError::Disconnected(Cause::text("the connection ended"));
            }
        };
        match event {
            Some(Event::ConnectionBlocked(reason)) => {
                state.send_replace(LinkState::Blocked(Arc::clone(session), reason));
            }
            Some(Event::ConnectionUnblocked) => {
                state.send_replace(LinkState::Up(Arc::clone(session)));
            }
            // lapin reports the errors of channels here too; they are their users' matter.
            Some(Event::Error(_)) if session.connection.status().connected() => {}
            Some(Event::Error(error)) => {
                return match Fault::of(&error) {
                    Fault::Lost(cause) => BrokerError::Disconnected(cause),
                    Fault::Refused(reply)
                    | Fault::NotFound(reply)
                    | Fault::Precondition(reply)
                    | Fault::Locked(reply) => BrokerError::Disconnected(Cause::text(reply)),
                };
            }
            Some(_) => {}
            None => return BrokerError::Disconnected(Cause::text("the connection ended")),
        }
    }
}

/// Connects, encrypts and logs in, within the time allowed.
async fn connect(
    role: Role,
    config: &BrokerConfig,
    url: &Url,
    limit: Duration,
) -> Result<(Arc<Session>, Events), BrokerError> {
    let role = match role {
        Role::Consume => "consume",
        Role::Publish => "publish",
    };
    // Recovery stays off (see the top of this file), and so do lapin's own attempts to connect again.
    let properties = ConnectionProperties::default()
        .with_connection_name(format!("{} ({role})", config.connection_name).into());
    let tls = OwnedTLSConfig {
        identity: config.tls.identity.as_ref().map(|own| OwnedIdentity::PKCS8 {
            pem: own.certificate_pem.clone().into_bytes(),
            key: own.key_pem.clone().into_bytes(),
        }),
        cert_chain: config.tls.ca_pem.clone(),
    };
    let socket = Socket::default();
    let kept = socket.clone();
    let plain_runtime = async_rs::TokioRuntime::tokio_current();
    let connecting = Connection::connector(
        url.with_heartbeat(config.heartbeat),
        runtime::current(),
        async move |uri: AMQPUri, _| {
            let reach = async {
                let host = (uri.authority.host.as_str(), uri.authority.port);
                let addresses: Vec<_> = tokio::net::lookup_host(host).await?.collect();
                let stream = AsyncTcpStream::connect(&plain_runtime, addresses).await?;
                if let AsyncTcpStream::Plain(plain) = &stream {
                    kept.keep(plain.get_ref())?;
                }
                let stream = match uri.scheme {
                    AMQPScheme::AMQP => stream,
                    AMQPScheme::AMQPS => stream.into_tls(&uri.authority.host, tls.as_ref()).await?,
                };
                std::io::Result::Ok(AsyncTcpStream::Plain(Sieve::new(stream)))
            };
            // This runs on lapin's thread, which the time-out outside does not end.
            let reached = timeout(limit, reach).await;
            let stream = reached.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
            Ok(stream?)
        },
        properties,
    );
    match timeout(limit, connecting).await {
        Ok(Ok(connection)) => {
            let events: Events = Box::pin(connection.events_listener());
            let session = Session {
                connection,
                socket,
                ill: Notify::new(),
            };
            Ok((Arc::new(session), events))
        }
        Ok(Err(error)) => {
            socket.shut_down();
            Err(Fault::of(&error).on(&format!("virtual host {}", url.vhost())))
        }
        Err(_) => {
            socket.shut_down();
            Err(timed_out(limit, "connect"))
        }
    }
}

/// A second handle of a connection's socket, to end it whatever lapin is doing.
#[derive(Clone, Default)]
struct Socket(Arc<Mutex<Option<std::net::TcpStream>>>);

impl Socket {
    fn keep(&self, socket: &impl std::os::fd::AsFd) -> std::io::Result<()> {
        let copy = socket.as_fd().try_clone_to_owned()?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy.into());
        Ok(())
    }

    fn shut_down(&self) {
        if let Some(socket) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may be closed already, which is what is wanted.
            let _ = socket.shutdown(std::net::Shutdown::Both);
        }
    }
}
