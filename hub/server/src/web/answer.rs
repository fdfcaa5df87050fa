//! Answers that say no: a problem as `application/problem+json` (RFC 9457), with the headers that belong to it.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, StatusCode};
use truc_bodies::BodyError;
use truc_model::{BodyProblem, BodyProblemCode};

/// How many bytes of an upload are there (as in draft-ietf-httpbis-resumable-upload).
pub const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// Of how many (as there).
pub const UPLOAD_LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// Whether it is all there: `?1` or `?0` (as there).
pub const UPLOAD_COMPLETE: HeaderName = HeaderName::from_static("upload-complete");

/// A request that is answered with a problem.
#[derive(Debug)]
pub struct No(pub BodyProblem);

impl No {
    /// A problem without more.
    #[must_use]
    pub fn new(
        code: BodyProblemCode,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Self {
        Self(BodyProblem::new(code, expected, found))
    }
}

impl From<BodyProblem> for No {
    fn from(problem: BodyProblem) -> Self {
        Self(problem)
    }
}

impl From<&BodyError> for No {
    fn from(error: &BodyError) -> Self {
        Self(error.problem())
    }
}

impl IntoResponse for No {
    fn into_response(self) -> Response {
        let Self(problem) = self;
        let code = problem.code;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if code.status() == 401 {
            let ask = HeaderValue::from_static("Basic realm=\"truc\", charset=\"UTF-8\"");
            headers.insert(WWW_AUTHENTICATE, ask);
        }
        if code == BodyProblemCode::MethodUnknown {
            headers.insert(ALLOW, HeaderValue::from_static("HEAD, GET, PUT, DELETE"));
        }
        if let Some(seconds) = retry_after_s(code) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(offset) = problem.offset {
            headers.insert(UPLOAD_OFFSET, HeaderValue::from(offset));
            headers.insert(UPLOAD_COMPLETE, HeaderValue::from_static("?0"));
        }
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A body without members that cannot be written: this does not fail.
        let json = serde_json::to_vec(&problem.answer()).unwrap_or_default();
        (status, headers, Body::from(json)).into_response()
    }
}

/// How long a client should wait, in seconds, where waiting helps.
const fn retry_after_s(code: BodyProblemCode) -> Option<u16> {
    match code {
        BodyProblemCode::UploadBusy | BodyProblemCode::TransfersLimited => Some(2),
        BodyProblemCode::CredentialsUnchecked | BodyProblemCode::StoreUnavailable => Some(5),
        BodyProblemCode::LoginsLimited
        | BodyProblemCode::BodyBeingRemoved
        | BodyProblemCode::QuotaExceeded
        | BodyProblemCode::DiskFull => Some(60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use truc_model::NextTry;

    #[test]
    fn whoever_shall_wait_is_told_how_long() {
        for code in BodyProblemCode::ALL {
            let waits = code.next() == NextTry::Later;
            assert_eq!(retry_after_s(*code).is_some(), waits, "{code}");
            let response = No::new(*code, "a", "b").into_response();
            assert_eq!(response.status().as_u16(), code.status());
            assert_eq!(response.headers().contains_key(RETRY_AFTER), waits);
            let asks = response.headers().contains_key(WWW_AUTHENTICATE);
            assert_eq!(asks, code.status() == 401, "{code}");
        }
    }
}
