//! `modelyard openapi`: the document, the same text each time.

use serde_json::{Map, Value};

use crate::{Result, StartError, console};

/// Prints the document.
pub fn print() -> Result<()> {
    let failed = |e: serde_json::Error| StartError(format!("The document cannot be written: {e}."));
    let mut document = serde_json::to_value(modelyard_api::document()).map_err(failed)?;
    order_extensions(&mut document);
    console::line(format_args!("{document:#}"));
    Ok(())
}

/// Extensions come in any order; puts them last, by name.
fn order_extensions(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let (mut extensions, own): (Vec<_>, Vec<_>) =
                std::mem::take(fields).into_iter().partition(|(name, _)| name.starts_with("x-"));
            extensions.sort_by(|(a, _), (b, _)| a.cmp(b));
            *fields = own.into_iter().chain(extensions).collect::<Map<_, _>>();
            fields.values_mut().for_each(order_extensions);
        }
        Value::Array(items) => items.iter_mut().for_each(order_extensions),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extensions_move() {
        let mut value = serde_json::json!({ "x-b": 1, "b": [{ "x-z": 0, "y": 0 }], "x-a": 2, "a": 3 });
        order_extensions(&mut value);
        assert_eq!(value.to_string(), r#"{"b":[{"y":0,"x-z":0}],"a":3,"x-a":2,"x-b":1}"#);
    }
}
