//! Documents whose bodies travel apart, on a real broker and by real HTTP: large, interrupted, taken back, and of
//! somebody else.

mod orphans;

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_adapter_sdk::{BodyClient, BodyClientConfig, BodyTransferError, PacketFile};
use truc_envelope::seal::{self, Claims};
use truc_envelope::{Limits, Packet, read, write_document};
use truc_model::wire::{BodyReference, Outgoing, SUBMIT_EXCHANGE, header};
use truc_model::{
    BodyProblemCode, Clock, MessageId, Operation, Random, RefusalCode, Sha256, SystemClock, SystemRandom,
};
use truc_server::demo::folders::{self, Answered};
use truc_server::demo::packets::{Draft, pdf};
use truc_server::demo::stage::{Connected, Doing, Process, Stage, StageError, until};
use truc_tests::{Set, all_taken, check, play, set};
use truc_transport::{Broker as _, Confirmed, OutMessage, Properties};

const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const DISTRICT: (&str, &str) = ("000.00.34.H60", "UBND huyện Hàm Yên");
const SENDER: &str = "so-tnmt";
const RECIPIENT: &str = "huyen-tuyen-quang";

/// The large document, and those of the other scenes.
const LARGE: u64 = 200 << 20;
const SMALL: u64 = 3 << 20;

/// What the hub may grow by while the large one passes.
const GROWTH_MAX_KB: u64 = 32 << 10;

async fn stage(name: &str, more: &str) -> Result<Set, StageError> {
    // A port that was free a moment ago: nobody else on this machine asks for it by number.
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = port.doing("looking for a free port")?;
    let config = format!("[bodies]\nlisten = \"{address}\"\ndir = \"bodies\"\ndisk_floor_mb = 1\n{more}\n");
    set(name, &config).await
}

/// Writes a packet of about this size, without having it in memory.
fn write_packet(path: &Path, number: u32, size: u64) -> Result<PacketFile, StageError> {
    // A multiple of three, so that the pieces' texts are one text.
    const PIECE: usize = 48 * 1024;
    let draft = Draft::letter(ENVIRONMENT, &[DISTRICT], number, SystemClock.today());
    let line = format!("{} {}/{}", draft.from.0, draft.number, draft.notation);
    let small = pdf(&line, 0);
    let packet = String::from_utf8(draft.packet()).doing("reading a packet")?;
    let mut piece = small.clone();
    while piece.len() < PIECE {
        piece.push((piece.len() % 251) as u8);
    }
    let (before, after) = packet
        .split_once(&STANDARD.encode(&small))
        .ok_or_else(|| StageError("the packet does not hold its attachment in one line".to_owned()))?;
    let part = path.with_extension("part");
    let file = File::create(&part).doing("making a packet")?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let text = STANDARD.encode(&piece);
    let mut write = |bytes: &[u8]| out.write_all(bytes).doing("writing a packet");
    write(before.as_bytes())?;
    for _ in 0..size.div_ceil(text.len() as u64) {
        write(text.as_bytes())?;
    }
    write(after.as_bytes())?;
    out.flush().doing("writing a packet")?;
    std::fs::rename(&part, path).doing("naming a packet")?;
    PacketFile::open(path).doing("reading a packet")
}

/// Drops a packet into a system's folder, as a clerk would.
fn send(system: &Connected, name: &str, number: u32, size: u64) -> Result<PacketFile, StageError> {
    let out = system.folder.join("out");
    std::fs::create_dir_all(&out).doing("making a folder")?;
    let outside = system.folder.join(format!("{name}.edxml"));
    let packet = write_packet(&outside, number, size)?;
    let inside = out.join(format!("{name}.edxml"));
    std::fs::rename(&outside, &inside).doing("dropping a packet")?;
    Ok(packet)
}

async fn accepted(system: &Connected, name: &str) -> Result<(), StageError> {
    match folders::answer(system, name).await? {
        Answered::Receipt(_) => Ok(()),
        Answered::Refusal(refusal) => Err(StageError(format!("{name} was refused: {refusal}"))),
    }
}

/// Waits until a packet with these bytes lies among the documents received; gives how many do.
async fn arrived(system: &Connected, packet: &PacketFile) -> Result<usize, StageError> {
    let folder = system.folder.join("in");
    until("the document to arrive", async || {
        let there = packets(&folder).into_iter().filter_map(|path| {
            let size = std::fs::metadata(&path).ok()?.len();
            (size == packet.size).then_some(path)
        });
        let same = there.filter_map(|path| PacketFile::open(&path).ok());
        let same = same.filter(|found| found.sha256 == packet.sha256).count();
        (same > 0).then_some(same)
    })
    .await
}

