//! Making seals: a private key with its certificate, and [`make`].

use std::fmt;

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256,
    RSA_PSS_SHA256, RsaKeyPair,
};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;
use truc_model::Sha256;

use super::{Algorithm, BoundCertificate, CertificateError, Claims, KeyKind, jws};

/// A private key and the certificate that names it. `Debug` never shows the key.
pub struct SealingKey {
    pair: Pair,
    algorithm: Algorithm,
    certificate: BoundCertificate,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Key and certificate cannot make seals.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The certificate cannot be read.
    #[error("the sealing certificate cannot be read")]
    Certificate(#[source] CertificateError),
    /// The certificate's key is of a kind or size that no seal is accepted with.
    #[error("expected an RSA key of 2048 to 8192 bits, a P-256 key or an Ed25519 key, found {0}")]
    Unsupported(KeyKind),
    /// The text is no PEM private key, or one that is encrypted or in an older form.
    #[error("expected an unencrypted PKCS#8 private key in PEM (openssl pkcs8 -topk8 -nodes makes one)")]
    Form,
    /// A private key, but broken, too weak, or of another kind than the certificate's.
    #[error("the private key is not usable with its certificate: {0}")]
    Rejected(#[source] ring::error::KeyRejected),
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the certificate")]
    Mismatch,
    /// The algorithm is not one of this key's.
    #[error("{algorithm} needs another kind of key than {kind}")]
    AlgorithmDoesNotFit {
        /// What was asked for.
        algorithm: Algorithm,
        /// What the certificate holds.
        kind: KeyKind,
    },
}

/// A seal could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// ring refused to sign, which for a loaded key means that the system gave no randomness.
    #[error("the signature could not be made")]
    Signing,
}

impl SealingKey {
    /// Reads a private key (PKCS#8; for RSA also PKCS#1) and its certificate, the leaf first.
    ///
    /// The algorithm follows from the key: RS256 for RSA, ES256 for P-256, EdDSA for Ed25519.
    ///
    /// # Errors
    /// [`KeyError`] when either cannot be read or they do not belong together.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, KeyError> {
        let certificate = BoundCertificate::from_pem(certificate_pem).map_err(KeyError::Certificate)?;
        let kind = certificate.key_kind();
        let algorithm = match kind.algorithms().first() {
            Some(algorithm) if kind.is_strong() => *algorithm,
            _ => return Err(KeyError::Unsupported(kind)),
        };
        // The PEM error may quote lines of the file, that is of the key: it is not kept.
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|_| KeyError::Form)?;
        let pair = Pair::read(&key, algorithm)?;
        if pair.public_key() != certificate.public_key() {
            return Err(KeyError::Mismatch);
        }
        Ok(Self {
            pair,
            algorithm,
            certificate,
        })
    }

    /// Chooses another algorithm of the same key: PS256 for RSA.
    ///
    /// # Errors
    /// [`KeyError::AlgorithmDoesNotFit`] when the key cannot sign with it.
    pub fn with_algorithm(mut self, algorithm: Algorithm) -> Result<Self, KeyError> {
        let kind = self.certificate.key_kind();
        if !algorithm.fits(kind) {
            return Err(KeyError::AlgorithmDoesNotFit { algorithm, kind });
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// SHA-256 of the certificate: what the directory binds and `x5t#S256` says.
    #[must_use]
    pub const fn thumbprint(&self) -> Sha256 {
        self.certificate.thumbprint()
    }

    /// The algorithm it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SealError> {
        self.pair.sign(self.algorithm, message)
    }

    /// The certificate it signs under, for instance to warn before it expires.
    #[must_use]
    pub const fn certificate(&self) -> &BoundCertificate {
        &self.certificate
    }
}

/// Makes a seal: a compact JWS with the header members `alg`, `typ` and `x5t#S256`.
///
/// PS256 and ES256 take randomness from the operating system (ring accepts no other), so two seals of
/// the same claims differ; RS256 and EdDSA give the same seal each time.
///
/// # Errors
/// [`SealError`] when the signature cannot be made.
pub fn make(key: &SealingKey, claims: &Claims) -> Result<String, SealError> {
    let input = jws::signing_input(key.algorithm, key.thumbprint(), claims);
    let signature = key.sign(input.as_bytes())?;
    Ok(jws::with_signature(&input, &signature))
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey")
            .field("algorithm", &self.algorithm)
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

impl Pair {
    fn read(key: &PrivateKeyDer<'_>, algorithm: Algorithm) -> Result<Self, KeyError> {
        match (algorithm, key) {
            (Algorithm::Rs256 | Algorithm::Ps256, PrivateKeyDer::Pkcs8(der)) => {
                RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map(|pair| Self::Rsa(Box::new(pair)))
            }
            (Algorithm::Rs256 | Algorithm::Ps256, PrivateKeyDer::Pkcs1(der)) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).map(|pair| Self::Rsa(Box::new(pair)))
            }
            (Algorithm::Es256, PrivateKeyDer::Pkcs8(der)) => EcdsaKeyPair::from_pkcs8(
                &ECDSA_P256_SHA256_FIXED_SIGNING,
                der.secret_pkcs8_der(),
                &SystemRandom::new(),
            )
            .map(Self::P256),
            // OpenSSL leaves the public half out ("unchecked"); it is compared with the certificate's.
            (Algorithm::EdDsa, PrivateKeyDer::Pkcs8(der)) => {
                Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).map(Self::Ed25519)
            }
            _ => return Err(KeyError::Form),
        }
        .map_err(KeyError::Rejected)
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) => pair.public_key().as_ref(),
            Self::Ed25519(pair) => pair.public_key().as_ref(),
        }
    }

    fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Result<Vec<u8>, SealError> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn ring::signature::RsaEncoding = match algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, message, &mut signature)
                    .map_err(|_| SealError::Signing)?;
                Ok(signature)
            }
            Self::P256(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SealError::Signing),
            Self::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}
