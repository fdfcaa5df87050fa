//! From a code as written to an agency and the system that serves it, on a day.
//!
//! Order: spelling is forgiven; `W` codes are systems; an exactly registered code beats every prefix, a closed
//! one leads to its one successor as long as its grace runs; then the longest prefix decides, the province's own
//! before a gateway's. The mechanical other form of
//! a code is only ever proposed (`spec/edxml.md` §12.4).

use jiff::civil::Date;
use truc_model::agency::BadCode;
use truc_model::{AgencyCode, AgencyId, CodeForm, Party, SystemId, UndeliverableCause};

use crate::agency::{Agency, CodeRow, CodeState};
use crate::dated::Validity;
use crate::prefix::RoutePrefix;
use crate::snapshot::{Content, Directory};
use crate::succession::{Heir, Via};
use crate::system::SystemKind;

/// What a code as written means on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// A registered code in force, or a closed one within its grace.
    Known {
        /// Its agency; of a closed code the one successor.
        agency: AgencyId,
        /// The system that serves the agency: the one assigned, else the gateway whose prefix covers
        /// the code. `None` when there is neither, or the assigned one is not registered.
        system: Option<SystemId>,
        /// How it was found.
        matched: Matched,
        /// How a closed code led here; `None` for a code in force.
        via: Option<Via>,
    },
    /// Not registered, and outside the province: a gateway's prefix covers it.
    Outside {
        /// The code, normalised.
        code: AgencyCode,
        /// The gateway.
        system: SystemId,
    },
    /// Registered and no longer in force: dissolved, or its grace is over, or it had none.
    Closed {
        /// The agency it belonged to.
        agency: AgencyId,
        /// Who has its tasks: nobody, the agency itself under another code, one successor, or several.
        successors: Vec<AgencyId>,
    },
    /// Registered, no longer in force, and several agencies took over: an operator decides.
    Split {
        /// The agency it belonged to.
        agency: AgencyId,
        /// The successors, ascending.
        successors: Vec<AgencyId>,
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
            Self::Known { agency, .. } | Self::Closed { agency, .. } | Self::Split { agency, .. } => {
                Party::Agency(*agency)
            }
            Self::Outside { code, .. } => Party::Outside(code.clone()),
            Self::SystemCode { .. } | Self::Unknown { .. } | Self::BadCode(_) => {
                Party::Unresolved(raw.to_owned())
            }
        }
    }

    /// The system to deliver to, or why there is none. A split is no cause for the sender: it waits for an
    /// operator, so who asks here first looks for [`Self::Split`].
    ///
    /// # Errors
    /// The cause to tell the sender.
    pub fn deliver_to(&self) -> Result<&SystemId, UndeliverableCause> {
        match self {
            Self::Known { system, .. } => system.as_ref().ok_or(UndeliverableCause::NoSystem),
            Self::Outside { system, .. } => Ok(system),
            Self::Closed { .. } | Self::Split { .. } => Err(UndeliverableCause::ClosedCode),
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
        let matched = match code.as_str() == raw {
            true => Matched::Exact,
            false => Matched::Spelling,
        };
        let Some(row) = agency.codes.iter().find(|row| row.code == code) else {
            return Resolution::Unknown { code, proposal: None };
        };
        match row.state(on) {
            CodeState::InForce => Resolution::Known {
                agency: agency.id,
                system: self.system_of_agency(agency, on).cloned(),
                matched,
                via: None,
            },
            CodeState::Closed => self.resolve_closed(agency, row, matched, on),
            CodeState::NotYet => Resolution::Unknown {
                proposal: agency.code(on).cloned(),
                code,
            },
        }
    }

    fn resolve_closed(&self, agency: &Agency, row: &CodeRow, matched: Matched, on: Date) -> Resolution {
        let ended = agency.succession(on).map(|step| step.on);
        // A code that closed before its agency ended had a grace of its own, which still counts.
        let closed_with_agency = ended.is_some() && row.valid.to == ended;
        let (heir, grace) = match self.heir(agency, on) {
            Heir::None => {
                return Resolution::Closed {
                    agency: agency.id,
                    successors: Vec::new(),
                };
            }
            Heir::Several { among, grace_until } => {
                let held = closed_with_agency && grace_until.is_none_or(|until| on < until);
                return match held {
                    true => Resolution::Split {
                        agency: agency.id,
                        successors: among,
                    },
                    false => Resolution::Closed {
                        agency: agency.id,
                        successors: among,
                    },
                };
            }
            Heir::One { agency: heir, .. } if ended.is_none() => (heir, row.grace_until),
            Heir::One {
                agency: heir,
                grace_until,
            } if closed_with_agency => (heir, grace_until),
            Heir::One {
                agency: heir,
                grace_until,
            } => (
                heir,
                grace_until.and_then(|until| Some(until.min(row.grace_until?))),
            ),
        };
        let Some((known, grace_until)) = self.agency(heir).zip(grace.filter(|until| on < *until)) else {
            return Resolution::Closed {
                agency: agency.id,
                successors: vec![heir],
            };
        };
        Resolution::Known {
            agency: heir,
            system: self.system_of_agency(known, on).cloned(),
            matched,
            via: Some(Via {
                closed: agency.id,
                renumbered: heir == agency.id,
                grace_until,
                code: known.code(on).cloned(),
            }),
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
