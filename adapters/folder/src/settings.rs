//! The configuration file (`config/samples/folder.toml` shows every key) and what the command line changes.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use truc_adapter_sdk::model::SystemId;
use truc_adapter_sdk::{BodyClientConfig, Config, SealPem};

use crate::folder::{AutoArrived, Behaviour};

/// Environment variable that holds the broker password.
pub const PASSWORD_VARIABLE: &str = "TRUC_BROKER_PASSWORD";

/// Name and version of this adapter, in every message.
pub const APP_ID: &str = concat!("truc-folder/", env!("CARGO_PKG_VERSION"));

/// The configuration file. Relative paths are taken from the folder of the file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct File {
    /// The directory.
    pub dir: PathBuf,
    /// The system id: name of the broker user and of the inbox.
    pub system: String,
    /// `amqp://host:5672/vhost` or `amqps://…`.
    pub broker: String,
    /// Further nodes of the same cluster, `host` or `host:port`.
    pub more_broker_hosts: Vec<String>,
    /// File holding the broker password; empty takes it from [`PASSWORD_VARIABLE`].
    pub password_file: PathBuf,
    /// PEM file of the authority that signed the broker's certificate.
    pub broker_ca: PathBuf,
    /// PEM file of the sealing key (PKCS#8); empty sends without a seal.
    pub key: PathBuf,
    /// PEM file of its certificate.
    pub certificate: PathBuf,
    /// Whether status 01 is reported by itself.
    pub auto_arrived: bool,
    /// Pause between two looks at the directory, in milliseconds.
    pub poll_ms: u64,
    /// Publish again without an answer after this many seconds.
    pub resend_after_s: u64,
    /// `https://host:port` of the hub's service of large packets; empty: every packet goes in its message.
    pub bodies: String,
    /// PEM file of the authority that signed its certificate.
    pub bodies_ca: PathBuf,
    /// `http://` to other machines than this one, where the password travels in clear text.
    pub bodies_plain: bool,
    /// Larger packets are sent apart, when there is such a service.
    pub inline_max_bytes: u64,
    /// Largest packet sent in its message, in bytes.
    pub max_packet_bytes: u64,
    /// Most messages held unsettled at once.
    pub prefetch: u16,
    /// What is logged: error, warn, info, debug, or a filter.
    pub log: String,
}

impl Default for File {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            system: String::new(),
            broker: "amqp://127.0.0.1:5672/truc".to_owned(),
            more_broker_hosts: Vec::new(),
            password_file: PathBuf::new(),
            broker_ca: PathBuf::new(),
            key: PathBuf::new(),
            certificate: PathBuf::new(),
            auto_arrived: true,
            poll_ms: 1000,
            resend_after_s: 900,
            bodies: String::new(),
            bodies_ca: PathBuf::new(),
            bodies_plain: false,
            inline_max_bytes: Config::INLINE_MAX_BYTES as u64,
            max_packet_bytes: Config::MAX_BODY_BYTES as u64,
            prefetch: Config::PREFETCH,
            log: "info".to_owned(),
        }
    }
}

/// What stands on the command line, in place of the file's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--dir`.
    pub dir: Option<PathBuf>,
    /// `--broker`.
    pub broker: Option<String>,
    /// `--system`.
    pub system: Option<String>,
    /// `--key`.
    pub key: Option<PathBuf>,
    /// `--cert`.
    pub certificate: Option<PathBuf>,
}

/// Everything, read and checked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For the SDK.
    pub client: Config,
    /// The directory.
    pub directory: PathBuf,
    /// How the adapter behaves.
    pub behaviour: Behaviour,
    /// What is logged.
    pub log: String,
}

/// Why the settings cannot be used. Never holds a password.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("{key}: cannot read {path}")]
    File {
        /// The key that names it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration file is not TOML, or has an unknown key.
    #[error("{path}: {reason}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        reason: String,
    },
    /// A value is missing or wrong.
    #[error("{key}: {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// What to do.
        reason: String,
    },
}

