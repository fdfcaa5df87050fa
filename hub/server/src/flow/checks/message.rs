//! The message as such: who calls, under which key, with what kind of packet.

use truc_directory::SystemStatus;
use truc_model::{MessageId, RefusalCode, SystemId, refusal::Place};

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    let properties = &e.received.message.properties;

    // The broker has checked user_id against the connection's account, so it cannot be another's.
    let user_id = properties.user_id.clone().unwrap_or_default();
    let system = SystemId::new(&user_id)
        .ok()
        .filter(|id| e.rules.directory.system(id).is_some());
    let Some(system) = system else {
        e.refuse(
            RefusalCode::SystemUnknown,
            Place::header("user_id"),
            "a registered system",
            user_id,
        );
        return Next::Stop;
    };
    let disabled = e
        .rules
        .directory
        .system(&system)
        .is_some_and(|s| s.status == SystemStatus::Disabled);
    e.system = Some(system);
    let message_id = properties.message_id.clone().unwrap_or_default();
    let parsed = message_id.parse::<MessageId>();
    // Read before anything is refused: an answer needs the key it answers.
    e.message_id = parsed.as_ref().ok().copied();
    if disabled {
        e.refuse(
            RefusalCode::SystemDisabled,
            Place::header("user_id"),
            "an active system",
            user_id,
        );
        return Next::Stop;
    }

    if let Err(error) = parsed {
        e.refuse(
            RefusalCode::MessageIdMissing,
            Place::header("message_id"),
            error.to_string(),
            message_id,
        );
        // Without a key a repeat could not be told from a new submission: nothing else matters.
        return Next::Stop;
    }

    let declared = properties.kind.clone().unwrap_or_default();
    let expected = e.received.intake.as_str();
    if declared != expected {
        e.refuse(
            RefusalCode::MessageTypeUnknown,
            Place::header("type"),
            expected,
            declared,
        );
    }
    Next::Continue
}
