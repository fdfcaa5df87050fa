//! What comes out of the inbox, read from a message and checked: documents, statuses, answers, notices.
//!
//! Leaves out the packet's content: [`IncomingDocument::read`] reads it for whoever wants to.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use truc_model::wire::{
    AttachmentWords, BodyReference, Notice, Outgoing, Receipt, RefusalAnswer, Taken, header,
};
use truc_model::{DeliveryUid, DocumentUid, MessageId, Sha256, SignatureVerdict, StatusCode, Urgency};
use truc_transport::{Message, Properties};
use uuid::Uuid;

use crate::fetch;
use crate::journal::Reason;
use crate::packet::{PacketBytes, PacketFile};

/// A document for agencies this system serves.
#[derive(Clone)]
pub struct IncomingDocument {
    /// The delivery's id, the same at every attempt: what to recognise it by.
    pub delivery: DeliveryUid,
    /// The hub's id of the document.
    pub document: DocumentUid,
    /// The sender's agency code, as written in the packet.
    pub from: String,
    /// The agency codes this message is for: one message may serve forty communes.
    pub to: Vec<String>,
    /// How urgent, by the message's priority.
    pub urgency: Urgency,
    /// The hub's attempt, from 1.
    pub attempt: u32,
    /// Digest of [`Self::bytes`]; checked.
    pub sha256: Sha256,
    /// The hub's verdict on who signed; `None` when it cannot be read.
    pub signature: Option<SignatureVerdict>,
    /// What the signatures inside attached PDFs look like, as the hub found: an indicator that decides nothing.
    /// `None` when there is no PDF, nobody looked, or it cannot be read.
    pub attachments: Option<AttachmentWords>,
    /// On a recall, or an update that removes recipients: the deliveries it takes back that the adapter has, or may
    /// have. Those it was never given are withdrawn already and not named.
    pub withdraws: Vec<DeliveryUid>,
    /// For which of their agencies alone, by code; empty: for all.
    pub withdraws_for: Vec<String>,
    /// The hub's ids of the documents that this one replaces.
    pub replaces: Vec<DocumentUid>,
    /// When it came out of the inbox, by this machine's clock.
    pub received_at: Timestamp,
    /// The packet, as its sender made it: in memory, or a file when it travelled apart.
    pub bytes: PacketBytes,
}

/// A status about a document that one of the agencies sent (or 13, about one it received).
#[derive(Clone)]
pub struct IncomingStatus {
    /// The delivery's id, the same at every attempt.
    pub delivery: DeliveryUid,
    /// The hub's id of the document it speaks of.
    pub document: DocumentUid,
    /// Code of the agency that reports.
    pub from: String,
    /// The agency codes this message is for.
    pub to: Vec<String>,
    /// The status code, when the hub's header gives one.
    pub code: Option<StatusCode>,
    /// The hub's attempt, from 1.
    pub attempt: u32,
    /// Digest of [`Self::bytes`]; checked.
    pub sha256: Sha256,
    /// On a take-back (13): as [`IncomingDocument::withdraws`].
    pub withdraws: Vec<DeliveryUid>,
    /// As [`IncomingDocument::withdraws_for`].
    pub withdraws_for: Vec<String>,
    /// When it came out of the inbox, by this machine's clock.
    pub received_at: Timestamp,
    /// The status packet, as its sender made it.
    pub bytes: Arc<[u8]>,
}

/// The hub's answer to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What to recognise it by: the same for a repeat of the same answer.
    pub id: Uuid,
    /// The submission answered. A refusal may lack it when the submission had none.
    pub message_id: Option<MessageId>,
    /// What it says.
    pub outcome: Outcome,
    /// The JSON as it came.
    pub json: Arc<[u8]>,
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Accepted: the hub keeps it, on disk.
    Accepted(Receipt),
    /// Refused: nothing of it was accepted.
    Refused(Box<RefusalAnswer>),
}

