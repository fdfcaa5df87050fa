//! `/bodies/<sha256>`: HEAD says how far, PUT sends (whole or from where it stands), GET fetches (whole or a part),
//! DELETE gives an unfinished upload up. The form is RFC 9110's, with the headers of
//! draft-ietf-httpbis-resumable-upload; `docs/reference/bodies.md` says which parts of it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use http::header::{
    ACCEPT_RANGES, AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tokio::sync::OwnedSemaphorePermit;
use truc_bodies::{Began, BodyError, Finished, From as UploadFrom, UploadStatus, UploadWriter};
use truc_model::{BodyProblem, BodyProblemCode, Sha256, SystemId};

use super::Service;
use super::answer::{No, UPLOAD_COMPLETE, UPLOAD_LENGTH, UPLOAD_OFFSET};
use super::listener::Peer;
use super::range::{Part, Wanted, content_range, range};
use crate::telemetry::{Event, emit};

/// Bytes of a refused upload that are still read, so that a client that sends without waiting reads the answer.
pub const LINGER_BYTES: u64 = 4 * 1024 * 1024;

/// How long they are waited for.
pub const LINGER_FOR: Duration = Duration::from_secs(5);

/// A request for a body.
pub async fn entry(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    Path(name): Path<String>,
    request: Request,
) -> Response {
    let system = match who(&service, peer, request.headers()).await {
        Ok(system) => system,
        Err(no) => return refuse(no, None, request),
    };
    let answer = match body_of(&name) {
        Ok(body) => match *request.method() {
            Method::HEAD => head(&service, &system, body).await,
            Method::GET => get(&service, &system, body, request.headers()).await,
            Method::DELETE => delete(&service, &system, body).await,
            Method::PUT => return put(service, system, body, request).await,
            _ => Err(No::new(
                BodyProblemCode::MethodUnknown,
                "HEAD, GET, PUT or DELETE",
                "another method",
            )),
        },
        Err(no) => Err(no),
    };
    answer.unwrap_or_else(|no| refuse(no, Some(&system), request))
}

/// Any other path.
pub async fn elsewhere(
    State(service): State<Arc<Service>>,
    Extension(peer): Extension<Peer>,
    request: Request,
) -> Response {
    let (no, system) = match who(&service, peer, request.headers()).await {
        Ok(system) => {
            let no = No::new(BodyProblemCode::PathUnknown, "/bodies/<sha256>", "another path");
            (no, Some(system))
        }
        Err(no) => (no, None),
    };
    refuse(no, system.as_ref(), request)
}

async fn who(service: &Service, peer: Peer, headers: &HeaderMap) -> Result<SystemId, No> {
    let authorization = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let who = service
        .logins
        .who(authorization, peer.0.ip(), &*service.systems)
        .await;
    Ok(who?)
}

fn body_of(name: &str) -> Result<Sha256, No> {
    let lower = name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    name.parse().ok().filter(|_| lower).ok_or_else(|| {
        No::new(
            BodyProblemCode::DigestMalformed,
            "64 of 0-9 a-f",
            "something else",
        )
    })
}

async fn head(service: &Service, system: &SystemId, body: Sha256) -> Result<Response, No> {
    match service.store.status(system, body).await.map_err(fault)? {
        UploadStatus::Complete { size } => {
            let mut response = whole(body, size);
            progress(response.headers_mut(), "?1", size, size);
            Ok(response)
        }
        UploadStatus::Partial { offset, total } => Ok(unfinished(StatusCode::NO_CONTENT, offset, total)),
        // A recipient's: there to be read, and not an upload of its own.
        UploadStatus::Nothing => {
            let size = readable(service, system, body).await?;
            Ok(whole(body, size.ok_or_else(unknown)?))
        }
    }
}

