//! Uploads: begun, gone on with, finished. A body becomes visible when its size and digest are what was announced and
//! its bytes are flushed; until then it is a file that only its uploader reaches.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use object_store::{ObjectStoreExt as _, PutMode};
use ring::digest::{Context, SHA256};
use tokio::sync::{Mutex, OwnedMutexGuard};
use truc_model::{BodyProblem, BodyProblemCode, Sha256, SystemId, crash};

use crate::error::BodyError;
use crate::keys::{self, Unnamed};
use crate::limits::CHUNK_BYTES;
use crate::staging::{self, Staging};
use crate::store::{BodyStore, Place};

/// How far an upload is, as its system may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UploadStatus {
    /// Nothing of it is here.
    Nothing,
    /// Begun: `offset` of `total` bytes are here. All of them can be here while the store could not be reached:
    /// going on from [`From::Here`] then finishes it.
    Partial {
        /// Bytes that are here.
        offset: u64,
        /// Announced size.
        total: u64,
    },
    /// All here, verified and stored.
    Complete {
        /// In bytes.
        size: u64,
    },
}

/// Where the bytes of a request begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// At the start, whatever was there.
    Start,
    /// At an offset, which must be where the upload stands.
    At(u64),
    /// Wherever it stands: to finish what is all there.
    Here,
}

/// What beginning to upload gives.
pub enum Began {
    /// The system has uploaded this body before: nothing need be sent.
    There {
        /// In bytes.
        size: u64,
    },
    /// Bytes are awaited.
    Writing(Box<UploadWriter>),
}

/// What a finished request leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finished {
    /// More must come.
    Partial {
        /// Bytes that are here, on disk.
        offset: u64,
        /// Announced size.
        total: u64,
    },
    /// Verified and stored.
    Stored {
        /// In bytes.
        size: u64,
    },
}

/// One writer's hold of an upload.
#[derive(Default)]
pub(crate) struct Session {
    running: Arc<Mutex<Option<Running>>>,
}

/// The digest of the bytes so far.
struct Running {
    context: Context,
    hashed: u64,
}

/// Takes the bytes of one request. Dropped without [`UploadWriter::finish`], it leaves what it has written; what it
/// still held is lost, and the file's length says so.
pub struct UploadWriter {
    store: BodyStore,
    system: SystemId,
    body: Sha256,
    total: u64,
    offset: u64,
    path: PathBuf,
    work: Option<Work>,
}

/// What travels to the pool for blocking work and back. It holds the session: when a caller goes away in the middle,
/// nobody else writes before the last write has ended.
struct Work {
    file: File,
    running: Running,
    buffer: Vec<u8>,
    session: OwnedMutexGuard<Option<Running>>,
}

impl BodyStore {
    /// How far the upload of `body` by `system` is.
    ///
    /// # Errors
    /// [`BodyError::Store`], [`BodyError::File`].
    pub async fn status(&self, system: &SystemId, body: Sha256) -> Result<UploadStatus, BodyError> {
        if let Some(size) = self.owned(system, body).await? {
            return Ok(UploadStatus::Complete { size });
        }
        Ok(match self.staged(system, body).await? {
            Some(staging) => UploadStatus::Partial {
                offset: staging.length,
                total: staging.total,
            },
            None => UploadStatus::Nothing,
        })
    }

    /// Begins an upload of `total` bytes whose digest is `body`, or goes on with it. Size, quota and room are judged
    /// here, before the first byte.
    ///
    /// # Errors
    /// [`BodyError::Problem`]: `body-empty`, `body-too-large`, `body-being-removed`, `size-conflict`, `upload-busy`,
    /// `offset-mismatch`, `quota-exceeded`, `disk-full`. Others when the store has a fault.
    pub async fn begin(
        &self,
        system: &SystemId,
        body: Sha256,
        total: u64,
        from: From,
    ) -> Result<Began, BodyError> {
        if let Some(size) = self.owned(system, body).await? {
            if size != total {
                return Err(size_conflict(size, total));
            }
            // As if it were sent anew: it waits for a submission again, and is not swept away under it.
            self.publish(system, body, total, None).await?;
            return Ok(Began::There { size });
        }
        let session = self.session(system, body);
        let Ok(mut session) = Arc::clone(&session.running).try_lock_owned() else {
            return Err(BodyProblem::new(
                BodyProblemCode::UploadBusy,
                "one request at a time",
                "another one",
            )
            .into());
        };
        let beginning = self.inner.beginning.lock().await;
        let staged = self.staged(system, body).await?;
        let length = match &staged {
            Some(staging) if staging.total != total => return Err(size_conflict(staging.total, total)),
            Some(staging) => staging.length,
            None => 0,
        };
        let offset = match from {
            From::Start => 0,
            From::Here => length,
            From::At(offset) if offset == length => offset,
            From::At(offset) => {
                let expected = format!("bytes from {length}");
                let problem = BodyProblem::new(
                    BodyProblemCode::OffsetMismatch,
                    expected,
                    format!("bytes from {offset}"),
                );
                return Err(problem.at(length).into());
            }
        };
        self.admit(system, body, total).await?;
        let path = staging::path(&self.path(staging::FOLDER), system, &body, total);
        let now_s = self.now_s();
        let known = session
            .take()
            .filter(|running| running.hashed == offset && offset > 0);
        let opened = path.clone();
        let work = tokio::task::spawn_blocking(move || {
            let mut file = staging::open(&opened, offset == 0)?;
            staging::touch(&file, now_s)?;
            let running = match known {
                Some(running) => running,
                None => hash(&mut file, offset)?,
            };
            file.seek(SeekFrom::Start(offset))
                .map_err(BodyError::file("go on with the file of an upload"))?;
            Ok::<_, BodyError>(Work {
                file,
                running,
                buffer: Vec::with_capacity(CHUNK_BYTES),
                session,
            })
        })
        .await??;
        drop(beginning);
        Ok(Began::Writing(Box::new(UploadWriter {
            store: self.clone(),
            system: system.clone(),
            body,
            total,
            offset,
            path,
            work: Some(work),
        })))
    }

