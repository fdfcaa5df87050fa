//! Deliver: works from the ledger. Claims what is due, most urgent first and within each inbox's
//! window; publishes it with `mandatory` and awaits the broker's confirm; then commits `forwarded`.
//!
//! A publish that is unroutable, nacked or unanswered is a retry, never a success. Killed between
//! confirm and commit, the delivery goes out again with the same id and the recipient recognises it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::{FutureExt as _, try_join, try_join_all};
use futures_util::stream::FuturesUnordered;
use jiff::SignedDuration;
use tokio::sync::watch;
use truc_ledger::rules::BODY_DAMAGED_PAUSE;
use truc_ledger::{
    Body, ClaimRequest, Claimed, FORWARDED_MAX, Forwarded, HubId, Ledger, PublishFailed, PublishFailure,
};
use truc_model::wire::{BodyReference, DELIVER_EXCHANGE, header};
use truc_model::{AgencyCode, Clock, DeliveryUid, SystemId, crash};
use truc_transport::{Broker, BrokerState, HeaderValue, OutMessage, Properties, PublishError, Publisher};

use super::bodies::Bodies;
use super::orders;
use super::record::until_committed;
use super::rest::{self, Resting, Standing};
use crate::app::stopped;
use crate::config::Delivery as Settings;
use crate::queues::Queues;
use crate::telemetry::{Event, emit};

/// What delivering needs.
pub struct Deliverer {
    /// The broker.
    pub broker: Arc<dyn Broker>,
    /// The ledger.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The settings.
    pub settings: Settings,
    /// Owner of the leases: this hub's name.
    pub owner: HubId,
    /// This hub's code, for the trace header.
    pub hub_code: AgencyCode,
    /// Told when an inbox is not there.
    pub queues: Arc<Queues>,
    /// Bodies apart; `None`: there are none, and a message that names one does not go out.
    pub bodies: Option<Bodies>,
}

/// Most bytes of bodies claimed and not yet confirmed: memory stays flat however slow the broker is and
/// however large the documents are. A single larger one still passes, alone.
pub const IN_FLIGHT_BYTES_MAX: u64 = 24 << 20;

/// A claim is made when at least this part of [`Settings::claim_max`] is free, or nothing is held at all.
const CLAIM_PARTS: usize = 4;

/// Commits of confirmed publishes under way at once: one that is written, and one that waits to be.
const COMMITS_MAX: usize = 2;

/// What is claimed and not yet committed as forwarded or failed.
#[derive(Debug, Default)]
struct Held {
    messages: usize,
    bytes: u64,
}

impl Held {
    fn add(&mut self, bytes: u64) {
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
    }

    fn release(&mut self, done: &Self) {
        self.messages = self.messages.saturating_sub(done.messages);
        self.bytes = self.bytes.saturating_sub(done.bytes);
    }
}

/// By which way messages go out, each a channel of its own.
struct Ways {
    well: Arc<dyn Publisher>,
    /// For inboxes that failed lately: what a nack costs a channel is borne by those that cause it.
    doubted: Arc<dyn Publisher>,
}

impl Ways {
    fn of(&self, standing: Standing) -> Arc<dyn Publisher> {
        Arc::clone(match standing {
            Standing::Well => &self.well,
            Standing::Doubted => &self.doubted,
        })
    }
}

/// One publish and what came of it.
struct Published {
    delivery: DeliveryUid,
    system: SystemId,
    attempt: u32,
    size: u64,
    result: Result<(), Unpublished>,
}

/// Why a message did not get into its inbox.
enum Unpublished {
    /// The broker, or the way to it.
    Broker(PublishError),
    /// The store does not have the body that the message would name.
    BodyGone,
}

