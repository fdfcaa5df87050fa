//! What can go out, of all messages that are not done: by inbox, in the order in which they go.
//!
//! It has keys alone; the rows are looked up when one is chosen. A back end's statements find the same in the tables
//! (`contract/next.rs` compares them).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use truc_model::{DeliveryUid, SystemId};

use crate::rows::{OutboxPlace, OutboxRow};
use crate::store::Choice;

/// Urgency, event and line: see [`OutboxRow::order`].
type Order = (Reverse<u8>, u64, u32);

/// See the top of this file.
#[derive(Debug, Default)]
pub(super) struct Board {
    lanes: BTreeMap<SystemId, Lane>,
    /// Answers that wait, by event and line.
    answers: BTreeSet<(u64, u32, DeliveryUid)>,
    /// Orders that overtake and wait, by event and line.
    orders: BTreeSet<(u64, u32, DeliveryUid)>,
    /// Everything that a hub has in hand, by the end of its lease.
    leased: BTreeSet<(Timestamp, DeliveryUid)>,
}

/// Documents and statuses of one inbox.
#[derive(Debug, Default)]
struct Lane {
    /// Those that wait.
    waiting: BTreeSet<(Order, DeliveryUid)>,
    /// How many lie in it.
    forwarded: u64,
    /// Those that a hub has in hand, by the end of its lease.
    leased: BTreeSet<(Timestamp, DeliveryUid)>,
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.forwarded == 0 && self.leased.is_empty()
    }

    /// How many take room in it at `now`.
    fn inside(&self, now: Timestamp) -> u64 {
        let expired = self.leased.iter().take_while(|(until, _)| *until <= now).count();
        self.forwarded + (self.leased.len() - expired) as u64
    }
}

impl<'r> FromIterator<&'r OutboxRow> for Board {
    fn from_iter<I: IntoIterator<Item = &'r OutboxRow>>(rows: I) -> Self {
        let mut board = Self::default();
        for row in rows {
            board.put(row);
        }
        board
    }
}

impl Board {
    /// A message came, or stands here now.
    pub(super) fn put(&mut self, row: &OutboxRow) {
        let place = (row.event, row.line, row.delivery);
        match &row.place {
            OutboxPlace::Waiting { .. } if row.recalled => {}
            OutboxPlace::Waiting { .. } if !row.outgoing.awaits_taken() => {
                self.answers.insert(place);
            }
            OutboxPlace::Waiting { .. } => {
                if row.is_order() {
                    self.orders.insert(place);
                }
                self.lane(row).waiting.insert((row.order(), row.delivery));
            }
            OutboxPlace::Leased { until, .. } => {
                self.leased.insert((*until, row.delivery));
                if row.outgoing.awaits_taken() {
                    self.lane(row).leased.insert((*until, row.delivery));
                }
            }
            OutboxPlace::Forwarded { .. } => {
                if row.outgoing.awaits_taken() {
                    self.lane(row).forwarded += 1;
                }
            }
        }
    }

    /// A message is done, or stands here no more. As it was put.
    pub(super) fn remove(&mut self, row: &OutboxRow) {
        let place = (row.event, row.line, row.delivery);
        self.answers.remove(&place);
        self.orders.remove(&place);
        if let OutboxPlace::Leased { until, .. } = &row.place {
            self.leased.remove(&(*until, row.delivery));
        }
        let Some(lane) = self.lanes.get_mut(&row.system) else {
            return;
        };
        match &row.place {
            OutboxPlace::Waiting { .. } => {
                lane.waiting.remove(&(row.order(), row.delivery));
            }
            OutboxPlace::Leased { until, .. } => {
                lane.leased.remove(&(*until, row.delivery));
            }
            OutboxPlace::Forwarded { .. } if row.outgoing.awaits_taken() => {
                lane.forwarded = lane.forwarded.saturating_sub(1);
            }
            OutboxPlace::Forwarded { .. } => {}
        }
        if lane.is_empty() {
            self.lanes.remove(&row.system);
        }
    }

