//! Tests of the seal as a whole. This file makes what they need: authorities, certificates, a message.

mod chain;
mod claims;
mod form;
mod openssl;
mod properties;
mod proven;
mod round_trip;
mod vectors;

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevocationReason,
    RevokedCertParams, SerialNumber, SignatureAlgorithm,
};
use truc_model::{MessageId, RefusalCode, Sha256, SystemId};

use super::jws;
use super::{
    BoundCertificate, Claims, Expected, SealError, SealingKey, Tolerance, Trust, ValidSeal, make, verify,
};

const BODY: &[u8] = "<edXML>Quyết định số 12/QĐ-UBND</edXML>".as_bytes();
const MESSAGE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
const NOW: i64 = 1_790_000_000;
const DAY: i64 = 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn system() -> &'static SystemId {
    static SYSTEM: OnceLock<SystemId> = OnceLock::new();
    SYSTEM.get_or_init(|| SystemId::new("so-tnmt").unwrap())
}

/// The claims of a good seal for [`BODY`].
fn claims() -> Claims {
    Claims {
        iss: system().clone(),
        jti: MESSAGE.parse().unwrap(),
        iat: at(NOW),
        sha256: Sha256::of(BODY),
        size: BODY.len() as u64,
    }
}

/// What the hub expects of the message with [`BODY`].
fn expected() -> Expected<'static> {
    expected_for(BODY)
}

fn expected_for(body: &[u8]) -> Expected<'static> {
    Expected {
        system: system(),
        message_id: MESSAGE.parse::<MessageId>().unwrap(),
        sha256: Sha256::of(body),
        size: body.len() as u64,
        now: at(NOW),
        tolerance: Tolerance::default(),
    }
}

/// An authority that issues whatever a test wants, wrong or right.
struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl TestCa {
    fn root(name: &str) -> Self {
        Self::root_with(name, |_| ())
    }

    fn root_with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    fn intermediate(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = ca_params(name);
        change(&mut params);
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.issuer).unwrap();
        Self { issuer }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// A leaf for a fresh key of `algorithm`.
    fn leaf(
        &self,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        self.leaf_for(KeyPair::generate_for(algorithm).unwrap(), change)
    }

    fn leaf_for(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let mut params = leaf_params();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            key: key.serialize_pem(),
            certificate: certificate.pem(),
        }
    }

    /// A list, issued `age` seconds before [`NOW`] and good for a day, that revokes `serials`.
    fn crl(&self, age: i64, serials: &[u64]) -> rcgen::CertificateRevocationList {
        let issued = rcgen::date_time_ymd(1970, 1, 1) + seconds(NOW - age);
        CertificateRevocationListParams {
            this_update: issued,
            next_update: issued + seconds(DAY),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials
                .iter()
                .map(|serial| RevokedCertParams {
                    serial_number: SerialNumber::from(*serial),
                    revocation_time: issued,
                    reason_code: Some(RevocationReason::KeyCompromise),
                    invalidity_date: None,
                })
                .collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        }
        .signed_by(&self.issuer)
        .unwrap()
    }
}

/// A key with its certificate, both PEM.
struct Leaf {
    key: String,
    certificate: String,
}

impl Leaf {
    fn sealing_key(&self) -> SealingKey {
        SealingKey::from_pem(&self.key, &self.certificate).unwrap()
    }

    fn bound(&self) -> BoundCertificate {
        BoundCertificate::from_pem(&self.certificate).unwrap()
    }

    fn seal(&self, claims: &Claims) -> String {
        let made: Result<String, SealError> = make(&self.sealing_key(), claims);
        made.unwrap()
    }
}

/// A seal with any header and payload, rightly signed: what a faulty or hostile program could send.
fn seal_raw(leaf: &Leaf, header: &str, payload: &str) -> String {
    let input = format!("{}.{}", base64url(header), base64url(payload));
    let signature = leaf.sealing_key().sign(input.as_bytes()).unwrap();
    jws::with_signature(&input, &signature)
}

fn base64url(text: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

/// The header of a good seal of `leaf`.
fn header(leaf: &Leaf) -> String {
    let thumbprint = leaf.bound().thumbprint().base64url();
    format!(r#"{{"alg":"ES256","x5t#S256":"{thumbprint}"}}"#)
}

/// The payload of a good seal for [`BODY`].
fn payload() -> String {
    let (digest, size) = (Sha256::of(BODY).base64url(), BODY.len());
    format!(r#"{{"iss":"so-tnmt","jti":"{MESSAGE}","iat":{NOW},"sha-256":"{digest}","size":{size}}}"#)
}

/// A root, a P-256 leaf of it and the trust in it: the ordinary case.
struct Setting {
    ca: TestCa,
    leaf: Leaf,
    trust: Trust,
}

impl Setting {
    fn usual() -> Self {
        Self::with_leaf(|_| ())
    }

    fn with_leaf(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca = TestCa::root("Root A");
        let leaf = ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, change);
        let trust = Trust::new(&[ca.pem()]).unwrap();
        Self { ca, leaf, trust }
    }

    fn verify(&self, seal: &str) -> Checked {
        check(seal, &expected(), &[self.leaf.bound()], &self.trust)
    }
}

type Checked = Result<ValidSeal, (RefusalCode, String)>;

/// [`verify`], with a refusal as its code and place: `certificate-expired`, `certificate notAfter`.
fn check(seal: &str, expected: &Expected<'_>, bound: &[BoundCertificate], trust: &Trust) -> Checked {
    verify(seal, expected, bound, trust).map_err(|refusal| (refusal.code, refusal.place.to_string()))
}

fn refused(code: RefusalCode, place: &str) -> Checked {
    Err((code, place.to_owned()))
}

fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, NOW - 100 * DAY, NOW + 100 * DAY);
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "Sở Tài nguyên");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::EmailProtection,
    ];
    params.serial_number = Some(SerialNumber::from(7));
    validity(&mut params, NOW - 10 * DAY, NOW + 10 * DAY);
    params
}

/// Sets the validity, in seconds since 1970. (rcgen's kind of time is of a crate that is not among ours.)
fn validity(params: &mut CertificateParams, from: i64, until: i64) {
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + seconds(from);
    params.not_after = epoch + seconds(until);
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(seconds).unwrap())
}
