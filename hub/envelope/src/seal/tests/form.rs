//! The compact form: what is no seal, and what a header may and may not bring along.

use ring::hmac;
use truc_model::RefusalCode::{SealAlgorithm, SealMalformed, SealSignature};

use super::super::{Algorithm, SEAL_MAX_BYTES, SEAL_TYPE};
use super::{Setting, base64url, claims, header, payload, refused, seal_raw};

#[test]
fn a_seal_has_three_parts_of_base64url() {
    let setting = Setting::usual();
    let good = setting.leaf.seal(&claims());
    assert!(setting.verify(&good).is_ok());
    let parts: Vec<&str> = good.split('.').collect();
    let [head, load, sign] = parts.as_slice() else {
        panic!("three parts");
    };
    for (bad, place) in [
        (String::new(), "seal seal"),
        ("a".to_owned(), "seal seal"),
        (format!("{head}.{load}"), "seal seal"),
        (format!("{good}."), "seal seal"),
        (format!("{good}.{sign}"), "seal seal"),
        ("..".to_owned(), "seal header"),
        (format!("{head}=.{load}.{sign}"), "seal header"),
        (format!("{head}.{load}=.{sign}"), "seal claims"),
        (format!("{head}.{load}.{sign}=="), "seal signature"),
        (format!(" {good}"), "seal header"),
        (format!("{good}\n"), "seal signature"),
        (
            format!("{head}.{} {}.{sign}", &load[..8], &load[8..]),
            "seal claims",
        ),
        (format!("{head}.{load}.{}+/", &sign[..84]), "seal signature"),
        (format!("{head}.{}.{sign}", base64url("[]")), "seal claims"),
        (format!("{head}.{}.{sign}", base64url("{} {}")), "seal claims"),
        (
            format!("{head}.{}.{sign}", base64url([0xff, 0xfe])),
            "seal claims",
        ),
        (format!("{}.{load}.{sign}", base64url("\"alg\"")), "seal header"),
        (
            format!("{}.{load}.{sign}", base64url("[".repeat(4000))),
            "seal header",
        ),
    ] {
        assert_eq!(setting.verify(&bad), refused(SealMalformed, place), "{bad}");
    }
}

#[test]
fn unused_bits_of_base64url_are_zero() {
    // 64 bytes leave four unused bits in the last character: sixteen spellings of one signature.
    let setting = Setting::usual();
    let good = setting.leaf.seal(&claims());
    let (rest, last) = good.split_at(good.len() - 1);
    let spellings = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = spellings.find(last).unwrap();
    let other = &spellings[index + 1..index + 2];
    assert_eq!(
        setting.verify(&format!("{rest}{other}")),
        refused(SealMalformed, "seal signature")
    );
}

#[test]
fn the_limit_at_its_edge() {
    let setting = Setting::usual();
    for (length, passes) in [(SEAL_MAX_BYTES, true), (SEAL_MAX_BYTES + 1, false)] {
        // Base64 has no text of 4n+1 characters, so both parts are padded until the sum fits.
        let seal = (0..4)
            .flat_map(|a| (5500..6000).map(move |b| (a, b)))
            .map(|(a, b)| {
                let header = header(&setting.leaf).replace('{', &format!("{{\"a\":\"{}\",", "x".repeat(a)));
                let payload = payload().replace('{', &format!("{{\"b\":\"{}\",", "x".repeat(b)));
                (header, payload)
            })
            .find(|(header, payload)| base64url(header).len() + base64url(payload).len() + 2 + 86 == length)
            .map(|(header, payload)| seal_raw(&setting.leaf, &header, &payload))
            .unwrap();
        assert_eq!(seal.len(), length);
        if passes {
            assert!(setting.verify(&seal).is_ok());
        } else {
            assert_eq!(setting.verify(&seal), refused(SealMalformed, "seal seal"));
        }
    }
}

