//! Looks at the state of affairs again and again: inboxes, disk, clock, certificates, the broker, what is parked.
//! What is wrong is raised, what is wrong no more is ended, what lasts grows. No state of its own but the time
//! since which the broker is away: a hub that starts anew, or another, comes to the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio::sync::watch;
use truc_bodies::BodyStore;
use truc_directory::SystemStatus;
use truc_ledger::alert::{AlertFilter, AlertKey, AlertOrder, AlertRow, ClearCause, InboxTrouble, Raise};
use truc_ledger::query::PAGE_MAX;
use truc_ledger::{DocumentFilter, Ledger, LedgerError};
use truc_model::alert::Span;
use truc_model::delivery::TransportStateName;
use truc_model::wire::DEAD_QUEUE;
use truc_model::{AlertKind, Clock, Severity, Sha256};
use truc_transport::{Broker, BrokerState};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::bodies::BodiesLook;
use crate::config::Config;
use crate::flow::rules::Rules;

/// Most pages of open alerts, or of parked documents, that one look reads.
const PAGES_MAX: usize = 20;

/// How long an alert may go unconfirmed: then its facts are renewed, and it is seen to be alive.
const KEEP_UP_S: i64 = 600;

/// Every how many looks files are read and the broker's clock is asked.
const SELDOM: u64 = 10;

/// Longest wait for the broker's clock.
const CLOCK_WAIT: Duration = Duration::from_secs(5);

/// Bytes of a megabyte.
pub(super) const MB: u64 = 1 << 20;

/// States of affairs of one hub. When a hub is no more, nobody confirms them, and they settle.
const OF_ONE_HUB: [AlertKind; 9] = [
    AlertKind::BrokerAway,
    AlertKind::BrokerBlocked,
    AlertKind::QueuesMissing,
    AlertKind::RulesKept,
    AlertKind::LedgerUnavailable,
    AlertKind::DiskLow,
    AlertKind::BodyStoreAway,
    AlertKind::BodyDiskLow,
    AlertKind::ClockOff,
];

/// What waits for an operator: over when no recipient of the document is parked any more.
const PARKED: [AlertKind; 3] = [
    AlertKind::Parked,
    AlertKind::SecretMarking,
    AlertKind::IdentityConflict,
];

/// See the module.
pub struct Watcher {
    config: Arc<Config>,
    ledger: Ledger,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    rules: watch::Receiver<Arc<Rules>>,
    bodies: BodiesLook,
    looks: u64,
    /// Since when the broker is away, or takes no publishes.
    away_since: Option<Timestamp>,
    blocked_since: Option<Timestamp>,
    /// What the last seldom look found; `None` in front of what it could not judge.
    seldom: Seldom,
}

#[derive(Default)]
struct Seldom {
    certificates: Option<Vec<Raise>>,
    clock: Option<Option<Raise>>,
}

/// How many messages are in some trouble, and since when.
type Judge = fn(&InboxTrouble, Timestamp) -> Option<(u64, Option<Timestamp>)>;

/// What one look found.
#[derive(Default)]
struct Found {
    raises: Vec<Raise>,
    judged: BTreeSet<(AlertKind, Option<String>)>,
}

impl Found {
    /// A kind was looked at for all subjects.
    fn all(&mut self, kind: AlertKind, raises: impl IntoIterator<Item = Raise>) {
        self.judged.insert((kind, None));
        self.raises.extend(raises);
    }

    /// A kind was looked at for one subject.
    fn one(&mut self, kind: AlertKind, subject: &str, raise: Option<Raise>) {
        self.judged.insert((kind, Some(subject.to_owned())));
        self.raises.extend(raise);
    }

    fn is_judged(&self, row: &AlertRow) -> bool {
        self.judged.contains(&(row.kind, None))
            || self.judged.contains(&(row.kind, Some(row.subject.clone())))
    }
}

