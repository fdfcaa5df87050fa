//! E-mail by SMTP: a plain page of text, under the message's own id, marked as sent by a program.
//!
//! STARTTLS is required where it is asked for: a server that does not offer it gets nothing. The password's
//! file is read at each attempt: a new one needs no restart.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, SinglePart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::response::Response;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use super::channel::{Outlet, SendError, Sent, read_secret};
use super::message::Message;
use super::webhook::anchors;
use crate::config::alert::{Mail, MailSecurity};

/// See the module.
pub struct MailChannel(Mail);

impl MailChannel {
    /// The channel a configuration describes.
    #[must_use]
    pub const fn new(mail: Mail) -> Self {
        Self(mail)
    }
}

#[async_trait]
impl Outlet for MailChannel {
    async fn send(&self, message: &Message) -> Result<Sent, SendError> {
        let settings = &self.0;
        let letter = letter(settings, message)?;
        let transport = transport(settings)?;
        let begun = Instant::now();
        // Over all of it, too: the transport's own limit is for each step.
        let limit = Duration::from_millis(settings.timeout_ms);
        let answer = tokio::time::timeout(limit, transport.send(letter))
            .await
            .map_err(|_| SendError::TimedOut(settings.timeout_ms))?
            .map_err(|error| failure(error, settings.timeout_ms))?;
        Ok(Sent {
            answer: told(&answer),
            took: begun.elapsed(),
        })
    }
}

/// The code alone: servers put what they like into the words.
fn told(answer: &Response) -> String {
    format!("SMTP {}", answer.code())
}

fn letter(settings: &Mail, message: &Message) -> Result<lettre::Message, SendError> {
    let form = |error: lettre::error::Error| SendError::Form(error.into());
    let address = |text: &str| -> Result<Mailbox, SendError> {
        let address: Address = text
            .parse()
            .map_err(|error: lettre::address::AddressError| SendError::Form(error.into()))?;
        Ok(Mailbox::new(None, address))
    };
    let mut builder = lettre::Message::builder()
        .from(address(&settings.from)?)
        .subject(message.title().0)
        .date(SystemTime::from(message.at))
        .message_id(Some(format!("<{}@truc>", message.id)))
        .header(AutoSubmitted);
    for to in &settings.to {
        builder = builder.to(address(to)?);
    }
    builder
        .singlepart(
            SinglePart::builder()
                .header(ContentType::TEXT_PLAIN)
                .body(message.page()),
        )
        .map_err(form)
}

/// `Auto-Submitted: auto-generated` (RFC 3834 §5): nobody's holiday notice shall answer.
#[derive(Debug, Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

fn transport(settings: &Mail) -> Result<AsyncSmtpTransport<Tokio1Executor>, SendError> {
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.clone())
        .timeout(Some(Duration::from_millis(settings.timeout_ms)));
    let (usual, tls) = match settings.security {
        MailSecurity::Starttls => (587, Tls::Required(parameters(settings)?)),
        MailSecurity::Tls => (465, Tls::Wrapper(parameters(settings)?)),
        MailSecurity::None => (25, Tls::None),
    };
    let port = if settings.port == 0 { usual } else { settings.port };
    builder = builder.port(port).tls(tls);
    if !settings.user.is_empty() {
        let password = read_password(&settings.password_file)?;
        builder = builder.credentials(Credentials::new(settings.user.clone(), password));
    }
    Ok(builder.build())
}

fn read_password(path: &Path) -> Result<String, SendError> {
    String::from_utf8(read_secret(path)?).map_err(|_| SendError::Content {
        path: path.to_owned(),
        problem: "is no UTF-8",
    })
}

fn parameters(settings: &Mail) -> Result<TlsParameters, SendError> {
    let tls = |error: SmtpError| SendError::Tls(error.into());
    let mut builder =
        TlsParameters::builder(settings.host.clone()).certificate_store(CertificateStore::Default);
    for anchor in anchors(&settings.ca_file)? {
        builder = builder.add_root_certificate(Certificate::from_der(anchor.to_vec()).map_err(tls)?);
    }
    builder.build_rustls().map_err(tls)
}

fn failure(error: SmtpError, timeout_ms: u64) -> SendError {
    if let Some(code) = error.status() {
        return SendError::Refused(format!("SMTP {code}"));
    }
    if error.is_timeout() {
        return SendError::TimedOut(timeout_ms);
    }
    if error.is_tls() || caused_by_tls(&error) {
        return SendError::Tls(error.into());
    }
    // A server without STARTTLS, or with none of our ways to log in.
    if error.is_client() {
        return SendError::Refused(error.to_string());
    }
    SendError::Unreachable(error.into())
}

