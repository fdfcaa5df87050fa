//! The transport state of a delivery: one document for one recipient (*bên nhận*).
//!
//! `scheduled → forwarded → taken`; ends `taken`, `refused`, `withdrawn`, `undeliverable`; `parked`
//! waits for an operator and counts as waiting. This is the hub's axis; what the recipient's clerk did
//! with the document is the other one ([`crate::status`]), and the two are never mixed.
//!
//! A transition takes the old state and gives the new one, or says that there is none. Who may ask for it
//! is the ledger's to decide.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::withdraw::{WithdrawCause, WithdrawProof};

/// Where a delivery stands, with the facts of that standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum TransportState {
    /// In the ledger, to be forwarded (*chờ gửi*).
    Scheduled {
        /// Since when.
        since: Timestamp,
    },
    /// In the recipient system's inbox, confirmed by the broker (*đã gửi*).
    Forwarded {
        /// When the broker confirmed it.
        at: Timestamp,
        /// How many times it was published, from 1.
        attempt: u32,
    },
    /// Stored by the recipient's system (*đã nhận về hệ thống*). Final.
    Taken {
        /// When the hub recorded it.
        at: Timestamp,
    },
    /// Declined by the recipient's adapter, with a reason; not the clerk's status 02. Final.
    Refused {
        /// When the hub recorded it.
        at: Timestamp,
        /// The adapter's code.
        code: String,
        /// The adapter's words.
        reason: String,
    },
    /// Taken back before it was handed over. Final.
    Withdrawn {
        /// When.
        at: Timestamp,
        /// Why.
        #[serde(default)]
        cause: WithdrawCause,
        /// How the hub knows that it was not handed over.
        #[serde(default)]
        proof: WithdrawProof,
    },
    /// It cannot reach this recipient. Final; the sender was told.
    Undeliverable {
        /// When.
        at: Timestamp,
        /// Why.
        cause: UndeliverableCause,
    },
    /// Waits for an operator.
    Parked {
        /// Since when.
        since: Timestamp,
        /// Why.
        cause: ParkCause,
    },
}

/// Why a delivery cannot reach its recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UndeliverableCause {
    /// No agency has this code.
    UnknownCode,
    /// The code was valid once and is closed, without a successor.
    ClosedCode,
    /// The agency is known, but no connected system serves it.
    NoSystem,
    /// The code belongs to a connected system (`W`), not to an agency.
    SystemCode,
    /// The text is no agency code at all.
    BadCode,
    /// An operator closed the delivery.
    ClosedByOperator,
    /// An order (recall, update) to an agency that was never a recipient of the document.
    NotARecipient,
}

impl UndeliverableCause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::UnknownCode,
        Self::ClosedCode,
        Self::NoSystem,
        Self::SystemCode,
        Self::BadCode,
        Self::ClosedByOperator,
        Self::NotARecipient,
    ];

    /// The word in notices and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownCode => "unknown-code",
            Self::ClosedCode => "closed-code",
            Self::NoSystem => "no-system",
            Self::SystemCode => "system-code",
            Self::BadCode => "bad-code",
            Self::ClosedByOperator => "closed-by-operator",
            Self::NotARecipient => "not-a-recipient",
        }
    }

    /// One Vietnamese and one English sentence for people.
    #[must_use]
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::UnknownCode => (
                "Mã định danh nơi nhận không có trong danh mục; hãy kiểm tra mã rồi gửi lại cho nơi nhận này.",
                "No agency in the directory has this recipient code; check the code and send again to this recipient.",
            ),
            Self::ClosedCode => (
                "Mã định danh nơi nhận đã đóng và không có đơn vị kế thừa; hãy hỏi cơ quan đầu mối để biết mã mới.",
                "This recipient code is closed and has no successor; ask the focal agency for the new code.",
            ),
            Self::NoSystem => (
                "Đơn vị nhận chưa có hệ thống kết nối với trục; hãy gửi bằng cách khác và báo cơ quan vận hành trục.",
                "No connected system serves this recipient; send by other means and tell the hub's operator.",
            ),
            Self::SystemCode => (
                "Mã nơi nhận là mã của một hệ thống kết nối, không phải của cơ quan; hãy dùng mã định danh cơ quan.",
                "This recipient code belongs to a connected system, not to an agency; use the agency's own code.",
            ),
            Self::BadCode => (
                "Mã nơi nhận không đúng dạng mã định danh cơ quan; hãy sửa mã rồi gửi lại cho nơi nhận này.",
                "This recipient code does not have the form of an agency code; correct it and send again.",
            ),
            Self::ClosedByOperator => (
                "Cán bộ vận hành trục đã đóng việc giao văn bản này cho nơi nhận; hãy liên hệ cơ quan vận hành trục để biết lý do.",
                "The hub's operator closed the delivery to this recipient; ask the operator why.",
            ),
            Self::NotARecipient => (
                "Nơi nhận này chưa từng nhận văn bản được thu hồi hoặc cập nhật; yêu cầu không được chuyển.",
                "This agency was never a recipient of the document recalled or updated; the order is not passed on.",
            ),
        }
    }
}

