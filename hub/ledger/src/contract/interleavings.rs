//! The race between a delivery and its recall, at every interleaving: a small model of broker and adapter beside
//! the memory twin, and every order in which their steps can fall.
//!
//! A state is reached by a path of steps; states that look alike are gone on from once. After each step: nobody
//! who is withdrawn was or is handed the document, an end never changes, no bytes after the recall, and the
//! ledger balances. Where nothing can happen any more every recipient has come to one end.

use std::collections::{BTreeSet, VecDeque};

use truc_model::delivery::TransportStateName as State;
use truc_model::wire::{Outgoing, Taken, Withdrawn};
use truc_model::{DeliveryUid, DocumentUid};

use super::MemoryBench;
use super::change_kit::{document, fail, recall, say, three, two};
use super::kit::{Hub, system};
use crate::command::Cleaning;
use crate::{BalanceFilter, Claimed, PublishFailure, VerifyOptions};

/// Most states; reaching it is a failure of this test, not an end of it.
const STATES_MAX: usize = 60_000;

/// Most attempts that come to nothing: one in `cargo test`; `TRUC_INTERLEAVINGS=2` walks through more.
fn failures_max() -> u32 {
    let told = std::env::var("TRUC_INTERLEAVINGS").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The hub claims what it may.
    Claim,
    /// The broker keeps the document and its confirm arrives.
    Confirm,
    /// The broker keeps it, and the confirm is lost.
    Uncertain,
    /// The connection goes before the broker has it; nobody knows.
    Vanish,
    /// The broker has no such inbox.
    Definite,
    /// The hub dies with the message in hand, and lives again.
    Lease,
    /// The sender takes it back.
    Order,
    /// The adapter reads the next message of its inbox.
    Read,
    /// The hub hears the adapter's next word.
    Hear,
    /// The recipient reports 01.
    Arrived,
    /// The recipient agrees.
    Agree,
    /// The inbox vanishes with what lies in it.
    InboxLost,
    /// The hub cleans an inbox that nobody ever read.
    Clean,
    /// It dies after it took the message out.
    CleanHalf,
}

const STEPS: [Step; 14] = [
    Step::Claim,
    Step::Confirm,
    Step::Uncertain,
    Step::Vanish,
    Step::Definite,
    Step::Lease,
    Step::Order,
    Step::Read,
    Step::Hear,
    Step::Arrived,
    Step::Agree,
    Step::InboxLost,
    Step::Clean,
    Step::CleanHalf,
];

/// Who takes back, and from whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// A recall of the only recipient.
    Recall,
    /// A recall of one of two on one system.
    RecallOfOne,
    /// Status 13.
    TakeBack,
}

/// What the broker, the adapter and the recipient know.
struct World {
    hub: Hub,
    case: Case,
    uid: DocumentUid,
    delivery: DeliveryUid,
    in_hand: Option<Claimed>,
    inbox: Vec<Claimed>,
    read: u32,
    handed: BTreeSet<String>,
    back: BTreeSet<String>,
    order_handed: bool,
    words: VecDeque<Taken>,
    lost: u32,
    failures: u32,
    ordered: bool,
    arrived: bool,
    agreed: bool,
    ends: Vec<Option<State>>,
}

impl World {
    async fn begin(case: Case) -> Self {
        let hub = Hub::open(&MemoryBench::default()).await;
        let recipients = if case == Case::RecallOfOne {
            vec![two(), three()]
        } else {
            vec![two()]
        };
        let places = recipients.len();
        let receipt = hub.accept(document(&hub, "1", recipients)).await;
        Self {
            uid: receipt.document,
            delivery: receipt.recipients[0].delivery.unwrap(),
            hub,
            case,
            in_hand: None,
            inbox: Vec::new(),
            read: 0,
            handed: BTreeSet::new(),
            back: BTreeSet::new(),
            order_handed: false,
            words: VecDeque::new(),
            lost: 0,
            failures: 0,
            ordered: false,
            arrived: false,
            agreed: false,
            ends: vec![None; places],
        }
    }

    fn can(&self, step: Step) -> bool {
        match step {
            Step::Claim => self.in_hand.is_none(),
            Step::Confirm => self.in_hand.is_some(),
            Step::Uncertain | Step::Vanish | Step::Definite | Step::Lease => {
                self.in_hand.is_some() && self.failures < failures_max()
            }
            Step::Order => !self.ordered,
            Step::Read => !self.inbox.is_empty(),
            Step::Hear => !self.words.is_empty(),
            Step::Arrived => self.handed.contains(&two().code) && !self.arrived,
            Step::Agree => self.order_handed && self.handed.contains(&two().code) && !self.agreed,
            Step::InboxLost => self.lost < 1 && !self.inbox.is_empty() && self.read == 0,
            Step::Clean | Step::CleanHalf => {
                let here = |message: &Claimed| message.delivery == self.delivery;
                self.ordered && self.read == 0 && self.inbox.iter().filter(|m| here(m)).count() == 1
            }
        }
    }

