//! Fetches, in a few wide reads, every row that a batch of commands can touch.

use std::collections::BTreeSet;

use truc_model::wire::Outgoing;
use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Operation, Party, Sha256, StatusCode};

use crate::change::DocumentChange;
use crate::command::{DocumentSubmission, Note, StatusSubmission, SubmissionKey};
use crate::error::StoreError;
use crate::event::{EventKind, Fact};
use crate::limit::LimitKey;
use crate::reorganise::MOVED_MAX;
use crate::rows::{DocumentRow, OutboxRow};
use crate::rules::orders;
use crate::rules::work::Work;
use crate::rules::{Command, INBOX_LOST_MAX, NOT_TAKEN_MAX, before};
use crate::store::{DeliveryOwner, NumberKey, RefusalLike, Seen, Sought, Transaction};

/// What to fetch, without doubles and in a fixed order.
#[derive(Default)]
struct Wanted {
    keys: BTreeSet<SubmissionKey>,
    refusals: BTreeSet<RefusalLike>,
    identities: BTreeSet<DocumentIdentity>,
    digests: BTreeSet<(DocumentIdentity, Sha256)>,
    numbers: BTreeSet<NumberKey>,
    deliveries: BTreeSet<DeliveryUid>,
    /// Documents of which all recipients are needed.
    documents: BTreeSet<DocumentUid>,
    /// Documents of which it is enough to know the recipients of these messages, see [`needs_all`].
    touched: BTreeSet<DocumentUid>,
    /// Messages whose recipients are needed.
    of_deliveries: BTreeSet<DeliveryUid>,
    /// Documents whose statuses are needed.
    with_statuses: BTreeSet<DocumentUid>,
    /// Deliveries whose owner is needed although they may be done.
    owners: BTreeSet<DeliveryUid>,
    /// Of these, those that are declined: whoever sent them is told.
    declined: BTreeSet<DeliveryUid>,
    /// `DocumentId`s of which it matters whether anybody used them.
    ids: BTreeSet<String>,
    /// Bodies that may go.
    kept: BTreeSet<Sha256>,
    /// Time limits that commands name.
    limits: BTreeSet<LimitKey>,
    directory: bool,
    trust: bool,
}

pub(super) async fn load(
    tx: &mut dyn Transaction,
    work: &mut Work,
    commands: &[Command],
) -> Result<(), StoreError> {
    let mut wanted = Wanted::default();
    for command in commands {
        wanted.note(command);
        if let Command::NotTaken(older_than) = command {
            for row in tx.not_taken(before(work.now, *older_than), NOT_TAKEN_MAX).await? {
                // All, for the tally.
                wanted.documents.extend(row.document);
                work.late.push(row.delivery);
                work.load_outbox(row);
            }
        }
    }
    for command in commands {
        if let Command::InboxLost(system) = command {
            for row in tx.forwarded_to(system, INBOX_LOST_MAX).await? {
                wanted.message(&row);
                work.astray.push(row.delivery);
                work.load_outbox(row);
            }
        }
    }
    if !wanted.ids.is_empty() {
        work.known_ids.extend(tx.known_ids(&list(&wanted.ids)).await?);
    }
    waiting_for(tx, work, commands, &mut wanted).await?;
    let seen = match wanted.sought() {
        Some(sought) => tx.seen(&sought).await?,
        None => Seen::PERHAPS,
    };
    submissions(tx, work, &wanted, seen).await?;
    limits(tx, work, &wanted).await?;
    deliveries(tx, work, &mut wanted).await?;
    documents(tx, work, &wanted, seen).await?;
    recipients(tx, work, commands, &mut wanted).await?;
    wanted.kept.extend(orders::may_be_forgotten(work, commands));
    for command in commands {
        if let Command::Operator(order) = command {
            wanted
                .kept
                .extend(work.document(order.document).ok().map(|row| row.sha256));
        }
    }
    if !wanted.kept.is_empty() {
        for kept in tx.kept_bodies_of(&list(&wanted.kept)).await? {
            work.load_kept(kept);
        }
        orders::others_with_these_bytes(tx, work).await?;
    }
    if wanted.trust {
        work.trust = told_trust(tx).await?;
    }
    if wanted.directory {
        work.directory_version = tx.latest_directory().await?.map_or(0, |row| row.version);
    }
    Ok(())
}

