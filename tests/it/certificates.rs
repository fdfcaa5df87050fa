//! Certificates while the hub runs: revoked, replaced, rotated, and lists and anchors renewed; nothing is
//! restarted in any of these scenarios.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use truc_envelope::seal::BoundCertificate;
use truc_model::clock::{ManualClock, viet_nam};
use truc_model::wire::Intake;
use truc_model::{Clock, SystemClock, SystemRandom};
use truc_server::app::App;
use truc_server::authority::{Authority, Issued, LeafKey, Revoked, Validity, write_key_file};
use truc_server::demo::packets::Draft;
use truc_server::demo::raw::{RawClient, SealChoice};
use truc_server::demo::stage::{Connected, Doing, Process, Stage, StageError, now, until};
use truc_tests::{check, fresh_id, play, programs, set};

const DAY: i64 = 24 * 60 * 60;

/// Agency and its system.
const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "so-tnmt");
const OFFICE: (&str, &str) = ("000.00.01.H60", "ubnd-tinh");

const RENEWED: &str = "renewed trust anchors and revocation lists in force";
const KEPT: &str = "trust anchors or revocation lists not renewed, the old ones stay in force";

#[test]
fn a_revocation_counts_without_a_restart() {
    play(async {
        let set = set("certificates-revoked", "[seal]\ncrls = [\"root.crl\"]\n").await?;
        let stage = &set.stage;
        let (victim, other) = (stage.system(ENVIRONMENT.1)?, stage.system(OFFICE.1)?);
        list(stage, &[], -3600, DAY)?;
        let mut hub = stage.start_hub(None)?;
        expect(stage, ENVIRONMENT, victim, now(), "receipt").await?;

        let pem = std::fs::read_to_string(&victim.certificate_file).doing("reading a certificate")?;
        let serial = BoundCertificate::from_pem(&pem)
            .doing("reading a certificate")?
            .serial()
            .to_owned();
        list(stage, &[serial], -1800, DAY)?;
        let revoked_at = std::time::Instant::now();
        told(&hub, RENEWED, 1).await?;
        println!(
            "a revocation counted after {} ms",
            revoked_at.elapsed().as_millis()
        );
        expect(stage, ENVIRONMENT, victim, now(), "certificate-revoked").await?;
        expect(stage, OFFICE, other, now(), "receipt").await?;

        // Half a list: what is in force stays, and that is told once, however often it is looked at.
        std::fs::write(stage.dir.join("root.crl"), "-----BEGIN X509 CRL-----\nMII")
            .doing("writing a list")?;
        told(&hub, KEPT, 1).await?;
        rounds(stage, &hub).await?;
        check(count(&hub, KEPT) == 1, || hub.log_tail())?;
        expect(stage, ENVIRONMENT, victim, now(), "certificate-revoked").await?;
        expect(stage, OFFICE, other, now(), "receipt").await?;
        // No list at all is another change, told by itself.
        std::fs::remove_file(stage.dir.join("root.crl")).doing("removing a list")?;
        told(&hub, KEPT, 2).await?;
        expect(stage, ENVIRONMENT, victim, now(), "certificate-revoked").await?;

        list(stage, &[], -900, DAY)?;
        told(&hub, RENEWED, 2).await?;
        expect(stage, ENVIRONMENT, victim, now(), "receipt").await?;
        check(hub.ended()?.is_none(), || "the hub ended".to_owned())
    });
}

#[test]
fn replaced_anchors_count_without_a_restart() {
    play(async {
        let set = set("certificates-anchors", "").await?;
        let stage = &set.stage;
        let mut hub = stage.start_hub(None)?;
        let old = stage.system(ENVIRONMENT.1)?;
        let root = stage.dir.join("root.pem");
        let successor =
            Authority::root("Kế nhiệm", days(-1, 365), &SystemRandom::default()).doing("making a root")?;
        let new = issue(stage, &successor, old, "successor", days(-1, 300))?;
        // A hub that has only begun may read the directory when the new certificate is in it already.
        expect(stage, ENVIRONMENT, old, now(), "receipt").await?;
        let bound = truc(
            stage,
            &[
                "system",
                "rotate",
                ENVIRONMENT.1,
                "--certificate",
                path(&new.certificate_file),
            ],
        )?;
        check(bound.status.success(), || error(&bound))?;
        told(&hub, "directory in force", 1).await?;
        expect(stage, ENVIRONMENT, old, now(), "receipt").await?;
        expect(stage, ENVIRONMENT, &new, now(), "certificate-untrusted").await?;

        let both = format!(
            "{}{}",
            stage.authority.certificate_pem(),
            successor.certificate_pem()
        );
        replace(&root, &both)?;
        told(&hub, RENEWED, 1).await?;
        expect(stage, ENVIRONMENT, old, now(), "receipt").await?;
        expect(stage, ENVIRONMENT, &new, now(), "receipt").await?;

        replace(&root, successor.certificate_pem())?;
        told(&hub, RENEWED, 2).await?;
        expect(stage, ENVIRONMENT, old, now(), "certificate-untrusted").await?;
        expect(stage, ENVIRONMENT, &new, now(), "receipt").await?;

        // A leaf is no anchor: what is in force stays.
        replace(
            &root,
            &std::fs::read_to_string(&new.certificate_file).doing("reading a certificate")?,
        )?;
        told(&hub, KEPT, 1).await?;
        expect(stage, ENVIRONMENT, &new, now(), "receipt").await?;
        check(hub.ended()?.is_none(), || "the hub ended".to_owned())
    });
}

