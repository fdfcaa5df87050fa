//! Acks that leave together: one frame for a run of neighbours, on one channel.
//!
//! An ack with `multiple` settles everything up to its tag, so it may only be sent when all of that is done. Three
//! rules keep it so. The run begins at the lowest tag that is not settled. A tag stays open until the frame that
//! nacks it has left. And one task at a time sends, awaiting each frame: RabbitMQ closes the channel for an ack of
//! a tag that another frame has settled before.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::broker::Cause;
use crate::consume::SettleError;

/// One part in so many of the prefetch may be done and wait behind a delivery that is not; beyond it they are
/// acked singly, so that a slow delivery never keeps the broker from handing out others.
const HELD_SHARE: u16 = 4;

/// The smallest prefetch with which acks may wait: of two, one slow and one held would be all.
pub(super) const TOGETHER_MIN: u16 = 3;

/// Most acks that wait behind a delivery that is not settled.
fn held_max(prefetch: u16) -> usize {
    usize::from(prefetch / HELD_SHARE).max(1)
}

/// What one frame says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    /// This one is done.
    Ack,
    /// This one and all before it are done.
    AckUpTo,
    /// Back to the queue.
    Requeue,
    /// To the dead letters.
    DeadLetter,
}

/// How the broker is told about one delivery.
pub(super) trait Teller: Send + Sync + 'static {
    /// Hands the frame to the connection; `false` when the channel has ended.
    fn tell(&self, word: Word) -> impl Future<Output = bool> + Send;

    /// Whether the channel has ended.
    fn is_gone(&self) -> bool;

    /// Has the connection made anew: it takes nothing any more.
    fn give_up(&self);
}

/// Tells the broker, but does not wait for ever.
pub(super) async fn tell(teller: &impl Teller, word: Word, limit: Duration) -> Result<(), SettleError> {
    match timeout(limit, teller.tell(word)).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(SettleError::Stale),
        Err(_) => Err(SettleError::Failed(Cause::text(
            "no room on the connection in time",
        ))),
    }
}

/// The deliveries of one channel that are not settled, and the acks that are to be sent.
pub(super) struct Acks<T> {
    line: Mutex<Line<T>>,
    limit: Duration,
    senders: Senders,
    /// Settlements may be dropped outside of it.
    runtime: Handle,
}

/// Counts the tasks that send acks, so that a connection is not closed before them. Clones share the count.
#[derive(Clone)]
pub(super) struct Senders(watch::Sender<usize>);

impl Senders {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Resolves when nobody sends.
    pub(super) async fn idle(&self) {
        // Cannot fail: the sender of the count is here.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }

    fn one_more(&self) -> Sender {
        self.0.send_modify(|count| *count += 1);
        Sender(self.clone())
    }
}

/// A task that sends, until dropped.
struct Sender(Senders);

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.0.send_modify(|count| *count -= 1);
    }
}

impl<T: Teller> Acks<T> {
    /// For a new channel. Must be called within a tokio runtime.
    pub(super) fn new(prefetch: u16, limit: Duration, senders: Senders) -> Arc<Self> {
        Arc::new(Self {
            line: Mutex::new(Line::new(held_max(prefetch))),
            limit,
            senders,
            runtime: Handle::current(),
        })
    }

    /// A delivery came; to be called in the order of their tags.
    pub(super) fn handed_out(self: &Arc<Self>, tag: u64, teller: T) -> Outstanding<T> {
        self.lock().handed_out(tag);
        Outstanding {
            acks: Arc::clone(self),
            tag,
            teller: Some(teller),
        }
    }

    /// Changes the line, then has sent what may be sent now.
    fn change<R>(self: &Arc<Self>, change: impl FnOnce(&mut Line<T>) -> R) -> R {
        let mut line = self.lock();
        let changed = change(&mut line);
        if !line.sending && line.is_due() {
            line.sending = true;
            // A task of its own: whoever settles may be cancelled at any time.
            self.runtime.spawn(Arc::clone(self).send(self.senders.one_more()));
        }
        changed
    }

    async fn send(self: Arc<Self>, _counted: Sender) {
        while let Some(frame) = self.next() {
            if let Err(error) = tell(&frame.teller, frame.word, self.limit).await {
                if matches!(error, SettleError::Failed(_)) {
                    frame.teller.give_up();
                }
                self.end(error, frame.settles);
            }
        }
    }

    /// The next frame; without one the caller must stop, and the next change starts another.
    fn next(&self) -> Option<Frame<T>> {
        let mut line = self.lock();
        let frame = line.next();
        line.sending = frame.is_some();
        frame
    }

