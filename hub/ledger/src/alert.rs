//! Alerts as the ledger keeps them: what is open, what of it was told, and the messages on their way to the
//! channels. The rules are in `rules/alerts.rs`; which channel gets what, and the sending, are the server's.
//!
//! Two kinds of rows. An [`AlertRow`] is an open alert, one for a kind and a subject, or one that has just
//! ended and whose end nobody was told yet. An [`AlertPost`] is a message to one channel: several lines of one
//! kind, gathered until its first attempt and fixed from then on, leased while a hub sends it, kept as a dead
//! letter when it was tried too often. What happened stays in the events `alert-raised` and `alert-cleared`.

pub mod store;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use truc_model::{AlertChange, AlertKind, AlertPostUid, AlertUid, DocumentUid, Severity, SystemId};

use crate::command::HubId;

pub use store::{AlertFilter, AlertKey, AlertSnapshot, AlertTransaction, InboxTrouble};

/// Most orders in one call of [`crate::Ledger::alerts`].
pub const ALERT_ORDERS_MAX: usize = 256;

/// Most facts of one alert; further ones are dropped, in the order of their names.
pub const ALERT_FACTS_MAX: usize = 16;

/// Longest value of a fact, in characters; what exceeds it is cut off.
pub const ALERT_FACT_MAX: usize = 200;

/// Most agencies' codes that one alert names.
pub const ALERT_AGENCIES_MAX: usize = 16;

/// Most lines of one message; what exceeds it is counted ([`AlertPost::more`]).
pub const ALERT_LINES_MAX: usize = 100;

/// Most messages leased in one call of [`crate::Ledger::claim_alerts`].
pub const ALERT_CLAIM_MAX: usize = 32;

/// Most messages kept as dead letters; then the oldest goes, which its event remembers.
pub const ALERT_DEAD_MAX: usize = 1000;

/// Most alerts of which one call tells the channels.
pub const ALERT_ROUTED_MAX: usize = 256;

/// What is known of an alert beside its kind and subject: words and numbers by name, such as
/// `deliveries` = `12`. Never personal data.
pub type AlertFacts = BTreeMap<String, String>;

/// Raise, keep up or end an alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlertOrder {
    /// See [`Raise`].
    Raise(Raise),
    /// It is over. Nothing happens when it is not open.
    Clear {
        /// Which kind.
        kind: AlertKind,
        /// Of which subject.
        subject: String,
        /// How one knows.
        cause: ClearCause,
    },
}

/// Raises an alert, or keeps an open one up: a graver severity is told, newer facts are only kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raise {
    /// Which kind.
    pub kind: AlertKind,
    /// Of what: see [`truc_model::alert::About`]; cut to [`truc_model::alert::SUBJECT_MAX`].
    pub subject: String,
    /// How severe; an open alert never becomes less so.
    pub severity: Severity,
    /// Codes of the agencies concerned, as written: rules choose channels by them.
    pub agencies: Vec<String>,
    /// The system concerned.
    pub system: Option<SystemId>,
    /// The document concerned.
    pub document: Option<DocumentUid>,
    /// What is known.
    pub facts: AlertFacts,
}

impl Raise {
    /// An alert of the kind's own severity.
    #[must_use]
    pub fn new(kind: AlertKind, subject: impl Into<String>) -> Self {
        Self {
            kind,
            subject: subject.into(),
            severity: kind.severity(),
            agencies: Vec::new(),
            system: None,
            document: None,
            facts: AlertFacts::new(),
        }
    }

    /// About a system.
    #[must_use]
    pub fn of_system(kind: AlertKind, system: SystemId) -> Self {
        Self {
            system: Some(system.clone()),
            ..Self::new(kind, system.as_str())
        }
    }

    /// About a document.
    #[must_use]
    pub fn of_document(kind: AlertKind, document: DocumentUid) -> Self {
        Self {
            document: Some(document),
            ..Self::new(kind, document.to_string())
        }
    }

    /// With a severity of its own.
    #[must_use]
    pub fn at(self, severity: Severity) -> Self {
        Self { severity, ..self }
    }

    /// With one fact more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    /// With the code of an agency concerned.
    #[must_use]
    pub fn concerning(mut self, code: &str) -> Self {
        if !self.agencies.iter().any(|known| known == code) {
            self.agencies.push(code.to_owned());
        }
        self
    }
}

