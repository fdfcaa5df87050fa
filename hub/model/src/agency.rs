//! Agencies and their codes (*mã định danh cơ quan*).
//!
//! A code is what packets carry; an agency is what it means. Codes change (QĐ 20/2020/QĐ-TTg, the
//! reform of 2025), agencies keep their permanent [`AgencyId`].

use std::fmt;

use serde::{Deserialize, Serialize};

/// The permanent number of an agency in this hub's directory; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AgencyId(pub u32);

impl fmt::Display for AgencyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A{:05}", self.0)
    }
}

/// The shape of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeForm {
    /// QCVN 102:2016, four groups right to left: `000.20.31.H53`. Short forms (`28.22.H17`) too.
    Old,
    /// QĐ 20/2020 art. 4, groups left to right: `H53.31.20`.
    New,
    /// Level-1 letter `W`: a connected system, not an agency. Never a recipient.
    System,
    /// Anything else: business registration numbers, test codes. Only an exact look-up helps.
    Other,
}

/// An agency code as the directory compares it: trimmed, upper case, Unicode digits made ASCII.
///
/// Two spellings of one code are equal; an old code and its new form are not (the directory knows
/// which agency each belongs to, a rule cannot).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AgencyCode(String);

/// The text cannot be an agency code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadCode {
    /// Nothing but white space, or a literal `null` or `N/A`.
    #[error("expected an agency code, found none")]
    Empty,
    /// Longer than [`AgencyCode::MAX_LEN`].
    #[error("expected at most {max} characters", max = AgencyCode::MAX_LEN)]
    TooLong,
    /// Characters outside `0-9 A-Z . - _`.
    #[error("expected only 0-9, A-Z, '.', '-' and '_'")]
    Characters,
}

impl AgencyCode {
    /// Longest code, in characters (QĐ 20/2020 art. 4: 35).
    pub const MAX_LEN: usize = 35;

    /// Reads a code as it came, forgiving spelling.
    ///
    /// # Errors
    /// [`BadCode`] when no spelling of a code is there.
    pub fn parse(raw: &str) -> Result<Self, BadCode> {
        let text: String = raw
            .trim()
            .chars()
            .map(|c| match c.to_digit(10) {
                Some(_) => c,
                None => unicode_digit(c).unwrap_or(c),
            })
            .flat_map(char::to_uppercase)
            .collect();
        if text.is_empty() || text == "NULL" || text == "N/A" {
            return Err(BadCode::Empty);
        }
        if text.chars().count() > Self::MAX_LEN {
            return Err(BadCode::TooLong);
        }
        let allowed = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b".-_".contains(&b);
        if !text.bytes().all(allowed) {
            return Err(BadCode::Characters);
        }
        Ok(Self(text))
    }

    /// The normalised text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which way the groups run: the letter group last is old, first is new.
    #[must_use]
    pub fn form(&self) -> CodeForm {
        let groups: Vec<&str> = self.0.split('.').collect();
        let (first, last) = (
            groups.first().copied().unwrap_or(""),
            groups.last().copied().unwrap_or(""),
        );
        let head = match (is_level_one(first), is_level_one(last), groups.len()) {
            (true, _, 1) | (true, false, _) => first,
            (false, true, _) => last,
            _ => return CodeForm::Other,
        };
        let rest = if head == first {
            &groups[1..]
        } else {
            &groups[..groups.len() - 1]
        };
        let widths = |range: std::ops::RangeInclusive<usize>| rest.iter().all(|g| range.contains(&g.len()));
        if head.starts_with('W') {
            CodeForm::System
        } else if head == first && rest.len() < Self::MAX_LEVELS && widths(1..=10) {
            CodeForm::New
        } else if head == last && rest.len() <= 3 && rest.iter().all(|g| all_digits(g)) && widths(2..=3) {
            CodeForm::Old
        } else {
            CodeForm::Other
        }
    }

    /// Most levels a new code is read with.
    pub const MAX_LEVELS: usize = 6;

    /// The other form by the mechanical rule `000.20.31.H53` ↔ `H53.31.20`.
    ///
    /// A proposal for an operator to confirm, never something to route on: provinces reissued codes
    /// by their own decisions.
    #[must_use]
    pub fn propose_other_form(&self) -> Option<Self> {
        let groups: Vec<&str> = self.0.split('.').collect();
        match self.form() {
            CodeForm::Old => {
                let mut turned: Vec<&str> = groups.into_iter().rev().collect();
                while turned.len() > 1 && turned.last().is_some_and(|g| g.bytes().all(|b| b == b'0')) {
                    turned.pop();
                }
                Some(Self(turned.join(".")))
            }
            CodeForm::New => {
                let mut turned: Vec<String> = groups.iter().rev().map(|g| (*g).to_owned()).collect();
                if turned.len() > 4 || groups[1..].iter().any(|g| !all_digits(g)) {
                    return None;
                }
                while turned.len() < 4 {
                    turned.insert(0, "00".to_owned());
                }
                // Level 4 is three digits wide, levels 2 and 3 two.
                if turned[0].len() <= 3 && turned[1].len() == 2 && turned[2].len() == 2 {
                    turned[0] = format!("{:0>3}", turned[0]);
                    Some(Self(turned.join(".")))
                } else {
                    None
                }
            }
            CodeForm::System | CodeForm::Other => None,
        }
    }

    /// The level-1 group (`H53`), by which prefix routes send codes to a gateway.
    #[must_use]
    pub fn level_one(&self) -> Option<&str> {
        let (first, last) = (self.0.split('.').next()?, self.0.rsplit('.').next()?);
        match self.form() {
            CodeForm::New => Some(first),
            CodeForm::Old => Some(last),
            CodeForm::System if first.starts_with('W') => Some(first),
            CodeForm::System => Some(last),
            CodeForm::Other => None,
        }
    }
}

