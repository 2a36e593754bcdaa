//! Batch requests: accepted now, run later.

use axum::extract::State;
use modelyard_control::{BatchAnswer, BatchRequest};
use modelyard_types::Kind;
use modelyard_types::permissions::can;
use modelyard_types::requests::{DeploymentRequestBatchCreateResponse, RequestStatus, batch_timeout};
use modelyard_types::time::RequestTime;

use super::direct::Repeat;
use crate::App;
use crate::access::OnDeployment;
use crate::error::{Refusal, Result, invalid};
use crate::json::Json;
use crate::path::PathValues;
use crate::payload::{BatchPayload, IdempotencyKey, Payload};
use crate::query::{FromQuery, Query, Values};

/// How batch requests are run.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// The time limit of each in seconds, from its start: 14400, from 10 to 172800.
    #[param(value_type = Option<i64>)]
    timeout: i64,
    /// 0 goes before 1, the default.
    #[param(value_type = Option<i64>)]
    priority: u8,
}

impl FromQuery for How {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        if let Some(group) = values.text("notification_group") {
            return Err(invalid(format!("Notification group '{group}' was not found")));
        }
        let timeout = values.int("timeout", batch_timeout::MINIMUM..=batch_timeout::MAXIMUM)?;
        let priority = values.int("priority", 0..=1)?;
        Ok(Self { timeout: timeout.unwrap_or(batch_timeout::DEFAULT), priority: u8::from(priority != Some(0)) })
    }
}

async fn accept(
    app: &App,
    on: &OnDeployment<can::RequestsCreate>,
    version: Option<&str>,
    how: How,
    key: Option<String>,
    payload: Payload,
) -> Result<Json<Vec<DeploymentRequestBatchCreateResponse>>> {
    let Payload { bytes: body, text, permit } = payload;
    let new = BatchRequest { body, text, timeout: how.timeout, priority: how.priority, key, permit };
    let accepted = app.control().batch_request(&on.actor, &on.project, &on.deployment.name, version, new).await?;
    Ok(Json(shown(&accepted)))
}

fn shown(accepted: &BatchAnswer) -> Vec<DeploymentRequestBatchCreateResponse> {
    let of = |id: &modelyard_types::RequestId| DeploymentRequestBatchCreateResponse {
        id: *id,
        deployment: accepted.deployment.to_string(),
        version: accepted.version.to_string(),
        status: RequestStatus::Pending,
        time_created: RequestTime(id.made_at()),
    };
    accepted.requests.iter().map(of).collect()
}

/// Make batch requests to the default version of a deployment.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests/batch", tag = "Requests",
    params(How, Repeat), request_body(description = "A list of up to 250 payloads, or one payload.",
        content((Vec<serde_json::Value> = "application/json"), (String = "text/plain"))),
    responses((status = 200, body = Vec<DeploymentRequestBatchCreateResponse>)))]
pub(super) async fn batch_deployment_requests_create(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    Query(how): Query<How>,
    IdempotencyKey(key): IdempotencyKey,
    BatchPayload(payload): BatchPayload,
) -> Result<Json<Vec<DeploymentRequestBatchCreateResponse>>> {
    accept(&app, &on, None, how, key, payload).await
}

/// Make batch requests to a version.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/batch",
    tag = "Requests", params(How, Repeat), request_body(description = "A list of up to 250 payloads, or one payload.",
        content((Vec<serde_json::Value> = "application/json"), (String = "text/plain"))),
    responses((status = 200, body = Vec<DeploymentRequestBatchCreateResponse>)))]
pub(super) async fn batch_deployment_version_requests_create(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    path: PathValues,
    Query(how): Query<How>,
    IdempotencyKey(key): IdempotencyKey,
    BatchPayload(payload): BatchPayload,
) -> Result<Json<Vec<DeploymentRequestBatchCreateResponse>>> {
    let version = path.name("versions", Kind::DeploymentVersion)?;
    accept(&app, &on, Some(&version), how, key, payload).await
}