    async fn go(&mut self, step: Step) {
        match step {
            Step::Claim => {
                for message in self.hub.claim().await {
                    if message.delivery == self.delivery {
                        self.in_hand = Some(message);
                    } else {
                        // Orders and answers arrive: what becomes of the document is what is looked at.
                        self.hub.confirm(std::slice::from_ref(&message)).await;
                        if message.outgoing.awaits_taken() && message.system == system("so") {
                            self.inbox.push(message);
                        }
                    }
                }
            }
            Step::Confirm => {
                let message = self.in_hand.take().unwrap();
                self.inbox.push(message.clone());
                self.hub.confirm(&[message]).await;
            }
            Step::Uncertain => {
                self.failures += 1;
                self.inbox.push(self.in_hand.take().unwrap());
                fail(&self.hub, self.delivery, PublishFailure::TimedOut).await;
            }
            Step::Vanish => {
                self.failures += 1;
                self.in_hand = None;
                fail(&self.hub, self.delivery, PublishFailure::Disconnected).await;
            }
            Step::Definite => {
                self.failures += 1;
                self.in_hand = None;
                fail(&self.hub, self.delivery, PublishFailure::Unroutable).await;
            }
            Step::Lease => {
                self.failures += 1;
                self.in_hand = None;
                self.hub.ledger.release_leases(super::kit::owner()).await.unwrap();
            }
            Step::Order => {
                self.ordered = true;
                match self.case {
                    Case::Recall | Case::RecallOfOne => {
                        self.hub.accept(recall(&self.hub, "R", "1", vec![two()])).await;
                    }
                    Case::TakeBack => {
                        self.hub.record(self.hub.take_back("1")).await;
                    }
                }
            }
            Step::Read => self.read_next(),
            Step::Hear => {
                let word = self.words.pop_front().unwrap();
                say(&self.hub, "so", word).await;
            }
            Step::Arrived => {
                self.arrived = true;
                self.hub.record(self.hub.status("01", "1")).await;
            }
            Step::Agree => {
                self.agreed = true;
                self.hub.record(self.hub.status("15", "1")).await;
            }
            Step::InboxLost => {
                self.lost += 1;
                self.inbox.clear();
                self.hub.ledger.inbox_lost(system("so")).await.unwrap();
            }
            Step::Clean | Step::CleanHalf => {
                let cleaning = Cleaning {
                    system: system("so"),
                    deliveries: vec![self.delivery],
                };
                let may_go = self.hub.ledger.cleaning_begun(cleaning.clone()).await.unwrap();
                if may_go.contains(&self.delivery) {
                    self.inbox.retain(|message| message.delivery != self.delivery);
                    if step == Step::Clean {
                        self.hub.ledger.cleaned(cleaning).await.unwrap();
                    }
                }
            }
        }
    }

    /// What an adapter does that keeps its journal: the most urgent message first; what an order called back is
    /// not handed over, and it says so.
    fn read_next(&mut self) {
        self.read += 1;
        let urgent = self.inbox.iter().map(|message| message.priority).max().unwrap();
        let place = self
            .inbox
            .iter()
            .position(|message| message.priority == urgent)
            .unwrap();
        let message = self.inbox.remove(place);
        let mut word = Taken {
            taken: vec![message.delivery],
            ..Taken::default()
        };
        if message.delivery == self.delivery {
            let back: Vec<String> = message
                .to
                .iter()
                .filter(|to| self.back.contains(*to))
                .cloned()
                .collect();
            let left: Vec<String> = message
                .to
                .iter()
                .filter(|to| !self.back.contains(*to))
                .cloned()
                .collect();
            if left.is_empty() {
                word.taken.clear();
            }
            self.handed.extend(left);
            if !back.is_empty() {
                word.withdrawn.push(Withdrawn {
                    delivery: self.delivery,
                    codes: back,
                });
            }
        } else {
            let mut reached = message.withdraws.is_empty();
            for (delivery, codes) in &message.withdraws {
                let codes = if codes.is_empty() {
                    vec![two().code]
                } else {
                    codes.clone()
                };
                let (had, had_not): (Vec<String>, Vec<String>) =
                    codes.into_iter().partition(|code| self.handed.contains(code));
                reached |= !had.is_empty();
                if !had_not.is_empty() {
                    self.back.extend(had_not.clone());
                    word.withdrawn.push(Withdrawn {
                        delivery: *delivery,
                        codes: had_not,
                    });
                }
            }
            self.order_handed |= reached;
        }
        self.words.push_back(word);
    }

