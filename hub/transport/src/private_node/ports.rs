//! Free ports on loopback.

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
        Self::free_for(1).map(|mut ports| ports.remove(0))
    }

    /// The same for several nodes at once, all ports different.
    pub(super) fn free_for(nodes: usize) -> std::io::Result<Vec<Self>> {
        let hold = |_| TcpListener::bind(("127.0.0.1", 0));
        let held = (0..nodes * 4).map(hold).collect::<std::io::Result<Vec<_>>>()?;
        let port = |listener: &TcpListener| listener.local_addr().map(|address| address.port());
        let ports = held.chunks(4).map(|four| {
            Ok(Self {
                amqp: port(&four[0])?,
                management: port(&four[1])?,
                distribution: port(&four[2])?,
                epmd: port(&four[3])?,
            })
        });
        ports.collect()
    }
}
