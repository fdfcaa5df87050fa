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

/// Pins that are looked at for one body.
pub const PINS_MAX: usize = 10_000;

/// Seconds after which a removal that was begun and not finished may be taken over by another hub.
pub const CONDEMNED_LEASE_S: i64 = 600;

/// Condemned bodies that one sweep goes on with.
pub const CONDEMNED_MAX: usize = 10_000;

/// Systems that uploaded one and the same body.
pub const OWNERS_MAX: usize = 10_000;

/// Bodies in one of the 256 shards of the listing.
pub const SHARD_MAX: usize = 1_000_000;

/// Bytes of one part of a multipart upload: S3 takes none smaller, except the last.
pub const PART_BYTES: usize = 5 * 1024 * 1024;

/// Parts of a multipart upload: S3 takes no more, so parts of very large bodies are larger.
pub const PARTS_MAX: u64 = 10_000;

/// Parts under way at once.
pub const PARTS_AT_ONCE: usize = 2;
