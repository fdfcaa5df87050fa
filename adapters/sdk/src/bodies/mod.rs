//! Large bodies: sent to the hub and fetched from it over HTTP, beside the messages that name them
//! (`docs/reference/bodies.md`). Whatever breaks in between is gone on with where it stood, here and after a restart of
//! the adapter; what comes is not shown before its digest is the one that the message names.

mod attempt;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{Context, SHA256};
use tokio::time::Instant;
use truc_model::{BodyProblemJson, NextTry, Random, Sha256, SystemId};

use crate::Backoff;

/// Bytes read or written at once: what a transfer holds in memory.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Longest wait that an answer of the hub can ask for.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// How the hub's service of bodies is reached.
#[derive(Clone)]
pub struct BodyClientConfig {
    /// `https://host:port` of the service.
    pub url: String,
    /// The authority that signed its certificate, PEM, besides those the system trusts.
    pub ca_pem: Option<String>,
    /// Plain `http://` to another machine: the password then travels in clear text.
    pub allow_plain: bool,
    /// The system this adapter speaks for.
    pub system: SystemId,
    /// Its password at the broker.
    pub password: String,
    /// Pauses between attempts.
    pub backoff: Backoff,
    /// How long is tried without a byte of progress before an error says so.
    pub patience: Duration,
    /// Longest silence on a connection.
    pub idle: Duration,
}

impl BodyClientConfig {
    /// The defaults.
    #[must_use]
    pub fn new(url: &str, system: SystemId, password: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca_pem: None,
            allow_plain: false,
            system,
            password: password.to_owned(),
            backoff: Backoff::default(),
            patience: Duration::from_secs(120),
            idle: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for BodyClientConfig {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyClientConfig")
            .field("url", &self.url)
            .field("system", &self.system)
            .finish_non_exhaustive()
    }
}

/// How far a transfer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes that are across.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

/// Called now and then while bytes move, from another thread.
pub type OnProgress = Arc<dyn Fn(Progress) + Send + Sync>;

/// Why a body could not be sent or fetched.
#[derive(Debug, thiserror::Error)]
pub enum BodyTransferError {
    /// The address or the authority cannot be used.
    #[error("the settings of the service of bodies cannot be used: {0}")]
    Settings(String),
    /// The hub said why.
    #[error("the hub refused: {}", .0.code)]
    Refused(Box<BodyProblemJson>),
    /// An answer that is none of the hub's: of something between, mostly.
    #[error("the service of bodies answered with the status {status}")]
    Unexpected {
        /// The HTTP status.
        status: u16,
    },
    /// No connection, or it broke.
    #[error("the service of bodies cannot be reached")]
    Unreachable(#[source] Box<ureq::Error>),
    /// The connection broke while bytes moved.
    #[error("the connection broke after {done} of {total} bytes")]
    Cut {
        /// Bytes that are across.
        done: u64,
        /// Of how many.
        total: u64,
    },
    /// A file of this machine.
    #[error("cannot {what} {path}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What came, or the file that was to be sent, is not what its digest says.
    #[error("expected the body {expected}, found {found}")]
    Digest {
        /// As named.
        expected: Sha256,
        /// As it is.
        found: Sha256,
    },
    /// A task panicked.
    #[error("a task of the transfer failed")]
    Task(#[from] tokio::task::JoinError),
}

impl BodyTransferError {
    /// Whether the same can succeed later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused(problem) => problem.next != NextTry::AfterCorrection,
            Self::Unexpected { status } => *status >= 500 || *status == 429 || *status == 408,
            Self::Unreachable(_) | Self::Cut { .. } => true,
            Self::Settings(_) | Self::File { .. } | Self::Digest { .. } | Self::Task(_) => false,
        }
    }

