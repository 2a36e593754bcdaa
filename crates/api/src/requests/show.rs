//! One request, with what went in and what came out.

use axum::extract::State;
use axum::response::Response;
use modelyard_types::permissions::can;
use modelyard_types::requests::DeploymentRequestDetail;
use modelyard_types::{Kind, RequestId, VersionId};

use super::detail::detailed;
use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Refusal, Result};
use crate::path::PathValues;
use crate::pieces;
use crate::query::{FromQuery, Query, Values};

/// How much of a request to show.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HowMuch {
    /// Leave out what went in and what came out.
    #[param(value_type = Option<bool>)]
    metadata_only: bool,
}

impl FromQuery for HowMuch {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self { metadata_only: values.flag("metadata_only")?.unwrap_or(false) })
    }
}

/// Show a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}",
    tag = "Requests", params(HowMuch), responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_requests_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
    Query(how_much): Query<HowMuch>,
) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    show(&app, &on, None, id, how_much).await
}

/// Show a request of a version.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}",
    tag = "Requests", params(HowMuch), responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_version_requests_get(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    path: PathValues,
    Query(how_much): Query<HowMuch>,
) -> Result<Response> {
    let id = path.id("requests", Kind::Request)?;
    show(&app, &on.on, Some(on.version.id), id, how_much).await
}

async fn show(
    app: &App,
    on: &OnDeployment<can::RequestsGet>,
    version: Option<VersionId>,
    id: RequestId,
    how_much: HowMuch,
) -> Result<Response> {
    let metadata_only = how_much.metadata_only;
    let view = app.control().get_request(&on.project, on.deployment.id, version, id, metadata_only).await?;
    Ok(pieces::answer(detailed(view, metadata_only)?))
}
