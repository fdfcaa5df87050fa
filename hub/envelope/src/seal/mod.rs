//! The seal (*dấu niêm*): the compact JWS in the header `truc-seal` by which a system answers for the
//! bytes it submits. Made by [`make`], judged by [`verify`].
//!
//! A seal does not hold the bytes: its claims hold their digest and size, the sender and the message's
//! id. So it can be made and checked while the bytes stream by, and it is worth nothing for other bytes,
//! another message or another system. How to make one in any language: `docs/reference/seal.md`.
//!
//! What this leaves out: fetching certificates and revocation lists (they come as bytes), which
//! certificate belongs to which system (the directory knows), and XML signatures inside a packet.

mod algorithm;
mod certificate;
mod jws;
mod key;
mod policy;
mod proven;
mod trust;
mod verify;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use truc_model::{MessageId, Sha256, SystemId};

pub use algorithm::{Algorithm, KeyKind, UnknownAlgorithm};
pub use certificate::{BoundCertificate, CertificateError, MAX_INTERMEDIATES, NAME_MAX};
pub use key::{KeyError, SealError, SealingKey, make};
pub use policy::{AbsentUsage, CrlPolicy, EkuPolicy, MissingCrl, StaleCrl};
pub use proven::MAX_PROVEN;
pub use trust::{MAX_ANCHORS, MAX_CRLS, MAX_POOL_INTERMEDIATES, Trust, TrustError};
pub use verify::{Expected, Tolerance, ValidSeal, verify};

/// Longest seal that is read, in bytes. A seal with an RSA-8192 signature stays below 2 KiB; the rest
/// is room for members that other software adds.
pub const SEAL_MAX_BYTES: usize = 8 * 1024;

/// The `typ` that [`make`] writes. A seal may leave `typ` out; one that says anything else was signed
/// for another purpose and is refused (RFC 8725 §3.11).
pub const SEAL_TYPE: &str = "truc-seal+jwt";

/// What a seal says (design §5.1).
///
/// In JSON: `iss` (system id), `jti` (the AMQP `message_id`), `iat` (whole seconds since 1970 UTC),
/// `sha-256` (base64url without padding of the body's SHA-256), `size` (the body's bytes).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// Who seals: the system's id, which is also its broker user.
    pub iss: SystemId,
    /// The message's id.
    pub jti: MessageId,
    /// When it is sealed, by the sender's clock. Written in whole seconds, rounded down.
    pub iat: Timestamp,
    /// SHA-256 of the body, exactly as it travels.
    pub sha256: Sha256,
    /// Length of the body, in bytes.
    pub size: u64,
}
