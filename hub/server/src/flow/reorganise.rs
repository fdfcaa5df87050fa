//! Reorganisations of agencies: who waits in the ledger for an agency that changed hands, where that goes, and the
//! move itself on the day.
//!
//! Beside the way of a document, not on it. The directory knows the days; on the first look of a day on which a
//! reorganisation begins, the hub moves what waits, in one transaction with the version of the directory that says
//! so: once, however many hubs look, and whenever they are started. What comes in meanwhile by an older version is
//! moved by the looks after it. The same looks follow a change of an agency's system by any other edit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use truc_directory::{Directory, Editor, Reorganisation};
use truc_ledger::{
    AtHome, DirectorySummary, Ledger, LedgerError, NewDirectory, PartyMove, Plan, PlannedRecipient,
    ReorganisationTold, Reorganise, Reorganised,
};
use truc_model::{AgencyId, ParkCause, Party, UndeliverableCause};

use super::route::planned_on;
use super::rules::Rules;
use crate::app::stopped;
use crate::telemetry::{Event, emit};

/// Who moves when nobody ordered it: the hub itself.
pub const HUB_WHO: &str = "truc";

/// How long after a new version of the directory, a new day or its own start a hub goes on looking: longer than any
/// hub keeps an older version in force.
pub const SETTLING: SignedDuration = SignedDuration::from_mins(10);

/// Where what waits for others goes on a day, by party and system.
///
/// Grace periods do not count: what waits was addressed when the code was in force. Who has no system stays where it
/// is, and so does who is only out: nobody knows better.
#[must_use]
pub fn moves(directory: &Directory, waiting: &[AtHome], on: Date) -> Vec<PartyMove> {
    let waiting = waiting.iter().filter(|row| row.at_home > 0);
    waiting
        .filter_map(|row| {
            let to = instead(directory, &row.party, on)?;
            let same = match &to.plan {
                Plan::Deliver { system } => *system == row.system && to.party == row.party,
                _ => false,
            };
            (!same).then(|| PartyMove {
                party: row.party.clone(),
                system: row.system.clone(),
                to,
            })
        })
        .collect()
}

fn instead(directory: &Directory, party: &Party, on: Date) -> Option<PlannedRecipient> {
    match party {
        Party::Agency(id) => of_agency(directory, *id, on),
        Party::Outside(code) => {
            let planned = planned_on(directory, code.as_str(), on);
            // A code that nobody routes any more stays with the gateway it was given to.
            matches!(planned.plan, Plan::Deliver { .. }).then_some(planned)
        }
        Party::Unresolved(_) => None,
    }
}

fn of_agency(directory: &Directory, id: AgencyId, on: Date) -> Option<PlannedRecipient> {
    let agency = directory.agency(id)?;
    let deliver = |heir: AgencyId| {
        let party = Party::Agency(heir);
        let system = directory.system_of(&party, on)?.clone();
        let code = directory.code_of(heir, on)?.to_string();
        let formerly = directory.formerly(&party, on);
        Some(PlannedRecipient {
            formerly,
            ..PlannedRecipient::new(code, party, Plan::Deliver { system })
        })
    };
    if agency.succession(on).is_none() {
        // It goes on: by another system, perhaps.
        return deliver(id);
    }
    let successors = directory.successors(id, on);
    if let [heir] = successors.as_slice() {
        return deliver(*heir);
    }
    let plan = match successors.len() {
        0 => Plan::Undeliverable(UndeliverableCause::ClosedCode),
        _ => Plan::Park(ParkCause::AmbiguousSuccessor),
    };
    let codes = successors.iter().filter_map(|heir| directory.code_of(*heir, on));
    let code = agency.codes.first()?.code.to_string();
    Some(PlannedRecipient {
        successors: codes.map(ToString::to_string).collect(),
        ..PlannedRecipient::new(code, Party::Agency(id), plan)
    })
}

/// The order that carries out what is due: saves `next`, in which it is marked, and moves what waits.
#[must_use]
pub fn due_order(
    expected_version: u64,
    next: &Directory,
    due: &[Reorganisation],
    waiting: &[AtHome],
    today: Date,
    summary: DirectorySummary,
    who: &str,
) -> Reorganise {
    Reorganise {
        directory: Some(NewDirectory {
            expected_version,
            version: next.version(),
            json: next.to_json(),
            who: who.to_owned(),
            summary,
        }),
        told: due.iter().map(|row| told(row, true)).collect(),
        moves: moves(next, waiting, today),
        who: who.to_owned(),
        why: why(due.iter(), next),
    }
}

