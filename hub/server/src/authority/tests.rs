//! What the test authority makes is judged by the seal's own checks.

use std::os::unix::fs::PermissionsExt as _;

use truc_envelope::seal::{
    Algorithm, BoundCertificate, Claims, Expected, SealingKey, Tolerance, Trust, ValidSeal, make, verify,
};
use truc_model::{MessageId, Refusal, RefusalCode, SeededRandom};

use super::*;

const NOW: i64 = 1_790_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn validity() -> Validity {
    Validity {
        not_before: at(NOW - 1000),
        not_after: at(NOW + 1000),
    }
}

fn system() -> SystemId {
    SystemId::new("xa-tan-trao").unwrap()
}

fn seal_and_verify(issued: &Issued, trust: &Trust) -> Result<ValidSeal, Refusal> {
    let system = system();
    let key = SealingKey::from_pem(&issued.key_pem, &issued.certificate_pem).unwrap();
    assert_eq!(key.thumbprint(), issued.thumbprint);
    let message_id: MessageId = "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap();
    let sha256 = Sha256::of(b"body");
    let claims = Claims {
        iss: system.clone(),
        jti: message_id,
        iat: at(NOW),
        sha256,
        size: 4,
    };
    let expected = Expected {
        system: &system,
        message_id,
        sha256,
        size: 4,
        now: at(NOW),
        tolerance: Tolerance::default(),
    };
    let bound = BoundCertificate::from_pem(&issued.certificate_pem).unwrap();
    assert_eq!(bound.serial(), issued.serial);
    verify(&make(&key, &claims).unwrap(), &expected, &[bound], trust)
}

#[test]
fn what_it_issues_seals() {
    let random = SeededRandom::new(1);
    let root = Authority::root("Root", validity(), &random).unwrap();
    let below = root.intermediate("Below", validity(), &random).unwrap();
    let trust = Trust::new(&[root.certificate_pem()]).unwrap();
    for (authority, key, algorithm) in [
        (&root, LeafKey::P256, Algorithm::Es256),
        (&below, LeafKey::P256, Algorithm::Es256),
        (&below, LeafKey::Ed25519, Algorithm::EdDsa),
    ] {
        let issued = authority.issue(&system(), key, validity(), &random).unwrap();
        let valid = seal_and_verify(&issued, &trust).unwrap();
        assert_eq!(valid.algorithm(), algorithm);
        assert_eq!(valid.signer(), "xa-tan-trao");
    }
}

#[test]
fn ed25519_keys_are_written_as_everyone_reads_them() {
    let random = SeededRandom::new(7);
    let root = Authority::root("Root", validity(), &random).unwrap();
    let issued = root
        .issue(&system(), LeafKey::Ed25519, validity(), &random)
        .unwrap();
    // Version 1 with nothing but the seed: 48 bytes, one line of base64 that always begins alike.
    let line = issued.key_pem.lines().nth(1).unwrap();
    assert_eq!(line.len(), 64);
    assert!(
        line.starts_with("MC4CAQAwBQYDK2VwBCIEI"),
        "another form of PKCS#8"
    );
    assert_eq!(issued.key_pem.lines().count(), 3);
}

#[test]
fn an_existing_key_is_certified() {
    let random = SeededRandom::new(2);
    let root = Authority::root("Root", validity(), &random).unwrap();
    let trust = Trust::new(&[root.certificate_pem()]).unwrap();
    let first = root.issue(&system(), LeafKey::P256, validity(), &random).unwrap();
    let again = root
        .issue(&system(), LeafKey::Pkcs8Pem(&first.key_pem), validity(), &random)
        .unwrap();
    assert_ne!(first.serial, again.serial);
    assert!(seal_and_verify(&again, &trust).is_ok());
}

