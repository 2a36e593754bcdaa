//! Deployment versions: code, environment and how it is scaled.

use std::collections::HashMap;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, State};
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use modelyard_store::environments::tags;
use modelyard_store::{
    Environment, Revision, Version, deployments, environments, instance_type_groups, revisions, versions,
};
use modelyard_types::instance_types::InstanceType;
use modelyard_types::labels::LabelFilter;
use modelyard_types::language::InterpreterKey;
use modelyard_types::permissions::can;
use modelyard_types::release::ClientRelease;
use modelyard_types::time::ObjectTime;
use modelyard_types::versions::{DeploymentVersionCreate, DeploymentVersionDetail, DeploymentVersionUpdate};
use modelyard_types::{DeploymentId, EnvironmentId, InstanceTypeGroupId, Kind, VersionId};
use utoipa_axum::routes;

use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, not_found};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(deployment_versions_list), deployment_versions_list);
    all.add(routes!(deployment_versions_create), deployment_versions_create);
    all.add(routes!(deployment_versions_get), deployment_versions_get);
    all.add(routes!(deployment_versions_update), deployment_versions_update);
    all.add(routes!(deployment_versions_delete), deployment_versions_delete);
}

/// The release of the stock client that is calling, if it is one.
pub(crate) struct Agent(pub(crate) Option<ClientRelease>);

impl<S: Sync> FromRequestParts<S> for Agent {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let agent = parts.headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self(agent.and_then(ClientRelease::parse)))
    }
}

/// What an answer about a version shows beside its row.
struct Around<'a> {
    deployment: &'a str,
    is_default: bool,
    environments: &'a HashMap<EnvironmentId, Environment>,
    /// The names of groups of kinds of instances.
    groups: &'a HashMap<InstanceTypeGroupId, String>,
    /// The revision that tells what methods the code has; lists leave that out.
    revision: Option<Option<Revision>>,
}

fn shown(version: Version, around: Around<'_>) -> DeploymentVersionDetail {
    let kind = InstanceType::of_name(&version.instance_type);
    let group = version.instance_type_group_id.and_then(|id| Some((id, around.groups.get(&id)?.clone())));
    let (instance_type_group_id, instance_type_group_name) = group.unwrap_or((kind.group_id(), kind.group_name()));
    let used = around.environments.get(&version.environment_id);
    let environment = used.map(|it| it.name.clone()).unwrap_or_default();
    let language = used.map_or_else(String::new, |it| InterpreterKey::of(&it.interpreter).language_name());
    let method = |has: fn(&Revision) -> Option<bool>| {
        around.revision.as_ref().map(|revision| revision.as_ref().and_then(has).unwrap_or(false))
    };
    DeploymentVersionDetail {
        id: version.id,
        deployment: around.deployment.to_owned(),
        version: version.name.into(),
        description: version.description,
        language_description: used.map_or_else(String::new, |it| InterpreterKey::of(&it.interpreter).title()),
        language,
        status: version.status,
        active_revision: version.active_revision_id,
        latest_revision: version.latest_revision_id,
        latest_build: version.latest_revision_id,
        memory_allocation: kind.memory_mb,
        instance_type: version.instance_type,
        instance_type_group_id,
        instance_type_group_name,
        minimum_instances: version.minimum_instances,
        maximum_instances: version.maximum_instances,
        maximum_idle_time: version.maximum_idle_time,
        instance_processes: version.instance_processes,
        scaling_strategy: version.scaling_strategy,
        labels: version.labels,
        creation_date: ObjectTime(version.created_at),
        last_updated: ObjectTime(version.updated_at),
        last_file_upload: version.last_file_upload.map(ObjectTime),
        request_retention_time: version.request_retention_time,
        request_retention_mode: version.request_retention_mode,
        monitoring: version.monitoring,
        default_notification_group: None,
        maximum_queue_size: version.maximum_queue_size,
        maximum_queue_size_express: version.maximum_queue_size_express,
        maximum_queue_size_batch: version.maximum_queue_size_batch,
        static_ip: false,
        restart_request_interruption: version.restart_request_interruption,
        has_request_method: method(|revision| revision.has_request_method),
        has_requests_method: method(|revision| revision.has_requests_method),
        environment_display_name: used.map(|it| it.display_name.clone()).unwrap_or_default(),
        environment_name: environment.clone(),
        environment,
        environment_tag: tags::FIRST.to_owned(),
        default: around.is_default,
        ports: version.ports,
        health_check: None,
        command: None,
        args: None,
    }
}

