//! A client of HTTP/1.1 that does exactly what a test tells it, wrong things included.

use std::collections::HashMap;
use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use truc_model::{BodyProblemCode, BodyProblemJson};

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// A connection.
pub(super) struct Client(Box<dyn Stream>);

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HashMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// `Authorization` of a system.
pub(super) fn login(system: &str) -> String {
    let password: String = system.chars().rev().collect();
    format!(
        "authorization: Basic {}",
        STANDARD.encode(format!("{system}:{password}"))
    )
}

impl Client {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        Self(Box::new(TcpStream::connect(address).await.unwrap()))
    }

    pub(super) fn on(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) -> Self {
        Self(Box::new(stream))
    }

    /// A request with a body. `head`: the request line, and further headers after line feeds.
    pub(super) async fn send(&mut self, head: &str, system: &str, body: &[u8]) {
        let (line, headers) = head.split_once('\n').unwrap_or((head, ""));
        let mut text = format!("{line} HTTP/1.1\r\nhost: hub\r\n{}\r\n", login(system));
        for header in headers.lines() {
            text.push_str(&format!("{header}\r\n"));
        }
        if !body.is_empty() && !headers.contains("content-length") {
            text.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        text.push_str("\r\n");
        self.raw(text.as_bytes()).await;
        self.raw(body).await;
    }

    /// Bytes as they are; that the other side has hung up is no error.
    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
        let _ = self.0.flush().await;
    }

    /// Reads an answer to its end. `of_head`: it has no body whatever its length says.
    pub(super) async fn answer(&mut self, of_head: bool) -> Answer {
        self.try_answer(of_head)
            .await
            .expect("the connection ended before an answer")
    }

    /// Reads the head of an answer, and leaves the rest.
    pub(super) async fn status(&mut self) -> u16 {
        let head = self.head().await.expect("the connection ended before an answer");
        head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.ok()?);
        }
        Some(String::from_utf8(head).unwrap())
    }

    /// The same; `None` when the connection ends first.
    pub(super) async fn try_answer(&mut self, of_head: bool) -> Option<Answer> {
        let text = self.head().await?;
        let mut lines = text.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: HashMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers
            .get("content-length")
            .map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; if of_head || status == 304 { 0 } else { length }];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Answer {
            status,
            headers,
            body,
        })
    }

    /// Waits until the other side hangs up, whatever it says before.
    pub(super) async fn ended(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }
}

impl Answer {
    #[track_caller]
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    /// The problem it tells, which must be of the answer's status.
    #[track_caller]
    pub(super) fn problem(&self) -> BodyProblemJson {
        assert_eq!(self.header("content-type"), "application/problem+json");
        let problem: BodyProblemJson = serde_json::from_slice(&self.body).unwrap();
        assert_eq!(problem.status, self.status);
        problem
    }

    #[track_caller]
    pub(super) fn code(&self) -> BodyProblemCode {
        self.problem().code
    }
}
