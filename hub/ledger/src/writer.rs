//! The one writer: takes what waits, runs it in one transaction, flushes once, answers all.
//!
//! While a commit is on its way to the disk the next transaction is at work already, where the back end can do that
//! ([`Flush`]); whoever waits for a commit is answered when it is there, in the order of the commits.
//!
//! When the back end fails, nothing of the batch is kept and every waiter is told; the writer lives on. When
//! the failure lies in what was asked and not in the machine, each command is tried alone, so that one that
//! can never succeed does not take the others with it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use truc_model::{Clock, Random};

use crate::error::{LedgerError, StoreError};
use crate::flush::Flush;
use crate::ledger::Settings;
use crate::rules::{self, Batch, Command, Reply};
use crate::store::Store;

/// Commits on their way to the disk at once. A second one is flushed together with the third.
pub const AHEAD_MAX: usize = 4;

/// One command and who waits for it.
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) answer: oneshot::Sender<Result<Reply, LedgerError>>,
}

pub(crate) struct Writer {
    pub(crate) queue: mpsc::Receiver<Job>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) settings: Settings,
    pub(crate) bell: Bell,
    pub(crate) commits: Arc<AtomicU64>,
}

/// Runs until the last handle is gone and the queue is empty.
pub(crate) async fn run(mut writer: Writer) {
    let mut waiting = VecDeque::new();
    let mut fresh = Vec::new();
    let ahead = Arc::new(Semaphore::new(AHEAD_MAX));
    let mut on_their_way = JoinSet::new();
    loop {
        if waiting.is_empty() && writer.queue.recv_many(&mut fresh, writer.batch_max()).await == 0 {
            break;
        }
        waiting.extend(fresh.drain(..));
        let (commands, answers) = writer.next_batch(&mut waiting);
        // The semaphore is never closed.
        let place = Arc::clone(&ahead).acquire_owned().await.ok();
        let written = writer.batch(commands).await;
        if written.flush.is_there() {
            writer.bell.answer(written.replies, answers, written.to_forward);
            continue;
        }
        let bell = writer.bell.clone();
        while on_their_way.try_join_next().is_some() {}
        on_their_way.spawn(async move {
            match written.flush.done().await {
                Ok(()) => bell.answer(written.replies, answers, written.to_forward),
                Err(error) => {
                    tracing::error!(
                        error = %error,
                        cause = ?std::error::Error::source(&error).map(ToString::to_string),
                        "a ledger transaction may not be on disk, nobody is told that it is"
                    );
                    let error = LedgerError::from(error);
                    let replies = written.replies.iter().map(|_| Err(error.clone())).collect();
                    bell.answer(replies, answers, false);
                }
            }
            drop(place);
        });
    }
    while on_their_way.join_next().await.is_some() {}
}

type Answers = Vec<oneshot::Sender<Result<Reply, LedgerError>>>;

/// Rings when something new can be forwarded.
#[derive(Clone)]
pub(crate) struct Bell(pub(crate) watch::Sender<u64>);

impl Bell {
    /// What was asked is on disk, or failed.
    fn answer(&self, replies: Vec<Result<Reply, LedgerError>>, answers: Answers, to_forward: bool) {
        if to_forward {
            self.0.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
        for (reply, answer) in replies.into_iter().zip(answers) {
            // Whoever asked may have gone; the work stands all the same.
            let _ = answer.send(reply);
        }
    }
}

/// What a batch led to: committed, and on disk after the flush.
struct Written {
    replies: Vec<Result<Reply, LedgerError>>,
    to_forward: bool,
    flush: Flush,
}

impl Written {
    /// Nothing was, or all of it is on disk.
    fn there(replies: Vec<Result<Reply, LedgerError>>, to_forward: bool) -> Self {
        Self {
            replies,
            to_forward,
            flush: Flush::there(),
        }
    }
}

impl Writer {
    fn batch_max(&self) -> usize {
        self.settings.batch_max.max(1)
    }

    /// As many commands as one transaction takes, at least one.
    fn next_batch(&self, waiting: &mut VecDeque<Job>) -> (Vec<Command>, Answers) {
        let (mut commands, mut answers) = (Vec::new(), Vec::new());
        let mut bytes = 0u64;
        while let Some(job) = waiting.pop_front() {
            bytes = bytes.saturating_add(job.command.body_bytes());
            if !commands.is_empty()
                && (bytes > self.settings.batch_bytes_max || commands.len() >= self.batch_max())
            {
                waiting.push_front(job);
                break;
            }
            commands.push(job.command);
            answers.push(job.answer);
        }
        (commands, answers)
    }