/// Why an operator must look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParkCause {
    /// Another document with other bytes has the same sender and `DocumentId`.
    IdentityConflict,
    /// A marking of state secrecy stands in a header field: nothing is shown, nothing is sent.
    SecretMarking,
    /// The code's agency was split; an operator names the successor.
    AmbiguousSuccessor,
    /// An operator holds it.
    Operator,
}

impl ParkCause {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::IdentityConflict,
        Self::SecretMarking,
        Self::AmbiguousSuccessor,
        Self::Operator,
    ];

    /// The word in notices and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdentityConflict => "identity-conflict",
            Self::SecretMarking => "secret-marking",
            Self::AmbiguousSuccessor => "ambiguous-successor",
            Self::Operator => "operator",
        }
    }

    /// One Vietnamese and one English sentence for people.
    #[must_use]
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::IdentityConflict => (
                "Đã có văn bản khác mang cùng mã định danh văn bản của cùng đơn vị gửi; văn bản này được giữ lại chờ cán bộ vận hành xem xét.",
                "Another document of the same sender already bears this DocumentId; this one is held until an operator decides.",
            ),
            Self::SecretMarking => (
                "Văn bản có dấu hiệu đánh dấu độ mật; trục không được chuyển văn bản mật, văn bản bị cách ly chờ người có thẩm quyền xử lý.",
                "The document bears a marking of state secrecy, which the hub must not carry; it is quarantined until an authorised person decides.",
            ),
            Self::AmbiguousSuccessor => (
                "Đơn vị nhận đã được chia tách; cán bộ vận hành sẽ xác định đơn vị kế thừa.",
                "The recipient was split into several agencies; an operator will name the successor.",
            ),
            Self::Operator => (
                "Cán bộ vận hành trục đang giữ văn bản lại để xem xét.",
                "The hub's operator holds the document for a look.",
            ),
        }
    }
}

/// The bare name of a [`TransportState`], for counting and for columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportStateName {
    /// See [`TransportState::Scheduled`].
    Scheduled,
    /// See [`TransportState::Forwarded`].
    Forwarded,
    /// See [`TransportState::Taken`].
    Taken,
    /// See [`TransportState::Refused`].
    Refused,
    /// See [`TransportState::Withdrawn`].
    Withdrawn,
    /// See [`TransportState::Undeliverable`].
    Undeliverable,
    /// See [`TransportState::Parked`].
    Parked,
}

impl TransportStateName {
    /// All of them, in the order of a delivery's life.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Forwarded,
        Self::Taken,
        Self::Refused,
        Self::Withdrawn,
        Self::Undeliverable,
        Self::Parked,
    ];

    /// The word in tables, JSON and SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Forwarded => "forwarded",
            Self::Taken => "taken",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Undeliverable => "undeliverable",
            Self::Parked => "parked",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == word)
    }

    /// Vietnamese label, as the glossary of users' screens has it.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Scheduled => "Chờ gửi",
            Self::Forwarded => "Đã gửi, chưa nhận",
            Self::Taken => "Đã nhận về hệ thống",
            Self::Refused => "Hệ thống nhận từ chối",
            Self::Withdrawn => "Đã lấy lại",
            Self::Undeliverable => "Không gửi được",
            Self::Parked => "Tạm giữ",
        }
    }

    /// In which column of the balance it counts.
    #[must_use]
    pub const fn column(self) -> BalanceColumn {
        match self {
            Self::Scheduled | Self::Forwarded | Self::Parked => BalanceColumn::Waiting,
            Self::Taken => BalanceColumn::Taken,
            Self::Refused => BalanceColumn::Refused,
            Self::Withdrawn => BalanceColumn::Withdrawn,
            Self::Undeliverable => BalanceColumn::Undeliverable,
        }
    }
}

