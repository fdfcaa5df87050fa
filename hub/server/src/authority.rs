//! A test authority (*tổ chức chứng thực thử nghiệm*): makes certificates for `truc demo`, for tests and
//! for the commands `truc authority …`.
//!
//! **For demonstration and tests, not a production CA.** Its key lies in a file, nobody checks who asks,
//! and it keeps no register. In production systems bring certificates of a recognised authority, and
//! the hub is told its roots as trust anchors.
//!
//! Everything here is text in and text out (PEM), except [`write_key_file`].

use std::borrow::Cow;
use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ED25519, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use truc_model::{Random, Sha256, SystemId};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

#[cfg(test)]
mod tests;

/// Organisation in every name this authority gives, so that nobody takes its certificates for real ones.
pub const ORGANISATION: &str = "Trục - chỉ để thử nghiệm (tests only)";

/// A test authority: a root, or an intermediate below one.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_pem: String,
    /// What a leaf's owner must send along: this authority's certificate and those above it, without
    /// the root. Empty for a root.
    chain_pem: String,
}

/// From when until when, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: Timestamp,
    /// The last.
    pub not_after: Timestamp,
}

/// Which key a certificate is for.
#[derive(Clone, Copy, Default)]
pub enum LeafKey<'a> {
    /// A fresh P-256 key.
    #[default]
    P256,
    /// A fresh Ed25519 key.
    Ed25519,
    /// A key that exists already, PKCS#8 in PEM. The way to RSA: ring makes no RSA keys, OpenSSL does
    /// (`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`).
    Pkcs8Pem(&'a str),
}

/// A key with its certificate. `Debug` never shows the key.
#[derive(Clone)]
pub struct Issued {
    /// The private key, PKCS#8 PEM. Secret.
    pub key_pem: String,
    /// The certificate, and the intermediates above it when there are any. PEM.
    pub certificate_pem: String,
    /// Serial number, lower-case hexadecimal: what [`Revoked`] asks for.
    pub serial: String,
    /// SHA-256 of the certificate: what a seal's `x5t#S256` says.
    pub thumbprint: Sha256,
}

/// One line of a revocation list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Since when.
    pub at: Timestamp,
}

