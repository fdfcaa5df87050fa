//! A month of a province: fifty agencies, generated, February 2026 with Tết in the middle, played through the ledger
//! with the hub looking every hour. At the end the late list is the one that a plain account of what happened
//! gives, a dozen and more cases reckoned by hand stand in it, and every limit was told once a level.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

mod cases;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::civil::DateTime;
use jiff::{SignedDuration, Timestamp};
use truc_calendar::Deadlines;
use truc_ledger::{
    BalanceFilter, ClaimRequest, ConflictPolicy, DocumentFacts, DocumentSubmission, EventKind, Fact,
    Forwarded, HubId, Ledger, MemoryStore, Plan, PlannedRecipient, SentLateQuery, Settings, StatusSubmission,
    Store, SubmissionKey, SubmitOutcome, TakenReport, VerifyOptions,
};
use truc_ledger_sqlite::SqliteStore;
use truc_model::clock::viet_nam;
use truc_model::wire::Taken;
use truc_model::{
    AgencyId, Clock as _, DeliveryUid, DocumentIdentity, LimitKind, ManualClock, MessageId, Operation, Party,
    Random as _, SeededRandom, Sha256, SignatureState, SignatureVerdict, StatusCode, SystemId, Urgency,
};
use truc_server::flow::limits::{self, LateQuery, LateStep};

use cases::{SENT, cases, sent};

/// Agencies of the province, each with a system of its own.
const AGENCIES: u32 = 50;
/// Generated documents.
const DOCUMENTS: u32 = 400;
/// When the list is looked at: Tuesday, the second working day after Tết.
const NOW: &str = "2026-02-24 10:00";

/// `2026-02-13 16:55` in Viet Nam time.
fn at(text: &str) -> Timestamp {
    let local: DateTime = text.replace(' ', "T").parse().unwrap();
    viet_nam().to_timestamp(local).unwrap()
}

fn shown(at: Timestamp) -> String {
    at.to_zoned(viet_nam()).strftime("%d/%m/%Y %H:%M").to_string()
}

/// What happens to one document; its only recipient unless it is generated.
#[derive(Debug, Clone)]
struct Story {
    id: String,
    sender: u32,
    recipient: u32,
    urgency: Urgency,
    /// Date of issue, and when it came.
    issued: jiff::civil::Date,
    comes: Timestamp,
    taken: Option<Timestamp>,
    /// Statuses: 13 of the sender, the others of the recipient.
    statuses: Vec<(Timestamp, &'static str)>,
}

/// Dice.
struct Dice(SeededRandom);

impl Dice {
    fn below(&self, end: u32) -> u32 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) % end
    }

    fn minutes(&self, end: u32) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.below(end)))
    }
}

/// What agencies do in a month: most in working hours, some at night and on days off; some answer soon, some late,
/// some never.
fn generated(seed: u64) -> Vec<Story> {
    let dice = Dice(SeededRandom::new(seed));
    let urgencies = [
        Urgency::Normal,
        Urgency::Normal,
        Urgency::Normal,
        Urgency::Urgent,
        Urgency::VeryUrgent,
        Urgency::Express,
    ];
    let first = at("2026-02-01 00:00");
    let story = |n: u32| {
        let day = SignedDuration::from_hours(24 * i64::from(dice.below(26)));
        let time = if dice.below(10) < 8 {
            SignedDuration::from_mins(450) + dice.minutes(570)
        } else {
            dice.minutes(1440)
        };
        let comes = first + day + time;
        let sender = 5 + dice.below(AGENCIES - 4);
        let recipient = 5 + (sender - 5 + 1 + dice.below(AGENCIES - 5)) % (AGENCIES - 4);
        let taken = (dice.below(20) > 0).then(|| comes + SignedDuration::from_mins(1) + dice.minutes(90));
        let mut statuses = Vec::new();
        if let Some(taken) = taken {
            let mut when = taken;
            for code in ["01", "03", "05", "06"] {
                when += SignedDuration::from_mins(1)
                    + if dice.below(4) == 0 {
                        dice.minutes(4000)
                    } else {
                        dice.minutes(300)
                    };
                if dice.below(6) == 0 {
                    break;
                }
                statuses.push((when, code));
            }
            if dice.below(8) == 0 {
                let asked = taken + SignedDuration::from_mins(2) + dice.minutes(6000);
                statuses.push((asked, "13"));
                match dice.below(3) {
                    0 => statuses.push((asked + dice.minutes(3000) + SignedDuration::from_mins(1), "15")),
                    1 => statuses.push((asked + dice.minutes(3000) + SignedDuration::from_mins(1), "16")),
                    _ => {}
                }
            }
            statuses.sort_by_key(|(when, _)| *when);
        }
        Story {
            id: format!("{n:04}"),
            sender,
            recipient,
            urgency: urgencies[dice.below(6) as usize],
            issued: comes.to_zoned(viet_nam()).date(),
            comes,
            taken,
            statuses,
        }
    };
    (0..DOCUMENTS).map(story).collect()
}

