//! The journal: which messages of the inbox this adapter has dealt with, so that the same one coming
//! again is recognised (promise 3: effectively once).
//!
//! An append-only text file, one line each, flushed once per batch:
//! `<check> done <id>` or `<check> declined <id> <JSON of code and reason>`, where `check` is the beginning
//! of the SHA-256 of the rest of the line. A torn last line (power lost while writing) is cut off; a line
//! damaged in the middle is skipped and counted. The number of lines is bounded: past
//! [`Journal::MAX_ENTRIES`] the oldest are forgotten, in a new file that takes the old one's place by rename.
//!
//! What it leaves out: what was stored. Between the adapter's own store and the line here a crash leads to
//! a second call with the same id, which is why storing must be idempotent by id.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use truc_model::Sha256;
use uuid::Uuid;

use crate::durable;

/// How the adapter dealt with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// It has stored it, or taken note of it.
    Done,
    /// It declined it, and will say the same again.
    Declined(Box<Reason>),
}

/// Why a delivery was declined, for the sender to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The adapter's own short code, e.g. `unknown-unit`; at most `Taken::CODE_MAX` characters.
    pub code: String,
    /// Its words; at most `Taken::REASON_MAX` characters.
    pub reason: String,
}

/// The journal cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("journal {path}: cannot {step}")]
pub struct JournalError {
    path: PathBuf,
    step: &'static str,
    #[source]
    source: io::Error,
}

/// The open journal. One process has it open at a time ([`durable::StateLock`]).
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes known to be whole: what an append that failed half way is cut back to.
    len: u64,
    /// After a failed flush nobody knows what the disk holds, and a second flush may say "all well" without
    /// having written it. Then the next append writes the whole journal anew.
    doubtful: bool,
    max_entries: usize,
    known: HashMap<Uuid, Entry>,
    order: VecDeque<Uuid>,
    damage: Damage,
}

/// What was wrong with the file when it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Damage {
    /// Bytes of a torn last line, cut off.
    pub torn_bytes: usize,
    /// Lines in the middle that could not be read, skipped.
    pub lines: usize,
}

impl Journal {
    /// Most entries kept. A delivery can come again weeks later, when an operator has it sent again; at ten
    /// thousand messages a day this remembers at least 75 days, and takes some 60 MB of disk and memory.
    pub const MAX_ENTRIES: usize = 1_000_000;
    /// Most bytes read when it is opened; more than [`Self::MAX_ENTRIES`] of the longest lines is not a journal.
    pub const MAX_BYTES: u64 = 1024 * 1024 * 1024;
    /// Its first line.
    const HEADER: &str = "truc-journal 1\n";
    /// Hexadecimal digits of the check.
    const CHECK: usize = 8;

    /// Opens or makes the journal at `path`, which keeps at most `max_entries` (at least 2).
    ///
    /// # Errors
    /// [`JournalError`] when the file cannot be read or made.
    pub fn open(path: &Path, max_entries: usize) -> Result<Self, JournalError> {
        let fail = |step| {
            let path = path.to_owned();
            move |source| JournalError { path, step, source }
        };
        let file = OpenOptions::new()
            .create(true)
            .read(true)
            .append(true)
            .open(path)
            .map_err(fail("be opened"))?;
        let mut bytes = Vec::new();
        (&file)
            .take(Self::MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(fail("be read"))?;
        if bytes.len() as u64 > Self::MAX_BYTES {
            let error = io::Error::new(io::ErrorKind::FileTooLarge, "longer than a journal can be");
            return Err(fail("be read")(error));
        }
        let mut journal = Self {
            path: path.to_owned(),
            file,
            len: 0,
            doubtful: false,
            max_entries: max_entries.max(2),
            known: HashMap::new(),
            order: VecDeque::new(),
            damage: Damage::default(),
        };
        let whole = journal.take_in(&bytes);
        journal.len = whole as u64;
        if bytes.is_empty() || journal.damage != Damage::default() || journal.is_full() {
            journal.rewrite()?;
        }
        Ok(journal)
    }

    /// What was wrong with the file when it was opened. It has been mended.
    #[must_use]
    pub const fn damage(&self) -> Damage {
        self.damage
    }

    /// How a message was dealt with, if it was.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<&Entry> {
        self.known.get(&id)
    }

