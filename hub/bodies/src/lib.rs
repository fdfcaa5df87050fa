//! Large bodies, content-addressed: resumable uploads, a local directory or S3. It knows digests, sizes and systems;
//! not documents, not the ledger, not HTTP.
//!
//! ```text
//! upload ──▶ staging file ──(size and digest agree, flushed)──▶ object ──▶ pin ──(a ledger row names it)──▶ named
//!                                                                 │
//!                            nobody names it ──▶ condemned ──(no pin, no row)──▶ removed
//! ```
//!
//! What holds, whoever is killed when:
//!
//! * An object is visible only when its bytes are on disk (or in the bucket) and their digest is its name.
//! * A system reaches what it uploaded itself; that another system uploaded the same bytes is not told to it, and does
//!   not spare it the upload: knowing a digest is no proof of having the bytes.
//! * An object that a ledger row names, or that someone is about to name, is not removed. Who is about to name one
//!   holds a [`Pin`]; who removes one condemns it first, then looks for pins, then asks the ledger ([`Named`]). Whichever
//!   comes second sees the other, in one process or in several hubs on one bucket.

mod error;
mod keys;
pub mod limits;
mod look;
mod open;
mod pin;
mod probe;
mod quota;
mod remote;
mod remove;
mod staging;
mod store;
mod upload;

pub use error::{BodyError, NamedError};
pub use look::StoredBodies;
pub use open::{BodyStream, LocalBody, OpenBody};
pub use pin::Pin;
pub use remote::{RETRY_FOR, S3Settings};
pub use remove::{Named, Removal, Swept};
pub use store::{BodyStore, Listed, Settings};
pub use upload::{Began, Finished, From, UploadStatus, UploadWriter};

#[cfg(test)]
mod tests;
