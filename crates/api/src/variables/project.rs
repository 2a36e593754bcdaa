//! The environment variables of projects: all their versions have them.

use axum::extract::State;
use modelyard_control::VariableScope;
use modelyard_types::permissions::can;
use modelyard_types::variables::{EnvironmentVariableCreate, EnvironmentVariableList, EnvironmentVariableUpdate};

use super::{key, shown, shown_list};
use crate::App;
use crate::access::InProject;
use crate::answer::{Created, Done};
use crate::error::Result;
use crate::json::Json;
use crate::path::PathValues;

const NOUN: &str = "environment-variables";

fn scope<P>(on: &InProject<P>) -> VariableScope {
    VariableScope::Project(on.project.id)
}

/// List the environment variables of a project.
#[utoipa::path(get, path = "/projects/{project_name}/environment-variables", tag = "Projects",
    responses((status = 200, body = Vec<EnvironmentVariableList>)))]
pub(super) async fn project_environment_variables_list(
    State(app): State<App>,
    on: InProject<can::ProjectVariablesList>,
) -> Result<Json<Vec<EnvironmentVariableList>>> {
    Ok(Json(shown_list(&app, scope(&on)).await?))
}

/// Create an environment variable of a project.
#[utoipa::path(post, path = "/projects/{project_name}/environment-variables", tag = "Projects",
    request_body = EnvironmentVariableCreate, responses((status = 201, body = EnvironmentVariableList)))]
pub(super) async fn project_environment_variables_create(
    State(app): State<App>,
    on: InProject<can::ProjectVariablesCreate>,
    Json(new): Json<EnvironmentVariableCreate>,
) -> Result<Created<EnvironmentVariableList>> {
    Ok(Created(shown(app.control().create_variable(&on.actor, scope(&on), new).await?)))
}

/// Show an environment variable of a project, by its id or name.
#[utoipa::path(get, path = "/projects/{project_name}/environment-variables/{id}", tag = "Projects",
    responses((status = 200, body = EnvironmentVariableList)))]
pub(super) async fn project_environment_variables_get(
    State(app): State<App>,
    on: InProject<can::ProjectVariablesGet>,
    path: PathValues,
) -> Result<Json<EnvironmentVariableList>> {
    Ok(Json(shown(app.control().get_variable(scope(&on), &key(&path, NOUN)?).await?)))
}

/// Change an environment variable of a project.
#[utoipa::path(patch, path = "/projects/{project_name}/environment-variables/{id}", tag = "Projects",
    request_body = EnvironmentVariableUpdate, responses((status = 200, body = EnvironmentVariableList)))]
pub(super) async fn project_environment_variables_update(
    State(app): State<App>,
    on: InProject<can::ProjectVariablesUpdate>,
    path: PathValues,
    Json(change): Json<EnvironmentVariableUpdate>,
) -> Result<Json<EnvironmentVariableList>> {
    let key = key(&path, NOUN)?;
    Ok(Json(shown(app.control().update_variable(&on.actor, scope(&on), &key, change).await?)))
}

/// Delete an environment variable of a project.
#[utoipa::path(delete, path = "/projects/{project_name}/environment-variables/{id}", tag = "Projects",
    responses((status = 204)))]
pub(super) async fn project_environment_variables_delete(
    State(app): State<App>,
    on: InProject<can::ProjectVariablesDelete>,
    path: PathValues,
) -> Result<Done> {
    app.control().delete_variable(&on.actor, scope(&on), &key(&path, NOUN)?).await?;
    Ok(Done)
}
