//! A stage: one hub with its accounts, certificates, directory and adapters in a folder of its own, on a
//! virtual host of a private broker. The demo plays on one, and every scenario test on its own.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use truc_directory::{CertificateRow, Directory, Editor, ImportOptions, Validity as DatedValidity};
use truc_envelope::seal::SealingKey;
use truc_ledger::{DirectorySummary, Ledger, NewDirectory};
use truc_model::{Clock, Random, SystemClock, SystemId, SystemRandom};
use truc_transport::private_node::{PrivateCluster, PrivateNode};
use truc_transport::{Accounts, AmqpBroker, Broker, BrokerConfig};

use crate::app;
use crate::authority::{Authority, LeafKey, Validity, write_key_file};
use crate::config::{self, Config};

/// The sample province: agencies.
pub const AGENCIES: &str = include_str!("../../../../config/samples/tuyen-quang.csv");
/// The sample province: systems.
pub const SYSTEMS: &str = include_str!("../../../../config/samples/tuyen-quang-systems.csv");

/// Something of the stage could not be set up or read; the text says what and why.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct StageError(pub String);

/// Names what was being done when an error came.
pub trait Doing<T> {
    /// The error with `what` before it.
    ///
    /// # Errors
    /// The same as `self`.
    fn doing(self, what: &str) -> Result<T, StageError>;
}

impl<T, E: std::error::Error> Doing<T> for Result<T, E> {
    fn doing(self, what: &str) -> Result<T, StageError> {
        self.map_err(|error| StageError(format!("{what}: {}", crate::telemetry::chain(&error))))
    }
}

/// One connected system on the stage.
#[derive(Debug, Clone)]
pub struct Connected {
    /// Its id.
    pub id: SystemId,
    /// Its broker password.
    pub password: String,
    /// Its sealing key.
    pub key_file: PathBuf,
    /// Its certificate.
    pub certificate_file: PathBuf,
    /// The folder its adapter exchanges files in.
    pub folder: PathBuf,
}

/// See the module.
pub struct Stage {
    /// Everything lies below it.
    pub dir: PathBuf,
    /// The virtual host.
    pub vhost: String,
    /// The hub's configuration file.
    pub config_file: PathBuf,
    /// What it says.
    pub config: Config,
    /// The systems, by id.
    pub systems: BTreeMap<String, Connected>,
    /// The authority behind their certificates.
    pub authority: Authority,
    amqp: String,
    more_hosts: Vec<String>,
    programs: PathBuf,
}

/// How a stage's broker is reached, as its administrator.
#[derive(Debug)]
pub struct Reach {
    /// `amqp://` address with user, password and virtual host.
    pub admin_url: String,
    /// Further nodes of it.
    pub more_hosts: Vec<String>,
    /// Its management interfaces; at least one.
    pub management_urls: Vec<String>,
    /// The same, logged in.
    pub accounts: Accounts,
}

impl Reach {
    /// A private node.
    #[must_use]
    pub fn of_node(node: &PrivateNode, vhost: &str) -> Self {
        Self {
            admin_url: node.admin_amqp_url(vhost),
            more_hosts: Vec::new(),
            management_urls: vec![node.management_url()],
            accounts: node.accounts(vhost),
        }
    }

    /// All nodes of a private cluster.
    #[must_use]
    pub fn of_cluster(cluster: &PrivateCluster, vhost: &str) -> Self {
        Self {
            admin_url: cluster.nodes()[0].admin_amqp_url(vhost),
            more_hosts: cluster.hosts().split_off(1),
            management_urls: cluster.management_urls(),
            accounts: cluster.accounts(vhost),
        }
    }
}

/// What a stage is set up with.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// Virtual host, new on this broker.
    pub vhost: &'a str,
    /// CSV of agencies.
    pub agencies: &'a str,
    /// CSV of systems.
    pub systems: &'a str,
    /// TOML laid over the stage's own configuration.
    pub config: &'a str,
    /// Folder of the programs `truc` and `truc-folder`.
    pub programs: &'a Path,
}

impl Stage {
    /// Sets up everything but processes: accounts, certificates, configuration, tables, directory.
    ///
    /// # Errors
    /// [`StageError`] naming the step.
    pub async fn set_up(node: &PrivateNode, dir: &Path, setting: &Setting<'_>) -> Result<Self, StageError> {
        Self::set_up_on(&Reach::of_node(node, setting.vhost), dir, setting).await
    }

