//! Retention: what is kept and how old it is, and the deletion of what is old enough.
//!
//! Beside the way of a document, not on it. It decides nothing: the ledger deletes only what is finished and
//! old enough in the very transaction, and writes the event that proves it (`docs/operating/retention.md`). The
//! hub does it every night at the configured time of its clock; the command line, whenever it is told to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;
use truc_ledger::{
    BODIES_DELETED_MAX, BodyPlace, DeleteBodies, DeletedBodies, KeptBody, KeptKind, Ledger, LedgerError,
    RetentionAges,
};
use truc_model::clock::viet_nam;
use truc_model::{Clock, Sha256};

use crate::app::stopped;
use crate::config;
use crate::telemetry::{Event, emit};

/// Who deletes when nobody ordered it: the hub itself.
pub const HUB_WHO: &str = "truc";

/// How many bodies are looked at in one read.
pub const PAGE: usize = 500;

/// Most bytes of one batch; a single larger body still goes. Deleting overwrites, and everybody else who has
/// something for the ledger waits as long.
pub const BATCH_BYTES_MAX: u64 = 16 << 20;

/// One line of a survey: bodies of one kind, alike finished or not, of one age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Line {
    /// What they are.
    pub kind: KeptKind,
    /// Whether something about them is open: these stay, whatever their age.
    pub open: bool,
    /// Since when finished; of the open ones, since when accepted.
    pub age: Age,
}

/// An age, in steps people think in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Age {
    /// Less than 30 days.
    Month,
    /// 30 to 89 days.
    Quarter,
    /// 90 to 364 days.
    Year,
    /// 365 days and more.
    Older,
}

impl Age {
    /// Of so many whole days.
    #[must_use]
    pub const fn of_days(days: i64) -> Self {
        match days {
            ..30 => Self::Month,
            30..90 => Self::Quarter,
            90..365 => Self::Year,
            _ => Self::Older,
        }
    }

    /// For programs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Month => "under-30-days",
            Self::Quarter => "30-to-89-days",
            Self::Year => "90-to-364-days",
            Self::Older => "365-days-and-more",
        }
    }
}

/// How many, how large, how old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sum {
    /// Bodies.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The oldest.
    pub oldest: Option<Timestamp>,
    /// Of these, how many may go now.
    pub due: u64,
    /// Their bytes.
    pub due_bytes: u64,
}

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// By kind, state and age.
    pub lines: BTreeMap<Line, Sum>,
    /// All together.
    pub total: Sum,
}

impl Survey {
    fn count(&mut self, body: &KeptBody, ages: &RetentionAges, now: Timestamp) {
        let finished = body.finished_at();
        let since = finished.or_else(|| accepted_at(body));
        let days = since.map_or(0, |since| now.duration_since(since).as_hours() / 24);
        let due = is_due(body, ages, now);
        let line = Line {
            kind: body.kind(),
            open: finished.is_none(),
            age: Age::of_days(days),
        };
        for sum in [self.lines.entry(line).or_default(), &mut self.total] {
            sum.count += 1;
            sum.bytes += body.size;
            sum.oldest = match (sum.oldest, since) {
                (Some(oldest), Some(since)) => Some(oldest.min(since)),
                (oldest, since) => oldest.or(since),
            };
            sum.due += u64::from(due);
            sum.due_bytes += if due { body.size } else { 0 };
        }
    }
}

/// When the first thing that names it was accepted.
fn accepted_at(body: &KeptBody) -> Option<Timestamp> {
    let documents = body.documents.iter().map(|document| document.accepted_at);
    let statuses = body.statuses.iter().map(|status| status.accepted_at);
    documents.chain(statuses).min()
}

fn is_due(body: &KeptBody, ages: &RetentionAges, now: Timestamp) -> bool {
    body.due_at(ages).is_some_and(|at| at <= now)
}

/// Looks at everything that is kept. Reads only, in pages: a running hub is not disturbed.
///
/// # Errors
/// [`LedgerError::Store`] when the ledger cannot be read.
pub async fn survey(ledger: &Ledger, ages: &RetentionAges) -> Result<Survey, LedgerError> {
    let mut survey = Survey::default();
    let mut after = None;
    loop {
        let page = ledger.kept_bodies(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(survey);
        };
        after = Some(last.sha256);
        let now = ledger.now();
        for body in &page {
            survey.count(body, ages, now);
        }
    }
}

