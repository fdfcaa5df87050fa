//! Bodies apart, on the way of a document: found before it is looked at, held until it is recorded, and let go in the
//! store after the ledger has let them go.
//!
//! What the store promises (an object's digest is its name, a pinned one stays) is [`truc_bodies`]'s; which bodies are
//! kept is the ledger's. Here the two meet: the ledger answers for the store who names a body and who may read it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::SignedDuration;
use tokio::sync::watch;
use truc_bodies::limits::PIN_HOLDS_S;
use truc_bodies::{BodyError, BodyStore, LocalBody, Named, NamedError, Pin, Removal};
use truc_ledger::{LeavingBody, Ledger, LedgerError};
use truc_model::wire::{BodyReference, Intake, header};
use truc_model::{BodyProblemCode, Clock, Place, Refusal, RefusalCode, Sha256, SystemId, crash};
use truc_transport::{HeaderValue, Message};

use super::Received;
use super::record::{RETRY_MAX, RETRY_MIN};
use crate::app::stopped;
use crate::telemetry::{Event, emit};
use crate::web::{MayRead, MayReadError};

/// How often a store that has a fault is asked before the message goes back to its queue: about half a minute.
pub const STORE_ATTEMPTS: u32 = 8;

/// Large packets that are verified at once: each occupies a processor for seconds, and the small ones need theirs.
pub const LARGE_AT_ONCE: usize = 1;

/// How long a commit that rests on a pin may take; and how long the pin must still hold when it begins.
pub const COMMIT_WITHIN: Duration = Duration::from_secs(900);

/// How often the hub looks for bodies that leave.
pub const COLLECT_EVERY: Duration = Duration::from_secs(2);

/// Every so many sweeps of the store look at every body of it, and not only at those that nobody submitted.
pub const SWEEPS_OF_ALL: u32 = 288;

/// Where the bytes of a packet are.
#[derive(Debug, Clone)]
pub enum PacketAt {
    /// In the message.
    Message,
    /// Apart: a file of the store, pinned there. Its digest is its name.
    Apart(Arc<LocalBody>),
    /// The message names a body, and there is none for it, or it may name none.
    Nowhere {
        /// What it names, when that can be read.
        named: Option<BodyReference>,
        /// The refusal.
        why: Box<Refusal>,
    },
}

