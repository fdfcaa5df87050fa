//! Warnings: what a tolerant reader forgave, with a stable code each (`docs/reference/warnings/`).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a forgiven variant matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WarningLevel {
    /// Accepted as a matter of course; told by `truc envelope lint` only.
    Note,
    /// Accepted, and said in the receipt and the ledger.
    Warning,
}

macro_rules! warnings {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $level:ident, strict $strict:literal, $vi:literal, $en:literal;)*) => {
        /// The closed list of warnings, in the order of the table of variants.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum WarningCode {
            $($(#[$doc])* $variant,)*
        }

        impl WarningCode {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// How much it matters to the tolerant reader.
            #[must_use]
            pub const fn level(self) -> WarningLevel {
                match self { $(Self::$variant => WarningLevel::$level,)* }
            }

            /// Whether the strict form refuses it.
            #[must_use]
            pub const fn refused_in_strict(self) -> bool {
                match self { $(Self::$variant => $strict,)* }
            }

            /// One Vietnamese and one English sentence.
            #[must_use]
            pub const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($vi, $en),)* }
            }
        }
    };
}

warnings! {
    /// Bytes before the XML declaration.
    LeadingBytes = "leading-bytes", Warning, strict true,
        "Có ký tự thừa trước khai báo XML.", "There are stray bytes before the XML declaration.";
    /// A UTF-8 byte order mark.
    ByteOrderMark = "byte-order-mark", Note, strict false,
        "Tệp bắt đầu bằng dấu BOM.", "The file begins with a byte order mark.";
    /// A usual prefix used without its declaration.
    UnboundPrefix = "unbound-prefix", Warning, strict true,
        "Tiền tố không gian tên chưa được khai báo.", "A namespace prefix is used without being declared.";
    /// The envelope stands without the root `edXML`.
    RootMissing = "root-missing", Warning, strict true,
        "Thiếu phần tử gốc edXML.", "The root element edXML is missing.";
    /// Element names with other capital letters.
    LetterCase = "letter-case", Warning, strict true,
        "Tên phần tử viết sai chữ hoa, chữ thường.", "Element names differ in upper and lower case.";
    /// The namespace of a misread guide.
    NamespaceEdoc = "namespace-edoc", Warning, strict true,
        "Không gian tên go.vn/eDoc không đúng với QCVN 102.", "The namespace go.vn/eDoc is not that of QCVN 102.";
    /// The namespace of the time before 2016, in a SOAP envelope.
    NamespaceSoap = "namespace-soap", Warning, strict true,
        "Gói tin theo dạng SOAP cũ, trước năm 2016.", "The packet has the old SOAP form of before 2016.";
    /// No namespace at all.
    NamespaceMissing = "namespace-missing", Warning, strict true,
        "Gói tin không khai báo không gian tên.", "The packet declares no namespace.";
    /// Children without a prefix where others write one, or the reverse.
    PrefixMix = "prefix-mix", Note, strict false,
        "Cách dùng tiền tố khác thông lệ.", "Prefixes are used in an unusual way.";
    /// `Business…` with a single s.
    BusinessSpelling = "business-spelling", Warning, strict true,
        "Viết Business… thay vì Bussiness….", "Business… is written for Bussiness….";
    /// Another order of elements.
    ElementOrder = "element-order", Note, strict false,
        "Thứ tự phần tử khác thông lệ.", "The elements stand in another order.";
    /// `Manifest` for `edXMLManifest`, or flat attachments.
    ManifestShape = "manifest-shape", Warning, strict true,
        "Danh mục tệp đính kèm theo dạng cũ.", "The manifest has an older shape.";
    /// ContentId not `cid:X` on both sides.
    ContentIdForm = "content-id-form", Warning, strict true,
        "ContentId không viết thống nhất dạng cid:X.", "ContentId is not cid:X on both sides.";
    /// One reference and one attachment paired although their ids differ.
    ContentIdPaired = "content-id-paired", Warning, strict true,
        "ContentId không khớp; chỉ có một tệp nên được ghép đôi.", "The ContentIds differ; as there is one of each they were paired.";
    /// An empty element instead of none.
    EmptyElement = "empty-element", Note, strict true,
        "Có phần tử rỗng.", "There is an empty element.";
    /// A literal `null` or `N/A`.
    LiteralNull = "literal-null", Warning, strict true,
        "Giá trị ghi chữ null hoặc N/A, được coi là không có.", "A value reads null or N/A and counts as absent.";
    /// A date in another form.
    DateForm = "date-form", Warning, strict true,
        "Ngày không ở dạng yyyy/MM/dd.", "A date is not of the form yyyy/MM/dd.";
    /// A day that does not exist, or no date at all.
    DateImpossible = "date-impossible", Warning, strict true,
        "Ngày không tồn tại.", "A date does not exist.";
    /// The time limit lies before the date of issue, or long past.
    DueDateOdd = "due-date-odd", Warning, strict false,
        "Hạn trả lời đứng trước ngày ban hành, hoặc đã qua từ lâu.", "The time limit lies before the date of issue, or passed long ago.";
    /// The date of issue lies in the future.
    FutureDate = "future-date", Warning, strict true,
        "Ngày ban hành ở tương lai.", "The date of issue lies in the future.";
    /// Type and TypeName do not agree, or TypeDetail is missing.
    DocumentTypeOdd = "document-type-odd", Note, strict false,
        "Loại văn bản và tên loại không thống nhất.", "Type and TypeName do not agree.";
    /// `1` for `01`.
    StatusCodeShort = "status-code-short", Warning, strict true,
        "Mã trạng thái thiếu số 0 ở đầu.", "The status code lacks its leading zero.";
    /// A CodeNumber that is no number.
    CodeNumberOdd = "code-number-odd", Warning, strict false,
        "Số văn bản không phải là số.", "CodeNumber is not a number.";
    /// An agency code in a short or unusual spelling.
    AgencyCodeSpelling = "agency-code-spelling", Warning, strict true,
        "Mã định danh cơ quan viết không chuẩn.", "An agency code has an unusual spelling.";
    /// The same agency in From and To.
    SelfAddressed = "self-addressed", Warning, strict false,
        "Đơn vị gửi cũng là đơn vị nhận.", "Sender and recipient are the same agency.";
    /// The same recipient more than once.
    DuplicateRecipient = "duplicate-recipient", Warning, strict true,
        "Một nơi nhận được ghi nhiều lần, chỉ giao một lần.", "A recipient is named more than once; it gets one delivery.";
    /// Signature in the edXML namespace, empty, or otherwise not XML-DSig.
    SignatureForm = "signature-form", Note, strict false,
        "Phần tử Signature không phải là chữ ký XML.", "The Signature element is not an XML signature.";
    /// White space around a code or name.
    OuterSpaces = "outer-spaces", Note, strict true,
        "Có khoảng trắng thừa ở đầu hoặc cuối giá trị.", "A value has leading or trailing spaces.";
    /// CRLF line ends or tabs.
    LineEnds = "line-ends", Note, strict false,
        "Tệp dùng dấu xuống dòng CRLF hoặc dấu tab.", "The file uses CRLF line ends or tabs.";
    /// An element the format does not know.
    UnknownElement = "unknown-element", Note, strict false,
        "Có phần tử ngoài quy chuẩn, được giữ nguyên.", "There is an element the format does not know; it is carried unchanged.";
    /// A value longer than its maximum.
    OverLong = "over-long", Warning, strict true,
        "Giá trị dài quá mức quy định.", "A value is longer than its maximum.";
    /// An element the strict form asks for is absent.
    MissingValue = "missing-value", Warning, strict true,
        "Thiếu một thành phần mà dạng chuẩn yêu cầu.", "An element that the strict form asks for is absent.";
    /// A number out of its range or not a number.
    NumberOdd = "number-odd", Warning, strict true,
        "Giá trị số không đọc được hoặc ngoài phạm vi.", "A number cannot be read or is out of range.";
    /// The time of a status lies before the document's date of issue.
    TimestampOdd = "timestamp-odd", Warning, strict false,
        "Thời điểm báo trạng thái trước ngày ban hành văn bản.", "The status is dated before the document was issued.";
    /// The label says one type, the bytes another.
    AttachmentTypeMismatch = "attachment-type-mismatch", Warning, strict true,
        "Nhãn loại tệp đính kèm không đúng với nội dung.", "An attachment's label and bytes do not agree.";
    /// A zip made by the sender's software round one file.
    AttachmentWrapped = "attachment-wrapped", Note, strict false,
        "Tệp đính kèm được bọc trong zip.", "An attachment is wrapped in a zip.";
    /// A zip labelled as a wrapper that is not one: passed as it is.
    AttachmentOddZip = "attachment-odd-zip", Warning, strict false,
        "Tệp zip không phải dạng bọc thông thường, được giữ nguyên.", "A zip is not the usual wrapper; it is passed as it is.";
    /// The same number, notation, issuer and year as another document (NĐ 30/2020 PL VI I.III.1h).
    NumberRepeated = "number-repeated", Warning, strict false,
        "Số, ký hiệu này đã có ở một văn bản khác cùng năm của đơn vị gửi.", "Another document of this sender has the same number and notation this year.";
    /// The `DocumentId` already belongs to another document of the sender, and the policy is to deliver.
    IdentityRepeated = "identity-repeated", Warning, strict false,
        "Mã định danh văn bản này đã được dùng cho một văn bản khác của cùng đơn vị gửi; văn bản vẫn được chuyển.", "Another document of this sender already bears this DocumentId; this one is delivered all the same.";
    /// The recipient's code is closed; it went to the successor during the time of grace.
    ClosedCodeForwarded = "closed-code-forwarded", Warning, strict false,
        "Mã định danh nơi nhận đã đóng; văn bản được chuyển tới đơn vị kế thừa trong thời gian chuyển tiếp.", "A recipient's code is closed; during the time of grace the document goes to its successor.";
    /// An update leaves out recipients at whom the document is recalled.
    UpdateAfterRecall = "update-after-recall", Warning, strict false,
        "Một số nơi nhận đã bị thu hồi văn bản nên không nhận bản cập nhật này.", "Some recipients get no update, because the document is recalled there.";
    /// A replacement names a document that is not known here.
    ReplacesUnknown = "replaces-unknown", Warning, strict false,
        "Không tìm thấy văn bản bị thay thế; văn bản mới vẫn được chuyển.", "A document named as replaced is not known here; the new one is delivered all the same.";
    /// A replacement names a document of another sender.
    ReplacesForeign = "replaces-foreign", Warning, strict false,
        "Văn bản bị thay thế là của đơn vị gửi khác nên không bị đánh dấu thay thế; văn bản mới vẫn được chuyển.", "A document named as replaced is another sender's and stays as it is; the new one is delivered all the same.";
}

impl WarningCode {
    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for WarningCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for WarningCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for WarningCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| serde::de::Error::custom("not a warning code"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_read_back() {
        for code in WarningCode::ALL {
            assert_eq!(WarningCode::from_word(code.as_str()), Some(*code));
        }
        assert_eq!(WarningCode::from_word("nonsense"), None);
    }
}
