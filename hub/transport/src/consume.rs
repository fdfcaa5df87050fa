//! Consuming: deliveries come one by one and are settled by value.

use async_trait::async_trait;

use crate::amqp::AmqpSettlement;
use crate::broker::Cause;
use crate::memory::MemorySettlement;
use crate::message::Properties;

/// A consumer of one queue.
///
/// Dropping it stops the deliveries. What was handed out before can still be settled; what was not
/// handed out goes back to the queue at the latest when the last such delivery is settled or dropped.
#[async_trait]
pub trait Consumer: Send {
    /// The next delivery. Waits as long as there is none, also while the broker is away.
    ///
    /// `None` only after the broker was closed by this program. The future may be dropped at any point
    /// without losing a delivery.
    async fn next(&mut self) -> Option<Delivery>;
}

/// A message as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The body.
    pub body: Vec<u8>,
    /// Properties and headers.
    pub properties: Properties,
    /// Whether it was handed out before, to this or another consumer.
    pub redelivered: bool,
    /// The exchange it was published to.
    pub exchange: String,
    /// The key it was published with.
    pub routing_key: String,
}

impl std::fmt::Debug for Message {
    /// Names and sizes only: bodies and headers are documents, and this lands in logs.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Message")
            .field("exchange", &self.exchange)
            .field("routing_key", &self.routing_key)
            .field("kind", &self.properties.kind)
            .field("message_id", &self.properties.message_id)
            .field("redelivered", &self.redelivered)
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A message handed out, and the duty to settle it.
#[derive(Debug)]
#[must_use = "an unsettled delivery stays with the broker and holds a place of the prefetch"]
pub struct Delivery {
    /// The message.
    pub message: Message,
    settlement: Settlement,
}

impl std::ops::Deref for Delivery {
    type Target = Message;

    fn deref(&self) -> &Message {
        &self.message
    }
}

impl Delivery {
    pub(crate) const fn new(message: Message, settlement: Settlement) -> Self {
        Self { message, settlement }
    }

    /// The message to work on, and the settlement to keep for afterwards.
    pub fn into_parts(self) -> (Message, Settlement) {
        (self.message, self.settlement)
    }

    /// See [`Settlement::ack`].
    ///
    /// # Errors
    /// As there.
    pub async fn ack(self) -> Result<(), SettleError> {
        self.settlement.ack().await
    }

    /// See [`Settlement::requeue`].
    ///
    /// # Errors
    /// As there.
    pub async fn requeue(self) -> Result<(), SettleError> {
        self.settlement.requeue().await
    }

    /// See [`Settlement::dead_letter`].
    ///
    /// # Errors
    /// As there.
    pub async fn dead_letter(self) -> Result<(), SettleError> {
        self.settlement.dead_letter().await
    }
}

/// The right to settle one delivery, once. Dropping it unused means that the broker keeps the message
/// and hands it out again when the consumer's channel ends; with [`crate::Acking::Together`] all later acks of that
/// channel are then sent singly.
#[derive(Debug)]
#[must_use = "an unsettled delivery stays with the broker and holds a place of the prefetch"]
pub struct Settlement(pub(crate) Means);

/// Which broker is told.
#[derive(Debug)]
pub(crate) enum Means {
    /// RabbitMQ.
    Amqp(AmqpSettlement),
    /// The twin.
    Memory(MemorySettlement),
}

/// What the broker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Ack,
    Requeue,
    DeadLetter,
}

impl Settlement {
    /// Done: the broker forgets the message. Commit first, ack second.
    ///
    /// With [`crate::Acking::Each`], `Ok` means that the ack was handed to the connection. With
    /// [`crate::Acking::Together`] it means that the ack will be: in one frame with its neighbours', as soon as all
    /// that were handed out before it are settled, or singly once more acks than a quarter of the prefetch wait
    /// behind one that is not. [`crate::Broker::close`] first lets go what may go. If the program, the channel or the
    /// connection ends before that, the broker hands the message out again although this said `Ok`. Whoever is
    /// handed messages at least once has to recognise those anyway: the same happens when the connection breaks
    /// behind a frame that was sent.
    ///
    /// # Errors
    /// [`SettleError`]; the broker then hands the message out again.
    pub async fn ack(self) -> Result<(), SettleError> {
        self.settle(Verdict::Ack).await
    }

    /// Not now: back to the queue, to be handed out again, perhaps at once. Never waits for neighbours: `Ok` means
    /// that it was handed to the connection.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn requeue(self) -> Result<(), SettleError> {
        self.settle(Verdict::Requeue).await
    }

    /// Never: to the dead letters. As [`Settlement::requeue`], at once.
    ///
    /// # Errors
    /// [`SettleError`].
    pub async fn dead_letter(self) -> Result<(), SettleError> {
        self.settle(Verdict::DeadLetter).await
    }

    async fn settle(self, verdict: Verdict) -> Result<(), SettleError> {
        match self.0 {
            Means::Amqp(settlement) => settlement.settle(verdict).await,
            Means::Memory(settlement) => settlement.settle(verdict),
        }
    }
}

/// Why a delivery could not be settled. Harmless: the broker hands the message out again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// The channel it came on is gone; the message is back in its queue already.
    #[error("the delivery's channel is gone, the broker hands the message out again")]
    Stale,
    /// The broker could not be told.
    #[error("the broker could not be told that the message is settled")]
    Failed(#[source] Cause),
}
