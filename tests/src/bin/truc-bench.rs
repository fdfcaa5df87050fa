//! `truc-bench`: the hub under load, beside a bare forwarder on the same broker and the disk's flush
//! latency, in interleaved rounds. It measures and compares; it claims nothing and has no target.
//! What the figures mean: `docs/reference/performance.md`.

#[path = "truc-bench/bare.rs"]
mod bare;
#[path = "truc-bench/options.rs"]
mod options;
#[path = "truc-bench/report.rs"]
mod report;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use truc_envelope::seal::{Claims, make};
use truc_ledger::query::PAGE_MAX;
use truc_ledger::{BalanceFilter, EventKind, Ledger};
use truc_model::wire::{EDXML, Intake, JSON, Outgoing, SUBMIT_EXCHANGE, Taken, header, inbox};
use truc_model::{Clock, DeliveryUid, MessageId, Random, Sha256, SystemClock, SystemRandom, Urgency};
use truc_server::app;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{AGENCIES, Connected, Doing, SYSTEMS, Setting, Stage, StageError, now, until};
use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};
use truc_transport::{AmqpBroker, Broker, Consumer, HeaderValue, OutMessage, Properties, Publisher};

use options::Options;

/// Appends in one measurement of the flush latency, and bytes of each.
const FLUSHES: usize = 500;
const FLUSH_BYTES: usize = 4096;
/// Unsettled messages of the readers at the far ends.
const READ_PREFETCH: u16 = 512;
/// Most deliveries in one `taken` of the recipient.
const TAKEN_BATCH: usize = 100;
/// Longest wait for the next message before a round is given up.
const SILENCE: Duration = Duration::from_secs(60);
/// How often the ledger is asked whether everything is taken.
const LOOK_EVERY: Duration = Duration::from_millis(10);

const SENDER: &str = "so-tnmt";
const RECIPIENT: &str = "huyen-tuyen-quang";

/// What one round measured.
struct Round {
    flush_before: Flush,
    flush_after: Flush,
    hub: HubRun,
    /// From the first publish until the last message was read at the far end.
    bare: Duration,
}

struct Flush {
    median: Duration,
    p99: Duration,
}