/// How one knows that an alert is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClearCause {
    /// The state of affairs is no more.
    Ended,
    /// It did not happen again for a while.
    Settled,
}

/// An open alert, or one whose end was not told yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRow {
    /// Its id.
    pub alert: AlertUid,
    /// Its kind.
    pub kind: AlertKind,
    /// Its subject.
    pub subject: String,
    /// How severe it is now.
    pub severity: Severity,
    /// Number of the event that raised it.
    pub event: u64,
    /// When it was raised.
    pub raised_at: Timestamp,
    /// When it last changed its severity, or was raised.
    pub changed_at: Timestamp,
    /// When it was last seen.
    pub seen_at: Timestamp,
    /// How often it was seen.
    pub seen: u64,
    /// Codes of agencies concerned.
    pub agencies: Vec<String>,
    /// The system concerned.
    pub system: Option<SystemId>,
    /// The document concerned.
    pub document: Option<DocumentUid>,
    /// What is known.
    pub facts: AlertFacts,
    /// The severity last told to the channels; `None` before the first.
    pub told: Option<Severity>,
    /// When and how it ended; the row goes when that is told.
    pub cleared: Option<(Timestamp, ClearCause)>,
}

impl AlertRow {
    /// What the channels must still be told of it.
    #[must_use]
    pub fn untold(&self) -> Option<AlertChange> {
        match (self.cleared, self.told) {
            (Some(_), Some(_)) => Some(AlertChange::Cleared),
            (Some(_), None) => Some(AlertChange::Over),
            (None, None) => Some(AlertChange::Raised),
            (None, Some(told)) => (told < self.severity).then_some(AlertChange::Escalated),
        }
    }

    /// Whether it is open.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.cleared.is_none()
    }

    /// The line that tells it.
    #[must_use]
    pub fn line(&self, change: AlertChange) -> AlertLine {
        let at = match (change, self.cleared) {
            (AlertChange::Cleared | AlertChange::Over, Some((at, _))) => at,
            _ => self.changed_at,
        };
        AlertLine {
            alert: self.alert,
            change,
            subject: self.subject.clone(),
            severity: self.severity,
            raised_at: self.raised_at,
            at,
            agencies: self.agencies.clone(),
            system: self.system.clone(),
            document: self.document,
            facts: self.facts.clone(),
        }
    }
}

/// One alert in a message. JSON: see `schemas/alert.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertLine {
    /// Which alert.
    pub alert: AlertUid,
    /// What became of it.
    pub change: AlertChange,
    /// Its subject.
    pub subject: String,
    /// How severe it is.
    pub severity: Severity,
    /// When it began.
    pub raised_at: Timestamp,
    /// When it changed so.
    pub at: Timestamp,
    /// Codes of agencies concerned.
    pub agencies: Vec<String>,
    /// The system concerned.
    pub system: Option<SystemId>,
    /// The document concerned.
    pub document: Option<DocumentUid>,
    /// What is known.
    pub facts: AlertFacts,
}

/// Where a message to a channel is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PostPlace {
    /// Waits for its time.
    Waiting {
        /// Not before this.
        not_before: Timestamp,
    },
    /// A hub sends it.
    Leased {
        /// Which.
        owner: HubId,
        /// Until when; after that any hub may send it.
        until: Timestamp,
    },
    /// Tried too often: a dead letter, until an operator has it sent again.
    Dead {
        /// Since when.
        at: Timestamp,
    },
}

/// A message to one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertPost {
    /// Its id, the same at every attempt.
    pub post: AlertPostUid,
    /// The channel's name.
    pub channel: String,
    /// The kind of all its lines.
    pub kind: AlertKind,
    /// At most [`ALERT_LINES_MAX`].
    pub lines: Vec<AlertLine>,
    /// Lines beyond them.
    pub more: u64,
    /// When it was begun.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Where it is.
    pub place: PostPlace,
    /// What the last attempt failed of, one word.
    pub failure: Option<String>,
}

impl AlertPost {
    /// Whether lines can still join it.
    #[must_use]
    pub const fn is_gathering(&self) -> bool {
        self.attempts == 0 && matches!(self.place, PostPlace::Waiting { .. })
    }