/// Something the sender must know of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncomingNotice {
    /// What to recognise it by.
    pub id: Uuid,
    /// What it says.
    pub notice: Notice,
    /// The JSON as it came.
    pub json: Arc<[u8]>,
}

impl fmt::Debug for IncomingDocument {
    /// Ids and sizes only: the rest is a document, and this lands in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingDocument")
            .field("delivery", &self.delivery)
            .field("document", &self.document)
            .field("attempt", &self.attempt)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IncomingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingStatus")
            .field("delivery", &self.delivery)
            .field("document", &self.document)
            .field("code", &self.code)
            .field("bytes", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Reads an answer's JSON; `kind` is [`Outgoing::Receipt`] or [`Outgoing::Refusal`].
    fn read(kind: Outgoing, message: Message) -> Result<Self, Misread> {
        let json = &message.body;
        let (outcome, word, inside) = if kind == Outgoing::Receipt {
            let receipt: Receipt = parse(json)?;
            let inside = Some(receipt.message_id());
            (Outcome::Accepted(receipt), "receipt", inside)
        } else {
            let refusal: RefusalAnswer = parse(json)?;
            let (word, inside) = (refusal.code.as_str(), refusal.message_id);
            (Outcome::Refused(Box::new(refusal)), word, inside)
        };
        let message_id = match message.properties.correlation_id.as_deref() {
            Some(text) => Some(
                text.parse()
                    .map_err(|_| Misread::unreadable("correlation_id is not a UUID"))?,
            ),
            None => inside,
        };
        // A receipt comes again byte for byte; a refusal comes again under another event number. Either is
        // the same answer to whoever waits for it.
        let id = match message_id {
            Some(message_id) => derived_id(&[b"answer", message_id.uuid().as_bytes(), word.as_bytes()]),
            None => derived_id(&[b"answer", json]),
        };
        Ok(Self {
            id,
            message_id,
            outcome,
            json: message.body.into(),
        })
    }
}

/// An id that follows from what it stands for, so that it is the same after a restart: a UUID of version 8
/// (RFC 9562 §5.8) from the SHA-256 of the parts, each preceded by its length.
#[must_use]
pub fn derived_id(parts: &[&[u8]]) -> Uuid {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&Sha256::of(&joined).as_bytes()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// One message of the inbox.
#[derive(Debug, Clone)]
pub(crate) enum Incoming {
    Document(Box<IncomingDocument>),
    Status(IncomingStatus),
    Answer(Answer),
    Notice(IncomingNotice),
}

/// The part of a message that takes deliveries back.
#[derive(Debug)]
pub(crate) struct Order<'a> {
    /// What it takes back.
    pub(crate) deliveries: &'a mut Vec<DeliveryUid>,
    /// For whom alone; empty: for all.
    pub(crate) codes: &'a [String],
    /// Whom the order is for.
    pub(crate) to: &'a mut Vec<String>,
}

/// Why a message is not handed to the adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Misread {
    /// A delivery whose bytes are not those the hub sent: nothing is stored, the hub is told.
    Damaged(DeliveryUid, Reason),
    /// Nobody could be told by `taken`: to the dead letters.
    Unreadable(String),
}

impl Misread {
    fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable(what.into())
    }
}

impl Incoming {
    /// Reads and checks a message.
    pub(crate) fn read(message: Message, now: Timestamp, state_dir: &Path) -> Result<Self, Misread> {
        let kind = message
            .properties
            .kind
            .as_deref()
            .and_then(Outgoing::from_word)
            .ok_or_else(|| Misread::unreadable("property type is none this adapter knows"))?;
        match kind {
            Outgoing::Document | Outgoing::Status => Self::read_delivery(kind, message, now, state_dir),
            Outgoing::Receipt | Outgoing::Refusal => Answer::read(kind, message).map(Self::Answer),
            Outgoing::Notice => {
                let notice = parse(&message.body)?;
                Ok(Self::Notice(IncomingNotice {
                    id: derived_id(&[b"notice", &message.body]),
                    notice,
                    json: message.body.into(),
                }))
            }
        }
    }

