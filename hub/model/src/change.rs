//! The overlay on a (document, recipient): a recall, a take-back, an update or a replacement, and the answer.
//!
//! It lies over the business state ([`crate::BusinessState`]) and leaves it alone. Two of its states are
//! ends: after `withdrawn` and `replaced` a later 01–06 is recorded and passed on, and not applied.

use serde::{Deserialize, Serialize};

use crate::status::StatusCode;

/// What was asked about a document that was delivered, and what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeState {
    /// Nothing asked.
    #[default]
    None,
    /// A recall (type 1), a take-back (13) or a removal (type 2, ReceiverType 0) waits for its answer.
    #[serde(alias = "asked")]
    RecallAsked,
    /// An update (type 2) waits for its answer.
    UpdateAsked,
    /// 15 on an update: the document has a new revision.
    UpdateAgreed,
    /// 16 on a recall or take-back. The law gives no right to refuse one; an operator looks.
    #[serde(alias = "refused")]
    RecallRefused,
    /// 16 on an update.
    UpdateRefused,
    /// 15 on a recall or take-back: the recipient destroyed it. An end.
    #[serde(alias = "agreed")]
    Withdrawn,
    /// A replacement (type 3) took its place. An end.
    Replaced,
}

/// An order about an earlier document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeOrder {
    /// A packet of type 1.
    Recall,
    /// Status 13.
    TakeBack,
    /// A packet of type 2.
    Update,
    /// A packet of type 2 that removes this recipient (ReceiverType 0).
    Removal,
    /// A packet of type 3 that names the document.
    Replacement,
}

impl ChangeOrder {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Recall,
        Self::TakeBack,
        Self::Update,
        Self::Removal,
        Self::Replacement,
    ];

    /// The word in tables and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recall => "recall",
            Self::TakeBack => "take-back",
            Self::Update => "update",
            Self::Removal => "removal",
            Self::Replacement => "replacement",
        }
    }

    /// Whether it takes the document away from the recipient.
    #[must_use]
    pub const fn takes_back(self) -> bool {
        matches!(self, Self::Recall | Self::TakeBack | Self::Removal)
    }
}

/// What an order does to the overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ordered {
    /// It is asked, or for a replacement done.
    Moved(ChangeState),
    /// The same is asked already, or was agreed to.
    Repeated,
    /// The recipient has nothing left to update: a recall is asked, or ended it.
    Skipped,
    /// Recorded and passed on; the overlay has ended otherwise, or a recall waits for its answer.
    Stays,
}

/// What 15 or 16 does to the overlay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answered {
    /// It answers what was asked.
    Moved {
        /// The new state.
        to: ChangeState,
        /// It is another answer than the one before: the recipient changed its mind.
        odd: bool,
    },
    /// It answers nothing: recorded and passed on.
    Odd,
}

