//! Consuming from one queue on a channel of its own, across reconnects.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use super::acks::{Acks, Outstanding, Senders, TOGETHER_MIN, Teller, Word, tell};
use super::convert::{from_amqp, short};
use super::fault::within;
use super::link::{Link, Session};
use crate::broker::{BrokerError, Cause};
use crate::config::{Acking, BrokerConfig};
use crate::consume::{Consumer, Delivery, Means, Message, SettleError, Settlement, Verdict};
use async_trait::async_trait;
use futures_util::StreamExt as _;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Acker, Channel};

/// A consumer of one queue.
pub(super) struct AmqpConsumer {
    config: Arc<BrokerConfig>,
    link: Link,
    queue: String,
    prefetch: u16,
    tag: String,
    senders: Senders,
    current: Option<Current>,
    attempt: u32,
}

/// The consumer on one connection.
struct Current {
    // Dropped before the channel: dropping it cancels the consumer.
    stream: lapin::Consumer,
    channel: Arc<Channel>,
    session: Arc<Session>,
    /// `None` when each ack is sent at once.
    acks: Option<Arc<Acks<AmqpTeller>>>,
}

impl AmqpConsumer {
    /// Begins to consume.
    pub(super) async fn open(
        config: Arc<BrokerConfig>,
        link: Link,
        queue: &str,
        prefetch: u16,
        tag: &str,
        senders: Senders,
    ) -> Result<Self, BrokerError> {
        let session = link.session().await?;
        let mut consumer = Self {
            config,
            link,
            queue: queue.to_owned(),
            prefetch: prefetch.max(1),
            tag: tag.to_owned(),
            senders,
            current: None,
            attempt: 0,
        };
        consumer.current = Some(consumer.begin(session).await?);
        Ok(consumer)
    }

    async fn begin(&self, session: Arc<Session>) -> Result<Current, BrokerError> {
        let limit = self.config.operation_timeout;
        let unfit = |error: super::convert::TooLong| BrokerError::Refused {
            reply: error.to_string(),
        };
        let queue = short("queue", &self.queue).map_err(unfit)?;
        let tag = short("consumer tag", &self.tag).map_err(unfit)?;
        let open = session.connection().create_channel();
        let channel = within(limit, "open a channel", &self.queue, open).await?;
        // The bound on what is handed out and not settled. `global` off: RabbitMQ then counts per
        // consumer, which is what is meant, and quorum queues know nothing else.
        let qos = channel.basic_qos(self.prefetch, BasicQosOptions { global: false });
        within(limit, "set the prefetch", &self.queue, qos).await?;
        let consume = channel.basic_consume(
            queue,
            tag,
            BasicConsumeOptions {
                // RabbitMQ does not implement it.
                no_local: false,
                // Messages are settled by us, after they are safe.
                no_ack: false,
                // Several hubs may share the work.
                exclusive: false,
                // The answer tells whether we may read this queue at all.
                nowait: false,
            },
            FieldTable::default(),
        );
        let stream = within(limit, "consume", &self.queue, consume).await?;
        let acks = match self.config.acks {
            Acking::Together if self.prefetch >= TOGETHER_MIN => {
                Some(Acks::new(self.prefetch, limit, self.senders.clone()))
            }
            Acking::Together | Acking::Each => None,
        };
        Ok(Current {
            stream,
            channel: Arc::new(channel),
            session,
            acks,
        })
    }

