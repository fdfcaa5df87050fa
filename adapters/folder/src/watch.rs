//! Looking at the directory, and sending what is due. Polling, not file events: it works on network
//! drives, needs no privileges, and one look costs a directory listing.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use futures_util::StreamExt as _;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use truc_adapter_sdk::model::{
    BodyProblemCode, DocumentKind, MessageId, Place, Refusal, RefusalCode, Urgency, crash,
};
use truc_adapter_sdk::{
    BodyTransferError, Client, PacketBytes, PacketFile, PublishError, Submission, SubmitError, durable,
};

use crate::filing;
use crate::folder::{FolderAdapter, State};
use crate::layout::{Folder, PACKET, REPORT, is_unfinished_name};
use crate::reports;
use crate::sending::{self, Origin};

/// Most dropped files taken in by one look; the rest by the next.
pub const TAKEN_MAX: usize = 256;

/// Most dropped files kept in view between two looks.
pub const WATCHED_MAX: usize = 10_000;

/// Most packets published at once, and so held in memory.
pub const PUBLISH_MAX: usize = 8;

/// An empty file is taken for one that is still being written, for this many looks without a change.
pub const EMPTY_LOOKS: u32 = 30;

/// Looks at `out/` and `status/` until told to stop.
///
/// An error of the disk is logged and tried again at the next look.
pub async fn look(adapter: &FolderAdapter, sendable: &Notify, mut stopped: watch::Receiver<bool>) {
    let mut out = Drop::new(Folder::Out, Origin::Out);
    let mut status = Drop::new(Folder::Status, Origin::Status);
    while !*stopped.borrow() {
        let state = std::sync::Arc::clone(&adapter.state);
        let looked = tokio::task::spawn_blocking(move || {
            // Each by itself: what is wrong in one folder must not stop the other.
            let done = [status.look(&state), out.look(&state), prepare(&state)];
            (out, status, done)
        })
        .await;
        match looked {
            Ok((out_again, status_again, done)) => {
                (out, status) = (out_again, status_again);
                for result in done {
                    match result {
                        Ok(0) => {}
                        Ok(_) => sendable.notify_one(),
                        Err(error) => {
                            tracing::error!(%error, "the directory cannot be worked on; tried again");
                        }
                    }
                }
            }
            Err(error) => {
                tracing::error!(%error, "a look at the directory failed");
                out = Drop::new(Folder::Out, Origin::Out);
                status = Drop::new(Folder::Status, Origin::Status);
            }
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = tokio::time::sleep(adapter.state.behaviour.poll) => {}
        }
    }
}

/// Publishes what is in `sending/` and not yet confirmed, until told to stop. What is not answered for
/// [`crate::folder::Behaviour::resend_after`] is published again under the same message id.
pub async fn send(
    adapter: &FolderAdapter,
    client: &Client,
    sendable: &Notify,
    mut stopped: watch::Receiver<bool>,
) {
    let mut confirmed: HashMap<MessageId, Instant> = HashMap::new();
    while !*stopped.borrow() {
        let due = match due(&adapter.state, &mut confirmed) {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "sending/ cannot be read; tried again");
                Vec::new()
            }
        };
        let mut sent = futures_util::stream::iter(due)
            .map(|message_id| async move { (message_id, send_one(adapter, client, message_id).await) })
            .buffer_unordered(PUBLISH_MAX);
        loop {
            let next = tokio::select! {
                next = sent.next() => next,
                // What is under way is published again at the next start, under the same id.
                _ = stopped.changed() => return,
            };
            match next {
                Some((message_id, true)) => {
                    confirmed.insert(message_id, Instant::now());
                }
                Some((_, false)) => {}
                None => break,
            }
        }
        tokio::select! {
            _ = stopped.changed() => {}
            () = sendable.notified() => {}
            () = tokio::time::sleep(adapter.state.behaviour.poll) => {}
        }
    }
}

/// A folder into which files are dropped, and what the last look saw.
#[derive(Debug)]
struct Drop {
    folder: Folder,
    origin: Origin,
    seen: HashMap<PathBuf, Seen>,
    /// What could not be taken in at the last look.
    failed: HashSet<PathBuf>,
}

