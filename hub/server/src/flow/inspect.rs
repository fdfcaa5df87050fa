//! Inspect: what the signatures inside attached PDFs look like, told beside an accepted document.
//!
//! It stands between route and record and is no check: it refuses nothing, parks nothing, and no document
//! waits for it longer than the pool's limits ([`crate::inspect`]). A document without PDFs does not stop here.
//! One that bears a marking of secrecy is not looked into either.

use std::sync::Arc;

use truc_envelope::{Attachment, Packet, SniffedType, decode_attachment};
use truc_model::ParkCause;

use super::route::Routed;
use super::verify::Verified;
use crate::inspect::Pool;

/// The PDFs of a document, each with its place among the attachments.
#[derive(Debug, Default)]
pub struct Pdfs(Vec<(usize, Attachment)>);

impl Pdfs {
    /// Those of a verified submission that may be looked at.
    #[must_use]
    pub fn of(verified: &Verified) -> Self {
        match &verified.reading().packet {
            Packet::Document(document) if verified.park() != Some(ParkCause::SecretMarking) => Self(
                document
                    .attachments
                    .iter()
                    .enumerate()
                    .filter(|(_, attachment)| attachment.sniffed == SniffedType::Pdf)
                    .map(|(place, attachment)| (place, attachment.clone()))
                    .collect(),
            ),
            Packet::Document(_) | Packet::Status(_) => Self::default(),
        }
    }
}

/// Puts what the pool finds beside the attachments' other facts.
pub async fn inspect(pool: Option<&Pool>, pdfs: Pdfs, routed: &mut Routed) {
    let (Some(pool), Routed::Document(submission)) = (pool, routed) else {
        return;
    };
    // One deadline for all of a document's PDFs: a hundred of them wait no longer than one.
    let deadline = pool.deadline();
    let Some(packet) = submission.body.here().map(Arc::clone) else {
        return;
    };
    for (place, attachment) in pdfs.0 {
        let packet = Arc::clone(&packet);
        let length = attachment.length;
        let fetch = || async move {
            let decoding = tokio::task::spawn_blocking(move || decode_attachment(&packet, &attachment).ok());
            decoding.await.ok().flatten()
        };
        let found = pool.inspect(length, deadline, fetch).await;
        if let Some(facts) = submission.facts.attachments.get_mut(place) {
            facts.signature = Some(found);
        }
    }
}
