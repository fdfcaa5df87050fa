//! How to reach a broker: address, limits, time-outs, TLS. Every time-out has a default that suits a LAN.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use lapin::uri::{AMQPUri, SASLMechanism};
use truc_model::{Clock, Random, SystemClock, SystemRandom};

use crate::broker::Cause;

/// How to reach a broker and how long to wait for it.
#[derive(Clone)]
pub struct BrokerConfig {
    /// The address.
    pub url: Url,
    /// Shown in the broker's management interface, e.g. `truc hub`.
    pub connection_name: String,
    /// Interval of heartbeats, in whole seconds, at least 1 s. A peer that is silent for twice as long is
    /// gone (half-open TCP).
    pub heartbeat: Duration,
    /// Longest wait for a connection, with TLS and login.
    pub connect_timeout: Duration,
    /// Longest wait for an answer of the broker, and for room and for a connection when publishing.
    pub operation_timeout: Duration,
    /// Longest wait for a confirm. After it the connection is thought ill and made anew.
    pub confirm_timeout: Duration,
    /// Most unconfirmed messages of one publisher.
    pub publish_window: usize,
    /// Largest body, in bytes. RabbitMQ 3.10 takes 128 MiB by default, 4.x 16 MiB; larger ones travel
    /// beside the message.
    pub max_body_bytes: usize,
    /// First wait before connecting again; doubled each time, with jitter.
    pub reconnect_min: Duration,
    /// Longest wait before connecting again.
    pub reconnect_max: Duration,
    /// TLS material for `amqps`; the system's trust store is used besides.
    pub tls: Tls,
    /// For [`crate::BrokerState::Down`].
    pub clock: Arc<dyn Clock>,
    /// For jitter.
    pub random: Arc<dyn Random>,
}

impl BrokerConfig {
    /// Most publishes in one window, whatever is configured.
    pub const PUBLISH_WINDOW_MAX: usize = 16_384;

    /// The defaults for an address.
    #[must_use]
    pub fn new(url: Url, connection_name: impl Into<String>) -> Self {
        Self {
            url,
            connection_name: connection_name.into(),
            heartbeat: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            publish_window: 512,
            max_body_bytes: 16 * 1024 * 1024,
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(10),
            tls: Tls::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
        }
    }

    /// The window within its limits.
    pub(crate) fn window(&self) -> usize {
        self.publish_window.clamp(1, Self::PUBLISH_WINDOW_MAX)
    }

    /// The wait before attempt number `attempt` (from 0): doubled each time up to the maximum, then
    /// a random half of it taken off, so that a thousand adapters do not come back in one instant.
    pub(crate) fn backoff(&self, attempt: u32) -> Duration {
        /// More doublings than this reach any sensible maximum.
        const DOUBLINGS_MAX: u32 = 16;
        let full = self
            .reconnect_min
            .saturating_mul(1 << attempt.min(DOUBLINGS_MAX))
            .min(self.reconnect_max);
        let mut byte = [0];
        self.random.fill(&mut byte);
        full / 2 + (full / 2).mul_f64(f64::from(byte[0]) / 255.0)
    }
}

impl fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerConfig")
            .field("url", &self.url)
            .field("connection_name", &self.connection_name)
            .field("publish_window", &self.publish_window)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// TLS material.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates of the authorities to trust, PEM, besides the system's.
    pub ca_pem: Option<String>,
    /// This program's own certificate, for `?auth_mechanism=external` or a broker that asks for one.
    pub identity: Option<TlsIdentity>,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// The certificate, then its intermediates; PEM.
    pub certificate_pem: String,
    /// The private key; PEM, PKCS#8.
    pub key_pem: String,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("ca", &self.ca_pem.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity").finish_non_exhaustive()
    }
}

/// The address of a broker: `amqp[s]://user:password@host[:port]/vhost`. Shown without its password.
///
/// The virtual host is percent-encoded; none means the default one, `/`.
#[derive(Clone, PartialEq, Eq)]
pub struct Url(AMQPUri);

/// Why a text is not the address of a broker. Holds nothing of the text: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not of the form above.
    #[error("expected amqp://user:password@host:port/vhost (or amqps://)")]
    Form,
    /// No user, and no client certificate asked for.
    #[error("the broker's address names no user (or ?auth_mechanism=external)")]
    NoUser,
}

