//! What went into a request and came out of it, as files.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH};
use axum::response::Response;
use modelyard_control::{Among, Output};
use modelyard_types::permissions::can;
use modelyard_types::{Error, Kind};

use super::many::{of_deployment, of_version};
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Result, not_found};
use crate::json::json_answer;
use crate::path::PathValues;

async fn input<P>(app: &App, on: &OnDeployment<P>, among: Among, path: &PathValues) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    let view = app.control().get_request(&on.project, among.deployment, among.version, id, false).await?;
    let data = view.request_data.ok_or_else(|| not_found(Kind::RequestInput))?;
    let data = if view.request.input_plain { as_json(&data)? } else { data };
    as_file(Body::from(data), &format!("{id}-input.json"))
}

/// Text that was not sent as JSON becomes a JSON string.
fn as_json(data: &[u8]) -> Result<Bytes> {
    let text = std::str::from_utf8(data).map_err(|cause| Error::internal("reading request data", cause))?;
    Ok(serde_json::to_vec(text).map_err(|cause| Error::internal("writing request data", cause))?.into())
}

async fn output<P>(app: &App, on: &OnDeployment<P>, among: Among, path: &PathValues) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    let output = app.control().request_output(&on.project, among, id).await?;
    let name = format!("{id}-output.json");
    match output.ok_or_else(|| not_found(Kind::RequestOutput))? {
        Output::Whole(bytes) => as_file(Body::from(bytes), &name),
        Output::Pieces(size, pieces) => {
            let mut answer = as_file(Body::from_stream(pieces), &name)?;
            answer.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(size));
            Ok(answer)
        }
    }
}

fn as_file(body: Body, name: &str) -> Result<Response> {
    let mut answer = json_answer(body);
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .map_err(|cause| Error::internal("naming a file", cause))?;
    answer.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(answer)
}

/// Download what went into a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}/input",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_input_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    input(&app, &on, of_deployment(&on), &path).await
}

/// Download what came out of a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}/output",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_output_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    output(&app, &on, of_deployment(&on), &path).await
}

/// Download what went into a request of a version.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}/input",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_version_requests_input_get(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    input(&app, &on, of_version(&on), &path).await
}

/// Download what came out of a request of a version.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}/output",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_version_requests_output_get(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    output(&app, &on, of_version(&on), &path).await
}