#[test]
fn both_keys_hold_through_the_overlap_and_only_the_new_one_after_it() {
    play(async {
        let set = set("certificates-overlap", "").await?;
        let stage = &set.stage;
        let old = stage.system(ENVIRONMENT.1)?;
        // The hub runs in here, so that its days pass when the test says so.
        let clock = Arc::new(ManualClock::at(now()));
        let app = App::connect(
            stage.config.clone(),
            clock.clone(),
            Arc::new(SystemRandom::default()),
        )
        .await
        .doing("starting a hub")?;
        let (stop, stopping) = tokio::sync::watch::channel(false);
        let hub = tokio::spawn(app.run(stopping));
        expect(stage, ENVIRONMENT, old, clock.now(), "receipt").await?;

        let new = issue(stage, &stage.authority, old, "next", days(-1, 300))?;
        expect(stage, ENVIRONMENT, &new, clock.now(), "certificate-unknown").await?;
        let rotated = truc(
            stage,
            &[
                "system",
                "rotate",
                ENVIRONMENT.1,
                "--certificate",
                path(&new.certificate_file),
                "--overlap-days",
                "2",
                "--json",
            ],
        )?;
        check(rotated.status.success(), || error(&rotated))?;
        let end: jiff::civil::Date = json(&rotated)?["old_until"]
            .as_str()
            .unwrap_or_default()
            .parse()
            .doing("reading the end of the overlap")?;
        until_answer(stage, &new, &clock, "receipt").await?;
        expect(stage, ENVIRONMENT, old, clock.now(), "receipt").await?;

        // The overlap's last second, in Viet Nam.
        let midnight = end
            .to_zoned(viet_nam())
            .doing("reading the end of the overlap")?
            .timestamp();
        let left = midnight.as_second() - clock.now().as_second() - 1;
        check(left > DAY, || format!("the overlap ends in {left} s"))?;
        clock.advance(left);
        expect(stage, ENVIRONMENT, old, clock.now(), "receipt").await?;
        expect(stage, ENVIRONMENT, &new, clock.now(), "receipt").await?;
        clock.advance(1);
        until_answer(stage, old, &clock, "certificate-unknown").await?;
        expect(stage, ENVIRONMENT, &new, clock.now(), "receipt").await?;

        check(stop.send(true).is_ok(), || "the hub ended".to_owned())?;
        hub.await.doing("stopping the hub")?.doing("running the hub")
    });
}

#[test]
fn a_stale_list_refuses_where_that_is_asked_for_and_everyone_is_told() {
    play(async {
        let config = "[seal]\ncrls = [\"root.crl\"]\nstale_crl = \"refuse\"\nmissing_crl = \"refuse\"\n";
        let set = set("certificates-stale", config).await?;
        let stage = &set.stage;
        let system = stage.system(ENVIRONMENT.1)?;
        list(stage, &[], -2 * DAY, -DAY)?;
        let hub = stage.start_hub(None)?;
        expect(stage, ENVIRONMENT, system, now(), "certificate-untrusted").await?;
        let stale = "revocation list stale, its issuer's certificates are refused";
        told(&hub, stale, 1).await?;
        rounds(stage, &hub).await?;
        check(count(&hub, stale) == 1, || hub.log_tail())?;
        doctor_finds(stage, "fault", "seal.stale_crl")?;

        // Due within hours: told, and it passes.
        list(stage, &[], -DAY, 3600)?;
        told(&hub, "revocation list due", 1).await?;
        expect(stage, ENVIRONMENT, system, now(), "receipt").await?;
        doctor_finds(stage, "warning", "sắp cũ")?;

        list(stage, &[], -3600, DAY)?;
        told(&hub, RENEWED, 2).await?;
        expect(stage, ENVIRONMENT, system, now(), "receipt").await?;
        doctor_finds(stage, "ok", "danh sách thu hồi")?;

        // Another authority's list says nothing of this one's certificates, and none is a missing one.
        let stranger =
            Authority::root("Khác", days(-1, 365), &SystemRandom::default()).doing("making a root")?;
        let foreign = stranger.crl(&[], seconds(-60, DAY)).doing("making a list")?;
        replace(&stage.dir.join("root.crl"), &foreign)?;
        told(&hub, RENEWED, 3).await?;
        expect(stage, ENVIRONMENT, system, now(), "certificate-untrusted").await
    });
}

