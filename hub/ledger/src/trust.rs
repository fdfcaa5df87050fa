//! What a hub trusts, as its ledger tells it: anchors, revocation lists, certificates of systems, policy.
//!
//! Public values only. What any of it means for a signature is not known here: the ledger compares and
//! remembers, so that it can be said later on what a verdict of that day rested.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use truc_model::{Sha256, SystemId};

use crate::event::{BadEvent, canonical, micros};

/// Most anchors and most lists that an event names one by one; all of them are counted, and in its digest.
pub const TRUST_LISTED_MAX: usize = 64;

/// Everything a verdict on a signature rests on, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct TrustInForce {
    /// SHA-256 of each anchor's certificate.
    pub anchors: BTreeSet<Sha256>,
    /// The revocation lists that count: of each issuer the newest.
    pub lists: BTreeSet<ListInForce>,
    /// The certificates bound to systems that day: SHA-256 of each.
    pub certificates: BTreeSet<(SystemId, Sha256)>,
    /// The rules, a word each, e.g. `stale-crl=use`.
    pub policy: BTreeSet<String>,
}

impl TrustInForce {
    /// One digest for all of it: equal digests, equal trust.
    ///
    /// # Errors
    /// [`BadEvent`] when it has no canonical form, which is a defect.
    pub fn sha256(&self) -> Result<Sha256, BadEvent> {
        digest(self)
    }

    /// The digest of the certificates alone.
    ///
    /// # Errors
    /// As [`Self::sha256`].
    pub fn certificates_sha256(&self) -> Result<Sha256, BadEvent> {
        digest(&self.certificates)
    }
}

/// A revocation list, as an event names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListInForce {
    /// Its issuer's distinguished name: an authority, never a person. In events cut to
    /// [`crate::command::NOTE_WORD_MAX`] characters.
    pub issuer: String,
    /// When it was issued.
    #[serde(with = "micros")]
    pub this_update: Timestamp,
    /// When its successor is due.
    #[serde(with = "micros")]
    pub next_update: Timestamp,
    /// Digest of the list.
    pub sha256: Sha256,
}

fn digest(value: &impl Serialize) -> Result<Sha256, BadEvent> {
    let value = serde_json::to_value(value)?;
    Ok(Sha256::of(canonical(&value)?.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(issuer: &str, day: i64) -> ListInForce {
        ListInForce {
            issuer: issuer.to_owned(),
            this_update: Timestamp::from_second(day * 86_400).unwrap(),
            next_update: Timestamp::from_second((day + 7) * 86_400).unwrap(),
            sha256: Sha256::of(issuer.as_bytes()),
        }
    }

    #[test]
    fn whatever_changes_changes_the_digest() {
        let one = TrustInForce {
            anchors: [Sha256::of(b"a")].into(),
            lists: [list("CN=CA", 1)].into(),
            certificates: [(SystemId::new("so").unwrap(), Sha256::of(b"c"))].into(),
            policy: ["stale-crl=use".to_owned()].into(),
        };
        let digest = one.sha256().unwrap();
        assert_eq!(one.clone().sha256().unwrap(), digest);
        for other in [
            TrustInForce {
                anchors: [Sha256::of(b"b")].into(),
                ..one.clone()
            },
            TrustInForce {
                lists: [list("CN=CA", 2)].into(),
                ..one.clone()
            },
            TrustInForce {
                certificates: [(SystemId::new("xa").unwrap(), Sha256::of(b"c"))].into(),
                ..one.clone()
            },
            TrustInForce {
                policy: ["stale-crl=refuse".to_owned()].into(),
                ..one.clone()
            },
        ] {
            assert_ne!(other.sha256().unwrap(), digest);
        }
        assert_eq!(
            TrustInForce::default().certificates_sha256().unwrap(),
            Sha256::of(b"[]")
        );
    }
}
