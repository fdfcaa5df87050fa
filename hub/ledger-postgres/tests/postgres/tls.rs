//! The way to the server is sealed where the address asks for it: by rustls, against the authority it names.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use sqlx::{Connection as _, Row as _};
use truc_ledger::contract::kit::Hub;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_ledger_postgres::{PostgresSettings, PostgresStore};

use crate::bench::{Anew, open_dir, shell};

/// Makes a certificate for 127.0.0.1 that vouches for itself, and its key.
fn certificate(dir: &Path, name: &str) {
    let config = "[req]\ndistinguished_name = dn\nx509_extensions = v3\nprompt = no\n[dn]\nCN = csdl\n\
         [v3]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";
    std::fs::write(dir.join("csdl.cnf"), config).unwrap();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-config", "csdl.cnf"])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.pem")])
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[tokio::test]
async fn an_address_that_asks_for_it_is_sealed_and_verified() {
    let dir = open_dir();
    let files = dir.path().join("server");
    let config = PrivateServerConfig::new(&files);
    // Made once without, so that the directory is there and belongs to the server's user.
    let mut server = PrivateServer::start(config).await.unwrap();
    server.stop().await.unwrap();
    for name in ["csdl", "stranger"] {
        certificate(&files, name);
    }
    let owner = std::fs::metadata(&files).unwrap();
    for file in ["csdl.pem", "csdl.key"] {
        let file = files.join(file);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(&file, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    server.set("ssl", "on");
    server.set("ssl_cert_file", &files.join("csdl.pem").display().to_string());
    server.set("ssl_key_file", &files.join("csdl.key").display().to_string());
    server.start_again().await.unwrap();

    let sealed = |authority: &str| {
        let authority = files.join(authority);
        let way = format!("sslmode=verify-full&sslrootcert={}", authority.display());
        PostgresSettings::new(server.url("postgres").replace("sslmode=disable", &way))
    };
    let settings = sealed("csdl.pem");
    let hub = Hub::open(&Anew(settings.clone())).await;
    hub.accept(hub.document("1")).await;
    hub.sound().await;
    let mut shell = shell(&settings).await;
    let open: i64 = sqlx::query(
        "SELECT count(*) AS n FROM pg_stat_ssl AS s JOIN pg_stat_activity AS a USING (pid) \
         WHERE a.application_name LIKE 'truc%' AND NOT s.ssl",
    )
    .fetch_one(&mut shell)
    .await
    .unwrap()
    .get("n");
    assert_eq!(open, 0, "every connection of the hub is sealed");
    let version: String = sqlx::query("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        .fetch_one(&mut shell)
        .await
        .unwrap()
        .get("version");
    assert_eq!(version, "TLSv1.3");
    shell.close().await.unwrap();

    // Another authority, or another name: nobody is talked to.
    assert!(PostgresStore::open(&sealed("stranger.pem")).await.is_err());
    let mut elsewhere = settings.clone();
    elsewhere.url = elsewhere.url.replace("127.0.0.1", "localhost");
    let error = PostgresStore::open(&elsewhere).await.unwrap_err();
    assert!(error.is_the_machines(), "{error:?}");
}
