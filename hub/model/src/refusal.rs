//! Refusals (*từ chối*): one closed, ordered list of codes, and what an answer says.
//!
//! Codes stand in order of precedence: of several findings about one submission the first in this list
//! decides, so the same packet always gets the same code. Each has a page in `docs/reference/refusals/`.
//! A refusal says where, what was expected and what came, who must act, and whether a retry can help.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Actor {
    /// The sending agency's clerk (*văn thư đơn vị gửi*).
    SenderClerk,
    /// Whoever runs the sending system (*quản trị hệ thống gửi*).
    SenderIt,
    /// The hub's operator (*cán bộ vận hành trục*).
    HubOperator,
}

impl Actor {
    /// Vietnamese and English label.
    #[must_use]
    pub const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::SenderClerk => ("văn thư đơn vị gửi", "the sender's clerk"),
            Self::SenderIt => ("quản trị hệ thống gửi", "the sender's IT staff"),
            Self::HubOperator => ("cán bộ vận hành trục", "the hub's operator"),
        }
    }
}

/// Whether sending again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Never with these bytes: correct the packet and send it under a new `message_id`.
    AfterCorrection,
    /// The same bytes can pass once something else is put right (a certificate, the directory).
    SameBytesLater,
    /// Not needed: what was asked for has no object.
    Never,
}

impl Retry {
    /// Vietnamese and English sentence.
    #[must_use]
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::AfterCorrection => (
                "Sửa lỗi rồi gửi lại như một lần gửi mới.",
                "Correct it, then send it again as a new submission.",
            ),
            Self::SameBytesLater => (
                "Có thể gửi lại nguyên vẹn sau khi nguyên nhân được khắc phục.",
                "The same packet can be sent again once the cause is put right.",
            ),
            Self::Never => ("Gửi lại không có tác dụng.", "Sending again does not help."),
        }
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $actor:ident, $retry:ident, $vi:literal, $en:literal;)*) => {
        /// The closed list of refusal codes, in order of precedence.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum RefusalCode {
            $($(#[$doc])* $variant,)*
        }

        impl RefusalCode {
            /// All of them, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word: in answers, events, metrics, and the name of its page.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Who must act.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self { $(Self::$variant => Actor::$actor,)* }
            }

            /// Whether sending again can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$variant => Retry::$retry,)* }
            }

            /// One Vietnamese and one English sentence.
            #[must_use]
            pub const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($vi, $en),)* }
            }
        }
    };
}

