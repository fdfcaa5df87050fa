//! Reading a configuration file: laid over the default, checked value by value, paths made absolute.

use std::path::{Path, PathBuf};

use truc_transport::{BrokerConfig, Url};

use super::{Config, DEFAULT};

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML, a key is unknown, or a value has the wrong type.
    #[error("{path}: {message}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// What the parser says, with line and column.
        message: String,
    },
    /// A value makes no sense.
    #[error("{}", .0.iter().map(|p| format!("{}: {}", p.key, p.problem)).collect::<Vec<_>>().join("\n"))]
    Values(Vec<Problem>),
}

/// One value that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, dotted.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// A configuration and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The values, paths absolute or relative to the current folder.
    pub config: Config,
    /// The file laid over the default.
    pub file: Option<PathBuf>,
}

/// Reads the default, lays `file` over it, and checks the values.
///
/// # Errors
/// [`ConfigError`], naming the file, the key, and what would be right.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let mut merged = parse(DEFAULT, Path::new("config/truc.toml"))?;
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        lay_over(&mut merged, parse(&text, path)?);
    }
    let shown = file.unwrap_or_else(|| Path::new("config/truc.toml")).to_owned();
    let mut config: Config = merged
        .try_into()
        .map_err(|error: toml::de::Error| ConfigError::Parse {
            path: shown,
            message: error.to_string(),
        })?;
    if let Some(folder) = file.and_then(Path::parent) {
        make_absolute(&mut config, folder);
    }
    let problems = check(&config);
    if problems.is_empty() {
        Ok(Loaded {
            config,
            file: file.map(Path::to_owned),
        })
    } else {
        Err(ConfigError::Values(problems))
    }
}

fn parse(text: &str, path: &Path) -> Result<toml::Table, ConfigError> {
    text.parse().map_err(|error: toml::de::Error| ConfigError::Parse {
        path: path.to_owned(),
        message: error.to_string(),
    })
}

/// Lays one table over another: what `over` says wins, key by key.
pub fn lay_over(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) => lay_over(below, above),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn make_absolute(config: &mut Config, folder: &Path) {
    let absolute = |path: &mut PathBuf| {
        if !path.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    };
    absolute(&mut config.broker.password_file);
    absolute(&mut config.broker.ca);
    absolute(&mut config.limits.calendar);
    absolute(&mut config.limits.file);
    config.seal.anchors.iter_mut().for_each(absolute);
    config.seal.crls.iter_mut().for_each(absolute);
    super::ledger::make_absolute(&mut config.ledger, folder);
    super::alert::make_absolute(&mut config.alert, folder);
    super::bodies::make_absolute(&mut config.bodies, folder);
}

