//! The name of a body that travels apart: header `truc-body`.

use std::fmt;
use std::str::FromStr;

use crate::digest::Sha256;

/// Names a body in the store of large bodies: `sha256:<64 hex digits>;size=<bytes>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyReference {
    /// Its digest.
    pub sha256: Sha256,
    /// How many bytes it has; at least one.
    pub size: u64,
}

/// The text names no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected sha256:<64 hexadecimal digits>;size=<bytes>")]
pub struct NotBodyReference;

impl fmt::Display for BodyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{};size={}", self.sha256, self.size)
    }
}

impl FromStr for BodyReference {
    type Err = NotBodyReference;

    /// Strict: one form, so that two systems cannot name one body in two ways.
    fn from_str(text: &str) -> Result<Self, NotBodyReference> {
        let (sha256, size) = text
            .strip_prefix("sha256:")
            .and_then(|rest| rest.split_once(";size="))
            .ok_or(NotBodyReference)?;
        let reference = Self {
            sha256: sha256.parse().map_err(|_| NotBodyReference)?,
            size: size.parse().map_err(|_| NotBodyReference)?,
        };
        if reference.size == 0 || reference.to_string() != text {
            return Err(NotBodyReference);
        }
        Ok(reference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_has_one_form() {
        let reference = BodyReference {
            sha256: Sha256::of(b"x"),
            size: 209_715_200,
        };
        let text = reference.to_string();
        assert_eq!(text.parse(), Ok(reference));
        let hex = Sha256::of(b"x").to_string();
        for wrong in [
            String::new(),
            hex.clone(),
            format!("sha256:{hex}"),
            format!("sha256:{hex};size="),
            format!("sha256:{hex};size=0"),
            format!("sha256:{hex};size=-1"),
            format!("sha256:{hex};size=+1"),
            format!("sha256:{hex};size=01"),
            format!("sha256:{hex};size=1 "),
            format!("sha256:{hex};size=18446744073709551616"),
            format!("sha256:{};size=1", hex.to_uppercase()),
            format!("sha256:{};size=1", &hex[1..]),
            format!("sha512:{hex};size=1"),
            format!("sha256:{hex}; size=1"),
        ] {
            assert_eq!(wrong.parse::<BodyReference>(), Err(NotBodyReference), "{wrong}");
        }
    }
}
