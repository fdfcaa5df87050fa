//! Time limits follow from how a recipient stands: whoever moves it, here its limits begin and end.
//!
//! - Taken, and nothing reported: 01 is expected (arrival).
//! - Taken, and neither accepted nor refused: 02 or 03 is expected (acceptance).
//! - Taken, and a recall or update asked: 15 or 16 is expected (answer). While a recall is asked nothing else is:
//!   nobody is to accept what its sender wants back.
//! - Withdrawn, replaced, or not taken: nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use truc_model::{BusinessState, ChangeState, DocumentUid, LimitKind, Operation, TransportState, Turn};

use crate::error::LedgerError;
use crate::event::Fact;
use crate::limit::{LIMITS_MAX, LimitChanges, LimitEnd, LimitKey, LimitRow, LimitTold, is_to_be_accepted};
use crate::rows::{DocumentRow, RecipientRow};
use crate::rules::work::Work;

/// What is expected of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expected {
    arrival: bool,
    acceptance: bool,
    /// What waits for its answer. Another order is another limit.
    answer: Option<ChangeState>,
}

impl Expected {
    pub(super) fn of(row: &RecipientRow) -> Self {
        let taken = matches!(row.state, TransportState::Taken { .. }) && !row.change.is_end();
        let asked = matches!(row.change, ChangeState::RecallAsked | ChangeState::UpdateAsked);
        let wanted = taken && row.change != ChangeState::RecallAsked;
        let unreported = row.business == BusinessState::Unreported;
        Self {
            arrival: wanted && unreported,
            acceptance: wanted && (unreported || row.business == BusinessState::Arrived),
            answer: (taken && asked).then_some(row.change),
        }
    }

    /// Limits that end and limits that begin on the way to `after`.
    fn towards(self, after: Self) -> impl Iterator<Item = (LimitKind, bool, bool)> {
        let answer = (self.answer.is_some(), after.answer.is_some());
        let other = self.answer != after.answer;
        [
            (
                LimitKind::Arrival,
                self.arrival && !after.arrival,
                !self.arrival && after.arrival,
            ),
            (
                LimitKind::Acceptance,
                self.acceptance && !after.acceptance,
                !self.acceptance && after.acceptance,
            ),
            (LimitKind::Answer, answer.0 && other, answer.1 && other),
        ]
        .into_iter()
        .filter(|(_, ends, begins)| *ends || *begins)
    }
}

/// Limits of a batch.
#[derive(Debug, Default)]
pub(super) struct Limits {
    ended: BTreeSet<(DocumentUid, u32, LimitKind)>,
    begun: BTreeSet<(DocumentUid, u32, LimitKind)>,
    told: Vec<(LimitKey, u8)>,
    gone: Vec<LimitKey>,
    /// Rows that commands name.
    rows: HashMap<LimitKey, LimitRow>,
}

impl Limits {
    /// Limits that were told of and are settled in this batch.
    pub(super) fn gone(&self) -> &[LimitKey] {
        &self.gone
    }

    /// A recipient moved.
    pub(super) fn follow(&mut self, document: DocumentUid, position: u32, before: Expected, after: Expected) {
        for (kind, ends, begins) in before.towards(after) {
            let key = (document, position, kind);
            // What began in this batch was never there.
            if ends && !self.begun.remove(&key) {
                self.ended.insert(key);
            }
            if begins {
                self.begun.insert(key);
            }
        }
    }

    pub(super) fn load(&mut self, row: LimitRow) {
        self.rows.insert(row.key, row);
    }
}

/// What the batch changed so far.
pub(super) fn take(work: &mut Work) -> LimitChanges {
    let now = work.now;
    let limits = std::mem::take(&mut work.limits);
    let begun = limits.begun.iter();
    let begun = begun.filter_map(|(document, position, kind)| {
        let row = work.document(*document).ok()?;
        if *kind != LimitKind::Answer && !is_new_to(work, row, *position) {
            return None;
        }
        Some(LimitRow {
            key: LimitKey {
                document: *document,
                position: *position,
                kind: *kind,
                began: now,
            },
            urgency: row.facts.urgency,
            told: 0,
            ended: None,
        })
    });
    let ended = limits.ended.iter();
    let ended = ended.map(|(document, position, kind)| LimitEnd {
        document: *document,
        position: *position,
        kind: *kind,
        at: now,
    });
    LimitChanges {
        ended: ended.collect(),
        begun: begun.collect(),
        told: limits.told,
        gone: limits.gone,
    }
}

/// Whether the packet is a document to this recipient, and not only an order about one it has: an update is a
/// document to those it adds.
fn is_new_to(work: &Work, row: &DocumentRow, position: u32) -> bool {
    if row.facts.operation != Operation::Update {
        return is_to_be_accepted(row.facts.operation);
    }
    let Some(recipient) = work.recipients.at(row.uid, position) else {
        return false;
    };
    let Some(amended) = row.amends else {
        return true;
    };
    // Not loaded: then nobody asked for it in this batch, and an order is what it is for nearly all.
    let had = work.recipients(amended);
    !had.iter().any(|row| row.party == recipient.party)
}

/// Limits ran out: what was not told yet is told now, once. Gives how many were.
pub(super) fn told(work: &mut Work, told: &[LimitTold]) -> Result<usize, LedgerError> {
    let mut groups: BTreeMap<(DocumentUid, LimitKind, u8, Timestamp, Turn), BTreeSet<u32>> = BTreeMap::new();
    let mut count = 0;
    for one in told.iter().take(LIMITS_MAX) {
        let Some(row) = work.limits.rows.get_mut(&one.key) else {
            continue;
        };
        if row.ended.is_some() || row.told >= one.level {
            continue;
        }
        row.told = one.level;
        work.limits.told.push((one.key, one.level));
        let group = (one.key.document, one.key.kind, one.level, one.due, one.turn);
        groups.entry(group).or_default().insert(one.key.position);
        count += 1;
    }
    for ((document, limit, level, due, turn), recipients) in groups {
        work.record(Fact::LimitPassed {
            document,
            recipients: recipients.into_iter().collect(),
            limit,
            level,
            due,
            turn,
        })?;
    }
    Ok(count)
}

/// That these ended was told: their rows go. Those that still run stay.
pub(super) fn settled(work: &mut Work, keys: &[LimitKey]) {
    for key in keys.iter().take(LIMITS_MAX) {
        let ended = work.limits.rows.get(key).is_some_and(|row| row.ended.is_some());
        if ended {
            work.limits.rows.remove(key);
            work.limits.gone.push(*key);
        }
    }
}