    fn file(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::File {
            what,
            path: path.to_owned(),
            source,
        }
    }
}

/// Sends and fetches bodies. Cheap to clone.
#[derive(Clone)]
pub struct BodyClient {
    inner: Arc<Inner>,
}

struct Inner {
    config: BodyClientConfig,
    agent: ureq::Agent,
    random: Arc<dyn Random>,
}

/// What one attempt left.
enum Outcome {
    Done,
    /// More must follow; `done` bytes are across.
    More {
        done: u64,
    },
}

/// An attempt that failed, and how long the hub asks to wait.
struct Failed {
    error: BodyTransferError,
    done: u64,
    after: Option<Duration>,
}

impl BodyClient {
    /// Prepares the client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`BodyTransferError::Settings`].
    pub fn new(config: BodyClientConfig, random: Arc<dyn Random>) -> Result<Self, BodyTransferError> {
        let agent = attempt::agent(&config)?;
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                agent,
                random,
            }),
        })
    }

    /// Sends the file `from`, whose digest and size are known: [`digest_of`] tells them. What the hub has already is
    /// not sent again.
    ///
    /// # Errors
    /// [`BodyTransferError`]; ask [`BodyTransferError::is_retryable`].
    pub async fn upload(
        &self,
        from: &Path,
        body: Sha256,
        size: u64,
        progress: Option<OnProgress>,
    ) -> Result<(), BodyTransferError> {
        let from = from.to_owned();
        self.until_done(size, move |inner| {
            attempt::upload(inner, &from, body, size, progress.as_ref())
        })
        .await
    }

    /// Fetches a body into the file `to`, which is there when it is whole and on disk and its digest is `body`. An
    /// older file of that name is replaced. What an earlier call left unfinished beside it is gone on with.
    ///
    /// # Errors
    /// As [`BodyClient::upload`].
    pub async fn download(
        &self,
        body: Sha256,
        size: u64,
        to: &Path,
        progress: Option<OnProgress>,
    ) -> Result<(), BodyTransferError> {
        let to = to.to_owned();
        self.until_done(size, move |inner| {
            attempt::download(inner, body, size, &to, progress.as_ref())
        })
        .await
    }

    /// Attempts until one succeeds, none can, or nothing has moved for too long.
    async fn until_done<F>(&self, total: u64, attempt: F) -> Result<(), BodyTransferError>
    where
        F: Fn(&Inner) -> Result<Outcome, Failed> + Send + Sync + 'static,
    {
        let attempt = Arc::new(attempt);
        let config = &self.inner.config;
        let (mut furthest, mut failures) = (0, 0_u32);
        let mut stuck: Option<Instant> = None;
        loop {
            let (inner, attempt) = (Arc::clone(&self.inner), Arc::clone(&attempt));
            // The client blocks; transfers are few.
            let failed = match tokio::task::spawn_blocking(move || attempt(&inner)).await? {
                Ok(Outcome::Done) => return Ok(()),
                Ok(Outcome::More { done }) if done > furthest => {
                    (furthest, failures, stuck) = (done, 0, None);
                    continue;
                }
                Ok(Outcome::More { done }) => Failed {
                    error: BodyTransferError::Cut { done, total },
                    done,
                    after: None,
                },
                Err(failed) => failed,
            };
            let Failed { error, done, after } = failed;
            if done > furthest {
                (furthest, failures, stuck) = (done, 0, None);
            }
            failures = failures.saturating_add(1);
            let pause = after.unwrap_or_else(|| config.backoff.pause(failures, &*self.inner.random));
            // From the first failure without progress: an attempt that moved bytes for hours is none.
            let since = *stuck.get_or_insert_with(Instant::now);
            if !error.is_retryable() || since.elapsed() + pause > config.patience {
                return Err(error);
            }
            tracing::info!(error = %error, done, total, "transfer of a body broke off, going on");
            tokio::time::sleep(pause).await;
        }
    }
}

/// Digest and size of a file, read in pieces. Blocks.
///
/// # Errors
/// [`BodyTransferError::File`].
pub fn digest_of(path: &Path) -> Result<(Sha256, u64), BodyTransferError> {
    let fault = || BodyTransferError::file("read", path);
    let mut file = File::open(path).map_err(fault())?;
    let mut context = Context::new(&SHA256);
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut size = 0;
    loop {
        let read = file.read(&mut buffer).map_err(fault())?;
        if read == 0 {
            return Ok((Sha256::from_ring(&context.finish()), size));
        }
        context.update(&buffer[..read]);
        size += u64::try_from(read).unwrap_or(u64::MAX);
    }
}
