//! Direct requests: the caller waits for the result. This is the hot path: it asks no database and copies no body.

use axum::extract::State;
use axum::response::Response;
use modelyard_control::DirectRequest;
use modelyard_types::Kind;
use modelyard_types::permissions::can;
use modelyard_types::requests::{DeploymentRequestCreateResponse, direct_timeout};

use crate::App;
use crate::access::OnDeployment;
use crate::error::{Refusal, Result};
use crate::path::PathValues;
use crate::payload::{self, IdempotencyKey, Payload};
use crate::query::{FromQuery, Query, Values};

/// How a direct request is run.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct How {
    /// Its time limit in seconds, waiting included: 300, from 10 to 3600.
    #[param(value_type = Option<i64>)]
    timeout: i64,
    /// 0 goes before 1, the default.
    #[param(value_type = Option<i64>)]
    priority: u8,
}

/// How a creation may be repeated.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it only describes the header for the document")]
pub(super) struct Repeat {
    /// Up to 255 characters of the caller's choice. Within a day the same key gets the first answer, and nothing is run again.
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

impl How {
    pub(super) fn request(self, payload: Payload, key: Option<String>) -> DirectRequest {
        let Payload { bytes: body, text, permit } = payload;
        DirectRequest { body, text, timeout: self.timeout, priority: self.priority, key, permit }
    }
}

impl FromQuery for How {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        let timeout = values.int("timeout", direct_timeout::MINIMUM..=direct_timeout::MAXIMUM)?;
        let priority = values.int("priority", 0..=1)?;
        Ok(Self { timeout: timeout.unwrap_or(direct_timeout::DEFAULT), priority: u8::from(priority != Some(0)) })
    }
}

async fn run(
    app: &App,
    on: &OnDeployment<can::RequestsCreate>,
    version: Option<&str>,
    how: How,
    key: Option<String>,
    payload: Payload,
) -> Result<Response> {
    let deployment = &on.deployment.name;
    let new = how.request(payload, key);
    let answer = app.control().direct_request(&on.actor, &on.project, deployment, version, new).await?;
    Ok(payload::answer(answer))
}

/// Make a direct request to the default version of a deployment.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/requests", tag = "Requests",
    params(How, Repeat), request_body(description = "The fields of the request, a list of such, or text.",
        content((serde_json::Value = "application/json"), (String = "text/plain"))),
    responses((status = 200, body = DeploymentRequestCreateResponse)))]
pub(super) async fn deployment_requests_create(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    Query(how): Query<How>,
    IdempotencyKey(key): IdempotencyKey,
    payload: Payload,
) -> Result<Response> {
    run(&app, &on, None, how, key, payload).await
}

/// Make a direct request to a version.
#[utoipa::path(post, path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests",
    tag = "Requests", params(How, Repeat), request_body(description = "The fields of the request, a list of such, or text.",
        content((serde_json::Value = "application/json"), (String = "text/plain"))),
    responses((status = 200, body = DeploymentRequestCreateResponse)))]
pub(super) async fn deployment_version_requests_create(
    State(app): State<App>,
    on: OnDeployment<can::RequestsCreate>,
    path: PathValues,
    Query(how): Query<How>,
    IdempotencyKey(key): IdempotencyKey,
    payload: Payload,
) -> Result<Response> {
    let version = path.name("versions", Kind::DeploymentVersion)?;
    run(&app, &on, Some(&version), how, key, payload).await
}
