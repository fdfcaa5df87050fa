//! The service's certificate: read at the start, and looked at again while it serves, so that a renewed one is in force
//! without a restart. Files that do not read, or do not belong together, leave in force what was.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use super::{WebError, read};

/// How often the files are looked at.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(60);

/// A certificate chain and its key, in force.
#[derive(Clone)]
pub(super) struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    /// What the files held: the same again changes nothing.
    chain: String,
    key: String,
    acceptor: TlsAcceptor,
}

impl Certificate {
    /// Reads both files.
    ///
    /// # Errors
    /// [`WebError::File`], [`WebError::Tls`].
    pub(super) fn read(chain_file: PathBuf, key_file: PathBuf) -> Result<Self, WebError> {
        let (chain, key) = (read(&chain_file)?, read(&key_file)?);
        let acceptor = acceptor(&chain, &key)?;
        Ok(Self {
            chain_file,
            key_file,
            chain,
            key,
            acceptor,
        })
    }

    /// The one the files hold now; `None` when it is this one. Blocks.
    ///
    /// # Errors
    /// As [`Certificate::read`]: then this one stays. So it is for a moment when one file is new and the other is not yet.
    pub(super) fn renewed(&self) -> Result<Option<Self>, WebError> {
        let (chain, key) = (read(&self.chain_file)?, read(&self.key_file)?);
        if (&chain, &key) == (&self.chain, &self.key) {
            return Ok(None);
        }
        Self::read(self.chain_file.clone(), self.key_file.clone()).map(Some)
    }

    /// What takes connections with it.
    pub(super) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}

fn acceptor(certificate: &str, key: &str) -> Result<TlsAcceptor, WebError> {
    let fault = |error: &dyn std::error::Error| WebError::Tls(error.to_string());
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificate.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| fault(&error))?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|error| fault(&error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| fault(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| fault(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};

    use super::*;

    fn issue() -> CertifiedKey<KeyPair> {
        generate_simple_self_signed(vec!["hub.example".to_owned()]).unwrap()
    }

    /// Whether who trusts this certificate gets through.
    async fn is_met_by(certificate: &Certificate, trusted: &CertifiedKey<KeyPair>) -> bool {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(trusted.cert.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (here, there) = tokio::io::duplex(64 * 1024);
        let client = tokio_rustls::TlsConnector::from(Arc::new(config));
        let name = "hub.example".try_into().unwrap();
        let (client, server) = tokio::join!(client.connect(name, here), certificate.acceptor().accept(there));
        client.is_ok() && server.is_ok()
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_in_force_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (chain_file, key_file) = (dir.path().join("hub.pem"), dir.path().join("hub.key"));
        let (old, new) = (issue(), issue());
        std::fs::write(&chain_file, old.cert.pem()).unwrap();
        std::fs::write(&key_file, old.signing_key.serialize_pem()).unwrap();
        let certificate = Certificate::read(chain_file.clone(), key_file.clone()).unwrap();
        assert!(is_met_by(&certificate, &old).await);
        assert!(certificate.renewed().unwrap().is_none());
        // Half of the new one, nothing, and something else.
        std::fs::write(&chain_file, new.cert.pem()).unwrap();
        assert!(matches!(certificate.renewed(), Err(WebError::Tls(_))));
        std::fs::write(&key_file, "no key").unwrap();
        assert!(matches!(certificate.renewed(), Err(WebError::Tls(_))));
        std::fs::remove_file(&key_file).unwrap();
        assert!(matches!(certificate.renewed(), Err(WebError::File { .. })));
        std::fs::write(&key_file, new.signing_key.serialize_pem()).unwrap();
        let renewed = certificate.renewed().unwrap().unwrap();
        assert!(is_met_by(&renewed, &new).await);
        assert!(!is_met_by(&renewed, &old).await);
        assert!(renewed.renewed().unwrap().is_none());
    }
}
