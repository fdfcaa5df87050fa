//! How to reach a broker: addresses, limits, time-outs, TLS. Every time-out has a default that suits a LAN.

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
    /// Addresses of further nodes of the same cluster: tried in turn when one is lost or does not answer. See
    /// [`BrokerConfig::with_more_hosts`].
    pub more_urls: Vec<Url>,
    /// Shown in the broker's management interface, e.g. `truc hub`.
    pub connection_name: String,
    /// Interval of heartbeats, in whole seconds, at least 1 s. A peer that is silent for twice as long is
    /// gone (half-open TCP, a machine without power, a process that is stopped).
    pub heartbeat: Duration,
    /// Longest wait for a connection, with TLS and login.
    pub connect_timeout: Duration,
    /// Longest wait for an answer of the broker, and for room and for a connection when publishing.
    pub operation_timeout: Duration,
    /// Longest wait for a confirm. After it the connection is thought ill and made anew.
    pub confirm_timeout: Duration,
    /// When the acks of consumed messages are sent.
    pub acks: Acking,
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
    /// Most addresses of one cluster.
    pub const HOSTS_MAX: usize = 16;
    /// Longest wait for one of several nodes, as long as there is another that was not tried yet: a node that
    /// is stopped takes connections (the system does) and says nothing.
    pub const ONE_OF_SEVERAL: Duration = Duration::from_secs(3);

    /// The defaults for an address.
    #[must_use]
    pub fn new(url: Url, connection_name: impl Into<String>) -> Self {
        Self {
            url,
            more_urls: Vec::new(),
            connection_name: connection_name.into(),
            // RabbitMQ's own advice is 5 to 20 s: less makes busy peers look dead.
            heartbeat: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(15),
            confirm_timeout: Duration::from_secs(30),
            acks: Acking::Each,
            publish_window: 512,
            max_body_bytes: 16 * 1024 * 1024,
            reconnect_min: Duration::from_millis(100),
            reconnect_max: Duration::from_secs(10),
            tls: Tls::default(),
            clock: Arc::new(SystemClock),
            random: Arc::new(SystemRandom::default()),
        }
    }

    /// The same, with further nodes of the same cluster as `host` or `host:port`: the user, the password, the
    /// virtual host and all else are those of the first address.
    ///
    /// # Errors
    /// [`UrlError::Host`] for one that does not read, [`UrlError::TooMany`] beyond [`BrokerConfig::HOSTS_MAX`].
    pub fn with_more_hosts<T: AsRef<str>>(mut self, hosts: &[T]) -> Result<Self, UrlError> {
        if hosts.len() >= Self::HOSTS_MAX {
            return Err(UrlError::TooMany);
        }
        for host in hosts {
            self.more_urls.push(self.url.on_host(host.as_ref())?);
        }
        Ok(self)
    }

    /// How many addresses there are.
    pub(crate) fn hosts(&self) -> usize {
        1 + self.more_urls.len()
    }

    /// The address of a turn; turns go round.
    pub(crate) fn url_at(&self, turn: usize) -> &Url {
        match (turn % self.hosts()).checked_sub(1) {
            Some(at) => self.more_urls.get(at).unwrap_or(&self.url),
            None => &self.url,
        }
    }

    /// The turn to begin with: any, so that a thousand adapters do not all sit on the first node.
    pub(crate) fn first_turn(&self) -> usize {
        let mut byte = [0];
        self.random.fill(&mut byte);
        usize::from(byte[0]) % self.hosts()
    }

    /// How long one attempt may take, of which `attempt` (from 0) failed before it.
    pub(crate) fn connect_limit(&self, attempt: u32) -> Duration {
        let tried = usize::try_from(attempt).unwrap_or(usize::MAX);
        if tried.saturating_add(1) < self.hosts() {
            self.connect_timeout.min(Self::ONE_OF_SEVERAL)
        } else {
            self.connect_timeout
        }
    }

    /// The wait after `attempt` attempts in a row that failed, 0 when a connection was lost: the shortest until
    /// every node had its turn, then longer after each round.
    pub(crate) fn wait_after(&self, attempt: u32) -> Duration {
        let hosts = u32::try_from(self.hosts()).unwrap_or(u32::MAX);
        self.backoff(attempt / hosts)
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
            .field("more_urls", &self.more_urls)
            .field("connection_name", &self.connection_name)
            .field("acks", &self.acks)
            .field("publish_window", &self.publish_window)
            .field("max_body_bytes", &self.max_body_bytes)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// When the acks of consumed messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acking {
    /// Each at once, in a frame of its own: `Ok` of [`crate::Settlement::ack`] means that it was handed to the
    /// connection.
    Each,
    /// One frame for all that are done in a row: for programs that settle many messages at a time and recognise
    /// those that come again. What `Ok` then means is said at [`crate::Settlement::ack`].
    Together,
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
    /// A further node that is no `host` or `host:port`.
    #[error("a further node of the broker is named as host or host:port, without user and virtual host")]
    Host,
    /// More addresses than anybody needs.
    #[error("a broker has at most 16 addresses")]
    TooMany,
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

    /// The same node and virtual host with another user.
    #[must_use]
    pub fn with_user(&self, user: &str, password: &str) -> Self {
        let mut uri = self.0.clone();
        user.clone_into(&mut uri.authority.userinfo.username);
        password.clone_into(&mut uri.authority.userinfo.password);
        Self(uri)
    }

    /// The same user and virtual host on another node: `host` or `host:port`, an IPv6 address in brackets.
    ///
    /// # Errors
    /// [`UrlError::Host`].
    pub fn on_host(&self, host: &str) -> Result<Self, UrlError> {
        let host = host.trim();
        let odd = |c: char| c.is_whitespace() || c.is_control() || "@/?#%\\".contains(c);
        if host.contains(odd) {
            return Err(UrlError::Host);
        }
        let other: Self = format!("{}://nobody@{host}", self.0.scheme)
            .parse()
            .map_err(|_| UrlError::Host)?;
        let mut uri = self.0.clone();
        uri.authority.host = other.0.authority.host;
        uri.authority.port = other.0.authority.port;
        Ok(Self(uri))
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
    fn further_nodes_have_the_same_user_and_virtual_host() {
        let config = || {
            let url = "amqps://hub:s3cret@mq1.example.vn:5673/truc".parse().unwrap();
            BrokerConfig::new(url, "test")
        };
        let several = config()
            .with_more_hosts(&["mq2.example.vn", " [::1]:7000 "])
            .unwrap();
        let hosts: Vec<_> = (0..4).map(|turn| several.url_at(turn).host()).collect();
        assert_eq!(
            hosts,
            [
                "mq1.example.vn:5673",
                "mq2.example.vn:5671",
                "::1:7000",
                "mq1.example.vn:5673"
            ]
        );
        assert!(
            several
                .more_urls
                .iter()
                .all(|url| url.user() == "hub" && url.vhost() == "truc" && url.is_tls())
        );
        assert!(!format!("{several:?}").contains("s3cret"));
        for bad in [
            "", "a b", "u:p@h", "h/v", "amqp://h", ":5672", "h:port", "h?x=1", "[::1",
        ] {
            assert_eq!(
                config().with_more_hosts(&[bad]).err(),
                Some(UrlError::Host),
                "{bad}"
            );
        }
        let many = ["h"; BrokerConfig::HOSTS_MAX];
        assert_eq!(config().with_more_hosts(&many).err(), Some(UrlError::TooMany));
        let most = config().with_more_hosts(&many[1..]).unwrap();
        assert_eq!(most.hosts(), BrokerConfig::HOSTS_MAX);
    }

    #[test]
    fn each_node_has_its_turn_before_the_wait_grows() {
        let mut config = BrokerConfig::new("amqp://a:b@h".parse().unwrap(), "test");
        config.random = Arc::new(SeededRandom::new(1));
        assert_eq!(config.connect_limit(0), config.connect_timeout);
        let mut config = config.with_more_hosts(&["i", "j"]).unwrap();
        let limits: Vec<_> = (0..3).map(|attempt| config.connect_limit(attempt)).collect();
        let quick = BrokerConfig::ONE_OF_SEVERAL;
        assert_eq!(limits, [quick, quick, config.connect_timeout]);
        for attempt in 0..3 {
            assert!(config.wait_after(attempt) <= config.reconnect_min, "{attempt}");
        }
        for attempt in 3..6 {
            let wait = config.wait_after(attempt);
            assert!(
                wait >= config.reconnect_min && wait <= config.reconnect_min * 2,
                "{attempt}: {wait:?}"
            );
        }
        // All of them are begun with by somebody.
        let mut begun = [0; 3];
        for _ in 0..300 {
            begun[config.first_turn()] += 1;
        }
        assert!(begun.iter().all(|count| *count > 50), "{begun:?}");
        config.connect_timeout = Duration::from_secs(1);
        assert_eq!(config.connect_limit(0), Duration::from_secs(1));
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
