//! A PostgreSQL of one's own, for the demo and the tests.
//!
//! It runs from the system's package (`apt-get install postgresql`) on a free loopback port, with its data and log
//! below one directory; flushing is on, as in production. Nothing of a server that the machine may run besides is
//! read, touched or disturbed. When this process is root's the server runs as `postgres`, because it refuses root.
//!
//! It dies with its parent, however the parent dies: a watching shell reads from a pipe whose other end only the
//! parent holds, and at its end kills the server.

mod install;
mod launch;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection};
use tokio::time::{Instant, sleep, timeout};
use truc_model::{Random, SystemRandom};

use install::{Installation, User};
use launch::{Running, as_user};

/// Longest wait for a server to be ready, recovery after a kill included.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Longest wait for a server to stop by itself.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for one of its programs.
const PROGRAM_LIMIT: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Starts with a new port when the port was taken in between, or the old server's processes are not gone yet.
const START_ATTEMPTS: u32 = 5;
/// Lines of the log in an error.
const TAIL_LINES: usize = 30;

/// What a private server needs.
#[derive(Debug, Clone)]
pub struct PrivateServerConfig {
    /// Where everything of the server lies. Made when missing; may hold an earlier server's data.
    pub dir: PathBuf,
    /// Where PostgreSQL's programs lie; looked for when `None`.
    pub programs: Option<PathBuf>,
    /// Settings beside its own, such as `shared_buffers` = `256MB`.
    pub settings: Vec<(String, String)>,
    /// The directory goes with the server, also when its parent is killed: never set it on one that has anything else.
    pub is_passing: bool,
}

impl PrivateServerConfig {
    /// A server in a directory, with the installed PostgreSQL.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            programs: None,
            settings: Vec::new(),
            is_passing: false,
        }
    }

    /// With a directory that goes with the server.
    #[must_use]
    pub fn passing(mut self) -> Self {
        self.is_passing = true;
        self
    }

    /// With one setting more.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL is not installed (looked for its programs in {looked}); install it: apt-get install postgresql"
    )]
    NotInstalled {
        /// Where it was looked for.
        looked: String,
    },
    /// This process is root's, and there is no user the server could run as.
    #[error("PostgreSQL refuses to run as root, and there is no user postgres")]
    NoUser,
    /// The user it runs as cannot get to its directory.
    #[error("the user {user} cannot get to {dir}: everybody must be able to pass the directories above it")]
    NotReachable {
        /// Who.
        user: String,
        /// Where.
        dir: String,
    },
    /// A file or process of the server.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// One of its programs failed.
    #[error("{program} failed: {output}")]
    Program {
        /// Which.
        program: String,
        /// What it said.
        output: String,
    },
    /// It was started and did not become ready.
    #[error("the private PostgreSQL did not become ready within {after_s} s; the end of its log:\n{log}")]
    NotReady {
        /// How long was waited.
        after_s: u64,
        /// The end of its log.
        log: String,
    },
    /// It was started and ended at once.
    #[error("the private PostgreSQL ended while starting; the end of its log:\n{log}")]
    Ended {
        /// The end of its log.
        log: String,
    },
    /// It refused a statement.
    #[error("the private PostgreSQL refused a statement")]
    Refused(#[source] sqlx::Error),
}

impl ServerError {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// A running private server. Dropping it kills it; the directory stays.
#[derive(Debug)]
pub struct PrivateServer {
    install: Installation,
    user: Option<User>,
    config: PrivateServerConfig,
    port: u16,
    password: String,
    running: Option<Running>,
}

impl PrivateServer {
    /// The administrator's name; its password is random and known to this process only.
    pub const ADMIN: &'static str = "truc";

    /// Makes a server in a directory, or takes an earlier one's data, starts it and waits until it takes connections.
    ///
    /// # Errors
    /// [`ServerError`]; its text says what to do.
    pub async fn start(mut config: PrivateServerConfig) -> Result<Self, ServerError> {
        let install = Installation::find(config.programs.as_deref())?;
        let user = User::needed()?;
        fs::create_dir_all(&config.dir).map_err(ServerError::io(format!("make {}", config.dir.display())))?;
        config.dir = config
            .dir
            .canonicalize()
            .map_err(ServerError::io(format!("find {}", config.dir.display())))?;
        if let Some(user) = &user {
            if !user.can_reach(&config.dir) {
                return Err(ServerError::NotReachable {
                    user: user.name.to_owned(),
                    dir: config.dir.display().to_string(),
                });
            }
            own(&config.dir, user)?;
        }
        let mut server = Self {
            install,
            user,
            config,
            port: 0,
            password: String::new(),
            running: None,
        };
        server.make().await?;
        server.run(true).await?;
        Ok(server)
    }

