//! A packet that comes in pieces, as from a file.

use std::io;

use truc_envelope::PacketSource;

/// Most bytes of a piece.
const MAX_PIECE: u64 = 300;

/// Bytes that come a few at a time: how many depends on the bytes, so that a fuzzer can choose, and on the place.
pub(crate) struct Pieces<'a> {
    bytes: &'a [u8],
    seed: u64,
}

impl<'a> Pieces<'a> {
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let seed = bytes.iter().fold(bytes.len() as u64, |seed, byte| {
            seed.wrapping_mul(31).wrapping_add(u64::from(*byte))
        });
        Self { bytes, seed }
    }
}

impl PacketSource for Pieces<'_> {
    fn size(&self) -> io::Result<u64> {
        self.bytes.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mixed = (offset ^ self.seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        // Small pieces in one packet, larger ones in the next.
        let most = 1 + self.seed % MAX_PIECE;
        let size = usize::try_from(1 + mixed % most).unwrap_or(1);
        let length = buffer.len().min(size);
        self.bytes.read_at(offset, &mut buffer[..length])
    }
}