    /// How many messages it knows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether it knows none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Adds a batch with one write and one flush. When this returns `Ok` the batch is on disk; on an
    /// error nothing of it counts, and the same batch can be tried again. Ids it knows already are left alone.
    ///
    /// # Errors
    /// [`JournalError`], e.g. when the disk is full.
    pub fn append(&mut self, batch: &[(Uuid, Entry)]) -> Result<(), JournalError> {
        let mut lines = String::new();
        let mut fresh = Vec::with_capacity(batch.len());
        for (id, entry) in batch {
            if !self.known.contains_key(id) && !fresh.iter().any(|(earlier, _)| earlier == id) {
                lines.push_str(&line(*id, entry));
                fresh.push((*id, entry.clone()));
            }
        }
        if fresh.is_empty() && !self.doubtful {
            return Ok(());
        }
        if self.doubtful {
            self.rewrite()?;
        }
        if let Err(source) = self.file.write_all(lines.as_bytes()) {
            // Half a line may stand there: cut it off, or the next line would be glued to it.
            self.doubtful = self.file.set_len(self.len).is_err();
            return Err(self.error("be written", source));
        }
        if let Err(source) = self.file.sync_data() {
            self.doubtful = true;
            return Err(self.error("be flushed", source));
        }
        self.len += lines.len() as u64;
        for (id, entry) in fresh {
            self.remember(id, entry);
        }
        if self.is_full() {
            // The batch is safe already; a failure here is met again, and told, at the next append.
            self.doubtful = self.rewrite().is_err();
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.order.len() > self.max_entries
    }

    fn remember(&mut self, id: Uuid, entry: Entry) {
        if self.known.insert(id, entry).is_none() {
            self.order.push_back(id);
        }
    }

    /// Reads the file's lines; gives how many bytes of it are whole lines.
    fn take_in(&mut self, bytes: &[u8]) -> usize {
        let mut whole = 0;
        for (number, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let Some(text) = text.strip_suffix(b"\n") else {
                self.damage.torn_bytes = text.len();
                break;
            };
            whole += text.len() + 1;
            if number == 0 && text == Self::HEADER.trim_end().as_bytes() {
                continue;
            }
            match std::str::from_utf8(text).ok().and_then(read_line) {
                Some((id, entry)) => self.remember(id, entry),
                None => self.damage.lines += 1,
            }
        }
        whole
    }

    /// Writes the newest entries to a new file, which takes the old one's place.
    fn rewrite(&mut self) -> Result<(), JournalError> {
        if self.is_full() {
            // A quarter of room, so that not every append rewrites.
            let keep = self.max_entries - self.max_entries / 4;
            for _ in keep..self.order.len() {
                if let Some(oldest) = self.order.pop_front() {
                    self.known.remove(&oldest);
                }
            }
        }
        let mut text = Self::HEADER.to_owned();
        for id in &self.order {
            if let Some(entry) = self.known.get(id) {
                text.push_str(&line(*id, entry));
            }
        }
        durable::write_file(&self.path, text.as_bytes()).map_err(|e| self.error("be rewritten", e))?;
        self.file = OpenOptions::new()
            .append(true)
            .open(&self.path)
            .map_err(|e| self.error("be opened again", e))?;
        self.len = text.len() as u64;
        self.doubtful = false;
        Ok(())
    }

    fn error(&self, step: &'static str, source: io::Error) -> JournalError {
        JournalError {
            path: self.path.clone(),
            step,
            source,
        }
    }
}

fn check(rest: &str) -> String {
    Sha256::of(rest.as_bytes()).to_string()[..Journal::CHECK].to_owned()
}

fn line(id: Uuid, entry: &Entry) -> String {
    let rest = match entry {
        Entry::Done => format!("done {id}"),
        Entry::Declined(reason) => format!(
            "declined {id} {}",
            serde_json::json!({ "code": reason.code, "reason": reason.reason })
        ),
    };
    format!("{} {rest}\n", check(&rest))
}

fn read_line(text: &str) -> Option<(Uuid, Entry)> {
    let (sum, rest) = text.split_once(' ')?;
    if sum != check(rest) {
        return None;
    }
    let mut words = rest.splitn(3, ' ');
    let word = words.next()?;
    let id = Uuid::try_parse(words.next()?).ok()?;
    match (word, words.next()) {
        ("done", None) => Some((id, Entry::Done)),
        ("declined", Some(json)) => Some((id, Entry::Declined(Box::new(serde_json::from_str(json).ok()?)))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn id(number: usize) -> Uuid {
        Uuid::from_u128(number as u128)
    }

    fn done(numbers: std::ops::Range<usize>) -> Vec<(Uuid, Entry)> {
        numbers.map(|number| (id(number), Entry::Done)).collect()
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal");
        (directory, path)
    }

    #[test]
    fn entries_read_back_after_reopening() {
        let (_directory, path) = place();
        let declined = Entry::Declined(Box::new(Reason {
            code: "unknown-unit".to_owned(),
            reason: "không có đơn vị này\nxuống dòng \"trích\"".to_owned(),
        }));
        let mut journal = Journal::open(&path, 10).unwrap();
        journal.append(&done(0..3)).unwrap();
        journal.append(&[(id(3), declined.clone())]).unwrap();
        // Known already: neither counted twice nor changed.
        journal.append(&[(id(3), Entry::Done)]).unwrap();
        drop(journal);

        let journal = Journal::open(&path, 10).unwrap();
        assert_eq!(journal.len(), 4);
        assert_eq!(journal.get(id(1)), Some(&Entry::Done));
        assert_eq!(journal.get(id(3)), Some(&declined));
        assert_eq!(journal.get(id(9)), None);
        assert_eq!(journal.damage(), Damage::default());
    }

    #[test]
    fn a_torn_tail_is_cut_off_at_every_length() {
        let (_directory, path) = place();
        let mut journal = Journal::open(&path, 10).unwrap();
        journal.append(&done(0..2)).unwrap();
        let two = fs::metadata(&path).unwrap().len() as usize;
        journal.append(&done(2..3)).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();

        for cut in two + 1..whole.len() {
            fs::write(&path, &whole[..cut]).unwrap();
            let mut journal = Journal::open(&path, 10).unwrap();
            assert_eq!(journal.len(), 2, "cut at {cut}");
            assert_eq!(journal.damage().torn_bytes, cut - two);
            journal.append(&done(5..6)).unwrap();
            drop(journal);
            let again = Journal::open(&path, 10).unwrap();
            assert_eq!((again.len(), again.damage()), (3, Damage::default()));
        }
    }

    #[test]
    fn a_damaged_line_is_skipped_and_counted() {
        let (_directory, path) = place();
        let mut journal = Journal::open(&path, 10).unwrap();
        journal.append(&done(0..3)).unwrap();
        drop(journal);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();

        let journal = Journal::open(&path, 10).unwrap();
        assert_eq!((journal.len(), journal.damage().lines), (2, 1));
        assert_eq!(Journal::open(&path, 10).unwrap().damage(), Damage::default());
    }

    #[test]
    fn at_its_limit_the_oldest_are_forgotten() {
        let (_directory, path) = place();
        let mut journal = Journal::open(&path, 8).unwrap();
        journal.append(&done(0..8)).unwrap();
        assert_eq!((journal.len(), journal.get(id(0))), (8, Some(&Entry::Done)));
        let at_limit = fs::metadata(&path).unwrap().len();

        journal.append(&done(8..9)).unwrap();
        assert_eq!(journal.len(), 6);
        assert_eq!(journal.get(id(2)), None);
        assert_eq!(journal.get(id(3)), Some(&Entry::Done));
        assert_eq!(journal.get(id(8)), Some(&Entry::Done));
        assert!(fs::metadata(&path).unwrap().len() < at_limit);

        // The renamed file is the one that is appended to.
        journal.append(&done(9..10)).unwrap();
        drop(journal);
        let journal = Journal::open(&path, 8).unwrap();
        assert_eq!((journal.len(), journal.get(id(9))), (7, Some(&Entry::Done)));
    }

    #[test]
    fn a_leftover_of_an_unfinished_rewrite_is_harmless() {
        let (_directory, path) = place();
        let mut journal = Journal::open(&path, 4).unwrap();
        journal.append(&done(0..4)).unwrap();
        drop(journal);
        fs::write(path.with_file_name("journal.tmp"), "half").unwrap();
        let mut journal = Journal::open(&path, 4).unwrap();
        journal.append(&done(4..5)).unwrap();
        assert_eq!(journal.len(), 3);
        assert_eq!(Journal::open(&path, 4).unwrap().len(), 3);
    }

    #[test]
    fn a_batch_that_repeats_an_id_counts_it_once() {
        let (_directory, path) = place();
        let mut journal = Journal::open(&path, 4).unwrap();
        journal
            .append(&[(id(1), Entry::Done), (id(1), Entry::Done)])
            .unwrap();
        assert_eq!(journal.len(), 1);
        assert_eq!(Journal::open(&path, 4).unwrap().len(), 1);
    }
}