/// The store of bodies, for the flow. Cheap to clone.
#[derive(Clone)]
pub struct Bodies {
    /// The store.
    pub store: BodyStore,
    /// Who names what.
    pub ledger: Ledger,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Says where the packet of a message is, and pins it there if it is apart. `Err`: the store has a fault that does not
/// pass, and the message goes back to its queue.
pub(super) async fn locate(
    bodies: Option<&Bodies>,
    received: &mut Received,
) -> Result<Option<Pin>, BodyError> {
    let Some(header) = received.message.properties.headers.get(header::BODY) else {
        return Ok(None);
    };
    let reference = match header {
        HeaderValue::Text(text) => text.parse::<BodyReference>().map_err(|_| text.clone()),
        HeaderValue::Number(_) | HeaderValue::List(_) => Err("no text".to_owned()),
    };
    let (at, pin) = match reference {
        Err(found) => (malformed(found), None),
        Ok(named) => match (bodies, unfit(received.intake, &received.message, bodies)) {
            (Some(bodies), None) => bodies.fetch(&received.message, named).await?,
            (_, unfit) => (nowhere(named, unfit.unwrap_or_else(no_store)), None),
        },
    };
    received.packet = at;
    Ok(pin)
}

fn malformed(found: String) -> PacketAt {
    let why = Refusal::new(
        RefusalCode::BodyReferenceMalformed,
        Place::header(header::BODY),
        "sha256:<64 hexadecimal digits>;size=<bytes>",
        found,
    );
    PacketAt::Nowhere {
        named: None,
        why: Box::new(why),
    }
}

fn nowhere(named: BodyReference, why: Refusal) -> PacketAt {
    PacketAt::Nowhere {
        named: Some(named),
        why: Box::new(why),
    }
}

fn unfit(intake: Intake, message: &Message, bodies: Option<&Bodies>) -> Option<Refusal> {
    let refusal = |expected: &str, found: String| {
        let place = Place::header(header::BODY);
        Some(Refusal::new(
            RefusalCode::BodyReferenceUnfit,
            place,
            expected,
            found,
        ))
    };
    if intake != Intake::Document {
        return refusal("a document", intake.as_str().to_owned());
    }
    if !message.body.is_empty() {
        return refusal(
            "no bytes beside truc-body",
            format!("{} bytes", message.body.len()),
        );
    }
    bodies.is_none().then(no_store)
}

fn no_store() -> Refusal {
    Refusal::new(
        RefusalCode::BodyReferenceUnfit,
        Place::header(header::BODY),
        "a packet in the message",
        "a body apart, which this hub does not take",
    )
}

fn missing(found: &str) -> Refusal {
    Refusal::new(
        RefusalCode::BodyMissing,
        Place::header(header::BODY),
        "a body this system uploaded",
        found,
    )
}

impl Bodies {
    /// Pins and opens a body. A store that has a fault is asked again.
    async fn fetch(
        &self,
        message: &Message,
        named: BodyReference,
    ) -> Result<(PacketAt, Option<Pin>), BodyError> {
        let user_id = message.properties.user_id.as_deref().unwrap_or_default();
        let Ok(system) = SystemId::new(user_id) else {
            return Ok((nowhere(named, missing("none")), None));
        };
        let mut wait = RETRY_MIN;
        let mut attempts = 1;
        loop {
            match self.hold(&system, named).await {
                Err(BodyError::Problem(problem)) => {
                    let why = match problem.code {
                        BodyProblemCode::SizeConflict => Refusal::new(
                            RefusalCode::BodySizeDiffers,
                            Place::header(header::BODY),
                            problem.expected,
                            problem.found,
                        ),
                        BodyProblemCode::BodyBeingRemoved => missing("one that is just being removed"),
                        _ => missing("none"),
                    };
                    return Ok((nowhere(named, why), None));
                }
                // What is damaged stays so until it is uploaded anew.
                Err(BodyError::Damaged) => return Ok((nowhere(named, missing("a damaged one")), None)),
                Err(error) => {
                    emit(Event::BodyStoreFault { error: &error });
                    if attempts == STORE_ATTEMPTS {
                        return Err(error);
                    }
                    attempts += 1;
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(RETRY_MAX);
                }
                Ok((local, pin)) => {
                    crash::reach("body-pinned");
                    return Ok((PacketAt::Apart(Arc::new(local)), Some(pin)));
                }
            }
        }
    }

    async fn hold(&self, system: &SystemId, named: BodyReference) -> Result<(LocalBody, Pin), BodyError> {
        let pin = self.store.pin(system, named.sha256, named.size).await?;
        match self.store.local(named.sha256).await {
            Ok(Some(local)) if local.size == named.size => Ok((local, pin)),
            Ok(_) => {
                self.release(pin).await;
                Err(BodyError::Damaged)
            }
            Err(error) => {
                self.release(pin).await;
                Err(error)
            }
        }
    }

    /// Whether a commit may rest on this pin: it holds until the commit is surely over.
    pub(super) fn holds(&self, pin: &Pin) -> bool {
        const _: () = assert!(COMMIT_WITHIN.as_secs() * 2 < PIN_HOLDS_S.unsigned_abs());
        let span = SignedDuration::try_from(COMMIT_WITHIN).unwrap_or(SignedDuration::MAX);
        let then = self
            .clock
            .now()
            .saturating_add(span)
            .unwrap_or(jiff::Timestamp::MAX);
        pin.holds(then)
    }

    /// A submission is recorded, whatever became of it. If the ledger keeps the body now, it no longer counts in its
    /// uploader's quota; if not, it waits for another submission until it is too old.
    pub(super) async fn recorded(&self, pin: Pin) {
        // Not known: the pin goes, and a sweep finds the row.
        let kept = self.ledger.is_kept_apart(pin.sha256()).await.unwrap_or(false);
        if kept {
            if let Err(error) = pin.named(&self.store).await {
                emit(Event::BodyStoreFault { error: &error });
            }
        } else {
            self.release(pin).await;
        }
    }

