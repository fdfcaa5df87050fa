//! Forging: keys, certificates, lists and the seals made with them. Keys live as long as one run.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, CustomExtension,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevocationReason, RevokedCertParams, SerialNumber, SignatureAlgorithm,
};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use truc_envelope::seal::{BoundCertificate, SEAL_TYPE};
use truc_model::Sha256;

use super::case::{Case, folder};

pub(crate) const BODY: &str = "<edXML>Quyết định số 12/QĐ-UBND</edXML>";
pub(crate) const MESSAGE: &str = "01890a5d-ac96-774b-bcce-b302099a8057";
/// The hub's clock: 2026-09-21T14:13:20Z.
pub(crate) const NOW: i64 = 1_790_000_000;
pub(crate) const DAY: i64 = 86_400;

/// The root's key identifier, which anyone can copy.
const KEY_ID: [u8; 20] = [0x5a; 20];
/// Serial number of the leaf that the lists revoke.
const REVOKED: u64 = 0x66;
/// Serial number of the intermediate that one list revokes.
const REVOKED_INTERMEDIATE: u64 = 0x77;

/// Everything forged: files by name, and the keys behind them.
pub(crate) struct Pki {
    files: Vec<(&'static str, String)>,
    leaves: Vec<(&'static str, Leaf)>,
}

/// A leaf certificate with its key.
pub(crate) struct Leaf {
    key: Key,
    /// PEM, intermediates after it.
    pub(crate) pem: String,
}

enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
    /// Too weak for ring: PKCS#8 PEM for OpenSSL.
    Weak(String),
    /// Of a kind that no seal is made with.
    None,
}

impl Pki {
    /// Makes all keys, certificates and lists.
    pub(crate) fn new() -> Self {
        let mut pki = Self {
            files: Vec::new(),
            leaves: Vec::new(),
        };
        let same_key_id = |params: &mut CertificateParams| {
            params.key_identifier_method = KeyIdMethod::PreSpecified(KEY_ID.to_vec());
        };
        let root = Ca::root("Root A", same_key_id);
        pki.file("root.pem", root.pem());
        pki.leaf("p256.pem", root.p256(|_| ()));
        pki.leaf("ed25519.pem", root.leaf(&rcgen::PKCS_ED25519, |_| ()));
        pki.leaf("rsa2048.pem", root.rsa(&openssl_rsa("2048"), |_| ()));
        pki.leaf("rsa1024.pem", root.rsa(&openssl_rsa("1024"), |_| ()));
        pki.leaf("p384.pem", root.leaf(&rcgen::PKCS_ECDSA_P384_SHA384, |_| ()));
        // Another system's, of the same authority.
        pki.leaf("other-system.pem", root.p256(|params| name(params, "so-y-te")));
        pki.leaf(
            "expired.pem",
            root.p256(|params| validity(params, -20 * DAY, -DAY)),
        );
        pki.leaf(
            "not-yet-valid.pem",
            root.p256(|params| validity(params, DAY, 20 * DAY)),
        );
        pki.leaf(
            "server-only.pem",
            root.p256(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
        );
        pki.leaf(
            "encipherment-only.pem",
            root.p256(|params| params.key_usages = vec![KeyUsagePurpose::KeyEncipherment]),
        );
        pki.leaf(
            "ca-as-leaf.pem",
            root.p256(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
        );
        pki.leaf(
            "critical-extension.pem",
            root.p256(|params| {
                let mut extension =
                    CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
                extension.set_criticality(true);
                params.custom_extensions = vec![extension];
            }),
        );
        pki.leaf(
            "revoked.pem",
            root.p256(|params| params.serial_number = Some(SerialNumber::from(REVOKED))),
        );
        pki.file("root.crl", root.crl(-3600, DAY, &[REVOKED, REVOKED_INTERMEDIATE]));
        pki.file("stale.crl", root.crl(-2 * DAY, -DAY, &[]));
        pki.chains(&root);
        pki.strangers();
        pki
    }

    fn chains(&mut self, root: &Ca) {
        let sound = root.below("Intermediate", |params| {
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        });
        let leaf = sound.p256(|_| ());
        self.leaf("chained.pem", leaf.with(&[&sound]));
        self.file("chained-alone.pem", first(&self.named("chained.pem").pem));
        // An authority may name the purposes below it: of these, none is for sealing.
        let server = root.below("Server Intermediate", |params| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        });
        self.leaf(
            "below-server-intermediate.pem",
            server.p256(|_| ()).with(&[&server]),
        );
        let late = root.below("Expired Intermediate", |params| validity(params, -20 * DAY, -DAY));
        self.leaf("below-expired-intermediate.pem", late.p256(|_| ()).with(&[&late]));
        let revoked = root.below("Revoked Intermediate", |params| {
            params.serial_number = Some(SerialNumber::from(REVOKED_INTERMEDIATE));
        });
        self.leaf(
            "below-revoked-intermediate.pem",
            revoked.p256(|_| ()).with(&[&revoked]),
        );
        let deep = sound.below("Too Deep", |_| ());
        self.leaf("below-path-length.pem", deep.p256(|_| ()).with(&[&deep, &sound]));
        // A signer who plays authority: its certificate is of the root, and no CA's.
        let player = root.below("so-y-te", |params| {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        });
        self.leaf("issued-by-a-leaf.pem", player.p256(|_| ()).with(&[&player]));
        let unable = root.below("No Cert Sign", |params| {
            params.key_usages = vec![KeyUsagePurpose::CrlSign];
        });
        self.leaf(
            "issued-without-cert-sign.pem",
            unable.p256(|_| ()).with(&[&unable]),
        );
    }

    fn strangers(&mut self) {
        let other = Ca::root("Root B", |_| ());
        self.leaf("other-root.pem", other.p256(|_| ()));
        // The same name as the root's, another key.
        let twin = Ca::root("Root A", |_| ());
        self.leaf("twin-root.pem", twin.p256(|_| ()));
        self.leaf(
            "twin-root-same-key-id.pem",
            Ca::root("Root A", |params| {
                params.key_identifier_method = KeyIdMethod::PreSpecified(KEY_ID.to_vec());
            })
            .p256(|params| params.use_authority_key_identifier_extension = true),
        );
        let key = KeyPair::generate().unwrap();
        let own = leaf_params().self_signed(&key).unwrap().pem();
        self.leaf(
            "self-signed.pem",
            Leaf {
                key: Key::p256(&key),
                pem: own,
            },
        );
        // Newer than the root's, and revoking nothing.
        self.file("forged.crl", twin.crl(-60, DAY, &[]));
        self.file("other-root.crl", other.crl(-3600, DAY, &[]));
    }

    fn file(&mut self, name: &'static str, text: String) {
        self.files.push((name, text));
    }

    fn leaf(&mut self, name: &'static str, leaf: Leaf) {
        self.file(name, leaf.pem.clone());
        self.leaves.push((name, leaf));
    }

    /// The leaf of a file.
    pub(crate) fn named(&self, name: &str) -> &Leaf {
        let found = self.leaves.iter().find(|(known, _)| *known == name);
        &found.unwrap_or_else(|| panic!("no leaf {name}")).1
    }

    /// Writes the files.
    pub(crate) fn write(&self) {
        let folder = folder().join("pki");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        for (name, text) in &self.files {
            std::fs::write(folder.join(name), text.replace("\r\n", "\n")).unwrap();
        }
    }

    /// A good case of a leaf: the control from which attacks are made.
    pub(crate) fn good(&self, leaf: &str) -> Case {
        Case {
            what: String::new(),
            expected: super::VALID.to_owned(),
            place: String::new(),
            now: at(0),
            system: "so-tnmt".parse().unwrap(),
            message_id: MESSAGE.parse().unwrap(),
            body: BODY.to_owned(),
            seal: self.seal(leaf, |_, _| ()),
            bound: vec![leaf.to_owned()],
            anchors: vec!["root.pem".to_owned()],
            crls: Vec::new(),
            refuse_stale_crl: false,
            refuse_missing_crl: false,
        }
    }

    /// A rightly signed seal whose header and claims were changed before.
    pub(crate) fn seal(&self, leaf: &str, change: impl FnOnce(&mut String, &mut String)) -> String {
        let leaf = self.named(leaf);
        let (mut header, mut claims) = (leaf.header(), good_claims());
        change(&mut header, &mut claims);
        leaf.sign(&format!("{}.{}", base64url(header), base64url(claims)))
    }
}

impl Leaf {
    fn with(self, intermediates: &[&Ca]) -> Self {
        let more: String = intermediates.iter().map(|ca| ca.pem()).collect();
        Self {
            pem: self.pem + &more,
            ..self
        }
    }

