//! The directory as a value: its content, its version, its canonical JSON form, and plain look-ups.
//!
//! Resolving a code stands in `resolve.rs`, changing in `edit.rs`.

use std::collections::{HashMap, HashSet};

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{AgencyCode, AgencyId, Sha256, SystemId};

use crate::agency::Agency;
use crate::dated::{Dated, Validity};
use crate::prefix::RoutePrefix;
use crate::reorganise::Reorganisation;
use crate::resolve::Routes;
use crate::succession::Succession;
use crate::system::{CertificateRow, System, SystemKind};

/// An immutable snapshot of the directory.
///
/// Equal directories have equal JSON, byte for byte: rows stand in a fixed order, absent values are
/// left out, there is no white space.
#[derive(Debug, Clone)]
pub struct Directory {
    version: u64,
    content: Content,
    /// Every code, past ones included, with the place of its agency in `content.agencies`.
    codes: HashMap<AgencyCode, usize>,
    /// Of every successor, whose it is or will be.
    took_over: HashMap<AgencyId, Vec<AgencyId>>,
    routes: Routes,
}

/// What a directory says. Invariants are those of [`Content::check`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) home: Vec<Dated<RoutePrefix>>,
    pub(crate) systems: Vec<System>,
    pub(crate) agencies: Vec<Agency>,
    pub(crate) reorganisations: Vec<Reorganisation>,
}

#[derive(Serialize)]
struct Written<'a> {
    format: u32,
    version: u64,
    home: &'a [Dated<RoutePrefix>],
    systems: &'a [System],
    agencies: &'a [Agency],
    #[serde(skip_serializing_if = "no_rows")]
    reorganisations: &'a [Reorganisation],
}

fn no_rows(rows: &[Reorganisation]) -> bool {
    rows.is_empty()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    format: u32,
    version: u64,
    home: Vec<Dated<RoutePrefix>>,
    systems: Vec<System>,
    agencies: Vec<Agency>,
    #[serde(default)]
    reorganisations: Vec<Reorganisation>,
}

/// The text is no directory.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Not JSON, or not of the shape of a directory. A field this program does not know is an error:
    /// written by a newer one, it would be lost silently.
    #[error("expected the JSON form of a directory")]
    NotADirectory(#[source] serde_json::Error),
    /// Written by another format version.
    #[error("expected format {expected}, found {found}", expected = Directory::FORMAT)]
    Format {
        /// The number found.
        found: u32,
    },
    /// More than a limit allows.
    #[error("expected at most {max} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// Agencies must stand in ascending order of their ids, systems of theirs.
    #[error("expected ascending ids, found {found} out of order")]
    Order {
        /// The id out of order.
        found: String,
    },
    /// One code in two rows.
    #[error("expected each code once, found {code} twice")]
    CodeTwice {
        /// The code.
        code: AgencyCode,
    },
    /// One certificate in two rows.
    #[error("expected each certificate once, found {thumbprint} twice")]
    CertificateTwice {
        /// The certificate.
        thumbprint: Sha256,
    },
    /// Rows of one agency or prefix that overlap, or end before they begin.
    #[error("expected rows with ordered dates, found others at {found}")]
    Dates {
        /// Whose rows.
        found: String,
    },
    /// An agency without a name or without a code.
    #[error("expected a name and a code, found {id} without")]
    Nameless {
        /// The agency.
        id: AgencyId,
    },
    /// A succession that names itself, an agency that is not there, or one twice; or rows out of order.
    #[error("expected successors that are other agencies, found others at {id}")]
    Successors {
        /// Whose succession.
        id: AgencyId,
    },
    /// Prefixes on a system that is no gateway.
    #[error("expected prefixes on gateways only, found some on {system}")]
    NotAGateway {
        /// The system.
        system: SystemId,
    },
}

impl Directory {
    /// Version of the JSON form.
    pub const FORMAT: u32 = 1;
    /// Most agencies: twice the largest public list (123,000).
    pub const MAX_AGENCIES: usize = 250_000;
    /// Most systems.
    pub const MAX_SYSTEMS: usize = 10_000;
    /// Most home prefixes, past ones included.
    pub const MAX_HOME: usize = 1_000;

    /// The directory before anything was told: version 0.
    #[must_use]
    pub fn empty() -> Self {
        Self::index(0, Content::default())
    }

    /// Takes over content whose invariants hold.
    pub(crate) fn index(version: u64, content: Content) -> Self {
        let mut codes = HashMap::with_capacity(content.agencies.len() * 2);
        for (place, agency) in content.agencies.iter().enumerate() {
            codes.extend(agency.codes.iter().map(|row| (row.code.clone(), place)));
        }
        let mut took_over: HashMap<AgencyId, Vec<AgencyId>> = HashMap::new();
        for agency in &content.agencies {
            for heir in agency.successions.iter().flat_map(|step| &step.to) {
                took_over.entry(*heir).or_default().push(agency.id);
            }
        }
        let routes = Routes::of(&content);
        Self {
            version,
            content,
            codes,
            took_over,
            routes,
        }
    }

