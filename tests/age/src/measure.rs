//! Measures: the way of documents through the ledger, and every question people and the hub ask of it, on the filled
//! ledger and on an empty one in turn.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use truc_ledger::contract::aged::{document, document_id, number_and_notation, number_of, system_of};
use truc_ledger::query::PAGE_MAX;
use truc_ledger::{
    BalanceFilter, ClaimRequest, DocumentFilter, Forwarded, HubId, Ledger, Period, Settings, Store,
    SubmitOutcome, TakenReport, VerifyOptions,
};
use truc_model::delivery::TransportStateName;
use truc_model::wire::Taken;
use truc_model::{AgencyId, Clock, MessageId, Party, Random, SystemClock, SystemRandom};

use crate::place::Place;
use crate::{Failed, report};

/// Submissions under way at once, as many as the hub takes from the broker.
const UNDER_WAY: usize = 256;

/// Documents of the empty ledger before anything is measured: so that questions have something to find.
const EMPTY_HAS: u64 = 1000;

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Rounds of intake.
    pub rounds: usize,
    /// Documents in a round.
    pub documents: u64,
    /// How often each question is asked.
    pub questions: usize,
    /// Also ask what reads the whole ledger.
    pub whole: bool,
}

/// One ledger that is measured.
struct Subject {
    ledger: Ledger,
    /// Documents in it, by the numbers they were made of.
    documents: u64,
    next: u64,
    random: SystemRandom,
}

/// Measures and prints.
///
/// # Errors
/// [`Failed`].
pub(crate) async fn measure(place: &Place, plan: &Plan) -> Result<(), Failed> {
    let mut old = Subject::open(place.old().await?).await?;
    let mut empty = Subject::open(place.empty().await?).await?;
    empty.through(EMPTY_HAS).await?;
    let flush = flush_ms(place)?;
    println!(
        "old: {} documents; empty: {}; disk flush p50 {flush:.1} ms\n",
        report::number(old.documents),
        report::number(empty.documents)
    );
    intake(&mut old, &mut empty, plan).await?;
    questions(&old, &empty, plan).await?;
    println!("\nmemory of this process at most: {} MiB", peak_mib());
    place.remove_empty();
    Ok(())
}

/// Accepted, claimed, forwarded, taken: documents a second, old and empty in turn.
async fn intake(old: &mut Subject, empty: &mut Subject, plan: &Plan) -> Result<(), Failed> {
    println!("documents a second, accepted to taken   old    empty   ratio");
    let mut ratios = Vec::new();
    for round in 1..=plan.rounds {
        let (a, b) = if round % 2 == 0 {
            let b = empty.through(plan.documents).await?;
            (old.through(plan.documents).await?, b)
        } else {
            let a = old.through(plan.documents).await?;
            (a, empty.through(plan.documents).await?)
        };
        let of = |time: Duration| plan.documents as f64 / time.as_secs_f64();
        ratios.push(of(a) / of(b));
        println!(
            "  round {round:<2} {:>30.0} {:>8.0} {:>7.2}",
            of(a),
            of(b),
            of(a) / of(b)
        );
    }
    ratios.sort_by(f64::total_cmp);
    if let Some(median) = ratios.get(ratios.len() / 2) {
        println!("  median {median:>47.2}");
    }
    Ok(())
}

/// Each question on both, in turn.
async fn questions(old: &Subject, empty: &Subject, plan: &Plan) -> Result<(), Failed> {
    println!(
        "\n{:<44} {:>17} {:>17}",
        "milliseconds", "old p50 / p95", "empty p50 / p95"
    );
    for question in Question::ALL {
        let (mut a, mut b) = (Vec::new(), Vec::new());
        // The first one warms the connection up.
        for turn in 0..=plan.questions.min(question.times_max()) {
            let (one, other) = (old.ask(question, turn).await?, empty.ask(question, turn).await?);
            if turn > 0 {
                a.push(one);
                b.push(other);
            }
        }
        line(question.words(), &mut a, &mut b);
    }
    if plan.whole {
        for question in [Whole::Figures, Whole::Balance, Whole::Verify] {
            let mut a = vec![question.ask(&old.ledger).await?];
            let mut b = vec![question.ask(&empty.ledger).await?];
            line(question.words(), &mut a, &mut b);
        }
    }
    Ok(())
}

