//! The server all tests share, and where each has its ledger.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
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

/// Where the shared server is: in memory, where there is such a place. The contract commits some thousands of times, and
/// it is not the disk that is tested; what happens to a server that is killed is tested on a disk.
fn quick_place() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    place.join(format!("truc-postgres-{}", std::process::id()))
}

/// The address of the shared server's database. The server lives in a thread of its own until this process ends;
/// then its watcher kills it and removes its directory.
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
                let config = PrivateServerConfig::new(quick_place())
                    .passing()
                    .with("max_wal_size", "64MB");
                let server = PrivateServer::start(config).await.unwrap();
                say.send(server.url("postgres")).unwrap();
                std::future::pending::<()>().await;
            });
        });
        said.await.unwrap()
    })
    .await
}

/// A schema that no other test has, on the shared server.
pub(crate) async fn fresh() -> PostgresSettings {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut settings = PostgresSettings::new(shared_url().await);
    settings.schema = format!("truc_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    settings.readers_max = 2;
    settings
}

/// A ledger in a schema of its own. Every opening gives the same connections: what another process sees is tested where
/// it matters.
pub(crate) struct SchemaBench {
    settings: PostgresSettings,
    opened: OnceCell<PostgresStore>,
}

impl SchemaBench {
    pub(crate) async fn new() -> Self {
        Self {
            settings: fresh().await,
            opened: OnceCell::new(),
        }
    }
}

#[async_trait]
impl Bench for SchemaBench {
    async fn open(&self) -> Arc<dyn Store> {
        let opened = self.opened.get_or_init(|| opened(&self.settings)).await;
        Arc::new(opened.clone())
    }
}

/// A ledger that every opening connects to anew.
pub(crate) struct Anew(pub(crate) PostgresSettings);

#[async_trait]
impl Bench for Anew {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(opened(&self.0).await)
    }
}

pub(crate) async fn opened(settings: &PostgresSettings) -> PostgresStore {
    PostgresStore::migrate(settings).await.unwrap();
    PostgresStore::open(settings).await.unwrap()
}

/// A connection as somebody at the shell has it, in the ledger's schema.
pub(crate) async fn shell(settings: &PostgresSettings) -> PgConnection {
    let options: PgConnectOptions = settings.url.parse().unwrap();
    let options = options.options([("search_path", settings.schema.as_str())]);
    options.connect().await.unwrap()
}
