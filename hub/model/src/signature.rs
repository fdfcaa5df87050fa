//! The verdict on who answers for the bytes: stored with the document, and travelling with it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// How a submission is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureForm {
    /// The header `truc-seal`: a compact JWS over the body's digest.
    Seal,
    /// XML-DSig inside the packet.
    XmlDsig,
}

/// What a check of one form came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum SignatureState {
    /// It holds.
    Valid {
        /// JWS `alg` or XML-DSig algorithm.
        algorithm: String,
        /// SHA-256 of the signer's certificate, hexadecimal.
        certificate: String,
        /// The certificate's subject, common name only.
        signer: String,
        /// When it was signed, by the signer's own clock.
        signed_at: Option<Timestamp>,
        /// What it is worth against a forger; left out when nothing speaks against it.
        #[serde(default, skip_serializing_if = "SignatureStrength::is_current")]
        strength: SignatureStrength,
    },
    /// There is none.
    Absent,
    /// There is one and it does not hold.
    Invalid {
        /// A refusal code's word, or for XML-DSig the reason.
        reason: String,
    },
}

/// Whether a broken digest had a part in a signature that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SignatureStrength {
    /// SHA-256 or better throughout.
    #[default]
    Current,
    /// SHA-1, which two different texts can share: the sending system's policy allows it.
    LegacySha1,
}

impl SignatureStrength {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Current, Self::LegacySha1];

    /// The word in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::LegacySha1 => "legacy-sha1",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|strength| strength.as_str() == word)
    }

    /// Whether nothing speaks against it.
    #[must_use]
    pub const fn is_current(&self) -> bool {
        matches!(self, Self::Current)
    }
}

/// The verdict on one submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureVerdict {
    /// The seal.
    pub seal: SignatureState,
    /// The XML signature.
    pub xml: SignatureState,
    /// The channel vouches for the packet (relayed from the national axis): recorded, not required.
    pub vouched_by_channel: bool,
}

impl SignatureVerdict {
    /// One word for counting and for side files: `valid`, `vouched`, `invalid`, `absent`.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match (&self.seal, &self.xml) {
            (SignatureState::Valid { .. }, _) | (_, SignatureState::Valid { .. }) => "valid",
            _ if self.vouched_by_channel => "vouched",
            (SignatureState::Invalid { .. }, _) | (_, SignatureState::Invalid { .. }) => "invalid",
            _ => "absent",
        }
    }
}
