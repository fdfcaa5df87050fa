//! The demo itself, and the demo on a folder of one's own packets.

use std::process::Command;

use truc_server::demo::stage::{Doing, StageError};
use truc_tests::{check, play, programs, root};

fn demo(args: &[&str]) -> Result<(bool, String), StageError> {
    let output = Command::new(programs()?.join("truc"))
        .arg("demo")
        .args(args)
        .output()
        .doing("running the demo")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    print!("{text}");
    eprint!("{}", String::from_utf8_lossy(&output.stderr));
    Ok((output.status.success(), text))
}

#[test]
fn the_demo_balances() {
    play(async {
        let (success, text) = tokio::task::spawn_blocking(|| demo(&[]))
            .await
            .doing("running the demo")??;
        check(success, || "the demo failed".to_owned())?;
        let last = text.lines().last().unwrap_or_default();
        check(
            last.starts_with("balance: accepted=") && last.ends_with("lost=0 duplicated=0"),
            || last.to_owned(),
        )?;
        // What it must have shown, by the codes in its text.
        for shown in [
            "message-id-conflict",
            "seal-body-mismatch",
            "seal-missing",
            "sender-not-served",
            "kill -9",
        ] {
            check(text.contains(shown), || format!("the demo did not show {shown}"))?;
        }
        Ok(())
    });
}

#[test]
fn a_folder_of_own_packets() {
    play(async {
        let mut folders = vec![
            root().join("tests/documents/strict"),
            root().join("tests/documents/warnings"),
            root().join("tests/documents/refusals"),
        ];
        let samples = root().join("../shared/samples/edxml");
        if samples.is_dir() {
            folders.push(samples);
        } else {
            println!("SKIPPED: the optional samples are not beside the project");
        }
        for folder in folders {
            let path = folder.display().to_string();
            let (success, text) = tokio::task::spawn_blocking(move || demo(&["--packets", &path]))
                .await
                .doing("running the demo")??;
            check(success, || format!("the demo failed on {}", folder.display()))?;
            let last = text.lines().last().unwrap_or_default();
            check(last.ends_with("lost=0 duplicated=0"), || last.to_owned())?;
        }
        Ok(())
    });
}
