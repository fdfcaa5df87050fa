//! A stand-in for the hub, for adapters' tests: an in-memory broker, the hub's side of the wire, and a
//! record of everything that was said.
//!
//! It answers submissions as the hub does where adapters can tell: a receipt, the same one for the same
//! key and bytes, a conflict for other bytes. It checks nothing else. Test support: it panics where a test
//! should fail.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "test support: a panic here is a failed test"
)]

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use truc_envelope::{Limits, Packet, read};
use truc_model::wire::{
    DELIVER_EXCHANGE, DocumentReceipt, Intake, Notice, Outgoing, Receipt, RefusalAnswer, StatusReceipt,
    Taken, header,
};
use truc_model::{
    DeliveryUid, DocumentKind, DocumentUid, MessageId, Party, Place, Random, Refusal, RefusalCode,
    SeededRandom, Sha256, StatusCode, SystemId, Urgency,
};
use truc_transport::{
    Broker, HeaderValue, MemoryBroker, Message, OutMessage, Properties, QueueType, Topology,
};

/// The hub's side of an in-memory broker. Answers as long as it lives.
pub struct FakeHub {
    broker: Arc<MemoryBroker>,
    record: Arc<Mutex<Record>>,
    task: tokio::task::JoinHandle<()>,
}

/// A submission as it came, every repeat again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The key.
    pub message_id: MessageId,
    /// Which intake it came by.
    pub kind: DocumentKind,
    /// The sending system.
    pub system: SystemId,
    /// Header `truc-from`.
    pub from: String,
    /// Header `truc-seal`.
    pub seal: Option<String>,
    /// The packet.
    pub bytes: Vec<u8>,
}

/// What the hub is to answer.
#[derive(Debug, Clone)]
pub enum Reply {
    /// A receipt.
    Accept,
    /// A refusal.
    Refuse(Refusal),
    /// Nothing.
    Silence,
}

type Policy = Box<dyn Fn(&Submitted) -> Reply + Send>;

struct Record {
    submitted: Vec<Submitted>,
    answered: HashMap<MessageId, (Sha256, Vec<u8>, Outgoing)>,
    taken: Vec<Taken>,
    policy: Policy,
    random: SeededRandom,
    events: u64,
}

impl FakeHub {
    /// Longest wait for a condition of a test.
    pub const PATIENCE: Duration = Duration::from_secs(20);

    /// Declares the broker's objects and begins to answer.
    pub async fn start(systems: &[SystemId]) -> Self {
        let broker = Arc::new(MemoryBroker::new());
        let topology = Topology::hub(QueueType::Classic, systems.to_vec());
        broker.declare(&topology).await.unwrap();
        let record = Arc::new(Mutex::new(Record {
            submitted: Vec::new(),
            answered: HashMap::new(),
            taken: Vec::new(),
            policy: Box::new(|_| Reply::Accept),
            random: SeededRandom::new(1),
            events: 0,
        }));
        let task = tokio::spawn(answer(Arc::clone(&broker), Arc::clone(&record)));
        Self { broker, record, task }
    }

    /// The broker, to be taken down and brought back.
    #[must_use]
    pub fn broker(&self) -> &MemoryBroker {
        &self.broker
    }

    /// A connection for a system, with a system's rights.
    #[must_use]
    pub fn broker_for(&self, system: &SystemId) -> Arc<dyn Broker> {
        Arc::new(self.broker.as_system(system))
    }

    /// Changes how submissions are answered from now on.
    pub fn reply(&self, policy: impl Fn(&Submitted) -> Reply + Send + 'static) {
        self.record().policy = Box::new(policy);
    }

    /// Every submission that came, repeats too.
    #[must_use]
    pub fn submitted(&self) -> Vec<Submitted> {
        self.record().submitted.clone()
    }

    /// The submissions by key: what the hub would have in its ledger. Panics when one key came with two
    /// different bodies.
    #[must_use]
    pub fn submissions(&self) -> HashMap<MessageId, Submitted> {
        let mut by_key: HashMap<MessageId, Submitted> = HashMap::new();
        for submitted in self.submitted() {
            let first = by_key
                .entry(submitted.message_id)
                .or_insert_with(|| submitted.clone());
            assert_eq!(first.bytes, submitted.bytes, "one message_id, two bodies");
        }
        by_key
    }

    /// Every `taken` that came.
    #[must_use]
    pub fn taken(&self) -> Vec<Taken> {
        self.record().taken.clone()
    }

    /// How many times the hub was told that this delivery is stored.
    #[must_use]
    pub fn times_taken(&self, delivery: DeliveryUid) -> usize {
        let record = self.record();
        let all = record.taken.iter().flat_map(|taken| &taken.taken);
        all.filter(|taken| **taken == delivery).count()
    }