    /// Uploads a body that is in memory: for tests and small tools.
    ///
    /// # Errors
    /// As [`BodyStore::begin`] and [`UploadWriter::finish`].
    pub async fn put(&self, system: &SystemId, bytes: &[u8]) -> Result<Sha256, BodyError> {
        let body = Sha256::of(bytes);
        let total = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if let Began::Writing(mut writer) = self.begin(system, body, total, From::Start).await? {
            writer.write(bytes).await?;
            writer.finish().await?;
        }
        Ok(body)
    }

    /// Gives up an unfinished upload. `false` when there was none.
    ///
    /// # Errors
    /// [`BodyError::Problem`] with `upload-busy` while another request writes to it.
    pub async fn cancel(&self, system: &SystemId, body: Sha256) -> Result<bool, BodyError> {
        let session = self.session(system, body);
        let Ok(mut running) = Arc::clone(&session.running).try_lock_owned() else {
            return Err(
                BodyProblem::new(BodyProblemCode::UploadBusy, "no request that writes", "one").into(),
            );
        };
        *running = None;
        let Some(staging) = self.staged(system, body).await? else {
            return Ok(false);
        };
        tokio::task::spawn_blocking(move || staging::remove(&staging.path)).await??;
        self.end_session(system, body);
        Ok(true)
    }

    /// The size of a body that `system` uploaded and that is there to stay.
    async fn owned(&self, system: &SystemId, body: Sha256) -> Result<Option<u64>, BodyError> {
        if !self.is_owner(system, body).await? || self.is_condemned(body).await? {
            return Ok(None);
        }
        self.size(body).await
    }

    async fn staged(&self, system: &SystemId, body: Sha256) -> Result<Option<Staging>, BodyError> {
        let (dir, system) = (self.path(staging::FOLDER), system.clone());
        tokio::task::spawn_blocking(move || staging::of(&dir, &system, &body)).await?
    }

    /// Makes a verified body visible, and notes whose it is. `staged` is its file; `None` when the object is there.
    async fn publish(
        &self,
        system: &SystemId,
        body: Sha256,
        size: u64,
        staged: Option<PathBuf>,
    ) -> Result<(), BodyError> {
        // So that nobody removes it before it is noted whose it is.
        let pin = self.hold(body).await?;
        let published = self.publish_held(system, body, size, staged).await;
        self.take_off(&pin).await?;
        published
    }

    async fn publish_held(
        &self,
        system: &SystemId,
        body: Sha256,
        size: u64,
        staged: Option<PathBuf>,
    ) -> Result<(), BodyError> {
        if self.is_condemned(body).await? {
            return Err(BodyProblem::new(
                BodyProblemCode::BodyBeingRemoved,
                "a body that stays",
                "a removal",
            )
            .into());
        }
        let there = self.size(body).await? == Some(size);
        match staged {
            Some(path) => {
                crash::reach("body-verified");
                if there {
                    tokio::task::spawn_blocking(move || staging::remove(&path)).await??;
                } else if self.inner.place == Place::Local {
                    let from = Staging::key(system, &body, size);
                    let to = keys::object(&body);
                    self.inner
                        .objects
                        .rename(&from, &to)
                        .await
                        .map_err(BodyError::store("put a body in its place"))?;
                } else {
                    self.send(body, size, path).await?;
                }
                crash::reach("body-stored");
            }
            None if there => {}
            // Removed since it was looked for: it must be sent anew.
            None => {
                return Err(BodyProblem::new(
                    BodyProblemCode::BodyBeingRemoved,
                    "a body that stays",
                    "a removal",
                )
                .into());
            }
        }
        let own = self.unnamed_of(system).await?;
        if !own.iter().any(|unnamed| unnamed.body == body) {
            let unnamed = Unnamed {
                system: system.clone(),
                body,
                size,
                since: self.now_s(),
            };
            self.record(&unnamed.path(), Vec::new(), PutMode::Overwrite)
                .await?;
        }
        let owner = keys::owner(&body, system);
        self.record(&owner, Vec::new(), PutMode::Overwrite).await?;
        Ok(())
    }
}

