//! Judging a seal: [`verify`], what it is compared with, and the proof that it held.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use truc_model::{MessageId, Place, Refusal, RefusalCode, Sha256, SignatureState, SystemId};

use super::jws::{self, Parts, ReadClaims};
use super::{Algorithm, BoundCertificate, Trust};

/// What the seal of this message must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The system that submits, as the broker vouches for it (`user_id`).
    pub system: &'a SystemId,
    /// The AMQP `message_id`.
    pub message_id: MessageId,
    /// SHA-256 of the body as it arrived.
    pub sha256: Sha256,
    /// Its length, in bytes.
    pub size: u64,
    /// The hub's present moment.
    pub now: Timestamp,
    /// How far the sender's clock and `now` may lie apart.
    pub tolerance: Tolerance,
}

/// How far `iat` may lie from the hub's clock, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tolerance {
    /// How far in the future: the difference between two clocks.
    pub max_ahead: Duration,
    /// How far in the past: the longest a sealed message may wait on its way.
    pub max_age: Duration,
}

impl Default for Tolerance {
    /// Five minutes ahead, seven days back: a message may wait in the broker over a long holiday.
    fn default() -> Self {
        Self {
            max_ahead: Duration::from_secs(5 * 60),
            max_age: Duration::from_secs(7 * 24 * 60 * 60),
        }
    }
}

/// The proof that a seal held: only [`verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidSeal {
    algorithm: Algorithm,
    thumbprint: Sha256,
    signer: String,
    signed_at: Timestamp,
}

/// Judges a seal: form, algorithm, claims, digest, certificate, signature, chain, usage, key, in this
/// order, which is the order of the codes. `bound` are the certificates that the directory binds to
/// [`Expected::system`] today; no other is ever looked at.
///
/// # Errors
/// [`Refusal`] with the first finding. It quotes ids, numbers and digests, never names.
pub fn verify(
    seal: &str,
    expected: &Expected<'_>,
    bound: &[BoundCertificate],
    trust: &Trust,
) -> Result<ValidSeal, Refusal> {
    let parts = jws::read(seal)?;
    let certificate = bound
        .iter()
        .find(|certificate| certificate.thumbprint() == parts.thumbprint);
    if let Some(certificate) = certificate {
        check_algorithm(&parts, certificate)?;
    }
    let claims = parts.claims()?;
    let signed_at = check_claims(&claims, expected)?;
    check_digest(&claims, expected)?;
    let certificate = certificate.ok_or_else(|| unknown(&parts, bound))?;
    check_signature(&parts, certificate)?;
    trust.check(certificate, signed_at, expected.now)?;
    Ok(ValidSeal {
        algorithm: parts.algorithm,
        thumbprint: parts.thumbprint,
        signer: certificate
            .subject_cn()
            .map_or_else(|| format!("serial {}", certificate.serial()), str::to_owned),
        signed_at,
    })
}

impl ValidSeal {
    /// The algorithm it was made with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// SHA-256 of the signer's certificate.
    #[must_use]
    pub const fn thumbprint(&self) -> Sha256 {
        self.thumbprint
    }

    /// The common name in the signer's certificate; `serial …` when it has none.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// When it was made, by the sender's clock.
    #[must_use]
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }
}

impl From<ValidSeal> for SignatureState {
    fn from(seal: ValidSeal) -> Self {
        Self::Valid {
            strength: truc_model::SignatureStrength::Current,
            algorithm: seal.algorithm.to_string(),
            certificate: seal.thumbprint.to_string(),
            signer: seal.signer,
            signed_at: Some(seal.signed_at),
        }
    }
}

/// A key is only ever used with an algorithm of its own kind. A kind that no algorithm fits is left to
/// [`RefusalCode::CertificateWeakKey`].
fn check_algorithm(parts: &Parts<'_>, certificate: &BoundCertificate) -> Result<(), Refusal> {
    let kind = certificate.key_kind();
    if parts.algorithm.fits(kind) || kind.algorithms().is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = kind.algorithms().iter().map(|a| a.as_str()).collect();
    Err(Refusal::new(
        RefusalCode::SealAlgorithm,
        Place::seal("header"),
        format!("alg {}, as the certificate's key is {kind}", names.join(" or ")),
        parts.algorithm.as_str(),
    ))
}

/// Compares `iss`, `jti`, `iat` and `size`; gives the time of sealing.
fn check_claims(claims: &ReadClaims, expected: &Expected<'_>) -> Result<Timestamp, Refusal> {
    let refuse = |claim: &str, expected: String, found: String| {
        Refusal::new(RefusalCode::SealClaims, Place::seal(claim), expected, found)
    };
    if claims.iss != expected.system.as_str() {
        let found = claims.quotable_iss();
        return Err(refuse("iss", expected.system.to_string(), found));
    }
    // UUIDs are written with either case of letters (RFC 9562 §4).
    if !claims.jti.eq_ignore_ascii_case(&expected.message_id.to_string()) {
        let found = claims.quotable_jti();
        return Err(refuse("jti", expected.message_id.to_string(), found));
    }
    let signed_at = Timestamp::from_second(claims.iat).map_err(|_| {
        refuse(
            "iat",
            "seconds since 1970 UTC".to_owned(),
            "a number outside the calendar".to_owned(),
        )
    })?;
    let Tolerance { max_ahead, max_age } = expected.tolerance;
    let age = expected.now.duration_since(signed_at);
    if !within(age, max_ahead, max_age) {
        return Err(refuse(
            "iat",
            format!(
                "at most {} s before and {} s after the hub's clock, {}",
                max_age.as_secs(),
                max_ahead.as_secs(),
                expected.now
            ),
            signed_at.to_string(),
        ));
    }
    if claims.size != expected.size {
        return Err(refuse("size", expected.size.to_string(), claims.size.to_string()));
    }
    Ok(signed_at)
}

/// Whole seconds on both sides, as `iat` has no finer ones.
fn within(age: SignedDuration, max_ahead: Duration, max_age: Duration) -> bool {
    let seconds = age.as_secs();
    let back = u64::try_from(seconds).map_or(true, |seconds| seconds <= max_age.as_secs());
    let ahead = seconds >= 0 || seconds.unsigned_abs() <= max_ahead.as_secs();
    back && ahead
}

fn check_digest(claims: &ReadClaims, expected: &Expected<'_>) -> Result<(), Refusal> {
    if claims.sha256 == expected.sha256 {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::SealBodyMismatch,
        Place::seal("sha-256"),
        expected.sha256.base64url(),
        claims.sha256.base64url(),
    ))
}

fn unknown(parts: &Parts<'_>, bound: &[BoundCertificate]) -> Refusal {
    Refusal::new(
        RefusalCode::CertificateUnknown,
        Place::seal("header"),
        format!(
            "x5t#S256 of one of the {} certificates of this system",
            bound.len()
        ),
        parts.thumbprint.base64url(),
    )
}

fn check_signature(parts: &Parts<'_>, certificate: &BoundCertificate) -> Result<(), Refusal> {
    // Nothing can be said about the signature of a key that is not accepted: the chain comes first,
    // then the key's own refusal.
    if !certificate.key_kind().is_strong()
        || parts
            .algorithm
            .verify(certificate.public_key(), parts.signed, &parts.signature)
    {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::SealSignature,
        Place::seal("signature"),
        format!("a signature by certificate {}", parts.thumbprint.base64url()),
        "one that does not verify",
    ))
}
