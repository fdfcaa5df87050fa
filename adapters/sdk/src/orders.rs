//! Orders that overtake: a recall, a take-back (13) or an update that removes recipients can reach the inbox while the
//! document that it speaks of still lies behind it, or waits here to be stored. Then the document is withdrawn: nobody
//! ever sees it, the journal knows that, and the hub is told.
//!
//! For each delivery that an order names (header `truc-withdraws`):
//!
//! | the journal knows | so |
//! |---|---|
//! | nothing of it | withdrawn, for all or for the agencies named; whenever it comes, it is not handed over |
//! | withdrawn, or declined | nothing is left to take back |
//! | begun: the adapter was given it and did not say that it has it | the adapter is asked ([`Adapter::withdraw`](crate::Adapter::withdraw)); not for some of its agencies alone, as it may have it for all |
//! | done | too late: the order goes to the adapter, which shows it to whoever has the document |
//!
//! An order of which nothing is left is done without being shown to anybody. What is withdrawn is on disk before the hub
//! hears of it, and what is handed over is on disk as *begun* before the adapter sees it: there is no moment at which a
//! crash could make the word `withdrawn` untrue.

use truc_model::{AgencyCode, DeliveryUid, crash};
use uuid::Uuid;

use crate::adapter::{Trouble, Withdrawal};
use crate::incoming::{Incoming, Order};
use crate::journal::{Entry, Journal};
use crate::run::{Reader, Work, give_up};

/// A batch, ready to be handed over.
pub(crate) struct Prepared {
    /// Everything but orders.
    pub(crate) plain: Vec<Work>,
    /// Orders of which something is left; to be handed over after the rest.
    pub(crate) orders: Vec<Work>,
    /// Documents that were withdrawn, and orders of which nothing is left.
    pub(crate) obeyed: Vec<(Work, Entry)>,
    /// Deliveries that were withdrawn now, in hand or not.
    pub(crate) withdrawn: Vec<DeliveryUid>,
}

/// What an order meets.
enum Fate {
    /// It has not been handed over: withdrawn now.
    Withdraw,
    /// Nothing is left to take back.
    Gone,
    /// The adapter has it, or may have it.
    Kept,
}