fn check(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ask = |holds: bool, key: &'static str, problem: &str| {
        if !holds {
            problems.push(Problem {
                key,
                problem: problem.to_owned(),
            });
        }
    };
    let url = &config.broker.url;
    ask(
        url.starts_with("amqp://") || url.starts_with("amqps://"),
        "broker.url",
        "begins with amqp:// or amqps://",
    );
    let user_info = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .map_or("", |(user, _)| user);
    ask(
        !user_info.is_empty(),
        "broker.url",
        "names the hub's user: amqp://truc@host:5672/vhost",
    );
    ask(
        !user_info.contains(':'),
        "broker.url",
        "holds a password; put it into password_file or TRUC_BROKER_PASSWORD",
    );
    ask(
        url.parse().is_ok_and(|url: Url| {
            let broker = BrokerConfig::new(url, "check");
            broker.with_more_hosts(&config.broker.more_hosts).is_ok()
        }),
        "broker.more_hosts",
        "names at most 15 further nodes, each as host or host:port",
    );
    ask(
        (1..=600).contains(&config.broker.heartbeat_s),
        "broker.heartbeat_s",
        "is from 1 to 600",
    );
    ask(
        !config.hub.name.trim().is_empty() && config.hub.name.len() <= MAX_NAME_BYTES,
        "hub.name",
        "has from 1 to 200 bytes",
    );
    ask(
        config.hub.code.form() == truc_model::CodeForm::System,
        "hub.code",
        "is a system code, with the level-1 letter W, such as 00.60.W00",
    );
    ask(
        (1..=65_535).contains(&config.broker.publish_window),
        "broker.publish_window",
        "is from 1 to 65535",
    );
    for (value, key) in [
        (config.broker.prefetch_document, "broker.prefetch_document"),
        (config.broker.prefetch_status, "broker.prefetch_status"),
        (config.broker.prefetch_taken, "broker.prefetch_taken"),
    ] {
        ask(value > 0, key, "is at least 1: 0 would mean no bound at all");
    }
    for (key, problem) in super::ledger::problems(&config.ledger) {
        ask(false, key, problem);
    }
    ask(
        config.intake.max_body_bytes > 0,
        "intake.max_body_bytes",
        "is at least 1",
    );
    ask(
        config.intake.max_body_bytes <= MAX_BODY_BYTES,
        "intake.max_body_bytes",
        "is at most 134217728: RabbitMQ's own default limit for one message",
    );
    ask(
        config.intake.max_recipients > 0,
        "intake.max_recipients",
        "is at least 1",
    );
    let inspect = &config.inspect;
    ask(
        inspect.pdf_workers <= MAX_PDF_WORKERS,
        "inspect.pdf_workers",
        "is at most 64",
    );
    ask(
        (1..=60_000).contains(&inspect.pdf_time_ms),
        "inspect.pdf_time_ms",
        "is from 1 to 60000",
    );
    ask(
        (1..=60_000).contains(&inspect.pdf_wait_ms),
        "inspect.pdf_wait_ms",
        "is from 1 to 60000: a document waits for it",
    );
    ask(
        (1..=MAX_BODY_BYTES).contains(&inspect.pdf_max_bytes),
        "inspect.pdf_max_bytes",
        "is from 1 to 134217728",
    );
    ask(
        inspect.pdf_memory_mb <= 65_536
            && inspect.pdf_memory_mb >= 64 + 4 * (inspect.pdf_max_bytes as u64 / (1024 * 1024)),
        "inspect.pdf_memory_mb",
        "is at least 64 and four times pdf_max_bytes, and at most 65536",
    );
    ask(config.delivery.window > 0, "delivery.window", "is at least 1");
    ask(
        config.delivery.claim_max > 0,
        "delivery.claim_max",
        "is at least 1",
    );
    ask(config.delivery.poll_ms > 0, "delivery.poll_ms", "is at least 1");
    ask(
        config.directory.refresh_ms > 0,
        "directory.refresh_ms",
        "is at least 1",
    );
    ask(
        config.delivery.lease_s * 1000 > config.broker.confirm_timeout_ms,
        "delivery.lease_s",
        "is longer than broker.confirm_timeout_ms, else two hubs could publish one delivery",
    );
    ask(
        config.delivery.retry_min_ms > 0 && config.delivery.retry_min_ms <= config.delivery.retry_max_ms,
        "delivery.retry_min_ms",
        "is at least 1 and at most retry_max_ms",
    );
    ask(
        (1..=3600).contains(&config.limits.look_s),
        "limits.look_s",
        "is from 1 to 3600",
    );
    ask(
        config
            .secrecy
            .markings
            .iter()
            .all(|marking| !marking.trim().is_empty()),
        "secrecy.markings",
        "has an empty marking, which would match everything",
    );
    problems.extend(super::alert::check(&config.alert));
    problems.extend(super::retention::check(&config.retention));
    problems.extend(super::bodies::check(&config.bodies));
    problems
}

/// Longest name of a hub: the broker knows it as a queue's, which has at most 255 bytes.
const MAX_NAME_BYTES: usize = 200;

/// Most workers that look at PDFs.
const MAX_PDF_WORKERS: usize = 64;

