//! The body of a direct request, and its answer: the hot path, so that bytes are neither copied nor looked at twice.

use std::io::Write;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::Response;
use modelyard_control::{Answer, Data, Permit};
use modelyard_types::requests::RequestStatus;
use tokio::time::timeout;

use crate::App;
use crate::error::{Refusal, Result, invalid};
use crate::json;
use crate::pieces::{self, Part};

/// The largest body of a direct request, in bytes (semantics 4.4).
pub(crate) const MAX_PAYLOAD: usize = 10_000_000;
/// The largest body of a call that makes batch requests, in bytes (semantics 4.4).
const MAX_BATCH: usize = 50_000_000;
/// How long the whole body of a request may take to come: so long it keeps room that others could use.
const READ_WITHIN: Duration = Duration::from_secs(300);

/// The body of a direct request, as it was sent.
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    /// Whether the content type says that it is not JSON.
    pub(crate) text: bool,
    /// The room that it takes in memory.
    pub(crate) permit: Permit,
}

impl Payload {
    /// Reads a body when there is room for it.
    async fn read(request: Request, app: &App, limit: usize) -> Result<Self> {
        let text = !is_json(request.headers());
        let expected = json::expected(request.headers(), limit)?;
        let mut permit = app.control().room(expected).await?;
        let bytes = match timeout(READ_WITHIN, json::read(request, limit)).await {
            Ok(bytes) => bytes?,
            Err(_) => return Err(invalid(format!("The body took longer than {} s to come", READ_WITHIN.as_secs()))),
        };
        permit.shrink(expected, bytes.len());
        Ok(Self { bytes, text, permit })
    }
}

impl FromRequest<App> for Payload {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        Self::read(request, app, MAX_PAYLOAD).await
    }
}

/// The body of a call that makes batch requests, as it was sent.
pub(crate) struct BatchPayload(pub(crate) Payload);

impl FromRequest<App> for BatchPayload {
    type Rejection = Refusal;

    async fn from_request(request: Request, app: &App) -> Result<Self> {
        Payload::read(request, app, MAX_BATCH).await.map(Self)
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

/// Results up to this are copied into the answer, which is cheaper than pieces.
const COPIED: usize = 16 << 10;
const NULL: Bytes = Bytes::from_static(b"null");

/// The answer of a direct request. The result is JSON text that was checked when it came from the worker.
pub(crate) fn answer(mut answer: Answer) -> Response {
    if answer.kept.is_none() && answer.ended.result.as_ref().is_none_or(|result| result.len() <= COPIED) {
        let result = answer.ended.result.take().unwrap_or(NULL);
        let mut text = before_result(&answer, result.len());
        text.extend_from_slice(&result);
        text.push(b'}');
        return json::json_answer(Body::from(text));
    }
    let (text, result) = (before_result(&answer, 0), result_of(&mut answer));
    pieces::answer(vec![Part::Text(text.into()), Part::Json(result), Part::Text(Bytes::from_static(b"}"))])
}

/// The same on one line, with its end.
pub(crate) fn answer_line(mut answer: Answer) -> Vec<Part> {
    let (text, result) = (before_result(&answer, 0), result_of(&mut answer));
    vec![Part::Text(text.into()), Part::Line(result), Part::Text(Bytes::from_static(b"}\n"))]
}

fn result_of(answer: &mut Answer) -> Data {
    let here = answer.ended.result.take().unwrap_or(NULL);
    answer.kept.take().unwrap_or(Data::Whole(here))
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
        let kept = None;
        let sent = answer(Answer { id, deployment: "iris".into(), version: "v1".into(), ended, kept, timeout: 300 });
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
