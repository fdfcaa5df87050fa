//! Withdrawn before it was handed over: why ([`WithdrawCause`]), and how the hub knows that the recipient's
//! system never handed it on ([`WithdrawProof`]).
//!
//! Both are facts of [`crate::TransportState::Withdrawn`]. What the recipient answers to an order about a
//! document it has is another matter: see [`crate::ChangeState`].

use serde::{Deserialize, Serialize};

/// Why a delivery was withdrawn before it was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithdrawCause {
    /// Its sender recalled the document (packet of type 1).
    #[default]
    Recalled,
    /// Its sender asked for it back (status 13).
    TakenBack,
    /// An update (type 2) removed this recipient (ReceiverType 0).
    Removed,
    /// A replacement (type 3) reached the same recipient while this one was still at home.
    Replaced,
    /// An order (recall, update) whose document was withdrawn here before it left: nobody needs the order.
    OrderMoot,
    /// By an operator's order.
    ByOperator,
    /// Its agency was merged into another recipient of the same document, which gets it once.
    Merged,
}

impl WithdrawCause {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Recalled,
        Self::TakenBack,
        Self::Removed,
        Self::Replaced,
        Self::OrderMoot,
        Self::ByOperator,
        Self::Merged,
    ];

    /// The word in receipts, notices and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recalled => "recalled",
            Self::TakenBack => "taken-back",
            Self::Removed => "removed",
            Self::Replaced => "replaced",
            Self::OrderMoot => "order-moot",
            Self::ByOperator => "by-operator",
            Self::Merged => "merged",
        }
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Recalled => "Thu hồi",
            Self::TakenBack => "Lấy lại",
            Self::Removed => "Bỏ khỏi danh sách nơi nhận",
            Self::Replaced => "Đã có văn bản thay thế",
            Self::OrderMoot => "Không còn văn bản để thu hồi, cập nhật",
            Self::ByOperator => "Theo lệnh cán bộ vận hành",
            Self::Merged => "Gộp vào nơi nhận khác của cùng văn bản",
        }
    }
}

/// How the hub knows that a withdrawn delivery was never handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WithdrawProof {
    /// It never left the ledger.
    #[default]
    NeverLeft,
    /// The recipient's adapter said so (`withdrawn` in a `taken` message).
    AdapterSaid,
    /// The hub took it out of an inbox that nobody reads.
    Cleaned,
    /// An operator answers for it.
    Operator,
}

impl WithdrawProof {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::NeverLeft, Self::AdapterSaid, Self::Cleaned, Self::Operator];

    /// The word in notices and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NeverLeft => "never-left",
            Self::AdapterSaid => "adapter-said",
            Self::Cleaned => "cleaned",
            Self::Operator => "operator",
        }
    }

    /// One Vietnamese and one English sentence for the sender.
    #[must_use]
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::NeverLeft => (
                "Văn bản chưa rời khỏi trục; nơi nhận này chưa từng được giao văn bản.",
                "The document never left the hub; it was never handed over to this recipient.",
            ),
            Self::AdapterSaid => (
                "Hệ thống của nơi nhận đã rút văn bản trước khi giao cho văn thư.",
                "The recipient's system withdrew the document before it handed it over.",
            ),
            Self::Cleaned => (
                "Trục đã lấy văn bản ra khỏi hộp nhận mà nơi nhận chưa đọc.",
                "The hub took the document out of the recipient's inbox, which nobody had read.",
            ),
            Self::Operator => (
                "Cán bộ vận hành trục xác nhận văn bản không được giao cho nơi nhận này.",
                "The hub's operator confirms that the document was not handed over to this recipient.",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_json() {
        for cause in WithdrawCause::ALL {
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.as_str());
        }
        for proof in WithdrawProof::ALL {
            assert_eq!(serde_json::to_value(proof).unwrap(), proof.as_str());
        }
    }
}
