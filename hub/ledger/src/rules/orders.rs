//! What orders need to be loaded, and what they carry when they go out.
//!
//! A recall, update or take-back speaks of a document and of the updates of it: its family. Which messages an
//! order calls back is read from the ledger when it is handed out, and so is right at every attempt.

use std::collections::BTreeSet;

use truc_model::{DeliveryUid, DocumentIdentity, DocumentUid, Operation, Sha256, StatusCode};

use crate::change::DocumentChange;
use crate::error::StoreError;
use crate::rows::{DocumentRow, OutboxPlace, OutboxRow};
use crate::rules::Command;
use crate::rules::load::{status_identities, status_numbers};
use crate::rules::recall::root;
use crate::rules::taken::open;
use crate::rules::work::Work;
use crate::store::Transaction;

/// The deliveries that whoever takes this order must not hand over any more, each with the codes concerned;
/// no codes: for all it is for.
pub(super) fn withdraws(work: &Work, order: &OutboxRow) -> Vec<(DeliveryUid, Vec<String>)> {
    let Some(document) = order.document.and_then(|uid| work.document(uid).ok()) else {
        return Vec::new();
    };
    let calls_back = match order.status {
        Some(code) => code == StatusCode::TakeBack,
        None => match document.facts.operation {
            Operation::Recall => true,
            // Of an update only the part that removes recipients, which travels apart.
            Operation::Update => order.is_order(),
            Operation::New | Operation::Replacement => false,
        },
    };
    if !calls_back {
        return Vec::new();
    }
    let mut withdraws: Vec<CalledBack> = Vec::new();
    for uid in family(work, root(document)) {
        let mut deliveries: Vec<DeliveryUid> = work
            .recipients(uid)
            .iter()
            .filter_map(|row| row.delivery)
            .collect();
        deliveries.sort_unstable();
        deliveries.dedup();
        for delivery in deliveries {
            let message = work.outbox(delivery).filter(|message| {
                message.system == order.system
                    && message.delivery != order.delivery
                    && !message.ordered_back.is_empty()
            });
            if let Some(message) = message {
                withdraws.extend(called_back(work, uid, message));
            }
        }
    }
    as_lists(withdraws)
}

/// Which codes of a message are called back, and whether that is all it still carries.
fn called_back(work: &Work, uid: DocumentUid, message: &OutboxRow) -> Option<CalledBack> {
    let left = open(work, uid, message.delivery);
    let still = |position: u32| left.iter().any(|row| row.position == position);
    let back = message.ordered_back.iter().filter(|back| still(back.position));
    let codes: Vec<String> = back.map(|back| back.code.clone()).collect();
    (!codes.is_empty()).then_some(CalledBack {
        delivery: message.delivery,
        codes,
        whole: message.recalled,
    })
}

struct CalledBack {
    delivery: DeliveryUid,
    codes: Vec<String>,
    whole: bool,
}

/// No codes when every message is called back as a whole; else each with its codes. The wire has one list of codes for
/// all deliveries of an order: one without codes beside others would be called back for nobody.
fn as_lists(back: Vec<CalledBack>) -> Vec<(DeliveryUid, Vec<String>)> {
    let all_whole = back.iter().all(|one| one.whole);
    let list = |one: CalledBack| (one.delivery, if all_whole { Vec::new() } else { one.codes });
    back.into_iter().map(list).collect()
}

/// Leaves out updates whose document is not in the inbox yet: an update never overtakes its document.
pub(super) fn in_turn(work: &Work, rows: Vec<OutboxRow>) -> Vec<OutboxRow> {
    let chosen: Vec<DeliveryUid> = rows.iter().map(|row| row.delivery).collect();
    let waits = |row: &OutboxRow| {
        let Some(document) = row.document.and_then(|uid| work.document(uid).ok()) else {
            return false;
        };
        if row.status.is_some() || row.is_order() || document.facts.operation != Operation::Update {
            return false;
        }
        let Some(amended) = document.amends else {
            return false;
        };
        let here = work.recipients.of_delivery(document.uid, row.delivery);
        let before = here.filter_map(|recipient| {
            let of = work.recipients(amended).iter();
            let first = of.into_iter().find(|of| of.party == recipient.party)?;
            work.outbox(first.delivery?)
        });
        before.into_iter().any(|before| {
            before.system == row.system
                && !before.recalled
                && !matches!(before.place, OutboxPlace::Forwarded { .. })
                && !chosen.contains(&before.delivery)
        })
    };
    rows.into_iter().filter(|row| !waits(row)).collect()
}

/// A document, and its recalls and updates.
fn family(work: &Work, document: DocumentUid) -> Vec<DocumentUid> {
    let amending = work.amending(document).into_iter().map(|row| row.uid);
    std::iter::once(document).chain(amending).collect()
}

