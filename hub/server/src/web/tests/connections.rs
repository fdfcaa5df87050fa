//! Who may come in, and how long a connection may keep the hub waiting.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use truc_bodies::UploadStatus;
use truc_model::{BodyProblemCode, Sha256, SystemId};

use super::client::{Client, login};
use super::{Kit, bytes};

/// Nothing here takes so long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it ends within its time")
}

#[tokio::test]
async fn only_systems_come_in() {
    let kit = Kit::new().await;
    let digest = Sha256::of(b"x");
    let ask = async |authorization: &str| {
        let mut client = kit.client().await;
        let text = format!("GET /bodies/{digest} HTTP/1.1\r\nhost: hub\r\n{authorization}\r\n");
        client.raw(text.as_bytes()).await;
        client.answer(false).await
    };
    let basic = |pair: &str| format!("authorization: Basic {}\r\n", STANDARD.encode(pair));
    for (authorization, code) in [
        (String::new(), BodyProblemCode::CredentialsMissing),
        (
            "authorization: Bearer x\r\n".to_owned(),
            BodyProblemCode::CredentialsMissing,
        ),
        (basic("so-tnmt:wrong"), BodyProblemCode::CredentialsRefused),
        (basic("so-tnmt:away"), BodyProblemCode::CredentialsUnchecked),
        (
            basic("switched-off:ffo-dehctiws"),
            BodyProblemCode::SystemNotServed,
        ),
        (basic("so-tnmt:tmnt-os"), BodyProblemCode::BodyUnknown),
    ] {
        let answer = ask(&authorization).await;
        assert_eq!(answer.code(), code, "{authorization}");
        if answer.status == 401 {
            assert!(answer.header("www-authenticate").starts_with("Basic realm="));
        }
    }
    // Nor does anyone else learn which paths there are.
    let mut client = kit.client().await;
    client.raw(b"GET /admin HTTP/1.1\r\nhost: hub\r\n\r\n").await;
    assert_eq!(
        client.answer(false).await.code(),
        BodyProblemCode::CredentialsMissing
    );
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let kit = Kit::new().await;
    let mut client = kit.client().await;
    for number in 0..5_u64 {
        let data = bytes(number, 100_000);
        let path = format!("/bodies/{}", Sha256::of(&data));
        client.send(&format!("PUT {path}"), "so-tnmt", &data).await;
        assert_eq!(client.answer(false).await.status, 201);
        client.send(&format!("GET {path}"), "so-tnmt", b"").await;
        assert_eq!(client.answer(false).await.body, data);
    }
}

#[tokio::test]
async fn a_head_that_never_ends_and_an_idle_connection_are_closed() {
    let kit = Kit::with(|settings| settings.idle_s = 1).await;
    let mut slow = kit.client().await;
    slow.raw(b"GET /bodies/ HTTP/1.1\r\nhost: h").await;
    let mut used = kit.client().await;
    used.send(&format!("GET /bodies/{}", Sha256::of(b"x")), "so-tnmt", b"")
        .await;
    assert_eq!(used.answer(false).await.status, 404);
    soon(slow.ended()).await;
    soon(used.ended()).await;
}

#[tokio::test]
async fn an_upload_that_stands_still_is_answered_and_kept() {
    let kit = Kit::with(|settings| settings.idle_s = 1).await;
    let data = bytes(1, 1000);
    let path = format!("/bodies/{}", Sha256::of(&data));
    let mut client = kit.client().await;
    client
        .send(
            &format!("PUT {path}\ncontent-length: 1000"),
            "so-tnmt",
            &data[..600],
        )
        .await;
    let answer = soon(client.answer(false)).await;
    let problem = answer.problem();
    assert_eq!(
        (problem.code, problem.offset),
        (BodyProblemCode::TransferIdle, Some(600))
    );
    let rest = format!("PUT {path}\ncontent-range: bytes 600-999/1000");
    assert_eq!(kit.ask(&rest, "so-tnmt", &data[600..]).await.status, 201);
}

