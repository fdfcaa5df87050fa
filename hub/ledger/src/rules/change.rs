//! Recalls, updates and replacements: which document they speak of, what becomes of each recipient.
//!
//! First the plan: it changes nothing, so that an order that makes no sense is refused. Then, once the packet
//! that carries the order is accepted, its effects. How a document is taken back stands in
//! [`super::recall`].

use truc_model::wire::WarningLine;
use truc_model::{
    ChangeOrder, ChangeState, DocumentIdentity, DocumentUid, Ordered, ParkCause, Party, Place, Refusal,
    RefusalCode, SystemId, TransportState, WarningCode, WithdrawCause,
};

use crate::change::{DocumentChange, ReplacedDocument};
use crate::command::{ANSWER_PRIORITY, DocumentSubmission, Plan, PlannedRecipient};
use crate::error::LedgerError;
use crate::event::{Fact, OrderedRecipient};
use crate::rows::{DocumentRow, RecipientRow};
use crate::rules::document::merge;
use crate::rules::recall::{self, Order, Reach, family_reach, out_system, root};
use crate::rules::work::Work;

/// What becomes of a packet and of the documents it speaks of.
#[derive(Debug, Default)]
pub(super) struct ChangePlan {
    /// The document it recalls or updates.
    pub(super) amends: Option<DocumentUid>,
    /// The documents it takes the place of.
    pub(super) replaces: Vec<DocumentUid>,
    /// One per agency it is for.
    pub(super) addressees: Vec<Addressee>,
    /// What only the ledger can know.
    pub(super) warnings: Vec<WarningLine>,
    /// Recipients of earlier documents, and what is asked of them.
    effects: Vec<(ChangeOrder, RecipientRow)>,
}

/// One agency a packet is for.
#[derive(Debug)]
pub(super) struct Addressee {
    pub(super) recipient: PlannedRecipient,
    /// All codes that name it.
    pub(super) codes: Vec<String>,
    pub(super) course: Course,
    pub(super) pace: Pace,
}

/// What becomes of the packet for one agency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// As it was routed.
    Routed,
    /// It follows the document it speaks of into this system's inbox.
    Follow(SystemId),
    /// It waits with the document it speaks of.
    Wait(ParkCause),
    /// Nobody there needs it.
    Moot,
    /// That agency never was a recipient.
    Stranger,
}

/// When the packet goes, compared with others of its inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// By its own urgency.
    Own,
    /// Not before the document it speaks of, which has this priority.
    Behind(u8),
    /// Before everything: it calls back what lies there.
    Overtake,
}

impl Addressee {
    pub(super) fn routed((recipient, codes): (PlannedRecipient, Vec<String>)) -> Self {
        Self {
            recipient,
            codes,
            course: Course::Routed,
            pace: Pace::Own,
        }
    }
}

/// Plans a packet; a refusal when its order makes no sense.
pub(super) fn plan(work: &Work, s: &DocumentSubmission) -> Result<ChangePlan, Refusal> {
    match &s.change {
        None => Ok(ChangePlan {
            addressees: merge(&s.recipients).into_iter().map(Addressee::routed).collect(),
            ..ChangePlan::default()
        }),
        Some(DocumentChange::Recall { document_id }) => recalls(work, s, document_id),
        Some(DocumentChange::Update {
            document_id,
            removed,
            added,
        }) => updates(work, s, document_id, removed, added),
        Some(DocumentChange::Replacement { replaced }) => Ok(replaces(work, s, replaced)),
    }
}

