//! Business statuses (*mã trạng thái*) and the state of (document, recipient) that they move.
//!
//! The table is that of the format's life cycle: every valid status is passed on to the other party
//! once, whatever the table says; the table only decides which state is shown. A late or odd status is
//! recorded and never moves a state backwards. See `docs/reference/statuses/`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::change::ChangeState;

/// `StatusCode`, two digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum StatusCode {
    /// 01 *đã đến*: the recipient's software has it, the clerk has not handled it.
    Arrived,
    /// 02 *từ chối tiếp nhận*: returned, with the reason in Description.
    Rejected,
    /// 03 *đã tiếp nhận*: entered in the incoming register.
    Accepted,
    /// 04 *phân công*: someone was told to handle it.
    Assigned,
    /// 05 *đang xử lý*.
    Processing,
    /// 06 *hoàn thành*.
    Finished,
    /// 13 *lấy lại*: the sender asks for the document back. The only one that runs sender → recipient.
    TakeBack,
    /// 15 *đồng ý cập nhật, lấy lại*.
    ChangeAgreed,
    /// 16 *từ chối cập nhật, lấy lại*.
    ChangeRefused,
}

/// Not one of the nine codes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of 01, 02, 03, 04, 05, 06, 13, 15, 16")]
pub struct NotAStatus;

impl StatusCode {
    /// All nine, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Arrived,
        Self::Rejected,
        Self::Accepted,
        Self::Assigned,
        Self::Processing,
        Self::Finished,
        Self::TakeBack,
        Self::ChangeAgreed,
        Self::ChangeRefused,
    ];

    /// The two digits.
    #[must_use]
    pub const fn digits(self) -> &'static str {
        match self {
            Self::Arrived => "01",
            Self::Rejected => "02",
            Self::Accepted => "03",
            Self::Assigned => "04",
            Self::Processing => "05",
            Self::Finished => "06",
            Self::TakeBack => "13",
            Self::ChangeAgreed => "15",
            Self::ChangeRefused => "16",
        }
    }

    /// From the two digits, exactly.
    ///
    /// # Errors
    /// [`NotAStatus`] for anything else; `1` for `01` is the tolerant reader's to mend.
    pub fn from_digits(text: &str) -> Result<Self, NotAStatus> {
        Self::ALL
            .into_iter()
            .find(|code| code.digits() == text)
            .ok_or(NotAStatus)
    }

    /// Vietnamese label, as clerks read it.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Arrived => "Đã đến",
            Self::Rejected => "Từ chối tiếp nhận",
            Self::Accepted => "Đã tiếp nhận",
            Self::Assigned => "Phân công",
            Self::Processing => "Đang xử lý",
            Self::Finished => "Hoàn thành",
            Self::TakeBack => "Lấy lại",
            Self::ChangeAgreed => "Đồng ý cập nhật/lấy lại",
            Self::ChangeRefused => "Từ chối cập nhật/lấy lại",
        }
    }

    /// Whether the document's sender reports it (13) and not its recipient (the rest).
    #[must_use]
    pub const fn is_from_sender(self) -> bool {
        matches!(self, Self::TakeBack)
    }

    /// Whether Description must give a reason (02, 13, 16).
    #[must_use]
    pub const fn needs_reason(self) -> bool {
        matches!(self, Self::Rejected | Self::TakeBack | Self::ChangeRefused)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.digits())
    }
}

impl TryFrom<String> for StatusCode {
    type Error = NotAStatus;

    fn try_from(text: String) -> Result<Self, NotAStatus> {
        Self::from_digits(&text)
    }
}

impl From<StatusCode> for String {
    fn from(code: StatusCode) -> Self {
        code.digits().to_owned()
    }
}

/// What the recipient has done with the document, as far as it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BusinessState {
    /// Nothing reported yet.
    #[default]
    Unreported,
    /// After 01.
    Arrived,
    /// After 02.
    Rejected,
    /// After 03.
    Accepted,
    /// After 04.
    Assigned,
    /// After 05.
    Processing,
    /// After 06.
    Done,
}

impl BusinessState {
    /// All, in order.
    pub const ALL: [Self; 7] = [
        Self::Unreported,
        Self::Arrived,
        Self::Rejected,
        Self::Accepted,
        Self::Assigned,
        Self::Processing,
        Self::Done,
    ];