/// The columns of the balance: accepted = taken + waiting + refused + withdrawn + undeliverable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BalanceColumn {
    /// Stored by the recipient's system.
    Taken,
    /// Scheduled, forwarded or parked.
    Waiting,
    /// Declined by the recipient's adapter.
    Refused,
    /// Taken back by the sender.
    Withdrawn,
    /// Cannot reach the recipient.
    Undeliverable,
}

/// A transition that the state does not allow; the ledger records it and changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a delivery that is {from} cannot become {to}", from = .from.as_str(), to = .to.as_str())]
pub struct NoTransition {
    /// The present state.
    pub from: TransportStateName,
    /// The state asked for.
    pub to: TransportStateName,
}

impl TransportState {
    /// The bare name.
    #[must_use]
    pub const fn name(&self) -> TransportStateName {
        match self {
            Self::Scheduled { .. } => TransportStateName::Scheduled,
            Self::Forwarded { .. } => TransportStateName::Forwarded,
            Self::Taken { .. } => TransportStateName::Taken,
            Self::Refused { .. } => TransportStateName::Refused,
            Self::Withdrawn { .. } => TransportStateName::Withdrawn,
            Self::Undeliverable { .. } => TransportStateName::Undeliverable,
            Self::Parked { .. } => TransportStateName::Parked,
        }
    }

