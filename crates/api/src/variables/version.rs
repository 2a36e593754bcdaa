//! The environment variables of versions.

use axum::extract::State;
use modelyard_control::VariableScope;
use modelyard_types::permissions::can;
use modelyard_types::variables::{
    EnvironmentVariableCopy, EnvironmentVariableCreate, EnvironmentVariableList, EnvironmentVariableUpdate,
    InheritedEnvironmentVariableList,
};
use utoipa_axum::routes;

use super::{copied, key, shown, source_of};
use crate::App;
use crate::access::OnVersion;
use crate::answer::{Created, Done};
use crate::error::Result;
use crate::json::Json;
use crate::path::PathValues;
use crate::routing::Operations;
use crate::versions::Agent;

const NOUN: &str = "environment-variables";

pub(super) fn add(all: &mut Operations) {
    all.add(routes!(deployment_version_environment_variables_list), deployment_version_environment_variables_list);
    all.add(routes!(deployment_version_environment_variables_create), deployment_version_environment_variables_create);
    all.add(routes!(deployment_version_environment_variables_get), deployment_version_environment_variables_get);
    all.add(routes!(deployment_version_environment_variables_update), deployment_version_environment_variables_update);
    all.add(routes!(deployment_version_environment_variables_delete), deployment_version_environment_variables_delete);
    all.add(routes!(deployment_version_environment_variables_copy), deployment_version_environment_variables_copy);
}

fn scope<P>(on: &OnVersion<P>) -> VariableScope {
    VariableScope::Version(on.project.id, on.deployment.id, on.version.id)
}

/// List the environment variables of a version, with those of its deployment and project that it does not shadow.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/environment-variables", tag = "Deployment versions",
    responses((status = 200, body = Vec<InheritedEnvironmentVariableList>)))]
pub(super) async fn deployment_version_environment_variables_list(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesList>,
    agent: Agent,
) -> Result<Json<Vec<InheritedEnvironmentVariableList>>> {
    let (names, listed) =
        ((&*on.project.name, Some(&*on.deployment.name)), app.control().list_variables(scope(&on)).await?);
    Ok(Json(listed.into_iter().map(|variable| super::listed(variable, names, agent.0)).collect()))
}

/// Create an environment variable of a version.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/environment-variables", tag = "Deployment versions",
    request_body = EnvironmentVariableCreate, responses((status = 201, body = EnvironmentVariableList)))]
pub(super) async fn deployment_version_environment_variables_create(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesCreate>,
    Json(new): Json<EnvironmentVariableCreate>,
) -> Result<Created<EnvironmentVariableList>> {
    Ok(Created(shown(app.control().create_variable(&on.actor, scope(&on), new).await?)))
}

/// Show an environment variable of a version, by its id or name.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/environment-variables/{id}", tag = "Deployment versions",
    responses((status = 200, body = EnvironmentVariableList)))]
pub(super) async fn deployment_version_environment_variables_get(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesGet>,
    path: PathValues,
) -> Result<Json<EnvironmentVariableList>> {
    Ok(Json(shown(app.control().get_variable(scope(&on), &key(&path, NOUN)?).await?)))
}

/// Change an environment variable of a version.
#[utoipa::path(patch, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/environment-variables/{id}", tag = "Deployment versions",
    request_body = EnvironmentVariableUpdate, responses((status = 200, body = EnvironmentVariableList)))]
pub(super) async fn deployment_version_environment_variables_update(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesUpdate>,
    path: PathValues,
    Json(change): Json<EnvironmentVariableUpdate>,
) -> Result<Json<EnvironmentVariableList>> {
    let key = key(&path, NOUN)?;
    Ok(Json(shown(app.control().update_variable(&on.actor, scope(&on), &key, change).await?)))
}

/// Delete an environment variable of a version.
#[utoipa::path(delete, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/environment-variables/{id}", tag = "Deployment versions",
    responses((status = 204)))]
pub(super) async fn deployment_version_environment_variables_delete(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesDelete>,
    path: PathValues,
) -> Result<Done> {
    app.control().delete_variable(&on.actor, scope(&on), &key(&path, NOUN)?).await?;
    Ok(Done)
}

/// Copy environment variables to a version from a deployment or a version, over those of the same names.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/copy-environment-variables", tag = "Deployment versions",
    request_body = EnvironmentVariableCopy, responses((status = 201, body = Vec<InheritedEnvironmentVariableList>)))]
pub(super) async fn deployment_version_environment_variables_copy(
    State(app): State<App>,
    on: OnVersion<can::VersionVariablesCreate>,
    agent: Agent,
    Json(from): Json<EnvironmentVariableCopy>,
) -> Result<Created<Vec<InheritedEnvironmentVariableList>>> {
    let (source, may_take_secrets) = source_of(&on.actor, &on.project, &from)?;
    let copies = app.control().copy_variables(&on.actor, scope(&on), source, may_take_secrets).await?;
    Ok(Created(copies.into_iter().map(|copy| copied(copy, agent.0)).collect()))
}
