//! From a code as written to an agency and the system that serves it, on a day.
//!
//! Order: spelling is forgiven; `W` codes are systems; an exactly registered code beats every prefix;
//! then the longest prefix decides, the province's own before a gateway's. The mechanical other form of
//! a code is only ever proposed (`spec/edxml.md` §12.4).

use jiff::civil::Date;
use truc_model::agency::BadCode;
use truc_model::{AgencyCode, AgencyId, CodeForm, Party, SystemId, UndeliverableCause};

use crate::agency::{Agency, CodeState};
use crate::dated::Validity;
use crate::prefix::RoutePrefix;
use crate::snapshot::{Content, Directory};
use crate::system::SystemKind;

/// What a code as written means on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A registered code in force.
    Known {
        /// Its agency.
        agency: AgencyId,
        /// The system that serves the agency: the one assigned, else the gateway whose prefix covers
        /// the code. `None` when there is neither, or the assigned one is not registered.
        system: Option<SystemId>,
        /// How it was found.
        matched: Matched,
    },
    /// Not registered, and outside the province: a gateway's prefix covers it.
    Outside {
        /// The code, normalised.
        code: AgencyCode,
        /// The gateway.
        system: SystemId,
    },
    /// Registered and no longer in force.
    Closed {
        /// The agency it belonged to.
        agency: AgencyId,
    },
    /// The code of a connected system, never a recipient.
    SystemCode {
        /// The code, normalised.
        code: AgencyCode,
    },
    /// No agency has it and no gateway serves it, or its first day is still to come.
    Unknown {
        /// The code, normalised.
        code: AgencyCode,
        /// A code in force that may be meant, for a person to confirm. Never routed on.
        proposal: Option<AgencyCode>,
    },
    /// No code at all.
    BadCode(BadCode),
}

/// How a code was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Matched {
    /// Written as registered.
    Exact,
    /// After its spelling was put right (spaces, lower case, full-width digits).
    Spelling,
}

impl Resolution {
    /// The party under which the ledger files it; `raw` is the code as written.
    #[must_use]
    pub fn party(&self, raw: &str) -> Party {
        match self {
            Self::Known { agency, .. } | Self::Closed { agency } => Party::Agency(*agency),
            Self::Outside { code, .. } => Party::Outside(code.clone()),
            Self::SystemCode { .. } | Self::Unknown { .. } | Self::BadCode(_) => {
                Party::Unresolved(raw.to_owned())
            }
        }
    }

    /// The system to deliver to, or why there is none.
    ///
    /// # Errors
    /// The cause to tell the sender.
    pub fn deliver_to(&self) -> Result<&SystemId, UndeliverableCause> {
        match self {
            Self::Known { system, .. } => system.as_ref().ok_or(UndeliverableCause::NoSystem),
            Self::Outside { system, .. } => Ok(system),
            Self::Closed { .. } => Err(UndeliverableCause::ClosedCode),
            Self::SystemCode { .. } => Err(UndeliverableCause::SystemCode),
            Self::Unknown { .. } => Err(UndeliverableCause::UnknownCode),
            Self::BadCode(_) => Err(UndeliverableCause::BadCode),
        }
    }
}

impl Directory {
    /// What a code as written means on a day.
    #[must_use]
    pub fn resolve(&self, raw: &str, on: Date) -> Resolution {
        let code = match AgencyCode::parse(raw) {
            Ok(code) => code,
            Err(bad) => return Resolution::BadCode(bad),
        };
        if code.form() == CodeForm::System {
            return Resolution::SystemCode { code };
        }
        if let Some(agency) = self.find_code(&code) {
            return self.resolve_registered(agency, code, raw, on);
        }
        match self.routes().route(&code, on) {
            Some(system) => Resolution::Outside {
                system: system.clone(),
                code,
            },
            None => Resolution::Unknown {
                proposal: self.propose(&code, on),
                code,
            },
        }
    }

