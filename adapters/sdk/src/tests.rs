//! The client against the in-memory broker and a stand-in for the hub.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use truc_model::wire::{DEAD_QUEUE, Intake, Notice, NoticeCode, Outgoing, SUBMIT_EXCHANGE, Text, header};
use truc_model::{
    DocumentKind, Place, Refusal, RefusalCode, SeededRandom, StatusCode, SystemClock, SystemId, Urgency,
};
use truc_transport::{OutMessage, Properties};
use uuid::Uuid;

use super::testing::{FakeHub, Reply};
use super::*;

mod recall;

/// Stores ids, does what it is told to, and counts every call.
#[derive(Default)]
struct Recorder {
    /// Documents as they were handed over, and orders with what they take back.
    documents: Mutex<Vec<IncomingDocument>>,
    statuses: Mutex<Vec<IncomingStatus>>,
    /// What it says when it is asked to remove what failed attempts left; empty: too late.
    removals: Mutex<Vec<Result<Withdrawal, Trouble>>>,
    asked: Mutex<Vec<Uuid>>,
    calls: Mutex<HashMap<Uuid, usize>>,
    stored: Mutex<Vec<Uuid>>,
    answers: Mutex<Vec<Answer>>,
    recorded: Mutex<Vec<Uuid>>,
    /// What the next calls for an id come to; empty: all is well.
    script: Mutex<HashMap<Uuid, Vec<Script>>>,
    /// While set, calls do not come back.
    gate: Mutex<Option<Arc<Notify>>>,
}

enum Script {
    Unavailable,
    Fail,
    Panic,
    Decline,
}

impl Recorder {
    fn told(&self, id: Uuid, script: Vec<Script>) {
        self.script.lock().unwrap().insert(id, script);
    }

    fn calls(&self, id: Uuid) -> usize {
        self.calls.lock().unwrap().get(&id).copied().unwrap_or(0)
    }

    fn stored(&self) -> Vec<Uuid> {
        self.stored.lock().unwrap().clone()
    }

    async fn handle(&self, id: Uuid) -> Result<Stored, Trouble> {
        *self.calls.lock().unwrap().entry(id).or_default() += 1;
        let gate = self.gate.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.notified().await;
        }
        let next = {
            let mut script = self.script.lock().unwrap();
            script
                .get_mut(&id)
                .filter(|list| !list.is_empty())
                .map(|list| list.remove(0))
        };
        match next {
            Some(Script::Unavailable) => Err(Trouble::unavailable("disk full")),
            Some(Script::Fail) => Err(Trouble::failed("cannot")),
            Some(Script::Panic) => panic!("as told"),
            Some(Script::Decline) => Ok(Stored::declined("unknown-unit", &"đ".repeat(2000))),
            None => {
                self.stored.lock().unwrap().push(id);
                Ok(Stored::Durable)
            }
        }
    }
}

#[async_trait]
impl Adapter for Recorder {
    async fn store(&self, document: &IncomingDocument) -> Result<Stored, Trouble> {
        let stored = self.handle(document.delivery.uuid()).await?;
        self.documents.lock().unwrap().push(document.clone());
        Ok(stored)
    }

    async fn status(&self, status: &IncomingStatus) -> Result<Stored, Trouble> {
        let stored = self.handle(status.delivery.uuid()).await?;
        self.statuses.lock().unwrap().push(status.clone());
        Ok(stored)
    }

    async fn withdraw(&self, delivery: truc_model::DeliveryUid) -> Result<Withdrawal, Trouble> {
        self.asked.lock().unwrap().push(delivery.uuid());
        let mut removals = self.removals.lock().unwrap();
        if removals.is_empty() {
            Ok(Withdrawal::TooLate)
        } else {
            removals.remove(0)
        }
    }

    async fn answered(&self, answer: &Answer) -> Result<(), Trouble> {
        self.handle(answer.id).await?;
        self.answers.lock().unwrap().push(answer.clone());
        Ok(())
    }

