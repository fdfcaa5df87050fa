//! A signature by an RSA key of 1024 bits. ring holds no such key, so `openssl` makes it, once; the key is not kept.

use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm};
use truc_envelope::Limits;
use truc_envelope::dsig::{Canonicalization, canonical_form};

use crate::World;
use crate::dsig_support::{DSIG, Recipe, method, packet as unsigned, part, with_signature};

pub(crate) const NAME: &str = "signer-weak-key";
pub(crate) const EXPECTED: &str = "certificate-weak-key";

/// RSAPublicKey (RFC 8017 §A.1.1).
struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_RSA_SHA256
    }
}

pub(crate) fn packet(world: &World) -> String {
    let key = openssl(&["genrsa", "1024"], b"");
    let public = openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER"], &key);
    let leaf = world.root.leaf_for(&Public(public), String::new(), |_| ());
    let mut recipe = Recipe::of(&unsigned(), &leaf);
    recipe.method = method(
        "SignatureMethod",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
    );
    let signed_info = part(&recipe.with_value(""), "<ds:SignedInfo>", "</ds:SignedInfo>").replacen(
        "<ds:SignedInfo>",
        &format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">"),
        1,
    );
    let message = canonical_form(
        signed_info.as_bytes(),
        Canonicalization::Exclusive,
        &[],
        &Limits::default(),
    )
    .unwrap();
    let folder = std::env::temp_dir().join(format!("truc-weak-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("key.pem");
    std::fs::write(&file, &key).unwrap();
    let value = openssl(&["dgst", "-sha256", "-sign", file.to_str().unwrap()], &message);
    std::fs::remove_dir_all(&folder).unwrap();
    with_signature(&unsigned(), &recipe.with_value(&STANDARD.encode(value)))
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}