impl Watcher {
    /// Has looked at nothing yet.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        ledger: Ledger,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        rules: watch::Receiver<Arc<Rules>>,
        bodies: Option<BodyStore>,
    ) -> Self {
        Self {
            bodies: BodiesLook::new(bodies),
            config,
            ledger,
            broker,
            clock,
            rules,
            looks: 0,
            away_since: None,
            blocked_since: None,
            seldom: Seldom::default(),
        }
    }

    /// Looks, and says what is to be raised and ended; and the alerts that were open.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger cannot be read: then nothing is known of the inboxes either.
    pub async fn look(&mut self) -> Result<(Vec<AlertOrder>, Vec<AlertRow>), LedgerError> {
        let open = self.open().await?;
        let mut found = Found::default();
        self.inboxes(&mut found).await?;
        self.broker(&mut found).await;
        let hub = self.config.hub.name.clone();
        if let Some(disk) = self.disk().await {
            found.one(AlertKind::DiskLow, &hub, disk);
        }
        let bodies = self.bodies.look(&self.config, self.clock.now()).await;
        found.one(AlertKind::BodyStoreAway, &hub, bodies.away);
        if let Some(low) = bodies.low {
            found.one(AlertKind::BodyDiskLow, &hub, low);
        }
        if self.looks.is_multiple_of(SELDOM) {
            self.seldom = Seldom {
                certificates: self.certificates().await,
                clock: self.broker_clock().await,
            };
        }
        self.looks += 1;
        if let Some(certificates) = &self.seldom.certificates {
            found.all(AlertKind::CertificateExpires, certificates.clone());
        }
        if let Some(clock) = &self.seldom.clock {
            found.one(AlertKind::ClockOff, &hub, clock.clone());
        }
        let released = self.released(&open).await?;
        let settings = &self.config.alert;
        let orders = orders(
            &open,
            found,
            &released,
            self.clock.now(),
            Patience {
                grow: hours(settings.grow_h),
                settle: hours(settings.settle_h),
            },
        );
        Ok((orders, open))
    }

    async fn open(&self) -> Result<Vec<AlertRow>, LedgerError> {
        let mut open: Vec<AlertRow> = Vec::new();
        for _ in 0..PAGES_MAX {
            let filter = AlertFilter {
                after: open.last().map_or(0, |row| row.event),
                limit: PAGE_MAX,
                ..AlertFilter::default()
            };
            let page = self.ledger.open_alerts(&filter).await?;
            let last = page.len() < PAGE_MAX;
            open.extend(page);
            if last {
                break;
            }
        }
        Ok(open)
    }

    async fn inboxes(&self, found: &mut Found) -> Result<(), LedgerError> {
        let now = self.clock.now();
        let settings = &self.config.alert;
        let late = before(now, hours(self.config.delivery.not_taken_after_h));
        let stuck = before(now, hours(settings.stuck_h));
        let troubles = self
            .ledger
            .inbox_troubles(settings.publish_failing.max(1), late)
            .await?;
        let of = |kind, judge: Judge| {
            let judged = troubles.iter().filter_map(move |trouble| {
                let (count, since) = judge(trouble, stuck)?;
                let raise = Raise::of_system(kind, trouble.system.clone()).with("deliveries", count);
                Some(match since {
                    Some(since) => raise.with("since", since),
                    None => raise,
                })
            });
            judged.collect::<Vec<_>>()
        };
        let not_taken = of(AlertKind::NotTaken, |t, _| {
            (t.untaken > 0).then_some((t.untaken, t.untaken_since))
        });
        let waiting = of(AlertKind::ScheduledStuck, |t, stuck| {
            let since = t.waiting_since?;
            (since < stuck).then_some((t.waiting, Some(since)))
        });
        let failing = of(AlertKind::PublishFailing, |t, _| {
            (t.failing > 0).then_some((t.failing, None))
        });
        found.all(AlertKind::NotTaken, not_taken);
        found.all(AlertKind::ScheduledStuck, waiting);
        found.all(AlertKind::PublishFailing, failing);
        Ok(())
    }

    async fn broker(&mut self, found: &mut Found) {
        let (now, hub) = (self.clock.now(), self.config.hub.name.clone());
        let (away, blocked) = match &*self.broker.state().borrow() {
            BrokerState::Up => (None, None),
            BrokerState::Blocked { .. } => (None, Some(now)),
            BrokerState::Down { .. } | BrokerState::Connecting | BrokerState::Closed => (Some(now), None),
        };
        self.away_since = away.map(|at| self.away_since.unwrap_or(at));
        self.blocked_since = blocked.map(|at| self.blocked_since.unwrap_or(at));
        let patience = seconds(self.config.alert.broker_away_s);
        let since = |kind, since: Option<Timestamp>| {
            let since = since.filter(|since| now.duration_since(*since) >= patience)?;
            Some(Raise::new(kind, &*hub).with("since", since))
        };
        let (away, blocked) = (
            since(AlertKind::BrokerAway, self.away_since),
            since(AlertKind::BrokerBlocked, self.blocked_since),
        );
        found.one(AlertKind::BrokerAway, &hub, away);
        found.one(AlertKind::BrokerBlocked, &hub, blocked);
        if self.away_since.is_none()
            && let Ok(depth) = self.broker.queue_depth(DEAD_QUEUE).await
        {
            let raise = Raise::new(AlertKind::DeadLetter, DEAD_QUEUE).with("waiting", depth.ready);
            found.all(AlertKind::DeadLetter, (depth.ready > 0).then_some(raise));
        }
    }

    /// `None` when it cannot be seen: a database's server watches its own.
    async fn disk(&self) -> Option<Option<Raise>> {
        let ledger = self.config.ledger.file()?.to_owned();
        let folder = match ledger.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let stat = tokio::task::spawn_blocking(move || rustix::fs::statvfs(&folder))
            .await
            .ok()?
            .ok()?;
        let free_mb = stat.f_bavail.saturating_mul(stat.f_frsize) / MB;
        let settings = &self.config.alert;
        let severity = low(free_mb, settings.disk_warning_mb, settings.disk_critical_mb);
        Some(severity.map(|severity| {
            Raise::new(AlertKind::DiskLow, &*self.config.hub.name)
                .at(severity)
                .with("free_mb", free_mb)
        }))
    }

    /// Anchors, and of each system that may submit the certificate that lasts longest.
    async fn certificates(&self) -> Option<Vec<Raise>> {
        let rules = self.rules.borrow().clone();
        let anchors = self.config.seal.anchors.clone();
        let (now, settings) = (self.clock.now(), self.config.alert.clone());
        let look = move || {
            let mut ends: Vec<(Raise, Timestamp)> = Vec::new();
            for bytes in anchors.iter().filter_map(|path| crate::trust::read(path).ok()) {
                for der in CertificateDer::pem_slice_iter(&bytes).filter_map(Result::ok) {
                    if let Some(end) = end_of(&der) {
                        let subject = format!("anchor/{}", short(&Sha256::of(&der)));
                        ends.push((Raise::new(AlertKind::CertificateExpires, subject), end));
                    }
                }
            }
            let active = |system: &&truc_directory::System| system.status == SystemStatus::Active;
            for system in rules.directory.systems().filter(active) {
                let last = system
                    .certificates_on(rules.today)
                    .filter_map(|row| {
                        let der = CertificateDer::from_pem_slice(row.pem.as_bytes()).ok()?;
                        Some((row.thumbprint, end_of(&der)?))
                    })
                    .max_by_key(|(_, end)| *end);
                if let Some((thumbprint, end)) = last {
                    let subject = format!("{}/{}", system.id, short(&thumbprint));
                    let mut raise = Raise::new(AlertKind::CertificateExpires, subject);
                    raise.system = Some(system.id.clone());
                    ends.push((raise, end));
                }
            }
            ends.into_iter()
                .filter_map(|(raise, end)| {
                    let days = end.duration_since(now).as_hours().div_euclid(24);
                    let warning = i64::from(settings.certificate_warning_days);
                    let critical = i64::from(settings.certificate_critical_days);
                    let severity = low(days, warning + 1, critical + 1)?;
                    Some(raise.at(severity).with("until", end).with("days", days))
                })
                .collect()
        };
        tokio::task::spawn_blocking(look).await.ok()
    }

    /// `None` when the broker's management does not say its time.
    async fn broker_clock(&self) -> Option<Option<Raise>> {
        let plain = self
            .config
            .broker
            .management_urls()
            .filter(|url| url.starts_with("http://"));
        let urls: Vec<String> = plain.map(str::to_owned).collect();
        if urls.is_empty() {
            return None;
        }
        let clock = Arc::clone(&self.clock);
        let off = tokio::task::spawn_blocking(move || {
            let agent = ureq::Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .proxy(None)
                .timeout_global(Some(CLOCK_WAIT))
                .build()
                .new_agent();
            // Of a cluster whichever node answers.
            let answer = urls.iter().find_map(|url| agent.get(url).call().ok())?;
            let date = answer.headers().get("date")?.to_str().ok()?.to_owned();
            let theirs = DateTimeParser::new().parse_timestamp(date.trim()).ok()?;
            // The header has whole seconds: half of one is the best guess.
            Some((clock.now().as_millisecond() - theirs.as_millisecond() - 500) / 1000)
        })
        .await
        .ok()??;
        let allowed = self.config.alert.clock_off_s;
        Some((off.unsigned_abs() > allowed).then(|| {
            let raise = Raise::new(AlertKind::ClockOff, &*self.config.hub.name);
            raise.with("ahead_s", off)
        }))
    }

    /// Of the alerts about parked documents, those whose document waits no more.
    async fn released(&self, open: &[AlertRow]) -> Result<BTreeSet<AlertKey>, LedgerError> {
        let waiting: Vec<&AlertRow> = open.iter().filter(|row| PARKED.contains(&row.kind)).collect();
        if waiting.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut parked = BTreeSet::new();
        let mut filter = DocumentFilter {
            state: Some(TransportStateName::Parked),
            limit: PAGE_MAX,
            ..DocumentFilter::default()
        };
        for page_number in 0..=PAGES_MAX {
            let page = self.ledger.documents(&filter).await?;
            filter.before = page.last().map(|line| line.event);
            parked.extend(page.iter().map(|line| line.uid));
            if page.len() < PAGE_MAX {
                break;
            }
            if page_number == PAGES_MAX {
                // More than one look reads: who is not among them may be parked all the same.
                return Ok(BTreeSet::new());
            }
        }
        Ok(waiting
            .into_iter()
            .filter(|row| row.document.is_none_or(|document| !parked.contains(&document)))
            .map(key)
            .collect())
    }
}