#[test]
fn headers_that_are_refused() {
    let setting = Setting::usual();
    let x5t = setting.leaf.bound().thumbprint().base64url();
    for (bad, code) in [
        (
            format!(r#"{{"alg":"ES256","alg":"ES256","x5t#S256":"{x5t}"}}"#),
            SealMalformed,
        ),
        (
            format!(r#"{{"alg":"none","\u0061lg":"ES256","x5t#S256":"{x5t}"}}"#),
            SealMalformed,
        ),
        (
            format!(r#"{{"alg":"ES256","x5t#S256":"{x5t}","crit":["exp"]}}"#),
            SealMalformed,
        ),
        (
            format!(r#"{{"alg":"ES256","x5t#S256":"{x5t}","crit":[]}}"#),
            SealMalformed,
        ),
        (
            format!(r#"{{"alg":"ES256","x5t#S256":"{x5t}","typ":"JWT"}}"#),
            SealMalformed,
        ),
        (
            format!(r#"{{"alg":"ES256","x5t#S256":"{x5t}","typ":null}}"#),
            SealMalformed,
        ),
        (r#"{"alg":"ES256"}"#.to_owned(), SealMalformed),
        (r#"{"alg":"ES256","x5t#S256":"AAAA"}"#.to_owned(), SealMalformed),
        (format!(r#"{{"alg":"ES256","x5t#S256":"{x5t}="}}"#), SealMalformed),
        (r#"{"alg":"ES256","x5t#S256":7}"#.to_owned(), SealMalformed),
        (format!(r#"{{"x5t#S256":"{x5t}"}}"#), SealAlgorithm),
        (format!(r#"{{"alg":"none","x5t#S256":"{x5t}"}}"#), SealAlgorithm),
        (format!(r#"{{"alg":"nOnE","x5t#S256":"{x5t}"}}"#), SealAlgorithm),
        (format!(r#"{{"alg":"es256","x5t#S256":"{x5t}"}}"#), SealAlgorithm),
        (format!(r#"{{"alg":"ES384","x5t#S256":"{x5t}"}}"#), SealAlgorithm),
        (
            format!(r#"{{"alg":["ES256"],"x5t#S256":"{x5t}"}}"#),
            SealAlgorithm,
        ),
        (
            format!(r#"{{"alg":"Nguyễn Văn A","x5t#S256":"{x5t}"}}"#),
            SealAlgorithm,
        ),
    ] {
        let seal = seal_raw(&setting.leaf, &bad, &payload());
        assert_eq!(setting.verify(&seal), refused(code, "seal header"), "{bad}");
    }
}

#[test]
fn a_refusal_repeats_no_strangers_text() {
    let setting = Setting::usual();
    let header = header(&setting.leaf).replace("ES256\"", "Nguyễn Văn A\"");
    let seal = seal_raw(&setting.leaf, &header, &payload());
    let refusal =
        super::verify(&seal, &super::expected(), &[setting.leaf.bound()], &setting.trust).unwrap_err();
    assert_eq!(refusal.found, "another name");
    let payload = payload().replace("so-tnmt", "Nguyễn Văn A");
    let seal = seal_raw(&setting.leaf, &super::header(&setting.leaf), &payload);
    let refusal =
        super::verify(&seal, &super::expected(), &[setting.leaf.bound()], &setting.trust).unwrap_err();
    assert_eq!(refusal.found, "no system id");
}

#[test]
fn an_unsigned_seal_is_refused_as_such() {
    let setting = Setting::usual();
    let header = header(&setting.leaf).replace("\"ES256\"", "\"none\"");
    let seal = format!("{}.{}.", base64url(header), base64url(payload()));
    assert_eq!(setting.verify(&seal), refused(SealAlgorithm, "seal header"));
}

#[test]
fn the_certificate_is_no_shared_secret() {
    let setting = Setting::usual();
    let header = header(&setting.leaf).replace("\"ES256\"", "\"HS256\"");
    let input = format!("{}.{}", base64url(header), base64url(payload()));
    for secret in [setting.leaf.bound().der(), setting.leaf.certificate.as_bytes()] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), input.as_bytes());
        let seal = format!("{input}.{}", base64url(tag));
        assert_eq!(setting.verify(&seal), refused(SealAlgorithm, "seal header"));
    }
}

#[test]
fn the_algorithm_must_be_the_keys() {
    let setting = Setting::usual();
    for algorithm in Algorithm::ALL.into_iter().filter(|a| *a != Algorithm::Es256) {
        let header = header(&setting.leaf).replace("\"ES256\"", &format!("\"{algorithm}\""));
        let seal = seal_raw(&setting.leaf, &header, &payload());
        assert_eq!(
            setting.verify(&seal),
            refused(SealAlgorithm, "seal header"),
            "{algorithm}"
        );
    }
}

#[test]
fn what_else_a_header_says_is_ignored() {
    let setting = Setting::usual();
    let more = format!(
        r#"{{"typ":"{SEAL_TYPE}","kid":"1","b64":false,"jku":"https://example.invalid/","x5u":7,"x5c":[],"#
    );
    let header = header(&setting.leaf).replace('{', &more);
    assert!(
        setting
            .verify(&seal_raw(&setting.leaf, &header, &payload()))
            .is_ok()
    );
}

#[test]
fn a_key_in_the_header_is_never_used() {
    let setting = Setting::usual();
    let stranger = Setting::usual().leaf;
    // The point of an uncompressed P-256 key is x‖y after one byte 4.
    let bound = stranger.bound();
    let point = &bound.public_key()[1..];
    let jwk = format!(
        r#"{{"jwk":{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}},"#,
        base64url(&point[..32]),
        base64url(&point[32..])
    );
    let header = header(&setting.leaf).replace('{', &jwk);
    let seal = seal_raw(&stranger, &header, &payload());
    assert_eq!(setting.verify(&seal), refused(SealSignature, "seal signature"));
}
