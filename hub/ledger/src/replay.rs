//! A replay: the states of all deliveries as the events alone tell them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use truc_model::delivery::TransportStateName;
use truc_model::wire::{Intake, Outgoing};
use truc_model::{BusinessState, ChangeState, DocumentUid, Party, StatusCode};

use crate::balance::{BalanceFilter, BalanceRow, line};
use crate::error::StoreError;
use crate::event::{Event, Fact};
use crate::query::PAGE_MAX;
use crate::store::Snapshot;

/// One recipient as the events tell it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) state: TransportStateName,
    pub(crate) business: BusinessState,
    pub(crate) change: ChangeState,
    pub(crate) revision: u32,
    /// The event that took it back.
    pub(crate) recalled: Option<u64>,
}

/// One document as the events tell it.
#[derive(Debug)]
pub(crate) struct ToldDocument {
    pub(crate) sender: Party,
    pub(crate) accepted_at: Timestamp,
    pub(crate) recipients: Vec<Told>,
}

#[derive(Debug, Default)]
pub(crate) struct Replay {
    pub(crate) documents: HashMap<DocumentUid, ToldDocument>,
    refused: Vec<(Option<Party>, Timestamp)>,
}

impl Replay {
    /// Replays everything.
    pub(crate) async fn of(now: &mut dyn Snapshot) -> Result<Self, StoreError> {
        let mut replay = Self::default();
        let mut from = 1;
        loop {
            let page = now.events(from, PAGE_MAX).await?;
            let Some(last) = page.last() else {
                return Ok(replay);
            };
            from = last.seq + 1;
            for row in &page {
                let event = row
                    .event()
                    .map_err(|error| StoreError::Damaged(format!("event {}: {error}", row.seq)))?;
                // What cannot follow is for `verify` to report; the balance then differs, as it should.
                let _ = replay.apply(&event);
            }
        }
    }