fn line(words: &str, a: &mut [Duration], b: &mut [Duration]) {
    println!(
        "{words:<44} {:>8.2} {:>8.2} {:>8.2} {:>8.2}",
        report::share(a, 50),
        report::share(a, 95),
        report::share(b, 50),
        report::share(b, 95)
    );
}

/// What people and the hub ask again and again.
#[derive(Debug, Clone, Copy)]
enum Question {
    Trace,
    FindNumber,
    FindMessage,
    Newest,
    Deep,
    OfSender,
    OfRecipient,
    OfParty,
    OfSystem,
    Scheduled,
    TakenState,
    Refused,
    OfMonth,
    OfOldDay,
    Search,
    Text,
    MonthOfAgency,
    DayFigures,
    MonthFigures,
    Inboxes,
    Troubles,
    Late,
    Stuck,
    OpenAlerts,
    LimitsOpen,
    Signatures,
}

impl Question {
    const ALL: [Self; 26] = [
        Self::Trace,
        Self::FindNumber,
        Self::FindMessage,
        Self::Newest,
        Self::Deep,
        Self::OfSender,
        Self::OfRecipient,
        Self::OfParty,
        Self::OfSystem,
        Self::Scheduled,
        Self::TakenState,
        Self::Refused,
        Self::OfMonth,
        Self::OfOldDay,
        Self::Search,
        Self::Text,
        Self::MonthOfAgency,
        Self::DayFigures,
        Self::MonthFigures,
        Self::Inboxes,
        Self::Troubles,
        Self::Late,
        Self::Stuck,
        Self::OpenAlerts,
        Self::LimitsOpen,
        Self::Signatures,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Trace => "find by DocumentId and show all of it",
            Self::FindNumber => "find by number and notation",
            Self::FindMessage => "find by message_id and show all of it",
            Self::Newest => "list: newest page",
            Self::Deep => "list: a page far back",
            Self::OfSender => "list: of one sender",
            Self::OfRecipient => "list: to one recipient",
            Self::OfParty => "list: of or to one agency",
            Self::OfSystem => "list: by or to one system",
            Self::Scheduled => "list: scheduled",
            Self::TakenState => "list: taken",
            Self::Refused => "list: refused by an adapter",
            Self::OfMonth => "list: of a month",
            Self::OfOldDay => "list: until a day long ago",
            Self::Search => "search: part of a DocumentId, bounded",
            Self::Text => "list: part of a DocumentId, all of it",
            Self::MonthOfAgency => "list: to one recipient, of a month",
            Self::DayFigures => "balance by the tables, of a day",
            Self::MonthFigures => "balance by the tables, of a month",
            Self::Inboxes => "inboxes",
            Self::Troubles => "alerts: troubles of inboxes",
            Self::Late => "late",
            Self::Stuck => "stuck",
            Self::OpenAlerts => "alerts: open ones",
            Self::LimitsOpen => "time limits: first page of one sort",
            Self::Signatures => "signatures, of a day",
        }
    }

    /// Slow ones are asked less often.
    const fn times_max(self) -> usize {
        match self {
            Self::MonthFigures | Self::Text => 5,
            Self::DayFigures | Self::Signatures => 20,
            _ => usize::MAX,
        }
    }
}

/// What reads the whole ledger.
#[derive(Debug, Clone, Copy)]
enum Whole {
    Figures,
    Balance,
    Verify,
}

impl Whole {
    const fn words(self) -> &'static str {
        match self {
            Self::Figures => "balance by the tables, of all",
            Self::Balance => "balance, replayed",
            Self::Verify => "verify",
        }
    }

    async fn ask(self, ledger: &Ledger) -> Result<Duration, Failed> {
        let begun = Instant::now();
        match self {
            Self::Figures => {
                ledger.balance_figures(&BalanceFilter::default()).await?;
            }
            Self::Balance => {
                let balance = ledger.balance(&BalanceFilter::default()).await?;
                if !balance.balances() {
                    return Err(Failed::Other("the ledger does not balance".to_owned()));
                }
            }
            Self::Verify => {
                let report = ledger.verify(&VerifyOptions::default()).await?;
                if let Some(finding) = report.findings.first() {
                    return Err(Failed::Other(format!("the ledger is not sound: {finding:?}")));
                }
            }
        }
        Ok(begun.elapsed())
    }
}

