//! Where a run takes place: a private RabbitMQ, the ledger's store, a folder on the disk that is measured, and a
//! fresh stage for each round.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use truc_directory::{CertificateRow, Editor, Validity as DatedValidity};
use truc_envelope::dsig::SigningKey;
use truc_envelope::seal::SealingKey;
use truc_ledger::{DirectorySummary, NewDirectory};
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_model::{Random as _, SystemRandom};
use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};

use super::documents::{Sender, SenderKey};
use super::plan::{Cell, Signed, Store, queue_word};
use super::province::Province;
use crate::app;
use crate::authority::{LeafKey, Validity};
use crate::config::Config;
use crate::demo::stage::{Doing, Setting, Stage, StageError, now};

/// `statfs` type of a file system that lives in memory.
const TMPFS: i64 = 0x0102_1994;

/// See the module.
pub struct World {
    /// The broker.
    pub node: PrivateNode,
    /// Broker, ledgers and logs lie below it; goes when dropped.
    pub dir: Folder,
    /// PostgreSQL, once a measurement needs it.
    server: Option<PrivateServer>,
    /// The program `truc`: hub and forwarder.
    pub program: PathBuf,
    /// What [`measured`] gave.
    over: String,
    stages: usize,
}

impl World {
    /// Starts what every measurement needs, below `under` or else beside the program `truc`.
    ///
    /// # Errors
    /// [`StageError`] when there is no RabbitMQ, or the folder lies in memory.
    pub async fn start(program: &Path, under: Option<&Path>, over: String) -> Result<Self, StageError> {
        let beside = program.parent().unwrap_or(Path::new("."));
        let dir = Folder::make(under.unwrap_or(beside))?;
        let node = PrivateNode::start(PrivateNodeConfig::new(dir.0.join("broker")))
            .await
            .doing("starting RabbitMQ")?;
        Ok(Self {
            node,
            dir,
            server: None,
            program: program.to_owned(),
            over,
            stages: 0,
        })
    }

    /// A fresh stage of a province: virtual host, accounts, queues, ledger, directory. `config` is laid over the
    /// default configuration.
    ///
    /// # Errors
    /// [`StageError`] naming the step.
    pub async fn stage(
        &mut self,
        province: &Province,
        cell: &Cell,
        config: &str,
    ) -> Result<Stage, StageError> {
        self.stages += 1;
        let vhost = format!("bench-{}", self.stages);
        if cell.ledger == Store::Postgres && self.server.is_none() {
            let server = PrivateServer::start(PrivateServerConfig::new(self.dir.0.join("postgres"))).await;
            self.server = Some(server.doing("starting PostgreSQL")?);
        }
        let over = self.config(cell, config)?;
        let setting = Setting {
            vhost: &vhost,
            agencies: &province.agencies_csv(),
            systems: &province.systems_csv(),
            config: &over,
            programs: self.program.parent().unwrap_or(Path::new(".")),
        };
        Stage::set_up(&self.node, &self.dir.0.join(&vhost), &setting).await
    }

    /// How messages go out when a measurement says nothing else.
    ///
    /// # Errors
    /// [`StageError`] when what the operator has is no configuration.
    pub fn delivery(&self) -> Result<crate::config::Delivery, StageError> {
        let mut table = toml::Table::try_from(Config::default()).doing("writing the configuration")?;
        let over = self.over.parse().doing("reading the configuration")?;
        crate::config::lay_over(&mut table, over);
        let config: Config = table.try_into().doing("reading the configuration")?;
        Ok(config.delivery)
    }