impl Deliverer {
    /// Delivers until `stop` says so, then waits for what it holds.
    ///
    /// Claims, publishes and commits overlap: while one round's messages are on their way to the broker, the next
    /// is claimed, and what the broker took before is committed.
    ///
    /// # Errors
    /// When the ledger closes or the broker connection cannot be set up at all.
    pub async fn run(self, mut stop: watch::Receiver<bool>) -> Result<(), DeliverError> {
        let ways = Ways {
            well: self.broker.publisher().await?,
            doubted: self.broker.publisher().await?,
        };
        let mut broker_state = self.broker.state();
        // Claims of this hub's previous life would otherwise wait for their leases to run out.
        until_committed(|| self.ledger.release_leases(self.owner.clone())).await?;

        let mut wake = self.ledger.wake();
        let mut held = Held::default();
        let mut resting = Resting::default();
        let mut claiming = FuturesUnordered::new();
        let mut publishing = FuturesUnordered::new();
        let mut committing = FuturesUnordered::new();
        let mut settled: Vec<Published> = Vec::new();
        // Whether something may wait that was not there to be claimed when this hub last looked.
        let mut may_wait = true;
        loop {
            let room = self.settings.claim_max.saturating_sub(held.messages);
            let bytes_room = IN_FLIGHT_BYTES_MAX.saturating_sub(held.bytes);
            // Not for every place that becomes free: a claim of one costs nearly what a claim of many costs.
            let is_worth_it = room >= (self.settings.claim_max / CLAIM_PARTS).max(1) || held.messages == 0;
            if may_wait && claiming.is_empty() && is_worth_it && bytes_room > 0 && can_publish(&broker_state)
            {
                may_wait = false;
                let rest = resting.at(self.clock.now());
                claiming.push(self.claim(room, bytes_room, rest));
            }
            if !settled.is_empty() && committing.len() < COMMITS_MAX {
                crash::reach("confirmed");
                committing.push(self.commit(std::mem::take(&mut settled), &mut resting));
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                // Whatever it was that woke the loop, it claims again.
                Ok(()) = wake.changed() => may_wait = true,
                Ok(()) = broker_state.changed() => may_wait = true,
                Some(committed) = committing.next(), if !committing.is_empty() => held.release(&committed?),
                Some(claimed) = claiming.next(), if !claiming.is_empty() => {
                    let claimed = claimed?;
                    // There may be more than this claim was to take.
                    may_wait |= !claimed.is_empty();
                    let now = self.clock.now();
                    for claim in claimed {
                        held.add(claim.body.bytes_in_memory());
                        let way = ways.of(resting.standing(&claim.system, now));
                        publishing.push(self.publish(way, claim));
                    }
                }
                Some(published) = publishing.next(), if !publishing.is_empty() => {
                    settled.push(published);
                    // Gather what is already confirmed: one commit for all of it.
                    while let Some(Some(published)) = publishing.next().now_or_never() {
                        settled.push(published);
                    }
                }
                () = tokio::time::sleep(Duration::from_millis(self.settings.poll_ms)) => may_wait = true,
            }
        }
        while let Some(claimed) = claiming.next().await {
            let now = self.clock.now();
            publishing.extend(claimed?.into_iter().map(|claim| {
                let way = ways.of(resting.standing(&claim.system, now));
                self.publish(way, claim)
            }));
        }
        while let Some(committed) = committing.next().await {
            committed?;
        }
        loop {
            if !settled.is_empty() {
                self.commit(std::mem::take(&mut settled), &mut resting).await?;
            }
            let Some(published) = publishing.next().await else {
                return Ok(());
            };
            settled.push(published);
            while let Some(Some(published)) = publishing.next().now_or_never() {
                settled.push(published);
            }
        }
    }

    async fn claim(
        &self,
        limit: usize,
        bytes_max: u64,
        resting: Vec<SystemId>,
    ) -> Result<Vec<Claimed>, DeliverError> {
        let request = ClaimRequest {
            lease: Duration::from_secs(self.settings.lease_s),
            max: limit,
            answers_max: limit,
            bytes_max,
            window: self.settings.window,
            urgent_extra: self.settings.urgent_extra,
            resting,
            ..ClaimRequest::usual(self.owner.clone())
        };
        Ok(until_committed(|| self.ledger.claim(request.clone())).await?)
    }

