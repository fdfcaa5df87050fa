//! The seal beside other people's software: the `openssl` command line makes RSA keys (ring makes none),
//! weak keys, signatures of its own, and checks ours; Python runs the example of the documentation.
//!
//! A tool that is not there is named on standard error and its part is left out.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use truc_model::RefusalCode::{CertificateWeakKey, SealAlgorithm, SealSignature};
use truc_model::{Clock as _, SystemClock};
use x509_parser::prelude::FromDer as _;

use super::super::{Algorithm, Expected, KeyError, KeyKind, SealingKey, Trust, make};
use super::{
    BODY, Leaf, MESSAGE, TestCa, base64url, check, claims, expected, header, payload, refused, validity,
};

#[test]
fn rsa_holds_in_both_paddings() {
    let Some(rsa) = Rsa::generate("2048") else { return };
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256] {
        let key = rsa.leaf.sealing_key().with_algorithm(algorithm).unwrap();
        let seal = make(&key, &claims()).unwrap();
        let valid = check(&seal, &expected(), &[rsa.leaf.bound()], &rsa.trust).unwrap();
        assert_eq!(valid.algorithm(), algorithm);
        // One padding's signature is none of the other's.
        let (input, signature) = seal.rsplit_once('.').unwrap();
        let (_, payload) = input.split_once('.').unwrap();
        let other = if algorithm == Algorithm::Rs256 {
            "PS256"
        } else {
            "RS256"
        };
        let renamed = header(&rsa.leaf).replace("ES256", other);
        let seal = format!("{}.{payload}.{signature}", base64url(renamed));
        assert_eq!(
            check(&seal, &expected(), &[rsa.leaf.bound()], &rsa.trust),
            refused(SealSignature, "seal signature")
        );
    }
    assert_eq!(rsa.leaf.sealing_key().algorithm(), Algorithm::Rs256);
    assert_eq!(rsa.leaf.bound().key_kind(), KeyKind::Rsa { bits: 2048 });
    let foreign = header(&rsa.leaf);
    let seal = format!("{}.{}.AAAA", base64url(foreign), base64url(payload()));
    assert_eq!(
        check(&seal, &expected(), &[rsa.leaf.bound()], &rsa.trust),
        refused(SealAlgorithm, "seal header")
    );
}

#[test]
fn key_files_in_the_forms_that_openssl_writes() {
    let Some(rsa) = Rsa::generate("2048") else { return };
    let older = rsa
        .folder
        .run(&["rsa", "-in", "key.pem", "-traditional"], b"")
        .unwrap();
    let older = String::from_utf8(older).unwrap();
    assert!(older.contains("BEGIN RSA PRIVATE KEY"));
    assert!(SealingKey::from_pem(&older, &rsa.leaf.certificate).is_ok());
    let locked = ["pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:secret"];
    let locked = String::from_utf8(rsa.folder.run(&locked, b"").unwrap()).unwrap();
    assert!(locked.contains("BEGIN ENCRYPTED PRIVATE KEY"));
    assert!(matches!(
        SealingKey::from_pem(&locked, &rsa.leaf.certificate),
        Err(KeyError::Form)
    ));
    // OpenSSL's Ed25519 files lack the public half that ring writes, its P-256 files have it.
    for (kind, algorithm) in [
        (["-algorithm", "ED25519"].as_slice(), Algorithm::EdDsa),
        (
            &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Algorithm::Es256,
        ),
    ] {
        let folder = Folder::new();
        folder
            .run(&[&["genpkey", "-out", "key.pem"], kind].concat(), b"")
            .unwrap();
        let leaf = rsa.ca.leaf_for_file(&folder);
        let valid = check(&leaf.seal(&claims()), &expected(), &[leaf.bound()], &rsa.trust).unwrap();
        assert_eq!(valid.algorithm(), algorithm);
    }
}

