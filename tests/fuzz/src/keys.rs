//! Keys and certificates that are the same at every run, so that what a fuzzer found is found again. Each key's
//! name is its secret: they are nobody's.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use truc_model::Sha256;

/// 2026-06-01T00:00:00Z: the certificates are valid round it, and verdicts are as of it.
pub(crate) const NOW: i64 = 1_780_272_000;
/// Days before and after for which the certificates are valid.
const VALID_DAYS: u64 = 100;

pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap()
}

/// A signer below an authority of its own.
pub(crate) struct Signer {
    /// The authority's certificate, PEM.
    pub(crate) anchor: String,
    /// The signer's, PEM.
    pub(crate) certificate: String,
    /// Its Ed25519 key, PKCS#8 in PEM.
    pub(crate) key: String,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let mut root = params("fuzz root");
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        root.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(root, key("fuzz root")).unwrap();
        let mut leaf = params("fuzz signer");
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::EmailProtection];
        let key = key("fuzz signer");
        let certificate = leaf.signed_by(&key, &issuer).unwrap();
        Self {
            anchor: issuer.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}

fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(7));
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let now = epoch + Duration::from_secs(NOW.unsigned_abs());
    let valid = Duration::from_secs(VALID_DAYS * 24 * 60 * 60);
    params.not_before = now - valid;
    params.not_after = now + valid;
    params
}

/// An Ed25519 key; RFC 8410 §7: the seed in its wrapping.
pub(crate) fn key(name: &str) -> KeyPair {
    KeyPair::try_from(pkcs8(name)).unwrap()
}

pub(crate) fn pkcs8(name: &str) -> Vec<u8> {
    let mut der = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    der.extend_from_slice(Sha256::of(format!("truc test key {name}").as_bytes()).as_bytes());
    der
}
