//! What a check of an XML signature comes to, in words that stay.

use std::fmt;

pub use truc_model::SignatureStrength as Strength;
use truc_model::{Place, RefusalCode, Sha256, SignatureState};

use super::{Canonicalization, DigestAlgorithm, SignatureAlgorithm};

/// The verdict on the XML signature of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DsigVerdict {
    /// There is none.
    Absent {
        /// What there is instead.
        why: AbsentReason,
    },
    /// There is one, and it does not hold.
    Invalid(Box<InvalidDsig>),
    /// It holds: these bytes, but for comments, were signed by this certificate's key.
    Valid(Box<ValidDsig>),
}

/// What stands where a signature could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AbsentReason {
    /// Nothing.
    None,
    /// A `Signature` or `DigitalSignature` in the format's own namespace: the Java SDK writes it so, and it
    /// signs nothing that XML Signature knows.
    EdxmlNamespace,
    /// An empty element.
    Empty,
}

/// Why a signature does not hold: the first finding, in the order form, algorithms, digest, signature,
/// certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidDsig {
    /// The rule.
    pub reason: DsigReason,
    /// Where.
    pub place: Place,
    /// What would have held.
    pub expected: String,
    /// What there is. Never quotes names or values of the packet, but for digests and identifiers.
    pub found: String,
}

/// The proof that a signature held: only [`super::verify`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidDsig {
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) canonicalization: Canonicalization,
    pub(super) digest: DigestAlgorithm,
    pub(super) thumbprint: Sha256,
    pub(super) signer: String,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $word:literal $vi:literal $en:literal,)*) => {
        /// The rule that a signature broke. The words are stable; `docs/reference/xml-signature.md` explains each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum DsigReason {
            $($(#[$doc])* $variant,)*
            /// The signer's certificate: one of the codes `certificate-…`, as for seals.
            Certificate(RefusalCode),
        }

        impl DsigReason {
            /// All but [`DsigReason::Certificate`].
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)*
                    Self::Certificate(code) => code.as_str(),
                }
            }

            /// What it means, in Vietnamese and English.
            #[must_use]
            pub fn sentences(self) -> (&'static str, &'static str) {
                match self {
                    $(Self::$variant => ($vi, $en),)*
                    Self::Certificate(code) => code.sentences(),
                }
            }
        }
    };
}

