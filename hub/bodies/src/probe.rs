//! Whether the store works now: for whoever watches it, so that a fault is not found by the next large document alone.

use std::os::unix::fs::MetadataExt as _;

use object_store::PutMode;

use crate::error::BodyError;
use crate::keys;
use crate::quota::free;
use crate::store::BodyStore;

impl BodyStore {
    /// Writes a record, looks for it, and deletes it. Gives the bytes that may still be written to the disk of
    /// the store's directory.
    ///
    /// # Errors
    /// [`BodyError::Moved`] when the directory is not the one that was opened, as when its disk is no longer mounted;
    /// [`BodyError::Store`], [`BodyError::File`] when it cannot be written or read.
    pub async fn probe(&self) -> Result<u64, BodyError> {
        let store = self.clone();
        let free = tokio::task::spawn_blocking(move || {
            store.is_the_same()?;
            free(&store.settings().dir)
        })
        .await??;
        // One name for all hubs on a bucket: nothing is left behind, whoever is killed. That another hub has just
        // deleted it is an answer, too.
        let probe = keys::probe();
        self.record(&probe, Vec::new(), PutMode::Overwrite).await?;
        self.meta(&probe).await?;
        self.erase(&probe).await?;
        Ok(free)
    }

    /// The lock that stands in the directory is the one this process holds.
    fn is_the_same(&self) -> Result<(), BodyError> {
        let fault = || BodyError::file("look at the lock of the directory of bodies");
        let Some(lock) = &self.inner.lock else {
            return Ok(());
        };
        let held = lock.metadata().map_err(fault())?;
        match std::fs::metadata(self.path("lock")) {
            Ok(found) if (found.dev(), found.ino()) == (held.dev(), held.ino()) => Ok(()),
            Ok(_) => Err(BodyError::Moved),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(BodyError::Moved),
            Err(error) => Err(fault()(error)),
        }
    }
}
