//! What the hub's operator may decide about certificates: their purposes, and silent revocation lists.

use super::TrustError;

/// Which extended key usages a sealing certificate may have.
///
/// A certificate passes when it has at least one of the accepted purposes. `anyExtendedKeyUsage`
/// (2.5.29.37.0) counts only where it is listed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EkuPolicy {
    accepted: Vec<String>,
    absent: AbsentUsage,
}

/// What a certificate without `extendedKeyUsage` counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AbsentUsage {
    /// Issued for any purpose (RFC 5280 §4.2.1.12).
    #[default]
    Accepted,
    /// Not issued for sealing.
    Refused,
}

/// What to do where the revocation lists are silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CrlPolicy {
    /// When no list covers a certificate.
    pub missing: MissingCrl,
    /// When the list is past its `nextUpdate` by the clock of whoever judges.
    pub stale: StaleCrl,
}

/// What no list at all means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingCrl {
    /// Not revoked, as far as is known.
    #[default]
    Accept,
    /// Refused until the operator supplies the list.
    Refuse,
}

/// What an outdated list is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StaleCrl {
    /// What it says still holds.
    #[default]
    Use,
    /// Refused until the operator supplies a fresh list.
    Refuse,
}

impl EkuPolicy {
    /// Most accepted purposes.
    pub const MAX_ACCEPTED: usize = 32;

    /// Purposes as dotted object identifiers.
    ///
    /// # Errors
    /// [`TrustError::BadOid`] for a text that is none, [`TrustError::TooMany`] beyond
    /// [`EkuPolicy::MAX_ACCEPTED`].
    pub fn new(accepted: &[impl AsRef<str>], absent: AbsentUsage) -> Result<Self, TrustError> {
        if accepted.len() > Self::MAX_ACCEPTED {
            return Err(TrustError::TooMany {
                what: "accepted purposes",
                max: Self::MAX_ACCEPTED,
            });
        }
        let accepted = accepted
            .iter()
            .map(|oid| {
                let oid = oid.as_ref().trim();
                is_oid(oid).then(|| oid.to_owned()).ok_or(TrustError::BadOid)
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { accepted, absent })
    }

    /// The accepted purposes.
    #[must_use]
    pub fn accepted(&self) -> &[String] {
        &self.accepted
    }

    /// Whether a certificate with these purposes (`None`: it has no such extension) may seal.
    #[must_use]
    pub fn allows(&self, purposes: Option<&[String]>) -> bool {
        match purposes {
            None => self.absent == AbsentUsage::Accepted,
            Some(purposes) => purposes.iter().any(|oid| self.accepted.contains(oid)),
        }
    }
}

impl Default for EkuPolicy {
    /// E-mail protection, document signing (RFC 9336), client authentication; absent is accepted. These
    /// are what public authorities put into organisations' certificates.
    fn default() -> Self {
        let accepted = ["1.3.6.1.5.5.7.3.4", "1.3.6.1.5.5.7.3.36", "1.3.6.1.5.5.7.3.2"];
        Self {
            accepted: accepted.map(str::to_owned).to_vec(),
            absent: AbsentUsage::Accepted,
        }
    }
}

/// Numbers with dots between them, without leading zeros.
fn is_oid(text: &str) -> bool {
    let arc = |arc: &str| {
        !arc.is_empty()
            && arc.len() <= 10
            && arc.bytes().all(|b| b.is_ascii_digit())
            && (arc.len() == 1 || !arc.starts_with('0'))
    };
    text.contains('.') && text.split('.').all(arc)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purposes(oids: &[&str]) -> Vec<String> {
        oids.iter().map(|oid| (*oid).to_owned()).collect()
    }

    #[test]
    fn one_accepted_purpose_is_enough() {
        let policy = EkuPolicy::default();
        assert!(policy.allows(None));
        assert!(policy.allows(Some(&purposes(&["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4"]))));
        assert!(!policy.allows(Some(&purposes(&["1.3.6.1.5.5.7.3.1"]))));
        assert!(!policy.allows(Some(&purposes(&["2.5.29.37.0"]))));
        assert!(!policy.allows(Some(&[])));
    }

    #[test]
    fn the_operator_decides() {
        let policy = EkuPolicy::new(&["2.5.29.37.0"], AbsentUsage::Refused).unwrap();
        assert!(!policy.allows(None));
        assert!(policy.allows(Some(&purposes(&["2.5.29.37.0"]))));
        for bad in ["", "1", "1..3", "1.3.x", "01.3", "1.3.", "emailProtection"] {
            assert_eq!(
                EkuPolicy::new(&[bad], AbsentUsage::Accepted),
                Err(TrustError::BadOid),
                "{bad}"
            );
        }
        let most = vec!["1.2"; EkuPolicy::MAX_ACCEPTED];
        assert!(EkuPolicy::new(&most, AbsentUsage::Accepted).is_ok());
        let more = vec!["1.2"; EkuPolicy::MAX_ACCEPTED + 1];
        assert!(EkuPolicy::new(&more, AbsentUsage::Accepted).is_err());
    }
}