fn recalls(work: &Work, s: &DocumentSubmission, document_id: &str) -> Result<ChangePlan, Refusal> {
    let mut addressees: Vec<Addressee> = merge(&s.recipients).into_iter().map(Addressee::routed).collect();
    let document = target(work, s, document_id, &addressees)?;
    let mut effects = Vec::new();
    let mut repeated = 0;
    for addressee in &mut addressees {
        match take_back(work, document, addressee, ChangeOrder::Recall) {
            Asked::Effect(row) => effects.push((ChangeOrder::Recall, *row)),
            Asked::Repeated => repeated += 1,
            Asked::Stranger => {}
        }
    }
    if effects.is_empty() {
        return Err(if repeated > 0 {
            nothing_left(RefusalCode::RecallRepeated, document_id)
        } else {
            Refusal::new(
                RefusalCode::RecallNobody,
                header_place("To"),
                "a recipient of the document",
                format!("{} agencies that never were one", addressees.len()),
            )
        });
    }
    Ok(ChangePlan {
        amends: Some(document),
        addressees,
        effects,
        ..ChangePlan::default()
    })
}

enum Asked {
    /// This recipient is asked; the row is as it was before.
    Effect(Box<RecipientRow>),
    Repeated,
    Stranger,
}

/// What a recall or removal does for one agency.
fn take_back(work: &Work, document: DocumentUid, addressee: &mut Addressee, order: ChangeOrder) -> Asked {
    let Some(row) = primary(work, document, addressee) else {
        addressee.course = Course::Stranger;
        return Asked::Stranger;
    };
    if is_taken_back(&row) || row.change.ordered(order) == Ordered::Repeated {
        addressee.course = Course::Moot;
        return Asked::Repeated;
    }
    match family_reach(work, &row) {
        Reach::Nowhere | Reach::Home => addressee.course = Course::Moot,
        Reach::Out => {
            addressee.pace = Pace::Overtake;
            addressee.course = out_system(work, &row).map_or(Course::Routed, Course::Follow);
        }
        Reach::Taken => follow_if_lost(addressee, &row),
    }
    Asked::Effect(Box::new(row))
}

/// Whether its sender took it back before it was handed over.
pub(super) const fn is_taken_back(row: &RecipientRow) -> bool {
    match &row.state {
        TransportState::Withdrawn { cause, .. } => {
            !matches!(cause, WithdrawCause::Replaced | WithdrawCause::OrderMoot)
        }
        _ => false,
    }
}

/// The system that serves the agency now; when none does, the one that has the document.
fn follow_if_lost(addressee: &mut Addressee, row: &RecipientRow) {
    if !matches!(addressee.recipient.plan, Plan::Deliver { .. }) {
        addressee.course = row.system.clone().map_or(Course::Routed, Course::Follow);
    }
}

fn updates(
    work: &Work,
    s: &DocumentSubmission,
    document_id: &str,
    removed: &[PlannedRecipient],
    added: &[PlannedRecipient],
) -> Result<ChangePlan, Refusal> {
    let removed: Vec<Addressee> = merge(removed).into_iter().map(Addressee::routed).collect();
    let stay: Vec<PlannedRecipient> = s.recipients.iter().chain(added).cloned().collect();
    let is_removed = |planned: &PlannedRecipient| removed.iter().any(|r| r.recipient.party == planned.party);
    let stay = merge(&stay)
        .into_iter()
        .filter(|(planned, _)| !is_removed(planned));
    let mut addressees: Vec<Addressee> = stay.map(Addressee::routed).collect();
    let staying = addressees.len();
    addressees.extend(removed);
    let document = target(work, s, document_id, &addressees)?;

    let mut effects = Vec::new();
    let (mut skipped, mut goes) = (0, 0);
    for (place, addressee) in addressees.iter_mut().enumerate() {
        if place >= staying {
            if let Asked::Effect(row) = take_back(work, document, addressee, ChangeOrder::Removal) {
                effects.push((ChangeOrder::Removal, *row));
                goes += 1;
            }
            continue;
        }
        match update(work, document, addressee) {
            Updated::Asked(row) => {
                effects.push((ChangeOrder::Update, *row));
                goes += 1;
            }
            Updated::New => goes += 1,
            Updated::Skipped => skipped += 1,
        }
    }
    if goes == 0 {
        return Err(nothing_left(RefusalCode::UpdateOfRecalled, document_id));
    }
    let warnings =
        (skipped > 0).then(|| WarningLine::new(WarningCode::UpdateAfterRecall, header_place("To")));
    Ok(ChangePlan {
        amends: Some(document),
        addressees,
        warnings: warnings.into_iter().collect(),
        effects,
        ..ChangePlan::default()
    })
}

