//! A folder to run the program in, and what a run came to.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use serde_json::Value;
use truc_ledger::{Ledger, Settings};
use truc_ledger_sqlite::SqliteStore;
use truc_model::{Clock, SystemClock, SystemRandom};

pub(crate) const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

pub(crate) const UUID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// A folder with a configuration whose broker nobody answers for.
pub(crate) struct Place {
    dir: tempfile::TempDir,
    password: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        // Bound and let go: nothing listens there.
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let url = format!("amqp://truc@127.0.0.1:{port}/truc");
        Self::beside(&url, &format!("http://127.0.0.1:{port}"), "secret-of-the-test")
    }

    /// With a broker.
    pub(crate) fn beside(url: &str, management_url: &str, password: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = format!(
            "[broker]\nurl = \"{url}\"\nmanagement_url = \"{management_url}\"\nconnect_timeout_ms = 5000\n\
             [ledger]\npath = \"truc.db\"\n[directory]\nrefresh_ms = 200\n"
        );
        std::fs::write(dir.path().join("truc.toml"), config).unwrap();
        Self {
            dir,
            password: password.to_owned(),
        }
    }

    /// With tables and the sample directory.
    pub(crate) fn with_directory() -> Self {
        let place = Self::new();
        place.run(&["migrate"]).ends(0);
        place.import(&["--yes"]).ends(0);
        place
    }

    pub(crate) fn import(&self, more: &[&str]) -> Ran {
        let agencies = format!("{ROOT}/config/samples/tuyen-quang.csv");
        let systems = format!("{ROOT}/config/samples/tuyen-quang-systems.csv");
        let mut arguments = vec!["directory", "import", &agencies, "--systems", &systems];
        arguments.extend(more);
        self.run(&arguments)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The program with its surroundings.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_truc"));
        command
            .args(arguments)
            .env("TRUC_CONFIG", self.path("truc.toml"))
            .env("TRUC_BROKER_PASSWORD", &self.password)
            .env("USER", "tester")
            .env_remove("SUDO_USER")
            .current_dir(self.dir.path())
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let ran = Ran {
            what: arguments.join(" "),
            output,
        };
        for stream in [ran.out(), ran.err()] {
            assert!(!stream.contains(&self.password), "{}: {stream}", ran.what);
        }
        ran
    }

    pub(crate) fn json(&self, arguments: &[&str], exit: i32) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        let ran = self.run(&arguments).ends(exit);
        serde_json::from_str(&ran.out())
            .unwrap_or_else(|error| panic!("{}: {error}: {}", ran.what, ran.out()))
    }

    pub(crate) async fn ledger(&self) -> Ledger {
        self.ledger_at(Arc::new(SystemClock)).await
    }

    /// The ledger, by another clock.
    pub(crate) async fn ledger_at(&self, clock: Arc<dyn Clock>) -> Ledger {
        let store = SqliteStore::open(&self.path("truc.db")).await.unwrap();
        Ledger::start(
            Arc::new(store),
            clock,
            Arc::new(SystemRandom::default()),
            Settings::default(),
        )
    }
}

/// What a run came to.
pub(crate) struct Ran {
    pub(crate) what: String,
    pub(crate) output: Output,
}

impl Ran {
    pub(crate) fn out(&self) -> String {
        String::from_utf8(self.output.stdout.clone()).unwrap()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8(self.output.stderr.clone()).unwrap()
    }

    #[track_caller]
    pub(crate) fn ends(self, exit: i32) -> Self {
        assert_eq!(
            self.output.status.code(),
            Some(exit),
            "{}:\n{}\n{}",
            self.what,
            self.out(),
            self.err()
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(
                self.out().contains(word),
                "{}: no '{word}' in\n{}",
                self.what,
                self.out()
            );
        }
        self
    }

    /// Could not run: one line what, one line the next step, nothing on standard output.
    #[track_caller]
    pub(crate) fn troubles(self, words: &[&str]) {
        let ran = self.ends(2);
        assert_eq!(ran.out(), "", "{}", ran.what);
        // `serve` has a log before it.
        let all = ran.err();
        let error = all
            .lines()
            .skip_while(|line| !line.starts_with("error: "))
            .collect::<Vec<_>>()
            .join("\n");
        assert!(error.contains("\n→ "), "{}: {all}", ran.what);
        assert!(
            error == all.trim_end() || ran.what == "serve",
            "{}: {all}",
            ran.what
        );
        for word in words {
            assert!(error.contains(word), "{}: no '{word}' in {error}", ran.what);
        }
    }
}