fn packets(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "edxml"));
    paths
}

/// Whether the store has the object of a body.
fn is_stored(stage: &Stage, sha256: Sha256) -> bool {
    let hex = sha256.to_string();
    let mut folders = vec![stage.config.bodies.dir.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path
                .file_name()
                .is_some_and(|name| name.to_string_lossy() == hex.as_str())
            {
                return true;
            }
        }
    }
    false
}

fn client(stage: &Stage, system: &Connected) -> Result<BodyClient, StageError> {
    let config = BodyClientConfig::new(&stage.bodies_url(), system.id.clone(), &system.password);
    BodyClient::new(config, Arc::new(SystemRandom::default())).doing("making a client of bodies")
}

/// A figure of a process, in KB: `VmRSS`, `RssAnon`, `VmHWM`.
fn memory_kb(process: &Process, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap_or_default();
    let line = status
        .lines()
        .find(|line| line.starts_with(what))
        .unwrap_or_default();
    let figure = line.split_whitespace().nth(1).unwrap_or_default();
    figure.parse().unwrap_or(0)
}

#[test]
fn a_document_of_200_megabytes_goes_from_folder_to_folder() {
    play(async {
        let set = stage("bodies-large", "").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let hub = stage.start_hub(None)?;
        let adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(recipient, None)?,
        ];
        // Everything is warm, and has passed once, before it is measured.
        let first = send(sender, "first", 1, SMALL)?;
        accepted(sender, "first").await?;
        arrived(recipient, &first).await?;
        let before = memory_kb(&hub, "RssAnon");
        let adapters_before: Vec<u64> = adapters.iter().map(|one| memory_kb(one, "RssAnon")).collect();

        let begun = SystemClock.now();
        let packet = send(sender, "large", 2, LARGE)?;
        let mut most = before;
        let mut adapters_most = adapters_before.clone();
        let folder = recipient.folder.join("in");
        let mut look = || {
            most = most.max(memory_kb(&hub, "RssAnon"));
            for (most, adapter) in adapters_most.iter_mut().zip(&adapters) {
                *most = (*most).max(memory_kb(adapter, "RssAnon"));
            }
        };
        // Two waits: on a busy machine an unoptimised build takes a minute for all of it.
        until("the answer about the large document", async || {
            look();
            folders::answered(sender, "large").map(|_| ())
        })
        .await?;
        until("the large document to arrive", async || {
            look();
            let sizes = packets(&folder)
                .into_iter()
                .filter_map(|path| std::fs::metadata(path).ok());
            sizes
                .map(|metadata| metadata.len())
                .any(|size| size == packet.size)
                .then_some(())
        })
        .await?;
        let took = SystemClock.now().duration_since(begun);
        accepted(sender, "large").await?;
        check(arrived(recipient, &packet).await? == 1, || {
            "it came more than once".to_owned()
        })?;
        all_taken(&stage.ledger().await?).await?;
        let growth = most.saturating_sub(before);
        println!(
            "a document of {} bytes: {took:#} from folder to folder; anonymous memory of the hub {before} KB, at most \
             {growth} KB more while it passed; of the adapters {adapters_before:?} KB, at most {adapters_most:?} KB",
            packet.size
        );
        check(growth <= GROWTH_MAX_KB, || format!("the hub grew by {growth} KB"))?;

        let ledger = stage.ledger().await?;
        let kept = ledger.body(packet.sha256).await.doing("asking for a body")?;
        check(kept.is_some_and(|body| body.here().is_none()), || {
            "its bytes are in the ledger".to_owned()
        })?;
        // Who has nothing to do with it cannot fetch it, nor learn that it is there.
        let stranger = stage
            .systems
            .values()
            .find(|system| ![SENDER, RECIPIENT].contains(&system.id.as_str()))
            .ok_or_else(|| StageError("no third system on the stage".to_owned()))?;
        let to = stage.dir.join("stolen");
        let fetched = client(stage, stranger)?
            .download(packet.sha256, packet.size, &to, None)
            .await;
        let refused = matches!(&fetched, Err(BodyTransferError::Refused(problem)) if problem.code == BodyProblemCode::BodyUnknown);
        check(refused && !to.exists(), || format!("a stranger got {fetched:?}"))
    });
}