reasons! {
    /// Not well-formed XML 1.0 in UTF-8 with namespaces, to the letter.
    NotXml "dsig-not-xml"
        "Gói tin có chữ ký nhưng không đúng chuẩn XML, nên không thể kiểm tra chữ ký."
        "The signed packet is not well-formed XML, so its signature cannot be checked.",
    /// A DOCTYPE.
    Doctype "dsig-doctype"
        "Gói tin có DOCTYPE, không được chấp nhận."
        "The packet has a DOCTYPE, which is not accepted.",
    /// Beyond a limit of the reader or of this verifier.
    Limit "dsig-limit"
        "Gói tin hoặc chữ ký vượt quá giới hạn."
        "The packet or its signature is beyond a limit.",
    /// Not the last child of `edXMLHeader`, or parts of a signature elsewhere.
    Misplaced "dsig-misplaced"
        "Chữ ký không nằm ở cuối edXMLHeader."
        "The signature is not the last child of edXMLHeader.",
    /// More than one.
    Several "dsig-several"
        "Gói tin có nhiều hơn một chữ ký."
        "The packet has more than one signature.",
    /// An element, attribute or text that the strict form of a signature does not have.
    Form "dsig-form"
        "Cấu trúc của chữ ký không đúng quy định."
        "The signature is not of the form that is accepted.",
    /// An `Object`.
    Object "dsig-object"
        "Chữ ký có phần tử Object, không được chấp nhận."
        "The signature holds an Object, which is not accepted.",
    /// A key to be fetched from elsewhere, or of a kind that is not X.509.
    KeyInfo "dsig-key-info"
        "Chữ ký chỉ dẫn tới khóa bằng cách không được chấp nhận."
        "The signature names its key in a way that is not accepted.",
    /// No `Reference`, or more than one.
    References "dsig-references"
        "Chữ ký phải có đúng một Reference."
        "The signature must have exactly one Reference.",
    /// A `Reference` to anything but the whole packet.
    ReferenceUri "dsig-reference-uri"
        "Chữ ký không ký lên toàn bộ gói tin (URI phải rỗng)."
        "The signature does not cover the whole packet (its URI must be empty).",
    /// Transforms other than enveloped-signature and one canonicalisation.
    Transform "dsig-transform"
        "Chữ ký dùng phép biến đổi không được chấp nhận."
        "The signature uses a transform that is not accepted.",
    /// An unknown canonicalisation of `SignedInfo`.
    Canonicalization "dsig-canonicalization"
        "Chữ ký dùng phép chuẩn hóa XML không được chấp nhận."
        "The signature uses a canonicalisation that is not accepted.",
    /// An unknown digest.
    DigestAlgorithm "dsig-digest-algorithm"
        "Chữ ký dùng thuật toán băm không được chấp nhận."
        "The signature uses a digest algorithm that is not accepted.",
    /// An unknown signature algorithm, HMAC among them.
    SignatureAlgorithm "dsig-signature-algorithm"
        "Chữ ký dùng thuật toán ký không được chấp nhận."
        "The signature uses a signature algorithm that is not accepted.",
    /// SHA-1, and the policy does not allow it.
    Sha1 "dsig-sha1"
        "Chữ ký dùng SHA-1, chính sách không cho phép."
        "The signature uses SHA-1, which the policy does not allow.",
    /// A value that is no base64, of the wrong length, or a placeholder.
    Value "dsig-value"
        "Giá trị trong chữ ký bị hỏng, bị cắt hoặc chỉ là giá trị mẫu."
        "A value in the signature is broken, cut off or a placeholder.",
    /// The packet is not the one that was signed.
    Digest "dsig-digest"
        "Nội dung gói tin đã bị thay đổi sau khi ký."
        "The packet was changed after it was signed.",
    /// The signature value is not of any of the certificates' keys.
    Signature "dsig-signature"
        "Giá trị chữ ký không đúng với chứng thư."
        "The signature value was not made with the certificate's key.",
    /// No certificate to verify with.
    CertificateMissing "dsig-certificate-missing"
        "Chữ ký không kèm chứng thư."
        "The signature comes without a certificate.",
    /// A certificate that cannot be read.
    CertificateUnreadable "dsig-certificate-unreadable"
        "Không đọc được chứng thư kèm theo chữ ký."
        "The certificate in the signature cannot be read.",
    /// The certificate's key is of another kind than the algorithm.
    KeyKind "dsig-key-kind"
        "Khóa của chứng thư không dùng được với thuật toán ký."
        "The certificate's key does not go with the signature algorithm.",
}

impl ValidDsig {
    /// The signature algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// How the packet was written to be digested.
    #[must_use]
    pub const fn canonicalization(&self) -> Canonicalization {
        self.canonicalization
    }

    /// The digest of the packet.
    #[must_use]
    pub const fn digest(&self) -> DigestAlgorithm {
        self.digest
    }

    /// SHA-256 of the signer's certificate.
    #[must_use]
    pub const fn thumbprint(&self) -> Sha256 {
        self.thumbprint
    }

    /// The common name in the signer's certificate; `serial …` when it has none.
    #[must_use]
    pub fn signer(&self) -> &str {
        &self.signer
    }

    /// Whether SHA-1 had a part in it.
    #[must_use]
    pub const fn strength(&self) -> Strength {
        match (self.algorithm, self.digest) {
            (SignatureAlgorithm::RsaSha1, _) | (_, DigestAlgorithm::Sha1) => Strength::LegacySha1,
            _ => Strength::Current,
        }
    }
}

impl AbsentReason {
    /// Its word: `none`, `edxml-namespace`, `empty`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::EdxmlNamespace => "edxml-namespace",
            Self::Empty => "empty",
        }
    }
}

impl fmt::Display for DsigReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<DsigVerdict> for SignatureState {
    /// SHA-1 is said as strength and in the algorithm's name. XML signatures of this form bear no time: times stand in
    /// an `Object`, which is not accepted.
    fn from(verdict: DsigVerdict) -> Self {
        match verdict {
            DsigVerdict::Absent { .. } => Self::Absent,
            DsigVerdict::Invalid(invalid) => Self::Invalid {
                reason: invalid.reason.as_str().to_owned(),
            },
            DsigVerdict::Valid(valid) => Self::Valid {
                strength: valid.strength(),
                algorithm: match valid.algorithm {
                    SignatureAlgorithm::RsaSha1 => valid.algorithm.to_string(),
                    other if valid.digest == DigestAlgorithm::Sha1 => format!("{other} (sha1)"),
                    other => other.to_string(),
                },
                certificate: valid.thumbprint.to_string(),
                signer: valid.signer,
                signed_at: None,
            },
        }
    }
}