refusals! {
    /// No `user_id`, or no registered system of that name.
    SystemUnknown = "system-unknown", SenderIt, SameBytesLater,
        "Thông điệp không mang tên hệ thống đã đăng ký (thuộc tính user_id).",
        "The message does not name a registered system (property user_id).";
    /// The system is registered but switched off.
    SystemDisabled = "system-disabled", HubOperator, SameBytesLater,
        "Hệ thống gửi đang bị tạm khóa trên trục.",
        "The sending system is switched off at the hub.";
    /// `message_id` is absent or no UUID.
    MessageIdMissing = "message-id-missing", SenderIt, AfterCorrection,
        "Thông điệp thiếu message_id dạng UUID, nên không thể nhận biết lần gửi lặp.",
        "The message has no message_id in UUID form, so a repeat could not be recognised.";
    /// AMQP `type` does not say what the queue is for.
    MessageTypeUnknown = "message-type-unknown", SenderIt, AfterCorrection,
        "Thuộc tính type của thông điệp không đúng với khóa định tuyến.",
        "The message's type property does not agree with its routing key.";
    /// No bytes at all.
    BodyEmpty = "body-empty", SenderIt, AfterCorrection,
        "Thông điệp không có nội dung.",
        "The message has no body.";
    /// More bytes than the hub takes.
    BodyTooLarge = "body-too-large", SenderClerk, AfterCorrection,
        "Gói tin vượt quá dung lượng cho phép của trục.",
        "The packet is larger than the hub accepts.";
    /// `truc-body` is not of the form it must have.
    BodyReferenceMalformed = "body-reference-malformed", SenderIt, AfterCorrection,
        "Tiêu đề truc-body không đúng dạng sha256:<64 chữ số hex>;size=<số byte>.",
        "The header truc-body is not of the form sha256:<64 hex digits>;size=<bytes>.";
    /// The message names a body apart, and has bytes of its own or is of a kind that travels whole.
    BodyReferenceUnfit = "body-reference-unfit", SenderIt, AfterCorrection,
        "Thông điệp này không được mang tiêu đề truc-body: đã có nội dung, hoặc thuộc loại phải gửi kèm nội dung.",
        "This message must not name a body apart: it has bytes of its own, or is of a kind that travels whole.";
    /// This system has no such body in the store.
    BodyMissing = "body-missing", SenderIt, SameBytesLater,
        "Hệ thống gửi chưa tải lên trục nội dung mà thông điệp nêu; hãy tải lên rồi gửi lại.",
        "The sending system has not uploaded the body that the message names: upload it, then send again.";
    /// The body has another size than the message says.
    BodySizeDiffers = "body-size-differs", SenderIt, AfterCorrection,
        "Nội dung đã tải lên có dung lượng khác với điều thông điệp nêu.",
        "The uploaded body has another size than the message says.";
    /// The same `message_id` came before with other bytes.
    MessageIdConflict = "message-id-conflict", SenderIt, AfterCorrection,
        "message_id này đã được dùng cho một gói tin có nội dung khác.",
        "This message_id was already used for a packet with other bytes.";
    /// `truc-seal` is not a compact JWS.
    SealMalformed = "seal-malformed", SenderIt, AfterCorrection,
        "Dấu niêm (truc-seal) không phải là JWS dạng rút gọn hợp lệ.",
        "The seal (truc-seal) is not a valid compact JWS.";
    /// Its algorithm is not one of RS256, PS256, ES256, EdDSA.
    SealAlgorithm = "seal-algorithm", SenderIt, AfterCorrection,
        "Thuật toán của dấu niêm không được chấp nhận.",
        "The seal's algorithm is not accepted.";
    /// `iss`, `jti`, `iat` or `size` do not fit the message.
    SealClaims = "seal-claims", SenderIt, AfterCorrection,
        "Các thông tin trong dấu niêm không khớp với thông điệp.",
        "The seal's claims do not fit the message.";
    /// `sha-256` is not that of the body: the bytes changed after sealing.
    SealBodyMismatch = "seal-body-mismatch", SenderIt, AfterCorrection,
        "Nội dung gói tin đã thay đổi sau khi niêm: mã băm không khớp.",
        "The packet changed after it was sealed: its digest differs.";
    /// `x5t#S256` names no certificate of this system.
    CertificateUnknown = "certificate-unknown", SenderIt, SameBytesLater,
        "Chứng thư của dấu niêm chưa được đăng ký cho hệ thống gửi.",
        "The seal's certificate is not registered for the sending system.";
    /// The signature does not verify under the certificate's key.
    SealSignature = "seal-signature", SenderIt, AfterCorrection,
        "Chữ ký của dấu niêm không đúng với chứng thư.",
        "The seal's signature does not verify under its certificate.";
    /// The certificate does not chain to a configured anchor.
    CertificateUntrusted = "certificate-untrusted", SenderIt, SameBytesLater,
        "Chứng thư không do tổ chức chứng thực được trục tin cậy cấp.",
        "The certificate does not chain to an authority this hub trusts.";
    /// Signed before the certificate's notBefore.
    CertificateNotYetValid = "certificate-not-yet-valid", SenderIt, SameBytesLater,
        "Chứng thư chưa có hiệu lực vào thời điểm ký.",
        "The certificate was not yet valid when the seal was made.";
    /// Signed after the certificate's notAfter.
    CertificateExpired = "certificate-expired", SenderIt, SameBytesLater,
        "Chứng thư đã hết hạn vào thời điểm ký.",
        "The certificate had expired when the seal was made.";
    /// On a revocation list.
    CertificateRevoked = "certificate-revoked", SenderIt, SameBytesLater,
        "Chứng thư đã bị thu hồi.",
        "The certificate has been revoked.";
    /// Key usage or extended key usage forbids signing, or it is a CA's.
    CertificateUsage = "certificate-usage", SenderIt, SameBytesLater,
        "Chứng thư không được cấp để ký văn bản.",
        "The certificate was not issued for signing documents.";
    /// RSA below 2048 bits, or an unsupported curve.
    CertificateWeakKey = "certificate-weak-key", SenderIt, SameBytesLater,
        "Khóa của chứng thư quá yếu hoặc không thuộc loại được hỗ trợ.",
        "The certificate's key is too weak or of an unsupported kind.";
    /// Not UTF-8.
    EnvelopeEncoding = "envelope-encoding", SenderIt, AfterCorrection,
        "Gói tin không phải là văn bản UTF-8.",
        "The packet is not UTF-8 text.";
    /// DOCTYPE or entity declarations.
    EnvelopeDoctype = "envelope-doctype", SenderIt, AfterCorrection,
        "Gói tin chứa khai báo DOCTYPE, không được chấp nhận vì an toàn.",
        "The packet holds a DOCTYPE, which is refused for safety.";
    /// A character XML does not allow.
    EnvelopeControlCharacter = "envelope-control-character", SenderIt, AfterCorrection,
        "Gói tin chứa ký tự điều khiển mà XML không cho phép.",
        "The packet holds a control character that XML does not allow.";
    /// Not well-formed XML.
    EnvelopeMalformed = "envelope-malformed", SenderIt, AfterCorrection,
        "Gói tin không phải là XML hợp lệ.",
        "The packet is not well-formed XML.";
    /// Depth, attributes, elements or sizes beyond the reader's limits.
    EnvelopeLimit = "envelope-limit", SenderIt, AfterCorrection,
        "Gói tin vượt quá một giới hạn cấu trúc của trục.",
        "The packet exceeds one of the hub's structural limits.";
    /// The root is no edXML.
    EnvelopeUnknownRoot = "envelope-unknown-root", SenderIt, AfterCorrection,
        "Tài liệu XML này không phải là gói tin edXML.",
        "This XML document is not an edXML packet.";
    /// The transport says document, the content says status, or the reverse.
    EnvelopeKindMismatch = "envelope-kind-mismatch", SenderIt, AfterCorrection,
        "Loại gói tin không khớp với loại đã khai khi gửi.",
        "The packet is not of the kind that the message declares.";
    /// A required element is absent or empty.
    EnvelopeMissingElement = "envelope-missing-element", SenderIt, AfterCorrection,
        "Gói tin thiếu một thành phần bắt buộc.",
        "A required element is missing.";
    /// An element's value cannot be read.
    EnvelopeBadValue = "envelope-bad-value", SenderIt, AfterCorrection,
        "Một thành phần của gói tin có giá trị không đọc được.",
        "An element's value cannot be read.";
    /// The XML signature inside the packet does not hold, and nothing else answers for the bytes.
    XmlSignatureInvalid = "xml-signature-invalid", SenderIt, AfterCorrection,
        "Chữ ký XML trong gói tin không hợp lệ, và không có dấu niêm thay cho nó.",
        "The XML signature inside the packet does not hold, and there is no seal in its place.";
    /// Neither seal nor XML signature, and the system's policy asks for one.
    SealMissing = "seal-missing", SenderIt, AfterCorrection,
        "Gói tin chưa được ký: thiếu dấu niêm truc-seal mà trục yêu cầu với hệ thống này.",
        "The submission is not signed: the seal truc-seal, which the hub asks of this system, is missing.";
    /// `From` names no agency of the directory.
    SenderCodeUnknown = "sender-code-unknown", SenderIt, SameBytesLater,
        "Mã định danh đơn vị gửi không có trong danh mục.",
        "The sender's agency code is not in the directory.";
    /// `From` is an agency that the calling system does not serve.
    SenderNotServed = "sender-not-served", SenderIt, SameBytesLater,
        "Hệ thống gửi không được phép gửi thay cho đơn vị ghi trong mục From.",
        "The calling system does not serve the agency named in From.";
    /// No `To` at all.
    RecipientMissing = "recipient-missing", SenderClerk, AfterCorrection,
        "Văn bản không có nơi nhận.",
        "The document has no recipient.";
    /// More recipients than the hub takes in one packet.
    RecipientLimit = "recipient-limit", SenderClerk, AfterCorrection,
        "Văn bản có quá nhiều nơi nhận trong một gói tin.",
        "The packet names more recipients than the hub accepts.";
    /// A document without an attachment.
    AttachmentMissing = "attachment-missing", SenderClerk, AfterCorrection,
        "Văn bản không có tệp đính kèm.",
        "The document has no attachment.";
    /// Content that is not base64.
    AttachmentNotBase64 = "attachment-not-base64", SenderIt, AfterCorrection,
        "Nội dung tệp đính kèm không phải là base64.",
        "An attachment's content is not base64.";
    /// Manifest and attachments do not belong together.
    AttachmentLink = "attachment-link", SenderIt, AfterCorrection,
        "Danh mục tệp đính kèm không khớp với các tệp gửi kèm.",
        "The manifest and the attachments do not belong together.";
    /// A PDF that was passed through a text decoder.
    AttachmentDamaged = "attachment-damaged", SenderIt, AfterCorrection,
        "Tệp đính kèm bị hỏng khi đóng gói, chữ ký bên trong không thể kiểm tra được nữa.",
        "An attachment was damaged when it was packed; the signature inside can no longer be checked.";
    /// The packet already passed this hub.
    Loop = "loop", HubOperator, Never,
        "Gói tin đã đi qua trục này, có vòng lặp định tuyến.",
        "The packet has already passed this hub: there is a routing loop.";
    /// The document's identity is taken, and the system's policy is to refuse.
    IdentityConflict = "identity-conflict", SenderClerk, AfterCorrection,
        "Mã định danh văn bản này đã được dùng cho một văn bản khác của cùng đơn vị gửi.",
        "This DocumentId already belongs to another document of the same sender.";
    /// A recall or update names no document known here.
    ChangeUnknownDocument = "change-unknown-document", SenderClerk, AfterCorrection,
        "Không tìm thấy văn bản cần thu hồi hoặc cập nhật.",
        "The document to recall or update is not known here.";
    /// A recall or update of a document that another agency sent.
    ChangeNotSender = "change-not-sender", SenderClerk, Never,
        "Chỉ đơn vị đã gửi văn bản mới được thu hồi hoặc cập nhật văn bản đó.",
        "Only the agency that sent a document may recall or update it.";
    /// None of the agencies that a recall addresses was a recipient.
    RecallNobody = "recall-nobody", SenderClerk, AfterCorrection,
        "Không nơi nhận nào ghi trong gói tin thu hồi từng được gửi văn bản này.",
        "None of the agencies the recall is addressed to was a recipient of the document.";
    /// Every recipient a recall addresses is already asked, or the document was already withdrawn there.
    RecallRepeated = "recall-repeated", SenderClerk, Never,
        "Văn bản đã được thu hồi, hoặc đang chờ trả lời thu hồi, ở mọi nơi nhận ghi trong gói tin.",
        "The document is already recalled, or its recall is waiting for an answer, at every agency addressed.";
    /// An update of a document that is recalled at every recipient it addresses.
    UpdateOfRecalled = "update-of-recalled", SenderClerk, Never,
        "Văn bản cần cập nhật đã bị thu hồi ở mọi nơi nhận.",
        "The document to update is recalled at every recipient.";
    /// Not one of the nine status codes.
    StatusCodeUnknown = "status-code-unknown", SenderIt, AfterCorrection,
        "Mã trạng thái không thuộc danh mục (01–06, 13, 15, 16).",
        "The status code is not one of 01–06, 13, 15, 16.";
    /// 02, 13 or 16 without a reason, where the system's policy asks for one.
    StatusReasonMissing = "status-reason-missing", SenderClerk, AfterCorrection,
        "Trạng thái này phải nêu lý do (Description).",
        "This status must give its reason (Description).";
    /// It speaks of a document the hub does not know.
    StatusUnknownDocument = "status-unknown-document", SenderIt, Never,
        "Không tìm thấy văn bản mà trạng thái này phản hồi.",
        "The document this status speaks of is not known here.";
    /// It comes from an agency that is no party to the document.
    StatusStranger = "status-stranger", SenderIt, Never,
        "Đơn vị báo trạng thái không phải là bên gửi hoặc bên nhận của văn bản.",
        "The reporting agency is not a party to this document.";
    /// `taken` is not the JSON it should be.
    TakenMalformed = "taken-malformed", SenderIt, AfterCorrection,
        "Thông điệp taken không đúng lược đồ.",
        "The taken message does not follow its schema.";
}

