//! Seals that hold, and the keys they are made with.

use truc_model::SignatureState;

use super::super::{Algorithm, KeyError, SealingKey, Trust, verify};
use super::{Leaf, NOW, TestCa, at, claims, expected};

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
        let expected = SignatureState::Valid {
            strength: truc_model::SignatureStrength::Current,
            algorithm: algorithm.as_str().to_owned(),
            certificate: leaf.bound().thumbprint().to_string(),
            signer: "Sở Tài nguyên".to_owned(),
            signed_at: Some(at(NOW)),
        };
        assert_eq!(SignatureState::from(valid), expected);
    }
}

#[test]
fn a_certificate_without_a_name_is_named_by_its_serial() {
    let ca = TestCa::root("Root A");
    let leaf = ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        params.distinguished_name = rcgen::DistinguishedName::new();
    });
    assert_eq!(leaf.bound().subject_cn(), None);
    let trust = Trust::new(&[ca.pem()]).unwrap();
    let valid = verify(&leaf.seal(&claims()), &expected(), &[leaf.bound()], &trust).unwrap();
    assert_eq!(valid.signer(), "serial 07");
}

#[test]
fn key_and_certificate_must_belong_together() {
    let ca = TestCa::root("Root A");
    let one = ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |_| ());
    let two = ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |_| ());
    let ed = ca.leaf(&rcgen::PKCS_ED25519, |_| ());
    let p384 = ca.leaf(&rcgen::PKCS_ECDSA_P384_SHA384, |_| ());
    let from = |key: &Leaf, certificate: &Leaf| SealingKey::from_pem(&key.key, &certificate.certificate);
    assert!(from(&one, &one).is_ok());
    assert!(matches!(from(&one, &two), Err(KeyError::Mismatch)));
    assert!(matches!(from(&ed, &one), Err(KeyError::Rejected(_))));
    assert!(matches!(from(&p384, &p384), Err(KeyError::Unsupported(_))));
    for no_key in ["", "no key", &one.certificate] {
        assert!(matches!(
            SealingKey::from_pem(no_key, &one.certificate),
            Err(KeyError::Form)
        ));
    }
    assert!(matches!(
        SealingKey::from_pem(&one.key, "no certificate"),
        Err(KeyError::Certificate(_))
    ));
    assert!(matches!(
        one.sealing_key().with_algorithm(Algorithm::Rs256),
        Err(KeyError::AlgorithmDoesNotFit { .. })
    ));
}

#[test]
fn debug_does_not_show_the_key() {
    let ca = TestCa::root("Root A");
    for keys in [&rcgen::PKCS_ECDSA_P256_SHA256, &rcgen::PKCS_ED25519] {
        let leaf = ca.leaf(keys, |_| ());
        let shown = format!("{:?}", leaf.sealing_key());
        assert!(shown.starts_with("SealingKey { algorithm: "), "{shown}");
        assert!(!shown.to_lowercase().contains("pair"), "{shown}");
        assert!(!shown.contains(leaf.key.lines().nth(1).unwrap()), "{shown}");
    }
}
