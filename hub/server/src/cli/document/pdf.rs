//! The signatures inside attached PDFs, in words: an indicator, never a verdict on legal validity.

use std::collections::BTreeMap;

use truc_ledger::AttachmentFacts;
use truc_model::PdfSignatures;
use truc_model::pdf::{Coverage, PdfSignature};

use super::super::show::{NONE, Table, moment, number, or_none};

/// The page's part about them; `None` when nobody looked at any.
pub(super) fn part(attachments: &[AttachmentFacts]) -> Option<String> {
    let mut table = Table::new(&[
        "Tệp",
        "Kết quả",
        "Chứng thư của",
        "Thời điểm ghi trong chữ ký",
        "Phạm vi",
    ]);
    for (facts, found) in looked_at(attachments) {
        let reason = found
            .reason()
            .map(|reason| format!(": {reason}"))
            .unwrap_or_default();
        let result = format!("{} [{}{reason}]", label(found.word()), found.word());
        match found {
            PdfSignatures::Signed { signatures } => {
                for signature in signatures {
                    table.row(row(&facts.name, &result, signature));
                }
            }
            PdfSignatures::None | PdfSignatures::Unreadable { .. } | PdfSignatures::Unchecked { .. } => {
                let none = || NONE.to_owned();
                table.row([facts.name.clone(), result, none(), none(), none()]);
            }
        }
    }
    (!table.is_empty()).then(|| {
        format!(
            "CHỮ KÝ TRONG TỆP PDF (để tham khảo; giá trị pháp lý do nơi nhận kiểm tra)\n{}",
            table.text()
        )
    })
}

/// How many attachments have which word, for programs. Empty when nobody looked at any.
pub(super) fn counts(attachments: &[AttachmentFacts]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for (_, found) in looked_at(attachments) {
        *counts.entry(found.word()).or_default() += 1;
    }
    counts
}

fn looked_at(attachments: &[AttachmentFacts]) -> impl Iterator<Item = (&AttachmentFacts, &PdfSignatures)> {
    attachments
        .iter()
        .filter_map(|facts| Some((facts, facts.signature.as_ref()?)))
}

fn row(name: &str, result: &str, signature: &PdfSignature) -> [String; 5] {
    [
        name.to_owned(),
        result.to_owned(),
        or_none(signature.signer.as_deref()),
        signature.signed_at.map_or_else(|| NONE.to_owned(), moment),
        match signature.coverage {
            Coverage::WholeFile => "cả tệp".to_owned(),
            Coverage::Partial { bytes_after } => format!("trừ {} byte thêm sau", number(bytes_after)),
            Coverage::Hole => "có phần không được ký ở giữa".to_owned(),
        },
    ]
}

/// What a word of [`PdfSignatures::word`] means (`docs/reference/pdf-signature.md`).
pub(super) fn label(word: &str) -> &'static str {
    match word {
        "intact" => "Chữ ký nguyên vẹn",
        "partial" => "Có phần thêm sau khi ký",
        "none" => "Không có chữ ký",
        "changed" => "Nội dung đã thay đổi sau khi ký",
        "broken" => "Chữ ký không khớp",
        "unreadable" => "Không đọc được tệp",
        _ => "Chưa kiểm tra được",
    }
}

#[cfg(test)]
mod tests {
    use truc_model::Sha256;
    use truc_model::pdf::{Binding, DigestState, SubFilter, Unreadable, ValueState};

    use super::*;

    fn facts(name: &str, signature: Option<PdfSignatures>) -> AttachmentFacts {
        AttachmentFacts {
            name: name.to_owned(),
            length: 1,
            sha256: Sha256::of(b""),
            sniffed: None,
            note: None,
            signature,
        }
    }

    #[test]
    fn every_word_has_the_label_of_its_page() {
        let page = include_str!("../../../../../docs/reference/pdf-signature.md");
        for word in PdfSignatures::WORDS {
            assert!(
                page.contains(&format!("| `{word}` | {} |", label(word))),
                "{word}"
            );
        }
    }

    #[test]
    fn one_row_for_each_signature_and_a_count_for_each_word() {
        let signature = PdfSignature {
            kind: SubFilter::Pades,
            digest: DigestState::Intact,
            signature: ValueState::Holds,
            coverage: Coverage::WholeFile,
            signer: Some("UBND tỉnh".to_owned()),
            certificate: None,
            binding: Binding::Bound,
            signed_at: None,
            algorithm: None,
        };
        let earlier = PdfSignature {
            coverage: Coverage::Partial { bytes_after: 12_345 },
            signer: Some("Lãnh đạo".to_owned()),
            ..signature.clone()
        };
        let all = [
            facts(
                "a.pdf",
                Some(PdfSignatures::Signed {
                    signatures: vec![earlier, signature],
                }),
            ),
            facts("b.pdf", Some(PdfSignatures::None)),
            facts(
                "c.pdf",
                Some(PdfSignatures::Unreadable {
                    why: Unreadable::Time,
                }),
            ),
            facts("d.pdf", Some(PdfSignatures::None)),
            facts("e.docx", None),
        ];
        let text = part(&all).unwrap();
        for expected in [
            "UBND tỉnh",
            "Lãnh đạo",
            "trừ 12.345 byte thêm sau",
            "[unreadable: time]",
            "[intact]",
        ] {
            assert!(text.contains(expected), "{expected}: {text}");
        }
        assert!(!text.contains("e.docx"), "{text}");
        let expected = BTreeMap::from([("intact", 1), ("none", 2), ("unreadable", 1)]);
        assert_eq!(counts(&all), expected);
        assert_eq!(part(&all[4..]), None);
        assert!(counts(&all[4..]).is_empty());
    }
}
