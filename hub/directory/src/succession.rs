//! Who took over from whom: an agency that ended, its successors, and how long documents for its old codes are
//! still forwarded.
//!
//! One successor is followed, through as many changes as came; of several none is ever chosen
//! (`spec/business-rules.md` §7.6). Whether a document is forwarded depends on grace periods; to whom old
//! statuses and recalls belong does not.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use truc_model::{AgencyCode, AgencyId, Party, SystemId};

use crate::agency::{Agency, CodeState};
use crate::resolve::Resolution;
use crate::snapshot::Directory;

/// The end of an agency, and who took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// Its successors, ascending; none: it was dissolved; several: it was split.
    pub to: Vec<AgencyId>,
    /// The first day on which the successors have its tasks.
    pub on: Date,
    /// The first day on which documents for its codes are no longer forwarded to the one successor. `None`:
    /// they never are. Of a split: the first day on which they are no longer held for an operator; `None`:
    /// they always are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_until: Option<Date>,
    /// The deciding document, as told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
}

impl Succession {
    /// Most successors of one agency.
    pub const MAX_SUCCESSORS: usize = 64;
    /// Most changes of hand that are followed from an old code to today's agency.
    pub const MAX_HOPS: usize = 16;
    /// Most predecessors that are looked for when an agency answers for those before it.
    pub const MAX_PREDECESSORS: usize = 256;
}

/// How a document for a closed code reaches an agency all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Via {
    /// The agency whose code was written.
    pub closed: AgencyId,
    /// Whether the agency itself goes on under another code, and no other took over.
    pub renumbered: bool,
    /// The first day on which it is no longer forwarded: the earliest end of grace on the way.
    pub grace_until: Date,
    /// The code to write from now on, if the agency reached has one in force.
    pub code: Option<AgencyCode>,
}

/// Where the codes of an agency lead on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heir {
    /// It goes on itself, or one successor does. `grace_until` is the earliest end on the way, `None` when some
    /// step has no grace.
    One {
        agency: AgencyId,
        grace_until: Option<Date>,
    },
    /// Several took over.
    Several {
        among: Vec<AgencyId>,
        grace_until: Option<Date>,
    },
    /// Nobody did.
    None,
}

impl Agency {
    /// The succession in force on a day.
    #[must_use]
    pub fn succession(&self, on: Date) -> Option<&Succession> {
        self.successions.iter().rfind(|row| row.on <= on)
    }

    /// Whether it ended by a day: somebody took over, or it has no code in force and will get none.
    #[must_use]
    pub fn has_ended(&self, on: Date) -> bool {
        self.succession(on).is_some() || self.codes.iter().all(|row| row.state(on) == CodeState::Closed)
    }
}

impl Directory {
    /// Follows the successions of an agency to the one that has its tasks on a day.
    pub(crate) fn heir(&self, agency: &Agency, on: Date) -> Heir {
        let mut at = agency;
        let mut grace: Option<Date> = None;
        for hop in 0..Succession::MAX_HOPS {
            let Some(step) = at.succession(on) else {
                return match at.code(on) {
                    Some(_) => Heir::One {
                        agency: at.id,
                        grace_until: grace,
                    },
                    None => Heir::None,
                };
            };
            grace = match (hop, grace, step.grace_until) {
                (0, _, first) => first,
                (_, Some(before), Some(then)) => Some(before.min(then)),
                _ => None,
            };
            match step.to.as_slice() {
                [] => return Heir::None,
                [one] => match self.agency(*one) {
                    Some(next) => at = next,
                    None => return Heir::None,
                },
                several => {
                    return Heir::Several {
                        among: several.to_vec(),
                        // A split has its own reading of an absent end.
                        grace_until: step.grace_until,
                    };
                }
            }
        }
        Heir::None
    }

    /// The one agency that answers today for a code as written, closed or not, whatever its grace: the agency
    /// itself, or its one successor. An agency that was split, or dissolved, answers for itself.
    #[must_use]
    pub fn answers_for(&self, agency: AgencyId, on: Date) -> AgencyId {
        match self.agency(agency).map(|known| self.heir(known, on)) {
            Some(Heir::One { agency, .. }) => agency,
            _ => agency,
        }
    }

    /// The agencies that took over from one by a day: none, one, or all of a split.
    #[must_use]
    pub fn successors(&self, agency: AgencyId, on: Date) -> Vec<AgencyId> {
        match self.agency(agency).map(|known| self.heir(known, on)) {
            Some(Heir::One { agency: heir, .. }) if heir != agency => vec![heir],
            Some(Heir::Several { among, .. }) => among,
            _ => Vec::new(),
        }
    }