impl Settings {
    /// Shortest pause between two looks, in milliseconds: below it the looks themselves are the load.
    pub const POLL_MIN_MS: u64 = 5;

    /// Reads the file, if one is named, and puts the flags in. `password` is the environment's.
    ///
    /// # Errors
    /// [`SettingsError`]: says which key, and what to do.
    pub fn read(config: Option<&Path>, flags: Flags, password: Option<&str>) -> Result<Self, SettingsError> {
        if let Some(broker) = &flags.broker
            && user_info(broker).is_some_and(|info| info.contains(':'))
        {
            return Err(value(
                "--broker",
                format!(
                    "a password on the command line can be read by every user of this machine; put it into \
                     the environment ({PASSWORD_VARIABLE}) or a file (password_file)"
                ),
            ));
        }
        let (mut file, base) = match config {
            Some(path) => (File::read(path)?, path.parent().unwrap_or(Path::new(""))),
            None => (File::default(), Path::new("")),
        };
        // The file's paths are its neighbours; the command line's are the caller's.
        for path in [
            &mut file.dir,
            &mut file.password_file,
            &mut file.broker_ca,
            &mut file.bodies_ca,
            &mut file.key,
            &mut file.certificate,
        ] {
            if !path.as_os_str().is_empty() {
                *path = base.join(&*path);
            }
        }
        flags.into_file(&mut file);
        file.check(password)
    }
}

impl Flags {
    fn into_file(self, file: &mut File) {
        file.dir = self.dir.unwrap_or(std::mem::take(&mut file.dir));
        file.broker = self.broker.unwrap_or(std::mem::take(&mut file.broker));
        file.system = self.system.unwrap_or(std::mem::take(&mut file.system));
        file.key = self.key.unwrap_or(std::mem::take(&mut file.key));
        file.certificate = self.certificate.unwrap_or(std::mem::take(&mut file.certificate));
    }
}

impl File {
    fn read(path: &Path) -> Result<Self, SettingsError> {
        let text = text("--config", path)?;
        toml::from_str(&text).map_err(|error| SettingsError::Toml {
            path: path.to_owned(),
            // Without the quoted line: it may hold an address with a password.
            reason: match error.span() {
                Some(span) => {
                    let line = text[..span.start.min(text.len())].matches('\n').count() + 1;
                    format!("line {line}: {}", error.message())
                }
                None => error.message().to_owned(),
            },
        })
    }

    fn check(self, environment: Option<&str>) -> Result<Settings, SettingsError> {
        if self.dir.as_os_str().is_empty() {
            return Err(value("dir", "name the directory to exchange files in (or --dir)"));
        }
        let system = SystemId::new(&self.system).map_err(|error| value("system", error.to_string()))?;
        let password = match (self.password_file.as_os_str().is_empty(), environment) {
            (false, _) => Some(text("password_file", &self.password_file)?.trim_end().to_owned()),
            (true, Some(password)) => Some(password.to_owned()),
            (true, None) => None,
        };
        let broker_url = broker_url(&self.broker, &system, password.as_deref())?;
        let broker_ca_pem = optional("broker_ca", &self.broker_ca)?;
        let seal = match (
            optional("key", &self.key)?,
            optional("certificate", &self.certificate)?,
        ) {
            (Some(key), Some(certificate)) => Some(SealPem { key, certificate }),
            (None, None) => None,
            (Some(_), None) => return Err(value("certificate", "a key needs its certificate")),
            (None, Some(_)) => return Err(value("key", "a certificate needs its key")),
        };
        if self.poll_ms < Settings::POLL_MIN_MS {
            return Err(value("poll_ms", format!("at least {}", Settings::POLL_MIN_MS)));
        }
        if self.max_packet_bytes == 0 || self.prefetch == 0 {
            let key = if self.prefetch == 0 {
                "prefetch"
            } else {
                "max_packet_bytes"
            };
            return Err(value(key, "at least 1"));
        }
        let bodies = self.bodies(&system, password.as_deref())?;
        let apart_over = bodies.as_ref().map(|_| self.inline_max_bytes);
        let mut client = Config::new(&broker_url, system, APP_ID, self.dir.join("state"));
        client.bodies = bodies;
        client.inline_max_bytes = usize::try_from(self.inline_max_bytes).unwrap_or(usize::MAX);
        client.more_broker_hosts = self.more_broker_hosts;
        client.broker_ca_pem = broker_ca_pem;
        client.seal = seal;
        client.prefetch = self.prefetch;
        client.max_body_bytes = usize::try_from(self.max_packet_bytes).unwrap_or(usize::MAX);
        Ok(Settings {
            client,
            behaviour: Behaviour {
                arrived: if self.auto_arrived {
                    AutoArrived::Report
                } else {
                    AutoArrived::LeaveToOthers
                },
                poll: Duration::from_millis(self.poll_ms),
                resend_after: Duration::from_secs(self.resend_after_s.max(1)),
                max_packet_bytes: self.max_packet_bytes,
                apart_over,
            },
            directory: self.dir,
            log: self.log,
        })
    }
}

