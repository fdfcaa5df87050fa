//! Telemetry: one closed list of events, each said once, where it is handled. Every event is a log line
//! that can be read alone and searched by its fields; what concerns a document is a ledger event too,
//! written by the ledger in the same commit.
//!
//! No personal data: ids, codes, counts and states only; never subjects, names, texts of documents.

use std::io::IsTerminal as _;

use truc_ledger::{LedgerError, TakenOutcome};
use truc_model::pdf::Unreadable;
use truc_model::wire::Intake;
use truc_model::{BodyProblemCode, DeliveryUid, RefusalCode, SystemId};
use truc_transport::{BrokerError, BrokerState, PublishError, SettleError};

use crate::config::{Log, LogFormat, StaleCrl};
use crate::flow::limits::Looked;
use crate::flow::record::Outcome;
use crate::flow::retention::Swept;
use crate::trust::{FilesError, Freshness, List};

/// What can be told.
#[derive(Debug)]
pub enum Event<'a> {
    /// The hub is ready.
    Started {
        /// Its name.
        hub: &'a str,
        /// Systems in the directory.
        systems: usize,
        /// Version of the directory.
        directory: u64,
    },
    /// The hub begins to stop.
    Stopping {
        /// Its name.
        hub: &'a str,
    },
    /// A submission was committed and is being settled.
    Submission {
        /// What became of it.
        outcome: &'a Outcome,
    },
    /// A `taken` message was committed.
    Taken {
        /// By whom.
        system: &'a SystemId,
        /// What it changed.
        outcome: &'a TakenOutcome,
    },
    /// A publish did not succeed and will be tried again.
    PublishFailed {
        /// Which delivery.
        delivery: DeliveryUid,
        /// Which attempt, from 1.
        attempt: u32,
        /// Why.
        error: &'a PublishError,
    },
    /// The ledger did not commit; it is tried again.
    LedgerUnavailable {
        /// Why.
        error: &'a LedgerError,
    },
    /// A message went to the dead letters.
    DeadLetter {
        /// Why.
        code: RefusalCode,
    },
    /// A check panicked: a defect of this program.
    CheckFailed {
        /// Of a message of which queue.
        intake: Intake,
    },
    /// A message that this program cannot deal with, by a defect of its own, went to the dead letters.
    GivenUp {
        /// From which queue.
        intake: Intake,
        /// What failed, one word.
        reason: &'a str,
    },
    /// A worker that looked at a PDF was ended, or ended by itself; another takes its place.
    PdfWorkerEnded {
        /// What of.
        why: Unreadable,
    },
    /// No worker that looks at PDFs could be started.
    NoPdfWorker {
        /// Why.
        error: &'a std::io::Error,
    },
    /// A settlement did not reach the broker; the message will come again.
    NotSettled {
        /// Why.
        error: &'a SettleError,
    },
    /// A starting hub waits for the broker.
    BrokerAwaited {
        /// Why it is not there.
        error: &'a BrokerError,
    },
    /// The queues could not be declared again; it is tried again.
    NotDeclared {
        /// Why.
        error: &'a BrokerError,
    },
    /// Another hub runs under this one's name.
    NameTaken {
        /// The name.
        hub: &'a str,
    },
    /// Another hub is gone, and what it had in hand is free for the others.
    HubGone {
        /// Its name.
        hub: &'a str,
        /// How many messages it had leased.
        leases: u64,
    },
    /// An inbox exists with other arguments than the hub's; it is left alone.
    InboxOdd {
        /// Whose.
        system: &'a SystemId,
        /// What the broker says, and what to do.
        error: &'a BrokerError,
    },
    /// An inbox was gone with what lay in it; that goes again.
    InboxLost {
        /// Whose.
        system: &'a SystemId,
        /// How many deliveries.
        deliveries: usize,
    },
    /// An inbox that nobody reads was cleaned of documents that were taken back.
    InboxCleaned {
        /// Whose.
        system: &'a SystemId,
        /// How many deliveries.
        deliveries: usize,
    },
    /// Inboxes could not be cleaned now.
    NotCleaned {
        /// Why.
        error: &'a crate::flow::clean::CleanError,
    },
    /// There are more dead letters than before.
    DeadLetters {
        /// How many there are.
        waiting: u32,
    },
    /// The hub stops although not all in hand is finished; it comes again.
    StopCutShort {
        /// Parts that were still at work.
        parts: usize,
    },
    /// The broker's state changed.
    Broker {
        /// The new state.
        state: &'a BrokerState,
    },
    /// A new version of the directory is in force.
    Directory {
        /// The version.
        version: u64,
    },
    /// What waited for agencies that changed hands was moved.
    Reorganised {
        /// How many recipients, by what became of them.
        counts: truc_ledger::Reorganised,
    },
    /// Rules could not be renewed; the old ones stay in force.
    RulesKept {
        /// Why.
        reason: &'a str,
    },
    /// Renewed anchors and revocation lists are in force.
    Trust {
        /// Files of anchors.
        anchors: usize,
        /// Files of revocation lists.
        crls: usize,
    },
    /// Anchors or revocation lists changed and do not read; the old ones stay in force. Once for each change.
    TrustKept {
        /// Why.
        error: &'a FilesError,
    },
    /// A revocation list in force is due or stale. Once for each list and state.
    CrlAging {
        /// The list.
        list: &'a List,
        /// Which of the two.
        freshness: Freshness,
        /// What stale lists are worth to this hub.
        policy: StaleCrl,
    },
    /// Time limits ran out and were told, or were met after that.
    Limits {
        /// How many.
        looked: Looked,
    },
    /// Calendar or time limits do not read; the old ones stay in force. Once for each reason.
    DeadlinesKept {
        /// Why.
        reason: &'a str,
    },
    /// The working calendar lacks days or a year: limits are reckoned wrongly. Once a day.
    CalendarLacks {
        /// What is missing, counted.
        findings: usize,
    },
    /// Deliveries were forwarded long ago and not taken.
    NotTaken {
        /// How many.
        deliveries: usize,
    },
    /// The HTTP service of bodies takes connections.
    BodiesServed {
        /// Where.
        address: std::net::SocketAddr,
        /// Whether by TLS.
        encrypted: bool,
    },
    /// A renewed certificate of that service is in force.
    BodiesCertificate,
    /// Its certificate's files changed and cannot be used: the old one stays in force.
    BodiesCertificateKept {
        /// Why.
        error: &'a crate::web::WebError,
    },
    /// A body came in whole.
    BodyStored {
        /// From whom.
        system: &'a SystemId,
        /// In bytes.
        size: u64,
    },
    /// A request about a body was refused.
    BodyRefused {
        /// Whose; `None` when nobody knows.
        system: Option<&'a SystemId>,
        /// Why.
        code: BodyProblemCode,
    },
    /// The bytes of a body apart could not be read while it was checked; its message goes back to the queue.
    BodyUnreadable {
        /// Why.
        error: &'a std::io::Error,
    },
    /// The store does not have a body that a delivery would name.
    BodyGone {
        /// Which delivery.
        delivery: DeliveryUid,
    },
    /// The store deleted bodies that the ledger had let go.
    BodiesLeft {
        /// How many.
        count: usize,
    },
    /// The store removed what nobody ever submitted.
    BodiesSwept {
        /// Bodies.
        removed: usize,
        /// Unfinished uploads.
        unfinished: usize,
    },
    /// The store of bodies has a fault; clients are told to come again.
    BodyStoreFault {
        /// Which.
        error: &'a truc_bodies::BodyError,
    },
    /// Bytes that were kept long enough were deleted.
    Retention {
        /// What went.
        swept: &'a Swept,
    },
}

