//! Every size, count and time of the store that is not a setting.

/// Bytes of one write to a staging file, and of one read from a body: what a transfer holds in memory.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Unfinished uploads of one system.
pub const STAGINGS_MAX: usize = 64;

/// Bodies of one system that no submission names yet.
pub const UNNAMED_MAX: usize = 1000;

/// Running digests kept for unfinished uploads; beyond it a resumed upload is read again from its file.
pub const SESSIONS_MAX: usize = 1024;

/// Seconds for which a pin holds when nobody takes it off: longer than any submission is under way.
pub const PIN_HOLDS_S: i64 = 3600;

/// Pins that are looked at for one body. One with more counts as pinned until a later look.
pub const PINS_MAX: usize = 10_000;

/// Seconds after which a removal that was begun and not finished may be taken over by another hub.
pub const CONDEMNED_LEASE_S: i64 = 600;

/// Condemned bodies that one sweep goes on with; the next goes on with the others.
pub const CONDEMNED_MAX: usize = 10_000;

/// Systems whose uploads of one and the same body are looked at. One with more stays.
pub const OWNERS_MAX: usize = 10_000;

/// Bytes of one part of a multipart upload: S3 takes none smaller, except the last.
pub const PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts of a multipart upload: S3 takes no more, so parts of very large bodies are larger.
pub const PARTS_MAX: u64 = 10_000;

/// Parts under way at once.
pub const PARTS_AT_ONCE: usize = 2;

/// The records that one step goes through. A store has those above; a test stands at the edge with fewer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) pins: usize,
    pub(crate) condemned: usize,
    pub(crate) owners: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            pins: PINS_MAX,
            condemned: CONDEMNED_MAX,
            owners: OWNERS_MAX,
        }
    }
}
