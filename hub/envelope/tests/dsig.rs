//! XML signatures as a whole: what is signed is accepted, what is changed is not, and whatever comes in
//! has a verdict.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod dsig_support;

use dsig_support::{
    Ca, DSIG, ENVELOPED, EXCLUSIVE, Leaf, Recipe, judge, method, now, packet, part, reference, replaced,
    signature, transforms, with_signature, word, x509,
};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof, proptest};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};
use truc_envelope::dsig::{
    Canonicalization, DigestAlgorithm, DsigPolicy, DsigReason, DsigVerdict, MAX_CERTIFICATE_BYTES,
    MAX_CERTIFICATES, MAX_PREFIXES, MAX_VALUE_BYTES, Sha1Policy, SignError, SignOptions, SignatureAlgorithm,
    Strength, canonical_form, sign, verify, verify_with_candidates,
};
use truc_envelope::seal::{BoundCertificate, Trust};
use truc_envelope::{DocumentPacket, Limits, Packet, SignaturePresence, read};
use truc_model::SignatureState;

/// A root, a leaf of it and the trust in it.
fn setting() -> (Ca, Leaf, Trust) {
    let ca = Ca::root("root");
    let leaf = ca.leaf("signer", |_| ());
    let trust = Trust::new(&[ca.pem()]).unwrap();
    (ca, leaf, trust)
}

/// What a packet says, but for where in it the attachments stand; `None` when it is refused.
fn facts(packet: &[u8]) -> Option<DocumentPacket> {
    let Packet::Document(mut document) = read(packet, &Limits::default()).ok()?.packet else {
        panic!("a document was expected");
    };
    for attachment in &mut document.attachments {
        attachment.encoded = 0..0;
    }
    Some(*document)
}

#[test]
fn what_is_signed_is_accepted_by_every_kind_of_key_and_form() {
    let (ca, ed25519, trust) = setting();
    let made = |algorithm| {
        let key = KeyPair::generate_for(algorithm).unwrap();
        ca.leaf_for(&key, key.serialize_pem(), |_| ())
    };
    let kinds = [
        (ed25519, SignatureAlgorithm::Ed25519),
        (made(&PKCS_ECDSA_P256_SHA256), SignatureAlgorithm::EcdsaSha256),
        (made(&PKCS_ECDSA_P384_SHA384), SignatureAlgorithm::EcdsaSha384),
    ];
    let unsigned = packet();
    for (leaf, algorithm) in kinds {
        for canonicalization in Canonicalization::ALL {
            for digest in [
                DigestAlgorithm::Sha256,
                DigestAlgorithm::Sha384,
                DigestAlgorithm::Sha512,
            ] {
                let options = SignOptions {
                    canonicalization: *canonicalization,
                    digest,
                    prefixes: Vec::new(),
                };
                let signed = sign(unsigned.as_bytes(), &leaf.signing_key(), &options).unwrap();
                let text = String::from_utf8(signed.clone()).unwrap();
                assert_eq!(replaced(&text, signature(&text), ""), unsigned);
                let DsigVerdict::Valid(valid) = verify(&signed, &DsigPolicy::default(), &trust, now()) else {
                    panic!(
                        "{algorithm} {canonicalization} {digest}: {:?}",
                        judge(&text, &trust)
                    );
                };
                assert_eq!(valid.algorithm(), algorithm);
                assert_eq!(valid.canonicalization(), *canonicalization);
                assert_eq!(valid.digest(), digest);
                assert_eq!(valid.thumbprint(), leaf.signing_key().certificate().thumbprint());
                assert_eq!(valid.signer(), "Sở Tài nguyên và Môi trường");
                assert_eq!(valid.strength(), Strength::Current);
                let state = SignatureState::from(DsigVerdict::Valid(valid));
                assert!(
                    matches!(&state, SignatureState::Valid { signed_at: None, .. }),
                    "{state:?}"
                );
            }
        }
    }
}

