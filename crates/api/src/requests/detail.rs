//! A request with what went in and what came out, of which large parts are sent as they are read.

use bytes::Bytes;
use modelyard_control::{Data, RequestView};
use modelyard_types::Error;
use modelyard_types::requests::DeploymentRequestDetail;
use modelyard_types::time::RequestTime;
use serde_json::json;

use crate::error::Result;
use crate::pieces::Part;

/// What stands in the JSON of a request for its data. No string within it can look like that: quotes are escaped.
const DATA: &[u8] = br#""request_data":null,"result":null"#;
const REQUEST_DATA: &[u8] = br#""request_data":"#;
const RESULT: &[u8] = br#","result":"#;

/// The JSON of a request in parts.
pub(super) fn detailed(view: RequestView, metadata_only: bool) -> Result<Vec<Part>> {
    let RequestView { request, deployment, version, request_data, result } = view;
    let (input_plain, output_plain) = (request.input_plain, request.output_plain);
    let no_data = if metadata_only { None } else { Some(None) };
    let detail = DeploymentRequestDetail {
        id: request.id,
        status: request.status,
        success: request.status.success(),
        time_created: RequestTime(request.created_at()),
        time_started: request.started_at.map(RequestTime),
        time_completed: request.completed_at.map(RequestTime),
        error_message: request.error_message,
        retries: request.retries,
        request_data: no_data.clone(),
        result: no_data,
        notification_group: None,
        origin: json!({
            "deployment": deployment,
            "deployment_version": version,
            "created_by": request.created_by,
        }),
        deployment,
        version,
        timeout: request.timeout,
        input_size: request.input_size,
        output_size: request.output_size,
        additional_data: None,
    };
    let text = serde_json::to_vec(&detail).map_err(|cause| Error::internal("writing a request", cause))?;
    let text = Bytes::from(text);
    let Some(at) = text.windows(DATA.len()).position(|part| part == DATA) else {
        return Ok(vec![Part::Text(text)]);
    };
    Ok(vec![
        Part::Text(text.slice(..at + REQUEST_DATA.len())),
        as_json(request_data, input_plain),
        Part::Text(Bytes::from_static(RESULT)),
        as_json(result, output_plain),
        Part::Text(text.slice(at + DATA.len()..)),
    ])
}

/// Data as JSON: text that was not sent as JSON is a JSON string.
pub(super) fn as_json(data: Option<Data>, plain: bool) -> Part {
    match data {
        None => Part::Text(Bytes::from_static(b"null")),
        Some(data) if plain => Part::Plain(data),
        Some(data) => Part::Json(data),
    }
}

/// Several requests as a JSON list.
pub(super) fn list(views: Vec<RequestView>) -> Result<Vec<Part>> {
    let mut parts = Vec::with_capacity(6 * views.len() + 1);
    for view in views {
        parts.push(Part::Text(Bytes::from_static(if parts.is_empty() { b"[" } else { b"," })));
        parts.extend(detailed(view, false)?);
    }
    parts.push(Part::Text(Bytes::from_static(if parts.is_empty() { b"[]" } else { b"]" })));
    Ok(parts)
}
