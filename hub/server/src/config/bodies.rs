//! `[bodies]`: large bodies apart: where they are kept, how they are sent and fetched over HTTP, and how much of them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::read::Problem;

/// Large bodies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bodies {
    /// Address and port of the HTTP service; empty: there is none, and no body travels apart.
    pub listen: String,
    /// PEM file of the service's certificate chain; empty: plain HTTP.
    pub certificate: PathBuf,
    /// PEM file of its key.
    pub key: PathBuf,
    /// Plain HTTP on addresses other than this machine's own.
    pub allow_plain: bool,
    /// Largest body.
    pub max_body_bytes: u64,
    /// Most bytes of one system that no submission names yet.
    pub quota_bytes: u64,
    /// Transfers of one system at once.
    pub transfers_max: usize,
    /// Connections at once.
    pub connections_max: usize,
    /// Longest silence on a connection.
    pub idle_s: u64,
    /// Folder of the bodies.
    pub dir: PathBuf,
    /// What stays free on its disk.
    pub disk_floor_mb: u64,
    /// Age at which an unfinished upload is removed.
    pub unfinished_h: u64,
    /// Age at which a body without a submission is removed.
    pub unnamed_h: u64,
    /// How often is looked for these.
    pub sweep_s: u64,
    /// Where the bodies are.
    pub store: StoreKind,
    /// Most copies on the disk of `dir` when they are in a bucket.
    pub copies_max_mb: u64,
    /// Address of the S3 service.
    pub s3_endpoint: String,
    /// Its region.
    pub s3_region: String,
    /// The bucket.
    pub s3_bucket: String,
    /// Folder in it.
    pub s3_prefix: String,
    /// Access key.
    pub s3_access_key_id: String,
    /// File of its secret; empty takes `TRUC_S3_SECRET`.
    pub s3_secret_file: PathBuf,
    /// PEM file of further authorities for its certificate.
    pub s3_ca: PathBuf,
    /// The bucket is in the host name.
    pub s3_virtual_hosted: bool,
}

/// Where the bodies are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// Files of this hub.
    Local,
    /// A bucket that several hubs share.
    S3,
}

impl Bodies {
    /// The service's address; `None` when there is no service.
    #[must_use]
    pub fn listen(&self) -> Option<SocketAddr> {
        self.listen.trim().parse().ok()
    }

    /// Limits and places, for the store.
    #[must_use]
    pub fn settings(&self) -> truc_bodies::Settings {
        truc_bodies::Settings {
            dir: self.dir.clone(),
            max_body_bytes: self.max_body_bytes,
            quota_bytes: self.quota_bytes,
            disk_floor_bytes: megabytes(self.disk_floor_mb),
            unfinished_age: hours(self.unfinished_h),
            unnamed_age: hours(self.unnamed_h),
            copies_max_bytes: megabytes(self.copies_max_mb),
        }
    }
}

const fn megabytes(count: u64) -> u64 {
    count.saturating_mul(1024 * 1024)
}

const fn hours(count: u64) -> Duration {
    Duration::from_secs(count.saturating_mul(3600))
}

/// Longest times, in hours: a year.
const HOURS_MAX: u64 = 8784;

