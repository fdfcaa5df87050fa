//! Inspect: what the signatures inside attached PDFs look like, told beside an accepted document.
//!
//! It stands between route and record and is no check: it refuses nothing, parks nothing, and no document
//! waits for it longer than the pool's limits ([`crate::inspect`]). A document without PDFs does not stop here.
//! One that bears a marking of secrecy is not looked into either.

use std::sync::Arc;

use truc_bodies::LocalBody;
use truc_envelope::{Attachment, Packet, SniffedType, decode_attachment_from};
use truc_model::ParkCause;

use super::ingest::CHECKED_IN_PLACE_MAX_BYTES;
use super::route::Routed;
use super::verify::Verified;
use crate::inspect::Pool;

/// The PDFs of a document, each with its place among the attachments.
#[derive(Debug, Default)]
pub struct Pdfs {
    found: Vec<(usize, Attachment)>,
    file: Option<Arc<LocalBody>>,
}

impl Pdfs {
    /// Those of a verified submission that may be looked at.
    #[must_use]
    pub fn of(verified: &Verified) -> Self {
        match &verified.reading().packet {
            Packet::Document(document) if verified.park() != Some(ParkCause::SecretMarking) => Self {
                found: document
                    .attachments
                    .iter()
                    .enumerate()
                    .filter(|(_, attachment)| attachment.sniffed == SniffedType::Pdf)
                    .map(|(place, attachment)| (place, attachment.clone()))
                    .collect(),
                file: verified.file().cloned(),
            },
            Packet::Document(_) | Packet::Status(_) => Self::default(),
        }
    }
}

/// The packet, in memory or in its file.
#[derive(Clone)]
enum Bytes {
    Here(Arc<[u8]>),
    Apart(Arc<LocalBody>),
}

impl Bytes {
    fn of(here: Option<&Arc<[u8]>>, file: Option<Arc<LocalBody>>) -> Option<Self> {
        match (here, file) {
            (Some(bytes), _) => Some(Self::Here(Arc::clone(bytes))),
            (None, file) => file.map(Self::Apart),
        }
    }

    /// Whether it is decoded sooner than another thread could begin to.
    fn is_small(&self) -> bool {
        matches!(self, Self::Here(packet) if packet.len() <= CHECKED_IN_PLACE_MAX_BYTES)
    }

    /// Only after the pool has looked at its length: a PDF larger than it takes is never in memory.
    fn decode(&self, attachment: &Attachment) -> Option<Vec<u8>> {
        let mut pdf = Vec::new();
        let decoded = match self {
            Self::Here(packet) => decode_attachment_from(&&**packet, attachment, &mut pdf),
            Self::Apart(local) => decode_attachment_from(&local.file, attachment, &mut pdf),
        };
        decoded.ok().map(|()| pdf)
    }
}

/// Puts what the pool finds beside the attachments' other facts.
pub async fn inspect(pool: Option<&Pool>, pdfs: Pdfs, routed: &mut Routed) {
    let (Some(pool), Routed::Document(submission)) = (pool, routed) else {
        return;
    };
    // One deadline for all of a document's PDFs: a hundred of them wait no longer than one.
    let deadline = pool.deadline();
    let Some(packet) = Bytes::of(submission.body.here(), pdfs.file) else {
        return;
    };
    for (place, attachment) in pdfs.found {
        let packet = packet.clone();
        let length = attachment.length;
        let fetch = || async move {
            if packet.is_small() {
                return packet.decode(&attachment);
            }
            let decoding = tokio::task::spawn_blocking(move || packet.decode(&attachment));
            decoding.await.ok().flatten()
        };
        let found = pool.inspect(length, deadline, fetch).await;
        if let Some(facts) = submission.facts.attachments.get_mut(place) {
            facts.signature = Some(found);
        }
    }
}