impl Wanted {
    fn note(&mut self, command: &Command) {
        match command {
            Command::Document(s) => {
                self.submission(&s.key, s.sha256);
                self.identities.insert(s.identity.clone());
                self.change(s);
                self.digests.insert((s.identity.clone(), s.sha256));
                let number = crate::rows::number_key(s.facts.number.as_deref(), s.facts.notation.as_deref());
                self.numbers.extend(number.map(|number| NumberKey {
                    sender: s.identity.sender.clone(),
                    number,
                }));
            }
            Command::Status(s) => {
                self.submission(&s.key, s.sha256);
                self.identities.extend(status_identities(s));
                self.numbers.extend(status_numbers(s));
            }
            Command::Refused(s) => {
                if let (Some(system), Some(message_id)) = (&s.system, s.message_id) {
                    self.keys.insert(SubmissionKey {
                        system: system.clone(),
                        message_id,
                    });
                }
                self.refusals.insert(RefusalLike {
                    system: s.system.clone(),
                    message_id: s.message_id,
                    sha256: s.sha256,
                });
            }
            Command::Forwarded(confirms) => self.deliveries.extend(confirms.iter().map(|f| f.delivery)),
            Command::PublishFailed(failed) => {
                self.deliveries.insert(failed.delivery);
            }
            Command::CleaningBegun(order) | Command::Cleaned(order) => {
                self.deliveries.extend(&order.deliveries);
            }
            Command::Taken(report) => {
                self.owners.extend(&report.taken.taken);
                let declined = report.taken.refused.iter().map(|declined| declined.delivery);
                self.owners.extend(declined.clone());
                self.declined.extend(declined);
                self.owners
                    .extend(report.taken.withdrawn.iter().map(|w| w.delivery));
            }
            Command::Resend(order) => {
                self.documents.insert(order.document);
            }
            Command::Operator(order) => {
                self.documents.insert(order.document);
            }
            Command::DeleteBodies(order) => self.kept.extend(&order.digests),
            Command::LimitsTold(told) => {
                self.limits.extend(told.iter().map(|told| told.key));
                // Whom it concerns.
                self.documents.extend(told.iter().map(|told| told.key.document));
            }
            Command::LimitsSettled(keys) => self.limits.extend(keys),
            Command::Directory(_) => self.directory = true,
            Command::Reorganise(_) => self.directory = true,
            Command::Note(Note::TrustInForce { .. }) => self.trust = true,
            Command::NotTaken(_)
            | Command::InboxLost(_)
            | Command::BodiesLeft(_)
            | Command::Claim(_)
            | Command::ReleaseLeases(_)
            | Command::Alert(_)
            | Command::Note(_) => {}
        }
    }

    /// What a message on its way concerns. Statuses and answers have no recipients of their own.
    fn message(&mut self, row: &OutboxRow) {
        if row.outgoing.awaits_taken() {
            self.touched.extend(row.document);
        }
        if row.outgoing == Outgoing::Document {
            self.of_deliveries.insert(row.delivery);
        }
    }

    /// `None`: it would be one trip for one.
    fn sought(&self) -> Option<Sought> {
        let lists = [
            self.keys.is_empty(),
            self.refusals.is_empty(),
            self.identities.is_empty(),
            self.digests.is_empty(),
            self.numbers.is_empty(),
        ];
        let asked = lists.iter().filter(|is_empty| !**is_empty).count();
        (asked > 1).then(|| Sought {
            submissions: list(&self.keys),
            refusals: list(&self.refusals),
            identities: list(&self.identities),
            digests: list(&self.digests),
            numbers: list(&self.numbers),
        })
    }