#[test]
fn the_table_of_certificates_says_what_ends() {
    play(async {
        let set = set("certificates-table", "[seal]\ncrls = [\"root.crl\"]\n").await?;
        let stage = &set.stage;
        list(stage, &[], -3600, DAY)?;
        let systems = stage.systems.len();
        let (code, table) = certificates(stage, &[])?;
        check(code == Some(0) && rows(&table).len() == systems, || {
            table.to_string()
        })?;
        check(rows(&table).iter().all(|row| row["status"] == "ok"), || {
            table.to_string()
        })?;

        let (ending, revoked) = (stage.system(ENVIRONMENT.1)?, stage.system(OFFICE.1)?);
        let soon = issue(
            stage,
            &stage.authority,
            ending,
            "soon",
            seconds(-DAY, 10 * DAY - 3600),
        )?;
        let rotated = truc(
            stage,
            &[
                "system",
                "rotate",
                ENVIRONMENT.1,
                "--certificate",
                path(&soon.certificate_file),
                "--overlap-days",
                "0",
            ],
        )?;
        check(rotated.status.success(), || error(&rotated))?;
        let pem = std::fs::read_to_string(&revoked.certificate_file).doing("reading a certificate")?;
        let read = BoundCertificate::from_pem(&pem).doing("reading a certificate")?;
        list(stage, &[read.serial().to_owned()], -1800, DAY)?;

        let (code, table) = certificates(stage, &[])?;
        check(code == Some(1) && rows(&table).len() == systems + 1, || {
            table.to_string()
        })?;
        check(table["findings"] == 2, || table.to_string())?;
        let first = rows(&table)[0];
        check(
            first["system"] == ENVIRONMENT.1 && first["status"] == "ending" && first["days_left"] == 9,
            || first.to_string(),
        )?;
        let last = rows(&table)[systems];
        check(
            last["system"] == ENVIRONMENT.1 && last["status"] == "unbound" && last["finding"] == false,
            || last.to_string(),
        )?;
        let of = |system: &str, status: &str| {
            rows(&table)
                .iter()
                .any(|row| row["system"] == system && row["status"] == status)
        };
        check(of(OFFICE.1, "revoked"), || table.to_string())?;
        let (_, table) = certificates(stage, &["--days", "8"])?;
        check(table["findings"] == 1, || table.to_string())?;

        // Lists that do not read: the dates are told all the same.
        std::fs::write(stage.dir.join("root.crl"), "nothing").doing("writing a list")?;
        let (code, table) = certificates(stage, &[])?;
        check(code == Some(1) && table["trust_unknown"].is_string(), || {
            table.to_string()
        })?;
        check(rows(&table)[0]["status"] == "ending", || table.to_string())?;
        let shown = truc(stage, &["system", "certificates"])?;
        let text = String::from_utf8_lossy(&shown.stdout).into_owned();
        for words in ["hết hạn sau 9 ngày", "thôi gắn", "seal.crls", "so-tnmt"] {
            check(text.contains(words), || text.clone())?;
        }
        Ok(())
    });
}

/// Submits a letter sealed by the system's key at a moment; gives `receipt` or the refusal's code.
async fn answer(
    stage: &Stage,
    from: (&str, &str),
    system: &Connected,
    at: Timestamp,
) -> Result<String, StageError> {
    static NUMBER: AtomicU32 = AtomicU32::new(1);
    let letter = Draft::letter(
        (from.0, "Cơ quan gửi"),
        &[("000.00.34.H60", "UBND huyện Hàm Yên")],
        NUMBER.fetch_add(1, Ordering::Relaxed),
        SystemClock.today(),
    );
    let mut client = RawClient::connect(stage, system).await?;
    let (kind, answer) = client
        .submit(
            Intake::Document,
            fresh_id(),
            &letter.packet(),
            SealChoice::Right,
            at,
        )
        .await?;
    client.close().await;
    Ok(answer["code"].as_str().map_or(kind, str::to_owned))
}

async fn expect(
    stage: &Stage,
    from: (&str, &str),
    system: &Connected,
    at: Timestamp,
    expected: &str,
) -> Result<(), StageError> {
    let found = answer(stage, from, system, at).await?;
    check(found == expected, || format!("expected {expected}, got {found}"))
}