    /// Whether it can be sent at `now`.
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        match &self.place {
            PostPlace::Waiting { not_before } => *not_before <= now,
            PostPlace::Leased { until, .. } => *until <= now,
            PostPlace::Dead { .. } => false,
        }
    }

    /// Adds a line; it takes the place of one about the same alert. Beyond [`ALERT_LINES_MAX`] it is counted.
    pub(crate) fn join(&mut self, line: AlertLine) {
        if let Some(known) = self.lines.iter_mut().find(|known| known.alert == line.alert) {
            let change = match (known.change, line.change) {
                // Never sent: whoever reads it hears of the beginning for the first time.
                (AlertChange::Raised, AlertChange::Cleared) => AlertChange::Over,
                (AlertChange::Raised, AlertChange::Escalated) => AlertChange::Raised,
                (_, change) => change,
            };
            *known = AlertLine { change, ..line };
        } else if self.lines.len() < ALERT_LINES_MAX {
            self.lines.push(line);
        } else {
            self.more += 1;
        }
    }

    /// The severity of its gravest line.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.lines
            .iter()
            .map(|line| line.severity)
            .max()
            .unwrap_or(Severity::Info)
    }
}

/// How fast a channel may be sent to: an allowance of [`ChannelRate::per_hour`] messages that fills again
/// evenly over an hour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRate {
    /// The channel's name.
    pub channel: String,
    /// Messages an hour, and at most at once.
    pub per_hour: u32,
}

/// A channel's allowance as it stood when last used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowanceRow {
    /// The channel's name.
    pub channel: String,
    /// Thousandths of a message that are left.
    pub left_milli: u64,
    /// When.
    pub at: Timestamp,
}

/// The word that alerts were told: which channels get the present change of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// Which alert.
    pub alert: AlertUid,
    /// The change that was read, with its severity: when it has changed since, nothing happens.
    pub change: AlertChange,
    /// See `change`.
    pub severity: Severity,
    /// Where it goes; nowhere when no rule wants it.
    pub routes: Vec<Route>,
}

/// One channel for one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The channel's name.
    pub channel: String,
    /// Not before this: the time to gather, or the end of the quiet hours.
    pub not_before: Timestamp,
}

/// Asks for messages to send.
#[derive(Debug, Clone)]
pub struct AlertClaim {
    /// Who sends.
    pub owner: HubId,
    /// How long a lease holds.
    pub lease: std::time::Duration,
    /// The channels this hub has, and how fast.
    pub channels: Vec<ChannelRate>,
    /// Most messages, at most [`ALERT_CLAIM_MAX`].
    pub max: usize,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertTried {
    /// Which message.
    pub post: AlertPostUid,
    /// Which attempt it was: that of another lease is not taken for it.
    pub attempt: u32,
    /// How it went.
    pub outcome: TriedOutcome,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TriedOutcome {
    /// The channel took it.
    Sent,
    /// It did not.
    Failed {
        /// What of, one word.
        failure: String,
        /// When again; `None` makes it a dead letter.
        next_try: Option<Timestamp>,
    },
}

/// An operator has dead letters of the channels sent again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertRevive {
    /// Only this one; all without it.
    pub post: Option<AlertPostUid>,
}

/// What is asked of the rules of alerts.
#[derive(Debug, Clone)]
pub enum AlertCommand {
    /// See [`crate::Ledger::alerts`].
    Orders(Vec<AlertOrder>),
    /// See [`crate::Ledger::route_alerts`].
    Route(Vec<Routed>),
    /// See [`crate::Ledger::claim_alerts`].
    Claim(AlertClaim),
    /// See [`crate::Ledger::alert_tried`].
    Tried(AlertTried),
    /// See [`crate::Ledger::revive_alerts`].
    Revive(AlertRevive),
}

/// Everything one transaction changes about alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertChanges {
    /// New or changed alerts.
    pub alerts: Vec<AlertRow>,
    /// Alerts whose end was told.
    pub alerts_done: Vec<AlertUid>,
    /// New or changed messages.
    pub posts: Vec<AlertPost>,
    /// Messages that were sent.
    pub posts_done: Vec<AlertPostUid>,
    /// Changed allowances.
    pub allowances: Vec<AllowanceRow>,
}

impl AlertChanges {
    /// Whether there is nothing to save.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.alerts.is_empty()
            && self.alerts_done.is_empty()
            && self.posts.is_empty()
            && self.posts_done.is_empty()
            && self.allowances.is_empty()
    }
}
