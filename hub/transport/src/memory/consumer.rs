//! Consuming from the twin.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::server::{ConsumerId, Server, Ticket};
use crate::consume::{Consumer, Delivery, Means, SettleError, Settlement, Verdict};

/// A consumer of one queue.
pub(super) struct MemoryConsumer {
    server: Arc<Server>,
    id: ConsumerId,
}

impl MemoryConsumer {
    pub(super) const fn new(server: Arc<Server>, id: ConsumerId) -> Self {
        Self { server, id }
    }
}

impl Drop for MemoryConsumer {
    fn drop(&mut self) {
        self.server.drop_consumer(self.id);
    }
}

#[async_trait]
impl Consumer for MemoryConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let mut changed = std::pin::pin!(self.server.changed.notified());
            // Listen first, look second: a change in between is not missed.
            changed.as_mut().enable();
            match self.server.take(self.id) {
                Ok(Some((message, ticket))) => {
                    let settlement = MemorySettlement {
                        server: Arc::clone(&self.server),
                        ticket,
                    };
                    return Some(Delivery::new(message, Settlement(Means::Memory(settlement))));
                }
                Ok(None) => changed.await,
                Err(_) => return None,
            }
        }
    }
}

/// The right to settle a delivery of the twin.
pub(crate) struct MemorySettlement {
    server: Arc<Server>,
    ticket: Ticket,
}

impl MemorySettlement {
    pub(crate) fn settle(self, verdict: Verdict) -> Result<(), SettleError> {
        self.server.settle(self.ticket, verdict)
    }
}

impl Drop for MemorySettlement {
    fn drop(&mut self) {
        self.server.let_go(self.ticket);
    }
}

impl fmt::Debug for MemorySettlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MemorySettlement").field(&self.ticket).finish()
    }
}
