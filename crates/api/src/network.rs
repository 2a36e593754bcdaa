//! How far the code of a project reaches into the network.

use axum::extract::State;
use modelyard_types::network::{ProjectNetwork, ProjectNetworkUpdate};
use modelyard_types::permissions::can;
use utoipa_axum::routes;

use crate::App;
use crate::access::InProject;
use crate::error::Result;
use crate::json::Json;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(project_network_get), project_network_get);
    all.add(routes!(project_network_update), project_network_update);
}

/// Show how far the instances of a project reach into the network.
#[utoipa::path(get, path = "/projects/{project_name}/network", tag = "Projects",
    responses((status = 200, body = ProjectNetwork)))]
async fn project_network_get(State(app): State<App>, on: InProject<can::ProjectsGet>) -> Result<Json<ProjectNetwork>> {
    Ok(Json(app.control().project_network(on.project.id).await?))
}

/// Change how far the instances of a project reach into the network. They are replaced.
#[utoipa::path(patch, path = "/projects/{project_name}/network", tag = "Projects",
    request_body = ProjectNetworkUpdate, responses((status = 200, body = ProjectNetwork)))]
async fn project_network_update(
    State(app): State<App>,
    on: InProject<can::ProjectsUpdate>,
    Json(change): Json<ProjectNetworkUpdate>,
) -> Result<Json<ProjectNetwork>> {
    Ok(Json(app.control().update_project_network(&on.actor, on.project.id, change).await?))
}
