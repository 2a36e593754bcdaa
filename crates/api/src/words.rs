//! What is wrong with a JSON body, in plain words that name the field.

use serde_json::error::Category;

/// The sentence for a body that could not be read.
pub(crate) fn of(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let cause = error.inner();
    if cause.classify() != Category::Data {
        return format!("The body is not valid JSON: {cause}");
    }
    let text = cause.to_string();
    // The place in the text helps nobody who builds bodies by program; the field does.
    let text = text.split(" at line ").next().unwrap_or(&text);
    let path = error.path().to_string();
    let at = |field: &str| if path == "." { field.to_owned() } else { format!("{path}.{field}") };
    if let Some(field) = quoted_after(text, "unknown field `") {
        // The path ends with the unknown field itself.
        return format!("The field '{}' is not known here", if path.ends_with(field) { path } else { at(field) });
    }
    if let Some(field) = quoted_after(text, "missing field `") {
        return format!("The field '{}' is missing", at(field));
    }
    if let Some(field) = quoted_after(text, "duplicate field `") {
        return format!("The field '{}' is given twice", if path.ends_with(field) { path } else { at(field) });
    }
    if let Some(word) = quoted_after(text, "unknown variant `") {
        let known = text.split_once("expected ").map_or("", |(_, known)| known);
        let known: Vec<_> = known.split('`').skip(1).step_by(2).collect();
        return format!("The field '{path}' must be one of {}, but got '{word}'", known.join(", "));
    }
    if path == "." {
        return "The body must be a JSON object".to_owned();
    }
    if let Some((got, wanted)) = mismatch(text) {
        return format!("The field '{path}' must be {}, but got {}", wanted_word(text, wanted), got_words(got));
    }
    format!("{path}: {text}")
}

fn quoted_after<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.strip_prefix(start)?.split('`').next()
}

/// What came and what was wanted, of `invalid type: X, expected Y`.
fn mismatch(text: &str) -> Option<(&str, &str)> {
    let rest = text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "))?;
    rest.rsplit_once(", expected ")
}

fn wanted_word(text: &str, wanted: &str) -> String {
    match wanted {
        "i64" | "u64" | "i32" | "u32" if text.starts_with("invalid value") => "a whole number within range".into(),
        "i64" | "u64" | "i32" | "u32" => "a whole number".into(),
        "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "an object".into(),
        other if other.starts_with("struct ") => "an object".into(),
        other if other.contains("enum") || other.contains("variant") => "one of its known words".into(),
        other => other.to_owned(),
    }
}

fn got_words(got: &str) -> String {
    let (kind, value) = got.split_once(' ').unwrap_or((got, ""));
    match kind {
        "string" => format!("the string '{}'", value.trim_matches('"')),
        "integer" | "floating" => format!("the number {}", got.split('`').nth(1).unwrap_or(value)),
        "boolean" => format!("the boolean {}", value.trim_matches('`')),
        "sequence" => "a list".into(),
        "map" => "an object".into(),
        "null" => "null".into(),
        _ => got.to_owned(),
    }
}
