//! Route: resolves every recipient on the directory of the day of receipt, and plans its delivery.
//!
//! Nothing here decides by a guess: a code that is nearly right is undeliverable with a notice that says
//! so; the mechanical old ↔ new rule is only a proposal for an operator.

use jiff::Timestamp;
use jiff::civil::Date;
use truc_directory::{Directory, Resolution};
use truc_envelope::{DocumentPacket, Packet, Reading, ReceiverChange, StatusPacket, Wrapping};
use truc_ledger::{
    AttachmentFacts, ConflictPolicy, DocumentChange, DocumentFacts, DocumentSubmission, Plan,
    PlannedRecipient, ReplacedDocument, SentLate, StatusSubmission, SubmissionKey,
};
use truc_model::warning::WarningLevel;
use truc_model::wire::WarningLine;
use truc_model::{DocumentIdentity, Operation, ParkCause, Party};

use super::rules::Rules;
use super::verify::Verified;

/// What record commits: a verified submission with a plan for every recipient.
#[derive(Debug, Clone)]
pub enum Routed {
    /// A document.
    Document(Box<DocumentSubmission>),
    /// A status packet.
    Status(Box<StatusSubmission>),
}

/// Plans a verified submission.
#[must_use]
pub fn route(verified: Verified, rules: &Rules) -> Routed {
    match verified.reading().packet.clone() {
        Packet::Document(document) => Routed::Document(Box::new(route_document(verified, &document, rules))),
        Packet::Status(status) => Routed::Status(Box::new(route_status(verified, &status, rules))),
    }
}

fn route_document(verified: Verified, document: &DocumentPacket, rules: &Rules) -> DocumentSubmission {
    let key = SubmissionKey {
        system: verified.system().clone(),
        message_id: verified.message_id(),
    };
    let sender = verified.sender().clone();
    let conflict_policy = match rules
        .directory
        .system(&key.system)
        .map(|system| system.policy.identity_conflict)
    {
        Some(truc_directory::ConflictPolicy::Refuse) => ConflictPolicy::Refuse,
        Some(truc_directory::ConflictPolicy::Deliver) => ConflictPolicy::Deliver,
        Some(truc_directory::ConflictPolicy::Park) | None => ConflictPolicy::Park,
    };
    let park = verified.park();
    let order = document.business.operation;
    let order = matches!(order, Operation::Recall | Operation::Update);
    let recipients = document.to.iter().map(|to| match order {
        true => ordered(&to.organ_id, rules),
        false => planned(&to.organ_id, rules),
    });
    let recipients = recipients.collect();
    DocumentSubmission {
        received_at: verified.received_at(),
        sha256: verified.sha256(),
        size: verified.reading().size,
        sender_formerly: rules.directory.formerly(&sender, rules.today),
        identity: DocumentIdentity {
            sender,
            document_id: document.document_id.clone(),
        },
        sender_code: document.from.organ_id.clone(),
        facts: DocumentFacts {
            sent_late: sent_late(document, verified.received_at(), rules),
            ..facts(document, park)
        },
        verdict: verified.verdict().clone(),
        warnings: warnings(verified.reading()),
        recipients,
        change: change(document, rules),
        conflict_policy,
        park,
        directory_version: rules.directory.version(),
        key,
        body: verified.into_body(),
    }
}

/// A code, resolved on the day of receipt.
fn planned(code: &str, rules: &Rules) -> PlannedRecipient {
    let (directory, on) = (&rules.directory, rules.today);
    planned_on(directory, code, on)
}

/// A code of the packet, resolved on a day: to whom it goes, and whom it was before.
#[must_use]
pub fn planned_on(directory: &Directory, code: &str, on: Date) -> PlannedRecipient {
    let resolution = directory.resolve(code, on);
    let party = resolution.party(code);
    PlannedRecipient {
        code: code.to_owned(),
        formerly: directory.formerly(&party, on),
        successors: successors(directory, &resolution, on),
        plan: plan(&resolution),
        party,
    }
}

/// A code an order (recall, update) is addressed to. What was sent knows no grace: an order follows it to whoever
/// took over, or to the system that had it. The agency of a closed code stays the one asked for, beside who took
/// over from it: two that were merged since are two recipients of the document all the same.
fn ordered(code: &str, rules: &Rules) -> PlannedRecipient {
    ordered_on(&rules.directory, code, rules.today)
}

/// See above; on any directory and day.
#[must_use]
pub fn ordered_on(directory: &Directory, code: &str, on: Date) -> PlannedRecipient {
    let planned = planned_on(directory, code, on);
    let closed = match directory.resolve(code, on) {
        Resolution::Known { via: Some(via), .. } => via.closed,
        Resolution::Closed { agency, .. } | Resolution::Split { agency, .. } => agency,
        _ => return planned,
    };
    let party = Party::Agency(closed);
    let Some(system) = directory.answers_to(&party, on).cloned() else {
        return planned;
    };
    let mut formerly = directory.formerly(&party, on);
    let heir = directory.answers_for(closed, on);
    if heir != closed {
        formerly.push(Party::Agency(heir));
    }
    PlannedRecipient {
        party,
        formerly,
        plan: Plan::Deliver { system },
        ..planned
    }
}

