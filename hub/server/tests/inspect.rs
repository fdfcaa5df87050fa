//! The workers that look at PDFs: what they answer, and that a hostile file costs one of them and no more.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../../pdf/tests/kit/mod.rs"]
mod kit;

use std::io::{Read as _, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kit::{Pdf, Pen, Slot};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::Instant;
use truc_model::PdfSignatures;
use truc_model::pdf::{NotInspected, Unreadable};
use truc_server::config::Config;
use truc_server::inspect::{Pool, Program, Settings, WAITING_MAX, worker};

fn settings() -> Settings {
    Settings {
        // Wide: these tests run beside others on a busy machine.
        time: Duration::from_secs(30),
        wait: Duration::from_secs(60),
        ..Settings::from(&Config::default().inspect)
    }
}

fn truc() -> Program {
    Program::at(PathBuf::from(env!("CARGO_BIN_EXE_truc")))
}

fn pool(settings: Settings) -> Pool {
    Pool::new(truc(), settings).unwrap()
}

/// A worker that is a script of `tests/workers`.
fn script(name: &str, settings: Settings) -> Pool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/workers")
        .join(name);
    assert!(path.exists(), "{name}");
    Pool::new(Program::at(path), settings).unwrap()
}

async fn look(pool: &Pool, bytes: &[u8]) -> PdfSignatures {
    let owned = bytes.to_vec();
    pool.inspect(bytes.len() as u64, pool.deadline(), || async { Some(owned) })
        .await
}

fn signed() -> Pdf {
    let mut pdf = Pdf::plain();
    pdf.sign(&Slot::default(), |covered| Pen::new("UBND xã").sign(covered));
    pdf
}

fn unreadable(why: Unreadable) -> PdfSignatures {
    PdfSignatures::Unreadable { why }
}

fn unchecked(why: NotInspected) -> PdfSignatures {
    PdfSignatures::Unchecked { why }
}

/// One object of numbers, and a table that says it is all of ten thousand objects: each is read anew.
fn slow() -> Vec<u8> {
    let mut bytes = b"%PDF-1.7\n".to_vec();
    let place = bytes.len();
    bytes.extend(format!("1 0 obj\n[{}]\nendobj\n", "1 ".repeat(200_000)).bytes());
    let table = bytes.len();
    bytes.extend(b"xref\n0 10001\n0000000000 65535 f \n");
    bytes.extend(format!("{place:010} 00000 n \n").repeat(10_000).bytes());
    bytes.extend(format!("trailer\n<< /Size 10001 /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n").bytes());
    bytes
}

/// A list of two million numbers in four megabytes: in memory each is a hundred bytes.
fn greedy() -> Vec<u8> {
    Pdf::of(&[
        "<< /Type /Catalog >>".to_owned(),
        format!("[{}]", "1 ".repeat(2_000_000)),
    ])
    .bytes
}

#[tokio::test]
async fn workers_answer_as_the_inspection_does() {
    let pool = pool(settings());
    let signed = signed();
    let mut tampered = signed.bytes.clone();
    let at = kit::find(&tampered, b"Cong van");
    tampered[at] = b'K';
    let mut appended = signed.bytes.clone();
    appended.extend(b"%\n");
    for (bytes, word) in [
        (signed.bytes.clone(), "intact"),
        (tampered, "changed"),
        (appended, "partial"),
        (Pdf::plain().bytes, "none"),
        (b"%PDF-1.7 hello".to_vec(), "unreadable"),
        (Vec::new(), "unreadable"),
    ] {
        let found = look(&pool, &bytes).await;
        let expected = truc_pdf::inspect(&bytes, &truc_pdf::Limits::default());
        assert_eq!((found.word(), found), (word, expected));
    }
}

#[tokio::test]
async fn one_that_takes_too_long_is_ended_and_replaced() {
    let pool = pool(Settings {
        time: Duration::from_secs(3),
        ..settings()
    });
    for _ in 0..2 {
        assert_eq!(look(&pool, &slow()).await, unreadable(Unreadable::Time));
        assert_eq!(look(&pool, &signed().bytes).await.word(), "intact");
    }
}

#[tokio::test]
async fn one_that_takes_too_much_memory_is_ended_and_replaced() {
    let pool = pool(Settings {
        memory_bytes: 128 * 1024 * 1024,
        ..settings()
    });
    for _ in 0..2 {
        assert_eq!(look(&pool, &greedy()).await, unreadable(Unreadable::Memory));
        assert_eq!(look(&pool, &signed().bytes).await.word(), "intact");
    }
}

#[tokio::test]
async fn one_that_dies_or_talks_nonsense_is_replaced() {
    for (name, expected) in [
        ("dies.sh", unreadable(Unreadable::Crash)),
        ("nonsense.sh", unreadable(Unreadable::Crash)),
        ("flood.sh", unreadable(Unreadable::Crash)),
        ("memory.sh", unreadable(Unreadable::Memory)),
        ("mute.sh", unchecked(NotInspected::NoWorker)),
    ] {
        let pool = script(name, settings());
        for _ in 0..2 {
            assert_eq!(look(&pool, b"%PDF").await, expected, "{name}");
        }
    }
    let hangs = script(
        "hangs.sh",
        Settings {
            time: Duration::from_millis(200),
            ..settings()
        },
    );
    assert_eq!(look(&hangs, b"%PDF").await, unreadable(Unreadable::Time));
    let nobody = Pool::new(Program::at("/nonexistent/truc".into()), settings()).unwrap();
    assert_eq!(look(&nobody, b"%PDF").await, unchecked(NotInspected::NoWorker));
}

#[tokio::test]
async fn one_that_is_worn_out_costs_no_answer() {
    let pool = script("worn_out.sh", settings());
    for _ in 0..4 {
        assert_eq!(look(&pool, &[b' '; 100]).await, PdfSignatures::None);
    }
}

