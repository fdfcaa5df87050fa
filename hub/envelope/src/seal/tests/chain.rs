//! The certificate's way to an anchor: dates, revocation, usage, strength.

use rcgen::{
    BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use truc_model::RefusalCode::{
    CertificateExpired, CertificateNotYetValid, CertificateRevoked, CertificateUntrusted, CertificateUsage,
    CertificateWeakKey,
};

use super::super::{
    AbsentUsage, BoundCertificate, CertificateError, Claims, CrlPolicy, EkuPolicy, MAX_ANCHORS, MAX_CRLS,
    MAX_INTERMEDIATES, MAX_POOL_INTERMEDIATES, MissingCrl, StaleCrl, Trust, TrustError,
};
use super::{
    Checked, DAY, Leaf, NOW, Setting, TestCa, at, ca_params, check, claims, expected, header, leaf_params,
    payload, refused, seal_raw, validity,
};

const P256: &rcgen::SignatureAlgorithm = &rcgen::PKCS_ECDSA_P256_SHA256;

/// Seals with `leaf` and judges it by `trust`.
fn judge(leaf: &Leaf, trust: &Trust) -> Checked {
    check(&leaf.seal(&claims()), &expected(), &[leaf.bound()], trust)
}

/// The same with the intermediates of `above` sent along.
fn judge_with(leaf: &Leaf, above: &TestCa, trust: &Trust) -> Checked {
    let chained = Leaf {
        key: leaf.key.clone(),
        certificate: format!("{}{}", leaf.certificate, above.pem()),
    };
    judge(&chained, trust)
}

#[test]
fn dates_are_judged_at_the_time_of_sealing() {
    let setting = Setting::with_leaf(|params| validity(params, NOW - 100, NOW + 100));
    for (iat, outcome) in [
        (NOW - 100, None),
        (NOW + 100, None),
        (NOW - 101, Some((CertificateNotYetValid, "certificate notBefore"))),
        (NOW + 101, Some((CertificateExpired, "certificate notAfter"))),
    ] {
        let seal = setting.leaf.seal(&Claims {
            iat: at(iat),
            ..claims()
        });
        match outcome {
            None => assert!(setting.verify(&seal).is_ok(), "{iat}"),
            Some((code, place)) => assert_eq!(setting.verify(&seal), refused(code, place), "{iat}"),
        }
    }
}

#[test]
fn dates_the_wrong_way_round_are_no_validity() {
    let setting = Setting::with_leaf(|params| validity(params, NOW + 100, NOW - 100));
    assert_eq!(
        judge(&setting.leaf, &setting.trust),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn another_authority_is_not_trusted() {
    let setting = Setting::usual();
    let other = Trust::new(&[TestCa::root("Root B").pem()]).unwrap();
    // The same name with another key: a signature that this anchor did not make.
    let namesake = Trust::new(&[TestCa::root("Root A").pem()]).unwrap();
    let nobody = Trust::new::<&str>(&[]).unwrap();
    for trust in [&other, &namesake, &nobody] {
        assert_eq!(
            judge(&setting.leaf, trust),
            refused(CertificateUntrusted, "certificate issuer")
        );
    }
    let both = Trust::new(&[TestCa::root("Root B").pem(), setting.ca.pem()]).unwrap();
    assert!(judge(&setting.leaf, &both).is_ok());
}

#[test]
fn a_strangers_expired_certificate_is_a_strangers_first() {
    let expired = Setting::with_leaf(|params| validity(params, NOW - DAY, NOW - 1));
    assert_eq!(
        judge(&expired.leaf, &expired.trust),
        refused(CertificateExpired, "certificate notAfter")
    );
    let other = Trust::new(&[TestCa::root("Root B").pem()]).unwrap();
    assert_eq!(
        judge(&expired.leaf, &other),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn intermediates_come_with_the_certificate_or_from_the_hub() {
    let root = TestCa::root("Root A");
    let below = root.intermediate("Below", |_| ());
    let leaf = below.leaf(P256, |_| ());
    let trust = || Trust::new(&[root.pem()]).unwrap();
    assert_eq!(
        judge(&leaf, &trust()),
        refused(CertificateUntrusted, "certificate issuer")
    );
    assert!(judge_with(&leaf, &below, &trust()).is_ok());
    assert!(judge(&leaf, &trust().with_intermediates(&[below.pem()]).unwrap()).is_ok());
    // An intermediate may be the anchor itself.
    assert!(judge(&leaf, &Trust::new(&[below.pem()]).unwrap()).is_ok());
}

#[test]
fn intermediates_are_judged_too() {
    let root = TestCa::root("Root A");
    let trust = Trust::new(&[root.pem()]).unwrap();

    let expired = root.intermediate("Expired", |params| validity(params, NOW - DAY, NOW - 1));
    assert_eq!(
        judge_with(&expired.leaf(P256, |_| ()), &expired, &trust),
        refused(CertificateExpired, "certificate issuer notAfter")
    );
    let early = root.intermediate("Early", |params| validity(params, NOW + 1, NOW + DAY));
    assert_eq!(
        judge_with(&early.leaf(P256, |_| ()), &early, &trust),
        refused(CertificateNotYetValid, "certificate issuer notBefore")
    );
    let tls_only = root.intermediate("TLS", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    });
    assert_eq!(
        judge_with(&tls_only.leaf(P256, |_| ()), &tls_only, &trust),
        refused(CertificateUsage, "certificate extendedKeyUsage")
    );
    let any = root.intermediate("Any", |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any];
    });
    assert!(judge_with(&any.leaf(P256, |_| ()), &any, &trust).is_ok());
    let short = root.intermediate("Short", |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    let long = short.intermediate("Long", |_| ());
    let leaf = long.leaf(P256, |_| ());
    let chained = Leaf {
        key: leaf.key,
        certificate: format!("{}{}{}", leaf.certificate, long.pem(), short.pem()),
    };
    assert_eq!(
        judge(&chained, &trust),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn a_system_cannot_issue() {
    let root = TestCa::root("Root A");
    let middle = root.intermediate("A system", |params| params.is_ca = IsCa::ExplicitNoCa);
    let leaf = middle.leaf(P256, |_| ());
    assert_eq!(
        judge_with(&leaf, &middle, &Trust::new(&[root.pem()]).unwrap()),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn revoked_is_revoked() {
    let setting = Setting::usual();
    let trust = |crls: &[Vec<u8>]| Trust::new(&[setting.ca.pem()]).unwrap().with_crls(crls).unwrap();
    let der = |crl: rcgen::CertificateRevocationList| crl.der().to_vec();
    let clean = || der(setting.ca.crl(DAY, &[1, 2]));
    let listed = || der(setting.ca.crl(60, &[7]));
    let revoked = || refused(CertificateRevoked, "certificate serialNumber");

    assert!(judge(&setting.leaf, &trust(&[clean()])).is_ok());
    assert_eq!(judge(&setting.leaf, &trust(&[listed()])), revoked());
    let pem = setting.ca.crl(60, &[7]).pem().unwrap().into_bytes();
    assert_eq!(judge(&setting.leaf, &trust(&[pem])), revoked());
    // The newest counts, whatever the order of files.
    assert_eq!(judge(&setting.leaf, &trust(&[clean(), listed()])), revoked());
    assert_eq!(judge(&setting.leaf, &trust(&[listed(), clean()])), revoked());
    let later = trust(&[clean()]).with_crls(&[listed()]).unwrap();
    assert_eq!(judge(&setting.leaf, &later), revoked());
    // Sealed before it was revoked, says the one who may have stolen the key.
    let seal = setting.leaf.seal(&Claims {
        iat: at(NOW - 3600),
        ..claims()
    });
    assert_eq!(
        check(&seal, &expected(), &[setting.leaf.bound()], &trust(&[listed()])),
        revoked()
    );
}

#[test]
fn a_revoked_intermediate_takes_its_leaves_along() {
    let root = TestCa::root("Root A");
    let below = root.intermediate("Below", |params| {
        params.serial_number = Some(SerialNumber::from(99));
    });
    let leaf = below.leaf(P256, |_| ());
    let list = root.crl(60, &[99]).der().to_vec();
    let trust = Trust::new(&[root.pem()]).unwrap().with_crls(&[list]).unwrap();
    assert_eq!(
        judge_with(&leaf, &below, &trust),
        refused(CertificateRevoked, "certificate serialNumber")
    );
}

#[test]
fn silent_lists_mean_what_the_policy_says() {
    let setting = Setting::usual();
    let place = "certificate cRLDistributionPoints";
    let trust = |policy, crls: &[Vec<u8>]| {
        Trust::new(&[setting.ca.pem()])
            .unwrap()
            .with_crls(crls)
            .unwrap()
            .with_crl_policy(policy)
    };
    let strict = CrlPolicy {
        missing: MissingCrl::Refuse,
        stale: StaleCrl::Refuse,
    };
    let other = TestCa::root("Root B").crl(60, &[7]).der().to_vec();
    let fresh = setting.ca.crl(60, &[]).der().to_vec();
    let stale = setting.ca.crl(2 * DAY, &[]).der().to_vec();

    assert!(judge(&setting.leaf, &trust(CrlPolicy::default(), &[])).is_ok());
    assert!(
        judge(
            &setting.leaf,
            &trust(CrlPolicy::default(), std::slice::from_ref(&other))
        )
        .is_ok()
    );
    assert!(
        judge(
            &setting.leaf,
            &trust(CrlPolicy::default(), std::slice::from_ref(&stale))
        )
        .is_ok()
    );
    assert!(judge(&setting.leaf, &trust(strict, &[fresh])).is_ok());
    for crls in [vec![], vec![other], vec![stale]] {
        assert_eq!(
            judge(&setting.leaf, &trust(strict, &crls)),
            refused(CertificateUntrusted, place)
        );
    }
}

#[test]
fn whether_a_list_is_stale_is_judged_now_and_not_when_it_was_sealed() {
    let setting = Setting::usual();
    let trust = |ended: i64, stale| {
        let list = setting.ca.crl(DAY + ended, &[]).der().to_vec();
        Trust::new(&[setting.ca.pem()])
            .unwrap()
            .with_crls(&[list])
            .unwrap()
            .with_crl_policy(CrlPolicy {
                missing: MissingCrl::Refuse,
                stale,
            })
    };
    let place = "certificate cRLDistributionPoints";
    for sealed_before in [0, 1800, 3600] {
        let claims = Claims {
            iat: at(NOW - sealed_before),
            ..claims()
        };
        let judge = |ended, stale| {
            let trust = trust(ended, stale);
            check(
                &setting.leaf.seal(&claims),
                &expected(),
                &[setting.leaf.bound()],
                &trust,
            )
        };
        // In force when it was sealed an hour ago, and ended since.
        assert_eq!(
            judge(1800, StaleCrl::Refuse),
            refused(CertificateUntrusted, place),
            "{sealed_before}"
        );
        assert!(judge(1800, StaleCrl::Use).is_ok());
        assert_eq!(judge(0, StaleCrl::Refuse), refused(CertificateUntrusted, place));
        assert!(judge(-1, StaleCrl::Refuse).is_ok());
    }
}

#[test]
fn a_stale_list_of_an_intermediate_refuses_too() {
    let root = TestCa::root("Root");
    let below = root.intermediate("Below", |_| ());
    let leaf = below.leaf(P256, |_| ());
    let judge = |root_list: i64, below_list: i64| {
        let lists = [
            root.crl(root_list, &[]).der().to_vec(),
            below.crl(below_list, &[]).der().to_vec(),
        ];
        let trust = Trust::new(&[root.pem()])
            .unwrap()
            .with_crls(&lists)
            .unwrap()
            .with_crl_policy(CrlPolicy {
                missing: MissingCrl::Refuse,
                stale: StaleCrl::Refuse,
            });
        judge_with(&leaf, &below, &trust).is_ok()
    };
    assert!(judge(60, 60));
    assert!(!judge(DAY, 60));
    assert!(!judge(60, DAY));
}

#[test]
fn a_forged_list_refuses() {
    let setting = Setting::usual();
    let forged = TestCa::root("Root A").crl(60, &[]).der().to_vec();
    let trust = Trust::new(&[setting.ca.pem()])
        .unwrap()
        .with_crls(&[forged])
        .unwrap();
    assert_eq!(
        judge(&setting.leaf, &trust),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn purposes() {
    use ExtendedKeyUsagePurpose::{Any, ClientAuth, EmailProtection, Other, ServerAuth};
    let absent_refused = || {
        let default = EkuPolicy::default();
        EkuPolicy::new(default.accepted(), AbsentUsage::Refused).unwrap()
    };
    let document_signing = Other(vec![1, 3, 6, 1, 5, 5, 7, 3, 36]);
    for (purposes, policy, holds) in [
        (vec![EmailProtection], EkuPolicy::default(), true),
        (vec![ClientAuth], EkuPolicy::default(), true),
        (vec![document_signing], EkuPolicy::default(), true),
        (vec![ServerAuth, ClientAuth], EkuPolicy::default(), true),
        (vec![], EkuPolicy::default(), true),
        (vec![], absent_refused(), false),
        (vec![ServerAuth], EkuPolicy::default(), false),
        (vec![Any], EkuPolicy::default(), false),
        (vec![EmailProtection], absent_refused(), true),
    ] {
        let setting = Setting::with_leaf(|params| params.extended_key_usages.clone_from(&purposes));
        let trust = setting.trust.with_eku_policy(policy.clone());
        let outcome = judge(&setting.leaf, &trust);
        if holds {
            assert!(outcome.is_ok(), "{purposes:?} {policy:?}");
        } else {
            let place = "certificate extendedKeyUsage";
            assert_eq!(
                outcome,
                refused(CertificateUsage, place),
                "{purposes:?} {policy:?}"
            );
        }
    }
}

#[test]
fn key_usage() {
    use KeyUsagePurpose::{ContentCommitment, DigitalSignature, KeyEncipherment};
    for (usages, holds) in [
        (vec![DigitalSignature], true),
        (vec![ContentCommitment], true),
        (vec![KeyEncipherment, DigitalSignature], true),
        (vec![], true),
        (vec![KeyEncipherment], false),
    ] {
        let setting = Setting::with_leaf(|params| params.key_usages.clone_from(&usages));
        let outcome = judge(&setting.leaf, &setting.trust);
        if holds {
            assert!(outcome.is_ok(), "{usages:?}");
        } else {
            assert_eq!(
                outcome,
                refused(CertificateUsage, "certificate keyUsage"),
                "{usages:?}"
            );
        }
    }
}

#[test]
fn an_authority_does_not_seal() {
    let setting = Setting::with_leaf(|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages.push(KeyUsagePurpose::KeyCertSign);
    });
    assert!(setting.leaf.bound().is_ca());
    assert_eq!(
        judge(&setting.leaf, &setting.trust),
        refused(CertificateUsage, "certificate basicConstraints")
    );
}

#[test]
fn a_self_signed_certificate_vouches_for_nobody() {
    let key = KeyPair::generate().unwrap();
    let own = leaf_params().self_signed(&key).unwrap();
    assert_eq!(
        Trust::new(&[own.pem()]).unwrap_err(),
        TrustError::NotAnAuthority { number: 1 }
    );
    let leaf = Leaf {
        key: key.serialize_pem(),
        certificate: own.pem(),
    };
    assert_eq!(
        judge(&leaf, &Setting::usual().trust),
        refused(CertificateUntrusted, "certificate issuer")
    );
    // Nor when it calls itself an authority and is an anchor.
    let key = KeyPair::generate().unwrap();
    let own = ca_params("so-tnmt").self_signed(&key).unwrap();
    let leaf = Leaf {
        key: key.serialize_pem(),
        certificate: own.pem(),
    };
    assert_eq!(
        judge(&leaf, &Trust::new(&[own.pem()]).unwrap()),
        refused(CertificateUsage, "certificate basicConstraints")
    );
}

#[test]
fn another_curve_is_refused_after_the_chain() {
    let setting = Setting::usual();
    let p384 = setting.ca.leaf(&rcgen::PKCS_ECDSA_P384_SHA384, |_| ());
    // The key cannot be loaded for sealing; any signature will do, none is looked at.
    let seal = seal_raw(&setting.leaf, &header(&p384), &payload());
    let bound = [p384.bound()];
    assert_eq!(
        check(&seal, &expected(), &bound, &setting.trust),
        refused(CertificateWeakKey, "certificate subjectPublicKeyInfo")
    );
    let other = Trust::new(&[TestCa::root("Root B").pem()]).unwrap();
    assert_eq!(
        check(&seal, &expected(), &bound, &other),
        refused(CertificateUntrusted, "certificate issuer")
    );
}

#[test]
fn limits_at_their_edges() {
    let ca = TestCa::root("Root A");
    let leaf = ca.leaf(P256, |params| {
        params.distinguished_name.push(DnType::CommonName, "Leaf");
    });
    let with = |count: usize| format!("{}{}", leaf.certificate, ca.pem().repeat(count));
    assert!(BoundCertificate::from_pem(&with(MAX_INTERMEDIATES)).is_ok());
    assert_eq!(
        BoundCertificate::from_pem(&with(MAX_INTERMEDIATES + 1)),
        Err(CertificateError::TooManyIntermediates)
    );
    let anchors = |count: usize| Trust::new(&[ca.pem().repeat(count)]);
    assert!(anchors(MAX_ANCHORS).is_ok());
    assert!(matches!(
        anchors(MAX_ANCHORS + 1),
        Err(TrustError::TooMany { .. })
    ));
    let pool = |count: usize| anchors(1).unwrap().with_intermediates(&vec![ca.pem(); count]);
    assert!(pool(MAX_POOL_INTERMEDIATES).is_ok());
    assert!(matches!(
        pool(MAX_POOL_INTERMEDIATES + 1),
        Err(TrustError::TooMany { .. })
    ));
    let list = ca.crl(60, &[]).der().to_vec();
    let lists = |count: usize| anchors(1).unwrap().with_crls(&vec![list.clone(); count]);
    assert!(lists(MAX_CRLS).is_ok());
    assert!(matches!(lists(MAX_CRLS + 1), Err(TrustError::TooMany { .. })));
}

#[test]
fn files_that_hold_nothing_useful_are_named_by_number() {
    let ca = TestCa::root("Root A");
    let leaf = ca.leaf(P256, |_| ());
    let error = |texts: &[&str]| Trust::new(texts).unwrap_err();
    let no_certificate = |number| TrustError::Certificate {
        number,
        source: CertificateError::NoCertificate,
    };
    assert_eq!(error(&[&ca.pem(), ""]), no_certificate(2));
    assert_eq!(error(&[&leaf.key]), no_certificate(1));
    assert_eq!(
        error(&[&ca.pem(), &leaf.certificate]),
        TrustError::NotAnAuthority { number: 2 }
    );
    for bad in ["", "no list", &ca.pem(), "0"] {
        assert_eq!(
            Trust::new(&[ca.pem()]).unwrap().with_crls(&[bad]).unwrap_err(),
            TrustError::Crl { number: 1 },
            "{bad}"
        );
    }
}
