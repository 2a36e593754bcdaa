//! Builds of revisions, as older clients know them: each revision is its own build.

use axum::extract::State;
use modelyard_store::{Revision, revisions};
use modelyard_types::Kind;
use modelyard_types::permissions::can;
use modelyard_types::revisions::{BuildDetail, BuildUpdate};
use modelyard_types::time::ObjectTime;
use utoipa_axum::routes;

use crate::App;
use crate::access::OnVersion;
use crate::error::Result;
use crate::json::Json;
use crate::path::PathValues;
use crate::revisions::find;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(builds_list), builds_list);
    all.add(routes!(builds_get), builds_get);
    all.add(routes!(builds_update), builds_update);
}

fn shown(revision: Revision) -> BuildDetail {
    BuildDetail {
        id: revision.id,
        revision: revision.id,
        creation_date: ObjectTime(revision.created_at),
        status: revision.status,
        error_message: revision.error_message,
        trigger: revision.build_trigger,
        has_request_method: revision.has_request_method,
        has_requests_method: revision.has_requests_method,
    }
}

/// List the builds of a version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/builds",
    tag = "Revisions", responses((status = 200, body = Vec<BuildDetail>)))]
async fn builds_list(State(app): State<App>, on: OnVersion<can::BuildsList>) -> Result<Json<Vec<BuildDetail>>> {
    let all = revisions::list(app.control().store(), on.version.id).await?;
    app.control().catch_up().await?;
    Ok(Json(all.into_iter().map(shown).collect()))
}

/// Show a build.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/builds/{build_id}",
    tag = "Revisions", responses((status = 200, body = BuildDetail)))]
async fn builds_get(
    State(app): State<App>,
    on: OnVersion<can::BuildsGet>,
    path: PathValues,
) -> Result<Json<BuildDetail>> {
    let build = find(&app, on.version.id, &path, "builds", Kind::Build).await?;
    app.control().catch_up().await?;
    Ok(Json(shown(build)))
}

/// Cancel a build.
#[utoipa::path(patch,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/builds/{build_id}",
    tag = "Revisions", request_body = BuildUpdate, responses((status = 200, body = BuildDetail)))]
async fn builds_update(
    State(app): State<App>,
    on: OnVersion<can::BuildsUpdate>,
    path: PathValues,
    _cancelled: Json<BuildUpdate>,
) -> Result<Json<BuildDetail>> {
    let build = find(&app, on.version.id, &path, "builds", Kind::Build).await?;
    let (control, deployment) = (app.control(), on.deployment.id);
    let build = control.cancel_build(&on.actor, on.project.id, deployment, on.version.id, build.id).await?;
    Ok(Json(shown(build)))
}
