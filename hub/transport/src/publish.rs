//! Publishing: every publish is `mandatory`, persistent and confirmed, and many are under way at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::broker::Cause;
use crate::message::OutMessage;

/// One channel to publish on.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Waits for room in the window of unconfirmed messages, sends, and gives back the confirm to come.
    ///
    /// Messages of one task leave in the order of its calls. Await the [`Confirming`]s later, in any
    /// order: one by one it is 3 to 20 times slower.
    ///
    /// # Errors
    /// [`PublishError::Blocked`], [`PublishError::TimedOut`] or [`PublishError::Disconnected`] when the
    /// message could not be sent in time (it was then not sent); [`PublishError::TooLarge`].
    async fn publish(&self, message: OutMessage) -> Result<Confirming, PublishError>;
}

/// The broker has the message on disk, in at least one queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a confirm is what the next step is allowed by"]
pub struct Confirmed(());

impl Confirmed {
    pub(crate) const fn by_broker() -> Self {
        Self(())
    }
}

/// A publish under way: a future of its outcome.
///
/// Dropping it does not take the message back.
#[derive(Debug)]
#[must_use = "only the awaited confirm says whether the message was kept"]
pub struct Confirming(oneshot::Receiver<Result<Confirmed, PublishError>>);

impl Confirming {
    pub(crate) fn channel() -> (oneshot::Sender<Result<Confirmed, PublishError>>, Self) {
        let (sender, receiver) = oneshot::channel();
        (sender, Self(receiver))
    }

    /// An outcome known at once, for doubles of [`Publisher`] in tests.
    pub fn ready(outcome: Result<(), PublishError>) -> Self {
        let (sender, confirming) = Self::channel();
        // The receiver is right here, so the send cannot fail.
        let _ = sender.send(outcome.map(|()| Confirmed::by_broker()));
        confirming
    }
}

impl Future for Confirming {
    type Output = Result<Confirmed, PublishError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|outcome| {
            outcome.unwrap_or_else(|_| {
                Err(PublishError::Disconnected(Cause::text(
                    "the publisher was closed before the confirm came",
                )))
            })
        })
    }
}

/// Why a message is not known to be kept. None of these is a success; see [`PublishError::is_retryable`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// No queue is bound for it; the broker returned it (`mandatory`).
    #[error("no queue takes messages of exchange '{exchange}' with key '{routing_key}'")]
    Unroutable {
        /// The exchange.
        exchange: String,
        /// The key.
        routing_key: String,
    },
    /// The broker could not keep it.
    #[error("the broker could not keep the message")]
    Nacked,
    /// The broker takes no publishes, because its memory or disk runs out, and that lasted too long.
    #[error("the broker has blocked publishers for {waited_ms} ms: {reason}")]
    Blocked {
        /// The broker's words.
        reason: String,
        /// How long was waited.
        waited_ms: u64,
    },
    /// Neither confirm nor refusal came in time. It may have been kept.
    #[error("the broker did not confirm within {after_ms} ms")]
    TimedOut {
        /// How long was waited.
        after_ms: u64,
    },
    /// The connection or the channel was lost. It may have been kept.
    #[error("the connection to the broker was lost")]
    Disconnected(#[source] Cause),
    /// The broker refuses this message: no permission, a forged `user_id`, no such exchange.
    #[error("the broker refused the message: {reply}")]
    Refused {
        /// The broker's words.
        reply: String,
    },
    /// The body is larger than the broker takes.
    #[error("the body has {size} bytes, the broker takes {limit}")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
        /// Most bytes.
        limit: usize,
    },
}

impl PublishError {
    /// Whether the same message may get through later without anyone changing it or its sender's rights.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        !matches!(self, Self::Refused { .. } | Self::TooLarge { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_publisher_that_goes_away_is_no_success() {
        let (sender, confirming) = Confirming::channel();
        drop(sender);
        assert!(matches!(confirming.await, Err(PublishError::Disconnected(_))));
        assert!(Confirming::ready(Ok(())).await.is_ok());
        assert_eq!(
            Confirming::ready(Err(PublishError::Nacked)).await,
            Err(PublishError::Nacked)
        );
    }

    #[test]
    fn what_can_be_tried_again() {
        assert!(PublishError::Nacked.is_retryable());
        assert!(PublishError::TimedOut { after_ms: 1 }.is_retryable());
        assert!(!PublishError::TooLarge { size: 2, limit: 1 }.is_retryable());
    }
}
