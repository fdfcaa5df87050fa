//! The client against a service that breaks off, answers oddly and lies. The real service stands in `tests/it`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use truc_model::{BodyProblem, BodyProblemCode, Random as _, SeededRandom, Sha256, SystemId};

use super::*;

/// What a service does to one connection.
#[derive(Debug, Clone, Copy)]
enum Mood {
    /// What it should.
    Good,
    /// Takes or gives so many bytes of the body, and hangs up.
    Breaks(usize),
    /// Answers so, without a word.
    Says(u16),
    /// Refuses with a code, and asks to come again at once.
    Refuses(BodyProblemCode),
    /// Gives the whole body, whatever part was asked for.
    Whole,
    /// Gives other bytes.
    Lies,
}

/// A service of one body, a connection a request.
struct Service {
    address: String,
    /// What it has taken.
    taken: Arc<Mutex<Vec<u8>>>,
    /// First lines of the requests.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service {
    /// `body`: what it gives. Its moods follow one another; then it is good.
    fn start(body: Vec<u8>, moods: &[Mood]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (taken, asked) = (Arc::default(), Arc::default());
        let service = Self {
            address,
            taken: Arc::clone(&taken),
            asked: Arc::clone(&asked),
        };
        let mut moods = Vec::from(moods).into_iter();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mood = moods.next().unwrap_or(Mood::Good);
                // A client that hangs up is none of its business.
                let _ = serve(stream.unwrap(), mood, &body, &taken, &asked);
            }
        });
        service
    }

    fn client(&self) -> BodyClient {
        let system = SystemId::new("so-tnmt").unwrap();
        let mut config = BodyClientConfig::new(&self.address, system, "secret");
        config.backoff = Backoff {
            min: Duration::from_millis(1),
            max: Duration::from_millis(5),
        };
        config.patience = Duration::from_secs(20);
        BodyClient::new(config, Arc::new(SeededRandom::new(1))).unwrap()
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn serve(
    mut stream: TcpStream,
    mood: Mood,
    body: &[u8],
    taken: &Mutex<Vec<u8>>,
    asked: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        head.push(line.trim().to_ascii_lowercase());
    }
    let header = |name: &str| {
        let start = format!("{name}: ");
        head.iter()
            .find_map(|line| line.strip_prefix(&start).map(str::to_owned))
    };
    let range = header("content-range")
        .or_else(|| header("range"))
        .unwrap_or_default();
    let method = head[0].split(' ').next().unwrap().to_owned();
    asked
        .lock()
        .unwrap()
        .push(format!("{method} {range}").trim().to_owned());
    let answer = |stream: &mut TcpStream, line: &str, headers: &str, body: &[u8]| {
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 {line}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
        )?;
        stream.write_all(body)
    };
    match mood {
        Mood::Says(status) => return answer(&mut stream, &format!("{status} Odd"), "", b""),
        Mood::Refuses(code) => {
            let json = serde_json::to_vec(&BodyProblem::new(code, "a", "b").answer())?;
            return answer(
                &mut stream,
                &format!("{} No", code.status()),
                "retry-after: 0\r\n",
                &json,
            );
        }
        _ => {}
    }
    if method == "put" {
        let total: usize = range.rsplit('/').next().unwrap().parse().unwrap();
        let mut taken = taken.lock().unwrap();
        let length: usize = header("content-length").unwrap().parse().unwrap();
        if header("expect").is_some() {
            stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        let take = match mood {
            Mood::Breaks(after) => after.min(length),
            _ => length,
        };
        let mut bytes = vec![0; take];
        reader.read_exact(&mut bytes)?;
        taken.extend(bytes);
        if take < length {
            return Ok(());
        }
        let offset = format!("upload-offset: {}\r\n", taken.len());
        return match taken.len() == total {
            true => answer(&mut stream, "201 Created", &offset, b""),
            false => answer(&mut stream, "202 Accepted", &offset, b""),
        };
    }
    let from = match mood {
        Mood::Whole => 0,
        _ => range
            .strip_prefix("bytes=")
            .map_or(0, |range| range.trim_end_matches('-').parse().unwrap()),
    };
    let mut part = body[from..].to_vec();
    if matches!(mood, Mood::Lies) {
        part[0] ^= 1;
    }
    let line = if from > 0 { "206 Partial" } else { "200 OK" };
    let length = part.len();
    if let Mood::Breaks(after) = mood {
        part.truncate(after);
    }
    write!(
        stream,
        "HTTP/1.1 {line}\r\ncontent-range: bytes {from}-{}/{}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n",
        body.len() - 1,
        body.len()
    )?;
    stream.write_all(&part)
}

