//! Before the first event: size, byte order mark, stray bytes, UTF-8, characters XML does not allow.

use truc_model::{RefusalCode, WarningCode};

use super::findings::{Findings, Spot};
use crate::limits::{Limits, MAX_LEADING_BYTES};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Byte order marks of UTF-16 and the first bytes of UTF-16 text without one.
const UTF16_STARTS: &[&[u8]] = &[b"\xFF\xFE", b"\xFE\xFF", b"<\0", b"\0<"];

/// The text that the parser shall see and its offset in `bytes`; `None` when there is none.
pub(super) fn open<'a>(
    bytes: &'a [u8],
    limits: &Limits,
    findings: &mut Findings,
) -> Option<(&'a str, usize)> {
    if bytes.len() > limits.max_bytes {
        let most = format!("at most {} bytes", limits.max_bytes);
        findings.refuse(
            RefusalCode::EnvelopeLimit,
            Spot::Byte(None, 0),
            most,
            format!("{} bytes", bytes.len()),
        );
        return None;
    }
    if UTF16_STARTS.iter().any(|start| bytes.starts_with(start)) {
        findings.refuse(
            RefusalCode::EnvelopeEncoding,
            Spot::Byte(None, 0),
            "UTF-8",
            "UTF-16",
        );
        return None;
    }
    let base = skip_leading(bytes, findings)?;
    let text = match std::str::from_utf8(&bytes[base..]) {
        Ok(text) => text,
        Err(error) => {
            let at = base + error.valid_up_to();
            let found = bytes
                .get(at)
                .map_or_else(String::new, |byte| format!("byte {byte:#04x}"));
            findings.refuse(
                RefusalCode::EnvelopeEncoding,
                Spot::Byte(None, at),
                "UTF-8",
                found,
            );
            return None;
        }
    };
    if let Some((at, code)) = disallowed_character(text) {
        findings.refuse(
            RefusalCode::EnvelopeControlCharacter,
            Spot::Byte(None, base + at),
            "characters that XML allows",
            format!("U+{code:04X}"),
        );
    }
    if let Some(at) = text.bytes().position(|byte| matches!(byte, b'\r' | b'\t')) {
        findings.warn_once(WarningCode::LineEnds, Spot::Byte(None, base + at));
    }
    Some((text, base))
}

/// Where the packet begins: after a byte order mark and stray bytes.
fn skip_leading(bytes: &[u8], findings: &mut Findings) -> Option<usize> {
    let marked = if bytes.starts_with(UTF8_MARK) {
        UTF8_MARK.len()
    } else {
        0
    };
    if marked > 0 {
        findings.warn_once(WarningCode::ByteOrderMark, Spot::Byte(None, 0));
    }
    let rest = &bytes[marked..];
    let Some(stray) = rest
        .iter()
        .take(MAX_LEADING_BYTES + 1)
        .position(|byte| *byte == b'<')
    else {
        findings.refuse(
            RefusalCode::EnvelopeMalformed,
            Spot::Byte(None, marked),
            format!("XML within the first {MAX_LEADING_BYTES} bytes"),
            format!("{} bytes without any", rest.len()),
        );
        return None;
    };
    // White space is allowed before a root element, but not before an XML declaration.
    let blank = rest[..stray].iter().all(u8::is_ascii_whitespace);
    if stray > 0 && (!blank || rest[stray..].starts_with(b"<?xml")) {
        findings.warn_once(WarningCode::LeadingBytes, Spot::Byte(None, marked));
    }
    Some(marked + stray)
}

/// XML 1.0 §2.2: no C0 controls but tab, LF, CR; no U+FFFE and U+FFFF.
pub(crate) const fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && c != '\u{FFFE}' && c != '\u{FFFF}')
}

fn disallowed_character(text: &str) -> Option<(usize, u32)> {
    let bytes = text.as_bytes();
    // One look at each byte: U+FFFE and U+FFFF are EF BF BE and EF BF BF.
    let disallowed = |at: usize, byte: u8| match byte {
        b'\t' | b'\n' | b'\r' => false,
        ..b' ' => true,
        0xEF => matches!(bytes[at..], [_, 0xBF, 0xBE | 0xBF, ..]),
        _ => false,
    };
    let (at, _) = bytes
        .iter()
        .copied()
        .enumerate()
        .find(|(at, byte)| disallowed(*at, *byte))?;
    text[at..].chars().next().map(|c| (at, u32::from(c)))
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
    }
}