#[test]
fn signed_packets_read_as_they_did_before() {
    let (_, leaf, _) = setting();
    let signed = leaf.sign(&packet());
    let mut after = facts(signed.as_bytes()).unwrap();
    assert_eq!(after.signature, SignaturePresence::XmlDsig);
    after.signature = SignaturePresence::Absent;
    assert_eq!(Some(after), facts(packet().as_bytes()));
}

/// The canonical form is what was signed: reading it must give the same facts, or the reader would read
/// something else than the signer signed.
#[test]
fn what_is_read_is_what_was_signed() {
    let (_, leaf, trust) = setting();
    let odd = replaced(&packet(), "1234</", "12<!-- x -->3<![CDATA[4]]></");
    let odd = replaced(&odd, "báo cáo &lt;", "báo&#32;c&#xE1;o &#60;").replace('\n', "\r\n");
    let signed = leaf.sign(&odd);
    assert_eq!(word(&judge(&signed, &trust)), "valid");
    for form in [Canonicalization::Inclusive, Canonicalization::Exclusive] {
        let canonical = canonical_form(signed.as_bytes(), form, &[], &Limits::default()).unwrap();
        assert_eq!(facts(&canonical), facts(signed.as_bytes()));
        assert!(facts(&canonical).is_some());
    }
}

/// Every byte of a signed packet is put wrong in turn. Where the verdict still is valid, nothing that
/// anyone reads has changed.
#[test]
fn no_byte_can_be_changed_unseen() {
    let (_, leaf, trust) = setting();
    let signed = leaf.sign(&packet());
    let original = facts(signed.as_bytes());
    let (mut tried, mut valid) = (0, 0);
    for at in (0..signed.len()).filter(|at| signed.is_char_boundary(*at) && signed.is_char_boundary(at + 1)) {
        let other = if &signed[at..=at] == "A" { "B" } else { "A" };
        let changed = format!("{}{other}{}", &signed[..at], &signed[at + 1..]);
        tried += 1;
        if word(&judge(&changed, &trust)) == "valid" {
            valid += 1;
            assert_eq!(facts(changed.as_bytes()), original, "byte {at}");
        }
    }
    assert!(tried > 3000, "{tried}");
    // None at all would also be right; a few could be in the declaration's or a comment's letters.
    assert_eq!(valid, 0, "of {tried}");
}

#[test]
fn what_there_is_instead_of_a_signature() {
    let (_, _, trust) = setting();
    let check = |inserted: &str, expected: &str| {
        assert_eq!(
            word(&judge(&with_signature(&packet(), inserted), &trust)),
            expected,
            "{inserted}"
        );
    };
    check("", "absent none");
    check("<edXML:Signature/>", "absent empty");
    check("<Signature> \n </Signature>", "absent empty");
    check("<edXML:DigitalSignature/>", "absent empty");
    check(
        "<edXML:DigitalSignature>x</edXML:DigitalSignature>",
        "absent edxml-namespace",
    );
    check("<Signature><SignedInfo/></Signature>", "absent edxml-namespace");
    check(&format!("<Signature xmlns=\"{DSIG}\"/>"), "absent empty");
    check(
        &format!("<Signature xmlns=\"{DSIG}\"> <!--x--></Signature>"),
        "dsig-form",
    );
    check(
        "<x:Signature xmlns:x=\"http://www.w3.org/2000/09/xmldsig\"/>",
        "absent none",
    );
    // Packets that only the tolerant reader takes are no worse off for having no signature.
    for tolerated in [
        "1212".to_owned() + &packet(),
        replaced(
            &packet(),
            "<AttachmentEncoded>",
            "<AttachmentEncoded xlink:href=\"\">",
        ),
    ] {
        assert_eq!(word(&judge(&tolerated, &trust)), "absent none");
    }
}

