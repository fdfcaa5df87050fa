//! Browsing a queue of the twin.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::server::{ConsumerId, Server, Ticket};
use crate::broker::{BrokerError, Cause};
use crate::browse::{Browser, Seen};
use crate::consume::Verdict;

/// A browser of one queue. Dropping it puts back what is held.
pub(super) struct MemoryBrowser {
    server: Arc<Server>,
    id: ConsumerId,
    held: Vec<Ticket>,
}

impl MemoryBrowser {
    pub(super) const fn new(server: Arc<Server>, id: ConsumerId) -> Self {
        Self {
            server,
            id,
            held: Vec::new(),
        }
    }
}

impl Drop for MemoryBrowser {
    fn drop(&mut self) {
        for ticket in self.held.drain(..) {
            self.server.let_go(ticket);
        }
        self.server.drop_consumer(self.id);
    }
}

#[async_trait]
impl Browser for MemoryBrowser {
    async fn next(&mut self) -> Result<Option<Seen>, BrokerError> {
        self.server.reachable()?;
        let Some((message, ticket)) = self.server.take(self.id)? else {
            return Ok(None);
        };
        self.held.push(ticket);
        Ok(Some(Seen::of(message.properties, message.redelivered)))
    }

    async fn take_out(self: Box<Self>, numbers: &[usize]) -> Result<usize, BrokerError> {
        let numbers: BTreeSet<usize> = numbers.iter().copied().collect();
        let mut taken = 0;
        for ticket in numbers.into_iter().filter_map(|number| self.held.get(number)) {
            let settled = self.server.settle(*ticket, Verdict::Ack);
            settled.map_err(|error| BrokerError::Disconnected(Cause::of(&error)))?;
            taken += 1;
        }
        Ok(taken)
    }
}