    /// The number of this version: 0 for the empty directory, one more with each change.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The canonical JSON form, version included.
    #[must_use]
    pub fn to_json(&self) -> String {
        let Content {
            home,
            systems,
            agencies,
            reorganisations,
        } = &self.content;
        let written = Written {
            format: Self::FORMAT,
            version: self.version,
            home,
            systems,
            agencies,
            reorganisations,
        };
        // Strings, integers and lists only: nothing here that serde_json can fail on.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads the JSON form back.
    ///
    /// # Errors
    /// [`DirectoryError`] when the text is of another shape or breaks a rule of the directory.
    pub fn from_json(text: &str) -> Result<Self, DirectoryError> {
        let read: Read = serde_json::from_str(text).map_err(DirectoryError::NotADirectory)?;
        if read.format != Self::FORMAT {
            return Err(DirectoryError::Format { found: read.format });
        }
        let content = Content {
            home: read.home,
            systems: read.systems,
            agencies: read.agencies,
            reorganisations: read.reorganisations,
        };
        content.check()?;
        Ok(Self::index(read.version, content))
    }

    /// One agency.
    #[must_use]
    pub fn agency(&self, id: AgencyId) -> Option<&Agency> {
        self.content
            .agency_place(id)
            .map(|place| &self.content.agencies[place])
    }

    /// All agencies, by ascending id, closed ones included.
    pub fn agencies(&self) -> impl ExactSizeIterator<Item = &Agency> {
        self.content.agencies.iter()
    }

    /// The agency a code belongs to or belonged to, whatever the date.
    #[must_use]
    pub fn find_code(&self, code: &AgencyCode) -> Option<&Agency> {
        self.codes.get(code).map(|place| &self.content.agencies[*place])
    }

    /// One system.
    #[must_use]
    pub fn system(&self, id: &SystemId) -> Option<&System> {
        self.content
            .system_place(id)
            .map(|place| &self.content.systems[place])
    }

    /// All systems, by id.
    pub fn systems(&self) -> impl ExactSizeIterator<Item = &System> {
        self.content.systems.iter()
    }

    /// The system a certificate was ever bound to, with its row; one certificate belongs to one system.
    #[must_use]
    pub fn find_certificate(&self, thumbprint: &Sha256) -> Option<(&System, &CertificateRow)> {
        self.systems().find_map(|system| {
            let mut rows = system.certificates.iter();
            rows.find(|row| row.thumbprint == *thumbprint)
                .map(|row| (system, row))
        })
    }

    /// The province's own prefixes: an unregistered code under one of them is unknown, whatever a
    /// gateway serves.
    #[must_use]
    pub fn home(&self) -> &[Dated<RoutePrefix>] {
        &self.content.home
    }

    /// The reorganisations it went through or will, in the order in which they were told.
    #[must_use]
    pub fn reorganisations(&self) -> &[Reorganisation] {
        &self.content.reorganisations
    }

    /// The name of an agency on a day, or the nearest one; see [`Agency::name`].
    #[must_use]
    pub fn name_of(&self, id: AgencyId, on: Date) -> Option<&str> {
        self.agency(id)?.name(on)
    }

    /// The preferred code of an agency in force on a day.
    #[must_use]
    pub fn code_of(&self, id: AgencyId, on: Date) -> Option<&AgencyCode> {
        self.agency(id)?.code(on)
    }

    /// Agencies that one took over from, or will, directly.
    pub(crate) fn took_over_from(&self, heir: AgencyId) -> &[AgencyId] {
        self.took_over.get(&heir).map_or(&[], Vec::as_slice)
    }

    pub(crate) const fn content(&self) -> &Content {
        &self.content
    }

    pub(crate) const fn routes(&self) -> &Routes {
        &self.routes
    }
}

impl Default for Directory {
    fn default() -> Self {
        Self::empty()
    }
}

impl PartialEq for Directory {
    fn eq(&self, other: &Self) -> bool {
        // The rest follows from these two.
        self.version == other.version && self.content == other.content
    }
}

impl Eq for Directory {}

impl Content {
    pub(crate) fn agency_place(&self, id: AgencyId) -> Option<usize> {
        self.agencies.binary_search_by_key(&id, |agency| agency.id).ok()
    }

    pub(crate) fn system_place(&self, id: &SystemId) -> Option<usize> {
        self.systems.binary_search_by(|system| system.id.cmp(id)).ok()
    }

