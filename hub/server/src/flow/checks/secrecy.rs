//! Markings of state secrecy (Law 29/2018/QH14 art. 5; QĐ 28/2018 art. 1(2)): the format has no field
//! for secrecy, so the hub looks for whole markings in SphereOfPromulgation, TypeName and Subject, and
//! quarantines what bears one. It never reads the files, and never repeats the text it saw.
//!
//! False alarms are certain (*bảo mật*, *mật độ*), so what counts is a marking, not a word: a marking of
//! one word must stand alone between edges or punctuation (`(MẬT)`, `MẬT - V/v …`), one of several words
//! between word boundaries, in the letter case configured; a field that is nothing but a marking counts
//! in any letter case.

use truc_envelope::Packet;
use truc_model::ParkCause;

use super::{Examination, Next};

/// See the module.
pub fn check(e: &mut Examination<'_>) -> Next {
    if let Some(Packet::Document(document)) = e.reading.as_ref().map(|reading| &reading.packet) {
        let fields = [
            document.other.sphere.as_deref().unwrap_or(""),
            document.document_type.name.as_deref().unwrap_or(""),
            document.subject.as_str(),
        ];
        if fields.iter().any(|field| e.rules.markings.mark(field)) {
            e.park = Some(ParkCause::SecretMarking);
        }
    }
    Next::Continue
}

/// The configured markings, in Unicode NFC.
#[derive(Debug, Clone, Default)]
pub struct Markings(Vec<String>);

impl Markings {
    /// Takes the markings of the configuration.
    #[must_use]
    pub fn new(markings: &[String]) -> Self {
        Self(markings.iter().map(|marking| nfc(marking.trim())).collect())
    }

    /// Whether the text bears one.
    #[must_use]
    pub fn mark(&self, text: &str) -> bool {
        let text = nfc(text.trim());
        self.0.iter().any(|marking| bears(&text, marking))
    }
}

fn nfc(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    text.nfc().collect()
}

fn bears(text: &str, marking: &str) -> bool {
    if text.to_lowercase() == marking.to_lowercase() {
        return true;
    }
    let alone = !marking.contains(' ');
    text.match_indices(marking).any(|(at, found)| {
        let before = text[..at].trim_end_matches(' ').chars().next_back();
        let after = text[at + found.len()..].trim_start_matches(' ').chars().next();
        let touching_before = text[..at].chars().next_back();
        let touching_after = text[at + found.len()..].chars().next();
        if alone {
            [before, after]
                .iter()
                .all(|c| c.is_none_or(|c| !c.is_alphanumeric()))
        } else {
            [touching_before, touching_after]
                .iter()
                .all(|c| c.is_none_or(|c| !c.is_alphanumeric()))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markings_and_false_alarms() {
        let markings = Markings::new(&crate::config::Config::default().secrecy.markings);
        for marked in [
            "MẬT",
            "mật",
            "Tối mật",
            "(MẬT) V/v bố trí lực lượng",
            "MẬT - V/v bố trí lực lượng",
            "Báo cáo tình hình - MẬT",
            "Báo cáo TỐI MẬT về tình hình",
            "Báo cáo [TUYỆT MẬT]",
            "Độ mật: Mật",
            "văn bản có độ mật A",
            "MA\u{302}\u{323}T",
        ] {
            assert!(markings.mark(marked), "{marked}");
        }
        for plain in [
            "",
            "V/v bảo mật thông tin",
            "Mật độ xây dựng",
            "QUY CHẾ BẢO MẬT HỆ THỐNG",
            "CÔNG TÁC BẢO VỆ BÍ MẬT NHÀ NƯỚC",
            "MẬT KHẨU",
            "đổi mật khẩu",
            "MẬTMÃ",
            "Lưu hành nội bộ",
        ] {
            assert!(!markings.mark(plain), "{plain}");
        }
    }
}
