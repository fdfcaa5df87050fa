//! The checks of a submission, in their documented order. All findings are kept; the first by
//! precedence decides. A check that makes the next ones meaningless stops the examination.
//!
//! | order | check | refuses |
//! |---|---|---|
//! | 1 | [`message`] | unknown system, no `message_id`, wrong type |
//! | 2 | [`body`] | an empty or too large body; one apart that is not there |
//! | 3 | [`seal`] | a seal that does not hold |
//! | 4 | [`envelope`] | bytes that are no packet, not of the declared kind, or beyond a limit |
//! | 5 | [`xml_signature`] | nothing by itself: it judges the XML signature inside the packet |
//! | 6 | [`signed`] | nobody answers for the bytes, and the system's policy asks for it |
//! | 7 | [`sender`] | a `From` unknown here, or not the calling system's |
//! | 8 | [`recipients`] | more recipients than one message can name |
//! | 9 | [`path`] | a packet that already passed this hub |
//! | 10 | [`secrecy`] | nothing: it parks what bears a marking of state secrecy |
//!
//! To add one: a file here, a line in [`ORDER`] at its place, a refusal code with its page, and a packet
//! in `tests/documents/` named by the code.

pub mod body;
pub mod envelope;
pub mod message;
pub mod path;
pub mod recipients;
pub mod seal;
pub mod secrecy;
pub mod sender;
pub mod signed;
pub mod xml_signature;

use truc_model::{
    MessageId, ParkCause, Party, Refusal, RefusalCode, Sha256, SignatureState, SystemId, refusal::Place,
};

use super::Received;
use super::rules::Rules;

/// Whether the next check still has something to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// The rest would only repeat this finding.
    Stop,
}

/// What is known of a submission so far.
#[derive(Debug)]
pub struct Examination<'a> {
    /// The message.
    pub received: &'a Received,
    /// The rules in force when it came.
    pub rules: &'a Rules,
    /// Digest of the packet.
    pub sha256: Sha256,
    /// The calling system, once it is known to be registered.
    pub system: Option<SystemId>,
    /// The submission's key.
    pub message_id: Option<MessageId>,
    /// What the seal came to.
    pub seal: SignatureState,
    /// What the XML signature came to.
    pub xml: SignatureState,
    /// Why the XML signature does not hold: a finding only if nothing else answers for the bytes.
    pub xml_flaw: Option<Refusal>,
    /// The packet.
    pub reading: Option<truc_envelope::Reading>,
    /// Who sends, resolved.
    pub sender: Option<Party>,
    /// Why the document must wait for an operator.
    pub park: Option<ParkCause>,
    /// Everything found.
    pub findings: Vec<Refusal>,
    /// The packet could not be read where it lies: nothing that was found counts.
    pub unreadable: Option<std::io::Error>,
}

impl Examination<'_> {
    /// What the reader takes of a packet that lies where this one does.
    #[must_use]
    pub fn limits(&self) -> truc_envelope::Limits {
        self.rules.limits_of(&self.received.packet)
    }

    /// Notes a finding.
    pub fn refuse(
        &mut self,
        code: RefusalCode,
        place: Place,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Next {
        self.findings.push(Refusal::new(code, place, expected, found));
        Next::Continue
    }
}

/// One check.
pub type Check = fn(&mut Examination<'_>) -> Next;

/// The order.
pub const ORDER: [Check; 10] = [
    message::check,
    body::check,
    seal::check,
    envelope::check,
    xml_signature::check,
    signed::check,
    sender::check,
    recipients::check,
    path::check,
    secrecy::check,
];