    /// Nothing was recorded.
    pub(super) async fn release(&self, pin: Pin) {
        if let Err(error) = pin.release(&self.store).await {
            emit(Event::BodyStoreFault { error: &error });
        }
    }

    /// Whether the store has a body that is about to be delivered. A store that has a fault is not asked twice: the
    /// recipient's adapter asks it itself, and can wait.
    pub(super) async fn has(&self, sha256: Sha256, size: u64) -> bool {
        match self.store.size(sha256).await {
            Ok(found) => found == Some(size),
            Err(error) => {
                emit(Event::BodyStoreFault { error: &error });
                true
            }
        }
    }

    /// Deletes the bytes of bodies that the ledger let go, until `stop` says so; and, every `sweep_every`, what
    /// nobody ever submitted.
    pub async fn collect(self, sweep_every: Duration, mut stop: watch::Receiver<bool>) {
        let mut sweeps = 0u32;
        let mut next_sweep = tokio::time::Instant::now();
        loop {
            self.let_go().await;
            if tokio::time::Instant::now() >= next_sweep {
                self.sweep(sweeps.is_multiple_of(SWEEPS_OF_ALL)).await;
                sweeps = sweeps.wrapping_add(1);
                next_sweep = tokio::time::Instant::now() + sweep_every;
            }
            tokio::select! {
                biased;
                () = stopped(&mut stop) => return,
                () = tokio::time::sleep(COLLECT_EVERY) => {}
            }
        }
    }

    /// One look at the bodies that leave.
    async fn let_go(&self) {
        let leaving = match self.ledger.leaving_bodies().await {
            Ok(leaving) if leaving.is_empty() => return,
            Ok(leaving) => leaving,
            Err(error) => return emit(Event::LedgerUnavailable { error: &error }),
        };
        let mut left: Vec<LeavingBody> = Vec::new();
        for body in leaving {
            crash::reach("body-leaving");
            match self.store.remove(body.sha256, &Rows(self.ledger.clone())).await {
                // Awaited: another system uploaded the same bytes and is about to submit them: they are its own.
                Ok(Removal::Removed | Removal::Absent | Removal::Awaited) => left.push(body),
                // Named anew: it leaves no longer, and the ledger knows. The others: the next look.
                Ok(Removal::Named | Removal::Pinned | Removal::UnderWay) => {}
                Err(error) => emit(Event::BodyStoreFault { error: &error }),
            }
        }
        if left.is_empty() {
            return;
        }
        crash::reach("body-left");
        emit(Event::BodiesLeft { count: left.len() });
        if let Err(error) = self.ledger.bodies_left(left).await {
            emit(Event::LedgerUnavailable { error: &error });
        }
    }

    async fn sweep(&self, all: bool) {
        let rows = Rows(self.ledger.clone());
        let swept = if all {
            self.store.sweep_all(&rows).await
        } else {
            self.store.sweep(&rows).await
        };
        match swept {
            Ok(swept) if swept.removed + swept.unfinished > 0 => emit(Event::BodiesSwept {
                removed: swept.removed,
                unfinished: swept.unfinished,
            }),
            Ok(_) => {}
            Err(error) => emit(Event::BodyStoreFault { error: &error }),
        }
    }
}

/// What the ledger's rows say of bodies, for the store and for the HTTP service.
#[derive(Clone)]
pub struct Rows(pub Ledger);

#[async_trait]
impl Named for Rows {
    async fn is_named(&self, body: Sha256) -> Result<bool, NamedError> {
        let kept: Result<bool, LedgerError> = self.0.is_kept_apart(body).await;
        Ok(kept?)
    }
}

#[async_trait]
impl MayRead for Rows {
    async fn may_read(&self, system: &SystemId, body: Sha256) -> Result<bool, MayReadError> {
        let who = truc_ledger::MayRead {
            system: system.clone(),
            sha256: body,
        };
        Ok(self.0.may_read(&who).await?)
    }
}

#[cfg(test)]
pub(crate) mod tests;
