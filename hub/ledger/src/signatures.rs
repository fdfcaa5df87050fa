//! Counts of what stood behind documents: who answered for their bytes, and what attached PDFs bear.
//!
//! Back ends give the rows; which word they come to is said by the types of `truc-model` alone.

use std::collections::BTreeMap;

use truc_model::{PdfSignatures, RefusalCode, SignatureState, SignatureStrength, SignatureVerdict};

use crate::error::StoreError;
use crate::query::Period;
use crate::store::Snapshot;

/// How one form of signature stood, without whose it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// It held.
    Valid(SignatureStrength),
    /// There was one and it did not hold.
    Invalid {
        /// Why, in a word.
        reason: String,
    },
    /// There was none.
    Absent,
}

impl From<&SignatureState> for Standing {
    fn from(state: &SignatureState) -> Self {
        match state {
            SignatureState::Valid { strength, .. } => Self::Valid(*strength),
            SignatureState::Invalid { reason } => Self::Invalid {
                reason: reason.clone(),
            },
            SignatureState::Absent => Self::Absent,
        }
    }
}

/// What a verdict comes to, without whose it was: documents of one kind are counted together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerdictKind {
    /// The seal.
    pub seal: Standing,
    /// The XML signature.
    pub xml: Standing,
    /// The channel vouched for it.
    pub vouched_by_channel: bool,
}

impl From<&SignatureVerdict> for VerdictKind {
    fn from(verdict: &SignatureVerdict) -> Self {
        Self {
            seal: (&verdict.seal).into(),
            xml: (&verdict.xml).into(),
            vouched_by_channel: verdict.vouched_by_channel,
        }
    }
}

/// Who answers for the bytes of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AnsweredBy {
    /// A seal.
    Seal,
    /// An XML signature, and no seal.
    Xml,
    /// Neither, but the channel.
    Channel,
    /// Nobody.
    None,
}

impl AnsweredBy {
    /// All of them, the strongest first.
    pub const ALL: [Self; 4] = [Self::Seal, Self::Xml, Self::Channel, Self::None];

    /// The word in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Xml => "xml",
            Self::Channel => "channel",
            Self::None => "none",
        }
    }
}

impl VerdictKind {
    /// Who answers.
    #[must_use]
    pub const fn answered_by(&self) -> AnsweredBy {
        match (&self.seal, &self.xml) {
            (Standing::Valid(_), _) => AnsweredBy::Seal,
            (_, Standing::Valid(_)) => AnsweredBy::Xml,
            _ if self.vouched_by_channel => AnsweredBy::Channel,
            _ => AnsweredBy::None,
        }
    }

    /// The verdict in one word, as [`SignatureVerdict::word`].
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self.answered_by() {
            AnsweredBy::Seal | AnsweredBy::Xml => "valid",
            AnsweredBy::Channel => "vouched",
            AnsweredBy::None => match (&self.seal, &self.xml) {
                (Standing::Invalid { .. }, _) | (_, Standing::Invalid { .. }) => "invalid",
                _ => "absent",
            },
        }
    }
}

/// What a PDF came to: its word and, when nothing is known, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PdfKind {
    /// A word of [`PdfSignatures::WORDS`].
    pub word: &'static str,
    /// [`PdfSignatures::reason`].
    pub reason: Option<&'static str>,
}

impl From<&PdfSignatures> for PdfKind {
    fn from(found: &PdfSignatures) -> Self {
        Self {
            word: found.word(),
            reason: found.reason(),
        }
    }
}

/// The counts of a period.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignatureCounts {
    /// Documents accepted, by what their verdict comes to.
    pub documents: BTreeMap<VerdictKind, u64>,
    /// Attached PDFs of these documents, by what was found; those nobody was to look at are not among them.
    pub pdfs: BTreeMap<PdfKind, u64>,
    /// Submissions of documents refused, by the code that decided.
    pub refused: BTreeMap<RefusalCode, u64>,
}

impl SignatureCounts {
    pub(crate) async fn of(now: &mut dyn Snapshot, period: Period) -> Result<Self, StoreError> {
        Ok(Self {
            documents: now.verdicts(period).await?,
            pdfs: now.pdfs(period).await?,
            refused: now.refused_by_code(period).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_verdict() {
        let valid = |strength| SignatureState::Valid {
            algorithm: "ES256".to_owned(),
            certificate: String::new(),
            signer: String::new(),
            signed_at: None,
            strength,
        };
        let states = [
            valid(SignatureStrength::Current),
            valid(SignatureStrength::LegacySha1),
            SignatureState::Absent,
            SignatureState::Invalid {
                reason: "dsig-digest".to_owned(),
            },
        ];
        for seal in &states {
            for xml in &states {
                for vouched_by_channel in [false, true] {
                    let verdict = SignatureVerdict {
                        seal: seal.clone(),
                        xml: xml.clone(),
                        vouched_by_channel,
                    };
                    let kind = VerdictKind::from(&verdict);
                    assert_eq!(kind.word(), verdict.word(), "{verdict:?}");
                }
            }
        }
    }
}
