//! Prefixes of codes: what a gateway serves, and what the province keeps for itself.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use truc_model::{AgencyCode, CodeForm};

/// The beginning of a family of codes, read from level 1 on.
///
/// Three shapes: a level-1 letter (`G`: all of G01, G02, …); a level-1 group (`H53`: codes of both
/// forms); or more groups, in the order of one form and covering that form alone: `H53.31` covers
/// `H53.31.20`, `31.H53` covers `000.20.31.H53`. The two forms are kept apart because provinces
/// renumbered: what 31 means in one form it need not mean in the other. `W` is never a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoutePrefix(String);

/// The text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPrefix {
    /// Neither a letter nor the beginning of an old or new code.
    #[error("expected a letter such as G, a level-one group such as H53, or groups such as H53.31 or 31.H53")]
    Shape,
    /// `W` marks connected systems.
    #[error("expected no W: such codes name systems, not agencies")]
    System,
    /// `000.00.31.H53` would cover one code only; `31.H53` is meant.
    #[error("expected no leading zero groups")]
    ZeroGroups,
}

impl RoutePrefix {
    /// Reads a prefix, forgiving spelling as [`AgencyCode::parse`] does.
    ///
    /// # Errors
    /// [`BadPrefix`] when the text is none.
    pub fn parse(raw: &str) -> Result<Self, BadPrefix> {
        let code = AgencyCode::parse(raw).map_err(|_| BadPrefix::Shape)?;
        let text = code.as_str();
        if text.len() == 1 && text.bytes().all(|b| b.is_ascii_uppercase()) {
            return match text {
                "W" => Err(BadPrefix::System),
                _ => Ok(Self(text.to_owned())),
            };
        }
        match code.form() {
            CodeForm::New => Ok(Self(text.to_owned())),
            CodeForm::Old if leading_zeros(text) => Err(BadPrefix::ZeroGroups),
            CodeForm::Old => Ok(Self(text.to_owned())),
            CodeForm::System => Err(BadPrefix::System),
            CodeForm::Other => Err(BadPrefix::Shape),
        }
    }

    /// The text, upper case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How exactly it says where a code belongs: 0 for a letter, else its number of groups.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self.0.len() {
            1 => 0,
            _ => self.0.split('.').count(),
        }
    }

    /// Whether a code belongs to the family.
    #[must_use]
    pub fn covers(&self, code: &AgencyCode) -> bool {
        let Some(level_one) = code.level_one() else {
            return false;
        };
        let (mine, theirs) = (self.0.as_str(), code.as_str());
        match (self.depth(), code.form()) {
            (_, CodeForm::System | CodeForm::Other) => false,
            (0, _) => level_one.starts_with(mine),
            (1, _) => level_one == mine,
            (_, CodeForm::New) => {
                let rest = theirs.strip_prefix(mine);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
            (_, CodeForm::Old) => {
                let rest = theirs.strip_suffix(mine);
                rest.is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
        }
    }
}

fn leading_zeros(old: &str) -> bool {
    old.split('.')
        .next()
        .is_some_and(|group| group.bytes().all(|b| b == b'0'))
}

impl fmt::Display for RoutePrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RoutePrefix {
    type Err = BadPrefix;

    fn from_str(text: &str) -> Result<Self, BadPrefix> {
        Self::parse(text)
    }
}

impl TryFrom<String> for RoutePrefix {
    type Error = BadPrefix;

    fn try_from(text: String) -> Result<Self, BadPrefix> {
        Self::parse(&text)
    }
}

impl From<RoutePrefix> for String {
    fn from(prefix: RoutePrefix) -> Self {
        prefix.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_shape_covers() {
        for (prefix, code, expected) in [
            ("G", "000.00.00.G22", true),
            ("G", "G22.01", true),
            ("G", "000.00.00.H53", false),
            ("H53", "000.20.31.H53", true),
            ("H53", "H53.31.20", true),
            ("H53", "H5", false),
            ("H53", "H54.53", false),
            ("H53.31", "H53.31.20", true),
            ("H53.31", "H53.31", true),
            ("H53.31", "H53.310", false),
            ("H53.31", "000.20.31.H53", false),
            ("31.H53", "000.20.31.H53", true),
            ("31.H53", "31.H53", true),
            ("31.H53", "131.H53", false),
            ("31.H53", "H53.31.20", false),
            ("J", "001.00.20.JB2", false),
            ("H", "0102030405", false),
        ] {
            let covers = RoutePrefix::parse(prefix)
                .unwrap()
                .covers(&AgencyCode::parse(code).unwrap());
            assert_eq!(covers, expected, "{prefix} {code}");
        }
    }

    #[test]
    fn shapes_that_are_none() {
        assert_eq!(RoutePrefix::parse(" h53 ").unwrap().as_str(), "H53");
        for (text, error) in [
            ("", BadPrefix::Shape),
            ("5", BadPrefix::Shape),
            ("*", BadPrefix::Shape),
            ("HH", BadPrefix::Shape),
            ("W", BadPrefix::System),
            ("W00", BadPrefix::System),
            ("00.53.W00", BadPrefix::System),
            ("000.00.00.H53", BadPrefix::ZeroGroups),
        ] {
            assert_eq!(RoutePrefix::parse(text), Err(error), "{text}");
        }
    }
}
