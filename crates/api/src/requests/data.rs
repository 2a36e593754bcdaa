//! What went into a request and came out of it, as files.

use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use modelyard_control::Among;
use modelyard_types::permissions::can;
use modelyard_types::{Error, Kind};

use super::detail::as_json;
use super::many::{of_deployment, of_version};
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Result, not_found};
use crate::path::PathValues;
use crate::pieces::{self, Part};

async fn input<P>(app: &App, on: &OnDeployment<P>, among: Among, path: &PathValues) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    let view = app.control().get_request(&on.project, among.deployment, among.version, id, false).await?;
    let data = view.request_data.ok_or_else(|| not_found(Kind::RequestInput))?;
    as_file(as_json(Some(data), view.request.input_plain), &format!("{id}-input.json"))
}

async fn output<P>(app: &App, on: &OnDeployment<P>, among: Among, path: &PathValues) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    let output = app.control().request_output(&on.project, among, id).await?;
    as_file(Part::Json(output.ok_or_else(|| not_found(Kind::RequestOutput))?), &format!("{id}-output.json"))
}

fn as_file(data: Part, name: &str) -> Result<Response> {
    let mut answer = pieces::answer(vec![data]);
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
