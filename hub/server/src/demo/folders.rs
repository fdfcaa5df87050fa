//! The folders of the stage's adapters, looked at from outside as an agency's program would: files only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use truc_model::Sha256;

use super::stage::{Connected, Doing, StageError, until};

/// How a submission was answered.
#[derive(Debug, Clone)]
pub enum Answered {
    /// The receipt.
    Receipt(Value),
    /// The refusal.
    Refusal(Value),
}

/// Drops a packet into `out/`: written under a hidden name, then renamed, as the adapter asks.
///
/// # Errors
/// [`StageError`] when the file cannot be written.
pub fn send(system: &Connected, name: &str, packet: &[u8]) -> Result<(), StageError> {
    drop_file(&system.folder.join("out"), &format!("{name}.edxml"), packet)
}

/// Drops a report into `status/`.
///
/// # Errors
/// [`StageError`] when the file cannot be written.
pub fn report(system: &Connected, name: &str, text: &str) -> Result<(), StageError> {
    drop_file(
        &system.folder.join("status"),
        &format!("{name}.toml"),
        text.as_bytes(),
    )
}

fn drop_file(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), StageError> {
    std::fs::create_dir_all(folder).doing("making a folder")?;
    let hidden = folder.join(format!(".{name}.part"));
    std::fs::write(&hidden, bytes).doing("writing a file")?;
    std::fs::rename(&hidden, folder.join(name)).doing("renaming a file")
}

/// How the packet dropped as `name` was answered, when it was.
#[must_use]
pub fn answered(system: &Connected, name: &str) -> Option<Answered> {
    let json = |folder: &str| read_json(&system.folder.join(folder).join(format!("{name}.json")));
    json("receipts")
        .map(Answered::Receipt)
        .or_else(|| json("refused").map(Answered::Refusal))
}

/// Waits for the answer to the packet dropped as `name`.
///
/// # Errors
/// [`StageError`] when none comes.
pub async fn answer(system: &Connected, name: &str) -> Result<Answered, StageError> {
    until(&format!("the answer to {name} at {}", system.id), async || {
        answered(system, name)
    })
    .await
}

/// Waits for the receipt of the packet dropped as `name`.
///
/// # Errors
/// [`StageError`] when none comes, or a refusal does.
pub async fn receipt(system: &Connected, name: &str) -> Result<Value, StageError> {
    match answer(system, name).await? {
        Answered::Receipt(receipt) => Ok(receipt),
        Answered::Refusal(refusal) => Err(StageError(format!("{name} was refused: {refusal}"))),
    }
}

/// The side files of the documents that came, by path.
#[must_use]
pub fn arrivals(system: &Connected) -> Vec<(PathBuf, Value)> {
    jsons(&system.folder.join("in"))
}

/// Waits until a document came, and gives its side file's facts.
///
/// # Errors
/// [`StageError`] when it does not come.
pub async fn arrival(system: &Connected, document: &str) -> Result<Value, StageError> {
    until(&format!("document {document} at {}", system.id), async || {
        arrivals(system)
            .into_iter()
            .map(|(_, facts)| facts)
            .find(|facts| facts["document"] == document)
    })
    .await
}

/// Waits until a status about a document came back.
///
/// # Errors
/// [`StageError`] when it does not come.
pub async fn status(system: &Connected, document: &str, code: &str) -> Result<Value, StageError> {
    until(
        &format!("status {code} of {document} at {}", system.id),
        async || {
            statuses(system)
                .into_iter()
                .find(|facts| facts["document"] == document && facts["code"] == code)
        },
    )
    .await
}

/// All statuses that came back.
#[must_use]
pub fn statuses(system: &Connected) -> Vec<Value> {
    jsons(&system.folder.join("status-in"))
        .into_iter()
        .map(|(_, facts)| facts)
        .collect()
}

/// All notices that came.
#[must_use]
pub fn notices(system: &Connected) -> Vec<Value> {
    jsons(&system.folder.join("notices"))
        .into_iter()
        .map(|(_, facts)| facts)
        .collect()
}

/// What lies in `in/` is whole: every packet has its side file and the digest it names.
///
/// Gives how many packets there are of each (document, agency).
///
/// # Errors
/// [`StageError`] naming a packet that is not whole.
pub fn check_arrivals(system: &Connected) -> Result<BTreeMap<(String, String), u64>, StageError> {
    let mut seen = BTreeMap::new();
    for (path, facts) in arrivals(system) {
        let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
        let packet = path.with_file_name(text("packet"));
        let bytes = std::fs::read(&packet).doing(&format!("reading {}", packet.display()))?;
        if Sha256::of(&bytes).to_string() != text("sha256") {
            return Err(StageError(format!(
                "{} has other bytes than its side file says",
                packet.display()
            )));
        }
        for code in facts["to"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
        {
            *seen.entry((text("document"), code.to_owned())).or_insert(0) += 1;
        }
    }
    Ok(seen)
}

fn jsons(folder: &Path) -> Vec<(PathBuf, Value)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    paths.sort();
    paths
        .into_iter()
        .filter_map(|path| read_json(&path).map(|json| (path, json)))
        .collect()
}

fn read_json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&std::fs::read(path).ok()?).ok()
}

/// The hub's ids of all documents whose receipts came.
#[must_use]
pub fn receipts(system: &Connected) -> Vec<String> {
    jsons(&system.folder.join("receipts"))
        .into_iter()
        .filter(|(_, receipt)| receipt["receipt"] == "document")
        .filter_map(|(_, receipt)| receipt["document"].as_str().map(str::to_owned))
        .collect()
}
