//! xmlsec1 and xmllint.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use truc_envelope::dsig::Canonicalization;

use crate::keys::{Pki, Signer};

/// xmlsec1 with one set of keys.
#[derive(Debug)]
pub struct Xmlsec<'p> {
    pki: &'p Pki,
}

impl<'p> Xmlsec<'p> {
    /// With these keys.
    #[must_use]
    pub const fn new(pki: &'p Pki) -> Self {
        Self { pki }
    }

    /// Fills in a template's signature.
    #[must_use]
    pub fn sign(&self, template: &str, signer: &Signer) -> String {
        let file = self.file(template);
        let output = run(Command::new("xmlsec1")
            .args(["--sign", "--privkey-pem"])
            .arg(&signer.key)
            .arg(&file));
        assert!(
            output.status.success(),
            "xmlsec1 did not sign: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// Whether it holds, by a certificate of the root.
    #[must_use]
    pub fn accepts(&self, signed: &str) -> bool {
        let file = self.file(signed);
        let output = run(Command::new("xmlsec1")
            .args(["--verify", "--enabled-key-data", "x509", "--trusted-pem"])
            .arg(self.pki.root())
            .arg(&file));
        output.status.success()
    }

    fn file(&self, text: &str) -> PathBuf {
        let file = self.pki.path("document.xml");
        std::fs::write(&file, text).expect("a file");
        file
    }
}

/// libxml2's canonical forms of these documents, one after the other, with comments. `None` when it refuses
/// one of them.
#[must_use]
pub fn xmllint(documents: &[String], form: Canonicalization) -> Option<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files: Vec<PathBuf> = documents
        .iter()
        .enumerate()
        .map(|(index, document)| {
            let file = folder.path().join(format!("{index}.xml"));
            std::fs::write(&file, document).expect("a file");
            file
        })
        .collect();
    let option = match form {
        Canonicalization::Inclusive | Canonicalization::InclusiveWithComments => "--c14n",
        Canonicalization::Exclusive | Canonicalization::ExclusiveWithComments => "--exc-c14n",
    };
    let output = run(Command::new("xmllint").args(["--nonet", option]).args(files));
    output.status.success().then_some(output.stdout)
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("the program was there a moment ago")
}