/// A version with all that an answer about it shows.
async fn detailed(app: &App, deployment: &str, version: Version) -> Result<DeploymentVersionDetail> {
    let store = app.control().store();
    let used = environments::get(store, version.environment_id).await?;
    let environments: HashMap<_, _> = used.into_iter().map(|it| (it.id, it)).collect();
    let revision = match version.active_revision_id.or(version.latest_revision_id) {
        Some(id) => revisions::get(store, id).await?,
        None => None,
    };
    let group = match version.instance_type_group_id {
        Some(id) => instance_type_groups::get(store, id).await?,
        None => None,
    };
    let groups = group.into_iter().map(|it| (it.id, it.name)).collect();
    let is_default = default_of(app, version.deployment_id).await? == Some(version.id);
    let (environments, revision) = (&environments, Some(revision));
    Ok(shown(version, Around { deployment, is_default, environments, groups: &groups, revision }))
}

async fn default_of(app: &App, deployment: DeploymentId) -> Result<Option<VersionId>> {
    let deployment = deployments::get(app.control().store(), deployment).await?;
    Ok(deployment.and_then(|deployment| deployment.default_version_id))
}

/// Which versions to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct VersionFilter {
    /// Only those with at least one of these labels: `key:value`, several with commas.
    #[param(value_type = Option<String>)]
    labels: LabelFilter,
}

impl FromQuery for VersionFilter {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self { labels: values.labels()? })
    }
}

/// List the versions of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions",
    tag = "Deployment versions", params(VersionFilter),
    responses((status = 200, body = Vec<DeploymentVersionDetail>)))]
async fn deployment_versions_list(
    State(app): State<App>,
    on: OnDeployment<can::VersionsList>,
    Query(filter): Query<VersionFilter>,
) -> Result<Json<Vec<DeploymentVersionDetail>>> {
    let store = app.control().store();
    let default = default_of(&app, on.deployment.id).await?;
    let mut all = environments::list(store, on.project.id).await?;
    all.extend(environments::list_base(store).await?);
    let environments: HashMap<_, _> = all.into_iter().map(|it| (it.id, it)).collect();
    let mut versions = versions::list(store, on.deployment.id).await?;
    let groups = instance_type_groups::of_project(store, on.project.id).await?;
    let groups: HashMap<_, _> = groups.into_iter().map(|it| (it.id, it.name)).collect();
    app.control().catch_up().await?;
    versions.retain(|version| filter.labels.matches(&version.labels));
    let shown = versions.into_iter().map(|version| {
        let is_default = default == Some(version.id);
        let (deployment, environments, groups) = (&*on.deployment.name, &environments, &groups);
        shown(version, Around { deployment, is_default, environments, groups, revision: None })
    });
    Ok(Json(shown.collect()))
}

/// Create a version of a deployment.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions",
    tag = "Deployment versions", request_body = DeploymentVersionCreate,
    responses((status = 201, body = DeploymentVersionDetail)))]
async fn deployment_versions_create(
    State(app): State<App>,
    on: OnDeployment<can::VersionsCreate>,
    agent: Agent,
    Json(new): Json<DeploymentVersionCreate>,
) -> Result<Created<DeploymentVersionDetail>> {
    let version = app.control().create_version(&on.actor, on.project.id, on.deployment.id, new, agent.0).await?;
    Ok(Created(detailed(&app, &on.deployment.name, version).await?))
}

/// Show a version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}",
    tag = "Deployment versions", responses((status = 200, body = DeploymentVersionDetail)))]
async fn deployment_versions_get(
    State(app): State<App>,
    on: OnVersion<can::VersionsGet>,
) -> Result<Json<DeploymentVersionDetail>> {
    let version = versions::get(app.control().store(), on.version.id).await?;
    let version = version.ok_or_else(|| not_found(Kind::DeploymentVersion))?;
    app.control().catch_up().await?;
    Ok(Json(detailed(&app, &on.deployment.name, version).await?))
}

/// Change a version.
#[utoipa::path(patch, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}",
    tag = "Deployment versions", request_body = DeploymentVersionUpdate,
    responses((status = 200, body = DeploymentVersionDetail)))]
async fn deployment_versions_update(
    State(app): State<App>,
    on: OnVersion<can::VersionsUpdate>,
    agent: Agent,
    Json(change): Json<DeploymentVersionUpdate>,
) -> Result<Json<DeploymentVersionDetail>> {
    let (project, deployment, version) = (on.project.id, on.deployment.id, on.version.id);
    let version = app.control().update_version(&on.actor, project, deployment, version, change, agent.0).await?;
    Ok(Json(detailed(&app, &on.deployment.name, version).await?))
}

/// Delete a version.
#[utoipa::path(delete, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}",
    tag = "Deployment versions", responses((status = 204)))]
async fn deployment_versions_delete(State(app): State<App>, on: OnVersion<can::VersionsDelete>) -> Result<Done> {
    app.control().delete_version(&on.actor, on.project.id, on.deployment.id, on.version.id).await?;
    Ok(Done)
}