    /// All agencies an agency took over from by a day, directly or through others, ascending; those of a split
    /// too. At most [`Succession::MAX_PREDECESSORS`], the nearest first to be kept.
    #[must_use]
    pub fn predecessors(&self, agency: AgencyId, on: Date) -> Vec<AgencyId> {
        let mut found = BTreeSet::new();
        let mut open = vec![agency];
        while let Some(next) = open.pop() {
            for before in self.took_over_from(next) {
                let began = self
                    .agency(*before)
                    .and_then(|known| known.succession(on))
                    .is_some_and(|step| step.to.contains(&next));
                if began
                    && *before != agency
                    && found.len() < Succession::MAX_PREDECESSORS
                    && found.insert(*before)
                {
                    open.insert(0, *before);
                }
            }
        }
        found.into_iter().collect()
    }

    /// The parties under which the ledger may have filed what an agency is to answer for: its predecessors. Other
    /// parties have none.
    #[must_use]
    pub fn formerly(&self, party: &Party, on: Date) -> Vec<Party> {
        match party {
            Party::Agency(id) => {
                let before = self.predecessors(*id, on);
                before.into_iter().map(Party::Agency).collect()
            }
            Party::Outside(_) | Party::Unresolved(_) => Vec::new(),
        }
    }

    /// The party that answers today for a code as written, in statuses and recalls: grace periods do not count.
    /// For a code in force, outside or unknown it is the party of [`Self::resolve`].
    #[must_use]
    pub fn party_of(&self, raw: &str, on: Date) -> Party {
        match self.resolve(raw, on) {
            Resolution::Closed { agency, .. } | Resolution::Split { agency, .. } => {
                Party::Agency(self.answers_for(agency, on))
            }
            resolution => resolution.party(raw),
        }
    }

    /// The party in whose name a system writes a code on a day, if it may: the agency that answers for the code,
    /// when the system serves it; else the closed agency itself, as long as its own system still speaks for it
    /// or one of its successors' systems does.
    #[must_use]
    pub fn sender(&self, raw: &str, system: &SystemId, on: Date) -> Option<Party> {
        let party = self.party_of(raw, on);
        if self.serves(system, &party, on) {
            return Some(party);
        }
        let code = AgencyCode::parse(raw).ok()?;
        let own = self.find_code(&code)?;
        own.code_state(&code, on)
            .filter(|state| *state == CodeState::Closed)?;
        let own_party = Party::Agency(own.id);
        let successors = self.successors(own.id, on);
        let by_successor = || {
            let mut parties = successors.iter().map(|id| Party::Agency(*id));
            successors.len() > 1 && parties.any(|heir| self.serves(system, &heir, on))
        };
        (own.assigned(on) == Some(system) || by_successor()).then_some(own_party)
    }

    /// As [`Self::sender`], for what speaks of earlier documents: statuses, recalls, updates. There the system that
    /// served an agency on the last day of a closed code may still write that code: it has the documents.
    #[must_use]
    pub fn sender_of_old(&self, raw: &str, system: &SystemId, on: Date) -> Option<Party> {
        self.sender(raw, system, on).or_else(|| {
            let code = AgencyCode::parse(raw).ok()?;
            let own = self.find_code(&code)?;
            let row = own.codes.iter().find(|row| row.code == code)?;
            let last = row.valid.to.filter(|to| *to <= on)?.yesterday().ok()?;
            (self.system_of(&Party::Agency(own.id), last) == Some(system)).then_some(Party::Agency(own.id))
        })
    }

    /// The parties under which the ledger may have filed what a party, writing by a system, speaks of: those before
    /// it; and for an agency that was split, those of its successors that the system serves, as what waited for it
    /// went to one of them.
    #[must_use]
    pub fn filed_under(&self, party: &Party, system: &SystemId, on: Date) -> Vec<Party> {
        let mut parties = self.formerly(party, on);
        if let Party::Agency(id) = party {
            let heirs = self.successors(*id, on).into_iter().map(Party::Agency);
            parties.extend(heirs.filter(|heir| self.serves(system, heir, on)));
        }
        parties
    }

    /// The system to which answers for a party go on a day: of the one agency that answers for it, else its own.
    #[must_use]
    pub fn answers_to(&self, party: &Party, on: Date) -> Option<&SystemId> {
        let heir = match party {
            Party::Agency(id) => &Party::Agency(self.answers_for(*id, on)),
            other => other,
        };
        self.system_of(heir, on).or_else(|| self.system_of(party, on))
    }
}
