//! Who asks: a system's id and its broker's password, asked of the broker itself by a login there. So there is one
//! place where accounts are made and switched off. An accepted password is remembered for a minute, as a keyed hash
//! that dies with the process; failures are counted, and after some of them nobody is asked for a while.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use tokio::sync::Semaphore;
use truc_model::{BodyProblem, BodyProblemCode, Clock, Random, SystemId};
use truc_transport::{AmqpBroker, Broker as _, BrokerConfig, BrokerError};

use super::Systems;

/// Seconds for which an accepted password is remembered: a changed one, or an account that was taken away, is noticed
/// so late.
pub const REMEMBERED_S: i64 = 60;

/// Failures of one address under one name within [`FAILURES_S`] after which nobody is asked.
pub const FAILURES_MAX: u32 = 5;

/// Seconds in which failures are counted, and for which a name then is not asked about.
pub const FAILURES_S: i64 = 60;

/// Names and addresses whose failures are counted at once.
pub const FAILING_MAX: usize = 10_000;

/// Logins at the broker at once.
pub const LOGINS_AT_ONCE: usize = 8;

/// Bytes of the header `Authorization`.
pub const AUTHORIZATION_MAX: usize = 1024;

/// What the broker says to a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is this system's.
    Accepted,
    /// It is not.
    Refused,
    /// Nobody knows now.
    Unknown,
}

/// Who knows the systems' passwords.
#[async_trait]
pub trait Credentials: Send + Sync {
    /// Whether `password` is `system`'s.
    async fn check(&self, system: &SystemId, password: &str) -> Verdict;
}

/// Asks RabbitMQ, by a login.
pub struct BrokerLogin {
    last: Mutex<BrokerConfig>,
    renew: Arc<Renew>,
}

/// How the broker is reached now, by files that may have changed; `None` when they do not read.
pub type Renew = dyn Fn() -> Option<BrokerConfig> + Send + Sync;

impl BrokerLogin {
    /// Logins go where the hub's own connection goes, by `config`, with another user. What files say of that, such as
    /// the broker's authority, is read anew for each login by `renew`; when they do not read, the last that did count.
    #[must_use]
    pub fn new(config: BrokerConfig, renew: Arc<Renew>) -> Self {
        Self {
            last: Mutex::new(config),
            renew,
        }
    }

    async fn config(&self) -> BrokerConfig {
        let renew = Arc::clone(&self.renew);
        // Disks can be slow.
        let renewed = tokio::task::spawn_blocking(move || renew()).await;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(Some(renewed)) = renewed {
            *last = renewed;
        }
        last.clone()
    }
}

#[async_trait]
impl Credentials for BrokerLogin {
    async fn check(&self, system: &SystemId, password: &str) -> Verdict {
        let mut config = self.config().await;
        for url in std::iter::once(&mut config.url).chain(&mut config.more_urls) {
            *url = url.with_user(system.as_str(), password);
        }
        match AmqpBroker::connect(config).await {
            Ok(broker) => {
                broker.close().await;
                Verdict::Accepted
            }
            Err(BrokerError::Refused { .. }) => Verdict::Refused,
            Err(_) => Verdict::Unknown,
        }
    }
}

/// Says who asks.
pub struct Logins {
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    key: hmac::Key,
    asking: Semaphore,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    accepted: HashMap<SystemId, Accepted>,
    failing: HashMap<(IpAddr, SystemId), Failing>,
}

struct Accepted {
    tag: hmac::Tag,
    until: i64,
}

#[derive(Clone, Copy)]
struct Failing {
    count: u32,
    since: i64,
}

impl Logins {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new(credentials: Arc<dyn Credentials>, clock: Arc<dyn Clock>, random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        Self {
            credentials,
            clock,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            asking: Semaphore::new(LOGINS_AT_ONCE),
            memory: Mutex::new(Memory::default()),
        }
    }

    /// The system that asks from `peer` with the header `authorization`.
    ///
    /// # Errors
    /// `credentials-missing`, `logins-limited`, `credentials-unchecked`, `credentials-refused`, `system-not-served`.
    pub async fn who(
        &self,
        authorization: Option<&[u8]>,
        peer: IpAddr,
        systems: &dyn Systems,
    ) -> Result<SystemId, BodyProblem> {
        let expected = "Authorization: Basic <system:password>";
        let given = authorization
            .ok_or_else(|| BodyProblem::new(BodyProblemCode::CredentialsMissing, expected, "none"))?;
        let (name, password) = basic(given).ok_or_else(|| {
            BodyProblem::new(BodyProblemCode::CredentialsMissing, expected, "something else")
        })?;
        // No system has such a name.
        let system = SystemId::new(&name).map_err(|_| refused())?;
        let proof = format!("{system}\0{password}");
        if self.remembers(&system, proof.as_bytes()) {
            return served(system, systems);
        }
        if self.fails(peer, &system) {
            return Err(BodyProblem::new(
                BodyProblemCode::LoginsLimited,
                format!("at most {FAILURES_MAX} failed logins in {FAILURES_S} s"),
                "more",
            ));
        }
        let verdict = match self.asking.acquire().await {
            Ok(_turn) => self.credentials.check(&system, &password).await,
            Err(_) => Verdict::Unknown,
        };
        match verdict {
            Verdict::Accepted => {
                self.remember(&system, peer, proof.as_bytes());
                served(system, systems)
            }
            Verdict::Refused => {
                self.count(peer, system);
                Err(refused())
            }
            Verdict::Unknown => Err(BodyProblem::new(
                BodyProblemCode::CredentialsUnchecked,
                "a broker that answers",
                "none",
            )),
        }
    }

