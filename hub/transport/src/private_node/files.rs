//! What a private node reads: its files, and the environment of its processes.

use super::launch::Epmd;
use super::ports::Ports;
use super::{NodeError, PrivateNode};

impl PrivateNode {
    /// Configuration, plugins and cookie.
    pub(super) fn write_files(&self) -> Result<(), NodeError> {
        let Ports { amqp, management, .. } = self.ports;
        let (user, password) = (Self::ADMIN, &self.admin_password);
        let log = self.dir.join("node.log");
        let config = format!(
            "listeners.tcp.local = 127.0.0.1:{amqp}\n\
             management.tcp.ip = 127.0.0.1\n\
             management.tcp.port = {management}\n\
             management.rates_mode = none\n\
             default_user = {user}\n\
             default_pass = {password}\n\
             default_permissions.configure = .*\n\
             default_permissions.write = .*\n\
             default_permissions.read = .*\n\
             default_user_tags.administrator = true\n\
             vm_memory_high_watermark.relative = 0.6\n\
             disk_free_limit.absolute = 50MB\n\
             collect_statistics_interval = 5000\n\
             log.file = {}\n\
             log.file.level = info\n\
             log.console = false\n\
             {}",
            log.display(),
            self.cluster_config(),
        );
        self.write("rabbitmq.conf", &config)?;
        self.write("enabled_plugins", "[rabbitmq_management].\n")?;
        self.write("advanced.config", "[].\n")?;
        // Empty, so that the machine's own rabbitmq-env.conf is not read.
        self.write("env.conf", "")?;
        let _ = std::fs::remove_file(self.dir.join(".erlang.cookie"));
        self.write(".erlang.cookie", &self.cookie)
    }

    /// What makes nodes one cluster (docs/operating/cluster.md). They start at once: whichever comes first to the lock
    /// finds nobody, once, and is the cluster; the others join it.
    fn cluster_config(&self) -> String {
        if self.members.is_empty() {
            return String::new();
        }
        let mut text = String::from(
            "cluster_name = truc\n\
             cluster_partition_handling = pause_minority\n\
             net_ticktime = 10\n\
             cluster_formation.peer_discovery_backend = classic_config\n\
             cluster_formation.discovery_retry_limit = 1\n\
             cluster_formation.discovery_retry_interval = 100\n",
        );
        for (number, name) in (1..).zip(&self.members) {
            text.push_str(&format!(
                "cluster_formation.classic_config.nodes.{number} = {name}\n"
            ));
        }
        text
    }

    /// Writes a file that only this user may read (Erlang insists on it for the cookie).
    fn write(&self, name: &str, text: &str) -> Result<(), NodeError> {
        use std::io::Write as _;
        use std::os::unix::fs::OpenOptionsExt as _;
        let path = self.dir.join(name);
        std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(NodeError::io(format!("write {}", path.display())))
    }

    /// The whole environment of the node and of `rabbitmqctl`: nothing is inherited but the path.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let file = |name: &str| self.dir.join(name).display().to_string();
        let epmd = match self.epmd {
            Epmd::Own => self.ports.epmd,
            Epmd::Shared(port) => port,
        };
        vec![
            ("PATH", path()),
            // Erlang's cookie lies in the home directory.
            ("HOME", self.dir.display().to_string()),
            ("LANG", "C.UTF-8".to_owned()),
            ("LC_ALL", "C.UTF-8".to_owned()),
            ("RABBITMQ_NODENAME", self.name.clone()),
            ("RABBITMQ_CONF_ENV_FILE", file("env.conf")),
            ("RABBITMQ_CONFIG_FILE", file("rabbitmq.conf")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", file("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", file("enabled_plugins")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", file("generated")),
            ("RABBITMQ_MNESIA_BASE", file("data")),
            ("RABBITMQ_LOG_BASE", file("log")),
            ("RABBITMQ_PID_FILE", file("node.pid")),
            ("RABBITMQ_DIST_PORT", self.ports.distribution.to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".to_owned()),
            ("ERL_EPMD_PORT", epmd.to_string()),
            // Two schedulers, the distribution on loopback, and the port mapper is ours.
            (
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 2:2 +SDio 2 -kernel inet_dist_use_interface {127,0,0,1} -start_epmd false".to_owned(),
            ),
            ("RABBITMQ_CTL_ERL_ARGS", "+S 1:1 -start_epmd false".to_owned()),
            ("ERL_CRASH_DUMP_BYTES", "0".to_owned()),
        ]
    }
}

/// The search path for programs.
pub(super) fn path() -> String {
    std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned())
}
