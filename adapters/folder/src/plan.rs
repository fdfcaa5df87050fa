//! Hand-overs: several files appear and several move, all or nothing, once, whatever is killed when.
//!
//! A hand-over is first written down whole in `state/incoming/<id>/`: the new files, and `plan.json`, the
//! list of renames that puts everything in its place. The folder is made under a hidden name and renamed
//! when all of it is flushed: from then on it *will* happen. Then the renames are carried out in order; one
//! whose source is gone was done before. The folder stays until the journal knows the message
//! ([`forget`]), so that a message that comes again before that finds that everything was done, even when
//! another program has taken the files away meanwhile.
//!
//! Killed while writing: nothing happened, the message comes again. Killed while renaming: the rest is done
//! at the next start or when the message comes again. Killed after: nothing is left to do.

use std::fs;
use std::io;

use serde::{Deserialize, Serialize};
use truc_adapter_sdk::durable;
use truc_adapter_sdk::model::crash;
use uuid::Uuid;

use crate::layout::{Folder, Layout};

/// What is to appear, and what is to move.
#[derive(Debug)]
pub struct Plan {
    files: Vec<(String, Vec<u8>)>,
    written: Written,
}

/// The form on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    keep: Keep,
    steps: Vec<Step>,
}

/// How long a hand-over that was carried out is remembered here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// It answers a message of the inbox: until the journal knows that.
    UntilRecorded,
    /// It comes from the adapter itself: not at all.
    No,
}

/// One step; paths are below the adapter's directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Step {
    /// A rename, of a file or a whole folder.
    Rename {
        /// From here; gone means done.
        from: String,
        /// To here.
        to: String,
    },
    /// A folder that has had its time.
    Remove {
        /// It.
        folder: String,
    },
}

const PLAN: &str = "plan.json";

/// What [`Plan::carry_out`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// The hand-over was written down and carried out.
    Now,
    /// It had been written down before; what was left of it is done now.
    Before,
}

impl Plan {
    /// A plan of nothing.
    #[must_use]
    pub const fn new(keep: Keep) -> Self {
        Self {
            files: Vec::new(),
            written: Written {
                keep,
                steps: Vec::new(),
            },
        }
    }

    /// A new file at `to`.
    pub fn write(&mut self, id: Uuid, to: &str, bytes: impl Into<Vec<u8>>) {
        let name = format!("{}-{}", self.files.len(), to.rsplit('/').next().unwrap_or(to));
        self.files.push((name.clone(), bytes.into()));
        self.rename(&format!("{}/{name}", folder(id)), to);
    }

    /// A new folder at `to`, with files in it: it appears whole.
    pub fn write_folder(&mut self, id: Uuid, to: &str, files: Vec<(&str, Vec<u8>)>) {
        let name = format!("{}-folder", self.files.len());
        for (file, bytes) in files {
            self.files.push((format!("{name}/{file}"), bytes));
        }
        self.rename(&format!("{}/{name}", folder(id)), to);
    }

    /// A rename.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.written.steps.push(Step::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        });
    }

    /// A folder to remove.
    pub fn remove(&mut self, folder: &str) {
        self.written.steps.push(Step::Remove {
            folder: folder.to_owned(),
        });
    }

    /// Writes the plan down and carries it out; or carries out the rest of the one that was written down
    /// under this id before.
    ///
    /// # Errors
    /// What the operating system says. Calling again goes on where it stopped.
    pub fn carry_out(self, layout: &Layout, id: Uuid) -> io::Result<Done> {
        if is_written(layout, id) {
            resume(layout, id)?;
            return Ok(Done::Before);
        }
        let keep = self.written.keep;
        self.write_down(layout, id)?;
        crash::reach("folder-staged");
        resume(layout, id)?;
        crash::reach("folder-handed-over");
        if keep == Keep::No {
            forget(layout, id)?;
        }
        Ok(Done::Now)
    }

    fn write_down(self, layout: &Layout, id: Uuid) -> io::Result<()> {
        let unfinished = layout.path(&Folder::Incoming.file(&format!(".{id}")));
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => fs::create_dir(&unfinished)?,
        }
        let mut folders = vec![unfinished.clone()];
        for (name, bytes) in self.files {
            let path = unfinished.join(name);
            if let Some(parent) = path.parent()
                && !folders.iter().any(|known| known == parent)
            {
                fs::create_dir(parent)?;
                folders.push(parent.to_owned());
            }
            write_flushed(&path, &bytes)?;
        }
        let steps = serde_json::to_vec_pretty(&self.written)?;
        write_flushed(&unfinished.join(PLAN), &steps)?;
        for folder in folders.iter().rev() {
            durable::sync_directory(folder)?;
        }
        durable::rename(&unfinished, &layout.path(&folder(id)))
    }
}