impl Subject {
    async fn open(store: Arc<dyn Store>) -> Result<Self, Failed> {
        let settings = Settings::default();
        let ledger = Ledger::start(
            store,
            Arc::new(SystemClock),
            Arc::new(SystemRandom::default()),
            settings,
        );
        let newest = DocumentFilter {
            limit: 1,
            ..DocumentFilter::default()
        };
        let newest = ledger.documents(&newest).await?.pop();
        let documents = newest
            .and_then(|line| number_of(&line.document_id))
            .map_or(0, |number| number + 1);
        Ok(Self {
            ledger,
            documents,
            next: documents,
            random: SystemRandom::default(),
        })
    }

    /// Has documents accepted, forwarded and taken; gives how long it took.
    async fn through(&mut self, count: u64) -> Result<Duration, Failed> {
        let now = SystemClock.now();
        // Made before the clock starts, as adapters make them elsewhere.
        let made = (self.next..self.next + count).map(|number| {
            let message_id = MessageId::new(self.random.uuid_v7(now));
            document(number, message_id, now)
        });
        let mut made: Vec<_> = made.collect();
        made.reverse();
        self.next += count;
        let begun = Instant::now();
        let submitting = async {
            let mut under_way = FuturesUnordered::new();
            while !made.is_empty() || !under_way.is_empty() {
                while under_way.len() < UNDER_WAY {
                    let Some(submission) = made.pop() else { break };
                    under_way.push(self.ledger.submit_document(submission));
                }
                match under_way.next().await {
                    Some(Ok(SubmitOutcome::Accepted(_))) | None => {}
                    Some(Ok(other)) => return Err(Failed::Other(format!("not accepted: {other:?}"))),
                    Some(Err(error)) => return Err(error.into()),
                }
            }
            Ok(())
        };
        let delivering = async {
            // Every document has a receipt at least.
            let mut receipts = 0;
            loop {
                let claimed = self
                    .ledger
                    .claim(ClaimRequest::usual(HubId::new("hub-1")))
                    .await?;
                if claimed.is_empty() {
                    if receipts >= count {
                        return Ok::<(), Failed>(());
                    }
                    tokio::task::yield_now().await;
                    continue;
                }
                let at = SystemClock.now();
                let confirms = claimed.iter().map(|message| Forwarded {
                    delivery: message.delivery,
                    at,
                    attempt: message.attempt,
                });
                self.ledger.forwarded(confirms.collect()).await?;
                let mut said = std::collections::BTreeMap::<_, Taken>::new();
                for message in &claimed {
                    if message.outgoing.awaits_taken() {
                        let taken = said.entry(message.system.clone()).or_default();
                        taken.taken.push(message.delivery);
                    } else {
                        receipts += 1;
                    }
                }
                let reports = said.into_iter().map(|(system, taken)| {
                    self.ledger.taken(TakenReport {
                        system,
                        message_id: Some(MessageId::new(self.random.uuid_v7(at))),
                        taken,
                    })
                });
                for outcome in futures_util::future::join_all(reports).await {
                    outcome?;
                }
            }
        };
        let (submitted, delivered) = tokio::join!(submitting, delivering);
        submitted?;
        delivered?;
        Ok(begun.elapsed())
    }

    /// Some document of the ledger; another one at each turn.
    fn some(&self, turn: usize) -> u64 {
        (turn as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) % self.documents.max(1)
    }

