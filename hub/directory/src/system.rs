//! A connected system: what it is, what it may do, and by which certificates it is known.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{Sha256, SystemId};

use crate::dated::{Dated, Validity};
use crate::prefix::RoutePrefix;

/// A connected program with one broker user and one inbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct System {
    /// Its id; also the name of its broker user.
    pub id: SystemId,
    /// Its name for people.
    pub name: String,
    /// What it is.
    pub kind: SystemKind,
    /// The codes outside the province that a gateway serves; empty for the other kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prefixes: Vec<Dated<RoutePrefix>>,
    /// Whether it may submit.
    pub status: SystemStatus,
    /// What is asked of it.
    pub policy: SystemPolicy,
    /// The certificates its seals are made with. During a rotation the old and the new one both hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateRow>,
    /// A remark for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl System {
    /// Most certificates of one system, past ones included.
    pub const MAX_CERTIFICATES: usize = 64;
    /// Most prefixes of one gateway, past ones included.
    pub const MAX_PREFIXES: usize = 1_000;

    /// A system with nothing but a name: active, default policy, no certificate.
    #[must_use]
    pub fn new(id: SystemId, name: impl Into<String>, kind: SystemKind) -> Self {
        Self {
            id,
            name: name.into(),
            kind,
            prefixes: Vec::new(),
            status: SystemStatus::Active,
            policy: SystemPolicy::default(),
            certificates: Vec::new(),
            note: None,
        }
    }

    /// The certificate with this thumbprint, if it is bound to the system on a day.
    #[must_use]
    pub fn certificate(&self, thumbprint: &Sha256, on: Date) -> Option<&CertificateRow> {
        self.certificates_on(on).find(|row| row.thumbprint == *thumbprint)
    }

    /// The certificates bound to it on a day.
    pub fn certificates_on(&self, on: Date) -> impl Iterator<Item = &CertificateRow> {
        self.certificates.iter().filter(move |row| row.valid.contains(on))
    }
}

/// What a system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemKind {
    /// A shared system that serves many agencies (*hệ thống dùng chung*).
    Tenant,
    /// An agency's own system.
    Agency,
    /// The way to agencies outside the province: the national axis, a neighbour's axis.
    Gateway,
}

/// Whether a system may submit. Its inbox stays either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemStatus {
    /// It may.
    Active,
    /// Switched off by the operator: its submissions are refused (`system-disabled`).
    Disabled,
}

/// What is asked of a system's submissions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SystemPolicy {
    /// How they must be signed.
    pub signature: SignaturePolicy,
    /// What happens to other bytes under a document identity seen before.
    pub identity_conflict: ConflictPolicy,
    /// Whether its XML signatures may rest on SHA-1.
    #[serde(skip_serializing_if = "Sha1Policy::is_refuse")]
    pub xml_sha1: Sha1Policy,
}

/// How a submission must be signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignaturePolicy {
    /// By seal or by XML-DSig, at least one.
    #[default]
    Either,
    /// By seal.
    Seal,
    /// By XML-DSig.
    XmlDsig,
    /// The channel vouches for it (packets relayed from the national axis): a signature is judged and
    /// recorded, not required.
    #[serde(rename = "channel")]
    ChannelVouches,
    /// Nothing is asked for.
    None,
}

/// What happens to other bytes under a document identity seen before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConflictPolicy {
    /// Accepted and parked for an operator.
    #[default]
    Park,
    /// Refused (`identity-conflict`).
    Refuse,
    /// Delivered, with a warning.
    Deliver,
}

/// Whether XML signatures of a system may rest on SHA-1, which two different texts can share. For systems that
/// cannot do better yet; the verdict then says so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sha1Policy {
    /// No: such a signature does not hold (`dsig-sha1`).
    #[default]
    Refuse,
    /// Yes.
    Allow,
}

