//! A chain that was proven once is not proven again, and is refused all the same as soon as it would be.

use truc_model::RefusalCode::{
    CertificateExpired, CertificateNotYetValid, CertificateRevoked, CertificateUntrusted, CertificateUsage,
};

use super::super::{AbsentUsage, Claims, CrlPolicy, EkuPolicy, Expected, MissingCrl, StaleCrl, Trust};
use super::{Checked, DAY, Leaf, NOW, Setting, TestCa, at, check, claims, expected, refused, validity};

const P256: &rcgen::SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;

/// Seals at one moment and judges at another.
fn judge(leaf: &Leaf, trust: &Trust, signed_at: i64, now: i64) -> Checked {
    let seal = leaf.seal(&Claims {
        iat: at(signed_at),
        ..claims()
    });
    let expected = Expected {
        now: at(now),
        ..expected()
    };
    check(&seal, &expected, &[leaf.bound()], trust)
}

fn is_proven(leaf: &Leaf, trust: &Trust, signed_at: i64, now: i64) -> bool {
    trust.proven.holds(leaf.bound().chain(), signed_at, now)
}

fn with(leaf: &Leaf, above: &[&TestCa]) -> Leaf {
    let above: String = above.iter().map(|ca| ca.pem()).collect();
    Leaf {
        key: leaf.key.clone(),
        certificate: format!("{}{above}", leaf.certificate),
    }
}

#[test]
fn a_proof_ends_with_the_first_certificate_of_the_path() {
    let root = TestCa::root("Root");
    let below = root.intermediate("Below", |params| validity(params, NOW - 50, NOW + 50));
    let leaf = below.leaf(P256, |params| validity(params, NOW - 100, NOW + 20));
    let leaf = with(&leaf, &[&below]);
    let trust = Trust::new(&[root.pem()]).unwrap();
    assert!(!is_proven(&leaf, &trust, NOW, NOW));
    assert!(judge(&leaf, &trust, NOW, NOW).is_ok());
    for (signed_at, holds) in [
        (NOW - 51, false),
        (NOW - 50, true),
        (NOW + 20, true),
        (NOW + 21, false),
    ] {
        assert_eq!(
            is_proven(&leaf, &trust, signed_at, NOW + 60),
            holds,
            "{signed_at}"
        );
    }
    assert!(judge(&leaf, &trust, NOW - 50, NOW).is_ok());
    let early = refused(CertificateNotYetValid, "certificate issuer notBefore");
    assert_eq!(judge(&leaf, &trust, NOW - 51, NOW), early);
    let expired = refused(CertificateExpired, "certificate notAfter");
    assert_eq!(judge(&leaf, &trust, NOW + 21, NOW + 21), expired);
    // Neither of these took the proof away, or widened it.
    assert!(is_proven(&leaf, &trust, NOW, NOW) && !is_proven(&leaf, &trust, NOW + 21, NOW + 21));
}

#[test]
fn what_is_refused_is_never_proven() {
    let setting = Setting::with_leaf(|params| validity(params, NOW - 100, NOW + 100));
    let stranger = Trust::new(&[TestCa::root("Root B").pem()]).unwrap();
    for (trust, signed_at) in [
        (&stranger, NOW),
        (&setting.trust, NOW - 101),
        (&setting.trust, NOW + 101),
    ] {
        assert!(judge(&setting.leaf, trust, signed_at, NOW).is_err());
        assert!(!is_proven(&setting.leaf, trust, signed_at, NOW));
        assert!(!is_proven(&setting.leaf, trust, NOW, NOW));
    }
}

