//! The rules of alerts: raised once, grown, ended; told to channels; sent, tried again, given up.
//!
//! They run after the commands of a batch, so that what a command records can raise an alert in the same
//! commit: see [`facts`]. Nobody who watches from outside can then miss it, and a crash loses neither.

mod facts;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use truc_model::alert::subject as cut_subject;
use truc_model::{AlertChange, AlertKind, AlertPostUid, AlertUid, Severity};

use crate::alert::{
    ALERT_AGENCIES_MAX, ALERT_CLAIM_MAX, ALERT_DEAD_MAX, ALERT_FACT_MAX, ALERT_FACTS_MAX, AlertChanges,
    AlertClaim, AlertCommand, AlertFacts, AlertKey, AlertOrder, AlertPost, AlertRevive, AlertRow, AlertTried,
    AllowanceRow, ChannelRate, ClearCause, PostPlace, Raise, Routed, TriedOutcome,
};
use crate::error::{LedgerError, StoreError};
use crate::event::Fact;
use crate::rules::forward::after;
use crate::rules::work::{Work, cut};
use crate::rules::{Command, Reply};
use crate::store::Transaction;

/// Thousandths of a message that one message costs.
const MESSAGE_MILLI: u64 = 1000;

/// Seconds of an hour.
const HOUR_S: u64 = 3600;

/// The rows of alerts in one batch.
#[derive(Default)]
pub(crate) struct Desk {
    /// Facts of this batch that raise or end alerts.
    facts: Vec<Fact>,
    alerts: HashMap<AlertUid, AlertRow>,
    open: HashMap<AlertKey, AlertUid>,
    posts: BTreeMap<AlertPostUid, AlertPost>,
    allowances: BTreeMap<String, AllowanceRow>,
    dead: Vec<AlertPostUid>,
    moved: BTreeSet<AlertUid>,
    done: BTreeSet<AlertUid>,
    moved_posts: BTreeSet<AlertPostUid>,
    done_posts: BTreeSet<AlertPostUid>,
    moved_allowances: BTreeSet<String>,
}

impl Desk {
    /// Keeps a fact that may raise an alert.
    pub(crate) fn note(&mut self, fact: &Fact) {
        if facts::may_raise(fact) {
            self.facts.push(fact.clone());
        }
    }

    fn load(&mut self, row: AlertRow) {
        if row.is_open() {
            let key = AlertKey {
                kind: row.kind,
                subject: row.subject.clone(),
            };
            self.open.entry(key).or_insert(row.alert);
        }
        self.alerts.entry(row.alert).or_insert(row);
    }

    fn load_post(&mut self, post: AlertPost) {
        self.posts.entry(post.post).or_insert(post);
    }

    /// Everything changed since the last call.
    pub(crate) fn take_changes(&mut self) -> AlertChanges {
        let done = std::mem::take(&mut self.done);
        let done_posts = std::mem::take(&mut self.done_posts);
        AlertChanges {
            alerts: std::mem::take(&mut self.moved)
                .iter()
                .filter(|alert| !done.contains(alert))
                .filter_map(|alert| self.alerts.get(alert).cloned())
                .collect(),
            alerts_done: done.into_iter().collect(),
            posts: std::mem::take(&mut self.moved_posts)
                .iter()
                .filter(|post| !done_posts.contains(post))
                .filter_map(|post| self.posts.get(post).cloned())
                .collect(),
            posts_done: done_posts.into_iter().collect(),
            allowances: std::mem::take(&mut self.moved_allowances)
                .iter()
                .filter_map(|channel| self.allowances.get(channel).cloned())
                .collect(),
        }
    }
}

/// Runs the alerts of a batch: what its facts raise, then what its commands ask. Called after all other commands
/// and before anything is saved.
pub(super) async fn run(
    tx: &mut dyn Transaction,
    work: &mut Work,
    commands: &[Command],
    replies: &mut [Option<Result<Reply, LedgerError>>],
) -> Result<(), StoreError> {
    let noted = std::mem::take(&mut work.alerts.facts);
    let of_facts: Vec<AlertOrder> = noted
        .iter()
        .flat_map(|fact| facts::of_fact(work, fact))
        .chain(work.limits.gone().iter().map(facts::met))
        .collect();
    let asked = |command: &Command| matches!(command, Command::Alert(_));
    if of_facts.is_empty() && !commands.iter().any(asked) {
        return Ok(());
    }
    load(tx, work, &of_facts, commands).await?;
    for order in &of_facts {
        // A fact whose alert cannot be written is an event that has no canonical form: the batch is wrong.
        apply(work, order).map_err(|error| StoreError::Backend(error.into()))?;
    }
    for (command, reply) in commands.iter().zip(replies) {
        let Command::Alert(command) = command else {
            continue;
        };
        *reply = Some(match command {
            AlertCommand::Orders(orders) => orders
                .iter()
                .try_for_each(|order| apply(work, order))
                .map(|()| Reply::Done),
            AlertCommand::Route(routed) => {
                for told in routed {
                    route(work, told);
                }
                Ok(Reply::Done)
            }
            AlertCommand::Claim(request) => Ok(Reply::AlertPosts(claim(work, request))),
            AlertCommand::Tried(tried) => self::tried(work, tried).map(|()| Reply::Done),
            AlertCommand::Revive(order) => Ok(Reply::Released(revive(work, order))),
        });
    }
    Ok(())
}

