//! Reads lapin's errors into ours.

use std::future::Future;
use std::time::Duration;

use lapin::protocol::{AMQPError, AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::{Error, ErrorKind};

use crate::broker::{BrokerError, Cause};

/// AMQP reply code 311: the content is too large.
const CONTENT_TOO_LARGE: u16 = 311;

/// What an error of lapin means to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The broker said no to this operation or user.
    Refused(String),
    /// There is no such object.
    NotFound(String),
    /// The object exists with other arguments, or a property of the message is not acceptable.
    Precondition(String),
    /// The object belongs to another connection.
    Locked(String),
    /// Everything else: the connection is gone or ill.
    Lost(Cause),
}

impl Fault {
    pub(super) fn of(error: &Error) -> Self {
        let ErrorKind::ProtocolError(error) = error.kind() else {
            return Self::Lost(Cause::of(error));
        };
        let reply = reply(error);
        match error.kind() {
            AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)
            | AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => Self::Refused(reply),
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) if is_away(&reply) => Self::Lost(Cause::text(reply)),
            AMQPErrorKind::Soft(AMQPSoftError::NOTFOUND) => Self::NotFound(reply),
            AMQPErrorKind::Soft(AMQPSoftError::RESOURCELOCKED) => Self::Locked(reply),
            AMQPErrorKind::Soft(AMQPSoftError::PRECONDITIONFAILED) => Self::Precondition(reply),
            _ if error.get_id() == CONTENT_TOO_LARGE => Self::Precondition(reply),
            _ => Self::Lost(Cause::text(reply)),
        }
    }

    /// For an operation on the object `name`.
    pub(super) fn on(self, name: &str) -> BrokerError {
        match self {
            Self::Refused(reply) | Self::Locked(reply) => BrokerError::Refused { reply },
            Self::NotFound(_) => BrokerError::NotFound {
                name: name.to_owned(),
            },
            Self::Precondition(reply) => BrokerError::Mismatch {
                name: name.to_owned(),
                reply,
            },
            Self::Lost(cause) => BrokerError::Disconnected(cause),
        }
    }
}

/// Whether a "not found" means that the queue is there and its node is not: a cluster answers so for a queue
/// whose node is down, and whoever took it for a lost queue would send everything again.
fn is_away(reply: &str) -> bool {
    ["down or inaccessible", "process is stopped by supervisor"]
        .iter()
        .any(|words| reply.contains(words))
}

/// The broker's words, e.g. `ACCESS_REFUSED - access to exchange …`. Control characters out, because a
/// reply may quote what a stranger sent.
fn reply(error: &AMQPError) -> String {
    error
        .get_message()
        .as_str()
        .chars()
        .filter(|c| !c.is_control())
        .collect()
}

/// Waits for lapin, but not for ever, and names what was asked.
pub(super) async fn within<T>(
    limit: Duration,
    doing: &str,
    name: &str,
    operation: impl Future<Output = Result<T, Error>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, operation).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::of(&error).on(name)),
        Err(_) => Err(timed_out(limit, doing)),
    }
}

/// No answer in time.
pub(super) fn timed_out(limit: Duration, doing: &str) -> BrokerError {
    BrokerError::TimedOut {
        doing: doing.to_owned(),
        after_ms: millis(limit),
    }
}

/// A duration for people.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soft(kind: AMQPSoftError, text: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(kind.into(), text.into())).into()
    }

    #[test]
    fn replies_sort_into_faults() {
        let fault = Fault::of(&soft(AMQPSoftError::ACCESSREFUSED, "ACCESS_REFUSED - no\n"));
        assert_eq!(fault, Fault::Refused("ACCESS_REFUSED - no".into()));
        assert!(matches!(
            Fault::of(&soft(AMQPSoftError::NOTFOUND, "NOT_FOUND")).on("q"),
            BrokerError::NotFound { name } if name == "q"
        ));
        let away = "NOT_FOUND - home node 'truc-2@localhost' of durable queue 'q' in vhost '/' is down or inaccessible";
        assert!(matches!(
            Fault::of(&soft(AMQPSoftError::NOTFOUND, away)),
            Fault::Lost(_)
        ));
        let locked = "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'truc.hub.a'";
        assert!(matches!(
            Fault::of(&soft(AMQPSoftError::RESOURCELOCKED, locked)),
            Fault::Locked(_)
        ));
        let error = Fault::of(&soft(AMQPSoftError::PRECONDITIONFAILED, "inequivalent arg")).on("truc.dead");
        let text = error.to_string();
        assert!(
            text.contains("'truc.dead'") && text.contains("delete_queue"),
            "{text}"
        );
        assert!(matches!(
            Fault::of(&ErrorKind::MissingHeartbeatError.into()),
            Fault::Lost(_)
        ));
    }
}