    /// What a recall, update or replacement speaks of.
    fn change(&mut self, s: &DocumentSubmission) {
        let senders = std::iter::once(&s.identity.sender).chain(&s.sender_formerly);
        for id in s.change.iter().flat_map(DocumentChange::document_ids) {
            self.ids.insert(id.to_owned());
            let of = senders.clone().map(|sender| DocumentIdentity {
                sender: sender.clone(),
                document_id: id.to_owned(),
            });
            self.identities.extend(of);
        }
    }

    fn submission(&mut self, key: &SubmissionKey, sha256: Sha256) {
        self.keys.insert(key.clone());
        self.refusals.insert(RefusalLike {
            system: Some(key.system.clone()),
            message_id: Some(key.message_id),
            sha256,
        });
    }
}

/// Whoever waits here for a party that changed hands.
async fn waiting_for(
    tx: &mut dyn Transaction,
    work: &mut Work,
    commands: &[Command],
    wanted: &mut Wanted,
) -> Result<(), StoreError> {
    let mut parties = BTreeSet::new();
    for command in commands {
        if let Command::Reorganise(order) = command {
            parties.extend(order.moves.iter().map(|moving| moving.party.clone()));
        }
    }
    if !parties.is_empty() {
        // One more than may be moved: then the order is refused.
        work.waiting_for = tx.waiting_for(&list(&parties), MOVED_MAX + 1).await?;
        wanted
            .documents
            .extend(work.waiting_for.iter().map(|(document, _)| *document));
    }
    Ok(())
}

/// What the last event about trust says.
async fn told_trust(tx: &mut dyn Transaction) -> Result<Option<(u64, Sha256)>, StoreError> {
    let Some(row) = tx.latest_of_hub(EventKind::TrustChanged).await? else {
        return Ok(None);
    };
    match row.event().map(|event| event.fact) {
        Ok(Fact::TrustChanged { sha256, .. }) => Ok(Some((row.seq, sha256))),
        _ => Err(StoreError::Damaged(format!("event {} cannot be read", row.seq))),
    }
}

/// The document's sender, as a status implies it.
pub(super) const fn status_sender(s: &StatusSubmission) -> &Party {
    if s.code.is_from_sender() {
        &s.reporter
    } else {
        &s.about
    }
}

/// The sender, and those it took over from.
fn status_senders(s: &StatusSubmission) -> impl Iterator<Item = &Party> {
    let formerly = if s.code.is_from_sender() {
        &s.reporter_formerly
    } else {
        &s.about_formerly
    };
    std::iter::once(status_sender(s)).chain(formerly)
}

/// By which identities a status names its document.
pub(super) fn status_identities(s: &StatusSubmission) -> Vec<DocumentIdentity> {
    let of = |document_id: &String| {
        let document_id = document_id.clone();
        status_senders(s).map(move |sender| DocumentIdentity {
            sender: sender.clone(),
            document_id: document_id.clone(),
        })
    };
    s.document_id.iter().flat_map(of).collect()
}

/// By which numbers a status names its document.
pub(super) fn status_numbers(s: &StatusSubmission) -> Vec<NumberKey> {
    let of = |number: String| {
        status_senders(s).map(move |sender| NumberKey {
            sender: sender.clone(),
            number: number.clone(),
        })
    };
    let number = crate::rows::number_key(s.number.as_deref(), None);
    number.into_iter().flat_map(of).collect()
}

async fn limits(tx: &mut dyn Transaction, work: &mut Work, wanted: &Wanted) -> Result<(), StoreError> {
    if !wanted.limits.is_empty() {
        for row in tx.limits(&list(&wanted.limits)).await? {
            work.limits.load(row);
        }
    }
    Ok(())
}