/// Whether a hand-over is written down under this id.
#[must_use]
pub fn is_written(layout: &Layout, id: Uuid) -> bool {
    layout.exists(&format!("{}/{PLAN}", folder(id)))
}

/// Carries out what is left of a hand-over.
///
/// # Errors
/// What the operating system says.
pub fn resume(layout: &Layout, id: Uuid) -> io::Result<Keep> {
    resume_up_to(layout, id, usize::MAX)
}

/// The first `most` steps only: what a kill in between leaves, for tests.
pub(crate) fn resume_up_to(layout: &Layout, id: Uuid, most: usize) -> io::Result<Keep> {
    let json = fs::read(layout.path(&format!("{}/{PLAN}", folder(id))))?;
    let written: Written = serde_json::from_slice(&json)?;
    for step in written.steps.into_iter().take(most) {
        match step {
            Step::Rename { from, to } => {
                if layout.exists(&from) {
                    durable::rename(&layout.path(&from), &layout.path(&to))?;
                }
            }
            Step::Remove { folder } => remove_folder(&layout.path(&folder))?,
        }
    }
    Ok(written.keep)
}

/// The journal knows the message: the hand-over's folder has had its time.
///
/// # Errors
/// What the operating system says.
pub fn forget(layout: &Layout, id: Uuid) -> io::Result<()> {
    remove_folder(&layout.path(&folder(id)))
}

/// Gives a hand-over up that was not written down whole, and removes what is left of it. `false` when it was: then it
/// happens, or has happened, and other programs may have seen it.
///
/// # Errors
/// What the operating system says.
pub fn abandon(layout: &Layout, id: Uuid) -> io::Result<bool> {
    if is_written(layout, id) {
        return Ok(false);
    }
    let unfinished = layout.path(&Folder::Incoming.file(&format!(".{id}")));
    // Without a plan: what was being removed when it was interrupted.
    for leftover in [unfinished, layout.path(&folder(id))] {
        remove_folder(&leftover)?;
    }
    Ok(true)
}

/// At the start: removes what was not written down whole, carries out what was, and forgets what the journal
/// knows. Gives how many were carried out.
///
/// # Errors
/// What the operating system says.
pub fn recover(layout: &Layout, is_recorded: impl Fn(Uuid) -> bool) -> io::Result<usize> {
    let mut carried_out = 0;
    for entry in fs::read_dir(layout.folder(Folder::Incoming))? {
        let entry = entry?;
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| Uuid::try_parse(name).ok());
        match id {
            // A folder without a plan was being removed when it was interrupted.
            Some(id) if is_written(layout, id) => {
                let keep = resume(layout, id)?;
                carried_out += 1;
                if keep == Keep::No || is_recorded(id) {
                    forget(layout, id)?;
                }
            }
            _ => remove_folder(&entry.path())?,
        }
    }
    Ok(carried_out)
}

fn folder(id: Uuid) -> String {
    Folder::Incoming.file(&id.to_string())
}