    async fn notice(&self, notice: &IncomingNotice) -> Result<(), Trouble> {
        self.handle(notice.id).await.map(|_| ())
    }

    async fn recorded(&self, id: Uuid) {
        self.recorded.lock().unwrap().push(id);
    }
}

struct Running {
    client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), RunError>>,
}

impl Running {
    async fn stop(self) {
        let _ = self.stop.send(());
        self.task.await.unwrap().unwrap();
    }

    /// As a kill would: nothing is finished.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
        self.client.close().await;
    }
}

fn system() -> SystemId {
    SystemId::new("xa-tan-trao").unwrap()
}

fn config(state: &Path) -> Config {
    let mut config = Config::new("", system(), "test/1", state.to_owned());
    config.backoff = Backoff {
        min: Duration::from_millis(1),
        max: Duration::from_millis(4),
    };
    config.max_attempts = 3;
    config
}

fn client(hub: &FakeHub, config: Config) -> Client {
    let random = Arc::new(SeededRandom::new(7));
    Client::with_broker(config, hub.broker_for(&system()), Arc::new(SystemClock), random).unwrap()
}

fn run(client: Client, adapter: &Arc<Recorder>) -> Running {
    let (stop, stopped) = oneshot::channel::<()>();
    let (reader, adapter) = (client.clone(), Arc::clone(adapter));
    let task = tokio::spawn(async move {
        reader
            .run(&*adapter, async {
                let _ = stopped.await;
            })
            .await
    });
    Running { client, stop, task }
}

async fn start() -> (tempfile::TempDir, FakeHub, Arc<Recorder>, Running) {
    let state = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(&[system()]).await;
    let adapter = Arc::new(Recorder::default());
    let running = run(client(&hub, config(state.path())), &adapter);
    (state, hub, adapter, running)
}

fn submission(client: &Client, bytes: &[u8]) -> Submission {
    Submission {
        message_id: client.new_message_id(),
        kind: DocumentKind::Document,
        urgency: Urgency::Urgent,
        from: "H60.2.3".to_owned(),
        bytes: bytes.into(),
    }
}

#[tokio::test]
async fn a_delivery_is_stored_journaled_taken_and_settled_once() {
    let (_state, hub, adapter, running) = start().await;
    let deliveries: Vec<_> = (0..100).map(|_| hub.new_delivery()).collect();
    for delivery in &deliveries {
        hub.deliver(&system(), *delivery, &["H60.2.3"], b"packet").await;
    }
    FakeHub::until("all taken", || deliveries.iter().all(|d| hub.times_taken(*d) > 0)).await;
    running.stop().await;
    assert_eq!(adapter.stored().len(), 100);
    assert_eq!(adapter.recorded.lock().unwrap().len(), 100);
    assert!(deliveries.iter().all(|d| hub.times_taken(*d) == 1));
    assert_eq!(hub.inbox_depth(&system()).await, 0);
    // Batched: far fewer words than deliveries would be one each.
    assert!(hub.taken().len() <= 100);
}

#[tokio::test]
async fn the_same_delivery_again_is_not_stored_again_but_taken_again() {
    let (state, hub, adapter, running) = start().await;
    let delivery = hub.new_delivery();
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("taken", || hub.times_taken(delivery) == 1).await;
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("taken again", || hub.times_taken(delivery) == 2).await;
    let closed = running.client.clone();
    running.stop().await;
    drop(closed);

    // And after a restart.
    let running = run(client(&hub, config(state.path())), &adapter);
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("taken a third time", || hub.times_taken(delivery) == 3).await;
    running.stop().await;
    assert_eq!(adapter.calls(delivery.uuid()), 1);
}

#[tokio::test]
async fn killed_while_storing_it_comes_again() {
    let (state, hub, adapter, running) = start().await;
    let gate = Arc::new(Notify::new());
    *adapter.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let delivery = hub.new_delivery();
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("in the adapter", || adapter.calls(delivery.uuid()) == 1).await;
    running.kill().await;
    assert_eq!(hub.times_taken(delivery), 0);

    *adapter.gate.lock().unwrap() = None;
    let running = run(client(&hub, config(state.path())), &adapter);
    FakeHub::until("taken", || hub.times_taken(delivery) == 1).await;
    running.stop().await;
    assert_eq!(adapter.stored(), [delivery.uuid()]);
}

