//! Standard base64 with padding, decoded in chunks from the content of an element.
//!
//! White space may stand anywhere. The content is that of an element already proven well-formed:
//! comments and processing instructions in it are passed over, CDATA and character references read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Encoded bytes gathered before they are decoded; a multiple of four.
const CHUNK: usize = 8 * 1024;

/// The content is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadBase64 {
    /// Nothing but white space.
    Empty,
    /// A placeholder of a template, `${…}`.
    Placeholder,
    /// A character outside the alphabet, wrong padding, or bytes after the padding.
    Characters,
    /// Elements inside.
    Markup,
}

/// Decodes `content`, handing each chunk to `sink`.
///
/// # Errors
/// [`BadBase64`]; `sink` may have seen chunks by then.
pub(crate) fn decode_stream(content: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
    if content.trim_ascii_start().starts_with(b"${") {
        return Err(BadBase64::Placeholder);
    }
    let mut decoder = Decoder {
        pending: Vec::with_capacity(CHUNK),
        ended: false,
        any: false,
        sink,
    };
    for_each_piece(content, &mut |piece| decoder.push(piece))?;
    decoder.finish()
}

struct Decoder<'s> {
    pending: Vec<u8>,
    ended: bool,
    any: bool,
    sink: &'s mut dyn FnMut(&[u8]),
}

impl Decoder<'_> {
    fn push(&mut self, piece: &[u8]) -> Result<(), BadBase64> {
        for run in piece.split(u8::is_ascii_whitespace) {
            let mut run = run;
            while !run.is_empty() {
                let (part, rest) = run.split_at(run.len().min(CHUNK - self.pending.len()));
                self.pending.extend_from_slice(part);
                run = rest;
                if self.pending.len() == CHUNK {
                    self.flush()?;
                }
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), BadBase64> {
        if self.pending.is_empty() {
            return Ok(());
        }
        if self.ended {
            return Err(BadBase64::Characters);
        }
        let mut decoded = [0; CHUNK / 4 * 3];
        let length = STANDARD
            .decode_slice(&self.pending, &mut decoded)
            .map_err(|_| BadBase64::Characters)?;
        self.ended = self.pending.ends_with(b"=");
        self.any = true;
        self.pending.clear();
        (self.sink)(&decoded[..length]);
        Ok(())
    }

    fn finish(mut self) -> Result<(), BadBase64> {
        self.flush()?;
        if self.any { Ok(()) } else { Err(BadBase64::Empty) }
    }
}

/// The text of an element's content, piece by piece.
fn for_each_piece(
    content: &[u8],
    each: &mut dyn FnMut(&[u8]) -> Result<(), BadBase64>,
) -> Result<(), BadBase64> {
    let mut rest = content;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'<' | b'&')) {
        each(&rest[..at])?;
        rest = &rest[at..];
        if let Some((_, after)) = enclosed(rest, b"<!--", b"-->").or_else(|| enclosed(rest, b"<?", b"?>")) {
            rest = after;
        } else if let Some((inside, after)) = enclosed(rest, b"<![CDATA[", b"]]>") {
            each(inside)?;
            rest = after;
        } else if let Some((reference, after)) = enclosed(rest, b"&#", b";") {
            each(&[ascii_of(reference).ok_or(BadBase64::Characters)?])?;
            rest = after;
        } else if rest[0] == b'&' {
            return Err(BadBase64::Characters);
        } else {
            return Err(BadBase64::Markup);
        }
    }
    each(rest)
}

/// What stands between `open` at the start and the first `close` after it, and what follows.
fn enclosed<'a>(text: &'a [u8], open: &[u8], close: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let inside = text.strip_prefix(open)?;
    let end = inside.windows(close.len()).position(|window| window == close)?;
    Some((&inside[..end], &inside[end + close.len()..]))
}

fn ascii_of(reference: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(reference).ok()?;
    match text.strip_prefix('x') {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
    .filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: Result<&[u8], BadBase64>) {
        let mut bytes = Vec::new();
        let outcome = decode_stream(content.as_bytes(), &mut |chunk| bytes.extend_from_slice(chunk));
        assert_eq!(outcome.map(|()| bytes.as_slice()), expected, "{content}");
    }

    #[test]
    fn forms() {
        check("aGVsbG8=", Ok(b"hello"));
        check(" aGVs\r\n\tbG8\n=\n", Ok(b"hello"));
        check("aGVs<!-- < & -->bG8=", Ok(b"hello"));
        check("<![CDATA[aGVs]]>&#98;&#x47;8=<?x y?>", Ok(b"hello"));
        check("", Err(BadBase64::Empty));
        check(" \n", Err(BadBase64::Empty));
        check("${__StringFromFile(test.txt,,,)}", Err(BadBase64::Placeholder));
        check("aGVsbG8", Err(BadBase64::Characters));
        check("aGVsbG9=", Err(BadBase64::Characters));
        check("aGVsbG8=aGVs", Err(BadBase64::Characters));
        check("aGVs_G8=", Err(BadBase64::Characters));
        check("aGVs&lt;bG8=", Err(BadBase64::Characters));
        check("aGVs<b/>bG8=", Err(BadBase64::Markup));
    }

    #[test]
    fn nothing_may_follow_the_padding_even_in_a_later_chunk() {
        let mut content = "AAAA".repeat(CHUNK / 4 - 1);
        content.push_str("AA==");
        let bytes = vec![0; (CHUNK / 4 - 1) * 3 + 1];
        check(&content, Ok(&bytes));
        content.push_str("AAAA");
        check(&content, Err(BadBase64::Characters));
    }

    #[test]
    fn a_chunk_may_end_anywhere() {
        for length in [CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let bytes: Vec<u8> = (0..length).map(|i| u8::try_from(i % 251).unwrap()).collect();
            check(&STANDARD.encode(&bytes), Ok(&bytes));
        }
    }
}
