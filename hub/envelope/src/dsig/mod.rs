//! XML Signature inside the packet (`Signature`, last child of `edXMLHeader`): [`verify`] judges it, [`sign`]
//! makes it.
//!
//! One form alone is accepted, and every finding has a stable word ([`DsigReason`]): exactly one signature,
//! exactly one `Reference` to the whole packet (`URI=""`), the transforms enveloped-signature and at most one
//! canonicalisation, algorithms from closed lists, keys from certificates that chain to an anchor. So a
//! valid signature covers everything that the reader reads: whatever stands in the packet outside
//! `Signature`, comments apart, and the reader reads neither.
//!
//! ```text
//! bytes ─ events ─→ search::find (up to the header's end) ─→ canonical::document ─→ digest
//!                                                          └──→ canonical::element (SignedInfo) ─→ key
//! ```
//! All walks are over the same tokens as the reader's. The canonical form streams into the digest and
//! is never held, nor is the packet: see [`verify_from`]. Left out on purpose: resolving by `Id`, fetching
//! anything, `Object` and `Manifest`, XPath and XSLT, HMAC. For people: `docs/reference/xml-signature.md`.

mod algorithm;
mod canonical;
mod element;
mod events;
mod flaw;
mod form;
mod key;
mod scope;
mod search;
mod sign;
mod signature;
mod syntax;
mod text;
mod verdict;
mod verify;

pub use algorithm::{Canonicalization, DigestAlgorithm, SignatureAlgorithm};
pub use form::{NotCanonical, canonical_form};
pub use key::{AlgorithmDoesNotFit, SigningKey};
pub use sign::{SignError, SignOptions, sign, sign_from};
pub use verdict::{AbsentReason, DsigReason, DsigVerdict, InvalidDsig, Strength, ValidDsig};
pub use verify::{DsigPolicy, Sha1Policy, verify, verify_from, verify_with_candidates};

/// The namespace of XML Signature.
const NS_DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// The namespace of `InclusiveNamespaces`.
const NS_EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

/// Most certificates in one signature.
pub const MAX_CERTIFICATES: usize = 8;
/// Largest certificate that is read, in bytes of DER.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;
/// Largest digest or signature value, in bytes: that of an RSA key of 8192 bits.
pub const MAX_VALUE_BYTES: usize = 1024;
/// Most prefixes in one `InclusiveNamespaces`.
pub const MAX_PREFIXES: usize = 32;
