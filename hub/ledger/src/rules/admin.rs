//! The directory's versions, and notes about the hub itself.

use truc_model::Sha256;

use crate::command::{HubId, NOTE_WORD_MAX, NewDirectory, Note, Resend};
use crate::error::LedgerError;
use crate::event::Fact;
use crate::rows::DirectoryRow;
use crate::rules::work::{Work, cut};
use crate::trust::{ListInForce, TRUST_LISTED_MAX, TrustInForce};

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
        Note::TrustInForce { hub, trust: now } => return trust(work, hub, now),
    })
}

/// Records what a hub trusts, unless the last such event says the same: then gives that event's number.
fn trust(work: &mut Work, hub: &HubId, now: &TrustInForce) -> Result<u64, LedgerError> {
    let contradiction = |_| LedgerError::Contradiction("trust that has no canonical form");
    let sha256 = now.sha256().map_err(contradiction)?;
    if let Some((event, told)) = work.trust
        && told == sha256
    {
        return Ok(event);
    }
    let lists = now.lists.iter().take(TRUST_LISTED_MAX);
    let event = work.record(Fact::TrustChanged {
        hub: hub.clone(),
        sha256,
        anchors: now.anchors.iter().take(TRUST_LISTED_MAX).copied().collect(),
        anchors_count: now.anchors.len() as u64,
        lists: lists
            .map(|list| ListInForce {
                issuer: cut(&list.issuer, NOTE_WORD_MAX),
                ..list.clone()
            })
            .collect(),
        lists_count: now.lists.len() as u64,
        certificates_count: now.certificates.len() as u64,
        certificates_sha256: now.certificates_sha256().map_err(contradiction)?,
        policy: now.policy.iter().map(|word| cut(word, NOTE_WORD_MAX)).collect(),
    })?;
    work.trust = Some((event, sha256));
    Ok(event)
}