    /// The channel has ended, or is about to: whether the last frame arrived nobody can know.
    fn end(&self, error: SettleError, unsure: usize) {
        let held = self.lock().end(error.clone());
        let messages = unsure + held.len();
        tracing::debug!(messages, %error, "acks were not sent, the broker hands the messages out again");
    }

    fn lock(&self) -> MutexGuard<'_, Line<T>> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery that is not settled. Dropped so, it stays with the broker until the channel ends, and all after it
/// are acked singly.
pub(super) struct Outstanding<T: Teller> {
    acks: Arc<Acks<T>>,
    tag: u64,
    /// `None` once it is settled.
    teller: Option<T>,
}

impl<T: Teller> Outstanding<T> {
    /// Done: it is acked together with its neighbours, see [`crate::Settlement::ack`].
    pub(super) fn ack(mut self) -> Result<(), SettleError> {
        let Some(teller) = self.teller.take() else {
            return Err(SettleError::Stale);
        };
        if teller.is_gone() {
            self.acks.end(SettleError::Stale, 1);
            return Err(SettleError::Stale);
        }
        self.acks.change(|line| line.done(self.tag, teller))
    }

    /// Requeues or dead-letters at once. Until that frame has left no ack may pass over it; cancelled or failed
    /// half-way, it counts as dropped.
    pub(super) async fn nack(mut self, word: Word) -> Result<(), SettleError> {
        let Some(teller) = &self.teller else {
            return Err(SettleError::Stale);
        };
        tell(teller, word, self.acks.limit).await?;
        self.acks.change(|line| line.nacked(self.tag));
        self.teller = None;
        Ok(())
    }
}

impl<T: Teller> Drop for Outstanding<T> {
    fn drop(&mut self) {
        if self.teller.is_some() {
            self.acks.change(|line| line.abandoned(self.tag));
        }
    }
}

/// One frame to send.
struct Frame<T> {
    teller: T,
    word: Word,
    /// How many deliveries it settles.
    settles: usize,
}

/// The bookkeeping: what is open and what is done. Both are bounded by the prefetch, because the broker hands out
/// nothing beyond it.
struct Line<T> {
    /// Not settled, being nacked, or dropped.
    open: BTreeSet<u64>,
    /// Acked by the program, and not yet to the broker.
    done: BTreeMap<u64, T>,
    /// The lowest tag that nobody will settle on this channel.
    abandoned: Option<u64>,
    /// The last tag that came; they count from 1.
    last: u64,
    held_max: usize,
    sending: bool,
    /// Why nothing is sent any more.
    ended: Option<SettleError>,
}

impl<T> Line<T> {
    const fn new(held_max: usize) -> Self {
        Self {
            open: BTreeSet::new(),
            done: BTreeMap::new(),
            abandoned: None,
            last: 0,
            held_max,
            sending: false,
            ended: None,
        }
    }

    fn handed_out(&mut self, tag: u64) {
        if self.ended.is_some() {
            return;
        }
        // Should the library ever keep one back, the broker still counts it: nothing may be acked over it.
        let expected = self.last.saturating_add(1);
        if tag > expected {
            self.open.insert(expected);
            self.abandoned(expected);
        }
        self.last = tag;
        self.open.insert(tag);
    }

    fn done(&mut self, tag: u64, teller: T) -> Result<(), SettleError> {
        if let Some(error) = &self.ended {
            return Err(error.clone());
        }
        if self.open.remove(&tag) {
            self.done.insert(tag, teller);
        }
        Ok(())
    }

    fn nacked(&mut self, tag: u64) {
        self.open.remove(&tag);
    }

    /// It stays open.
    fn abandoned(&mut self, tag: u64) {
        if self.open.contains(&tag) {
            self.abandoned = Some(self.abandoned.map_or(tag, |lowest| lowest.min(tag)));
        }
    }

    /// Whether there is something to send now.
    fn is_due(&self) -> bool {
        self.done
            .first_key_value()
            .is_some_and(|(first, _)| self.open.first().is_none_or(|open| first < open))
            || self.single().is_some()
    }

    /// The one to ack singly although something before it is open.
    fn single(&self) -> Option<u64> {
        let mut done = if self.done.len() > self.held_max {
            self.done.range(..)
        } else {
            self.done.range(self.abandoned?..)
        };
        done.next().map(|(tag, _)| *tag)
    }

