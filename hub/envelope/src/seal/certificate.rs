//! A certificate that the directory binds to a system: what stands in it, read once.
//!
//! Reading says nothing about trust: a weak, expired or foreign certificate can be read (so that
//! `truc doctor` can say what is wrong with it) and is refused when a seal is verified.

use jiff::Timestamp;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use truc_model::Sha256;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::ExtendedKeyUsage;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::KeyKind;

/// Most intermediate certificates in one PEM text.
pub const MAX_INTERMEDIATES: usize = 8;

/// Longest common name that is repeated, in characters. X.520 allows 64; some authorities write more.
pub const NAME_MAX: usize = 128;

/// A signer's certificate with the intermediates that came with it.
#[derive(Clone, PartialEq, Eq)]
pub struct BoundCertificate {
    leaf: CertificateDer<'static>,
    intermediates: Vec<CertificateDer<'static>>,
    thumbprint: Sha256,
    chain: Sha256,
    facts: Facts,
}

/// What stands in the leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Facts {
    not_before: Timestamp,
    not_after: Timestamp,
    subject_cn: Option<String>,
    serial: String,
    is_ca: bool,
    signs: Option<bool>,
    purposes: Option<Vec<String>>,
    key_kind: KeyKind,
    public_key: Vec<u8>,
}

/// The text holds no certificate that can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Broken PEM: a missing end line, or base64 that is not.
    #[error("expected PEM, found a section that cannot be decoded")]
    Pem,
    /// No `BEGIN CERTIFICATE` in it.
    #[error("expected a PEM section CERTIFICATE, found none")]
    NoCertificate,
    /// More than [`MAX_INTERMEDIATES`].
    #[error("expected at most {MAX_INTERMEDIATES} intermediate certificates")]
    TooManyIntermediates,
    /// Not an X.509 certificate in DER, or bytes after it.
    #[error("expected an X.509 certificate in DER")]
    Der,
    /// A field that cannot be read, or an extension that stands twice.
    #[error("the certificate's {0} cannot be read")]
    Field(&'static str),
}

impl BoundCertificate {
    /// Reads PEM text: the signer's certificate first, its intermediates after it. Other sections (a
    /// private key left in the file by mistake) are passed over.
    ///
    /// # Errors
    /// [`CertificateError`] when there is none or the first cannot be read.
    pub fn from_pem(pem: &str) -> Result<Self, CertificateError> {
        let mut sections = certificates(pem.as_bytes())?.into_iter();
        let leaf = sections.next().ok_or(CertificateError::NoCertificate)?;
        let intermediates: Vec<_> = sections.collect();
        if intermediates.len() > MAX_INTERMEDIATES {
            return Err(CertificateError::TooManyIntermediates);
        }
        Ok(Self::from_der(leaf)?.with_intermediates(intermediates))
    }

    /// SHA-256 of the certificate's DER: `x5t#S256`.
    #[must_use]
    pub const fn thumbprint(&self) -> Sha256 {
        self.thumbprint
    }

    /// From when it is valid.
    #[must_use]
    pub const fn not_before(&self) -> Timestamp {
        self.facts.not_before
    }

    /// Until when it is valid, that second included. "No end" (RFC 5280 §4.1.2.5) reads as the last
    /// moment there is.
    #[must_use]
    pub const fn not_after(&self) -> Timestamp {
        self.facts.not_after
    }

    /// The subject's first common name, without control characters, cut to [`NAME_MAX`] characters.
    #[must_use]
    pub fn subject_cn(&self) -> Option<&str> {
        self.facts.subject_cn.as_deref()
    }

    /// The serial number, lower-case hexadecimal without leading zero bytes.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.facts.serial
    }

    /// Whether it is an authority's certificate (`basicConstraints` CA), which may not seal.
    #[must_use]
    pub const fn is_ca(&self) -> bool {
        self.facts.is_ca
    }

    /// Whether `keyUsage` allows signing (`digitalSignature` or `nonRepudiation`); `None` when the
    /// extension is absent, which allows everything.
    #[must_use]
    pub const fn key_usage_signs(&self) -> Option<bool> {
        self.facts.signs
    }

    /// The purposes of `extendedKeyUsage` as dotted object identifiers; `None` when the extension is absent.
    #[must_use]
    pub fn purposes(&self) -> Option<&[String]> {
        self.facts.purposes.as_deref()
    }

    /// What kind of key it holds.
    #[must_use]
    pub const fn key_kind(&self) -> KeyKind {
        self.facts.key_kind
    }

    /// The certificate's DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.leaf
    }

    /// The content of `subjectPublicKey`.
    pub(crate) fn public_key(&self) -> &[u8] {
        &self.facts.public_key
    }

    /// One certificate by itself.
    pub(crate) fn from_der(leaf: CertificateDer<'static>) -> Result<Self, CertificateError> {
        let thumbprint = Sha256::of(&leaf);
        Ok(Self {
            thumbprint,
            chain: thumbprint,
            facts: Facts::read(&leaf)?,
            leaf,
            intermediates: Vec::new(),
        })
    }

    /// The same with the intermediates that came with it.
    pub(crate) fn with_intermediates(mut self, intermediates: Vec<CertificateDer<'static>>) -> Self {
        self.intermediates = intermediates;
        if self.intermediates.is_empty() {
            self.chain = self.thumbprint;
        } else {
            // Of digests, each of its own length: two chains have one digest only when they are the same.
            let each =
                std::iter::once(self.thumbprint).chain(self.intermediates.iter().map(|der| Sha256::of(der)));
            let digests: Vec<u8> = each.flat_map(|digest| *digest.as_bytes()).collect();
            self.chain = Sha256::of(&digests);
        }
        self
    }

    /// Digest of the certificate with the intermediates that came with it, in their order.
    pub(super) const fn chain(&self) -> Sha256 {
        self.chain
    }

    pub(super) fn into_leaf(self) -> CertificateDer<'static> {
        self.leaf
    }

    pub(super) const fn leaf(&self) -> &CertificateDer<'static> {
        &self.leaf
    }

    pub(crate) fn intermediates(&self) -> &[CertificateDer<'static>] {
        &self.intermediates
    }
}