impl Sha1Policy {
    /// Whether it is the default, which the directory's JSON leaves out.
    #[must_use]
    pub const fn is_refuse(&self) -> bool {
        matches!(self, Self::Refuse)
    }
}

/// A certificate bound to a system. What the certificate itself says is for the verifier of seals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRow {
    /// The certificate in PEM, then the intermediates of its chain, if any.
    pub pem: String,
    /// SHA-256 of the certificate's DER (`x5t#S256` of the seal).
    pub thumbprint: Sha256,
    /// The days on which the hub takes it as this system's.
    #[serde(default, skip_serializing_if = "Validity::is_always")]
    pub valid: Validity,
}

impl CertificateRow {
    /// Longest PEM text, in bytes.
    pub const PEM_MAX: usize = 64 * 1024;
}

macro_rules! words {
    ($type:ident { $($variant:ident = $word:literal),* $(,)? }) => {
        impl $type {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in files and answers.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// From the word, in any case, spaces round it ignored.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                let word = word.trim().to_lowercase();
                Self::ALL.iter().copied().find(|known| known.as_str() == word)
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words!(SystemKind { Tenant = "tenant", Agency = "agency", Gateway = "gateway" });
words!(SystemStatus { Active = "active", Disabled = "disabled" });
words!(SignaturePolicy {
    Either = "either",
    Seal = "seal",
    XmlDsig = "xml-dsig",
    ChannelVouches = "channel",
    None = "none",
});
words!(ConflictPolicy { Park = "park", Refuse = "refuse", Deliver = "deliver" });
words!(Sha1Policy { Refuse = "refuse", Allow = "allow" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_json() {
        fn same<T: Serialize + std::fmt::Display + Copy>(all: &[T]) {
            for value in all {
                assert_eq!(serde_json::to_string(value).unwrap(), format!("\"{value}\""));
            }
        }
        same(SystemKind::ALL);
        same(SystemStatus::ALL);
        same(SignaturePolicy::ALL);
        same(ConflictPolicy::ALL);
        same(Sha1Policy::ALL);
        assert_eq!(
            SignaturePolicy::from_word(" Channel "),
            Some(SignaturePolicy::ChannelVouches)
        );
        assert_eq!(SystemKind::from_word("axis"), None);
    }

    #[test]
    fn a_policy_without_sha1_is_written_as_it_always_was() {
        let json = |policy: SystemPolicy| serde_json::to_string(&policy).unwrap();
        let usual = json(SystemPolicy::default());
        assert_eq!(usual, r#"{"signature":"either","identity_conflict":"park"}"#);
        let legacy = SystemPolicy {
            xml_sha1: Sha1Policy::Allow,
            ..SystemPolicy::default()
        };
        assert!(json(legacy).contains(r#""xml_sha1":"allow""#));
        for policy in [SystemPolicy::default(), legacy] {
            assert_eq!(
                serde_json::from_str::<SystemPolicy>(&json(policy)).unwrap(),
                policy
            );
        }
    }

    #[test]
    fn two_certificates_hold_during_a_rotation() {
        use jiff::civil::date;
        let row = |n: u8, valid| CertificateRow {
            pem: String::new(),
            thumbprint: Sha256::of(&[n]),
            valid,
        };
        let mut system = System::new(SystemId::new("so-tnmt").unwrap(), "Sở TN&MT", SystemKind::Agency);
        system.certificates = vec![
            row(
                1,
                Validity {
                    from: None,
                    to: Some(date(2026, 2, 1)),
                },
            ),
            row(2, Validity::since(date(2026, 1, 1))),
        ];
        let bound = |n: u8, on| system.certificate(&Sha256::of(&[n]), on).is_some();
        assert!(bound(1, date(2025, 12, 31)) && !bound(2, date(2025, 12, 31)));
        assert!(bound(1, date(2026, 1, 15)) && bound(2, date(2026, 1, 15)));
        assert!(!bound(1, date(2026, 2, 1)) && bound(2, date(2026, 2, 1)));
    }
}
