//! Random lives of documents: recalls, take-backs, updates, replacements, operators' orders, repeats, stray and
//! late words, in any order and at any moment, with what must hold after every step.
//!
//! Each history is small and has its own ledger and seed, so that a failure names the seed that shows it.
//! `TRUC_HISTORIES=100000 cargo test -p truc-ledger lives` runs as many as one likes; `TRUC_SEED` begins
//! elsewhere; `TRUC_TRACE=1` prints every event.

use std::collections::{BTreeMap, BTreeSet};

use truc_model::wire::{Taken, Withdrawn};
use truc_model::{
    ChangeOrder, ChangeState, DeliveryUid, DocumentUid, Operation, Random, SeededRandom, Sha256, StatusCode,
    Urgency,
};

use super::MemoryBench;
use super::change_kit::{document, fail, four, packet, recall, say, three, two};
use super::kit::{Hub, agency, system};
use crate::command::Cleaning;
use crate::event::{Event, Fact};
use crate::{
    BalanceFilter, Claimed, DocumentChange, DocumentSubmission, OperatorAction, OperatorOrder,
    OperatorTarget, PlannedRecipient, PublishFailure, ReplacedDocument, Resend, StatusSubmission,
    SubmitOutcome, VerifyOptions,
};

/// Histories in `cargo test`.
const HISTORIES: u64 = 2000;
/// Most steps of one.
const STEPS: usize = 24;
/// Identities in play: few, so that they meet.
const IDS: [&str; 3] = ["1", "2", "3"];

struct Dice(SeededRandom);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % sides as u64).unwrap()
    }

    fn pick<T: Clone>(&self, from: &[T]) -> Option<T> {
        (!from.is_empty()).then(|| from[self.roll(from.len())].clone())
    }
}

struct Life {
    hub: Hub,
    dice: Dice,
    seed: u64,
    packets: u32,
    sent: Vec<DocumentSubmission>,
    told: Vec<StatusSubmission>,
    in_hand: Vec<Claimed>,
    out: Vec<Claimed>,
    /// Events looked at so far.
    seen: u64,
    /// Recipients that came to an end, and to which.
    ends: BTreeMap<(DocumentUid, u32), String>,
    /// Overlays that came to an end.
    overlays: BTreeMap<(DocumentUid, u32), ChangeState>,
    /// Business states, by rank.
    business: BTreeMap<(DocumentUid, u32), usize>,
    /// Messages that pass a status on.
    passed: BTreeSet<DeliveryUid>,
    /// What each packet's bytes are.
    bytes: BTreeMap<DocumentUid, Sha256>,
}

impl Life {
    async fn begin(seed: u64) -> Self {
        let hub = Hub::with(&MemoryBench::default(), crate::Settings::default(), seed).await;
        Self {
            hub,
            dice: Dice(SeededRandom::new(seed.wrapping_mul(7919))),
            seed,
            packets: 0,
            sent: Vec::new(),
            told: Vec::new(),
            in_hand: Vec::new(),
            out: Vec::new(),
            seen: 0,
            ends: BTreeMap::new(),
            overlays: BTreeMap::new(),
            business: BTreeMap::new(),
            passed: BTreeSet::new(),
            bytes: BTreeMap::new(),
        }
    }

    async fn step(&mut self) {
        self.hub
            .clock
            .advance(i64::try_from(self.dice.roll(200)).unwrap());
        match self.dice.roll(20) {
            0..=3 => self.send().await,
            4 => self.send_again().await,
            5..=7 => self.order().await,
            8..=10 => self.forward().await,
            11 => self.fail().await,
            12..=14 => self.take().await,
            15..=17 => self.report().await,
            18 => self.clean().await,
            _ => self.operate().await,
        }
    }

    fn recipients(&self) -> Vec<PlannedRecipient> {
        let all = [two(), three(), four()];
        let mut some: Vec<PlannedRecipient> = all.into_iter().filter(|_| self.dice.roll(2) == 0).collect();
        if some.is_empty() {
            some.push([two(), three(), four()][self.dice.roll(3)].clone());
        }
        some
    }

    fn next_id(&mut self) -> String {
        self.packets += 1;
        format!("P{}", self.packets)
    }

    async fn submit(&mut self, submission: DocumentSubmission) {
        self.sent.push(submission.clone());
        let sha256 = submission.sha256;
        if let SubmitOutcome::Accepted(receipt) = self.hub.ledger.submit_document(submission).await.unwrap() {
            self.bytes.insert(receipt.document(), sha256);
        }
    }

    async fn send(&mut self) {
        let id = self.dice.pick(&IDS).unwrap();
        let mut submission = document(&self.hub, id, self.recipients());
        submission.facts.urgency = Urgency::from_number(u8::try_from(self.dice.roll(5)).unwrap()).unwrap();
        submission.park = (self.dice.roll(12) == 0).then_some(truc_model::ParkCause::SecretMarking);
        self.submit(submission).await;
    }