/// What a sweep deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Swept {
    /// Bodies.
    pub count: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The events that say so, one a batch.
    pub events: Vec<u64>,
}

/// Deletes everything that is old enough, in bounded batches between which others have their turn. Stops early
/// when told to: what is left is old enough tomorrow too.
///
/// # Errors
/// [`LedgerError::Store`]: the batches before it stand.
pub async fn sweep(
    ledger: &Ledger,
    ages: &RetentionAges,
    who: &str,
    stop: impl Fn() -> bool,
) -> Result<Swept, LedgerError> {
    let mut swept = Swept::default();
    let mut after = None;
    loop {
        let page = ledger.kept_bodies(after, PAGE).await?;
        let Some(last) = page.last() else {
            return Ok(swept);
        };
        after = Some(last.sha256);
        let now = ledger.now();
        for digests in batches(page.iter().filter(|body| is_due(body, ages, now))) {
            if stop() {
                return Ok(swept);
            }
            let order = DeleteBodies {
                digests,
                ages: *ages,
                who: who.to_owned(),
            };
            let DeletedBodies { count, bytes, event } = ledger.delete_bodies(order).await?;
            swept.count += count;
            swept.bytes += bytes;
            swept.events.extend(event);
        }
    }
}

/// As many in each as one event names and one transaction should overwrite.
fn batches<'a>(due: impl Iterator<Item = &'a KeptBody>) -> Vec<Vec<Sha256>> {
    let mut batches: Vec<Vec<Sha256>> = Vec::new();
    let mut bytes = 0u64;
    for body in due {
        // Those apart are not overwritten here.
        if body.place == BodyPlace::Here {
            bytes = bytes.saturating_add(body.size);
        }
        match batches.last_mut() {
            Some(batch) if batch.len() < BODIES_DELETED_MAX && bytes <= BATCH_BYTES_MAX => {
                batch.push(body.sha256);
            }
            _ => {
                bytes = body.size;
                batches.push(vec![body.sha256]);
            }
        }
    }
    batches
}

/// Sweeps once a day for a running hub.
pub(crate) struct Nightly {
    pub(crate) ledger: Ledger,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) settings: config::Retention,
    /// How often it looks whether its time has come.
    pub(crate) look_every: Duration,
}

