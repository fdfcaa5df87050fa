#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]
use std::sync::Arc;
use truc_ledger::contract::{Bench, kit::*};
use truc_ledger_sqlite::SqliteStore;
struct B(tempfile::TempDir);
#[async_trait::async_trait]
impl Bench for B {
    async fn open(&self) -> Arc<dyn truc_ledger::Store> {
        let path = self.0.path().join("l.db");
        SqliteStore::migrate(&path).await.unwrap();
        Arc::new(SqliteStore::open(&path).await.unwrap())
    }
}
#[tokio::test(flavor = "multi_thread")]
async fn perf() {
    let b = B(tempfile::tempdir_in("/work/main/target").unwrap());
    let hub = Hub::open(&b).await;
    let n = 10_000usize;
    let mut subs = Vec::new();
    for i in 0..n {
        let mut d = hub.document(&i.to_string());
        let mut body = vec![b'x'; 10_000];
        body[..8].copy_from_slice(&(i as u64).to_le_bytes());
        d.sha256 = truc_model::Sha256::of(&body);
        d.size = body.len() as u64;
        d.body = Arc::from(body);
        subs.push(d);
    }
    let t = std::time::Instant::now();
    let mut set = tokio::task::JoinSet::new();
    for d in subs {
        let l = hub.ledger.clone();
        set.spawn(async move { l.submit_document(d).await.unwrap() });
    }
    while set.join_next().await.is_some() {}
    eprintln!("submit {n}: {:?} commits {}", t.elapsed(), hub.ledger.commits());
    let t = std::time::Instant::now();
    let mut k = 0;
    loop {
        let c = hub.claim().await;
        if c.is_empty() { break; }
        k += c.len();
        hub.confirm(&c).await;
        let so = deliveries(&c, "so");
        if !so.is_empty() { hub.take("so", &so).await; }
    }
    eprintln!("forwarded {k}: {:?} commits {}", t.elapsed(), hub.ledger.commits());
    let t = std::time::Instant::now();
    let mut set = tokio::task::JoinSet::new();
    for i in 0..n {
        let s = hub.status("01", &i.to_string());
        let l = hub.ledger.clone();
        set.spawn(async move { l.submit_status(s).await.unwrap() });
    }
    while set.join_next().await.is_some() {}
    eprintln!("status {n}: {:?}", t.elapsed());
    let t = std::time::Instant::now();
    let bal = hub.ledger.balance(&Default::default()).await.unwrap();
    eprintln!("balance {:?} {}", t.elapsed(), bal.balances());
    let t = std::time::Instant::now();
    let v = hub.ledger.verify(&Default::default()).await.unwrap();
    eprintln!("verify {:?} {} events {}", t.elapsed(), v.is_sound(), v.events);
    let t = std::time::Instant::now();
    let v = hub.ledger.documents(&Default::default()).await.unwrap();
    eprintln!("list {} {:?}", v.len(), t.elapsed());
}
