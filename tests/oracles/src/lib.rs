//! XML signatures beside other software: xmlsec1 and libxml2 (Debian's packages `xmlsec1` and
//! `libxml2-utils`, run as programs), and bergshamra (a library that no other crate here may know).
//!
//! What this crate holds is the means: keys and certificates by `openssl`, generated documents, the
//! other software behind one face. What is claimed is in `tests/`. A program that is not there is named on
//! standard error, and the tests that need it are left out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "means of tests: a panic is the failure"
)]

mod bergshamra_face;
mod generate;
mod keys;
mod programs;
mod template;

pub use bergshamra_face::Bergshamra;
pub use generate::{Generator, seed};
pub use keys::{Kind, Pki, Signer};
pub use programs::{Xmlsec, xmllint};
pub use template::{Template, packet};

/// Whether this program can be run; says on standard error that tests are left out when not.
#[must_use]
pub fn is_there(program: &str) -> bool {
    let there = std::process::Command::new(program)
        .arg("--version")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .status()
        .is_ok();
    if !there {
        eprintln!("SKIPPED: {program} is not installed; this comparison did not run");
    }
    there
}