    /// The header of a good seal.
    pub(crate) fn header(&self) -> String {
        let (alg, x5t) = (self.algorithm(), self.thumbprint());
        format!(r#"{{"alg":"{alg}","typ":"{SEAL_TYPE}","x5t#S256":"{x5t}"}}"#)
    }

    fn algorithm(&self) -> &'static str {
        match &self.key {
            Key::P256(_) | Key::None => "ES256",
            Key::Ed25519(_) => "EdDSA",
            Key::Rsa(_) | Key::Weak(_) => "RS256",
        }
    }

    /// What `x5t#S256` says.
    pub(crate) fn thumbprint(&self) -> String {
        self.bound().thumbprint().base64url()
    }

    /// The certificate's DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.bound().der().to_vec()
    }

    fn bound(&self) -> BoundCertificate {
        BoundCertificate::from_pem(&self.pem).unwrap()
    }

    /// Appends the signature.
    pub(crate) fn sign(&self, input: &str) -> String {
        format!("{input}.{}", base64url(self.signature(input)))
    }

    /// The signature alone.
    pub(crate) fn signature(&self, input: &str) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::P256(key) => key.sign(&random, input.as_bytes()).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(input.as_bytes()).as_ref().to_vec(),
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, input.as_bytes(), &mut signature)
                    .unwrap();
                signature
            }
            Key::Weak(pem) => {
                let file = std::env::temp_dir().join(format!("truc-attack-{}.pem", std::process::id()));
                std::fs::write(&file, pem).unwrap();
                let signature = openssl(
                    &["dgst", "-sha256", "-sign", file.to_str().unwrap()],
                    input.as_bytes(),
                );
                std::fs::remove_file(&file).unwrap();
                signature
            }
            Key::None => vec![7; 64],
        }
    }

    /// The public key as `SubjectPublicKeyInfo`, DER, and the content of its bit string.
    pub(crate) fn public_key(&self) -> (Vec<u8>, Vec<u8>) {
        let der = self.der();
        let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
        let key = certificate.public_key();
        (key.raw.to_vec(), key.subject_public_key.data.to_vec())
    }
}

