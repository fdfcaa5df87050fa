//! From text to the tokens of XML, for everything in this crate that reads XML: the reader, the verifier of
//! signatures, the decoder of attachments.
//!
//! Markup is handed out whole, so its length has a limit. Text and CDATA are handed out in pieces, as they are at
//! hand, and a piece never ends inside a character, a line end of two characters, or `]]>`: whether the whole
//! packet is at hand or a byte at a time, what is made of the pieces is the same.
//!
//! What this leaves out: which names, characters, attributes and declarations are proper. The reader forgives
//! there, a signature does not. Nothing is expanded.

mod attributes;
mod names;
mod survey;
mod window;

pub(crate) use attributes::{RawAttribute, RawAttributes};
pub(crate) use names::Names;
pub(crate) use survey::{Survey, disallowed_character, is_allowed};
pub(crate) use window::{Input, Window};

use memchr::memmem;

/// A token and where it stands; offsets are the packet's. What is inside is asked for at [`Tokens::inside`], before
/// the next token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// Where it begins; of a later piece, where the first began.
    pub(crate) at: usize,
    /// Where this piece begins, its delimiter included.
    pub(crate) start: usize,
    /// Behind its last byte.
    pub(crate) end: usize,
    inside: (usize, usize),
}

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `<name …>`; the name has so many bytes.
    Start { name: usize },
    /// `<name …/>`.
    Empty { name: usize },
    /// `</name>`, of the element that is open.
    End,
    /// A piece of text, without references.
    Text,
    /// A piece of a CDATA section.
    CData,
    /// `&…;`.
    Reference,
    /// `<!--…-->`, without `--` inside.
    Comment,
    /// `<?…?>`.
    Instruction,
    /// `<?xml …?>`.
    Declaration,
    /// `<!DOCTYPE`; what it holds is not looked at.
    Doctype,
    /// The text is over.
    Eof,
}

impl Token {
    /// Whether this is another piece of the text or CDATA that the token before was a piece of.
    pub(crate) const fn continues(&self) -> bool {
        self.start != self.at
    }

    /// Where its inside begins.
    pub(crate) const fn inside_start(&self) -> usize {
        self.inside.0
    }

    /// Stands for none, before the first.
    pub(crate) const fn before(at: usize) -> Self {
        Self {
            kind: Kind::Eof,
            at,
            start: at,
            end: at,
            inside: (at, at),
        }
    }
}

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) at: usize,
    pub(crate) why: Why,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Why {
    /// `<!` and something else than `--`, `[CDATA[` and `DOCTYPE`.
    Bang,
    /// The text ends inside; in words.
    Unclosed(&'static str),
    /// Longer than the limit.
    TooLong,
    /// `--` inside a comment.
    DoubleHyphen,
    /// `&` that begins no reference.
    Ampersand,
    /// An end tag, and no element is open.
    Unmatched,
    /// An end tag of another element than the open one.
    Mismatched { expected: String, found: String },
}

/// Reads tokens.
pub(crate) struct Tokens<'s> {
    window: Window<'s>,
    /// Most bytes of one piece of markup.
    max_markup: usize,
    /// Where the text begins of which pieces were handed out.
    run: Option<usize>,
    /// Where the CDATA section begins that one stands in.
    cdata: Option<usize>,
    /// The open elements.
    open: Names,
}

impl<'s> Tokens<'s> {
    pub(crate) fn new(window: Window<'s>, max_markup: usize) -> Self {
        Self {
            window,
            max_markup,
            run: None,
            cdata: None,
            open: Names::default(),
        }
    }

    /// What stands between the token's delimiters; of an end tag, its name. Good until the next token.
    pub(crate) fn inside(&self, token: &Token) -> &str {
        self.window.between(token.inside.0, token.inside.1)
    }