    /// What a stage changes for its plays is as in the default again; then what the operator has, what the cell is about,
    /// and `more`.
    fn config(&self, cell: &Cell, more: &str) -> Result<String, StageError> {
        let (delivery, directory) = (self.delivery()?, Config::default().directory);
        let mut table: toml::Table = self.over.parse().doing("reading the configuration")?;
        let text = format!(
            "[broker]\nqueue_type = \"{}\"\n[delivery]\npoll_ms = {}\nretry_min_ms = {}\nretry_max_ms = {}\n\
             [directory]\nrefresh_ms = {}\n",
            queue_word(cell.queue),
            delivery.poll_ms,
            delivery.retry_min_ms,
            delivery.retry_max_ms,
            directory.refresh_ms,
        );
        crate::config::lay_over(&mut table, text.parse().doing("writing the configuration")?);
        if let (Store::Postgres, Some(server)) = (cell.ledger, &self.server) {
            let section = format!(
                "[ledger]\nkind = \"postgres\"\nurl = {:?}\npassword_file = {:?}\nschema = \"bench_{}\"\n",
                server.url_without_password("postgres"),
                server.password_file(),
                self.stages
            );
            crate::config::lay_over(&mut table, section.parse().doing("writing the configuration")?);
        }
        crate::config::lay_over(&mut table, more.parse().doing("reading the configuration")?);
        toml::to_string(&table).doing("writing the configuration")
    }

    /// The broker's own process.
    ///
    /// # Errors
    /// [`StageError`] when it wrote none.
    pub fn broker_pid(&self) -> Result<u32, StageError> {
        let file = self.node.dir().join("node.pid");
        let text = std::fs::read_to_string(file).doing("finding the broker's process")?;
        text.trim().parse().doing("finding the broker's process")
    }

    /// The first process of the ledger's store, when it has any.
    ///
    /// # Errors
    /// [`StageError`] when it wrote none.
    pub fn store_pid(&self, cell: &Cell) -> Result<Option<u32>, StageError> {
        let (Store::Postgres, Some(server)) = (cell.ledger, &self.server) else {
            return Ok(None);
        };
        let file = server.dir().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file).doing("finding PostgreSQL's process")?;
        let first = text.lines().next().unwrap_or_default();
        first
            .trim()
            .parse()
            .doing("finding PostgreSQL's process")
            .map(Some)
    }
}

/// The systems that submit, with keys for the way they sign; those of RSA are made and bound to them here.
///
/// # Errors
/// [`StageError`] when OpenSSL is missing for RSA, or the directory does not take a certificate.
pub async fn senders(stage: &Stage, systems: &[String], signed: Signed) -> Result<Vec<Sender>, StageError> {
    let mut senders = Vec::with_capacity(systems.len());
    if !signed.needs_rsa() {
        for id in systems {
            let system = stage.system(id)?;
            senders.push(Sender {
                id: system.id.clone(),
                key: SenderKey::Seal(Box::new(stage.sealing_key(system)?)),
            });
        }
        return Ok(senders);
    }
    // One key pair for all: what is measured is verifying, and OpenSSL takes its time.
    let key_pem = rsa_key()?;
    let ledger = stage.ledger().await?;
    let directory = app::directory(&ledger).await.doing("reading the directory")?;
    let mut editor = Editor::new(&directory);
    let day = jiff::SignedDuration::from_hours(24);
    let validity = Validity {
        not_before: now().saturating_sub(day).doing("dating a certificate")?,
        not_after: now().saturating_add(day * 30).doing("dating a certificate")?,
    };
    let random = SystemRandom::default();
    for id in systems {
        let id = stage.system(id)?.id.clone();
        let issued = stage
            .authority
            .issue(&id, LeafKey::Pkcs8Pem(&key_pem), validity, &random)
            .doing("issuing a certificate")?;
        let row = CertificateRow {
            pem: issued.certificate_pem.clone(),
            thumbprint: issued.thumbprint,
            valid: DatedValidity::ALWAYS,
        };
        editor.add_certificate(&id, row).doing("binding a certificate")?;
        let key = if signed == Signed::XmlRsa {
            let key = SigningKey::from_pem(&issued.key_pem, &issued.certificate_pem);
            SenderKey::Xml(Box::new(key.doing("reading a key")?))
        } else {
            let key = SealingKey::from_pem(&issued.key_pem, &issued.certificate_pem);
            SenderKey::Seal(Box::new(key.doing("reading a key")?))
        };
        senders.push(Sender { id, key });
    }
    let next = editor.finish();
    ledger
        .save_directory(NewDirectory {
            expected_version: directory.version(),
            version: next.version(),
            json: next.to_json(),
            who: "bench".to_owned(),
            summary: DirectorySummary::default(),
        })
        .await
        .doing("saving the directory")?;
    Ok(senders)
}

