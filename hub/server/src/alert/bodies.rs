//! Looks at the store of bodies for the alerts: does it take and give, and is there room on its disk.
//!
//! One look at a time: a disk or a service that hangs has one question waiting, and not one more each time.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use truc_bodies::{BodyError, BodyStore};
use truc_ledger::alert::Raise;
use truc_model::AlertKind;

use super::watch::{MB, low, seconds};
use crate::config::Config;

/// Longest wait for the store's answer; then it counts as away until it answers.
pub(super) const STORE_WAIT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct BodiesLook {
    store: Option<BodyStore>,
    /// A look that did not end in time.
    asking: Option<JoinHandle<Result<u64, BodyError>>>,
    failing_since: Option<Timestamp>,
}

/// What one look found.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The store has failed for too long.
    pub(super) away: Option<Raise>,
    /// Its disk is nearly full; `None` in front when that cannot be seen now.
    pub(super) low: Option<Option<Raise>>,
}

impl BodiesLook {
    /// Has looked at nothing yet.
    pub(super) const fn new(store: Option<BodyStore>) -> Self {
        Self {
            store,
            asking: None,
            failing_since: None,
        }
    }

    /// Looks once. A hub without a store finds all well.
    pub(super) async fn look(&mut self, config: &Config, now: Timestamp) -> Seen {
        let Some(store) = self.store.clone() else {
            return Seen {
                away: None,
                low: Some(None),
            };
        };
        let hub = config.hub.name.as_str();
        let mut asking = self
            .asking
            .take()
            .unwrap_or_else(|| tokio::spawn(async move { store.probe().await }));
        let free = match timeout(STORE_WAIT, &mut asking).await {
            Ok(Ok(Ok(free))) => Some(free),
            // Why not stands in the log, by whoever needed the store.
            Ok(_) => None,
            Err(_) => {
                self.asking = Some(asking);
                None
            }
        };
        let Some(free) = free else {
            let since = *self.failing_since.get_or_insert(now);
            let is_late = now.duration_since(since) >= seconds(config.alert.bodies_away_s);
            return Seen {
                away: is_late.then(|| Raise::new(AlertKind::BodyStoreAway, hub).with("since", since)),
                low: None,
            };
        };
        self.failing_since = None;
        let free_mb = free / MB;
        let severity = low(
            free_mb,
            config.alert.bodies_disk_warning_mb,
            config.bodies.disk_floor_mb,
        );
        let low = severity.map(|severity| {
            let raise = Raise::new(AlertKind::BodyDiskLow, hub).at(severity);
            raise.with("free_mb", free_mb)
        });
        Seen {
            away: None,
            low: Some(low),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use truc_bodies::S3Settings;
    use truc_model::{ManualClock, SeededRandom, Severity};

    use super::*;
    use crate::alert::message::tests::at;

    fn config(dir: &Path) -> Config {
        let mut config = Config::default();
        config.bodies.dir = dir.to_owned();
        config.bodies.disk_floor_mb = 0;
        config.alert.bodies_disk_warning_mb = 0;
        config
    }

    async fn local(config: &Config) -> BodyStore {
        let clock = Arc::new(ManualClock::at(at(0)));
        let random = Arc::new(SeededRandom::new(1));
        let settings = config.bodies.settings();
        BodyStore::open_local(settings, clock, random).await.unwrap()
    }

    #[tokio::test]
    async fn a_folder_that_is_not_the_one_that_was_opened_is_told_after_a_while() {
        let dir = tempfile::tempdir().unwrap();
        let (here, elsewhere) = (dir.path().join("bodies"), dir.path().join("elsewhere"));
        let config = config(&here);
        let mut look = BodiesLook::new(Some(local(&config).await));
        let seen = look.look(&config, at(0)).await;
        assert_eq!((seen.away, seen.low), (None, Some(None)));
        // Its disk is gone, and the empty folder it was mounted on is there.
        std::fs::rename(&here, &elsewhere).unwrap();
        std::fs::create_dir(&here).unwrap();
        let patience = i64::try_from(config.alert.bodies_away_s).unwrap();
        for (second, is_told) in [(10, false), (9 + patience, false), (10 + patience, true)] {
            let seen = look.look(&config, at(second)).await;
            assert_eq!(seen.away.is_some(), is_told, "after {second} s");
            // What its disk has room for nobody can say.
            assert_eq!(seen.low, None);
        }
        std::fs::remove_dir(&here).unwrap();
        std::fs::rename(&elsewhere, &here).unwrap();
        let seen = look.look(&config, at(11 + patience)).await;
        assert_eq!((seen.away, seen.low), (None, Some(None)));
        // Another time is another time.
        std::fs::rename(&here, &elsewhere).unwrap();
        let seen = look.look(&config, at(12 + patience)).await;
        assert_eq!(seen.away, None);
    }

    #[tokio::test]
    async fn the_disk_is_told_of_before_it_is_full_and_when_nothing_more_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        let mut look = BodiesLook::new(Some(local(&config).await));
        for (warning, floor, expected) in [
            (0, 0, None),
            (u64::MAX, 0, Some(Severity::Warning)),
            (u64::MAX, u64::MAX, Some(Severity::Critical)),
            (0, u64::MAX, Some(Severity::Critical)),
        ] {
            config.alert.bodies_disk_warning_mb = warning;
            config.bodies.disk_floor_mb = floor;
            let seen = look.look(&config, at(0)).await;
            let found = seen.low.unwrap().map(|raise| raise.severity);
            assert_eq!(found, expected, "{warning} {floor}");
        }
    }

    /// Time goes by itself where nothing else is to do.
    #[tokio::test(start_paused = true)]
    async fn a_service_that_says_nothing_has_one_question_waiting() {
        // It takes connections, as the system does for it, and answers none.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.alert.bodies_away_s = 0;
        let s3 = S3Settings {
            endpoint: format!("http://{}", silent.local_addr().unwrap()),
            region: "us-east-1".to_owned(),
            bucket: "bodies".to_owned(),
            prefix: String::new(),
            access_key_id: "key".to_owned(),
            secret_access_key: "secret".to_owned(),
            ca_pem: None,
            virtual_hosted: false,
            retry_for: Duration::from_secs(30),
        };
        let clock = Arc::new(ManualClock::at(at(0)));
        let random = Arc::new(SeededRandom::new(1));
        let store = BodyStore::open_s3(config.bodies.settings(), &s3, clock, random).await;
        let mut look = BodiesLook::new(Some(store.unwrap()));
        for _ in 0..3 {
            assert!(look.look(&config, at(0)).await.away.is_some());
            assert!(look.asking.is_some());
        }
        // It hangs up: the question ends, and the store is as far away as before.
        drop(silent);
        while look.asking.is_some() {
            assert!(look.look(&config, at(0)).await.away.is_some());
        }
    }

    #[tokio::test]
    async fn a_hub_without_a_store_finds_all_well() {
        let seen = BodiesLook::new(None).look(&Config::default(), at(0)).await;
        assert_eq!((seen.away, seen.low), (None, Some(None)));
    }
}