    fn read_delivery(
        kind: Outgoing,
        message: Message,
        now: Timestamp,
        state_dir: &Path,
    ) -> Result<Self, Misread> {
        let Message { body, properties, .. } = message;
        let delivery: DeliveryUid = id_header(&properties, header::DELIVERY)?;
        let document: DocumentUid = id_header(&properties, header::DOCUMENT)?;
        let damaged = |reason: String| {
            let code = "body-mismatch".to_owned();
            Misread::Damaged(delivery, Reason { code, reason })
        };
        let apart = apart(&properties, &body, kind).map_err(damaged)?;
        let sha256 = match apart {
            Some(named) => named.sha256,
            None => checked_digest(&properties, &body).map_err(|found| {
                damaged(format!(
                    "the body's SHA-256 is not the one in {}: {found}",
                    header::SHA256
                ))
            })?,
        };
        let from = properties.text(header::FROM).unwrap_or_default().to_owned();
        let codes = |name| properties.list(name).into_iter().map(str::to_owned).collect();
        let to = codes(header::TO);
        let withdraws = ids(&properties, header::WITHDRAWS);
        let withdraws_for = codes(header::WITHDRAWS_FOR);
        let attempt = properties
            .number(header::ATTEMPT)
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(1);
        let bytes: Arc<[u8]> = Arc::from(body);
        Ok(match kind {
            Outgoing::Status => Self::Status(IncomingStatus {
                delivery,
                document,
                from,
                to,
                code: properties
                    .text(header::STATUS)
                    .and_then(|digits| StatusCode::from_digits(digits).ok()),
                attempt,
                sha256,
                withdraws,
                withdraws_for,
                received_at: now,
                bytes,
            }),
            _ => Self::Document(Box::new(IncomingDocument {
                delivery,
                document,
                from,
                to,
                urgency: properties
                    .priority
                    .and_then(Urgency::from_number)
                    .unwrap_or_default(),
                attempt,
                sha256,
                signature: properties
                    .text(header::SIGNATURE)
                    .and_then(|json| serde_json::from_str(json).ok()),
                attachments: properties
                    .text(header::ATTACHMENTS)
                    .and_then(|json| serde_json::from_str(json).ok()),
                withdraws,
                withdraws_for,
                replaces: ids(&properties, header::REPLACES),
                received_at: now,
                bytes: match apart {
                    None => PacketBytes::Memory(bytes),
                    Some(named) => PacketBytes::File(PacketFile {
                        path: fetch::place(state_dir, &delivery.to_string()),
                        sha256,
                        size: named.size,
                    }),
                },
            })),
        })
    }

    /// What the journal knows it by.
    pub(crate) const fn id(&self) -> Uuid {
        match self {
            Self::Document(document) => document.delivery.uuid(),
            Self::Status(status) => status.delivery.uuid(),
            Self::Answer(answer) => answer.id,
            Self::Notice(notice) => notice.id,
        }
    }

    /// The file its packet is fetched into, when it travelled apart.
    pub(crate) const fn file(&self) -> Option<&PacketFile> {
        match self {
            Self::Document(document) => document.bytes.in_file(),
            Self::Status(_) | Self::Answer(_) | Self::Notice(_) => None,
        }
    }

    /// The delivery to say `taken` for.
    pub(crate) const fn delivery(&self) -> Option<DeliveryUid> {
        match self {
            Self::Document(document) => Some(document.delivery),
            Self::Status(status) => Some(status.delivery),
            Self::Answer(_) | Self::Notice(_) => None,
        }
    }