    /// Begins again on the next connection; `None` when the broker was closed.
    async fn begin_again(&mut self) -> Option<()> {
        loop {
            let session = self.link.session_some_day().await?;
            match self.begin(Arc::clone(&session)).await {
                Ok(current) => {
                    self.current = Some(current);
                    self.attempt = 0;
                    return Some(());
                }
                Err(error) => {
                    if self.attempt == 0 {
                        tracing::warn!(queue = %self.queue, error = %Cause::of(&error), "cannot consume, trying again");
                    }
                    if matches!(error, BrokerError::TimedOut { .. }) {
                        session.give_up();
                    }
                    let wait = self.config.backoff(self.attempt);
                    self.attempt = self.attempt.saturating_add(1);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }
}

#[async_trait]
impl Consumer for AmqpConsumer {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let Some(current) = &mut self.current else {
                self.begin_again().await?;
                continue;
            };
            let mut state = self.link.state();
            // Biased to the connection: what a dead one had delivered is stale and comes again.
            let item = tokio::select! {
                biased;
                _ = state.wait_for(|state| !state.is_on(&current.session)) => None,
                item = current.stream.next() => item,
            };
            match item {
                Some(Ok(delivery)) => {
                    let limit = self.config.operation_timeout;
                    return Some(handed_out(delivery, current, limit));
                }
                // Cancelled by the broker (the queue was deleted), or channel or connection lost.
                Some(Err(_)) | None => self.current = None,
            }
        }
    }
}

fn handed_out(delivery: lapin::message::Delivery, current: &Current, limit: Duration) -> Delivery {
    let message = Message {
        properties: from_amqp(&delivery.properties),
        body: delivery.data,
        redelivered: delivery.redelivered,
        exchange: delivery.exchange.as_str().to_owned(),
        routing_key: delivery.routing_key.as_str().to_owned(),
    };
    let teller = AmqpTeller {
        acker: delivery.acker,
        _channel: Arc::clone(&current.channel),
        session: Arc::downgrade(&current.session),
    };
    let way = match &current.acks {
        Some(acks) => Way::Together(acks.handed_out(delivery.delivery_tag, teller)),
        None => Way::Each { teller, limit },
    };
    Delivery::new(message, Settlement(Means::Amqp(AmqpSettlement(way))))
}

/// The right to settle a delivery of RabbitMQ.
pub(crate) struct AmqpSettlement(Way);

/// See [`Acking`].
enum Way {
    /// With a frame of its own, at once.
    Each { teller: AmqpTeller, limit: Duration },
    /// An ack leaves with those of its neighbours.
    Together(Outstanding<AmqpTeller>),
}

impl AmqpSettlement {
    pub(crate) async fn settle(self, verdict: Verdict) -> Result<(), SettleError> {
        let word = match verdict {
            Verdict::Ack => Word::Ack,
            Verdict::Requeue => Word::Requeue,
            Verdict::DeadLetter => Word::DeadLetter,
        };
        match self.0 {
            Way::Each { teller, limit } => tell(&teller, word, limit).await,
            Way::Together(outstanding) if verdict == Verdict::Ack => outstanding.ack(),
            Way::Together(outstanding) => outstanding.nack(word).await,
        }
    }
}

impl fmt::Debug for AmqpSettlement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AmqpSettlement").finish_non_exhaustive()
    }
}

/// Tells RabbitMQ about one delivery.
struct AmqpTeller {
    acker: Acker,
    /// Keeps the channel open after its consumer was dropped: what was handed out can still be settled.
    _channel: Arc<Channel>,
    /// Weak: a connection that was given up ends although somebody has not settled yet.
    session: Weak<Session>,
}

impl Teller for AmqpTeller {
    async fn tell(&self, word: Word) -> bool {
        let nack = |requeue| {
            let options = BasicNackOptions {
                multiple: false,
                requeue,
            };
            self.acker.nack(options)
        };
        let told = match word {
            Word::Ack => self.acker.ack(BasicAckOptions { multiple: false }).await,
            Word::AckUpTo => self.acker.ack(BasicAckOptions { multiple: true }).await,
            Word::Requeue => nack(true).await,
            Word::DeadLetter => nack(false).await,
        };
        // `false`: the channel had ended before. An error: it ended meanwhile.
        matches!(told, Ok(true))
    }

    fn is_gone(&self) -> bool {
        self.acker.poisoned()
    }

    fn give_up(&self) {
        if let Some(session) = self.session.upgrade() {
            session.give_up();
        }
    }
}
