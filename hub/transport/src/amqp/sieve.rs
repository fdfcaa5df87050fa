//! Reads what the broker sends before lapin does, and makes message properties harmless.
//!
//! Why: any connected system chooses the property and header bytes of its messages, RabbitMQ passes them
//! on unread, and lapin (4.12) parses them on its own thread. A text that is not UTF-8, or a type it does
//! not know, ends the connection; headers nested some thousand deep overflow the stack, which ends the
//! process. The broker then hands the message out again: one message would keep a hub from ever working.
//!
//! So every content header is looked at here, with limits and without recursion. One that lapin can read
//! passes byte for byte. In any other, texts are mended, headers that cannot be mended are left out, and
//! the header `truc-unreadable` says so. Everything else passes untouched.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncRead, AsyncWrite};

use super::mend::harmless;

/// Frame type, channel, size of the payload.
pub(super) const FRAME_HEAD: usize = 7;
/// Behind the payload: the end byte.
pub(super) const FRAME_TAIL: usize = 1;
/// The frame type of content headers.
const CONTENT_HEADER: u8 = 2;
/// Largest content header, in bytes. RabbitMQ sends frames up to what was agreed on, 128 KiB by default.
const CONTENT_HEADER_MAX: usize = 1024 * 1024;
/// Read from the socket at once, in bytes.
const CHUNK: usize = 64 * 1024;

/// A connection, boxed: in clear or encrypted.
pub(super) trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// The reading side goes through the sieve, the writing side straight on.
pub(super) struct Sieve {
    wire: Box<dyn Wire>,
    /// Read from the wire and not yet looked at.
    raw: Vec<u8>,
    raw_at: usize,
    /// Looked at, and not yet read by lapin.
    ready: Vec<u8>,
    ready_at: usize,
    stage: Stage,
}

/// Where in the stream of frames the next raw byte stands.
enum Stage {
    /// In the head of a frame; what there is of it.
    Head(Vec<u8>),
    /// In a frame that passes; this much of it is left.
    Passing(usize),
    /// In a content header; the frame so far, and its whole size.
    Collecting(Vec<u8>, usize),
}

impl Sieve {
    pub(super) fn new(wire: impl Wire + 'static) -> Self {
        Self {
            wire: Box::new(wire),
            raw: Vec::new(),
            raw_at: 0,
            ready: Vec::new(),
            ready_at: 0,
            stage: Stage::Head(Vec::new()),
        }
    }

    /// Moves raw bytes on until there is something for lapin or nothing left.
    fn sift(&mut self) -> io::Result<()> {
        while self.ready_at == self.ready.len() && self.raw_at < self.raw.len() {
            self.ready.clear();
            self.ready_at = 0;
            let raw = &self.raw[self.raw_at..];
            match &mut self.stage {
                Stage::Head(head) => {
                    let take = raw.len().min(FRAME_HEAD - head.len());
                    head.extend_from_slice(&raw[..take]);
                    self.raw_at += take;
                    if head.len() == FRAME_HEAD {
                        self.stage = after_head(std::mem::take(head), &mut self.ready)?;
                    }
                }
                Stage::Passing(left) => {
                    let take = raw.len().min(*left);
                    self.ready.extend_from_slice(&raw[..take]);
                    self.raw_at += take;
                    *left -= take;
                    if *left == 0 {
                        self.stage = Stage::Head(Vec::new());
                    }
                }
                Stage::Collecting(frame, size) => {
                    let take = raw.len().min(*size - frame.len());
                    frame.extend_from_slice(&raw[..take]);
                    self.raw_at += take;
                    if frame.len() == *size {
                        self.ready = harmless(std::mem::take(frame));
                        self.stage = Stage::Head(Vec::new());
                    }
                }
            }
        }
        Ok(())
    }
}

