//! Where a packet's bytes are: in memory, or in a file of any size that is read piece by piece.
//!
//! What this file leaves out: whether the bytes are XML. A source is read more than once (the reader passes
//! over it, then places are counted, then a signature is digested), so it must give the same bytes each time:
//! a file that nobody writes to any more.

use std::fs::File;
use std::io;

use truc_model::Sha256;

/// Bytes read at a time where nothing else asks for a size.
pub(crate) const BLOCK: usize = 64 * 1024;

/// A packet's bytes, which can be read from any place, as often as wanted, by several readers at once.
pub trait PacketSource: Send + Sync {
    /// Number of bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn size(&self) -> io::Result<u64>;

    /// Reads some bytes that begin at `offset` into the start of `buffer` and says how many: 0 only at the end, or
    /// for an empty buffer.
    ///
    /// # Errors
    /// What the file system says. [`io::ErrorKind::Interrupted`] is tried again.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;

    /// All the bytes, where they are in memory anyway: they are not copied then.
    fn whole(&self) -> Option<&[u8]> {
        None
    }

    /// The digest of all the bytes, where somebody computed it before.
    fn known_sha256(&self) -> Option<Sha256> {
        None
    }
}

/// A source of which the digest is known.
pub struct Digested<'s> {
    /// The bytes.
    pub source: &'s dyn PacketSource,
    /// Their digest: whoever makes this answers for it.
    pub sha256: Sha256,
}

impl PacketSource for Digested<'_> {
    fn size(&self) -> io::Result<u64> {
        self.source.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read_at(offset, buffer)
    }

    fn whole(&self) -> Option<&[u8]> {
        self.source.whole()
    }

    fn known_sha256(&self) -> Option<Sha256> {
        Some(self.sha256)
    }
}

impl PacketSource for &[u8] {
    fn size(&self) -> io::Result<u64> {
        Ok(self.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.get(offset..));
        let rest = rest.unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(self)
    }
}

impl PacketSource for Vec<u8> {
    fn size(&self) -> io::Result<u64> {
        self.as_slice().size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.as_slice().read_at(offset, buffer)
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(self)
    }
}

/// The file's own position does not matter and is left alone.
impl PacketSource for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, buffer, offset)
    }
}

/// Fills `buffer` from `offset` on, as far as there are bytes, and says how many there were.
pub(crate) fn fill_at(source: &dyn PacketSource, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read_at(offset + filled as u64, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Hands all bytes from `offset` up to `end` to `each`, in blocks; in memory, as one.
pub(crate) fn for_each_block(
    source: &dyn PacketSource,
    offset: u64,
    end: u64,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    if let Some(whole) = source.whole() {
        let clip = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
        return each(&whole[clip(offset).min(clip(end))..clip(end)]);
    }
    let mut block = vec![0; BLOCK];
    let mut at = offset;
    while at < end {
        let room = usize::try_from(end - at).unwrap_or(usize::MAX).min(BLOCK);
        let length = fill_at(source, at, &mut block[..room])?;
        if length == 0 {
            break;
        }
        each(&block[..length])?;
        at += length as u64;
    }
    Ok(())
}

/// The digest of all bytes of a source.
///
/// # Errors
/// When the source cannot be read.
pub fn sha256_of(source: &dyn PacketSource) -> io::Result<Sha256> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    for_each_block(source, 0, u64::MAX, &mut |block| {
        digest.update(block);
        Ok(())
    })?;
    Ok(Sha256::from_ring(&digest.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives at most three bytes at a time, and is interrupted now and then.
    struct Halting<'a>(&'a [u8], std::sync::atomic::AtomicUsize);

    impl PacketSource for Halting<'_> {
        fn size(&self) -> io::Result<u64> {
            self.0.size()
        }

        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
            if self
                .1
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
                .is_multiple_of(3)
            {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = buffer.len().min(3);
            self.0.read_at(offset, &mut buffer[..length])
        }
    }

    #[test]
    fn all_bytes_however_they_come() {
        let bytes: Vec<u8> = (0..2 * BLOCK + 5)
            .map(|i| u8::try_from(i % 251).unwrap())
            .collect();
        let halting = Halting(&bytes, 0.into());
        let mut buffer = vec![0; bytes.len() + 9];
        assert_eq!(fill_at(&halting, 0, &mut buffer).unwrap(), bytes.len());
        assert_eq!(&buffer[..bytes.len()], bytes);
        assert_eq!(fill_at(&halting, bytes.len() as u64, &mut buffer).unwrap(), 0);
        assert_eq!(sha256_of(&halting).unwrap(), Sha256::of(&bytes));
        assert_eq!(sha256_of(&bytes).unwrap(), Sha256::of(&bytes));
        for source in [&halting as &dyn PacketSource, &bytes] {
            for (from, to) in [(0, 7), (3, 3), (BLOCK - 1, BLOCK + 1), (9, 2 * BLOCK + 5)] {
                let mut part = Vec::new();
                for_each_block(source, from as u64, to as u64, &mut |block| {
                    part.extend_from_slice(block);
                    Ok(())
                })
                .unwrap();
                assert_eq!(part, bytes[from..to]);
            }
        }
    }

    #[test]
    fn beyond_the_end_there_is_nothing() {
        let bytes = b"abc".as_slice();
        assert_eq!(PacketSource::read_at(&bytes, 3, &mut [0; 4]).unwrap(), 0);
        assert_eq!(PacketSource::read_at(&bytes, u64::MAX, &mut [0; 4]).unwrap(), 0);
        for_each_block(&bytes, 9, 12, &mut |block| {
            assert!(block.is_empty());
            Ok(())
        })
        .unwrap();
    }
}
