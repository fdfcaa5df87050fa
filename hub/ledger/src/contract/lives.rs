//! Random lives of documents: recalls, take-backs, updates, replacements, operators' orders, repeats, stray and
//! late words, in any order and at any moment, with what must hold after every step.
//!
//! Each history is small and has its own ledger and seed, so that a failure names the seed that shows it.
//! `TRUC_HISTORIES=100000 cargo test -p truc-ledger lives` runs as many as one likes; `TRUC_SEED` begins
//! elsewhere; `TRUC_TRACE=1` prints every event.

use std::collections::{BTreeMap, BTreeSet};

use truc_model::wire::{Outgoing, Receipt, Taken, Withdrawn};
use truc_model::{
    ChangeOrder, ChangeState, DeliveryUid, DocumentUid, Operation, Party, Random, SeededRandom, Sha256,
    StatusCode, Urgency,
};

use super::MemoryBench;
use super::change_kit::{document, fail, four, packet, recall, say, three, two};
use super::kit::{Hub, agency, system};
use crate::command::Cleaning;
use crate::event::{Event, Fact};
use crate::{
    BalanceFilter, Claimed, DocumentChange, DocumentSubmission, DocumentView, OperatorAction, OperatorOrder,
    OperatorTarget, PlannedRecipient, PublishFailure, ReplacedDocument, Resend, StatusSubmission,
    SubmitOutcome, VerifyOptions,
};

