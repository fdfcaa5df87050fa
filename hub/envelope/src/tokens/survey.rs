//! What every byte of a packet is looked at for, in passing: its digest, whether it is text that XML allows, and
//! the first line end that is not a bare line feed.

use ring::digest::{Context, SHA256};
use truc_model::Sha256;

/// Counts and first places; offsets are the packet's.
#[derive(Default)]
pub(crate) struct Survey {
    digest: Option<Context>,
    /// The first byte that is not UTF-8.
    pub(crate) not_utf8: Option<(usize, Option<u8>)>,
    /// The first character that XML does not allow.
    pub(crate) disallowed: Option<(usize, u32)>,
    /// The first carriage return or tab.
    pub(crate) line_end: Option<usize>,
}

impl Survey {
    /// One that digests too, beginning with `head`.
    pub(crate) fn with_digest(head: &[u8]) -> Self {
        let mut digest = Context::new(&SHA256);
        digest.update(head);
        Self {
            digest: Some(digest),
            ..Self::default()
        }
    }

    /// Bytes, to be digested.
    pub(super) fn digest(&mut self, bytes: &[u8]) {
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
    }

    /// Text that stands at `at`.
    pub(crate) fn text(&mut self, text: &str, at: usize) {
        if self.disallowed.is_none()
            && let Some((offset, code)) = disallowed_character(text)
        {
            self.disallowed = Some((at + offset, code));
        }
        if self.line_end.is_none() {
            self.line_end = memchr::memchr2(b'\r', b'\t', text.as_bytes()).map(|offset| at + offset);
        }
    }

    pub(crate) fn not_utf8(&mut self, at: usize, byte: Option<u8>) {
        self.not_utf8.get_or_insert((at, byte));
    }

    /// The digest, where one was asked for.
    pub(crate) fn finish(self) -> Option<Sha256> {
        Some(Sha256::from_ring(&self.digest?.finish()))
    }
}

/// XML 1.0 §2.2: no C0 controls but tab, LF, CR; no U+FFFE and U+FFFF.
pub(crate) const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}')
}

/// Bytes looked at together: the compiler makes vector code of it.
const LANES: usize = 64;

/// The first character that XML does not allow, and where.
pub(crate) fn disallowed_character(text: &str) -> Option<(usize, u32)> {
    // White space is common in base64, and the only thing below the space that is allowed. U+FFFE and U+FFFF are
    // EF BF BE and EF BF BF.
    let suspect = |byte: &u8| {
        ((*byte < b' ') & (*byte != b'\t') & (*byte != b'\n') & (*byte != b'\r')) | (*byte == 0xEF)
    };
    let bytes = text.as_bytes();
    for (index, lane) in bytes.chunks(LANES).enumerate() {
        if !lane.iter().fold(false, |any, byte| any | suspect(byte)) {
            continue;
        }
        let start = index * LANES;
        let found = lane.iter().enumerate().find(|(at, byte)| {
            suspect(byte) && (**byte != 0xEF || matches!(bytes[start + at..], [_, 0xBF, 0xBE | 0xBF, ..]))
        });
        if let Some((at, _)) = found {
            let at = start + at;
            return Some((at, u32::from(text.get(at..)?.chars().next()?)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_xml() {
        assert_eq!(disallowed_character("a\tb\r\nđ\u{7F}\u{85}\u{FFFD}"), None);
        assert_eq!(disallowed_character("ab\u{0}"), Some((2, 0)));
        assert_eq!(disallowed_character("đ\u{FFFF}\u{1}"), Some((2, 0xFFFF)));
        assert_eq!(disallowed_character("\u{1}\u{FFFE}"), Some((0, 1)));
        assert_eq!(disallowed_character("\u{FFEF}\u{FFFE}"), Some((3, 0xFFFE)));
        assert!(is_allowed('đ') && !is_allowed('\u{1F}') && !is_allowed('\u{FFFE}'));
        for before in 0..200 {
            let text = format!("{}\u{FFFD}\u{FFFE}x\u{2}", "x".repeat(before));
            assert_eq!(disallowed_character(&text), Some((before + 3, 0xFFFE)));
            let text = format!("{}\u{2}", "\n".repeat(before));
            assert_eq!(disallowed_character(&text), Some((before, 2)));
        }
    }
}