/// Not a refusal code's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a refusal code")]
pub struct NotARefusalCode;

impl RefusalCode {
    /// From the word.
    ///
    /// # Errors
    /// [`NotARefusalCode`] when there is none.
    pub fn from_word(word: &str) -> Result<Self, NotARefusalCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == word)
            .ok_or(NotARefusalCode)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RefusalCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RefusalCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_word(&word).map_err(serde::de::Error::custom)
    }
}

/// Where a finding is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Place {
    /// In the packet.
    Element {
        /// Local names from the root, e.g. `edXML/edXMLEnvelope/edXMLHeader/MessageHeader/To[2]/OrganId`.
        path: String,
        /// Line, from 1. 0 when the element is absent.
        line: u32,
        /// Column in characters, from 1. 0 when the element is absent.
        column: u32,
    },
    /// In an AMQP property or header.
    Header {
        /// Its name.
        name: String,
    },
    /// In a certificate.
    Certificate {
        /// The field, e.g. `notAfter`.
        field: String,
    },
    /// In the seal.
    Seal {
        /// `header`, `signature`, or the claim's name.
        part: String,
    },
    /// In a JSON body.
    Json {
        /// JSON pointer (RFC 6901), or a message of the parser.
        pointer: String,
    },
    /// The whole message.
    Message,
}

