//! Reading bodies: as a stream of any part of them, or as a file of this machine for a reader that goes to and fro.

use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use object_store::{GetOptions, GetRange};
use ring::digest::{Context, SHA256};
use truc_model::{BodyProblem, BodyProblemCode, Sha256};

use crate::error::BodyError;
use crate::keys;
use crate::limits::CHUNK_BYTES;
use crate::store::{BodyStore, Place};

/// Pieces of a body, at most [`CHUNK_BYTES`] each.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>;

/// A body that can be read. What was opened stays readable when it is removed meanwhile, where the bodies are files.
pub struct OpenBody {
    store: BodyStore,
    body: Sha256,
    size: u64,
    file: Option<Arc<File>>,
}

/// A body as a file of this machine: for reading at any place ([`std::os::unix::fs::FileExt::read_at`]). It stays
/// readable when the body is removed meanwhile.
#[derive(Debug)]
pub struct LocalBody {
    /// The open file, for reading.
    pub file: File,
    /// In bytes.
    pub size: u64,
    /// Its name.
    pub sha256: Sha256,
}

impl BodyStore {
    /// Opens a body for reading, whoever asks: the caller has judged that. `None` when it is not there.
    ///
    /// # Errors
    /// [`BodyError::Store`], [`BodyError::File`].
    pub async fn open(&self, body: Sha256) -> Result<Option<OpenBody>, BodyError> {
        let file = match self.inner.place {
            Place::Local => match self.file_of(body).await? {
                Some(file) => Some(Arc::new(file)),
                None => return Ok(None),
            },
            Place::Remote => None,
        };
        let size = match &file {
            Some(file) => file.metadata().map_err(BodyError::file("open a body"))?.len(),
            None => match self.size(body).await? {
                Some(size) => size,
                None => return Ok(None),
            },
        };
        Ok(Some(OpenBody {
            store: self.clone(),
            body,
            size,
            file,
        }))
    }

    /// A body as a local file: the object itself, or a copy fetched from the bucket and verified. `None` when it is
    /// not there.
    ///
    /// # Errors
    /// [`BodyError::Damaged`] when the bucket gives other bytes than the name says.
    pub async fn local(&self, body: Sha256) -> Result<Option<LocalBody>, BodyError> {
        let found = match self.inner.place {
            Place::Local => self.file_of(body).await?,
            Place::Remote => self.copy_of(body).await?,
        };
        found
            .map(|file| {
                let size = file.metadata().map_err(BodyError::file("open a body"))?.len();
                Ok(LocalBody {
                    file,
                    size,
                    sha256: body,
                })
            })
            .transpose()
    }

    /// Reads a whole body and compares its digest with its name. `None` when it is not there.
    ///
    /// # Errors
    /// [`BodyError::Damaged`] when they differ.
    pub async fn verify(&self, body: Sha256) -> Result<Option<u64>, BodyError> {
        let Some(open) = self.open(body).await? else {
            return Ok(None);
        };
        let size = open.size();
        let mut pieces = open.stream(0..size)?;
        let mut context = Context::new(&SHA256);
        while let Some(piece) = pieces.next().await {
            context.update(&piece?);
        }
        if Sha256::from_ring(&context.finish()) == body {
            Ok(Some(size))
        } else {
            Err(BodyError::Damaged)
        }
    }

    async fn file_of(&self, body: Sha256) -> Result<Option<File>, BodyError> {
        let path = self.path(keys::object(&body).as_ref());
        tokio::task::spawn_blocking(move || match File::open(path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BodyError::file("open a body")(error)),
        })
        .await?
    }
}

impl OpenBody {
    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Its bytes from `range.start` up to `range.end`, in order.
    ///
    /// # Errors
    /// [`BodyError::Problem`] with `range-not-satisfiable` for a range that is not inside the body.
    pub fn stream(self, range: Range<u64>) -> Result<BodyStream, BodyError> {
        if range.start > range.end || range.end > self.size {
            let expected = format!("a range of {} bytes", self.size);
            let found = format!("{} to {}", range.start, range.end);
            return Err(BodyProblem::new(BodyProblemCode::RangeNotSatisfiable, expected, found).into());
        }
        if range.is_empty() {
            return Ok(stream::empty().boxed());
        }
        Ok(match self.file {
            Some(file) => of_file(file, range),
            None => of_bucket(self.store, self.body, range, self.size),
        })
    }
}

fn of_file(file: Arc<File>, range: Range<u64>) -> BodyStream {
    let pieces = stream::try_unfold((file, range), |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let length =
            usize::try_from(range.end - range.start).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
        let (start, reader) = (range.start, Arc::clone(&file));
        let piece = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; length];
            reader
                .read_exact_at(&mut piece, start)
                .map_err(BodyError::file("read a body"))?;
            Ok::<_, BodyError>(Bytes::from(piece))
        })
        .await??;
        let next = start + u64::try_from(length).unwrap_or(u64::MAX);
        Ok(Some((piece, (file, next..range.end))))
    });
    pieces.boxed()
}

fn of_bucket(store: BodyStore, body: Sha256, range: Range<u64>, size: u64) -> BodyStream {
    let opened = async move {
        let options = GetOptions {
            // The whole is asked for as such: fewer services have their own mind about it.
            range: (range != (0..size)).then_some(GetRange::Bounded(range)),
            ..GetOptions::default()
        };
        let path = keys::object(&body);
        let got = store.inner.objects.get_opts(&path, options).await;
        let pieces = got.map_err(BodyError::store("read a body"))?.into_stream();
        Ok::<_, BodyError>(pieces.map(|piece| piece.map_err(BodyError::store("read a body"))))
    };
    stream::once(opened)
        .flat_map(|opened| match opened {
            Ok(pieces) => pieces.boxed(),
            Err(error) => stream::iter([Err(error)]).boxed(),
        })
        .boxed()
}

impl LocalBody {
    /// The whole body in memory: for small ones, and tests.
    ///
    /// # Errors
    /// [`BodyError::Problem`] with `body-too-large` beyond `max` bytes.
    pub fn into_bytes(mut self, max: u64) -> Result<Vec<u8>, BodyError> {
        if self.size > max {
            let expected = format!("at most {max} bytes");
            let found = format!("{} bytes", self.size);
            return Err(BodyProblem::new(BodyProblemCode::BodyTooLarge, expected, found).into());
        }
        let mut bytes = Vec::new();
        self.file
            .read_to_end(&mut bytes)
            .map_err(BodyError::file("read a body"))?;
        Ok(bytes)
    }
}
