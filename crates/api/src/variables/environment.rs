//! The secrets of environments: their builds have them, and nothing else.

use axum::extract::State;
use modelyard_control::VariableScope;
use modelyard_control::access::{Scope, allows};
use modelyard_store::{Environment, environments};
use modelyard_types::Kind;
use modelyard_types::permissions::{Permission, can};
use modelyard_types::variables::{
    EnvironmentSecretCopy, EnvironmentVariableCreate, EnvironmentVariableList, EnvironmentVariableUpdate,
    InheritedEnvironmentVariableList,
};
use utoipa_axum::routes;

use super::{copied, key, shown, shown_list};
use crate::App;
use crate::access::InProject;
use crate::answer::{Created, Done};
use crate::error::{Result, not_found};
use crate::json::Json;
use crate::path::PathValues;
use crate::routing::Operations;

const NOUN: &str = "secrets";

pub(super) fn add(all: &mut Operations) {
    all.add(routes!(environment_secrets_list), environment_secrets_list);
    all.add(routes!(environment_secrets_create), environment_secrets_create);
    all.add(routes!(environment_secrets_get), environment_secrets_get);
    all.add(routes!(environment_secrets_update), environment_secrets_update);
    all.add(routes!(environment_secrets_delete), environment_secrets_delete);
    all.add(routes!(environment_secrets_copy), environment_secrets_copy);
}

/// The environment of a name, for its secrets.
async fn named<P>(app: &App, on: &InProject<P>, name: &str) -> Result<VariableScope> {
    let found = environments::get_by_name(app.control().store(), on.project.id, name).await?;
    let Environment { id, .. } = found.ok_or_else(|| not_found(Kind::Environment))?;
    Ok(VariableScope::Environment(on.project.id, id))
}

async fn scope<P>(app: &App, on: &InProject<P>, path: &PathValues) -> Result<VariableScope> {
    named(app, on, &path.name("environments", Kind::Environment)?).await
}

/// List the secrets of an environment.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/secrets", tag = "Environments",
    responses((status = 200, body = Vec<EnvironmentVariableList>)))]
async fn environment_secrets_list(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsList>,
    path: PathValues,
) -> Result<Json<Vec<EnvironmentVariableList>>> {
    let scope = scope(&app, &on, &path).await?;
    Ok(Json(shown_list(&app, scope).await?))
}

/// Create a secret of an environment.
#[utoipa::path(post, path = "/projects/{project_name}/environments/{environment_name}/secrets", tag = "Environments",
    request_body = EnvironmentVariableCreate, responses((status = 201, body = EnvironmentVariableList)))]
async fn environment_secrets_create(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsCreate>,
    path: PathValues,
    Json(new): Json<EnvironmentVariableCreate>,
) -> Result<Created<EnvironmentVariableList>> {
    let scope = scope(&app, &on, &path).await?;
    Ok(Created(shown(app.control().create_variable(&on.actor, scope, new).await?)))
}

/// Show a secret of an environment, by its id or name.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/secrets/{id}",
    tag = "Environments", responses((status = 200, body = EnvironmentVariableList)))]
async fn environment_secrets_get(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsGet>,
    path: PathValues,
) -> Result<Json<EnvironmentVariableList>> {
    let scope = scope(&app, &on, &path).await?;
    Ok(Json(shown(app.control().get_variable(scope, &key(&path, NOUN)?).await?)))
}

/// Change a secret of an environment.
#[utoipa::path(patch, path = "/projects/{project_name}/environments/{environment_name}/secrets/{id}",
    tag = "Environments", request_body = EnvironmentVariableUpdate,
    responses((status = 200, body = EnvironmentVariableList)))]
async fn environment_secrets_update(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsUpdate>,
    path: PathValues,
    Json(change): Json<EnvironmentVariableUpdate>,
) -> Result<Json<EnvironmentVariableList>> {
    let (scope, key) = (scope(&app, &on, &path).await?, key(&path, NOUN)?);
    Ok(Json(shown(app.control().update_variable(&on.actor, scope, &key, change).await?)))
}

/// Delete a secret of an environment.
#[utoipa::path(delete, path = "/projects/{project_name}/environments/{environment_name}/secrets/{id}",
    tag = "Environments", responses((status = 204)))]
async fn environment_secrets_delete(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsDelete>,
    path: PathValues,
) -> Result<Done> {
    let scope = scope(&app, &on, &path).await?;
    app.control().delete_variable(&on.actor, scope, &key(&path, NOUN)?).await?;
    Ok(Done)
}

/// Copy the secrets of another environment to an environment, over those of the same names.
#[utoipa::path(post, path = "/projects/{project_name}/environments/{environment_name}/copy-secrets",
    tag = "Environments", request_body = EnvironmentSecretCopy,
    responses((status = 201, body = Vec<InheritedEnvironmentVariableList>)))]
async fn environment_secrets_copy(
    State(app): State<App>,
    on: InProject<can::EnvironmentSecretsCreate>,
    path: PathValues,
    Json(from): Json<EnvironmentSecretCopy>,
) -> Result<Created<Vec<InheritedEnvironmentVariableList>>> {
    let (to, from) = (scope(&app, &on, &path).await?, named(&app, &on, &from.source_environment).await?);
    let takes = <can::EnvironmentSecretsUpdate as Permission>::NAME;
    let may_take_secrets = allows(&on.actor, Scope::Project(on.project.id), takes);
    let copies = app.control().copy_variables(&on.actor, to, from, may_take_secrets).await?;
    Ok(Created(copies.into_iter().map(|copy| copied(copy, None)).collect()))
}
