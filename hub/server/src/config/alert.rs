//! The section `[alert]`: what the hub watches, the channels it tells people by, and who is told what.

use std::path::{Path, PathBuf};

use jiff::civil::Time;
use lettre::Address;
use serde::{Deserialize, Serialize};
use truc_model::{AlertKind, Severity, SystemId};

use super::Problem;

/// Most channels.
pub const CHANNELS_MAX: usize = 16;

/// Most rules.
pub const RULES_MAX: usize = 64;

/// Most recipients of one mail channel.
pub const MAIL_TO_MAX: usize = 20;

/// Longest name of a channel.
const NAME_MAX: usize = 64;

/// Alerts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// How often messages that are due are looked for.
    pub look_ms: u64,
    /// How often the state of affairs is looked at.
    pub watch_s: u64,
    /// How long alerts of one kind gather for one message.
    pub group_s: u64,
    /// How long a hub holds a message it sends.
    pub lease_s: u64,
    /// Attempts after which a message is a dead letter.
    pub attempts_max: u32,
    /// First wait after a failed attempt; doubles up to the longest.
    pub retry_min_s: u64,
    /// Longest wait after a failed attempt.
    pub retry_max_s: u64,
    /// A warning that lasts this long grows critical.
    pub grow_h: u64,
    /// Something that happened and did not happen again for this long is closed.
    pub settle_h: u64,
    /// Age at which what waits behind a full inbox is told of.
    pub stuck_h: u64,
    /// Failed publishes in a row that are told of.
    pub publish_failing: u32,
    /// How long the broker may be away.
    pub broker_away_s: u64,
    /// Days before a certificate's end: a warning.
    pub certificate_warning_days: u32,
    /// Days before a certificate's end: critical.
    pub certificate_critical_days: u32,
    /// Free space on the ledger's disk: a warning.
    pub disk_warning_mb: u64,
    /// Free space on the ledger's disk: critical.
    pub disk_critical_mb: u64,
    /// How long the store of bodies may fail.
    pub bodies_away_s: u64,
    /// Free space on its disk: a warning. Critical is below `bodies.disk_floor_mb`.
    pub bodies_disk_warning_mb: u64,
    /// Seconds the clock may differ from the broker's.
    pub clock_off_s: u64,
    /// Begin of the quiet hours, Viet Nam time.
    #[serde(with = "hour")]
    pub quiet_from: Time,
    /// Their end; the same as their begin means that there are none.
    #[serde(with = "hour")]
    pub quiet_until: Time,
    /// The least severity that does not wait for their end.
    pub quiet_passes: Severity,
    /// Where alerts go.
    pub channels: Vec<Channel>,
    /// Who gets what; without any, every channel gets everything.
    pub rules: Vec<Rule>,
}

/// One way to people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Channel {
    /// An HTTP POST of JSON.
    Webhook(Webhook),
    /// E-mail by SMTP.
    Mail(Mail),
}

impl Channel {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Webhook(webhook) => &webhook.name,
            Self::Mail(mail) => &mail.name,
        }
    }

    /// Most messages an hour.
    #[must_use]
    pub const fn per_hour(&self) -> u32 {
        match self {
            Self::Webhook(webhook) => webhook.per_hour,
            Self::Mail(mail) => mail.per_hour,
        }
    }

    /// Whether it keeps the quiet hours.
    #[must_use]
    pub const fn quiet(&self) -> bool {
        match self {
            Self::Webhook(webhook) => webhook.quiet,
            Self::Mail(mail) => mail.quiet,
        }
    }
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// Its name.
    pub name: String,
    /// Where to: `https://…`; `http://` only on this machine.
    pub url: String,
    /// File with the secret that signs, at least 32 bytes.
    pub secret_file: PathBuf,
    /// PEM file of further trust anchors; empty for the machine's own.
    #[serde(default)]
    pub ca_file: PathBuf,
    /// Longest for one attempt.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
    /// Most messages an hour.
    #[serde(default = "sixty")]
    pub per_hour: u32,
    /// Keeps the quiet hours.
    #[serde(default = "yes")]
    pub quiet: bool,
}

