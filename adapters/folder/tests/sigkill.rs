//! Killed with SIGKILL at every kill point, in a process of its own; then started again.
//!
//! The broker of these tests lives in memory and dies with the adapter, so the second run puts everything into the
//! inbox again that the first one may not have settled, documents and receipts, as a broker would. The hub's
//! memory is a file: every submission of both runs is written down there before it is answered.

#![allow(clippy::unwrap_used, reason = "a panic is a failed test")]

mod tray;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};

use tray::{TO, Tray, document, recall, system};
use truc_adapter_sdk::model::wire::Outgoing;
use truc_adapter_sdk::model::{DeliveryUid, Sha256};
use truc_adapter_sdk::testing::{FakeHub, Reply};
use truc_folder::AutoArrived;
use truc_folder::layout::Layout;

const ORDER: &str = "01890a5d-ac96-774b-bcce-b302099a8058";
const DELIVERY: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Kill points that a packet sent passes, in order, and how often it passes them before.
const OUT: [&str; 9] = [
    "folder-named:1",
    "folder-moved:1",
    "adapter-submitted:1",
    "adapter-received:1",
    "folder-staged:1",
    "folder-handed-over:1",
    "adapter-answered:1",
    "adapter-journaled:1",
    "adapter-settled:1",
];

/// Those of a document received, whose two recipients are reported arrived.
const IN: [&str; 15] = [
    "adapter-received:1",
    "folder-staged:1",
    "folder-handed-over:1",
    "adapter-stored:1",
    "adapter-journaled:1",
    "adapter-taken:1",
    "adapter-settled:1",
    "adapter-submitted:1",
    "adapter-submitted:2",
    "adapter-received:2",
    "folder-staged:2",
    "folder-handed-over:3",
    "adapter-answered:1",
    "adapter-journaled:2",
    "adapter-settled:3",
];

/// Those of a dropped report.
const REPORT: [&str; 5] = [
    "folder-named:1",
    "folder-moved:1",
    "folder-report-made:1",
    "adapter-submitted:1",
    "adapter-answered:1",
];

/// Those of an order that overtakes its document: the order comes, the document is withdrawn, the order is done, and
/// then the document comes after all.
const RECALL: [&str; 8] = [
    "adapter-received:1",
    "adapter-withdrawn:1",
    "adapter-journaled:1",
    "adapter-taken:1",
    "adapter-taken:2",
    "adapter-settled:1",
    "adapter-journaled:2",
    "adapter-settled:2",
];

/// Those of a document that the adapter is given while the order is on its way: whatever was said is true.
const RACE: [&str; 7] = [
    "adapter-begun:1",
    "folder-staged:1",
    "folder-handed-over:1",
    "adapter-stored:1",
    "adapter-journaled:1",
    "adapter-taken:1",
    "adapter-settled:1",
];

#[test]
fn a_document_that_was_withdrawn_never_appears_wherever_it_is_killed() {
    for step in RECALL {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        Layout::create(&dir).unwrap();
        assert_eq!(child(&dir, "recall", Some(step)).signal(), Some(9), "{step}");
        assert_eq!(names(&dir.join("in")), [""; 0], "{step}");
        assert!(child(&dir, "recall", None).success(), "{step}");
        assert_eq!(names(&dir.join("in")), [""; 0], "{step}");
        let said = words(&dir);
        assert!(
            said.contains(&format!("withdrawn {DELIVERY}")),
            "{step}: {said:?}"
        );
        assert!(!said.contains(&format!("taken {DELIVERY}")), "{step}: {said:?}");
        assert!(said.contains(&format!("taken {ORDER}")), "{step}: {said:?}");
        assert_left_clean(&dir, step);
    }
}