    /// The same on any broker.
    ///
    /// # Errors
    /// [`StageError`] naming the step.
    pub async fn set_up_on(reach: &Reach, dir: &Path, setting: &Setting<'_>) -> Result<Self, StageError> {
        std::fs::create_dir_all(dir).doing("making the stage's folder")?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(SystemRandom::default());
        let now = clock.now();

        let accounts = &reach.accounts;
        accounts.ensure_vhost().await.doing("making the virtual host")?;

        let validity = Validity {
            not_before: now
                .saturating_sub(SignedDuration::from_hours(24))
                .doing("dating the certificates")?,
            not_after: now
                .saturating_add(SignedDuration::from_hours(24 * 365))
                .doing("dating the certificates")?,
        };
        let authority = Authority::root("Tổ chức chứng thực thử nghiệm", validity, random.as_ref())
            .doing("making a root")?;
        let root_file = dir.join("root.pem");
        std::fs::write(&root_file, authority.certificate_pem()).doing("writing the root")?;

        let (config_file, config) = write_config(dir, reach, setting)?;

        let mut stage = Self {
            dir: dir.to_owned(),
            vhost: setting.vhost.to_owned(),
            config_file,
            config,
            systems: BTreeMap::new(),
            authority,
            amqp: host_of(&reach.admin_url),
            more_hosts: reach.more_hosts.clone(),
            programs: setting.programs.to_owned(),
        };
        crate::store::migrate(&stage.config)
            .await
            .doing("making the ledger's tables")?;
        let ledger = stage.ledger().await?;
        stage
            .fill_directory(&ledger, setting, clock.as_ref(), random.as_ref(), validity)
            .await?;

        let broker = AmqpBroker::connect(
            app::broker_config(&stage.config, "stage").doing("reading the broker's address")?,
        )
        .await
        .doing("connecting to the broker")?;
        let ids = stage.systems.values().map(|system| system.id.clone()).collect();
        broker
            .declare(&app::topology(&stage.config, ids))
            .await
            .doing("declaring the queues")?;
        broker.close().await;
        for system in stage.systems.values() {
            accounts
                .ensure_system(&system.id, &system.password)
                .await
                .doing("making an account")?;
        }
        Ok(stage)
    }

    async fn fill_directory(
        &mut self,
        ledger: &Ledger,
        setting: &Setting<'_>,
        clock: &dyn Clock,
        random: &dyn Random,
        validity: Validity,
    ) -> Result<(), StageError> {
        let options = ImportOptions {
            on: clock.today(),
            decision: None,
        };
        let systems =
            truc_directory::import_systems(&Directory::empty(), setting.systems.as_bytes(), &options);
        let agencies = truc_directory::import_agencies(&systems.next, setting.agencies.as_bytes(), &options);
        for problem in systems.problems.iter().chain(&agencies.problems) {
            if problem.severity == truc_directory::Severity::Error {
                return Err(StageError(format!("the sample directory: {problem}")));
            }
        }
        let ids: Vec<SystemId> = agencies.next.systems().map(|system| system.id.clone()).collect();
        let keys = self.dir.join("keys");
        std::fs::create_dir_all(&keys).doing("making the folder of keys")?;
        let mut editor = Editor::new(&agencies.next);
        for id in ids {
            let issued = self
                .authority
                .issue(&id, LeafKey::P256, validity, random)
                .doing("issuing a certificate")?;
            let key_file = keys.join(format!("{id}.key.pem"));
            let certificate_file = keys.join(format!("{id}.pem"));
            write_key_file(&key_file, &issued.key_pem).doing("writing a key")?;
            std::fs::write(&certificate_file, &issued.certificate_pem).doing("writing a certificate")?;
            let row = CertificateRow {
                pem: issued.certificate_pem,
                thumbprint: issued.thumbprint,
                valid: DatedValidity::ALWAYS,
            };
            editor.add_certificate(&id, row).doing("binding a certificate")?;
            let connected = Connected {
                // One account serves every virtual host of a broker, so its password must not differ.
                password: format!("stage-{id}"),
                key_file,
                certificate_file,
                folder: self.dir.join("folders").join(id.as_str()),
                id,
            };
            self.systems.insert(connected.id.to_string(), connected);
        }
        let directory = editor.finish();
        let current = app::directory(ledger).await.doing("reading the directory")?;
        ledger
            .save_directory(NewDirectory {
                expected_version: current.version(),
                version: directory.version(),
                json: directory.to_json(),
                who: "stage".to_owned(),
                summary: DirectorySummary {
                    added: u32::try_from(directory.agencies().len()).unwrap_or(u32::MAX),
                    ..DirectorySummary::default()
                },
            })
            .await
            .doing("saving the directory")
    }

    /// One system.
    ///
    /// # Errors
    /// [`StageError`] when there is none of that id.
    pub fn system(&self, id: &str) -> Result<&Connected, StageError> {
        self.systems
            .get(id)
            .ok_or_else(|| StageError(format!("no system {id} on the stage")))
    }

    /// The ledger, to ask it; beside a running hub.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be opened.
    pub async fn ledger(&self) -> Result<Ledger, StageError> {
        app::open_ledger(
            &self.config,
            Arc::new(SystemClock),
            Arc::new(SystemRandom::default()),
        )
        .await
        .doing("opening the ledger")
    }