    /// Ends with what else the window has to tell.
    pub(crate) fn into_window(self) -> Window<'s> {
        self.window
    }

    /// The next token.
    pub(crate) fn next(&mut self) -> Result<Token, Broken> {
        if let Some(at) = self.cdata {
            return self.cdata(at);
        }
        if self.window.rest().is_empty() && !self.window.more() {
            let at = self.window.offset();
            return Ok(self.token(Kind::Eof, at, 0, (0, 0)));
        }
        match self.window.rest().as_bytes().first() {
            Some(b'<') => {
                self.run = None;
                self.markup()
            }
            Some(b'&') => {
                self.run = None;
                self.reference()
            }
            _ => Ok(self.text()),
        }
    }

    fn text(&mut self) -> Token {
        let at = *self.run.get_or_insert(self.window.offset());
        let length = loop {
            let rest = self.window.rest().as_bytes();
            if let Some(length) = memchr::memchr2(b'<', b'&', rest) {
                break length;
            }
            // What may go on in the next bytes is kept back.
            let (safe, all) = (rest.len() - unsafe_end(rest), rest.len());
            if safe > 0 && safe < all {
                break safe;
            }
            if safe == all && all > 0 {
                break all;
            }
            if !self.window.more() {
                break all;
            }
        };
        self.token(Kind::Text, at, length, (0, 0))
    }

    /// A piece of the CDATA section that begins at `at`, behind its delimiter.
    fn cdata(&mut self, at: usize) -> Result<Token, Broken> {
        // Only the first piece has the delimiter before it.
        let open = if self.window.offset() == at {
            CDATA.len()
        } else {
            0
        };
        let (length, close) = loop {
            let rest = &self.window.rest().as_bytes()[open..];
            if let Some(length) = memmem::find(rest, b"]]>") {
                self.cdata = None;
                break (length, 3);
            }
            let safe = rest.len() - unsafe_end(rest);
            if safe > 0 {
                break (safe, 0);
            }
            if !self.window.more() {
                let rest = self.window.rest().len() - open;
                if rest == 0 {
                    return Err(broken(
                        at,
                        Why::Unclosed("CDATA not closed: `]]>` not found before end of input"),
                    ));
                }
                break (rest, 0);
            }
        };
        Ok(self.token(Kind::CData, at, open + length + close, (open, close)))
    }

    fn reference(&mut self) -> Result<Token, Broken> {
        let at = self.window.offset();
        let length = self.measure(|rest| {
            let end = memchr::memchr3(b';', b'&', b'<', &rest[1..])? + 1;
            Some(if rest[end] == b';' { end + 1 } else { 0 })
        });
        match length {
            Ok(length) if length > 0 => Ok(self.token(Kind::Reference, at, length, (1, 1))),
            _ => Err(broken(at, Why::Ampersand)),
        }
    }

    fn markup(&mut self) -> Result<Token, Broken> {
        while self.window.rest().len() < CDATA.len() && self.window.more() {}
        let at = self.window.offset();
        match self.window.rest().as_bytes().get(1) {
            Some(b'!') => self.declaration(at),
            Some(b'?') => self.instruction(at),
            Some(b'/') => self.end_tag(at),
            _ => self.start_tag(at),
        }
    }

    fn start_tag(&mut self, at: usize) -> Result<Token, Broken> {
        let length = self.tag(at)?;
        let tag = &self.window.rest().as_bytes()[..length];
        let (close, kind): (usize, fn(usize) -> Kind) = if tag.ends_with(b"/>") && length > 2 {
            (2, |name| Kind::Empty { name })
        } else {
            (1, |name| Kind::Start { name })
        };
        let inside = &tag[1..length - close];
        let name = inside
            .iter()
            .position(|byte| is_space(*byte))
            .unwrap_or(inside.len());
        let kind = kind(name);
        if let Kind::Start { name } = kind {
            let name = self.window.rest().get(1..=name).unwrap_or_default();
            self.open.push(name);
        }
        Ok(self.token(kind, at, length, (1, close)))
    }

    fn end_tag(&mut self, at: usize) -> Result<Token, Broken> {
        let length = self.tag(at)?;
        let name = self.window.rest().get(2..length - 1).unwrap_or_default();
        let name = name.trim_end_matches(|c: char| u8::try_from(c).is_ok_and(is_space));
        let close = length - 2 - name.len();
        match self.open.last() {
            None => return Err(broken(at, Why::Unmatched)),
            Some(expected) if expected != name => {
                let (expected, found) = (expected.to_owned(), name.to_owned());
                return Err(broken(at, Why::Mismatched { expected, found }));
            }
            Some(_) => self.open.pop(),
        }
        Ok(self.token(Kind::End, at, length, (2, close)))
    }

    /// Length of the tag at hand: up to a `>` that stands in no quotes.
    fn tag(&mut self, at: usize) -> Result<usize, Broken> {
        self.measure(|rest| tag_end(rest).ok()).map_err(|unfinished| {
            let words = match tag_end(self.window.rest().as_bytes()) {
                Err(Some(b'"')) => "attribute value not closed: `\"` not found before end of input",
                Err(Some(_)) => "attribute value not closed: `'` not found before end of input",
                _ => "tag not closed: `>` not found before end of input",
            };
            unfinished.broken(at, words)
        })
    }

    fn instruction(&mut self, at: usize) -> Result<Token, Broken> {
        let length = self
            .measure(|rest| memmem::find(&rest[1..], b"?>").map(|end| end + 3))
            .map_err(|unfinished| {
                let rest = self.window.rest().as_bytes();
                let declares = rest.starts_with(b"<?xml")
                    && rest.get(5).is_none_or(|byte| is_space(*byte) || *byte == b'?');
                unfinished.broken(
                    at,
                    if declares {
                        DECLARATION_UNCLOSED
                    } else {
                        PI_UNCLOSED
                    },
                )
            })?;
        let inside = match self.window.rest().get(2..length - 2) {
            Some(inside) => inside.as_bytes(),
            // `<?>`.
            None => return Err(broken(at, Why::Unclosed(PI_UNCLOSED))),
        };
        let declares = inside
            .strip_prefix(b"xml")
            .is_some_and(|rest| rest.first().is_none_or(|byte| is_space(*byte)));
        let kind = if declares {
            Kind::Declaration
        } else {
            Kind::Instruction
        };
        Ok(self.token(kind, at, length, (2, 2)))
    }

    /// What begins with `<!`.
    fn declaration(&mut self, at: usize) -> Result<Token, Broken> {
        let rest = self.window.rest().as_bytes();
        if rest.starts_with(CDATA) {
            self.cdata = Some(at);
            return self.cdata(at);
        }
        let doctype = rest
            .get(..DOCTYPE.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(DOCTYPE));
        if doctype {
            return Ok(self.token(Kind::Doctype, at, DOCTYPE.len(), (DOCTYPE.len(), 0)));
        }
        if !rest.starts_with(b"<!--") {
            return Err(broken(at, Why::Bang));
        }
        let length = self
            .measure(|rest| memmem::find(rest.get(4..)?, b"-->").map(|end| end + 7))
            .map_err(|unfinished| {
                unfinished.broken(at, "comment not closed: `-->` not found before end of input")
            })?;
        // A hyphen before the closing ones is a double one too.
        let hyphens = &self.window.rest().as_bytes()[4..length - 2];
        if let Some(double) = memmem::find(hyphens, b"--") {
            return Err(broken(at + 4 + double, Why::DoubleHyphen));
        }
        Ok(self.token(Kind::Comment, at, length, (4, 3)))
    }

    /// Length of the token that begins the rest: more is taken to hand until `find` tells, or it is too long.
    fn measure(&mut self, find: impl Fn(&[u8]) -> Option<usize>) -> Result<usize, Unfinished> {
        loop {
            let rest = self.window.rest().as_bytes();
            let near = &rest[..rest.len().min(self.max_markup)];
            if let Some(length) = find(near) {
                return Ok(length);
            }
            if rest.len() >= self.max_markup {
                return Err(Unfinished::TooLong);
            }
            if !self.window.more() {
                return Err(Unfinished::Ended);
            }
        }
    }

    /// Passes a token of `length` bytes, with so many bytes of delimiters before and behind.
    const fn token(&mut self, kind: Kind, at: usize, length: usize, delimiters: (usize, usize)) -> Token {
        let start = self.window.offset();
        let end = start + length;
        self.window.pass(length);
        Token {
            kind,
            at,
            start,
            end,
            inside: (start + delimiters.0, end - delimiters.1),
        }
    }
}