impl UploadWriter {
    /// Bytes that the upload has, those of this request that are still in memory included.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Announced size.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Takes more bytes.
    ///
    /// # Errors
    /// [`BodyError::Problem`] with `range-malformed` beyond the announced size; [`BodyError::File`], after which the
    /// writer is of no use.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), BodyError> {
        let more = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.offset.saturating_add(more) > self.total {
            let expected = format!("{} bytes", self.total);
            return Err(BodyProblem::new(BodyProblemCode::RangeMalformed, expected, "more").into());
        }
        while !bytes.is_empty() {
            let Some(work) = self.work.as_mut() else {
                return Err(spent());
            };
            let room = CHUNK_BYTES - work.buffer.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            work.buffer.extend_from_slice(now);
            self.offset += u64::try_from(now.len()).unwrap_or(u64::MAX);
            bytes = later;
            if work.buffer.len() >= CHUNK_BYTES {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Ends the request: what came is flushed to disk. When it is all that was announced it is verified and stored.
    ///
    /// # Errors
    /// [`BodyError::Problem`] with `digest-mismatch`: nothing is kept; `body-being-removed`: all is kept, and going on
    /// from [`From::Here`] later stores it. So does it after a fault of the store.
    pub async fn finish(mut self) -> Result<Finished, BodyError> {
        self.flush().await?;
        let Some(mut work) = self.work.take() else {
            return Err(spent());
        };
        let (total, offset, now_s) = (self.total, self.offset, self.store.now_s());
        if offset < total {
            tokio::task::spawn_blocking(move || {
                work.file
                    .sync_data()
                    .map_err(BodyError::file("flush the file of an upload"))?;
                staging::touch(&work.file, now_s)?;
                *work.session = Some(work.running);
                Ok::<_, BodyError>(())
            })
            .await??;
            return Ok(Finished::Partial { offset, total });
        }
        let found = Sha256::from_ring(&work.running.context.clone().finish());
        if found != self.body {
            let path = self.path.clone();
            tokio::task::spawn_blocking(move || staging::remove(&path)).await??;
            self.store.end_session(&self.system, self.body);
            return Err(BodyProblem::new(BodyProblemCode::DigestMismatch, self.body, found).into());
        }
        let work = tokio::task::spawn_blocking(move || {
            work.file
                .sync_all()
                .map_err(BodyError::file("flush the file of an upload"))?;
            staging::touch(&work.file, now_s)?;
            Ok::<_, BodyError>(work)
        })
        .await??;
        let path = Some(self.path.clone());
        let stored = self.store.publish(&self.system, self.body, total, path).await;
        let Work {
            running, mut session, ..
        } = work;
        match stored {
            Ok(()) => {
                drop(session);
                self.store.end_session(&self.system, self.body);
                Ok(Finished::Stored { size: total })
            }
            Err(error) => {
                *session = Some(running);
                Err(error)
            }
        }
    }

    async fn flush(&mut self) -> Result<(), BodyError> {
        let Some(mut work) = self.work.take() else {
            return Err(spent());
        };
        if !work.buffer.is_empty() {
            work = tokio::task::spawn_blocking(move || {
                work.file
                    .write_all(&work.buffer)
                    .map_err(BodyError::file("write the file of an upload"))?;
                work.running.take(&work.buffer);
                work.buffer.clear();
                Ok::<_, BodyError>(work)
            })
            .await??;
        }
        self.work = Some(work);
        Ok(())
    }
}

impl Running {
    fn take(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
        self.hashed += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    }
}

/// The digest of the first `length` bytes of a file.
fn hash(file: &mut File, length: u64) -> Result<Running, BodyError> {
    let mut running = Running {
        context: Context::new(&SHA256),
        hashed: 0,
    };
    file.seek(SeekFrom::Start(0))
        .map_err(BodyError::file("read the file of an upload"))?;
    let mut rest = file.take(length);
    let mut buffer = vec![0; CHUNK_BYTES];
    while running.hashed < length {
        let read = rest
            .read(&mut buffer)
            .map_err(BodyError::file("read the file of an upload"))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Err(BodyError::Damaged);
        };
        running.take(bytes);
    }
    Ok(running)
}

fn size_conflict(expected: u64, found: u64) -> BodyError {
    let expected = format!("{expected} bytes");
    BodyProblem::new(BodyProblemCode::SizeConflict, expected, format!("{found} bytes")).into()
}

/// A writer that had a fault, or whose caller went away in the middle.
fn spent() -> BodyError {
    BodyError::file("go on with an upload after a fault")(std::io::ErrorKind::BrokenPipe.into())
}
