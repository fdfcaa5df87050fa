//! An agency and the rows that tell about it.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{AgencyCode, AgencyId, CodeForm, SystemId};

use crate::dated::{self, Dated, Validity};
use crate::succession::Succession;

/// An agency (*cơ quan, đơn vị*). It keeps its id for ever; names, codes, parent and system change by date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agency {
    /// The permanent number; given in ascending order, never reused.
    pub id: AgencyId,
    /// Names, oldest first; at most one on any day, at least one in all.
    pub names: Vec<Dated<String>>,
    /// Codes, the preferred one first. Several may be in force at once (old and new form).
    pub codes: Vec<CodeRow>,
    /// Level 1 to [`AgencyCode::MAX_LEVELS`] (QĐ 28/2018 art. 10(2)a), when it was told; at most one on any
    /// day. In JSON a plain number when it never changed.
    #[serde(
        default,
        rename = "level",
        with = "level",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub levels: Vec<Dated<u8>>,
    /// The body it belongs to. Told, never derived from a code: communes changed depth in 2025.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parent: Vec<Dated<AgencyId>>,
    /// The system that serves it; at most one on any day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub served_by: Vec<Dated<SystemId>>,
    /// Who took over when it ended (or, told in error and mended, several times); oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub successions: Vec<Succession>,
    /// A remark for the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// One code of an agency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodeRow {
    /// The code.
    pub code: AgencyCode,
    /// When it is in force.
    #[serde(default, skip_serializing_if = "Validity::is_always")]
    pub valid: Validity,
    /// The decision that issued or closed it, as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// For a closed code of an agency that goes on under another one: the first day on which documents for it
    /// are no longer forwarded. `None`: they never are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Date>,
}

/// What a code is on a given day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeState {
    /// Its first day is still to come.
    NotYet,
    /// In force.
    InForce,
    /// It was in force once.
    Closed,
}

impl CodeRow {
    /// Which way its groups run.
    #[must_use]
    pub fn form(&self) -> CodeForm {
        self.code.form()
    }

    /// What it is on a day.
    #[must_use]
    pub fn state(&self, on: Date) -> CodeState {
        if self.valid.contains(on) {
            CodeState::InForce
        } else if self.valid.to.is_some_and(|to| to <= on) {
            CodeState::Closed
        } else {
            CodeState::NotYet
        }
    }
}

impl Agency {
    /// Most codes one agency is given, past ones included.
    pub const MAX_CODES: usize = 64;
    /// Most successions of one agency: it ends once, unless that was told in error.
    pub const MAX_SUCCESSIONS: usize = 16;
    /// Longest usual name, in characters (`OrganName`, QCVN 102:2016); longer ones are warned of.
    pub const NAME_MAX: usize = 200;

    /// Its name on a day. Outside all dates the nearest one: an agency always has a name to show.
    #[must_use]
    pub fn name(&self, on: Date) -> Option<&str> {
        dated::value_on(&self.names, on)
            .or_else(|| {
                let begun = |row: &&Dated<String>| row.valid.from.is_none_or(|from| from <= on);
                let last = self.names.iter().rfind(begun).or(self.names.first());
                last.map(|row| &row.value)
            })
            .map(String::as_str)
    }

    /// The preferred one of its codes in force on a day.
    #[must_use]
    pub fn code(&self, on: Date) -> Option<&AgencyCode> {
        let in_force = |row: &&CodeRow| row.state(on) == CodeState::InForce;
        self.codes.iter().find(in_force).map(|row| &row.code)
    }

    /// What one of its codes is on a day; `None` when the code is not its own.
    #[must_use]
    pub fn code_state(&self, code: &AgencyCode, on: Date) -> Option<CodeState> {
        self.codes
            .iter()
            .find(|row| row.code == *code)
            .map(|row| row.state(on))
    }

    /// Its level on a day, when it was told.
    #[must_use]
    pub fn level(&self, on: Date) -> Option<u8> {
        dated::value_on(&self.levels, on).copied()
    }

    /// The body it belongs to on a day.
    #[must_use]
    pub fn parent(&self, on: Date) -> Option<AgencyId> {
        dated::value_on(&self.parent, on).copied()
    }

    /// The system assigned to it on a day, registered or not.
    #[must_use]
    pub fn assigned(&self, on: Date) -> Option<&SystemId> {
        dated::value_on(&self.served_by, on)
    }
}

/// The level in JSON: a plain number when it holds always, else its dated rows.
mod level {
    use serde::{Deserialize, Deserializer, Serialize as _, Serializer};

    use crate::dated::Dated;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Level {
        Always(u8),
        Dated(Vec<Dated<u8>>),
    }

    pub(super) fn serialize<S: Serializer>(rows: &[Dated<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        match rows {
            [row] if *row == Dated::always(row.value) => serializer.serialize_u8(row.value),
            rows => rows.serialize(serializer),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Dated<u8>>, D::Error> {
        Ok(match Level::deserialize(from)? {
            Level::Always(level) => vec![Dated::always(level)],
            Level::Dated(rows) => rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn row(code: &str, valid: Validity) -> CodeRow {
        CodeRow {
            code: AgencyCode::parse(code).unwrap(),
            valid,
            decision: None,
            grace_until: None,
        }
    }

    #[test]
    fn names_and_codes_by_date() {
        let july = date(2025, 7, 1);
        let until = |to| Validity {
            from: None,
            to: Some(to),
        };
        let agency = Agency {
            id: AgencyId(1),
            names: vec![
                Dated {
                    value: "cũ".into(),
                    valid: Validity {
                        from: Some(date(2020, 1, 1)),
                        to: Some(july),
                    },
                    decision: None,
                },
                Dated {
                    value: "mới".into(),
                    valid: Validity {
                        from: Some(july),
                        to: Some(date(2026, 1, 1)),
                    },
                    decision: None,
                },
            ],
            codes: vec![row("H60.31", until(july)), row("H60.91", Validity::since(july))],
            levels: Vec::new(),
            parent: Vec::new(),
            served_by: Vec::new(),
            successions: Vec::new(),
            note: None,
        };
        assert_eq!(agency.name(date(2025, 6, 30)), Some("cũ"));
        assert_eq!(agency.name(july), Some("mới"));
        assert_eq!(agency.name(date(2019, 1, 1)), Some("cũ"));
        assert_eq!(agency.name(date(2030, 1, 1)), Some("mới"));
        assert_eq!(
            agency.code(date(2025, 6, 30)).map(AgencyCode::as_str),
            Some("H60.31")
        );
        assert_eq!(agency.code(july).map(AgencyCode::as_str), Some("H60.91"));
        let state = |code: &str| agency.code_state(&AgencyCode::parse(code).unwrap(), july);
        assert_eq!(state("H60.31"), Some(CodeState::Closed));
        assert_eq!(state("H60.32"), None);
        assert_eq!(agency.codes[1].state(date(2025, 6, 30)), CodeState::NotYet);
    }
}
