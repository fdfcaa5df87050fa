//! Events: what happened, in one gapless sequence from 1, each chained to the one before by its digest.
//!
//! An event's canonical bytes (see [`canonical`]) hold its number, time, facts and the digest of the event
//! before it; its own digest is the SHA-256 of those bytes. Nobody can change, drop or insert one without
//! changing every later digest. Events carry ids, codes and states; never subjects, names or reasons in
//! words. `docs/reference/ledger.md` describes each kind.

mod canonical;
mod fact;
mod kind;
mod parts;

use jiff::Timestamp;
use serde_json::Value;
use truc_model::{DocumentUid, Sha256};

pub use canonical::{DEPTH_MAX, NotCanonical, canonical};
pub use fact::Fact;
pub(crate) use fact::micros;
pub use kind::EventKind;
pub use parts::{AcceptedRecipient, OrderedRecipient, RepeatedBy, SentRecipient, TakenBy};

/// The digest that the first event names as the one before it.
pub const GENESIS: Sha256 = Sha256::from_bytes([0; 32]);

/// The end of the chain: the number and digest of the last event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last event; 0 before the first.
    pub seq: u64,
    /// Its digest; [`GENESIS`] before the first.
    pub hash: Sha256,
}

impl Head {
    /// Before the first event.
    pub const EMPTY: Self = Self {
        seq: 0,
        hash: GENESIS,
    };
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number, from 1, without gaps.
    pub seq: u64,
    /// When it was recorded, to the microsecond.
    pub at: Timestamp,
    /// The digest of the event before it.
    pub prev: Sha256,
    /// What happened.
    pub fact: Fact,
}

/// The bytes are no event of this ledger.
#[derive(Debug, thiserror::Error)]
pub enum BadEvent {
    /// Not JSON, or not with the members of its kind.
    #[error("event cannot be read")]
    Json(#[from] serde_json::Error),
    /// A member every event has is missing or of the wrong type.
    #[error("event lacks {0}")]
    Member(&'static str),
    /// It has no canonical form.
    #[error("event has no canonical form")]
    Canonical(#[from] NotCanonical),
}

impl Event {
    /// The canonical bytes, which are hashed and stored.
    ///
    /// # Errors
    /// [`BadEvent`] when a fact cannot be written, which is a defect.
    pub fn canonical(&self) -> Result<String, BadEvent> {
        let mut value = serde_json::to_value(&self.fact)?;
        let members = value.as_object_mut().ok_or(BadEvent::Member("kind"))?;
        members.insert("seq".to_owned(), self.seq.into());
        members.insert("at".to_owned(), self.at.as_microsecond().into());
        members.insert("prev".to_owned(), self.prev.to_string().into());
        Ok(canonical(&value)?)
    }

    /// Reads an event from its canonical bytes.
    ///
    /// # Errors
    /// [`BadEvent`] when they are not those of an event this program knows.
    pub fn from_canonical(text: &str) -> Result<Self, BadEvent> {
        let mut value: Value = serde_json::from_str(text)?;
        let members = value.as_object_mut().ok_or(BadEvent::Member("kind"))?;
        let seq = members.remove("seq").and_then(|v| v.as_u64());
        let at = members.remove("at").and_then(|v| v.as_i64());
        let prev = members.remove("prev");
        let prev = prev.as_ref().and_then(Value::as_str).and_then(|s| s.parse().ok());
        Ok(Self {
            seq: seq.ok_or(BadEvent::Member("seq"))?,
            at: at
                .and_then(|us| Timestamp::from_microsecond(us).ok())
                .ok_or(BadEvent::Member("at"))?,
            prev: prev.ok_or(BadEvent::Member("prev"))?,
            fact: serde_json::from_value(value)?,
        })
    }

    /// The row that is stored.
    ///
    /// # Errors
    /// As [`Event::canonical`].
    pub fn row(&self) -> Result<EventRow, BadEvent> {
        let canonical = self.canonical()?;
        Ok(EventRow {
            seq: self.seq,
            at: self.at,
            kind: self.fact.kind(),
            document: self.fact.document(),
            hash: Sha256::of(canonical.as_bytes()),
            canonical,
        })
    }
}

/// An event as stored: its canonical bytes, and beside them what one searches by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// Its number.
    pub seq: u64,
    /// When it was recorded.
    pub at: Timestamp,
    /// Its kind.
    pub kind: EventKind,
    /// The document it is about, if any.
    pub document: Option<DocumentUid>,
    /// SHA-256 of `canonical`.
    pub hash: Sha256,
    /// The canonical bytes.
    pub canonical: String,
}

impl EventRow {
    /// The event itself.
    ///
    /// # Errors
    /// [`BadEvent`] when the stored bytes cannot be read.
    pub fn event(&self) -> Result<Event, BadEvent> {
        Event::from_canonical(&self.canonical)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::HubId;

    #[test]
    fn the_form_is_fixed() {
        let event = Event {
            seq: 1,
            at: Timestamp::from_microsecond(1_767_225_600_000_001).unwrap(),
            prev: GENESIS,
            fact: Fact::HubStarted {
                hub: HubId::new("hub-1"),
                version: "0.1.0".to_owned(),
            },
        };
        let row = event.row().unwrap();
        // A change here breaks every ledger that exists: it may only happen with a new kind.
        assert_eq!(
            row.canonical,
            r#"{"at":1767225600000001,"hub":"hub-1","kind":"hub-started","prev":"0000000000000000000000000000000000000000000000000000000000000000","seq":1,"version":"0.1.0"}"#
        );
        assert_eq!(row.hash, Sha256::of(row.canonical.as_bytes()));
        assert_eq!(row.event().unwrap(), event);
        assert!(Event::from_canonical("{}").is_err());
    }
}
