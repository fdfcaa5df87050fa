//! Who is told what when the broker closes a channel because of one message.

use super::fault::Fault;
use super::pending::Sent;
use crate::broker::Cause;
use crate::publish::PublishError;

/// Whose fault it is that the channel was closed. A broker closes it for one message; the others on the
/// way were innocent and may be sent again. It does not say which, but its words name the exchange, the
/// `user_id` or the size.
pub(super) enum Blame<'a> {
    /// Nobody's: the connection was lost.
    Nobody(Cause),
    /// Theirs of whom the reply speaks.
    Some(&'a str),
    /// The reply speaks of none in particular.
    All(&'a str),
}

impl<'a> Blame<'a> {
    pub(super) fn of<'b>(fault: &'a Fault, mut left: impl Iterator<Item = &'b Sent>) -> Self {
        let reply = match fault {
            Fault::Lost(cause) => return Self::Nobody(cause.clone()),
            Fault::Refused(reply)
            | Fault::NotFound(reply)
            | Fault::Precondition(reply)
            | Fault::Locked(reply) => reply,
        };
        if left.any(|sent| speaks_of(reply, sent)) {
            Self::Some(reply)
        } else {
            Self::All(reply)
        }
    }

    pub(super) fn on(&self, sent: &Sent) -> PublishError {
        match self {
            Self::Nobody(cause) => PublishError::Disconnected(cause.clone()),
            Self::Some(reply) if !speaks_of(reply, sent) => PublishError::Disconnected(Cause::text(format!(
                "the broker closed the channel because of another message: {reply}"
            ))),
            Self::Some(reply) | Self::All(reply) => refused(reply, sent),
        }
    }
}

fn refused(reply: &str, sent: &Sent) -> PublishError {
    match size_limit(reply) {
        Some(limit) => PublishError::TooLarge {
            size: sent.body.len(),
            limit,
        },
        None => PublishError::Refused {
            reply: reply.to_owned(),
        },
    }
}

/// `… message size 17000000 is larger than configured max size 16777216` (RabbitMQ 3.8 to 4.x).
fn size_limit(reply: &str) -> Option<usize> {
    let (_, rest) = reply.split_once("message size ")?;
    rest.rsplit_once("max size ")?
        .1
        .trim_end_matches('.')
        .parse()
        .ok()
}

fn speaks_of(reply: &str, sent: &Sent) -> bool {
    if let Some(limit) = size_limit(reply) {
        return sent.body.len() > limit;
    }
    if reply.contains("user_id") {
        return sent
            .properties
            .user_id()
            .as_ref()
            .is_some_and(|user| reply.contains(&format!("'{user}'")));
    }
    let exchange = if sent.exchange.is_empty() {
        "default"
    } else {
        &sent.exchange
    };
    reply.contains(&format!("'{exchange}'")) || reply.contains(&format!("{exchange} exchange"))
}

#[cfg(test)]
mod tests {
    use lapin::BasicProperties;

    use super::*;

    fn sent(exchange: &str, key: &str, body: &[u8]) -> Sent {
        Sent {
            exchange: exchange.into(),
            routing_key: key.into(),
            properties: BasicProperties::default(),
            body: body.into(),
        }
    }

    #[test]
    fn replies_about_size_and_user() {
        let reply = "PRECONDITION_FAILED - message size 20 is larger than configured max size 10";
        assert_eq!(size_limit(reply), Some(10));
        assert!(speaks_of(reply, &sent("x", "k", &[0; 20])));
        assert!(!speaks_of(reply, &sent("x", "k", &[0; 10])));
        let reply =
            "PRECONDITION_FAILED - user_id property set to 'so-tnmt' but authenticated user was 'vxp'";
        let mut forged = sent("x", "k", b"");
        assert!(!speaks_of(reply, &forged));
        forged.properties = BasicProperties::default().with_user_id("so-tnmt".into());
        assert!(speaks_of(reply, &forged));
        let reply = "ACCESS_REFUSED - write access to default exchange in vhost '/' refused";
        assert!(speaks_of(reply, &sent("", "q", b"")));
        assert!(!speaks_of(reply, &sent("truc.submit", "q", b"")));
    }
}