const CDATA: &[u8] = b"<![CDATA[";
const DOCTYPE: &[u8] = b"<!DOCTYPE";
const DECLARATION_UNCLOSED: &str = "XML declaration not closed: `?>` not found before end of input";
const PI_UNCLOSED: &str = "processing instruction not closed: `?>` not found before end of input";

/// Why a token's length cannot be told.
enum Unfinished {
    Ended,
    TooLong,
}

impl Unfinished {
    const fn broken(self, at: usize, words: &'static str) -> Broken {
        let why = match self {
            Self::Ended => Why::Unclosed(words),
            Self::TooLong => Why::TooLong,
        };
        Broken { at, why }
    }
}

const fn broken(at: usize, why: Why) -> Broken {
    Broken { at, why }
}

/// Bytes at the end that may belong together with what comes: a line end's first, or the first of `]]>`.
fn unsafe_end(text: &[u8]) -> usize {
    match text {
        [.., b'\r'] => 1,
        [.., b']', b']'] => 2,
        [.., b']'] => 1,
        _ => 0,
    }
}

/// White space of XML.
const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Length of a tag; without an end, the quote that it stands in.
fn tag_end(rest: &[u8]) -> Result<usize, Option<u8>> {
    let mut quote = None;
    for at in memchr::memchr3_iter(b'>', b'\'', b'"', rest) {
        match (quote, rest[at]) {
            (None, b'>') => return Ok(at + 1),
            (None, opening) => quote = Some(opening),
            (Some(open), closing) if open == closing => quote = None,
            _ => {}
        }
    }
    Err(quote)
}

#[cfg(test)]
mod tests;
