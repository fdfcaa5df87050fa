//! The algorithms of an XML signature: closed lists, each with its one identifier.
//!
//! What is not here cannot be verified with: HMAC (a public key would serve as its secret), DSA, MD5,
//! transforms that choose what is signed (XPath, XSLT), canonicalisations that no oracle shares.

use std::fmt;

use ring::digest;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_FIXED,
    ED25519, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use crate::seal::KeyKind;

/// `Transform` that takes the signature itself out of what is signed (XML Signature §6.6.4).
pub(super) const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

macro_rules! identified {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident $word:literal $uri:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its identifier in XML.
            #[must_use]
            pub const fn uri(self) -> &'static str {
                match self { $(Self::$variant => $uri,)* }
            }

            /// Its short name, for people and the ledger.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Identifiers are compared exactly.
            pub(super) fn of(uri: &str) -> Option<Self> {
                match uri { $($uri => Some(Self::$variant),)* _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

identified! {
    /// How a document is written before it is digested or signed.
    Canonicalization {
        /// Canonical XML 1.0.
        Inclusive "c14n" "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        /// Canonical XML 1.0 with comments. (A reference to the whole document leaves them out all the same.)
        InclusiveWithComments "c14n-with-comments" "http://www.w3.org/TR/2001/REC-xml-c14n-20010315#WithComments",
        /// Exclusive XML Canonicalization 1.0.
        Exclusive "exc-c14n" "http://www.w3.org/2001/10/xml-exc-c14n#",
        /// Exclusive XML Canonicalization 1.0 with comments.
        ExclusiveWithComments "exc-c14n-with-comments" "http://www.w3.org/2001/10/xml-exc-c14n#WithComments",
    }
}

identified! {
    /// The digest of the document.
    DigestAlgorithm {
        /// SHA-1: only where the policy allows it.
        Sha1 "sha1" "http://www.w3.org/2000/09/xmldsig#sha1",
        /// SHA-256.
        Sha256 "sha256" "http://www.w3.org/2001/04/xmlenc#sha256",
        /// SHA-384.
        Sha384 "sha384" "http://www.w3.org/2001/04/xmldsig-more#sha384",
        /// SHA-512.
        Sha512 "sha512" "http://www.w3.org/2001/04/xmlenc#sha512",
    }
}

identified! {
    /// The signature over `SignedInfo`. RSA keys have 2048 to 8192 bits; PSS has MGF1 with the same digest
    /// and a salt of the digest's length (RFC 9231 §2.3.10); ECDSA holds on P-256 and P-384, as r‖s.
    SignatureAlgorithm {
        /// RSA PKCS#1 v1.5 with SHA-1: only where the policy allows it.
        RsaSha1 "rsa-sha1" "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        /// RSA PKCS#1 v1.5 with SHA-256.
        RsaSha256 "rsa-sha256" "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        /// RSA PKCS#1 v1.5 with SHA-384.
        RsaSha384 "rsa-sha384" "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384",
        /// RSA PKCS#1 v1.5 with SHA-512.
        RsaSha512 "rsa-sha512" "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512",
        /// RSA-PSS with SHA-256.
        RsaPssSha256 "rsa-pss-sha256" "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        /// RSA-PSS with SHA-384.
        RsaPssSha384 "rsa-pss-sha384" "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
        /// RSA-PSS with SHA-512.
        RsaPssSha512 "rsa-pss-sha512" "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
        /// ECDSA with SHA-256.
        EcdsaSha256 "ecdsa-sha256" "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        /// ECDSA with SHA-384.
        EcdsaSha384 "ecdsa-sha384" "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        /// Ed25519.
        Ed25519 "ed25519" "http://www.w3.org/2021/04/xmldsig-more#eddsa-ed25519",
    }
}

impl Canonicalization {
    /// Whether a list of prefixes may stand in it.
    pub(super) const fn is_exclusive(self) -> bool {
        matches!(self, Self::Exclusive | Self::ExclusiveWithComments)
    }
}

impl DigestAlgorithm {
    pub(super) const fn ring(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }
}

impl SignatureAlgorithm {
    /// Whether a key of this kind signs with this algorithm.
    pub(super) const fn fits(self, kind: KeyKind) -> bool {
        match self {
            Self::RsaSha1
            | Self::RsaSha256
            | Self::RsaSha384
            | Self::RsaSha512
            | Self::RsaPssSha256
            | Self::RsaPssSha384
            | Self::RsaPssSha512 => matches!(kind, KeyKind::Rsa { .. }),
            Self::EcdsaSha256 | Self::EcdsaSha384 => matches!(kind, KeyKind::P256 | KeyKind::P384),
            Self::Ed25519 => matches!(kind, KeyKind::Ed25519),
        }
    }

    /// Checks a signature. `public_key` is the content of the certificate's `subjectPublicKey`.
    pub(super) fn verify(self, kind: KeyKind, public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &dyn VerificationAlgorithm = match (self, kind) {
            (Self::RsaSha1, _) => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
            (Self::RsaSha256, _) => &RSA_PKCS1_2048_8192_SHA256,
            (Self::RsaSha384, _) => &RSA_PKCS1_2048_8192_SHA384,
            (Self::RsaSha512, _) => &RSA_PKCS1_2048_8192_SHA512,
            (Self::RsaPssSha256, _) => &RSA_PSS_2048_8192_SHA256,
            (Self::RsaPssSha384, _) => &RSA_PSS_2048_8192_SHA384,
            (Self::RsaPssSha512, _) => &RSA_PSS_2048_8192_SHA512,
            (Self::EcdsaSha256, KeyKind::P256) => &ECDSA_P256_SHA256_FIXED,
            (Self::EcdsaSha384, KeyKind::P384) => &ECDSA_P384_SHA384_FIXED,
            // ring has these two for signatures in ASN.1 only.
            (Self::EcdsaSha384, KeyKind::P256) => {
                return verify_asn1(&ECDSA_P256_SHA384_ASN1, 32, public_key, message, signature);
            }
            (Self::EcdsaSha256, KeyKind::P384) => {
                return verify_asn1(&ECDSA_P384_SHA256_ASN1, 48, public_key, message, signature);
            }
            (Self::Ed25519, KeyKind::Ed25519) => &ED25519,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, public_key)
            .verify(message, signature)
            .is_ok()
    }
}

/// Verifies r‖s, each `half` bytes, by an algorithm that takes ECDSA-Sig-Value (RFC 3279 §2.2.3).
fn verify_asn1(
    algorithm: &'static dyn VerificationAlgorithm,
    half: usize,
    public_key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    if signature.len() != 2 * half {
        return false;
    }
    let (r, s) = signature.split_at(half);
    let content = [integer(r), integer(s)].concat();
    // At most 2 × (2 + 49) bytes: the length fits one byte.
    let mut encoded = vec![0x30, u8::try_from(content.len()).unwrap_or(0)];
    encoded.extend_from_slice(&content);
    UnparsedPublicKey::new(algorithm, public_key)
        .verify(message, &encoded)
        .is_ok()
}

/// DER INTEGER of a positive number.
fn integer(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let significant = &number[zeros..];
    let sign = significant.first().is_none_or(|byte| *byte >= 0x80);
    let length = significant.len() + usize::from(sign);
    let mut encoded = vec![0x02, u8::try_from(length).unwrap_or(0)];
    encoded.extend(sign.then_some(0));
    encoded.extend_from_slice(significant);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_read_back_and_nothing_else_does() {
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(SignatureAlgorithm::of(algorithm.uri()), Some(*algorithm));
        }
        for algorithm in DigestAlgorithm::ALL {
            assert_eq!(DigestAlgorithm::of(algorithm.uri()), Some(*algorithm));
        }
        for algorithm in Canonicalization::ALL {
            assert_eq!(Canonicalization::of(algorithm.uri()), Some(*algorithm));
        }
        for other in [
            "",
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
            " http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "HTTP://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        ] {
            assert_eq!(SignatureAlgorithm::of(other), None, "{other}");
        }
        assert_eq!(Canonicalization::of("http://www.w3.org/TR/xml-exc-c14n#"), None);
        assert_eq!(
            DigestAlgorithm::of("http://www.w3.org/2001/04/xmldsig-more#md5"),
            None
        );
    }

    #[test]
    fn integers_of_der() {
        assert_eq!(integer(&[0, 0, 5]), [2, 1, 5]);
        assert_eq!(integer(&[0x80]), [2, 2, 0, 0x80]);
        assert_eq!(integer(&[0, 0]), [2, 1, 0]);
    }
}
