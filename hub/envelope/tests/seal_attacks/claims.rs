//! Attacks on what is said: another system, another message, another body, another time, claims that are
//! missing, twice or of another type. All rightly signed unless said otherwise.

use super::case::Case;
use super::form::refused;
use super::pki::{BODY, DAY, MESSAGE, NOW, Pki, claims_of};

/// Name and case of each.
pub(crate) fn cases(pki: &Pki) -> Vec<(String, Case)> {
    let mut all = swaps(pki);
    all.extend(times(pki));
    all.extend(types(pki));
    all
}

/// A seal whose claims were changed before signing.
fn with(pki: &Pki, from: &str, to: &str) -> String {
    pki.seal("p256.pem", |_, claims| {
        assert!(claims.contains(from), "{from}");
        *claims = claims.replace(from, to);
    })
}

fn swaps(pki: &Pki) -> Vec<(String, Case)> {
    let good = pki.good("p256.pem");
    let case = |name: &str, what: &str, code: &str, place: &str, change: &dyn Fn(&mut Case)| {
        let mut case = Case {
            what: what.to_owned(),
            expected: code.to_owned(),
            place: place.to_owned(),
            ..good.clone()
        };
        change(&mut case);
        (name.to_owned(), case)
    };
    vec![
        case(
            "swap-body",
            "A right seal beside another body of the same size.",
            "seal-body-mismatch",
            "seal sha-256",
            &|case| {
                case.body = BODY.replace("12", "13");
            },
        ),
        case(
            "swap-body-longer",
            "A right seal beside the body with something after it.",
            "seal-claims",
            "seal size",
            &|case| {
                case.body.push(' ');
            },
        ),
        case(
            "swap-body-empty",
            "A right seal beside no body.",
            "seal-claims",
            "seal size",
            &|case| case.body.clear(),
        ),
        case(
            "swap-body-letters",
            "A right seal beside the body in another Unicode form: bytes count, not what is seen.",
            "seal-claims",
            "seal size",
            &|case| {
                case.body = BODY.replace('ế', "e\u{302}\u{301}");
            },
        ),
        case(
            "size-adjusted",
            "The body longer, the size in the claims too: the digest still speaks.",
            "seal-body-mismatch",
            "seal sha-256",
            &|case| {
                case.body.push(' ');
                case.seal = with(
                    pki,
                    &format!("\"size\":{}", BODY.len()),
                    &format!("\"size\":{}", BODY.len() + 1),
                );
            },
        ),
        case(
            "replay-other-message",
            "A right seal with its body, under another message_id.",
            "seal-claims",
            "seal jti",
            &|case| {
                case.message_id = "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap();
            },
        ),
        case(
            "replay-other-system",
            "A right seal with its body and message_id, submitted by another system.",
            "seal-claims",
            "seal iss",
            &|case| {
                case.system = "so-y-te".parse().unwrap();
                case.bound = vec!["other-system.pem".to_owned()];
            },
        ),
        case(
            "other-systems-key",
            "Another system's key and certificate, right claims for this one.",
            "certificate-unknown",
            "seal header",
            &|case| {
                case.seal = pki.good("other-system.pem").seal;
            },
        ),
        case(
            "other-systems-name",
            "This system's key speaking for another system.",
            "seal-claims",
            "seal iss",
            &|case| {
                case.seal = with(pki, "so-tnmt", "so-y-te");
            },
        ),
        case(
            "replay-after-unbinding",
            "A right seal whose certificate is no longer bound to the system.",
            "certificate-unknown",
            "seal header",
            &|case| {
                case.bound = vec!["ed25519.pem".to_owned()];
            },
        ),
        case(
            "nothing-bound",
            "A right seal of a system without certificates.",
            "certificate-unknown",
            "seal header",
            &|case| {
                case.bound.clear();
            },
        ),
    ]
}

fn times(pki: &Pki) -> Vec<(String, Case)> {
    let case = |name: &str, what: &str, iat: &str| {
        let seal = with(pki, &format!("\"iat\":{NOW}"), &format!("\"iat\":{iat}"));
        refused(pki, name, what, "seal-claims", "seal iat", seal)
    };
    vec![
        case(
            "iat-old",
            "Sealed one second longer ago than is taken.",
            &(NOW - 7 * DAY - 1).to_string(),
        ),
        case(
            "iat-future",
            "Sealed one second further ahead than clocks may differ.",
            &(NOW + 301).to_string(),
        ),
        case(
            "iat-milliseconds",
            "Milliseconds where seconds are meant: a seal for the far future.",
            &format!("{NOW}000"),
        ),
        case("iat-zero", "Sealed in 1970.", "0"),
        case("iat-negative", "Sealed before 1970.", "-1"),
        case(
            "iat-overflow",
            "A moment outside the calendar.",
            "9223372036854775807",
        ),
        case(
            "iat-beyond-64-bits",
            "A number that no machine word holds.",
            "18446744073709551617",
        ),
        case("iat-fraction", "A fraction of a second.", &format!("{NOW}.5")),
        case("iat-exponent", "The moment with an exponent.", "1.79e9"),
        case("iat-text", "The moment as text.", &format!("\"{NOW}\"")),
    ]
}

