//! What the signatures inside an attached PDF look like: an indicator, never a verdict on legal validity.
//!
//! Whether a signature binds anyone is the recipient's to judge (`docs/reference/pdf-signature.md`). These
//! words only say what the bytes show: whether something is signed, whether it is still what was signed,
//! how much of the file is covered, and which certificate came with it. They decide nothing in the hub.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Sha256;

/// What was found in one PDF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum PdfSignatures {
    /// It was read and bears none.
    None,
    /// It bears at least one.
    Signed {
        /// In the order of how much of the file they cover, the shortest first: the order of signing.
        signatures: Vec<PdfSignature>,
    },
    /// It could not be read to the end, so nothing is known.
    Unreadable {
        /// Why.
        why: Unreadable,
    },
    /// Nobody looked.
    Unchecked {
        /// Why.
        why: NotInspected,
    },
}

/// Why a PDF could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unreadable {
    /// Its structure does not read.
    Damaged,
    /// It is encrypted.
    Encrypted,
    /// More objects than the limit.
    TooManyObjects,
    /// More signatures than the limit.
    TooManySignatures,
    /// Its compressed objects inflate beyond the limit.
    Inflates,
    /// Reading it took longer than the limit; the worker was ended.
    Time,
    /// Reading it took more memory than the limit; the worker was ended.
    Memory,
    /// The worker ended by a defect.
    Crash,
}

/// Why nobody looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotInspected {
    /// More bytes than the limit.
    TooLarge,
    /// All workers were busy for longer than a document may wait.
    Busy,
    /// No worker could be started.
    NoWorker,
}

/// One signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PdfSignature {
    /// Its form.
    pub kind: SubFilter,
    /// Whether the bytes it covers are those that were signed.
    pub digest: DigestState,
    /// Whether the signature value fits the certificate that came with it.
    pub signature: ValueState,
    /// How much of the file it covers.
    pub coverage: Coverage,
    /// Common name of the signer's certificate, or of the authority of a time stamp. A person's name, often.
    pub signer: Option<String>,
    /// SHA-256 of that certificate.
    pub certificate: Option<Sha256>,
    /// Whether the signature itself names its certificate (signing-certificate, RFC 5035).
    pub binding: Binding,
    /// When it was signed: what the signer claims, or what a time stamp says. Not verified.
    pub signed_at: Option<Timestamp>,
    /// Name of the algorithm, e.g. `rsa-pkcs1-sha256`; `None` when it is not one this program knows.
    pub algorithm: Option<String>,
}

/// Form of a signature: `SubFilter` of ISO 32000-2 §12.8.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SubFilter {
    /// `ETSI.CAdES.detached` (PAdES).
    #[serde(rename = "pades")]
    Pades,
    /// `adbe.pkcs7.detached`.
    #[serde(rename = "adbe.pkcs7.detached")]
    Pkcs7Detached,
    /// `adbe.pkcs7.sha1`: SHA-1 by its definition.
    #[serde(rename = "adbe.pkcs7.sha1")]
    Pkcs7Sha1,
    /// `ETSI.RFC3161`: a time stamp over the document.
    #[serde(rename = "time-stamp")]
    TimeStamp,
    /// Anything else.
    #[serde(rename = "other")]
    Other,
}

/// Whether the covered bytes are those that were signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum DigestState {
    /// They are.
    Intact,
    /// They are not.
    Changed,
    /// It could not be told.
    Unchecked {
        /// Why.
        why: Unchecked,
    },
}

/// Whether the signature value fits its certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ValueState {
    /// It does.
    Holds,
    /// It does not.
    Broken,
    /// It could not be told.
    Unchecked {
        /// Why.
        why: Unchecked,
    },
}

/// Why one check of one signature was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Unchecked {
    /// It rests on SHA-1, which proves nothing any more.
    #[serde(rename = "sha-1")]
    Sha1,
    /// An algorithm or parameters this program does not verify.
    #[serde(rename = "algorithm")]
    Algorithm,
    /// The certificate's key is too short to prove anything, or too long to be worth verifying.
    #[serde(rename = "weak-key")]
    WeakKey,
    /// The signer's certificate does not come with the signature, or does not read.
    #[serde(rename = "certificate")]
    Certificate,
    /// The signature is not CMS in DER, or lacks what it must have.
    #[serde(rename = "form")]
    Form,
    /// A form of signature this program does not verify.
    #[serde(rename = "kind")]
    Kind,
    /// More bytes than the limit for a signature.
    #[serde(rename = "too-large")]
    TooLarge,
    /// Not exactly one signer in one signature.
    #[serde(rename = "signers")]
    Signers,
    /// Which bytes it covers does not read.
    #[serde(rename = "byte-range")]
    ByteRange,
}

