//! Identifiers: what the hub gives out ([`DocumentUid`], [`DeliveryUid`]) and what it is given
//! ([`MessageId`], [`SystemId`]).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID in its hyphenated form.
    #[error("expected a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057")]
    NotUuid,
    /// Not a system id.
    #[error(
        "expected a system id: 2 to {max} of a-z, 0-9, '-' and '.', first a letter or digit",
        max = SystemId::MAX_LEN
    )]
    NotSystemId,
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID. Fresh ones come from [`crate::Random::uuid_v7`].
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                Uuid::try_parse(text.trim()).map(Self).map_err(|_| IdError::NotUuid)
            }
        }
    };
}

uuid_id! {
    /// The hub's own id of a document (header `truc-document`). The sender's `DocumentId` is not
    /// unique in real traffic; this one is.
    DocumentUid
}
uuid_id! {
    /// The id of one message to one system (header `truc-delivery`), the same at every attempt.
    ///
    /// A document for 40 communes on one system travels in one message: their deliveries, one per
    /// recipient, share this id. A status passed on has one of its own.
    DeliveryUid
}
uuid_id! {
    /// The id of an alert, from its beginning to its all-clear.
    AlertUid
}
uuid_id! {
    /// The id of one message to one channel of alerts, the same at every attempt.
    AlertPostUid
}
uuid_id! {
    /// The AMQP `message_id`: the sender's idempotency key, unique for the sending system.
    MessageId
}

/// A connected program (*hệ thống kết nối*): an agency's own system, a shared tenant, the national
/// axis. It is also the name of its broker user, of its inbox (`truc.inbox.<system>`) and the routing
/// key of its messages.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SystemId(String);

impl SystemId {
    /// Longest system id, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks and wraps a system id.
    ///
    /// # Errors
    /// [`IdError::NotSystemId`] for anything but 2 to 64 of `a-z 0-9 - .` beginning with a letter or digit.
    pub fn new(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let allowed = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-' || *b == b'.';
        let first_ok = bytes
            .first()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if bytes.len() < 2 || bytes.len() > Self::MAX_LEN || !first_ok || !bytes.iter().all(allowed) {
            return Err(IdError::NotSystemId);
        }
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SystemId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl TryFrom<String> for SystemId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::new(&text)
    }
}

impl From<SystemId> for String {
    fn from(id: SystemId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_ids_are_plain_names() {
        for good in ["so-tnmt", "vxp", "00.60.w00", "a1"] {
            assert_eq!(SystemId::new(good).unwrap().as_str(), good);
        }
        let longest = "a".repeat(SystemId::MAX_LEN);
        assert!(SystemId::new(&longest).is_ok());
        for bad in [
            "",
            "a",
            "-a",
            ".a",
            "So",
            "a b",
            "a/b",
            "a#",
            "đ1",
            &format!("{longest}a"),
        ] {
            assert_eq!(SystemId::new(bad), Err(IdError::NotSystemId), "{bad}");
        }
    }

    #[test]
    fn uuids_read_back() {
        let id: MessageId = " 01890a5d-ac96-774b-bcce-b302099a8057 ".parse().unwrap();
        assert_eq!(id.to_string(), "01890a5d-ac96-774b-bcce-b302099a8057");
        assert_eq!("1".parse::<MessageId>(), Err(IdError::NotUuid));
    }
}
