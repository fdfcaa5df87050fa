//! The publishes under way on one channel, and which of them the broker's words are about.
//!
//! Why lapin's own answer is not enough: a broker sends `basic.return` for an unroutable message and
//! then confirms it, often together with its neighbours (`multiple`). lapin pairs a return with whichever
//! confirm it completes next, in the order of a hash map. With many publishes under way, the message that
//! was *not* routed may so be reported as kept. Therefore a return is matched here by what it is a return
//! of (exchange, key, properties, body), and no confirm is believed before every answer that lapin gave
//! out earlier has been looked at.
//!
//! That is possible because lapin completes its promises one after the other on one thread, each time
//! waking the waiter before it goes on to the next. So when a confirm is seen, all earlier answers are
//! already in the queue of woken entries; [`Pending::collect`] reads that queue once more before it judges.
//! Two messages equal in everything need not be told apart: one was kept and one was not, whichever.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::task::AtomicWaker;
use lapin::{BasicProperties, Error};
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::blame::Blame;
use super::fault::Fault;
use crate::publish::{Confirmed, PublishError};

/// What was published, as the broker would return it.
#[derive(Clone, PartialEq)]
pub(super) struct Sent {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Arc<[u8]>,
}

/// A message the broker gave back.
pub(super) struct Returned {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

impl Returned {
    fn is_of(&self, sent: &Sent) -> bool {
        self.exchange == sent.exchange
            && self.routing_key == sent.routing_key
            && self.properties == sent.properties
            && *self.body == *sent.body
    }
}

/// The broker's answer to one publish; the returned message may be another's.
pub(super) enum Answer {
    Ack(Option<Returned>),
    Nack(Option<Returned>),
}

/// A publish on its way: sending, then waiting for the confirm.
pub(super) type Publishing = Pin<Box<dyn Future<Output = Result<Answer, Error>> + Send>>;

/// Where the caller waits.
pub(super) type Reply = oneshot::Sender<Result<Confirmed, PublishError>>;

struct Entry {
    publishing: Publishing,
    waker: Waker,
    waiting: Waiting,
}

/// What is left to do for one publish once the broker has spoken.
struct Waiting {
    sent: Sent,
    /// `None` when the caller was told already that it took too long. The entry stays nonetheless: the
    /// message is still on its way, and its place in the window is still taken.
    reply: Option<Reply>,
    deadline: Instant,
    _room: OwnedSemaphorePermit,
}

impl Waiting {
    fn tell(mut self, outcome: Result<(), PublishError>) {
        if let Some(reply) = self.reply.take() {
            // The caller may have stopped waiting; nothing is lost by that.
            let _ = reply.send(outcome.map(|()| Confirmed::by_broker()));
        }
    }
}

/// Entries that lapin has woken, in the order of waking.
#[derive(Default)]
pub(super) struct Woken {
    queue: Mutex<Vec<u64>>,
    nudged: AtomicBool,
    collector: AtomicWaker,
}

impl Woken {
    /// Resolves when there may be something to collect.
    pub(super) fn wait(&self) -> impl Future<Output = ()> + '_ {
        std::future::poll_fn(move |cx| {
            self.collector.register(cx.waker());
            if self.nudged.swap(false, Ordering::SeqCst) || !self.lock().is_empty() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }

    /// Wakes the collector for another reason.
    pub(super) fn nudge(&self) {
        self.nudged.store(true, Ordering::SeqCst);
        self.collector.wake();
    }

    fn take(&self) -> Vec<u64> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<u64>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct EntryWaker {
    number: u64,
    woken: Arc<Woken>,
}

impl Wake for EntryWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.lock().push(self.number);
        self.woken.collector.wake();
    }
}

/// What [`Pending::collect`] found out about the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Go on.
    Well,
    /// Some were nacked, though nothing is wrong with the channel as such.
    Nacking,
    /// The channel has ended; all entries have been answered.
    Ended,
}

/// All publishes under way on one channel.
pub(super) struct Pending {
    woken: Arc<Woken>,
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Answered, but not yet judged.
    answered: Vec<(Waiting, Result<Answer, Error>)>,
    /// Returned, and not yet matched with an answer.
    returned: Vec<Returned>,
}

