//! Four free ports on loopback.

use std::net::TcpListener;

/// The ports of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) amqp: u16,
    pub(super) management: u16,
    pub(super) distribution: u16,
    pub(super) epmd: u16,
}

impl Ports {
    /// Ports that were free a moment ago. All are held at once, so that they differ; between letting go
    /// and the node's taking them another process can be quicker, and then the node is started again.
    pub(super) fn free() -> std::io::Result<Self> {
        let hold = || TcpListener::bind(("127.0.0.1", 0));
        let held = [hold()?, hold()?, hold()?, hold()?];
        let port = |at: usize| held[at].local_addr().map(|address| address.port());
        Ok(Self {
            amqp: port(0)?,
            management: port(1)?,
            distribution: port(2)?,
            epmd: port(3)?,
        })
    }
}
