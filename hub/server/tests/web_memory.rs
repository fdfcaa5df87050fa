//! A body of 200 MB comes in and goes out through the HTTP service while the process's memory stays where it was. In a
//! process of its own, because it is the process that is measured.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use truc_model::{Clock, Random, SeededRandom, Sha256, SystemClock, SystemId};
use truc_server::config::Config;
use truc_server::web::{self, Credentials, Logins, MayRead, MayReadError, Service, Systems, Verdict};

/// Bytes of the body.
const SIZE: usize = 200 * 1024 * 1024;

/// Most that the process may grow, the client in it included.
const GROWTH_MAX_KB: u64 = 32 * 1024;

struct Anyone;

#[async_trait]
impl Credentials for Anyone {
    async fn check(&self, _: &SystemId, _: &str) -> Verdict {
        Verdict::Accepted
    }
}

#[async_trait]
impl MayRead for Anyone {
    async fn may_read(&self, _: &SystemId, _: Sha256) -> Result<bool, MayReadError> {
        Ok(false)
    }
}

impl Systems for Anyone {
    fn is_served(&self, _: &SystemId) -> bool {
        true
    }
}

/// The most memory the process had since this was last set back, in KiB.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}

fn set_peak_back() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// Reads the head of an answer, and says whether its status is the one.
async fn expect(stream: &mut TcpStream, status: &str) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_stays_flat_while_200_mb_pass() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = Config::default().bodies;
    "127.0.0.1:0".clone_into(&mut settings.listen);
    settings.dir = folder.path().join("bodies");
    settings.disk_floor_mb = 0;
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) =
        (Arc::new(SystemClock), Arc::new(SeededRandom::new(1)));
    let store = web::open_store(&settings, Arc::clone(&clock), Arc::clone(&random)).await;
    let logins = Logins::new(Arc::new(Anyone), clock, &*random);
    let service = Service::new(
        store.unwrap().unwrap(),
        logins,
        Arc::new(Anyone),
        Arc::new(Anyone),
        settings.clone(),
    );
    let listener = web::bind(&settings).await.unwrap().unwrap();
    let address = listener.address().unwrap();
    let (_stop, stopping) = watch::channel(false);
    tokio::spawn(web::serve(listener, Arc::new(service), stopping));

    // The same block again and again, each with its number in front.
    let mut block = vec![0; 64 * 1024];
    random.fill(&mut block);
    let number = |block: &mut Vec<u8>, at: usize| block[..8].copy_from_slice(&at.to_le_bytes());
    let mut context = Context::new(&SHA256);
    for at in 0..SIZE / block.len() {
        number(&mut block, at);
        context.update(&block);
    }
    let body = Sha256::from_ring(&context.finish());
    let login = STANDARD.encode("so-tnmt:x");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = |method: &str, length: &str| {
        format!(
            "{method} /bodies/{body} HTTP/1.1\r\nhost: hub\r\nauthorization: Basic {login}\r\n{length}\r\n"
        )
    };
    // Once with a few bytes, so that what is there for good is there.
    stream.write_all(head("HEAD", "").as_bytes()).await.unwrap();
    expect(&mut stream, "404").await;

    set_peak_back();
    let before = peak_kb();
    stream
        .write_all(head("PUT", &format!("content-length: {SIZE}\r\n")).as_bytes())
        .await
        .unwrap();
    for at in 0..SIZE / block.len() {
        number(&mut block, at);
        stream.write_all(&block).await.unwrap();
    }
    expect(&mut stream, "201").await;
    let sent = peak_kb();

    set_peak_back();
    stream.write_all(head("GET", "").as_bytes()).await.unwrap();
    expect(&mut stream, "200").await;
    let mut context = Context::new(&SHA256);
    for _ in 0..SIZE / block.len() {
        stream.read_exact(&mut block).await.unwrap();
        context.update(&block);
    }
    assert_eq!(Sha256::from_ring(&context.finish()), body);
    let fetched = peak_kb();
    println!("{SIZE} bytes: {before} KiB before, at most {sent} KiB while sent, {fetched} KiB while fetched");
    assert!(sent < before + GROWTH_MAX_KB, "{before} KiB grew to {sent} KiB");
    assert!(
        fetched < before + GROWTH_MAX_KB,
        "{before} KiB grew to {fetched} KiB"
    );
}
