//! The store: what it is made of, and the small steps that its parts share.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use object_store::local::LocalFileSystem;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use truc_model::{Clock, Random, Sha256, SystemId};

use crate::error::BodyError;
use crate::keys;
use crate::limits::Bounds;
use crate::remote::{self, S3Settings};
use crate::remove::Removing;
use crate::upload::Session;

/// Limits and places of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory of this hub: the bodies themselves, or with S3 the unfinished uploads and copies for reading. One
    /// process uses it at a time.
    pub dir: PathBuf,
    /// Largest body.
    pub max_body_bytes: u64,
    /// Most bytes of one system that are being uploaded or are named by no submission yet.
    pub quota_bytes: u64,
    /// Bytes that stay free on the disk of `dir`: an upload that would go below is refused before it begins.
    pub disk_floor_bytes: u64,
    /// Age at which an unfinished upload that nobody goes on with is removed.
    pub unfinished_age: Duration,
    /// Age at which a body that no submission names is removed.
    pub unnamed_age: Duration,
    /// Most bytes of copies kept on this hub's disk when the bodies are in S3.
    pub copies_max_bytes: u64,
}

/// A store of bodies. Cheap to clone.
#[derive(Clone)]
pub struct BodyStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) settings: Settings,
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Where pins are. Of a directory of one's own they need not survive a loss of power: nor does who holds them.
    pub(crate) pins: Arc<dyn ObjectStore>,
    pub(crate) place: Place,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    /// Held while it is decided whether an upload may begin: two at once must not both fit.
    pub(crate) beginning: tokio::sync::Mutex<()>,
    pub(crate) sessions: Mutex<HashMap<(SystemId, Sha256), Arc<Session>>>,
    pub(crate) removing: Removing,
    pub(crate) bounds: Bounds,
    /// The lock of the directory, held as long as this lives; `None` for one that only looks.
    pub(crate) lock: Option<File>,
}

/// Where the objects are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the directory itself: an upload is renamed into place.
    Local,
    /// In a bucket: an upload is sent there, and read through a copy.
    Remote,
}

/// A stored body, as a listing tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub sha256: Sha256,
    /// In bytes.
    pub size: u64,
    /// When it was stored.
    pub modified: Timestamp,
}

