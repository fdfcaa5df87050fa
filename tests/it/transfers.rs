//! Bodies sent and fetched by the SDK's client through the service of a hub in a process of its own, whose logins a
//! real RabbitMQ judges; the hub is killed in the middle.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use truc_adapter_sdk::bodies::{OnProgress, digest_of};
use truc_adapter_sdk::{Backoff, BodyClient, BodyClientConfig, BodyTransferError};
use truc_model::{BodyProblemCode, Clock as _, Random as _, SeededRandom, Sha256, SystemClock};
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError};
use truc_tests::{Set, check, play, set};

use crate::python;

/// Bytes of the bodies that are cut: some seconds' worth on a slow machine.
const SIZE: usize = 24 * 1024 * 1024;

/// A stage whose hub serves bodies on a port that was free a moment ago.
async fn serving(name: &str) -> Result<(Set, String), StageError> {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|free| free.local_addr())
        .doing("looking for a free port")?;
    let config = format!("[bodies]\nlisten = \"{port}\"\ndisk_floor_mb = 0\nidle_s = 2");
    Ok((set(name, &config).await?, format!("http://{port}")))
}

fn client(url: &str, system: &Connected, password: &str) -> Result<BodyClient, StageError> {
    let mut config = BodyClientConfig::new(url, system.id.clone(), password);
    config.backoff = Backoff {
        min: Duration::from_millis(20),
        max: Duration::from_millis(500),
    };
    BodyClient::new(config, Arc::new(SeededRandom::new(1))).doing("preparing a client")
}

fn file(dir: &Path, name: &str) -> Result<std::path::PathBuf, StageError> {
    let mut bytes = vec![0; SIZE];
    SeededRandom::new(u64::try_from(name.len()).unwrap_or(0)).fill(&mut bytes);
    let path = dir.join(name);
    std::fs::write(&path, bytes).doing("writing a body")?;
    Ok(path)
}

fn refused_with(outcome: Result<(), BodyTransferError>, code: BodyProblemCode) -> Result<(), StageError> {
    match outcome {
        Err(BodyTransferError::Refused(problem)) if problem.code == code => Ok(()),
        other => Err(StageError(format!("expected {code}, found {other:?}"))),
    }
}

/// Tells when a transfer is about half across.
fn half(size: u64) -> (OnProgress, Arc<AtomicBool>) {
    let reached = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&reached);
    let progress: OnProgress = Arc::new(move |progress| {
        if progress.done >= size / 2 {
            seen.store(true, Ordering::SeqCst);
        }
    });
    (progress, reached)
}

async fn reached(flag: &AtomicBool) {
    while !flag.load(Ordering::SeqCst) {
        tokio::task::yield_now().await;
    }
}

#[test]
fn a_body_survives_a_hub_that_is_killed_while_it_comes_and_while_it_goes() {
    play(async {
        let (set, url) = serving("transfers").await?;
        let stage: &Stage = &set.stage;
        let system = stage.system("so-tnmt")?;
        let path = file(&stage.dir, "large.edxml")?;
        let (body, size) = digest_of(&path).doing("reading the body")?;
        let sender = client(&url, system, &system.password)?;

        let mut hub = stage.start_hub(None)?;
        let (progress, flag) = half(size);
        let (from, uploading) = (path.clone(), sender.clone());
        let upload = tokio::spawn(async move { uploading.upload(&from, body, size, Some(progress)).await });
        reached(&flag).await;
        hub.kill()?;
        println!("killed while the body came");
        let mut hub = stage.start_hub(None)?;
        upload.await.doing("uploading")?.doing("uploading")?;
        // Once more costs nothing.
        sender
            .upload(&path, body, size, None)
            .await
            .doing("uploading again")?;

        let to = stage.dir.join("fetched.edxml");
        let (progress, flag) = half(size);
        let (into, fetching) = (to.clone(), sender.clone());
        let download =
            tokio::spawn(async move { fetching.download(body, size, &into, Some(progress)).await });
        reached(&flag).await;
        hub.kill()?;
        println!("killed while the body went");
        let _hub = stage.start_hub(None)?;
        download.await.doing("downloading")?.doing("downloading")?;
        let (fetched, _) = digest_of(&to).doing("reading what came")?;
        check(fetched == body, || "other bytes came back".to_owned())
    });
}

