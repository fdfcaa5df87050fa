//! What is taken: every size and count has a named maximum.

/// The limits of one inspection.
///
/// The depth of nested objects is the parser's own ([`Limits::MAX_DEPTH`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a file; beyond it nobody looks.
    pub max_bytes: usize,
    /// Most objects of a file.
    pub max_objects: usize,
    /// Most signatures of a file.
    pub max_signatures: usize,
    /// Most bytes of one signature.
    pub max_cms_bytes: usize,
    /// Most bytes that one compressed table or stream of objects may inflate to.
    pub max_inflated_stream: usize,
    /// Most bytes that all streams of objects together may inflate to.
    pub max_inflated: usize,
}

impl Limits {
    /// 16 MiB: the largest packet of the default configuration holds at most 12 MiB of attachments.
    pub const MAX_BYTES: usize = 16 * 1024 * 1024;
    /// 200,000: a scanned volume of a thousand pages has some ten thousand.
    pub const MAX_OBJECTS: usize = 200_000;
    /// 16: a dispatch bears two or three.
    pub const MAX_SIGNATURES: usize = 16;
    /// 1 MiB: revocation lists inside a signature take some hundred kilobytes.
    pub const MAX_CMS_BYTES: usize = 1024 * 1024;
    /// 4 MiB: producers put one or two hundred objects in one stream.
    pub const MAX_INFLATED_STREAM: usize = 4 * 1024 * 1024;
    /// 32 MiB.
    pub const MAX_INFLATED: usize = 32 * 1024 * 1024;
    /// 100: the parser's limit of nested arrays, dictionaries and brackets.
    pub const MAX_DEPTH: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: Self::MAX_BYTES,
            max_objects: Self::MAX_OBJECTS,
            max_signatures: Self::MAX_SIGNATURES,
            max_cms_bytes: Self::MAX_CMS_BYTES,
            max_inflated_stream: Self::MAX_INFLATED_STREAM,
            max_inflated: Self::MAX_INFLATED,
        }
    }
}
