//! The balance: accepted = taken + waiting + refused + withdrawn + undeliverable, per sending agency.
//!
//! It is counted three times, from three places: recipients as counted on each document when it was
//! accepted, states of the recipients now, and a replay of the events. It balances when all agree.
//!
//! Screens get figures that are quicker, and are compared with the others whenever the balance is: recipients that
//! are not taken are counted, the rest of those accepted are reckoned as taken.

use std::collections::BTreeMap;

use jiff::Timestamp;
use truc_model::Party;
use truc_model::delivery::{BalanceColumn, TransportStateName};

use crate::error::StoreError;
use crate::replay::Replay;
use crate::store::Snapshot;

/// Of which agency and period. Empty: all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BalanceFilter {
    /// Documents sent by this party.
    pub sender: Option<Party>,
    /// Accepted at or after.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}

/// One sender's line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceRow {
    /// The sender; `None` in the total, and for refusals whose sender is not known.
    pub sender: Option<Party>,
    /// Documents accepted.
    pub documents: u64,
    /// Deliveries accepted: one per document and recipient.
    pub accepted: u64,
    /// Stored by the recipient's system.
    pub taken: u64,
    /// Scheduled, forwarded or parked.
    pub waiting: u64,
    /// Declined by the recipient's adapter.
    pub refused: u64,
    /// Taken back by the sender.
    pub withdrawn: u64,
    /// Cannot reach the recipient.
    pub undeliverable: u64,
    /// Submissions of documents that were refused at the gate; never accepted, so counted apart.
    pub refused_submissions: u64,
}

impl BalanceRow {
    /// All zero.
    #[must_use]
    pub const fn of(sender: Option<Party>) -> Self {
        Self {
            sender,
            documents: 0,
            accepted: 0,
            taken: 0,
            waiting: 0,
            refused: 0,
            withdrawn: 0,
            undeliverable: 0,
            refused_submissions: 0,
        }
    }

    /// Counts deliveries that stand so.
    pub const fn count(&mut self, state: TransportStateName, n: u64) {
        match state.column() {
            BalanceColumn::Taken => self.taken += n,
            BalanceColumn::Waiting => self.waiting += n,
            BalanceColumn::Refused => self.refused += n,
            BalanceColumn::Withdrawn => self.withdrawn += n,
            BalanceColumn::Undeliverable => self.undeliverable += n,
        }
    }

    /// Whether the columns add up to what was accepted.
    #[must_use]
    pub const fn adds_up(&self) -> bool {
        self.accepted == self.taken + self.waiting + self.refused + self.withdrawn + self.undeliverable
    }

    const fn add(&mut self, other: &Self) {
        self.documents += other.documents;
        self.accepted += other.accepted;
        self.taken += other.taken;
        self.waiting += other.waiting;
        self.refused += other.refused;
        self.withdrawn += other.withdrawn;
        self.undeliverable += other.undeliverable;
        self.refused_submissions += other.refused_submissions;
    }
}

/// The balance of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Per sender, by the tables; sorted by sender, unknown ones first.
    pub rows: Vec<BalanceRow>,
    /// The same by a replay of the events.
    pub by_events: Vec<BalanceRow>,
    /// The same as screens show it.
    pub on_screens: Vec<BalanceRow>,
    /// The sum of `rows`.
    pub total: BalanceRow,
}

impl Balance {
    pub(crate) async fn checked(now: &mut dyn Snapshot, filter: &BalanceFilter) -> Result<Self, StoreError> {
        let rows = counted(now, filter).await?;
        let on_screens = figures(now, filter).await?;
        let mut by_events = Replay::of(now).await?.balance(filter);
        by_events.retain(|row| wanted(filter, row.sender.as_ref()));
        let mut total = BalanceRow::of(None);
        rows.iter().for_each(|row| total.add(row));
        Ok(Self {
            rows,
            by_events,
            on_screens,
            total,
        })
    }

    /// True only if every row adds up, and the events and what screens show say the same.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.rows.iter().all(BalanceRow::adds_up)
            && self.total.adds_up()
            && self.rows == self.by_events
            && self.rows == self.on_screens
    }
}

fn wanted(filter: &BalanceFilter, sender: Option<&Party>) -> bool {
    filter.sender.is_none() || filter.sender.as_ref() == sender
}

/// The rows as screens show them: quick, and no proof.
///
/// # Errors
/// [`StoreError`] when the tables cannot be read.
pub async fn figures(now: &mut dyn Snapshot, filter: &BalanceFilter) -> Result<Vec<BalanceRow>, StoreError> {
    let mut rows = accepted(now, filter).await?;
    for count in now.states_aside_by_sender(filter.since, filter.until).await? {
        line(&mut rows, Some(count.sender)).count(count.state, count.recipients);
    }
    for row in rows.values_mut() {
        let aside = row.waiting + row.refused + row.withdrawn + row.undeliverable;
        row.taken = row.accepted.saturating_sub(aside);
    }
    Ok(wanted_rows(rows, filter))
}

/// The rows by the tables, each recipient counted in its state.
async fn counted(now: &mut dyn Snapshot, filter: &BalanceFilter) -> Result<Vec<BalanceRow>, StoreError> {
    let mut rows = accepted(now, filter).await?;
    for count in now.states_by_sender(filter.since, filter.until).await? {
        line(&mut rows, Some(count.sender)).count(count.state, count.recipients);
    }
    Ok(wanted_rows(rows, filter))
}

type Rows = BTreeMap<Option<Party>, BalanceRow>;

/// What was accepted and what was refused at the gate.
async fn accepted(now: &mut dyn Snapshot, filter: &BalanceFilter) -> Result<Rows, StoreError> {
    let mut rows = Rows::new();
    for count in now.accepted_by_sender(filter.since, filter.until).await? {
        let row = line(&mut rows, Some(count.sender));
        row.documents += count.documents;
        row.accepted += count.recipients;
    }
    for count in now.refused_by_sender(filter.since, filter.until).await? {
        line(&mut rows, count.sender).refused_submissions += count.refused;
    }
    Ok(rows)
}

fn wanted_rows(rows: Rows, filter: &BalanceFilter) -> Vec<BalanceRow> {
    rows.into_values()
        .filter(|row| wanted(filter, row.sender.as_ref()))
        .collect()
}

/// The line of a sender, made when it is not there.
pub(crate) fn line(rows: &mut Rows, sender: Option<Party>) -> &mut BalanceRow {
    rows.entry(sender.clone())
        .or_insert_with(|| BalanceRow::of(sender))
}