impl Url {
    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.0.authority.userinfo.username
    }

    /// The virtual host.
    #[must_use]
    pub fn vhost(&self) -> &str {
        &self.0.vhost
    }

    /// Host and port, e.g. for a message.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}:{}", self.0.authority.host, self.0.authority.port)
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.0.scheme == lapin::uri::AMQPScheme::AMQPS
    }

    /// For lapin, with the heartbeat to ask for.
    pub(crate) fn with_heartbeat(&self, heartbeat: Duration) -> AMQPUri {
        let mut uri = self.0.clone();
        let seconds = u16::try_from(heartbeat.as_secs()).unwrap_or(u16::MAX).max(1);
        uri.query.heartbeat = Some(seconds);
        uri
    }
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let text = text.trim();
        let mut uri: AMQPUri = text.parse().map_err(|_| UrlError::Form)?;
        let authority = text
            .split_once("://")
            .map(|(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest))
            .ok_or(UrlError::Form)?;
        let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
        // lapin's parser falls back to guest:guest when no user is given and to localhost when the host
        // is an IPv6 address: a connection to the wrong place is worse than an error.
        let external = uri.query.auth_mechanism == Some(SASLMechanism::External);
        if user.is_empty() && !external {
            return Err(UrlError::NoUser);
        }
        if let Some(address) = host
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
            .map(|(address, _)| address)
        {
            address
                .parse::<std::net::Ipv6Addr>()
                .map_err(|_| UrlError::Form)?;
            address.clone_into(&mut uri.authority.host);
        } else if host.is_empty() || host.starts_with(':') {
            return Err(UrlError::Form);
        }
        // `amqp://host/` is the virtual host "" by the letter; nobody means that.
        if uri.vhost.is_empty() {
            "/".clone_into(&mut uri.vhost);
        }
        Ok(Self(uri))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let vhost = self.0.vhost.replace('/', "%2f");
        write!(f, "{}://{}@{}/{vhost}", self.0.scheme, self.user(), self.host())
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl From<UrlError> for crate::BrokerError {
    fn from(error: UrlError) -> Self {
        Self::Configuration(Cause::of(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_model::SeededRandom;

    #[test]
    fn urls_are_read_and_hide_the_password() {
        let url: Url = "amqp://hub:s%40cret@10.1.2.3:5673/tuyen%20quang".parse().unwrap();
        assert_eq!(url.user(), "hub");
        assert_eq!(url.vhost(), "tuyen quang");
        assert_eq!(url.host(), "10.1.2.3:5673");
        assert!(!url.is_tls());
        let shown = format!("{url} {url:?} {:?}", BrokerConfig::new(url.clone(), "test"));
        assert!(!shown.contains("cret"), "{shown}");
        assert!(shown.contains("hub@10.1.2.3"));

        let url: Url = "amqps://hub:x@[::1]".parse().unwrap();
        assert_eq!(url.host(), "::1:5671");
        assert_eq!(url.vhost(), "/");
        assert!(url.is_tls());
        assert_eq!("amqp://a:b@h/".parse::<Url>().unwrap().vhost(), "/");
        assert!("amqps://h/x?auth_mechanism=external".parse::<Url>().is_ok());

        for bad in ["", "amqp", "http://a:b@c", "amqp://a:b@", "amqp://a:b@:5672/"] {
            assert!(bad.parse::<Url>().is_err(), "{bad}");
        }
        assert_eq!("amqp://host/".parse::<Url>(), Err(UrlError::NoUser));
    }

    #[test]
    fn back_off_doubles_to_its_maximum_with_jitter() {
        let mut config = BrokerConfig::new("amqp://a:b@h".parse().unwrap(), "test");
        config.random = Arc::new(SeededRandom::new(1));
        for attempt in 0..40 {
            let wait = config.backoff(attempt);
            let full = config
                .reconnect_max
                .min(config.reconnect_min * (1 << attempt.min(16)));
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
    }

    #[test]
    fn the_window_has_limits() {
        let mut config = BrokerConfig::new("amqp://a:b@h".parse().unwrap(), "test");
        config.publish_window = 0;
        assert_eq!(config.window(), 1);
        config.publish_window = usize::MAX;
        assert_eq!(config.window(), BrokerConfig::PUBLISH_WINDOW_MAX);
    }
}