#[test]
fn wrappings_that_the_reader_takes() {
    let (_, leaf, trust) = setting();
    let bare = packet()
        .replace("<edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">\n", "")
        .replace("</edXML>", "");
    let bare = bare[..bare.find("  <AttachmentEncoded>").unwrap()].to_owned();
    assert_eq!(word(&judge(&leaf.sign(&bare), &trust)), "valid");
    let marked = format!("\u{FEFF}{}", leaf.sign(&packet()));
    assert_eq!(word(&judge(&marked, &trust)), "valid");
    let crlf = leaf.sign(&packet()).replace('\n', "\r\n");
    assert_eq!(word(&judge(&crlf, &trust)), "valid");
}

#[test]
fn certificates_of_the_directory_serve_where_the_signature_names_none() {
    let (ca, leaf, trust) = setting();
    let mut recipe = Recipe::of(&packet(), &leaf);
    recipe.key_info = None;
    let signed = with_signature(&packet(), &recipe.signed_by("signer"));
    assert_eq!(word(&judge(&signed, &trust)), "dsig-certificate-missing");
    let bound = |leaf: &Leaf| BoundCertificate::from_pem(&leaf.certificate_pem).unwrap();
    let judged = |bound: &[BoundCertificate]| {
        let policy = DsigPolicy::default();
        word(&verify_with_candidates(
            signed.as_bytes(),
            &policy,
            &trust,
            now(),
            bound,
        ))
    };
    let other = ca.leaf("other", |_| ());
    assert_eq!(judged(&[bound(&other), bound(&leaf)]), "valid");
    assert_eq!(judged(&[bound(&other)]), "dsig-signature");
    let stranger = Ca::root("stranger").leaf("signer", |_| ());
    assert_eq!(judged(&[bound(&stranger)]), "certificate-untrusted");
    assert_eq!(judged(&[bound(&stranger), bound(&leaf)]), "valid");
}

#[test]
fn sha1_is_refused_unless_allowed_and_then_said() {
    let (_, leaf, trust) = setting();
    let form = canonical_form(
        packet().as_bytes(),
        Canonicalization::Exclusive,
        &[],
        &Limits::default(),
    )
    .unwrap();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &form);
    let mut recipe = Recipe::of(&packet(), &leaf);
    recipe.references = reference(
        "URI=\"\"",
        &transforms(&[ENVELOPED, EXCLUSIVE]),
        DigestAlgorithm::Sha1.uri(),
        &base64::Engine::encode(&base64::engine::general_purpose::STANDARD, digest),
    );
    let signed = with_signature(&packet(), &recipe.signed_by("signer"));
    assert_eq!(word(&judge(&signed, &trust)), "dsig-sha1");
    let allowing = DsigPolicy {
        sha1: Sha1Policy::Allowed,
        ..DsigPolicy::default()
    };
    let DsigVerdict::Valid(valid) = verify(signed.as_bytes(), &allowing, &trust, now()) else {
        panic!("allowed SHA-1 was refused");
    };
    assert_eq!(valid.strength(), Strength::LegacySha1);
    let SignatureState::Valid {
        algorithm, strength, ..
    } = DsigVerdict::Valid(valid).into()
    else {
        panic!("valid stays valid");
    };
    assert_eq!(algorithm, "ed25519 (sha1)");
    assert_eq!(strength, Strength::LegacySha1);
}

