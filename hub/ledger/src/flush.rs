//! What is committed and not on disk yet.

use std::pin::Pin;

use crate::error::StoreError;

/// Resolves when it is there.
type There = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// A commit on its way to the disk.
#[must_use = "what is committed may not be on disk yet"]
pub struct Flush(Option<There>);

impl Flush {
    /// It is on disk.
    pub const fn there() -> Self {
        Self(None)
    }

    /// It is on disk when this says so.
    pub fn when(there: impl Future<Output = Result<(), StoreError>> + Send + 'static) -> Self {
        Self(Some(Box::pin(there)))
    }

    /// Whether there is nothing to wait for.
    #[must_use]
    pub const fn is_there(&self) -> bool {
        self.0.is_none()
    }

    /// Waits until it is on disk.
    ///
    /// # Errors
    /// [`StoreError`] when that failed: then it may be kept or not. Whoever asks again gets the first answer, or does it
    /// for the first time.
    pub async fn done(self) -> Result<(), StoreError> {
        match self.0 {
            Some(there) => there.await,
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for Flush {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flush")
            .field("is_there", &self.is_there())
            .finish()
    }
}