impl Key {
    fn p256(key: &KeyPair) -> Self {
        let der = key.serialize_der();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &SystemRandom::new());
        Self::P256(pair.unwrap())
    }
}

/// An authority that issues whatever is wanted.
struct Ca {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Ca {
    fn root(cn: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = ca_params(cn, change);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        Self { issuer }
    }

    fn below(&self, cn: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let params = ca_params(cn, change);
        let issuer = CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.issuer).unwrap();
        Self { issuer }
    }

    fn pem(&self) -> String {
        self.issuer.pem()
    }

    fn p256(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        self.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, change)
    }

    fn leaf(
        &self,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let held = if algorithm == &rcgen::PKCS_ECDSA_P256_SHA256 {
            Key::p256(&key)
        } else if algorithm == &rcgen::PKCS_ED25519 {
            Key::Ed25519(Ed25519KeyPair::from_pkcs8(&key.serialize_der()).unwrap())
        } else {
            Key::None
        };
        self.certify(held, &key, change)
    }

    fn rsa(&self, rsa: &OpensslRsa, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        let der = rustls_pki_types::PrivatePkcs8KeyDer::from_pem_slice(rsa.key_pem.as_bytes()).unwrap();
        // ring takes no key below 2048 bits.
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map_or_else(|_| Key::Weak(rsa.key_pem.clone()), Key::Rsa);
        self.certify(key, rsa, change)
    }

    fn certify(
        &self,
        key: Key,
        public: &impl PublicKeyData,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Leaf {
        let mut params = leaf_params();
        change(&mut params);
        let pem = params.signed_by(public, &self.issuer).unwrap().pem();
        Leaf { key, pem }
    }

    fn crl(&self, from: i64, until: i64, serials: &[u64]) -> String {
        let epoch = rcgen::date_time_ymd(1970, 1, 1);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: epoch + since_epoch(from),
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        };
        let list = CertificateRevocationListParams {
            this_update: epoch + since_epoch(from),
            next_update: epoch + since_epoch(until),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

/// An RSA key that OpenSSL made; rcgen only certifies its public half, whatever its size.
struct OpensslRsa {
    key_pem: String,
    public: Vec<u8>,
}

impl PublicKeyData for OpensslRsa {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_RSA_SHA256
    }
}

fn openssl_rsa(bits: &str) -> OpensslRsa {
    let bits = format!("rsa_keygen_bits:{bits}");
    let key = openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits], b"");
    let public = openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER"], &key);
    OpensslRsa {
        key_pem: String::from_utf8(key).unwrap(),
        public,
    }
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("forging needs the program openssl");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

/// The claims of a good seal.
pub(crate) fn good_claims() -> String {
    claims_of(BODY, NOW)
}

/// The claims for a body, sealed at a moment.
pub(crate) fn claims_of(body: &str, iat: i64) -> String {
    let (digest, size) = (Sha256::of(body.as_bytes()).base64url(), body.len());
    format!(r#"{{"iss":"so-tnmt","jti":"{MESSAGE}","iat":{iat},"sha-256":"{digest}","size":{size}}}"#)
}

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn base64(bytes: impl AsRef<[u8]>) -> String {
    STANDARD.encode(bytes)
}

/// [`NOW`] and so many seconds.
pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(NOW + seconds).unwrap()
}

/// The first certificate of a PEM text.
fn first(pem: &str) -> String {
    let end = "-----END CERTIFICATE-----";
    let first = pem.split_once(end).unwrap().0.to_owned() + end + "\n";
    assert_eq!(CertificateDer::pem_slice_iter(first.as_bytes()).count(), 1);
    first
}

fn ca_params(cn: &str, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::default();
    name(&mut params, cn);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    validity(&mut params, -100 * DAY, 100 * DAY);
    change(&mut params);
    params
}

fn leaf_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    name(&mut params, "so-tnmt");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::EmailProtection,
    ];
    validity(&mut params, -10 * DAY, 10 * DAY);
    params
}

fn name(params: &mut CertificateParams, cn: &str) {
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "Trục - chỉ để thử nghiệm (tests only)");
    params.distinguished_name.push(DnType::CommonName, cn);
}

/// Sets the validity, in seconds from [`NOW`].
fn validity(params: &mut CertificateParams, from: i64, until: i64) {
    // rcgen's kind of time is of a crate that is not among ours, so it has no name here.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(from);
    params.not_after = epoch + since_epoch(until);
}

fn since_epoch(seconds: i64) -> Duration {
    Duration::from_secs(u64::try_from(NOW + seconds).unwrap())
}
