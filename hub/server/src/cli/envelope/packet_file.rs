//! A packet in a file of any size: read where it lies, not into memory. And a file that is written as a whole or not
//! at all.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use truc_envelope::{Limits, PacketSource};

use super::super::answer::Trouble;

/// Largest packet in a file: 16 GiB. A disk image named by mistake should not be read for an hour.
pub(super) const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024 * 1024;

/// A packet to be read.
pub(super) enum PacketFile {
    /// A file that lies on a disk.
    File(File),
    /// What came through a pipe, which cannot be read twice.
    Memory(Vec<u8>),
}

impl PacketFile {
    /// Opens a packet.
    ///
    /// # Errors
    /// [`Trouble`] when the file cannot be read or is no packet by its size.
    pub(super) fn open(path: &Path) -> Result<Self, Trouble> {
        let reading = |error: io::Error| Trouble::reading(path, &error);
        let file = File::open(path).map_err(reading)?;
        let metadata = file.metadata().map_err(reading)?;
        if metadata.is_file() {
            return match metadata.len() {
                ..=MAX_FILE_BYTES => Ok(Self::File(file)),
                size => Err(too_large(path, size, MAX_FILE_BYTES)),
            };
        }
        let most = Limits::MAX_BYTES as u64;
        let mut bytes = Vec::new();
        file.take(most + 1).read_to_end(&mut bytes).map_err(reading)?;
        match bytes.len() as u64 {
            size if size > most => Err(too_large(path, size, most)),
            _ => Ok(Self::Memory(bytes)),
        }
    }

    /// The reader's limits for it: it may be larger than one that travels inside a message.
    pub(super) fn limits() -> Limits {
        Limits {
            max_bytes: usize::try_from(MAX_FILE_BYTES).unwrap_or(usize::MAX),
            ..Limits::default()
        }
    }
}

impl PacketSource for PacketFile {
    fn size(&self) -> io::Result<u64> {
        match self {
            Self::File(file) => file.size(),
            Self::Memory(bytes) => bytes.size(),
        }
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read_at(offset, buffer),
            Self::Memory(bytes) => bytes.read_at(offset, buffer),
        }
    }

    fn whole(&self) -> Option<&[u8]> {
        match self {
            Self::File(_) => None,
            Self::Memory(bytes) => Some(bytes),
        }
    }
}

fn too_large(path: &Path, size: u64, most: u64) -> Trouble {
    Trouble::new(
        format!(
            "{} has {size} bytes or more, more than a packet may have ({most})",
            path.display()
        ),
        "name an edXML packet",
    )
}

/// A file being written beside the one it shall become. Dropped before [`Self::keep`], it is gone: so a packet may even
/// be written over itself.
pub(super) struct NewFile {
    path: PathBuf,
    /// `None` when the output is no file that could be replaced: a device, a pipe.
    part: Option<PathBuf>,
    file: io::BufWriter<File>,
    written: u64,
}

impl NewFile {
    /// Begins to write.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn beside(path: &Path) -> io::Result<Self> {
        let replaceable = std::fs::metadata(path).map_or(true, |metadata| metadata.is_file());
        let (part, file) = if replaceable {
            // What a link points to is replaced, not the link.
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let part = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
            let file = File::create_new(&part)?;
            (Some(part), file)
        } else {
            (None, File::options().write(true).open(path)?)
        };
        Ok(Self {
            path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
            part,
            file: io::BufWriter::new(file),
            written: 0,
        })
    }

    /// Makes it the file, and says how many bytes it has.
    ///
    /// # Errors
    /// What the file system says.
    pub(super) fn keep(mut self) -> io::Result<u64> {
        self.file.flush()?;
        if let Some(part) = &self.part {
            if let Ok(before) = std::fs::metadata(&self.path) {
                std::fs::set_permissions(part, before.permissions())?;
            }
            std::fs::rename(part, &self.path)?;
            self.part = None;
        }
        Ok(self.written)
    }
}

impl Write for NewFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            // Nobody can be told here; a leftover is named so that it can be recognised.
            let _ = std::fs::remove_file(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("packet.edxml");
        std::fs::write(&path, "before").unwrap();
        let mut new = NewFile::beside(&path).unwrap();
        new.write_all(b"half").unwrap();
        drop(new);
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        let mut new = NewFile::beside(&path).unwrap();
        new.write_all(b"after").unwrap();
        assert_eq!(new.keep().unwrap(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"after");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_beyond_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = File::create(&path).unwrap();
        file.set_len(MAX_FILE_BYTES).unwrap();
        assert!(PacketFile::open(&path).is_ok());
        file.set_len(MAX_FILE_BYTES + 1).unwrap();
        assert!(PacketFile::open(&path).is_err());
    }
}