    async fn send_again(&mut self) {
        let Some(mut submission) = self.dice.pick(&self.sent) else {
            return;
        };
        match self.dice.roll(3) {
            0 => submission.key = self.hub.key("xa"),
            1 => submission = self.hub.rival(&submission),
            _ => {}
        }
        self.submit(submission).await;
    }

    async fn order(&mut self) {
        let id = self.next_id();
        // Mostly a document, at times an earlier order or nothing at all.
        let of = match self.dice.roll(8) {
            0 => format!("P{}", self.dice.roll(6)),
            _ => self.dice.pick(&IDS).unwrap().to_owned(),
        };
        let recipients = self.recipients();
        let mut submission = match self.dice.roll(5) {
            0 | 1 => recall(&self.hub, &id, &of, recipients),
            2 | 3 => {
                let change = DocumentChange::Update {
                    document_id: of,
                    removed: if self.dice.roll(3) == 0 {
                        vec![three()]
                    } else {
                        vec![]
                    },
                    added: if self.dice.roll(3) == 0 {
                        vec![four()]
                    } else {
                        vec![]
                    },
                };
                packet(&self.hub, &id, Operation::Update, recipients, change)
            }
            _ => {
                let listed = if self.dice.roll(2) == 0 {
                    vec![two()]
                } else {
                    vec![]
                };
                let replaced = vec![ReplacedDocument {
                    document_id: of,
                    recipients: listed,
                }];
                let change = DocumentChange::Replacement { replaced };
                packet(&self.hub, &id, Operation::Replacement, recipients, change)
            }
        };
        if self.dice.roll(8) == 0 {
            submission.identity.sender = agency(7);
        }
        if self.dice.roll(12) == 0 {
            submission.park = Some(truc_model::ParkCause::SecretMarking);
        }
        self.submit(submission).await;
    }

    async fn forward(&mut self) {
        let claimed = self.hub.claim().await;
        self.in_hand.extend(claimed);
        if self.dice.roll(4) > 0 {
            let confirmed = std::mem::take(&mut self.in_hand);
            self.hub.confirm(&confirmed).await;
            self.out.extend(confirmed);
        }
    }

    async fn fail(&mut self) {
        if self.in_hand.is_empty() {
            self.in_hand.extend(self.hub.claim().await);
        }
        let Some(message) = self.dice.pick(&self.in_hand) else {
            return;
        };
        let failure = PublishFailure::ALL[self.dice.roll(PublishFailure::ALL.len())];
        fail(&self.hub, message.delivery, failure).await;
        self.in_hand.retain(|other| other.delivery != message.delivery);
    }

    async fn take(&mut self) {
        let Some(message) = self.dice.pick(&self.out) else {
            return;
        };
        let name = if self.dice.roll(8) == 0 {
            "vxp".to_owned()
        } else {
            message.system.to_string()
        };
        match self.dice.roll(5) {
            0 => drop(self.hub.decline(&name, &[message.delivery]).await),
            1 => {
                let (delivery, codes) = match message.withdraws.first() {
                    Some(first) => first.clone(),
                    None => (message.delivery, Vec::new()),
                };
                let withdrawn = vec![Withdrawn { delivery, codes }];
                say(
                    &self.hub,
                    &name,
                    Taken {
                        withdrawn,
                        ..Taken::default()
                    },
                )
                .await;
            }
            _ => drop(self.hub.take(&name, &[message.delivery]).await),
        }
    }

    async fn report(&mut self) {
        let codes = ["01", "02", "03", "04", "05", "06", "13", "15", "15", "16"];
        let id = match self.dice.roll(4) {
            0 => format!("P{}", 1 + self.dice.roll(6)),
            _ => self.dice.pick(&IDS).unwrap().to_owned(),
        };
        let code = codes[self.dice.roll(codes.len())];
        let (party, written) = match self.dice.roll(3) {
            0 => (agency(2), two().code),
            1 => (agency(3), three().code),
            _ => (agency(4), four().code),
        };
        let mut status = if code == "13" {
            self.hub.take_back(&id)
        } else {
            self.hub.status(code, &id)
        };
        if code == "13" {
            (status.about, status.about_code) = (party, written);
        } else {
            (status.reporter, status.reporter_code) = (party, written);
        }
        if let (0, Some(told)) = (self.dice.roll(5), self.dice.pick(&self.told)) {
            status = told;
        }
        self.told.push(status.clone());
        self.hub.ledger.submit_status(status).await.unwrap();
    }

    async fn clean(&mut self) {
        for name in ["so", "tt"] {
            let back = self
                .hub
                .ledger
                .ordered_back(Some(&system(name)), 8)
                .await
                .unwrap();
            let cleaning = Cleaning {
                system: system(name),
                deliveries: back.iter().map(|row| row.delivery).collect(),
            };
            self.hub.ledger.cleaning_begun(cleaning.clone()).await.unwrap();
            if self.dice.roll(2) == 0 {
                self.hub.ledger.cleaned(cleaning).await.unwrap();
            }
        }
    }

