//! What a client is told when something is refused or fails: the only place that knows status codes.

use axum::body::Body;
use axum::http::header::{ALLOW, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use modelyard_types::{Error, Kind};

/// An error on its way to the client: `{"error": "<sentence>"}` and the status that fits.
#[derive(Debug)]
pub struct Refusal(pub Error);

/// The result of a handler.
pub type Result<T, E = Refusal> = std::result::Result<T, E>;

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// Something a client asks for does not exist, or not for this client.
pub(crate) fn not_found(kind: Kind) -> Refusal {
    Refusal(Error::NotFound(kind))
}

/// A value breaks a rule.
pub(crate) fn invalid(sentence: impl Into<String>) -> Refusal {
    Refusal(Error::invalid(sentence))
}

/// The server stops, and takes nothing new.
pub(crate) fn stopping() -> Error {
    Error::Unavailable("The server is stopping".into())
}

/// The status of an error.
fn status(error: &Error) -> StatusCode {
    match error {
        Error::Invalid(_) => StatusCode::BAD_REQUEST,
        Error::NotSignedIn(_) => StatusCode::UNAUTHORIZED,
        Error::Forbidden | Error::Suspended(_) | Error::Unsigned(_) => StatusCode::FORBIDDEN,
        Error::NotFound(_) => StatusCode::NOT_FOUND,
        Error::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
        Error::Conflict(_) => StatusCode::CONFLICT,
        Error::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
        Error::NoRoom(_) => StatusCode::INSUFFICIENT_STORAGE,
        Error::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        Error::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let error = self.0;
        let sentence = match &error {
            Error::Internal(cause) => {
                tracing::error!(%cause, "a request failed inside");
                "Internal server error".to_owned()
            }
            told => told.to_string(),
        };
        let mut answer = Response::new(Body::from(serde_json::json!({ "error": sentence }).to_string()));
        *answer.status_mut() = status(&error);
        answer.extensions_mut().insert(Sentence(sentence));
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match error {
            Error::Busy { retry_after, .. } => {
                headers.insert(RATE_REMAINING, HeaderValue::from_static("0"));
                headers.insert(RATE_RESET, HeaderValue::from(retry_after));
            }
            Error::NotSignedIn(_) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Token"));
            }
            _ => {}
        }
        answer
    }
}

/// What a refusal says, beside its answer.
#[derive(Clone)]
struct Sentence(String);

/// Says a refusal in the words that readers of streams look for, too: they read `error_message` and pass over `error`.
pub(crate) fn tell_readers(answer: &mut Response) {
    if let Some(Sentence(sentence)) = answer.extensions_mut().remove() {
        *answer.body_mut() =
            Body::from(serde_json::json!({ "error": sentence, "error_message": sentence }).to_string());
    }
}

const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// No rate is limited yet, and the headers must hold whole numbers: the largest that every client can read.
const NO_LIMIT: HeaderValue = HeaderValue::from_static("2147483647");

/// Adds the three headers that each answer carries; a refusal for lack of room has set its own already.
pub(crate) fn add_rate_headers(headers: &mut HeaderMap) {
    headers.insert(RATE_LIMIT, NO_LIMIT);
    headers.entry(RATE_REMAINING).or_insert(NO_LIMIT);
    headers.entry(RATE_RESET).or_insert(HeaderValue::from_static("0"));
}

/// Answers addresses that do not exist.
pub(crate) async fn unknown_address() -> Response {
    let mut answer = not_found(Kind::Operation).into_response();
    add_rate_headers(answer.headers_mut());
    answer
}

/// Answers methods that an address does not have; the router adds `Allow`. Asking for the methods is fine.
pub(crate) async fn unknown_method(method: Method) -> Response {
    let mut answer = if method == Method::OPTIONS {
        StatusCode::NO_CONTENT.into_response()
    } else {
        Refusal(Error::MethodNotAllowed(method.to_string())).into_response()
    };
    answer.headers_mut().remove(ALLOW);
    add_rate_headers(answer.headers_mut());
    answer
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    async fn shown(error: Error) -> String {
        let answer = Refusal(error).into_response();
        let (parts, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, 10_000).await.unwrap();
        let reset = parts.headers.get(RATE_RESET).map(|value| format!(" reset {}", value.to_str().unwrap()));
        format!("{} {}{}", parts.status, String::from_utf8(body.to_vec()).unwrap(), reset.unwrap_or_default())
    }

    #[tokio::test]
    async fn each_error_has_its_status_and_sentence() {
        insta::assert_snapshot!(shown(Error::invalid("a \"b\"")).await, @r#"400 Bad Request {"error":"a \"b\""}"#);
        insta::assert_snapshot!(shown(Error::NotFound(Kind::DeploymentVersion)).await, @r#"404 Not Found {"error":"Deployment version was not found"}"#);
        insta::assert_snapshot!(shown(Error::Forbidden).await, @r#"403 Forbidden {"error":"You do not have permission to perform this action"}"#);
        insta::assert_snapshot!(shown(Error::TooLarge).await, @r#"413 Payload Too Large {"error":"Request Entity Too Large"}"#);
        insta::assert_snapshot!(shown(Error::Busy { message: "Full".into(), retry_after: 3 }).await, @r#"429 Too Many Requests {"error":"Full"} reset 3"#);
        insta::assert_snapshot!(shown(Error::internal("reading", "secret path")).await, @r#"500 Internal Server Error {"error":"Internal server error"}"#);
    }
}