    /// The address of a database, for the administrator.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let (user, password) = (Self::ADMIN, &self.password);
        let port = self.port;
        format!("postgres://{user}:{password}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The same without the password, as a configuration has it.
    #[must_use]
    pub fn url_without_password(&self, database: &str) -> String {
        let (user, port) = (Self::ADMIN, self.port);
        format!("postgres://{user}@127.0.0.1:{port}/{database}?sslmode=disable")
    }

    /// The file that has the password; this process may read it.
    #[must_use]
    pub fn password_file(&self) -> PathBuf {
        self.config.dir.join("password")
    }

    /// The port on 127.0.0.1; the same after each start.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The administrator's password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Where everything of the server lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.config.dir
    }

    /// Changes one of its settings, from its next start on.
    pub fn set(&mut self, name: &str, value: &str) {
        self.config.settings.push((name.to_owned(), value.to_owned()));
    }

    /// Makes an empty database. The name has letters, digits and `_` alone.
    ///
    /// # Errors
    /// [`ServerError::Refused`], also when there is one of that name.
    pub async fn create_database(&self, name: &str) -> Result<(), ServerError> {
        let statement = format!("CREATE DATABASE {name}");
        self.execute("postgres", &statement).await
    }

    /// Runs statements in a database, as the administrator.
    ///
    /// # Errors
    /// [`ServerError::Refused`].
    pub async fn execute(&self, database: &str, statements: &str) -> Result<(), ServerError> {
        let mut connection = self.connect(database).await.map_err(ServerError::Refused)?;
        let done = connection
            .execute(sqlx::raw_sql(AssertSqlSafe(statements.to_owned())))
            .await;
        done.map_err(ServerError::Refused)?;
        connection.close().await.map_err(ServerError::Refused)
    }

