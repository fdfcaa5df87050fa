//! Time limits: looks which ran out and has each level told once, and has it told when they are met.
//!
//! The ledger knows since when a limit runs, the calendar of today when it is due. What is told is an event of the
//! ledger and, in the same commit, an alert; both end here too. Several hubs on one ledger may look at once: whatever
//! one of them told, the ledger passes over for the others.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use tokio::sync::watch;
use truc_calendar::{Deadlines, Standing};
use truc_ledger::{LIMITS_MAX, Ledger, LedgerError, LimitLine, LimitQuery, LimitTold, SentLate};
use truc_model::{Clock, LimitKind, Party, Urgency};

use super::rules::Rules;
use crate::app::stopped;
use crate::telemetry::{Event, emit};

/// Most calls of one sort in one look; what is left comes with the next. Ten thousand limits at a time: more at once
/// would keep the ledger from its work.
pub const CALLS_MAX: usize = 20;

/// All urgencies, the most urgent first.
pub const URGENCIES: [Urgency; 5] = [
    Urgency::ExpressTimed,
    Urgency::Express,
    Urgency::VeryUrgent,
    Urgency::Urgent,
    Urgency::Normal,
];

/// The limits that run for recipients.
pub const RUNNING: [LimitKind; 3] = [LimitKind::Arrival, LimitKind::Acceptance, LimitKind::Answer];

/// The highest level that can have been told.
const TOLD_MAX: u8 = truc_calendar::Limit::LEVELS_MAX as u8;

/// What one look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Looked {
    /// Limits that were told of now.
    pub told: usize,
    /// Limits that were told of earlier and have ended.
    pub settled: usize,
}

/// Looks again and again.
pub struct Looker {
    /// Where limits run.
    pub ledger: Ledger,
    /// Whose time counts.
    pub clock: Arc<dyn Clock>,
    /// The rules in force, with calendar and limits.
    pub rules: watch::Receiver<Arc<Rules>>,
    /// How often.
    pub look_every: Duration,
}

impl Looker {
    /// Runs until `stop` says so.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut beat = tokio::time::interval(self.look_every);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                _ = beat.tick() => {}
            }
            let Some(deadlines) = self.rules.borrow().deadlines.clone() else {
                continue;
            };
            match look(&self.ledger, &deadlines, self.clock.now()).await {
                Ok(looked) if looked == Looked::default() => {}
                Ok(looked) => emit(Event::Limits { looked }),
                // It comes with the next look.
                Err(error) => emit(Event::LedgerUnavailable { error: &error }),
            }
        }
    }
}

/// Looks once: what ended is settled, what ran out is told.
///
/// # Errors
/// [`LedgerError::Store`]; what was told until then stays told.
pub async fn look(ledger: &Ledger, deadlines: &Deadlines, now: Timestamp) -> Result<Looked, LedgerError> {
    let settled = settle(ledger).await?;
    let mut told = 0;
    for kind in RUNNING {
        for urgency in URGENCIES {
            // From above: what passed several levels at once is told of the highest alone.
            for level in (1..=deadlines.levels(kind)).rev() {
                told += tell(ledger, deadlines, (kind, urgency, level), now).await?;
            }
        }
    }
    Ok(Looked { told, settled })
}

/// A step that is late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateStep {
    /// Which limit of whom.
    pub line: LimitLine,
    /// Since when it was due, how late it is, whose turn it is.
    pub standing: Standing,
}

/// Which late steps to list.
#[derive(Debug, Clone, Default)]
pub struct LateQuery {
    /// Only of this limit.
    pub kind: Option<LimitKind>,
    /// Only of documents this party sent or gets.
    pub party: Option<Party>,
    /// At most so many.
    pub max: usize,
}

/// What is late at `now`, the latest in working time first; and whether there is more.
///
/// # Errors
/// [`LedgerError::Store`].
pub async fn late(
    ledger: &Ledger,
    deadlines: &Deadlines,
    asked: &LateQuery,
    now: Timestamp,
) -> Result<(Vec<LateStep>, bool), LedgerError> {
    let mut queries = Vec::new();
    for kind in RUNNING {
        if asked.kind.is_some_and(|only| only != kind) {
            continue;
        }
        for urgency in URGENCIES {
            let Some(began_until) = deadlines.began_before(kind, urgency, 1, now) else {
                continue;
            };
            // Levels of a former file of limits may have been more.
            queries.extend((0..=TOLD_MAX).map(|told| LimitQuery {
                kind,
                urgency,
                told,
                began_until,
                party: asked.party.clone(),
                // One more than is asked for, to know whether there are more.
                max: asked.max.saturating_add(1),
            }));
        }
    }
    let lines = ledger.open_limits_of(&queries).await?;
    let mut late: Vec<LateStep> = lines
        .into_iter()
        .filter_map(|line| {
            let (key, urgency) = (line.limit.key, line.limit.urgency);
            let standing = deadlines.standing(key.kind, urgency, key.began, now)?;
            Some(LateStep { line, standing })
        })
        .collect();
    late.sort_by_key(|step| {
        (
            Reverse(step.standing.late_by),
            step.standing.due,
            step.line.limit.key,
        )
    });
    let more = late.len() > asked.max;
    late.truncate(asked.max);
    Ok((late, more))
}

/// Whether a document came later than it should have been sent. Judged by its date of issue: the packet does not
/// know the hour of signing.
#[must_use]
pub fn sent_late(
    deadlines: &Deadlines,
    urgency: Urgency,
    issued: Date,
    received_at: Timestamp,
) -> Option<SentLate> {
    let due = deadlines.sending_due(urgency, issued)?;
    (due < received_at).then(|| SentLate {
        due,
        late_by_min: deadlines
            .calendar()
            .working_time_between(due, received_at)
            .minutes(),
    })
}

async fn settle(ledger: &Ledger) -> Result<usize, LedgerError> {
    let mut settled = 0;
    for _ in 0..CALLS_MAX {
        let ended = ledger.ended_limits().await?;
        let found = ended.len();
        if found > 0 {
            ledger
                .limits_settled(ended.into_iter().map(|row| row.key).collect())
                .await?;
        }
        settled += found;
        if found < LIMITS_MAX {
            break;
        }
    }
    Ok(settled)
}

/// Tells of what has reached a level of which less was told so far.
async fn tell(
    ledger: &Ledger,
    deadlines: &Deadlines,
    (kind, urgency, level): (LimitKind, Urgency, u8),
    now: Timestamp,
) -> Result<usize, LedgerError> {
    let Some(began_until) = deadlines.began_before(kind, urgency, level, now) else {
        return Ok(0);
    };
    let mut count = 0;
    for told in (0..level).rev() {
        for _ in 0..CALLS_MAX {
            let query = LimitQuery {
                kind,
                urgency,
                told,
                began_until,
                party: None,
                max: LIMITS_MAX,
            };
            let lines = ledger.open_limits(&query).await?;
            let found = lines.len();
            let reached = lines.iter().filter_map(|line| {
                let standing = deadlines.standing(kind, urgency, line.limit.key.began, now)?;
                Some(LimitTold {
                    key: line.limit.key,
                    level: standing.level,
                    due: standing.due,
                    turn: standing.turn,
                })
            });
            if found > 0 {
                count += ledger.limits_told(reached.collect()).await?;
            }
            if found < LIMITS_MAX {
                break;
            }
        }
    }
    Ok(count)
}