#[tokio::test]
async fn killed_after_the_journal_it_is_only_taken_and_settled() {
    let (state, hub, adapter, running) = start().await;
    running.stop().await;
    let delivery = hub.new_delivery();
    let mut journal = Journal::open(&state.path().join("journal"), 10).unwrap();
    journal
        .append(&[(delivery.uuid(), journal::Entry::Done)])
        .unwrap();
    drop(journal);
    hub.deliver(&system(), delivery, &[], b"packet").await;
    let running = run(client(&hub, config(state.path())), &adapter);
    FakeHub::until("taken", || hub.times_taken(delivery) == 1).await;
    running.stop().await;
    assert_eq!(adapter.calls(delivery.uuid()), 0);
}

#[tokio::test]
async fn a_broker_that_goes_away_while_taken_is_said_doubles_nothing() {
    let (_state, hub, adapter, running) = start().await;
    let gate = Arc::new(Notify::new());
    *adapter.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let delivery = hub.new_delivery();
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("in the adapter", || adapter.calls(delivery.uuid()) == 1).await;
    hub.broker().go_down("test");
    *adapter.gate.lock().unwrap() = None;
    gate.notify_one();
    FakeHub::until("stored", || adapter.stored() == [delivery.uuid()]).await;
    hub.broker().come_up();
    FakeHub::until("taken", || hub.times_taken(delivery) >= 1).await;
    FakeHub::until_async("settled", async || hub.inbox_depth(&system()).await == 0).await;
    running.stop().await;
    assert_eq!(adapter.calls(delivery.uuid()), 1);
}

#[tokio::test]
async fn trouble_that_passes_is_waited_out() {
    let (_state, hub, adapter, running) = start().await;
    let (full, failing, fine) = (hub.new_delivery(), hub.new_delivery(), hub.new_delivery());
    // Longer than max_attempts: the surroundings are never a reason to decline.
    adapter.told(full.uuid(), (0..10).map(|_| Script::Unavailable).collect());
    adapter.told(failing.uuid(), vec![Script::Fail, Script::Panic]);
    for delivery in [full, failing, fine] {
        hub.deliver(&system(), delivery, &[], b"packet").await;
    }
    FakeHub::until("all taken", || {
        [full, failing, fine].iter().all(|d| hub.times_taken(*d) == 1)
    })
    .await;
    running.stop().await;
    assert_eq!(
        (adapter.calls(full.uuid()), adapter.calls(failing.uuid())),
        (11, 3)
    );
    assert!(hub.taken().iter().all(|taken| taken.refused.is_empty()));
}

#[tokio::test]
async fn a_poison_delivery_is_declined_with_a_reason_at_the_limit() {
    let (_state, hub, adapter, running) = start().await;
    let poison = hub.new_delivery();
    adapter.told(poison.uuid(), vec![Script::Fail, Script::Panic, Script::Fail]);
    hub.deliver(&system(), poison, &[], b"packet").await;
    FakeHub::until("refused", || {
        hub.taken().iter().any(|taken| !taken.refused.is_empty())
    })
    .await;
    // It stays declined: the same word again, without asking the adapter.
    hub.deliver(&system(), poison, &[], b"packet").await;
    FakeHub::until("refused again", || hub.taken().len() == 2).await;
    running.stop().await;
    assert_eq!(adapter.calls(poison.uuid()), 3);
    for taken in hub.taken() {
        assert_eq!(taken.refused[0].delivery, poison);
        assert_eq!(taken.refused[0].code, "adapter-failed");
        assert!(taken.refused[0].reason.contains("3 attempts"));
    }
}