    /// Whether it will never change again.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Taken { .. } | Self::Refused { .. } | Self::Withdrawn { .. } | Self::Undeliverable { .. }
        )
    }

    /// The moment the state was entered.
    #[must_use]
    pub const fn since(&self) -> Timestamp {
        match self {
            Self::Scheduled { since } | Self::Parked { since, .. } => *since,
            Self::Forwarded { at, .. }
            | Self::Taken { at }
            | Self::Refused { at, .. }
            | Self::Withdrawn { at, .. }
            | Self::Undeliverable { at, .. } => *at,
        }
    }

    /// The broker confirmed a publish. A second confirm (after a crash between confirm and commit, or a
    /// resend) only counts the attempt.
    ///
    /// # Errors
    /// [`NoTransition`] from a final or parked state: the message is out, the state stays.
    pub fn forwarded(self, at: Timestamp, attempt: u32) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } => Ok(Self::Forwarded { at, attempt }),
            other => Err(other.cannot_become(TransportStateName::Forwarded)),
        }
    }

    /// The recipient's system stored it: it said `taken`, or status 01 or later came. Also from
    /// `Scheduled`: the confirm of the publish may have been lost with the process that waited for it.
    ///
    /// # Errors
    /// [`NoTransition`] when it is already final, or parked.
    pub fn taken(self, at: Timestamp) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } => Ok(Self::Taken { at }),
            other => Err(other.cannot_become(TransportStateName::Taken)),
        }
    }

    /// The recipient's adapter declined it.
    ///
    /// # Errors
    /// [`NoTransition`] when it is already final, or parked.
    pub fn refused(self, at: Timestamp, code: String, reason: String) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } => Ok(Self::Refused { at, code, reason }),
            other => Err(other.cannot_become(TransportStateName::Refused)),
        }
    }

    /// An operator sends it again: back to `Scheduled`, with the same delivery id.
    ///
    /// # Errors
    /// [`NoTransition`] when it is final or parked; a parked delivery is released, not resent.
    pub fn rescheduled(self, since: Timestamp) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } => Ok(Self::Scheduled { since }),
            other => Err(other.cannot_become(TransportStateName::Scheduled)),
        }
    }

    /// It was taken back before it was handed over. That it was not is the caller's to prove: from
    /// `Scheduled` and `Forwarded` it may already lie in an inbox.
    ///
    /// # Errors
    /// [`NoTransition`] when it is already final.
    pub fn withdrawn(
        self,
        at: Timestamp,
        cause: WithdrawCause,
        proof: WithdrawProof,
    ) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } | Self::Parked { .. } => {
                Ok(Self::Withdrawn { at, cause, proof })
            }
            other => Err(other.cannot_become(TransportStateName::Withdrawn)),
        }
    }

    /// An operator holds it. That it was never published is the caller's to know.
    ///
    /// # Errors
    /// [`NoTransition`] unless it is scheduled.
    pub fn parked(self, since: Timestamp, cause: ParkCause) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } => Ok(Self::Parked { since, cause }),
            other => Err(other.cannot_become(TransportStateName::Parked)),
        }
    }

    /// An operator lets a parked delivery go.
    ///
    /// # Errors
    /// [`NoTransition`] unless it is parked.
    pub fn released(self, since: Timestamp) -> Result<Self, NoTransition> {
        match self {
            Self::Parked { .. } => Ok(Self::Scheduled { since }),
            other => Err(other.cannot_become(TransportStateName::Scheduled)),
        }
    }

    /// An operator gives it up: `undeliverable`, closed by an operator.
    ///
    /// # Errors
    /// [`NoTransition`] when it is already final.
    pub fn closed(self, at: Timestamp) -> Result<Self, NoTransition> {
        match self {
            Self::Scheduled { .. } | Self::Forwarded { .. } | Self::Parked { .. } => {
                Ok(Self::Undeliverable {
                    at,
                    cause: UndeliverableCause::ClosedByOperator,
                })
            }
            other => Err(other.cannot_become(TransportStateName::Undeliverable)),
        }
    }

    const fn cannot_become(&self, to: TransportStateName) -> NoTransition {
        NoTransition {
            from: self.name(),
            to,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Timestamp = Timestamp::UNIX_EPOCH;

    fn all() -> Vec<TransportState> {
        vec![
            TransportState::Scheduled { since: T },
            TransportState::Forwarded { at: T, attempt: 1 },
            TransportState::Taken { at: T },
            TransportState::Refused {
                at: T,
                code: "x".into(),
                reason: "y".into(),
            },
            TransportState::Withdrawn {
                at: T,
                cause: WithdrawCause::Removed,
                proof: WithdrawProof::Cleaned,
            },
            TransportState::Undeliverable {
                at: T,
                cause: UndeliverableCause::UnknownCode,
            },
            TransportState::Parked {
                since: T,
                cause: ParkCause::IdentityConflict,
            },
        ]
    }

    #[test]
    fn a_final_state_never_changes() {
        for state in all() {
            let open = !state.is_final() && state.name() != TransportStateName::Parked;
            assert_eq!(state.clone().forwarded(T, 2).is_ok(), open, "{state:?}");
            assert_eq!(state.clone().taken(T).is_ok(), open, "{state:?}");
            assert_eq!(
                state.clone().refused(T, String::new(), String::new()).is_ok(),
                open,
                "{state:?}"
            );
            assert_eq!(state.clone().rescheduled(T).is_ok(), open, "{state:?}");
            let parked = state.name() == TransportStateName::Parked;
            assert_eq!(state.clone().released(T).is_ok(), parked, "{state:?}");
            let withdrawn = state
                .clone()
                .withdrawn(T, WithdrawCause::Recalled, WithdrawProof::NeverLeft);
            assert_eq!(withdrawn.is_ok(), open || parked, "{state:?}");
            assert_eq!(state.clone().closed(T).is_ok(), open || parked, "{state:?}");
            let scheduled = state.name() == TransportStateName::Scheduled;
            let held = state.clone().parked(T, ParkCause::Operator);
            assert_eq!(held.is_ok(), scheduled, "{state:?}");
        }
    }

    #[test]
    fn a_withdrawal_of_before_causes_reads() {
        let old = r#"{"state":"withdrawn","at":"1970-01-01T00:00:00Z"}"#;
        assert_eq!(
            serde_json::from_str::<TransportState>(old).unwrap(),
            TransportState::Withdrawn {
                at: T,
                cause: WithdrawCause::Recalled,
                proof: WithdrawProof::NeverLeft,
            }
        );
    }

    #[test]
    fn causes_are_those_of_json() {
        for cause in UndeliverableCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        for cause in ParkCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
    }

    #[test]
    fn names_and_json_read_back() {
        for state in all() {
            assert_eq!(
                TransportStateName::from_word(state.name().as_str()),
                Some(state.name())
            );
            let json = serde_json::to_string(&state).unwrap();
            assert!(json.contains(state.name().as_str()), "{json}");
            assert_eq!(serde_json::from_str::<TransportState>(&json).unwrap(), state);
        }
    }
}