    /// The directory in force.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be read.
    pub async fn directory(&self) -> Result<Directory, StageError> {
        app::directory(&self.ledger().await?)
            .await
            .doing("reading the directory")
    }

    /// `amqp://` address of a system's own account; `amqps://` where the hub itself speaks so.
    #[must_use]
    pub fn amqp_url(&self, system: &Connected) -> String {
        format!(
            "{}://{}:{}@{}/{}",
            self.scheme(),
            system.id,
            system.password,
            self.amqp,
            self.vhost
        )
    }

    fn scheme(&self) -> &str {
        self.config
            .broker
            .url
            .split_once("://")
            .map_or("amqp", |(scheme, _)| scheme)
    }

    /// `http://` address of the hub's service of large bodies, `https://` where it has a certificate; empty when there
    /// is none.
    #[must_use]
    pub fn bodies_url(&self) -> String {
        let bodies = &self.config.bodies;
        let scheme = if bodies.certificate.as_os_str().is_empty() {
            "http"
        } else {
            "https"
        };
        bodies
            .listen()
            .map_or_else(String::new, |listen| format!("{scheme}://{listen}"))
    }

    /// `host:port` of the broker's further nodes.
    #[must_use]
    pub fn more_hosts(&self) -> &[String] {
        &self.more_hosts
    }

    /// A connection under a system's own account, as an adapter in any language would have it.
    ///
    /// # Errors
    /// [`StageError`] when the broker refuses.
    pub async fn connect(&self, system: &Connected) -> Result<Arc<AmqpBroker>, StageError> {
        let url = self
            .amqp_url(system)
            .parse()
            .doing("reading the broker's address")?;
        let mut config = BrokerConfig::new(url, format!("stage {}", system.id))
            .with_more_hosts(&self.more_hosts)
            .doing("reading the broker's further hosts")?;
        if !self.config.broker.ca.as_os_str().is_empty() {
            let pem = std::fs::read_to_string(&self.config.broker.ca).doing("reading an authority")?;
            config.tls.ca_pem = Some(pem);
        }
        AmqpBroker::connect(config).await.doing("connecting")
    }

    /// A system's sealing key.
    ///
    /// # Errors
    /// [`StageError`] when it does not read.
    pub fn sealing_key(&self, system: &Connected) -> Result<SealingKey, StageError> {
        let key = std::fs::read_to_string(&system.key_file).doing("reading a key")?;
        let certificate = std::fs::read_to_string(&system.certificate_file).doing("reading a certificate")?;
        SealingKey::from_pem(&key, &certificate).doing("reading a key")
    }

    /// Starts the hub as a process of its own; `crash_at` is a kill point of test builds.
    ///
    /// # Errors
    /// [`StageError`] when the program cannot be started.
    pub fn start_hub(&self, crash_at: Option<&str>) -> Result<Process, StageError> {
        let mut command = Command::new(self.programs.join("truc"));
        command.arg("serve").arg("--config").arg(&self.config_file);
        self.start(command, "hub", crash_at)
    }

    /// Starts a further hub beside the first, under a name of its own.
    ///
    /// # Errors
    /// [`StageError`] when the program cannot be started.
    pub fn start_hub_named(&self, name: &str) -> Result<Process, StageError> {
        let mut config = self.config.clone();
        name.clone_into(&mut config.hub.name);
        let file = self.dir.join(format!("{name}.toml"));
        std::fs::write(&file, toml::to_string(&config).doing("writing a configuration")?)
            .doing("writing a configuration")?;
        let mut command = Command::new(self.programs.join("truc"));
        command.arg("serve").arg("--config").arg(&file);
        self.start(command, &format!("beside-{name}"), None)
    }

    /// Starts the folder adapter of a system.
    ///
    /// # Errors
    /// [`StageError`] when the program cannot be started.
    pub fn start_adapter(&self, system: &Connected, crash_at: Option<&str>) -> Result<Process, StageError> {
        std::fs::create_dir_all(&system.folder).doing("making an adapter's folder")?;
        let file = system.folder.join("folder.toml");
        let quoted = |path: &Path| toml::Value::from(path.display().to_string()).to_string();
        let text = format!(
            "dir = {}\nsystem = \"{}\"\nbroker = \"{}://{}/{}\"\nkey = {}\ncertificate = {}\npoll_ms = 100\n\
             more_broker_hosts = {:?}\nbodies = {:?}\nbroker_ca = {}\nbodies_ca = {}\n",
            quoted(&system.folder),
            system.id,
            self.scheme(),
            self.amqp,
            self.vhost,
            quoted(&system.key_file),
            quoted(&system.certificate_file),
            self.more_hosts,
            self.bodies_url(),
            // Who signed for the broker signed for the hub's service, too.
            quoted(&self.config.broker.ca),
            quoted(&self.config.broker.ca),
        );
        std::fs::write(&file, text).doing("writing an adapter's configuration")?;
        let mut command = Command::new(self.programs.join("truc-folder"));
        command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .env("TRUC_BROKER_PASSWORD", &system.password);
        self.start(command, &format!("adapter-{}", system.id), crash_at)
    }