#[tokio::test]
async fn an_adapter_declines_within_the_wires_limits() {
    let (_state, hub, adapter, running) = start().await;
    let delivery = hub.new_delivery();
    adapter.told(delivery.uuid(), vec![Script::Decline]);
    hub.deliver(&system(), delivery, &[], b"packet").await;
    FakeHub::until("refused", || !hub.taken().is_empty()).await;
    running.stop().await;
    let declined = &hub.taken()[0].refused[0];
    assert_eq!(declined.code, "unknown-unit");
    assert_eq!(
        declined.reason.chars().count(),
        truc_model::wire::Taken::REASON_MAX
    );
}

#[tokio::test]
async fn bytes_that_are_not_the_hubs_are_declined_and_not_stored() {
    let (_state, hub, adapter, running) = start().await;
    let delivery = hub.new_delivery();
    let mut message = hub.delivery(Outgoing::Document, &system(), delivery, &[], b"packet");
    message.body = b"packet with more".as_slice().into();
    hub.send(message).await;
    FakeHub::until("refused", || !hub.taken().is_empty()).await;
    running.stop().await;
    assert_eq!(hub.taken()[0].refused[0].code, "body-mismatch");
    assert_eq!(adapter.calls(delivery.uuid()), 0);
}

#[tokio::test]
async fn what_cannot_be_read_goes_to_the_dead_letters() {
    let (_state, hub, adapter, running) = start().await;
    let mut nameless = hub.delivery(Outgoing::Document, &system(), hub.new_delivery(), &[], b"packet");
    nameless.properties.headers.remove(header::DELIVERY);
    hub.send(nameless).await;
    FakeHub::until("dead", || hub.broker().peek(DEAD_QUEUE).len() == 1).await;

    // A notice that the adapter cannot handle, too: nobody could be told by `taken`.
    let notice = notice();
    let id = derived_id(&[b"notice", &serde_json::to_vec(&notice).unwrap()]);
    adapter.told(id, vec![Script::Fail, Script::Fail, Script::Fail]);
    hub.send_notice(&system(), &notice).await;
    FakeHub::until("dead too", || hub.broker().peek(DEAD_QUEUE).len() == 2).await;
    running.stop().await;
    assert_eq!(adapter.calls(id), 3);
}

