//! An attached file: what the packet says of it and what its bytes say.

use std::ops::Range;

use serde::Serialize;
use truc_model::Sha256;

/// An attached file. Its bytes stay in the packet: see [`crate::decode_attachment`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// `ContentId` without any leading `cid:`.
    pub content_id: String,
    /// `AttachmentName`: the file's name as the sender gave it. For people; never a path.
    pub name: String,
    /// `Description`.
    pub description: Option<String>,
    /// `ContentType`: the label, which may lie.
    pub declared_type: Option<String>,
    /// Decoded bytes.
    pub length: u64,
    /// Digest of the decoded bytes.
    pub sha256: Sha256,
    /// What the bytes look like.
    pub sniffed: SniffedType,
    /// Whether the sender's software put the file in a zip.
    pub wrapper: Wrapping,
    /// Where the content element's content stands in the packet.
    pub encoded: Range<usize>,
}

impl Attachment {
    /// Describes `bytes` for [`crate::write_document`]: length, digest, sniffed type, wrapper.
    #[must_use]
    pub fn of(
        content_id: impl Into<String>,
        name: impl Into<String>,
        declared_type: Option<&str>,
        bytes: &[u8],
    ) -> Self {
        let name = name.into();
        let mut probe = crate::content::Probe::new();
        probe.update(bytes);
        let facts = probe.finish();
        Self {
            content_id: content_id.into(),
            description: None,
            declared_type: Some(declared_type.unwrap_or(facts.sniffed.media_type()).to_owned()),
            length: facts.length,
            sha256: facts.sha256,
            sniffed: facts.sniffed,
            wrapper: facts.wrapper(&name),
            encoded: 0..0,
            name,
        }
    }
}

/// What a file's first bytes (for a zip, its entries' names) look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SniffedType {
    /// `%PDF`.
    Pdf,
    /// A zip that is none of the Office forms.
    Zip,
    /// Office Open XML with `word/`.
    Docx,
    /// Office Open XML with `xl/`.
    Xlsx,
    /// Office Open XML with `ppt/`.
    Pptx,
    /// Another zip with `[Content_Types].xml`.
    OfficeOpenXml,
    /// A zip whose first entry is `mimetype`.
    OpenDocument,
    /// The compound file of older Office: doc, xls, ppt.
    Ole,
    /// PNG image.
    Png,
    /// JPEG image.
    Jpeg,
    /// XML text.
    Xml,
    /// Rich text.
    Rtf,
    /// Other UTF-8 text without control characters.
    Text,
    /// None of these.
    Unknown,
}

impl SniffedType {
    /// The label the writer gives when the packet has none.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
            Self::Docx => "application/docx",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Pptx => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Self::Ole => "application/x-ole-storage",
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Xml => "application/xml",
            Self::Rtf => "application/rtf",
            Self::Text => "text/plain",
            Self::OfficeOpenXml | Self::OpenDocument | Self::Unknown => "application/octet-stream",
        }
    }

    /// The word in tables and side files.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Zip => "zip",
            Self::Docx => "docx",
            Self::Xlsx => "xlsx",
            Self::Pptx => "pptx",
            Self::OfficeOpenXml => "office-open-xml",
            Self::OpenDocument => "open-document",
            Self::Ole => "ole",
            Self::Png => "png",
            Self::Jpeg => "jpeg",
            Self::Xml => "xml",
            Self::Rtf => "rtf",
            Self::Text => "text",
            Self::Unknown => "unknown",
        }
    }
}

/// Whether the sender's software put the file in a zip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wrapping {
    /// The bytes are the file.
    None,
    /// A zip with one entry of the file's own extension: the file is inside.
    Wrapped,
    /// A zip under another name that is not such a wrapper: passed as it is.
    OddZip,
}