fn after_head(head: Vec<u8>, ready: &mut Vec<u8>) -> io::Result<Stage> {
    let size = u32::from_be_bytes([head[3], head[4], head[5], head[6]]);
    let size = usize::try_from(size)
        .unwrap_or(usize::MAX)
        .saturating_add(FRAME_TAIL);
    if head[0] != CONTENT_HEADER {
        ready.extend(head);
        return Ok(Stage::Passing(size));
    }
    if size > CONTENT_HEADER_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the broker sent message properties beyond all limits",
        ));
    }
    Ok(Stage::Collecting(head, FRAME_HEAD + size))
}

impl AsyncRead for Sieve {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            this.sift()?;
            let ready = &this.ready[this.ready_at..];
            if !ready.is_empty() || buffer.is_empty() {
                let take = ready.len().min(buffer.len());
                buffer[..take].copy_from_slice(&ready[..take]);
                this.ready_at += take;
                return Poll::Ready(Ok(take));
            }
            this.raw.resize(CHUNK, 0);
            this.raw_at = CHUNK;
            let read = ready!(Pin::new(&mut this.wire).poll_read(cx, &mut this.raw))?;
            this.raw.truncate(read);
            this.raw_at = 0;
            if read == 0 {
                // The end; half a frame is of no use to anyone.
                return Poll::Ready(Ok(0));
            }
        }
    }
}

impl AsyncWrite for Sieve {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.wire).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.wire).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use futures_util::future::poll_fn;

    use super::super::mend::DEPTH_MAX;
    use super::*;

    /// A wire that gives its bytes in pieces of a given size.
    struct Pieces(Vec<u8>, usize, usize);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            let take = self.2.min(buffer.len()).min(self.0.len() - self.1);
            buffer[..take].copy_from_slice(&self.0[self.1..self.1 + take]);
            self.1 += take;
            Poll::Ready(Ok(take))
        }
    }

    impl AsyncWrite for Pieces {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Ok(0))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn through(stream: &[u8], piece: usize, window: usize) -> Vec<u8> {
        let mut sieve = Sieve::new(Pieces(stream.to_vec(), 0, piece));
        let mut out = Vec::new();
        let mut buffer = vec![0; window];
        loop {
            let read = poll_fn(|cx| Pin::new(&mut sieve).poll_read(cx, &mut buffer));
            let read = read.now_or_never().unwrap().unwrap();
            if read == 0 {
                return out;
            }
            out.extend(&buffer[..read]);
        }
    }

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![kind, 0, 1];
        frame.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
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
        let mut text = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
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

    #[test]
    fn what_lapin_can_read_passes_byte_for_byte_in_any_pieces() {
        let all: Vec<u8> = [
            entry(b"t", b't', &[1]),
            entry(b"s", b's', &[0, 1]),
            entry(b"I", b'I', &[0; 4]),
            entry(b"D", b'D', &[0; 5]),
            entry(b"l", b'l', &[0; 8]),
            entry(b"V", b'V', &[]),
            entry("đ".as_bytes(), b'S', &long(b"\xff")),
            entry(b"A", b'A', &long(b"V")),
            entry(b"F", b'F', &long(&nested(DEPTH_MAX - 1))),
        ]
        .concat();
        let stream = [
            frame(1, b"a method"),
            frame(CONTENT_HEADER, &content(1 << 13, &long(&all))),
            frame(3, &[7; 300]),
            frame(CONTENT_HEADER, &content(1 << 7, b"\x02id")),
            frame(8, b""),
        ]
        .concat();
        for piece in [1, 2, 7, 64, 10_000] {
            for window in [1, 13, 10_000] {
                assert_eq!(through(&stream, piece, window), stream, "{piece} {window}");
            }
        }
    }

    #[test]
    fn a_header_frame_beyond_all_limits_ends_the_connection_and_not_the_memory() {
        let size = |bytes: usize| u32::try_from(bytes).unwrap().to_be_bytes();
        let head = |bytes: usize| [&[CONTENT_HEADER, 0, 1][..], &size(bytes)].concat();
        let mut ready = Vec::new();
        assert!(after_head(head(CONTENT_HEADER_MAX - FRAME_TAIL), &mut ready).is_ok());
        assert!(after_head(head(CONTENT_HEADER_MAX), &mut ready).is_err());
    }
}