    /// What must hold in every state.
    async fn check(&mut self, path: &[Step]) {
        let view = self.hub.view(self.uid).await;
        for (place, row) in view.recipients.iter().enumerate() {
            let (name, code) = (row.state.name(), row.code().to_owned());
            assert!(
                name != State::Withdrawn || !self.handed.contains(&code),
                "{:?} {path:?}: handed over, and withdrawn",
                self.case
            );
            if let Some(end) = self.ends[place] {
                assert_eq!(end, name, "{:?} {path:?}: an end changed", self.case);
            }
            if row.state.is_final() {
                self.ends[place] = Some(name);
            }
        }
        if self.ordered && self.case != Case::RecallOfOne {
            let body = self.hub.ledger.body(view.document.sha256).await.unwrap();
            assert!(body.is_none(), "{:?} {path:?}: bytes after the recall", self.case);
        }
        let balance = self.hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances(), "{:?} {path:?}", self.case);
    }

    /// Where nothing can happen any more.
    async fn check_end(&self, path: &[Step]) {
        let view = self.hub.view(self.uid).await;
        for row in &view.recipients {
            assert!(
                row.state.is_final(),
                "{:?} {path:?}: {:?} {:?}",
                self.case,
                row.state,
                view.outbox
            );
            let handed = self.handed.contains(row.code());
            assert_eq!(
                handed,
                row.state.name() == State::Taken,
                "{:?} {path:?}",
                self.case
            );
        }
        let report = self.hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, [], "{:?} {path:?}", self.case);
    }

    /// What two states must have in common to go on alike.
    async fn looks(&self) -> String {
        let view = self.hub.view(self.uid).await;
        let rows: Vec<_> = view
            .recipients
            .iter()
            .map(|row| (row.state.name(), row.change))
            .collect();
        let outbox: Vec<String> = view
            .outbox
            .iter()
            .filter(|row| row.outgoing == Outgoing::Document)
            .map(|row| {
                let place = format!("{:?}", row.place);
                let place = place.split([' ', '{']).next().unwrap_or_default().to_owned();
                format!(
                    "{place} {} {} {} {:?}",
                    row.attempts, row.failed, row.recalled, row.to
                )
            })
            .collect();
        let claimable = self.hub.ledger.inbox_counts().await.unwrap();
        let claimable: Vec<_> = claimable
            .iter()
            .map(|c| (c.scheduled, c.leased, c.forwarded))
            .collect();
        let inbox: Vec<_> = self
            .inbox
            .iter()
            .map(|m| (m.delivery == self.delivery, &m.to, &m.withdraws))
            .collect();
        let words: Vec<String> = self
            .words
            .iter()
            .map(|w| format!("{} {:?}", w.taken.contains(&self.delivery), w.withdrawn.len()))
            .collect();
        format!(
            "{rows:?} {outbox:?} {claimable:?} {:?} {inbox:?} {:?} {:?} {words:?} {} {} {} {} {} {} {}",
            self.in_hand.as_ref().map(|message| &message.to),
            self.handed,
            self.back,
            self.order_handed,
            self.lost,
            self.failures,
            self.ordered,
            self.arrived,
            self.agreed,
            self.read.min(1),
        )
    }
}

/// Goes a path again; gives the world at its end.
async fn walk(case: Case, path: &[Step]) -> World {
    let mut world = World::begin(case).await;
    for step in path {
        world.go(*step).await;
    }
    world
}

async fn explore(case: Case) -> (usize, usize) {
    let mut seen = BTreeSet::new();
    let mut open: VecDeque<Vec<Step>> = VecDeque::from([Vec::new()]);
    let mut ends = 0;
    while let Some(path) = open.pop_front() {
        let world = walk(case, &path).await;
        let before = world.looks().await;
        let mut moved = false;
        for step in STEPS.into_iter().filter(|step| world.can(*step)) {
            let mut longer = path.clone();
            longer.push(step);
            let mut next = walk(case, &path).await;
            next.ends.clone_from(&world.ends);
            // What ended on the way here must not change by this step.
            next.check(&path).await;
            next.go(step).await;
            next.check(&longer).await;
            let looks = next.looks().await;
            moved |= looks != before;
            if seen.insert(looks) {
                open.push_back(longer);
            }
        }
        if !moved && world.ordered {
            ends += 1;
            world.check_end(&path).await;
        }
        assert!(
            seen.len() < STATES_MAX,
            "{case:?}: more states than this test can walk through"
        );
    }
    (seen.len(), ends)
}

#[tokio::test]
async fn a_recall_and_its_delivery_at_every_interleaving() {
    for case in [Case::Recall, Case::TakeBack, Case::RecallOfOne] {
        let (states, ends) = explore(case).await;
        println!("{case:?}: {states} states, {ends} ends");
        assert!(states > 100 && ends > 5, "{case:?}: {states} states, {ends} ends");
    }
}
