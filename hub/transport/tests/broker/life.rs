//! A private node does not outlive its parent, however the parent ends.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};

use crate::world::{here, until};

/// Set for the process that is to be killed: the directory of its node.
const PARENT_IN: &str = "TRUC_TEST_PARENT_IN";

/// In the process that is to be killed this is the parent: it starts a node, says so, and waits. In
/// every other process it has nothing to do.
#[tokio::test]
async fn as_parent() {
    let Some(dir) = std::env::var_os(PARENT_IN) else {
        return;
    };
    let node = PrivateNode::start(PrivateNodeConfig::new(dir)).await.unwrap();
    println!("standing {}", node.describe());
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn no_process_is_left_when_the_parent_is_killed() {
    let dir = here().join(format!("{}-orphan", std::process::id()));
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "life::as_parent", "--nocapture"])
        .env(PARENT_IN, &dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(parent.stdout.take().unwrap());
    let standing = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("standing"));
    assert!(standing, "the node did not start");
    let before = processes_of(&dir);
    for program in ["beam.smp", "epmd", "sh"] {
        assert!(before.iter().any(|name| name == program), "{program}: {before:?}");
    }
    parent.kill().unwrap();
    parent.wait().unwrap();
    until("no process of the node is left", async || {
        processes_of(&dir).is_empty()
    })
    .await;
    std::fs::remove_dir_all(dir).unwrap();
}

#[tokio::test]
async fn no_process_is_left_when_the_node_is_dropped() {
    let dir = here().join(format!("{}-dropped", std::process::id()));
    let node = PrivateNode::start(PrivateNodeConfig::new(&dir)).await.unwrap();
    assert!(!processes_of(&dir).is_empty());
    drop(node);
    until("no process of the node is left", async || {
        processes_of(&dir).is_empty()
    })
    .await;
    std::fs::remove_dir_all(dir).unwrap();
}

/// The names of the processes whose environment names the directory as their home: all of a node's.
fn processes_of(dir: &Path) -> Vec<String> {
    let home = format!("HOME={}", dir.display());
    let mut names = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        // Processes come and go, and not all may be looked into.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else {
            continue;
        };
        if environment
            .split(|byte| *byte == 0)
            .any(|pair| pair == home.as_bytes())
        {
            let name = std::fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            names.push(name.trim().to_owned());
        }
    }
    names
}
