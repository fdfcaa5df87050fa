//! Submitting: sealed, published until the broker confirms it, and answered.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use truc_envelope::seal::{self, Claims, SealError};
use truc_envelope::{Limits, Packet, Reading, Rejection, read};
use truc_model::wire::{BodyReference, EDXML, Intake, SUBMIT_EXCHANGE, header};
use truc_model::{DocumentKind, MessageId, Sha256, Urgency};
use truc_transport::{OutMessage, Properties, PublishError};

use crate::bodies::BodyTransferError;
use crate::client::Inner;
use crate::packet::{PacketBytes, PacketFile};

/// A packet to submit.
///
/// The `message_id` is the key of the whole submission: choose it, keep it on disk, then submit. The same id
/// with the same bytes is the same submission however often it is sent, and gets the first receipt again;
/// the same id with other bytes is refused.
#[derive(Clone)]
pub struct Submission {
    /// The key.
    pub message_id: MessageId,
    /// Document or status packet.
    pub kind: DocumentKind,
    /// Urgent ones overtake in the hub's queue.
    pub urgency: Urgency,
    /// The sending agency's code, as written in the packet.
    pub from: String,
    /// The packet.
    pub bytes: PacketBytes,
}

impl Submission {
    /// Reads kind, urgency and sender off a packet.
    ///
    /// # Errors
    /// [`Rejection`] when it cannot be read; the hub would refuse it for the same reasons.
    pub fn of_packet(message_id: MessageId, bytes: Arc<[u8]>) -> Result<Self, Rejection> {
        let reading = read(&bytes, &Limits::default())?;
        Ok(Self::of_reading(message_id, &reading, bytes.into()))
    }

    /// The same of a packet in a file, of which no more is in memory than its header. Reads it twice; blocks.
    ///
    /// # Errors
    /// What the operating system says. Inside, as [`Submission::of_packet`].
    pub fn of_file(message_id: MessageId, path: &Path) -> io::Result<Result<Self, Rejection>> {
        let bytes = PacketBytes::File(PacketFile::open(path)?);
        let limits = Limits {
            max_bytes: usize::MAX,
            ..Limits::default()
        };
        let reading = bytes.read(&limits)?;
        Ok(reading.map(|reading| Self::of_reading(message_id, &reading, bytes)))
    }

    fn of_reading(message_id: MessageId, reading: &Reading, bytes: PacketBytes) -> Self {
        let urgency = match &reading.packet {
            Packet::Document(document) => document.other.priority,
            Packet::Status(_) => Urgency::Normal,
        };
        Self {
            message_id,
            kind: reading.packet.kind(),
            urgency,
            from: reading.packet.from().organ_id.clone(),
            bytes,
        }
    }

    /// Status packets always travel whole.
    pub(crate) fn may_be_apart(&self) -> bool {
        self.kind == DocumentKind::Document
    }
}

impl fmt::Debug for Submission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Submission")
            .field("message_id", &self.message_id)
            .field("kind", &self.kind)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