async fn submissions(
    tx: &mut dyn Transaction,
    work: &mut Work,
    wanted: &Wanted,
    seen: Seen,
) -> Result<(), StoreError> {
    if seen.submissions && !wanted.keys.is_empty() {
        for row in tx.submissions(&list(&wanted.keys)).await? {
            work.submissions.insert(row.key.clone(), row);
        }
    }
    if seen.refusals && !wanted.refusals.is_empty() {
        for row in tx.refusals(&list(&wanted.refusals)).await? {
            work.refusals.insert(row.key, row.answer);
        }
    }
    Ok(())
}

/// Outgoing messages, their owners, and the documents both speak of.
async fn deliveries(
    tx: &mut dyn Transaction,
    work: &mut Work,
    wanted: &mut Wanted,
) -> Result<(), StoreError> {
    if !wanted.owners.is_empty() {
        // Nearly all of them carry documents: then the recipients say whose they are.
        for row in tx.recipients_by_delivery(&list(&wanted.owners)).await? {
            if let (Some(delivery), Some(system)) = (row.delivery, &row.system) {
                let owner = DeliveryOwner {
                    delivery,
                    system: system.clone(),
                    document: row.document,
                    is_status: false,
                };
                work.owners.insert(delivery, owner);
            }
            work.recipients.load(row);
        }
        let others = wanted.owners.iter().filter(|uid| !work.owners.contains_key(uid));
        let others: Vec<DeliveryUid> = others.copied().collect();
        if !others.is_empty() {
            for owner in tx.delivery_owners(&others).await? {
                work.owners.insert(owner.delivery, owner);
            }
        }
        for owner in work.owners.values() {
            wanted.touched.insert(owner.document);
            if owner.is_status && wanted.declined.contains(&owner.delivery) {
                wanted.with_statuses.insert(owner.document);
            }
            wanted.deliveries.insert(owner.delivery);
        }
    }
    if !wanted.deliveries.is_empty() {
        for row in tx.outbox(&list(&wanted.deliveries)).await? {
            wanted.message(&row);
            work.load_outbox(row);
        }
    }
    Ok(())
}

async fn documents(
    tx: &mut dyn Transaction,
    work: &mut Work,
    wanted: &Wanted,
    seen: Seen,
) -> Result<(), StoreError> {
    let mut firsts: BTreeSet<SubmissionKey> = BTreeSet::new();
    if seen.identities && !wanted.identities.is_empty() {
        for row in tx.documents_by_identity(&list(&wanted.identities)).await? {
            work.load_document(row);
        }
    }
    if seen.digests && !wanted.digests.is_empty() {
        for row in tx.documents_by_digest(&list(&wanted.digests)).await? {
            firsts.insert(row.key.clone());
            work.load_document(row);
        }
    }
    if seen.numbers && !wanted.numbers.is_empty() {
        for row in tx.documents_by_number(&list(&wanted.numbers)).await? {
            work.load_document(row);
        }
    }
    // The receipt of a repeat by identity stands under the key of the first submission.
    let firsts: Vec<SubmissionKey> = firsts.difference(&wanted.keys).cloned().collect();
    if !firsts.is_empty() {
        for row in tx.submissions(&firsts).await? {
            work.submissions.insert(row.key.clone(), row);
        }
    }
    Ok(())
}

async fn recipients(
    tx: &mut dyn Transaction,
    work: &mut Work,
    commands: &[Command],
    wanted: &mut Wanted,
) -> Result<(), StoreError> {
    orders::load(
        tx,
        work,
        commands,
        &mut wanted.documents,
        &mut wanted.with_statuses,
    )
    .await?;
    if !wanted.touched.is_empty() {
        orders::documents(tx, work, &wanted.touched).await?;
        let touched = wanted.touched.iter();
        let documents = touched.filter(|uid| work.document(**uid).map_or(true, needs_all));
        wanted.documents.extend(documents);
        some_recipients(tx, work, wanted).await?;
    }
    if !wanted.with_statuses.is_empty() {
        for row in tx.statuses_of(&list(&wanted.with_statuses)).await? {
            work.statuses.entry(row.document).or_default().push(row);
        }
    }
    if wanted.documents.is_empty() {
        return Ok(());
    }
    orders::documents(tx, work, &wanted.documents).await?;
    // Whether an update is a new document to a recipient follows from who had the one it updates.
    let documents = wanted.documents.iter();
    let updated: BTreeSet<DocumentUid> = documents
        .filter_map(|uid| work.document(*uid).ok())
        .filter(|row| row.facts.operation == Operation::Update)
        .filter_map(|row| row.amends)
        .collect();
    if !updated.is_empty() {
        orders::documents(tx, work, &updated).await?;
        wanted.documents.extend(updated);
    }
    let documents = list(&wanted.documents);
    all_recipients(tx, work, &documents).await
}