enum Updated {
    Asked(Box<RecipientRow>),
    /// For this agency it is a new document.
    New,
    /// Its document was taken back.
    Skipped,
}

/// What an update does for one agency. It never comes before the document.
fn update(work: &Work, document: DocumentUid, addressee: &mut Addressee) -> Updated {
    let Some(row) = primary(work, document, addressee) else {
        return Updated::New;
    };
    let withdrawn = matches!(row.state, TransportState::Withdrawn { .. });
    if withdrawn || row.change.ordered(ChangeOrder::Update) == Ordered::Skipped {
        addressee.course = Course::Moot;
        return Updated::Skipped;
    }
    match &row.state {
        // It never had the document: what the update brings is new there.
        TransportState::Refused { .. } | TransportState::Undeliverable { .. } => return Updated::New,
        TransportState::Parked { cause, .. } => addressee.course = Course::Wait(*cause),
        TransportState::Taken { .. } => follow_if_lost(addressee, &row),
        TransportState::Scheduled { .. } | TransportState::Forwarded { .. } => {
            let message = row.delivery.and_then(|delivery| work.outbox(delivery));
            if let Some(message) = message {
                addressee.pace = Pace::Behind(message.priority);
                addressee.course = Course::Follow(message.system.clone());
            }
        }
        TransportState::Withdrawn { .. } => {}
    }
    Updated::Asked(Box::new(row))
}

fn replaces(work: &Work, s: &DocumentSubmission, replaced: &[ReplacedDocument]) -> ChangePlan {
    let addressees: Vec<Addressee> = merge(&s.recipients).into_iter().map(Addressee::routed).collect();
    let mut plan = ChangePlan::default();
    for one in replaced {
        let document = match target(work, s, &one.document_id, &addressees) {
            Ok(document) => document,
            Err(refusal) => {
                let code = match refusal.code {
                    RefusalCode::ChangeNotSender => WarningCode::ReplacesForeign,
                    _ => WarningCode::ReplacesUnknown,
                };
                if plan.warnings.iter().all(|warning| warning.code != code) {
                    let place = business_place("ReplacementInfoList/ReplacementInfo/DocumentId");
                    plan.warnings.push(WarningLine::new(code, place));
                }
                continue;
            }
        };
        if plan.replaces.contains(&document) {
            continue;
        }
        plan.replaces.push(document);
        let listed = |row: &RecipientRow| {
            one.recipients.is_empty() || one.recipients.iter().any(|listed| is_same(row, listed, &[]))
        };
        let rows = work.recipients(document).iter();
        let rows = rows.filter(|row| listed(row) && recall::reach(work, row) != Reach::Nowhere);
        plan.effects
            .extend(rows.map(|row| (ChangeOrder::Replacement, row.clone())));
    }
    plan.addressees = addressees;
    plan
}

/// The document that an order speaks of: of this sender, or of one it took over from. Of several those come
/// first that have a recipient whom the order concerns, then those not held, then the oldest.
fn target(
    work: &Work,
    s: &DocumentSubmission,
    document_id: &str,
    addressees: &[Addressee],
) -> Result<DocumentUid, Refusal> {
    let senders = std::iter::once(&s.identity.sender).chain(&s.sender_formerly);
    let mut candidates: Vec<&DocumentRow> = Vec::new();
    for sender in senders {
        let identity = DocumentIdentity {
            sender: sender.clone(),
            document_id: document_id.to_owned(),
        };
        for row in work.of_identity(&identity) {
            // An earlier recall or update stands for the document it speaks of.
            let brings = row.facts.operation.brings_a_document();
            let document = if brings {
                Some(row)
            } else {
                row.amends.and_then(|uid| work.document(uid).ok())
            };
            candidates.extend(document);
        }
    }
    let best = candidates.into_iter().min_by_key(|row| {
        let rows: Vec<RecipientRow> = addressees
            .iter()
            .filter_map(|addressee| primary(work, row.uid, addressee))
            .collect();
        let over = rows
            .iter()
            .all(|row| is_taken_back(row) || row.change.ordered(ChangeOrder::Recall) == Ordered::Repeated);
        (rows.is_empty(), row.held, over, row.event)
    });
    if let Some(row) = best {
        return Ok(row.uid);
    }
    let place = business_place("DocumentId");
    Err(if work.known_ids.contains(document_id) {
        Refusal::new(
            RefusalCode::ChangeNotSender,
            place,
            "a document that this agency sent",
            document_id,
        )
    } else {
        Refusal::new(
            RefusalCode::ChangeUnknownDocument,
            place,
            "a document of this sender that passed this hub",
            document_id,
        )
    })
}

