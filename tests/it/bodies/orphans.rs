//! What nobody names is swept by a running hub when its time has come, and nothing else is. The hub runs in the test's
//! own process, so that its clock can be moved.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use truc_ledger::Ledger;
use truc_model::{ManualClock, SeededRandom};
use truc_server::app::App;
use truc_server::telemetry::chain;
use truc_tests::programs;

use super::*;

/// How old what nobody names may grow, in hours, as the configuration below says.
const HOURS: i64 = 1;

/// An unfinished upload of ten bytes of a hundred, as a client leaves it that never comes back.
async fn leaves_unfinished(stage: &Stage, system: &Connected) -> Result<Sha256, StageError> {
    let body = Sha256::of(b"what it would have been");
    let listen = stage.config.bodies.listen();
    let listen = listen.ok_or_else(|| StageError("no service of bodies".to_owned()))?;
    let login = STANDARD.encode(format!("{}:{}", system.id, system.password));
    let mut hub = TcpStream::connect(listen).await.doing("connecting")?;
    let request = format!(
        "PUT /bodies/{body} HTTP/1.1\r\nHost: hub\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\
         Content-Range: bytes 0-9/100\r\nContent-Length: 10\r\n\r\n0123456789"
    );
    hub.write_all(request.as_bytes()).await.doing("sending")?;
    let mut answer = String::new();
    hub.read_to_string(&mut answer).await.doing("reading an answer")?;
    check(answer.starts_with("HTTP/1.1 202"), || answer.clone())?;
    Ok(body)
}

fn staging(stage: &Stage, system: &Connected, body: Sha256) -> PathBuf {
    let folder = stage.config.bodies.dir.join("staging").join(system.id.as_str());
    folder.join(format!("{body}.100"))
}

/// The file of a body.
fn object(stage: &Stage, body: Sha256) -> PathBuf {
    let name = body.to_string();
    let objects = stage.config.bodies.dir.join("objects");
    objects.join(&name[..2]).join(&name[2..4]).join(&name)
}

/// Exit code and answer of `truc ledger verify`.
async fn verified(stage: &Stage, how: &str) -> Result<(Option<i32>, serde_json::Value), StageError> {
    let mut command = std::process::Command::new(programs()?.join("truc"));
    command
        .args(["ledger", "verify", how, "--json", "--config"])
        .arg(&stage.config_file);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.doing("running truc")?.doing("running truc")?;
    let told = serde_json::from_slice(&output.stdout);
    told.map(|told| (output.status.code(), told))
        .map_err(|_| StageError(String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Uploads a packet that nobody submits.
async fn uploaded(stage: &Stage, system: &Connected, number: u32) -> Result<PacketFile, StageError> {
    let path = stage.dir.join(format!("orphan-{number}.edxml"));
    let packet = write_packet(&path, number, SMALL)?;
    let own = client(stage, system)?;
    let sent = own.upload(&packet.path, packet.sha256, packet.size, None).await;
    sent.doing("uploading")?;
    Ok(packet)
}

async fn is_kept(ledger: &Ledger, packet: &PacketFile) -> Result<bool, StageError> {
    ledger
        .is_kept_apart(packet.sha256)
        .await
        .doing("asking the ledger")
}

#[test]
fn a_running_hub_sweeps_what_nobody_names_when_its_time_has_come() {
    play(async {
        // Workers for PDFs are the program itself, which is not `truc` here.
        let config =
            format!("sweep_s = 1\nunnamed_h = {HOURS}\nunfinished_h = {HOURS}\n[inspect]\npdf_workers = 0");
        let set = stage("bodies-orphans", &config).await?;
        let stage = &set.stage;
        let sender = stage.system(SENDER)?;
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let random = Arc::new(SeededRandom::new(7));
        let app = App::connect(stage.config.clone(), Arc::clone(&clock) as _, random).await;
        let (stop, stopping) = watch::channel(false);
        let running = tokio::spawn(app.doing("starting a hub")?.run(stopping));

        let orphan = uploaded(stage, sender, 50).await?;
        let named = uploaded(stage, sender, 51).await?;
        let unfinished = leaves_unfinished(stage, sender).await?;
        let reference = BodyReference {
            sha256: named.sha256,
            size: named.size,
        };
        let refused = submit(stage, sender, reference, b"").await?;
        check(refused.is_none(), || format!("refused: {refused:?}"))?;
        let ledger = stage.ledger().await?;
        check(is_kept(&ledger, &named).await?, || {
            "the ledger does not keep what was accepted".to_owned()
        })?;

        // A second before its time it stays.
        clock.advance(HOURS * 3600 - 1);
        let young = uploaded(stage, sender, 52).await?;
        check(is_stored(stage, orphan.sha256), || "swept too early".to_owned())?;
        clock.advance(1);
        until("the orphan to be swept", async || {
            (!is_stored(stage, orphan.sha256)).then_some(())
        })
        .await?;
        let left = staging(stage, sender, unfinished);
        until("the unfinished upload to be swept", async || {
            (!left.exists()).then_some(())
        })
        .await?;
        for (packet, what) in [(&named, "what the ledger keeps"), (&young, "a young one")] {
            check(is_stored(stage, packet.sha256), || format!("swept: {what}"))?;
        }
        // Named in time, it is no orphan when its hour comes.
        let reference = BodyReference {
            sha256: young.sha256,
            size: young.size,
        };
        let refused = submit(stage, sender, reference, b"").await?;
        check(refused.is_none(), || format!("refused: {refused:?}"))?;
        let last = uploaded(stage, sender, 53).await?;
        clock.advance(HOURS * 3600);
        until("the last orphan to be swept", async || {
            (!is_stored(stage, last.sha256)).then_some(())
        })
        .await?;
        check(is_stored(stage, young.sha256), || {
            "swept although the ledger keeps it".to_owned()
        })?;

        // Beside the running hub: both bodies that the ledger keeps are in the store, and whole.
        let (status, told) = verified(stage, "--bodies=read").await?;
        let apart = &told["apart"];
        check(
            status == Some(0) && apart["looked_at"] == 2 && apart["read"] == 2,
            || format!("{status:?}: {told}"),
        )?;
        std::fs::write(object(stage, named.sha256), b"a disk that failed").doing("damaging a body")?;
        let (status, told) = verified(stage, "--bodies").await?;
        let findings = told["findings"].to_string();
        check(
            status == Some(1) && findings.contains(&named.sha256.to_string()),
            || format!("{status:?}: {told}"),
        )?;

        stop.send_replace(true);
        let ended = running.await.doing("stopping the hub")?;
        ended.map_err(|error| StageError(chain(&error)))
    });
}
