//! Large bodies (*tệp lớn*) that travel beside a message: one closed, ordered list of what can go wrong when they
//! are sent or fetched over HTTP, and what the answer says. In words: `docs/reference/bodies.md`.
//!
//! A problem is an answer to one HTTP request, not to a submission: nothing of it stands in the ledger. Who reads
//! it is a program that sends bytes, so it says above all whether to go on, wait or stop.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::refusal::Actor;

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NextTry {
    /// Ask how far the upload is, and go on from there.
    Resume,
    /// The same request again after a wait; `Retry-After` says how long when the hub knows.
    Later,
    /// Not before something is put right: the request, the bytes, the account.
    AfterCorrection,
}

impl NextTry {
    /// Vietnamese and English sentence.
    #[must_use]
    pub const fn sentences(self) -> (&'static str, &'static str) {
        match self {
            Self::Resume => (
                "Hỏi lại vị trí đã nhận (HEAD) rồi gửi tiếp từ đó.",
                "Ask how far the upload is (HEAD), then go on from there.",
            ),
            Self::Later => (
                "Gửi lại chính yêu cầu này sau một khoảng chờ.",
                "Send the same request again after a wait.",
            ),
            Self::AfterCorrection => (
                "Chỉ gửi lại sau khi đã sửa nguyên nhân.",
                "Send again only after the cause is corrected.",
            ),
        }
    }
}

macro_rules! problems {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $status:literal, $actor:ident, $next:ident, $vi:literal, $en:literal;)*) => {
        /// The closed list of problems, in the order in which a request is judged.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum BodyProblemCode {
            $($(#[$doc])* $variant,)*
        }

        impl BodyProblemCode {
            /// All of them, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// The HTTP status it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// Who must act.
            #[must_use]
            pub const fn actor(self) -> Actor {
                match self { $(Self::$variant => Actor::$actor,)* }
            }

            /// What a client does next.
            #[must_use]
            pub const fn next(self) -> NextTry {
                match self { $(Self::$variant => NextTry::$next,)* }
            }

            /// One Vietnamese and one English sentence.
            #[must_use]
            pub const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($vi, $en),)* }
            }
        }
    };
}