#[test]
fn killed_between_upload_record_and_fetch_it_arrives_once() {
    play(async {
        let set = stage("bodies-kills", "").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let mut hub = stage.start_hub(None)?;
        let mut adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(recipient, None)?,
        ];
        for (number, (who, step)) in (10..).zip([
            ("sender", "adapter-uploaded:1"),
            ("hub", "body-pinned:1"),
            ("hub", "committed:1"),
            ("recipient", "adapter-fetched:1"),
            ("recipient", "adapter-stored:1"),
        ]) {
            let name = format!("killed-{number}");
            let start = |crash_at: Option<&str>| match who {
                "hub" => stage.start_hub(crash_at),
                "sender" => stage.start_adapter(sender, crash_at),
                _ => stage.start_adapter(recipient, crash_at),
            };
            let process = match who {
                "hub" => &mut hub,
                "sender" => &mut adapters[0],
                _ => &mut adapters[1],
            };
            process.stop()?;
            *process = start(Some(step))?;
            let packet = send(sender, &name, number, SMALL)?;
            until(&format!("{who} to die at {step}"), async || {
                process.ended().ok().flatten()
            })
            .await?;
            *process = start(None)?;
            accepted(sender, &name).await?;
            let came = arrived(recipient, &packet).await?;
            all_taken(&stage.ledger().await?).await?;
            check(came == 1, || format!("killed at {step} it came {came} times"))?;
            println!("{who} killed at {step}: accepted once, arrived once");
        }
        // Nothing of what was fetched stays beside what was stored.
        let left = packets(&recipient.folder.join("state").join("bodies"));
        check(left.is_empty(), || format!("left behind: {left:?}"))
    });
}

/// A connection under a system's own account that submits documents apart and reads what is answered.
async fn submit(
    stage: &Stage,
    system: &Connected,
    named: BodyReference,
    body: &[u8],
) -> Result<Option<RefusalCode>, StageError> {
    let broker = stage.connect(system).await?;
    let publisher = broker.publisher().await.doing("opening a channel")?;
    let mut inbox = broker
        .consume(&truc_model::wire::inbox(&system.id), 10, "scenario")
        .await
        .doing("reading an inbox")?;
    let message_id = MessageId::new(SystemRandom::default().uuid_v7(SystemClock.now()));
    let claims = Claims {
        iss: system.id.clone(),
        jti: message_id,
        iat: SystemClock.now(),
        sha256: named.sha256,
        size: named.size,
    };
    let seal = seal::make(&stage.sealing_key(system)?, &claims).doing("sealing")?;
    let properties = Properties {
        kind: Some("document".to_owned()),
        message_id: Some(message_id.to_string()),
        user_id: Some(system.id.to_string()),
        ..Properties::default()
    };
    let message = OutMessage {
        exchange: SUBMIT_EXCHANGE.to_owned(),
        routing_key: "document".to_owned(),
        properties: properties
            .with(header::SEAL, seal)
            .with(header::BODY, named.to_string()),
        body: Arc::from(body),
    };
    let confirming = publisher.publish(message).await.doing("publishing")?;
    let _kept: Confirmed = confirming.await.doing("awaiting the confirm")?;
    let waiting = async {
        while let Some(delivery) = inbox.next().await {
            let (message, settlement) = delivery.into_parts();
            let answers = message.properties.correlation_id == Some(message_id.to_string());
            let kind = message.properties.kind.as_deref().and_then(Outgoing::from_word);
            settlement.ack().await.doing("settling")?;
            match (answers, kind) {
                (true, Some(Outgoing::Receipt)) => return Ok(None),
                (true, Some(Outgoing::Refusal)) => {
                    let refusal: truc_model::wire::RefusalAnswer =
                        serde_json::from_slice(&message.body).doing("reading a refusal")?;
                    return Ok(Some(refusal.code));
                }
                _ => {}
            }
        }
        Err(StageError("the inbox ended".to_owned()))
    };
    let answer = tokio::time::timeout(truc_server::demo::stage::PATIENCE, waiting).await;
    broker.close().await;
    answer.map_err(|_| StageError("no answer".to_owned()))?
}

