//! Mends a content header that lapin could not read. Pure: bytes in, bytes out.

use super::sieve::{FRAME_HEAD, FRAME_TAIL};
use crate::message::Properties;

/// Class, weight and body size come before the properties.
const FIXED: usize = 12;
/// The bit of the headers among the property flags.
const HEADERS_FLAG: u16 = 1 << 13;
/// Deepest nesting of tables and lists in headers. Nothing of ours nests; RabbitMQ's `x-death` has three.
pub(super) const DEPTH_MAX: usize = 8;

/// A whole content-header frame, as lapin can read it.
pub(super) fn harmless(frame: Vec<u8>) -> Vec<u8> {
    let payload = &frame[FRAME_HEAD..frame.len() - FRAME_TAIL];
    let mended = match mend(payload) {
        Ok(None) => return frame,
        Ok(Some(payload)) => payload,
        Err(Broken) => {
            // Where one property ends and the next begins cannot be told: none is kept.
            let mut bare = payload.get(..FIXED).unwrap_or(&[0; FIXED]).to_vec();
            bare.extend(HEADERS_FLAG.to_be_bytes());
            put_table(&mut bare, &[]);
            bare
        }
    };
    let mut harmless = frame[..FRAME_HEAD - 4].to_vec();
    harmless.extend(length(&mended));
    harmless.extend(mended);
    harmless.extend(&frame[frame.len() - FRAME_TAIL..]);
    harmless
}

/// The properties do not hold together.
struct Broken;

/// The kinds of properties, in the order of their flags from bit 15 down to bit 2.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Table,
    Byte,
    Long,
}

const KINDS: [Kind; 14] = {
    use Kind::{Byte, Long, Table, Text};
    [
        Text,  // content_type
        Text,  // content_encoding
        Table, // headers
        Byte,  // delivery_mode
        Byte,  // priority
        Text,  // correlation_id
        Text,  // reply_to
        Text,  // expiration
        Text,  // message_id
        Long,  // timestamp
        Text,  // type
        Text,  // user_id
        Text,  // app_id
        Text,  // cluster_id
    ]
};

/// The payload mended, or `None` when nothing needs mending.
fn mend(payload: &[u8]) -> Result<Option<Vec<u8>>, Broken> {
    let mut rest = Bytes(payload.get(FIXED..).ok_or(Broken)?);
    let flags = u16::from_be_bytes(rest.array()?);
    // The two lowest bits have no meaning here: bit 0 would announce more flags, of which AMQP has none.
    if flags & 0b11 != 0 {
        return Err(Broken);
    }
    let mut mended = Vec::new();
    let mut headers: Option<&[u8]> = None;
    let mut before_headers = 0;
    let mut clean = true;
    for (at, kind) in KINDS.into_iter().enumerate() {
        if kind == Kind::Table {
            before_headers = mended.len();
        }
        if flags & (1 << (15 - at)) == 0 {
            continue;
        }
        match kind {
            Kind::Text => {
                let text = rest.short()?;
                mended.push(u8::try_from(text.len()).map_err(|_| Broken)?);
                clean &= push_text(&mut mended, text);
            }
            Kind::Byte => mended.extend(rest.take(1)?),
            Kind::Long => mended.extend(rest.take(8)?),
            Kind::Table => {
                let table = rest.long()?;
                let readable = is_readable(table);
                clean &= readable;
                headers = Some(if readable { table } else { &[] });
            }
        }
    }
    if !rest.0.is_empty() {
        return Err(Broken);
    }
    if clean {
        return Ok(None);
    }
    let mut whole = payload[..FIXED].to_vec();
    whole.extend((flags | HEADERS_FLAG).to_be_bytes());
    whole.extend(&mended[..before_headers]);
    put_table(&mut whole, headers.unwrap_or_default());
    whole.extend(&mended[before_headers..]);
    Ok(Some(whole))
}

/// Puts a text with `?` for each byte that is not UTF-8; whether it was clean. The length stays.
fn push_text(to: &mut Vec<u8>, text: &[u8]) -> bool {
    let mut clean = true;
    for chunk in text.utf8_chunks() {
        to.extend(chunk.valid().bytes());
        to.extend(chunk.invalid().iter().map(|_| b'?'));
        clean &= chunk.invalid().is_empty();
    }
    clean
}

/// Puts a table with one entry more: that something was unreadable.
fn put_table(to: &mut Vec<u8>, entries: &[u8]) {
    let name = Properties::UNREADABLE.as_bytes();
    let mut table = entries.to_vec();
    table.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    table.extend(name);
    // A boolean, true.
    table.extend(b"t\x01");
    to.extend(length(&table));
    to.extend(table);
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes()
}

/// Whether lapin can read these entries of a table, and need not go deep for it.
fn is_readable(table: &[u8]) -> bool {
    #[derive(Clone, Copy, PartialEq, Eq)]
    enum Holder {
        Table,
        List,
    }
    // What is being read, the innermost last; of each, what is left.
    let mut open = vec![(Holder::Table, Bytes(table))];
    while let Some((holder, rest)) = open.last_mut() {
        if rest.0.is_empty() {
            open.pop();
            continue;
        }
        let inner = (|| {
            if *holder == Holder::Table {
                std::str::from_utf8(rest.short()?).map_err(|_| Broken)?;
            }
            let [kind] = rest.array()?;
            let size = match kind {
                b'V' => 0,
                b't' | b'b' | b'B' => 1,
                b's' | b'U' | b'u' => 2,
                b'I' | b'i' | b'f' => 4,
                b'D' => 5,
                b'L' | b'l' | b'd' | b'T' => 8,
                b'S' | b'x' => return rest.long().map(|_| None),
                b'A' => return rest.long().map(|list| Some((Holder::List, Bytes(list)))),
                b'F' => return rest.long().map(|table| Some((Holder::Table, Bytes(table)))),
                _ => return Err(Broken),
            };
            rest.take(size).map(|_| None)
        })();
        match inner {
            Ok(None) => {}
            Ok(Some(_)) if open.len() == DEPTH_MAX => return false,
            Ok(Some(inner)) => open.push(inner),
            Err(Broken) => return false,
        }
    }
    true
}

