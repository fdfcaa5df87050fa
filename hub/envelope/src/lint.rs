//! What `truc envelope lint` says of a packet: everything the reader found, with the eyes of the
//! strict form.

use std::io;

use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;
use truc_model::{Place, WarningCode, warning::WarningLevel};

use crate::limits::Limits;
use crate::read::{Warning, examine};
use crate::source::PacketSource;

/// A time limit is long past when this many days have gone by.
pub const DUE_LONG_PAST_DAYS: i64 = 365;

/// How a finding counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// Worth knowing; the strict form allows it.
    Note,
    /// Worth mending; the strict form allows it.
    Warning,
    /// The strict form refuses it. The hub may still accept it: it refuses only refusal codes.
    Error,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LintFinding {
    /// A refusal's or a warning's code.
    pub code: String,
    /// How it counts.
    pub level: Level,
    /// Where.
    pub place: Place,
    /// The code's sentence in Vietnamese.
    pub vi: &'static str,
    /// The code's sentence in English.
    pub en: &'static str,
    /// Of a refusal: what was expected.
    pub expected: Option<String>,
    /// Of a refusal: what came.
    pub found: Option<String>,
}

/// The findings of one packet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lint {
    /// Refusals first, by precedence; then the rest in the order of the packet.
    pub findings: Vec<LintFinding>,
}

impl Lint {
    /// Whether the strict form takes the packet as it is.
    #[must_use]
    pub fn strict_ok(&self) -> bool {
        self.findings.iter().all(|finding| finding.level < Level::Error)
    }
}

/// Reports everything there is to say of a packet. `today` is Viet Nam's date.
#[must_use]
pub fn lint(bytes: &[u8], limits: &Limits, today: Date) -> Lint {
    // Bytes in memory can always be read.
    lint_from(&bytes, limits, today).unwrap_or(Lint { findings: Vec::new() })
}

/// [`lint`] of a packet where it lies, with no more memory than [`crate::read_from`] takes.
///
/// # Errors
/// When the source cannot be read.
pub fn lint_from(source: &dyn PacketSource, limits: &Limits, today: Date) -> io::Result<Lint> {
    let examined = examine(source, limits)?;
    let refusals = examined.refusals.into_iter().map(|refusal| {
        let (vi, en) = refusal.code.sentences();
        LintFinding {
            code: refusal.code.as_str().to_owned(),
            level: Level::Error,
            place: refusal.place,
            vi,
            en,
            expected: Some(refusal.expected),
            found: Some(refusal.found),
        }
    });
    let mut warnings = examined.warnings;
    warnings.extend(examined.dated.future(today));
    if let Some((due, place)) = examined.dated.due {
        let before_issue = warnings
            .iter()
            .any(|warning| warning.code == WarningCode::DueDateOdd && warning.place == place);
        if is_long_past(due, today) && !before_issue {
            warnings.push(Warning {
                code: WarningCode::DueDateOdd,
                place,
            });
        }
    }
    let warnings = warnings.into_iter().map(|warning| {
        let (vi, en) = warning.code.sentences();
        LintFinding {
            code: warning.code.as_str().to_owned(),
            level: level(warning.code),
            place: warning.place,
            vi,
            en,
            expected: None,
            found: None,
        }
    });
    Ok(Lint {
        findings: refusals.chain(warnings).collect(),
    })
}

fn level(code: WarningCode) -> Level {
    match (code.refused_in_strict(), code.level()) {
        (true, _) => Level::Error,
        (false, WarningLevel::Warning) => Level::Warning,
        (false, WarningLevel::Note) => Level::Note,
    }
}

fn is_long_past(due: Date, today: Date) -> bool {
    today
        .checked_sub(DUE_LONG_PAST_DAYS.days())
        .is_ok_and(|earliest| due < earliest)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn long_past_begins_after_its_days() {
        let today = date(2026, 3, 1);
        let edge = today.checked_sub(DUE_LONG_PAST_DAYS.days()).unwrap();
        assert!(!is_long_past(edge, today));
        assert!(is_long_past(edge.yesterday().unwrap(), today));
        assert!(!is_long_past(date(2030, 1, 1), today));
    }

    #[test]
    fn what_strict_refuses_is_an_error_whatever_its_level() {
        assert_eq!(level(WarningCode::EmptyElement), Level::Error);
        assert_eq!(level(WarningCode::DueDateOdd), Level::Warning);
        assert_eq!(level(WarningCode::LineEnds), Level::Note);
    }

    #[test]
    fn no_bytes_are_no_packet() {
        let lint = lint(b"", &Limits::default(), date(2026, 3, 1));
        assert!(!lint.strict_ok());
        assert_eq!(lint.findings[0].code, "envelope-malformed");
    }
}
