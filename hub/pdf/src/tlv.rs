//! A cursor over DER: one element after the other, its raw bytes at hand.
//!
//! Why not a ready-made type for CMS: those read all certificates of a signature before the first question,
//! refuse the whole for a stray duplicate, and write attributes anew before they are verified. Here only what
//! is asked for is read, and what is verified are the bytes that came.

use der::asn1::AnyRef;
use der::{Decode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

/// One element.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tlv<'a> {
    /// Its tag.
    pub(crate) tag: Tag,
    /// Tag, length and value.
    pub(crate) raw: &'a [u8],
    /// The value alone.
    pub(crate) value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// The first element of `bytes`; what follows it is left.
    pub(crate) fn first(bytes: &'a [u8]) -> Option<Self> {
        Cursor::over(bytes)?.next()
    }

    /// A cursor over the value.
    pub(crate) fn inside(&self) -> Option<Cursor<'a>> {
        Cursor::over(self.value)
    }

    /// `[number]`, constructed.
    pub(crate) const fn context(number: TagNumber) -> Tag {
        Tag::ContextSpecific {
            constructed: true,
            number,
        }
    }
}

/// Goes from element to element.
pub(crate) struct Cursor<'a>(SliceReader<'a>);

impl<'a> Cursor<'a> {
    /// Over the elements in `bytes`.
    pub(crate) fn over(bytes: &'a [u8]) -> Option<Self> {
        SliceReader::new(bytes).ok().map(Self)
    }

    /// The next element; `None` at the end and where the bytes are not DER.
    pub(crate) fn next(&mut self) -> Option<Tlv<'a>> {
        let raw = self.0.tlv_bytes().ok()?;
        let any = AnyRef::from_der(raw).ok()?;
        Some(Tlv {
            tag: any.tag(),
            raw,
            value: any.value(),
        })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: Tag) -> Option<Tlv<'a>> {
        self.next().filter(|tlv| tlv.tag == tag)
    }

    /// The next element if it has this tag; else it stays.
    pub(crate) fn optional(&mut self, tag: Tag) -> Option<Tlv<'a>> {
        let next = self.0.peek_header().ok()?;
        if next.tag == tag { self.next() } else { None }
    }

    /// Whether nothing is left.
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }
}
