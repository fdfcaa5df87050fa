//! From events of the hub to alerts: what each event of the telemetry means, one by one.
//!
//! What concerns a document or the ledger's own rows is raised by the ledger in the commit that records it, and
//! what one can see at any time is looked at by [`super::watch`]. What is left, things that only this process
//! meets, comes by a [`Bell`].

use tokio::sync::mpsc;
use truc_ledger::alert::{AlertOrder, ClearCause, Raise};
use truc_model::wire::DEAD_QUEUE;
use truc_model::{AlertKind, Severity, SystemId};

use crate::telemetry::{self, Event};
use crate::trust::{Freshness, List};

/// Most orders that wait for the service of alerts; what comes beyond it is logged alone. Conditions are said
/// again at the next look.
pub const SIGNALS_MAX: usize = 1024;

/// How parts of the hub reach the service of alerts. Cheap to clone; one without a service only logs.
#[derive(Debug, Clone)]
pub struct Bell {
    hub: String,
    service: Option<mpsc::Sender<AlertOrder>>,
}

impl Bell {
    /// A bell, and where it rings.
    #[must_use]
    pub fn new(hub: &str) -> (Self, mpsc::Receiver<AlertOrder>) {
        let (service, orders) = mpsc::channel(SIGNALS_MAX);
        let bell = Self {
            hub: hub.to_owned(),
            service: Some(service),
        };
        (bell, orders)
    }

    /// A bell that nobody hears: events are logged all the same.
    #[must_use]
    pub const fn unheard() -> Self {
        Self {
            hub: String::new(),
            service: None,
        }
    }

    /// Says an event, and raises what it means.
    pub fn emit(&self, event: Event<'_>) {
        if let Some(raise) = raised_by(&event, &self.hub) {
            self.order(AlertOrder::Raise(raise));
        }
        telemetry::emit(event);
    }

    /// A state of affairs of this hub is over.
    pub fn clear(&self, kind: AlertKind) {
        self.clear_of(kind, &self.hub);
    }

    /// A state of affairs of a subject is over.
    pub fn clear_of(&self, kind: AlertKind, subject: &str) {
        self.order(AlertOrder::Clear {
            kind,
            subject: subject.to_owned(),
            cause: ClearCause::Ended,
        });
    }

    /// An inbox is as it should be.
    pub fn inbox_is_well(&self, system: &SystemId) {
        self.clear_of(AlertKind::InboxOdd, system.as_str());
    }

    /// A revocation list is fresh.
    pub fn list_is_fresh(&self, list: &List) {
        self.clear_of(AlertKind::CrlStale, &list_subject(list));
    }

    fn order(&self, order: AlertOrder) {
        if let Some(service) = &self.service
            && let Err(mpsc::error::TrySendError::Full(_)) = service.try_send(order)
        {
            tracing::warn!(
                max = SIGNALS_MAX,
                "more alerts at once than the hub keeps, some are logged alone"
            );
        }
    }
}

