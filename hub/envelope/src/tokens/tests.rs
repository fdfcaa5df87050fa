//! The same tokens whatever is at hand at a time, and the same that another parser sees.

use std::io;

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::source::PacketSource;

/// Bytes that come so many at a time.
struct Drops<'a>(&'a [u8], usize);

impl PacketSource for Drops<'_> {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = buffer.len().min(self.1);
        self.0.read_at(offset, &mut buffer[..length])
    }
}

const MAX: usize = 200;

/// All tokens, pieces put together: kind, inside, begin and end; and how it ended.
type Seen = (Vec<(Kind, String, usize, usize)>, Option<Broken>);

fn walk(window: Window<'_>) -> Seen {
    let mut tokens = Tokens::new(window, MAX);
    let mut seen: Vec<(Kind, String, usize, usize)> = Vec::new();
    loop {
        match tokens.next() {
            Ok(token) => {
                let inside = tokens.inside(&token);
                for held_together in ["\r\n", "]]>"] {
                    for at in 1..held_together.len() {
                        let (first, rest) = held_together.split_at(at);
                        let cut = token.continues() && inside.starts_with(rest);
                        let before = seen.last().map_or("", |(_, text, ..)| text.as_str());
                        assert!(!(cut && before.ends_with(first)), "cut inside {held_together:?}");
                    }
                }
                match seen.last_mut() {
                    Some((kind, text, _, end)) if token.continues() => {
                        assert_eq!((*kind, *end), (token.kind, token.start));
                        text.push_str(inside);
                        *end = token.end;
                    }
                    _ => {
                        assert_eq!(token.at, token.start);
                        seen.push((token.kind, inside.to_owned(), token.start, token.end));
                    }
                }
                if token.kind == Kind::Eof {
                    return (seen, None);
                }
            }
            Err(broken) => return (seen, Some(broken)),
        }
    }
}

fn whole(text: &str) -> Seen {
    walk(Window::whole(text, 0))
}

fn check_pieces(text: &str) {
    let expected = whole(text);
    for size in 1..=text.len().clamp(1, 20) {
        let source = Drops(text.as_bytes(), size);
        let input = Input::open(&source).unwrap();
        assert_eq!(
            walk(Window::part(&input, 0, text.len(), None)),
            expected,
            "{size} at a time of {text:?}"
        );
        input.failure().unwrap();
    }
}

/// Up to the first thing that is broken, another parser sees the same.
fn check_other_parser(text: &str) {
    let (seen, broken) = whole(text);
    if broken.as_ref().is_some_and(|broken| broken.why == Why::TooLong) {
        return;
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    for (kind, inside, start, end) in seen {
        let from = reader.buffer_position();
        // CDATA without an end is given out until the end is missed.
        let unclosed = broken.as_ref().is_some_and(|broken| broken.at == start);
        if unclosed || kind == Kind::Doctype {
            return;
        }
        let event = reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error} in {text:?} at {from}, where {kind:?} was seen"));
        let same = match (&event, kind) {
            (Event::Start(tag), Kind::Start { name }) | (Event::Empty(tag), Kind::Empty { name }) => {
                tag.name().as_ref().len() == name && tag.as_ref() == inside
            }
            (Event::End(tag), Kind::End) => tag.name().as_ref() == inside,
            (Event::Text(text), Kind::Text) => text.as_ref() == inside,
            (Event::CData(text), Kind::CData) => text.as_ref() == inside,
            (Event::Comment(text), Kind::Comment) => text.as_ref() == inside,
            (Event::GeneralRef(name), Kind::Reference) => name.as_ref() == inside,
            (Event::PI(text), Kind::Instruction) => text.as_ref() == inside,
            (Event::Decl(text), Kind::Declaration) => text.as_ref() == inside,
            (Event::Eof, Kind::Eof) => true,
            _ => false,
        };
        assert!(same, "{event:?} is not {kind:?} {inside:?} in {text:?}");
        assert_eq!((from, reader.buffer_position()), (start as u64, end as u64));
    }
    if let Some(broken) = broken {
        assert!(
            reader.read_event().is_err(),
            "{broken:?} is not broken in {text:?}"
        );
    }
}