    async fn operate(&mut self) {
        let known: Vec<DocumentUid> = self.bytes.keys().copied().collect();
        let Some(document) = self.dice.pick(&known) else {
            return;
        };
        let (who, why) = ("van-hanh".to_owned(), "thử".to_owned());
        let position = u32::try_from(self.dice.roll(3)).unwrap();
        let action = match self.dice.roll(7) {
            0 => OperatorAction::Park,
            1 => OperatorAction::Release { authorised: true },
            2 => OperatorAction::Reroute,
            3 => OperatorAction::Close,
            4 => {
                let resend = Resend {
                    document,
                    party: None,
                    who,
                    why,
                };
                self.hub.ledger.resend(resend).await.unwrap();
                return;
            }
            5 => {
                self.hub.ledger.release_leases(super::kit::owner()).await.unwrap();
                return;
            }
            _ => {
                self.hub.ledger.inbox_lost(system("so")).await.unwrap();
                return;
            }
        };
        let to = match action {
            OperatorAction::Reroute => Some(super::kit::to("H53.5", 5, "tt")),
            _ => None,
        };
        let recipients = vec![OperatorTarget { position, to }];
        let order = OperatorOrder {
            document,
            action,
            recipients,
            who,
            why,
        };
        self.hub.ledger.operator(order).await.unwrap();
    }

    /// What must hold after every step.
    async fn check(&mut self, step: usize) {
        let here = format!("seed {} step {step}", self.seed);
        let balance = self.hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
        assert!(balance.balances(), "{here}: {balance:#?}");
        let mut taken_back = BTreeSet::new();
        for row in self.hub.ledger.events(self.seen + 1, usize::MAX).await.unwrap() {
            self.seen = row.seq;
            if std::env::var_os("TRUC_TRACE").is_some() {
                println!("{here}: {}", row.canonical);
            }
            let event = row.event().unwrap();
            self.check_event(&event, &here);
            taken_back.extend(taken_back_by(&event));
        }
        for (uid, sha256) in self.bytes.clone() {
            let view = self.hub.view(uid).await;
            let mut holders = 0;
            for row in &view.recipients {
                let key = (uid, row.position);
                let state = format!("{:?}", row.state);
                if let Some(end) = self.ends.get(&key) {
                    assert_eq!(*end, state, "{here}: an end changed");
                } else if row.state.is_final() {
                    self.ends.insert(key, state);
                }
                if let Some(end) = self.overlays.get(&key) {
                    assert_eq!(*end, row.change, "{here}: the end of an overlay changed");
                } else if row.change.is_end() {
                    self.overlays.insert(key, row.change);
                }
                let rank = truc_model::BusinessState::ALL
                    .iter()
                    .position(|s| *s == row.business)
                    .unwrap();
                let before = self.business.insert(key, rank).unwrap_or(0);
                assert!(rank >= before, "{here}: a step back");
                let gone = row.recalled.is_some()
                    || row.state.is_final()
                        && row.state.name() != truc_model::delivery::TransportStateName::Taken;
                holders += usize::from(!gone);
            }
            let recalled = taken_back.contains(&uid);
            let shared = self.bytes.values().filter(|other| **other == sha256).count() > 1;
            if recalled && holders == 0 && !shared {
                let body = self.hub.ledger.body(sha256).await.unwrap();
                assert!(
                    body.is_none(),
                    "{here}: bytes after the recall of the last holder"
                );
            }
            if holders > 0 {
                let body = self.hub.ledger.body(sha256).await.unwrap();
                assert!(
                    body.is_some(),
                    "{here}: bytes gone although somebody waits for them"
                );
            }
        }
    }

    fn check_event(&mut self, event: &Event, here: &str) {
        match &event.fact {
            // One status, one message: passed on exactly once.
            Fact::StatusRecorded {
                delivery: Some(delivery),
                ..
            } => {
                assert!(self.passed.insert(*delivery), "{here}: a status passed on twice");
            }
            Fact::StatusRecorded {
                delivery: None, code, ..
            } => {
                assert_eq!(
                    *code,
                    StatusCode::TakeBack,
                    "{here}: a status passed on to nobody"
                );
            }
            Fact::ChangeOrdered {
                order, recipients, ..
            } => {
                assert!(
                    !recipients.is_empty() && ChangeOrder::ALL.contains(order),
                    "{here}"
                );
            }
            _ => {}
        }
    }
}

/// The document that an event takes back.
fn taken_back_by(event: &Event) -> Option<DocumentUid> {
    match &event.fact {
        Fact::ChangeOrdered { document, order, .. } if order.takes_back() => Some(*document),
        Fact::StatusRecorded {
            document,
            code: StatusCode::TakeBack,
            ..
        } => Some(*document),
        _ => None,
    }
}

#[tokio::test]
async fn whatever_happens_in_whatever_order() {
    let told = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let (first, count) = (
        told("TRUC_SEED").unwrap_or(1),
        told("TRUC_HISTORIES").unwrap_or(HISTORIES),
    );
    println!("{count} histories from seed {first}");
    for seed in first..first + count {
        let mut life = Life::begin(seed).await;
        let steps = 4 + life.dice.roll(STEPS - 3);
        for step in 0..steps {
            life.step().await;
            life.check(step).await;
        }
        let report = life.hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, [], "seed {seed}");
    }
}