impl Place {
    /// A header or property by name.
    #[must_use]
    pub fn header(name: &str) -> Self {
        Self::Header {
            name: name.to_owned(),
        }
    }

    /// A part of the seal by name.
    #[must_use]
    pub fn seal(part: &str) -> Self {
        Self::Seal {
            part: part.to_owned(),
        }
    }

    /// A certificate's field by name.
    #[must_use]
    pub fn certificate(field: &str) -> Self {
        Self::Certificate {
            field: field.to_owned(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element { path, line: 0, .. } => write!(f, "{path}"),
            Self::Element { path, line, column } => write!(f, "{path} ({line}:{column})"),
            Self::Header { name } => write!(f, "header {name}"),
            Self::Certificate { field } => write!(f, "certificate {field}"),
            Self::Seal { part } => write!(f, "seal {part}"),
            Self::Json { pointer } => write!(f, "json {pointer}"),
            Self::Message => f.write_str("message"),
        }
    }
}

/// One finding that refuses a submission.
///
/// `expected` and `found` may quote codes, names of elements, numbers and digests; never subjects,
/// persons or other content of the document: refusals are logged and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The code.
    pub code: RefusalCode,
    /// Where.
    #[serde(rename = "where")]
    pub place: Place,
    /// What was expected.
    pub expected: String,
    /// What came. Cut to [`Refusal::FOUND_MAX`] characters.
    pub found: String,
}