/// The row of an agency in a document, or in an update that added it.
fn primary(work: &Work, document: DocumentUid, addressee: &Addressee) -> Option<RecipientRow> {
    let updates = work.amending(document).into_iter().map(|row| row.uid);
    let rows = std::iter::once(document).chain(updates);
    let rows = rows.flat_map(|uid| work.recipients(uid));
    let rows: Vec<&RecipientRow> = rows.filter(|row| !is_no_recipient(row)).collect();
    let planned = &addressee.recipient;
    // Of several that one agency took over from, the one whose code was written.
    let code = |row: &&&RecipientRow| !addressee.codes.iter().any(|code| row.codes.contains(code));
    let by_party = rows
        .iter()
        .filter(|row| names(row, &planned.party, &planned.formerly))
        .min_by_key(|row| (row.party != planned.party, code(row)));
    let by_code = || rows.iter().find(|row| is_same(row, planned, &addressee.codes));
    by_party.or_else(by_code).map(|row| (*row).clone())
}

/// A row of an order that never went there, or one that was merged into another of its document.
pub(super) const fn is_no_recipient(row: &RecipientRow) -> bool {
    match &row.state {
        TransportState::Withdrawn { cause, .. } => {
            matches!(cause, WithdrawCause::OrderMoot | WithdrawCause::Merged)
        }
        TransportState::Undeliverable { cause, .. } => {
            matches!(cause, truc_model::UndeliverableCause::NotARecipient)
        }
        _ => false,
    }
}

/// Whether a recipient is the agency asked about: the same party, one it took over from, or addressed by the
/// same code.
fn is_same(row: &RecipientRow, planned: &PlannedRecipient, codes: &[String]) -> bool {
    names(row, &planned.party, &planned.formerly)
        || row.codes.contains(&planned.code)
        || codes.iter().any(|code| row.codes.contains(code))
}

/// Whether a recipient is this party, or one that it took over from.
pub(super) fn names(row: &RecipientRow, party: &Party, formerly: &[Party]) -> bool {
    row.party == *party || formerly.contains(&row.party)
}

/// What the accepted packet does to the documents it speaks of. A packet that waits for an operator takes back
/// all the same; it updates and replaces nothing.
pub(super) fn apply(
    work: &mut Work,
    s: &DocumentSubmission,
    by: DocumentUid,
    plan: &ChangePlan,
    waits: bool,
) -> Result<(), LedgerError> {
    let mut taken_back: Vec<DocumentUid> = Vec::new();
    for kind in ChangeOrder::ALL {
        let rows: Vec<&RecipientRow> = plan
            .effects
            .iter()
            .filter(|(order, _)| *order == kind)
            .map(|(_, row)| row)
            .collect();
        if rows.is_empty() || waits && !kind.takes_back() {
            continue;
        }
        let mut documents: Vec<DocumentUid> = Vec::new();
        for row in &rows {
            if !documents.contains(&row.document) {
                documents.push(row.document);
            }
        }
        for document in documents {
            if kind.takes_back() && !taken_back.contains(&document) {
                taken_back.push(document);
            }
            let rows = rows.iter().filter(|row| row.document == document);
            let rows: Vec<RecipientRow> = rows.map(|row| (*row).clone()).collect();
            ask(work, s, by, kind, document, &rows)?;
        }
    }
    for document in taken_back {
        recall::forget(work, document, Some(by), &s.key.system)?;
    }
    Ok(())
}