impl ChangeState {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::RecallAsked,
        Self::UpdateAsked,
        Self::UpdateAgreed,
        Self::RecallRefused,
        Self::UpdateRefused,
        Self::Withdrawn,
        Self::Replaced,
    ];

    /// The word in tables, JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RecallAsked => "recall-asked",
            Self::UpdateAsked => "update-asked",
            Self::UpdateAgreed => "update-agreed",
            Self::RecallRefused => "recall-refused",
            Self::UpdateRefused => "update-refused",
            Self::Withdrawn => "withdrawn",
            Self::Replaced => "replaced",
        }
    }

    /// From the word. `asked`, `agreed` and `refused` stand in ledgers from before updates were acted on:
    /// there only status 13 asked.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "asked" => Some(Self::RecallAsked),
            "agreed" => Some(Self::Withdrawn),
            "refused" => Some(Self::RecallRefused),
            _ => Self::ALL.into_iter().find(|state| state.as_str() == word),
        }
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::None => "Không có yêu cầu",
            Self::RecallAsked => "Đang yêu cầu thu hồi, lấy lại",
            Self::UpdateAsked => "Đang yêu cầu cập nhật",
            Self::UpdateAgreed => "Đồng ý cập nhật",
            Self::RecallRefused => "Từ chối thu hồi, lấy lại",
            Self::UpdateRefused => "Từ chối cập nhật",
            Self::Withdrawn => "Đã thu hồi",
            Self::Replaced => "Đã bị thay thế",
        }
    }

    /// Whether a later 01–06 is recorded and passed on, and not applied.
    #[must_use]
    pub const fn is_end(self) -> bool {
        matches!(self, Self::Withdrawn | Self::Replaced)
    }

    /// Whether 15 or 16 is waited for.
    #[must_use]
    pub const fn awaits_answer(self) -> bool {
        matches!(self, Self::RecallAsked | Self::UpdateAsked)
    }

    /// What an order does. A recall wins over an update that waits for its answer: 15 and 16 then answer
    /// the recall. An update to a recipient whose recall is asked or agreed to is skipped.
    #[must_use]
    pub const fn ordered(self, order: ChangeOrder) -> Ordered {
        use ChangeOrder as O;
        match (self, order) {
            (Self::RecallAsked | Self::Withdrawn, O::Recall | O::TakeBack | O::Removal) => Ordered::Repeated,
            (Self::Replaced, O::Recall | O::TakeBack | O::Removal) => Ordered::Stays,
            (_, O::Recall | O::TakeBack | O::Removal) => Ordered::Moved(Self::RecallAsked),

            (Self::RecallAsked | Self::Withdrawn, O::Update) => Ordered::Skipped,
            (Self::Replaced, O::Update) => Ordered::Stays,
            (_, O::Update) => Ordered::Moved(Self::UpdateAsked),

            (Self::Replaced, O::Replacement) => Ordered::Repeated,
            (Self::RecallAsked | Self::Withdrawn, O::Replacement) => Ordered::Stays,
            (_, O::Replacement) => Ordered::Moved(Self::Replaced),
        }
    }

    /// What 15 and 16 do; other codes are no answers. A recipient that refused may still agree.
    #[must_use]
    pub const fn answered(self, code: StatusCode) -> Answered {
        match (self, code) {
            (Self::RecallAsked, StatusCode::ChangeAgreed) => Answered::Moved {
                to: Self::Withdrawn,
                odd: false,
            },
            (Self::RecallAsked, StatusCode::ChangeRefused) => Answered::Moved {
                to: Self::RecallRefused,
                odd: false,
            },
            (Self::UpdateAsked, StatusCode::ChangeAgreed) => Answered::Moved {
                to: Self::UpdateAgreed,
                odd: false,
            },
            (Self::UpdateAsked, StatusCode::ChangeRefused) => Answered::Moved {
                to: Self::UpdateRefused,
                odd: false,
            },
            (Self::RecallRefused, StatusCode::ChangeAgreed) => Answered::Moved {
                to: Self::Withdrawn,
                odd: true,
            },
            (Self::UpdateRefused, StatusCode::ChangeAgreed) => Answered::Moved {
                to: Self::UpdateAgreed,
                odd: true,
            },
            _ => Answered::Odd,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// State, then recall, take-back, update, removal, replacement, 15, 16. A capital letter moves:
    /// `R` recall asked, `U` update asked, `X` replaced, `W` withdrawn, `A` agreed, `F` recall refused,
    /// `N` update refused; `d` repeated, `s` skipped, `-` stays, `o` odd; `!` behind a move: odd.
    const TABLE: [(&str, &str); 8] = [
        ("none", "R R U R X o o"),
        ("recall-asked", "d d s d - W F"),
        ("update-asked", "R R U R X A N"),
        ("update-agreed", "R R U R X o o"),
        ("recall-refused", "R R U R X W! o"),
        ("update-refused", "R R U R X A! o"),
        ("withdrawn", "d d s d - o o"),
        ("replaced", "- - - - d o o"),
    ];

    const fn letter(state: ChangeState) -> char {
        match state {
            ChangeState::None => '0',
            ChangeState::RecallAsked => 'R',
            ChangeState::UpdateAsked => 'U',
            ChangeState::UpdateAgreed => 'A',
            ChangeState::RecallRefused => 'F',
            ChangeState::UpdateRefused => 'N',
            ChangeState::Withdrawn => 'W',
            ChangeState::Replaced => 'X',
        }
    }

    #[test]
    fn the_table_of_the_overlay() {
        for (word, row) in TABLE {
            let state = ChangeState::from_word(word).unwrap();
            let orders = ChangeOrder::ALL.map(|order| match state.ordered(order) {
                Ordered::Moved(to) => letter(to).to_string(),
                Ordered::Repeated => "d".to_owned(),
                Ordered::Skipped => "s".to_owned(),
                Ordered::Stays => "-".to_owned(),
            });
            let answers = [StatusCode::ChangeAgreed, StatusCode::ChangeRefused].map(|code| {
                match state.answered(code) {
                    Answered::Moved { to, odd } => format!("{}{}", letter(to), if odd { "!" } else { "" }),
                    Answered::Odd => "o".to_owned(),
                }
            });
            let found: Vec<String> = orders.into_iter().chain(answers).collect();
            assert_eq!(found.join(" "), row, "{word}");
        }
    }

    #[test]
    fn an_end_never_changes() {
        for state in ChangeState::ALL.into_iter().filter(|state| state.is_end()) {
            for order in ChangeOrder::ALL {
                assert!(
                    !matches!(state.ordered(order), Ordered::Moved(_)),
                    "{state:?} {order:?}"
                );
            }
            for code in StatusCode::ALL {
                assert_eq!(state.answered(code), Answered::Odd, "{state:?} {code}");
            }
        }
    }

    #[test]
    fn words_read_back_and_old_words_are_understood() {
        for state in ChangeState::ALL {
            assert_eq!(ChangeState::from_word(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        for (old, now) in [
            ("asked", ChangeState::RecallAsked),
            ("agreed", ChangeState::Withdrawn),
            ("refused", ChangeState::RecallRefused),
        ] {
            assert_eq!(ChangeState::from_word(old), Some(now));
            assert_eq!(serde_json::from_value::<ChangeState>(old.into()).unwrap(), now);
        }
        for order in ChangeOrder::ALL {
            assert_eq!(serde_json::to_value(order).unwrap(), order.as_str());
        }
    }
}
