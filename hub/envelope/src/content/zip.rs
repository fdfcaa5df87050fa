//! A zip's list of entries, read from its last bytes: enough to tell an Office file from a wrapper
//! round one file. Entries are never unpacked, and their names never used for anything but this.

use crate::packet::SniffedType;

/// Most entries looked at; a wrapper has one.
const MAX_ENTRIES: usize = 4096;
/// Length of the record that ends a zip, without its comment.
const END_LEN: usize = 22;
/// Length of an entry in the central directory, without its name.
const CENTRAL_LEN: usize = 46;
/// Length of an entry's header before its data, without its name.
const LOCAL_LEN: usize = 30;

/// What a zip's entries tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zip {
    kind: SniffedType,
    /// Lower-case extension of the entry, where exactly one file is inside.
    pub(super) only_entry_extension: Option<String>,
}

impl Zip {
    pub(super) const fn sniffed(&self) -> SniffedType {
        self.kind
    }
}

/// Reads what `head` (the first bytes) and `tail` (the last) tell of a zip of `length` bytes.
pub(super) fn inspect(head: &[u8], tail: &[u8], length: u64) -> Zip {
    let first = local_name(head);
    if let Some(names) = central_names(tail, length) {
        let kind = kind_of(first, &names);
        let files: Vec<&[u8]> = names.into_iter().filter(|name| !name.ends_with(b"/")).collect();
        let only = match files.as_slice() {
            [only] => super::probe::extension_of(&String::from_utf8_lossy(only)),
            _ => None,
        };
        return Zip {
            kind,
            only_entry_extension: only,
        };
    }
    // The list is too long for the part that was kept, or the file is cut off: the first entry and
    // the names that happen to stand in the first bytes are all there is to go by.
    let near: Vec<&[u8]> = [&b"word/"[..], b"xl/", b"ppt/"]
        .into_iter()
        .filter(|folder| head.windows(folder.len()).any(|window| window == *folder))
        .chain(first)
        .collect();
    Zip {
        kind: kind_of(first, &near),
        only_entry_extension: None,
    }
}

fn kind_of(first: Option<&[u8]>, names: &[&[u8]]) -> SniffedType {
    if names.contains(&&b"[Content_Types].xml"[..]) {
        let has = |folder: &[u8]| names.iter().any(|name| name.starts_with(folder));
        if has(b"word/") {
            SniffedType::Docx
        } else if has(b"xl/") {
            SniffedType::Xlsx
        } else if has(b"ppt/") {
            SniffedType::Pptx
        } else {
            SniffedType::OfficeOpenXml
        }
    } else if first == Some(b"mimetype") {
        SniffedType::OpenDocument
    } else {
        SniffedType::Zip
    }
}

/// Names of the central directory, where it lies wholly within `tail`.
fn central_names(tail: &[u8], length: u64) -> Option<Vec<&[u8]>> {
    let end = (0..=tail.len().checked_sub(END_LEN)?).rev().find(|&at| {
        tail[at..].starts_with(b"PK\x05\x06")
            && u16_at(tail, at + 20).is_some_and(|comment| at + END_LEN + comment == tail.len())
    })?;
    let entries = u16_at(tail, end + 10)?;
    let start = u64::from(u32_at(tail, end + 16)?);
    let before_tail = length.checked_sub(tail.len() as u64)?;
    let mut at = usize::try_from(start.checked_sub(before_tail)?).ok()?;
    let mut names = Vec::new();
    for _ in 0..entries.min(MAX_ENTRIES) {
        if !tail.get(at..end)?.starts_with(b"PK\x01\x02") {
            return None;
        }
        let name_len = u16_at(tail, at + 28)?;
        let name = tail.get(at + CENTRAL_LEN..at + CENTRAL_LEN + name_len)?;
        names.push(name);
        at += CENTRAL_LEN + name_len + u16_at(tail, at + 30)? + u16_at(tail, at + 32)?;
    }
    Some(names)
}