#[test]
fn tokens_of_every_kind() {
    for text in [
        "",
        "<a>t&amp;]]&gt;\r\n<b x='>'/><![CDATA[]]]]>\r</a >",
        "<?xml version='1.0'?><!-- c --><?p d?><?xmlx?><?x:ml?><??>",
        "đường\u{10FFFF}<đ/>",
        "a\r\nb\rc\n\r",
        "]]]]>]]",
        "<a><![CDATA[x\r",
        "<a><![CDATA[",
        "<![CDATA[]",
        "<![CDAT",
        "<!-",
        "<!-->",
        "<!--->",
        "<!---->",
        "<!-- a--b -->",
        "<!-- a--->",
        "<!-- -",
        "<?",
        "<?>",
        "<?x",
        "<?x?",
        "<",
        "</",
        "</a>",
        "<a></b>",
        "<a b='>",
        "<a b=\">'>\"",
        "<>",
        "</>",
        "<a/></a>",
        "&",
        "&a",
        "&a&b;",
        "&a<b",
        "&;",
        "<!DOCTYPE a>",
        "<!doctype",
        "<!DOC",
        "<!x>",
        "<!",
    ] {
        check_pieces(text);
        check_other_parser(text);
    }
}

#[test]
fn markup_has_its_length_and_no_more() {
    let long = |before: &str, after: &str, length: usize| {
        format!(
            "{before}{}{after}",
            "x".repeat(length - before.len() - after.len())
        )
    };
    for (before, after) in [
        ("<", ">"),
        ("<a b='", "'/>"),
        ("<!--", "-->"),
        ("<?p ", "?>"),
        ("&", ";"),
    ] {
        let within = long(before, after, MAX);
        assert_eq!(whole(&within).1, None, "{within}");
        let beyond = long(before, after, MAX + 1);
        let why = whole(&beyond).1.map(|broken| broken.why);
        let expected = if before == "&" {
            Why::Ampersand
        } else {
            Why::TooLong
        };
        assert_eq!(why, Some(expected), "{beyond}");
        check_pieces(&within);
        check_pieces(&beyond);
        // Without an end it is too long too, once it is.
        check_pieces(&beyond[..MAX]);
        check_pieces(&beyond[..MAX - 1]);
    }
}

#[test]
fn bytes_that_are_no_text_end_it_wherever_they_are_cut() {
    for (bytes, at) in [
        (&b"<a>\xFF</a>"[..], 3),
        (b"<a>\xC4\x90\xC4</a>", 5),
        (b"<a>\xE1\xBA", 3),
        (b"\xF0\x9F\x98\x80\xF0\x9F\x98", 4),
    ] {
        assert_eq!(std::str::from_utf8(bytes).unwrap_err().valid_up_to(), at);
        for size in 1..=bytes.len() {
            let source = Drops(bytes, size);
            let input = Input::open(&source).unwrap();
            let window = Window::part(&input, 0, bytes.len(), Some(Survey::default()));
            let survey = window.survey().unwrap();
            assert_eq!(survey.not_utf8, Some((at, Some(bytes[at]))), "{bytes:?} {size}");
            input.failure().unwrap();
        }
    }
}

#[test]
fn a_source_that_became_shorter_is_a_failure() {
    struct Shorter;
    impl PacketSource for Shorter {
        fn size(&self) -> io::Result<u64> {
            Ok(10)
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            b"<a>text".as_slice().read_at(offset, buffer)
        }
    }
    let input = Input::open(&Shorter).unwrap();
    walk(Window::part(&input, 0, 10, None));
    assert_eq!(input.failure().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    assert!(input.failure().is_ok(), "said once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_text_in_any_pieces(parts in prop::collection::vec(
        prop::sample::select(vec![
            "<a>", "</a>", "<b/>", "<a", ">", "<", "&amp;", "&", ";", "]]>", "]", "<![CDATA[", "<!--", "-->", "-",
            "<?p", "?>", "\r", "\n", "\r\n", " ", "x", "đ", "\u{1F600}", "'", "\"", "=", "<?xml ", "<!DOCTYPE", "/",
        ]),
        0..40,
    )) {
        let text = parts.concat();
        check_pieces(&text);
        check_other_parser(&text);
    }
}