/// E-mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Its name.
    pub name: String,
    /// The mail server.
    pub host: String,
    /// Its port; 0 for the usual one: 587 for STARTTLS, 465 for TLS, 25 without.
    #[serde(default)]
    pub port: u16,
    /// How the connection is kept private.
    #[serde(default = "starttls")]
    pub security: MailSecurity,
    /// The account; empty for none.
    #[serde(default)]
    pub user: String,
    /// File with its password.
    #[serde(default)]
    pub password_file: PathBuf,
    /// PEM file of further trust anchors; empty for the machine's own.
    #[serde(default)]
    pub ca_file: PathBuf,
    /// The sender's address.
    pub from: String,
    /// The recipients' addresses.
    pub to: Vec<String>,
    /// Longest for one attempt.
    #[serde(default = "thirty_seconds")]
    pub timeout_ms: u64,
    /// Most messages an hour.
    #[serde(default = "twenty")]
    pub per_hour: u32,
    /// Keeps the quiet hours.
    #[serde(default = "yes")]
    pub quiet: bool,
}

/// How a connection to a mail server is kept private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailSecurity {
    /// Begins in clear, and goes on only under TLS.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// None: only to this machine.
    None,
}

/// Who gets what. What several rules say adds up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// These kinds; all when empty.
    #[serde(default)]
    pub kinds: Vec<AlertKind>,
    /// From this severity on.
    #[serde(default = "info")]
    pub severity: Severity,
    /// About these systems; all when empty.
    #[serde(default)]
    pub systems: Vec<SystemId>,
    /// About these agencies and those below them; all when empty.
    #[serde(default)]
    pub agencies: Vec<String>,
    /// Names of the channels.
    pub channels: Vec<String>,
}

const fn ten_seconds() -> u64 {
    10_000
}

const fn thirty_seconds() -> u64 {
    30_000
}

const fn sixty() -> u32 {
    60
}

const fn twenty() -> u32 {
    20
}

const fn yes() -> bool {
    true
}

const fn starttls() -> MailSecurity {
    MailSecurity::Starttls
}

const fn info() -> Severity {
    Severity::Info
}

/// A time of day as people write it: `06:30`.
mod hour {
    use jiff::civil::Time;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.strftime("%H:%M").to_string())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        let text = String::deserialize(deserializer)?;
        Time::strptime("%H:%M", &text)
            .map_err(|_| serde::de::Error::custom(format!("expected a time such as 06:30, found {text}")))
    }
}

/// Takes relative paths from the folder of the configuration file.
pub(super) fn make_absolute(alert: &mut Alert, folder: &Path) {
    let absolute = |path: &mut PathBuf| {
        if !path.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    };
    for channel in &mut alert.channels {
        match channel {
            Channel::Webhook(webhook) => {
                absolute(&mut webhook.secret_file);
                absolute(&mut webhook.ca_file);
            }
            Channel::Mail(mail) => {
                absolute(&mut mail.password_file);
                absolute(&mut mail.ca_file);
            }
        }
    }
}