/// One kind of order about one document.
fn ask(
    work: &mut Work,
    s: &DocumentSubmission,
    by: DocumentUid,
    kind: ChangeOrder,
    document: DocumentUid,
    rows: &[RecipientRow],
) -> Result<(), LedgerError> {
    let replaced_at_home = |work: &Work, row: &RecipientRow| {
        let also = work
            .recipients(by)
            .iter()
            .any(|new| new.party == row.party && matches!(new.state, TransportState::Scheduled { .. }));
        kind == ChangeOrder::Replacement && also && recall::reach(work, row) == Reach::Home
    };
    let asked: Vec<OrderedRecipient> = rows
        .iter()
        .map(|row| OrderedRecipient {
            position: row.position,
            change: if replaced_at_home(work, row) {
                row.change
            } else {
                after(work, kind, row)
            },
        })
        .collect();
    let event = work.record(Fact::ChangeOrdered {
        document,
        order: kind,
        by,
        recipients: asked.clone(),
    })?;
    for to in asked {
        work.move_recipient(document, to.position, |row| row.change = to.change);
    }
    let order = Order {
        kind,
        system: &s.key.system,
        by: Some(by),
        event,
    };
    if kind.takes_back() {
        recall::take_back(work, rows, &order)?;
    } else if kind == ChangeOrder::Replacement {
        let home = rows.iter().filter(|row| replaced_at_home(work, row));
        let home: Vec<RecipientRow> = home.cloned().collect();
        let (cause, proof) = (WithdrawCause::Replaced, truc_model::WithdrawProof::NeverLeft);
        recall::withdraw(work, &home, cause, proof, &s.key.system)?;
    }
    Ok(())
}

/// The overlay after an order: it moves only where there is a document, or may be.
fn after(work: &Work, kind: ChangeOrder, row: &RecipientRow) -> ChangeState {
    if kind.takes_back() && family_reach(work, row) < Reach::Out {
        return row.change;
    }
    match row.change.ordered(kind) {
        Ordered::Moved(to) => to,
        Ordered::Repeated | Ordered::Skipped | Ordered::Stays => row.change,
    }
}

/// The priority of a message that carries an order, given what its recipients ask for.
pub(super) fn priority(own: u8, paces: impl Iterator<Item = Pace>) -> u8 {
    paces.fold(own, |priority, pace| match pace {
        Pace::Own => priority,
        Pace::Behind(document) if priority < ANSWER_PRIORITY => priority.min(document),
        Pace::Behind(_) => priority,
        Pace::Overtake => ANSWER_PRIORITY,
    })
}

/// Which row an answer or take-back belongs to, when it names a recall or update by its own `DocumentId`.
pub(super) fn redirected(work: &Work, row: &RecipientRow) -> Option<(DocumentUid, u32)> {
    let document = work.document(row.document).ok()?;
    let amended = root(document);
    if amended == row.document {
        return None;
    }
    let of = work.recipients(amended).iter();
    of.into_iter()
        .find(|of| of.party == row.party)
        .map(|of| (amended, of.position))
}

fn nothing_left(code: RefusalCode, document_id: &str) -> Refusal {
    Refusal::new(
        code,
        Place::Message,
        "a recipient at whom the document is not recalled",
        document_id,
    )
}

fn header_place(element: &str) -> Place {
    place("MessageHeader", element)
}

fn business_place(element: &str) -> Place {
    place("TraceHeaderList/Bussiness", element)
}

fn place(parent: &str, element: &str) -> Place {
    Place::Element {
        path: format!("edXML/edXMLEnvelope/edXMLHeader/{parent}/{element}"),
        line: 0,
        column: 0,
    }
}