    /// How many times the hub was told that this delivery is withdrawn for the agencies `codes` (none: for all).
    #[must_use]
    pub fn times_withdrawn(&self, delivery: DeliveryUid, codes: &[&str]) -> usize {
        let record = self.record();
        let all = record.taken.iter().flat_map(|taken| &taken.withdrawn);
        all.filter(|withdrawn| withdrawn.delivery == delivery && withdrawn.codes == codes)
            .count()
    }

    /// A fresh delivery id.
    #[must_use]
    pub fn new_delivery(&self) -> DeliveryUid {
        DeliveryUid::new(self.record().uuid())
    }

    /// Puts a document into a system's inbox, for agencies `to`.
    pub async fn deliver(&self, system: &SystemId, delivery: DeliveryUid, to: &[&str], packet: &[u8]) {
        let message = self.delivery(Outgoing::Document, system, delivery, to, packet);
        self.send(message).await;
    }

    /// Puts a status into a system's inbox.
    pub async fn deliver_status(
        &self,
        system: &SystemId,
        delivery: DeliveryUid,
        code: StatusCode,
        packet: &[u8],
    ) {
        let mut message = self.delivery(Outgoing::Status, system, delivery, &[], packet);
        message.properties = message.properties.with(header::STATUS, code.digits());
        self.send(message).await;
    }

    /// Puts an order into a system's inbox, as the hub does: ahead of what it takes back. `order` is a message of
    /// [`Self::delivery`]; `withdraws` the deliveries, `codes` the agencies for which alone (none: for all).
    pub async fn order(&self, mut order: OutMessage, withdraws: &[DeliveryUid], codes: &[&str]) {
        let list = |texts: Vec<String>| HeaderValue::List(texts);
        order.properties.priority = Some(Topology::MAX_PRIORITY);
        order.properties = order.properties.with(
            header::WITHDRAWS,
            list(withdraws.iter().map(ToString::to_string).collect()),
        );
        if !codes.is_empty() {
            let codes = codes.iter().map(|code| (*code).to_owned()).collect();
            order.properties = order.properties.with(header::WITHDRAWS_FOR, list(codes));
        }
        self.send(order).await;
    }

    /// Puts a notice into a system's inbox.
    pub async fn send_notice(&self, system: &SystemId, notice: &Notice) {
        let body = serde_json::to_vec(notice).unwrap();
        self.send(out(Outgoing::Notice, system, None, body)).await;
    }

    /// Puts the receipt of a document into a system's inbox, whether or not it was submitted to this hub.
    pub async fn send_receipt(&self, system: &SystemId, message_id: MessageId) {
        let receipt = Receipt::Document(DocumentReceipt {
            message_id,
            document: DocumentUid::new(message_id.uuid()),
            document_id: String::new(),
            event: 1,
            accepted_at: Timestamp::UNIX_EPOCH,
            sha256: Sha256::of(&[]),
            size: 0,
            recipients: Vec::new(),
            warnings: Vec::new(),
        });
        let body = serde_json::to_vec(&receipt).unwrap();
        self.send(out(Outgoing::Receipt, system, Some(message_id), body))
            .await;
    }

    /// The message of a delivery, to be changed before it is sent.
    #[must_use]
    pub fn delivery(
        &self,
        kind: Outgoing,
        system: &SystemId,
        delivery: DeliveryUid,
        to: &[&str],
        packet: &[u8],
    ) -> OutMessage {
        let mut message = out(kind, system, None, packet.to_vec());
        message.properties.priority = Some(Urgency::Normal.number());
        message.properties = message
            .properties
            .with(header::DELIVERY, delivery.to_string())
            .with(header::DOCUMENT, delivery.to_string())
            .with(header::FROM, "H60.1")
            .with(
                header::TO,
                to.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>(),
            )
            .with(header::ATTEMPT, 1)
            .with(header::SHA256, Sha256::of(packet).to_string());
        message
    }

    /// Publishes any message as the hub.
    pub async fn send(&self, message: OutMessage) {
        send(&self.broker, message).await;
    }

    /// Messages waiting in a system's inbox, handed-out ones not counted.
    pub async fn inbox_depth(&self, system: &SystemId) -> u32 {
        let queue = truc_model::wire::inbox(system);
        self.broker.queue_depth(&queue).await.unwrap().ready
    }

    /// Waits until a condition holds. Panics after [`Self::PATIENCE`].
    pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
        Self::until_async(what, async || condition()).await;
    }

    /// The same for a condition that has to ask.
    pub async fn until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + Self::PATIENCE;
        while !condition().await {
            assert!(tokio::time::Instant::now() < deadline, "waited in vain: {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap()
    }
}