fn rsa_key() -> Result<String, StageError> {
    let output = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .stdin(Stdio::null())
        .output()
        .doing("making an RSA key with openssl")?;
    if !output.status.success() {
        return Err(StageError("openssl made no RSA key".to_owned()));
    }
    String::from_utf8(output.stdout).doing("reading an RSA key")
}

/// What a measurement takes over from an operator's configuration, as TOML: how the hub works, not where things are and
/// whom it tells.
#[must_use]
pub fn measured(config: &Config) -> String {
    const SECTIONS: [&str; 5] = ["broker.", "ledger.", "intake.", "delivery.", "inspect."];
    const OF_THE_CELL: [&str; 3] = ["broker.queue_type", "broker.ca", "ledger.kind"];
    let keys = differences(config);
    let keys = keys.into_iter().filter(|line| {
        let is_named = |keys: &[&str]| keys.iter().any(|key| line.starts_with(key));
        is_named(&SECTIONS) && !is_named(&OF_THE_CELL)
    });
    keys.collect::<Vec<_>>().join("\n")
}

/// A key of the configuration that is not as in the default, without those that only say where things are.
#[must_use]
pub fn differences(config: &Config) -> Vec<String> {
    const PLACES: [&str; 11] = [
        "bodies.dir",
        "broker.url",
        "broker.more_hosts",
        "broker.management_url",
        "broker.more_management_urls",
        "broker.password_file",
        "ledger.path",
        "ledger.url",
        "ledger.password_file",
        "ledger.schema",
        "seal.anchors",
    ];
    let flat = |config: &Config| {
        let mut keys = Vec::new();
        if let Ok(table) = toml::Table::try_from(config) {
            for (section, values) in &table {
                for (key, value) in values.as_table().into_iter().flatten() {
                    keys.push((format!("{section}.{key}"), value.to_string()));
                }
            }
        }
        keys
    };
    let default = flat(&Config::default());
    flat(config)
        .into_iter()
        .filter(|pair| !PLACES.contains(&pair.0.as_str()) && !default.contains(pair))
        .map(|(key, value)| format!("{key} = {value}"))
        .collect()
}

/// A folder that goes with the run.
pub struct Folder(pub PathBuf);

impl Folder {
    fn make(under: &Path) -> Result<Self, StageError> {
        let random = SystemRandom::default();
        let mut name = [0; 6];
        random.fill(&mut name);
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let dir = under.join(format!("truc-bench-{name}"));
        std::fs::create_dir_all(&dir)
            .doing(&format!("making {} (choose another with --dir)", dir.display()))?;
        let folder = Self(dir);
        let kind = rustix::fs::statfs(&folder.0)
            .doing("asking for the file system")?
            .f_type;
        if kind == TMPFS {
            return Err(StageError(format!(
                "{} lies in memory (tmpfs), where keeping costs nothing: choose a folder on a disk with --dir",
                under.display()
            )));
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_named() {
        let mut config = Config::default();
        assert_eq!(differences(&config), Vec::<String>::new());
        config.delivery.window = 7;
        config.ledger.path = "elsewhere.db".into();
        assert_eq!(differences(&config), ["delivery.window = 7"]);
        config.broker.queue_type = crate::config::QueueType::Quorum;
        config.hub.name = "another".to_owned();
        assert_eq!(measured(&config), "delivery.window = 7");
    }
}
