//! Brings commits to the disk while the next transaction is at work.
//!
//! The writing connection runs with `synchronous=NORMAL`: a commit is in the write-ahead log, complete and in its
//! order, and every connection sees it, but it survives the loss of power only when the log was flushed. That is done
//! here, on a thread of its own, once for all commits that came meanwhile; nobody is answered before ([`Flush`]).
//! With `FULL` the same flush would stand inside the commit, and two processors would wait for one disk.
//!
//! What SQLite guarantees of `NORMAL`: whatever part of the log reached the disk, what is found after a loss of power is
//! the state after some commit, and all flushed ones are in it. Before the log is folded into the file and begun anew,
//! SQLite flushes both itself.
//!
//! After a failed flush nobody knows what is on disk: the system may count pages as written that were not. So the
//! whole log is then folded into the file, page by page and flushed, before anything else is committed.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use sqlx::{Row as _, SqliteConnection};
use tokio::sync::oneshot;
use truc_ledger::{Flush, StoreError};

use crate::fault::store_error;

/// Brings what was written before the call to the disk.
pub(crate) trait Disk: Send {
    fn flush(&mut self) -> io::Result<()>;
}

type Ticket = oneshot::Sender<Result<(), Arc<io::Error>>>;

/// See the top of this file. Its thread ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Flusher {
    tickets: Sender<Ticket>,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Tickets that wait.
    waiting: AtomicU64,
    /// A flush failed, and the log was not folded since.
    failed: AtomicBool,
}

impl Flusher {
    pub(crate) fn start(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let (tickets, queue) = channel();
        let state = Arc::new(State::default());
        let told = Arc::clone(&state);
        std::thread::Builder::new()
            .name("ledger-flush".to_owned())
            .spawn(move || run(disk, &queue, &told))
            .map_err(|error| StoreError::Io(error.into()))?;
        Ok(Self { tickets, state })
    }

    /// Of all that is committed at this moment.
    pub(crate) fn flush(&self) -> Flush {
        let (ticket, flushed) = oneshot::channel();
        self.state.waiting.fetch_add(1, Ordering::SeqCst);
        let _ = self.tickets.send(ticket);
        Flush::when(async move {
            match flushed.await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(StoreError::Io(error.into())),
                Err(_) => Err(StoreError::Io("the thread that flushes has ended".into())),
            }
        })
    }

    /// Waits until what is committed at this moment is on disk, or that failed.
    pub(crate) async fn caught_up(&self) {
        if self.state.waiting.load(Ordering::SeqCst) > 0 {
            // Whoever reads may see what may be lost when the disk fails; it is said where it was written.
            let _ = self.flush().done().await;
        }
    }

    /// At the beginning of a transaction: folds the log when a flush failed.
    pub(crate) async fn mend(&self, db: &mut SqliteConnection) -> Result<(), StoreError> {
        if !self.state.failed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .fetch_one(db)
            .await
            .map_err(store_error)?;
        let busy: i64 = row.try_get(0).map_err(store_error)?;
        if busy != 0 {
            return Err(StoreError::Io(
                "a flush failed, and a reader holds the log that must be folded".into(),
            ));
        }
        self.state.failed.store(false, Ordering::SeqCst);
        Ok(())
    }
}

fn run(mut disk: Box<dyn Disk>, queue: &Receiver<Ticket>, state: &State) {
    while let Ok(first) = queue.recv() {
        let mut tickets = vec![first];
        tickets.extend(queue.try_iter());
        let flushed = disk.flush().map_err(Arc::new);
        if flushed.is_err() {
            state.failed.store(true, Ordering::SeqCst);
        }
        for ticket in tickets {
            state.waiting.fetch_sub(1, Ordering::SeqCst);
            // Whoever waited may have gone.
            let _ = ticket.send(flushed.clone());
        }
    }
}

/// The write-ahead log of a ledger, as a file. SQLite makes it anew when the last connection had closed.
pub(crate) struct Log {
    path: PathBuf,
    open: Option<(File, (u64, u64))>,
}