/// rustls reports an untrusted certificate through the socket's error.
fn caused_by_tls(error: &SmtpError) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        let inside_io = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .is_some_and(|inner| inner.is::<rustls::Error>());
        if inside_io || error.is::<rustls::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use truc_model::AlertChange;

    use super::super::message::tests::{line, message};
    use super::*;
    use crate::alert::test_smtp::{Manners, Server};

    fn mail(server: &Server, dir: &tempfile::TempDir) -> Mail {
        let password_file = dir.path().join("password");
        std::fs::write(&password_file, "mật khẩu\n").unwrap();
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, server.ca_pem()).unwrap();
        Mail {
            name: "thu".to_owned(),
            host: "localhost".to_owned(),
            port: server.port(),
            security: MailSecurity::Starttls,
            user: "truc".to_owned(),
            password_file,
            ca_file,
            from: "truc@example.vn".to_owned(),
            to: vec!["a@example.vn".to_owned(), "b@example.vn".to_owned()],
            timeout_ms: 5_000,
            per_hour: 60,
            quiet: true,
        }
    }

    async fn send(mail: Mail) -> Result<Sent, SendError> {
        let message = message(vec![line(AlertChange::Raised, "so-tnmt")]);
        MailChannel::new(mail).send(&message).await
    }

    #[tokio::test]
    async fn a_letter_arrives_under_tls_with_its_account() {
        let server = Server::start(Manners::Starttls).await;
        let dir = tempfile::tempdir().unwrap();
        let sent = send(mail(&server, &dir)).await.unwrap();
        assert_eq!(sent.answer, "SMTP 250");
        let letter = server.next().await;
        assert!(letter.private, "it came under TLS");
        assert_eq!(letter.login.as_deref(), Some("truc/mật khẩu"));
        assert_eq!(letter.from, "truc@example.vn");
        assert_eq!(letter.to, ["a@example.vn", "b@example.vn"]);
        let id = message(vec![]).id;
        for head in [
            format!("Message-ID: <{id}@truc>"),
            "Auto-Submitted: auto-generated".to_owned(),
            "To: a@example.vn, b@example.vn".to_owned(),
            "Content-Type: text/plain; charset=utf-8".to_owned(),
        ] {
            assert!(letter.text.contains(&head), "{head}:\n{}", letter.text);
        }
        // 8-bit letters travel encoded; the page itself is tested where it is made.
        assert!(letter.text.contains("Subject: =?utf-8?"), "{}", letter.text);
    }

    #[tokio::test]
    async fn tls_from_the_first_byte() {
        let server = Server::start(Manners::Tls).await;
        let dir = tempfile::tempdir().unwrap();
        let mut mail = mail(&server, &dir);
        mail.security = MailSecurity::Tls;
        send(mail).await.unwrap();
        assert!(server.next().await.private);
    }

    #[tokio::test]
    async fn without_starttls_nothing_is_said() {
        let server = Server::start(Manners::Plain).await;
        let dir = tempfile::tempdir().unwrap();
        let error = send(mail(&server, &dir)).await.unwrap_err();
        assert_eq!(error.word(), "refused", "{error:?}");
        assert_eq!(server.waiting(), 0);
        let mut open = mail(&server, &dir);
        open.security = MailSecurity::None;
        open.user = String::new();
        open.password_file = PathBuf::new();
        send(open).await.unwrap();
        let letter = server.next().await;
        assert!(!letter.private && letter.login.is_none());
    }

    #[tokio::test]
    async fn every_no_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::start(Manners::Starttls).await;
        let mut stranger = mail(&server, &dir);
        stranger.ca_file = PathBuf::new();
        assert_eq!(send(stranger).await.unwrap_err().word(), "tls");
        let full = Server::start(Manners::Refuses(552)).await;
        let error = send(mail(&full, &dir)).await.unwrap_err();
        assert!(error.to_string().contains("SMTP 552"), "{error}");
        let mute = Server::start(Manners::Mute).await;
        let mut hasty = mail(&mute, &dir);
        hasty.timeout_ms = 100;
        assert_eq!(send(hasty).await.unwrap_err().word(), "timed-out");
        let mut nobody = mail(&server, &dir);
        nobody.port = 1;
        assert_eq!(send(nobody).await.unwrap_err().word(), "unreachable");
        let mut lost = mail(&server, &dir);
        lost.password_file = dir.path().join("missing");
        assert_eq!(send(lost).await.unwrap_err().word(), "file");
    }
}
