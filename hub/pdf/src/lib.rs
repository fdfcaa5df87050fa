//! The signatures inside a PDF, as an indicator: is something signed, is it still what was signed, how much
//! of the file is covered, and which certificate came with it. See `docs/reference/pdf-signature.md`.
//!
//! ```text
//! bytes ─ find ─→ signature dictionaries ─ range ─→ covered bytes ─┬─→ PdfSignature
//!                                        ─ cms ───→ signer ─ verify┘
//! ```
//!
//! Bytes in, words out: no file, no network, no clock. It never panics, whatever the bytes; time and memory
//! are bounded by the worker process of the hub that calls it, since a parser cannot promise them alone.
//!
//! What this crate leaves out: trust (no chain, no revocation, no validity), what an appended part changes,
//! the time stamp inside a signature, encrypted files, usage rights. So it never says "valid".

mod cms;
mod find;
mod limits;
mod range;
mod signer;
mod time;
mod time_stamp;
mod tlv;
mod verify;

use std::panic::{AssertUnwindSafe, catch_unwind};

use truc_model::pdf::{
    Binding, Coverage, DigestState, NotInspected, PdfSignature, PdfSignatures, SubFilter, Unchecked,
    Unreadable, ValueState,
};

pub use limits::Limits;

use cms::Cms;
use find::Found;
use range::Covered;
use signer::Signer;

/// Looks at the signatures of a PDF.
///
/// Costs up to a few times the file in time and twice its size in memory for honest files; a hostile one can
/// cost more, which is for the caller to bound.
#[must_use]
pub fn inspect(bytes: &[u8], limits: &Limits) -> PdfSignatures {
    if bytes.len() > limits.max_bytes {
        return PdfSignatures::Unchecked {
            why: NotInspected::TooLarge,
        };
    }
    // The parser is another's, and indexes slices; a panic there is one more way of being damaged.
    catch_unwind(AssertUnwindSafe(|| look(bytes, limits))).unwrap_or(PdfSignatures::Unreadable {
        why: Unreadable::Damaged,
    })
}

fn look(bytes: &[u8], limits: &Limits) -> PdfSignatures {
    let found = match find::signatures(bytes, limits) {
        Ok(found) => found,
        Err(why) => return PdfSignatures::Unreadable { why },
    };
    let mut signatures: Vec<(usize, PdfSignature)> = found
        .iter()
        .map(|found| {
            let covered = Covered::of(bytes, found);
            let end = covered.as_ref().map_or(0, |covered| covered.end);
            (end, judge(found, covered.as_ref(), limits))
        })
        .collect();
    if signatures.is_empty() {
        return PdfSignatures::None;
    }
    signatures.sort_by_key(|(end, _)| *end);
    PdfSignatures::Signed {
        signatures: signatures.into_iter().map(|(_, signature)| signature).collect(),
    }
}

fn judge(found: &Found, covered: Option<&Covered<'_>>, limits: &Limits) -> PdfSignature {
    let mut signature = PdfSignature {
        kind: found.kind,
        digest: DigestState::Unchecked { why: Unchecked::Kind },
        signature: ValueState::Unchecked { why: Unchecked::Kind },
        coverage: covered.map_or(Coverage::Hole, |covered| covered.coverage),
        signer: None,
        certificate: None,
        binding: Binding::Absent,
        signed_at: found.signed_at,
        algorithm: None,
    };
    if found.kind == SubFilter::Other {
        return signature;
    }
    let unchecked = |signature: PdfSignature, why| PdfSignature {
        digest: DigestState::Unchecked { why },
        signature: ValueState::Unchecked { why },
        ..signature
    };
    if found.contents.len() > limits.max_cms_bytes {
        return unchecked(signature, Unchecked::TooLarge);
    }
    let cms = match Cms::read(&found.contents) {
        Ok(cms) => cms,
        Err(why) => return unchecked(signature, why),
    };
    if let Some(at) = cms.signed_at() {
        signature.signed_at = Some(at);
    }
    let signer = Signer::of(&cms);
    if let Some(signer) = &signer {
        signature.signer.clone_from(&signer.name);
        signature.certificate = Some(signer.thumbprint);
        signature.binding = cms.binding(signer.thumbprint);
    }
    if found.kind == SubFilter::Pkcs7Sha1 {
        return unchecked(signature, Unchecked::Sha1);
    }
    let Some(covered) = covered else {
        return unchecked(signature, Unchecked::ByteRange);
    };
    let checked = match found.kind {
        SubFilter::TimeStamp => time_stamp::check(&cms, covered, signer.as_ref(), &mut signature.signed_at),
        _ => verify::check(&cms, covered, signer.as_ref()),
    };
    PdfSignature {
        digest: checked.digest,
        signature: checked.value,
        algorithm: checked.algorithm.map(str::to_owned),
        ..signature
    }
}
