//! Random histories: whatever happens in whatever order, the ledger balances after every step, and every
//! back end does exactly what the memory twin does.

use truc_model::{ParkCause, Random, RefusalCode, SeededRandom, UndeliverableCause, Urgency};

use super::kit::{HOUR, Hub, agency, owner, to};
use super::{Bench, MemoryBench};
use crate::event::EventRow;
use crate::{
    BalanceFilter, ClaimRequest, Claimed, ConflictPolicy, DocumentFilter, DocumentSubmission, Plan,
    PlannedRecipient, PublishFailed, PublishFailure, Resend, Settings, StatusSubmission, VerifyOptions,
};

/// Seeds of the histories.
const SEEDS: std::ops::Range<u64> = 1..7;
/// Steps of each.
const STEPS: usize = 60;

struct Dice(SeededRandom);

impl Dice {
    fn roll(&self, sides: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % sides as u64).unwrap()
    }

    fn pick<'a, T>(&self, from: &'a [T]) -> Option<&'a T> {
        (!from.is_empty()).then(|| &from[self.roll(from.len())])
    }
}

/// One run. Two runs with one seed do the same, as long as their ledgers do.
struct Run {
    hub: Hub,
    dice: Dice,
    sent: Vec<DocumentSubmission>,
    told: Vec<StatusSubmission>,
    in_hand: Vec<Claimed>,
    out: Vec<Claimed>,
}

pub async fn random_histories_balance_at_every_step(bench: &dyn Bench) {
    // One bench is one ledger: the histories follow each other on it, as on its twin.
    let twin = MemoryBench::default();
    for seed in SEEDS {
        let mut run = Run::begin(bench, seed).await;
        let mut twin_run = Run::begin(&twin, seed).await;
        for step in 0..STEPS {
            let here = run.step().await;
            let there = twin_run.step().await;
            assert_eq!(here, there, "seed {seed} step {step}");
            let balance = run.hub.ledger.balance(&BalanceFilter::default()).await.unwrap();
            assert!(balance.balances(), "seed {seed} step {step}: {balance:#?}");
        }
        let report = run.hub.ledger.verify(&VerifyOptions::default()).await.unwrap();
        assert_eq!(report.findings, [], "seed {seed}");
        assert_eq!(run.everything().await, twin_run.everything().await, "seed {seed}");
    }
}

impl Run {
    async fn begin(bench: &dyn Bench, seed: u64) -> Self {
        let hub = Hub::with(bench, Settings::default(), seed).await;
        hub.clock.advance(i64::try_from(seed).unwrap() * 86_400);
        Self {
            hub,
            dice: Dice(SeededRandom::new(seed * 7919)),
            sent: Vec::new(),
            told: Vec::new(),
            in_hand: Vec::new(),
            out: Vec::new(),
        }
    }

    /// Does one thing; gives what came of it, in words that can be compared.
    async fn step(&mut self) -> String {
        self.hub.clock.advance(i64::try_from(self.dice.roll(90)).unwrap());
        match self.dice.roll(14) {
            0..=2 => self.send().await,
            3 => self.send_again().await,
            4 | 5 => self.claim().await,
            6 | 7 => self.confirm().await,
            8 => self.fail().await,
            9 => self.take().await,
            10 | 11 => self.report().await,
            12 => self.burst().await,
            _ => self.operate().await,
        }
    }

    fn a_document(&self) -> DocumentSubmission {
        let mut submission = self.hub.document(&self.dice.roll(12).to_string());
        let salt = self.dice.roll(3);
        for _ in 0..salt {
            submission = self.hub.rival(&submission);
        }
        submission.identity.sender = agency(u32::try_from(1 + self.dice.roll(2)).unwrap());
        submission.facts.urgency = Urgency::from_number(u8::try_from(self.dice.roll(5)).unwrap()).unwrap();
        submission.conflict_policy = [
            ConflictPolicy::Park,
            ConflictPolicy::Refuse,
            ConflictPolicy::Deliver,
        ][self.dice.roll(3)];
        submission.park = (self.dice.roll(9) == 0).then_some(ParkCause::SecretMarking);
        submission.recipients = (0..=self.dice.roll(4)).map(|_| self.a_recipient()).collect();
        submission
    }

    fn a_recipient(&self) -> PlannedRecipient {
        let number = u32::try_from(3 + self.dice.roll(6)).unwrap();
        let mut recipient = to(
            &format!("H53.{number}"),
            number,
            ["so", "vxp", "huyen"][self.dice.roll(3)],
        );
        match self.dice.roll(8) {
            0 => recipient.plan = Plan::Undeliverable(UndeliverableCause::NoSystem),
            1 => recipient.plan = Plan::Park(ParkCause::AmbiguousSuccessor),
            _ => {}
        }
        recipient
    }

    async fn send(&mut self) -> String {
        let submission = self.a_document();
        self.sent.push(submission.clone());
        format!("{:?}", self.hub.ledger.submit_document(submission).await)
    }

    async fn send_again(&mut self) -> String {
        let Some(mut submission) = self.dice.pick(&self.sent).cloned() else {
            return String::new();
        };
        match self.dice.roll(3) {
            0 => submission.key = self.hub.key("xa"),
            1 => {
                let key = submission.key.clone();
                submission = self.hub.rival(&submission);
                submission.key = key;
            }
            _ => {}
        }
        format!("{:?}", self.hub.ledger.submit_document(submission).await)
    }