    /// The rules of a directory.
    fn check(&self) -> Result<(), DirectoryError> {
        limit("home prefixes", self.home.len(), Directory::MAX_HOME)?;
        limit("systems", self.systems.len(), Directory::MAX_SYSTEMS)?;
        limit("agencies", self.agencies.len(), Directory::MAX_AGENCIES)?;
        limit("reorganisations", self.reorganisations.len(), Reorganisation::MAX)?;
        prefixes_are_apart(&self.home, || "home".to_owned())?;
        let mut thumbprints = HashSet::new();
        let mut before: Option<&SystemId> = None;
        for system in &self.systems {
            let id = &system.id;
            if before.replace(id).is_some_and(|before| before >= id) {
                return Err(DirectoryError::Order {
                    found: id.to_string(),
                });
            }
            limit(
                "prefixes of a system",
                system.prefixes.len(),
                System::MAX_PREFIXES,
            )?;
            limit(
                "certificates of a system",
                system.certificates.len(),
                System::MAX_CERTIFICATES,
            )?;
            if system.kind != SystemKind::Gateway && !system.prefixes.is_empty() {
                return Err(DirectoryError::NotAGateway { system: id.clone() });
            }
            prefixes_are_apart(&system.prefixes, || id.to_string())?;
            for row in &system.certificates {
                limit("bytes of PEM", row.pem.len(), CertificateRow::PEM_MAX)?;
                if !row.valid.is_sound() {
                    return Err(DirectoryError::Dates {
                        found: id.to_string(),
                    });
                }
                let thumbprint = row.thumbprint;
                if !thumbprints.insert(thumbprint) {
                    return Err(DirectoryError::CertificateTwice { thumbprint });
                }
            }
        }
        self.check_agencies()
    }

    fn check_agencies(&self) -> Result<(), DirectoryError> {
        let mut codes = HashSet::with_capacity(self.agencies.len() * 2);
        let mut before = None;
        for agency in &self.agencies {
            let id = agency.id;
            if before.replace(id).is_some_and(|before| before >= id) {
                return Err(DirectoryError::Order {
                    found: id.to_string(),
                });
            }
            if agency.names.is_empty() || agency.codes.is_empty() {
                return Err(DirectoryError::Nameless { id });
            }
            limit("codes of an agency", agency.codes.len(), Agency::MAX_CODES)?;
            self.check_successions(agency)?;
            let dates = in_order(agency.names.iter().map(|row| row.valid))
                && in_order(agency.levels.iter().map(|row| row.valid))
                && in_order(agency.parent.iter().map(|row| row.valid))
                && in_order(agency.served_by.iter().map(|row| row.valid))
                && agency.codes.iter().all(|row| row.valid.is_sound());
            if !dates {
                return Err(DirectoryError::Dates {
                    found: id.to_string(),
                });
            }
            for row in &agency.codes {
                if !codes.insert(&row.code) {
                    return Err(DirectoryError::CodeTwice {
                        code: row.code.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    fn check_successions(&self, agency: &Agency) -> Result<(), DirectoryError> {
        let id = agency.id;
        limit(
            "successions of an agency",
            agency.successions.len(),
            Agency::MAX_SUCCESSIONS,
        )?;
        let ordered = agency.successions.windows(2).all(|pair| pair[0].on < pair[1].on);
        for step in &agency.successions {
            limit(
                "successors of an agency",
                step.to.len(),
                Succession::MAX_SUCCESSORS,
            )?;
            let sorted = step.to.windows(2).all(|pair| pair[0] < pair[1]);
            let known = |heir: &AgencyId| *heir != id && self.agency_place(*heir).is_some();
            let grace = step.grace_until.is_none_or(|until| step.on < until);
            if !(ordered && sorted && grace && step.to.iter().all(known)) {
                return Err(DirectoryError::Successors { id });
            }
        }
        Ok(())
    }
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), DirectoryError> {
    if found > max {
        return Err(DirectoryError::Limit { what, max });
    }
    Ok(())
}

/// Each row sound, each beginning where the one before ends or later.
fn in_order(rows: impl Iterator<Item = Validity>) -> bool {
    let mut before: Option<Validity> = None;
    for valid in rows {
        let follows = match before.replace(valid) {
            None => true,
            Some(Validity { to, .. }) => matches!((to, valid.from), (Some(to), Some(from)) if to <= from),
        };
        if !follows || !valid.is_sound() {
            return false;
        }
    }
    true
}

/// Sorted, and no prefix twice on one day.
fn prefixes_are_apart(rows: &[Dated<RoutePrefix>], whose: impl Fn() -> String) -> Result<(), DirectoryError> {
    let key = |row: &Dated<RoutePrefix>| (row.value.clone(), row.valid.from);
    let sorted = rows.is_sorted_by_key(key) && rows.iter().all(|row| row.valid.is_sound());
    let apart = rows
        .windows(2)
        .all(|pair| pair[0].value != pair[1].value || !pair[0].valid.overlaps(&pair[1].valid));
    if sorted && apart {
        Ok(())
    } else {
        Err(DirectoryError::Dates { found: whose() })
    }
}
