//! `sending/<message-id>/`: what is on its way to the hub.
//!
//! The folder is made first, with `name.txt`; then the dropped file is renamed into it. That one rename
//! fixes the message id for ever: before it nothing was sent, after it every publish, also after any
//! crash, bears this id, so that the hub can never take it for a second submission.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use truc_adapter_sdk::durable;
use truc_adapter_sdk::model::{MessageId, crash};

use crate::layout::{Folder, Layout, NAME, PACKET, REPORT, plain_name};

/// `name.txt`: what a folder of `sending/` is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Other files are named after it: `receipts/<name>.json`.
    pub name: String,
    /// The dropped file's own name.
    pub file: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a submission comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// A packet dropped in `out/`.
    Out,
    /// A report dropped in `status/`.
    Status,
    /// The automatic status 01 on a document received.
    Arrived,
}

impl Entry {
    /// Its text form, which is TOML.
    #[must_use]
    pub fn text(&self) -> String {
        // Three strings always have a TOML form.
        toml::to_string(self).unwrap_or_default()
    }

    /// Of a folder of `sending/`; `None` when there is no such folder.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn read(layout: &Layout, message_id: MessageId) -> io::Result<Option<Self>> {
        match fs::read_to_string(layout.sending(message_id).join(NAME)) {
            Ok(text) => Ok(Some(toml::from_str(&text).unwrap_or_else(|_| Self {
                // Somebody edited it. The packet is what matters; it is filed under its id.
                name: message_id.to_string(),
                file: message_id.to_string(),
                origin: Origin::Out,
            }))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The files that will be named after it, below the directory.
    fn targets(name: &str, origin: Origin) -> Vec<String> {
        let all = |folders: &[Folder], ends: &[&str]| {
            folders
                .iter()
                .flat_map(|folder| ends.iter().map(|end| folder.file(&format!("{name}{end}"))))
                .collect()
        };
        match origin {
            Origin::Out | Origin::Arrived => all(
                &[Folder::Sent, Folder::Receipts, Folder::Refused],
                &[".edxml", ".json", ".txt"],
            ),
            Origin::Status => all(
                &[Folder::StatusSent, Folder::StatusRefused],
                &[".txt", ".json", ".reason.txt", ".edxml"],
            ),
        }
    }
}

/// The names in use by what is on its way.
#[derive(Debug, Default)]
pub struct Names(Mutex<HashSet<(Origin, String)>>);

impl Names {
    /// A name after a dropped file's that no other file bears: the plain one, or with the end of the
    /// message id.
    pub fn choose(&self, layout: &Layout, file: &str, origin: Origin, message_id: MessageId) -> String {
        let plain = plain_name(file);
        let id = message_id.to_string();
        let candidates = [
            plain.clone(),
            format!("{plain}-{}", &id[id.len() - 8..]),
            format!("{plain}-{id}"),
        ];
        let mut used = self.used();
        let free = |name: &String| {
            !used.contains(&(origin, name.clone()))
                && !Entry::targets(name, origin)
                    .iter()
                    .any(|file| layout.exists(file))
        };
        // The last one holds the whole id, which nothing else has.
        let name = candidates
            .iter()
            .find(|name| free(name))
            .unwrap_or(&candidates[2])
            .clone();
        used.insert((origin, name.clone()));
        name
    }

    /// It is filed: its files are on disk and speak for themselves.
    pub fn release(&self, entry: &Entry) {
        self.used().remove(&(entry.origin, entry.name.clone()));
    }

    fn used(&self) -> MutexGuard<'_, HashSet<(Origin, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a dropped file in: from here on it is sent under `message_id`, and only so. `false` when it is
/// gone by now.
///
/// # Errors
/// What the operating system says; the file is then where it was, or in `sending/`.
pub fn take_in(
    layout: &Layout,
    names: &Names,
    dropped: &Path,
    origin: Origin,
    message_id: MessageId,
) -> io::Result<bool> {
    let file = dropped
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let entry = Entry {
        name: names.choose(layout, &file, origin, message_id),
        file,
        origin,
    };
    let folder = layout.sending(message_id);
    let taken = (|| {
        let unfinished = layout.path(&Folder::Sending.file(&format!(".{message_id}")));
        fs::create_dir(&unfinished)?;
        durable::write_file(&unfinished.join(NAME), entry.text().as_bytes())?;
        durable::rename(&unfinished, &folder)?;
        crash::reach("folder-named");
        let inside = folder.join(if origin == Origin::Status { REPORT } else { PACKET });
        durable::rename(dropped, &inside)?;
        crash::reach("folder-moved");
        // Whoever wrote it may not have flushed it, and the first publish makes these bytes final.
        durable::sync_file(&inside)
    })();
    match taken {
        Ok(()) => Ok(true),
        Err(error) => {
            if !folder.join(PACKET).exists() && !folder.join(REPORT).exists() {
                names.release(&entry);
                let _ = fs::remove_dir_all(&folder);
            }
            if error.kind() == io::ErrorKind::NotFound {
                return Ok(false);
            }
            Err(error)
        }
    }
}

/// What is on its way: message ids in order, oldest first (their first digits are the time).
///
/// # Errors
/// What the operating system says.
pub fn list(layout: &Layout) -> io::Result<Vec<MessageId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(layout.folder(Folder::Sending))? {
        if let Some(id) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            ids.push(id);
        }
    }
    ids.sort();
    Ok(ids)
}

/// At the start: removes folders into which nothing was moved, and learns the names in use.
///
/// # Errors
/// What the operating system says.
pub fn recover(layout: &Layout) -> io::Result<Names> {
    let names = Names::default();
    for entry in fs::read_dir(layout.folder(Folder::Sending))? {
        let entry = entry?;
        let path = entry.path();
        let id: Option<MessageId> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        match id {
            Some(id) if path.join(PACKET).exists() || path.join(REPORT).exists() => {
                if let Some(entry) = Entry::read(layout, id)? {
                    names.used().insert((entry.origin, entry.name));
                }
            }
            // Ours, and nothing of a user's in it: the rename into it never happened.
            Some(_) => fs::remove_dir_all(&path)?,
            None if entry.file_name().to_string_lossy().starts_with('.') => fs::remove_dir_all(&path)?,
            None => {}
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> (tempfile::TempDir, Layout) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::create(root.path()).unwrap();
        (root, layout)
    }

    fn id(number: u128) -> MessageId {
        MessageId::new(uuid::Uuid::from_u128(number))
    }

    fn drop_file(layout: &Layout, name: &str) -> std::path::PathBuf {
        let path = layout.path(name);
        fs::write(&path, name).unwrap();
        path
    }

    #[test]
    fn a_dropped_file_gets_its_message_id_by_one_rename() {
        let (_root, layout) = start();
        let names = Names::default();
        let dropped = drop_file(&layout, "out/cv 12.edxml");
        assert!(take_in(&layout, &names, &dropped, Origin::Out, id(1)).unwrap());
        assert!(!dropped.exists());
        let entry = Entry::read(&layout, id(1)).unwrap().unwrap();
        assert_eq!(
            (entry.name.as_str(), entry.file.as_str()),
            ("cv 12", "cv 12.edxml")
        );
        assert_eq!(list(&layout).unwrap(), [id(1)]);
        assert_eq!(
            fs::read_to_string(layout.sending(id(1)).join(PACKET)).unwrap(),
            "out/cv 12.edxml"
        );
    }

    #[test]
    fn the_same_name_again_gets_another() {
        let (_root, layout) = start();
        let names = Names::default();
        for number in 1..=2 {
            let dropped = drop_file(&layout, "out/a.edxml");
            take_in(&layout, &names, &dropped, Origin::Out, id(number)).unwrap();
        }
        assert_eq!(Entry::read(&layout, id(2)).unwrap().unwrap().name, "a-00000002");
        // Known after a restart too, and by what lies in the folders.
        let names = recover(&layout).unwrap();
        assert_eq!(names.choose(&layout, "a.xml", Origin::Out, id(3)), "a-00000003");
        drop_file(&layout, "refused/b.txt");
        assert_eq!(names.choose(&layout, "b.xml", Origin::Out, id(3)), "b-00000003");
        // A report's files lie elsewhere.
        assert_eq!(names.choose(&layout, "a.txt", Origin::Status, id(4)), "a");
    }

    #[test]
    fn killed_before_the_rename_nothing_was_taken() {
        let (_root, layout) = start();
        drop_file(&layout, "out/a.edxml");
        fs::create_dir(layout.sending(id(1))).unwrap();
        fs::write(layout.sending(id(1)).join(NAME), "name = \"a\"").unwrap();
        fs::create_dir(layout.path("sending/.half")).unwrap();
        recover(&layout).unwrap();
        assert_eq!(fs::read_dir(layout.folder(Folder::Sending)).unwrap().count(), 0);
        assert!(layout.exists("out/a.edxml"));
    }

    #[test]
    fn a_file_taken_away_in_time_is_not_sent() {
        let (_root, layout) = start();
        let names = Names::default();
        let gone = layout.path("out/gone.edxml");
        assert!(!take_in(&layout, &names, &gone, Origin::Out, id(1)).unwrap());
        assert_eq!(list(&layout).unwrap(), []);
        assert_eq!(names.choose(&layout, "gone.edxml", Origin::Out, id(2)), "gone");
    }
}
