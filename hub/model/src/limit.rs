//! Time limits as words: which step has one, and whose turn it is when one runs out.
//!
//! When a limit is due is reckoned elsewhere, on a working calendar; here stand the words that ledger,
//! calendar and answers share.

use serde::{Deserialize, Serialize};

/// A step that has a time limit. Statuses 04 and 06 have none: no law limits the work itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LimitKind {
    /// From signing to sending (QĐ 28/2018 art. 6(2)). Judged once, when the hub has the document.
    Sending,
    /// From taken to status 01 (NĐ 30/2020 art. 21(2)c).
    Arrival,
    /// From taken to status 02 or 03 (NĐ 30/2020 art. 4(2)c, 23(1)).
    Acceptance,
    /// From the order (recall, update) that reached the recipient to status 15 or 16 (QĐ 28/2018 art. 9).
    Answer,
}

impl LimitKind {
    /// All of them, in the order they run.
    pub const ALL: [Self; 4] = [Self::Sending, Self::Arrival, Self::Acceptance, Self::Answer];

    /// The word in files, tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "sending",
            Self::Arrival => "arrival",
            Self::Acceptance => "acceptance",
            Self::Answer => "answer",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Vietnamese label, as clerks read it.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Sending => "Gửi sau khi ký",
            Self::Arrival => "Báo đã đến (01)",
            Self::Acceptance => "Tiếp nhận/từ chối (02, 03)",
            Self::Answer => "Trả lời thu hồi/cập nhật (15, 16)",
        }
    }
}

/// Whose turn it is: who must do something so that a late step goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Turn {
    /// The sender's clerk (*văn thư bên gửi*).
    SenderClerk,
    /// The sender's IT staff.
    SenderIt,
    /// The recipient's clerk (*văn thư bên nhận*).
    RecipientClerk,
    /// The recipient's IT staff.
    RecipientIt,
    /// The province's IT staff, who run the hub.
    ProvinceIt,
}

impl Turn {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::SenderClerk,
        Self::SenderIt,
        Self::RecipientClerk,
        Self::RecipientIt,
        Self::ProvinceIt,
    ];

    /// The word in files and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SenderClerk => "sender-clerk",
            Self::SenderIt => "sender-it",
            Self::RecipientClerk => "recipient-clerk",
            Self::RecipientIt => "recipient-it",
            Self::ProvinceIt => "province-it",
        }
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::SenderClerk => "Văn thư bên gửi",
            Self::SenderIt => "CNTT bên gửi",
            Self::RecipientClerk => "Văn thư bên nhận",
            Self::RecipientIt => "CNTT bên nhận",
            Self::ProvinceIt => "CNTT tỉnh (quản trị trục)",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_read_back_and_are_those_of_json() {
        for kind in LimitKind::ALL {
            assert_eq!(LimitKind::parse(kind.as_str()), Some(kind));
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("\"{}\"", kind.as_str())
            );
        }
        for turn in Turn::ALL {
            assert_eq!(
                serde_json::to_string(&turn).unwrap(),
                format!("\"{}\"", turn.as_str())
            );
        }
        assert_eq!(LimitKind::parse("handling"), None);
    }
}