#[test]
fn killed_while_it_is_handed_over_what_is_said_of_it_is_true() {
    for step in RACE {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        Layout::create(&dir).unwrap();
        assert_eq!(child(&dir, "in-quietly", Some(step)).signal(), Some(9), "{step}");
        // What a clerk could have seen before the next start.
        let seen = names(&dir.join("in")).contains(&format!("{DELIVERY}.edxml"));
        assert!(child(&dir, "recall", None).success(), "{step}");
        let said = words(&dir);
        let withdrawn = said.contains(&format!("withdrawn {DELIVERY}"));
        let there = names(&dir.join("in")).contains(&format!("{DELIVERY}.edxml"));
        assert!(!(seen && withdrawn), "{step}: seen, and said to be withdrawn");
        assert_eq!(there, !withdrawn, "{step}: {said:?}");
        assert_eq!(
            said.contains(&format!("taken {DELIVERY}")),
            !withdrawn,
            "{step}: {said:?}"
        );
        // Begun and nothing done of it: that one can still be withdrawn, and it is.
        assert_eq!(withdrawn, step == "adapter-begun:1", "{step}");
        // The order of something that is here is here too.
        assert_eq!(
            names(&dir.join("in")).contains(&format!("{ORDER}.txt")),
            there,
            "{step}"
        );
        assert_left_clean(&dir, step);
    }
}

#[test]
fn a_packet_sent_is_one_submission_wherever_it_is_killed() {
    for step in OUT {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        Layout::create(&dir).unwrap();
        fs::write(dir.join("out/a.edxml"), document("D1")).unwrap();
        killed_then_run(&dir, "out", step);
        assert_eq!(submissions(&dir).len(), 1, "{step}");
        assert_eq!(names(&dir.join("receipts")), ["a.json", "a.txt"], "{step}");
        assert_eq!(
            fs::read(dir.join("sent/a.edxml")).unwrap(),
            document("D1"),
            "{step}"
        );
        assert_left_clean(&dir, step);
    }
}

#[test]
fn a_document_received_appears_once_wherever_it_is_killed() {
    for step in IN {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        Layout::create(&dir).unwrap();
        let status = child(&dir, "in", Some(step));
        assert_eq!(status.signal(), Some(9), "{step}");
        // Another program takes the packet as soon as it is there.
        let first = taken_away(&dir);
        assert!(child(&dir, "in", None).success(), "{step}");
        let taken = [first, taken_away(&dir)].concat();
        assert_eq!(taken, [document("D1")], "{step}");
        // One 01 for each of the two recipients, each under one key with one body.
        assert_eq!(submissions(&dir).len(), 2, "{step}");
        assert_left_clean(&dir, step);
    }
}

#[test]
fn a_report_is_one_status_wherever_it_is_killed() {
    for step in REPORT {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        Layout::create(&dir).unwrap();
        assert!(child(&dir, "in-quietly", None).success());
        let report = format!("delivery = \"{DELIVERY}\"\nagency = \"H60.2.3\"\ncode = \"03\"\n");
        fs::write(dir.join("status/r.txt"), report).unwrap();
        killed_then_run(&dir, "report", step);
        assert_eq!(submissions(&dir).len(), 1, "{step}");
        assert_eq!(
            names(&dir.join("status/sent")),
            ["r.edxml", "r.json", "r.txt"],
            "{step}"
        );
        assert_left_clean(&dir, step);
    }
}

fn killed_then_run(dir: &Path, scene: &str, step: &str) {
    assert_eq!(child(dir, scene, Some(step)).signal(), Some(9), "{step}");
    assert!(child(dir, scene, None).success(), "{step}");
}

/// Runs [`scene`] in a process of its own, which dies at `step`.
fn child(dir: &Path, scene: &str, step: Option<&str>) -> ExitStatus {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "scene", "--test-threads=1"])
        .env("TRUC_TEST_DIR", dir)
        .env("TRUC_TEST_SCENE", scene)
        .env_remove("TRUC_CRASH_AT");
    if let Some(step) = step {
        command.env("TRUC_CRASH_AT", step);
    }
    command.output().unwrap().status
}

