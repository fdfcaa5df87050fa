//! The doctor looks at the clock: against the broker's, by the Date header of its management interface.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::Context;
use super::super::show::moment;
use super::{Area, Findings};
use crate::config::Config;

/// A difference of clocks up to this many seconds is normal: the header has whole seconds.
const DIFFERENCE_WARN_S: i64 = 5;
/// Beyond it seals look as if made in the future, and times in the ledger mislead.
const DIFFERENCE_FAULT_S: i64 = 60;

/// Looks.
pub(super) async fn look(context: &Context, config: &Config) -> Findings {
    let mut findings = Findings::new(Area::Clock);
    let now = context.clock.now();
    let zone = jiff::tz::TimeZone::system();
    findings.ok(format!(
        "bây giờ là {} giờ Việt Nam; múi giờ của máy: {} (trục luôn dùng giờ Việt Nam cho ngày)",
        moment(now),
        zone.iana_name().unwrap_or("không tên")
    ));
    match get_any(config, "/", None)
        .await
        .and_then(|answer| answer.date.ok_or_else(|| "no Date header".to_owned()))
    {
        Ok(theirs) => {
            // The header has whole seconds: half of one is the best guess.
            let difference = (context.clock.now().as_millisecond() - theirs.as_millisecond() - 500) / 1000;
            let what = match difference {
                0 => "khớp với đồng hồ của RabbitMQ".to_owned(),
                ahead @ 1.. => format!("nhanh hơn đồng hồ của RabbitMQ {ahead} giây"),
                behind => format!("chậm hơn đồng hồ của RabbitMQ {} giây", behind.unsigned_abs()),
            };
            let next = "đồng bộ giờ cả hai máy (chrony, systemd-timesyncd)";
            match difference.abs() {
                0..=DIFFERENCE_WARN_S => findings.ok(what),
                d if d <= DIFFERENCE_FAULT_S => findings.warn(what, next),
                _ => findings.fault(what, next),
            }
        }
        Err(why) => findings.unknown(
            format!("không so được với đồng hồ của RabbitMQ: {why}"),
            "bật plugin rabbitmq_management và kiểm tra broker.management_url",
        ),
    }
    findings
}

/// An HTTP answer, as far as the doctor needs it.
pub(super) struct HttpAnswer {
    pub(super) date: Option<Timestamp>,
    pub(super) body: Vec<u8>,
}

/// Longest wait for one answer.
const GET_LIMIT: Duration = Duration::from_secs(5);
/// Largest answer read, in bytes.
const ANSWER_MAX: u64 = 1024 * 1024;

/// The same of whichever of the broker's nodes answers first.
pub(super) async fn get_any(
    config: &Config,
    path: &str,
    login: Option<(&str, &str)>,
) -> Result<HttpAnswer, String> {
    let mut failed = Vec::new();
    for base in config.broker.management_urls() {
        match get(base, path, login).await {
            Ok(answer) => return Ok(answer),
            Err(why) => failed.push(why),
        }
    }
    Err(failed.join("; "))
}

/// One GET over plain HTTP/1.0, so that the answer ends with the connection. The management interface
/// stands beside the broker; where it is behind TLS, the doctor says that it did not look.
pub(super) async fn get(base: &str, path: &str, login: Option<(&str, &str)>) -> Result<HttpAnswer, String> {
    let rest = base
        .strip_prefix("http://")
        .ok_or_else(|| format!("{base} is not plain http"))?;
    let (authority, prefix) = match rest.split_once('/') {
        Some((authority, prefix)) => (authority, format!("/{}", prefix.trim_end_matches('/'))),
        None => (rest, String::new()),
    };
    let prefix = if prefix == "/" { String::new() } else { prefix };
    let address = if authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| port.parse::<u16>().is_ok())
    {
        authority.to_owned()
    } else {
        format!("{authority}:80")
    };
    let authorization = login.map_or_else(String::new, |(user, password)| {
        format!(
            "Authorization: Basic {}\r\n",
            STANDARD.encode(format!("{user}:{password}"))
        )
    });
    let request = format!("GET {prefix}{path} HTTP/1.0\r\nHost: {authority}\r\n{authorization}\r\n");
    let exchange = async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = Vec::new();
        stream.take(ANSWER_MAX).read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = tokio::time::timeout(GET_LIMIT, exchange)
        .await
        .map_err(|_| format!("{base} did not answer within {} s", GET_LIMIT.as_secs()))?
        .map_err(|error| format!("{base}: {error}"))?;
    read_answer(&bytes).ok_or_else(|| format!("{base} did not answer in HTTP"))
}

fn read_answer(bytes: &[u8]) -> Option<HttpAnswer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    if !lines.next()?.starts_with("HTTP/") {
        return None;
    }
    let date = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("date"))
        .and_then(|(_, value)| DateTimeParser::new().parse_timestamp(value.trim()).ok());
    Some(HttpAnswer {
        date,
        body: bytes[end + 4..].to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn the_date_header_is_read() {
        let answer = read_answer(
            b"HTTP/1.1 401 Unauthorized\r\ndate: Mon, 23 Nov 2026 07:05:09 GMT\r\nx: y\r\n\r\n{}",
        )
        .unwrap();
        assert_eq!(answer.date.unwrap().to_string(), "2026-11-23T07:05:09Z");
        assert_eq!(answer.body, b"{}");
        assert!(read_answer(b"AMQP\0\0\x09\x01").is_none());
        assert!(read_answer(b"HTTP/1.1 200 OK\r\n\r\n").unwrap().date.is_none());
    }

    #[tokio::test]
    async fn an_answer_is_fetched_with_its_login() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/rabbit/", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = vec![0; 1024];
            let read = stream.read(&mut buffer).await.unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello").await.unwrap();
            String::from_utf8(buffer[..read].to_vec()).unwrap()
        });
        let answer = get(&base, "/api/x", Some(("a", "b"))).await.unwrap();
        assert_eq!(answer.body, b"hello");
        let request = server.await.unwrap();
        assert!(request.starts_with("GET /rabbit/api/x HTTP/1.0\r\n"), "{request}");
        assert!(request.contains("Authorization: Basic YTpi\r\n"), "{request}");
    }

    #[tokio::test]
    async fn https_is_said_not_to_be_looked_at() {
        assert!(
            get("https://h:15671", "/", None)
                .await
                .is_err_and(|why| why.contains("plain http"))
        );
    }
}