/// Fetches every row that the orders and commands can touch.
async fn load(
    tx: &mut dyn Transaction,
    work: &mut Work,
    of_facts: &[AlertOrder],
    commands: &[Command],
) -> Result<(), StoreError> {
    let mut keys: BTreeSet<AlertKey> = of_facts.iter().map(key).collect();
    let (mut alerts, mut posts) = (BTreeSet::new(), BTreeSet::new());
    let (mut joined, mut sending) = (BTreeSet::new(), BTreeSet::new());
    let mut dead = false;
    for command in commands {
        let Command::Alert(command) = command else {
            continue;
        };
        match command {
            AlertCommand::Orders(orders) => keys.extend(orders.iter().map(key)),
            AlertCommand::Route(routed) => {
                alerts.extend(routed.iter().map(|told| told.alert));
                let routes = routed.iter().flat_map(|told| &told.routes);
                joined.extend(routes.map(|route| route.channel.clone()));
            }
            AlertCommand::Claim(request) => {
                for rate in &request.channels {
                    sending.insert(rate.channel.clone());
                    let max = request.max.min(ALERT_CLAIM_MAX);
                    for post in tx.posts_due(work.now, &rate.channel, max).await? {
                        work.alerts.load_post(post);
                    }
                }
            }
            AlertCommand::Tried(tried) => {
                posts.insert(tried.post);
                dead |= matches!(tried.outcome, TriedOutcome::Failed { next_try: None, .. });
            }
            AlertCommand::Revive(_) => dead = true,
        }
    }
    let list = |set: BTreeSet<_>| set.into_iter().collect::<Vec<_>>();
    if !posts.is_empty() {
        let posts: Vec<AlertPostUid> = posts.into_iter().collect();
        for post in tx.posts_by_id(&posts).await? {
            keys.insert(failing(&post.channel));
            work.alerts.load_post(post);
        }
    }
    if !joined.is_empty() {
        for post in tx.posts_gathering(&list(joined)).await? {
            work.alerts.load_post(post);
        }
    }
    if dead {
        for post in tx.posts_dead(ALERT_DEAD_MAX).await? {
            work.alerts.dead.push(post.post);
            work.alerts.load_post(post);
        }
    }
    if !alerts.is_empty() {
        let alerts: Vec<AlertUid> = alerts.into_iter().collect();
        for row in tx.alerts_by_id(&alerts).await? {
            work.alerts.load(row);
        }
    }
    if !keys.is_empty() {
        let keys: Vec<AlertKey> = keys.into_iter().collect();
        for row in tx.alerts_open(&keys).await? {
            work.alerts.load(row);
        }
    }
    if !sending.is_empty() {
        for row in tx.allowances(&list(sending)).await? {
            work.alerts.allowances.insert(row.channel.clone(), row);
        }
    }
    Ok(())
}

fn key(order: &AlertOrder) -> AlertKey {
    match order {
        AlertOrder::Raise(raise) => AlertKey {
            kind: raise.kind,
            subject: clean_subject(&raise.subject),
        },
        AlertOrder::Clear { kind, subject, .. } => AlertKey {
            kind: *kind,
            subject: clean_subject(subject),
        },
    }
}

/// The alert that a channel does not take messages.
fn failing(channel: &str) -> AlertKey {
    AlertKey {
        kind: AlertKind::ChannelFailing,
        subject: clean_subject(channel),
    }
}

fn apply(work: &mut Work, order: &AlertOrder) -> Result<(), LedgerError> {
    match order {
        AlertOrder::Raise(raise) => self::raise(work, raise),
        AlertOrder::Clear { cause, .. } => clear(work, &key(order), *cause),
    }
}