fn notice() -> Notice {
    Notice {
        code: NoticeCode::NotTaken,
        document: truc_model::DocumentUid::new(Uuid::from_u128(1)),
        document_id: "D".to_owned(),
        recipient: None,
        cause: "slow".to_owned(),
        message: Text {
            vi: "v".to_owned(),
            en: "e".to_owned(),
        },
        tally: None,
        event: 9,
        at: jiff::Timestamp::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn a_submission_gets_its_receipt_and_a_repeat_the_same() {
    let (_state, hub, adapter, running) = start().await;
    let submission = submission(&running.client, b"packet");
    let first = running.client.submit(&submission).await.unwrap();
    let again = running.client.submit(&submission).await.unwrap();
    assert_eq!(first, again);
    assert!(
        matches!(&first.outcome, Outcome::Accepted(receipt) if receipt.message_id() == submission.message_id)
    );
    running.stop().await;
    assert_eq!((hub.submitted().len(), hub.submissions().len()), (2, 1));
    assert_eq!(adapter.answers.lock().unwrap().len(), 1, "handed over once");
}

#[tokio::test]
async fn a_refusal_is_an_answer_too() {
    let (_state, hub, _adapter, running) = start().await;
    hub.reply(|_| {
        Reply::Refuse(Refusal::new(
            RefusalCode::SealMissing,
            Place::header("truc-seal"),
            "a seal",
            "none",
        ))
    });
    let answer = running
        .client
        .submit(&submission(&running.client, b"packet"))
        .await
        .unwrap();
    assert!(matches!(answer.outcome, Outcome::Refused(refusal) if refusal.code == RefusalCode::SealMissing));
    running.stop().await;
}

#[tokio::test]
async fn publishing_goes_on_until_the_broker_confirms() {
    let (_state, hub, _adapter, running) = start().await;
    hub.broker().nack_next(3);
    let nacked = submission(&running.client, b"one");
    running.client.submit(&nacked).await.unwrap();

    hub.broker().go_down("test");
    let waiting = submission(&running.client, b"two");
    let (client, message_id) = (running.client.clone(), waiting.message_id);
    let submitting = tokio::spawn(async move { client.submit(&waiting).await });
    FakeHub::until("one came", || hub.submissions().len() == 1).await;
    hub.broker().come_up();
    let answer = submitting.await.unwrap().unwrap();
    assert_eq!(answer.message_id, Some(message_id));
    assert_eq!(hub.submissions().len(), 2);
    running.stop().await;
}

#[tokio::test]
async fn a_forbidden_publish_is_an_error_at_once() {
    let another = SystemId::new("another").unwrap();
    let state = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(&[system(), another.clone()]).await;
    let mut config = config(state.path());
    config.system = another;
    // Connected as xa-tan-trao, claiming to be another: the broker checks user_id.
    let random = Arc::new(SeededRandom::new(7));
    let client =
        Client::with_broker(config, hub.broker_for(&system()), Arc::new(SystemClock), random).unwrap();
    let error = client
        .submit_nowait(&submission(&client, b"packet"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, SubmitError::Rejected(PublishError::Refused { .. })),
        "{error:?}"
    );
    assert!(!error.is_retryable());
    // And its inbox is not that of the connection.
    let adapter = Recorder::default();
    let error = client.run(&adapter, std::future::pending()).await.unwrap_err();
    assert!(matches!(error, RunError::Refused { .. }), "{error:?}");
}

#[tokio::test]
async fn without_an_answer_the_error_says_whether_the_inbox_is_read() {
    let state = tempfile::tempdir().unwrap();
    let hub = FakeHub::start(&[system()]).await;
    let mut config = config(state.path());
    config.answer_patience = Duration::from_millis(1);
    let client = client(&hub, config);
    let error = client.submit(&submission(&client, b"packet")).await.unwrap_err();
    assert!(error.is_retryable());
    assert!(error.to_string().contains("Client::run"), "{error}");
    assert_eq!(
        hub.inbox_depth(&system()).await,
        1,
        "the answer waits in the inbox"
    );
}

#[tokio::test]
async fn one_reader_and_one_process() {
    let (state, hub, adapter, running) = start().await;
    FakeHub::until_async("reading", async || {
        running
            .client
            .submit(&submission(&running.client, b"x"))
            .await
            .is_ok()
    })
    .await;
    let second = running.client.run(&*adapter, std::future::pending()).await;
    assert!(matches!(second, Err(RunError::AlreadyRunning)));
    let random = Arc::new(SeededRandom::new(7));
    let other = Client::with_broker(
        config(state.path()),
        hub.broker_for(&system()),
        Arc::new(SystemClock),
        random,
    );
    assert!(matches!(
        other.err(),
        Some(ConnectError::Lock(durable::LockError::Held { .. }))
    ));
    running.stop().await;
}

#[tokio::test]
async fn a_status_is_a_delivery_too() {
    let (_state, hub, adapter, running) = start().await;
    let delivery = hub.new_delivery();
    hub.deliver_status(&system(), delivery, StatusCode::Accepted, b"status")
        .await;
    FakeHub::until("taken", || hub.times_taken(delivery) == 1).await;
    running.stop().await;
    assert_eq!(adapter.stored(), [delivery.uuid()]);
}

#[tokio::test]
async fn a_system_may_not_write_to_inboxes() {
    let hub = FakeHub::start(&[system()]).await;
    let publisher = hub.broker_for(&system()).publisher().await.unwrap();
    let message = OutMessage {
        exchange: SUBMIT_EXCHANGE.to_owned(),
        routing_key: Intake::Document.as_str().to_owned(),
        properties: Properties {
            user_id: Some("another".to_owned()),
            ..Properties::default()
        },
        body: b"x".as_slice().into(),
    };
    let outcome = publisher.publish(message).await.unwrap().await;
    assert!(matches!(outcome, Err(PublishError::Refused { .. })));
}