    /// Commits what became of publishes; gives what is held no longer. What it says of the inboxes is learnt at once.
    fn commit<'a>(
        &'a self,
        published: Vec<Published>,
        resting: &mut Resting,
    ) -> impl Future<Output = Result<Held, DeliverError>> + use<'a> {
        let at = self.clock.now();
        let mut done = Held::default();
        let mut forwarded = Vec::new();
        let mut failed = Vec::new();
        for Published {
            delivery,
            system,
            attempt,
            size,
            result,
        } in published
        {
            done.add(size);
            let (failure, wait) = match result {
                Ok(()) => {
                    resting.took(&system, at);
                    forwarded.push(Forwarded {
                        delivery,
                        at,
                        attempt,
                    });
                    continue;
                }
                Err(Unpublished::BodyGone) => {
                    emit(Event::BodyGone { delivery });
                    let pause = SignedDuration::try_from(BODY_DAMAGED_PAUSE).unwrap_or_default();
                    (PublishFailure::BodyDamaged, pause)
                }
                Err(Unpublished::Broker(error)) => {
                    emit(Event::PublishFailed {
                        delivery,
                        attempt,
                        error: &error,
                    });
                    if matches!(error, PublishError::Unroutable { .. }) {
                        self.queues.found_missing();
                    }
                    if rest::is_the_inboxs(&error) {
                        resting.failed(&system, at, |failures| self.wait(failures));
                    }
                    (failure(&error), self.wait(attempt))
                }
            };
            failed.push(PublishFailed {
                delivery,
                at,
                failure,
                next_try: at.saturating_add(wait).unwrap_or(jiff::Timestamp::MAX),
            });
        }
        async move {
            // All at once: they share a commit.
            let failed = failed
                .iter()
                .map(|failed| until_committed(|| self.ledger.publish_failed(failed.clone())));
            let forwarded = forwarded
                .chunks(FORWARDED_MAX)
                .map(|confirms| until_committed(|| self.ledger.forwarded(confirms.to_vec())));
            try_join(try_join_all(failed), try_join_all(forwarded)).await?;
            Ok(done)
        }
    }

    /// The wait after a failed attempt: doubles from the shortest to the longest.
    fn wait(&self, attempt: u32) -> SignedDuration {
        let doubled = self
            .settings
            .retry_min_ms
            .saturating_mul(1 << attempt.saturating_sub(1).min(20));
        let wait = doubled.min(self.settings.retry_max_ms);
        SignedDuration::from_millis(i64::try_from(wait).unwrap_or(i64::MAX))
    }

    fn publish(&self, way: Arc<dyn Publisher>, claim: Claimed) -> impl Future<Output = Published> + use<> {
        publish(way, self.bodies.clone(), self.message(&claim), claim)
    }

    fn message(&self, claimed: &Claimed) -> OutMessage {
        let text = |value: String| HeaderValue::Text(value);
        let mut headers = BTreeMap::from([
            (header::DELIVERY.to_owned(), text(claimed.delivery.to_string())),
            (
                header::ATTEMPT.to_owned(),
                HeaderValue::Number(claimed.attempt.into()),
            ),
            (header::SHA256.to_owned(), text(claimed.sha256.to_string())),
            (
                header::SIZE.to_owned(),
                HeaderValue::Number(i64::try_from(claimed.body.size()).unwrap_or(i64::MAX)),
            ),
        ]);
        if let Some(document) = claimed.document {
            headers.insert(header::DOCUMENT.to_owned(), text(document.to_string()));
        }
        if let Some(from) = &claimed.from {
            headers.insert(header::FROM.to_owned(), text(from.clone()));
        }
        if !claimed.to.is_empty() {
            headers.insert(header::TO.to_owned(), HeaderValue::List(claimed.to.clone()));
        }
        if let Some(status) = claimed.status {
            headers.insert(header::STATUS.to_owned(), text(status.digits().to_owned()));
        }
        if claimed.outgoing.awaits_taken() {
            headers.insert(
                header::TRACE.to_owned(),
                text(format!("{} {}", self.hub_code, claimed.accepted_at)),
            );
        }
        if let Some(json) = claimed
            .verdict
            .as_ref()
            .and_then(|verdict| serde_json::to_string(verdict).ok())
        {
            headers.insert(header::SIGNATURE.to_owned(), text(json));
        }
        if let Some(json) = claimed
            .attachments
            .as_ref()
            .and_then(|words| serde_json::to_string(words).ok())
        {
            headers.insert(header::ATTACHMENTS.to_owned(), text(json));
        }
        if let Body::Apart { size } = claimed.body {
            let reference = BodyReference {
                sha256: claimed.sha256,
                size,
            };
            headers.insert(header::BODY.to_owned(), text(reference.to_string()));
        }
        orders::add(&mut headers, claimed);
        OutMessage {
            exchange: DELIVER_EXCHANGE.to_owned(),
            routing_key: claimed.system.to_string(),
            properties: Properties {
                kind: Some(claimed.outgoing.as_str().to_owned()),
                message_id: Some(claimed.delivery.to_string()),
                correlation_id: claimed.correlation_id.map(|id| id.to_string()),
                // The broker would check it against the hub's own account; the hub signs with its trace.
                user_id: None,
                content_type: Some(claimed.outgoing.content_type().to_owned()),
                timestamp: Some(self.clock.now()),
                priority: Some(claimed.priority),
                app_id: Some(concat!("truc/", env!("CARGO_PKG_VERSION")).to_owned()),
                headers,
            },
            body: claimed.body.here().cloned().unwrap_or_default(),
        }
    }
}