/// What is open at `now` by a plain account: kind, document, since when.
fn open_by_account(story: &Story, now: Timestamp) -> BTreeMap<LimitKind, Timestamp> {
    let mut open = BTreeMap::new();
    let mut taken = false;
    let mut happened: Vec<(Timestamp, &str)> = story.statuses.clone();
    happened.extend(story.taken.map(|when| (when, "taken")));
    happened.sort_by_key(|(when, what)| (*when, *what != "taken"));
    // Whether 01, or 02 to 06, was said; whether a recall waits; whether all is over.
    let (mut reported, mut accepted, mut asked, mut over) = (false, false, false, false);
    for (when, what) in happened.into_iter().filter(|(when, _)| *when <= now) {
        match what {
            "taken" => taken = true,
            "13" => asked |= !over,
            "15" => (over, asked) = (over || asked, false),
            "16" => asked = false,
            "01" if !over => reported = true,
            _ if !over => (reported, accepted) = (true, true),
            _ => {}
        }
        taken |= what != "13";
        let wants = [
            (LimitKind::Arrival, taken && !reported && !asked && !over),
            (LimitKind::Acceptance, taken && !accepted && !asked && !over),
            (LimitKind::Answer, taken && asked && !over),
        ];
        for (kind, wanted) in wants {
            if wanted {
                open.entry(kind).or_insert(when);
            } else {
                open.remove(&kind);
            }
        }
    }
    open
}

fn system(agency: u32) -> SystemId {
    SystemId::new(&format!("sys-{agency:02}")).unwrap()
}

fn code(agency: u32) -> String {
    format!("000.00.{agency:02}.H60")
}

/// The province at work.
struct Province {
    ledger: Ledger,
    clock: Arc<ManualClock>,
    ids: SeededRandom,
    deadlines: Deadlines,
    deliveries: BTreeMap<String, DeliveryUid>,
}

impl Province {
    fn new(store: Arc<dyn Store>, deadlines: Deadlines) -> Self {
        let clock = Arc::new(ManualClock::at(at("2026-02-01 00:00")));
        let random = Arc::new(SeededRandom::new(7));
        Self {
            ledger: Ledger::start(store, Arc::clone(&clock) as _, random, Settings::default()),
            clock,
            ids: SeededRandom::new(8),
            deadlines,
            deliveries: BTreeMap::new(),
        }
    }

    fn key(&self, agency: u32) -> SubmissionKey {
        SubmissionKey {
            system: system(agency),
            message_id: MessageId::new(self.ids.uuid_v7(self.clock.now())),
        }
    }