/// What makes no sense.
pub(super) fn check(alert: &Alert) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ask = |holds: bool, key: &'static str, problem: String| {
        if !holds {
            problems.push(Problem { key, problem });
        }
    };
    for (key, value, from, to) in [
        ("alert.look_ms", alert.look_ms, 100, 600_000),
        ("alert.watch_s", alert.watch_s, 1, 3_600),
        ("alert.group_s", alert.group_s, 0, 3_600),
        ("alert.lease_s", alert.lease_s, 10, 3_600),
        ("alert.attempts_max", alert.attempts_max.into(), 1, 100),
        ("alert.retry_min_s", alert.retry_min_s, 1, 86_400),
        ("alert.retry_max_s", alert.retry_max_s, alert.retry_min_s, 86_400),
        ("alert.grow_h", alert.grow_h, 1, 8_760),
        ("alert.settle_h", alert.settle_h, 1, 8_760),
        ("alert.stuck_h", alert.stuck_h, 1, 8_760),
        ("alert.publish_failing", alert.publish_failing.into(), 1, 1_000),
        ("alert.broker_away_s", alert.broker_away_s, 0, 86_400),
        (
            "alert.certificate_critical_days",
            alert.certificate_critical_days.into(),
            0,
            3_650,
        ),
        (
            "alert.certificate_warning_days",
            alert.certificate_warning_days.into(),
            alert.certificate_critical_days.into(),
            3_650,
        ),
        (
            "alert.disk_warning_mb",
            alert.disk_warning_mb,
            alert.disk_critical_mb,
            u64::MAX >> 20,
        ),
        ("alert.clock_off_s", alert.clock_off_s, 1, 3_600),
    ] {
        ask(
            (from..=to).contains(&value),
            key,
            format!("is from {from} to {to}"),
        );
    }
    ask(
        alert.channels.len() <= CHANNELS_MAX,
        "alert.channels",
        format!("are at most {CHANNELS_MAX}"),
    );
    ask(
        alert.rules.len() <= RULES_MAX,
        "alert.rules",
        format!("are at most {RULES_MAX}"),
    );
    let longest = u64::from(u32::MAX);
    for (place, channel) in alert.channels.iter().enumerate() {
        let name = channel.name();
        let good_name = (1..=NAME_MAX).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        ask(
            good_name,
            "alert.channels",
            format!("{name:?}: a name is 1 to {NAME_MAX} of a-z, 0-9 and '-'"),
        );
        ask(
            alert.channels[..place].iter().all(|other| other.name() != name),
            "alert.channels",
            format!("{name}: two channels have this name"),
        );
        ask(
            channel.per_hour() > 0,
            "alert.channels",
            format!("{name}: per_hour is at least 1"),
        );
        let timeout_ms = match channel {
            Channel::Webhook(webhook) => webhook.timeout_ms,
            Channel::Mail(mail) => mail.timeout_ms,
        };
        ask(
            (100..=longest).contains(&timeout_ms) && timeout_ms < alert.lease_s.saturating_mul(1000),
            "alert.channels",
            format!("{name}: timeout_ms is at least 100 and shorter than alert.lease_s"),
        );
        for problem in match channel {
            Channel::Webhook(webhook) => check_webhook(webhook),
            Channel::Mail(mail) => check_mail(mail),
        } {
            ask(false, "alert.channels", format!("{name}: {problem}"));
        }
    }
    for rule in &alert.rules {
        ask(
            !rule.channels.is_empty(),
            "alert.rules",
            "a rule without channels tells nobody".to_owned(),
        );
        for name in &rule.channels {
            ask(
                alert.channels.iter().any(|channel| channel.name() == name),
                "alert.rules",
                format!("there is no channel {name}"),
            );
        }
    }
    problems
}

fn check_webhook(webhook: &Webhook) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let (scheme, rest) = webhook.url.split_once("://").unwrap_or_default();
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        problems.push("url holds credentials; the signature shows who sends");
    }
    let host = host_of(authority);
    match scheme {
        _ if host.is_empty() => problems.push("url is https://host/path"),
        "https" => {}
        "http" if is_this_machine(host) => {}
        "http" => problems.push("url is https:// except on this machine"),
        _ => problems.push("url begins with https://"),
    }
    if webhook.secret_file.as_os_str().is_empty() {
        problems.push("secret_file is empty: nobody could tell that a message is the hub's");
    }
    problems
}

fn check_mail(mail: &Mail) -> Vec<&'static str> {
    let mut problems = Vec::new();
    if mail.host.trim().is_empty() {
        problems.push("host is empty");
    }
    if mail.security == MailSecurity::None && !is_this_machine(&mail.host) {
        problems.push("security is starttls or tls except on this machine");
    }
    if mail.user.is_empty() != mail.password_file.as_os_str().is_empty() {
        problems.push("user and password_file come together");
    }
    if mail.from.parse::<Address>().is_err() {
        problems.push("from is an address such as truc@example.gov.vn");
    }
    if mail.to.is_empty() || mail.to.len() > MAIL_TO_MAX {
        problems.push("to is 1 to 20 addresses");
    }
    if mail.to.iter().any(|to| to.parse::<Address>().is_err()) {
        problems.push("to holds something that is no address");
    }
    problems
}

