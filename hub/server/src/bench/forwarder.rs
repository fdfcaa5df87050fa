//! The bare forwarder: `truc bench-forwarder`, started by the bench and by nobody else. It moves the same AMQP
//! messages as the hub over the same queues, with a client of nothing but lapin, and does nothing beside: no
//! check, no ledger, no digest, no XML, no JSON.
//!
//! For each submission it publishes a delivery (the same body; headers as the hub wrote them in the round before)
//! and a receipt (a body and headers of the hub's), both persistent, `mandatory` and confirmed; when both are
//! confirmed it settles the submission. It consumes `taken` and settles it. Everything is pipelined: publishes
//! never wait for confirms, confirms are awaited in order by a task of their own, and what is settled is settled
//! by one `multiple` for all that is confirmed. Documents, receipts and `taken` have channels of their own;
//! consuming and publishing have connections of their own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use futures_util::{FutureExt as _, StreamExt as _};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldArray, FieldTable, ShortString};
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, Consumer, PublisherConfirm,
};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use truc_model::wire::{DELIVER_EXCHANGE, Intake, header};

use crate::demo::stage::{Doing, StageError};

/// The word on the command line.
pub const COMMAND: &str = "bench-forwarder";
/// What it says when it consumes.
pub const READY: &str = "ready";
/// What it says when all it was told to expect is settled.
pub const DONE: &str = "done";

/// Unsettled messages of each queue.
const PREFETCH: u16 = 1024;

/// What it is told on its first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Task {
    /// The broker, with password.
    pub url: String,
    /// For each sending system those that receive.
    pub routes: BTreeMap<String, Vec<String>>,
    /// What a delivery looks like.
    pub delivery: Form,
    /// What a receipt looks like.
    pub receipt: Form,
}

/// Properties, headers and, of a receipt, the body, as the hub wrote them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Form {
    /// AMQP `type`.
    pub kind: String,
    /// Media type.
    pub content_type: String,
    /// Program.
    pub app_id: String,
    /// Seconds.
    pub timestamp: u64,
    /// Priority.
    pub priority: u8,
    /// Headers: texts, numbers, lists of texts.
    pub headers: BTreeMap<String, serde_json::Value>,
    /// The body, of a receipt.
    pub body: String,
}

/// What it is told on each line after the first: how many messages it has to have settled, from its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expected {
    /// Submissions.
    pub submissions: u64,
    /// `taken` messages.
    pub taken: u64,
}

/// Runs the forwarder when the command line asks for it.
pub fn run_if_asked(mut arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    (arguments.nth(1)? == COMMAND).then_some(())?;
    let run = || {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .doing("starting")?;
        runtime.block_on(run())
    };
    Some(match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Ignored on purpose: standard error is the last place to complain to.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    })
}

async fn run() -> Result<(), StageError> {
    let mut lines = std::io::stdin().lock().lines();
    let first = lines
        .next()
        .ok_or_else(|| StageError("no task".to_owned()))?
        .doing("reading the task")?;
    let task: Task = serde_json::from_str(&first).doing("reading the task")?;
    let (settled, mut progress) = watch::channel(Expected {
        submissions: 0,
        taken: 0,
    });
    let settled = Arc::new(settled);
    let mut parts = tokio::task::JoinSet::new();
    let connections = start(task, &settled, &mut parts).await?;
    say(READY)?;

    // A thread waits for the next line; when there is none the bench is done with it, or dead.
    let (sender, mut orders) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(expected) = line
                .map_err(drop)
                .and_then(|line| serde_json::from_str::<Expected>(&line).map_err(drop))
            else {
                break;
            };
            if sender.blocking_send(expected).is_err() {
                break;
            }
        }
    });
    drop(lines);
    loop {
        let expected = tokio::select! {
            Some(ended) = parts.join_next() => return ended.doing("forwarding")?,
            expected = orders.recv() => match expected {
                Some(expected) => expected,
                None => break,
            },
        };
        tokio::select! {
            Some(ended) = parts.join_next() => return ended.doing("forwarding")?,
            reached = progress.wait_for(|settled| {
                settled.submissions >= expected.submissions && settled.taken >= expected.taken
            }) => drop(reached.doing("forwarding")?),
        }
        let done = *progress.borrow();
        if done != expected {
            return Err(StageError(format!("expected {expected:?}, settled {done:?}")));
        }
        say(DONE)?;
    }
    // The broker answers a channel's opening after it has read what was sent before: every settlement.
    let mut last = Vec::new();
    for connection in &connections {
        last.push(connection.create_channel().await.doing("closing")?);
    }
    for connection in connections {
        // Ignored on purpose: lapin fails this when a part notices first and lets go of its channel.
        let _ = connection.close(200, "done".into()).await;
    }
    Ok(())
}

