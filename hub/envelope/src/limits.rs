//! What the reader is willing to take: every count, size and depth has a named maximum.

use truc_model::Refusal;

/// The reader's limits. A packet beyond one of them is refused with `envelope-limit`
/// (recipients: `recipient-limit`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a packet.
    pub max_bytes: usize,
    /// Deepest element, the root being 1.
    pub max_depth: usize,
    /// Most elements in all.
    pub max_elements: usize,
    /// Most attributes of one element, namespace declarations included.
    pub max_attributes: usize,
    /// Most bytes of one element's attributes together.
    pub max_attribute_bytes: usize,
    /// Most bytes of one value; attachment content and signatures are not values.
    pub max_value_bytes: usize,
    /// Most bytes of names, values and references to attachments together: what the reader holds of a packet,
    /// however large its attachments are.
    pub max_text_bytes: usize,
    /// Most `To` elements.
    pub max_recipients: usize,
    /// Most `Attachment` elements.
    pub max_attachments: usize,
}

impl Limits {
    /// 256 MiB: seven of the largest attachments seen (28.7 MB, a third more in base64).
    pub const MAX_BYTES: usize = 256 * 1024 * 1024;
    /// 32: real packets reach 11, inside a signature.
    pub const MAX_DEPTH: usize = 32;
    /// 100,000: a packet to a thousand recipients has some ten thousand.
    pub const MAX_ELEMENTS: usize = 100_000;
    /// 16: real packets have at most four.
    pub const MAX_ATTRIBUTES: usize = 16;
    /// 4 KiB.
    pub const MAX_ATTRIBUTE_BYTES: usize = 4096;
    /// 64 KiB: the longest value of the format is 1,000 characters.
    pub const MAX_VALUE_BYTES: usize = 64 * 1024;
    /// 8 MiB: a packet to a thousand recipients has some 500 KB.
    pub const MAX_TEXT_BYTES: usize = 8 * 1024 * 1024;
    /// 1,000.
    pub const MAX_RECIPIENTS: usize = 1000;
    /// 100.
    pub const MAX_ATTACHMENTS: usize = 100;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: Self::MAX_BYTES,
            max_depth: Self::MAX_DEPTH,
            max_elements: Self::MAX_ELEMENTS,
            max_attributes: Self::MAX_ATTRIBUTES,
            max_attribute_bytes: Self::MAX_ATTRIBUTE_BYTES,
            max_value_bytes: Self::MAX_VALUE_BYTES,
            max_text_bytes: Self::MAX_TEXT_BYTES,
            max_recipients: Self::MAX_RECIPIENTS,
            max_attachments: Self::MAX_ATTACHMENTS,
        }
    }
}

/// Most stray bytes skipped before the packet begins.
pub(crate) const MAX_LEADING_BYTES: usize = 64;
/// Most bytes of one tag, comment, processing instruction or reference: it is read as a whole.
pub(crate) const MAX_MARKUP_BYTES: usize = 64 * 1024;
/// Longest element or attribute name, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 256;
/// Most warnings kept of one packet; the rest would say the same again.
pub(crate) const MAX_WARNINGS: usize = 200;
/// Most refusal findings kept of one packet.
pub(crate) const MAX_REFUSALS: usize = 50;
/// Most unknown elements listed of one packet.
pub(crate) const MAX_UNKNOWN_ELEMENTS: usize = 100;
/// Longest path of elements in a place, in characters.
pub(crate) const MAX_PATH: usize = 4 * Refusal::FOUND_MAX;
