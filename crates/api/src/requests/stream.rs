//! Requests whose updates are sent while they run (semantics 4.5).
//!
//! Lines that begin with `data:` are updates, an empty line ends each; the last line is the answer of the request as one
//! JSON object. Nothing is sent that clients do not know: no comments, no names of events.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use modelyard_control::{Streamed, Updating};
use modelyard_types::permissions::can;
use modelyard_types::{Error, Kind};
use serde_json::json;

use super::direct::How;
use super::many::{of_deployment, of_version};
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Result, invalid};
use crate::path::PathValues;
use crate::payload::{self, Payload};
use crate::pieces::{self, Part};
use crate::query::Query;

/// Tells proxies not to hold updates back.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

async fn run(
    app: &App,
    on: &OnDeployment<can::RequestsCreate>,
    version: Option<&str>,
    how: How,
    headers: &HeaderMap,
    payload: Payload,
) -> Result<Response> {
    if headers.contains_key("idempotency-key") {
        return Err(invalid("Idempotency-Key is not offered for streams; make a direct or a batch request with it"));
    }
    let new = how.request(payload, None);
    let streamed = app.control().stream_request(&on.actor, &on.project, &on.deployment.name, version, new).await?;
    Ok(answer(streamed))
}

/// The pieces of a stream, one after another as the connection takes them.
fn answer(streamed: Streamed) -> Response {
    let told = stream::unfold(Some(streamed), |state| async move {
        let mut streamed = state?;
        let (parts, goes_on) = match streamed.next().await {
            Ok(Some(Updating::Update(text))) => (vec![Part::Text(update(&text))], true),
            Ok(Some(Updating::End(answer))) => (payload::answer_line(answer), false),
            Ok(None) => return None,
            Err(error) => (vec![Part::Text(broken(&error))], false),
        };
        Some((parts, goes_on.then_some(streamed)))
    });
    let mut answer = Response::new(Body::from_stream(told.flat_map(pieces::stream)));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(BUFFERING, HeaderValue::from_static("no"));
    answer
}

/// An update as lines: each of its own lines after `data:`, then an empty one.
fn update(text: &[u8]) -> Bytes {
    let mut lines = Vec::with_capacity(text.len() + 16);
    let mut rest = text;
    loop {
        lines.extend_from_slice(b"data:");
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        lines.extend_from_slice(&rest[..end]);
        lines.push(b'\n');
        if end == rest.len() {
            break;
        }
        let both = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(both)..];
    }
    lines.push(b'\n');
    lines.into()
}

/// The last line of a stream that cannot go on.
fn broken(error: &Error) -> Bytes {
    tracing::error!(cause = %error, "a stream broke off");
    let sentence = match error {
        Error::Internal(_) => "Internal server error".to_owned(),
        told => told.to_string(),
    };
    format!("{}\n", json!({ "error": sentence, "error_message": sentence })).into()
}

/// Make a direct request to the default version of a deployment, and get its updates while it runs.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests/stream", tag = "Requests",
    params(How), request_body(description = "The fields of the request, a list of such, or text.",
        content((serde_json::Value = "application/json"), (String = "text/plain"))),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn deployment_requests_stream(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    Query(how): Query<How>,
    headers: HeaderMap,
    payload: Payload,
) -> Result<Response> {
    run(&app, &on, None, how, &headers, payload).await
}

/// Make a direct request to a version, and get its updates while it runs.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/stream",
    tag = "Requests", params(How), request_body(description = "The fields of the request, a list of such, or text.",
        content((serde_json::Value = "application/json"), (String = "text/plain"))),
    responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn deployment_version_requests_stream(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    path: PathValues,
    Query(how): Query<How>,
    headers: HeaderMap,
    payload: Payload,
) -> Result<Response> {
    let version = path.name("versions", Kind::DeploymentVersion)?;
    run(&app, &on, Some(&version), how, &headers, payload).await
}

/// Follow a request of a deployment: the updates that are kept, those that come, and its end.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}/stream",
    tag = "Requests", responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn deployment_requests_follow_stream(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    Ok(answer(app.control().follow_request(&on.project, of_deployment(&on), id).await?))
}

/// Follow a request of a version: the updates that are kept, those that come, and its end.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}/stream",
    tag = "Requests", responses((status = 200, content_type = "text/event-stream", body = String)))]
pub(super) async fn deployment_version_requests_follow_stream(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    Ok(answer(app.control().follow_request(&on.project, of_version(&on), id).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_update_of_several_lines_is_several_lines() {
        let of = |text: &str| String::from_utf8_lossy(&update(text.as_bytes())).into_owned();
        assert_eq!(of("one"), "data:one\n\n");
        assert_eq!(of(""), "data:\n\n");
        assert_eq!(of(" a\nb\r\n\rc"), "data: a\ndata:b\ndata:\ndata:c\n\n");
    }
}
