//! `truc demo --packets DIR`: a folder of one's own packets, each sent by the system that serves its
//! sender, and what became of it.

use std::path::{Path, PathBuf};

use truc_envelope::Packet;
use truc_model::delivery::TransportStateName;
use truc_model::{Clock, SystemClock};

use super::Teller;
use super::evidence::Evidence;
use super::folders::{self, Answered};
use super::stage::{Connected, Doing, Stage, StageError, until};

/// Most packets taken from the folder.
const PACKETS_MAX: usize = 10_000;

/// Sends the packets and tells what became of each.
///
/// # Errors
/// [`StageError`] when the folder cannot be read or no answer comes.
pub(super) async fn play(stage: &Stage, folder: &Path, teller: &Teller) -> Result<Evidence, StageError> {
    let mut hub = stage.start_hub(None)?;
    let mut adapters = Vec::new();
    for system in stage.systems.values() {
        adapters.push(stage.start_adapter(system, None)?);
    }
    teller.step(
        "Gửi các gói tin trong thư mục",
        "sending the packets of the folder",
    );
    teller.say(&format!("    {}", folder.display()));
    let packets = packets(folder)?;
    if packets.is_empty() {
        return Err(StageError(format!("no *.edxml or *.xml in {}", folder.display())));
    }
    let directory = stage.directory().await?;
    let today = SystemClock.today();
    let gateway = stage.system("truc-quoc-gia")?;
    let mut sent: Vec<(String, &Connected)> = Vec::new();
    for (name, path) in &packets {
        let bytes = std::fs::read(path).doing(&format!("reading {}", path.display()))?;
        // Unreadable packets go by the gateway, too: the hub's answer to them is what one wants to see.
        let system = truc_envelope::read(&bytes, &truc_envelope::Limits::default())
            .ok()
            .map(|reading| match &reading.packet {
                Packet::Document(document) => document.from.organ_id.clone(),
                Packet::Status(status) => status.from.organ_id.clone(),
            })
            .and_then(|code| {
                let party = directory.resolve(&code, today).party(&code);
                directory
                    .system_of(&party, today)
                    .and_then(|id| stage.system(id.as_str()).ok())
            })
            .unwrap_or(gateway);
        folders::send(system, name, &bytes)?;
        sent.push((name.clone(), system));
    }
    for (name, system) in &sent {
        match folders::answer(system, name).await? {
            Answered::Receipt(receipt) => {
                let recipients = receipt["recipients"].as_array().map_or_else(
                    || receipt["effect"].as_str().unwrap_or_default().to_owned(),
                    |lines| {
                        let words: Vec<String> = lines
                            .iter()
                            .map(|line| {
                                let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
                                let state = TransportStateName::ALL
                                    .into_iter()
                                    .find(|known| known.as_str() == text("state"))
                                    .map_or_else(|| text("state"), |known| known.label_vi().to_owned());
                                let cause = Some(text("cause"))
                                    .filter(|cause| !cause.is_empty())
                                    .map_or_else(String::new, |cause| format!(" ({cause})"));
                                format!("{} {}{cause}", text("code"), state.to_lowercase())
                            })
                            .collect();
                        words.join("; ")
                    },
                );
                let warnings: Vec<&str> = receipt["warnings"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|warning| warning["code"].as_str())
                    .collect();
                teller.fact(&format!("{name} ({}): {recipients}", system.id));
                if !warnings.is_empty() {
                    teller.lines(&format!("cảnh báo (warnings): {}", warnings.join(", ")));
                }
            }
            Answered::Refusal(refusal) => {
                let text = |key: &str| refusal[key].as_str().unwrap_or_default().to_owned();
                teller.refusal(&format!(
                    "{name} ({}): {}. {}",
                    system.id,
                    text("code"),
                    refusal["message"]["vi"].as_str().unwrap_or_default()
                ));
                teller.lines(&format!(
                    "cần (expected): {}; gặp (found): {}",
                    text("expected"),
                    text("found")
                ));
            }
        }
    }
    let ledger = stage.ledger().await?;
    until("every delivery that can be taken to be taken", async || {
        let counts = ledger.inbox_counts().await.ok()?;
        counts
            .iter()
            .all(|count| count.scheduled + count.leased + count.forwarded == 0)
            .then_some(())
    })
    .await?;
    teller.say("");
    for adapter in &mut adapters {
        adapter.stop()?;
    }
    hub.stop()?;
    Evidence::gather(stage, &ledger).await
}

/// The packets of a folder by name, without their endings.
fn packets(folder: &Path) -> Result<Vec<(String, PathBuf)>, StageError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)
        .doing(&format!("reading {}", folder.display()))?
        .take(PACKETS_MAX)
    {
        let path = entry.doing(&format!("reading {}", folder.display()))?.path();
        let ending = path
            .extension()
            .and_then(|ending| ending.to_str())
            .unwrap_or_default();
        if matches!(ending, "edxml" | "xml")
            && let Some(stem) = path.file_stem().and_then(|stem| stem.to_str())
        {
            found.push((stem.to_owned(), path.clone()));
        }
    }
    found.sort();
    Ok(found)
}
