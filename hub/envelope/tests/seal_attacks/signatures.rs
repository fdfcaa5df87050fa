//! Attacks on the signature: `none`, certificates as shared secrets, algorithms of another kind of key,
//! keys that the seal brings along, and signatures that are none.

use ring::hmac;
use truc_model::Sha256;

use super::case::Case;
use super::form::{parts, refused};
use super::pki::{Pki, base64, base64url, good_claims};

/// Name and case of each.
pub(crate) fn cases(pki: &Pki) -> Vec<(String, Case)> {
    let mut all = algorithms(pki);
    all.extend(secrets(pki));
    all.extend(confusions(pki));
    all.extend(own_keys(pki));
    all.extend(forgeries(pki));
    all
}

/// Header of the P-256 leaf with this as `alg`, quotation marks included.
fn with_alg(pki: &Pki, alg: &str) -> String {
    pki.named("p256.pem").header().replace(r#""ES256""#, alg)
}

fn algorithms(pki: &Pki) -> Vec<(String, Case)> {
    let case = |name, what, seal| refused(pki, name, what, "seal-algorithm", "seal header", seal);
    let unsigned = |alg| format!("{}.{}.", base64url(with_alg(pki, alg)), base64url(good_claims()));
    let signed = |alg| {
        let header = with_alg(pki, alg);
        pki.seal("p256.pem", |old, _| *old = header)
    };
    vec![
        case(
            "alg-none",
            "`alg` none and no signature (RFC 7515 appendix A.5).",
            unsigned(r#""none""#),
        ),
        case(
            "alg-none-letters",
            "`none` in other letters, for readers that compare exactly once and loosely once.",
            unsigned(r#""nOnE""#),
        ),
        case(
            "alg-none-signed",
            "`none` with a right signature left in place.",
            signed(r#""none""#),
        ),
        case("alg-empty", "An empty `alg`.", unsigned(r#""""#)),
        case("alg-null", "`alg` null.", unsigned("null")),
        case("alg-list", "`alg` as a list.", signed(r#"["ES256"]"#)),
        case(
            "alg-lower",
            "`alg` in small letters: names are compared exactly (RFC 7515 §4.1.1).",
            signed(r#""es256""#),
        ),
        case(
            "alg-space",
            "`alg` with a space before it.",
            signed(r#"" ES256""#),
        ),
        case(
            "alg-nul",
            "`alg` with a zero character after it.",
            signed(r#""ES256\u0000""#),
        ),
        case("alg-missing", "No `alg`.", {
            let x5t = pki.named("p256.pem").thumbprint();
            pki.seal("p256.pem", |header, _| {
                *header = format!(r#"{{"x5t#S256":"{x5t}"}}"#);
            })
        }),
        case(
            "alg-es384",
            "An algorithm of the standard that is not on the list.",
            signed(r#""ES384""#),
        ),
        case(
            "alg-es256k",
            "The curve of the currencies in place of P-256.",
            signed(r#""ES256K""#),
        ),
        case("alg-rs1", "RSA with SHA-1.", signed(r#""RS1""#)),
        case("alg-dir", "An encryption algorithm.", signed(r#""dir""#)),
    ]
}

fn secrets(pki: &Pki) -> Vec<(String, Case)> {
    let leaf = pki.named("p256.pem");
    let (spki, point) = leaf.public_key();
    let spki_pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        base64(&spki)
    );
    let secrets: [(&str, &str, Vec<u8>); 6] = [
        (
            "hs256-certificate-pem",
            "the certificate's PEM text",
            leaf.pem.clone().into_bytes(),
        ),
        ("hs256-certificate-der", "the certificate's DER", leaf.der()),
        (
            "hs256-public-key-pem",
            "the public key's PEM text",
            spki_pem.into_bytes(),
        ),
        ("hs256-public-key-der", "the public key's DER", spki),
        ("hs256-public-key-point", "the point of the public key", point),
        ("hs256-empty-secret", "nothing at all", Vec::new()),
    ];
    let mut all: Vec<(String, Case)> = secrets
        .into_iter()
        .map(|(name, secret_is, secret)| {
            let what = format!("HS256 with {secret_is} as the secret, which everyone has.");
            let seal = tagged(pki, hmac::HMAC_SHA256, "HS256", &secret);
            refused(pki, name, &what, "seal-algorithm", "seal header", seal)
        })
        .collect();
    let seal = tagged(pki, hmac::HMAC_SHA512, "HS512", leaf.pem.as_bytes());
    let what = "HS512 with the certificate's PEM text as the secret.";
    all.push(refused(
        pki,
        "hs512-certificate-pem",
        what,
        "seal-algorithm",
        "seal header",
        seal,
    ));
    all
}

fn tagged(pki: &Pki, algorithm: hmac::Algorithm, alg: &str, secret: &[u8]) -> String {
    let header = with_alg(pki, &format!("\"{alg}\""));
    let input = format!("{}.{}", base64url(header), base64url(good_claims()));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), input.as_bytes());
    format!("{input}.{}", base64url(tag))
}

/// Every allowed algorithm with every kind of key that is not its own.
fn confusions(pki: &Pki) -> Vec<(String, Case)> {
    let mut all = Vec::new();
    for (leaf, own) in [
        ("p256.pem", "ES256"),
        ("rsa2048.pem", "RS256"),
        ("ed25519.pem", "EdDSA"),
    ] {
        let kind = leaf.trim_end_matches(".pem");
        for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
            // PS256 is an RSA key's own, too: the signature beside it is not.
            let (code, place) = match (own, alg) {
                _ if own == alg => continue,
                ("RS256", "PS256") => ("seal-signature", "seal signature"),
                _ => ("seal-algorithm", "seal header"),
            };
            let seal = pki.seal(leaf, |header, _| *header = header.replace(own, alg));
            let name = format!("confusion-{kind}-as-{}", alg.to_lowercase());
            let case = Case {
                what: format!("{alg} claimed for a signature and certificate of {own}."),
                expected: code.to_owned(),
                place: place.to_owned(),
                seal,
                ..pki.good(leaf)
            };
            all.push((name, case));
        }
    }
    all
}

/// The attacker signs by a key of its own and brings it along. With the victim's thumbprint the signature
/// is none of the victim's; with its own, the certificate is nobody's here.
fn own_keys(pki: &Pki) -> Vec<(String, Case)> {
    let attacker = pki.named("other-root.pem");
    let (_, point) = attacker.public_key();
    let chain = base64(attacker.der());
    let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
    let injected = [
        (
            "jwk",
            format!(r#""jwk":{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#),
            "its public key",
        ),
        (
            "jku",
            r#""jku":"https://attacker.invalid/keys.json""#.to_owned(),
            "an address of its keys",
        ),
        (
            "jku-file",
            r#""jku":"file:///dev/random""#.to_owned(),
            "a file to read keys from",
        ),
        (
            "x5u",
            r#""x5u":"https://attacker.invalid/chain.pem""#.to_owned(),
            "an address of its certificates",
        ),
        ("x5c", format!(r#""x5c":["{chain}"]"#), "its certificate"),
        (
            "kid",
            r#""kid":"../../../../dev/null""#.to_owned(),
            "a path as the key's name",
        ),
        (
            "kid-sql",
            r#""kid":"x' UNION SELECT 'attacker'--""#.to_owned(),
            "a query as the key's name",
        ),
    ];
    let mut all = Vec::new();
    for (name, member, what) in injected {
        for (suffix, thumbprint, code, place) in [
            (
                "",
                pki.named("p256.pem").thumbprint(),
                "seal-signature",
                "seal signature",
            ),
            (
                "-own-thumbprint",
                attacker.thumbprint(),
                "certificate-unknown",
                "seal header",
            ),
        ] {
            let header = format!(r#"{{"alg":"ES256",{member},"x5t#S256":"{thumbprint}"}}"#);
            let seal = pki.seal("other-root.pem", |old, _| *old = header);
            let what = format!("A stranger signs and brings along {what}.");
            all.push(refused(
                pki,
                &format!("inject-{name}{suffix}"),
                &what,
                code,
                place,
                seal,
            ));
        }
    }
    all
}

fn forgeries(pki: &Pki) -> Vec<(String, Case)> {
    let leaf = pki.named("p256.pem");
    let good = pki.good("p256.pem").seal;
    let [header, claims, _] = parts(&good);
    let input = format!("{header}.{claims}");
    let signature = leaf.signature(&input);
    let case = |name, what, bytes: Vec<u8>| {
        let seal = format!("{input}.{}", base64url(bytes));
        refused(pki, name, what, "seal-signature", "seal signature", seal)
    };
    let mut flipped = signature.clone();
    flipped[40] ^= 1;
    let order: [u8; 32] = P256_ORDER;
    let mut all = vec![
        case("signature-none", "No bytes as the signature.", Vec::new()),
        case(
            "signature-zero",
            "r and s zero: accepted by verifiers that forget to look (CVE-2022-21449).",
            vec![0; 64],
        ),
        case(
            "signature-order",
            "r and s the order of the curve, which is zero again.",
            [order, order].concat(),
        ),
        case("signature-flipped", "One bit of the signature changed.", flipped),
        case(
            "signature-short",
            "The signature without its last byte.",
            signature[..63].to_vec(),
        ),
        case(
            "signature-long",
            "A byte after the signature.",
            [&signature[..], &[0]].concat(),
        ),
        case(
            "signature-der",
            "The signature in DER in place of r‖s.",
            der_form(&signature),
        ),
        case(
            "signature-swapped",
            "s‖r.",
            [&signature[32..], &signature[..32]].concat(),
        ),
        case(
            "signature-other-message",
            "A right signature, of other claims.",
            {
                leaf.signature(&format!(
                    "{header}.{}",
                    base64url(good_claims().replace("so-tnmt", "so-y-te"))
                ))
            },
        ),
        case(
            "signature-of-digest",
            "A right signature of the body's digest in place of header and claims.",
            leaf.signature(&Sha256::of(super::pki::BODY.as_bytes()).to_string()),
        ),
    ];
    // RFC 7797 without `crit`: `b64` has no meaning then, so what is signed are the encoded claims.
    let header = leaf.header().replacen('{', r#"{"b64":false,"#, 1);
    let unencoded = leaf.signature(&format!("{}.{}", base64url(&header), good_claims()));
    let seal = format!(
        "{}.{}.{}",
        base64url(&header),
        base64url(good_claims()),
        base64url(unencoded)
    );
    let what = "RFC 7797's `b64` false without `crit`, and the signature over the unencoded claims.";
    all.push(refused(
        pki,
        "b64-not-in-crit",
        what,
        "seal-signature",
        "seal signature",
        seal,
    ));
    all.extend(eddsa(pki));
    all
}

fn eddsa(pki: &Pki) -> Vec<(String, Case)> {
    let good = pki.good("ed25519.pem");
    let [header, claims, _] = parts(&good.seal);
    let input = format!("{header}.{claims}");
    let mut malleable = pki.named("ed25519.pem").signature(&input);
    // S + L verifies as S does where S is not held below L (RFC 8032 §5.1.7).
    let mut carry = 0;
    for (byte, order) in malleable[32..].iter_mut().zip(ED25519_ORDER) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = u8::try_from(sum & 0xff).unwrap();
        carry = sum >> 8;
    }
    [
        (
            "eddsa-malleable",
            "The same Ed25519 signature with S + L in place of S.",
            malleable,
        ),
        (
            "eddsa-zero",
            "Ed25519 signature of zeros: a point of small order.",
            vec![0; 64],
        ),
        (
            "eddsa-identity",
            "R the neutral point, S zero.",
            [&[1][..], &[0; 63]].concat(),
        ),
    ]
    .map(|(name, what, bytes)| {
        let case = Case {
            what: what.to_owned(),
            expected: "seal-signature".to_owned(),
            place: "seal signature".to_owned(),
            seal: format!("{input}.{}", base64url(bytes)),
            ..good.clone()
        };
        (name.to_owned(), case)
    })
    .to_vec()
}

/// r‖s as SEQUENCE of two INTEGERs.
fn der_form(signature: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let mut value = bytes[zeros..].to_vec();
        if value.first().is_none_or(|byte| byte & 0x80 != 0) {
            value.insert(0, 0);
        }
        let length = u8::try_from(value.len()).unwrap();
        [&[2, length][..], &value].concat()
    };
    let body = [integer(&signature[..32]), integer(&signature[32..])].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[0x30, length][..], &body].concat()
}

/// The order of P-256, big-endian (SEC 2 §2.4.2).
const P256_ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc,
    0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// L of RFC 8032 §5.1, little-endian.
const ED25519_ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];
