//! The directory's versions, and notes about the hub itself.

use truc_model::Sha256;

use crate::command::{NOTE_WORD_MAX, NewDirectory, Note, Resend};
use crate::error::LedgerError;
use crate::event::Fact;
use crate::rows::DirectoryRow;
use crate::rules::work::{Work, cut};

/// Saves a version made from the last one; two editors cannot overwrite each other.
pub(super) fn directory(work: &mut Work, new: &NewDirectory) -> Result<(), LedgerError> {
    let latest = work.directory_version;
    if new.expected_version != latest {
        return Err(LedgerError::DirectoryMoved {
            expected: new.expected_version,
            found: latest,
        });
    }
    if new.version <= latest {
        return Err(LedgerError::DirectoryVersion {
            latest,
            version: new.version,
        });
    }
    let event = work.record(Fact::DirectoryChanged {
        version: new.version,
        sha256: Sha256::of(new.json.as_bytes()),
        who: cut(&new.who, Resend::WHY_MAX),
        summary: new.summary,
    })?;
    work.directory_version = new.version;
    work.added.directories.push(DirectoryRow {
        version: new.version,
        event,
        at: work.now,
        json: new.json.clone(),
    });
    Ok(())
}

/// Records what happened outside the flow.
pub(super) fn note(work: &mut Work, note: &Note) -> Result<u64, LedgerError> {
    let word = |text: &str| cut(text, NOTE_WORD_MAX);
    work.record(match note {
        Note::HubStarted { hub, version } => Fact::HubStarted {
            hub: hub.clone(),
            version: word(version),
        },
        Note::HubStopped { hub } => Fact::HubStopped { hub: hub.clone() },
        Note::DeadLettered {
            queue,
            reason,
            system,
            message_id,
            sha256,
            size,
        } => Fact::DeadLettered {
            queue: word(queue),
            reason: word(reason),
            system: system.clone(),
            message_id: *message_id,
            sha256: *sha256,
            size: *size,
        },
        Note::SystemChanged { system, change, who } => Fact::SystemChanged {
            system: system.clone(),
            change: word(change),
            who: word(who),
        },
    })
}