/// What does not fit.
pub(super) fn check(bodies: &Bodies) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut ask = |holds: bool, key: &'static str, problem: &str| {
        if !holds {
            problems.push(Problem {
                key,
                problem: problem.to_owned(),
            });
        }
    };
    let listen = bodies.listen();
    ask(
        bodies.listen.trim().is_empty() || listen.is_some(),
        "bodies.listen",
        "is an address and a port such as 0.0.0.0:8440, or empty",
    );
    ask(
        bodies.certificate.as_os_str().is_empty() == bodies.key.as_os_str().is_empty(),
        "bodies.key",
        "is set together with bodies.certificate",
    );
    let plain = bodies.certificate.as_os_str().is_empty();
    ask(
        !plain || bodies.allow_plain || listen.is_none_or(|listen| listen.ip().is_loopback()),
        "bodies.certificate",
        "is missing: passwords would travel in clear text (allow_plain = true behind a proxy that does TLS)",
    );
    ask(
        bodies.max_body_bytes > 0,
        "bodies.max_body_bytes",
        "is at least 1",
    );
    ask(
        bodies.quota_bytes >= bodies.max_body_bytes,
        "bodies.quota_bytes",
        "is at least bodies.max_body_bytes: the largest body could never be sent",
    );
    ask(bodies.transfers_max > 0, "bodies.transfers_max", "is at least 1");
    ask(
        (1..=65_535).contains(&bodies.connections_max),
        "bodies.connections_max",
        "is from 1 to 65535",
    );
    ask(
        (1..=3600).contains(&bodies.idle_s),
        "bodies.idle_s",
        "is from 1 to 3600",
    );
    ask(
        (1..=86_400).contains(&bodies.sweep_s),
        "bodies.sweep_s",
        "is from 1 to 86400",
    );
    for (hours, key) in [
        (bodies.unfinished_h, "bodies.unfinished_h"),
        (bodies.unnamed_h, "bodies.unnamed_h"),
    ] {
        ask((1..=HOURS_MAX).contains(&hours), key, "is from 1 to 8784");
    }
    if bodies.store == StoreKind::S3 {
        for (value, key) in [
            (&bodies.s3_bucket, "bodies.s3_bucket"),
            (&bodies.s3_region, "bodies.s3_region"),
            (&bodies.s3_access_key_id, "bodies.s3_access_key_id"),
        ] {
            ask(!value.trim().is_empty(), key, "is empty, and bodies.store is s3");
        }
        let endpoint = &bodies.s3_endpoint;
        ask(
            endpoint.is_empty() || endpoint.starts_with("https://") || endpoint.starts_with("http://"),
            "bodies.s3_endpoint",
            "begins with https:// or http://, or is empty for AWS itself",
        );
    }
    problems
}

pub(super) fn make_absolute(bodies: &mut Bodies, folder: &Path) {
    for path in [
        &mut bodies.certificate,
        &mut bodies.key,
        &mut bodies.dir,
        &mut bodies.s3_secret_file,
        &mut bodies.s3_ca,
    ] {
        if !path.as_os_str().is_empty() {
            *path = folder.join(&*path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn problems(change: impl FnOnce(&mut Bodies)) -> Vec<&'static str> {
        let mut config = Config::default();
        change(&mut config.bodies);
        let problems = check(&config.bodies);
        problems.into_iter().map(|problem| problem.key).collect()
    }

    #[test]
    fn passwords_do_not_travel_in_clear_text_unless_told() {
        assert!(problems(|_| {}).is_empty());
        assert!(problems(|bodies| bodies.listen = "127.0.0.1:8440".to_owned()).is_empty());
        assert!(problems(|bodies| bodies.listen = "[::1]:8440".to_owned()).is_empty());
        let open = |bodies: &mut Bodies| bodies.listen = "0.0.0.0:8440".to_owned();
        assert_eq!(problems(open), ["bodies.certificate"]);
        assert!(
            problems(|bodies| {
                open(bodies);
                bodies.allow_plain = true;
            })
            .is_empty()
        );
        assert!(
            problems(|bodies| {
                open(bodies);
                bodies.certificate = "a".into();
                bodies.key = "b".into();
            })
            .is_empty()
        );
        assert_eq!(problems(|bodies| bodies.key = "b".into()), ["bodies.key"]);
        assert_eq!(
            problems(|bodies| bodies.listen = "8440".to_owned()),
            ["bodies.listen"]
        );
    }

    #[test]
    fn limits_fit_together() {
        assert_eq!(
            problems(|bodies| bodies.quota_bytes = bodies.max_body_bytes - 1),
            ["bodies.quota_bytes"]
        );
        assert_eq!(problems(|bodies| bodies.idle_s = 0), ["bodies.idle_s"]);
        assert_eq!(problems(|bodies| bodies.unnamed_h = 8785), ["bodies.unnamed_h"]);
        assert_eq!(
            problems(|bodies| bodies.store = StoreKind::S3),
            ["bodies.s3_bucket", "bodies.s3_access_key_id"]
        );
    }
}
