//! One attempt to send or fetch a body: blocking, over one connection, from where it stands.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{Context, SHA256};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use truc_model::{BodyProblemJson, Sha256};
use ureq::http::{HeaderMap, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::typestate::WithBody;
use ureq::{Body, RequestBuilder, SendBody};

use super::{
    BodyClientConfig, BodyTransferError, CHUNK_BYTES, Failed, Inner, OnProgress, Outcome, Progress,
    RETRY_AFTER_MAX,
};
use crate::durable;

/// One attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the hub may take to store a body that has come whole: into a bucket it can take minutes.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// How long the hub may take to ask for the bytes. One that does not know `Expect` gets them all the same.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a problem's JSON that are read.
const PROBLEM_MAX: u64 = 64 * 1024;

/// The HTTP client: TLS by rustls with ring, no proxy, no redirects, no time-out but for silence.
pub(super) fn agent(config: &BodyClientConfig) -> Result<ureq::Agent, BodyTransferError> {
    let settings = |text: &str| BodyTransferError::Settings(text.to_owned());
    let plain = config.url.strip_prefix("http://");
    if plain.is_none() && !config.url.starts_with("https://") {
        return Err(settings("the address begins with https://"));
    }
    if let Some(rest) = plain
        && !config.allow_plain
        && !is_loopback(rest)
    {
        return Err(settings(
            "the password would travel in clear text: https://, or allow plain HTTP expressly",
        ));
    }
    let mut roots = rustls_native_certs::load_native_certs().certs;
    if let Some(pem) = &config.ca_pem {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            roots.push(
                certificate.map_err(|error| settings(&format!("the authority does not read: {error}")))?,
            );
        }
    }
    let roots: Vec<Certificate<'static>> = roots
        .iter()
        .map(|root| Certificate::from_der(root).to_owned())
        .collect();
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&roots))
        // ring, whatever another part of the program may have installed for the process.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(Some(config.idle))
        .timeout_per_write(Some(config.idle))
        .timeout_await_100(Some(CONTINUE_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .user_agent(concat!("truc-adapter-sdk/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent())
}

fn is_loopback(rest: &str) -> bool {
    let host = rest.split('/').next().unwrap_or(rest);
    let host = match host.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or(bracketed),
        None => host.rsplit_once(':').map_or(host, |(host, _)| host),
    };
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Asks how far the upload is, and sends the rest.
pub(super) fn upload(
    inner: &Inner,
    from: &Path,
    body: Sha256,
    size: u64,
    progress: Option<&OnProgress>,
) -> Result<Outcome, Failed> {
    // Nothing but a question; what is all there already is stored by it. Unlike HEAD it says why when it says no.
    let ask = put(inner, body, format!("bytes */{size}"), 0).send_empty();
    let mut told = ask.map_err(|error| unreachable(error, 0))?;
    let offset = match told.status().as_u16() {
        200 | 201 => {
            tell(progress, size, size);
            return Ok(Outcome::Done);
        }
        202 => number(told.headers(), "upload-offset").unwrap_or(0),
        _ => return Err(refused(&mut told, 0)),
    };
    if offset >= size {
        return Err(retry(BodyTransferError::Unexpected { status: 202 }, size));
    }
    tell(progress, offset, size);
    let file_fault = |error| stop(BodyTransferError::file("read", from)(error));
    let mut file = File::open(from).map_err(file_fault)?;
    file.seek(SeekFrom::Start(offset)).map_err(file_fault)?;
    let rest = size - offset;
    let mut reader = Counted {
        reader: file.take(rest),
        done: offset,
        total: size,
        progress,
    };
    let range = format!("bytes {offset}-{}/{size}", size - 1);
    let answer = put(inner, body, range, rest)
        .header("expect", "100-continue")
        .send(SendBody::from_reader(&mut reader));
    // The hub says at the next attempt how much of it has come: what was read here may be in no one's hands.
    let mut answer = answer.map_err(|error| unreachable(error, offset))?;
    match answer.status().as_u16() {
        200 | 201 => Ok(Outcome::Done),
        202 => Ok(Outcome::More {
            done: number(answer.headers(), "upload-offset").unwrap_or(offset),
        }),
        _ => Err(refused(&mut answer, offset)),
    }
}

fn put(inner: &Inner, body: Sha256, range: String, length: u64) -> RequestBuilder<WithBody> {
    let request = inner
        .agent
        .put(address(inner, body))
        .config()
        .timeout_per_read(Some(ANSWER_TIMEOUT))
        .build();
    request
        .header("authorization", login(inner))
        .header("content-range", range)
        .header("content-length", length.to_string())
        .header("content-type", "application/octet-stream")
}

/// Fetches the rest of a body, and shows it when it is whole.
pub(super) fn download(
    inner: &Inner,
    body: Sha256,
    size: u64,
    to: &Path,
    progress: Option<&OnProgress>,
) -> Result<Outcome, Failed> {
    let part = unfinished(to);
    let fault = || {
        let part = part.clone();
        move |error| stop(BodyTransferError::file("write", &part)(error))
    };
    let mut options = OpenOptions::new();
    let mut file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&part)
        .map_err(fault())?;
    let mut context = Context::new(&SHA256);
    let mut done = hash(&mut file, &mut context, size).map_err(fault())?;
    tell(progress, done, size);
    if done < size {
        let request = inner
            .agent
            .get(address(inner, body))
            .header("authorization", login(inner));
        let request = if done > 0 {
            request
                .header("range", format!("bytes={done}-"))
                .header("if-range", format!("\"{body}\""))
        } else {
            request
        };
        let mut answer = request.call().map_err(|error| unreachable(error, done))?;
        match answer.status().as_u16() {
            206 if begins_at(answer.headers(), done) => {}
            200 => {
                (done, context) = (0, Context::new(&SHA256));
                file.set_len(0).map_err(fault())?;
            }
            206 => return Err(retry(BodyTransferError::Unexpected { status: 206 }, done)),
            _ => return Err(refused(&mut answer, done)),
        }
        file.seek(SeekFrom::Start(done)).map_err(fault())?;
        let mut reader = answer.body_mut().with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; CHUNK_BYTES];
        while done < size {
            let room = usize::try_from(size - done).map_or(CHUNK_BYTES, |rest| rest.min(CHUNK_BYTES));
            let read = match reader.read(&mut buffer[..room]) {
                Ok(0) | Err(_) => {
                    // Kept for the next attempt, and for one after a restart.
                    file.sync_data().map_err(fault())?;
                    return Err(retry(BodyTransferError::Cut { done, total: size }, done));
                }
                Ok(read) => read,
            };
            file.write_all(&buffer[..read]).map_err(fault())?;
            context.update(&buffer[..read]);
            done += u64::try_from(read).unwrap_or(u64::MAX);
            tell(progress, done, size);
        }
    }
    let found = Sha256::from_ring(&context.finish());
    if found != body {
        // Nothing of it can be used, nor gone on with.
        std::fs::remove_file(&part).map_err(fault())?;
        return Err(stop(BodyTransferError::Digest {
            expected: body,
            found,
        }));
    }
    file.sync_all().map_err(fault())?;
    durable::rename(&part, to).map_err(|error| stop(BodyTransferError::file("put in place", to)(error)))?;
    Ok(Outcome::Done)
}

/// Reads what an earlier attempt left: at most `size` bytes; a longer file is none of this body's.
fn hash(file: &mut File, context: &mut Context, size: u64) -> io::Result<u64> {
    if file.metadata()?.len() > size {
        file.set_len(0)?;
        return Ok(0);
    }
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut done = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(done);
        }
        context.update(&buffer[..read]);
        done += u64::try_from(read).unwrap_or(u64::MAX);
    }
}