fn types(pki: &Pki) -> Vec<(String, Case)> {
    let case = |name: &str, what: &str, code: &str, place: &str, from: &str, to: &str| {
        refused(pki, name, what, code, place, with(pki, from, to))
    };
    let good = claims_of(BODY, NOW);
    let digest = format!(
        "\"sha-256\":\"{}\"",
        good.split("\"sha-256\":\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
    );
    let size = format!("\"size\":{}", BODY.len());
    let jti = format!("\"jti\":\"{MESSAGE}\"");
    let mut all = Vec::new();
    for (claim, text) in [
        ("iss", "\"iss\":\"so-tnmt\""),
        ("jti", &jti),
        ("sha-256", &digest),
        ("size", &size),
    ] {
        all.push(case(
            &format!("claim-missing-{claim}"),
            &format!("No {claim}."),
            "seal-claims",
            &format!("seal {claim}"),
            text,
            "\"x\":0",
        ));
    }
    all.push(case(
        "claim-missing-iat",
        "No iat.",
        "seal-claims",
        "seal iat",
        "\"iat\"",
        "\"nbf\"",
    ));
    all.push(case(
        "claim-twice",
        "iss twice, the victim's first.",
        "seal-malformed",
        "seal claims",
        "\"iss\":\"so-tnmt\"",
        "\"iss\":\"so-tnmt\",\"iss\":\"so-y-te\"",
    ));
    all.push(case(
        "claim-twice-digest",
        "The digest twice.",
        "seal-malformed",
        "seal claims",
        &size,
        &format!("{size},{digest}"),
    ));
    all.push(case(
        "claim-iss-list",
        "iss as a list with the right one in it.",
        "seal-claims",
        "seal iss",
        "\"so-tnmt\"",
        "[\"so-tnmt\",\"so-y-te\"]",
    ));
    all.push(case(
        "claim-iss-letters",
        "iss in other letters.",
        "seal-claims",
        "seal iss",
        "so-tnmt",
        "SO-TNMT",
    ));
    all.push(case(
        "claim-iss-lookalike",
        "iss with a Cyrillic letter.",
        "seal-claims",
        "seal iss",
        "so-tnmt",
        "sо-tnmt",
    ));
    all.push(case(
        "claim-iss-nul",
        "iss with a zero character after it.",
        "seal-claims",
        "seal iss",
        "so-tnmt",
        "so-tnmt\\u0000",
    ));
    all.push(case(
        "claim-size-text",
        "The size as text.",
        "seal-claims",
        "seal size",
        &size,
        &format!("\"size\":\"{}\"", BODY.len()),
    ));
    all.push(case(
        "claim-size-negative",
        "A size below zero.",
        "seal-claims",
        "seal size",
        &size,
        "\"size\":-1",
    ));
    all.push(case(
        "claim-size-fraction",
        "The size as a fraction.",
        "seal-claims",
        "seal size",
        &size,
        &format!("\"size\":{}.0", BODY.len()),
    ));
    all.push(case(
        "claim-digest-short",
        "The first half of the digest.",
        "seal-claims",
        "seal sha-256",
        &digest,
        &format!("{}\"", &digest[..digest.len() - 22]),
    ));
    all.push(case(
        "claim-digest-null",
        "The digest null.",
        "seal-claims",
        "seal sha-256",
        &digest,
        "\"sha-256\":null",
    ));
    all.push(case(
        "claim-digest-sha1",
        "A digest of SHA-1 under the name of SHA-256.",
        "seal-claims",
        "seal sha-256",
        &digest,
        "\"sha-256\":\"qvTGHdzF6KLavt4PO0gs2a6pQ00\"",
    ));
    all.push(case(
        "claims-list",
        "The claims as a list.",
        "seal-malformed",
        "seal claims",
        &good,
        &format!("[{good}]"),
    ));
    all
}
