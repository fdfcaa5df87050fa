//! Unfinished uploads: one file each, `staging/<system>/<sha256>.<announced size>`. The file's length is how far the
//! upload is, its modification time is when somebody last went on with it (by the hub's clock). Blocking: callers run
//! these on the pool for blocking work.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use truc_model::{Sha256, SystemId};

use crate::error::BodyError;

/// Folder of the unfinished uploads.
pub(crate) const FOLDER: &str = "staging";

/// An unfinished upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Staging {
    pub(crate) system: SystemId,
    pub(crate) body: Sha256,
    /// Announced size.
    pub(crate) total: u64,
    /// Bytes that are there.
    pub(crate) length: u64,
    /// Unix seconds.
    pub(crate) touched: i64,
    pub(crate) path: PathBuf,
}

impl Staging {
    /// Its name in the object store of the same directory.
    pub(crate) fn key(system: &SystemId, body: &Sha256, total: u64) -> object_store::path::Path {
        object_store::path::Path::from(format!("{FOLDER}/{system}/{body}.{total}"))
    }
}

/// The file of an upload below the folder `dir`.
pub(crate) fn path(dir: &Path, system: &SystemId, body: &Sha256, total: u64) -> PathBuf {
    dir.join(system.as_str()).join(format!("{body}.{total}"))
}

/// All unfinished uploads.
pub(crate) fn all(dir: &Path) -> Result<Vec<Staging>, BodyError> {
    let mut found = Vec::new();
    for entry in entries(dir)? {
        let name = entry.file_name();
        if let Some(system) = name.to_str().and_then(|name| SystemId::new(name).ok()) {
            found.append(&mut of_system(dir, &system)?);
        }
    }
    Ok(found)
}

/// Those of one system.
pub(crate) fn of_system(dir: &Path, system: &SystemId) -> Result<Vec<Staging>, BodyError> {
    let mut found = Vec::new();
    for entry in entries(&dir.join(system.as_str()))? {
        let name = entry.file_name();
        let Some((body, total)) = name.to_str().and_then(|name| name.split_once('.')) else {
            continue;
        };
        let (Ok(body), Ok(total)) = (body.parse(), total.parse()) else {
            continue;
        };
        // Gone between the listing and the look: finished or cancelled.
        let Ok(data) = entry.metadata() else {
            continue;
        };
        found.push(Staging {
            system: system.clone(),
            body,
            total,
            length: data.len(),
            touched: data.modified().map_or(0, seconds),
            path: entry.path(),
        });
    }
    Ok(found)
}

/// The upload of `body` by `system`, whatever size was announced.
pub(crate) fn of(dir: &Path, system: &SystemId, body: &Sha256) -> Result<Option<Staging>, BodyError> {
    let own = of_system(dir, system)?;
    Ok(own.into_iter().find(|staging| staging.body == *body))
}

/// Opens the file of an upload for appending, and makes it when it is not there; empty when `anew`.
pub(crate) fn open(path: &Path, anew: bool) -> Result<File, BodyError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(BodyError::file("make the folder of an upload"))?;
    }
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(anew);
    options
        .open(path)
        .map_err(BodyError::file("open the file of an upload"))
}

/// Notes that somebody went on with it.
pub(crate) fn touch(file: &File, now_s: i64) -> Result<(), BodyError> {
    let since = Duration::from_secs(u64::try_from(now_s).unwrap_or(0));
    file.set_modified(SystemTime::UNIX_EPOCH + since)
        .map_err(BodyError::file("note the time of an upload"))
}

/// Removes the file; that it is gone is as good.
pub(crate) fn remove(path: &Path) -> Result<(), BodyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BodyError::file("remove the file of an upload")(error))
        }
        _ => Ok(()),
    }
}

fn entries(dir: &Path) -> Result<Vec<fs::DirEntry>, BodyError> {
    match fs::read_dir(dir) {
        Ok(entries) => entries
            .collect::<Result<_, _>>()
            .map_err(BodyError::file("list unfinished uploads")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(BodyError::file("list unfinished uploads")(error)),
    }
}

fn seconds(time: SystemTime) -> i64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
}
