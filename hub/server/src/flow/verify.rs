//! Verify: runs the checks over a received submission. A [`Verified`] comes from here and nowhere else.

use std::sync::Arc;

use jiff::Timestamp;
use truc_bodies::LocalBody;
use truc_directory::SignaturePolicy;
use truc_envelope::Reading;
use truc_ledger::Body;
use truc_model::wire::Intake;
use truc_model::{MessageId, ParkCause, Party, Refusal, Sha256, SignatureState, SignatureVerdict, SystemId};

use super::Received;
use super::bodies::PacketAt;
use super::checks::{self, Examination, Next};
use super::rules::Rules;

/// A submission that passed every check.
#[derive(Debug)]
pub struct Verified {
    system: SystemId,
    message_id: MessageId,
    received_at: Timestamp,
    sha256: Sha256,
    body: Body,
    file: Option<Arc<LocalBody>>,
    reading: Reading,
    sender: Party,
    verdict: SignatureVerdict,
    park: Option<ParkCause>,
}

impl Verified {
    /// The calling system.
    #[must_use]
    pub const fn system(&self) -> &SystemId {
        &self.system
    }

    /// The submission's key.
    #[must_use]
    pub const fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// When it was received.
    #[must_use]
    pub const fn received_at(&self) -> Timestamp {
        self.received_at
    }

    /// Digest of the packet.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// What the packet says.
    #[must_use]
    pub const fn reading(&self) -> &Reading {
        &self.reading
    }

    /// Who sends, resolved.
    #[must_use]
    pub const fn sender(&self) -> &Party {
        &self.sender
    }

    /// Who answers for the bytes.
    #[must_use]
    pub const fn verdict(&self) -> &SignatureVerdict {
        &self.verdict
    }

    /// Why it must wait for an operator, if it must.
    #[must_use]
    pub const fn park(&self) -> Option<ParkCause> {
        self.park
    }

    /// The packet as a file, when it is apart.
    #[must_use]
    pub const fn file(&self) -> Option<&Arc<LocalBody>> {
        self.file.as_ref()
    }

    /// The packet's bytes as received, or that they are apart.
    #[must_use]
    pub fn into_body(self) -> Body {
        self.body
    }
}

/// A submission that did not pass, with everything found.
#[derive(Debug)]
pub struct Refused {
    /// The calling system, when it is a registered one.
    pub system: Option<SystemId>,
    /// The submission's key, when it had one.
    pub message_id: Option<MessageId>,
    /// When it was received.
    pub received_at: Timestamp,
    /// Digest of the body.
    pub sha256: Sha256,
    /// Bytes of the body.
    pub size: u64,
    /// The queue it came by.
    pub intake: Intake,
    /// Who sends, when it could be resolved.
    pub sender: Option<Party>,
    /// At least one, in order of precedence.
    pub findings: Vec<Refusal>,
}

/// What the checks came to, apart from the message they looked at.
#[derive(Debug)]
pub struct Examined {
    sha256: Sha256,
    system: Option<SystemId>,
    message_id: Option<MessageId>,
    seal: SignatureState,
    xml: SignatureState,
    reading: Option<Reading>,
    sender: Option<Party>,
    park: Option<ParkCause>,
    findings: Vec<Refusal>,
    unreadable: Option<std::io::Error>,
}

/// Runs the checks in their order.
#[must_use]
pub fn examine(received: &Received, rules: &Rules) -> Examined {
    let mut examination = Examination {
        received,
        rules,
        sha256: received.sha256(),
        system: None,
        message_id: None,
        seal: SignatureState::Absent,
        xml: SignatureState::Absent,
        xml_flaw: None,
        reading: None,
        sender: None,
        park: None,
        findings: Vec::new(),
        unreadable: None,
    };
    for check in checks::ORDER {
        if check(&mut examination) == Next::Stop {
            break;
        }
    }
    let Examination {
        sha256,
        system,
        message_id,
        seal,
        xml,
        reading,
        sender,
        park,
        mut findings,
        unreadable,
        ..
    } = examination;
    findings.sort_by_key(|finding| finding.code);
    Examined {
        sha256,
        system,
        message_id,
        seal,
        xml,
        reading,
        sender,
        park,
        findings,
        unreadable,
    }
}

impl Examined {
    /// Why the packet could not be read where it lies; then nothing else here says anything.
    pub fn take_unreadable(&mut self) -> Option<std::io::Error> {
        self.unreadable.take()
    }

    /// Digest of the body.
    #[must_use]
    pub const fn sha256(&self) -> Sha256 {
        self.sha256
    }

    /// Takes the message over, with its verdict.
    ///
    /// # Errors
    /// [`Refused`] with all findings, the deciding one first.
    pub fn conclude(self, received: Received, rules: &Rules) -> Result<Verified, Box<Refused>> {
        let Self {
            sha256,
            system,
            message_id,
            seal,
            xml,
            reading,
            sender,
            park,
            findings,
            unreadable: _,
        } = self;
        let size = received.size();
        match (findings.is_empty(), system, message_id, reading, sender) {
            (true, Some(system), Some(message_id), Some(reading), Some(sender)) => {
                let policy = rules
                    .directory
                    .system(&system)
                    .map(|system| system.policy.signature);
                let verdict = SignatureVerdict {
                    seal,
                    xml,
                    vouched_by_channel: policy == Some(SignaturePolicy::ChannelVouches),
                };
                let (body, file) = match received.packet {
                    PacketAt::Apart(local) => (Body::Apart { size }, Some(local)),
                    PacketAt::Message | PacketAt::Nowhere { .. } => (Body::from(received.message.body), None),
                };
                Ok(Verified {
                    system,
                    message_id,
                    received_at: received.received_at,
                    sha256,
                    body,
                    file,
                    reading,
                    sender,
                    verdict,
                    park,
                })
            }
            (_, system, message_id, _, sender) => Err(Box::new(Refused {
                system,
                message_id,
                received_at: received.received_at,
                sha256,
                size,
                intake: received.intake,
                sender,
                findings,
            })),
        }
    }
}