/// The host of `host:port` or `[::1]:port`.
fn host_of(authority: &str) -> &str {
    let authority = authority.rsplit('@').next().unwrap_or_default();
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SAMPLE: &str = include_str!("../../../../config/samples/alert.toml");

    fn sample() -> Alert {
        let mut merged: toml::Table = crate::config::DEFAULT.parse().unwrap();
        crate::config::lay_over(&mut merged, SAMPLE.parse().unwrap());
        let config: Config = merged.try_into().unwrap();
        config.alert
    }

    fn problems(change: impl FnOnce(&mut Alert)) -> Vec<String> {
        let mut alert = sample();
        change(&mut alert);
        check(&alert)
            .into_iter()
            .map(|p| format!("{}: {}", p.key, p.problem))
            .collect()
    }

    fn webhook(alert: &mut Alert) -> &mut Webhook {
        alert
            .channels
            .iter_mut()
            .find_map(|channel| match channel {
                Channel::Webhook(webhook) => Some(webhook),
                Channel::Mail(_) => None,
            })
            .unwrap()
    }

    fn mail(alert: &mut Alert) -> &mut Mail {
        alert
            .channels
            .iter_mut()
            .find_map(|channel| match channel {
                Channel::Mail(mail) => Some(mail),
                Channel::Webhook(_) => None,
            })
            .unwrap()
    }

    #[test]
    fn the_sample_is_good_and_so_is_the_default() {
        assert_eq!(problems(|_| {}), Vec::<String>::new());
        let default = Config::default().alert;
        assert!(default.channels.is_empty() && default.rules.is_empty());
        assert!(check(&default).is_empty());
        assert!(sample().channels.len() >= 2 && sample().rules.len() >= 2);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let said = |change: fn(&mut Alert), word: &str| {
            let problems = problems(change);
            assert!(problems.iter().any(|p| p.contains(word)), "{word}: {problems:?}");
        };
        said(|a| a.group_s = 3_601, "alert.group_s");
        said(|a| a.retry_max_s = 1, "alert.retry_max_s");
        said(|a| a.disk_warning_mb = 1, "alert.disk_warning_mb");
        said(
            |a| a.certificate_warning_days = 1,
            "alert.certificate_warning_days",
        );
        said(|a| a.channels.push(a.channels[0].clone()), "two channels");
        said(
            |a| a.rules[0].channels = vec!["nobody".to_owned()],
            "no channel nobody",
        );
        said(|a| a.rules[0].channels = vec![], "tells nobody");
        said(|a| webhook(a).name = "Ops".to_owned(), "a-z");
        said(|a| webhook(a).per_hour = 0, "per_hour");
        said(|a| webhook(a).timeout_ms = 600_000, "timeout_ms");
        said(
            |a| webhook(a).url = "http://chat.example.vn/x".to_owned(),
            "except on this machine",
        );
        said(|a| webhook(a).url = "https://".to_owned(), "https://host");
        said(
            |a| webhook(a).url = "https://me:pass@chat.example.vn/".to_owned(),
            "credentials",
        );
        said(|a| webhook(a).secret_file = PathBuf::new(), "secret_file");
        said(
            |a| mail(a).security = MailSecurity::None,
            "except on this machine",
        );
        said(|a| mail(a).password_file = PathBuf::new(), "come together");
        said(|a| mail(a).to = vec![], "1 to 20");
        said(
            |a| mail(a).to = vec!["a@b.vn".to_owned(); MAIL_TO_MAX + 1],
            "1 to 20",
        );
        said(|a| mail(a).to = vec!["nobody".to_owned()], "no address");
        said(
            |a| a.channels = vec![a.channels[0].clone(); CHANNELS_MAX + 1],
            "at most 16",
        );
        said(
            |a| a.rules = vec![a.rules[0].clone(); RULES_MAX + 1],
            "at most 64",
        );
        for url in ["http://127.0.0.1:9/x", "http://[::1]:9/", "http://localhost/"] {
            assert!(problems(|a| webhook(a).url = url.to_owned()).is_empty(), "{url}");
        }
        let enough = problems(|a| a.rules = vec![a.rules[0].clone(); RULES_MAX]);
        assert!(enough.is_empty(), "{enough:?}");
    }

    #[test]
    fn unknown_keys_are_refused() {
        for (from, to) in [("secret_file", "secret"), ("host", "hots"), ("kinds", "kind")] {
            let text = SAMPLE.replacen(&format!("\n{from} ="), &format!("\n{to} ="), 1);
            assert_ne!(text, SAMPLE, "{from}");
            let mut merged: toml::Table = crate::config::DEFAULT.parse().unwrap();
            crate::config::lay_over(&mut merged, text.parse().unwrap());
            assert!(merged.try_into::<Config>().is_err(), "{to}");
        }
    }
}