impl Pending {
    pub(super) fn new(woken: Arc<Woken>) -> Self {
        Self {
            woken,
            entries: BTreeMap::new(),
            next: 0,
            answered: Vec::new(),
            returned: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.answered.is_empty()
    }

    /// Sends: the first poll hands the frames to lapin, and it happens here, under the caller's lock,
    /// because lapin numbers a publish and queues its frames in two steps that must not interleave.
    pub(super) fn add(
        &mut self,
        sent: Sent,
        publishing: Publishing,
        reply: Reply,
        deadline: Instant,
        room: OwnedSemaphorePermit,
    ) {
        let number = self.next;
        self.next += 1;
        let waker = Waker::from(Arc::new(EntryWaker {
            number,
            woken: Arc::clone(&self.woken),
        }));
        let waiting = Waiting {
            sent,
            reply: Some(reply),
            deadline,
            _room: room,
        };
        self.entries.insert(
            number,
            Entry {
                publishing,
                waker,
                waiting,
            },
        );
        self.poll(number);
        if !self.answered.is_empty() {
            self.woken.nudge();
        }
    }

    /// Judges what the broker has answered, and tells the callers.
    pub(super) fn collect(&mut self) -> Health {
        self.poll_woken();
        // Only these may be judged in this round: whatever lapin answered before one of them is seen by
        // the second reading; of an answer first seen there, that cannot be said.
        let judged = self.answered.len();
        self.poll_woken();
        let mut later = self.answered.split_off(judged);
        std::mem::swap(&mut later, &mut self.answered);
        let mut fault = None;
        let mut nacked = false;
        for (waiting, answer) in later {
            match answer {
                Ok(Answer::Ack(_)) if self.take_return(&waiting.sent) => {
                    let outcome = unroutable(&waiting.sent);
                    waiting.tell(outcome);
                }
                Ok(Answer::Nack(_)) if self.take_return(&waiting.sent) => {
                    let outcome = unroutable(&waiting.sent);
                    waiting.tell(outcome);
                }
                Ok(Answer::Ack(_)) => waiting.tell(Ok(())),
                Ok(Answer::Nack(_)) => {
                    nacked = true;
                    waiting.tell(Err(PublishError::Nacked));
                }
                // Back among the others: who is to blame is judged over all of them.
                Err(error) => {
                    fault.get_or_insert_with(|| Fault::of(&error));
                    self.answered.push((waiting, Err(error)));
                }
            }
        }
        if let Some(fault) = fault {
            self.end(&fault);
            return Health::Ended;
        }
        if self.is_empty() {
            // A return whose publish is not here any more concerns nobody.
            self.returned.clear();
        } else if !self.answered.is_empty() {
            self.woken.nudge();
        }
        if nacked { Health::Nacking } else { Health::Well }
    }

    /// Tells those who have waited too long; gives back whether there were any.
    pub(super) fn expire(&mut self, now: Instant, error: &PublishError) -> bool {
        let mut any = false;
        for entry in self.entries.values_mut() {
            if entry.waiting.deadline <= now
                && let Some(reply) = entry.waiting.reply.take()
            {
                any = true;
                let _ = reply.send(Err(error.clone()));
            }
        }
        any
    }

    /// The channel has ended: what lapin confirmed before that counts, all else failed.
    pub(super) fn end(&mut self, fault: &Fault) {
        self.poll_woken();
        let mut left = Vec::new();
        for (waiting, answer) in std::mem::take(&mut self.answered) {
            match answer {
                Ok(Answer::Ack(_)) => {
                    let outcome = if self.take_return(&waiting.sent) {
                        unroutable(&waiting.sent)
                    } else {
                        Ok(())
                    };
                    waiting.tell(outcome);
                }
                Ok(Answer::Nack(_)) => waiting.tell(Err(PublishError::Nacked)),
                Err(_) => left.push(waiting),
            }
        }
        left.extend(
            std::mem::take(&mut self.entries)
                .into_values()
                .map(|entry| entry.waiting),
        );
        self.returned.clear();
        let blame = Blame::of(fault, left.iter().map(|waiting| &waiting.sent));
        for waiting in left {
            let outcome = blame.on(&waiting.sent);
            waiting.tell(Err(outcome));
        }
    }

    fn poll_woken(&mut self) {
        for number in self.woken.take() {
            self.poll(number);
        }
    }

    fn poll(&mut self, number: u64) {
        // Woken twice, or answered since.
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let mut cx = Context::from_waker(&entry.waker);
        let Poll::Ready(mut answer) = entry.publishing.as_mut().poll(&mut cx) else {
            return;
        };
        if let Ok(Answer::Ack(returned) | Answer::Nack(returned)) = &mut answer {
            self.returned.extend(returned.take());
        }
        if let Some(entry) = self.entries.remove(&number) {
            self.answered.push((entry.waiting, answer));
        }
    }

    fn take_return(&mut self, sent: &Sent) -> bool {
        let found = self.returned.iter().position(|returned| returned.is_of(sent));
        found.map(|at| self.returned.swap_remove(at)).is_some()
    }
}

fn unroutable(sent: &Sent) -> Result<(), PublishError> {
    Err(PublishError::Unroutable {
        exchange: sent.exchange.clone(),
        routing_key: sent.routing_key.clone(),
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lapin::ErrorKind;
    use lapin::protocol::{AMQPError, AMQPSoftError};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::publish::Confirming;

    /// Publishes whose answers the test gives, in the way lapin does.
    struct Bench {
        pending: Pending,
        room: Arc<Semaphore>,
    }

    type Speak = oneshot::Sender<Result<Answer, Error>>;

    impl Bench {
        fn new() -> Self {
            Self {
                pending: Pending::new(Arc::default()),
                room: Arc::new(Semaphore::new(16)),
            }
        }

        fn publish(&mut self, exchange: &str, key: &str, body: &[u8]) -> (Speak, Confirming) {
            let (speak, answer) = oneshot::channel::<Result<Answer, Error>>();
            let (reply, confirming) = Confirming::channel();
            let room = Arc::clone(&self.room).try_acquire_owned().unwrap();
            let publishing: Publishing = Box::pin(async move { answer.await.unwrap() });
            let deadline = Instant::now() + Duration::from_secs(1);
            self.pending
                .add(sent(exchange, key, body), publishing, reply, deadline, room);
            (speak, confirming)
        }
    }

    fn sent(exchange: &str, key: &str, body: &[u8]) -> Sent {
        Sent {
            exchange: exchange.into(),
            routing_key: key.into(),
            properties: BasicProperties::default(),
            body: body.into(),
        }
    }

    fn returned(key: &str, body: &[u8]) -> Option<Returned> {
        Some(Returned {
            exchange: "x".into(),
            routing_key: key.into(),
            properties: BasicProperties::default(),
            body: body.to_vec(),
        })
    }

    fn refusal(text: &str) -> Error {
        ErrorKind::ProtocolError(AMQPError::new(AMQPSoftError::ACCESSREFUSED.into(), text.into())).into()
    }

    fn unroutable(key: &str) -> Result<Confirmed, PublishError> {
        Err(PublishError::Unroutable {
            exchange: "x".into(),
            routing_key: key.into(),
        })
    }

    fn say(speak: Speak, answer: Result<Answer, Error>) {
        assert!(speak.send(answer).is_ok());
    }

    #[tokio::test]
    async fn a_return_given_to_the_wrong_confirm_finds_its_message() {
        let mut bench = Bench::new();
        let (good, good_confirm) = bench.publish("x", "known", b"1");
        let (bad, bad_confirm) = bench.publish("x", "unknown", b"2");
        // lapin hands the return of the second to the first.
        say(good, Ok(Answer::Ack(returned("unknown", b"2"))));
        say(bad, Ok(Answer::Ack(None)));
        while !bench.pending.is_empty() {
            assert_eq!(bench.pending.collect(), Health::Well);
        }
        assert!(good_confirm.await.is_ok());
        assert_eq!(bad_confirm.await, unroutable("unknown"));
        assert_eq!(bench.room.available_permits(), 16);
    }

    #[tokio::test]
    async fn equal_keys_are_told_apart_by_the_body() {
        let mut bench = Bench::new();
        let (first, first_confirm) = bench.publish("x", "k", b"1");
        let (second, second_confirm) = bench.publish("x", "k", b"2");
        say(first, Ok(Answer::Ack(returned("k", b"2"))));
        say(second, Ok(Answer::Nack(None)));
        while !bench.pending.is_empty() {
            bench.pending.collect();
        }
        assert!(first_confirm.await.is_ok());
        assert_eq!(second_confirm.await, unroutable("k"));
    }

    #[tokio::test]
    async fn the_guilty_is_refused_and_the_innocent_may_try_again() {
        let mut bench = Bench::new();
        let (kept, kept_confirm) = bench.publish("truc.submit", "document", b"0");
        let (innocent, innocent_confirm) = bench.publish("truc.submit", "document", b"1");
        let (guilty, guilty_confirm) = bench.publish("truc.deliver", "vxp", b"2");
        let text = "ACCESS_REFUSED - access to exchange 'truc.deliver' in vhost '/' refused for user 'vxp'";
        say(kept, Ok(Answer::Ack(None)));
        say(innocent, Err(refusal(text)));
        say(guilty, Err(refusal(text)));
        assert_eq!(bench.pending.collect(), Health::Ended);
        assert!(kept_confirm.await.is_ok());
        assert!(matches!(
            innocent_confirm.await,
            Err(PublishError::Disconnected(_))
        ));
        assert!(matches!(guilty_confirm.await, Err(PublishError::Refused { reply }) if reply == text));
        assert!(bench.pending.is_empty());
    }

    #[tokio::test]
    async fn a_reply_that_names_nobody_is_for_all() {
        let mut bench = Bench::new();
        let (one, one_confirm) = bench.publish("x", "k", b"1");
        let (_silent, silent_confirm) = bench.publish("x", "k", b"2");
        say(one, Err(refusal("ACCESS_REFUSED")));
        assert_eq!(bench.pending.collect(), Health::Ended);
        assert!(matches!(one_confirm.await, Err(PublishError::Refused { .. })));
        assert!(matches!(silent_confirm.await, Err(PublishError::Refused { .. })));
    }

    #[tokio::test]
    async fn who_waited_too_long_is_told_once_and_keeps_the_place_in_the_window() {
        let mut bench = Bench::new();
        let (speak, confirming) = bench.publish("x", "k", b"1");
        let late = PublishError::TimedOut { after_ms: 1000 };
        assert!(!bench.pending.expire(Instant::now(), &late));
        let then = Instant::now() + Duration::from_secs(2);
        assert!(bench.pending.expire(then, &late));
        assert!(!bench.pending.expire(then, &late));
        assert_eq!(confirming.await, Err(late));
        assert_eq!(bench.room.available_permits(), 15);
        say(speak, Ok(Answer::Ack(None)));
        bench.pending.collect();
        assert_eq!(bench.room.available_permits(), 16);
    }
}