impl Refusal {
    /// Longest `found`, in characters.
    pub const FOUND_MAX: usize = 120;

    /// A finding; `found` is cut to its limit.
    #[must_use]
    pub fn new(
        code: RefusalCode,
        place: Place,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        let found: String = found.into();
        let found = match found.char_indices().nth(Self::FOUND_MAX) {
            Some((end, _)) => format!("{}…", &found[..end]),
            None => found,
        };
        Self {
            code,
            place,
            expected: expected.into(),
            found,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {}: expected {}, found {}",
            self.code, self.place, self.expected, self.found
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        for (rank, code) in RefusalCode::ALL.iter().enumerate() {
            assert_eq!(RefusalCode::from_word(code.as_str()), Ok(*code));
            assert!(RefusalCode::ALL[..rank].iter().all(|earlier| earlier < code));
            let (vi, en) = code.sentences();
            assert!(vi.ends_with('.') && en.ends_with('.'), "{code}");
        }
        assert!(RefusalCode::from_word("nonsense").is_err());
    }

    #[test]
    fn found_is_cut_at_its_limit() {
        let exact = "đ".repeat(Refusal::FOUND_MAX);
        assert_eq!(
            Refusal::new(RefusalCode::Loop, Place::Message, "", exact.clone()).found,
            exact
        );
        let cut = Refusal::new(RefusalCode::Loop, Place::Message, "", format!("{exact}đ")).found;
        assert_eq!(cut, format!("{exact}…"));
    }
}