    /// What it takes back; `None` of something that never can.
    pub(crate) fn order(&mut self) -> Option<Order<'_>> {
        let (deliveries, codes, to) = match self {
            Self::Document(order) => (&mut order.withdraws, &order.withdraws_for, &mut order.to),
            Self::Status(order) => (&mut order.withdraws, &order.withdraws_for, &mut order.to),
            Self::Answer(_) | Self::Notice(_) => return None,
        };
        Some(Order {
            deliveries,
            codes,
            to,
        })
    }

    /// For whom alone it takes something back; empty: for all.
    pub(crate) fn withdraws_for(&self) -> &[String] {
        match self {
            Self::Document(order) => &order.withdraws_for,
            Self::Status(order) => &order.withdraws_for,
            Self::Answer(_) | Self::Notice(_) => &[],
        }
    }

    /// The deliveries that it takes back.
    pub(crate) fn withdraws(&self) -> &[DeliveryUid] {
        match self {
            Self::Document(order) => &order.withdraws,
            Self::Status(order) => &order.withdraws,
            Self::Answer(_) | Self::Notice(_) => &[],
        }
    }

    /// The word for logs.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Document(_) => "document",
            Self::Status(_) => "status",
            Self::Answer(_) => "answer",
            Self::Notice(_) => "notice",
        }
    }
}

/// The body that a document's message names. One that has bytes too, or names other bytes than its digest, is not what
/// the hub sent.
fn apart(properties: &Properties, body: &[u8], kind: Outgoing) -> Result<Option<BodyReference>, String> {
    let Some(text) = properties.text(header::BODY) else {
        return Ok(None);
    };
    let named: BodyReference = text
        .parse()
        .map_err(|_| format!("{} cannot be read", header::BODY))?;
    let digest = properties.text(header::SHA256).and_then(|text| text.parse().ok());
    if kind != Outgoing::Document || !body.is_empty() || digest != Some(named.sha256) {
        return Err(format!("{} does not fit the message", header::BODY));
    }
    Ok(Some(named))
}

fn checked_digest(properties: &Properties, body: &[u8]) -> Result<Sha256, String> {
    let found = Sha256::of(body);
    match properties.text(header::SHA256) {
        Some(text) if text.parse() == Ok(found) => Ok(found),
        Some(_) => Err(format!("{} bytes with SHA-256 {found}", body.len())),
        None => Err("the header is missing".to_owned()),
    }
}

/// A list of ids. What is no id is left out: an order that cannot be read must still reach the adapter as the
/// document or status that it is.
fn ids<T: std::str::FromStr>(properties: &Properties, name: &str) -> Vec<T> {
    let list = properties.list(name).into_iter().take(IDS_MAX);
    list.filter_map(|text| text.parse().ok()).collect()
}

/// Most ids read from one header.
pub(crate) const IDS_MAX: usize = Taken::MAX_DELIVERIES;

fn id_header<T: std::str::FromStr>(properties: &Properties, name: &str) -> Result<T, Misread> {
    properties
        .text(name)
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| Misread::unreadable(format!("header {name} is missing or not a UUID")))
}

