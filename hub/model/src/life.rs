//! The life of a document at one recipient, as tables: state × event, computed by the transitions themselves.
//!
//! Printed by `truc document states`; a test compares the tables with the format's own (edXML, life cycle per
//! document and recipient).

use jiff::Timestamp;
use serde::Serialize;

use crate::change::{Answered, ChangeOrder, ChangeState, Ordered};
use crate::delivery::{NoTransition, ParkCause, TransportState, TransportStateName, UndeliverableCause};
use crate::status::{Applied, BusinessState, StatusCode};
use crate::withdraw::{WithdrawCause, WithdrawProof};

/// One table: rows are states, columns events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifeTable {
    /// `transport`, `business`, `overlay`, `after-the-end`.
    pub name: &'static str,
    /// Vietnamese title.
    pub title_vi: &'static str,
    /// The events.
    pub events: Vec<&'static str>,
    /// The states.
    pub rows: Vec<LifeRow>,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LifeRow {
    /// Its word.
    pub state: &'static str,
    /// Its Vietnamese label.
    pub vi: &'static str,
    /// Whether nothing moves it any more.
    pub end: bool,
    /// What each event does, in the order of [`LifeTable::events`].
    pub cells: Vec<LifeCell>,
}

/// What an event does to a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LifeCell {
    /// The state after it; the same when it stays.
    pub to: &'static str,
    /// How.
    pub how: LifeMark,
}

/// How an event meets a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LifeMark {
    /// It moves.
    Moves,
    /// It moves, and the steps in between were not reported.
    Skips,
    /// It moves against expectation: worth a warning.
    MovesOddly,
    /// The same step again.
    Repeated,
    /// An older step that arrives afterwards: recorded.
    Late,
    /// It does not fit: recorded, warned of.
    Odd,
    /// The recipient has nothing left that this could change: left out, warned of.
    Skipped,
    /// Recorded, passed on, not applied.
    Recorded,
    /// It does not happen here: recorded at most, nothing moves.
    None,
}

impl LifeMark {
    /// The sign in printed tables.
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Moves => "✓",
            Self::Skips => "✓*",
            Self::MovesOddly => "✓!",
            Self::Repeated => "dup",
            Self::Late => "late",
            Self::Odd => "warn",
            Self::Skipped => "skip",
            Self::Recorded => "rec",
            Self::None => "–",
        }
    }
}

/// All tables.
#[must_use]
pub fn tables() -> Vec<LifeTable> {
    vec![transport(), business(), overlay(), after_the_end()]
}

/// A transition of the transport state.
type Go = fn(TransportState) -> Result<TransportState, NoTransition>;

/// What happens to a message on its way.
const TRANSPORT_EVENTS: [(&str, Go); 8] = [
    ("confirmed", |state| state.forwarded(NOW, 1)),
    ("taken", |state| state.taken(NOW)),
    ("declined", |state| {
        state.refused(NOW, String::new(), String::new())
    }),
    ("withdrawn", |state| {
        state.withdrawn(NOW, WithdrawCause::Recalled, WithdrawProof::NeverLeft)
    }),
    ("resend", |state| state.rescheduled(NOW)),
    ("park", |state| state.parked(NOW, ParkCause::Operator)),
    ("release", |state| state.released(NOW)),
    ("close", |state| state.closed(NOW)),
];

/// The tables do not depend on it.
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn transport() -> LifeTable {
    let row = |name: TransportStateName| {
        let cells = TRANSPORT_EVENTS.map(|(_, go)| match go(one(name)) {
            Ok(to) => LifeCell {
                to: to.name().as_str(),
                how: LifeMark::Moves,
            },
            Err(_) => LifeCell {
                to: name.as_str(),
                how: LifeMark::None,
            },
        });
        LifeRow {
            state: name.as_str(),
            vi: name.label_vi(),
            end: one(name).is_final(),
            cells: cells.to_vec(),
        }
    };
    LifeTable {
        name: "transport",
        title_vi: "Trạng thái vận chuyển",
        events: TRANSPORT_EVENTS.map(|(word, _)| word).to_vec(),
        rows: TransportStateName::ALL.map(row).to_vec(),
    }
}