impl std::fmt::Debug for BoundCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundCertificate")
            .field("thumbprint", &self.thumbprint)
            .field("serial", &self.facts.serial)
            .field("key_kind", &self.facts.key_kind)
            .field("not_after", &self.facts.not_after)
            .finish_non_exhaustive()
    }
}

/// All `CERTIFICATE` sections of a PEM text, in order.
pub(super) fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    CertificateDer::pem_slice_iter(pem)
        .map(|section| section.map_err(|_| CertificateError::Pem))
        .collect()
}

impl Facts {
    fn read(der: &[u8]) -> Result<Self, CertificateError> {
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| CertificateError::Der)?;
        if !rest.is_empty() {
            return Err(CertificateError::Der);
        }
        let basic = certificate
            .basic_constraints()
            .map_err(|_| CertificateError::Field("basicConstraints"))?;
        let usage = certificate
            .key_usage()
            .map_err(|_| CertificateError::Field("keyUsage"))?;
        let extended = certificate
            .extended_key_usage()
            .map_err(|_| CertificateError::Field("extendedKeyUsage"))?;
        let validity = certificate.validity();
        Ok(Self {
            not_before: moment(validity.not_before.timestamp()),
            not_after: moment(validity.not_after.timestamp()),
            subject_cn: certificate
                .subject()
                .iter_common_name()
                .next()
                .and_then(|cn| cn.as_str().ok())
                .map(printable),
            serial: hexadecimal(certificate.raw_serial()),
            is_ca: basic.is_some_and(|extension| extension.value.ca),
            signs: usage
                .map(|extension| extension.value.digital_signature() || extension.value.non_repudiation()),
            purposes: extended.map(|extension| dotted(extension.value)),
            key_kind: key_kind(certificate.public_key()),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }
}

/// A certificate may name years that [`Timestamp`] does not reach (9999-12-31 stands for "no end").
fn moment(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

/// Names end up in ledgers, tables and side files.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(NAME_MAX).collect()
}

fn hexadecimal(serial: &[u8]) -> String {
    let zeros = serial.iter().take_while(|byte| **byte == 0).count();
    let digits: String = serial[zeros..].iter().map(|byte| format!("{byte:02x}")).collect();
    if digits.is_empty() {
        "00".to_owned()
    } else {
        digits
    }
}

fn dotted(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let named = [
        (usage.any, "2.5.29.37.0"),
        (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    named
        .into_iter()
        .filter(|(present, _)| *present)
        .map(|(_, oid)| oid.to_owned())
        .chain(usage.other.iter().map(|oid| oid.to_id_string()))
        .collect()
}

fn key_kind(key: &SubjectPublicKeyInfo<'_>) -> KeyKind {
    let algorithm = &key.algorithm;
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return match key.parsed() {
            Ok(PublicKey::RSA(rsa)) => KeyKind::Rsa {
                bits: bit_length(rsa.modulus),
            },
            _ => KeyKind::Other,
        };
    }
    if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm
            .parameters
            .as_ref()
            .and_then(|parameters| parameters.as_oid().ok());
        return match curve {
            Some(curve) if curve == OID_EC_P256 => KeyKind::P256,
            Some(curve) if curve == OID_NIST_EC_P384 => KeyKind::P384,
            _ => KeyKind::Other,
        };
    }
    if algorithm.algorithm == OID_SIG_ED25519 {
        return KeyKind::Ed25519;
    }
    KeyKind::Other
}

fn bit_length(modulus: &[u8]) -> u32 {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let significant = &modulus[zeros..];
    let spare = significant.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(significant.len() * 8).unwrap_or(u32::MAX) - spare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_counted_from_the_first_one() {
        assert_eq!(bit_length(&[]), 0);
        assert_eq!(bit_length(&[0, 0x80, 0]), 16);
        assert_eq!(bit_length(&[0, 0x01, 0xff]), 9);
        assert_eq!(bit_length(&[0x7f; 256]), 2047);
    }

    #[test]
    fn names_are_made_safe_to_repeat() {
        assert_eq!(printable("Sở\tTài\u{1b}[31m nguyên\n"), "SởTài[31m nguyên");
        assert_eq!(printable(&"đ".repeat(NAME_MAX)), "đ".repeat(NAME_MAX));
        assert_eq!(printable(&"đ".repeat(NAME_MAX + 1)), "đ".repeat(NAME_MAX));
    }

    #[test]
    fn serials_lose_their_sign_byte() {
        assert_eq!(hexadecimal(&[0, 0xab, 0x01]), "ab01");
        assert_eq!(hexadecimal(&[0]), "00");
    }

    #[test]
    fn years_beyond_the_calendar_are_clamped() {
        // 9999-12-31T23:59:59Z, RFC 5280's "no end".
        assert_eq!(moment(253_402_300_799), Timestamp::MAX);
        assert_eq!(moment(i64::MIN), Timestamp::MIN);
        assert_eq!(moment(0), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn what_is_no_certificate() {
        for (pem, error) in [
            ("", CertificateError::NoCertificate),
            ("hello", CertificateError::NoCertificate),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", CertificateError::Pem),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                CertificateError::Der,
            ),
        ] {
            assert_eq!(BoundCertificate::from_pem(pem), Err(error), "{pem}");
        }
    }
}