    fn lane(&mut self, row: &OutboxRow) -> &mut Lane {
        self.lanes.entry(row.system.clone()).or_default()
    }

    /// The documents and statuses to hand out next, in their order.
    pub(super) fn next_out(
        &self,
        choice: &Choice<'_>,
        rows: &HashMap<DeliveryUid, OutboxRow>,
    ) -> Vec<DeliveryUid> {
        let expired = self.expired(choice.now, rows);
        let mut chosen: Vec<(Order, DeliveryUid)> = Vec::new();
        for (system, lane) in &self.lanes {
            let mut inside = lane.inside(choice.now);
            if inside >= choice.window.beyond() || choice.resting.contains(system) {
                continue;
            }
            let back: BTreeSet<(Order, DeliveryUid)> = expired
                .iter()
                .filter(|row| row.system == *system && row.outgoing.awaits_taken())
                .map(|row| (row.order(), row.delivery))
                .collect();
            let mut back = back.into_iter().peekable();
            let waiting = lane.waiting.iter().copied();
            let mut waiting = waiting
                .filter(|(_, delivery)| rows.get(delivery).is_some_and(|row| row.is_claimable(choice.now)))
                .peekable();
            let others = chosen.len();
            while chosen.len() - others < choice.max {
                let first_is_back = match (back.peek(), waiting.peek()) {
                    (Some(back), Some(waiting)) => back < waiting,
                    (back, _) => back.is_some(),
                };
                let next = if first_is_back {
                    back.next()
                } else {
                    waiting.next()
                };
                // The rest of it is behind, and fits no more either.
                let Some(next) =
                    next.filter(|((Reverse(priority), ..), _)| choice.window.takes(inside, *priority))
                else {
                    break;
                };
                inside += 1;
                chosen.push(next);
            }
        }
        chosen.sort_unstable();
        chosen.truncate(choice.max);
        chosen.into_iter().map(|(_, delivery)| delivery).collect()
    }

    /// Answers that can be claimed at `now`, to inboxes that do not rest.
    pub(super) fn answers(
        &self,
        now: Timestamp,
        max: usize,
        resting: &[SystemId],
        rows: &HashMap<DeliveryUid, OutboxRow>,
    ) -> Vec<DeliveryUid> {
        let fits = |row: &OutboxRow| !row.outgoing.awaits_taken() && !resting.contains(&row.system);
        self.by_event(&self.answers, now, max, rows, fits)
    }

    /// Orders that overtake and can be claimed at `now`.
    pub(super) fn orders(
        &self,
        now: Timestamp,
        max: usize,
        rows: &HashMap<DeliveryUid, OutboxRow>,
    ) -> Vec<DeliveryUid> {
        self.by_event(&self.orders, now, max, rows, OutboxRow::is_order)
    }

    /// Of those that wait and those whose lease ran out, by the events that caused them.
    fn by_event(
        &self,
        waiting: &BTreeSet<(u64, u32, DeliveryUid)>,
        now: Timestamp,
        max: usize,
        rows: &HashMap<DeliveryUid, OutboxRow>,
        fits: impl Fn(&OutboxRow) -> bool,
    ) -> Vec<DeliveryUid> {
        let claimable = waiting.iter().filter(|(_, _, delivery)| {
            let row = rows.get(delivery);
            row.is_some_and(|row| row.is_claimable(now) && fits(row))
        });
        let mut chosen: Vec<(u64, u32, DeliveryUid)> = claimable.take(max).copied().collect();
        let expired = self.expired(now, rows);
        let back = expired.iter().filter(|row| fits(row));
        chosen.extend(back.map(|row| (row.event, row.line, row.delivery)));
        chosen.sort_unstable();
        chosen.truncate(max);
        chosen.into_iter().map(|(_, _, delivery)| delivery).collect()
    }