    async fn claim(&mut self) -> String {
        let request = ClaimRequest {
            max: self.dice.roll(8),
            answers_max: self.dice.roll(8),
            window: u32::try_from(self.dice.roll(5)).unwrap(),
            urgent_extra: u32::try_from(self.dice.roll(3)).unwrap(),
            ..ClaimRequest::usual(owner())
        };
        let claimed = self.hub.ledger.claim(request).await.unwrap();
        let words = format!("{claimed:?}");
        self.in_hand.extend(claimed);
        words
    }

    async fn confirm(&mut self) -> String {
        let confirmed: Vec<Claimed> = match self.dice.roll(3) {
            0 => self.dice.pick(&self.in_hand).cloned().into_iter().collect(),
            _ => std::mem::take(&mut self.in_hand),
        };
        self.hub.confirm(&confirmed).await;
        self.out.extend(confirmed);
        String::new()
    }

    async fn fail(&mut self) -> String {
        let Some(message) = self.dice.pick(&self.in_hand).cloned() else {
            return String::new();
        };
        let now = self.hub.ledger.now();
        let failed = PublishFailed {
            delivery: message.delivery,
            at: now,
            failure: PublishFailure::ALL[self.dice.roll(PublishFailure::ALL.len())],
            next_try: now + HOUR / 60,
        };
        format!("{:?}", self.hub.ledger.publish_failed(failed).await.is_ok())
    }

    async fn take(&mut self) -> String {
        let known = if self.dice.roll(4) == 0 {
            &self.in_hand
        } else {
            &self.out
        };
        let Some(message) = self.dice.pick(known).cloned() else {
            return String::new();
        };
        let name = match self.dice.roll(6) {
            0 => "stranger".to_owned(),
            _ => message.system.to_string(),
        };
        let outcome = match self.dice.roll(4) {
            0 => self.hub.decline(&name, &[message.delivery]).await,
            _ => self.hub.take(&name, &[message.delivery]).await,
        };
        format!("{outcome:?}")
    }

    fn a_status(&self) -> StatusSubmission {
        let codes = ["01", "02", "03", "04", "05", "06", "15", "16"];
        let id = self.dice.roll(13).to_string();
        let sender = agency(u32::try_from(1 + self.dice.roll(2)).unwrap());
        let recipient = agency(u32::try_from(3 + self.dice.roll(7)).unwrap());
        let mut status = match self.dice.roll(6) {
            0 => StatusSubmission {
                reporter: sender,
                about: recipient,
                ..self.hub.take_back(&id)
            },
            _ => StatusSubmission {
                reporter: recipient,
                about: sender,
                ..self.hub.status(codes[self.dice.roll(codes.len())], &id)
            },
        };
        if self.dice.roll(3) == 0 {
            status.number = Some(format!("{id}/UBND-VP"));
            status.document_id = None;
        }
        status
    }

    async fn report(&mut self) -> String {
        let status = match (self.dice.roll(5), self.dice.pick(&self.told)) {
            (0, Some(told)) => told.clone(),
            _ => self.a_status(),
        };
        self.told.push(status.clone());
        format!("{:?}", self.hub.ledger.submit_status(status).await)
    }

    /// Several things in one batch.
    async fn burst(&mut self) -> String {
        let (a, b) = (self.a_document(), self.a_document());
        let (c, d) = (a.clone(), self.a_status());
        let ledger = &self.hub.ledger;
        let refused = self.hub.refused("x", RefusalCode::Loop);
        let all = tokio::join!(
            ledger.submit_document(a),
            ledger.submit_status(d),
            ledger.submit_document(b),
            ledger.refuse(refused),
            ledger.submit_document(c),
        );
        format!("{all:?}")
    }

    async fn operate(&mut self) -> String {
        let ledger = &self.hub.ledger;
        match self.dice.roll(4) {
            0 => format!("{:?}", ledger.release_leases(owner()).await),
            1 => {
                self.hub.clock.advance(600);
                format!("{:?}", ledger.not_taken_alerts(HOUR / 6).await)
            }
            2 => {
                let mut refused = self.hub.refused("refused", RefusalCode::SealMissing);
                refused.sender = (self.dice.roll(2) == 0).then(|| agency(1));
                format!("{:?}", ledger.refuse(refused).await)
            }
            _ => {
                let lines = ledger.documents(&DocumentFilter::default()).await.unwrap();
                let Some(line) = self.dice.pick(&lines) else {
                    return String::new();
                };
                let order = Resend {
                    document: line.uid,
                    party: None,
                    who: "van-hanh".to_owned(),
                    why: "thử".to_owned(),
                };
                format!("{:?}", ledger.resend(order).await)
            }
        }
    }

    /// All events and, of every document, everything.
    async fn everything(&self) -> (Vec<EventRow>, Vec<String>) {
        let ledger = &self.hub.ledger;
        let mut events = Vec::new();
        loop {
            let page = ledger.events(events.len() as u64 + 1, usize::MAX).await.unwrap();
            if page.is_empty() {
                break;
            }
            events.extend(page);
        }
        let mut views = Vec::new();
        for line in ledger.documents(&DocumentFilter::default()).await.unwrap() {
            views.push(format!("{line:?} {:?}", ledger.document(line.uid).await.unwrap()));
        }
        views.push(format!(
            "{:?}",
            ledger.refusals(&crate::RefusalFilter::default()).await.unwrap()
        ));
        views.push(format!("{:?}", ledger.inbox_counts().await.unwrap()));
        (events, views)
    }
}
