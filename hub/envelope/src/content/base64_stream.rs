//! Standard base64 with padding, decoded in chunks from the tokens of an element's content, as they come.
//!
//! White space may stand anywhere. Comments and processing instructions are passed over, CDATA and character
//! references read.

use std::io;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::limits::MAX_MARKUP_BYTES;
use crate::source::PacketSource;
use crate::tokens::{Input, Kind, Token, Tokens, Window};

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

/// Decodes what stands at `range` in the packet, handing each chunk to `sink`.
///
/// # Errors
/// When the source cannot be read. Inside, [`BadBase64`]; `sink` may have seen chunks by then.
pub(crate) fn decode_stream(
    source: &dyn PacketSource,
    range: Range<usize>,
    sink: &mut dyn FnMut(&[u8]),
) -> io::Result<Result<(), BadBase64>> {
    let input = Input::open(source)?;
    let window = match input.whole() {
        Some(whole) => match whole.get(range.clone()).map(std::str::from_utf8) {
            Some(Ok(text)) => Window::whole(text, range.start),
            _ => return Ok(Err(BadBase64::Characters)),
        },
        None if range.start <= range.end && range.end <= input.size() => {
            Window::part(&input, range.start, range.end, None)
        }
        None => return Ok(Err(BadBase64::Characters)),
    };
    let mut tokens = Tokens::new(window, MAX_MARKUP_BYTES);
    let mut decoder = Decoder::new();
    let outcome = loop {
        match tokens.next() {
            Ok(token) if token.kind == Kind::Eof && token.end == range.end => break decoder.finish(sink),
            Ok(token) if token.kind == Kind::Eof => break Err(BadBase64::Characters),
            Ok(token) => decoder.take(&tokens, &token, sink),
            Err(_) => break Err(BadBase64::Markup),
        }
    };
    input.failure()?;
    Ok(outcome)
}

/// Decodes the tokens of one content.
pub(crate) struct Decoder {
    pending: Vec<u8>,
    ended: bool,
    any: bool,
    lead: Lead,
    bad: Option<BadBase64>,
}

/// How the content begins: a placeholder is told by its first characters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lead {
    Blank,
    Dollar,
    Other,
}

impl Decoder {
    pub(crate) const fn new() -> Self {
        Self {
            pending: Vec::new(),
            ended: false,
            any: false,
            lead: Lead::Blank,
            bad: None,
        }
    }

    /// Takes the token last given.
    pub(crate) fn take(&mut self, tokens: &Tokens<'_>, token: &Token, sink: &mut dyn FnMut(&[u8])) {
        if self.bad.is_some() {
            return;
        }
        let outcome = match token.kind {
            Kind::Text => self.text(tokens.inside(token), sink),
            Kind::CData => self.other(tokens.inside(token).as_bytes(), sink),
            Kind::Reference => match ascii_of(tokens.inside(token)) {
                Some(byte) => self.other(&[byte], sink),
                None => Err(BadBase64::Characters),
            },
            Kind::Comment | Kind::Instruction | Kind::Declaration => self.other(&[], sink),
            Kind::Start { .. } | Kind::Empty { .. } | Kind::End | Kind::Doctype => Err(BadBase64::Markup),
            Kind::Eof => Ok(()),
        };
        self.bad = outcome.err();
    }

    /// Ends the content.
    pub(crate) fn finish(mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        if let Some(bad) = self.bad {
            return Err(bad);
        }
        self.flush(sink)?;
        if self.any { Ok(()) } else { Err(BadBase64::Empty) }
    }

    fn text(&mut self, text: &str, sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        let mut lead = text.as_bytes();
        while self.lead != Lead::Other
            && let Some((first, rest)) = lead.split_first()
        {
            self.lead = match (self.lead, first) {
                (Lead::Blank, byte) if byte.is_ascii_whitespace() => Lead::Blank,
                (Lead::Blank, b'$') => Lead::Dollar,
                (Lead::Dollar, b'{') => return Err(BadBase64::Placeholder),
                _ => Lead::Other,
            };
            lead = rest;
        }
        self.push(text.as_bytes(), sink)
    }

    /// What cannot begin a placeholder.
    fn other(&mut self, bytes: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        self.lead = Lead::Other;
        self.push(bytes, sink)
    }

    fn push(&mut self, piece: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        let mut rest = piece;
        while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
            self.line(&rest[..at], sink)?;
            rest = &rest[at + 1..];
        }
        self.line(rest, sink)
    }

    /// Bytes without line ends.
    fn line(&mut self, line: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        if memchr::memchr3(b' ', b'\t', b'\x0C', line).is_none() {
            return self.run(line, sink);
        }
        line.split(u8::is_ascii_whitespace)
            .try_for_each(|run| self.run(run, sink))
    }

    /// Bytes without white space.
    fn run(&mut self, run: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
        let mut run = run;
        while !run.is_empty() {
            if self.pending.capacity() == 0 {
                self.pending.reserve_exact(CHUNK);
            }
            let (part, rest) = run.split_at(run.len().min(CHUNK - self.pending.len()));
            self.pending.extend_from_slice(part);
            run = rest;
            if self.pending.len() == CHUNK {
                self.flush(sink)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), BadBase64> {
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
        sink(&decoded[..length]);
        Ok(())
    }
}

/// The character that a reference names, where it can be base64's.
fn ascii_of(reference: &str) -> Option<u8> {
    let number = reference.strip_prefix('#')?;
    match number.strip_prefix('x') {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    }
    .filter(u8::is_ascii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &str, expected: Result<&[u8], BadBase64>) {
        let mut bytes = Vec::new();
        let source = content.as_bytes();
        let outcome = decode_stream(&source, 0..source.len(), &mut |chunk| {
            bytes.extend_from_slice(chunk);
        });
        assert_eq!(outcome.unwrap().map(|()| bytes.as_slice()), expected, "{content}");
    }

    #[test]
    fn forms() {
        check("aGVsbG8=", Ok(b"hello"));
        check(" aGVs\r\n\tbG8\n=\n", Ok(b"hello"));
        check("aGVs<!-- < & -->bG8=", Ok(b"hello"));
        check("<![CDATA[aGVs]]>&#98;&#x47;8=<?x y?>", Ok(b"hello"));
        check("aGVs&#13;\nbG8=&#13;", Ok(b"hello"));
        check("", Err(BadBase64::Empty));
        check(" \n", Err(BadBase64::Empty));
        check("${__StringFromFile(test.txt,,,)}", Err(BadBase64::Placeholder));
        check(" \n${}", Err(BadBase64::Placeholder));
        check("$ {}", Err(BadBase64::Characters));
        check("<![CDATA[${}]]>", Err(BadBase64::Characters));
        check("<!-- -->${}", Err(BadBase64::Characters));
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

    #[test]
    fn a_range_beyond_the_packet_is_refused() {
        let source = b"aGVsbG8=".as_slice();
        for range in [0..9, 9..12, 20..30] {
            let outcome = decode_stream(&source, range, &mut |_| {});
            assert_eq!(outcome.unwrap(), Err(BadBase64::Characters));
        }
    }
}
