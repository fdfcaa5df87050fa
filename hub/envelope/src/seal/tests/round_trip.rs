//! Seals that hold: all four algorithms, from key files as people have them.

use truc_model::SignatureState;

use super::super::{Algorithm, Trust, verify};
use super::{NOW, TestCa, at, claims, expected};

#[test]
fn p256_and_ed25519_hold() {
    let ca = TestCa::root("Root A");
    let trust = Trust::new(&[ca.pem()]).unwrap();
    for (keys, algorithm) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, Algorithm::Es256),
        (&rcgen::PKCS_ED25519, Algorithm::EdDsa),
    ] {
        let leaf = ca.leaf(keys, |_| ());
        let seal = leaf.seal(&claims());
        let valid = verify(&seal, &expected(), &[leaf.bound()], &trust).unwrap();
        assert_eq!(valid.algorithm(), algorithm);
        assert_eq!(valid.thumbprint(), leaf.bound().thumbprint());
        assert_eq!(valid.signer(), "Sở Tài nguyên");
        assert_eq!(valid.signed_at(), at(NOW));
        let SignatureState::Valid { algorithm: word, certificate, signer, signed_at } = valid.into() else {
            panic!("a valid seal makes a valid state");
        };
        assert_eq!(word, algorithm.as_str());
        assert_eq!(certificate, leaf.bound().thumbprint().to_string());
        assert_eq!((signer.as_str(), signed_at), ("Sở Tài nguyên", Some(at(NOW))));
    }
}