#[tokio::test]
async fn a_client_that_does_not_read_gives_its_place_back() {
    let kit = Kit::with(|settings| {
        settings.idle_s = 1;
        settings.transfers_max = 1;
    })
    .await;
    // More than the system keeps for a connection.
    let data = bytes(2, 24 * 1024 * 1024);
    let path = format!("/bodies/{}", Sha256::of(&data));
    kit.ask(&format!("PUT {path}"), "so-tnmt", &data).await;
    let mut deaf = kit.client().await;
    deaf.send(&format!("GET {path}"), "so-tnmt", b"").await;
    // It is being served.
    assert_eq!(soon(deaf.status()).await, 200);
    let limited = kit
        .ask(&format!("GET {path}\nrange: bytes=0-0"), "so-tnmt", b"")
        .await;
    assert_eq!(limited.code(), BodyProblemCode::TransfersLimited);
    // Another system is not held up.
    let small = kit
        .ask(&format!("PUT /bodies/{}", Sha256::of(b"s")), "xa-a", b"s")
        .await;
    assert_eq!(small.status, 201);
    soon(async {
        while kit
            .ask(&format!("GET {path}\nrange: bytes=0-0"), "so-tnmt", b"")
            .await
            .status
            != 206
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(deaf);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_their_turn() {
    let kit = Kit::with(|settings| settings.connections_max = 1).await;
    let head = format!("GET /bodies/{}", Sha256::of(b"x"));
    let mut first = kit.client().await;
    first.send(&head, "so-tnmt", b"").await;
    assert_eq!(first.answer(false).await.status, 404);
    let mut second = kit.client().await;
    second.send(&head, "so-tnmt", b"").await;
    // The first is served, the second is not.
    first.send(&head, "so-tnmt", b"").await;
    assert_eq!(first.answer(false).await.status, 404);
    drop(first);
    assert_eq!(soon(second.answer(false)).await.status, 404);
}

#[tokio::test]
async fn heads_have_a_size() {
    let kit = Kit::new().await;
    let mut client = kit.client().await;
    // Twice: what is read at once can be a little more than the limit.
    let long = "a".repeat(2 * super::super::listener::HEAD_BYTES);
    let text = format!("GET /bodies/1 HTTP/1.1\r\nhost: hub\r\nx: {long}\r\n\r\n");
    client.raw(text.as_bytes()).await;
    assert_eq!(soon(client.answer(false)).await.status, 431);
    let mut client = kit.client().await;
    let many = "x: y\r\n".repeat(super::super::listener::HEADERS_MAX + 1);
    client
        .raw(format!("GET /bodies/1 HTTP/1.1\r\nhost: hub\r\n{many}\r\n").as_bytes())
        .await;
    assert_eq!(soon(client.answer(false)).await.status, 431);
}

#[tokio::test]
async fn a_stopping_hub_finishes_what_it_has_in_hand() {
    let kit = Kit::new().await;
    let data = bytes(3, 1000);
    let body = Sha256::of(&data);
    let mut client = kit.client().await;
    client
        .send(
            &format!("PUT /bodies/{body}\ncontent-length: 1000"),
            "so-tnmt",
            &data[..600],
        )
        .await;
    let who = SystemId::new("so-tnmt").unwrap();
    while kit.store.status(&who, body).await.unwrap() == UploadStatus::Nothing {
        tokio::task::yield_now().await;
    }
    kit.stop.send(true).unwrap();
    client.raw(&data[600..]).await;
    assert_eq!(soon(client.answer(false)).await.status, 201);
    soon(kit.served).await.unwrap();
    assert!(TcpStream::connect(kit.address).await.is_err());
}

#[tokio::test]
async fn by_tls_and_not_otherwise() {
    let named = rcgen::generate_simple_self_signed(vec!["hub.example".to_owned()]).unwrap();
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = (files.path().join("hub.pem"), files.path().join("hub.key"));
    std::fs::write(&certificate, named.cert.pem()).unwrap();
    std::fs::write(&key, named.signing_key.serialize_pem()).unwrap();
    let kit = Kit::with(|settings| {
        settings.certificate.clone_from(&certificate);
        settings.key.clone_from(&key);
    })
    .await;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from(named.cert.der().to_vec()))
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(kit.address).await.unwrap();
    let name = ServerName::try_from("hub.example").unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut client = Client::on(connector.connect(name, tcp).await.unwrap());
    let data = bytes(4, 500_000);
    let path = format!("/bodies/{}", Sha256::of(&data));
    client.send(&format!("PUT {path}"), "so-tnmt", &data).await;
    assert_eq!(client.answer(false).await.status, 201);
    client.send(&format!("GET {path}"), "so-tnmt", b"").await;
    assert_eq!(client.answer(false).await.body, data);
    // In clear text there is no answer.
    let mut clear = kit.client().await;
    clear
        .raw(format!("GET {path} HTTP/1.1\r\nhost: hub\r\n{}\r\n\r\n", login("so-tnmt")).as_bytes())
        .await;
    let said = soon(clear.ended()).await;
    assert!(!said.starts_with(b"HTTP"), "{said:?}");
}
