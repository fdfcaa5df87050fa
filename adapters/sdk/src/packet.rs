//! A packet's bytes: in memory, or a file when they are many.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use truc_envelope::{Limits, PacketSource, Reading, Rejection, read_from};
use truc_model::Sha256;

/// A packet's bytes. Small ones are in memory. Those that travel apart from their message are a file, and are never in
/// memory as a whole: what works for both is [`PacketBytes::copy_to`] and [`PacketBytes::read`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PacketBytes {
    /// These.
    Memory(Arc<[u8]>),
    /// Those of this file.
    File(PacketFile),
}

/// A packet in a file that nobody writes to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketFile {
    /// Where it is.
    pub path: PathBuf,
    /// Digest of its bytes.
    pub sha256: Sha256,
    /// How many they are.
    pub size: u64,
}

impl PacketBytes {
    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.size,
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Their digest; of a file the one it is known by.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        match self {
            Self::Memory(bytes) => Sha256::of(bytes),
            Self::File(file) => file.sha256,
        }
    }

    /// The bytes, when they are in memory.
    #[must_use]
    pub const fn in_memory(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Memory(bytes) => Some(bytes),
            Self::File(_) => None,
        }
    }

    /// The file, when they are one. Of an [`IncomingDocument`](crate::IncomingDocument) it is in the state directory; the
    /// adapter may move it away, and what it leaves is removed once the delivery is recorded.
    #[must_use]
    pub const fn in_file(&self) -> Option<&PacketFile> {
        match self {
            Self::Memory(_) => None,
            Self::File(file) => Some(file),
        }
    }

    /// Writes them into a new file, flushed.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn copy_to(&self, path: &Path) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => crate::durable::write_file(path, bytes),
            Self::File(file) => {
                let mut from = File::open(&file.path)?;
                let mut to = File::create(path)?;
                io::copy(&mut from, &mut to)?;
                to.sync_all()
            }
        }
    }

    /// Reads the packet. Of a file no more is in memory than its header.
    ///
    /// # Errors
    /// When the file cannot be read. Inside, [`Rejection`].
    pub fn read(&self, limits: &Limits) -> io::Result<Result<Reading, Rejection>> {
        match self {
            Self::Memory(bytes) => read_from(&&**bytes, limits),
            Self::File(file) => read_from(&File::open(&file.path)?, limits),
        }
    }
}

impl PacketFile {
    /// A file, with digest and size as they are now. Reads all of it; blocks.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        Ok(Self {
            path: path.to_owned(),
            sha256: truc_envelope::sha256_of(&file)?,
            size: file.size()?,
        })
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for PacketBytes {
    fn from(bytes: T) -> Self {
        Self::Memory(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_and_memory_say_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let memory = PacketBytes::from(b"no packet at all".as_slice());
        let path = folder.path().join("a");
        memory.copy_to(&path).unwrap();
        let file = PacketBytes::File(PacketFile::open(&path).unwrap());
        assert_eq!((file.len(), file.sha256()), (memory.len(), memory.sha256()));
        assert!(file.in_memory().is_none() && memory.in_file().is_none() && !file.is_empty());
        let limits = Limits::default();
        let (a, b) = (file.read(&limits).unwrap(), memory.read(&limits).unwrap());
        assert_eq!(a.unwrap_err().findings, b.unwrap_err().findings);
        let copy = folder.path().join("b");
        file.copy_to(&copy).unwrap();
        assert_eq!(std::fs::read(copy).unwrap(), b"no packet at all");
        assert!(PacketFile::open(&folder.path().join("gone")).is_err());
    }
}