async fn get(
    service: &Service,
    system: &SystemId,
    body: Sha256,
    headers: &HeaderMap,
) -> Result<Response, No> {
    readable(service, system, body).await?.ok_or_else(unknown)?;
    let permit = transfer(service, system)?;
    let open = service
        .store
        .open(body)
        .await
        .map_err(fault)?
        .ok_or_else(unknown)?;
    let (size, etag) = (open.size(), etag(body));
    if headers
        .get(IF_NONE_MATCH)
        .is_some_and(|value| names(value, &etag))
    {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    // A part of another body than the client has is of no use to it.
    let fits = headers.get(IF_RANGE).is_none_or(|value| *value == etag);
    let wanted = match headers.get(RANGE).and_then(|value| value.to_str().ok()) {
        Some(text) if fits => range(text, size),
        _ => Wanted::Whole,
    };
    let (status, part) = match wanted {
        Wanted::Whole => (StatusCode::OK, 0..size),
        Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
        Wanted::Outside => {
            let expected = format!("a range of {size} bytes");
            let no = No::new(BodyProblemCode::RangeNotSatisfiable, expected, "another");
            let mut response = no.into_response();
            response
                .headers_mut()
                .insert(CONTENT_RANGE, text(&format!("bytes */{size}")));
            return Ok(response);
        }
    };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    describe(response.headers_mut(), etag);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(part.end - part.start));
    if status == StatusCode::PARTIAL_CONTENT {
        let value = text(&format!("bytes {}-{}/{size}", part.start, part.end - 1));
        headers.insert(CONTENT_RANGE, value);
    }
    let pieces = open.stream(part).map_err(fault)?;
    *response.body_mut() = Body::from_stream(pieces.map(move |piece| {
        // The transfer lasts as long as its stream.
        let _under_way = &permit;
        piece.inspect_err(|error| emit(Event::BodyStoreFault { error }))
    }));
    Ok(response)
}

async fn delete(service: &Service, system: &SystemId, body: Sha256) -> Result<Response, No> {
    if service.store.cancel(system, body).await.map_err(fault)? {
        Ok(StatusCode::NO_CONTENT.into_response())
    } else {
        Err(unknown())
    }
}

async fn put(service: Arc<Service>, system: SystemId, body: Sha256, request: Request) -> Response {
    let length = request
        .body()
        .size_hint()
        .exact()
        .filter(|_| request.headers().contains_key(CONTENT_LENGTH));
    let begun = begin(&service, &system, body, length, request.headers()).await;
    let (began, expects, permit) = match begun {
        Ok(begun) => begun,
        Err(no) => return refuse(no, Some(&system), request),
    };
    let writer = match began {
        Began::Writing(writer) => writer,
        Began::There { size } => {
            linger(request);
            return stored(StatusCode::OK, body, size);
        }
    };
    let idle = Duration::from_secs(service.settings.idle_s);
    // By itself: when the connection breaks, what has come is still flushed and kept.
    let sender = system.clone();
    let task = tokio::spawn(async move {
        let answer = take(writer, body, expects, request.into_body(), idle, &sender).await;
        drop(permit);
        answer
    });
    match task.await {
        Ok(Ok(response)) => response,
        Ok(Err(no)) => {
            tell(&no, Some(&system));
            no.into_response()
        }
        Err(ended) => {
            let no = fault(BodyError::from(ended));
            no.into_response()
        }
    }
}

/// What is judged before the first byte: the headers, the transfers under way, size, quota, room and offset.
async fn begin(
    service: &Service,
    system: &SystemId,
    body: Sha256,
    length: Option<u64>,
    headers: &HeaderMap,
) -> Result<(Began, u64, OwnedSemaphorePermit), No> {
    let length = length.ok_or_else(|| No::new(BodyProblemCode::LengthMissing, "Content-Length", "none"))?;
    let (from, total) = match headers.get(CONTENT_RANGE) {
        None => (UploadFrom::Start, length),
        Some(value) => {
            let form = "bytes <first>-<last>/<size> or bytes */<size>";
            let malformed = |found: &str| No::new(BodyProblemCode::RangeMalformed, form, found);
            let part = value
                .to_str()
                .ok()
                .and_then(content_range)
                .ok_or_else(|| malformed("something else"))?;
            match part {
                Part::Bytes {
                    start,
                    length: named,
                    total,
                } if named == length => (UploadFrom::At(start), total),
                Part::Nothing { total } if length == 0 => (UploadFrom::Here, total),
                _ => return Err(malformed("a Content-Length that does not fit")),
            }
        }
    };
    let permit = transfer(service, system)?;
    let began = service
        .store
        .begin(system, body, total, from)
        .await
        .map_err(fault)?;
    Ok((began, length, permit))
}

/// Takes the bytes of a request as they come.
async fn take(
    mut writer: Box<UploadWriter>,
    body: Sha256,
    expects: u64,
    mut bytes: Body,
    idle: Duration,
    system: &SystemId,
) -> Result<Response, No> {
    let mut came = 0;
    let ended = loop {
        if came == expects {
            break None;
        }
        match tokio::time::timeout(idle, bytes.frame()).await {
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                came += u64::try_from(data.len()).unwrap_or(u64::MAX);
                writer.write(&data).await.map_err(fault)?;
            }
            Ok(None | Some(Err(_))) => break Some(BodyProblemCode::TransferCut),
            Err(_) => break Some(BodyProblemCode::TransferIdle),
        }
    };
    match (writer.finish().await.map_err(fault)?, ended) {
        (Finished::Stored { size }, _) => {
            emit(Event::BodyStored { system, size });
            Ok(stored(StatusCode::CREATED, body, size))
        }
        (Finished::Partial { offset, total }, None) => Ok(unfinished(StatusCode::ACCEPTED, offset, total)),
        (Finished::Partial { offset, .. }, Some(code)) => Err(No(BodyProblem::new(
            code,
            format!("{expects} bytes"),
            format!("{came} bytes"),
        )
        .at(offset))),
    }
}

