//! Revisions and builds of environments: what the waiters of clients before 4.15 follow.

use axum::extract::State;
use modelyard_store::environments::{builds, revisions, tags};
use modelyard_store::{Environment, EnvironmentBuild, EnvironmentRevision};
use modelyard_types::environments::{
    EnvironmentBuildDependency, EnvironmentBuildDetail, EnvironmentBuildUpdate, EnvironmentRevisionDetail,
};
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::{Kind, TagId};

use super::find;
use crate::App;
use crate::access::InProject;
use crate::error::{Result, not_found};
use crate::json::Json;
use crate::path::PathValues;

fn shown_revision(revision: EnvironmentRevision, environment: &str) -> EnvironmentRevisionDetail {
    EnvironmentRevisionDetail {
        id: revision.id,
        environment: environment.to_owned(),
        creation_date: ObjectTime(revision.created_at),
        created_by: revision.created_by,
        expired: revision.expired,
    }
}

pub(super) fn shown_build(build: EnvironmentBuild) -> EnvironmentBuildDetail {
    EnvironmentBuildDetail {
        id: build.id,
        revision: build.revision_id,
        creation_date: ObjectTime(build.created_at),
        status: build.status,
        error_message: build.error_message,
        trigger: build.build_trigger,
        size: build.size,
    }
}

async fn tag_of(app: &App, environment: &Environment) -> Result<Option<TagId>> {
    let tag = tags::get_by_name(app.control().store(), environment.id, tags::FIRST).await?;
    Ok(tag.map(|tag| tag.id))
}

/// The revision in the path, if it is one of the environment in the path.
pub(super) async fn revision<P>(
    app: &App,
    on: &InProject<P>,
    path: &PathValues,
) -> Result<(Environment, EnvironmentRevision)> {
    let environment = find(app, on, path).await?;
    let revision = revisions::get(app.control().store(), path.id("revisions", Kind::Revision)?).await?;
    let tag = tag_of(app, &environment).await?;
    let revision = revision.filter(|revision| Some(revision.tag_id) == tag);
    Ok((environment, revision.ok_or_else(|| not_found(Kind::Revision))?))
}

/// The build in the path, if it is one of the revision in the path.
async fn build<P>(
    app: &App,
    on: &InProject<P>,
    path: &PathValues,
) -> Result<(Environment, EnvironmentRevision, EnvironmentBuild)> {
    let (environment, revision) = revision(app, on, path).await?;
    let build = builds::get(app.control().store(), path.id("builds", Kind::Build)?).await?;
    let build = build.filter(|build| build.revision_id == revision.id).ok_or_else(|| not_found(Kind::Build))?;
    Ok((environment, revision, build))
}

/// List the revisions of an environment.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/revisions", tag = "Environments",
    responses((status = 200, body = Vec<EnvironmentRevisionDetail>)))]
pub(super) async fn environment_revisions_list(
    State(app): State<App>,
    on: InProject<can::EnvironmentRevisionsList>,
    path: PathValues,
) -> Result<Json<Vec<EnvironmentRevisionDetail>>> {
    let environment = find(&app, &on, &path).await?;
    let all = match tag_of(&app, &environment).await? {
        Some(tag) => revisions::list(app.control().store(), tag).await?,
        None => Vec::new(),
    };
    Ok(Json(all.into_iter().map(|revision| shown_revision(revision, &environment.name)).collect()))
}

/// Show a revision of an environment.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}",
    tag = "Environments", responses((status = 200, body = EnvironmentRevisionDetail)))]
pub(super) async fn environment_revisions_get(
    State(app): State<App>,
    on: InProject<can::EnvironmentRevisionsGet>,
    path: PathValues,
) -> Result<Json<EnvironmentRevisionDetail>> {
    let (environment, revision) = revision(&app, &on, &path).await?;
    Ok(Json(shown_revision(revision, &environment.name)))
}

/// List the builds of an environment's revision.
#[utoipa::path(get, path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/builds",
    tag = "Environments", responses((status = 200, body = Vec<EnvironmentBuildDetail>)))]
pub(super) async fn environment_builds_list(
    State(app): State<App>,
    on: InProject<can::EnvironmentBuildsList>,
    path: PathValues,
) -> Result<Json<Vec<EnvironmentBuildDetail>>> {
    let (_, revision) = revision(&app, &on, &path).await?;
    let all = builds::list(app.control().store(), revision.id).await?;
    Ok(Json(all.into_iter().map(shown_build).collect()))
}

/// Show a build of an environment's revision.
#[utoipa::path(get,
    path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/builds/{build_id}",
    tag = "Environments", responses((status = 200, body = EnvironmentBuildDetail)))]
pub(super) async fn environment_builds_get(
    State(app): State<App>,
    on: InProject<can::EnvironmentBuildsGet>,
    path: PathValues,
) -> Result<Json<EnvironmentBuildDetail>> {
    let (_, _, build) = build(&app, &on, &path).await?;
    Ok(Json(shown_build(build)))
}

/// Cancel a build of an environment.
#[utoipa::path(patch,
    path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/builds/{build_id}",
    tag = "Environments", request_body = EnvironmentBuildUpdate,
    responses((status = 200, body = EnvironmentBuildDetail)))]
pub(super) async fn environment_builds_update(
    State(app): State<App>,
    on: InProject<can::EnvironmentBuildsUpdate>,
    path: PathValues,
    _cancelled: Json<EnvironmentBuildUpdate>,
) -> Result<Json<EnvironmentBuildDetail>> {
    let (environment, _, build) = build(&app, &on, &path).await?;
    let build = app.control().cancel_environment_build(&on.actor, on.project.id, &environment, build.id).await?;
    Ok(Json(shown_build(build)))
}

/// List the dependency files of an environment's build with their text.
#[utoipa::path(get,
    path = "/projects/{project_name}/environments/{environment_name}/revisions/{revision_id}/builds/{build_id}/dependency-files",
    tag = "Environments", responses((status = 200, body = Vec<EnvironmentBuildDependency>)))]
pub(super) async fn environment_build_dependencies_list(
    State(app): State<App>,
    on: InProject<can::EnvironmentBuildsGet>,
    path: PathValues,
) -> Result<Json<Vec<EnvironmentBuildDependency>>> {
    let (_, revision, _) = build(&app, &on, &path).await?;
    let own = || vec![EnvironmentBuildDependency { name: "requirements.txt".into(), content: revision.requirements }];
    Ok(Json(revision.dependency_files.unwrap_or_else(own)))
}
