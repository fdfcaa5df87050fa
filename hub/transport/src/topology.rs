//! What the hub declares on the broker: exchanges, queues, bindings (design: "The wire").
//!
//! What is absent on purpose: no message or queue time-to-live, no auto-delete, no maximum length, no
//! overflow policy. Each of them makes a broker drop messages by itself, and an accepted document has to
//! end in a state that someone was told. The inboxes are kept short by the hub's window instead.

use truc_model::SystemId;
use truc_model::wire::{
    DEAD_EXCHANGE, DEAD_QUEUE, DELIVER_EXCHANGE, INBOX_PREFIX, Intake, SUBMIT_EXCHANGE, inbox,
};

/// How queues are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QueueType {
    /// On one node; the default.
    #[default]
    Classic,
    /// On several nodes of a cluster, by Raft.
    Quorum,
}

impl QueueType {
    /// The word of the argument `x-queue-type`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Classic => "classic",
            Self::Quorum => "quorum",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Classic, Self::Quorum]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// The objects of one hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// How queues are kept.
    pub queue_type: QueueType,
    /// The systems that have an inbox.
    pub systems: Vec<SystemId>,
}

impl Topology {
    /// Highest message priority. Few levels, because a classic queue keeps a structure for each.
    pub const MAX_PRIORITY: u8 = 5;
    /// How many nodes of a cluster keep a quorum queue.
    pub const GROUP_SIZE: i32 = 3;
    /// How often a quorum queue hands a message out in vain before it is a dead letter: never.
    pub const DELIVERY_LIMIT: i32 = i32::MAX;

    /// Everything the hub needs, with an inbox for each system.
    #[must_use]
    pub fn hub(queue_type: QueueType, systems: impl IntoIterator<Item = SystemId>) -> Self {
        Self {
            queue_type,
            systems: systems.into_iter().collect(),
        }
    }

    /// The exchanges, in the order to declare them in.
    pub(crate) const fn exchanges() -> [(&'static str, ExchangeKind); 3] {
        [
            (SUBMIT_EXCHANGE, ExchangeKind::Direct),
            (DELIVER_EXCHANGE, ExchangeKind::Direct),
            (DEAD_EXCHANGE, ExchangeKind::Fanout),
        ]
    }

    /// The queues, the dead letters first: the others refer to their exchange.
    pub(crate) fn queues(&self) -> Vec<QueueSpec> {
        let mut queues = vec![QueueSpec {
            name: DEAD_QUEUE.to_owned(),
            exchange: DEAD_EXCHANGE,
            routing_key: String::new(),
            // Dead letters do not die again, and nobody is in a hurry for them.
            dead_letters: false,
            priorities: false,
        }];
        queues.extend(Intake::ALL.map(|intake| QueueSpec {
            name: intake.queue().to_owned(),
            exchange: SUBMIT_EXCHANGE,
            routing_key: intake.as_str().to_owned(),
            dead_letters: true,
            priorities: matches!(intake, Intake::Document) && self.has_priorities(),
        }));
        queues.extend(self.systems.iter().map(|system| QueueSpec {
            name: inbox(system),
            exchange: DELIVER_EXCHANGE,
            routing_key: system.to_string(),
            dead_letters: true,
            priorities: self.has_priorities(),
        }));
        queues
    }

    /// Quorum queues know no `x-max-priority`: RabbitMQ 3.10 refuses the argument, and 4.x has two
    /// priorities without being asked. On them the urgent overtake only before the inbox: in the ledger, by the
    /// hub's window.
    const fn has_priorities(&self) -> bool {
        matches!(self.queue_type, QueueType::Classic)
    }
}

/// The queue by which a hub holds its name.
pub(crate) fn hub_queue(hub: &str) -> String {
    format!("truc.hub.{hub}")
}

/// Kinds of exchange in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExchangeKind {
    Direct,
    Fanout,
}

/// One queue and its one binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueueSpec {
    pub(crate) name: String,
    pub(crate) exchange: &'static str,
    pub(crate) routing_key: String,
    pub(crate) dead_letters: bool,
    pub(crate) priorities: bool,
}

/// The permissions of a system's broker user: regular expressions for configure, write and read.
///
/// It may write the submit exchange and read its own inbox, and nothing else. The default exchange is
/// called `amq.default` in permissions, so it cannot reach another's inbox that way either.
#[must_use]
pub fn system_permissions(system: &SystemId) -> (String, String, String) {
    (
        "^$".to_owned(),
        format!("^{}$", escape(SUBMIT_EXCHANGE)),
        format!("^{}{}$", escape(INBOX_PREFIX), escape(system.as_str())),
    )
}

/// Escapes the one character of our names that regular expressions read otherwise.
fn escape(name: &str) -> String {
    name.replace('.', "\\.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_a_hub() {
        let system = SystemId::new("00.60.w00").unwrap();
        let queues = Topology::hub(QueueType::Classic, [system.clone()]).queues();
        let names: Vec<_> = queues.iter().map(|queue| queue.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "truc.dead.letters",
                "truc.submit.document",
                "truc.submit.status",
                "truc.submit.taken",
                "truc.inbox.00.60.w00"
            ]
        );
        let urgent: Vec<_> = queues.iter().filter(|queue| queue.priorities).collect();
        assert_eq!(urgent.len(), 2);
        assert!(queues.iter().skip(1).all(|queue| queue.dead_letters));
        let quorum = Topology::hub(QueueType::Quorum, [system]).queues();
        assert!(quorum.iter().all(|queue| !queue.priorities));
    }

    #[test]
    fn permissions_name_one_inbox() {
        let (configure, write, read) = system_permissions(&SystemId::new("00.60.w00").unwrap());
        assert_eq!(configure, "^$");
        assert_eq!(write, r"^truc\.submit$");
        assert_eq!(read, r"^truc\.inbox\.00\.60\.w00$");
    }

    #[test]
    fn queue_types_by_word() {
        for kind in [QueueType::Classic, QueueType::Quorum] {
            assert_eq!(QueueType::from_word(kind.as_str()), Some(kind));
        }
        assert_eq!(QueueType::from_word("stream"), None);
    }
}
