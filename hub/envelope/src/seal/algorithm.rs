//! The four signature algorithms of a seal and the kinds of key they need.

use std::fmt;
use std::str::FromStr;

use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// A signature algorithm, by its JWS name (RFC 7518 §3.1, RFC 8037 §3.1). A closed list: `none` and the
/// symmetric algorithms have no variant, so nothing can be verified with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, keys of 2048 to 8192 bits.
    Rs256,
    /// RSASSA-PSS with SHA-256, keys of 2048 to 8192 bits.
    Ps256,
    /// ECDSA on P-256 with SHA-256; the signature is r‖s, 64 bytes.
    Es256,
    /// Ed25519; the signature is 64 bytes.
    EdDsa,
}

/// Not one of the four names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected RS256, PS256, ES256 or EdDSA")]
pub struct UnknownAlgorithm;

/// What kind of public key a certificate holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa {
        /// Length of the modulus, in bits.
        bits: u32,
    },
    /// ECDSA on the curve P-256.
    P256,
    /// ECDSA on the curve P-384: signs XML, but has no algorithm for seals.
    P384,
    /// Ed25519.
    Ed25519,
    /// Anything else: other curves, DSA, RSA restricted to PSS.
    Other,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// The JWS name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// Whether a key of this kind signs with this algorithm. The size is judged by [`KeyKind::is_strong`].
    #[must_use]
    pub const fn fits(self, kind: KeyKind) -> bool {
        matches!(
            (self, kind),
            (Self::Rs256 | Self::Ps256, KeyKind::Rsa { .. })
                | (Self::Es256, KeyKind::P256)
                | (Self::EdDsa, KeyKind::Ed25519)
        )
    }

    /// Checks a signature. `public_key` is the content of the certificate's `subjectPublicKey`.
    pub(super) fn verify(self, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::EdDsa => &ED25519,
        };
        UnparsedPublicKey::new(algorithm, public_key)
            .verify(message, signature)
            .is_ok()
    }
}

impl KeyKind {
    /// Shortest RSA modulus, in bits.
    pub const RSA_MIN_BITS: u32 = 2048;
    /// Longest RSA modulus, in bits: beyond it verifying costs more than it protects.
    pub const RSA_MAX_BITS: u32 = 8192;

    /// Whether a seal may be made with such a key.
    #[must_use]
    pub const fn is_strong(self) -> bool {
        match self {
            Self::Rsa { bits } => bits >= Self::RSA_MIN_BITS && bits <= Self::RSA_MAX_BITS,
            Self::P256 | Self::Ed25519 => true,
            Self::P384 | Self::Other => false,
        }
    }

    /// The algorithms such a key can sign with, the default first.
    #[must_use]
    pub const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Rsa { .. } => &[Algorithm::Rs256, Algorithm::Ps256],
            Self::P256 => &[Algorithm::Es256],
            Self::Ed25519 => &[Algorithm::EdDsa],
            Self::P384 | Self::Other => &[],
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;

    /// Names are compared exactly, as RFC 7515 §4.1.1 asks.
    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
            .ok_or(UnknownAlgorithm)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "RSA {bits}"),
            Self::P256 => f.write_str("P-256"),
            Self::P384 => f.write_str("P-384"),
            Self::Ed25519 => f.write_str("Ed25519"),
            Self::Other => f.write_str("another kind of key"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_nothing_else_does() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.as_str().parse(), Ok(algorithm));
        }
        for bad in ["none", "None", "HS256", "rs256", "ES384", "Ed25519", "", " RS256"] {
            assert_eq!(bad.parse::<Algorithm>(), Err(UnknownAlgorithm), "{bad}");
        }
    }

    #[test]
    fn a_key_signs_with_exactly_its_own_algorithms() {
        let rsa = KeyKind::Rsa { bits: 2048 };
        for kind in [
            rsa,
            KeyKind::P256,
            KeyKind::P384,
            KeyKind::Ed25519,
            KeyKind::Other,
        ] {
            for algorithm in Algorithm::ALL {
                assert_eq!(algorithm.fits(kind), kind.algorithms().contains(&algorithm));
            }
        }
    }

    #[test]
    fn rsa_sizes_at_their_edges() {
        for (bits, strong) in [
            (2047, false),
            (2048, true),
            (8192, true),
            (8193, false),
            (1024, false),
        ] {
            assert_eq!(KeyKind::Rsa { bits }.is_strong(), strong, "{bits}");
        }
    }
}
