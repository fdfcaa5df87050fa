//! What is wrong with a file or a directory: one closed list of findings, in Vietnamese and English.
//!
//! Texts quote codes, ids and names of agencies, never persons.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use truc_model::agency::BadCode;
use truc_model::{AgencyCode, AgencyId, SystemId};

use crate::prefix::BadPrefix;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, the header being 1; `None` when it concerns the file or the directory as a whole.
    pub line: Option<u64>,
    /// Column in the file.
    pub column: Option<Column>,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub kind: ProblemKind,
    /// What was found, cut to [`Problem::FOUND_MAX`] characters.
    pub found: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The row is left out; in a check of the directory: some documents cannot go where they should.
    Error,
    /// The row is taken; someone should look.
    Warning,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?) => {
        /// A column of the files that are imported, or the fact of an agency or system it tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column {
            $($(#[$doc])* $variant,)*
        }

        impl Column {
            /// The word in the header.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

columns! {
    /// The preferred code.
    Code = "code",
    /// The name, of an agency or a system.
    Name = "name",
    /// Further codes, separated by `;`.
    OtherCodes = "other_codes",
    /// A code of the body above.
    Parent = "parent",
    /// The level, from 1.
    Level = "level",
    /// The id of a system.
    System = "system",
    /// The first day of the code.
    ValidFrom = "valid_from",
    /// The first day on which the codes no longer hold.
    ValidTo = "valid_to",
    /// The decision that issued the code.
    Decision = "decision",
    /// A remark.
    Note = "note",
    /// `tenant`, `agency`, `gateway` or `home`.
    Kind = "kind",
    /// Prefixes, separated by `;`.
    Prefixes = "prefixes",
    /// Signature policy.
    Signature = "signature",
    /// Policy for identity conflicts.
    Conflict = "conflict",
}

/// What is wrong. Its word ([`ProblemKind::code`]) is stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// More bytes than [`crate::MAX_CSV_BYTES`].
    FileTooLarge,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A required column is absent.
    ColumnMissing,
    /// A column stands twice.
    ColumnTwice,
    /// A column no one reads.
    ColumnUnknown,
    /// More rows than [`crate::MAX_ROWS`]; none is taken.
    TooManyRows,
    /// A row with another number of cells than the header.
    RowWidth {
        /// Cells of the header.
        expected: usize,
    },
    /// A cell longer than the limit.
    CellTooLong,
    /// A required cell is empty.
    ValueMissing,
    /// No agency code.
    CodeBad(BadCode),
    /// A `W` code: a system, not an agency.
    CodeOfSystem,
    /// The code was put into its usual spelling.
    CodeSpelling(AgencyCode),
    /// The same code at an earlier line; that one stands.
    CodeTwice {
        /// The earlier line.
        first: u64,
    },
    /// The same code twice in one row.
    CodeRepeated,
    /// The code is or was another agency's.
    CodeTaken(AgencyId),
    /// The same agency, under another of its codes, at an earlier line; that one stands.
    AgencyTwice {
        /// The earlier line.
        first: u64,
        /// The agency.
        agency: AgencyId,
    },
    /// The name was cleaned: spaces, invisible characters, decomposed letters, Ð for Đ.
    NameSpelling,
    /// The name is longer than [`crate::Agency::NAME_MAX`].
    NameTooLong,
    /// No date, or one of another age.
    DateBad,
    /// The end is not after the beginning.
    DatesReversed,
    /// No level.
    LevelBad,
    /// No system id.
    SystemIdBad,
    /// The system is named but not registered.
    SystemNotRegistered(SystemId),
    /// No agency has the parent's code.
    ParentUnknown,
    /// An agency above itself.
    ParentLoop,
    /// The same system at an earlier line; that one stands.
    SystemTwice {
        /// The earlier line.
        first: u64,
    },
    /// No kind of system, or a kind that is not the registered one.
    KindBad,
    /// No prefix.
    PrefixBad(BadPrefix),
    /// Prefixes on a system that is no gateway.
    PrefixMisplaced,
    /// A policy no one knows.
    PolicyUnknown,
    /// A limit of the directory is reached.
    LimitReached {
        /// The limit.
        max: usize,
    },
    /// An agency that nothing can be delivered to.
    AgencyWithoutSystem,
    /// Its parent is not in the directory.
    ParentMissing,
    /// One prefix on two gateways on one day.
    PrefixOverlap {
        /// The gateway that wins.
        wins: SystemId,
    },
    /// A gateway claims a prefix that is the province's own.
    PrefixAtHome,
    /// A gateway with no prefix.
    GatewayWithoutPrefix,
    /// There are gateways, and no prefix is the province's own.
    HomeMissing,
    /// A system that serves no agency.
    SystemServesNone,
}

impl Problem {
    /// Longest `found`, in characters.
    pub const FOUND_MAX: usize = 120;

    pub(crate) fn new(severity: Severity, kind: ProblemKind, found: &str) -> Self {
        let found = match found.char_indices().nth(Self::FOUND_MAX) {
            Some((end, _)) => format!("{}…", &found[..end]),
            None => found.to_owned(),
        };
        Self {
            line: None,
            column: None,
            severity,
            kind,
            found,
        }
    }

    pub(crate) fn error(kind: ProblemKind, found: &str) -> Self {
        Self::new(Severity::Error, kind, found)
    }

    pub(crate) fn warning(kind: ProblemKind, found: &str) -> Self {
        Self::new(Severity::Warning, kind, found)
    }

    pub(crate) fn at(self, line: u64, column: Column) -> Self {
        Self {
            line: Some(line),
            column: Some(column),
            ..self
        }
    }

    pub(crate) fn on_line(self, line: u64) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }
}

impl Severity {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }

    /// Vietnamese and English label.
    #[must_use]
    pub const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("lỗi", "error"),
            Self::Warning => ("cảnh báo", "warning"),
        }
    }
}

