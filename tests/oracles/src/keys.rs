//! Keys and certificates, made by `openssl` for one run: the other programs read its files, and ring makes
//! no RSA keys.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use truc_envelope::dsig::SigningKey;
use truc_envelope::seal::Trust;

/// A kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA, 2048 bits.
    Rsa,
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// Ed25519.
    Ed25519,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Rsa, Self::P256, Self::P384, Self::Ed25519];

    const fn name(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::P256 => "p256",
            Self::P384 => "p384",
            Self::Ed25519 => "ed25519",
        }
    }

    const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Rsa => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Self::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::P384 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Self::Ed25519 => &["-algorithm", "ED25519"],
        }
    }
}

/// A root and a signer of each kind, in a folder that goes with it.
#[derive(Debug)]
pub struct Pki {
    folder: tempfile::TempDir,
}

/// A signer's files.
#[derive(Debug)]
pub struct Signer {
    /// Which key.
    pub kind: Kind,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The same, DER.
    pub der: Vec<u8>,
}

impl Pki {
    /// Makes all of it.
    #[must_use]
    pub fn new() -> Self {
        let pki = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        pki.openssl(&[
            "genpkey",
            "-out",
            "root.key.pem",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
        ]);
        pki.openssl(&[
            "req",
            "-x509",
            "-new",
            "-key",
            "root.key.pem",
            "-subj",
            "/CN=Root",
            "-days",
            "30",
            "-out",
            "root.pem",
        ]);
        for kind in Kind::ALL {
            let name = kind.name();
            let key = format!("{name}.key.pem");
            pki.openssl(&[&["genpkey", "-out", &key], kind.options()].concat());
            let subject = format!("/CN=Signer {name}");
            pki.openssl(&[
                "req",
                "-new",
                "-key",
                &key,
                "-subj",
                &subject,
                "-out",
                "request.pem",
            ]);
            std::fs::write(
                pki.path("usage.cnf"),
                "keyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=emailProtection\n",
            )
            .expect("a file");
            let certificate = format!("{name}.pem");
            pki.openssl(&[
                "x509",
                "-req",
                "-in",
                "request.pem",
                "-CA",
                "root.pem",
                "-CAkey",
                "root.key.pem",
                "-set_serial",
                "7",
                "-days",
                "10",
                "-extfile",
                "usage.cnf",
                "-out",
                &certificate,
            ]);
            pki.openssl(&[
                "x509",
                "-in",
                &certificate,
                "-outform",
                "DER",
                "-out",
                &format!("{name}.der"),
            ]);
        }
        pki
    }

    /// The folder's file of this name.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The root's certificate, PEM.
    #[must_use]
    pub fn root(&self) -> PathBuf {
        self.path("root.pem")
    }

    /// The same, DER.
    #[must_use]
    pub fn root_der(&self) -> Vec<u8> {
        self.openssl(&["x509", "-in", "root.pem", "-outform", "DER", "-out", "root.der"]);
        std::fs::read(self.path("root.der")).expect("the root")
    }

    /// Trust in the root.
    #[must_use]
    pub fn trust(&self) -> Trust {
        Trust::new(&[std::fs::read(self.root()).expect("the root")]).expect("an anchor")
    }

    /// The signer of this kind.
    #[must_use]
    pub fn signer(&self, kind: Kind) -> Signer {
        let name = kind.name();
        Signer {
            kind,
            key: self.path(&format!("{name}.key.pem")),
            certificate: self.path(&format!("{name}.pem")),
            der: std::fs::read(self.path(&format!("{name}.der"))).expect("a certificate"),
        }
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl")
            .args(arguments)
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("openssl");
        assert!(
            output.status.success(),
            "openssl {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Default for Pki {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    /// For signing with our own software.
    #[must_use]
    pub fn signing_key(&self) -> SigningKey {
        let read = |path: &Path| std::fs::read_to_string(path).expect("a PEM file");
        SigningKey::from_pem(&read(&self.key), &read(&self.certificate)).expect("a key")
    }
}