/// How much of the file a signature covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Coverage {
    /// Everything but the signature itself.
    WholeFile,
    /// Everything up to a point but the signature itself; more was appended later.
    Partial {
        /// Bytes after that point.
        bytes_after: u64,
    },
    /// It leaves out other bytes than the signature itself: what stands there could be anything.
    Hole,
}

/// Whether the signature itself names the certificate it was made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Binding {
    /// It does not, or by a digest this program does not compute.
    Absent,
    /// It names the certificate that came with it.
    Bound,
    /// It names another one.
    Other,
}

impl PdfSignatures {
    /// All the words of [`Self::word`], the best first.
    pub const WORDS: [&str; 7] = [
        "intact",
        "partial",
        "none",
        "unchecked",
        "unreadable",
        "broken",
        "changed",
    ];

    /// One word for tables and for counting.
    ///
    /// Of several signatures the worst decides, `changed` before `broken` before `unchecked`; all of them
    /// fine, one that covers the whole file makes it `intact`, none makes it `partial`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        let signatures = match self {
            Self::None => return "none",
            Self::Unreadable { .. } => return "unreadable",
            Self::Unchecked { .. } => return "unchecked",
            Self::Signed { signatures } => signatures,
        };
        let any = |is: fn(&PdfSignature) -> bool| signatures.iter().any(is);
        if any(|signature| signature.digest == DigestState::Changed) {
            "changed"
        } else if any(PdfSignature::is_broken) {
            "broken"
        } else if signatures.is_empty() || !signatures.iter().all(PdfSignature::is_sound) {
            "unchecked"
        } else if any(|signature| signature.coverage == Coverage::WholeFile) {
            "intact"
        } else {
            "partial"
        }
    }
}

impl PdfSignatures {
    /// Why nothing is known, in one word; of signatures, the first that could not be checked.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Unreadable { why } => Some(why.as_str()),
            Self::Unchecked { why } => Some(why.as_str()),
            Self::Signed { signatures } => {
                signatures
                    .iter()
                    .find_map(|signature| match (signature.digest, signature.signature) {
                        (DigestState::Unchecked { why }, _) | (_, ValueState::Unchecked { why }) => {
                            Some(why.as_str())
                        }
                        _ => None,
                    })
            }
        }
    }
}

impl Unreadable {
    /// The word in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Damaged => "damaged",
            Self::Encrypted => "encrypted",
            Self::TooManyObjects => "too-many-objects",
            Self::TooManySignatures => "too-many-signatures",
            Self::Inflates => "inflates",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Crash => "crash",
        }
    }
}

impl NotInspected {
    /// The word in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "too-large",
            Self::Busy => "busy",
            Self::NoWorker => "no-worker",
        }
    }
}

impl Unchecked {
    /// The word in JSON and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha1 => "sha-1",
            Self::Algorithm => "algorithm",
            Self::WeakKey => "weak-key",
            Self::Certificate => "certificate",
            Self::Form => "form",
            Self::Kind => "kind",
            Self::TooLarge => "too-large",
            Self::Signers => "signers",
            Self::ByteRange => "byte-range",
        }
    }
}

impl PdfSignature {
    /// The covered bytes are those that were signed, and the value fits the certificate.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.digest == DigestState::Intact && self.signature == ValueState::Holds && !self.is_broken()
    }

    /// Something about it contradicts itself, although the covered bytes may be unchanged.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.signature == ValueState::Broken
            || self.coverage == Coverage::Hole
            || self.binding == Binding::Other
    }
}