/// What an event means. Every event stands here, so that a new one must be thought of.
#[must_use]
pub fn raised_by(event: &Event<'_>, hub: &str) -> Option<Raise> {
    let of_hub = |kind| Some(Raise::new(kind, hub));
    match event {
        Event::LedgerUnavailable { .. } => of_hub(AlertKind::LedgerUnavailable),
        Event::NoPdfWorker { .. } => of_hub(AlertKind::PdfUnchecked),
        Event::NotDeclared { .. } => of_hub(AlertKind::QueuesMissing),
        Event::InboxOdd { system, .. } => {
            Some(Raise::of_system(AlertKind::InboxOdd, (*system).clone()).with("hub", hub))
        }
        Event::DeadLetters { waiting } => {
            Some(Raise::new(AlertKind::DeadLetter, DEAD_QUEUE).with("waiting", waiting))
        }
        Event::NameTaken { .. } => of_hub(AlertKind::HubNameTaken),
        Event::StopCutShort { parts } => {
            of_hub(AlertKind::StopCutShort).map(|raise| raise.with("parts", parts))
        }
        Event::RulesKept { .. } => of_hub(AlertKind::RulesKept),
        Event::DeadlinesKept { .. } => {
            of_hub(AlertKind::RulesKept).map(|raise| raise.with("part", "calendar"))
        }
        Event::CalendarLacks { findings } => {
            of_hub(AlertKind::CalendarLacks).map(|raise| raise.with("findings", findings))
        }
        Event::TrustKept { .. } => of_hub(AlertKind::TrustKept),
        Event::CrlAging { list, freshness, .. } => {
            let severity = match freshness {
                Freshness::Fresh => return None,
                Freshness::Due => Severity::Warning,
                Freshness::Stale => Severity::Critical,
            };
            let raise = Raise::new(AlertKind::CrlStale, list_subject(list)).at(severity);
            Some(raise.with("next_update", list.next_update))
        }
        // Raised by the ledger, in the commit that records it: dead letters, odd words of `taken`, what is
        // parked, a lost inbox, damaged bodies, limits that ran out, defects that cost a message its way.
        Event::DeadLetter { .. }
        | Event::BodyGone { .. }
        | Event::CheckFailed { .. }
        | Event::GivenUp { .. }
        | Event::Taken { .. }
        | Event::Submission { .. }
        | Event::InboxLost { .. }
        | Event::Limits { .. } => None,
        // Looked at again and again: inboxes that take nothing, publishes that fail, the broker's state, the store
        // of bodies.
        Event::NotTaken { .. }
        | Event::HubGone { .. }
        | Event::PublishFailed { .. }
        | Event::Broker { .. }
        | Event::BodyStoreFault { .. }
        | Event::BrokerAwaited { .. } => None,
        // Nothing is wrong, or it mends itself: a worker is replaced, a message comes again.
        Event::Started { .. }
        | Event::Stopping { .. }
        | Event::PdfWorkerEnded { .. }
        | Event::NotSettled { .. }
        | Event::Directory { .. }
        | Event::Reorganised { .. }
        | Event::InboxCleaned { .. }
        | Event::NotCleaned { .. }
        | Event::Retention { .. }
        | Event::BodiesServed { .. }
        | Event::BodiesCertificate
        | Event::BodiesCertificateKept { .. }
        | Event::BodyStored { .. }
        | Event::BodyRefused { .. }
        | Event::BodyUnreadable { .. }
        | Event::BodiesLeft { .. }
        | Event::BodiesSwept { .. }
        | Event::Trust { .. } => None,
    }
}

/// The file's name and the list's place in it: folders are nobody's business.
fn list_subject(list: &List) -> String {
    let name = list.path.file_name().unwrap_or_default().to_string_lossy();
    match list.number {
        1 => name.into_owned(),
        number => format!("{name} #{number}"),
    }
}

#[cfg(test)]
mod tests {
    use truc_model::wire::Intake;

    use super::*;

    #[test]
    fn the_bell_rings_and_is_bounded() {
        let (bell, mut orders) = Bell::new("hub-1");
        bell.emit(Event::CheckFailed {
            intake: Intake::Document,
        });
        bell.emit(Event::StopCutShort { parts: 2 });
        bell.emit(Event::Stopping { hub: "hub-1" });
        bell.clear(AlertKind::QueuesMissing);
        let AlertOrder::Raise(raise) = orders.try_recv().unwrap() else {
            panic!("expected it raised");
        };
        assert_eq!(
            (raise.kind, raise.subject.as_str()),
            (AlertKind::StopCutShort, "hub-1")
        );
        assert!(matches!(
            orders.try_recv().unwrap(),
            AlertOrder::Clear {
                kind: AlertKind::QueuesMissing,
                ..
            }
        ));
        for _ in 0..=SIGNALS_MAX {
            bell.clear(AlertKind::QueuesMissing);
        }
        assert_eq!(orders.len(), SIGNALS_MAX);
        Bell::unheard().emit(Event::DeadLetters { waiting: 1 });
    }
}
