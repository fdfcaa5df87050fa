//! A RabbitMQ of one's own, for the demo and the tests.
//!
//! It runs from the system's package (`apt-get install rabbitmq-server`) on free loopback ports, with its
//! data, log, configuration and cookie below one directory, and with its own port mapper (epmd). Nothing
//! of a broker that the machine may run besides is read, touched or disturbed.
//!
//! It dies with its parent, however the parent dies: a watching shell reads from a pipe whose other end
//! only the parent holds, and at its end kills the node's whole process group.
//!
//! [`PrivateCluster`] is several of them as one broker.

mod cluster;
mod files;
mod install;
mod launch;
mod ports;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use truc_model::{Random, SystemRandom};

use crate::accounts::{Accounts, AccountsError};
pub use cluster::{PrivateCluster, PrivateClusterConfig};
use install::Installation;
use launch::{Epmd, Running};
use ports::Ports;

/// Longest wait for a node to be ready. Slow machines take ten seconds; two busy cores took four.
const START_LIMIT: Duration = Duration::from_secs(90);
/// Longest wait for a node to stop by itself.
const STOP_LIMIT: Duration = Duration::from_secs(30);
/// Longest wait for a command of `rabbitmqctl`.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Starts with new ports when a port was taken in between.
const START_ATTEMPTS: u32 = 3;
/// Lines of the log in an error.
const TAIL_LINES: usize = 30;

/// What a private node needs.
#[derive(Debug, Clone)]
pub struct PrivateNodeConfig {
    /// Where everything of the node lies. Made when missing; may hold an earlier node's data, if that had
    /// the same name.
    pub dir: PathBuf,
    /// Where RabbitMQ's programs lie; looked for when `None`.
    pub programs: Option<PathBuf>,
}

impl PrivateNodeConfig {
    /// A node in a directory, with the installed RabbitMQ.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            programs: None,
        }
    }
}