impl File {
    /// The service of large packets, with the broker's user and password.
    fn bodies(
        &self,
        system: &SystemId,
        password: Option<&str>,
    ) -> Result<Option<BodyClientConfig>, SettingsError> {
        if self.bodies.is_empty() {
            return Ok(None);
        }
        let Some(password) = password else {
            let reason = format!("needs the broker's password: password_file, or {PASSWORD_VARIABLE}");
            return Err(value("bodies", reason));
        };
        let mut bodies = BodyClientConfig::new(&self.bodies, system.clone(), password);
        bodies.ca_pem = optional("bodies_ca", &self.bodies_ca)?;
        bodies.allow_plain = self.bodies_plain;
        Ok(Some(bodies))
    }
}

/// The address with user and password in it, as AMQP wants it.
fn broker_url(address: &str, system: &SystemId, password: Option<&str>) -> Result<String, SettingsError> {
    let form = || {
        value(
            "broker",
            "expected amqp://host:5672/vhost or amqps://host:5671/vhost",
        )
    };
    let (scheme, rest) = address.split_once("://").ok_or_else(form)?;
    if !matches!(scheme, "amqp" | "amqps") || rest.is_empty() {
        return Err(form());
    }
    let (user, in_address, rest) = match user_info(address) {
        Some(info) => {
            let (user, password) = info.split_once(':').unwrap_or((info, ""));
            (user, password, &rest[info.len() + 1..])
        }
        None => ("", "", rest),
    };
    let user = if user.is_empty() { system.as_str() } else { user };
    if user != system.as_str() {
        return Err(value(
            "broker",
            "the user in the address must be the system: the broker checks the sender by it",
        ));
    }
    let password = match (password, in_address) {
        (Some(password), _) if !password.is_empty() => Secret(password).encoded(),
        (_, "") if address.contains("auth_mechanism=external") => String::new(),
        (_, "") => {
            return Err(value(
                "password_file",
                format!("no password: set {PASSWORD_VARIABLE}, or name a file that holds it"),
            ));
        }
        (_, encoded) => encoded.to_owned(),
    };
    Ok(format!("{scheme}://{user}:{password}@{rest}"))
}

/// `user:password` in an address.
fn user_info(address: &str) -> Option<&str> {
    let (_, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    authority.rsplit_once('@').map(|(info, _)| info)
}

/// A password in the form an address takes.
struct Secret<'a>(&'a str);

