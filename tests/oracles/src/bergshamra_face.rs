//! bergshamra, as far as it is compared with.

use bergshamra::c14n::{C14nMode, canonicalize};
use bergshamra::{DsigContext, KeysManager};
use truc_envelope::dsig::Canonicalization;

use crate::keys::{Kind, Signer};

/// bergshamra with one signer.
#[derive(Debug)]
pub struct Bergshamra;

impl Bergshamra {
    /// Fills in a template's signature.
    ///
    /// # Errors
    /// Its own words.
    pub fn sign(template: &str, signer: &Signer) -> Result<String, String> {
        let pem = std::fs::read(&signer.key).expect("a key");
        use bergshamra::keys::loader;
        let key = match signer.kind {
            Kind::Rsa => loader::load_rsa_private_pem(&pem),
            Kind::P256 => loader::load_ec_p256_private_pem(&pem),
            Kind::P384 => loader::load_ec_p384_private_pem(&pem),
            Kind::Ed25519 => loader::load_pem_auto(&pem, None),
        };
        let mut keys = KeysManager::new();
        keys.add_key(key.map_err(|error| error.to_string())?);
        bergshamra::sign(&DsigContext::new(keys), template).map_err(|error| error.to_string())
    }

    /// Whether it holds by this certificate, in DER.
    ///
    /// # Errors
    /// Why not, in its own words.
    pub fn verify(signed: &str, certificate: &[u8]) -> Result<(), String> {
        let mut keys = KeysManager::new();
        let key = bergshamra::keys::loader::load_x509_cert_der(certificate);
        keys.add_key(key.map_err(|error| error.to_string())?);
        match bergshamra::verify(&DsigContext::new(keys), signed) {
            Ok(verdict) if verdict.is_valid() && verdict.all_reference_digests_verified() => Ok(()),
            Ok(verdict) => Err(format!("{verdict:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Whether it holds by the certificate in it, which this root (DER) must have issued.
    ///
    /// # Errors
    /// Why not, in its own words.
    pub fn verify_by_chain(signed: &str, root: &[u8]) -> Result<(), String> {
        let mut keys = KeysManager::new();
        keys.add_trusted_cert(root.to_vec());
        let context = DsigContext::new(keys).with_trusted_keys_only(false);
        match bergshamra::verify(&context, signed) {
            Ok(verdict) if verdict.is_valid() && verdict.all_reference_digests_verified() => Ok(()),
            Ok(verdict) => Err(format!("{verdict:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Its canonical form of a document.
    ///
    /// # Errors
    /// Its own words.
    pub fn canonical(document: &str, form: Canonicalization, prefixes: &[&str]) -> Result<Vec<u8>, String> {
        let mode = C14nMode::from_uri(form.uri()).expect("a form that it has");
        canonicalize(document, mode, None, prefixes).map_err(|error| error.to_string())
    }
}