/// A party to a document, as far as the directory could tell: the key under which the ledger finds
/// what an agency sent and received, whichever of its codes was used.
///
/// Text form (JSON, SQL): `A00012`, `@000.00.00.G22`, `?mã lạ`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Party {
    /// An agency of the directory.
    Agency(AgencyId),
    /// An agency outside the province, reached through a gateway by the prefix of its code.
    Outside(AgencyCode),
    /// A code, as written, that resolved to nothing.
    Unresolved(String),
}

/// The text is no [`Party`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a party such as A00012, @000.00.00.G22 or ?code")]
pub struct NotAParty;

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agency(id) => id.fmt(f),
            Self::Outside(code) => write!(f, "@{code}"),
            Self::Unresolved(raw) => write!(f, "?{raw}"),
        }
    }
}

impl std::str::FromStr for Party {
    type Err = NotAParty;

    fn from_str(text: &str) -> Result<Self, NotAParty> {
        if let Some(digits) = text.strip_prefix('A') {
            return digits
                .parse()
                .map(|id| Self::Agency(AgencyId(id)))
                .map_err(|_| NotAParty);
        }
        if let Some(code) = text.strip_prefix('@') {
            return AgencyCode::parse(code).map(Self::Outside).map_err(|_| NotAParty);
        }
        text.strip_prefix('?')
            .map(|raw| Self::Unresolved(raw.to_owned()))
            .ok_or(NotAParty)
    }
}

impl TryFrom<String> for Party {
    type Error = NotAParty;

    fn try_from(text: String) -> Result<Self, NotAParty> {
        text.parse()
    }
}

impl From<Party> for String {
    fn from(party: Party) -> Self {
        party.to_string()
    }
}

fn is_level_one(group: &str) -> bool {
    let bytes = group.as_bytes();
    bytes.len() == 3 && bytes[0].is_ascii_uppercase() && bytes[1..].iter().all(u8::is_ascii_digit)
}

fn all_digits(group: &str) -> bool {
    group.bytes().all(|b| b.is_ascii_digit())
}

/// Full-width digits (U+FF10…) come from East Asian keyboards; other scripts' digits do not occur.
fn unicode_digit(c: char) -> Option<char> {
    let offset = u32::from(c).checked_sub(0xFF10)?;
    char::from_digit(offset, 10)
}

impl fmt::Display for AgencyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for AgencyCode {
    type Error = BadCode;

    fn try_from(text: String) -> Result<Self, BadCode> {
        Self::parse(&text)
    }
}

impl From<AgencyCode> for String {
    fn from(code: AgencyCode) -> Self {
        code.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> AgencyCode {
        AgencyCode::parse(text).unwrap()
    }

    #[test]
    fn forms_in_the_wild() {
        for (text, form) in [
            ("000.20.31.H53", CodeForm::Old),
            ("000.00.00.G22", CodeForm::Old),
            ("002.00.20.H13", CodeForm::Old),
            ("28.22.H17", CodeForm::Old),
            ("79.H36", CodeForm::Old),
            ("H41", CodeForm::New),
            ("H41.01.02", CodeForm::New),
            ("H37.DN.001", CodeForm::New),
            ("00.53.W00", CodeForm::System),
            ("001.00.20.JB2", CodeForm::Other),
            ("0102030405", CodeForm::Other),
            ("vxp.saas.03", CodeForm::Other),
        ] {
            assert_eq!(code(text).form(), form, "{text}");
        }
    }

    #[test]
    fn spelling_is_forgiven() {
        assert_eq!(code(" 000.20.31.h53\n"), code("000.20.31.H53"));
        assert_eq!(code("H５３.31"), code("H53.31"));
        assert_eq!(AgencyCode::parse(" null "), Err(BadCode::Empty));
        assert_eq!(AgencyCode::parse("H53 31"), Err(BadCode::Characters));
        assert_eq!(AgencyCode::parse(&"1".repeat(36)), Err(BadCode::TooLong));
        assert!(AgencyCode::parse(&"1".repeat(35)).is_ok());
    }

    #[test]
    fn mechanical_rule_proposes() {
        assert_eq!(
            code("000.20.31.H53").propose_other_form(),
            Some(code("H53.31.20"))
        );
        assert_eq!(code("000.00.00.H53").propose_other_form(), Some(code("H53")));
        assert_eq!(
            code("H53.31.20").propose_other_form(),
            Some(code("000.20.31.H53"))
        );
        assert_eq!(code("H53").propose_other_form(), Some(code("000.00.00.H53")));
        assert_eq!(code("H37.DN.001").propose_other_form(), None);
        assert_eq!(code("00.53.W00").propose_other_form(), None);
    }

    #[test]
    fn parties_read_back() {
        for party in [
            Party::Agency(AgencyId(12)),
            Party::Agency(AgencyId(1_234_567)),
            Party::Outside(code("000.00.00.G22")),
            Party::Unresolved("mã lạ".to_owned()),
            Party::Unresolved(String::new()),
        ] {
            assert_eq!(party.to_string().parse(), Ok(party));
        }
        assert_eq!("x".parse::<Party>(), Err(NotAParty));
    }

    #[test]
    fn level_one_group() {
        assert_eq!(code("000.20.31.H53").level_one(), Some("H53"));
        assert_eq!(code("G22.01").level_one(), Some("G22"));
        assert_eq!(code("0102030405").level_one(), None);
    }
}