impl Secret<'_> {
    fn encoded(&self) -> String {
        let mut text = String::new();
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
        text
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn optional(key: &'static str, path: &Path) -> Result<Option<String>, SettingsError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    text(key, path).map(Some)
}

fn text(key: &'static str, path: &Path) -> Result<String, SettingsError> {
    fs::read_to_string(path).map_err(|source| SettingsError::File {
        key,
        path: path.to_owned(),
        source,
    })
}

fn value(key: &'static str, reason: impl Into<String>) -> SettingsError {
    SettingsError::Value {
        key,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(directory: &Path, text: &str) -> PathBuf {
        let path = directory.join("folder.toml");
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_file_and_then_the_flags() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("password"), "s3 cret/ú\n").unwrap();
        let path = write(
            directory.path(),
            "dir = \"tray\"\nsystem = \"xa-tan-trao\"\nbroker = \"amqps://mq.example.vn:5671/truc\"\n\
             password_file = \"password\"\nauto_arrived = false\n",
        );
        let settings = Settings::read(Some(&path), Flags::default(), Some("ignored")).unwrap();
        assert_eq!(settings.directory, directory.path().join("tray"));
        assert_eq!(settings.behaviour.arrived, AutoArrived::LeaveToOthers);
        assert_eq!(
            settings.client.broker_url,
            "amqps://xa-tan-trao:s3%20cret%2F%C3%BA@mq.example.vn:5671/truc"
        );
        let shown = format!("{settings:?}");
        assert!(!shown.contains("s3%20") && !shown.contains("s3 cret"), "{shown}");

        let flags = Flags {
            dir: Some("here".into()),
            system: Some("so-tc".to_owned()),
            ..Flags::default()
        };
        let settings = Settings::read(Some(&path), flags, None).unwrap();
        assert_eq!(settings.directory, PathBuf::from("here"));
        assert_eq!(settings.client.system.as_str(), "so-tc");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_key() {
        let directory = tempfile::tempdir().unwrap();
        let check = |text: &str, password: Option<&str>, expected: &str| {
            let path = write(directory.path(), text);
            let error = Settings::read(Some(&path), Flags::default(), password).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(expected), "{shown}");
            assert!(!shown.contains("hunter2"));
        };
        check("", Some("hunter2"), "dir: name the directory");
        check(
            "dir = \"d\"\nsystem = \"Xã\"",
            Some("hunter2"),
            "system: expected",
        );
        check("dir = \"d\"\nsystem = \"xa\"", None, "password_file: no password");
        check("dir = \"d\"\ncolour = 1", None, "line 2: unknown field");
        check(
            "dir = \"d\"\nbroker = \"amqp://a:hunter2@h\nsystem = \"xa\"",
            None,
            "line 2",
        );
        check(
            "dir = \"d\"\nsystem = \"xa\"\nbroker = \"amqp://other:hunter2@h/v\"",
            None,
            "the user in the address must be the system",
        );
        check(
            "dir = \"d\"\nsystem = \"xa\"\nbroker = \"http://h\"",
            Some("p"),
            "broker: expected amqp",
        );
        check(
            "dir = \"d\"\nsystem = \"xa\"\nkey = \"absent.pem\"",
            Some("p"),
            "key: cannot read",
        );
        check(
            "dir = \"d\"\nsystem = \"xa\"\npoll_ms = 4",
            Some("p"),
            "poll_ms: at least 5",
        );
    }

    #[test]
    fn a_password_on_the_command_line_is_refused() {
        let flags = Flags {
            broker: Some("amqp://xa:hunter2@h/v".to_owned()),
            ..Flags::default()
        };
        let error = Settings::read(None, flags, None).unwrap_err().to_string();
        assert!(error.contains("TRUC_BROKER_PASSWORD") && !error.contains("hunter2"));
    }

    #[test]
    fn the_sample_has_every_key_with_its_default() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/samples/folder.toml");
        let text = fs::read_to_string(sample).unwrap();
        let file: File = toml::from_str(&text).unwrap();
        let set: toml::Table = text.parse().unwrap();
        let expected = File {
            dir: "/srv/truc/xa-tan-trao".into(),
            system: "xa-tan-trao".to_owned(),
            key: "xa-tan-trao.key.pem".into(),
            certificate: "xa-tan-trao.cert.pem".into(),
            password_file: "xa-tan-trao.password".into(),
            ..File::default()
        };
        assert_eq!(file, expected);
        // As many keys as the struct has fields: counted off its debug form.
        let fields = format!("{:#?}", File::default())
            .lines()
            .filter(|line| line.starts_with("    ") && line.contains(": "))
            .count();
        assert_eq!(set.len(), fields);
    }
}
