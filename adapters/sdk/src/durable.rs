//! Writing so that it stays: atomic files, renames that survive a loss of power, and the lock on a
//! state directory.
//!
//! For adapter authors too: an adapter that says [`Stored::Durable`](crate::Stored) must mean it.
//! All functions block; call them from `tokio::task::spawn_blocking` where that matters.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Ends the name of a file that is being written; readers of a directory leave such names alone.
pub const UNFINISHED: &str = ".tmp";

/// Writes `bytes` to `path` so that the file is there whole or not at all, also after a loss of power:
/// a neighbour with [`UNFINISHED`] at the end of its name is written, flushed, renamed, and the directory
/// flushed. An older file of that name is replaced.
///
/// # Errors
/// What the operating system says; then `path` is as it was.
pub fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = unfinished(path)?;
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    if let Err(error) = written {
        // Best effort: a leftover is overwritten by the next attempt.
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    rename(&unfinished, path)
}

/// Renames within one file system and flushes both directories.
///
/// # Errors
/// What the operating system says.
pub fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    sync_directory(parent(to)?)?;
    if from.parent() != to.parent() {
        sync_directory(parent(from)?)?;
    }
    Ok(())
}

/// Flushes a directory: the names in it survive a loss of power.
///
/// # Errors
/// What the operating system says.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Flushes a file that somebody else wrote.
///
/// # Errors
/// What the operating system says.
pub fn sync_file(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A state directory belongs to one process at a time: two adapters on one journal would take turns
/// in forgetting what the other one stored. The lock ends with the process, however that ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

/// A state directory could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process works on it.
    #[error("another process works on {path}; stop it, or give this one a state directory of its own")]
    Held {
        /// The lock file.
        path: PathBuf,
    },
    /// The lock file cannot be made.
    #[error("cannot lock {path}")]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl StateLock {
    /// The lock file's name in the state directory.
    pub const FILE: &str = "lock";

    /// Makes the directory when it is missing, and locks it. Never waits.
    ///
    /// # Errors
    /// [`LockError`].
    pub fn take(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(Self::FILE);
        let failed = |source| LockError::Io {
            path: path.clone(),
            source,
        };
        fs::create_dir_all(directory).map_err(failed)?;
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { _file: file }),
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => Err(LockError::Held { path }),
            Err(error) => Err(failed(error.into())),
        }
    }
}

fn unfinished(path: &Path) -> io::Result<PathBuf> {
    let mut name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"))?
        .to_owned();
    name.push(UNFINISHED);
    Ok(path.with_file_name(name))
}

fn parent(path: &Path) -> io::Result<&Path> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(Path::new(".")),
        Some(parent) => Ok(parent),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path has no directory",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_leaves_no_neighbour() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.json");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        // A directory of the target's name: the rename must fail, and what is there stays.
        fs::create_dir(&path).unwrap();
        assert!(write_file(&path, b"x").is_err());
        assert!(path.is_dir());
    }

    #[test]
    fn a_lock_is_held_once_and_ends_with_its_holder() {
        let directory = tempfile::tempdir().unwrap();
        let held = StateLock::take(directory.path()).unwrap();
        assert!(matches!(
            StateLock::take(directory.path()),
            Err(LockError::Held { .. })
        ));
        drop(held);
        assert!(StateLock::take(directory.path()).is_ok());
    }

    /// Runs as a process of its own for the test below; alone it has nothing to do.
    #[test]
    fn other_process_tries_the_lock() {
        if let Ok(directory) = std::env::var("TRUC_TEST_LOCK") {
            let held = matches!(
                StateLock::take(Path::new(&directory)),
                Err(LockError::Held { .. })
            );
            println!("lock is {}", if held { "held" } else { "free" });
        }
    }

    #[test]
    fn two_processes_cannot_share_a_state_directory() {
        let directory = tempfile::tempdir().unwrap();
        let other = || {
            let output = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "durable::tests::other_process_tries_the_lock"])
                .args(["--nocapture", "--test-threads=1"])
                .env("TRUC_TEST_LOCK", directory.path())
                .output()
                .unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let held = StateLock::take(directory.path()).unwrap();
        assert!(other().contains("lock is held"));
        drop(held);
        assert!(other().contains("lock is free"));
    }
}