problems! {
    /// No or unreadable `Authorization: Basic`.
    CredentialsMissing = "credentials-missing", 401, SenderIt, AfterCorrection,
        "Yêu cầu thiếu tên hệ thống và mật khẩu (HTTP Basic).",
        "The request has no system id and password (HTTP Basic).";
    /// Too many failed logins from this address under this name.
    LoginsLimited = "logins-limited", 429, SenderIt, Later,
        "Có quá nhiều lần đăng nhập sai; tạm dừng kiểm tra mật khẩu.",
        "There were too many failed logins; passwords are not checked for a while.";
    /// The broker is away, so nobody can say who is asking.
    CredentialsUnchecked = "credentials-unchecked", 503, HubOperator, Later,
        "Trục chưa kiểm tra được mật khẩu vì RabbitMQ không trả lời.",
        "The password cannot be checked now: the broker does not answer.";
    /// The broker does not take them.
    CredentialsRefused = "credentials-refused", 401, SenderIt, AfterCorrection,
        "Tên hệ thống hoặc mật khẩu không đúng.",
        "The system id or the password is wrong.";
    /// A broker user that is no registered system, or one that is switched off.
    SystemNotServed = "system-not-served", 403, HubOperator, AfterCorrection,
        "Tài khoản này không phải là hệ thống đang hoạt động trên trục.",
        "This account is not a system that is switched on at the hub.";
    /// No such path.
    PathUnknown = "path-unknown", 404, SenderIt, AfterCorrection,
        "Đường dẫn không tồn tại; chỉ có /bodies/<sha256>.",
        "There is no such path; there is /bodies/<sha256> only.";
    /// The path is not `/bodies/` and 64 lower-case hexadecimal digits.
    DigestMalformed = "digest-malformed", 400, SenderIt, AfterCorrection,
        "Đường dẫn không chứa mã băm SHA-256 gồm 64 chữ số thập lục phân viết thường.",
        "The path does not hold a SHA-256 of 64 lower-case hexadecimal digits.";
    /// Not HEAD, GET, PUT or DELETE.
    MethodUnknown = "method-unknown", 405, SenderIt, AfterCorrection,
        "Phương thức HTTP không được hỗ trợ.",
        "The HTTP method is not supported.";
    /// A PUT without `Content-Length`.
    LengthMissing = "length-missing", 411, SenderIt, AfterCorrection,
        "Yêu cầu PUT phải có Content-Length.",
        "A PUT needs a Content-Length.";
    /// `Content-Range` is not `bytes a-b/total`, or does not fit `Content-Length`.
    RangeMalformed = "range-malformed", 400, SenderIt, AfterCorrection,
        "Content-Range không đọc được hoặc không khớp với Content-Length.",
        "Content-Range cannot be read, or does not fit Content-Length.";
    /// No bytes at all.
    BodyEmpty = "body-empty", 400, SenderIt, AfterCorrection,
        "Tệp không có nội dung.",
        "The body has no bytes.";
    /// More bytes than the hub takes in one body.
    BodyTooLarge = "body-too-large", 413, SenderClerk, AfterCorrection,
        "Tệp vượt quá dung lượng cho phép của trục.",
        "The body is larger than the hub accepts.";
    /// Another transfer of the system must end first.
    TransfersLimited = "transfers-limited", 429, SenderIt, Later,
        "Hệ thống này đang có quá nhiều lượt truyền cùng lúc.",
        "This system has too many transfers at once.";
    /// The body is just being removed; in a moment it can be sent anew.
    BodyBeingRemoved = "body-being-removed", 409, SenderIt, Later,
        "Tệp này đang được xóa khỏi trục; hãy gửi lại sau ít phút.",
        "This body is just being removed from the hub; send it again in some minutes.";
    /// The upload was begun with another size.
    SizeConflict = "size-conflict", 409, SenderIt, AfterCorrection,
        "Lần gửi dở dang của tệp này đã khai một dung lượng khác.",
        "The unfinished upload of this body was begun with another size.";
    /// Another request writes the same upload.
    UploadBusy = "upload-busy", 409, SenderIt, Later,
        "Một yêu cầu khác đang ghi vào cùng lần gửi này.",
        "Another request is writing to the same upload.";
    /// The bytes do not begin where the upload stands.
    OffsetMismatch = "offset-mismatch", 409, SenderIt, Resume,
        "Đoạn gửi không bắt đầu tại vị trí trục đã nhận tới.",
        "The bytes do not begin where the upload stands.";
    /// What the system has uploaded and named by no submission would exceed its quota.
    QuotaExceeded = "quota-exceeded", 507, SenderIt, Later,
        "Hệ thống đã dùng hết hạn mức cho các tệp chưa được gửi kèm thông điệp nào.",
        "The system has used up its quota of bodies that no submission names yet.";
    /// The hub's disk would fall below its floor.
    DiskFull = "disk-full", 507, HubOperator, Later,
        "Đĩa của trục không còn đủ chỗ để nhận tệp này.",
        "The hub's disk has no room for this body.";
    /// No bytes came for too long.
    TransferIdle = "transfer-idle", 408, SenderIt, Resume,
        "Quá lâu không có thêm byte nào; phần đã nhận được giữ lại.",
        "No bytes came for too long; what had come is kept.";
    /// The transfer ended before its announced length.
    TransferCut = "transfer-cut", 400, SenderIt, Resume,
        "Lượt truyền kết thúc trước độ dài đã khai; phần đã nhận được giữ lại.",
        "The transfer ended before its announced length; what had come is kept.";
    /// All bytes came, and their digest is another.
    DigestMismatch = "digest-mismatch", 422, SenderIt, AfterCorrection,
        "Mã băm của tệp nhận được khác với mã băm trên đường dẫn; không giữ lại gì.",
        "The digest of the bytes is not that of the path; nothing is kept.";
    /// Not there, or not for this system: which of both is not told.
    BodyUnknown = "body-unknown", 404, SenderIt, AfterCorrection,
        "Không có tệp này dành cho hệ thống đang hỏi.",
        "There is no such body for this system.";
    /// `Range` lies outside the body.
    RangeNotSatisfiable = "range-not-satisfiable", 416, SenderIt, AfterCorrection,
        "Range nằm ngoài tệp.",
        "The Range lies outside the body.";
    /// The hub's store does not answer or has a fault.
    StoreUnavailable = "store-unavailable", 503, HubOperator, Later,
        "Kho tệp của trục hiện không dùng được.",
        "The hub's store of bodies cannot be used now.";
}

