//! The journal: which messages of the inbox this adapter has dealt with, so that the same one coming
//! again is recognised (promise 3: effectively once), and which documents it must not hand over any more.
//!
//! An append-only text file, one line each: `<check> <word> <id> [JSON]`, where `check` is the beginning of the
//! SHA-256 of the rest of the line, and the words are those of [`Entry`]. A torn last line (power lost while
//! writing) is cut off; a line damaged in the middle is skipped and counted. The number of ids is bounded: past
//! [`Journal::MAX_ENTRIES`] the oldest are forgotten, in a new file that takes the old one's place by rename.
//!
//! What it leaves out: what was stored. Between the adapter's own store and the line here a crash leads to
//! a second call with the same id, which is why storing must be idempotent by id.
//!
//! Why a document is noted *before* it is handed over, with a flush of its own: without that nobody could say after a
//! crash that the adapter has never seen it, and an order that takes it back could only be answered by a guess.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use truc_model::Sha256;
use uuid::Uuid;

use crate::durable;

/// One line: how a message was dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The adapter is about to be given it, for the first time: from now on it may have it.
    Begun,
    /// The adapter has stored it, or taken note of it. The end.
    Done,
    /// The adapter declined it, and will say the same again. The end.
    Declined(Box<Reason>),
    /// An order took it back before it was handed over: it never is. The end.
    Withdrawn,
    /// The same for some of its agencies, by code: the rest still get it.
    WithdrawnFor(Vec<String>),
}

impl Entry {
    /// Whether nothing else comes after it.
    #[must_use]
    pub const fn is_end(&self) -> bool {
        matches!(self, Self::Done | Self::Declined(_) | Self::Withdrawn)
    }
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
    /// The latest of [`Entry`], without [`Entry::WithdrawnFor`]; `None`: only that one.
    known: HashMap<Uuid, Option<Entry>>,
    /// For whom alone messages are withdrawn. Few.
    partly: HashMap<Uuid, Vec<String>>,
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
            partly: HashMap::new(),
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

    /// How a message ended, if it did.
    #[must_use]
    pub fn get(&self, id: Uuid) -> Option<&Entry> {
        self.latest(id).filter(|entry| entry.is_end())
    }

    /// Whether the adapter was about to be given it and the outcome is not known.
    #[must_use]
    pub fn is_begun(&self, id: Uuid) -> bool {
        self.latest(id) == Some(&Entry::Begun)
    }

    /// The agencies' codes for which alone it is withdrawn.
    #[must_use]
    pub fn withdrawn_for(&self, id: Uuid) -> &[String] {
        self.partly.get(&id).map_or(&[], Vec::as_slice)
    }