#[test]
fn openssl_signs_what_we_accept_and_accepts_what_we_sign() {
    let Some(rsa) = Rsa::generate("3072") else { return };
    let public = rsa
        .folder
        .run(&["pkey", "-in", "key.pem", "-pubout"], b"")
        .unwrap();
    rsa.folder.write("public.pem", &public);
    let pss = ["-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
    for (algorithm, options) in [(Algorithm::Rs256, [].as_slice()), (Algorithm::Ps256, &pss)] {
        let name = algorithm.as_str();
        let header = header(&rsa.leaf).replace("ES256", name);
        let input = format!("{}.{}", base64url(header), base64url(payload()));
        let sign = [&["dgst", "-sha256", "-sign", "key.pem"], options].concat();
        let signature = rsa.folder.run(&sign, input.as_bytes()).unwrap();
        let seal = format!("{input}.{}", base64url(signature));
        assert!(
            check(&seal, &expected(), &[rsa.leaf.bound()], &rsa.trust).is_ok(),
            "{name}"
        );

        let key = rsa.leaf.sealing_key().with_algorithm(algorithm).unwrap();
        rsa.folder.write("signature", &key.sign(BODY).unwrap());
        let verify = [
            "dgst",
            "-sha256",
            "-verify",
            "public.pem",
            "-signature",
            "signature",
        ];
        let verify = [verify.as_slice(), options].concat();
        assert!(rsa.folder.run(&verify, BODY).is_some(), "{name}");
        assert!(rsa.folder.run(&verify, b"other bytes").is_none(), "{name}");
    }
}

#[test]
fn short_rsa_keys_are_refused() {
    for bits in ["1024", "2040"] {
        let Some(rsa) = Rsa::generate(bits) else { return };
        let bits: u32 = bits.parse().unwrap();
        assert_eq!(rsa.leaf.bound().key_kind(), KeyKind::Rsa { bits });
        assert!(matches!(
            SealingKey::from_pem(&rsa.leaf.key, &rsa.leaf.certificate),
            Err(KeyError::Unsupported(KeyKind::Rsa { .. }))
        ));
        let input = format!(
            "{}.{}",
            base64url(header(&rsa.leaf).replace("ES256", "RS256")),
            base64url(payload())
        );
        let signature = rsa
            .folder
            .run(&["dgst", "-sha256", "-sign", "key.pem"], input.as_bytes())
            .unwrap();
        let seal = format!("{input}.{}", base64url(signature));
        assert_eq!(
            check(&seal, &expected(), &[rsa.leaf.bound()], &rsa.trust),
            refused(CertificateWeakKey, "certificate subjectPublicKeyInfo"),
            "{bits}"
        );
    }
}

/// The example in `docs/reference/seal.md` is run as it stands, with a key of each kind.
#[test]
fn the_python_example_makes_seals() {
    let folder = Folder::new();
    if !tool(Command::new("python3").args(["-c", "import cryptography.x509"])) {
        eprintln!("SKIPPED: python3 with the package cryptography is not here; the example was not run");
        return;
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/seal.md");
    let page = std::fs::read_to_string(page).unwrap();
    let (_, rest) = page.split_once("```python\n").unwrap();
    let (script, _) = rest.split_once("\n```").unwrap();
    folder.write("seal.py", script.as_bytes());
    folder.write("packet.edxml", BODY);

    let ca = TestCa::root_with("Root A", |params| validity(params, 0, 4_000_000_000));
    let trust = Trust::new(&[ca.pem()]).unwrap();
    let mut leaves = vec![ca.leaf(&rcgen::PKCS_ECDSA_P256_SHA256, |params| {
        validity(params, 0, 4_000_000_000);
    })];
    if let Some(rsa) = Rsa::generate("2048") {
        leaves.push(ca.leaf_for_file(&rsa.folder));
        // ring writes Ed25519 keys in a form that Python does not read.
        let arguments = ["genpkey", "-algorithm", "ED25519", "-out", "key.pem"];
        rsa.folder.run(&arguments, b"").unwrap();
        leaves.push(ca.leaf_for_file(&rsa.folder));
    }
    for leaf in leaves {
        folder.write("key.pem", leaf.key.as_bytes());
        folder.write("certificate.pem", leaf.certificate.as_bytes());
        let run = Command::new("python3")
            .args([
                "seal.py",
                "key.pem",
                "certificate.pem",
                "so-tnmt",
                MESSAGE,
                "packet.edxml",
            ])
            .current_dir(&folder.0)
            .output()
            .unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let seal = String::from_utf8(run.stdout).unwrap();
        let now = SystemClock.now();
        let expected = Expected { now, ..expected() };
        let valid = check(seal.trim_end(), &expected, &[leaf.bound()], &trust);
        assert!(valid.is_ok(), "{:?} {valid:?}", leaf.bound());
    }
}

/// An RSA key of the `openssl` command, certified by an authority of ours.
struct Rsa {
    folder: Folder,
    ca: TestCa,
    leaf: Leaf,
    trust: Trust,
}

impl Rsa {
    fn generate(bits: &str) -> Option<Self> {
        if !tool(Command::new("openssl").arg("version")) {
            eprintln!("SKIPPED: the command openssl is not here; RSA was not tested");
            return None;
        }
        let folder = Folder::new();
        let size = format!("rsa_keygen_bits:{bits}");
        let arguments = [
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            &size,
            "-out",
            "key.pem",
        ];
        folder.run(&arguments, b"").unwrap();
        let ca = TestCa::root_with("Root A", |params| validity(params, 0, 4_000_000_000));
        let leaf = ca.leaf_for_file(&folder);
        let trust = Trust::new(&[ca.pem()]).unwrap();
        Some(Self {
            folder,
            ca,
            leaf,
            trust,
        })
    }
}

/// A public key that ring itself would not load.
struct PublicKey {
    der: Vec<u8>,
    algorithm: &'static rcgen::SignatureAlgorithm,
}

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.der
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        self.algorithm
    }
}

impl TestCa {
    /// A certificate for the key in `key.pem`.
    fn leaf_for_file(&self, folder: &Folder) -> Leaf {
        let key = std::fs::read_to_string(folder.0.join("key.pem")).unwrap();
        let info = folder
            .run(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER"], b"")
            .unwrap();
        let (_, info) = x509_parser::x509::SubjectPublicKeyInfo::from_der(&info).unwrap();
        let public = PublicKey {
            der: info.subject_public_key.data.to_vec(),
            algorithm: match info.subject_public_key.data.len() {
                32 => &rcgen::PKCS_ED25519,
                65 => &rcgen::PKCS_ECDSA_P256_SHA256,
                _ => &rcgen::PKCS_RSA_SHA256,
            },
        };
        let mut params = super::leaf_params();
        validity(&mut params, 0, 4_000_000_000);
        let certificate = params.signed_by(&public, &self.issuer).unwrap().pem();
        Leaf { key, certificate }
    }
}

/// A folder of its own under the system's temporary directory, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("truc-seal-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.0.join(name), bytes).unwrap();
    }

    /// Runs `openssl`; what it printed, or `None` when it refused.
    fn run(&self, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
        use std::io::Write as _;
        let mut child = Command::new("openssl")
            .args(arguments)
            .current_dir(&self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // A command that reads no input may have closed it already.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        output.status.success().then_some(output.stdout)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn tool(command: &mut Command) -> bool {
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