    /// The word in tables, JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreported => "unreported",
            Self::Arrived => "arrived",
            Self::Rejected => "rejected",
            Self::Accepted => "accepted",
            Self::Assigned => "assigned",
            Self::Processing => "processing",
            Self::Done => "done",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Unreported => "Chưa phản hồi",
            Self::Arrived => "Đã đến",
            Self::Rejected => "Từ chối tiếp nhận",
            Self::Accepted => "Đã tiếp nhận",
            Self::Assigned => "Phân công",
            Self::Processing => "Đang xử lý",
            Self::Done => "Hoàn thành",
        }
    }

    /// What a status code does to this state: the table of the life cycle.
    ///
    /// Codes 13, 15 and 16 leave it alone: they move the overlay ([`crate::ChangeState`]). When that has
    /// ended, nothing moves this state any more: see [`BusinessState::apply_under`].
    #[must_use]
    pub fn apply(self, code: StatusCode) -> Applied {
        use Applied::{Duplicate, Late, Moved, Odd, Overlay};
        use BusinessState as S;
        use StatusCode as C;
        let step = |to, skipped| Moved {
            to,
            skipped,
            odd: false,
        };
        match (self, code) {
            (_, C::TakeBack | C::ChangeAgreed | C::ChangeRefused) => Overlay,

            (S::Unreported, C::Arrived) => step(S::Arrived, false),
            (S::Unreported, C::Rejected) => step(S::Rejected, true),
            (S::Unreported, C::Accepted) => step(S::Accepted, true),
            (S::Unreported | S::Arrived, C::Assigned) => step(S::Assigned, true),
            (S::Unreported | S::Arrived, C::Processing) => step(S::Processing, true),
            (S::Unreported | S::Arrived, C::Finished) => step(S::Done, true),

            (S::Arrived, C::Rejected) => step(S::Rejected, false),
            (S::Arrived, C::Accepted) => step(S::Accepted, false),

            // The clerk changed their mind: taken after all, worth a warning.
            (S::Rejected, C::Accepted) => Moved {
                to: S::Accepted,
                skipped: false,
                odd: true,
            },
            (S::Rejected, C::Assigned | C::Processing | C::Finished) => Odd,

            (S::Accepted | S::Assigned, C::Assigned) => step(S::Assigned, false),
            (S::Accepted | S::Assigned, C::Processing) => step(S::Processing, false),
            (S::Accepted | S::Assigned | S::Processing, C::Finished) => step(S::Done, false),

            (S::Arrived, C::Arrived)
            | (S::Rejected, C::Rejected)
            | (S::Accepted, C::Accepted)
            | (S::Processing, C::Processing)
            | (S::Done, C::Finished) => Duplicate,

            (_, C::Rejected) => Odd,
            (S::Done, C::Processing) => Odd,
            (_, C::Arrived | C::Accepted | C::Assigned) => Late,
        }
    }

    /// [`BusinessState::apply`] under an overlay: once that has ended, 01–06 are not applied.
    #[must_use]
    pub fn apply_under(self, change: ChangeState, code: StatusCode) -> Applied {
        match self.apply(code) {
            Applied::Overlay => Applied::Overlay,
            _ if change.is_end() => Applied::Ended,
            applied => applied,
        }
    }
}

/// What a status did to the business state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "effect", rename_all = "kebab-case")]
pub enum Applied {
    /// The state moved.
    Moved {
        /// The new state.
        to: BusinessState,
        /// Steps in between were never reported ("not reported" in the trace).
        skipped: bool,
        /// It moved, but against expectation: warn.
        odd: bool,
    },
    /// The same step again: nothing moves.
    Duplicate,
    /// An older step that arrives afterwards: recorded, nothing moves.
    Late,
    /// A step that does not fit (refused after accepting, reopened after done): recorded, warned of.
    Odd,
    /// A code of the overlay: see [`crate::ChangeState`].
    Overlay,
    /// The document was withdrawn or replaced: recorded and passed on, not applied.
    Ended,
}

impl Applied {
    /// The word in receipts and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Moved { .. } => "moved",
            // The same step again under other bytes: an older step, as far as the state is concerned.
            Self::Duplicate | Self::Late => "late",
            Self::Odd => "odd",
            Self::Overlay => "overlay",
            Self::Ended => "ended",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the life cycle, row by row: state, then the effect of 01 … 06.
    /// `>` moves, `*` moves and skips, `!` moves oddly, `d` duplicate, `l` late, `w` odd (warned of).
    const TABLE: [(&str, &str); 7] = [
        ("unreported", ">*****"),
        ("arrived", "d>>***"),
        ("rejected", "ld!www"),
        ("accepted", "lwd>>>"),
        ("assigned", "lwl>>>"),
        ("processing", "lwlld>"),
        ("done", "lwllwd"),
    ];

    #[test]
    fn the_table_of_the_life_cycle() {
        for (state, row) in TABLE {
            let state = BusinessState::from_word(state).unwrap();
            let found: String = StatusCode::ALL[..6]
                .iter()
                .map(|code| match state.apply(*code) {
                    Applied::Moved { odd: true, .. } => '!',
                    Applied::Moved { skipped: true, .. } => '*',
                    Applied::Moved { .. } => '>',
                    Applied::Duplicate => 'd',
                    Applied::Late => 'l',
                    Applied::Odd => 'w',
                    Applied::Overlay => 'o',
                    Applied::Ended => 'e',
                })
                .collect();
            assert_eq!(found, row, "{}", state.as_str());
            for code in &StatusCode::ALL[6..] {
                assert_eq!(state.apply(*code), Applied::Overlay);
            }
        }
    }

    #[test]
    fn after_the_end_nothing_is_applied() {
        for change in ChangeState::ALL {
            for state in BusinessState::ALL {
                for code in StatusCode::ALL {
                    let under = state.apply_under(change, code);
                    match (change.is_end(), state.apply(code)) {
                        (_, Applied::Overlay) => assert_eq!(under, Applied::Overlay),
                        (true, _) => assert_eq!(under, Applied::Ended),
                        (false, applied) => assert_eq!(under, applied),
                    }
                }
            }
        }
    }

    #[test]
    fn no_state_steps_back() {
        let rank = |state: BusinessState| BusinessState::ALL.iter().position(|s| *s == state);
        for state in BusinessState::ALL {
            for code in StatusCode::ALL {
                if let Applied::Moved { to, .. } = state.apply(code) {
                    assert!(rank(to) >= rank(state), "{state:?} {code} {to:?}");
                }
            }
        }
    }

    #[test]
    fn codes_read_back() {
        for code in StatusCode::ALL {
            assert_eq!(StatusCode::from_digits(code.digits()), Ok(code));
        }
        for bad in ["1", "07", "14", "999", "", "done"] {
            assert_eq!(StatusCode::from_digits(bad), Err(NotAStatus));
        }
    }
}