/// Not a problem code's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a problem code")]
pub struct NotABodyProblemCode;

impl BodyProblemCode {
    /// From the word.
    ///
    /// # Errors
    /// [`NotABodyProblemCode`] when there is none.
    pub fn from_word(word: &str) -> Result<Self, NotABodyProblemCode> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.as_str() == word)
            .ok_or(NotABodyProblemCode)
    }
}

impl fmt::Display for BodyProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for BodyProblemCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for BodyProblemCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_word(&word).map_err(serde::de::Error::custom)
    }
}

/// A problem with what was expected and what came, in a few words without personal data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: expected {expected}, found {found}")]
pub struct BodyProblem {
    /// Which.
    pub code: BodyProblemCode,
    /// What was expected. For people: programs decide by the code.
    pub expected: String,
    /// What came.
    pub found: String,
    /// How many bytes of the upload the hub has, where that matters.
    pub offset: Option<u64>,
}

impl BodyProblem {
    /// A problem that needs no offset.
    #[must_use]
    pub fn new(code: BodyProblemCode, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self {
            code,
            expected: expected.to_string(),
            found: found.to_string(),
            offset: None,
        }
    }

    /// The same, telling how far the upload is.
    #[must_use]
    pub fn at(self, offset: u64) -> Self {
        Self {
            offset: Some(offset),
            ..self
        }
    }

    /// The JSON body of the answer.
    #[must_use]
    pub fn answer(&self) -> BodyProblemJson {
        let (vi, en) = self.code.sentences();
        BodyProblemJson {
            r#type: format!("urn:truc:problem:{}", self.code),
            title: en.to_owned(),
            status: self.code.status(),
            code: self.code,
            message: Sentences {
                vi: vi.to_owned(),
                en: en.to_owned(),
            },
            expected: self.expected.clone(),
            found: self.found.clone(),
            actor: self.code.actor(),
            next: self.code.next(),
            offset: self.offset,
        }
    }
}

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sentences {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

/// `application/problem+json` (RFC 9457) with the hub's own members; schema: `schemas/problem.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyProblemJson {
    /// `urn:truc:problem:<code>`.
    pub r#type: String,
    /// The English sentence, for tools that know RFC 9457 alone.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The code.
    pub code: BodyProblemCode,
    /// One sentence in both languages.
    pub message: Sentences,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub found: String,
    /// Who must act.
    pub actor: Actor,
    /// What a client does next.
    pub next: NextTry,
    /// Bytes of the upload the hub has, where that matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        let mut seen = std::collections::BTreeSet::new();
        for code in BodyProblemCode::ALL {
            assert!(seen.insert(code.as_str()), "{code} twice");
            assert_eq!(BodyProblemCode::from_word(code.as_str()), Ok(*code));
            assert!((400..600).contains(&code.status()), "{code}");
            let (vi, en) = code.sentences();
            assert!(vi.ends_with('.') && en.ends_with('.'), "{code}");
        }
        assert!(BodyProblemCode::from_word("nothing").is_err());
    }

    #[test]
    fn an_answer_reads_back() {
        let problem = BodyProblem::new(BodyProblemCode::OffsetMismatch, "bytes from 7", "bytes from 3").at(7);
        let json = serde_json::to_string(&problem.answer()).unwrap();
        assert!(json.contains("\"code\":\"offset-mismatch\""), "{json}");
        assert!(json.contains("\"next\":\"resume\""), "{json}");
        assert!(json.contains("\"offset\":7"), "{json}");
        let back: BodyProblemJson = serde_json::from_str(&json).unwrap();
        assert_eq!(back, problem.answer());
    }
}
