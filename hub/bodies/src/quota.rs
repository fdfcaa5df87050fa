//! What is decided before the first byte is taken: the size, the system's quota, the disk's room.

use std::path::Path;

use truc_model::{BodyProblem, BodyProblemCode, Sha256, SystemId};

use crate::error::BodyError;
use crate::keys::{self, Unnamed};
use crate::limits::{STAGINGS_MAX, UNNAMED_MAX};
use crate::staging::{self, Staging};
use crate::store::BodyStore;

impl BodyStore {
    /// Whether `system` may begin to upload `total` bytes as `body`. What it has begun before counts with its whole
    /// announced size: room that is promised is used.
    pub(crate) async fn admit(&self, system: &SystemId, body: Sha256, total: u64) -> Result<(), BodyError> {
        let settings = self.settings().clone();
        if total == 0 {
            return Err(BodyProblem::new(BodyProblemCode::BodyEmpty, "at least one byte", "none").into());
        }
        if total > settings.max_body_bytes {
            return Err(BodyProblem::new(
                BodyProblemCode::BodyTooLarge,
                format!("at most {} bytes", settings.max_body_bytes),
                format!("{total} bytes"),
            )
            .into());
        }
        let unnamed = self.unnamed_of(system).await?;
        let dir = self.path(staging::FOLDER);
        let (all, free) =
            tokio::task::spawn_blocking(move || Ok::<_, BodyError>((staging::all(&dir)?, free(&dir)?)))
                .await??;
        let own: Vec<&Staging> = all.iter().filter(|staging| staging.system == *system).collect();
        let named_later: u64 = unnamed.iter().map(|unnamed| unnamed.size).sum();
        let announced: u64 = own
            .iter()
            .filter(|staging| staging.body != body)
            .map(|staging| staging.total)
            .sum();
        let used = named_later.saturating_add(announced);
        if used.saturating_add(total) > settings.quota_bytes {
            return Err(BodyProblem::new(
                BodyProblemCode::QuotaExceeded,
                format!("at most {} bytes not yet named", settings.quota_bytes),
                format!("{used} bytes, and {total} more"),
            )
            .into());
        }
        if unnamed.len() >= UNNAMED_MAX || own.len() >= STAGINGS_MAX {
            return Err(BodyProblem::new(
                BodyProblemCode::QuotaExceeded,
                format!("at most {STAGINGS_MAX} unfinished uploads and {UNNAMED_MAX} bodies not yet named"),
                format!("{} and {}", own.len(), unnamed.len()),
            )
            .into());
        }
        let promised: u64 = all
            .iter()
            .filter(|staging| staging.system != *system || staging.body != body)
            .map(|staging| staging.total.saturating_sub(staging.length))
            .sum();
        let needed = settings
            .disk_floor_bytes
            .saturating_add(promised)
            .saturating_add(total);
        if free < needed {
            return Err(BodyProblem::new(
                BodyProblemCode::DiskFull,
                "room on the hub's disk",
                format!("{total} bytes"),
            )
            .into());
        }
        Ok(())
    }

    /// What `system` has uploaded and named by no submission yet.
    pub(crate) async fn unnamed_of(&self, system: &SystemId) -> Result<Vec<Unnamed>, BodyError> {
        let found = self
            .listing(&keys::unnamed_of(system), UNNAMED_MAX + STAGINGS_MAX)
            .await?;
        Ok(found
            .iter()
            .filter_map(|meta| Unnamed::read(&meta.location))
            .collect())
    }
}

/// Bytes that may still be written to the disk of `dir`.
pub(crate) fn free(dir: &Path) -> Result<u64, BodyError> {
    let disk = rustix::fs::statvfs(dir)
        .map_err(|error| BodyError::file("ask for room on the disk")(error.into()))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}