fn say(word: &str) -> Result<(), StageError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{word}").doing("answering")?;
    out.flush().doing("answering")
}

/// A submission whose delivery and receipt are on their way.
struct UnderWay {
    delivery: Delivery,
    confirms: Vec<PublisherConfirm>,
}

async fn start(
    task: Task,
    settled: &Arc<watch::Sender<Expected>>,
    parts: &mut tokio::task::JoinSet<Result<(), StageError>>,
) -> Result<[Connection; 2], StageError> {
    let (taking, giving) = (connect(&task.url).await?, connect(&task.url).await?);
    let documents = consume(&taking, Intake::Document).await?;
    let taken = consume(&taking, Intake::Taken).await?;
    let out = Out {
        deliveries: confirming(&giving).await?,
        receipts: confirming(&giving).await?,
        delivery: properties(&task.delivery)?,
        receipt: properties(&task.receipt)?,
        receipt_body: task.receipt.body.into_bytes(),
        routes: routes(&task.routes)?,
    };
    // As many as the broker hands out unsettled, so that sending never waits.
    let (under_way, confirmed) = mpsc::channel(usize::from(PREFETCH));
    parts.spawn(forward(documents, out, under_way));
    parts.spawn(settle(confirmed, Arc::clone(settled)));
    parts.spawn(settle_taken(taken, Arc::clone(settled)));
    Ok([taking, giving])
}

struct Out {
    deliveries: Channel,
    receipts: Channel,
    delivery: BasicProperties,
    receipt: BasicProperties,
    receipt_body: Vec<u8>,
    routes: BTreeMap<String, Vec<ShortString>>,
}

/// Consumes submissions and publishes what becomes of them.
async fn forward(
    mut documents: Consumer,
    out: Out,
    under_way: mpsc::Sender<UnderWay>,
) -> Result<(), StageError> {
    let options = BasicPublishOptions {
        mandatory: true,
        immediate: false,
    };
    while let Some(delivery) = documents.next().await {
        let mut delivery = delivery.doing("consuming")?;
        let sender = delivery.properties.user_id().clone().unwrap_or_default();
        let id = delivery.properties.message_id().clone().unwrap_or_default();
        let recipients = out
            .routes
            .get(sender.as_str())
            .ok_or_else(|| StageError("a submission of an unknown system".to_owned()))?;
        let mut confirms = Vec::with_capacity(recipients.len() + 1);
        for recipient in recipients {
            let properties = with_id(&out.delivery, &id);
            let confirm = out
                .deliveries
                .basic_publish(
                    DELIVER_EXCHANGE.into(),
                    recipient.clone(),
                    options,
                    &delivery.data,
                    properties,
                )
                .await
                .doing("publishing a delivery")?;
            confirms.push(confirm);
        }
        let receipt = out
            .receipts
            .basic_publish(
                DELIVER_EXCHANGE.into(),
                sender,
                options,
                &out.receipt_body,
                with_id(&out.receipt, &id).with_correlation_id(id),
            )
            .await
            .doing("publishing a receipt")?;
        confirms.push(receipt);
        // The body is with the broker now; only the settlement is still needed.
        delivery.data = Vec::new();
        if under_way.send(UnderWay { delivery, confirms }).await.is_err() {
            break;
        }
    }
    Err(StageError("no more submissions come".to_owned()))
}

/// The id of the submission serves for the delivery and for the receipt: a forwarder makes no ids.
fn with_id(form: &BasicProperties, id: &ShortString) -> BasicProperties {
    let properties = form.clone().with_message_id(id.clone());
    let Some(mut headers) = properties.headers().clone() else {
        return properties;
    };
    headers.insert(header::DELIVERY.into(), AMQPValue::LongString(id.as_str().into()));
    properties.with_headers(headers)
}

