//! Removing bodies, and finding those that nobody names. One order of steps for every removal:
//!
//! 1. condemn: a record that says the body is on its way out. From here nobody can pin it or find its upload;
//! 2. look for pins: somebody was about to name it when it was condemned;
//! 3. look for a system that uploaded it and has not submitted yet;
//! 4. ask the ledger whether a row names it;
//! 5. remove the bytes, the records beside them, and last the record of 1.
//!
//! A pin is written before its holder looks for 1, and taken off after its holder's row is committed. So a body that is
//! named in time is seen in 2 or in 4. Killed in between, the record of 1 is left, and a sweep goes on from there.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use object_store::{ObjectStoreExt as _, PutMode, UpdateVersion};
use truc_model::{Sha256, SystemId, crash};

use crate::error::{BodyError, NamedError};
use crate::keys::{self, Unnamed};
use crate::limits::{CONDEMNED_LEASE_S, UNNAMED_MAX};
use crate::staging;
use crate::store::{BodyStore, Place};

/// Bodies of a listing that a sweep looks at together.
const LISTED_AT_ONCE: usize = 1000;

/// The ledger's side: which bodies its rows name.
#[async_trait]
pub trait Named: Send + Sync {
    /// Whether any row that is committed names `body` and has not given it up.
    ///
    /// # Errors
    /// Whatever keeps it from knowing. The body then stays.
    async fn is_named(&self, body: Sha256) -> Result<bool, NamedError>;
}

/// What became of one removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// The bytes are gone.
    Removed,
    /// There was nothing.
    Absent,
    /// A row names it: it stays.
    Named,
    /// Somebody is about to name it: it stays, and a later sweep asks again.
    Pinned,
    /// A system uploaded it and has not submitted yet: it stays, and a later sweep asks again.
    Awaited,
    /// Another removal of it is under way.
    UnderWay,
}

/// What a sweep did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Unfinished uploads that nobody went on with.
    pub unfinished: usize,
    /// Bodies that nobody named in time.
    pub removed: usize,
    /// Bodies that were looked at and stayed.
    pub stayed: usize,
}

/// Bodies that this process is removing.
#[derive(Default)]
pub(crate) struct Removing(Mutex<HashSet<Sha256>>);

impl Removing {
    fn enter(&self, body: Sha256) -> Option<Leave<'_>> {
        let fresh = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(body);
        fresh.then_some(Leave { removing: self, body })
    }
}

struct Leave<'a> {
    removing: &'a Removing,
    body: Sha256,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        let mut bodies = self.removing.0.lock().unwrap_or_else(PoisonError::into_inner);
        bodies.remove(&self.body);
    }
}

impl BodyStore {
    /// Removes `body` unless somebody names it, is about to, or has uploaded it and not submitted yet.
    ///
    /// # Errors
    /// [`BodyError::Named`] when the ledger cannot say: then nothing is removed, and a later sweep asks again.
    pub async fn remove(&self, body: Sha256, named: &dyn Named) -> Result<Removal, BodyError> {
        let Some(_leave) = self.inner.removing.enter(body) else {
            return Ok(Removal::UnderWay);
        };
        if !self.condemn(body).await? {
            return Ok(Removal::UnderWay);
        }
        crash::reach("body-condemned");
        let stays = if self.is_pinned(body).await? {
            Some(Removal::Pinned)
        } else if self.is_awaited(body).await? {
            Some(Removal::Awaited)
        } else if named.is_named(body).await.map_err(BodyError::Named)? {
            Some(Removal::Named)
        } else {
            None
        };
        if let Some(stays) = stays {
            self.erase(&keys::condemned(&body)).await?;
            return Ok(stays);
        }
        let there = self.size(body).await?.is_some();
        self.erase(&keys::object(&body)).await?;
        self.drop_copy(body).await?;
        crash::reach("body-erased");
        let owners = self.owners_of(body).await?;
        for unnamed in self.waiting_of(&owners, body).await? {
            self.erase(&unnamed.path()).await?;
        }
        for system in &owners {
            self.erase(&keys::owner(&body, system)).await?;
        }
        self.erase(&keys::condemned(&body)).await?;
        Ok(if there { Removal::Removed } else { Removal::Absent })
    }

    /// Removes what is past its time: unfinished uploads, bodies that no submission named, removals that were begun
    /// and not finished, copies of the bucket's bodies. Cheap: it does not look at every body.
    ///
    /// # Errors
    /// As [`BodyStore::remove`]: at the first fault it ends, and the next sweep goes on.
    pub async fn sweep(&self, named: &dyn Named) -> Result<Swept, BodyError> {
        let mut swept = Swept {
            unfinished: self.expire_unfinished().await?,
            ..Swept::default()
        };
        self.trim_copies().await?;
        let condemned = object_store::path::Path::from(keys::CONDEMNED);
        for meta in self.listing(&condemned, self.inner.bounds.condemned).await? {
            if let Some(body) = keys::read_body(&meta.location) {
                swept.count(self.remove(body, named).await?);
            }
        }
        for unnamed in self.all_unnamed().await? {
            if self.is_fresh(&unnamed) {
                continue;
            }
            let removal = self.remove(unnamed.body, named).await?;
            swept.count(removal);
            match removal {
                // Named: its hub died between the commit and the word to the store. Awaited: by another system, and
                // this one's quota is not to bear it for ever.
                Removal::Removed | Removal::Absent | Removal::Named | Removal::Awaited => {
                    self.erase(&unnamed.path()).await?;
                }
                Removal::Pinned | Removal::UnderWay => {}
            }
        }
        Ok(swept)
    }