    fn start(&self, mut command: Command, name: &str, crash_at: Option<&str>) -> Result<Process, StageError> {
        let path = self.dir.join(format!("{name}.log"));
        let log = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .doing("opening a log file")?;
        let log_too = log.try_clone().doing("opening a log file")?;
        command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .env_remove("TRUC_CRASH_AT");
        if let Some(step) = crash_at {
            command.env("TRUC_CRASH_AT", step);
        }
        let child = command.spawn().doing(&format!("starting {name}"))?;
        Ok(Process {
            child,
            name: name.to_owned(),
            log: path,
        })
    }
}

fn write_config(dir: &Path, reach: &Reach, setting: &Setting<'_>) -> Result<(PathBuf, Config), StageError> {
    let (url, password) = without_password(&reach.admin_url);
    let (management_url, more_management_urls) = match reach.management_urls.split_first() {
        Some((first, more)) => (first.as_str(), more),
        None => ("", &[][..]),
    };
    let more_hosts = &reach.more_hosts;
    let password_file = dir.join("broker-password");
    write_key_file(&password_file, &password).doing("writing the broker's password")?;
    let text = format!(
        "[broker]\nurl = {url:?}\nmore_hosts = {more_hosts:?}\nmanagement_url = {management_url:?}\n\
         more_management_urls = {more_management_urls:?}\npassword_file = \"broker-password\"\n\
         [ledger]\npath = \"truc.db\"\n\
         [seal]\nanchors = [\"root.pem\"]\n\
         [delivery]\npoll_ms = 200\nretry_min_ms = 100\nretry_max_ms = 1000\n\
         [directory]\nrefresh_ms = 500\n"
    );
    let mut table: toml::Table = text.parse().doing("writing the configuration")?;
    let over: toml::Table = setting
        .config
        .parse()
        .doing("reading the setting's configuration")?;
    config::lay_over(&mut table, over);
    let file = dir.join("truc.toml");
    std::fs::write(&file, toml::to_string(&table).doing("writing the configuration")?)
        .doing("writing the configuration")?;
    let config = config::load(Some(&file))
        .doing("reading the configuration")?
        .config;
    Ok((file, config))
}

/// `amqp://user:password@rest` as address without password, and password.
fn without_password(url: &str) -> (String, String) {
    let user_info = url
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('@'))
        .map_or("", |(user, _)| user);
    match user_info.split_once(':') {
        Some((user, password)) => (url.replacen(user_info, user, 1), password.to_owned()),
        None => (url.to_owned(), String::new()),
    }
}

fn host_of(url: &str) -> String {
    url.rsplit_once('@')
        .and_then(|(_, rest)| rest.split('/').next())
        .unwrap_or_default()
        .to_owned()
}

/// A process of the stage; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    /// Where its output goes.
    pub log: PathBuf,
}

impl Process {
    /// `hub`, or `adapter-<system>`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL: nothing of it is flushed or finished.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be waited for.
    pub fn kill(&mut self) -> Result<(), StageError> {
        let _ = self.child.kill();
        self.child
            .wait()
            .doing(&format!("waiting for {}", self.name))
            .map(|_| ())
    }

    /// Asks it to stop (SIGTERM) and waits.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be waited for.
    pub fn stop(&mut self) -> Result<std::process::ExitStatus, StageError> {
        if let Some(pid) = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        self.child.wait().doing(&format!("waiting for {}", self.name))
    }

    /// How it ended, when it has.
    ///
    /// # Errors
    /// [`StageError`] when it cannot be asked.
    pub fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, StageError> {
        self.child.try_wait().doing(&format!("waiting for {}", self.name))
    }

    /// The last lines of its output.
    #[must_use]
    pub fn log_tail(&self) -> String {
        const LINES: usize = 20;
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a condition is waited for before the stage gives up.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(50);

/// Waits until `condition` gives something.
///
/// # Errors
/// [`StageError`] naming `what` after [`PATIENCE`].
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> Result<T, StageError> {
    let looks = PATIENCE.as_millis() / LOOK_EVERY.as_millis();
    for _ in 0..looks {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Err(StageError(format!(
        "waited {} s in vain for: {what}",
        PATIENCE.as_secs()
    )))
}

/// The present moment, for documents and seals made on the stage.
#[must_use]
pub fn now() -> Timestamp {
    SystemClock.now()
}
