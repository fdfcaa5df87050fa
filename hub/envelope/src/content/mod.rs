//! The bytes of attachments: base64 as a stream, what they are, and where a zip was put round them.
//!
//! Nothing here holds a decoded attachment: it passes through a small buffer into a digest, a first
//! part and a last part of bounded size, and whatever the caller writes it to.

mod base64_stream;
mod probe;
mod zip;

use base64_stream::decode_stream;
pub(crate) use base64_stream::{BadBase64, Decoder};
pub(crate) use probe::{Damage, Facts, Probe, label_agrees};

use std::io;

use crate::packet::Attachment;
use crate::source::PacketSource;

/// The attachment cannot be decoded from these bytes: they are not the packet it was read from.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// It does not lie within the bytes given, or is not base64 there.
    #[error("the bytes are not those of the packet the attachment was read from")]
    OtherPacket,
    /// What was decoded has another digest.
    #[error("the decoded bytes have another digest than the attachment")]
    OtherDigest,
    /// The packet cannot be read any more.
    #[error("cannot read the packet")]
    Read(#[source] io::Error),
    /// The writer failed.
    #[error("cannot write the attachment")]
    Write(#[source] io::Error),
}

/// Decodes an attachment from the packet it was read from.
///
/// # Errors
/// [`DecodeError`] when `packet` is not the one `attachment` was read from.
pub fn decode_attachment(packet: &[u8], attachment: &Attachment) -> Result<Vec<u8>, DecodeError> {
    let mut bytes = Vec::new();
    write_attachment(packet, attachment, &mut bytes)?;
    Ok(bytes)
}

/// Decodes an attachment into a writer, in chunks of a few kilobytes.
///
/// # Errors
/// [`DecodeError`] when `packet` is not the one `attachment` was read from, or the writer fails. What was
/// written before an error is worthless.
pub fn write_attachment(
    packet: &[u8],
    attachment: &Attachment,
    out: &mut impl io::Write,
) -> Result<(), DecodeError> {
    decode_attachment_from(&packet, attachment, out)
}

/// [`write_attachment`] from where the packet lies: of it and of the attachment no more than a block is held.
///
/// # Errors
/// As [`write_attachment`]; [`DecodeError::Read`] when the source cannot be read.
pub fn decode_attachment_from(
    source: &dyn PacketSource,
    attachment: &Attachment,
    out: &mut dyn io::Write,
) -> Result<(), DecodeError> {
    let mut digest = ring::digest::Context::new(&ring::digest::SHA256);
    let mut failure = None;
    decode_stream(source, attachment.encoded.clone(), &mut |chunk| {
        digest.update(chunk);
        if failure.is_none() {
            failure = out.write_all(chunk).err();
        }
    })
    .map_err(DecodeError::Read)?
    .map_err(|_| DecodeError::OtherPacket)?;
    if let Some(failure) = failure {
        return Err(DecodeError::Write(failure));
    }
    if truc_model::Sha256::from_ring(&digest.finish()) != attachment.sha256 {
        return Err(DecodeError::OtherDigest);
    }
    Ok(())
}
