//! The server all tests share, and where each has its ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use async_trait::async_trait;
use tokio::sync::OnceCell;
use truc_ledger::Store;
use truc_ledger::contract::Bench;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_ledger_postgres::{PostgresSettings, PostgresStore};

/// A directory that the server's user can get to.
pub(crate) fn open_dir() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("truc-postgres-")
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir()
        .unwrap()
}

/// The address of the shared server's database. The server lives in a thread of its own until this process ends;
/// then its watcher kills it.
pub(crate) async fn shared_url() -> &'static str {
    static URL: OnceCell<String> = OnceCell::const_new();
    URL.get_or_init(|| async {
        let (say, said) = tokio::sync::oneshot::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let dir = open_dir();
                let server = PrivateServer::start(PrivateServerConfig::new(dir.path().join("server")))
                    .await
                    .unwrap();
                say.send(server.url("postgres")).unwrap();
                std::future::pending::<()>().await;
            });
        });
        said.await.unwrap()
    })
    .await
}

/// A ledger in a schema of its own.
pub(crate) struct SchemaBench(pub(crate) PostgresSettings);

impl SchemaBench {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let mut settings = PostgresSettings::new(shared_url().await);
        settings.schema = format!("truc_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        settings.readers_max = 2;
        Self(settings)
    }
}

#[async_trait]
impl Bench for SchemaBench {
    async fn open(&self) -> Arc<dyn Store> {
        PostgresStore::migrate(&self.0).await.unwrap();
        Arc::new(PostgresStore::open(&self.0).await.unwrap())
    }
}