#[test]
fn an_authority_read_back_issues_and_revokes() {
    let random = SeededRandom::new(3);
    let root = Authority::root("Gốc thử nghiệm", validity(), &random).unwrap();
    let below = root.intermediate("Below", validity(), &random).unwrap();
    let root = Authority::from_pem(&root.key_pem(), root.certificate_pem()).unwrap();
    let with_root = format!("{}{}", below.chain_pem, root.certificate_pem());
    let below = Authority::from_pem(&below.key_pem(), &with_root).unwrap();
    let trust = Trust::new(&[root.certificate_pem()]).unwrap();
    for authority in [&root, &below] {
        let issued = authority
            .issue(&system(), LeafKey::P256, validity(), &random)
            .unwrap();
        assert!(seal_and_verify(&issued, &trust).is_ok());

        let line = Revoked {
            serial: issued.serial.clone(),
            at: at(NOW),
        };
        let list = authority.crl(&[line], validity()).unwrap();
        let strict = Trust::new(&[root.certificate_pem()])
            .unwrap()
            .with_crls(&[list])
            .unwrap();
        let refusal = seal_and_verify(&issued, &strict).unwrap_err();
        assert_eq!(refusal.code, RefusalCode::CertificateRevoked);
    }
}

#[test]
fn key_and_certificate_must_belong_together() {
    let random = SeededRandom::new(4);
    let root = Authority::root("Root", validity(), &random).unwrap();
    let other = Authority::root("Root", validity(), &random).unwrap();
    let leaf = root.issue(&system(), LeafKey::P256, validity(), &random).unwrap();
    assert!(matches!(
        Authority::from_pem(&other.key_pem(), root.certificate_pem()),
        Err(AuthorityError::Mismatch)
    ));
    assert!(matches!(
        Authority::from_pem(&leaf.key_pem, &leaf.certificate_pem),
        Err(AuthorityError::NotAnAuthority)
    ));
    assert!(matches!(
        Authority::from_pem(&root.key_pem(), "no certificate"),
        Err(AuthorityError::Unreadable)
    ));
    assert!(matches!(
        root.issue(&system(), LeafKey::Pkcs8Pem("no key"), validity(), &random),
        Err(AuthorityError::Key(_))
    ));
}

#[test]
fn spans_and_serials_at_their_edges() {
    let random = SeededRandom::new(5);
    let span = |not_before, not_after| Validity {
        not_before: at(not_before),
        not_after: at(not_after),
    };
    for (bad, good) in [(span(-1, 5), span(0, 5)), (span(5, 5), span(5, 6))] {
        assert!(matches!(
            Authority::root("Root", bad, &random),
            Err(AuthorityError::Validity)
        ));
        assert!(Authority::root("Root", good, &random).is_ok());
    }
    assert!(serial_bytes(&"ab".repeat(SERIAL_MAX_BYTES)).is_ok());
    for bad in ["", "a", "xy", &"ab".repeat(SERIAL_MAX_BYTES + 1)] {
        assert!(matches!(serial_bytes(bad), Err(AuthorityError::Serial)), "{bad}");
    }
    let root = Authority::root("Root", validity(), &random).unwrap();
    let line = Revoked {
        serial: "01".to_owned(),
        at: at(NOW),
    };
    assert!(root.crl(&vec![line.clone(); MAX_REVOKED], validity()).is_ok());
    assert!(matches!(
        root.crl(&vec![line; MAX_REVOKED + 1], validity()),
        Err(AuthorityError::TooManyRevoked)
    ));
}

#[test]
fn keys_stay_private() {
    let random = SeededRandom::new(6);
    let root = Authority::root("Root", validity(), &random).unwrap();
    let issued = root.issue(&system(), LeafKey::P256, validity(), &random).unwrap();
    let secret = issued.key_pem.lines().nth(1).unwrap();
    for shown in [
        format!("{root:?}"),
        format!("{issued:?}"),
        format!("{:?}", LeafKey::Pkcs8Pem(&issued.key_pem)),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("system.key");
    write_key_file(&path, &issued.key_pem).unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), issued.key_pem);
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let again = write_key_file(&path, "other").unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
}