fn bytes(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    SeededRandom::new(9).fill(&mut bytes);
    bytes
}

fn size(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap()
}

/// Files in a folder, but for the one named.
fn others(folder: &Path, but: &str) -> Vec<String> {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != but)
        .collect()
}

#[tokio::test]
async fn an_upload_goes_on_through_whatever_breaks() {
    let folder = tempfile::tempdir().unwrap();
    let (path, data) = (folder.path().join("packet.edxml"), bytes(700_000));
    std::fs::write(&path, &data).unwrap();
    let (body, length) = digest_of(&path).unwrap();
    assert_eq!((body, length), (Sha256::of(&data), 700_000));
    let moods = [
        Mood::Says(502),
        Mood::Good,
        Mood::Breaks(100_000),
        Mood::Refuses(BodyProblemCode::UploadBusy),
        Mood::Good,
        Mood::Breaks(0),
        Mood::Refuses(BodyProblemCode::StoreUnavailable),
        Mood::Good,
        Mood::Breaks(300_000),
    ];
    let service = Service::start(Vec::new(), &moods);
    let furthest = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&furthest);
    let progress: OnProgress = Arc::new(move |progress| {
        assert_eq!(progress.total, 700_000);
        seen.fetch_max(progress.done, Ordering::SeqCst);
    });
    service
        .client()
        .upload(&path, body, length, Some(progress))
        .await
        .unwrap();
    assert_eq!(*service.taken.lock().unwrap(), data);
    assert_eq!(furthest.load(Ordering::SeqCst), 700_000);
    assert_eq!(
        service.asked(),
        [
            "put bytes */700000",
            "put bytes */700000",
            "put bytes 0-699999/700000",
            "put bytes */700000",
            "put bytes */700000",
            "put bytes 100000-699999/700000",
            "put bytes */700000",
            "put bytes */700000",
            "put bytes 100000-699999/700000",
            "put bytes */700000",
            "put bytes 400000-699999/700000",
        ]
    );
}

#[tokio::test]
async fn a_refusal_that_waiting_does_not_help_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packet.edxml");
    std::fs::write(&path, b"abc").unwrap();
    for code in [BodyProblemCode::CredentialsRefused, BodyProblemCode::BodyTooLarge] {
        let service = Service::start(Vec::new(), &[Mood::Refuses(code)]);
        let error = service
            .client()
            .upload(&path, Sha256::of(b"abc"), 3, None)
            .await
            .unwrap_err();
        assert!(!error.is_retryable());
        assert!(matches!(error, BodyTransferError::Refused(problem) if problem.code == code));
        assert_eq!(service.asked().len(), 1);
    }
    let service = Service::start(Vec::new(), &[Mood::Says(403)]);
    let error = service
        .client()
        .upload(&path, Sha256::of(b"abc"), 3, None)
        .await
        .unwrap_err();
    assert!(matches!(error, BodyTransferError::Unexpected { status: 403 }));
}

#[tokio::test]
async fn a_service_that_is_away_for_too_long_is_told() {
    // A port that nobody listens on.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let system = SystemId::new("so-tnmt").unwrap();
    let mut config = BodyClientConfig::new(&format!("http://{free}"), system, "secret");
    config.patience = Duration::from_millis(50);
    config.backoff.min = Duration::from_millis(1);
    let client = BodyClient::new(config, Arc::new(SeededRandom::new(1))).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().join("a");
    let error = client
        .download(Sha256::of(b"abc"), 3, &to, None)
        .await
        .unwrap_err();
    assert!(matches!(error, BodyTransferError::Unreachable(_)), "{error:?}");
    assert!(error.is_retryable());
    assert!(!to.exists());
}