impl Log {
    pub(crate) fn of(ledger: &Path) -> Self {
        let mut path = ledger.as_os_str().to_owned();
        path.push("-wal");
        Self {
            path: path.into(),
            open: None,
        }
    }
}

fn which(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Disk for Log {
    fn flush(&mut self) -> io::Result<()> {
        let now = match std::fs::metadata(&self.path) {
            Ok(metadata) => which(&metadata),
            // Folded into the file and deleted by SQLite, with the last connection; flushed by it, too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.open = None;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if self.open.as_ref().is_none_or(|(_, known)| *known != now) {
            let file = File::open(&self.path)?;
            let known = which(&file.metadata()?);
            // A new file is found after a loss of power only when its folder is on disk, too.
            if let Some(folder) = self.path.parent() {
                let folder = if folder.as_os_str().is_empty() {
                    Path::new(".")
                } else {
                    folder
                };
                File::open(folder)?.sync_all()?;
            }
            self.open = Some((file, known));
        }
        match &self.open {
            Some((file, _)) => file.sync_data(),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use async_trait::async_trait;
    use truc_ledger::contract::Bench;
    use truc_ledger::contract::kit::Hub;
    use truc_ledger::{LedgerError, Store, SubmitOutcome};

    use super::*;
    use crate::SqliteStore;

    /// Flushes when the test says how it goes.
    struct Told(Receiver<io::Result<()>>, Arc<AtomicU64>);

    impl Disk for Told {
        fn flush(&mut self) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.recv().unwrap_or(Ok(()))
        }
    }

    struct Opened(SqliteStore);

    #[async_trait]
    impl Bench for Opened {
        async fn open(&self) -> Arc<dyn Store> {
            Arc::new(self.0.clone())
        }
    }

    async fn opened(
        dir: &tempfile::TempDir,
    ) -> (
        Opened,
        std::sync::mpsc::SyncSender<io::Result<()>>,
        Arc<AtomicU64>,
    ) {
        let path = dir.path().join("ledger.db");
        SqliteStore::migrate(&path).await.unwrap();
        let (tell, told) = sync_channel(64);
        let flushes = Arc::new(AtomicU64::new(0));
        let disk = Box::new(Told(told, Arc::clone(&flushes)));
        let store = SqliteStore::open_on(&path, disk).await.unwrap();
        (Opened(store), tell, flushes)
    }

    async fn until(condition: impl Fn() -> bool) {
        while !condition() {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn nobody_is_answered_before_the_flush_and_the_next_does_not_wait_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let (bench, tell, flushes) = opened(&dir).await;
        let hub = Hub::open(&bench).await;
        let submit = |name: &str| {
            let (ledger, submission) = (hub.ledger.clone(), hub.document(name));
            tokio::spawn(async move { ledger.submit_document(submission).await })
        };
        let first = submit("1");
        until(|| flushes.load(Ordering::SeqCst) == 1).await;
        // Committed while the first is on its way, as many as may be.
        let mut others = Vec::new();
        for n in 1..u64::try_from(truc_ledger::AHEAD_MAX).unwrap() {
            others.push(submit(&format!("{}", n + 1)));
            until(|| hub.ledger.commits() == n + 1).await;
        }
        let beyond = submit("beyond");
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            hub.ledger.commits(),
            truc_ledger::AHEAD_MAX as u64,
            "one more waits"
        );
        assert!(!first.is_finished() && others.iter().all(|other| !other.is_finished()));
        // A picture of what is committed is given when that is on disk.
        let store = bench.0.clone();
        let picture = tokio::spawn(async move { store.read().await.unwrap().head().await.unwrap().seq });
        tokio::task::yield_now().await;
        assert!(!picture.is_finished());

        tell.send(Ok(())).unwrap();
        assert!(matches!(first.await.unwrap(), Ok(SubmitOutcome::Accepted(_))));
        // All that came meanwhile share the next flush; with more it may go on.
        drop(tell);
        for other in others {
            assert!(matches!(other.await.unwrap(), Ok(SubmitOutcome::Accepted(_))));
        }
        assert!(matches!(beyond.await.unwrap(), Ok(SubmitOutcome::Accepted(_))));
        assert!(picture.await.unwrap() >= u64::try_from(truc_ledger::AHEAD_MAX).unwrap());
        hub.sound().await;
    }

    #[tokio::test]
    async fn after_a_failed_flush_nothing_is_promised_until_the_log_is_folded() {
        let dir = tempfile::tempdir().unwrap();
        let (bench, tell, _) = opened(&dir).await;
        let hub = Hub::open(&bench).await;
        tell.send(Err(io::Error::from_raw_os_error(5))).unwrap();
        let submission = hub.document("1");
        let failed = hub.ledger.submit_document(submission.clone()).await.unwrap_err();
        let LedgerError::Store(error) = failed else {
            panic!("{failed:?}");
        };
        assert!(error.is_the_machines() && matches!(*error, StoreError::Io(_)));

        // A reader of an older moment holds the log: nothing is committed.
        drop(tell);
        let mut reader = bench.0.readers.acquire().await.unwrap();
        sqlx::raw_sql("BEGIN; SELECT count(*) FROM event")
            .execute(&mut *reader)
            .await
            .unwrap();
        let hasty = sqlx::raw_sql("PRAGMA busy_timeout = 0");
        let mut writer = bench.0.writer.acquire().await.unwrap();
        hasty.execute(&mut *writer).await.unwrap();
        drop(writer);
        let before = hub.ledger.commits();
        assert!(hub.ledger.submit_document(hub.document("2")).await.is_err());
        assert_eq!(hub.ledger.commits(), before);
        sqlx::raw_sql("COMMIT").execute(&mut *reader).await.unwrap();
        drop(reader);

        // Asked again, it is known: nothing is there twice.
        let again = hub.ledger.submit_document(submission).await.unwrap();
        assert!(matches!(again, SubmitOutcome::Repeat(_)), "{again:?}");
        let log = dir.path().join("ledger.db-wal");
        assert!(
            !bench
                .0
                .shared
                .flusher()
                .unwrap()
                .state
                .failed
                .load(Ordering::SeqCst)
        );
        assert!(log.exists());
        hub.sound().await;
    }

    #[test]
    fn a_log_that_is_made_anew_is_found_and_one_that_is_gone_was_folded() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = dir.path().join("ledger.db");
        let mut log = Log::of(&ledger);
        log.flush().unwrap();
        assert!(log.open.is_none());
        let path = dir.path().join("ledger.db-wal");
        std::fs::write(&path, b"1").unwrap();
        log.flush().unwrap();
        let first = log.open.as_ref().map(|(_, which)| *which).unwrap();
        // Both exist at once, so that they cannot be the same.
        std::fs::write(dir.path().join("other"), b"2").unwrap();
        std::fs::rename(dir.path().join("other"), &path).unwrap();
        log.flush().unwrap();
        assert_ne!(log.open.as_ref().map(|(_, which)| *which), Some(first));
    }

    #[tokio::test]
    async fn tickets_that_wait_share_one_flush() {
        let (tell, told) = sync_channel(8);
        let flushes = Arc::new(AtomicU64::new(0));
        let flusher = Flusher::start(Box::new(Told(told, Arc::clone(&flushes)))).unwrap();
        let first = flusher.flush();
        until(|| flushes.load(Ordering::SeqCst) == 1).await;
        let others: Vec<Flush> = (0..5).map(|_| flusher.flush()).collect();
        for _ in 0..2 {
            tell.send(Ok(())).unwrap();
        }
        first.done().await.unwrap();
        for other in others {
            other.done().await.unwrap();
        }
        assert_eq!(flushes.load(Ordering::SeqCst), 2);
    }
}
