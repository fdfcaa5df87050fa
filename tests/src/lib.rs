//! Harness of the scenario tests: one private broker for the whole test program, a virtual host and a
//! stage (hub, accounts, certificates, directory, folders) for each test.
//!
//! Scenarios are in `it/`, golden packets in `documents/`. Tests wait for conditions, never for time.

pub mod database;

use std::path::{Path, PathBuf};
use std::sync::{LazyLock, OnceLock};

use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use truc_ledger::Ledger;
use truc_model::{Clock, MessageId, Random, SystemClock, SystemRandom};
use truc_server::demo::stage::{AGENCIES, Reach, SYSTEMS, Setting, Stage, StageError, until};
use truc_transport::private_node::{PrivateCluster, PrivateClusterConfig, PrivateNode, PrivateNodeConfig};

/// One runtime for all tests: the shared node's tasks must outlive the test that started it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    #[allow(clippy::expect_used, reason = "without a runtime no test can run")]
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("a runtime")
});

static NODE: OnceLock<(PrivateNode, TempDir)> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::const_new(());
static SETTING_UP: Mutex<()> = Mutex::const_new(());

/// How many stages play at once. Each has its own processes; more than the machine has processors only
/// makes all of them slow.
static ROOM: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(2);

/// Runs a scenario to its end.
///
/// # Panics
/// When the scenario fails; that is how it tells the test.
pub fn play(scenario: impl Future<Output = Result<(), StageError>>) {
    let outcome = RUNTIME.block_on(async {
        let _room = ROOM.acquire().await;
        scenario.await
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

/// The private broker that all scenarios share, each on its own virtual host.
///
/// # Errors
/// [`StageError`] when it cannot be started.
pub async fn node() -> Result<&'static PrivateNode, StageError> {
    let _one_at_a_time = STARTING.lock().await;
    if let Some((node, _)) = NODE.get() {
        return Ok(node);
    }
    let (node, dir) = own_node().await?;
    Ok(&NODE.get_or_init(|| (node, dir)).0)
}

/// A broker of one's own, for scenarios that stop or block it.
///
/// # Errors
/// [`StageError`] when it cannot be started.
pub async fn own_node() -> Result<(PrivateNode, TempDir), StageError> {
    let dir = tempfile::tempdir().map_err(|error| StageError(error.to_string()))?;
    let node = PrivateNode::start(PrivateNodeConfig::new(dir.path().join("broker")))
        .await
        .map_err(|error| StageError(truc_server::telemetry::chain(&error)))?;
    Ok((node, dir))
}

/// A cluster of three brokers of one's own.
///
/// # Errors
/// [`StageError`] when it cannot be started.
pub async fn own_cluster() -> Result<(PrivateCluster, TempDir), StageError> {
    let dir = tempfile::tempdir().map_err(|error| StageError(error.to_string()))?;
    let cluster = PrivateCluster::start(PrivateClusterConfig::new(dir.path().join("brokers")))
        .await
        .map_err(|error| StageError(truc_server::telemetry::chain(&error)))?;
    Ok((cluster, dir))
}

/// A stage and the folder it lives in.
pub struct Set {
    /// The stage.
    pub stage: Stage,
    _dir: TempDir,
}

/// A stage of the sample province on the shared broker; `config` is laid over its configuration.
///
/// # Errors
/// [`StageError`] naming the step that failed.
pub async fn set(name: &str, config: &str) -> Result<Set, StageError> {
    set_on(node().await?, name, config).await
}

/// The same on a broker of one's own.
///
/// # Errors
/// [`StageError`] naming the step that failed.
pub async fn set_on(node: &PrivateNode, name: &str, config: &str) -> Result<Set, StageError> {
    if database::is_wanted() && !config.contains("[ledger]") {
        let section = database::section(database::server().await?);
        return staged(node, name, &format!("{config}\n{section}")).await;
    }
    staged(node, name, config).await
}

/// A stage of another province on the shared broker: its agencies and systems as they are imported.
///
/// # Errors
/// [`StageError`] naming the step that failed.
pub async fn set_of(name: &str, agencies: &str, systems: &str, config: &str) -> Result<Set, StageError> {
    let mut config = config.to_owned();
    if database::is_wanted() {
        config.push_str(&database::section(database::server().await?));
    }
    let province = (agencies, systems);
    province_at(&Reach::of_node(node().await?, name), name, province, &config).await
}

/// A stage of the sample province on the shared broker, with its ledger in PostgreSQL.
///
/// # Errors
/// [`StageError`] naming the step that failed.
pub async fn set_in_postgres(name: &str, config: &str) -> Result<Set, StageError> {
    let section = database::section(database::server().await?);
    staged(node().await?, name, &format!("{config}\n{section}")).await
}

async fn staged(node: &PrivateNode, name: &str, config: &str) -> Result<Set, StageError> {
    set_at(&Reach::of_node(node, name), name, config).await
}

/// The same on any broker that is reached so.
///
/// # Errors
/// [`StageError`] naming the step that failed.
pub async fn set_at(reach: &Reach, name: &str, config: &str) -> Result<Set, StageError> {
    province_at(reach, name, (AGENCIES, SYSTEMS), config).await
}

async fn province_at(
    reach: &Reach,
    name: &str,
    (agencies, systems): (&str, &str),
    config: &str,
) -> Result<Set, StageError> {
    let dir = tempfile::tempdir().map_err(|error| StageError(error.to_string()))?;
    let programs = programs()?;
    // Accounts belong to the whole broker: two stages must not make the same one at the same moment.
    let _one_at_a_time = SETTING_UP.lock().await;
    let setting = Setting {
        vhost: name,
        agencies,
        systems,
        config,
        programs: &programs,
    };
    let stage = Stage::set_up_on(reach, &dir.path().join("stage"), &setting).await?;
    Ok(Set { stage, _dir: dir })
}

/// Folder of the programs `truc` and `truc-folder`: beside the folder of the test programs.
///
/// # Errors
/// [`StageError`] when they are not built.
pub fn programs() -> Result<PathBuf, StageError> {
    let test = std::env::current_exe().map_err(|error| StageError(error.to_string()))?;
    let folder = test.ancestors().nth(2).unwrap_or(Path::new(".")).to_owned();
    for program in ["truc", "truc-folder"] {
        if !folder.join(program).exists() {
            return Err(StageError(format!(
                "{program} is not built in {}: run the tests by `make test`",
                folder.display()
            )));
        }
    }
    Ok(folder)
}

/// Root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A fresh `message_id`.
#[must_use]
pub fn fresh_id() -> MessageId {
    MessageId::new(SystemRandom::default().uuid_v7(SystemClock.now()))
}

/// Waits until nothing is on its way any more, to whatever inbox.
///
/// # Errors
/// [`StageError`] when that does not come.
pub async fn all_taken(ledger: &Ledger) -> Result<(), StageError> {
    until("everything to be taken", async || {
        let counts = ledger.inbox_counts().await.ok()?;
        counts
            .iter()
            .all(|c| c.scheduled + c.leased + c.forwarded == 0)
            .then_some(())
    })
    .await
}

/// Ends a scenario with a failure unless a condition holds.
///
/// # Errors
/// [`StageError`] with `what` when it does not.
pub fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), StageError> {
    if holds { Ok(()) } else { Err(StageError(what())) }
}
