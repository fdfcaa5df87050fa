//! The webhook: an HTTP POST of JSON that proves where it comes from.
//!
//! The proof is an HMAC-SHA256 with the shared secret over the time, a full stop and the body: a recipient
//! that checks it, and that the time is near, knows that the message is the hub's, whole, and not an old one
//! played again. The message's id is the same at every attempt, so that it can be recognised.
//!
//! Redirects are not followed, answers are read up to a limit, no proxy of the environment is asked. The files
//! are read at each attempt: a new secret or anchor needs no restart.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use ring::hmac;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::channel::{CA_MAX, Outlet, SendError, Sent, read, read_secret};
use super::message::Message;
use crate::config::alert::Webhook;

/// Header with the message's id.
pub const ID_HEADER: &str = "truc-alert-id";

/// Header with the time of the attempt: whole seconds since 1970 in UTC.
pub const TIMESTAMP_HEADER: &str = "truc-alert-timestamp";

/// Header with the proof: `sha256=` and 64 hexadecimal digits.
pub const SIGNATURE_HEADER: &str = "truc-alert-signature";

/// Shortest secret, in bytes: as long as the proof itself.
pub const SECRET_MIN: usize = 32;

/// Most bytes of an answer that are read; what it says beyond its status does not matter.
pub const ANSWER_MAX: u64 = 4096;

/// See the module.
pub struct WebhookChannel(Arc<Webhook>);

impl WebhookChannel {
    /// The channel a configuration describes.
    #[must_use]
    pub fn new(webhook: Webhook) -> Self {
        Self(Arc::new(webhook))
    }
}

#[async_trait]
impl Outlet for WebhookChannel {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let (settings, message) = (Arc::clone(&self.0), message.clone());
        // The client blocks; messages are few.
        tokio::task::spawn_blocking(move || post(&settings, &message))
            .await
            .unwrap_or_else(|ended| Err(SendError::Form(ended.into())))
    }
}

/// The proof for a body at a time.
#[must_use]
pub fn sign(secret: &[u8], timestamp: Timestamp, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_second().to_string().as_bytes());
    context.update(b".");
    context.update(body);
    let digits: String = context
        .sign()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256={digits}")
}

fn post(settings: &Webhook, message: &Message) -> Result<Sent, SendError> {
    let secret = read_secret(&settings.secret_file)?;
    if secret.len() < SECRET_MIN {
        return Err(SendError::Content {
            path: settings.secret_file.clone(),
            problem: "is shorter than 32 bytes",
        });
    }
    let body = message.json().map_err(|error| SendError::Form(error.into()))?;
    let agent = agent(settings)?;
    let begun = Instant::now();
    let answer = agent
        .post(&settings.url)
        .header("content-type", "application/json")
        .header(ID_HEADER, message.id.to_string())
        .header(TIMESTAMP_HEADER, message.at.as_second().to_string())
        .header(SIGNATURE_HEADER, sign(&secret, message.at, &body))
        .send(&body[..]);
    let mut answer = answer.map_err(|error| failure(error, settings.timeout_ms))?;
    let status = answer.status().as_u16();
    // Read so that the connection ends in good order; what is beyond the limit is left.
    let _ = answer.body_mut().with_config().limit(ANSWER_MAX).read_to_vec();
    match status {
        200..=299 => Ok(Sent {
            answer: format!("HTTP {status}"),
            took: begun.elapsed(),
        }),
        300..=399 => Err(SendError::Redirected(status)),
        _ => Err(SendError::Refused(format!("HTTP {status}"))),
    }
}