impl Drop for FakeHub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(broker: Arc<MemoryBroker>, record: Arc<Mutex<Record>>) {
    let mut documents = broker.consume(Intake::Document.queue(), 64, "hub").await.unwrap();
    let mut statuses = broker.consume(Intake::Status.queue(), 64, "hub").await.unwrap();
    let mut taken = broker.consume(Intake::Taken.queue(), 64, "hub").await.unwrap();
    loop {
        let (intake, delivery) = tokio::select! {
            delivery = documents.next() => (Intake::Document, delivery),
            delivery = statuses.next() => (Intake::Status, delivery),
            delivery = taken.next() => (Intake::Taken, delivery),
        };
        let Some(delivery) = delivery else { return };
        let answer = record.lock().unwrap().take(intake, &delivery.message);
        if let Some(answer) = answer {
            send(&broker, answer).await;
        }
        // Lost on the way: it comes again, and is answered again.
        let _ = delivery.ack().await;
    }
}

impl Record {
    fn take(&mut self, intake: Intake, message: &Message) -> Option<OutMessage> {
        let properties = &message.properties;
        let system = SystemId::new(properties.user_id.as_deref().unwrap()).unwrap();
        let kind = match intake {
            Intake::Document => DocumentKind::Document,
            Intake::Status => DocumentKind::Status,
            Intake::Taken => {
                self.taken.push(serde_json::from_slice(&message.body).unwrap());
                return None;
            }
        };
        let submitted = Submitted {
            message_id: properties.message_id.as_deref().unwrap().parse().unwrap(),
            kind,
            from: properties.text(header::FROM).unwrap_or_default().to_owned(),
            seal: properties.text(header::SEAL).map(str::to_owned),
            bytes: message.body.clone(),
            system: system.clone(),
        };
        self.submitted.push(submitted.clone());
        let sha256 = Sha256::of(&submitted.bytes);
        let (kind, json) = match self.answered.get(&submitted.message_id) {
            Some((first, json, kind)) if *first == sha256 => (*kind, json.clone()),
            Some(_) => {
                let finding = Refusal::new(RefusalCode::MessageIdConflict, Place::Message, "", "");
                self.refusal(submitted.message_id, finding)
            }
            None => match (self.policy)(&submitted) {
                Reply::Silence => return None,
                Reply::Refuse(finding) => self.refusal(submitted.message_id, finding),
                Reply::Accept => {
                    let (kind, json) = self.receipt(&submitted);
                    self.answered
                        .insert(submitted.message_id, (sha256, json.clone(), kind));
                    (kind, json)
                }
            },
        };
        Some(out(kind, &system, Some(submitted.message_id), json))
    }

    fn receipt(&mut self, submitted: &Submitted) -> (Outgoing, Vec<u8>) {
        let document = DocumentUid::new(self.uuid());
        let packet = read(&submitted.bytes, &Limits::default()).map(|reading| reading.packet);
        let event = self.next_event();
        let receipt = match (submitted.kind, packet) {
            (DocumentKind::Status, Ok(Packet::Status(status))) => Receipt::Status(StatusReceipt {
                message_id: submitted.message_id,
                document,
                status: status.code,
                recipient: Party::Unresolved(status.from.organ_id),
                event,
                accepted_at: Timestamp::UNIX_EPOCH,
                effect: "moved".to_owned(),
                passed_on: true,
            }),
            (_, packet) => Receipt::Document(DocumentReceipt {
                message_id: submitted.message_id,
                document,
                document_id: match packet {
                    Ok(Packet::Document(packet)) => packet.document_id,
                    _ => String::new(),
                },
                event,
                accepted_at: Timestamp::UNIX_EPOCH,
                sha256: Sha256::of(&submitted.bytes),
                size: submitted.bytes.len() as u64,
                recipients: Vec::new(),
                warnings: Vec::new(),
            }),
        };
        (Outgoing::Receipt, serde_json::to_vec(&receipt).unwrap())
    }

    fn refusal(&mut self, message_id: MessageId, finding: Refusal) -> (Outgoing, Vec<u8>) {
        let event = self.next_event();
        let refusal =
            RefusalAnswer::of(Some(message_id), vec![finding], event, Timestamp::UNIX_EPOCH).unwrap();
        (Outgoing::Refusal, serde_json::to_vec(&refusal).unwrap())
    }

    fn next_event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    fn uuid(&self) -> uuid::Uuid {
        self.random.uuid_v7(Timestamp::UNIX_EPOCH)
    }
}

fn out(kind: Outgoing, system: &SystemId, answers: Option<MessageId>, body: Vec<u8>) -> OutMessage {
    OutMessage {
        exchange: DELIVER_EXCHANGE.to_owned(),
        routing_key: system.to_string(),
        properties: Properties {
            kind: Some(kind.as_str().to_owned()),
            correlation_id: answers.map(|message_id| message_id.to_string()),
            content_type: Some(kind.content_type().to_owned()),
            ..Properties::default()
        },
        body: body.into(),
    }
}

async fn send(broker: &MemoryBroker, message: OutMessage) {
    let publishing: std::pin::Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async {
        let publisher = broker.publisher().await.unwrap();
        let _confirmed = publisher.publish(message).await.unwrap().await.unwrap();
    });
    publishing.await;
}