/// JSON errors name a position and a kind; they do not quote the text, which may hold names.
fn parse<T: serde::de::DeserializeOwned>(json: &[u8]) -> Result<T, Misread> {
    serde_json::from_slice(json).map_err(|error| {
        Misread::unreadable(format!(
            "the JSON body cannot be read ({:?} at {}:{})",
            error.classify(),
            error.line(),
            error.column()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELIVERY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

    fn message(kind: &str, body: &[u8]) -> Message {
        Message {
            body: body.to_vec(),
            properties: Properties {
                kind: Some(kind.to_owned()),
                ..Properties::default()
            }
            .with(header::DELIVERY, DELIVERY)
            .with(header::DOCUMENT, DELIVERY)
            .with(header::FROM, "H60.1")
            .with(header::TO, vec!["H60.2".to_owned(), "H60.3".to_owned()])
            .with(header::SHA256, Sha256::of(body).to_string()),
            redelivered: false,
            exchange: String::new(),
            routing_key: String::new(),
        }
    }

    fn read(message: Message) -> Result<Incoming, Misread> {
        Incoming::read(message, Timestamp::UNIX_EPOCH, Path::new("state"))
    }

    #[test]
    fn a_document_with_its_facts() {
        let Ok(Incoming::Document(document)) = read(message("document", b"packet")) else {
            panic!("not a document");
        };
        assert_eq!(document.delivery.to_string(), DELIVERY);
        assert_eq!((document.from.as_str(), document.attempt), ("H60.1", 1));
        assert_eq!(document.to, ["H60.2", "H60.3"]);
        assert_eq!(document.bytes, b"packet".as_slice().into());
        assert!(!format!("{document:?}").contains("H60"), "ids only in logs");
    }

    #[test]
    fn the_words_for_attached_pdfs_come_with_it() {
        let words = |json: Option<&str>| {
            let mut message = message("document", b"packet");
            if let Some(json) = json {
                message.properties = message.properties.with(header::ATTACHMENTS, json);
            }
            match read(message) {
                Ok(Incoming::Document(document)) => document.attachments,
                other => panic!("{other:?}"),
            }
        };
        // A word of a later version is no reason to lose the document, nor is text that is none.
        let json = r#"{"pdf":[{"position":2,"word":"sealed","new":1}],"left_out":3}"#;
        let found = words(Some(json)).unwrap();
        assert_eq!((found.pdf[0].position, found.pdf[0].word.as_str()), (2, "sealed"));
        assert_eq!(found.left_out, 3);
        assert_eq!(words(Some("{")), None);
        assert_eq!(words(None), None);
    }

    #[test]
    fn other_bytes_than_the_header_says_are_declined() {
        let mut wrong = message("document", b"packet");
        wrong.body.push(b'!');
        let mut absent = message("status", b"packet");
        absent.properties.headers.remove(header::SHA256);
        for message in [wrong, absent] {
            match read(message) {
                Err(Misread::Damaged(delivery, reason)) => {
                    assert_eq!(delivery.to_string(), DELIVERY);
                    assert_eq!(reason.code, "body-mismatch");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn an_order_names_what_it_takes_back() {
        let mut order = message("status", b"packet");
        order.properties = order
            .properties
            .with(header::WITHDRAWS, vec![DELIVERY.to_owned(), "no id".to_owned()])
            .with(header::WITHDRAWS_FOR, vec!["H60.3".to_owned()]);
        let found = read(order.clone()).unwrap();
        assert_eq!(
            (found.withdraws().len(), found.withdraws_for()),
            (1, ["H60.3".to_owned()].as_slice())
        );
        for (sent, taken) in [(IDS_MAX, IDS_MAX), (IDS_MAX + 1, IDS_MAX)] {
            let ids = vec![DELIVERY.to_owned(); sent];
            order.properties = order.properties.with(header::WITHDRAWS, ids);
            assert_eq!(read(order.clone()).unwrap().withdraws().len(), taken);
        }
        assert!(read(message("document", b"")).unwrap().withdraws().is_empty());
    }

    #[test]
    fn what_cannot_be_named_goes_to_the_dead_letters() {
        let mut nameless = message("document", b"");
        nameless.properties.headers.remove(header::DELIVERY);
        let odd = message("greeting", b"");
        let broken = message("receipt", b"{\"receipt\":");
        for message in [nameless, odd, broken] {
            assert!(matches!(read(message), Err(Misread::Unreadable(_))));
        }
    }

    #[test]
    fn derived_ids_repeat_and_differ() {
        let id = derived_id(&[b"a", b"bc"]);
        assert_eq!(id, derived_id(&[b"a", b"bc"]));
        assert_ne!(id, derived_id(&[b"ab", b"c"]));
        assert_eq!(id.get_version_num(), 8);
    }
}