/// The codes to write instead of a closed one.
fn successors(directory: &Directory, resolution: &Resolution, on: Date) -> Vec<String> {
    match resolution {
        Resolution::Known { via: Some(via), .. } => {
            let code = via.code.as_ref();
            code.map(ToString::to_string).into_iter().collect()
        }
        Resolution::Closed { successors, .. } | Resolution::Split { successors, .. } => {
            let codes = successors.iter().filter_map(|id| directory.code_of(*id, on));
            codes.map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    }
}

/// What the packet asks about earlier documents. A recall or update that names none means the document that
/// bears its own `DocumentId`: so do the packets of systems in use.
fn change(document: &DocumentPacket, rules: &Rules) -> Option<DocumentChange> {
    let business = &document.business;
    let named = || {
        business
            .document_id
            .as_ref()
            .unwrap_or(&document.document_id)
            .clone()
    };
    let all = |codes: &[String]| codes.iter().map(|code| ordered(code, rules)).collect();
    match business.operation {
        Operation::New => None,
        Operation::Recall => Some(DocumentChange::Recall { document_id: named() }),
        Operation::Update => {
            let receivers = business.update.iter().flat_map(|update| &update.receivers);
            let (mut removed, mut added) = (Vec::new(), Vec::new());
            for receiver in receivers {
                match receiver {
                    ReceiverChange::Removed(code) => removed.push(ordered(code, rules)),
                    ReceiverChange::Added(code) => added.push(planned(code, rules)),
                }
            }
            Some(DocumentChange::Update {
                document_id: named(),
                removed,
                added,
            })
        }
        Operation::Replacement => Some(DocumentChange::Replacement {
            replaced: business
                .replacements
                .iter()
                .map(|replacement| ReplacedDocument {
                    document_id: replacement.document_id.clone(),
                    recipients: all(&replacement.organ_ids),
                })
                .collect(),
        }),
    }
}

fn plan(resolution: &Resolution) -> Plan {
    if matches!(resolution, Resolution::Split { .. }) {
        return Plan::Park(ParkCause::AmbiguousSuccessor);
    }
    match resolution.deliver_to() {
        Ok(system) => Plan::Deliver {
            system: system.clone(),
        },
        Err(cause) => Plan::Undeliverable(cause),
    }
}

/// Judged once, by the date of issue: the packet does not know the hour of signing. An order about an earlier
/// document is no document that was signed to be sent.
fn sent_late(document: &DocumentPacket, received_at: Timestamp, rules: &Rules) -> Option<SentLate> {
    let deadlines = rules.deadlines.as_ref()?;
    let issued = document.promulgation.date?;
    if !document.business.operation.brings_a_document() {
        return None;
    }
    super::limits::sent_late(deadlines, document.other.priority, issued, received_at)
}

fn facts(document: &DocumentPacket, park: Option<ParkCause>) -> DocumentFacts {
    // What bears a marking of secrecy is kept as bytes for an authorised person, and shown nowhere.
    let secret = park == Some(ParkCause::SecretMarking);
    DocumentFacts {
        number: document.code.number.clone(),
        notation: document.code.notation.clone(),
        issued_on: document.promulgation.date,
        year: document.promulgation.date.map(Date::year),
        type_name: document.document_type.name.clone().filter(|_| !secret),
        subject: Some(document.subject.clone()).filter(|_| !secret),
        operation: document.business.operation,
        urgency: document.other.priority,
        refers_to: document.business.document_id.clone(),
        attachments: document
            .attachments
            .iter()
            .map(|attachment| AttachmentFacts {
                name: if secret {
                    String::new()
                } else {
                    attachment.name.clone()
                },
                length: attachment.length,
                sha256: attachment.sha256,
                sniffed: Some(attachment.sniffed.as_str().to_owned()),
                note: match attachment.wrapper {
                    Wrapping::None => None,
                    Wrapping::Wrapped => Some("wrapped-in-zip".to_owned()),
                    Wrapping::OddZip => Some("odd-zip".to_owned()),
                },
                // Put here by the step after this one.
                signature: None,
            })
            .collect(),
        sent_late: None,
    }
}

fn route_status(verified: Verified, status: &StatusPacket, rules: &Rules) -> StatusSubmission {
    let about_code = status.response_for.organ_id.clone();
    let (directory, on) = (&rules.directory, rules.today);
    // Whoever took over, whatever the grace: a status about an old document still finds its way.
    let about = directory.party_of(&about_code, on);
    let to_system = directory.answers_to(&about, on).cloned();
    StatusSubmission {
        key: SubmissionKey {
            system: verified.system().clone(),
            message_id: verified.message_id(),
        },
        received_at: verified.received_at(),
        sha256: verified.sha256(),
        size: verified.reading().size,
        code: status.code,
        reporter: verified.sender().clone(),
        reporter_formerly: directory.filed_under(verified.sender(), verified.system(), on),
        reporter_code: status.from.organ_id.clone(),
        about_formerly: directory.formerly(&about, on),
        about,
        about_code,
        document_id: status.response_for.document_id.clone(),
        number: status.response_for.code.clone(),
        year: status.response_for.promulgation_date.map(Date::year),
        to_system,
        reason_given: status.description.is_some(),
        warnings: warnings(verified.reading()),
        // A status never travels apart: the checks refuse it.
        body: verified.into_body().here().cloned().unwrap_or_default(),
    }
}

/// What the receipt says of the reader's forgiveness: notes are for `truc envelope lint` only.
fn warnings(reading: &Reading) -> Vec<WarningLine> {
    reading
        .warnings
        .iter()
        .filter(|warning| warning.code.level() == WarningLevel::Warning)
        .take(WARNINGS_MAX)
        .map(|warning| WarningLine::new(warning.code, warning.place.clone()))
        .collect()
}

/// Most warnings in one receipt; a packet can be odd in more ways than anyone will read.
pub const WARNINGS_MAX: usize = 50;
