//! Looking at bodies without taking part: beside a hub that uses the same directory or bucket, nothing is made,
//! changed or removed.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use truc_model::{Clock, Random, Sha256};

use crate::error::BodyError;
use crate::remote::{self, S3Settings};
use crate::store::{BodyStore, Place, Settings};

/// The bodies of a store, to be looked at.
#[derive(Clone)]
pub struct StoredBodies {
    store: BodyStore,
}

impl StoredBodies {
    /// Those of a directory.
    ///
    /// # Errors
    /// [`BodyError::Store`] when there is no such directory.
    pub fn local(
        settings: Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BodyError> {
        let files = LocalFileSystem::new_with_prefix(&settings.dir)
            .map_err(BodyError::store("open its directory"))?;
        let objects: Arc<dyn ObjectStore> = Arc::new(files);
        Ok(Self::over(settings, objects, Place::Local, clock, random))
    }

    /// Those of a bucket.
    ///
    /// # Errors
    /// [`BodyError::Settings`]. That the bucket answers is not asked here.
    pub fn s3(
        settings: Settings,
        s3: &S3Settings,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, BodyError> {
        let objects = remote::connect(s3)?;
        Ok(Self::over(settings, objects, Place::Remote, clock, random))
    }

    fn over(
        settings: Settings,
        objects: Arc<dyn ObjectStore>,
        place: Place,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let stores = (Arc::clone(&objects), objects);
        let store = BodyStore::over(settings, stores, place, clock, random, None);
        Self { store }
    }

    /// The size of a body; `None` when it is not there.
    ///
    /// # Errors
    /// [`BodyError::Store`].
    pub async fn size(&self, body: Sha256) -> Result<Option<u64>, BodyError> {
        self.store.size(body).await
    }

    /// Reads a whole body and compares its digest with its name; gives its size. `None` when it is not there.
    ///
    /// # Errors
    /// [`BodyError::Damaged`] when they differ.
    pub async fn verify(&self, body: Sha256) -> Result<Option<u64>, BodyError> {
        self.store.verify(body).await
    }
}
