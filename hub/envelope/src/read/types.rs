//! Kinds of document (*loại văn bản*), only to see whether numbers and name agree. Nothing is decided
//! on them: three readings of the numbers are in use.

use unicode_normalization::UnicodeNormalization as _;

use crate::packet::DocumentType;

/// Legal normative documents (group 1), numbered from 1.
const NORMATIVE: &[&str] = &[
    "hiến pháp",
    "luật",
    "pháp lệnh",
    "lệnh",
    "nghị quyết",
    "nghị quyết liên tịch",
    "nghị định",
    "quyết định",
    "thông tư",
    "thông tư liên tịch",
    "chỉ thị",
    "bộ luật",
];

/// Administrative documents (group 2), numbered from 1.
const ADMINISTRATIVE: &[&str] = &[
    "nghị quyết",
    "quyết định",
    "chỉ thị",
    "quy chế",
    "quy định",
    "thông cáo",
    "thông báo",
    "hướng dẫn",
    "chương trình",
    "kế hoạch",
    "phương án",
    "đề án",
    "dự án",
    "báo cáo",
    "biên bản",
    "tờ trình",
    "hợp đồng",
    "công văn",
    "công điện",
    "bản ghi nhớ",
    "bản cam kết",
    "bản thỏa thuận",
    "giấy chứng nhận",
    "giấy ủy quyền",
    "giấy mời",
    "giấy giới thiệu",
    "giấy nghỉ phép",
    "giấy đi đường",
    "giấy biên nhận hồ sơ",
    "phiếu gửi",
    "phiếu chuyển",
    "thư công",
];

/// Whether `Type`, `TypeDetail` and `TypeName` agree under one of the readings in use. A name that is
/// in no list agrees with any group. A missing `TypeDetail` never agrees: it leaves open which.
pub(super) fn agree(document_type: &DocumentType) -> bool {
    let (Some(number), Some(detail), Some(name)) =
        (document_type.number, document_type.detail, &document_type.name)
    else {
        return false;
    };
    let name: String = name.nfc().collect::<String>().to_lowercase();
    let mut listed = [(1, NORMATIVE), (2, ADMINISTRATIVE)]
        .into_iter()
        .filter_map(|(group, list)| {
            let index = list.iter().position(|known| *known == name)?;
            Some((group, u32::try_from(index).unwrap_or(u32::MAX).saturating_add(1)))
        });
    let mut any = false;
    let agrees = listed.by_ref().any(|(group, code)| {
        any = true;
        (number == group && (detail == code || detail == 0)) || (number == code && detail == 0)
    });
    agrees || !any
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(number: u32, detail: Option<u32>, name: &str, expected: bool) {
        let document_type = DocumentType {
            number: Some(number),
            detail,
            name: Some(name.to_owned()),
        };
        assert_eq!(agree(&document_type), expected, "{number} {detail:?} {name}");
    }

    #[test]
    fn three_readings() {
        check(2, Some(18), "Công văn", true);
        check(2, Some(0), "CÔNG VĂN", true);
        check(18, Some(0), "Công văn", true);
        check(1, Some(0), "Công văn", false);
        check(2, Some(17), "Công văn", false);
        check(1, Some(9), "Thông tư", true);
        check(1, None, "Thông tư", false);
        check(1, Some(8), "Quyết định", true);
        check(2, Some(2), "Quyết định", true);
        check(2, Some(0), "Phiếu báo", true);
    }
}