impl BodyStore {
    /// A store whose bodies are files below `settings.dir`.
    ///
    /// # Errors
    /// [`BodyError::InUse`] when another process has it, [`BodyError::File`] when it cannot be made or written.
    pub async fn open_local(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BodyError> {
        let lock = prepare(settings.dir.clone()).await?;
        let quick = LocalFileSystem::new_with_prefix(&settings.dir)
            .map_err(BodyError::store("open its directory"))?;
        let objects: Arc<dyn ObjectStore> = Arc::new(quick.clone().with_fsync(true));
        let stores = (objects, Arc::new(quick) as _);
        let store = Self::over(settings, stores, Place::Local, clock, random, Some(lock));
        // Who held them in this directory is gone: the lock is ours.
        store.forget_pins().await?;
        Ok(store)
    }

    /// A store whose bodies are in a bucket; unfinished uploads are files below `settings.dir`.
    ///
    /// # Errors
    /// As [`BodyStore::open_local`], and [`BodyError::Settings`]. That the bucket answers is not asked here.
    pub async fn open_s3(
        settings: Settings,
        s3: &S3Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BodyError> {
        let lock = prepare(settings.dir.clone()).await?;
        let objects = remote::connect(s3)?;
        let stores = (Arc::clone(&objects), objects);
        Ok(Self::over(
            settings,
            stores,
            Place::Remote,
            clock,
            random,
            Some(lock),
        ))
    }

    pub(crate) fn over(
        settings: Settings,
        (objects, pins): (Arc<dyn ObjectStore>, Arc<dyn ObjectStore>),
        place: Place,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        lock: Option<File>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                settings,
                objects,
                pins,
                place,
                clock,
                random,
                beginning: tokio::sync::Mutex::new(()),
                sessions: Mutex::new(HashMap::new()),
                removing: Removing::default(),
                bounds: Bounds::default(),
                lock,
            }),
        }
    }

    /// Its limits and places.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// The size of a body, whoever uploaded it; `None` when it is not there.
    ///
    /// # Errors
    /// [`BodyError::Store`].
    pub async fn size(&self, body: Sha256) -> Result<Option<u64>, BodyError> {
        Ok(self.meta(&keys::object(&body)).await?.map(|meta| meta.size))
    }

    /// Whether `system` itself uploaded `body`, in full.
    ///
    /// # Errors
    /// [`BodyError::Store`].
    pub async fn is_owner(&self, system: &SystemId, body: Sha256) -> Result<bool, BodyError> {
        Ok(self.meta(&keys::owner(&body, system)).await?.is_some())
    }

    /// Up to `limit` bodies after `after`, sorted.
    ///
    /// # Errors
    /// [`BodyError::Store`].
    pub async fn list(&self, after: Option<Sha256>, limit: usize) -> Result<Vec<Listed>, BodyError> {
        let first = after.map_or(0, |after| after.as_bytes()[0]);
        let mut found: Vec<Listed> = Vec::new();
        for shard in first..=u8::MAX {
            let room = limit - found.len();
            if room == 0 {
                break;
            }
            found.append(&mut self.list_shard(shard, after, room).await?);
        }
        Ok(found)
    }

    /// The first `limit` bodies after `after` in one shard, however many it has: no more of them are held.
    async fn list_shard(
        &self,
        shard: u8,
        after: Option<Sha256>,
        limit: usize,
    ) -> Result<Vec<Listed>, BodyError> {
        let path = keys::shard(shard);
        let mut objects = self.inner.objects.list(Some(&path));
        let mut first = BTreeMap::new();
        loop {
            let listed = match objects.try_next().await {
                Ok(Some(meta)) => listed(&meta),
                Ok(None) | Err(object_store::Error::NotFound { .. }) => break,
                Err(error) => return Err(BodyError::store("list objects")(error)),
            };
            if let Some(listed) = listed.filter(|listed| after.is_none_or(|after| listed.sha256 > after)) {
                first.insert(listed.sha256, listed);
                if first.len() > limit {
                    first.pop_last();
                }
            }
        }
        Ok(first.into_values().collect())
    }

    pub(crate) fn now_s(&self) -> i64 {
        self.inner.clock.now().as_second()
    }

    pub(crate) fn path(&self, folder: &str) -> PathBuf {
        self.inner.settings.dir.join(folder)
    }

    pub(crate) async fn meta(
        &self,
        path: &object_store::path::Path,
    ) -> Result<Option<ObjectMeta>, BodyError> {
        match self.inner.objects.head(path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(BodyError::store("look for an object")(error)),
        }
    }

    /// What stands below a path, at most `max`.
    pub(crate) async fn listing(
        &self,
        path: &object_store::path::Path,
        max: usize,
    ) -> Result<Vec<ObjectMeta>, BodyError> {
        let found = self.inner.objects.list(Some(path)).take(max).try_collect().await;
        match found {
            Ok(found) => Ok(found),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(BodyError::store("list objects")(error)),
        }
    }

    /// What stands below a path and is of use, at most `max`: all of it is looked at, and no more is held.
    pub(crate) async fn listing_of<T>(
        &self,
        path: &object_store::path::Path,
        max: usize,
        of_use: impl Fn(&ObjectMeta) -> Option<T>,
    ) -> Result<Vec<T>, BodyError> {
        let all = self.inner.objects.list(Some(path));
        let useful = all.try_filter_map(|meta| std::future::ready(Ok(of_use(&meta))));
        match useful.take(max).try_collect().await {
            Ok(found) => Ok(found),
            Err(object_store::Error::NotFound { .. }) => Ok(Vec::new()),
            Err(error) => Err(BodyError::store("list objects")(error)),
        }
    }

    /// Writes a record. `false` when it is there already and `mode` forbids to replace it.
    pub(crate) async fn record(
        &self,
        path: &object_store::path::Path,
        content: Vec<u8>,
        mode: PutMode,
    ) -> Result<bool, BodyError> {
        let options = PutOptions {
            mode,
            ..PutOptions::default()
        };
        match self
            .inner
            .objects
            .put_opts(path, PutPayload::from(content), options)
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Ok(false)
            }
            Err(error) => Err(BodyError::store("write a record")(error)),
        }
    }

    /// Deletes; that it is not there is as good.
    pub(crate) async fn erase(&self, path: &object_store::path::Path) -> Result<(), BodyError> {
        match self.inner.objects.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BodyError::store("delete an object")(error)),
        }
    }

    pub(crate) fn session(&self, system: &SystemId, body: Sha256) -> Arc<Session> {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() >= crate::limits::SESSIONS_MAX {
            // Whoever is writing holds a clone; the others are read again when they go on.
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        Arc::clone(sessions.entry((system.clone(), body)).or_default())
    }

    pub(crate) fn end_session(&self, system: &SystemId, body: Sha256) {
        let mut sessions = self.inner.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.remove(&(system.clone(), body));
    }
}

fn listed(meta: &ObjectMeta) -> Option<Listed> {
    Some(Listed {
        sha256: keys::read_body(&meta.location)?,
        size: meta.size,
        modified: Timestamp::from_second(meta.last_modified.timestamp()).ok()?,
    })
}

/// Makes the directory and takes its lock.
async fn prepare(dir: PathBuf) -> Result<File, BodyError> {
    tokio::task::spawn_blocking(move || {
        // Documents are nobody else's business on this machine.
        let mut folders = std::fs::DirBuilder::new();
        folders.recursive(true).mode(0o700);
        for folder in ["staging", "copies"] {
            folders
                .create(dir.join(folder))
                .map_err(BodyError::file("make the directory of bodies"))?;
        }
        lock(&dir)
    })
    .await?
}

fn lock(dir: &Path) -> Result<File, BodyError> {
    let file = File::create(dir.join("lock"))
        .map_err(BodyError::file("make the lock of the directory of bodies"))?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(BodyError::InUse),
        Err(error) => Err(BodyError::file("lock the directory of bodies")(error.into())),
    }
}
