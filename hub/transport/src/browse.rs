//! Browsing a queue: looking at the messages that wait in it, one by one, and taking some out of it for ever.

use async_trait::async_trait;

use crate::broker::BrokerError;
use crate::message::Properties;

/// Looks at the messages that are ready in a queue, next first. Each that was looked at stays with the broker, is held for
/// this browser, and goes to no consumer meanwhile; when the browser ends, or is dropped, it is back in its place, as one
/// that was handed out before (`redelivered`).
///
/// For a queue that nobody reads: beside a consumer, what is held comes late, out of its order. On a quorum queue each
/// look counts as a delivery that failed ([`Seen::returned`]), without a limit ([`crate::Topology::DELIVERY_LIMIT`]), and
/// each message that is held counts as a consumer ([`crate::QueueDepth::consumers`]) and goes back in no order.
#[async_trait]
pub trait Browser: Send {
    /// The next message; `None` when no more is ready. Numbered from 0 in the order of looking.
    ///
    /// # Errors
    /// [`BrokerError`]; what was held is back in the queue then, at the latest when the browser is dropped.
    async fn next(&mut self) -> Result<Option<Seen>, BrokerError>;

    /// Takes the messages of these numbers out of the queue for ever, gives the others back, and returns when the
    /// broker has passed on both: nothing takes them back, and the queue's depth shows them a moment later. How many
    /// were taken out: each number once, unknown ones not counted.
    ///
    /// # Errors
    /// [`BrokerError`]: it is not known then which are out, and those that are not are back in the queue.
    async fn take_out(self: Box<Self>, numbers: &[usize]) -> Result<usize, BrokerError>;
}

/// A message as a browser sees it: without its body, so that memory stays flat however much waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Properties and headers.
    pub properties: Properties,
    /// Whether it was handed out before, to a consumer or to a browser.
    pub redelivered: bool,
    /// How often a quorum queue has handed it out in vain; 0 on other queues, which do not count.
    pub returned: u64,
}

impl Seen {
    /// The header in which quorum queues count.
    const COUNT: &'static str = "x-delivery-count";

    pub(crate) fn of(properties: Properties, redelivered: bool) -> Self {
        let count = properties.number(Self::COUNT);
        Self {
            returned: count.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
            redelivered,
            properties,
        }
    }
}
