//! The hub's HTTP service: `/bodies/<sha256>`, by which systems send and fetch bodies that travel beside their message
//! (`docs/reference/bodies.md`). Who asks is a system with its broker's user and password; what it may see of others is
//! nothing, not even that it exists.
//!
//! [`listener`] takes connections and bounds them (with the certificate of `certificate`), [`login`] says who asks, [`bodies`] answers, [`answer`] writes what
//! goes wrong, [`range`] reads the two headers that name parts of a body.

pub mod answer;
pub mod bodies;
mod certificate;
pub mod listener;
pub mod login;
pub mod range;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::routing::any;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use truc_bodies::{BodyError, BodyStore, RETRY_FOR, S3Settings, StoredBodies};
use truc_directory::SystemStatus;
use truc_model::{Clock, Random, Sha256, SystemId};

use crate::config::bodies::{Bodies, StoreKind};
use crate::flow::rules::Rules;

pub use listener::{Listener, bind, serve};
pub use login::{BrokerLogin, Credentials, Logins, Renew, Verdict};

/// Most bytes of a file of the service: certificate, key, secret.
pub const FILE_MAX: u64 = 1024 * 1024;

/// Why the service cannot run.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The store of bodies.
    #[error("the store of bodies cannot be used")]
    Store(#[from] BodyError),
    /// A file that the configuration names.
    #[error("cannot read {path}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Certificate or key do not read, or do not belong together.
    #[error("the certificate or key of the HTTP service cannot be used: {0}")]
    Tls(String),
    /// The address is taken or is not this machine's.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// No secret for the bucket.
    #[error("no secret for the bucket: set bodies.s3_secret_file in the configuration, or TRUC_S3_SECRET")]
    NoSecret,
    /// A task of the service panicked.
    #[error("a task of the HTTP service failed")]
    Task(#[from] tokio::task::JoinError),
}

/// Which systems may read a body that they did not upload: those to which a delivery names it.
#[async_trait]
pub trait MayRead: Send + Sync {
    /// Whether a delivery to `system` names `body` and was not taken back.
    ///
    /// # Errors
    /// Whatever keeps it from knowing: the client is told to come again.
    async fn may_read(&self, system: &SystemId, body: Sha256) -> Result<bool, MayReadError>;
}

/// What an implementation of [`MayRead`] fails with.
pub type MayReadError = Box<dyn std::error::Error + Send + Sync>;

/// Which systems are served at all.
pub trait Systems: Send + Sync {
    /// Whether `system` is registered and switched on.
    fn is_served(&self, system: &SystemId) -> bool;
}

impl Systems for watch::Receiver<Arc<Rules>> {
    fn is_served(&self, system: &SystemId) -> bool {
        let rules = self.borrow();
        let found = rules.directory.system(system);
        found.is_some_and(|system| system.status == SystemStatus::Active)
    }
}

/// What answers requests.
pub struct Service {
    /// The bodies.
    pub store: BodyStore,
    /// Who asks.
    pub logins: Logins,
    /// Which systems are served.
    pub systems: Arc<dyn Systems>,
    /// Who may read what.
    pub readers: Arc<dyn MayRead>,
    /// Limits.
    pub settings: Bodies,
    transfers: Mutex<HashMap<SystemId, Arc<Semaphore>>>,
}

impl Service {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        store: BodyStore,
        logins: Logins,
        systems: Arc<dyn Systems>,
        readers: Arc<dyn MayRead>,
        settings: Bodies,
    ) -> Self {
        Self {
            store,
            logins,
            systems,
            readers,
            settings,
            transfers: Mutex::new(HashMap::new()),
        }
    }

    /// The paths it answers.
    pub fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/bodies/{sha256}", any(bodies::entry))
            .fallback(bodies::elsewhere)
            .with_state(self)
    }

    /// Leave for one more transfer of a system. As many rooms as there are systems: who is not one never gets here.
    pub(crate) fn transfer(&self, system: &SystemId) -> Option<OwnedSemaphorePermit> {
        let mut transfers = self.transfers.lock().unwrap_or_else(PoisonError::into_inner);
        let room = transfers
            .entry(system.clone())
            .or_insert_with(|| Arc::new(Semaphore::new(self.settings.transfers_max)));
        Arc::clone(room).try_acquire_owned().ok()
    }
}

/// The store that the configuration describes; `None` when no body travels apart.
///
/// # Errors
/// [`WebError::Store`], [`WebError::NoSecret`], [`WebError::File`].
pub async fn open_store(
    settings: &Bodies,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<Option<BodyStore>, WebError> {
    if settings.listen().is_none() {
        return Ok(None);
    }
    Ok(Some(match settings.store {
        StoreKind::Local => BodyStore::open_local(settings.settings(), clock, random).await?,
        StoreKind::S3 => BodyStore::open_s3(settings.settings(), &bucket(settings)?, clock, random).await?,
    }))
}

/// The bodies of the store that the configuration describes, to be looked at beside a hub, whether bodies travel apart
/// at present or not.
///
/// # Errors
/// As [`open_store`].
pub fn look_into_store(
    settings: &Bodies,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> Result<StoredBodies, WebError> {
    Ok(match settings.store {
        StoreKind::Local => StoredBodies::local(settings.settings(), clock, random)?,
        StoreKind::S3 => StoredBodies::s3(settings.settings(), &bucket(settings)?, clock, random)?,
    })
}

fn bucket(settings: &Bodies) -> Result<S3Settings, WebError> {
    let file = &settings.s3_secret_file;
    let secret = if file.as_os_str().is_empty() {
        std::env::var("TRUC_S3_SECRET").map_err(|_| WebError::NoSecret)?
    } else {
        read(file)?
    };
    let ca_pem = (!settings.s3_ca.as_os_str().is_empty())
        .then(|| read(&settings.s3_ca))
        .transpose()?;
    let secret_access_key = secret.trim().to_owned();
    if secret_access_key.is_empty() {
        return Err(WebError::NoSecret);
    }
    Ok(S3Settings {
        endpoint: settings.s3_endpoint.clone(),
        region: settings.s3_region.clone(),
        bucket: settings.s3_bucket.clone(),
        prefix: settings.s3_prefix.clone(),
        access_key_id: settings.s3_access_key_id.clone(),
        secret_access_key,
        ca_pem,
        virtual_hosted: settings.s3_virtual_hosted,
        retry_for: RETRY_FOR,
    })
}

/// A file of text, up to [`FILE_MAX`].
fn read(path: &std::path::Path) -> Result<String, WebError> {
    use std::io::Read as _;
    let read = || {
        let mut text = String::new();
        let file = std::fs::File::open(path)?;
        if file.take(FILE_MAX + 1).read_to_string(&mut text)?
            > usize::try_from(FILE_MAX).unwrap_or(usize::MAX)
        {
            return Err(std::io::Error::other("the file is larger than 1 MiB"));
        }
        Ok(text)
    };
    read().map_err(|source| WebError::File {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests;
