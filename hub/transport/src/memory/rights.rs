//! What the users of the twin may do, as RabbitMQ would decide it from [`crate::system_permissions`].

use truc_model::SystemId;
use truc_model::wire::{SUBMIT_EXCHANGE, inbox};

/// Who a connection belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// May do everything.
    Administrator(String),
    /// May write the submit exchange and read its own inbox.
    System(SystemId),
}

impl User {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Administrator(name) => name,
            Self::System(system) => system.as_str(),
        }
    }

    pub(super) fn may_declare(&self) -> bool {
        matches!(self, Self::Administrator(_))
    }

    pub(super) fn may_write(&self, exchange: &str) -> bool {
        match self {
            Self::Administrator(_) => true,
            Self::System(_) => exchange == SUBMIT_EXCHANGE,
        }
    }

    pub(super) fn may_read(&self, queue: &str) -> bool {
        match self {
            Self::Administrator(_) => true,
            Self::System(system) => queue == inbox(system),
        }
    }
}

/// RabbitMQ's words.
pub(super) fn refusal(user: &User, access: &str, kind: &str, name: &str) -> String {
    let user = user.name();
    format!("ACCESS_REFUSED - {access} to {kind} '{name}' in vhost '/' refused for user '{user}'")
}
