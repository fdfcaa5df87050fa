//! A province whose wires are encrypted, and whose authority only those trust who are told to: the hub and its adapters
//! reach RabbitMQ by `amqps`, large packets travel by HTTPS.
//!
//! The private node listens in clear text, too: its harness asks it there whether it is ready. Nothing of the stage does.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use truc_adapter_sdk::bodies::digest_of;
use truc_adapter_sdk::{BodyClient, BodyClientConfig, BodyTransferError};
use truc_model::{Clock, SeededRandom, SystemClock};
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Reach, Stage, StageError};
use truc_tests::{all_taken, check, own_node, play, set_at};
use truc_transport::private_node::PrivateNode;
use truc_transport::{AmqpBroker, BrokerConfig};

const SENDER: &str = "so-tnmt";
const RECIPIENT: &str = "huyen-tuyen-quang";
const FROM: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const TO: (&str, &str) = ("000.00.34.H60", "UBND huyện Hàm Yên");

/// Bytes of a letter that travels apart.
const LARGE: usize = 3 << 20;

/// Files of an authority of its own, and of what it signed for this machine.
struct Files {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

fn issue(dir: &Path) -> Result<Files, StageError> {
    let what = "issuing a certificate";
    let mut authority = CertificateParams::new(Vec::<String>::new()).doing(what)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let key = KeyPair::generate().doing(what)?;
    let own = authority.self_signed(&key).doing(what)?;
    let issuer = Issuer::new(authority, key);
    let names = ["127.0.0.1", "localhost"].map(str::to_owned);
    let key = KeyPair::generate().doing(what)?;
    let leaf = CertificateParams::new(names.to_vec()).doing(what)?;
    let leaf = leaf.signed_by(&key, &issuer).doing(what)?;
    let write = |name: &str, text: String| {
        let path = dir.join(name);
        std::fs::write(&path, text).doing("writing a certificate")?;
        Ok::<_, StageError>(path)
    };
    Ok(Files {
        authority: write("authority.pem", own.pem())?,
        certificate: write("server.pem", leaf.pem())?,
        key: write("server.key", key.serialize_pem())?,
    })
}

fn free_port() -> Result<u16, StageError> {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    Ok(listener.doing("looking for a free port")?.port())
}

/// A broker of one's own that speaks TLS, too; and its port for that.
async fn encrypted_node(files: &Files) -> Result<(PrivateNode, TempDir, u16), StageError> {
    let (mut node, dir) = own_node().await?;
    let port = free_port()?;
    node.stop().await.doing("stopping the broker")?;
    let config = node.dir().join("rabbitmq.conf");
    let mut file = std::fs::File::options()
        .append(true)
        .open(config)
        .doing("opening the broker's configuration")?;
    write!(
        file,
        "listeners.ssl.local = 127.0.0.1:{port}\n\
         ssl_options.cacertfile = {}\n\
         ssl_options.certfile = {}\n\
         ssl_options.keyfile = {}\n\
         ssl_options.verify = verify_none\n\
         ssl_options.fail_if_no_peer_cert = false\n",
        files.authority.display(),
        files.certificate.display(),
        files.key.display(),
    )
    .doing("writing the broker's configuration")?;
    node.start_again().await.doing("starting the broker again")?;
    Ok((node, dir, port))
}

async fn sent(
    sender: &Connected,
    recipient: &Connected,
    name: &str,
    number: u32,
    filler: usize,
) -> Result<(), StageError> {
    let letter = Draft::letter(FROM, &[TO], number, SystemClock.today());
    folders::send(sender, name, &Draft { filler, ..letter }.packet())?;
    let receipt = folders::receipt(sender, name).await?;
    let document = receipt["document"].as_str().unwrap_or_default();
    folders::arrival(recipient, document).await.map(drop)
}

/// Who is not told of the authority reaches neither the broker nor the service.
async fn strangers_turn_away(stage: &Stage, system: &Connected) -> Result<(), StageError> {
    let url = stage.amqp_url(system).parse().doing("reading an address")?;
    let mut config = BrokerConfig::new(url, "stranger");
    config.connect_timeout = Duration::from_secs(5);
    let reached = AmqpBroker::connect(config).await;
    check(reached.is_err(), || {
        "the broker was trusted by whoever came".to_owned()
    })?;
    let path = stage.dir.join("any");
    std::fs::write(&path, b"any bytes").doing("writing a file")?;
    let (body, size) = digest_of(&path).doing("reading a file")?;
    let mut config = BodyClientConfig::new(&stage.bodies_url(), system.id.clone(), &system.password);
    config.patience = Duration::ZERO;
    let client = BodyClient::new(config, Arc::new(SeededRandom::new(1))).doing("making a client")?;
    let sent = client.upload(&path, body, size, None).await;
    check(matches!(sent, Err(BodyTransferError::Unreachable(_))), || {
        format!("the service was trusted by whoever came: {sent:?}")
    })
}

#[test]
fn hub_and_adapters_speak_tls_with_broker_and_bodies() {
    play(async {
        let dir = tempfile::tempdir().doing("making a folder")?;
        let files = issue(dir.path())?;
        let (node, _node_dir, port) = encrypted_node(&files).await?;
        let plain = format!("amqp://{}", PrivateNode::ADMIN);
        let encrypted = format!("amqps://{}", PrivateNode::ADMIN);
        let admin_url = node
            .admin_amqp_url("tls")
            .replacen(&plain, &encrypted, 1)
            .replacen(&format!(":{}/", node.amqp_port()), &format!(":{port}/"), 1);
        let reach = Reach {
            admin_url,
            more_hosts: Vec::new(),
            management_urls: vec![node.management_url()],
            accounts: node.accounts("tls"),
        };
        let config = format!(
            "[broker]\nca = {:?}\n[bodies]\nlisten = \"127.0.0.1:{}\"\ndisk_floor_mb = 1\ncertificate = {:?}\nkey = {:?}\n",
            files.authority,
            free_port()?,
            files.certificate,
            files.key,
        );
        let set = set_at(&reach, "tls", &config).await?;
        let stage = &set.stage;
        let (sender, recipient) = (stage.system(SENDER)?, stage.system(RECIPIENT)?);
        check(stage.amqp_url(sender).starts_with("amqps://"), || {
            stage.amqp_url(sender)
        })?;
        check(stage.bodies_url().starts_with("https://"), || stage.bodies_url())?;
        let mut hub = stage.start_hub(None)?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(recipient, None)?,
        ];
        sent(sender, recipient, "small", 1, 0).await?;
        sent(sender, recipient, "large", 2, LARGE).await?;
        let ledger = stage.ledger().await?;
        all_taken(&ledger).await?;
        let kept = ledger.kept_bodies(None, 10).await.doing("asking for bodies")?;
        let apart = kept.iter().filter(|kept| kept.size > LARGE as u64).count();
        check(apart == 1, || {
            format!("the large one did not travel apart: {kept:?}")
        })?;

        // Everybody on the virtual host is encrypted.
        let listed = node
            .rabbitmqctl(&["list_connections", "vhost", "ssl"])
            .await
            .doing("listing connections")?;
        let of_stage: Vec<&str> = listed.lines().filter(|line| line.starts_with("tls")).collect();
        let all = of_stage.iter().all(|line| line.ends_with("true"));
        check(of_stage.len() >= 3 && all, || listed.clone())?;
        strangers_turn_away(stage, sender).await?;
        let status = hub.stop()?;
        check(status.success(), || format!("{status}:\n{}", hub.log_tail()))
    });
}