fn write_flushed(path: &std::path::Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn remove_folder(path: &std::path::Path) -> io::Result<()> {
    // The plan goes first: a folder without one is never carried out.
    for result in [fs::remove_file(path.join(PLAN)), fs::remove_dir_all(path)] {
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(id: Uuid) -> Plan {
        let mut plan = Plan::new(Keep::UntilRecorded);
        plan.write(id, "in/x.json", "facts");
        plan.write(id, "in/x.edxml", "packet");
        plan.write_folder(
            id,
            "sending/m",
            vec![("name.txt", b"n".to_vec()), ("packet.edxml", b"p".to_vec())],
        );
        plan.rename("sending/old/packet.edxml", "sent/old.edxml");
        plan.remove("sending/old");
        plan
    }

    fn start() -> (tempfile::TempDir, Layout, Uuid) {
        let root = tempfile::tempdir().unwrap();
        let layout = Layout::create(root.path()).unwrap();
        fs::create_dir(layout.path("sending/old")).unwrap();
        fs::write(layout.path("sending/old/packet.edxml"), "old").unwrap();
        fs::write(layout.path("sending/old/name.txt"), "old").unwrap();
        (root, layout, Uuid::from_u128(7))
    }

    fn check_done(layout: &Layout) {
        for (path, content) in [
            ("in/x.json", "facts"),
            ("in/x.edxml", "packet"),
            ("sending/m/packet.edxml", "p"),
            ("sending/m/name.txt", "n"),
            ("sent/old.edxml", "old"),
        ] {
            assert_eq!(fs::read_to_string(layout.path(path)).unwrap(), content, "{path}");
        }
        assert!(!layout.exists("sending/old"));
    }

    #[test]
    fn killed_after_any_step_the_rest_is_done_at_the_start() {
        for killed_after in 0..=5 {
            let (_root, layout, id) = start();
            plan(id).write_down(&layout, id).unwrap();
            resume_up_to(&layout, id, killed_after).unwrap();
            assert_eq!(recover(&layout, |_| false).unwrap(), 1);
            check_done(&layout);
            // Not journaled yet: it is kept, so that the message is recognised.
            assert_eq!(plan(id).carry_out(&layout, id).unwrap(), Done::Before);
            assert_eq!(recover(&layout, |known| known == id).unwrap(), 1);
            assert!(!layout.exists(&folder(id)));
        }
    }

    #[test]
    fn taken_away_by_another_program_it_does_not_appear_again() {
        let (_root, layout, id) = start();
        assert_eq!(plan(id).carry_out(&layout, id).unwrap(), Done::Now);
        check_done(&layout);
        fs::remove_file(layout.path("in/x.edxml")).unwrap();
        fs::remove_file(layout.path("in/x.json")).unwrap();
        assert_eq!(plan(id).carry_out(&layout, id).unwrap(), Done::Before);
        recover(&layout, |_| false).unwrap();
        assert!(!layout.exists("in/x.edxml") && !layout.exists("in/x.json"));
        forget(&layout, id).unwrap();
        forget(&layout, id).unwrap();
        assert!(!is_written(&layout, id));
    }

    #[test]
    fn a_hand_over_is_given_up_only_before_it_is_written_down() {
        let (_root, layout, id) = start();
        assert!(abandon(&layout, id).unwrap(), "nothing is there");
        let unfinished = layout.path(&Folder::Incoming.file(&format!(".{id}")));
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("0-x.json"), "fac").unwrap();
        assert!(abandon(&layout, id).unwrap());
        assert!(!unfinished.exists());
        plan(id).write_down(&layout, id).unwrap();
        for done in 0..=5 {
            resume_up_to(&layout, id, done).unwrap();
            assert!(!abandon(&layout, id).unwrap(), "after {done} steps");
        }
        check_done(&layout);
    }

    #[test]
    fn killed_while_writing_down_nothing_happened() {
        let (_root, layout, id) = start();
        let unfinished = layout.path(&Folder::Incoming.file(&format!(".{id}")));
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("0-x.json"), "fac").unwrap();
        assert_eq!(recover(&layout, |_| false).unwrap(), 0);
        assert!(!unfinished.exists());
        // And without a restart in between:
        fs::create_dir(&unfinished).unwrap();
        plan(id).carry_out(&layout, id).unwrap();
        check_done(&layout);
    }
}
