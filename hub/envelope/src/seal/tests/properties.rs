//! Whatever comes: no panic, and no seal for anything but what it was made for.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::super::{BoundCertificate, SealingKey, Trust, verify};
use super::{BODY, Setting, base64url, claims, expected, expected_for};

fn setting() -> &'static (Setting, String, BoundCertificate) {
    static SETTING: OnceLock<(Setting, String, BoundCertificate)> = OnceLock::new();
    SETTING.get_or_init(|| {
        let setting = Setting::usual();
        let seal = setting.leaf.seal(&claims());
        let bound = setting.leaf.bound();
        (setting, seal, bound)
    })
}

fn holds(seal: &str, body: &[u8]) -> bool {
    let (setting, _, bound) = setting();
    verify(
        seal,
        &expected_for(body),
        std::slice::from_ref(bound),
        &setting.trust,
    )
    .is_ok()
}

proptest! {
    #[test]
    fn any_text_is_refused(text in any::<String>()) {
        prop_assert!(!holds(&text, BODY));
    }

    #[test]
    fn any_three_parts_are_refused(
        header in any::<Vec<u8>>(),
        payload in any::<Vec<u8>>(),
        signature in any::<Vec<u8>>(),
    ) {
        let parts = [base64url(header), base64url(payload), base64url(signature)];
        prop_assert!(!holds(&parts.join("."), BODY));
    }

    #[test]
    fn any_json_is_refused(
        header in r#"\{("(alg|typ|crit|x5t#S256)":("ES256"|"none"|null|1|\[\]),?){0,4}\}"#,
        payload in r#"\{("(iss|jti|iat|size|sha-256)":("so-tnmt"|-1|1e9|\{\}),?){0,6}\}"#,
    ) {
        let seal = format!("{}.{}.AA", base64url(header), base64url(payload));
        prop_assert!(!holds(&seal, BODY));
    }

    #[test]
    fn one_changed_character_breaks_it(index in any::<prop::sample::Index>(), other in any::<char>()) {
        let (_, seal, _) = setting();
        let mut characters: Vec<char> = seal.chars().collect();
        let place = index.index(characters.len());
        prop_assume!(characters[place] != other);
        characters[place] = other;
        prop_assert!(!holds(&characters.into_iter().collect::<String>(), BODY));
    }

    #[test]
    fn other_bytes_break_it(body in any::<Vec<u8>>()) {
        let (_, seal, _) = setting();
        prop_assert!(holds(seal, BODY));
        prop_assume!(body != BODY);
        prop_assert!(!holds(seal, &body));
    }

    #[test]
    fn a_flipped_bit_in_the_body_breaks_it(index in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (_, seal, _) = setting();
        let mut body = BODY.to_vec();
        body[index.index(BODY.len())] ^= 1 << bit;
        prop_assert!(!holds(seal, &body));
    }

    #[test]
    fn any_bytes_for_certificates_and_lists(bytes in any::<Vec<u8>>()) {
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(BoundCertificate::from_pem(&text).is_err());
        prop_assert!(Trust::new(&[&bytes]).is_err());
        prop_assert!(Trust::new::<&str>(&[]).unwrap().with_crls(&[&bytes]).is_err());
        prop_assert!(SealingKey::from_pem(&text, &setting().0.leaf.certificate).is_err());
    }

    #[test]
    fn a_changed_certificate_is_another(index in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let (setting, seal, bound) = setting();
        let mut der = bound.der().to_vec();
        let place = index.index(der.len());
        der[place] ^= 1 << bit;
        // Unreadable, or readable and not the one that the seal names.
        if let Ok(changed) = BoundCertificate::from_der(der.into()) {
            prop_assert!(verify(seal, &expected(), std::slice::from_ref(&changed), &setting.trust).is_err());
            prop_assert!(setting.trust.check(&changed, expected().now, expected().now).is_err());
        }
    }
}