    async fn batch(&self, commands: Vec<Command>) -> Written {
        let error = match self.whole(&commands).await {
            Ok(written) => return written,
            Err(error) => error,
        };
        tracing::error!(
            commands = commands.len(),
            error = %error,
            cause = ?std::error::Error::source(&error).map(ToString::to_string),
            "ledger transaction failed, nothing of it is kept"
        );
        if error.is_the_machines() || commands.len() == 1 {
            let error = LedgerError::from(error);
            return Written::there(commands.iter().map(|_| Err(error.clone())).collect(), false);
        }
        let mut replies = Vec::with_capacity(commands.len());
        let mut to_forward = false;
        for command in commands {
            let alone = match self.whole(std::slice::from_ref(&command)).await {
                Ok(written) => written
                    .flush
                    .done()
                    .await
                    .map(|()| (written.replies, written.to_forward)),
                Err(error) => Err(error),
            };
            replies.push(match alone {
                Ok((mut replies, forwards)) => {
                    to_forward |= forwards;
                    replies
                        .pop()
                        .unwrap_or(Err(LedgerError::Contradiction("a command without a reply")))
                }
                Err(error) => Err(LedgerError::from(error)),
            });
        }
        Written::there(replies, to_forward)
    }

    /// A transaction in which a panic, a defect of this program, is a failure like another: nothing of it is
    /// kept, and the writer must live for the others.
    async fn whole(&self, commands: &[Command]) -> Result<Written, StoreError> {
        let mut work = Box::pin(self.transaction(commands));
        std::future::poll_fn(move |cx| {
            // What a panic leaves half done lives in the transaction alone, which is dropped with it.
            catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)))
                .unwrap_or_else(|_| Poll::Ready(Err(StoreError::Backend("a defect of this program".into()))))
        })
        .await
    }

    async fn transaction(&self, commands: &[Command]) -> Result<Written, StoreError> {
        let mut tx = self.store.begin().await?;
        let random = Arc::clone(&self.random);
        let Batch { replies, to_forward } =
            rules::run(tx.as_mut(), self.clock.now(), random, commands).await?;
        let flush = tx.commit_ahead().await?;
        self.commits.fetch_add(1, Ordering::Relaxed);
        Ok(Written {
            replies,
            to_forward,
            flush,
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::contract::Bench;
    use crate::contract::kit::Hub;
    use crate::{LedgerError, MemoryStore, StoreError, SubmitOutcome};
    use std::sync::Arc;

    struct Faulty(MemoryStore);

    #[async_trait::async_trait]
    impl Bench for Faulty {
        async fn open(&self) -> Arc<dyn crate::Store> {
            Arc::new(self.0.clone())
        }
    }

    #[tokio::test]
    async fn a_full_disk_fails_all_and_the_writer_lives() {
        let bench = Faulty(MemoryStore::new());
        let hub = Hub::open(&bench).await;
        bench.0.fail_next_commit(StoreError::Full("no space".into()));
        let (a, b) = tokio::join!(
            hub.ledger.submit_document(hub.document("1")),
            hub.ledger.submit_document(hub.document("2")),
        );
        for outcome in [a, b] {
            let LedgerError::Store(error) = outcome.unwrap_err() else {
                panic!("expected the store's error");
            };
            assert!(error.is_the_machines());
        }
        assert_eq!(
            (hub.ledger.commits(), hub.ledger.head().await.unwrap().seq),
            (0, 0)
        );
        hub.accept(hub.document("1")).await;
        hub.sound().await;
    }

    #[tokio::test]
    async fn when_the_work_itself_fails_each_is_tried_alone() {
        let bench = Faulty(MemoryStore::new());
        let hub = Hub::open(&bench).await;
        bench
            .0
            .fail_next_commit(StoreError::Backend("a constraint".into()));
        let (a, b) = tokio::join!(
            hub.ledger.submit_document(hub.document("1")),
            hub.ledger.submit_document(hub.document("2")),
        );
        assert!(matches!(a, Ok(SubmitOutcome::Accepted(_))));
        assert!(matches!(b, Ok(SubmitOutcome::Accepted(_))));
        assert_eq!(hub.ledger.commits(), 2);
        bench
            .0
            .fail_next_commit(StoreError::Backend("a constraint".into()));
        let alone = hub.ledger.submit_document(hub.document("3")).await;
        assert!(matches!(alone, Err(LedgerError::Store(_))));
        hub.sound().await;
    }
}
