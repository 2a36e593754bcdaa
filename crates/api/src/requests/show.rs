//! One request, with what went in and what came out.

use axum::extract::State;
use bytes::Bytes;
use modelyard_control::RequestView;
use modelyard_types::permissions::can;
use modelyard_types::requests::DeploymentRequestDetail;
use modelyard_types::time::RequestTime;
use modelyard_types::{Error, Kind, RequestId, VersionId};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::App;
use crate::access::{OnDeployment, OnVersion};
use crate::error::{Refusal, Result};
use crate::json::Json;
use crate::path::PathValues;
use crate::query::{FromQuery, Query, Values};

/// How much of a request to show.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HowMuch {
    /// Leave out what went in and what came out.
    #[param(value_type = Option<bool>)]
    metadata_only: bool,
}

impl FromQuery for HowMuch {
    fn read(values: &Values<'_>) -> Result<Self, Refusal> {
        Ok(Self { metadata_only: values.flag("metadata_only")?.unwrap_or(false) })
    }
}

/// What went in, as JSON: text that was not sent as JSON is a JSON string.
fn as_json(data: Option<Bytes>, plain: bool) -> Result<Option<Box<RawValue>>> {
    let Some(data) = data else {
        return Ok(None);
    };
    let text = String::from_utf8(data.into()).map_err(|cause| Error::internal("reading request data", cause))?;
    let value = if plain { to_raw_value(&text) } else { RawValue::from_string(text) };
    Ok(Some(value.map_err(|cause| Error::internal("reading request data", cause))?))
}

pub(super) fn detailed(view: RequestView, metadata_only: bool) -> Result<DeploymentRequestDetail> {
    let request = view.request;
    let (request_data, result) = if metadata_only {
        (None, None)
    } else {
        (Some(as_json(view.request_data, request.input_plain)?), Some(as_json(view.result, request.output_plain)?))
    };
    Ok(DeploymentRequestDetail {
        id: request.id,
        deployment: view.deployment.clone(),
        version: view.version.clone(),
        status: request.status,
        success: request.status.success(),
        time_created: RequestTime(request.created_at()),
        time_started: request.started_at.map(RequestTime),
        time_completed: request.completed_at.map(RequestTime),
        error_message: request.error_message,
        retries: request.retries,
        request_data,
        result,
        notification_group: None,
        origin: json!({
            "deployment": view.deployment,
            "deployment_version": view.version,
            "created_by": request.created_by,
        }),
        timeout: request.timeout,
        input_size: request.input_size,
        output_size: request.output_size,
        additional_data: None,
    })
}

/// Show a request of a deployment.
#[utoipa::path(get, path = "/projects/{project_name}/deployments/{deployment_name}/requests/{request_id}",
    tag = "Requests", params(HowMuch), responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_requests_get(
    State(app): State<App>,
    on: OnDeployment<can::RequestsGet>,
    path: PathValues,
    Query(how_much): Query<HowMuch>,
) -> Result<Json<DeploymentRequestDetail>> {
    let id = path.id("requests", Kind::Request)?;
    show(&app, &on, None, id, how_much).await
}

/// Show a request of a version.
#[utoipa::path(get,
    path = "/projects/{project_name}/deployments/{deployment_name}/versions/{version}/requests/{request_id}",
    tag = "Requests", params(HowMuch), responses((status = 200, body = DeploymentRequestDetail)))]
pub(super) async fn deployment_version_requests_get(
    State(app): State<App>,
    on: OnVersion<can::RequestsGet>,
    path: PathValues,
    Query(how_much): Query<HowMuch>,
) -> Result<Json<DeploymentRequestDetail>> {
    let id = path.id("requests", Kind::Request)?;
    show(&app, &on.on, Some(on.version.id), id, how_much).await
}

async fn show(
    app: &App,
    on: &OnDeployment<can::RequestsGet>,
    version: Option<VersionId>,
    id: RequestId,
    how_much: HowMuch,
) -> Result<Json<DeploymentRequestDetail>> {
    let metadata_only = how_much.metadata_only;
    let view = app.control().get_request(&on.project, on.deployment.id, version, id, metadata_only).await?;
    Ok(Json(detailed(view, metadata_only)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn data_is_shown_as_json() {
        let shown = |text: &'static str, plain| {
            as_json(Some(Bytes::from_static(text.as_bytes())), plain).unwrap().unwrap().to_string()
        };
        assert_eq!(shown(r#"{"x":1}"#, false), r#"{"x":1}"#);
        assert_eq!(shown("say \"hi\"", true), r#""say \"hi\"""#);
        assert!(as_json(None, true).unwrap().is_none());
    }
}
