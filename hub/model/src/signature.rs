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
    },
    /// There is none.
    Absent,
    /// There is one and it does not hold.
    Invalid {
        /// A refusal code's word, or for XML-DSig the reason.
        reason: String,
    },
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