struct HubRun {
    /// From the first publish until the last receipt was in the sender's hands.
    accepted: Duration,
    /// From the first publish until the ledger had every delivery as taken.
    taken: Duration,
    /// Transactions that accepted documents, and all that wrote events.
    accepting: usize,
    writing: usize,
    memory_kib: u64,
    processor: Duration,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = match options::read(std::env::args().skip(1)) {
        Ok(Some(options)) => options,
        Ok(None) => {
            println!("{}", options::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}\n\n{}", options::HELP);
            return ExitCode::from(2);
        }
    };
    match Box::pin(bench(&options)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("truc-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(options: &Options) -> Result<(), StageError> {
    let program = std::env::current_exe().doing("finding this program")?;
    let programs = program.parent().unwrap_or(Path::new(".")).to_owned();
    if !programs.join("truc").exists() {
        return Err(StageError(format!(
            "truc is not built in {}: run `make bench`",
            programs.display()
        )));
    }
    let under = options.dir.clone().unwrap_or_else(|| programs.clone());
    let dir = tempfile::Builder::new()
        .prefix("bench-")
        .tempdir_in(&under)
        .doing("making a folder")?;
    let node = PrivateNode::start(PrivateNodeConfig::new(dir.path().join("broker")))
        .await
        .doing("starting RabbitMQ")?;
    let mut rounds = Vec::new();
    for number in 1..=options.rounds {
        if !options.json {
            eprintln!(
                "round {number} of {}: {} documents of {} bytes",
                options.rounds, options.documents, options.size
            );
        }
        rounds.push(round(&node, dir.path(), &programs, number, options).await?);
    }
    let version = node.version().await.doing("asking RabbitMQ")?;
    let processors = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    if options.json {
        println!("{}", report::as_json(options, &rounds, &version, processors));
    } else {
        println!(
            "{} documents of {} bytes, {} round(s); {processors} processor(s), RabbitMQ {version}",
            options.documents,
            options.size,
            rounds.len()
        );
        report::print_table(options, &rounds);
    }
    Ok(())
}

async fn round(
    node: &PrivateNode,
    dir: &Path,
    programs: &Path,
    number: usize,
    options: &Options,
) -> Result<Round, StageError> {
    let vhost = format!("bench-{number}");
    // A window for all: what is measured is the flow, not how long a recipient lets its inbox stand.
    let config = format!("[delivery]\nwindow = {}\n", options.documents);
    let setting = Setting {
        vhost: &vhost,
        agencies: AGENCIES,
        systems: SYSTEMS,
        config: &config,
        programs,
    };
    let stage = Stage::set_up(node, &dir.join(&vhost), &setting).await?;
    let messages = sealed(&stage, options)?;
    let flush_before = flush_latency(&stage.dir).await?;
    let hub = through_the_hub(&stage, programs, &messages).await?;
    let bare = bare::through_a_bare_forwarder(&stage, &node.admin_amqp_url(&vhost), &messages).await?;
    let flush_after = flush_latency(&stage.dir).await?;
    std::fs::remove_dir_all(&stage.dir).doing("removing a round's files")?;
    Ok(Round {
        flush_before,
        flush_after,
        hub,
        bare,
    })
}

/// The documents, made and sealed before any clock starts.
fn sealed(stage: &Stage, options: &Options) -> Result<Vec<OutMessage>, StageError> {
    let system = stage.system(SENDER)?;
    let key = stage.sealing_key(system)?;
    let random = SystemRandom::default();
    let draft = |number: u32, filler: usize| Draft {
        from: ("000.00.09.H60", "Sở Tài nguyên và Môi trường"),
        to: vec![("000.00.34.H60".to_owned(), "UBND huyện Hàm Yên".to_owned())],
        number,
        notation: "STNMT-VP",
        type_name: "Công văn",
        type_detail: 18,
        subject: "V/v báo cáo định kỳ",
        urgency: Urgency::Normal,
        issued: SystemClock.today(),
        filler,
    };
    // Base64 makes four bytes of three.
    let filler = options.size.saturating_sub(draft(100_000, 0).packet().len()) / 4 * 3;
    let mut messages = Vec::with_capacity(options.documents);
    for number in (100_000..).take(options.documents) {
        let body = draft(number, filler).packet();
        let message_id = MessageId::new(random.uuid_v7(now()));
        let claims = Claims {
            iss: system.id.clone(),
            jti: message_id,
            iat: now(),
            sha256: Sha256::of(&body),
            size: body.len() as u64,
        };
        let seal = make(&key, &claims).doing("sealing")?;
        let properties = Properties {
            priority: Some(0),
            ..properties(system, Intake::Document, message_id)
        };
        messages.push(OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: Intake::Document.as_str().to_owned(),
            properties: properties.with(header::SEAL, HeaderValue::Text(seal)),
            body: Arc::from(body),
        });
    }
    Ok(messages)
}

fn properties(system: &Connected, intake: Intake, message_id: MessageId) -> Properties {
    Properties {
        kind: Some(intake.as_str().to_owned()),
        message_id: Some(message_id.to_string()),
        user_id: Some(system.id.to_string()),
        content_type: Some(if intake == Intake::Taken { JSON } else { EDXML }.to_owned()),
        timestamp: Some(now()),
        app_id: Some("truc-bench".to_owned()),
        ..Properties::default()
    }
}

/// One system to another through the hub, until the ledger has every delivery as taken.
async fn through_the_hub(
    stage: &Stage,
    programs: &Path,
    messages: &[OutMessage],
) -> Result<HubRun, StageError> {
    let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
    let hub = Hub::start(stage, programs)?;
    let admin = AmqpBroker::connect(app::broker_config(&stage.config, "bench").doing("reading the address")?)
        .await
        .doing("connecting")?;
    for intake in Intake::ALL {
        until("the hub to consume", async || {
            let depth = admin.queue_depth(intake.queue()).await.ok()?;
            (depth.consumers > 0).then_some(())
        })
        .await?;
    }
    admin.close().await;

    let (sending, receiving) = (stage.connect(sender).await?, stage.connect(recipient).await?);
    let publisher = sending.publisher().await.doing("publishing")?;
    let receipts = sending
        .consume(&inbox(&sender.id), READ_PREFETCH, "receipts")
        .await
        .doing("consuming")?;
    let documents = receiving
        .consume(&inbox(&recipient.id), READ_PREFETCH, "documents")
        .await
        .doing("consuming")?;
    let say = receiving.publisher().await.doing("publishing")?;
    let ledger = stage.ledger().await?;

    let start = Instant::now();
    let accepted = async {
        read(receipts, messages.len(), Outgoing::Receipt).await?;
        Ok(start.elapsed())
    };
    let taken = async {
        take(documents, say.as_ref(), recipient, messages.len()).await?;
        all_taken(&ledger).await?;
        Ok(start.elapsed())
    };
    let ((), accepted, taken) = tokio::try_join!(load(publisher.as_ref(), messages), accepted, taken)?;
    let (memory_kib, processor) = hub.used()?;
    drop(hub);
    sending.close().await;
    receiving.close().await;

    let (accepting, writing) = transactions(&ledger).await?;
    let balance = ledger
        .balance(&BalanceFilter::default())
        .await
        .doing("balancing")?;
    let total = &balance.total;
    if !balance.balances() || total.accepted != total.taken || total.taken != messages.len() as u64 {
        return Err(StageError(format!("the round does not balance: {total:?}")));
    }
    Ok(HubRun {
        accepted,
        taken,
        accepting,
        writing,
        memory_kib,
        processor,
    })
}

/// Publishes everything, the confirms pipelined within the publisher's window.
async fn load(publisher: &dyn Publisher, messages: &[OutMessage]) -> Result<(), StageError> {
    let mut confirming = FuturesUnordered::new();
    for message in messages {
        confirming.push(publisher.publish(message.clone()).await.doing("publishing")?);
        while let Some(Some(confirmed)) = confirming.next().now_or_never() {
            let _kept = confirmed.doing("publishing")?;
        }
    }
    while let Some(confirmed) = confirming.next().await {
        let _kept = confirmed.doing("publishing")?;
    }
    Ok(())
}

/// Reads and settles `count` messages, all of one kind.
async fn read(mut consumer: Box<dyn Consumer>, count: usize, kind: Outgoing) -> Result<(), StageError> {
    for _ in 0..count {
        let delivery = next(consumer.as_mut()).await?;
        if delivery.properties.kind.as_deref() != Some(kind.as_str()) {
            let body = String::from_utf8_lossy(&delivery.body)
                .chars()
                .take(500)
                .collect::<String>();
            return Err(StageError(format!(
                "expected a {}, got {:?}: {body}",
                kind.as_str(),
                delivery.properties.kind
            )));
        }
        delivery.ack().await.doing("settling")?;
    }
    Ok(())
}

async fn next(consumer: &mut dyn Consumer) -> Result<truc_transport::Delivery, StageError> {
    match tokio::time::timeout(SILENCE, consumer.next()).await {
        Ok(Some(delivery)) => Ok(delivery),
        Ok(None) => Err(StageError("the inbox was closed".to_owned())),
        Err(_) => Err(StageError(format!("nothing came for {} s", SILENCE.as_secs()))),
    }
}

/// The recipient: reads, says `taken` for what has come, awaits the confirm, settles. It stores nothing.
async fn take(
    mut documents: Box<dyn Consumer>,
    say: &dyn Publisher,
    system: &Connected,
    count: usize,
) -> Result<(), StageError> {
    let random = SystemRandom::default();
    let mut seen = BTreeSet::new();
    while seen.len() < count {
        let mut batch = vec![next(documents.as_mut()).await?];
        while batch.len() < TAKEN_BATCH
            && let Some(Some(delivery)) = documents.next().now_or_never()
        {
            batch.push(delivery);
        }
        let mut taken = Taken::default();
        for delivery in &batch {
            let id = delivery.properties.text(header::DELIVERY).unwrap_or_default();
            let id: DeliveryUid = id.parse().doing("reading a delivery")?;
            seen.insert(id);
            taken.taken.push(id);
        }
        let message = OutMessage {
            exchange: SUBMIT_EXCHANGE.to_owned(),
            routing_key: Intake::Taken.as_str().to_owned(),
            properties: properties(system, Intake::Taken, MessageId::new(random.uuid_v7(now()))),
            body: Arc::from(serde_json::to_vec(&taken).doing("saying taken")?),
        };
        let _kept = say
            .publish(message)
            .await
            .doing("saying taken")?
            .await
            .doing("saying taken")?;
        for delivery in batch {
            delivery.ack().await.doing("settling")?;
        }
    }
    Ok(())
}

async fn all_taken(ledger: &Ledger) -> Result<(), StageError> {
    let since = Instant::now();
    loop {
        let counts = ledger.inbox_counts().await.doing("asking the ledger")?;
        if counts
            .iter()
            .all(|count| count.scheduled + count.leased + count.forwarded == 0)
        {
            return Ok(());
        }
        if since.elapsed() > SILENCE {
            return Err(StageError(format!("not everything was taken: {counts:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How many transactions accepted documents, and how many wrote events: all events of one transaction
/// have its time, to the microsecond.
async fn transactions(ledger: &Ledger) -> Result<(usize, usize), StageError> {
    let (mut accepting, mut writing) = (BTreeSet::new(), BTreeSet::new());
    let mut next = 1;
    loop {
        let page = ledger.events(next, PAGE_MAX).await.doing("reading the events")?;
        let Some(last) = page.last() else { break };
        next = last.seq + 1;
        for row in &page {
            writing.insert(row.at);
            if row.kind == EventKind::DocumentAccepted {
                accepting.insert(row.at);
            }
        }
    }
    Ok((accepting.len(), writing.len()))
}

/// The hub as a process of its own; killed when dropped.
struct Hub(Child);

impl Hub {
    fn start(stage: &Stage, programs: &Path) -> Result<Self, StageError> {
        let log = File::create(stage.dir.join("hub.log")).doing("opening a log file")?;
        let mut command = Command::new(programs.join("truc"));
        command.arg("serve").arg("--config").arg(&stage.config_file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().doing("starting the hub").map(Self)
    }

    /// Peak resident memory in KiB, and processor time.
    fn used(&self) -> Result<(u64, Duration), StageError> {
        let of = |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", self.0.id()));
        let status = of("status").doing("reading the hub's memory")?;
        let peak = status.lines().find_map(|line| {
            line.strip_prefix("VmHWM:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        });
        // Fields 14 and 15, counted behind the name in brackets, in ticks of 10 ms (proc(5)).
        let stat = of("stat").doing("reading the hub's processor time")?;
        let behind = stat.rsplit_once(") ").map_or("", |(_, behind)| behind);
        let ticks: u64 = behind
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|ticks| ticks.parse::<u64>().ok())
            .sum();
        Ok((peak.unwrap_or_default(), Duration::from_millis(ticks * 10)))
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long the disk takes to keep 4 KiB more: appends to a file beside the ledger, each flushed.
async fn flush_latency(dir: &Path) -> Result<Flush, StageError> {
    let path = dir.join("flush-latency");
    tokio::task::spawn_blocking(move || {
        let mut file = File::create(&path).doing("measuring the disk")?;
        let mut times = Vec::with_capacity(FLUSHES);
        for _ in 0..FLUSHES {
            let start = Instant::now();
            file.write_all(&[0x54; FLUSH_BYTES]).doing("measuring the disk")?;
            file.sync_data().doing("measuring the disk")?;
            times.push(start.elapsed());
        }
        std::fs::remove_file(&path).doing("measuring the disk")?;
        times.sort_unstable();
        Ok(Flush {
            median: times[FLUSHES / 2],
            p99: times[FLUSHES * 99 / 100],
        })
    })
    .await
    .doing("measuring the disk")?
}