#[tokio::test]
async fn sizes_at_the_limit() {
    let bytes = signed().bytes;
    let of = |max_bytes| {
        pool(Settings {
            max_bytes,
            ..settings()
        })
    };
    assert_eq!(look(&of(bytes.len()), &bytes).await.word(), "intact");
    assert_eq!(
        look(&of(bytes.len() - 1), &bytes).await,
        unchecked(NotInspected::TooLarge)
    );
}

#[tokio::test]
async fn no_more_at_once_than_there_are_workers() {
    let pool = pool(Settings {
        workers: 2,
        ..settings()
    });
    let bytes = signed().bytes;
    let at_once = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::new();
    for _ in 0..40 {
        let (pool, bytes, at_once) = (pool.clone(), bytes.clone(), Arc::clone(&at_once));
        all.spawn(async move {
            let seen = Arc::new(AtomicUsize::new(0));
            let most = Arc::clone(&seen);
            let length = bytes.len() as u64;
            let fetch = || async move {
                most.store(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..10 {
                    tokio::task::yield_now().await;
                }
                at_once.fetch_sub(1, Ordering::SeqCst);
                Some(bytes)
            };
            let found = pool.inspect(length, pool.deadline(), fetch).await;
            (found.word(), seen.load(Ordering::SeqCst))
        });
    }
    let mut most = 0;
    while let Some(done) = all.join_next().await {
        let (word, seen) = done.unwrap();
        assert_eq!(word, "intact");
        most = most.max(seen);
    }
    assert_eq!(most, 2);
}

#[tokio::test]
async fn who_waits_too_long_goes_unchecked() {
    let pool = pool(Settings {
        workers: 1,
        ..settings()
    });
    // The first holds the only worker's place until it is let go.
    let (let_go, held) = oneshot::channel::<()>();
    let (arrived_in, arrived) = oneshot::channel::<()>();
    // Plain ones: a thousand of them are looked at.
    let bytes = Pdf::plain().bytes;
    let (first_pool, first_bytes) = (pool.clone(), bytes.clone());
    let first = tokio::spawn(async move {
        let deadline = first_pool.deadline();
        first_pool
            .inspect(first_bytes.len() as u64, deadline, || async move {
                arrived_in.send(()).unwrap();
                held.await.unwrap();
                Some(first_bytes)
            })
            .await
    });
    arrived.await.unwrap();
    // One whose time is up goes at once, its bytes never fetched.
    let late = pool
        .inspect(4, Instant::now(), || async { panic!("fetched") })
        .await;
    assert_eq!(late, unchecked(NotInspected::Busy));
    // The queue fills up to its limit; the next goes at once, however long it would wait.
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING_MAX {
        let (pool, bytes) = (pool.clone(), bytes.clone());
        waiting.spawn(async move { look(&pool, &bytes).await.word() });
    }
    // On this test's one thread all of them run up to their wait before this goes on.
    for _ in 0..WAITING_MAX {
        tokio::task::yield_now().await;
    }
    assert_eq!(look(&pool, &bytes).await, unchecked(NotInspected::Busy));
    let_go.send(()).unwrap();
    assert_eq!(first.await.unwrap().word(), "none");
    let mut answered = 0;
    while let Some(word) = waiting.join_next().await {
        assert_eq!(word.unwrap(), "none");
        answered += 1;
    }
    assert_eq!(answered, WAITING_MAX);
}

#[tokio::test]
async fn given_up_it_leaves_no_place_taken() {
    let pool = script("hangs.sh", settings());
    {
        let given_up = look(&pool, b"%PDF");
        let soon = tokio::time::timeout(Duration::from_millis(300), given_up).await;
        assert!(soon.is_err());
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let (arrived_in, arrived) = oneshot::channel::<()>();
    let next = pool.inspect(4, deadline, || async move {
        arrived_in.send(()).unwrap();
        None
    });
    assert_eq!(next.await, unreadable(Unreadable::Damaged));
    arrived.await.unwrap();
}

#[test]
fn without_workers_there_is_no_pool() {
    let none = Settings {
        workers: 0,
        ..settings()
    };
    assert!(Pool::new(truc(), none).is_none());
}

#[test]
fn a_worker_ends_by_itself_when_the_hub_is_gone() {
    let mut bounds = worker::Bounds {
        memory_bytes: 256 * 1024 * 1024,
        time_s: 0,
        max_bytes: 16 * 1024 * 1024,
    };
    let start = |bounds: worker::Bounds| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_truc"));
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        piped.args(bounds.arguments()).spawn().unwrap()
    };
    // In the middle of a request: its time on the processor ends it.
    let mut busy = start(bounds);
    let mut requests = busy.stdin.take().unwrap();
    let request = slow();
    requests.write_all(&(request.len() as u32).to_le_bytes()).unwrap();
    requests.write_all(&request).unwrap();
    drop(requests);
    let signal = busy.wait().unwrap().signal();
    assert_eq!(signal, Some(rustix::process::Signal::XCPU.as_raw()));
    // Between requests: its input ends.
    bounds.time_s = 30;
    let mut idle = start(bounds);
    drop(idle.stdin.take());
    let mut said = String::new();
    idle.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(said.trim_end(), worker::GREETING);
    assert!(idle.wait().unwrap().success());
}

#[test]
fn the_worker_is_not_for_people() {
    let output = Command::new(env!("CARGO_BIN_EXE_truc"))
        .arg("pdf-worker")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let help = Command::new(env!("CARGO_BIN_EXE_truc"))
        .arg("--help")
        .output()
        .unwrap();
    assert!(!String::from_utf8_lossy(&help.stdout).contains("pdf-worker"));
}