/// Whether more must be known of a document than the recipients of the messages at hand. One that is held ceases to be
/// when its last recipient that waits is withdrawn; what an update or a recall is to a recipient follows from the
/// document it speaks of.
fn needs_all(row: &DocumentRow) -> bool {
    row.held || row.amends.is_some()
}

/// The recipients of messages, of documents of which not all are needed.
async fn some_recipients(
    tx: &mut dyn Transaction,
    work: &mut Work,
    wanted: &Wanted,
) -> Result<(), StoreError> {
    let missing = wanted.of_deliveries.iter().filter(|delivery| {
        let document = work.outbox(**delivery).and_then(|row| row.document);
        document.is_some_and(|document| {
            let known = work.recipients.of_delivery(document, **delivery).next();
            !wanted.documents.contains(&document) && known.is_none()
        })
    });
    let missing: Vec<DeliveryUid> = missing.copied().collect();
    if !missing.is_empty() {
        for row in tx.recipients_by_delivery(&missing).await? {
            work.recipients.load(row);
        }
    }
    Ok(())
}

/// All recipients of these documents, and the messages that are on their way to them.
async fn all_recipients(
    tx: &mut dyn Transaction,
    work: &mut Work,
    documents: &[DocumentUid],
) -> Result<(), StoreError> {
    let rows = tx.recipients_of(documents).await?;
    let open = rows.iter().filter(|row| !row.state.is_final());
    let mut deliveries: BTreeSet<DeliveryUid> = open.filter_map(|row| row.delivery).collect();
    work.recipients.load_all(documents, rows);
    deliveries.retain(|delivery| work.outbox(*delivery).is_none());
    if !deliveries.is_empty() {
        for row in tx.outbox(&list(&deliveries)).await? {
            work.load_outbox(row);
        }
    }
    Ok(())
}

fn list<T: Clone>(set: &BTreeSet<T>) -> Vec<T> {
    set.iter().cloned().collect()
}

/// What handing out these messages needs: their documents, and for orders what they call back.
pub(super) async fn claimed(
    tx: &mut dyn Transaction,
    work: &mut Work,
    rows: &[OutboxRow],
) -> Result<(), StoreError> {
    let of = rows.iter().filter(|row| row.outgoing.awaits_taken());
    let of = of.filter(|row| row.outgoing == Outgoing::Document || row.status == Some(StatusCode::TakeBack));
    let uids: BTreeSet<DocumentUid> = of.filter_map(|row| row.document).collect();
    orders::documents(tx, work, &uids).await?;
    let is_order = |row: &&OutboxRow| {
        let document = row.document.and_then(|uid| work.document(uid).ok());
        row.status == Some(StatusCode::TakeBack) || document.is_some_and(|row| row.amends.is_some())
    };
    let orders: BTreeSet<DocumentUid> = rows
        .iter()
        .filter(is_order)
        .filter_map(|row| row.document)
        .collect();
    if orders.is_empty() {
        return Ok(());
    }
    let family = orders::families(tx, work, &orders).await?;
    let missing: Vec<DocumentUid> = family
        .into_iter()
        .filter(|uid| !work.recipients.has_all(*uid))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    all_recipients(tx, work, &missing).await
}