fn local_name(head: &[u8]) -> Option<&[u8]> {
    head.get(LOCAL_LEN..LOCAL_LEN + u16_at(head, 26)?)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<usize> {
    Some(usize::from(u16::from_le_bytes(
        bytes.get(at..at + 2)?.try_into().ok()?,
    )))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A zip with stored, empty entries of these names.
    fn zip_of(names: &[&str], comment: &[u8]) -> Vec<u8> {
        let (mut zip, mut central) = (Vec::new(), Vec::new());
        let len = |n: usize| u16::try_from(n).unwrap().to_le_bytes();
        for name in names {
            let at = u32::try_from(zip.len()).unwrap();
            zip.extend_from_slice(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0");
            zip.extend_from_slice(&[0; 12]);
            zip.extend_from_slice(&len(name.len()));
            zip.extend_from_slice(&[0; 2]);
            zip.extend_from_slice(name.as_bytes());
            central.extend_from_slice(b"PK\x01\x02");
            central.extend_from_slice(&[0; 24]);
            central.extend_from_slice(&len(name.len()));
            central.extend_from_slice(&[0; 12]);
            central.extend_from_slice(&at.to_le_bytes());
            central.extend_from_slice(name.as_bytes());
        }
        let start = u32::try_from(zip.len()).unwrap();
        zip.extend_from_slice(&central);
        zip.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        zip.extend_from_slice(&len(names.len()));
        zip.extend_from_slice(&len(names.len()));
        zip.extend_from_slice(&u32::try_from(central.len()).unwrap().to_le_bytes());
        zip.extend_from_slice(&start.to_le_bytes());
        zip.extend_from_slice(&len(comment.len()));
        zip.extend_from_slice(comment);
        zip
    }

    fn check(names: &[&str], kind: SniffedType, only: Option<&str>) {
        let zip = zip_of(names, b"");
        let seen = inspect(&zip, &zip, zip.len() as u64);
        assert_eq!(
            (seen.kind, seen.only_entry_extension.as_deref()),
            (kind, only),
            "{names:?}"
        );
    }

    #[test]
    fn kinds() {
        check(&["a1b2.xlsx"], SniffedType::Zip, Some("xlsx"));
        check(&["folder/", "folder/a.XML"], SniffedType::Zip, Some("xml"));
        check(&["../../etc/passwd"], SniffedType::Zip, None);
        check(&["a.pdf", "b.pdf"], SniffedType::Zip, None);
        check(
            &["[Content_Types].xml", "word/document.xml"],
            SniffedType::Docx,
            None,
        );
        check(
            &["[Content_Types].xml", "xl/workbook.xml"],
            SniffedType::Xlsx,
            None,
        );
        check(
            &["[Content_Types].xml", "ppt/presentation.xml"],
            SniffedType::Pptx,
            None,
        );
        check(
            &["[Content_Types].xml", "visio/x"],
            SniffedType::OfficeOpenXml,
            None,
        );
        check(&["mimetype", "content.xml"], SniffedType::OpenDocument, None);
    }

    #[test]
    fn a_comment_and_a_cut_file() {
        let zip = zip_of(
            &["x.pdf"],
            b"a comment with PK\x05\x06 in it, long enough to be a record",
        );
        assert_eq!(
            inspect(&zip, &zip, zip.len() as u64)
                .only_entry_extension
                .as_deref(),
            Some("pdf")
        );
        let cut = &zip[..40];
        let seen = inspect(cut, cut, cut.len() as u64);
        assert_eq!((seen.kind, seen.only_entry_extension), (SniffedType::Zip, None));
        let office = zip_of(&["[Content_Types].xml", "word/document.xml"], b"");
        let cut = &office[..120];
        assert_eq!(inspect(cut, cut, cut.len() as u64).kind, SniffedType::Docx);
    }

    #[test]
    fn entries_are_looked_at_up_to_their_number() {
        let mut names = vec!["a"; MAX_ENTRIES];
        names[MAX_ENTRIES - 1] = "[Content_Types].xml";
        check(&names, SniffedType::OfficeOpenXml, None);
        names.insert(0, "a");
        check(&names, SniffedType::Zip, None);
    }

    #[test]
    fn a_list_beyond_the_last_bytes_is_not_guessed_at() {
        let zip = zip_of(&["a.pdf"; 100], b"");
        let tail = &zip[zip.len() - 200..];
        let seen = inspect(&zip[..64], tail, zip.len() as u64);
        assert_eq!((seen.kind, seen.only_entry_extension), (SniffedType::Zip, None));
    }

    #[test]
    fn nonsense_does_not_panic() {
        let mut zip = zip_of(&["x.pdf"], b"");
        for at in 0..zip.len() {
            let before = zip[at];
            zip[at] = 0xFF;
            let _ = inspect(&zip, &zip, zip.len() as u64);
            zip[at] = before;
        }
        let _ = inspect(b"PK", b"PK", 2);
    }
}
