//! What decoded bytes are: length, digest, and what they look like from their first and last parts.

use truc_model::Sha256;

use super::zip::{self, Zip};
use crate::packet::{SniffedType, Wrapping};

/// Bytes kept from the start.
const HEAD_MAX: usize = 4 * 1024;
/// Bytes kept from the end: a zip's list of entries stands there.
const TAIL_MAX: usize = 64 * 1024;
/// What a text decoder puts in place of bytes that are not UTF-8.
const REPLACEMENT: &[u8] = &[0xEF, 0xBF, 0xBD];

/// What a stream of bytes came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) length: u64,
    pub(crate) sha256: Sha256,
    pub(crate) sniffed: SniffedType,
    pub(crate) damage: Damage,
    /// Of a zip, what its entries tell.
    zip: Option<Zip>,
}

impl Facts {
    /// Whether the sender's software put the file of this name in a zip.
    pub(crate) fn wrapper(&self, name: &str) -> Wrapping {
        self.zip
            .as_ref()
            .map_or(Wrapping::None, |zip| wrapping(zip, name))
    }
}

/// Whether the file was spoiled before it was encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    None,
    /// A PDF that went through a text decoder: its binary bytes are lost.
    DecodedAsText,
}

/// Looks at bytes as they pass.
pub(crate) struct Probe {
    digest: ring::digest::Context,
    length: u64,
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl Probe {
    pub(crate) fn new() -> Self {
        Self {
            digest: ring::digest::Context::new(&ring::digest::SHA256),
            length: 0,
            head: Vec::new(),
            tail: Vec::new(),
        }
    }

    pub(crate) fn update(&mut self, chunk: &[u8]) {
        self.digest.update(chunk);
        self.length += chunk.len() as u64;
        let room = HEAD_MAX - self.head.len();
        self.head.extend_from_slice(&chunk[..chunk.len().min(room)]);
        self.tail
            .extend_from_slice(&chunk[chunk.len().saturating_sub(TAIL_MAX)..]);
        // Cut only now and then: moving the tail for every chunk would cost more than the digest.
        if self.tail.len() > 4 * TAIL_MAX {
            self.tail.drain(..self.tail.len() - TAIL_MAX);
        }
    }

    /// Ends the stream.
    pub(crate) fn finish(mut self) -> Facts {
        self.tail.drain(..self.tail.len().saturating_sub(TAIL_MAX));
        let whole = self.length <= HEAD_MAX as u64;
        let (sniffed, zip) = if self.head.starts_with(b"PK\x03\x04") {
            let zip = zip::inspect(&self.head, &self.tail, self.length);
            (zip.sniffed(), Some(zip))
        } else {
            (sniff(&self.head, whole), None)
        };
        Facts {
            length: self.length,
            sha256: Sha256::from_ring(&self.digest.finish()),
            sniffed,
            damage: damage(&self.head),
            zip,
        }
    }
}

fn sniff(head: &[u8], whole: bool) -> SniffedType {
    let text = head
        .strip_prefix(b"\xEF\xBB\xBF")
        .unwrap_or(head)
        .trim_ascii_start();
    match head {
        _ if head.starts_with(b"%PDF") => SniffedType::Pdf,
        _ if head.starts_with(b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1") => SniffedType::Ole,
        _ if head.starts_with(b"\x89PNG\r\n\x1A\n") => SniffedType::Png,
        _ if head.starts_with(b"\xFF\xD8\xFF") => SniffedType::Jpeg,
        _ if head.starts_with(b"{\\rtf") => SniffedType::Rtf,
        _ if text.starts_with(b"<?xml") => SniffedType::Xml,
        _ if is_text(head, whole) => SniffedType::Text,
        _ => SniffedType::Unknown,
    }
}

fn is_text(head: &[u8], whole: bool) -> bool {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut in two where the first part ends.
        Err(error) if !whole && error.error_len().is_none() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or("")
        }
        Err(_) => return false,
    };
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

/// A wrapper has one entry with the file's own extension; a file that is named a zip is just that.
fn wrapping(zip: &Zip, name: &str) -> Wrapping {
    let extension = extension_of(name);
    match &zip.only_entry_extension {
        _ if zip.sniffed() != SniffedType::Zip || extension.as_deref() == Some("zip") => Wrapping::None,
        Some(inner) if Some(inner) == extension.as_ref() => Wrapping::Wrapped,
        _ => Wrapping::OddZip,
    }
}

/// Longest extension that is taken for one, in bytes.
const MAX_EXTENSION_BYTES: usize = 64;

/// Lower-case extension without the dot.
pub(super) fn extension_of(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let proper = !stem.is_empty()
        && (1..=MAX_EXTENSION_BYTES).contains(&extension.len())
        && extension.chars().all(char::is_alphanumeric);
    proper.then(|| extension.to_lowercase())
}

/// A PDF begins with its version and then a comment of bytes above 127. After a text decoder that
/// comment reads EF BF BD; what stands in the rest of the file is lost in the same way.
fn damage(head: &[u8]) -> Damage {
    if !head.starts_with(b"%PDF") {
        return Damage::None;
    }
    let mut lines = head
        .split(|b| matches!(b, b'\n' | b'\r'))
        .filter(|line| !line.is_empty());
    let first = lines.next().unwrap_or_default();
    let second = lines
        .next()
        .filter(|line| line.starts_with(b"%"))
        .unwrap_or_default();
    let mangled = |line: &[u8]| {
        line.windows(REPLACEMENT.len())
            .any(|window| window == REPLACEMENT)
    };
    if mangled(first) || mangled(second) {
        Damage::DecodedAsText
    } else {
        Damage::None
    }
}

/// Whether a label can stand for such bytes. Labels nobody has heard of agree with everything.
pub(crate) fn label_agrees(label: &str, sniffed: SniffedType) -> bool {
    use SniffedType as S;
    let label = label.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let family: &[S] = match label.as_str() {
        "application/pdf" | "application/x-pdf" | "pdf" => &[S::Pdf],
        "application/zip" | "application/x-zip-compressed" | "application/x-zip" | "zip" => &[S::Zip],
        "application/doc" | "application/msword" | "doc" => &[S::Ole, S::Rtf],
        "application/docx"
        | "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
        | "docx" => &[S::Docx, S::OfficeOpenXml],
        "application/xls" | "application/vnd.ms-excel" | "application/excel" | "xls" => &[S::Ole],
        "application/xlsx" | "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" | "xlsx" => {
            &[S::Xlsx, S::OfficeOpenXml]
        }
        "application/ppt" | "application/vnd.ms-powerpoint" | "ppt" => &[S::Ole],
        "application/pptx"
        | "application/vnd.openxmlformats-officedocument.presentationml.presentation"
        | "pptx" => &[S::Pptx, S::OfficeOpenXml],
        "application/x-ole-storage" => &[S::Ole],
        "image/png" | "png" => &[S::Png],
        "image/jpeg" | "image/jpg" | "jpg" | "jpeg" => &[S::Jpeg],
        "application/xml" | "text/xml" | "xml" => &[S::Xml],
        "application/rtf" | "text/rtf" | "rtf" => &[S::Rtf],
        "text/plain" | "txt" => &[S::Text, S::Xml],
        _ => return true,
    };
    family.contains(&sniffed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(bytes: &[u8]) -> Facts {
        let mut probe = Probe::new();
        for chunk in bytes.chunks(1000) {
            probe.update(chunk);
        }
        probe.finish()
    }

    #[test]
    fn first_bytes() {
        for (bytes, expected) in [
            (&b"%PDF-1.7\n"[..], SniffedType::Pdf),
            (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1rest", SniffedType::Ole),
            (b"\x89PNG\r\n\x1A\n....", SniffedType::Png),
            (b"\xFF\xD8\xFF\xE0", SniffedType::Jpeg),
            (b"{\\rtf1", SniffedType::Rtf),
            (b"\xEF\xBB\xBF <?xml version=\"1.0\"?><a/>", SniffedType::Xml),
            ("Kính gửi\r\n".as_bytes(), SniffedType::Text),
            (b"", SniffedType::Unknown),
            (b"\x00\x01", SniffedType::Unknown),
            (b"\xC3", SniffedType::Unknown),
        ] {
            assert_eq!(probe(bytes).sniffed, expected, "{bytes:?}");
        }
        let mut long = "a".repeat(HEAD_MAX - 1);
        long.push('đ');
        assert_eq!(probe(long.as_bytes()).sniffed, SniffedType::Text);
    }

    #[test]
    fn damaged_pdf() {
        let mangled = String::from_utf8_lossy(b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n1 0 obj").into_owned();
        assert_eq!(probe(mangled.as_bytes()).damage, Damage::DecodedAsText);
        assert_eq!(
            probe("%PDF-1.4 \u{FFFD}".as_bytes()).damage,
            Damage::DecodedAsText
        );
        assert_eq!(probe(b"%PDF-1.4\n%\xE2\xE3\xCF\xD3\n").damage, Damage::None);
        // Further down it may be a text of the document itself.
        assert_eq!(
            probe("%PDF-1.4\n%abcd\n(\u{FFFD})".as_bytes()).damage,
            Damage::None
        );
        assert_eq!(probe("plain \u{FFFD}".as_bytes()).damage, Damage::None);
    }

    #[test]
    fn length_and_digest_do_not_depend_on_what_is_kept() {
        let bytes: Vec<u8> = (0..500_000_u32).map(|i| u8::try_from(i % 256).unwrap()).collect();
        let facts = probe(&bytes);
        assert_eq!(facts.length, 500_000);
        assert_eq!(facts.sha256, Sha256::of(&bytes));
    }

    #[test]
    fn the_parts_kept_are_bounded() {
        let mut probe = Probe::new();
        for _ in 0..100 {
            probe.update(&[b'a'; TAIL_MAX]);
            assert_eq!(probe.head.len(), HEAD_MAX);
            assert!(probe.tail.len() <= 4 * TAIL_MAX);
        }
        probe.update(&[b'b'; TAIL_MAX + 1]);
        assert!(probe.tail.ends_with(&[b'b'; TAIL_MAX]));
    }

    #[test]
    fn labels() {
        assert!(label_agrees("Application/PDF; name=x", SniffedType::Pdf));
        assert!(!label_agrees("application/pdf", SniffedType::Zip));
        assert!(!label_agrees("application/zip", SniffedType::Docx));
        assert!(label_agrees("application/octet-stream", SniffedType::Unknown));
        assert!(label_agrees("application/doc", SniffedType::Ole));
        for sniffed in [
            SniffedType::Pdf,
            SniffedType::Docx,
            SniffedType::Ole,
            SniffedType::Text,
        ] {
            assert!(label_agrees(sniffed.media_type(), sniffed));
        }
    }

    #[test]
    fn extensions() {
        assert_eq!(extension_of("Báo cáo.SIGNED.PDF").as_deref(), Some("pdf"));
        assert_eq!(extension_of("no extension"), None);
        assert_eq!(extension_of(".hidden"), None);
        assert_eq!(extension_of("dot."), None);
    }
}
