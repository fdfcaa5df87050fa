//! The client: one connection to the hub for one system.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OnceCell, oneshot};
use truc_envelope::seal::{KeyError, SealingKey};
use truc_model::{Clock, MessageId, Random};
use truc_transport::{
    AmqpBroker, Broker, BrokerConfig, BrokerError, BrokerState, OutMessage, PublishError, Publisher,
};
use uuid::Uuid;

use crate::bodies::{BodyClient, BodyTransferError};
use crate::config::Config;
use crate::durable::{LockError, StateLock};
use crate::incoming::Answer;
use crate::journal::{Journal, JournalError};
use crate::report::StatusReport;
use crate::submit::{Submission, SubmitError};

/// A system's connection to the hub. Cheap to clone; all clones share one connection and one journal.
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

/// Why a client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The state directory is in use or cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal cannot be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The sealing key or its certificate cannot be used.
    #[error("the sealing key or its certificate cannot be used")]
    Key(#[source] KeyError),
    /// The address of the service of large packets, or its authority.
    #[error("the service of large packets cannot be used")]
    Bodies(#[source] BodyTransferError),
    /// The broker's address, TLS or login.
    #[error("cannot reach the broker as this system")]
    Broker(#[source] BrokerError),
    /// The address cannot be read.
    #[error("the broker's address cannot be used")]
    Address(#[source] truc_transport::UrlError),
}

pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) seal: Option<SealingKey>,
    pub(crate) bodies: Option<BodyClient>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) running: AtomicBool,
    publisher: OnceCell<Arc<dyn Publisher>>,
    journal: Mutex<Journal>,
    waiting: Mutex<HashMap<MessageId, Vec<oneshot::Sender<Answer>>>>,
    _lock: StateLock,
}

impl Client {
    /// Most submissions that may wait for their answer at once.
    pub const MAX_WAITING: usize = 10_000;

    /// Begins to connect, and keeps the connection up from now on. A broker that is away is no error, now or
    /// later: what runs day and night must come up when the broker does, in whichever order they start.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ConnectError`], but never for the broker.
    pub fn start(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ConnectError> {
        // First the lock: a second process must not take the first one's messages even for a moment.
        let lock = StateLock::take(&config.state_dir)?;
        let broker = broker_config(&config, &clock, &random)?;
        Self::on(config, AmqpBroker::start(broker), clock, random, lock)
    }

    /// The same, but fails when the broker is not there or refuses: for commands that want to say so.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(
        config: Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ConnectError> {
        let lock = StateLock::take(&config.state_dir)?;
        let broker = broker_config(&config, &clock, &random)?;
        let broker = AmqpBroker::connect(broker).await.map_err(ConnectError::Broker)?;
        Self::on(config, broker, clock, random, lock)
    }

    /// Starts on a broker one has already: the in-memory twin, in tests.
    ///
    /// # Errors
    /// [`ConnectError`], for the state directory and the key.
    pub fn with_broker(
        config: Config,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ConnectError> {
        let lock = StateLock::take(&config.state_dir)?;
        Self::on(config, broker, clock, random, lock)
    }

    fn on(
        config: Config,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        lock: StateLock,
    ) -> Result<Self, ConnectError> {
        let journal = Journal::open(&config.state_dir.join("journal"), config.journal_max_entries)?;
        let damage = journal.damage();
        if damage != crate::journal::Damage::default() {
            tracing::warn!(
                torn_bytes = damage.torn_bytes,
                damaged_lines = damage.lines,
                "the journal was damaged and has been mended; a message may be handed over again"
            );
        }
        let seal = config
            .seal
            .as_ref()
            .map(|pem| SealingKey::from_pem(&pem.key, &pem.certificate))
            .transpose()
            .map_err(ConnectError::Key)?;
        let bodies = config
            .bodies
            .clone()
            .map(|settings| BodyClient::new(settings, Arc::clone(&random)))
            .transpose()
            .map_err(ConnectError::Bodies)?;
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                broker,
                seal,
                bodies,
                clock,
                random,
                running: AtomicBool::new(false),
                publisher: OnceCell::new(),
                journal: Mutex::new(journal),
                waiting: Mutex::new(HashMap::new()),
                _lock: lock,
            }),
        })
    }

    /// Submits a packet and waits for the hub's answer, which [`Client::run`] must be there to read.
    ///
    /// The answer, receipt or refusal, is the result; it also goes to
    /// [`Adapter::answered`](crate::Adapter::answered). On an error that [`SubmitError::is_retryable`], submit the same
    /// again under the same `message_id`.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit(&self, submission: &Submission) -> Result<Answer, SubmitError> {
        let inner = &self.inner;
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = inner.waiting();
            if waiting.len() >= Self::MAX_WAITING {
                return Err(SubmitError::TooManyWaiting {
                    limit: Self::MAX_WAITING,
                });
            }
            // Before publishing: the answer may be here before the confirm.
            waiting.entry(submission.message_id).or_default().push(sender);
        }
        let _forget = Forget {
            inner,
            message_id: submission.message_id,
        };
        inner.publish_submission(submission).await?;
        let after = inner.config.answer_patience;
        match tokio::time::timeout(after, receiver).await {
            Ok(Ok(answer)) => Ok(answer),
            _ => Err(SubmitError::NotAnswered {
                after,
                inbox_is_read: inner.running.load(Ordering::SeqCst),
            }),
        }
    }

    /// Submits a packet and returns when the broker has it on disk; the answer comes to
    /// [`Adapter::answered`](crate::Adapter::answered). For adapters that keep what they submit until it is answered.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn submit_nowait(&self, submission: &Submission) -> Result<(), SubmitError> {
        self.inner.publish_submission(submission).await
    }

    /// Reports a status and waits for the hub's answer, as [`Client::submit`] does.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub async fn report(&self, message_id: MessageId, report: &StatusReport) -> Result<Answer, SubmitError> {
        self.submit(&report.submission(message_id)).await
    }

    /// A fresh key for a submission. Keep it on disk before submitting.
    #[must_use]
    pub fn new_message_id(&self) -> MessageId {
        MessageId::new(self.inner.random.uuid_v7(self.inner.clock.now()))
    }

    /// Whether the journal knows a message: it was dealt with and will not be handed over again.
    #[must_use]
    pub fn is_recorded(&self, id: Uuid) -> bool {
        self.inner.journal().get(id).is_some()
    }

    /// Whether this system's inbox is there and may be read, without taking anything out of it.
    ///
    /// # Errors
    /// [`BrokerError`].
    pub async fn check_inbox(&self) -> Result<(), BrokerError> {
        let inbox = truc_model::wire::inbox(&self.inner.config.system);
        self.inner.broker.queue_depth(&inbox).await.map(|_| ())
    }

    /// The state of the connection, as it changes.
    #[must_use]
    pub fn state(&self) -> tokio::sync::watch::Receiver<BrokerState> {
        self.inner.broker.state()
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Closes the connection. What is unsettled stays with the broker.
    pub async fn close(&self) {
        self.inner.broker.close().await;
    }
}