#[test]
fn a_chain_is_proven_with_the_intermediates_it_came_with() {
    let root = TestCa::root("Root");
    let below = root.intermediate("Below", |_| ());
    let leaf = below.leaf(P256, |_| ());
    let trust = Trust::new(&[root.pem()]).unwrap();
    assert!(judge(&with(&leaf, &[&below]), &trust, NOW, NOW).is_ok());
    let alone = refused(CertificateUntrusted, "certificate issuer");
    assert_eq!(judge(&leaf, &trust, NOW, NOW), alone);
    assert!(!is_proven(&with(&leaf, &[&root, &below]), &trust, NOW, NOW));
}

#[test]
fn lists_read_anew_begin_without_proofs() {
    let setting = Setting::usual();
    let trust = Trust::new(&[setting.ca.pem()]).unwrap();
    assert!(judge(&setting.leaf, &trust, NOW, NOW).is_ok());
    assert!(is_proven(&setting.leaf, &trust, NOW, NOW));
    let list = setting.ca.crl(60, &[7]).der().to_vec();
    let trust = trust.with_crls(&[list]).unwrap();
    assert!(!is_proven(&setting.leaf, &trust, NOW, NOW));
    assert_eq!(
        judge(&setting.leaf, &trust, NOW, NOW),
        refused(CertificateRevoked, "certificate serialNumber")
    );
}

#[test]
fn a_proof_ends_with_the_lists_that_the_policy_needs() {
    let root = TestCa::root("Root");
    let below = root.intermediate("Below", |_| ());
    let leaf = with(&below.leaf(P256, |_| ()), &[&below]);
    // Good until NOW + 10 and NOW + 20.
    let lists = [
        root.crl(DAY - 10, &[]).der().to_vec(),
        below.crl(DAY - 20, &[]).der().to_vec(),
    ];
    let trust = |stale| {
        Trust::new(&[root.pem()])
            .unwrap()
            .with_crls(&lists)
            .unwrap()
            .with_crl_policy(CrlPolicy {
                missing: MissingCrl::Refuse,
                stale,
            })
    };
    let strict = trust(StaleCrl::Refuse);
    assert!(judge(&leaf, &strict, NOW, NOW).is_ok());
    assert!(is_proven(&leaf, &strict, NOW, NOW + 9));
    assert!(judge(&leaf, &strict, NOW, NOW + 9).is_ok());
    assert_eq!(
        judge(&leaf, &strict, NOW, NOW + 10),
        refused(CertificateUntrusted, "certificate cRLDistributionPoints")
    );
    let lenient = trust(StaleCrl::Use);
    assert!(judge(&leaf, &lenient, NOW, NOW).is_ok());
    assert!(is_proven(&leaf, &lenient, NOW, NOW + DAY));
    assert!(judge(&leaf, &lenient, NOW, NOW + DAY).is_ok());
}

#[test]
fn another_policy_begins_without_proofs() {
    let setting = Setting::with_leaf(|params| params.extended_key_usages.clear());
    let trust = Trust::new(&[setting.ca.pem()]).unwrap();
    assert!(judge(&setting.leaf, &trust, NOW, NOW).is_ok());
    let accepted = EkuPolicy::default();
    let policy = EkuPolicy::new(accepted.accepted(), AbsentUsage::Refused).unwrap();
    let trust = trust.with_eku_policy(policy);
    assert!(!is_proven(&setting.leaf, &trust, NOW, NOW));
    // A purpose that is missing is found whether the chain was proven before or not.
    for _ in 0..2 {
        assert_eq!(
            judge(&setting.leaf, &trust, NOW, NOW),
            refused(CertificateUsage, "certificate extendedKeyUsage")
        );
    }
    assert!(is_proven(&setting.leaf, &trust, NOW, NOW));
    let strict = CrlPolicy {
        missing: MissingCrl::Refuse,
        stale: StaleCrl::Refuse,
    };
    let trust = Trust::new(&[setting.ca.pem()]).unwrap();
    assert!(judge(&setting.leaf, &trust, NOW, NOW).is_ok());
    let trust = trust.with_crl_policy(strict);
    assert!(judge(&setting.leaf, &trust, NOW, NOW).is_err());
}