impl Nightly {
    /// Runs until told to stop. A night on which the hub does not run is left out; the next one finds more.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let Some(mut next) = self.next_after(self.clock.now()) else {
            stopped(&mut stop).await;
            return;
        };
        let mut looks = tokio::time::interval(self.look_every);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                _ = looks.tick() => {}
            }
            let now = self.clock.now();
            if now < next {
                continue;
            }
            let ages = self.settings.ages();
            let told = stop.clone();
            match sweep(&self.ledger, &ages, HUB_WHO, || *told.borrow()).await {
                Ok(swept) => emit(Event::Retention { swept: &swept }),
                Err(error) => emit(Event::LedgerUnavailable { error: &error }),
            }
            match self.next_after(now) {
                Some(after) => next = after,
                None => return,
            }
        }
    }

    /// The next time of the settings after a moment.
    fn next_after(&self, now: Timestamp) -> Option<Timestamp> {
        let at = self.settings.run_at()?;
        let today = now.to_zoned(viet_nam()).date();
        let of = |day: jiff::civil::Date| {
            let zoned = day.to_datetime(at).to_zoned(viet_nam()).ok()?;
            Some(zoned.timestamp())
        };
        let next = of(today)?;
        if next > now {
            return Some(next);
        }
        of(today.tomorrow().ok()?).or_else(|| now.checked_add(SignedDuration::from_hours(24)).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_ledger::{MemoryStore, Settings};
    use truc_model::{ManualClock, SeededRandom};

    fn body(name: &str, size: u64) -> KeptBody {
        KeptBody {
            sha256: Sha256::of(name.as_bytes()),
            size,
            place: BodyPlace::Here,
            documents: vec![],
            statuses: vec![],
            refused_at: vec![],
        }
    }

    #[test]
    fn batches_are_bounded_by_count_and_bytes() {
        let small: Vec<KeptBody> = (0..=BODIES_DELETED_MAX)
            .map(|n| body(&n.to_string(), 1))
            .collect();
        let counts: Vec<usize> = batches(small.iter()).iter().map(Vec::len).collect();
        assert_eq!(counts, [BODIES_DELETED_MAX, 1]);
        let half = BATCH_BYTES_MAX / 2;
        let large = [
            body("a", half),
            body("b", half),
            body("c", 1),
            body("d", BATCH_BYTES_MAX + 1),
            body("e", 1),
        ];
        let counts: Vec<usize> = batches(large.iter()).iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 1, 1, 1]);
        assert!(batches([].iter()).is_empty());
    }

    #[test]
    fn ages_have_their_edges() {
        for (days, age) in [
            (-1, Age::Month),
            (29, Age::Month),
            (30, Age::Quarter),
            (89, Age::Quarter),
            (90, Age::Year),
            (364, Age::Year),
            (365, Age::Older),
        ] {
            assert_eq!(Age::of_days(days), age, "{days}");
        }
    }

    /// A hub's night, with its clock to be set by hand.
    struct Night {
        nightly: Nightly,
        manual: Arc<ManualClock>,
    }

    impl std::ops::Deref for Night {
        type Target = Nightly;

        fn deref(&self) -> &Nightly {
            &self.nightly
        }
    }

    fn nightly(run_at: &str) -> Night {
        let clock = Arc::new(ManualClock::at("2026-11-23T07:05:09Z".parse().unwrap()));
        let nightly = Nightly {
            ledger: Ledger::start(
                Arc::new(MemoryStore::new()),
                Arc::clone(&clock) as _,
                Arc::new(SeededRandom::new(1)),
                Settings::default(),
            ),
            clock: Arc::clone(&clock) as _,
            settings: config::Retention {
                run_at: run_at.to_owned(),
                ..config::Config::default().retention
            },
            look_every: Duration::from_millis(1),
        };
        Night {
            nightly,
            manual: clock,
        }
    }

    #[tokio::test]
    async fn the_time_of_day_is_viet_nams() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let hub = nightly("02:30");
        // 14:05 in Viet Nam: tomorrow's night.
        assert_eq!(
            hub.next_after(at("2026-11-23T07:05:09Z")),
            Some(at("2026-11-23T19:30:00Z"))
        );
        // One second before, and at the moment itself.
        assert_eq!(
            hub.next_after(at("2026-11-23T19:29:59Z")),
            Some(at("2026-11-23T19:30:00Z"))
        );
        assert_eq!(
            hub.next_after(at("2026-11-23T19:30:00Z")),
            Some(at("2026-11-24T19:30:00Z"))
        );
        assert_eq!(nightly("").next_after(at("2026-11-23T07:05:09Z")), None);
    }
    #[tokio::test]
    async fn a_running_hub_deletes_at_its_time_and_not_before() {
        let hub = nightly("02:30");
        let body: Arc<[u8]> = Arc::from(&b"evidence"[..]);
        let refused = truc_ledger::RefusedSubmission {
            system: None,
            message_id: None,
            intake: truc_model::wire::Intake::Document,
            received_at: hub.clock.now(),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
            sender: None,
            findings: vec![truc_model::Refusal::new(
                truc_model::RefusalCode::Loop,
                truc_model::Place::Message,
                "",
                "",
            )],
            body: Some(body),
        };
        hub.ledger.refuse(refused).await.unwrap();
        let clock = Arc::clone(&hub.manual);
        let ledger = hub.ledger.clone();
        let kept = async |ledger: &Ledger| ledger.kept_bodies(None, 1).await.unwrap().len();
        // 365 days and a night later, a minute too early: it looks, and leaves it.
        let until = |text: &str| {
            let at: Timestamp = text.parse().unwrap();
            at.as_second() - clock.now().as_second()
        };
        clock.advance(until("2027-11-23T19:29:00Z"));
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(hub.nightly.run(stopping));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(kept(&ledger).await, 1);
        clock.advance(until("2027-11-23T19:30:00Z"));
        while kept(&ledger).await > 0 {
            tokio::task::yield_now().await;
        }
        let report = ledger
            .verify(&truc_ledger::VerifyOptions::default())
            .await
            .unwrap();
        assert_eq!((report.findings, report.deleted), (vec![], 1));
        stop.send_replace(true);
        running.await.unwrap();
    }
}