    /// Messages whose lease ran out, and that can be claimed again. There are hardly ever any.
    fn expired<'r>(&self, now: Timestamp, rows: &'r HashMap<DeliveryUid, OutboxRow>) -> Vec<&'r OutboxRow> {
        let over = self.leased.iter().take_while(|(until, _)| *until <= now);
        let over = over.filter_map(|(_, delivery)| rows.get(delivery));
        over.filter(|row| row.is_claimable(now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use truc_model::wire::Outgoing;
    use truc_model::{Random as _, SeededRandom, Sha256};

    use super::super::{ALONE_MIN, Recent};
    use super::*;
    use crate::command::HubId;
    use crate::rows::{Changes, OutboxBody};
    use crate::store::Window;

    const STEPS: usize = 2000;
    const SYSTEMS: u64 = 5;

    struct Play {
        dice: SeededRandom,
        now: Timestamp,
        /// All messages, as the tables would have them.
        rows: BTreeMap<DeliveryUid, OutboxRow>,
        events: u64,
    }

    impl Play {
        fn throw(&self, sides: u64) -> u64 {
            let mut bytes = [0; 8];
            self.dice.fill(&mut bytes);
            u64::from_le_bytes(bytes) % sides
        }

        fn system(&self) -> SystemId {
            SystemId::new(&format!("he-{}", self.throw(SYSTEMS))).unwrap()
        }

        fn some_time(&self) -> Timestamp {
            self.now + SignedDuration::from_mins(i64::try_from(self.throw(9)).unwrap() - 4)
        }

        fn place(&self) -> OutboxPlace {
            match self.throw(5) {
                0 => OutboxPlace::Waiting { not_before: None },
                1 => OutboxPlace::Waiting {
                    not_before: Some(self.some_time()),
                },
                2 => OutboxPlace::Forwarded {
                    at: self.now,
                    attempt: 1,
                },
                _ => OutboxPlace::Leased {
                    owner: HubId::new("truc-1"),
                    until: self.some_time(),
                },
            }
        }

        fn new_row(&mut self) -> OutboxRow {
            self.events += self.throw(2);
            let outgoing = [Outgoing::Document, Outgoing::Status, Outgoing::Receipt];
            OutboxRow {
                delivery: DeliveryUid::new(self.dice.uuid_v7(self.now)),
                system: self.system(),
                outgoing: outgoing[usize::try_from(self.throw(3)).unwrap()],
                priority: u8::try_from(self.throw(6)).unwrap(),
                event: self.events,
                line: u32::try_from(self.rows.len()).unwrap(),
                document: None,
                correlation_id: None,
                body: OutboxBody::Stored,
                sha256: Sha256::of(b""),
                size: 0,
                from: None,
                to: Vec::new(),
                status: None,
                accepted_at: self.now,
                attempts: 0,
                place: self.place(),
                alerted: false,
                failed: 0,
                ordered_back: Vec::new(),
                recalled: self.throw(9) == 0,
            }
        }

        fn any(&self) -> Option<OutboxRow> {
            let place = self.throw(self.rows.len().max(1) as u64);
            self.rows.values().nth(usize::try_from(place).unwrap()).cloned()
        }

        /// One transaction's changes, which the rows follow.
        fn step(&mut self) -> Changes {
            let mut changes = Changes::default();
            for _ in 0..self.throw(3) {
                changes.outbox.push(self.new_row());
            }
            if let Some(mut row) = self.any() {
                row.place = self.place();
                row.recalled |= self.throw(20) == 0;
                changes.outbox_moved.push(row);
            }
            for row in changes.outbox.iter().chain(&changes.outbox_moved) {
                self.rows.insert(row.delivery, row.clone());
            }
            if let Some(done) = self.any().filter(|_| self.throw(2) == 0) {
                self.rows.remove(&done.delivery);
                changes.outbox_done.push(done.delivery);
            }
            self.now += SignedDuration::from_secs(i64::try_from(self.throw(40)).unwrap());
            changes
        }

        /// As [`crate::store::next_out_by_queues`] finds it.
        fn next_out(&self, choice: &Choice<'_>) -> Vec<OutboxRow> {
            let mut chosen = Vec::new();
            for number in 0..SYSTEMS {
                let system = SystemId::new(&format!("he-{number}")).unwrap();
                let his: Vec<&OutboxRow> = self.rows.values().filter(|row| row.system == system).collect();
                let inside = his.iter().filter(|row| row.is_in_inbox(choice.now)).count() as u64;
                let mut waiting: Vec<OutboxRow> = his
                    .into_iter()
                    .filter(|row| row.outgoing.awaits_taken() && row.is_claimable(choice.now))
                    .cloned()
                    .collect();
                waiting.sort_by_key(OutboxRow::order);
                if !choice.resting.contains(&system) {
                    choice.window.fit(inside, &mut waiting);
                    chosen.append(&mut waiting);
                }
            }
            chosen.sort_by_key(OutboxRow::order);
            chosen.truncate(choice.max);
            chosen
        }

        fn by_event(&self, max: usize, fits: impl Fn(&OutboxRow) -> bool) -> Vec<OutboxRow> {
            let mut rows: Vec<OutboxRow> = self.rows.values().filter(|row| fits(row)).cloned().collect();
            rows.retain(|row| row.is_claimable(self.now));
            rows.sort_by_key(|row| (row.event, row.line));
            rows.truncate(max);
            rows
        }
    }

    #[test]
    fn what_goes_out_next_is_what_the_rows_say() {
        let mut play = Play {
            dice: SeededRandom::new(7),
            now: Timestamp::from_second(1_767_229_200).unwrap(),
            rows: BTreeMap::new(),
            events: 1,
        };
        for _ in 0..20 {
            play.step();
        }
        let mut recent = Recent::default();
        assert!(!recent.wants_all_messages(), "nobody knows who else writes");
        for _ in 0..=ALONE_MIN {
            recent.must_be_good_for(1, 1);
        }
        assert!(recent.wants_all_messages());
        recent.has_all_messages(Some(play.rows.values().cloned().collect()));
        let mut found = 0;
        for step in 0..STEPS {
            let changes = play.step();
            recent.follow(&changes, false);
            let resting = [play.system()];
            let choice = Choice {
                now: play.now,
                window: Window {
                    normal: play.throw(12),
                    urgent_extra: play.throw(3),
                },
                max: usize::try_from(play.throw(12)).unwrap(),
                resting: &resting[..usize::try_from(play.throw(2)).unwrap()],
            };
            let next = recent.next_out(&choice).unwrap();
            assert_eq!(next, play.next_out(&choice), "step {step}, {choice:?}");
            found += next.len();
            let answers = recent.answers_but(play.now, choice.max, choice.resting).unwrap();
            let expected = play.by_event(choice.max, |row| {
                !row.outgoing.awaits_taken() && !choice.resting.contains(&row.system)
            });
            assert_eq!(answers, expected, "step {step}");
            let orders = recent.waiting_orders(play.now, choice.max).unwrap();
            assert_eq!(
                orders,
                play.by_event(choice.max, OutboxRow::is_order),
                "step {step}"
            );
        }
        assert!(found > STEPS, "hardly anything ever went out: {found}");
        // Somebody else wrote: nothing is known any more.
        recent.must_be_good_for(1, 2);
        assert_eq!(recent.waiting_orders(play.now, 1), None);
    }

    #[test]
    fn too_many_messages_are_asked_for_again_later_and_later() {
        let mut recent = Recent::default();
        let mut asked = Vec::new();
        for transaction in 0..20_000 {
            recent.must_be_good_for(1, 1);
            if recent.wants_all_messages() {
                asked.push(transaction);
                recent.has_all_messages(None);
            }
        }
        let waits: Vec<u32> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(waits.is_sorted() && waits.len() > 3, "{waits:?}");
        assert_eq!(waits.last(), Some(&super::super::LOOK_AGAIN_MAX));
    }
}
