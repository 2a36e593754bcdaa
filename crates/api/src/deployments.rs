//! Deployments: a name, fields, and versions that do the work.

use std::collections::HashMap;

use axum::extract::State;
use modelyard_control::access::Scope;
use modelyard_store::{Deployment, deployments, versions};
use modelyard_types::deployments::{DeploymentCreate, DeploymentDetail, DeploymentList, DeploymentUpdate};
use modelyard_types::fields::PayloadType;
use modelyard_types::labels::LabelFilter;
use modelyard_types::permissions::can;
use modelyard_types::time::ObjectTime;
use modelyard_types::{DeploymentId, Kind};
use utoipa_axum::routes;

use crate::App;
use crate::access::{InProject, OnDeployment, VisibleInProject};
use crate::answer::{Created, Done};
use crate::error::{Refusal, Result, not_found};
use crate::json::Json;
use crate::query::{FromQuery, Query, Values};
use crate::routing::Operations;

pub(crate) fn add(all: &mut Operations) {
    all.add(routes!(deployments_list), deployments_list);
    all.add(routes!(deployments_create), deployments_create);
    all.add(routes!(deployments_get), deployments_get);
    all.add(routes!(deployments_update), deployments_update);
    all.add(routes!(deployments_delete), deployments_delete);
}

fn listed(deployment: Deployment, project: String, number_of_versions: i64) -> DeploymentList {
    DeploymentList {
        id: deployment.id,
        name: deployment.name.into(),
        project,
        description: deployment.description,
        input_type: deployment.input_type.unwrap_or(PayloadType::Plain),
        output_type: deployment.output_type.unwrap_or(PayloadType::Plain),
        input_fields: deployment.input_fields.iter().map(Into::into).collect(),
        output_fields: deployment.output_fields.iter().map(Into::into).collect(),
        labels: deployment.labels,
        creation_date: ObjectTime(deployment.created_at),
        last_updated: ObjectTime(deployment.updated_at),
        number_of_versions,
        supports_request_format: deployment.supports_request_format,
    }
}

fn detailed(deployment: Deployment, project: &str, default_version: Option<Option<String>>) -> DeploymentDetail {
    DeploymentDetail {
        id: deployment.id,
        name: deployment.name.into(),
        project: project.to_owned(),
        description: deployment.description,
        input_type: deployment.input_type.unwrap_or(PayloadType::Plain),
        output_type: deployment.output_type.unwrap_or(PayloadType::Plain),
        input_fields: deployment.input_fields.iter().map(Into::into).collect(),
        output_fields: deployment.output_fields.iter().map(Into::into).collect(),
        labels: deployment.labels,
        creation_date: ObjectTime(deployment.created_at),
        last_updated: ObjectTime(deployment.updated_at),
        default_version,
        supports_request_format: deployment.supports_request_format,
    }
}

async fn with_default(app: &App, deployment: Deployment, project: &str) -> Result<DeploymentDetail> {
    let default = match deployment.default_version_id {
        Some(id) => versions::get(app.control().store(), id).await?.map(|version| version.name.into()),
        None => None,
    };
    Ok(detailed(deployment, project, Some(default)))
}

/// Which deployments to list.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct DeploymentFilter {
    /// Only those with at least one of these labels: `key:value`, several with commas.
    #[param(value_type = Option<String>)]
    labels: LabelFilter,
    /// Only those that take requests, or only those that do not.
    supports_request_format: Option<bool>,
}

impl FromQuery for DeploymentFilter {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let supports_request_format = values.flag("supports_request_format")?;
        Ok(Self { labels: values.labels()?, supports_request_format })
    }
}

/// List the deployments of a project.
#[utoipa::path(get, path = "/projects/{project_name}/deployments", tag = "Deployments", params(DeploymentFilter),
    responses((status = 200, body = Vec<DeploymentList>)))]
async fn deployments_list(
    State(app): State<App>,
    visible: VisibleInProject<can::DeploymentsList>,
    Query(filter): Query<DeploymentFilter>,
) -> Result<Json<Vec<DeploymentList>>> {
    let project = &visible.project;
    let counts = deployments::version_counts(app.control().store(), project.id).await?;
    let counts: HashMap<_, _> = counts.into_iter().collect();
    let mut shown = Vec::new();
    for deployment in deployments::list(app.control().store(), project.id).await? {
        let format = filter.supports_request_format;
        let wanted = format.is_none_or(|wanted| wanted == deployment.supports_request_format);
        let seen = visible.sees(Scope::Deployment(project.id, deployment.id));
        if wanted && seen && filter.labels.matches(&deployment.labels) {
            let count = counts.get(&deployment.id).copied().unwrap_or(0);
            shown.push(listed(deployment, project.name.to_string(), count));
        }
    }
    Ok(Json(shown))
}

/// Create a deployment.
#[utoipa::path(post, path = "/projects/{project_name}/deployments", tag = "Deployments",
    request_body = DeploymentCreate, responses((status = 201, body = DeploymentDetail)))]
async fn deployments_create(
    State(app): State<App>,
    on: InProject<can::DeploymentsCreate>,
    Json(new): Json<DeploymentCreate>,
) -> Result<Created<DeploymentDetail>> {
    let deployment = app.control().create_deployment(&on.actor, on.project.id, new).await?;
    Ok(Created(detailed(deployment, &on.project.name, None)))
}

/// Show a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}", tag = "Deployments",
    responses((status = 200, body = DeploymentDetail)))]
async fn deployments_get(
    State(app): State<App>,
    on: OnDeployment<can::DeploymentsGet>,
) -> Result<Json<DeploymentDetail>> {
    let deployment = row(&app, on.deployment.id).await?;
    Ok(Json(with_default(&app, deployment, &on.project.name).await?))
}

async fn row(app: &App, id: DeploymentId) -> Result<Deployment> {
    deployments::get(app.control().store(), id).await?.ok_or_else(|| not_found(Kind::Deployment))
}

/// Change a deployment.
#[utoipa::path(patch, path = "/projects/{project_name}/deployments/{deployment_name}", tag = "Deployments",
    request_body = DeploymentUpdate, responses((status = 200, body = DeploymentDetail)))]
async fn deployments_update(
    State(app): State<App>,
    on: OnDeployment<can::DeploymentsUpdate>,
    Json(change): Json<DeploymentUpdate>,
) -> Result<Json<DeploymentDetail>> {
    let control = app.control();
    let deployment = control.update_deployment(&on.actor, on.project.id, on.deployment.id, change).await?;
    Ok(Json(with_default(&app, deployment, &on.project.name).await?))
}

/// Delete a deployment with its versions.
#[utoipa::path(delete, path = "/projects/{project_name}/deployments/{deployment_name}", tag = "Deployments",
    responses((status = 204)))]
async fn deployments_delete(State(app): State<App>, on: OnDeployment<can::DeploymentsDelete>) -> Result<Done> {
    app.control().delete_deployment(&on.actor, on.project.id, on.deployment.id).await?;
    Ok(Done)
}
