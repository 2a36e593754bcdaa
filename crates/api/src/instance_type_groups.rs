//! Groups of kinds of instances: what an instance of a version may be, in the order in which that is tried.

use std::collections::HashMap;

use axum::extract::State;
use modelyard_store::{InstanceTypeGroup, deployments};
use modelyard_types::instance_type_groups::{
    InstanceTypeGroupCreate, InstanceTypeGroupList, InstanceTypeGroupListPaginated, InstanceTypeGroupUpdate,
    InstanceTypeGroupUsage, InstanceTypeGroupUsagePaginated, InstanceTypeItem, Member,
};
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::{InstanceTypeGroupId, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::access::InProject;
use crate::answer::{Created, Done};
use crate::error::Result;
use crate::instance_types::newer;
use crate::json::Json;
use crate::page::{Order, Page};
use crate::path::PathValues;
use crate::query::Query;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(instance_type_groups_list), instance_type_groups_list);
    all.add(routes!(instance_type_groups_create), instance_type_groups_create);
    all.add(routes!(instance_type_groups_get), instance_type_groups_get);
    all.add(routes!(instance_type_groups_update), instance_type_groups_update);
    all.add(routes!(instance_type_groups_delete), instance_type_groups_delete);
    all.add(routes!(instance_type_groups_usage), instance_type_groups_usage);
}

fn shown(group: InstanceTypeGroup) -> InstanceTypeGroupList {
    let item = |member: Member| InstanceTypeItem {
        instance_type: newer(member.kind()),
        priority: member.priority,
        schedule_timeout: member.schedule_timeout,
    };
    InstanceTypeGroupList {
        id: group.id,
        name: group.name,
        time_created: ObjectTime(group.created_at),
        time_updated: ObjectTime(group.updated_at),
        instance_types: group.members.into_iter().map(item).collect(),
    }
}

fn id_in(path: &PathValues) -> Result<InstanceTypeGroupId> {
    path.id("instance-type-groups", Kind::InstanceTypeGroup)
}

/// List the groups of kinds of instances of a project.
#[utoipa::path(get, path = "/projects/{project_name}/instance-type-groups", tag = "Instances", params(Page),
    responses((status = 200, body = InstanceTypeGroupListPaginated)))]
async fn instance_type_groups_list(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsList>,
    Query(page): Query<Page>,
) -> Result<Json<InstanceTypeGroupListPaginated>> {
    let cut = page.cut(Order::Oldest);
    let found = app.control().list_instance_type_groups(on.project.id, cut, page.enough()).await?;
    let found = page.of(found, |group| group.id.0);
    let results = found.results.into_iter().map(shown).collect();
    Ok(Json(InstanceTypeGroupListPaginated { next: found.next, previous: found.previous, results }))
}

/// Create a group of kinds of instances.
#[utoipa::path(post, path = "/projects/{project_name}/instance-type-groups", tag = "Instances",
    request_body = InstanceTypeGroupCreate, responses((status = 201, body = InstanceTypeGroupList)))]
async fn instance_type_groups_create(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsCreate>,
    Json(new): Json<InstanceTypeGroupCreate>,
) -> Result<Created<InstanceTypeGroupList>> {
    let group = app.control().create_instance_type_group(&on.actor, on.project.id, new).await?;
    Ok(Created(shown(group)))
}

/// Show a group of kinds of instances.
#[utoipa::path(get, path = "/projects/{project_name}/instance-type-groups/{instance_type_group_id}", tag = "Instances",
    responses((status = 200, body = InstanceTypeGroupList)))]
async fn instance_type_groups_get(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsGet>,
    path: PathValues,
) -> Result<Json<InstanceTypeGroupList>> {
    Ok(Json(shown(app.control().get_instance_type_group(on.project.id, id_in(&path)?).await?)))
}

/// Change a group of kinds of instances.
#[utoipa::path(patch, path = "/projects/{project_name}/instance-type-groups/{instance_type_group_id}", tag = "Instances",
    request_body = InstanceTypeGroupUpdate, responses((status = 200, body = InstanceTypeGroupList)))]
async fn instance_type_groups_update(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsUpdate>,
    path: PathValues,
    Json(change): Json<InstanceTypeGroupUpdate>,
) -> Result<Json<InstanceTypeGroupList>> {
    let group = app.control().update_instance_type_group(&on.actor, on.project.id, id_in(&path)?, change).await?;
    Ok(Json(shown(group)))
}

/// Delete a group of kinds of instances that no version uses.
#[utoipa::path(delete, path = "/projects/{project_name}/instance-type-groups/{instance_type_group_id}", tag = "Instances",
    responses((status = 204)))]
async fn instance_type_groups_delete(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsDelete>,
    path: PathValues,
) -> Result<Done> {
    app.control().delete_instance_type_group(&on.actor, on.project.id, id_in(&path)?).await?;
    Ok(Done)
}

/// List the versions that use a group of kinds of instances.
#[utoipa::path(get, path = "/projects/{project_name}/instance-type-groups/{instance_type_group_id}/usage",
    tag = "Instances", params(Page), responses((status = 200, body = InstanceTypeGroupUsagePaginated)))]
async fn instance_type_groups_usage(
    State(app): State<App>,
    on: InProject<can::InstanceTypeGroupsGet>,
    path: PathValues,
    Query(page): Query<Page>,
) -> Result<Json<InstanceTypeGroupUsagePaginated>> {
    let (control, cut) = (app.control(), page.cut(Order::Oldest));
    let group = control.get_instance_type_group(on.project.id, id_in(&path)?).await?;
    let found = control.instance_type_group_usage(&group, cut, page.enough()).await?;
    let found = page.of(found, |version| version.id.0);
    let deployments = deployments::list(control.store(), on.project.id).await?;
    let names: HashMap<_, _> = deployments.into_iter().map(|it| (it.id, it.name)).collect();
    // A deployment that was deleted between the two reads took its versions with it.
    let results = found.results.into_iter().filter_map(|version| {
        Some(InstanceTypeGroupUsage {
            id: version.id,
            deployment: names.get(&version.deployment_id)?.to_string(),
            version: version.name.into(),
            instance_type_group_id: group.id,
            instance_type_group_name: group.name.clone(),
        })
    });
    Ok(Json(InstanceTypeGroupUsagePaginated { next: found.next, previous: found.previous, results: results.collect() }))
}