    async fn submit(&mut self, story: &Story) {
        let body: Arc<[u8]> = Arc::from(format!("packet {}", story.id).as_bytes());
        let now = self.clock.now();
        let submission = DocumentSubmission {
            key: self.key(story.sender),
            received_at: now,
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body: body.into(),
            identity: DocumentIdentity {
                sender: Party::Agency(AgencyId(story.sender)),
                document_id: story.id.clone(),
            },
            sender_formerly: vec![],
            sender_code: code(story.sender),
            facts: DocumentFacts {
                number: Some(story.id.clone()),
                notation: Some("UBND-VP".to_owned()),
                issued_on: Some(story.issued),
                year: Some(2026),
                type_name: None,
                subject: None,
                operation: Operation::New,
                urgency: story.urgency,
                refers_to: None,
                attachments: vec![],
                sent_late: limits::sent_late(&self.deadlines, story.urgency, story.issued, now),
            },
            verdict: SignatureVerdict {
                seal: SignatureState::Absent,
                xml: SignatureState::Absent,
                vouched_by_channel: true,
            },
            warnings: vec![],
            recipients: vec![PlannedRecipient::new(
                code(story.recipient),
                Party::Agency(AgencyId(story.recipient)),
                Plan::Deliver {
                    system: system(story.recipient),
                },
            )],
            change: None,
            conflict_policy: ConflictPolicy::Park,
            park: None,
            directory_version: 1,
        };
        let outcome = self.ledger.submit_document(submission).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)), "{outcome:?}");
        self.forward(story).await;
    }

    /// Forwards everything, and remembers by which delivery the story's document went.
    async fn forward(&mut self, story: &Story) {
        let request = ClaimRequest {
            window: 100_000,
            ..ClaimRequest::usual(HubId::new("hub-1"))
        };
        let claimed = self.ledger.claim(request).await.unwrap();
        let to = vec![code(story.recipient)];
        for message in &claimed {
            if message.outgoing == truc_model::wire::Outgoing::Document && message.to == to {
                self.deliveries.insert(story.id.clone(), message.delivery);
            }
        }
        let confirms = claimed.iter().map(|message| Forwarded {
            delivery: message.delivery,
            at: self.clock.now(),
            attempt: message.attempt,
        });
        self.ledger.forwarded(confirms.collect()).await.unwrap();
    }

    async fn take(&self, story: &Story) {
        let report = TakenReport {
            system: system(story.recipient),
            message_id: None,
            taken: Taken {
                taken: vec![self.deliveries[&story.id]],
                ..Taken::default()
            },
        };
        self.ledger.taken(report).await.unwrap();
    }

    async fn say(&self, story: &Story, digits: &str) {
        let code_said = StatusCode::from_digits(digits).unwrap();
        let (from, about) = if code_said.is_from_sender() {
            (story.sender, story.recipient)
        } else {
            (story.recipient, story.sender)
        };
        let body: Arc<[u8]> = Arc::from(format!("{digits} {}", story.id).as_bytes());
        let status = StatusSubmission {
            key: self.key(from),
            received_at: self.clock.now(),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            body,
            code: code_said,
            reporter: Party::Agency(AgencyId(from)),
            reporter_formerly: vec![],
            reporter_code: code(from),
            about: Party::Agency(AgencyId(about)),
            about_formerly: vec![],
            about_code: code(about),
            document_id: Some(story.id.clone()),
            number: None,
            year: None,
            to_system: None,
            reason_given: false,
            warnings: vec![],
        };
        let outcome = self.ledger.submit_status(status).await.unwrap();
        assert!(matches!(outcome, SubmitOutcome::Accepted(_)), "{outcome:?}");
    }

    async fn late(&self, kind: Option<LimitKind>) -> Vec<LateStep> {
        let asked = LateQuery {
            kind,
            party: None,
            max: 1000,
        };
        let (late, more) = limits::late(&self.ledger, &self.deadlines, &asked, self.clock.now())
            .await
            .unwrap();
        assert!(!more);
        late
    }

    /// Plays everything up to [`NOW`], looking every hour.
    async fn play(&mut self, stories: &[Story]) {
        let now = at(NOW);
        let mut acts: Vec<(Timestamp, u8, usize, &str)> = Vec::new();
        for (index, story) in stories.iter().enumerate() {
            acts.push((story.comes, 0, index, "comes"));
            acts.extend(story.taken.map(|when| (when, 1, index, "taken")));
            acts.extend(story.statuses.iter().map(|(when, code)| (*when, 2, index, *code)));
        }
        let mut look = at("2026-02-01 00:00");
        while look <= now {
            acts.push((look, 3, 0, "look"));
            look += SignedDuration::from_hours(1);
        }
        acts.retain(|(when, ..)| *when <= now);
        acts.sort_by_key(|(when, order, index, _)| (*when, *order, *index));
        for (when, _, index, what) in acts {
            let ahead = when.as_second() - self.clock.now().as_second();
            self.clock.advance(ahead);
            let story = &stories[index];
            match what {
                "comes" => self.submit(story).await,
                "taken" => self.take(story).await,
                "look" => {
                    limits::look(&self.ledger, &self.deadlines, when).await.unwrap();
                }
                code => self.say(story, code).await,
            }
        }
        assert_eq!(self.clock.now(), now);
    }
}

/// The late list in short: document, limit, due, minutes.
fn short(late: &[LateStep]) -> BTreeSet<(String, LimitKind, String, u64)> {
    let line = |step: &LateStep| {
        (
            step.line.document_id.clone(),
            step.line.limit.key.kind,
            shown(step.standing.due),
            step.standing.late_by.minutes(),
        )
    };
    late.iter().map(line).collect()
}

