//! What a packet of type 1, 2 or 3 asks about earlier documents, as routed on the day of receipt.
//!
//! Which document is meant, and what becomes of each recipient, the ledger decides
//! (`docs/reference/life.md`).

use crate::command::PlannedRecipient;

/// The order that a submission carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DocumentChange {
    /// Type 1: the agencies in `To` are to give the document back.
    Recall {
        /// `Bussiness/DocumentId`, or when absent that of the header; trimmed, NFC.
        document_id: String,
    },
    /// Type 2: the document changed, or who gets it.
    Update {
        /// As above.
        document_id: String,
        /// ReceiverType 0: they are to give it back.
        removed: Vec<PlannedRecipient>,
        /// ReceiverType 1: for them it is a new document.
        added: Vec<PlannedRecipient>,
    },
    /// Type 3: this document takes the place of earlier ones.
    Replacement {
        /// Which, for whom.
        replaced: Vec<ReplacedDocument>,
    },
}

/// `ReplacementInfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacedDocument {
    /// The earlier document's `DocumentId`; trimmed, NFC.
    pub document_id: String,
    /// `OrganIdList`: for these recipients alone. Empty: for all.
    pub recipients: Vec<PlannedRecipient>,
}

impl DocumentChange {
    /// The `DocumentId`s of the documents it speaks of.
    pub fn document_ids(&self) -> impl Iterator<Item = &str> {
        let (one, many) = match self {
            Self::Recall { document_id } | Self::Update { document_id, .. } => {
                (Some(document_id.as_str()), &[][..])
            }
            Self::Replacement { replaced } => (None, replaced.as_slice()),
        };
        one.into_iter()
            .chain(many.iter().map(|replaced| replaced.document_id.as_str()))
    }
}