/// How long things may last.
#[derive(Clone, Copy)]
struct Patience {
    grow: SignedDuration,
    settle: SignedDuration,
}

/// What follows from a look.
fn orders(
    open: &[AlertRow],
    found: Found,
    released: &BTreeSet<AlertKey>,
    now: Timestamp,
    patience: Patience,
) -> Vec<AlertOrder> {
    let mut orders = Vec::new();
    let known: BTreeMap<AlertKey, &AlertRow> = open.iter().map(|row| (key(row), row)).collect();
    let mut there = BTreeSet::new();
    let ended = |row: &AlertRow, cause| AlertOrder::Clear {
        kind: row.kind,
        subject: row.subject.clone(),
        cause,
    };
    for row in open {
        let key = key(row);
        let unseen = now.duration_since(row.seen_at);
        let is_found = |raise: &Raise| raise.kind == row.kind && raise.subject == row.subject;
        if released.contains(&key) || (found.is_judged(row) && !found.raises.iter().any(is_found)) {
            orders.push(ended(row, ClearCause::Ended));
        } else if unseen >= patience.settle
            && (row.kind.span() == Span::Happening || OF_ONE_HUB.contains(&row.kind))
        {
            orders.push(ended(row, ClearCause::Settled));
        } else if row.severity == Severity::Warning
            && row.kind.grows()
            // Limits have levels of their own.
            && row.kind != AlertKind::LimitPassed
            && now.duration_since(row.raised_at) >= patience.grow
        {
            orders.push(AlertOrder::Raise(Raise {
                kind: row.kind,
                subject: row.subject.clone(),
                severity: Severity::Critical,
                agencies: row.agencies.clone(),
                system: row.system.clone(),
                document: row.document,
                facts: row.facts.clone(),
            }));
            there.insert(key);
        }
    }
    for raise in found.raises {
        let key = AlertKey {
            kind: raise.kind,
            subject: raise.subject.clone(),
        };
        let is_needed = known.get(&key).is_none_or(|row| {
            raise.severity > row.severity || now.duration_since(row.seen_at).as_secs() >= KEEP_UP_S
        });
        if is_needed && !there.contains(&key) {
            orders.push(AlertOrder::Raise(raise));
        }
    }
    orders
}

