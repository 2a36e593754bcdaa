//! What went into a request and came out of it, as files.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_DISPOSITION;
use axum::response::Response;
use modelyard_control::{Among, RequestView};
use modelyard_types::permissions::can;
use modelyard_types::{Error, Kind};

use super::many::{of_deployment, of_version};
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Result, not_found};
use crate::json::json_answer;
use crate::path::PathValues;

/// Which of the two.
#[derive(Clone, Copy)]
enum Which {
    Input,
    Output,
}

async fn download<P>(
    app: &App,
    on: &OnDeployment<P>,
    among: Among,
    path: &PathValues,
    which: Which,
) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    let view = app.control().get_request(&on.project, among.deployment, among.version, id, false).await?;
    let name = match which {
        Which::Input => format!("{id}-input.json"),
        Which::Output => format!("{id}-output.json"),
    };
    let mut answer = json_answer(Body::from(bytes(view, which)?));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
        .map_err(|cause| Error::internal("naming a file", cause))?;
    answer.headers_mut().insert(CONTENT_DISPOSITION, disposition);
    Ok(answer)
}

/// JSON as it was sent; text that was not sent as JSON becomes a JSON string.
fn bytes(view: RequestView, which: Which) -> Result<Bytes> {
    let (data, plain, missing) = match which {
        Which::Input => (view.request_data, view.request.input_plain, Kind::RequestInput),
        Which::Output => (view.result, view.request.output_plain, Kind::RequestOutput),
    };
    let data = data.ok_or_else(|| not_found(missing))?;
    if !plain {
        return Ok(data);
    }
    let text = std::str::from_utf8(&data).map_err(|cause| Error::internal("reading request data", cause))?;
    Ok(serde_json::to_vec(text).map_err(|cause| Error::internal("writing request data", cause))?.into())
}

/// Download what went into a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}/input",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_input_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    download(&app, &on, of_deployment(&on), &path, Which::Input).await
}

/// Download what came out of a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}/output",
    tag = "Requests", responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_output_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
) -> Result<Response> {
    download(&app, &on, of_deployment(&on), &path, Which::Output).await
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
    download(&app, &on, of_version(&on), &path, Which::Input).await
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
    download(&app, &on, of_version(&on), &path, Which::Output).await
}