#[tokio::test]
async fn a_download_goes_on_and_is_shown_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (to, data) = (folder.path().join("packet.edxml"), bytes(700_000));
    let body = Sha256::of(&data);
    std::fs::write(&to, b"an older one").unwrap();
    let moods = [Mood::Breaks(200_000), Mood::Says(503), Mood::Breaks(1)];
    let service = Service::start(data.clone(), &moods);
    service
        .client()
        .download(body, size(&data), &to, None)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
    assert_eq!(others(folder.path(), "packet.edxml"), Vec::<String>::new());
    let asked = [
        "get",
        "get bytes=200000-",
        "get bytes=200000-",
        "get bytes=200001-",
    ];
    assert_eq!(service.asked(), asked);
}

#[tokio::test]
async fn a_download_that_was_cut_with_its_adapter_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (to, data) = (folder.path().join("packet.edxml"), bytes(1000));
    let body = Sha256::of(&data);
    std::fs::write(folder.path().join("packet.edxml.tmp"), &data[..300]).unwrap();
    let service = Service::start(data.clone(), &[]);
    service.client().download(body, 1000, &to, None).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
    assert_eq!(service.asked(), ["get bytes=300-"]);
    // All there, and killed before it was put in place: nothing is asked.
    std::fs::rename(&to, folder.path().join("packet.edxml.tmp")).unwrap();
    service.client().download(body, 1000, &to, None).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
    assert_eq!(service.asked().len(), 1);
    // Longer than the body: of something else.
    std::fs::write(folder.path().join("packet.edxml.tmp"), [7; 1001]).unwrap();
    service.client().download(body, 1000, &to, None).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
}

#[tokio::test]
async fn a_service_that_knows_no_parts_gives_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (to, data) = (folder.path().join("a"), bytes(1000));
    let service = Service::start(data.clone(), &[Mood::Breaks(100), Mood::Whole]);
    service
        .client()
        .download(Sha256::of(&data), 1000, &to, None)
        .await
        .unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
}

#[tokio::test]
async fn other_bytes_than_named_are_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (to, data) = (folder.path().join("a"), bytes(1000));
    let body = Sha256::of(&data);
    let service = Service::start(data.clone(), &[Mood::Lies]);
    let error = service
        .client()
        .download(body, 1000, &to, None)
        .await
        .unwrap_err();
    assert!(matches!(error, BodyTransferError::Digest { expected, .. } if expected == body));
    assert!(!error.is_retryable());
    assert_eq!(others(folder.path(), ""), Vec::<String>::new());
    // A later call begins anew.
    service.client().download(body, 1000, &to, None).await.unwrap();
    assert_eq!(std::fs::read(&to).unwrap(), data);
}

#[tokio::test]
async fn a_file_that_shrank_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("packet.edxml");
    std::fs::write(&path, b"ab").unwrap();
    let service = Service::start(Vec::new(), &[]);
    let mut config = BodyClientConfig::new(&service.address, SystemId::new("so-tnmt").unwrap(), "secret");
    config.patience = Duration::ZERO;
    let client = BodyClient::new(config, Arc::new(SeededRandom::new(1))).unwrap();
    assert!(client.upload(&path, Sha256::of(b"abc"), 3, None).await.is_err());
    let missing = client
        .upload(&folder.path().join("none"), Sha256::of(b"abcd"), 4, None)
        .await;
    assert!(matches!(missing.unwrap_err(), BodyTransferError::File { .. }));
}

#[test]
fn passwords_do_not_travel_in_clear_text_unless_told() {
    let ask = |url: &str, allow_plain: bool| {
        let mut config = BodyClientConfig::new(url, SystemId::new("so-tnmt").unwrap(), "secret");
        config.allow_plain = allow_plain;
        assert!(!format!("{config:?}").contains("secret"));
        BodyClient::new(config, Arc::new(SeededRandom::new(1))).map(|_| ())
    };
    for good in [
        "https://hub.example:8440",
        "http://127.0.0.1:8440",
        "http://localhost:8440/",
        "http://[::1]:8440",
    ] {
        assert!(ask(good, false).is_ok(), "{good}");
    }
    for bad in [
        "http://hub.example:8440",
        "http://10.0.0.1",
        "http://[2001:db8::1]:1",
        "http://localhost.example",
    ] {
        assert!(
            matches!(ask(bad, false), Err(BodyTransferError::Settings(_))),
            "{bad}"
        );
        assert!(ask(bad, true).is_ok(), "{bad}");
    }
    assert!(ask("ftp://hub", true).is_err());
}
