//! The hub's side: a few workers, each with one request at a time; one that takes too long, dies or talks
//! nonsense is ended and replaced.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use truc_model::PdfSignatures;
use truc_model::pdf::{NotInspected, Unreadable};

use super::worker::{Bounds, GREETING, NO_MEMORY};
use crate::alert::signal::Bell;
use crate::config::Inspect;
use crate::telemetry::{Event, emit};

/// Most PDFs that wait for a worker at once: four times the documents a hub has in hand unless set otherwise
/// (`broker.prefetch_document`), each of which waits for one PDF at a time. Beyond it the next is `unchecked`
/// at once. Below it everyone has its turn, or its deadline.
pub const WAITING_MAX: usize = 1024;

/// How long a new worker may take to say that it is ready.
const START_MAX: Duration = Duration::from_secs(5);

/// How long no new worker is tried after one could not be started.
const START_AGAIN: Duration = Duration::from_secs(5);

/// Most bytes of an answer: sixteen signatures with all they say take some eight thousand.
const ANSWER_MAX: u64 = 64 * 1024;

/// Most bytes kept of what a worker says before it dies.
const LAST_WORDS_MAX: u64 = 4096;

/// How long a worker that was told to end may take to be gone.
const END_MAX: Duration = Duration::from_secs(1);

/// The program that can be a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(PathBuf);

impl Program {
    /// This very program, also after its file was replaced by a newer one.
    #[must_use]
    pub fn own() -> Self {
        // Named by the process that is about to be the worker, it is the file that the hub runs.
        let running = PathBuf::from("/proc/self/exe");
        if running.exists() {
            return Self(running);
        }
        Self(std::env::current_exe().unwrap_or(running))
    }

    /// Another: for tests, which are not `truc` themselves.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self(path)
    }
}

/// How many workers, and how they are bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Workers.
    pub workers: usize,
    /// Longest for one PDF.
    pub time: Duration,
    /// How long a document's PDFs may take together before the rest of them is left.
    pub wait: Duration,
    /// Most memory of a worker, in bytes.
    pub memory_bytes: u64,
    /// Largest PDF, in bytes.
    pub max_bytes: usize,
}

impl From<&Inspect> for Settings {
    fn from(config: &Inspect) -> Self {
        Self {
            workers: config.pdf_workers,
            time: Duration::from_millis(config.pdf_time_ms),
            wait: Duration::from_millis(config.pdf_wait_ms),
            memory_bytes: config.pdf_memory_mb.saturating_mul(1024 * 1024),
            max_bytes: config.pdf_max_bytes,
        }
    }
}

/// A few workers. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    program: Program,
    settings: Settings,
    free: Semaphore,
    waiting: AtomicUsize,
    /// Workers without a request. At most as many as `free` has permits.
    idle: Mutex<Vec<Worker>>,
    /// After a failure to start one: not before this time again.
    not_before: Mutex<Option<Instant>>,
    bell: OnceLock<Bell>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// No worker could be started.
    NoWorker,
    /// It took too long.
    Time,
    /// It died or talked nonsense; so many requests it had answered before.
    Ended { why: Unreadable, answered: u64 },
}

impl Pool {
    /// A pool, or none when the settings ask for no worker. Workers are started when they are needed.
    #[must_use]
    pub fn new(program: Program, settings: Settings) -> Option<Self> {
        (settings.workers > 0).then(|| {
            Self(Arc::new(Inner {
                program,
                free: Semaphore::new(settings.workers),
                waiting: AtomicUsize::new(0),
                idle: Mutex::new(Vec::new()),
                not_before: Mutex::new(None),
                bell: OnceLock::new(),
                settings,
            }))
        })
    }

    /// The same pool; that nobody can look is an alert. A pool has one bell: the first stays.
    #[must_use]
    pub fn with_bell(self, bell: Bell) -> Self {
        let _ = self.0.bell.set(bell);
        self
    }

    /// The moment after which nobody begins to look at a PDF of a document that is in hand now.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.0.settings.wait
    }

    /// Looks at one PDF of so many bytes, which are fetched only when a worker is free for them. Waits for
    /// one until `deadline`; after that it takes no longer than twice the time for one PDF and the start of
    /// a worker.
    pub async fn inspect<F>(&self, length: u64, deadline: Instant, fetch: impl FnOnce() -> F) -> PdfSignatures
    where
        F: Future<Output = Option<Vec<u8>>>,
    {
        let unchecked = |why| PdfSignatures::Unchecked { why };
        let settings = &self.0.settings;
        if length > settings.max_bytes as u64 {
            return unchecked(NotInspected::TooLarge);
        }
        let Some(_turn) = Turn::take(&self.0.waiting, settings.workers) else {
            return unchecked(NotInspected::Busy);
        };
        // Asked first: a worker that is free would else be given after any deadline.
        if Instant::now() >= deadline {
            return unchecked(NotInspected::Busy);
        }
        let Ok(Ok(_permit)) = timeout_at(deadline, self.0.free.acquire()).await else {
            return unchecked(NotInspected::Busy);
        };
        let Some(bytes) = fetch().await else {
            return PdfSignatures::Unreadable {
                why: Unreadable::Damaged,
            };
        };
        let failure = match self.0.ask(&bytes).await {
            Ok(found) => return found,
            // What ended may have been worn out, or ended by the machine: a fresh one is asked once more.
            Err(Failure::Ended { answered: 1.., .. }) => match self.0.ask(&bytes).await {
                Ok(found) => return found,
                Err(failure) => failure,
            },
            Err(failure) => failure,
        };
        match failure {
            Failure::NoWorker => unchecked(NotInspected::NoWorker),
            Failure::Time => PdfSignatures::Unreadable {
                why: Unreadable::Time,
            },
            Failure::Ended { why, .. } => PdfSignatures::Unreadable { why },
        }
    }
}