    fn latest(&self, id: Uuid) -> Option<&Entry> {
        self.known.get(&id)?.as_ref()
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
    /// error nothing of it counts, and the same batch can be tried again. What is known already, or comes after an
    /// end, is left alone; without anything new nothing is written.
    ///
    /// # Errors
    /// [`JournalError`], e.g. when the disk is full.
    pub fn append(&mut self, batch: &[(Uuid, Entry)]) -> Result<(), JournalError> {
        let mut lines = String::new();
        let mut fresh = Vec::with_capacity(batch.len());
        for (id, entry) in batch {
            let repeats =
                |(earlier, before): &(Uuid, Entry)| earlier == id && (before.is_end() || before == entry);
            if self.is_news(*id, entry) && !fresh.iter().any(repeats) {
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

    /// As after a flush that failed.
    #[cfg(test)]
    pub(crate) const fn doubt(&mut self) {
        self.doubtful = true;
    }

    fn is_full(&self) -> bool {
        self.order.len() > self.max_entries
    }

    fn is_news(&self, id: Uuid, entry: &Entry) -> bool {
        let latest = self.latest(id);
        if latest.is_some_and(Entry::is_end) {
            return false;
        }
        match entry {
            Entry::WithdrawnFor(codes) => {
                let before = self.withdrawn_for(id);
                codes.iter().any(|code| !before.contains(code))
            }
            _ => latest != Some(entry),
        }
    }

    fn remember(&mut self, id: Uuid, entry: Entry) {
        if !self.known.contains_key(&id) {
            self.order.push_back(id);
        }
        let latest = self.known.entry(id).or_default();
        match entry {
            Entry::WithdrawnFor(codes) => {
                let all = self.partly.entry(id).or_default();
                for code in codes {
                    if !all.contains(&code) {
                        all.push(code);
                    }
                }
            }
            _ if latest.as_ref().is_some_and(Entry::is_end) => {}
            entry => *latest = Some(entry),
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
                    self.partly.remove(&oldest);
                }
            }
        }
        let mut text = Self::HEADER.to_owned();
        for id in &self.order {
            if let Some(codes) = self.partly.get(id) {
                text.push_str(&line(*id, &Entry::WithdrawnFor(codes.clone())));
            }
            if let Some(entry) = self.latest(*id) {
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
        Entry::Begun => format!("begun {id}"),
        Entry::Done => format!("done {id}"),
        Entry::Withdrawn => format!("withdrawn {id}"),
        Entry::WithdrawnFor(codes) => format!("withdrawn-for {id} {}", serde_json::json!(codes)),
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
        ("begun", None) => Some((id, Entry::Begun)),
        ("done", None) => Some((id, Entry::Done)),
        ("withdrawn", None) => Some((id, Entry::Withdrawn)),
        ("withdrawn-for", Some(json)) => Some((id, Entry::WithdrawnFor(serde_json::from_str(json).ok()?))),
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
    fn a_message_goes_from_begun_to_one_end() {
        let (_directory, path) = place();
        let codes = |list: &[&str]| Entry::WithdrawnFor(list.iter().map(|code| (*code).to_owned()).collect());
        let mut journal = Journal::open(&path, 10).unwrap();
        journal
            .append(&[
                (id(1), Entry::Begun),
                (id(2), Entry::Begun),
                (id(3), codes(&["a"])),
            ])
            .unwrap();
        assert_eq!((journal.get(id(1)), journal.is_begun(id(1))), (None, true));
        assert_eq!((journal.get(id(3)), journal.is_begun(id(3))), (None, false));
        journal
            .append(&[
                (id(1), Entry::Done),
                (id(3), codes(&["b", "a"])),
                (id(3), Entry::Begun),
            ])
            .unwrap();
        journal
            .append(&[
                (id(3), Entry::Done),
                (id(4), Entry::Withdrawn),
                (id(4), Entry::Begun),
            ])
            .unwrap();
        let size = fs::metadata(&path).unwrap().len();
        // An end stays, and what is known is not written again.
        journal
            .append(&[
                (id(1), Entry::Withdrawn),
                (id(1), Entry::Begun),
                (id(3), codes(&["c"])),
                (id(4), Entry::Done),
                (id(2), Entry::Begun),
            ])
            .unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), size);
        for _ in 0..2 {
            assert_eq!(journal.get(id(1)), Some(&Entry::Done));
            assert!(journal.is_begun(id(2)));
            assert_eq!(journal.get(id(3)), Some(&Entry::Done));
            assert_eq!(journal.withdrawn_for(id(3)), ["a", "b"]);
            assert_eq!(journal.get(id(4)), Some(&Entry::Withdrawn));
            assert_eq!((journal.len(), journal.damage()), (4, Damage::default()));
            drop(journal);
            journal = Journal::open(&path, 10).unwrap();
        }
        // And so it stands after a rewrite.
        journal.append(&done(10..20)).unwrap();
        assert_eq!(
            (journal.len(), journal.get(id(4))),
            (8, None),
            "the oldest are forgotten"
        );
        journal
            .append(&[(id(30), codes(&["x"])), (id(30), Entry::Begun)])
            .unwrap();
        journal.rewrite().unwrap();
        let journal = Journal::open(&path, 10).unwrap();
        assert_eq!(
            (journal.is_begun(id(30)), journal.withdrawn_for(id(30))),
            (true, ["x".to_owned()].as_slice())
        );
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