    fn remembers(&self, system: &SystemId, proof: &[u8]) -> bool {
        let now = self.now_s();
        let memory = self.memory();
        memory.accepted.get(system).is_some_and(|accepted| {
            now < accepted.until && hmac::verify(&self.key, proof, accepted.tag.as_ref()).is_ok()
        })
    }

    fn remember(&self, system: &SystemId, peer: IpAddr, proof: &[u8]) {
        let until = self.now_s().saturating_add(REMEMBERED_S);
        let tag = hmac::sign(&self.key, proof);
        let mut memory = self.memory();
        // As many as there are accounts at the broker.
        memory.accepted.insert(system.clone(), Accepted { tag, until });
        memory.failing.remove(&(peer, system.clone()));
    }

    fn fails(&self, peer: IpAddr, system: &SystemId) -> bool {
        let now = self.now_s();
        let memory = self.memory();
        let failing = memory.failing.get(&(peer, system.clone()));
        // A full list means that somebody tries names: nobody new is asked about until it empties.
        failing.map_or(
            memory.failing.len() >= FAILING_MAX && !memory.has_old(now),
            |failing| failing.count >= FAILURES_MAX && now < failing.since.saturating_add(FAILURES_S),
        )
    }

    fn count(&self, peer: IpAddr, system: SystemId) {
        let now = self.now_s();
        let mut memory = self.memory();
        memory.accepted.remove(&system);
        if memory.failing.len() >= FAILING_MAX {
            memory
                .failing
                .retain(|_, failing| now < failing.since.saturating_add(FAILURES_S));
        }
        let fresh = Failing { count: 0, since: now };
        let failing = memory.failing.entry((peer, system)).or_insert(fresh);
        if now >= failing.since.saturating_add(FAILURES_S) {
            *failing = fresh;
        }
        failing.count += 1;
    }

