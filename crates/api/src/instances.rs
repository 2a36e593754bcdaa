//! Instances of a version or of a whole project, what happened to them, and stopping one.

use std::sync::Arc;

use axum::extract::State;
use modelyard_control::catalogue::ProjectSnapshot;
use modelyard_control::{InstanceScope, InstanceView};
use modelyard_types::instance_types::InstanceType;
use modelyard_types::instances::{
    InstanceDetail, InstanceEvent, InstanceEventPaginated, InstanceInstanceTypeDetail, InstanceList,
    InstanceListPaginated, InstanceStatus, InstanceUpdate, Node, ProjectInstanceList, ProjectInstanceListPaginated,
};
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::{InstanceId, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::access::{InProject, OnVersion};
use crate::error::{Refusal, Result, invalid};
use crate::instance_types::node_pool;
use crate::json::Json;
use crate::page::{Order, Page, Paged};
use crate::path::PathValues;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(instances_list), instances_list);
    all.add(routes!(instances_get), instances_get);
    all.add(routes!(instances_update), instances_update);
    all.add(routes!(instance_events_list), instance_events_list);
    all.add(routes!(project_instances_list), project_instances_list);
    all.add(routes!(project_instances_get), project_instances_get);
    all.add(routes!(project_instances_update), project_instances_update);
}

/// Which instances to list.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Where they stand, several with commas: anywhere when absent.
    #[param(value_type = Option<String>)]
    status: Vec<InstanceStatus>,
}

impl FromQuery for Wanted {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let text = values.text("status").unwrap_or_default();
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        let status = words.map(|word| {
            InstanceStatus::parse(&word.to_ascii_lowercase()).ok_or_else(|| {
                let known = InstanceStatus::ALL.map(InstanceStatus::as_str).join(", ");
                invalid(format!("status must be one of {known}, but got '{word}'"))
            })
        });
        Ok(Self { status: status.collect::<Result<_>>()? })
    }
}

fn in_project(view: InstanceView) -> ProjectInstanceList {
    let instance = view.instance;
    // Names are checked when they are written.
    let kind = InstanceType::of_name(&instance.instance_type);
    ProjectInstanceList {
        instance: InstanceList {
            id: instance.id,
            status: instance.status,
            time_created: ObjectTime(instance.created_at),
            time_updated: ObjectTime(instance.updated_at),
            instance_type: InstanceInstanceTypeDetail {
                id: kind.id(),
                name: kind.name(),
                display_name: kind.display_name(),
            },
        },
        deployment: view.deployment,
        version: view.version,
    }
}

fn detailed(view: InstanceView) -> InstanceDetail {
    InstanceDetail { instance: in_project(view), node: Node::default(), node_pool: node_pool() }
}

/// A page of instances, the youngest first.
async fn list(
    app: &App,
    project: &Arc<ProjectSnapshot>,
    scope: InstanceScope,
    wanted: Wanted,
    page: &Page,
) -> Result<Paged<InstanceView>> {
    let cut = page.cut(Order::Newest);
    let found = app.control().list_instances(project, scope, &wanted.status, cut, page.enough()).await?;
    Ok(page.of(found, |view| view.instance.id.0))
}

fn id_in(path: &PathValues) -> Result<InstanceId> {
    path.id("instances", Kind::Instance)
}

/// List the instances of a version.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/instances",
    tag = "Instances", params(Wanted, Page), responses((status = 200, body = InstanceListPaginated)))]
async fn instances_list(
    State(app): State<App>,
    on: OnVersion<can::InstancesList>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<Page>,
) -> Result<Json<InstanceListPaginated>> {
    let found = list(&app, &on.project, InstanceScope::Version(on.version.id), wanted, &page).await?;
    Ok(Json(InstanceListPaginated {
        next: found.next,
        previous: found.previous,
        results: found.results.into_iter().map(|view| in_project(view).instance).collect(),
    }))
}

/// Show an instance.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/instances/{instance_id}",
    tag = "Instances", responses((status = 200, body = InstanceDetail)))]