fn key(row: &AlertRow) -> AlertKey {
    AlertKey {
        kind: row.kind,
        subject: row.subject.clone(),
    }
}

/// How bad it is that a quantity is below these.
pub(super) fn low<N: PartialOrd>(value: N, warning: N, critical: N) -> Option<Severity> {
    if value < critical {
        Some(Severity::Critical)
    } else if value < warning {
        Some(Severity::Warning)
    } else {
        None
    }
}

fn end_of(der: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Timestamp::from_second(certificate.validity().not_after.timestamp()).ok()
}

/// Enough of a digest to find it by.
fn short(digest: &Sha256) -> String {
    digest.to_string().chars().take(16).collect()
}

pub(super) fn seconds(count: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(count).unwrap_or(i64::MAX))
}

fn hours(count: u64) -> SignedDuration {
    seconds(count.saturating_mul(3600))
}

fn before(now: Timestamp, span: SignedDuration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}

#[cfg(test)]
mod tests {
    use truc_ledger::alert::AlertFacts;
    use truc_model::AlertUid;

    use super::*;
    use crate::alert::message::tests::at;

    fn row(kind: AlertKind, subject: &str, raised: i64, seen: i64) -> AlertRow {
        let id = truc_model::Random::uuid_v7(&truc_model::SeededRandom::new(1), at(0));
        AlertRow {
            alert: AlertUid::new(id),
            kind,
            subject: subject.to_owned(),
            severity: kind.severity(),
            event: 1,
            raised_at: at(raised),
            changed_at: at(raised),
            seen_at: at(seen),
            seen: 1,
            agencies: vec![],
            system: None,
            document: None,
            facts: AlertFacts::new(),
            told: None,
            cleared: None,
        }
    }