/// A state of this name.
fn one(name: TransportStateName) -> TransportState {
    let (at, since) = (NOW, NOW);
    match name {
        TransportStateName::Scheduled => TransportState::Scheduled { since },
        TransportStateName::Forwarded => TransportState::Forwarded { at, attempt: 1 },
        TransportStateName::Taken => TransportState::Taken { at },
        TransportStateName::Refused => TransportState::Refused {
            at,
            code: String::new(),
            reason: String::new(),
        },
        TransportStateName::Withdrawn => TransportState::Withdrawn {
            at,
            cause: WithdrawCause::Recalled,
            proof: WithdrawProof::NeverLeft,
        },
        TransportStateName::Undeliverable => TransportState::Undeliverable {
            at,
            cause: UndeliverableCause::UnknownCode,
        },
        TransportStateName::Parked => TransportState::Parked {
            since,
            cause: ParkCause::Operator,
        },
    }
}

/// 01 to 06.
const STEPS: [StatusCode; 6] = [
    StatusCode::Arrived,
    StatusCode::Rejected,
    StatusCode::Accepted,
    StatusCode::Assigned,
    StatusCode::Processing,
    StatusCode::Finished,
];

fn business() -> LifeTable {
    let row = |state: BusinessState| LifeRow {
        state: state.as_str(),
        vi: state.label_vi(),
        end: false,
        cells: STEPS.map(|code| applied(state, state.apply(code))).to_vec(),
    };
    LifeTable {
        name: "business",
        title_vi: "Trạng thái nghiệp vụ",
        events: STEPS.map(StatusCode::digits).to_vec(),
        rows: BusinessState::ALL.map(row).to_vec(),
    }
}

const fn applied(state: BusinessState, applied: Applied) -> LifeCell {
    let (to, how) = match applied {
        Applied::Moved { to, odd: true, .. } => (to, LifeMark::MovesOddly),
        Applied::Moved {
            to, skipped: true, ..
        } => (to, LifeMark::Skips),
        Applied::Moved { to, .. } => (to, LifeMark::Moves),
        Applied::Duplicate => (state, LifeMark::Repeated),
        Applied::Late => (state, LifeMark::Late),
        Applied::Odd => (state, LifeMark::Odd),
        Applied::Ended => (state, LifeMark::Recorded),
        Applied::Overlay => (state, LifeMark::None),
    };
    LifeCell { to: to.as_str(), how }
}

fn overlay() -> LifeTable {
    let row = |state: ChangeState| {
        let orders = ChangeOrder::ALL.map(|order| {
            let (to, how) = match state.ordered(order) {
                Ordered::Moved(to) => (to, LifeMark::Moves),
                Ordered::Repeated => (state, LifeMark::Repeated),
                Ordered::Skipped => (state, LifeMark::Skipped),
                Ordered::Stays => (state, LifeMark::Recorded),
            };
            LifeCell { to: to.as_str(), how }
        });
        let answers = [StatusCode::ChangeAgreed, StatusCode::ChangeRefused].map(|code| {
            let (to, how) = match state.answered(code) {
                Answered::Moved { to, odd: false } => (to, LifeMark::Moves),
                Answered::Moved { to, odd: true } => (to, LifeMark::MovesOddly),
                Answered::Odd => (state, LifeMark::Odd),
            };
            LifeCell { to: to.as_str(), how }
        });
        LifeRow {
            state: state.as_str(),
            vi: state.label_vi(),
            end: state.is_end(),
            cells: orders.into_iter().chain(answers).collect(),
        }
    };
    LifeTable {
        name: "overlay",
        title_vi: "Yêu cầu thu hồi, cập nhật, thay thế",
        events: ChangeOrder::ALL
            .map(ChangeOrder::as_str)
            .into_iter()
            .chain(["15", "16"])
            .collect(),
        rows: ChangeState::ALL.map(row).to_vec(),
    }
}