    /// The same, and looks at every body: those stored longer ago than `unnamed_age` that no row names are removed.
    ///
    /// # Errors
    /// As [`BodyStore::sweep`].
    pub async fn sweep_all(&self, named: &dyn Named) -> Result<Swept, BodyError> {
        let mut swept = self.sweep(named).await?;
        let oldest = self.now_s().saturating_sub(seconds(self.settings().unnamed_age));
        let mut after = None;
        loop {
            let bodies = self.list(after, LISTED_AT_ONCE).await?;
            let Some(last) = bodies.last() else {
                return Ok(swept);
            };
            after = Some(last.sha256);
            for body in bodies {
                if body.modified.as_second() > oldest
                    || named.is_named(body.sha256).await.map_err(BodyError::Named)?
                {
                    continue;
                }
                swept.count(self.remove(body.sha256, named).await?);
            }
        }
    }

    /// Whether a removal of `body` has begun.
    pub(crate) async fn is_condemned(&self, body: Sha256) -> Result<bool, BodyError> {
        Ok(self.meta(&keys::condemned(&body)).await?.is_some())
    }

    /// Step 1. `false` when another hub does it already.
    async fn condemn(&self, body: Sha256) -> Result<bool, BodyError> {
        let path = keys::condemned(&body);
        let now = self.now_s();
        let content = now.to_string().into_bytes();
        if self.record(&path, content.clone(), PutMode::Create).await? {
            return Ok(true);
        }
        if self.inner.place == Place::Local {
            // Nobody else uses this directory, and this process is not at it: somebody before was killed.
            return Ok(true);
        }
        let got = match self.inner.objects.get(&path).await {
            Ok(got) => got,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(BodyError::store("read a record")(error)),
        };
        let version = UpdateVersion {
            e_tag: got.meta.e_tag.clone(),
            version: got.meta.version.clone(),
        };
        let since = got.bytes().await.map_err(BodyError::store("read a record"))?;
        let since: Option<i64> = std::str::from_utf8(&since)
            .ok()
            .and_then(|text| text.parse().ok());
        if since.is_some_and(|since| now < since.saturating_add(CONDEMNED_LEASE_S)) {
            return Ok(false);
        }
        self.record(&path, content, PutMode::Update(version)).await
    }

    /// Whether a system uploaded `body` not long ago and has not submitted it yet.
    async fn is_awaited(&self, body: Sha256) -> Result<bool, BodyError> {
        let owners = self.owners_of(body).await?;
        let waiting = self.waiting_of(&owners, body).await?;
        // Of more than are looked at nobody knows.
        Ok(owners.len() >= self.inner.bounds.owners || waiting.iter().any(|unnamed| self.is_fresh(unnamed)))
    }

    /// The systems that uploaded `body`.
    async fn owners_of(&self, body: Sha256) -> Result<Vec<SystemId>, BodyError> {
        self.listing_of(&keys::owners(&body), self.inner.bounds.owners, |meta| {
            keys::read_owner(&meta.location, &body)
        })
        .await
    }

    /// The records of those of these systems that uploaded `body` and have not submitted it.
    async fn waiting_of(&self, owners: &[SystemId], body: Sha256) -> Result<Vec<Unnamed>, BodyError> {
        let mut waiting = Vec::new();
        for system in owners {
            waiting.append(&mut self.unnamed_of(system).await?);
        }
        waiting.retain(|unnamed| unnamed.body == body);
        Ok(waiting)
    }

    fn is_fresh(&self, unnamed: &Unnamed) -> bool {
        self.now_s() < unnamed.since.saturating_add(seconds(self.settings().unnamed_age))
    }

    async fn all_unnamed(&self) -> Result<Vec<Unnamed>, BodyError> {
        let folder = object_store::path::Path::from(keys::UNNAMED);
        let found = self.listing(&folder, UNNAMED_MAX * LISTED_AT_ONCE).await?;
        Ok(found
            .iter()
            .filter_map(|meta| Unnamed::read(&meta.location))
            .collect())
    }

    /// Removes unfinished uploads that nobody went on with.
    async fn expire_unfinished(&self) -> Result<usize, BodyError> {
        let oldest = self
            .now_s()
            .saturating_sub(seconds(self.settings().unfinished_age));
        let dir = self.path(staging::FOLDER);
        let all = tokio::task::spawn_blocking(move || staging::all(&dir)).await??;
        let mut gone = 0;
        for staging in all.into_iter().filter(|staging| staging.touched <= oldest) {
            // One that is being written is busy, and stays.
            match self.cancel(&staging.system, staging.body).await {
                Ok(cancelled) => gone += usize::from(cancelled),
                Err(BodyError::Problem(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(gone)
    }
}

impl Swept {
    fn count(&mut self, removal: Removal) {
        match removal {
            Removal::Removed => self.removed += 1,
            Removal::Absent => {}
            Removal::Named | Removal::Pinned | Removal::Awaited | Removal::UnderWay => self.stayed += 1,
        }
    }
}

fn seconds(age: std::time::Duration) -> i64 {
    i64::try_from(age.as_secs()).unwrap_or(i64::MAX)
}
