//! The stable word and the two sentences of each finding.

use truc_model::AgencyCode;
use truc_model::agency::BadCode;

use super::ProblemKind;

macro_rules! words {
    ($($kind:pat => $word:literal,)*) => {
        impl ProblemKind {
            /// All words, each in `docs/reference/directory.md`.
            pub const CODES: &'static [&'static str] = &[$($word,)*];

            /// The stable word.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                match self { $($kind => $word,)* }
            }
        }
    };
}

words! {
    ProblemKind::FileTooLarge => "file-too-large",
    ProblemKind::NotUtf8 => "not-utf8",
    ProblemKind::ColumnMissing => "column-missing",
    ProblemKind::ColumnTwice => "column-twice",
    ProblemKind::ColumnUnknown => "column-unknown",
    ProblemKind::TooManyRows => "too-many-rows",
    ProblemKind::RowWidth { .. } => "row-width",
    ProblemKind::CellTooLong => "cell-too-long",
    ProblemKind::ValueMissing => "value-missing",
    ProblemKind::CodeBad(_) => "code-bad",
    ProblemKind::CodeOfSystem => "code-of-system",
    ProblemKind::CodeSpelling(_) => "code-spelling",
    ProblemKind::CodeTwice { .. } => "code-twice",
    ProblemKind::CodeRepeated => "code-repeated",
    ProblemKind::CodeTaken(_) => "code-taken",
    ProblemKind::AgencyTwice { .. } => "agency-twice",
    ProblemKind::NameSpelling => "name-spelling",
    ProblemKind::NameTooLong => "name-too-long",
    ProblemKind::DateBad => "date-bad",
    ProblemKind::DatesReversed => "dates-reversed",
    ProblemKind::LevelBad => "level-bad",
    ProblemKind::SystemIdBad => "system-id-bad",
    ProblemKind::SystemNotRegistered(_) => "system-not-registered",
    ProblemKind::ParentUnknown => "parent-unknown",
    ProblemKind::ParentLoop => "parent-loop",
    ProblemKind::SystemTwice { .. } => "system-twice",
    ProblemKind::KindBad => "kind-bad",
    ProblemKind::PrefixBad(_) => "prefix-bad",
    ProblemKind::PrefixMisplaced => "prefix-misplaced",
    ProblemKind::PolicyUnknown => "policy-unknown",
    ProblemKind::LimitReached { .. } => "limit-reached",
    ProblemKind::AgencyWithoutSystem => "agency-without-system",
    ProblemKind::ParentMissing => "parent-missing",
    ProblemKind::PrefixOverlap { .. } => "prefix-overlap",
    ProblemKind::PrefixAtHome => "prefix-at-home",
    ProblemKind::GatewayWithoutPrefix => "gateway-without-prefix",
    ProblemKind::HomeMissing => "home-missing",
    ProblemKind::SystemServesNone => "system-serves-none",
    ProblemKind::EndedInForce => "ended-in-force",
    ProblemKind::ActionUnknown => "action-unknown",
    ProblemKind::CodeUnknown => "code-unknown",
    ProblemKind::OneCodeOnly => "one-code-only",
    ProblemKind::SuccessorCount => "successor-count",
    ProblemKind::DateDiffers => "date-differs",
    ProblemKind::CellUnused => "cell-unused",
    ProblemKind::EndedTwice { .. } => "ended-twice",
    ProblemKind::ActionsClash { .. } => "actions-clash",
    ProblemKind::AlreadyEnded => "already-ended",
    ProblemKind::SuccessionCycle => "succession-cycle",
    ProblemKind::SuccessorEnds => "successor-ends",
    ProblemKind::ParentEnded => "parent-ended",
    ProblemKind::CodesLeft { .. } => "codes-left",
    ProblemKind::AppliedAlready => "applied-already",
}

impl ProblemKind {
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
            Self::EndedInForce => (
                "Cơ quan đã kết thúc (có cơ quan kế thừa) nhưng còn mã đang có hiệu lực.",
                "The agency has ended, with a successor, and still has a code in force.",
            ),
            Self::ActionUnknown => (
                "Thao tác phải là open, recode, rename, move, reassign, merge, split, abolish hoặc home.",
                "The action must be open, recode, rename, move, reassign, merge, split, abolish or home.",
            ),
            Self::CodeUnknown => (
                "Không cơ quan nào trong danh mục, hay được lập trong tệp, có mã này.",
                "No agency of the directory, nor one the file founds, has this code.",
            ),
            Self::OneCodeOnly => (
                "Chỉ ghi một mã của cơ quan ở cột này.",
                "One code of the agency is enough here.",
            ),
            Self::SuccessorCount => (
                "Sáp nhập cần đúng một cơ quan kế thừa, chia tách cần từ hai trở lên.",
                "A merger has exactly one successor, a split two or more.",
            ),
            Self::DateDiffers => (
                "Mọi dòng của một tệp phải cùng một ngày; hãy tách thành nhiều tệp.",
                "All rows of a file have one day; make several files.",
            ),
            Self::CellUnused => (
                "Thao tác này không dùng ô này; ô được bỏ qua.",
                "The action has no use for this cell; it is ignored.",
            ),
            Self::EndedTwice { first } => {
                return (
                    format!("Cơ quan này đã kết thúc ở dòng {first}."),
                    format!("The agency ends at line {first} already."),
                );
            }
            Self::ActionsClash { first } => {
                return (
                    format!("Cơ quan này có thao tác ở dòng {first} không đi cùng thao tác này được."),
                    format!("Line {first} does something to the agency that does not go with this."),
                );
            }
            Self::AlreadyEnded => (
                "Cơ quan đã kết thúc trước ngày này.",
                "The agency ended before this day.",
            ),
            Self::SuccessionCycle => (
                "Cơ quan trở thành cơ quan kế thừa của chính mình, trực tiếp hoặc qua cơ quan khác.",
                "The agency would be its own successor, directly or through others.",
            ),
            Self::SuccessorEnds => (
                "Cơ quan kế thừa cũng kết thúc trong tệp này; văn bản đi tiếp tới cơ quan kế thừa của nó.",
                "The successor ends in this file too; documents go on to its own successor.",
            ),
            Self::ParentEnded => (
                "Cơ quan còn trực thuộc một cơ quan kết thúc trong tệp này; hãy chuyển cấp.",
                "The agency stays under a parent that ends in this file; move it.",
            ),
            Self::CodesLeft { count } => {
                return (
                    format!("Còn {count} mã có hiệu lực thuộc nhóm cấp 1 bị đóng; hãy cấp mã mới."),
                    format!(
                        "{count} codes in force are left under the level-one code that closes; renumber them."
                    ),
                );
            }
            Self::AppliedAlready => (
                "Chính tệp này đã được áp dụng.",
                "This very file was applied before.",
            ),
        };
        (vi.to_owned(), en.to_owned())
    }
}
