//! Both ways over every algorithm and canonicalisation: what others sign we accept, what we sign they accept.
//! Where a program does not know an algorithm, that is counted and said.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use truc_envelope::dsig::{
    Canonicalization, DigestAlgorithm, DsigPolicy, DsigVerdict, Sha1Policy, SignOptions, SignatureAlgorithm,
    sign, verify,
};
use truc_envelope::seal::Trust;
use truc_model::{Clock as _, SystemClock};
use truc_oracles::{Bergshamra, Generator, Kind, Pki, Signer, Template, Xmlsec, is_there, packet, seed};

/// Algorithms with the keys that make them. xmlsec1 1.2 knows neither PSS nor Ed25519.
const MATRIX: [(SignatureAlgorithm, Kind, Xmlsec1); 12] = [
    (SignatureAlgorithm::RsaSha1, Kind::Rsa, Xmlsec1::Knows),
    (SignatureAlgorithm::RsaSha256, Kind::Rsa, Xmlsec1::Knows),
    (SignatureAlgorithm::RsaSha384, Kind::Rsa, Xmlsec1::Knows),
    (SignatureAlgorithm::RsaSha512, Kind::Rsa, Xmlsec1::Knows),
    (SignatureAlgorithm::RsaPssSha256, Kind::Rsa, Xmlsec1::Lacks),
    (SignatureAlgorithm::RsaPssSha384, Kind::Rsa, Xmlsec1::Lacks),
    (SignatureAlgorithm::RsaPssSha512, Kind::Rsa, Xmlsec1::Lacks),
    (SignatureAlgorithm::EcdsaSha256, Kind::P256, Xmlsec1::Knows),
    (SignatureAlgorithm::EcdsaSha384, Kind::P256, Xmlsec1::Knows),
    (SignatureAlgorithm::EcdsaSha256, Kind::P384, Xmlsec1::Knows),
    (SignatureAlgorithm::EcdsaSha384, Kind::P384, Xmlsec1::Knows),
    (SignatureAlgorithm::Ed25519, Kind::Ed25519, Xmlsec1::Lacks),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Xmlsec1 {
    Knows,
    Lacks,
}

/// Our verdict, SHA-1 allowed.
fn ours(signed: &str, trust: &Trust) -> DsigVerdict {
    let policy = DsigPolicy {
        sha1: Sha1Policy::Allowed,
        ..DsigPolicy::default()
    };
    verify(signed.as_bytes(), &policy, trust, SystemClock.now())
}

fn assert_accepted(signed: &str, trust: &Trust, what: &str) {
    let verdict = ours(signed, trust);
    assert!(
        matches!(verdict, DsigVerdict::Valid(_)),
        "{what}: {verdict:?}\n{signed}"
    );
    // Nor by chance: one letter makes the difference.
    let changed = signed.replacen("JVBERi0xLjc=", "JVBERi0xLjg=", 1);
    assert!(matches!(ours(&changed, trust), DsigVerdict::Invalid(_)), "{what}");
}

fn templates(algorithm: SignatureAlgorithm) -> Vec<Template> {
    let mut templates = Vec::new();
    for canonicalization in Canonicalization::ALL {
        for (transform, prefixes) in [
            (Some(*canonicalization), ""),
            (None, ""),
            (Some(Canonicalization::Exclusive), "edXML #default unused"),
            (Some(Canonicalization::Inclusive), "p q"),
        ] {
            templates.push(Template {
                canonicalization: *canonicalization,
                transform,
                algorithm,
                digest: DigestAlgorithm::ALL[templates.len() % DigestAlgorithm::ALL.len()],
                prefixes: prefixes.to_owned(),
            });
        }
    }
    templates
}

#[test]
fn what_xmlsec1_signs_we_accept() {
    if !is_there("xmlsec1") || !is_there("openssl") {
        return;
    }
    let pki = Pki::new();
    let (trust, xmlsec) = (pki.trust(), Xmlsec::new(&pki));
    let mut generator = Generator::new(seed(1));
    let mut count = 0;
    for (algorithm, kind, _) in MATRIX
        .into_iter()
        .filter(|(_, _, knows)| *knows == Xmlsec1::Knows)
    {
        let signer = pki.signer(kind);
        for template in templates(algorithm) {
            let packet = packet(&generator.content());
            let signed = xmlsec.sign(&template.insert(&packet, &signer.der), &signer);
            assert_accepted(&signed, &trust, &format!("{template:?} {kind:?}"));
            count += 1;
        }
    }
    eprintln!("xmlsec1 signs, we accept: {count} of {count}");
}

#[test]
fn what_bergshamra_signs_we_accept() {
    if !is_there("openssl") {
        return;
    }
    let pki = Pki::new();
    let trust = pki.trust();
    // Why plain: see `canonical.rs`.
    let mut generator = Generator::new(seed(2)).with_plain_line_ends();
    let mut count = 0;
    let mut lacks = Vec::new();
    for (algorithm, kind, _) in MATRIX {
        let signer = pki.signer(kind);
        for template in templates(algorithm) {
            let packet = packet(&generator.content());
            match Bergshamra::sign(&template.insert(&packet, &signer.der), &signer) {
                Ok(signed) => {
                    assert_accepted(&signed, &trust, &format!("{template:?} {kind:?}"));
                    count += 1;
                }
                Err(why) => lacks.push(format!("{algorithm} {kind:?}: {why}")),
            }
        }
    }
    lacks.dedup();
    eprintln!("bergshamra signs, we accept: {count} of {count}; it does not sign: {lacks:?}");
    assert!(count >= 150, "{count}");
}

/// All that we sign, for both to look at.
fn signed_by_us(pki: &Pki, each: &mut dyn FnMut(&str, &Signer, SignatureAlgorithm, Xmlsec1)) -> usize {
    let mut generator = Generator::new(seed(3)).with_plain_line_ends();
    let mut count = 0;
    for (algorithm, kind, xmlsec1) in MATRIX {
        let signer = pki.signer(kind);
        // SHA-1, and a curve with the other one's digest, are verified and never made.
        let Ok(key) = signer.signing_key().with_algorithm(algorithm) else {
            continue;
        };
        for canonicalization in Canonicalization::ALL {
            for (digest, prefixes) in [
                (DigestAlgorithm::Sha256, vec![]),
                (DigestAlgorithm::Sha384, vec!["edXML".to_owned(), String::new()]),
                (DigestAlgorithm::Sha512, vec!["unused".to_owned()]),
            ] {
                let exclusive = canonicalization.uri().contains("exc");
                let options = SignOptions {
                    canonicalization: *canonicalization,
                    digest,
                    prefixes: if exclusive { prefixes } else { vec![] },
                };
                let packet = packet(&generator.content());
                let signed = sign(packet.as_bytes(), &key, &options).unwrap();
                let signed = String::from_utf8(signed).unwrap();
                assert_accepted(&signed, &pki.trust(), &format!("{options:?}"));
                each(&signed, &signer, algorithm, xmlsec1);
                count += 1;
            }
        }
    }
    count
}

#[test]
fn what_we_sign_both_accept() {
    if !is_there("openssl") {
        return;
    }
    let pki = Pki::new();
    let xmlsec = is_there("xmlsec1").then(|| Xmlsec::new(&pki));
    let (mut by_xmlsec, mut by_bergshamra) = (0, 0);
    let count = signed_by_us(&pki, &mut |signed, signer, algorithm, xmlsec1| {
        if let Some(xmlsec) = xmlsec.as_ref().filter(|_| xmlsec1 == Xmlsec1::Knows) {
            assert!(xmlsec.accepts(signed), "xmlsec1, {algorithm}: {signed}");
            by_xmlsec += 1;
        }
        let verdict = Bergshamra::verify(signed, &signer.der);
        assert_eq!(verdict, Ok(()), "bergshamra, {algorithm}: {signed}");
        by_bergshamra += 1;
    });
    eprintln!(
        "we sign {count}: xmlsec1 accepts {by_xmlsec} of the {by_xmlsec} it knows, bergshamra {by_bergshamra}"
    );
}