    fn now_s(&self) -> i64 {
        self.clock.now().as_second()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn has_old(&self, now: i64) -> bool {
        self.failing
            .values()
            .any(|failing| now >= failing.since.saturating_add(FAILURES_S))
    }
}

fn served(system: SystemId, systems: &dyn Systems) -> Result<SystemId, BodyProblem> {
    if systems.is_served(&system) {
        Ok(system)
    } else {
        let expected = "a system that is switched on";
        Err(BodyProblem::new(
            BodyProblemCode::SystemNotServed,
            expected,
            system,
        ))
    }
}

fn refused() -> BodyProblem {
    BodyProblem::new(
        BodyProblemCode::CredentialsRefused,
        "the system's user and password at the broker",
        "others",
    )
}

/// Name and password of `Authorization: Basic` (RFC 7617).
fn basic(value: &[u8]) -> Option<(String, String)> {
    if value.len() > AUTHORIZATION_MAX {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use truc_model::{ManualClock, SeededRandom};

    use super::*;

    /// Knows one password, and counts how often it is asked.
    struct Book {
        asked: AtomicUsize,
        away: bool,
    }

    #[async_trait]
    impl Credentials for Book {
        async fn check(&self, _: &SystemId, password: &str) -> Verdict {
            self.asked.fetch_add(1, Ordering::SeqCst);
            match (self.away, password) {
                (true, _) => Verdict::Unknown,
                (false, "right:one") => Verdict::Accepted,
                (false, _) => Verdict::Refused,
            }
        }
    }

    struct All;

    impl Systems for All {
        fn is_served(&self, system: &SystemId) -> bool {
            system.as_str() != "switched-off"
        }
    }

    struct Kit {
        clock: Arc<ManualClock>,
        book: Arc<Book>,
        logins: Logins,
    }

    fn kit(away: bool) -> Kit {
        let clock = Arc::new(ManualClock::at("2026-11-20T01:00:00Z".parse().unwrap()));
        let asked = AtomicUsize::new(0);
        let book = Arc::new(Book { asked, away });
        let logins = Logins::new(
            Arc::clone(&book) as Arc<dyn Credentials>,
            Arc::clone(&clock) as Arc<dyn Clock>,
            &SeededRandom::new(3),
        );
        Kit { clock, book, logins }
    }

    impl Kit {
        async fn ask(&self, pair: &str, peer: u8) -> Result<String, BodyProblemCode> {
            let header = format!("Basic {}", STANDARD.encode(pair));
            let peer = IpAddr::from([10, 0, 0, peer]);
            let who = self.logins.who(Some(header.as_bytes()), peer, &All).await;
            who.map(|system| system.to_string())
                .map_err(|problem| problem.code)
        }

        fn asked(&self) -> usize {
            self.book.asked.load(Ordering::SeqCst)
        }
    }

    #[tokio::test]
    async fn an_accepted_password_is_remembered_for_a_minute() {
        let kit = kit(false);
        for _ in 0..3 {
            assert_eq!(kit.ask("so-tnmt:right:one", 1).await, Ok("so-tnmt".to_owned()));
        }
        assert_eq!(kit.asked(), 1);
        kit.clock.advance(REMEMBERED_S - 1);
        assert!(kit.ask("so-tnmt:right:one", 1).await.is_ok());
        assert_eq!(kit.asked(), 1);
        kit.clock.advance(1);
        assert!(kit.ask("so-tnmt:right:one", 1).await.is_ok());
        assert_eq!(kit.asked(), 2);
        // What is remembered of one system says nothing of another.
        assert!(kit.ask("xa-a:right:one", 1).await.is_ok());
        assert_eq!(kit.asked(), 3);
        let off = kit.ask("switched-off:right:one", 1).await;
        assert_eq!(off, Err(BodyProblemCode::SystemNotServed));
    }

    #[tokio::test]
    async fn after_some_failures_nobody_is_asked_for_a_while() {
        let kit = kit(false);
        let most = usize::try_from(FAILURES_MAX).unwrap();
        for _ in 0..most {
            let wrong = kit.ask("so-tnmt:wrong", 1).await;
            assert_eq!(wrong, Err(BodyProblemCode::CredentialsRefused));
        }
        assert_eq!(kit.asked(), most);
        // Even the right one: it could be found by trying.
        let limited = kit.ask("so-tnmt:right:one", 1).await;
        assert_eq!(limited, Err(BodyProblemCode::LoginsLimited));
        assert_eq!(kit.asked(), most);
        // From elsewhere the system is served, and once it is, from here too.
        assert!(kit.ask("so-tnmt:right:one", 2).await.is_ok());
        assert!(kit.ask("so-tnmt:right:one", 1).await.is_ok());
        let limited = kit.ask("so-tnmt:wrong", 1).await;
        assert_eq!(limited, Err(BodyProblemCode::LoginsLimited));
        kit.clock.advance(FAILURES_S);
        let wrong = kit.ask("so-tnmt:wrong", 1).await;
        assert_eq!(wrong, Err(BodyProblemCode::CredentialsRefused));
    }

    #[tokio::test]
    async fn the_list_of_failures_has_an_edge() {
        let kit = kit(false);
        for number in 0..FAILING_MAX {
            kit.logins.count(
                IpAddr::from([10, 0, 0, 9]),
                SystemId::new(&format!("name-{number}")).unwrap(),
            );
        }
        let full = kit.ask("so-tnmt:right:one", 1).await;
        assert_eq!(full, Err(BodyProblemCode::LoginsLimited));
        kit.clock.advance(FAILURES_S);
        assert!(kit.ask("so-tnmt:right:one", 1).await.is_ok());
    }

    #[tokio::test]
    async fn a_broker_that_is_away_refuses_nobody() {
        let kit = kit(true);
        for _ in 0..10 {
            let unknown = kit.ask("so-tnmt:right:one", 1).await;
            assert_eq!(unknown, Err(BodyProblemCode::CredentialsUnchecked));
        }
    }

    #[tokio::test]
    async fn what_is_no_login_is_said_to_be_none() {
        let kit = kit(false);
        let peer = IpAddr::from([10, 0, 0, 1]);
        let long = format!("Basic {}", "A".repeat(AUTHORIZATION_MAX));
        for header in ["", "Basic", "Basic !", "Bearer eA==", "Basic eA==", &long] {
            let who = kit.logins.who(Some(header.as_bytes()), peer, &All).await;
            let code = who.map_err(|problem| problem.code);
            assert_eq!(code, Err(BodyProblemCode::CredentialsMissing), "{header}");
        }
        let who = kit.logins.who(None, peer, &All).await;
        assert_eq!(who.unwrap_err().code, BodyProblemCode::CredentialsMissing);
        assert_eq!(
            kit.ask("So Tnmt:x", 1).await,
            Err(BodyProblemCode::CredentialsRefused)
        );
        assert_eq!(kit.asked(), 0);
    }

    #[tokio::test]
    async fn a_login_goes_where_the_files_say_now_and_else_where_they_said_last() {
        let to = |host: &str| {
            let url = format!("amqp://truc@{host}:5672/truc").parse().unwrap();
            BrokerConfig::new(url, "login")
        };
        // The files of three logins: unreadable, changed, unreadable again.
        let files = Mutex::new(vec![None, Some(to("new")), None]);
        let renew = move || files.lock().unwrap().pop().flatten();
        let login = BrokerLogin::new(to("old"), Arc::new(renew));
        for host in ["old", "new", "new"] {
            assert_eq!(login.config().await.url.host(), format!("{host}:5672"));
        }
    }
}