/// Loads what statuses and orders speak of, with their families; adds them to what is wanted.
pub(super) async fn load(
    tx: &mut dyn Transaction,
    work: &mut Work,
    commands: &[Command],
    wanted: &mut BTreeSet<DocumentUid>,
    with_statuses: &mut BTreeSet<DocumentUid>,
) -> Result<(), StoreError> {
    let (mut by_status, mut by_order) = (BTreeSet::new(), BTreeSet::new());
    for command in commands {
        match command {
            Command::Status(s) => {
                let identities = status_identities(s);
                let numbers = status_numbers(s);
                let by_identity = identities.iter().flat_map(|of| work.of_identity(of));
                let by_number = numbers.iter().flat_map(|of| work.of_number(of));
                by_status.extend(by_identity.chain(by_number).map(|row| row.uid));
            }
            Command::Document(s) => {
                let senders = std::iter::once(&s.identity.sender).chain(&s.sender_formerly);
                for id in s.change.iter().flat_map(DocumentChange::document_ids) {
                    for sender in senders.clone() {
                        let identity = DocumentIdentity {
                            sender: sender.clone(),
                            document_id: id.to_owned(),
                        };
                        by_order.extend(work.of_identity(&identity).iter().map(|row| row.uid));
                    }
                }
            }
            _ => {}
        }
    }
    if !by_status.is_empty() {
        let family = families(tx, work, &by_status).await?;
        with_statuses.extend(&family);
        wanted.extend(family);
    }
    if !by_order.is_empty() {
        wanted.extend(families(tx, work, &by_order).await?);
    }
    Ok(())
}

/// Loads the families of these documents; gives all their members.
pub(super) async fn families(
    tx: &mut dyn Transaction,
    work: &mut Work,
    of: &BTreeSet<DocumentUid>,
) -> Result<BTreeSet<DocumentUid>, StoreError> {
    documents(tx, work, of).await?;
    let roots: BTreeSet<DocumentUid> = of
        .iter()
        .filter_map(|uid| work.document(*uid).ok())
        .map(root)
        .collect();
    documents(tx, work, &roots).await?;
    let keys: Vec<DocumentUid> = roots.iter().copied().collect();
    for row in tx.amending(&keys).await? {
        if !work.has_document(row.uid) {
            work.load_document(row);
        }
    }
    Ok(roots.iter().flat_map(|uid| family(work, *uid)).collect())
}

/// Loads those of these documents that are not there yet.
pub(super) async fn documents(
    tx: &mut dyn Transaction,
    work: &mut Work,
    uids: &BTreeSet<DocumentUid>,
) -> Result<(), StoreError> {
    let missing: Vec<DocumentUid> = uids
        .iter()
        .copied()
        .filter(|uid| !work.has_document(*uid))
        .collect();
    if !missing.is_empty() {
        for row in tx.documents(&missing).await? {
            work.load_document(row);
        }
    }
    Ok(())
}

/// Digests of documents that these commands may take back.
pub(super) fn may_be_forgotten(work: &Work, commands: &[Command]) -> Vec<Sha256> {
    let mut digests = Vec::new();
    for command in commands {
        let uids: Vec<DocumentUid> = match command {
            Command::Status(s) if s.code == StatusCode::TakeBack => {
                let (identities, numbers) = (status_identities(s), status_numbers(s));
                let by_identity = identities.iter().flat_map(|of| work.of_identity(of));
                let by_number = numbers.iter().flat_map(|of| work.of_number(of));
                by_identity.chain(by_number).map(root).collect()
            }
            Command::Document(s) => match &s.change {
                Some(DocumentChange::Recall { .. } | DocumentChange::Update { .. }) => {
                    let ids = s.change.iter().flat_map(DocumentChange::document_ids);
                    let senders = std::iter::once(&s.identity.sender).chain(&s.sender_formerly);
                    ids.flat_map(|id| {
                        senders.clone().map(move |sender| DocumentIdentity {
                            sender: sender.clone(),
                            document_id: id.to_owned(),
                        })
                    })
                    .flat_map(|identity| {
                        work.of_identity(&identity)
                            .into_iter()
                            .map(root)
                            .collect::<Vec<_>>()
                    })
                    .collect()
                }
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        let members = uids.into_iter().flat_map(|uid| family(work, uid));
        digests.extend(
            members
                .filter_map(|uid| work.document(uid).ok())
                .map(|row: &DocumentRow| row.sha256),
        );
    }
    digests
}

/// Loads the recipients of all documents that have the bytes of one that may be forgotten.
pub(super) async fn others_with_these_bytes(
    tx: &mut dyn Transaction,
    work: &mut Work,
) -> Result<(), StoreError> {
    let named = work.kept.values().flat_map(|kept| &kept.documents);
    let missing: BTreeSet<DocumentUid> = named
        .map(|row| row.uid)
        .filter(|uid| !work.recipients.has_all(*uid))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let keys: Vec<DocumentUid> = missing.into_iter().collect();
    let rows = tx.recipients_of(&keys).await?;
    work.recipients.load_all(&keys, rows);
    Ok(())
}
