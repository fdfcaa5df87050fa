//! A private key with its certificate, for signing packets.

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::SignatureAlgorithm;
use crate::seal::{BoundCertificate, KeyError, KeyKind};

/// A private key and the certificate that names it. `Debug` never shows the key.
pub struct SigningKey {
    pair: Pair,
    algorithm: SignatureAlgorithm,
    certificate: BoundCertificate,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The key does not sign with this algorithm: another kind of key, SHA-1, or a curve with the other
/// curve's digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} does not sign with {algorithm}")]
pub struct AlgorithmDoesNotFit {
    /// What was asked for.
    pub algorithm: SignatureAlgorithm,
    /// What the certificate holds.
    pub kind: KeyKind,
}

impl SigningKey {
    /// Reads a private key (PKCS#8; for RSA also PKCS#1) and its certificate, the leaf first.
    ///
    /// The algorithm follows from the key: rsa-sha256, ecdsa-sha256 on P-256, ecdsa-sha384 on P-384, ed25519.
    ///
    /// # Errors
    /// [`KeyError`] when either cannot be read or they do not belong together.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, KeyError> {
        let certificate = BoundCertificate::from_pem(certificate_pem).map_err(KeyError::Certificate)?;
        let kind = certificate.key_kind();
        let algorithm = match kind {
            KeyKind::Rsa { .. } if kind.is_strong() => SignatureAlgorithm::RsaSha256,
            KeyKind::P256 => SignatureAlgorithm::EcdsaSha256,
            KeyKind::P384 => SignatureAlgorithm::EcdsaSha384,
            KeyKind::Ed25519 => SignatureAlgorithm::Ed25519,
            KeyKind::Rsa { .. } | KeyKind::Other => return Err(KeyError::Unsupported(kind)),
        };
        // The PEM error may quote lines of the file, that is of the key: it is not kept.
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| KeyError::Form)?;
        let pair = Pair::read(&key, kind)?;
        if pair.public_key() != certificate.public_key() {
            return Err(KeyError::Mismatch);
        }
        Ok(Self {
            pair,
            algorithm,
            certificate,
        })
    }

    /// Chooses another algorithm of the same key: another digest or PSS for RSA. SHA-1 is never made.
    ///
    /// # Errors
    /// [`AlgorithmDoesNotFit`] when the key cannot sign with it.
    pub fn with_algorithm(mut self, algorithm: SignatureAlgorithm) -> Result<Self, AlgorithmDoesNotFit> {
        let kind = self.certificate.key_kind();
        let fits = match (algorithm, kind) {
            (SignatureAlgorithm::RsaSha1, _) => false,
            (SignatureAlgorithm::EcdsaSha256, kind) => kind == KeyKind::P256,
            (SignatureAlgorithm::EcdsaSha384, kind) => kind == KeyKind::P384,
            (algorithm, kind) => algorithm.fits(kind),
        };
        if !fits {
            return Err(AlgorithmDoesNotFit { algorithm, kind });
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The algorithm it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The certificate it signs under.
    #[must_use]
    pub const fn certificate(&self) -> &BoundCertificate {
        &self.certificate
    }

    /// The signature's value; `None` when ring refuses to sign, which for a loaded key means that the
    /// system gave no randomness.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let padding: &dyn RsaEncoding = match self.algorithm {
                    SignatureAlgorithm::RsaSha384 => &RSA_PKCS1_SHA384,
                    SignatureAlgorithm::RsaSha512 => &RSA_PKCS1_SHA512,
                    SignatureAlgorithm::RsaPssSha256 => &RSA_PSS_SHA256,
                    SignatureAlgorithm::RsaPssSha384 => &RSA_PSS_SHA384,
                    SignatureAlgorithm::RsaPssSha512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(padding, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ecdsa(pair) => pair.sign(&random, message).ok().map(|s| s.as_ref().to_vec()),
            Pair::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn read(key: &PrivateKeyDer<'_>, kind: KeyKind) -> Result<Self, KeyError> {
        let ecdsa = |algorithm, der: &[u8]| {
            EcdsaKeyPair::from_pkcs8(algorithm, der, &SystemRandom::new()).map(Self::Ecdsa)
        };
        match (kind, key) {
            (KeyKind::Rsa { .. }, PrivateKeyDer::Pkcs8(der)) => {
                RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map(|pair| Self::Rsa(Box::new(pair)))
            }
            (KeyKind::Rsa { .. }, PrivateKeyDer::Pkcs1(der)) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(|pair| Self::Rsa(Box::new(pair)))
            }
            (KeyKind::P256, PrivateKeyDer::Pkcs8(der)) => {
                ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())
            }
            (KeyKind::P384, PrivateKeyDer::Pkcs8(der)) => {
                ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, der.secret_pkcs8_der())
            }
            // OpenSSL leaves the public half out ("unchecked"); it is compared with the certificate's.
            (KeyKind::Ed25519, PrivateKeyDer::Pkcs8(der)) => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map(Self::Ed25519)
            }
            _ => return Err(KeyError::Form),
        }
        .map_err(KeyError::Rejected)
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::Ecdsa(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }
}
