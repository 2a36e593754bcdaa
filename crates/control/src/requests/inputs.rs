//! What a caller sends becomes what user code gets (semantics 1.7).

use bytes::Bytes;
use modelyard_runner::packed::{PACK_FROM, pack};
use modelyard_runner::protocol::PACKED;
use modelyard_types::fields::{PayloadType, check_depth, check_payload};
use modelyard_types::{Error, Result};
use serde_json::value::RawValue;

use super::files::named;
use crate::catalogue::DeploymentSnapshot;

/// The body is text, not JSON.
pub(crate) const TEXT: u8 = 1;
/// The body is a JSON list for `requests`.
pub(crate) const LIST: u8 = 2;

/// The most items of a list payload.
pub(super) const MAX_ITEMS: usize = 250;

/// Checks a body against the deployment's input; gives what is sent to the worker, with the flags of the call.
///
/// `text` tells that the content type is not JSON.
pub(crate) fn check(deployment: &DeploymentSnapshot, body: Bytes, text: bool) -> Result<(Bytes, u8)> {
    match deployment.input_type {
        PayloadType::Structured => structured(deployment, body),
        PayloadType::Plain => plain(body, text),
    }
}

/// A checked body as workers read it sooner, if it is large and they do.
pub(super) fn packed(body: &Bytes, flags: u8) -> Option<(Bytes, u8)> {
    if flags & TEXT != 0 || body.len() < PACK_FROM {
        return None;
    }
    Some((pack(body)?.into(), flags | PACKED))
}

fn structured(deployment: &DeploymentSnapshot, body: Bytes) -> Result<(Bytes, u8)> {
    if !is_list(&body) {
        check_payload(&deployment.input_fields, &body).map_err(Error::Invalid)?;
        check_files(deployment, &body)?;
        return Ok((body, 0));
    }
    for (at, item) in items(&body)?.iter().enumerate() {
        let checked = check_payload(&deployment.input_fields, item.get().as_bytes());
        checked.map_err(|problem| Error::Invalid(format!("Item {at}: {problem}")))?;
    }
    check_files(deployment, &body)?;
    Ok((body, LIST))
}

/// A value for a file has to be the address of one. Whether that is there is looked at later.
fn check_files(deployment: &DeploymentSnapshot, body: &[u8]) -> Result<()> {
    if !deployment.has_input_files {
        return Ok(());
    }
    named(&deployment.input_fields, body).map(drop).map_err(Error::Invalid)
}

fn plain(body: Bytes, text: bool) -> Result<(Bytes, u8)> {
    if text {
        return match std::str::from_utf8(&body) {
            Ok(_) => Ok((body, TEXT)),
            Err(_) => Err(Error::invalid("The body is not valid UTF-8 text")),
        };
    }
    check_depth(&body).map_err(Error::Invalid)?;
    let value: &RawValue = serde_json::from_slice(&body)
        .map_err(|cause| Error::Invalid(format!("The body is not valid JSON: {cause}")))?;
    match value.get().as_bytes().first() {
        // A JSON string is unwrapped by the worker; a list is a list of strings.
        Some(b'"') => Ok((body, 0)),
        Some(b'[') => {
            if !items(&body)?.iter().all(|item| item.get().starts_with('"')) {
                return Err(Error::invalid("A list for plain input must hold strings only"));
            }
            Ok((body, LIST))
        }
        // All else is handed over as the JSON text it is.
        _ => Ok((body, TEXT)),
    }
}

fn items(body: &Bytes) -> Result<Vec<&RawValue>> {
    check_depth(body).map_err(Error::Invalid)?;
    let items: Vec<&RawValue> =
        serde_json::from_slice(body).map_err(|cause| Error::Invalid(format!("The body is not valid JSON: {cause}")))?;
    if items.is_empty() {
        return Err(Error::invalid("The list of requests must not be empty"));
    }
    if items.len() > MAX_ITEMS {
        return Err(Error::Invalid(format!("The list must hold at most {MAX_ITEMS} items, and has {}", items.len())));
    }
    Ok(items)
}

pub(crate) fn is_list(body: &[u8]) -> bool {
    body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[')
}

#[cfg(test)]
mod tests;