/// Largest packet that can be configured: RabbitMQ 3.x takes 128 MiB by default.
const MAX_BODY_BYTES: usize = 128 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<Loaded, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my.toml");
        std::fs::write(&path, text).unwrap();
        load(Some(&path))
    }

    #[test]
    fn the_default_file_has_every_key_and_no_other() {
        let loaded = load(None).unwrap();
        // Fields have no serde defaults and unknown keys are errors, so reading proves both ways; writing
        // it back proves that no key is read and dropped.
        let written = toml::Table::try_from(&loaded.config).unwrap();
        let default: toml::Table = DEFAULT.parse().unwrap();
        assert_eq!(written, default);
        assert_eq!(Config::default(), loaded.config);
    }

    #[test]
    fn every_key_of_the_default_file_is_explained() {
        let mut explained = false;
        for line in DEFAULT.lines() {
            if line.starts_with('#') {
                explained = true;
            } else if line.contains(" = ") {
                assert!(explained, "{line}");
            } else {
                explained = line.starts_with('[') && explained;
            }
        }
    }

    #[test]
    fn a_file_changes_only_what_it_says() {
        let loaded = with("[delivery]\nwindow = 3\n[ledger]\npath = \"x/y.db\"").unwrap();
        assert_eq!(loaded.config.delivery.window, 3);
        assert_eq!(
            loaded.config.delivery.claim_max,
            Config::default().delivery.claim_max
        );
        assert!(loaded.config.ledger.path.is_absolute());
        assert!(loaded.config.broker.password_file.as_os_str().is_empty());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, expected) in [
            ("[delivery]\nwindows = 3", "windows"),
            ("[delivery]\nwindow = \"three\"", "window"),
            ("[delivery]\nwindow = 0", "delivery.window"),
            ("[broker]\nurl = \"amqp://truc:secret@h/v\"", "password"),
            ("[broker]\nurl = \"http://h\"", "amqp://"),
            ("[broker]\nmore_hosts = [\"amqp://h\"]", "broker.more_hosts"),
            ("[broker]\nheartbeat_s = 0", "broker.heartbeat_s"),
            ("[delivery]\nlease_s = 30", "delivery.lease_s"),
            ("[hub]\ncode = \"000.00.00.H60\"", "hub.code"),
            ("[intake]\nmax_body_bytes = 134217729", "intake.max_body_bytes"),
            ("[secrecy]\nmarkings = [\" \"]", "secrecy.markings"),
            ("[limits]\nlook_s = 0", "limits.look_s"),
            ("[limits]\nlook_s = 3601", "limits.look_s"),
            ("[inspect]\npdf_workers = 65", "inspect.pdf_workers"),
            ("[inspect]\npdf_time_ms = 0", "inspect.pdf_time_ms"),
            ("[inspect]\npdf_wait_ms = 60001", "inspect.pdf_wait_ms"),
            ("[inspect]\npdf_wait_ms = 0", "inspect.pdf_wait_ms"),
            ("[inspect]\npdf_max_bytes = 134217729", "inspect.pdf_max_bytes"),
            ("[inspect]\npdf_memory_mb = 127", "inspect.pdf_memory_mb"),
            ("[alert]\nquiet_from = \"25:00\"", "quiet_from"),
            ("[alert]\nattempts_max = 0", "alert.attempts_max"),
            ("[retention]\nattachments_days = 0", "retention.attachments_days"),
            ("[retention]\nrun_at = \"25:00\"", "retention.run_at"),
            ("x = [", "TOML"),
        ] {
            let message = with(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}: {message}");
            assert!(!message.contains("secret@"), "{message}");
        }
        let names = |bytes: usize| with(&format!("[hub]\nname = \"{}\"", "x".repeat(bytes)));
        assert!(names(200).is_ok() && names(201).is_err_and(|error| error.to_string().contains("hub.name")));
        let hosts = |count: usize| {
            with(&format!(
                "[broker]\nmore_hosts = [{}]",
                "\"mq2:5672\",".repeat(count)
            ))
        };
        assert!(hosts(15).is_ok() && hosts(16).is_err());
        assert!(with("[delivery]\nlease_s = 31").is_ok());
        assert!(with("[intake]\nmax_body_bytes = 134217728").is_ok());
        assert!(with("[inspect]\npdf_workers = 64\npdf_memory_mb = 128").is_ok());
        assert!(with("[inspect]\npdf_workers = 0").is_ok());
    }
}