    async fn ask(&self, question: Question, turn: usize) -> Result<Duration, Failed> {
        let number = self.some(turn);
        let party = Party::Agency(AgencyId(u32::try_from(number % 1500).unwrap_or(0)));
        // Looked up before the clock starts.
        let known = self.ledger.find(&document_id(number)).await?;
        let known = known.first().copied();
        let view = match known {
            Some(uid) => self.ledger.document(uid).await?,
            None => None,
        };
        let view = view.ok_or_else(|| Failed::Other(format!("document {number} is not there")))?;
        let accepted = view.document.accepted_at;
        let page = DocumentFilter {
            limit: 50,
            ..DocumentFilter::default()
        };
        let begun = Instant::now();
        match question {
            Question::Trace => self.show(&document_id(number)).await?,
            Question::FindMessage => self.show(&view.document.key.message_id.to_string()).await?,
            Question::FindNumber => {
                let (plain, notation) = number_and_notation(number);
                self.ledger.find(&format!("{plain}/{notation}")).await?;
            }
            Question::Newest => self.list(page).await?,
            Question::Deep => {
                let before = Some(view.document.event);
                self.list(DocumentFilter { before, ..page }).await?;
            }
            Question::OfSender => {
                let sender = Some(party);
                self.list(DocumentFilter { sender, ..page }).await?;
            }
            Question::OfRecipient => {
                let recipient = Some(party);
                self.list(DocumentFilter { recipient, ..page }).await?;
            }
            Question::OfParty => {
                let party = Some(party);
                self.list(DocumentFilter { party, ..page }).await?;
            }
            Question::OfSystem => {
                let system = Some(system_of(u32::try_from(number % 1500).unwrap_or(0)));
                self.list(DocumentFilter { system, ..page }).await?;
            }
            Question::Scheduled => self.in_state(TransportStateName::Scheduled, page).await?,
            Question::TakenState => self.in_state(TransportStateName::Taken, page).await?,
            Question::Refused => self.in_state(TransportStateName::Refused, page).await?,
            Question::OfMonth => {
                let Period { since, until } = around(accepted, 15);
                self.list(DocumentFilter { since, until, ..page }).await?;
            }
            Question::MonthOfAgency => {
                let Period { since, until } = around(accepted, 15);
                let recipient = Some(party);
                let filter = DocumentFilter {
                    recipient,
                    since,
                    until,
                    ..page
                };
                self.list(filter).await?;
            }
            Question::OfOldDay => {
                let until = Some(accepted);
                self.list(DocumentFilter { until, ..page }).await?;
            }
            Question::Search => {
                let text = Some(format!("{number:09}"));
                self.ledger.search(&DocumentFilter { text, ..page }).await?;
            }
            Question::Text => {
                let text = Some(format!("{number:09}"));
                self.list(DocumentFilter { text, ..page }).await?;
            }
            Question::DayFigures => self.figures(around(accepted, 0)).await?,
            Question::MonthFigures => self.figures(around(accepted, 15)).await?,
            Question::Inboxes => {
                self.ledger.inbox_counts().await?;
            }
            Question::Troubles => {
                self.ledger.inbox_troubles(5, accepted).await?;
            }
            Question::Late => {
                self.ledger.late_untaken(Duration::from_hours(24)).await?;
            }
            Question::Stuck => {
                self.ledger.stuck(Duration::from_hours(4)).await?;
            }
            Question::OpenAlerts => {
                self.ledger
                    .open_alerts(&truc_ledger::alert::AlertFilter::default())
                    .await?;
            }
            Question::LimitsOpen => {
                let query = truc_ledger::LimitQuery {
                    kind: truc_model::LimitKind::Arrival,
                    urgency: truc_model::Urgency::Normal,
                    told: 0,
                    began_until: accepted,
                    party: None,
                    max: 500,
                };
                self.ledger.open_limits(&query).await?;
            }
            Question::Signatures => {
                self.ledger.signature_counts(around(accepted, 0)).await?;
            }
        }
        Ok(begun.elapsed())
    }

    async fn show(&self, text: &str) -> Result<(), Failed> {
        let found = self.ledger.find(text).await?;
        let Some(uid) = found.first() else {
            return Err(Failed::Other("a document that is there was not found".to_owned()));
        };
        self.ledger.document(*uid).await?;
        Ok(())
    }

    async fn list(&self, filter: DocumentFilter) -> Result<(), Failed> {
        let lines = self.ledger.documents(&filter).await?;
        if lines.len() > PAGE_MAX {
            return Err(Failed::Other("a page longer than a page".to_owned()));
        }
        Ok(())
    }

    async fn in_state(&self, state: TransportStateName, page: DocumentFilter) -> Result<(), Failed> {
        let state = Some(state);
        self.list(DocumentFilter { state, ..page }).await
    }

    async fn figures(&self, period: Period) -> Result<(), Failed> {
        let filter = BalanceFilter {
            sender: None,
            since: period.since,
            until: period.until,
        };
        self.ledger.balance_figures(&filter).await?;
        Ok(())
    }
}

/// Half a day and so many days on either side.
fn around(at: Timestamp, days: i64) -> Period {
    let half = SignedDuration::from_hours(12 + 24 * days);
    Period {
        since: Some(at - half),
        until: Some(at + half),
    }
}

/// The median time of a flush to the disk where the ledger is.
fn flush_ms(place: &Place) -> Result<f64, Failed> {
    use std::io::Write as _;
    let probe = place.probe();
    let failed = |error: std::io::Error| Failed::Other(error.to_string());
    let mut file = std::fs::File::create(&probe).map_err(failed)?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        times.push(begun.elapsed());
    }
    std::fs::remove_file(&probe).map_err(failed)?;
    Ok(report::share(&mut times, 50))
}

/// The most memory this process ever had, in MiB.
fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