fn can_publish(state: &watch::Receiver<BrokerState>) -> bool {
    matches!(*state.borrow(), BrokerState::Up)
}

async fn publish(
    publisher: Arc<dyn Publisher>,
    bodies: Option<Bodies>,
    message: OutMessage,
    claim: Claimed,
) -> Published {
    let result = async {
        // A message that names what nobody can fetch would be refused again and again at the other end.
        if let Body::Apart { size } = claim.body {
            let there = match &bodies {
                Some(bodies) => bodies.has(claim.sha256, size).await,
                None => false,
            };
            if !there {
                return Err(Unpublished::BodyGone);
            }
        }
        let confirming = publisher.publish(message).await.map_err(Unpublished::Broker)?;
        crash::reach("published");
        confirming.await.map(|_confirmed| ()).map_err(Unpublished::Broker)
    }
    .await;
    Published {
        delivery: claim.delivery,
        system: claim.system,
        attempt: claim.attempt,
        size: claim.body.bytes_in_memory(),
        result,
    }
}

fn failure(error: &PublishError) -> PublishFailure {
    match error {
        PublishError::Unroutable { .. } => PublishFailure::Unroutable,
        PublishError::Nacked => PublishFailure::Nacked,
        PublishError::Blocked { .. } => PublishFailure::Blocked,
        PublishError::TimedOut { .. } => PublishFailure::TimedOut,
        PublishError::Disconnected(_) => PublishFailure::Disconnected,
        PublishError::Refused { .. } => PublishFailure::Refused,
        PublishError::TooLarge { .. } => PublishFailure::TooLarge,
    }
}

/// Why delivering ended.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The ledger is closed.
    #[error("the ledger is closed")]
    Ledger(#[from] truc_ledger::LedgerError),
    /// No connection for publishing could be set up.
    #[error("no connection to publish on")]
    Broker(#[from] truc_transport::BrokerError),
}
