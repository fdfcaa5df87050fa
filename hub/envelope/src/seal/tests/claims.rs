//! The claims, the digest, the certificate named and the signature.

use truc_model::RefusalCode::{
    CertificateUnknown, SealBodyMismatch, SealClaims, SealMalformed, SealSignature,
};
use truc_model::{Sha256, SystemId};

use super::super::{Claims, Expected, Tolerance};
use super::{
    BODY, Checked, MESSAGE, NOW, Setting, at, check, claims, expected, expected_for, header, payload,
    refused, seal_raw,
};

impl Setting {
    fn verify_for(&self, seal: &str, expected: &Expected<'_>) -> Checked {
        check(seal, expected, &[self.leaf.bound()], &self.trust)
    }

    /// A seal whose payload has `from` replaced by `to`.
    fn seal_with(&self, from: &str, to: &str) -> String {
        let changed = payload().replace(from, to);
        assert_ne!(changed, payload(), "{from} stands in the payload");
        seal_raw(&self.leaf, &header(&self.leaf), &changed)
    }
}

#[test]
fn each_claim_is_there_and_of_its_form() {
    let setting = Setting::usual();
    let digest = Sha256::of(BODY);
    let (text, size) = (digest.base64url(), BODY.len());
    for (from, to, claim) in [
        ("\"iss\"", "\"isS\"", "iss"),
        ("\"jti\"", "\"id\"", "jti"),
        ("\"iat\"", "\"nbf\"", "iat"),
        ("\"sha-256\"", "\"sha256\"", "sha-256"),
        ("\"size\"", "\"length\"", "size"),
        ("\"so-tnmt\"", "[\"so-tnmt\"]", "iss"),
        ("\"so-tnmt\"", "null", "iss"),
        (&format!("\"{MESSAGE}\""), "1", "jti"),
        (&format!("{NOW}"), &format!("\"{NOW}\""), "iat"),
        (&format!("{NOW}"), &format!("{NOW}.5"), "iat"),
        (&format!("{NOW}"), "1e400", "claims"),
        (&format!("{NOW}"), "9223372036854775807", "iat"),
        (&format!("{NOW}"), "99999999999999999999", "iat"),
        (&format!(":{size}"), &format!(":-{size}"), "size"),
        (&format!(":{size}"), &format!(":{size}.0"), "size"),
        (&format!(":{size}"), &format!(":\"{size}\""), "size"),
        (&text, &format!("{text}="), "sha-256"),
        (&text, &digest.to_string(), "sha-256"),
        (&text, &text[..42], "sha-256"),
        (&text, "", "sha-256"),
    ] {
        let code = if claim == "claims" {
            SealMalformed
        } else {
            SealClaims
        };
        assert_eq!(
            setting.verify(&setting.seal_with(from, to)),
            refused(code, &format!("seal {claim}")),
            "{from} -> {to}"
        );
    }
}

#[test]
fn claims_stand_once_and_others_are_ignored() {
    let setting = Setting::usual();
    for twice in [
        r#"{"iss":"so-tnmt","#,
        r#"{"\u0069ss":"so-tnmt","#,
        r#"{"x":1,"x":1,"#,
    ] {
        let seal = setting.seal_with("{", twice);
        assert_eq!(
            setting.verify(&seal),
            refused(SealMalformed, "seal claims"),
            "{twice}"
        );
    }
    let more = setting.seal_with("{", r#"{"exp":1,"aud":"x","nested":{"a":1,"a":2},"#);
    assert!(setting.verify(&more).is_ok());
}

#[test]
fn a_seal_is_for_one_system_and_one_message() {
    let setting = Setting::usual();
    let seal = setting.leaf.seal(&claims());
    let other = SystemId::new("xa-tan-trao").unwrap();
    let elsewhere = Expected {
        system: &other,
        ..expected()
    };
    assert_eq!(
        setting.verify_for(&seal, &elsewhere),
        refused(SealClaims, "seal iss")
    );
    let again = Expected {
        message_id: "01890a5d-ac96-774b-bcce-b302099a8058".parse().unwrap(),
        ..expected()
    };
    assert_eq!(setting.verify_for(&seal, &again), refused(SealClaims, "seal jti"));
}

#[test]
fn a_message_id_has_one_form_in_either_case() {
    let setting = Setting::usual();
    let seal = setting.seal_with(MESSAGE, &MESSAGE.to_uppercase());
    assert!(setting.verify(&seal).is_ok());
    for other in [
        MESSAGE.replace('-', ""),
        format!("{{{MESSAGE}}}"),
        format!(" {MESSAGE}"),
        format!("urn:uuid:{MESSAGE}"),
    ] {
        let seal = setting.seal_with(MESSAGE, &other);
        assert_eq!(setting.verify(&seal), refused(SealClaims, "seal jti"), "{other}");
    }
}

#[test]
fn a_seal_is_for_one_body() {
    let setting = Setting::usual();
    let seal = setting.leaf.seal(&claims());
    let mut swapped = BODY.to_vec();
    swapped[0] ^= 1;
    assert_eq!(
        setting.verify_for(&seal, &expected_for(&swapped)),
        refused(SealBodyMismatch, "seal sha-256")
    );
    // Of two findings the earlier code decides.
    assert_eq!(
        setting.verify_for(&seal, &expected_for(&BODY[1..])),
        refused(SealClaims, "seal size")
    );
}

#[test]
fn the_clocks_may_differ_within_the_tolerance() {
    let setting = Setting::usual();
    let tolerance = Tolerance::default();
    let ahead = i64::try_from(tolerance.max_ahead.as_secs()).unwrap();
    let age = i64::try_from(tolerance.max_age.as_secs()).unwrap();
    for (offset, holds) in [
        (0, true),
        (ahead, true),
        (ahead + 1, false),
        (-age, true),
        (-age - 1, false),
    ] {
        let seal = setting.leaf.seal(&Claims {
            iat: at(NOW + offset),
            ..claims()
        });
        if holds {
            assert_eq!(setting.verify(&seal).unwrap().signed_at(), at(NOW + offset));
        } else {
            assert_eq!(setting.verify(&seal), refused(SealClaims, "seal iat"), "{offset}");
        }
    }
}

#[test]
fn only_certificates_bound_to_the_system_count() {
    let setting = Setting::usual();
    let seal = setting.leaf.seal(&claims());
    let neighbour = setting.ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |_| ());
    for bound in [vec![], vec![neighbour.bound()]] {
        assert_eq!(
            check(&seal, &expected(), &bound, &setting.trust),
            refused(CertificateUnknown, "seal header")
        );
    }
    // Two at once, while keys are changed.
    let both = [neighbour.bound(), setting.leaf.bound()];
    for seal in [&seal, &neighbour.seal(&claims())] {
        assert!(check(seal, &expected(), &both, &setting.trust).is_ok());
    }
}

#[test]
fn the_signature_must_be_the_certificates() {
    let setting = Setting::usual();
    let neighbour = setting.ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |_| ());
    let stolen = seal_raw(&neighbour, &header(&setting.leaf), &payload());
    let good = setting.leaf.seal(&claims());
    let (input, _) = good.rsplit_once('.').unwrap();
    for bad in [
        stolen,
        format!("{input}."),
        format!("{input}.AAAA"),
        format!("{input}.{}", "A".repeat(86)),
    ] {
        assert_eq!(
            setting.verify(&bad),
            refused(SealSignature, "seal signature"),
            "{bad}"
        );
    }
}