impl ProblemKind {
    /// The stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::FileTooLarge => "file-too-large",
            Self::NotUtf8 => "not-utf8",
            Self::ColumnMissing => "column-missing",
            Self::ColumnTwice => "column-twice",
            Self::ColumnUnknown => "column-unknown",
            Self::TooManyRows => "too-many-rows",
            Self::RowWidth { .. } => "row-width",
            Self::CellTooLong => "cell-too-long",
            Self::ValueMissing => "value-missing",
            Self::CodeBad(_) => "code-bad",
            Self::CodeOfSystem => "code-of-system",
            Self::CodeSpelling(_) => "code-spelling",
            Self::CodeTwice { .. } => "code-twice",
            Self::CodeRepeated => "code-repeated",
            Self::CodeTaken(_) => "code-taken",
            Self::AgencyTwice { .. } => "agency-twice",
            Self::NameSpelling => "name-spelling",
            Self::NameTooLong => "name-too-long",
            Self::DateBad => "date-bad",
            Self::DatesReversed => "dates-reversed",
            Self::LevelBad => "level-bad",
            Self::SystemIdBad => "system-id-bad",
            Self::SystemNotRegistered(_) => "system-not-registered",
            Self::ParentUnknown => "parent-unknown",
            Self::ParentLoop => "parent-loop",
            Self::SystemTwice { .. } => "system-twice",
            Self::KindBad => "kind-bad",
            Self::PrefixBad(_) => "prefix-bad",
            Self::PrefixMisplaced => "prefix-misplaced",
            Self::PolicyUnknown => "policy-unknown",
            Self::LimitReached { .. } => "limit-reached",
            Self::AgencyWithoutSystem => "agency-without-system",
            Self::ParentMissing => "parent-missing",
            Self::PrefixOverlap { .. } => "prefix-overlap",
            Self::PrefixAtHome => "prefix-at-home",
            Self::GatewayWithoutPrefix => "gateway-without-prefix",
            Self::HomeMissing => "home-missing",
            Self::SystemServesNone => "system-serves-none",
        }
    }

    /// One Vietnamese and one English sentence.
    #[must_use]
    pub fn sentences(&self) -> (String, String) {
        let (vi, en) = match self {
            Self::FileTooLarge => (
                "Tệp quá lớn, không nhập dòng nào.",
                "The file is too large; no row is taken.",
            ),
            Self::NotUtf8 => (
                "Văn bản không ở bảng mã UTF-8; hãy lưu lại dạng CSV UTF-8.",
                "The text is not UTF-8; save it as CSV UTF-8.",
            ),
            Self::ColumnMissing => (
                "Thiếu cột bắt buộc ở dòng tiêu đề.",
                "The header lacks a required column.",
            ),
            Self::ColumnTwice => (
                "Cột xuất hiện hai lần ở dòng tiêu đề.",
                "The header names a column twice.",
            ),
            Self::ColumnUnknown => (
                "Cột không được biết đến, bị bỏ qua.",
                "The column is unknown and not read.",
            ),
            Self::TooManyRows => (
                "Tệp quá nhiều dòng, không nhập dòng nào.",
                "The file has too many rows; none is taken.",
            ),
            Self::RowWidth { expected } => {
                return (
                    format!(
                        "Số ô của dòng khác số cột tiêu đề ({expected}); tên có dấu phân cách phải đặt trong ngoặc kép."
                    ),
                    format!(
                        "The row has not the header's number of cells ({expected}); a name with a separator needs quotes."
                    ),
                );
            }
            Self::CellTooLong => (
                "Ô quá dài; có thể thiếu dấu ngoặc kép đóng.",
                "The cell is too long; a closing quote may be missing.",
            ),
            Self::ValueMissing => ("Ô bắt buộc bị trống.", "A required cell is empty."),
            Self::CodeBad(why) => {
                return (
                    match why {
                        BadCode::Empty => "Không có mã định danh.".to_owned(),
                        BadCode::TooLong => {
                            format!("Mã định danh dài quá {} ký tự.", AgencyCode::MAX_LEN)
                        }
                        BadCode::Characters => {
                            "Mã định danh chỉ được gồm 0-9, A-Z, dấu chấm, '-' và '_'.".to_owned()
                        }
                    },
                    format!("Not an agency code: {why}."),
                );
            }
            Self::CodeOfSystem => (
                "Mã nhóm W là mã hệ thống kết nối, không phải mã cơ quan.",
                "A W code names a connected system, not an agency.",
            ),
            Self::CodeSpelling(code) => {
                return (
                    format!("Mã định danh viết không chuẩn, được ghi là {code}."),
                    format!("The code has an unusual spelling; it is kept as {code}."),
                );
            }
            Self::CodeTwice { first } => {
                return (
                    format!("Mã đã có ở dòng {first}; giữ dòng {first}, bỏ dòng này."),
                    format!(
                        "The code stands at line {first} already; that line stands, this one is left out."
                    ),
                );
            }
            Self::CodeRepeated => (
                "Mã được ghi hai lần trong một dòng.",
                "The code stands twice in one row.",
            ),
            Self::CodeTaken(agency) => {
                return (
                    format!("Mã đang hoặc đã thuộc cơ quan khác ({agency}); mã không được dùng lại."),
                    format!("The code is or was another agency's ({agency}); codes are never reused."),
                );
            }
            Self::AgencyTwice { first, agency } => {
                return (
                    format!("Cơ quan {agency} đã có ở dòng {first} với một mã khác; giữ dòng {first}."),
                    format!("Agency {agency} stands at line {first} under another code; that line stands."),
                );
            }
            Self::NameSpelling => (
                "Tên có khoảng trắng thừa hoặc ký tự không chuẩn, đã được làm sạch.",
                "The name had stray spaces or unusual characters; it was cleaned.",
            ),
            Self::NameTooLong => (
                "Tên dài quá 200 ký tự.",
                "The name is longer than 200 characters.",
            ),
            Self::DateBad => (
                "Ngày không hợp lệ; hãy ghi dạng 2025-07-01 hoặc 01/07/2025.",
                "Not a date; write it as 2025-07-01 or 01/07/2025.",
            ),
            Self::DatesReversed => (
                "Ngày hết hiệu lực không sau ngày có hiệu lực.",
                "The end is not after the beginning.",
            ),
            Self::LevelBad => (
                "Cấp phải là số từ 1 đến 6; được bỏ qua.",
                "The level must be a number from 1 to 6; it is ignored.",
            ),
            Self::SystemIdBad => (
                "Tên hệ thống chỉ gồm a-z, 0-9, '-' và '.', từ 2 đến 64 ký tự.",
                "A system id has 2 to 64 of a-z, 0-9, '-' and '.'.",
            ),
            Self::SystemNotRegistered(system) => {
                return (
                    format!("Hệ thống {system} chưa được đăng ký; văn bản chưa thể giao tới đó."),
                    format!("System {system} is not registered; nothing can be delivered there yet."),
                );
            }
            Self::ParentUnknown => (
                "Không cơ quan nào có mã cấp trên này; được bỏ qua.",
                "No agency has this parent's code; it is ignored.",
            ),
            Self::ParentLoop => (
                "Cơ quan trở thành cấp trên của chính mình.",
                "The agency would be above itself.",
            ),
            Self::SystemTwice { first } => {
                return (
                    format!("Đã có ở dòng {first}; giữ dòng {first}, bỏ dòng này."),
                    format!("It stands at line {first} already; that line stands, this one is left out."),
                );
            }
            Self::KindBad => (
                "Loại phải là tenant, agency, gateway hoặc home, và không đổi sau khi đăng ký.",
                "The kind must be tenant, agency, gateway or home, and does not change once registered.",
            ),
            Self::PrefixBad(why) => {
                return (
                    "Tiền tố mã phải là chữ cái (G), nhóm cấp 1 (H53) hoặc các nhóm (H53.31, 31.H53), không thuộc nhóm W.".to_owned(),
                    format!("Not a prefix of codes: {why}."),
                );
            }
            Self::PrefixMisplaced => (
                "Chỉ cổng (gateway) và dòng home mới có tiền tố mã.",
                "Only gateways and the home row have prefixes.",
            ),
            Self::PolicyUnknown => ("Chính sách không được biết đến.", "The policy is unknown."),
            Self::LimitReached { max } => {
                return (
                    format!("Vượt giới hạn {max} của danh mục."),
                    format!("A limit of the directory is reached: {max}."),
                );
            }
            Self::AgencyWithoutSystem => (
                "Cơ quan chưa có hệ thống nào phục vụ.",
                "No system serves the agency.",
            ),
            Self::ParentMissing => (
                "Cơ quan cấp trên không có trong danh mục.",
                "The agency's parent is not in the directory.",
            ),
            Self::PrefixOverlap { wins } => {
                return (
                    format!("Tiền tố được khai báo ở hai cổng; {wins} được dùng."),
                    format!("Two gateways have the prefix; {wins} is used."),
                );
            }
            Self::PrefixAtHome => (
                "Cổng khai báo tiền tố của chính tỉnh; tiền tố này không được dùng để chuyển đi.",
                "A gateway claims a prefix of the province itself; it is not routed on.",
            ),
            Self::GatewayWithoutPrefix => (
                "Cổng không có tiền tố mã nào nên chỉ phục vụ cơ quan được gán.",
                "The gateway has no prefix, so it serves assigned agencies only.",
            ),
            Self::HomeMissing => (
                "Chưa khai báo tiền tố của tỉnh (home): mã gõ sai của tỉnh sẽ bị chuyển ra cổng.",
                "No prefix is declared as the province's own (home): a mistyped code of the province would go to a gateway.",
            ),
            Self::SystemServesNone => (
                "Hệ thống không phục vụ cơ quan nào.",
                "The system serves no agency.",
            ),
        };
        (vi.to_owned(), en.to_owned())
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (vi, en) = self.kind.sentences();
        let mut out = serializer.serialize_struct("Problem", 7)?;
        out.serialize_field("line", &self.line)?;
        out.serialize_field("column", &self.column)?;
        out.serialize_field("severity", self.severity.as_str())?;
        out.serialize_field("code", self.kind.code())?;
        out.serialize_field("vi", &vi)?;
        out.serialize_field("en", &en)?;
        out.serialize_field("found", &self.found)?;
        out.end()
    }
}

/// One line for people: `dòng 386  code  lỗi  code-twice: … «000.00.00.G15»`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map_or_else(String::new, |line| format!("dòng {line}"));
        let column = self.column.map_or("", Column::as_str);
        let (severity, _) = self.severity.labels();
        let (vi, _) = self.kind.sentences();
        write!(
            f,
            "{line:<10} {column:<11} {severity:<8} {}: {vi}",
            self.kind.code()
        )?;
        match self.found.as_str() {
            "" => Ok(()),
            found => write!(f, " «{found}»"),
        }
    }
}
