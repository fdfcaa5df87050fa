//! What must hold for any bytes: one function for each reader of input from strangers. Each takes the bytes
//! a fuzzer thought up and panics when something is wrong that no input may bring about.
//!
//! ```text
//! libfuzzer/ (another workspace) ─ any bytes ─→ Target::run ←─ seeds and kept crashers ─ tests/replay.rs
//! ```
//! The functions do not only look for panics. They state what a reader promises (the same answer twice, places
//! inside the document, limits kept, facts that survive writing) and what a verifier promises (nothing is
//! accepted but what the holder of a key made). Input is either the raw bytes or, after a first byte that no
//! document begins with, a short script of [edits](edits) to a sound document: so a fuzzer gets past the front
//! door of formats that it could never guess.
//!
//! What this crate leaves out: the fuzzer itself, and speed and memory of hostile input, which the fuzzer bounds
//! by time and resident size. How to run it: `docs/fuzzing.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a panic is the finding, and what the crate makes itself must be sound"
)]

mod edits;
mod envelope;
mod keys;
mod packets;
mod pdf;
mod pieces;
mod place;
mod seal;
mod seeds;
mod xml_signature;
mod zip;

use std::path::PathBuf;

pub use envelope::envelope;
pub use pdf::pdf;
pub use seal::seal;
pub use seeds::seeds;
pub use xml_signature::xml_signature;
pub use zip::zip;

/// One reader of hostile input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The reader, linter and writer of packets.
    Envelope,
    /// XML signatures: canonical form, verifying, signing.
    XmlSignature,
    /// The seal beside a message.
    Seal,
    /// Signatures inside a PDF.
    Pdf,
    /// What an attached zip looks like.
    Zip,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Envelope,
        Self::XmlSignature,
        Self::Seal,
        Self::Pdf,
        Self::Zip,
    ];

    /// Its name: that of its function, of its fuzz target and of its folder of crashers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::XmlSignature => "xml_signature",
            Self::Seal => "seal",
            Self::Pdf => "pdf",
            Self::Zip => "zip",
        }
    }

    /// Longest input worth thinking up, in bytes: what the readers do with more of the same is tested at their
    /// limits.
    #[must_use]
    pub const fn max_len(self) -> usize {
        match self {
            Self::Envelope | Self::XmlSignature => 12 * 1024,
            Self::Seal => 4 * 1024,
            Self::Pdf => 8 * 1024,
            Self::Zip => 2 * 1024,
        }
    }

    /// Runs it on one input.
    ///
    /// # Panics
    /// When something does not hold that must hold for any bytes.
    pub fn run(self, data: &[u8]) {
        match self {
            Self::Envelope => envelope(data),
            Self::XmlSignature => xml_signature(data),
            Self::Seal => seal(data),
            Self::Pdf => pdf(data),
            Self::Zip => zip(data),
        }
    }
}

/// The folder of this crate.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The project's packets and attacks.
fn documents() -> PathBuf {
    folder().join("../documents")
}