fn agent(settings: &Webhook) -> Result<ureq::Agent, SendError> {
    let mut roots = rustls_native_certs::load_native_certs().certs;
    roots.extend(anchors(&settings.ca_file)?);
    let roots: Vec<Certificate<'static>> = roots
        .iter()
        .map(|root| Certificate::from_der(root).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        // ring, whatever another part of the program may have installed for the process.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let limit = Duration::from_millis(settings.timeout_ms);
    Ok(ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_global(Some(limit))
        .max_idle_connections(0)
        .user_agent(concat!("truc/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent())
}

/// Further trust anchors of a channel.
pub(super) fn anchors(path: &Path) -> Result<Vec<CertificateDer<'static>>, SendError> {
    if path.as_os_str().is_empty() {
        return Ok(Vec::new());
    }
    let bytes = read(path, CA_MAX)?;
    let anchors: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .unwrap_or_default();
    if anchors.is_empty() {
        return Err(SendError::Content {
            path: path.to_owned(),
            problem: "holds no certificate in PEM",
        });
    }
    Ok(anchors)
}

fn failure(error: ureq::Error, timeout_ms: u64) -> SendError {
    match error {
        ureq::Error::Timeout(_) => SendError::TimedOut(timeout_ms),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => SendError::Tls(error.into()),
        // rustls reports an untrusted certificate through the socket's error.
        ureq::Error::Io(io) if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            SendError::Tls(io.into())
        }
        other => SendError::Unreachable(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::{at, line, message};
    use super::*;
    use crate::alert::test_http::{Answer, Server};
    use truc_model::AlertChange;

    fn secret_file(dir: &tempfile::TempDir, secret: &str) -> std::path::PathBuf {
        let path = dir.path().join("secret");
        std::fs::write(&path, secret).unwrap();
        path
    }

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn webhook(url: String, dir: &tempfile::TempDir) -> Webhook {
        Webhook {
            name: "phong-truc".to_owned(),
            url,
            secret_file: secret_file(dir, &format!("{SECRET}\n")),
            ca_file: std::path::PathBuf::new(),
            timeout_ms: 5_000,
            per_hour: 60,
            quiet: true,
        }
    }

    #[test]
    fn the_proof_is_hmac_sha256() {
        // By `printf '1700000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef`.
        let at = Timestamp::from_second(1_700_000_000).unwrap();
        assert_eq!(
            sign(SECRET.as_bytes(), at, br#"{"a":1}"#),
            "sha256=f05f2539e3ae1c49aec5f8cfdad75ef6b06480b133973ffbb7ec9e18827af177"
        );
    }

    #[tokio::test]
    async fn a_message_arrives_whole_and_proved() {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        let message = message(vec![line(AlertChange::Raised, "so-tnmt")]);
        let channel = WebhookChannel::new(webhook(server.url("/hook?x=1"), &dir));
        let sent = channel.send(&message).await.unwrap();
        assert_eq!(sent.answer, "HTTP 200");
        let request = server.next().await;
        assert_eq!(request.line, "POST /hook?x=1 HTTP/1.1");
        assert_eq!(request.header(ID_HEADER), message.id.to_string());
        assert_eq!(request.header("content-type"), "application/json");
        assert_eq!(request.header(TIMESTAMP_HEADER), at(90).as_second().to_string());
        // As a recipient would: over the bytes that came, with its own copy of the secret.
        let signed = [request.header(TIMESTAMP_HEADER).as_bytes(), b".", &request.body].concat();
        let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
        let proof = request.header(SIGNATURE_HEADER).strip_prefix("sha256=").unwrap();
        let proof: Vec<u8> = (0..proof.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&proof[at..at + 2], 16).unwrap())
            .collect();
        hmac::verify(&key, &signed, &proof).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(json["lines"][0]["subject"], "so-tnmt");
    }

    #[tokio::test]
    async fn every_no_is_told_apart() {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        let message = message(vec![]);
        let send = async |webhook: Webhook| WebhookChannel::new(webhook).send(&message).await.unwrap_err();
        for (answer, word, said) in [
            (Answer::status(500), "refused", "HTTP 500"),
            (Answer::status(404), "refused", "HTTP 404"),
            (Answer::redirect(&server.url("/elsewhere")), "redirected", "302"),
            (Answer::hang_up(), "unreachable", "not reached"),
        ] {
            server.answer(answer);
            let error = send(webhook(server.url("/"), &dir)).await;
            assert_eq!(error.word(), word, "{error:?}");
            assert!(error.to_string().contains(said), "{error}");
            server.next().await;
        }
        assert_eq!(server.waiting(), 0, "a redirect is not followed");
        let mut slow = webhook(server.url("/"), &dir);
        slow.timeout_ms = 100;
        server.answer(Answer::never());
        assert_eq!(send(slow).await.word(), "timed-out");
        let nobody = webhook("http://127.0.0.1:1/".to_owned(), &dir);
        assert_eq!(send(nobody).await.word(), "unreachable");
    }

    #[tokio::test]
    async fn an_answer_without_end_is_cut() {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        server.answer(Answer::endless());
        let channel = WebhookChannel::new(webhook(server.url("/"), &dir));
        assert_eq!(channel.send(&message(vec![])).await.unwrap().answer, "HTTP 200");
    }

    #[tokio::test]
    async fn a_secret_has_a_shortest() {
        let server = Server::start().await;
        let dir = tempfile::tempdir().unwrap();
        let mut short = webhook(server.url("/"), &dir);
        short.secret_file = secret_file(&dir, &"x".repeat(SECRET_MIN - 1));
        let error = WebhookChannel::new(short.clone())
            .send(&message(vec![]))
            .await
            .unwrap_err();
        assert!(error.to_string().contains("shorter"), "{error}");
        short.secret_file = secret_file(&dir, &"x".repeat(SECRET_MIN));
        assert!(WebhookChannel::new(short).send(&message(vec![])).await.is_ok());
    }

    #[tokio::test]
    async fn tls_is_by_the_anchors_one_gave() {
        let server = Server::start_tls().await;
        let dir = tempfile::tempdir().unwrap();
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, server.ca_pem()).unwrap();
        let mut private = webhook(server.url("/"), &dir);
        assert!(private.url.starts_with("https://localhost:"));
        let stranger = WebhookChannel::new(private.clone()).send(&message(vec![])).await;
        assert_eq!(stranger.unwrap_err().word(), "tls");
        private.ca_file = ca_file.clone();
        assert!(
            WebhookChannel::new(private.clone())
                .send(&message(vec![]))
                .await
                .is_ok()
        );
        std::fs::write(&ca_file, "nothing").unwrap();
        let empty = WebhookChannel::new(private).send(&message(vec![])).await;
        assert_eq!(empty.unwrap_err().word(), "file");
    }
}
