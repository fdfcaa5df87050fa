//! What a document is to the hub: its kind, operation, urgency and identity.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::agency::Party;

/// Which packet a message carries (AMQP `type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DocumentKind {
    /// A document (*văn bản*).
    Document,
    /// A status packet (*gói tin trạng thái*).
    Status,
}

impl DocumentKind {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Status => "status",
        }
    }
}

/// `BussinessDocType` (*loại nghiệp vụ văn bản*): what the packet does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// 0: a new document (*văn bản mới*).
    #[default]
    New,
    /// 1: takes an earlier document back (*thu hồi*).
    Recall,
    /// 2: changes an earlier document (*cập nhật*).
    Update,
    /// 3: takes the place of earlier documents (*thay thế*).
    Replacement,
}

impl Operation {
    /// From the number in the packet.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::New),
            1 => Some(Self::Recall),
            2 => Some(Self::Update),
            3 => Some(Self::Replacement),
            _ => None,
        }
    }

    /// The number in the packet.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::New => 0,
            Self::Recall => 1,
            Self::Update => 2,
            Self::Replacement => 3,
        }
    }

    /// Whether the packet brings a document of its own: two of these under one identity conflict.
    #[must_use]
    pub const fn brings_a_document(self) -> bool {
        matches!(self, Self::New | Self::Replacement)
    }

    /// Vietnamese label, as clerks read it.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::New => "Mới",
            Self::Recall => "Thu hồi",
            Self::Update => "Cập nhật",
            Self::Replacement => "Thay thế",
        }
    }
}

/// `OtherInfo/Priority` (*mức độ khẩn*). Greater is more urgent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Urgency {
    /// 0 *Thường*.
    #[default]
    Normal,
    /// 1 *Khẩn*.
    Urgent,
    /// 2 *Thượng khẩn*.
    VeryUrgent,
    /// 3 *Hỏa tốc*.
    Express,
    /// 4 *Hỏa tốc hẹn giờ*.
    ExpressTimed,
}

impl Urgency {
    /// From the number in the packet, 0 to 4.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Normal),
            1 => Some(Self::Urgent),
            2 => Some(Self::VeryUrgent),
            3 => Some(Self::Express),
            4 => Some(Self::ExpressTimed),
            _ => None,
        }
    }

    /// The number in the packet and the AMQP `priority`, 0 to 4.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::Urgent => 1,
            Self::VeryUrgent => 2,
            Self::Express => 3,
            Self::ExpressTimed => 4,
        }
    }

    /// Whether it is sent ahead of the rest (QĐ 28/2018 art. 6(2)).
    #[must_use]
    pub const fn is_urgent(self) -> bool {
        !matches!(self, Self::Normal)
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Normal => "Thường",
            Self::Urgent => "Khẩn",
            Self::VeryUrgent => "Thượng khẩn",
            Self::Express => "Hỏa tốc",
            Self::ExpressTimed => "Hỏa tốc hẹn giờ",
        }
    }
}

/// What makes two packets speak of the same document: the sender, resolved, and its `DocumentId`
/// trimmed and in Unicode NFC.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentIdentity {
    /// Who sent it.
    pub sender: Party,
    /// `DocumentId`, trimmed, NFC.
    pub document_id: String,
}

impl fmt::Display for DocumentIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sender, self.document_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for number in 0..=u8::MAX {
            assert_eq!(
                Operation::from_number(number).map(Operation::number),
                (number <= 3).then_some(number)
            );
            assert_eq!(
                Urgency::from_number(number).map(Urgency::number),
                (number <= 4).then_some(number)
            );
        }
        assert!(Urgency::Express > Urgency::Urgent);
    }
}
