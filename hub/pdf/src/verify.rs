//! The two checks of a signature: the digest of the covered bytes, and the value over it.

use der::asn1::ObjectIdentifier;
use ring::signature::{self as ring_signature, UnparsedPublicKey, VerificationAlgorithm};
use truc_model::pdf::{DigestState, Unchecked, ValueState};

use crate::cms::{Algorithm, Cms, SHA256, sequence};
use crate::range::Covered;
use crate::signer::{Key, Signer};
use crate::tlv::Tlv;

const SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ECDSA_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Shortest RSA modulus that proves anything, in bits.
pub(crate) const RSA_MIN_BITS: usize = 2048;
/// Longest RSA modulus that is verified, in bits.
pub(crate) const RSA_MAX_BITS: usize = 8192;

/// What both checks came to.
pub(crate) struct Checked {
    pub(crate) digest: DigestState,
    pub(crate) value: ValueState,
    pub(crate) algorithm: Option<&'static str>,
}

impl Checked {
    /// Neither check could be made.
    pub(crate) const fn neither(why: Unchecked) -> Self {
        Self {
            digest: DigestState::Unchecked { why },
            value: ValueState::Unchecked { why },
            algorithm: None,
        }
    }
}

/// Checks a detached signature over the covered bytes.
pub(crate) fn check(cms: &Cms<'_>, covered: &Covered<'_>, signer: Option<&Signer>) -> Checked {
    let hash = match Hash::of(cms.digest) {
        Ok(hash) => hash,
        Err(why) => return Checked::neither(why),
    };
    let Some(attributes) = &cms.attributes else {
        return check_bare(cms, covered, signer, hash);
    };
    // Without this attribute, or with two of them, nothing ties the signature to the bytes.
    let Some(expected) = cms.message_digest() else {
        return Checked::neither(Unchecked::Form);
    };
    let digest = if covered.digest(hash.algorithm()).as_ref() == expected {
        DigestState::Intact
    } else {
        DigestState::Changed
    };
    let (value, algorithm) = value(cms, &attributes.signed_bytes(), signer, hash);
    Checked {
        digest,
        value,
        algorithm,
    }
}

/// A signature without attributes is made over the bytes themselves: one check says both.
fn check_bare(cms: &Cms<'_>, covered: &Covered<'_>, signer: Option<&Signer>, hash: Hash) -> Checked {
    let (value, algorithm) = value(cms, &covered.parts.concat(), signer, hash);
    let digest = match value {
        ValueState::Holds => DigestState::Intact,
        // Whether the bytes or the value were changed cannot be told apart; the bytes are the likelier.
        ValueState::Broken => DigestState::Changed,
        ValueState::Unchecked { why } => DigestState::Unchecked { why },
    };
    Checked {
        digest,
        value,
        algorithm,
    }
}

/// Checks the signature value over `message`.
pub(crate) fn value(
    cms: &Cms<'_>,
    message: &[u8],
    signer: Option<&Signer>,
    hash: Hash,
) -> (ValueState, Option<&'static str>) {
    let unchecked = |why| (ValueState::Unchecked { why }, None);
    let Some(signer) = signer else {
        return unchecked(Unchecked::Certificate);
    };
    if let Key::Rsa { bits } = signer.key
        && !(RSA_MIN_BITS..=RSA_MAX_BITS).contains(&bits)
    {
        return unchecked(Unchecked::WeakKey);
    }
    let (name, algorithm) = match scheme(cms.algorithm, signer.key, hash) {
        Ok(scheme) => scheme,
        Err(why) => return unchecked(why),
    };
    let holds = UnparsedPublicKey::new(algorithm, &signer.public_key)
        .verify(message, cms.signature)
        .is_ok();
    let value = if holds {
        ValueState::Holds
    } else {
        ValueState::Broken
    };
    (value, Some(name))
}

/// A digest that can still prove something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// # Errors
    /// `Sha1` or `Algorithm`.
    pub(crate) fn of(oid: ObjectIdentifier) -> Result<Self, Unchecked> {
        match oid {
            SHA256 => Ok(Self::Sha256),
            SHA384 => Ok(Self::Sha384),
            SHA512 => Ok(Self::Sha512),
            SHA1 => Err(Unchecked::Sha1),
            _ => Err(Unchecked::Algorithm),
        }
    }

    pub(crate) const fn algorithm(self) -> &'static ring::digest::Algorithm {
        match self {
            Self::Sha256 => &ring::digest::SHA256,
            Self::Sha384 => &ring::digest::SHA384,
            Self::Sha512 => &ring::digest::SHA512,
        }
    }
}

/// A closed list of how a key of this kind signs with this digest.
type Scheme = (&'static str, &'static dyn VerificationAlgorithm);

