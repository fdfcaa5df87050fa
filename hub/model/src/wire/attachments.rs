//! What the hub says of a document's attachments beside it: the words for the signatures inside PDFs.
//!
//! An indicator, never a verdict (`docs/reference/pdf-signature.md`). Words and reasons only: whose
//! certificates came with the signatures stands in the files, and names of persons do not travel in headers.

use serde::{Deserialize, Serialize};

use crate::PdfSignatures;

/// The value of the header `truc-attachments`, as JSON text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AttachmentWords {
    /// One for each attached PDF, in the order of the packet.
    pub pdf: Vec<AttachmentWord>,
    /// How many more there are than the header has room for.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub left_out: u32,
}

/// What was found in one attached PDF.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttachmentWord {
    /// Which attachment of the packet, from 1.
    pub position: u32,
    /// A word of [`PdfSignatures::WORDS`]; later versions may have others.
    pub word: String,
    /// Why nothing is known, or of a signature that could not be checked; [`PdfSignatures::reason`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AttachmentWords {
    /// Longest header value, in bytes. All headers of a message travel in one frame, and the recipients' codes
    /// take the most of it; what does not fit is counted in [`Self::left_out`].
    pub const BYTES_MAX: usize = 4096;

    /// Of all attachments of a packet, in their order; `None` when nobody looked at any.
    #[must_use]
    pub fn of<'a>(attachments: impl IntoIterator<Item = Option<&'a PdfSignatures>>) -> Option<Self> {
        let mut words = Self::default();
        // As long as it can be with none: `{"pdf":[],"left_out":4294967295}`.
        let mut bytes = "{\"pdf\":[],\"left_out\":}".len() + u32::MAX.to_string().len();
        for (position, found) in (1..).zip(attachments) {
            let Some(found) = found else { continue };
            let word = AttachmentWord {
                position,
                word: found.word().to_owned(),
                reason: found.reason().map(str::to_owned),
            };
            let Ok(json) = serde_json::to_string(&word) else {
                continue;
            };
            bytes += json.len() + ",".len();
            if bytes <= Self::BYTES_MAX && words.left_out == 0 {
                words.pdf.push(word);
            } else {
                words.left_out += 1;
            }
        }
        (!words.pdf.is_empty() || words.left_out > 0).then_some(words)
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
const fn is_none_left_out(count: &u32) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdf::Unreadable;

    #[test]
    fn only_pdfs_have_words_and_each_its_place() {
        let (none, damaged) = (
            PdfSignatures::None,
            PdfSignatures::Unreadable {
                why: Unreadable::Damaged,
            },
        );
        let words = AttachmentWords::of([None, Some(&none), None, Some(&damaged)]).unwrap();
        let json = serde_json::to_string(&words).unwrap();
        assert_eq!(
            json,
            r#"{"pdf":[{"position":2,"word":"none"},{"position":4,"word":"unreadable","reason":"damaged"}]}"#
        );
        assert_eq!(serde_json::from_str::<AttachmentWords>(&json).unwrap(), words);
        assert_eq!(AttachmentWords::of([None, None]), None);
        assert_eq!(AttachmentWords::of([]), None);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let longest = PdfSignatures::Unreadable {
            why: Unreadable::TooManySignatures,
        };
        let of = |count: usize| AttachmentWords::of(vec![Some(&longest); count]).unwrap();
        let room = of(10_000).pdf.len();
        assert!(room > 50, "{room}");
        assert_eq!(of(room).left_out, 0);
        assert_eq!((of(room + 1).pdf.len(), of(room + 1).left_out), (room, 1));
        for count in [room, room + 1, 10_000] {
            let length = serde_json::to_string(&of(count)).unwrap().len();
            assert!(length <= AttachmentWords::BYTES_MAX, "{count}: {length}");
        }
        let length = serde_json::to_string(&of(room)).unwrap().len();
        assert!(length > AttachmentWords::BYTES_MAX - 150, "{length}");
    }
}