    /// Stops it in order: transactions are ended, data is written. Does nothing when it is not running.
    ///
    /// # Errors
    /// Never today; a server that does not stop in time is killed.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        if let Some(postmaster) = self.postmaster() {
            // SIGINT is its "fast" shutdown: sessions are ended, nothing is waited for.
            let _ = rustix::process::kill_process(postmaster, Signal::INT);
        }
        let stopped = wait_for(STOP_LIMIT, async || running.server_has_ended(&self.config.dir)).await;
        if !stopped {
            tracing::warn!("the private PostgreSQL did not stop in time and is killed");
        }
        running.kill(self.postmaster());
        Ok(())
    }

    /// Starts it again with the same data, port and password, and waits until it takes connections. Does nothing when
    /// it is running.
    ///
    /// # Errors
    /// As [`PrivateServer::start`].
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        if self.running.is_some() {
            return Ok(());
        }
        self.run(false).await
    }

    /// Kills it (SIGKILL), with every process that belongs to it.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill(self.postmaster());
        }
    }

    /// Stands all of it still (SIGSTOP), or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        let Some(postmaster) = self.postmaster().filter(|_| self.running.is_some()) else {
            return;
        };
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        for process in std::iter::once(postmaster).chain(launch::children(postmaster)) {
            let _ = rustix::process::kill_process(process, signal);
        }
    }

    /// Runs one of PostgreSQL's programs against this server, as the administrator, and gives back what it printed.
    ///
    /// # Errors
    /// [`ServerError::Program`].
    pub async fn program(&self, name: &str, arguments: &[&str]) -> Result<String, ServerError> {
        let program = self.install.program(name);
        let mut command = tokio::process::Command::new(&program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", path())
            .env("LC_ALL", "C")
            .env("PGHOST", "127.0.0.1")
            .env("PGPORT", self.port.to_string())
            .env("PGUSER", Self::ADMIN)
            .env("PGPASSWORD", &self.password);
        output(name, command).await
    }

    /// Makes the data directory, unless there is one.
    async fn make(&mut self) -> Result<(), ServerError> {
        let secret = self.password_file();
        if self.data().join("PG_VERSION").exists() {
            self.password = fs::read_to_string(&secret)
                .map_err(ServerError::io(format!("read {}", secret.display())))?
                .trim()
                .to_owned();
            return Ok(());
        }
        self.password = random_word(&SystemRandom::default());
        write_secret(&secret, &self.password)?;
        if let Some(user) = &self.user {
            own(&secret, user)?;
        }
        let command = as_user(self.user.as_ref(), &self.install.initdb());
        let mut initdb = tokio::process::Command::new(command.first().map_or("", String::as_str));
        initdb
            .args(command.get(1..).unwrap_or_default())
            .arg("--pgdata")
            .arg(self.data())
            .arg("--pwfile")
            .arg(&secret)
            .args(["--username", Self::ADMIN, "--auth", "scram-sha-256"])
            .args(["--encoding", "UTF8", "--locale", "C"])
            // Nothing is in it yet that a loss of power could take.
            .args(["--no-sync", "--no-instructions"])
            .current_dir(&self.config.dir)
            .env_clear()
            .env("PATH", path())
            .env("LC_ALL", "C");
        output("initdb", initdb).await.map(drop)
    }

    /// Starts it. With `anew` on a port of its choice, else on the one it had.
    async fn run(&mut self, anew: bool) -> Result<(), ServerError> {
        let mut attempt = 1;
        loop {
            if anew {
                self.port = free_port().map_err(ServerError::io("find a free port"))?;
            }
            match self.try_run().await {
                Ok(()) => return Ok(()),
                // Another took the port, or the processes of the server that was killed are still there.
                Err(ServerError::Ended { log }) if is_passing(&log) && attempt < START_ATTEMPTS => {
                    attempt += 1;
                    sleep(LOOK).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_run(&mut self) -> Result<(), ServerError> {
        let mut command = as_user(self.user.as_ref(), &self.install.server());
        command.extend(["-D".to_owned(), self.data().display().to_string()]);
        let own = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            // In its own directory: what a killed server leaves in the system's shared memory nobody removes.
            ("dynamic_shared_memory_type", "mmap"),
            ("max_connections", "200"),
            // As in production, said aloud.
            ("fsync", "on"),
            ("full_page_writes", "on"),
            ("log_min_messages", "warning"),
        ];
        for (name, value) in own {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        command.extend(["-c".to_owned(), format!("port={}", self.port)]);
        for (name, value) in &self.config.settings {
            command.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        self.forget_the_last().await;
        let mut running = Running::launch(&self.config.dir, &command, &path(), self.config.is_passing)?;
        let mut ended = false;
        let ready = wait_for(START_LIMIT, async || {
            ended = running.server_has_ended(&self.config.dir);
            ended || self.is_ready().await
        })
        .await;
        if ready && !ended {
            self.running = Some(running);
            return Ok(());
        }
        running.kill(self.postmaster());
        let log = self.log_tail();
        Err(if ended {
            ServerError::Ended { log }
        } else {
            ServerError::NotReady {
                after_s: START_LIMIT.as_secs(),
                log,
            }
        })
    }

    /// A server that was killed left its file; where nobody reaps the dead, a new one would take it for alive.
    async fn forget_the_last(&self) {
        let Some(last) = self.postmaster() else {
            return;
        };
        if wait_for(STOP_LIMIT, async || launch::is_over(last)).await {
            let _ = fs::remove_file(self.data().join("postmaster.pid"));
        }
    }

    async fn is_ready(&self) -> bool {
        match timeout(Duration::from_secs(5), self.connect("postgres")).await {
            Ok(Ok(connection)) => connection.close().await.is_ok(),
            _ => false,
        }
    }

    async fn connect(&self, database: &str) -> Result<PgConnection, sqlx::Error> {
        let options: PgConnectOptions = self.url(database).parse()?;
        options.connect().await
    }

    fn data(&self) -> PathBuf {
        self.config.dir.join("data")
    }

    /// The first process of the server, as its file says.
    fn postmaster(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok().and_then(Pid::from_raw)
    }

    fn log_tail(&self) -> String {
        let bytes = fs::read(self.config.dir.join("server.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.kill();
        if self.config.is_passing {
            let _ = fs::remove_dir_all(&self.config.dir);
        }
    }
}

/// Whether what ended a server at its start passes by itself.
fn is_passing(log: &str) -> bool {
    ["Address already in use", "still in use", "is another postmaster"]
        .iter()
        .any(|word| log.contains(word))
}

async fn output(name: &str, mut command: tokio::process::Command) -> Result<String, ServerError> {
    let failed = |output: String| ServerError::Program {
        program: name.to_owned(),
        output,
    };
    command.stdin(Stdio::null()).kill_on_drop(true);
    match timeout(PROGRAM_LIMIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => Err(failed(format!(
            "{}{}",
            String::from_utf8_lossy(&output.stderr),
            String::from_utf8_lossy(&output.stdout)
        ))),
        Ok(Err(error)) => Err(failed(error.to_string())),
        Err(_) => Err(failed(format!("no end within {} s", PROGRAM_LIMIT.as_secs()))),
    }
}

fn path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned())
}

/// A port that was free a moment ago.
fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn own(path: &Path, user: &User) -> Result<(), ServerError> {
    std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid)).map_err(ServerError::io(format!(
        "give {} to {}",
        path.display(),
        user.name
    )))
}

/// Writes a file that only its owner may read.
fn write_secret(path: &Path, text: &str) -> Result<(), ServerError> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(ServerError::io(format!("write {}", path.display())))
}

/// Looks at a condition until it holds or the time is up.
async fn wait_for(limit: Duration, mut condition: impl AsyncFnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition().await {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        sleep(LOOK).await;
    }
}

/// 128 random bits in hexadecimal.
fn random_word(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_package_is_said_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut config = PrivateServerConfig::new(dir.path().join("server"));
        config.programs = Some(dir.path().to_path_buf());
        let error = PrivateServer::start(config).await.unwrap_err();
        assert!(matches!(error, ServerError::NotInstalled { .. }));
        assert!(error.to_string().contains("apt-get install postgresql"));
    }

    #[test]
    fn a_directory_behind_a_closed_one_is_said() {
        use std::os::unix::fs::PermissionsExt as _;
        let stranger = User {
            name: "nobody",
            uid: u32::MAX - 1,
            gid: u32::MAX - 1,
        };
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("server");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.can_reach(&inside));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).unwrap();
        assert!(stranger.can_reach(&inside));
    }
}
