//! SHA-256 of bytes: how the hub names a body, an attachment, a packet, an event.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// A SHA-256 value. Text form: 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256([u8; 32]);

/// The text is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct NotSha256;

impl Sha256 {
    /// Digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::from_ring(&ring::digest::digest(&ring::digest::SHA256, bytes))
    }

    /// Takes over a value that ring computed, for streams. The digest must be a SHA-256.
    #[must_use]
    pub fn from_ring(digest: &ring::digest::Digest) -> Self {
        let mut value = [0; 32];
        value.copy_from_slice(digest.as_ref());
        Self(value)
    }

    /// Wraps 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Base64url without padding, as the seal's claims write it (RFC 7515 §2).
    #[must_use]
    pub fn base64url(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// The text form: every event and row has some of them.
struct Hex([u8; 64]);

impl Hex {
    fn of(digest: &Sha256) -> Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(digest.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Self(text)
    }

    fn as_str(&self) -> &str {
        // Digits alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Hex::of(self).as_str())
    }
}

impl Serialize for Sha256 {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(Hex::of(self).as_str())
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256({self})")
    }
}

impl FromStr for Sha256 {
    type Err = NotSha256;

    fn from_str(text: &str) -> Result<Self, NotSha256> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(NotSha256);
        }
        let mut value = [0; 32];
        for (byte, pair) in value.iter_mut().zip(digits.chunks_exact(2)) {
            let hex = |digit: u8| char::from(digit).to_digit(16).ok_or(NotSha256);
            *byte = u8::try_from(hex(pair[0])? * 16 + hex(pair[1])?).map_err(|_| NotSha256)?;
        }
        Ok(Self(value))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = NotSha256;

    fn try_from(text: String) -> Result<Self, NotSha256> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        Hex::of(&digest).as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answer() {
        let digest = Sha256::of(b"abc");
        assert_eq!(
            digest.to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(digest.base64url(), "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("ab".parse::<Sha256>(), Err(NotSha256));
        assert_eq!("g".repeat(64).parse::<Sha256>(), Err(NotSha256));
    }
}