#[test]
fn limits_at_their_edges() {
    let (_, leaf, trust) = setting();
    let check = |change: &dyn Fn(&mut Recipe), expected: &str| {
        let mut recipe = Recipe::of(&packet(), &leaf);
        change(&mut recipe);
        let signed = with_signature(&packet(), &recipe.signed_by("signer"));
        assert_eq!(word(&judge(&signed, &trust)), expected);
    };
    let repeated = |count: usize| x509(&vec![leaf.certificate.as_slice(); count]);
    check(
        &|recipe| recipe.key_info = Some(repeated(MAX_CERTIFICATES)),
        "valid",
    );
    check(
        &|recipe| recipe.key_info = Some(repeated(MAX_CERTIFICATES + 1)),
        "dsig-limit",
    );

    let large = |bytes: usize| x509(&[&vec![0; bytes]]);
    check(
        &|recipe| recipe.key_info = Some(large(MAX_CERTIFICATE_BYTES)),
        "dsig-certificate-unreadable",
    );
    check(
        &|recipe| recipe.key_info = Some(large(MAX_CERTIFICATE_BYTES + 9)),
        "dsig-limit",
    );

    let listed = |count: usize| {
        let list: Vec<String> = (0..count).map(|n| format!("p{n}")).collect();
        format!(
            "<ds:CanonicalizationMethod Algorithm=\"{EXCLUSIVE}\">\
             <ec:InclusiveNamespaces xmlns:ec=\"{EXCLUSIVE}\" PrefixList=\"{}\"></ec:InclusiveNamespaces>\
             </ds:CanonicalizationMethod>",
            list.join(" ")
        )
    };
    check(&|recipe| recipe.canonicalization = listed(MAX_PREFIXES), "valid");
    check(
        &|recipe| recipe.canonicalization = listed(MAX_PREFIXES + 1),
        "dsig-limit",
    );

    let value = |bytes: usize| {
        let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![0; bytes]);
        let signed = with_signature(&packet(), &Recipe::of(&packet(), &leaf).with_value(&value));
        word(&judge(&signed, &trust))
    };
    assert_eq!(value(MAX_VALUE_BYTES), "dsig-signature");
    assert_eq!(value(MAX_VALUE_BYTES + 9), "dsig-limit");

    let policy = |bytes: usize| DsigPolicy {
        limits: Limits {
            max_bytes: bytes,
            ..Limits::default()
        },
        ..DsigPolicy::default()
    };
    let signed = leaf.sign(&packet());
    let judged = |bytes| word(&verify(signed.as_bytes(), &policy(bytes), &trust, now()));
    assert_eq!(judged(signed.len()), "valid");
    assert_eq!(judged(signed.len() - 1), "dsig-limit");
}

#[test]
fn findings_say_where_and_what() {
    let (_, leaf, trust) = setting();
    let signed = leaf.sign(&packet());
    let DsigVerdict::Invalid(invalid) = judge(&replaced(&signed, ">1234<", ">9999<"), &trust) else {
        panic!("changed content was accepted");
    };
    assert_eq!(invalid.reason, DsigReason::Digest);
    let place = invalid.place.to_string();
    assert!(
        place.contains("Signature/SignedInfo/Reference/DigestValue"),
        "{place}"
    );
    assert!(invalid.expected.starts_with("sha256 "), "{}", invalid.expected);
    let extra = replaced(
        &signed,
        "</ds:Signature>",
        "<ds:Object></ds:Object></ds:Signature>",
    );
    let DsigVerdict::Invalid(invalid) = judge(&extra, &trust) else {
        panic!("an Object was accepted");
    };
    let line = extra[..extra.find("<ds:Object>").unwrap()].matches('\n').count() + 1;
    assert!(
        invalid.place.to_string().contains(&format!("{line}:")),
        "{}",
        invalid.place
    );
    // Nothing of the packet's own words is repeated.
    for verdict in [
        judge(&replaced(&signed, ">1234<", ">9999<"), &trust),
        judge(&extra, &trust),
    ] {
        let said = format!("{verdict:?}");
        assert!(!said.contains("báo cáo") && !said.contains("1234"), "{said}");
    }
}