    /// What each look judges for all subjects.
    const OF_ALL: [AlertKind; 5] = [
        AlertKind::NotTaken,
        AlertKind::ScheduledStuck,
        AlertKind::PublishFailing,
        AlertKind::DeadLetter,
        AlertKind::CertificateExpires,
    ];

    const PATIENCE: Patience = Patience {
        grow: SignedDuration::from_secs(1_000),
        settle: SignedDuration::from_secs(5_000),
    };

    fn at_time(open: &[AlertRow], found: Found, now: i64) -> Vec<String> {
        orders(open, found, &BTreeSet::new(), at(now), PATIENCE)
            .into_iter()
            .map(|order| match order {
                AlertOrder::Raise(raise) => format!("{} {} {}", raise.kind, raise.subject, raise.severity),
                AlertOrder::Clear { kind, subject, cause } => format!("end {kind} {subject} {cause:?}"),
            })
            .collect()
    }

    fn found(raises: &[(AlertKind, &str)]) -> Found {
        let mut found = Found::default();
        for kind in OF_ALL {
            found.all(kind, None);
        }
        found.one(AlertKind::DiskLow, "hub-1", None);
        found
            .raises
            .extend(raises.iter().map(|(kind, subject)| Raise::new(*kind, *subject)));
        found
    }

    #[test]
    fn what_is_wrong_no_more_ends_and_what_nobody_looked_at_stays() {
        let open = [
            row(AlertKind::NotTaken, "so", 0, 0),
            row(AlertKind::NotTaken, "xa", 0, 0),
            row(AlertKind::DiskLow, "hub-1", 0, 0),
            row(AlertKind::DiskLow, "hub-2", 0, 0),
            row(AlertKind::TrustKept, "hub-1", 0, 0),
        ];
        let look = found(&[(AlertKind::NotTaken, "so"), (AlertKind::NotTaken, "new")]);
        assert_eq!(
            at_time(&open, look, 100),
            [
                "end not-taken xa Ended",
                "end disk-low hub-1 Ended",
                "not-taken new warning"
            ]
        );
    }

    #[test]
    fn what_lasts_is_kept_up_and_grows_once() {
        let open = [row(AlertKind::NotTaken, "so", 0, 400)];
        let look = || found(&[(AlertKind::NotTaken, "so")]);
        assert!(at_time(&open, look(), 999).is_empty());
        assert_eq!(at_time(&open, look(), 1_000), ["not-taken so critical"]);
        let mut grown = open;
        grown[0].severity = Severity::Critical;
        assert!(at_time(&grown, look(), 999).is_empty());
        assert_eq!(
            at_time(&grown, look(), 1_000),
            ["not-taken so warning"],
            "kept up"
        );
    }

    #[test]
    fn what_happened_settles_and_so_does_a_hub_that_is_gone() {
        let open = [
            row(AlertKind::TakenOdd, "so", 0, 0),
            row(AlertKind::DiskLow, "hub-9", 0, 0),
            row(AlertKind::CrlStale, "a.crl", 0, 0),
            row(AlertKind::LimitPassed, "x", 0, 0),
        ];
        let quiet = |now| at_time(&open, found(&[]), now);
        assert_eq!(quiet(999).len(), 0);
        assert_eq!(
            quiet(5_000),
            [
                "end taken-odd so Settled",
                "end disk-low hub-9 Settled",
                "crl-stale a.crl critical"
            ]
        );
    }

    #[test]
    fn low_is_below() {
        assert_eq!(low(256, 2048, 256), Some(Severity::Warning));
        assert_eq!(low(255, 2048, 256), Some(Severity::Critical));
        assert_eq!(low(2048, 2048, 256), None);
        assert_eq!(low(-1, 31, 8), Some(Severity::Critical));
    }
}
