//! The contract, run by SQLite in a file of its own for every case.
#![allow(clippy::unwrap_used, reason = "a test suite")]

use std::sync::Arc;

use async_trait::async_trait;
use truc_ledger::Store;
use truc_ledger::contract::Bench;
use truc_ledger_sqlite::SqliteStore;

struct FileBench(tempfile::TempDir);

impl FileBench {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl Bench for FileBench {
    async fn open(&self) -> Arc<dyn Store> {
        let path = self.0.path().join("ledger.db");
        SqliteStore::migrate(&path).await.unwrap();
        Arc::new(SqliteStore::open(&path).await.unwrap())
    }
}

truc_ledger::contract_tests!(FileBench::new());
