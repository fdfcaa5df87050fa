//! Before the first token: size, byte order mark, stray bytes; and what every byte is looked at for.

use truc_model::{RefusalCode, WarningCode};

use super::findings::{Findings, Spot};
use crate::limits::{Limits, MAX_LEADING_BYTES};
use crate::tokens::{Input, Survey, Window};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Bytes that tell where the packet begins: a mark, stray bytes, and `<?xml`.
const MAX_HEAD: usize = UTF8_MARK.len() + MAX_LEADING_BYTES + 1 + 8;
/// Byte order marks of UTF-16 and the first bytes of UTF-16 text without one.
const UTF16_STARTS: &[&[u8]] = &[b"\xFF\xFE", b"\xFE\xFF", b"<\0", b"\0<"];

/// A packet that can be read on.
pub(super) struct Opened<'s> {
    pub(super) window: Window<'s>,
    /// Offset of the first byte that the parser shall see.
    pub(super) base: usize,
    /// Of a packet in memory, what its bytes are; otherwise the window tells in the end.
    pub(super) survey: Option<Survey>,
}

/// The text that the parser shall see; `None` when there is none.
pub(super) fn open<'s>(input: &'s Input<'s>, limits: &Limits, findings: &mut Findings) -> Option<Opened<'s>> {
    let size = input.size();
    if size > limits.max_bytes {
        let most = format!("at most {} bytes", limits.max_bytes);
        findings.refuse(
            RefusalCode::EnvelopeLimit,
            Spot::Byte(None, 0),
            most,
            format!("{size} bytes"),
        );
        return None;
    }
    let whole = input.whole();
    let read;
    let head = match whole {
        Some(whole) => whole,
        None => {
            read = input.head(MAX_HEAD);
            &read
        }
    };
    if UTF16_STARTS.iter().any(|start| head.starts_with(start)) {
        findings.refuse(
            RefusalCode::EnvelopeEncoding,
            Spot::Byte(None, 0),
            "UTF-8",
            "UTF-16",
        );
        return None;
    }
    let base = skip_leading(head, size, findings)?;
    let Some(whole) = whole else {
        let survey = Survey::with_digest(head.get(..base)?);
        return Some(Opened {
            window: Window::part(input, base, size, Some(survey)),
            base,
            survey: None,
        });
    };
    let mut survey = Survey::default();
    let text = match std::str::from_utf8(whole.get(base..)?) {
        Ok(text) => text,
        Err(error) => {
            let at = base + error.valid_up_to();
            survey.not_utf8(at, whole.get(at).copied());
            conclude(&survey, findings);
            return None;
        }
    };
    survey.text(text, base);
    Some(Opened {
        window: Window::whole(text, base),
        base,
        survey: Some(survey),
    })
}

/// Says what the survey found.
pub(super) fn conclude(survey: &Survey, findings: &mut Findings) {
    if let Some((at, byte)) = survey.not_utf8 {
        findings.refuse(
            RefusalCode::EnvelopeEncoding,
            Spot::Byte(None, at),
            "UTF-8",
            byte.map_or_else(String::new, |byte| format!("byte {byte:#04x}")),
        );
        return;
    }
    if let Some((at, code)) = survey.disallowed {
        findings.refuse(
            RefusalCode::EnvelopeControlCharacter,
            Spot::Byte(None, at),
            "characters that XML allows",
            format!("U+{code:04X}"),
        );
    }
    if let Some(at) = survey.line_end {
        findings.warn_once(WarningCode::LineEnds, Spot::Byte(None, at));
    }
}

/// Where the packet begins: after a byte order mark and stray bytes.
fn skip_leading(head: &[u8], size: usize, findings: &mut Findings) -> Option<usize> {
    let marked = if head.starts_with(UTF8_MARK) {
        UTF8_MARK.len()
    } else {
        0
    };
    if marked > 0 {
        findings.warn_once(WarningCode::ByteOrderMark, Spot::Byte(None, 0));
    }
    let rest = &head[marked..];
    let Some(stray) = rest
        .iter()
        .take(MAX_LEADING_BYTES + 1)
        .position(|byte| *byte == b'<')
    else {
        findings.refuse(
            RefusalCode::EnvelopeMalformed,
            Spot::Byte(None, marked),
            format!("XML within the first {MAX_LEADING_BYTES} bytes"),
            format!("{} bytes without any", size - marked),
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