    /// What to send now.
    fn next(&mut self) -> Option<Frame<T>> {
        let rest = self.open.first().map(|open| self.done.split_off(open));
        let mut run = std::mem::replace(&mut self.done, rest.unwrap_or_default());
        let settles = run.len();
        if let Some((_, teller)) = run.pop_last() {
            let word = if settles > 1 { Word::AckUpTo } else { Word::Ack };
            return Some(Frame {
                teller,
                word,
                settles,
            });
        }
        let teller = self.done.remove(&self.single()?)?;
        Some(Frame {
            teller,
            word: Word::Ack,
            settles: 1,
        })
    }

    /// Forgets everything; gives back what was not sent, to be dropped outside the lock.
    fn end(&mut self, error: SettleError) -> BTreeMap<u64, T> {
        self.ended.get_or_insert(error);
        self.open.clear();
        self.abandoned = None;
        std::mem::take(&mut self.done)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use tokio::sync::Semaphore;
    use truc_model::{Random as _, SeededRandom};

    use super::*;

    /// A connection that writes down the frames it takes.
    struct Wire {
        frames: Mutex<Vec<(u64, Word)>>,
        /// How many frames it takes.
        room: Semaphore,
        gone: AtomicBool,
        given_up: AtomicUsize,
    }

    struct Fake {
        tag: u64,
        wire: Arc<Wire>,
    }

    impl Teller for Fake {
        async fn tell(&self, word: Word) -> bool {
            self.wire.room.acquire().await.unwrap().forget();
            if self.is_gone() {
                return false;
            }
            self.wire.frames.lock().unwrap().push((self.tag, word));
            true
        }

        fn is_gone(&self) -> bool {
            self.wire.gone.load(Ordering::SeqCst)
        }

        fn give_up(&self) {
            self.wire.given_up.fetch_add(1, Ordering::SeqCst);
        }
    }

    struct Bench {
        wire: Arc<Wire>,
        acks: Arc<Acks<Fake>>,
        held: BTreeMap<u64, Outstanding<Fake>>,
    }

    impl Bench {
        /// A channel on which so many were handed out.
        fn new(prefetch: u16, tags: u64) -> Self {
            let wire = Arc::new(Wire {
                frames: Mutex::default(),
                room: Semaphore::new(Semaphore::MAX_PERMITS),
                gone: AtomicBool::new(false),
                given_up: AtomicUsize::new(0),
            });
            let mut bench = Self {
                wire,
                acks: Acks::new(prefetch, Duration::from_secs(15), Senders::new()),
                held: BTreeMap::new(),
            };
            for tag in 1..=tags {
                bench.hand_out(tag);
            }
            bench
        }

        fn hand_out(&mut self, tag: u64) {
            let wire = Arc::clone(&self.wire);
            self.held
                .insert(tag, self.acks.handed_out(tag, Fake { tag, wire }));
        }

        fn take(&mut self, tag: u64) -> Outstanding<Fake> {
            self.held.remove(&tag).unwrap()
        }

        fn ack(&mut self, tags: &[u64]) {
            for tag in tags {
                assert_eq!(self.take(*tag).ack(), Ok(()), "{tag}");
            }
        }

        /// Nothing is being sent.
        async fn idle(&self) {
            self.acks.senders.idle().await;
            assert!(!self.acks.lock().sending);
        }

        /// What was sent since the last look.
        async fn frames(&self) -> Vec<(u64, Word)> {
            self.idle().await;
            std::mem::take(&mut *self.wire.frames.lock().unwrap())
        }

        /// Takes no frame until told.
        fn stop(&self) {
            self.wire.room.forget_permits(usize::MAX);
        }

        fn go_on(&self) {
            self.wire.room.add_permits(1000);
        }
    }

    #[tokio::test]
    async fn a_run_leaves_in_one_frame() {
        let mut bench = Bench::new(256, 5);
        bench.ack(&[1]);
        assert_eq!(bench.frames().await, [(1, Word::Ack)]);
        // In whatever order they were done.
        bench.ack(&[4, 3, 2]);
        assert_eq!(bench.frames().await, [(4, Word::AckUpTo)]);
        bench.ack(&[5]);
        assert_eq!(bench.frames().await, [(5, Word::Ack)]);
    }

    #[tokio::test]
    async fn what_is_done_while_a_frame_leaves_goes_with_the_next() {
        let mut bench = Bench::new(256, 9);
        bench.stop();
        bench.ack(&[1]);
        // The sender has taken the first and waits for room.
        while bench.acks.lock().done.len() == 1 {
            tokio::task::yield_now().await;
        }
        bench.ack(&[2, 3, 5, 4, 7]);
        assert!(bench.acks.lock().sending);
        bench.go_on();
        assert_eq!(bench.frames().await, [(1, Word::Ack), (5, Word::AckUpTo)]);
        bench.ack(&[6]);
        assert_eq!(bench.frames().await, [(7, Word::AckUpTo)]);
    }

    #[tokio::test]
    async fn an_open_one_holds_back_those_after_it() {
        let mut bench = Bench::new(256, 6);
        bench.ack(&[1, 2, 4, 5, 6]);
        assert_eq!(bench.frames().await, [(2, Word::AckUpTo)]);
        bench.ack(&[3]);
        assert_eq!(bench.frames().await, [(6, Word::AckUpTo)]);
    }

    #[tokio::test]
    async fn no_ack_passes_over_a_nack_that_has_not_left() {
        for word in [Word::Requeue, Word::DeadLetter] {
            let mut bench = Bench::new(256, 4);
            bench.stop();
            let nacking = tokio::spawn(bench.take(2).nack(word));
            tokio::task::yield_now().await;
            bench.ack(&[1, 3, 4]);
            // The first may go meanwhile, the others not.
            bench.wire.room.add_permits(2);
            assert_eq!(nacking.await.unwrap(), Ok(()));
            bench.go_on();
            let mut frames = bench.frames().await;
            assert_eq!(frames.pop(), Some((4, Word::AckUpTo)));
            frames.sort_by_key(|(tag, _)| *tag);
            assert_eq!(frames, [(1, Word::Ack), (2, word)]);
        }
    }

    #[tokio::test]
    async fn a_nack_that_was_cancelled_is_never_acked_over() {
        let mut bench = Bench::new(256, 4);
        bench.stop();
        let nacking = tokio::spawn(bench.take(2).nack(Word::Requeue));
        tokio::task::yield_now().await;
        nacking.abort();
        assert!(nacking.await.unwrap_err().is_cancelled());
        bench.go_on();
        bench.ack(&[1, 4, 3]);
        let frames = bench.frames().await;
        assert!(frames.iter().all(|(_, word)| *word == Word::Ack), "{frames:?}");
        assert_eq!(frames.len(), 3);
    }

    #[tokio::test]
    async fn beyond_the_most_that_may_wait_they_are_acked_singly() {
        const PREFETCH: u16 = 16;
        let held = u64::try_from(held_max(PREFETCH)).unwrap();
        assert_eq!(held, 4);
        let mut bench = Bench::new(PREFETCH, 16);
        // As many as may wait, from the last on.
        bench.ack(&[16, 15, 14, 13]);
        assert_eq!(bench.frames().await, []);
        // One more: the lowest goes, and alone.
        bench.ack(&[12]);
        assert_eq!(bench.frames().await, [(12, Word::Ack)]);
        bench.ack(&[2, 3]);
        assert_eq!(bench.frames().await, [(2, Word::Ack), (3, Word::Ack)]);
        bench.ack(&[1]);
        assert_eq!(bench.frames().await, [(1, Word::Ack)]);
        bench.ack(&[4, 5, 6, 7, 8, 9, 10, 11]);
        let frames = bench.frames().await;
        assert_eq!(frames.last(), Some(&(16, Word::AckUpTo)));
    }

    #[test]
    fn how_many_may_wait() {
        let of = |prefetch| held_max(prefetch);
        assert_eq!((of(1), of(TOGETHER_MIN), of(7), of(8)), (1, 1, 1, 2));
        assert_eq!((of(256), of(u16::MAX)), (64, 16_383));
    }

    #[tokio::test]
    async fn after_one_that_was_dropped_each_goes_alone() {
        let mut bench = Bench::new(256, 8);
        bench.ack(&[4, 5, 7]);
        assert_eq!(bench.frames().await, []);
        // Those that waited for it go at once.
        drop(bench.take(3));
        let frames = bench.frames().await;
        assert_eq!(frames, [(4, Word::Ack), (5, Word::Ack), (7, Word::Ack)]);
        // Those before it still go together, those after it never.
        bench.ack(&[2, 1, 6, 8]);
        bench.hand_out(9);
        bench.hand_out(10);
        bench.ack(&[9, 10]);
        let frames = bench.frames().await;
        assert_eq!(frames[0], (2, Word::AckUpTo));
        let after = [6, 8, 9, 10].map(|tag| (tag, Word::Ack));
        assert_eq!(frames[1..], after);
    }

    #[tokio::test]
    async fn a_tag_that_never_came_is_never_acked_over() {
        let mut bench = Bench::new(256, 2);
        bench.hand_out(4);
        bench.hand_out(5);
        bench.ack(&[5, 4, 2, 1]);
        let mut frames = bench.frames().await;
        frames.sort_by_key(|(tag, _)| *tag);
        assert_eq!(frames, [(2, Word::AckUpTo), (4, Word::Ack), (5, Word::Ack)]);
    }

    #[tokio::test]
    async fn a_channel_that_ended_makes_stale() {
        let mut bench = Bench::new(256, 6);
        bench.ack(&[2]);
        bench.stop();
        bench.ack(&[1]);
        bench.wire.gone.store(true, Ordering::SeqCst);
        bench.go_on();
        // The frame under way and what waited: nobody can be told any more.
        assert_eq!(bench.frames().await, []);
        bench.wire.gone.store(false, Ordering::SeqCst);
        assert_eq!(bench.take(3).ack(), Err(SettleError::Stale));
        bench.wire.gone.store(true, Ordering::SeqCst);
        assert_eq!(bench.take(4).ack(), Err(SettleError::Stale));
        let nacked = bench.take(5).nack(Word::Requeue).await;
        assert_eq!(nacked, Err(SettleError::Stale));
        drop(bench.take(6));
        assert_eq!(bench.frames().await, []);
        assert_eq!(bench.wire.given_up.load(Ordering::SeqCst), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_takes_nothing_is_given_up() {
        let mut bench = Bench::new(256, 4);
        bench.stop();
        bench.ack(&[1, 2]);
        // The paused clock goes on by itself when there is nothing else to do.
        while bench.acks.lock().ended.is_none() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert!(matches!(bench.take(3).ack(), Err(SettleError::Failed(_))));
        let nacked = bench.take(4).nack(Word::DeadLetter).await;
        assert!(matches!(nacked, Err(SettleError::Failed(_))));
        bench.go_on();
        assert_eq!(bench.frames().await, []);
        assert_eq!(bench.wire.given_up.load(Ordering::SeqCst), 1);
    }

    /// What RabbitMQ does with frames: it knows what it handed out and closes the channel for anything else.
    fn take_in(frame: &Frame<u64>, unsettled: &mut BTreeSet<u64>, acked: &BTreeSet<u64>) {
        assert!(unsettled.contains(&frame.teller), "PRECONDITION_FAILED");
        let settled: Vec<_> = match frame.word {
            Word::AckUpTo => unsettled.range(..=frame.teller).copied().collect(),
            _ => vec![frame.teller],
        };
        assert_eq!(settled.len(), frame.settles);
        for tag in settled {
            assert!(acked.contains(&tag), "{tag} was not acked by anybody");
            unsettled.remove(&tag);
        }
    }

    #[test]
    fn in_any_order_only_what_was_acked_is_settled() {
        const HELD: usize = 8;
        for seed in 0..200 {
            let random = SeededRandom::new(seed);
            let byte = || {
                let mut byte = [0];
                random.fill(&mut byte);
                byte[0]
            };
            let mut line = Line::new(HELD);
            let (mut unsettled, mut acked) = (BTreeSet::new(), BTreeSet::new());
            let (mut held, mut nacking, mut dropped) = (Vec::new(), Vec::new(), 0);
            let mut last = 0;
            for _ in 0..2000 {
                match byte() {
                    0..100 if unsettled.len() < 64 => {
                        last += 1;
                        line.handed_out(last);
                        unsettled.insert(last);
                        held.push(last);
                    }
                    100..200 if !held.is_empty() => {
                        let tag = held.swap_remove(usize::from(byte()) % held.len());
                        acked.insert(tag);
                        assert_eq!(line.done(tag, tag), Ok(()));
                    }
                    200..215 if !held.is_empty() => {
                        nacking.push(held.swap_remove(usize::from(byte()) % held.len()));
                    }
                    215..230 => {
                        if let Some(tag) = nacking.pop() {
                            assert!(unsettled.remove(&tag), "acked over");
                            line.nacked(tag);
                        }
                    }
                    230 if seed % 2 == 0 && dropped < 8 && !held.is_empty() => {
                        line.abandoned(held.swap_remove(0));
                        dropped += 1;
                    }
                    _ => {
                        if let Some(frame) = line.next() {
                            take_in(&frame, &mut unsettled, &acked);
                        }
                    }
                }
            }
            // All are settled: nothing waits but what was dropped.
            for tag in held {
                acked.insert(tag);
                assert_eq!(line.done(tag, tag), Ok(()));
            }
            for tag in nacking {
                assert!(unsettled.remove(&tag));
                line.nacked(tag);
            }
            while line.is_due() {
                take_in(&line.next().unwrap(), &mut unsettled, &acked);
            }
            assert!(line.next().is_none());
            assert_eq!(unsettled.len(), dropped);
            assert!(line.done.is_empty());
        }
    }
}