    fn resolve_registered(&self, agency: &Agency, code: AgencyCode, raw: &str, on: Date) -> Resolution {
        match agency.code_state(&code, on) {
            Some(CodeState::InForce) => Resolution::Known {
                agency: agency.id,
                system: self.system_of_agency(agency, on).cloned(),
                matched: match code.as_str() == raw {
                    true => Matched::Exact,
                    false => Matched::Spelling,
                },
            },
            Some(CodeState::Closed) => Resolution::Closed { agency: agency.id },
            Some(CodeState::NotYet) | None => Resolution::Unknown {
                proposal: agency.code(on).cloned(),
                code,
            },
        }
    }

    /// Whether a system answers for a party on a day: may send in its name, and is sent what is for it.
    ///
    /// An agency: the system of [`Self::system_of`]. A code outside: the gateway whose prefix covers it.
    /// A disabled system still serves; that it may not submit is another check.
    #[must_use]
    pub fn serves(&self, system: &SystemId, party: &Party, on: Date) -> bool {
        self.system_of(party, on) == Some(system)
    }

    /// The registered system that serves a party on a day.
    #[must_use]
    pub fn system_of(&self, party: &Party, on: Date) -> Option<&SystemId> {
        match party {
            Party::Agency(id) => self.system_of_agency(self.agency(*id)?, on),
            Party::Outside(code) => self.routes().route(code, on),
            Party::Unresolved(_) => None,
        }
    }

    fn system_of_agency(&self, agency: &Agency, on: Date) -> Option<&SystemId> {
        match agency.assigned(on) {
            // Named but not registered: no way leads there, and a gateway must not stand in for it.
            Some(assigned) => self.system(assigned).map(|system| &system.id),
            None => self.routes().route(agency.code(on)?, on),
        }
    }

    /// A registered code in force that the mechanical rule makes of this one: its other form, or for a
    /// short old form (`31.H60`) the full one.
    fn propose(&self, code: &AgencyCode, on: Date) -> Option<AgencyCode> {
        let other = code.propose_other_form()?;
        let full = other.propose_other_form();
        [Some(other), full].into_iter().flatten().find(|candidate| {
            let state = self
                .find_code(candidate)
                .and_then(|agency| agency.code_state(candidate, on));
            candidate != code && state == Some(CodeState::InForce)
        })
    }
}

/// All prefixes of a directory, the deciding one first.
#[derive(Debug, Clone)]
pub(crate) struct Routes(Vec<Route>);

#[derive(Debug, Clone)]
struct Route {
    prefix: RoutePrefix,
    valid: Validity,
    way: Way,
}

/// Where a prefix leads; in order of precedence among prefixes of one length.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Nowhere: the province's own, where only a registered code counts.
    Home,
    /// To a gateway. Of two gateways with one prefix (an error that `check` reports) the first by id.
    Gateway(SystemId),
}

impl Routes {
    pub(crate) fn of(content: &Content) -> Self {
        let home = content.home.iter().map(|row| (row, Way::Home));
        let gateways = content
            .systems
            .iter()
            .filter(|system| system.kind == SystemKind::Gateway);
        let served = gateways.flat_map(|system| {
            let way = Way::Gateway(system.id.clone());
            system.prefixes.iter().map(move |row| (row, way.clone()))
        });
        let mut routes: Vec<Route> = home
            .chain(served)
            .map(|(row, way)| Route {
                prefix: row.value.clone(),
                valid: row.valid,
                way,
            })
            .collect();
        routes.sort_by(|a, b| (b.prefix.depth(), &a.way).cmp(&(a.prefix.depth(), &b.way)));
        Self(routes)
    }

    /// The gateway for a code that is not registered, if it lies outside the province.
    fn route(&self, code: &AgencyCode, on: Date) -> Option<&SystemId> {
        let decides = |route: &&Route| route.valid.contains(on) && route.prefix.covers(code);
        match &self.0.iter().find(decides)?.way {
            Way::Home => None,
            Way::Gateway(system) => Some(system),
        }
    }
}
