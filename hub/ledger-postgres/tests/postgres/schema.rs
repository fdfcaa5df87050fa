//! Versions of the tables, and servers that cannot keep a ledger.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Executor as _};
use tokio::task::JoinSet;
use truc_ledger::StoreError;
use truc_ledger::contract::kit::Hub;
use truc_ledger_postgres::private_server::{PrivateServer, PrivateServerConfig};
use truc_ledger_postgres::{PostgresSettings, PostgresStore, SCHEMA_VERSION};

use crate::bench::{Anew, fresh, open_dir, shell};

#[tokio::test]
async fn versions_of_the_tables() {
    let settings = fresh().await;
    assert_eq!(PostgresStore::schema_version(&settings).await.unwrap(), 0);
    let missing = PostgresStore::open(&settings).await.unwrap_err();
    assert!(
        matches!(missing, StoreError::Schema { found: 0, .. }),
        "{missing}"
    );
    let made = PostgresStore::migrate(&settings).await.unwrap();
    assert_eq!((made.from, made.to), (0, SCHEMA_VERSION));
    let again = PostgresStore::migrate(&settings).await.unwrap();
    assert_eq!((again.from, again.to), (SCHEMA_VERSION, SCHEMA_VERSION));
    PostgresStore::open(&settings).await.unwrap().close().await;

    let newer = format!("UPDATE ledger_version SET version = {}", SCHEMA_VERSION + 1);
    let mut shell = shell(&settings).await;
    shell.execute(sqlx::raw_sql(AssertSqlSafe(newer))).await.unwrap();
    for outcome in [
        PostgresStore::open(&settings).await.map(drop),
        PostgresStore::migrate(&settings).await.map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(
            matches!(error, StoreError::Schema { found, expected } if (found, expected) == (SCHEMA_VERSION + 1, SCHEMA_VERSION)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn hubs_that_start_at_once_migrate_once() {
    let settings = fresh().await;
    let mut starting = JoinSet::new();
    for _ in 0..8 {
        let settings = settings.clone();
        starting.spawn(async move { PostgresStore::migrate(&settings).await.unwrap() });
    }
    let done = starting.join_all().await;
    let made = done.iter().filter(|done| done.from == 0).count();
    assert_eq!(made, 1, "{done:?}");
    assert!(done.iter().all(|done| done.to == SCHEMA_VERSION));
    Hub::open(&Anew(settings)).await.sound().await;
}

#[tokio::test]
async fn tables_of_another_program_are_left_alone() {
    let settings = fresh().await;
    let mut shell = shell(&settings).await;
    let foreign = format!(
        "CREATE SCHEMA {0}; CREATE TABLE {0}.notes (x int)",
        settings.schema
    );
    shell
        .execute(sqlx::raw_sql(AssertSqlSafe(foreign)))
        .await
        .unwrap();
    let error = PostgresStore::migrate(&settings).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error:?}");
    assert!(PostgresStore::open(&settings).await.is_err());
}

/// What it is that cannot be used stands in the error's cause.
fn cause(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

#[tokio::test]
async fn a_server_that_does_not_flush_is_refused() {
    let dir = open_dir();
    let config = PrivateServerConfig::new(dir.path().join("server")).with("fsync", "off");
    let server = PrivateServer::start(config).await.unwrap();
    let settings = PostgresSettings::new(server.url("postgres"));
    let error = PostgresStore::migrate(&settings).await.unwrap_err();
    assert!(cause(&error).contains("fsync"), "{}", cause(&error));

    // Turned off later, it is found when a hub starts, and when a writer connects again.
    drop(server);
    let config = PrivateServerConfig::new(dir.path().join("server"));
    let mut server = PrivateServer::start(config).await.unwrap();
    let mut settings = PostgresSettings::new(server.url("postgres"));
    settings.connect_timeout = Duration::from_secs(1);
    let store = crate::bench::opened(&settings).await;
    server.stop().await.unwrap();
    server.set("fsync", "off");
    server.start_again().await.unwrap();
    let refused = truc_ledger::Store::begin(&store).await.err().unwrap();
    assert!(
        matches!(refused, StoreError::Backend(_) | StoreError::Unreachable(_)),
        "{refused:?}"
    );
    assert!(PostgresStore::open(&settings).await.is_err());

    // Letters of every language: a database of another encoding is refused too.
    server.stop().await.unwrap();
    server.set("fsync", "on");
    server.start_again().await.unwrap();
    let latin = "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0";
    server.execute("postgres", latin).await.unwrap();
    let error = PostgresStore::migrate(&PostgresSettings::new(server.url("latin")))
        .await
        .unwrap_err();
    assert!(cause(&error).contains("UTF8"), "{}", cause(&error));
    // No server at all, and a wrong password, are troubles of the machine and pass.
    let wrong = server.url("postgres").replace(server.password(), "wrong");
    let error = PostgresStore::open(&PostgresSettings::new(wrong))
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unreachable(_)), "{error:?}");
    server.stop().await.unwrap();
    let error = PostgresStore::open(&settings).await.unwrap_err();
    assert!(error.is_the_machines(), "{error:?}");
}
