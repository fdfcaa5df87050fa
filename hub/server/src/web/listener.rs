//! Connections: taken up to a number, encrypted, and none may keep the hub waiting: the handshake, the head of a
//! request, a client that does not read its answer, a connection that is kept and not used, all have their time.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, Sleep, interval};
use tokio_rustls::TlsAcceptor;

use super::certificate::{Certificate, RENEW_EVERY};
use super::{Service, WebError};
use crate::app::stopped;
use crate::config::bodies::Bodies;
use crate::telemetry::{Event, emit};

/// Longest TLS handshake.
pub const HANDSHAKE: Duration = Duration::from_secs(10);

/// Bytes of the head of a request, and of what is read ahead on a connection.
pub const HEAD_BYTES: usize = 64 * 1024;

/// Headers of a request.
pub const HEADERS_MAX: usize = 64;

/// How long transfers go on when the hub stops; then they are cut, and resumed elsewhere or later.
pub const STOP_PATIENCE: Duration = Duration::from_secs(20);

/// Wait after a failed accept: the machine has no room for one more connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// An open port, with its certificate.
pub struct Listener {
    tcp: TcpListener,
    tls: Option<Certificate>,
}

impl Listener {
    /// Where it listens: the port that was given when port 0 was asked for.
    ///
    /// # Errors
    /// [`WebError::Listen`].
    pub fn address(&self) -> Result<SocketAddr, WebError> {
        self.tcp.local_addr().map_err(|source| WebError::Listen {
            address: String::new(),
            source,
        })
    }
}

/// Reads certificate and key, and opens the port. `None` when there is no service.
///
/// # Errors
/// [`WebError::File`], [`WebError::Tls`], [`WebError::Listen`].
pub async fn bind(settings: &Bodies) -> Result<Option<Listener>, WebError> {
    let Some(address) = settings.listen() else {
        return Ok(None);
    };
    let tls = if settings.certificate.as_os_str().is_empty() {
        None
    } else {
        Some(Certificate::read(
            settings.certificate.clone(),
            settings.key.clone(),
        )?)
    };
    let tcp = TcpListener::bind(address)
        .await
        .map_err(|source| WebError::Listen {
            address: address.to_string(),
            source,
        })?;
    Ok(Some(Listener { tcp, tls }))
}

/// Answers requests until `stop` says so; then transfers under way get [`STOP_PATIENCE`].
///
/// # Errors
/// [`WebError::Task`] when looking at the certificate panicked; a connection that fails is its own affair.
pub async fn serve(
    mut listener: Listener,
    service: Arc<Service>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), WebError> {
    let room = Arc::new(Semaphore::new(service.settings.connections_max));
    let idle = Duration::from_secs(service.settings.idle_s);
    let mut connections = JoinSet::new();
    emit(Event::BodiesServed {
        address: listener.address()?,
        encrypted: listener.tls.is_some(),
    });
    let mut renew = interval(RENEW_EVERY);
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = async {
            // Beyond the limit connections wait in the system's own queue, and are not served half.
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.tcp.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => continue,
            _ = renew.tick() => {
                renew_certificate(&mut listener).await?;
                continue;
            }
            next = next => next,
        };
        let (Ok(permit), Ok((tcp, peer))) = (permit, accepted) else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let tls = listener.tls.as_ref().map(|tls| tls.acceptor().clone());
        let (service, stop) = (Arc::clone(&service), stop.clone());
        connections.spawn(async move {
            connection(tcp, Peer(peer), tls, service, idle, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let left = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_PATIENCE, left).await.is_err() {
        connections.shutdown().await;
    }
    Ok(())
}

/// Puts a renewed certificate in force, for connections that come from now on.
async fn renew_certificate(listener: &mut Listener) -> Result<(), WebError> {
    let Some(old) = listener.tls.clone() else {
        return Ok(());
    };
    // Disks can be slow.
    match tokio::task::spawn_blocking(move || old.renewed()).await? {
        Ok(None) => {}
        Ok(Some(new)) => {
            listener.tls = Some(new);
            emit(Event::BodiesCertificate);
        }
        Err(error) => emit(Event::BodiesCertificateKept { error: &error }),
    }
    Ok(())
}

async fn connection(
    tcp: TcpStream,
    peer: Peer,
    tls: Option<TlsAcceptor>,
    service: Arc<Service>,
    idle: Duration,
    stop: watch::Receiver<bool>,
) {
    // Small answers go at once.
    let _ = tcp.set_nodelay(true);
    let tcp = Timed::new(tcp, idle);
    match tls {
        None => requests(tcp, peer, service, idle, stop).await,
        Some(tls) => {
            if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, tls.accept(tcp)).await {
                requests(stream, peer, service, idle, stop).await;
            }
        }
    }
}

async fn requests<S>(
    stream: S,
    peer: Peer,
    service: Arc<Service>,
    idle: Duration,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = service.router().layer(Extension(peer));
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(serving);
    tokio::select! {
        // A broken connection is the client's affair: what it had begun is kept.
        _ = serving.as_mut() => {}
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            let _ = serving.as_mut().await;
        }
    }
}

/// A connection on which a write that makes no progress for too long fails. Reads have their time where they are
/// waited for: a client may rightly be silent while its upload is being stored.
struct Timed<S> {
    stream: S,
    idle: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    const fn new(stream: S, idle: Duration) -> Self {
        Self {
            stream,
            idle,
            waiting: None,
        }
    }

    /// Hands on the outcome of a write; one that waits gets its time.
    fn bounded<T>(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.waiting = None;
            return outcome;
        }
        let idle = self.idle;
        let waiting = self
            .waiting
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + idle)));
        ready!(waiting.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, outcome)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(cx, outcome)
    }
}