fn after_the_end() -> LifeTable {
    let ends = ChangeState::ALL.into_iter().filter(|state| state.is_end());
    let rows = ends.map(|state| LifeRow {
        state: state.as_str(),
        vi: state.label_vi(),
        end: true,
        cells: STEPS
            .map(|code| {
                let business = BusinessState::Arrived;
                LifeCell {
                    to: state.as_str(),
                    how: applied(business, business.apply_under(state, code)).how,
                }
            })
            .to_vec(),
    });
    LifeTable {
        name: "after-the-end",
        title_vi: "Sau khi đã thu hồi hoặc thay thế",
        events: STEPS.map(StatusCode::digits).to_vec(),
        rows: rows.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str) -> LifeTable {
        tables().into_iter().find(|table| table.name == name).unwrap()
    }

    fn cell(name: &str, state: &str, event: &str) -> (&'static str, &'static str) {
        let table = table(name);
        let row = table.rows.iter().find(|row| row.state == state).unwrap();
        let place = table.events.iter().position(|word| *word == event).unwrap();
        (row.cells[place].to, row.cells[place].how.sign())
    }

    /// The table of the format, as it stands there: its states, its signs.
    const BUSINESS: &str = "
        DELIVERED  | ✓    | ✓*   | ✓*              | ✓*      | ✓*                    | ✓*
        ARRIVED    | dup  | ✓    | ✓               | ✓*      | ✓*                    | ✓*
        REFUSED    | late | dup  | ✓ with warning  | warn    | warn                  | warn
        ACCEPTED   | late | warn | dup             | ✓       | ✓                     | ✓
        ASSIGNED   | late | warn | late            | ✓ again | ✓                     | ✓
        PROCESSING | late | warn | late            | late    | dup                   | ✓
        DONE       | late | warn | late            | late    | late (reopened: warn) | dup";

    #[test]
    fn the_business_table_is_the_formats() {
        let names = [
            ("DELIVERED", "unreported"),
            ("ARRIVED", "arrived"),
            ("REFUSED", "rejected"),
            ("ACCEPTED", "accepted"),
            ("ASSIGNED", "assigned"),
            ("PROCESSING", "processing"),
            ("DONE", "done"),
        ];
        let mut compared = 0;
        for line in BUSINESS.lines().filter(|line| line.contains('|')) {
            let mut cells = line.split('|').map(str::trim);
            let theirs = cells.next().unwrap();
            let ours = names.iter().find(|(name, _)| *name == theirs).unwrap().1;
            for (code, expect) in STEPS.into_iter().zip(cells) {
                let sign = cell("business", ours, code.digits()).1;
                let expect = match expect {
                    "✓ with warning" => "✓!",
                    "✓ again" => "✓",
                    "late (reopened: warn)" => "warn",
                    other => other,
                };
                assert_eq!(sign, expect, "{theirs} {code}");
                compared += 1;
            }
        }
        assert_eq!(compared, 42);
    }

    /// The lines of the format about what lies over it, one by one.
    #[test]
    fn the_overlay_is_the_formats() {
        // CHANGE_ASKED by a recall, an update or 13, from any state.
        assert_eq!(cell("overlay", "none", "recall"), ("recall-asked", "✓"));
        assert_eq!(cell("overlay", "none", "take-back"), ("recall-asked", "✓"));
        assert_eq!(cell("overlay", "none", "update"), ("update-asked", "✓"));
        // 15 on a recall or 13: withdrawn, an end; later 01-06 are recorded, not applied.
        assert_eq!(cell("overlay", "recall-asked", "15"), ("withdrawn", "✓"));
        // 15 on an update: back, with a new revision. 16: back.
        assert_eq!(cell("overlay", "update-asked", "15"), ("update-agreed", "✓"));
        assert_eq!(cell("overlay", "update-asked", "16"), ("update-refused", "✓"));
        assert_eq!(cell("overlay", "recall-asked", "16"), ("recall-refused", "✓"));
        // Replaced by type 3: an end.
        for state in [
            "none",
            "update-asked",
            "update-agreed",
            "update-refused",
            "recall-refused",
        ] {
            assert_eq!(
                cell("overlay", state, "replacement"),
                ("replaced", "✓"),
                "{state}"
            );
        }
        let ends: Vec<&str> = table("overlay")
            .rows
            .iter()
            .filter(|row| row.end)
            .map(|row| row.state)
            .collect();
        assert_eq!(ends, ["withdrawn", "replaced"]);
        for row in table("after-the-end").rows {
            assert!(
                row.cells.iter().all(|cell| cell.how == LifeMark::Recorded),
                "{row:?}"
            );
        }
        for code in ["15", "16"] {
            for end in &ends {
                assert_eq!(cell("overlay", end, code), (*end, "warn"));
            }
        }
    }

    /// QUEUED is ours scheduled and forwarded, DELIVERED taken (names of transport are the hub's).
    #[test]
    fn the_way_is_the_formats() {
        assert_eq!(cell("transport", "scheduled", "confirmed"), ("forwarded", "✓"));
        assert_eq!(cell("transport", "forwarded", "taken"), ("taken", "✓"));
        // Still queued when a recall or 13 comes: withdrawn before delivery.
        for state in ["scheduled", "forwarded", "parked"] {
            assert_eq!(cell("transport", state, "withdrawn"), ("withdrawn", "✓"));
        }
        for state in ["taken", "refused", "withdrawn", "undeliverable"] {
            for (event, _) in TRANSPORT_EVENTS {
                assert_eq!(cell("transport", state, event), (state, "–"), "{state} {event}");
            }
        }
        assert_eq!(cell("transport", "parked", "release"), ("scheduled", "✓"));
        assert_eq!(cell("transport", "parked", "close"), ("undeliverable", "✓"));
    }
}
