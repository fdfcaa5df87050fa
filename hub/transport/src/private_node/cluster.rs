//! Several private nodes as one broker: a cluster of one's own, each node of which can be stopped, killed, paused and
//! started again by itself.
//!
//! All nodes are on one machine, so it shows what a cluster does when a node is lost, and nothing of what a network
//! does between machines.

use std::path::PathBuf;

use futures_util::future::try_join_all;
use truc_model::SystemRandom;

use super::launch::{Epmd, SharedEpmd};
use super::{
    Installation, NodeError, Ports, PrivateNode, START_ATTEMPTS, START_LIMIT, made, secret, wait_for,
};
use crate::accounts::Accounts;

/// What a private cluster needs.
#[derive(Debug, Clone)]
pub struct PrivateClusterConfig {
    /// Where everything of it lies, a folder for each node. Must be empty or missing.
    pub dir: PathBuf,
    /// How many nodes, from 1 to [`PrivateCluster::NODES_MAX`].
    pub nodes: usize,
    /// Where RabbitMQ's programs lie; looked for when `None`.
    pub programs: Option<PathBuf>,
}

impl PrivateClusterConfig {
    /// Three nodes in a directory, with the installed RabbitMQ.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            nodes: 3,
            programs: None,
        }
    }
}

/// Running private nodes that are one cluster. Dropping it kills them all; the directory stays.
#[derive(Debug)]
pub struct PrivateCluster {
    nodes: Vec<PrivateNode>,
    _epmd: SharedEpmd,
}

impl PrivateCluster {
    /// Most nodes: quorum queues profit from no more.
    pub const NODES_MAX: usize = 7;

    /// Starts all nodes at once and waits until each knows all others as running.
    ///
    /// # Errors
    /// As [`PrivateNode::start`].
    pub async fn start(config: PrivateClusterConfig) -> Result<Self, NodeError> {
        let install = Installation::find(config.programs.as_deref())?;
        let dir = made(&config.dir)?;
        let random = SystemRandom::default();
        let count = config.nodes.clamp(1, Self::NODES_MAX);
        let members: Vec<String> = (1..=count)
            .map(|number| format!("truc-{number}@localhost"))
            .collect();
        let (password, cookie) = (secret(&random), secret(&random));
        let mut attempt = 1;
        loop {
            let ports = Ports::free_for(count).map_err(NodeError::io("find free ports"))?;
            let epmd = ports[0].epmd;
            let mut cluster = Self {
                _epmd: SharedEpmd::launch(epmd)?,
                nodes: Vec::with_capacity(count),
            };
            for (name, ports) in members.iter().zip(ports) {
                let folder = name.split('@').next().unwrap_or(name);
                let node = PrivateNode {
                    install: install.clone(),
                    // Each attempt in folders of its own: half a cluster on disk is none that can be joined.
                    dir: made(&dir.join(format!("{attempt}-{folder}")))?,
                    name: name.clone(),
                    ports,
                    admin_password: password.clone(),
                    cookie: cookie.clone(),
                    epmd: Epmd::Shared(epmd),
                    members: members.clone(),
                    running: None,
                };
                node.write_files()?;
                cluster.nodes.push(node);
            }
            match cluster.start_all().await {
                Ok(()) => return Ok(cluster),
                Err(NodeError::Ended { log }) if log.contains("eaddrinuse") && attempt < START_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Starts all nodes that are not running, at once, and waits until each knows all others as running. After all
    /// were down, this is the way up: a node alone waits for those that were running when it ended.
    ///
    /// # Errors
    /// As [`PrivateNode::start`].
    pub async fn start_all(&mut self) -> Result<(), NodeError> {
        try_join_all(self.nodes.iter_mut().map(PrivateNode::start_again)).await?;
        self.complete().await
    }

    /// Waits until each node knows all others as running.
    ///
    /// # Errors
    /// [`NodeError::NotReady`].
    pub async fn complete(&self) -> Result<(), NodeError> {
        let complete = wait_for(START_LIMIT, async || {
            for node in &self.nodes {
                let seen = node.accounts("/").nodes().await.unwrap_or_default();
                if seen.iter().filter(|node| node.running).count() < self.nodes.len() {
                    return false;
                }
            }
            true
        })
        .await;
        if complete {
            return Ok(());
        }
        let logs = self.nodes.iter().map(PrivateNode::log_tail);
        Err(NodeError::NotReady {
            after_s: START_LIMIT.as_secs(),
            log: logs.collect::<Vec<_>>().join("\n"),
        })
    }

    /// The nodes, in a fixed order.
    #[must_use]
    pub fn nodes(&self) -> &[PrivateNode] {
        &self.nodes
    }

    /// The same, to stop, kill and start them.
    pub fn nodes_mut(&mut self) -> &mut [PrivateNode] {
        &mut self.nodes
    }

    /// `host:port` of each node's AMQP.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let port = PrivateNode::amqp_port;
        self.nodes
            .iter()
            .map(|node| format!("127.0.0.1:{}", port(node)))
            .collect()
    }

    /// The addresses of the management interfaces.
    #[must_use]
    pub fn management_urls(&self) -> Vec<String> {
        self.nodes.iter().map(PrivateNode::management_url).collect()
    }

    /// The management interface of whichever node answers, for a virtual host.
    #[must_use]
    pub fn accounts(&self, vhost: &str) -> Accounts {
        let password = self.nodes[0].admin_password();
        Accounts::of_nodes(&self.management_urls(), PrivateNode::ADMIN, password, vhost)
    }

    /// The number of the node that leads a quorum queue (that keeps a classic one), as the others see it.
    ///
    /// # Errors
    /// [`NodeError::Command`], or when no node is running.
    pub async fn leader(&self, vhost: &str, queue: &str) -> Result<Option<usize>, NodeError> {
        let asked = self.nodes.iter().find(|node| node.is_running());
        let Some(asked) = asked else { return Ok(None) };
        let arguments = [
            "list_queues",
            "-p",
            vhost,
            "--no-table-headers",
            "name",
            "leader",
            "pid",
        ];
        let rows = asked.rabbitmqctl(&arguments).await?;
        let row = rows.lines().find(|row| row.split('\t').next() == Some(queue));
        Ok(row.and_then(|row| {
            // A classic queue has no leader but a process, whose name begins with its node's.
            let said = |node: &PrivateNode| row.split('\t').skip(1).any(|word| word.contains(node.name()));
            self.nodes.iter().position(said)
        }))
    }
}
