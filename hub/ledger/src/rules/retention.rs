//! Bodies that go. The primitive is shared: a recall and the retention delete in the same way.

use truc_model::{DocumentUid, Sha256};

use crate::body::{BodyPlace, LeavingBody};
use crate::command::Resend;
use crate::error::LedgerError;
use crate::event::Fact;
use crate::retention::{
    BODIES_DELETED_MAX, BodyDeletedRow, DeleteBodies, DeletedBodies, DeletionCause, KeptBody,
};
use crate::rules::work::{Work, cut};

/// Deletes those of the asked that are kept, finished and old enough by now.
pub(super) fn delete_old(work: &mut Work, order: &DeleteBodies) -> Result<DeletedBodies, LedgerError> {
    let now = work.now;
    let mut due: Vec<(Sha256, u64)> = Vec::new();
    for sha256 in &order.digests {
        let Some(kept) = work.kept.get(sha256) else {
            continue;
        };
        let twice = due.iter().any(|(other, _)| other == sha256);
        if !twice && kept.due_at(&order.ages).is_some_and(|at| at <= now) {
            due.push((*sha256, kept.size));
        }
    }
    let event = delete_bodies(work, None, &due, DeletionCause::Retention, &order.who)?;
    Ok(DeletedBodies {
        count: due.len() as u64,
        bytes: due.iter().map(|(_, size)| size).sum(),
        event,
    })
}

/// The store has deleted these.
pub(super) fn bodies_left(work: &mut Work, left: &[LeavingBody]) {
    work.added.bodies_left.extend_from_slice(left);
}

/// Records that these bodies (digest, bytes counted) go, and lets them go with the commit; gives the last
/// event's number, `None` when there are none. Whether they may go is the caller's to know: no outgoing message
/// may need them. In a batch that also brought one of them in, it is not stored at all; one that comes
/// later in the batch is.
pub(super) fn delete_bodies(
    work: &mut Work,
    document: Option<DocumentUid>,
    bodies: &[(Sha256, u64)],
    cause: DeletionCause,
    who: &str,
) -> Result<Option<u64>, LedgerError> {
    let mut last = None;
    for part in bodies.chunks(BODIES_DELETED_MAX) {
        let event = work.record(Fact::BodiesDeleted {
            document,
            cause,
            who: cut(who, Resend::WHY_MAX),
            digests: part.iter().map(|(sha256, _)| *sha256).collect(),
            sizes: part.iter().map(|(_, size)| *size).collect(),
        })?;
        for (sha256, size) in part {
            let kept = work.kept.remove(sha256);
            let was_apart = kept.is_some_and(|kept| kept.place == BodyPlace::Apart)
                || work.brings(*sha256) == Some(BodyPlace::Apart);
            if was_apart {
                work.added.bodies_leaving.retain(|row| row.sha256 != *sha256);
                work.added.bodies_leaving.push(LeavingBody {
                    sha256: *sha256,
                    size: *size,
                    event,
                });
            }
            work.added.bodies.retain(|(added, _)| added != sha256);
            work.added.bodies_deleted.push(BodyDeletedRow {
                sha256: *sha256,
                event,
                at: work.now,
                size: *size,
                cause,
            });
        }
        last = Some(event);
    }
    Ok(last)
}

impl Work {
    /// A body that is kept, with everything that named it before this batch.
    pub(crate) fn load_kept(&mut self, kept: KeptBody) {
        self.kept.insert(kept.sha256, kept);
    }

    /// Where this batch brings these bytes to, if it brings them.
    fn brings(&self, sha256: Sha256) -> Option<BodyPlace> {
        let mut added = self.added.bodies.iter();
        let (_, body) = added.find(|(added, _)| *added == sha256)?;
        Some(body.place())
    }
}
