//! A client in another language, written from `docs/` and `schemas/` alone: it sends a sealed document,
//! receives one, and reports a status.

use std::path::PathBuf;
use std::process::{Command, Output};

use truc_model::{Clock, SystemClock};
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError};
use truc_tests::{check, play, root, set};

/// Python with the client's requirements from PyPI, in an environment of its own below `target`.
fn python() -> Result<PathBuf, StageError> {
    // Two tests ask for it; the second must not clear what the first is still filling.
    static INSTALLING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = INSTALLING.lock();
    let requirements = root().join("tests/python/requirements.txt");
    let venv = root().join("target/python");
    let python = venv.join("bin/python");
    let stamp = venv.join("installed.txt");
    let wanted = std::fs::read(&requirements).doing("reading the requirements")?;
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements))?;
    std::fs::write(&stamp, &wanted).doing("noting what is installed")?;
    Ok(python)
}

pub(super) fn run(command: &mut Command) -> Result<Output, StageError> {
    let output = command.output().doing(&format!("running {command:?}"))?;
    check(output.status.success(), || {
        format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok(output)
}

pub(super) fn client(stage: &Stage, system: &Connected, verb: &str) -> Result<Command, StageError> {
    let mut command = Command::new(python()?);
    command
        .arg(root().join("tests/python/client.py"))
        .arg(verb)
        .args([
            "--broker",
            &stage.amqp_url(system),
            "--system",
            system.id.as_str(),
        ]);
    Ok(command)
}

fn draft(from: (&'static str, &'static str), to: (&str, &str), number: u32) -> Draft<'static> {
    Draft {
        notation: "PY-VP",
        ..Draft::letter(from, &[to], number, SystemClock.today())
    }
}

const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const DISTRICT: (&str, &str) = ("000.00.34.H60", "UBND huyện Hàm Yên");

#[test]
fn the_schemas_hold_for_full_validators() {
    play(async {
        let checked = tokio::task::spawn_blocking(|| {
            run(Command::new(python()?).arg(root().join("tests/python/check_schemas.py")))
        })
        .await
        .doing("checking the schemas")??;
        print!("{}", String::from_utf8_lossy(&checked.stdout));
        Ok(())
    });
}

#[test]
fn a_python_client_sends_receives_and_reports() {
    play(async {
        let set = set("python", "").await?;
        let stage = &set.stage;
        let (here, there) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
        let _hub = stage.start_hub(None)?;
        let _adapter = stage.start_adapter(there, None)?;

        let packet = stage.dir.join("python.edxml");
        std::fs::write(&packet, draft(ENVIRONMENT, DISTRICT, 1).packet()).doing("writing a packet")?;
        let mut send = client(stage, here, "send")?;
        send.arg("--packet")
            .arg(&packet)
            .arg("--key")
            .arg(&here.key_file)
            .arg("--cert")
            .arg(&here.certificate_file);
        let answer = tokio::task::spawn_blocking(move || run(&mut send))
            .await
            .doing("sending")??;
        let receipt: serde_json::Value =
            serde_json::from_slice(&answer.stdout).doing("reading the receipt")?;
        let document = receipt["document"].as_str().unwrap_or_default().to_owned();
        folders::arrival(there, &document).await?;
        println!("sent by Python, received by the folder adapter");

        folders::send(there, "to-python", &draft(DISTRICT, ENVIRONMENT, 2).packet())?;
        let receipt = folders::receipt(there, "to-python").await?;
        let document = receipt["document"].as_str().unwrap_or_default().to_owned();
        let inbox = stage.dir.join("python-inbox");
        let mut receive = client(stage, here, "receive")?;
        // The 01 of the document sent before comes, too.
        receive
            .arg("--out")
            .arg(&inbox)
            .args(["--count", "2", "--timeout", "60"]);
        tokio::task::spawn_blocking(move || run(&mut receive))
            .await
            .doing("receiving")??;
        let stored = std::fs::read_dir(&inbox)
            .doing("reading the inbox")?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .find(|path| {
                path.extension().is_some_and(|e| e == "edxml")
                    && std::fs::read_to_string(path)
                        .is_ok_and(|text| text.contains(DISTRICT.0) && text.contains("PY-VP"))
                    && std::fs::read_to_string(path.with_extension("json"))
                        .is_ok_and(|text| text.contains(&document))
            })
            .ok_or_else(|| StageError("the document is not in Python's inbox".to_owned()))?;
        println!("sent by the folder adapter, received by Python");

        let mut status = client(stage, here, "status")?;
        status
            .arg("--key")
            .arg(&here.key_file)
            .arg("--cert")
            .arg(&here.certificate_file)
            .arg("--about")
            .arg(&stored)
            .args(["--from", ENVIRONMENT.0, "--code", "03"]);
        tokio::task::spawn_blocking(move || run(&mut status))
            .await
            .doing("reporting")??;
        folders::status(there, &document, "03").await?;
        println!("status 03 reported by Python, received by the folder adapter");
        Ok(())
    });
}
