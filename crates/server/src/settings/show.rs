//! Shows what is in force and where it came from.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::{InForce, TABLE};

/// A line for each setting: its name, its value and where it came from.
pub fn as_text(in_force: &InForce) -> String {
    let mut text = String::new();
    for (key, value, origin) in rows(in_force) {
        let value = if value.is_empty() { "(not set)" } else { &value };
        let _ = writeln!(text, "{key:<24} {value:<28} {origin}");
    }
    text
}

/// An object with, for each setting, its value and where it came from.
pub fn as_json(in_force: &InForce) -> Value {
    let settings: Map<_, _> = rows(in_force)
        .map(|(key, value, origin)| (key.to_owned(), json!({ "value": value, "from": origin })))
        .collect();
    Value::Object(settings)
}

fn rows(in_force: &InForce) -> impl Iterator<Item = (&'static str, String, &str)> {
    TABLE.iter().map(|entry| {
        let origin = in_force.origins.get(entry.key).map_or("default", String::as_str);
        (entry.key, (entry.show)(&in_force.settings), origin)
    })
}
