//! Whatever we accept, another verifier accepts: signed packets put wrong at random, and the corpus of attacks.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use truc_envelope::dsig::{Canonicalization, DsigPolicy, DsigVerdict, SignOptions, sign, verify};
use truc_model::{Clock as _, SystemClock};
use truc_oracles::{Bergshamra, Generator, Kind, Pki, Xmlsec, is_there, packet, seed};

/// Changed packets, for each kind of key.
const CHANGES: usize = 1_000;

#[test]
fn whatever_we_accept_another_accepts() {
    if !is_there("openssl") {
        return;
    }
    let pki = Pki::new();
    let trust = pki.trust();
    let xmlsec = is_there("xmlsec1").then(|| Xmlsec::new(&pki));
    let mut generator = Generator::new(seed(21)).with_plain_line_ends();
    let (mut accepted, mut by_xmlsec) = (0, 0);
    for kind in Kind::ALL {
        let signer = pki.signer(kind);
        for _ in 0..CHANGES / 100 {
            let options = SignOptions {
                canonicalization: *generator.pick(&Canonicalization::ALL.iter().collect::<Vec<_>>()),
                ..SignOptions::default()
            };
            let packet = packet(&generator.content());
            let signed = sign(packet.as_bytes(), &signer.signing_key(), &options).unwrap();
            let signed = String::from_utf8(signed).unwrap();
            for _ in 0..100 {
                let changed = changed(&signed, &mut generator);
                let verdict = verify(
                    changed.as_bytes(),
                    &DsigPolicy::default(),
                    &trust,
                    SystemClock.now(),
                );
                if changed == signed || !matches!(verdict, DsigVerdict::Valid(_)) {
                    continue;
                }
                accepted += 1;
                if let Some(xmlsec) = xmlsec.as_ref().filter(|_| kind != Kind::Ed25519) {
                    assert!(xmlsec.accepts(&changed), "{changed}");
                    by_xmlsec += 1;
                } else {
                    assert_eq!(Bergshamra::verify(&changed, &signer.der), Ok(()), "{changed}");
                }
            }
        }
    }
    eprintln!(
        "changed packets: {accepted} of {} accepted, by xmlsec1 too {by_xmlsec}",
        4 * CHANGES
    );
    assert!(
        accepted > 100,
        "{accepted}: changes that change nothing must be among them"
    );
}

/// One change, often of the kind that XML does not see.
fn changed(signed: &str, generator: &mut Generator) -> String {
    const HARMLESS: [(&str, &str); 10] = [
        ("<ds:SignatureValue>", "<ds:SignatureValue>\n"),
        ("</edXML>", "</edXML  >"),
        ("<edXML:edXMLBody>", "<edXML:edXMLBody ><!-- x -->"),
        ("</ds:SignatureValue>", "&#13;\n</ds:SignatureValue>"),
        ("<ds:KeyInfo>", "<ds:KeyInfo Id='k'><ds:KeyName>x</ds:KeyName>"),
        ("<ds:Reference URI=\"\">", "<ds:Reference\n  URI=''>"),
        ("JVBERi0xLjc=", "<![CDATA[JVBERi0]]>xLj&#x63;="),
        ("</edXML>", "</edXML><!-- x -->"),
        (
            "<edXML:TraceHeaderList/>",
            "<edXML:TraceHeaderList></edXML:TraceHeaderList>",
        ),
        ("xml:lang=\"vi\"", "xml:lang='v&#105;'"),
    ];
    if generator.below(12) == 0 {
        let (from, to) = HARMLESS[generator.below(HARMLESS.len())];
        return signed.replacen(from, to, 1);
    }
    let mut at = generator.below(signed.len());
    while !signed.is_char_boundary(at) {
        at -= 1;
    }
    let mut end = (at + generator.below(4)).min(signed.len());
    while !signed.is_char_boundary(end) {
        end += 1;
    }
    let put = generator.pick(&[
        " ",
        "\n",
        "A",
        "<!---->",
        "&#65;",
        "",
        "<x/>",
        "=",
        "\"",
        "<?x?>",
        " xmlns:x='urn:x'",
    ]);
    format!("{}{put}{}", &signed[..at], &signed[end..])
}

/// The attacks that are said to be harmless are harmless to others too; they are signed with Ed25519, which
/// bergshamra knows.
#[test]
fn what_the_corpus_leaves_valid_is_valid_to_others() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../documents/attacks/xml");
    let expected = std::fs::read_to_string(format!("{folder}/expected.txt")).unwrap();
    let mut count = 0;
    for name in expected.lines().filter_map(|line| line.strip_suffix(": valid")) {
        let packet = std::fs::read_to_string(format!("{folder}/{name}.edxml")).unwrap();
        let (_, rest) = packet.split_once("<ds:X509Certificate>").unwrap();
        let (certificate, _) = rest.split_once('<').unwrap();
        let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, certificate).unwrap();
        assert_eq!(Bergshamra::verify(&packet, &der), Ok(()), "{name}");
        count += 1;
    }
    assert!(count >= 5, "{count}");
}
