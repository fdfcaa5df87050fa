//! Bytes to edXML packet and back, for packets after QCVN 102:2016/BTTTT.
//!
//! [`read`] is tolerant: it takes what real systems send, and says with a stable code each what it
//! forgave. [`lint`] reports the same reading with the eyes of the strict form, which
//! [`write_document`] and [`write_status`] produce. The format is described in
//! `docs/reference/edxml.md`.
//!
//! ```text
//! bytes ─ tokens ─┬ scan ─→ tree of elements ─ read ─→ Packet + warnings     one pass
//!                 ├ dsig ─→ verdict on the XML signature
//!                 └ content ─→ an attachment's bytes
//! ```
//!
//! The bytes are in memory or in a [`PacketSource`], such as a file of any size, which is read piece by piece: the same
//! code, so the same findings at the same places ([`read_from`], [`lint_from`], [`dsig::verify_from`],
//! [`dsig::sign_from`], [`decode_attachment_from`]).
//!
//! Signatures: [`seal`] over the bytes, beside the packet; [`dsig`] inside it.
//!
//! What this crate leaves out: opening files, the directory (whether a code is an agency's), and what a verdict on
//! a signature leads to. Attachments are decoded as a stream and never unpacked.

mod content;
mod date;
pub mod dsig;
mod limits;
mod lint;
mod packet;
mod read;
mod scan;
pub mod seal;
mod source;
mod tokens;
mod vocabulary;
mod write;

pub use content::{DecodeError, decode_attachment, decode_attachment_from, write_attachment};
pub use limits::Limits;
pub use lint::{DUE_LONG_PAST_DAYS, Level, Lint, LintFinding, lint, lint_from};
pub use packet::{
    Attachment, Business, DocumentNumber, DocumentPacket, DocumentType, Organization, OtherInfo, Packet,
    PaperCopy, Promulgation, ReceiverChange, Replacement, ResponseFor, RevisedPart, SignaturePresence,
    Signer, SniffedType, StaffInfo, StatusPacket, TraceHeader, UnknownElement, Update, Wrapping,
};
pub use read::{Reading, Rejection, Warning, read, read_from};
pub use source::{Digested, PacketSource, sha256_of};
pub use write::{write_document, write_status};
