//! Projects: what everything else lives in.

use std::collections::HashMap;

use axum::extract::State;
use modelyard_control::access::Scope;
use modelyard_store::{Project, organizations, projects};
use modelyard_types::labels::LabelFilter;
use modelyard_types::permissions::can;
use modelyard_types::projects::{ProjectCreate, ProjectDetail, ProjectList, ProjectResourceUsage, ProjectUpdate};
use modelyard_types::time::ObjectTime;
use modelyard_types::{Kind, ProjectId};
use utoipa_axum::routes;

use crate::App;
use crate::access::{ByBody, InProject, Visible};
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, not_found};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(projects_list), projects_list);
    all.add(routes!(projects_create), projects_create);
    all.add(routes!(projects_get), projects_get);
    all.add(routes!(projects_update), projects_update);
    all.add(routes!(projects_delete), projects_delete);
    all.add(routes!(projects_resource_usage), projects_resource_usage);
}

fn listed(project: Project, organization_name: String) -> ProjectList {
    ProjectList {
        id: project.id,
        name: project.name.into(),
        creation_date: ObjectTime(project.created_at),
        advanced_permissions: project.advanced_permissions,
        credits: project.credits,
        organization_name,
        labels: project.labels,
    }
}

async fn detailed(app: &App, project: Project) -> Result<ProjectDetail> {
    let organization = organizations::get(app.control().store(), project.organization_id).await?;
    Ok(ProjectDetail {
        id: project.id,
        name: project.name.into(),
        creation_date: ObjectTime(project.created_at),
        organization_name: organization.map(|it| it.name.into()).unwrap_or_default(),
        advanced_permissions: project.advanced_permissions,
        credits: project.credits,
        suspended: project.suspended,
        suspended_reason: project.suspended_reason,
        cors_origins: project.cors_origins,
        labels: project.labels,
    })
}

/// Which projects to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ProjectFilter {
    /// Only those of this organization.
    organization: Option<String>,
    /// Only those with at least one of these labels: `key:value`, several with commas.
    #[param(value_type = Option<String>)]
    labels: LabelFilter,
}

impl FromQuery for ProjectFilter {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let organization = values.text("organization").map(|name| name.into_owned());
        Ok(Self { organization, labels: values.labels()? })
    }
}

/// List projects.
#[utoipa::path(get, path = "/projects", tag = "Projects", params(ProjectFilter),
    responses((status = 200, body = Vec<ProjectList>)))]
async fn projects_list(
    State(app): State<App>,
    visible: Visible<can::ProjectsList>,
    Query(filter): Query<ProjectFilter>,
) -> Result<Json<Vec<ProjectList>>> {
    let store = app.control().store();
    let organizations = organizations::list(store).await?;
    let names: HashMap<_, _> = organizations.into_iter().map(|it| (it.id, String::from(it.name))).collect();
    let mut shown = Vec::new();
    for project in projects::list(store, None).await? {
        let organization = names.get(&project.organization_id).cloned().unwrap_or_default();
        let wanted = filter.organization.as_ref().is_none_or(|name| *name == organization);
        if wanted && filter.labels.matches(&project.labels) && visible.sees(Scope::Project(project.id)) {
            shown.push(listed(project, organization));
        }
    }
    Ok(Json(shown))
}

/// Create a project.
#[utoipa::path(post, path = "/projects", tag = "Projects",
    request_body = ProjectCreate, responses((status = 201, body = ProjectDetail)))]
async fn projects_create(
    State(app): State<App>,
    by_body: ByBody<can::ProjectsCreate>,
    Json(new): Json<ProjectCreate>,
) -> Result<Created<ProjectDetail>> {
    let owner = organizations::get_by_name(app.control().store(), &new.organization_name).await?;
    let actor = by_body.in_organization(&owner.ok_or_else(|| not_found(Kind::Organization))?)?;
    let project = app.control().create_project(&actor, new).await?;
    Ok(Created(detailed(&app, project).await?))
}

/// Show a project.
#[utoipa::path(get, path = "/projects/{project_name}", tag = "Projects",
    responses((status = 200, body = ProjectDetail)))]
async fn projects_get(State(app): State<App>, on: InProject<can::ProjectsGet>) -> Result<Json<ProjectDetail>> {
    let project = row(&app, on.project.id).await?;
    Ok(Json(detailed(&app, project).await?))
}

async fn row(app: &App, id: ProjectId) -> Result<Project> {
    projects::get(app.control().store(), id).await?.ok_or_else(|| not_found(Kind::Project))
}

/// Change a project.
#[utoipa::path(patch, path = "/projects/{project_name}", tag = "Projects",
    request_body = ProjectUpdate, responses((status = 200, body = ProjectDetail)))]
async fn projects_update(
    State(app): State<App>,
    on: InProject<can::ProjectsUpdate>,
    Json(change): Json<ProjectUpdate>,
) -> Result<Json<ProjectDetail>> {
    let project = app.control().update_project(&on.actor, on.project.id, change).await?;
    Ok(Json(detailed(&app, project).await?))
}

/// Delete a project with everything in it.
#[utoipa::path(delete, path = "/projects/{project_name}", tag = "Projects", responses((status = 204)))]
async fn projects_delete(State(app): State<App>, on: InProject<can::ProjectsDelete>) -> Result<Done> {
    app.control().delete_project(&on.actor, on.project.id).await?;
    Ok(Done)
}

/// Count what a project holds.
#[utoipa::path(get, path = "/projects/{project_name}/resources", tag = "Projects",
    responses((status = 200, body = ProjectResourceUsage)))]
async fn projects_resource_usage(
    State(app): State<App>,
    on: InProject<can::ProjectsResources>,
) -> Result<Json<ProjectResourceUsage>> {
    Ok(Json(projects::resources(app.control().store(), on.project.id).await?))
}