/// The size of a body that `system` may read: its own upload, or one that a delivery to it names.
async fn readable(service: &Service, system: &SystemId, body: Sha256) -> Result<Option<u64>, No> {
    let own = service.store.is_owner(system, body).await.map_err(fault)?;
    let may = own
        || service
            .readers
            .may_read(system, body)
            .await
            .map_err(|error| fault(BodyError::Named(error)))?;
    if may {
        service.store.size(body).await.map_err(fault)
    } else {
        Ok(None)
    }
}

fn transfer(service: &Service, system: &SystemId) -> Result<OwnedSemaphorePermit, No> {
    service.transfer(system).ok_or_else(|| {
        let expected = format!("at most {} transfers at once", service.settings.transfers_max);
        No::new(BodyProblemCode::TransfersLimited, expected, "one more")
    })
}

fn whole(body: Sha256, size: u64) -> Response {
    let mut response = StatusCode::OK.into_response();
    let headers = response.headers_mut();
    describe(headers, etag(body));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(size));
    response
}

fn unfinished(status: StatusCode, offset: u64, total: u64) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    progress(headers, "?0", offset, total);
    response
}

fn stored(status: StatusCode, body: Sha256, size: u64) -> Response {
    let mut response = status.into_response();
    let headers = response.headers_mut();
    headers.insert(ETAG, etag(body));
    headers.insert(http::header::LOCATION, text(&format!("/bodies/{body}")));
    progress(headers, "?1", size, size);
    response
}

fn progress(headers: &mut HeaderMap, complete: &'static str, offset: u64, total: u64) {
    headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static(complete));
    headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
    headers.insert(UPLOAD_LENGTH, HeaderValue::from(total));
}

/// Headers of a body as a whole or a part. Nobody between shall keep documents.
fn describe(headers: &mut HeaderMap, etag: HeaderValue) {
    let fixed: [(HeaderName, &'static str); 4] = [
        (CONTENT_TYPE, "application/octet-stream"),
        (ACCEPT_RANGES, "bytes"),
        (CACHE_CONTROL, "private, no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert(ETAG, etag);
}

/// Strong: the digest is the content's.
fn etag(body: Sha256) -> HeaderValue {
    text(&format!("\"{body}\""))
}

fn names(value: &HeaderValue, etag: &HeaderValue) -> bool {
    let (Ok(value), Ok(etag)) = (value.to_str(), etag.to_str()) else {
        return false;
    };
    value
        .split(',')
        .any(|one| one.trim() == etag || one.trim() == "*")
}

/// A header's value of digits and ASCII words.
fn text(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn unknown() -> No {
    No::new(BodyProblemCode::BodyUnknown, "a body for this system", "none")
}

/// A problem is answered; a fault of the store is told to the operator, too.
fn fault(error: impl Into<BodyError>) -> No {
    let error = error.into();
    if !matches!(error, BodyError::Problem(_)) {
        emit(Event::BodyStoreFault { error: &error });
    }
    No::from(&error)
}

fn refuse(no: No, system: Option<&SystemId>, request: Request) -> Response {
    tell(&no, system);
    linger(request);
    no.into_response()
}

fn tell(no: &No, system: Option<&SystemId>) {
    emit(Event::BodyRefused {
        system,
        code: no.0.code,
    });
}

/// Reads some of what a client sends all the same, beside the answer: else the connection is reset under it, and the
/// answer with it. A client that waits for `100 Continue` sends nothing, and nothing is read here.
fn linger(request: Request) {
    let waits = request.headers().contains_key(http::header::EXPECT);
    if waits || request.body().is_end_stream() {
        return;
    }
    let mut body = request.into_body();
    tokio::spawn(tokio::time::timeout(LINGER_FOR, async move {
        let mut left = LINGER_BYTES;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame
                .data_ref()
                .map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
            left = match left.checked_sub(length) {
                Some(left) => left,
                None => return,
            };
        }
    }));
}