/// Histories in `cargo test`.
const HISTORIES: u64 = 2000;
/// Most steps of one.
const STEPS: usize = 24;
/// Most rounds until all that waits has gone out.
const DRAIN_MAX: usize = 200;
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
    /// Deliveries that receipts promised.
    accepted: u64,
    /// The first receipt of each document.
    receipts: BTreeMap<DocumentUid, Receipt>,
    /// Statuses that were new to whoever wrote them down: document, recipient and code.
    reported: BTreeSet<(DocumentUid, Party, StatusCode)>,
    /// Receipts that said a status was passed on.
    promised: usize,
    /// Messages with a status that were handed out to be published.
    published: BTreeSet<DeliveryUid>,
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
            accepted: 0,
            receipts: BTreeMap::new(),
            reported: BTreeSet::new(),
            promised: 0,
            published: BTreeSet::new(),
        }
    }

    async fn step(&mut self) {
        self.hub
            .clock
            .advance(i64::try_from(self.dice.roll(200)).unwrap());
        match self.dice.roll(24) {
            0..=3 => self.send().await,
            4 => self.send_again().await,
            5..=7 => self.order().await,
            8..=10 => self.forward().await,
            11 => self.fail().await,
            12..=14 => self.take().await,
            15..=21 => self.report().await,
            22 => self.clean().await,
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
        match self.hub.ledger.submit_document(submission).await.unwrap() {
            SubmitOutcome::Accepted(receipt) => {
                let Receipt::Document(document) = &receipt else {
                    panic!("seed {}: a document's receipt", self.seed);
                };
                self.accepted += document.recipients.len() as u64;
                self.bytes.insert(receipt.document(), sha256);
                self.receipts.insert(receipt.document(), receipt);
            }
            SubmitOutcome::Repeat(receipt) => {
                let first = self.receipts.get(&receipt.document());
                assert_eq!(first, Some(&receipt), "seed {}: another receipt", self.seed);
            }
            SubmitOutcome::Refused(_) => {}
        }
    }

    /// Claims, and keeps account of the statuses among what is handed out.
    async fn claim(&mut self) -> Vec<Claimed> {
        let claimed = self.hub.claim().await;
        let statuses = claimed.iter().filter(|m| m.outgoing == Outgoing::Status);
        self.published.extend(statuses.map(|m| m.delivery));
        claimed
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
        let claimed = self.claim().await;
        self.in_hand.extend(claimed);
        if self.dice.roll(4) > 0 {
            let confirmed = std::mem::take(&mut self.in_hand);
            self.hub.confirm(&confirmed).await;
            self.out.extend(confirmed);
        }
    }

    async fn fail(&mut self) {
        if self.in_hand.is_empty() {
            let claimed = self.claim().await;
            self.in_hand.extend(claimed);
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
        let code = codes[self.dice.roll(codes.len())];
        let known: Vec<&Receipt> = self.receipts.values().collect();
        let of = self.dice.pick(&known).and_then(|receipt| match receipt {
            Receipt::Document(document) => {
                let line = self.dice.pick(&document.recipients)?;
                Some((document.document_id.clone(), (line.party, line.code)))
            }
            Receipt::Status(_) => None,
        });
        // Mostly of somebody who has something to say; at times of anybody about anything.
        let (id, (party, written)) = match (self.dice.roll(5), of) {
            (1.., Some(of)) => of,
            (_, _) => {
                let anybody = [
                    (agency(2), two().code),
                    (agency(3), three().code),
                    (agency(4), four().code),
                ];
                let id = format!("P{}", 1 + self.dice.roll(6));
                (id, self.dice.pick(&anybody).unwrap())
            }
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
        // The same again; under a new key; and written anew.
        if let (again @ 0..=2, Some(told)) = (self.dice.roll(8), self.dice.pick(&self.told)) {
            status = told;
            if again > 0 {
                status.key = self.hub.key(status.key.system.as_str());
            }
            if again > 1 {
                let body = format!("{} anew {}", status.code, self.told.len());
                status.sha256 = Sha256::of(body.as_bytes());
                status.size = body.len() as u64;
                status.body = body.into_bytes().into();
            }
        }
        self.told.push(status.clone());
        let code = status.code;
        let outcome = self.hub.ledger.submit_status(status).await.unwrap();
        if let SubmitOutcome::Accepted(Receipt::Status(receipt)) = outcome {
            let here = format!("seed {}: {code}", self.seed);
            self.promised += usize::from(receipt.passed_on);
            // What a recipient reports for the first time goes on to the sender; 01 to 03, 05 and 06 only once.
            let first = self.reported.insert((receipt.document, receipt.recipient, code));
            match code {
                StatusCode::TakeBack => {}
                StatusCode::Assigned | StatusCode::ChangeAgreed | StatusCode::ChangeRefused => {
                    assert!(receipt.passed_on || !first, "{here}: not passed on");
                }
                _ => assert_eq!(receipt.passed_on, first, "{here}: passed on {first}"),
            }
        }
    }

    /// The rest of the hub's work, without failures: whatever was promised goes out.
    async fn drain(&mut self) {
        self.hub.ledger.release_leases(super::kit::owner()).await.unwrap();
        for _ in 0..DRAIN_MAX {
            self.hub.clock.advance(3600);
            let claimed = self.claim().await;
            if claimed.is_empty() {
                return;
            }
            self.hub.confirm(&claimed).await;
            for message in claimed {
                let name = message.system.to_string();
                if message.outgoing.awaits_taken() {
                    self.hub.take(&name, &[message.delivery]).await;
                }
            }
        }
        panic!("seed {}: it never comes to an end", self.seed);
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
        assert_eq!(balance.total.accepted, self.accepted, "{here}: what receipts say");
        let (mut taken_back, mut orders) = (BTreeSet::new(), BTreeSet::new());
        for row in self.hub.ledger.events(self.seen + 1, usize::MAX).await.unwrap() {
            self.seen = row.seq;
            if std::env::var_os("TRUC_TRACE").is_some() {
                println!("{here}: {}", row.canonical);
            }
            let event = row.event().unwrap();
            self.check_event(&event, &here);
            taken_back.extend(taken_back_by(&event));
            if let Fact::ChangeOrdered { by, .. } = &event.fact {
                orders.insert(*by);
            }
        }
        assert_eq!(self.passed.len(), self.promised, "{here}: statuses passed on");
        let mut views = BTreeMap::new();
        for uid in self.bytes.keys() {
            views.insert(*uid, self.hub.view(*uid).await);
        }
        // From whom a document was taken back, its updates included.
        let first = |view: &DocumentView| view.document.amends.unwrap_or(view.document.uid);
        let called: BTreeSet<(DocumentUid, Party)> = views
            .values()
            .flat_map(|view| view.recipients.iter().map(move |row| (first(view), row)))
            .filter(|(_, row)| row.recalled.is_some())
            .map(|(first, row)| (first, row.party.clone()))
            .collect();
        for (uid, sha256) in self.bytes.clone() {
            let view = &views[&uid];
            let is_update = view.document.facts.operation == Operation::Update;
            let mut is_called = false;
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
                let from_here = called.contains(&(first(view), row.party.clone()));
                is_called |= from_here;
                let taken = row.state.name() == truc_model::delivery::TransportStateName::Taken;
                // An update that is still on its way is needed, unless it was ordered back itself.
                let gone = if is_update && !row.state.is_final() {
                    let messages = view.outbox.iter();
                    let mut back = messages.flat_map(|message| {
                        let its = Some(message.delivery) == row.delivery;
                        message.ordered_back.iter().filter(move |_| its)
                    });
                    back.any(|back| back.position == row.position)
                } else if is_update {
                    !taken || from_here
                } else {
                    row.recalled.is_some() || row.state.is_final() && !taken
                };
                holders += usize::from(!gone);
            }
            let of_family = is_update && is_called && taken_back.contains(&first(view));
            let recalled = taken_back.contains(&uid) || of_family && !orders.contains(&uid);
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
        life.drain().await;
        life.check(steps).await;
        let lost: Vec<_> = life.passed.difference(&life.published).collect();
        assert!(
            lost.is_empty(),
            "seed {seed}: statuses that never went out: {lost:?}"
        );
        let report = life.hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, [], "seed {seed}");
    }
}
