//! Attacks on the form: other serializations, more than one signature, members twice, `crit`, `b64`,
//! padding, white space, size.

use serde_json::json;
use truc_envelope::seal::SEAL_MAX_BYTES;

use super::case::Case;
use super::pki::{Pki, base64url, good_claims};

/// Name and case of each.
pub(crate) fn cases(pki: &Pki) -> Vec<(String, Case)> {
    let mut all = controls(pki);
    all.extend(serializations(pki));
    all.extend(headers(pki));
    all.extend(encodings(pki));
    all
}

/// A case of the P-256 leaf with another seal.
pub(crate) fn refused(
    pki: &Pki,
    name: &str,
    what: &str,
    code: &str,
    place: &str,
    seal: String,
) -> (String, Case) {
    let case = Case {
        what: what.to_owned(),
        expected: code.to_owned(),
        place: place.to_owned(),
        seal,
        ..pki.good("p256.pem")
    };
    (name.to_owned(), case)
}

fn controls(pki: &Pki) -> Vec<(String, Case)> {
    [
        ("control-p256", "p256.pem", "ES256 by a key of the root's"),
        ("control-ed25519", "ed25519.pem", "EdDSA"),
        ("control-rsa", "rsa2048.pem", "RS256 by a key of 2048 bits"),
        (
            "control-chain",
            "chained.pem",
            "below an intermediate that came along",
        ),
    ]
    .map(|(name, leaf, what)| {
        let what = format!("Control: {what}. It holds.");
        (
            name.to_owned(),
            Case {
                what,
                ..pki.good(leaf)
            },
        )
    })
    .to_vec()
}

fn serializations(pki: &Pki) -> Vec<(String, Case)> {
    let good = pki.good("p256.pem").seal;
    let other = pki.good("other-system.pem").seal;
    let [protected, payload, signature] = parts(&good);
    let [protected_2, _, signature_2] = parts(&other);
    let one = json!({ "protected": protected, "signature": signature });
    let two = json!({ "protected": protected_2, "signature": signature_2 });
    let place = "seal seal";
    let case = |name, what, seal: String| refused(pki, name, what, "seal-malformed", place, seal);
    vec![
        case(
            "several-signatures-general",
            "JWS JSON serialization with two signatures, one of them right: only one signature has a meaning here.",
            json!({ "payload": payload, "signatures": [one, two] }).to_string(),
        ),
        case(
            "several-signatures-flattened",
            "Flattened JWS JSON serialization with an unprotected header beside the protected one.",
            json!({ "payload": payload, "protected": protected, "header": { "alg": "none" }, "signature": signature })
                .to_string(),
        ),
        case("several-signatures-list", "Two compact seals, a comma between them.", format!("{good},{other}")),
        case("several-signatures-dot", "A second signature after the first.", format!("{good}.{signature_2}")),
        case("two-parts", "The signature cut off, its dot too.", format!("{protected}.{payload}")),
        case("encrypted", "Five parts, the form of an encrypted token.", format!("{good}.AAAA.AAAA")),
        case("empty", "An empty seal.", String::new()),
    ]
}

