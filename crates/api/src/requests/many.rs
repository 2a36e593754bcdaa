//! Several requests at once: collected, called off, deleted. All or none.

use axum::extract::State;
use axum::response::Response;
use modelyard_control::Among;
use modelyard_types::permissions::can;
use modelyard_types::requests::{DeploymentRequestDetail, RequestStatus};
use serde_json::{Value, json};

use super::detail;
use super::ids::Ids;
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Refusal, Result, invalid};
use crate::json::Json;
use crate::pieces;
use crate::query::{FromQuery, Query, Values};

/// Which requests to call off, when the body names none.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Standing {
    /// `pending` or `processing`: all that stand there are called off.
    #[param(value_type = Option<String>)]
    status: Option<RequestStatus>,
}

impl FromQuery for Standing {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let known = [("pending", RequestStatus::Pending), ("processing", RequestStatus::Processing)];
        Ok(Self { status: values.word("status", &known)? })
    }
}

pub(super) fn of_deployment<P>(on: &OnDeployment<P>) -> Among {
    Among { deployment: on.deployment.id, version: None }
}

pub(super) fn of_version<P>(on: &OnVersion<P>) -> Among {
    Among { deployment: on.deployment.id, version: Some(on.version.id) }
}

async fn collect<P>(app: &App, on: &OnDeployment<P>, among: Among, ids: Ids) -> Result<Response> {
    let views = app.control().collect_requests(&on.project, among, &ids.some()?).await?;
    Ok(pieces::answer(detail::list(views)?))
}

async fn cancel<P>(app: &App, on: &OnDeployment<P>, among: Among, standing: Standing, ids: Ids) -> Result<Json<Value>> {
    match (standing.status, ids.0.is_empty()) {
        (None, _) => app.control().cancel_requests(&on.project, among, &ids.some()?).await?,
        (Some(_), false) => return Err(invalid("Give a list of request ids or a status, not both")),
        (Some(status), true) => {
            let default = on.deployment.default_version.as_ref().and_then(|name| on.deployment.versions.get(name));
            if let Some(version) = among.version.or(default.map(|version| version.id)) {
                app.control().cancel_all(version, status).await?;
            }
        }
    }
    Ok(Json(json!({})))
}

async fn delete<P>(app: &App, on: &OnDeployment<P>, among: Among, ids: Ids) -> Result<Json<Value>> {
    app.control().delete_requests(&on.actor, &on.project, &on.deployment, among, &ids.some()?).await?;
    Ok(Json(json!({})))
}

/// Show several requests of a deployment.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests/collect", tag = "Requests",
    request_body = Vec<String>, responses((status = 200, body = Vec<DeploymentRequestDetail>)))]
pub(super) async fn deployment_requests_batch_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    ids: Ids,
) -> Result<Response> {
    collect(&app, &on, of_deployment(&on), ids).await
}

/// Show several requests of a version.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/collect",
    tag = "Requests", request_body = Vec<String>, responses((status = 200, body = Vec<DeploymentRequestDetail>)))]
pub(super) async fn deployment_version_requests_batch_get(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    ids: Ids,
) -> Result<Response> {
    collect(&app, &on, of_version(&on), ids).await
}

/// Call off several requests of a deployment, or all of its default version at a status.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests/cancel", tag = "Requests",
    params(Standing), request_body = Vec<String>, responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_batch_cancel(
    State(app): State<App>,
    on: OnDeployment<can::RequestsUpdate>,
    Query(standing): Query<Standing>,
    ids: Ids,
) -> Result<Json<Value>> {
    cancel(&app, &on, of_deployment(&on), standing, ids).await
}

/// Call off several requests of a version, or all of it at a status.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/cancel",
    tag = "Requests", params(Standing), request_body = Vec<String>, responses((status = 200, body = Object)))]
pub(super) async fn deployment_version_requests_batch_cancel(
    State(app): State<App>,
    on: OnVersion<can::RequestsUpdate>,
    Query(standing): Query<Standing>,
    ids: Ids,
) -> Result<Json<Value>> {
    cancel(&app, &on, of_version(&on), standing, ids).await
}

/// Delete several requests of a deployment; those that have not ended are called off.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests/delete", tag = "Requests",
    request_body = Vec<String>, responses((status = 200, body = Object)))]
pub(super) async fn deployment_requests_batch_delete(
    State(app): State<App>,
    on: OnDeployment<can::RequestsDelete>,
    ids: Ids,
) -> Result<Json<Value>> {
    delete(&app, &on, of_deployment(&on), ids).await
}

/// Delete several requests of a version; those that have not ended are called off.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/delete",
    tag = "Requests", request_body = Vec<String>, responses((status = 200, body = Object)))]
pub(super) async fn deployment_version_requests_batch_delete(
    State(app): State<App>,
    on: OnVersion<can::RequestsDelete>,
    ids: Ids,
) -> Result<Json<Value>> {
    delete(&app, &on, of_version(&on), ids).await
}
