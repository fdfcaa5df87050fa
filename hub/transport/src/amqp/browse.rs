//! Browsing a queue of RabbitMQ: `basic.get` on a channel of its own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicNackOptions};
use lapin::types::ShortString;

use super::convert::from_amqp;
use super::declare::{look_at, open, short_name};
use super::fault::within;
use super::link::Link;
use crate::broker::BrokerError;
use crate::browse::{Browser, Seen};
use crate::config::BrokerConfig;

/// A browser of one queue. Dropping it closes the channel: the broker puts back what is held.
pub(super) struct AmqpBrowser {
    channel: Channel,
    queue: ShortString,
    name: String,
    limit: Duration,
    /// Delivery tags, in the order of looking.
    held: Vec<u64>,
}

impl AmqpBrowser {
    pub(super) async fn open(
        config: &Arc<BrokerConfig>,
        link: &Link,
        queue: &str,
    ) -> Result<Self, BrokerError> {
        let browser = Self {
            channel: open(config, link).await?,
            queue: short_name(queue)?,
            name: queue.to_owned(),
            limit: config.operation_timeout,
            held: Vec::new(),
        };
        // An error of `basic.get` would end the channel; this says the same, sooner.
        look_at(&browser.channel, queue, browser.limit).await?;
        Ok(browser)
    }
}

#[async_trait]
impl Browser for AmqpBrowser {
    async fn next(&mut self) -> Result<Option<Seen>, BrokerError> {
        // Not `no_ack`: what is only looked at must come back whatever happens.
        let options = BasicGetOptions { no_ack: false };
        let get = self.channel.basic_get(self.queue.clone(), options);
        let Some(message) = within(self.limit, "look at a message", &self.name, get).await? else {
            return Ok(None);
        };
        self.held.push(message.delivery.delivery_tag);
        let seen = Seen::of(
            from_amqp(&message.delivery.properties),
            message.delivery.redelivered,
        );
        Ok(Some(seen))
    }

    async fn take_out(self: Box<Self>, numbers: &[usize]) -> Result<usize, BrokerError> {
        let numbers: BTreeSet<usize> = numbers.iter().copied().collect();
        let mut taken = 0;
        for tag in numbers.into_iter().filter_map(|number| self.held.get(number)) {
            let ack = self.channel.basic_ack(*tag, BasicAckOptions { multiple: false });
            within(self.limit, "take a message out", &self.name, ack).await?;
            taken += 1;
        }
        // Acks have no answer of their own. The channel works off its methods in order, so its answer to a later question
        // says that it has passed them on: they are out of this program's hands, and closing the channel takes none back.
        // The queue itself may still be at it, as it answers such a question before the acks that came earlier.
        look_at(&self.channel, &self.name, self.limit).await?;
        if taken < self.held.len() {
            let options = BasicNackOptions {
                // All that is left, in one step: the broker puts each back into its place.
                multiple: true,
                requeue: true,
            };
            let give_back = self.channel.basic_nack(0, options);
            within(self.limit, "give messages back", &self.name, give_back).await?;
            look_at(&self.channel, &self.name, self.limit).await?;
        }
        Ok(taken)
    }
}
