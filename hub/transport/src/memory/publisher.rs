//! Publishing to the twin.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use super::MemoryBroker;
use super::server::{ConnectionId, Entrance, Server};
use crate::broker::{BrokerError, Cause};
use crate::message::OutMessage;
use crate::publish::{Confirming, PublishError, Publisher};

/// A channel to publish on. Confirms come at once, so its window is never full.
pub(super) struct MemoryPublisher {
    server: Arc<Server>,
    connection: ConnectionId,
}

impl MemoryPublisher {
    pub(super) const fn new(server: Arc<Server>, connection: ConnectionId) -> Self {
        Self { server, connection }
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    async fn publish(&self, message: OutMessage) -> Result<Confirming, PublishError> {
        let limit = MemoryBroker::MAX_BODY_BYTES;
        if message.body.len() > limit {
            return Err(PublishError::TooLarge {
                size: message.body.len(),
                limit,
            });
        }
        let begun = Instant::now();
        loop {
            let mut changed = std::pin::pin!(self.server.changed.notified());
            changed.as_mut().enable();
            let why = match self.server.entrance(self.connection) {
                Entrance::Open => {
                    let answer = self.server.publish(self.connection, message);
                    return Ok(Confirming::ready(answer));
                }
                Entrance::Closed => {
                    return Err(PublishError::Disconnected(Cause::of(&BrokerError::Closed)));
                }
                Entrance::Wait(why) => why,
            };
            if timeout_at(begun + MemoryBroker::PATIENCE, changed).await.is_err() {
                return Err(match why {
                    PublishError::Blocked { reason, .. } => PublishError::Blocked {
                        reason,
                        waited_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
                    },
                    other => other,
                });
            }
        }
    }
}