/// The authority cannot do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A moment before 1970, or a span that ends before it begins.
    #[error("expected a validity after 1970 whose end lies after its beginning")]
    Validity,
    /// Not hexadecimal, or longer than [`SERIAL_MAX_BYTES`].
    #[error("expected a serial number of 1 to {SERIAL_MAX_BYTES} bytes in hexadecimal")]
    Serial,
    /// More than [`MAX_REVOKED`].
    #[error("expected at most {MAX_REVOKED} revoked certificates")]
    TooManyRevoked,
    /// A private key cannot be read or made.
    #[error("the private key cannot be read or made")]
    Key(#[source] rcgen::Error),
    /// A certificate or list cannot be made.
    #[error("the certificate or list cannot be made")]
    Certificate(#[source] rcgen::Error),
    /// No X.509 certificate in PEM.
    #[error("the authority's certificate cannot be read")]
    Unreadable,
    /// The certificate given for the authority is no authority's.
    #[error("the certificate is no authority's (basicConstraints CA)")]
    NotAnAuthority,
    /// Key and certificate do not belong together.
    #[error("the private key does not belong to the authority's certificate")]
    Mismatch,
}

/// Longest serial number (RFC 5280 §4.1.2.2), in bytes.
pub const SERIAL_MAX_BYTES: usize = 20;

/// Most lines in one revocation list.
pub const MAX_REVOKED: usize = 10_000;

impl Authority {
    /// A new root, self-signed, P-256: a trust anchor for the hub.
    ///
    /// # Errors
    /// [`AuthorityError::Validity`], or when the certificate cannot be made.
    pub fn root(name: &str, validity: Validity, random: &dyn Random) -> Result<Self, AuthorityError> {
        let params = authority_params(name, validity, BasicConstraints::Unconstrained, random)?;
        let key = key_pair(LeafKey::P256)?;
        let certificate = params.self_signed(&key).map_err(AuthorityError::Certificate)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            certificate_pem: certificate.pem(),
            chain_pem: String::new(),
        })
    }

    /// A new authority below this one, which issues leaves only.
    ///
    /// # Errors
    /// As [`Authority::root`].
    pub fn intermediate(
        &self,
        name: &str,
        validity: Validity,
        random: &dyn Random,
    ) -> Result<Self, AuthorityError> {
        let params = authority_params(name, validity, BasicConstraints::Constrained(0), random)?;
        let key = key_pair(LeafKey::P256)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(AuthorityError::Certificate)?;
        Ok(Self {
            issuer: Issuer::new(params, key),
            chain_pem: format!("{}{}", certificate.pem(), self.chain_pem),
            certificate_pem: certificate.pem(),
        })
    }

    /// An authority from its files: its key, and `certificate_pem` with its own certificate first and,
    /// for an intermediate, those above it. Roots in it are passed over.
    ///
    /// # Errors
    /// [`AuthorityError`] when either cannot be read, they do not belong together, or it is no CA's.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Result<Self, AuthorityError> {
        let sections = CertificateDer::pem_slice_iter(certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| AuthorityError::Unreadable)?;
        let own = sections.first().ok_or(AuthorityError::Unreadable)?;
        let key = KeyPair::from_pem(key_pem).map_err(AuthorityError::Key)?;
        {
            let own = parsed(own)?;
            if !own.is_ca() {
                return Err(AuthorityError::NotAnAuthority);
            }
            if own.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
                return Err(AuthorityError::Mismatch);
            }
        }
        let mut chain_pem = String::new();
        for section in &sections {
            let certificate = parsed(section)?;
            if certificate.issuer().as_raw() != certificate.subject().as_raw() {
                chain_pem.push_str(&pem("CERTIFICATE", section));
            }
        }
        Ok(Self {
            certificate_pem: pem("CERTIFICATE", own),
            issuer: Issuer::from_ca_cert_der(own, key).map_err(AuthorityError::Certificate)?,
            chain_pem,
        })
    }

    /// Issues a certificate for a system: `digitalSignature`, client authentication (the broker) and
    /// e-mail protection (the seal).
    ///
    /// # Errors
    /// [`AuthorityError`] when the validity is none or the key cannot be read.
    pub fn issue(
        &self,
        system: &SystemId,
        key: LeafKey<'_>,
        validity: Validity,
        random: &dyn Random,
    ) -> Result<Issued, AuthorityError> {
        let mut params = named_params(system.as_str(), validity, random)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ClientAuth,
            ExtendedKeyUsagePurpose::EmailProtection,
        ];
        let key = key_pair(key)?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .map_err(AuthorityError::Certificate)?;
        Ok(Issued {
            key_pem: pem("PRIVATE KEY", plain_pkcs8(key.serialized_der()).as_ref()),
            certificate_pem: format!("{}{}", certificate.pem(), self.chain_pem),
            serial: hexadecimal(params.serial_number.as_ref().map_or(&[], AsRef::as_ref)),
            thumbprint: Sha256::of(certificate.der()),
        })
    }

    /// A revocation list of this authority's certificates, complete, in PEM. `validity` says when it is
    /// issued and when the next one is due; a later list counts before an earlier one.
    ///
    /// # Errors
    /// [`AuthorityError`] for a serial number that is none, a validity that is none, or too many lines.
    pub fn crl(&self, revoked: &[Revoked], validity: Validity) -> Result<String, AuthorityError> {
        if revoked.len() > MAX_REVOKED {
            return Err(AuthorityError::TooManyRevoked);
        }
        let (begin, end) = validity.seconds()?;
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked_certs = revoked
            .iter()
            .map(|line| {
                let at = seconds(line.at)?;
                Ok(RevokedCertParams {
                    serial_number: SerialNumber::from(serial_bytes(&line.serial)?),
                    revocation_time: epoch + Duration::from_secs(at),
                    reason_code: None,
                    invalidity_date: None,
                })
            })
            .collect::<Result<Vec<_>, AuthorityError>>()?;
        let list = CertificateRevocationListParams {
            this_update: epoch + Duration::from_secs(begin),
            next_update: epoch + Duration::from_secs(end),
            // Has to grow from list to list (RFC 5280 §5.2.3), and so does time.
            crl_number: SerialNumber::from(begin),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .map_err(AuthorityError::Certificate)?;
        list.pem().map_err(AuthorityError::Certificate)
    }

    /// Its own certificate, PEM: of a root, the trust anchor.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Its private key, PKCS#8 PEM. Secret: for [`write_key_file`].
    #[must_use]
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }
}

