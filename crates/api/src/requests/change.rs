//! One request called off, or deleted.

use axum::extract::State;
use axum::response::Response;
use modelyard_control::Among;
use modelyard_types::permissions::can;
use modelyard_types::requests::{DeploymentRequestDetail, DeploymentRequestUpdate, RequestStatus};
use modelyard_types::{Error, Kind, RequestId};

use super::detail::detailed;
use super::many::{of_deployment, of_version};
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::answer::Done;
use crate::error::Result;
use crate::json::Json;
use crate::path::PathValues;
use crate::pieces;

/// Calls a request off; older clients read the request that comes back.
async fn cancel<P>(app: &App, on: &OnDeployment<P>, among: Among, id: RequestId) -> Result<Response> {
    let show = || app.control().get_request(&on.project, among.deployment, among.version, id, false);
    let mut view = show().await?;
    app.control().cancel_requests(&on.project, among, &[id]).await?;
    match show().await {
        Ok(after) => view = after,
        // Nothing is kept of it.
        Err(Error::NotFound(_)) => view.request.status = RequestStatus::Cancelled,
        Err(refusal) => return Err(refusal.into()),
    }
    Ok(pieces::answer(detailed(view, false)?))
}

/// Call off a request of a deployment.
#[utoipa::path(patch, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}",
    tag = "Requests", responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_requests_update(
    State(app): State<App>,
    on: OnDeployment<can::RequestsUpdate>,
    path: PathValues,
    Json(_only_cancelled): Json<DeploymentRequestUpdate>,
) -> Result<Response> {
    cancel(&app, &on, of_deployment(&on), path.id("requests", Kind::Request)?).await
}

/// Call off a request of a version.
#[utoipa::path(patch,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}",
    tag = "Requests", responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_version_requests_update(
    State(app): State<App>,
    on: OnVersion<can::RequestsUpdate>,
    path: PathValues,
    Json(_only_cancelled): Json<DeploymentRequestUpdate>,
) -> Result<Response> {
    cancel(&app, &on, of_version(&on), path.id("requests", Kind::Request)?).await
}

/// Delete a request of a deployment; one that has not ended is called off.
#[utoipa::path(delete, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}",
    tag = "Requests", responses((status = 204)))]
pub(super) async fn deployment_requests_delete(
    State(app): State<App>,
    on: OnDeployment<can::RequestsDelete>,
    path: PathValues,
) -> Result<Done> {
    let ids = [path.id("requests", Kind::Request)?];
    app.control().delete_requests(&on.actor, &on.project, &on.deployment, of_deployment(&on), &ids).await?;
    Ok(Done)
}

/// Delete a request of a version; one that has not ended is called off.
#[utoipa::path(delete,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}",
    tag = "Requests", responses((status = 204)))]
pub(super) async fn deployment_version_requests_delete(
    State(app): State<App>,
    on: OnVersion<can::RequestsDelete>,
    path: PathValues,
) -> Result<Done> {
    let ids = [path.id("requests", Kind::Request)?];
    app.control().delete_requests(&on.actor, &on.project, &on.deployment, of_version(&on), &ids).await?;
    Ok(Done)
}