async fn instances_get(
    State(app): State<App>,
    on: OnVersion<can::InstancesGet>,
    path: PathValues,
) -> Result<Json<InstanceDetail>> {
    let scope = InstanceScope::Version(on.version.id);
    let found = app.control().get_instance(&on.project, scope, id_in(&path)?).await?;
    Ok(Json(detailed(found)))
}

/// Stop an instance.
#[utoipa::path(patch,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/instances/{instance_id}",
    tag = "Instances", responses((status = 200, body = InstanceDetail)))]
async fn instances_update(
    State(app): State<App>,
    on: OnVersion<can::InstancesUpdate>,
    path: PathValues,
    Json(_stopped): Json<InstanceUpdate>,
) -> Result<Json<InstanceDetail>> {
    let scope = InstanceScope::Version(on.version.id);
    let found = app.control().ask_instance_to_stop(&on.actor, &on.project, scope, id_in(&path)?).await?;
    Ok(Json(detailed(found)))
}

/// List what happened to an instance, the oldest first.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/instances/{instance_id}/events",
    tag = "Instances", params(Page), responses((status = 200, body = InstanceEventPaginated)))]
async fn instance_events_list(
    State(app): State<App>,
    on: OnVersion<can::InstancesGet>,
    path: PathValues,
    Query(page): Query<Page>,
) -> Result<Json<InstanceEventPaginated>> {
    let (scope, cut) = (InstanceScope::Version(on.version.id), page.cut(Order::Oldest));
    let found = app.control().instance_events(scope, id_in(&path)?, cut, page.enough()).await?;
    let found = page.of(found, |event| event.id.0);
    let shown = |event: modelyard_store::InstanceEvent| InstanceEvent {
        id: event.id,
        time_created: ObjectTime(event.created_at),
        description: event.description,
    };
    let results = found.results.into_iter().map(shown).collect();
    Ok(Json(InstanceEventPaginated { next: found.next, previous: found.previous, results }))
}

/// List the instances of a project.
#[utoipa::path(get, path = "/projects/{project_name}/instances", tag = "Instances", params(Wanted, Page),
    responses((status = 200, body = ProjectInstanceListPaginated)))]
async fn project_instances_list(
    State(app): State<App>,
    on: InProject<can::ProjectsInstancesList>,
    Query(wanted): Query<Wanted>,
    Query(page): Query<Page>,
) -> Result<Json<ProjectInstanceListPaginated>> {
    let found = list(&app, &on.project, InstanceScope::Project(on.project.id), wanted, &page).await?;
    let results = found.results.into_iter().map(in_project).collect();
    Ok(Json(ProjectInstanceListPaginated { next: found.next, previous: found.previous, results }))
}

/// Show an instance of a project.
#[utoipa::path(get, path = "/projects/{project_name}/instances/{instance_id}", tag = "Instances",
    responses((status = 200, body = InstanceDetail)))]
async fn project_instances_get(
    State(app): State<App>,
    on: InProject<can::ProjectsInstancesGet>,
    path: PathValues,
) -> Result<Json<InstanceDetail>> {
    let scope = InstanceScope::Project(on.project.id);
    let found = app.control().get_instance(&on.project, scope, id_in(&path)?).await?;
    Ok(Json(detailed(found)))
}

/// Stop an instance of a project.
#[utoipa::path(patch, path = "/projects/{project_name}/instances/{instance_id}", tag = "Instances",
    responses((status = 200, body = InstanceDetail)))]
async fn project_instances_update(
    State(app): State<App>,
    on: InProject<can::ProjectsInstancesUpdate>,
    path: PathValues,
    Json(_stopped): Json<InstanceUpdate>,
) -> Result<Json<InstanceDetail>> {
    let scope = InstanceScope::Project(on.project.id);
    let found = app.control().ask_instance_to_stop(&on.actor, &on.project, scope, id_in(&path)?).await?;
    Ok(Json(detailed(found)))
}