#[test]
fn a_body_is_its_uploaders_alone_and_goes_with_a_recall() {
    play(async {
        let set = stage("bodies-own", "quota_bytes = 16777216\nmax_body_bytes = 8388608").await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        let mut hub = stage.start_hub(None)?;
        let packet = write_packet(&stage.dir.join("a.edxml"), 30, SMALL)?;
        let named = BodyReference {
            sha256: packet.sha256,
            size: packet.size,
        };
        let expect = async |what: &str, named, body: &[u8], code: Option<RefusalCode>| {
            let found = submit(stage, sender, named, body).await?;
            check(found == code, || format!("{what}: {found:?} instead of {code:?}"))
        };
        expect("not uploaded", named, b"", Some(RefusalCode::BodyMissing)).await?;
        // Another system's upload is no proof of having the bytes.
        let theirs = client(stage, recipient)?;
        theirs
            .upload(&packet.path, packet.sha256, packet.size, None)
            .await
            .doing("uploading")?;
        expect("uploaded by another", named, b"", Some(RefusalCode::BodyMissing)).await?;
        let own = client(stage, sender)?;
        own.upload(&packet.path, packet.sha256, packet.size, None)
            .await
            .doing("uploading")?;
        let longer = BodyReference {
            size: named.size + 1,
            ..named
        };
        expect("another size", longer, b"", Some(RefusalCode::BodySizeDiffers)).await?;
        expect(
            "bytes beside it",
            named,
            b"x",
            Some(RefusalCode::BodyReferenceUnfit),
        )
        .await?;
        expect("as it must be", named, b"", None).await?;

        // What is refused before it is sent: larger than a body may be.
        let large = write_packet(&stage.dir.join("b.edxml"), 31, 9 << 20)?;
        let refused = own.upload(&large.path, large.sha256, large.size, None).await;
        let too_large = matches!(&refused, Err(BodyTransferError::Refused(problem)) if problem.code == BodyProblemCode::BodyTooLarge);
        check(too_large, || format!("too large a body: {refused:?}"))?;
        // And what would exceed the quota of bodies that no message names: the one that was submitted does not count.
        let mut last = None;
        for number in 0..3 {
            let more = write_packet(&stage.dir.join(format!("q{number}.edxml")), 40 + number, 6 << 20)?;
            last = own.upload(&more.path, more.sha256, more.size, None).await.err();
            if last.is_some() {
                check(number == 2, || format!("the quota ended at upload {number}"))?;
            }
        }
        let over = matches!(&last, Some(BodyTransferError::Refused(problem)) if problem.code == BodyProblemCode::QuotaExceeded);
        check(over, || format!("beyond the quota: {last:?}"))?;

        // The recipient's own upload of the same bytes goes first: it was never submitted, and would keep them.
        check(is_stored(stage, packet.sha256), || {
            "the object is not where it should be".to_owned()
        })?;
        hub.stop()?;
        hub = stage.start_hub(Some("body-leaving:1"))?;
        let mut adapter = stage.start_adapter(sender, None)?;
        let mut receiving = stage.start_adapter(recipient, None)?;
        let second = send(sender, "second", 32, SMALL)?;
        accepted(sender, "second").await?;
        arrived(recipient, &second).await?;
        all_taken(&stage.ledger().await?).await?;
        let draft = Draft::letter(ENVIRONMENT, &[DISTRICT], 32, SystemClock.today());
        let recall = recall_of(&draft);
        folders::send(sender, "recall", &recall)?;
        accepted(sender, "recall").await?;
        until("the hub to die between commit and deletion", async || {
            hub.ended().ok().flatten()
        })
        .await?;
        check(is_stored(stage, second.sha256), || {
            "deleted before the hub died".to_owned()
        })?;
        hub = stage.start_hub(None)?;
        until("the object to be deleted", async || {
            (!is_stored(stage, second.sha256)).then_some(())
        })
        .await?;
        let ledger = stage.ledger().await?;
        until("the ledger to know", async || {
            ledger.leaving_bodies().await.ok()?.is_empty().then_some(())
        })
        .await?;
        let fetched = own
            .download(second.sha256, second.size, &stage.dir.join("gone"), None)
            .await;
        check(fetched.is_err(), || "a recalled body can be fetched".to_owned())?;
        for process in [&mut adapter, &mut receiving, &mut hub] {
            process.stop()?;
        }
        Ok(())
    });
}

/// A recall (*thu hồi*) of the letter, for all it went to.
fn recall_of(draft: &Draft<'_>) -> Vec<u8> {
    let order = Draft {
        number: draft.number + 1000,
        ..draft.clone()
    };
    let reading = read(&order.packet(), &Limits::default());
    let Ok(Packet::Document(document)) = reading.map(|reading| reading.packet) else {
        return Vec::new();
    };
    let mut packet = *document;
    packet.business.operation = Operation::Recall;
    packet.business.document_id = Some(draft.document_id());
    packet.business.reason = Some("Ban hành nhầm".to_owned());
    packet.attachments = Vec::new();
    write_document(&packet, &[])
}
