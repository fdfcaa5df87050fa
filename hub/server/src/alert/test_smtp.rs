//! A small SMTP server for tests: STARTTLS, AUTH PLAIN, one letter a connection; keeps every letter.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::test_tls;

/// How it behaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manners {
    /// Offers STARTTLS, and AUTH under it.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Neither.
    Plain,
    /// As [`Manners::Starttls`], and refuses the letter with this code.
    Refuses(u16),
    /// Says nothing.
    Mute,
}

/// A letter as it came.
#[derive(Default)]
pub(super) struct Letter {
    pub(super) private: bool,
    pub(super) login: Option<String>,
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) text: String,
}

pub(super) struct Server {
    port: u16,
    ca_pem: String,
    letters: tokio::sync::Mutex<mpsc::UnboundedReceiver<Letter>>,
}

impl Server {
    pub(super) async fn start(manners: Manners) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ca_pem, acceptor) = test_tls::acceptor();
        let (keep, letters) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, keep) = (acceptor.clone(), keep.clone());
                tokio::spawn(async move {
                    match manners {
                        Manners::Mute => std::future::pending().await,
                        Manners::Tls => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                talk(stream, manners, true, true, &keep).await;
                            }
                        }
                        _ => {
                            let clear = talk(stream, manners, false, true, &keep).await;
                            if let Some(clear) = clear
                                && let Ok(stream) = acceptor.accept(clear).await
                            {
                                talk(stream, manners, true, false, &keep).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            ca_pem,
            letters: tokio::sync::Mutex::new(letters),
        }
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub(super) async fn next(&self) -> Letter {
        self.letters.lock().await.recv().await.unwrap()
    }

    pub(super) fn waiting(&self) -> usize {
        self.letters.try_lock().unwrap().len()
    }
}

/// Talks until the end, or until STARTTLS: then gives the stream back.
async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    manners: Manners,
    private: bool,
    greet: bool,
    keep: &mpsc::UnboundedSender<Letter>,
) -> Option<S> {
    let mut stream = BufReader::new(stream);
    let mut letter = Letter {
        private,
        ..Letter::default()
    };
    if greet {
        say(&mut stream, "220 ready").await;
    }
    loop {
        let line = hear(&mut stream).await?;
        let upper = line.to_ascii_uppercase();
        if upper.starts_with("EHLO") {
            say(&mut stream, "250-localhost").await;
            if !private && manners != Manners::Plain {
                say(&mut stream, "250-STARTTLS").await;
            }
            if private {
                say(&mut stream, "250-AUTH PLAIN").await;
            }
            say(&mut stream, "250 8BITMIME").await;
        } else if upper == "STARTTLS" {
            say(&mut stream, "220 go on").await;
            return Some(stream.into_inner());
        } else if let Some(secret) = line.strip_prefix("AUTH PLAIN ") {
            let secret = String::from_utf8(STANDARD.decode(secret).unwrap()).unwrap();
            letter.login = Some(secret.trim_start_matches('\0').replace('\0', "/"));
            say(&mut stream, "235 welcome").await;
        } else if let Some(from) = line.strip_prefix("MAIL FROM:") {
            letter.from = address(from);
            say(&mut stream, "250 ok").await;
        } else if let Some(to) = line.strip_prefix("RCPT TO:") {
            letter.to.push(address(to));
            say(&mut stream, "250 ok").await;
        } else if upper == "DATA" {
            say(&mut stream, "354 go on").await;
            loop {
                let line = hear(&mut stream).await?;
                if line == "." {
                    break;
                }
                letter.text.push_str(&line);
                letter.text.push('\n');
            }
            if let Manners::Refuses(code) = manners {
                say(&mut stream, &format!("{code} no")).await;
                continue;
            }
            // A test that ended may not listen any more.
            let _ = keep.send(std::mem::take(&mut letter));
            say(&mut stream, "250 queued").await;
        } else if upper == "QUIT" {
            say(&mut stream, "221 bye").await;
            return None;
        } else {
            say(&mut stream, "250 ok").await;
        }
    }
}

fn address(text: &str) -> String {
    let inner = text.split('<').nth(1).unwrap_or(text);
    inner.split('>').next().unwrap_or(inner).to_owned()
}

async fn say<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut BufReader<S>, line: &str) {
    // Whoever hung up does not hear it.
    let _ = stream.get_mut().write_all(format!("{line}\r\n").as_bytes()).await;
    let _ = stream.get_mut().flush().await;
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<String> {
    let mut line = String::new();
    match stream.read_line(&mut line).await {
        Ok(1..) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => None,
    }
}