#[test]
fn the_broker_says_who_may_send_and_a_stranger_gets_nothing() {
    play(async {
        let (set, url) = serving("logins").await?;
        let stage = &set.stage;
        let (system, other) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
        let _hub = stage.start_hub(None)?;
        let path = stage.dir.join("small.edxml");
        std::fs::write(&path, b"a body").doing("writing a body")?;
        let (body, size) = digest_of(&path).doing("reading the body")?;

        // The client waits for a hub that is just starting.
        let sender = client(&url, system, &system.password)?;
        sender.upload(&path, body, size, None).await.doing("uploading")?;

        let wrong = client(&url, other, "not its password")?;
        let outcome = wrong.upload(&path, body, size, None).await;
        refused_with(outcome, BodyProblemCode::CredentialsRefused)?;
        let stolen = client(&url, other, &system.password)?;
        let outcome = stolen.upload(&path, body, size, None).await;
        refused_with(outcome, BodyProblemCode::CredentialsRefused)?;

        let stranger = client(&url, other, &other.password)?;
        let to = stage.dir.join("stolen.edxml");
        let outcome = stranger.download(body, size, &to, None).await;
        refused_with(outcome, BodyProblemCode::BodyUnknown)?;
        check(!to.exists(), || "a stranger has the body".to_owned())
    });
}

/// How far the upload under way is, by the hub's own file.
fn staged(stage: &Stage, system: &Connected) -> u64 {
    let folder = stage.config.bodies.dir.join("staging").join(system.id.as_str());
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|entry| entry.metadata().ok())
        .map(|file| file.len())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_python_client_goes_on_with_an_upload_that_a_killed_hub_cut() {
    play(async {
        let (set, url) = serving("transfers-python").await?;
        let stage: &Stage = &set.stage;
        let (sender, recipient) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
        let mut hub = stage.start_hub(None)?;
        let _adapter = stage.start_adapter(recipient, None)?;
        let from = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
        let to = [("000.00.34.H60", "UBND huyện Hàm Yên")];
        let letter = Draft::letter(from, &to, 77, SystemClock.today());
        let packet = Draft {
            filler: 2 * SIZE,
            ..letter
        }
        .packet();
        let path = stage.dir.join("python-large.edxml");
        std::fs::write(&path, &packet).doing("writing a packet")?;

        let mut send = python::client(stage, sender, "send")?;
        send.arg("--packet")
            .arg(&path)
            .arg("--key")
            .arg(&sender.key_file)
            .arg("--cert")
            .arg(&sender.certificate_file)
            .args(["--bodies", &url, "--timeout", "120"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut sending = send.spawn().doing("starting the client")?;
        let quarter = u64::try_from(packet.len() / 4).unwrap_or(u64::MAX);
        // Looked at without a rest: all of it takes half a second.
        let cut = loop {
            match staged(stage, sender) {
                staged if staged >= quarter => break staged,
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
            if let Some(ended) = sending.try_wait().doing("waiting for the client")? {
                return Err(StageError(format!("the client ended before, with {ended}")));
            }
        };
        hub.kill()?;
        let left = staged(stage, sender);
        println!(
            "killed when {cut} of {} bytes were across, {left} are left",
            packet.len()
        );
        let _hub = stage.start_hub(None)?;

        let ended = tokio::task::spawn_blocking(move || sending.wait_with_output())
            .await
            .doing("waiting for the client")?
            .doing("waiting for the client")?;
        let told = String::from_utf8_lossy(&ended.stderr).into_owned();
        check(ended.status.success(), || told.clone())?;
        check(left > 0 && told.contains(&format!("\"from\": {left}")), || {
            format!("it did not go on from {left}:\n{told}")
        })?;
        let receipt: serde_json::Value =
            serde_json::from_slice(&ended.stdout).doing("reading the receipt")?;
        let document = receipt["document"].as_str().unwrap_or_default();
        let arrived = folders::arrival(recipient, document).await?;
        let sha256 = Sha256::of(&packet).to_string();
        check(arrived["sha256"] == sha256, || {
            format!("other bytes arrived: {arrived}")
        })
    });
}