/// Does a piece of work for each, whatever became of those before; gives how many it was done for, or the
/// first error when it was done for none.
fn each<T>(all: Vec<T>, mut work: impl FnMut(&T) -> io::Result<bool>) -> io::Result<usize> {
    let mut done = 0;
    let mut first_error = None;
    for one in &all {
        match work(one) {
            Ok(true) => done += 1,
            Ok(false) => {}
            Err(error) => {
                tracing::error!(%error, "one of several cannot be worked on; the others go on");
                first_error.get_or_insert(error);
            }
        }
    }
    match first_error {
        Some(error) if done == 0 => Err(error),
        _ => Ok(done),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    size: u64,
    modified: Option<SystemTime>,
    /// Looks since it last changed.
    looks: u32,
}

impl Drop {
    fn new(folder: Folder, origin: Origin) -> Self {
        Self {
            folder,
            origin,
            seen: HashMap::new(),
            failed: HashSet::new(),
        }
    }

    /// Takes in the files that two looks saw alike; gives how many.
    fn look(&mut self, state: &State) -> io::Result<usize> {
        let mut present = HashMap::new();
        let mut complete = Vec::new();
        for entry in fs::read_dir(state.layout.folder(self.folder))? {
            let entry = entry?;
            let path = entry.path();
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                // Taken away between the two calls.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            if !metadata.is_file() || !self.is_ours(&path) || present.len() >= WATCHED_MAX {
                continue;
            }
            let mut now = Seen {
                size: metadata.len(),
                modified: metadata.modified().ok(),
                looks: 0,
            };
            if let Some(before) = self.seen.get(&path)
                && (before.size, before.modified) == (now.size, now.modified)
            {
                now.looks = before.looks.saturating_add(1);
            }
            let enough = if now.size == 0 { EMPTY_LOOKS } else { 1 };
            if now.looks >= enough {
                complete.push(path.clone());
            }
            present.insert(path, now);
        }
        complete.sort();
        // What failed at the last look comes last: it must not use up the looks of the others.
        complete.sort_by_key(|path| self.failed.contains(path));
        complete.truncate(TAKEN_MAX);
        let mut failed = HashSet::new();
        let taken = each(complete, |path| {
            present.remove(path);
            let message_id = MessageId::new(state.random.uuid_v7(state.clock.now()));
            let taken = sending::take_in(&state.layout, &state.names, path, self.origin, message_id);
            if taken.is_err() {
                failed.insert(path.clone());
            }
            let taken = taken?;
            if taken {
                tracing::info!(%message_id, origin = ?self.origin, "taken in");
            }
            Ok(taken)
        });
        (self.seen, self.failed) = (present, failed);
        taken
    }

    fn is_ours(&self, path: &Path) -> bool {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy())
            .unwrap_or_default();
        let packet = || {
            let end = path.extension().map(|end| end.to_string_lossy().to_lowercase());
            matches!(end.as_deref(), Some("edxml" | "xml"))
        };
        !is_unfinished_name(&name) && (self.origin == Origin::Status || packet())
    }
}

/// Makes the packets of dropped reports; gives how many. A packet, once made, is never made anew: the
/// message id and its bytes belong together.
fn prepare(state: &State) -> io::Result<usize> {
    each(sending::list(&state.layout)?, |message_id| {
        let message_id = *message_id;
        let folder = state.layout.sending(message_id);
        if !folder.join(REPORT).exists() || folder.join(PACKET).exists() {
            return Ok(false);
        }
        let size = fs::symlink_metadata(folder.join(REPORT))?.len();
        let bytes = if size > reports::REPORT_MAX {
            // Long enough to be refused for its length, whatever it holds.
            vec![b'#'; usize::try_from(reports::REPORT_MAX + 1).unwrap_or(usize::MAX)]
        } else {
            fs::read(folder.join(REPORT))?
        };
        match reports::build(&state.layout, &bytes, state.clock.now())? {
            Ok(report) => {
                durable::write_file(&folder.join(PACKET), &report.packet())?;
                crash::reach("folder-report-made");
                Ok(true)
            }
            Err(finding) => {
                filing::refuse_here(state, message_id, finding)?;
                Ok(false)
            }
        }
    })
}

/// What is to be published now, oldest first.
fn due(state: &State, confirmed: &mut HashMap<MessageId, Instant>) -> io::Result<Vec<MessageId>> {
    let present = sending::list(&state.layout)?;
    confirmed.retain(|message_id, at| {
        present.binary_search(message_id).is_ok() && at.elapsed() < state.behaviour.resend_after
    });
    Ok(present
        .into_iter()
        .filter(|message_id| !confirmed.contains_key(message_id))
        .filter(|message_id| state.layout.sending(*message_id).join(PACKET).exists())
        .collect())
}

