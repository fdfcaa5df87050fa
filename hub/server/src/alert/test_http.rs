//! A small HTTP server for tests: answers as told, keeps every request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::test_tls;

/// A request as it came.
pub(super) struct Request {
    /// `POST /path HTTP/1.1`.
    pub(super) line: String,
    headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no header {name}")).1
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What to answer.
pub(super) enum Answer {
    Bytes(Vec<u8>),
    Endless,
    Never,
    HangUp,
}

impl Answer {
    pub(super) fn status(status: u16) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\nok").into_bytes())
    }

    pub(super) fn redirect(to: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n").into_bytes())
    }

    pub(super) const fn endless() -> Self {
        Self::Endless
    }

    pub(super) const fn never() -> Self {
        Self::Never
    }

    pub(super) const fn hang_up() -> Self {
        Self::HangUp
    }
}

type Answers = Arc<Mutex<VecDeque<Answer>>>;

pub(super) struct Server {
    base: String,
    ca_pem: String,
    answers: Answers,
    requests: tokio::sync::Mutex<mpsc::UnboundedReceiver<Request>>,
}

impl Server {
    pub(super) async fn start() -> Self {
        Self::begin(false).await
    }

    pub(super) async fn start_tls() -> Self {
        Self::begin(true).await
    }

    async fn begin(private: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (ca_pem, acceptor) = test_tls::acceptor();
        let answers = Answers::default();
        let (keep, requests) = mpsc::unbounded_channel();
        let to_give = Arc::clone(&answers);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (acceptor, to_give, keep) = (acceptor.clone(), Arc::clone(&to_give), keep.clone());
                tokio::spawn(async move {
                    if !private {
                        serve(stream, &to_give, &keep).await;
                    } else if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &to_give, &keep).await;
                    }
                });
            }
        });
        let base = if private {
            format!("https://localhost:{port}")
        } else {
            format!("http://127.0.0.1:{port}")
        };
        Self {
            base,
            ca_pem,
            answers,
            requests: tokio::sync::Mutex::new(requests),
        }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(super) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Answers the next request so; without any it is 200.
    pub(super) fn answer(&self, answer: Answer) {
        self.answers.lock().unwrap().push_back(answer);
    }

    pub(super) async fn next(&self) -> Request {
        self.requests.lock().await.recv().await.unwrap()
    }

    /// Requests that came and were not looked at.
    pub(super) fn waiting(&self) -> usize {
        self.requests.try_lock().unwrap().len()
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    answers: &Answers,
    keep: &mpsc::UnboundedSender<Request>,
) {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        match stream.read(&mut part).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&part[..read]),
            _ => return,
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap().to_owned();
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut request = Request {
        line,
        headers,
        body: bytes[end + 4..].to_vec(),
    };
    let length: usize = request.header("content-length").parse().unwrap();
    while request.body.len() < length {
        match stream.read(&mut part).await {
            Ok(read @ 1..) => request.body.extend_from_slice(&part[..read]),
            _ => return,
        }
    }
    let answer = answers.lock().unwrap().pop_front().unwrap_or(Answer::status(200));
    // A test that ended may not listen any more.
    let _ = keep.send(request);
    match answer {
        Answer::Bytes(bytes) => {
            let _ = stream.write_all(&bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
        }
        Answer::Never => std::future::pending().await,
        Answer::HangUp => {}
    }
}