/// Why a submission has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The seal could not be made.
    #[error("cannot seal the packet")]
    Seal(#[source] SealError),
    /// It travels apart from its message, and could not be sent ahead.
    #[error("the packet could not be sent ahead of its message")]
    Upload(#[source] BodyTransferError),
    /// Its file.
    #[error("the packet's file cannot be read")]
    File(#[source] io::Error),
    /// The broker will not take it, now or later: no permission, or too large.
    #[error("the broker does not take the packet")]
    Rejected(#[source] PublishError),
    /// The broker could not be made to confirm it in time. It may have been kept all the same: submit
    /// it again under the same `message_id`.
    #[error("the broker has not confirmed the packet within {after:?}")]
    NotConfirmed {
        /// How long was tried.
        after: Duration,
        /// The last failure.
        #[source]
        last: PublishError,
    },
    /// Confirmed by the broker, but no answer came. It will: submit it again under the same `message_id`,
    /// or let [`Adapter::answered`](crate::Adapter::answered) have it.
    #[error("no answer within {after:?}{}", if *.inbox_is_read { "" } else { "; Client::run, which reads the inbox, is not running" })]
    NotAnswered {
        /// How long was waited.
        after: Duration,
        /// Whether [`Client::run`](crate::Client::run) was running.
        inbox_is_read: bool,
    },
    /// Too many submissions wait for their answer at once.
    #[error("{limit} submissions wait for their answer already")]
    TooManyWaiting {
        /// The limit.
        limit: usize,
    },
}

impl SubmitError {
    /// Whether submitting the same again later can help.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NotConfirmed { .. } | Self::NotAnswered { .. } | Self::TooManyWaiting { .. } => true,
            Self::Upload(error) => error.is_retryable(),
            Self::Seal(_) | Self::File(_) | Self::Rejected(_) => false,
        }
    }
}

/// How a packet travels.
enum Carried {
    Within(Arc<[u8]>),
    Apart,
}

impl Inner {
    /// Publishes until the broker has confirmed it.
    pub(crate) async fn publish_submission(&self, submission: &Submission) -> Result<(), SubmitError> {
        let sha256 = submission.bytes.sha256();
        let body = if self.send_apart(submission, sha256).await? {
            Carried::Apart
        } else {
            Carried::Within(self.whole(submission).await?)
        };
        let patience = self.config.publish_patience;
        let deadline = tokio::time::Instant::now() + patience;
        let mut failures = 0;
        loop {
            // Sealed anew each time: a seal that waited out a long break would be too old.
            let message = self.submission_message(submission, sha256, &body)?;
            let last = match self.publish(message).await {
                Ok(()) => {
                    truc_model::crash::reach("adapter-submitted");
                    return Ok(());
                }
                Err(error) if !error.is_retryable() => return Err(SubmitError::Rejected(error)),
                Err(error) => error,
            };
            failures += 1;
            let pause = self.config.backoff.pause(failures, &*self.random);
            if tokio::time::Instant::now() + pause >= deadline {
                return Err(SubmitError::NotConfirmed {
                    after: patience,
                    last,
                });
            }
            tracing::debug!(message_id = %submission.message_id, failures, error = %last, "publishing again");
            tokio::time::sleep(pause).await;
        }
    }

    /// The bytes for the message. A file comes into memory here, when it is no larger than a message may be.
    async fn whole(&self, submission: &Submission) -> Result<Arc<[u8]>, SubmitError> {
        let file = match &submission.bytes {
            PacketBytes::Memory(bytes) => return Ok(Arc::clone(bytes)),
            PacketBytes::File(file) => file.clone(),
        };
        let limit = self.config.max_body_bytes;
        if file.size > limit as u64 {
            let size = usize::try_from(file.size).unwrap_or(usize::MAX);
            return Err(SubmitError::Rejected(PublishError::TooLarge { size, limit }));
        }
        let read = tokio::task::spawn_blocking(move || std::fs::read(file.path)).await;
        let read = read.map_err(io::Error::other).and_then(|read| read);
        read.map(Into::into).map_err(SubmitError::File)
    }

    fn submission_message(
        &self,
        submission: &Submission,
        sha256: Sha256,
        body: &Carried,
    ) -> Result<OutMessage, SubmitError> {
        let now = self.clock.now();
        let size = submission.bytes.len();
        let intake = match submission.kind {
            DocumentKind::Document => Intake::Document,
            DocumentKind::Status => Intake::Status,
        };
        let mut properties = Properties {
            kind: Some(submission.kind.as_str().to_owned()),
            message_id: Some(submission.message_id.to_string()),
            correlation_id: None,
            user_id: Some(self.config.system.to_string()),
            content_type: Some(EDXML.to_owned()),
            timestamp: Some(now),
            priority: Some(submission.urgency.number()),
            app_id: Some(self.config.app_id.clone()),
            ..Properties::default()
        }
        .with(header::FROM, submission.from.as_str())
        .with(header::SHA256, sha256.to_string())
        .with(header::SIZE, i64::try_from(size).unwrap_or(i64::MAX));
        if let Some(key) = &self.seal {
            let claims = Claims {
                iss: self.config.system.clone(),
                jti: submission.message_id,
                iat: now,
                sha256,
                size,
            };
            let seal = seal::make(key, &claims).map_err(SubmitError::Seal)?;
            properties = properties.with(header::SEAL, seal);
        }
        let body = match body {
            Carried::Within(bytes) => Arc::clone(bytes),
            Carried::Apart => {
                let reference = BodyReference { sha256, size };
                properties = properties.with(header::BODY, reference.to_string());
                Arc::default()
            }
        };
        Ok(OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: intake.as_str().to_owned(),
            properties,
            body,
        })
    }
}
