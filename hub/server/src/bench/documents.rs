//! The documents of a run: made and signed before any clock starts, each with a number at one place of its
//! bytes, so that whoever gets one knows which it is without reading XML, and can compare all of it.

use std::collections::HashMap;
use std::sync::Arc;

use truc_envelope::dsig::{SignOptions, SigningKey, sign};
use truc_envelope::seal::{Claims, SealingKey, make};
use truc_model::wire::{EDXML, Intake, JSON, SUBMIT_EXCHANGE, header};
use truc_model::{Clock, MessageId, Random, Sha256, SystemClock, SystemId, SystemRandom, Urgency};
use truc_transport::{HeaderValue, OutMessage, Properties};

use super::province::Province;
use crate::demo::packets::Draft;
use crate::demo::stage::{Doing, StageError, now};

/// What the number stands behind.
const MARK: &str = "bench-";
/// Digits of the number.
const DIGITS: usize = 8;

/// The key a system signs with.
pub enum SenderKey {
    /// For a seal beside the packet.
    Seal(Box<SealingKey>),
    /// For an XML signature in it.
    Xml(Box<SigningKey>),
}

/// A system that submits.
pub struct Sender {
    /// It.
    pub id: SystemId,
    /// Its key.
    pub key: SenderKey,
}

/// What is sent to whom.
pub struct Order<'a> {
    /// The province.
    pub province: &'a Province,
    /// Who sends.
    pub senders: &'a [Sender],
    /// How many documents; sender `n % senders` sends document `n`.
    pub count: usize,
    /// Size of each packet, at most so much above it as base64 rounds up.
    pub bytes: usize,
    /// The agencies that the documents of a sender are for, by its number.
    pub recipients: &'a dyn Fn(usize) -> Vec<usize>,
}

/// See the module.
#[derive(Clone)]
pub struct Documents {
    /// The submissions, in the order they are sent.
    pub messages: Vec<OutMessage>,
    by_id: HashMap<String, usize>,
    mark_at: usize,
}

impl Documents {
    /// Makes and signs them.
    ///
    /// # Errors
    /// [`StageError`] when a packet of this size cannot be made, or a key does not sign.
    pub fn make(order: &Order<'_>) -> Result<Self, StageError> {
        let random = SystemRandom::default();
        let filler = Self::filler(order)?;
        let mut messages = Vec::with_capacity(order.count);
        let mut by_id = HashMap::with_capacity(order.count);
        let mut mark_at = None;
        for number in 0..order.count {
            let body = Self::body(order, number, filler)?;
            let found = find_mark(&body, number)?;
            if *mark_at.get_or_insert(found) != found {
                return Err(StageError("the documents are not of one form".to_owned()));
            }
            let sender = &order.senders[number % order.senders.len()];
            let message_id = MessageId::new(random.uuid_v7(now()));
            by_id.insert(message_id.to_string(), number);
            let mut properties = properties(&sender.id, Intake::Document, message_id);
            properties.priority = Some(0);
            if let SenderKey::Seal(key) = &sender.key {
                let claims = Claims {
                    iss: sender.id.clone(),
                    jti: message_id,
                    iat: now(),
                    sha256: Sha256::of(&body),
                    size: body.len() as u64,
                };
                let seal = make(key, &claims).doing("sealing")?;
                properties = properties.with(header::SEAL, HeaderValue::Text(seal));
            }
            messages.push(OutMessage {
                exchange: SUBMIT_EXCHANGE.to_owned(),
                routing_key: Intake::Document.as_str().to_owned(),
                properties,
                body: Arc::from(body),
            });
        }
        Ok(Self {
            messages,
            by_id,
            mark_at: mark_at.unwrap_or_default(),
        })
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The submission that an answer is for.
    #[must_use]
    pub fn of_message(&self, message_id: &str) -> Option<usize> {
        self.by_id.get(message_id).copied()
    }

    /// The document that these bytes are, when they are one, to the last bit.
    #[must_use]
    pub fn of_body(&self, body: &[u8]) -> Option<usize> {
        let digits = body.get(self.mark_at..self.mark_at + DIGITS)?;
        let number: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let message = self.messages.get(number)?;
        (*message.body == *body).then_some(number)
    }

    fn body(order: &Order<'_>, number: usize, filler: usize) -> Result<Vec<u8>, StageError> {
        let sender = number % order.senders.len();
        let from = Province::name(sender);
        let to = (order.recipients)(sender);
        let draft = Draft {
            from: (&order.province.agencies[sender], &from),
            to: to
                .into_iter()
                .map(|agency| (order.province.agencies[agency].clone(), Province::name(agency)))
                .collect(),
            number: 100_000 + u32::try_from(number).unwrap_or(u32::MAX),
            notation: "BC-VP",
            type_name: "Công văn",
            type_detail: 18,
            subject: &format!("V/v báo cáo định kỳ {MARK}{number:0DIGITS$}"),
            urgency: Urgency::Normal,
            issued: SystemClock.today(),
            filler,
        };
        let packet = draft.packet();
        match &order.senders[sender].key {
            SenderKey::Seal(_) => Ok(packet),
            SenderKey::Xml(key) => sign(&packet, key, &SignOptions::default()).doing("signing"),
        }
    }

    /// Bytes of filler in the attachment for the size asked for.
    fn filler(order: &Order<'_>) -> Result<usize, StageError> {
        let least = Self::body(order, 0, 0)?.len();
        if least > order.bytes {
            return Err(StageError(format!(
                "the smallest packet has {least} bytes with so many recipients, {} were asked for",
                order.bytes
            )));
        }
        // Base64 makes four bytes of three; the filler's own line takes two more.
        Ok(((order.bytes - least) / 4 * 3).saturating_sub(2))
    }
}

/// Properties of a submission.
pub fn properties(system: &SystemId, intake: Intake, message_id: MessageId) -> Properties {
    Properties {
        kind: Some(intake.as_str().to_owned()),
        message_id: Some(message_id.to_string()),
        user_id: Some(system.to_string()),
        content_type: Some(if intake == Intake::Taken { JSON } else { EDXML }.to_owned()),
        timestamp: Some(now()),
        app_id: Some("truc-bench".to_owned()),
        ..Properties::default()
    }
}

fn find_mark(body: &[u8], number: usize) -> Result<usize, StageError> {
    let mark = format!("{MARK}{number:0DIGITS$}");
    body.windows(mark.len())
        .position(|window| window == mark.as_bytes())
        .map(|at| at + MARK.len())
        .ok_or_else(|| StageError("a document does not hold its number".to_owned()))
}
