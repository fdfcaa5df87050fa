//! The packet's text, wherever it lies, for the several walks over it.

use std::io;
use std::ops::Range;

use memchr::memmem;

use super::flaw::Flaw;
use super::verdict::DsigReason;
use crate::limits::Limits;
use crate::source::{PacketSource, for_each_block};
use crate::tokens::{Input, Survey, Window};

const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A packet to be walked over.
pub(super) struct Text<'s> {
    input: Input<'s>,
    /// The text, where it is in memory.
    whole: Option<&'s str>,
    base: usize,
}

/// What to make of a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// It stands before the text.
    Skipped,
    /// It is text, which no document begins with.
    Kept,
}

impl<'s> Text<'s> {
    /// Opens a packet; inside, what is wrong with it when it is not UTF-8, or too large.
    pub(super) fn open(
        source: &'s dyn PacketSource,
        mark: Mark,
        limits: &Limits,
    ) -> io::Result<Result<Self, Flaw>> {
        let input = Input::open(source)?;
        if input.size() > limits.max_bytes {
            let most = format!("at most {} bytes", limits.max_bytes);
            let found = format!("{} bytes", input.size());
            return Ok(Err(Flaw::on(DsigReason::Limit, "/", 0, most, found)));
        }
        let marked = match input.whole() {
            Some(whole) => whole.starts_with(UTF8_MARK),
            None => input.head(UTF8_MARK.len()) == UTF8_MARK,
        };
        let base = match mark {
            Mark::Skipped if marked => UTF8_MARK.len(),
            Mark::Skipped | Mark::Kept => 0,
        };
        let (whole, bad) = match input.whole() {
            Some(whole) => match std::str::from_utf8(whole.get(base..).unwrap_or_default()) {
                Ok(text) => (Some(text), None),
                Err(error) => (None, Some(base + error.valid_up_to())),
            },
            None => {
                let window = Window::part(&input, base, input.size(), Some(Survey::default()));
                let survey = window.survey().unwrap_or_default();
                (None, survey.not_utf8.map(|(at, _)| at))
            }
        };
        input.failure()?;
        if let Some(at) = bad {
            let flaw = Flaw::on(DsigReason::NotXml, "/", at, "UTF-8", "other bytes");
            return Ok(Err(flaw));
        }
        Ok(Ok(Self { input, whole, base }))
    }

    /// Offset in the packet of the first character.
    pub(super) const fn base(&self) -> usize {
        self.base
    }

    /// Offset in the packet behind the last.
    pub(super) const fn end(&self) -> usize {
        self.input.size()
    }

    pub(super) fn window(&self, range: Range<usize>) -> Window<'_> {
        match self.whole {
            Some(text) => {
                let inside = range.start.saturating_sub(self.base)..range.end.saturating_sub(self.base);
                Window::whole(text.get(inside).unwrap_or_default(), range.start)
            }
            None => Window::part(&self.input, range.start, range.end, None),
        }
    }

    /// What kept the source from being read, in any of the walks. To be asked before anything is concluded.
    pub(super) fn failure(&self) -> io::Result<()> {
        self.input.failure()
    }
}

/// Which of the words, of ASCII, stand anywhere in the packet.
pub(super) fn mentions<const N: usize>(
    source: &dyn PacketSource,
    words: [&[u8]; N],
) -> io::Result<[bool; N]> {
    let longest = words.iter().map(|word| word.len()).max().unwrap_or(0);
    let mut found = [false; N];
    let mut carried: Vec<u8> = Vec::new();
    for_each_block(source, 0, u64::MAX, &mut |block| {
        let joined;
        let text = if carried.is_empty() {
            block
        } else {
            joined = [carried.as_slice(), block].concat();
            &joined
        };
        for (found, word) in found.iter_mut().zip(words) {
            *found = *found || memmem::find(text, word).is_some();
        }
        carried = text[text.len() - text.len().min(longest.saturating_sub(1))..].to_vec();
        Ok(())
    })?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that come one block of three at a time.
    struct Drops(Vec<u8>);

    impl PacketSource for Drops {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            let length = buffer.len().min(3);
            self.0.read_at(offset, &mut buffer[..length])
        }
    }

    #[test]
    fn words_are_found_across_blocks() {
        let far = crate::source::BLOCK - 4;
        for before in [0, 1, far, far + 1, far + 5] {
            let mut bytes = vec![b'x'; before];
            bytes.extend_from_slice(b":Signature");
            let words: [&[u8]; 2] = [b":Signature", b"xmldsig"];
            assert_eq!(mentions(&Drops(bytes.clone()), words).unwrap(), [true, false]);
            assert_eq!(mentions(&bytes, words).unwrap(), [true, false]);
        }
    }
}
