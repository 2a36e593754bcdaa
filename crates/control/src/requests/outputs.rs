//! What a worker answers is checked here, whatever the worker said of it: user code shares its socket.

use bytes::Bytes;
use modelyard_runner::packed::unpack;
use modelyard_types::fields::{PayloadType, check_depth, check_result};
use serde_json::value::RawValue;

use super::inputs;
use crate::catalogue::DeploymentSnapshot;

/// The most bytes of an answer's JSON text: as much as a worker may send as JSON.
pub(crate) const MAX_RESULT: usize = 512 << 20;

/// Checks an answer against the deployment's output; gives the JSON text to keep and to send, or why the request failed.
///
/// A list is allowed for structured output, too: `requests` answers one, and `request` may (semantics 1.2).
pub(crate) fn check(deployment: &DeploymentSnapshot, body: Bytes) -> Result<Bytes, String> {
    check_depth(&body).map_err(|_| "The result is nested too deep".to_owned())?;
    if deployment.output_type == PayloadType::Plain {
        let valid = serde_json::from_slice::<&RawValue>(&body).is_ok();
        return if valid { Ok(body) } else { Err(not_json()) };
    }
    if inputs::is_list(&body) {
        let items: Vec<&RawValue> = serde_json::from_slice(&body).map_err(|_| not_json())?;
        for item in items {
            check_one(deployment, item.get().as_bytes())?;
        }
        return Ok(body);
    }
    check_one(deployment, &body)?;
    Ok(body)
}

/// As [`check`], of an answer that came packed.
pub(crate) fn check_packed(deployment: &DeploymentSnapshot, body: &[u8]) -> Result<Bytes, String> {
    let text = unpack(body, MAX_RESULT).map_err(|cause| cause.to_string())?;
    check(deployment, text.into())
}

fn check_one(deployment: &DeploymentSnapshot, body: &[u8]) -> Result<(), String> {
    check_result(&deployment.output_fields, body)
}

fn not_json() -> String {
    "The worker process answered something that is not JSON".to_owned()
}