async fn a_month(store: Arc<dyn Store>, seed: u64) {
    println!("seed {seed}");
    let deadlines = Deadlines::shipped().unwrap();
    let cases = cases();
    let mut stories: Vec<Story> = cases.iter().map(|case| case.story.clone()).collect();
    stories.extend(sent());
    stories.extend(generated(seed));
    let mut province = Province::new(store, deadlines.clone());
    province.play(&stories).await;
    let now = at(NOW);

    let late = province.late(None).await;
    let list = short(&late);
    // By hand.
    for case in &cases {
        let found: BTreeSet<_> = list
            .iter()
            .filter(|line| line.0 == case.story.id)
            .cloned()
            .collect();
        let expected = case.late.iter().map(|(kind, due, minutes)| {
            let due = (*due).to_owned();
            (case.story.id.clone(), *kind, due, *minutes)
        });
        assert_eq!(found, expected.collect(), "seed {seed}, case {}", case.story.id);
    }
    // By a plain account of everything.
    let mut account = BTreeSet::new();
    for story in &stories {
        for (kind, began) in open_by_account(story, now) {
            let standing = deadlines.standing(kind, story.urgency, began, now).unwrap();
            if standing.level > 0 {
                let due = shown(standing.due);
                account.insert((story.id.clone(), kind, due, standing.late_by.minutes()));
            }
        }
    }
    assert_eq!(list, account, "seed {seed}");
    assert!(list.len() > 100, "seed {seed}: only {} late", list.len());
    let order: Vec<_> = late.iter().map(|step| step.standing.late_by).collect();
    assert!(order.is_sorted_by(|a, b| a >= b), "the latest first");

    // Everything late was told, up to its level and no further, and nothing twice.
    let mut told = BTreeSet::new();
    let mut twice = 0;
    for row in province.ledger.events(1, usize::MAX).await.unwrap() {
        if row.kind == EventKind::LimitPassed
            && let Fact::LimitPassed {
                document,
                recipients,
                limit,
                level,
                due,
                ..
            } = row.event().unwrap().fact
        {
            for position in recipients {
                twice += usize::from(!told.insert((document, position, limit, level, due)));
            }
        }
    }
    assert_eq!(twice, 0, "seed {seed}: told twice");
    for step in &late {
        assert_eq!(step.line.limit.told, step.standing.level, "seed {seed}: {step:?}");
    }
    let calm = limits::look(&province.ledger, &deadlines, now).await.unwrap();
    assert_eq!(calm, limits::Looked::default(), "there is nothing left to tell");

    // Sending.
    let query = SentLateQuery {
        party: Some(Party::Agency(AgencyId(3))),
        max: 10,
        ..SentLateQuery::default()
    };
    let found: BTreeMap<String, (String, u64)> = province
        .ledger
        .sent_late(&query)
        .await
        .unwrap()
        .into_iter()
        .map(|line| (line.document_id, (shown(line.late.due), line.late.late_by_min)))
        .collect();
    let expected = SENT.iter().filter_map(|(id, _, _, late)| {
        late.map(|(due, minutes)| ((*id).to_owned(), (due.to_owned(), minutes)))
    });
    assert_eq!(found, expected.collect(), "seed {seed}");

    let report = province.ledger.verify(&VerifyOptions::default()).await.unwrap();
    assert_eq!(report.findings, [], "seed {seed}");
    let balance = province.ledger.balance(&BalanceFilter::default()).await.unwrap();
    assert!(balance.balances(), "seed {seed}");
    println!(
        "seed {seed}: {} documents, {} late steps, {} told",
        stories.len(),
        list.len(),
        told.len()
    );
}

#[tokio::test]
async fn a_month_of_a_province_in_memory() {
    for seed in 1..=2 {
        a_month(Arc::new(MemoryStore::new()), seed).await;
    }
}

#[tokio::test]
async fn a_month_of_a_province_in_sqlite() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("month.db");
    SqliteStore::migrate(&path).await.unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    a_month(Arc::new(store), 1).await;
    // TRUC_MONTH keeps the ledger, to look at with `truc document late`.
    if let Some(keep) = std::env::var_os("TRUC_MONTH") {
        std::fs::copy(&path, keep).unwrap();
    }
}