    /// One event more.
    pub(crate) fn apply(&mut self, event: &Event) -> Result<(), &'static str> {
        match &event.fact {
            Fact::DocumentAccepted {
                document,
                sender,
                recipients,
                ..
            } => {
                let told = ToldDocument {
                    sender: sender.clone(),
                    accepted_at: event.at,
                    recipients: recipients
                        .iter()
                        .map(|recipient| Told {
                            state: recipient.state,
                            business: BusinessState::default(),
                            change: ChangeState::default(),
                            revision: 0,
                            recalled: None,
                        })
                        .collect(),
                };
                let in_order = (0..).zip(recipients).all(|(place, r)| r.position == place);
                match self.documents.insert(*document, told) {
                    None if in_order => Ok(()),
                    None => Err("positions of recipients out of order"),
                    Some(_) => Err("a document accepted twice"),
                }
            }
            Fact::SubmissionRefused { intake, sender, .. } => {
                if *intake == Intake::Document {
                    self.refused.push((sender.clone(), event.at));
                }
                Ok(())
            }
            Fact::DeliveryForwarded {
                document, recipients, ..
            } => self.go(*document, recipients, TransportStateName::Forwarded),
            Fact::DeliveryTaken {
                document,
                recipients,
                carries: Outgoing::Document,
                ..
            } => self.go(*document, recipients, TransportStateName::Taken),
            Fact::DeliveryRefused {
                document,
                recipients,
                carries: Outgoing::Document,
                ..
            } => self.go(*document, recipients, TransportStateName::Refused),
            Fact::DeliveryResent {
                document, recipients, ..
            } => self.go(*document, recipients, TransportStateName::Scheduled),
            Fact::DeliveryParked {
                document, recipients, ..
            } => {
                let from = [TransportStateName::Scheduled];
                self.set(*document, recipients, &from, TransportStateName::Parked)
            }
            Fact::DeliveryReleased {
                document, recipients, ..
            } => {
                let positions: Vec<u32> = recipients.iter().map(|sent| sent.position).collect();
                let from = [TransportStateName::Parked];
                self.set(*document, &positions, &from, TransportStateName::Scheduled)
            }
            Fact::DeliveryRerouted {
                document, recipients, ..
            } => {
                let positions: Vec<u32> = recipients.iter().map(|sent| sent.position).collect();
                let from = [TransportStateName::Scheduled];
                self.set(*document, &positions, &from, TransportStateName::Scheduled)
            }
            Fact::DeliveryClosed {
                document, recipients, ..
            } => {
                let from = [
                    TransportStateName::Scheduled,
                    TransportStateName::Forwarded,
                    TransportStateName::Parked,
                ];
                self.set(*document, recipients, &from, TransportStateName::Undeliverable)
            }
            Fact::StatusRecorded {
                document,
                recipient,
                code,
                business,
                change,
                revision,
                ..
            } => {
                let told = self.told(*document, *recipient)?;
                told.business = *business;
                told.change = *change;
                told.revision = *revision;
                if *code == StatusCode::TakeBack {
                    told.recalled.get_or_insert(event.seq);
                }
                Ok(())
            }
            Fact::ChangeOrdered {
                document,
                order,
                recipients,
                ..
            } => {
                for ordered in recipients {
                    let told = self.told(*document, ordered.position)?;
                    if told.change.is_end() && told.change != ordered.change {
                        return Err("an overlay that moves out of its end");
                    }
                    told.change = ordered.change;
                    if order.takes_back() {
                        told.recalled.get_or_insert(event.seq);
                    }
                }
                Ok(())
            }
            Fact::DeliveryWithdrawn {
                document, recipients, ..
            } => {
                for position in recipients {
                    let told = self.told(*document, *position)?;
                    match told.state {
                        TransportStateName::Scheduled
                        | TransportStateName::Forwarded
                        | TransportStateName::Parked => told.state = TransportStateName::Withdrawn,
                        _ => return Err("a withdrawal of a delivery that ended"),
                    }
                }
                Ok(())
            }
            Fact::DocumentParked {
                document, recipients, ..
            } => {
                for position in recipients {
                    if self.told(*document, *position)?.state != TransportStateName::Parked {
                        return Err("a park of a recipient that is not parked");
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn told(&mut self, document: DocumentUid, position: u32) -> Result<&mut Told, &'static str> {
        let told = self.documents.get_mut(&document).ok_or("an unknown document")?;
        let place = usize::try_from(position).map_err(|_| "an unknown recipient")?;
        told.recipients.get_mut(place).ok_or("an unknown recipient")
    }

    /// Only open deliveries move.
    fn go(
        &mut self,
        document: DocumentUid,
        positions: &[u32],
        to: TransportStateName,
    ) -> Result<(), &'static str> {
        for position in positions {
            let told = self.told(document, *position)?;
            match told.state {
                TransportStateName::Scheduled | TransportStateName::Forwarded => told.state = to,
                _ => return Err("a delivery that moves out of a final or parked state"),
            }
        }
        Ok(())
    }

    /// Moves recipients that stand as they must.
    fn set(
        &mut self,
        document: DocumentUid,
        positions: &[u32],
        from: &[TransportStateName],
        to: TransportStateName,
    ) -> Result<(), &'static str> {
        for position in positions {
            let told = self.told(document, *position)?;
            if !from.contains(&told.state) {
                return Err("an operator's order about a delivery that does not stand so");
            }
            told.state = to;
        }
        Ok(())
    }

    /// The rows of the balance as the events tell them, of all senders in the period.
    pub(crate) fn balance(&self, filter: &BalanceFilter) -> Vec<BalanceRow> {
        let within = |at: Timestamp| {
            filter.since.is_none_or(|since| since <= at) && filter.until.is_none_or(|until| at < until)
        };
        let mut rows = BTreeMap::new();
        for told in self.documents.values().filter(|told| within(told.accepted_at)) {
            let row = line(&mut rows, Some(told.sender.clone()));
            row.documents += 1;
            for recipient in &told.recipients {
                row.accepted += 1;
                row.count(recipient.state, 1);
            }
        }
        for (sender, _) in self.refused.iter().filter(|(_, at)| within(*at)) {
            line(&mut rows, sender.clone()).refused_submissions += 1;
        }
        rows.into_values().collect()
    }
}