fn scheme(algorithm: Algorithm<'_>, key: Key, hash: Hash) -> Result<Scheme, Unchecked> {
    let same = |named: Hash| {
        if named == hash {
            Ok(())
        } else {
            Err(Unchecked::Algorithm)
        }
    };
    match (key, algorithm.oid) {
        (_, RSA_SHA1 | ECDSA_SHA1) => return Err(Unchecked::Sha1),
        (Key::Rsa { .. }, RSA) => {}
        (Key::Rsa { .. }, RSA_SHA256) | (Key::P256 | Key::P384, ECDSA_SHA256) => same(Hash::Sha256)?,
        (Key::Rsa { .. }, RSA_SHA384) | (Key::P256 | Key::P384, ECDSA_SHA384) => same(Hash::Sha384)?,
        (Key::Rsa { .. }, RSA_SHA512) => same(Hash::Sha512)?,
        (Key::Rsa { .. }, RSA_PSS) => return pss(algorithm, hash),
        // Some signers name the kind of key instead of the algorithm.
        (Key::P256 | Key::P384, EC) => {}
        (Key::Ed25519, ED25519) => return Ok(("ed25519", &ring_signature::ED25519)),
        _ => return Err(Unchecked::Algorithm),
    }
    Ok(match (key, hash) {
        (Key::Rsa { .. }, Hash::Sha256) => ("rsa-pkcs1-sha256", &ring_signature::RSA_PKCS1_2048_8192_SHA256),
        (Key::Rsa { .. }, Hash::Sha384) => ("rsa-pkcs1-sha384", &ring_signature::RSA_PKCS1_2048_8192_SHA384),
        (Key::Rsa { .. }, Hash::Sha512) => ("rsa-pkcs1-sha512", &ring_signature::RSA_PKCS1_2048_8192_SHA512),
        (Key::P256, Hash::Sha256) => ("ecdsa-p256-sha256", &ring_signature::ECDSA_P256_SHA256_ASN1),
        (Key::P256, Hash::Sha384) => ("ecdsa-p256-sha384", &ring_signature::ECDSA_P256_SHA384_ASN1),
        (Key::P384, Hash::Sha256) => ("ecdsa-p384-sha256", &ring_signature::ECDSA_P384_SHA256_ASN1),
        (Key::P384, Hash::Sha384) => ("ecdsa-p384-sha384", &ring_signature::ECDSA_P384_SHA384_ASN1),
        _ => return Err(Unchecked::Algorithm),
    })
}

/// RSASSA-PSS (RFC 4055 §3.1), with the one digest everywhere and a salt as long as it: what signers write
/// and ring verifies.
fn pss(algorithm: Algorithm<'_>, hash: Hash) -> Result<Scheme, Unchecked> {
    let (named, mask, salt) = pss_parameters(algorithm).ok_or(Unchecked::Form)?;
    if named == SHA1 {
        return Err(Unchecked::Sha1);
    }
    let length = hash.algorithm().output_len();
    if Hash::of(named)? != hash || Hash::of(mask)? != hash || salt != length {
        return Err(Unchecked::Algorithm);
    }
    Ok(match hash {
        Hash::Sha256 => ("rsa-pss-sha256", &ring_signature::RSA_PSS_2048_8192_SHA256),
        Hash::Sha384 => ("rsa-pss-sha384", &ring_signature::RSA_PSS_2048_8192_SHA384),
        Hash::Sha512 => ("rsa-pss-sha512", &ring_signature::RSA_PSS_2048_8192_SHA512),
    })
}

/// Digest, digest of the mask, length of the salt; what is left out is SHA-1 and 20.
fn pss_parameters(algorithm: Algorithm<'_>) -> Option<(ObjectIdentifier, ObjectIdentifier, usize)> {
    let mut fields = sequence(algorithm.parameters?)?;
    let inside =
        |field: Tlv<'_>| -> Option<ObjectIdentifier> { Some(Algorithm::of(Tlv::first(field.value)?)?.oid) };
    let named = match fields.optional(Tlv::context(der::TagNumber::N0)) {
        Some(field) => inside(field)?,
        None => SHA1,
    };
    let mask = match fields.optional(Tlv::context(der::TagNumber::N1)) {
        Some(field) => {
            let mask = Algorithm::of(Tlv::first(field.value)?)?;
            if mask.oid != MGF1 {
                return None;
            }
            Algorithm::of(mask.parameters?)?.oid
        }
        None => SHA1,
    };
    let salt = match fields.optional(Tlv::context(der::TagNumber::N2)) {
        Some(field) => match Tlv::first(field.value)?.value {
            [length] => usize::from(*length),
            _ => return None,
        },
        None => 20,
    };
    Some((named, mask, salt))
}
