//! Pins: who is about to name a body holds one, so that nobody removes it in between.

use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutPayload};
use truc_model::{BodyProblem, BodyProblemCode, Sha256, SystemId};

use crate::error::BodyError;
use crate::keys;
use crate::limits::PIN_HOLDS_S;
use crate::store::BodyStore;

/// A body that is there, was uploaded by the system that names it, and stays until this is taken off or an hour has
/// passed. Dropped without [`Pin::named`] or [`Pin::release`], it holds until then: nothing is lost by it.
#[derive(Debug)]
#[must_use = "a pin is taken off by `named` or `release`"]
pub struct Pin {
    body: Sha256,
    size: u64,
    system: SystemId,
    path: Path,
    since: i64,
}

impl Pin {
    /// The body.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.body
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Whether it still holds. To be asked before a commit that rests on it, when long has passed.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        now.as_second() < self.since.saturating_add(PIN_HOLDS_S)
    }

    /// A row of the ledger names the body now: it no longer counts in its uploader's quota.
    ///
    /// # Errors
    /// [`BodyError::Store`]. Nothing is lost by one: a sweep finds the row.
    pub async fn named(self, store: &BodyStore) -> Result<(), BodyError> {
        store.forget_unnamed(&self.system, self.body).await?;
        store.take_off(&self.path).await
    }

    /// It is not named after all.
    ///
    /// # Errors
    /// [`BodyError::Store`]. Nothing is lost by one: the pin ends by itself.
    pub async fn release(self, store: &BodyStore) -> Result<(), BodyError> {
        store.take_off(&self.path).await
    }
}

impl BodyStore {
    /// Pins `body`, which `system` is about to name with the size `size`.
    ///
    /// # Errors
    /// [`BodyError::Problem`]: `body-unknown` when it is not there or this system did not upload it, `size-conflict`
    /// when it has another size, `body-being-removed` when it is on its way out (it can be uploaded anew in a while).
    pub async fn pin(&self, system: &SystemId, body: Sha256, size: u64) -> Result<Pin, BodyError> {
        // First the pin, then the look: whoever removes does it the other way round, so one of both sees the other.
        let since = self.now_s();
        let path = self.hold(body).await?;
        match self.look(system, body, size).await {
            Ok(()) => Ok(Pin {
                body,
                size,
                system: system.clone(),
                path,
                since,
            }),
            Err(error) => {
                self.take_off(&path).await?;
                Err(error)
            }
        }
    }

    async fn look(&self, system: &SystemId, body: Sha256, size: u64) -> Result<(), BodyError> {
        if !self.is_owner(system, body).await? {
            return Err(unknown());
        }
        if self.is_condemned(body).await? {
            return Err(BodyProblem::new(
                BodyProblemCode::BodyBeingRemoved,
                "a body that stays",
                "a removal",
            )
            .into());
        }
        match self.size(body).await? {
            None => Err(unknown()),
            Some(found) if found != size => {
                let expected = format!("{found} bytes");
                Err(BodyProblem::new(BodyProblemCode::SizeConflict, expected, format!("{size} bytes")).into())
            }
            Some(_) => Ok(()),
        }
    }

    /// Writes the record of a pin and returns its name.
    pub(crate) async fn hold(&self, body: Sha256) -> Result<Path, BodyError> {
        let id = self.inner.random.uuid_v7(self.inner.clock.now());
        let path = keys::pin(&body, self.now_s(), id);
        let put = self.inner.pins.put(&path, PutPayload::default()).await;
        put.map_err(BodyError::store("write a pin"))?;
        Ok(path)
    }

    /// Takes a pin off; that it is gone is as good.
    pub(crate) async fn take_off(&self, pin: &Path) -> Result<(), BodyError> {
        match self.inner.pins.delete(pin).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BodyError::store("take a pin off")(error)),
        }
    }

    /// Whether anybody holds a pin of `body`. Pins that have ended are taken off on the way.
    pub(crate) async fn is_pinned(&self, body: Sha256) -> Result<bool, BodyError> {
        let (now, max) = (self.now_s(), self.inner.bounds.pins);
        let pins = self
            .listing_of(&keys::pins(&body), max, |meta| {
                Some((meta.location.clone(), keys::read_pin(&meta.location, &body)?))
            })
            .await?;
        for (pin, since) in &pins {
            if now < since.saturating_add(PIN_HOLDS_S) {
                return Ok(true);
            }
            self.take_off(pin).await?;
        }
        // Behind so many that have ended there may be one that holds: the next look sees it.
        Ok(pins.len() >= max)
    }

    /// Takes off all pins: only where no other process can hold one.
    pub(crate) async fn forget_pins(&self) -> Result<(), BodyError> {
        let max = self.inner.bounds.pins;
        loop {
            let pins = self.listing(&Path::from("pins"), max).await?;
            for meta in &pins {
                self.take_off(&meta.location).await?;
            }
            if pins.len() < max {
                return Ok(());
            }
        }
    }

    /// A submission of `system` names `body`: it no longer counts in the quota.
    pub(crate) async fn forget_unnamed(&self, system: &SystemId, body: Sha256) -> Result<(), BodyError> {
        for unnamed in self.unnamed_of(system).await? {
            if unnamed.body == body {
                self.erase(&unnamed.path()).await?;
            }
        }
        Ok(())
    }
}

fn unknown() -> BodyError {
    BodyProblem::new(
        BodyProblemCode::BodyUnknown,
        "a body this system uploaded",
        "none",
    )
    .into()
}