/// Submits letters until the answer is the expected one.
async fn until_answer(
    stage: &Stage,
    system: &Connected,
    clock: &ManualClock,
    expected: &str,
) -> Result<(), StageError> {
    until(&format!("a letter to get {expected}"), async || {
        let found = answer(stage, ENVIRONMENT, system, clock.now()).await.ok()?;
        (found == expected).then_some(())
    })
    .await
}

/// Waits until the hub's log has these words so many times.
async fn told(hub: &Process, words: &str, times: usize) -> Result<(), StageError> {
    until(&format!("the log to say {times} times: {words}"), async || {
        (count(hub, words) >= times).then_some(())
    })
    .await?;
    check(count(hub, words) == times, || hub.log_tail())
}

fn count(hub: &Process, words: &str) -> usize {
    std::fs::read_to_string(&hub.log)
        .unwrap_or_default()
        .matches(words)
        .count()
}

/// Lets the hub look at its files at least twice more: it looks before it takes up a directory.
async fn rounds(stage: &Stage, hub: &Process) -> Result<(), StageError> {
    for order in ["disable", "enable"] {
        let before = count(hub, "directory in force");
        let done = truc(stage, &["system", order, "truc-quoc-gia"])?;
        check(done.status.success(), || error(&done))?;
        told(hub, "directory in force", before + 1).await?;
    }
    Ok(())
}

/// Puts a list of the stage's authority in place of the one there; moments in seconds from now.
fn list(stage: &Stage, serials: &[String], from: i64, until: i64) -> Result<(), StageError> {
    let revoked: Vec<Revoked> = serials
        .iter()
        .map(|serial| Revoked {
            serial: serial.clone(),
            at: seconds(from, until).not_before,
        })
        .collect();
    let text = stage
        .authority
        .crl(&revoked, seconds(from, until))
        .doing("making a list")?;
    replace(&stage.dir.join("root.crl"), &text)
}

/// As an operator's timer should: written beside, renamed into place.
fn replace(path: &Path, text: &str) -> Result<(), StageError> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).doing("writing a file")?;
    std::fs::rename(&beside, path).doing("renaming a file")
}

/// The system with another key and certificate.
fn issue(
    stage: &Stage,
    authority: &Authority,
    system: &Connected,
    name: &str,
    validity: Validity,
) -> Result<Connected, StageError> {
    let issued: Issued = authority
        .issue(&system.id, LeafKey::P256, validity, &SystemRandom::default())
        .doing("issuing a certificate")?;
    let other = Connected {
        key_file: stage.dir.join(format!("{name}.key.pem")),
        certificate_file: stage.dir.join(format!("{name}.pem")),
        ..system.clone()
    };
    write_key_file(&other.key_file, &issued.key_pem).doing("writing a key")?;
    std::fs::write(&other.certificate_file, &issued.certificate_pem).doing("writing a certificate")?;
    Ok(other)
}

fn days(from: i64, until: i64) -> Validity {
    seconds(from * DAY, until * DAY)
}

fn seconds(from: i64, until: i64) -> Validity {
    let at = |seconds| now() + SignedDuration::from_secs(seconds);
    Validity {
        not_before: at(from),
        not_after: at(until),
    }
}

fn truc(stage: &Stage, arguments: &[&str]) -> Result<Output, StageError> {
    Command::new(programs()?.join("truc"))
        .args(arguments)
        .arg("--config")
        .arg(&stage.config_file)
        .output()
        .doing("running truc")
}

fn certificates(stage: &Stage, more: &[&str]) -> Result<(Option<i32>, Value), StageError> {
    let ran = truc(stage, &[&["system", "certificates", "--json"], more].concat())?;
    Ok((ran.status.code(), json(&ran)?))
}

fn rows(table: &Value) -> Vec<&Value> {
    table["certificates"].as_array().into_iter().flatten().collect()
}

/// The doctor says these words of certificates, at this level.
fn doctor_finds(stage: &Stage, level: &str, words: &str) -> Result<(), StageError> {
    let said = json(&truc(stage, &["doctor", "--json"])?)?;
    let found = said["findings"].as_array().into_iter().flatten().any(|finding| {
        finding["area"] == "certificates"
            && finding["level"] == level
            && finding["what"].as_str().is_some_and(|what| what.contains(words))
    });
    check(found, || format!("no {level} with '{words}' in {said}"))
}

fn json(ran: &Output) -> Result<Value, StageError> {
    serde_json::from_slice(&ran.stdout).doing("reading an answer")
}

fn error(ran: &Output) -> String {
    String::from_utf8_lossy(&ran.stderr).into_owned()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}