#[test]
fn what_cannot_be_signed() {
    let (_, leaf, _) = setting();
    let key = leaf.signing_key();
    let check = |packet: &str, expected: SignError| {
        assert_eq!(
            sign(packet.as_bytes(), &key, &SignOptions::default()),
            Err(expected)
        );
    };
    check(&leaf.sign(&packet()), SignError::Signed);
    check(&with_signature(&packet(), "<Signature/>"), SignError::Signed);
    check("<a/>", SignError::NoHeader);
    check("<a>", SignError::Packet(DsigReason::NotXml));
    check(
        &format!("1212{}", packet()),
        SignError::Packet(DsigReason::NotXml),
    );
    check("<!DOCTYPE a><a/>", SignError::Packet(DsigReason::Doctype));
    let options = |change: &dyn Fn(&mut SignOptions)| {
        let mut options = SignOptions::default();
        change(&mut options);
        sign(packet().as_bytes(), &key, &options).map(|_| ())
    };
    assert_eq!(
        options(&|o| o.prefixes = vec!["edXML".to_owned(), String::new()]),
        Ok(())
    );
    for bad in [
        options(&|o| o.digest = DigestAlgorithm::Sha1),
        options(&|o| o.prefixes = vec!["a b".to_owned()]),
        options(&|o| o.prefixes = vec!["p".to_owned(); MAX_PREFIXES + 1]),
        options(&|o| {
            o.prefixes = vec!["p".to_owned()];
            o.canonicalization = Canonicalization::Inclusive;
        }),
    ] {
        assert_eq!(bad, Err(SignError::Options));
    }
    assert!(
        leaf.signing_key()
            .with_algorithm(SignatureAlgorithm::RsaSha256)
            .is_err()
    );
    assert!(!format!("{key:?}").contains("PRIVATE"));
}

#[test]
fn notes_beside_the_certificate_are_passed_over() {
    let (_, leaf, trust) = setting();
    let signed = leaf.sign(&packet());
    let with = |inserted: &str| {
        let all = format!("<ds:KeyInfo>{inserted}<ds:X509Data>");
        word(&judge(
            &replaced(&signed, "<ds:KeyInfo><ds:X509Data>", &all),
            &trust,
        ))
    };
    assert_eq!(with("<ds:KeyName>so-tnmt</ds:KeyName>"), "valid");
    assert_eq!(with("<OrganId>H60</OrganId><Token a='1'><x/></Token>"), "valid");
    assert_eq!(with("<ds:KeyValue><ds:RSAKeyValue/></ds:KeyValue>"), "valid");
    assert_eq!(
        with("<ds:X509Data><ds:X509SubjectName>CN=x</ds:X509SubjectName></ds:X509Data>"),
        "valid"
    );
    assert_eq!(
        with("<ds:RetrievalMethod URI=\"http://example.org/\"/>"),
        "dsig-key-info"
    );
    assert_eq!(with("<ds:PGPData/>"), "dsig-key-info");
    assert_eq!(with("text"), "dsig-form");
    assert_eq!(with("<Token><!-- x --></Token>"), "dsig-form");
}

#[test]
fn every_word_is_explained() {
    let page = include_str!("../../../docs/reference/xml-signature.md");
    for reason in DsigReason::ALL {
        assert!(
            page.contains(&format!("`{reason}`")),
            "{reason} is not in xml-signature.md"
        );
        let (vi, en) = reason.sentences();
        assert!(vi.ends_with('.') && en.ends_with('.'), "{reason}");
    }
    let uris = SignatureAlgorithm::ALL.iter().map(|a| a.uri());
    let uris = uris.chain(DigestAlgorithm::ALL.iter().map(|a| a.uri()));
    for uri in uris.chain(Canonicalization::ALL.iter().map(|a| a.uri())) {
        assert!(page.contains(uri), "{uri} is not in xml-signature.md");
    }
    let unknown: Vec<&str> = page
        .split('`')
        .filter(|word| word.starts_with("dsig-") && !word.contains(' '))
        .filter(|word| !DsigReason::ALL.iter().any(|reason| reason.as_str() == *word))
        .collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

/// Real packets carry placeholders for signatures: none may ever be taken for valid.
#[test]
fn samples_have_no_valid_signature() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/samples/edxml");
    let Ok(entries) = std::fs::read_dir(folder) else {
        eprintln!("SKIPPED: no samples in ../shared/samples/edxml");
        return;
    };
    let (_, _, trust) = setting();
    let allowing = DsigPolicy {
        sha1: Sha1Policy::Allowed,
        ..DsigPolicy::default()
    };
    let mut ran = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_file() {
            let verdict = verify(&std::fs::read(&path).unwrap(), &allowing, &trust, now());
            assert!(!matches!(verdict, DsigVerdict::Valid(_)), "{}", path.display());
            ran += 1;
        }
    }
    eprintln!("samples judged: {ran}");
}

