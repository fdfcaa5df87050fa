//! Orders that take documents back before they were handed over, and those that come too late.

use truc_model::DeliveryUid;

use super::*;
use crate::journal::Entry;

const A: &str = "H60.2.3";
const B: &str = "H60.2.4";

fn recall(hub: &FakeHub, order: DeliveryUid, to: &[&str]) -> OutMessage {
    hub.delivery(Outgoing::Document, &system(), order, to, b"recall")
}

fn take_back(hub: &FakeHub, order: DeliveryUid, to: &str) -> OutMessage {
    let message = hub.delivery(Outgoing::Status, &system(), order, &[to], b"13");
    OutMessage {
        properties: message.properties.with(header::STATUS, "13"),
        ..message
    }
}

async fn settled(hub: &FakeHub) {
    FakeHub::until_async("settled", async || hub.inbox_depth(&system()).await == 0).await;
}

#[tokio::test]
async fn what_has_not_come_yet_is_withdrawn_and_never_handed_over() {
    let (state, hub, adapter, running) = start().await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
    FakeHub::until("withdrawn", || hub.times_withdrawn(document, &[]) == 1).await;
    FakeHub::until("the order taken", || hub.times_taken(order) == 1).await;

    hub.deliver(&system(), document, &[A], b"packet").await;
    FakeHub::until("withdrawn again", || hub.times_withdrawn(document, &[]) == 2).await;
    settled(&hub).await;
    running.stop().await;

    // Also in the next life, document and order.
    let running = run(client(&hub, config(state.path())), &adapter);
    hub.deliver(&system(), document, &[A], b"packet").await;
    FakeHub::until("a third time", || hub.times_withdrawn(document, &[]) == 3).await;
    hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
    FakeHub::until("a fourth time", || hub.times_withdrawn(document, &[]) == 4).await;
    running.stop().await;
    assert_eq!(
        (adapter.calls(document.uuid()), adapter.calls(order.uuid())),
        (0, 0)
    );
    assert_eq!(hub.times_taken(document), 0);
    assert!(adapter.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn in_one_batch_the_order_is_looked_at_first() {
    let (_state, hub, adapter, running) = start().await;
    // While the adapter is busy with something else, document and order gather in the inbox, the document first.
    let gate = Arc::new(Notify::new());
    *adapter.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let busy = hub.new_delivery();
    hub.deliver(&system(), busy, &[A], b"packet").await;
    FakeHub::until("busy", || adapter.calls(busy.uuid()) == 1).await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    hub.deliver(&system(), document, &[A], b"packet").await;
    hub.order(take_back(&hub, order, A), &[document], &[]).await;
    *adapter.gate.lock().unwrap() = None;
    gate.notify_one();
    FakeHub::until("withdrawn", || hub.times_withdrawn(document, &[]) == 1).await;
    settled(&hub).await;
    running.stop().await;
    assert_eq!(adapter.stored(), [busy.uuid()]);
    assert_eq!((hub.times_taken(order), hub.times_taken(document)), (1, 0));
}

#[tokio::test]
async fn what_the_adapter_has_is_left_to_the_order() {
    let (_state, hub, adapter, running) = start().await;
    let (document, absent) = (hub.new_delivery(), hub.new_delivery());
    let (order, back) = (hub.new_delivery(), hub.new_delivery());
    hub.deliver(&system(), document, &[A], b"packet").await;
    FakeHub::until("taken", || hub.times_taken(document) == 1).await;
    hub.order(recall(&hub, order, &[A]), &[document, absent], &[])
        .await;
    hub.order(take_back(&hub, back, A), &[document], &[]).await;
    FakeHub::until("both orders taken", || {
        hub.times_taken(order) == 1 && hub.times_taken(back) == 1
    })
    .await;
    running.stop().await;
    assert_eq!(hub.times_withdrawn(document, &[]), 0);
    assert_eq!(hub.times_withdrawn(absent, &[]), 1);
    let shown = adapter.documents.lock().unwrap().last().cloned().unwrap();
    assert_eq!(
        (shown.delivery, shown.withdraws),
        (order, vec![document]),
        "what it has is named, alone"
    );
    let shown = adapter.statuses.lock().unwrap().last().cloned().unwrap();
    assert_eq!((shown.delivery, shown.withdraws), (back, vec![document]));
}

#[tokio::test]
async fn for_some_of_its_agencies_alone_the_rest_still_get_it() {
    let (state, hub, adapter, running) = start().await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    // Spelled otherwise than in the document.
    hub.order(recall(&hub, order, &["h60.2.3"]), &[document], &["h60.2.3"])
        .await;
    FakeHub::until("withdrawn", || hub.times_withdrawn(document, &["h60.2.3"]) == 1).await;
    FakeHub::until("nothing left of the order", || hub.times_taken(order) == 1).await;
    hub.deliver(&system(), document, &[A, B], b"packet").await;
    FakeHub::until("taken", || hub.times_taken(document) == 1).await;
    running.stop().await;
    let stored = adapter.documents.lock().unwrap().clone();
    assert_eq!(
        (stored.len(), stored[0].to.as_slice()),
        (1, [B.to_owned()].as_slice())
    );
    // The word for the one goes with the word for the other, whichever message the hub reads first.
    assert_eq!(hub.times_withdrawn(document, &["h60.2.3"]), 2);

    // The other one too: nothing is left to be handed over, nor to be taken back.
    let running = run(client(&hub, config(state.path())), &adapter);
    let (document, more) = (hub.new_delivery(), hub.new_delivery());
    hub.order(recall(&hub, hub.new_delivery(), &[A]), &[document], &[A])
        .await;
    hub.order(recall(&hub, more, &[B, "H60.9"]), &[document], &[B])
        .await;
    hub.deliver(&system(), document, &[A, B], b"packet").await;
    FakeHub::until("withdrawn for all", || hub.times_withdrawn(document, &[]) >= 1).await;
    FakeHub::until("the order goes to the third", || hub.times_taken(more) == 1).await;
    running.stop().await;
    let shown = adapter.documents.lock().unwrap().last().cloned().unwrap();
    assert_eq!((shown.delivery, shown.to), (more, vec!["H60.9".to_owned()]));
    assert!(shown.withdraws.is_empty());
    assert_eq!(adapter.calls(document.uuid()), 0);
}

#[tokio::test]
async fn a_document_that_waits_for_room_is_withdrawn_when_nothing_of_it_is_left() {
    let (_state, hub, adapter, running) = start().await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    adapter.told(
        document.uuid(),
        (0..10_000).map(|_| Script::Unavailable).collect(),
    );
    *adapter.removals.lock().unwrap() = vec![Err(Trouble::unavailable("disk full")), Ok(Withdrawal::Removed)];
    hub.deliver(&system(), document, &[A], b"packet").await;
    FakeHub::until("held", || adapter.calls(document.uuid()) >= 2).await;
    hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
    FakeHub::until("withdrawn", || hub.times_withdrawn(document, &[]) == 1).await;
    settled(&hub).await;
    running.stop().await;
    assert_eq!(
        adapter.asked.lock().unwrap().len(),
        2,
        "asked again after its trouble"
    );
    assert_eq!((adapter.calls(order.uuid()), hub.times_taken(order)), (0, 1));
    assert_eq!((adapter.stored().len(), hub.times_taken(document)), (0, 0));
}

#[tokio::test]
async fn an_adapter_that_cannot_rule_it_out_gets_the_document_and_then_the_order() {
    let (_state, hub, adapter, running) = start().await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    adapter.told(
        document.uuid(),
        (0..10_000).map(|_| Script::Unavailable).collect(),
    );
    hub.deliver(&system(), document, &[A, B], b"packet").await;
    FakeHub::until("held", || adapter.calls(document.uuid()) >= 2).await;
    hub.order(recall(&hub, order, &[A, B]), &[document], &[]).await;
    // For one agency alone it is not even asked: what an attempt left may be for both.
    let partly = hub.new_delivery();
    hub.order(recall(&hub, partly, &[A]), &[document], &[A]).await;
    FakeHub::until("asked", || !adapter.asked.lock().unwrap().is_empty()).await;
    assert_eq!(
        adapter.calls(order.uuid()),
        0,
        "the order waits behind the document"
    );
    adapter.told(document.uuid(), Vec::new());
    FakeHub::until("all taken", || {
        [document, order, partly].iter().all(|d| hub.times_taken(*d) == 1)
    })
    .await;
    running.stop().await;
    assert_eq!(adapter.stored()[0], document.uuid());
    let stored = adapter.documents.lock().unwrap();
    assert_eq!(stored[0].to, [A, B]);
    assert!(stored[1..].iter().all(|order| order.withdraws == [document]));
    assert_eq!(
        hub.times_withdrawn(document, &[]) + hub.times_withdrawn(document, &[A]),
        0
    );
}

/// Killed while the adapter had it: nobody knows what it did with it, so it is asked.
#[tokio::test]
async fn after_a_crash_in_the_adapter_it_is_asked() {
    for (says, withdrawn) in [(Withdrawal::Removed, true), (Withdrawal::TooLate, false)] {
        let (state, hub, adapter, running) = start().await;
        let gate = Arc::new(Notify::new());
        *adapter.gate.lock().unwrap() = Some(Arc::clone(&gate));
        let (document, order) = (hub.new_delivery(), hub.new_delivery());
        hub.deliver(&system(), document, &[A], b"packet").await;
        FakeHub::until("in the adapter", || adapter.calls(document.uuid()) == 1).await;
        running.kill().await;

        *adapter.gate.lock().unwrap() = None;
        *adapter.removals.lock().unwrap() = vec![Ok(says)];
        // It lies in the inbox before the document: of a higher priority.
        hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
        let running = run(client(&hub, config(state.path())), &adapter);
        FakeHub::until("the order taken", || hub.times_taken(order) == 1).await;
        settled(&hub).await;
        running.stop().await;
        assert_eq!(adapter.asked.lock().unwrap().as_slice(), [document.uuid()]);
        assert_eq!(hub.times_withdrawn(document, &[]) > 0, withdrawn);
        assert_eq!(hub.times_taken(document), usize::from(!withdrawn));
        assert_eq!(adapter.stored().is_empty(), withdrawn);
    }
}

/// What a kill between journal and word leaves: the order comes again, and the word is said.
#[tokio::test]
async fn killed_before_the_word_it_is_said_in_the_next_life() {
    for order_known in [false, true] {
        let (state, hub, adapter, running) = start().await;
        running.stop().await;
        let (document, order) = (hub.new_delivery(), hub.new_delivery());
        let mut journal = Journal::open(&state.path().join("journal"), 10).unwrap();
        journal.append(&[(document.uuid(), Entry::Withdrawn)]).unwrap();
        if order_known {
            journal.append(&[(order.uuid(), Entry::Done)]).unwrap();
        }
        drop(journal);
        hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
        let running = run(client(&hub, config(state.path())), &adapter);
        FakeHub::until("withdrawn", || hub.times_withdrawn(document, &[]) == 1).await;
        FakeHub::until("taken", || hub.times_taken(order) == 1).await;
        running.stop().await;
        assert_eq!(adapter.calls(order.uuid()), 0);
    }
}

#[tokio::test]
async fn what_was_declined_is_nothing_to_take_back() {
    let (_state, hub, adapter, running) = start().await;
    let (document, order) = (hub.new_delivery(), hub.new_delivery());
    adapter.told(document.uuid(), vec![Script::Decline]);
    hub.deliver(&system(), document, &[A], b"packet").await;
    FakeHub::until("refused", || !hub.taken().is_empty()).await;
    hub.order(recall(&hub, order, &[A]), &[document], &[]).await;
    FakeHub::until("taken", || hub.times_taken(order) == 1).await;
    running.stop().await;
    assert_eq!(
        (adapter.calls(order.uuid()), hub.times_withdrawn(document, &[])),
        (0, 0)
    );
}

#[tokio::test]
async fn without_a_journal_nothing_is_handed_over() {
    let state = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(&[system()]).await;
    let adapter = Arc::new(Recorder::default());
    let client = client(&hub, config(state.path()));
    // A rewrite is due at the next append, and cannot be done: its neighbour's name is taken by a directory.
    client.inner.journal().doubt();
    let blocker = state.path().join("journal.tmp");
    std::fs::create_dir(&blocker).unwrap();
    let running = run(client, &adapter);
    let delivery = hub.new_delivery();
    hub.deliver(&system(), delivery, &[A], b"packet").await;
    FakeHub::until_async("out of the inbox", async || hub.inbox_depth(&system()).await == 0).await;
    // A receipt is answered all the same way: by a flush that must not fail.
    let notice = notice();
    hub.send_notice(&system(), &notice).await;
    let id = derived_id(&[b"notice", &serde_json::to_vec(&notice).unwrap()]);
    FakeHub::until("the notice", || adapter.calls(id) > 1).await;
    assert_eq!(adapter.calls(delivery.uuid()), 0);
    std::fs::remove_dir(&blocker).unwrap();
    FakeHub::until("taken", || hub.times_taken(delivery) == 1).await;
    running.stop().await;
    assert_eq!(adapter.calls(delivery.uuid()), 1);
}