fn broker_config(
    config: &Config,
    clock: &Arc<dyn Clock>,
    random: &Arc<dyn Random>,
) -> Result<BrokerConfig, ConnectError> {
    let url = config.broker_url.parse().map_err(ConnectError::Address)?;
    let mut broker = BrokerConfig::new(url, config.app_id.clone())
        .with_more_hosts(&config.more_broker_hosts)
        .map_err(ConnectError::Address)?;
    broker.tls.ca_pem.clone_from(&config.broker_ca_pem);
    broker.clock = Arc::clone(clock);
    broker.random = Arc::clone(random);
    broker.max_body_bytes = config.max_body_bytes;
    Ok(broker)
}

impl Inner {
    /// Publishes one message and awaits the broker's confirm.
    pub(crate) async fn publish(&self, message: OutMessage) -> Result<(), PublishError> {
        let publisher = self
            .publisher
            .get_or_try_init(|| self.broker.publisher())
            .await
            .map_err(|error| PublishError::Disconnected(truc_transport::Cause::of(&error)))?;
        let _confirmed = publisher.publish(message).await?.await?;
        Ok(())
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        // A panic while appending leaves the journal's own bookkeeping of what is whole; it mends itself.
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes whoever waits in [`Client::submit`].
    pub(crate) fn wake(&self, answer: &Answer) {
        let waiting = answer
            .message_id
            .and_then(|message_id| self.waiting().remove(&message_id))
            .unwrap_or_default();
        for waiter in waiting {
            // A waiter that has given up meanwhile gets its answer by `answered`.
            let _ = waiter.send(answer.clone());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<MessageId, Vec<oneshot::Sender<Answer>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a waiter that has left, for whatever reason, off the list.
struct Forget<'a> {
    inner: &'a Inner,
    message_id: MessageId,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        let mut waiting = self.inner.waiting();
        if let Some(waiters) = waiting.get_mut(&self.message_id) {
            waiters.retain(|waiter| !waiter.is_closed());
            if waiters.is_empty() {
                waiting.remove(&self.message_id);
            }
        }
    }
}