/// Beside the file, by a name that readers of the folder leave alone.
fn unfinished(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(durable::UNFINISHED);
    to.with_file_name(name)
}

/// A file that tells how far it was read.
struct Counted<'a> {
    reader: io::Take<File>,
    done: u64,
    total: u64,
    progress: Option<&'a OnProgress>,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        if read == 0 && self.done < self.total {
            // Shorter than it was: better an error here than a request that never ends.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.done += u64::try_from(read).unwrap_or(u64::MAX);
        tell(self.progress, self.done, self.total);
        Ok(read)
    }
}

fn tell(progress: Option<&OnProgress>, done: u64, total: u64) {
    if let Some(progress) = progress {
        progress(Progress { done, total });
    }
}

fn address(inner: &Inner, body: Sha256) -> String {
    format!("{}/bodies/{body}", inner.config.url.trim_end_matches('/'))
}

fn login(inner: &Inner) -> String {
    let pair = format!("{}:{}", inner.config.system, inner.config.password);
    format!("Basic {}", STANDARD.encode(pair))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    header(headers, name)?.trim().parse().ok()
}

/// Whether `Content-Range` says that the part begins where the file ends.
fn begins_at(headers: &HeaderMap, offset: u64) -> bool {
    header(headers, "content-range")
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split('-').next())
        .is_some_and(|first| first.parse() == Ok(offset))
}

fn refused(answer: &mut Response<Body>, done: u64) -> Failed {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let json = answer.body_mut().with_config().limit(PROBLEM_MAX).read_to_vec();
    let problem = json
        .ok()
        .and_then(|json| serde_json::from_slice::<BodyProblemJson>(&json).ok());
    let done = problem
        .as_ref()
        .and_then(|problem| problem.offset)
        .unwrap_or(done);
    let error = match problem {
        Some(problem) => BodyTransferError::Refused(Box::new(problem)),
        None => BodyTransferError::Unexpected { status },
    };
    wait(error, done, &headers)
}

fn unreachable(error: ureq::Error, done: u64) -> Failed {
    retry(BodyTransferError::Unreachable(Box::new(error)), done)
}

fn stop(error: BodyTransferError) -> Failed {
    retry(error, 0)
}

fn retry(error: BodyTransferError, done: u64) -> Failed {
    Failed {
        error,
        done,
        after: None,
    }
}

/// After as long as the answer asks for.
fn wait(error: BodyTransferError, done: u64, headers: &HeaderMap) -> Failed {
    let after =
        number(headers, "retry-after").map(|seconds| Duration::from_secs(seconds).min(RETRY_AFTER_MAX));
    Failed { error, done, after }
}
