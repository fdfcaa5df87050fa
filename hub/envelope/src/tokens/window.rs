//! What of a packet is at hand: all of it when it is in memory, otherwise a part that moves along the source.
//!
//! The part is text: bytes are proven UTF-8 as they come, and a character is at hand as a whole or not at all.
//! How much comes at a time is the source's affair: what is made of the text does not depend on it.

use std::cell::RefCell;
use std::io;

use super::survey::Survey;
use crate::source::{BLOCK, PacketSource};

/// A source that is being read, and what went wrong with it: text ends where bytes can be had no more, and whoever
/// draws a conclusion asks for [`Input::failure`] first.
pub(crate) struct Input<'s> {
    source: &'s dyn PacketSource,
    size: usize,
    failure: RefCell<Option<io::Error>>,
}

impl<'s> Input<'s> {
    pub(crate) fn open(source: &'s dyn PacketSource) -> io::Result<Self> {
        let size = source.size()?;
        let size = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(Self {
            source,
            size,
            failure: RefCell::new(None),
        })
    }

    /// Bytes when it was opened; what is written behind them later is not read.
    pub(crate) const fn size(&self) -> usize {
        self.size
    }

    /// All bytes, where they are in memory.
    pub(crate) fn whole(&self) -> Option<&'s [u8]> {
        self.source.whole()
    }

    /// The first bytes, at most `most`.
    pub(crate) fn head(&self, most: usize) -> Vec<u8> {
        let mut head = vec![0; most.min(self.size)];
        let mut filled = 0;
        while filled < head.len() {
            let length = self.read(filled, &mut head[filled..]);
            if length == 0 {
                break;
            }
            filled += length;
        }
        head.truncate(filled);
        head
    }

    /// Bytes from `at` on, as many as the source gives; none when it fails.
    pub(super) fn read(&self, at: usize, buffer: &mut [u8]) -> usize {
        let outcome = loop {
            match self.source.read_at(at as u64, buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let failure = match outcome {
            Ok(0) if !buffer.is_empty() => io::ErrorKind::UnexpectedEof.into(),
            Ok(length) => return length.min(buffer.len()),
            Err(error) => error,
        };
        self.failure.borrow_mut().get_or_insert(failure);
        0
    }

    /// What went wrong, once.
    pub(crate) fn failure(&self) -> io::Result<()> {
        self.failure.borrow_mut().take().map_or(Ok(()), Err)
    }
}

/// Text at hand.
pub(crate) struct Window<'s> {
    held: Held<'s>,
    /// Offset in the packet of what is at hand.
    base: usize,
    /// How much of it has been passed.
    passed: usize,
}

enum Held<'s> {
    Whole(&'s str),
    Part(Box<Part<'s>>),
}

struct Part<'s> {
    input: &'s Input<'s>,
    text: String,
    /// The beginning of a character that goes on in the next bytes.
    cut: Vec<u8>,
    block: Vec<u8>,
    /// Offset of the next byte to be read.
    next: usize,
    /// Where reading ends.
    end: usize,
    survey: Option<Survey>,
}

impl<'s> Window<'s> {
    /// Over text that is in memory and stands at `base` in the packet.
    pub(crate) const fn whole(text: &'s str, base: usize) -> Self {
        Self {
            held: Held::Whole(text),
            base,
            passed: 0,
        }
    }

    /// Over the bytes from `base` to `end`; `survey` sees what they are.
    pub(crate) fn part(input: &'s Input<'s>, base: usize, end: usize, survey: Option<Survey>) -> Self {
        let end = end.min(input.size());
        Self {
            held: Held::Part(Box::new(Part {
                input,
                text: String::new(),
                cut: Vec::new(),
                block: vec![0; BLOCK.min(end.saturating_sub(base))],
                next: base,
                end,
                survey,
            })),
            base,
            passed: 0,
        }
    }

    /// What is at hand and not passed yet.
    pub(super) fn rest(&self) -> &str {
        self.text().get(self.passed..).unwrap_or_default()
    }

    /// What stands between two offsets in the packet, of the token last passed.
    pub(super) fn between(&self, start: usize, end: usize) -> &str {
        let range = start.wrapping_sub(self.base)..end.wrapping_sub(self.base);
        self.text().get(range).unwrap_or_default()
    }

    /// Offset in the packet of the rest.
    pub(super) const fn offset(&self) -> usize {
        self.base + self.passed
    }

    pub(super) const fn pass(&mut self, length: usize) {
        self.passed += length;
    }

    /// Takes more text to hand, behind the rest; `false` when there is none. What was passed is let go.
    pub(super) fn more(&mut self) -> bool {
        let Held::Part(part) = &mut self.held else {
            return false;
        };
        part.text.drain(..self.passed);
        self.base += self.passed;
        self.passed = 0;
        let before = part.text.len();
        while part.text.len() == before {
            if !part.read() {
                return false;
            }
        }
        true
    }

    /// Reads to the end for the survey's sake.
    pub(crate) fn survey(mut self) -> Option<Survey> {
        loop {
            self.passed = self.text().len();
            if !self.more() {
                break;
            }
        }
        match self.held {
            Held::Whole(_) => None,
            Held::Part(part) => part.survey,
        }
    }

    fn text(&self) -> &str {
        match &self.held {
            Held::Whole(text) => text,
            Held::Part(part) => &part.text,
        }
    }
}

impl Part<'_> {
    /// Reads some bytes; `false` when there are none, or they are not UTF-8.
    fn read(&mut self) -> bool {
        let room = self.block.len().min(self.end - self.next);
        let length = self.input.read(self.next, &mut self.block[..room]);
        let at = self.next - self.cut.len();
        self.next += length;
        let new = &self.block[..length];
        if let Some(survey) = &mut self.survey {
            survey.digest(new);
        }
        let joined;
        let bytes = if self.cut.is_empty() {
            new
        } else {
            joined = [self.cut.as_slice(), new].concat();
            &joined
        };
        let (text, rest, whole) = match std::str::from_utf8(bytes) {
            Ok(text) => (text, &bytes[bytes.len()..], true),
            Err(error) => {
                let (valid, rest) = bytes.split_at(error.valid_up_to());
                // A character that is cut off by the end of the packet is none.
                let goes_on = error.error_len().is_none() && length > 0 && self.next < self.end;
                (std::str::from_utf8(valid).unwrap_or_default(), rest, goes_on)
            }
        };
        if let Some(survey) = &mut self.survey {
            survey.text(text, at);
            if !whole {
                survey.not_utf8(at + text.len(), rest.first().copied());
            }
        }
        self.text.push_str(text);
        let more = whole && length > 0;
        let rest = rest.to_vec();
        let progressed = !text.is_empty();
        if !whole {
            // Nothing behind it is read.
            self.end = self.next;
        }
        self.cut = if whole { rest } else { Vec::new() };
        more || progressed
    }
}