/// Publishes one; `true` when the broker has it.
async fn send_one(adapter: &FolderAdapter, client: &Client, message_id: MessageId) -> bool {
    let state = std::sync::Arc::clone(&adapter.state);
    let loaded = tokio::task::spawn_blocking(move || load(&state, message_id)).await;
    let submission = match loaded {
        Ok(Ok(Some(submission))) => submission,
        // Answered meanwhile, or refused here.
        Ok(Ok(None)) => return false,
        Ok(Err(error)) => {
            tracing::error!(%message_id, %error, "a packet cannot be read; tried again");
            return false;
        }
        Err(error) => {
            tracing::error!(%message_id, %error, "a packet cannot be read");
            return false;
        }
    };
    match client.submit_nowait(&submission).await {
        Ok(()) => true,
        Err(SubmitError::Rejected(PublishError::TooLarge { size, limit })) => {
            file_as_refused(adapter, message_id, too_large(size as u64, limit as u64)).await;
            false
        }
        Err(SubmitError::Upload(BodyTransferError::Refused(problem)))
            if problem.code == BodyProblemCode::BodyTooLarge =>
        {
            let finding = Refusal::new(
                RefusalCode::BodyTooLarge,
                Place::Message,
                problem.expected,
                problem.found,
            );
            file_as_refused(adapter, message_id, finding).await;
            false
        }
        Err(error) => {
            // Nothing is wrong with the packet: the broker is away, or this system's account or key is
            // not in order. It stays, and goes out when that is mended.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::error!(%message_id, %error, cause, "not sent; it stays in sending/ and is tried again");
            false
        }
    }
}

async fn file_as_refused(adapter: &FolderAdapter, message_id: MessageId, finding: Refusal) {
    let state = std::sync::Arc::clone(&adapter.state);
    let filed = tokio::task::spawn_blocking(move || filing::refuse_here(&state, message_id, finding)).await;
    if !matches!(filed, Ok(Ok(()))) {
        tracing::error!(%message_id, "a packet that is too large cannot be filed; tried again");
    }
}