/// Raises an alert, or keeps the open one up.
fn raise(work: &mut Work, raise: &Raise) -> Result<(), LedgerError> {
    let now = work.now;
    let key = AlertKey {
        kind: raise.kind,
        subject: clean_subject(&raise.subject),
    };
    if let Some(alert) = work.alerts.open.get(&key).copied() {
        let Some(mut row) = work.alerts.alerts.get(&alert).cloned() else {
            return Err(LedgerError::Contradiction("an alert that was not loaded"));
        };
        let grown = raise.severity > row.severity;
        row.seen_at = now;
        row.seen += 1;
        row.facts = clean_facts(&raise.facts);
        for code in &raise.agencies {
            add_agency(&mut row.agencies, code);
        }
        if grown {
            row.severity = raise.severity;
            row.changed_at = now;
            work.record(Fact::AlertRaised {
                alert,
                what: row.kind,
                subject: row.subject.clone(),
                severity: row.severity,
                again: true,
            })?;
        }
        work.alerts.moved.insert(alert);
        work.alerts.alerts.insert(alert, row);
        return Ok(());
    }
    let alert = work.new_alert_uid();
    let event = work.record(Fact::AlertRaised {
        alert,
        what: raise.kind,
        subject: key.subject.clone(),
        severity: raise.severity,
        again: false,
    })?;
    let mut agencies = Vec::new();
    for code in &raise.agencies {
        add_agency(&mut agencies, code);
    }
    let row = AlertRow {
        alert,
        kind: raise.kind,
        subject: key.subject,
        severity: raise.severity,
        event,
        raised_at: now,
        changed_at: now,
        seen_at: now,
        seen: 1,
        agencies,
        system: raise.system.clone(),
        document: raise.document,
        facts: clean_facts(&raise.facts),
        told: None,
        cleared: None,
    };
    work.alerts.moved.insert(alert);
    work.alerts.load(row);
    Ok(())
}

fn clear(work: &mut Work, key: &AlertKey, cause: ClearCause) -> Result<(), LedgerError> {
    let Some(alert) = work.alerts.open.remove(key) else {
        return Ok(());
    };
    work.record(Fact::AlertCleared {
        alert,
        what: key.kind,
        subject: key.subject.clone(),
        cause,
    })?;
    let now = work.now;
    if let Some(row) = work.alerts.alerts.get_mut(&alert) {
        row.cleared = Some((now, cause));
        work.alerts.moved.insert(alert);
    }
    Ok(())
}

/// Puts a change into a message to each of its channels; somebody else may have done so first.
fn route(work: &mut Work, told: &Routed) {
    let Some(row) = work.alerts.alerts.get(&told.alert).cloned() else {
        return;
    };
    if row.untold() != Some(told.change) || row.severity != told.severity {
        return;
    }
    let line = row.line(told.change);
    for route in &told.routes {
        let gathering = work
            .alerts
            .posts
            .values_mut()
            .find(|post| post.is_gathering() && post.channel == route.channel && post.kind == row.kind);
        let post = match gathering {
            Some(post) => {
                if let PostPlace::Waiting { not_before } = &mut post.place {
                    // The gravest does not wait for the others; they go with it.
                    *not_before = (*not_before).min(route.not_before);
                }
                post.join(line.clone());
                post.post
            }
            None => {
                let post = work.new_alert_post_uid();
                let new = AlertPost {
                    post,
                    channel: route.channel.clone(),
                    kind: row.kind,
                    lines: vec![line.clone()],
                    more: 0,
                    created_at: work.now,
                    attempts: 0,
                    place: PostPlace::Waiting {
                        not_before: route.not_before,
                    },
                    failure: None,
                };
                work.alerts.posts.insert(post, new);
                post
            }
        };
        work.alerts.moved_posts.insert(post);
    }
    if told.change == AlertChange::Cleared || told.change == AlertChange::Over {
        work.alerts.alerts.remove(&told.alert);
        work.alerts.done.insert(told.alert);
    } else if let Some(row) = work.alerts.alerts.get_mut(&told.alert) {
        row.told = Some(told.severity);
        work.alerts.moved.insert(told.alert);
    }
}

/// Leases messages that are due, the gravest first, then the oldest, as far as each channel's allowance goes.
fn claim(work: &mut Work, request: &AlertClaim) -> Vec<AlertPost> {
    let now = work.now;
    let mut due: Vec<&AlertPost> = work
        .alerts
        .posts
        .values()
        .filter(|post| post.is_due(now))
        .collect();
    due.sort_by_key(|post| (std::cmp::Reverse(post.severity()), post.created_at, post.post));
    let due: Vec<AlertPostUid> = due.into_iter().map(|post| post.post).collect();
    let mut claimed = Vec::new();
    for post in due {
        if claimed.len() >= request.max.min(ALERT_CLAIM_MAX) {
            break;
        }
        let Some(mut row) = work.alerts.posts.get(&post).cloned() else {
            continue;
        };
        let rate = request.channels.iter().find(|rate| rate.channel == row.channel);
        if !rate.is_some_and(|rate| spend(work, rate)) {
            continue;
        }
        row.attempts += 1;
        row.place = PostPlace::Leased {
            owner: request.owner.clone(),
            until: after(now, request.lease),
        };
        claimed.push(row.clone());
        work.alerts.moved_posts.insert(post);
        work.alerts.posts.insert(post, row);
    }
    claimed
}