/// Why there is no node.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// RabbitMQ is not installed.
    #[error(
        "RabbitMQ is not installed (looked for its programs in {looked}); \
         install it: apt-get install rabbitmq-server"
    )]
    NotInstalled {
        /// Where it was looked for.
        looked: String,
    },
    /// A file or process of the node.
    #[error("cannot {doing}")]
    Io {
        /// What was tried.
        doing: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It was started and did not become ready.
    #[error("the private RabbitMQ did not become ready within {after_s} s; the end of its log:\n{log}")]
    NotReady {
        /// How long was waited.
        after_s: u64,
        /// The end of its log.
        log: String,
    },
    /// It was started and ended at once.
    #[error("the private RabbitMQ ended while starting; the end of its log:\n{log}")]
    Ended {
        /// The end of its log.
        log: String,
    },
    /// `rabbitmqctl` failed.
    #[error("rabbitmqctl {command} failed: {output}")]
    Command {
        /// Its arguments.
        command: String,
        /// What it said.
        output: String,
    },
    /// The management interface failed.
    #[error("the private RabbitMQ's management interface failed")]
    Management(#[source] AccountsError),
}

impl NodeError {
    fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}

/// A running private node. Dropping it kills it; the directory stays.
#[derive(Debug)]
pub struct PrivateNode {
    install: Installation,
    dir: PathBuf,
    name: String,
    ports: Ports,
    admin_password: String,
    cookie: String,
    epmd: Epmd,
    /// The names of all nodes of its cluster, its own among them; none when it stands alone.
    members: Vec<String>,
    running: Option<Running>,
}

impl PrivateNode {
    /// The administrator's name; its password is random and known to this process only.
    pub const ADMIN: &'static str = "truc-admin";

    /// Starts a node and waits until it takes connections.
    ///
    /// # Errors
    /// [`NodeError`]; its text says what to do.
    pub async fn start(config: PrivateNodeConfig) -> Result<Self, NodeError> {
        let install = Installation::find(config.programs.as_deref())?;
        let dir = made(&config.dir)?;
        let random = SystemRandom::default();
        let mut attempt = 1;
        loop {
            let mut node = Self {
                install: install.clone(),
                dir: dir.clone(),
                // The data directory knows the name, so it must not change with the ports.
                name: "truc@localhost".to_owned(),
                ports: Ports::free().map_err(NodeError::io("find free ports"))?,
                admin_password: secret(&random),
                cookie: secret(&random),
                epmd: Epmd::Own,
                members: Vec::new(),
                running: None,
            };
            node.write_files()?;
            match node.run().await {
                Ok(()) => return Ok(node),
                Err(NodeError::Ended { log }) if log.contains("eaddrinuse") && attempt < START_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The address for a user.
    #[must_use]
    pub fn amqp_url(&self, user: &str, password: &str, vhost: &str) -> String {
        format!(
            "amqp://{}:{}@127.0.0.1:{}/{}",
            percent(user),
            percent(password),
            self.ports.amqp,
            percent(vhost)
        )
    }

    /// The address for the administrator, who may do everything.
    #[must_use]
    pub fn admin_amqp_url(&self, vhost: &str) -> String {
        self.amqp_url(Self::ADMIN, &self.admin_password, vhost)
    }

    /// The port of AMQP on 127.0.0.1.
    #[must_use]
    pub const fn amqp_port(&self) -> u16 {
        self.ports.amqp
    }

    /// The address of the management interface.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.management)
    }

    /// The administrator's password.
    #[must_use]
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// The management interface, for a virtual host.
    #[must_use]
    pub fn accounts(&self, vhost: &str) -> Accounts {
        Accounts::new(&self.management_url(), Self::ADMIN, &self.admin_password, vhost)
    }

    /// Where everything of the node lies.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// RabbitMQ's version.
    ///
    /// # Errors
    /// [`NodeError::Management`].
    pub async fn version(&self) -> Result<String, NodeError> {
        let overview = self.accounts("/").overview().await;
        overview
            .map(|overview| overview.version)
            .map_err(NodeError::Management)
    }

    /// Stops it in order: connections are closed, data is written. Does nothing when it is not running.
    ///
    /// # Errors
    /// [`NodeError::Io`]; a node that does not stop in time is killed.
    pub async fn stop(&mut self) -> Result<(), NodeError> {
        let Some(mut running) = self.running.take() else {
            return Ok(());
        };
        running.ask_to_stop(&self.pid_file());
        let stopped = wait_for(STOP_LIMIT, async || running.server_has_ended(&self.dir)).await;
        if !stopped {
            tracing::warn!("the private RabbitMQ did not stop in time and is killed");
        }
        running.kill();
        Ok(())
    }

    /// Starts it again with the same data, ports and passwords, and waits until it takes connections.
    /// Does nothing when it is running.
    ///
    /// # Errors
    /// As [`PrivateNode::start`].
    pub async fn start_again(&mut self) -> Result<(), NodeError> {
        if self.running.is_some() {
            return Ok(());
        }
        self.run().await
    }

    /// Kills it (SIGKILL), with everything that belongs to it.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// Stops its process where it stands (SIGSTOP), as a machine does that hangs: the system goes on taking
    /// connections for it, and nobody answers. Does nothing when it is not running.
    pub fn pause(&self) {
        self.signal(rustix::process::Signal::STOP);
    }

    /// Lets a paused process go on.
    pub fn resume(&self) {
        self.signal(rustix::process::Signal::CONT);
    }

    fn signal(&self, signal: rustix::process::Signal) {
        // The server alone: its watcher must see the end of the parent at any time.
        if let Some(running) = &self.running {
            running.signal(&self.pid_file(), signal);
        }
    }

    /// Whether it was started and neither stopped nor killed since.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Its name among the nodes of a cluster, such as `truc-1@localhost`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sets or clears the memory alarm: set, the broker blocks all that publish.
    ///
    /// # Errors
    /// [`NodeError::Command`].
    pub async fn set_memory_alarm(&self, on: bool) -> Result<(), NodeError> {
        // With no memory allowed the alarm stands at once; the other value is the one configured.
        let mark: &[&str] = if on {
            &["set_vm_memory_high_watermark", "absolute", "1"]
        } else {
            &["set_vm_memory_high_watermark", "0.6"]
        };
        self.rabbitmqctl(mark).await.map(drop)
    }

    /// Closes all client connections, as an operator can.
    ///
    /// # Errors
    /// [`NodeError::Command`].
    pub async fn close_all_connections(&self, reason: &str) -> Result<(), NodeError> {
        // Without `--global` only those of the default virtual host.
        self.rabbitmqctl(&["close_all_connections", "--global", reason])
            .await
            .map(drop)
    }

    /// Runs `rabbitmqctl` on the node and gives back what it printed.
    ///
    /// # Errors
    /// [`NodeError::Command`].
    pub async fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String, NodeError> {
        let failed = |output: String| NodeError::Command {
            command: arguments.join(" "),
            output,
        };
        let mut command = tokio::process::Command::new(self.install.ctl());
        command
            .args(["--quiet", "--node", &self.name])
            .args(arguments)
            .env_clear()
            .envs(self.environment())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        match timeout(COMMAND_LIMIT, command.output()).await {
            Ok(Ok(output)) if output.status.success() => {
                Ok(String::from_utf8_lossy(&output.stdout).into_owned())
            }
            Ok(Ok(output)) => Err(failed(format!(
                "{}{}",
                String::from_utf8_lossy(&output.stderr),
                String::from_utf8_lossy(&output.stdout)
            ))),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {} s", COMMAND_LIMIT.as_secs()))),
        }
    }

    async fn run(&mut self) -> Result<(), NodeError> {
        let _ = std::fs::remove_file(self.pid_file());
        let mut running = Running::launch(&self.install, &self.dir, &self.environment(), self.epmd)?;
        let mut ended = false;
        let ready = wait_for(START_LIMIT, async || {
            ended = running.server_has_ended(&self.dir);
            ended || self.is_ready().await
        })
        .await;
        if ready && !ended {
            self.running = Some(running);
            return Ok(());
        }
        running.kill();
        let log = self.log_tail();
        Err(if ended {
            NodeError::Ended { log }
        } else {
            NodeError::NotReady {
                after_s: START_LIMIT.as_secs(),
                log,
            }
        })
    }

    /// Whether AMQP and the management interface answer.
    async fn is_ready(&self) -> bool {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let greeting = async {
            let mut socket = tokio::net::TcpStream::connect(("127.0.0.1", self.ports.amqp)).await?;
            socket.write_all(b"AMQP\x00\x00\x09\x01").await?;
            let mut first = [0];
            socket.read_exact(&mut first).await?;
            // A method frame: `connection.start`.
            std::io::Result::Ok(first == [1])
        };
        matches!(timeout(Duration::from_secs(2), greeting).await, Ok(Ok(true)))
            && self.accounts("/").overview().await.is_ok()
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.join("node.pid")
    }

    fn log_tail(&self) -> String {
        let mut text = String::new();
        for file in ["start.log", "node.log"] {
            if let Ok(bytes) = std::fs::read(self.dir.join(file)) {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
    }

    /// For the report of a test or the demo: what runs where. Without passwords.
    #[must_use]
    pub fn describe(&self) -> serde_json::Value {
        json!({
            "dir": self.dir, "amqp": self.ports.amqp, "management": self.ports.management,
        })
    }
}

impl Drop for PrivateNode {
    fn drop(&mut self) {
        self.kill();
    }
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

/// The directory, made when missing.
fn made(dir: &Path) -> Result<PathBuf, NodeError> {
    std::fs::create_dir_all(dir).map_err(NodeError::io(format!("make {}", dir.display())))?;
    dir.canonicalize()
        .map_err(NodeError::io(format!("find {}", dir.display())))
}

/// 128 random bits in hexadecimal.
fn secret(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes everything but letters and digits.
fn percent(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(percent("a/b@c:đ-1"), "a%2Fb%40c%3A%C4%91-1");
    }

    #[tokio::test]
    async fn a_missing_package_is_said_with_the_command_that_mends_it() {
        let dir = tempfile::tempdir().unwrap();
        let error = PrivateNode::start(PrivateNodeConfig {
            dir: dir.path().join("node"),
            programs: Some(dir.path().to_path_buf()),
        })
        .await
        .unwrap_err();
        assert!(matches!(error, NodeError::NotInstalled { .. }));
        assert!(error.to_string().contains("apt-get install rabbitmq-server"));
    }
}
