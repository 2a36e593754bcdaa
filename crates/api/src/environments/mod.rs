//! Environments: an interpreter and what is installed for it.

mod builds;
mod files;

use std::collections::HashMap;

use axum::extract::State;
use modelyard_store::environments::tags;
use modelyard_store::{Environment, Tag, environments};
use modelyard_types::environments::{EnvironmentCreate, EnvironmentDetail, EnvironmentUpdate, EnvironmentUsage};
use modelyard_types::labels::LabelFilter;
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::versions::VersionStatus;
use modelyard_types::{EnvironmentId, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::access::InProject;
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, not_found};
use crate::json::Json;
use crate::path::PathValues;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(environments_list), environments_list);
    all.add(routes!(environments_create), environments_create);
    all.add(routes!(environments_get), environments_get);
    all.add(routes!(environments_update), environments_update);
    all.add(routes!(environments_delete), environments_delete);
    all.add(routes!(environments_usage), environments_usage);
    all.add(routes!(files::environment_revisions_file_upload), files::environment_revisions_file_upload);
    all.add(routes!(files::environment_revisions_file_download), files::environment_revisions_file_download);
    all.add(routes!(files::environment_revisions_rebuild), files::environment_revisions_rebuild);
    all.add(routes!(builds::environment_revisions_list), builds::environment_revisions_list);
    all.add(routes!(builds::environment_revisions_get), builds::environment_revisions_get);
    all.add(routes!(builds::environment_builds_list), builds::environment_builds_list);
    all.add(routes!(builds::environment_builds_get), builds::environment_builds_get);
    all.add(routes!(builds::environment_builds_update), builds::environment_builds_update);
    all.add(routes!(builds::environment_build_dependencies_list), builds::environment_build_dependencies_list);
}

fn shown(environment: Environment, tag: Option<Tag>, base: Option<&Environment>, project: &str) -> EnvironmentDetail {
    let from_tag = |id: fn(&Tag) -> Option<modelyard_types::EnvironmentRevisionId>| tag.as_ref().and_then(id);
    EnvironmentDetail {
        id: environment.id,
        name: environment.name,
        display_name: environment.display_name,
        base_environment: base.map(|base| base.name.clone()),
        base_environment_display_name: base.map(|base| base.display_name.clone()),
        project: environment.project_id.map(|_| project.to_owned()),
        creation_date: ObjectTime(environment.created_at),
        last_updated: ObjectTime(environment.updated_at),
        description: environment.description,
        labels: environment.labels,
        gpu_required: environment.gpu_required,
        status: tag.as_ref().map_or(VersionStatus::Unavailable, |tag| tag.status),
        implicit: environment.implicit,
        hidden: environment.hidden,
        deprecated: environment.deprecated,
        system: environment.system,
        supports_request_format: environment.supports_request_format,
        active_revision: from_tag(|tag| tag.active_revision_id),
        latest_revision: from_tag(|tag| tag.latest_revision_id),
        active_build: tag.as_ref().and_then(|tag| tag.active_build_id),
        latest_build: tag.as_ref().and_then(|tag| tag.latest_build_id),
    }
}

/// Which environments to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct EnvironmentFilter {
    /// Only those with at least one of these labels: `key:value`, several with commas.
    #[param(value_type = Option<String>)]
    labels: LabelFilter,
    /// `base`, `custom` or `all`.
    #[param(value_type = Option<String>)]
    environment_type: Option<bool>,
    /// Only base environments, or only others: what newer clients say for `environment_type`.
    system: Option<bool>,
    /// Only those for deployments that take requests, or only those for others.
    supports_request_format: Option<bool>,
}

impl FromQuery for EnvironmentFilter {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            labels: values.labels()?,
            environment_type: environment_type(values)?,
            system: values.flag("system")?,
            supports_request_format: values.flag("supports_request_format")?,
        })
    }
}

/// Whether only base environments are wanted, or only others.
fn environment_type(values: &Values<'_>) -> Result<Option<bool>, Refusal> {
    let types = [("base", Some(true)), ("custom", Some(false)), ("all", None)];
    Ok(values.word("environment_type", &types)?.flatten())
}

impl EnvironmentFilter {
    fn passes(&self, environment: &Environment) -> bool {
        self.labels.matches(&environment.labels)
            && self.environment_type.is_none_or(|base| base == environment.system)
            && self.system.is_none_or(|system| system == environment.system)
            && self.supports_request_format.is_none_or(|wanted| wanted == environment.supports_request_format)
    }
}

/// List the environments that a project can use.
#[utoipa::path(get, path = "/projects/{project_name}/environments", tag = "Environments", params(EnvironmentFilter),
    responses((status = 200, body = Vec<EnvironmentDetail>)))]