/// Writes a private key to a new file that its owner alone may read (mode 0600), and waits until it is
/// on disk.
///
/// # Errors
/// As the file system says; also when the file exists, because a key is not to be overwritten.
pub fn write_key_file(path: &Path, key_pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(key_pem.as_bytes())?;
    file.sync_all()
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("serial", &self.serial)
            .field("thumbprint", &self.thumbprint)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeafKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P256",
            Self::Ed25519 => "Ed25519",
            Self::Pkcs8Pem(_) => "Pkcs8Pem(..)",
        })
    }
}

impl Validity {
    fn seconds(self) -> Result<(u64, u64), AuthorityError> {
        let (begin, end) = (seconds(self.not_before)?, seconds(self.not_after)?);
        if begin >= end {
            return Err(AuthorityError::Validity);
        }
        Ok((begin, end))
    }
}

fn seconds(at: Timestamp) -> Result<u64, AuthorityError> {
    u64::try_from(at.as_second()).map_err(|_| AuthorityError::Validity)
}

fn key_pair(key: LeafKey<'_>) -> Result<KeyPair, AuthorityError> {
    match key {
        LeafKey::P256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        LeafKey::Ed25519 => KeyPair::generate_for(&PKCS_ED25519),
        LeafKey::Pkcs8Pem(pem) => KeyPair::from_pem(pem),
    }
    .map_err(AuthorityError::Key)
}

/// ring writes Ed25519 keys as PKCS#8 version 2 in a form that OpenSSL and Python do not read; version 1
/// (RFC 8410 §7), the seed alone, everyone reads. Other keys stay as they are.
fn plain_pkcs8(der: &[u8]) -> Cow<'_, [u8]> {
    const VERSION_2: &[u8] = &[2, 1, 1, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    const VERSION_1: &[u8] = &[
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
    ];
    const SEED: usize = 32;
    let seed = der
        .get(2..)
        .and_then(|rest| rest.strip_prefix(VERSION_2))
        .and_then(|rest| rest.get(..SEED));
    match seed {
        Some(seed) => Cow::Owned([VERSION_1, seed].concat()),
        None => Cow::Borrowed(der),
    }
}

fn named_params(
    name: &str,
    validity: Validity,
    random: &dyn Random,
) -> Result<CertificateParams, AuthorityError> {
    let (begin, end) = validity.seconds()?;
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let mut serial = [0; 16];
    random.fill(&mut serial);
    // Positive, and no leading zero byte: the hexadecimal form is the same everywhere.
    serial[0] = (serial[0] & 0x3f) | 0x40;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, ORGANISATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial.to_vec()));
    params.not_before = epoch + Duration::from_secs(begin);
    params.not_after = epoch + Duration::from_secs(end);
    Ok(params)
}

fn authority_params(
    name: &str,
    validity: Validity,
    constraints: BasicConstraints,
    random: &dyn Random,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = named_params(name, validity, random)?;
    params.is_ca = IsCa::Ca(constraints);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn parsed<'a>(der: &'a CertificateDer<'_>) -> Result<X509Certificate<'a>, AuthorityError> {
    X509Certificate::from_der(der)
        .map(|(_, certificate)| certificate)
        .map_err(|_| AuthorityError::Unreadable)
}

/// RFC 7468 text of a DER value.
fn pem(label: &str, der: &[u8]) -> String {
    const LINE: usize = 64;
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = base64.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(LINE));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn serial_bytes(hex: &str) -> Result<Vec<u8>, AuthorityError> {
    let digits = hex.as_bytes();
    if digits.is_empty() || !digits.len().is_multiple_of(2) || digits.len() > 2 * SERIAL_MAX_BYTES {
        return Err(AuthorityError::Serial);
    }
    let digit = |digit: u8| char::from(digit).to_digit(16).ok_or(AuthorityError::Serial);
    digits
        .chunks_exact(2)
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).map_err(|_| AuthorityError::Serial))
        .collect()
}