/// The process that is killed; run by itself it has nothing to do.
#[tokio::test]
async fn scene() {
    let (Ok(dir), Ok(scene)) = (std::env::var("TRUC_TEST_DIR"), std::env::var("TRUC_TEST_SCENE")) else {
        return;
    };
    let arrived = match scene.as_str() {
        "in" => AutoArrived::Report,
        _ => AutoArrived::LeaveToOthers,
    };
    let mut tray = Tray::at(dir.into(), arrived).await;
    let record = tray.dir.with_file_name("hub");
    let before = fs::read_to_string(&record).unwrap_or_default();
    for line in before.lines() {
        let (message_id, _) = line.split_once(' ').unwrap();
        tray.hub
            .send_receipt(&system(), message_id.parse().unwrap())
            .await;
    }
    tray.hub.reply(move |submitted| {
        let mut file = fs::File::options()
            .create(true)
            .append(true)
            .open(&record)
            .unwrap();
        writeln!(file, "{} {}", submitted.message_id, Sha256::of(&submitted.bytes)).unwrap();
        Reply::Accept
    });
    tray.start();
    match scene.as_str() {
        "out" => {
            FakeHub::until("sent", || {
                tray.path("sent/a.edxml").exists() && tray.sending() == 0
            })
            .await;
        }
        "report" => {
            FakeHub::until("reported", || {
                tray.path("status/sent/r.txt").exists() && tray.sending() == 0
            })
            .await;
        }
        "recall" => recall_overtakes(&tray).await,
        _ => {
            let delivery: DeliveryUid = DELIVERY.parse().unwrap();
            let to = ["H60.2.3", "H60.2.4"];
            tray.hub.deliver(&system(), delivery, &to, &document("D1")).await;
            FakeHub::until("taken", || {
                tray.hub.times_taken(delivery) == 1 && tray.sending() == 0
            })
            .await;
        }
    }
    FakeHub::until_async("settled", async || tray.hub.inbox_depth(&system()).await == 0).await;
    tray.stop().await;
    write_words(&tray);
}

/// The order, and once it is done the document that it takes back.
async fn recall_overtakes(tray: &Tray) {
    let (document_id, order): (DeliveryUid, DeliveryUid) =
        (DELIVERY.parse().unwrap(), ORDER.parse().unwrap());
    let message = tray
        .hub
        .delivery(Outgoing::Document, &system(), order, &TO, &recall());
    tray.hub.order(message, &[document_id], &[]).await;
    FakeHub::until("the order is done", || {
        write_words(tray);
        tray.hub.times_taken(order) > 0
    })
    .await;
    tray.hub
        .deliver(&system(), document_id, &TO, &document("D1"))
        .await;
    FakeHub::until("the document is done", || {
        write_words(tray);
        tray.hub.times_withdrawn(document_id, &[]) > 1 || tray.hub.times_taken(document_id) > 0
    })
    .await;
}

/// What the hub was told, in a file that outlives a kill.
fn write_words(tray: &Tray) {
    let mut said = String::new();
    for taken in tray.hub.taken() {
        taken
            .taken
            .iter()
            .for_each(|id| said.push_str(&format!("taken {id}\n")));
        let withdrawn = taken.withdrawn.iter();
        withdrawn.for_each(|word| said.push_str(&format!("withdrawn {}\n", word.delivery)));
    }
    let name = format!("words-{}", std::process::id());
    fs::write(tray.dir.with_file_name(name), said).unwrap();
}

/// The words of all runs.
fn words(dir: &Path) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in names(dir.parent().unwrap()) {
        if name.starts_with("words-") {
            let text = fs::read_to_string(dir.with_file_name(name)).unwrap();
            all.extend(text.lines().map(str::to_owned));
        }
    }
    all
}

/// What the hub was sent in both runs: one body for each key.
fn submissions(dir: &Path) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for line in fs::read_to_string(dir.with_file_name("hub")).unwrap().lines() {
        let (message_id, sha256) = line.split_once(' ').unwrap();
        let first = all
            .entry(message_id.to_owned())
            .or_insert_with(|| sha256.to_owned());
        assert_eq!(first, sha256, "one key, two bodies");
    }
    all
}

fn taken_away(dir: &Path) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    for name in names(&dir.join("in")) {
        let path = dir.join("in").join(&name);
        if name.ends_with(".edxml") {
            assert!(path.with_extension("json").exists(), "a packet without its facts");
            packets.push(fs::read(&path).unwrap());
            fs::remove_file(&path).unwrap();
            fs::remove_file(path.with_extension("json")).unwrap();
        }
    }
    packets
}

fn assert_left_clean(dir: &Path, step: &str) {
    for folder in ["out", "sending", "state/incoming", "refused", "status/refused"] {
        let left = fs::read_dir(dir.join(folder)).unwrap().count();
        assert_eq!(left, 0, "{step}: {folder}");
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