async fn environments_list(
    State(app): State<App>,
    on: InProject<can::EnvironmentsList>,
    Query(filter): Query<EnvironmentFilter>,
) -> Result<Json<Vec<EnvironmentDetail>>> {
    let store = app.control().store();
    let mut all = environments::list_base(store).await?;
    all.extend(environments::list(store, on.project.id).await?);
    let tags = tags::list_of_project(store, on.project.id).await?;
    let first = tags.into_iter().filter(|tag| tag.name == tags::FIRST);
    let mut tags: HashMap<_, _> = first.map(|tag| (tag.environment_id, tag)).collect();
    let bases: HashMap<EnvironmentId, Environment> = all.iter().map(|it| (it.id, it.clone())).collect();
    let wanted = all.into_iter().filter(|environment| filter.passes(environment));
    let shown = wanted.map(|environment| {
        let base = environment.base_environment_id.and_then(|id| bases.get(&id));
        let tag = tags.remove(&environment.id);
        shown(environment, tag, base, &on.project.name)
    });
    Ok(Json(shown.collect()))
}

/// Show an environment.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}", tag = "Environments",
    responses((status = 200, body = EnvironmentDetail)))]
async fn environments_get(
    State(app): State<App>,
    on: InProject<can::EnvironmentsGet>,
    path: PathValues,
) -> Result<Json<EnvironmentDetail>> {
    let environment = find(&app, &on, &path).await?;
    Ok(Json(detailed(&app, environment, &on.project.name).await?))
}

/// An environment with all that an answer about it shows.
async fn detailed(app: &App, environment: Environment, project: &str) -> Result<EnvironmentDetail> {
    let store = app.control().store();
    let tag = tags::get_by_name(store, environment.id, tags::FIRST).await?;
    let base = match environment.base_environment_id {
        Some(id) => environments::get(store, id).await?,
        None => None,
    };
    Ok(shown(environment, tag, base.as_ref(), project))
}

/// Create an environment on top of a base environment.
#[utoipa::path(post, path = "/projects/{project_name}/environments", tag = "Environments",
    request_body = EnvironmentCreate, responses((status = 201, body = EnvironmentDetail)))]
async fn environments_create(
    State(app): State<App>,
    on: InProject<can::EnvironmentsCreate>,
    Json(new): Json<EnvironmentCreate>,
) -> Result<Created<EnvironmentDetail>> {
    let environment = app.control().create_environment(&on.actor, on.project.id, new).await?;
    Ok(Created(detailed(&app, environment, &on.project.name).await?))
}

/// Change an environment.
#[utoipa::path(patch, path = "/projects/{project_name}/environments/{environment_name}", tag = "Environments",
    request_body = EnvironmentUpdate, responses((status = 200, body = EnvironmentDetail)))]
async fn environments_update(
    State(app): State<App>,
    on: InProject<can::EnvironmentsUpdate>,
    path: PathValues,
    Json(change): Json<EnvironmentUpdate>,
) -> Result<Json<EnvironmentDetail>> {
    let environment = find(&app, &on, &path).await?;
    let environment = app.control().update_environment(&on.actor, on.project.id, environment.id, change).await?;
    Ok(Json(detailed(&app, environment, &on.project.name).await?))
}

/// Delete an environment that no version uses.
#[utoipa::path(delete, path = "/projects/{project_name}/environments/{environment_name}", tag = "Environments",
    responses((status = 204)))]
async fn environments_delete(
    State(app): State<App>,
    on: InProject<can::EnvironmentsDelete>,
    path: PathValues,
) -> Result<Done> {
    let environment = find(&app, &on, &path).await?;
    app.control().delete_environment(&on.actor, on.project.id, environment.id).await?;
    Ok(Done)
}

/// Which users of an environment to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct UsageFilter {
    /// `base`: those that run right in a base environment; `custom`: those that run in another; or `all`.
    #[param(value_type = Option<String>)]
    environment_type: Option<bool>,
}

impl FromQuery for UsageFilter {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self { environment_type: environment_type(values)? })
    }
}

/// List the versions of the project that use an environment.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/usage", tag = "Environments",
    params(UsageFilter), responses((status = 200, body = Vec<EnvironmentUsage>)))]
async fn environments_usage(
    State(app): State<App>,
    on: InProject<can::EnvironmentsGet>,
    path: PathValues,
    Query(filter): Query<UsageFilter>,
) -> Result<Json<Vec<EnvironmentUsage>>> {
    let environment = find(&app, &on, &path).await?;
    let mut using = app.control().environment_usage(on.project.id, &environment).await?;
    using.retain(|it| filter.environment_type.is_none_or(|base| base == it.environment.system));
    let shown = using.into_iter().map(|it| EnvironmentUsage {
        id: it.version.id,
        deployment: it.deployment,
        version: it.version.name.into(),
        environment: it.environment.name,
        environment_display_name: it.environment.display_name,
        status: it.version.status,
    });
    Ok(Json(shown.collect()))
}

/// The environment in the path.
async fn find<P>(app: &App, on: &InProject<P>, path: &PathValues) -> Result<Environment> {
    let name = path.name("environments", Kind::Environment)?;
    let found = environments::get_by_name(app.control().store(), on.project.id, &name).await?;
    found.ok_or_else(|| not_found(Kind::Environment))
}