/// A mutation of a signed packet: something cut out, doubled, moved or replaced.
fn mutated() -> impl Strategy<Value = (usize, usize, Vec<u8>)> {
    let fragment = prop_oneof![
        any::<Vec<u8>>().prop_map(|bytes| bytes.into_iter().take(8).collect()),
        Just(b"<ds:Signature>".to_vec()),
        Just(b"</ds:Signature>".to_vec()),
        Just(b"<!DOCTYPE a [".to_vec()),
        Just(b"<!--".to_vec()),
        Just(b"]]>".to_vec()),
        Just(b"<![CDATA[".to_vec()),
        Just(b"&#x0;".to_vec()),
        Just(b" xmlns=''".to_vec()),
        Just(b"<?x".to_vec()),
        Just(Vec::new()),
    ];
    (any::<usize>(), any::<usize>(), fragment)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_have_a_verdict(bytes: Vec<u8>) {
        let (_, _, trust) = setting();
        let verdict = verify(&bytes, &DsigPolicy::default(), &trust, now());
        assert!(!matches!(verdict, DsigVerdict::Valid(_)));
    }

    #[test]
    fn any_change_has_a_verdict(changes in proptest::collection::vec(mutated(), 1..4)) {
        let (_, leaf, trust) = setting();
        let mut bytes = leaf.sign(&packet()).into_bytes();
        let before = facts(&bytes);
        for (at, length, fragment) in changes {
            let at = at % (bytes.len() + 1);
            let end = at + length % 16.min(bytes.len() - at + 1);
            bytes.splice(at..end, fragment);
        }
        let verdict = verify(&bytes, &DsigPolicy::default(), &trust, now());
        if matches!(verdict, DsigVerdict::Valid(_)) {
            assert_eq!(facts(&bytes), before);
        }
    }
}

#[test]
fn the_form_is_kept_to_the_letter() {
    let (_, leaf, trust) = setting();
    let signed = leaf.sign(&packet());
    let value = part(&signed, "<ds:SignatureValue>", "</ds:SignatureValue>").to_owned();
    for (from, to, expected) in [
        ("<ds:SignedInfo>", "<ds:SignedInfo> <!-- x -->", "dsig-form"),
        ("<ds:SignedInfo>", "<ds:SignedInfo><?x y?>", "dsig-form"),
        ("<ds:SignedInfo>", "<ds:SignedInfo xml:lang=\"vi\">", "dsig-form"),
        (
            "<ds:Reference URI=\"\">",
            "<ds:Reference URI=\"\" Type=\"x\">",
            "dsig-form",
        ),
        ("<ds:Reference URI=\"\">", "<ds:Reference>", "dsig-reference-uri"),
        (value.as_str(), "", "dsig-form"),
        ("<ds:KeyInfo>", "<ds:KeyInfo Other=\"1\">", "dsig-form"),
        ("</ds:SignedInfo>", "</ds:SignedInfo>text", "dsig-form"),
        ("</ds:SignedInfo>", "<other/></ds:SignedInfo>", "dsig-form"),
    ] {
        assert_eq!(
            word(&judge(&replaced(&signed, from, to), &trust)),
            expected,
            "{to}"
        );
    }
    // White space between elements is signed too, and allowed.
    let mut recipe = Recipe::of(&packet(), &leaf);
    recipe.method = format!("\n  {}\n", method("SignatureMethod", dsig_support::ED25519));
    let spaced = with_signature(&packet(), &recipe.signed_by("signer"));
    assert_eq!(word(&judge(&spaced, &trust)), "valid");
    let broken = spaced.replace("<ds:SignatureValue>", "<ds:SignatureValue>\n  ");
    assert_eq!(word(&judge(&broken, &trust)), "valid");
}