/// Says an event.
pub fn emit(event: Event<'_>) {
    match event {
        Event::Started {
            hub,
            systems,
            directory,
        } => {
            tracing::info!(hub, systems, directory, "hub started");
        }
        Event::Stopping { hub } => tracing::info!(hub, "hub stopping"),
        Event::Submission {
            outcome: Outcome::Accepted(receipt),
        } => {
            tracing::info!(message_id = %receipt.message_id(), document = %receipt.document(), "submission accepted");
        }
        Event::Submission {
            outcome: Outcome::Repeat(receipt),
        } => {
            tracing::info!(message_id = %receipt.message_id(), document = %receipt.document(), "submission repeated, first receipt sent again");
        }
        Event::Submission {
            outcome: Outcome::Refused(answer),
        } => {
            let message_id = answer.message_id.map(|id| id.to_string()).unwrap_or_default();
            tracing::warn!(message_id, code = %answer.code, place = %answer.place, event = answer.event, "submission refused");
        }
        Event::Taken { system, outcome } => {
            tracing::info!(
                %system,
                taken = outcome.taken.len(),
                repeated = outcome.repeated.len(),
                refused = outcome.refused.len(),
                contradicted = outcome.contradicted.len(),
                unknown = outcome.unknown.len(),
                "deliveries taken"
            );
        }
        Event::PublishFailed {
            delivery,
            attempt,
            error,
        } => {
            tracing::warn!(%delivery, attempt, error = %chain(error), "publish failed, will be tried again");
        }
        Event::LedgerUnavailable { error } => {
            tracing::error!(error = %chain(error), "ledger did not commit, intake waits");
        }
        Event::DeadLetter { code } => tracing::error!(%code, "message put to the dead letters"),
        Event::CheckFailed { intake } => {
            tracing::error!(queue = intake.queue(), "a check failed by a defect");
        }
        Event::GivenUp { intake, reason } => {
            tracing::error!(
                queue = intake.queue(),
                reason,
                "message given up by a defect and put to the dead letters"
            );
        }
        Event::PdfWorkerEnded { why } => {
            tracing::warn!(?why, "worker that looked at a PDF ended, replaced");
        }
        Event::NoPdfWorker { error } => {
            tracing::error!(error = %chain(error), "no worker that looks at PDFs could be started, they stay unchecked");
        }
        Event::NotSettled { error } => {
            tracing::warn!(error = %chain(error), "settlement did not reach the broker, the message will come again");
        }
        Event::BrokerAwaited { error } => {
            tracing::warn!(error = %chain(error), "waiting for the broker: nothing is taken in until it is there");
        }
        Event::NotDeclared { error } => {
            tracing::error!(error = %chain(error), "queues not declared, will be tried again");
        }
        Event::NameTaken { hub } => {
            tracing::error!(
                hub,
                "another hub runs under this name, this one ends: give each its own hub.name"
            );
        }
        Event::HubGone { hub, leases } => {
            tracing::warn!(
                hub,
                leases,
                "another hub is gone, what it had in hand goes out from here"
            );
        }
        Event::InboxOdd { system, error } => {
            tracing::error!(%system, error = %chain(error), "inbox is not as the hub would declare it, left alone");
        }
        Event::InboxLost { system, deliveries } => {
            tracing::error!(%system, deliveries, "inbox was missing on the broker, what lay in it goes again");
        }
        Event::InboxCleaned { system, deliveries } => {
            tracing::info!(%system, deliveries, "inbox that nobody reads cleaned of what was taken back");
        }
        Event::NotCleaned { error } => {
            tracing::warn!(error = %chain(error), "inboxes could not be cleaned now, tried again");
        }
        Event::DeadLetters { waiting } => {
            tracing::error!(waiting, "new dead letters, see truc.dead.letters on the broker");
        }
        Event::StopCutShort { parts } => {
            tracing::error!(
                parts,
                "hub stops with work in hand, which comes again at the next start"
            );
        }
        Event::Broker { state } => match state {
            BrokerState::Up => tracing::info!("broker up"),
            BrokerState::Connecting => tracing::info!("connecting to the broker"),
            BrokerState::Closed => tracing::info!("broker connection closed"),
            BrokerState::Down { attempt, error, .. } => {
                tracing::warn!(attempt, error, "broker down, connecting again");
            }
            BrokerState::Blocked { reason } => {
                tracing::warn!(reason, "broker takes no publishes, deliveries wait");
            }
        },
        Event::Directory { version } => tracing::info!(version, "directory in force"),
        Event::Reorganised { counts } => tracing::info!(
            moved = counts.moved,
            parked = counts.parked,
            undeliverable = counts.undeliverable,
            merged = counts.merged,
            left = counts.left,
            "moved what waited for reorganised agencies"
        ),
        Event::RulesKept { reason } => {
            tracing::error!(reason, "rules not renewed, the old ones stay in force");
        }
        Event::Trust { anchors, crls } => {
            tracing::info!(
                anchors,
                crls,
                "renewed trust anchors and revocation lists in force"
            );
        }
        Event::TrustKept { error } => {
            tracing::error!(error = %chain(error), "trust anchors or revocation lists not renewed, the old ones stay in force");
        }
        Event::CrlAging {
            list,
            freshness,
            policy,
        } => {
            let (file, number, next_update) = (list.path.display(), list.number, list.next_update);
            match (freshness, policy) {
                (Freshness::Fresh, _) => {}
                (Freshness::Due, _) => {
                    tracing::warn!(%file, number, %next_update, "revocation list due: fetch its successor");
                }
                (Freshness::Stale, StaleCrl::Use) => {
                    tracing::warn!(%file, number, %next_update, "revocation list stale, still used");
                }
                (Freshness::Stale, StaleCrl::Refuse) => {
                    tracing::error!(%file, number, %next_update, "revocation list stale, its issuer's certificates are refused");
                }
            }
        }
        Event::Limits { looked } => {
            tracing::warn!(
                told = looked.told,
                settled = looked.settled,
                "time limits ran out or were met"
            );
        }
        Event::DeadlinesKept { reason } => {
            tracing::error!(
                reason,
                "calendar or time limits do not read, the old ones stay in force"
            );
        }
        Event::CalendarLacks { findings } => {
            tracing::warn!(findings, "working calendar lacks days: see truc calendar check");
        }
        Event::NotTaken { deliveries } => {
            tracing::warn!(deliveries, "deliveries forwarded long ago and not taken");
        }
        Event::BodiesServed { address, encrypted } => {
            tracing::info!(%address, encrypted, "bodies are served by HTTP");
        }
        Event::BodiesCertificate => tracing::info!("renewed certificate of the service of bodies in force"),
        Event::BodiesCertificateKept { error } => tracing::error!(
            error = %chain(error),
            "certificate of the service of bodies cannot be renewed, the old one stays in force"
        ),
        Event::BodyStored { system, size } => tracing::info!(%system, size, "body stored"),
        Event::BodyRefused { system, code } => {
            let system = system.map(SystemId::as_str).unwrap_or_default();
            tracing::warn!(system, %code, "request about a body refused");
        }
        Event::BodyUnreadable { error } => {
            tracing::error!(error = %chain(error), "body apart cannot be read, its message goes back to the queue");
        }
        Event::BodyGone { delivery } => {
            tracing::error!(%delivery, "the store does not have the body of a delivery, it does not go out");
        }
        Event::BodiesLeft { count } => tracing::info!(count, "bodies deleted that the ledger let go"),
        Event::BodiesSwept { removed, unfinished } => {
            tracing::info!(removed, unfinished, "uploads removed that nobody submitted");
        }
        Event::BodyStoreFault { error } => {
            tracing::error!(error = %chain(error), "store of bodies has a fault, clients come again");
        }
        Event::Retention { swept } => {
            let batches = swept.events.len();
            tracing::info!(
                bodies = swept.count,
                bytes = swept.bytes,
                batches,
                "bytes of packets deleted after their time"
            );
        }
    }
}

/// An error with its causes, in one line.
#[must_use]
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Starts logging to standard error. A second call changes nothing.
pub fn start(log: &Log) {
    // The AMQP library logs returned messages with their whole bodies; the filter's last word silences it.
    let level = format!("{},{}", log.level, truc_transport::LOG_FILTER);
    let filter = tracing_subscriber::EnvFilter::try_new(&level).unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(format!("info,{}", truc_transport::LOG_FILTER))
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A panic's message can quote what was being read, a subject for instance; its place is enough.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "a defect of this program");
    }));
    // Ignored on purpose: the first call of a process wins.
    let _ = match log.format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}
