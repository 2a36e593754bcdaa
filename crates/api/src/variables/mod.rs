//! Environment variables of projects, deployments and versions, and the secrets of environments: one manner, four addresses.

mod deployment;
mod environment;
mod project;
mod version;

use modelyard_control::access::{Actor, Scope, allows};
use modelyard_control::catalogue::ProjectSnapshot;
use modelyard_control::{Level, VariableScope};
use modelyard_store::Variable;
use modelyard_types::permissions::{Permission, can};
use modelyard_types::release::ClientRelease;
use modelyard_types::variables::{EnvironmentVariableCopy, EnvironmentVariableList, InheritedEnvironmentVariableList};
use modelyard_types::{Error, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::error::{Refusal, Result, not_found};
use crate::path::PathValues;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(project::project_environment_variables_list), project::project_environment_variables_list);
    all.add(routes!(project::project_environment_variables_create), project::project_environment_variables_create);
    all.add(routes!(project::project_environment_variables_get), project::project_environment_variables_get);
    all.add(routes!(project::project_environment_variables_update), project::project_environment_variables_update);
    all.add(routes!(project::project_environment_variables_delete), project::project_environment_variables_delete);
    deployment::add(all);
    version::add(all);
    environment::add(all);
}

/// The last release whose lists refuse an empty text as a value.
const NO_EMPTY_VALUES: ClientRelease = ClientRelease::new(4, 8, u16::MAX);

fn shown(variable: Variable) -> EnvironmentVariableList {
    let secret = variable.is_secret();
    EnvironmentVariableList { id: variable.id, name: variable.name, value: variable.value, secret }
}

/// A variable in the list of an object, whose own level is the lowest. `deployment` is the name of the version's.
fn listed(
    variable: Variable,
    (project, deployment): (&str, Option<&str>),
    release: Option<ClientRelease>,
) -> InheritedEnvironmentVariableList {
    let (kind, name) = match (Level::of(&variable), deployment) {
        (Level::Project, _) => (Some("project"), Some(project)),
        (Level::Deployment, Some(deployment)) => (Some("deployment"), Some(deployment)),
        _ => (None, None),
    };
    InheritedEnvironmentVariableList {
        inheritance_type: kind,
        inheritance_name: name.map(str::to_owned),
        ..copied(variable, release)
    }
}

/// A variable in the answer of a copy: they are the object's own.
fn copied(variable: Variable, release: Option<ClientRelease>) -> InheritedEnvironmentVariableList {
    let EnvironmentVariableList { id, name, value, secret } = shown(variable);
    let refused = |value: &String| value.is_empty() && release.is_some_and(|release| release <= NO_EMPTY_VALUES);
    let value = value.filter(|value| !refused(value));
    InheritedEnvironmentVariableList { id, name, value, secret, inheritance_type: None, inheritance_name: None }
}

/// The name or id of the variable in the path.
fn key<'a>(path: &'a PathValues, noun: &str) -> Result<std::borrow::Cow<'a, str>> {
    path.name(noun, Kind::EnvironmentVariable)
}

/// What a copy takes from, and whether the caller may take its secrets; refused unless it may see that.
fn source_of(
    actor: &Actor,
    project: &ProjectSnapshot,
    from: &EnvironmentVariableCopy,
) -> Result<(VariableScope, bool)> {
    let may = |deployment, name| allows(actor, Scope::Deployment(project.id, deployment), name);
    let found = project.deployments.get(from.source_deployment.as_str());
    let seen = found.filter(|found| may(found.id, <can::DeploymentsGet as Permission>::NAME));
    let deployment = seen.ok_or_else(|| not_found(Kind::Deployment))?;
    let (scope, sees, takes) = match &from.source_version {
        None => (
            VariableScope::Deployment(project.id, deployment.id),
            <can::DeploymentVariablesList as Permission>::NAME,
            <can::DeploymentVariablesUpdate as Permission>::NAME,
        ),
        Some(name) => {
            let version = deployment.versions.get(name.as_str()).ok_or_else(|| not_found(Kind::DeploymentVersion))?;
            (
                VariableScope::Version(project.id, deployment.id, version.id),
                <can::VersionVariablesList as Permission>::NAME,
                <can::VersionVariablesUpdate as Permission>::NAME,
            )
        }
    };
    if !may(deployment.id, sees) {
        return Err(Refusal(Error::Forbidden));
    }
    Ok((scope, may(deployment.id, takes)))
}

async fn shown_list(app: &App, scope: VariableScope) -> Result<Vec<EnvironmentVariableList>> {
    Ok(app.control().list_variables(scope).await?.into_iter().map(shown).collect())
}