/// Bytes read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        self.take(N)?.try_into().map_err(|_| Broken)
    }

    fn short(&mut self) -> Result<&'a [u8], Broken> {
        let [length] = self.array()?;
        self.take(length.into())
    }

    fn long(&mut self) -> Result<&'a [u8], Broken> {
        let length = u32::from_be_bytes(self.array()?);
        self.take(usize::try_from(length).map_err(|_| Broken)?)
    }
}

#[cfg(test)]
mod tests {
    use lapin::types::{AMQPValue, FieldTable};

    use super::*;

    /// The frame type of content headers.
    const CONTENT_HEADER: u8 = 2;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(length(payload));
        frame.extend(payload);
        frame.push(0xce);
        frame
    }

    fn content(flags: u16, properties: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        payload.extend(flags.to_be_bytes());
        payload.extend(properties);
        payload
    }

    fn entry(name: &[u8], kind: u8, value: &[u8]) -> Vec<u8> {
        let mut entry = vec![u8::try_from(name.len()).unwrap()];
        entry.extend(name);
        entry.push(kind);
        entry.extend(value);
        entry
    }

    fn long(bytes: &[u8]) -> Vec<u8> {
        let mut text = length(bytes).to_vec();
        text.extend(bytes);
        text
    }

    fn nested(depth: usize) -> Vec<u8> {
        let mut inner = Vec::new();
        for _ in 1..depth {
            inner = entry(b"n", b'F', &long(&inner));
        }
        inner
    }

    /// What lapin makes of the headers that come out.
    fn headers(payload: &[u8]) -> FieldTable {
        let out = harmless(frame(CONTENT_HEADER, payload));
        let table = &out[FRAME_HEAD + FIXED + 2..out.len() - 1];
        let (rest, table) = lapin::types::parsing::parse_field_table(table).unwrap();
        assert!(rest.is_empty());
        table
    }

    #[test]
    fn texts_are_mended_and_it_is_said() {
        // message_id and app_id around a header.
        let mut properties = long(&entry(b"truc-from", b'S', &long(b"H60")));
        properties.extend(b"\x03a\xffb\x02\xc3(");
        let flags = HEADERS_FLAG | 1 << 7 | 1 << 3;
        let mended = mend(&content(flags, &properties)).ok().flatten().unwrap();
        assert!(mended.ends_with(b"\x03a?b\x02?("));
        let (_, table) = lapin::types::parsing::parse_field_table(&mended[FIXED + 2..]).unwrap();
        assert_eq!(table.inner()["truc-from"], AMQPValue::LongString("H60".into()));
        assert_eq!(table.inner()[Properties::UNREADABLE], AMQPValue::Boolean(true));
    }

    #[test]
    fn headers_that_cannot_be_read_are_left_out_and_it_is_said() {
        for (what, entries) in [
            ("a name", entry(b"\xff", b'V', &[])),
            ("an unknown type", entry(b"a", b'?', &[])),
            ("too long a text", entry(b"a", b'S', &[0, 0, 0, 9, 1])),
            ("too short a number", entry(b"a", b'l', &[0; 7])),
            ("a name without a value", vec![1, b'a']),
            ("one level too many", nested(DEPTH_MAX + 1)),
        ] {
            let table = headers(&content(HEADERS_FLAG, &long(&entries)));
            assert_eq!(table.inner().len(), 1, "{what}");
            assert!(table.contains_key(Properties::UNREADABLE), "{what}");
        }
        assert!(is_readable(&nested(DEPTH_MAX)));
    }

    #[test]
    fn properties_that_do_not_hold_together_are_all_left_out() {
        for payload in [
            content(HEADERS_FLAG, &[0, 0, 0, 9]),
            content(1 << 7, b"\x09id"),
            content(1 << 7, b"\x02id and more"),
            content(HEADERS_FLAG | 1, &long(b"")),
        ] {
            let table = headers(&payload);
            assert_eq!(table.inner().len(), 1);
        }
        // Not even the fixed part is there.
        assert!(harmless(frame(CONTENT_HEADER, &[0, 60])).len() > FIXED);
    }

    #[test]
    fn no_bytes_make_it_panic_and_what_comes_out_lapin_can_read() {
        // A cheap generator: most of these are wrong somewhere.
        let random = truc_model::SeededRandom::new(20_260_301);
        for round in 0..20_000_usize {
            let mut bytes = vec![0; round % 60];
            truc_model::Random::fill(&random, &mut bytes);
            for byte in &mut bytes {
                // Mostly small lengths and known types.
                *byte = match *byte % 4 {
                    0 => *byte % 6,
                    1 => b"tbsIlSAFVx"[usize::from(*byte) % 10],
                    2 => 0,
                    _ => *byte,
                };
            }
            let table = headers(&content(HEADERS_FLAG, &long(&bytes)));
            assert!(table.contains_key(Properties::UNREADABLE) || is_readable(&bytes));
            let _ = harmless(frame(CONTENT_HEADER, &bytes));
        }
    }
}
