//! The body of a direct request, and its answer: the hot path, so that bytes are neither copied nor looked at twice.

use std::io::Write;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use modelyard_control::Answer;
use modelyard_types::requests::RequestStatus;

use crate::answer::Pieces;
use crate::error::{Refusal, Result, invalid};
use crate::json;

/// The largest body of a direct request, in bytes (semantics 4.4).
pub(crate) const MAX_PAYLOAD: usize = 10_000_000;
/// The largest body of a call that makes batch requests, in bytes (semantics 4.4).
const MAX_BATCH: usize = 50_000_000;

/// The body of a direct request, as it was sent.
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    /// Whether the content type says that it is not JSON.
    pub(crate) text: bool,
}

impl<S: Sync> FromRequest<S> for Payload {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let text = !is_json(request.headers());
        Ok(Self { bytes: json::read(request, MAX_PAYLOAD).await?, text })
    }
}

/// The body of a call that makes batch requests, as it was sent.
pub(crate) struct BatchPayload(pub(crate) Payload);

impl<S: Sync> FromRequest<S> for BatchPayload {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self> {
        let text = !is_json(request.headers());
        Ok(Self(Payload { bytes: json::read(request, MAX_BATCH).await?, text }))
    }
}

/// By which a repeated creation finds the first: the header `Idempotency-Key`.
pub(crate) struct IdempotencyKey(pub(crate) Option<String>);

/// The longest key, in characters.
const MAX_KEY: usize = 255;

impl<S: Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Some(key) = parts.headers.get("idempotency-key") else {
            return Ok(Self(None));
        };
        let key = key.to_str().ok().map(str::trim).filter(|key| (1..=MAX_KEY).contains(&key.len()));
        let refusal = || invalid(format!("Idempotency-Key must be 1 to {MAX_KEY} visible characters of ASCII"));
        Ok(Self(Some(key.ok_or_else(refusal)?.to_owned())))
    }
}

/// `application/json` and `application/anything+json`, with or without parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let kind = kind.as_bytes();
    let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
    let kind = kind[..end].trim_ascii();
    let ends_with =
        |ending: &[u8]| kind.len() >= ending.len() && kind[kind.len() - ending.len()..].eq_ignore_ascii_case(ending);
    kind.eq_ignore_ascii_case(b"application/json") || ends_with(b"+json")
}

/// Results above this are sent as they lie in memory; those below are copied, which is cheaper than another piece.
const COPIED: usize = 16 << 10;

/// The answer of a direct request. The result is JSON text that was checked when it came from the worker.
pub(crate) fn answer(answer: &Answer) -> Response {
    let result = answer.ended.result.clone().unwrap_or(Bytes::from_static(b"null"));
    let copied = result.len() <= COPIED;
    let mut text = before_result(answer, if copied { result.len() } else { 0 });
    if copied {
        text.extend_from_slice(&result);
        text.push(b'}');
        return json::json_answer(Body::from(text));
    }
    json::json_answer(Pieces::body([text.into(), result, Bytes::from_static(b"}")]))
}

/// The same on one line, with its end.
pub(crate) fn answer_line(answer: &Answer) -> Bytes {
    let result = answer.ended.result.as_deref().unwrap_or(b"null");
    let mut text = before_result(answer, result.len());
    // Within JSON strings line ends are escaped; elsewhere they mean as much as blanks.
    text.extend(result.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    text.extend_from_slice(b"}\n");
    text.into()
}

/// The answer up to the result, with room for one of that size.
fn before_result(answer: &Answer, room: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(256 + answer.deployment.len() + answer.version.len() + room);
    let (status, success) = (answer.ended.status.as_str(), answer.ended.status == RequestStatus::Completed);
    // Names are of letters, digits, dashes, underscores and dots; writing to memory cannot fail.
    let _ = write!(
        text,
        r#"{{"id":"{}","deployment":"{}","version":"{}","status":"{status}","success":{success},"error_message":"#,
        answer.id, answer.deployment, answer.version,
    );
    match &answer.ended.error_message {
        Some(message) => drop(serde_json::to_writer(&mut text, message)),
        None => text.extend_from_slice(b"null"),
    }
    let _ = write!(text, r#","timeout":{},"result":"#, answer.timeout);
    text
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use axum::http::HeaderValue;
    use modelyard_control::Ended;
    use modelyard_types::RequestId;

    use super::*;

    async fn shown(result: Option<&str>, error_message: Option<&str>) -> serde_json::Value {
        let status = if result.is_some() { RequestStatus::Completed } else { RequestStatus::Failed };
        let ended = Ended {
            status,
            result: result.map(|text| Bytes::copy_from_slice(text.as_bytes())),
            error_message: error_message.map(str::to_owned),
        };
        let id = RequestId::new();
        let sent = answer(&Answer { id, deployment: "iris".into(), version: "v1".into(), ended, timeout: 300 });
        assert_eq!(sent.headers()[CONTENT_TYPE], "application/json");
        let body = axum::body::to_bytes(sent.into_body(), 1 << 20).await.unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(value["id"].take(), id.to_string());
        value
    }

    #[tokio::test]
    async fn answers_hold_what_clients_of_all_ages_read() {
        insta::assert_snapshot!(shown(Some(r#"{"y":1}"#), None).await, @r#"{"id":null,"deployment":"iris","version":"v1","status":"completed","success":true,"error_message":null,"timeout":300,"result":{"y":1}}"#);
        insta::assert_snapshot!(shown(None, Some("It \"broke\"\n")).await, @r#"{"id":null,"deployment":"iris","version":"v1","status":"failed","success":false,"error_message":"It \"broke\"\n","timeout":300,"result":null}"#);
    }

    #[tokio::test]
    async fn large_results_are_whole() {
        let text = format!("\"{}\"", "x".repeat(100_000));
        assert_eq!(shown(Some(&text), None).await["result"].as_str().unwrap().len(), 100_000);
    }

    #[test]
    fn content_types_of_json_and_of_others() {
        let of = |kind: &'static str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]));
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/geo+json"] {
            assert!(of(kind), "{kind}");
        }
        for kind in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonl"] {
            assert!(!of(kind), "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
