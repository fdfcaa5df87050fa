//! Scenarios with the ledger in PostgreSQL: one private server for the whole test program, a schema for each stage.
//!
//! With `TRUC_TEST_LEDGER=postgres` in the environment every scenario plays so; some always do ([`crate::set_in_postgres`]).

use std::os::unix::fs::PermissionsExt as _;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;
use tokio::sync::Mutex;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_server::demo::stage::StageError;

/// The variable that has all scenarios play with PostgreSQL.
pub const SWITCH: &str = "TRUC_TEST_LEDGER";

static SERVER: OnceLock<(PrivateServer, TempDir)> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::const_new(());

/// Whether every scenario is to play with PostgreSQL.
#[must_use]
pub fn is_wanted() -> bool {
    std::env::var(SWITCH).is_ok_and(|kind| kind == "postgres")
}

/// The server that all scenarios share.
///
/// # Errors
/// [`StageError`] when it cannot be started.
pub async fn server() -> Result<&'static PrivateServer, StageError> {
    let _one_at_a_time = STARTING.lock().await;
    if let Some((server, _)) = SERVER.get() {
        return Ok(server);
    }
    let (server, dir) = own_server().await?;
    Ok(&SERVER.get_or_init(|| (server, dir)).0)
}

/// A server of one's own, for scenarios that stop or kill it.
///
/// # Errors
/// [`StageError`] when it cannot be started.
pub async fn own_server() -> Result<(PrivateServer, TempDir), StageError> {
    // The server's user must be able to get there.
    let dir = tempfile::Builder::new()
        .prefix("truc-postgres-")
        .permissions(std::fs::Permissions::from_mode(0o711))
        .tempdir()
        .map_err(|error| StageError(error.to_string()))?;
    // The shared one is never dropped: its watcher removes it when the tests are over.
    let config = PrivateServerConfig::new(dir.path().join("server")).passing();
    let server = PrivateServer::start(config)
        .await
        .map_err(|error| StageError(truc_server::telemetry::chain(&error)))?;
    Ok((server, dir))
}

/// The configuration's section of a ledger of its own on a server.
#[must_use]
pub fn section(server: &PrivateServer) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    format!(
        "[ledger]\nkind = \"postgres\"\nurl = {:?}\npassword_file = {:?}\nschema = \"stage_{n}\"\nreaders_max = 4\n",
        server.url_without_password("postgres"),
        server.password_file(),
    )
}