/// A reorganisation as the ledger tells of it.
#[must_use]
pub fn told(row: &Reorganisation, due: bool) -> ReorganisationTold {
    ReorganisationTold {
        on: row.on,
        file: row.file,
        decision: row.decision.clone(),
        rows: row.rows,
        due,
    }
}

fn why<'a>(due: impl Iterator<Item = &'a Reorganisation>, directory: &Directory) -> String {
    let decisions: Vec<&str> = due.filter_map(|row| row.decision.as_deref()).collect();
    if decisions.is_empty() {
        format!("directory version {}", directory.version())
    } else {
        decisions.join("; ")
    }
}

/// Reorganisations whose day has come, and of which nothing was moved yet.
#[must_use]
pub fn due(directory: &Directory, today: Date) -> Vec<Reorganisation> {
    let rows = directory.reorganisations().iter();
    rows.filter(|row| !row.moved && row.on <= today)
        .cloned()
        .collect()
}

/// The part of a running hub that moves what waits.
pub struct Mover {
    /// The ledger.
    pub ledger: Ledger,
    /// The rules in force, with the directory and the day.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// How often to look.
    pub look_every: Duration,
}

impl Mover {
    /// Looks until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut beat = tokio::time::interval(self.look_every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut seen = Seen::default();
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                _ = beat.tick() => {}
            }
            let (directory, today) = {
                let rules = self.rules.borrow();
                (Arc::clone(&rules.directory), rules.today)
            };
            match look(&self.ledger, &directory, today, &mut seen).await {
                Ok(None) => {}
                Ok(Some(counts)) => emit(Event::Reorganised { counts }),
                // Another hub was first: the next look is on its version.
                Err(LedgerError::DirectoryMoved { .. } | LedgerError::DirectoryVersion { .. }) => {}
                Err(error) => emit(Event::LedgerUnavailable { error: &error }),
            }
        }
    }
}

/// One look, on a version of the directory and a day. Gives what was moved, `None` when there was nothing to do.
///
/// # Errors
/// [`LedgerError`]; the next look tries again. [`LedgerError::DirectoryMoved`] when another hub was first.
pub async fn look(
    ledger: &Ledger,
    directory: &Directory,
    today: Date,
    seen: &mut Seen,
) -> Result<Option<Reorganised>, LedgerError> {
    let due = due(directory, today);
    if due.is_empty() && !seen.is_restless(directory.version(), today, ledger.now()) {
        return Ok(None);
    }
    let waiting = ledger.at_home().await?;
    let order = if due.is_empty() {
        let moves = moves(directory, &waiting, today);
        if moves.is_empty() {
            return Ok(None);
        }
        let of_today = directory.reorganisations().iter();
        let mut of_today = of_today.filter(|row| row.moved && row.on <= today);
        Reorganise {
            directory: None,
            told: Vec::new(),
            moves,
            who: HUB_WHO.to_owned(),
            why: why(of_today.next_back().into_iter(), directory),
        }
    } else {
        let mut editor = Editor::new(directory);
        editor.mark_moved(today);
        let next = editor.finish();
        let summary = DirectorySummary::default();
        due_order(
            directory.version(),
            &next,
            &due,
            &waiting,
            today,
            summary,
            HUB_WHO,
        )
    };
    Ok(Some(ledger.reorganise(order).await?))
}

/// What a hub looked at, and since when it is so.
#[derive(Debug, Default)]
pub struct Seen {
    last: Option<(u64, Date, Timestamp)>,
}

impl Seen {
    /// Whether something changed lately.
    fn is_restless(&mut self, version: u64, today: Date, now: Timestamp) -> bool {
        match self.last {
            Some((known, day, since)) if known == version && day == today => {
                now.duration_since(since) < SETTLING
            }
            _ => {
                self.last = Some((version, today, now));
                true
            }
        }
    }
}

/// What waits, summed by where it goes: for previews.
#[must_use]
pub fn by_way<'a>(moves: &'a [PartyMove], waiting: &[AtHome]) -> Vec<(&'a PartyMove, u64)> {
    let counts: BTreeMap<(&Party, &truc_model::SystemId), u64> = waiting
        .iter()
        .map(|row| ((&row.party, &row.system), row.at_home))
        .collect();
    moves
        .iter()
        .map(|moving| {
            let count = counts.get(&(&moving.party, &moving.system)).copied();
            (moving, count.unwrap_or(0))
        })
        .collect()
}