fn headers(pki: &Pki) -> Vec<(String, Case)> {
    let case = |name, what, change: &dyn Fn(&mut String)| {
        let seal = pki.seal("p256.pem", |header, _| change(header));
        refused(pki, name, what, "seal-malformed", "seal header", seal)
    };
    let with = |more: &'static str| move |header: &mut String| *header = header.replacen('{', more, 1);
    vec![
        case(
            "crit-unknown",
            "`crit` names an extension that nobody knows (RFC 7515 §4.1.11).",
            &with(r#"{"crit":["x"],"x":1,"#),
        ),
        case(
            "crit-empty",
            "An empty `crit`, which the standard forbids.",
            &with(r#"{"crit":[],"#),
        ),
        case(
            "crit-no-list",
            "`crit` that is no list.",
            &with(r#"{"crit":"exp","#),
        ),
        case(
            "crit-names-alg",
            "`crit` names a standard member, which it must not.",
            &with(r#"{"crit":["alg"],"#),
        ),
        case(
            "b64-in-crit",
            "RFC 7797: `b64` false, declared critical as that RFC asks. Its payload is no base64url.",
            &with(r#"{"b64":false,"crit":["b64"],"#),
        ),
        case(
            "alg-twice",
            "`alg` twice, `none` first: readers of the first and of the last see two seals.",
            &with(r#"{"alg":"none","#),
        ),
        case(
            "alg-twice-escaped",
            "`alg` twice, once written with an escape.",
            &with(r#"{"\u0061lg":"none","#),
        ),
        case("alg-twice-behind", "`alg` twice, `none` last.", &|header| {
            *header = header.replace('}', r#","alg":"none"}"#);
        }),
        case(
            "thumbprint-twice",
            "`x5t#S256` twice, another certificate's last.",
            &|header| {
                let other = pki.named("other-system.pem").thumbprint();
                *header = header.replace('}', &format!(r#","x5t#S256":"{other}"}}"#));
            },
        ),
        case(
            "thumbprint-none",
            "No `x5t#S256`: no key may be guessed.",
            &|header| {
                *header = r#"{"alg":"ES256","kid":"so-tnmt"}"#.to_owned();
            },
        ),
        case(
            "thumbprint-sha1",
            "`x5t`, of SHA-1, in place of `x5t#S256`.",
            &|header| {
                *header = format!(r#"{{"alg":"ES256","x5t":"{}"}}"#, base64url([7; 20]));
            },
        ),
        case(
            "thumbprint-short",
            "`x5t#S256` of the first 20 bytes alone: no beginning of a digest counts.",
            &|header| {
                let whole = pki.named("p256.pem").thumbprint();
                *header = header.replace(&whole, &whole[..27]);
            },
        ),
        case("thumbprint-padded", "`x5t#S256` with padding.", &|header| {
            *header = header.replace("\"}", "=\"}");
        }),
        case(
            "typ-jwt",
            "A token signed for another purpose (`typ` JWT) put into service as a seal (RFC 8725 §3.11).",
            &|header| {
                *header = header.replace("truc-seal+jwt", "JWT");
            },
        ),
        case("typ-letter-case", "`typ` in other letters.", &|header| {
            *header = header.replace("truc-seal+jwt", "TRUC-SEAL+JWT");
        }),
        case("header-array", "A header that is a list.", &|header| {
            *header = format!("[{header}]");
        }),
        case(
            "header-trailing",
            "A second object after the header.",
            &|header| header.push_str("{}"),
        ),
        case(
            "header-nested-deep",
            "A header nested thousands deep, for parsers that recurse.",
            &|header| {
                *header = "[".repeat(3000) + header;
            },
        ),
        case(
            "header-no-utf8-escape",
            "Half a surrogate pair in the header.",
            &with(r#"{"kid":"\ud800","#),
        ),
        case(
            "header-byte-order-mark",
            "A byte order mark before the header.",
            &|header| header.insert(0, '\u{feff}'),
        ),
    ]
}

fn encodings(pki: &Pki) -> Vec<(String, Case)> {
    let good = pki.good("p256.pem").seal;
    let [header, claims, signature] = parts(&good);
    let case = |name, what, place, seal| refused(pki, name, what, "seal-malformed", place, seal);
    let (early, late) = claims.split_at(9);
    vec![
        case(
            "padding-header",
            "Padding after the header.",
            "seal header",
            format!("{header}=.{claims}.{signature}"),
        ),
        case(
            "padding-claims",
            "Padding after the claims.",
            "seal claims",
            format!("{header}.{claims}=.{signature}"),
        ),
        case(
            "padding-signature",
            "Padding after the signature.",
            "seal signature",
            format!("{good}=="),
        ),
        case(
            "space-before",
            "White space before the seal.",
            "seal header",
            format!(" {good}"),
        ),
        case(
            "space-after",
            "A line end after the seal.",
            "seal signature",
            format!("{good}\n"),
        ),
        case(
            "space-inside",
            "A folded line inside the claims.",
            "seal claims",
            format!("{header}.{early}\r\n {late}.{signature}"),
        ),
        case(
            "nul-after",
            "A zero byte after the seal, for readers that stop there.",
            "seal signature",
            format!("{good}\0"),
        ),
        case(
            "alphabet",
            "The other base64 alphabet in the signature.",
            "seal signature",
            format!("{header}.{claims}.{}", "+/".repeat(43)),
        ),
        case(
            "unused-bits",
            "Another spelling of the same signature: the unused bits of its last character.",
            "seal signature",
            respelled(&good),
        ),
        case(
            "claims-unencoded",
            "RFC 7797's unencoded payload, `b64` not even mentioned.",
            "seal claims",
            {
                let claims = good_claims();
                let leaf = pki.named("p256.pem");
                leaf.sign(&format!("{header}.{claims}"))
            },
        ),
        case(
            "oversize-header",
            "A header one seal too long: limits come before parsing.",
            "seal seal",
            {
                let fill = format!(r#"{{"fill":"{}","#, "x".repeat(SEAL_MAX_BYTES));
                pki.seal("p256.pem", |header, _| *header = header.replacen('{', &fill, 1))
            },
        ),
        case(
            "oversize-signature",
            "A signature one seal too long.",
            "seal seal",
            format!("{header}.{claims}.{}", "A".repeat(SEAL_MAX_BYTES)),
        ),
    ]
}

/// Header, claims and signature as they stand.
pub(crate) fn parts(seal: &str) -> [&str; 3] {
    let parts: Vec<&str> = seal.split('.').collect();
    parts.try_into().unwrap()
}

/// The same bytes in another text: 64 bytes leave four unused bits in the last character.
fn respelled(seal: &str) -> String {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = seal.split_at(seal.len() - 1);
    let index = LETTERS.find(last).unwrap();
    format!("{rest}{}", &LETTERS[index + 1..index + 2])
}