impl Inner {
    async fn ask(&self, bytes: &[u8]) -> Result<PdfSignatures, Failure> {
        let idle = lock(&self.idle).pop();
        let mut worker = match idle {
            Some(worker) => worker,
            None => self.start().await?,
        };
        match timeout(self.settings.time, worker.ask(bytes)).await {
            Ok(Ok(found)) => {
                worker.answered += 1;
                lock(&self.idle).push(worker);
                Ok(found)
            }
            Ok(Err(_)) => {
                let answered = worker.answered;
                let why = worker.end().await;
                emit(Event::PdfWorkerEnded { why });
                Err(if why == Unreadable::Time {
                    Failure::Time
                } else {
                    Failure::Ended { why, answered }
                })
            }
            Err(_) => {
                // Ignored on purpose: if it is gone already, all the better.
                let _ = worker.child.start_kill();
                worker.end().await;
                emit(Event::PdfWorkerEnded {
                    why: Unreadable::Time,
                });
                Err(Failure::Time)
            }
        }
    }

    async fn start(&self) -> Result<Worker, Failure> {
        let tried = *lock(&self.not_before);
        if tried.is_some_and(|not_before| Instant::now() < not_before) {
            return Err(Failure::NoWorker);
        }
        let bounds = Bounds {
            memory_bytes: self.settings.memory_bytes,
            time_s: self.settings.time.as_secs() + 1,
            max_bytes: self.settings.max_bytes,
        };
        let started = match Worker::spawn(&self.program, bounds) {
            Ok(mut worker) => match timeout(START_MAX, worker.greeting()).await {
                Ok(Ok(())) => Ok(worker),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(io::ErrorKind::TimedOut.into()),
            },
            Err(error) => Err(error),
        };
        let (worker, not_before) = match started {
            Ok(worker) => (Ok(worker), None),
            Err(error) => {
                let bell = self.bell.get_or_init(Bell::unheard);
                bell.emit(Event::NoPdfWorker { error: &error });
                (Err(Failure::NoWorker), Some(Instant::now() + START_AGAIN))
            }
        };
        *lock(&self.not_before) = not_before;
        worker
    }
}

/// A place among those that wait or are served.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(waiting: &'a AtomicUsize, workers: usize) -> Option<Self> {
        let most = WAITING_MAX + workers;
        waiting
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |now| {
                (now < most).then_some(now + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// One worker process. Dropped, it is killed.
#[derive(Debug)]
struct Worker {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    last_words: JoinHandle<Vec<u8>>,
    answered: u64,
}

impl Worker {
    fn spawn(program: &Program, bounds: Bounds) -> io::Result<Self> {
        let mut child = Command::new(&program.0)
            .arg0("truc")
            .args(bounds.arguments())
            // The hub's environment holds the broker's password.
            .env_clear()
            .current_dir("/")
            // A Ctrl-C for the hub is not one for its workers: what is in hand is finished.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::from(io::ErrorKind::BrokenPipe);
        let requests = child.stdin.take().ok_or_else(missing)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let said = child.stderr.take().ok_or_else(missing)?;
        let last_words = tokio::spawn(async move {
            let mut words = Vec::new();
            // Ignored on purpose: half a sentence is enough. The rest goes nowhere, and blocks no one.
            let _ = said.take(LAST_WORDS_MAX).read_to_end(&mut words).await;
            words
        });
        Ok(Self {
            child,
            requests,
            answers,
            last_words,
            answered: 0,
        })
    }

    async fn greeting(&mut self) -> io::Result<()> {
        let line = self.line().await?;
        if line.trim_end() == GREETING {
            Ok(())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    async fn ask(&mut self, bytes: &[u8]) -> io::Result<PdfSignatures> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        self.requests.write_all(&length.to_le_bytes()).await?;
        self.requests.write_all(bytes).await?;
        self.requests.flush().await?;
        let line = self.line().await?;
        serde_json::from_str(&line).map_err(|_| io::ErrorKind::InvalidData.into())
    }

    async fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        (&mut self.answers).take(ANSWER_MAX).read_line(&mut line).await?;
        if line.ends_with('\n') {
            Ok(line)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Ends it, and says from how it went what the matter was.
    async fn end(mut self) -> Unreadable {
        // One that died by itself is given the moment to be gone, so that its own end is seen, not ours.
        let own = timeout(END_MAX / 10, self.child.wait()).await;
        let status = match own {
            Ok(Ok(status)) => Some(status),
            _ => {
                // Ignored on purpose: it is gone, or it will be killed when it is dropped.
                let _ = self.child.start_kill();
                let _ = timeout(END_MAX, self.child.wait()).await;
                None
            }
        };
        let words = match timeout(END_MAX, self.last_words).await {
            Ok(Ok(words)) => words,
            _ => Vec::new(),
        };
        status.map_or(Unreadable::Crash, |status| cause(status, &words))
    }
}

/// What a worker died of.
fn cause(status: ExitStatus, last_words: &[u8]) -> Unreadable {
    let out_of_memory = String::from_utf8_lossy(last_words).contains("memory allocation of");
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => Unreadable::Time,
        // The kernel kills the greediest when the machine has no memory left.
        Some(Signal::KILL) => Unreadable::Memory,
        _ if out_of_memory || status.code() == Some(NO_MEMORY.into()) => Unreadable::Memory,
        _ => Unreadable::Crash,
    }
}

/// A lock held for a moment, never across an await; a panic elsewhere leaves nothing half done in it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