impl Reader<'_> {
    /// Obeys the orders of a batch, and notes what is about to be handed over. `None` when the journal cannot be
    /// written: then everything is held.
    pub(crate) async fn prepare(&mut self, fresh: Vec<Work>) -> Option<Prepared> {
        let (orders, plain): (Vec<Work>, Vec<Work>) =
            fresh.into_iter().partition(|work| !work.withdraws.is_empty());
        let mut notes: Vec<(Uuid, Entry)> = Vec::new();
        let mut judged = Vec::new();
        for mut work in orders {
            match self.judge(&mut work, &mut notes).await {
                Ok(kept) => judged.push((work, kept)),
                Err(_) => self.hold(work),
            }
        }
        let withdrawn: Vec<DeliveryUid> = notes.iter().map(|(id, _)| DeliveryUid::new(*id)).collect();
        self.note_in_hand(&plain, &judged, &mut notes);

        if !notes.is_empty() && !self.note(notes.clone()).await {
            for mut work in plain.into_iter().chain(judged.into_iter().map(|(work, _)| work)) {
                work.failures += 1;
                self.hold(work);
            }
            return None;
        }
        for (_, entry) in &notes {
            crash::reach(if *entry == Entry::Begun {
                "adapter-begun"
            } else {
                "adapter-withdrawn"
            });
        }
        for delivery in &withdrawn {
            tracing::info!(%delivery, "withdrawn before it was handed over");
        }
        Some(self.part(plain, judged, withdrawn))
    }

    /// What is left of an order: the deliveries that the adapter has. Adds what is withdrawn to the notes.
    async fn judge(
        &self,
        work: &mut Work,
        notes: &mut Vec<(Uuid, Entry)>,
    ) -> Result<Vec<DeliveryUid>, Trouble> {
        let mut kept = Vec::new();
        let mut fresh = Vec::new();
        for delivery in work.withdraws.clone() {
            let codes = work.item.withdraws_for().to_vec();
            match self.fate(delivery, &codes).await {
                Ok(Fate::Withdraw) if codes.is_empty() => fresh.push((delivery.uuid(), Entry::Withdrawn)),
                Ok(Fate::Withdraw) => fresh.push((delivery.uuid(), Entry::WithdrawnFor(codes))),
                Ok(Fate::Gone) => {}
                Ok(Fate::Kept) => kept.push(delivery),
                Err(trouble) => {
                    work.failures += 1;
                    if give_up(work, &trouble, self.inner.config.max_attempts).is_none() {
                        return Err(trouble);
                    }
                    // It cannot say; so it may have it.
                    kept.push(delivery);
                }
            }
        }
        notes.extend(fresh);
        Ok(kept)
    }

    async fn fate(&self, delivery: DeliveryUid, codes: &[String]) -> Result<Fate, Trouble> {
        let id = delivery.uuid();
        let is_begun = {
            let journal = self.inner.journal();
            match journal.get(id) {
                Some(Entry::Withdrawn | Entry::Declined(_)) => return Ok(Fate::Gone),
                _ if is_withdrawn_for(&journal, id, codes) => return Ok(Fate::Gone),
                Some(_) => return Ok(Fate::Kept),
                None => journal.is_begun(id),
            }
        };
        if !is_begun {
            return Ok(Fate::Withdraw);
        }
        if !codes.is_empty() {
            return Ok(Fate::Kept);
        }
        Ok(match self.adapter.withdraw(delivery).await? {
            Withdrawal::Removed => Fate::Withdraw,
            Withdrawal::TooLate => Fate::Kept,
        })
    }

    /// Notes documents of which no agency is left, and those that are about to be handed over.
    fn note_in_hand(
        &self,
        plain: &[Work],
        judged: &[(Work, Vec<DeliveryUid>)],
        notes: &mut Vec<(Uuid, Entry)>,
    ) {
        let journal = self.inner.journal();
        let mut more = Vec::new();
        for work in plain.iter().chain(&self.held) {
            let Incoming::Document(document) = &work.item else {
                continue;
            };
            let mut codes = journal.withdrawn_for(work.id).to_vec();
            for (_, entry) in notes.iter().filter(|(id, _)| *id == work.id) {
                if let Entry::WithdrawnFor(more) = entry {
                    codes.extend_from_slice(more);
                }
            }
            if !document.to.is_empty() && document.to.iter().all(|code| is_among(code, &codes)) {
                more.push((work.id, Entry::Withdrawn));
            }
        }
        let begun = plain.iter().chain(judged.iter().map(|(work, _)| work));
        for work in begun.filter(|work| matches!(work.item, Incoming::Document(_))) {
            let ends = |(id, entry): &(Uuid, Entry)| *id == work.id && entry.is_end();
            if !journal.is_begun(work.id) && !notes.iter().chain(&more).any(ends) {
                more.push((work.id, Entry::Begun));
            }
        }
        notes.extend(more);
    }

    /// Parts a batch by what the journal knows now.
    fn part(
        &mut self,
        plain: Vec<Work>,
        judged: Vec<(Work, Vec<DeliveryUid>)>,
        withdrawn: Vec<DeliveryUid>,
    ) -> Prepared {
        let inner = self.inner;
        let journal = inner.journal();
        let is_withdrawn = |work: &Work| journal.get(work.id) == Some(&Entry::Withdrawn);
        let (gone, mut plain): (Vec<Work>, Vec<Work>) = plain.into_iter().partition(is_withdrawn);
        let (gone_held, held) = std::mem::take(&mut self.held).into_iter().partition(is_withdrawn);
        self.held = held;
        let mut obeyed: Vec<(Work, Entry)> = gone
            .into_iter()
            .chain::<Vec<Work>>(gone_held)
            .map(|work| (work, Entry::Withdrawn))
            .collect();
        for work in plain.iter_mut().chain(&mut self.held) {
            if let Incoming::Document(document) = &mut work.item {
                let codes = journal.withdrawn_for(work.id);
                document.to.retain(|code| !is_among(code, codes));
            }
        }
        let mut orders = Vec::new();
        for (mut work, kept) in judged {
            if is_withdrawn(&work) {
                // An update that removes some, and is itself taken back.
                obeyed.push((work, Entry::Withdrawn));
            } else if is_done(&mut work, kept) {
                obeyed.push((work, Entry::Done));
            } else {
                orders.push(work);
            }
        }
        Prepared {
            plain,
            orders,
            obeyed,
            withdrawn,
        }
    }

    /// An order waits for a document that it takes back and that has to wait itself: shown first, it would speak of
    /// something that nobody has yet.
    pub(crate) fn behind_held(&mut self, orders: Vec<Work>) -> Vec<Work> {
        let waits = |order: &Work, held: &[Work]| {
            held.iter().any(|work| {
                order
                    .item
                    .withdraws()
                    .iter()
                    .any(|delivery| delivery.uuid() == work.id)
            })
        };
        let (wait, go): (Vec<Work>, Vec<Work>) =
            orders.into_iter().partition(|order| waits(order, &self.held));
        for work in wait {
            self.hold(work);
        }
        go
    }
}

/// Whether nothing is left of an order; leaves in it what is.
fn is_done(work: &mut Work, kept: Vec<DeliveryUid>) -> bool {
    let has_kept = !kept.is_empty();
    let Some(order) = work.item.order() else {
        return false;
    };
    let Order {
        deliveries,
        codes,
        to,
    } = order;
    *deliveries = kept;
    if has_kept {
        return false;
    }
    if codes.is_empty() {
        return true;
    }
    // It is for others too, who have the document, or for whom it is something else.
    to.retain(|code| !is_among(code, codes));
    to.is_empty()
}

fn is_withdrawn_for(journal: &Journal, id: Uuid, codes: &[String]) -> bool {
    let withdrawn = journal.withdrawn_for(id);
    !codes.is_empty() && codes.iter().all(|code| is_among(code, withdrawn))
}

/// The document's packet and the order's packet may spell a code differently.
fn is_among(code: &str, codes: &[String]) -> bool {
    codes.iter().any(|other| same_code(code, other))
}

fn same_code(a: &str, b: &str) -> bool {
    match (AgencyCode::parse(a), AgencyCode::parse(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}