fn load(state: &State, message_id: MessageId) -> io::Result<Option<Submission>> {
    let path = state.layout.sending(message_id).join(PACKET);
    let size = match fs::symlink_metadata(&path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if state.behaviour.apart_over.is_some_and(|over| size > over) {
        return by_file(message_id, &path);
    }
    let limit = state.behaviour.max_packet_bytes;
    if size > limit {
        filing::refuse_here(state, message_id, too_large(size, limit))?;
        return Ok(None);
    }
    let bytes: std::sync::Arc<[u8]> = match fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let submission = Submission::of_packet(message_id, std::sync::Arc::clone(&bytes));
    Ok(Some(submission.unwrap_or_else(|_| Submission {
        // The hub says what is wrong with it, better than could be said here, and records it.
        message_id,
        kind: DocumentKind::Document,
        urgency: Urgency::Normal,
        from: String::new(),
        bytes: bytes.into(),
    })))
}

/// A packet that is sent apart: never in memory as a whole.
fn by_file(message_id: MessageId, path: &Path) -> io::Result<Option<Submission>> {
    let submission = match Submission::of_file(message_id, path) {
        Ok(submission) => submission,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(match submission {
        Ok(submission) => submission,
        Err(_) => Submission {
            // As above: the hub says it better.
            message_id,
            kind: DocumentKind::Document,
            urgency: Urgency::Normal,
            from: String::new(),
            bytes: PacketBytes::File(PacketFile::open(path)?),
        },
    }))
}

fn too_large(size: u64, limit: u64) -> Refusal {
    Refusal::new(
        RefusalCode::BodyTooLarge,
        Place::Message,
        format!("at most {limit} bytes"),
        format!("{size} bytes"),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use truc_adapter_sdk::model::{SystemClock, SystemRandom};

    use super::*;
    use crate::folder::{AutoArrived, Behaviour};

    fn start() -> (tempfile::TempDir, FolderAdapter) {
        let root = tempfile::tempdir().unwrap();
        let behaviour = Behaviour {
            arrived: AutoArrived::Report,
            poll: Duration::from_secs(1),
            resend_after: Duration::from_secs(1),
            max_packet_bytes: 10,
            apart_over: None,
        };
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom::default()));
        let adapter =
            FolderAdapter::open(root.path().to_owned(), behaviour, clock, random, |_| false).unwrap();
        (root, adapter)
    }

    #[test]
    fn a_file_is_taken_in_when_two_looks_saw_it_alike() {
        let (_root, adapter) = start();
        let state = &adapter.state;
        let mut out = Drop::new(Folder::Out, Origin::Out);
        let path = state.layout.path("out/a.edxml");
        fs::write(&path, "a").unwrap();
        assert_eq!(out.look(state).unwrap(), 0);
        fs::write(&path, "ab").unwrap();
        assert_eq!(out.look(state).unwrap(), 0, "it grew");
        assert_eq!(out.look(state).unwrap(), 1);
        assert!(!path.exists() && out.seen.is_empty());
    }

    #[test]
    fn an_empty_file_is_given_time() {
        let (_root, adapter) = start();
        let state = &adapter.state;
        let mut out = Drop::new(Folder::Out, Origin::Out);
        fs::write(state.layout.path("out/a.edxml"), "").unwrap();
        for look in 0..EMPTY_LOOKS {
            assert_eq!(out.look(state).unwrap(), 0, "look {look}");
        }
        assert_eq!(out.look(state).unwrap(), 1);
    }

    #[test]
    fn one_look_takes_so_many_and_no_more() {
        let (_root, adapter) = start();
        let state = &adapter.state;
        let mut out = Drop::new(Folder::Out, Origin::Out);
        for number in 0..=TAKEN_MAX {
            fs::write(state.layout.path(&format!("out/{number}.edxml")), "a").unwrap();
        }
        assert_eq!(out.look(state).unwrap(), 0);
        assert_eq!(out.look(state).unwrap(), TAKEN_MAX);
        assert_eq!(out.look(state).unwrap(), 1);
    }

    #[test]
    fn one_report_that_cannot_be_read_does_not_hold_up_the_others() {
        let (_root, adapter) = start();
        let state = &adapter.state;
        for number in 1..=2 {
            let path = state.layout.path("status/a.toml");
            fs::write(&path, "code = \"99\"").unwrap();
            let id = MessageId::new(uuid::Uuid::from_u128(number));
            sending::take_in(&state.layout, &state.names, &path, Origin::Status, id).unwrap();
        }
        // The first is a folder now: reading it fails whoever asks.
        let [bad, good] = [1, 2].map(|n| state.layout.sending(MessageId::new(uuid::Uuid::from_u128(n))));
        fs::remove_file(bad.join(REPORT)).unwrap();
        fs::create_dir(bad.join(REPORT)).unwrap();
        assert!(prepare(state).is_err(), "nothing was made, and it is told");
        assert!(bad.exists());
        assert!(!good.exists(), "the other one was refused with its reason");
    }

    #[test]
    fn each_goes_on_after_an_error() {
        let odd = |n: &i32| match n % 3 {
            0 => Err(io::ErrorKind::PermissionDenied.into()),
            n => Ok(n == 1),
        };
        assert_eq!(each(vec![0, 1, 2, 3, 4], odd).unwrap(), 2);
        assert!(each(vec![2, 0], odd).is_err());
        assert_eq!(each(Vec::new(), odd).unwrap(), 0);
    }

    #[test]
    fn what_was_confirmed_is_due_again_only_when_it_was_not_answered() {
        let (_root, adapter) = start();
        let state = &adapter.state;
        let path = state.layout.path("out/a.edxml");
        fs::write(&path, "a").unwrap();
        let id = MessageId::new(uuid::Uuid::from_u128(1));
        sending::take_in(&state.layout, &state.names, &path, Origin::Out, id).unwrap();
        let mut confirmed = HashMap::new();
        assert_eq!(due(state, &mut confirmed).unwrap(), [id]);
        confirmed.insert(id, Instant::now());
        assert_eq!(due(state, &mut confirmed).unwrap(), []);
        let long_ago = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        confirmed.insert(id, long_ago);
        assert_eq!(due(state, &mut confirmed).unwrap(), [id]);
        fs::remove_dir_all(state.layout.sending(id)).unwrap();
        confirmed.insert(id, Instant::now());
        assert_eq!(due(state, &mut confirmed).unwrap(), []);
        assert!(confirmed.is_empty());
    }
}
