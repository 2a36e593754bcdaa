//! Organizations: who owns projects.

use axum::extract::State;
use modelyard_control::access::Scope;
use modelyard_store::{Organization, organizations};
use modelyard_types::organizations::{
    OrganizationCreate, OrganizationDetail, OrganizationList, OrganizationUpdate, ResourceUsage,
};
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use utoipa_axum::routes;

use crate::App;
use crate::access::{InInstallation, InOrganization, Visible};
use crate::answer::Created;
use crate::error::Result;
use crate::json::Json;
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(organizations_list), organizations_list);
    all.add(routes!(organizations_create), organizations_create);
    all.add(routes!(organizations_get), organizations_get);
    all.add(routes!(organizations_update), organizations_update);
    all.add(routes!(organizations_resource_usage), organizations_resource_usage);
}

fn listed(organization: Organization) -> OrganizationList {
    OrganizationList {
        id: organization.id,
        name: organization.name.into(),
        creation_date: ObjectTime(organization.created_at),
        status: organization.status,
        two_factor_authentication_forced: organization.two_factor_forced,
    }
}

fn detailed(organization: Organization) -> OrganizationDetail {
    OrganizationDetail {
        id: organization.id,
        name: organization.name.into(),
        creation_date: ObjectTime(organization.created_at),
        subscription: organization.subscription,
        status: organization.status,
        subscription_self_service: true,
        two_factor_authentication_forced: organization.two_factor_forced,
        overage_usage: false,
    }
}

/// List organizations.
#[utoipa::path(get, path = "/organizations", tag = "Organizations",
    responses((status = 200, body = Vec<OrganizationList>)))]
async fn organizations_list(
    State(app): State<App>,
    visible: Visible<can::OrganizationsList>,
) -> Result<Json<Vec<OrganizationList>>> {
    let mut all = organizations::list(app.control().store()).await?;
    all.retain(|organization| visible.sees(Scope::Organization(organization.id)));
    Ok(Json(all.into_iter().map(listed).collect()))
}

/// Create an organization.
#[utoipa::path(post, path = "/organizations", tag = "Organizations",
    request_body = OrganizationCreate, responses((status = 201, body = OrganizationList)))]
async fn organizations_create(
    State(app): State<App>,
    installation: InInstallation<can::OrganizationsCreate>,
    Json(new): Json<OrganizationCreate>,
) -> Result<Created<OrganizationList>> {
    let organization = app.control().create_organization(&installation.actor, new).await?;
    Ok(Created(listed(organization)))
}

/// Show an organization.
#[utoipa::path(get, path = "/organizations/{organization_name}", tag = "Organizations",
    responses((status = 200, body = OrganizationDetail)))]
async fn organizations_get(
    State(_app): State<App>,
    on: InOrganization<can::OrganizationsGet>,
) -> Json<OrganizationDetail> {
    Json(detailed(on.organization))
}

/// Change an organization.
#[utoipa::path(patch, path = "/organizations/{organization_name}", tag = "Organizations",
    request_body = OrganizationUpdate, responses((status = 200, body = OrganizationDetail)))]
async fn organizations_update(
    State(app): State<App>,
    on: InOrganization<can::OrganizationsUpdate>,
    Json(change): Json<OrganizationUpdate>,
) -> Result<Json<OrganizationDetail>> {
    let organization = app.control().update_organization(&on.actor, on.organization.id, change).await?;
    Ok(Json(detailed(organization)))
}

/// Count what an organization holds.
#[utoipa::path(get, path = "/organizations/{organization_name}/resources", tag = "Organizations",
    responses((status = 200, body = ResourceUsage)))]
async fn organizations_resource_usage(
    State(app): State<App>,
    on: InOrganization<can::OrganizationsResources>,
) -> Result<Json<ResourceUsage>> {
    Ok(Json(organizations::resources(app.control().store(), on.organization.id).await?))
}