/// Takes one message out of a channel's allowance, if there is one left.
fn spend(work: &mut Work, rate: &ChannelRate) -> bool {
    let now = work.now;
    let full = u64::from(rate.per_hour).saturating_mul(MESSAGE_MILLI);
    let left = match work.alerts.allowances.get(&rate.channel) {
        None => full,
        Some(row) => {
            let passed = now.duration_since(row.at).as_millis();
            let passed = u64::try_from(passed).unwrap_or(0);
            let filled = u64::try_from(u128::from(passed) * u128::from(full) / u128::from(HOUR_S * 1000));
            row.left_milli.saturating_add(filled.unwrap_or(full)).min(full)
        }
    };
    let Some(left_milli) = left.checked_sub(MESSAGE_MILLI) else {
        return false;
    };
    let row = AllowanceRow {
        channel: rate.channel.clone(),
        left_milli,
        at: now,
    };
    work.alerts.allowances.insert(rate.channel.clone(), row);
    work.alerts.moved_allowances.insert(rate.channel.clone());
    true
}

/// An attempt ended. What another lease holds by now is left to it.
fn tried(work: &mut Work, tried: &AlertTried) -> Result<(), LedgerError> {
    let Some(mut row) = work.alerts.posts.get(&tried.post).cloned() else {
        return Ok(());
    };
    let failing = failing(&row.channel);
    if row.attempts != tried.attempt {
        // Sent all the same, and known to be: the later attempt need not be made.
        if tried.outcome != TriedOutcome::Sent {
            return Ok(());
        }
    }
    match &tried.outcome {
        TriedOutcome::Sent => {
            work.alerts.posts.remove(&tried.post);
            work.alerts.done_posts.insert(tried.post);
            return clear(work, &failing, ClearCause::Ended);
        }
        TriedOutcome::Failed {
            failure,
            next_try: Some(next_try),
        } => {
            row.failure = Some(clean(failure));
            row.place = PostPlace::Waiting {
                not_before: *next_try,
            };
        }
        TriedOutcome::Failed {
            failure,
            next_try: None,
        } => {
            row.failure = Some(clean(failure));
            row.place = PostPlace::Dead { at: work.now };
            work.record(Fact::AlertUndelivered {
                post: row.post,
                channel: row.channel.clone(),
                what: row.kind,
                lines: row.lines.len() as u64 + row.more,
                attempts: row.attempts,
                failure: clean(failure),
            })?;
            let told = Raise::new(AlertKind::ChannelFailing, row.channel.clone())
                .at(Severity::Warning)
                .with("failure", failure);
            raise(work, &told)?;
            make_room_for_the_dead(work);
            work.alerts.dead.push(row.post);
        }
    }
    work.alerts.moved_posts.insert(tried.post);
    work.alerts.posts.insert(tried.post, row);
    Ok(())
}

/// Lets the oldest dead letters go when there are too many.
fn make_room_for_the_dead(work: &mut Work) {
    while work.alerts.dead.len() >= ALERT_DEAD_MAX {
        let oldest = work.alerts.dead.remove(0);
        work.alerts.posts.remove(&oldest);
        work.alerts.done_posts.insert(oldest);
    }
}

/// Has dead letters sent again from the first attempt. Gives how many.
fn revive(work: &mut Work, order: &AlertRevive) -> u64 {
    let now = work.now;
    let mut revived = 0;
    for post in std::mem::take(&mut work.alerts.dead) {
        let Some(row) = work.alerts.posts.get_mut(&post) else {
            continue;
        };
        if order.post.is_none_or(|only| only == post) && matches!(row.place, PostPlace::Dead { .. }) {
            row.attempts = 0;
            row.place = PostPlace::Waiting { not_before: now };
            work.alerts.moved_posts.insert(post);
            revived += 1;
        } else {
            work.alerts.dead.push(post);
        }
    }
    revived
}

fn clean_subject(text: &str) -> String {
    cut_subject(&without_controls(text))
}

fn clean(text: &str) -> String {
    cut(&without_controls(text), ALERT_FACT_MAX)
}

/// Lines of a message are lines: nothing in them ends one.
fn without_controls(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn clean_facts(facts: &AlertFacts) -> AlertFacts {
    facts
        .iter()
        .take(ALERT_FACTS_MAX)
        .map(|(name, value)| (clean(name), clean(value)))
        .collect()
}

fn add_agency(agencies: &mut Vec<String>, code: &str) {
    let code = clean(code);
    if agencies.len() < ALERT_AGENCIES_MAX && !agencies.contains(&code) {
        agencies.push(code);
    }
}
