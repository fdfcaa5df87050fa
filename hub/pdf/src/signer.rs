//! The signer's certificate among those that came with a signature. Nothing here says that it is trusted.

use der::asn1::ObjectIdentifier;
use truc_model::Sha256;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use crate::cms::{Algorithm, Cms, SignerId, sequence};
use crate::tlv::Tlv;

/// Longest common name that is repeated, in characters. X.520 allows 64; some authorities write more.
pub(crate) const NAME_MAX: usize = 128;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Who signed, by the certificate in the signature.
pub(crate) struct Signer {
    /// First common name of the subject, without control characters.
    pub(crate) name: Option<String>,
    /// SHA-256 of the certificate.
    pub(crate) thumbprint: Sha256,
    /// Its kind of key.
    pub(crate) key: Key,
    /// Content of its `subjectPublicKey`.
    pub(crate) public_key: Vec<u8>,
}

/// A kind of public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    /// RSA with a modulus of so many bits.
    Rsa {
        bits: usize,
    },
    P256,
    P384,
    Ed25519,
    /// Anything else.
    Other,
}

impl Signer {
    /// The certificate that the signature names, if it is there and reads.
    pub(crate) fn of(cms: &Cms<'_>) -> Option<Self> {
        cms.certificates.iter().find_map(|der| {
            let (_, certificate) = X509Certificate::from_der(der).ok()?;
            is_named(&certificate, cms.sid).then(|| Self::from_certificate(der, &certificate))?
        })
    }

    fn from_certificate(der: &[u8], certificate: &X509Certificate<'_>) -> Option<Self> {
        let public_key = certificate.public_key();
        let content = public_key.subject_public_key.data.to_vec();
        Some(Self {
            name: certificate
                .subject()
                .iter_common_name()
                .find_map(|name| name.as_str().ok())
                .map(readable)
                .filter(|name| !name.is_empty()),
            thumbprint: Sha256::of(der),
            key: kind(public_key.raw, &content)?,
            public_key: content,
        })
    }
}

fn is_named(certificate: &X509Certificate<'_>, sid: SignerId<'_>) -> bool {
    match sid {
        SignerId::Issued { issuer, serial } => {
            certificate.issuer().as_raw() == issuer && certificate.raw_serial() == serial
        }
        SignerId::Key(id) => certificate.extensions().iter().any(|extension| {
            matches!(extension.parsed_extension(), ParsedExtension::SubjectKeyIdentifier(key) if key.0 == id)
        }),
    }
}

/// Without control characters, and cut.
fn readable(name: &str) -> String {
    let printable = name.chars().filter(|c| !c.is_control());
    printable.take(NAME_MAX).collect::<String>().trim().to_owned()
}

fn kind(spki: &[u8], content: &[u8]) -> Option<Key> {
    let algorithm = Algorithm::of(sequence(Tlv::first(spki)?)?.next()?)?;
    Some(match algorithm.oid {
        RSA | RSA_PSS => Key::Rsa { bits: bits(content)? },
        EC => match algorithm.parameters.and_then(crate::cms::oid) {
            Some(P256) => Key::P256,
            Some(P384) => Key::P384,
            _ => Key::Other,
        },
        ED25519 => Key::Ed25519,
        _ => Key::Other,
    })
}

/// Length of the modulus of an `RSAPublicKey`.
fn bits(key: &[u8]) -> Option<usize> {
    let modulus = sequence(Tlv::first(key)?)?.expect(der::Tag::Integer)?.value;
    let first = modulus.iter().position(|byte| *byte != 0)?;
    let leading = modulus[first].leading_zeros() as usize;
    Some((modulus.len() - first) * 8 - leading)
}