/// Settles submissions in order, all that are confirmed at once.
async fn settle(
    mut under_way: mpsc::Receiver<UnderWay>,
    settled: Arc<watch::Sender<Expected>>,
) -> Result<(), StageError> {
    let mut next = under_way.recv().await;
    while let Some(mut first) = next.take() {
        for confirm in std::mem::take(&mut first.confirms) {
            kept(confirm.await.doing("publishing")?)?;
        }
        let (mut last, mut count) = (first, 1);
        // What is behind it is confirmed, too, as a rule: one settlement for all of that.
        while let Ok(mut following) = under_way.try_recv() {
            let mut confirms = std::mem::take(&mut following.confirms).into_iter();
            let open = loop {
                let Some(mut confirm) = confirms.next() else {
                    break None;
                };
                match (&mut confirm).now_or_never() {
                    Some(confirmation) => kept(confirmation.doing("publishing")?)?,
                    None => break Some(confirm),
                }
            };
            if let Some(open) = open {
                following.confirms = std::iter::once(open).chain(confirms).collect();
                next = Some(following);
                break;
            }
            (last, count) = (following, count + 1);
        }
        last.delivery
            .ack(BasicAckOptions { multiple: true })
            .await
            .doing("settling")?;
        settled.send_modify(|settled| settled.submissions += count);
        if next.is_none() {
            next = under_way.recv().await;
        }
    }
    Err(StageError("no more submissions come".to_owned()))
}

fn kept(confirmation: Confirmation) -> Result<(), StageError> {
    match confirmation {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(StageError("the broker did not keep a message".to_owned())),
    }
}

/// Consumes `taken` and settles it, all that is there at once.
async fn settle_taken(mut taken: Consumer, settled: Arc<watch::Sender<Expected>>) -> Result<(), StageError> {
    while let Some(first) = taken.next().await {
        let (mut last, mut count) = (first.doing("consuming")?, 1);
        while let Some(Some(following)) = taken.next().now_or_never() {
            (last, count) = (following.doing("consuming")?, count + 1);
        }
        last.ack(BasicAckOptions { multiple: true })
            .await
            .doing("settling")?;
        settled.send_modify(|settled| settled.taken += count);
    }
    Err(StageError("no more taken messages come".to_owned()))
}

async fn connect(url: &str) -> Result<Connection, StageError> {
    Connection::connect(url, ConnectionProperties::default())
        .await
        .doing("connecting")
}

async fn confirming(connection: &Connection) -> Result<Channel, StageError> {
    let channel = connection.create_channel().await.doing("opening a channel")?;
    channel
        .confirm_select(ConfirmSelectOptions { nowait: false })
        .await
        .doing("asking for confirms")?;
    Ok(channel)
}

async fn consume(connection: &Connection, intake: Intake) -> Result<Consumer, StageError> {
    let channel = connection.create_channel().await.doing("opening a channel")?;
    channel
        .basic_qos(PREFETCH, BasicQosOptions { global: false })
        .await
        .doing("bounding the prefetch")?;
    channel
        .basic_consume(
            intake.queue().into(),
            "bare".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        )
        .await
        .doing("consuming")
}

fn properties(form: &Form) -> Result<BasicProperties, StageError> {
    let mut headers = FieldTable::default();
    for (name, value) in &form.headers {
        headers.insert(short(name)?, value_of(value));
    }
    Ok(BasicProperties::default()
        .with_delivery_mode(2)
        .with_type(short(&form.kind)?)
        .with_content_type(short(&form.content_type)?)
        .with_app_id(short(&form.app_id)?)
        .with_timestamp(form.timestamp)
        .with_priority(form.priority)
        .with_headers(headers))
}

fn value_of(value: &serde_json::Value) -> AMQPValue {
    use serde_json::Value;
    let text = |text: &str| AMQPValue::LongString(text.into());
    match value {
        Value::Number(number) => AMQPValue::LongLongInt(number.as_i64().unwrap_or_default()),
        Value::Array(items) => {
            let items: Vec<AMQPValue> = items
                .iter()
                .map(|item| text(item.as_str().unwrap_or_default()))
                .collect();
            AMQPValue::FieldArray(FieldArray::from(items))
        }
        other => text(other.as_str().unwrap_or_default()),
    }
}

fn routes(of: &BTreeMap<String, Vec<String>>) -> Result<BTreeMap<String, Vec<ShortString>>, StageError> {
    of.iter()
        .map(|(sender, recipients)| {
            let recipients = recipients.iter().map(|id| short(id)).collect::<Result<_, _>>()?;
            Ok((sender.clone(), recipients))
        })
        .collect()
}

fn short(text: &str) -> Result<ShortString, StageError> {
    ShortString::try_new(text).map_err(|_| StageError("a name is too long for AMQP".to_owned()))
}
