//! Signatures by OpenSSL over the same files: algorithms that the tests cannot make themselves, and another
//! software's form of CMS. Without `openssl` these tests say so and prove nothing.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod kit;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use kit::{Pdf, Slot, find};
use truc_model::pdf::{DigestState, PdfSignature, PdfSignatures, Unchecked, ValueState};
use truc_pdf::{Limits, inspect};

/// A folder that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!(
            "truc-pdf-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::SeqCst)
        );
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn run(&self, arguments: &str) {
        let output = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&self.0)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn there_is_openssl() -> bool {
    let found = Command::new("openssl").arg("version").output().is_ok();
    if !found {
        eprintln!("SKIPPED: there is no openssl on this machine");
    }
    found
}

/// A file signed by `openssl cms`, with a new key of this kind.
fn signed(key: &str, options: &str) -> Vec<u8> {
    let folder = Folder::new();
    let request = format!(
        "req -x509 -newkey {key} -nodes -keyout k.pem -out c.pem -days 30 -subj /CN=Tester -addext subjectKeyIdentifier=hash"
    );
    folder.run(&request);
    let mut pdf = Pdf::plain();
    let slot = Slot {
        sub_filter: "adbe.pkcs7.detached",
        digits: 8192,
        ..Slot::default()
    };
    pdf.sign(&slot, |covered| {
        std::fs::write(folder.path().join("covered"), covered).unwrap();
        let sign = "cms -sign -binary -in covered -signer c.pem -inkey k.pem -outform DER -out cms";
        folder.run(format!("{sign} {options}").trim_end());
        std::fs::read(folder.path().join("cms")).unwrap()
    });
    pdf.bytes
}

fn only(bytes: &[u8]) -> PdfSignature {
    match inspect(bytes, &Limits::default()) {
        PdfSignatures::Signed { mut signatures } => signatures.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_others_sign_is_intact() {
    if !there_is_openssl() {
        return;
    }
    let pss = "-keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:digest";
    let cases = [
        ("rsa:2048", "-md sha256".to_owned(), "rsa-pkcs1-sha256"),
        ("rsa:2048", "-md sha384".to_owned(), "rsa-pkcs1-sha384"),
        ("rsa:3072", "-md sha512".to_owned(), "rsa-pkcs1-sha512"),
        ("rsa:2048", format!("-md sha256 {pss}"), "rsa-pss-sha256"),
        ("rsa:2048", format!("-md sha512 {pss}"), "rsa-pss-sha512"),
        ("rsa:2048", "-md sha256 -noattr".to_owned(), "rsa-pkcs1-sha256"),
        ("rsa:2048", "-md sha256 -keyid".to_owned(), "rsa-pkcs1-sha256"),
        ("rsa:2048", "-md sha256 -cades".to_owned(), "rsa-pkcs1-sha256"),
        (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            "-md sha256".to_owned(),
            "ecdsa-p256-sha256",
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            "-md sha384".to_owned(),
            "ecdsa-p256-sha384",
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-384",
            "-md sha384".to_owned(),
            "ecdsa-p384-sha384",
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-384",
            "-md sha256".to_owned(),
            "ecdsa-p384-sha256",
        ),
    ];
    for (key, options, algorithm) in &cases {
        let mut bytes = signed(key, options);
        let found = only(&bytes);
        assert!(found.is_sound(), "{key} {options}: {found:?}");
        assert_eq!(found.algorithm.as_deref(), Some(*algorithm), "{key} {options}");
        assert_eq!(found.signer.as_deref(), Some("Tester"), "{key} {options}");
        assert_eq!(inspect(&bytes, &Limits::default()).word(), "intact");
        let at = find(&bytes, b"Cong van 123");
        bytes[at] = b'D';
        assert_eq!(only(&bytes).digest, DigestState::Changed, "{key} {options}");
    }
    eprintln!("signatures by openssl: {}", cases.len());
}

#[test]
fn what_proves_nothing_is_said_so() {
    if !there_is_openssl() {
        return;
    }
    for (key, options, why) in [
        ("rsa:2048", "-md sha1", Unchecked::Sha1),
        ("rsa:1024", "-md sha256", Unchecked::WeakKey),
        ("rsa:2047", "-md sha256", Unchecked::WeakKey),
        ("rsa:2048", "-md sha224", Unchecked::Algorithm),
        (
            "ec -pkeyopt ec_paramgen_curve:P-256",
            "-md sha512",
            Unchecked::Algorithm,
        ),
        (
            "ec -pkeyopt ec_paramgen_curve:P-521",
            "-md sha256",
            Unchecked::Algorithm,
        ),
        (
            "rsa:2048",
            "-md sha256 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20",
            Unchecked::Algorithm,
        ),
        ("rsa:2048", "-md sha256 -nocerts", Unchecked::Certificate),
    ] {
        let bytes = signed(key, options);
        assert_eq!(
            only(&bytes).signature,
            ValueState::Unchecked { why },
            "{key} {options}"
        );
        assert_eq!(inspect(&bytes, &Limits::default()).word(), "unchecked");
    }
}