impl SubFilter {
    /// The word in tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pades => "pades",
            Self::Pkcs7Detached => "adbe.pkcs7.detached",
            Self::Pkcs7Sha1 => "adbe.pkcs7.sha1",
            Self::TimeStamp => "time-stamp",
            Self::Other => "other",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound(coverage: Coverage) -> PdfSignature {
        PdfSignature {
            kind: SubFilter::Pades,
            digest: DigestState::Intact,
            signature: ValueState::Holds,
            coverage,
            signer: None,
            certificate: None,
            binding: Binding::Bound,
            signed_at: None,
            algorithm: None,
        }
    }

    fn word(signatures: Vec<PdfSignature>) -> &'static str {
        PdfSignatures::Signed { signatures }.word()
    }

    #[test]
    fn the_worst_signature_decides() {
        let whole = sound(Coverage::WholeFile);
        let part = sound(Coverage::Partial { bytes_after: 1 });
        let hole = sound(Coverage::Hole);
        let changed = PdfSignature {
            digest: DigestState::Changed,
            ..whole.clone()
        };
        let broken = PdfSignature {
            signature: ValueState::Broken,
            ..whole.clone()
        };
        let other = PdfSignature {
            binding: Binding::Other,
            ..whole.clone()
        };
        let sha1 = PdfSignature {
            signature: ValueState::Unchecked { why: Unchecked::Sha1 },
            ..whole.clone()
        };
        assert_eq!(word(vec![part.clone(), whole.clone()]), "intact");
        assert_eq!(word(vec![part.clone(), part.clone()]), "partial");
        assert_eq!(word(vec![whole.clone(), hole]), "broken");
        assert_eq!(word(vec![other]), "broken");
        assert_eq!(word(vec![broken.clone(), sha1.clone()]), "broken");
        assert_eq!(word(vec![broken, changed, sha1.clone()]), "changed");
        assert_eq!(word(vec![whole, sha1]), "unchecked");
        assert_eq!(word(Vec::new()), "unchecked");
    }

    #[test]
    fn every_word_is_listed() {
        let all = [
            PdfSignatures::None,
            PdfSignatures::Unreadable {
                why: Unreadable::Damaged,
            },
            PdfSignatures::Unchecked {
                why: NotInspected::Busy,
            },
        ];
        for found in all {
            assert!(PdfSignatures::WORDS.contains(&found.word()));
        }
    }

    #[test]
    fn json_reads_back_and_has_kebab_words() {
        let found = PdfSignatures::Signed {
            signatures: vec![PdfSignature {
                signature: ValueState::Unchecked { why: Unchecked::Sha1 },
                kind: SubFilter::Pkcs7Detached,
                ..sound(Coverage::Partial { bytes_after: 12 })
            }],
        };
        let json = serde_json::to_value(&found).unwrap();
        assert_eq!(json["state"], "signed");
        assert_eq!(json["signatures"][0]["kind"], "adbe.pkcs7.detached");
        assert_eq!(json["signatures"][0]["coverage"]["state"], "partial");
        assert_eq!(json["signatures"][0]["coverage"]["bytes_after"], 12);
        assert_eq!(json["signatures"][0]["signature"]["why"], "sha-1");
        assert_eq!(serde_json::from_value::<PdfSignatures>(json).unwrap(), found);
        for filter in [
            SubFilter::Pades,
            SubFilter::Pkcs7Detached,
            SubFilter::Pkcs7Sha1,
            SubFilter::TimeStamp,
            SubFilter::Other,
        ] {
            assert_eq!(serde_json::to_value(filter).unwrap(), filter.as_str());
        }
        for why in [
            Unreadable::Damaged,
            Unreadable::Encrypted,
            Unreadable::TooManyObjects,
            Unreadable::TooManySignatures,
            Unreadable::Inflates,
            Unreadable::Time,
            Unreadable::Memory,
            Unreadable::Crash,
        ] {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
            assert_eq!(PdfSignatures::Unreadable { why }.reason(), Some(why.as_str()));
        }
        for why in [NotInspected::TooLarge, NotInspected::Busy, NotInspected::NoWorker] {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
        for why in [
            Unchecked::Sha1,
            Unchecked::Algorithm,
            Unchecked::WeakKey,
            Unchecked::Certificate,
            Unchecked::Form,
            Unchecked::Kind,
            Unchecked::TooLarge,
            Unchecked::Signers,
            Unchecked::ByteRange,
        ] {
            assert_eq!(serde_json::to_value(why).unwrap(), why.as_str());
        }
    }
}
