//! What an operator should know about a directory: ways that lead nowhere, or to two places.
//!
//! Certificates that expire are not here: what a certificate says is read elsewhere.

use std::collections::HashSet;

use jiff::civil::Date;
use truc_model::{AgencyId, Party, SystemId};

use crate::agency::Agency;
use crate::problem::{Problem, ProblemKind, Severity};
use crate::snapshot::Directory;
use crate::system::{System, SystemKind};

/// All findings about a directory on a day: systems first, then agencies by id.
#[must_use]
pub fn check(directory: &Directory, on: Date) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_systems(directory, on, &mut problems);
    for agency in directory.agencies() {
        let Some(code) = agency.code(on) else {
            // Closed, or not yet begun: nothing is sent to it.
            continue;
        };
        let found = format!("{} {code}", agency.id);
        if agency.succession(on).is_some() {
            problems.push(Problem::error(ProblemKind::EndedInForce, &found));
        }
        if let Some(system) = agency
            .assigned(on)
            .filter(|system| directory.system(system).is_none())
        {
            let kind = ProblemKind::SystemNotRegistered(system.clone());
            problems.push(Problem::error(kind, &found));
        } else if directory.system_of(&Party::Agency(agency.id), on).is_none() {
            problems.push(Problem::warning(ProblemKind::AgencyWithoutSystem, &found));
        }
        match agency.parent(on).map(|parent| directory.agency(parent)) {
            Some(None) => problems.push(Problem::error(ProblemKind::ParentMissing, &found)),
            Some(Some(parent)) if above_itself(directory, agency, parent, on) => {
                problems.push(Problem::error(ProblemKind::ParentLoop, &found));
            }
            _ => {}
        }
    }
    problems
}

fn check_systems(directory: &Directory, on: Date, problems: &mut Vec<Problem>) {
    let gateways: Vec<&System> = directory
        .systems()
        .filter(|system| system.kind == SystemKind::Gateway)
        .collect();
    let home: Vec<_> = directory
        .home()
        .iter()
        .filter(|row| row.valid.contains(on))
        .collect();
    if home.is_empty() && gateways.iter().any(|gateway| !gateway.prefixes.is_empty()) {
        problems.push(Problem::warning(ProblemKind::HomeMissing, ""));
    }
    for (place, gateway) in gateways.iter().enumerate() {
        let mut open = gateway
            .prefixes
            .iter()
            .filter(|row| row.valid.contains(on))
            .peekable();
        if open.peek().is_none() {
            let kind = ProblemKind::GatewayWithoutPrefix;
            problems.push(Problem::warning(kind, gateway.id.as_str()));
        }
        for row in open {
            let found = format!("{} {}", gateway.id, row.value);
            if home.iter().any(|own| own.value == row.value) {
                problems.push(Problem::warning(ProblemKind::PrefixAtHome, &found));
            }
            let same = |other: &&&System| {
                let mut rows = other.prefixes.iter();
                rows.any(|theirs| theirs.value == row.value && theirs.valid.contains(on))
            };
            if let Some(first) = gateways[..place].iter().find(same) {
                let wins = first.id.clone();
                let kind = ProblemKind::PrefixOverlap { wins };
                problems.push(Problem::new(Severity::Error, kind, &found));
            }
        }
    }
    let serving: HashSet<&SystemId> = directory
        .agencies()
        .filter(|agency| !agency.has_ended(on))
        .filter_map(|agency| agency.assigned(on))
        .collect();
    for system in directory.systems() {
        if system.kind != SystemKind::Gateway && !serving.contains(&system.id) {
            let kind = ProblemKind::SystemServesNone;
            problems.push(Problem::warning(kind, system.id.as_str()));
        }
    }
}

/// Longest chain of parents that is followed; the law knows four levels.
const PARENTS_MAX: usize = 16;

fn above_itself(directory: &Directory, agency: &Agency, parent: &Agency, on: Date) -> bool {
    let mut above: Option<AgencyId> = Some(parent.id);
    for _ in 0..PARENTS_MAX {
        match above {
            None => return false,
            Some(id) if id == agency.id => return true,
            Some(id) => above = directory.agency(id).and_then(|agency| agency.parent(on)),
        }
    }
    // A chain this long is a loop that this agency hangs on, or no chain of offices.
    above.is_some()
}
